/** `startCluster` of the library: a cluster for the tests of client code, whose brokers go and come. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { startCluster } from '../../src/index.ts';

const kafka = (bootstrapServers: string) =>
  new Kafka({ brokers: bootstrapServers.split(','), clientId: 'test', logLevel: logLevel.NOTHING, retry: { initialRetryTime: 20, maxRetryTime: 200, retries: 50 } });

async function send(bootstrapServers: string, topic: string, ...values: string[]): Promise<void> {
  const producer = kafka(bootstrapServers).producer();
  await producer.connect();
  await producer.send({ topic, acks: -1, messages: values.map((value) => ({ value })) });
  await producer.disconnect();
}

async function endOf(bootstrapServers: string, topic: string): Promise<number> {
  const admin = kafka(bootstrapServers).admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  return offsets.reduce((sum, { high }) => sum + Number(high), 0);
}

describe('startCluster', { timeout: 60_000 }, () => {
  it('has brokers that stop and start again where they were, and is reset between tests', async () => {
    await using cluster = await startCluster({ settings: { 'default.replication.factor': 3, 'min.insync.replicas': 2 } });
    expect(cluster.brokers.map(({ nodeId, isRunning }) => [nodeId, isRunning])).toEqual([[1, true], [2, true], [3, true]]);
    expect(cluster.bootstrapServers).toBe(cluster.brokers.map(({ bootstrapServers }) => bootstrapServers).join(','));
    await cluster.createTopics(['orders']);
    const { bootstrapServers } = cluster;
    for (const broker of cluster.brokers) {
      await broker.stop();
      expect(broker.isRunning).toBe(false);
      await send(bootstrapServers, 'orders', `without ${broker.nodeId}`);
      await broker.start();
      expect(broker.isRunning).toBe(true);
    }
    expect(await endOf(bootstrapServers, 'orders')).toBe(3);
    await cluster.reset();
    await cluster.createTopics(['orders']);
    expect(await endOf(bootstrapServers, 'orders')).toBe(0);
  });

  it('keeps directories over a restart', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'ottla-cluster-'));
    try {
      const first = await startCluster({ nodes: 2, dataDir });
      await first.createTopics([{ name: 't', replicationFactor: 2 }]);
      await send(first.bootstrapServers, 't', 'a', 'b');
      await first.stop();
      const second = await startCluster({ nodes: 2, dataDir });
      expect(second.clusterId).toBe(first.clusterId);
      expect(await endOf(second.bootstrapServers, 't')).toBe(2);
      await second.stop();
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  it('leaves nothing behind when a node cannot start', async () => {
    await using one = await startCluster({ nodes: 1 });
    const port = Number(one.bootstrapServers.split(':')[1]);
    await expect(startCluster({ port: port - 1 })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await expect(startCluster({ nodes: 0 })).rejects.toThrow('nodes must be');
  });
});
