/** Settings of transactions and producer ids, by Kafka's names. `served: true` marks what this broker acts on. */
import { boolean, int, short } from './setting.ts';

export const transactionSettings = {
  'add.partitions.to.txn.retry.backoff.max.ms': int(100, { min: 0 }),
  'add.partitions.to.txn.retry.backoff.ms': int(20, { min: 1 }),
  'producer.id.expiration.check.interval.ms': int(600_000, { min: 1, internal: true, served: true }),
  'producer.id.expiration.ms': int(86_400_000, { min: 1, update: 'cluster-wide', served: true }),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': int(10_000, { min: 1 }),
  'transaction.max.timeout.ms': int(900_000, { min: 1 }),
  'transaction.partition.verification.enable': boolean(true, { update: 'cluster-wide' }),
  'transaction.remove.expired.transaction.cleanup.interval.ms': int(3_600_000, { min: 1 }),
  'transaction.state.log.load.buffer.size': int(5_242_880, { min: 1 }),
  'transaction.state.log.min.isr': int(2, { min: 1, served: true }),
  'transaction.state.log.num.partitions': int(50, { min: 1, served: true }),
  'transaction.state.log.replication.factor': short(3, { min: 1, served: true }),
  'transaction.state.log.segment.bytes': int(104_857_600, { min: 1, served: true }),
  'transaction.two.phase.commit.enable': boolean(false),
  'transactional.id.expiration.ms': int(604_800_000, { min: 1 }),
};
