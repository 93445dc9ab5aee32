/**
 * A node: its rooms put together, started in order and taken apart in order.
 *
 * Promises: `start` resolves when everything that clients use is there: the metadata, a leader for every partition, loaded coordinators; connections that came
 * earlier are served then. It rejects, with nothing left open or locked, when a port is taken, a directory is somebody else's, or the disk refuses. `stop` answers
 * what is being served, leaves the files as a clean shutdown does, and leaves no handle open.
 * Does not read a command line, environment or settings file.
 */
import { ErrorCode, KafkaError } from '../protocol/errors.ts';
import { MemoryDisk } from '../storage/memory-disk.ts';
import { BufferPool } from '../storage/buffer-pool.ts';
import { servedApis } from './api/index.ts';
import { askSelf } from './api/inner.ts';
import type { Node, NodeEndpoint } from './api/node.ts';
import type { ConnectionInfo } from './api/serve.ts';
import { GroupCoordinator } from './coordinator/group-coordinator.ts';
import { openDirectories } from './data-directories.ts';
import type { OpenedDirectories } from './data-directories.ts';
import type { MetadataChanges } from './quorum/changes.ts';
import type { Controller } from './quorum/controller.ts';
import { DynamicSettings } from './quorum/dynamic-settings.ts';
import { SUPPORTED_FEATURES } from './quorum/features.ts';
import type { MetadataImage } from './quorum/image.ts';
import { openQuorum } from './quorum/quorum.ts';
import type { Quorum } from './quorum/quorum.ts';
import { GROUP_METADATA_TOPIC } from './quorum/topic-names.ts';
import { CONTROLLER_CHANNEL_DEFAULTS, ControllerChannel } from './peer/controller-channel.ts';
import { FetchSessions } from './replica/fetch-sessions.ts';
import { ProducerIds } from './replica/producer-ids.ts';
import { Replicas } from './replica/replicas.ts';
import { shardLogOf } from './replica/shard-log.ts';
import { silentLogger } from './runtime/logger.ts';
import type { Logger } from './runtime/logger.ts';
import type { Listener, Runtime } from './runtime/runtime.ts';
import { Turn } from './runtime/turn.ts';
import { Dispatcher } from './server/dispatch.ts';
import { Server } from './server/server.ts';
import type { ServerLimits } from './server/server.ts';
import type { Settings } from './settings.ts';
import type { ListenerAddress } from './settings/listeners.ts';

export interface BrokerOptions {
  readonly runtime: Runtime;
  readonly settings: Settings;
  /** In place of log.dirs. */
  readonly dataDir?: string | undefined;
  /** Keeps everything in memory: nothing is read from or written to a disk. */
  readonly memory?: boolean | undefined;
  /** The cluster that the directory must belong to; an empty directory is made one of it. */
  readonly clusterId?: string | undefined;
  readonly logger?: Logger | undefined;
  /** The node cannot go on: its metadata's disk has failed, or a bug was found. By default the error is thrown where nobody catches it. */
  readonly onFatal?: ((error: unknown) => void) | undefined;
}

/** How long `stop` waits for requests that are being served. */
const STOP_GRACE_MS = 3000;
/** Below its own mark of so many bytes a socket does not tell when it has drained, and whoever waited for that would wait for ever. */
const OUTPUT_BYTES_LEAST = 65_536;
const FETCH_SESSION_EVICTION_MS = 120_000;
const MEMORY_DIRECTORY = '/memory';
const FETCH_SESSION_ID_MAX = 0x7fff_ffff;
const securityProtocols = { PLAINTEXT: 0, SSL: 1, SASL_PLAINTEXT: 2, SASL_SSL: 3 } as const;

export class Broker implements Node {
  readonly runtime: Runtime;
  readonly nodeId: number;
  readonly logger: Logger;
  readonly fetchSessions: FetchSessions;
  readonly readBuffers = new BufferPool();
  readonly producerIds: ProducerIds;
  readonly groups: GroupCoordinator;
  readonly replicas: Replicas;
  readonly #staticSettings: Settings;
  readonly #dynamic: DynamicSettings;
  readonly #directories: OpenedDirectories;
  readonly quorum: Quorum;
  readonly controllerChannel: ControllerChannel;
  readonly #server: Server;
  readonly #listeners: ReadonlyMap<string, { readonly address: ListenerAddress; readonly opened: Listener }>;
  #brokerEpoch = -1;
  #stopped: Promise<void> | null = null;

