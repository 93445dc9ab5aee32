/**
 * The controller: turns what brokers and clients want into records of the metadata log, while this node leads the quorum.
 *
 * Promises: a decision is made on the metadata as it will be when all that was decided before is committed; it is appended before the first `await`, so
 * decisions follow the order of the calls; the answer comes after the records are committed and this node's listeners have acted on them (a topic that was
 * created has its logs, one that was deleted has none), and an answer without records after all that it was based on. Refusals throw a KafkaError or are told
 * per topic, as Kafka's controller does.
 * Does not decide elsewhere: `topic-creation.ts`, `brokers.ts`, `isr-change.ts`, `elections.ts`, `reassignment.ts`, ... do, as pure functions. Here is what no
 * log holds: sessions, clocks, and the order of things.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Clock, Random, Timers } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';
import {
  checkedBroker, controllerRegistration, fenceBroker, heartbeat, type Heartbeat, type HeartbeatAnswer, type NewController, registerBroker, type Registration,
  type RegistrationContext, unregisterBroker,
} from './brokers.ts';
import { electionSettings, topicSettings } from './controller-settings.ts';
import { bootstrapRecords } from './bootstrap.ts';
import { decodedRecords } from './batches.ts';
import {
  alterConfigsIncrementally, type ConfigContext, type ConfigOutcome, elrSafetyRecords, enablesElr, type IncrementalChange, replaceConfigs, type WholeChange,
} from './config-change.ts';
import { assignDirectories, type DirectoryAssignments, type DirectoryAssignmentsAnswer } from './directories.ts';
import type { Appended, RaftDriver } from './driver.ts';
import { DynamicSettings } from './dynamic-settings.ts';
import { electLeaders, type ElectionsAnswer, preferredElections, uncleanElections, type WantedElections } from './elections.ts';
import { featureAnswer, type FeatureUpdates, type FeatureUpdatesAnswer, updateFeatures } from './feature-update.ts';
import { metadataVersionRules } from './features.ts';
import type { Endpoint } from './image.ts';
import type { MetadataImages } from './images.ts';
import { internalTopic } from './internal-topics.ts';
import { alterPartitions, type IsrChanges, type IsrChangesAnswer } from './isr-change.ts';
import { type Knock, LostBrokers } from './lost-brokers.ts';
import { PartitionIndex } from './partition-index.ts';
import type { ElectionSettings } from './partition-target.ts';
import { type PeriodicTask, PeriodicTasks } from './periodic-tasks.ts';
import { alterReassignments, listReassignments, type OngoingReassignments, type Reassignments, type ReassignmentsAnswer, type ReassignmentsQuery } from './reassignment.ts';
import { encodeRecord, newRecord, type NewRecord } from './records.ts';
import { checkResourceConfigs } from './resource-checks.ts';
import { BrokerSessions } from './sessions.ts';
import {
  createPartitions, createTopics, type CreationContext, type NewPartitions, type NewPartitionsResult, type NewTopic, type NewTopicResult, tooManyRecords, type TopicSettings,
} from './topic-creation.ts';
import { topicNameFault } from './topic-names.ts';

/** One request of a user may not make more (QuorumController.MAX_RECORDS_PER_USER_OP). */
const RECORDS_PER_OPERATION_MAX = 10_000;
/** Elections that the controller holds by itself in one go. */
const ELECTIONS_PER_TURN_MAX = 1000;
/** A broker is fenced at most an eighth of a session after its session is over, as in Kafka. */
const SESSION_CHECKS = 8;
/** Kafka's ProducerIdsBlock. */
const PRODUCER_ID_BLOCK_SIZE = 1000;
const PRODUCER_ID_MAX = Number.MAX_SAFE_INTEGER;

export interface TopicOutcome {
  readonly errorCode: ErrorCode;
  readonly errorMessage: string | null;
}

const SUCCESS: TopicOutcome = { errorCode: ErrorCode.NONE, errorMessage: null };

export interface ProducerIdBlock {
  readonly firstProducerId: number;
  readonly blockSize: number;
}

