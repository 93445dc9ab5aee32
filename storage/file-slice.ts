/**
 * Whole batches that lie one after the other in a segment's file, to be sent without being read at once.
 *
 * Promises: gives the bytes that were there when it was made, or throws: once the log has cut or removed them, the file may hold others.
 * Does not: keep a file open, or from being deleted, between two reads.
 */
import { DeferredBytes } from '../protocol/deferred-bytes.ts';
import { DiskError } from './disk.ts';
import type { Segment } from './segment.ts';

/** What tells whether bytes of a log are still what they were. */
export interface CuttableLog {
  readonly truncations: number;
}

export class FileSlice extends DeferredBytes {
  readonly #log: CuttableLog;
  readonly #segment: Segment;
  readonly #position: number;
  readonly #truncations: number;

  constructor(log: CuttableLog, segment: Segment, position: number, length: number) {
    super(length);
    this.#log = log;
    this.#segment = segment;
    this.#position = position;
    this.#truncations = log.truncations;
  }

  readSync(target: Buffer, at: number): void {
    this.#check();
    this.#filled(this.#segment.file().readSync(target, this.#position + at), target);
  }

  async read(target: Buffer, at: number): Promise<void> {
    this.#check();
    const segment = this.#segment;
    const file = segment.file();
    segment.handle.pins++;
    try {
      this.#filled(await file.read(target, this.#position + at), target);
    } finally {
      segment.unpin();
    }
    this.#check();
  }

  #check(): void {
    if (this.#log.truncations !== this.#truncations) throw this.#gone();
  }

  #filled(bytes: number, target: Buffer): void {
    if (bytes < target.length) throw this.#gone();
  }

  #gone(): DiskError {
    return new DiskError('ESTALE', this.#segment.handle.path, 'read');
  }
}
