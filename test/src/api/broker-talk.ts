/** What is asked, in order: each part makes its own topics and groups, so that parts can be read, and run, alone. */
import { testBatch } from '../../storage/log-fixture.ts';
import { apiNamed } from '../broker-world.ts';
import type { Answer } from './broker-questions.ts';
import { Questioner, requestBytes, versionsOf } from './broker-questions.ts';

const NOBODYS_ID = 'nobodysTopicIdAAAAAAAA';
const LARGEST = 2 ** 31 - 1;
const SPECIAL_TIMES = [-1, -2, -3, -4, -5, -6, -7, -100, 0, 1_000, 1_002, 2_000, 10_000];

/** Records here are of 1970. */
const KEPT = [{ name: 'retention.ms', value: '-1' }];

/** Of consumers, Kafka reads what they say: version 0, one topic, no more. */
const SUBSCRIPTION = Buffer.from('0000' + '00000001' + '0007' + Buffer.from('grouped').toString('hex') + 'ffffffff', 'hex');

type Part = (ask: Questioner) => Promise<void>;

async function create(ask: Questioner, ...names: string[]): Promise<void> {
  const answer = await ask.answerTo('CreateTopics', 7, { topics: names.map((name) => ({ name, numPartitions: 2, replicationFactor: 1, assignments: [], configs: KEPT })), timeoutMs: 10_000 });
  if (typeof answer === 'string' || answer['topics'].some((one: Answer) => one['errorCode'] !== 0)) throw new Error(`topics were not made: ${JSON.stringify(answer)}`);
  for (const name of names) await settled(ask, name, 2);
  await ask.learnTopics();
}

/** Until the broker leads all partitions: Kafka answers CreateTopics before. */
async function settled(ask: Questioner, name: string, partitions: number): Promise<void> {
  await ask.until(`${name} to have leaders`, async () => {
    const answer = await ask.answerTo('ListOffsets', 7, { replicaId: -1, topics: [{ name, partitions: Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp: -1 })) }] });
    return typeof answer !== 'string' && answer['topics'][0].partitions.every((one: Answer) => one['errorCode'] === 0);
  });
}

/** The topic of committed offsets is there, and its coordinators are loaded. */
export async function prepare(ask: Questioner): Promise<void> {
  await ask.until('a coordinator', async () => (await ask.answerTo('FindCoordinator', 3, { key: 'group', keyType: 0 }) as Answer)['errorCode'] === 0);
  await settled(ask, '__consumer_offsets', 50);
  await ask.until('producer ids', async () => (await ask.answerTo('InitProducerId', 4, { transactionalId: null }) as Answer)['errorCode'] === 0);
  await ask.until('its groups', async () => (await ask.answerTo('ListGroups', 4, {}) as Answer)['errorCode'] === 0);
}

const produceTo = (ask: Questioner, topic: string, index: number, records: Buffer | null, rest: Answer = {}): Answer => ({
  transactionalId: null, acks: -1, timeoutMs: 5000, ...rest, topicData: [{ name: topic, topicId: topic === 'nobodys' ? NOBODYS_ID : ask.idOf(topic), partitionData: [{ index, records }] }],
});

const produces: Part = async (ask) => {
  for (const version of versionsOf('Produce')) {
    const topic = `produce-${version}`;
    await create(ask, topic);
    const tell = (about: string, input: Answer) => ask.ask(about, 'Produce', version, input);
    const one = (values: readonly string[], more: object = {}) => testBatch({ values, timestamp: 1_700_000_000_000, ...more });
    await tell('a batch', produceTo(ask, topic, 0, one(['a', 'b'])));
    await tell('acks=1', produceTo(ask, topic, 0, one(['c']), { acks: 1 }));
    await tell('acks=2', produceTo(ask, topic, 0, one(['c']), { acks: 2 }));
    await tell('acks=-2', produceTo(ask, topic, 0, one(['c']), { acks: -2 }));
    await tell('two partitions', { acks: -1, timeoutMs: 1000, topicData: [{ name: topic, topicId: ask.idOf(topic), partitionData: [{ index: 0, records: one(['d']) }, { index: 1, records: one(['e']) }] }] });
    await tell('a partition that is not', produceTo(ask, topic, 2, one(['x'])));
    await tell('partition -1', produceTo(ask, topic, -1, one(['x'])));
    await tell('a topic that is not', produceTo(ask, 'nobodys', 0, one(['x'])));
    await tell('an internal topic', produceTo(ask, '__consumer_offsets', 0, one(['x'])));
    await tell('no topics', { acks: -1, timeoutMs: 1000, topicData: [] });
    await tell('no partitions', { acks: -1, timeoutMs: 1000, topicData: [{ name: topic, topicId: ask.idOf(topic), partitionData: [] }] });
    await tell('no bytes', produceTo(ask, topic, 0, Buffer.alloc(0)));
    await tell('two batches in one', produceTo(ask, topic, 0, Buffer.concat([one(['x']), one(['y'])])));
    await tell('a batch cut short', produceTo(ask, topic, 0, one(['x']).subarray(0, 66)));
    await tell('thirty bytes', produceTo(ask, topic, 0, one(['x']).subarray(0, 30)));
    const damaged = one(['x']);
    damaged[66]! ^= 1;
    await tell('a wrong checksum', produceTo(ask, topic, 0, damaged));
    const magic = (value: number) => {
      const batch = one(['x']);
      batch[16] = value;
      return batch;
    };
    for (const value of [0, 1, 3, 127]) await tell(`magic ${value}`, produceTo(ask, topic, 0, magic(value)));
    await tell('magic 3 beside a good one', { acks: -1, timeoutMs: 1000, topicData: [{ name: topic, topicId: ask.idOf(topic), partitionData: [{ index: 0, records: magic(3) }, { index: 1, records: one(['e']) }] }] });
    const sized = (value: number) => {
      const batch = one(['x']);
      batch.writeInt32BE(value, 8);
      return batch;
    };
    for (const value of [-1, 0, 1, 13, 49, 1000]) await tell(`a length of ${value}`, produceTo(ask, topic, 0, sized(value)));
    for (const compression of [1, 2, 3, 4] as const) await tell(`codec ${compression}`, produceTo(ask, topic, 0, one(['zzzzzzzzzz', 'zzzzzzzzzz'], { compression })));
    await tell('a control batch', produceTo(ask, topic, 0, one(['x'], { isControl: true })));
    await tell('a time far ahead', produceTo(ask, topic, 0, testBatch({ values: ['x'], timestamp: 4_000_000_000_000 })));
    await tell('a time without value', produceTo(ask, topic, 0, testBatch({ values: ['x'], timestamp: -1 })));
    await tell('base offset 5', produceTo(ask, topic, 0, one(['x'], { baseOffset: 5 })));
    await tell('an unknown producer at sequence 3', produceTo(ask, topic, 1, one(['x'], { producerId: 123_456, producerEpoch: 0, baseSequence: 3 })));
    await tell('sequence 4 of it', produceTo(ask, topic, 1, one(['x', 'y'], { producerId: 123_456, producerEpoch: 0, baseSequence: 4 })));
    await tell('sequence 4 of it again', produceTo(ask, topic, 1, one(['x', 'y'], { producerId: 123_456, producerEpoch: 0, baseSequence: 4 })));
    await tell('a hole in its sequence', produceTo(ask, topic, 1, one(['x'], { producerId: 123_456, producerEpoch: 0, baseSequence: 9 })));
    await tell('its next epoch', produceTo(ask, topic, 1, one(['x'], { producerId: 123_456, producerEpoch: 1, baseSequence: 0 })));
    await tell('its next epoch but not from 0', produceTo(ask, topic, 1, one(['x'], { producerId: 123_456, producerEpoch: 2, baseSequence: 4 })));
    await tell('its last epoch', produceTo(ask, topic, 1, one(['x'], { producerId: 123_456, producerEpoch: 0, baseSequence: 6 })));
    await tell('a sequence without an epoch', produceTo(ask, topic, 1, one(['x'], { producerId: 123_457, producerEpoch: -1, baseSequence: 0 })));
    await tell('what an acks=0 of nothing wrong leaves', produceTo(ask, topic, 0, one(['x'])));
    await tell('too large', produceTo(ask, topic, 0, one(['x'.repeat(1_100_000)])));
  }
};

