/**
 * Metadata and DescribeTopicPartitions: which brokers there are, and who leads what.
 *
 * Promises: a topic that Metadata creates on the way is answered with its leader in the same answer, where Kafka says UNKNOWN_TOPIC_OR_PARTITION and lets the
 * client come again (clients take either). Addresses are those of the listener that the client came by.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { DescribeTopicPartitions, Metadata } from '../../protocol/messages/metadata.ts';
import { type BrokerImage, LOST_DIRECTORY, type MetadataImage, MIGRATING_DIRECTORY, NO_LEADER, type PartitionImage, type TopicImage, UNASSIGNED_DIRECTORY, ZERO_UUID } from '../quorum/image.ts';
import { isInternalTopic, topicNameFault } from '../quorum/topic-names.ts';
import { CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS } from './authorized-operations.ts';
import { serve } from './serve.ts';
import type { RequestContext } from './serve.ts';

type Request = Value<typeof Metadata.request>;
type TopicAnswer = Input<typeof Metadata.response>['topics'][number];
type PartitionAnswer = TopicAnswer['partitions'][number];
type DescribeRequest = Value<typeof DescribeTopicPartitions.request>;
type DescribeAnswer = Input<typeof DescribeTopicPartitions.response>;
type DescribedTopic = DescribeAnswer['topics'][number];

/** An empty list meant all topics once; null does since. */
const EMPTY_IS_ALL_UNTIL = 0;
/** From this version on a broker without the client's listener is LISTENER_NOT_FOUND, not LEADER_NOT_AVAILABLE. */
const LISTENER_NOT_FOUND_SINCE = 6;
/** Before it, a request that names topics by id, or not at all, is invalid. */
const TOPIC_IDS_SINCE = 12;
const NO_CONTROLLER = -1;

export const metadataApis = [
  serve(Metadata, '0-13', {
    handle: describeMetadata,
    onError: (code, request) => ({
      errorCode: code,
      brokers: [],
      topics: (request.topics ?? []).map(({ name, topicId }) => ({ errorCode: code, name: name ?? '', topicId, partitions: [] })),
    }),
  }),
  serve(DescribeTopicPartitions, '0', {
    handle: describeTopicPartitions,
    onError: (code, request) => ({
      throttleTimeMs: 0,
      topics: request.topics.map(({ name }) => ({ errorCode: code, name, topicId: ZERO_UUID, partitions: [] })),
    }),
  }),
];

/** How a client's listener and version bear on what partitions look like to it. */
interface View {
  readonly image: MetadataImage;
  readonly listener: string;
  /** Version 0 leaves out replicas that are not alive, and calls their partitions REPLICA_NOT_AVAILABLE. */
  readonly hidesUnavailable: boolean;
  readonly noListener: ErrorCode;
}

async function describeMetadata(request: Request, context: RequestContext): Promise<Input<typeof Metadata.response>> {
  const { node, apiVersion, connection } = context;
  const isAll = request.topics === null || (apiVersion <= EMPTY_IS_ALL_UNTIL && request.topics.length === 0);
  if (!isAll) checkTopics(request, apiVersion);
  let image = node.image();
  const operations = request.includeTopicAuthorizedOperations ? TOPIC_OPERATIONS : OPERATIONS_NOT_ASKED;
  const topics: TopicAnswer[] = [];
  let found: TopicImage[];
  if (isAll) {
    found = [...image.topics.values()];
  } else {
    const ids = new Set(request.topics!.map((topic) => topic.topicId).filter((id) => id !== ZERO_UUID));
    // Ids come before names: a request that has any is by id.
    const asked = ids.size > 0 ? lookUpIds(ids, image, topics) : namesOf(request);
    const missing = [...asked].filter((name) => image.topic(name) === undefined);
    if (missing.length > 0 && request.allowAutoTopicCreation && node.settings.get('auto.create.topics.enable')) {
      await createMissing(missing, context);
      image = node.image();
    }
    found = [];
    for (const name of asked) {
      const topic = image.topic(name);
      if (topic === undefined) topics.push({ ...unknownTopic(name), topicAuthorizedOperations: operations });
      else found.push(topic);
    }
  }
  const view: View = {
    image,
    listener: connection.listener,
    hidesUnavailable: apiVersion === 0,
    noListener: apiVersion >= LISTENER_NOT_FOUND_SINCE ? ErrorCode.LISTENER_NOT_FOUND : ErrorCode.LEADER_NOT_AVAILABLE,
  };
  for (const topic of found) {
    topics.push({
      errorCode: ErrorCode.NONE,
      name: topic.name,
      topicId: topic.id,
      isInternal: isInternalTopic(topic.name),
      partitions: topic.partitions.map((partition, index) => partitionAnswer(partition, index, view)),
      topicAuthorizedOperations: operations,
    });
  }
  const brokers = node.endpointsOf(image.aliveBrokers().map((broker) => broker.id), connection);
  return {
    throttleTimeMs: 0,
    brokers: brokers.map(({ nodeId, host, port, rack }) => ({ nodeId, host, port, rack })),
    clusterId: node.clusterId,
    // Any broker passes requests on to the controller, so Kafka names one at random; clients only want one that is there.
    controllerId: brokers[node.runtime.random.below(Math.max(1, brokers.length))]?.nodeId ?? NO_CONTROLLER,
    topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? CLUSTER_OPERATIONS : OPERATIONS_NOT_ASKED,
  };
}

