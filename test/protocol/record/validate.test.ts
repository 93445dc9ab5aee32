/**
 * What is refused of produced records, with which code. Every expectation that names a code was asked of Apache Kafka 4.3.1 with a produce request of
 * the same bytes; where ours is another, the case says so.
 */
import { describe, expect, test } from 'vitest';
import { ErrorCode, errorName } from '../../../protocol/errors.ts';
import * as batch from '../../../protocol/record/batch.ts';
import { buildBatch, wrapRecords, type BatchInput, type RecordInput } from '../../../protocol/record/build.ts';
import { compress } from '../../../protocol/record/compression.ts';
import { storedForm } from '../../../protocol/record/produced.ts';
import { readBatch, readRecords } from '../../../protocol/record/records.ts';
import { describeRejections } from '../../../protocol/record/rejections.ts';
import { DEFAULT_PRODUCE_RULES, ProducedBatch, validateProduced, type ProduceRules } from '../../../protocol/record/validate.ts';

const NOW = 1_760_000_000_000;
const { NONE, GZIP, SNAPPY, LZ4, ZSTD } = batch.CompressionType;
const CODECS = [NONE, GZIP, SNAPPY, LZ4, ZSTD] as const;
const CREATE_TIME = batch.TimestampType.CREATE_TIME;
const LOG_APPEND_TIME = batch.TimestampType.LOG_APPEND_TIME;

const found = new ProducedBatch();

function verdict(bytes: Buffer, rules: Partial<ProduceRules> = {}, apiVersion = 13): string {
  return errorName(validateProduced(bytes, 0, bytes.length, apiVersion, { ...DEFAULT_PRODUCE_RULES, ...rules }, NOW, found));
}

function some(count: number, change: (i: number) => RecordInput = () => ({})): RecordInput[] {
  return Array.from({ length: count }, (_, i) => ({ timestamp: NOW + i, key: Buffer.from(`k${i}`), value: Buffer.from(`value ${i}`), ...change(i) }));
}

function good(change: Partial<BatchInput> = {}): Buffer {
  return buildBatch({ records: some(6), ...change });
}

/** The batch with something written over it, and the checksum of that. */
function changed(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  batch.updateCrc(copy, 0);
  return copy;
}

describe('the frame', () => {
  const bytes = good();
  const cases: readonly (readonly [name: string, records: Buffer, expected: string, apiVersion?: number])[] = [
    ['one batch', bytes, 'NONE'],
    ['one batch, and less than another after it', Buffer.concat([bytes, Buffer.alloc(3)]), 'NONE'],
    ['one batch, and the beginning of another', Buffer.concat([bytes, bytes.subarray(0, 60)]), 'NONE'],
    ['two batches', Buffer.concat([bytes, bytes]), 'INVALID_RECORD'],
    ['one batch, and zeros', Buffer.concat([bytes, Buffer.alloc(14)]), 'CORRUPT_MESSAGE'],
    ['nothing', Buffer.alloc(0), 'INVALID_RECORD'],
    ['a batch that is cut short', bytes.subarray(0, -1), 'INVALID_RECORD'],
    ['a length below any message\'s', Buffer.concat([Buffer.alloc(11), Buffer.from([13]), Buffer.alloc(50)]), 'CORRUPT_MESSAGE'],
    ['a negative length', Buffer.concat([Buffer.alloc(8), Buffer.from('ffffffff', 'hex'), Buffer.alloc(50)]), 'CORRUPT_MESSAGE'],
    ['magic 3', changed(bytes, (b) => b.writeInt8(3, batch.MAGIC_AT)), 'CORRUPT_MESSAGE'],
    ['magic -1', changed(bytes, (b) => b.writeInt8(-1, batch.MAGIC_AT)), 'CORRUPT_MESSAGE'],
    ['magic 1', Buffer.from('000000000000000000000019a36af217010000000199c82cc000ffffffff00000003010200', 'hex'), 'INVALID_RECORD'],
    ['zstd before version 7', good({ compression: ZSTD }), 'UNSUPPORTED_COMPRESSION_TYPE', 6],
    ['zstd in version 7', good({ compression: ZSTD }), 'NONE', 7],
    ['lz4 in version 3', good({ compression: LZ4 }), 'NONE', 3],
  ];
  for (const [name, records, expected, apiVersion] of cases) test(name, () => expect(verdict(records, {}, apiVersion)).toBe(expected));

  test('a batch that is too short for its header: without a producer id Kafka stumbles, else it is corrupt', () => {
    for (let length = 26; length < 61; length++) {
      const short = Buffer.from(bytes.subarray(0, length));
      short.writeInt32BE(length - 12, batch.BATCH_LENGTH_AT);
      expect(verdict(short)).toBe(length < 51 ? 'UNKNOWN_SERVER_ERROR' : 'CORRUPT_MESSAGE');
    }
  });

  test('somewhere inside a frame', () => {
    const frame = Buffer.concat([Buffer.alloc(100, 0xaa), bytes, Buffer.alloc(100, 0xbb)]);
    expect(validateProduced(frame, 100, 100 + bytes.length, 13, DEFAULT_PRODUCE_RULES, NOW, found)).toBe(ErrorCode.NONE);
    expect([found.sizeInBytes, found.recordCount, found.maxTimestamp]).toEqual([bytes.length, 6, NOW + 5]);
  });
});

