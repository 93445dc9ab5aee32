/**
 * The records inside a batch of magic 2, read one after the other.
 *
 * Promises: `RecordCursor` allocates nothing per record, unless the batch is compressed, whose payload it decompresses once, within limits.
 * What is not as it should be ends in a KafkaError: INVALID_RECORD for records, and what `decompressionErrorCode` says for a payload. As Kafka's
 * reader, it finds a wrong record count when it gets there: one that is too high at the end, one that is too low at the last record.
 * Does not: check the header, the CRC (`batches.ts`, `validate.ts`) or magic 0 and 1 (`legacy.ts`).
 *
 *      length:varint               bytes after this field
 *      attributes:1                none is in use
 *      timestampDelta:varlong      to the batch's base timestamp
 *      offsetDelta:varint          to the batch's base offset
 *      keyLength:varint key        every negative length is null
 *      valueLength:varint value
 *      headerCount:varint
 *        keyLength:varint key      UTF-8, never null
 *        valueLength:varint value
 */
import { ErrorCode, KafkaError } from '../errors.ts';
import {
  baseOffset, baseSequence, baseTimestamp, CompressionType, compressionType, hasDeleteHorizon, isControl, isTransactional, lastOffset, magic,
  maxTimestamp, NO_SEQUENCE, partitionLeaderEpoch, producerEpoch, producerId, recordCount, RECORD_BATCH_OVERHEAD, saturate, sizeInBytes,
  TimestampType, timestampType,
} from './batch.ts';
import { DECOMPRESSION_LIMITS, DecompressionError, type DecompressionLimits } from './bound.ts';
import { decompress } from './compression.ts';
import { decodeControlType, type ControlRecordType } from './control.ts';
import { incrementSequence } from './sequence.ts';
import { malformedRecord, VarintReader } from './varint.ts';

export interface RecordHeader {
  readonly key: string;
  readonly value: Buffer | null;
}

/** A record. Key, value and header values alias the batch, or its decompressed payload. */
export interface Record {
  readonly offset: number;
  /** -1 for none: magic 0, or a producer that sets none. */
  readonly timestamp: number;
  /** NO_SEQUENCE where there is no producer id. */
  readonly sequence: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
  /** Undefined outside of control batches. */
  readonly controlType: ControlRecordType | undefined;
}

const NO_HEADERS: readonly RecordHeader[] = [];

/** What Kafka answers to a producer whose batch does not decompress. */
export function decompressionErrorCode(error: DecompressionError): ErrorCode {
  switch (error.fault) {
    case 'limit':
      // Kafka has no limit here. Clients split a compressed batch that is too large into smaller ones and try again (KIP-126), which is what helps.
      return ErrorCode.MESSAGE_TOO_LARGE;
    case 'checksum':
      // Kafka finds out at the end of the stream, when it has met the wrong records already.
      return ErrorCode.INVALID_RECORD;
    case 'malformed':
      return ErrorCode.UNKNOWN_SERVER_ERROR;
  }
}

/** The records' bytes of a batch as one buffer, decompressed where need be. Throws a KafkaError. */
export function payloadOf(buffer: Buffer, at: number, limits: DecompressionLimits): Buffer {
  try {
    return decompressPayload(buffer, at, limits);
  } catch (error) {
    if (!(error instanceof DecompressionError)) throw error;
    throw new KafkaError(decompressionErrorCode(error), error.message);
  }
}

/** The same with the codec's own error: throws a DecompressionError, or a KafkaError for an unknown codec. */
export function decompressPayload(buffer: Buffer, at: number, limits: DecompressionLimits): Buffer {
  const payload = buffer.subarray(at + RECORD_BATCH_OVERHEAD, at + sizeInBytes(buffer, at));
  const type = compressionType(buffer, at);
  // Kafka's reader has no code of its own for this and ends in an IllegalArgumentException, which clients see as UNKNOWN_SERVER_ERROR.
  if (type > CompressionType.ZSTD) throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, `unknown compression type ${type}`);
  return decompress(type, payload, limits, magic(buffer, at));
}

/**
 * A place in a batch. `open` sets it before the first record, `next` moves on; the fields then say what the record is and where in `buffer` its
 * parts lie. One cursor serves many batches.
 */
