/** What a writer refuses, and what it writes, read back. */
import { expect, test } from 'vitest';
import { Reader } from '../../protocol/reader.ts';
import { uuidHashCode } from '../../protocol/text.ts';
import { Writer } from '../../protocol/writer.ts';

const written = (write: (writer: Writer) => void) => {
  const writer = new Writer();
  write(writer);
  return writer.finishCopy();
};

test('int64 of every size comes back', () => {
  for (let bits = 0; bits < 53; bits++) {
    for (const value of [2 ** bits, -(2 ** bits), 2 ** bits - 1, 1 - 2 ** bits]) {
      expect(new Reader(written((writer) => writer.int64(value))).int64()).toBe(value + 0);
    }
  }
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