describe.each(CODECS.map((codec) => [codec] as const))('the header, codec %i', (codec) => {
  const bytes = good({ compression: codec });
  const counted = (count: number, lastOffsetDelta: number): Buffer => changed(bytes, (b) => {
    b.writeInt32BE(count, batch.RECORD_COUNT_AT);
    b.writeInt32BE(lastOffsetDelta, batch.LAST_OFFSET_DELTA_AT);
  });
  const cases: readonly (readonly [string, Buffer, string])[] = [
    ['a base offset other than 0', changed(bytes, (b) => batch.setBaseOffset(b, 0, 5)), 'INVALID_RECORD'],
    ['any leader epoch', changed(bytes, (b) => batch.setPartitionLeaderEpoch(b, 0, 99)), 'NONE'],
    ['a wrong checksum', (() => {
      const copy = Buffer.from(bytes);
      copy[copy.length - 1]! ^= 1;
      return copy;
    })(), 'CORRUPT_MESSAGE'],
    ['one record too few', counted(5, 4), 'INVALID_RECORD'],
    ['one record too many', counted(7, 6), 'INVALID_RECORD'],
    ['a count that contradicts the last offset', counted(7, 5), 'INVALID_RECORD'],
    ['a last offset that contradicts the count', counted(6, 6), 'INVALID_RECORD'],
    ['no records', counted(0, -1), 'INVALID_RECORD'],
    ['no records, and one offset', counted(0, 0), 'INVALID_RECORD'],
    ['-1 records', counted(-1, -2), 'INVALID_RECORD'],
    ['2^31-1 records', counted(2 ** 31 - 1, 2 ** 31 - 2), 'INVALID_RECORD'],
    ['a control batch', good({ compression: codec, isControl: true }), 'INVALID_RECORD'],
    ['a producer without a sequence', good({ compression: codec, producerId: 5, producerEpoch: 0 }), 'INVALID_RECORD'],
    ['a producer with a sequence', good({ compression: codec, producerId: 5, producerEpoch: 0, baseSequence: 0 }), 'NONE'],
    ['a negative producer id is none', good({ compression: codec, producerId: -5, producerEpoch: 0 }), 'NONE'],
    // Kafka takes it; but no broker hands out such ids, and as a number it could not be told from others.
    ['a producer id beyond 2^53', good({ compression: codec, producerId: 2n ** 63n - 1n, producerEpoch: 0, baseSequence: 0 }), 'INVALID_RECORD'],
    ['attributes that nobody knows', changed(bytes, (b) => b.writeInt16BE(0x7f80 | codec, batch.ATTRIBUTES_AT)), 'NONE'],
    ['codecs that nobody knows', changed(bytes, (b) => b.writeInt16BE(5, batch.ATTRIBUTES_AT)), 'UNKNOWN_SERVER_ERROR'],
  ];
  test.each(cases)('%s', (_name, records, expected) => expect(verdict(records)).toBe(expected));

  test('max.message.bytes counts the whole batch', () => {
    expect(verdict(bytes, { batchBytesMax: bytes.length })).toBe('NONE');
    expect(verdict(bytes, { batchBytesMax: bytes.length - 1 })).toBe('MESSAGE_TOO_LARGE');
  });
});

