/**
 * All partitions that this node has a replica of, and the log directories that they lie in.
 *
 * Promises: follows the metadata: when `apply` returns, every log that the new image asks for is there and every one that it does not is out of use, leaders lead
 * and followers are fetched for; a directory that the metadata knows nothing of is put aside (`-stray`), never deleted. A log directory that fails takes its
 * partitions with it and no others. Housekeeping (retention, flushing by time, checkpoints, expiry of producers) runs on timers of its own and stops with `close`.
 * Does not decide what is where: the controller does.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import { DiskError } from '../../storage/disk.ts';
import type { FoundPartition, LogDirectory } from '../../storage/log-directory.ts';
import type { Log } from '../../storage/log.ts';
import { StorageError } from '../../storage/log.ts';
import type { MetadataChanges } from '../quorum/changes.ts';
import { ResourceType } from '../quorum/image.ts';
import type { MetadataImage, PartitionImage, TopicImage } from '../quorum/image.ts';
import { isInternalTopic } from '../quorum/topic-names.ts';
import { Metrics } from '../metrics/metrics.ts';
import { ReplicaCounters } from '../metrics/replica-counters.ts';
import type { PeerChannel } from '../peer/peer.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runtime, Timer } from '../runtime/runtime.ts';
import type { Turn } from '../runtime/turn.ts';
import type { Settings } from '../settings.ts';
import { RACK_AWARE_SELECTOR } from '../settings/replica.ts';
import { overridesWithoutEffect } from '../settings/topic-settings.ts';
import { AlterPartitions } from './alter-partition.ts';
import { DirectoryAssignments } from './directory-assignments.ts';
import type { FetchPartition } from './fetch-sessions.ts';
import type { FetcherLag, FetcherSettings } from './fetcher.ts';
import { Fetchers } from './fetchers.ts';
import { Housekeeping } from './housekeeping.ts';
import { logConfigOf, partitionSettingsOf } from './partition-settings.ts';
import { Partition } from './partition.ts';
import type { PartitionNode } from './partition.ts';
import { readReplica } from './read-replica.ts';
import type { ReadAnswer, Reader } from './reading.ts';
import { RefusedWrites } from './refused-writes.ts';
import { isThrottledReplica, ReplicationQuota } from './replication-quota.ts';

export interface OwnDirectory {
  /** Of meta.properties. */
  readonly id: string;
  readonly logs: LogDirectory;
}

export interface ReplicasOptions {
  readonly runtime: Runtime;
  readonly directories: readonly OwnDirectory[];
  readonly nodeId: number;
  readonly turn: Turn;
  readonly logger: Logger;
  /** In force now, dynamic ones included. */
  readonly settings: () => Settings;
  /** Another broker, null while it is not known; each lane is a connection of its own. */
  readonly peerOf: (nodeId: number, lane: number) => PeerChannel | null;
  /** The active controller. */
  readonly controller: PeerChannel;
  /** -1 before this node is registered. */
  readonly brokerEpoch: () => number;
  /** Something that cannot be was found. */
  readonly onBug?: (error: unknown) => void;
  /** A replica is damaged that others have: the node must end, and is no more in sync when it comes back. */
  readonly onDamaged?: (error: Error) => void;
  /** One of `offlineLogDirs` is new. */
  readonly onDirectoryFailed?: () => void;
  /** The replica has begun to lead, in its present leader epoch, or it leads no more. */
  readonly onLeadershipChange?: (partition: Partition, role: ReplicaRole) => void;
  /** Where it counts what comes and goes; by default where nobody looks. */
  readonly metrics?: Metrics;
}

/** A replica that others rely on is not what was written: this node must come back as one that has lost data. */
export class DamageError extends Error {
  constructor(name: string, offset: number) {
    super(`${name} is damaged at offset ${offset}; a restart takes it from the other replicas`);
    this.name = 'DamageError';
  }
}

export type ReplicaRole = 'leader' | 'follower' | 'none';

/** Fetches have lanes of their own: one waits at the leader, and nobody else is to wait behind it. */
const FIRST_FETCH_LANE = 1;

interface Topic {
  readonly id: string;
  readonly partitions: (Partition | undefined)[];
}