const fetches: Part = async (ask) => {
  await create(ask, 'fetched', 'fetched-empty');
  for (const [values, base] of [[['a', 'b', 'c'], 1000], [['d'], 2000], [['e', 'f'], 1500]] as const) {
    await ask.answerTo('Produce', 9, produceTo(ask, 'fetched', 0, testBatch({ values, timestamp: values.map((_, at) => base + at) })));
  }
  for (const version of versionsOf('Fetch')) {
    const tell = (about: string, { partitions, ...rest }: Answer) => ask.ask(about, 'Fetch', version, {
      maxWaitMs: 1, minBytes: 1, maxBytes: 1_000_000, sessionId: 0, sessionEpoch: -1, ...rest,
      topics: (partitions ?? []).map(({ topic = 'fetched', partition = 0, offset = 0, bytes = 100_000, epoch = -1, last = -1 }: Answer) => ({
        topic, topicId: topic === 'nobodys' ? NOBODYS_ID : ask.idOf(topic), partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: bytes, currentLeaderEpoch: epoch, ...(last !== -1 && { lastFetchedEpoch: last }), logStartOffset: -1 }],
      })),
    });
    for (const offset of [0, 1, 2, 3, 4, 5, 6, 7, 1000, -1, -2]) await tell(`from ${offset}`, { partitions: [{ offset }] });
    for (const bytes of [0, 1, 72, 80, -1]) await tell(`${bytes} bytes of a partition`, { partitions: [{ bytes }] });
    for (const maxBytes of [0, 1, 80, -1]) await tell(`${maxBytes} bytes in all`, { maxBytes, partitions: [{}, { topic: 'fetched-empty' }] });
    await tell('read committed', { isolationLevel: 1, partitions: [{}] });
    await tell('isolation level 7', { isolationLevel: 7, partitions: [{}] });
    await tell('nothing there', { partitions: [{ topic: 'fetched-empty', partition: 1 }] });
    await tell('a partition that is not', { partitions: [{ partition: 9 }] });
    await tell('partition -1', { partitions: [{ partition: -1 }] });
    await tell('a topic that is not', { partitions: [{ topic: 'nobodys' }] });
    await tell('nothing', { partitions: [] });
    await tell('one partition twice', { partitions: [{ offset: 0 }, { offset: 3 }] });
    await tell('minBytes -1', { minBytes: -1, partitions: [{}] });
    await tell('maxWaitMs -1', { maxWaitMs: -1, partitions: [{ offset: 6 }] });
    await tell('the internal topic', { partitions: [{ topic: '__consumer_offsets', partition: 0 }] });
    if (version < 15) await tell('a replica that is not', { replicaId: 5, partitions: [{}] });
    else await tell('a replica that is not', { replicaState: { replicaId: 5, replicaEpoch: 1 }, partitions: [{}] });
    if (version >= 9) for (const epoch of [0, 1, 50]) await tell(`believing epoch ${epoch}`, { partitions: [{ epoch }] });
    if (version >= 12) for (const last of [0, 1, 50]) await tell(`after epoch ${last}`, { partitions: [{ last, offset: 3 }, { last, offset: 7, partition: 1 }] });
    if (version < 7) continue;
    await tell('a session that is not', { sessionId: 12_345, sessionEpoch: 1, partitions: [] });
    await tell('session 0 at epoch 5', { sessionId: 0, sessionEpoch: 5, partitions: [{}] });
    const first = await tell('a session begins', { sessionId: 0, sessionEpoch: 0, partitions: [{ offset: 4 }, { topic: 'fetched-empty' }] });
    const sessionId = first['sessionId'];
    await tell('it goes on', { sessionId, sessionEpoch: 1, partitions: [] });
    await tell('it moves', { sessionId, sessionEpoch: 2, partitions: [{ offset: 6 }] });
    await tell('it forgets', { sessionId, sessionEpoch: 3, partitions: [], forgottenTopicsData: [{ topic: 'fetched', topicId: ask.idOf('fetched'), partitions: [0] }] });
    await tell('its epoch again', { sessionId, sessionEpoch: 3, partitions: [] });
    await tell('it takes on what is not', { sessionId, sessionEpoch: 4, partitions: [{ topic: 'nobodys' }] });
    await tell('and goes on', { sessionId, sessionEpoch: 5, partitions: [] });
    await tell('it ends', { sessionId, sessionEpoch: -1, partitions: [] });
    await tell('it has ended', { sessionId, sessionEpoch: 6, partitions: [] });
  }
};