describe('the records', () => {
  const payload = good().subarray(batch.RECORD_BATCH_OVERHEAD);
  const around = (inside: Buffer, compression: batch.CompressionType): Buffer => wrapRecords(inside, 6, { compression, baseTimestamp: NOW, maxTimestamp: NOW + 5 });
  const overlong = Buffer.concat([Buffer.alloc(5, 0xff), Buffer.from([0]), payload]);

  test.each(CODECS)('codec %i: damaged records', (codec) => {
    expect(verdict(around(payload, codec))).toBe('NONE');
    for (const damaged of [Buffer.concat([payload, Buffer.alloc(1)]), payload.subarray(0, -1), Buffer.alloc(0), overlong]) {
      // An overlong length in an uncompressed batch is UNKNOWN_SERVER_ERROR in Kafka, an IllegalArgumentException that it forgot.
      expect(verdict(around(damaged, codec))).toBe('INVALID_RECORD');
    }
    // Kafka does not look at the length of a compressed record, and stores what no consumer can read.
    const wrongLength = Buffer.from(payload);
    wrongLength[0]! -= 2;
    expect(verdict(around(wrongLength, codec))).toBe('INVALID_RECORD');
  });

  test('a payload that does not decompress', () => {
    for (const codec of [GZIP, SNAPPY, LZ4, ZSTD]) {
      for (const other of CODECS) {
        if (other === codec || other === NONE) continue;
        const claims = changed(around(payload, other), (b) => b.writeInt16BE(codec, batch.ATTRIBUTES_AT));
        expect(verdict(claims)).toBe('UNKNOWN_SERVER_ERROR');
      }
    }
  });

  test('a wrong gzip trailer: the records that come of it are met before it is', () => {
    const compressed = compress(GZIP, payload);
    const wrap = (bytes: Buffer): Buffer => changed(wrapRecords(bytes, 6, { baseTimestamp: NOW, maxTimestamp: NOW + 5 }), (b) => b.writeInt16BE(GZIP, batch.ATTRIBUTES_AT));
    const soundRecords = Buffer.from(compressed);
    soundRecords[soundRecords.length - 8]! ^= 1;
    expect(verdict(wrap(soundRecords))).toBe('UNKNOWN_SERVER_ERROR');
    const wrongRecords = compress(GZIP, Buffer.concat([payload.subarray(0, -1), Buffer.from([7])]));
    wrongRecords[wrongRecords.length - 8]! ^= 1;
    expect(verdict(wrap(wrongRecords))).toBe('INVALID_RECORD');
  });

  test('a bomb is too large, which makes clients split the batch (Kafka has no such limit)', () => {
    const bomb = good({ compression: ZSTD, records: [{ timestamp: NOW, value: Buffer.alloc(8_000_000) }] });
    expect(verdict(bomb, { decompression: { outputBytesMax: 4_000_000, ratioMax: 1e6 } })).toBe('MESSAGE_TOO_LARGE');
  });

  test('gaps between offsets: taken uncompressed, closed in another codec, and refused where a compressed batch keeps its codec', () => {
    const records = some(3, (i) => ({ offset: 2 * i }));
    expect(verdict(good({ records, lastOffsetDelta: 2 }))).toBe('NONE');
    expect(verdict(good({ records, lastOffsetDelta: 2, compression: LZ4 }))).toBe('UNKNOWN_SERVER_ERROR');
    const rules = { ...DEFAULT_PRODUCE_RULES, compression: ZSTD };
    const bytes = good({ records, lastOffsetDelta: 2, compression: LZ4 });
    expect(verdict(bytes, rules)).toBe('NONE');
    expect(readRecords(storedForm(bytes, 0, rules, NOW, found), 0).map((record) => record.offset)).toEqual([0, 1, 2]);
  });

  test('an LZ4 frame of linked blocks, which we could read and Java consumers cannot', () => {
    const linked = changed(around(payload, LZ4), (b) => {
      b[batch.RECORD_BATCH_OVERHEAD + 4]! &= ~0x20;
    });
    expect(verdict(linked)).toBe('UNKNOWN_SERVER_ERROR');
  });

  test.each([2 ** 6, 2 ** 13, 2 ** 20])('lengths of more bytes: values of %i', (bytes) => {
    expect(verdict(good({ records: [{ timestamp: NOW, value: Buffer.alloc(bytes), headers: [{ key: 'x'.repeat(200), value: Buffer.alloc(300) }] }] }), { batchBytesMax: 2 ** 30 })).toBe('NONE');
  });

  test('timestamps and offsets of every width', () => {
    const records = some(9000, (i) => ({ timestamp: NOW - 2 ** (i % 40), key: null }));
    expect(verdict(good({ records }))).toBe('NONE');
    expect(found.maxTimestamp).toBe(NOW - 1);
    expect(found.hasSequentialOffsets).toBe(true);
  });
});

