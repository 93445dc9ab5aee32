/** What share group partition leaders keep with the share coordinator. */
import { api, array, int16, int32, int64, int8, message, string, struct, uuid } from '../schema.ts';

export const InitializeShareGroupStateRequest = message({
  name: 'InitializeShareGroupStateRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    groupId: string(),
    topics: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partition: int32(),
        stateEpoch: int32(),
        startOffset: int64(),
      })),
    })),
  },
});

export const InitializeShareGroupStateResponse = message({
  name: 'InitializeShareGroupStateResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    results: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partition: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().default(null),
      })),
    })),
  },
});

export const InitializeShareGroupState = api({
  key: 83,
  name: 'InitializeShareGroupState',
  request: InitializeShareGroupStateRequest,
  response: InitializeShareGroupStateResponse,
  listeners: ['broker'],
});

export const ReadShareGroupStateRequest = message({
  name: 'ReadShareGroupStateRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    groupId: string(),
    topics: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partition: int32(),
        leaderEpoch: int32(),
      })),
    })),
  },
});

export const ReadShareGroupStateResponse = message({
  name: 'ReadShareGroupStateResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    results: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partition: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().default(null),
        stateEpoch: int32(),
        startOffset: int64(),
        stateBatches: array(struct({
          firstOffset: int64(),
          lastOffset: int64(),
          deliveryState: int8(),
          deliveryCount: int16(),
        })),
      })),
    })),
  },
});

export const ReadShareGroupState = api({
  key: 84,
  name: 'ReadShareGroupState',
  request: ReadShareGroupStateRequest,
  response: ReadShareGroupStateResponse,
  listeners: ['broker'],
});

export const WriteShareGroupStateRequest = message({
  name: 'WriteShareGroupStateRequest',
  versions: '0-1',
  flexible: '0+',
  fields: {
    groupId: string(),
    topics: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partition: int32(),
        stateEpoch: int32(),
        leaderEpoch: int32(),
        startOffset: int64(),
        deliveryCompleteCount: int32('1+').default(-1).ignorable(),
        stateBatches: array(struct({
          firstOffset: int64(),
          lastOffset: int64(),
          deliveryState: int8(),
          deliveryCount: int16(),
        })),
      })),
    })),
  },
});

export const WriteShareGroupStateResponse = message({
  name: 'WriteShareGroupStateResponse',
  versions: '0-1',
  flexible: '0+',
  fields: {
    results: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partition: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().default(null),
      })),
    })),
  },
});

export const WriteShareGroupState = api({
  key: 85,
  name: 'WriteShareGroupState',
  request: WriteShareGroupStateRequest,
  response: WriteShareGroupStateResponse,
  listeners: ['broker'],
});

export const DeleteShareGroupStateRequest = message({
  name: 'DeleteShareGroupStateRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    groupId: string(),
    topics: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partition: int32(),
      })),
    })),
  },
});

export const DeleteShareGroupStateResponse = message({
  name: 'DeleteShareGroupStateResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    results: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partition: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().default(null),
      })),
    })),
  },
});

export const DeleteShareGroupState = api({
  key: 86,
  name: 'DeleteShareGroupState',
  request: DeleteShareGroupStateRequest,
  response: DeleteShareGroupStateResponse,
  listeners: ['broker'],
});

export const ReadShareGroupStateSummaryRequest = message({
  name: 'ReadShareGroupStateSummaryRequest',
  versions: '0-1',
  flexible: '0+',
  fields: {
    groupId: string(),
    topics: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partition: int32(),
        leaderEpoch: int32(),
      })),
    })),
  },
});

export const ReadShareGroupStateSummaryResponse = message({
  name: 'ReadShareGroupStateSummaryResponse',
  versions: '0-1',
  flexible: '0+',
  fields: {
    results: array(struct({
      topicId: uuid(),
      partitions: array(struct({
        partition: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().default(null),
        stateEpoch: int32(),
        leaderEpoch: int32(),
        startOffset: int64(),
        deliveryCompleteCount: int32('1+').default(-1).ignorable(),
      })),
    })),
  },
});

export const ReadShareGroupStateSummary = api({
  key: 87,
  name: 'ReadShareGroupStateSummary',
  request: ReadShareGroupStateSummaryRequest,
  response: ReadShareGroupStateSummaryResponse,
  listeners: ['broker'],
});
