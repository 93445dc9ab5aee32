/** Every setting of a broker by Kafka's names, and the names outside the table that are taken too. Does not hold values. */
import { groupSettings } from './group.ts';
import { logSettings } from './log.ts';
import { networkSettings } from './network.ts';
import { ownSettings } from './own.ts';
import { quorumSettings } from './quorum.ts';
import { remoteSettings } from './remote.ts';
import { replicaSettings } from './replica.ts';
import { securitySettings } from './security.ts';
import type { Setting, SettingValue } from './setting.ts';
import { transactionSettings } from './transaction.ts';

export const brokerSettings = {
  ...networkSettings,
  ...quorumSettings,
  ...logSettings,
  ...groupSettings,
  ...transactionSettings,
  ...replicaSettings,
  ...securitySettings,
  ...remoteSettings,
  ...ownSettings,
};

export type BrokerSettings = typeof brokerSettings;
export type BrokerSettingName = keyof BrokerSettings;
export type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** By name, for names that come from outside. */
export const brokerSettingsByName: ReadonlyMap<string, Setting<SettingValue>> = new Map(Object.entries(brokerSettings));

/** Where several settings give one value: strongest first. */
const SYNONYMS: readonly (readonly BrokerSettingName[])[] = [
  ['log.roll.ms', 'log.roll.hours'],
  ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
  ['log.flush.interval.ms', 'log.flush.scheduler.interval.ms'],
  ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
];

export function synonymsOf(name: string): readonly string[] {
  return SYNONYMS.find((names) => (names as readonly string[]).includes(name)) ?? [name];
}

/** Settings of Kafka 3.x that 4.0 dropped: an old file still starts, as it does in Kafka 4, and a warning says that they mean nothing. */
const RETIRED = new Set([
  ...['advertised.host.name', 'advertised.port', 'host.name', 'port', 'control.plane.listener.name', 'broker.id.generation.enable', 'reserved.broker.max.id'],
  ...['inter.broker.protocol.version', 'log.message.format.version', 'log.message.downconversion.enable', 'log.message.timestamp.difference.max.ms'],
  ...['offsets.commit.required.acks', 'password.encoder.cipher.algorithm', 'password.encoder.iterations', 'password.encoder.key.length'],
  ...['password.encoder.keyfactory.algorithm', 'password.encoder.old.secret', 'password.encoder.secret', 'metrics.reporters', 'auto.include.jmx.reporter'],
  ...['leader.imbalance.per.broker.percentage', 'delegation.token.master.key', 'group.coordinator.new.enable', 'group.share.enable', 'log.cleaner.hash.algorithm'],
]);

const FOREIGN_PREFIXES = ['zookeeper.', 'confluent.', 'config.providers.', 'rlmm.config.', 'rsm.config.', 'metrics.jmx.'];

/** Taken without effect, as Kafka takes what it does not know. */
export function isIgnored(name: string): boolean {
  return RETIRED.has(name) || FOREIGN_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** The setting that `listener.name.LISTENER.[MECHANISM.]SETTING` overrides for one listener. */
export function listenerOverride(name: string): { listener: string; setting: string } | undefined {
  const match = /^listener\.name\.([^.]+)\.(.+)$/.exec(name);
  if (match === null) return undefined;
  const [, listener, rest] = match as unknown as [string, string, string];
  if (brokerSettingsByName.has(rest)) return { listener, setting: rest };
  const inner = rest.slice(rest.indexOf('.') + 1);
  return brokerSettingsByName.has(inner) ? { listener, setting: inner } : undefined;
}