describe.each(CODECS.map((codec) => [codec] as const))('the rules of a topic, codec %i', (codec) => {
  const make = (change: (i: number) => RecordInput, more: Partial<BatchInput> = {}): Buffer => buildBatch({ records: some(4, change), compression: codec, ...more });
  const refused = (): [number, string][] => found.rejections.map(({ batchIndex, reason }) => [batchIndex, reason]);

  test('keys', () => {
    const bytes = make((i) => (i % 2 === 0 ? {} : { key: null }));
    expect(verdict(bytes)).toBe('NONE');
    expect(verdict(bytes, { keysRequired: true })).toBe('INVALID_RECORD');
    expect(refused()).toEqual([[1, 'no key'], [3, 'no key']]);
    expect(verdict(make(() => ({ key: Buffer.alloc(0) })), { keysRequired: true })).toBe('NONE');
    expect(found.rejections).toEqual([]);
  });

  test('the range of timestamps, with its edges', () => {
    const bounds = { timestampBeforeMaxMs: 1000, timestampAfterMaxMs: 500 };
    for (const [offset, expected] of [[-1000, 'NONE'], [-1001, 'INVALID_TIMESTAMP'], [500, 'NONE'], [501, 'INVALID_TIMESTAMP']] as const) {
      expect(verdict(make((i) => (i === 2 ? { timestamp: NOW + offset } : { timestamp: NOW })), bounds)).toBe(expected);
      expect(refused()).toEqual(expected === 'NONE' ? [] : [[2, 'timestamp out of range']]);
    }
    expect(verdict(make(() => ({ timestamp: -1 })), bounds)).toBe('NONE');
    expect(verdict(make((i) => ({ timestamp: i === 0 ? -1 : NOW })), bounds)).toBe('NONE');
    expect(verdict(make(() => ({ timestamp: -2 })), bounds)).toBe('INVALID_TIMESTAMP');
    expect(verdict(make(() => ({ timestamp: 0 })))).toBe('NONE');
    expect(verdict(make(() => ({ timestamp: NOW + 3_600_001 })))).toBe('INVALID_TIMESTAMP');
    expect(verdict(make(() => ({ timestamp: NOW + 1e9 })), { timestampType: LOG_APPEND_TIME })).toBe('NONE');
  });

  test('what no clock shows is out of any range: a number could not carry it further', () => {
    const any = { timestampBeforeMaxMs: Infinity, timestampAfterMaxMs: 2 ** 63 };
    for (const timestamp of [2n ** 63n - 1n, 2n ** 53n, -(2n ** 63n)]) {
      expect(verdict(buildBatch({ records: [{ timestamp }], compression: codec }), any)).toBe('INVALID_TIMESTAMP');
    }
    expect(verdict(buildBatch({ records: [{ timestamp: 2 ** 52 }], compression: codec }), any)).toBe('NONE');
  });

  test('a key is missed before a timestamp is looked at, and one bad timestamp decides', () => {
    const bytes = make((i) => ({ key: i === 1 || i === 3 ? null : Buffer.from('k'), timestamp: i === 1 || i === 2 ? NOW + 4e6 : NOW }));
    expect(verdict(bytes, { keysRequired: true })).toBe('INVALID_TIMESTAMP');
    expect(refused()).toEqual([[1, 'no key'], [2, 'timestamp out of range'], [3, 'no key']]);
  });

  test('log append time is not a producer\'s to claim, except that Kafka overlooks it where the time is in range', () => {
    const claims = (maxTimestamp: number): Buffer => make(() => ({}), { timestampType: LOG_APPEND_TIME, maxTimestamp });
    expect(verdict(claims(NOW), { timestampType: LOG_APPEND_TIME })).toBe('INVALID_TIMESTAMP');
    expect(refused()).toEqual([0, 1, 2, 3].map((i) => [i, 'log append time']));
    expect(verdict(claims(NOW))).toBe('NONE');
    expect(found.maxTimestamp).toBe(NOW);
    expect(verdict(claims(NOW + 4e6))).toBe('INVALID_TIMESTAMP');
    expect(verdict(claims(-1))).toBe('INVALID_TIMESTAMP');
  });

  test('the greatest timestamp is the records\', whatever the header says', () => {
    expect(verdict(make(() => ({}), { maxTimestamp: NOW + 1e12 }))).toBe('NONE');
    expect(found.maxTimestamp).toBe(NOW + 3);
  });
});

