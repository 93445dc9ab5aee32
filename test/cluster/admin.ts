/**
 * What the cluster tests ask a cluster: who leads what, who is in sync, who is the active controller; and what they have it do. By whichever node answers.
 * Promises: a request that got no answer is tried at the next running node until `timeoutMs`; errors in answers are thrown with their names.
 * Does not: trust one node's view where it may be old: of several views of a partition that of the highest leader epoch counts.
 */
import type { ClusterNode, ClusterProcesses } from '../../bench/cluster-process.ts';
import { ErrorCode, KafkaError, errorName } from '../../protocol/errors.ts';
import {
  AlterPartitionReassignments, CreateTopics, DescribeQuorum, ElectLeaders, FindCoordinator, IncrementalAlterConfigs, ListOffsets, ListPartitionReassignments, Metadata, OffsetFetch,
} from '../../protocol/messages/index.ts';
import type { AnyMessage, Api, Input, Value } from '../../protocol/schema.ts';
import { type AskOptions, ClientConnection } from '../../src/client/connection.ts';
import { ConnectionError } from '../../src/runtime/connection-error.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';

export interface PartitionView {
  readonly topic: string;
  readonly partition: number;
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

export interface QuorumView {
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly highWatermark: number;
  readonly voters: readonly number[];
  /** Of each voter, all zeros in a static quorum. */
  readonly directoryIds: ReadonlyMap<number, string>;
}

const METADATA_TOPIC = '__cluster_metadata';
const ZERO_ID = 'AAAAAAAAAAAAAAAAAAAAAA';
const PREFERRED = 0;
const LATEST = -1;
/** From 10 on it has topic ids. */
const OFFSET_FETCH_BY_NAME = 9;
const [TOPIC_RESOURCE, BROKER_RESOURCE] = [2, 4];
const [SET, UNSET] = [0, 1];
const SETTING_MS_MAX = 30_000;
const ASK_AGAIN_MS = 25;
const REQUEST_TIMEOUT_MS = 3_000;

export class ClusterAdmin {
  readonly #cluster: ClusterProcesses;
  readonly #runtime = nodeRuntime();
  readonly #open = new Map<number, ClientConnection>();
  /** Nodes that are not asked: cut off from the rest, their view is not the cluster's. */
  readonly unasked = new Set<number>();

  constructor(cluster: ClusterProcesses) {
    this.#cluster = cluster;
  }