export class Replicas {
  readonly counters: ReplicaCounters;
  readonly #options: ReplicasOptions;
  readonly #topics = new Map<string, Topic>();
  readonly #names = new Map<string, string>();
  /** Partitions whose log could not be opened or made: they answer KAFKA_STORAGE_ERROR. */
  readonly #broken = new Set<string>();
  /** Partitions of whose damage the operator was told. */
  readonly #told = new Set<string>();
  readonly #directoryOf = new Map<Log, LogDirectory>();
  readonly #housekeeping: Housekeeping;
  readonly #alterPartitions: AlterPartitions;
  readonly #fetchers: Fetchers;
  readonly #assignments: DirectoryAssignments;
  readonly #quotas: { readonly leader: ReplicationQuota; readonly follower: ReplicationQuota };
  readonly #partitionNode: PartitionNode;
  #image: MetadataImage | null = null;
  #shrinkTimer: Timer | null = null;
  #closed = false;
  #stopsWaiting = false;

  constructor(options: ReplicasOptions) {
    this.#options = options;
    this.counters = new ReplicaCounters(options.metrics ?? new Metrics());
    this.#housekeeping = new Housekeeping({
      runtime: options.runtime, logger: options.logger, settings: options.settings,
      directories: options.directories.map((directory) => directory.logs), partitions: () => this.partitions(),
    });
    const { runtime, nodeId, turn, logger, settings, brokerEpoch, peerOf, controller } = options;
    const { clock, timers } = runtime;
    this.#alterPartitions = new AlterPartitions({ nodeId, controller, brokerEpoch, timers, turn, logger, counters: this.counters });
    this.#fetchers = new Fetchers({
      nodeId, brokerEpoch, clock, timers, logger,
      channelOf: (leaderId, loop) => peerOf(leaderId, FIRST_FETCH_LANE + loop),
      loopsPerLeader: () => settings().get('num.replica.fetchers'),
      settings: () => fetcherSettings(settings()),
      throttle: {
        isExceeded: (partition) => this.#isThrottled(partition, 'follower') && this.#quotas.follower.isExceeded(settings().get('follower.replication.throttled.rate'), clock.monotonicMs()),
        record: (partition, bytes) => {
          this.counters.replicationBytesIn.value += bytes;
          if (this.#isThrottled(partition, 'follower')) this.#quotas.follower.record(bytes, clock.monotonicMs());
        },
      },
    });
    const windows = { windows: settings().get('replication.quota.window.num'), windowMs: settings().get('replication.quota.window.size.seconds') * 1000 };
    this.#quotas = { leader: new ReplicationQuota(windows), follower: new ReplicationQuota(windows) };
    this.#assignments = new DirectoryAssignments({ nodeId, controller, brokerEpoch, timers, turn, logger });
    const refusedWrites = new RefusedWrites(clock, logger);
    this.#partitionNode = {
      nodeId,
      nowMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      lagMsMax: () => settings().get('replica.lag.time.max.ms'),
      aliveEpoch: (id) => {
        const broker = this.#image?.brokers.get(id);
        return broker === undefined || broker.fenced ? undefined : broker.epoch;
      },
      mayJoin: (id) => this.#image?.isActive(id) === true,
      propose: (partition, proposal) => this.#alterPartitions.propose(partition, proposal),
      roleChanged: (partition) => this.#roleChanged(partition),
      writeRefused: (partition, error) => refusedWrites.tell(this.#directoryOf.get(partition.log)!.path, error),
      damaged: (partition, offset, isNoted) => this.#damaged(partition, offset, isNoted),
      ...(options.onBug !== undefined && { onBug: options.onBug }),
    };
    for (const { logs } of options.directories) logs.onOffline = (error) => this.#directoryFailed(logs, error);
  }

  // ---- looking up

  /** The partition, or what a client is to be told. */
  find(topic: string, partition: number): Partition | ErrorCode {
    const known = this.#topics.get(topic);
    const found = known?.partitions[partition];
    return found ?? this.#absent(topic, partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  }

  findById(topicId: string, partition: number): Partition | ErrorCode {
    const name = this.#names.get(topicId) ?? this.#image?.topicById(topicId)?.name;
    if (name === undefined) return ErrorCode.UNKNOWN_TOPIC_ID;
    return this.#topics.get(name)?.partitions[partition] ?? this.#absent(name, partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  }

  findForFetch(asked: FetchPartition, usesTopicIds: boolean): Partition | ErrorCode {
    return usesTopicIds ? this.findById(asked.topicId, asked.partition) : this.find(asked.topic ?? '', asked.partition);
  }

  topicName(topicId: string): string | null {
    return this.#names.get(topicId) ?? this.#image?.topicById(topicId)?.name ?? null;
  }

  /** Who leads a partition that this node need not have a replica of; null for one that nobody knows. */
  leaderOf({ topic, topicId, partition }: { readonly topic: string | null; readonly topicId: string; readonly partition: number }): { leaderId: number; leaderEpoch: number } | null {
    const image = (topic === null ? this.#image?.topicById(topicId) : this.#image?.topic(topic))?.partitions[partition];
    return image === undefined ? null : { leaderId: image.leader, leaderEpoch: image.leaderEpoch };
  }

  /** Replicas that should be here and cannot be opened, or whose disk has failed. */
  get offlineCount(): number {
    let failed = 0;
    for (const { log } of this.partitions()) if (log.failed) failed++;
    return failed + this.#broken.size;
  }

  fetcherLags(): Iterable<FetcherLag> {
    return this.#fetchers.lags();
  }

  *partitions(): Generator<Partition> {
    for (const topic of this.#topics.values()) for (const partition of topic.partitions) if (partition !== undefined) yield partition;
  }

  #absent(topic: string, partition: number, unknown: ErrorCode): ErrorCode {
    if (this.#broken.has(`${topic}-${partition}`)) return ErrorCode.KAFKA_STORAGE_ERROR;
    return this.#image?.partition(topic, partition) === undefined ? unknown : ErrorCode.NOT_LEADER_OR_FOLLOWER;
  }

  // ---- following the metadata

  /** Opens what the directories hold and the image wants, makes what is missing, puts aside what nobody knows. */
  start(image: MetadataImage): void {
    this.#image = image;
    const { logger, runtime, settings } = this.#options;
    const producerIdExpirationMs = settings().get('producer.id.expiration.ms');
    let damaged: DamageError | undefined;
    for (const { logs } of this.#options.directories) {
      for (const found of logs.found) {
        const topic = image.topic(found.topic);
        const partition = topic?.partitions[found.partition];
        const heldId = logs.topicIdOf(found);
        const isOurs = topic !== undefined && partition !== undefined && partition.replicas.includes(this.#options.nodeId) && (heldId === undefined || heldId === topic.id);
        if (!isOurs) {
          logger.warn(`${logs.path}/${found.name} is in no metadata of this cluster: put aside as ${logs.putAside(found)}`);
          continue;
        }
        if (this.#topics.get(found.topic)?.partitions[found.partition] !== undefined) {
          logger.error(`${logs.path}/${found.name} is in another log directory too and is left alone here`);
          continue;
        }
        const config = logConfigOf(settings().topic.resolve(image.topicConfig(topic.name)), { producerIdExpirationMs });
        this.#guarded(topic, found.partition, () => {
          const { nodeId } = this.#options;
          const isCountedOn = partition.isr.includes(nodeId) || partition.elr.includes(nodeId);
          const log = logs.openLog(found, { config, nowMs: runtime.clock.wallMs(), cutsDamage: !isCountedOn && partition.leader >= 0 });
          if (isCountedOn && logs.cleanShutdown && log.recovery.lostFlushed && partition.replicas.length > 1) damaged ??= new DamageError(found.name, log.logEndOffset);
          this.#tellRecovery(found, log);
          this.#add(topic, found.partition, partition, log, logs);
        });
      }
    }
    // Whoever stopped in order is taken for one that has all it had: as one that has crashed it is not.
    if (damaged !== undefined) throw damaged;
    for (const topic of image.topics.values()) this.#addMissing(topic, image);
    this.#housekeeping.start();
    this.#watchLag();
  }

  /** Takes over what changed. A partition whose log cannot be made is broken, and says so to its clients. */
  apply(changes: MetadataChanges): void {
    this.#image = changes.image;
    for (const topic of changes.topicsDeleted) this.#remove(topic);
    const touched = new Set<TopicImage>();
    for (const { topic, partition, after } of changes.partitions) {
      const existing = this.#topics.get(topic.name)?.partitions[partition];
      if (existing === undefined) touched.add(topic);
      else if (after.replicas.includes(this.#options.nodeId)) {
        existing.update(after);
        this.#tellDirectory(topic, partition, after);
      } else this.#dismiss(topic, existing);
    }
    for (const topic of touched) this.#addMissing(topic, changes.image);
    if (changes.brokers.length > 0) for (const partition of this.partitions()) partition.reconsider();
    this.#applySettings(changes);
  }

  #addMissing(topic: TopicImage, image: MetadataImage): void {
    const { runtime, settings, nodeId } = this.#options;
    let config;
    for (let partition = 0; partition < topic.partitions.length; partition++) {
      const state = topic.partitions[partition]!;
      if (!state.replicas.includes(nodeId) || this.#topics.get(topic.name)?.partitions[partition] !== undefined) continue;
      config ??= logConfigOf(settings().topic.resolve(image.topicConfig(topic.name)), { producerIdExpirationMs: settings().get('producer.id.expiration.ms') });
      const logConfig = config;
      this.#guarded(topic, partition, () => {
        const logs = this.#placeFor(state);
        const log = logs.createLog({ topic: topic.name, partition, topicId: topic.id, config: logConfig, nowMs: runtime.clock.wallMs() });
        this.#add(topic, partition, state, log, logs);
      });
    }
  }

  /** Each log directory, with the replicas in it. */
  directories(): { readonly path: string; readonly isOffline: boolean; readonly partitions: readonly Partition[] }[] {
    const partitions = [...this.partitions()];
    return this.#options.directories.map(({ logs }) => ({ path: logs.path, isOffline: logs.offline !== undefined, partitions: partitions.filter(({ log }) => this.#directoryOf.get(log) === logs) }));
  }

  /** The directory that the metadata names, or the one with the fewest partitions, as Kafka does. */
  #placeFor(state: PartitionImage): LogDirectory {
    const { directories, nodeId } = this.#options;
    const named = state.directories[state.replicas.indexOf(nodeId)];
    const online = directories.filter((directory) => directory.logs.offline === undefined);
    const chosen = online.find((directory) => directory.id === named);
    if (chosen !== undefined) return chosen.logs;
    if (online.length === 0) throw new StorageError(directories[0]!.logs.path, new Error('no log directory is online'));
    const held = new Map<LogDirectory, number>();
    for (const logs of this.#directoryOf.values()) held.set(logs, (held.get(logs) ?? 0) + 1);
    return online.reduce((best, one) => ((held.get(one.logs) ?? 0) < (held.get(best.logs) ?? 0) ? one : best)).logs;
  }

  #add(topic: TopicImage, partition: number, state: PartitionImage, log: Log, logs: LogDirectory): void {
    let known = this.#topics.get(topic.name);
    if (known === undefined) {
      known = { id: topic.id, partitions: [] };
      this.#topics.set(topic.name, known);
      this.#names.set(topic.id, topic.name);
    }
    const settings = partitionSettingsOf(this.#options.settings().topic.resolve(this.#image!.topicConfig(topic.name)));
    this.#directoryOf.set(log, logs);
    this.#broken.delete(`${topic.name}-${partition}`);
    const added = new Partition({ topic: topic.name, topicId: topic.id, partition, log, settings, node: this.#partitionNode, turn: this.#options.turn, state });
    known.partitions[partition] = added;
    // One that leads has said so itself.
    if (!added.isLeader) this.#roleChanged(added);
    this.#tellDirectory(topic, partition, state);
  }

  /** Where the metadata have the replica in another directory than it is, they are put right. */
  #tellDirectory({ id, name }: TopicImage, partition: number, state: PartitionImage): void {
    const replica = this.#topics.get(name)?.partitions[partition];
    const logs = replica === undefined ? undefined : this.#directoryOf.get(replica.log);
    const directory = this.#options.directories.find((one) => one.logs === logs);
    const told = state.directories[state.replicas.indexOf(this.#options.nodeId)];
    if (directory === undefined || told === undefined || told === directory.id || directory.logs.offline !== undefined) this.#assignments.forget(id, partition);
    else this.#assignments.assign(id, partition, directory.id);
  }

  #roleChanged(partition: Partition): void {
    if (this.#closed) return;
    this.#fetchers.place(partition);
    if (!partition.isLeader) this.#alterPartitions.forget(partition);
    this.#options.onLeadershipChange?.(partition, partition.isLeader ? 'leader' : partition.isFollower ? 'follower' : 'none');
  }

  // ---- replication

  /** A follower, for its fetches by this connection. */
  readerFor(replicaId: number, brokerEpoch: number, connection: number): Reader {
    const atMs = this.#options.runtime.clock.monotonicMs();
    const rate = this.#options.settings().get('leader.replication.throttled.rate');
    const isExceeded = this.#quotas.leader.isExceeded(rate, atMs);
    return {
      replicaId, brokerEpoch, atMs, connection, wantsHighWatermark: this.#picksReplicas(),
      // Those in sync are never held up: they would fall out.
      isThrottled: (partition) => isExceeded && !partition.inSyncReplicas.includes(replicaId) && this.#isThrottled(partition, 'leader'),
    };
  }

  /** What followers were given of throttled partitions counts, whether or not they are in sync. */
  recordThrottled(answers: readonly ReadAnswer[], find: (asked: FetchPartition) => Partition | ErrorCode): void {
    for (const { asked, recordsBytes } of answers) {
      const partition = recordsBytes > 0 ? find(asked) : null;
      if (partition === null || typeof partition === 'number' || !this.#isThrottled(partition, 'leader')) continue;
      this.#quotas.leader.record(recordsBytes, this.#options.runtime.clock.monotonicMs());
    }
  }

  #isThrottled({ partition, settings }: Partition, side: 'leader' | 'follower'): boolean {
    return isThrottledReplica(side === 'leader' ? settings.leaderThrottledReplicas : settings.followerThrottledReplicas, partition, this.#options.nodeId);
  }

  /** Whether consumers are sent to replicas of their rack. */
  #picksReplicas(): boolean {
    return this.#options.settings().get('replica.selector.class') === RACK_AWARE_SELECTOR;
  }

  /** The replica that a consumer of this rack had better read from; null where consumers are not sent anywhere. */
  preferredReplica(rack: string): ((partition: Partition, asked: FetchPartition) => number) | null {
    if (rack === '' || !this.#picksReplicas()) return null;
    const image = this.#image;
    const rackOf = (id: number): string | null => {
      const broker = image?.brokers.get(id);
      return broker === undefined || broker.fenced ? null : broker.rack;
    };
    const leaderRack = rackOf(this.#options.nodeId);
    return (partition, { fetchOffset }) => {
      if (!partition.isLeader) return -1;
      return readReplica({ rack, fetchOffset, leaderRack, isr: partition.inSyncReplicas, followers: partition.followers, rackOf });
    };
  }

  /** Each half of replica.lag.time.max.ms: who has been behind for the whole of it goes out of the in-sync replicas. */
  #watchLag(): void {
    if (this.#closed) return;
    this.#shrinkTimer = this.#options.runtime.timers.after(this.#options.settings().get('replica.lag.time.max.ms') / 2, () => {
      for (const partition of this.partitions()) {
        partition.shrinkInSync();
        partition.reconsider();
      }
      this.#watchLag();
    });
  }

  /** Ids of log directories that have failed: the controller is told with each heartbeat, and moves what they led. */
  offlineLogDirs(): readonly string[] {
    return this.#options.directories.filter(({ logs }) => logs.offline !== undefined).map(({ id }) => id);
  }

  #directoryFailed(logs: LogDirectory, error: StorageError): void {
    if (this.#closed) return;
    this.#options.logger.error(`${logs.path} is offline, and what it holds: ${error.message}`);
    for (const partition of this.partitions()) if (this.#directoryOf.get(partition.log) === logs) this.#fetchers.place(partition);
    this.#options.onDirectoryFailed?.();
  }

  /** Where another replica is in sync, it has what rots here. */
  #damaged({ topic, partition, inSyncReplicas }: Partition, offset: number, isNoted: boolean): boolean {
    const name = `${topic}-${partition}`;
    const others = inSyncReplicas.filter((replica) => replica !== this.#options.nodeId);
    if (isNoted) this.#options.onDamaged?.(new DamageError(name, offset));
    if (!this.#told.has(name)) this.#options.logger.error(`${name}: offset ${offset} on the disk is not what was written; ${others.length === 0 ? 'no other replica in sync has it' : `brokers ${others.join()} have it`}`);
    this.#told.add(name);
    return others.length > 0;
  }

  /** A disk that refuses breaks this partition and no other. */
  #guarded(topic: TopicImage, partition: number, open: () => void): void {
    try {
      open();
    } catch (error) {
      if (!(error instanceof DiskError) && !(error instanceof StorageError)) throw error;
      this.#broken.add(`${topic.name}-${partition}`);
      this.#options.logger.error(`${topic.name}-${partition} is offline: ${error.message}`);
    }
  }

  /** Out of use at once; the files go on their own time. */
  #remove(topic: TopicImage): void {
    const known = this.#topics.get(topic.name);
    for (let i = 0; i < topic.partitions.length; i++) this.#broken.delete(`${topic.name}-${i}`);
    if (known === undefined || known.id !== topic.id) return;
    this.#topics.delete(topic.name);
    this.#names.delete(topic.id);
    this.counters.forget(topic.name);
    for (const partition of known.partitions) if (partition !== undefined) this.#discard(partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  }

  /** The replica was reassigned to others. */
  #dismiss({ name }: TopicImage, partition: Partition): void {
    const known = this.#topics.get(name)!;
    // Not a hole: an array keeps what its other partitions are called.
    known.partitions[partition.partition] = undefined;
    if (known.partitions.every((one) => one === undefined)) {
      this.#topics.delete(name);
      this.#names.delete(known.id);
    }
    this.#discard(partition, ErrorCode.NOT_LEADER_OR_FOLLOWER);
  }

  #discard(partition: Partition, errorCode: ErrorCode): void {
    partition.leave(errorCode);
    this.#fetchers.forget(partition);
    this.#alterPartitions.forget(partition);
    this.#assignments.forget(partition.topicId, partition.partition);
    this.#options.onLeadershipChange?.(partition, 'none');
    const directory = this.#directoryOf.get(partition.log)!;
    this.#directoryOf.delete(partition.log);
    try {
      this.#housekeeping.removing(directory.deleteLog(partition.log));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#options.logger.error(`the files of ${partition.topic}-${partition.partition} stay: ${error.message}`);
    }
  }

  #applySettings(changes: MetadataChanges): void {
    const ofBroker = changes.configs.some((resource) => resource.resourceType === ResourceType.BROKER);
    const names = ofBroker ? [...this.#topics.keys()] : changes.configs.filter((resource) => resource.resourceType === ResourceType.TOPIC).map((resource) => resource.name);
    const settings = this.#options.settings();
    const producerIdExpirationMs = settings.get('producer.id.expiration.ms');
    // num.replica.fetchers may be another.
    if (ofBroker) for (const partition of this.partitions()) this.#fetchers.place(partition);
    for (const name of names) {
      const topic = this.#topics.get(name);
      if (topic === undefined) continue;
      if (!ofBroker) this.#tellWithoutEffect(name, changes.image);
      const config = settings.topic.resolve(changes.image.topicConfig(name));
      const [logConfig, partitionSettings] = [logConfigOf(config, { producerIdExpirationMs }), partitionSettingsOf(config)];
      for (const partition of topic.partitions) {
        if (partition === undefined) continue;
        partition.log.config = logConfig;
        partition.settings = partitionSettings;
      }
    }
  }

  /** Once for each change of a topic's settings, as for the broker's at the start. */
  #tellWithoutEffect(topic: string, image: MetadataImage): void {
    const names = isInternalTopic(topic) ? [] : overridesWithoutEffect(image.topicConfig(topic));
    if (names.length > 0) this.#options.logger.warn(`topic ${topic}: taken without effect here: ${names.join(', ')}`);
  }

  #tellRecovery({ name }: FoundPartition, { recovery, logStartOffset, logEndOffset }: Log): void {
    const { logger } = this.#options;
    if (recovery.bytesCut > 0 || recovery.segmentsRemoved > 0) {
      logger.warn(`${name}: recovered offsets ${logStartOffset} to ${logEndOffset}; ${recovery.bytesCut} bytes of unfinished batches and ${recovery.segmentsRemoved} segments behind them were cut off`);
    }
    if (recovery.batchesCorrupt > 0) logger.error(`${name}: ${recovery.batchesCorrupt} batches that were flushed are not what was written`);
    if (recovery.lostFlushed) logger.error(`${name}: ends at offset ${logEndOffset}, before what had been flushed`);
  }

  /** The node stops: nobody waits for data any more, neither who does now nor who comes later. */
  stopWaiting(): void {
    this.#stopsWaiting = true;
    for (const partition of this.partitions()) partition.wakeWatchers();
  }

  get stopsWaiting(): boolean {
    return this.#stopsWaiting;
  }

  /** Ends every wait and stops the housekeeping. The directories are their owner's to close. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#shrinkTimer?.cancel();
    this.#fetchers.close();
    this.#alterPartitions.close();
    this.#assignments.close();
    for (const partition of this.partitions()) partition.leave(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    await this.#housekeeping.close();
  }
}

function fetcherSettings(settings: Settings): FetcherSettings {
  return {
    waitMsMax: settings.get('replica.fetch.wait.max.ms'), bytesMin: settings.get('replica.fetch.min.bytes'), partitionBytesMax: settings.get('replica.fetch.max.bytes'),
    responseBytesMax: settings.get('replica.fetch.response.max.bytes'), backoffMs: settings.get('replica.fetch.backoff.ms'), timeoutMs: settings.get('replica.socket.timeout.ms'),
  };
}
