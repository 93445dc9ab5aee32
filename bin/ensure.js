/**
 * Makes a fresh clone ready: installs the dependencies where they are missing or not those of package-lock.json. Plain JavaScript, because it
 * runs on whatever Node (20 or newer) is there before the pinned one is installed. `node bin/ensure.js` alone does just that.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const pinnedNode = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');

const wanted = join(root, 'package-lock.json');
const installed = join(root, 'node_modules', '.package-lock.json');

/** An installed package has neither lock file nor sources: it is as its installer made it. */
export const isClone = existsSync(wanted) && existsSync(join(root, 'src', 'cli.ts'));

/** Runs `npm ci` where it is needed, and builds once after it, for quick starts. Ends the process when the installation fails. */
export function ensureInstalled() {
  if (!isClone || isCurrent()) return;
  console.error('ottla: installing what package-lock.json names (npm ci)');
  const npm = process.env.npm_execpath;
  const [command, before] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const { status, error } = spawnSync(command, [...before, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
    // Under `npm start --production` and the like npm hands its options down, and would leave the pinned Node out.
    env: { ...process.env, NODE_ENV: '', npm_config_omit: '', npm_config_production: '' },
  });
  if (status !== 0) {
    console.error(`ottla: npm ci failed${error ? `: ${error.message}` : ''}`);
    process.exit(1);
  }
  if (needsPinnedNode && !existsSync(pinnedNode)) {
    console.error('ottla: npm did not install the pinned Node.js, which an install script does: allow scripts, or use Node.js 24');
    process.exit(1);
  }
  // Whether it succeeds or not, the sources run as they are.
  spawnSync(existsSync(pinnedNode) ? pinnedNode : process.execPath, [join(root, 'bin', 'bundle.js')], { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
}

/** Without install scripts (`ignore-scripts`) the pinned Node is not there; a Node that is as new does as well. */
const needsPinnedNode = Number(process.versions.node.split('.')[0]) < 24;

function isCurrent() {
  if (!existsSync(installed) || (needsPinnedNode && !existsSync(pinnedNode))) return false;
  // Usually two calls of stat decide. A checkout may touch the lock file without changing it, and then its contents are compared.
  if (statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return true;
  const have = packages(installed);
  return Object.entries(packages(wanted)).every(([path, { version, optional }]) => {
    if (path === '') return true;
    return have[path] === undefined ? optional === true : have[path].version === version;
  });
}

function packages(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')).packages ?? {};
  } catch {
    return {};
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) ensureInstalled();
