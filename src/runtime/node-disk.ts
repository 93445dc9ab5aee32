/**
 * Real files by node:fs.
 *
 * Promises: `write` and `writeSync` write everything or fail, whatever the operating system takes at a time; a file that is closed while a read,
 * a write or a sync of it is running is closed when that has ended, so that no call ever reaches a descriptor that has been given to another file.
 * Every failure of the operating system is a DiskError. Does not: cache, retry a failed call, or use FileHandle (its promises cost more than the call).
 */
import assert from 'node:assert';
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { DiskError } from '../../storage/disk.ts';
import type { Disk, DiskFile, DiskCapacity, FileStatus, OpenMode } from '../../storage/disk.ts';
import { lockFile } from './node-lock.ts';

/** Buffers that one writev takes (IOV_MAX on Linux and macOS). */
const WRITE_BUFFERS_MAX = 1024;

const OPEN_FLAGS: Record<OpenMode, number> = {
  read: fs.constants.O_RDONLY,
  update: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT,
  replace: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_TRUNC,
};

/** What the operating system said, as a DiskError; anything else is a mistake of ours and passes. */
function diskError(error: unknown, path: string, operation: string): Error {
  const { code, errno } = error as NodeJS.ErrnoException;
  if (typeof code === 'string' && typeof errno === 'number') return new DiskError(code, path, operation);
  return error as Error;
}

function attempt<T>(path: string, operation: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw diskError(error, path, operation);
  }
}

/** The next buffers of a vectored write: from `index` on, `skip` bytes into the first of them. */
function slice(buffers: readonly Buffer[], index: number, skip: number): readonly Buffer[] {
  if (index === 0 && skip === 0 && buffers.length <= WRITE_BUFFERS_MAX) return buffers;
  const part = buffers.slice(index, index + WRITE_BUFFERS_MAX);
  if (skip > 0) part[0] = part[0]!.subarray(skip);
  return part;
}

/** Where a vectored write stands: counts what the operating system took. */
class WriteProgress {
  readonly buffers: readonly Buffer[];
  private position: number;
  private index = 0;
  private skip = 0;

  constructor(buffers: readonly Buffer[], position: number) {
    this.buffers = buffers;
    this.position = position;
    this.advance(0);
  }

  get isDone(): boolean {
    return this.index === this.buffers.length;
  }

  next(): { part: readonly Buffer[]; position: number } {
    return { part: slice(this.buffers, this.index, this.skip), position: this.position };
  }

  advance(written: number): void {
    this.position += written;
    this.skip += written;
    while (this.index < this.buffers.length && this.skip >= this.buffers[this.index]!.length) {
      this.skip -= this.buffers[this.index]!.length;
      this.index++;
    }
  }
}

class NodeFile implements DiskFile {
  readonly path: string;
  private readonly descriptor: number;
  private readonly writable: boolean;
  private running = 0;
  private closed = false;

  constructor(path: string, descriptor: number, writable: boolean) {
    this.path = path;
    this.descriptor = descriptor;
    this.writable = writable;
  }

  sizeBytes(): number {
    assert(!this.closed, `${this.path} is closed`);
    return attempt(this.path, 'fstat', () => fs.fstatSync(this.descriptor).size);
  }

  readSync(target: Buffer, position: number): number {
    assert(!this.closed, `${this.path} is closed`);
    assert(position >= 0);
    let done = 0;
    try {
      while (done < target.length) {
        const count = fs.readSync(this.descriptor, target, done, target.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw diskError(error, this.path, 'read');
    }
    return done;
  }

  read(target: Buffer, position: number): Promise<number> {
    assert(!this.closed, `${this.path} is closed`);
    assert(position >= 0);
    if (target.length === 0) return Promise.resolve(0);
    this.running++;
    return new Promise((resolve, reject) => {
      let done = 0;
      const step = (): void => {
        fs.read(this.descriptor, target, done, target.length - done, position + done, (error, count) => {
          if (error !== null) {
            this.ended();
            reject(diskError(error, this.path, 'read'));
            return;
          }
          done += count;
          if (count > 0 && done < target.length) {
            step();
            return;
          }
          this.ended();
          resolve(done);
        });
      };
      step();
    });
  }

  write(buffers: readonly Buffer[], position: number): Promise<void> {
    this.assertWritable();
    assert(position >= 0);
    const progress = new WriteProgress(buffers, position);
    if (progress.isDone) return Promise.resolve();
    this.running++;
    return new Promise((resolve, reject) => {
      const step = (): void => {
        const { part, position: at } = progress.next();
        fs.writev(this.descriptor, part, at, (error, written) => {
          if (error !== null) {
            this.ended();
            reject(diskError(error, this.path, 'write'));
            return;
          }
          progress.advance(written);
          if (!progress.isDone) {
            // The reason for a short write (no space, an error of the device) comes with the next call.
            step();
            return;
          }
          this.ended();
          resolve();
        });
      };
      step();
    });
  }

  writeSync(buffers: readonly Buffer[], position: number): void {
    this.assertWritable();
    assert(position >= 0);
    const progress = new WriteProgress(buffers, position);
    try {
      while (!progress.isDone) {
        const { part, position: at } = progress.next();
        progress.advance(fs.writevSync(this.descriptor, part, at));
      }
    } catch (error) {
      throw diskError(error, this.path, 'write');
    }
  }

  truncate(sizeBytes: number): void {
    this.assertWritable();
    assert(sizeBytes >= 0);
    attempt(this.path, 'ftruncate', () => fs.ftruncateSync(this.descriptor, sizeBytes));
  }

  sync(): Promise<void> {
    assert(!this.closed, `${this.path} is closed`);
    this.running++;
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.descriptor, (error) => {
        this.ended();
        if (error !== null) reject(diskError(error, this.path, 'fdatasync'));
        else resolve();
      });
    });
  }

  syncSync(): void {
    assert(!this.closed, `${this.path} is closed`);
    attempt(this.path, 'fdatasync', () => fs.fdatasyncSync(this.descriptor));
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.running === 0) this.release();
  }

  private assertWritable(): void {
    assert(!this.closed, `${this.path} is closed`);
    assert(this.writable, `${this.path} is open for reading only`);
  }

  private ended(): void {
    this.running--;
    if (this.closed && this.running === 0) this.release();
  }

  private release(): void {
    attempt(this.path, 'close', () => fs.closeSync(this.descriptor));
  }
}

