/**
 * The whole surface that the log needs of a file system, as one small interface, so that the same log runs on real files, in memory,
 * and on a simulated disk that tears, loses and reorders what was not synced.
 *
 * Promises: calls on names (list, open, rename, unlink, ...) are synchronous and take effect in call order. Bulk data moves by `read` and
 * `write`, which are asynchronous on real files. Nothing is durable before `sync` (of the file) and `syncDirectory` (of its name) have resolved.
 * Does not: retry, buffer, or keep a position. Paths are strings with '/', relative or absolute as the owner of the disk likes.
 *
 * Errors are `DiskError`s with Node's codes (ENOENT, EEXIST, ENOSPC, EIO, EMFILE, EROFS, EACCES, ENOTEMPTY ...).
 */

/** What a failed disk call throws or rejects with. `code` is the operating system's name for it. */
export class DiskError extends Error {
  readonly code: string;
  readonly path: string;
  /** The system's name of the call; 'fdatasync' and 'fsync' for those that make something durable. */
  readonly operation: string;
  constructor(code: string, path: string, operation: string) {
    super(`${code}: ${operation} '${path}'`);
    this.name = 'DiskError';
    this.code = code;
    this.path = path;
    this.operation = operation;
  }
}

export type OpenMode =
  /** The file must exist; writing to it is an error of ours. */
  | 'read'
  /** Reading and writing; the file must exist. */
  | 'update'
  /** Reading and writing; made when it is missing, kept as it is when not. */
  | 'create'
  /** Reading and writing; made when missing, emptied when not. */
  | 'replace';

export interface FileStatus {
  readonly sizeBytes: number;
  readonly isDirectory: boolean;
  /** Wall time of the last change, in ms since the epoch. */
  readonly modifiedMs: number;
}

export interface DiskFile {
  readonly path: string;
  sizeBytes(): number;
  /** Fills `target` from `position` as far as the file goes; returns the bytes read. For small reads (index entries, headers). */
  readSync(target: Buffer, position: number): number;
  /** As `readSync`, without holding up the event loop: for large reads. `target` belongs to the disk until the promise settles. */
  read(target: Buffer, position: number): Promise<number>;
  /**
   * Writes all buffers one after the other from `position` on (one vectored write), or rejects; after a rejection any prefix may have been written.
   * The buffers must not be changed until the promise settles. One write at a time per file.
   */
  write(buffers: readonly Buffer[], position: number): Promise<void>;
  /** As `write`, at once. For small files and index entries. */
  writeSync(buffers: readonly Buffer[], position: number): void;
  /** Cuts the file, or extends it with zeros. */
  truncate(sizeBytes: number): void;
  /** Makes the file's data and size durable (fdatasync). After one rejection the file's durability is unknown: never sync again and call it safe. */
  sync(): Promise<void>;
  syncSync(): void;
  close(): void;
}

export interface DiskCapacity {
  readonly totalBytes: number;
  readonly usableBytes: number;
}

export interface Disk {
  /** Names in a directory, sorted, without '.' and '..'. Throws ENOENT. */
  list(directory: string): string[];
  /** undefined when there is nothing of that name. */
  status(path: string): FileStatus | undefined;
  /** Makes the directory and its parents; nothing happens when it exists. */
  makeDirectory(path: string): void;
  /** Removes an empty directory. */
  removeDirectory(path: string): void;
  open(path: string, mode: OpenMode): DiskFile;
  /** The whole of a small file. Throws ENOENT. */
  readFile(path: string): Buffer;
  /** Replaces `to` when it exists. Works for directories too. */
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Removes a file or a directory with all that is in it, without holding up the event loop. Nothing happens when it is missing. */
  removeAll(path: string): Promise<void>;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): void;
  /**
   * Takes the advisory lock of a directory for this process, by the file of that name. Throws a DiskError EBUSY when a living process holds it.
   * Returns the function that gives it back.
   */
  lock(path: string): () => void;
  /** How large the file system of the path is, and what of it this process may still use. Disks that are none do not tell. */
  capacity?(path: string): DiskCapacity;
  /** Grows when a read of this process has to fetch from the device what the operating system did not hold, in no unit in particular. */
  deviceReads(): number;
  /** Sets a file's modification time (retention by age reads it where a segment has no timestamps). */
  setModified(path: string, ms: number): void;
}
