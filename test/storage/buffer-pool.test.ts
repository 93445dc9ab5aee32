/** Buffers that are used again: who has one has it alone. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import { recordsAt } from '../../protocol/record/batches.ts';
import { buildBatch } from '../../protocol/record/build.ts';
import { DEFAULT_LOG_CONFIG } from '../../storage/log-config.ts';
import { Log } from '../../storage/log.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { BufferPool } from '../../storage/buffer-pool.ts';
import { TailBudget } from '../../storage/tail.ts';

describe('BufferPool', () => {
  test('gives the one used last, to one taker at a time', () => {
    const buffers = new BufferPool();
    const [one, two] = [buffers.take(100_000), buffers.take(100_000)];
    expect(one.buffer).not.toBe(two.buffer);
    expect(one.length).toBe(131_072);
    buffers.give(one);
    buffers.give(two);
    expect(buffers.take(131_072)).toBe(two);
    expect(buffers.take(70_000)).toBe(one);
    expect(buffers.take(70_000)).not.toBe(one);
    expect(buffers.idleBytes).toBe(0);
  });

  test('keeps no more than its bytes', () => {
    const buffers = new BufferPool({ idleBytesMax: 200_000 });
    const taken = [buffers.take(65_536), buffers.take(65_536), buffers.take(65_536), buffers.take(65_536)];
    for (const buffer of taken) buffers.give(buffer);
    expect(buffers.idleBytes).toBe(3 * 65_536);
  });

  test('lets go of the size that was longest unused for one that is used', () => {
    const buffers = new BufferPool({ idleBytesMax: 8 * 65_536 });
    const large = [buffers.take(3 * 65_536), buffers.take(3 * 65_536)];
    const middle = buffers.take(2 * 65_536);
    for (const buffer of [...large, middle]) buffers.give(buffer);
    expect(buffers.idleBytes).toBe(8 * 65_536);
    const small = [1, 2, 3, 4].map(() => buffers.take(65_536));
    for (const buffer of small) buffers.give(buffer);
    // One large one has gone for three small ones, the other for the fourth; the middle one is still there.
    expect(buffers.idleBytes).toBe(6 * 65_536);
    expect(buffers.take(2 * 65_536)).toBe(middle);
    expect(small).toContain(buffers.take(65_536));
    expect(large).not.toContain(buffers.take(3 * 65_536));
    buffers.give(Buffer.alloc(9 * 65_536));
    expect(buffers.idleBytes).toBe(3 * 65_536);
  });
});

async function logOf(records: number): Promise<Log> {
  const log = Log.open({
    disk: new MemoryDisk(), directory: '/t-0', topic: 't', partition: 0, config: DEFAULT_LOG_CONFIG, recoveryPoint: 0, logStartOffset: 0, cleanShutdown: true, nowMs: 0,
    // Nothing is kept in memory: every read is one of the file.
    tail: new TailBudget({ tailBytesMax: 0 }),
  });
  for (let i = 0; i < records; i++) {
    log.append(buildBatch({ baseOffset: 0, records: [{ timestamp: 1, key: null, value: Buffer.alloc(20_000, `${i} `), headers: [] }] }), { leaderEpoch: 0, nowMs: 1, origin: 'client' });
  }
  await log.write();
  return log;
}

describe('reads of a log with buffers that are given back', () => {
  test('have their records until then, and their bytes are overwritten after', async () => {
    const log = await logOf(20);
    const buffers = new BufferPool({ idleBytesMax: 1 << 20, poison: true });
    const read = (from: number) => log.read(from, { maxBytes: 50_000, endOffset: 20, minOneBatch: true, buffers });
    const [first, second] = [await read(0), await read(10)];
    const offsets = (records: Buffer) => recordsAt(records, 0).map((record) => record.offset);
    expect(offsets(first.buffers[0]!)).toEqual([0]);
    first.release!();
    expect(offsets(second.buffers[0]!)).toEqual([10]);
    expect(first.buffers[0]!.every((byte) => byte === 0xdb)).toBe(true);
    const third = await read(5);
    expect(third.buffers[0]!.buffer).toBe(first.buffers[0]!.buffer);
    expect(offsets(third.buffers[0]!)).toEqual([5]);
    expect(offsets(second.buffers[0]!)).toEqual([10]);
  });

  test('that find nothing, or fail, give back what they took', async () => {
    const log = await logOf(3);
    const buffers = new BufferPool();
    const nothing = await log.read(1, { maxBytes: 10, endOffset: 3, minOneBatch: false, buffers });
    expect([nothing.bytes, nothing.release, buffers.idleBytes > 0]).toEqual([0, undefined, true]);
    const before = buffers.idleBytes;
    const outside = await log.read(99, { maxBytes: 10, endOffset: 3, minOneBatch: true, buffers });
    expect([outside.error, buffers.idleBytes]).toEqual([ErrorCode.OFFSET_OUT_OF_RANGE, before]);
  });
});

describe('appends of a buffer that is wanted back', () => {
  test('give it back when it is written, and the batch is read from the file', async () => {
    const log = await logOf(0);
    const big = buildBatch({ baseOffset: 0, records: [{ timestamp: 1, key: null, value: Buffer.alloc(100_000, 'x'), headers: [] }] });
    const back: string[] = [];
    const append = (name: string) => log.append(Buffer.from(big), { leaderEpoch: 0, nowMs: 1, origin: 'client', release: () => void back.push(name) });
    append('a');
    append('b');
    expect(back).toEqual([]);
    await log.write();
    expect(back).toEqual(['a', 'b']);
    expect(log.tail.chunkCount).toBe(0);
    const read = await log.read(1, { maxBytes: 1000, endOffset: 2, minOneBatch: true });
    expect(recordsAt(read.buffers[0]!, 0)[0]!.offset).toBe(1);
  });

  test('never give it back when it was not written, or was there already', async () => {
    const disk = new MemoryDisk({ bytesMax: 30_000 });
    const log = Log.open({ disk, directory: '/t-0', topic: 't', partition: 0, config: DEFAULT_LOG_CONFIG, recoveryPoint: 0, logStartOffset: 0, cleanShutdown: true, nowMs: 0 });
    const numbered = (bytes: number) => buildBatch({ baseOffset: 0, producerId: 1, producerEpoch: 0, baseSequence: 0, records: [{ timestamp: 1, key: null, value: Buffer.alloc(bytes), headers: [] }] });
    let back = 0;
    const options = { leaderEpoch: 0, nowMs: 1, origin: 'client' as const, release: () => void back++ };
    log.append(numbered(100_000), options);
    await log.write();
    expect([back, log.logEndOffset]).toEqual([0, 0]);
    log.append(numbered(100), options);
    await log.write();
    expect(log.append(numbered(100), options).duplicate).toBe(true);
    await log.write();
    expect([back, log.logEndOffset]).toEqual([1, 1]);
  });
});
