/**
 * Large buffers, used again: a fresh one of 1 MiB costs as much in page faults and garbage collection as what is done with it.
 *
 * Promises: a buffer is in one place at a time: whoever took it gives it back once, when nobody looks at it any more, or not at all (then it is garbage).
 * No more than `idleBytesMax` lie idle. What is in a buffer that was given back is gone: under `poison` it is overwritten, so that a late reader shows.
 * Does not pool small ones, which Node's allocator serves well.
 */
const CLASS_BYTES = 64 * 1024;

export interface BufferPoolOptions {
  readonly idleBytesMax: number;
  readonly poison?: boolean;
}

export const BUFFER_POOL_IDLE_BYTES_MAX_DEFAULT = 16 * 1024 * 1024;

export class BufferPool {
  readonly #options: BufferPoolOptions;
  /** Newest first to go: what was used last is still in the processor's cache. */
  readonly #idle = new Map<number, Buffer[]>();
  #idleBytes = 0;

  constructor(options: BufferPoolOptions = { idleBytesMax: BUFFER_POOL_IDLE_BYTES_MAX_DEFAULT }) {
    this.#options = options;
  }

  get idleBytes(): number {
    return this.#idleBytes;
  }

  /** At least `bytes` long. What is in it is undefined. */
  take(bytes: number): Buffer {
    const size = Math.ceil(bytes / CLASS_BYTES) * CLASS_BYTES;
    const buffer = this.#idle.get(size)?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size);
    this.#idleBytes -= size;
    return buffer;
  }

  /** `buffer` is one that `take` returned, whole. */
  give(buffer: Buffer): void {
    if (this.#options.poison === true) buffer.fill(0xdb);
    if (this.#idleBytes + buffer.length > this.#options.idleBytesMax) return;
    this.#idleBytes += buffer.length;
    const idle = this.#idle.get(buffer.length);
    if (idle === undefined) this.#idle.set(buffer.length, [buffer]);
    else idle.push(buffer);
  }
}
