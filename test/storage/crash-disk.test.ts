/** The crash disk itself: it must lose what may be lost, keep what may not, and be a disk like the others. */
import { describe, expect, test } from 'vitest';
import { replaceFile } from '../../storage/files.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { contentsOf, CrashDisk, putFile } from './crash-disk.ts';
import { PLAIN_OUTCOMES } from './crash-outcome.ts';
import type { Outcome } from './crash-outcome.ts';

const text = (disk: MemoryDisk): Record<string, string> => Object.fromEntries([...contentsOf(disk)].map(([path, bytes]) => [path, bytes.toString('latin1')]));
const seeds = (count: number): Outcome[] => Array.from({ length: count }, (_, seed) => ({ seed }));
/** Everything that may be found after a crash at the boundary, each once. */
function found(disk: CrashDisk, boundary = disk.boundaries, count = 300): Set<string> {
  return new Set([...PLAIN_OUTCOMES, ...seeds(count)].map((outcome) => JSON.stringify(text(disk.image(boundary, outcome)))));
}
const of = (...images: Record<string, string>[]): Set<string> => new Set(images.map((image) => JSON.stringify(image)));

function base(files: Record<string, string> = {}): MemoryDisk {
  const disk = new MemoryDisk();
  disk.makeDirectory('d');
  for (const [path, content] of Object.entries(files)) putFile(disk, path, Buffer.from(content, 'latin1'));
  return disk;
}

test('a disk at rest survives as it is', () => {
  const disk = new CrashDisk({ from: base({ 'd/x': 'hello' }) });
  expect(found(disk)).toEqual(of({ '/d/': '', '/d/x': 'hello' }));
  expect(disk.readFile('d/x').toString()).toBe('hello');
});

test('a name lives as of the sync of its directory, contents as of the sync of the file', async () => {
  const disk = new CrashDisk({ from: base() });
  const file = disk.open('d/x', 'create');
  const created = disk.boundaries;
  await file.write([Buffer.from('ab')], 0);
  const written = disk.boundaries;
  await file.sync();
  const synced = disk.boundaries;
  disk.syncDirectory('d');
  expect(found(disk, 0)).toEqual(of({ '/d/': '' }));
  expect(found(disk, created)).toEqual(of({ '/d/': '' }, { '/d/': '', '/d/x': '' }));
  expect(found(disk, written)).toEqual(of({ '/d/': '' }, { '/d/': '', '/d/x': '' }, { '/d/': '', '/d/x': '\0\0' }, { '/d/': '', '/d/x': 'ab' }));
  expect(found(disk, synced)).toEqual(of({ '/d/': '' }, { '/d/': '', '/d/x': 'ab' }));
  expect(found(disk)).toEqual(of({ '/d/': '', '/d/x': 'ab' }));
});

test('unsynced writes are lost from behind, in the middle, or only their bytes', async () => {
  const disk = new CrashDisk({ from: base({ 'd/x': '' }) });
  const file = disk.open('d/x', 'update');
  await file.write([Buffer.from('a')], 0);
  await file.write([Buffer.from('b')], 1);
  await file.write([Buffer.from('c')], 2);
  // Of any length, each byte there or zero.
  const contents = ['', ...['a', '\0'].flatMap((a) => [a, ...['b', '\0'].flatMap((b) => [a + b, ...['c', '\0'].map((c) => a + b + c)])])];
  expect(found(disk)).toEqual(of(...contents.map((content) => ({ '/d/': '', '/d/x': content }))));
});

test('a write is torn at sectors, counted from the beginning of the file', async () => {
  const disk = new CrashDisk({ from: base({ 'd/x': '.'.repeat(500) }) });
  await disk.open('d/x', 'update').write([Buffer.alloc(600, 'n')], 500);
  const lengths = new Set([...found(disk)].map((image) => (JSON.parse(image) as Record<string, string>)['/d/x']!.replaceAll('\0', '0')));
  const sectors = ['n'.repeat(12), 'n'.repeat(512), 'n'.repeat(76)];
  const holes = sectors.map((sector) => '0'.repeat(sector.length));
  const old = '.'.repeat(500);
  for (const content of [old, old + sectors[0], old + sectors[0] + sectors[1], old + sectors.join(''), old + holes[0] + holes[1] + sectors[2], old + holes.join('')]) expect(lengths).toContain(content);
  for (const content of lengths) expect([500, 512, 1024, 1100]).toContain(content.length);
});

