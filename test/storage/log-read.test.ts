/** Reads of files that are not what memory says, and what an answer keeps alive. Where reads begin and end is log.test.ts's. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import type { DiskFile } from '../../storage/disk.ts';
import { BufferPool } from '../../storage/buffer-pool.ts';
import { TailBudget } from '../../storage/tail.ts';
import { accept, DIRECTORY, fill, NOW_MS, numbered, openLog, sizedBatch } from './log-fixture.ts';
import type { OpenOptions } from './log-fixture.ts';

const fromFile = (options: OpenOptions = {}) => openLog({ ...options, tail: new TailBudget({ tailBytesMax: 0 }) });
const WHOLE = { maxBytes: 1_000_000, endOffset: 1000, minOneBatch: true };

/** Runs `meanwhile` after the file has been read and before the reader hears of it. */
function duringNextRead(file: DiskFile, meanwhile: () => void | Promise<void>): void {
  const { read } = file;
  file.read = async (target, position) => {
    file.read = read;
    const filled = await read.call(file, target, position);
    await meanwhile();
    return filled;
  };
}

describe('a read of a file', () => {
  for (const left of [0, 30, 100, 5000]) {
    test(`that somebody has cut to ${left} bytes ends, with an error`, async () => {
      const { log } = fromFile();
      accept(log, sizedBatch(20_000));
      await log.write();
      log.segments.active.file().truncate(left);
      expect(await log.read(0, WHOLE)).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR, bytes: 0 });
    });
  }

  test('that was cut and written anew meanwhile is made again, and leaves no mark of where it ended', async () => {
    const { log } = fromFile();
    for (let i = 0; i < 3; i++) accept(log, sizedBatch(300));
    await log.write();
    duringNextRead(log.segments.active.file(), async () => {
      await log.truncateTo(1, NOW_MS);
      for (let i = 0; i < 5; i++) accept(log, sizedBatch(500));
      await log.write();
    });
    expect(await log.read(0, { ...WHOLE, endOffset: 3 })).toMatchObject({ error: ErrorCode.NONE, bytes: 1300, nextOffset: 3 });
    for (let offset = 0; offset < 6; offset++) expect(await log.read(offset, WHOLE)).toMatchObject({ error: ErrorCode.NONE, firstBatchBaseOffset: offset, nextOffset: 6 });
  });

  test('whose segment retention has taken away before it was opened is out of range', async () => {
    const { log, disk } = fromFile({ config: { segmentBytes: 1000, retentionBytes: 1000 } });
    await fill(log, numbered(50));
    const [first] = log.segments.all;
    first!.close();
    const { open } = disk;
    disk.open = (path, mode) => {
      disk.open = open;
      log.applyRetention(NOW_MS);
      return open.call(disk, path, mode);
    };
    expect(await log.read(0, WHOLE)).toMatchObject({ error: ErrorCode.OFFSET_OUT_OF_RANGE });
    expect(log.logStartOffset).toBeGreaterThan(0);
    expect(disk.status(`${DIRECTORY}/00000000000000000000.log`)).toBeUndefined();
  });

  test('may be a slice of the file, where a reader goes on: the very bytes that reading would give, cut at a batch', async () => {
    const { log } = fromFile({ config: { segmentBytes: 3_000_000 } });
    for (let i = 0; i < 400; i++) accept(log, sizedBatch(8_000 + ((i * 7_919) % 9_000)));
    await log.write();
    const endOffset = 390;
    let sliced = 0;
    for (let offset = 0; offset < endOffset; ) {
      const whole = await log.read(offset, { maxBytes: 1_000_000, endOffset, minOneBatch: true });
      const read = await log.read(offset, { maxBytes: 1_000_000, endOffset, minOneBatch: true, slices: true });
      expect(read).toMatchObject({ error: ErrorCode.NONE, firstBatchBaseOffset: offset });
      const { slice } = read;
      const bytes = slice === undefined ? Buffer.concat(read.buffers) : Buffer.alloc(slice.length);
      if (slice !== undefined) {
        sliced++;
        const half = slice.length >> 1;
        slice.readSync(bytes.subarray(0, half), 0);
        await slice.read(bytes.subarray(half), half);
      }
      expect(bytes).toHaveLength(read.bytes);
      expect(bytes.equals(Buffer.concat(whole.buffers).subarray(0, bytes.length))).toBe(true);
      expect(read.nextOffset).toBeLessThanOrEqual(endOffset);
      expect(bytes.length).toBeGreaterThan(whole.bytes - 30_000);
      offset = read.nextOffset;
    }
    // The first read of each segment has to search, and the last ones are too short.
    expect(sliced).toBeGreaterThanOrEqual(2);
  });

  test('a slice of a log that was cut meanwhile is gone', async () => {
    const { log } = fromFile();
    for (let i = 0; i < 60; i++) accept(log, sizedBatch(10_000));
    await log.write();
    const options = { maxBytes: 200_000, endOffset: 60, minOneBatch: true, slices: true };
    const { nextOffset } = await log.read(0, options);
    const { slice } = await log.read(nextOffset, options);
    await log.truncateTo(nextOffset + 1, NOW_MS);
    for (let i = 0; i < 30; i++) accept(log, sizedBatch(10_000));
    await log.write();
    expect(() => slice!.readSync(Buffer.alloc(100), 0)).toThrow('ESTALE');
    await expect(slice!.read(Buffer.alloc(100), 0)).rejects.toThrow('ESTALE');
  });

  test('that gives little of a large buffer gives the buffer back at once', async () => {
    const { log } = fromFile();
    accept(log, sizedBatch(200));
    for (let i = 0; i < 3; i++) accept(log, sizedBatch(200_000));
    await log.write();
    const buffers = new BufferPool({ idleBytesMax: 1 << 22, poison: true });
    const read = await log.read(0, { maxBytes: 150_000, endOffset: 4, minOneBatch: true, buffers });
    expect(read).toMatchObject({ error: ErrorCode.NONE, bytes: 200, nextOffset: 1 });
    expect(read.release).toBeUndefined();
    expect(buffers.idleBytes).toBeGreaterThan(150_000);
    expect(read.buffers[0]!.buffer.byteLength).toBeLessThan(65_536);
    expect(read.buffers[0]!.every((byte) => byte === 0xdb)).toBe(false);
  });
});
