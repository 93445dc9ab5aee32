/** Records of __transaction_state. */
import { array, int16, int32, int64, int8, message, string, struct } from '../schema.ts';
import { coordinatorRecords } from './framing.ts';

export const TransactionLogKey = message({
  name: 'TransactionLogKey',
  versions: '0',
  flexible: 'none',
  fields: {
    transactionalId: string(),
  },
});

export const TransactionLogValue = message({
  name: 'TransactionLogValue',
  versions: '0-1',
  flexible: '1+',
  fields: {
    producerId: int64(),
    previousProducerId: int64().default(-1).tagged(0, '1+'),
    nextProducerId: int64().default(-1).tagged(1, '1+'),
    producerEpoch: int16(),
    nextProducerEpoch: int16().default(-1).tagged(3, '1+'),
    transactionTimeoutMs: int32(),
    transactionStatus: int8(),
    transactionPartitions: array(struct({
      topic: string(),
      partitionIds: array(int32()),
    })).nullable(),
    transactionLastUpdateTimestampMs: int64(),
    transactionStartTimestampMs: int64(),
    clientTransactionVersion: int16().default(0).tagged(2, '1+'),
  },
});

/** By name, with the number that goes before the key. */
export const transactionRecords = coordinatorRecords({
  TransactionLog: { type: 0, key: TransactionLogKey, value: TransactionLogValue },
});
