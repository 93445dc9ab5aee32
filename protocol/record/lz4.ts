/**
 * LZ4 frames, as Kafka stores them: the frame is read here, its blocks by `lz4-napi`.
 *
 * Promises: no block is decoded before its length, its greatest output and the budget that is left are checked, so the output stays within the
 * budget plus one block; independent and linked blocks, any block size, block checksums. What follows the end mark is left alone, as Kafka does.
 * Does not: check the content checksum, because Kafka does not either and a frame that it has accepted must stay readable; dictionaries, skippable
 * frames, several frames (Kafka's reader has none of them).
 *
 *      0  magic:4            04 22 4d 18
 *      4  FLG:1              version:2 = 01, independent blocks:1, block checksum:1, content size:1, content checksum:1, reserved:2 = 0
 *      5  BD:1               reserved:1 = 0, block size:3 = 4 to 7 for 64 KiB to 4 MiB, reserved:4 = 0
 *      6  content size:8     where FLG says so; nobody's promise, so it is passed over
 *         HC:1               second byte of xxHash32 over FLG to here
 *    ...  block size:4       little endian; 0 is the end mark; the top bit marks a block that is stored as it is
 *         block
 *         block checksum:4   xxHash32 of the block as stored, where FLG says so
 *    ...  content checksum:4 where FLG says so
 */
import { beyondLimit, malformed } from './bound.ts';
import { loadLz4 } from './native.ts';
import { xxh32 } from './xxh32.ts';

const FRAME_MAGIC = 0x184d2204;
const FLG_AT = 4;
const BD_AT = 5;
const CONTENT_SIZE_AT = 6;

const INDEPENDENT_BLOCKS = 0x20;
const BLOCK_CHECKSUM = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;
const STORED_BLOCK = 0x8000_0000;

/** How far back a linked block may refer to the output before it. */
const WINDOW_BYTES = 64 * 1024;
/** A byte of a block adds at most 255 to a match's length, so no block grows further. */
const BLOCK_RATIO_MAX = 255;

/** Old clients computed HC over the magic as well, so in magic 0 it means nothing (KAFKA-3160). */
export type HeaderChecksum = 'checked' | 'ignored';

/** Compresses into one frame of independent blocks. The encoder has one level, the fast one. */
export function compressLz4(input: Buffer): Buffer {
  return loadLz4().compressFrameSync(input);
}

/** The content of the frame at the start of `input`, at most `outputBytesMax` long. Throws DecompressionError. */
export function decompressLz4(input: Buffer, outputBytesMax: number, headerChecksum: HeaderChecksum = 'checked'): Buffer {
  if (input.length < CONTENT_SIZE_AT + 1) throw malformed('an LZ4 frame is cut short in its header');
  if (input.readUInt32LE(0) !== FRAME_MAGIC) throw malformed('not an LZ4 frame');
  const flags = input.readUInt8(FLG_AT);
  const blockBytesMax = blockBytesMaxOf(flags, input.readUInt8(BD_AT));
  const headerChecksumAt = (flags & CONTENT_SIZE) === 0 ? CONTENT_SIZE_AT : CONTENT_SIZE_AT + 8;
  if (input.length <= headerChecksumAt) throw malformed('an LZ4 frame is cut short in its header');
  if (headerChecksum === 'checked' && input.readUInt8(headerChecksumAt) !== ((xxh32(input, FLG_AT, headerChecksumAt) >>> 8) & 0xff)) {
    throw malformed('the header checksum of an LZ4 frame does not match');
  }

  const output: Buffer[] = [];
  let outputBytes = 0;
  let at = headerChecksumAt + 1;
  for (;;) {
    if (input.length - at < 4) throw malformed('an LZ4 frame is cut short before a block');
    const word = input.readUInt32LE(at);
    at += 4;
    if (word === 0) break;
    const blockBytes = word & ~STORED_BLOCK;
    const blockEnd = at + blockBytes;
    if (blockBytes > blockBytesMax) throw malformed(`an LZ4 block of ${blockBytes} bytes, the frame allows ${blockBytesMax}`);
    if (blockEnd > input.length) throw malformed('an LZ4 frame is cut short in a block');
    if ((flags & BLOCK_CHECKSUM) !== 0) {
      if (input.length - blockEnd < 4) throw malformed('an LZ4 frame is cut short before a block checksum');
      if (input.readUInt32LE(blockEnd) !== xxh32(input, at, blockEnd)) throw malformed('the checksum of an LZ4 block does not match');
    }
    const bytesLeft = outputBytesMax - outputBytes;
    const block = word >= STORED_BLOCK
      ? input.subarray(at, blockEnd)
      : decompressBlock(input.subarray(at, blockEnd), blockBytesMax, bytesLeft, (flags & INDEPENDENT_BLOCKS) === 0 ? output : []);
    if (block.length > bytesLeft) throw beyondLimit(outputBytes + block.length, outputBytesMax);
    output.push(block);
    outputBytes += block.length;
    at = blockEnd + ((flags & BLOCK_CHECKSUM) === 0 ? 0 : 4);
  }
  if ((flags & CONTENT_CHECKSUM) !== 0 && input.length - at < 4) throw malformed('an LZ4 frame is cut short before its content checksum');
  return output.length === 1 ? output[0]! : Buffer.concat(output, outputBytes);
}

/** Whether the frame's blocks refer to each other, which Kafka's own reader refuses. False for what is no frame. */
export function isLinkedLz4(input: Buffer): boolean {
  return input.length > BD_AT && input.readUInt32LE(0) === FRAME_MAGIC && (input.readUInt8(FLG_AT) & INDEPENDENT_BLOCKS) === 0;
}

function blockBytesMaxOf(flags: number, descriptor: number): number {
  if (flags >>> 6 !== 1) throw malformed(`version ${flags >>> 6} of the LZ4 frame format`);
  if ((flags & 0x03) !== 0 || (descriptor & 0x8f) !== 0) throw malformed('reserved bits are set in the header of an LZ4 frame');
  const size = descriptor >>> 4;
  if (size < 4) throw malformed(`block size ${size} in the header of an LZ4 frame`);
  return 1 << (2 * size + 8);
}

/** lz4-napi reads from 4 bytes before the block how much it shall allocate, and says no when the block needs more. */
function decompressBlock(block: Buffer, blockBytesMax: number, bytesLeft: number, before: readonly Buffer[]): Buffer {
  const { uncompressSync } = loadLz4();
  const bound = Math.min(blockBytesMax, bytesLeft, block.length * BLOCK_RATIO_MAX);
  const sized = Buffer.allocUnsafe(4 + block.length);
  sized.writeUInt32LE(bound, 0);
  block.copy(sized, 4);
  try {
    return before.length === 0 ? uncompressSync(sized) : uncompressSync(sized, lastWindow(before));
  } catch (error) {
    // The codec throws plain Errors. Of a block that fits the frame's block size but not the budget, it says so in these words.
    const message = error instanceof Error ? error.message : String(error);
    if (bound === bytesLeft && message.includes('output is too small')) throw beyondLimit(bound + 1, bound);
    throw malformed(`an LZ4 block does not decode: ${message}`);
  }
}

/** The last 64 KiB of the output so far, or all of it where it is shorter. */
function lastWindow(output: readonly Buffer[]): Buffer {
  let first = output.length;
  let bytes = 0;
  while (first > 0 && bytes < WINDOW_BYTES) bytes += output[--first]!.length;
  const joined = first === output.length - 1 ? output[first]! : Buffer.concat(output.slice(first), bytes);
  return joined.subarray(Math.max(0, joined.length - WINDOW_BYTES));
}
