/** The codec benchmark, small, so that it cannot rot: both sides agree about the bytes, and every row has its numbers. */
import { expect, test } from 'vitest';
import { benchmarkCodec, codecTable } from '../../bench/codec.ts';

test('every row', () => {
  const rows = benchmarkCodec(1, 1);
  expect(rows.map((row) => row.title.split(' ')[0])).toEqual(['Produce', 'Fetch', 'Metadata', 'OffsetCommit', 'Produce', 'Fetch', 'Metadata', 'OffsetCommit']);
  for (const row of rows) {
    expect(row.bytes).toBeGreaterThan(0);
    expect(row.encodeNs).toBeGreaterThan(0);
    expect(row.decodeNs).toBeGreaterThan(0);
  }
  expect(rows.filter((row) => row.kafkajsDecodeNs !== undefined)).toHaveLength(4);
  expect(codecTable(rows).split('\n')).toHaveLength(rows.length + 2);
});
