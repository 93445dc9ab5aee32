/** Reading: fetches of consumers and followers, offsets by time, and the ends of leader epochs. */
import { api, array, int16, int32, int64, int8, message, records, string, struct, uuid } from '../schema.ts';

export const FetchRequest = message({
  name: 'FetchRequest',
  versions: '4-18',
  flexible: '12+',
  fields: {
    clusterId: string().nullable().default(null).ignorable().tagged(0, '12+'),
    replicaId: int32('0-14').default(-1),
    replicaState: struct({
      replicaId: int32().default(-1),
      replicaEpoch: int64().default(-1),
    }).tagged(1, '15+'),
    maxWaitMs: int32(),
    minBytes: int32(),
    maxBytes: int32().default(0x7fffffff),
    isolationLevel: int8().default(0),
    sessionId: int32('7+').default(0).ignorable(),
    sessionEpoch: int32('7+').default(-1).ignorable(),
    topics: array(struct({
      topic: string('0-12').ignorable(),
      topicId: uuid('13+').ignorable(),
      partitions: array(struct({
        partition: int32(),
        currentLeaderEpoch: int32('9+').default(-1).ignorable(),
        fetchOffset: int64(),
        lastFetchedEpoch: int32('12+').default(-1),
        logStartOffset: int64('5+').default(-1).ignorable(),
        partitionMaxBytes: int32(),
        replicaDirectoryId: uuid().ignorable().tagged(0, '17+'),
        highWatermark: int64().default(9223372036854775807n).ignorable().tagged(1, '18+'),
      })),
    })),
    forgottenTopicsData: array(struct({
      topic: string('7-12').ignorable(),
      topicId: uuid('13+').ignorable(),
      partitions: array(int32()),
    }), '7+'),
    rackId: string('11+').default('').ignorable(),
  },
});

export const FetchResponse = message({
  name: 'FetchResponse',
  versions: '4-18',
  flexible: '12+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16('7+').ignorable(),
    sessionId: int32('7+').default(0),
    responses: array(struct({
      topic: string('0-12').ignorable(),
      topicId: uuid('13+').ignorable(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
        highWatermark: int64(),
        lastStableOffset: int64().default(-1),
        logStartOffset: int64('5+').default(-1).ignorable(),
        divergingEpoch: struct({
          epoch: int32().default(-1),
          endOffset: int64().default(-1),
        }).tagged(0, '12+'),
        currentLeader: struct({
          leaderId: int32().default(-1),
          leaderEpoch: int32().default(-1),
        }).tagged(1, '12+'),
        snapshotId: struct({
          endOffset: int64().default(-1),
          epoch: int32().default(-1),
        }).tagged(2, '12+'),
        abortedTransactions: array(struct({
          producerId: int64(),
          firstOffset: int64(),
        })).nullable(),
        preferredReadReplica: int32('11+').default(-1),
        records: records().nullable(),
      })),
    })),
    nodeEndpoints: array(struct({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string().nullable().default(null),
    })).tagged(0, '16+'),
  },
});

export const Fetch = api({ key: 1, name: 'Fetch', request: FetchRequest, response: FetchResponse, listeners: ['broker', 'controller'] });

export const ListOffsetsRequest = message({
  name: 'ListOffsetsRequest',
  versions: '1-11',
  flexible: '6+',
  fields: {
    replicaId: int32(),
    isolationLevel: int8('2+'),
    topics: array(struct({
      name: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        currentLeaderEpoch: int32('4+').default(-1).ignorable(),
        timestamp: int64(),
      })),
    })),
    timeoutMs: int32('10+').ignorable(),
  },
});

export const ListOffsetsResponse = message({
  name: 'ListOffsetsResponse',
  versions: '1-11',
  flexible: '6+',
  fields: {
    throttleTimeMs: int32('2+').ignorable(),
    topics: array(struct({
      name: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
        timestamp: int64().default(-1),
        offset: int64().default(-1),
        leaderEpoch: int32('4+').default(-1),
      })),
    })),
  },
});

export const ListOffsets = api({ key: 2, name: 'ListOffsets', request: ListOffsetsRequest, response: ListOffsetsResponse, listeners: ['broker'] });

export const OffsetForLeaderEpochRequest = message({
  name: 'OffsetForLeaderEpochRequest',
  versions: '2-4',
  flexible: '4+',
  fields: {
    replicaId: int32('3+').default(-2).ignorable(),
    topics: array(struct({
      topic: string(),
      partitions: array(struct({
        partition: int32(),
        currentLeaderEpoch: int32().default(-1),
        leaderEpoch: int32(),
      })),
    })),
  },
});

export const OffsetForLeaderEpochResponse = message({
  name: 'OffsetForLeaderEpochResponse',
  versions: '2-4',
  flexible: '4+',
  fields: {
    throttleTimeMs: int32(),
    topics: array(struct({
      topic: string(),
      partitions: array(struct({
        errorCode: int16(),
        partition: int32(),
        leaderEpoch: int32().default(-1),
        endOffset: int64().default(-1),
      })),
    })),
  },
});

export const OffsetForLeaderEpoch = api({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  request: OffsetForLeaderEpochRequest,
  response: OffsetForLeaderEpochResponse,
  listeners: ['broker'],
});
