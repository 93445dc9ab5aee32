/** The probe of the page cache, small. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pageCacheCost } from '../../bench/page-cache.ts';

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'ottla-bench-'))));
afterEach(() => rmSync(dir, { recursive: true }));

test('costs something for a GB, and leaves no file', () => {
  const cost = pageCacheCost(dir, 32 * 1024 * 1024);
  expect(cost).toBeGreaterThan(0.01);
  expect(cost).toBeLessThan(100);
  expect(readdirSync(dir)).toEqual([]);
});
