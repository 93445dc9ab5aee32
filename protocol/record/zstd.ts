/**
 * Zstandard frames, decoded by `node:zlib` one at a time.
 *
 * Promises: the frames are walked by their block headers before anything is decoded, which bounds the output from above, finds where each frame
 * ends (node:zlib stops silently after the first, Kafka's reader goes on), and refuses bytes that belong to no frame. No bytes are no output.
 * Does not: dictionaries.
 *
 *      0  magic:4                     28 b5 2f fd; 5x 2a 4d 18 with a length:4 after it is a frame to skip
 *      4  descriptor:1                content size:2, single segment:1, unused:1, reserved:1, checksum:1, dictionary:2
 *         window:1                    not with a single segment
 *         dictionary id:0,1,2,4
 *         content size:0,1,2,4,8      1 and not 0 with a single segment
 *    ...  block header:3              little endian; last:1, type:2, size:21
 *         block                       raw: size bytes; run length: 1 byte; compressed: size bytes, at most 128 KiB of output
 *    ...  checksum:4                  where the descriptor says so
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { beyondLimit, chunkBytes, FRAMES_MAX, malformed, tooManyFrames } from './bound.ts';

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;
const BLOCK_BYTES_MAX = 128 * 1024;
const RAW_BLOCK = 0;
const RUN_LENGTH_BLOCK = 1;
const COMPRESSED_BLOCK = 2;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;

export function compressZstd(input: Buffer, level: number): Buffer {
  return zstdCompressSync(input, { params: { [constants.ZSTD_c_compressionLevel]: level } });
}

/** The content of all frames in `input`, at most `outputBytesMax` long. Throws DecompressionError. */
export function decompressZstd(input: Buffer, outputBytesMax: number): Buffer {
  const output: Buffer[] = [];
  let outputBytes = 0;
  let at = 0;
  while (at < input.length) {
    if (isSkippable(input, at)) {
      at = skippableEnd(input, at);
      continue;
    }
    if (output.length === FRAMES_MAX) throw tooManyFrames();
    const frame = scanFrame(input, at);
    const content = decompressFrame(input.subarray(at, frame.end), frame.outputBytesMax, outputBytesMax - outputBytes);
    output.push(content);
    outputBytes += content.length;
    at = frame.end;
  }
  return output.length === 1 ? output[0]! : Buffer.concat(output, outputBytes);
}

function isSkippable(input: Buffer, at: number): boolean {
  return input.length - at >= 8 && (input.readUInt32LE(at) & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC;
}

function skippableEnd(input: Buffer, at: number): number {
  const end = at + 8 + input.readUInt32LE(at + 4);
  if (end > input.length) throw malformed('a skippable zstd frame is cut short');
  return end;
}

/** Where the frame at `at` ends, and the most that its blocks can hold. */
function scanFrame(input: Buffer, at: number): { end: number; outputBytesMax: number } {
  if (input.length - at < 5 || input.readUInt32LE(at) !== FRAME_MAGIC) throw malformed('not a zstd frame');
  const descriptor = input.readUInt8(at + 4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentSizeFlag = descriptor >>> 6;
  let next = at + 5 + (singleSegment ? 0 : 1) + DICTIONARY_ID_BYTES[(descriptor & 0x03) as 0 | 1 | 2 | 3];
  next += contentSizeFlag === 0 && singleSegment ? 1 : CONTENT_SIZE_BYTES[contentSizeFlag as 0 | 1 | 2 | 3];
  let bound = 0;
  for (let last = false; !last; ) {
    if (input.length - next < 3) throw malformed('a zstd frame is cut short before a block');
    const header = input.readUIntLE(next, 3);
    last = (header & 1) !== 0;
    const type = (header >>> 1) & 3;
    const size = header >>> 3;
    if (type > COMPRESSED_BLOCK) throw malformed('a zstd block of the reserved type');
    bound += type === COMPRESSED_BLOCK ? BLOCK_BYTES_MAX : size;
    next += 3 + (type === RUN_LENGTH_BLOCK ? 1 : size);
    if (type !== RAW_BLOCK && type !== RUN_LENGTH_BLOCK && size > BLOCK_BYTES_MAX) throw malformed(`a zstd block of ${size} bytes`);
    if (next > input.length) throw malformed('a zstd frame is cut short in a block');
  }
  if ((descriptor & 0x04) !== 0) next += 4;
  if (next > input.length) throw malformed('a zstd frame is cut short before its checksum');
  return { end: next, outputBytesMax: bound };
}

function decompressFrame(frame: Buffer, frameBytesMax: number, bytesLeft: number): Buffer {
  // node:zlib wants at least 1 and takes no 0; an empty frame has nothing to give.
  const bound = Math.max(1, Math.min(frameBytesMax, bytesLeft));
  try {
    const content = zstdDecompressSync(frame, { maxOutputLength: bound, chunkSize: chunkBytes(frame.length, bound) });
    if (content.length > bytesLeft) throw beyondLimit(content.length, bytesLeft);
    return content;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    if (error.code === 'ERR_BUFFER_TOO_LARGE') throw beyondLimit(bound + 1, bound);
    // Z_DATA_ERROR, Z_BUF_ERROR, ZSTD_error_...: the codec's own names for what is wrong with the bytes.
    throw malformed(`a zstd frame does not decode: ${error.message}`);
  }
}
