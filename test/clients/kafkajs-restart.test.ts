/** A broker with a directory stops and comes back in the middle: kafkajs's producers and consumers go on as if nothing had been. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startBroker } from '../../src/index.ts';
import { Inbox, commit, kafkaAt } from './kafkajs-fixture.ts';

let dataDir: string;
let broker: Awaited<ReturnType<typeof startBroker>>;
const open: { disconnect(): Promise<void> }[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'ottla-restart-'));
  broker = await startBroker({ dataDir });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.disconnect()));
  await broker.stop();
  await rm(dataDir, { recursive: true });
});

/** The same directory and the same port, since clients look for the address they know. */
async function restart(): Promise<void> {
  const port = Number(broker.bootstrapServers.split(':')[1]);
  await broker.stop();
  broker = await startBroker({ dataDir, port });
}

async function connected<T extends { connect(): Promise<void>; disconnect(): Promise<void> }>(client: T): Promise<T> {
  open.push(client);
  await client.connect();
  return client;
}

test('producers and a group go on over three restarts', async () => {
  await broker.createTopics([{ name: 'orders', numPartitions: 3 }]);
  const kafka = kafkaAt(broker.bootstrapServers);
  const producer = await connected(kafka.producer({ idempotent: true, maxInFlightRequests: 1 }));
  const consumer = await connected(
    kafka.consumer({ groupId: 'shop', maxWaitTimeInMs: 100, heartbeatInterval: 100, retry: { retries: 1000, initialRetryTime: 20, maxRetryTime: 200 } }),
  );
  const inbox = new Inbox();
  await consumer.subscribe({ topic: 'orders', fromBeginning: true });
  await consumer.run({ eachMessage: inbox.eachMessage });

  const sent: string[] = [],
    offsets = [0, 0, 0];
  const send = async (round: number) => {
    for (let i = 0; i < 30; i++) {
      const partition = i % 3,
        value = `${round} ${i}`;
      const [answer] = await producer.send({ topic: 'orders', messages: [{ partition, value }] });
      expect(answer).toMatchObject({ partition, baseOffset: String(offsets[partition]!++) });
      sent.push(value);
    }
  };
  await send(0);
  for (let round = 1; round <= 3; round++) {
    // Some records are under way while the broker stops; the producer sends them again, and the broker knows them by their numbers.
    const underWay = send(round);
    await restart();
    await underWay;
  }
  await inbox.when(() => new Set(inbox.values).size === sent.length);
  expect([...new Set(inbox.values)].sort()).toEqual([...sent].sort());

  const reader = await connected(kafka.consumer({ groupId: 'auditor', maxWaitTimeInMs: 100 })),
    everything = new Inbox();
  await reader.subscribe({ topic: 'orders', fromBeginning: true });
  await reader.run({ eachMessage: everything.eachMessage });
  await everything.count(sent.length);
  expect([...everything.values].sort()).toEqual([...sent].sort());
  expect(
    everything.messages.every(
      ({ message }, i, all) => all.findIndex((each) => each.partition === all[i]!.partition && each.message.offset === message.offset) === i,
    ),
  ).toBe(true);
});

test('topics, settings, records and committed offsets are found again', async () => {
  const kafka = kafkaAt(broker.bootstrapServers);
  let admin = await connected(kafka.admin());
  await admin.createTopics({
    topics: [{ topic: 'kept', numPartitions: 4, configEntries: [{ name: 'retention.ms', value: '7200000' }] }, { topic: 'deleted' }],
    waitForLeaders: true,
  });
  await admin.deleteTopics({ topics: ['deleted'] });
  const producer = await connected(kafka.producer());
  await producer.send({ topic: 'kept', messages: Array.from({ length: 100 }, (_, i) => ({ partition: i % 4, value: `${i}` })) });
  const member = await connected(kafka.consumer({ groupId: 'group', maxWaitTimeInMs: 100 }));
  await commit(
    member,
    'kept',
    [0, 1, 2, 3].map((partition) => ({ partition, offset: `${partition * 5}` })),
  );
  const before = await admin.describeCluster();

  await restart();
  admin = await connected(kafkaAt(broker.bootstrapServers).admin());
  expect((await admin.describeCluster()).clusterId).toBe(before.clusterId);
  expect((await admin.listTopics()).filter((name) => !name.startsWith('__'))).toEqual(['kept']);
  const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: 'kept', configNames: ['retention.ms'] }] });
  expect(resources[0]!.configEntries).toMatchObject([{ configName: 'retention.ms', configValue: '7200000', isDefault: false }]);
  expect((await admin.fetchTopicOffsets('kept')).map(({ partition, high }) => [partition, high]).sort()).toEqual([
    [0, '25'],
    [1, '25'],
    [2, '25'],
    [3, '25'],
  ]);
  const [topic] = await admin.fetchOffsets({ groupId: 'group', topics: ['kept'] });
  expect(topic!.partitions.map(({ partition, offset }) => [partition, offset]).sort()).toEqual([
    [0, '0'],
    [1, '5'],
    [2, '10'],
    [3, '15'],
  ]);
  await expect(admin.createTopics({ topics: [{ topic: 'kept' }] })).resolves.toBe(false);
});
