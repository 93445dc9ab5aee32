/** Who votes: how settings name them, how keys match, and what the log says of them at each offset. */
import { describe, expect, it } from 'vitest';
import {
  isVoter, majorityOf, needsUpdate, parseHostPort, parseStaticVoters, recordOfVoters, replicaKey, type Voter, VoterHistory, votersOfRecord, withoutVoter, withUpdatedVoter, withVoter,
} from '../../../src/quorum/voters.ts';

const directory = (id: number): string => Buffer.alloc(16, id).toString('base64url');
const voter = (id: number, directoryId: string | null = directory(id)): Voter => ({ id, directoryId, endpoints: [{ name: 'CONTROLLER', host: 'h', port: 9000 + id }], kraftVersions: { min: 0, max: 1 } });

describe('controller.quorum.voters', () => {
  it('names ids and addresses, also of IPv6', () => {
    expect(parseStaticVoters(['3@c:9093', '1@[::1]:9094'], 'C').map(({ id, directoryId, endpoints }) => [id, directoryId, endpoints])).toEqual([
      [1, null, [{ name: 'C', host: '::1', port: 9094 }]],
      [3, null, [{ name: 'C', host: 'c', port: 9093 }]],
    ]);
  });

  it.each(['a:9093', '@a:9093', '-1@a:9093', 'x@a:9093', '1@a', '1@a:', '1@a:70000', '1@:9093', '1@[::1:9093'])('%s is refused', (text) => {
    expect(() => parseStaticVoters([text], 'C')).toThrow(RangeError);
  });

  it('names each id once', () => {
    expect(() => parseStaticVoters(['1@a:1', '1@b:2'], 'C')).toThrow('twice');
  });

  it('is told by name where an address is wrong', () => {
    expect(() => parseHostPort('nowhere', 'controller.quorum.bootstrap.servers')).toThrow("controller.quorum.bootstrap.servers: 'nowhere' should be HOST:PORT");
  });
});

describe('a set of voters', () => {
  const set = [1, 2, 3].map((id) => voter(id));

  it('knows a voter by its directory, where it has one', () => {
    expect(isVoter(set, { id: 2, directoryId: directory(2) })).toBe(true);
    expect(isVoter(set, { id: 2, directoryId: directory(9) })).toBe(false);
    expect(isVoter(set, { id: 2, directoryId: null })).toBe(false);
    expect(isVoter([voter(2, null)], { id: 2, directoryId: directory(9) })).toBe(true);
    expect(replicaKey(2, 'AAAAAAAAAAAAAAAAAAAAAA')).toEqual({ id: 2, directoryId: null });
  });

  it('changes by one', () => {
    expect(withVoter(set, voter(2))).toBeNull();
    expect(withVoter([voter(3), voter(5)], voter(4))!.map(({ id }) => id)).toEqual([3, 4, 5]);
    expect(withoutVoter(set, { id: 2, directoryId: directory(9) })).toBeNull();
    expect(withoutVoter(set, { id: 2, directoryId: directory(2) })!.map(({ id }) => id)).toEqual([1, 3]);
    expect(withoutVoter([voter(1)], voter(1))).toBeNull();
    const moved = { ...voter(2), endpoints: [{ name: 'CONTROLLER', host: 'elsewhere', port: 1 }] };
    expect(needsUpdate(set, moved)).toBe(true);
    expect(needsUpdate(withUpdatedVoter(set, moved)!, moved)).toBe(false);
    expect(withUpdatedVoter(set, voter(2, directory(9)))).toBeNull();
    expect(withUpdatedVoter(set, voter(2, directory(9)), { ignoringDirectory: true })![1]!.directoryId).toBe(directory(9));
  });

  it('has a majority', () => {
    expect([1, 2, 3, 4, 5].map((count) => majorityOf(Array.from({ length: count }, (_, index) => voter(index))))).toEqual([1, 2, 2, 3, 3]);
  });

  it('is what its record says', () => {
    expect(votersOfRecord(recordOfVoters(set))).toEqual(set);
  });
});

describe('the history of voters', () => {
  it('says what holds at the end, before an offset, and after a cut', () => {
    const history = new VoterHistory([voter(1, null)]);
    expect(history.latest).toMatchObject({ kraftVersion: 0, offset: null });
    history.noteVersion(4, 1);
    history.noteVoters(5, [voter(1)]);
    history.noteVoters(9, [voter(1), voter(2)]);
    expect(history.latest).toMatchObject({ kraftVersion: 1, offset: 9 });
    expect(history.before(9)).toMatchObject({ offset: 5 });
    expect(history.before(5)).toMatchObject({ kraftVersion: 1, offset: null, voters: [voter(1, null)] });
    expect(history.truncateFromEnd(9)).toBe(true);
    expect(history.truncateFromEnd(9)).toBe(false);
    expect(history.latest.voters).toEqual([voter(1)]);
    history.truncateFromStart(100);
    expect(history.latest).toMatchObject({ kraftVersion: 1, offset: 5 });
    history.truncateFromEnd(0);
    expect(history.latest.voters).toEqual([voter(1, null)]);
  });

  it('keeps the offset of the voters when only the version changes', () => {
    const history = new VoterHistory([]);
    history.noteVoters(-1, [voter(1)]);
    history.noteVersion(7, 1);
    expect(history.latest).toMatchObject({ kraftVersion: 1, offset: -1 });
  });
});
