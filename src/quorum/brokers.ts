/**
 * Brokers as the controller sees them: registration, heartbeats, fences, shutdowns, and what each does to the partitions that they hold.
 *
 * Promises: pure; from the image and a request to the records that make it so and the answer; codes and texts are those of Kafka's
 * ClusterControlManager. A broker is given an epoch, the offset of its registration, so that what an earlier life of it said can be told apart.
 * Does not keep sessions: who was heard from when is for the caller to know.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Value } from '../../protocol/schema.ts';
import type { BrokerHeartbeatRequest, BrokerRegistrationRequest } from '../../protocol/messages/cluster.ts';
import { METADATA_VERSION, metadataVersionRules, type MetadataVersionRules } from './features.ts';
import {
  type BrokerImage, LOST_DIRECTORY, type MetadataImage, MIGRATING_DIRECTORY, NO_LEADER, type PartitionImage, type TopicImage, UNASSIGNED_DIRECTORY,
} from './image.ts';
import { partitionChange, type PartitionTarget } from './partition-change.ts';
import { newRecord, type NewRecord } from './records.ts';
import { defaultDirectory } from './topic-creation.ts';

export type Registration = Value<typeof BrokerRegistrationRequest>;
export type Heartbeat = Value<typeof BrokerHeartbeatRequest>;

/** The settings of topics that elections depend on. */
export interface ElectionSettings {
  minInsyncReplicas(topic: string, image: MetadataImage): number;
  uncleanLeaderElection(topic: string, image: MetadataImage): boolean;
}

export interface BrokersContext {
  readonly image: MetadataImage;
  readonly clusterId: string;
  readonly settings: ElectionSettings;
}

const FENCE = 1;
const UNFENCE = -1;
const IN_CONTROLLED_SHUTDOWN = 1;
const NO_BROKER = -1;
const RESERVED_DIRECTORIES = new Set([UNASSIGNED_DIRECTORY, LOST_DIRECTORY, MIGRATING_DIRECTORY]);

/** A new registration gets as its epoch `nextOffset`, that of the first of its records; the registration itself comes last, after what it cleans up. */
export function registerBroker(
  request: Registration,
  { hasSession, nextOffset }: { readonly hasSession: boolean; readonly nextOffset: number },
  context: BrokersContext,
): { records: NewRecord[]; epoch: number } {
  const { image, clusterId } = context;
  const rules = metadataVersionRules(image.metadataVersion ?? 0);
  if (request.clusterId !== clusterId) {
    throw new KafkaError(ErrorCode.INCONSISTENT_CLUSTER_ID, `Expected cluster ID ${clusterId}, but got cluster ID ${request.clusterId}`);
  }
  const existing = image.brokers.get(request.brokerId);
  const isNewIncarnation = existing?.incarnationId !== request.incarnationId;
  if (existing !== undefined && hasSession && isNewIncarnation) {
    throw new KafkaError(
      ErrorCode.DUPLICATE_BROKER_REGISTRATION,
      'Another broker is registered with that broker id. If the broker was recently restarted this should self-resolve once the heartbeat manager expires the broker\'s session.',
    );
  }
  if (request.isMigratingZkBroker) {
    throw new KafkaError(ErrorCode.BROKER_ID_NOT_REGISTERED, 'Controller does not support registering ZK brokers.');
  }
  if (rules.supportsDirectories) checkDirectories(request, image);
  checkFeatures(request, image);
  const records: NewRecord[] = [];
  if (isNewIncarnation) {
    // A broker that has stopped cleanly remembers its last epoch; one that has not says -1, as do those before 3.8.
    const isClean = existing?.epoch === request.previousBrokerEpoch;
    records.push(...afterShutdown(request.brokerId, isClean, context));
  }
  const epoch = isNewIncarnation ? nextOffset : existing.epoch;
  records.push(
    newRecord(
      'RegisterBrokerRecord',
      {
        brokerId: request.brokerId,
        isMigratingZkBroker: false,
        incarnationId: request.incarnationId,
        brokerEpoch: epoch,
        endPoints: request.listeners,
        features: request.features,
        rack: request.rack,
        fenced: isNewIncarnation ? true : existing.fenced,
        inControlledShutdown: isNewIncarnation ? false : existing.inControlledShutdown,
        ...(rules.supportsDirectories && { logDirs: request.logDirs }),
      },
      rules.registerBrokerRecordVersion,
    ),
  );
  return { records, epoch };
}

