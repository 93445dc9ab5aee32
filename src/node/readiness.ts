/**
 * Whether clients can use a node, and if not, why not: what an orchestrator asks before it sends traffic or goes on with a rolling restart.
 *
 * Promises: empty is yes: a broker is registered and not fenced, has the metadata that it has heard of, and its coordinators have loaded what they lead; a controller knows a leader.
 * Asks nobody: it says what this node knows. Does not judge other nodes, but for internal topics without a leader that this one has replicas of.
 */
import { GROUP_METADATA_TOPIC } from '../quorum/topic-names.ts';
import type { NodeView } from './node-metrics.ts';

/** Records of the metadata that may be on their way. The active controller writes one each half second when nothing happens. */
const METADATA_LAG_MAX = 1000;

export interface ReadinessView extends Pick<NodeView, 'nodeId' | 'image' | 'quorum' | 'directories'> {
  readonly broker: Pick<NonNullable<NodeView['broker']>, 'groups'> | null;
  /** -1 before this broker is registered. */
  brokerEpoch(): number;
  isStopping(): boolean;
}

/** A sentence for each reason. */
export function whyUnready(view: ReadinessView): string[] {
  const quorum = view.quorum();
  if (view.isStopping()) return ['the node stops'];
  if (quorum === null) return ['the metadata log is being opened, or the quorum has no leader yet'];
  const reasons: string[] = [];
  if (quorum.leader().leaderId < 0) reasons.push('no leader of the metadata quorum is known');
  const { leaderHighWatermark } = quorum.raft();
  const image = view.image();
  const lag = leaderHighWatermark - 1 - image.offset;
  if (lag > METADATA_LAG_MAX) reasons.push(`the metadata are ${lag} records behind`);
  if (view.broker === null) return reasons;
  const registered = image.brokers.get(view.nodeId);
  if (registered === undefined || view.brokerEpoch() < 0 || registered.epoch !== view.brokerEpoch()) reasons.push('the broker is not registered yet');
  else if (registered.fenced) reasons.push('the broker is fenced: the controller does not hear it, or it has not caught up');
  else if (registered.inControlledShutdown) reasons.push('the broker is leaving');
  const { all } = view.directories;
  if (all.every(({ logs }) => logs.offline !== undefined)) reasons.push('all log directories are offline');
  return [...reasons, ...internalTopics(view, view.broker)];
}

function internalTopics({ image, nodeId }: ReadinessView, { groups }: NonNullable<ReadinessView['broker']>): string[] {
  const partitions = image().topic(GROUP_METADATA_TOPIC)?.partitions ?? [];
  const states = groups.shardStates();
  const led = partitions.flatMap(({ leader }, index) => (leader === nodeId ? [index] : []));
  const loading = led.filter((index) => states.get(index) !== 'active').length;
  const leaderless = partitions.filter(({ leader, replicas }) => leader < 0 && replicas.includes(nodeId)).length;
  return [
    ...(loading === 0 ? [] : [`${loading} of the ${led.length} partitions of ${GROUP_METADATA_TOPIC} that this node leads are not loaded yet`]),
    ...(leaderless === 0 ? [] : [`${leaderless} partitions of ${GROUP_METADATA_TOPIC} have no leader`]),
  ];
}
