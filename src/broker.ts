/**
 * A node: its rooms put together, started in order and taken apart in order. It is a broker, a controller, or both (process.roles); alone it is both, and a
 * quorum of one.
 *
 * Promises: `start` resolves when everything that clients use is there: the metadata, for a broker the logs and coordinators that it leads, and the cluster's
 * word that it is in service; connections that came earlier are served then. It rejects, with nothing left open or locked, when a port is taken, a directory is
 * somebody else's, the disk refuses, or the cluster does. `stop` gives leaderships away where somebody can take them, answers what is being served, leaves the
 * files as a clean shutdown does, and leaves no handle open.
 * Does not read a command line, environment or settings file.
 */
import assert from 'node:assert';
import { KafkaError, ErrorCode, errorName } from '../protocol/errors.ts';
import { MemoryDisk } from '../storage/memory-disk.ts';
import type { BufferPool } from '../storage/buffer-pool.ts';
import { imageWith } from './api/forwarding.ts';
import { servedApis } from './api/index.ts';
import type { Node, NodeEndpoint } from './api/node.ts';
import type { ConnectionInfo } from './api/serve.ts';
import type { GroupCoordinator } from './coordinator/group-coordinator.ts';
import { openDirectories } from './data-directories.ts';
import type { OpenedDirectories } from './data-directories.ts';
import { BrokerSide } from './node/broker-side.ts';
import { ControllerRegistrar } from './node/controller-registration.ts';
import { limitsOf } from './node/limits.ts';
import { ControllerChannels } from './node/controller-channels.ts';
import { isLeaving, leaveCluster } from './node/leaving.ts';
import { BrokerLifecycle } from './node/lifecycle.ts';
import type { BrokerDescription } from './node/lifecycle.ts';
import { NodeListeners } from './node/listeners.ts';
import type { Servers } from './node/listeners.ts';
import { registerNodeMetrics } from './node/node-metrics.ts';
import type { NodeCounts, NodeView } from './node/node-metrics.ts';
import { Peers } from './node/peers.ts';
import { whyUnready } from './node/readiness.ts';
import { inTime, orAborted } from './node/registration-time.ts';
import { rolesOf } from './node/roles.ts';
import type { Roles } from './node/roles.ts';
import { TopicMaker } from './node/topic-maker.ts';
import { parseHttpAddress } from './http/http-address.ts';
import type { HttpServer } from './http/http-server.ts';
import { operationsServer } from './http/operations.ts';
import { Metrics } from './metrics/metrics.ts';
import { registerProcessMetrics } from './metrics/process-metrics.ts';
import { RequestMetrics } from './metrics/request-metrics.ts';
import type { ControllerChannel } from './peer/controller-channel.ts';
import type { Controller } from './quorum/controller.ts';
import { DynamicSettings } from './quorum/dynamic-settings.ts';
import { SUPPORTED_FEATURES } from './quorum/features.ts';
import { MetadataImage } from './quorum/image.ts';
import { openQuorum } from './quorum/quorum.ts';
import type { Quorum } from './quorum/quorum.ts';
import type { FetchSessions } from './replica/fetch-sessions.ts';
import type { ProducerIds } from './replica/producer-ids.ts';
import type { Replicas } from './replica/replicas.ts';
import { silentLogger } from './runtime/logger.ts';
import type { Logger } from './runtime/logger.ts';
import type { Runtime, ProcessUse } from './runtime/runtime.ts';
import { Turn } from './runtime/turn.ts';
import { Dispatcher } from './server/dispatch.ts';
import { Server } from './server/server.ts';
import type { Settings } from './settings.ts';

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
  /** Ends a start that waits for other nodes: `start` rejects then, with all closed. */
  readonly aborted?: AbortSignal | undefined;
  /** What the process uses of the machine, to be told among the metrics. */
  readonly processUse?: (() => ProcessUse) | undefined;
}

/** How long `stop` waits for requests that are being served. */
const STOP_GRACE_MS = 3000;
/** How long the word that this broker is in service may take to reach its own metadata. */
const UNFENCED_MS_MAX = 5000;
const MEMORY_DIRECTORY = '/memory';
/**
 * A broker is taken for dead when its session ends. And who is made leader in place of one that lives commits nothing without it until it has lagged behind for long. A little less than
 * either: clocks differ.
 */
const LEASE_SHARE = 0.9;

