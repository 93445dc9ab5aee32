/** Settings of replication and its quotas, by Kafka's names. `served: true` marks what this broker acts on; `dynamicOnly` ones cannot stand in a file. */
import { LONG_MAX, int, long, string } from './setting.ts';

/** Those replica.selector.class values that are served, by Kafka's names: a replica in the consumer's rack, or the leader always. */
export const RACK_AWARE_SELECTOR = 'org.apache.kafka.common.replica.RackAwareReplicaSelector';
export const LEADER_SELECTOR = 'org.apache.kafka.common.replica.LeaderSelector';

export const replicaSettings = {
  'alter.log.dirs.replication.quota.window.num': int(11, { min: 1 }),
  'alter.log.dirs.replication.quota.window.size.seconds': int(1, { min: 1 }),
  'follower.replication.throttled.rate': long(LONG_MAX, { min: 0, update: 'cluster-wide', dynamicOnly: true, served: true }),
  'leader.replication.throttled.rate': long(LONG_MAX, { min: 0, update: 'cluster-wide', dynamicOnly: true, served: true }),
  'num.replica.alter.log.dirs.threads': int(null),
  'num.replica.fetchers': int(1, { min: 1, update: 'cluster-wide', served: true }),
  'replica.alter.log.dirs.io.max.bytes.per.second': long(LONG_MAX, { min: 0, update: 'cluster-wide', dynamicOnly: true }),
  'replica.fetch.backoff.ms': int(1000, { min: 0, served: true }),
  'replica.fetch.max.bytes': int(1_048_576, { min: 0, served: true }),
  'replica.fetch.min.bytes': int(1, { served: true }),
  'replica.fetch.response.max.bytes': int(10_485_760, { min: 0, served: true }),
  'replica.fetch.wait.max.ms': int(500, { served: true }),
  'replica.high.watermark.checkpoint.interval.ms': long(5000),
  'replica.lag.time.max.ms': long(30_000, { served: true }),
  'replica.selector.class': string(null, { served: true }),
  'replica.socket.receive.buffer.bytes': int(65_536),
  'replica.socket.timeout.ms': int(30_000, { served: true }),
  'replication.quota.window.num': int(11, { min: 1, served: true }),
  'replication.quota.window.size.seconds': int(1, { min: 1, served: true }),
};
