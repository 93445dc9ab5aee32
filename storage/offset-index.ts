/**
 * The offset index of a segment: from an offset to the place in the file where to begin looking for it.
 *
 * Promises: Kafka's format; offsets and positions strictly increase. It lives in memory and is a cache of the segment: what its file holds is
 * accepted only as far as it makes sense, and the reader of the segment checks each answer against the batch it points at.
 * Does not: do input or output (`segment.ts` does), know how many bytes lie between entries.
 *
 *     entry:  0 relativeOffset:4   last offset of a batch, less the base offset of the segment
 *             4 position:4         where that batch begins in the .log file
 */
import assert from 'node:assert';

export const OFFSET_INDEX_ENTRY_BYTES = 8;
const POSITION_AT = 4;
const ENTRIES_FIRST = 64;
const RELATIVE_OFFSET_MAX = 0x7fff_ffff;

export class OffsetIndex {
  readonly baseOffset: number;
  #bytes: Buffer;
  #count: number;

  constructor(baseOffset: number) {
    this.baseOffset = baseOffset;
    this.#bytes = EMPTY;
    this.#count = 0;
  }

  /**
   * Takes over the bytes of an index file. A file of a segment that was active when its broker died has zeros behind the entries (Kafka preallocates),
   * so the entries end where they stop increasing. `intact` is false when something other than zeros follows, or an entry points beyond `logBytes`.
   */
  static parse(baseOffset: number, bytes: Buffer, logBytes: number): { index: OffsetIndex; intact: boolean } {
    const index = new OffsetIndex(baseOffset);
    index.#bytes = bytes;
    const slots = Math.floor(bytes.length / OFFSET_INDEX_ENTRY_BYTES);
    let count = 0;
    let lastRelative = -1;
    let lastPosition = -1;
    for (; count < slots; count++) {
      const at = count * OFFSET_INDEX_ENTRY_BYTES;
      const relative = bytes.readInt32BE(at);
      const position = bytes.readInt32BE(at + POSITION_AT);
      // The first entry may well be (0, 0) only in a file of zeros: an entry is made once an interval of bytes lies before it.
      if (relative <= lastRelative || position <= lastPosition || position === 0) break;
      lastRelative = relative;
      lastPosition = position;
    }
    index.#count = count;
    let intact = bytes.length % OFFSET_INDEX_ENTRY_BYTES === 0 && lastPosition < Math.max(logBytes, 0);
    for (let at = count * OFFSET_INDEX_ENTRY_BYTES; intact && at < bytes.length; at++) intact = bytes[at] === 0;
    return { index, intact };
  }

  get entries(): number {
    return this.#count;
  }

  offsetAt(slot: number): number {
    assert(slot >= 0 && slot < this.#count);
    return this.baseOffset + this.#bytes.readInt32BE(slot * OFFSET_INDEX_ENTRY_BYTES);
  }

  positionAt(slot: number): number {
    assert(slot >= 0 && slot < this.#count);
    return this.#bytes.readInt32BE(slot * OFFSET_INDEX_ENTRY_BYTES + POSITION_AT);
  }

  /** Whether an offset can be told relative to the base in 31 bits. */
  canHold(offset: number): boolean {
    return offset >= this.baseOffset && offset - this.baseOffset <= RELATIVE_OFFSET_MAX;
  }

  append(lastOffset: number, position: number): void {
    assert(this.canHold(lastOffset));
    const at = this.#count * OFFSET_INDEX_ENTRY_BYTES;
    if (at === this.#bytes.length) this.#bytes = grown(this.#bytes, OFFSET_INDEX_ENTRY_BYTES * ENTRIES_FIRST);
    this.#bytes.writeInt32BE(lastOffset - this.baseOffset, at);
    this.#bytes.writeInt32BE(position, at + POSITION_AT);
    this.#count++;
  }

  /** The last entry whose offset is not beyond `offset`, or -1: the batch of `offset` begins at its position or after it. */
  slotFor(offset: number): number {
    return lastSlotNotBeyond(this.#bytes, OFFSET_INDEX_ENTRY_BYTES, 0, this.#count, offset - this.baseOffset);
  }

  /** The last entry whose position is not beyond `position`, or -1. */
  slotAtPosition(position: number): number {
    return lastSlotNotBeyond(this.#bytes, OFFSET_INDEX_ENTRY_BYTES, POSITION_AT, this.#count, position);
  }

  /** Forgets the entries of `offset` and beyond. */
  truncateTo(offset: number): void {
    let count = this.#count;
    while (count > 0 && this.offsetAt(count - 1) >= offset) count--;
    this.#count = count;
  }

  /** The entries from `slot` on as they belong into the file. Aliases the index: write it before the next append. */
  bytesFrom(slot: number): Buffer {
    return this.#bytes.subarray(slot * OFFSET_INDEX_ENTRY_BYTES, this.#count * OFFSET_INDEX_ENTRY_BYTES);
  }
}

const EMPTY = Buffer.alloc(0);

/** The same bytes with room for as many again. */
export function grown(bytes: Buffer, bytesMin: number): Buffer {
  const larger = Buffer.allocUnsafe(Math.max(bytesMin, bytes.length * 2));
  bytes.copy(larger);
  return larger;
}

/** Binary search over fixed entries by an int32 key that increases. */
export function lastSlotNotBeyond(bytes: Buffer, entryBytes: number, keyAt: number, count: number, key: number): number {
  let low = -1;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (bytes.readInt32BE(middle * entryBytes + keyAt) <= key) low = middle;
    else high = middle - 1;
  }
  return low;
}
