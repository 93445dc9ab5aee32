/**
 * Messages of magic 0 and 1, for reading only: old directories hold them, and no client of today may produce them.
 *
 * Promises: the records of a message or a compressed set of messages with the offsets and timestamps that Kafka's reader gives them. Throws a
 * KafkaError: CORRUPT_MESSAGE for a checksum or a length, INVALID_RECORD for a set that is not as it should be, and for a set that does not
 * decompress what `decompressionErrorCode` says.
 * Does not: write them, or check the checksums of messages inside a set, as Kafka does not when it reads.
 *
 *      0  offset:8       of a compressed set: the last message's
 *      8  size:4         bytes after this field
 *     12  crc:4          CRC-32 of everything from 16 to the end
 *     16  magic:1
 *     17  attributes:1   0-2 codec, 3 log append time (magic 1)
 *     18  timestamp:8    magic 1 only
 *         key:4+n        length -1 for null
 *         value:4+n      a set: messages one after the other; their offsets count from 0 in magic 1, and are absolute in magic 0
 */
import { crc32 } from 'node:zlib';
import { ErrorCode, KafkaError } from '../errors.ts';
import { COMPRESSION_MASK, CompressionType, LOG_OVERHEAD, NO_SEQUENCE, NO_TIMESTAMP, readInt64, sizeInBytes, TIMESTAMP_TYPE_MASK } from './batch.ts';
import { DECOMPRESSION_LIMITS, DecompressionError, type DecompressionLimits } from './bound.ts';
import { decompress } from './compression.ts';
import { decompressionErrorCode, type Record } from './records.ts';
import { malformedRecord } from './varint.ts';

const CRC_AT = 12;
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 17;
const TIMESTAMP_AT = 18;
const KEY_AT_V0 = 18;
const KEY_AT_V1 = 26;
/** Bytes after `size` of a message of magic 0 without key and value. */
const OVERHEAD_V0 = 14;

interface Message {
  readonly offset: number;
  readonly magic: number;
  readonly compressionType: number;
  readonly timestamp: number;
  readonly isLogAppendTime: boolean;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** Whether the message at `at`, which is there as a whole, is long enough to be one and has the checksum that it says. */
export function isIntactMessage(buffer: Buffer, at: number): boolean {
  const end = at + sizeInBytes(buffer, at);
  return end - at >= LOG_OVERHEAD + OVERHEAD_V0 && crc32(buffer.subarray(at + MAGIC_AT, end)) === buffer.readUInt32BE(at + CRC_AT);
}

/** The records of the message or compressed set at `at`, which is there as a whole. The buffers in it alias it, or its decompressed payload. */
export function readLegacyRecords(buffer: Buffer, at: number, limits: DecompressionLimits = DECOMPRESSION_LIMITS): Record[] {
  const outer = readMessage(buffer, at);
  if (outer.compressionType === CompressionType.NONE) return [recordOf(outer, outer.offset, outer.timestamp)];

  const inner = readInnerMessages(outer, limits);
  const last = inner.at(-1);
  if (last === undefined) throw malformedRecord('a compressed message set is empty');
  const base = outer.magic === 0 ? 0 : baseOffsetOf(outer, last);
  return inner.map((message) => {
    if (message.compressionType !== CompressionType.NONE) throw malformedRecord('a message inside a compressed set is compressed');
    const timestamp = message.magic === 1 && outer.isLogAppendTime ? outer.timestamp : message.timestamp;
    return recordOf(message, base + message.offset, timestamp);
  });
}

/** Inner offsets of magic 1 are relative: the outer offset is the last one's. Some librdkafka produced sets with 0 there, which are taken as they are. */
function baseOffsetOf(outer: Message, last: Message): number {
  if (outer.offset === 0) return 0;
  if (outer.offset < last.offset) throw malformedRecord(`offset ${outer.offset} of a compressed set is below its last message's, ${last.offset}`);
  return outer.offset - last.offset;
}

function readInnerMessages(outer: Message, limits: DecompressionLimits): Message[] {
  // zstd came with magic 2 (KIP-110).
  if (outer.compressionType >= CompressionType.ZSTD) throw malformedRecord(`compression type ${outer.compressionType} in a message of magic ${outer.magic}`);
  if (outer.value === null) throw malformedRecord('a compressed message set has no value');
  const payload = decompressSet(outer, outer.value, limits);
  const messages: Message[] = [];
  // What is cut short at the end of a set is left out and is no error: brokers once sent sets that ended like that.
  for (let at = 0; payload.length - at >= LOG_OVERHEAD; ) {
    const bytes = sizeInBytes(payload, at);
    if (bytes < LOG_OVERHEAD + OVERHEAD_V0) throw corrupt(`a message of ${bytes - LOG_OVERHEAD} bytes`);
    if (bytes > payload.length - at) break;
    messages.push(readMessage(payload, at));
    at += bytes;
  }
  return messages;
}

function decompressSet(outer: Message, value: Buffer, limits: DecompressionLimits): Buffer {
  try {
    return decompress(outer.compressionType, value, limits, outer.magic);
  } catch (error) {
    if (!(error instanceof DecompressionError)) throw error;
    throw new KafkaError(decompressionErrorCode(error), error.message);
  }
}

function readMessage(buffer: Buffer, at: number): Message {
  const end = at + sizeInBytes(buffer, at);
  const magic = buffer.readInt8(at + MAGIC_AT);
  if (magic !== 0 && magic !== 1) throw malformedRecord(`a message of magic ${magic} in a set of magic 0 or 1`);
  const attributes = buffer.readInt8(at + ATTRIBUTES_AT);
  const keyAt = at + (magic === 0 ? KEY_AT_V0 : KEY_AT_V1);
  const keyLength = lengthAt(buffer, keyAt, end);
  const valueAt = keyAt + 4 + Math.max(0, keyLength);
  const valueLength = lengthAt(buffer, valueAt, end);
  return {
    offset: readInt64(buffer, at),
    magic,
    compressionType: attributes & COMPRESSION_MASK,
    timestamp: magic === 0 ? NO_TIMESTAMP : readInt64(buffer, at + TIMESTAMP_AT),
    isLogAppendTime: magic === 1 && (attributes & TIMESTAMP_TYPE_MASK) !== 0,
    key: keyLength < 0 ? null : buffer.subarray(keyAt + 4, keyAt + 4 + keyLength),
    value: valueLength < 0 ? null : buffer.subarray(valueAt + 4, valueAt + 4 + valueLength),
  };
}

function lengthAt(buffer: Buffer, at: number, end: number): number {
  if (end - at < 4) throw corrupt('a message is cut short in a length');
  const length = buffer.readInt32BE(at);
  if (length > end - at - 4) throw corrupt(`a field of ${length} bytes where ${end - at - 4} are left in the message`);
  return length;
}

function recordOf(message: Message, offset: number, timestamp: number): Record {
  return { offset, timestamp, sequence: NO_SEQUENCE, key: message.key, value: message.value, headers: [], controlType: undefined };
}

function corrupt(detail: string): KafkaError {
  return new KafkaError(ErrorCode.CORRUPT_MESSAGE, detail);
}
