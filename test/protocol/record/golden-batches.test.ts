/** Record batches made by Kafka's own classes: every line is read and, where it has its records, written again; damaged ones end as they do there. */
import { describe, expect, test } from 'vitest';
import { describeGolden, goldenLines, vectorLines } from '../golden.ts';
import { checkBuilding, checkReading, outcomeOf, type BatchLine, type InvalidLine, type RecordJson } from './lines.ts';

function defineBatchTests(lines: readonly BatchLine[]): void {
  test.each(lines.map((line) => [line.name, line] as const))('read %s', (_name, line) => checkReading(line));
  const withRecords = lines.filter((line): line is BatchLine & { readonly records: readonly RecordJson[] } => line.magic === 2 && line.records !== undefined);
  test.each(withRecords.map((line) => [line.name, line] as const))('write %s', (_name, line) => checkBuilding(line));
}

function defineInvalidTests(lines: readonly InvalidLine[]): void {
  test.each(lines.map((line) => [line.name, line] as const))('refuse %s', (_name, line) => {
    const { name: _, hex, ...expected } = line;
    expect(outcomeOf(Buffer.from(hex, 'hex'))).toEqual(expected);
  });
}

describe('our own set', () => {
  defineBatchTests(vectorLines('records/record-batches.jsonl'));
  defineInvalidTests(vectorLines('records/record-batches-invalid.jsonl'));
});

describeGolden(() => {
  const lines: BatchLine[] = goldenLines('record-batches.jsonl.gz');
  test('there are lines of every magic and codec', () => {
    const kinds = new Set(lines.map((line) => (line.magic === 2 ? `2 ${line.derived.compression}` : `${line.magic} ${line.entries[0]!.attributes & 7}`)));
    expect([...kinds].sort()).toEqual(['0 0', '0 1', '0 2', '0 3', '1 0', '1 1', '1 2', '1 3', '2 gzip', '2 lz4', '2 none', '2 snappy', '2 zstd']);
  });
  defineBatchTests(lines);
  defineInvalidTests(goldenLines('record-batches-invalid.jsonl.gz'));
});
