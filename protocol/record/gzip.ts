/**
 * Gzip members, inflated by `node:zlib` as Java's GZIPInputStream does it.
 *
 * Promises: several members are read one after the other; what follows the last one is left alone, whatever it is (node's own gunzip refuses some of
 * it, and Kafka has stored it). A member whose content is not what its trailer says is refused with the content in the error.
 * Does not: give names, comments or times.
 *
 *      0  magic:2      1f 8b
 *      2  method:1     8, deflate
 *      3  flags:1      1 text, 2 header checksum, 4 extra, 8 name, 16 comment
 *      4  time:4  extra flags:1  system:1
 *     10  extra:2+n    where the flags say so; then name and comment, which end with a zero byte; then the header's checksum:2
 *         deflate stream
 *         CRC-32:4     little endian, of the content
 *         length:4     little endian, of the content modulo 2^32
 */
import { crc32, gzipSync, inflateRawSync } from 'node:zlib';
import { beyondLimit, chunkBytes, DecompressionError, FRAMES_MAX, malformed, tooManyFrames } from './bound.ts';

const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
const MAGIC = 0x8b1f;
const DEFLATE = 8;
const FLAGS_AT = 3;
const HEADER_CHECKSUM = 0x02;
const EXTRA = 0x04;
const NAME = 0x08;
const COMMENT = 0x10;

/** @types/node knows `info`, but not for the synchronous calls. */
interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

export function compressGzip(input: Buffer, level: number): Buffer {
  return gzipSync(input, { level });
}

/** The content of the members at the start of `input`, at most `outputBytesMax` long. Throws DecompressionError. */
export function decompressGzip(input: Buffer, outputBytesMax: number): Buffer {
  const output: Buffer[] = [];
  let outputBytes = 0;
  let at = 0;
  do {
    if (output.length === FRAMES_MAX) throw tooManyFrames();
    const contentAt = headerEnd(input, at);
    const { buffer: content, engine } = inflate(input.subarray(contentAt), outputBytesMax - outputBytes);
    const trailerAt = contentAt + engine.bytesWritten;
    output.push(content);
    outputBytes += content.length;
    if (input.length - trailerAt < TRAILER_BYTES) throw malformed('a gzip member is cut short in its trailer');
    if (input.readUInt32LE(trailerAt) !== crc32(content) || input.readUInt32LE(trailerAt + 4) !== content.length) {
      throw new DecompressionError('checksum', 'the trailer of a gzip member does not match its content', Buffer.concat(output));
    }
    at = trailerAt + TRAILER_BYTES;
  } while (isMember(input, at));
  return output.length === 1 ? output[0]! : Buffer.concat(output, outputBytes);
}

function isMember(input: Buffer, at: number): boolean {
  return input.length - at >= HEADER_BYTES + TRAILER_BYTES && input.readUInt16LE(at) === MAGIC && input.readUInt8(at + 2) === DEFLATE;
}

function headerEnd(input: Buffer, at: number): number {
  if (input.length - at < HEADER_BYTES) throw malformed('a gzip member is cut short in its header');
  if (input.readUInt16LE(at) !== MAGIC || input.readUInt8(at + 2) !== DEFLATE) throw malformed('not gzip');
  const flags = input.readUInt8(at + FLAGS_AT);
  let next = at + HEADER_BYTES;
  if ((flags & EXTRA) !== 0) next += input.length - next < 2 ? 2 : 2 + input.readUInt16LE(next);
  if ((flags & NAME) !== 0) next = zeroTerminatedEnd(input, next);
  if ((flags & COMMENT) !== 0) next = zeroTerminatedEnd(input, next);
  if ((flags & HEADER_CHECKSUM) !== 0) {
    if (next + 2 > input.length) throw malformed('a gzip member is cut short in its header');
    if (input.readUInt16LE(next) !== (crc32(input.subarray(at, next)) & 0xffff)) throw malformed('the header checksum of a gzip member does not match');
    next += 2;
  }
  if (next > input.length) throw malformed('a gzip member is cut short in its header');
  return next;
}

function zeroTerminatedEnd(input: Buffer, at: number): number {
  const zero = input.indexOf(0, at);
  if (zero < 0) throw malformed('a gzip member is cut short in its header');
  return zero + 1;
}

function inflate(input: Buffer, outputBytesMax: number): Inflated {
  // node:zlib takes no 0 here; one byte of output is found out below.
  const bound = Math.max(1, outputBytesMax);
  try {
    const inflated = inflateRawSync(input, { maxOutputLength: bound, chunkSize: chunkBytes(input.length, bound), info: true }) as unknown as Inflated;
    if (inflated.buffer.length > outputBytesMax) throw beyondLimit(inflated.buffer.length, outputBytesMax);
    return inflated;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    if (error.code === 'ERR_BUFFER_TOO_LARGE') throw beyondLimit(bound + 1, bound);
    // Z_DATA_ERROR and Z_BUF_ERROR: what zlib says of bytes that are no deflate stream, or not all of it.
    throw malformed(`gzip does not decode: ${error.message}`);
  }
}
