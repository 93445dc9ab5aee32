/**
 * The gauges of a node, read off its rooms when somebody looks: replicas, logs, groups, the quorum, the controller, the process. Named as the JMX exporter's
 * example rules name Kafka's MBeans; what Kafka has no MBean of is named as the exporters do that people run beside it (kafka_exporter's group lag).
 *
 * Promises: nothing here is computed before it is asked for; a node that is still starting tells what it has. Changes nothing.
 */
import type { GroupCoordinator } from '../coordinator/group-coordinator.ts';
import type { OpenedDirectories } from '../data-directories.ts';
import { labelText } from '../metrics/metrics.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { MetadataChanges } from '../quorum/changes.ts';
import type { MetadataImage } from '../quorum/image.ts';
import type { PeerChannel } from '../peer/peer.ts';
import type { Quorum } from '../quorum/quorum.ts';
import type { FetchSessions } from '../replica/fetch-sessions.ts';
import type { Partition } from '../replica/partition.ts';
import type { Replicas } from '../replica/replicas.ts';
import type { Clock } from '../runtime/runtime.ts';
import type { Server } from '../server/server.ts';
import { RaftRates } from './raft-rates.ts';
import { RemoteEnds } from './remote-ends.ts';

export interface NodeView {
  readonly nodeId: number;
  readonly clock: Clock;
  /** For each kind of listener. */
  readonly servers: readonly Server[];
  readonly directories: OpenedDirectories;
  image(): MetadataImage;
  /** null while it is being opened. */
  quorum(): Quorum | null;
  /** null on a node that is no broker. */
  readonly broker: { readonly replicas: Replicas; readonly fetchSessions: FetchSessions; readonly groups: GroupCoordinator } | null;
  /** Another broker; null while it is not known. */
  peerOf(nodeId: number): PeerChannel | null;
  /** Numbers of Kafka's BrokerState. */
  brokerState(): number;
}

/** What is to be told to: some things only happen between two looks. */
export interface NodeCounts {
  /** Of every change of the metadata. */
  readonly changed: (changes: MetadataChanges) => void;
  /** After every step of the quorum. */
  readonly stepped: (quorum: Quorum) => void;
}

export function registerNodeMetrics(metrics: Metrics, view: NodeView): NodeCounts {
  const rates = new RaftRates();
  quorumMetrics(metrics, view, rates);
  serverMetrics(metrics, view);
  if (view.broker !== null) brokerMetrics(metrics, view, view.broker);
  return { changed: countsElections(metrics, view), stepped: (quorum) => rates.step(quorum.raft(), view.clock.monotonicMs()) };
}

/** Each partition is told in many families, and its labels are always the same. */
function partitionLabels(): (partition: Partition) => string {
  const made = new WeakMap<Partition, string>();
  return (partition) => {
    let text = made.get(partition);
    if (text === undefined) made.set(partition, (text = labelText({ topic: partition.topic, partition: String(partition.partition) })));
    return text;
  };
}

function brokerMetrics(metrics: Metrics, view: NodeView, broker: NonNullable<NodeView['broker']>): void {
  const labelsOf = partitionLabels();
  replicaMetrics(metrics, view, broker.replicas, labelsOf);
  logMetrics(metrics, broker.replicas, labelsOf);
  groupMetrics(metrics, broker.groups, broker.replicas, new RemoteEnds(view));
  metrics.gauge('kafka_server_fetchsessioncache_numincrementalfetchsessions', 'Fetch sessions that are remembered.', () => broker.fetchSessions.count);
  metrics.gauge('kafka_server_kafkaserver_brokerstate', '1 starting, 3 running, 6 leaving.', () => view.brokerState());
}

