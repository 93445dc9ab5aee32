/**
 * The header of a record batch of magic 2, read and patched in place in the buffer that it came in.
 *
 * Promises: no allocation; every accessor reads its field at `at`, the first byte of the batch, and nothing else. The caller has made sure
 * that RECORD_BATCH_OVERHEAD bytes are there (`baseOffset`, `batchLength` and `sizeInBytes` need only LOG_OVERHEAD, `magic` only 17).
 * Does not: check anything (`validate.ts` does), look at records (`records.ts`), know magic 0 and 1 (`legacy.ts`).
 *
 * 64-bit fields are numbers: exact within +-(2^53-1), and read as the nearest of these beyond, so that whatever was read can be written and sent. No
 * broker hands out such a value, and `validate.ts` refuses it from clients.
 *
 *      0  baseOffset:8               not under the CRC, so a broker can set it
 *      8  batchLength:4              bytes after this field
 *     12  partitionLeaderEpoch:4     not under the CRC either
 *     16  magic:1                    2; at the same place in magic 0 and 1
 *     17  crc:4                      CRC-32C of everything from 21 to the end
 *     21  attributes:2               0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
 *     23  lastOffsetDelta:4          compaction keeps it, so it may lie beyond the last record
 *     27  baseTimestamp:8            the delete horizon when bit 6 is set
 *     35  maxTimestamp:8
 *     43  producerId:8               -1 for none
 *     51  producerEpoch:2
 *     53  baseSequence:4
 *     57  recordCount:4
 *     61  records, or what the codec made of them
 */
import { crc32c } from './crc32c.ts';
import { incrementSequence } from './sequence.ts';

/** Bytes of baseOffset and batchLength, which batchLength does not count. */
export const LOG_OVERHEAD = 12;
/** Bytes of the header of a batch of magic 2, that is, the least that one takes. */
export const RECORD_BATCH_OVERHEAD = 61;
/** Bytes that tell whether the rest is a batch of ours: up to and with the magic byte. */
export const HEADER_BYTES_UP_TO_MAGIC = 17;

export const BASE_OFFSET_AT = 0;
export const BATCH_LENGTH_AT = 8;
export const PARTITION_LEADER_EPOCH_AT = 12;
export const MAGIC_AT = 16;
export const CRC_AT = 17;
export const ATTRIBUTES_AT = 21;
export const LAST_OFFSET_DELTA_AT = 23;
export const BASE_TIMESTAMP_AT = 27;
export const MAX_TIMESTAMP_AT = 35;
export const PRODUCER_ID_AT = 43;
export const PRODUCER_EPOCH_AT = 51;
export const BASE_SEQUENCE_AT = 53;
export const RECORD_COUNT_AT = 57;

export const COMPRESSION_MASK = 0x07;
export const TIMESTAMP_TYPE_MASK = 0x08;
export const TRANSACTIONAL_MASK = 0x10;
export const CONTROL_MASK = 0x20;
export const DELETE_HORIZON_MASK = 0x40;
const KNOWN_ATTRIBUTES_MASK = 0x7f;

export const NO_TIMESTAMP = -1;
export const NO_PRODUCER_ID = -1;
export const NO_PRODUCER_EPOCH = -1;
export const NO_SEQUENCE = -1;
export const NO_PARTITION_LEADER_EPOCH = -1;

export const TimestampType = { CREATE_TIME: 0, LOG_APPEND_TIME: 1 } as const;
export type TimestampType = (typeof TimestampType)[keyof typeof TimestampType];

/** The codecs as the attributes number them. 5 to 7 mean nothing and must be refused. */
export const CompressionType = { NONE: 0, GZIP: 1, SNAPPY: 2, LZ4: 3, ZSTD: 4 } as const;
export type CompressionType = (typeof CompressionType)[keyof typeof CompressionType];

const TWO_TO_32 = 0x1_0000_0000;

/** A signed 64-bit field as a number, saturated. Two 32-bit reads take a tenth of the time of a bigint, which would also be garbage. */
export function readInt64(buffer: Buffer, at: number): number {
  return saturate(buffer.readInt32BE(at) * TWO_TO_32 + buffer.readUInt32BE(at + 4));
}

/** The nearest number that is exact. */
export function saturate(value: number): number {
  return value > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : value < Number.MIN_SAFE_INTEGER ? Number.MIN_SAFE_INTEGER : value;
}

