/**
 * The golden lines about record batches, and what each must show of ours: the same checks run over Kafka's vectors and over the small set of
 * `test/vectors/records`.
 */
import { expect } from 'vitest';
import * as batch from '../../../protocol/record/batch.ts';
import { CORRUPT, INCOMPLETE, isIntact, nextBatchBytes, recordsAt } from '../../../protocol/record/batches.ts';
import { buildBatch, type RecordInput } from '../../../protocol/record/build.ts';
import { compressionNames } from '../../../protocol/record/compression.ts';
import { ControlRecordType } from '../../../protocol/record/control.ts';
import { crc32c } from '../../../protocol/record/crc32c.ts';
import { readBatch, RecordCursor, type Record } from '../../../protocol/record/records.ts';
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts';

export interface RecordJson {
  readonly offset: string;
  readonly timestamp: string;
  readonly sequence?: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly { readonly key: string; readonly value: string | null }[];
  readonly controlType?: keyof typeof ControlRecordType;
}

export interface BatchLine {
  readonly name: string;
  readonly magic: number;
  readonly hex: string;
  readonly header: { readonly [field: string]: any };
  readonly derived: { readonly [field: string]: any };
  readonly entries: readonly { readonly [field: string]: any }[];
  readonly records?: readonly RecordJson[];
  readonly recordCount?: number;
  readonly contentCrc32c?: number;
}

/** An int64 in the line's text as a number, saturated as our reader does. */
export function int64Of(text: string): number {
  const value = BigInt(text);
  const max = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > max ? max : value < -max ? -max : value);
}

export function bytesOf(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text, 'base64');
}

/** A record of ours as the line would have it. */
function jsonOf(record: Record): object {
  return {
    offset: record.offset,
    timestamp: record.timestamp,
    sequence: record.sequence,
    key: record.key?.toString('base64') ?? null,
    value: record.value?.toString('base64') ?? null,
    headers: record.headers.map(({ key, value }) => ({ key, value: value?.toString('base64') ?? null })),
    controlType: record.controlType,
  };
}

/** CRC-32C over the records as README of the vectors defines it. */
function contentCrc(records: readonly Record[]): number {
  const parts: Buffer[] = [];
  const int64 = (value: number): void => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(BigInt(value), 0);
    parts.push(bytes);
  };
  const int32 = (value: number): void => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value, 0);
    parts.push(bytes);
  };
  const field = (bytes: Buffer | null): void => {
    int32(bytes?.length ?? -1);
    if (bytes !== null) parts.push(bytes);
  };
  for (const record of records) {
    int64(record.offset);
    int64(record.timestamp);
    field(record.key);
    field(record.value);
    int32(record.headers.length);
    for (const header of record.headers) {
      field(Buffer.from(header.key, 'utf8'));
      field(header.value);
    }
  }
  const content = Buffer.concat(parts);
  return crc32c(content, 0, content.length);
}

function checkRecords(line: BatchLine, records: readonly Record[]): void {
  if (line.records === undefined) {
    expect(records.length).toBe(line.recordCount);
    expect(contentCrc(records)).toBe(line.contentCrc32c);
    return;
  }
  const expected = line.records.map((record) => ({
    offset: int64Of(record.offset),
    timestamp: int64Of(record.timestamp),
    sequence: record.sequence ?? -1,
    key: record.key,
    value: record.value,
    headers: record.headers,
    controlType: record.controlType === undefined ? undefined : ControlRecordType[record.controlType],
  }));
  expect(records.map(jsonOf)).toStrictEqual(expected);
}

