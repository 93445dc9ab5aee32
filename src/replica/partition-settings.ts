/**
 * What a topic's settings mean for its partitions: the settings of the log, and the rules that produced batches are checked by.
 * Does not read settings anew when they change: the owner asks again.
 */
import { CompressionType, TimestampType } from '../../protocol/record/batch.ts';
import { DEFAULT_PRODUCE_RULES, PRODUCER_COMPRESSION } from '../../protocol/record/validate.ts';
import type { ProduceRules } from '../../protocol/record/validate.ts';
import type { LogConfig } from '../../storage/log-config.ts';
import type { TopicConfig } from '../settings/topic-settings.ts';
import type { PartitionSettings } from './partition.ts';

const codecs = new Map<string, CompressionType>([
  ['uncompressed', CompressionType.NONE], ['gzip', CompressionType.GZIP], ['snappy', CompressionType.SNAPPY], ['lz4', CompressionType.LZ4], ['zstd', CompressionType.ZSTD],
]);

export function logConfigOf(topic: TopicConfig, broker: { readonly producerIdExpirationMs: number }): LogConfig {
  const policy = topic.get('cleanup.policy');
  const compacts = policy.includes('compact');
  const deletes = policy.includes('delete');
  return {
    segmentBytes: topic.get('internal.segment.bytes') ?? topic.get('segment.bytes'),
    segmentMs: topic.get('segment.ms'),
    segmentJitterMs: topic.get('segment.jitter.ms'),
    indexIntervalBytes: topic.get('index.interval.bytes'),
    indexSizeMaxBytes: topic.get('segment.index.bytes'),
    retentionBytes: topic.get('retention.bytes'),
    retentionMs: topic.get('retention.ms'),
    flushMessages: topic.get('flush.messages'),
    flushMs: topic.get('flush.ms'),
    fileDeleteDelayMs: topic.get('file.delete.delay.ms'),
    messageTimestampType: topic.get('message.timestamp.type') === 'LogAppendTime' ? 'LogAppendTime' : 'CreateTime',
    cleanupPolicy: compacts && deletes ? 'compact,delete' : compacts ? 'compact' : deletes ? 'delete' : 'none',
    producerIdExpirationMs: broker.producerIdExpirationMs,
  };
}

export function partitionSettingsOf(topic: TopicConfig): PartitionSettings {
  return {
    produceRules: produceRulesOf(topic),
    minInsyncReplicas: topic.get('min.insync.replicas'),
    leaderThrottledReplicas: topic.get('leader.replication.throttled.replicas'),
    followerThrottledReplicas: topic.get('follower.replication.throttled.replicas'),
  };
}

function produceRulesOf(topic: TopicConfig): ProduceRules {
  const codec = codecs.get(topic.get('compression.type'));
  const level = compressionLevel(topic, codec);
  return {
    ...DEFAULT_PRODUCE_RULES,
    batchBytesMax: topic.get('max.message.bytes'),
    timestampType: topic.get('message.timestamp.type') === 'LogAppendTime' ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME,
    timestampBeforeMaxMs: unlimited(topic.get('message.timestamp.before.max.ms')),
    timestampAfterMaxMs: unlimited(topic.get('message.timestamp.after.max.ms')),
    keysRequired: topic.get('cleanup.policy').includes('compact'),
    compression: codec ?? PRODUCER_COMPRESSION,
    ...(level !== undefined && { compressionLevel: level }),
  };
}

/** Settings of 2^63-1 arrive as the largest safe integer: they mean that there is no bound. */
function unlimited(ms: number): number {
  return ms >= Number.MAX_SAFE_INTEGER ? Infinity : ms;
}

function compressionLevel(topic: TopicConfig, codec: CompressionType | undefined): number | undefined {
  switch (codec) {
    case CompressionType.GZIP:
      return topic.get('compression.gzip.level');
    // LZ4 has one level here: the levels of compression.lz4.level are those of an encoder (LZ4 HC) that the binding does not have.
    case CompressionType.ZSTD:
      return topic.get('compression.zstd.level');
    default:
      return undefined;
  }
}
