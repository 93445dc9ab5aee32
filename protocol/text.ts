/**
 * Text on the wire: strict UTF-8 both ways and Kafka's text of a uuid, fast for the short ASCII names that nearly all of it is.
 *
 * Promises: every character survives, a byte-order mark and NUL included; ill-formed UTF-8 is a RangeError (theirs), an unpaired surrogate
 * a TypeError (ours). Bounds are the caller's to check. Does not normalise anything.
 */
import { isUtf8 } from 'node:buffer';

/** What Buffer has and its types lack. `toString` and `write` come to the same, 20 ns later. */
interface FastBuffer {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
  base64urlSlice(start: number, end: number): string;
  utf8Write(text: string, position: number): number;
}
const fast = (buffer: Buffer) => buffer as unknown as FastBuffer;

/**
 * Names come again and again (topics, groups, clients), so short ASCII strings are looked up by their bytes before one is made: 48 ns against 62 ns
 * for 13 characters, less garbage, and a string that comes back has its hash for a Map already. Bounded: 1,024 strings of 48 characters.
 */
const KNOWN_STRINGS = 1024;
const KNOWN_STRING_CHARACTERS_MAX = 48;
const knownStrings: string[] = new Array(KNOWN_STRINGS).fill('');

/** The `length` bytes at `position` as text. */
export function readText(buffer: Buffer, position: number, length: number): string {
  if (length > KNOWN_STRING_CHARACTERS_MAX) return readLongText(buffer, position, length);
  const end = position + length;
  let hash = length;
  let bits = 0;
  for (let i = position; i < end; i++) {
    const byte = buffer[i]!;
    bits |= byte;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  if (bits > 127) return readLongText(buffer, position, length);
  const slot = (hash ^ (hash >>> 15)) & (KNOWN_STRINGS - 1);
  const known = knownStrings[slot]!;
  if (known.length === length) {
    let i = 0;
    while (i < length && known.charCodeAt(i) === buffer[position + i]) i++;
    if (i === length) return known;
  }
  return (knownStrings[slot] = fast(buffer).latin1Slice(position, end));
}

function readLongText(buffer: Buffer, position: number, length: number): string {
  const text = fast(buffer).utf8Slice(position, position + length);
  // A string as long as its bytes without a replacement character is ASCII; all else is checked, for utf8Slice replaces what is ill-formed.
  if ((text.length !== length || text.includes('\ufffd')) && !isUtf8(buffer.subarray(position, position + length))) {
    throw new RangeError(`ill-formed UTF-8 in the ${length} bytes at ${position}`);
  }
  return text;
}

/** Bytes that a text takes. */
export function textBytes(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

/** Writes the text; returns the position after it. There must be room for three bytes a character. */
export function writeText(buffer: Buffer, position: number, text: string): number {
  const length = text.length;
  if (length > 64) return writeLongText(buffer, position, text);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return writeLongText(buffer, position, text);
    buffer[position + i] = code;
  }
  return position + length;
}

function writeLongText(buffer: Buffer, position: number, text: string): number {
  if (!text.isWellFormed()) throw new TypeError('text with an unpaired surrogate has no UTF-8');
  return position + fast(buffer).utf8Write(text, position);
}

export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA';

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** Value of each base64 digit by character code; 64 for what is none. */
const DIGIT_VALUES = new Uint8Array(128).fill(64);
for (let i = 0; i < 64; i++) DIGIT_VALUES[DIGITS.charCodeAt(i)] = i;

/** Topic ids come again in every fetch, so their texts are kept like short strings are. */
const KNOWN_UUIDS = 1024;
const knownUuids: string[] = new Array(KNOWN_UUIDS).fill(ZERO_UUID);
const knownUuidBytes = Buffer.alloc(KNOWN_UUIDS * 16);

/** The 16 bytes at `position` as Kafka's text. */
export function readUuid(buffer: Buffer, position: number): string {
  let hash = 0;
  for (let i = 0; i < 16; i++) hash = (Math.imul(hash, 31) + buffer[position + i]!) | 0;
  const slot = (hash ^ (hash >>> 15)) & (KNOWN_UUIDS - 1);
  let same = 0;
  while (same < 16 && knownUuidBytes[slot * 16 + same] === buffer[position + same]) same++;
  if (same === 16) return knownUuids[slot]!;
  buffer.copy(knownUuidBytes, slot * 16, position, position + 16);
  return (knownUuids[slot] = fast(buffer).base64urlSlice(position, position + 16));
}

/** Writes the 16 bytes of a uuid's text. */
export function writeUuid(buffer: Buffer, position: number, text: string): void {
  if (typeof text !== 'string' || text.length !== 22) throw new TypeError(`${String(text)} is not a uuid of 22 characters`);
  // 22 digits of 6 bits are 132 bits; the last four must be zero.
  let wrong = 0;
  let bits = 0;
  let count = 0;
  for (let i = 0; i < 22; i++) {
    const code = text.charCodeAt(i);
    const value = code < 128 ? DIGIT_VALUES[code]! : 64;
    wrong |= value & 64;
    bits = ((bits << 6) | value) & 0xffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      buffer[position++] = bits >>> count;
    }
  }
  if (wrong !== 0 || (bits & 15) !== 0) throw new TypeError(`${text} is not a uuid`);
}

/** Java's hash of the uuid, by which some of Kafka's orders and choices go: its four 32-bit words, exclusive or. */
export function uuidHashCode(text: string): number {
  const bytes = Buffer.alloc(16);
  writeUuid(bytes, 0, text);
  return bytes.readInt32BE(0) ^ bytes.readInt32BE(4) ^ bytes.readInt32BE(8) ^ bytes.readInt32BE(12);
}