/** Every field of the header, whatever follows from it, and the records. */
export function checkReading(line: BatchLine): void {
  // Somewhere inside a larger buffer, as batches always are.
  const bytes = Buffer.from(line.hex, 'hex');
  const at = 7;
  const buffer = Buffer.concat([Buffer.alloc(at, 0xee), bytes, Buffer.alloc(9, 0xee)]);
  if (line.magic === 2) checkHeader(line, buffer, at, bytes.length);
  if (line.magic === 2) checkRecords(line, readBatch(buffer, at).records);
  const records: Record[] = [];
  let sizes = 0;
  for (let next = at; next < at + bytes.length; ) {
    const size = nextBatchBytes(buffer, next, at + bytes.length);
    expect(size).toBeGreaterThan(0);
    expect(isIntact(buffer, next)).toBe(true);
    if (line.magic < 2) checkEntry(line.entries[sizes]!, buffer, next, size);
    records.push(...recordsAt(buffer, next));
    next += size;
    sizes++;
  }
  expect(sizes).toBe(line.magic === 2 ? 1 : line.entries.length);
  checkRecords(line, records);
}

function checkEntry(entry: BatchLine['entries'][number], buffer: Buffer, at: number, size: number): void {
  expect({ offset: batch.baseOffset(buffer, at), size: size - batch.LOG_OVERHEAD, magic: batch.magic(buffer, at) }).toStrictEqual({
    offset: int64Of(entry.offset),
    size: entry.size,
    magic: entry.magic,
  });
}

function checkHeader(line: BatchLine, buffer: Buffer, at: number, bytes: number): void {
  const { header, derived } = line;
  expect({
    baseOffset: batch.baseOffset(buffer, at),
    batchLength: batch.batchLength(buffer, at),
    partitionLeaderEpoch: batch.partitionLeaderEpoch(buffer, at),
    magic: batch.magic(buffer, at),
    crc: batch.crc(buffer, at),
    attributes: batch.attributes(buffer, at),
    lastOffsetDelta: batch.lastOffsetDelta(buffer, at),
    baseTimestamp: batch.baseTimestamp(buffer, at),
    maxTimestamp: batch.maxTimestamp(buffer, at),
    producerId: batch.producerId(buffer, at),
    producerEpoch: batch.producerEpoch(buffer, at),
    baseSequence: batch.baseSequence(buffer, at),
    recordCount: batch.recordCount(buffer, at),
  }).toStrictEqual({
    ...header,
    baseOffset: int64Of(header.baseOffset),
    baseTimestamp: int64Of(header.baseTimestamp),
    maxTimestamp: int64Of(header.maxTimestamp),
    producerId: int64Of(header.producerId),
  });
  expect({
    compression: compressionNames[batch.compressionType(buffer, at)],
    timestampType: batch.timestampType(buffer, at) === batch.TimestampType.CREATE_TIME ? 'CreateTime' : 'LogAppendTime',
    transactional: batch.isTransactional(buffer, at),
    control: batch.isControl(buffer, at),
    deleteHorizonMs: batch.hasDeleteHorizon(buffer, at) ? String(batch.baseTimestamp(buffer, at)) : null,
    lastSequence: batch.lastSequence(buffer, at),
    sizeInBytes: batch.sizeInBytes(buffer, at),
  }).toStrictEqual(withoutOffsets(derived));
  if (Number.isSafeInteger(Number(derived.nextOffset))) {
    expect(batch.lastOffset(buffer, at)).toBe(Number(derived.lastOffset));
    expect(batch.nextOffset(buffer, at)).toBe(Number(derived.nextOffset));
  }
  expect(batch.hasProducerId(buffer, at)).toBe(header.producerId !== '-1');
  expect(batch.computeCrc(buffer, at)).toBe(header.crc);
  expect(bytes).toBe(derived.sizeInBytes);
}

function withoutOffsets(derived: BatchLine['derived']): object {
  const { lastOffset: _lastOffset, nextOffset: _nextOffset, ...rest } = derived;
  return rest;
}

