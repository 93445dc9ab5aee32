/**
 * CreateTopics and CreatePartitions as the controller decides them: from the image and the request to the records that make it so and the answer.
 *
 * Promises: pure; order of checks, codes and texts are those of Kafka's ReplicationControlManager (checked against 4.3.1). Topics of one request do not
 * see each other. Does not wait, append, or look at who asks.
 */
import { ErrorCode, errorMessage, KafkaError } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type { CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse } from '../../protocol/messages/topics.ts';
import { metadataVersionRules } from './features.ts';
import { MIGRATING_DIRECTORY, type MetadataImage, type PartitionImage, RECOVERED, ResourceType, UNASSIGNED_DIRECTORY } from './image.ts';
import { placeReplicas, type PlacementRandom } from './placement.ts';
import { newRecord, type NewRecord } from './records.ts';
import { collisionKey, topicNameFault } from './topic-names.ts';

export type NewTopic = Value<typeof CreateTopicsRequest>['topics'][number];
export type NewTopicResult = Input<typeof CreateTopicsResponse>['topics'][number];
export type NewPartitions = Value<typeof CreatePartitionsRequest>['topics'][number];
export type NewPartitionsResult = Input<typeof CreatePartitionsResponse>['results'][number];

export interface EffectiveConfig {
  readonly name: string;
  readonly value: string | null;
  readonly readOnly: boolean;
  readonly configSource: number;
  readonly isSensitive: boolean;
}

/** What creation needs of the settings. */
export interface TopicSettings {
  readonly numPartitions: number;
  readonly defaultReplicationFactor: number;
  /** What is wrong with a topic's own settings in Kafka's words, or null. */
  configFault(configs: ReadonlyMap<string, string>): string | null;
  /** All topic settings by name, with those of the topic itself and of the cluster on top. */
  effectiveConfigs(configs: ReadonlyMap<string, string>): readonly EffectiveConfig[];
}

export interface CreationContext {
  readonly image: MetadataImage;
  readonly settings: TopicSettings;
  readonly random: PlacementRandom & { uuid(): string };
  /** On its way out: it is given nothing new. */
  readonly isShuttingDown: (brokerId: number) => boolean;
}

/** Kafka refuses more in one request (KAFKA-17870: asking for too many ran it out of memory). */
const PARTITIONS_PER_REQUEST_MAX = 10_000;
const USE_DEFAULT = -1;

export function createTopics(topics: readonly NewTopic[], context: CreationContext): { records: NewRecord[]; results: NewTopicResult[] } {
  checkPartitionTotal(topics, context.settings.numPartitions);
  const records: NewRecord[] = [];
  const results = topics.map((topic): NewTopicResult => {
    try {
      const created = createTopic(topic, context);
      for (const record of created.records) records.push(record);
      return created.result;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return { name: topic.name, errorCode: error.code, errorMessage: ownText(error), numPartitions: -1, replicationFactor: -1, configs: [] };
    }
  });
  return { records, results };
}

function createTopic(topic: NewTopic, context: CreationContext): { records: NewRecord[]; result: NewTopicResult } {
  const { image, settings, random } = context;
  checkName(topic.name, image);
  const configs = checkedConfigs(topic, settings);
  const partitions = newPartitions(topic, context);
  const id = random.uuid();
  const records: NewRecord[] = [newRecord('TopicRecord', { name: topic.name, topicId: id })];
  for (const [name, value] of configs) {
    records.push(newRecord('ConfigRecord', { resourceType: ResourceType.TOPIC, resourceName: topic.name, name, value }));
  }
  // KIP-966: eligible leader replicas were counted under another minimum.
  if (image.elrEnabled && configs.has('min.insync.replicas')) records.push(newRecord('ClearElrRecord', { topicName: topic.name }));
  partitions.forEach((partition, index) => records.push(partitionRecord(id, index, partition, image)));
  return {
    records,
    result: {
      name: topic.name,
      topicId: id,
      errorCode: ErrorCode.NONE,
      errorMessage: null,
      topicConfigErrorCode: ErrorCode.NONE,
      numPartitions: partitions.length,
      replicationFactor: partitions[0]!.replicas.length,
      configs: settings.effectiveConfigs(configs),
    },
  };
}

