/**
 * Fetch: records from the log, in every version that Kafka serves, with sessions (KIP-227), topic ids (KIP-516), leader hints (KIP-951).
 *
 * Promises: `records` are views of the log or of its tail in memory, and go to the socket as they are; of one connection one fetch at a time is read or waits,
 * and the next when its answer has left, so that a client that asks a thousand times and takes nothing costs one answer. A fetch with a replica id is a
 * follower's: it reads all that is written, and what it asks for says what it has. Consumers may read from followers (KIP-392) since version 11.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { Fetch } from '../../protocol/messages/fetch.ts';
import type { FetchPartition } from '../replica/fetch-sessions.ts';
import { readPartitions, release } from '../replica/reading.ts';
import type { ReadAnswer } from '../replica/reading.ts';
import type { Node } from './node.ts';
import { readsCommitted } from './isolation-level.ts';
import { serve } from './serve.ts';
import type { ConnectionInfo, RequestContext } from './serve.ts';

type Request = Value<typeof Fetch.request>;
type Response = Input<typeof Fetch.response>;

const TOPIC_IDS_SINCE = 13; // KIP-516
const LEADER_HINTS_SINCE = 16; // KIP-951
const FROM_FOLLOWERS_SINCE = 11; // KIP-392
const REPLICA_STATE_SINCE = 15; // KIP-903
const NO_RECORDS = Buffer.alloc(0);
/** The only replica id below 0 that is a consumer's; -2 reads like a follower and says nothing of itself. */
const CONSUMER = -1;

export const fetchApis = [
  serve(Fetch, '4-18', {
    handle,
    onError: (code, request, { apiVersion }) => ({ throttleTimeMs: 0, errorCode: code, sessionId: 0, responses: apiVersion < TOPIC_IDS_SINCE ? refuseAll(request, code) : [] }),
  }),
];

/** When the answer to the last fetch of a connection has left: Kafka too begins with a request when the one before it is answered. */
const lastSent = new WeakMap<ConnectionInfo, Promise<void>>();

async function handle(request: Request, context: RequestContext): Promise<Response> {
  const { node, apiVersion } = context;
  const readCommitted = readsCommitted(request.isolationLevel);
  const usesTopicIds = apiVersion >= TOPIC_IDS_SINCE;
  const { replicaId, brokerEpoch } = readerOf(request, apiVersion);
  const isFollower = replicaId >= 0;
  const fetch = node.fetchSessions.open(
    { sessionId: request.sessionId, sessionEpoch: request.sessionEpoch, usesTopicIds, partitions: askedPartitions(request, node, usesTopicIds), forgotten: forgotten(request) },
    node.runtime.clock.monotonicMs(),
    { isFollower },
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
    // Looked at when there is nothing to answer with: whoever lies down after the others were woken would hold up the node's end.
    get maxWaitMs() {
      return node.replicas.stopsWaiting ? 0 : request.maxWaitMs;
    },
    minBytes: request.minBytes,
    maxBytes: request.maxBytes,
    readCommitted: readCommitted && replicaId === CONSUMER,
    readsToEnd: replicaId !== CONSUMER,
    maxBytesOfBroker: isFollower ? request.maxBytes : node.settings.get('fetch.max.bytes'),
    timers: node.runtime.timers,
    buffers: node.readBuffers,
    slices: true,
    find: (asked) => node.replicas.findForFetch(asked, usesTopicIds),
    leaderOf: (asked) => node.replicas.leaderOf(asked),
    follower: isFollower ? node.replicas.readerFor(replicaId, brokerEpoch, context.connection.id) : null,
    leaderOnly: isFollower || (replicaId === CONSUMER && apiVersion < FROM_FOLLOWERS_SINCE),
    preferredReplica: replicaId === CONSUMER && apiVersion >= FROM_FOLLOWERS_SINCE ? node.replicas.preferredReplica(request.rackId) : null,
  });
  for (const { asked, recordsBytes, errorCode } of answers) {
    // The name is the client's until the read has shown that there is such a topic.
    if (asked.topic === null || errorCode !== ErrorCode.NONE) node.replicas.counters.failedFetch();
    else node.replicas.counters.fetched(asked.topic, recordsBytes, isFollower);
  }
  if (isFollower) node.replicas.recordThrottled(answers, (asked) => node.replicas.findForFetch(asked, usesTopicIds));
  const { sessionId, chosen } = fetch.select(
    answers.map((answer) => ({
      errorCode: answer.errorCode, highWatermark: answer.highWatermark, logStartOffset: answer.logStartOffset,
      recordsBytes: answer.recordsBytes, notable: answer.divergingEpoch !== null || answer.preferredReplica >= 0,
    })),
  );
  return toResponse(answers.filter((_, i) => chosen[i]), sessionId, context, isFollower);
}

/** Versions before 7 have no other place for an error of the whole request, and Kafka fills it as long as topics have names. */
function refuseAll(request: Request, errorCode: ErrorCode): Response['responses'] {
  return request.topics.map(({ topic, partitions }) => ({
    topic, partitions: partitions.map(({ partition }) => ({ partitionIndex: partition, errorCode, highWatermark: -1, abortedTransactions: [], records: NO_RECORDS })),
  }));
}

/** KIP-903 moved the id, and added the epoch. */
function readerOf({ replicaId, replicaState }: Request, apiVersion: number): { replicaId: number; brokerEpoch: number } {
  return apiVersion < REPLICA_STATE_SINCE ? { replicaId, brokerEpoch: -1 } : { replicaId: replicaState.replicaId, brokerEpoch: replicaState.replicaEpoch };
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

function toResponse(answers: readonly ReadAnswer[], sessionId: number, { apiVersion, node, connection }: RequestContext, isFollower: boolean): Response {
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
      preferredReadReplica: answer.preferredReplica,
      records: answer.records,
      ...(answer.divergingEpoch !== null && { divergingEpoch: answer.divergingEpoch }),
      ...(currentLeader !== null && { currentLeader }),
    });
  }
  // A follower knows where brokers are, and under which listener.
  const nodeEndpoints = isFollower ? [] : node.endpointsOf(leaders, connection);
  return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, sessionId, responses, nodeEndpoints };
}
