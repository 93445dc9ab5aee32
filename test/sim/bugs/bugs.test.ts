/** Each bug that can be switched back on is still a change of the code that is there, and one of those found soonest is found here as well. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { findBug } from '../run-bugs.ts';
import { bugNamed, bugs } from './all.ts';
import { apply } from './bug.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

describe('bugs that can be switched on', () => {
  test('are at least 15, each with a name of its own', () => {
    expect(bugs.length).toBeGreaterThanOrEqual(15);
    expect(new Set(bugs.map(({ name }) => name)).size).toBe(bugs.length);
  });

  for (const { name, changes } of bugs) {
    test(`${name}: its pieces are in the code`, () => {
      const texts = new Map<string, string>();
      for (const change of changes) {
        const before = texts.get(change.file) ?? readFileSync(repository + change.file, 'utf8');
        const after = apply(before, change);
        expect(after).not.toBe(before);
        texts.set(change.file, after);
      }
    });
  }

  test('a piece that is gone, or there twice, is told', () => {
    expect(() => apply('abc', { file: 'x.ts', piece: 'd', replacement: '' })).toThrow('x.ts holds 0 times: d');
    expect(() => apply('aa', { file: 'x.ts', piece: 'a', replacement: '' })).toThrow('x.ts holds 2 times: a');
  });
});

test.each(['high watermark by the leader alone', 'commits of offsets answered before they are committed'])('%s: found', async (name) => {
  const found = await findBug(bugNamed(name), { seedsMax: 60, jobs: 2 });
  expect(found?.failure).toMatch(/invariant|history|was told|has read/);
}, 300_000);
