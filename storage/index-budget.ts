/**
 * Bounds what the indexes of rolled segments take in memory: the least recently used are dropped, and read again when they are needed.
 *
 * Promises: an owner is told to drop at most once per `note`. Does not: count the indexes of segments that are being written, which cannot be dropped.
 */

export const INDEX_BYTES_MAX_DEFAULT = 64 * 1024 * 1024;

export interface IndexOwner {
  dropIndexes(): void;
}

export class IndexBudget {
  readonly #bytesMax: number;
  #bytes = 0;
  readonly #owners = new Map<IndexOwner, number>();

  constructor(options: { readonly indexBytesMax: number } = { indexBytesMax: INDEX_BYTES_MAX_DEFAULT }) {
    this.#bytesMax = options.indexBytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The owner has just used so many bytes of index. */
  note(owner: IndexOwner, bytes: number): void {
    this.forget(owner);
    this.#owners.set(owner, bytes);
    this.#bytes += bytes;
    for (const [oldest, oldestBytes] of this.#owners) {
      if (this.#bytes <= this.#bytesMax || oldest === owner) return;
      this.#owners.delete(oldest);
      this.#bytes -= oldestBytes;
      oldest.dropIndexes();
    }
  }

  forget(owner: IndexOwner): void {
    const bytes = this.#owners.get(owner);
    if (bytes === undefined) return;
    this.#owners.delete(owner);
    this.#bytes -= bytes;
  }
}
