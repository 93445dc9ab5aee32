/**
 * Bytes out: a chunk that grows, Kafka's primitive types into it, and references to what is too large to copy.
 *
 * Promises: a value that does not fit its type is a TypeError; byte strings below `REFERENCE_BYTES_MIN` are copied, larger ones passed on by
 * reference. Knows nothing of messages: compiled encoders do, and use the functions below the class rather than its methods.
 */
import { allInMemory, type DeferredBytes, type Piece } from './deferred-bytes.ts';
import { textBytes, writeText, writeUuid } from './text.ts';

/** Writers take over where the last one stopped in a chunk of this size, so that small frames cost no allocation of their own. */
const CHUNK_BYTES = 16 * 1024;
/** What is left of a chunk is not worth keeping below this. */
const CHUNK_REST_BYTES_MIN = 1024;
/** Byte strings from this length on are passed on by reference: a copy of less costs less than one more element of a vectored write. */
export const REFERENCE_BYTES_MIN = 1024;

/** Memory to write to, and a view of it: a number through the view costs a third of one through the buffer. */
interface Chunk {
  readonly buffer: Buffer;
  readonly view: DataView;
}

function newChunk(length: number): Chunk {
  const buffer = Buffer.allocUnsafeSlow(length);
  return { buffer, view: new DataView(buffer.buffer, buffer.byteOffset, length) };
}

const noChunk = newChunk(0);
let spareChunk = noChunk;
let sparePosition = 0;

/**
 * Collects bytes into a chunk, and the references between them. Compiled encoders write into `buffer` from `position` on, after `ensure`.
 */
export class Writer {
  buffer: Buffer;
  view: DataView;
  position: number;
  #chunk: Chunk;
  /** Where the bytes begin that are in no segment yet. */
  #start: number;
  #segments: Piece[] = [];
  #segmentsBytes = 0;

  constructor() {
    this.#chunk = spareChunk;
    this.buffer = spareChunk.buffer;
    this.view = spareChunk.view;
    this.position = sparePosition;
    this.#start = sparePosition;
    spareChunk = noChunk;
    sparePosition = 0;
  }

  /** Bytes written so far, referenced ones included. */
  get length(): number {
    return this.#segmentsBytes + this.position - this.#start;
  }

  /** Makes room for `length` more bytes; `buffer`, `view` and `position` may change. */
  ensure(length: number): void {
    if (length > this.buffer.length - this.position) this.grow(length);
  }

  grow(length: number): void {
    const pending = this.position - this.#start;
    const chunk = newChunk(Math.max(CHUNK_BYTES, 2 * (pending + length)));
    this.buffer.copy(chunk.buffer, 0, this.#start, this.position);
    this.#use(chunk);
    this.position = pending;
  }

  #use(chunk: Chunk): void {
    this.#chunk = chunk;
    this.buffer = chunk.buffer;
    this.view = chunk.view;
    this.#start = 0;
  }

  int8(value: number): void {
    if (value !== ((value << 24) >> 24)) throw notA('int8', value);
    this.ensure(1);
    this.view.setInt8(this.position, value);
    this.position += 1;
  }

  int16(value: number): void {
    if (value !== ((value << 16) >> 16)) throw notA('int16', value);
    this.ensure(2);
    this.view.setInt16(this.position, value);
    this.position += 2;
  }

  int32(value: number): void {
    if (value !== (value | 0)) throw notA('int32', value);
    this.ensure(4);
    this.view.setInt32(this.position, value);
    this.position += 4;
  }

  uint32(value: number): void {
    if (value !== (value >>> 0)) throw notA('uint32', value);
    this.ensure(4);
    this.view.setUint32(this.position, value);
    this.position += 4;
  }

  int64(value: number): void {
    if (!Number.isSafeInteger(value)) throw notA('int64 within 2^53', value);
    this.ensure(8);
    writeInt64(this.view, this.position, value);
    this.position += 8;
  }

  int64Exact(value: bigint): void {
    this.ensure(8);
    writeInt64Exact(this.view, this.position, value);
    this.position += 8;
  }

  uuid(value: string): void {
    this.ensure(16);
    writeUuid(this.buffer, this.position, value);
    this.position += 16;
  }

  /** 0 to 2^32-1. */
  unsignedVarint(value: number): void {
    if (value !== value >>> 0) throw notA('uint32', value);
    this.ensure(5);
    this.position = writeUnsignedVarint(this.buffer, this.position, value);
  }

