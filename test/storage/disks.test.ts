/** The same cases over every disk: what the log may rely on. Durability is not shown here; the crash tests show what needs it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { DiskError } from '../../storage/disk.ts';
import type { Disk } from '../../storage/disk.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { CrashDisk } from './crash-disk.ts';

const kinds: { name: string; make: () => { disk: Disk; root: string; end: () => void } }[] = [
  {
    name: 'files',
    make: () => {
      const root = mkdtempSync(join(tmpdir(), 'ottla-disk-'));
      return { disk: nodeRuntime().disk, root, end: () => rmSync(root, { recursive: true }) };
    },
  },
  {
    name: 'memory',
    make: () => {
      const disk = new MemoryDisk({ nowMs: () => Date.now() });
      disk.makeDirectory('/data');
      return { disk, root: '/data', end: () => {} };
    },
  },
  {
    name: 'the crash disk of the tests',
    make: () => {
      const disk = new CrashDisk({ nowMs: () => Date.now() });
      disk.makeDirectory('/data');
      return { disk, root: '/data', end: () => {} };
    },
  },
];

function code(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof DiskError) return error.code;
    throw error;
  }
  return 'no error';
}

describe.each(kinds)('$name', ({ make }) => {
  let disk: Disk;
  let root: string;
  let end: () => void;
  beforeEach(() => ({ disk, root, end } = make()));
  afterEach(() => end());
  const at = (name: string): string => `${root}/${name}`;
  const put = (name: string, text: string): void => {
    const file = disk.open(at(name), 'replace');
    file.writeSync([Buffer.from(text)], 0);
    file.close();
  };
  const text = (name: string): string => disk.readFile(at(name)).toString();

  test('reads of the device are counted up', () => {
    const before = disk.deviceReads();
    put('fresh', 'fresh');
    expect(text('fresh')).toBe('fresh');
    // Not that nothing came: other threads count too.
    expect(disk.deviceReads()).toBeGreaterThanOrEqual(before);
  });

  test('names: made, listed in order, moved, removed', async () => {
    for (const name of ['b', 'a', 'c.log', 'B']) put(name, name);
    disk.makeDirectory(at('d/e/f'));
    disk.makeDirectory(at('d/e/f'));
    expect(disk.list(root)).toEqual(['B', 'a', 'b', 'c.log', 'd']);
    disk.rename(at('a'), at('b'));
    expect(disk.list(root)).toEqual(['B', 'b', 'c.log', 'd']);
    expect(text('b')).toBe('a');
    put('d/e/f/deep', 'deep');
    disk.rename(at('d'), at('moved'));
    expect(text('moved/e/f/deep')).toBe('deep');
    disk.unlink(at('B'));
    await disk.removeAll(at('moved'));
    await disk.removeAll(at('moved'));
    expect(disk.list(root)).toEqual(['b', 'c.log']);
    disk.syncDirectory(root);
  });

  test('status', () => {
    put('x', 'hello');
    disk.makeDirectory(at('d'));
    expect(disk.status(at('x'))).toMatchObject({ sizeBytes: 5, isDirectory: false });
    expect(Math.abs(disk.status(at('x'))!.modifiedMs - Date.now())).toBeLessThan(60_000);
    expect(disk.status(at('d'))).toMatchObject({ sizeBytes: 0, isDirectory: true });
    expect(disk.status(at('y'))).toBeUndefined();
    expect(disk.status(at('x/y'))).toBeUndefined();
    disk.setModified(at('x'), 1_600_000_000_123);
    expect(disk.status(at('x'))!.modifiedMs).toBe(1_600_000_000_123);
  });

  test('errors carry the name that the operating system gives them', () => {
    put('x', 'x');
    disk.makeDirectory(at('full'));
    put('full/y', 'y');
    expect(code(() => disk.list(at('missing')))).toBe('ENOENT');
    expect(code(() => disk.list(at('x')))).toBe('ENOTDIR');
    expect(code(() => disk.open(at('missing'), 'read'))).toBe('ENOENT');
    expect(code(() => disk.open(at('missing'), 'update'))).toBe('ENOENT');
    expect(code(() => disk.open(at('missing/x'), 'create'))).toBe('ENOENT');
    expect(code(() => disk.open(at('x/y'), 'create'))).toBe('ENOTDIR');
    for (const mode of ['read', 'update', 'create', 'replace'] as const) expect(code(() => disk.open(at('full'), mode))).toBe('EISDIR');
    expect(code(() => disk.readFile(at('missing')))).toBe('ENOENT');
    expect(code(() => disk.readFile(at('full')))).toBe('EISDIR');
    expect(code(() => disk.unlink(at('missing')))).toBe('ENOENT');
    expect(code(() => disk.unlink(at('full')))).toMatch(/EISDIR|EPERM/);
    expect(code(() => disk.rename(at('missing'), at('x')))).toBe('ENOENT');
    expect(code(() => disk.rename(at('x'), at('full')))).toBe('EISDIR');
    expect(code(() => disk.rename(at('full'), at('x')))).toBe('ENOTDIR');
    expect(code(() => disk.rename(at('full'), at('full/inside')))).toBe('EINVAL');
    disk.makeDirectory(at('other'));
    expect(code(() => disk.rename(at('other'), at('full')))).toBe('ENOTEMPTY');
    expect(code(() => disk.removeDirectory(at('full')))).toBe('ENOTEMPTY');
    expect(code(() => disk.removeDirectory(at('x')))).toBe('ENOTDIR');
    expect(code(() => disk.removeDirectory(at('missing')))).toBe('ENOENT');
    expect(code(() => disk.makeDirectory(at('x')))).toBe('EEXIST');
    expect(code(() => disk.syncDirectory(at('missing')))).toBe('ENOENT');
    disk.rename(at('full'), at('other'));
    expect(text('other/y')).toBe('y');
  });

  test('reading and writing at positions', async () => {
    const file = disk.open(at('x'), 'create');
    await file.write([Buffer.from('hello'), Buffer.alloc(0), Buffer.from(' '), Buffer.from('world')], 0);
    await file.write([], 3);
    await file.write([Buffer.alloc(0)], 3);
    expect(file.sizeBytes()).toBe(11);
    file.writeSync([Buffer.from('W')], 6);
    const target = Buffer.alloc(8, '-');
    expect(await file.read(target, 6)).toBe(5);
    expect(target.toString()).toBe('World---');
    expect(file.readSync(target, 11)).toBe(0);
    expect(await file.read(target, 99)).toBe(0);
    expect(file.readSync(Buffer.alloc(0), 0)).toBe(0);
    await file.sync();
    file.syncSync();
    file.close();
    file.close();
    expect(() => file.sizeBytes()).toThrow(/closed/);
    const reader = disk.open(at('x'), 'read');
    expect(reader.readSync(target, 0)).toBe(8);
    expect(() => reader.writeSync([Buffer.from('x')], 0)).toThrow(/reading only/);
    reader.close();
  });

  test('modes: update and create keep what is there, replace empties it', () => {
    put('x', 'kept');
    disk.open(at('x'), 'update').close();
    disk.open(at('x'), 'create').close();
    expect(text('x')).toBe('kept');
    disk.open(at('x'), 'replace').close();
    expect(text('x')).toBe('');
  });

  test('cutting, growing and holes read as zeros', async () => {
    const file = disk.open(at('x'), 'create');
    await file.write([Buffer.alloc(100_000, 'a')], 0);
    file.truncate(70_000);
    file.truncate(90_000);
    await file.write([Buffer.from('end')], 200_000);
    const all = disk.readFile(at('x'));
    expect(all.length).toBe(200_003);
    expect(all.subarray(0, 70_000).equals(Buffer.alloc(70_000, 'a'))).toBe(true);
    expect(all.subarray(70_000, 200_000).equals(Buffer.alloc(130_000))).toBe(true);
    file.truncate(0);
    file.truncate(10);
    expect(disk.readFile(at('x')).equals(Buffer.alloc(10))).toBe(true);
    file.close();
  });

  test('more buffers than one call takes', async () => {
    const file = disk.open(at('x'), 'create');
    const buffers = Array.from({ length: 5_000 }, (_, index) => Buffer.from(`${index},`));
    await file.write(buffers, 10);
    file.writeSync(buffers, file.sizeBytes());
    const expected = Buffer.concat([Buffer.alloc(10), ...buffers, ...buffers]);
    expect(disk.readFile(at('x')).equals(expected)).toBe(true);
    file.close();
  });

  test('a buffer may change once its write has settled', async () => {
    const file = disk.open(at('x'), 'create');
    const buffer = Buffer.from('first ');
    await file.write([buffer], 0);
    buffer.write('second');
    await file.write([buffer], 6);
    expect(text('x')).toBe('first second');
    file.close();
  });

  test('who holds a file keeps it, whatever becomes of its name', () => {
    put('x', 'old');
    put('y', 'new');
    const unlinked = disk.open(at('x'), 'update');
    disk.unlink(at('x'));
    const replaced = disk.open(at('y'), 'read');
    put('z', 'newest');
    disk.rename(at('z'), at('y'));
    unlinked.writeSync([Buffer.from('OLD!')], 0);
    const target = Buffer.alloc(6);
    expect(target.toString('utf8', 0, unlinked.readSync(target, 0))).toBe('OLD!');
    expect(target.toString('utf8', 0, replaced.readSync(target, 0))).toBe('new');
    expect(disk.list(root)).toEqual(['y']);
    unlinked.close();
    replaced.close();
  });

  test('closing waits for what is running', async () => {
    const file = disk.open(at('x'), 'create');
    const writing = file.write([Buffer.alloc(3_000_000, 'x')], 0);
    const reading = file.read(Buffer.alloc(10), 0);
    const syncing = file.sync();
    file.close();
    await Promise.all([writing, reading, syncing]);
    expect(disk.status(at('x'))!.sizeBytes).toBe(3_000_000);
  });

  test('the lock has one holder', () => {
    const release = disk.lock(at('.lock'));
    expect(code(() => disk.lock(at('.lock')))).toBe('EBUSY');
    release();
    release();
    const again = disk.lock(at('.lock'));
    expect(code(() => disk.lock(at('.lock')))).toBe('EBUSY');
    again();
    expect(disk.list(root)).toEqual([]);
  });
});

describe('memory', () => {
  test('a full disk takes what fits, says ENOSPC, and has room again after a file is gone', async () => {
    const disk = new MemoryDisk({ bytesMax: 1_000 });
    const file = disk.open('x', 'create');
    await file.write([Buffer.alloc(300, 'a')], 0);
    await expect(file.write([Buffer.alloc(300, 'b'), Buffer.alloc(900, 'c')], 300)).rejects.toMatchObject({ code: 'ENOSPC', path: 'x' });
    expect(file.sizeBytes()).toBe(1_000);
    expect(disk.bytesUsed).toBe(1_000);
    expect(disk.readFile('x').equals(Buffer.concat([Buffer.alloc(300, 'a'), Buffer.alloc(300, 'b'), Buffer.alloc(400, 'c')]))).toBe(true);
    await file.write([Buffer.alloc(10, 'd')], 0);
    const other = disk.open('y', 'create');
    expect(() => other.writeSync([Buffer.from('y')], 0)).toThrow(/ENOSPC/);
    disk.unlink('x');
    expect(() => other.writeSync([Buffer.from('y')], 0)).toThrow(/ENOSPC/);
    file.close();
    other.writeSync([Buffer.from('y')], 0);
    expect(disk.bytesUsed).toBe(256);
    disk.setBytesMax(0);
    expect(disk.readFile('y').toString()).toBe('y');
    await disk.removeAll('y');
    other.close();
    expect(disk.bytesUsed).toBe(0);
  });

  test('a hole takes no memory, an append touches only the end', async () => {
    const disk = new MemoryDisk();
    const file = disk.open('x', 'create');
    file.truncate(10_485_760);
    expect(disk.bytesUsed).toBe(0);
    await file.write([Buffer.from('z')], 5_000_000);
    expect(disk.bytesUsed).toBe(65_536);
    file.truncate(0);
    expect(disk.bytesUsed).toBe(0);
    for (let index = 0; index < 10_000; index++) await file.write([Buffer.alloc(100)], index * 100);
    expect(disk.bytesUsed).toBeLessThan(1_000_000 + 65_536);
    file.close();
  });
});
