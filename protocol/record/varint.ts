/**
 * The variable-length integers inside records: zigzag, 7 bits a byte, least first.
 *
 * Promises: what Kafka's ByteUtils reads and writes, longer forms than needed included: an int32 takes 5 bytes at most, an int64 10. Reading past
 * `end` or a varint without end is INVALID_RECORD.
 * Does not: the unsigned varints of messages (`wire.ts`). An int64 beyond +-(2^53-1) is read as the nearest of these.
 *
 *   value 300 -> zigzag 600 -> 1_1011000 0000100 -> d8 04
 */
import { ErrorCode, KafkaError } from '../errors.ts';
import { saturate } from './batch.ts';

const VARINT_BYTES_MAX = 5;
const VARLONG_BYTES_MAX = 10;
/** Beyond this a zigzag value no longer fits a double exactly. */
const DOUBLE_ZIGZAG_MAX = 2 ** 52;

/** A 64-bit integer to write: exact either way. */
export type Int64 = number | bigint;

export function malformedRecord(detail: string): KafkaError {
  return new KafkaError(ErrorCode.INVALID_RECORD, detail);
}

/** A position in a buffer that reads varints. Set the three fields and call; it allocates nothing. */
export class VarintReader {
  buffer: Buffer = Buffer.alloc(0);
  position = 0;
  end = 0;

  varint(): number {
    const buffer = this.buffer;
    let at = this.position;
    let value = 0;
    for (let shift = 0; shift < 7 * VARINT_BYTES_MAX; shift += 7) {
      if (at >= this.end) throw malformedRecord('a record is cut short in a varint');
      const byte = buffer[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.position = at;
        return (value >>> 1) ^ -(value & 1);
      }
    }
    throw malformedRecord('a varint has more than 5 bytes');
  }

  varlong(): number {
    const buffer = this.buffer;
    let at = this.position;
    let low = 0;
    let high = 0;
    for (let i = 0; i < VARLONG_BYTES_MAX; i++) {
      if (at >= this.end) throw malformedRecord('a record is cut short in a varlong');
      const byte = buffer[at++]!;
      const bits = byte & 0x7f;
      if (i < 4) low |= bits << (7 * i);
      else if (i === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (7 * i - 32);
      if (byte < 0x80) {
        this.position = at;
        // A small integer where it is one: a double returned from a call is an object to V8.
        return i < 4 ? (low >>> 1) ^ -(low & 1) : unzigzag(low, high);
      }
    }
    throw malformedRecord('a varlong has more than 10 bytes');
  }
}

/** The number of a zigzag value given as two words. */
function unzigzag(low: number, high: number): number {
  const magnitude = (high >>> 0) * 0x8000_0000 + (low >>> 1);
  return saturate((low & 1) === 0 ? magnitude : -magnitude - 1);
}

export function sizeOfVarint(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : zigzag < 0x20_0000 ? 3 : zigzag < 0x1000_0000 ? 4 : 5;
}

export function sizeOfVarlong(value: Int64): number {
  let bytes = 1;
  if (typeof value === 'number' && Math.abs(value) <= DOUBLE_ZIGZAG_MAX) {
    for (let zigzag = zigzagNumber(value); zigzag >= 0x80; zigzag /= 128) bytes++;
    return bytes;
  }
  for (let zigzag = zigzagBigint(value); zigzag >= 0x80n; zigzag >>= 7n) bytes++;
  return bytes;
}

/** Writes an int32 and returns the position after it. */
export function writeVarint(buffer: Buffer, value: number, at: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  let next = at;
  for (; zigzag >= 0x80; zigzag >>>= 7) buffer[next++] = (zigzag & 0x7f) | 0x80;
  buffer[next++] = zigzag;
  return next;
}

/** Writes an int64 and returns the position after it. */
export function writeVarlong(buffer: Buffer, value: Int64, at: number): number {
  let next = at;
  if (typeof value === 'number' && Math.abs(value) <= DOUBLE_ZIGZAG_MAX) {
    let zigzag = zigzagNumber(value);
    for (; zigzag >= 0x80; zigzag = Math.floor(zigzag / 128)) buffer[next++] = (zigzag % 128) | 0x80;
    buffer[next++] = zigzag;
    return next;
  }
  let zigzag = zigzagBigint(value);
  for (; zigzag >= 0x80n; zigzag >>= 7n) buffer[next++] = Number(zigzag & 0x7fn) | 0x80;
  buffer[next++] = Number(zigzag);
  return next;
}

function zigzagNumber(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

/** Of the value's lowest 64 bits, as a Java long has them. */
function zigzagBigint(value: Int64): bigint {
  const wrapped = BigInt.asIntN(64, BigInt(value));
  return BigInt.asUintN(64, (wrapped << 1n) ^ (wrapped >> 63n));
}
