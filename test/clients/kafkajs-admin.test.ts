/** kafkajs's admin client: topics, partitions, offsets, groups, the cluster. */
import { ConfigResourceTypes, type KafkaJSAggregateError } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { Inbox, externalBroker, readAll, uniqueName, useBroker } from './kafkajs-fixture.ts';

const fixture = useBroker();

describe('topics', () => {
  test('created, listed, described, deleted', async () => {
    const admin = await fixture.admin();
    const [a, b] = [uniqueName('a'), uniqueName('b')];
    expect(
      await admin.createTopics({
        topics: [
          { topic: a, numPartitions: 3 },
          { topic: b, numPartitions: 1, replicationFactor: 1 },
        ],
      }),
    ).toBe(true);
    expect(await admin.listTopics()).toEqual(expect.arrayContaining([a, b]));
    const { topics } = await admin.fetchTopicMetadata({ topics: [a] });
    expect(
      topics[0]!.partitions
        .map(({ partitionId, leader, replicas, isr, partitionErrorCode }) => ({ partitionId, leader, replicas, isr, partitionErrorCode }))
        .sort((x, y) => x.partitionId - y.partitionId),
    ).toEqual([0, 1, 2].map((partitionId) => ({ partitionId, leader: 1, replicas: [1], isr: [1], partitionErrorCode: 0 })));
    await admin.deleteTopics({ topics: [a] });
    const left = await admin.listTopics();
    expect(left).not.toContain(a);
    expect(left).toContain(b);
  });

  test('created again right after it was deleted, and empty', async () => {
    const admin = await fixture.admin(),
      producer = await fixture.producer();
    const topic = uniqueName('again');
    for (let round = 0; round < 3; round++) {
      await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
      const [sent] = await producer.send({ topic, messages: [{ value: `round ${round}` }] });
      expect(sent).toMatchObject({ errorCode: 0, baseOffset: '0' });
      await admin.deleteTopics({ topics: [topic] });
    }
  });

  test('one that exists is not created, and says so', async () => {
    const admin = await fixture.admin(),
      topic = await fixture.topic();
    expect(await admin.createTopics({ topics: [{ topic }] })).toBe(false);
  });

  test.each([
    ['an invalid name', { topic: 'no/slash' }, 'INVALID_TOPIC_EXCEPTION'],
    ['too many replicas', { numPartitions: 1, replicationFactor: 5 }, 'INVALID_REPLICATION_FACTOR'],
    ['an unknown setting', { configEntries: [{ name: 'no.such.setting', value: '1' }] }, 'INVALID_CONFIG'],
    ['a bad value', { configEntries: [{ name: 'retention.ms', value: 'soon' }] }, 'INVALID_CONFIG'],
  ])('refused: %s', async (_, wrong, type) => {
    const admin = await fixture.admin();
    const error = await admin.createTopics({ topics: [{ topic: uniqueName('bad'), ...wrong }] }).then(
      () => null,
      (reason: KafkaJSAggregateError) => reason,
    );
    expect(error!.errors.map((each) => (each as Error & { type: string }).type)).toEqual([type]);
  });

  test('validateOnly creates nothing', async () => {
    const admin = await fixture.admin(),
      topic = uniqueName('only');
    expect(await admin.createTopics({ validateOnly: true, waitForLeaders: false, topics: [{ topic }] })).toBe(true);
    expect(await admin.listTopics()).not.toContain(topic);
  });

  test('partitions are added, and never taken away', async () => {
    const admin = await fixture.admin(),
      producer = await fixture.producer(),
      topic = await fixture.topic(2);
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    expect(topics[0]!.partitions).toHaveLength(5);
    const [sent] = await producer.send({ topic, messages: [{ partition: 4, value: 'in the new one' }] });
    expect(sent).toMatchObject({ partition: 4, baseOffset: '0' });
    await expect(admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })).rejects.toMatchObject({ type: 'INVALID_PARTITIONS' });
  });

  test('settings given at creation are described', async () => {
    const admin = await fixture.admin(),
      topic = await fixture.topic(1, { 'retention.ms': '3600000', 'max.message.bytes': '2000000' });
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }] });
    const entries = new Map(resources[0]!.configEntries.map((each) => [each.configName, each]));
    expect(entries.get('retention.ms')).toMatchObject({ configValue: '3600000', isDefault: false, readOnly: false });
    expect(entries.get('max.message.bytes')).toMatchObject({ configValue: '2000000', isDefault: false });
    expect(entries.get('segment.bytes')).toMatchObject({ configValue: '1073741824' });
  });
});

test('the cluster', async () => {
  const admin = await fixture.admin();
  const { brokers, controller, clusterId } = await admin.describeCluster();
  const [host, port] = fixture.bootstrapServers.split(':');
  expect(brokers).toEqual([{ nodeId: 1, host: expect.stringMatching(new RegExp(`^(${host!.replaceAll('.', '\\.')}|localhost)$`)), port: Number(port) }]);
  expect(controller).toBe(1);
  expect(clusterId).toMatch(/^[A-Za-z0-9_-]{22}$/);
});