  close(): void {
    for (const connection of this.#open.values()) connection.close();
    this.#open.clear();
  }

  /** Asks one node; rejects with a ConnectionError when it does not answer. */
  async askNode<Q extends AnyMessage, S extends AnyMessage>(node: ClusterNode, api: Api<Q, S>, input: Input<Q>, options: AskOptions = {}): Promise<Value<S>> {
    let connection = this.#open.get(node.id);
    if (!connection?.isOpen) {
      const { network, timers } = this.#runtime;
      connection = await ClientConnection.open({
        network, timers, host: node.host, port: node.port, clientId: 'cluster-test', connectTimeoutMs: 1_000, requestTimeoutMs: REQUEST_TIMEOUT_MS, responseBytesMax: 2 ** 28,
      });
      this.#open.set(node.id, connection);
    }
    try {
      return await connection.request(api, input, options);
    } catch (error) {
      // A node that is paused does not close its connection, and would take REQUEST_TIMEOUT_MS again.
      connection.close();
      throw error;
    }
  }

  /** Asks the running brokers in turn until one answers with something else than what `again` names. */
  async ask<Q extends AnyMessage, S extends AnyMessage>(
    api: Api<Q, S>, input: Input<Q>, options: { readonly timeoutMs?: number; readonly again?: (answer: Value<S>) => boolean } = {},
  ): Promise<Value<S>> {
    const { timeoutMs = 60_000, again = () => false } = options;
    let trouble = 'no node runs';
    for (const sinceMs = performance.now(); performance.now() - sinceMs < timeoutMs;) {
      for (const node of this.#cluster.brokers) {
        if (!node.isRunning || node.isPaused || this.unasked.has(node.id)) continue;
        try {
          const answer = await this.askNode(node, api, input);
          if (!again(answer)) return answer;
          trouble = `node ${node.id} answers ${JSON.stringify(answer, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)).slice(0, 500)}`;
        } catch (error) {
          if (!(error instanceof ConnectionError)) throw error;
          trouble = error.message;
        }
      }
      await sleep(ASK_AGAIN_MS);
    }
    throw new Error(`${api.name} got no good answer in ${timeoutMs} ms: ${trouble}`);
  }

  async createTopic(options: { readonly topic: string; readonly partitions: number; readonly replicas?: number; readonly assignments?: readonly (readonly number[])[]; readonly configs?: Readonly<Record<string, string>> }): Promise<void> {
    const { topic, partitions, assignments } = options;
    const answer = await this.ask(CreateTopics, {
      topics: [{
        name: topic,
        numPartitions: assignments ? -1 : partitions,
        replicationFactor: assignments ? -1 : (options.replicas ?? Math.min(3, this.#cluster.brokers.length)),
        assignments: (assignments ?? []).map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds: [...brokerIds] })),
        configs: Object.entries(options.configs ?? {}).map(([name, value]) => ({ name, value })),
      }],
      timeoutMs: 30_000,
    }, {
      // A cluster that has just come up may know of fewer brokers than it has, and a controller that has just been elected may have answered its predecessor's client.
      again: ({ topics }) => [ErrorCode.INVALID_REPLICATION_FACTOR, ErrorCode.NOT_CONTROLLER, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.UNKNOWN_SERVER_ERROR].includes(topics[0]!.errorCode as never),
    });
    const { errorCode, errorMessage } = answer.topics[0]!;
    if (errorCode !== ErrorCode.NONE && errorCode !== ErrorCode.TOPIC_ALREADY_EXISTS) throw new Error(`creating ${topic}: ${errorName(errorCode)}: ${errorMessage ?? ''}`);
  }

  /** All partitions of the topics as the node of the newest view has them. Topics that nobody knows are left out. */
  async partitions(...topics: readonly string[]): Promise<PartitionView[]> {
    const answer = await this.ask(Metadata, { topics: topics.map((name) => ({ name, topicId: ZERO_ID })), allowAutoTopicCreation: false });
    return viewsOf(answer);
  }

  /** The same as `node` sees it. */
  async partitionsAt(node: ClusterNode, ...topics: readonly string[]): Promise<PartitionView[]> {
    return viewsOf(await this.askNode(node, Metadata, { topics: topics.map((name) => ({ name, topicId: ZERO_ID })), allowAutoTopicCreation: false }));
  }

  async quorum(): Promise<QuorumView> {
    const answer = await this.ask(DescribeQuorum, { topics: [{ topicName: METADATA_TOPIC, partitions: [{ partitionIndex: 0 }] }] }, {
      again: ({ errorCode, topics }) => errorCode !== ErrorCode.NONE || topics[0]?.partitions[0]?.errorCode !== ErrorCode.NONE || topics[0].partitions[0].leaderId < 0,
    });
    const { leaderId, leaderEpoch, highWatermark, currentVoters } = answer.topics[0]!.partitions[0]!;
    return { leaderId, leaderEpoch, highWatermark, voters: currentVoters.map(({ replicaId }) => replicaId), directoryIds: new Map(currentVoters.map((voter) => [voter.replicaId, voter.replicaDirectoryId])) };
  }

