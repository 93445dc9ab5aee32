/**
 * Brokers as the controller sees them: registration, heartbeats, fences, shutdowns, and what each does to the partitions that they hold.
 *
 * Promises: pure; from the image and a request to the records that make it so and the answer; codes and texts are those of Kafka's
 * ClusterControlManager. A broker is given an epoch, the offset of its registration, so that what an earlier life of it said can be told apart.
 * Does not keep sessions (`sessions.ts`): who was heard from when is told by the caller.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Value } from '../../protocol/schema.ts';
import type { BrokerHeartbeatRequest, BrokerRegistrationRequest, ControllerRegistrationRequest } from '../../protocol/messages/cluster.ts';
import { offlineDirectories } from './directories.ts';
import { KRAFT_VERSION, METADATA_VERSION } from './features.ts';
import { type BrokerImage, isReservedDirectory, type MetadataImage } from './image.ts';
import type { PartitionRef } from './partition-index.ts';
import { eligible, inSync, type PartitionsContext, rulesOf, sweepPartitions } from './partition-target.ts';
import { newRecord, type NewRecord } from './records.ts';

export type Registration = Value<typeof BrokerRegistrationRequest>;
export type Heartbeat = Value<typeof BrokerHeartbeatRequest>;
export type NewController = Value<typeof ControllerRegistrationRequest>;

export interface RegistrationContext extends PartitionsContext {
  readonly clusterId: string;
  /** The finalized kraft.version, which is not in the image. */
  readonly kraftVersion: number;
}

const FENCE = 1;
const UNFENCE = -1;
const IN_CONTROLLED_SHUTDOWN = 1;

/** A new registration gets as its epoch `nextOffset`, that of the first of its records; the registration itself comes last, after what it cleans up. */
export function registerBroker(
  request: Registration,
  { hasSession, nextOffset }: { readonly hasSession: boolean; readonly nextOffset: number },
  context: RegistrationContext,
): { records: NewRecord[]; epoch: number } {
  const { image, clusterId } = context;
  const rules = rulesOf(image);
  if (request.clusterId !== clusterId) {
    throw new KafkaError(ErrorCode.INCONSISTENT_CLUSTER_ID, `Expected cluster ID ${clusterId}, but got cluster ID ${request.clusterId}`);
  }
  const existing = image.brokers.get(request.brokerId);
  const isNewIncarnation = existing?.incarnationId !== request.incarnationId;
  // One that was about to leave has left, if not as it should: its next life need not wait for its session to end, as it must in Kafka.
  if (existing !== undefined && hasSession && isNewIncarnation && !existing.inControlledShutdown) {
    throw new KafkaError(
      ErrorCode.DUPLICATE_BROKER_REGISTRATION,
      'Another broker is registered with that broker id. If the broker was recently restarted this should self-resolve once the heartbeat manager expires the broker\'s session.',
    );
  }
  if (request.isMigratingZkBroker) {
    throw new KafkaError(ErrorCode.BROKER_ID_NOT_REGISTERED, 'Controller does not support registering ZK brokers.');
  }
  // Kafka takes any number here; -1 is nobody in records and answers.
  if (request.brokerId < 0) throw new KafkaError(ErrorCode.INVALID_REGISTRATION, `${request.brokerId} is no broker id`);
  if (rules.supportsDirectories) checkDirectories(request, image);
  checkFeatures(request, context);
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
  if (logDirs.some(isReservedDirectory)) refuse('Reserved directory ID in request');
  if (new Set(logDirs).size !== logDirs.length) refuse('Duplicate directory ID in request');
  for (const other of image.brokers.values()) {
    const shared = other.id === brokerId ? undefined : logDirs.find((directory) => other.logDirs.includes(directory));
    if (shared !== undefined) refuse(`Broker ${other.id} is already registered with directory ${shared}`);
  }
}

/** Every level that the cluster has settled on must be within what the broker can do; a feature that it does not name it can do at level 0 only. */
function checkFeatures(request: Registration, { image, kraftVersion }: RegistrationContext): void {
  const levels = new Map([...image.features, [KRAFT_VERSION, kraftVersion]]);
  const check = (name: string, min: number, max: number): void => {
    const level = levels.get(name) ?? 0;
    if (level >= min && level <= max) return;
    throw new KafkaError(
      ErrorCode.UNSUPPORTED_VERSION,
      `Unable to register because the broker does not support finalized version ${level} of ${name}. The broker wants a version between ${min} and ${max}, inclusive.`,
    );
  };
  for (const { name, minSupportedVersion, maxSupportedVersion } of request.features) check(name, minSupportedVersion, maxSupportedVersion);
  const named = new Set(request.features.map(({ name }) => name));
  if (!named.has(METADATA_VERSION)) {
    throw new KafkaError(ErrorCode.INVALID_REGISTRATION, `Request features do not contain '${METADATA_VERSION}'`);
  }
  for (const name of levels.keys()) if (!named.has(name)) check(name, 0, 0);
}

/** What a new life of a broker means for the partitions of its last one. */
function afterShutdown(brokerId: number, isClean: boolean, context: PartitionsContext): NewRecord[] {
  if (!context.image.elrEnabled || isClean) return sweepPartitions(inSync(brokerId, context), { remove: brokerId }, context);
  return [
    ...sweepPartitions(inSync(brokerId, context), { uncleanShutdown: brokerId }, context),
    ...sweepPartitions(eligible(brokerId, context), { uncleanShutdown: brokerId }, context),
  ];
}

