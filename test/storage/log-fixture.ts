/** A log on a disk in memory, and batches to put into it, for the unit tests of the log. */
import assert from 'node:assert';
import { ErrorCode } from '../../protocol/errors.ts';
import { buildBatch, type BatchHeaderInput } from '../../protocol/record/build.ts';
import { ControlRecordType, encodeControlKey } from '../../protocol/record/control.ts';
import { readRecords } from '../../protocol/record/records.ts';
import { sizeInBytes } from '../../protocol/record/batch.ts';
import { DEFAULT_LOG_CONFIG, type LogConfig } from '../../storage/log-config.ts';
import { type AppendOptions, type AppendResult, Log, type LogOptions } from '../../storage/log.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';

export const DIRECTORY = '/data/t-0';
export const NOW_MS = 1_700_000_000_000;
export const CLIENT: AppendOptions = { leaderEpoch: 0, nowMs: NOW_MS, origin: 'client' };
export const COORDINATOR: AppendOptions = { leaderEpoch: 0, nowMs: NOW_MS, origin: 'coordinator' };

export type OpenOptions = Partial<Omit<LogOptions, 'config'>> & { readonly config?: Partial<LogConfig> };

export function openLog(options: OpenOptions = {}): { log: Log; disk: LogOptions['disk'] } {
  const { config, ...rest } = options;
  const disk = rest.disk ?? new MemoryDisk();
  const log = Log.open({
    directory: DIRECTORY, topic: 't', partition: 0, recoveryPoint: 0, logStartOffset: 0, cleanShutdown: false, nowMs: NOW_MS,
    ...rest, disk, config: { ...DEFAULT_LOG_CONFIG, ...config },
  });
  return { log, disk };
}

export interface TestBatch extends BatchHeaderInput {
  /** One record per value. */
  readonly values?: readonly string[];
  /** Of all records, or one each. */
  readonly timestamp?: number | readonly number[];
  readonly compression?: 0 | 1 | 2 | 3 | 4;
}

export function testBatch(options: TestBatch = {}): Buffer {
  const { values = ['x'], timestamp = NOW_MS, ...header } = options;
  const records = values.map((value, i) => ({ value: Buffer.from(value), timestamp: typeof timestamp === 'number' ? timestamp : (timestamp[i] as number) }));
  return buildBatch({ ...header, records });
}

/** A batch of one record whose whole length is `bytes`. */
export function sizedBatch(bytes: number, options: TestBatch = {}): Buffer {
  let value = '';
  for (let length = bytes - 68; ; length--) {
    value = 'v'.repeat(length);
    const made = testBatch({ ...options, values: [value] });
    if (made.length === bytes) return made;
    assert(made.length > bytes - 8, `no batch has ${bytes} bytes`);
  }
}

export function markerBatch(type: 'commit' | 'abort', options: { producerId: number; producerEpoch: number; coordinatorEpoch?: number; timestamp?: number }): Buffer {
  const value = Buffer.alloc(6);
  value.writeInt32BE(options.coordinatorEpoch ?? 0, 2);
  const key = encodeControlKey(type === 'abort' ? ControlRecordType.ABORT : ControlRecordType.COMMIT);
  return buildBatch({
    records: [{ key, value, timestamp: options.timestamp ?? NOW_MS }], isControl: true, isTransactional: true,
    producerId: options.producerId, producerEpoch: options.producerEpoch,
  });
}

/** Appends what must be accepted. */
export function accept(log: Log, buffer: Buffer, options: AppendOptions = CLIENT): AppendResult {
  const result = log.append(buffer, options);
  assert.equal(result.error, ErrorCode.NONE);
  return result;
}

/** Appends, writes, and commits one-record batches of these values. */
export async function fill(log: Log, values: readonly string[], options: TestBatch = {}): Promise<void> {
  for (const value of values) accept(log, testBatch({ ...options, values: [value] }));
  await log.write();
  log.advanceHighWatermark(log.logEndOffset);
}

/** `offset:value` of all records from `from` up to the high watermark or `endOffset`. */
export async function contents(log: Log, options: { from?: number; endOffset?: number; maxBytes?: number } = {}): Promise<string[]> {
  const { from = log.logStartOffset, endOffset = log.writtenEndOffset, maxBytes = 1_000_000 } = options;
  const found: string[] = [];
  for (let offset = from; offset < endOffset; ) {
    const read = await log.read(offset, { maxBytes, endOffset, minOneBatch: true });
    assert.equal(read.error, ErrorCode.NONE);
    if (read.bytes === 0) break;
    assert(read.nextOffset > offset);
    for (const buffer of read.buffers) {
      for (let at = 0; at < buffer.length; at += sizeInBytes(buffer, at)) {
        for (const record of readRecords(buffer, at)) if (record.offset >= from) found.push(`${record.offset}:${record.controlType === undefined ? record.value?.toString() : record.controlType}`);
      }
    }
    offset = read.nextOffset;
  }
  return found;
}

export function numbered(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => `v${from + i}`);
}
