/**
 * OffsetCommit, OffsetFetch, OffsetDelete, in every version that Kafka 4.3.1 serves: topics by name or by id (KIP-848), many groups in one fetch (KIP-709).
 *
 * Promises: only offsets of partitions that exist are committed, with the topic's id whatever the version of the request; the coordinator hears of nothing else.
 * One topic or partition that is wrong is that one's error. In an answer, what was refused here comes before what the coordinator says.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import { OffsetCommit, OffsetDelete, OffsetFetch } from '../../protocol/messages/offsets.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { offsetCommitError } from '../coordinator/group-coordinator.ts';
import type { MetadataImage } from '../quorum/image.ts';
import { ZERO_UUID } from '../quorum/image.ts';
import { callerOf } from './groups.ts';
import { serve } from './serve.ts';
import type { RequestContext } from './serve.ts';

type CommitRequest = Value<typeof OffsetCommit.request>;
type CommitResponse = Input<typeof OffsetCommit.response>;
type FetchRequest = Value<typeof OffsetFetch.request>;
type FetchResponse = Input<typeof OffsetFetch.response>;
type FetchRequestGroup = FetchRequest['groups'][number];
type FetchResponseGroup = NonNullable<FetchResponse['groups']>[number];
type DeleteRequest = Value<typeof OffsetDelete.request>;
type DeleteResponse = Input<typeof OffsetDelete.response>;

const TOPIC_IDS_SINCE = 10; // KIP-848
const MANY_GROUPS_SINCE = 8; // KIP-709
const GROUP_ERROR_SINCE = 2;

export const offsetApis = [
  serve(OffsetCommit, '2-10', { handle: commit, onError: (code, request) => offsetCommitError(request, code) }),
  serve(OffsetFetch, '1-10', {
    handle: fetch,
    onError: (code, request, { apiVersion }) => fetchResponse(askedGroups(request, apiVersion), askedGroups(request, apiVersion).map(({ groupId }) => ({ groupId, topics: [], errorCode: code })), apiVersion),
  }),
  serve(OffsetDelete, '0', {
    handle: deleteOffsets,
    onError: (errorCode) => ({ errorCode, throttleTimeMs: 0, topics: [] }),
  }),
];

// ---- OffsetCommit

function commit(request: CommitRequest, context: RequestContext): CommitResponse | Promise<CommitResponse> {
  const { node, apiVersion } = context;
  const image = node.image();
  const usesTopicIds = apiVersion >= TOPIC_IDS_SINCE;
  const topics: CommitRequest['topics'][number][] = [];
  const refused: NonNullable<CommitResponse['topics']>[number][] = [];
  for (const asked of request.topics) {
    const topic = usesTopicIds ? image.topicById(asked.topicId) : image.topic(asked.name);
    if (topic === undefined) {
      const errorCode = usesTopicIds ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
      refused.push({ name: asked.name, topicId: asked.topicId, partitions: asked.partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })) });
      continue;
    }
    const there = asked.partitions.filter(({ partitionIndex }) => hasPartition(topic, partitionIndex));
    if (there.length > 0) topics.push({ name: topic.name, topicId: topic.id, partitions: there });
    if (there.length < asked.partitions.length) {
      const missing = asked.partitions.filter(({ partitionIndex }) => !hasPartition(topic, partitionIndex));
      refused.push({ name: topic.name, topicId: topic.id, partitions: missing.map(({ partitionIndex }) => ({ partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION })) });
    }
  }
  // Kafka's coordinator is not asked either: a commit of nothing is fine in any generation.
  if (topics.length === 0) return { topics: refused };
  const answer = node.groups.commitOffsets({ ...request, topics }, callerOf(context));
  if (refused.length === 0) return answer;
  return answer.then((committed) => ({ topics: merged(refused, committed.topics ?? [], ({ name, topicId }) => (usesTopicIds ? topicId : name)) }));
}

function hasPartition(topic: { readonly partitions: readonly unknown[] }, index: number): boolean {
  return index >= 0 && index < topic.partitions.length;
}

/** One entry a topic: what was refused first. */
function merged<T extends { readonly partitions: readonly unknown[] }>(refused: readonly T[], answered: readonly T[], keyOf: (topic: T) => unknown): T[] {
  const byKey = new Map<unknown, T>();
  for (const topic of [...refused, ...answered]) {
    const key = keyOf(topic);
    const there = byKey.get(key);
    byKey.set(key, there === undefined ? topic : { ...there, partitions: [...there.partitions, ...topic.partitions] });
  }
  return [...byKey.values()];
}

