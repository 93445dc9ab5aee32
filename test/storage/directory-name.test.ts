/** Names of partitions' directories, there and back. */
import { expect, test } from 'vitest';
import { isTopicName, parseDirectoryName, parsePartitionName, stateDirectoryName } from '../../storage/directory-name.ts';

const UUID = 'QupJ1bDmS-2UIfGThIUpRA'; // 42ea49d5b0e64bed9421f19384852944

test('topic names', () => {
  for (const name of ['a', 'A.b_c-9', '...', '-', '__proto__', 'x'.repeat(249)]) expect(isTopicName(name), name).toBe(true);
  for (const name of ['', '.', '..', 'a/b', 'a b', 'ä', 'a\n', 'a\0', 'x'.repeat(250)]) expect(isTopicName(name), name).toBe(false);
});

test('partitions', () => {
  expect(parsePartitionName('a-b-12')).toEqual({ topic: 'a-b', partition: 12 });
  expect(parsePartitionName('--0')).toEqual({ topic: '-', partition: 0 });
  expect(parsePartitionName('a-2147483647')).toEqual({ topic: 'a', partition: 2147483647 });
  for (const name of ['', 'a', '-', '-0', 'a-', 'a-b', 'a-01', 'a-+1', 'a--1x', 'a-2147483648', 'a-1 ', '..-0', 'a/b-0']) expect(parsePartitionName(name), name).toBeUndefined();
});

test('directories that are out of use', () => {
  expect(stateDirectoryName('gone', 0, UUID, 'delete')).toBe('gone-0.42ea49d5b0e64bed9421f19384852944-delete');
  expect(parseDirectoryName('gone-0.42ea49d5b0e64bed9421f19384852944-delete')).toEqual({ topic: 'gone', partition: 0, state: 'delete' });
  expect(parseDirectoryName('a.b-3')).toEqual({ topic: 'a.b', partition: 3, state: undefined });
  expect(parseDirectoryName('a-3.42ea49d5b0e64bed9421f19384852944-future')).toEqual({ topic: 'a', partition: 3, state: 'future' });
  expect(parseDirectoryName('a-delete')).toBeUndefined();
  expect(parseDirectoryName('a-3.xyz-delete')).toBeUndefined();
  expect(parseDirectoryName('lost+found')).toBeUndefined();
});

test('names are cut to 255, but not those that will be used again', () => {
  const long = 'x'.repeat(249);
  for (const state of ['delete', 'stray'] as const) {
    const name = stateDirectoryName(long, 123, UUID, state);
    expect(name.length).toBe(255);
    expect(name.endsWith(`-123.42ea49d5b0e64bed9421f19384852944-${state}`)).toBe(true);
    expect(parseDirectoryName(name)).toMatchObject({ partition: 123, state });
  }
  expect(stateDirectoryName(long, 1, UUID, 'future').startsWith(long)).toBe(true);
});