function checkDirectories({ logDirs, brokerId }: Registration, image: MetadataImage): void {
  const refuse = (text: string): never => {
    throw new KafkaError(ErrorCode.INVALID_REGISTRATION, text);
  };
  if (logDirs.length === 0) refuse('No directories specified in request');
  if (logDirs.some((directory) => RESERVED_DIRECTORIES.has(directory))) refuse('Reserved directory ID in request');
  if (new Set(logDirs).size !== logDirs.length) refuse('Duplicate directory ID in request');
  for (const other of image.brokers.values()) {
    const shared = other.id === brokerId ? undefined : logDirs.find((directory) => other.logDirs.includes(directory));
    if (shared !== undefined) refuse(`Broker ${other.id} is already registered with directory ${shared}`);
  }
}

/** Every level that the cluster has settled on must be within what the broker can do; a feature that it does not name it can do at level 0 only. */
function checkFeatures(request: Registration, image: MetadataImage): void {
  const ranges = new Map(request.features.map((feature) => [feature.name, feature]));
  if (!ranges.has(METADATA_VERSION)) {
    throw new KafkaError(ErrorCode.INVALID_REGISTRATION, `Request features do not contain '${METADATA_VERSION}'`);
  }
  for (const name of new Set([...ranges.keys(), ...image.features.keys()])) {
    const level = image.features.get(name) ?? 0;
    const { minSupportedVersion: min, maxSupportedVersion: max } = ranges.get(name) ?? { minSupportedVersion: 0, maxSupportedVersion: 0 };
    if (level >= min && level <= max) continue;
    throw new KafkaError(
      ErrorCode.UNSUPPORTED_VERSION,
      `Unable to register because the broker does not support finalized version ${level} of ${name}. The broker wants a version between ${min} and ${max}, inclusive.`,
    );
  }
}

/** What a new life of a broker means for the partitions of its last one. */
function afterShutdown(brokerId: number, isClean: boolean, context: BrokersContext): NewRecord[] {
  if (context.image.elrEnabled && !isClean) {
    return partitionChanges(context, {
      concerns: (partition) => partition.isr.includes(brokerId) || partition.elr.includes(brokerId),
      uncleanShutdown: brokerId,
    });
  }
  return partitionChanges(context, { concerns: (partition) => partition.isr.includes(brokerId), remove: brokerId });
}

export interface HeartbeatAnswer {
  readonly isCaughtUp: boolean;
  readonly isFenced: boolean;
  readonly inControlledShutdown: boolean;
  readonly shouldShutDown: boolean;
}

type BrokerState = 'fenced' | 'unfenced' | 'controlledShutdown' | 'shutdownNow';

