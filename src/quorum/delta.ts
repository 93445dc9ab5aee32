/**
 * Folds metadata records into the next image.
 *
 * Promises: `apply` takes records in log order and is the only way in which metadata changes; `build` gives the image after them. A record that
 * contradicts the image (a partition of no topic) is an assertion: the log is ours or was agreed on by a quorum, so going on would serve nonsense.
 * Metadata transactions (KIP-868): while one is open `inTransaction` is true and nothing may be published; aborting it forgets its records.
 */
import assert from 'node:assert';
import { METADATA_VERSION } from './features.ts';
import {
  type BrokerImage,
  configKey,
  type ControllerImage,
  MetadataImage,
  type MetadataFields,
  MIGRATING_DIRECTORY,
  NO_LEADER,
  type PartitionImage,
  type ProducerIdsImage,
  ResourceType,
  type TopicImage,
} from './image.ts';
import type { ImageMap, ImageMapBuilder } from './image-map.ts';
import type { MetadataRecord, PartitionChangeRecord } from '../../protocol/log-records/metadata.ts';
import type { Input } from '../../protocol/schema.ts';
import type { RecordValue } from './records.ts';
import { collisionKey } from './topic-names.ts';

/** A topic with changed partitions; its list is ours to write until the next `build`. */
interface TopicDraft {
  readonly name: string;
  readonly id: string;
  readonly partitions: PartitionImage[];
}

type MapName = 'topics' | 'topicsById' | 'collisions' | 'configs' | 'clientQuotas' | 'scramCredentials' | 'acls' | 'delegationTokens';
type MapBuilders = { [N in MapName]: MetadataFields[N] extends ImageMap<infer V> ? ImageMapBuilder<V> : never };

export class MetadataDelta {
  readonly #before: MetadataImage;
  #maps: MapBuilders;
  #features: ReadonlyMap<string, number>;
  #brokers: ReadonlyMap<number, BrokerImage>;
  #controllers: ReadonlyMap<number, ControllerImage>;
  #producerIds: ProducerIdsImage | null;
  #drafts = new Map<string, TopicDraft>();
  /** The image to go back to when the open transaction is aborted. */
  #savepoint: MetadataImage | undefined;

  constructor(before: MetadataImage) {
    this.#before = before;
    this.#maps = mapBuilders(before);
    this.#features = before.features;
    this.#brokers = before.brokers;
    this.#controllers = before.controllers;
    this.#producerIds = before.producerIds;
  }

  get inTransaction(): boolean {
    return this.#savepoint !== undefined;
  }

  /** `provenance` is that of the last record applied. */
  build(provenance: { readonly offset: number; readonly epoch: number; readonly timestampMs: number }): MetadataImage {
    this.#finishDrafts();
    const maps = this.#maps;
    return new MetadataImage({
      offset: provenance.offset,
      epoch: provenance.epoch,
      timestampMs: provenance.timestampMs,
      features: this.#features,
      brokers: this.#brokers,
      controllers: this.#controllers,
      topics: maps.topics.build(),
      topicsById: maps.topicsById.build(),
      collisions: maps.collisions.build(),
      configs: maps.configs.build(),
      producerIds: this.#producerIds,
      clientQuotas: maps.clientQuotas.build(),
      scramCredentials: maps.scramCredentials.build(),
      acls: maps.acls.build(),
      delegationTokens: maps.delegationTokens.build(),
    });
  }

