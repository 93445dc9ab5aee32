/**
 * Whether the settings of a topic, a group or a client metrics subscription may stand together, as Kafka's ControllerConfigurationValidator asks.
 *
 * Promises: throws a KafkaError in Kafka's words. Settings of brokers are not checked here: see `src/api/config-changes.ts`.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Settings } from '../settings.ts';
import { groupConfigSettings, type GroupSettingName } from '../settings/group-settings.ts';
import { brokerSettingsByName, type BrokerSettingName } from '../settings/broker-settings.ts';
import { ResourceType } from './image.ts';

type Configs = ReadonlyMap<string, string>;

export function checkResourceConfigs(settings: Settings, resourceType: number, name: string, configs: Configs): void {
  switch (resourceType) {
    case ResourceType.TOPIC:
      return refuse(settings.topic.validate(configs));
    case ResourceType.GROUP:
      if (name === '') throw new KafkaError(ErrorCode.INVALID_REQUEST, 'Default group resources are not allowed.');
      refuse(settings.group.validate(configs));
      return checkGroup(settings, configs);
    case ResourceType.CLIENT_METRICS:
      if (name === '') throw new KafkaError(ErrorCode.INVALID_REQUEST, "Subscription name can't be empty");
      return checkClientMetrics(configs);
  }
}

function refuse(fault: string | null): void {
  if (fault !== null) throw new KafkaError(ErrorCode.INVALID_CONFIG, fault);
}

/** What the brokers bound; an assignment interval is looked at only where the group has one of its own. */
function checkGroup(settings: Settings, configs: Configs): void {
  const value = (name: GroupSettingName): number => settings.group.value(name, configs) as number;
  for (const name of Object.keys(groupConfigSettings) as GroupSettingName[]) {
    if (name.endsWith('.assignment.interval.ms') && !configs.has(name)) continue;
    const min = boundOf(name, 'min');
    const max = boundOf(name, 'max');
    if (min !== undefined && value(name) < (settings.get(min) as number)) refuse(`${name} must be greater than or equal to ${min}`);
    if (max !== undefined && value(name) > (settings.get(max) as number)) refuse(`${name} must be less than or equal to ${max}`);
  }
  for (const kind of ['consumer', 'share', 'streams'] as const) {
    const [session, heartbeat] = [`${kind}.session.timeout.ms`, `${kind}.heartbeat.interval.ms`] as const;
    if (value(session) <= value(heartbeat)) refuse(`${session} must be greater than ${heartbeat}`);
  }
}

/** `consumer.session.timeout.ms` is bounded by `group.consumer.min.session.timeout.ms`; one name does not follow the pattern. */
function boundOf(name: GroupSettingName, which: 'min' | 'max'): BrokerSettingName | undefined {
  const dot = name.indexOf('.');
  const rest = name === 'streams.num.standby.replicas' ? 'standby.replicas' : name.slice(dot + 1);
  const bound = `group.${name.slice(0, dot)}.${which}.${rest}`;
  return brokerSettingsByName.has(bound) ? (bound as BrokerSettingName) : undefined;
}

const CLIENT_METRICS_NAMES = new Set(['interval.ms', 'match', 'metrics']);
const CLIENT_MATCHES = new Set(['client_instance_id', 'client_id', 'client_software_name', 'client_software_version', 'client_source_address', 'client_source_port']);
const INTERVAL_MS_MIN = 100;
const INTERVAL_MS_MAX = 3_600_000;

function checkClientMetrics(configs: Configs): void {
  for (const name of configs.keys()) {
    if (!CLIENT_METRICS_NAMES.has(name)) throw new KafkaError(ErrorCode.INVALID_REQUEST, `Unknown client metrics configuration: ${name}`);
  }
  const interval = configs.get('interval.ms')?.trim();
  if (interval !== undefined) {
    if (!/^[+-]?\d{1,10}$/.test(interval)) refuse(`Invalid value ${interval} for configuration interval.ms: Not a number of type INT`);
    const intervalMs = Number(interval);
    if (intervalMs < INTERVAL_MS_MIN || intervalMs > INTERVAL_MS_MAX) {
      throw new KafkaError(ErrorCode.INVALID_REQUEST, `Invalid value ${intervalMs} for interval.ms, interval must be between 100 and 3600000 (1 hour)`);
    }
  }
  const match = configs.get('match')?.trim() ?? '';
  for (const pattern of match === '' ? [] : match.split(/\s*,\s*/)) {
    const parts = pattern.split('=');
    if (parts.length !== 2 || !CLIENT_MATCHES.has(parts[0]!.trim())) refuse(`Illegal client matching pattern: ${pattern}`);
  }
}
