/**
 * Makes record batches of magic 2, and the parts of them that control batches are made of.
 *
 * Promises: the bytes of Kafka's own builder for the same header and records where nothing is compressed; deltas, count and checksum are computed,
 * every other field is given or has Kafka's default.
 * Does not: split what is too large, or check that the whole makes sense to a broker (`validate.ts`).
 */
import assert from 'node:assert';
import {
  ATTRIBUTES_AT, BASE_OFFSET_AT, BASE_SEQUENCE_AT, BASE_TIMESTAMP_AT, BATCH_LENGTH_AT, CompressionType, CONTROL_MASK, CRC_AT, DELETE_HORIZON_MASK,
  LAST_OFFSET_DELTA_AT, LOG_OVERHEAD, MAGIC_AT, MAX_TIMESTAMP_AT, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
  NO_TIMESTAMP, PARTITION_LEADER_EPOCH_AT, PRODUCER_EPOCH_AT, PRODUCER_ID_AT, RECORD_BATCH_OVERHEAD, RECORD_COUNT_AT, TimestampType,
  TIMESTAMP_TYPE_MASK, TRANSACTIONAL_MASK, writeInt64,
} from './batch.ts';
import { compress } from './compression.ts';
import { crc32c } from './crc32c.ts';
import { sizeOfVarint, sizeOfVarlong, writeVarint, writeVarlong, type Int64 } from './varint.ts';

export interface HeaderInput {
  readonly key: string;
  readonly value?: Buffer | null;
}

export interface RecordInput {
  /** The next after the record before by default, or the batch's base offset. */
  readonly offset?: Int64;
  /** NO_TIMESTAMP by default. */
  readonly timestamp?: Int64;
  readonly key?: Buffer | null;
  readonly value?: Buffer | null;
  readonly headers?: readonly HeaderInput[];
}

/** Bigints are for values beyond +-2^53, which tools and tests meet and brokers do not. */
export interface BatchInput {
  readonly records: readonly RecordInput[];
  /** The first record's offset by default, or 0. */
  readonly baseOffset?: Int64;
  /** The last record's by default. Compaction leaves it beyond. */
  readonly lastOffsetDelta?: number;
  readonly partitionLeaderEpoch?: number;
  readonly compression?: CompressionType;
  readonly compressionLevel?: number;
  readonly timestampType?: TimestampType;
  /** The first record's by default. */
  readonly baseTimestamp?: Int64;
  /** The greatest of the records' by default. With LOG_APPEND_TIME it is the time of all records and must be given. */
  readonly maxTimestamp?: Int64;
  /** When the cleaner may drop the tombstones and markers in it; takes the place of the base timestamp. */
  readonly deleteHorizonMs?: number;
  readonly producerId?: Int64;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
}

export function buildBatch(input: BatchInput): Buffer {
  const first = input.records[0];
  const baseOffset = input.baseOffset ?? first?.offset ?? 0;
  const baseTimestamp = input.deleteHorizonMs ?? input.baseTimestamp ?? first?.timestamp ?? NO_TIMESTAMP;
  const compression = input.compression ?? CompressionType.NONE;
  const type = input.timestampType ?? TimestampType.CREATE_TIME;
  assert(type === TimestampType.CREATE_TIME || input.maxTimestamp !== undefined, 'a batch with log append time needs maxTimestamp');

  const isStored = compression === CompressionType.NONE;
  const recordsAt = isStored ? RECORD_BATCH_OVERHEAD : 0;
  const plain = encodeRecords(input.records, baseOffset, baseTimestamp, recordsAt);
  const batch = isStored ? plain.buffer : withRoomForHeader(compress(compression, plain.buffer, input.compressionLevel));

  writeLong(batch, baseOffset, BASE_OFFSET_AT);
  batch.writeInt32BE(batch.length - LOG_OVERHEAD, BATCH_LENGTH_AT);
  batch.writeInt32BE(input.partitionLeaderEpoch ?? NO_PARTITION_LEADER_EPOCH, PARTITION_LEADER_EPOCH_AT);
  batch.writeInt8(2, MAGIC_AT);
  batch.writeInt16BE(
    compression
      | (type === TimestampType.LOG_APPEND_TIME ? TIMESTAMP_TYPE_MASK : 0)
      | (input.isTransactional === true ? TRANSACTIONAL_MASK : 0)
      | (input.isControl === true ? CONTROL_MASK : 0)
      | (input.deleteHorizonMs === undefined ? 0 : DELETE_HORIZON_MASK),
    ATTRIBUTES_AT,
  );
  batch.writeInt32BE(input.lastOffsetDelta ?? plain.lastOffsetDelta, LAST_OFFSET_DELTA_AT);
  writeLong(batch, baseTimestamp, BASE_TIMESTAMP_AT);
  writeLong(batch, input.maxTimestamp ?? plain.maxTimestamp, MAX_TIMESTAMP_AT);
  writeLong(batch, input.producerId ?? NO_PRODUCER_ID, PRODUCER_ID_AT);
  batch.writeInt16BE(input.producerEpoch ?? NO_PRODUCER_EPOCH, PRODUCER_EPOCH_AT);
  batch.writeInt32BE(input.baseSequence ?? NO_SEQUENCE, BASE_SEQUENCE_AT);
  batch.writeInt32BE(input.records.length, RECORD_COUNT_AT);
  batch.writeUInt32BE(crc32c(batch, ATTRIBUTES_AT, batch.length), CRC_AT);
  return batch;
}

