/** Share groups (KIP-932): membership, fetching, acknowledging, and their offsets. */
import { api, array, bool, int16, int32, int64, int8, message, records, string, struct, uuid } from '../schema.ts';

export const ShareGroupHeartbeatRequest = message({
  name: 'ShareGroupHeartbeatRequest',
  versions: '1',
  flexible: '0+',
  fields: {
    groupId: string(),
    memberId: string(),
    memberEpoch: int32(),
    rackId: string().nullable().default(null),
    subscribedTopicNames: array(string()).nullable().default(null),
  },
});

const topicPartitions = {
  topicId: uuid(),
  partitions: array(int32()),
};

export const ShareGroupHeartbeatResponse = message({
  name: 'ShareGroupHeartbeatResponse',
  versions: '1',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
    memberId: string().nullable().default(null),
    memberEpoch: int32(),
    heartbeatIntervalMs: int32(),
    assignment: struct({
      topicPartitions: array(struct(topicPartitions)),
    }).nullable().default(null),
  },
});

export const ShareGroupHeartbeat = api({
  key: 76,
  name: 'ShareGroupHeartbeat',
  request: ShareGroupHeartbeatRequest,
  response: ShareGroupHeartbeatResponse,
  listeners: ['broker'],
});

export const ShareGroupDescribeRequest = message({
  name: 'ShareGroupDescribeRequest',
  versions: '1',
  flexible: '0+',
  fields: {
    groupIds: array(string()),
    includeAuthorizedOperations: bool(),
  },
});

const shareGroupDescribeResponseTopicPartitions = {
  topicId: uuid(),
  topicName: string(),
  partitions: array(int32()),
};

const assignment = {
  topicPartitions: array(struct(shareGroupDescribeResponseTopicPartitions)),
};

export const ShareGroupDescribeResponse = message({
  name: 'ShareGroupDescribeResponse',
  versions: '1',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    groups: array(struct({
      errorCode: int16(),
      errorMessage: string().nullable().default(null),
      groupId: string(),
      groupState: string(),
      groupEpoch: int32(),
      assignmentEpoch: int32(),
      assignorName: string(),
      members: array(struct({
        memberId: string(),
        rackId: string().nullable().default(null),
        memberEpoch: int32(),
        clientId: string(),
        clientHost: string(),
        subscribedTopicNames: array(string()),
        assignment: struct(assignment),
      })),
      authorizedOperations: int32().default(-2147483648),
    })),
  },
});

export const ShareGroupDescribe = api({
  key: 77,
  name: 'ShareGroupDescribe',
  request: ShareGroupDescribeRequest,
  response: ShareGroupDescribeResponse,
  listeners: ['broker'],
});

export const ShareFetchRequest = message({
  name: 'ShareFetchRequest',
  versions: '1-2',
  flexible: '0+',
  fields: {
    groupId: string().nullable().default(null),
    memberId: string().nullable(),
    shareSessionEpoch: int32(),
    maxWaitMs: int32(),
    minBytes: int32(),
    maxBytes: int32().default(0x7fffffff),
    maxRecords: int32(),
    batchSize: int32(),
    shareAcquireMode: int8('2+').default(0).ignorable(),
    isRenewAck: bool('2+').default(false),
    topics: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partitionIndex: int32(),
        partitionMaxBytes: int32('0'),
        acknowledgementBatches: array(struct({
          firstOffset: int64(),
          lastOffset: int64(),
          acknowledgeTypes: array(int8()),
        })),
      })),
    })),
    forgottenTopicsData: array(struct({
      topicId: uuid(),
      partitions: array(int32()),
    })),
  },
});

export const ShareFetchResponse = message({
  name: 'ShareFetchResponse',
  versions: '1-2',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
    acquisitionLockTimeoutMs: int32(),
    responses: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().default(null),
        acknowledgeErrorCode: int16(),
        acknowledgeErrorMessage: string().nullable().default(null),
        currentLeader: struct({
          leaderId: int32(),
          leaderEpoch: int32(),
        }),
        records: records().nullable('0'),
        acquiredRecords: array(struct({
          firstOffset: int64(),
          lastOffset: int64(),
          deliveryCount: int16(),
        })),
      })),
    })),
    nodeEndpoints: array(struct({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string().nullable().default(null),
    })),
  },
});