/** `lowestActiveOffset` is the least metadata offset that any broker in service has reached. */
export function heartbeat(
  request: Heartbeat,
  { lowestActiveOffset, shutdownOffset }: { readonly lowestActiveOffset: number; readonly shutdownOffset: number },
  context: BrokersContext,
): { records: NewRecord[]; answer: HeartbeatAnswer } {
  const { image } = context;
  const broker = checkedBroker(request.brokerId, request.brokerEpoch, image);
  // The epoch of a broker is the offset at which its registration was written.
  const isCaughtUp = request.currentMetadataOffset >= broker.epoch;
  const current: BrokerState = broker.inControlledShutdown && !broker.fenced ? 'controlledShutdown' : broker.fenced ? 'fenced' : 'unfenced';
  const next = nextState(current);
  const records = current === next ? [] : transition(next);
  const rules = metadataVersionRules(image.metadataVersion ?? 0);
  if (rules.supportsDirectories) records.push(...directoriesOffline(broker, request.offlineLogDirs, context));
  if (request.cordonedLogDirs !== null && cordonChanged(broker, request.cordonedLogDirs) && rules.supportsCordonedLogDirs) {
    records.push(
      newRecord('BrokerRegistrationChangeRecord', { brokerId: broker.id, brokerEpoch: broker.epoch, cordonedLogDirs: request.cordonedLogDirs }, 3),
    );
  }
  return {
    records,
    answer: {
      isCaughtUp,
      isFenced: next === 'fenced',
      inControlledShutdown: next === 'controlledShutdown',
      shouldShutDown: next === 'shutdownNow',
    },
  };

  function nextState(state: BrokerState): BrokerState {
    switch (state) {
      case 'fenced':
        if (request.wantShutDown) return 'shutdownNow';
        return !request.wantFence && isCaughtUp ? 'unfenced' : 'fenced';
      case 'unfenced':
        if (request.wantFence) return request.wantShutDown ? 'shutdownNow' : 'fenced';
        if (!request.wantShutDown) return 'unfenced';
        return leadsAny(broker.id, image) ? 'controlledShutdown' : 'shutdownNow';
      case 'controlledShutdown':
        // Others must have learnt of the new leaders before this one stops answering.
        return leadsAny(broker.id, image) || shutdownOffset > lowestActiveOffset ? 'controlledShutdown' : 'shutdownNow';
      case 'shutdownNow':
        return state;
    }
  }

  function transition(state: BrokerState): NewRecord[] {
    switch (state) {
      case 'fenced':
      case 'shutdownNow':
        return fenceBroker(broker.id, context);
      case 'unfenced':
        return unfenceBroker(broker.id, context);
      case 'controlledShutdown':
        return beginControlledShutdown(broker.id, context);
    }
  }
}

export function checkedBroker(brokerId: number, brokerEpoch: number, image: MetadataImage): BrokerImage {
  const broker = image.brokers.get(brokerId);
  if (broker === undefined) throw new KafkaError(ErrorCode.STALE_BROKER_EPOCH, `No broker registration found for broker id ${brokerId}`);
  if (broker.epoch !== brokerEpoch) {
    throw new KafkaError(ErrorCode.STALE_BROKER_EPOCH, `Expected broker epoch ${broker.epoch}, but got broker epoch ${brokerEpoch}`);
  }
  return broker;
}

export function fenceBroker(brokerId: number, context: BrokersContext): NewRecord[] {
  const broker = context.image.brokers.get(brokerId)!;
  return [
    ...partitionChanges(context, { concerns: (partition) => partition.isr.includes(brokerId), remove: brokerId }),
    newRecord('BrokerRegistrationChangeRecord', { brokerId, brokerEpoch: broker.epoch, fenced: FENCE }),
  ];
}

export function unfenceBroker(brokerId: number, context: BrokersContext): NewRecord[] {
  const broker = context.image.brokers.get(brokerId)!;
  return [
    newRecord('BrokerRegistrationChangeRecord', { brokerId, brokerEpoch: broker.epoch, fenced: UNFENCE }),
    ...partitionChanges(context, { concerns: (partition) => partition.leader === NO_LEADER, add: brokerId }),
  ];
}

function beginControlledShutdown(brokerId: number, context: BrokersContext): NewRecord[] {
  const broker = context.image.brokers.get(brokerId)!;
  return [
    newRecord('BrokerRegistrationChangeRecord', { brokerId, brokerEpoch: broker.epoch, inControlledShutdown: IN_CONTROLLED_SHUTDOWN }, 1),
    ...partitionChanges(context, { concerns: (partition) => partition.isr.includes(brokerId), remove: brokerId }),
  ];
}

/** What lies in directories that a broker has lost is out of its hands. */
function directoriesOffline(broker: BrokerImage, offlineLogDirs: readonly string[], context: BrokersContext): NewRecord[] {
  const lost = broker.logDirs.filter((directory) => offlineLogDirs.includes(directory));
  if (lost.length === 0) return [];
  const isLost = ({ replicas, directories }: PartitionImage): boolean => lost.includes(directories[replicas.indexOf(broker.id)] ?? '');
  const logDirs = broker.logDirs.filter((directory) => !lost.includes(directory));
  return [
    ...partitionChanges(context, { concerns: isLost, remove: broker.id }),
    newRecord('BrokerRegistrationChangeRecord', { brokerId: broker.id, brokerEpoch: broker.epoch, logDirs }, 2),
  ];
}

