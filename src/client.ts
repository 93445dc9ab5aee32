/**
 * A small Kafka client of ours, for the commands and the library: finds brokers, leaders and coordinators, and tries again what may be tried
 * again until a deadline.
 *
 * Promises: one connection a broker; a call ends in its answer or in an error that says which broker did what. Does not: authenticate, or
 * hide what an answer says of single topics and partitions.
 */
import { ErrorCode, errorMessage, errorName, isRetriable, KafkaError } from '../protocol/errors.ts';
import { DescribeCluster, FindCoordinator, Metadata } from '../protocol/messages/index.ts';
import type { AnyMessage, Api, Input, Value } from '../protocol/schema.ts';
import { addressText, ClientConnection } from './client/connection.ts';
import { ConnectionError } from './runtime/connection-error.ts';
import type { Clock, Network, Timers } from './runtime/runtime.ts';

export interface ClientOptions {
  /** `host:port`, one is enough. */
  readonly bootstrapServers: readonly string[];
  readonly runtime: { readonly clock: Clock; readonly timers: Timers; readonly network: Network };
  readonly clientId?: string;
  readonly connectTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** How long what may be tried again is tried again. */
  readonly retryMs?: number;
  readonly responseBytesMax?: number;
}

export type ClusterMetadata = Value<typeof Metadata.response>;
export type TopicMetadata = ClusterMetadata['topics'][number];

const RETRY_DELAY_MS_MIN = 20;
const RETRY_DELAY_MS_MAX = 1000;

export class Client {
  readonly #options: Required<ClientOptions>;
  readonly #bootstrap: readonly Address[];
  readonly #connections = new Map<string, Promise<ClientConnection>>();
  #brokers = new Map<number, Address>();
  #closed = false;
  /** Some broker has been connected to. */
  #hasReached = false;

  constructor(options: ClientOptions) {
    this.#options = { clientId: 'ottla', connectTimeoutMs: 10_000, requestTimeoutMs: 30_000, retryMs: 30_000, responseBytesMax: 256 * 1024 * 1024, ...options };
    this.#bootstrap = options.bootstrapServers.map(parseAddress);
  }

  get runtime(): ClientOptions['runtime'] {
    return this.#options.runtime;
  }

  get requestTimeoutMs(): number {
    return this.#options.requestTimeoutMs;
  }

  /** A connection to whichever broker answers, those of the last metadata and then the bootstrap servers. */
  async any(): Promise<ClientConnection> {
    let last: Error | undefined;
    for (const address of [...this.#brokers.values(), ...this.#bootstrap]) {
      try {
        return await this.#connect(address);
      } catch (error) {
        last = error as Error;
      }
    }
    throw last ?? new ConnectionError('no bootstrap servers');
  }

  /** A connection to the broker of this id, as the cluster names it. */
  async broker(id: number): Promise<ClientConnection> {
    if (!this.#brokers.has(id)) await this.metadata([]);
    const address = this.#brokers.get(id);
    if (address === undefined) throw new KafkaError(ErrorCode.BROKER_NOT_AVAILABLE, `broker ${id} is not in the cluster`);
    try {
      return await this.#connect(address);
    } catch (error) {
      // The usual trap of containers: the cluster's name for itself is not reachable from here.
      const servers = this.#bootstrap.map(({ host, port }) => addressText(host, port)).join(',');
      if (!(error instanceof ConnectionError)) throw error;
      throw new ConnectionError(`${error.message} (broker ${id} as advertised by ${servers}; its advertised.listeners may not fit this network)`, { cause: error });
    }
  }

  /** What the cluster says of topics: null for all of them. Unknown ones come with their error. */
  async metadata(topics: readonly string[] | null, options: { allowAutoTopicCreation?: boolean } = {}): Promise<ClusterMetadata> {
    const connection = await this.any();
    const answer = await connection.request(Metadata, {
      topics: topics === null ? null : topics.map((name) => ({ name, topicId: ZERO_ID })),
      allowAutoTopicCreation: options.allowAutoTopicCreation ?? false,
    });
    this.#brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    return answer;
  }

  /** The topic with all its leaders; waits while it is being made. Throws UNKNOWN_TOPIC_OR_PARTITION. */
  topic(name: string, options: { allowAutoTopicCreation?: boolean } = {}): Promise<TopicMetadata> {
    return this.retrying(async () => {
      const topic = (await this.metadata([name], options)).topics[0];
      if (topic === undefined) throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `topic ${name}`);
      // Unknown counts as retriable in Kafka, for metadata that is on its way; here it is only while a topic is being made.
      if (topic.errorCode === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION && options.allowAutoTopicCreation !== true) {
        throw new FinalError(topic.errorCode, `there is no topic ${name}`);
      }
      throwOn(topic.errorCode, `topic ${name}`);
      for (const partition of topic.partitions) {
        if (partition.leaderId < 0) throw new KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, `partition ${partition.partitionIndex} of ${name} has no leader`);
      }
      return topic;
    });
  }