const offsetsByTime: Part = async (ask) => {
  await create(ask, 'timed', 'timed-empty');
  for (const [values, base] of [[['a', 'b', 'c'], 1000], [['d'], 2000], [['e', 'f'], 1500]] as const) {
    await ask.answerTo('Produce', 9, produceTo(ask, 'timed', 0, testBatch({ values, timestamp: values.map((_, at) => base + at) })));
  }
  for (const version of versionsOf('ListOffsets')) {
    for (const [name, index] of [['timed', 0], ['timed', 1], ['timed', 7], ['nobodys', 0]] as const) {
      for (const timestamp of SPECIAL_TIMES) {
        await ask.ask(`${timestamp} of ${name}-${index}`, 'ListOffsets', version, { replicaId: -1, isolationLevel: 0, timeoutMs: 1000, topics: [{ name, partitions: [{ partitionIndex: index, timestamp, currentLeaderEpoch: -1 }] }] });
      }
    }
    const tell = (about: string, rest: Answer, partition: Answer = {}) => ask.ask(about, 'ListOffsets', version, {
      replicaId: -1, isolationLevel: 0, timeoutMs: 1000, ...rest, topics: [{ name: 'timed', partitions: [{ partitionIndex: 0, timestamp: -1, currentLeaderEpoch: -1, ...partition }] }],
    });
    for (const replicaId of [-2, -3, 1, 9]) await tell(`replica ${replicaId}`, { replicaId });
    await tell('read committed', { isolationLevel: 1 });
    if (version >= 2) await tell('isolation level 7', { isolationLevel: 7 });
    if (version >= 4) for (const currentLeaderEpoch of [0, 1, 100]) await tell(`believing epoch ${currentLeaderEpoch}`, {}, { currentLeaderEpoch });
    await ask.ask('one partition twice', 'ListOffsets', version, { replicaId: -1, isolationLevel: 0, topics: [{ name: 'timed', partitions: [0, 1, 0].map((partitionIndex) => ({ partitionIndex, timestamp: -1 })) }] });
    await ask.ask('nothing', 'ListOffsets', version, { replicaId: -1, isolationLevel: 0, topics: [] });
  }
  for (const version of versionsOf('OffsetForLeaderEpoch')) {
    for (const epoch of [-1, 0, 1, 99]) {
      await ask.ask(`epoch ${epoch}`, 'OffsetForLeaderEpoch', version, {
        replicaId: -1, topics: [{ topic: 'timed', partitions: [0, 1, 9].map((partition) => ({ partition, currentLeaderEpoch: -1, leaderEpoch: epoch })) }, { topic: 'nobodys', partitions: [{ partition: 0, leaderEpoch: epoch }] }],
      });
    }
  }
};

const topics: Part = async (ask) => {
  for (const version of versionsOf('CreateTopics')) {
    const tell = async (about: string, topic: Answer, rest: Answer = {}) => {
      const answer = await ask.answerTo('CreateTopics', version, { timeoutMs: 10_000, ...rest, topics: [{ numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...topic }] });
      await ask.learnTopics();
      ask.shown(`CreateTopics v${version} ${about}`, answer, 'CreateTopics');
    };
    const name = `created-${version}`;
    await tell('one', { name });
    await tell('one that is there', { name });
    await tell('by defaults', { name: `${name}-defaults`, numPartitions: -1, replicationFactor: -1 });
    for (const wrong of ['', '.', '..', 'a/b', 'a b', 'x'.repeat(250), 'ä', '__consumer_offsets', '__transaction_state', '__share_group_state', '__cluster_metadata']) await tell(`the name ${wrong.length > 30 ? 'of 250' : `'${wrong}'`}`, { name: wrong }, { validateOnly: true });
    await tell('a name that a metric cannot tell from another', { name: `created_${version}.x` });
    await tell('and the other', { name: `created_${version}_x` });
    for (const numPartitions of [0, -2, 10_001]) await tell(`${numPartitions} partitions`, { name: `${name}-p`, numPartitions });
    for (const replicationFactor of [0, -2, 2, 32_767]) await tell(`${replicationFactor} replicas`, { name: `${name}-r`, replicationFactor });
    await tell('assigned', { name: `${name}-assigned`, numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex: 0, brokerIds: [1] }, { partitionIndex: 1, brokerIds: [1] }] });
    for (const [about, brokerIds, partitionIndex] of [['to nobody', [], 0], ['to a broker that is not', [9], 0], ['twice to one', [1, 1], 0], ['from partition 1', [1], 1], ['to broker -1', [-1], 0]] as const) {
      await tell(`assigned ${about}`, { name: `${name}-a`, numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex, brokerIds }] });
    }
    await tell('assigned and counted', { name: `${name}-b`, numPartitions: 1, replicationFactor: 1, assignments: [{ partitionIndex: 0, brokerIds: [1] }] });
    await tell('with settings', { name: `${name}-c`, configs: [{ name: 'retention.ms', value: '1000' }, { name: 'cleanup.policy', value: 'compact,delete' }, { name: 'compression.type', value: 'lz4' }] });
    for (const [setting, value] of [['retention.ms', 'x'], ['retention.ms', '-2'], ['retention.ms', null], ['nosuch', '1'], ['cleanup.policy', 'burn'], ['cleanup.policy', ''], ['min.insync.replicas', '0'], ['compression.lz4.level', '18'], ['compression.lz4.level', '3'], ['message.timestamp.type', 'Whenever'], ['min.cleanable.dirty.ratio', '1.5'], ['segment.bytes', '10'], ['segment.ms', ' 100 '], ['unclean.leader.election.enable', 'maybe']] as const) {
      await tell(`with ${setting}=${value}`, { name: `${name}-d`, configs: [{ name: setting, value }] }, { validateOnly: true });
    }
    await tell('only looked at', { name: `${name}-v` }, { validateOnly: true });
    await ask.ask('nothing', 'CreateTopics', version, { topics: [], timeoutMs: 1000 });
    await ask.ask('one twice', 'CreateTopics', version, { topics: [1, 2].map(() => ({ name: `${name}-e`, numPartitions: 1, replicationFactor: 1 })), timeoutMs: 1000 });
  }
  for (const version of versionsOf('CreatePartitions')) {
    const name = `more-${version}`;
    await create(ask, name);
    const tell = (about: string, topic: Answer, rest: Answer = {}) => ask.ask(about, 'CreatePartitions', version, { timeoutMs: 10_000, ...rest, topics: [{ name, count: 3, assignments: null, ...topic }] });
    await tell('three, only looked at', {}, { validateOnly: true });
    await tell('three', {});
    await tell('three again', {});
    for (const count of [2, 0, -1]) await tell(`${count}`, { count });
    await tell('of a topic that is not', { name: 'nobodys' });
    await tell('of one without a name', { name: '' });
    await tell('assigned', { count: 4, assignments: [{ brokerIds: [1] }] });
    for (const [about, assignments] of [['too few', []], ['too many', [{ brokerIds: [1] }, { brokerIds: [1] }]], ['nobody', [{ brokerIds: [] }]], ['a broker that is not', [{ brokerIds: [7] }]], ['one twice', [{ brokerIds: [1, 1] }]]] as const) {
      await tell(`assigned to ${about}`, { count: 5, assignments });
    }
    await ask.ask('one topic twice', 'CreatePartitions', version, { timeoutMs: 1000, topics: [{ name, count: 6, assignments: null }, { name, count: 7, assignments: null }] });
    await ask.ask('nothing', 'CreatePartitions', version, { timeoutMs: 1000, topics: [] });
  }
  for (const version of versionsOf('DeleteTopics')) {
    const name = `deleted-${version}`;
    await create(ask, name, `${name}-2`);
    const tell = (about: string, names: readonly (string | null)[], ids: readonly string[] = []) => ask.ask(about, 'DeleteTopics', version, {
      timeoutMs: 10_000, topicNames: names, topics: [...names.map((one) => ({ name: one })), ...ids.map((topicId) => ({ name: null, topicId }))],
    });
    await tell('one', [name]);
    await tell('it again', [name]);
    await tell('nothing', []);
    await tell('one that is not and one with a bad name', ['nobodys', 'a/b']);
    await tell('one twice', [`${name}-2`, `${name}-2`]);
    if (version < 6) continue;
    await tell('by id', [], [ask.idOf(`${name}-2`)]);
    await tell('by an id that is not', [], [NOBODYS_ID]);
    await ask.ask('by name and id', 'DeleteTopics', version, { timeoutMs: 1000, topics: [{ name: 'a', topicId: NOBODYS_ID }] });
    await ask.ask('by neither', 'DeleteTopics', version, { timeoutMs: 1000, topics: [{ name: null }] });
  }
};

