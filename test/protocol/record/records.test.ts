/** Records in and out of batches: building, the cursor over them, and what the cursor refuses. */
import { describe, expect, test } from 'vitest';
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts';
import * as batch from '../../../protocol/record/batch.ts';
import { buildBatch, wrapRecords } from '../../../protocol/record/build.ts';
import { ControlRecordType, decodeControlType, encodeControlKey } from '../../../protocol/record/control.ts';
import { readBatch, RecordCursor, readRecords } from '../../../protocol/record/records.ts';
import { RecordWalk } from '../../../protocol/record/walk.ts';
import { sizeOfVarint, sizeOfVarlong, VarintReader, writeVarint, writeVarlong } from '../../../protocol/record/varint.ts';

function codeOf(run: () => unknown): number {
  try {
    run();
    return ErrorCode.NONE;
  } catch (error) {
    if (error instanceof KafkaError) return error.code;
    throw error;
  }
}

/** A batch around these bytes of records, whatever they are. */
function around(payload: Buffer, count: number): Buffer {
  return wrapRecords(payload, count, { baseOffset: 10, baseTimestamp: 1000, maxTimestamp: 1000 });
}

describe('varints', () => {
  const values = [0, -1, 1, 63, -64, 64, -65, 8191, -8192, 8192, 2 ** 20 - 1, 2 ** 20, 2 ** 27 - 1, 2 ** 27, 2 ** 31 - 1, -(2 ** 31)];
  const longs = [...values, 2 ** 34, -(2 ** 34) - 1, 2 ** 49, 2 ** 52, -(2 ** 52), 2 ** 52 + 1, 2 ** 53 - 1, -(2 ** 53) + 1];

  test.each(values)('%i as a varint', (value) => {
    const buffer = Buffer.alloc(12, 0xff);
    const end = writeVarint(buffer, value, 3);
    expect(end - 3).toBe(sizeOfVarint(value));
    const reader = Object.assign(new VarintReader(), { buffer, position: 3, end });
    expect(reader.varint()).toBe(value);
    expect(reader.position).toBe(end);
  });

  test.each(longs)('%i as a varlong', (value) => {
    const buffer = Buffer.alloc(16, 0xff);
    const end = writeVarlong(buffer, value, 3);
    expect(end - 3).toBe(sizeOfVarlong(value));
    expect(writeVarlong(Buffer.alloc(16), BigInt(value), 3)).toBe(end);
    const reader = Object.assign(new VarintReader(), { buffer, position: 3, end });
    expect(reader.varlong()).toBe(value);
    expect(reader.position).toBe(end);
  });

  test('beyond a double they saturate', () => {
    for (const [value, read] of [[2n ** 63n - 1n, Number.MAX_SAFE_INTEGER], [-(2n ** 63n), Number.MIN_SAFE_INTEGER]] as const) {
      const buffer = Buffer.alloc(10);
      expect(writeVarlong(buffer, value, 0)).toBe(10);
      expect(Object.assign(new VarintReader(), { buffer, position: 0, end: 10 }).varlong()).toBe(read);
    }
  });

  test('longer than needed is read, longer than possible and cut short are not', () => {
    const reading = (hex: string): VarintReader => {
      const buffer = Buffer.from(hex, 'hex');
      return Object.assign(new VarintReader(), { buffer, position: 0, end: buffer.length });
    };
    expect(reading('8280808000').varint()).toBe(1);
    expect(reading('82808080808080808000').varlong()).toBe(1);
    expect(codeOf(() => reading('828080808000').varint())).toBe(ErrorCode.INVALID_RECORD);
    expect(codeOf(() => reading('8280808080808080808000').varlong())).toBe(ErrorCode.INVALID_RECORD);
    for (const cut of ['', '82', '82808080']) {
      expect(codeOf(() => reading(cut).varint())).toBe(ErrorCode.INVALID_RECORD);
      expect(codeOf(() => reading(cut).varlong())).toBe(ErrorCode.INVALID_RECORD);
    }
  });
});