describe('offsets', () => {
  test('of the log: low, high, by time', async () => {
    const admin = await fixture.admin(),
      producer = await fixture.producer(),
      topic = await fixture.topic(2);
    for (const [i, timestamp] of [1_000, 2_000, 3_000].entries())
      await producer.send({ topic, messages: [{ partition: 0, value: `${i}`, timestamp: String(timestamp) }] });
    const byPartition = (offsets: { partition: number }[]) => [...offsets].sort((x, y) => x.partition - y.partition);
    expect(byPartition(await admin.fetchTopicOffsets(topic))).toEqual([
      { partition: 0, offset: '3', high: '3', low: '0' },
      { partition: 1, offset: '0', high: '0', low: '0' },
    ]);
    expect(byPartition(await admin.fetchTopicOffsetsByTimestamp(topic, 1_500))).toEqual([
      { partition: 0, offset: '1' },
      { partition: 1, offset: '0' },
    ]);
    expect(byPartition(await admin.fetchTopicOffsetsByTimestamp(topic, 2_000))[0]).toEqual({ partition: 0, offset: '1' });
    // Beyond the last record there is none; kafkajs then takes the end.
    expect(byPartition(await admin.fetchTopicOffsetsByTimestamp(topic, 9_000))[0]).toEqual({ partition: 0, offset: '3' });
  });

  // kafkajs sets offsets through a consumer of its own, which fetches with its default wait of 5 s before it leaves.
  test('of a group: set, fetched, resolved', async () => {
    const admin = await fixture.admin(),
      producer = await fixture.producer(),
      topic = await fixture.topic(2),
      groupId = uniqueName('group');
    await producer.send({ topic, messages: Array.from({ length: 10 }, (_, i) => ({ partition: i % 2, value: `${i}` })) });
    const fetched = async () =>
      (await admin.fetchOffsets({ groupId, topics: [topic] }))[0]!.partitions.map(({ partition, offset }) => [partition, offset]).sort();
    expect(await fetched()).toEqual([
      [0, '-1'],
      [1, '-1'],
    ]);
    await admin.setOffsets({
      groupId,
      topic,
      partitions: [
        { partition: 0, offset: '3' },
        { partition: 1, offset: '-2' },
      ],
    });
    expect(await fetched()).toEqual([
      [0, '3'],
      [1, '-2'],
    ]);
    const resolved = await admin.fetchOffsets({ groupId, topics: [topic], resolveOffsets: true });
    expect(resolved[0]!.partitions.map(({ partition, offset }) => [partition, offset]).sort()).toEqual([
      [0, '3'],
      [1, '0'],
    ]);
  });
});

describe('groups', () => {
  test('listed, described while it lives and when it is empty, deleted', async () => {
    const admin = await fixture.admin(),
      producer = await fixture.producer(),
      topic = await fixture.topic(),
      groupId = uniqueName('group');
    await producer.send({ topic, messages: [{ value: 'x' }] });
    const consumer = await fixture.consumer({ groupId }),
      inbox = new Inbox();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ eachMessage: inbox.eachMessage });
    await inbox.count(1);
    expect((await admin.listGroups()).groups).toContainEqual({ groupId, protocolType: 'consumer' });
    const [live] = (await admin.describeGroups([groupId])).groups;
    expect(live).toMatchObject({
      errorCode: 0,
      groupId,
      protocol: 'RoundRobinAssigner',
      protocolType: 'consumer',
      state: 'Stable',
      members: [{ clientId: 'test', memberId: expect.stringMatching(/^test-[0-9a-f-]{36}$/) as string }],
    });
    await expect(admin.deleteGroups([groupId])).rejects.toMatchObject({ groups: [{ groupId, error: { type: 'NON_EMPTY_GROUP' } }] });
    await consumer.disconnect();
    expect((await admin.describeGroups([groupId])).groups[0]).toMatchObject({ state: 'Empty', members: [] });
    expect(await admin.deleteGroups([groupId])).toEqual([expect.objectContaining({ groupId, errorCode: 0 })]);
    expect((await admin.listGroups()).groups.map((each) => each.groupId)).not.toContain(groupId);
  });

  test('a group that nobody knows cannot be deleted', async () => {
    const admin = await fixture.admin();
    await expect(admin.deleteGroups([uniqueName('none')])).rejects.toMatchObject({ groups: [{ error: { type: 'GROUP_ID_NOT_FOUND' } }] });
  });
});

test.skipIf(externalBroker !== undefined)('reset() leaves neither topics nor groups (ottla alone has it)', async () => {
  const admin = await fixture.admin(),
    producer = await fixture.producer(),
    topic = await fixture.topic();
  await producer.send({ topic, messages: [{ value: 'x' }] });
  await readAll(fixture, topic, 1);
  await fixture.broker!.reset();
  expect((await admin.listTopics()).filter((name) => !name.startsWith('__'))).toEqual([]);
  expect((await admin.listGroups()).groups).toEqual([]);
  await admin.createTopics({ topics: [{ topic }], waitForLeaders: true });
  expect(await admin.fetchTopicOffsets(topic)).toEqual([{ partition: 0, offset: '0', high: '0', low: '0' }]);
});
