/**
 * Batches that have their place in the log and wait to be written.
 *
 * Promises: they leave in order, grouped by segment, small neighbours joined into one buffer: a vectored write of thousands of small pieces costs
 * more than copying them, and a small view keeps the whole frame alive that it was cut from.
 * Does not: write.
 */
import type { Segment } from './segment.ts';
import type { TailChunk } from './tail.ts';

/** A batch of up to this many bytes is joined with its neighbours, ... */
const JOIN_BYTES_MAX = 8 * 1024;
/** ... up to so many in one buffer, which is also what a reader walks through to find an offset. */
const JOINED_BYTES_MAX = 64 * 1024;

export interface SegmentWrite {
  readonly segment: Segment;
  readonly chunks: readonly TailChunk[];
  readonly buffers: readonly Buffer[];
  readonly bytes: number;
}

interface Queued extends TailChunk {
  readonly segment: Segment;
}

export class WriteQueue {
  #queued: Queued[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#queued.length === 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(segment: Segment, buffer: Buffer, baseOffset: number, nextOffset: number, position: number, release: (() => void) | undefined): void {
    this.#queued.push({ segment, buffer, baseOffset, nextOffset, position, release });
    this.#bytes += buffer.length;
  }

  clear(): void {
    this.#queued = [];
    this.#bytes = 0;
  }

  /** Takes all that is queued now. */
  take(): SegmentWrite[] {
    const queued = this.#queued;
    this.clear();
    const writes: SegmentWrite[] = [];
    let from = 0;
    while (from < queued.length) {
      const { segment } = queued[from] as Queued;
      let to = from + 1;
      while (to < queued.length && (queued[to] as Queued).segment === segment) to++;
      writes.push(segmentWrite(segment, queued, from, to));
      from = to;
    }
    return writes;
  }
}

function segmentWrite(segment: Segment, queued: readonly Queued[], from: number, to: number): SegmentWrite {
  const chunks: TailChunk[] = [];
  const buffers: Buffer[] = [];
  let bytes = 0;
  for (let first = from; first < to; ) {
    let joined = 0;
    let last = first;
    for (; last < to; last++) {
      const { length } = (queued[last] as Queued).buffer;
      if (length > JOIN_BYTES_MAX || (queued[last] as Queued).release !== undefined || joined + length > JOINED_BYTES_MAX) break;
      joined += length;
    }
    const chunk = last - first < 2 ? (queued[first] as Queued) : joinedChunk(queued, first, last, joined);
    chunks.push(chunk);
    buffers.push(chunk.buffer);
    bytes += chunk.buffer.length;
    first = Math.max(last, first + 1);
  }
  return { segment, chunks, buffers, bytes };
}

function joinedChunk(queued: readonly Queued[], from: number, to: number, bytes: number): TailChunk {
  const { baseOffset, position } = queued[from] as Queued;
  const buffer = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (let i = from; i < to; i++) at += (queued[i] as Queued).buffer.copy(buffer, at);
  return { buffer, baseOffset, nextOffset: (queued[to - 1] as Queued).nextOffset, position, release: undefined };
}
