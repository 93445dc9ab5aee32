/**
 * Produce: clients' record batches into partition logs, in every version that Kafka serves.
 *
 * Promises: batches enter their logs before the handler returns, in the order of the request; acks=all answers once the high watermark has passed them or with
 * REQUEST_TIMED_OUT when its time is up, acks=1 once they are written, acks=0 not at all (and closes the connection on an error, which is all that such a
 * producer can be told). A partition's error is that partition's answer, except for bytes that are no batch: as in Kafka nothing of such a request is written. Internal topics take records from no client but Kafka's admin tool, as in Kafka.
 */
import { ErrorCode, errorMessage, KafkaError } from '../../protocol/errors.ts';
import { Produce } from '../../protocol/messages/produce.ts';
import { CORRUPT, corruption, INCOMPLETE, nextBatchBytes } from '../../protocol/record/batches.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { isInternalTopic } from '../quorum/topic-names.ts';
import { appendProduced } from '../replica/appending.ts';
import type { Appended } from '../replica/appending.ts';
import type { Partition } from '../replica/partition.ts';
import type { Timer } from '../runtime/runtime.ts';
import { closeConnection, noAnswer, serve } from './serve.ts';
import type { Outcome, RequestContext } from './serve.ts';

type Request = Value<typeof Produce.request>;
type Response = Input<typeof Produce.response>;
type TopicResponse = Response['responses'][number];
type PartitionResponse = TopicResponse['partitionResponses'][number];
/** An answer that may still turn into an error while its records wait to be committed. */
type Draft = { -readonly [K in keyof PartitionResponse]: PartitionResponse[K] };

const TOPIC_IDS_SINCE = 13; // KIP-516
const LEADER_HINTS_SINCE = 10; // KIP-951
const ALL = -1;
const NONE = 0;
const LEADER = 1;
/** AdminUtils.ADMIN_CLIENT_ID: Kafka's tools may write internal topics under this client id. */
const ADMIN_CLIENT_ID = '__admin_client';

export const produceApis = [
  serve(Produce, '3-13', {
    // KAFKA-18659: librdkafka up to 2.9 takes a broker without Produce 0 for one that knows no compression.
    advertisedMin: 0,
    handle,
    onError: (code, request, _context, message) => (request.acks === NONE ? closeConnection : refuseAll(request, code, message ?? errorMessage(code))),
  }),
];

function handle(request: Request, context: RequestContext): Outcome<Response> | Promise<Outcome<Response>> {
  const { acks } = request;
  if (acks !== ALL && acks !== LEADER && acks !== NONE) return refuseAll(request, ErrorCode.INVALID_REQUIRED_ACKS, null);
  checkFraming(request);
  const nowMs = context.node.runtime.clock.wallMs();
  const waits: { partition: Partition; endOffset: number; draft: Draft }[] = [];
  const release = frameRelease(request, context);
  let failed = false;
  const responses: TopicResponse[] = [];
  for (const topic of request.topicData) {
    // As Kafka, which answers partitions.
    if (topic.partitionData.length === 0) continue;
    const partitionResponses: Draft[] = [];
    for (const one of topic.partitionData) {
      const draft = append(topic, one, request, context, nowMs, release, waits);
      if (draft.errorCode !== ErrorCode.NONE) failed = true;
      partitionResponses.push(draft);
    }
    responses.push({ name: topic.name, topicId: topic.topicId, partitionResponses });
  }
  if (acks === NONE) return failed ? closeConnection : noAnswer;
  const response = (): Response => ({ responses, throttleTimeMs: 0, ...leaderHints(responses, context) });
  if (waits.length === 0) return response();
  return new Promise((resolve) => {
    let waiting = waits.length;
    let timer: Timer | null = null;
    for (const { partition, endOffset, draft } of waits) {
      const settle = (code: ErrorCode): void => {
        if (code === ErrorCode.KAFKA_STORAGE_ERROR) Object.assign(draft, { baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 });
        // As Kafka: the place that it got is told even when nobody can say what becomes of it.
        else if (code === ErrorCode.NOT_LEADER_OR_FOLLOWER && context.apiVersion >= LEADER_HINTS_SINCE) {
          draft.currentLeader = { leaderId: partition.state.leader, leaderEpoch: partition.leaderEpoch };
        }
        if (code !== ErrorCode.NONE) draft.errorCode = code;
        if (--waiting > 0) return;
        timer?.cancel();
        resolve(response());
      };
      if (acks === ALL) partition.whenCommitted(endOffset, settle);
      else partition.whenWritten(endOffset, settle);
    }
    // Where other replicas have to be waited for; a write of our own ends, one way or the other.
    if (waiting === 0 || acks !== ALL || !waits.some(({ partition }) => partition.state.replicas.length > 1)) return;
    timer = context.node.runtime.timers.after(Math.max(request.timeoutMs, 0), () => {
      for (const { partition, endOffset, draft } of waits) {
        if (draft.errorCode === ErrorCode.NONE && partition.log.highWatermark < endOffset) draft.errorCode = ErrorCode.REQUEST_TIMED_OUT;
      }
      resolve(response());
    });
  });
}

