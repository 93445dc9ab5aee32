/** Making, growing, emptying and deleting topics. */
import { api, array, bool, int16, int32, int64, int8, message, string, struct, uuid } from '../schema.ts';

export const CreateTopicsRequest = message({
  name: 'CreateTopicsRequest',
  versions: '2-7',
  flexible: '5+',
  fields: {
    topics: array(struct({
      name: string(),
      numPartitions: int32(),
      replicationFactor: int16(),
      assignments: array(struct({
        partitionIndex: int32(),
        brokerIds: array(int32()),
      })),
      configs: array(struct({
        name: string(),
        value: string().nullable(),
      })),
    })),
    timeoutMs: int32().default(60000),
    validateOnly: bool().default(false),
  },
});

export const CreateTopicsResponse = message({
  name: 'CreateTopicsResponse',
  versions: '2-7',
  flexible: '5+',
  fields: {
    throttleTimeMs: int32(),
    topics: array(struct({
      name: string(),
      topicId: uuid('7+').ignorable(),
      errorCode: int16(),
      errorMessage: string().nullable(),
      topicConfigErrorCode: int16().ignorable().tagged(0, '5+'),
      numPartitions: int32('5+').default(-1).ignorable(),
      replicationFactor: int16('5+').default(-1).ignorable(),
      configs: array(struct({
        name: string(),
        value: string().nullable(),
        readOnly: bool(),
        configSource: int8().default(-1),
        isSensitive: bool(),
      }), '5+').nullable().ignorable(),
    })),
  },
});

export const CreateTopics = api({
  key: 19,
  name: 'CreateTopics',
  request: CreateTopicsRequest,
  response: CreateTopicsResponse,
  listeners: ['broker', 'controller'],
});

export const DeleteTopicsRequest = message({
  name: 'DeleteTopicsRequest',
  versions: '1-6',
  flexible: '4+',
  fields: {
    topics: array(struct({
      name: string().nullable().default(null),
      topicId: uuid(),
    }), '6+'),
    topicNames: array(string(), '0-5').ignorable(),
    timeoutMs: int32(),
  },
});

export const DeleteTopicsResponse = message({
  name: 'DeleteTopicsResponse',
  versions: '1-6',
  flexible: '4+',
  fields: {
    throttleTimeMs: int32(),
    responses: array(struct({
      name: string().nullable('6+'),
      topicId: uuid('6+').ignorable(),
      errorCode: int16(),
      errorMessage: string('5+').nullable().default(null).ignorable(),
    })),
  },
});

export const DeleteTopics = api({
  key: 20,
  name: 'DeleteTopics',
  request: DeleteTopicsRequest,
  response: DeleteTopicsResponse,
  listeners: ['broker', 'controller'],
});

export const CreatePartitionsRequest = message({
  name: 'CreatePartitionsRequest',
  versions: '0-3',
  flexible: '2+',
  fields: {
    topics: array(struct({
      name: string(),
      count: int32(),
      assignments: array(struct({
        brokerIds: array(int32()),
      })).nullable(),
    })),
    timeoutMs: int32(),
    validateOnly: bool(),
  },
});

export const CreatePartitionsResponse = message({
  name: 'CreatePartitionsResponse',
  versions: '0-3',
  flexible: '2+',
  fields: {
    throttleTimeMs: int32(),
    results: array(struct({
      name: string(),
      errorCode: int16(),
      errorMessage: string().nullable().default(null),
    })),
  },
});

export const CreatePartitions = api({
  key: 37,
  name: 'CreatePartitions',
  request: CreatePartitionsRequest,
  response: CreatePartitionsResponse,
  listeners: ['broker', 'controller'],
});

export const DeleteRecordsRequest = message({
  name: 'DeleteRecordsRequest',
  versions: '0-2',
  flexible: '2+',
  fields: {
    topics: array(struct({
      name: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        offset: int64(),
      })),
    })),
    timeoutMs: int32(),
  },
});

export const DeleteRecordsResponse = message({
  name: 'DeleteRecordsResponse',
  versions: '0-2',
  flexible: '2+',
  fields: {
    throttleTimeMs: int32(),
    topics: array(struct({
      name: string(),
      partitions: array(struct({
        partitionIndex: int32(),
        lowWatermark: int64(),
        errorCode: int16(),
      })),
    })),
  },
});

export const DeleteRecords = api({
  key: 21,
  name: 'DeleteRecords',
  request: DeleteRecordsRequest,
  response: DeleteRecordsResponse,
  listeners: ['broker'],
});
