/** ElectLeaders, AlterPartitionReassignments and ListPartitionReassignments: an operator moves leaders and replicas. Decided by the active controller. */
import { ErrorCode, errorMessage } from '../../protocol/errors.ts';
import { AlterPartitionReassignments, ElectLeaders, ListPartitionReassignments } from '../../protocol/messages/reassignments.ts';
import { serve } from './serve.ts';

/** Before, each partition has its own and there is no other. */
const ERROR_OF_THE_WHOLE_SINCE = 1;

export const reassignmentApis = [
  serve(ElectLeaders, '0-2', {
    forward: true,
    handle: (request, { node }) => node.controller.electLeaders(request),
    onError(errorCode, { topicPartitions }, { apiVersion }, message) {
      const replicaElectionResults = (topicPartitions ?? []).map(({ topic, partitions }) => ({
        topic,
        partitionResult: partitions.map((partitionId) => ({ partitionId, errorCode, errorMessage: ownMessage(errorCode, message) })),
      }));
      return { throttleTimeMs: 0, ...(apiVersion >= ERROR_OF_THE_WHOLE_SINCE && { errorCode }), replicaElectionResults };
    },
  }),
  serve(AlterPartitionReassignments, '0-1', {
    forward: true,
    handle: (request, { node }) => node.controller.alterReassignments(request),
    onError: (code, { topics, allowReplicationFactorChange }, _context, message) => ({
      throttleTimeMs: 0,
      allowReplicationFactorChange,
      errorCode: code,
      errorMessage: message,
      responses: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: code, errorMessage: message })),
      })),
    }),
  }),
  serve(ListPartitionReassignments, '0', {
    forward: true,
    handle: (request, { node }) => node.controller.listReassignments(request),
    onError: (errorCode, _request, _context, message) => ({ throttleTimeMs: 0, errorCode, errorMessage: message, topics: [] }),
  }),
];

/** Kafka sends no text there that the code alone would give. */
function ownMessage(code: ErrorCode, message: string | null): string | null {
  return message === errorMessage(code) ? null : message;
}
