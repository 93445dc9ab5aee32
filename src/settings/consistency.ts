/** Rules over several settings at once (Kafka's KafkaConfig.validateValues and GroupCoordinatorConfig). Does not look at single values. */
import type { BrokerSettingName } from './broker-settings.ts';
import { LEADER_SELECTOR, RACK_AWARE_SELECTOR } from './replica.ts';
import type { Settings } from '../settings.ts';

/** Each must not be greater than the next. */
const ORDERED: readonly (readonly BrokerSettingName[])[] = [
  ['group.consumer.min.heartbeat.interval.ms', 'group.consumer.heartbeat.interval.ms', 'group.consumer.max.heartbeat.interval.ms'],
  ['group.consumer.min.session.timeout.ms', 'group.consumer.session.timeout.ms', 'group.consumer.max.session.timeout.ms'],
  ['group.consumer.min.assignment.interval.ms', 'group.consumer.assignment.interval.ms', 'group.consumer.max.assignment.interval.ms'],
  ['group.share.min.heartbeat.interval.ms', 'group.share.heartbeat.interval.ms', 'group.share.max.heartbeat.interval.ms'],
  ['group.share.min.session.timeout.ms', 'group.share.session.timeout.ms', 'group.share.max.session.timeout.ms'],
  ['group.share.min.assignment.interval.ms', 'group.share.assignment.interval.ms', 'group.share.max.assignment.interval.ms'],
  ['group.share.min.record.lock.duration.ms', 'group.share.record.lock.duration.ms', 'group.share.max.record.lock.duration.ms'],
  ['group.share.min.delivery.count.limit', 'group.share.delivery.count.limit', 'group.share.max.delivery.count.limit'],
  ['group.share.min.partition.max.record.locks', 'group.share.partition.max.record.locks', 'group.share.max.partition.max.record.locks'],
  ['group.streams.min.heartbeat.interval.ms', 'group.streams.heartbeat.interval.ms', 'group.streams.max.heartbeat.interval.ms'],
  ['group.streams.min.session.timeout.ms', 'group.streams.session.timeout.ms', 'group.streams.max.session.timeout.ms'],
  ['group.streams.min.assignment.interval.ms', 'group.streams.assignment.interval.ms', 'group.streams.max.assignment.interval.ms'],
  ['replica.fetch.wait.max.ms', 'replica.socket.timeout.ms'],
  ['replica.fetch.wait.max.ms', 'replica.lag.time.max.ms'],
];

/** What contradicts what, in one line, or null. */
export function checkTogether(settings: Settings): string | null {
  const retentionMs = settings.topic.resolve().get('retention.ms');
  if (retentionMs === 0) return 'log.retention.ms must be unlimited (-1) or, greater than or equal to 1';
  const [queued, frame] = [settings.get('queued.max.request.bytes'), settings.get('socket.request.max.bytes')];
  if (queued > 0 && queued < frame) {
    return `queued.max.request.bytes = ${queued} must be larger or equal to socket.request.max.bytes = ${frame}`;
  }
  if (settings.get('max.connections.per.ip') === 0 && settings.get('max.connections.per.ip.overrides') === '') {
    return 'max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set';
  }
  const codec = settings.get('offsets.topic.compression.codec');
  if (codec < 0 || codec > 4) return `offsets.topic.compression.codec = ${codec}: Unknown compression type id: ${codec}`;
  if (!settings.get('group.coordinator.rebalance.protocols').includes('classic')) {
    return "group.coordinator.rebalance.protocols: Disabling the 'classic' protocol is not supported.";
  }
  const selector = settings.get('replica.selector.class');
  if (selector !== null && selector !== RACK_AWARE_SELECTOR && selector !== LEADER_SELECTOR) {
    return `replica.selector.class = ${selector}: it must be ${RACK_AWARE_SELECTOR} or ${LEADER_SELECTOR}; classes of one's own cannot be loaded`;
  }
  for (const names of ORDERED) {
    for (let at = 1; at < names.length; at++) {
      const [low, high] = [names[at - 1]!, names[at]!];
      const [lowValue, highValue] = [settings.get(low) as number, settings.get(high) as number];
      if (lowValue > highValue) return `${low} = ${lowValue} must not be greater than ${high} = ${highValue}`;
    }
  }
  // There are no ACLs yet: an authorizer that would refuse somebody must not be replaced by none.
  const letsAllIn = settings.get('allow.everyone.if.no.acl.found') || settings.get('super.users').split(';').includes('User:ANONYMOUS');
  if (settings.get('authorizer.class.name') !== '' && !letsAllIn) {
    return `authorizer.class.name = ${settings.get('authorizer.class.name')}: ACLs are not served yet, and everybody would be let in; if that is meant, set allow.everyone.if.no.acl.found=true`;
  }
  const overrides = settings.get('max.connections.per.ip.overrides');
  const wrong = overrides.split(',').map((one) => one.trim()).find((one) => one !== '' && !/^.+:[0-9]+$/.test(one));
  return wrong === undefined ? null : `max.connections.per.ip.overrides: '${wrong}' should be ADDRESS:COUNT`;
}