const metadata: Part = async (ask) => {
  await create(ask, 'described');
  for (const version of versionsOf('Metadata')) {
    const tell = (about: string, names: readonly (string | null)[] | null, rest: Answer = {}) => ask.ask(about, 'Metadata', version, { allowAutoTopicCreation: false, ...rest, topics: names?.map((name) => ({ name })) ?? null });
    await tell('one', ['described']);
    await tell('one twice', ['described', 'described']);
    if (version >= 4) await tell('one that is not', ['nobodys']);
    if (version >= 4) for (const name of ['', '.', 'a/b', 'x'.repeat(250)]) await tell(`the name '${name.slice(0, 9)}'`, [name]);
    for (const name of ['', '.', 'a/b']) await tell(`the name '${name}', to be made`, [name], { allowAutoTopicCreation: true });
    if (version > 0) await tell('nothing', []);
    await tell('no name', [null]);
    await tell('with what one may do', ['described'], { includeClusterAuthorizedOperations: true, includeTopicAuthorizedOperations: true });
    if (version < 10) continue;
    for (const topicId of [ask.idOf('described'), NOBODYS_ID]) await ask.ask(`by id ${topicId === NOBODYS_ID ? 'of nobody' : ''}`, 'Metadata', version, { topics: [{ topicId, name: null }] });
    await ask.ask('by id and name', 'Metadata', version, { topics: [{ topicId: ask.idOf('described'), name: 'described' }] });
    await ask.ask('one by id, one by name', 'Metadata', version, { topics: [{ topicId: ask.idOf('described'), name: null }, { name: 'fetched' }] });
  }
  for (const [about, rest] of [['one', {}], ['at most one partition', { responsePartitionLimit: 1 }], ['at most none', { responsePartitionLimit: 0 }], ['at most -1', { responsePartitionLimit: -1 }], ['from the second', { cursor: { topicName: 'described', partitionIndex: 1 } }],
    ['from beyond', { cursor: { topicName: 'described', partitionIndex: 9 } }], ['from -1', { cursor: { topicName: 'described', partitionIndex: -1 } }], ['from the topic before', { cursor: { topicName: 'aaa', partitionIndex: 0 } }], ['from the topic behind', { cursor: { topicName: 'zzz', partitionIndex: 0 } }]] as const) {
    await ask.ask(about, 'DescribeTopicPartitions', 0, { topics: [{ name: 'described' }], ...rest });
  }
  await ask.ask('others', 'DescribeTopicPartitions', 0, { topics: [{ name: 'nobodys' }, { name: 'a/b' }, { name: 'described' }] });
  await ask.ask('no name', 'DescribeTopicPartitions', 0, { topics: [{ name: '' }] });
  await ask.ask('one twice', 'DescribeTopicPartitions', 0, { topics: [{ name: 'described' }, { name: 'described' }] });
  for (const version of versionsOf('DescribeCluster')) {
    for (const endpointType of version === 0 ? [1] : [1, 2, 0, 3, -1]) await ask.ask(`endpoints ${endpointType}`, 'DescribeCluster', version, { endpointType });
    await ask.ask('with what one may do', 'DescribeCluster', version, { includeClusterAuthorizedOperations: true });
    if (version >= 2) await ask.ask('fenced ones too', 'DescribeCluster', version, { includeFencedBrokers: true });
  }
  for (const version of versionsOf('FindCoordinator')) {
    for (const keyType of version === 0 ? [0] : [0, 3, -1]) {
      for (const key of ['group', '']) await ask.ask(`'${key}' of type ${keyType}`, 'FindCoordinator', version, { key, keyType, coordinatorKeys: [key] });
    }
    if (version >= 4) await ask.ask('none', 'FindCoordinator', version, { coordinatorKeys: [] });
    if (version >= 4) await ask.ask('several', 'FindCoordinator', version, { coordinatorKeys: ['a', 'b', 'a'] });
  }
};

