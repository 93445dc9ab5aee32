/**
 * How far the log of one node lies on its disk, whatever the node itself believes: for good, so that a power loss at this moment could not take it, or as it was
 * written, which only survives the end of the process.
 *
 * Promises: reads the files, not the node, and each batch once while nothing is cut. Does not: look at checksums; `committed.ts` does.
 */
import { lastOffset } from '../../protocol/record/batch.ts';
import { nextBatchBytes } from '../../protocol/record/batches.ts';
import type { SimDisk } from './disk.ts';

const CHUNK_BYTES = 32_768;

export class EndOnDisk {
  readonly #disk: SimDisk;
  readonly #directory: string;
  readonly #kind: 'durable' | 'written';
  #cuts = -1;
  #segment = '';
  #position = 0;
  #offset = 0;

  constructor(disk: SimDisk, directory: string, kind: 'durable' | 'written') {
    this.#disk = disk;
    this.#directory = directory;
    this.#kind = kind;
  }

  /** All before this offset is there; what lies before the first segment is in a snapshot, or was let go. */
  offset(): number {
    if (this.#cuts !== this.#disk.cuts) {
      this.#cuts = this.#disk.cuts;
      this.#begin(this.#segments()[0]);
    }
    for (;;) {
      if (this.#segment === '') return 0;
      const path = `${this.#directory}/${this.#segment}`;
      const sizeBytes = this.#disk.peekSize(path);
      if (sizeBytes === null) {
        // Retention has let the segment go.
        this.#begin(this.#segments()[0]);
        continue;
      }
      const left = (this.#kind === 'durable' ? this.#disk.durableBytes(path) : sizeBytes) - this.#position;
      if (left > 0 && this.#read(path, left)) continue;
      const next = this.#segments().find((name) => name > this.#segment);
      if (next === undefined || sizeBytes !== this.#position) return this.#offset;
      this.#begin(next);
    }
  }

  #read(path: string, left: number): boolean {
    for (let length = Math.min(CHUNK_BYTES, left); ; length = left) {
      const chunk = Buffer.allocUnsafe(length);
      const bytes = this.#disk.peekInto(path, chunk, this.#position);
      let at = 0;
      for (let size = nextBatchBytes(chunk, at, bytes); size > 0; size = nextBatchBytes(chunk, at, bytes)) {
        this.#offset = lastOffset(chunk, at) + 1;
        at += size;
      }
      this.#position += at;
      if (at > 0 || length === left) return at > 0;
    }
  }

  #begin(segment: string | undefined): void {
    this.#segment = segment ?? '';
    this.#position = 0;
    this.#offset = Number(this.#segment.slice(0, 20));
    // There may be one the next time.
    if (segment === undefined) this.#cuts = -1;
  }

  #segments(): string[] {
    return this.#disk.peekList(this.#directory).filter((name) => /^\d{20}\.log$/.test(name));
  }
}
