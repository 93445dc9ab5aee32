/**
 * Topics, metadata, cluster and configs through their handlers, over a quorum of one: every version's request decoded from bytes, every version's response
 * encoded, as a client sees them. The expected answers are Apache Kafka 4.3.1's to the same requests.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeBuffer, encodeBuffer } from '../../../protocol/compile.ts';
import { errorName, KafkaError } from '../../../protocol/errors.ts';
import { DescribeConfigs } from '../../../protocol/messages/configs.ts';
import { DescribeCluster, DescribeTopicPartitions, Metadata } from '../../../protocol/messages/metadata.ts';
import { CreatePartitions, CreateTopics, DeleteTopics } from '../../../protocol/messages/topics.ts';
import type { Api, Input, Value } from '../../../protocol/schema.ts';
import { clusterApis } from '../../../src/api/cluster.ts';
import { configApis } from '../../../src/api/configs.ts';
import { metadataApis } from '../../../src/api/metadata.ts';
import type { Node } from '../../../src/api/node.ts';
import type { RequestContext } from '../../../src/api/serve.ts';
import { topicApis } from '../../../src/api/topics.ts';
import type { Quorum } from '../../../src/quorum/quorum.ts';
import { CLUSTER_ID, newTopic, QuorumWorld, topicNames } from '../quorum/world.ts';

const NO_ID = 'AAAAAAAAAAAAAAAAAAAAAA';
const NOBODYS = 'AAAAAAAAAAAAAAAAAAAACg';
const NOT_ASKED = -2_147_483_648;
const TOPIC_OPERATIONS = 3576;
const CLUSTER_OPERATIONS = 8096;
const apis = [...topicApis, ...metadataApis, ...clusterApis, ...configApis];

let world: QuorumWorld;
let quorum: Quorum;
let node: Node;

async function begin(settings: Record<string, string | number | boolean> = {}): Promise<void> {
  world = new QuorumWorld({ settings });
  ({ quorum } = await world.start());
  node = {
    runtime: world.runtime, settings: world.settings, nodeId: 1, clusterId: CLUSTER_ID, image: () => quorum.image(), controller: quorum.controller!, quorum,
    ensureTopics: async (names: readonly string[]) => void (await quorum.controller!.ensureTopics(names)),
    endpointsOf: (ids: Iterable<number>) => [...ids].map((nodeId) => ({ nodeId, host: 'broker', port: 9092, rack: null })),
  } as unknown as Node;
}

beforeEach(() => begin());
afterEach(() => quorum.close());

async function ask<A extends Api<any, any>>(api: A, apiVersion: number, input: Input<A['request']>, listener = 'PLAINTEXT'): Promise<Value<A['response']>> {
  const served = apis.find((one) => one.api === api)!;
  expect(apiVersion >= served.versionMin && apiVersion <= served.versionMax, `${api.name} ${apiVersion}`).toBe(true);
  const request = decodeBuffer(api.request, apiVersion, encodeBuffer(api.request, apiVersion, input));
  const context = { apiVersion, clientId: 'c', correlationId: 1, receivedMs: 0, connection: { listener, listenerKind: 'broker' }, node } as unknown as RequestContext;
  let response: unknown;
  try {
    response = await served.handle(request, context);
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    response = served.onError(error.code, request, context, error.message);
  }
  return decodeBuffer(api.response, apiVersion, encodeBuffer(api.response, apiVersion, response as never));
}

const versions = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const create = (...topics: Parameters<typeof newTopic>[]) => quorum.controller!.createTopics(topics.map(([name, changes]) => newTopic(name, changes)));
const idOf = (name: string): string => quorum.image().topic(name)!.id;

describe('CreateTopics', () => {
  it.each(versions(2, 7))('version %i', async (version) => {
    const { topics } = await ask(CreateTopics, version, { topics: [newTopic('t', { numPartitions: 2 }), newTopic('a b')] });
    expect(topics.map(({ name, errorCode }) => [name, errorName(errorCode)])).toEqual([['t', 'NONE'], ['a b', 'INVALID_TOPIC_EXCEPTION']]);
    expect(topics[0]).toMatchObject(version >= 5 ? { numPartitions: 2, replicationFactor: 1 } : { numPartitions: -1, replicationFactor: -1, configs: [] });
    expect(topics[0]!.topicId).toBe(version >= 7 ? idOf('t') : NO_ID);
    expect(topics[1]).toMatchObject({ topicId: NO_ID, numPartitions: -1, configs: [] });
  });

  it('refuses what is named twice, and the metadata log itself, and creates the rest', async () => {
    const { topics } = await ask(CreateTopics, 7, { topics: ['twice', 'twice', 'once', '__cluster_metadata'].map((name) => newTopic(name)) });
    expect(topics.map(({ name, errorCode, errorMessage }) => `${name} ${errorName(errorCode)} ${errorMessage}`)).toEqual([
      'once NONE null',
      'twice INVALID_REQUEST Duplicate topic name.',
      '__cluster_metadata INVALID_REQUEST Creation of internal topic __cluster_metadata is prohibited.',
    ]);
    expect(topicNames(quorum)).toEqual(['once']);
  });

  it('tells every topic when the whole request is too much', async () => {
    const { topics } = await ask(CreateTopics, 7, { topics: [newTopic('a', { numPartitions: 20_000 }), newTopic('b')] });
    expect(topics.map(({ name, errorCode, errorMessage }) => `${name} ${errorName(errorCode)} ${errorMessage}`)).toEqual(
      ['a', 'b'].map((name) => `${name} POLICY_VIOLATION Excessively large number of partitions per request.`),
    );
  });
});

describe('CreatePartitions', () => {
  it.each(versions(0, 3))('version %i', async (version) => {
    await create(['t'], ['u']);
    const { results } = await ask(CreatePartitions, version, {
      topics: [{ name: 't', count: 3, assignments: null }, { name: 'u', count: 2, assignments: null }, { name: 'u', count: 3, assignments: null }, { name: 'nosuch', count: 2, assignments: null }],
      timeoutMs: 1, validateOnly: false,
    });
    expect(results.map(({ name, errorCode, errorMessage }) => `${name} ${errorName(errorCode)} ${errorMessage}`).sort()).toEqual([
      'nosuch UNKNOWN_TOPIC_OR_PARTITION null', 't NONE null', 'u INVALID_REQUEST Duplicate topic name.',
    ]);
    expect(['t', 'u'].map((name) => quorum.image().topic(name)!.partitions.length)).toEqual([3, 1]);
  });
});

describe('DeleteTopics', () => {
  const show = (responses: Value<typeof DeleteTopics.response>['responses']): string[] =>
    responses.map(({ name, topicId, errorCode, errorMessage }) => `${name} ${topicId === NO_ID ? '-' : topicId === NOBODYS ? 'nobody' : 'id'} ${errorName(errorCode)} ${errorMessage}`).sort();
  const NO_TEXT_BEFORE = 5;

  it.each(versions(1, 5))('by name, version %i', async (version) => {
    await create(['t'], ['u']);
    const { responses } = await ask(DeleteTopics, version, { topicNames: ['t', 'nosuch', 'u', 'u'], timeoutMs: 1 });
    const text = (one: string) => (version < NO_TEXT_BEFORE ? 'null' : one);
    expect(show(responses)).toEqual([
      `nosuch - UNKNOWN_TOPIC_OR_PARTITION ${text('This server does not host this topic-partition.')}`, 't - NONE null', `u - INVALID_REQUEST ${text('Duplicate topic name.')}`,
    ]);
    expect(topicNames(quorum)).toEqual(['u']);
  });

  it('by id or name, each once', async () => {
    await create(['a'], ['b'], ['c'], ['d'], ['e']);
    const ids = new Map(['a', 'b', 'c', 'd', 'e'].map((name) => [name, idOf(name)]));
    const { responses } = await ask(DeleteTopics, 6, {
      topics: [
        { name: null, topicId: ids.get('a')! },
        { name: null, topicId: NOBODYS },
        { name: null, topicId: NO_ID },
        { name: 'b', topicId: ids.get('b')! },
        { name: null, topicId: ids.get('c')! }, { name: null, topicId: ids.get('c')! },
        { name: null, topicId: ids.get('d')! }, { name: 'd', topicId: NO_ID },
        { name: 'e', topicId: NO_ID },
      ],
      timeoutMs: 1,
    });
    expect(show(responses)).toEqual([
      'a id NONE null',
      'b id INVALID_REQUEST You may not specify both topic name and topic id.',
      'd id INVALID_REQUEST The provided topic name maps to an ID that was already supplied.',
      'e id NONE null',
      'null - INVALID_REQUEST Neither topic name nor id were specified.',
      'null id INVALID_REQUEST Duplicate topic id.',
      'null nobody UNKNOWN_TOPIC_ID This server does not host this topic ID.',
    ]);
    expect(topicNames(quorum)).toEqual(['b', 'c', 'd']);
  });

  it('can be switched off', async () => {
    await quorum.close();
    await begin({ 'delete.topic.enable': false });
    await create(['t']);
    const codes = await Promise.all([1, 2, 3, 5].map(async (version) => errorName((await ask(DeleteTopics, version, { topicNames: ['t'], timeoutMs: 1 })).responses[0]!.errorCode)));
    expect(codes).toEqual(['INVALID_REQUEST', 'INVALID_REQUEST', 'TOPIC_DELETION_DISABLED', 'TOPIC_DELETION_DISABLED']);
    expect(topicNames(quorum)).toEqual(['t']);
  });
});

describe('Metadata', () => {
  const named = (...names: string[]) => names.map((name) => ({ name, topicId: NO_ID }));
  const quiet = (version: number) => (version >= 4 ? { allowAutoTopicCreation: false } : {});

  it.each(versions(0, 13))('version %i: one topic, all topics, none', async (version) => {
    await create(['t', { numPartitions: 2 }], ['u']);
    const one = await ask(Metadata, version, { topics: named('t'), ...quiet(version) });
    expect(one.brokers).toEqual([{ nodeId: 1, host: 'broker', port: 9092, rack: null }]);
    expect([one.clusterId, one.controllerId]).toEqual([version >= 2 ? CLUSTER_ID : null, version >= 1 ? 1 : -1]);
    expect(one.topics).toEqual([
      {
        errorCode: 0, name: 't', topicId: version >= 10 ? idOf('t') : NO_ID, isInternal: false, topicAuthorizedOperations: NOT_ASKED,
        partitions: [0, 1].map((partitionIndex) => ({
          errorCode: 0, partitionIndex, leaderId: 1, leaderEpoch: version >= 7 ? 0 : -1, replicaNodes: [1], isrNodes: [1], offlineReplicas: [],
        })),
      },
    ]);
    const empty = await ask(Metadata, version, { topics: [], ...quiet(version) });
    expect(empty.topics.map((topic) => topic.name).sort()).toEqual(version === 0 ? ['t', 'u'] : []);
    if (version === 0) return;
    const all = await ask(Metadata, version, { topics: null, ...quiet(version) });
    expect(all.topics.map((topic) => topic.name).sort()).toEqual(['t', 'u']);
  });

  it.each(versions(0, 13))('version %i: creates what is missing and answers with its leader', async (version) => {
    const { topics } = await ask(Metadata, version, { topics: named('new', 'a b', 'new'), ...(version >= 4 && { allowAutoTopicCreation: true }) });
    expect(topics.map(({ name, errorCode, partitions }) => [name, errorName(errorCode), partitions.map((partition) => partition.leaderId)])).toEqual([
      ['a b', 'INVALID_TOPIC_EXCEPTION', []], ['new', 'NONE', [1]],
    ]);
    expect(topicNames(quorum)).toEqual(['new']);
  });

  it('creates nothing when the client, the broker or the request does not want it', async () => {
    await ask(Metadata, 12, { topics: named('new'), allowAutoTopicCreation: false });
    await ask(Metadata, 12, { topics: null, allowAutoTopicCreation: true });
    await ask(Metadata, 12, { topics: [{ name: null, topicId: NOBODYS }], allowAutoTopicCreation: true });
    expect(topicNames(quorum)).toEqual([]);
    await quorum.close();
    await begin({ 'auto.create.topics.enable': false });
    const { topics } = await ask(Metadata, 12, { topics: named('new', '__consumer_offsets'), allowAutoTopicCreation: true });
    expect(topics.map(({ name, errorCode, isInternal }) => [name, errorName(errorCode), isInternal])).toEqual([
      ['new', 'UNKNOWN_TOPIC_OR_PARTITION', false], ['__consumer_offsets', 'UNKNOWN_TOPIC_OR_PARTITION', true],
    ]);
  });

  it('finds topics by id from version 12 on, and takes no names beside ids', async () => {
    await create(['t'], ['u']);
    const { topics } = await ask(Metadata, 12, { topics: [{ name: null, topicId: idOf('t') }, { name: null, topicId: NOBODYS }, ...named('u')], allowAutoTopicCreation: false });
    expect(topics.map(({ name, topicId, errorCode }) => [name, topicId, errorName(errorCode)])).toEqual([[null, NOBODYS, 'UNKNOWN_TOPIC_ID'], ['t', idOf('t'), 'NONE']]);
    for (const version of [10, 11]) {
      const refused = await ask(Metadata, version, { topics: [{ name: 't', topicId: idOf('t') }], allowAutoTopicCreation: false });
      expect(refused.topics.map(({ name, errorCode }) => [name, errorName(errorCode)])).toEqual([['t', 'INVALID_REQUEST']]);
      expect(refused.brokers).toEqual([]);
    }
  });

  it('tells what may be done when it is asked', async () => {
    await create(['t']);
    for (const version of versions(8, 13)) {
      const cluster = version <= 10;
      const answer = await ask(Metadata, version, { topics: named('t', 'nosuch'), allowAutoTopicCreation: false, includeTopicAuthorizedOperations: true, ...(cluster && { includeClusterAuthorizedOperations: true }) });
      expect(answer.topics.map((topic) => topic.topicAuthorizedOperations)).toEqual([TOPIC_OPERATIONS, TOPIC_OPERATIONS]);
      expect(answer.clusterAuthorizedOperations).toBe(cluster ? CLUSTER_OPERATIONS : NOT_ASKED);
    }
  });

  it('tells a partition without a leader, and a listener that its leader has not', async () => {
    await create(['t']);
    const other = await Promise.all([5, 6].map(async (version) => (await ask(Metadata, version, { topics: named('t') }, 'OTHER')).topics[0]!.partitions[0]!));
    expect(other.map(({ errorCode, leaderId, offlineReplicas }) => [errorName(errorCode), leaderId, offlineReplicas])).toEqual([
      ['LEADER_NOT_AVAILABLE', -1, [1]], ['LISTENER_NOT_FOUND', -1, [1]],
    ]);
    const epoch = quorum.image().brokers.get(1)!.epoch;
    await quorum.controller!.brokerHeartbeat({ brokerId: 1, brokerEpoch: epoch, currentMetadataOffset: 99, wantFence: true, wantShutDown: false, offlineLogDirs: [], cordonedLogDirs: [] });
    const gone = await ask(Metadata, 12, { topics: named('t') });
    expect(gone.topics[0]!.partitions[0]).toMatchObject({ leaderId: -1, leaderEpoch: 1, replicaNodes: [1], isrNodes: [], offlineReplicas: [1] });
    expect(errorName(gone.topics[0]!.partitions[0]!.errorCode)).toBe('LEADER_NOT_AVAILABLE');
    expect([gone.brokers, gone.controllerId]).toEqual([[], -1]);
    // Version 0 hides replicas that are not there.
    const old = await ask(Metadata, 0, { topics: named('t') });
    expect(old.topics[0]!.partitions[0]).toMatchObject({ replicaNodes: [], isrNodes: [] });
  });

  it('goes on when topics cannot be created', async () => {
    await create(['t']);
    node = { ...node, ensureTopics: () => Promise.reject(new KafkaError(56 as never)) };
    const { topics } = await ask(Metadata, 12, { topics: named('t', 'new'), allowAutoTopicCreation: true });
    expect(topics.map(({ name, errorCode }) => [name, errorName(errorCode)])).toEqual([['new', 'UNKNOWN_TOPIC_OR_PARTITION'], ['t', 'NONE']]);
  });
});

describe('DescribeTopicPartitions', () => {
  beforeEach(async () => {
    await create(['a', { numPartitions: 2 }], ['b', { numPartitions: 3 }], ['c']);
  });

  const describeTopics = async (topics: string[], options: { responsePartitionLimit?: number; cursor?: { topicName: string; partitionIndex: number } | null } = {}) => {
    const answer = await ask(DescribeTopicPartitions, 0, { topics: topics.map((name) => ({ name })), ...options });
    const shown = answer.topics.map(({ name, errorCode, partitions }) => (errorCode === 0 ? `${name} ${partitions.map((partition) => partition.partitionIndex).join('')}` : `${name} ${errorName(errorCode)}`));
    if (answer.nextCursor !== null) shown.push(`then ${answer.nextCursor.topicName}-${answer.nextCursor.partitionIndex}`);
    return shown;
  };

  it.each<[string, string[], Parameters<typeof describeTopics>[1], string[]]>([
    ['all', [], {}, ['a 01', 'b 012', 'c 0']],
    ['some, sorted, each once', ['c', 'nosuch', 'a b', 'a', 'a'], {}, ['a 01', 'a b INVALID_TOPIC_EXCEPTION', 'c 0', 'nosuch UNKNOWN_TOPIC_OR_PARTITION']],
    ['a limit within a topic', [], { responsePartitionLimit: 3 }, ['a 01', 'b 0', 'then b-1']],
    ['a limit at the end of a topic', [], { responsePartitionLimit: 2 }, ['a 01', 'then b-0']],
    ['no limit below one', ['b'], { responsePartitionLimit: -1 }, ['b 0', 'then b-1']],
    ['from a cursor', [], { cursor: { topicName: 'b', partitionIndex: 1 }, responsePartitionLimit: 2 }, ['b 12', 'then c-0']],
    ['from a topic that is gone', [], { cursor: { topicName: 'aa', partitionIndex: 7 } }, ['b 012', 'c 0']],
    ['from beyond the end', ['a', 'b'], { cursor: { topicName: 'a', partitionIndex: 9 } }, ['a ', 'b 012']],
    ['a cursor that was not asked for', ['a'], { cursor: { topicName: 'b', partitionIndex: 0 } }, ['a INVALID_REQUEST']],
    ['a cursor before the first partition', ['a'], { cursor: { topicName: 'a', partitionIndex: -1 } }, ['a INVALID_REQUEST']],
  ])('%s', async (_name, topics, options, expected) => {
    expect(await describeTopics(topics, options)).toEqual(expected);
  });

  it('tells of each partition what Metadata does, and who is eligible', async () => {
    const { topics } = await ask(DescribeTopicPartitions, 0, { topics: [{ name: 'c' }] });
    expect(topics).toEqual([
      {
        errorCode: 0, name: 'c', topicId: idOf('c'), isInternal: false, topicAuthorizedOperations: TOPIC_OPERATIONS,
        partitions: [{ errorCode: 0, partitionIndex: 0, leaderId: 1, leaderEpoch: 0, replicaNodes: [1], isrNodes: [1], eligibleLeaderReplicas: [], lastKnownElr: [], offlineReplicas: [] }],
      },
    ]);
  });
});

describe('DescribeCluster', () => {
  it.each(versions(0, 2))('version %i', async (version) => {
    const answer = await ask(DescribeCluster, version, { includeClusterAuthorizedOperations: true });
    expect(answer).toMatchObject({
      errorCode: 0, errorMessage: null, clusterId: CLUSTER_ID, controllerId: 1, clusterAuthorizedOperations: CLUSTER_OPERATIONS, endpointType: 1,
      brokers: [{ brokerId: 1, host: 'broker', port: 9092, rack: null, isFenced: false }],
    });
    expect((await ask(DescribeCluster, version, { includeClusterAuthorizedOperations: false })).clusterAuthorizedOperations).toBe(NOT_ASKED);
  });

  it('knows no controllers on a broker', async () => {
    const asked = await Promise.all([2, 3].map((endpointType) => ask(DescribeCluster, 1, { includeClusterAuthorizedOperations: false, endpointType })));
    expect(asked.map(({ errorCode, errorMessage }) => `${errorName(errorCode)} ${errorMessage}`)).toEqual([
      'MISMATCHED_ENDPOINT_TYPE The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER',
      'UNSUPPORTED_ENDPOINT_TYPE Unsupported endpoint type 3',
    ]);
  });

  it('shows fenced brokers to those who ask for them', async () => {
    await quorum.controller!.registerBroker(world.registration({ brokerId: 2, logDirs: [world.runtime.random.uuid()] }));
    const ids = async (includeFencedBrokers: boolean) =>
      (await ask(DescribeCluster, 2, { includeClusterAuthorizedOperations: false, includeFencedBrokers })).brokers.map(({ brokerId, isFenced }) => [brokerId, isFenced]);
    expect(await ids(false)).toEqual([[1, false]]);
    expect(await ids(true)).toEqual([[1, false], [2, true]]);
  });
});

describe('DescribeConfigs', () => {
  const describeOne = async (resourceType: number, resourceName: string, options: { version?: number; keys?: string[] | null; includeSynonyms?: boolean } = {}) => {
    const { results } = await ask(DescribeConfigs, options.version ?? 4, {
      resources: [{ resourceType, resourceName, configurationKeys: options.keys ?? null }], includeSynonyms: options.includeSynonyms ?? false,
    });
    return results[0]!;
  };
  const TOPIC = 2;
  const BROKER = 4;
  const LOGGER = 8;
  const CLIENT_METRICS = 16;
  const GROUP = 32;

  it.each(versions(1, 4))('of a topic, version %i', async (version) => {
    await create(['t', { configs: [{ name: 'retention.ms', value: ' 5 ' }] }]);
    const { errorCode, errorMessage, configs } = await describeOne(TOPIC, 't', { version, includeSynonyms: true });
    expect([errorCode, errorMessage]).toEqual([0, '']);
    const byName = new Map(configs.map((config) => [config.name, config]));
    // The value in force: what the text means, not the text.
    expect(byName.get('retention.ms')).toMatchObject({
      name: 'retention.ms', value: '5', readOnly: false, configSource: 1, isSensitive: false, configType: version >= 3 ? 5 : 0,
      synonyms: [{ name: 'retention.ms', value: '5', source: 1 }],
    });
    expect(byName.get('min.insync.replicas')).toMatchObject({ value: '1', configSource: 3, synonyms: [{ name: 'min.insync.replicas', value: '1', source: 3 }, { name: 'min.insync.replicas', value: '1', source: 5 }] });
    expect((await describeOne(TOPIC, 't', { version })).configs.every((config) => config.synonyms.length === 0)).toBe(true);
  });

  it('gives the settings that are asked for by name', async () => {
    await create(['t']);
    const names = async (keys: string[] | null) => (await describeOne(TOPIC, 't', { keys })).configs.map((config) => config.name);
    expect(await names(['retention.ms', 'nope', 'segment.ms'])).toEqual(['retention.ms', 'segment.ms']);
    expect((await names([])).length).toBe((await names(null)).length);
  });

  it.each<[string, number, string, string]>([
    ['an unknown topic', TOPIC, 'nosuch', 'UNKNOWN_TOPIC_OR_PARTITION '],
    ['no topic name', TOPIC, '', 'INVALID_TOPIC_EXCEPTION Topic name is invalid: the empty string is not allowed'],
    ['another broker', BROKER, '2', 'INVALID_REQUEST Unexpected broker id, expected 1 or empty string, but received 2'],
    ['no broker id', BROKER, 'x', 'INVALID_REQUEST Broker id must be an integer, but it is: x'],
    ['the loggers of another', LOGGER, '2', 'INVALID_REQUEST Unexpected broker id, expected 1 but received 2'],
    ['the loggers of nobody', LOGGER, '', 'INVALID_REQUEST Broker id must not be empty'],
    ['no group', GROUP, '', 'INVALID_REQUEST Group name must not be empty'],
    ['no subscription', CLIENT_METRICS, '', 'INVALID_REQUEST Client metrics subscription name must not be empty'],
    ['nothing that is known', 3, 'x', 'INVALID_REQUEST This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.'],
  ])('refuses %s', async (_name, resourceType, resourceName, expected) => {
    const { errorCode, errorMessage, configs } = await describeOne(resourceType, resourceName);
    expect(`${errorName(errorCode)} ${errorMessage}`).toBe(expected);
    expect(configs).toEqual([]);
  });

  it('of the broker, of all brokers, of its loggers, of a group, of client metrics', async () => {
    const show = async (...of: [number, string]) => (await describeOne(...of)).configs.map(({ name, value, configSource }) => `${name}=${value} from ${configSource}`);
    expect(await show(BROKER, '1')).toContain('node.id=1 from 4');
    expect(await show(BROKER, '')).toEqual(['min.insync.replicas=1 from 3']);
    expect(await show(LOGGER, '1')).toEqual(['root=INFO from 6']);
    expect(await show(GROUP, 'g')).toContain('consumer.session.timeout.ms=45000 from 5');
    expect(await show(CLIENT_METRICS, 'm')).toEqual(['interval.ms=300000 from 5', 'match= from 5', 'metrics= from 5']);
  });
});
