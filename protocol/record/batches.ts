/**
 * Finding the batches in a run of bytes, of any magic: the part of the format that never changed.
 *
 * Promises: the rules of Kafka's log input streams. A batch that is cut short is left for later and is no error; a length or magic that no version
 * ever wrote is corruption.
 * Does not: look into a batch, beyond the checksum where asked.
 *
 *      0  offset:8   base offset of magic 2; of magic 0 and 1 the message's, the last one's of a compressed set
 *      8  length:4   bytes after this field
 *     12  ...        4 bytes: leader epoch, or the CRC of magic 0 and 1
 *     16  magic:1
 */
import { computeCrc, crc, HEADER_BYTES_UP_TO_MAGIC, LOG_OVERHEAD, magic, RECORD_BATCH_OVERHEAD, sizeInBytes } from './batch.ts';
import type { DecompressionLimits } from './bound.ts';
import { isIntactMessage, readLegacyRecords } from './legacy.ts';
import { readRecords, type Record } from './records.ts';

/** The least that `length` says in any version: a message of magic 0 with neither key nor value. */
export const LENGTH_MIN = 14;
export const MAGIC_MAX = 2;

/** What `nextBatchBytes` answers instead of a size. */
export const INCOMPLETE = 0;
export const CORRUPT = -1;

/** Bytes of the batch at `at`; INCOMPLETE when it does not end before `end`, CORRUPT when no batch begins there. */
export function nextBatchBytes(buffer: Buffer, at: number, end: number): number {
  const left = end - at;
  if (left < LOG_OVERHEAD) return INCOMPLETE;
  const bytes = sizeInBytes(buffer, at);
  if (bytes < LOG_OVERHEAD + LENGTH_MIN) return CORRUPT;
  if (left < HEADER_BYTES_UP_TO_MAGIC) return INCOMPLETE;
  const version = magic(buffer, at);
  if (version < 0 || version > MAGIC_MAX) return CORRUPT;
  return bytes <= left ? bytes : INCOMPLETE;
}

/** What is wrong where `nextBatchBytes` says CORRUPT, in Kafka's words; undefined elsewhere. */
export function corruption(buffer: Buffer, at: number, end: number): string | undefined {
  if (nextBatchBytes(buffer, at, end) !== CORRUPT) return undefined;
  const bytes = sizeInBytes(buffer, at) - LOG_OVERHEAD;
  return bytes < LENGTH_MIN ? `Record size ${bytes} is less than the minimum record overhead (${LENGTH_MIN})` : `Invalid magic found in record: ${magic(buffer, at)}`;
}

/** Whether the batch at `at`, which is there as a whole, is long enough to be one and has the checksum that it says. */
export function isIntact(buffer: Buffer, at: number): boolean {
  if (magic(buffer, at) < MAGIC_MAX) return isIntactMessage(buffer, at);
  return sizeInBytes(buffer, at) >= RECORD_BATCH_OVERHEAD && crc(buffer, at) === computeCrc(buffer, at);
}

/** The records of the batch at `at`, of any magic. Throws a KafkaError when one is not as it should be. */
export function recordsAt(buffer: Buffer, at: number, limits?: DecompressionLimits): Record[] {
  return magic(buffer, at) < MAGIC_MAX ? readLegacyRecords(buffer, at, limits) : readRecords(buffer, at, limits);
}
