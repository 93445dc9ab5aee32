/** Parked requests: each is woken once, by whatever comes first. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { CommitQueue, ParkedFetch } from '../../../src/replica/waiting.ts';
import { FakeTime } from '../server/fake-world.ts';

function parked(bytesMissing: number, watchedCount = 1) {
  const time = new FakeTime();
  const sets = Array.from({ length: watchedCount }, () => new Set<ParkedFetch>());
  let completed = 0;
  const fetch = new ParkedFetch({
    bytesMissing, sees: 'committed', maxWaitMs: 500, timers: time, complete: () => completed++,
    watched: sets.map((set) => ({ addWatcher: (one) => void set.add(one), removeWatcher: (one) => void set.delete(one) })),
  });
  return { time, sets, fetch, completed: () => completed };
}

describe('a parked fetch', () => {
  test('ends when enough bytes have come, from whichever partition', () => {
    const { fetch, sets, time, completed } = parked(100, 2);
    expect(sets.map((set) => set.size)).toEqual([1, 1]);
    fetch.more(60);
    expect(completed()).toBe(0);
    fetch.more(40);
    fetch.more(1000);
    expect(completed()).toBe(1);
    expect(sets.map((set) => set.size)).toEqual([0, 0]);
    expect(time.pendingTimers).toBe(0);
  });

  test('ends when its time is up', async () => {
    const { fetch, time, completed } = parked(100);
    await time.advance(499);
    expect(completed()).toBe(0);
    await time.advance(1);
    expect(completed()).toBe(1);
    fetch.end();
    expect(completed()).toBe(1);
  });
});

describe('the queue of commits', () => {
  function queue(...offsets: number[]) {
    const commits = new CommitQueue();
    const done: string[] = [];
    for (const offset of offsets) commits.add(offset, (code) => done.push(`${offset}:${code}`));
    return { commits, done };
  }

  test('answers all below the watermark, once, in order', () => {
    const { commits, done } = queue(1, 5, 5, 9);
    commits.advance(5, ErrorCode.NONE);
    commits.advance(5, ErrorCode.NONE);
    expect(done).toEqual(['1:0', '5:0', '5:0']);
    expect(commits.length).toBe(1);
    commits.advance(100, ErrorCode.NONE);
    expect(done.at(-1)).toBe('9:0');
  });

  test('fails what lies beyond an offset and keeps the rest', () => {
    const { commits, done } = queue(3, 6, 9);
    commits.fail(6, ErrorCode.KAFKA_STORAGE_ERROR);
    expect(done).toEqual(['9:56']);
    commits.advance(6, ErrorCode.NONE);
    expect(done).toEqual(['9:56', '3:0', '6:0']);
  });

  test('keeps its order over many thousand entries added and answered in turn', () => {
    const commits = new CommitQueue();
    const done: number[] = [];
    for (let i = 1; i <= 20_000; i++) {
      commits.add(i, () => done.push(i));
      if (i % 3 === 0) commits.advance(i - 1, ErrorCode.NONE);
    }
    commits.advance(20_000, ErrorCode.NONE);
    expect(done).toEqual(Array.from({ length: 20_000 }, (_, i) => i + 1));
    expect(commits.length).toBe(0);
  });
});