  apply(record: MetadataRecord): void {
    switch (record.name) {
      case 'TopicRecord':
        return this.#topic(record.value);
      case 'PartitionRecord':
        return this.#partition(record.value);
      case 'PartitionChangeRecord':
        return this.#partitionChange(record.value);
      case 'RemoveTopicRecord':
        return this.#removeTopic(record.value);
      case 'ConfigRecord':
        return this.#config(record.value);
      case 'ClearElrRecord':
        return this.#clearElr(record.value);
      case 'RegisterBrokerRecord':
        return this.#registerBroker(record.value);
      case 'UnregisterBrokerRecord':
        return this.#unregisterBroker(record.value);
      case 'BrokerRegistrationChangeRecord':
        return this.#changeRegistration(record.value);
      case 'FenceBrokerRecord':
        return this.#fence(record.value.id, record.value.epoch, true);
      case 'UnfenceBrokerRecord':
        return this.#fence(record.value.id, record.value.epoch, false);
      case 'RegisterControllerRecord':
        return this.#registerController(record.value);
      case 'FeatureLevelRecord':
        return this.#featureLevel(record.value);
      case 'ProducerIdsRecord': {
        const { brokerId, brokerEpoch, nextProducerId } = record.value;
        this.#producerIds = { brokerId, brokerEpoch, nextProducerId };
        return;
      }
      case 'ClientQuotaRecord': {
        const key = quotaKey(record.value);
        if (record.value.remove) this.#maps.clientQuotas.delete(key);
        else this.#maps.clientQuotas.set(key, record.value);
        return;
      }
      case 'UserScramCredentialRecord': {
        const { salt, storedKey, serverKey } = record.value;
        // The decoded bytes alias the batch they came in, which must not be held for three short keys.
        const kept = { ...record.value, salt: Buffer.from(salt), storedKey: Buffer.from(storedKey), serverKey: Buffer.from(serverKey) };
        this.#maps.scramCredentials.set(scramKey(record.value), kept);
        return;
      }
      case 'RemoveUserScramCredentialRecord':
        this.#maps.scramCredentials.delete(scramKey(record.value));
        return;
      case 'AccessControlEntryRecord':
        this.#maps.acls.set(record.value.id, record.value);
        return;
      case 'RemoveAccessControlEntryRecord':
        this.#maps.acls.delete(record.value.id);
        return;
      case 'DelegationTokenRecord':
        this.#maps.delegationTokens.set(record.value.tokenId, record.value);
        return;
      case 'RemoveDelegationTokenRecord':
        this.#maps.delegationTokens.delete(record.value.tokenId);
        return;
      case 'ZkMigrationStateRecord':
        // Left behind by clusters that once were ZooKeeper's; 4.x reads it and keeps nothing of it.
        return;
      case 'BeginTransactionRecord':
        return this.#begin();
      case 'EndTransactionRecord':
        assert(this.#savepoint !== undefined, 'a metadata transaction ends that did not begin');
        this.#savepoint = undefined;
        return;
      case 'AbortTransactionRecord':
        return this.#abort();
      case 'NoOpRecord':
        return;
    }
  }

  #topic({ name, topicId }: RecordValue<'TopicRecord'>): void {
    // The same name under another id: a deletion that compaction of the log by a snapshot swallowed cannot be, so the log is broken.
    assert(!this.#maps.topics.has(name), `topic ${name} is created twice`);
    this.#drafts.set(topicId, { name, id: topicId, partitions: [] });
    const topic: TopicImage = { name, id: topicId, partitions: [] };
    this.#maps.topics.set(name, topic);
    this.#maps.topicsById.set(topicId, topic);
    const collision = collisionKey(name);
    if (collision !== null) this.#maps.collisions.set(collision, [...(this.#maps.collisions.get(collision) ?? []), name]);
  }

  #partition(record: RecordValue<'PartitionRecord'>): void {
    const partitions = this.#draft(record.topicId).partitions;
    assert(record.partitionId <= partitions.length, `partition ${record.partitionId} leaves a gap`);
    partitions[record.partitionId] = {
      replicas: record.replicas,
      // Before 3.7-IV2 records name no directories.
      directories: record.directories.length === record.replicas.length ? record.directories : record.replicas.map(() => MIGRATING_DIRECTORY),
      isr: record.isr,
      removingReplicas: record.removingReplicas,
      addingReplicas: record.addingReplicas,
      elr: record.eligibleLeaderReplicas ?? [],
      lastKnownElr: record.lastKnownElr ?? [],
      leader: record.leader,
      leaderEpoch: record.leaderEpoch,
      leaderRecoveryState: record.leaderRecoveryState,
      partitionEpoch: record.partitionEpoch,
    };
  }