interface EncodedRecords {
  /** `recordsAt` bytes of room, then the records. */
  readonly buffer: Buffer;
  readonly maxTimestamp: Int64;
  readonly lastOffsetDelta: number;
}

/** Two walks over the records: the first takes their sizes, the second writes them into a buffer of just that size. */
function encodeRecords(records: readonly RecordInput[], baseOffset: Int64, baseTimestamp: Int64, recordsAt: number): EncodedRecords {
  const bodyBytes: number[] = [];
  let bytes = recordsAt;
  let maxTimestamp: Int64 = NO_TIMESTAMP;
  let lastOffsetDelta = -1;
  for (const record of records) {
    const timestamp = record.timestamp ?? NO_TIMESTAMP;
    lastOffsetDelta = offsetDeltaOf(record, baseOffset, lastOffsetDelta);
    assert(lastOffsetDelta === (lastOffsetDelta | 0), 'an offset must be within 2^31 of the base offset');
    if (timestamp > maxTimestamp) maxTimestamp = timestamp;
    const body = bodyBytesOf(record, lastOffsetDelta, difference(timestamp, baseTimestamp));
    bodyBytes.push(body);
    bytes += sizeOfVarint(body) + body;
  }

  const buffer = Buffer.allocUnsafe(bytes);
  let at = recordsAt;
  let offsetDelta = -1;
  for (const [i, record] of records.entries()) {
    offsetDelta = offsetDeltaOf(record, baseOffset, offsetDelta);
    at = writeVarint(buffer, bodyBytes[i]!, at);
    buffer[at++] = 0; // attributes
    at = writeVarlong(buffer, difference(record.timestamp ?? NO_TIMESTAMP, baseTimestamp), at);
    at = writeVarint(buffer, offsetDelta, at);
    at = writeField(buffer, record.key ?? null, at);
    at = writeField(buffer, record.value ?? null, at);
    const headers = record.headers ?? [];
    at = writeVarint(buffer, headers.length, at);
    for (const header of headers) {
      at = writeVarint(buffer, Buffer.byteLength(header.key), at);
      at += buffer.write(header.key, at, 'utf8');
      at = writeField(buffer, header.value ?? null, at);
    }
  }
  assert.strictEqual(at, bytes);
  return { buffer, maxTimestamp, lastOffsetDelta: Math.max(0, lastOffsetDelta) };
}

function offsetDeltaOf(record: RecordInput, baseOffset: Int64, previous: number): number {
  return record.offset === undefined ? previous + 1 : Number(difference(record.offset, baseOffset));
}

function bodyBytesOf(record: RecordInput, offsetDelta: number, timestampDelta: Int64): number {
  const headers = record.headers ?? [];
  let bytes = 1 + sizeOfVarlong(timestampDelta) + sizeOfVarint(offsetDelta) + sizeOfField(record.key) + sizeOfField(record.value) + sizeOfVarint(headers.length);
  for (const header of headers) {
    const keyBytes = Buffer.byteLength(header.key);
    bytes += sizeOfVarint(keyBytes) + keyBytes + sizeOfField(header.value);
  }
  return bytes;
}

function sizeOfField(field: Buffer | null | undefined): number {
  return field === null || field === undefined ? 1 : sizeOfVarint(field.length) + field.length;
}

function writeField(buffer: Buffer, field: Buffer | null, at: number): number {
  if (field === null) return writeVarint(buffer, -1, at);
  const next = writeVarint(buffer, field.length, at);
  return next + field.copy(buffer, next);
}

function difference(left: Int64, right: Int64): Int64 {
  return typeof left === 'number' && typeof right === 'number' ? left - right : BigInt(left) - BigInt(right);
}

function writeLong(buffer: Buffer, value: Int64, at: number): void {
  if (typeof value === 'number') writeInt64(buffer, value, at);
  else buffer.writeBigInt64BE(value, at);
}

function withRoomForHeader(payload: Buffer): Buffer {
  const batch = Buffer.allocUnsafe(RECORD_BATCH_OVERHEAD + payload.length);
  payload.copy(batch, RECORD_BATCH_OVERHEAD);
  return batch;
}
