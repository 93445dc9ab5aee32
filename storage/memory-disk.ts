/**
 * A disk in memory: `--memory`, embedded test brokers, and most tests of the log.
 *
 * Promises: behaves as a real file system does to one process: an unlinked or replaced file lives on for those who hold it open, holes read
 * as zeros, a full disk (`bytesMax`) takes what fits of a write and then says ENOSPC. Appends copy each byte once and never move what is there.
 * Does not: survive the process, and so has nothing to sync; keep access times, links or permissions. Names are relative to one root, so that
 * `/a/b`, `a/b` and `a//b` are the same file.
 */
import assert from 'node:assert';
import { DiskError } from './disk.ts';
import type { Disk, DiskFile, FileStatus, OpenMode } from './disk.ts';

/** Contents lie in pages, so that an append touches only the last one and a hole costs nothing. */
const PAGE_BYTES = 65_536;
/** The least that a page takes; a page grows by doubling, since most files of a broker are a few bytes long. */
const PAGE_BYTES_MIN = 256;

const EMPTY = Buffer.alloc(0);

export interface MemoryDiskOptions {
  /** What the disk holds, counted in allocated pages. Without it there is no limit. */
  readonly bytesMax?: number;
  /** Wall time for the stamps of files; without it every file is of 1970. */
  readonly nowMs?: () => number;
}

interface Space {
  bytesUsed: number;
  bytesMax: number;
}

/** The contents of one file, apart from its names. */
class FileContent {
  sizeBytes = 0;
  modifiedMs: number;
  /** Open handles and names; at zero the pages go back. */
  holders = 0;
  private pages: (Buffer | undefined)[] = [];
  private readonly space: Space;

  constructor(space: Space, modifiedMs: number) {
    this.space = space;
    this.modifiedMs = modifiedMs;
  }

  read(target: Buffer, position: number): number {
    const count = Math.min(target.length, this.sizeBytes - position);
    if (count <= 0) return 0;
    let done = 0;
    while (done < count) {
      const at = position + done;
      const inPage = at % PAGE_BYTES;
      const step = Math.min(count - done, PAGE_BYTES - inPage);
      const page = this.pages[(at - inPage) / PAGE_BYTES];
      const copied = page === undefined ? 0 : page.copy(target, done, inPage, Math.min(inPage + step, page.length));
      if (copied < step) target.fill(0, done + copied, done + step);
      done += step;
    }
    return count;
  }

  /** Writes as far as there is room; returns how much that was. */
  write(source: Buffer, position: number): number {
    let done = 0;
    while (done < source.length) {
      const at = position + done;
      const inPage = at % PAGE_BYTES;
      const room = this.reserve((at - inPage) / PAGE_BYTES, inPage + Math.min(source.length - done, PAGE_BYTES - inPage));
      const step = Math.min(source.length - done, room.length - inPage);
      if (step <= 0) break;
      source.copy(room, inPage, done, done + step);
      done += step;
    }
    if (done > 0) this.sizeBytes = Math.max(this.sizeBytes, position + done);
    return done;
  }

  /** The page, grown to `bytes` where the space allows, else as large as it is. */
  private reserve(index: number, bytes: number): Buffer {
    const page = this.pages[index];
    const capacity = page === undefined ? 0 : page.length;
    if (page !== undefined && capacity >= bytes) return page;
    let grown = Math.max(capacity, PAGE_BYTES_MIN);
    while (grown < bytes) grown *= 2;
    // A page after the first belongs to a file that is long already.
    if (index > 0) grown = PAGE_BYTES;
    grown = Math.min(grown, capacity + this.space.bytesMax - this.space.bytesUsed);
    if (grown <= capacity) return page ?? EMPTY;
    this.space.bytesUsed += grown - capacity;
    const larger = Buffer.alloc(grown);
    if (page !== undefined) page.copy(larger);
    this.pages[index] = larger;
    return larger;
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) {
      const kept = Math.ceil(sizeBytes / PAGE_BYTES);
      for (let index = kept; index < this.pages.length; index++) this.space.bytesUsed -= this.pages[index]?.length ?? 0;
      this.pages.length = Math.min(this.pages.length, kept);
      // What comes back when the file grows again must be zeros.
      const inPage = sizeBytes % PAGE_BYTES;
      if (inPage > 0) this.pages[kept - 1]?.fill(0, Math.min(inPage, this.pages[kept - 1]!.length));
    }
    this.sizeBytes = sizeBytes;
  }

  release(): void {
    assert(this.holders > 0);
    this.holders--;
    if (this.holders === 0) {
      this.truncate(0);
    }
  }
}

