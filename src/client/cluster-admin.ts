/**
 * What an operator may ask of the cluster itself: its quorum, where replicas are and shall be, who leads, settings of brokers and topics. Single requests, tried again
 * while the controller moves. Errors of single partitions are given back where the caller shows them, and thrown where one is enough to fail. Does not print.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import {
  AddRaftVoter, AlterPartitionReassignments, DescribeConfigs, DescribeQuorum, ElectLeaders, IncrementalAlterConfigs, ListPartitionReassignments, RemoveRaftVoter,
} from '../../protocol/messages/index.ts';
import type { AnyMessage, Api, Input, Value } from '../../protocol/schema.ts';
import { throwOn } from '../client.ts';
import type { Client } from '../client.ts';
import { byTopic } from './admin.ts';
import type { TopicPartition } from './admin.ts';
import type { ClientConnection } from './connection.ts';

export type QuorumDescription = Pick<Value<typeof DescribeQuorum.response>['topics'][number]['partitions'][number], 'leaderId' | 'leaderEpoch' | 'highWatermark' | 'currentVoters' | 'observers'> &
  Pick<Value<typeof DescribeQuorum.response>, 'nodes'>;

export interface VoterEndpoint {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface Reassignment extends TopicPartition {
  readonly replicas: readonly number[];
  readonly addingReplicas: readonly number[];
  readonly removingReplicas: readonly number[];
}

export interface PartitionOutcome extends TopicPartition {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

export const ResourceKind = { TOPIC: 2, BROKER: 4 } as const;
export type ResourceKind = (typeof ResourceKind)[keyof typeof ResourceKind];

/** Values that are set; null takes the setting away. */
export interface ConfigChange {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly values: ReadonlyMap<string, string | null>;
}

const METADATA_TOPIC = '__cluster_metadata';
const ConfigOperation = { SET: 0, DELETE: 1 } as const;
/** Where a value comes from that was set for the resource itself. */
const OWN_SOURCES: Readonly<Record<ResourceKind, number>> = { [ResourceKind.TOPIC]: 1, [ResourceKind.BROKER]: 2 };

export class ClusterAdmin {
  readonly #client: Client;
  readonly #isOfControllers: boolean;

  /** `isOfControllers`: the client's bootstrap servers are controllers, which serve when no broker does. They know quorum, elections, moves and settings. */
  constructor(client: Client, { isOfControllers = false }: { readonly isOfControllers?: boolean } = {}) {
    this.#client = client;
    this.#isOfControllers = isOfControllers;
  }

  async clusterId(): Promise<string | null> {
    return this.#isOfControllers ? (await this.#client.retrying(() => this.#client.activeController())).clusterId : (await this.#client.metadata([])).clusterId;
  }

  async #request<Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, input: Input<Q>): Promise<Value<S>> {
    return (await this.#connect()).request(api, input);
  }