  static async start(options: BrokerOptions): Promise<Broker> {
    const runtime = options.memory === true ? { ...options.runtime, disk: new MemoryDisk() } : options.runtime;
    const { settings, logger = silentLogger } = options;
    const turn = new Turn(runtime.timers);
    const onFatal = options.onFatal ?? ((error: unknown) => runtime.timers.soon(() => { throw error; }));
    const undo: (() => unknown)[] = [];
    try {
      // The ports come first: they cost nothing, and taking them is what most often fails. Nothing is read from a connection before the node serves.
      let dispatcher: Dispatcher | null = null;
      const server = new Server({
        network: runtime.network, timers: runtime.timers, clock: runtime.clock, turn, log: logger, limits: limitsOf(settings),
        dispatch: (connection, frame, returnFrame) => dispatcher!.dispatch(connection, frame, returnFrame),
      });
      undo.push(() => server.stop(0));
      const listeners = new Map<string, { address: ListenerAddress; opened: Listener }>();
      for (const address of settings.listeners.broker) listeners.set(address.name, { address, opened: await server.listen({ name: address.name, kind: 'broker' }, address) });

      const nodeId = settings.get('node.id') ?? 1;
      const paths = options.memory === true ? [MEMORY_DIRECTORY] : options.dataDir !== undefined ? [options.dataDir] : [...(settings.get('log.dirs') ?? settings.get('log.dir'))];
      const metadataPath = options.memory === true || options.dataDir !== undefined ? paths[0]! : (settings.get('metadata.log.dir') ?? paths[0]!);
      const directories = openDirectories({ runtime, settings, nodeId, paths, metadataPath, clusterId: options.clusterId });
      undo.push(() => directories.all.forEach(({ logs }) => logs.release()));
      for (const { logs } of directories.all) for (const problem of logs.problems) logger.warn(`${logs.path}: ${problem}`);
      const quorum = await openQuorum({
        runtime, settings, nodeId, clusterId: directories.clusterId, directory: metadataPath, directoryId: directories.metadata.id, logger, onFailure: onFatal,
      });
      undo.push(() => quorum.close());
      const broker = new Broker({ runtime, settings, nodeId, logger, turn, directories, quorum, server, listeners });
      undo.push(() => broker.replicas.close());
      await broker.#join();
      dispatcher = new Dispatcher({ apis: servedApis, node: broker, log: logger, onBug: onFatal });
      server.serve();
      return broker;
    } catch (error) {
      for (const step of undo.reverse()) await step();
      throw error;
    }
  }

