/**
 * What ottla sets where nobody has: the standing table makes a node of its own out of an empty configuration, the development table is for
 * one node on a developer's machine and is left out by `--production`. Any setting that is given wins over both.
 */
import type { BrokerSettingName } from './broker-settings.ts';

type Preset = Readonly<Partial<Record<BrokerSettingName, string>>>;

/** Kafka refuses to start without these; a single node has but one answer. */
export const STANDING: Preset = {
  'node.id': '1',
  'process.roles': 'broker,controller',
  'controller.listener.names': 'CONTROLLER',
};

export const DEVELOPMENT: Preset = {
  // Nobody authenticates on a developer's machine, so only that machine may come. Kafka's default is every address.
  'listeners': 'PLAINTEXT://127.0.0.1:9092',
  // A consumer gets its partitions at once. Kafka's 3 s wait for others to join is paid by every test.
  'group.initial.rebalance.delay.ms': '0',
  // Internal topics that fit one node: with Kafka's 3 replicas, transactions and share groups never start.
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  // Kafka's 50 partitions spread groups over brokers. One broker has nothing to spread, and fewer logs start and stop faster.
  'offsets.topic.num.partitions': '5',
  'transaction.state.log.num.partitions': '5',
  'share.coordinator.state.topic.num.partitions': '5',
};
