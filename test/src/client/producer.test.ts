/** The command's producer, when its cluster goes away. */
import { expect, it } from 'vitest';
import { Metadata, Produce } from '../../../protocol/messages/index.ts';
import { Client } from '../../../src/client.ts';
import { TopicProducer } from '../../../src/client/producer.ts';
import { ConnectionError } from '../../../src/runtime/connection-error.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import { answers, FakeCluster } from '../cli/fake-cluster.ts';

it('gives a batch up after the time that its client has for retries', async () => {
  const cluster = await FakeCluster.start();
  const partition = { errorCode: 0, partitionIndex: 0, leaderId: 1, leaderEpoch: 0, replicaNodes: [1], isrNodes: [1], offlineReplicas: [] };
  cluster.serve(
    answers(Metadata, () => ({
      brokers: [{ nodeId: 1, host: '127.0.0.1', port: cluster.port, rack: null }], clusterId: 'c', controllerId: 1, errorCode: 0,
      topics: [{ errorCode: 0, name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', isInternal: false, partitions: [partition] }],
    })),
    answers(Produce, () => ({ responses: [{ name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitionResponses: [{ index: 0, errorCode: 0, baseOffset: 0 }] }] })),
  );
  const client = new Client({ bootstrapServers: [`127.0.0.1:${cluster.port}`], runtime: nodeRuntime(), retryMs: 100 });
  const producer = await TopicProducer.open(client, { topic: 't' });
  const record = { key: null, value: Buffer.from('v'), headers: [], timestamp: 0 };
  await producer.send(record);
  await producer.flush();
  expect(producer.acknowledged).toBe(1);
  cluster.stop();
  await producer.send(record);
  await expect(producer.flush()).rejects.toThrow(ConnectionError);
  client.close();
});