export const ShareFetch = api({ key: 78, name: 'ShareFetch', request: ShareFetchRequest, response: ShareFetchResponse, listeners: ['broker'] });

export const ShareAcknowledgeRequest = message({
  name: 'ShareAcknowledgeRequest',
  versions: '1-2',
  flexible: '0+',
  fields: {
    groupId: string().nullable().default(null),
    memberId: string().nullable(),
    shareSessionEpoch: int32(),
    isRenewAck: bool('2+').default(false),
    topics: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partitionIndex: int32(),
        acknowledgementBatches: array(struct({
          firstOffset: int64(),
          lastOffset: int64(),
          acknowledgeTypes: array(int8()),
        })),
      })),
    })),
  },
});

export const ShareAcknowledgeResponse = message({
  name: 'ShareAcknowledgeResponse',
  versions: '1-2',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
    acquisitionLockTimeoutMs: int32('2+').ignorable(),
    responses: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().default(null),
        currentLeader: struct({
          leaderId: int32(),
          leaderEpoch: int32(),
        }),
      })),
    })),
    nodeEndpoints: array(struct({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string().nullable().default(null),
    })),
  },
});

export const ShareAcknowledge = api({
  key: 79,
  name: 'ShareAcknowledge',
  request: ShareAcknowledgeRequest,
  response: ShareAcknowledgeResponse,
  listeners: ['broker'],
});

export const DescribeShareGroupOffsetsRequest = message({
  name: 'DescribeShareGroupOffsetsRequest',
  versions: '0-1',
  flexible: '0+',
  fields: {
    groups: array(struct({
      groupId: string(),
      topics: array(struct({
        topicName: string(),
        partitions: array(int32()),
      })).nullable(),
    })),
  },
});

export const DescribeShareGroupOffsetsResponse = message({
  name: 'DescribeShareGroupOffsetsResponse',
  versions: '0-1',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    groups: array(struct({
      groupId: string(),
      topics: array(struct({
        topicName: string(),
        topicId: uuid(),
        partitions: array(struct({
          partitionIndex: int32(),
          startOffset: int64(),
          leaderEpoch: int32(),
          lag: int64('1+').default(-1).ignorable(),
          errorCode: int16(),
          errorMessage: string().nullable().default(null),
        })),
      })),
      errorCode: int16(),
      errorMessage: string().nullable().default(null),
    })),
  },
});

export const DescribeShareGroupOffsets = api({
  key: 90,
  name: 'DescribeShareGroupOffsets',
  request: DescribeShareGroupOffsetsRequest,
  response: DescribeShareGroupOffsetsResponse,
  listeners: ['broker'],
});

export const AlterShareGroupOffsetsRequest = message({
  name: 'AlterShareGroupOffsetsRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    groupId: string(),
    topics: array(struct({
      topicName: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        startOffset: int64(),
      })),
    })),
  },
});

export const AlterShareGroupOffsetsResponse = message({
  name: 'AlterShareGroupOffsetsResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
    responses: array(struct({
      topicName: string(),
      topicId: uuid(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().default(null),
      })),
    })),
  },
});

export const AlterShareGroupOffsets = api({
  key: 91,
  name: 'AlterShareGroupOffsets',
  request: AlterShareGroupOffsetsRequest,
  response: AlterShareGroupOffsetsResponse,
  listeners: ['broker'],
});

export const DeleteShareGroupOffsetsRequest = message({
  name: 'DeleteShareGroupOffsetsRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    groupId: string(),
    topics: array(struct({
      topicName: string(),
    })),
  },
});

export const DeleteShareGroupOffsetsResponse = message({
  name: 'DeleteShareGroupOffsetsResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
    responses: array(struct({
      topicName: string(),
      topicId: uuid(),
      errorCode: int16(),
      errorMessage: string().nullable().default(null),
    })),
  },
});

export const DeleteShareGroupOffsets = api({
  key: 92,
  name: 'DeleteShareGroupOffsets',
  request: DeleteShareGroupOffsetsRequest,
  response: DeleteShareGroupOffsetsResponse,
  listeners: ['broker'],
});