/** What the controller asks of the quorum that it leads, besides its log. */
export interface QuorumFacts {
  kraftVersion(): number;
  voterIds(): readonly number[];
  /** Raises kraft.version, or only says whether it could. Throws a KafkaError. */
  upgradeKraftVersion(level: number, validateOnly: boolean): void;
}

export interface ControllerOptions {
  readonly driver: RaftDriver;
  readonly images: MetadataImages;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly nodeId: number;
  readonly clusterId: string;
  readonly quorum: QuorumFacts;
  readonly knock: Knock;
  /** What a new cluster begins with, from bootstrap.checkpoint. */
  readonly bootstrap: readonly NewRecord[];
  /** This node's registration as a controller; null when it offers no controller listener. */
  readonly registration: NewRecord | null;
}

export class Controller {
  readonly #driver: RaftDriver;
  readonly #images: MetadataImages;
  readonly #settings: Settings;
  readonly #dynamic: DynamicSettings;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #nodeId: number;
  readonly #clusterId: string;
  readonly #quorum: QuorumFacts;
  readonly #bootstrap: readonly NewRecord[];
  readonly #registration: NewRecord | null;
  readonly #topicSettings: TopicSettings;
  readonly #electionSettings: ElectionSettings;
  readonly #index = new PartitionIndex();
  readonly #sessions: BrokerSessions;
  readonly #lost: LostBrokers;
  readonly #tasks: PeriodicTasks;
  /** Of the record of each broker's registration; of those that an earlier leader registered the epoch is as good. */
  readonly #registrationOffsets = new Map<number, number>();

