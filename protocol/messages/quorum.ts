/** The Raft quorum: votes, epochs, snapshots and its voters. */
import { api, array, bool, int16, int32, int64, message, records, string, struct, uint16, uuid } from '../schema.ts';

export const VoteRequest = message({
  name: 'VoteRequest',
  versions: '0-2',
  flexible: '0+',
  fields: {
    clusterId: string().nullable().default(null),
    voterId: int32('1+').default(-1).ignorable(),
    topics: array(struct({
      topicName: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        replicaEpoch: int32(),
        replicaId: int32(),
        replicaDirectoryId: uuid('1+').ignorable(),
        voterDirectoryId: uuid('1+').ignorable(),
        lastOffsetEpoch: int32(),
        lastOffset: int64(),
        preVote: bool('2+'),
      })),
    })),
  },
});

export const VoteResponse = message({
  name: 'VoteResponse',
  versions: '0-2',
  flexible: '0+',
  fields: {
    errorCode: int16(),
    topics: array(struct({
      topicName: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
        leaderId: int32(),
        leaderEpoch: int32(),
        voteGranted: bool(),
      })),
    })),
    nodeEndpoints: array(struct({
      nodeId: int32(),
      host: string(),
      port: uint16(),
    })).tagged(0, '1+'),
  },
});

export const Vote = api({ key: 52, name: 'Vote', request: VoteRequest, response: VoteResponse, listeners: ['controller'] });

export const BeginQuorumEpochRequest = message({
  name: 'BeginQuorumEpochRequest',
  versions: '0-1',
  flexible: '1+',
  fields: {
    clusterId: string().nullable().default(null),
    voterId: int32('1+').default(-1).ignorable(),
    topics: array(struct({
      topicName: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        voterDirectoryId: uuid('1+').ignorable(),
        leaderId: int32(),
        leaderEpoch: int32(),
      })),
    })),
    leaderEndpoints: array(struct({
      name: string(),
      host: string(),
      port: uint16(),
    }), '1+').ignorable(),
  },
});

export const BeginQuorumEpochResponse = message({
  name: 'BeginQuorumEpochResponse',
  versions: '0-1',
  flexible: '1+',
  fields: {
    errorCode: int16(),
    topics: array(struct({
      topicName: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
        leaderId: int32(),
        leaderEpoch: int32(),
      })),
    })),
    nodeEndpoints: array(struct({
      nodeId: int32(),
      host: string(),
      port: uint16(),
    })).tagged(0, '1+'),
  },
});

export const BeginQuorumEpoch = api({
  key: 53,
  name: 'BeginQuorumEpoch',
  request: BeginQuorumEpochRequest,
  response: BeginQuorumEpochResponse,
  listeners: ['controller'],
});

export const EndQuorumEpochRequest = message({
  name: 'EndQuorumEpochRequest',
  versions: '0-1',
  flexible: '1+',
  fields: {
    clusterId: string().nullable().default(null),
    topics: array(struct({
      topicName: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32(),
        preferredSuccessors: array(int32(), '0').ignorable(),
        preferredCandidates: array(struct({
          candidateId: int32(),
          candidateDirectoryId: uuid(),
        }), '1+').ignorable(),
      })),
    })),
    leaderEndpoints: array(struct({
      name: string(),
      host: string(),
      port: uint16(),
    }), '1+').ignorable(),
  },
});

export const EndQuorumEpochResponse = message({
  name: 'EndQuorumEpochResponse',
  versions: '0-1',
  flexible: '1+',
  fields: {
    errorCode: int16(),
    topics: array(struct({
      topicName: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
        leaderId: int32(),
        leaderEpoch: int32(),
      })),
    })),
    nodeEndpoints: array(struct({
      nodeId: int32(),
      host: string(),
      port: uint16(),
    })).tagged(0, '1+'),
  },
});

export const EndQuorumEpoch = api({
  key: 54,
  name: 'EndQuorumEpoch',
  request: EndQuorumEpochRequest,
  response: EndQuorumEpochResponse,
  listeners: ['controller'],
});

export const DescribeQuorumRequest = message({
  name: 'DescribeQuorumRequest',
  versions: '0-2',
  flexible: '0+',
  fields: {
    topics: array(struct({
      topicName: string(),
      partitions: array(struct({
        partitionIndex: int32(),
      })),
    })),
  },
});

const replicaState = {
  replicaId: int32(),
  replicaDirectoryId: uuid('2+'),
  logEndOffset: int64(),
  lastFetchTimestamp: int64('1+').default(-1).ignorable(),
  lastCaughtUpTimestamp: int64('1+').default(-1).ignorable(),
};

