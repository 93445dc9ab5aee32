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

/** The header's fields. Bigints are for values beyond +-2^53, which tools and tests meet and brokers do not. */
export interface BatchHeaderInput {
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

export interface BatchInput extends BatchHeaderInput {
  readonly records: readonly RecordInput[];
}

/** A batch of these records. */
export function buildBatch(input: BatchInput): Buffer {
  const first = input.records[0];
  const baseOffset = input.baseOffset ?? first?.offset ?? 0;
  const baseTimestamp = input.deleteHorizonMs ?? input.baseTimestamp ?? first?.timestamp ?? NO_TIMESTAMP;
  const isStored = (input.compression ?? CompressionType.NONE) === CompressionType.NONE;
  const plain = encodeRecords(input.records, baseOffset, baseTimestamp, isStored ? RECORD_BATCH_OVERHEAD : 0);
  const batch = isStored ? plain.buffer : compressedWithRoom(plain.buffer, input);
  writeHeader(batch, input.records.length, {
    ...input,
    baseOffset,
    baseTimestamp,
    lastOffsetDelta: input.lastOffsetDelta ?? plain.lastOffsetDelta,
    maxTimestamp: input.maxTimestamp ?? withoutLogAppendTime(input, plain.maxTimestamp),
  });
  return batch;
}

/** A batch of `count` records that are encoded already, with offset deltas from 0 on, and timestamps relative to `baseTimestamp`. */
export function wrapRecords(payload: Buffer, count: number, header: BatchHeaderInput & { readonly baseTimestamp: Int64; readonly maxTimestamp: Int64 }): Buffer {
  const batch = compressedWithRoom(payload, header);
  writeHeader(batch, count, { ...header, baseOffset: header.baseOffset ?? 0, lastOffsetDelta: header.lastOffsetDelta ?? Math.max(0, count - 1) });
  return batch;
}

type WholeHeader = BatchHeaderInput & Required<Pick<BatchHeaderInput, 'baseOffset' | 'lastOffsetDelta' | 'baseTimestamp' | 'maxTimestamp'>>;

/** Writes all fields in front of the records, the checksum last. */
function writeHeader(batch: Buffer, count: number, header: WholeHeader): void {
  writeLong(batch, header.baseOffset, BASE_OFFSET_AT);
  batch.writeInt32BE(batch.length - LOG_OVERHEAD, BATCH_LENGTH_AT);
  batch.writeInt32BE(header.partitionLeaderEpoch ?? NO_PARTITION_LEADER_EPOCH, PARTITION_LEADER_EPOCH_AT);
  batch.writeInt8(2, MAGIC_AT);
  batch.writeInt16BE(
    (header.compression ?? CompressionType.NONE)
      | (header.timestampType === TimestampType.LOG_APPEND_TIME ? TIMESTAMP_TYPE_MASK : 0)
      | (header.isTransactional === true ? TRANSACTIONAL_MASK : 0)
      | (header.isControl === true ? CONTROL_MASK : 0)
      | (header.deleteHorizonMs === undefined ? 0 : DELETE_HORIZON_MASK),
    ATTRIBUTES_AT,
  );
  batch.writeInt32BE(header.lastOffsetDelta, LAST_OFFSET_DELTA_AT);
  writeLong(batch, header.baseTimestamp, BASE_TIMESTAMP_AT);
  writeLong(batch, header.maxTimestamp, MAX_TIMESTAMP_AT);
  writeLong(batch, header.producerId ?? NO_PRODUCER_ID, PRODUCER_ID_AT);
  batch.writeInt16BE(header.producerEpoch ?? NO_PRODUCER_EPOCH, PRODUCER_EPOCH_AT);
  batch.writeInt32BE(header.baseSequence ?? NO_SEQUENCE, BASE_SEQUENCE_AT);
  batch.writeInt32BE(count, RECORD_COUNT_AT);
  batch.writeUInt32BE(crc32c(batch, ATTRIBUTES_AT, batch.length), CRC_AT);
}

function withoutLogAppendTime(input: BatchInput, maxTimestamp: Int64): Int64 {
  assert(input.timestampType !== TimestampType.LOG_APPEND_TIME, 'a batch with log append time needs maxTimestamp');
  return maxTimestamp;
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

/** The payload in the header's codec, behind room for the header. */
function compressedWithRoom(payload: Buffer, header: BatchHeaderInput): Buffer {
  const compressed = compress(header.compression ?? CompressionType.NONE, payload, header.compressionLevel);
  const batch = Buffer.allocUnsafe(RECORD_BATCH_OVERHEAD + compressed.length);
  compressed.copy(batch, RECORD_BATCH_OVERHEAD);
  return batch;
}
