/**
 * The transaction index of a segment: the aborted transactions whose abort marker lies in it, in the order of the markers.
 *
 * Promises: Kafka's format. Does not: do input or output, know transactions that are still open (`producer-state.ts` does).
 *
 *     entry:  0 version:2             0
 *             2 producerId:8
 *            10 firstOffset:8         of the transaction on this partition
 *            18 lastOffset:8          that of the abort marker
 *            26 lastStableOffset:8    as the marker left it
 */
import { readInt64, writeInt64 } from '../protocol/record/batch.ts';

export const TXN_INDEX_ENTRY_BYTES = 34;
const VERSION = 0;
const PRODUCER_ID_AT = 2;
const FIRST_OFFSET_AT = 10;
const LAST_OFFSET_AT = 18;
const LAST_STABLE_OFFSET_AT = 26;

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly lastStableOffset: number;
}

export class TxnIndex {
  readonly #entries: AbortedTransaction[] = [];

  /** The index in the bytes of a file, or undefined when they are not one: then it is made again from the segment. */
  static parse(baseOffset: number, bytes: Buffer): TxnIndex | undefined {
    if (bytes.length % TXN_INDEX_ENTRY_BYTES !== 0) return undefined;
    const index = new TxnIndex();
    let last = baseOffset - 1;
    for (let at = 0; at < bytes.length; at += TXN_INDEX_ENTRY_BYTES) {
      const entry = {
        producerId: readInt64(bytes, at + PRODUCER_ID_AT),
        firstOffset: readInt64(bytes, at + FIRST_OFFSET_AT),
        lastOffset: readInt64(bytes, at + LAST_OFFSET_AT),
        lastStableOffset: readInt64(bytes, at + LAST_STABLE_OFFSET_AT),
      };
      const sound = bytes.readInt16BE(at) === VERSION && entry.producerId >= 0 && entry.firstOffset >= 0;
      if (!sound || entry.lastOffset <= last || entry.firstOffset > entry.lastOffset) return undefined;
      last = entry.lastOffset;
      index.#entries.push(entry);
    }
    return index;
  }

  get entries(): readonly AbortedTransaction[] {
    return this.#entries;
  }

  append(entry: AbortedTransaction): void {
    this.#entries.push(entry);
  }

  /** Forgets the transactions whose marker is at `offset` or beyond. */
  truncateTo(offset: number): void {
    while (this.#entries.length > 0 && (this.#entries.at(-1) as AbortedTransaction).lastOffset >= offset) this.#entries.pop();
  }

  /**
   * Adds to `found` the transactions that a reader of [from, to) must know to be aborted. True when no later segment can add to them: the
   * stable offset had passed `to` when a marker here was written.
   */
  collect(from: number, to: number, found: AbortedTransaction[]): boolean {
    for (const entry of this.#entries) {
      if (entry.lastOffset >= from && entry.firstOffset < to) found.push(entry);
      if (entry.lastStableOffset >= to) return true;
    }
    return false;
  }

  /** The entries from the given one on as they belong into the file. */
  bytesFrom(first: number): Buffer {
    const bytes = Buffer.alloc((this.#entries.length - first) * TXN_INDEX_ENTRY_BYTES);
    let at = 0;
    for (const entry of this.#entries.slice(first)) {
      bytes.writeInt16BE(VERSION, at);
      writeInt64(bytes, entry.producerId, at + PRODUCER_ID_AT);
      writeInt64(bytes, entry.firstOffset, at + FIRST_OFFSET_AT);
      writeInt64(bytes, entry.lastOffset, at + LAST_OFFSET_AT);
      writeInt64(bytes, entry.lastStableOffset, at + LAST_STABLE_OFFSET_AT);
      at += TXN_INDEX_ENTRY_BYTES;
    }
    return bytes;
  }
}