class Directory {
  readonly children = new Map<string, Directory | FileContent>();
  readonly modifiedMs: number;
  constructor(modifiedMs: number) {
    this.modifiedMs = modifiedMs;
  }
}

class MemoryFile implements DiskFile {
  readonly path: string;
  private readonly content: FileContent;
  private readonly writable: boolean;
  private readonly nowMs: () => number;
  private open = true;

  constructor(path: string, content: FileContent, writable: boolean, nowMs: () => number) {
    this.path = path;
    this.content = content;
    this.writable = writable;
    this.nowMs = nowMs;
    content.holders++;
  }

  sizeBytes(): number {
    assert(this.open, `${this.path} is closed`);
    return this.content.sizeBytes;
  }

  readSync(target: Buffer, position: number): number {
    assert(this.open, `${this.path} is closed`);
    assert(position >= 0);
    return this.content.read(target, position);
  }

  async read(target: Buffer, position: number): Promise<number> {
    return this.readSync(target, position);
  }

  async write(buffers: readonly Buffer[], position: number): Promise<void> {
    this.writeSync(buffers, position);
  }

  writeSync(buffers: readonly Buffer[], position: number): void {
    assert(this.open, `${this.path} is closed`);
    assert(this.writable, `${this.path} is open for reading only`);
    assert(position >= 0);
    let at = position;
    for (const buffer of buffers) {
      const done = this.content.write(buffer, at);
      at += done;
      if (done < buffer.length) throw new DiskError('ENOSPC', this.path, 'write');
    }
    this.content.modifiedMs = this.nowMs();
  }

  truncate(sizeBytes: number): void {
    assert(this.open, `${this.path} is closed`);
    assert(this.writable, `${this.path} is open for reading only`);
    assert(sizeBytes >= 0);
    this.content.truncate(sizeBytes);
    this.content.modifiedMs = this.nowMs();
  }

  async sync(): Promise<void> {
    this.syncSync();
  }

  syncSync(): void {
    assert(this.open, `${this.path} is closed`);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.content.release();
  }
}

export class MemoryDisk implements Disk {
  private readonly space: Space;
  private readonly nowMs: () => number;
  private readonly root: Directory;
  private readonly locks = new Set<string>();

  constructor(options: MemoryDiskOptions = {}) {
    this.space = { bytesUsed: 0, bytesMax: options.bytesMax ?? Infinity };
    this.nowMs = options.nowMs ?? (() => 0);
    this.root = new Directory(this.nowMs());
  }

  /** Bytes of memory that the files take. */
  get bytesUsed(): number {
    return this.space.bytesUsed;
  }

  /** Makes the disk larger or smaller; what it holds already stays. */
  setBytesMax(bytesMax: number): void {
    this.space.bytesMax = bytesMax;
  }

  deviceReads(): number {
    return 0;
  }

  list(directory: string): string[] {
    return [...this.directory(directory, 'list').children.keys()].sort();
  }

  status(path: string): FileStatus | undefined {
    const node = this.find(path);
    if (node === undefined) return undefined;
    if (node instanceof Directory) return { sizeBytes: 0, isDirectory: true, modifiedMs: node.modifiedMs };
    return { sizeBytes: node.sizeBytes, isDirectory: false, modifiedMs: node.modifiedMs };
  }

  makeDirectory(path: string): void {
    let at = this.root;
    for (const name of names(path)) {
      let next = at.children.get(name);
      if (next === undefined) {
        next = new Directory(this.nowMs());
        at.children.set(name, next);
      }
      if (!(next instanceof Directory)) throw new DiskError('EEXIST', path, 'mkdir');
      at = next;
    }
  }

  removeDirectory(path: string): void {
    const { parent, name } = this.parent(path, 'rmdir');
    const node = parent.children.get(name);
    if (node === undefined) throw new DiskError('ENOENT', path, 'rmdir');
    if (!(node instanceof Directory)) throw new DiskError('ENOTDIR', path, 'rmdir');
    if (node.children.size > 0) throw new DiskError('ENOTEMPTY', path, 'rmdir');
    parent.children.delete(name);
  }

