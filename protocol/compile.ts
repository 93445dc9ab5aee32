/**
 * Decoding and encoding messages. Each version of each message is compiled once, on first use (0.3 ms), to a function of its own.
 *
 * Promises: malformed bytes are a RangeError and a value of ours that does not fit is a TypeError, never anything else. Decoding stops behind
 * the message and leaves the rest to the caller. Bytes in a decoded value are views of the frame.
 */
import { decoderSource } from './decoder-source.ts';
import { DeferredBytes, type Piece } from './deferred-bytes.ts';
import { encoderSource } from './encoder-source.ts';
import type { Int64Mode } from './layout.ts';
import { Reader, readFloat64, readInt64, readInt64Exact, readUnsignedVarint, shortOf } from './reader.ts';
import { inRange } from './schema.ts';
import type { AnyMessage, Input, Value } from './schema.ts';
import { readText, readUuid, writeUuid, ZERO_UUID } from './text.ts';
import { writeCompactString, writeInt64, writeInt64Exact, Writer, writeString, writeUnsignedVarint } from './writer.ts';

/** Reads one message; the reader stands behind it afterwards. */
export function decode<M extends AnyMessage>(message: M, version: number, reader: Reader): Value<M> {
  const decoder = message.decoders[version] ?? (message.decoders[version] = compileDecoder(message, version, 'ordinary'));
  return decoder(reader) as Value<M>;
}

/** Writes one message. */
export function encode<M extends AnyMessage>(message: M, version: number, input: Input<M>, writer: Writer): void {
  const encoder = message.encoders[version] ?? (message.encoders[version] = compileEncoder(message, version, 'ordinary'));
  encoder(input, writer);
}

/** Reads a message that is all of `buffer`; bytes behind it are a RangeError. */
export function decodeBuffer<M extends AnyMessage>(message: M, version: number, buffer: Buffer): Value<M> {
  const reader = new Reader(buffer);
  const value = decode(message, version, reader);
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes behind ${message.name} v${version}`);
  return value;
}

/** The message alone, in a buffer of its own. */
export function encodeBuffer<M extends AnyMessage>(message: M, version: number, input: Input<M>): Buffer {
  const writer = new Writer();
  encode(message, version, input, writer);
  return writer.finishCopy();
}

/** Compiles a decoder anew; `decode` keeps the ones it has. In exact mode every int64 is a bigint. */
export function compileDecoder(message: AnyMessage, version: number, mode: Int64Mode): (reader: Reader) => any {
  requireVersion(message, version);
  return compile(decoderSource(message, version, mode));
}

/** Compiles an encoder anew; `encode` keeps the ones it has. */
export function compileEncoder(message: AnyMessage, version: number, mode: Int64Mode): (input: any, writer: Writer) => void {
  requireVersion(message, version);
  return compile(encoderSource(message, version, mode));
}

function requireVersion(message: AnyMessage, version: number): void {
  if (!Number.isInteger(version) || !inRange(message.versions, version)) throw new TypeError(`${message.name} has no version ${version}`);
}

/** What emitted source may call. */
const environment = {
  readInt64,
  readInt64Exact,
  readFloat64,
  readUnsignedVarint,
  shortOf,
  writeInt64,
  writeInt64Exact,
  writeUnsignedVarint,
  writeString,
  writeCompactString,
  readText,
  readUuid,
  writeUuid,
  ZERO_UUID,
  noBytes: Buffer.alloc(0),
  tagCount,
  skipTags,
  isBytes,
  lengthOfBytes,
  writeBytes,
  copyBytes,
  badLength: (what: string, length: number, left: number) => new RangeError(`${what} has length ${length}, ${left} bytes are left`),
  badCount: (what: string, count: number, least: number, left: number) =>
    new RangeError(`${what} has ${count} elements of at least ${least} bytes, ${left} bytes are left`),
  tooManyElements: (what: string, count: number) => new RangeError(`${what} with its ${count} elements is over the limit of the frame`),
  badTag,
  badTagSize: (what: string, size: number, left: number) => new RangeError(`${what} is said to have ${size} bytes, ${left} were not read`),
  notNullable: (what: string) => new RangeError(`${what} is null`),
  notA: (what: string, kind: string, value: unknown) => new TypeError(`${what}: ${describe(value)} is not ${kind}`),
  cannotCarry: (what: string) => new TypeError(`${what} is set, and that version does not have it`),
};
const environmentNames = `const { ${Object.keys(environment).join(', ')} } = environment;`;

function compile(source: string): any {
  return new Function('environment', `'use strict';\n${environmentNames}\n${source}`)(environment);
}

/** The count of tagged fields that begins at `position`, within its limits. A tagged field takes two bytes at least. */
function tagCount(reader: Reader, position: number, end: number, what: string): number {
  const count = readUnsignedVarint(reader, position, end);
  if (count > (end - reader.position) / 2) throw environment.badCount(what, count, 2, end - reader.position);
  if (count > reader.tagsMax) throw new RangeError(`${what} are ${count}, more than ${reader.tagsMax}`);
  return count;
}

/** Returns the position behind tagged fields that nobody knows. */
function skipTags(reader: Reader, position: number, end: number, what: string): number {
  const count = tagCount(reader, position, end, what);
  let last = -1;
  for (let i = 0; i < count; i++) {
    const tag = readUnsignedVarint(reader, reader.position, end);
    const size = readUnsignedVarint(reader, reader.position, end);
    const left = end - reader.position;
    if (tag <= last || size > left) throw badTag(what, tag, last, size, left);
    last = tag;
    reader.position += size;
  }
  return reader.position;
}

function badTag(what: string, tag: number, last: number, size: number, left: number): RangeError {
  return new RangeError(tag <= last ? `${what}: ${tag} comes after ${last}` : `${what}: ${tag} has ${size} bytes, ${left} are left`);
}

function isBytes(value: unknown): boolean {
  return Buffer.isBuffer(value) || (Array.isArray(value) && value.every((each) => Buffer.isBuffer(each) || each instanceof DeferredBytes));
}

function lengthOfBytes(value: Buffer | readonly Piece[]): number {
  if (Buffer.isBuffer(value)) return value.length;
  let length = 0;
  for (const each of value) length += each.length;
  return length;
}

function writeBytes(writer: Writer, value: Buffer | readonly Piece[]): void {
  if (Buffer.isBuffer(value)) return writer.bytes(value);
  for (const each of value) each instanceof DeferredBytes ? writer.defer(each) : writer.bytes(each);
}

function copyBytes(writer: Writer, value: Buffer | readonly Buffer[]): void {
  if (Buffer.isBuffer(value)) return writer.copy(value);
  for (const each of value) writer.copy(each);
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : typeof value === 'bigint' ? `${value}n` : String(value);
}
