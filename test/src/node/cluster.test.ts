/** Three nodes that are one cluster to clients of any of them, and stay one when nodes go and come. */
import { Kafka, logLevel } from 'kafkajs';
import { afterEach, describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { ApiVersions } from '../../../protocol/messages/cluster.ts';
import { FindCoordinator } from '../../../protocol/messages/groups.ts';
import { DescribeCluster, Metadata } from '../../../protocol/messages/metadata.ts';
import { Produce } from '../../../protocol/messages/produce.ts';
import { CreatePartitions, CreateTopics, DeleteTopics } from '../../../protocol/messages/topics.ts';
import { InitProducerId } from '../../../protocol/messages/transactions.ts';
import { servedApis } from '../../../src/api/index.ts';
import { servedOn } from '../../../src/api/serve.ts';
import { batchOf } from '../broker-world.ts';
import type { RawClient } from '../broker-world.ts';
import { controllerId, startCluster } from './cluster-world.ts';
import type { ClusterWorld } from './cluster-world.ts';

const clusters: ClusterWorld[] = [];
const clients: { disconnect(): Promise<void> }[] = [];
async function world(options?: Parameters<typeof startCluster>[0]): Promise<ClusterWorld> {
  const started = await startCluster(options);
  clusters.push(started);
  return started;
}
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.disconnect()));
  for (const { cluster } of clusters.splice(0)) await cluster.stop();
});

const newTopic = (name: string, numPartitions = 1, replicationFactor = 3) => ({ topics: [{ name, numPartitions, replicationFactor, assignments: [], configs: [] }], timeoutMs: 5000 });
const kafka = ({ bootstrap }: ClusterWorld) => new Kafka({ brokers: bootstrap, clientId: 'test', logLevel: logLevel.NOTHING, retry: { initialRetryTime: 20, maxRetryTime: 200, retries: 50 } });

async function metadata(client: RawClient, ...names: string[]) {
  return client.ask(Metadata, 9, { topics: names.map((name) => ({ name })), allowAutoTopicCreation: false });
}

/** Asks until the answer is as wished: other nodes learn of a change a moment later. */
async function until<T>(ask: () => Promise<T>, isWished: (answer: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const answer = await ask();
    if (isWished(answer)) return answer;
    if (tries > 2000) throw new Error(`still ${JSON.stringify(answer)}`);
  }
}