test('a truncation may be lost, with what is written after it or without', async () => {
  const disk = new CrashDisk({ from: base({ 'd/x': 'abcdef' }) });
  const file = disk.open('d/x', 'update');
  file.truncate(2);
  await file.write([Buffer.from('XY')], 2);
  expect(found(disk)).toEqual(of(...['abcdef', 'ab', 'abXY', 'abXYef', 'ab\0\0'].map((content) => ({ '/d/': '', '/d/x': content }))));
  await file.sync();
  expect(found(disk)).toEqual(of({ '/d/': '', '/d/x': 'abXY' }));
});

test('a rename and a removal may be lost', () => {
  const disk = new CrashDisk({ from: base({ 'd/x': 'x', 'd/y': 'y' }) });
  disk.rename('d/x', 'd/y');
  expect(found(disk)).toEqual(of({ '/d/': '', '/d/x': 'x', '/d/y': 'y' }, { '/d/': '', '/d/y': 'x' }));
  disk.syncDirectory('d');
  disk.unlink('d/y');
  expect(found(disk)).toEqual(of({ '/d/': '', '/d/y': 'x' }, { '/d/': '' }));
  disk.syncDirectory('d');
  expect(found(disk)).toEqual(of({ '/d/': '' }));
});

test('creations are lost without removals, and removals without creations', () => {
  const disk = new CrashDisk({ from: base({ 'd/x': 'x', 'd/y': 'y' }) });
  disk.open('d/z', 'create').close();
  disk.rename('d/x', 'd/w');
  disk.unlink('d/y');
  expect(text(disk.image(disk.boundaries, 'creations lost'))).toEqual({ '/d/': '', '/d/w': 'x' });
  expect(text(disk.image(disk.boundaries, 'removals lost'))).toEqual({ '/d/': '', '/d/x': 'x', '/d/y': 'y', '/d/z': '' });
  expect(found(disk).size).toBe(8);
});

test('a directory that is lost takes all that is in it along', () => {
  const disk = new CrashDisk({ from: base() });
  disk.makeDirectory('d/e/f');
  putFile(disk, 'd/e/f/x', Buffer.from('x'));
  disk.open('d/e/f/x', 'update').syncSync();
  disk.syncDirectory('d/e/f');
  disk.syncDirectory('d/e');
  expect(found(disk)).toEqual(of({ '/d/': '' }, { '/d/': '', '/d/e/': '', '/d/e/f/': '', '/d/e/f/x': 'x' }));
  disk.rename('d/e', 'd/g');
  disk.syncDirectory('d');
  expect(found(disk)).toEqual(of({ '/d/': '', '/d/g/': '', '/d/g/f/': '', '/d/g/f/x': 'x' }));
});

test('a sync covers what was written before it began and counts once it has resolved', async () => {
  const disk = new CrashDisk({ from: base({ 'd/x': '' }) });
  const file = disk.open('d/x', 'update');
  file.writeSync([Buffer.from('a')], 0);
  const syncing = file.sync();
  const begun = disk.boundaries;
  file.writeSync([Buffer.from('b')], 1);
  await syncing;
  expect(found(disk, begun)).toContain(JSON.stringify({ '/d/': '', '/d/x': '' }));
  expect(found(disk)).toEqual(of(...['a', 'ab', 'a\0'].map((content) => ({ '/d/': '', '/d/x': content }))));
});

