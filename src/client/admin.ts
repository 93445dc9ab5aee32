/**
 * What a client may ask a cluster to do to topics and groups: made of single requests to the broker in charge. Errors of single topics and
 * groups are thrown as KafkaErrors that name them. Does not print.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import {
  CreatePartitions, CreateTopics, DeleteGroups, DeleteTopics, DescribeConfigs, DescribeGroups, LeaveGroup, ListGroups, ListOffsets, OffsetCommit, OffsetFetch,
} from '../../protocol/messages/index.ts';
import type { Value } from '../../protocol/schema.ts';
import { throwOn } from '../client.ts';
import type { Client, TopicMetadata } from '../client.ts';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface NewTopic {
  readonly name: string;
  /** The broker's default where it is left out. */
  readonly numPartitions?: number;
  readonly replicationFactor?: number;
  readonly configs?: Readonly<Record<string, string>>;
}

export interface GroupListing {
  readonly groupId: string;
  readonly state: string;
  readonly type: string;
  readonly protocolType: string;
}

export type GroupDescription = Value<typeof DescribeGroups.response>['groups'][number];

export interface CommittedOffset extends TopicPartition {
  readonly offset: bigint;
  readonly metadata: string | null;
}

/** The special timestamps of ListOffsets. */
export const OffsetTime = { LATEST: -1, EARLIEST: -2 } as const;

const USE_DEFAULT = -1;
const RESOURCE_TOPIC = 2;

export class Admin {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async topics(): Promise<readonly TopicMetadata[]> {
    return (await this.#client.retrying(() => this.#client.metadata(null))).topics;
  }

