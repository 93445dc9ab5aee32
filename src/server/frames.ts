/**
 * Cuts a byte stream into Kafka's frames.
 *
 *     size:4 payload:size   size:4 payload:size   ...
 *
 * A frame that lies whole in one chunk is a view of it; one that spans chunks is copied once into a buffer of its own, which grows with the
 * bytes that really came (a frame may declare 100 MiB and send ten bytes).
 *
 * Promises: a size below zero or above the limit throws a RangeError before anything is allocated for it.
 */

/** Up to this size a spanning frame's buffer is allocated at once; beyond, it doubles as bytes arrive. */
const FIRST_BUFFER_BYTES = 1 << 20;

export class FrameCutter {
  readonly #frameBytesMax: number;
  readonly #head = Buffer.alloc(4);
  #headBytes = 0;
  #frame: Buffer | null = null;
  #frameBytes = 0;
  #size = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Bytes of an unfinished frame that are held here. */
  get heldBytes(): number {
    return this.#frame === null ? this.#headBytes : this.#frameBytes;
  }

  /** Calls `take` for every frame that `chunk` completes. `take` returning false stops the cutting for good. Throws RangeError. */
  push(chunk: Buffer, take: (frame: Buffer) => boolean): void {
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
          if (!take(frame)) return;
          continue;
        }
        this.#frame = Buffer.allocUnsafeSlow(Math.min(size, FIRST_BUFFER_BYTES));
        this.#frameBytes = 0;
      } else {
        const wanted = Math.min(this.#size - this.#frameBytes, end - at);
        if (this.#frameBytes + wanted > this.#frame.length) this.#grow(this.#frameBytes + wanted);
        chunk.copy(this.#frame, this.#frameBytes, at, at + wanted);
        this.#frameBytes += wanted;
        at += wanted;
        if (this.#frameBytes === this.#size) {
          const frame = this.#frame.length === this.#size ? this.#frame : this.#frame.subarray(0, this.#size);
          this.#frame = null;
          this.#frameBytes = 0;
          if (!take(frame)) return;
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