function checkTopics({ topics }: Request, apiVersion: number): void {
  if (apiVersion >= TOPIC_IDS_SINCE) return;
  for (const { name, topicId } of topics!) {
    if (name === null) throw new KafkaError(ErrorCode.INVALID_REQUEST, `Topic name can not be null for version ${apiVersion}`);
    if (topicId !== ZERO_UUID) throw new KafkaError(ErrorCode.INVALID_REQUEST, `Topic IDs are not supported in requests for version ${apiVersion}`);
  }
}

function namesOf({ topics }: Request): Set<string> {
  const names = new Set<string>();
  for (const { name } of topics!) {
    // Neither name nor id: Kafka falls over it and says so.
    if (name === null) throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR);
    names.add(name);
  }
  return names;
}

/** The names of those that exist; the others are answered here. */
function lookUpIds(ids: ReadonlySet<string>, image: MetadataImage, topics: TopicAnswer[]): Set<string> {
  const names = new Set<string>();
  for (const id of ids) {
    const topic = image.topicById(id);
    if (topic === undefined) topics.push({ errorCode: ErrorCode.UNKNOWN_TOPIC_ID, name: null, topicId: id, isInternal: false, partitions: [] });
    else names.add(topic.name);
  }
  return names;
}

async function createMissing(names: readonly string[], { node }: RequestContext): Promise<void> {
  try {
    await node.ensureTopics(names.filter((name) => topicNameFault(name) === null));
  } catch (error) {
    // A disk that is full, or no controller: the topics that exist are told all the same, and these are unknown, as they are while Kafka creates them.
    if (!(error instanceof KafkaError)) throw error;
  }
}

function unknownTopic(name: string) {
  return {
    errorCode: topicNameFault(name) === null ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : ErrorCode.INVALID_TOPIC_EXCEPTION,
    name,
    topicId: ZERO_UUID,
    isInternal: isInternalTopic(name),
    partitions: [],
  } satisfies TopicAnswer;
}

function partitionAnswer(partition: PartitionImage, partitionIndex: number, view: View): PartitionAnswer {
  const { image, listener, hidesUnavailable } = view;
  const replicaNodes = hidesUnavailable ? partition.replicas.filter((id) => isReachable(image.brokers.get(id), listener)) : partition.replicas;
  const isrNodes = hidesUnavailable ? partition.isr.filter((id) => isReachable(image.brokers.get(id), listener)) : partition.isr;
  const leader = image.brokers.get(partition.leader);
  let errorCode: ErrorCode = ErrorCode.NONE;
  let leaderId = partition.leader;
  if (leader === undefined || !hasListener(leader, listener)) {
    errorCode = leader === undefined ? ErrorCode.LEADER_NOT_AVAILABLE : view.noListener;
    leaderId = NO_LEADER;
  } else if (replicaNodes.length < partition.replicas.length || isrNodes.length < partition.isr.length) {
    errorCode = ErrorCode.REPLICA_NOT_AVAILABLE;
  }
  return {
    errorCode,
    partitionIndex,
    leaderId,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes,
    isrNodes,
    offlineReplicas: offlineReplicas(partition, image, listener),
  };
}