  async #connect(): Promise<ClientConnection> {
    return this.#isOfControllers ? (await this.#client.activeController()).connection : this.#client.any();
  }

  quorum(): Promise<QuorumDescription> {
    return this.#client.retrying(async () => {
      const answer = await this.#request(DescribeQuorum, { topics: [{ topicName: METADATA_TOPIC, partitions: [{ partitionIndex: 0 }] }] });
      throwOn(answer.errorCode, 'the quorum', answer.errorMessage);
      const partition = answer.topics[0]?.partitions[0];
      if (partition === undefined) throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, 'the quorum: the answer has no partition');
      throwOn(partition.errorCode, 'the quorum', partition.errorMessage);
      return { ...partition, nodes: answer.nodes };
    });
  }

  /** Resolves when the voter is one: its set is committed by old and new voters. */
  async addVoter(voter: { readonly clusterId: string | null; readonly id: number; readonly directoryId: string; readonly endpoints: readonly VoterEndpoint[] }): Promise<void> {
    const { clusterId, id, directoryId, endpoints } = voter;
    const answer = await this.#once(AddRaftVoter, { clusterId, timeoutMs: this.#client.requestTimeoutMs, voterId: id, voterDirectoryId: directoryId, listeners: endpoints });
    throwOn(answer.errorCode, `voter ${id}`, answer.errorMessage);
  }

  async removeVoter({ clusterId, id, directoryId }: { readonly clusterId: string | null; readonly id: number; readonly directoryId: string }): Promise<void> {
    const answer = await this.#once(RemoveRaftVoter, { clusterId, voterId: id, voterDirectoryId: directoryId });
    throwOn(answer.errorCode, `voter ${id}`, answer.errorMessage);
  }

  /** null for all partitions: then only those are told that had something to elect. */
  electLeaders(kind: 'preferred' | 'unclean', partitions: readonly TopicPartition[] | null): Promise<PartitionOutcome[]> {
    const topicPartitions = partitions === null ? null : byTopic(partitions, ({ partition }) => partition).map(({ name, partitions: own }) => ({ topic: name, partitions: own }));
    return this.#client.retrying(async () => {
      const answer = await this.#request(ElectLeaders, { electionType: kind === 'preferred' ? 0 : 1, topicPartitions, timeoutMs: this.#client.requestTimeoutMs });
      throwOn(answer.errorCode, 'elections');
      return answer.replicaElectionResults.flatMap(({ topic, partitionResult }) => partitionResult.map(({ partitionId, errorCode, errorMessage }) => ({ topic, partition: partitionId, errorCode, errorMessage })));
    });
  }

  /** null in place of replicas cancels. Every partition is tried. */
  async reassign(targets: ReadonlyMap<TopicPartition, readonly number[] | null>): Promise<PartitionOutcome[]> {
    const topics = byTopic([...targets.keys()], (one) => ({ partitionIndex: one.partition, replicas: targets.get(one)! }));
    return this.#client.retrying(async () => {
      const answer = await this.#request(AlterPartitionReassignments, { timeoutMs: this.#client.requestTimeoutMs, topics });
      throwOn(answer.errorCode, 'reassignment', answer.errorMessage);
      return answer.responses.flatMap(({ name, partitions }) => partitions.map(({ partitionIndex, errorCode, errorMessage }) => ({ topic: name, partition: partitionIndex, errorCode, errorMessage })));
    });
  }

  /** Those that are under way, of all partitions or of these. */
  reassignments(partitions: readonly TopicPartition[] | null = null): Promise<Reassignment[]> {
    const topics = partitions === null ? null : byTopic(partitions, ({ partition }) => partition).map(({ name, partitions: partitionIndexes }) => ({ name, partitionIndexes }));
    return this.#client.retrying(async () => {
      const answer = await this.#request(ListPartitionReassignments, { timeoutMs: this.#client.requestTimeoutMs, topics });
      throwOn(answer.errorCode, 'reassignments', answer.errorMessage);
      return answer.topics.flatMap(({ name, partitions: found }) =>
        found.map(({ partitionIndex, replicas, addingReplicas, removingReplicas }) => ({ topic: name, partition: partitionIndex, replicas, addingReplicas, removingReplicas })),
      );
    });
  }

  /** Throws for the first that is refused. */
  async alterConfigs(changes: readonly ConfigChange[]): Promise<void> {
    // A broker takes changes of its own settings only: it has to say whether they can be.
    for (const change of changes.filter(({ kind }) => kind === ResourceKind.BROKER)) await this.#alterConfigs([change], () => this.#client.broker(Number(change.name)));
    const others = changes.filter(({ kind }) => kind !== ResourceKind.BROKER);
    if (others.length > 0) await this.#alterConfigs(others, () => this.#connect());
  }

  #alterConfigs(changes: readonly ConfigChange[], connect: () => Promise<ClientConnection>): Promise<void> {
    const resources = changes.map(({ kind, name, values }) => ({
      resourceType: kind,
      resourceName: name,
      configs: [...values].map(([setting, value]) => ({ name: setting, configOperation: value === null ? ConfigOperation.DELETE : ConfigOperation.SET, value })),
    }));
    return this.#client.retrying(async () => {
      const answer = await (await connect()).request(IncrementalAlterConfigs, { resources, validateOnly: false });
      for (const { errorCode, errorMessage, resourceType, resourceName } of answer.responses) throwOn(errorCode, `settings of ${resourceType === ResourceKind.TOPIC ? 'topic' : 'broker'} ${resourceName}`, errorMessage);
    });
  }

  /** The values of these settings that were set for the resource itself. */
  async ownConfigs(kind: ResourceKind, names: readonly string[], settings: readonly string[]): Promise<Map<string, Map<string, string>>> {
    const found = new Map<string, Map<string, string>>();
    for (const name of names) {
      const request = { resources: [{ resourceType: kind, resourceName: name, configurationKeys: settings }], includeSynonyms: false };
      // A broker tells of its own settings only.
      const answer = await this.#client.retrying(async () => (kind === ResourceKind.BROKER ? (await this.#client.broker(Number(name))).request(DescribeConfigs, request) : this.#request(DescribeConfigs, request)));
      const result = answer.results[0]!;
      throwOn(result.errorCode, name, result.errorMessage);
      found.set(name, new Map(result.configs.filter(({ configSource, value }) => configSource === OWN_SOURCES[kind] && value !== null).map((one) => [one.name, one.value!])));
    }
    return found;
  }

  /** To a controller that may be another next time: only what has surely not been done is tried again. */
  #once<Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, input: Input<Q>): Promise<Value<S>> {
    return this.#client.retrying(async () => {
      const answer = await this.#request(api, input);
      const { errorCode } = answer as { errorCode: number };
      if (errorCode === ErrorCode.NOT_CONTROLLER || errorCode === ErrorCode.NOT_LEADER_OR_FOLLOWER) throwOn(errorCode, api.name);
      return answer;
    });
  }
}
