/**
 * One walk over all records of a batch, as fast as it goes, for a broker that must know that they are what the header says.
 *
 * Promises: after `walk` returns, there were exactly `count` sound records in exactly the bytes given, and the fields say what was seen. It throws a
 * KafkaError INVALID_RECORD otherwise. It allocates nothing and decodes nothing that is not asked for.
 * Does not: give the records (`records.ts`), read compressed ones (give it the payload), or know what is allowed (`validate.ts`).
 *
 * Why by hand: produced records are the most frequent thing that a broker reads. Varints of one and two bytes, which nearly all are, are taken in
 * line. Inside a record nothing is compared with the record's end until all of it was read: lengths only move the position forward, a position that
 * went too far is found at the end, and reading past the buffer gives undefined, which no comparison below takes for a short varint.
 */
import { malformedRecord, VarintReader } from './varint.ts';

const NOTHING = Buffer.alloc(0);

export class RecordWalk {
  /** The greatest and the least timestamp, +-Infinity where there are no records. Records without a timestamp (-1) do not count for the least. */
  maxTimestamp = -Infinity;
  minTimestamp = Infinity;
  recordsWithoutKey = 0;
  recordsWithoutTimestamp = 0;
  /** Whether the offset deltas are 0, 1, 2, ... */
  hasSequentialOffsets = true;

  readonly #slow = new VarintReader();

  /** `count` records in `buffer[start, end)`, with timestamps relative to `baseTimestamp`. The buffer is not kept. */
  walk(buffer: Buffer, start: number, end: number, count: number, baseTimestamp: number): void {
    try {
      this.#walk(buffer, start, end, count, baseTimestamp);
    } finally {
      this.#slow.buffer = NOTHING;
    }
  }

  #walk(buffer: Buffer, start: number, end: number, count: number, baseTimestamp: number): void {
    let maxTimestamp = -Infinity;
    let minTimestamp = Infinity;
    let recordsWithoutKey = 0;
    let recordsWithoutTimestamp = 0;
    let isSequential = true;
    let at = start;
    for (let i = 0; i < count; i++) {
      if (at >= end) throw malformedRecord(`a batch of ${count} records ends after ${i}`);
      // length
      let byte = buffer[at]!;
      let next = 0;
      let length: number;
      if (byte < 0x80) {
        length = (byte >>> 1) ^ -(byte & 1);
        at++;
      } else if ((next = buffer[at + 1]!) < 0x80) {
        byte = (byte & 0x7f) | (next << 7);
        length = (byte >>> 1) ^ -(byte & 1);
        at += 2;
      } else {
        length = this.#varint(buffer, at, end);
        at = this.#slow.position;
      }
      const recordEnd = at + length;
      if (length <= 0 || recordEnd > end) throw malformedRecord(`a record of ${length} bytes where ${end - at} are left`);
      // attributes, of which none is in use
      at++;
      // timestampDelta
      let timestampDelta: number;
      if ((byte = buffer[at]!) < 0x80) {
        timestampDelta = (byte >>> 1) ^ -(byte & 1);
        at++;
      } else if ((next = buffer[at + 1]!) < 0x80) {
        byte = (byte & 0x7f) | (next << 7);
        timestampDelta = (byte >>> 1) ^ -(byte & 1);
        at += 2;
      } else {
        timestampDelta = this.#varlong(buffer, at, recordEnd);
        at = this.#slow.position;
      }
      const timestamp = baseTimestamp + timestampDelta;
      if (timestamp > maxTimestamp) maxTimestamp = timestamp;
      if (timestamp === -1) recordsWithoutTimestamp++;
      else if (timestamp < minTimestamp) minTimestamp = timestamp;
      // offsetDelta
      let offsetDelta: number;
      if ((byte = buffer[at]!) < 0x80) {
        offsetDelta = (byte >>> 1) ^ -(byte & 1);
        at++;
      } else if ((next = buffer[at + 1]!) < 0x80) {
        byte = (byte & 0x7f) | (next << 7);
        offsetDelta = (byte >>> 1) ^ -(byte & 1);
        at += 2;
      } else {
        offsetDelta = this.#varint(buffer, at, recordEnd);
        at = this.#slow.position;
      }
      if (offsetDelta !== i) isSequential = false;
      // key: every negative length is null
      let fieldLength: number;
      if ((byte = buffer[at]!) < 0x80) {
        fieldLength = (byte >>> 1) ^ -(byte & 1);
        at++;
      } else if ((next = buffer[at + 1]!) < 0x80) {
        byte = (byte & 0x7f) | (next << 7);
        fieldLength = (byte >>> 1) ^ -(byte & 1);
        at += 2;
      } else {
        fieldLength = this.#varint(buffer, at, recordEnd);
        at = this.#slow.position;
      }
      if (fieldLength < 0) recordsWithoutKey++;
      else at += fieldLength;
      // value
      if ((byte = buffer[at]!) < 0x80) {
        fieldLength = (byte >>> 1) ^ -(byte & 1);
        at++;
      } else if ((next = buffer[at + 1]!) < 0x80) {
        byte = (byte & 0x7f) | (next << 7);
        fieldLength = (byte >>> 1) ^ -(byte & 1);
        at += 2;
      } else {
        fieldLength = this.#varint(buffer, at, recordEnd);
        at = this.#slow.position;
      }
      if (fieldLength > 0) at += fieldLength;
      // headers
      if (buffer[at] === 0) at++;
      else at = this.#headers(buffer, at, recordEnd);
      if (at !== recordEnd) throw malformedRecord(`a record of ${length} bytes takes ${length + at - recordEnd}`);
    }
    if (at !== end) throw malformedRecord(`${end - at} bytes follow the last of ${count} records`);
    this.maxTimestamp = maxTimestamp;
    this.minTimestamp = minTimestamp;
    this.recordsWithoutKey = recordsWithoutKey;
    this.recordsWithoutTimestamp = recordsWithoutTimestamp;
    this.hasSequentialOffsets = isSequential;
  }

  /** Returns the position after the headers. */
  #headers(buffer: Buffer, at: number, end: number): number {
    const reader = this.#slow;
    const count = this.#varint(buffer, at, end);
    if (count < 0 || count > end - reader.position) throw malformedRecord(`a record has ${count} headers`);
    for (let i = 0; i < count; i++) {
      const keyLength = reader.varint();
      if (keyLength < 0 || keyLength > end - reader.position) throw malformedRecord(`a record header's key has ${keyLength} bytes`);
      reader.position += keyLength;
      const valueLength = reader.varint();
      if (valueLength > end - reader.position) throw malformedRecord(`a record header's value has ${valueLength} bytes`);
      if (valueLength > 0) reader.position += valueLength;
    }
    return reader.position;
  }

  #varint(buffer: Buffer, at: number, end: number): number {
    const reader = this.#slow;
    reader.buffer = buffer;
    reader.position = at;
    reader.end = end;
    return reader.varint();
  }

  #varlong(buffer: Buffer, at: number, end: number): number {
    const reader = this.#slow;
    reader.buffer = buffer;
    reader.position = at;
    reader.end = end;
    return reader.varlong();
  }
}
