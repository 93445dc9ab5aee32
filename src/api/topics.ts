/**
 * CreateTopics, DeleteTopics and CreatePartitions: what one request may name twice, or in two ways, before the controller decides.
 *
 * Promises: a topic that was created has a leader that serves, and one that was deleted is gone, when the answer is sent: nobody has to poll. Timeouts of the
 * request are not needed for that and are ignored, as nothing here waits for other nodes.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { CreatePartitions, CreateTopics, DeleteTopics } from '../../protocol/messages/topics.ts';
import type { MetadataImage } from '../quorum/image.ts';
import { ZERO_UUID } from '../quorum/image.ts';
import { CLUSTER_METADATA_TOPIC } from '../quorum/topic-names.ts';
import { serve } from './serve.ts';
import type { RequestContext } from './serve.ts';

type CreateResult = Input<typeof CreateTopics.response>['topics'][number];
type DeleteResult = Input<typeof DeleteTopics.response>['responses'][number];

/** Since then a client can be told that deletion is switched off (KIP-322). */
const DELETION_DISABLED_SINCE = 3;

export const topicApis = [
  serve(CreateTopics, '2-7', {
    forward: true,
    arrived: ({ validateOnly }, { topics }, image) => validateOnly || topics.every(({ name, errorCode }) => errorCode !== ErrorCode.NONE || image.topic(name) !== undefined),
    handle: createTopics,
    onError: (code, request, _context, message) => ({
      throttleTimeMs: 0,
      topics: request.topics.map(({ name }) => createFailure(name, code, message)),
    }),
  }),
  serve(DeleteTopics, '1-6', {
    forward: true,
    arrived: (_, { responses }, image) => responses.every(({ name, topicId, errorCode }) => {
      if (errorCode !== ErrorCode.NONE) return true;
      // Before version 6 the answer has names alone, and one may have been given to another topic already.
      return topicId !== ZERO_UUID ? image.topicById(topicId) === undefined : image.topic(name!) === undefined;
    }),
    handle: deleteTopics,
    onError: (code, request) => ({
      throttleTimeMs: 0,
      responses: askedTopics(request).map(({ name, topicId }) => ({ name, topicId, errorCode: code })),
    }),
  }),
  serve(CreatePartitions, '0-3', {
    forward: true,
    arrived: ({ topics, validateOnly }, { results }, image) => validateOnly || results.every(({ name, errorCode }) => {
      const count = topics.find((topic) => topic.name === name)?.count ?? 0;
      return errorCode !== ErrorCode.NONE || (image.topic(name)?.partitions.length ?? count) >= count;
    }),
    handle: createPartitions,
    onError: (code, request, _context, message) => ({
      throttleTimeMs: 0,
      results: request.topics.map(({ name }) => ({ name, errorCode: code, errorMessage: message })),
    }),
  }),
];

async function createTopics(
  { topics, validateOnly }: Value<typeof CreateTopics.request>,
  { node }: RequestContext,
): Promise<Input<typeof CreateTopics.response>> {
  const { unique, repeated } = namedOnce(topics);
  const wanted = unique.filter(({ name }) => name !== CLUSTER_METADATA_TOPIC);
  const results: CreateResult[] = await node.controller.createTopics(wanted, { validateOnly });
  for (const name of repeated) results.push(createFailure(name, ErrorCode.INVALID_REQUEST, 'Duplicate topic name.'));
  if (wanted.length < unique.length) {
    results.push(createFailure(CLUSTER_METADATA_TOPIC, ErrorCode.INVALID_REQUEST, `Creation of internal topic ${CLUSTER_METADATA_TOPIC} is prohibited.`));
  }
  return { throttleTimeMs: 0, topics: results };
}

function createFailure(name: string, errorCode: ErrorCode, errorMessage: string | null): CreateResult {
  return { name, errorCode, errorMessage, configs: [] };
}

async function createPartitions(
  { topics, validateOnly }: Value<typeof CreatePartitions.request>,
  { node }: RequestContext,
): Promise<Input<typeof CreatePartitions.response>> {
  const { unique, repeated } = namedOnce(topics);
  const results = await node.controller.createPartitions(unique, { validateOnly });
  const duplicates = [...repeated].map((name) => ({ name, errorCode: ErrorCode.INVALID_REQUEST, errorMessage: 'Duplicate topic name.' }));
  return { throttleTimeMs: 0, results: [...duplicates, ...results] };
}

