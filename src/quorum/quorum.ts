/**
 * A node's part in the metadata quorum: its log, the images that follow from it, and the controller while this node leads.
 *
 * Promises: `openQuorum` resolves when this node leads (a quorum of one elects itself) or follows a leader that it has heard from; `image()` is only ever what is
 * committed. A voter has on disk what it says to have. `close` hands the leadership over and leaves a log that a restart reads without recovery.
 * Does not open sockets: requests of others come by `requests`, and those of this node go out by `peerOf`.
 */
import type { Peer, PeerAddress } from '../peer/peer.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';
import { KafkaError } from '../../protocol/errors.ts';
import type { Disk } from '../../storage/disk.ts';
import { joinPath } from '../../storage/files.ts';
import { loadQuorumState, writeQuorumState } from '../../storage/quorum-state.ts';
import { readBatches } from './batches.ts';
import { BOOTSTRAP_CHECKPOINT, decodeBootstrap, defaultBootstrap, METADATA_DIRECTORY } from './bootstrap.ts';
import { Controller } from './controller.ts';
import { RaftDriver } from './driver.ts';
import { METADATA_VERSION_LATEST, metadataVersionName, METADATA_VERSION_MIN, SUPPORTED_FEATURES } from './features.ts';
import { type Endpoint, type MetadataImage, ZERO_UUID } from './image.ts';
import { MetadataImages, type MetadataListener } from './images.ts';
import type { Knock } from './lost-brokers.ts';
import { MetadataError, MetadataLog } from './metadata-log.ts';
import { QuorumService } from './quorum-service.ts';
import { initialState } from './raft.ts';
import { RaftFetches } from './raft-fetch.ts';
import { RaftPeers } from './raft-peers.ts';
import type { Destination, ElectionState, RaftConfig, RaftState } from './raft-state.ts';
import { newRecord, type NewRecord } from './records.ts';
import { Replication } from './replication.ts';
import { endpointOn, isVoter, KRAFT_VERSIONS, parseHostPort, parseStaticVoters, voterOf, type VoterSet } from './voters.ts';

export interface QuorumOptions {
  readonly runtime: Runtime;
  /** The runtime's by default. */
  readonly disk?: Disk;
  /** The log directory that holds `__cluster_metadata-0` and `bootstrap.checkpoint`: metadata.log.dir, or the first of log.dirs. */
  readonly directory: string;
  readonly settings: Settings;
  readonly nodeId: number;
  readonly clusterId: string;
  /** Of meta.properties. */
  readonly directoryId: string;
  readonly logger: Logger;
  /** Where other nodes reach this controller; empty for a node on its own. */
  readonly controllerEndpoints?: readonly Endpoint[];
  /** Of this start of the node as a controller. */
  readonly incarnationId?: string;
  /** The disk of the metadata log failed: the node has to stop. */
  readonly onFailure: (error: unknown) => void;
  /** A voter may be one of several: it waits for a leader. A broker that is no controller only follows. By process.roles, both when it is not set. */
  readonly roles?: readonly ('broker' | 'controller')[];
  /** Other controllers, by the address that the quorum knows. A quorum of one asks for none. */
  readonly peerOf?: (address: PeerAddress) => Peer;
  /** Whether somebody listens there. A quorum of one does not ask. */
  readonly knock?: Knock;
  /**
   * Called once, as soon as the requests of other nodes can be answered and before a leader is known: they must come through, or none ever will be. The node
   * opens its controller listeners then.
   */
  readonly onOpened?: (quorum: Quorum) => void;
  /** Ends the wait for a leader: `openQuorum` rejects then, with all closed. */
  readonly aborted?: AbortSignal;
}

/** Where this node stands in the quorum, for operators. */
export interface RaftFacts {
  readonly role: 'leader' | 'follower' | 'observer' | 'candidate' | 'prospective' | 'voted' | 'unattached' | 'resigned';
  readonly leaderId: number;
  readonly epoch: number;
  /** -1 for nobody. */
  readonly votedId: number;
  readonly highWatermark: number;
  /** Of the leader, where this node follows one and has heard of it. */
  readonly leaderHighWatermark: number;
  readonly logEndOffset: number;
  readonly logEndEpoch: number;
  readonly voters: number;
}

/** An id below 0 and a null address stand for not knowing. */
export interface QuorumLeader {
  readonly leaderId: number;
  readonly epoch: number;
  readonly address: PeerAddress | null;
}

