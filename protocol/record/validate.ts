/**
 * What a broker checks in the records that a client produces, before they may enter the log.
 *
 * Promises: the checks of Kafka's ProduceRequest, UnifiedLog and LogValidator in their order, with their error codes; nothing of the input is changed;
 * nothing is allocated while all is well and the batch is not compressed. A batch that lies about its records does not pass.
 * Does not: assign offsets, check sequences against the producer's state (the log does), or change what must be changed (`produced.ts` does).
 *
 * Stricter than Kafka in one thing: it does not compare the length of a compressed record with its fields, and so stores what no consumer can read.
 *
 * Kafka looks into every compressed batch. `compressedRecords: 'trusted'` does not: it believes the header's count and timestamps, which the CRC
 * covers, and saves the decompression, the largest part of producing compressed data. Topics that need keys or another codec are inspected anyway.
 */
import assert from 'node:assert';
import { ErrorCode, KafkaError } from '../errors.ts';
import {
  baseOffset, baseSequence, baseTimestamp, CompressionType, compressionType, hasProducerId, isControl, lastOffsetDelta, magic, maxTimestamp,
  NO_TIMESTAMP, PRODUCER_EPOCH_AT, producerId, recordCount, RECORD_BATCH_OVERHEAD, saturate, sizeInBytes, TimestampType,
  timestampType,
} from './batch.ts';
import { CORRUPT, INCOMPLETE, isIntact, nextBatchBytes } from './batches.ts';
import { DECOMPRESSION_LIMITS, DecompressionError, type DecompressionLimits } from './bound.ts';
import { isLinkedLz4 } from './lz4.ts';
import { decompressionErrorCode, decompressPayload, RecordCursor } from './records.ts';
import { RecordWalk } from './walk.ts';

/** `compression.type` producer: the codec stays the producer's. */
export const PRODUCER_COMPRESSION = -1;

/** What a topic's settings ask of its records. */
export interface ProduceRules {
  /** `max.message.bytes`, of a whole batch with its header. */
  readonly batchBytesMax: number;
  /** `message.timestamp.type`. */
  readonly timestampType: TimestampType;
  /** `message.timestamp.before.max.ms` and `.after.max.ms`; 2^63-1 and Infinity both mean any. */
  readonly timestampBeforeMaxMs: number;
  readonly timestampAfterMaxMs: number;
  /** Whether `cleanup.policy` has compact, which needs keys. */
  readonly keysRequired: boolean;
  /** `compression.type`: a codec, or PRODUCER_COMPRESSION. */
  readonly compression: CompressionType | typeof PRODUCER_COMPRESSION;
  readonly compressionLevel?: number;
  readonly compressedRecords: 'inspected' | 'trusted';
  readonly decompression: DecompressionLimits;
}

/** The rules of a topic with Kafka's defaults. */
export const DEFAULT_PRODUCE_RULES: ProduceRules = {
  batchBytesMax: 1_048_588,
  timestampType: TimestampType.CREATE_TIME,
  timestampBeforeMaxMs: Infinity,
  timestampAfterMaxMs: 3_600_000,
  keysRequired: false,
  compression: PRODUCER_COMPRESSION,
  compressedRecords: 'inspected',
  decompression: DECOMPRESSION_LIMITS,
};

/** Why a single record is refused. A client sees it as the message of that record. */
export type RejectionReason = 'no key' | 'timestamp out of range' | 'log append time';

export interface Rejection {
  /** The record's place in its batch, from 0. */
  readonly batchIndex: number;
  readonly reason: RejectionReason;
  readonly offset: number;
  readonly timestamp: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
}

const NO_REJECTIONS: readonly Rejection[] = [];

/** What validation found out about a batch. One object serves many; it holds until the next use. */
export class ProducedBatch {
  /** Bytes of the batch. What follows it in the request is less than a batch and is dropped, as Kafka does. */
  sizeInBytes = 0;
  recordCount = 0;
  /** The greatest timestamp of its records, or -1, whatever the header says. */
  maxTimestamp = NO_TIMESTAMP;
  /** Whether its offset deltas are 0, 1, 2, ... */
  hasSequentialOffsets = true;
  /** The codec that it came in. */
  producedCompression: CompressionType = CompressionType.NONE;
  /** The codec that it will be stored in. */
  storedCompression: CompressionType = CompressionType.NONE;
  /** The decompressed records, where validation had to decompress them and storing will write them in another codec. */
  payload: Buffer | undefined;
  /** The records that are refused, when single records are the reason. `rejections.ts` has the words for a client. */
  rejections: readonly Rejection[] = NO_REJECTIONS;
}

const walk = new RecordWalk();

/**
 * Validates the one batch in `buffer[at, end)`, the records of a partition in a produce request of version `apiVersion`, and fills `found`.
 * Returns an ErrorCode, NONE when the batch may be stored.
 */
