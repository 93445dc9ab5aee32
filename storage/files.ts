/**
 * Small files that are replaced whole: checkpoints, marks, properties.
 *
 * Promises: after a crash at any moment the file is the old one or the new one, never a part of either, and once the promise has resolved it
 * is the new one. Does not: merge or order two replacements of one path that run at once; `ReplacedFile` does.
 */
import { DiskError } from './disk.ts';
import type { Disk } from './disk.ts';

/**
 * What reading a small file gives. A bad file is told apart from a missing one, because nobody may take it for one that says 0. A file without a byte is
 * either: Apache Kafka makes its checkpoints empty at the first start, and a power loss empties a file whose rename was not synced.
 */
export type Loaded<T> =
  | { readonly status: 'ok'; readonly value: T }
  | { readonly status: 'missing' }
  | { readonly status: 'empty' }
  | { readonly status: 'corrupt'; readonly reason: string };

export function corrupt(reason: string): { readonly status: 'corrupt'; readonly reason: string } {
  return { status: 'corrupt', reason };
}

/** Reads, and parses what is not empty; errors of the disk other than ENOENT are thrown. */
export function loadFile<T>(disk: Disk, path: string, parse: (bytes: Buffer) => Loaded<T>): Loaded<T> {
  let bytes: Buffer;
  try {
    bytes = disk.readFile(path);
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return { status: 'missing' };
    throw error;
  }
  return bytes.length === 0 ? { status: 'empty' } : parse(bytes);
}

export function joinPath(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}

/** Where the new content is written before it takes the name; Kafka's brokers remove or overwrite leftovers of the same name. */
function temporaryPath(path: string): string {
  return `${path}.tmp`;
}

/**
 * Replaces the file by write, sync, rename, sync of the directory. On a failure the old content stays (the last step alone can fail with the new one
 * in its place, not known to be durable) and the DiskError is passed on: an EIO of either sync is the end of the directory, not to be tried again.
 */
export async function replaceFile(disk: Disk, path: string, content: Buffer): Promise<void> {
  const temporary = temporaryPath(path);
  const file = disk.open(temporary, 'replace');
  try {
    await file.write([content], 0);
    await file.sync();
  } catch (error) {
    file.close();
    discard(disk, temporary);
    throw asWrite(error);
  }
  file.close();
  disk.rename(temporary, path);
  disk.syncDirectory(parentOf(path));
}

/** As `replaceFile`, holding up the event loop: at start and stop, and where the caller may not wait. */
export function replaceFileSync(disk: Disk, path: string, content: Buffer): void {
  const temporary = temporaryPath(path);
  const file = disk.open(temporary, 'replace');
  try {
    file.writeSync([content], 0);
    file.syncSync();
  } catch (error) {
    file.close();
    discard(disk, temporary);
    throw asWrite(error);
  }
  file.close();
  disk.rename(temporary, path);
  disk.syncDirectory(parentOf(path));
}

/** Some file systems find only in the sync that there is no room. As the file was new and is given up, that leaves nothing in doubt. */
function asWrite(error: unknown): unknown {
  const isFull = error instanceof DiskError && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
  return isFull ? new DiskError(error.code, error.path, 'write') : error;
}

/** A full disk needs the room; that the rest of a failed write cannot be removed changes nothing, it is overwritten by the next. */
function discard(disk: Disk, path: string): void {
  try {
    disk.unlink(path);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
  }
}

/** Removes the file durably. Nothing happens when it is missing. */
export function removeFile(disk: Disk, path: string): void {
  if (disk.status(path) === undefined) return;
  disk.unlink(path);
  disk.syncDirectory(parentOf(path));
}

/** A file that is replaced again and again: replacements of one file run one after the other, and those that wait are one, of the newest content. */
export class ReplacedFile {
  readonly path: string;
  readonly #disk: Disk;
  #running: Promise<void> | undefined;
  #waiting: { content: Buffer; done: Promise<void> } | undefined;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.path = path;
  }

  /** Resolves when this content or a newer one is durable. */
  replace(content: Buffer): Promise<void> {
    if (this.#waiting !== undefined) {
      this.#waiting.content = content;
      return this.#waiting.done;
    }
    if (this.#running === undefined) return this.#run(content);
    const next = (): Promise<void> => {
      const { content: newest } = this.#waiting!;
      this.#waiting = undefined;
      return this.#run(newest);
    };
    // One replacement that failed does not fail the next.
    const done = this.#running.then(next, next);
    this.#waiting = { content, done };
    return done;
  }

  async #run(content: Buffer): Promise<void> {
    const running = replaceFile(this.#disk, this.path, content);
    this.#running = running;
    try {
      await running;
    } finally {
      if (this.#running === running) this.#running = undefined;
    }
  }
}
