/**
 * A node's part in the metadata quorum: its log, the images that follow from it, and the controller while this node leads.
 *
 * Promises: `openQuorum` resolves when this node leads (a quorum of one elects itself) and all that the log held is in the controller's view; `image()`
 * is only ever what is committed and durable. `close` leaves a log that a restart reads without recovery.
 * Does not: speak to other voters yet, or open sockets.
 */
import type { Peer, PeerAddress } from '../peer/peer.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';
import type { Disk } from '../../storage/disk.ts';
import { joinPath } from '../../storage/files.ts';
import { loadQuorumState, writeQuorumState } from '../../storage/quorum-state.ts';
import type { NewControlRecord } from './batches.ts';
import { BOOTSTRAP_CHECKPOINT, decodeBootstrap, defaultBootstrap, METADATA_DIRECTORY } from './bootstrap.ts';
import { Controller } from './controller.ts';
import { RaftDriver } from './driver.ts';
import { METADATA_VERSION_LATEST, metadataVersionName, METADATA_VERSION_MIN, SUPPORTED_FEATURES } from './features.ts';
import { type Endpoint, type MetadataImage, ZERO_UUID } from './image.ts';
import { MetadataImages, type MetadataListener } from './images.ts';
import { MetadataError, MetadataLog } from './metadata-log.ts';
import { type ElectionState, initialState, type Voter } from './raft.ts';
import { newRecord, type NewRecord } from './records.ts';
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';

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
  /** The disk of the metadata log failed: the node has to stop. */
  readonly onFailure: (error: unknown) => void;
  /** Other controllers, by the address that the quorum knows. A quorum of one asks for none. */
  readonly peerOf?: (address: PeerAddress) => Peer;
  /**
   * Called once, as soon as the requests of other nodes can be answered and before a leader is known: they must come through, or none ever will be. The node
   * opens its controller listeners then.
   */
  readonly onOpened?: (quorum: Quorum) => void;
  /** Ends the wait for a leader: `openQuorum` rejects then, with all closed. */
  readonly aborted?: AbortSignal;
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
  /** Is told of every committed change, in order. Gives back the way to stop that. */
  subscribe(listener: MetadataListener): () => void;
  /** Writes a snapshot of the committed metadata now. */
  snapshot(): Promise<void>;
  close(): Promise<void>;
}

/** Rejects with a MetadataError when the directory cannot be used, and with a DiskError or StorageError when the disk refuses. */
export async function openQuorum(options: QuorumOptions): Promise<Quorum> {
  const { runtime, settings, logger } = options;
  const disk = options.disk ?? runtime.disk;
  const directory = joinPath(options.directory, METADATA_DIRECTORY);
  const metadata = MetadataLog.open({ disk, directory, clock: runtime.clock, settings, logger });
  try {
    const images = new MetadataImages();
    await metadata.load(images);
    checkMetadataVersion(images.latest, directory);
    return start(options, { disk, directory, metadata, images });
  } catch (error) {
    metadata.abandon();
    throw error;
  }
}

interface Loaded {
  readonly disk: Disk;
  /** Of the metadata log. */
  readonly directory: string;
  readonly metadata: MetadataLog;
  readonly images: MetadataImages;
}

