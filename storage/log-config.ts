/**
 * The settings of one log, under the names of Kafka's topic configurations with their unit last.
 *
 * Promises: the defaults are Kafka's. Does not: parse or validate settings (the broker does), nor hold what is not the log's business
 * (min.insync.replicas, compression of produced batches, ...).
 */

export type TimestampTypeName = 'CreateTime' | 'LogAppendTime';
export type CleanupPolicy = 'delete' | 'compact' | 'compact,delete' | 'none';

export interface LogConfig {
  /** segment.bytes: a segment is rolled before it would grow beyond this. Also the most that one append may hold. */
  readonly segmentBytes: number;
  /** segment.ms: a segment whose first batch is older than this, by the stamps of the batches, is rolled. */
  readonly segmentMs: number;
  /** segment.jitter.ms: up to so much is taken off segmentMs, chosen per segment, so that not all logs roll at once. */
  readonly segmentJitterMs: number;
  /** index.interval.bytes: bytes of log between two entries of the offset index. */
  readonly indexIntervalBytes: number;
  /** segment.index.bytes: a segment is rolled when either index would outgrow this. */
  readonly indexSizeMaxBytes: number;
  /** retention.bytes: -1 for no limit. */
  readonly retentionBytes: number;
  /** retention.ms: -1 for no limit. */
  readonly retentionMs: number;
  /** flush.messages: so many unflushed offsets make the write that reaches them wait for the disk. */
  readonly flushMessages: number;
  /** flush.ms: the owner flushes a log that has held something unflushed for so long. */
  readonly flushMs: number;
  /** file.delete.delay.ms: how long the owner keeps files renamed to `.deleted`. */
  readonly fileDeleteDelayMs: number;
  /** message.timestamp.type. */
  readonly messageTimestampType: TimestampTypeName;
  /** cleanup.policy. */
  readonly cleanupPolicy: CleanupPolicy;
  /** producer.id.expiration.ms (a setting of the broker, not of the topic): idle producers are forgotten after this. */
  readonly producerIdExpirationMs: number;
}

export const DEFAULT_LOG_CONFIG: LogConfig = {
  segmentBytes: 1_073_741_824,
  segmentMs: 604_800_000,
  segmentJitterMs: 0,
  indexIntervalBytes: 4096,
  indexSizeMaxBytes: 10_485_760,
  retentionBytes: -1,
  retentionMs: 604_800_000,
  flushMessages: Number.MAX_SAFE_INTEGER,
  flushMs: Number.MAX_SAFE_INTEGER,
  fileDeleteDelayMs: 60_000,
  messageTimestampType: 'CreateTime',
  cleanupPolicy: 'delete',
  producerIdExpirationMs: 86_400_000,
};

/** Whether the policy lets retention by age and size delete segments. */
export function deletesByRetention(policy: CleanupPolicy): boolean {
  return policy === 'delete' || policy === 'compact,delete';
}

/** Whether gaps between batches may be the log cleaner's work. */
export function isCompacted(policy: CleanupPolicy): boolean {
  return policy === 'compact' || policy === 'compact,delete';
}
