/**
 * InitProducerId: gives a producer the id under which its batches are numbered.
 *
 * Promises: no id is given twice, over restarts too (the controller hands out blocks and logs them). Transactional producers are refused by name.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { InitProducerId } from '../../protocol/messages/transactions.ts';
import { serve } from './serve.ts';

const NO_PRODUCER_ID = -1;
const NO_PRODUCER_EPOCH = -1;

export const producerIdApis = [
  serve(InitProducerId, '0-5', {
    async handle(request, { node }) {
      if (request.transactionalId !== null) {
        // Kafka's rule for an empty one; any other waits for the transaction coordinator.
        if (request.transactionalId === '') throw new KafkaError(ErrorCode.INVALID_REQUEST);
        throw new KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'this broker does not serve transactions');
      }
      // Only together do they name a producer, which wants its next epoch; without a transactional id it is given a new id.
      if ((request.producerId === NO_PRODUCER_ID) !== (request.producerEpoch === NO_PRODUCER_EPOCH)) throw new KafkaError(ErrorCode.INVALID_REQUEST);
      return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, producerId: await node.producerIds.next(), producerEpoch: 0 };
    },
    onError: (code) => ({ throttleTimeMs: 0, errorCode: code, producerId: NO_PRODUCER_ID, producerEpoch: NO_PRODUCER_EPOCH }),
  }),
];
