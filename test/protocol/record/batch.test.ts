/** The header's accessors and what may be changed in place. */
import { describe, expect, test } from 'vitest';
import * as batch from '../../../protocol/record/batch.ts';
import { buildBatch } from '../../../protocol/record/build.ts';
import { readRecords } from '../../../protocol/record/records.ts';

const some = (): Buffer => buildBatch({
  records: [1000, 1003, 1001].map((timestamp, i) => ({ timestamp, value: Buffer.from(`value ${i}`) })),
  producerId: 7,
  producerEpoch: 1,
  baseSequence: 2 ** 31 - 2,
});

describe('64-bit fields', () => {
  test.each([
    [0n, 0],
    [-1n, -1],
    [2n ** 32n, 2 ** 32],
    [-(2n ** 32n) - 1n, -(2 ** 32) - 1],
    [2n ** 53n - 1n, Number.MAX_SAFE_INTEGER],
    [2n ** 53n, Number.MAX_SAFE_INTEGER],
    [2n ** 63n - 1n, Number.MAX_SAFE_INTEGER],
    [-(2n ** 53n) + 1n, Number.MIN_SAFE_INTEGER],
    [-(2n ** 63n), Number.MIN_SAFE_INTEGER],
  ])('%s reads as %s', (stored, read) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64BE(stored);
    expect(batch.readInt64(buffer, 0)).toBe(read);
    batch.writeInt64(buffer, read, 0);
    expect(buffer.readBigInt64BE()).toBe(BigInt(read));
  });

  test.each([2 ** 53, -(2 ** 53), 0.5, NaN, Infinity])('%s is not written', (value) => {
    expect(() => batch.writeInt64(Buffer.alloc(8), value, 0)).toThrow(RangeError);
  });
});

describe('patching', () => {
  test('the base offset and the leader epoch are not under the checksum', () => {
    const buffer = some();
    batch.setBaseOffset(buffer, 0, 2 ** 40);
    batch.setPartitionLeaderEpoch(buffer, 0, 12);
    expect(batch.computeCrc(buffer, 0)).toBe(batch.crc(buffer, 0));
    expect([batch.baseOffset(buffer, 0), batch.lastOffset(buffer, 0), batch.nextOffset(buffer, 0)]).toEqual([2 ** 40, 2 ** 40 + 2, 2 ** 40 + 3]);
    expect(batch.partitionLeaderEpoch(buffer, 0)).toBe(12);
    batch.setLastOffset(buffer, 0, 500);
    expect(batch.baseOffset(buffer, 0)).toBe(498);
  });

  test('log append time is everybody\'s time, and under the checksum', () => {
    const buffer = some();
    const before = batch.crc(buffer, 0);
    batch.setMaxTimestampAndType(buffer, 0, batch.TimestampType.LOG_APPEND_TIME, 5000);
    expect(batch.crc(buffer, 0)).not.toBe(before);
    expect(batch.computeCrc(buffer, 0)).toBe(batch.crc(buffer, 0));
    expect(readRecords(buffer, 0).map((record) => record.timestamp)).toEqual([5000, 5000, 5000]);
    batch.setMaxTimestampAndType(buffer, 0, batch.TimestampType.CREATE_TIME, 1003);
    expect(batch.crc(buffer, 0)).toBe(before);
  });

  test('attributes that nobody knows are lost when the timestamp changes, and kept when not', () => {
    const buffer = some();
    buffer.writeInt16BE(0x7f80, batch.ATTRIBUTES_AT);
    batch.updateCrc(buffer, 0);
    batch.setMaxTimestampAndType(buffer, 0, batch.TimestampType.CREATE_TIME, 1003);
    expect(batch.attributes(buffer, 0)).toBe(0x7f80);
    batch.setMaxTimestampAndType(buffer, 0, batch.TimestampType.CREATE_TIME, 1004);
    expect(batch.attributes(buffer, 0)).toBe(0);
    expect(batch.computeCrc(buffer, 0)).toBe(batch.crc(buffer, 0));
  });
});

test('the last sequence wraps', () => {
  expect(batch.lastSequence(some(), 0)).toBe(0);
});

test('reading a header allocates nothing', () => {
  const buffer = some();
  const sum = (): number => batch.baseOffset(buffer, 0) + batch.lastOffset(buffer, 0) + batch.producerId(buffer, 0) + batch.maxTimestamp(buffer, 0)
    + batch.lastSequence(buffer, 0) + batch.attributes(buffer, 0) + batch.recordCount(buffer, 0) + batch.sizeInBytes(buffer, 0);
  let total = 0;
  for (let i = 0; i < 100_000; i++) total += sum();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 200_000; i++) total += sum();
  const grown = process.memoryUsage().heapUsed - before;
  expect(total).toBeGreaterThan(0);
  // A Buffer or a bigint a round would be 6 MB and more.
  expect(grown).toBeLessThan(4_000_000);
});
