/** Checkpoints: Kafka's bytes, and no bad file that reads as a good one. */
import { expect, test } from 'vitest';
import { formatOffsets, OffsetCheckpoint, parseOffsets } from '../../storage/checkpoint.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';

const TEXT = '0\n3\nplain 0 525\n__consumer_offsets 12 0\na-b-3 4 9007199254740991\n';
const OFFSETS = new Map([['plain-0', 525], ['__consumer_offsets-12', 0], ['a-b-3-4', Number.MAX_SAFE_INTEGER]]);

test('format and parse', () => {
  expect(formatOffsets(OFFSETS).toString()).toBe(TEXT);
  expect(parseOffsets(Buffer.from(TEXT))).toEqual({ status: 'ok', value: OFFSETS });
  expect(parseOffsets(formatOffsets(new Map()))).toEqual({ status: 'ok', value: new Map() });
  expect(() => formatOffsets(new Map([['no partition', 1]]))).toThrow(TypeError);
});

test('blanks between the fields may be several, as Kafka reads them', () => {
  expect(parseOffsets(Buffer.from('0\n1\nplain\t 0  525\n'))).toEqual({ status: 'ok', value: new Map([['plain-0', 525]]) });
});

test.each([
  ['empty', ''],
  ['zeros', '\0'.repeat(60)],
  ['another version', TEXT.replace('0', '1')],
  ['no count', '0\n'],
  ['a negative count', TEXT.replace('3', '-3')],
  ['more lines than announced', TEXT.replace('3', '2')],
  ['fewer lines than announced', TEXT.replace('3', '4')],
  ['a field too many', TEXT.replace('525', '525 1')],
  ['a negative offset', TEXT.replace('525', '-1')],
  ['an offset beyond 2^53', TEXT.replace('525', '9007199254740992')],
  ['no number', TEXT.replace('525', '0x20')],
  ['a partition beyond int32', TEXT.replace('12', '2147483648')],
  ['a topic that is a path', TEXT.replace('plain', '../plain')],
  ['a partition twice', TEXT.replace('__consumer_offsets 12', 'plain 0')],
])('%s is corrupt', (_, text) => {
  expect(parseOffsets(Buffer.from(text))).toMatchObject({ status: 'corrupt', reason: expect.stringMatching(/./) });
});

test('every truncation is corrupt', () => {
  for (let length = 0; length < TEXT.length; length++) expect(parseOffsets(Buffer.from(TEXT.slice(0, length))).status, `${length}`).toBe('corrupt');
});

test('a missing file is told apart from an empty one', async () => {
  const disk = new MemoryDisk();
  disk.makeDirectory('/data');
  const checkpoint = new OffsetCheckpoint(disk, '/data', 'recovery-point-offset-checkpoint');
  expect(checkpoint.read()).toEqual({ status: 'missing' });
  await checkpoint.write(OFFSETS);
  expect(checkpoint.read()).toEqual({ status: 'ok', value: OFFSETS });
  expect(disk.list('/data')).toEqual(['recovery-point-offset-checkpoint']);
  disk.open(checkpoint.path, 'replace').close();
  expect(checkpoint.read()).toEqual({ status: 'empty' });
});

test('of writes at once the newest is in the file when the last has resolved', async () => {
  const disk = new MemoryDisk();
  const checkpoint = new OffsetCheckpoint(disk, '', 'checkpoint');
  const of = (offset: number): Map<string, number> => new Map([['t-0', offset]]);
  const writes: Promise<void>[] = [];
  for (let offset = 1; offset <= 5; offset++) {
    writes.push(checkpoint.write(of(offset)));
    await null;
  }
  await writes[0];
  expect(checkpoint.read()).toMatchObject({ status: 'ok' });
  await Promise.all(writes);
  expect(checkpoint.read()).toEqual({ status: 'ok', value: of(5) });
});
