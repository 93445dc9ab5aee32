/**
 * Whether what was built is of the sources as they are: a list of every source file with its size and time of change. Plain JavaScript, since
 * the launcher asks it on every start of a clone (about 2 ms).
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOMS = ['src', 'storage', 'protocol'];
const manifestOf = (root) => join(root, 'dist', 'sources.json');

export function isBuilt(root) {
  try {
    return readFileSync(manifestOf(root), 'utf8') === listing(root);
  } catch {
    return false;
  }
}

/** Call with a listing from before the build: a source that changes while it runs must not count as built. */
export function markBuilt(root, listed) {
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(manifestOf(root), listed);
}

export function listing(root) {
  const lines = [];
  const walk = (directory) => {
    for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
      const path = `${directory}/${entry.name}`;
      if (entry.isDirectory()) {
        walk(path);
      } else {
        const { size, mtimeMs } = statSync(join(root, path));
        lines.push(`${path} ${size} ${mtimeMs}`);
      }
    }
  };
  for (const room of ROOMS) walk(room);
  return lines.sort().join('\n');
}