function serverMetrics(metrics: Metrics, { servers, directories }: NodeView): void {
  const sum = (of: (server: Server) => number): number => servers.reduce((total, server) => total + of(server), 0);
  metrics.collect('kafka_server_socket_server_metrics_connection_count', 'gauge', 'Open connections.', (tell) => {
    for (const server of servers) for (const [listener, count] of server.connectionsByListener()) tell({ listener }, count);
  });
  metrics.collect('kafka_server_socket_server_metrics_connections_refused_total', 'counter', 'Connections that were closed at once because a limit was reached.', (tell) => tell({}, sum((server) => server.refused)));
  metrics.gauge('kafka_network_socketserver_memorypoolused', 'Bytes of requests that are arriving or being served.', () => sum((server) => server.budget.bytes));
  metrics.gauge('kafka_network_socketserver_memorypoolavailable', 'Bytes that more requests may have.', () => sum(({ budget }) => Math.max(0, budget.bytesMax - budget.bytes)));
  metrics.gauge('kafka_log_logmanager_offlinelogdirectorycount', 'Log directories that have failed.', () => directories.all.filter(({ logs }) => logs.offline !== undefined).length);
}

function replicaMetrics(metrics: Metrics, { image, nodeId }: NodeView, replicas: Replicas, labelsOf: (partition: Partition) => string): void {
  const gauge = (name: string, help: string, counts: (partition: Partition) => boolean): void =>
    metrics.gauge(`kafka_server_replicamanager_${name}`, help, () => {
      let count = 0;
      for (const partition of replicas.partitions()) if (counts(partition)) count++;
      return count;
    });
  // A replica that is being added does not count as missing.
  const wanted = ({ topic, partition }: Partition): number => {
    const state = image().partition(topic, partition);
    return state === undefined ? 0 : state.replicas.length - state.addingReplicas.length;
  };
  const isUnderReplicated = (partition: Partition): boolean => partition.isLeader && partition.inSyncReplicas.length < wanted(partition);
  const isAtMinIsr = (partition: Partition): boolean => partition.isLeader && partition.inSyncReplicas.length === Math.min(partition.settings.minInsyncReplicas, partition.state.replicas.length);
  const isUnderMinIsr = (partition: Partition): boolean => partition.isLeader && partition.isUnderMinIsr;
  gauge('partitioncount', 'Replicas on this broker.', () => true);
  gauge('leadercount', 'Partitions that this broker leads.', ({ isLeader }) => isLeader);
  gauge('underreplicatedpartitions', 'Partitions led here that have fewer replicas in sync than they should.', isUnderReplicated);
  gauge('underminisrpartitioncount', 'Partitions led here that take no acks=all: too few replicas are in sync.', isUnderMinIsr);
  gauge('atminisrpartitioncount', 'Partitions led here that take no acks=all if one more replica falls out of sync.', isAtMinIsr);
  gauge('reassigningpartitions', 'Partitions led here that are being moved.', ({ topic, partition, isLeader }) => {
    const state = isLeader ? image().partition(topic, partition) : undefined;
    return state !== undefined && state.addingReplicas.length + state.removingReplicas.length > 0;
  });
  metrics.gauge('kafka_server_replicamanager_offlinereplicacount', 'Replicas that this broker should have and cannot open.', () => replicas.offlineCount);
  const each = (name: string, help: string, value: (partition: Partition) => number): void =>
    metrics.collect(`kafka_cluster_partition_${name}`, 'gauge', help, (tell) => {
      for (const partition of replicas.partitions()) tell(labelsOf(partition), value(partition));
    });
  each('insyncreplicascount', 'Replicas in sync; 0 where another broker leads.', (partition) => (partition.isLeader ? partition.inSyncReplicas.length : 0));
  each('replicascount', 'Replicas; 0 where another broker leads.', (partition) => (partition.isLeader ? partition.state.replicas.length : 0));
  each('underreplicated', '1 where replicas are missing.', (partition) => Number(isUnderReplicated(partition)));
  each('underminisr', '1 where acks=all is refused.', (partition) => Number(isUnderMinIsr(partition)));
  each('atminisr', '1 where no more replica may fall out of sync.', (partition) => Number(isAtMinIsr(partition)));
  const waiting = (operation: string, count: () => number): void => {
    // Kafka's purgatory keeps what is done for a while; here both numbers are of what waits.
    for (const name of ['numdelayedoperations', 'purgatorysize']) metrics.gauge(`kafka_server_delayedoperationpurgatory_${name}`, 'Requests that wait for others, by kind.', count, { delayedOperation: operation });
  };
  waiting('Produce', () => {
    let count = 0;
    for (const { producersWaiting } of replicas.partitions()) count += producersWaiting;
    return count;
  });
  waiting('Fetch', () => {
    const fetches = new Set<unknown>();
    for (const { fetchesWaiting } of replicas.partitions()) for (const fetch of fetchesWaiting) fetches.add(fetch);
    return fetches.size;
  });
  const lags = (): { labels: Record<string, string>; lag: number }[] =>
    [...replicas.fetcherLags()].map(({ partition, leaderId, lag }) => ({ labels: { clientId: `ReplicaFetcherThread-0-${leaderId}`, topic: partition.topic, partition: String(partition.partition) }, lag }));
  metrics.collect('kafka_server_fetcherlagmetrics_consumerlag', 'gauge', 'Records that this follower has not copied yet.', (tell) => {
    for (const { labels, lag } of lags()) tell(labels, lag);
  });
  metrics.gauge('kafka_server_replicafetchermanager_maxlag', 'The most records that a follower here has not copied yet.', () => lags().reduce((most, { lag }) => Math.max(most, lag), 0), { clientId: 'Replica' });
  metrics.collect('kafka_server_replicamanager_followerlag', 'gauge', 'Records that followers have not copied yet, as this leader sees it.', (tell) => {
    for (const partition of replicas.partitions()) {
      if (!partition.isLeader) continue;
      for (const { id, logEndOffset } of partition.followers) {
        if (id !== nodeId) tell({ topic: partition.topic, partition: String(partition.partition), replica: String(id) }, Math.max(0, partition.log.logEndOffset - Math.max(0, logEndOffset)));
      }
    }
  });
}

