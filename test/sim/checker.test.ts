/** The checker of histories: each anomaly planted by hand is found by its name, and what is allowed is not taken for one. */
import { describe, expect, test } from 'vitest';
import { Seeded } from '../storage/seeded.ts';
import { check } from './checker.ts';
import { History } from './history.ts';
import type { Operation, Polled } from './history.ts';

class Script {
  nowMs = 0;
  readonly history = new History(() => this.nowMs++);

  sent(client: string, values: string, baseOffset: number | null, partition = 't-0'): this {
    const send = this.history.send(client, partition, values.split(' '));
    this.history.end(send, 'ok', baseOffset);
    return this;
  }
  lostTrack(client: string, values: string, outcome: 'info' | 'fail' = 'info'): this {
    const send = this.history.send(client, 't-0', values.split(' '));
    this.history.end(send, outcome);
    return this;
  }
  /** `0:a 1:b` */
  read(client: string, records: string, how: { subscribed?: boolean; final?: boolean } = {}): this {
    this.history.poll(client, 't-0', records.split(' ').map((record): Polled => ({ offset: Number(record.split(':')[0]), value: record.split(':')[1]! })), how);
    return this;
  }
  commit(offset: number, outcome: 'ok' | 'info' | 'fail' = 'ok'): this {
    const commit = this.history.commit('g', 'g/t-0', offset);
    this.history.end(commit, outcome);
    return this;
  }
  told(offset: number): this {
    this.history.committed('g', 'g/t-0', offset, this.nowMs++);
    return this;
  }
  seek(client: string): this {
    this.history.seek(client, 't-0');
    return this;
  }
}

const cases: readonly (readonly [name: string, expected: readonly string[], script: (script: Script) => Script])[] = [
  ['nothing', [], (s) => s],
  ['two producers, two readers', [], (s) => s.sent('p', 'a b', 0).sent('q', 'x', 2).sent('p', 'c', 3).read('r', '0:a 1:b').read('r', '2:x 3:c').read('s', '0:a 1:b 2:x 3:c')],
  ['a gap of control records is no skip', [], (s) => s.sent('p', 'a', 0).sent('p', 'b', 5).read('r', '0:a 5:b')],
  ['unknown and not there', [], (s) => s.sent('p', 'a', 0).lostTrack('p', 'b').sent('p', 'c', 1).read('r', '0:a 1:c')],
  ['unknown and there', [], (s) => s.sent('p', 'a', 0).lostTrack('p', 'b').sent('p', 'c', 2).read('r', '0:a 1:b 2:c')],
  ['an acknowledgement without an offset', [], (s) => s.sent('p', 'a', null).sent('p', 'b', 1).read('r', '0:a 1:b')],
  ['a seek back', [], (s) => s.sent('p', 'a', 0).sent('p', 'b', 1).read('r', '0:a 1:b').seek('r').read('r', '0:a 1:b')],
  ['a member of a group goes back', [], (s) => s.sent('p', 'a', 0).sent('p', 'b', 1).read('r', '0:a 1:b', { subscribed: true }).read('r', '1:b', { subscribed: true })],
  ['acknowledged, lost', ['lost-write', 'poll-skip'], (s) => s.sent('p', 'a', 0).sent('p', 'b', 1).sent('p', 'c', 2).read('r', '0:a').read('r', '2:c')],
  ['acknowledged, lost at the end', ['unseen'], (s) => s.sent('p', 'a', 0).sent('p', 'b', 1).read('r', '0:a')],
  ['acknowledged without an offset, lost', ['unseen'], (s) => s.sent('p', 'a', 0).sent('p', 'b', null).sent('p', 'c', 1).read('r', '0:a 1:c')],
  ['twice', ['duplicate', 'inconsistent-offsets'], (s) => s.sent('p', 'a', 0).sent('p', 'b', 1).read('r', '0:a 1:b').seek('r').read('r', '0:a 1:a')],
  ['twice, at an end', ['duplicate'], (s) => s.sent('p', 'a b', 0).read('r', '0:a 1:b 2:a')],
  ['elsewhere than acknowledged', ['duplicate'], (s) => s.sent('p', 'a', 0).read('r', '1:a')],
  ['another record at an acknowledged offset', ['inconsistent-offsets', 'lost-write'], (s) => s.sent('p', 'a', 0).lostTrack('q', 'x').sent('p', 'b', 1).read('r', '0:x 1:b')],
  ['two readers disagree', ['inconsistent-offsets'], (s) => s.lostTrack('p', 'a').lostTrack('q', 'b').read('r', '0:a').read('s', '0:b')],
  ['read what failed', ['failed-read'], (s) => s.lostTrack('p', 'a', 'fail').read('r', '0:a')],
  ['read what nobody sent', ['phantom'], (s) => s.read('r', '0:a')],
  ['a producer overtaken by itself', ['nonmonotonic-send'], (s) => s.sent('p', 'a', 1).sent('p', 'b', 0).read('r', '0:b 1:a')],
  ['an unknown send after a later one', ['nonmonotonic-send'], (s) => s.lostTrack('p', 'a').sent('p', 'b', 0).read('r', '0:b 1:a')],
  ['one send in disorder', ['int-nonmonotonic-send'], (s) => s.lostTrack('p', 'a b').read('r', '0:b 1:a')],
  ['a reader goes back', ['nonmonotonic-poll'], (s) => s.sent('p', 'a b', 0).read('r', '0:a 1:b').read('r', '0:a 1:b')],
  ['a reader is given one twice', ['nonmonotonic-poll'], (s) => s.sent('p', 'a b', 0).read('r', '0:a').read('r', '0:a 1:b')],
  ['a poll goes back', ['int-nonmonotonic-poll'], (s) => s.sent('p', 'a b', 0).read('r', '1:b 0:a')],
  ['a reader misses one', ['poll-skip'], (s) => s.sent('p', 'a b c', 0).read('s', '0:a 1:b 2:c').read('r', '0:a').read('r', '2:c')],
  ['a poll misses one', ['int-poll-skip'], (s) => s.sent('p', 'a b c', 0).read('s', '0:a 1:b 2:c').read('r', '0:a 2:c')],
  ['committed and told', [], (s) => s.told(-1).commit(1).told(1).commit(2).told(2)],
  ['an unknown commit comes late', [], (s) => s.commit(1, 'info').commit(2).told(2).told(1)],
  ['a commit that failed, and the one before', [], (s) => s.commit(1).commit(2, 'fail').told(1)],
  ['a commit is lost', ['commit-regressed'], (s) => s.commit(1).commit(2).told(1)],
  ['all commits are lost', ['commit-regressed'], (s) => s.commit(1).told(-1)],
  ['nobody committed that', ['commit-phantom', 'commit-regressed'], (s) => s.commit(1).told(7)],
  ['a commit that failed is told', ['commit-phantom'], (s) => s.commit(1, 'fail').told(1)],
];