describe('building', () => {
  test('what is left out has Kafka\'s defaults', () => {
    const built = buildBatch({ records: [{ value: Buffer.from('v') }] });
    expect(built.toString('hex')).toBe(
      '0000000000000000' + '00000039' + 'ffffffff' + '02' + built.subarray(17, 21).toString('hex') + '0000' + '00000000'
      + 'ffffffffffffffff' + 'ffffffffffffffff' + 'ffffffffffffffff' + 'ffff' + 'ffffffff' + '00000001'
      + '0e' + '00' + '00' + '00' + '01' + '0276' + '00',
    );
    expect(batch.computeCrc(built, 0)).toBe(batch.crc(built, 0));
  });

  test('offsets go on from the one before unless they are given', () => {
    const built = buildBatch({ baseOffset: 100, records: [{}, {}, { offset: 110 }, {}] });
    expect(readRecords(built, 0).map((record) => record.offset)).toEqual([100, 101, 110, 111]);
    expect(batch.lastOffset(built, 0)).toBe(111);
    expect(batch.baseOffset(buildBatch({ records: [{ offset: 7 }] }), 0)).toBe(7);
  });

  test('the greatest timestamp is found, the first is the base', () => {
    const built = buildBatch({ records: [{ timestamp: 50 }, { timestamp: 70 }, { timestamp: 20 }] });
    expect([batch.baseTimestamp(built, 0), batch.maxTimestamp(built, 0)]).toEqual([50, 70]);
    expect(readRecords(built, 0).map((record) => record.timestamp)).toEqual([50, 70, 20]);
  });

  test('header keys beyond ASCII, null and empty values', () => {
    const headers = [
      { key: 'žluťoučký \u{1F68A}\uFEFF\0', value: Buffer.from([0, 255]) },
      { key: '', value: null },
      { key: 'again', value: Buffer.alloc(0) },
      { key: 'again', value: null },
    ];
    const built = buildBatch({ records: [{ key: Buffer.alloc(0), value: null, headers }] });
    expect(readRecords(built, 0)).toStrictEqual([
      { offset: 0, timestamp: -1, sequence: -1, key: Buffer.alloc(0), value: null, headers, controlType: undefined },
    ]);
  });

  test('log append time without its time, and offsets out of reach, are mistakes of ours', () => {
    expect(() => buildBatch({ records: [{}], timestampType: batch.TimestampType.LOG_APPEND_TIME })).toThrow(/maxTimestamp/);
    expect(() => buildBatch({ records: [{ offset: 0 }, { offset: 2 ** 31 }] })).toThrow(/2\^31/);
    expect(() => buildBatch({ records: [{}], producerId: 2 ** 53 })).toThrow(RangeError);
  });

  test('a batch without records', () => {
    const built = buildBatch({ baseOffset: 5, lastOffsetDelta: 3, records: [], maxTimestamp: 99 });
    expect(readBatch(built, 0)).toMatchObject({ baseOffset: 5, lastOffset: 8, maxTimestamp: 99, records: [] });
    // The cleaner keeps the codec of a batch that it has emptied; nothing is there to decompress.
    for (const codec of Object.values(batch.CompressionType)) {
      built.writeInt16BE(codec, batch.ATTRIBUTES_AT);
      expect(readRecords(built, 0)).toEqual([]);
    }
  });

  test('control records', () => {
    for (const type of [ControlRecordType.ABORT, ControlRecordType.COMMIT, ControlRecordType.KRAFT_VOTERS]) {
      expect(decodeControlType(encodeControlKey(type))).toBe(type);
    }
    const built = buildBatch({ isControl: true, isTransactional: true, producerId: 9, producerEpoch: 0, records: [{ key: encodeControlKey(ControlRecordType.COMMIT) }] });
    expect(readBatch(built, 0)).toMatchObject({ isControl: true, isTransactional: true, producerId: 9, records: [{ controlType: ControlRecordType.COMMIT }] });
    expect(decodeControlType(Buffer.from('00000063', 'hex'))).toBe(ControlRecordType.UNKNOWN);
    expect(decodeControlType(Buffer.from('0005000100', 'hex'))).toBe(ControlRecordType.COMMIT);
    for (const bad of [null, Buffer.alloc(3), Buffer.from('ffff0001', 'hex')]) expect(decodeControlType(bad)).toBeUndefined();
  });
});

