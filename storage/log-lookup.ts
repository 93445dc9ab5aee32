/**
 * Looking up offsets by timestamp, for ListOffsets.
 *
 * Promises: the exact record, unpacking the batch that holds it if need be. Reads of an interval of the
 * index at most, unless timestamps go backwards within a segment. Does not: bound the answer by the high watermark (the caller does), or see what is
 * not written yet.
 */
import { magic } from '../protocol/record/batch.ts';
import { readLegacyRecords } from '../protocol/record/legacy.ts';
import { RecordCursor } from '../protocol/record/records.ts';
import { BatchScan } from './batch-scan.ts';
import type { Segment } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import { storedLeaderEpoch, storedMaxTimestamp } from './stored-batch.ts';

export interface FoundOffset {
  readonly offset: number;
  readonly timestampMs: number;
  /** -1 where the batch has none. */
  readonly leaderEpoch: number;
}

/** What a lookup needs to see of a log. */
export interface LookupLog {
  readonly segments: SegmentList;
  readonly logStartOffset: number;
}

/** The first record at or behind the log start whose timestamp is not below `timestampMs`; undefined when all are older. */
export function findTimestamp(log: LookupLog, timestampMs: number): FoundOffset | undefined {
  // Kafka stops after the first segment that has such a record, also if all of them there are before the log start, and then finds nothing.
  for (const segment of log.segments.from(log.logStartOffset)) {
    const found = segment.largestTimestamp() >= timestampMs ? findInSegment(log, segment, timestampMs) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function findInSegment(log: LookupLog, segment: Segment, timestampMs: number): FoundOffset | undefined {
  const timeIndex = segment.indexes.time;
  const slot = timeIndex.slotFor(timestampMs);
  const offset = Math.max(slot < 0 ? segment.baseOffset : timeIndex.offsetAt(slot), log.logStartOffset);
  const scan = new BatchScan(segment.file(), segment.indexes.positionToSeek(offset), segment.writtenBytes);
  while (scan.next()) {
    if (storedMaxTimestamp(scan.buffer, scan.at) < timestampMs || scan.lastOffset < log.logStartOffset || !scan.load()) continue;
    const found = firstRecord(scan, (timestamp, recordOffset) => timestamp >= timestampMs && recordOffset >= log.logStartOffset);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The first record with the largest timestamp of all; undefined when no record has one. */
export function findMaxTimestamp(log: LookupLog): FoundOffset | undefined {
  let youngest: Segment | undefined;
  for (const segment of log.segments.from(log.logStartOffset)) if (youngest === undefined || segment.indexes.maxTimestamp > youngest.indexes.maxTimestamp) youngest = segment;
  if (youngest === undefined || youngest.indexes.maxTimestamp < 0) return undefined;
  const max = youngest.indexes.maxTimestamp;
  const scan = new BatchScan(youngest.file(), youngest.indexes.positionToSeek(youngest.indexes.maxTimestampOffset), youngest.writtenBytes);
  while (scan.next()) {
    if (storedMaxTimestamp(scan.buffer, scan.at) !== max || !scan.load()) continue;
    const found = firstRecord(scan, (timestamp) => timestamp === max);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Throws a KafkaError when the batch's records are not as they should be. */
function firstRecord(scan: BatchScan, matches: (timestamp: number, offset: number) => boolean): FoundOffset | undefined {
  const { buffer, at } = scan;
  const leaderEpoch = storedLeaderEpoch(buffer, at);
  if (magic(buffer, at) < 2) {
    const record = readLegacyRecords(buffer, at).find((one) => matches(one.timestamp, one.offset));
    return record === undefined ? undefined : { offset: record.offset, timestampMs: record.timestamp, leaderEpoch };
  }
  const cursor = new RecordCursor();
  cursor.open(buffer, at);
  while (cursor.next()) if (matches(cursor.timestamp, cursor.offset)) return { offset: cursor.offset, timestampMs: cursor.timestamp, leaderEpoch };
  return undefined;
}
