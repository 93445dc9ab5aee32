/**
 * Snappy, in the blocks of xerial's snappy-java that Kafka stores, and raw as some clients send it.
 *
 * Promises: the length that a raw block declares is read and checked against the budget and against what Snappy can reach before the codec is
 * called; chunk lengths are checked against the bytes that are there. Several concatenated streams are read, as snappy-java does.
 * Does not: Snappy's own frame format, which Kafka never used.
 *
 *      0  magic:8            82 'SNAPPY' 00
 *      8  version:4          1
 *     12  compatible with:4  1
 *     16  chunk size:4       big endian
 *         chunk              a raw Snappy block: varint length of the output, then the elements
 *    ...  more of them, or another header
 */
import { beyondLimit, malformed } from './bound.ts';
import { loadSnappy } from './native.ts';

const MAGIC = Buffer.from('\x82SNAPPY\0', 'latin1');
const HEADER_BYTES = 16;
/** The first four bytes of the magic where a chunk size could be: a second stream begins. As a chunk size it would be negative. */
const MAGIC_WORD = MAGIC.readInt32BE(0);
const VERSION = 1;
/** What snappy-java puts into a chunk unless told otherwise. */
const CHUNK_BYTES = 32 * 1024;
/** Handing over the codec's own memory instead of a copy takes 80 us for a chunk and not 10: each costs an entry in the collector's books. */
const COPIED = { copyOutputData: true } as const;
/** The best element copies 64 bytes and takes 3. */
const RATIO_MAX = 22;

export function compressXerial(input: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header, 0);
  header.writeInt32BE(VERSION, 8);
  header.writeInt32BE(VERSION, 12);
  const output: Buffer[] = [header];
  for (let at = 0; at < input.length; at += CHUNK_BYTES) {
    const chunk = loadSnappy().compressSync(input.subarray(at, Math.min(at + CHUNK_BYTES, input.length)), COPIED);
    const size = Buffer.allocUnsafe(4);
    size.writeInt32BE(chunk.length, 0);
    output.push(size, chunk);
  }
  return Buffer.concat(output);
}

/** The content of xerial's blocks or of one raw block, at most `outputBytesMax` long. Throws DecompressionError. */
export function decompressXerial(input: Buffer, outputBytesMax: number): Buffer {
  if (input.length === 0) throw malformed('a Snappy stream is empty');
  if (!startsWithMagic(input, 0)) return decompressBlock(input, outputBytesMax, outputBytesMax);
  const output: Buffer[] = [];
  let outputBytes = 0;
  let at = skipHeader(input, 0);
  while (at < input.length) {
    // Less than a chunk size is the end, whatever it is: snappy-java asks for 4 bytes and gives up when there are fewer.
    if (input.length - at < 4) break;
    const size = input.readInt32BE(at);
    if (size === MAGIC_WORD && startsWithMagic(input, at)) {
      at = skipHeader(input, at);
      continue;
    }
    at += 4;
    if (size < 0 || size > input.length - at) throw malformed(`a Snappy chunk of ${size} bytes where ${input.length - at} are left`);
    const chunk = decompressBlock(input.subarray(at, at + size), outputBytesMax - outputBytes, outputBytesMax);
    output.push(chunk);
    outputBytes += chunk.length;
    at += size;
  }
  return output.length === 1 ? output[0]! : Buffer.concat(output, outputBytes);
}

function startsWithMagic(input: Buffer, at: number): boolean {
  return input.length - at >= MAGIC.length && input.compare(MAGIC, 0, MAGIC.length, at, at + MAGIC.length) === 0;
}

/** Returns where the first chunk is. */
function skipHeader(input: Buffer, at: number): number {
  if (input.length - at < HEADER_BYTES) throw malformed('a Snappy stream is cut short in its header');
  // The versions are read by nobody: there was only ever one, and Kafka takes any number there (tried).
  return at + HEADER_BYTES;
}

function decompressBlock(block: Buffer, bytesLeft: number, outputBytesMax: number): Buffer {
  const declared = declaredBytes(block);
  if (declared > block.length * RATIO_MAX) throw malformed(`a Snappy block of ${block.length} bytes declares ${declared} of output`);
  if (declared > bytesLeft) throw beyondLimit(outputBytesMax - bytesLeft + declared, outputBytesMax);
  const { uncompressSync } = loadSnappy();
  try {
    return uncompressSync(block, COPIED) as Buffer;
  } catch (error) {
    // The codec throws plain Errors for whatever is wrong with a block.
    throw malformed(`a Snappy block does not decode: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The varint at the start of a raw block, 0 to 2^32-1. */
function declaredBytes(block: Buffer): number {
  let value = 0;
  for (let i = 0; i < 5 && i < block.length; i++) {
    const byte = block.readUInt8(i);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  throw malformed('a Snappy block has no length');
}