const configs: Part = async (ask) => {
  await create(ask, 'configured');
  const keys = ['retention.ms', 'compression.type', 'nosuch'];
  const brokerKeys = ['num.partitions', 'log.retention.ms', 'log.retention.hours', 'message.max.bytes', 'node.id', 'compression.type', 'nosuch'];
  for (const version of versionsOf('DescribeConfigs')) {
    const tell = (about: string, resourceType: number, resourceName: string, configurationKeys: readonly string[] | null, rest: Answer = {}) =>
      ask.ask(about, 'DescribeConfigs', version, { ...rest, resources: [{ resourceType, resourceName, configurationKeys }] });
    await tell('all of a topic', 2, 'configured', null);
    await tell('all of a topic with synonyms', 2, 'configured', null, { includeSynonyms: true });
    await tell('some of a topic', 2, 'configured', keys);
    await tell('none of a topic', 2, 'configured', []);
    for (const name of ['nobodys', '', 'a/b']) await tell(`topic '${name}'`, 2, name, keys);
    await tell('some of the broker', 4, '1', brokerKeys, { includeSynonyms: true });
    for (const name of ['', '2', 'x', '-1', '1 ']) await tell(`broker '${name}'`, 4, name, keys);
    for (const name of ['', '2', 'x']) await tell(`loggers of '${name}'`, 8, name, ['nosuch']);
    for (const name of ['', 'g']) await tell(`group '${name}'`, 32, name, null, { includeSynonyms: true });
    for (const name of ['', 'm']) await tell(`subscription '${name}'`, 16, name, null, { includeSynonyms: true });
    for (const type of [0, 1, 3, 5, 64, -1]) await tell(`type ${type}`, type, 'x', null);
    await ask.ask('nothing', 'DescribeConfigs', version, { resources: [] });
    await ask.ask('one twice', 'DescribeConfigs', version, { resources: [1, 2].map(() => ({ resourceType: 2, resourceName: 'configured', configurationKeys: keys })) });
  }
  for (const api of ['AlterConfigs', 'IncrementalAlterConfigs']) {
    for (const version of versionsOf(api)) {
      const tell = (about: string, resource: Answer, rest: Answer = {}) => ask.ask(about, api, version, { ...rest, resources: [{ resourceType: 2, resourceName: 'configured', configs: [], ...resource }] });
      const set = (name: string, value: string | null, configOperation = 0) => ({ configs: [{ name, value, configOperation }] });
      await tell('nothing of a topic', {});
      await tell('one', set('retention.ms', '5000'));
      await ask.ask('after it', 'DescribeConfigs', 4, { resources: [{ resourceType: 2, resourceName: 'configured', configurationKeys: keys }], includeSynonyms: true });
      await tell('one, only looked at', set('retention.ms', '6000'), { validateOnly: true });
      for (const [name, value] of [['retention.ms', 'x'], ['nosuch', '1'], ['cleanup.policy', 'burn'], ['retention.ms', null], ['compression.lz4.level', '0']] as const) await tell(`${name}=${value}`, set(name, value));
      for (const operation of [1, 2, 3]) if (api !== 'AlterConfigs') await tell(`operation ${operation} on cleanup.policy`, set('cleanup.policy', 'compact', operation));
      if (api !== 'AlterConfigs') await tell('appended to what is no list', set('retention.ms', '5', 2));
      for (const name of ['nobodys', '', 'a/b']) await tell(`topic '${name}'`, { resourceName: name, ...set('retention.ms', '1') });
      await tell('one setting twice', { configs: [set('retention.ms', '1').configs[0], set('retention.ms', '2').configs[0]] });
      for (const [about, name, setting, value] of [['of the broker', '1', 'log.cleaner.threads', '2'], ['of all brokers', '', 'message.max.bytes', '2000000'], ['that is fixed', '1', 'node.id', '2'], ['of another broker', '2', 'message.max.bytes', '1'], ['of broker x', 'x', 'message.max.bytes', '1']] as const) {
        await tell(`one ${about}`, { resourceType: 4, resourceName: name, ...set(setting, value) }, { validateOnly: true });
      }
      for (const type of [0, 1, 3, 64]) await tell(`type ${type}`, { resourceType: type, resourceName: 'x', ...set('a', 'b') });
      await tell('of a group', { resourceType: 32, resourceName: 'g', ...set('consumer.session.timeout.ms', '50000') }, { validateOnly: true });
      await tell('of a group, too little', { resourceType: 32, resourceName: 'g', ...set('consumer.session.timeout.ms', '5') }, { validateOnly: true });
      await ask.ask('nothing', api, version, { resources: [] });
    }
  }
};

const producerIds: Part = async (ask) => {
  for (const version of versionsOf('InitProducerId')) {
    const tell = (about: string, rest: Answer) => ask.ask(about, 'InitProducerId', version, { transactionalId: null, transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1, ...rest });
    await tell('one', {});
    await tell('another', {});
    for (const transactionTimeoutMs of [0, -1, LARGEST]) await tell(`with a timeout of ${transactionTimeoutMs}`, { transactionTimeoutMs });
    await tell('an empty transactional id', { transactionalId: '' });
    if (version >= 3) for (const [producerId, producerEpoch] of [[5, 0], [5, -1], [-1, 3]]) await tell(`of ${producerId} and ${producerEpoch}`, { producerId, producerEpoch });
  }
};