test('after a failed sync a later one proves nothing', async () => {
  let failing = true;
  const disk = new CrashDisk({ from: base({ 'd/x': '' }), fault: ({ kind }) => (failing && (kind === 'sync' || kind === 'syncDirectory') ? { code: 'EIO' } : undefined) });
  const file = disk.open('d/x', 'update');
  disk.open('d/y', 'create').close();
  await file.write([Buffer.from('a')], 0);
  await expect(file.sync()).rejects.toMatchObject({ code: 'EIO', path: 'd/x' });
  expect(() => disk.syncDirectory('d')).toThrow(/EIO/);
  failing = false;
  await file.sync();
  disk.syncDirectory('d');
  const images = found(disk);
  expect(images).toContain(JSON.stringify({ '/d/': '', '/d/x': '' }));
  expect(images).toContain(JSON.stringify({ '/d/': '', '/d/x': 'a', '/d/y': '' }));
});

test('faults: the call that is named fails, a short write leaves half', async () => {
  const disk = new CrashDisk({ from: base({ 'd/x': '' }) });
  const failAt = (number: number, isShort = false): void => {
    const first = disk.calls.length;
    disk.fault = (call) => (call.number === first + number ? { code: 'ENOSPC', isShort } : undefined);
  };
  const file = disk.open('d/x', 'update');
  failAt(1);
  await file.write([Buffer.from('ab')], 0);
  await expect(file.write([Buffer.from('cd')], 2)).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(disk.readFile('d/x').toString()).toBe('ab');
  failAt(0, true);
  await expect(file.write([Buffer.from('c'), Buffer.from('def')], 2)).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(disk.readFile('d/x').toString()).toBe('abcd');
  for (const call of [() => disk.open('d/x', 'read'), () => disk.rename('d/x', 'd/y'), () => disk.unlink('d/x'), () => disk.list('d'), () => disk.status('d'), () => disk.syncDirectory('d'), () => file.truncate(0), () => disk.makeDirectory('e')]) {
    failAt(0);
    expect(call).toThrow(/ENOSPC/);
  }
  expect(text(disk.live)).toEqual({ '/d/': '', '/d/x': 'abcd' });
});

test('what was known at a boundary is what was observed before the next change', () => {
  let known = 'nothing';
  const disk = new CrashDisk({ from: base(), observe: () => known });
  known = 'something';
  const file = disk.open('d/x', 'create');
  known = 'more';
  file.syncSync();
  known = 'all';
  expect(Array.from({ length: disk.boundaries + 1 }, (_, boundary) => disk.observedAt(boundary))).toEqual(['something', 'more', 'all']);
  expect(disk.transcript()).toBe('0 create d/x\n1 sync d/x');
});

describe('a file is replaced whole', () => {
  const allowed = (images: Set<string>): Set<string | undefined> => new Set([...images].map((image) => (JSON.parse(image) as Record<string, string>)['/d/x']));

  test('a crash anywhere shows the old one or the new one, and afterwards the new one', async () => {
    const disk = new CrashDisk({ from: base({ 'd/x': 'old' }) });
    await replaceFile(disk, 'd/x', Buffer.from('new!'));
    for (let boundary = 0; boundary < disk.boundaries; boundary++) for (const content of allowed(found(disk, boundary))) expect(['old', 'new!']).toContain(content);
    expect(allowed(found(disk))).toEqual(new Set(['new!']));
  });

  test('and this test can fail: without a sync of the file, the directory, or both', async () => {
    const replaceBadly = async (disk: CrashDisk, syncs: { file: boolean; directory: boolean }): Promise<void> => {
      const file = disk.open('d/x.tmp', 'replace');
      await file.write([Buffer.from('new!')], 0);
      if (syncs.file) await file.sync();
      disk.rename('d/x.tmp', 'd/x');
      if (syncs.directory) disk.syncDirectory('d');
    };
    const noFileSync = new CrashDisk({ from: base({ 'd/x': 'old' }) });
    await replaceBadly(noFileSync, { file: false, directory: true });
    expect(allowed(found(noFileSync))).toEqual(new Set(['', 'new!', '\0\0\0\0']));
    const noDirectorySync = new CrashDisk({ from: base({ 'd/x': 'old' }) });
    await replaceBadly(noDirectorySync, { file: true, directory: false });
    expect(allowed(found(noDirectorySync))).toEqual(new Set(['old', 'new!']));
  });
});
