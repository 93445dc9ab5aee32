/**
 * What a node has as a broker: its replicas, its coordinators and what serves clients, following the metadata.
 *
 * Promises: after `start` the logs that the metadata assign to this node are open and the groups whose partition it leads are loaded; from then on each change of
 * the metadata is acted upon before whoever caused it in this process is answered. A coordinator serves as long as its partition's leadership lasts: it loads
 * before it answers, and ends with the leader epoch.
 * Does not register, open ports, or decide what is where.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { AllocateProducerIds } from '../../protocol/messages/cluster.ts';
import { BufferPool } from '../../storage/buffer-pool.ts';
import { GroupCoordinator } from '../coordinator/group-coordinator.ts';
import type { OpenedDirectories } from '../data-directories.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { PeerChannel } from '../peer/peer.ts';
import type { MetadataChanges } from '../quorum/changes.ts';
import type { MetadataImage } from '../quorum/image.ts';
import { GROUP_METADATA_TOPIC } from '../quorum/topic-names.ts';
import { FetchSessions } from '../replica/fetch-sessions.ts';
import { ProducerIds } from '../replica/producer-ids.ts';
import type { ProducerIdBlock } from '../replica/producer-ids.ts';
import type { Partition } from '../replica/partition.ts';
import { Replicas } from '../replica/replicas.ts';
import type { ReplicaRole } from '../replica/replicas.ts';
import { shardLogOf } from '../replica/shard-log.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Turn } from '../runtime/turn.ts';
import type { Settings } from '../settings.ts';

const FETCH_SESSION_EVICTION_MS = 120_000;
const FETCH_SESSION_ID_MAX = 0x7fff_ffff;

export interface BrokerSideOptions {
  readonly runtime: Runtime;
  readonly nodeId: number;
  readonly logger: Logger;
  readonly turn: Turn;
  readonly directories: OpenedDirectories;
  /** In force now. */
  readonly settings: () => Settings;
  readonly image: () => MetadataImage;
  readonly onFatal: (error: unknown) => void;
  /** A log directory is offline: heartbeats have something to tell. */
  readonly onDirectoryFailed: () => void;
  readonly ensureTopics: (names: readonly string[]) => Promise<void>;
  readonly metrics: Metrics;
  /** Another broker, null while it is not known. */
  readonly peerOf: (nodeId: number, lane: number) => PeerChannel | null;
  readonly controllerChannel: PeerChannel;
  /** -1 before this node is registered. */
  readonly brokerEpoch: () => number;
  /** See BrokerLifecycle.lease. */
  readonly lease: () => number | null;
}

export class BrokerSide {
  readonly fetchSessions: FetchSessions;
  readonly readBuffers = new BufferPool();
  readonly producerIds: ProducerIds;
  readonly replicas: Replicas;
  readonly groups: GroupCoordinator;
  readonly #options: BrokerSideOptions;
  /** Begun since somebody last looked. */
  readonly #loads: { readonly partition: number; readonly loaded: Promise<void> }[] = [];

  constructor(options: BrokerSideOptions) {
    const { runtime, nodeId, logger, turn, directories, settings, image, metrics } = options;
    this.#options = options;
    this.fetchSessions = new FetchSessions({
      slotsMax: settings().get('max.incremental.fetch.session.cache.slots'), evictionMs: FETCH_SESSION_EVICTION_MS, newId: () => 1 + runtime.random.below(FETCH_SESSION_ID_MAX),
    });
    this.producerIds = new ProducerIds(() => this.#allocateProducerIds());
    this.replicas = new Replicas({
      runtime, directories: directories.all, nodeId, turn, logger, settings, metrics,
      peerOf: options.peerOf, controller: options.controllerChannel, brokerEpoch: options.brokerEpoch, onDirectoryFailed: options.onDirectoryFailed, onBug: options.onFatal, onDamaged: options.onFatal,
      onLeadershipChange: (partition, role) => this.#roleChanged(partition, role),
    });
    this.groups = new GroupCoordinator({
      runtime, logger,
      settings: { get: (name) => settings().get(name) as number },
      ensureTopic: () => options.ensureTopics([GROUP_METADATA_TOPIC]),
      partitionCount: () => image().topic(GROUP_METADATA_TOPIC)?.partitions.length ?? settings().get('offsets.topic.num.partitions'),
    });
  }

  async start(image: MetadataImage): Promise<void> {
    const { directories, logger } = this.#options;
    this.replicas.start(image);
    await Promise.all(this.#loads.splice(0).map(({ loaded }) => loaded));
    for (const { logs } of directories.all) void logs.removeDeleted().catch((error: unknown) => logger.warn(`${logs.path}: leftovers of deleted partitions stay: ${String(error)}`));
  }

  /** Does what the new metadata ask. */
  async follow(changes: MetadataChanges): Promise<void> {
    this.replicas.apply(changes);
    this.groups.onTopicsDeleted(changes.topicsDeleted);
    // A partition that is new has nothing to load, and who made it counts on it. One that has moved is loaded while other changes go on.
    const made = new Set(changes.partitions.filter(({ topic, before }) => topic.name === GROUP_METADATA_TOPIC && before === undefined).map(({ partition }) => partition));
    await Promise.all(this.#loads.splice(0).filter(({ partition }) => made.has(partition)).map(({ loaded }) => loaded));
  }

  /** Hands a partition of an internal topic to its coordinator, or takes it away. */
  #roleChanged(replica: Partition, role: ReplicaRole): void {
    const { topic, partition } = replica;
    if (topic !== GROUP_METADATA_TOPIC) return;
    if (role !== 'leader') return this.groups.onResignation(partition, null);
    this.#loads.push({ partition, loaded: this.groups.onLeadership(partition, shardLogOf(replica, this.#options.runtime.clock, this.#options.lease)) });
  }

  async #allocateProducerIds(): Promise<ProducerIdBlock> {
    const { controllerChannel, nodeId, brokerEpoch } = this.#options;
    try {
      const { errorCode, producerIdStart, producerIdLen } = await controllerChannel.request(AllocateProducerIds, { brokerId: nodeId, brokerEpoch: brokerEpoch() });
      if (errorCode !== ErrorCode.NONE) throw new KafkaError(errorCode as ErrorCode);
      return { firstProducerId: producerIdStart, blockSize: producerIdLen };
    } catch (error) {
      if (!(error instanceof ConnectionError) && !(error instanceof KafkaError && error.code !== ErrorCode.KAFKA_STORAGE_ERROR)) throw error;
      // What lets a client come again, as Kafka's RPCProducerIdManager has it.
      throw new KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, error.message);
    }
  }

  /** Those who wait are answered, and nothing that waits is begun any more. */
  wakeAll(): void {
    this.replicas.stopWaiting();
    this.groups.close();
  }

  close(): Promise<void> {
    return this.replicas.close();
  }
}