export interface HeartbeatAnswer {
  readonly isCaughtUp: boolean;
  readonly isFenced: boolean;
  readonly inControlledShutdown: boolean;
  readonly shouldShutDown: boolean;
}

type BrokerState = 'fenced' | 'unfenced' | 'controlledShutdown' | 'shutdownNow';

/** What the controller knows of the broker besides the metadata. */
export interface BrokerStanding {
  /** Of the record of its registration: a broker that has read less does not know that it is registered. */
  readonly registrationOffset: number;
  /** The least metadata offset that any broker in service has reached. */
  readonly lowestActiveOffset: number;
  /** What others must have reached before it may go; -1 while it is not shutting down. */
  readonly shutdownOffset: number;
}

export function heartbeat(request: Heartbeat, standing: BrokerStanding, context: PartitionsContext): { records: NewRecord[]; answer: HeartbeatAnswer } {
  const { image } = context;
  const broker = checkedBroker(request.brokerId, request.brokerEpoch, image);
  const isCaughtUp = request.currentMetadataOffset >= standing.registrationOffset;
  const current: BrokerState = standing.shutdownOffset >= 0 ? 'controlledShutdown' : broker.fenced ? 'fenced' : 'unfenced';
  const next = nextState(current);
  const records = current === next ? [] : transition(next);
  const rules = rulesOf(image);
  if (rules.supportsDirectories) records.push(...offlineDirectories(broker, request.offlineLogDirs, context));
  if (request.cordonedLogDirs !== null && cordonChanged(broker, request.cordonedLogDirs) && rules.supportsCordonedLogDirs) {
    records.push(
      newRecord('BrokerRegistrationChangeRecord', { brokerId: broker.id, brokerEpoch: broker.epoch, cordonedLogDirs: request.cordonedLogDirs }, 3),
    );
  }
  return {
    records,
    answer: {
      isCaughtUp,
      isFenced: next === 'fenced' || next === 'shutdownNow',
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
        return context.index.leads(broker.id) ? 'controlledShutdown' : 'shutdownNow';
      case 'controlledShutdown':
        // Others must have learnt of the new leaders before this one stops answering.
        return context.index.leads(broker.id) || standing.shutdownOffset > standing.lowestActiveOffset ? 'controlledShutdown' : 'shutdownNow';
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
        return unfenceBroker(broker, request.offlineLogDirs, context);
      case 'controlledShutdown':
        return beginControlledShutdown(broker, context);
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

export function fenceBroker(brokerId: number, context: PartitionsContext): NewRecord[] {
  const broker = context.image.brokers.get(brokerId)!;
  return [
    ...sweepPartitions(inSync(brokerId, context), { remove: brokerId }, context),
    newRecord('BrokerRegistrationChangeRecord', { brokerId, brokerEpoch: broker.epoch, fenced: FENCE }),
  ];
}

/** What lies in a directory that has failed since the broker registered it does not come back with it; Kafka elects it, and unseats it with the next change. */
function unfenceBroker({ id: brokerId, epoch: brokerEpoch }: BrokerImage, offlineLogDirs: readonly string[], context: PartitionsContext): NewRecord[] {
  const comesBack = ({ partition: { replicas, directories } }: PartitionRef): boolean => !offlineLogDirs.includes(directories[replicas.indexOf(brokerId)] ?? '');
  return [
    newRecord('BrokerRegistrationChangeRecord', { brokerId, brokerEpoch, fenced: UNFENCE }),
    ...sweepPartitions([...context.index.leaderless()].filter(comesBack), { add: brokerId }, context),
  ];
}

/** A controller that took over in the middle finds the mark in the registration already, and moves what has been left. */
function beginControlledShutdown({ id: brokerId, epoch: brokerEpoch, inControlledShutdown }: BrokerImage, context: PartitionsContext): NewRecord[] {
  const mark = newRecord('BrokerRegistrationChangeRecord', { brokerId, brokerEpoch, inControlledShutdown: IN_CONTROLLED_SHUTDOWN }, 1);
  return [...(inControlledShutdown ? [] : [mark]), ...sweepPartitions(inSync(brokerId, context), { remove: brokerId }, context)];
}

export function unregisterBroker(brokerId: number, context: PartitionsContext): NewRecord[] {
  const broker = context.image.brokers.get(brokerId);
  if (broker === undefined) throw new KafkaError(ErrorCode.BROKER_ID_NOT_REGISTERED, `Broker ID ${brokerId} is not currently registered`);
  return [
    ...sweepPartitions(inSync(brokerId, context), { remove: brokerId }, context),
    ...sweepPartitions(eligible(brokerId, context), { remove: brokerId }, context),
    newRecord('UnregisterBrokerRecord', { brokerId, brokerEpoch: broker.epoch }),
  ];
}

function cordonChanged(broker: BrokerImage, cordoned: readonly string[]): boolean {
  const present = broker.cordonedLogDirs;
  return present === null || cordoned.some((directory) => !present.includes(directory)) || present.some((directory) => !cordoned.includes(directory));
}

export function controllerRegistration(request: NewController, image: MetadataImage): NewRecord {
  if (!rulesOf(image).supportsControllerRegistration) {
    throw new KafkaError(ErrorCode.UNSUPPORTED_VERSION, 'The current MetadataVersion is too old to support controller registrations.');
  }
  return newRecord('RegisterControllerRecord', {
    controllerId: request.controllerId,
    incarnationId: request.incarnationId,
    zkMigrationReady: false,
    endPoints: request.listeners,
    features: request.features,
  });
}