  /** A connection to the coordinator of a group. */
  async coordinator(groupId: string): Promise<ClientConnection> {
    const connection = await this.any();
    const hasBatches = (connection.versionOf(FindCoordinator) ?? 0) >= 4;
    const answer = await connection.request(FindCoordinator, hasBatches ? { key: '', keyType: 0, coordinatorKeys: [groupId], } : { key: groupId, keyType: 0, coordinatorKeys: [] });
    const found = hasBatches ? answer.coordinators[0]! : answer;
    throwOn(found.errorCode, `coordinator of group ${groupId}`, found.errorMessage);
    this.#brokers.set(found.nodeId, { host: found.host, port: found.port });
    return this.broker(found.nodeId);
  }

  /** A connection to the active controller, whose address controllers at the bootstrap addresses tell (KIP-919). Throws NOT_CONTROLLER while there is none. */
  async activeController(): Promise<{ connection: ClientConnection; clusterId: string }> {
    const asked = await this.any();
    const { errorCode, errorMessage: said, controllerId, brokers, clusterId } = await asked.request(DescribeCluster, { includeClusterAuthorizedOperations: false, endpointType: CONTROLLERS, includeFencedBrokers: false });
    throwOn(errorCode, `controllers at ${asked.address}`, said);
    const active = brokers.find(({ brokerId }) => brokerId === controllerId);
    if (active === undefined) throw new KafkaError(ErrorCode.NOT_CONTROLLER, `${asked.address} knows no active controller`);
    return { connection: await this.#connect({ host: active.host, port: active.port }), clusterId };
  }

  async request<Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, input: Input<Q>): Promise<Value<S>> {
    return (await this.any()).request(api, input);
  }

  /**
   * Runs `attempt` until it succeeds, fails for good, or the time is up. Retriable errors of Kafka's and lost connections are tried again; not where no
   * connection has ever been made, for then the address is wrong more often than the time.
   */
  async retrying<T>(attempt: () => Promise<T>, retryMs = this.#options.retryMs): Promise<T> {
    const { clock } = this.#options.runtime;
    const deadlineMs = clock.monotonicMs() + retryMs;
    for (let delayMs = RETRY_DELAY_MS_MIN; ; delayMs = Math.min(delayMs * 2, RETRY_DELAY_MS_MAX)) {
      try {
        return await attempt();
      } catch (error) {
        if (this.#closed || !isTransient(error) || (error instanceof ConnectionError && !this.#hasReached) || clock.monotonicMs() + delayMs > deadlineMs) throw error;
      }
      await this.pause(delayMs);
    }
  }

  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#options.runtime.timers.after(delayMs, resolve));
  }

  close(): void {
    this.#closed = true;
    for (const opening of this.#connections.values()) opening.then((connection) => connection.finish(), () => undefined);
    this.#connections.clear();
  }

  async #connect(address: Address): Promise<ClientConnection> {
    const key = addressText(address.host, address.port);
    const existing = this.#connections.get(key);
    if (existing !== undefined) {
      const connection = await existing;
      if (connection.isOpen) return connection;
      if (this.#connections.get(key) === existing) this.#connections.delete(key);
      return this.#connect(address);
    }
    const { runtime, clientId, connectTimeoutMs, requestTimeoutMs, responseBytesMax } = this.#options;
    const { network, timers } = runtime;
    const opening = ClientConnection.open({ ...address, network, timers, clientId, connectTimeoutMs, requestTimeoutMs, responseBytesMax });
    this.#connections.set(key, opening);
    // A failed attempt must not be what the next one finds.
    opening.then(() => (this.#hasReached = true), () => this.#connections.get(key) === opening && this.#connections.delete(key));
    return opening;
  }
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Of DescribeCluster's endpoint types. */
const CONTROLLERS = 2;
const ZERO_ID = 'AAAAAAAAAAAAAAAAAAAAAA';

/** An error that is not tried again, whatever its code. */
class FinalError extends KafkaError {}

function isTransient(error: unknown): boolean {
  if (error instanceof FinalError) return false;
  return error instanceof ConnectionError || (error instanceof KafkaError && isRetriable(error.code));
}

/** Throws the error that a code of an answer stands for. */
export function throwOn(code: number, about: string, message?: string | null): void {
  if (code === ErrorCode.NONE) return;
  throw new KafkaError(code as ErrorCode, `${about}: ${message ?? errorMessage(code) ?? errorName(code)} (${errorName(code)})`);
}

/** `host:port`, `[v6]:port`, `PLAINTEXT://host:port`; the port is 9092 when it is left out. Throws a RangeError. */
export function parseAddress(text: string): Address {
  const match = /^(?:[a-zA-Z_]+:\/\/)?(?:\[([^\]]+)\]|([^:[\]/]+))(?::([0-9]{1,5}))?$/.exec(text.trim());
  const port = match?.[3] === undefined ? 9092 : Number(match[3]);
  if (match === null || port > 65_535) throw new RangeError(`'${text}' is no server address, it should be HOST:PORT`);
  return { host: match[1] ?? match[2]!, port };
}
