/**
 * Loaded with `--import` before a simulator's process: switches on the bug that the environment variable SIM_BUG names, by changing the source of its files while
 * they are loaded. Promises: every change is made, or the process ends. Does not: write to a file.
 */
import { registerHooks } from 'node:module';
import { apply } from './bug.ts';
import { bugNamed } from './all.ts';

const root = new URL('../../../', import.meta.url).href;
const { SIM_BUG } = process.env;
if (SIM_BUG !== undefined) {
  const { changes } = bugNamed(SIM_BUG);
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const own = changes.filter(({ file }) => url === root + file);
      if (own.length === 0) return loaded;
      return { ...loaded, source: own.reduce(apply, Buffer.from(loaded.source as Uint8Array).toString('utf8')) };
    },
  });
}
