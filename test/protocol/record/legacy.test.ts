/** Messages of magic 0 and 1 beyond the golden lines: sets that are damaged, cut short, or of the kinds that old clients got wrong. */
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { errorName, KafkaError } from '../../../protocol/errors.ts';
import { CompressionType } from '../../../protocol/record/batch.ts';
import { CORRUPT, INCOMPLETE, isIntact, nextBatchBytes, recordsAt } from '../../../protocol/record/batches.ts';
import { compress } from '../../../protocol/record/compression.ts';
import { readLegacyRecords } from '../../../protocol/record/legacy.ts';

interface MessageInput {
  readonly offset: number;
  readonly magic?: number;
  readonly attributes?: number;
  readonly timestamp?: number;
  readonly key?: Buffer | null;
  readonly value?: Buffer | null;
}

function field(bytes: Buffer | null): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes?.length ?? -1);
  return Buffer.concat([length, bytes ?? Buffer.alloc(0)]);
}

function message({ offset, magic = 1, attributes = 0, timestamp = 0, key = null, value = null }: MessageInput): Buffer {
  const stamp = Buffer.alloc(magic === 0 ? 0 : 8);
  if (magic !== 0) stamp.writeBigInt64BE(BigInt(timestamp));
  const body = Buffer.concat([Buffer.from([magic, attributes]), stamp, field(key), field(value)]);
  const header = Buffer.alloc(16);
  header.writeBigInt64BE(BigInt(offset), 0);
  header.writeInt32BE(body.length + 4, 8);
  header.writeUInt32BE(crc32(body), 12);
  return Buffer.concat([header, body]);
}

function set(outer: MessageInput, inner: Buffer, codec: CompressionType = CompressionType.GZIP): Buffer {
  return message({ ...outer, attributes: (outer.attributes ?? 0) | codec, value: compress(codec, inner) });
}

function outcome(bytes: Buffer): string | (readonly [number, number])[] {
  try {
    return readLegacyRecords(bytes, 0).map((record) => [record.offset, record.timestamp] as const);
  } catch (error) {
    if (error instanceof KafkaError) return errorName(error.code);
    throw error;
  }
}

const inner = (magic: number, offsets: readonly number[]): Buffer =>
  Buffer.concat(offsets.map((offset) => message({ offset, magic, timestamp: 100 + offset, value: Buffer.from('v') })));

describe('offsets in a compressed set', () => {
  test('magic 1: relative, the outer one is the last', () => {
    expect(outcome(set({ offset: 1004 }, inner(1, [0, 1, 4])))).toEqual([[1000, 100], [1001, 101], [1004, 104]]);
  });
  test('magic 1: an outer offset of 0, as some librdkafka wrote it, leaves them as they are', () => {
    expect(outcome(set({ offset: 0 }, inner(1, [0, 1, 2])))).toEqual([[0, 100], [1, 101], [2, 102]]);
  });
  test('magic 1: an outer offset below the last inner one', () => {
    expect(outcome(set({ offset: 1 }, inner(1, [0, 1, 2])))).toBe('INVALID_RECORD');
  });
  test('magic 0: absolute', () => {
    expect(outcome(set({ offset: 9, magic: 0 }, inner(0, [7, 9])))).toEqual([[7, -1], [9, -1]]);
  });
});

describe('timestamps', () => {
  test('log append time of the set is everybody\'s', () => {
    expect(outcome(set({ offset: 1, attributes: 8, timestamp: 555 }, inner(1, [0, 1])))).toEqual([[0, 555], [1, 555]]);
  });
  test('create time is each one\'s own', () => {
    expect(outcome(set({ offset: 1, timestamp: 555 }, inner(1, [0, 1])))).toEqual([[0, 100], [1, 101]]);
  });
  test('a plain message\'s own, whichever type', () => {
    expect(outcome(message({ offset: 3, attributes: 8, timestamp: 77 }))).toEqual([[3, 77]]);
  });
});

