/** The library: a broker in the test's own process, used by kafkajs; its reset, its stop, and what it refuses. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, describe, expect, it } from 'vitest';
import { KafkaError, SettingError, startBroker } from '../../src/index.ts';
import type { RunningBroker } from '../../src/index.ts';

const root = mkdtempSync(join(tmpdir(), 'ottla-library-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const clientOf = (broker: RunningBroker) => new Kafka({ clientId: 'test', brokers: [broker.bootstrapServers], logLevel: logLevel.NOTHING });

async function write(broker: RunningBroker, topic: string, ...values: string[]): Promise<void> {
  const producer = clientOf(broker).producer();
  await producer.connect();
  await producer.send({ topic, messages: values.map((value) => ({ value })) });
  await producer.disconnect();
}

/** The first `count` values of a topic, read by a new group. */
async function read(broker: RunningBroker, topic: string, count: number, groupId: string): Promise<string[]> {
  const consumer = clientOf(broker).consumer({ groupId });
  const values: string[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise<void>((done, failed) => {
    consumer.on('consumer.crash', ({ payload }) => failed(payload.error));
    void consumer.run({
      eachMessage: async ({ message }) => {
        values.push(message.value!.toString());
        if (values.length === count) done();
      },
    });
  });
  await consumer.disconnect();
  return values;
}

describe('startBroker', () => {
  it('serves a client in memory, on a free port', async () => {
    await using broker = await startBroker();
    expect(broker.bootstrapServers).toMatch(/^127\.0\.0\.1:[0-9]+$/);
    await broker.createTopics(['a', { name: 'b', numPartitions: 3, configs: { 'retention.ms': '1000' } }]);
    await write(broker, 'a', 'one', 'two');
    expect(await read(broker, 'a', 2, 'g')).toEqual(['one', 'two']);
    const admin = clientOf(broker).admin();
    await admin.connect();
    expect((await admin.fetchTopicMetadata({ topics: ['b'] })).topics[0]!.partitions).toHaveLength(3);
    expect(await admin.describeCluster()).toMatchObject({ clusterId: broker.clusterId, brokers: [{ nodeId: broker.nodeId }] });
    await admin.disconnect();
  });

  it('says what of createTopics was refused, and makes the others', async () => {
    await using broker = await startBroker();
    await broker.createTopics(['a']);
    const refused = broker.createTopics(['a', 'b']);
    await expect(refused).rejects.toThrow(KafkaError);
    await expect(refused).rejects.toThrow("topic a: Topic 'a' already exists. (TOPIC_ALREADY_EXISTS)");
    await expect(broker.createTopics([{ name: 'c', configs: { 'cleanup.policy': 'x' } }])).rejects.toThrow('String must be one of: compact, delete');
    await expect(broker.createTopics(['b'])).rejects.toThrow('already exists');
  });

  it('keeps a directory over a restart', async () => {
    const dataDir = join(root, 'kept');
    const first = await startBroker({ dataDir });
    await write(first, 'kept', 'one');
    expect(await read(first, 'kept', 1, 'g')).toEqual(['one']);
    await first.stop();
    const second = await startBroker({ dataDir });
    expect(second.clusterId).toBe(first.clusterId);
    await write(second, 'kept', 'two');
    // The group goes on where it was.
    expect(await read(second, 'kept', 1, 'g')).toEqual(['two']);
    expect(await read(second, 'kept', 2, 'another')).toEqual(['one', 'two']);
    await second.stop();
  });

  it('takes settings by Kafka\'s names, over the preset', async () => {
    await using broker = await startBroker({ settings: { 'num.partitions': 4, 'auto.create.topics.enable': 'true', 'group.initial.rebalance.delay.ms': 1 } });
    await write(broker, 'auto', 'x');
    const admin = clientOf(broker).admin();
    await admin.connect();
    expect((await admin.fetchTopicMetadata({ topics: ['auto'] })).topics[0]!.partitions).toHaveLength(4);
    await admin.disconnect();
  });

  it('refuses what cannot be, and leaves nothing open', async () => {
    await expect(startBroker({ settings: { 'num.partitons': 4 } })).rejects.toThrow(new SettingError('unknown setting num.partitons = 4 (settings); did you mean num.partitions?'));
    await expect(startBroker({ memory: true, dataDir: root })).rejects.toThrow('memory and dataDir cannot be given together');
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    await expect(startBroker({ port: (taken.address() as AddressInfo).port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    taken.close();
    const dataDir = join(root, 'locked');
    const holder = await startBroker({ dataDir });
    await expect(startBroker({ dataDir })).rejects.toMatchObject({ code: 'EBUSY' });
    await holder.stop();
    await (await startBroker({ dataDir })).stop();
  });
});

describe('reset', () => {
  it('deletes all topics and groups, also those in use', async () => {
    await using broker = await startBroker();
    await broker.reset();
    await broker.createTopics(['a', 'b']);
    await write(broker, 'a', 'one');
    const consumer = clientOf(broker).consumer({ groupId: 'busy', allowAutoTopicCreation: false, retry: { retries: 0 } });
    await consumer.connect();
    await consumer.subscribe({ topic: 'a', fromBeginning: true });
    const joined = new Promise((done) => consumer.on('consumer.group_join', done));
    await consumer.run({ eachMessage: async () => undefined });
    await joined;
    expect(await read(broker, 'a', 1, 'idle')).toEqual(['one']);

    await broker.reset();
    await consumer.disconnect();
    const admin = clientOf(broker).admin();
    await admin.connect();
    expect((await admin.listTopics()).filter((name) => !name.startsWith('__'))).toEqual([]);
    await admin.disconnect();
    // The same names are new topics, and the groups begin anew.
    await broker.createTopics(['a']);
    await write(broker, 'a', 'other');
    expect(await read(broker, 'a', 1, 'idle')).toEqual(['other']);
  });
});

describe('stop', () => {
  it('leaves no handle that keeps the process alive, with a client still connected', async () => {
    const script = `
      import { connect } from 'node:net';
      import { once } from 'node:events';
      import { startBroker } from ${JSON.stringify(resolve(import.meta.dirname, '../../src/index.ts'))};
      const broker = await startBroker(${JSON.stringify({ dataDir: join(root, 'handles') })});
      const [host, port] = broker.bootstrapServers.split(':');
      const socket = connect(Number(port), host);
      await once(socket, 'connect');
      const closed = once(socket, 'close');
      await broker.createTopics(['a']);
      await broker.stop();
      await broker.stop();
      await closed;
      // Node's module loader may be reading still: that ends by itself.
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      console.log(process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap' && name !== 'TTYWrap').join(',') || 'nothing');
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk;
    });
    const [code] = (await once(child, 'close')) as [number];
    expect([code, out.trim()]).toEqual([0, 'nothing']);
  });
});
