/**
 * What a codec may make of its input: the limits that every decompression takes, and the error that says it was refused.
 *
 * Promises: a bound is known before a codec runs, from the input's length, the limits, and what the format itself can reach.
 * Does not: decompress (`compression.ts` does).
 */

export interface DecompressionLimits {
  /** No output is longer than this. */
  readonly outputBytesMax: number;
  /** No output is longer than this times its input, beyond RATIO_FREE_BYTES: a few kilobytes of zeros are nobody's attack. */
  readonly ratioMax: number;
}

/** Output up to this length is not held against `ratioMax`. */
export const RATIO_FREE_BYTES = 1024 * 1024;

/**
 * No output longer than the largest request that a broker takes by default (`socket.request.max.bytes`): uncompressed, it could not have come either.
 * The ratio is more than gzip (1,032), LZ4 (255) and Snappy (21) can reach at all, so it stops only zstd, whose frames can claim 40,000 and more.
 */
export const DECOMPRESSION_LIMITS: DecompressionLimits = { outputBytesMax: 100 * 1024 * 1024, ratioMax: 4096 };

/**
 * Most frames of zstd, or members of gzip, in one payload. Clients write one; each costs a call of 5 to 15 us however small it is, so that a
 * megabyte of empty ones would hold up the event loop for more than a second.
 */
export const FRAMES_MAX = 256;

/**
 * 'limit': the output would be longer than it may be. 'malformed': the bytes are not what the codec writes. 'checksum': they decode to the end,
 * to something else than was compressed; a reader that takes the output as it comes, as Kafka's does, stumbles over its content first.
 */
export type DecompressionFault = 'limit' | 'malformed' | 'checksum';

/** Compressed bytes that were refused. Theirs, never ours. */
export class DecompressionError extends Error {
  readonly fault: DecompressionFault;
  /** With the fault 'checksum': what the bytes decode to all the same. */
  readonly output: Buffer | undefined;
  constructor(fault: DecompressionFault, message: string, output?: Buffer) {
    super(message);
    this.name = 'DecompressionError';
    this.fault = fault;
    this.output = output;
  }
}

/** The longest output that `inputBytes` may become under the limits. */
export function outputBytesAllowed(inputBytes: number, limits: DecompressionLimits): number {
  return Math.min(limits.outputBytesMax, Math.max(RATIO_FREE_BYTES, inputBytes * limits.ratioMax));
}

export function tooManyFrames(): DecompressionError {
  return new DecompressionError('limit', `more than ${FRAMES_MAX} frames`);
}

export function malformed(message: string): DecompressionError {
  return new DecompressionError('malformed', message);
}

export function beyondLimit(bytes: number, allowed: number): DecompressionError {
  return new DecompressionError('limit', `the output takes ${bytes} bytes or more, and ${allowed} are allowed`);
}

/** node:zlib gathers output in pieces of this size: one piece for the common batch is 2.4 times as fast at 1 MB as pieces of 16 KiB (zstd, measured). */
export function chunkBytes(inputBytes: number, outputBytesMax: number): number {
  return Math.max(1024, Math.min(outputBytesMax, inputBytes * 8, 1024 * 1024));
}