export function validateProduced(buffer: Buffer, at: number, end: number, apiVersion: number, rules: ProduceRules, nowMs: number, found: ProducedBatch): ErrorCode {
  found.sizeInBytes = 0;
  found.payload = undefined;
  found.rejections = NO_REJECTIONS;
  const framing = checkFraming(buffer, at, end, apiVersion);
  if (framing !== ErrorCode.NONE) return framing;
  found.sizeInBytes = sizeInBytes(buffer, at);

  if (baseOffset(buffer, at) !== 0) return ErrorCode.INVALID_RECORD;
  if (found.sizeInBytes > rules.batchBytesMax) return ErrorCode.MESSAGE_TOO_LARGE;
  if (!isIntact(buffer, at)) return ErrorCode.CORRUPT_MESSAGE;
  const codec = compressionType(buffer, at);
  // An IllegalArgumentException in Kafka, for which it has no code.
  if (codec > CompressionType.ZSTD) return ErrorCode.UNKNOWN_SERVER_ERROR;
  const header = checkHeader(buffer, at);
  if (header !== ErrorCode.NONE) return header;

  found.recordCount = recordCount(buffer, at);
  found.producedCompression = codec as CompressionType;
  found.storedCompression = rules.compression === PRODUCER_COMPRESSION ? (codec as CompressionType) : rules.compression;
  if (isBelieved(buffer, at, codec, rules, found)) return believeHeader(buffer, at, rules, nowMs, found);
  try {
    walkRecords(buffer, at, codec, rules, found);
    return checkRecords(buffer, at, rules, nowMs, found);
  } catch (error) {
    return errorCodeOf(error, buffer, at);
  }
}

/** ProduceRequest.validateRecords: exactly one batch, of magic 2, in a codec that the request's version knows. */
function checkFraming(buffer: Buffer, at: number, end: number, apiVersion: number): ErrorCode {
  const bytes = nextBatchBytes(buffer, at, end);
  if (bytes === CORRUPT) return ErrorCode.CORRUPT_MESSAGE;
  if (bytes === INCOMPLETE) return ErrorCode.INVALID_RECORD;
  if (magic(buffer, at) !== 2) return ErrorCode.INVALID_RECORD;
  // Kafka looks for a producer id before it looks at the size, and stumbles (an IndexOutOfBoundsException; tried).
  if (bytes < PRODUCER_EPOCH_AT) return ErrorCode.UNKNOWN_SERVER_ERROR;
  if (apiVersion < 7 && bytes >= RECORD_BATCH_OVERHEAD && compressionType(buffer, at) === CompressionType.ZSTD) return ErrorCode.UNSUPPORTED_COMPRESSION_TYPE;
  const next = nextBatchBytes(buffer, at + bytes, end);
  if (next === CORRUPT) return ErrorCode.CORRUPT_MESSAGE;
  return next === INCOMPLETE ? ErrorCode.NONE : ErrorCode.INVALID_RECORD;
}

/** LogValidator.validateBatch. */
function checkHeader(buffer: Buffer, at: number): ErrorCode {
  const count = recordCount(buffer, at);
  if (count <= 0) return ErrorCode.INVALID_RECORD;
  if (lastOffsetDelta(buffer, at) !== count - 1) return ErrorCode.INVALID_RECORD;
  if (isControl(buffer, at)) return ErrorCode.INVALID_RECORD;
  if (hasProducerId(buffer, at)) {
    if (baseSequence(buffer, at) < 0) return ErrorCode.INVALID_RECORD;
    // Ids are handed out from 0 on; those that saturate could not be told from each other.
    if (producerId(buffer, at) === Number.MAX_SAFE_INTEGER) return ErrorCode.INVALID_RECORD;
  }
  return ErrorCode.NONE;
}

function isBelieved(buffer: Buffer, at: number, codec: number, rules: ProduceRules, found: ProducedBatch): boolean {
  return codec !== CompressionType.NONE && rules.compressedRecords === 'trusted' && !rules.keysRequired && found.storedCompression === codec
    && timestampType(buffer, at) === TimestampType.CREATE_TIME;
}

/** Throws a KafkaError or a DecompressionError when the records are not what the header says. */
function walkRecords(buffer: Buffer, at: number, codec: number, rules: ProduceRules, found: ProducedBatch): void {
  if (codec === CompressionType.NONE) {
    walk.walk(buffer, at + RECORD_BATCH_OVERHEAD, at + found.sizeInBytes, found.recordCount, baseTimestamp(buffer, at));
    found.hasSequentialOffsets = walk.hasSequentialOffsets;
    return;
  }
  if (codec === CompressionType.LZ4 && isLinkedLz4(buffer.subarray(at + RECORD_BATCH_OVERHEAD, at + found.sizeInBytes))) {
    // We could read it; no Java consumer can.
    throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, 'an LZ4 frame of linked blocks');
  }
  const payload = decompressPayload(buffer, at, rules.decompression);
  walk.walk(payload, 0, payload.length, found.recordCount, baseTimestamp(buffer, at));
  if (found.storedCompression !== codec) found.payload = payload;
  found.hasSequentialOffsets = walk.hasSequentialOffsets;
  // Kafka takes gaps between offsets in an uncompressed batch as they are, and closes them when it writes the batch in another codec. A compressed
  // batch that keeps its codec it has read without keys and values, and so fails to write it anew (an UnsupportedOperationException; tried).
  if (!found.hasSequentialOffsets && found.storedCompression === codec) throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, 'gaps between compressed offsets');
}