  /** Every topic is tried; the first that was refused is thrown. With `timeoutMs` the broker waits that long. Gives back the names that were there already. */
  async createTopics(topics: readonly NewTopic[], options: { ifNotExists?: boolean; timeoutMs?: number } = {}): Promise<ReadonlySet<string>> {
    const answer = await this.#client.request(CreateTopics, {
      topics: topics.map(({ name, numPartitions = USE_DEFAULT, replicationFactor = USE_DEFAULT, configs = {} }) => ({
        name,
        numPartitions,
        replicationFactor,
        assignments: [],
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      })),
      timeoutMs: options.timeoutMs ?? this.#client.requestTimeoutMs,
    });
    const existed = new Set<string>();
    for (const { name, errorCode, errorMessage } of answer.topics) {
      if (errorCode === ErrorCode.TOPIC_ALREADY_EXISTS && options.ifNotExists === true) existed.add(name);
      else throwOn(errorCode, `topic ${name}`, errorMessage);
    }
    return existed;
  }

  /** Gives back the names that were not there. */
  async deleteTopics(names: readonly string[], options: { ifExists?: boolean } = {}): Promise<ReadonlySet<string>> {
    const connection = await this.#client.any();
    const byEntry = (connection.versionOf(DeleteTopics) ?? 0) >= 6;
    const answer = await connection.request(DeleteTopics, {
      topics: byEntry ? names.map((name) => ({ name, topicId: ZERO_ID })) : [],
      topicNames: byEntry ? [] : names,
      timeoutMs: this.#client.requestTimeoutMs,
    });
    const missing = new Set<string>();
    for (const { name, errorCode, errorMessage } of answer.responses) {
      if (errorCode === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION && options.ifExists === true) missing.add(name!);
      else throwOn(errorCode, `topic ${name}`, errorMessage);
    }
    return missing;
  }

  async createPartitions(topic: string, count: number): Promise<void> {
    const answer = await this.#client.request(CreatePartitions, {
      topics: [{ name: topic, count, assignments: null }],
      timeoutMs: this.#client.requestTimeoutMs,
      validateOnly: false,
    });
    for (const { name, errorCode, errorMessage } of answer.results) throwOn(errorCode, `topic ${name}`, errorMessage);
  }

  /** Settings of topics that are not the default, by topic. */
  async topicOverrides(topics: readonly string[]): Promise<Map<string, Map<string, string | null>>> {
    const answer = await this.#client.request(DescribeConfigs, {
      resources: topics.map((resourceName) => ({ resourceType: RESOURCE_TOPIC, resourceName, configurationKeys: null })),
      includeSynonyms: false,
    });
    const DYNAMIC_TOPIC = 1;
    return new Map(
      answer.results.map(({ resourceName, configs, errorCode, errorMessage }) => {
        throwOn(errorCode, `topic ${resourceName}`, errorMessage);
        return [resourceName, new Map(configs.filter((one) => one.configSource === DYNAMIC_TOPIC).map(({ name, value }) => [name, value]))];
      }),
    );
  }

  /** The offset of each partition at a time (ms since the epoch, or an OffsetTime); -1 where nothing is as late. */
  async offsets(partitions: readonly TopicPartition[], timestamp: number): Promise<Map<TopicPartition, number>> {
    const found = new Map<TopicPartition, number>();
    const leaders = await this.#leaders(partitions);
    for (const [leaderId, own] of leaders) {
      await this.#client.retrying(async () => {
        const connection = await this.#client.broker(leaderId);
        const answer = await connection.request(ListOffsets, { replicaId: -1, isolationLevel: 0, topics: byTopic(own, ({ partition }) => ({ partitionIndex: partition, timestamp })), timeoutMs: this.#client.requestTimeoutMs });
        for (const topic of answer.topics) {
          for (const { partitionIndex, errorCode, offset } of topic.partitions) {
            throwOn(errorCode, `${topic.name}-${partitionIndex}`);
            found.set(own.find((one) => one.topic === topic.name && one.partition === partitionIndex)!, offset);
          }
        }
      });
    }
    return found;
  }

  async groups(): Promise<GroupListing[]> {
    const { brokers } = await this.#client.metadata([]);
    const found: GroupListing[] = [];
    for (const { nodeId } of brokers) {
      const answer = await this.#client.retrying(async () => {
        const listed = await (await this.#client.broker(nodeId)).request(ListGroups, {});
        throwOn(listed.errorCode, 'groups');
        return listed;
      });
      for (const { groupId, groupState, groupType, protocolType } of answer.groups) found.push({ groupId, state: groupState, type: groupType, protocolType });
    }
    return found.sort((a, b) => (a.groupId < b.groupId ? -1 : 1));
  }

  /** Throws GROUP_ID_NOT_FOUND for a group that is not there, as DescribeGroups 6 does. */
  describeGroup(groupId: string): Promise<GroupDescription> {
    return this.#client.retrying(async () => {
      const answer = await (await this.#client.coordinator(groupId)).request(DescribeGroups, { groups: [groupId], includeAuthorizedOperations: false });
      const group = answer.groups[0]!;
      throwOn(group.errorCode, `group ${groupId}`, group.errorMessage);
      if (group.groupState === 'Dead') throw new KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, `there is no group ${groupId}`);
      return group;
    });
  }

  async deleteGroup(groupId: string): Promise<void> {
    await this.#client.retrying(async () => {
      const answer = await (await this.#client.coordinator(groupId)).request(DeleteGroups, { groupsNames: [groupId] });
      throwOn(answer.results[0]!.errorCode, `group ${groupId}`);
    });
  }

  /** Makes all members leave, so that the group is empty until they join again. */
  async expelMembers(group: GroupDescription): Promise<void> {
    if (group.members.length === 0) return;
    const connection = await this.#client.coordinator(group.groupId);
    const members = group.members.map(({ memberId, groupInstanceId }) => ({ memberId, groupInstanceId, reason: 'removed by an administrator' }));
    await connection.request(LeaveGroup, { groupId: group.groupId, memberId: '', members });
  }

  async committedOffsets(groupId: string): Promise<CommittedOffset[]> {
    return this.#client.retrying(async () => {
      const connection = await this.#client.coordinator(groupId);
      // From version 8 on a request asks for several groups; version 9 is the last one that speaks of topics by name.
      const hasBatches = (connection.versionOf(OffsetFetch) ?? 0) >= 8;
      const request = hasBatches ? { groupId: '', groups: [{ groupId, topics: null }] } : { groupId, topics: null, groups: [] };
      const answer = await connection.request(OffsetFetch, request, { versionMax: 9 });
      const group = hasBatches ? answer.groups[0]! : answer;
      throwOn(group.errorCode, `group ${groupId}`);
      return group.topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, committedOffset, metadata }) => ({ topic: name, partition: partitionIndex, offset: committedOffset, metadata })),
      );
    });
  }

  /** Commits for a group without members. Throws where the group has some. */
  async commitOffsets(groupId: string, offsets: ReadonlyMap<TopicPartition, number>): Promise<void> {
    await this.#client.retrying(async () => {
      const connection = await this.#client.coordinator(groupId);
      const topics = byTopic([...offsets.keys()], (one) => ({ partitionIndex: one.partition, committedOffset: BigInt(offsets.get(one)!), committedMetadata: '' }));
      const answer = await connection.request(OffsetCommit, { groupId, generationIdOrMemberEpoch: -1, memberId: '', topics }, { versionMax: 9 });
      for (const topic of answer.topics) for (const { partitionIndex, errorCode } of topic.partitions) throwOn(errorCode, `${topic.name}-${partitionIndex} of group ${groupId}`);
    });
  }

  async #leaders(partitions: readonly TopicPartition[]): Promise<Map<number, TopicPartition[]>> {
    const leaders = new Map<number, TopicPartition[]>();
    for (const name of new Set(partitions.map(({ topic }) => topic))) {
      const topic = await this.#client.topic(name);
      for (const one of partitions.filter((partition) => partition.topic === name)) {
        const found = topic.partitions.find(({ partitionIndex }) => partitionIndex === one.partition);
        if (found === undefined) throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `topic ${name} has no partition ${one.partition}`);
        const own = leaders.get(found.leaderId);
        if (own === undefined) leaders.set(found.leaderId, [one]);
        else own.push(one);
      }
    }
    return leaders;
  }
}

/** Partitions in the shape that requests have them, topic by topic. */
export function byTopic<T>(partitions: readonly TopicPartition[], shape: (one: TopicPartition) => T): { name: string; partitions: T[] }[] {
  const topics = new Map<string, T[]>();
  for (const one of partitions) {
    const own = topics.get(one.topic);
    if (own === undefined) topics.set(one.topic, [shape(one)]);
    else own.push(shape(one));
  }
  return [...topics].map(([name, shaped]) => ({ name, partitions: shaped }));
}

const ZERO_ID = 'AAAAAAAAAAAAAAAAAAAAAA';