const groups: Part = async (ask) => {
  await create(ask, 'grouped');
  const protocols = [{ name: 'range', metadata: SUBSCRIPTION }, { name: 'other', metadata: SUBSCRIPTION }];
  const join = (groupId: string, rest: Answer = {}): Answer => ({ groupId, sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000, memberId: '', protocolType: 'consumer', protocols, ...rest });
  for (const version of versionsOf('JoinGroup')) {
    const group = `joined-${version}`;
    const tell = (about: string, input: Answer) => ask.ask(about, 'JoinGroup', version, input);
    for (const sessionTimeoutMs of [0, 5999, 1_800_001, -1]) await tell(`with a session of ${sessionTimeoutMs}`, join(group, { sessionTimeoutMs }));
    await tell('the empty group', join(''));
    await tell('without protocols', join(group, { protocols: [] }));
    await tell('without a protocol type', join(group, { protocolType: '' }));
    await tell('as a member that is not', join(group, { memberId: 'nobody' }));
    const first = await tell('for the first time', join(group));
    const again = version >= 4 ? await tell('with the id it was given', join(group, { memberId: first['memberId'] })) : first;
    const memberId = again['memberId'];
    await tell('of another type', join(group, { protocolType: 'connect' }));
    await tell('without a common protocol', join(group, { protocols: [{ name: 'mine', metadata: SUBSCRIPTION }] }));
    await ask.ask(`${group} that waits for its leader`, 'DescribeGroups', 6, { groups: [group] });
    const generationId = again['generationId'];
    const sync = (rest: Answer = {}): Answer => ({ groupId: group, generationId, memberId, protocolType: 'consumer', protocolName: 'range', assignments: [{ memberId, assignment: Buffer.from('yours') }], ...rest });
    const syncs = Math.min(version, 5);
    for (const [about, rest] of [['an older generation', { generationId: generationId - 1 }], ['a newer generation', { generationId: generationId + 1 }], ['a member that is not', { memberId: 'nobody' }], ['a group that is not', { groupId: 'nogroup' }], ['the empty group', { groupId: '' }],
      ['another type', { protocolType: 'connect' }], ['another protocol', { protocolName: 'other' }]] as const) {
      await ask.ask(`${about} of ${group}`, 'SyncGroup', syncs, sync(rest));
    }
    await ask.ask(`the leader of ${group}`, 'SyncGroup', syncs, sync());
    await ask.ask(`the leader of ${group} again`, 'SyncGroup', syncs, sync({ assignments: [] }));
    for (const v of versionsOf('DescribeGroups')) await ask.ask(`${group} that is stable`, 'DescribeGroups', v, { groups: [group], includeAuthorizedOperations: v === 4 });
    const beats = Math.min(version, 4);
    for (const [about, rest] of [['well', {}], ['an older generation', { generationId: generationId - 1 }], ['a member that is not', { memberId: 'nobody' }], ['no member', { memberId: '' }], ['a group that is not', { groupId: 'nogroup' }], ['the empty group', { groupId: '' }], ['an instance that is not', { groupInstanceId: 'i' }]] as const) {
      if ('groupInstanceId' in rest && beats < 3) continue;
      await ask.ask(`${about} of ${group}`, 'Heartbeat', beats, { groupId: group, generationId, memberId, ...rest });
    }
    for (const v of versionsOf('OffsetCommit')) {
      for (const [about, rest, partition] of [
        ['a member', {}, {}], ['without metadata', {}, { committedMetadata: null }], ['with much metadata', {}, { committedMetadata: 'm'.repeat(4097) }], ['a partition that is not', {}, { partitionIndex: 9 }], ['partition -1', {}, { partitionIndex: -1 }], ['offset -1', {}, { committedOffset: -1 }],
        ['a large offset', {}, { committedOffset: 2 ** 60 }], ['leader epoch 9', {}, { committedLeaderEpoch: 9 }],
        ['another generation', { generationIdOrMemberEpoch: generationId + 1 }, {}], ['nobody', { memberId: 'nobody' }, {}], ['nobody of no generation', { generationIdOrMemberEpoch: -1, memberId: '' }, {}], ['an instance that is not', { groupInstanceId: 'i' }, {}],
      ] as const) {
        if (version !== 9 && about !== 'a member') continue;
        if ('groupInstanceId' in rest && v < 7) continue;
        await ask.ask(`${about} of ${group}`, 'OffsetCommit', v, {
          groupId: group, generationIdOrMemberEpoch: generationId, memberId, retentionTimeMs: -1, ...rest,
          topics: [{ name: 'grouped', topicId: ask.idOf('grouped'), partitions: [{ partitionIndex: 0, committedOffset: 3, committedLeaderEpoch: -1, committedMetadata: 'm', ...partition }] }],
        });
      }
    }
    await tell('the member again', join(group, { memberId }));
    const leaves = Math.min(version, 5);
    const leave = (about: string, members: readonly Answer[], groupId = group) => ask.ask(`${about} of ${group}`, 'LeaveGroup', leaves, { groupId, memberId: members[0]?.['memberId'] ?? '', members });
    await leave('nobody', [{ memberId: 'nobody' }]);
    await leave('no member', [{ memberId: '' }]);
    await leave('none', []);
    await leave('the member of a group that is not', [{ memberId }], 'nogroup');
    await leave('the member of the empty group', [{ memberId }], '');
    if (leaves >= 3) await leave('an instance that is not', [{ memberId: '', groupInstanceId: 'i' }]);
    await leave('the member', [{ memberId }]);
    await leave('the member, again', [{ memberId }]);
    await ask.ask(`${group} that is empty`, 'DescribeGroups', 6, { groups: [group] });
    for (const v of versionsOf('OffsetFetch')) {
      for (const [about, wanted] of [['all', null], ['some', ['grouped', 'nobodys']], ['none', []]] as const) {
        const list = wanted?.map((name) => ({ name, topicId: name === 'nobodys' ? NOBODYS_ID : ask.idOf(name), partitionIndexes: [0, 1, 9] })) ?? null;
        await ask.ask(`${about} of ${group}`, 'OffsetFetch', v, { groupId: group, topics: list, requireStable: false, groups: [{ groupId: group, topics: list }] });
      }
    }
  }
  for (const v of versionsOf('OffsetFetch')) {
    for (const group of ['nogroup', '']) await ask.ask(`all of '${group}'`, 'OffsetFetch', v, { groupId: group, topics: v < 2 ? [] : null, requireStable: v >= 7, groups: [{ groupId: group, topics: null }] });
    if (v >= 8) await ask.ask('no group', 'OffsetFetch', v, { groups: [] });
    if (v >= 8) await ask.ask('a group twice', 'OffsetFetch', v, { groups: [1, 2].map(() => ({ groupId: 'joined-9', topics: null })) });
    if (v >= 9) await ask.ask('as a member', 'OffsetFetch', v, { groups: [{ groupId: 'joined-9', memberId: 'nobody', memberEpoch: 4, topics: null }] });
  }
  for (const v of versionsOf('OffsetCommit')) {
    for (const [about, rest, topic] of [['simple', {}, {}], ['with a member and no generation', { memberId: 'm' }, {}], ['with a generation and no member', { generationIdOrMemberEpoch: 1 }, {}], ['the empty group', { groupId: '' }, {}], ['a topic that is not', {}, { name: 'nobodys', topicId: NOBODYS_ID }], ['kept for a second', { retentionTimeMs: 1000 }, {}], ['no topics', {}, null]] as const) {
      await ask.ask(`${about}, by itself`, 'OffsetCommit', v, {
        groupId: `simple-${v}`, generationIdOrMemberEpoch: -1, memberId: '', retentionTimeMs: -1, ...rest,
        topics: topic === null ? [] : [{ name: 'grouped', topicId: ask.idOf('grouped'), ...topic, partitions: [{ partitionIndex: 1, committedOffset: 8, committedMetadata: '' }] }],
      });
    }
    await ask.ask(`simple-${v}`, 'OffsetFetch', 9, { groups: [{ groupId: `simple-${v}`, topics: null }] });
  }
  for (const v of versionsOf('DescribeGroups')) for (const group of ['nogroup', '', 'simple-9']) await ask.ask(`'${group}'`, 'DescribeGroups', v, { groups: [group], includeAuthorizedOperations: v === 5 });
  for (const v of versionsOf('ListGroups')) {
    const states = v < 4 ? [[]] : [[], ['Empty'], ['empty'], ['Stable', 'Dead'], ['Nonsense']];
    for (const statesFilter of states) await ask.ask(`in states ${statesFilter}`, 'ListGroups', v, { statesFilter, typesFilter: [] });
    if (v >= 5) for (const typesFilter of [['classic'], ['Classic'], ['consumer'], ['share'], ['nonsense']]) await ask.ask(`of types ${typesFilter}`, 'ListGroups', v, { statesFilter: [], typesFilter });
  }
  for (const group of ['joined-9', 'nogroup', '']) {
    await ask.ask(`of '${group}'`, 'OffsetDelete', 0, { groupId: group, topics: [{ name: 'grouped', partitions: [{ partitionIndex: 0 }, { partitionIndex: 5 }] }, { name: 'nobodys', partitions: [{ partitionIndex: 0 }] }] });
  }
  await ask.ask('nothing', 'OffsetDelete', 0, { groupId: 'joined-9', topics: [] });
  await ask.ask('joined-9 after it', 'OffsetFetch', 9, { groups: [{ groupId: 'joined-9', topics: null }] });
  for (const v of versionsOf('DeleteGroups')) await ask.ask('some', 'DeleteGroups', v, { groupsNames: [`joined-${v}`, 'nogroup', '', `joined-${v}`] });
  for (const v of versionsOf('DeleteGroups')) await ask.ask('none', 'DeleteGroups', v, { groupsNames: [] });
};

