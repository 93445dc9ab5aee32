/**
 * Which segments of a log are to go, by age, size, and the log start offset.
 *
 * Promises: always a run of the oldest segments, all of them below the high watermark; the active one only when it is not empty.
 * Does not: remove anything.
 *
 * Age is told by the largest timestamp that producers have set, so one record from the future keeps its segment, and with it all younger
 * ones, until that time has passed (KAFKA-10313).
 */
import { deletesByRetention, type LogConfig } from './log-config.ts';
import type { Segment } from './segment.ts';
import type { SegmentList } from './segment-list.ts';

export interface RetentionView {
  readonly segments: SegmentList;
  readonly config: LogConfig;
  readonly logStartOffset: number;
  readonly logEndOffset: number;
  readonly highWatermark: number;
}

type Breach = (segment: Segment, nextBaseOffset: number | undefined) => boolean;

export function expiredSegments(log: RetentionView, nowMs: number): readonly Segment[] {
  const { config } = log;
  const breaches: Breach[] = [(_segment, nextBaseOffset) => nextBaseOffset !== undefined && nextBaseOffset <= log.logStartOffset];
  if (deletesByRetention(config.cleanupPolicy)) {
    if (config.retentionBytes >= 0) {
      // Without what lies before the log start: that goes anyway, and must not take others with it.
      let excess = log.segments.from(log.logStartOffset).reduce((bytes, segment) => bytes + segment.sizeBytes, -config.retentionBytes);
      breaches.push((segment) => {
        if (excess < segment.sizeBytes) return false;
        excess -= segment.sizeBytes;
        return true;
      });
    }
    if (config.retentionMs >= 0) {
      breaches.push((segment) => nowMs - segment.largestTimestamp() > config.retentionMs);
    }
  }
  // As Kafka: each rule takes the run of oldest segments that breach it, one rule after the other on what the last one left.
  const all = log.segments.all;
  let count = 0;
  for (const breach of breaches) {
    for (; count < all.length; count++) {
      const segment = all[count] as Segment;
      const nextBaseOffset = all[count + 1]?.baseOffset;
      if (log.highWatermark < (nextBaseOffset ?? log.logEndOffset)) break;
      if (nextBaseOffset === undefined && segment.sizeBytes === 0) break;
      if (!breach(segment, nextBaseOffset)) break;
    }
  }
  return all.slice(0, count);
}
