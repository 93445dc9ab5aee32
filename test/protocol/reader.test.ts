/** The reader's bounds, saturation, and the ends of the varints. */
import { expect, test } from 'vitest';
import { Reader } from '../../protocol/reader.ts';

const reads: [string, number, (reader: Reader) => unknown][] = [
  ['int8', 1, (reader) => reader.int8()],
  ['int16', 2, (reader) => reader.int16()],
  ['int32', 4, (reader) => reader.int32()],
  ['uint16', 2, (reader) => reader.uint16()],
  ['uint32', 4, (reader) => reader.uint32()],
  ['int64', 8, (reader) => reader.int64()],
  ['int64Exact', 8, (reader) => reader.int64Exact()],
  ['float64', 8, (reader) => reader.float64()],
  ['bool', 1, (reader) => reader.bool()],
  ['uuid', 16, (reader) => reader.uuid()],
  ['bytes', 5, (reader) => reader.bytes(5)],
];

test.each(reads)('%s takes its %d bytes and never more than there are', (_, bytes, read) => {
  // What lies behind the end of the reader is another frame's.
  const buffer = Buffer.alloc(64, 1);
  const reader = new Reader(buffer, 3, 3 + bytes);
  read(reader);
  expect(reader.remaining).toBe(0);
  for (let end = 3; end < 3 + bytes; end++) expect(() => read(new Reader(buffer, 3, end))).toThrow(RangeError);
});

test('a reader of bytes that are not there is our error', () => {
  for (const [position, end] of [
    [-1, 4],
    [0, 5],
    [3, 2],
  ]) {
    expect(() => new Reader(Buffer.alloc(4), position, end)).toThrow(TypeError);
  }
  expect(() => new Reader(Buffer.alloc(4)).bytes(-1)).toThrow(RangeError);
});

test('int64 saturates at 2^53', () => {
  const read = (value: bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64BE(value);
    return new Reader(buffer).int64();
  };
  expect(read(2n ** 53n - 1n)).toBe(2 ** 53 - 1);
  expect(read(2n ** 53n)).toBe(2 ** 53);
  expect(read(2n ** 53n + 1n)).toBe(2 ** 53);
  expect(read(2n ** 53n + 4n)).toBe(2 ** 53);
  expect(read(2n ** 63n - 1n)).toBe(2 ** 53);
  expect(read(-(2n ** 53n))).toBe(-(2 ** 53));
  expect(read(-(2n ** 53n) - 1n)).toBe(-(2 ** 53));
  expect(read(-(2n ** 63n))).toBe(-(2 ** 53));
  expect(read(-1n)).toBe(-1);
  expect(read(2n ** 32n - 1n)).toBe(2 ** 32 - 1);
});

test.each([
  ['8080808010', 0],
  ['ffffffff7f', 2 ** 32 - 1],
])('Java drops what is above the 32nd bit of a varint: %s', (hex, value) => {
  expect(new Reader(Buffer.from(hex, 'hex')).unsignedVarint()).toBe(value);
});

test.each(['', '80', '8080808080', '808080808001', 'ffffffffff00'])('no varint: %s', (hex) => {
  const bytes = Buffer.from(hex, 'hex');
  expect(() => new Reader(bytes).unsignedVarint()).toThrow(RangeError);
  // Nor may its end be found behind the reader's.
  expect(() => new Reader(Buffer.concat([bytes, Buffer.from([1])]), 0, bytes.length).unsignedVarint()).toThrow(RangeError);
});

test.each(['', '8080', '80808080808080808080', '8080808080808080808001'])('no varlong: %s', (hex) => {
  expect(() => new Reader(Buffer.from(hex, 'hex')).unsignedVarlong()).toThrow(RangeError);
});
