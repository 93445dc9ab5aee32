/**
 * Fetch: records from the log, in every version that Kafka serves, with sessions (KIP-227), topic ids (KIP-516), leader hints (KIP-951).
 *
 * Promises: `records` are views of the log or of its tail in memory, and go to the socket as they are; of one connection one fetch at a time is read or waits,
 * and the next when its answer has left, so that a client that asks a thousand times and takes nothing costs one answer. Does not serve followers
 * yet: a fetch with a replica id is refused.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { Fetch } from '../../protocol/messages/fetch.ts';
import type { FetchPartition } from '../replica/fetch-sessions.ts';
import { readPartitions, release } from '../replica/reading.ts';
import type { ReadAnswer } from '../replica/reading.ts';
import type { Node } from './node.ts';
import { serve } from './serve.ts';
import type { ConnectionInfo, RequestContext } from './serve.ts';

type Request = Value<typeof Fetch.request>;
type Response = Input<typeof Fetch.response>;

const TOPIC_IDS_SINCE = 13; // KIP-516
const LEADER_HINTS_SINCE = 16; // KIP-951
const READ_COMMITTED = 1;

export const fetchApis = [
  serve(Fetch, '4-18', {
    handle,
    onError: (code) => ({ throttleTimeMs: 0, errorCode: code, sessionId: 0, responses: [] }),
  }),
];

/** When the answer to the last fetch of a connection has left: Kafka too begins with a request when the one before it is answered. */
const lastSent = new WeakMap<ConnectionInfo, Promise<void>>();

async function handle(request: Request, context: RequestContext): Promise<Response> {
  const { node, apiVersion } = context;
  const usesTopicIds = apiVersion >= TOPIC_IDS_SINCE;
  const replicaId = request.replicaId >= 0 ? request.replicaId : request.replicaState.replicaId;
  if (replicaId >= 0) return { throttleTimeMs: 0, errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, sessionId: 0, responses: [] };
  const fetch = node.fetchSessions.open(
    { sessionId: request.sessionId, sessionEpoch: request.sessionEpoch, usesTopicIds, partitions: askedPartitions(request, node, usesTopicIds), forgotten: forgotten(request) },
    node.runtime.clock.monotonicMs(),
  );
  if (fetch.errorCode !== ErrorCode.NONE) return { throttleTimeMs: 0, errorCode: fetch.errorCode, sessionId: 0, responses: [] };
  const before = lastSent.get(context.connection);
  let answers: readonly ReadAnswer[] = [];
  lastSent.set(context.connection, new Promise((sent) => {
    context.whenSent(() => {
      release(answers);
      sent();
    });
  }));
  await before;
  answers = await readPartitions(fetch.partitions, {
    maxWaitMs: request.maxWaitMs,
    minBytes: request.minBytes,
    maxBytes: request.maxBytes,
    readCommitted: request.isolationLevel === READ_COMMITTED,
    maxBytesOfBroker: node.settings.get('fetch.max.bytes'),
    timers: node.runtime.timers,
    buffers: node.readBuffers,
    find: (asked) => node.replicas.findForFetch(asked, usesTopicIds),
  });
  const { sessionId, chosen } = fetch.select(
    answers.map((answer) => ({
      errorCode: answer.errorCode, highWatermark: answer.highWatermark, logStartOffset: answer.logStartOffset,
      recordsBytes: answer.recordsBytes, notable: answer.divergingEpoch !== null,
    })),
  );
  return toResponse(answers.filter((_, i) => chosen[i]), sessionId, context);
}

function askedPartitions(request: Request, node: Node, usesTopicIds: boolean): FetchPartition[] {
  const asked: FetchPartition[] = [];
  for (const topic of request.topics) {
    const name = usesTopicIds ? node.replicas.topicName(topic.topicId) : topic.topic;
    for (const one of topic.partitions) {
      asked.push({
        topic: name,
        topicId: topic.topicId,
        partition: one.partition,
        fetchOffset: one.fetchOffset,
        partitionMaxBytes: one.partitionMaxBytes,
        currentLeaderEpoch: one.currentLeaderEpoch,
        lastFetchedEpoch: one.lastFetchedEpoch,
        logStartOffset: one.logStartOffset,
      });
    }
  }
  return asked;
}

function forgotten(request: Request): { topic: string | null; topicId: string; partition: number }[] {
  return request.forgottenTopicsData.flatMap(({ topic, topicId, partitions }) => partitions.map((partition) => ({ topic, topicId, partition })));
}

type PartitionResponse = NonNullable<Response['responses']>[number]['partitions'][number];

function toResponse(answers: readonly ReadAnswer[], sessionId: number, { apiVersion, node, connection }: RequestContext): Response {
  const responses: { topic: string; topicId: string; partitions: PartitionResponse[] }[] = [];
  const leaders = new Set<number>();
  for (const answer of answers) {
    const { asked } = answer;
    // Partitions are answered in the order in which they were read; neighbours of one topic share its entry.
    let last = responses.at(-1);
    if (last === undefined || last.topicId !== asked.topicId || last.topic !== (asked.topic ?? '')) {
      last = { topic: asked.topic ?? '', topicId: asked.topicId, partitions: [] };
      responses.push(last);
    }
    const currentLeader = apiVersion >= LEADER_HINTS_SINCE ? answer.currentLeader : null;
    if (currentLeader !== null) leaders.add(currentLeader.leaderId);
    last.partitions.push({
      partitionIndex: asked.partition,
      errorCode: answer.errorCode,
      highWatermark: answer.highWatermark,
      lastStableOffset: answer.lastStableOffset,
      logStartOffset: answer.logStartOffset,
      abortedTransactions: answer.abortedTransactions,
      preferredReadReplica: -1,
      records: answer.records,
      ...(answer.divergingEpoch !== null && { divergingEpoch: answer.divergingEpoch }),
      ...(currentLeader !== null && { currentLeader }),
    });
  }
  const nodeEndpoints = node.endpointsOf(leaders, connection);
  return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, sessionId, responses, nodeEndpoints };
}
