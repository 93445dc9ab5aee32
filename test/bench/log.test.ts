/** Each row of the benchmark of the log, small: so that the benchmark cannot rot. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loads, runLoad, runOpen } from '../../bench/log.ts';

describe('the benchmark of the log', () => {
  let root: string;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'ottla-bench-log-'));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test.each(loads.map((load, i) => ({ ...load, directory: String(i) })))('$title', async ({ directory, ...load }) => {
    const [appended, read] = await runLoad(load, 3_000_000, join(root, directory));
    expect(appended?.bytesPerSecond).toBeGreaterThan(0);
    expect(appended?.appendNs).toBeGreaterThan(0);
    expect(read?.bytesPerSecond).toBeGreaterThan(0);
  });

  test('opening partitions', async () => {
    const rows = await runOpen(20, join(root, 'many'));
    expect(rows.map(({ title }) => title)).toEqual(['create', 'append and write', 'close', 'open after a clean stop', 'open after none']);
  });
});
