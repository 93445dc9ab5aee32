/**
 * A walk over the batches of a segment file, from a position that begins one, header by header.
 *
 * Promises: never loops, never reads beyond `end`, and tells apart why it stopped: at the end of the file, inside a batch that is not all
 * there (torn), or at bytes that begin no batch (zeros, garbage). Synchronous, in chunks; a body is read only when asked for.
 * Does not: verify checksums unless `load` and `crcMatches` are called.
 */
import { HEADER_BYTES_UP_TO_MAGIC, magic } from '../protocol/record/batch.ts';
import type { DiskFile } from './disk.ts';
import { HEADER_BYTES, storedCrcMatches, storedLastOffset, storedSize } from './stored-batch.ts';

export type ScanStop = 'none' | 'end' | 'torn' | 'garbage';

const CHUNK_BYTES_DEFAULT = 64 * 1024;

export class BatchScan {
  /** Bytes of the file from `bufferPosition` on; valid until the next call of `next` or `load`. */
  buffer: Buffer;
  /** Where in `buffer` the current batch begins. */
  at = 0;
  /** Where in the file the current batch begins; after `next` returned false, where the walk stopped. */
  position: number;
  /** Bytes of the current batch. */
  sizeBytes = 0;
  /** Why `next` returned false. */
  stop: ScanStop = 'none';

  readonly #file: DiskFile;
  readonly #end: number;
  #bufferPosition: number;
  #buffered = 0;

  constructor(file: DiskFile, position: number, end: number, chunkBytes: number = CHUNK_BYTES_DEFAULT) {
    this.#file = file;
    this.#end = end;
    this.position = position;
    this.#bufferPosition = position;
    this.buffer = Buffer.allocUnsafe(Math.max(HEADER_BYTES, Math.min(chunkBytes, end - position)));
  }

  /** Moves to the next batch, or returns false and says why in `stop`. */
  next(): boolean {
    if (this.stop !== 'none') return false;
    const position = this.position + this.sizeBytes;
    this.position = position;
    this.sizeBytes = 0;
    const left = this.#end - position;
    if (left <= 0) return this.#stopAt('end');
    const headerBytes = Math.min(HEADER_BYTES, left);
    if (headerBytes < HEADER_BYTES_UP_TO_MAGIC || !this.#fill(position, headerBytes)) return this.#stopAt('torn');
    const size = storedSize(this.buffer, this.at);
    if (size < 0) return this.#stopAt('garbage');
    if (size > left) return this.#stopAt('torn');
    if (size < HEADER_BYTES && magic(this.buffer, this.at) >= 2) return this.#stopAt('garbage');
    this.sizeBytes = size;
    return true;
  }

  get lastOffset(): number {
    return storedLastOffset(this.buffer, this.at);
  }

  /** Brings the whole current batch into `buffer`; false when the file is shorter than it said. */
  load(): boolean {
    return this.#fill(this.position, this.sizeBytes);
  }

  crcMatches(): boolean {
    return this.load() && storedCrcMatches(this.buffer, this.at);
  }

  #stopAt(stop: ScanStop): false {
    this.stop = stop;
    return false;
  }

  /** Sees to it that `bytes` from `position` on are in the buffer. */
  #fill(position: number, bytes: number): boolean {
    const at = position - this.#bufferPosition;
    if (at >= 0 && at + bytes <= this.#buffered) {
      this.at = at;
      return true;
    }
    if (bytes > this.buffer.length) this.buffer = Buffer.allocUnsafe(bytes);
    this.#bufferPosition = position;
    this.#buffered = this.#file.readSync(this.buffer.subarray(0, Math.min(this.buffer.length, this.#end - position)), position);
    this.at = 0;
    return this.#buffered >= bytes;
  }
}