describe('what is refused', () => {
  test.each([
    ['an empty set', set({ offset: 0 }, Buffer.alloc(0)), 'INVALID_RECORD'],
    ['a set without value', message({ offset: 0, attributes: 1, value: null }), 'INVALID_RECORD'],
    ['a set inside a set', set({ offset: 0 }, set({ offset: 0 }, inner(1, [0]))), 'INVALID_RECORD'],
    ['zstd, which came later', set({ offset: 0 }, inner(1, [0]), CompressionType.ZSTD), 'INVALID_RECORD'],
    ['magic 2 inside a set', set({ offset: 0 }, message({ offset: 0, magic: 2 })), 'INVALID_RECORD'],
    ['an inner message that is too short', set({ offset: 0 }, Buffer.concat([Buffer.alloc(11), Buffer.from([13]), Buffer.alloc(40)])), 'CORRUPT_MESSAGE'],
    ['a payload that does not decompress', message({ offset: 0, attributes: 1, value: Buffer.from('nonsense') }), 'UNKNOWN_SERVER_ERROR'],
    ['a key beyond the message', (() => {
      const bytes = message({ offset: 0, value: Buffer.from('v') });
      bytes.writeInt32BE(50, 26);
      return bytes;
    })(), 'CORRUPT_MESSAGE'],
  ])('%s', (_name, bytes, expected) => expect(outcome(bytes)).toBe(expected));

  test('a set that is cut short inside gives what is whole', () => {
    const payload = inner(1, [0, 1]);
    expect(outcome(set({ offset: 0 }, payload.subarray(0, -1)))).toEqual([[0, 100]]);
    expect(outcome(set({ offset: 0 }, Buffer.concat([payload, Buffer.alloc(5)])))).toEqual([[0, 100], [1, 101]]);
  });

  test('every truncation and every changed byte ends in records or in a code', () => {
    for (const bytes of [message({ offset: 1, key: Buffer.from('k'), value: Buffer.from('v') }), set({ offset: 1 }, inner(1, [0, 1])), set({ offset: 1, magic: 0 }, inner(0, [0, 1]))]) {
      for (let at = 16; at < bytes.length; at++) {
        const shorter = Buffer.from(bytes.subarray(0, at));
        shorter.writeInt32BE(at - 12, 8);
        if (at >= 26) expect(outcome(shorter)).toBeDefined();
        for (const bits of [0x01, 0x80, 0xff]) {
          const damaged = Buffer.from(bytes);
          damaged[at]! ^= bits;
          if (at > 16) expect(outcome(damaged)).toBeDefined();
          expect(isIntact(damaged, 0)).toBe(false);
        }
      }
    }
  });
});

describe('finding batches of any magic', () => {
  test('walks over a mixture', () => {
    const parts = [message({ offset: 0, magic: 0 }), message({ offset: 1, timestamp: 5 }), set({ offset: 3 }, inner(1, [0, 1]))];
    const log = Buffer.concat([...parts, parts[0]!.subarray(0, -1)]);
    const offsets: number[] = [];
    let at = 0;
    for (let size = 0; (size = nextBatchBytes(log, at, log.length)) > 0; at += size) offsets.push(...recordsAt(log, at).map((record) => record.offset));
    expect(offsets).toEqual([0, 1, 2, 3]);
    expect(nextBatchBytes(log, at, log.length)).toBe(INCOMPLETE);
  });

  test('zeros begin no batch, and neither does a length that nobody writes', () => {
    expect(nextBatchBytes(Buffer.alloc(100), 0, 100)).toBe(CORRUPT);
    expect(nextBatchBytes(Buffer.alloc(100), 0, 11)).toBe(INCOMPLETE);
    expect(nextBatchBytes(Buffer.alloc(100, 0xff), 0, 100)).toBe(CORRUPT);
    const huge = message({ offset: 0 });
    huge.writeInt32BE(0x7fff_ffff, 8);
    expect(nextBatchBytes(huge, 0, huge.length)).toBe(INCOMPLETE);
  });

  test('a checksum that does not match', () => {
    const bytes = message({ offset: 0 });
    expect(isIntact(bytes, 0)).toBe(true);
    bytes.writeUInt32BE(1, 12);
    expect(isIntact(bytes, 0)).toBe(false);
  });
});