describe('histories by hand', () => {
  for (const [name, expected, script] of cases) {
    test(`${name}: ${expected.join(', ') || 'fine'}`, () => {
      const found = check(script(new Script()).history.operations, { complete: true });
      expect([...new Set(found.map((anomaly) => anomaly.name))].sort()).toEqual([...expected].sort());
    });
  }
});

test('what retention has let go before anybody read it is not lost, and what it has left is', () => {
  const { operations } = new Script().sent('p', 'a', 0).sent('p', 'b', 1).sent('p', 'c', 2).read('r', '2:c').history;
  const lost = (logStart: number): string[] => check(operations, { complete: true, logStarts: new Map([['t-0', logStart]]) }).map(({ about }) => about);
  expect(lost(2)).toEqual([]);
  expect(lost(1)).toEqual(['t-0: b, acknowledged at 1, others were read up to 2']);
});

/** A log of several producers with unknown outcomes, and readers that read it in pieces: nothing is wrong with it. */
function generated(random: Seeded): { operations: Operation[]; log: string[] } {
  let now = 0;
  const history = new History(() => now++);
  const log: string[] = [];
  for (let i = 0; i < 40; i++) {
    const values = Array.from({ length: 1 + random.below(3) }, (_, at) => `p${random.below(3)}.${i}.${at}`);
    const send = history.send(values[0]!.slice(0, 2), 't-0', values);
    const outcome = random.below(6);
    if (outcome === 0) history.end(send, 'fail');
    else if (outcome === 1) history.end(send, 'info');
    else {
      const baseOffset = log.length;
      log.push(...values);
      history.end(send, outcome === 2 ? 'info' : 'ok', outcome === 3 ? null : baseOffset);
    }
  }
  for (const reader of ['r', 's']) {
    for (let at = 0; at < log.length; ) {
      const count = 1 + random.below(5);
      history.poll(reader, 't-0', log.slice(at, at + count).map((value, index) => ({ offset: at + index, value })));
      at += count;
    }
  }
  return { operations: [...history.operations], log };
}

describe('generated histories', () => {
  test('nothing is found in 2,000 good ones', () => {
    for (let seed = 0; seed < 2000; seed++) {
      const { operations } = generated(new Seeded(seed));
      expect(check(operations, { complete: true }), `seed ${seed}`).toEqual([]);
    }
  });

  test('one anomaly planted in each of 2,000 is found', () => {
    for (let seed = 0; seed < 2000; seed++) {
      const random = new Seeded(seed);
      const { operations, log } = generated(random);
      const polls = operations.map((operation, at) => ({ operation, at })).filter(({ operation }) => operation.kind === 'poll');
      const { operation, at } = random.pick(polls);
      if (operation.kind !== 'poll') throw new Error('not a poll');
      const records = [...operation.records];
      const inPoll = random.below(records.length);
      const record = records[inPoll]!;
      switch (random.below(4)) {
        // One reader is given a record again at another offset.
        case 0:
          records[inPoll] = { offset: log.length + 5, value: record.value };
          break;
        // ... another record than the others.
        case 1:
          records[inPoll] = { offset: record.offset, value: 'nobody' };
          break;
        // ... one twice.
        case 2:
          records.splice(inPoll, 0, record);
          break;
        // ... not one between others.
        default: {
          const before = at > 0 && operations[at - 1]!.kind === 'poll' && (operations[at - 1] as typeof operation).client === operation.client;
          const after = operations[at + 1] !== undefined && (operations[at + 1] as typeof operation).client === operation.client;
          if ((inPoll === 0 && !before) || (inPoll === records.length - 1 && !after)) continue;
          if (records.length === 1) continue;
          records.splice(inPoll, 1);
        }
      }
      operations[at] = { ...operation, records };
      expect(check(operations, { complete: true }).length, `seed ${seed}`).toBeGreaterThan(0);
    }
  });
});