  /** Waits until every partition of the topics is led and all its replicas are in sync, as all running brokers see it. */
  async settled(topics: readonly string[], timeoutMs = 60_000): Promise<void> {
    let trouble = '';
    for (const sinceMs = performance.now(); performance.now() - sinceMs < timeoutMs;) {
      trouble = '';
      for (const node of this.#cluster.brokers) {
        if (!node.isRunning || node.isPaused || this.unasked.has(node.id)) continue;
        try {
          const views = await this.partitionsAt(node, ...topics);
          for (const topic of topics) if (!views.some((view) => view.topic === topic)) trouble = `node ${node.id} does not know ${topic}`;
          for (const view of views) {
            if (view.leader < 0) trouble = `node ${node.id} sees ${view.topic}-${view.partition} without leader`;
            else if (view.isr.length < view.replicas.length) trouble = `node ${node.id} sees ${view.topic}-${view.partition} in sync on ${view.isr.join(',')} of ${view.replicas.join(',')}`;
          }
        } catch (error) {
          if (!(error instanceof ConnectionError)) throw error;
          trouble = error.message;
        }
      }
      if (trouble === '') return;
      await sleep(ASK_AGAIN_MS);
    }
    throw new Error(`not settled after ${timeoutMs} ms: ${trouble}`);
  }

  /** Asks for the preferred leaders of these partitions. Needing none is fine, and so is one that cannot lead just now: whoever needs it looks, and asks again. */
  async electPreferred(topic: string, partitions: readonly number[]): Promise<void> {
    const answer = await this.ask(ElectLeaders, { electionType: PREFERRED, topicPartitions: [{ topic, partitions: [...partitions] }], timeoutMs: 30_000 }, {
      again: ({ errorCode }) => errorCode === ErrorCode.NOT_CONTROLLER,
    });
    const fine: readonly number[] = [ErrorCode.NONE, ErrorCode.ELECTION_NOT_NEEDED, ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE];
    if (!fine.includes(answer.errorCode)) throw new Error(`ElectLeaders: ${errorName(answer.errorCode)}`);
    for (const each of answer.replicaElectionResults.flatMap(({ partitionResult }) => partitionResult))
      if (!fine.includes(each.errorCode)) throw new Error(`electing the leader of ${topic}-${each.partitionId}: ${errorName(each.errorCode)}: ${each.errorMessage ?? ''}`);
  }

  /** `replicas` by partition; the first one is the preferred leader. null cancels. */
  async reassign(topic: string, targets: ReadonlyMap<number, readonly number[] | null>): Promise<void> {
    const answer = await this.ask(AlterPartitionReassignments, {
      timeoutMs: 30_000,
      topics: [{ name: topic, partitions: [...targets].map(([partitionIndex, replicas]) => ({ partitionIndex, replicas: replicas === null ? null : [...replicas] })) }],
    }, { again: ({ errorCode }) => errorCode === ErrorCode.NOT_CONTROLLER });
    if (answer.errorCode !== ErrorCode.NONE) throw new Error(`AlterPartitionReassignments: ${errorName(answer.errorCode)}: ${answer.errorMessage ?? ''}`);
    for (const { partitionIndex, errorCode, errorMessage } of answer.responses.flatMap(({ partitions }) => partitions))
      if (errorCode !== ErrorCode.NONE) throw new Error(`reassigning ${topic}-${partitionIndex}: ${errorName(errorCode)}: ${errorMessage ?? ''}`);
  }