describe('trusting the header of compressed batches', () => {
  const rules = { compressedRecords: 'trusted' } as const;
  const lies = changed(good({ compression: LZ4 }), (b) => {
    b.writeInt32BE(9, batch.RECORD_COUNT_AT);
    b.writeInt32BE(8, batch.LAST_OFFSET_DELTA_AT);
  });

  test('does not look inside', () => {
    expect(verdict(lies)).toBe('INVALID_RECORD');
    expect(verdict(lies, rules)).toBe('NONE');
    expect(found.payload).toBeUndefined();
  });

  test('looks inside all the same where keys or another codec are asked for, or a time that is not a producer\'s', () => {
    expect(verdict(lies, { ...rules, keysRequired: true })).toBe('INVALID_RECORD');
    expect(verdict(lies, { ...rules, compression: ZSTD })).toBe('INVALID_RECORD');
    expect(verdict(changed(lies, (b) => b.writeInt16BE(LZ4 | batch.TIMESTAMP_TYPE_MASK, batch.ATTRIBUTES_AT)), rules)).toBe('INVALID_RECORD');
  });

  test('checks the timestamps that the header has', () => {
    expect(verdict(good({ compression: LZ4, records: some(3, () => ({ timestamp: NOW + 4e6 })) }), rules)).toBe('INVALID_TIMESTAMP');
    expect(verdict(good({ compression: LZ4, records: some(3, () => ({ timestamp: NOW - 4e6 })) }), { ...rules, timestampBeforeMaxMs: 1000 })).toBe('INVALID_TIMESTAMP');
    expect(verdict(good({ compression: LZ4, records: some(3, () => ({ timestamp: -1 })) }), { ...rules, timestampBeforeMaxMs: 1000 })).toBe('NONE');
    expect(verdict(good({ compression: LZ4, records: some(3, () => ({ timestamp: NOW + 4e6 })) }), { ...rules, timestampType: LOG_APPEND_TIME })).toBe('NONE');
  });

  test('does not trust what is not compressed', () => {
    expect(verdict(changed(good(), (b) => {
      b.writeInt32BE(9, batch.RECORD_COUNT_AT);
      b.writeInt32BE(8, batch.LAST_OFFSET_DELTA_AT);
    }), rules)).toBe('INVALID_RECORD');
  });
});

