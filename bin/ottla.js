#!/usr/bin/env node
/**
 * The `ottla` command. In a clone it installs what is missing first, and runs under the pinned Node: what was built of the sources as they are,
 * or else the sources. Installed from a package it runs what was built.
 */
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { ensureInstalled, isClone, pinnedNode, root } from './ensure.js';
import { isBuilt } from './sources.js';

const ORPHAN_CHECK_MS = 250;
const [major, minor] = process.versions.node.split('.').map(Number);
const runsTypeScript = major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18);
const isNewEnough = major > 22 || (major === 22 && minor >= 15);

if (isClone) ensureInstalled();

// Whoever stops `npm start` by a signal stops npm and its shell, which pass it on to nobody: a broker would be left that holds port and directory.
if (process.env.npm_lifecycle_event === 'start' && process.platform !== 'win32') {
  const shell = process.ppid;
  setInterval(() => process.ppid === shell || process.kill(process.pid, 'SIGTERM'), ORPHAN_CHECK_MS).unref();
}

if (isClone ? runsTypeScript : isNewEnough) {
  await import(isClone && !isBuilt(root) ? '../src/cli.ts' : '../dist/cli.js');
} else if (existsSync(pinnedNode) && realpathSync(pinnedNode) !== realpathSync(process.execPath)) {
  runPinned();
} else {
  console.error(`ottla needs Node.js 22.15 or newer, this is ${process.versions.node}`);
  process.exitCode = 1;
}

/** Hands over to the Node of node_modules, with the same arguments, streams and signals. */
function runPinned() {
  const child = spawn(pinnedNode, [join(root, 'bin', 'ottla.js'), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, OTTLA_RELAYED_SIGNALS: '1' },
  });
  // A terminal sends Ctrl-C to both; anybody else sends signals to this process, or to its whole group.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (process.stdin.isTTY ? undefined : child.kill(signal)));
  child.on('error', (error) => {
    console.error(`ottla: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
}