/** The header and the records written again give the bytes: all of them where nothing is compressed, else all but the payload and the checksum. */
export function checkBuilding(line: BatchLine & { readonly records: readonly RecordJson[] }): void {
  const { header, derived } = line;
  const bytes = Buffer.from(line.hex, 'hex');
  const compression = (header.attributes & batch.COMPRESSION_MASK) as batch.CompressionType;
  const built = buildBatch({
    records: inputsOf(line, bytes),
    baseOffset: BigInt(header.baseOffset),
    lastOffsetDelta: header.lastOffsetDelta,
    partitionLeaderEpoch: header.partitionLeaderEpoch,
    compression,
    timestampType: derived.timestampType === 'CreateTime' ? batch.TimestampType.CREATE_TIME : batch.TimestampType.LOG_APPEND_TIME,
    baseTimestamp: BigInt(header.baseTimestamp),
    maxTimestamp: BigInt(header.maxTimestamp),
    ...(derived.deleteHorizonMs === null ? {} : { deleteHorizonMs: Number(derived.deleteHorizonMs) }),
    producerId: BigInt(header.producerId),
    producerEpoch: header.producerEpoch,
    baseSequence: header.baseSequence,
    isTransactional: derived.transactional,
    isControl: derived.control,
  });
  if (compression === batch.CompressionType.NONE) {
    expect(built.toString('hex')).toBe(line.hex);
    return;
  }
  const sameFields = (of: Buffer): string => of.subarray(0, 8).toString('hex') + of.subarray(12, 17).toString('hex') + of.subarray(21, 61).toString('hex');
  expect(sameFields(built)).toBe(sameFields(bytes));
  checkRecords(line, readBatch(built, 0).records);
}

/** With log append time the line has lost what the records' deltas were: all its records have the header's time. They are taken from the batch. */
function inputsOf(line: BatchLine & { readonly records: readonly RecordJson[] }, bytes: Buffer): RecordInput[] {
  const cursor = new RecordCursor();
  cursor.open(bytes, 0);
  return line.records.map((record) => {
    expect(cursor.next()).toBe(true);
    const isLogAppendTime = line.derived.timestampType === 'LogAppendTime';
    return {
      offset: BigInt(record.offset),
      timestamp: isLogAppendTime ? BigInt(line.header.baseTimestamp) + BigInt(cursor.timestampDelta) : BigInt(record.timestamp),
      key: bytesOf(record.key),
      value: bytesOf(record.value),
      headers: record.headers.map(({ key, value }) => ({ key, value: bytesOf(value) })),
    };
  });
}

export interface InvalidLine {
  readonly name: string;
  readonly hex: string;
  readonly error: string | null;
  readonly step?: string;
  readonly batches: number;
  readonly records: number;
}

/** What our reader makes of a damaged batch, in the line's words. */
export function outcomeOf(bytes: Buffer): Omit<InvalidLine, 'name' | 'hex'> {
  let batches = 0;
  let records = 0;
  for (let at = 0; at < bytes.length; batches++) {
    const size = nextBatchBytes(bytes, at, bytes.length);
    if (size === CORRUPT) return { error: 'CorruptRecordException', step: 'batches', batches, records };
    if (size === INCOMPLETE) break;
    if (!isIntact(bytes, at)) return { error: 'CorruptRecordException', step: 'crc', batches, records };
    try {
      if (batch.magic(bytes, at) === 2) {
        const cursor = new RecordCursor();
        for (cursor.open(bytes, at); cursor.next(); ) records++;
      } else {
        records += recordsAt(bytes, at).length;
      }
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return { error: exceptionOf(error), step: 'records', batches, records };
    }
    at += size;
  }
  return { error: null, batches, records };
}

/** Kafka's class for an error of ours. Of what has no error code of its own, it tells apart the codec that it does not know and the one that fails. */
function exceptionOf(error: KafkaError): string {
  switch (error.code) {
    case ErrorCode.CORRUPT_MESSAGE:
      return 'CorruptRecordException';
    case ErrorCode.INVALID_RECORD:
      return 'InvalidRecordException';
    case ErrorCode.UNKNOWN_SERVER_ERROR:
      return error.message.startsWith('unknown compression type') ? 'IllegalArgumentException' : 'KafkaException';
    default:
      return `code ${error.code}`;
  }
}
