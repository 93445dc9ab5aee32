/**
 * Puts the sources together into a few files in dist/: Node takes half a millisecond to load a module, and a broker has two hundred. What is
 * loaded late stays in files of its own. Dependencies stay outside.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { root } from './ensure.js';
import { listing, markBuilt } from './sources.js';

const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const listed = listing(root);
rmSync(join(root, 'dist'), { recursive: true, force: true });
const bundle = await rolldown({
  input: { cli: join(root, 'src/cli.ts'), 'cluster-thread': join(root, 'src/cli/cluster-thread.ts'), index: join(root, 'src/index.ts') },
  platform: 'node',
  external: [/^node:/, ...Object.keys({ ...dependencies, ...optionalDependencies }).map((name) => new RegExp(`^${name}(/|$)`))],
});
await bundle.write({ dir: join(root, 'dist'), format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' });
await bundle.close();
markBuilt(root, listed);
