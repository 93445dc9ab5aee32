/**
 * CRC-32C (Castagnoli) of a range of a buffer, the checksum of record batches and producer snapshots.
 *
 * Promises: the same number by whichever of two ways: `crc-32`, pure JavaScript, always there; or `@node-rs/crc32`, an optional
 * dependency with the processor's own instruction, for ranges where the call into it pays. It is looked for on the first long range, once.
 * Does not: keep a running state over several ranges.
 */
import { createRequire } from 'node:module';

type Checksum = (data: Uint8Array) => number;

const require = createRequire(import.meta.url);
// Through `require`, for the package types only its main file, which is CRC-32 with another polynomial.
const portable = (require('crc-32/crc32c.js') as { buf: (data: Uint8Array) => number }).buf;

/** Shorter ranges go to `crc-32`: measured per call, 128 bytes take 120 and 170 ns, 400 take the same, 1 KiB 550 and 320. */
export const NATIVE_BYTES_MIN = 512;

/** undefined: not looked for yet. null: it does not load here. */
let native: Checksum | null | undefined;

/** The optional native checksum, or null where it is not installed or has no binary for this platform. */
export function loadNativeCrc32c(): Checksum | null {
  try {
    return (require('@node-rs/crc32') as { crc32c: Checksum }).crc32c;
  } catch {
    // An optional dependency: whatever its loading throws (not found, wrong libc, no binary), the portable one serves.
    return null;
  }
}

/** CRC-32C of `buffer[start, end)`, 0 to 2^32-1. */
export function crc32c(buffer: Buffer, start: number, end: number): number {
  if (end - start < NATIVE_BYTES_MIN) return portableCrc32c(buffer, start, end);
  if (native === undefined) native = loadNativeCrc32c();
  return native === null ? portableCrc32c(buffer, start, end) : native(buffer.subarray(start, end)) >>> 0;
}

/** The same by `crc-32` alone. */
export function portableCrc32c(buffer: Buffer, start: number, end: number): number {
  return portable(buffer.subarray(start, end)) >>> 0;
}
