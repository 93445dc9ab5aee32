/** Records of the metadata log. */
import { array, bool, bytes, float64, int16, int32, int64, int8, message, string, struct, uint16, uuid } from '../schema.ts';
import { decodeFramed, encodeFramed } from './framing.ts';
import type { DecodedFramed, FramedInput } from './framing.ts';

export const RegisterBrokerRecord = message({
  name: 'RegisterBrokerRecord',
  versions: '0-4',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    isMigratingZkBroker: bool('2+').default(false),
    incarnationId: uuid(),
    brokerEpoch: int64(),
    endPoints: array(struct({
      name: string(),
      host: string(),
      port: uint16(),
      securityProtocol: int16(),
    })),
    features: array(struct({
      name: string(),
      minSupportedVersion: int16(),
      maxSupportedVersion: int16(),
    })),
    rack: string().nullable(),
    fenced: bool().default(true),
    inControlledShutdown: bool('1+').default(false),
    logDirs: array(uuid()).tagged(0, '3+'),
    cordonedLogDirs: array(uuid()).nullable().default(null).tagged(1, '4+'),
  },
});

export const UnregisterBrokerRecord = message({
  name: 'UnregisterBrokerRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    brokerEpoch: int64(),
  },
});

export const TopicRecord = message({
  name: 'TopicRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    name: string(),
    topicId: uuid(),
  },
});

export const PartitionRecord = message({
  name: 'PartitionRecord',
  versions: '0-2',
  flexible: '0+',
  fields: {
    partitionId: int32().default(-1),
    topicId: uuid(),
    replicas: array(int32()),
    isr: array(int32()),
    removingReplicas: array(int32()),
    addingReplicas: array(int32()),
    leader: int32().default(-1),
    leaderRecoveryState: int8().default(0).tagged(0, '0+'),
    leaderEpoch: int32().default(-1),
    partitionEpoch: int32().default(-1),
    directories: array(uuid(), '1+'),
    eligibleLeaderReplicas: array(int32()).nullable().default(null).tagged(1, '2+'),
    lastKnownElr: array(int32()).nullable().default(null).tagged(2, '2+'),
  },
});

export const ConfigRecord = message({
  name: 'ConfigRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    resourceType: int8(),
    resourceName: string(),
    name: string(),
    value: string().nullable(),
  },
});

export const PartitionChangeRecord = message({
  name: 'PartitionChangeRecord',
  versions: '0-2',
  flexible: '0+',
  fields: {
    partitionId: int32().default(-1),
    topicId: uuid(),
    isr: array(int32()).nullable().default(null).tagged(0, '0+'),
    leader: int32().default(-2).tagged(1, '0+'),
    replicas: array(int32()).nullable().default(null).tagged(2, '0+'),
    removingReplicas: array(int32()).nullable().default(null).tagged(3, '0+'),
    addingReplicas: array(int32()).nullable().default(null).tagged(4, '0+'),
    leaderRecoveryState: int8().default(-1).tagged(5, '0+'),
    directories: array(uuid()).nullable().default(null).tagged(8, '1+'),
    eligibleLeaderReplicas: array(int32()).nullable().default(null).tagged(6, '2+'),
    lastKnownElr: array(int32()).nullable().default(null).tagged(7, '2+'),
  },
});

export const FenceBrokerRecord = message({
  name: 'FenceBrokerRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    id: int32(),
    epoch: int64(),
  },
});

export const UnfenceBrokerRecord = message({
  name: 'UnfenceBrokerRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    id: int32(),
    epoch: int64(),
  },
});

export const RemoveTopicRecord = message({
  name: 'RemoveTopicRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    topicId: uuid(),
  },
});

export const DelegationTokenRecord = message({
  name: 'DelegationTokenRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    owner: string(),
    requester: string(),
    renewers: array(string()),
    issueTimestamp: int64(),
    maxTimestamp: int64(),
    expirationTimestamp: int64(),
    tokenId: string(),
  },
});

export const UserScramCredentialRecord = message({
  name: 'UserScramCredentialRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    name: string(),
    mechanism: int8(),
    salt: bytes(),
    storedKey: bytes(),
    serverKey: bytes(),
    iterations: int32(),
  },
});

export const FeatureLevelRecord = message({
  name: 'FeatureLevelRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    name: string(),
    featureLevel: int16(),
  },
});

export const ClientQuotaRecord = message({
  name: 'ClientQuotaRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    entity: array(struct({
      entityType: string(),
      entityName: string().nullable(),
    })),
    key: string(),
    value: float64(),
    remove: bool(),
  },
});

export const ProducerIdsRecord = message({
  name: 'ProducerIdsRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    brokerEpoch: int64().default(-1),
    nextProducerId: int64(),
  },
});

export const BrokerRegistrationChangeRecord = message({
  name: 'BrokerRegistrationChangeRecord',
  versions: '0-3',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    brokerEpoch: int64(),
    fenced: int8().tagged(0, '0+'),
    inControlledShutdown: int8().tagged(1, '1+'),
    logDirs: array(uuid()).tagged(2, '2+'),
    cordonedLogDirs: array(uuid()).nullable().default(null).tagged(3, '3+'),
  },
});