function logMetrics(metrics: Metrics, replicas: Replicas, labelsOf: (partition: Partition) => string): void {
  const each = (name: string, help: string, value: (partition: Partition) => number): void =>
    metrics.collect(`kafka_log_log_${name}`, 'gauge', help, (tell) => {
      for (const partition of replicas.partitions()) tell(labelsOf(partition), value(partition));
    });
  each('size', 'Bytes of the log.', ({ log }) => log.sizeBytes);
  each('logstartoffset', 'Offset of the first record.', ({ log }) => log.logStartOffset);
  each('logendoffset', 'Offset of the next record.', ({ log }) => log.logEndOffset);
  each('numlogsegments', 'Segments of the log.', ({ log }) => log.segments.count);
}

const GROUP_STATES = ['PreparingRebalance', 'CompletingRebalance', 'Stable', 'Dead', 'Empty'] as const;

function groupMetrics(metrics: Metrics, groups: GroupCoordinator, replicas: Replicas, remote: RemoteEnds): void {
  const name = (suffix: string): string => `kafka_coordinator_group_groupmetadatamanager_num${suffix}`;
  metrics.gauge(name('groups'), 'Groups that this broker coordinates.', () => [...groups.groupStates().values()].reduce((sum, count) => sum + count, 0));
  for (const state of GROUP_STATES) metrics.gauge(name(`groups${state.toLowerCase()}`), `Groups in the state ${state}.`, () => groups.groupStates().get(state) ?? 0);
  metrics.gauge(name('offsets'), 'Committed offsets.', () => {
    let count = 0;
    for (const _ of groups.committedOffsets()) count++;
    return count;
  });
  metrics.collect('kafka_server_group_coordinator_metrics_num_partitions', 'gauge', 'Partitions of __consumer_offsets that this broker leads, by state.', (tell) => {
    const counts = new Map([['loading', 0], ['active', 0], ['failed', 0]]);
    for (const state of groups.shardStates().values()) counts.set(state, (counts.get(state) ?? 0) + 1);
    for (const [state, count] of counts) tell({ state }, count);
  });
  metrics.collect('kafka_consumergroup_current_offset', 'gauge', 'The committed offset of a group, told by its coordinator.', (tell) => {
    for (const { groupId, topic, partition, offset } of groups.committedOffsets()) tell({ consumergroup: groupId, topic, partition: String(partition) }, Number(offset));
  });
  metrics.collect('kafka_consumergroup_lag', 'gauge', 'Records that a group has not committed yet, told by its coordinator; of partitions without a replica there, as of the look before.', (tell) => {
    for (const { groupId, topic, partition, offset } of groups.committedOffsets()) {
      const replica = replicas.find(topic, partition);
      const end = typeof replica === 'number' ? remote.want(topic, partition) : replica.log.highWatermark;
      if (end !== undefined) tell({ consumergroup: groupId, topic, partition: String(partition) }, Math.max(0, end - Number(offset)));
    }
    void remote.refresh();
  });
}

