/**
 * The time index of a segment: from a timestamp to the offset where to begin looking for records of that age.
 *
 * Promises: Kafka's format; timestamps strictly increase, offsets never decrease. A cache in memory, like the offset index.
 * Does not: do input or output, decide when an entry is due.
 *
 *     entry:  0 timestamp:8        the largest timestamp of the segment so far
 *             8 relativeOffset:4   last offset of the batch that has it, less the base offset of the segment
 */
import assert from 'node:assert';
import { readInt64, writeInt64 } from '../protocol/record/batch.ts';
import { grown } from './offset-index.ts';

export const TIME_INDEX_ENTRY_BYTES = 12;
const RELATIVE_OFFSET_AT = 8;
const ENTRIES_FIRST = 64;

export class TimeIndex {
  readonly baseOffset: number;
  #bytes: Buffer = Buffer.alloc(0);
  #count = 0;
  /** Of the last entry; -1 and the base offset when there is none. */
  lastTimestamp = -1;
  lastOffset: number;

  constructor(baseOffset: number) {
    this.baseOffset = baseOffset;
    this.lastOffset = baseOffset;
  }

  /** Takes over the bytes of an index file; `intact` as in `OffsetIndex.parse`. */
  static parse(baseOffset: number, bytes: Buffer): { index: TimeIndex; intact: boolean } {
    const index = new TimeIndex(baseOffset);
    index.#bytes = bytes;
    const slots = Math.floor(bytes.length / TIME_INDEX_ENTRY_BYTES);
    let count = 0;
    let lastTimestamp = -1;
    let lastRelative = -1;
    for (; count < slots; count++) {
      const at = count * TIME_INDEX_ENTRY_BYTES;
      const timestamp = readInt64(bytes, at);
      const relative = bytes.readInt32BE(at + RELATIVE_OFFSET_AT);
      // A timestamp of 0 is one that clients do send, but twelve zeros are the room that Kafka keeps for entries to come.
      if (timestamp <= lastTimestamp || relative < lastRelative || relative < 0 || (timestamp === 0 && relative === 0)) break;
      lastTimestamp = timestamp;
      lastRelative = relative;
    }
    index.#count = count;
    index.#noteLast();
    let intact = bytes.length % TIME_INDEX_ENTRY_BYTES === 0;
    for (let at = count * TIME_INDEX_ENTRY_BYTES; intact && at < bytes.length; at++) intact = bytes[at] === 0;
    return { index, intact };
  }

  get entries(): number {
    return this.#count;
  }

  timestampAt(slot: number): number {
    assert(slot >= 0 && slot < this.#count);
    return readInt64(this.#bytes, slot * TIME_INDEX_ENTRY_BYTES);
  }

  offsetAt(slot: number): number {
    assert(slot >= 0 && slot < this.#count);
    return this.baseOffset + this.#bytes.readInt32BE(slot * TIME_INDEX_ENTRY_BYTES + RELATIVE_OFFSET_AT);
  }

  /** Adds the entry unless the last one says as much already. */
  append(timestamp: number, offset: number): void {
    if (timestamp <= this.lastTimestamp) return;
    assert(offset >= this.lastOffset);
    const at = this.#count * TIME_INDEX_ENTRY_BYTES;
    if (at === this.#bytes.length) this.#bytes = grown(this.#bytes, TIME_INDEX_ENTRY_BYTES * ENTRIES_FIRST);
    writeInt64(this.#bytes, timestamp, at);
    this.#bytes.writeInt32BE(offset - this.baseOffset, at + RELATIVE_OFFSET_AT);
    this.#count++;
    this.lastTimestamp = timestamp;
    this.lastOffset = offset;
  }

  /** The last entry whose timestamp is not beyond `timestamp`, or -1: no record up to its offset is younger. */
  slotFor(timestamp: number): number {
    let low = -1;
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.timestampAt(middle) <= timestamp) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Forgets the entries of `offset` and beyond. */
  truncateTo(offset: number): void {
    while (this.#count > 0 && this.offsetAt(this.#count - 1) >= offset) this.#count--;
    this.#noteLast();
  }

  /** The entries from `slot` on as they belong into the file. Aliases the index: write it before the next append. */
  bytesFrom(slot: number): Buffer {
    return this.#bytes.subarray(slot * TIME_INDEX_ENTRY_BYTES, this.#count * TIME_INDEX_ENTRY_BYTES);
  }

  #noteLast(): void {
    this.lastTimestamp = this.#count === 0 ? -1 : this.timestampAt(this.#count - 1);
    this.lastOffset = this.#count === 0 ? this.baseOffset : this.offsetAt(this.#count - 1);
  }
}
