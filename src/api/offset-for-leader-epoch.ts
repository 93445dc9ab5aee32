/**
 * OffsetForLeaderEpoch: where a leader epoch ends in this log, for consumers (KIP-320) and followers (KIP-101).
 *
 * Promises: the answer is of the leader that the asker believes in, or an error that says who of the two is behind; the epoch in it is the largest one here that is not
 * larger than the one asked for (KIP-279), and -1 with offset -1 where there is none.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import { OffsetForLeaderEpoch } from '../../protocol/messages/fetch.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { serve } from './serve.ts';
import type { RequestContext } from './serve.ts';

type Request = Value<typeof OffsetForLeaderEpoch.request>;
type Response = Input<typeof OffsetForLeaderEpoch.response>;
type PartitionResponse = Response['topics'][number]['partitions'][number];

export const offsetForLeaderEpochApis = [
  serve(OffsetForLeaderEpoch, '2-4', {
    handle: (request, context) => ({
      throttleTimeMs: 0,
      topics: request.topics.map(({ topic, partitions }) => ({ topic, partitions: partitions.map((asked) => endOf(topic, asked, context)) })),
    }),
    onError: (code, request) => ({
      throttleTimeMs: 0,
      topics: request.topics.map(({ topic, partitions }) => ({ topic, partitions: partitions.map(({ partition }) => ({ errorCode: code, partition, leaderEpoch: -1, endOffset: -1 })) })),
    }),
  }),
];

function endOf(topic: string, asked: Request['topics'][number]['partitions'][number], { node }: RequestContext): PartitionResponse {
  const refused = (errorCode: ErrorCode): PartitionResponse => ({ errorCode, partition: asked.partition, leaderEpoch: -1, endOffset: -1 });
  const partition = node.replicas.find(topic, asked.partition);
  if (typeof partition === 'number') return refused(partition);
  const refusal = partition.checkLeader(asked.currentLeaderEpoch);
  if (refusal !== ErrorCode.NONE) return refused(refusal);
  if (partition.log.failed) return refused(ErrorCode.KAFKA_STORAGE_ERROR);
  const end = partition.log.endOffsetForEpoch(asked.leaderEpoch);
  return { errorCode: ErrorCode.NONE, partition: asked.partition, leaderEpoch: end?.epoch ?? -1, endOffset: end?.endOffset ?? -1 };
}
