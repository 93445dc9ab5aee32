/**
 * Questions to index files that are not worth loading for: a log of a thousand segments has gigabytes of indexes, and a look-up by timestamp asks each
 * segment for its youngest record.
 *
 * Promises: a few reads of an entry each. Does not: check what it reads; `segment-indexes.ts` checks the answers against the batches, and loads the
 * file when they do not hold.
 */
import { readInt64 } from '../protocol/record/batch.ts';
import type { DiskFile } from './disk.ts';
import { OFFSET_INDEX_ENTRY_BYTES } from './offset-index.ts';
import { TIME_INDEX_ENTRY_BYTES } from './time-index.ts';

/** What a check needs of an offset index, in memory or in its file. */
export interface OffsetEntries {
  readonly entries: number;
  offsetAt(slot: number): number;
  positionAt(slot: number): number;
  /** The last entry whose offset is not beyond `offset`, or -1. */
  slotFor(offset: number): number;
}

/** What a check needs of a time index: its last entry. */
export interface LastTimeEntry {
  readonly entries: number;
  readonly lastTimestamp: number;
  readonly lastOffset: number;
}

export class OffsetIndexFile implements OffsetEntries {
  readonly entries: number;
  readonly #file: DiskFile;
  readonly #baseOffset: number;
  readonly #entry = Buffer.alloc(OFFSET_INDEX_ENTRY_BYTES);

  constructor(file: DiskFile, baseOffset: number) {
    this.#file = file;
    this.#baseOffset = baseOffset;
    this.entries = Math.floor(file.sizeBytes() / OFFSET_INDEX_ENTRY_BYTES);
  }

  offsetAt(slot: number): number {
    this.#file.readSync(this.#entry, slot * OFFSET_INDEX_ENTRY_BYTES);
    return this.#baseOffset + this.#entry.readInt32BE(0);
  }

  positionAt(slot: number): number {
    this.#file.readSync(this.#entry, slot * OFFSET_INDEX_ENTRY_BYTES);
    return this.#entry.readInt32BE(4);
  }

  slotFor(offset: number): number {
    let low = -1;
    let high = this.entries - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.offsetAt(middle) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** undefined when the file is empty, or does not end with a whole entry that could be one. */
export function lastTimeEntry(file: DiskFile, baseOffset: number): LastTimeEntry | undefined {
  const sizeBytes = file.sizeBytes();
  if (sizeBytes === 0 || sizeBytes % TIME_INDEX_ENTRY_BYTES !== 0) return undefined;
  const entry = Buffer.alloc(TIME_INDEX_ENTRY_BYTES);
  file.readSync(entry, sizeBytes - TIME_INDEX_ENTRY_BYTES);
  const lastTimestamp = readInt64(entry, 0);
  const lastOffset = baseOffset + entry.readInt32BE(8);
  return lastTimestamp >= 0 && lastOffset >= baseOffset ? { entries: sizeBytes / TIME_INDEX_ENTRY_BYTES, lastTimestamp, lastOffset } : undefined;
}