  private constructor(options: {
    runtime: Runtime; settings: Settings; nodeId: number; logger: Logger; turn: Turn; directories: OpenedDirectories; quorum: Quorum; server: Server;
    listeners: ReadonlyMap<string, { address: ListenerAddress; opened: Listener }>;
  }) {
    const { runtime, settings, nodeId, logger, quorum } = options;
    this.runtime = runtime;
    this.nodeId = nodeId;
    this.logger = logger;
    this.#staticSettings = settings;
    this.#dynamic = new DynamicSettings(settings, nodeId);
    this.#directories = options.directories;
    this.quorum = quorum;
    this.#server = options.server;
    this.#listeners = options.listeners;
    this.controllerChannel = new ControllerChannel({
      ...CONTROLLER_CHANNEL_DEFAULTS, nodeId, clock: runtime.clock, timers: runtime.timers,
      leader: () => ({ leaderId: nodeId, epoch: 0, address: null }),
      onLeader: () => () => {},
      local: (api, input, { versionMax }) => {
        const served = servedApis.find((one) => one.api === api && one.listeners !== 'broker');
        return askSelf(served, api, input, { node: this, connection: this.#self, versionMax });
      },
      peerOf: () => { throw new Error('a quorum of one has no peers'); },
    });
    this.fetchSessions = new FetchSessions({
      slotsMax: settings.get('max.incremental.fetch.session.cache.slots'), evictionMs: FETCH_SESSION_EVICTION_MS, newId: () => 1 + runtime.random.below(FETCH_SESSION_ID_MAX),
    });
    this.producerIds = new ProducerIds(() => quorum.controller.allocateProducerIds(nodeId, this.#brokerEpoch));
    this.replicas = new Replicas({ runtime, directories: options.directories.all, nodeId, turn: options.turn, logger, settings: () => this.settings });
    this.groups = new GroupCoordinator({
      runtime, logger,
      settings: { get: (name) => this.settings.get(name) as number },
      ensureTopic: async () => {
        const outcome = (await quorum.controller.ensureTopics([GROUP_METADATA_TOPIC])).get(GROUP_METADATA_TOPIC);
        if (outcome !== undefined && outcome.errorCode !== ErrorCode.NONE && outcome.errorCode !== ErrorCode.TOPIC_ALREADY_EXISTS) throw new KafkaError(outcome.errorCode, outcome.errorMessage ?? undefined);
      },
      partitionCount: () => this.image().topic(GROUP_METADATA_TOPIC)?.partitions.length ?? this.settings.get('offsets.topic.num.partitions'),
    });
  }

  // ---- what handlers see

  get brokerEpoch(): number {
    return this.#brokerEpoch;
  }

  async ensureTopics(names: readonly string[]): Promise<void> {
    await this.controller.ensureTopics(names);
  }

  /** How this node's requests to itself come. */
  get #self(): ConnectionInfo {
    return { id: 0, listener: '', listenerKind: 'controller', remoteAddress: '127.0.0.1', localAddress: '127.0.0.1', localPort: 0, principal: 'User:ANONYMOUS', clientSoftwareName: '', clientSoftwareVersion: '' };
  }

  get clusterId(): string {
    return this.#directories.clusterId;
  }

  get controller(): Controller {
    return this.quorum.controller;
  }

  /** In force now, with what the metadata says on top. */
  get settings(): Settings {
    return this.#dynamic.at(this.image());
  }

  image(): MetadataImage {
    return this.quorum.image();
  }

  kraftVersion(): number {
    return this.quorum.kraftVersion();
  }

  endpointsOf(nodeIds: Iterable<number>, connection: ConnectionInfo): NodeEndpoint[] {
    const found: NodeEndpoint[] = [];
    for (const nodeId of nodeIds) {
      const broker = this.image().brokers.get(nodeId);
      if (broker === undefined) continue;
      const endpoint = broker.endpoints.find((one) => one.name === connection.listener);
      if (endpoint === undefined) continue;
      // Where nothing else was said, the address that the client came to is one that it can reach.
      const { host, port } = nodeId === this.nodeId && this.#isUnnamed(connection.listener) ? { host: connection.localAddress, port: connection.localPort } : endpoint;
      found.push({ nodeId, host, port, rack: broker.rack });
    }
    return found;
  }

  /** Neither an advertised address nor one to listen on was given for the listener. */
  #isUnnamed(listener: string): boolean {
    const host = this.#listeners.get(listener)?.address.host;
    return !this.#staticSettings.listeners.advertised.has(listener) && isWildcard(host ?? '');
  }

  /** `host:port` of each listener, for people and for `bootstrap.servers` on this machine. */
  get bootstrapServers(): string {
    return [...this.#listeners.values()]
      .map(({ address, opened }) => {
        const { host, port } = this.#advertised(address, opened);
        return `${host.includes(':') ? `[${host}]` : host}:${port}`;
      })
      .join(',');
  }

  #advertised(address: ListenerAddress, opened: Listener): { host: string; port: number } {
    const advertised = this.#staticSettings.listeners.advertised.get(address.name);
    if (advertised !== undefined) return { host: advertised.host, port: advertised.port === 0 ? opened.port : advertised.port };
    return { host: isWildcard(address.host) ? 'localhost' : address.host, port: opened.port };
  }

  /** The port that each listener really has, by its name. */
  get ports(): ReadonlyMap<string, number> {
    return new Map([...this.#listeners].map(([name, { opened }]) => [name, opened.port]));
  }

  /** Bytes of requests that are being served or arriving. */
  get requestBytesInFlight(): number {
    return this.#server.budget.bytes;
  }

  // ---- life

  /** Takes part in the cluster: registers, opens what the metadata assigns to it, loads its coordinators. */
  async #join(): Promise<void> {
    const { controller } = this.quorum;
    this.#brokerEpoch = await controller.joinCluster({
      brokerId: this.nodeId,
      clusterId: this.clusterId,
      incarnationId: this.runtime.random.uuid(),
      listeners: [...this.#listeners.values()].map(({ address, opened }) => ({ name: address.name, ...this.#advertised(address, opened), securityProtocol: securityProtocols[address.securityProtocol] })),
      features: SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max })),
      rack: this.#staticSettings.get('broker.rack'),
      isMigratingZkBroker: false,
      logDirs: this.#directories.all.map(({ id }) => id).sort(),
      previousBrokerEpoch: this.#directories.metadata.logs.previousBrokerEpoch,
    });
    const image = this.image();
    this.replicas.start(image);
    this.quorum.subscribe((changes) => this.#follow(changes));
    await this.#lead(image);
    for (const { logs } of this.#directories.all) void logs.removeDeleted().catch((error: unknown) => this.logger.warn(`${logs.path}: leftovers of deleted partitions stay: ${String(error)}`));
  }

  /** Does what the new metadata asks; whoever caused it is answered when that is done. */
  async #follow(changes: MetadataChanges): Promise<void> {
    this.replicas.apply(changes);
    this.groups.onTopicsDeleted(changes.topicsDeleted);
    for (const topic of changes.topicsDeleted) {
      if (topic.name === GROUP_METADATA_TOPIC) topic.partitions.forEach((_, partition) => this.groups.onResignation(partition, null));
    }
    if (changes.partitions.some(({ topic }) => topic.name === GROUP_METADATA_TOPIC)) await this.#lead(changes.image);
  }

