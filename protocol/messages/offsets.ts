/** Committed offsets. They are bigints: kept and given back as the client sent them. */
import { api, array, bool, int16, int32, int64, int64Exact, message, string, struct, uuid } from '../schema.ts';

export const OffsetCommitRequest = message({
  name: 'OffsetCommitRequest',
  versions: '2-10',
  flexible: '8+',
  fields: {
    groupId: string(),
    generationIdOrMemberEpoch: int32().default(-1),
    memberId: string(),
    groupInstanceId: string('7+').nullable().default(null),
    retentionTimeMs: int64('2-4').default(-1).ignorable(),
    topics: array(struct({
      name: string('0-9').ignorable(),
      topicId: uuid('10+').ignorable(),
      partitions: array(struct({
        partitionIndex: int32(),
        committedOffset: int64Exact(),
        committedLeaderEpoch: int32('6+').default(-1).ignorable(),
        committedMetadata: string().nullable(),
      })),
    })),
  },
});

export const OffsetCommitResponse = message({
  name: 'OffsetCommitResponse',
  versions: '2-10',
  flexible: '8+',
  fields: {
    throttleTimeMs: int32('3+').ignorable(),
    topics: array(struct({
      name: string('0-9').ignorable(),
      topicId: uuid('10+').ignorable(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
      })),
    })),
  },
});

export const OffsetCommit = api({
  key: 8,
  name: 'OffsetCommit',
  request: OffsetCommitRequest,
  response: OffsetCommitResponse,
  listeners: ['broker'],
});

export const OffsetFetchRequest = message({
  name: 'OffsetFetchRequest',
  versions: '1-10',
  flexible: '6+',
  fields: {
    groupId: string('0-7'),
    topics: array(struct({
      name: string(),
      partitionIndexes: array(int32()),
    }), '0-7').nullable('2-7'),
    groups: array(struct({
      groupId: string(),
      memberId: string('9+').nullable().default(null).ignorable(),
      memberEpoch: int32('9+').default(-1).ignorable(),
      topics: array(struct({
        name: string('8-9').ignorable(),
        topicId: uuid('10+').ignorable(),
        partitionIndexes: array(int32()),
      })).nullable(),
    }), '8+'),
    requireStable: bool('7+').default(false),
  },
});

export const OffsetFetchResponse = message({
  name: 'OffsetFetchResponse',
  versions: '1-10',
  flexible: '6+',
  fields: {
    throttleTimeMs: int32('3+').ignorable(),
    topics: array(struct({
      name: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        committedOffset: int64Exact(),
        committedLeaderEpoch: int32('5-7').default(-1).ignorable(),
        metadata: string().nullable(),
        errorCode: int16(),
      })),
    }), '0-7'),
    errorCode: int16('2-7').default(0).ignorable(),
    groups: array(struct({
      groupId: string(),
      topics: array(struct({
        name: string('8-9').ignorable(),
        topicId: uuid('10+').ignorable(),
        partitions: array(struct({
          partitionIndex: int32(),
          committedOffset: int64Exact(),
          committedLeaderEpoch: int32().default(-1),
          metadata: string().nullable(),
          errorCode: int16(),
        })),
      })),
      errorCode: int16().default(0),
    }), '8+'),
  },
});

export const OffsetFetch = api({ key: 9, name: 'OffsetFetch', request: OffsetFetchRequest, response: OffsetFetchResponse, listeners: ['broker'] });

export const OffsetDeleteRequest = message({
  name: 'OffsetDeleteRequest',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    topics: array(struct({
      name: string(),
      partitions: array(struct({
        partitionIndex: int32(),
      })),
    })),
  },
});

export const OffsetDeleteResponse = message({
  name: 'OffsetDeleteResponse',
  versions: '0',
  flexible: 'none',
  fields: {
    errorCode: int16(),
    throttleTimeMs: int32(),
    topics: array(struct({
      name: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        errorCode: int16(),
      })),
    })),
  },
});

export const OffsetDelete = api({
  key: 47,
  name: 'OffsetDelete',
  request: OffsetDeleteRequest,
  response: OffsetDeleteResponse,
  listeners: ['broker'],
});
