/** Who is in the cluster, and which topics and partitions it has. */
import { api, array, bool, int16, int32, int8, message, string, struct, uuid } from '../schema.ts';

export const MetadataRequest = message({
  name: 'MetadataRequest',
  versions: '0-13',
  flexible: '9+',
  fields: {
    topics: array(struct({
      topicId: uuid('10+').ignorable(),
      name: string().nullable('10+'),
    })).nullable('1+'),
    allowAutoTopicCreation: bool('4+').default(true),
    includeClusterAuthorizedOperations: bool('8-10'),
    includeTopicAuthorizedOperations: bool('8+'),
  },
});

export const MetadataResponse = message({
  name: 'MetadataResponse',
  versions: '0-13',
  flexible: '9+',
  fields: {
    throttleTimeMs: int32('3+').ignorable(),
    brokers: array(struct({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string('1+').nullable().default(null).ignorable(),
    })),
    clusterId: string('2+').nullable().default(null).ignorable(),
    controllerId: int32('1+').default(-1).ignorable(),
    topics: array(struct({
      errorCode: int16(),
      name: string().nullable('12+'),
      topicId: uuid('10+').ignorable(),
      isInternal: bool('1+').default(false).ignorable(),
      partitions: array(struct({
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32('7+').default(-1).ignorable(),
        replicaNodes: array(int32()),
        isrNodes: array(int32()),
        offlineReplicas: array(int32(), '5+').ignorable(),
      })),
      topicAuthorizedOperations: int32('8+').default(-2147483648),
    })),
    clusterAuthorizedOperations: int32('8-10').default(-2147483648),
    errorCode: int16('13+').ignorable(),
  },
});

export const Metadata = api({ key: 3, name: 'Metadata', request: MetadataRequest, response: MetadataResponse, listeners: ['broker'] });

export const DescribeTopicPartitionsRequest = message({
  name: 'DescribeTopicPartitionsRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    topics: array(struct({
      name: string(),
    })),
    responsePartitionLimit: int32().default(2000),
    cursor: struct({
      topicName: string(),
      partitionIndex: int32(),
    }).nullable().default(null),
  },
});

export const DescribeTopicPartitionsResponse = message({
  name: 'DescribeTopicPartitionsResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    topics: array(struct({
      errorCode: int16(),
      name: string().nullable(),
      topicId: uuid(),
      isInternal: bool().default(false),
      partitions: array(struct({
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32().default(-1),
        replicaNodes: array(int32()),
        isrNodes: array(int32()),
        eligibleLeaderReplicas: array(int32()).nullable().default(null),
        lastKnownElr: array(int32()).nullable().default(null),
        offlineReplicas: array(int32()),
      })),
      topicAuthorizedOperations: int32().default(-2147483648),
    })),
    nextCursor: struct({
      topicName: string(),
      partitionIndex: int32(),
    }).nullable().default(null),
  },
});

export const DescribeTopicPartitions = api({
  key: 75,
  name: 'DescribeTopicPartitions',
  request: DescribeTopicPartitionsRequest,
  response: DescribeTopicPartitionsResponse,
  listeners: ['broker'],
});

export const DescribeClusterRequest = message({
  name: 'DescribeClusterRequest',
  versions: '0-2',
  flexible: '0+',
  fields: {
    includeClusterAuthorizedOperations: bool(),
    endpointType: int8('1+').default(1),
    includeFencedBrokers: bool('2+'),
  },
});

export const DescribeClusterResponse = message({
  name: 'DescribeClusterResponse',
  versions: '0-2',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
    endpointType: int8('1+').default(1),
    clusterId: string(),
    controllerId: int32().default(-1),
    brokers: array(struct({
      brokerId: int32(),
      host: string(),
      port: int32(),
      rack: string().nullable().default(null),
      isFenced: bool('2+'),
    })),
    clusterAuthorizedOperations: int32().default(-2147483648),
  },
});

export const DescribeCluster = api({
  key: 60,
  name: 'DescribeCluster',
  request: DescribeClusterRequest,
  response: DescribeClusterResponse,
  listeners: ['broker', 'controller'],
});