describe('the form in which a batch is stored', () => {
  const stored = (bytes: Buffer, change: Partial<ProduceRules> = {}): Buffer => {
    const rules = { ...DEFAULT_PRODUCE_RULES, ...change };
    expect(errorName(validateProduced(bytes, 0, bytes.length, 13, rules, NOW, found))).toBe('NONE');
    const batchBytes = storedForm(bytes, 0, rules, NOW, found);
    expect(batch.crc(batchBytes, 0)).toBe(batch.computeCrc(batchBytes, 0));
    return batchBytes;
  };

  test('the very bytes where nothing has to change, without what followed them', () => {
    const bytes = Buffer.concat([good(), Buffer.alloc(5)]);
    const result = stored(bytes);
    expect(result.buffer).toBe(bytes.buffer);
    expect(result.equals(good())).toBe(true);
  });

  test('a greatest timestamp that was wrong is put right', () => {
    const result = stored(good({ maxTimestamp: NOW + 1e12 }));
    expect(batch.maxTimestamp(result, 0)).toBe(NOW + 5);
    expect(result.equals(good())).toBe(true);
  });

  test.each(CODECS)('log append time, codec %i', (codec) => {
    const result = readBatch(stored(good({ compression: codec }), { timestampType: LOG_APPEND_TIME }), 0);
    expect(result).toMatchObject({ timestampType: LOG_APPEND_TIME, maxTimestamp: NOW, compressionType: codec });
    expect(result.records.every((record) => record.timestamp === NOW)).toBe(true);
  });

  test.each(CODECS.flatMap((from) => CODECS.map((to) => [from, to] as const)))('from codec %i to %i', (from, to) => {
    const input = { producerId: 12, producerEpoch: 3, baseSequence: 7, isTransactional: true, compression: from };
    const result = stored(good(input), { compression: to });
    const { records, ...header } = readBatch(result, 0);
    expect(header).toMatchObject({ compressionType: to, producerId: 12, producerEpoch: 3, baseSequence: 7, isTransactional: true, maxTimestamp: NOW + 5, timestampType: CREATE_TIME });
    expect(records).toStrictEqual(readRecords(good(input), 0));
    if (to === NONE) expect(result.equals(good({ ...input, compression: NONE }))).toBe(true);
  });

  test('a claimed log append time becomes the records\' own in another codec', () => {
    const result = stored(good({ timestampType: LOG_APPEND_TIME, maxTimestamp: NOW + 77 }), { compression: ZSTD });
    expect(readBatch(result, 0)).toMatchObject({ timestampType: CREATE_TIME, maxTimestamp: NOW + 77 });
    expect(readRecords(result, 0).every((record) => record.timestamp === NOW + 77)).toBe(true);
  });

  test('times that nothing could carry are gone under log append time, whatever the codec', () => {
    for (const from of CODECS) {
      const bytes = good({ compression: from, records: [{ timestamp: 2n ** 63n - 1n }, { timestamp: 0 }, { timestamp: -(2n ** 63n) }] });
      for (const to of CODECS) {
        const result = stored(Buffer.from(bytes), { timestampType: LOG_APPEND_TIME, compression: to });
        expect(readRecords(result, 0).map((record) => record.timestamp)).toEqual([NOW, NOW, NOW]);
      }
    }
  });

  test('nothing of a batch is held when it is stored', () => {
    stored(good({ compression: GZIP }), { compression: ZSTD });
    expect(found.payload).toBeUndefined();
    stored(good({ compression: GZIP }));
    expect(found.payload).toBeUndefined();
  });

  test('the level of the codec', () => {
    const records = [{ timestamp: NOW, value: Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * i) % 97)) }];
    const size = (compressionLevel: number): number => stored(good({ records }), { compression: GZIP, compressionLevel }).length;
    expect(size(9)).toBeLessThan(size(1));
  });
});

