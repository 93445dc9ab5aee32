/**
 * The newest written batches of each log, kept in memory so that consumers at the tail are served without touching the file, within one budget
 * of bytes for all logs.
 *
 * Promises: what is kept of a log is a gapless suffix of what was written to it; the oldest of all logs goes first. A buffer that was handed
 * to a reader stays valid after it was dropped here. What is dropped is not held; what is kept holds no more than a few times the budget, whatever
 * the buffers are views of.
 * Does not: hold what is not written yet (the log's queue does), copy but for that.
 */
import { lastOffset, sizeInBytes } from '../protocol/record/batch.ts';

export interface TailBudgetOptions {
  /** Bytes of batches kept in memory over all logs, with what their bookkeeping takes. 0 keeps none. */
  readonly tailBytesMax: number;
}

export const TAIL_BYTES_MAX_DEFAULT = 32 * 1024 * 1024;

/** What a chunk costs beside its bytes: the objects themselves. */
const CHUNK_OVERHEAD_BYTES = 512;

/** A view of something this many times its size is copied: else one small batch keeps a request of 100 MB alive that was refused but for it. */
const VIEW_OF_MAX = 4;

/** One or more whole batches, contiguous in one segment. */
export interface TailChunk {
  readonly buffer: Buffer;
  readonly baseOffset: number;
  readonly nextOffset: number;
  /** Where it begins in the segment file. */
  readonly position: number;
  /** Given by an owner who wants the buffer back once it is written: then it is not kept here. */
  readonly release: (() => void) | undefined;
}

interface Kept {
  readonly chunk: TailChunk;
  readonly tail: Tail;
  next: Kept | undefined;
}

export class TailBudget {
  readonly #bytesMax: number;
  #bytes = 0;
  #oldest: Kept | undefined;
  #newest: Kept | undefined;

  constructor(options: TailBudgetOptions = { tailBytesMax: TAIL_BYTES_MAX_DEFAULT }) {
    this.#bytesMax = options.tailBytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(tail: Tail, chunk: TailChunk): void {
    const kept: Kept = { chunk, tail, next: undefined };
    if (this.#newest === undefined) this.#oldest = kept;
    else this.#newest.next = kept;
    this.#newest = kept;
    this.#bytes += chunk.buffer.length + CHUNK_OVERHEAD_BYTES;
    while (this.#bytes > this.#bytesMax && this.#oldest !== undefined) this.#dropOldest(this.#oldest);
  }

  #dropOldest(kept: Kept): void {
    this.#oldest = kept.next;
    if (this.#oldest === undefined) this.#newest = undefined;
    this.#bytes -= kept.chunk.buffer.length + CHUNK_OVERHEAD_BYTES;
    kept.tail.drop(kept.chunk);
  }

  /** Gives back the bytes of chunks that their log has dropped itself. Rare (truncation, deletion), so a walk over all is fine. */
  forget(tail: Tail): void {
    let previous: Kept | undefined;
    for (let kept = this.#oldest; kept !== undefined; kept = kept.next) {
      if (kept.tail === tail && !tail.has(kept.chunk)) {
        this.#bytes -= kept.chunk.buffer.length + CHUNK_OVERHEAD_BYTES;
        if (previous === undefined) this.#oldest = kept.next;
        else previous.next = kept.next;
      } else {
        previous = kept;
      }
    }
    this.#newest = previous;
  }
}

export class Tail {
  readonly #budget: TailBudget;
  /** Chunks before the first one are dropped, and no more referred to; the array is cut now and then, so that dropping costs nothing each time. */
  #chunks: (TailChunk | undefined)[] = [];
  #first = 0;

  constructor(budget: TailBudget) {
    this.#budget = budget;
  }

  get chunkCount(): number {
    return this.#chunks.length - this.#first;
  }

  /** The offset from which on everything written is here; undefined when nothing is. */
  get baseOffset(): number | undefined {
    return this.#chunks[this.#first]?.baseOffset;
  }

  chunk(number: number): TailChunk | undefined {
    return this.#chunks[this.#first + number];
  }

  add(chunk: TailChunk): void {
    const { buffer } = chunk;
    const kept = buffer.buffer.byteLength <= VIEW_OF_MAX * (buffer.length + CHUNK_OVERHEAD_BYTES) ? chunk : { ...chunk, buffer: copyOf(buffer) };
    this.#chunks.push(kept);
    this.#budget.add(this, kept);
  }

  has(chunk: TailChunk): boolean {
    const number = this.find(chunk.baseOffset);
    return this.chunk(number) === chunk;
  }

  /** The budget takes back the oldest chunk. */
  drop(chunk: TailChunk): void {
    if (this.#chunks[this.#first] !== chunk) return;
    this.#chunks[this.#first++] = undefined;
    if (this.#first > 64 && this.#first * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#first = 0;
    }
  }

  /** The first chunk that holds `offset` or something beyond it; `chunkCount` when there is none. */
  find(offset: number): number {
    let low = this.#first;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#chunks[middle] as TailChunk).nextOffset > offset) high = middle;
      else low = middle + 1;
    }
    return low - this.#first;
  }

  /** Begins anew behind what is here, which the budget lets go of in its own time. */
  restart(): void {
    this.#chunks = [];
    this.#first = 0;
  }

  /** Drops everything: after a truncation what is left is read from the file again. */
  clear(): void {
    if (this.#chunks.length === 0) return;
    this.#chunks = [];
    this.#first = 0;
    this.#budget.forget(this);
  }
}

function copyOf(buffer: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(buffer.length);
  buffer.copy(copy);
  return copy;
}

/** Where in the buffer of whole batches the one begins that holds `offset`, or the first one beyond it; the buffer's length when there is none. */
export function positionOfOffset(buffer: Buffer, offset: number): number {
  let at = 0;
  while (at < buffer.length && lastOffset(buffer, at) < offset) at += sizeInBytes(buffer, at);
  return at;
}
