/**
 * Cuts a byte stream into Kafka's frames.
 *
 *     size:4 payload:size   size:4 payload:size   ...
 *
 * A frame that lies whole in one chunk is a view of it; one that spans chunks is copied once into a buffer of its own: a pooled one for a large frame, and
 * for the largest one that grows with the bytes that really came (a frame may declare 100 MiB and send ten bytes).
 *
 * Promises: a size below zero or above the limit throws a RangeError before anything is allocated for it.
 */

import type { BufferPool } from '../../storage/buffer-pool.ts';

/** From this size on to the next a spanning frame's buffer comes from the pool; beyond, it begins with so much and doubles as bytes arrive. */
const POOLED_BYTES_MIN = 128 * 1024;
const POOLED_BYTES_MAX = 2 * 1024 * 1024;

export class FrameCutter {
  readonly #frameBytesMax: number;
  readonly #head = Buffer.alloc(4);
  #headBytes = 0;
  #frame: Buffer | null = null;
  #isPooled = false;
  readonly #pool: BufferPool;
  #frameBytes = 0;
  #size = 0;

  constructor(frameBytesMax: number, pool: BufferPool) {
    this.#frameBytesMax = frameBytesMax;
    this.#pool = pool;
  }

  /** Bytes of an unfinished frame that are held here. */
  get heldBytes(): number {
    return this.#frame === null ? this.#headBytes : this.#frameBytes;
  }

  /**
   * Calls `take` for every frame that `chunk` completes, with the pool's buffer when the frame lies in one: whoever takes it may give it back. `take`
   * returning false stops the cutting for good. Throws RangeError.
   */
  push(chunk: Buffer, take: (frame: Buffer, pooled: Buffer | null) => boolean): void {
    let at = 0;
    const end = chunk.length;
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
        if (size < 0 || size > this.#frameBytesMax) throw new RangeError(`frame of ${size} bytes, the limit is ${this.#frameBytesMax} (socket.request.max.bytes)`);
        if (end - at >= size) {
          const frame = chunk.subarray(at, at + size);
          at += size;
          if (!take(frame, null)) return;
          continue;
        }
        this.#isPooled = size >= POOLED_BYTES_MIN && size <= POOLED_BYTES_MAX;
        this.#frame = this.#isPooled ? this.#pool.take(size) : Buffer.allocUnsafeSlow(Math.min(size, POOLED_BYTES_MAX));
        this.#frameBytes = 0;
      } else {
        const wanted = Math.min(this.#size - this.#frameBytes, end - at);
        if (this.#frameBytes + wanted > this.#frame.length) this.#grow(this.#frameBytes + wanted);
        chunk.copy(this.#frame, this.#frameBytes, at, at + wanted);
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

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#size, Math.max(needed, this.#frame!.length * 2)));
    this.#frame!.copy(larger, 0, 0, this.#frameBytes);
    this.#frame = larger;
  }
}