describe('the cursor', () => {
  /** A record of this body, with its length in front, or one that is off by so many bytes. */
  const recordOf = (body: string, lengthOff = 0): Buffer => {
    const bytes = Buffer.from(body, 'hex');
    const length = Buffer.alloc(5);
    return Buffer.concat([length.subarray(0, writeVarint(length, bytes.length + lengthOff, 0)), bytes]);
  };
  //           attributes timestampDelta offsetDelta key value headers
  const start = '00' + '04' + '00' + '046b6b' + '06767676';
  const record = recordOf(start + '00');

  test('says what the record is and where its parts lie', () => {
    const buffer = Buffer.concat([Buffer.alloc(5), around(record, 1), Buffer.alloc(5)]);
    const cursor = new RecordCursor();
    cursor.open(buffer, 5);
    expect(cursor.next()).toBe(true);
    expect([cursor.offset, cursor.timestamp, cursor.keyLength, cursor.valueLength, cursor.headerCount, cursor.sizeInBytes]).toEqual([10, 1002, 2, 3, 0, 12]);
    expect(cursor.buffer).toBe(buffer);
    expect(cursor.key()!.toString()).toBe('kk');
    expect(cursor.value()!.toString()).toBe('vvv');
    expect(cursor.next()).toBe(false);
  });

  test('serves one batch after the other, compressed or not', () => {
    const cursor = new RecordCursor();
    const seen: number[] = [];
    for (const compression of Object.values(batch.CompressionType)) {
      cursor.open(buildBatch({ baseOffset: 100 * compression, compression, records: [{ key: Buffer.from('k') }, { value: Buffer.from('v') }] }), 0);
      while (cursor.next()) seen.push(cursor.offset);
    }
    expect(seen).toEqual([0, 1, 100, 101, 200, 201, 300, 301, 400, 401]);
  });

  test('every negative length of a key or value is null', () => {
    expect(readRecords(around(recordOf('00' + '00' + '00' + '05' + '03' + '00'), 1), 0)).toMatchObject([{ key: null, value: null }]);
  });

  test.each([
    ['a length of 0', Buffer.from('00', 'hex')],
    ['a negative length', Buffer.from('0100', 'hex')],
    ['a length beyond the end', recordOf(start + '00', 1)],
    ['a length shorter than the fields', recordOf(start + '00', -1)],
    ['a key beyond the record', recordOf('00' + '04' + '00' + '466b6b' + '06767676' + '00')],
    ['a value beyond the record', recordOf('00' + '04' + '00' + '046b6b' + '46767676' + '00')],
    ['a negative number of headers', recordOf(start + '01')],
    ['more headers than bytes', recordOf(start + '02')],
    ['a header without key', recordOf(start + '02' + '0101')],
    ['a header without key, whose value could be read from the same byte', recordOf(start + '02' + '01')],
    ['a header key beyond the record', recordOf(start + '02' + '0801')],
    ['a header value beyond the record', recordOf(start + '02' + '0008')],
    ['bytes after the headers', recordOf(start + '00' + '00')],
    ['bytes after the last record', Buffer.concat([record, Buffer.alloc(1)])],
    ['nothing at all', Buffer.alloc(0)],
  ])('refuses %s', (_name, payload) => {
    expect(codeOf(() => readRecords(around(payload, 1), 0))).toBe(ErrorCode.INVALID_RECORD);
    // The same inside a larger buffer: what follows the batch is not the record's.
    expect(codeOf(() => readRecords(Buffer.concat([around(payload, 1), record]), 0))).toBe(ErrorCode.INVALID_RECORD);
    // And to the walk, which shares no code with the cursor.
    const walk = new RecordWalk();
    expect(codeOf(() => walk.walk(payload, 0, payload.length, 1, 1000))).toBe(ErrorCode.INVALID_RECORD);
    expect(codeOf(() => walk.walk(Buffer.concat([payload, record]), 0, payload.length, 1, 1000))).toBe(ErrorCode.INVALID_RECORD);
  });

  test('the walk takes what the cursor takes', () => {
    const walk = new RecordWalk();
    walk.walk(Buffer.concat([record, record]), 0, 2 * record.length, 2, 1000);
    expect([walk.minTimestamp, walk.maxTimestamp, walk.recordsWithoutKey, walk.hasSequentialOffsets]).toEqual([1002, 1002, 0, false]);
    // A length that is one too long, where the next record begins all the same.
    const shifted = Buffer.concat([recordOf(start + '00', 1), record]);
    expect(codeOf(() => walk.walk(shifted, 0, shifted.length, 2, 1000))).toBe(ErrorCode.INVALID_RECORD);
    for (const count of [1, 3]) expect(codeOf(() => walk.walk(Buffer.concat([record, record]), 0, 2 * record.length, count, 1000))).toBe(ErrorCode.INVALID_RECORD);
  });

  test('refuses a count that is too high at the end, and one that is too low at the last record', () => {
    const two = Buffer.concat([record, record]);
    const count = (claimed: number): number => {
      const cursor = new RecordCursor();
      const bytes = around(two, claimed);
      let read = 0;
      expect(codeOf(() => {
        for (cursor.open(bytes, 0); cursor.next(); ) read++;
      })).toBe(ErrorCode.INVALID_RECORD);
      return read;
    };
    expect(count(3)).toBe(2);
    expect(count(1)).toBe(0);
    expect(count(-1)).toBe(0);
  });

  test('refuses what does not decompress with the code that Kafka has for it', () => {
    const damaged = around(Buffer.from('not compressed'), 1);
    for (const codec of [1, 2, 3, 4, 5, 6, 7]) {
      damaged.writeInt16BE(codec, batch.ATTRIBUTES_AT);
      expect(codeOf(() => readRecords(damaged, 0))).toBe(ErrorCode.UNKNOWN_SERVER_ERROR);
    }
    const bomb = buildBatch({ compression: batch.CompressionType.GZIP, records: [{ value: Buffer.alloc(3_000_000) }] });
    expect(codeOf(() => readRecords(bomb, 0, { outputBytesMax: 2_000_000, ratioMax: 2000 }))).toBe(ErrorCode.MESSAGE_TOO_LARGE);
  });

  test('makes no object of a record', () => {
    const bytes = buildBatch({ records: Array.from({ length: 1000 }, (_, i) => ({ timestamp: 1e12 + i, key: Buffer.from(`key ${i}`), headers: [{ key: 'h' }] })) });
    const cursor = new RecordCursor();
    let total = 0;
    const round = (): void => {
      for (cursor.open(bytes, 0); cursor.next(); ) total += cursor.offset + cursor.keyLength;
    };
    for (let i = 0; i < 100; i++) round();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 200; i++) round();
    // 200,000 records: an object each would be 8 MB and more; a number that V8 boxes before it has optimised everything is 3.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(6_000_000);
    expect(total).toBeGreaterThan(0);
  });
});
