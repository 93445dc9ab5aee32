/**
 * Puts the sources together into a few files in dist/: Node takes half a millisecond to load a module, and a broker has two hundred. What is
 * loaded late stays in files of its own. Dependencies stay outside.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { root } from './ensure.js';
import { listing, markBuilt } from './sources.js';

const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const listed = listing(root);
const dist = join(root, 'dist');
// The types are not ours to make anew: npm packs after it has run prepack, which makes them, and then prepare, which is this alone.
for (const name of existsSync(dist) ? readdirSync(dist) : []) if (name !== 'types') rmSync(join(dist, name), { recursive: true });
const bundle = await rolldown({
  input: { cli: join(root, 'src/cli.ts'), 'cluster-thread': join(root, 'src/cli/cluster-thread.ts'), index: join(root, 'src/index.ts') },
  platform: 'node',
  external: [/^node:/, ...Object.keys({ ...dependencies, ...optionalDependencies }).map((name) => new RegExp(`^${name}(/|$)`))],
});
await bundle.write({ dir: dist, format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' });
await bundle.close();
markBuilt(root, listed);