// ---- OffsetFetch

/** Every version's groups in the shape of the newest. */
function askedGroups(request: FetchRequest, apiVersion: number): readonly FetchRequestGroup[] {
  if (apiVersion >= MANY_GROUPS_SINCE) return request.groups;
  const topics = request.topics?.map(({ name, partitionIndexes }) => ({ name, topicId: ZERO_UUID, partitionIndexes })) ?? null;
  return [{ groupId: request.groupId, memberId: null, memberEpoch: -1, topics }];
}

async function fetch(request: FetchRequest, context: RequestContext): Promise<FetchResponse> {
  const groups = askedGroups(request, context.apiVersion);
  const answers = await Promise.all(groups.map((group) => fetchGroup(group, request.requireStable, context)));
  return fetchResponse(groups, answers, context.apiVersion);
}

async function fetchGroup(group: FetchRequestGroup, requireStable: boolean, { node, apiVersion }: RequestContext): Promise<FetchResponseGroup> {
  const image = node.image();
  const usesTopicIds = apiVersion >= TOPIC_IDS_SINCE;
  if (group.topics === null) {
    const answer = await node.groups.fetchOffsets(group, requireStable);
    return usesTopicIds ? { ...answer, topics: withIds(answer.topics, image) } : answer;
  }
  if (!usesTopicIds) return node.groups.fetchOffsets(group, requireStable);
  const known: NonNullable<FetchRequestGroup['topics']>[number][] = [];
  const unknown: FetchResponseGroup['topics'][number][] = [];
  for (const { topicId, partitionIndexes } of group.topics) {
    const topic = image.topicById(topicId);
    if (topic !== undefined) known.push({ name: topic.name, topicId, partitionIndexes });
    else unknown.push({ topicId, partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, committedOffset: -1n, metadata: '', errorCode: ErrorCode.UNKNOWN_TOPIC_ID })) });
  }
  const answer = await node.groups.fetchOffsets({ ...group, topics: known }, requireStable);
  return answer.errorCode !== undefined && answer.errorCode !== ErrorCode.NONE ? answer : { ...answer, topics: [...answer.topics, ...unknown] };
}

/** A topic that is gone has no id, and without one it cannot be told. */
function withIds(topics: FetchResponseGroup['topics'], image: MetadataImage): FetchResponseGroup['topics'] {
  return topics.flatMap((topic) => {
    const id = image.topic(topic.name ?? '')?.id;
    return id === undefined ? [] : [{ ...topic, topicId: id }];
  });
}

function fetchResponse(asked: readonly FetchRequestGroup[], answers: readonly FetchResponseGroup[], apiVersion: number): FetchResponse {
  if (apiVersion >= MANY_GROUPS_SINCE) return { throttleTimeMs: 0, groups: [...answers] };
  const answer = answers[0]!;
  const errorCode = answer.errorCode ?? ErrorCode.NONE;
  if (errorCode !== ErrorCode.NONE && apiVersion < GROUP_ERROR_SINCE) {
    // There is no place for an error of the group, so each partition carries it.
    return {
      topics: (asked[0]!.topics ?? []).map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, committedOffset: -1n, metadata: '', errorCode })),
      })),
    };
  }
  return {
    throttleTimeMs: 0,
    errorCode,
    topics: answer.topics.map(({ name, partitions }) => ({ name: name ?? '', partitions })),
  };
}

// ---- OffsetDelete

async function deleteOffsets(request: DeleteRequest, { node }: RequestContext): Promise<DeleteResponse> {
  const image = node.image();
  const topics: DeleteRequest['topics'][number][] = [];
  const refused: NonNullable<DeleteResponse['topics']>[number][] = [];
  for (const { name, partitions } of request.topics) {
    const isThere = ({ partitionIndex }: { readonly partitionIndex: number }): boolean => image.partition(name, partitionIndex) !== undefined;
    const there = partitions.filter(isThere);
    if (there.length > 0) topics.push({ name, partitions: there });
    const missing = partitions.filter((partition) => !isThere(partition));
    if (missing.length > 0) refused.push({ name, partitions: missing.map(({ partitionIndex }) => ({ partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION })) });
  }
  const answer = await node.groups.deleteOffsets({ ...request, topics });
  return answer.errorCode !== ErrorCode.NONE ? answer : { ...answer, topics: merged(refused, answer.topics ?? [], ({ name }) => name) };
}