export class RecordCursor {
  offset = 0;
  offsetDelta = 0;
  timestamp = 0;
  timestampDelta = 0;
  sequence = NO_SEQUENCE;
  attributes = 0;
  /** Bytes of the record with its length field. */
  sizeInBytes = 0;
  keyAt = 0;
  /** -1 for null. */
  keyLength = -1;
  valueAt = 0;
  /** -1 for null. */
  valueLength = -1;
  headerCount = 0;

  readonly #limits: DecompressionLimits;
  readonly #reader = new VarintReader();
  #recordEnd = 0;
  #left = 0;
  #headersAt = 0;
  #baseOffset = 0;
  #baseTimestamp = 0;
  #baseSequence = NO_SEQUENCE;
  #logAppendTime: number | undefined;
  #end = 0;
  #isControl = false;

  constructor(limits: DecompressionLimits = DECOMPRESSION_LIMITS) {
    this.#limits = limits;
  }

  /** Where the record's parts lie: the batch's own buffer, or its decompressed payload. */
  get buffer(): Buffer {
    return this.#reader.buffer;
  }

  /** The batch at `at` must be there as a whole, and at least RECORD_BATCH_OVERHEAD long. */
  open(buffer: Buffer, at: number): void {
    const count = recordCount(buffer, at);
    if (count < 0) throw malformedRecord(`a batch has ${count} records`);
    this.#left = count;
    this.#baseOffset = baseOffset(buffer, at);
    this.#baseTimestamp = baseTimestamp(buffer, at);
    this.#baseSequence = baseSequence(buffer, at);
    this.#isControl = isControl(buffer, at);
    this.#logAppendTime = timestampType(buffer, at) === TimestampType.LOG_APPEND_TIME ? maxTimestamp(buffer, at) : undefined;
    // A batch that the cleaner has emptied keeps its codec and has no payload.
    const isStored = count === 0 || compressionType(buffer, at) === CompressionType.NONE;
    const source = isStored ? buffer : payloadOf(buffer, at, this.#limits);
    this.#reader.buffer = source;
    this.#reader.position = isStored ? at + RECORD_BATCH_OVERHEAD : 0;
    this.#end = isStored ? at + sizeInBytes(buffer, at) : source.length;
    this.#recordEnd = this.#reader.position;
  }

  /** False when there is no further record. */
  next(): boolean {
    if (this.#left === 0) return false;
    const reader = this.#reader;
    const start = this.#recordEnd;
    reader.position = start;
    reader.end = this.#end;
    const length = reader.varint();
    if (length < 0 || length > this.#end - reader.position) throw malformedRecord(`a record of ${length} bytes where ${this.#end - reader.position} are left`);
    const recordEnd = reader.position + length;
    reader.end = recordEnd;
    if (length === 0) throw malformedRecord('a record of 0 bytes');
    this.attributes = reader.buffer.readInt8(reader.position++);
    this.timestampDelta = reader.varlong();
    this.timestamp = this.#logAppendTime ?? saturate(this.#baseTimestamp + this.timestampDelta);
    this.offsetDelta = reader.varint();
    this.offset = saturate(this.#baseOffset + this.offsetDelta);
    this.sequence = this.#baseSequence < 0 ? NO_SEQUENCE : incrementSequence(this.#baseSequence, this.offsetDelta);
    this.keyLength = this.#length();
    this.keyAt = reader.position;
    if (this.keyLength > 0) reader.position += this.keyLength;
    this.valueLength = this.#length();
    this.valueAt = reader.position;
    if (this.valueLength > 0) reader.position += this.valueLength;
    const headerCount = reader.varint();
    if (headerCount < 0 || headerCount > recordEnd - reader.position) throw malformedRecord(`a record has ${headerCount} headers`);
    this.headerCount = headerCount;
    this.#headersAt = reader.position;
    for (let i = 0; i < headerCount; i++) {
      const keyLength = this.#length();
      if (keyLength < 0) throw malformedRecord('a record header has no key');
      reader.position += keyLength;
      const valueLength = this.#length();
      if (valueLength > 0) reader.position += valueLength;
    }
    if (reader.position !== recordEnd) throw malformedRecord(`a record of ${length} bytes ends ${recordEnd - reader.position} bytes early`);
    this.sizeInBytes = recordEnd - start;
    this.#recordEnd = recordEnd;
    this.#left--;
    if (this.#left === 0 && recordEnd !== this.#end) throw malformedRecord(`${this.#end - recordEnd} bytes follow the last record of a batch`);
    return true;
  }

  /** Aliases the batch or its payload. */
  key(): Buffer | null {
    return this.keyLength < 0 ? null : this.buffer.subarray(this.keyAt, this.keyAt + this.keyLength);
  }

  /** Aliases the batch or its payload. */
  value(): Buffer | null {
    return this.valueLength < 0 ? null : this.buffer.subarray(this.valueAt, this.valueAt + this.valueLength);
  }

  /** Header keys are decoded as Java does: what is not UTF-8 becomes U+FFFD. */
  headers(): readonly RecordHeader[] {
    if (this.headerCount === 0) return NO_HEADERS;
    const reader = this.#reader;
    const headers: RecordHeader[] = [];
    reader.position = this.#headersAt;
    reader.end = this.#recordEnd;
    for (let i = 0; i < this.headerCount; i++) {
      const keyLength = this.#length();
      const key = reader.buffer.toString('utf8', reader.position, reader.position + keyLength);
      reader.position += keyLength;
      const valueLength = this.#length();
      if (valueLength < 0) {
        headers.push({ key, value: null });
      } else {
        headers.push({ key, value: reader.buffer.subarray(reader.position, reader.position + valueLength) });
        reader.position += valueLength;
      }
    }
    return headers;
  }

  record(): Record {
    const key = this.key();
    return {
      offset: this.offset,
      timestamp: this.timestamp,
      sequence: this.sequence,
      key,
      value: this.value(),
      headers: this.headers(),
      controlType: this.#isControl ? decodeControlType(key) : undefined,
    };
  }

  /** A length that fits what is left of the record, or -1 for null. */
  #length(): number {
    const reader = this.#reader;
    const length = reader.varint();
    if (length > reader.end - reader.position) throw malformedRecord(`a field of ${length} bytes where ${reader.end - reader.position} are left in the record`);
    return length < 0 ? -1 : length;
  }
}

/** A whole batch of magic 2 as an object. For what reads many of them, `RecordCursor` and the accessors of `batch.ts` cost less. */
export interface RecordBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly partitionLeaderEpoch: number;
  readonly compressionType: number;
  readonly timestampType: TimestampType;
  readonly maxTimestamp: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly isTransactional: boolean;
  readonly isControl: boolean;
  readonly deleteHorizonMs: number | undefined;
  readonly records: readonly Record[];
}

/** Throws a KafkaError when a record is not as it should be. The buffers in it alias the batch, or its decompressed payload. */
export function readBatch(buffer: Buffer, at: number, limits?: DecompressionLimits): RecordBatch {
  return {
    baseOffset: baseOffset(buffer, at),
    lastOffset: lastOffset(buffer, at),
    partitionLeaderEpoch: partitionLeaderEpoch(buffer, at),
    compressionType: compressionType(buffer, at),
    timestampType: timestampType(buffer, at),
    maxTimestamp: maxTimestamp(buffer, at),
    producerId: producerId(buffer, at),
    producerEpoch: producerEpoch(buffer, at),
    baseSequence: baseSequence(buffer, at),
    isTransactional: isTransactional(buffer, at),
    isControl: isControl(buffer, at),
    deleteHorizonMs: hasDeleteHorizon(buffer, at) ? baseTimestamp(buffer, at) : undefined,
    records: readRecords(buffer, at, limits),
  };
}

/** All records of the batch of magic 2 at `at`. Throws a KafkaError when one of them is not as it should be. */
export function readRecords(buffer: Buffer, at: number, limits?: DecompressionLimits): Record[] {
  const cursor = new RecordCursor(limits);
  const records: Record[] = [];
  cursor.open(buffer, at);
  while (cursor.next()) records.push(cursor.record());
  return records;
}
