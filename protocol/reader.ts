/**
 * Bytes in: a position in one frame, and Kafka's primitive types from there.
 *
 * Promises: a reader never looks past its end, and whatever is wrong with the bytes is a RangeError. Knows nothing of messages: compiled
 * decoders do, and use the functions below the class rather than its methods.
 */
import { readText, readUuid } from './text.ts';

/** What one frame may ask for besides its own length. */
export interface ReaderLimits {
  /** Elements of all arrays of a frame taken together; an element costs about a hundred bytes once decoded. */
  readonly elementsMax: number;
  /** Tagged fields of one struct. Kafka's own messages have at most a handful. */
  readonly tagsMax: number;
}

export const defaultReaderLimits: ReaderLimits = { elementsMax: 1_000_000, tagsMax: 64 };

/** 2^53. An int64 beyond it, either way, reads as this much: it is only compared, and no offset or time is that large. */
export const INT64_SATURATED = 2 ** 53;

/** A position in a frame. What it returns as bytes are views of the frame. */
export class Reader {
  readonly buffer: Buffer;
  position: number;
  readonly end: number;
  /** Elements that arrays may still have. */
  elementsLeft: number;
  readonly tagsMax: number;

  constructor(buffer: Buffer, position = 0, end = buffer.length, limits: ReaderLimits = defaultReaderLimits) {
    if (position < 0 || end > buffer.length || position > end) throw new TypeError(`no bytes from ${position} to ${end} in ${buffer.length}`);
    this.buffer = buffer;
    this.position = position;
    this.end = end;
    this.elementsLeft = limits.elementsMax;
    this.tagsMax = limits.tagsMax;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  /** Moves on by `length` and returns where it was. */
  #take(length: number): number {
    const position = this.position;
    if (length > this.end - position || length < 0) throw shortOf('the reader', length, this.end - position);
    this.position = position + length;
    return position;
  }

  int8(): number {
    return this.buffer.readInt8(this.#take(1));
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#take(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#take(4));
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.#take(2));
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#take(4));
  }

  /** Saturates at +-2^53. */
  int64(): number {
    return readInt64(this.buffer, this.#take(8));
  }

  int64Exact(): bigint {
    return readInt64Exact(this.buffer, this.#take(8));
  }

  float64(): number {
    return readFloat64(this.buffer, this.#take(8));
  }

  bool(): boolean {
    return this.int8() !== 0;
  }

  uuid(): string {
    return readUuid(this.buffer, this.#take(16));
  }

  /** 0 to 2^32-1. */
  unsignedVarint(): number {
    const position = this.position;
    if (position < this.end && this.buffer[position]! < 128) {
      this.position = position + 1;
      return this.buffer[position]!;
    }
    return readUnsignedVarint(this, position, this.end);
  }

  /** Zigzag, 32 bits. */
  varint(): number {
    const value = this.unsignedVarint();
    return (value >>> 1) ^ -(value & 1);
  }

  /** 0 to 2^64-1. */
  unsignedVarlong(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.buffer[this.#take(1)]!;
      value |= BigInt(byte & 127) << shift;
      // The tenth byte holds the last bit; Java drops what lies above it.
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new RangeError(`varlong of more than 10 bytes before ${this.position}`);
  }

  /** Zigzag, 64 bits. */
  varlong(): bigint {
    const value = this.unsignedVarlong();
    return (value >> 1n) ^ -(value & 1n);
  }

  /** The next `length` bytes as a view. */
  bytes(length: number): Buffer {
    const position = this.#take(length);
    return this.buffer.subarray(position, position + length);
  }

  /** int16 length and UTF-8; null for length -1. */
  nullableString(): string | null {
    const length = this.int16();
    if (length === -1) return null;
    return readText(this.buffer, this.#take(length), length);
  }
}

/** The error for bytes that end too early, or for a length that they cannot hold. */
export function shortOf(what: string, needed: number, left: number): RangeError {
  return new RangeError(`${what} needs ${needed} bytes, ${left} are left`);
}

export function readInt64(buffer: Buffer, position: number): number {
  const high = (buffer[position]! << 24) | (buffer[position + 1]! << 16) | (buffer[position + 2]! << 8) | buffer[position + 3]!;
  const low = ((buffer[position + 4]! << 24) | (buffer[position + 5]! << 16) | (buffer[position + 6]! << 8) | buffer[position + 7]!) >>> 0;
  if (high >= 0x200000) return INT64_SATURATED;
  if (high < -0x200000) return -INT64_SATURATED;
  return high * 4294967296 + low;
}

// Eight bytes pass through a DataView of our own: four times as fast as Buffer's methods for bigints, which split and shift.
const eightBytes = Buffer.alloc(8);
const eightBytesView = new DataView(eightBytes.buffer, eightBytes.byteOffset, 8);

export function readInt64Exact(buffer: Buffer, position: number): bigint {
  for (let i = 0; i < 8; i++) eightBytes[i] = buffer[position + i]!;
  return eightBytesView.getBigInt64(0);
}

export function readFloat64(buffer: Buffer, position: number): number {
  for (let i = 0; i < 8; i++) eightBytes[i] = buffer[position + i]!;
  return eightBytesView.getFloat64(0);
}

/** Reads a varint of any length at `position`, which may be `end`; leaves the reader behind it. */
export function readUnsignedVarint(reader: Reader, position: number, end: number): number {
  const buffer = reader.buffer;
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    if (position >= end) throw shortOf('varint', 1, 0);
    const byte = buffer[position++]!;
    // The fifth byte holds the last 4 bits; Java drops what lies above them, and so does <<.
    value |= (byte & 127) << shift;
    if (byte < 128) {
      reader.position = position;
      return value >>> 0;
    }
  }
  throw new RangeError(`varint of more than 5 bytes before ${position}`);
}