const staticMembers: Part = async (ask) => {
  const protocols = [{ name: 'range', metadata: SUBSCRIPTION }];
  for (const version of versionsOf('JoinGroup').filter((one) => one >= 5)) {
    const group = `static-${version}`;
    const join = (rest: Answer): Answer => ({ groupId: group, sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000, memberId: '', protocolType: 'consumer', protocols, groupInstanceId: 'one', ...rest });
    const first = await ask.ask(`${group} begins`, 'JoinGroup', version, join({}));
    const { memberId, generationId } = first;
    await ask.ask(`the leader of ${group}`, 'SyncGroup', Math.min(version, 5), { groupId: group, generationId, memberId, groupInstanceId: 'one', protocolType: 'consumer', protocolName: 'range', assignments: [{ memberId, assignment: Buffer.from('a') }] });
    await ask.ask(`${group} under another id`, 'JoinGroup', version, join({ memberId: 'nobody' }));
    const next = await ask.ask(`${group}'s instance comes back`, 'JoinGroup', version, join({}));
    await ask.ask(`the one before it of ${group}`, 'Heartbeat', 4, { groupId: group, generationId, memberId, groupInstanceId: 'one' });
    await ask.ask(`the one before it, which joins ${group}`, 'JoinGroup', version, join({ memberId }));
    await ask.ask(`the one of ${group}`, 'Heartbeat', 4, { groupId: group, generationId: next['generationId'], memberId: next['memberId'], groupInstanceId: 'one' });
    await ask.ask(`${group} with two members`, 'DescribeGroups', 6, { groups: [group] });
    await ask.ask(`the one before it of ${group}`, 'LeaveGroup', 5, { groupId: group, members: [{ memberId, groupInstanceId: 'one' }] });
    await ask.ask(`the instance of ${group}`, 'LeaveGroup', 5, { groupId: group, members: [{ memberId: '', groupInstanceId: 'one' }] });
  }
};

