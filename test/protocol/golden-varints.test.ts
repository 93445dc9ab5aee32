/** Varints and uuids against Kafka's own. The other lines of the file belong to the modules that have those algorithms. */
import { expect, test } from 'vitest';
import { uuidHashCode } from '../../protocol/text.ts';
import { Reader } from '../../protocol/reader.ts';
import { Writer } from '../../protocol/writer.ts';
import { describeGolden, goldenLines } from './golden.ts';

const write: { readonly [algorithm: string]: (writer: Writer, value: any) => void } = {
  varint: (writer, value) => writer.varint(value),
  varlong: (writer, value) => writer.varlong(BigInt(value)),
  unsignedVarint: (writer, value) => writer.unsignedVarint(value),
  unsignedVarlong: (writer, value) => writer.unsignedVarlong(BigInt(value)),
  uuid: (writer, value) => writer.uuid(value),
};
const read: { readonly [algorithm: string]: (reader: Reader) => any } = {
  varint: (reader) => reader.varint(),
  varlong: (reader) => String(reader.varlong()),
  unsignedVarint: (reader) => reader.unsignedVarint(),
  unsignedVarlong: (reader) => String(reader.unsignedVarlong()),
  uuid: (reader) => reader.uuid(),
};

describeGolden(() => {
  test.each(Object.keys(write))('%s', (algorithm) => {
    const lines = goldenLines('algorithms.jsonl.gz').filter((line) => line.algorithm === algorithm);
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      const value = line.text ?? line.value;
      const writer = new Writer();
      write[algorithm]!(writer, value);
      expect(writer.finishCopy().toString('hex')).toBe(line.hex);
      const reader = new Reader(Buffer.from(line.hex, 'hex'));
      expect(read[algorithm]!(reader)).toBe(value);
      expect(reader.remaining).toBe(0);
      if (algorithm === 'uuid') expect(uuidHashCode(value)).toBe(line.hashCode);
    }
  });
});
