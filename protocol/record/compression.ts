/**
 * The codecs of record batches, each bounded before it runs and while it runs.
 *
 * Promises: `decompress` gives at most what the limits allow and holds at most twice that while it joins the pieces; anything else that is wrong
 * with the bytes is a DecompressionError too. `compress` gives what every Kafka client reads.
 * Does not: compress to the same bytes as Kafka's libraries (a compressor's output is its own affair), or choose codecs and levels.
 */
import { outputBytesAllowed, type DecompressionLimits } from './bound.ts';
import { CompressionType } from './batch.ts';
import { compressGzip, decompressGzip } from './gzip.ts';
import { compressLz4, decompressLz4 } from './lz4.ts';
import { compressXerial, decompressXerial } from './xerial.ts';
import { compressZstd, decompressZstd } from './zstd.ts';

/** `compression.gzip.level` and `compression.zstd.level` by default; Snappy has no levels, and of LZ4's our encoder has one. */
export const DEFAULT_LEVEL = { [CompressionType.GZIP]: -1, [CompressionType.ZSTD]: 3 } as const;

/** `compression.type` by its names in settings and tools. */
export const compressionNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

/**
 * The content of `input`, which aliases it for CompressionType.NONE. Throws DecompressionError; an unknown codec is a RangeError, to be refused by
 * the caller before. `magic` 0 has LZ4 frames with a wrong header checksum.
 */
export function decompress(type: number, input: Buffer, limits: DecompressionLimits, magic = 2): Buffer {
  const allowed = outputBytesAllowed(input.length, limits);
  switch (type) {
    case CompressionType.NONE:
      return input;
    case CompressionType.GZIP:
      return decompressGzip(input, allowed);
    case CompressionType.SNAPPY:
      return decompressXerial(input, allowed);
    case CompressionType.LZ4:
      return decompressLz4(input, allowed, magic === 0 ? 'ignored' : 'checked');
    case CompressionType.ZSTD:
      return decompressZstd(input, allowed);
    default:
      throw new RangeError(`unknown compression type ${type}`);
  }
}

/** `input` compressed, or itself for CompressionType.NONE. `level` is for gzip (-1, 1 to 9) and zstd (-131072 to 22). */
export function compress(type: CompressionType, input: Buffer, level?: number): Buffer {
  switch (type) {
    case CompressionType.NONE:
      return input;
    case CompressionType.GZIP:
      return compressGzip(input, level ?? DEFAULT_LEVEL[CompressionType.GZIP]);
    case CompressionType.SNAPPY:
      return compressXerial(input);
    case CompressionType.LZ4:
      return compressLz4(input);
    case CompressionType.ZSTD:
      return compressZstd(input, level ?? DEFAULT_LEVEL[CompressionType.ZSTD]);
  }
}
