/**
 * The controller: turns what brokers and clients want into records of the metadata log.
 *
 * Promises: a decision is made on the metadata as it will be when all that was decided before is committed; it is appended before the first `await`, so
 * decisions follow the order of the calls; the answer comes after the records are committed and this node's listeners have acted on them (a topic that was
 * created has its logs, one that was deleted has none). Refusals throw a KafkaError or are told per topic, as Kafka's controller does.
 * Does not decide elsewhere: `topic-creation.ts` and `brokers.ts` do, as pure functions.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Random } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';
import { type BrokersContext, checkedBroker, heartbeat, type Heartbeat, type HeartbeatAnswer, type Registration, registerBroker, unregisterBroker } from './brokers.ts';
import { bootstrapRecords } from './bootstrap.ts';
import { decodedRecords } from './batches.ts';
import type { RaftDriver } from './driver.ts';
import { DynamicSettings } from './dynamic-settings.ts';
import { metadataVersionRules } from './features.ts';
import type { MetadataImage } from './image.ts';
import type { MetadataImages } from './images.ts';
import { internalTopic } from './internal-topics.ts';
import { encodeRecord, newRecord, type NewRecord } from './records.ts';
import {
  createPartitions, createTopics, type CreationContext, type EffectiveConfig, type NewPartitions, type NewPartitionsResult, type NewTopic, type NewTopicResult, tooManyRecords, type TopicSettings,
} from './topic-creation.ts';
import { topicNameFault } from './topic-names.ts';

/** One request of a user may not make more (QuorumController.MAX_RECORDS_PER_USER_OP). */
const RECORDS_PER_OPERATION_MAX = 10_000;
/** Kafka's ProducerIdsBlock. */
const PRODUCER_ID_BLOCK_SIZE = 1000;
const PRODUCER_ID_MAX = Number.MAX_SAFE_INTEGER;
const NO_SHUTDOWN_OFFSET = -1;

export interface TopicOutcome {
  readonly errorCode: ErrorCode;
  readonly errorMessage: string | null;
}

const SUCCESS: TopicOutcome = { errorCode: ErrorCode.NONE, errorMessage: null };

export interface ProducerIdBlock {
  readonly firstProducerId: number;
  readonly blockSize: number;
}

export interface ControllerOptions {
  readonly driver: RaftDriver;
  readonly images: MetadataImages;
  readonly settings: Settings;
  readonly random: Random;
  readonly logger: Logger;
  readonly nodeId: number;
  readonly clusterId: string;
  /** What a new cluster begins with, from bootstrap.checkpoint. */
  readonly bootstrap: readonly NewRecord[];
  /** This node's registration as a controller; null when it offers no controller listener. */
  readonly registration: NewRecord | null;
}

export class Controller {
  readonly #driver: RaftDriver;
  readonly #images: MetadataImages;
  readonly #dynamic: DynamicSettings;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #clusterId: string;
  readonly #bootstrap: readonly NewRecord[];
  readonly #registration: NewRecord | null;
  readonly #topicSettings: TopicSettings;
  /** Offsets that brokers said they had reached, and those at which they began to shut down. */
  readonly #reachedOffsets = new Map<number, number>();
  readonly #shutdownOffsets = new Map<number, number>();

  constructor(options: ControllerOptions) {
    this.#driver = options.driver;
    this.#images = options.images;
    this.#dynamic = new DynamicSettings(options.settings, options.nodeId);
    this.#random = options.random;
    this.#logger = options.logger;
    this.#clusterId = options.clusterId;
    this.#bootstrap = options.bootstrap;
    this.#registration = options.registration;
    this.#topicSettings = this.#makeTopicSettings();
  }

  /** Whether this node decides now. */
  get isActive(): boolean {
    return this.#driver.leaderEpoch !== undefined;
  }