/** Kafka goes over all batches before it writes any, and what is no batch ends the request as a whole. */
function checkFraming({ topicData }: Request): void {
  for (const { partitionData } of topicData) {
    for (const { records } of partitionData) {
      if (records === null) continue;
      for (let at = 0, bytes = 0; ; at += bytes) {
        bytes = nextBatchBytes(records, at, records.length);
        if (bytes === INCOMPLETE) break;
        if (bytes === CORRUPT) throw new KafkaError(ErrorCode.CORRUPT_MESSAGE, corruption(records, at, records.length));
      }
    }
  }
}

/** Appends one partition's records; what has to be waited for is added to `waits`. */
function append(
  topic: Request['topicData'][number],
  { index, records }: Request['topicData'][number]['partitionData'][number],
  request: Request,
  { node, apiVersion, clientId }: RequestContext,
  nowMs: number,
  release: (() => void) | undefined,
  waits: { partition: Partition; endOffset: number; draft: Draft }[],
): Draft {
  const { replicas } = node;
  const partition = apiVersion >= TOPIC_IDS_SINCE ? replicas.findById(topic.topicId, index) : replicas.find(topic.name, index);
  if (typeof partition === 'number') return refusedAs(index, partition, apiVersion, replicas.leaderOf({ ...topic, topic: apiVersion >= TOPIC_IDS_SINCE ? null : topic.name, partition: index }));
  if (isInternalTopic(partition.topic) && clientId !== ADMIN_CLIENT_ID) return refused(index, ErrorCode.INVALID_TOPIC_EXCEPTION);
  if (!partition.isLeader) return refusedAs(index, ErrorCode.NOT_LEADER_OR_FOLLOWER, apiVersion, { leaderId: partition.state.leader, leaderEpoch: partition.leaderEpoch });
  if (request.acks === ALL && !partition.hasEnoughReplicas) return refused(index, ErrorCode.NOT_ENOUGH_REPLICAS);
  const appended = appendProduced(partition, records, { apiVersion, transactionalId: request.transactionalId, release }, nowMs);
  const bytes = records?.length ?? 0;
  if (appended.errorCode !== ErrorCode.NONE) {
    replicas.counters.refusedProduce(partition.topic, bytes);
    return rejected(index, appended);
  }
  replicas.counters.produced(partition.topic, bytes, appended.endOffset - appended.baseOffset);
  const draft: Draft = {
    index, errorCode: ErrorCode.NONE, baseOffset: appended.baseOffset, logAppendTimeMs: appended.logAppendTimeMs, logStartOffset: appended.logStartOffset,
  };
  waits.push({ partition, endOffset: appended.endOffset, draft });
  return draft;
}

/** A large frame goes back to its pool once the batches of all its partitions are written; when one of them is refused or kept, it is garbage. */
function frameRelease({ topicData }: Request, { returnFrame }: RequestContext): (() => void) | undefined {
  if (returnFrame === undefined) return undefined;
  let unwritten = 0;
  for (const { partitionData } of topicData) unwritten += partitionData.length;
  return unwritten === 1 ? returnFrame : () => void (--unwritten === 0 && returnFrame());
}

function refused(index: number, errorCode: ErrorCode): Draft {
  return { index, errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 };
}

/** With who leads, where that is what the producer has to know. */
function refusedAs(index: number, errorCode: ErrorCode, apiVersion: number, leader: { leaderId: number; leaderEpoch: number } | null): Draft {
  const refusal = refused(index, errorCode);
  return errorCode !== ErrorCode.NOT_LEADER_OR_FOLLOWER || leader === null || apiVersion < LEADER_HINTS_SINCE ? refusal : { ...refusal, currentLeader: leader };
}

function rejected(index: number, { errorCode, logStartOffset, recordErrors, errorMessage }: Appended): Draft {
  return { ...refused(index, errorCode), logStartOffset, recordErrors, errorMessage };
}

function refuseAll(request: Request, code: ErrorCode, message: string | null): Response {
  return {
    throttleTimeMs: 0,
    responses: request.topicData.map(({ name, topicId, partitionData }) => ({
      name, topicId, partitionResponses: partitionData.map(({ index }) => ({ ...refused(index, code), errorMessage: message })),
    })),
  };
}

/** Where the leaders that were named can be reached, so that the producer needs no metadata first (KIP-951). */
function leaderHints(responses: readonly TopicResponse[], { node, apiVersion, connection }: RequestContext): Pick<Response, 'nodeEndpoints'> {
  if (apiVersion < LEADER_HINTS_SINCE) return {};
  let leaders: Set<number> | undefined;
  for (const { partitionResponses } of responses) {
    for (const { currentLeader } of partitionResponses) {
      if (currentLeader?.leaderId !== undefined && currentLeader.leaderId >= 0) (leaders ??= new Set()).add(currentLeader.leaderId);
    }
  }
  return leaders === undefined ? {} : { nodeEndpoints: node.endpointsOf(leaders, connection) };
}
