/**
 * Cuts a byte stream into Kafka's frames.
 *
 *     size:4 payload:size   size:4 payload:size   ...
 *
 * What the socket reads into is overwritten by its next read, so a frame has a buffer of its own: small ones that arrived together share one copy; a large
 * one is told to the socket as the place for its next bytes (`room`), and so is copied by nobody but the operating system. The buffer of a large
 * frame is a pooled one, and for the largest it grows with the bytes that really came (a frame may declare 100 MiB and send ten bytes).
 *
 * Promises: a size below zero or above the limit throws a RangeError before anything is allocated for it.
 */

import type { BufferPool } from '../../storage/buffer-pool.ts';

/** From this size on to `pooledBytesMax` a spanning frame's buffer comes from the pool; beyond, it begins with so much and doubles as bytes arrive. */
const POOLED_BYTES_MIN = 64 * 1024;
const POOLED_BYTES_MAX_DEFAULT = 2 * 1024 * 1024;
/** Less room than this is not worth a read of its own: the socket's own place takes the end of this frame and the beginning of the next at once. */
const ROOM_BYTES_MIN = 16 * 1024;

/** Where the buffers of large frames come from and go back to. */
export type FramePool = Pick<BufferPool, 'take' | 'give'>;

export interface FrameCutterOptions {
  readonly frameBytesMax: number;
  /** What people know `frameBytesMax` by. */
  readonly limit: string;
  /** Where the buffers of large frames come from; without one each is made anew. */
  readonly pool?: FramePool;
  /** The largest frame that is given its whole buffer on its word alone. */
  readonly pooledBytesMax?: number;
}

export class FrameCutter {
  readonly #frameBytesMax: number;
  readonly #limit: string;
  readonly #head = Buffer.alloc(4);
  #headBytes = 0;
  #frame: Buffer | null = null;
  #isPooled = false;
  readonly #pool: FramePool | undefined;
  readonly #pooledBytesMax: number;
  #frameBytes = 0;
  #size = 0;

  constructor(options: FrameCutterOptions) {
    this.#frameBytesMax = options.frameBytesMax;
    this.#limit = options.limit;
    this.#pool = options.pool;
    this.#pooledBytesMax = options.pooledBytesMax ?? POOLED_BYTES_MAX_DEFAULT;
  }

  /** Bytes of an unfinished frame that are held here. */
  get heldBytes(): number {
    return this.#frame === null ? this.#headBytes : this.#frameBytes;
  }

  /** Where the next bytes of the stream are best read to; null when any place will do. */
  room(): Buffer | null {
    const frame = this.#frame;
    if (frame === null || this.#size - this.#frameBytes < ROOM_BYTES_MIN) return null;
    if (this.#frameBytes === frame.length) return this.#grow(this.#frameBytes + 1).subarray(this.#frameBytes, this.#size);
    return frame.subarray(this.#frameBytes, this.#size);
  }

  /**
   * Calls `take` for every frame that `chunk` completes, with the pool's buffer when the frame lies in one: whoever takes it may give it back. `take`
   * returning false stops the cutting for good. Nothing of `chunk` is looked at later. Throws RangeError.
   */
  push(chunk: Buffer, take: (frame: Buffer, pooled: Buffer | null) => boolean): void {
    let at = 0;
    const end = chunk.length;
    /** A copy of the chunk from `ownAt` on, made when a whole frame begins there. */
    let own: Buffer | null = null;
    let ownAt = 0;
    while (at < end) {
      if (this.#frame === null) {
        if (this.#headBytes === 0 && end - at >= 4) {
          this.#size = chunk.readInt32BE(at);
          at += 4;
        } else {
          this.#head[this.#headBytes++] = chunk[at++]!;
          if (this.#headBytes < 4) continue;
          this.#headBytes = 0;
          this.#size = this.#head.readInt32BE(0);
        }
        const size = this.#size;
        if (size < 0 || size > this.#frameBytesMax) throw new RangeError(`frame of ${size} bytes, the limit is ${this.#frameBytesMax} (${this.#limit})`);
        if (end - at >= size) {
          if (own === null) {
            own = Buffer.from(at === 0 ? chunk : chunk.subarray(at));
            ownAt = at;
          }
          const frame = own.subarray(at - ownAt, at - ownAt + size);
          at += size;
          if (!take(frame, null)) return;
          continue;
        }
        this.#isPooled = this.#pool !== undefined && size >= POOLED_BYTES_MIN && size <= this.#pooledBytesMax;
        this.#frame = this.#isPooled ? this.#pool!.take(size) : Buffer.allocUnsafeSlow(Math.min(size, POOLED_BYTES_MAX_DEFAULT));
        this.#frameBytes = 0;
      } else {
        const wanted = Math.min(this.#size - this.#frameBytes, end - at);
        if (!this.#isRoom(chunk, at)) {
          if (this.#frameBytes + wanted > this.#frame.length) this.#grow(this.#frameBytes + wanted);
          chunk.copy(this.#frame, this.#frameBytes, at, at + wanted);
        }
        this.#frameBytes += wanted;
        at += wanted;
        if (this.#frameBytes === this.#size) {
          const whole = this.#frame;
          const frame = whole.length === this.#size ? whole : whole.subarray(0, this.#size);
          this.#frame = null;
          this.#frameBytes = 0;
          if (!take(frame, this.#isPooled ? whole : null)) return;
        }
      }
    }
  }

  /** Whether `chunk` was read to where it belongs. */
  #isRoom(chunk: Buffer, at: number): boolean {
    const frame = this.#frame!;
    return chunk.buffer === frame.buffer && chunk.byteOffset + at === frame.byteOffset + this.#frameBytes;
  }

  #grow(needed: number): Buffer {
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#size, Math.max(needed, this.#frame!.length * 2)));
    this.#frame!.copy(larger, 0, 0, this.#frameBytes);
    this.#frame = larger;
    return larger;
  }
}
