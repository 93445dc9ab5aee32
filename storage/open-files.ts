/**
 * The file descriptors of all logs of a directory: opened when they are needed, the least recently used closed when there are too many, so that
 * ten thousand partitions fit one process.
 *
 * Promises: never more than `openFilesMax` open, except those in the middle of a read, write or sync. When the system runs out of descriptors
 * earlier (EMFILE), half of ours are given back and the open is tried once more.
 * Does not: know what is in a file. Closing one with unsynced writes is safe: a later sync of the same name makes them durable.
 */
import { type Disk, DiskError, type DiskFile, type OpenMode } from './disk.ts';

export interface OpenFilesOptions {
  readonly openFilesMax: number;
}

export const OPEN_FILES_MAX_DEFAULT = 4096;

/** One file that may or may not be open at the moment. */
export class FileHandle {
  path: string;
  file: DiskFile | undefined;
  /** Asynchronous calls under way: it is not closed before they end. */
  pins = 0;

  constructor(path: string) {
    this.path = path;
  }
}

export class OpenFiles {
  readonly disk: Disk;
  readonly #max: number;
  /** Least recently used first: a Map keeps the order of insertion. */
  readonly #open = new Map<FileHandle, true>();
  /** Given up in the middle of a call, to be closed at its end. */
  readonly #closing = new Map<DiskFile, FileHandle>();

  constructor(disk: Disk, options: OpenFilesOptions = { openFilesMax: OPEN_FILES_MAX_DEFAULT }) {
    this.disk = disk;
    this.#max = options.openFilesMax;
  }

  get count(): number {
    return this.#open.size;
  }

  /** The open file, good until the caller next waits; to keep it over a wait, raise `pins` before and lower it after. */
  use(handle: FileHandle, mode: OpenMode = 'update'): DiskFile {
    if (handle.file !== undefined) {
      this.#open.delete(handle);
      this.#open.set(handle, true);
      return handle.file;
    }
    if (this.#open.size >= this.#max) this.#closeOldest(this.#open.size - this.#max + 1);
    const file = this.#openFile(handle.path, mode);
    handle.file = file;
    this.#open.set(handle, true);
    return file;
  }

  /** Closes it now, or as soon as the calls under way have ended. */
  close(handle: FileHandle): void {
    if (handle.file === undefined) return;
    this.#open.delete(handle);
    const file = handle.file;
    handle.file = undefined;
    if (handle.pins === 0) file.close();
    else this.#closing.set(file, handle);
  }

  /** Ends a call under way on a file that `use` returned. */
  unpin(handle: FileHandle): void {
    handle.pins--;
    if (handle.pins > 0 || this.#closing.size === 0) return;
    for (const [file, owner] of this.#closing) {
      if (owner !== handle) continue;
      this.#closing.delete(file);
      file.close();
    }
  }

  #openFile(path: string, mode: OpenMode): DiskFile {
    try {
      return this.disk.open(path, mode);
    } catch (error) {
      if (!(error instanceof DiskError) || (error.code !== 'EMFILE' && error.code !== 'ENFILE')) throw error;
      this.#closeOldest(Math.ceil(this.#open.size / 2));
      return this.disk.open(path, mode);
    }
  }

  #closeOldest(count: number): void {
    let left = count;
    for (const handle of this.#open.keys()) {
      if (left === 0) return;
      if (handle.pins > 0) continue;
      this.close(handle);
      left--;
    }
  }
}
