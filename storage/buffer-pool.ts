/**
 * Large buffers, used again: a fresh one of 1 MiB costs as much in page faults and garbage collection as what is done with it.
 *
 * Promises: a buffer is in one place at a time: whoever took it gives it back once, when nobody looks at it any more, or not at all (then it is garbage).
 * No more than `idleBytesMax` lie idle; those of a size that is no longer asked for make room for the others. What is in a buffer that was given back is gone: under `poison` it is overwritten, so that a late reader shows.
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
  /** By size, the size last asked for last. Newest first to go: what was used last is still in the processor's cache. */
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
    const idle = this.#idle.get(size);
    const buffer = idle?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size);
    this.#touch(size, idle!);
    this.#idleBytes -= size;
    return buffer;
  }

  /** `buffer` is one that `take` returned, whole. */
  give(buffer: Buffer): void {
    if (this.#options.poison === true) buffer.fill(0xdb);
    const size = buffer.length;
    if (!this.#makeRoom(size)) return;
    this.#idleBytes += size;
    const idle = this.#idle.get(size) ?? [];
    idle.push(buffer);
    this.#touch(size, idle);
  }

  #touch(size: number, idle: Buffer[]): void {
    this.#idle.delete(size);
    this.#idle.set(size, idle);
  }

  /** Lets go of buffers of other sizes, those longest unused first. */
  #makeRoom(size: number): boolean {
    const { idleBytesMax } = this.#options;
    if (size > idleBytesMax) return false;
    for (const [other, idle] of this.#idle) {
      if (this.#idleBytes + size <= idleBytesMax) return true;
      if (other === size) continue;
      while (idle.length > 0 && this.#idleBytes + size > idleBytesMax) {
        idle.pop();
        this.#idleBytes -= other;
      }
      if (idle.length === 0) this.#idle.delete(other);
    }
    return this.#idleBytes + size <= idleBytesMax;
  }
}
