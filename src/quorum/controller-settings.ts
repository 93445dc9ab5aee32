/** What topic creation and elections ask of the settings, from the settings in force. Holds none itself. */
import type { Settings } from '../settings.ts';
import type { MetadataImage } from './image.ts';
import type { ElectionSettings } from './partition-target.ts';
import type { EffectiveConfig, TopicSettings } from './topic-creation.ts';

export function electionSettings(at: (image: MetadataImage) => Settings): ElectionSettings {
  const topicConfig = (topic: string, image: MetadataImage) => at(image).topic.resolve(image.topicConfig(topic));
  return {
    minInsyncReplicas: (topic, image) => topicConfig(topic, image).get('min.insync.replicas'),
    uncleanLeaderElection: (topic, image) => topicConfig(topic, image).get('unclean.leader.election.enable'),
  };
}

export function topicSettings(inForce: () => Settings): TopicSettings {
  let ofDefaults: { readonly settings: Settings; readonly configs: readonly EffectiveConfig[] } | undefined;
  return {
    get numPartitions() {
      return inForce().get('num.partitions');
    },
    get defaultReplicationFactor() {
      return inForce().get('default.replication.factor');
    },
    configFault: (configs) => inForce().topic.validate(configs),
    effectiveConfigs(configs) {
      const settings = inForce();
      if (configs.size > 0) return effectiveConfigs(settings, configs);
      // Most topics have no settings of their own, and a thousand may be created at once.
      if (ofDefaults?.settings !== settings) ofDefaults = { settings, configs: effectiveConfigs(settings, configs) };
      return ofDefaults.configs;
    },
  };
}

function effectiveConfigs(settings: Settings, configs: ReadonlyMap<string, string>): EffectiveConfig[] {
  return settings.topic.describe(configs).map(({ name, value, readOnly, source, isSensitive }) => ({
    name,
    // The topic's own are told as they were written (' 5 '); DescribeConfigs tells what they mean.
    value: configs.get(name) ?? value,
    readOnly, configSource: source, isSensitive,
  }));
}