describe('the words for refused records', () => {
  const rules = { ...DEFAULT_PRODUCE_RULES, keysRequired: true, timestampBeforeMaxMs: 1000, timestampAfterMaxMs: 2000 };
  const describeOf = (bytes: Buffer, change: Partial<ProduceRules> = {}): ReturnType<typeof describeRejections> => {
    const all = { ...rules, ...change };
    const code = validateProduced(bytes, 0, bytes.length, 13, all, NOW, found);
    return describeRejections(found, code, 'orders-7', all, NOW);
  };

  test('keys: the first three are in the message of the batch', () => {
    const noKey = 'Compacted topic cannot accept message without key in topic partition orders-7';
    expect(describeOf(good({ records: some(5, (i) => (i === 2 ? {} : { key: null })) }))).toEqual({
      errorMessage: 'One or more records have been rejected due to 4 record errors in total, and only showing the first three errors at most: '
        + `[RecordError(batchIndex=0, message='${noKey}'), RecordError(batchIndex=1, message='${noKey}'), RecordError(batchIndex=3, message='${noKey}')]`,
      recordErrors: [0, 1, 3, 4].map((batchIndex) => ({ batchIndex, batchIndexErrorMessage: noKey })),
    });
  });

  test('timestamps: the range is a Java long\'s, which goes round', () => {
    const bytes = good({ records: some(2, (i) => ({ timestamp: NOW + 5000 * i })) });
    const text = (least: string, greatest: string): object => ({
      errorMessage: 'One or more records have been rejected due to invalid timestamp',
      recordErrors: [{
        batchIndex: 1,
        batchIndexErrorMessage: `Timestamp ${NOW + 5000} of message with offset 1 is out of range. The timestamp should be within [${least}, ${greatest}]`,
      }],
    });
    expect(describeOf(bytes)).toEqual(text(String(NOW - 1000), String(NOW + 2000)));
    expect(describeOf(bytes, { timestampBeforeMaxMs: Infinity })).toEqual(text(String(BigInt(NOW) - (2n ** 63n - 1n)), String(NOW + 2000)));
  });

  test('log append time: the record as Kafka\'s class shows it', () => {
    const claims = (compression: batch.CompressionType): Buffer => good({ records: some(1), timestampType: LOG_APPEND_TIME, maxTimestamp: NOW, compression });
    const text = (record: string): object => [{
      batchIndex: 0,
      batchIndexErrorMessage: `Invalid timestamp type in message ${record}(offset=0, timestamp=${NOW}, key=2 bytes, value=7 bytes). `
        + 'Producer should not set timestamp type to LogAppendTime.',
    }];
    expect(describeOf(claims(NONE), { timestampType: LOG_APPEND_TIME }).recordErrors).toEqual(text('DefaultRecord'));
    expect(describeOf(claims(GZIP), { timestampType: LOG_APPEND_TIME }).recordErrors).toEqual(text('PartialDefaultRecord'));
    expect(describeOf(claims(GZIP), { timestampType: LOG_APPEND_TIME, compression: LZ4 }).recordErrors).toEqual(text('DefaultRecord'));
  });
});

test('a good batch costs no memory', () => {
  const bytes = good({ records: some(100) });
  const round = (): void => {
    if (validateProduced(bytes, 0, bytes.length, 13, DEFAULT_PRODUCE_RULES, NOW, found) !== ErrorCode.NONE) throw new Error('refused');
  };
  for (let i = 0; i < 20_000; i++) round();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 20_000; i++) round();
  // 2 million records. What is left per batch is the view of it that the checksum needs.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000 * 400);
});