  /** Hands the partitions of internal topics that this node leads to their coordinators. */
  async #lead(image: MetadataImage): Promise<void> {
    const partitions = image.topic(GROUP_METADATA_TOPIC)?.partitions ?? [];
    await Promise.all(
      partitions.map(async ({ leader, leaderEpoch }, index) => {
        const partition = this.replicas.find(GROUP_METADATA_TOPIC, index);
        if (leader !== this.nodeId || typeof partition === 'number') return this.groups.onResignation(index, leaderEpoch);
        await this.groups.onLeadership(index, shardLogOf(partition, this.runtime.clock));
      }),
    );
  }

  /** Stops serving and closes everything. Rejects when the disk failed while closing. Twice is once. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    // Reading ends first: else those who are woken come again at once, and wait again.
    const served = this.#server.stop(STOP_GRACE_MS);
    for (const partition of this.replicas.partitions()) partition.wakeWatchers();
    this.groups.close();
    await served;
    // Whatever fails, the rest is closed too: a lock or a handle that stays would outlive the node in its process.
    const results = await Promise.allSettled([this.replicas.close()]);
    results.push(...(await Promise.allSettled([this.quorum.close()])));
    results.push(...(await Promise.allSettled(this.#directories.all.map(({ logs }) => logs.close(this.#brokerEpoch)))));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }
}

function isWildcard(host: string): boolean {
  return host === '' || host === '0.0.0.0' || host === '::';
}

function limitsOf(settings: Settings): ServerLimits {
  const queuedBytesMax = settings.get('queued.max.request.bytes');
  return {
    frameBytesMax: settings.get('socket.request.max.bytes'),
    requestsInFlightMax: settings.get('ottla.connection.inflight.requests'),
    bytesInFlightMax: settings.get('ottla.connection.inflight.bytes'),
    outputBytesMax: Math.max(settings.get('ottla.connection.output.bytes'), OUTPUT_BYTES_LEAST),
    connectionsMax: settings.get('max.connections'),
    connectionsPerAddressMax: settings.get('max.connections.per.ip'),
    connectionsPerAddressOverrides: overridesOf(settings.get('max.connections.per.ip.overrides')),
    bytesInFlightTotalMax: queuedBytesMax > 0 ? queuedBytesMax : settings.get('ottla.inflight.bytes'),
    idleMsMax: settings.get('connections.max.idle.ms'),
    firstRequestMsMax: settings.get('ottla.connection.first.request.ms'),
  };
}

/** `host:count,...` */
function overridesOf(text: string): ReadonlyMap<string, number> {
  const entries = text.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '');
  return new Map(entries.map((entry) => [entry.slice(0, entry.lastIndexOf(':')), Number(entry.slice(entry.lastIndexOf(':') + 1))]));
}