  #partitionChange(record: RecordValue<'PartitionChangeRecord'>): void {
    const partitions = this.#draft(record.topicId).partitions;
    const before = partitions[record.partitionId];
    assert(before !== undefined, `partition ${record.partitionId} changes that was not created`);
    partitions[record.partitionId] = applyPartitionChange(before, record);
  }

  #removeTopic({ topicId }: RecordValue<'RemoveTopicRecord'>): void {
    const topic = this.#maps.topicsById.get(topicId);
    assert(topic !== undefined, `topic ${topicId} is removed that does not exist`);
    this.#drafts.delete(topicId);
    this.#maps.topicsById.delete(topicId);
    this.#maps.topics.delete(topic.name);
    // Its settings go with it, without a record of their own.
    this.#maps.configs.delete(configKey(ResourceType.TOPIC, topic.name));
    const collision = collisionKey(topic.name);
    if (collision === null) return;
    const rest = (this.#maps.collisions.get(collision) ?? []).filter((name) => name !== topic.name);
    if (rest.length === 0) this.#maps.collisions.delete(collision);
    else this.#maps.collisions.set(collision, rest);
  }

  #config({ resourceType, resourceName, name, value }: RecordValue<'ConfigRecord'>): void {
    const key = configKey(resourceType, resourceName);
    const config = new Map(this.#maps.configs.get(key));
    if (value === null) config.delete(name);
    else config.set(name, value);
    if (config.size === 0) this.#maps.configs.delete(key);
    else this.#maps.configs.set(key, config);
  }

  #clearElr({ topicName }: RecordValue<'ClearElrRecord'>): void {
    let topics: TopicImage[];
    if (topicName === '') {
      this.#finishDrafts();
      topics = [...this.#maps.topics.build().values()];
    } else {
      const topic = this.#maps.topics.get(topicName);
      assert(topic !== undefined, `ELRs of topic ${topicName} are cleared that does not exist`);
      topics = [topic];
    }
    for (const topic of topics) {
      const current = this.#drafts.get(topic.id)?.partitions ?? topic.partitions;
      for (let index = 0; index < current.length; index++) {
        const partition = current[index]!;
        if (partition.elr.length === 0 && partition.lastKnownElr.length === 0) continue;
        this.#draft(topic.id).partitions[index] = { ...partition, elr: [], lastKnownElr: [], partitionEpoch: partition.partitionEpoch + 1 };
      }
    }
  }

  #registerBroker(record: RecordValue<'RegisterBrokerRecord'>): void {
    this.#setBroker({
      id: record.brokerId,
      epoch: record.brokerEpoch,
      incarnationId: record.incarnationId,
      isMigratingZkBroker: record.isMigratingZkBroker,
      endpoints: record.endPoints,
      features: record.features,
      rack: record.rack,
      fenced: record.fenced,
      inControlledShutdown: record.inControlledShutdown,
      logDirs: [...record.logDirs].sort(),
      cordonedLogDirs: record.cordonedLogDirs,
    });
  }

  #unregisterBroker({ brokerId }: RecordValue<'UnregisterBrokerRecord'>): void {
    const brokers = new Map(this.#brokers);
    brokers.delete(brokerId);
    this.#brokers = brokers;
  }

  #changeRegistration(record: RecordValue<'BrokerRegistrationChangeRecord'>): void {
    const broker = this.#registration(record.brokerId, record.brokerEpoch);
    this.#setBroker({
      ...broker,
      // -1 lifts the fence, 1 sets it, 0 leaves it.
      fenced: record.fenced === 0 ? broker.fenced : record.fenced > 0,
      inControlledShutdown: record.inControlledShutdown === 0 ? broker.inControlledShutdown : record.inControlledShutdown > 0,
      logDirs: record.logDirs.length === 0 ? broker.logDirs : [...record.logDirs].sort(),
      cordonedLogDirs: record.cordonedLogDirs ?? broker.cordonedLogDirs,
    });
  }

  #fence(brokerId: number, brokerEpoch: number, fenced: boolean): void {
    this.#setBroker({ ...this.#registration(brokerId, brokerEpoch), fenced });
  }

  #registration(brokerId: number, brokerEpoch: number): BrokerImage {
    const broker = this.#brokers.get(brokerId);
    assert(broker !== undefined, `the registration of broker ${brokerId} changes that is not registered`);
    assert(broker.epoch === brokerEpoch, `the registration of broker ${brokerId} changes at epoch ${brokerEpoch}, but it has ${broker.epoch}`);
    return broker;
  }

  #setBroker(broker: BrokerImage): void {
    const brokers = new Map(this.#brokers);
    brokers.set(broker.id, broker);
    this.#brokers = brokers;
  }

  #registerController(record: RecordValue<'RegisterControllerRecord'>): void {
    const controllers = new Map(this.#controllers);
    controllers.set(record.controllerId, {
      id: record.controllerId,
      incarnationId: record.incarnationId,
      zkMigrationReady: record.zkMigrationReady,
      endpoints: record.endPoints,
      features: record.features,
    });
    this.#controllers = controllers;
  }

  #featureLevel({ name, featureLevel }: RecordValue<'FeatureLevelRecord'>): void {
    const features = new Map(this.#features);
    // Level 0 is no level, but for metadata.version, which has no 0.
    if (featureLevel === 0 && name !== METADATA_VERSION) features.delete(name);
    else features.set(name, featureLevel);
    this.#features = features;
  }

  #begin(): void {
    assert(this.#savepoint === undefined, 'a metadata transaction begins inside another');
    this.#savepoint = this.build(this.#before);
  }

  #abort(): void {
    const image = this.#savepoint;
    assert(image !== undefined, 'a metadata transaction is aborted that did not begin');
    this.#savepoint = undefined;
    this.#maps = mapBuilders(image);
    this.#features = image.features;
    this.#brokers = image.brokers;
    this.#controllers = image.controllers;
    this.#producerIds = image.producerIds;
    this.#drafts.clear();
  }

  #draft(topicId: string): TopicDraft {
    const present = this.#drafts.get(topicId);
    if (present !== undefined) return present;
    const topic = this.#maps.topicsById.get(topicId);
    assert(topic !== undefined, `a partition of topic ${topicId}, which does not exist`);
    const draft: TopicDraft = { name: topic.name, id: topic.id, partitions: topic.partitions.slice() };
    this.#drafts.set(topicId, draft);
    return draft;
  }

  #finishDrafts(): void {
    for (const topic of this.#drafts.values()) {
      this.#maps.topics.set(topic.name, topic);
      this.#maps.topicsById.set(topic.id, topic);
    }
    this.#drafts.clear();
  }
}