interface GlobalCounts {
  readonly partitions: number;
  readonly offline: number;
  readonly notPreferred: number;
}

/** Counted once for an image, however many gauges ask. */
function globalCounts(): (image: MetadataImage) => GlobalCounts {
  let of: MetadataImage | null = null;
  let counts: GlobalCounts = { partitions: 0, offline: 0, notPreferred: 0 };
  return (image) => {
    if (of === image) return counts;
    let [partitions, offline, notPreferred] = [0, 0, 0];
    for (const topic of image.topicsById.values()) {
      for (const { leader, replicas } of topic.partitions) {
        partitions++;
        if (leader < 0) offline++;
        else if (leader !== replicas[0]) notPreferred++;
      }
    }
    of = image;
    return (counts = { partitions, offline, notPreferred });
  };
}

/** The exporter's own example rules and those of Strimzi differ in one underscore; dashboards exist for both. */
const RAFT_PREFIXES = ['kafka_server_raft_metrics', 'kafka_server_raftmetrics'] as const;
const RAFT_ROLES = ['leader', 'follower', 'observer', 'candidate', 'prospective', 'voted', 'unattached', 'resigned'] as const;

function quorumMetrics(metrics: Metrics, { image, quorum, clock }: NodeView, rates: RaftRates): void {
  const counts = globalCounts();
  const controller = (name: string, help: string, value: (opened: Quorum) => number): void =>
    metrics.gauge(`kafka_controller_kafkacontroller_${name}`, help, () => {
      const opened = quorum();
      // Kafka tells these on controllers only, and dashboards add them up over nodes.
      return opened === null || opened.controller === null ? NaN : value(opened);
    });
  controller('activecontrollercount', '1 on the active controller: the sum over a cluster is 1.', (opened) => Number(opened.controller?.isActive === true));
  controller('globaltopiccount', 'Topics of the cluster.', () => image().topicsById.size);
  controller('globalpartitioncount', 'Partitions of the cluster.', () => counts(image()).partitions);
  controller('offlinepartitionscount', 'Partitions of the cluster without a leader.', () => counts(image()).offline);
  controller('preferredreplicaimbalancecount', 'Partitions of the cluster that another replica leads than the first.', () => counts(image()).notPreferred);
  controller('activebrokercount', 'Brokers in service.', () => image().aliveBrokers().length);
  controller('fencedbrokercount', 'Brokers that are registered and not in service.', () => [...image().brokers.values()].filter(({ fenced }) => fenced).length);
  controller('lastappliedrecordoffset', 'The last record of the metadata that this controller has applied.', () => image().offset);
  controller('lastcommittedrecordoffset', 'The last record of the metadata that is committed.', (opened) => opened.highWatermark() - 1);
  controller('lastappliedrecordlagms', 'Age of the last record of the metadata that was applied, where this is not the active controller.', (opened) => (opened.controller?.isActive === true ? 0 : Math.max(0, clock.wallMs() - image().timestampMs)));

  metrics.gauge('kafka_server_metadataloader_currentmetadataversion', 'The metadata.version of the cluster.', () => image().metadataVersion ?? NaN);
  metrics.gauge('kafka_server_metadataloader_currentcontrollerid', 'The active controller; -1 where none is known.', () => quorum()?.leader().leaderId ?? -1);
  for (const prefix of ['kafka_server_broker_metadata_metrics', 'kafka_server_brokermetadatametrics']) {
    metrics.gauge(`${prefix}_last_applied_record_offset`, 'The last record of the metadata that this node has applied.', () => image().offset);
    metrics.gauge(`${prefix}_last_applied_record_timestamp`, 'When it was written, ms since 1970.', () => image().timestampMs);
    // A quorum of several that has nothing else to write writes something each half second, so this tells a node that hears nothing any more. Nobody knows more than the active controller.
    metrics.gauge(`${prefix}_last_applied_record_lag_ms`, 'Its age; 0 on the active controller.', () => {
      if (quorum()?.controller?.isActive === true) return 0;
      return image().offset < 0 ? NaN : Math.max(0, clock.wallMs() - image().timestampMs);
    });
  }
  raftMetrics(metrics, quorum);
  for (const prefix of RAFT_PREFIXES) rates.register(metrics, prefix, () => clock.monotonicMs());
}

