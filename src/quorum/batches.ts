/**
 * Record batches of the metadata log and of its snapshots: what they are made of, and what is in them.
 *
 * Promises: the bytes that Kafka writes for the same records, epoch and time; a batch that is read has its checksum checked and every record decoded.
 * Whatever is not as it should be throws a RangeError or a KafkaError: metadata is never guessed.
 */
import { decodeBuffer, encodeBuffer } from '../../protocol/compile.ts';
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord } from '../../protocol/log-records/control.ts';
import { decodeMetadataRecord, type MetadataRecord } from '../../protocol/log-records/metadata.ts';
import {
  computeCrc, crc, isControl, magic, maxTimestamp, partitionLeaderEpoch, RECORD_BATCH_OVERHEAD, sizeInBytes,
} from '../../protocol/record/batch.ts';
import { buildBatch } from '../../protocol/record/build.ts';
import { ControlRecordType, encodeControlKey } from '../../protocol/record/control.ts';
import { readRecords } from '../../protocol/record/records.ts';
import type { Input, Value } from '../../protocol/schema.ts';

/** Kafka's limit (KafkaRaftClient.MAX_BATCH_SIZE_BYTES); followers fetch no more at once. */
export const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** Length, attributes, two deltas, key, value length and header count of one record at their longest. */
const RECORD_OVERHEAD_BYTES_MAX = 21;

export interface BatchStamp {
  readonly baseOffset: number;
  readonly epoch: number;
  readonly nowMs: number;
}

export type ControlRecord =
  | { readonly type: 'leaderChange'; readonly value: Value<typeof LeaderChangeMessage> }
  | { readonly type: 'kraftVersion'; readonly value: Value<typeof KRaftVersionRecord> }
  | { readonly type: 'voters'; readonly value: Value<typeof VotersRecord> }
  | { readonly type: 'snapshotHeader'; readonly value: Value<typeof SnapshotHeaderRecord> }
  | { readonly type: 'snapshotFooter'; readonly value: Value<typeof SnapshotFooterRecord> };

export type NewControlRecord =
  | { readonly type: 'leaderChange'; readonly value: Input<typeof LeaderChangeMessage> }
  | { readonly type: 'kraftVersion'; readonly value: Input<typeof KRaftVersionRecord> }
  | { readonly type: 'voters'; readonly value: Input<typeof VotersRecord> }
  | { readonly type: 'snapshotHeader'; readonly value: Input<typeof SnapshotHeaderRecord> }
  | { readonly type: 'snapshotFooter'; readonly value: Input<typeof SnapshotFooterRecord> };

/** Each type with its number in the key and the version in which Kafka 4.3 writes it. */
const CONTROL_RECORDS = {
  leaderChange: { number: ControlRecordType.LEADER_CHANGE, message: LeaderChangeMessage },
  kraftVersion: { number: ControlRecordType.KRAFT_VERSION, message: KRaftVersionRecord },
  voters: { number: ControlRecordType.KRAFT_VOTERS, message: VotersRecord },
  snapshotHeader: { number: ControlRecordType.SNAPSHOT_HEADER, message: SnapshotHeaderRecord },
  snapshotFooter: { number: ControlRecordType.SNAPSHOT_FOOTER, message: SnapshotFooterRecord },
} as const;

export function controlBatch(records: readonly NewControlRecord[], { baseOffset, epoch, nowMs }: BatchStamp): Buffer {
  return buildBatch({
    baseOffset,
    partitionLeaderEpoch: epoch,
    isControl: true,
    records: records.map(({ type, value }) => {
      const { number, message } = CONTROL_RECORDS[type];
      // Each of these messages begins with its own version, and is encoded in that.
      return { timestamp: nowMs, key: encodeControlKey(number), value: encodeBuffer<any>(message, value.version, value) };
    }),
  });
}

/** As few batches as the limit allows; none for no records. Records are framed values, as `encodeRecord` makes them. */
export function dataBatches(values: readonly Buffer[], { baseOffset, epoch, nowMs }: BatchStamp, batchBytesMax: number = BATCH_BYTES_MAX): Buffer[] {
  const batches: Buffer[] = [];
  let first = 0;
  while (first < values.length) {
    let bytes = RECORD_BATCH_OVERHEAD;
    let end = first;
    while (end < values.length) {
      bytes += values[end]!.length + RECORD_OVERHEAD_BYTES_MAX;
      if (bytes > batchBytesMax && end > first) break;
      end++;
    }
    batches.push(
      buildBatch({
        baseOffset: baseOffset + first,
        partitionLeaderEpoch: epoch,
        records: values.slice(first, end).map((value) => ({ timestamp: nowMs, value })),
      }),
    );
    first = end;
  }
  return batches;
}

export interface MetadataBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly epoch: number;
  readonly timestampMs: number;
  readonly records: readonly MetadataRecord[];
  readonly controlRecords: readonly ControlRecord[];
}

/** Batches one after the other; a batch that is cut short, damaged, or not understood throws. */
export function* readBatches(buffer: Buffer): Generator<MetadataBatch> {
  for (let at = 0; at < buffer.length; ) {
    if (buffer.length - at < RECORD_BATCH_OVERHEAD) throw corrupt(`${buffer.length - at} bytes where a batch begins`);
    const bytes = sizeInBytes(buffer, at);
    if (bytes < RECORD_BATCH_OVERHEAD || bytes > buffer.length - at) throw corrupt(`a batch of ${bytes} bytes where ${buffer.length - at} are left`);
    if (magic(buffer, at) !== 2) throw corrupt(`magic ${magic(buffer, at)}`);
    if (crc(buffer, at) !== computeCrc(buffer, at)) throw corrupt('the checksum of a batch does not match');
    yield readBatch(buffer, at);
    at += bytes;
  }
}

function readBatch(buffer: Buffer, at: number): MetadataBatch {
  const control = isControl(buffer, at);
  const records: MetadataRecord[] = [];
  const controlRecords: ControlRecord[] = [];
  const read = readRecords(buffer, at);
  if (read.length === 0) throw corrupt('a batch without records');
  for (const record of read) {
    if (record.value === null) throw corrupt('a record without a value');
    if (control) {
      const decoded = decodeControlRecord(record.controlType, record.value);
      if (decoded !== undefined) controlRecords.push(decoded);
    } else {
      records.push(decodeMetadataRecord(record.value));
    }
  }
  return {
    baseOffset: read[0]!.offset,
    lastOffset: read.at(-1)!.offset,
    epoch: partitionLeaderEpoch(buffer, at),
    timestampMs: maxTimestamp(buffer, at),
    records,
    controlRecords,
  };
}

/** What those will read who read the log: the one way in which records come to an image, a leader's own included. */
export function decodedRecords(values: readonly Buffer[]): MetadataRecord[] {
  return values.map((value) => decodeMetadataRecord(value));
}

/** undefined for a type that is not the quorum's. */
function decodeControlRecord(number: number | undefined, value: Buffer): ControlRecord | undefined {
  for (const [type, known] of Object.entries(CONTROL_RECORDS)) {
    if (known.number !== number) continue;
    // A version that this node does not know is read as the newest that it does: later ones only add tagged fields.
    const version = Math.min(value.readInt16BE(0), known.message.versions.max);
    return { type, value: decodeBuffer<any>(known.message, version, value) } as unknown as ControlRecord;
  }
  return undefined;
}

function corrupt(detail: string): KafkaError {
  return new KafkaError(ErrorCode.CORRUPT_MESSAGE, `the metadata log is damaged: ${detail}`);
}