function checkName(name: string, image: MetadataImage): void {
  const collision = collisionKey(name);
  const colliding = collision === null ? undefined : image.collisions.get(collision)?.[0];
  if (image.topic(name) !== undefined) throw new KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`);
  if (colliding !== undefined) throw new KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, `Topic '${name}' collides with existing topic: ${colliding}`);
  const fault = topicNameFault(name);
  if (fault !== null) throw new KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, fault);
}

function checkedConfigs(topic: NewTopic, settings: TopicSettings): Map<string, string> {
  const configs = new Map<string, string>();
  const nulls: string[] = [];
  for (const { name, value } of topic.configs) {
    if (value === null) nulls.push(name);
    else configs.set(name, value);
  }
  if (nulls.length > 0) throw new KafkaError(ErrorCode.INVALID_CONFIG, `Null value not supported for topic configs: ${nulls.join(',')}`);
  const fault = configs.size === 0 ? null : settings.configFault(configs);
  if (fault !== null) throw new KafkaError(ErrorCode.INVALID_CONFIG, fault);
  return configs;
}

function newPartitions(topic: NewTopic, context: CreationContext): PartitionImage[] {
  const { image, settings } = context;
  if (topic.assignments.length > 0) return assignedPartitions(topic, image);
  if (topic.replicationFactor < USE_DEFAULT || topic.replicationFactor === 0) {
    throw new KafkaError(ErrorCode.INVALID_REPLICATION_FACTOR, 'Replication factor must be larger than 0, or -1 to use the default value.');
  }
  if (topic.numPartitions < USE_DEFAULT || topic.numPartitions === 0) {
    throw new KafkaError(ErrorCode.INVALID_PARTITIONS, 'Number of partitions was set to an invalid non-positive value.');
  }
  const count = topic.numPartitions === USE_DEFAULT ? settings.numPartitions : topic.numPartitions;
  const factor = topic.replicationFactor === USE_DEFAULT ? settings.defaultReplicationFactor : topic.replicationFactor;
  let placements: number[][];
  try {
    placements = place(count, factor, context);
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    throw new KafkaError(error.code, `Unable to replicate the partition ${factor} time(s): ${error.message}`);
  }
  return placements.map((replicas) => placedPartition(replicas, image));
}

function place(partitions: number, replicationFactor: number, { image, random, isShuttingDown }: CreationContext): number[][] {
  const brokers = [...image.brokers.values()].filter((broker) => !isShuttingDown(broker.id) && hasUncordonedDirectory(broker));
  return placeReplicas(brokers, { partitions, replicationFactor }, random);
}

function placedPartition(replicas: readonly number[], image: MetadataImage): PartitionImage {
  const isr = replicas.filter((broker) => image.isActive(broker));
  if (isr.length === 0) {
    throw new KafkaError(
      ErrorCode.INVALID_REPLICATION_FACTOR,
      `Unable to replicate the partition ${replicas.length} time(s): All brokers are currently fenced or in controlled shutdown.`,
    );
  }
  return partitionOf(replicas, isr, image);
}

function assignedPartitions(topic: NewTopic, image: MetadataImage): PartitionImage[] {
  if (topic.replicationFactor !== USE_DEFAULT) {
    throw new KafkaError(ErrorCode.INVALID_REQUEST, 'A manual partition assignment was specified, but replication factor was not set to -1.');
  }
  if (topic.numPartitions !== USE_DEFAULT) {
    throw new KafkaError(ErrorCode.INVALID_REQUEST, 'A manual partition assignment was specified, but numPartitions was not set to -1.');
  }
  const byIndex = new Map<number, PartitionImage>();
  let factor: number | null = null;
  for (const { partitionIndex, brokerIds } of topic.assignments) {
    if (byIndex.has(partitionIndex)) {
      throw new KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, `Found multiple manual partition assignments for partition ${partitionIndex}`);
    }
    checkAssignment(brokerIds, factor, image);
    factor = brokerIds.length;
    byIndex.set(partitionIndex, assignedPartition(brokerIds, partitionIndex, image));
  }
  const partitions: PartitionImage[] = [];
  for (let index = 0; index < byIndex.size; index++) {
    const partition = byIndex.get(index);
    if (partition === undefined) {
      throw new KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, 'partitions should be a consecutive 0-based integer sequence');
    }
    partitions.push(partition);
  }
  return partitions;
}

function assignedPartition(brokerIds: readonly number[], partition: number, image: MetadataImage): PartitionImage {
  const isr = brokerIds.filter((broker) => image.isActive(broker));
  if (isr.length === 0) {
    throw new KafkaError(
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
      `All brokers specified in the manual partition assignment for partition ${partition} are fenced or in controlled shutdown.`,
    );
  }
  return partitionOf(brokerIds, isr, image);
}

/** What a list of replicas that somebody wrote must be. Throws INVALID_REPLICA_ASSIGNMENT. */
export function checkAssignment(brokerIds: readonly number[], replicationFactor: number | null, image: MetadataImage): void {
  const refuse = (text: string): never => {
    throw new KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, `The manual partition assignment includes ${text}`);
  };
  if (brokerIds.length === 0) refuse('an empty replica list.');
  const sorted = [...brokerIds].sort((left, right) => left - right);
  sorted.forEach((id, index) => {
    // Whether its directories are cordoned 4.3.1 does not ask here (4.3.2 does, KAFKA-20832).
    if (!image.brokers.has(id)) refuse(`broker ${id}, but no such broker is registered.`);
    if (index > 0 && sorted[index - 1] === id) refuse(`the broker ${id} more than once.`);
  });
  if (replicationFactor !== null && brokerIds.length !== replicationFactor) {
    refuse(
      `a partition with ${brokerIds.length} replica(s), but this is not consistent with previous partitions, which have ${replicationFactor} replica(s).`,
    );
  }
}

export function createPartitions(
  topics: readonly NewPartitions[],
  context: CreationContext,
): { records: NewRecord[]; results: NewPartitionsResult[] } {
  const records: NewRecord[] = [];
  const results = topics.map((topic): NewPartitionsResult => {
    try {
      for (const record of addedPartitions(topic, context)) records.push(record);
      return { name: topic.name, errorCode: ErrorCode.NONE, errorMessage: null };
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return { name: topic.name, errorCode: error.code, errorMessage: ownText(error) };
    }
  });
  return { records, results };
}

function addedPartitions({ name, count, assignments }: NewPartitions, context: CreationContext): NewRecord[] {
  const { image } = context;
  const topic = image.topic(name);
  if (topic === undefined) throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const present = topic.partitions.length;
  if (count === present) throw new KafkaError(ErrorCode.INVALID_PARTITIONS, `Topic already has ${present} partition(s).`);
  if (count < present) {
    throw new KafkaError(
      ErrorCode.INVALID_PARTITIONS,
      `The topic ${name} currently has ${present} partition(s); ${count} would not be an increase.`,
    );
  }
  const additional = count - present;
  // Kafka would try, and run out of memory or of room for the records.
  if (additional > PARTITIONS_PER_REQUEST_MAX) throw tooManyRecords();
  const factor = topic.partitions[0]!.replicas.length;
  let added: PartitionImage[];
  if (assignments === null) {
    added = place(additional, factor, context).map((replicas) => placedPartition(replicas, image));
  } else {
    if (assignments.length !== additional) {
      throw new KafkaError(
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        `Attempted to add ${additional} additional partition(s), but only ${assignments.length} assignment(s) were specified.`,
      );
    }
    added = assignments.map(({ brokerIds }, index) => {
      checkAssignment(brokerIds, factor, image);
      return assignedPartition(brokerIds, present + index, image);
    });
  }
  return added.map((partition, index) => partitionRecord(topic.id, present + index, partition, image));
}

/** What an error says beyond its code. Kafka sends no text that the code alone would give. */
export function ownText(error: KafkaError): string | null {
  return error.message === errorMessage(error.code) ? null : error.message;
}

/** The refusal of more records than one operation may write. */
export function tooManyRecords(): KafkaError {
  return new KafkaError(ErrorCode.POLICY_VIOLATION, 'Unable to perform excessively large batch operation.');
}

function checkPartitionTotal(topics: readonly NewTopic[], defaultPartitions: number): void {
  let total = 0;
  for (const { assignments, numPartitions } of topics) {
    if (assignments.length > 0) total += assignments.length;
    else if (numPartitions === USE_DEFAULT) total += defaultPartitions;
    else if (numPartitions > 0) total += numPartitions;
  }
  if (total > PARTITIONS_PER_REQUEST_MAX) {
    throw new KafkaError(ErrorCode.POLICY_VIOLATION, 'Excessively large number of partitions per request.');
  }
}

function partitionOf(replicas: readonly number[], isr: readonly number[], image: MetadataImage): PartitionImage {
  return {
    replicas,
    directories: replicas.map((broker) => defaultDirectory(image, broker)),
    isr,
    removingReplicas: [],
    addingReplicas: [],
    elr: [],
    lastKnownElr: [],
    leader: isr[0]!,
    leaderEpoch: 0,
    leaderRecoveryState: RECOVERED,
    partitionEpoch: 0,
  };
}

/** Where a broker's replica goes when the controller can know: it has one directory. Else the broker chooses and says so. */
export function defaultDirectory(image: MetadataImage, brokerId: number): string {
  const directories = image.brokers.get(brokerId)?.logDirs;
  if (directories === undefined) return UNASSIGNED_DIRECTORY;
  if (directories.length === 0) return MIGRATING_DIRECTORY;
  return directories.length === 1 ? directories[0]! : UNASSIGNED_DIRECTORY;
}

function hasUncordonedDirectory(broker: { readonly logDirs: readonly string[]; readonly cordonedLogDirs: readonly string[] | null }): boolean {
  const cordoned = broker.cordonedLogDirs;
  return cordoned === null || broker.logDirs.length === 0 || broker.logDirs.some((directory) => !cordoned.includes(directory));
}

export function partitionRecord(topicId: string, partitionId: number, partition: PartitionImage, image: MetadataImage): NewRecord {
  const rules = metadataVersionRules(image.metadataVersion ?? 0);
  return newRecord(
    'PartitionRecord',
    {
      partitionId,
      topicId,
      replicas: partition.replicas,
      isr: partition.isr,
      removingReplicas: partition.removingReplicas,
      addingReplicas: partition.addingReplicas,
      leader: partition.leader,
      leaderRecoveryState: partition.leaderRecoveryState,
      leaderEpoch: partition.leaderEpoch,
      partitionEpoch: partition.partitionEpoch,
      ...(rules.supportsDirectories && { directories: partition.directories }),
      // Tagged fields: empty lists are not written, as null is not.
      ...(image.elrEnabled && partition.elr.length > 0 && { eligibleLeaderReplicas: partition.elr }),
      ...(image.elrEnabled && partition.lastKnownElr.length > 0 && { lastKnownElr: partition.lastKnownElr }),
    },
    rules.partitionRecordVersion,
  );
}