const operators: Part = async (ask) => {
  await create(ask, 'operated');
  for (const version of versionsOf('ElectLeaders')) {
    for (const electionType of version === 0 ? [0] : [0, 1, 2, -1]) {
      await ask.ask(`of type ${electionType}`, 'ElectLeaders', version, { electionType, timeoutMs: 1000, topicPartitions: [{ topic: 'operated', partitions: [0, 9] }, { topic: 'nobodys', partitions: [0] }] });
    }
    await ask.ask('nothing', 'ElectLeaders', version, { topicPartitions: [], timeoutMs: 1000 });
    await ask.ask('everything', 'ElectLeaders', version, { topicPartitions: null, timeoutMs: 1000 });
  }
  for (const version of versionsOf('AlterPartitionReassignments')) {
    for (const [about, replicas, partitionIndex] of [['to where it is', [1], 0], ['to a broker that is not', [5], 0], ['to nobody', [], 0], ['twice to one', [1, 1], 0], ['to broker -1', [-1], 0], ['not at all', null, 0], ['of a partition that is not', [1], 9]] as const) {
      await ask.ask(about, 'AlterPartitionReassignments', version, { timeoutMs: 1000, topics: [{ name: 'operated', partitions: [{ partitionIndex, replicas }] }] });
    }
    await ask.ask('of a topic that is not', 'AlterPartitionReassignments', version, { timeoutMs: 1000, topics: [{ name: 'nobodys', partitions: [{ partitionIndex: 0, replicas: [1] }] }] });
    await ask.ask('nothing', 'AlterPartitionReassignments', version, { timeoutMs: 1000, topics: [] });
  }
  for (const topics of [null, [], [{ name: 'operated', partitionIndexes: [0, 9] }], [{ name: 'nobodys', partitionIndexes: [0] }]]) await ask.ask(`of ${JSON.stringify(topics)}`, 'ListPartitionReassignments', 0, { timeoutMs: 1000, topics });
  for (const version of versionsOf('DescribeQuorum')) {
    for (const [topicName, partitionIndex] of [['__cluster_metadata', 0], ['__cluster_metadata', 1], ['operated', 0]] as const) {
      const answer = await ask.answerTo('DescribeQuorum', version, { topics: [{ topicName, partitions: [{ partitionIndex }] }] });
      if (typeof answer !== 'string') for (const topic of answer['topics']) for (const one of topic.partitions) Object.assign(one, { highWatermark: Math.min(one.highWatermark, 0), leaderEpoch: Math.min(one.leaderEpoch, 0) });
      ask.shown(`DescribeQuorum v${version} ${topicName}-${partitionIndex}`, answer, 'DescribeQuorum');
    }
    await ask.ask('nothing', 'DescribeQuorum', version, { topics: [] });
  }
  for (const version of versionsOf('UpdateFeatures')) {
    const tell = (about: string, featureUpdates: readonly Answer[], rest: Answer = {}) => ask.ask(about, 'UpdateFeatures', version, { timeoutMs: 1000, validateOnly: version > 0, ...rest, featureUpdates });
    await tell('nothing', []);
    for (const [feature, maxVersionLevel] of [['nosuch', 1], ['metadata.version', 999], ['metadata.version', 0], ['', 1], ['group.version', -1]] as const) await tell(`${feature} ${maxVersionLevel}`, [{ feature, maxVersionLevel }]);
    if (version > 0) for (const upgradeType of [0, 2, 3, 4]) await tell(`group.version 0 as ${upgradeType}`, [{ feature: 'group.version', maxVersionLevel: 0, upgradeType }]);
    await tell('one twice', [{ feature: 'group.version', maxVersionLevel: 1 }, { feature: 'group.version', maxVersionLevel: 1 }]);
  }
  for (const brokerId of [9, -1]) await ask.ask(`${brokerId}`, 'UnregisterBroker', 0, { brokerId });
  const voter = (id: string): Answer => ({ clusterId: id, timeoutMs: 1000, voterId: 5, voterDirectoryId: NOBODYS_ID, listeners: [{ name: 'CONTROLLER', host: 'localhost', port: 1 }] });
  for (const version of versionsOf('AddRaftVoter')) await ask.ask('in another cluster', 'AddRaftVoter', version, voter('other'));
  for (const version of versionsOf('RemoveRaftVoter')) await ask.ask('in another cluster', 'RemoveRaftVoter', version, voter('other'));
};

/** Bytes: what is no request, and what is one with something more or less. */
const frames: Part = async (ask) => {
  for (const version of versionsOf('ApiVersions')) {
    for (const [clientSoftwareName, clientSoftwareVersion] of [['client', '1.0'], ['', '1'], ['a', ''], ['a b', '1'], ['-a', '1'], ['a-', '1.'], ['ä', '1']]) {
      const answer = await ask.answerTo('ApiVersions', version, { clientSoftwareName, clientSoftwareVersion });
      if (typeof answer !== 'string') {
        // Of what both serve: which they are, the README says.
        const served = new Map([...new Set(['Produce', 'Fetch', 'ListOffsets', 'Metadata', 'OffsetCommit', 'OffsetFetch', 'FindCoordinator', 'JoinGroup', 'ApiVersions', 'CreateTopics', 'InitProducerId', 'DescribeGroups', 'DescribeCluster', 'UpdateFeatures'])].map((name) => [apiNamed(name).key, name]));
        Object.assign(answer, { apiKeys: answer['apiKeys'].filter((one: Answer) => served.has(one['apiKey'])) });
      }
      ask.shown(`ApiVersions v${version} of '${clientSoftwareName}' '${clientSoftwareVersion}'`, answer, 'ApiVersions');
    }
  }
  for (const name of ['Produce', 'Fetch', 'ListOffsets', 'Metadata', 'OffsetCommit', 'OffsetFetch', 'FindCoordinator', 'JoinGroup', 'Heartbeat', 'LeaveGroup', 'SyncGroup', 'DescribeGroups', 'ListGroups', 'ApiVersions', 'CreateTopics', 'DeleteTopics', 'InitProducerId', 'DescribeConfigs', 'CreatePartitions', 'DeleteGroups', 'OffsetDelete', 'DescribeCluster', 'DescribeTopicPartitions']) {
    const versions = versionsOf(name);
    const api = apiNamed(name);
    const last = versions.at(-1)!;
    for (const version of [...versions, last + 1, versions[0]! - 1]) {
      if (version >= versions[0]! && version <= last) continue;
      const bytes = requestBytes(api, last, {});
      bytes.writeInt16BE(version, 2);
      await ask.askBytes(`${name} v${version}, which is not`, bytes);
    }
    for (const version of versions) {
      const whole = requestBytes(api, version, name === 'Produce' ? { acks: -1 } : name === 'ApiVersions' ? { clientSoftwareName: 'a', clientSoftwareVersion: '1' } : {});
      await ask.askBytes(`${name} v${version} of nothing set`, whole);
      await ask.askBytes(`${name} v${version} one byte short`, whole.subarray(0, whole.length - 1));
      await ask.askBytes(`${name} v${version} one byte long`, Buffer.concat([whole, Buffer.from([0])]));
    }
  }
  for (const [about, hex] of [['an API that is not', '03e7000000000001ffff'], ['API -1', 'ffff000000000001ffff'], ['a version that is not', '000003e700000001ffff'], ['version -1', '0003ffff00000001ffff'], ['no client id', '0003000000000001'], ['three bytes', '000300'], ['no bytes', ''], ['zeros', '00'.repeat(40)]] as const) {
    await ask.askBytes(about, Buffer.from(hex, 'hex'));
  }
};

export const PARTS: { readonly [name: string]: Part } = { produces, fetches, offsetsByTime, topics, metadata, configs, producerIds, groups, staticMembers, operators, frames };