describe('three nodes', () => {
  test('are told by each of them, with one controller among them', async () => {
    const cluster = await world();
    for (const id of [1, 2, 3]) {
      const client = await cluster.connect(id);
      const { brokers } = await until(() => metadata(client), ({ brokers }) => brokers.length === 3);
      expect(brokers.map(({ nodeId, port }) => [nodeId, port])).toEqual(cluster.ports.map((port, index) => [index + 1, port]));
      client.close();
    }
    expect(cluster.cluster.nodes.filter(({ broker }) => broker!.quorum.controller!.isActive)).toHaveLength(1);
    expect(cluster.cluster.nodes.every(({ broker }) => broker!.isInService)).toBe(true);
  });

  test('take what is for the controller from any of them, and show it there at once', async () => {
    const cluster = await world();
    for (const id of [1, 2, 3]) {
      const client = await cluster.connect(id);
      const created = await client.ask(CreateTopics, 7, newTopic(`t${id}`, 2));
      expect(created.topics[0]).toMatchObject({ name: `t${id}`, errorCode: ErrorCode.NONE, numPartitions: 2, replicationFactor: 3 });
      const { topics } = await metadata(client, `t${id}`);
      expect(topics[0]!.partitions.map(({ errorCode, isrNodes }) => [errorCode, [...isrNodes].sort()])).toEqual([[0, [1, 2, 3]], [0, [1, 2, 3]]]);
      // What is refused is refused in the words of the controller.
      const again = await client.ask(CreateTopics, 7, newTopic(`t${id}`));
      expect(again.topics[0]).toMatchObject({ errorCode: ErrorCode.TOPIC_ALREADY_EXISTS, errorMessage: `Topic 't${id}' already exists.` });
      await client.ask(CreatePartitions, 3, { topics: [{ name: `t${id}`, count: 3, assignments: null }], timeoutMs: 5000, validateOnly: false });
      expect((await metadata(client, `t${id}`)).topics[0]!.partitions).toHaveLength(3);
      expect((await client.ask(DeleteTopics, 5, { topicNames: [`t${id}`], timeoutMs: 5000 })).responses[0]!.errorCode).toBe(ErrorCode.NONE);
      expect((await metadata(client, `t${id}`)).topics[0]!.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
      client.close();
    }
  });

  test('make a topic that a client of any of them asks about', async () => {
    const cluster = await world({ values: { 'default.replication.factor': 3 } });
    const follower = [1, 2, 3].find((id) => id !== controllerId(cluster))!;
    const client = await cluster.connect(follower);
    const { topics } = await client.ask(Metadata, 9, { topics: [{ name: 'fresh' }], allowAutoTopicCreation: true });
    expect(topics[0]).toMatchObject({ errorCode: ErrorCode.NONE, partitions: [{ errorCode: ErrorCode.NONE }] });
    expect(topics[0]!.partitions[0]!.replicaNodes).toHaveLength(3);
    client.close();
  });

  test('give no producer id twice', async () => {
    const cluster = await world();
    const ids = await Promise.all([1, 2, 3].map(async (id) => {
      const client = await cluster.connect(id);
      const answers = await Promise.all([1, 2, 3].map(() => client.ask(InitProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 })));
      client.close();
      return answers.map(({ producerId }) => producerId);
    }));
    expect(new Set(ids.flat()).size).toBe(9);
    expect(Math.max(...ids.flat())).toBeGreaterThanOrEqual(2000);
  });

  test('name the same coordinator, whose topic has a replica on each', async () => {
    const cluster = await world();
    const found = await Promise.all([1, 2, 3].map(async (id) => {
      const client = await cluster.connect(id);
      const { coordinators } = await until(() => client.ask(FindCoordinator, 4, { key: '', keyType: 0, coordinatorKeys: ['g'] }), ({ coordinators }) => coordinators[0]!.errorCode === ErrorCode.NONE);
      client.close();
      return coordinators[0]!.nodeId;
    }));
    expect(new Set(found).size).toBe(1);
    const { partitions } = cluster.cluster.nodes[0]!.broker!.image().topic('__consumer_offsets')!;
    expect([partitions.length, partitions[0]!.replicas.length]).toEqual([50, 3]);
  });

  test('tell controllers on the listeners of controllers, and brokers on those of brokers', async () => {
    const cluster = await world();
    const controller = await cluster.connectController(2);
    const { apiKeys } = await controller.ask(ApiVersions, 2, {});
    expect(apiKeys.map(({ apiKey }) => apiKey)).toEqual(servedOn('controller', servedApis).map(({ api }) => api.key));
    expect(apiKeys.some(({ apiKey }) => apiKey === Metadata.key)).toBe(false);
    const described = await until(
      () => controller.ask(DescribeCluster, 2, { includeClusterAuthorizedOperations: false, endpointType: 2, includeFencedBrokers: false }),
      ({ brokers }) => brokers.length === 3,
    );
    expect(described.brokers.map(({ brokerId, port }) => [brokerId, port]).sort()).toEqual(cluster.controllerPorts.map((port, index) => [index + 1, port]));
    expect(described.controllerId).toBe(controllerId(cluster));
    const wrong = await controller.ask(DescribeCluster, 2, { includeClusterAuthorizedOperations: false, endpointType: 1, includeFencedBrokers: false });
    expect(wrong).toMatchObject({ errorCode: ErrorCode.MISMATCHED_ENDPOINT_TYPE, errorMessage: 'The request was sent to an endpoint of type CONTROLLER, but we wanted an endpoint of type BROKER' });
    controller.close();
  });
});