function countsElections(metrics: Metrics, { quorum }: NodeView): NodeCounts['changed'] {
  const elections = {
    unclean: metrics.counter('kafka_controller_controllerstats_uncleanleaderelections_total', 'Leaders that were not in sync, and may have lost records.'),
    eligible: metrics.counter('kafka_controller_controllerstats_electionfromeligibleleaderreplicas_total', 'Leaders out of the eligible replicas of KIP-966.'),
  };
  return ({ partitions }) => {
    if (quorum()?.controller?.isActive !== true) return;
    for (const { before, after } of partitions) {
      if (before === undefined || after.leader < 0 || after.leader === before.leader || before.isr.includes(after.leader)) continue;
      (before.elr.includes(after.leader) ? elections.eligible : elections.unclean).value++;
    }
  };
}

function raftMetrics(metrics: Metrics, quorum: () => Quorum | null): void {
  for (const prefix of RAFT_PREFIXES) {
    const raft = (name: string, help: string, value: (facts: ReturnType<Quorum['raft']>) => number): void => metrics.gauge(`${prefix}_${name}`, help, () => {
      const opened = quorum();
      return opened === null ? NaN : value(opened.raft());
    });
    raft('current_leader', 'The leader of the metadata quorum; -1 where none is known.', ({ leaderId }) => leaderId);
    raft('current_epoch', 'Its epoch.', ({ epoch }) => epoch);
    raft('current_vote', 'Whom this node has voted for in the epoch; -1 for nobody.', ({ votedId }) => votedId);
    raft('high_watermark', 'End of what is committed of the metadata log.', ({ highWatermark }) => highWatermark);
    raft('log_end_offset', 'End of the metadata log of this node.', ({ logEndOffset }) => logEndOffset);
    raft('log_end_epoch', 'Epoch of its last batch.', ({ logEndEpoch }) => logEndEpoch);
    raft('number_of_voters', 'Voters of the quorum.', ({ voters }) => voters);
    const [name, label] = prefix.endsWith('raft_metrics') ? ['current_state_info', 'state'] : ['current_state', 'current_state'];
    metrics.collect(`${prefix}_${name}`, 'gauge', 'Where this node stands in the quorum: 1 for what it is.', (tell) => {
      const role = quorum()?.raft().role;
      for (const one of RAFT_ROLES) if (one === role) tell({ [label]: one }, 1);
    });
  }
}
