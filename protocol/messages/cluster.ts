/** What a node serves, its registration and heartbeats, and what brokers ask of the controller. */
import { api, array, bool, bytes, int16, int32, int64, int8, message, string, struct, uint16, uuid } from '../schema.ts';

export const ApiVersionsRequest = message({
  name: 'ApiVersionsRequest',
  versions: '0-4',
  flexible: '3+',
  fields: {
    clientSoftwareName: string('3+').ignorable(),
    clientSoftwareVersion: string('3+').ignorable(),
  },
});

export const ApiVersionsResponse = message({
  name: 'ApiVersionsResponse',
  versions: '0-4',
  flexible: '3+',
  fields: {
    errorCode: int16(),
    apiKeys: array(struct({
      apiKey: int16(),
      minVersion: int16(),
      maxVersion: int16(),
    })),
    throttleTimeMs: int32('1+').ignorable(),
    supportedFeatures: array(struct({
      name: string(),
      minVersion: int16(),
      maxVersion: int16(),
    })).ignorable().tagged(0, '3+'),
    finalizedFeaturesEpoch: int64().default(-1).ignorable().tagged(1, '3+'),
    finalizedFeatures: array(struct({
      name: string(),
      maxVersionLevel: int16(),
      minVersionLevel: int16(),
    })).ignorable().tagged(2, '3+'),
    zkMigrationReady: bool().default(false).ignorable().tagged(3, '3+'),
  },
});

export const ApiVersions = api({
  key: 18,
  name: 'ApiVersions',
  request: ApiVersionsRequest,
  response: ApiVersionsResponse,
  listeners: ['broker', 'controller'],
});

export const UpdateFeaturesRequest = message({
  name: 'UpdateFeaturesRequest',
  versions: '0-2',
  flexible: '0+',
  fields: {
    timeoutMs: int32().default(60000),
    featureUpdates: array(struct({
      feature: string(),
      maxVersionLevel: int16(),
      allowDowngrade: bool('0'),
      upgradeType: int8('1+').default(1),
    })),
    validateOnly: bool('1+').default(false),
  },
});

export const UpdateFeaturesResponse = message({
  name: 'UpdateFeaturesResponse',
  versions: '0-2',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable(),
    results: array(struct({
      feature: string(),
      errorCode: int16(),
      errorMessage: string().nullable(),
    }), '0-1').ignorable(),
  },
});

export const UpdateFeatures = api({
  key: 57,
  name: 'UpdateFeatures',
  request: UpdateFeaturesRequest,
  response: UpdateFeaturesResponse,
  listeners: ['broker', 'controller'],
});

export const BrokerRegistrationRequest = message({
  name: 'BrokerRegistrationRequest',
  versions: '0-4',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    clusterId: string(),
    incarnationId: uuid(),
    listeners: array(struct({
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
    isMigratingZkBroker: bool('1+').default(false),
    logDirs: array(uuid(), '2+').ignorable(),
    previousBrokerEpoch: int64('3+').default(-1).ignorable(),
  },
});

export const BrokerRegistrationResponse = message({
  name: 'BrokerRegistrationResponse',
  versions: '0-4',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    brokerEpoch: int64().default(-1),
  },
});

export const BrokerRegistration = api({
  key: 62,
  name: 'BrokerRegistration',
  request: BrokerRegistrationRequest,
  response: BrokerRegistrationResponse,
  listeners: ['controller'],
});

export const BrokerHeartbeatRequest = message({
  name: 'BrokerHeartbeatRequest',
  versions: '0-2',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    brokerEpoch: int64().default(-1),
    currentMetadataOffset: int64(),
    wantFence: bool(),
    wantShutDown: bool(),
    offlineLogDirs: array(uuid()).tagged(0, '1+'),
    cordonedLogDirs: array(uuid()).nullable().default(null).tagged(1, '2+'),
  },
});

export const BrokerHeartbeatResponse = message({
  name: 'BrokerHeartbeatResponse',
  versions: '0-2',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    isCaughtUp: bool().default(false),
    isFenced: bool().default(true),
    shouldShutDown: bool(),
  },
});