function hasListener(broker: BrokerImage, listener: string): boolean {
  return broker.endpoints.some((endpoint) => endpoint.name === listener);
}

function isReachable(broker: BrokerImage | undefined, listener: string): boolean {
  return broker !== undefined && !broker.fenced && hasListener(broker, listener);
}

const NONE: readonly number[] = [];

function offlineReplicas(partition: PartitionImage, image: MetadataImage, listener: string): readonly number[] {
  let offline: number[] | undefined;
  for (const [index, id] of partition.replicas.entries()) {
    const broker = image.brokers.get(id);
    if (!isReachable(broker, listener) || !isOnline(partition.directories[index]!, broker!)) (offline ??= []).push(id);
  }
  return offline ?? NONE;
}

/** Whether the broker has the directory; a replica that was not given one, and a broker that names none, count as online. */
function isOnline(directory: string, { logDirs }: BrokerImage): boolean {
  if (directory === LOST_DIRECTORY) return false;
  return directory === UNASSIGNED_DIRECTORY || directory === MIGRATING_DIRECTORY || logDirs.length === 0 || logDirs.includes(directory);
}

function describeTopicPartitions(request: DescribeRequest, { node, connection }: RequestContext): DescribeAnswer {
  const image = node.image();
  const isAll = request.topics.length === 0;
  const { cursor } = request;
  const from = cursor?.topicName ?? '';
  const asked = isAll ? image.topics.keys() : request.topics.map((topic) => topic.name);
  // In the order of UTF-16 units, which is Java's: the cursor's place depends on it.
  const names = [...new Set(asked)].filter((name) => name >= from).sort();
  if (cursor !== null) {
    if (!isAll && !names.includes(from)) {
      throw new KafkaError(ErrorCode.INVALID_REQUEST, `DescribeTopicPartitionsRequest topic list should contain the cursor topic: ${from}`);
    }
    if (cursor.partitionIndex < 0) throw new KafkaError(ErrorCode.INVALID_REQUEST, 'DescribeTopicPartitionsRequest cursor partition must be valid');
  }
  // Kafka cannot ask its authorizer about a topic without a name.
  if (names[0] === '') throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR);
  const limit = Math.max(1, Math.min(node.settings.get('max.request.partition.size.limit'), request.responsePartitionLimit));
  const topics: DescribedTopic[] = [];
  let left = limit;
  for (const name of names) {
    if (left === 0) return { throttleTimeMs: 0, topics, nextCursor: { topicName: name, partitionIndex: 0 } };
    const topic = image.topic(name);
    if (topic === undefined) {
      if (!isAll) topics.push({ ...unknownTopic(name), partitions: [], topicAuthorizedOperations: TOPIC_OPERATIONS });
      continue;
    }
    const start = cursor !== null && name === from ? cursor.partitionIndex : 0;
    const end = Math.min(topic.partitions.length, start + left);
    topics.push(describedTopic(topic, { start, end }, image, connection.listener));
    if (end < topic.partitions.length) return { throttleTimeMs: 0, topics, nextCursor: { topicName: name, partitionIndex: end } };
    left -= Math.max(0, end - start);
  }
  return { throttleTimeMs: 0, topics, nextCursor: null };
}

function describedTopic(topic: TopicImage, { start, end }: { start: number; end: number }, image: MetadataImage, listener: string): DescribedTopic {
  const partitions: DescribedTopic['partitions'][number][] = [];
  for (let partitionIndex = start; partitionIndex < end; partitionIndex++) {
    const partition = topic.partitions[partitionIndex]!;
    const leader = image.brokers.get(partition.leader);
    partitions.push({
      errorCode: ErrorCode.NONE,
      partitionIndex,
      leaderId: leader !== undefined && hasListener(leader, listener) ? partition.leader : NO_LEADER,
      leaderEpoch: partition.leaderEpoch,
      replicaNodes: partition.replicas,
      isrNodes: partition.isr,
      eligibleLeaderReplicas: partition.elr,
      lastKnownElr: partition.lastKnownElr,
      offlineReplicas: offlineReplicas(partition, image, listener),
    });
  }
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: isInternalTopic(topic.name),
    partitions,
    topicAuthorizedOperations: TOPIC_OPERATIONS,
  };
}
