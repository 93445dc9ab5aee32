/**
 * What every simulated client has: a machine of its own, connections to brokers, and the metadata that it knows.
 *
 * Promises: a request ends in its answer or in a ConnectionError; `leader` asks for metadata again when it was told that what it knows is old. Works on the
 * connection and the codecs of the product (src/client/connection.ts); the rest is its own.
 * Does not: repeat a request.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import { FindCoordinator, Metadata } from '../../protocol/messages/index.ts';
import type { AnyMessage, Api, Input, Value } from '../../protocol/schema.ts';
import { ClientConnection } from '../../src/client/connection.ts';
import { ConnectionError } from '../../src/runtime/connection-error.ts';
import type { Seeded } from '../storage/seeded.ts';
import type { History } from './history.ts';
import type { Invariants } from './invariants.ts';
import type { SimNetwork } from './network.ts';
import { Process, SimTimers } from './world.ts';
import type { World } from './world.ts';

const ZERO_ID = 'AAAAAAAAAAAAAAAAAAAAAA';
const RESPONSE_BYTES_MAX = 16 * 1024 * 1024;
const METADATA_AGE_MS_MAX = 3000;

export interface PartitionLeader {
  readonly topicId: string;
  readonly replicas: readonly number[];
  readonly leaderId: number;
  readonly leaderEpoch: number;
}

export interface ClientOptions {
  readonly world: World;
  readonly network: SimNetwork;
  readonly history: History;
  readonly invariants: Invariants;
  readonly name: string;
  readonly address: string;
  readonly bootstrap: readonly { readonly host: string; readonly port: number }[];
}

export class SimClient {
  readonly world: World;
  readonly history: History;
  readonly invariants: Invariants;
  readonly name: string;
  readonly random: Seeded;
  readonly process: Process;
  /** Takes up no new work; what is under way is brought to its end. */
  stopping = false;
  readonly #options: ClientOptions;
  readonly #timers: SimTimers;
  readonly #connections = new Map<string, Promise<ClientConnection>>();
  #brokers = new Map<number, { host: string; port: number }>();
  readonly #topics = new Map<string, { readonly id: string; readonly partitions: ReadonlyMap<number, PartitionLeader>; readonly atMs: number }>();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.world = options.world;
    this.history = options.history;
    this.invariants = options.invariants;
    this.name = options.name;
    this.process = new Process(options.name);
    this.random = options.world.random(`client ${options.name}`);
    this.#timers = new SimTimers(this.world, this.process, options.world.random(`turns of ${options.name}`));
  }

  /** The machine goes down: nothing that was asked is heard of again. */
  kill(): void {
    this.process.die();
    this.#options.network.end(this.#options.address, this.process, true);
  }

  pause(ms: number): Promise<void> {
    return this.world.pause(ms, this.process);
  }

  /** After a refusal: soon, but not at once. */
  backOff(): Promise<void> {
    return this.pause(20 + this.random.below(200));
  }

  // ---- connections

  async broker(id: number): Promise<ClientConnection> {
    const address = this.#brokers.get(id);
    if (address === undefined) throw new ConnectionError(`broker ${id} is not known`);
    return this.#connect(address);
  }

  async node(id: number): Promise<ClientConnection> {
    return this.#connect(this.#options.bootstrap[id - 1]!);
  }

  /** Whichever broker answers. */
  async any(): Promise<ClientConnection> {
    return this.#connect(this.random.pick(this.#options.bootstrap));
  }

  async ask<Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, input: Input<Q>, timeoutMs?: number): Promise<Value<S>> {
    const connection = await this.any();
    return connection.request(api, input, timeoutMs === undefined ? {} : { timeoutMs });
  }

  async #connect({ host, port }: { host: string; port: number }): Promise<ClientConnection> {
    const key = `${host}:${port}`;
    const existing = this.#connections.get(key);
    if (existing !== undefined) {
      const connection = await existing;
      if (connection.isOpen) return connection;
      this.#forget(key, existing);
      return this.#connect({ host, port });
    }
    const { network, address, name } = this.#options;
    const opening = ClientConnection.open({
      network: network.of(address, this.process), timers: this.#timers, host, port, clientId: name, connectTimeoutMs: 1500, requestTimeoutMs: 3000, responseBytesMax: RESPONSE_BYTES_MAX,
    });
    this.#connections.set(key, opening);
    opening.catch(() => this.#forget(key, opening));
    return opening;
  }

  #forget(key: string, opening: Promise<ClientConnection>): void {
    if (this.#connections.get(key) === opening) this.#connections.delete(key);
  }

  /** After an error on it: the next request makes another one. */
  drop(id: number): void {
    const address = this.#brokers.get(id);
    if (address === undefined) return;
    const key = `${address.host}:${address.port}`;
    const opening = this.#connections.get(key);
    this.#connections.delete(key);
    opening?.then((connection) => connection.close(), () => undefined);
  }

  // ---- metadata

  /** Throws a ConnectionError when nobody answers. */
  async metadata(topics: readonly string[] | null): Promise<Value<typeof Metadata.response>> {
    let connection: ClientConnection | undefined;
    for (let attempt = 0; connection === undefined; attempt++) {
      try {
        connection = await this.any();
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error;
      }
      if (attempt > 5) throw new ConnectionError('nobody answers');
    }
    const answer = await connection.request(Metadata, { topics: topics === null ? null : topics.map((name) => ({ name, topicId: ZERO_ID })), allowAutoTopicCreation: false });
    this.#brokers = new Map([...this.#brokers, ...answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }] as const)]);
    for (const topic of answer.topics) {
      if (topic.name === null || topic.errorCode !== ErrorCode.NONE) continue;
      const partitions = new Map(topic.partitions.map(({ partitionIndex, leaderId, leaderEpoch, replicaNodes: replicas }) => [partitionIndex, { topicId: topic.topicId, leaderId, leaderEpoch, replicas }]));
      const known = this.#topics.get(topic.name);
      // What a broker that lags behind says is older than what is known.
      for (const [index, partition] of partitions) {
        const before = known?.id === topic.topicId ? known.partitions.get(index) : undefined;
        if (before !== undefined && before.leaderEpoch > partition.leaderEpoch) partitions.set(index, before);
      }
      this.#topics.set(topic.name, { id: topic.topicId, partitions, atMs: this.world.nowMs });
    }
    return answer;
  }

  /** What is known of who leads; asks when nothing is, or when `isOld`. Throws a ConnectionError when there is nobody. */
  async leader(topic: string, partition: number, isOld = false): Promise<PartitionLeader> {
    const known = this.#topics.get(topic);
    if (known === undefined || isOld || this.world.nowMs - known.atMs > METADATA_AGE_MS_MAX) await this.metadata([topic]);
    const found = this.#topics.get(topic)?.partitions.get(partition);
    if (found === undefined || found.leaderId < 0) throw new ConnectionError(`${topic}-${partition} has no leader`);
    return found;
  }

  /** Throws a ConnectionError when there is none now. */
  async coordinator(groupId: string): Promise<number> {
    const answer = await this.ask(FindCoordinator, { key: '', keyType: 0, coordinatorKeys: [groupId] });
    const found = answer.coordinators[0];
    if (found === undefined || found.errorCode !== ErrorCode.NONE) throw new ConnectionError(`group ${groupId} has no coordinator: ${found?.errorCode}`);
    this.#brokers.set(found.nodeId, { host: found.host, port: found.port });
    return found.nodeId;
  }
}

/** What a request may end with besides its answer. */
export function isLost(error: unknown): error is ConnectionError {
  return error instanceof ConnectionError;
}
