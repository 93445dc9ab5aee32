/** The launcher: what was built is used only while it is of the sources as they are, and a package without sources is no clone. */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const bin = resolve(import.meta.dirname, '../../bin');
const root = mkdtempSync(join(tmpdir(), 'ottla-launcher-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Sources {
  isBuilt(root: string): boolean;
  markBuilt(root: string, listed: string): void;
  listing(root: string): string;
}

describe('what was built', () => {
  it('is current until a source changes, comes or goes', async () => {
    const { isBuilt, markBuilt, listing } = (await import(join(bin, 'sources.js'))) as Sources;
    const clone = join(root, 'clone');
    for (const room of ['src', 'storage', 'protocol/messages']) mkdirSync(join(clone, room), { recursive: true });
    const source = join(clone, 'protocol/messages/a.ts');
    writeFileSync(source, 'one');
    expect(isBuilt(clone)).toBe(false);
    const build = () => markBuilt(clone, listing(clone));
    build();
    expect(isBuilt(clone)).toBe(true);
    utimesSync(source, 1, 1);
    expect(isBuilt(clone)).toBe(false);
    build();
    writeFileSync(join(clone, 'src/b.ts'), '');
    expect(isBuilt(clone)).toBe(false);
    build();
    rmSync(source);
    expect(isBuilt(clone)).toBe(false);
  });
});

describe('under npm start', () => {
  it.skipIf(process.platform === 'win32')('is asked to stop when the shell that npm runs it in is gone', async () => {
    const installed = join(root, 'orphan');
    cpSync(bin, join(installed, 'bin'), { recursive: true });
    mkdirSync(join(installed, 'dist'));
    writeFileSync(join(installed, 'package.json'), '{"type":"module"}');
    writeFileSync(join(installed, 'dist/cli.js'), 'const held = setInterval(() => {}, 1000); process.on("SIGTERM", () => { console.log("stopped"); process.exit(); }); console.log("ready");');
    // The second command keeps the shell from becoming the first.
    const shell = spawn('sh', ['-c', `"${process.execPath}" "${join(installed, 'bin/ottla.js')}"; true`], { env: { ...process.env, npm_lifecycle_event: 'start' }, stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    for await (const chunk of shell.stdout.setEncoding('utf8')) {
      out += chunk;
      if (out === 'ready\n') shell.kill('SIGTERM');
    }
    expect(out).toBe('ready\nstopped\n');
  });
});

describe('an installed package', () => {
  it('runs what was built, and does not try to install', () => {
    const installed = join(root, 'installed');
    cpSync(bin, join(installed, 'bin'), { recursive: true });
    mkdirSync(join(installed, 'dist'));
    writeFileSync(join(installed, 'package.json'), '{"type":"module"}');
    writeFileSync(join(installed, 'dist/cli.js'), 'console.log("built", process.argv.slice(2).join(" "));');
    const { stdout, stderr, status } = spawnSync(process.execPath, [join(installed, 'bin/ottla.js'), 'topics', '--json'], { encoding: 'utf8' });
    expect({ stdout, stderr, status }).toEqual({ stdout: 'built topics --json\n', stderr: '', status: 0 });
  });
});