  constructor(options: ControllerOptions) {
    const { settings, clock, timers } = options;
    this.#driver = options.driver;
    this.#images = options.images;
    this.#settings = settings;
    this.#dynamic = new DynamicSettings(settings, options.nodeId);
    this.#random = options.random;
    this.#logger = options.logger;
    this.#nodeId = options.nodeId;
    this.#clusterId = options.clusterId;
    this.#quorum = options.quorum;
    this.#bootstrap = options.bootstrap;
    this.#registration = options.registration;
    this.#topicSettings = topicSettings(() => this.#dynamic.at(this.#images.latest));
    this.#electionSettings = electionSettings((image) => this.#dynamic.at(image));
    this.#sessions = new BrokerSessions({ clock, timeoutMs: settings.get('broker.session.timeout.ms') });
    this.#lost = new LostBrokers({
      timers,
      knock: options.knock,
      addressOf: (brokerId, epoch) => this.#addressOf(brokerId, epoch),
      hasSession: (brokerId, epoch) => this.#sessions.has(brokerId, epoch),
      lost: (brokerId, epoch, { host, port }) => {
        this.#sessions.expire(brokerId);
        this.#fence(brokerId, epoch, `nothing listens any more at ${host}:${port}`);
      },
    });
    this.#tasks = new PeriodicTasks({ clock, timers, tasks: this.#periodicTasks() });
  }

  /** Whether this node decides now. */
  get isActive(): boolean {
    return this.#driver.leaderEpoch !== undefined;
  }

  /** What a new leader writes first: the bootstrap of a new cluster, the end of a transaction that its predecessor left open, itself. */
  activate(): void {
    const { latest } = this.#images;
    this.#registrationOffsets.clear();
    this.#sessions.begin(latest, this.#nodeId);
    this.#lost.clear();
    const records: NewRecord[] = [];
    if (this.#images.inTransaction) {
      records.push(newRecord('AbortTransactionRecord', { reason: 'Controller failover' }));
    }
    if (latest.metadataVersion === undefined) {
      const minInsyncReplicas = this.#settings.get('min.insync.replicas');
      records.push(...bootstrapRecords(this.#bootstrap, { minInsyncReplicas }));
    }
    this.#appendUnheard(records);
    this.#registerItself();
    this.#tasks.start();
    // What was the leader's process may have been a broker's too.
    const gone = latest.brokers.get(this.#driver.state.goneLeaderId ?? -1);
    if (gone !== undefined) this.#lost.controllerGone(gone.id, gone.epoch);
  }

  /** Another node leads now, or none. What waits for its commit is told so by the driver. */
  deactivate(_error?: unknown): void {
    this.#tasks.stop();
    this.#sessions.end();
    this.#lost.clear();
    this.#registrationOffsets.clear();
  }

  /** Creates topics, or only says what creating them would give. Throws POLICY_VIOLATION for more than one request may ask. */
  async createTopics(topics: readonly NewTopic[], { validateOnly = false }: { readonly validateOnly?: boolean } = {}): Promise<NewTopicResult[]> {
    this.#checkActive();
    const { records, results } = createTopics(topics, this.#creation());
    if (!validateOnly) await this.#appendForUser(records);
    return results;
  }

  async createPartitions(topics: readonly NewPartitions[], { validateOnly = false }: { readonly validateOnly?: boolean } = {}): Promise<NewPartitionsResult[]> {
    this.#checkActive();
    const { records, results } = createPartitions(topics, this.#creation());
    if (!validateOnly) await this.#appendForUser(records);
    return results;
  }

  /** Deletes topics by id. By id, because a name may have been given to another topic since it was looked up. */
  async deleteTopics(ids: Iterable<string>): Promise<Map<string, TopicOutcome>> {
    this.#checkActive();
    const { latest } = this.#images;
    const outcomes = new Map<string, TopicOutcome>();
    const records: NewRecord[] = [];
    for (const topicId of ids) {
      if (outcomes.has(topicId)) continue;
      if (latest.topicById(topicId) === undefined) {
        outcomes.set(topicId, { errorCode: ErrorCode.UNKNOWN_TOPIC_ID, errorMessage: null });
      } else {
        outcomes.set(topicId, SUCCESS);
        records.push(newRecord('RemoveTopicRecord', { topicId }));
      }
    }
    await this.#appendForUser(records);
    return outcomes;
  }

  /**
   * Sees to it that the topics exist: with the settings of the broker, or those that an internal topic must have. Resolves with what went wrong, by name;
   * a topic that is there already, or that somebody else is just creating, is as good as created.
   */
  async ensureTopics(names: Iterable<string>): Promise<Map<string, TopicOutcome>> {
    const outcomes = new Map<string, TopicOutcome>();
    const missing: NewTopic[] = [];
    const { latest } = this.#images;
    const settings = this.#dynamic.at(latest);
    for (const name of names) {
      if (topicNameFault(name) !== null) outcomes.set(name, { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION, errorMessage: topicNameFault(name) });
      else if (latest.topic(name) === undefined) missing.push(internalTopic(name, settings) ?? defaultTopic(name));
    }
    const results = missing.length === 0 ? [] : await this.createTopics(missing);
    for (const { name, errorCode, errorMessage } of results) {
      if (errorCode !== ErrorCode.NONE) this.#logger.warn(`topic ${name} cannot be created: ${errorMessage ?? errorCode}`);
      outcomes.set(name, { errorCode: errorCode as ErrorCode, errorMessage: errorMessage ?? null });
    }
    // What was there in the latest image may not be committed yet.
    await this.#driver.settled();
    return outcomes;
  }

  /** Registers a broker and resolves with its epoch. It is fenced until a heartbeat lifts the fence. */
  async registerBroker(request: Registration): Promise<number> {
    const { epoch, committed } = this.#register(request);
    await committed;
    return epoch;
  }

  /** Registration and the first heartbeat in one commit, for a broker in the controller's own process: it cannot serve before it has seen the image. */
  async joinCluster(request: Registration): Promise<number> {
    const { epoch, committed } = this.#register(request);
    const unfenced = this.brokerHeartbeat({
      brokerId: request.brokerId, brokerEpoch: epoch, currentMetadataOffset: this.#driver.state.logEndOffset - 1,
      wantFence: false, wantShutDown: false, offlineLogDirs: [], cordonedLogDirs: [],
    });
    await Promise.all([committed, unfenced]);
    return epoch;
  }

  async brokerHeartbeat(request: Heartbeat): Promise<HeartbeatAnswer> {
    this.#checkActive();
    const { brokerId, brokerEpoch, currentMetadataOffset } = request;
    const context = this.#context();
    const shutdownOffset = this.#sessions.shutdownOffset(brokerId);
    const { records, answer } = heartbeat(
      request,
      {
        registrationOffset: this.#registrationOffsets.get(brokerId) ?? brokerEpoch,
        lowestActiveOffset: this.#sessions.isShuttingDown(brokerId) ? this.#sessions.lowestActiveOffset(context.image) : 0,
        shutdownOffset,
      },
      context,
    );
    const appended = this.#append(records);
    this.#sessions.heard(brokerId, { epoch: brokerEpoch, metadataOffset: currentMetadataOffset, fenced: answer.isFenced });
    if (answer.inControlledShutdown) this.#sessions.beginShutdown(brokerId, appended.lastOffset);
    if (answer.shouldShutDown) this.#sessions.release(brokerId);
    if (!answer.isFenced && brokerId !== this.#nodeId) this.#lost.heard(brokerId, brokerEpoch);
    await appended.committed;
    return answer;
  }

  /** A connection by which this broker sent heartbeats was ended, not by this node. */
  brokerDisconnected(brokerId: number, epoch: number): void {
    if (this.isActive && this.#sessions.has(brokerId, epoch)) this.#lost.connectionBroke(brokerId, epoch);
  }

  async registerController(request: NewController): Promise<void> {
    this.#checkActive();
    await this.#append([controllerRegistration(request, this.#images.latest)]).committed;
  }

  async unregisterBroker(brokerId: number): Promise<void> {
    this.#checkActive();
    const records = unregisterBroker(brokerId, this.#context());
    await this.#appendForUser(records, () => this.#sessions.forget(brokerId));
  }

  /** A block of producer ids that nobody else was or will be given. */
  async allocateProducerIds(brokerId: number, brokerEpoch: number): Promise<ProducerIdBlock> {
    this.#checkActive();
    const { latest } = this.#images;
    checkedBroker(brokerId, brokerEpoch, latest);
    const firstProducerId = latest.producerIds?.nextProducerId ?? 0;
    if (firstProducerId > PRODUCER_ID_MAX - PRODUCER_ID_BLOCK_SIZE) {
      throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit");
    }
    const record = newRecord('ProducerIdsRecord', { brokerId, brokerEpoch, nextProducerId: firstProducerId + PRODUCER_ID_BLOCK_SIZE });
    await this.#append([record]).committed;
    return { firstProducerId, blockSize: PRODUCER_ID_BLOCK_SIZE };
  }

  async alterPartitions(request: IsrChanges): Promise<IsrChangesAnswer> {
    this.#checkActive();
    if (request.topics.length === 0) return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, topics: [] };
    const context = this.#context();
    checkedBroker(request.brokerId, request.brokerEpoch, context.image);
    const { records, answer } = alterPartitions(request, context);
    await this.#append(records).committed;
    return answer;
  }

  async assignReplicasToDirectories(request: DirectoryAssignments): Promise<DirectoryAssignmentsAnswer> {
    this.#checkActive();
    const context = this.#context();
    const { records, answer } = assignDirectories(request, checkedBroker(request.brokerId, request.brokerEpoch, context.image), context);
    await this.#append(records).committed;
    return answer;
  }

  async electLeaders(request: WantedElections): Promise<ElectionsAnswer> {
    this.#checkActive();
    const { records, answer } = electLeaders(request, this.#context());
    await this.#appendForUser(records);
    return answer;
  }

  async alterReassignments(request: Reassignments): Promise<ReassignmentsAnswer> {
    this.#checkActive();
    const { records, answer } = alterReassignments(request, this.#context());
    await this.#appendForUser(records);
    return answer;
  }

  /** Of what is committed; a controller that is not active answers too, as Kafka's does. */
  listReassignments(query: ReassignmentsQuery): OngoingReassignments {
    const image = this.#images.committed;
    return listReassignments(query, image, this.#index.at(image));
  }

  async updateFeatures(request: FeatureUpdates, apiVersion: number): Promise<FeatureUpdatesAnswer> {
    this.#checkActive();
    const { latest } = this.#images;
    const records: NewRecord[] = [];
    try {
      const updates = updateFeatures(request, {
        image: latest,
        nodeId: this.#nodeId,
        kraftVersion: this.#quorum.kraftVersion(),
        voterIds: this.#quorum.voterIds(),
        upgradeKraftVersion: (level, validateOnly) => this.#quorum.upgradeKraftVersion(level, validateOnly),
      });
      if (!request.validateOnly && enablesElr(request.featureUpdates)) records.push(...elrSafetyRecords(latest, this.#settings.get('min.insync.replicas')));
      records.push(...updates);
    } catch (error) {
      if (!(error instanceof KafkaError) || error.code === ErrorCode.NOT_CONTROLLER) throw error;
      return featureAnswer(request, apiVersion, error);
    }
    await this.#appendForUser(records);
    return featureAnswer(request, apiVersion, null);
  }

  async alterConfigsIncrementally(resources: readonly IncrementalChange[], how: { readonly validateOnly: boolean; readonly isForwarded: boolean }): Promise<ConfigOutcome[]> {
    this.#checkActive();
    return this.#changeConfigs(alterConfigsIncrementally(resources, this.#configContext(how)), how);
  }

  async replaceConfigs(resources: readonly WholeChange[], how: { readonly validateOnly: boolean; readonly isForwarded: boolean }): Promise<ConfigOutcome[]> {
    this.#checkActive();
    return this.#changeConfigs(replaceConfigs(resources, this.#configContext(how)), how);
  }

  async #changeConfigs(
    { records, outcomes }: { readonly records: readonly NewRecord[]; readonly outcomes: ConfigOutcome[] },
    { validateOnly }: { readonly validateOnly: boolean },
  ): Promise<ConfigOutcome[]> {
    if (validateOnly) return outcomes;
    const committed = this.#appendForUser(records);
    // Kafka finds out within five minutes, by its periodic task.
    if (records.some((record) => record.name === 'ConfigRecord' && record.value.name === 'unclean.leader.election.enable')) {
      while (this.#electUnclean());
    }
    await committed;
    return outcomes;
  }

  #register(request: Registration): { epoch: number; committed: Promise<void> } {
    this.#checkActive();
    const { brokerId } = request;
    const present = this.#images.latest.brokers.get(brokerId);
    const hasSession = present !== undefined && this.#sessions.isLive(brokerId, present.epoch);
    const { records, epoch } = registerBroker(request, { hasSession, nextOffset: this.#driver.state.logEndOffset }, this.#context());
    const { lastOffset, committed } = this.#append(records);
    this.#registrationOffsets.set(brokerId, lastOffset);
    this.#sessions.register(brokerId, epoch);
    return { epoch, committed };
  }

  #registerItself(): void {
    const registration = this.#registration;
    if (registration === null || registration.name !== 'RegisterControllerRecord') return;
    const { latest } = this.#images;
    if (!metadataVersionRules(latest.metadataVersion ?? 0).supportsControllerRegistration) return;
    if (latest.controllers.get(this.#nodeId)?.incarnationId === registration.value.incarnationId) return;
    this.#appendUnheard([registration]);
  }

  #periodicTasks(): PeriodicTask[] {
    const settings = this.#settings;
    const sessionCheckMs = Math.max(1, Math.floor(settings.get('broker.session.timeout.ms') / SESSION_CHECKS));
    const idleMs = settings.get('metadata.max.idle.interval.ms');
    const tasks: PeriodicTask[] = [
      { intervalMs: sessionCheckMs, run: (lateMs) => this.#fenceOneStaleBroker(lateMs, sessionCheckMs) },
      { intervalMs: settings.get('unclean.leader.election.interval.ms'), run: () => this.#electUnclean() },
    ];
    if (settings.get('auto.leader.rebalance.enable')) {
      tasks.push({ intervalMs: settings.get('leader.imbalance.check.interval.seconds') * 1000, run: () => this.#electPreferred() });
    }
    if (idleMs > 0) tasks.push({ intervalMs: idleMs, run: () => this.#writeNoOp() });
    return tasks;
  }

  #fenceOneStaleBroker(lateMs: number, intervalMs: number): boolean {
    if (lateMs > intervalMs) this.#sessions.excuse(lateMs);
    const expired = this.#sessions.nextExpired();
    if (expired === undefined) return false;
    this.#fence(expired.brokerId, expired.epoch, `nothing was heard from it for ${this.#settings.get('broker.session.timeout.ms')} ms`);
    return true;
  }

  #fence(brokerId: number, epoch: number, why: string): void {
    const broker = this.#images.latest.brokers.get(brokerId);
    if (broker === undefined || broker.fenced || broker.epoch !== epoch) return;
    this.#logger.warn(`broker ${brokerId} is fenced: ${why}`);
    this.#appendUnheard(fenceBroker(brokerId, this.#context()));
  }

  /** Where other brokers reach it. */
  #addressOf(brokerId: number, epoch: number): Endpoint | null {
    const broker = this.#images.latest.brokers.get(brokerId);
    if (broker?.epoch !== epoch) return null;
    const { interBroker } = this.#settings.listeners;
    return broker.endpoints.find(({ name }) => name === interBroker) ?? broker.endpoints[0] ?? null;
  }

  #electPreferred(): boolean {
    const { records, more } = preferredElections(ELECTIONS_PER_TURN_MAX, this.#context());
    this.#appendUnheard(records);
    return more;
  }

  #electUnclean(): boolean {
    const { records, more } = uncleanElections(ELECTIONS_PER_TURN_MAX, this.#context());
    this.#appendUnheard(records);
    return more;
  }

  /** Shows followers that the log is alive and how far it is. A node on its own has nobody to show it to. */
  #writeNoOp(): boolean {
    if (this.#quorum.voterIds().length > 1 || this.#images.latest.brokers.size > 1) this.#appendUnheard([newRecord('NoOpRecord', {})]);
    return false;
  }

  /** Refuses more records than one operation may make, then appends them; `then` follows at once. */
  #appendForUser(records: readonly NewRecord[], then?: () => void): Promise<void> {
    if (records.length > RECORDS_PER_OPERATION_MAX) throw tooManyRecords();
    const { committed } = this.#append(records);
    then?.();
    return committed;
  }

  /** In the log and in the latest image when it returns; committed and acted upon when `committed` resolves. Without records: all that is in the log. */
  #append(records: readonly NewRecord[]): Pick<Appended, 'lastOffset' | 'committed'> {
    if (records.length === 0) return { lastOffset: this.#driver.state.logEndOffset - 1, committed: this.#driver.settled() };
    const values = records.map(encodeRecord);
    const { lastOffset, epoch, timestampMs, committed } = this.#driver.append(values);
    this.#images.fold([{ lastOffset, epoch, timestampMs, records: decodedRecords(values) }]);
    return { lastOffset, committed };
  }

  /** For what nobody waits for; that it failed is told by the driver. */
  #appendUnheard(records: readonly NewRecord[]): void {
    if (records.length === 0) return;
    try {
      this.#append(records).committed.catch(passOver);
    } catch (error) {
      passOver(error);
    }
  }

  #checkActive(): void {
    if (!this.isActive) throw new KafkaError(ErrorCode.NOT_CONTROLLER, 'this node is not the active controller');
  }

  #creation(): CreationContext {
    return {
      image: this.#images.latest,
      settings: this.#topicSettings,
      random: this.#random,
      isShuttingDown: (brokerId) => this.#sessions.isShuttingDown(brokerId),
    };
  }

  #context(): RegistrationContext {
    const image = this.#images.latest;
    return { image, index: this.#index.at(image), settings: this.#electionSettings, clusterId: this.#clusterId, kraftVersion: this.#quorum.kraftVersion() };
  }

  #configContext({ isForwarded }: { readonly isForwarded: boolean }): ConfigContext {
    const { latest } = this.#images;
    return {
      image: latest,
      check: (resourceType, name, configs) => checkResourceConfigs(this.#dynamic.at(latest), resourceType, name, configs),
      isKnownNode: (nodeId) => latest.brokers.has(nodeId) || latest.controllers.has(nodeId) || nodeId === this.#nodeId || this.#quorum.voterIds().includes(nodeId),
      isForwarded,
    };
  }
}

function passOver(error: unknown): void {
  if (!(error instanceof KafkaError)) throw error;
}

const USE_DEFAULT = -1;

function defaultTopic(name: string): NewTopic {
  return { name, numPartitions: USE_DEFAULT, replicationFactor: USE_DEFAULT, assignments: [], configs: [] };
}