export const AccessControlEntryRecord = message({
  name: 'AccessControlEntryRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    id: uuid(),
    resourceType: int8(),
    resourceName: string(),
    patternType: int8(),
    principal: string(),
    host: string(),
    operation: int8(),
    permissionType: int8(),
  },
});

export const RemoveAccessControlEntryRecord = message({
  name: 'RemoveAccessControlEntryRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    id: uuid(),
  },
});

export const NoOpRecord = message({
  name: 'NoOpRecord',
  versions: '0',
  flexible: '0+',
  fields: {},
});

export const ZkMigrationStateRecord = message({
  name: 'ZkMigrationStateRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    zkMigrationState: int8(),
  },
});

export const RemoveUserScramCredentialRecord = message({
  name: 'RemoveUserScramCredentialRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    name: string(),
    mechanism: int8(),
  },
});

export const BeginTransactionRecord = message({
  name: 'BeginTransactionRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    name: string().nullable().default(null).tagged(0, '0+'),
  },
});

export const EndTransactionRecord = message({
  name: 'EndTransactionRecord',
  versions: '0',
  flexible: '0+',
  fields: {},
});

export const AbortTransactionRecord = message({
  name: 'AbortTransactionRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    reason: string().nullable().default(null).tagged(0, '0+'),
  },
});

export const RemoveDelegationTokenRecord = message({
  name: 'RemoveDelegationTokenRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    tokenId: string(),
  },
});

export const RegisterControllerRecord = message({
  name: 'RegisterControllerRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    controllerId: int32(),
    incarnationId: uuid(),
    zkMigrationReady: bool(),
    endPoints: array(struct({
      name: string(),
      host: string(),
      port: uint16(),
      securityProtocol: int16(),
    })),
    features: array(struct({
      name: string(),
      minSupportedVersion: int16(),
      maxSupportedVersion: int16(),
    })),
  },
});

export const ClearElrRecord = message({
  name: 'ClearElrRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    topicName: string(),
  },
});

/** By name, with the number that goes before the record. */
export const metadataRecords = {
  RegisterBrokerRecord: { type: 0, message: RegisterBrokerRecord },
  UnregisterBrokerRecord: { type: 1, message: UnregisterBrokerRecord },
  TopicRecord: { type: 2, message: TopicRecord },
  PartitionRecord: { type: 3, message: PartitionRecord },
  ConfigRecord: { type: 4, message: ConfigRecord },
  PartitionChangeRecord: { type: 5, message: PartitionChangeRecord },
  FenceBrokerRecord: { type: 7, message: FenceBrokerRecord },
  UnfenceBrokerRecord: { type: 8, message: UnfenceBrokerRecord },
  RemoveTopicRecord: { type: 9, message: RemoveTopicRecord },
  DelegationTokenRecord: { type: 10, message: DelegationTokenRecord },
  UserScramCredentialRecord: { type: 11, message: UserScramCredentialRecord },
  FeatureLevelRecord: { type: 12, message: FeatureLevelRecord },
  ClientQuotaRecord: { type: 14, message: ClientQuotaRecord },
  ProducerIdsRecord: { type: 15, message: ProducerIdsRecord },
  BrokerRegistrationChangeRecord: { type: 17, message: BrokerRegistrationChangeRecord },
  AccessControlEntryRecord: { type: 18, message: AccessControlEntryRecord },
  RemoveAccessControlEntryRecord: { type: 19, message: RemoveAccessControlEntryRecord },
  NoOpRecord: { type: 20, message: NoOpRecord },
  ZkMigrationStateRecord: { type: 21, message: ZkMigrationStateRecord },
  RemoveUserScramCredentialRecord: { type: 22, message: RemoveUserScramCredentialRecord },
  BeginTransactionRecord: { type: 23, message: BeginTransactionRecord },
  EndTransactionRecord: { type: 24, message: EndTransactionRecord },
  AbortTransactionRecord: { type: 25, message: AbortTransactionRecord },
  RemoveDelegationTokenRecord: { type: 26, message: RemoveDelegationTokenRecord },
  RegisterControllerRecord: { type: 27, message: RegisterControllerRecord },
  ClearElrRecord: { type: 28, message: ClearElrRecord },
} as const;

export type MetadataRecordName = keyof typeof metadataRecords;
/** A record of the metadata log: switch on its `name`. */
export type MetadataRecord = DecodedFramed<typeof metadataRecords>;

/** The value of a record of the metadata log, with its frame. */
export function encodeMetadataRecord<N extends MetadataRecordName>(name: N, version: number, value: FramedInput<typeof metadataRecords, N>): Buffer {
  return encodeFramed(metadataRecords, name, version, value);
}

/** Unknown types and versions are a RangeError, as are bytes behind the record: what a node does not know it must not skip. */
export function decodeMetadataRecord(buffer: Buffer): MetadataRecord {
  return decodeFramed(metadataRecords, buffer);
}