/** Topics that the request names once, and the names that it has more than once, which are refused altogether. */
function namedOnce<T extends { readonly name: string }>(topics: readonly T[]): { unique: T[]; repeated: Set<string> } {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const { name } of topics) {
    if (seen.has(name)) repeated.add(name);
    seen.add(name);
  }
  return { unique: topics.filter(({ name }) => !repeated.has(name)), repeated };
}

interface AskedTopic {
  readonly name: string | null;
  readonly topicId: string;
}

/** Names alone up to version 5, names or ids since. */
function askedTopics({ topics, topicNames }: Value<typeof DeleteTopics.request>): AskedTopic[] {
  return [...topicNames.map((name) => ({ name, topicId: ZERO_UUID })), ...topics];
}

async function deleteTopics(
  request: Value<typeof DeleteTopics.request>,
  { node, apiVersion }: RequestContext,
): Promise<Input<typeof DeleteTopics.response>> {
  if (!node.settings.get('delete.topic.enable')) {
    if (apiVersion < DELETION_DISABLED_SINCE) throw new KafkaError(ErrorCode.INVALID_REQUEST, 'This version does not support topic deletion.');
    throw new KafkaError(ErrorCode.TOPIC_DELETION_DISABLED);
  }
  const responses: DeleteResult[] = [];
  const names = resolveTopics(askedTopics(request), node.image(), responses);
  const outcomes = await node.controller.deleteTopics(names.keys());
  for (const [topicId, { errorCode, errorMessage }] of outcomes) responses.push({ name: names.get(topicId)!, topicId, errorCode, errorMessage });
  return { throttleTimeMs: 0, responses };
}

/** The topics to delete: names by id. What cannot be one is refused into `responses`. */
function resolveTopics(asked: readonly AskedTopic[], image: MetadataImage, responses: DeleteResult[]): Map<string, string> {
  const refuse = (name: string | null, topicId: string, errorCode: ErrorCode, errorMessage: string): void => {
    responses.push({ name, topicId, errorCode, errorMessage });
  };
  const counts = new Map<string, number>();
  for (const { name, topicId } of asked) {
    const key = name === null ? `id ${topicId}` : `name ${name}`;
    if (name === null ? topicId !== ZERO_UUID : topicId === ZERO_UUID) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const names = new Map<string, string>();
  const byName: string[] = [];
  const repeatedIds = new Set<string>();
  for (const { name, topicId } of asked) {
    if (name === null) {
      if (topicId === ZERO_UUID) {
        refuse(null, ZERO_UUID, ErrorCode.INVALID_REQUEST, 'Neither topic name nor id were specified.');
        continue;
      }
      const key = `id ${topicId}`;
      const count = counts.get(key);
      counts.delete(key);
      if (count === undefined) continue;
      if (count > 1) {
        repeatedIds.add(topicId);
        refuse(null, topicId, ErrorCode.INVALID_REQUEST, 'Duplicate topic id.');
        continue;
      }
      const topic = image.topicById(topicId);
      if (topic === undefined) refuse(null, topicId, ErrorCode.UNKNOWN_TOPIC_ID, new KafkaError(ErrorCode.UNKNOWN_TOPIC_ID).message);
      else names.set(topicId, topic.name);
    } else if (topicId !== ZERO_UUID) {
      refuse(name, topicId, ErrorCode.INVALID_REQUEST, 'You may not specify both topic name and topic id.');
    } else {
      const key = `name ${name}`;
      const count = counts.get(key);
      counts.delete(key);
      if (count === 1) byName.push(name);
      else if (count !== undefined) refuse(name, ZERO_UUID, ErrorCode.INVALID_REQUEST, 'Duplicate topic name.');
    }
  }
  for (const name of byName) {
    const id = image.topic(name)?.id;
    if (id === undefined) {
      refuse(name, ZERO_UUID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION).message);
    } else if (repeatedIds.has(id) || names.has(id)) {
      names.delete(id);
      repeatedIds.add(id);
      refuse(name, id, ErrorCode.INVALID_REQUEST, 'The provided topic name maps to an ID that was already supplied.');
    } else {
      names.set(id, name);
    }
  }
  return names;
}