/** Throws a RangeError for what a double does not hold exactly: it must not be written as something else. */
export function writeInt64(buffer: Buffer, value: number, at: number): void {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a safe integer`);
  const high = Math.floor(value / TWO_TO_32);
  buffer.writeInt32BE(high, at);
  buffer.writeUInt32BE(value - high * TWO_TO_32, at + 4);
}

export function baseOffset(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + BASE_OFFSET_AT);
}

export function batchLength(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + BATCH_LENGTH_AT);
}

/** Bytes of the whole batch. Holds for magic 0 and 1 too. */
export function sizeInBytes(buffer: Buffer, at: number): number {
  return LOG_OVERHEAD + buffer.readInt32BE(at + BATCH_LENGTH_AT);
}

export function partitionLeaderEpoch(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + PARTITION_LEADER_EPOCH_AT);
}

/** Signed, so that a byte of 0xff is -1 and not some future format. */
export function magic(buffer: Buffer, at: number): number {
  return buffer.readInt8(at + MAGIC_AT);
}

/** The checksum as it is written, 0 to 2^32-1. */
export function crc(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at + CRC_AT);
}

/** The checksum as it should be. Reads the whole batch, which must be there. */
export function computeCrc(buffer: Buffer, at: number): number {
  return crc32c(buffer, at + ATTRIBUTES_AT, at + sizeInBytes(buffer, at));
}

export function attributes(buffer: Buffer, at: number): number {
  return buffer.readInt16BE(at + ATTRIBUTES_AT);
}

export function lastOffsetDelta(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + LAST_OFFSET_DELTA_AT);
}

export function lastOffset(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + BASE_OFFSET_AT) + buffer.readInt32BE(at + LAST_OFFSET_DELTA_AT);
}

export function nextOffset(buffer: Buffer, at: number): number {
  return lastOffset(buffer, at) + 1;
}

/** The timestamp that the records' deltas are relative to; with a delete horizon it is the horizon, and they are relative to it all the same. */
export function baseTimestamp(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + BASE_TIMESTAMP_AT);
}

export function maxTimestamp(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + MAX_TIMESTAMP_AT);
}

export function producerId(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + PRODUCER_ID_AT);
}

export function producerEpoch(buffer: Buffer, at: number): number {
  return buffer.readInt16BE(at + PRODUCER_EPOCH_AT);
}

export function baseSequence(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + BASE_SEQUENCE_AT);
}

/** The sequence of the last offset, which wraps to 0 after 2^31-1; NO_SEQUENCE where there is none. */
export function lastSequence(buffer: Buffer, at: number): number {
  const first = buffer.readInt32BE(at + BASE_SEQUENCE_AT);
  return first === NO_SEQUENCE ? NO_SEQUENCE : incrementSequence(first, buffer.readInt32BE(at + LAST_OFFSET_DELTA_AT));
}

export function recordCount(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + RECORD_COUNT_AT);
}

/** 0 to 7, of which 5 to 7 are nobody's. */
export function compressionType(buffer: Buffer, at: number): number {
  return attributes(buffer, at) & COMPRESSION_MASK;
}

export function timestampType(buffer: Buffer, at: number): TimestampType {
  return (attributes(buffer, at) & TIMESTAMP_TYPE_MASK) === 0 ? TimestampType.CREATE_TIME : TimestampType.LOG_APPEND_TIME;
}

export function isTransactional(buffer: Buffer, at: number): boolean {
  return (attributes(buffer, at) & TRANSACTIONAL_MASK) !== 0;
}

export function isControl(buffer: Buffer, at: number): boolean {
  return (attributes(buffer, at) & CONTROL_MASK) !== 0;
}

export function hasDeleteHorizon(buffer: Buffer, at: number): boolean {
  return (attributes(buffer, at) & DELETE_HORIZON_MASK) !== 0;
}

export function hasProducerId(buffer: Buffer, at: number): boolean {
  // The sign of the upper half says it; Kafka asks for > -1.
  return buffer.readInt32BE(at + PRODUCER_ID_AT) >= 0;
}

export function setBaseOffset(buffer: Buffer, at: number, offset: number): void {
  writeInt64(buffer, offset, at + BASE_OFFSET_AT);
}

/** Sets the base offset so that the last offset is `offset`. Holds for magic 0 and 1 with a delta of 0, as their outer message carries the last offset. */
export function setLastOffset(buffer: Buffer, at: number, offset: number): void {
  writeInt64(buffer, offset - buffer.readInt32BE(at + LAST_OFFSET_DELTA_AT), at + BASE_OFFSET_AT);
}

export function setPartitionLeaderEpoch(buffer: Buffer, at: number, epoch: number): void {
  buffer.writeInt32BE(epoch, at + PARTITION_LEADER_EPOCH_AT);
}

/** Changes what lies under the CRC, and so computes it anew, unless both fields are what they should be already. */
export function setMaxTimestampAndType(buffer: Buffer, at: number, type: TimestampType, timestamp: number): void {
  if (timestampType(buffer, at) === type && maxTimestamp(buffer, at) === timestamp) return;
  // Kafka writes the bits that it knows, so the others, which some client may have set, are lost here and only here.
  const others = attributes(buffer, at) & KNOWN_ATTRIBUTES_MASK & ~TIMESTAMP_TYPE_MASK;
  buffer.writeInt16BE(type === TimestampType.LOG_APPEND_TIME ? others | TIMESTAMP_TYPE_MASK : others, at + ATTRIBUTES_AT);
  writeInt64(buffer, timestamp, at + MAX_TIMESTAMP_AT);
  updateCrc(buffer, at);
}

/** Writes the checksum that belongs to the batch as it is now. */
export function updateCrc(buffer: Buffer, at: number): void {
  buffer.writeUInt32BE(computeCrc(buffer, at), at + CRC_AT);
}