export function unregisterBroker(brokerId: number, context: BrokersContext): NewRecord[] {
  const broker = context.image.brokers.get(brokerId);
  if (broker === undefined) throw new KafkaError(ErrorCode.BROKER_ID_NOT_REGISTERED, `Broker ID ${brokerId} is not currently registered`);
  return [
    ...partitionChanges(context, { concerns: (partition) => partition.isr.includes(brokerId) || partition.elr.includes(brokerId), remove: brokerId }),
    newRecord('UnregisterBrokerRecord', { brokerId, brokerEpoch: broker.epoch }),
  ];
}

function leadsAny(brokerId: number, image: MetadataImage): boolean {
  for (const topic of image.topics.values()) if (topic.partitions.some((partition) => partition.leader === brokerId)) return true;
  return false;
}

function cordonChanged(broker: BrokerImage, cordoned: readonly string[]): boolean {
  const present = broker.cordonedLogDirs;
  return present === null || present.length !== cordoned.length || cordoned.some((directory) => !present.includes(directory));
}

interface PartitionSweep {
  readonly concerns: (partition: PartitionImage) => boolean;
  /** This broker leaves in-sync sets and leaderships. */
  readonly remove?: number;
  /** This one counts as able to lead although the image still has it fenced. */
  readonly add?: number;
  /** This one may lack the end of its logs: neither in sync, nor eligible, nor leader. */
  readonly uncleanShutdown?: number;
}

/** The changes of all partitions concerned. Goes through all there are: brokers come and go rarely, and 10,000 take a few ms. */
function partitionChanges(context: BrokersContext, sweep: PartitionSweep): NewRecord[] {
  const { image, settings } = context;
  const { concerns, remove = NO_BROKER, add = NO_BROKER, uncleanShutdown = NO_BROKER } = sweep;
  const rules = metadataVersionRules(image.metadataVersion ?? 0);
  const records: NewRecord[] = [];
  for (const topic of image.topics.values()) {
    topic.partitions.forEach((partition, partitionId) => {
      if (!concerns(partition)) return;
      const target: PartitionTarget = {
        topicId: topic.id,
        partitionId,
        partition,
        isr: partition.isr.filter((broker) => broker !== remove && broker !== uncleanShutdown),
        ...(uncleanShutdown !== NO_BROKER && { uncleanShutdown: [uncleanShutdown] }),
        election: settings.uncleanLeaderElection(topic.name, image) ? 'unclean' : 'online',
        isAcceptableLeader: (broker) =>
          broker !== remove && broker !== uncleanShutdown && (broker === add || image.isActive(broker)) && hasReplica(image, broker, partition),
        minInsyncReplicas: Math.min(settings.minInsyncReplicas(topic.name, image), replicationFactorOf(topic)),
        elrEnabled: image.elrEnabled,
        rules,
        defaultDirectory: (broker) => defaultDirectory(image, broker),
      };
      pushChange(records, target, rules);
    });
  }
  return records;
}

function pushChange(records: NewRecord[], target: PartitionTarget, rules: MetadataVersionRules): void {
  const change = partitionChange(target);
  if (change !== null) records.push(newRecord('PartitionChangeRecord', change, rules.partitionChangeRecordVersion));
}

function replicationFactorOf(topic: TopicImage): number {
  return topic.partitions[0]!.replicas.length;
}

/** Whether the directory that holds the replica is online; one that nobody named yet may be. */
function hasReplica(image: MetadataImage, brokerId: number, partition: PartitionImage): boolean {
  const broker = image.brokers.get(brokerId);
  const directory = partition.directories[partition.replicas.indexOf(brokerId)];
  if (broker === undefined || directory === undefined) return false;
  if (directory === UNASSIGNED_DIRECTORY || directory === MIGRATING_DIRECTORY || broker.logDirs.length === 0) return directory !== LOST_DIRECTORY;
  return broker.logDirs.includes(directory);
}