export class NodeDisk implements Disk {
  /** getrusage's count of blocks; of all threads, so that another's read passes for ours. */
  deviceReads(): number {
    return process.resourceUsage().fsRead;
  }

  list(directory: string): string[] {
    return attempt(directory, 'list', () => fs.readdirSync(directory)).sort();
  }

  status(path: string): FileStatus | undefined {
    const status = attempt(path, 'stat', () => {
      try {
        return fs.statSync(path, { throwIfNoEntry: false });
      } catch (error) {
        // A path through a file is a path to nothing.
        if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
        throw error;
      }
    });
    if (status === undefined) return undefined;
    const isDirectory = status.isDirectory();
    return { sizeBytes: isDirectory ? 0 : status.size, isDirectory, modifiedMs: Math.floor(status.mtimeMs) };
  }

  makeDirectory(path: string): void {
    // Not by Node's own recursion: it never returns where the system answers ENOENT for a parent that is there, as /proc does.
    if (this.status(path)?.isDirectory === true) return;
    const parent = dirname(path);
    if (parent !== path && this.status(parent) === undefined) this.makeDirectory(parent);
    try {
      fs.mkdirSync(path);
    } catch (error) {
      // Somebody else was quicker.
      if ((error as NodeJS.ErrnoException).code === 'EEXIST' && this.status(path)?.isDirectory === true) return;
      throw diskError(error as NodeJS.ErrnoException, path, 'mkdir');
    }
  }

  removeDirectory(path: string): void {
    attempt(path, 'rmdir', () => fs.rmdirSync(path));
  }

  open(path: string, mode: OpenMode): DiskFile {
    const descriptor = attempt(path, 'open', () => fs.openSync(path, OPEN_FLAGS[mode], 0o644));
    if (mode === 'read' && fs.fstatSync(descriptor).isDirectory()) {
      // Only reading opens a directory; the other modes are refused by the operating system.
      fs.closeSync(descriptor);
      throw new DiskError('EISDIR', path, 'open');
    }
    return new NodeFile(path, descriptor, mode !== 'read');
  }

  readFile(path: string): Buffer {
    return attempt(path, 'read', () => fs.readFileSync(path));
  }

  rename(from: string, to: string): void {
    attempt(from, 'rename', () => fs.renameSync(from, to));
  }

  unlink(path: string): void {
    // For a directory Linux says EISDIR, macOS EPERM.
    attempt(path, 'unlink', () => fs.unlinkSync(path));
  }

  removeAll(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.rm(path, { recursive: true, force: true }, (error) => {
        if (error !== null) reject(diskError(error, path, 'rm'));
        else resolve();
      });
    });
  }

  syncDirectory(path: string): void {
    // Windows opens no directories, and keeps names in its own journal.
    if (process.platform === 'win32') return;
    attempt(path, 'fsync', () => {
      const descriptor = fs.openSync(path, fs.constants.O_RDONLY | (fs.constants.O_DIRECTORY ?? 0));
      try {
        fs.fsyncSync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    });
  }

  lock(path: string): () => void {
    return attempt(path, 'lock', () => lockFile(path));
  }

  capacity(path: string): DiskCapacity {
    const { bsize, blocks, bavail } = attempt(path, 'statfs', () => fs.statfsSync(path));
    return { totalBytes: bsize * blocks, usableBytes: bsize * bavail };
  }

  setModified(path: string, ms: number): void {
    attempt(path, 'utime', () => fs.utimesSync(path, ms / 1000, ms / 1000));
  }
}