export class Broker implements Node {
  readonly runtime: Runtime;
  readonly nodeId: number;
  readonly logger: Logger;
  readonly roles: Roles;
  readonly controllerChannel: ControllerChannel;
  readonly #staticSettings: Settings;
  readonly #dynamic: DynamicSettings;
  readonly #directories: OpenedDirectories;
  readonly #servers: Servers;
  readonly #listeners: NodeListeners;
  readonly #peers: Peers;
  readonly #channels: ControllerChannels;
  readonly #topics: TopicMaker;
  readonly #lifecycle: BrokerLifecycle;
  readonly #side: BrokerSide | null;
  readonly #metrics: Metrics;
  readonly #counts: NodeCounts;
  #http: HttpServer | null = null;
  #httpPort: number | null = null;
  readonly #registrar: ControllerRegistrar | null;
  /** Of this node as a controller. */
  readonly #incarnationId: string;
  #quorum: Quorum | null = null;
  #left: Promise<void> | null = null;
  #stopped: Promise<void> | null = null;

  static async start(options: BrokerOptions): Promise<Broker> {
    const runtime = options.memory === true ? { ...options.runtime, disk: new MemoryDisk() } : options.runtime;
    const { settings, logger = silentLogger } = options;
    const roles = rolesOf(settings);
    const turn = new Turn(runtime.timers);
    const onFatal = options.onFatal ?? ((error: unknown) => runtime.timers.soon(() => { throw error; }));
    const undo: (() => unknown)[] = [];
    try {
      // The ports come first: they cost nothing, and taking them is what most often fails. Nothing is read from a connection before the node serves.
      let dispatcher: Dispatcher | null = null;
      const serverOf = (): Server => new Server({
        network: runtime.network, timers: runtime.timers, clock: runtime.clock, turn, log: logger, limits: limitsOf(settings), deviceReads: () => runtime.disk.deviceReads(),
        dispatch: (connection, frame, returnFrame) => dispatcher!.dispatch(connection, frame, returnFrame),
      });
      // A flood of clients takes the room of clients: controllers hear each other all the same.
      const servers: Servers = { broker: serverOf(), controller: serverOf() };
      undo.push(() => Promise.all([servers.broker.stop(0), servers.controller.stop(0)]));
      const listeners = await NodeListeners.open(servers, settings, roles, runtime.hostName);

      const nodeId = settings.get('node.id') ?? 1;
      const paths = options.memory === true ? [MEMORY_DIRECTORY] : options.dataDir !== undefined ? [options.dataDir] : [...(settings.get('log.dirs') ?? settings.get('log.dir'))];
      const metadataPath = options.memory === true || options.dataDir !== undefined ? paths[0]! : (settings.get('metadata.log.dir') ?? paths[0]!);
      const directories = openDirectories({
        runtime, settings, nodeId, paths, metadataPath, clusterId: options.clusterId, roles, controllerEndpoints: listeners.endpoints('controller'),
      });
      undo.push(() => directories.all.forEach(({ logs }) => logs.release()));
      for (const { logs } of directories.all) for (const problem of logs.problems) logger.warn(`${logs.path}: ${problem}`);
      const metrics = new Metrics({ seriesMax: settings.get('ottla.metrics.series') });
      if (options.processUse !== undefined) registerProcessMetrics(metrics, options.processUse);
      const broker: Broker = new Broker({ runtime, settings, nodeId, logger, turn, directories, servers, listeners, roles, metrics, onFatal });
      undo.push(() => broker.#abandon());
      // Before the node is ready, for what it is asked most is whether it is.
      await broker.#listenHttp(settings.get('ottla.http'));
      dispatcher = new Dispatcher({ apis: servedApis, node: broker, log: logger, onBug: onFatal, metrics: { requests: new RequestMetrics(metrics, errorName), clock: runtime.clock } });
      const quorum = await inTime({ ...options, roles }, (aborted) => openQuorum({
        runtime, settings, nodeId, clusterId: directories.clusterId, directory: metadataPath, directoryId: directories.metadata.id, logger, onFailure: onFatal,
        controllerEndpoints: listeners.endpoints('controller'), incarnationId: broker.#incarnationId, peerOf: broker.#peers.at('quorum'),
        knock: (address) => broker.#peers.knock(address),
        // Controllers must hear each other before one of them can lead.
        onOpened: (opened) => {
          broker.#take(opened);
          servers.controller.serve();
        },
        aborted,
      }));
      undo.push(() => quorum.close());
      broker.#take(quorum);
      servers.controller.serve();
      broker.#register();
      if (roles.isBroker) await broker.#join(options.aborted);
      return broker;
    } catch (error) {
      for (const step of undo.reverse()) await step();
      throw error;
    }
  }

  private constructor(options: {
    runtime: Runtime; settings: Settings; nodeId: number; logger: Logger; turn: Turn; directories: OpenedDirectories; servers: Servers; listeners: NodeListeners; roles: Roles;
    metrics: Metrics; onFatal: (error: unknown) => void;
  }) {
    const { runtime, settings, nodeId, logger, directories, roles, metrics } = options;
    this.runtime = runtime;
    this.nodeId = nodeId;
    this.logger = logger;
    this.roles = roles;
    this.#staticSettings = settings;
    this.#dynamic = new DynamicSettings(settings, nodeId);
    this.#directories = directories;
    this.#servers = options.servers;
    this.#listeners = options.listeners;
    const image = () => this.image();
    this.#peers = new Peers({ runtime, settings, nodeId, image });
    this.#channels = new ControllerChannels({ node: this, listener: settings.get('controller.listener.names')?.[0] ?? '', peersFor: (purpose) => this.#peers.at(purpose) });
    this.controllerChannel = this.#channels.channel('controller');
    this.#topics = new TopicMaker({
      settings: () => this.settings, logger, clock: runtime.clock, channel: this.controllerChannel,
      ownController: () => (this.quorum.controller?.isActive === true ? this.quorum.controller : null),
      imageWith: (isThere, timeoutMs) => imageWith(this, isThere, timeoutMs),
    });
    this.#lifecycle = new BrokerLifecycle({
      nodeId, clusterId: directories.clusterId, incarnationId: runtime.random.uuid(), previousBrokerEpoch: directories.metadata.logs.previousBrokerEpoch,
      channel: this.#channels.channel('heartbeat'), clock: runtime.clock, timers: runtime.timers, logger,
      describe: () => this.#describe(),
      metadataOffset: () => this.image().offset,
      offlineLogDirs: () => directories.all.filter(({ logs }) => logs.offline !== undefined).map(({ id }) => id),
      cordonedLogDirs: () => {
        const cordoned = this.settings.get('cordoned.log.dirs');
        return directories.all.filter(({ logs }) => cordoned.includes('*') || cordoned.includes(logs.path)).map(({ id }) => id);
      },
      heartbeatIntervalMs: () => settings.get('broker.heartbeat.interval.ms'),
      requestTimeoutMs: Math.max(1, Math.floor(settings.get('broker.session.timeout.ms') / 2)),
      leaseMs: LEASE_SHARE * Math.min(settings.get('broker.session.timeout.ms'), settings.get('replica.lag.time.max.ms')),
    });
    this.#incarnationId = runtime.random.uuid();
    this.#registrar = !roles.isController ? null : new ControllerRegistrar({
      nodeId, incarnationId: this.#incarnationId, endpoints: options.listeners.endpoints('controller'), channel: this.controllerChannel,
      isActive: () => this.quorum.controller?.isActive === true, timers: runtime.timers, logger,
    });
    this.#side = !roles.isBroker ? null : new BrokerSide({
      runtime, nodeId, logger, turn: options.turn, directories, image, settings: () => this.settings, metrics,
      ensureTopics: (names) => this.ensureTopics(names),
      peerOf: (id, lane) => this.#peers.broker(id, lane), controllerChannel: this.controllerChannel, brokerEpoch: () => this.brokerEpoch, lease: () => this.#lifecycle.lease,
      onDirectoryFailed: () => this.#lifecycle.tellSoon(), onFatal: options.onFatal,
    });
    this.#metrics = metrics;
    this.#counts = registerNodeMetrics(metrics, this.#view());
  }

  // ---- what handlers see

  get clusterId(): string {
    return this.#directories.clusterId;
  }

  get quorum(): Quorum {
    assert(this.#quorum !== null, 'the quorum is looked at before it is open');
    return this.#quorum;
  }

  get controller(): Controller {
    const { controller } = this.quorum;
    if (controller === null) throw new KafkaError(ErrorCode.NOT_CONTROLLER, 'this node is no controller');
    return controller;
  }

  /** In force now, with what the metadata says on top. */
  get settings(): Settings {
    return this.#dynamic.at(this.image());
  }

  image(): MetadataImage {
    return this.#quorum?.image() ?? MetadataImage.EMPTY;
  }

  kraftVersion(): number {
    return this.quorum.kraftVersion();
  }

  get brokerEpoch(): number {
    return this.#lifecycle.epoch;
  }

  get replicas(): Replicas {
    return this.#brokerSide.replicas;
  }

  get fetchSessions(): FetchSessions {
    return this.#brokerSide.fetchSessions;
  }

  get readBuffers(): BufferPool {
    return this.#brokerSide.readBuffers;
  }

  get producerIds(): ProducerIds {
    return this.#brokerSide.producerIds;
  }

  get groups(): GroupCoordinator {
    return this.#brokerSide.groups;
  }

  get #brokerSide(): BrokerSide {
    assert(this.#side !== null, 'a node without the broker role is asked for what brokers have');
    return this.#side;
  }

  ensureTopics(names: readonly string[]): Promise<void> {
    return this.#topics.ensure(names);
  }

  endpointsOf(nodeIds: Iterable<number>, connection: ConnectionInfo): NodeEndpoint[] {
    return this.#listeners.endpointsOf(nodeIds, connection, { image: this.image(), nodeId: this.nodeId });
  }

  /** `host:port` of each listener for clients. On a node that is a controller only those of its controller listeners, for `bootstrap.controllers`. */
  get bootstrapServers(): string {
    return this.#listeners.addresses(this.roles.isBroker ? 'broker' : 'controller');
  }

  /** The port that each listener really has, by its name. */
  get ports(): ReadonlyMap<string, number> {
    return this.#listeners.ports;
  }

  /** Bytes of requests that are being served or arriving. */
  get requestBytesInFlight(): number {
    return this.#servers.broker.budget.bytes + this.#servers.controller.budget.bytes;
  }

  /** In service in the eyes of the cluster: registered, and not fenced. A node without the broker role serves as long as a leader of the quorum is known. */
  get isInService(): boolean {
    if (this.#stopped !== null || this.#left !== null || this.#quorum === null) return false;
    if (this.roles.isBroker) return this.image().brokers.get(this.nodeId)?.fenced === false && this.brokerEpoch >= 0;
    return this.quorum.leader().leaderId >= 0;
  }

  /** The port of `ottla.http`, also where 0 was asked for; null without one. */
  get httpPort(): number | null {
    return this.#httpPort;
  }

  #view(): NodeView {
    return {
      nodeId: this.nodeId, clock: this.runtime.clock, servers: Object.values(this.#servers), directories: this.#directories, broker: this.#side,
      image: () => this.image(),
      quorum: () => this.#quorum,
      peerOf: (id) => this.#peers.broker(id),
      brokerState: () => (this.#left !== null || this.#stopped !== null ? 6 : this.isInService ? 3 : 1),
    };
  }

  async #listenHttp(text: string | null): Promise<void> {
    if (text === null) return;
    const ready = { ...this.#view(), brokerEpoch: () => this.brokerEpoch, isStopping: () => this.#left !== null || this.#stopped !== null };
    this.#http = operationsServer({ runtime: this.runtime, log: this.logger, metrics: this.#metrics, unready: () => whyUnready(ready) });
    this.#httpPort = (await this.#http.listen(parseHttpAddress(text))).port;
  }

  // ---- life

  #take(quorum: Quorum): void {
    if (this.#quorum === quorum) return;
    this.#quorum = quorum;
    quorum.subscribe((changes) => this.#counts.changed(changes));
    quorum.onStep(() => this.#counts.stepped(quorum));
    this.#channels.bind(quorum);
    if (this.roles.isAlone) return;
    let told = '';
    quorum.onLeader(() => {
      const { leaderId, epoch } = quorum.leader();
      const line = `node ${leaderId} is the active controller, epoch ${epoch}`;
      if (leaderId < 0 || line === told) return;
      told = line;
      this.logger.info(line);
      // A controller finds out at once that a process is gone, once it has heard it: not only after the interval.
      this.#lifecycle.tellSoon();
    });
  }

  /** Sees to it that the metadata tell where this controller is reached. */
  #register(): void {
    const registrar = this.#registrar;
    if (registrar === null) return;
    registrar.follow(this.image());
    this.quorum.subscribe(({ image }) => registrar.follow(image));
  }

  /** Takes part in the cluster as a broker: registers, opens what the metadata assign to it, and serves when the cluster says so. */
  async #join(aborted: AbortSignal | undefined): Promise<void> {
    const side = this.#brokerSide;
    const { controller } = this.quorum;
    const abort = (): void => this.#lifecycle.close();
    if (aborted?.aborted === true) abort();
    aborted?.addEventListener('abort', abort);
    const timeoutMs = this.#staticSettings.get('initial.broker.registration.timeout.ms');
    // In one commit, where the controller is in this process and nobody else has to hear of it first.
    const isOwnLeader = this.roles.isAlone && controller?.isActive === true;
    if (isOwnLeader) this.#lifecycle.joined(await controller.joinCluster(this.#registration()));
    else await this.#lifecycle.register(timeoutMs);
    const isKnown = (image: MetadataImage): boolean => image.offset >= this.brokerEpoch && image.brokers.get(this.nodeId)?.epoch === this.brokerEpoch;
    if (!(await orAborted(imageWith(this, isKnown, timeoutMs), aborted))) {
      throw new Error(`the metadata have not reached this broker's registration within initial.broker.registration.timeout.ms = ${timeoutMs}`);
    }
    const started = side.start(this.image());
    this.quorum.subscribe((changes) => {
      this.#peers.apply(changes);
      // A broker that leaves waits until all others have learnt of it.
      if (changes.brokers.some((id) => isLeaving(changes.image, id) && !isLeaving(changes.before, id))) this.#lifecycle.tellSoon();
      return side.follow(changes);
    });
    // Groups are loaded when the others have what this node leads, and for that they have to reach it.
    if (isOwnLeader) await started;
    this.#servers.broker.serve();
    if (!isOwnLeader) await this.#lifecycle.ready();
    await orAborted(imageWith(this, (image) => image.brokers.get(this.nodeId)?.fenced === false, UNFENCED_MS_MAX), aborted);
    aborted?.removeEventListener('abort', abort);
  }

  #describe(): BrokerDescription {
    return {
      listeners: this.#listeners.endpoints('broker'),
      features: SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max })),
      rack: this.#staticSettings.get('broker.rack'),
      logDirs: this.#directories.all.filter(({ logs }) => logs.offline === undefined).map(({ id }) => id).sort(),
    };
  }

  #registration(): Parameters<Controller['joinCluster']>[0] {
    const { listeners, features, rack, logDirs } = this.#describe();
    return {
      brokerId: this.nodeId, clusterId: this.clusterId, incarnationId: this.#lifecycle.incarnationId, listeners, features, rack, isMigratingZkBroker: false,
      logDirs: logDirs!, previousBrokerEpoch: this.#directories.metadata.logs.previousBrokerEpoch,
    } as Parameters<Controller['joinCluster']>[0];
  }

  /** Gives leaderships to others and takes no more, where there are others (controlled.shutdown.enable). Part of `stop`; several nodes that stop together leave first. */
  leave(): Promise<void> {
    this.#left ??= this.#leave();
    return this.#left;
  }

  async #leave(): Promise<void> {
    if (!this.roles.isBroker || !this.#staticSettings.get('controlled.shutdown.enable')) return;
    await leaveCluster({ nodeId: this.nodeId, quorum: this.quorum, lifecycle: this.#lifecycle, logger: this.logger });
  }

  /** Stops serving and closes everything. Rejects when the disk failed while closing. Twice is once. `withAll`: the whole cluster stops, and nobody waits for an heir. */
  stop(options: { readonly withAll?: boolean } = {}): Promise<void> {
    this.#stopped ??= this.#stop(options);
    return this.#stopped;
  }

  async #stop(options: { readonly withAll?: boolean }): Promise<void> {
    await this.leave();
    this.#lifecycle.close();
    this.#registrar?.close();
    // Reading ends first: else those who are woken come again at once, and wait again.
    const served = this.#servers.broker.stop(STOP_GRACE_MS);
    this.#side?.wakeAll();
    this.#channels.close();
    await served;
    // Last of what is open, so that who asks meanwhile is told that the node stops.
    await this.#http?.close();
    // Whatever fails, the rest is closed too: a lock or a handle that stays would outlive the node in its process.
    const results = await Promise.allSettled([this.#side?.close()]);
    // What this controller has decided is committed by those who fetch from it, and its leadership is handed over to them.
    results.push(...(await Promise.allSettled([this.quorum.close(options)])));
    await this.#servers.controller.stop(STOP_GRACE_MS);
    this.#peers.close();
    results.push(...(await Promise.allSettled(this.#directories.all.map(({ logs }) => logs.close(this.brokerEpoch)))));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  /** Takes apart what a start that failed has put together, apart from server, quorum and directories. */
  async #abandon(): Promise<void> {
    this.#lifecycle.close();
    this.#registrar?.close();
    this.#channels.close();
    this.#peers.close();
    await this.#http?.close();
    await this.#side?.close();
  }
}