describe('when nodes go', () => {
  test('leaderships move before a node stops, and it comes back as a replica in sync', async () => {
    const cluster = await world();
    const client = await cluster.connect(1);
    await client.ask(CreateTopics, 7, newTopic('t', 6));
    const stopping = cluster.cluster.nodes[2]!;
    await stopping.stop();
    expect(cluster.lines.filter((line) => line.includes('without the leave'))).toEqual([]);
    const { topics, brokers } = await until(() => metadata(client, 't'), ({ brokers }) => brokers.length === 2);
    expect(brokers.map(({ nodeId }) => nodeId)).toEqual([1, 2]);
    expect(topics[0]!.partitions.every(({ leaderId, isrNodes, offlineReplicas }) => leaderId !== 3 && isrNodes.length === 2 && offlineReplicas[0] === 3)).toBe(true);
    await stopping.start();
    await until(() => metadata(client, 't'), ({ topics }) => topics[0]!.partitions.every(({ isrNodes }) => isrNodes.length === 3));
    client.close();
  });

  test('a node that is stopped while it starts has not started, and can be started again', async () => {
    const cluster = await world();
    const node = cluster.cluster.nodes[0]!;
    await node.stop();
    const starting = node.start();
    starting.catch(() => {});
    await node.stop();
    expect(node.broker).toBeNull();
    await node.start();
    expect(node.broker!.isInService).toBe(true);
  });

  test('another controller takes over, and what is asked of any node meanwhile is done', async () => {
    const cluster = await world();
    const first = controllerId(cluster);
    const others = [1, 2, 3].filter((id) => id !== first);
    const [left, right] = await Promise.all(others.map((id) => cluster.connect(id)));
    const stopped = cluster.cluster.nodes[first - 1]!.stop();
    const created = await Promise.all([left!.ask(CreateTopics, 7, newTopic('a', 1, 2)), right!.ask(CreateTopics, 7, newTopic('b', 1, 2))]);
    expect(created.map(({ topics }) => topics[0]!.errorCode)).toEqual([ErrorCode.NONE, ErrorCode.NONE]);
    await stopped;
    expect((await left!.ask(CreateTopics, 7, newTopic('c', 1, 2))).topics[0]!.errorCode).toBe(ErrorCode.NONE);
    expect(others).toContain(controllerId(cluster));
    left!.close();
    right!.close();
  });

  test('a produce to a broker that does not lead says so', async () => {
    const cluster = await world();
    const client = await cluster.connect(1);
    await client.ask(CreateTopics, 7, newTopic('t'));
    const { leaderId } = (await metadata(client, 't')).topics[0]!.partitions[0]!;
    const other = await cluster.connect([1, 2, 3].find((id) => id !== leaderId)!);
    const { responses } = await until(
      () => other.ask(Produce, 9, { acks: -1, timeoutMs: 5000, topicData: [{ name: 't', partitionData: [{ index: 0, records: batchOf('x') }] }] }),
      ({ responses }) => responses[0]!.partitionResponses[0]!.errorCode !== ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    );
    expect(responses[0]!.partitionResponses[0]!.errorCode).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    client.close();
    other.close();
  });

  test('records of acks=all outlive each node that goes in turn, and a group goes on where it was', { timeout: 60_000 }, async () => {
    const cluster = await world();
    const client = kafka(cluster);
    const admin = client.admin();
    await admin.connect();
    clients.push(admin);
    await admin.createTopics({ topics: [{ topic: 't', numPartitions: 3, replicationFactor: 3, configEntries: [{ name: 'min.insync.replicas', value: '2' }] }] });
    const producer = client.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const consumer = client.consumer({ groupId: 'g', sessionTimeout: 10_000, heartbeatInterval: 200, maxWaitTimeInMs: 100 });
    await consumer.connect();
    clients.push(producer, consumer);
    await consumer.subscribe({ topics: ['t'], fromBeginning: true });
    const seen = new Map<string, number>();
    let wake = () => {};
    await consumer.run({
      eachMessage: async ({ message }) => {
        seen.set(String(message.value), (seen.get(String(message.value)) ?? 0) + 1);
        wake();
      },
    });
    let sent = 0;
    const send = async (count: number) => {
      for (let i = 0; i < count; i++) await producer.send({ topic: 't', acks: -1, messages: [{ key: String(sent), value: `v${sent++}` }] });
    };
    const allSeen = async () => {
      while (seen.size < sent) await new Promise<void>((resolve) => (wake = resolve));
    };
    await send(30);
    await allSeen();
    for (const node of cluster.cluster.nodes) {
      const stopped = node.stop();
      await send(20);
      await stopped;
      await send(10);
      await node.start();
      await allSeen();
    }
    expect(seen.size).toBe(120);
  });
});
