/** Leader epochs: KIP-101 and KIP-279 answers, truncation at both ends, and the file. */
import { expect, test } from 'vitest';
import { EpochHistory } from '../../storage/epoch-history.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';

function history(...entries: [epoch: number, startOffset: number][]): EpochHistory {
  const epochs = new EpochHistory(new MemoryDisk(), '');
  for (const [epoch, startOffset] of entries) epochs.assign(epoch, startOffset);
  return epochs;
}

const shown = (epochs: EpochHistory): string => epochs.entries.map((entry) => `${entry.epoch}@${entry.startOffset}`).join(' ');

test('an epoch begins once', () => {
  const epochs = history([2, 0]);
  epochs.assign(2, 5);
  epochs.assign(3, 9);
  epochs.assign(3, 12);
  epochs.assign(7, 20);
  expect(shown(epochs)).toBe('2@0 3@9 7@20');
  expect(epochs.latestEpoch).toBe(7);
  expect(history().latestEpoch).toBe(-1);
});

test('entries that a batch contradicts are dropped', () => {
  const epochs = history([0, 0], [1, 10], [2, 20], [3, 30]);
  epochs.assign(4, 20);
  expect(shown(epochs)).toBe('0@0 1@10 4@20');
  epochs.assign(1, 40);
  expect(shown(epochs)).toBe('0@0 1@40');
  epochs.assign(1, 30);
  expect(shown(epochs)).toBe('0@0 1@30');
  epochs.assign(5, 0);
  expect(shown(epochs)).toBe('5@0');
});

test('where an epoch ends', () => {
  const epochs = history([2, 5], [4, 10], [7, 30]);
  const end = (epoch: number): string => {
    const { epoch: found, endOffset } = epochs.endOffsetFor(epoch, 50);
    return `${found}@${endOffset}`;
  };
  expect(end(-1)).toBe('-1@-1');
  expect(end(0)).toBe('0@5');
  expect(end(1)).toBe('1@5');
  expect(end(2)).toBe('2@10');
  expect(end(3)).toBe('2@10');
  expect(end(4)).toBe('4@30');
  expect(end(6)).toBe('4@30');
  expect(end(7)).toBe('7@50');
  expect(end(8)).toBe('-1@-1');
  expect(history().endOffsetFor(0, 50)).toEqual({ epoch: -1, endOffset: -1 });
});

test('the epoch of an offset', () => {
  const epochs = history([2, 5], [4, 10], [7, 30]);
  expect([0, 4, 5, 9, 10, 29, 30, 99].map((offset) => epochs.epochForOffset(offset))).toEqual([-1, -1, 2, 2, 4, 4, 7, 7]);
  expect(history().epochForOffset(0)).toBe(-1);
});

test.each([
  [31, '2@5 4@10 7@30'], [30, '2@5 4@10'], [11, '2@5 4@10'], [10, '2@5'], [6, '2@5'], [5, ''], [0, ''],
])('a log cut to end at %i', (endOffset, expected) => {
  const epochs = history([2, 5], [4, 10], [7, 30]);
  epochs.truncateFromEnd(endOffset);
  expect(shown(epochs)).toBe(expected);
});

test.each([
  [0, '2@5 4@10 7@30'], [5, '2@5 4@10 7@30'], [6, '2@6 4@10 7@30'], [10, '4@10 7@30'], [15, '4@15 7@30'], [30, '7@30'], [99, '7@99'],
])('a log that starts at %i', (startOffset, expected) => {
  const epochs = history([2, 5], [4, 10], [7, 30]);
  epochs.truncateFromStart(startOffset);
  expect(shown(epochs)).toBe(expected);
});

test('epochs found before the first one', () => {
  const epochs = history([2, 5], [4, 10]);
  epochs.prepend([]);
  epochs.prepend([{ epoch: 2, startOffset: 5 }, { epoch: 3, startOffset: 1 }]);
  expect(shown(epochs)).toBe('2@5 4@10');
  epochs.prepend([{ epoch: 0, startOffset: 0 }, { epoch: 2, startOffset: 3 }]);
  expect(shown(epochs)).toBe('0@0 2@3 4@10');
  const empty = history();
  empty.prepend([{ epoch: 1, startOffset: 7 }]);
  expect(shown(empty)).toBe('1@7');
  expect(empty.isDirty).toBe(true);
});

test('the file follows when it is told to', async () => {
  const disk = new MemoryDisk();
  disk.makeDirectory('t-0');
  expect(EpochHistory.load(disk, 't-0')).toEqual({ status: 'missing' });
  const epochs = new EpochHistory(disk, 't-0');
  expect(epochs.isDirty).toBe(false);
  epochs.assign(0, 7779);
  epochs.assign(3, 9120);
  expect(epochs.isDirty).toBe(true);
  expect(disk.list('t-0')).toEqual([]);
  const persisting = epochs.persist();
  epochs.assign(5, 9999);
  await persisting;
  expect(disk.readFile('t-0/leader-epoch-checkpoint').toString()).toBe('0\n2\n0 7779\n3 9120\n');
  expect(epochs.isDirty).toBe(true);
  epochs.persistSync();
  expect(epochs.isDirty).toBe(false);
  expect(disk.readFile('t-0/leader-epoch-checkpoint').toString()).toBe('0\n3\n0 7779\n3 9120\n5 9999\n');
  const loaded = EpochHistory.load(disk, 't-0');
  if (loaded.status !== 'ok') throw new Error(loaded.status);
  expect(shown(loaded.value)).toBe('0@7779 3@9120 5@9999');
  expect(loaded.value.isDirty).toBe(false);
  for (const change of [() => epochs.truncateFromEnd(9999), () => epochs.truncateFromStart(8000), () => epochs.clear()]) {
    change();
    expect(epochs.isDirty).toBe(true);
    await epochs.persist();
    change();
    expect(epochs.isDirty).toBe(false);
  }
  expect(disk.readFile('t-0/leader-epoch-checkpoint').toString()).toBe('0\n0\n');
});

test.each(['0', '0\n1\n', '0\n2\n1 5\n1 9\n', '0\n2\n1 5\n2 5\n', '0\n2\n5 0\n4 9\n', '0\n1\n-1 0\n', '0\n1\n2147483648 0\n', '0\n1\n1 2 3\n', '1\n0\n', '0\n1\n1 1'])(
  '%j is corrupt',
  (text) => {
    const disk = new MemoryDisk();
    disk.open('leader-epoch-checkpoint', 'create').writeSync([Buffer.from(text)], 0);
    expect(EpochHistory.load(disk, '').status).toBe('corrupt');
  },
);
