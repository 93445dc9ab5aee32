/** The reader's bounds, the writer's ranges, and the ends of the varints. */
import { expect, test } from 'vitest';
import { uuidHashCode } from '../../protocol/text.ts';
import { Reader, Writer } from '../../protocol/wire.ts';

const written = (write: (writer: Writer) => void) => {
  const writer = new Writer();
  write(writer);
  return writer.finishCopy();
};

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
  const read = (value: bigint) => new Reader(written((writer) => writer.int64Exact(value))).int64();
  expect(read(2n ** 53n - 1n)).toBe(2 ** 53 - 1);
  expect(read(2n ** 53n)).toBe(2 ** 53);
  expect(read(2n ** 53n + 1n)).toBe(2 ** 53);
  expect(read(2n ** 63n - 1n)).toBe(2 ** 53);
  expect(read(-(2n ** 53n))).toBe(-(2 ** 53));
  expect(read(-(2n ** 53n) - 1n)).toBe(-(2 ** 53));
  expect(read(-(2n ** 63n))).toBe(-(2 ** 53));
  expect(read(-1n)).toBe(-1);
  expect(read(2n ** 32n - 1n)).toBe(2 ** 32 - 1);
});

test('int64 of every size comes back', () => {
  for (let bits = 0; bits < 53; bits++) {
    for (const value of [2 ** bits, -(2 ** bits), 2 ** bits - 1, 1 - 2 ** bits]) {
      expect(new Reader(written((writer) => writer.int64(value))).int64()).toBe(value + 0);
    }
  }
});

test.each([
  ['8080808010', 0],
  ['ffffffff7f', 2 ** 32 - 1],
])('Java drops what is above the 32nd bit of a varint: %s', (hex, value) => {
  expect(new Reader(Buffer.from(hex, 'hex')).unsignedVarint()).toBe(value);
});

test.each(['', '80', '8080808080', '808080808001', 'ffffffffff00'])('no varint: %s', (hex) => {
  expect(() => new Reader(Buffer.from(hex, 'hex')).unsignedVarint()).toThrow(RangeError);
});

test.each(['', '8080', '80808080808080808080', '8080808080808080808001'])('no varlong: %s', (hex) => {
  expect(() => new Reader(Buffer.from(hex, 'hex')).unsignedVarlong()).toThrow(RangeError);
});

test('a writer refuses what does not fit', () => {
  const refused: ((writer: Writer) => void)[] = [
    (writer) => writer.int8(128),
    (writer) => writer.int16(32768),
    (writer) => writer.int32(2 ** 31),
    (writer) => writer.uint32(-1),
    (writer) => writer.int64(2 ** 53),
    (writer) => writer.int64Exact(2n ** 63n),
    (writer) => writer.unsignedVarint(-1),
    (writer) => writer.unsignedVarint(2 ** 32),
    (writer) => writer.varint(2 ** 31),
    (writer) => writer.varlong(2n ** 63n),
    (writer) => writer.unsignedVarlong(2n ** 64n),
    (writer) => writer.uuid('short'),
  ];
  for (const write of refused) expect(() => written(write), String(write)).toThrow(TypeError);
});

test('the length is put before what was written since a mark, also where it takes more bytes and the chunk moves', () => {
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 40_000]) {
    const bytes = written((writer) => {
      writer.int32(1);
      const mark = writer.mark();
      for (let i = 0; i < length; i++) writer.int8(5);
      writer.insertLength(mark);
      writer.int8(9);
    });
    const reader = new Reader(bytes, 4);
    expect(reader.unsignedVarint()).toBe(length);
    expect(reader.bytes(length).equals(Buffer.alloc(length, 5))).toBe(true);
    expect(reader.int8()).toBe(9);
    expect(reader.remaining).toBe(0);
  }
});

test('uuids', () => {
  const text = 'GHdWVuDG78oaW2lQ7mbBzA';
  const bytes = written((writer) => writer.uuid(text));
  expect(bytes.toString('hex')).toBe('18775656e0c6efca1a5b6950ee66c1cc');
  // Twice: the second comes from the table of known ones.
  for (let i = 0; i < 2; i++) expect(new Reader(bytes).uuid()).toBe(text);
  expect(uuidHashCode(text)).toBe(210505984);
});