export const DescribeQuorumResponse = message({
  name: 'DescribeQuorumResponse',
  versions: '0-2',
  flexible: '0+',
  fields: {
    errorCode: int16(),
    errorMessage: string('2+').nullable().ignorable(),
    topics: array(struct({
      topicName: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string('2+').nullable().ignorable(),
        leaderId: int32(),
        leaderEpoch: int32(),
        highWatermark: int64(),
        currentVoters: array(struct(replicaState)),
        observers: array(struct(replicaState)),
      })),
    })),
    nodes: array(struct({
      nodeId: int32(),
      listeners: array(struct({
        name: string(),
        host: string(),
        port: uint16(),
      })),
    }), '2+'),
  },
});

export const DescribeQuorum = api({
  key: 55,
  name: 'DescribeQuorum',
  request: DescribeQuorumRequest,
  response: DescribeQuorumResponse,
  listeners: ['broker', 'controller'],
});

export const FetchSnapshotRequest = message({
  name: 'FetchSnapshotRequest',
  versions: '0-1',
  flexible: '0+',
  fields: {
    clusterId: string().nullable().default(null).tagged(0, '0+'),
    replicaId: int32().default(-1),
    maxBytes: int32().default(0x7fffffff),
    topics: array(struct({
      name: string(),
      partitions: array(struct({
        partition: int32(),
        currentLeaderEpoch: int32(),
        snapshotId: struct({
          endOffset: int64(),
          epoch: int32(),
        }),
        position: int64(),
        replicaDirectoryId: uuid().ignorable().tagged(0, '1+'),
      })),
    })),
  },
});

export const FetchSnapshotResponse = message({
  name: 'FetchSnapshotResponse',
  versions: '0-1',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    topics: array(struct({
      name: string(),
      partitions: array(struct({
        index: int32(),
        errorCode: int16(),
        snapshotId: struct({
          endOffset: int64(),
          epoch: int32(),
        }),
        currentLeader: struct({
          leaderId: int32(),
          leaderEpoch: int32(),
        }).tagged(0, '0+'),
        size: int64(),
        position: int64(),
        unalignedRecords: records(),
      })),
    })),
    nodeEndpoints: array(struct({
      nodeId: int32(),
      host: string(),
      port: uint16(),
    })).tagged(0, '1+'),
  },
});

export const FetchSnapshot = api({
  key: 59,
  name: 'FetchSnapshot',
  request: FetchSnapshotRequest,
  response: FetchSnapshotResponse,
  listeners: ['controller'],
});

export const AddRaftVoterRequest = message({
  name: 'AddRaftVoterRequest',
  versions: '0-1',
  flexible: '0+',
  fields: {
    clusterId: string().nullable(),
    timeoutMs: int32(),
    voterId: int32(),
    voterDirectoryId: uuid(),
    listeners: array(struct({
      name: string(),
      host: string(),
      port: uint16(),
    })),
    ackWhenCommitted: bool('1+').default(true),
  },
});

export const AddRaftVoterResponse = message({
  name: 'AddRaftVoterResponse',
  versions: '0-1',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable(),
  },
});

export const AddRaftVoter = api({
  key: 80,
  name: 'AddRaftVoter',
  request: AddRaftVoterRequest,
  response: AddRaftVoterResponse,
  listeners: ['broker', 'controller'],
});

export const RemoveRaftVoterRequest = message({
  name: 'RemoveRaftVoterRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    clusterId: string().nullable(),
    voterId: int32(),
    voterDirectoryId: uuid(),
  },
});

export const RemoveRaftVoterResponse = message({
  name: 'RemoveRaftVoterResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable(),
  },
});

export const RemoveRaftVoter = api({
  key: 81,
  name: 'RemoveRaftVoter',
  request: RemoveRaftVoterRequest,
  response: RemoveRaftVoterResponse,
  listeners: ['broker', 'controller'],
});

export const UpdateRaftVoterRequest = message({
  name: 'UpdateRaftVoterRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    clusterId: string().nullable(),
    currentLeaderEpoch: int32(),
    voterId: int32(),
    voterDirectoryId: uuid(),
    listeners: array(struct({
      name: string(),
      host: string(),
      port: uint16(),
    })),
    kRaftVersionFeature: struct({
      minSupportedVersion: int16(),
      maxSupportedVersion: int16(),
    }),
  },
});

export const UpdateRaftVoterResponse = message({
  name: 'UpdateRaftVoterResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    currentLeader: struct({
      leaderId: int32().default(-1),
      leaderEpoch: int32().default(-1),
      host: string(),
      port: int32(),
    }).tagged(0, '0+'),
  },
});

export const UpdateRaftVoter = api({
  key: 82,
  name: 'UpdateRaftVoter',
  request: UpdateRaftVoterRequest,
  response: UpdateRaftVoterResponse,
  listeners: ['controller'],
});