function start(options: QuorumOptions, { disk, directory, metadata, images }: Loaded): Quorum {
  const { runtime, settings, nodeId, logger } = options;
  const { kraftVersion, voters: voterRecords } = metadata.voterRecords;
  const voters = votersOf(options, metadata);
  const state = initialState({
    nodeId,
    directoryId: kraftVersion > 0 ? options.directoryId : null,
    voters,
    election: loadElection(disk, directory),
    lastEpoch: metadata.lastEpoch,
    logEndOffset: metadata.log.logEndOffset,
  });
  const firstControlRecords: NewControlRecord[] = [];
  if (kraftVersion > 0 && voterRecords !== null && !metadata.votersInLog) {
    firstControlRecords.push({ type: 'kraftVersion', value: { version: 0, kRaftVersion: kraftVersion } }, { type: 'voters', value: voterRecords });
  }
  let failureAtStart: unknown;
  let isStarted = false;
  const driver: RaftDriver = new RaftDriver({
    log: metadata.log,
    clock: runtime.clock,
    timers: runtime.timers,
    state,
    firstControlRecords,
    hooks: {
      saveElection: (election) => saveElection(disk, directory, election, { kraftVersion, voters }),
      onLeader: () => controller.activate(),
      onHighWatermark: async (offset) => {
        metadata.noteCommitted(offset);
        await images.commit(offset);
        metadata.maybeSnapshot(images.committed);
      },
      onCut: () => images.revert(),
      onFailure(error) {
        if (isStarted) options.onFailure(error);
        else failureAtStart = error;
      },
    },
  });
  const controller = new Controller({
    driver,
    images,
    settings,
    clock: runtime.clock,
    timers: runtime.timers,
    random: runtime.random,
    logger,
    nodeId,
    clusterId: options.clusterId,
    quorum: {
      kraftVersion: () => kraftVersion,
      voterIds: () => voters.map((voter) => voter.id),
      upgradeKraftVersion(level) {
        if (level !== kraftVersion) throw new KafkaError(ErrorCode.INVALID_UPDATE_VERSION, 'kraft.version is set when a cluster is formatted');
      },
    },
    bootstrap: loadBootstrap(disk, options.directory, images.latest),
    registration: controllerRegistration(options),
  });
  driver.start();
  isStarted = true;
  if (failureAtStart !== undefined) throw failureAtStart;
  return {
    image: () => images.committed,
    controller,
    kraftVersion: () => kraftVersion,
    leader: () => ({ leaderId: driver.leaderEpoch === undefined ? -1 : nodeId, epoch: driver.leaderEpoch ?? 0, address: null }),
    onLeader: () => () => {},
    highWatermark: () => driver.state.highWatermark ?? 0,
    subscribe: (listener) => images.subscribe(listener),
    snapshot: () => metadata.snapshot(images.committed),
    async close() {
      await driver.close();
      controller.deactivate();
      await metadata.close();
    },
  };
}

function checkMetadataVersion({ metadataVersion }: MetadataImage, directory: string): void {
  if (metadataVersion === undefined || metadataVersionName(metadataVersion) !== undefined) return;
  throw new MetadataError(
    `the metadata in ${directory} has metadata.version ${metadataVersion}, but this version supports ${METADATA_VERSION_MIN} to ${METADATA_VERSION_LATEST} (${metadataVersionName(METADATA_VERSION_LATEST)})`,
  );
}

/** Those in the log of a dynamic quorum, else those of controller.quorum.voters (`1@host:9093`), else this node alone. */
function votersOf({ settings, nodeId, directoryId }: QuorumOptions, { voterRecords }: MetadataLog): Voter[] {
  const voters: Voter[] =
    voterRecords.kraftVersion > 0 && voterRecords.voters !== null
      ? voterRecords.voters.voters.map(({ voterId, voterDirectoryId }) => ({ id: voterId, directoryId: voterDirectoryId }))
      : settings.get('controller.quorum.voters').map((voter) => ({ id: Number(voter.slice(0, voter.indexOf('@'))), directoryId: null }));
  if (voters.length === 0) voters.push({ id: nodeId, directoryId: null });
  const me = voters.find((voter) => voter.id === nodeId && (voter.directoryId === null || voter.directoryId === directoryId));
  if (me === undefined) throw new MetadataError(`node ${nodeId} with directory ${directoryId} is not one of the voters of the metadata quorum`);
  if (voters.length > 1) throw new MetadataError(`the metadata quorum has ${voters.length} voters; this version runs a quorum of one`);
  return voters;
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

function saveElection(
  disk: Disk,
  directory: string,
  { epoch, leaderId, votedId, votedDirectoryId }: ElectionState,
  { kraftVersion, voters }: { readonly kraftVersion: number; readonly voters: readonly Voter[] },
): void {
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

function controllerRegistration({ controllerEndpoints = [], nodeId, runtime }: QuorumOptions): NewRecord | null {
  if (controllerEndpoints.length === 0) return null;
  return newRecord('RegisterControllerRecord', {
    controllerId: nodeId,
    incarnationId: runtime.random.uuid(),
    zkMigrationReady: false,
    endPoints: controllerEndpoints,
    features: SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max })),
  });
}
