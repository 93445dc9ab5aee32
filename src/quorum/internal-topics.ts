/** The topics that brokers keep for themselves: how many partitions, and the settings without which their contents would be lost. Does not create them. */
import type { Settings } from '../settings.ts';
import type { NewTopic } from './topic-creation.ts';
import { GROUP_METADATA_TOPIC, SHARE_GROUP_STATE_TOPIC, TRANSACTION_STATE_TOPIC } from './topic-names.ts';

/** undefined for a topic that is no internal one. */
export function internalTopic(name: string, settings: Settings): NewTopic | undefined {
  switch (name) {
    case GROUP_METADATA_TOPIC:
      return topic(name, settings.get('offsets.topic.num.partitions'), settings.get('offsets.topic.replication.factor'), {
        'compression.type': 'producer',
        'cleanup.policy': 'compact',
        'segment.bytes': settings.text('offsets.topic.segment.bytes'),
      });
    case TRANSACTION_STATE_TOPIC:
      return topic(name, settings.get('transaction.state.log.num.partitions'), settings.get('transaction.state.log.replication.factor'), {
        'compression.type': 'uncompressed',
        'cleanup.policy': 'compact',
        'min.insync.replicas': settings.text('transaction.state.log.min.isr'),
        'segment.bytes': settings.text('transaction.state.log.segment.bytes'),
        'unclean.leader.election.enable': 'false',
      });
    case SHARE_GROUP_STATE_TOPIC:
      return topic(name, settings.get('share.coordinator.state.topic.num.partitions'), settings.get('share.coordinator.state.topic.replication.factor'), {
        'compression.type': 'producer',
        // Old records are deleted by the coordinator itself.
        'cleanup.policy': 'delete',
        'min.insync.replicas': settings.text('share.coordinator.state.topic.min.isr'),
        'segment.bytes': settings.text('share.coordinator.state.topic.segment.bytes'),
        'retention.ms': '-1',
      });
    default:
      return undefined;
  }
}

function topic(name: string, numPartitions: number, replicationFactor: number, configs: Readonly<Record<string, string | null>>): NewTopic {
  return {
    name, numPartitions, replicationFactor, assignments: [],
    configs: Object.entries(configs).map(([configName, value]) => ({ name: configName, value })),
  };
}
