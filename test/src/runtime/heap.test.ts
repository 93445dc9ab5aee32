/** What V8 does with the flags that it is given, in a process of its own: they are for all of a process. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const heap = JSON.stringify(join(import.meta.dirname, '../../../src/runtime/node-heap.ts'));

/** The young generation's bytes after a load of which much survives its first collections. */
function youngBytesUnderLoad(first: string): number {
  const program = `
    import { setImmediate } from 'node:timers/promises';
    const { tuneHeap, youngBytes } = await import(${heap});
    ${first};
    const kept = [];
    let most = 0;
    for (let turn = 0; turn < 400; turn++) {
      for (let i = 0; i < 10_000; i++) kept[i * 7 % 50_000] = { turn, list: [i] };
      await setImmediate();
      most = Math.max(most, youngBytes());
    }
    console.log(most);
  `;
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }));
}

test('the young generation grows, but not beyond its limit', () => {
  const MiB = 1024 * 1024;
  const bounded = youngBytesUnderLoad('tuneHeap()');
  expect(bounded).toBe(32 * MiB);
  expect(youngBytesUnderLoad('')).toBeGreaterThan(32 * MiB);
});
