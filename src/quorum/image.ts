/**
 * The metadata of the cluster at one offset of the metadata log, as an immutable view: whoever holds an image may keep it for ever.
 *
 * Promises: nothing in an image changes; the next image shares with it all that did not change. What this version does not interpret (quotas,
 * credentials, ACLs, tokens) is kept as the records that said it, so that no snapshot of ours loses it.
 * Does not: fold records (`delta.ts`), write them (`snapshot-records.ts`), or decide anything (`controller.ts`).
 */
import type { Value } from '../../protocol/schema.ts';
import type {
  AccessControlEntryRecord,
  ClientQuotaRecord,
  DelegationTokenRecord,
  UserScramCredentialRecord,
} from '../../protocol/log-records/metadata.ts';
import { ELIGIBLE_LEADER_REPLICAS_VERSION, METADATA_VERSION } from './features.ts';
import { ImageMap } from './image-map.ts';

export const NO_LEADER = -1;
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA';
/** The directory of a replica that an older metadata.version placed without naming it. 0, 1 and 2 as in Kafka's DirectoryId, where the first hundred are reserved. */
export const MIGRATING_DIRECTORY = ZERO_UUID;
/** The directory of a replica whose place on its broker is not known. */
export const UNASSIGNED_DIRECTORY = 'AAAAAAAAAAAAAAAAAAAAAQ';
/** The directory of a replica that its broker lost. */
export const LOST_DIRECTORY = 'AAAAAAAAAAAAAAAAAAAAAg';

/** The first hundred ids are kept for meanings like these: 62 zero bits and more begin with these 20 characters. */
export function isReservedDirectory(id: string): boolean {
  if (!id.startsWith('AAAAAAAAAAAAAAAAAAAA')) return false;
  return Buffer.from(id, 'base64url')[15]! < 100;
}

/** 0 and 1 in records and requests. */
export type LeaderRecoveryState = 0 | 1;
export const RECOVERED = 0;
/** Set by an unclean election, until the leader says that it has dealt with it. */
export const RECOVERING = 1;

/** ConfigResource.Type. */
export const ResourceType = { TOPIC: 2, BROKER: 4, BROKER_LOGGER: 8, CLIENT_METRICS: 16, GROUP: 32 } as const;

export interface PartitionImage {
  readonly replicas: readonly number[];
  /** One for each replica. */
  readonly directories: readonly string[];
  readonly isr: readonly number[];
  readonly removingReplicas: readonly number[];
  readonly addingReplicas: readonly number[];
  readonly elr: readonly number[];
  readonly lastKnownElr: readonly number[];
  /** NO_LEADER when none can lead. */
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly leaderRecoveryState: number;
  readonly partitionEpoch: number;
}

export interface TopicImage {
  readonly name: string;
  readonly id: string;
  /** By partition index, without gaps. */
  readonly partitions: readonly PartitionImage[];
}

export interface Endpoint {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly securityProtocol: number;
}

export interface SupportedFeature {
  readonly name: string;
  readonly minSupportedVersion: number;
  readonly maxSupportedVersion: number;
}

export interface BrokerImage {
  readonly id: number;
  readonly epoch: number;
  readonly incarnationId: string;
  readonly isMigratingZkBroker: boolean;
  readonly endpoints: readonly Endpoint[];
  readonly features: readonly SupportedFeature[];
  readonly rack: string | null;
  readonly fenced: boolean;
  readonly inControlledShutdown: boolean;
  /** Ids of its online log directories, sorted. */
  readonly logDirs: readonly string[];
  /** null until the broker has said. */
  readonly cordonedLogDirs: readonly string[] | null;
}

export interface ControllerImage {
  readonly id: number;
  readonly incarnationId: string;
  readonly zkMigrationReady: boolean;
  readonly endpoints: readonly Endpoint[];
  readonly features: readonly SupportedFeature[];
}

/** The next block of producer ids begins at `nextProducerId`. */
export interface ProducerIdsImage {
  readonly brokerId: number;
  readonly brokerEpoch: number;
  readonly nextProducerId: number;
}

