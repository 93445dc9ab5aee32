/** The batches and records of a segment file or a metadata snapshot, read in windows so that a large file needs little memory. Does not print. */
import {
  baseOffset, baseSequence, compressionType, crc, hasDeleteHorizon, isControl, isTransactional, baseTimestamp, lastOffset, lastSequence, magic, maxTimestamp,
  partitionLeaderEpoch, producerEpoch, producerId, recordCount, sizeInBytes, TimestampType, timestampType,
} from '../../protocol/record/batch.ts';
import { CORRUPT, INCOMPLETE, isIntact, nextBatchBytes, recordsAt } from '../../protocol/record/batches.ts';
import { compressionNames } from '../../protocol/record/compression.ts';
import type { Record as LogRecord } from '../../protocol/record/records.ts';
import type { Disk } from '../../storage/disk.ts';
import { parseDirectoryName } from '../../storage/directory-name.ts';
import type { Dump, DumpLine, DumpOptions } from './dump.ts';
import { decodeControlRecord, decoderOf } from './dump-records.ts';
import type { RecordDecoder } from './dump-records.ts';
import { isoTime } from './time.ts';

const WINDOW_BYTES = 4 * 1024 * 1024;

export function* dumpLog(disk: Disk, path: string, options: DumpOptions): Generator<Dump> {
  const decoder = decoderOf(topicOf(path));
  let shown = 0;
  let nextOffset = -1;
  for (const found of batchesOf(disk, path)) {
    if (found.damage !== undefined) {
      yield { kind: 'DAMAGE', fields: { position: found.position, reason: found.damage }, isDamage: true };
      return;
    }
    const { buffer, at } = found;
    const end = magic(buffer, at) < 2 ? baseOffset(buffer, at) : lastOffset(buffer, at);
    if (end < options.from) continue;
    if (shown === options.max) return;
    shown++;
    const isValid = isIntact(buffer, at);
    yield { kind: 'batch', fields: batchFields(buffer, at, found.position, isValid), isDamage: !isValid };
    if (baseOffset(buffer, at) < nextOffset) yield { kind: 'DAMAGE', fields: { position: found.position, reason: `offset ${baseOffset(buffer, at)} comes after ${nextOffset - 1}` }, isDamage: true };
    nextOffset = end + 1;
    if (options.records && isValid) yield* records(buffer, at, options.from, decoder);
  }
}

function* records(buffer: Buffer, at: number, from: number, decoder: RecordDecoder | undefined): Generator<Dump> {
  let all: readonly LogRecord[];
  try {
    all = recordsAt(buffer, at);
  } catch (error) {
    yield { kind: '| DAMAGE', fields: { reason: (error as Error).message }, isDamage: true };
    return;
  }
  const decode = magic(buffer, at) >= 2 && isControl(buffer, at) ? decodeControlRecord : decoder;
  for (const record of all) if (record.offset >= from) yield { kind: '| record', fields: recordFields(record, decode) };
}

function batchFields(buffer: Buffer, at: number, position: number, isValid: boolean): DumpLine {
  const version = magic(buffer, at);
  const size = sizeInBytes(buffer, at);
  if (version < 2) return { offset: baseOffset(buffer, at), position, size, magic: version, isValid };
  return {
    baseOffset: baseOffset(buffer, at),
    lastOffset: lastOffset(buffer, at),
    count: recordCount(buffer, at),
    position,
    size,
    magic: version,
    compression: compressionNames[compressionType(buffer, at)] ?? compressionType(buffer, at),
    leaderEpoch: partitionLeaderEpoch(buffer, at),
    [timestampType(buffer, at) === TimestampType.LOG_APPEND_TIME ? 'logAppendTime' : 'createTime']: timeText(maxTimestamp(buffer, at)),
    ...(producerId(buffer, at) < 0 ? {} : { producerId: producerId(buffer, at), producerEpoch: producerEpoch(buffer, at), baseSequence: baseSequence(buffer, at), lastSequence: lastSequence(buffer, at) }),
    ...(isTransactional(buffer, at) ? { isTransactional: true } : {}),
    ...(isControl(buffer, at) ? { isControl: true } : {}),
    ...(hasDeleteHorizon(buffer, at) ? { deleteHorizon: timeText(baseTimestamp(buffer, at)) } : {}),
    crc: crc(buffer, at),
    isValid,
  };
}

function recordFields(record: LogRecord, decode: RecordDecoder | undefined): DumpLine {
  const { offset, timestamp, key, value, headers } = record;
  if (decode !== undefined) return { offset, ...decode(record) };
  return {
    offset,
    timestamp: timeText(timestamp),
    key,
    value,
    ...(headers.length === 0 ? {} : { headers: headers.map((header) => [header.key, header.value]) }),
  };
}

function timeText(ms: number): string | number {
  return ms < 0 || ms > 253_402_300_799_999 ? ms : isoTime(ms);
}

/** `DIR/orders-0/00000000000000000000.log` belongs to `orders`; a snapshot belongs to the metadata wherever it was put. */
function topicOf(path: string): string {
  const parts = path.split('/');
  if (path.endsWith('.checkpoint')) return '__cluster_metadata';
  return parseDirectoryName(parts.at(-2) ?? '')?.topic ?? '';
}

type Found = { readonly position: number; readonly damage: string } | { readonly position: number; readonly buffer: Buffer; readonly at: number; readonly damage?: undefined };

/** Every batch of a file; ends with the damage where one is not whole. The buffer is good until the next one is asked for. */
function* batchesOf(disk: Disk, path: string): Generator<Found> {
  const file = disk.open(path, 'read');
  try {
    const sizeBytes = file.sizeBytes();
    let window: Buffer = Buffer.alloc(0);
    let windowAt = 0;
    for (let position = 0; position < sizeBytes; ) {
      let at = position - windowAt;
      let bytes = nextBatchBytes(window, at, window.length);
      if (bytes === INCOMPLETE && windowAt + window.length < sizeBytes) {
        const wanted = Math.max(WINDOW_BYTES, window.length - at >= 12 ? sizeInBytes(window, at) : 0);
        window = Buffer.allocUnsafe(Math.min(wanted, sizeBytes - position));
        file.readSync(window, position);
        windowAt = position;
        at = 0;
        bytes = nextBatchBytes(window, 0, window.length);
        if (bytes === INCOMPLETE && window.length < sizeBytes - position && sizeInBytes(window, 0) > window.length) continue;
      }
      if (bytes === INCOMPLETE) {
        yield { position, damage: `a batch is cut short: ${sizeBytes - position} bytes are left` };
        return;
      }
      if (bytes === CORRUPT) {
        const isZero = window.subarray(at).every((byte) => byte === 0);
        yield { position, damage: isZero ? `zeros from here on (${sizeBytes - position} bytes)` : 'no batch begins here' };
        return;
      }
      yield { position, buffer: window, at };
      position += bytes;
    }
  } finally {
    file.close();
  }
}
