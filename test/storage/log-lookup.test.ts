/** ListOffsets by timestamp. */
import { describe, expect, it } from 'vitest';
import { accept, CLIENT, NOW_MS, openLog, testBatch, type OpenOptions } from './log-fixture.ts';
import type { Log } from '../../storage/log.ts';

/** Batches of records with these stamps; segments of a few batches, an index entry for nearly every one. */
async function stamped(batches: readonly (readonly number[])[], options: OpenOptions = {}): Promise<Log> {
  const { log } = openLog({ ...options, config: { segmentBytes: 400, indexIntervalBytes: 1, segmentMs: Number.MAX_SAFE_INTEGER, ...options.config } });
  for (const timestamps of batches) accept(log, testBatch({ values: timestamps.map(() => 'x'), timestamp: timestamps }), { ...CLIENT, leaderEpoch: 3 });
  await log.write();
  log.advanceHighWatermark(log.logEndOffset);
  return log;
}

describe('offsetForTimestamp', () => {
  it('finds the first record that is not older, within a batch too', async () => {
    const stamps = Array.from({ length: 40 }, (_, i) => [1000 + i * 10, 1000 + i * 10 + 4]);
    const log = await stamped(stamps);
    expect(log.segments.count).toBeGreaterThan(5);
    const flat = stamps.flat();
    for (let target = 990; target <= 1400; target++) {
      const expected = flat.findIndex((timestamp) => timestamp >= target);
      const found = await log.offsetForTimestamp(target);
      if (expected < 0) expect(found).toBe(undefined);
      else expect(found).toEqual({ offset: expected, timestampMs: flat[expected], leaderEpoch: 3 });
    }
  });

  it('finds it where stamps go backwards', async () => {
    const log = await stamped([[50], [10], [70], [30], [20], [90], [80]]);
    // The first by offset, as Kafka: a later one may be nearer.
    expect(await log.offsetForTimestamp(40)).toMatchObject({ offset: 0 });
    expect(await log.offsetForTimestamp(60)).toMatchObject({ offset: 2 });
    expect(await log.offsetForTimestamp(80)).toMatchObject({ offset: 5 });
    expect(await log.offsetForTimestamp(91)).toBe(undefined);
  });

  it('leaves out what lies before the log start', async () => {
    const log = await stamped([[10, 11, 12], [20], [30]]);
    log.advanceLogStartOffset(2);
    expect(await log.offsetForTimestamp(5)).toMatchObject({ offset: 2, timestampMs: 12 });
    log.advanceLogStartOffset(4);
    expect(await log.offsetForTimestamp(5)).toMatchObject({ offset: 4, timestampMs: 30 });
  });

  it('looks into compressed batches', async () => {
    const { log } = openLog();
    for (const compression of [1, 2, 3, 4] as const) {
      const base = 1000 * compression;
      accept(log, testBatch({ values: ['a', 'b', 'c'], timestamp: [base, base + 1, base + 2], compression }));
    }
    expect(await log.offsetForTimestamp(2001)).toMatchObject({ offset: 4, timestampMs: 2001 });
    expect(await log.offsetForTimestamp(4002)).toMatchObject({ offset: 11, timestampMs: 4002 });
  });

  it('sees what was appended before the call', async () => {
    const { log } = openLog();
    accept(log, testBatch({ timestamp: 77 }));
    expect(await log.offsetForTimestamp(1)).toMatchObject({ offset: 0, timestampMs: 77 });
  });

  it('finds nothing in an empty log, nor where records have no stamps', async () => {
    const { log } = openLog();
    expect(await log.offsetForTimestamp(0)).toBe(undefined);
    accept(log, testBatch({ timestamp: -1 }));
    expect(await log.offsetForTimestamp(NOW_MS)).toBe(undefined);
  });
});

describe('maxTimestampOffset', () => {
  it('finds the first record of the largest stamp, inside its batch', async () => {
    const log = await stamped([[10, 40, 20], [90, 5, 90], [30], [90], [60]]);
    expect(await log.maxTimestampOffset()).toEqual({ offset: 3, timestampMs: 90, leaderEpoch: 3 });
  });

  it('prefers the earliest of segments with the same largest stamp', async () => {
    const log = await stamped(Array.from({ length: 30 }, () => [500]));
    expect(log.segments.count).toBeGreaterThan(2);
    expect(await log.maxTimestampOffset()).toMatchObject({ offset: 0 });
  });

  it('finds nothing where there is none', async () => {
    const { log } = openLog();
    expect(await log.maxTimestampOffset()).toBe(undefined);
  });
});
