/** The lock of a data directory, between processes: living, killed, of an earlier boot, of another container, of Apache Kafka. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nodeRuntime } from '../../../src/runtime/node.ts';

const { disk } = nodeRuntime();
let directory: string;
let path: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'ottla-lock-'));
  path = `${directory}/.lock`;
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  fs.rmSync(directory, { recursive: true });
});

const source = JSON.stringify(fileURLToPath(new URL('../../../src/runtime/node.ts', import.meta.url)));

/** A process that takes the lock once it is told to, tells how that went, and lives on. */
async function locker(): Promise<{ child: ChildProcess; take: () => Promise<string> }> {
  const script = join(directory, 'locker.mjs');
  fs.writeFileSync(
    script,
    `import { nodeRuntime } from ${source};
     const { disk } = nodeRuntime();
     process.on('message', () => { try { disk.lock(${JSON.stringify(path)}); process.send('held'); } catch (error) { process.send(error.code + ' ' + error.message); } });
     process.send('ready');`,
  );
  const child = fork(script, [], { execArgv: ['--disable-warning=ExperimentalWarning'] });
  children.push(child);
  await once(child, 'message');
  return {
    child,
    async take() {
      const answer = once(child, 'message');
      child.send('take');
      return (await answer)[0] as string;
    },
  };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const names = (): string[] => fs.readdirSync(directory).filter((name) => name !== 'locker.mjs');

test('a living process keeps it, a killed one does not', async () => {
  const { child, take } = await locker();
  expect(await take()).toBe('held');
  expect(() => disk.lock(path)).toThrow(new RegExp(`EBUSY: lock, held by process ${child.pid}, '.*\\.lock'`));
  await kill(child);
  const release = disk.lock(path);
  expect(fs.readFileSync(path, 'utf8')).toMatch(`pid=${process.pid}\n`);
  expect(names()).toEqual(['.lock']);
  release();
  expect(names()).toEqual([]);
});

test('of several that find a dead holder one takes over', async () => {
  const dead = await locker();
  const takers = await Promise.all(Array.from({ length: 4 }, locker));
  for (let round = 0; round < 5; round++) {
    fs.writeFileSync(path, ownerText({ pid: dead.child.pid!, start: '1' }));
    const answers = await Promise.all(takers.map(({ take }) => take()));
    expect(answers.filter((answer) => answer === 'held')).toHaveLength(1);
    expect(answers.filter((answer) => answer.startsWith('EBUSY '))).toHaveLength(3);
    expect(names()).toEqual(['.lock']);
  }
});

/** What this process would write, with some of it changed. */
function ownerText(changed: { pid?: number; start?: string; boot?: string; namespace?: string; host?: string }): string {
  const probe = join(directory, 'probe');
  const release = disk.lock(probe);
  const fields = Object.fromEntries(fs.readFileSync(probe, 'utf8').trim().split('\n').map((line) => line.split('=') as [string, string]));
  release();
  return Object.entries({ ...fields, ...changed }).map(([name, value]) => `${name}=${value}\n`).join('');
}

test.each([
  ['a process number given to another since', { start: '1' }],
  ['a process that is gone', { pid: 2 ** 22 + 1 }],
  ['an earlier boot of this machine', { boot: 'earlier' }],
  ['an earlier life of this container', { namespace: 'pid:[1]' }],
])('%s does not hold it', (_, changed) => {
  fs.writeFileSync(path, ownerText(changed));
  disk.lock(path)();
});

test('another container on the same volume holds it while it touches the file', () => {
  fs.writeFileSync(path, ownerText({ host: `not-${hostname()}`, namespace: 'pid:[1]' }));
  expect(() => disk.lock(path)).toThrow(`of host not-${hostname()}`);
  const longAgo = Date.now() / 1000 - 60;
  fs.utimesSync(path, longAgo, longAgo);
  disk.lock(path)();
});

test('a taker that died in the middle leaves a claim, which is taken over too', () => {
  const dead = ownerText({ start: '1' });
  fs.writeFileSync(path, dead);
  fs.writeFileSync(`${path}.claim`, dead);
  fs.writeFileSync(`${path}.claim.claim`, dead);
  const release = disk.lock(path);
  expect(names()).toEqual(['.lock']);
  release();
});

test('a living claim is a busy lock', () => {
  fs.writeFileSync(path, ownerText({ start: '1' }));
  fs.writeFileSync(`${path}.claim`, ownerText({}));
  expect(() => disk.lock(path)).toThrow(/EBUSY/);
  expect(names()).toEqual(['.lock', '.lock.claim']);
});

test('what no process wrote holds nothing', () => {
  for (const text of ['', 'garbage', '\0'.repeat(100)]) {
    fs.writeFileSync(path, text);
    disk.lock(path)();
  }
});

test('giving it back does not take it from a later holder', () => {
  const release = disk.lock(path);
  fs.writeFileSync(path, ownerText({ pid: 1 }));
  release();
  expect(fs.existsSync(path)).toBe(true);
});

// Java locks by fcntl, as python3 does here; without python3 or /proc/locks there is nothing to look at.
const hasPython = fs.existsSync('/usr/bin/python3') && fs.existsSync('/proc/locks');
test.skipIf(!hasPython)('an Apache Kafka that is running holds it', async () => {
  const script = `import fcntl,sys\nf=open(${JSON.stringify(path)},'w')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('held',flush=True)\nsys.stdin.read()`;
  const child = spawn('/usr/bin/python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data');
  expect(() => disk.lock(path)).toThrow(`held by process ${child.pid}`);
  await kill(child);
  disk.lock(path)();
});

test('a directory that is not there', () => {
  expect(() => disk.lock(join(directory, 'missing/.lock'))).toThrow(/ENOENT/);
});
