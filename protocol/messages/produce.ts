/** Producing: record batches to partitions. */
import { api, array, int16, int32, int64, message, records, string, struct, uuid } from '../schema.ts';

export const ProduceRequest = message({
  name: 'ProduceRequest',
  versions: '3-13',
  flexible: '9+',
  fields: {
    transactionalId: string().nullable().default(null),
    acks: int16(),
    timeoutMs: int32(),
    topicData: array(struct({
      name: string('0-12').ignorable(),
      topicId: uuid('13+').ignorable(),
      partitionData: array(struct({
        index: int32(),
        records: records().nullable(),
      })),
    })),
  },
});

export const ProduceResponse = message({
  name: 'ProduceResponse',
  versions: '3-13',
  flexible: '9+',
  fields: {
    responses: array(struct({
      name: string('0-12').ignorable(),
      topicId: uuid('13+').ignorable(),
      partitionResponses: array(struct({
        index: int32(),
        errorCode: int16(),
        baseOffset: int64(),
        logAppendTimeMs: int64().default(-1),
        logStartOffset: int64('5+').default(-1).ignorable(),
        recordErrors: array(struct({
          batchIndex: int32(),
          batchIndexErrorMessage: string().nullable().default(null),
        }), '8+').ignorable(),
        errorMessage: string('8+').nullable().default(null).ignorable(),
        currentLeader: struct({
          leaderId: int32().default(-1),
          leaderEpoch: int32().default(-1),
        }).tagged(0, '10+'),
      })),
    })),
    throttleTimeMs: int32().default(0),
    nodeEndpoints: array(struct({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string().nullable().default(null),
    })).tagged(0, '10+'),
  },
});

export const Produce = api({ key: 0, name: 'Produce', request: ProduceRequest, response: ProduceResponse, listeners: ['broker'] });