  /** What the group has committed in the topic, by partition; those without an offset are left out. */
  committed(groupId: string, topic: string, partitions: readonly number[], timeoutMs = 60_000): Promise<Map<number, number>> {
    return this.#until(`the offsets of ${groupId}`, timeoutMs, async () => {
      const { coordinators } = await this.ask(FindCoordinator, { keyType: 0, coordinatorKeys: [groupId] }, { again: ({ coordinators: [found] }) => found?.errorCode !== ErrorCode.NONE });
      const answer = await this.askNode(this.#cluster.node(coordinators[0]!.nodeId), OffsetFetch, {
        groups: [{ groupId, topics: [{ name: topic, partitionIndexes: [...partitions] }] }], requireStable: false,
      }, { versionMax: OFFSET_FETCH_BY_NAME });
      const [group] = answer.groups;
      const found = group!.topics.flatMap((each) => each.partitions);
      check(group!.errorCode, ...found.map(({ errorCode }) => errorCode));
      return new Map(found.filter(({ committedOffset }) => committedOffset >= 0).map((each) => [each.partitionIndex, Number(each.committedOffset)]));
    });
  }

  /** The high watermarks of a topic, by partition. */
  ends(topic: string, timeoutMs = 60_000): Promise<Map<number, number>> {
    return this.#until(`the ends of ${topic}`, timeoutMs, async () => {
      const ends = new Map<number, number>();
      for (const { leader, partition } of await this.partitions(topic)) {
        const { topics } = await this.askNode(this.#cluster.node(leader), ListOffsets, {
          replicaId: -1, isolationLevel: 0, topics: [{ name: topic, partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp: LATEST }] }],
        });
        const [found] = topics[0]!.partitions;
        check(found!.errorCode);
        ends.set(partition, Number(found!.offset));
      }
      return ends;
    });
  }

  /** Asks again while nodes do not answer, or answer with an error. */
  async #until<T>(what: string, timeoutMs: number, ask: () => Promise<T>): Promise<T> {
    let trouble = '';
    for (const sinceMs = performance.now(); performance.now() - sinceMs < timeoutMs; await sleep(ASK_AGAIN_MS)) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof ConnectionError) && !(error instanceof KafkaError)) throw error;
        trouble = error.message;
      }
    }
    throw new Error(`${what} are not told after ${timeoutMs} ms: ${trouble}`);
  }

  /** Sets or, with null, unsets a dynamic setting of a topic, or of a broker, which takes only its own. */
  async setConfig(of: { readonly broker: number } | { readonly topic: string }, name: string, value: string | null): Promise<void> {
    const isBroker = 'broker' in of;
    const resource = { resourceType: isBroker ? BROKER_RESOURCE : TOPIC_RESOURCE, resourceName: isBroker ? String(of.broker) : of.topic, configs: [{ name, configOperation: value === null ? UNSET : SET, value }] };
    await this.#until(`the setting ${name} of ${resource.resourceName}`, SETTING_MS_MAX, async () => {
      const input = { resources: [resource], validateOnly: false };
      const { responses } = await (isBroker ? this.askNode(this.#cluster.node(of.broker), IncrementalAlterConfigs, input) : this.ask(IncrementalAlterConfigs, input));
      check(responses[0]!.errorCode);
    });
  }

  async reassignmentsLeft(): Promise<number> {
    const answer = await this.ask(ListPartitionReassignments, { timeoutMs: 30_000, topics: null }, { again: ({ errorCode }) => errorCode === ErrorCode.NOT_CONTROLLER });
    if (answer.errorCode !== ErrorCode.NONE) throw new Error(`ListPartitionReassignments: ${errorName(answer.errorCode)}`);
    return answer.topics.reduce((sum, { partitions }) => sum + partitions.length, 0);
  }

  async reassigned(timeoutMs = 120_000): Promise<void> {
    for (const sinceMs = performance.now(); (await this.reassignmentsLeft()) > 0; await sleep(ASK_AGAIN_MS))
      if (performance.now() - sinceMs > timeoutMs) throw new Error(`reassignments are not done after ${timeoutMs} ms`);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** Throws the first error of an answer. */
function check(...codes: readonly number[]): void {
  const wrong = codes.find((code) => code !== ErrorCode.NONE);
  if (wrong !== undefined) throw new KafkaError(wrong as ErrorCode);
}

function viewsOf(answer: Value<typeof Metadata.response>): PartitionView[] {
  return answer.topics.flatMap(({ name, partitions }) => partitions.map((each) => ({
    topic: name!, partition: each.partitionIndex, leader: each.leaderId, leaderEpoch: each.leaderEpoch, replicas: each.replicaNodes, isr: each.isrNodes,
  })));
}