/** The code of what `walkRecords` threw. */
function errorCodeOf(error: unknown, buffer: Buffer, at: number): ErrorCode {
  if (error instanceof KafkaError) return error.code;
  if (!(error instanceof DecompressionError)) throw error;
  // A wrong checksum is found at the end of the stream: before it, Kafka has met the records that came of it.
  if (error.output === undefined || !areSound(error.output, buffer, at)) return decompressionErrorCode(error);
  return ErrorCode.UNKNOWN_SERVER_ERROR;
}

function areSound(payload: Buffer, buffer: Buffer, at: number): boolean {
  try {
    walk.walk(payload, 0, payload.length, recordCount(buffer, at), baseTimestamp(buffer, at));
    return true;
  } catch (error) {
    if (error instanceof KafkaError) return false;
    throw error;
  }
}

/** LogValidator.validateRecord for all records at once: the least and the greatest timestamp tell whether any is out of range. */
function checkRecords(buffer: Buffer, at: number, rules: ProduceRules, nowMs: number, found: ProducedBatch): ErrorCode {
  let least = walk.minTimestamp;
  let greatest = walk.maxTimestamp;
  let withoutTimestamp = walk.recordsWithoutTimestamp;
  const isLogAppendTime = timestampType(buffer, at) === TimestampType.LOG_APPEND_TIME;
  if (isLogAppendTime) {
    // All its records have the time in the header.
    greatest = maxTimestamp(buffer, at);
    least = greatest === NO_TIMESTAMP ? Infinity : greatest;
    withoutTimestamp = greatest === NO_TIMESTAMP ? found.recordCount : 0;
  }
  // Where log append time replaces them, records may have times that nothing could carry.
  found.maxTimestamp = saturate(Math.max(NO_TIMESTAMP, greatest));
  const isRefused = (rules.keysRequired && walk.recordsWithoutKey > 0)
    || (rules.timestampType === TimestampType.CREATE_TIME && isOutOfRange(least, greatest, rules, nowMs))
    // Kafka looks at the type only where it has not looked at the time: a producer's log append time passes when it is in range.
    || (isLogAppendTime && (rules.timestampType === TimestampType.LOG_APPEND_TIME || withoutTimestamp > 0));
  return isRefused ? refuseRecords(buffer, at, rules, nowMs, found) : ErrorCode.NONE;
}

/** The same of a compressed batch by its header: the first record's timestamp, and what is said to be the greatest. */
function believeHeader(buffer: Buffer, at: number, rules: ProduceRules, nowMs: number, found: ProducedBatch): ErrorCode {
  const greatest = maxTimestamp(buffer, at);
  const first = baseTimestamp(buffer, at);
  found.hasSequentialOffsets = true;
  found.maxTimestamp = greatest;
  if (rules.timestampType === TimestampType.LOG_APPEND_TIME) return ErrorCode.NONE;
  return isOutOfRange(first === NO_TIMESTAMP ? Infinity : first, greatest, rules, nowMs) ? ErrorCode.INVALID_TIMESTAMP : ErrorCode.NONE;
}

/** Records without a timestamp pass: -1 is never too late, and `least` leaves them out. What saturates is no time at all. */
function isOutOfRange(least: number, greatest: number, rules: ProduceRules, nowMs: number): boolean {
  return nowMs - least > rules.timestampBeforeMaxMs || greatest - nowMs > rules.timestampAfterMaxMs
    || least <= Number.MIN_SAFE_INTEGER || greatest >= Number.MAX_SAFE_INTEGER;
}

/** Names the records that break a rule, the key's before the timestamp's, and says which error that makes of the batch. */
function refuseRecords(buffer: Buffer, at: number, rules: ProduceRules, nowMs: number, found: ProducedBatch): ErrorCode {
  const cursor = new RecordCursor(rules.decompression);
  const rejections: Rejection[] = [];
  const isLogAppendTime = timestampType(buffer, at) === TimestampType.LOG_APPEND_TIME;
  cursor.open(buffer, at);
  for (let batchIndex = 0; cursor.next(); batchIndex++) {
    const { offset, timestamp } = cursor;
    const keyBytes = Math.max(0, cursor.keyLength);
    const valueBytes = Math.max(0, cursor.valueLength);
    const reject = (reason: RejectionReason): void => void rejections.push({ batchIndex, reason, offset, timestamp, keyBytes, valueBytes });
    if (rules.keysRequired && cursor.keyLength < 0) reject('no key');
    else if (rules.timestampType === TimestampType.CREATE_TIME && timestamp !== NO_TIMESTAMP) {
      if (isOutOfRange(timestamp, timestamp, rules, nowMs)) reject('timestamp out of range');
    } else if (isLogAppendTime) reject('log append time');
  }
  assert(rejections.length > 0);
  found.rejections = rejections;
  return rejections.every((rejection) => rejection.reason === 'no key') ? ErrorCode.INVALID_RECORD : ErrorCode.INVALID_TIMESTAMP;
}
