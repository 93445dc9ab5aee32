/** Topic settings: defaults from the broker's, Kafka's words for what it refuses, and what DescribeConfigs shows of a topic. */
import { describe, expect, it } from 'vitest';
import { ConfigSource } from '../../../src/settings/description.ts';
import { Settings } from '../../../src/settings.ts';

const overrides = (...pairs: [string, string][]) => new Map(pairs);

describe('validate', () => {
  const { topic } = Settings.from();

  it.each([
    ['foo', '1', 'Unknown topic config name: foo'],
    ['retention.ms', 'abc', 'Invalid value abc for configuration retention.ms: Not a number of type LONG'],
    ['retention.ms', '-2', 'Invalid value -2 for configuration retention.ms: Value must be at least -1'],
    ['retention.ms', '', 'Invalid value  for configuration retention.ms: Not a number of type LONG'],
    ['retention.ms', '9223372036854775808', 'Invalid value 9223372036854775808 for configuration retention.ms: Not a number of type LONG'],
    ['segment.bytes', '1', 'Invalid value 1 for configuration segment.bytes: Value must be at least 1048576'],
    ['segment.bytes', '99999999999', 'Invalid value 99999999999 for configuration segment.bytes: Not a number of type INT'],
    ['cleanup.policy', 'foo', 'Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete'],
    ['cleanup.policy', 'compact,', "Configuration 'cleanup.policy' values must not be empty."],
    ['compression.type', 'none', 'Invalid value none for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer'],
    ['compression.gzip.level', '0', 'Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1'],
    ['compression.lz4.level', '18', 'Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17'],
    ['preallocate', 'yes', 'Invalid value yes for configuration preallocate: Expected value to be either true or false'],
    ['min.cleanable.dirty.ratio', '2', 'Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1'],
    ['min.cleanable.dirty.ratio', 'x', 'Invalid value x for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE'],
    [
      'leader.replication.throttled.replicas',
      'x',
      "Invalid value [x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
    ],
  ])('%s=%s', (name, value, message) => {
    expect(topic.validate(overrides([name, value]))).toBe(message);
  });

  it.each([
    ['retention.ms', ' +5 '],
    ['cleanup.policy', ''],
    ['cleanup.policy', 'compact , delete'],
    ['cleanup.policy', 'delete,delete'],
    ['compression.gzip.level', '-1'],
    ['preallocate', ' TRUE '],
    ['min.cleanable.dirty.ratio', '0.5d'],
    ['leader.replication.throttled.replicas', '*'],
    ['leader.replication.throttled.replicas', '0:1,1:2'],
    ['retention.bytes', '-5'],
  ])('takes %s=%s', (name, value) => {
    expect(topic.validate(overrides([name, value]))).toBeNull();
  });

  it('looks at names first, and at values together', () => {
    expect(topic.validate(overrides(['retention.ms', 'x'], ['aaa', '1']))).toBe('Unknown topic config name: aaa');
    expect(topic.validate(overrides(['min.compaction.lag.ms', '100'], ['max.compaction.lag.ms', '50']))).toBe(
      'conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (50)',
    );
  });
});

describe('resolve', () => {
  it('takes the broker\'s value in its unit, the strongest first', () => {
    const retention = (...set: string[]) => Settings.from({ set }).topic.resolve().get('retention.ms');
    expect(retention()).toBe(604_800_000);
    expect(retention('log.retention.hours=1')).toBe(3_600_000);
    expect(retention('log.retention.hours=1', 'log.retention.minutes=1')).toBe(60_000);
    expect(retention('log.retention.hours=1', 'log.retention.minutes=1', 'log.retention.ms=1')).toBe(1);
    expect(Settings.from({ set: ['log.flush.scheduler.interval.ms=9'] }).topic.resolve().get('flush.ms')).toBe(9);
    expect(Settings.from({ set: ['log.roll.jitter.hours=2'] }).topic.resolve().text('segment.jitter.ms')).toBe('7200000');
  });

  it('lets the topic win', () => {
    const config = Settings.from().topic.resolve(overrides(['cleanup.policy', 'compact,delete'], ['max.message.bytes', '5']));
    expect(config.get('cleanup.policy')).toEqual(['compact', 'delete']);
    expect(config.get('max.message.bytes')).toBe(5);
    expect(config.get('internal.segment.bytes')).toBeNull();
    expect(Settings.from().topic.resolve(overrides(['max.message.bytes', 'x'])).get('max.message.bytes')).toBe(1_048_588);
  });
});

describe('describe', () => {
  const { topic } = Settings.from({ set: ['log.retention.hours=100', 'log.roll.ms=5000', 'compression.type=zstd'] });
  const shown = new Map(topic.describe(overrides(['max.message.bytes', '5'])).map((one) => [one.name, one]));

  it('shows sources and synonyms as Kafka 4.3.1 does', () => {
    expect(shown.get('segment.ms')).toMatchObject({
      value: '5000',
      source: ConfigSource.STATIC_BROKER,
      synonyms: [
        { name: 'log.roll.ms', value: '5000', source: ConfigSource.STATIC_BROKER },
        { name: 'log.roll.hours', value: '168', source: ConfigSource.DEFAULT },
      ],
    });
    // log.retention.hours alone is not seen: Kafka drops what stands before the first synonym of the very name.
    expect(shown.get('retention.ms')).toMatchObject({ value: '360000000', source: ConfigSource.DEFAULT, synonyms: [] });
    expect(shown.get('max.message.bytes')).toMatchObject({
      value: '5',
      source: ConfigSource.DYNAMIC_TOPIC,
      readOnly: false,
      configType: 3,
      synonyms: [
        { name: 'max.message.bytes', value: '5', source: ConfigSource.DYNAMIC_TOPIC },
        { name: 'message.max.bytes', value: '1048588', source: ConfigSource.DEFAULT },
      ],
    });
    expect(shown.get('remote.storage.enable')).toMatchObject({ value: 'false', source: ConfigSource.DEFAULT, synonyms: [] });
    expect(shown.has('internal.segment.bytes')).toBe(false);
  });
});