  open(path: string, mode: OpenMode): DiskFile {
    const { parent, name } = this.parent(path, 'open');
    let node = parent.children.get(name);
    if (node instanceof Directory) throw new DiskError('EISDIR', path, 'open');
    if (node === undefined) {
      if (mode === 'read' || mode === 'update') throw new DiskError('ENOENT', path, 'open');
      node = new FileContent(this.space, this.nowMs());
      node.holders++;
      parent.children.set(name, node);
    } else if (mode === 'replace') {
      node.truncate(0);
    }
    return new MemoryFile(path, node, mode !== 'read', this.nowMs);
  }

  readFile(path: string): Buffer {
    const { parent, name } = this.parent(path, 'open');
    const node = parent.children.get(name);
    if (node === undefined) throw new DiskError('ENOENT', path, 'open');
    if (node instanceof Directory) throw new DiskError('EISDIR', path, 'read');
    const bytes = Buffer.allocUnsafeSlow(node.sizeBytes);
    node.read(bytes, 0);
    return bytes;
  }

  rename(from: string, to: string): void {
    const source = this.parent(from, 'rename');
    const node = source.parent.children.get(source.name);
    if (node === undefined) throw new DiskError('ENOENT', from, 'rename');
    const target = this.parent(to, 'rename');
    const replaced = target.parent.children.get(target.name);
    if (replaced === node) return;
    if (node instanceof Directory) {
      if (`/${names(to).join('/')}/`.startsWith(`/${names(from).join('/')}/`)) throw new DiskError('EINVAL', from, 'rename');
      if (replaced instanceof FileContent) throw new DiskError('ENOTDIR', from, 'rename');
      if (replaced !== undefined && replaced.children.size > 0) throw new DiskError('ENOTEMPTY', from, 'rename');
    } else if (replaced instanceof Directory) {
      throw new DiskError('EISDIR', from, 'rename');
    }
    source.parent.children.delete(source.name);
    target.parent.children.set(target.name, node);
    if (replaced instanceof FileContent) replaced.release();
  }

  unlink(path: string): void {
    const { parent, name } = this.parent(path, 'unlink');
    const node = parent.children.get(name);
    if (node === undefined) throw new DiskError('ENOENT', path, 'unlink');
    if (node instanceof Directory) throw new DiskError('EISDIR', path, 'unlink');
    parent.children.delete(name);
    node.release();
  }

  async removeAll(path: string): Promise<void> {
    if (this.find(path) === undefined) return;
    const { parent, name } = this.parent(path, 'rm');
    const node = parent.children.get(name)!;
    parent.children.delete(name);
    releaseAll(node);
  }

  syncDirectory(path: string): void {
    this.directory(path, 'open');
  }

  lock(path: string): () => void {
    const key = names(path).join('/');
    if (this.locks.has(key)) throw new DiskError('EBUSY', path, 'lock, held by this process,');
    this.open(path, 'create').close();
    this.locks.add(key);
    return () => {
      if (!this.locks.delete(key)) return;
      if (this.status(path) !== undefined) this.unlink(path);
    };
  }

  setModified(path: string, ms: number): void {
    const node = this.find(path);
    if (node === undefined) throw new DiskError('ENOENT', path, 'utime');
    if (node instanceof FileContent) node.modifiedMs = ms;
  }

  private find(path: string): Directory | FileContent | undefined {
    let at: Directory | FileContent | undefined = this.root;
    for (const name of names(path)) {
      if (!(at instanceof Directory)) return undefined;
      at = at.children.get(name);
    }
    return at;
  }

  private directory(path: string, operation: string): Directory {
    const node = this.find(path);
    if (node === undefined) throw new DiskError('ENOENT', path, operation);
    if (!(node instanceof Directory)) throw new DiskError('ENOTDIR', path, operation);
    return node;
  }

  private parent(path: string, operation: string): { parent: Directory; name: string } {
    const all = names(path);
    const name = all.pop();
    if (name === undefined) throw new DiskError('EINVAL', path, operation);
    let at: Directory = this.root;
    for (const step of all) {
      const next = at.children.get(step);
      if (next === undefined) throw new DiskError('ENOENT', path, operation);
      if (!(next instanceof Directory)) throw new DiskError('ENOTDIR', path, operation);
      at = next;
    }
    return { parent: at, name };
  }
}

function releaseAll(node: Directory | FileContent): void {
  if (node instanceof FileContent) {
    node.release();
    return;
  }
  for (const child of node.children.values()) releaseAll(child);
}

function names(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  assert(!parts.includes('..'), `'..' in ${path}`);
  return parts;
}