  /** What a new leader writes first: the bootstrap of a new cluster, the end of a transaction that its predecessor left open, itself. */
  activate(): void {
    const { latest } = this.#images;
    const records: NewRecord[] = [];
    if (this.#images.inTransaction) {
      records.push(newRecord('AbortTransactionRecord', { reason: 'Controller failover' }));
    }
    if (latest.metadataVersion === undefined) {
      const minInsyncReplicas = this.#dynamic.at(latest).get('min.insync.replicas');
      records.push(...bootstrapRecords(this.#bootstrap, { minInsyncReplicas }));
    }
    this.#appendUnheard(records);
    this.#registerController();
  }

  /** Creates topics, or only says what creating them would give. Throws POLICY_VIOLATION for more than one request may ask. */
  async createTopics(topics: readonly NewTopic[], { validateOnly = false }: { readonly validateOnly?: boolean } = {}): Promise<NewTopicResult[]> {
    this.#checkActive();
    const { records, results } = createTopics(topics, this.#creation());
    if (!validateOnly) await this.#writeForUser(records);
    return results;
  }

  async createPartitions(topics: readonly NewPartitions[], { validateOnly = false }: { readonly validateOnly?: boolean } = {}): Promise<NewPartitionsResult[]> {
    this.#checkActive();
    const { records, results } = createPartitions(topics, this.#creation());
    if (!validateOnly) await this.#writeForUser(records);
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
    await this.#writeForUser(records);
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
      brokerId: request.brokerId, brokerEpoch: epoch, currentMetadataOffset: epoch, wantFence: false, wantShutDown: false, offlineLogDirs: [], cordonedLogDirs: [],
    });
    await Promise.all([committed, unfenced]);
    return epoch;
  }

  async brokerHeartbeat(request: Heartbeat): Promise<HeartbeatAnswer> {
    this.#checkActive();
    const { brokerId } = request;
    const context = this.#brokers();
    const shutdownOffset = this.#shutdownOffsets.get(brokerId) ?? NO_SHUTDOWN_OFFSET;
    const { records, answer } = heartbeat(request, { lowestActiveOffset: this.#lowestActiveOffset(brokerId), shutdownOffset }, context);
    this.#reachedOffsets.set(brokerId, request.currentMetadataOffset);
    const appended = this.#append(records);
    if (answer.inControlledShutdown && !this.#shutdownOffsets.has(brokerId)) this.#shutdownOffsets.set(brokerId, this.#images.latest.offset);
    await appended;
    return answer;
  }

  async unregisterBroker(brokerId: number): Promise<void> {
    this.#checkActive();
    await this.#append(unregisterBroker(brokerId, this.#brokers()));
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
    await this.#append([newRecord('ProducerIdsRecord', { brokerId, brokerEpoch, nextProducerId: firstProducerId + PRODUCER_ID_BLOCK_SIZE })]);
    return { firstProducerId, blockSize: PRODUCER_ID_BLOCK_SIZE };
  }

  #register(request: Registration): { epoch: number; committed: Promise<void> } {
    this.#checkActive();
    const { brokerId, incarnationId } = request;
    const { records, epoch } = registerBroker(request, { hasSession: this.#hasSession(brokerId), nextOffset: this.#driver.state.logEndOffset }, this.#brokers());
    if (this.#images.latest.brokers.get(brokerId)?.incarnationId !== incarnationId) {
      this.#reachedOffsets.delete(brokerId);
      this.#shutdownOffsets.delete(brokerId);
    }
    return { epoch, committed: this.#append(records) };
  }

  /** A broker that this leader has heard from and that is in service is alive as far as anybody knows. */
  #hasSession(brokerId: number): boolean {
    const broker = this.#images.latest.brokers.get(brokerId);
    return broker !== undefined && !broker.fenced && this.#reachedOffsets.has(brokerId);
  }

  #lowestActiveOffset(exceptBrokerId: number): number {
    let lowest = Infinity;
    for (const broker of this.#images.latest.brokers.values()) {
      if (broker.id === exceptBrokerId || broker.fenced || broker.inControlledShutdown) continue;
      lowest = Math.min(lowest, this.#reachedOffsets.get(broker.id) ?? -1);
    }
    return lowest;
  }

  #registerController(): void {
    const registration = this.#registration;
    if (registration === null || registration.name !== 'RegisterControllerRecord') return;
    const { latest } = this.#images;
    if (!metadataVersionRules(latest.metadataVersion ?? 0).supportsControllerRegistration) return;
    this.#appendUnheard([registration]);
  }

  /** Refuses more records than one operation may make, then appends them. */
  async #writeForUser(records: readonly NewRecord[]): Promise<void> {
    if (records.length > RECORDS_PER_OPERATION_MAX) throw tooManyRecords();
    await this.#append(records);
  }

  /** In the log and in the latest image when it returns; committed and acted upon when it resolves. */
  #append(records: readonly NewRecord[]): Promise<void> {
    if (records.length === 0) return Promise.resolve();
    const values = records.map(encodeRecord);
    const { lastOffset, epoch, timestampMs, committed } = this.#driver.append(values);
    this.#images.fold([{ lastOffset, epoch, timestampMs, records: decodedRecords(values) }]);
    return committed;
  }

  /** For what nobody waits for; that it failed is told by the driver. */
  #appendUnheard(records: readonly NewRecord[]): void {
    this.#append(records).catch((error: unknown) => {
      if (!(error instanceof KafkaError)) throw error;
    });
  }

  #checkActive(): void {
    if (!this.isActive) throw new KafkaError(ErrorCode.NOT_CONTROLLER, 'this node is not the active controller');
  }

  #creation(): CreationContext {
    return { image: this.#images.latest, settings: this.#topicSettings, random: this.#random };
  }

  #brokers(): BrokersContext {
    const topicConfig = (topic: string, image: MetadataImage) => this.#dynamic.at(image).topic.resolve(image.topicConfig(topic));
    return {
      image: this.#images.latest,
      clusterId: this.#clusterId,
      settings: {
        minInsyncReplicas: (topic, image) => topicConfig(topic, image).get('min.insync.replicas'),
        uncleanLeaderElection: (topic, image) => topicConfig(topic, image).get('unclean.leader.election.enable'),
      },
    };
  }

  #makeTopicSettings(): TopicSettings {
    const inForce = (): Settings => this.#dynamic.at(this.#images.latest);
    let ofDefaults: { readonly settings: Settings; readonly configs: readonly EffectiveConfig[] } | undefined;
    return {
      get numPartitions() {
        return inForce().get('num.partitions');
      },
      get defaultReplicationFactor() {
        return inForce().get('default.replication.factor');
      },
      configFault: (configs) => inForce().topic.validate(configs),
      effectiveConfigs(configs) {
        const settings = inForce();
        if (configs.size > 0) return effectiveConfigs(settings, configs);
        // Most topics have no settings of their own, and a thousand may be created at once.
        if (ofDefaults?.settings !== settings) ofDefaults = { settings, configs: effectiveConfigs(settings, configs) };
        return ofDefaults.configs;
      },
    };
  }
}

function effectiveConfigs(settings: Settings, configs: ReadonlyMap<string, string>): EffectiveConfig[] {
  return settings.topic.describe(configs).map(({ name, value, readOnly, source, isSensitive }) => ({
    name,
    // The topic's own are told as they were written (' 5 '); DescribeConfigs tells what they mean.
    value: configs.get(name) ?? value,
    readOnly, configSource: source, isSensitive,
  }));
}

const USE_DEFAULT = -1;

function defaultTopic(name: string): NewTopic {
  return { name, numPartitions: USE_DEFAULT, replicationFactor: USE_DEFAULT, assignments: [], configs: [] };
}
