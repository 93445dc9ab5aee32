/** Which segments retention removes. */
import { describe, expect, it } from 'vitest';
import { accept, CLIENT, contents, DIRECTORY, NOW_MS, openLog, sizedBatch, type OpenOptions } from './log-fixture.ts';
import type { Log } from '../../storage/log.ts';

/** Segments of ten batches of 100 bytes, the batch of offset n stamped `stamp(n)`. */
async function filled(count: number, options: OpenOptions['config'] = {}, stamp: (offset: number) => number = () => NOW_MS): Promise<{ log: Log; names: () => string[] }> {
  const { log, disk } = openLog({ config: { segmentBytes: 1000, segmentMs: Number.MAX_SAFE_INTEGER, retentionMs: -1, ...options } });
  for (let i = 0; i < count; i++) accept(log, sizedBatch(100, { timestamp: stamp(i) }));
  await log.write();
  log.advanceHighWatermark(log.logEndOffset);
  return { log, names: () => disk.list(DIRECTORY).filter((name) => /\.log|snapshot/.test(name)) };
}

const bases = (log: Log): number[] => log.segments.all.map((segment) => segment.baseOffset);

describe('retention by size', () => {
  it('removes the oldest segments as long as as much as the limit is left', async () => {
    for (const [retentionBytes, expected] of [[3500, [0, 10, 20, 30]], [3499, [0, 10, 20, 30]], [2500, [10, 20, 30]], [2499, [10, 20, 30]], [500, [30]], [0, [35]], [-1, [0, 10, 20, 30]]] as const) {
      const { log } = await filled(35, { retentionBytes });
      log.applyRetention(NOW_MS);
      expect([retentionBytes, bases(log)]).toEqual([retentionBytes, expected]);
      expect(log.logStartOffset).toBe(expected[0]);
    }
  });

  it('does not count what lies before the log start, where a leader that deletes first has moved that of its follower', async () => {
    const { log } = await filled(35, { retentionBytes: 1500 });
    log.advanceLogStartOffset(20);
    log.applyRetention(NOW_MS);
    expect(bases(log)).toEqual([20, 30]);
    expect(log.logStartOffset).toBe(20);
  });

  it('leaves alone what is not below the high watermark', async () => {
    const { log } = openLog({ config: { segmentBytes: 1000, retentionMs: -1, retentionBytes: 0 } });
    for (let i = 0; i < 35; i++) accept(log, sizedBatch(100));
    await log.write();
    log.advanceHighWatermark(19);
    log.applyRetention(NOW_MS);
    expect(bases(log)).toEqual([10, 20, 30]);
  });
});

describe('retention by time', () => {
  const hour = 3_600_000;

  it('goes by the largest stamp of a segment, and takes the active one too', async () => {
    const { log } = await filled(35, { retentionMs: hour }, (offset) => NOW_MS + offset);
    log.applyRetention(NOW_MS + 9 + hour);
    expect(bases(log)).toEqual([0, 10, 20, 30]);
    log.applyRetention(NOW_MS + 9 + hour + 1);
    expect(bases(log)).toEqual([10, 20, 30]);
    log.applyRetention(NOW_MS + 34 + hour + 1);
    expect(bases(log)).toEqual([35]);
    expect([log.logStartOffset, log.logEndOffset]).toEqual([35, 35]);
    expect(log.append(sizedBatch(100), CLIENT).baseOffset).toBe(35);
  });

  it('keeps everything behind a record from the future', async () => {
    const { log } = await filled(35, { retentionMs: hour }, (offset) => (offset === 5 ? NOW_MS + 1000 * hour : NOW_MS));
    log.applyRetention(NOW_MS + 100 * hour);
    expect(bases(log)).toEqual([0, 10, 20, 30]);
  });

  it('leaves an empty log as it is', async () => {
    const { log } = await filled(0, { retentionMs: 1 });
    expect(log.applyRetention(NOW_MS + hour)).toEqual([]);
    expect(bases(log)).toEqual([0]);
  });
});

describe('retention by the log start offset', () => {
  it('removes whole segments below it, whatever the policy', async () => {
    for (const cleanupPolicy of ['delete', 'compact', 'none'] as const) {
      const { log } = await filled(35, { cleanupPolicy, retentionBytes: -1 });
      log.advanceLogStartOffset(25);
      log.applyRetention(NOW_MS);
      expect(bases(log)).toEqual([20, 30]);
      expect((await contents(log)).length).toBe(10);
    }
  });

  it('is the only rule for compacted topics that are not deleted from', async () => {
    const { log } = await filled(35, { cleanupPolicy: 'compact', retentionBytes: 0, retentionMs: 0 });
    log.applyRetention(NOW_MS + 1);
    expect(bases(log)).toEqual([0, 10, 20, 30]);
  });
});

describe('what is removed', () => {
  it('is renamed at once, and named to the owner', async () => {
    const { log, names } = await filled(35, { retentionBytes: 1500 });
    const renamed = log.applyRetention(NOW_MS);
    expect(renamed.map((path) => path.slice(DIRECTORY.length + 1))).toEqual([
      '00000000000000000000.timeindex.deleted', '00000000000000000000.index.deleted', '00000000000000000000.log.deleted',
      '00000000000000000010.timeindex.deleted', '00000000000000000010.index.deleted', '00000000000000000010.log.deleted', '00000000000000000010.snapshot.deleted',
    ]);
    expect(names()).toEqual([
      '00000000000000000000.log.deleted', '00000000000000000010.log.deleted', '00000000000000000010.snapshot.deleted',
      '00000000000000000020.log', '00000000000000000020.snapshot', '00000000000000000030.log', '00000000000000000030.snapshot',
    ]);
  });
});