export interface Quorum {
  /** The committed metadata as of now. */
  image(): MetadataImage;
  /** null on a node without the controller role. */
  readonly controller: Controller | null;
  kraftVersion(): number;
  leader(): QuorumLeader;
  /** Calls back when another leader is known, or none any more. Gives back the way to stop that. */
  onLeader(listener: () => void): () => void;
  /** All of the metadata log below it is committed, as far as this node knows. */
  highWatermark(): number;
  raft(): RaftFacts;
  /** After each step of the raft state. Gives back the way to stop that. */
  onStep(listener: () => void): () => void;
  /** What other controllers and operators ask of this node, as the messages of the API. */
  readonly requests: QuorumService;
  /** Is told of every committed change, in order. Gives back the way to stop that. */
  subscribe(listener: MetadataListener): () => void;
  /** Writes a snapshot of the committed metadata now. */
  snapshot(): Promise<void>;
  /** `withAll`: all voters stop now, and nobody will lead. */
  close(options?: { readonly withAll?: boolean }): Promise<void>;
}

/**
 * Rejects with a MetadataError when the directory or a setting cannot be used, with a DiskError or StorageError when the disk refuses, and with an AbortError
 * when it was aborted.
 */
export async function openQuorum(options: QuorumOptions): Promise<Quorum> {
  const { runtime, settings, logger } = options;
  const disk = options.disk ?? runtime.disk;
  const directory = joinPath(options.directory, METADATA_DIRECTORY);
  const listenerName = (settings.get('controller.listener.names')?.[0] ?? DEFAULT_LISTENER).toUpperCase();
  const staticVoters = readStaticVoters(options, listenerName);
  const metadata = MetadataLog.open({ disk, directory, clock: runtime.clock, settings, logger, staticVoters });
  let opened: OpenedQuorum;
  try {
    const images = new MetadataImages();
    await metadata.load(images);
    // What a killed process has left may be in the system's memory only. A voter that says that it has it makes others count on it.
    if (isController(options)) await metadata.log.flush();
    checkMetadataVersion(images.latest, directory);
    opened = new OpenedQuorum(options, { disk, directory, metadata, images, listenerName, staticVoters });
    opened.start();
  } catch (error) {
    metadata.abandon();
    throw error;
  }
  try {
    options.onOpened?.(opened);
    await opened.leaderHeard(options.aborted);
    return opened;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

const DEFAULT_LISTENER = 'CONTROLLER';

interface Loaded {
  readonly disk: Disk;
  /** Of the metadata log. */
  readonly directory: string;
  readonly metadata: MetadataLog;
  readonly images: MetadataImages;
  readonly listenerName: string;
  readonly staticVoters: VoterSet;
}

class OpenedQuorum implements Quorum {
  readonly controller: Controller | null;
  readonly requests: QuorumService;
  readonly #options: QuorumOptions;
  readonly #metadata: MetadataLog;
  readonly #images: MetadataImages;
  readonly #driver: RaftDriver;
  readonly #replication: Replication;
  readonly #fetches: RaftFetches;
  readonly #leaderListeners: (() => void)[] = [];
  readonly #stepListeners: (() => void)[] = [];
  #isStarted = false;
  #failureAtStart: unknown;
  #failure: unknown;

  constructor(options: QuorumOptions, loaded: Loaded) {
    const { runtime, settings, nodeId, clusterId, logger } = options;
    const { disk, directory, metadata, images } = loaded;
    const { clock, timers, random } = runtime;
    this.#options = options;
    this.#metadata = metadata;
    this.#images = images;
    const config = raftConfig(options, loaded);
    const { voters, kraftVersion, offset } = metadata.voters.latest;
    checkVoters(options, voters, config.canVote);
    const replication = new Replication({ disk, clock, metadata, images });
    this.#replication = replication;
    this.#driver = new RaftDriver({
      log: metadata.log,
      clock,
      timers,
      random,
      logger,
      state: initialState({
        nodeId, directoryId: options.directoryId, config, voters, kraftVersion, votersOffset: offset, election: loadElection(disk, directory), lastEpoch: metadata.lastEpoch,
        logEndOffset: metadata.log.logEndOffset,
      }),
      peers: new RaftPeers({
        messages: { clusterId, fetchBytesMax: settings.get('controller.quorum.fetch.max.bytes'), snapshotBytesMax: settings.get('controller.quorum.fetch.snapshot.max.bytes') },
        peerOf: ({ host, port }) => {
          if (options.peerOf === undefined) throw new MetadataError(`the metadata quorum has a member at ${host}:${port}, and this node has no way to others`);
          return options.peerOf({ host, port });
        },
      }),
      hooks: {
        saveElection: (election, state) => saveElection(disk, directory, election, state),
        onLeader: () => this.controller!.activate(),
        onResigned: () => this.controller?.deactivate(),
        onLeaderChanged: () => this.#tellLeader(),
        onHighWatermark: async (highWatermark) => {
          metadata.noteCommitted(highWatermark);
          await images.commit(highWatermark);
          // Raised by a controller of a later version: what follows could not be understood.
          checkMetadataVersion(images.committed, directory);
          metadata.maybeSnapshot(images.committed);
        },
        onCut: () => replication.refold(),
        onFailure: (error) => this.#fail(error),
        latest: () => ({ ...metadata.voters.latest, lastEpoch: metadata.lastEpoch }),
        onControlBatch: (batch) => [...readBatches(batch)].forEach((one) => metadata.noteControl(one)),
        follow: (bytes, epoch, highWatermark) => replication.follow(bytes, epoch, highWatermark),
        truncate: (epoch, endOffset) => replication.truncate(epoch, endOffset),
        beginSnapshot: (id) => replication.beginSnapshot(id),
        followSnapshot: (id) => replication.followSnapshot(id),
        takeChunk: (id, position, sizeBytes, bytes) => replication.takeChunk(id, position, sizeBytes, bytes),
      },
    });
    this.#driver.onStep = () => this.#stepListeners.forEach((listener) => listener());
    this.#fetches = new RaftFetches({ driver: this.#driver, metadata, replication, disk, timers });
    this.requests = new QuorumService({ clusterId, driver: this.#driver, fetches: this.#fetches, clock });
    this.controller = config.canVote
      ? new Controller({
          driver: this.#driver,
          images,
          settings,
          clock,
          timers,
          random,
          logger,
          nodeId,
          clusterId,
          quorum: {
            kraftVersion: () => this.kraftVersion(),
            voterIds: () => this.#driver.state.voters.map(({ id }) => id),
            upgradeKraftVersion: (level, validateOnly) => this.#driver.upgradeKraftVersion(level, validateOnly),
          },
          knock: options.knock ?? (async () => 'unknown'),
          bootstrap: loadBootstrap(disk, options.directory, images.latest),
          registration: controllerRegistration(options),
        })
      : null;
  }

  start(): void {
    this.#driver.start();
    this.#isStarted = true;
    if (this.#failureAtStart !== undefined) throw this.#failureAtStart;
  }

  #fail(error: unknown): void {
    this.#failure = error;
    this.#stepListeners.forEach((listener) => listener());
    if (this.#isStarted) this.#options.onFailure(error);
    else this.#failureAtStart = error;
  }

  /** Resolves when this node leads, or the leader has answered it. */
  async leaderHeard(aborted: AbortSignal | undefined): Promise<void> {
    await this.#until(() => {
      const { role } = this.#driver.state;
      return role.name === 'leader' || (role.name === 'follower' && role.hasFetched);
    }, aborted);
  }

  /** Rejects when the node cannot go on, or was told to stop. */
  #until(isSo: () => boolean, aborted?: AbortSignal): Promise<void> {
    if (isSo()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.#failure === undefined && aborted?.aborted !== true && !this.#driver.isClosed && !isSo()) return;
        this.#stepListeners.splice(this.#stepListeners.indexOf(check), 1);
        aborted?.removeEventListener('abort', check);
        if (this.#failure !== undefined) reject(this.#failure);
        else if (isSo()) resolve();
        else reject(aborted?.reason ?? new MetadataError('the node has left the metadata quorum'));
      };
      this.#stepListeners.push(check);
      aborted?.addEventListener('abort', check);
      check();
    });
  }

  image(): MetadataImage {
    return this.#images.committed;
  }

  kraftVersion(): number {
    return this.#driver.state.kraftVersion;
  }

  leader(): QuorumLeader {
    const { election, leaderEndpoints, role, config, voters } = this.#driver.state;
    // Where the voters are written down counts for more than what a leader says of itself, as for Kafka's nodes: somebody may have put something between.
    const endpoint = endpointOn(voterOf(voters, election.leaderId)?.endpoints ?? [], config.listenerName) ?? endpointOn(leaderEndpoints, config.listenerName);
    // Who has resigned is not the one to go to.
    if (election.leaderId < 0 || role.name === 'resigned') return { leaderId: -1, epoch: election.epoch, address: null };
    return { leaderId: election.leaderId, epoch: election.epoch, address: endpoint === undefined ? null : { host: endpoint.host, port: endpoint.port } };
  }

  onLeader(listener: () => void): () => void {
    return subscribed(this.#leaderListeners, listener);
  }

  onStep(listener: () => void): () => void {
    return subscribed(this.#stepListeners, listener);
  }

  #tellLeader(): void {
    for (const listener of [...this.#leaderListeners]) listener();
  }

  highWatermark(): number {
    return this.#driver.state.highWatermark ?? 0;
  }

  raft(): RaftFacts {
    const { nodeId, directoryId, role, election, highWatermark = -1, logEndOffset, lastEpoch, voters, config } = this.#driver.state;
    const isObserver = !config.canVote || !isVoter(voters, { id: nodeId, directoryId });
    const standing = role.name === 'unattached' && election.votedId >= 0 ? 'voted' : role.name;
    return {
      role: isObserver && (role.name === 'follower' || role.name === 'unattached') ? 'observer' : standing,
      leaderId: election.leaderId, epoch: election.epoch, votedId: election.votedId, highWatermark,
      leaderHighWatermark: role.name === 'follower' ? Math.max(role.leaderHighWatermark, highWatermark) : highWatermark,
      logEndOffset, logEndEpoch: lastEpoch, voters: voters.length,
    };
  }

  subscribe(listener: MetadataListener): () => void {
    return this.#images.subscribe(listener);
  }

  snapshot(): Promise<void> {
    return this.#metadata.snapshot(this.#images.committed);
  }

  async close({ withAll = false }: { readonly withAll?: boolean } = {}): Promise<void> {
    if (this.controller?.isActive === true && !withAll) await this.#settled();
    await this.#driver.close({ waits: !withAll });
    this.#stepListeners.forEach((listener) => listener());
    this.#fetches.close();
    this.#replication.close();
    this.controller?.deactivate();
    await this.#metadata.close();
  }

  /** What was decided is better told to those who wait than found out by them: a moment for it to be committed, while there is a majority. */
  #settled(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.runtime.timers.after(SETTLE_MS_MAX, resolve);
      this.#driver.settled().catch(() => {}).finally(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}

const SETTLE_MS_MAX = 1000;

function subscribed<T>(listeners: T[], listener: T): () => void {
  listeners.push(listener);
  return () => {
    const index = listeners.indexOf(listener);
    if (index !== -1) listeners.splice(index, 1);
  };
}

function isController({ roles, settings }: QuorumOptions): boolean {
  const given = roles ?? settings.get('process.roles');
  return given === null || given.length === 0 || (given as readonly string[]).includes('controller');
}

/** Those of controller.quorum.voters; none where the voters are in the log, or nobody is named at all. */
function readStaticVoters(options: QuorumOptions, listenerName: string): VoterSet {
  const { settings, nodeId } = options;
  try {
    const named = parseStaticVoters(settings.get('controller.quorum.voters'), listenerName);
    if (named.length > 0 || settings.get('controller.quorum.bootstrap.servers').length > 0 || !isController(options)) return named;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new MetadataError(error.message);
  }
  // Nobody else is named: a node on its own.
  return [{ id: nodeId, directoryId: null, endpoints: [], kraftVersions: { min: 0, max: 0 } }];
}

function raftConfig(options: QuorumOptions, { listenerName, staticVoters }: Loaded): RaftConfig {
  const { settings, controllerEndpoints = [] } = options;
  return {
    electionTimeoutMs: settings.get('controller.quorum.election.timeout.ms'),
    electionBackoffMsMax: settings.get('controller.quorum.election.backoff.max.ms'),
    fetchTimeoutMs: settings.get('controller.quorum.fetch.timeout.ms'),
    requestTimeoutMs: settings.get('controller.quorum.request.timeout.ms'),
    retryBackoffMs: settings.get('controller.quorum.retry.backoff.ms'),
    canVote: isController(options),
    autoJoin: settings.get('controller.quorum.auto.join.enable'),
    listenerName,
    endpoints: controllerEndpoints.map(({ name, host, port }) => ({ name: name.toUpperCase(), host, port })),
    kraftVersions: KRAFT_VERSIONS,
    bootstrap: bootstrapServers(options, staticVoters, listenerName),
  };
}

function bootstrapServers({ settings, nodeId }: QuorumOptions, staticVoters: VoterSet, listenerName: string): Destination[] {
  const named = settings.get('controller.quorum.bootstrap.servers');
  try {
    if (named.length > 0) return named.map((text) => ({ nodeId: null, ...parseHostPort(text, 'controller.quorum.bootstrap.servers') }));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new MetadataError(error.message);
  }
  return staticVoters.flatMap((voter) => {
    const endpoint = endpointOn(voter.endpoints, listenerName);
    return endpoint === undefined || voter.id === nodeId ? [] : [{ nodeId: voter.id, host: endpoint.host, port: endpoint.port }];
  });
}

/** A controller that cannot ever be heard is a mistake in its settings. */
function checkVoters({ settings, nodeId, directoryId }: QuorumOptions, voters: VoterSet, canVote: boolean): void {
  if (!canVote || isVoter(voters, { id: nodeId, directoryId })) return;
  const isNamed = settings.get('controller.quorum.voters').length > 0;
  const isAlone = settings.get('controller.quorum.bootstrap.servers').length === 0 && voters.every(({ id }) => id === nodeId);
  if (isNamed || isAlone) throw new MetadataError(`node ${nodeId} with directory ${directoryId} is not one of the voters of the metadata quorum`);
}

function checkMetadataVersion({ metadataVersion }: MetadataImage, directory: string): void {
  if (metadataVersion === undefined || metadataVersionName(metadataVersion) !== undefined) return;
  throw new MetadataError(
    `the metadata in ${directory} has metadata.version ${metadataVersion}, but this version supports ${METADATA_VERSION_MIN} to ${METADATA_VERSION_LATEST} (${metadataVersionName(METADATA_VERSION_LATEST)})`,
  );
}

function loadElection(disk: Disk, directory: string): ElectionState | null {
  const loaded = loadQuorumState(disk, directory);
  switch (loaded.status) {
    case 'missing':
      return null;
    // A forgotten vote is a second vote.
    case 'empty':
      throw new MetadataError(`quorum-state in ${directory} is empty`);
    case 'corrupt':
      throw new MetadataError(`quorum-state in ${directory} cannot be used: ${loaded.reason}`);
    case 'ok': {
      const { leaderEpoch, leaderId, votedId, votedDirectoryId } = loaded.value;
      return { epoch: leaderEpoch, leaderId, votedId, votedDirectoryId: votedDirectoryId === ZERO_UUID ? null : votedDirectoryId };
    }
  }
}

function saveElection(disk: Disk, directory: string, { epoch, leaderId, votedId, votedDirectoryId }: ElectionState, { kraftVersion, voters }: RaftState): void {
  writeQuorumState(disk, directory, {
    version: kraftVersion > 0 ? 1 : 0,
    leaderId,
    leaderEpoch: epoch,
    votedId,
    votedDirectoryId: votedDirectoryId ?? ZERO_UUID,
    voterIds: kraftVersion > 0 ? [] : voters.map((voter) => voter.id),
  });
}

/** Only a log without metadata needs it. Absent in a directory that was formatted by other means: then this version's own. */
function loadBootstrap(disk: Disk, directory: string, latest: MetadataImage): readonly NewRecord[] {
  const path = joinPath(directory, BOOTSTRAP_CHECKPOINT);
  if (latest.metadataVersion !== undefined || disk.status(path) === undefined) return defaultBootstrap();
  try {
    return decodeBootstrap(disk.readFile(path));
  } catch (error) {
    if (!(error instanceof RangeError) && !(error instanceof KafkaError)) throw error;
    throw new MetadataError(`${path} cannot be used: ${error.message}`, { cause: error });
  }
}

function controllerRegistration({ controllerEndpoints = [], nodeId, runtime, incarnationId = runtime.random.uuid() }: QuorumOptions): NewRecord | null {
  if (controllerEndpoints.length === 0) return null;
  return newRecord('RegisterControllerRecord', {
    controllerId: nodeId,
    incarnationId,
    zkMigrationReady: false,
    endPoints: controllerEndpoints,
    features: SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max })),
  });
}
