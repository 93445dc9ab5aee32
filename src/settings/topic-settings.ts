/**
 * The settings of a topic: Kafka's table, where each finds its default among the broker's settings, Kafka's check of what a client asks for,
 * and the values in force. Does not store overrides: they live in the metadata image.
 */
import type { BrokerSettingName, ValueOf } from './broker-settings.ts';
import { ConfigSource, describeSetting } from './description.ts';
import type { SettingDescription, SettingSynonym } from './description.ts';
import { boolean, canonicalText, double, int, InvalidSettingError, list, long, LONG_MAX, parseSetting, string } from './setting.ts';
import type { Setting, SettingValue } from './setting.ts';

export const topicSettings = {
  'cleanup.policy': list('delete', { oneOf: ['compact', 'delete'] }),
  'compression.gzip.level': int(-1, { min: 1, max: 9, orElse: -1 }),
  'compression.lz4.level': int(9, { min: 1, max: 17 }),
  'compression.type': string('producer', { oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'] }),
  'compression.zstd.level': int(3, { min: -131_072, max: 22 }),
  'delete.retention.ms': long(86_400_000, { min: 0 }),
  'file.delete.delay.ms': long(60_000, { min: 0 }),
  'flush.messages': long(LONG_MAX, { min: 1 }),
  'flush.ms': long(LONG_MAX, { min: 0 }),
  'follower.replication.throttled.replicas': list('', { throttledReplicas: true }),
  'index.interval.bytes': int(4096, { min: 0 }),
  'internal.segment.bytes': int(null, { internal: true }),
  'leader.replication.throttled.replicas': list('', { throttledReplicas: true }),
  'local.retention.bytes': long(-2, { min: -2 }),
  'local.retention.ms': long(-2, { min: -2 }),
  'max.compaction.lag.ms': long(LONG_MAX, { min: 1 }),
  'max.message.bytes': int(1_048_588, { min: 0 }),
  'message.timestamp.after.max.ms': long(3_600_000, { min: 0 }),
  'message.timestamp.before.max.ms': long(LONG_MAX, { min: 0 }),
  'message.timestamp.type': string('CreateTime', { oneOf: ['CreateTime', 'LogAppendTime'] }),
  'min.cleanable.dirty.ratio': double(0.5, { min: 0, max: 1 }),
  'min.compaction.lag.ms': long(0, { min: 0 }),
  'min.insync.replicas': int(1, { min: 1 }),
  'preallocate': boolean(false),
  'remote.log.copy.disable': boolean(false),
  'remote.log.delete.on.disable': boolean(false),
  'remote.storage.enable': boolean(false),
  'retention.bytes': long(-1),
  'retention.ms': long(604_800_000, { min: -1 }),
  'segment.bytes': int(1_073_741_824, { min: 1_048_576 }),
  'segment.index.bytes': int(10_485_760, { min: 4 }),
  'segment.jitter.ms': long(0, { min: 0 }),
  'segment.ms': long(604_800_000, { min: 1 }),
  'unclean.leader.election.enable': boolean(false),
};

export type TopicSettingName = keyof typeof topicSettings;
export type TopicSettingValue<N extends TopicSettingName> = ValueOf<(typeof topicSettings)[N]>;

/** What a topic may have and this broker does not act on: its LZ4 has one level, logs are not compacted yet, nothing goes to remote storage, files grow as they are written. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set<TopicSettingName>([
  'compression.lz4.level', 'delete.retention.ms', 'local.retention.bytes', 'local.retention.ms', 'max.compaction.lag.ms', 'min.cleanable.dirty.ratio', 'min.compaction.lag.ms',
  'preallocate', 'remote.log.copy.disable', 'remote.log.delete.on.disable',
]);

/** Of a topic's overrides, those that change nothing here, for the log; `cleanup.policy` with its value, of which only compaction does not. */
export function overridesWithoutEffect(overrides: Overrides): string[] {
  const names = [...overrides.keys()].filter((name) => WITHOUT_EFFECT.has(name));
  if (overrides.get('cleanup.policy')?.includes('compact') === true) names.push('cleanup.policy=compact (logs are not compacted yet)');
  return names.sort();
}

export interface ServerDefault {
  readonly name: BrokerSettingName;
  /** What one unit of the broker's setting is in units of the topic's. */
  readonly unit: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const from = (name: BrokerSettingName, unit = 1): ServerDefault => ({ name, unit });

/** The broker's settings that give a topic's default, strongest first. */
export const SERVER_DEFAULTS: Readonly<Partial<Record<TopicSettingName, readonly ServerDefault[]>>> = {
  'cleanup.policy': [from('log.cleanup.policy')],
  'compression.gzip.level': [from('compression.gzip.level')],
  'compression.lz4.level': [from('compression.lz4.level')],
  'compression.type': [from('compression.type')],
  'compression.zstd.level': [from('compression.zstd.level')],
  'delete.retention.ms': [from('log.cleaner.delete.retention.ms')],
  'file.delete.delay.ms': [from('log.segment.delete.delay.ms')],
  'flush.messages': [from('log.flush.interval.messages')],
  'flush.ms': [from('log.flush.interval.ms'), from('log.flush.scheduler.interval.ms')],
  'index.interval.bytes': [from('log.index.interval.bytes')],
  'local.retention.bytes': [from('log.local.retention.bytes')],
  'local.retention.ms': [from('log.local.retention.ms')],
  'max.compaction.lag.ms': [from('log.cleaner.max.compaction.lag.ms')],
  'max.message.bytes': [from('message.max.bytes')],
  'message.timestamp.after.max.ms': [from('log.message.timestamp.after.max.ms')],
  'message.timestamp.before.max.ms': [from('log.message.timestamp.before.max.ms')],
  'message.timestamp.type': [from('log.message.timestamp.type')],
  'min.cleanable.dirty.ratio': [from('log.cleaner.min.cleanable.ratio')],
  'min.compaction.lag.ms': [from('log.cleaner.min.compaction.lag.ms')],
  'min.insync.replicas': [from('min.insync.replicas')],
  'preallocate': [from('log.preallocate')],
  'retention.bytes': [from('log.retention.bytes')],
  'retention.ms': [from('log.retention.ms'), from('log.retention.minutes', MINUTE_MS), from('log.retention.hours', HOUR_MS)],
  'segment.bytes': [from('log.segment.bytes')],
  'segment.index.bytes': [from('log.index.size.max.bytes')],
  'segment.jitter.ms': [from('log.roll.jitter.ms'), from('log.roll.jitter.hours', HOUR_MS)],
  'segment.ms': [from('log.roll.ms'), from('log.roll.hours', HOUR_MS)],
  'unclean.leader.election.enable': [from('unclean.leader.election.enable')],
};

const byName: ReadonlyMap<string, Setting<SettingValue>> = new Map(Object.entries(topicSettings));

/** What a topic's defaults come from. */
export interface ServerValues {
  /** In force, as text; null when unset. */
  text(name: BrokerSettingName): string | null;
  value(name: BrokerSettingName): SettingValue;
  synonyms(name: string): readonly SettingSynonym[];
}

export type Overrides = ReadonlyMap<string, string>;
const NONE: Overrides = new Map();

/** The values in force for one topic. */
export class TopicConfig {
  readonly #server: ServerValues;
  readonly #overrides: Overrides;
  readonly #values = new Map<string, SettingValue>();

  constructor(server: ServerValues, overrides: Overrides) {
    this.#server = server;
    this.#overrides = overrides;
  }

  get<N extends TopicSettingName>(name: N): TopicSettingValue<N> {
    let value = this.#values.get(name);
    if (value === undefined) {
      value = this.#resolve(name);
      this.#values.set(name, value);
    }
    return value as TopicSettingValue<N>;
  }

  /** As DescribeConfigs shows it. */
  text(name: TopicSettingName): string | null {
    const own = this.#override(name);
    if (own !== undefined) return canonicalText(topicSettings[name], own);
    const fallback = this.#fallback(name);
    if (fallback === undefined) return topicSettings[name].defaultText;
    const text = this.#server.text(fallback.name)!;
    return fallback.unit === 1 ? text : String(BigInt(text) * BigInt(fallback.unit));
  }

  #resolve(name: TopicSettingName): SettingValue {
    const setting: Setting<SettingValue> = topicSettings[name];
    const own = this.#override(name);
    if (own !== undefined) return parseSetting(name, setting, own);
    const fallback = this.#fallback(name);
    if (fallback === undefined) return setting.default;
    const value = this.#server.value(fallback.name);
    return fallback.unit === 1 ? value : (value as number) * fallback.unit;
  }

  /** An override that no longer parses (another version wrote it) counts as absent: a topic must stay readable. */
  #override(name: TopicSettingName): string | undefined {
    const text = this.#overrides.get(name);
    if (text === undefined) return undefined;
    return faultOf(name, text) === null ? text : undefined;
  }

  #fallback(name: TopicSettingName): ServerDefault | undefined {
    return SERVER_DEFAULTS[name]?.find((one) => this.#server.text(one.name) !== null);
  }
}

export class TopicSettings {
  readonly #server: ServerValues;
  readonly #defaults: TopicConfig;

  constructor(server: ServerValues) {
    this.#server = server;
    this.#defaults = new TopicConfig(server, NONE);
  }

  resolve(overrides: Overrides = NONE): TopicConfig {
    return overrides.size === 0 ? this.#defaults : new TopicConfig(this.#server, overrides);
  }

  /** What is wrong with a topic's overrides, in the words that Kafka sends with INVALID_CONFIG (LogConfig.validate), or null. */
  validate(overrides: Overrides): string | null {
    for (const name of overrides.keys()) if (!byName.has(name)) return `Unknown topic config name: ${name}`;
    for (const [name, text] of overrides) {
      const fault = faultOf(name, text);
      if (fault !== null) return fault;
    }
    const config = this.resolve(overrides);
    const [lagMin, lagMax] = [config.get('min.compaction.lag.ms'), config.get('max.compaction.lag.ms')];
    if (lagMin > lagMax) {
      return `conflict topic config setting min.compaction.lag.ms (${config.text('min.compaction.lag.ms')}) > max.compaction.lag.ms (${config.text('max.compaction.lag.ms')})`;
    }
    if (config.get('remote.storage.enable')) {
      return 'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.';
    }
    return null;
  }

  /** All settings of a topic, in the order of their names. */
  describe(overrides: Overrides = NONE): SettingDescription[] {
    const config = this.resolve(overrides);
    const names = (Object.keys(topicSettings) as TopicSettingName[]).filter((name) => !(topicSettings[name] as Setting).internal);
    return names.map((name) => {
      const value = config.text(name);
      const server = SERVER_DEFAULTS[name]?.[0];
      const synonyms = server === undefined ? [] : [...this.#server.synonyms(server.name)];
      if (overrides.has(name)) synonyms.unshift({ name, value, source: ConfigSource.DYNAMIC_TOPIC });
      return describeSetting({ name, setting: topicSettings[name], value, readOnly: false, synonyms });
    });
  }
}

function faultOf(name: string, text: string): string | null {
  try {
    parseSetting(name, byName.get(name)!, text);
    return null;
  } catch (error) {
    if (error instanceof InvalidSettingError) return error.message;
    throw error;
  }
}