const KEEP_LEADER = -2;
const KEEP_RECOVERY_STATE = -1;

/** The partition after the change; the record says only what is new. */
export function applyPartitionChange(before: PartitionImage, record: Input<typeof PartitionChangeRecord>): PartitionImage {
  const replicas = record.replicas ?? before.replicas;
  const directories =
    record.directories ?? replicas.map((replica) => before.directories[before.replicas.indexOf(replica)] ?? MIGRATING_DIRECTORY);
  // -2 leaves the leader; naming the present one is how the controller asks for a new leader epoch alone.
  const leader = record.leader ?? KEEP_LEADER;
  const changesLeader = leader >= NO_LEADER;
  const recovery = record.leaderRecoveryState ?? KEEP_RECOVERY_STATE;
  return {
    replicas,
    directories,
    isr: record.isr ?? before.isr,
    removingReplicas: record.removingReplicas ?? before.removingReplicas,
    addingReplicas: record.addingReplicas ?? before.addingReplicas,
    elr: record.eligibleLeaderReplicas ?? before.elr,
    lastKnownElr: record.lastKnownElr ?? before.lastKnownElr,
    leader: changesLeader ? leader : before.leader,
    leaderEpoch: changesLeader ? before.leaderEpoch + 1 : before.leaderEpoch,
    leaderRecoveryState: recovery >= 0 ? recovery : before.leaderRecoveryState,
    partitionEpoch: before.partitionEpoch + 1,
  };
}

function mapBuilders(image: MetadataImage): MapBuilders {
  return {
    topics: image.topics.change(),
    topicsById: image.topicsById.change(),
    collisions: image.collisions.change(),
    configs: image.configs.change(),
    clientQuotas: image.clientQuotas.change(),
    scramCredentials: image.scramCredentials.change(),
    acls: image.acls.change(),
    delegationTokens: image.delegationTokens.change(),
  };
}

function quotaKey({ entity, key }: RecordValue<'ClientQuotaRecord'>): string {
  const parts = entity.map(({ entityType, entityName }) => [entityType, entityName] as const);
  parts.sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
  return JSON.stringify([parts, key]);
}

function scramKey({ mechanism, name }: { readonly mechanism: number; readonly name: string }): string {
  return `${mechanism}:${name}`;
}