export interface MetadataFields {
  /** Of the last record in this image, -1 for none. */
  readonly offset: number;
  /** Of the batch that held it. */
  readonly epoch: number;
  /** Its batch's append time. */
  readonly timestampMs: number;
  readonly features: ReadonlyMap<string, number>;
  readonly brokers: ReadonlyMap<number, BrokerImage>;
  readonly controllers: ReadonlyMap<number, ControllerImage>;
  readonly topics: ImageMap<TopicImage>;
  readonly topicsById: ImageMap<TopicImage>;
  /** Names that metrics cannot tell apart, by `collisionKey`. */
  readonly collisions: ImageMap<readonly string[]>;
  /** By `configKey`. */
  readonly configs: ImageMap<ReadonlyMap<string, string>>;
  readonly producerIds: ProducerIdsImage | null;
  /** Kept as records: by entity and key, by mechanism and user, by ACL id, by token id. */
  readonly clientQuotas: ImageMap<Value<typeof ClientQuotaRecord>>;
  readonly scramCredentials: ImageMap<Value<typeof UserScramCredentialRecord>>;
  readonly acls: ImageMap<Value<typeof AccessControlEntryRecord>>;
  readonly delegationTokens: ImageMap<Value<typeof DelegationTokenRecord>>;
}

const NO_CONFIGS: ReadonlyMap<string, string> = new Map();

export class MetadataImage implements MetadataFields {
  static readonly EMPTY: MetadataImage = new MetadataImage({
    offset: -1, epoch: -1, timestampMs: 0, features: new Map(), brokers: new Map(), controllers: new Map(), topics: new ImageMap(),
    topicsById: new ImageMap(), collisions: new ImageMap(), configs: new ImageMap(), producerIds: null,
    clientQuotas: new ImageMap(), scramCredentials: new ImageMap(), acls: new ImageMap(), delegationTokens: new ImageMap(),
  });

  readonly offset: number;
  readonly epoch: number;
  readonly timestampMs: number;
  readonly features: ReadonlyMap<string, number>;
  readonly brokers: ReadonlyMap<number, BrokerImage>;
  readonly controllers: ReadonlyMap<number, ControllerImage>;
  readonly topics: ImageMap<TopicImage>;
  readonly topicsById: ImageMap<TopicImage>;
  readonly collisions: ImageMap<readonly string[]>;
  readonly configs: ImageMap<ReadonlyMap<string, string>>;
  readonly producerIds: ProducerIdsImage | null;
  readonly clientQuotas: ImageMap<Value<typeof ClientQuotaRecord>>;
  readonly scramCredentials: ImageMap<Value<typeof UserScramCredentialRecord>>;
  readonly acls: ImageMap<Value<typeof AccessControlEntryRecord>>;
  readonly delegationTokens: ImageMap<Value<typeof DelegationTokenRecord>>;

  constructor(fields: MetadataFields) {
    this.offset = fields.offset;
    this.epoch = fields.epoch;
    this.timestampMs = fields.timestampMs;
    this.features = fields.features;
    this.brokers = fields.brokers;
    this.controllers = fields.controllers;
    this.topics = fields.topics;
    this.topicsById = fields.topicsById;
    this.collisions = fields.collisions;
    this.configs = fields.configs;
    this.producerIds = fields.producerIds;
    this.clientQuotas = fields.clientQuotas;
    this.scramCredentials = fields.scramCredentials;
    this.acls = fields.acls;
    this.delegationTokens = fields.delegationTokens;
  }

  topic(name: string): TopicImage | undefined {
    return this.topics.get(name);
  }

  topicById(id: string): TopicImage | undefined {
    return this.topicsById.get(id);
  }

  partition(name: string, index: number): PartitionImage | undefined {
    return this.topics.get(name)?.partitions[index];
  }

  /** What was set for the resource itself; a default resource has the name ''. */
  configOf(resourceType: number, name: string): ReadonlyMap<string, string> {
    return this.configs.get(configKey(resourceType, name)) ?? NO_CONFIGS;
  }

  topicConfig(name: string): ReadonlyMap<string, string> {
    return this.configOf(ResourceType.TOPIC, name);
  }

  /** undefined before the first record. */
  get metadataVersion(): number | undefined {
    return this.features.get(METADATA_VERSION);
  }

  get elrEnabled(): boolean {
    return (this.features.get(ELIGIBLE_LEADER_REPLICAS_VERSION) ?? 0) > 0;
  }

  /** Registered, not fenced and not on its way out: may be given leadership. */
  isActive(brokerId: number): boolean {
    const broker = this.brokers.get(brokerId);
    return broker !== undefined && !broker.fenced && !broker.inControlledShutdown;
  }

  /** Registered and not fenced, by id. */
  aliveBrokers(): BrokerImage[] {
    return [...this.brokers.values()].filter((broker) => !broker.fenced).sort((left, right) => left.id - right.id);
  }
}

/** A resource of any name, in one string: the type cannot hold a colon. */
export function configKey(resourceType: number, name: string): string {
  return `${resourceType}:${name}`;
}

export function configResource(key: string): { resourceType: number; name: string } {
  const colon = key.indexOf(':');
  return { resourceType: Number(key.slice(0, colon)), name: key.slice(colon + 1) };
}