export const BrokerHeartbeat = api({
  key: 63,
  name: 'BrokerHeartbeat',
  request: BrokerHeartbeatRequest,
  response: BrokerHeartbeatResponse,
  listeners: ['controller'],
});

export const UnregisterBrokerRequest = message({
  name: 'UnregisterBrokerRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    brokerId: int32(),
  },
});

export const UnregisterBrokerResponse = message({
  name: 'UnregisterBrokerResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable(),
  },
});

export const UnregisterBroker = api({
  key: 64,
  name: 'UnregisterBroker',
  request: UnregisterBrokerRequest,
  response: UnregisterBrokerResponse,
  listeners: ['broker', 'controller'],
});

export const ControllerRegistrationRequest = message({
  name: 'ControllerRegistrationRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    controllerId: int32(),
    incarnationId: uuid(),
    zkMigrationReady: bool(),
    listeners: array(struct({
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

export const ControllerRegistrationResponse = message({
  name: 'ControllerRegistrationResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable(),
  },
});

export const ControllerRegistration = api({
  key: 70,
  name: 'ControllerRegistration',
  request: ControllerRegistrationRequest,
  response: ControllerRegistrationResponse,
  listeners: ['controller'],
});

export const AlterPartitionRequest = message({
  name: 'AlterPartitionRequest',
  versions: '2-3',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    brokerEpoch: int64().default(-1),
    topics: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partitionIndex: int32(),
        leaderEpoch: int32(),
        newIsr: array(int32(), '0-2'),
        newIsrWithEpochs: array(struct({
          brokerId: int32(),
          brokerEpoch: int64().default(-1),
        }), '3+'),
        leaderRecoveryState: int8().default(0),
        partitionEpoch: int32(),
      })),
    })),
  },
});

export const AlterPartitionResponse = message({
  name: 'AlterPartitionResponse',
  versions: '2-3',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    topics: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
        leaderId: int32(),
        leaderEpoch: int32(),
        isr: array(int32()),
        leaderRecoveryState: int8().default(0),
        partitionEpoch: int32(),
      })),
    })),
  },
});

export const AlterPartition = api({
  key: 56,
  name: 'AlterPartition',
  request: AlterPartitionRequest,
  response: AlterPartitionResponse,
  listeners: ['controller'],
});

export const AllocateProducerIdsRequest = message({
  name: 'AllocateProducerIdsRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    brokerEpoch: int64().default(-1),
  },
});

export const AllocateProducerIdsResponse = message({
  name: 'AllocateProducerIdsResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    producerIdStart: int64(),
    producerIdLen: int32(),
  },
});

export const AllocateProducerIds = api({
  key: 67,
  name: 'AllocateProducerIds',
  request: AllocateProducerIdsRequest,
  response: AllocateProducerIdsResponse,
  listeners: ['controller'],
});

export const AssignReplicasToDirsRequest = message({
  name: 'AssignReplicasToDirsRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    brokerEpoch: int64().default(-1),
    directories: array(struct({
      id: uuid(),
      topics: array(struct({
        topicId: uuid(),
        partitions: array(struct({
          partitionIndex: int32(),
        })),
      })),
    })),
  },
});

export const AssignReplicasToDirsResponse = message({
  name: 'AssignReplicasToDirsResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    directories: array(struct({
      id: uuid(),
      topics: array(struct({
        topicId: uuid(),
        partitions: array(struct({
          partitionIndex: int32(),
          errorCode: int16(),
        })),
      })),
    })),
  },
});

export const AssignReplicasToDirs = api({
  key: 73,
  name: 'AssignReplicasToDirs',
  request: AssignReplicasToDirsRequest,
  response: AssignReplicasToDirsResponse,
  listeners: ['controller'],
});

export const EnvelopeRequest = message({
  name: 'EnvelopeRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    requestData: bytes(),
    requestPrincipal: bytes().nullable(),
    clientHostAddress: bytes(),
  },
});

export const EnvelopeResponse = message({
  name: 'EnvelopeResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    responseData: bytes().nullable().default(null),
    errorCode: int16(),
  },
});

export const Envelope = api({ key: 58, name: 'Envelope', request: EnvelopeRequest, response: EnvelopeResponse, listeners: ['controller'] });
