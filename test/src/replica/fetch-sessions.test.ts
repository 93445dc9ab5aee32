/** Fetch sessions (KIP-227): what is told again and what is not, and who is pushed out. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { FetchSessions } from '../../../src/replica/fetch-sessions.ts';
import type { FetchAsk, FetchedPartition, FetchPartition } from '../../../src/replica/fetch-sessions.ts';

const partition = (topic: string, index: number, fetchOffset = 0): FetchPartition => ({
  topic, topicId: `id-${topic}`, partition: index, fetchOffset, partitionMaxBytes: 100, currentLeaderEpoch: -1, lastFetchedEpoch: -1, logStartOffset: -1,
});
const told = (highWatermark: number, recordsBytes = 0, errorCode: number = ErrorCode.NONE): FetchedPartition => ({ errorCode, highWatermark, logStartOffset: 0, recordsBytes, notable: false });
const ask = (sessionId: number, sessionEpoch: number, partitions: FetchPartition[] = [], forgotten: FetchAsk['forgotten'] = [], usesTopicIds = false): FetchAsk => ({
  sessionId, sessionEpoch, usesTopicIds, partitions, forgotten,
});

function sessions(slotsMax = 10) {
  let id = 100;
  return new FetchSessions({ slotsMax, evictionMs: 1000, newId: () => ++id });
}

/** Opens a session over partitions 0 and 1 of t, both told with high watermark 5. */
function opened(all = sessions()) {
  const first = all.open(ask(0, 0, [partition('t', 0), partition('t', 1)]), 0);
  return { all, ...first.select([told(5), told(5)]) };
}

describe('a session', () => {
  test('tells everything at first, then what changed', () => {
    const { all, sessionId, chosen } = opened();
    expect(chosen).toEqual([true, true]);
    expect(all.open(ask(sessionId, 1), 1).select([told(5), told(6)])).toEqual({ sessionId, chosen: [false, true] });
    expect(all.open(ask(sessionId, 2), 2).select([told(5), told(6)])).toEqual({ sessionId, chosen: [false, false] });
    expect(all.open(ask(sessionId, 3), 3).select([told(5, 10), told(6)])).toEqual({ sessionId, chosen: [true, false] });
  });

  test('tells an error each time, and the watermark after it', () => {
    const { all, sessionId } = opened();
    const failed = told(-1, 0, ErrorCode.KAFKA_STORAGE_ERROR);
    expect(all.open(ask(sessionId, 1), 1).select([failed, told(5)]).chosen).toEqual([true, false]);
    expect(all.open(ask(sessionId, 2), 2).select([failed, told(5)]).chosen).toEqual([true, false]);
    expect(all.open(ask(sessionId, 3), 3).select([told(5), told(5)]).chosen).toEqual([true, false]);
  });

  test('reads a partition that gave data after the others next time', () => {
    const { all, sessionId } = opened();
    all.open(ask(sessionId, 1), 1).select([told(9, 100), told(5)]);
    expect(all.open(ask(sessionId, 2), 2).partitions.map((one) => one.partition)).toEqual([1, 0]);
  });

  test('takes new offsets, new partitions, and forgets', () => {
    const { all, sessionId } = opened();
    const next = all.open(ask(sessionId, 1, [partition('t', 0, 77), partition('u', 3)], [{ topic: 't', topicId: 'id-t', partition: 1 }]), 1);
    expect(next.partitions.map((one) => [one.topic, one.partition, one.fetchOffset])).toEqual([['t', 0, 77], ['u', 3, 0]]);
  });

  test('ends when nothing is left in it, and when the client says so', () => {
    const one = opened();
    const gone = [0, 1].map((index) => ({ topic: 't', topicId: 'id-t', partition: index }));
    expect(one.all.open(ask(one.sessionId, 1, [], gone), 1).select([]).sessionId).toBe(0);
    expect(one.all.count).toBe(0);
    const two = opened();
    two.all.open(ask(two.sessionId, -1, [partition('t', 0)]), 1);
    expect(two.all.count).toBe(0);
  });

  test('refuses an unknown id, a wrong epoch, and a change between names and ids', () => {
    const { all, sessionId } = opened();
    expect(all.open(ask(sessionId + 1, 1), 1).errorCode).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
    expect(all.open(ask(sessionId, 2), 1).errorCode).toBe(ErrorCode.INVALID_FETCH_SESSION_EPOCH);
    expect(all.open(ask(sessionId, 1, [], [], true), 1).errorCode).toBe(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR);
    expect(all.open(ask(sessionId, 1), 1).errorCode).toBe(ErrorCode.NONE);
  });
});

describe('the slots', () => {
  test('a follower takes the place of the consumer that was not seen for longest, and of no other follower that is', () => {
    const all = sessions(2);
    const open = (nowMs: number, isFollower: boolean) => all.open(ask(0, 0, [partition('t', 0)]), nowMs, { isFollower }).select([told(5)]).sessionId;
    const [consumer, follower] = [open(0, false), open(1, true)];
    expect(open(2, false)).toBe(0);
    const other = open(3, true);
    expect(all.open(ask(consumer, 1), 4).errorCode).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
    expect([follower, other].map((id) => all.open(ask(id, 1), 5).errorCode)).toEqual([0, 0]);
    expect(open(6, true)).toBe(0);
    // Idle ones go for whoever comes.
    expect(open(1200, false)).not.toBe(0);
  });

  test('when all are in use a client gets no session, until the oldest has not been used for the eviction time', () => {
    const all = sessions(1);
    const first = opened(all);
    expect(all.open(ask(0, 0, [partition('t', 0)]), 999).select([told(5)]).sessionId).toBe(0);
    const second = all.open(ask(0, 0, [partition('t', 0)]), 1000).select([told(5)]).sessionId;
    expect(second).toBeGreaterThan(0);
    expect(all.open(ask(first.sessionId, 1), 1001).errorCode).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
  });

  test('the least recently used goes first', () => {
    const all = sessions(2);
    const [a, b] = [opened(all), opened(all)];
    all.open(ask(a.sessionId, 1), 500);
    opened(all);
    expect(all.open(ask(a.sessionId, 2), 1600).errorCode).toBe(ErrorCode.NONE);
    const c = all.open(ask(0, 0, [partition('t', 0)]), 1700).select([told(1)]).sessionId;
    expect(c).toBeGreaterThan(0);
    expect(all.open(ask(b.sessionId, 1), 1700).errorCode).toBe(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
  });
});