  /** Zigzag, 32 bits. */
  varint(value: number): void {
    if (value !== (value | 0)) throw notA('int32', value);
    this.unsignedVarint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  /** 0 to 2^64-1. */
  unsignedVarlong(value: bigint): void {
    if (value !== BigInt.asUintN(64, value)) throw notA('uint64', value);
    this.ensure(10);
    for (; value > 127n; value >>= 7n) this.buffer[this.position++] = Number(value & 127n) | 128;
    this.buffer[this.position++] = Number(value);
  }

  /** Zigzag, 64 bits. */
  varlong(value: bigint): void {
    if (value !== BigInt.asIntN(64, value)) throw notA('int64', value);
    this.unsignedVarlong(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
  }

  /** int16 length and UTF-8; length -1 for null. */
  nullableString(value: string | null): void {
    if (value === null) return this.int16(-1);
    this.ensure(2 + 3 * value.length);
    this.position = writeString(this.buffer, this.position, value);
  }

  /** A large one is not copied: it must stay as it is until what `finish` returns has been used. */
  bytes(value: Buffer): void {
    if (value.length >= REFERENCE_BYTES_MIN) return this.#reference(value);
    this.copy(value);
  }

  copy(value: Buffer): void {
    this.ensure(value.length);
    this.position += value.copy(this.buffer, this.position);
  }

  /** Keeps the place of bytes that whoever sends the message will ask for. */
  defer(value: DeferredBytes): void {
    this.#reference(value);
  }

  #reference(value: Piece): void {
    this.#cut();
    this.#segments.push(value);
    this.#segmentsBytes += value.length;
  }

  /** Makes a segment of what is pending. */
  #cut(): void {
    if (this.position === this.#start) return;
    this.#segments.push(this.buffer.subarray(this.#start, this.position));
    this.#segmentsBytes += this.position - this.#start;
    this.#start = this.position;
  }

  /** Where the next byte goes, as `insertLength` wants it. */
  mark(): number {
    return this.position - this.#start;
  }

  /** Puts the number of bytes since `mark` before them. No reference may have been passed on since. */
  insertLength(mark: number): void {
    const length = this.position - this.#start - mark;
    const lengthBytes = unsignedVarintBytes(length);
    this.ensure(lengthBytes);
    const from = this.#start + mark;
    this.buffer.copyWithin(from + lengthBytes, from, this.position);
    writeUnsignedVarint(this.buffer, from, length);
    this.position += lengthBytes;
  }

  /** All that was written, in order, as few buffers as the references allow. The writer is empty afterwards. */
  finish(): Buffer[] {
    return allInMemory(this.finishPieces());
  }

  /** As `finish`, where bytes may have been deferred. */
  finishPieces(): Piece[] {
    this.#cut();
    const segments = this.#segments;
    const rest = this.buffer.length - this.position;
    if (rest >= CHUNK_REST_BYTES_MIN && rest > spareChunk.buffer.length - sparePosition) {
      spareChunk = this.#chunk;
      sparePosition = this.position;
    }
    this.#use(noChunk);
    this.position = this.#segmentsBytes = 0;
    this.#segments = [];
    return segments;
  }

  /** As `finish`, copied to one buffer, for what is kept rather than sent. */
  finishCopy(): Buffer {
    const length = this.length;
    const segments = this.finish();
    const copy = Buffer.allocUnsafe(length);
    let position = 0;
    for (const segment of segments) position += segment.copy(copy, position);
    return copy;
  }
}

export function unsignedVarintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

/** Returns the position after it. There must be room for five bytes. */
export function writeUnsignedVarint(buffer: Buffer, position: number, value: number): number {
  while (value > 127) {
    buffer[position++] = (value & 127) | 128;
    value >>>= 7;
  }
  buffer[position] = value;
  return position + 1;
}

/** `value` is a safe integer. */
export function writeInt64(view: DataView, position: number, value: number): void {
  view.setInt32(position, Math.floor(value / 4294967296));
  view.setInt32(position + 4, value);
}

export function writeInt64Exact(view: DataView, position: number, value: bigint): void {
  view.setBigInt64(position, value);
  // The view keeps the lower 64 bits of whatever it is given.
  if (view.getBigInt64(position) !== value) throw notA('int64', value);
}

function notA(kind: string, value: number | bigint): TypeError {
  return new TypeError(`${value} is not ${kind}`);
}

const STRING_BYTES_MAX = 0x7fff;

/** int16 length and UTF-8. There must be room for the length and three bytes a character. */
export function writeString(buffer: Buffer, position: number, value: string): number {
  const end = writeText(buffer, position + 2, value);
  const length = end - position - 2;
  if (length > STRING_BYTES_MAX) throw tooLong(length);
  buffer[position] = length >>> 8;
  buffer[position + 1] = length;
  return end;
}

/** Varint of length + 1 and UTF-8. There must be room for three bytes of length and three a character. */
export function writeCompactString(buffer: Buffer, position: number, value: string): number {
  // Nearly always the length takes one byte or is that of ASCII text, and nothing has to be moved.
  const lengthBytes = unsignedVarintBytes(value.length + 1);
  const end = writeText(buffer, position + lengthBytes, value);
  const length = end - position - lengthBytes;
  if (length === value.length) {
    if (length > STRING_BYTES_MAX) throw tooLong(length);
    writeUnsignedVarint(buffer, position, length + 1);
    return end;
  }
  const bytes = textBytes(value);
  if (bytes > STRING_BYTES_MAX) throw tooLong(bytes);
  return writeText(buffer, writeUnsignedVarint(buffer, position, bytes + 1), value);
}

function tooLong(length: number): TypeError {
  return new TypeError(`a string of ${length} bytes is longer than ${STRING_BYTES_MAX}`);
}
