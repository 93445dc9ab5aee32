/** The settings of one group (share, streams and consumer groups): Kafka's table, each with the broker's setting that gives its default. Does not store overrides. */
import { brokerSettingsByName } from './broker-settings.ts';
import type { BrokerSettingName, ValueOf } from './broker-settings.ts';
import { ConfigSource, describeSetting } from './description.ts';
import type { SettingDescription } from './description.ts';
import { boolean, canonicalText, int, InvalidSettingError, parseSetting, string } from './setting.ts';
import type { Setting, SettingValue } from './setting.ts';
import type { Overrides, ServerValues } from './topic-settings.ts';

export const groupConfigSettings = {
  'consumer.assignment.interval.ms': int(1000, { min: 0 }),
  'consumer.heartbeat.interval.ms': int(5000, { min: 1 }),
  'consumer.session.timeout.ms': int(45_000, { min: 1 }),
  'share.assignment.interval.ms': int(1000, { min: 0 }),
  'share.auto.offset.reset': string('latest', { offsetReset: true }),
  'share.delivery.count.limit': int(5, { min: 2 }),
  'share.heartbeat.interval.ms': int(5000, { min: 1 }),
  'share.isolation.level': string('read_uncommitted', { oneOf: ['read_committed', 'read_uncommitted'] }),
  'share.partition.max.record.locks': int(2000, { min: 100 }),
  'share.record.lock.duration.ms': int(30_000, { min: 1000 }),
  'share.renew.acknowledge.enable': boolean(true),
  'share.session.timeout.ms': int(45_000, { min: 1 }),
  'streams.assignment.interval.ms': int(1000, { min: 0 }),
  'streams.heartbeat.interval.ms': int(5000, { min: 1 }),
  'streams.initial.rebalance.delay.ms': int(3000, { min: 0 }),
  'streams.num.standby.replicas': int(0, { min: 0 }),
  'streams.session.timeout.ms': int(45_000, { min: 1 }),
};

export type GroupSettingName = keyof typeof groupConfigSettings;

const byName: ReadonlyMap<string, Setting<SettingValue>> = new Map(Object.entries(groupConfigSettings));

/** `group.` and the name, where the broker has such a setting. */
function serverName(name: GroupSettingName): BrokerSettingName | undefined {
  const candidate = `group.${name}`;
  return brokerSettingsByName.has(candidate) ? (candidate as BrokerSettingName) : undefined;
}

export class GroupSettings {
  readonly #server: ServerValues;

  constructor(server: ServerValues) {
    this.#server = server;
  }

  value<N extends GroupSettingName>(name: N, overrides: Overrides): ValueOf<(typeof groupConfigSettings)[N]> {
    const own = overrides.get(name);
    const server = serverName(name);
    const setting: Setting<SettingValue> = groupConfigSettings[name];
    const value = own !== undefined ? parseSetting(name, setting, own) : server === undefined ? setting.default : this.#server.value(server);
    return value as ValueOf<(typeof groupConfigSettings)[N]>;
  }

  text(name: GroupSettingName, overrides: Overrides): string | null {
    const own = overrides.get(name);
    if (own !== undefined) return canonicalText(groupConfigSettings[name], own);
    const server = serverName(name);
    return server === undefined ? groupConfigSettings[name].defaultText : this.#server.text(server);
  }

  /** What is wrong with single values, in Kafka's words, or null. How they must fit the broker's bounds is the coordinator's to say. */
  validate(overrides: Overrides): string | null {
    for (const name of overrides.keys()) if (!byName.has(name)) return `Unknown group config name: ${name}`;
    try {
      for (const [name, text] of overrides) parseSetting(name, byName.get(name)!, text);
      return null;
    } catch (error) {
      if (error instanceof InvalidSettingError) return error.message;
      throw error;
    }
  }

  describe(overrides: Overrides): SettingDescription[] {
    return (Object.keys(groupConfigSettings) as GroupSettingName[]).map((name) => {
      const setting: Setting<SettingValue> = groupConfigSettings[name];
      const value = this.text(name, overrides);
      const server = serverName(name);
      const synonyms = server === undefined ? [{ name, value: setting.defaultText, source: ConfigSource.DEFAULT }] : [...this.#server.synonyms(server)];
      return describeSetting({
        name,
        setting,
        value,
        readOnly: false,
        synonyms: overrides.has(name) ? [{ name, value, source: ConfigSource.GROUP }, ...synonyms] : synonyms,
      });
    });
  }
}
