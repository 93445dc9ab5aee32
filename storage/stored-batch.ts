/**
 * What the log needs to know of a batch that lies in a file, whichever format wrote it: magic 2, or a message (set) of magic 0 and 1
 * that an older Kafka left behind.
 *
 * Promises: no allocation, and an answer for any bytes. Does not: read records, or repair anything.
 *
 *     magic 0 and 1:  0 offset:8 (of the last message inside)   8 size:4   12 crc:4 (CRC-32 of 16 to the end)   16 magic:1   17 attributes:1
 *                    18 timestamp:8 (magic 1 only)
 *     magic 2:        protocol/record/batch.ts draws it
 */
import { crc32 } from 'node:zlib';
import * as batch from '../protocol/record/batch.ts';

const LEGACY_CRC_AT = 12;
const LEGACY_CRC_FROM = 16;
const LEGACY_TIMESTAMP_AT = 18;
/** Least `size` that Kafka's reader accepts in any format: the header of an empty message of magic 0. */
const LEGACY_SIZE_MIN = 14;
const LEGACY_V1_SIZE_MIN = 22;
const LEGACY_HEADER_BYTES = batch.LOG_OVERHEAD + LEGACY_SIZE_MIN;

/** A header of this many bytes answers every question here; shorter ones only in the formats before magic 2. */
export const HEADER_BYTES = batch.RECORD_BATCH_OVERHEAD;

/** Whether enough of a batch lies in [at, end) to ask the questions below. */
export function hasHeader(buffer: Buffer, at: number, end: number): boolean {
  if (at + HEADER_BYTES <= end) return true;
  return at + LEGACY_HEADER_BYTES <= end && batch.magic(buffer, at) < 2;
}

/**
 * Bytes of the batch at `at`, of which at least HEADER_BYTES_UP_TO_MAGIC are in the buffer, or -1 when no batch begins so: a length that no
 * batch has (zeros of a file that was extended and never written, the middle of something else) or a format that is not known.
 */
export function storedSize(buffer: Buffer, at: number): number {
  const length = batch.batchLength(buffer, at);
  const magic = batch.magic(buffer, at);
  if (magic === 2) return length >= batch.RECORD_BATCH_OVERHEAD - batch.LOG_OVERHEAD ? batch.LOG_OVERHEAD + length : -1;
  if (magic === 1) return length >= LEGACY_V1_SIZE_MIN ? batch.LOG_OVERHEAD + length : -1;
  if (magic === 0) return length >= LEGACY_SIZE_MIN ? batch.LOG_OVERHEAD + length : -1;
  return -1;
}

/** Offset of the first record; of the last one where an older format does not say it without unpacking. */
export function storedBaseOffset(buffer: Buffer, at: number): number {
  return batch.baseOffset(buffer, at);
}

export function storedLastOffset(buffer: Buffer, at: number): number {
  return batch.magic(buffer, at) >= 2 ? batch.lastOffset(buffer, at) : batch.baseOffset(buffer, at);
}

/** -1 where the format has no timestamps. */
export function storedMaxTimestamp(buffer: Buffer, at: number): number {
  const magic = batch.magic(buffer, at);
  if (magic >= 2) return batch.maxTimestamp(buffer, at);
  return magic === 1 ? batch.readInt64(buffer, at + LEGACY_TIMESTAMP_AT) : batch.NO_TIMESTAMP;
}

/** -1 where the format has none. */
export function storedLeaderEpoch(buffer: Buffer, at: number): number {
  return batch.magic(buffer, at) >= 2 ? batch.partitionLeaderEpoch(buffer, at) : batch.NO_PARTITION_LEADER_EPOCH;
}

export function storedHasProducerId(buffer: Buffer, at: number): boolean {
  return batch.magic(buffer, at) >= 2 && batch.hasProducerId(buffer, at);
}

/** Whether the whole batch, which must be in the buffer, is what was written. */
export function storedCrcMatches(buffer: Buffer, at: number): boolean {
  if (batch.magic(buffer, at) >= 2) return batch.crc(buffer, at) === batch.computeCrc(buffer, at);
  const end = at + batch.sizeInBytes(buffer, at);
  return buffer.readUInt32BE(at + LEGACY_CRC_AT) === crc32(buffer.subarray(at + LEGACY_CRC_FROM, end));
}
