/** DescribeLogDirs: directories, sizes and free space, of a broker on a real disk and of one in memory. */
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DescribeLogDirs, Produce } from '../../../protocol/messages/index.ts';
import { CreateTopics } from '../../../protocol/messages/topics.ts';
import { Broker } from '../../../src/broker.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import { Settings } from '../../../src/settings.ts';
import { batchOf, RawClient, startWorld } from '../broker-world.ts';

const topic = (name: string, partitions: number) => ({ name, numPartitions: partitions, replicationFactor: 1, assignments: [], configs: [] });

async function fill(client: RawClient): Promise<number> {
  await client.ask(CreateTopics, 7, { topics: [topic('a', 2), topic('b', 1)], timeoutMs: 5000, validateOnly: false });
  const records = batchOf('one', 'two');
  await client.ask(Produce, 9, { transactionalId: null, acks: -1, timeoutMs: 5000, topicData: [{ name: 'a', partitionData: [{ index: 1, records }] }] });
  return records.length;
}

describe('on a disk', () => {
  let root: string;
  let broker: Broker;
  let client: RawClient;
  const paths = () => ['one', 'two'].map((name) => join(root, name));

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'ottla-'));
    paths().forEach((path) => mkdirSync(path));
    broker = await Broker.start({ runtime: nodeRuntime(), settings: Settings.from({ set: ['listeners=PLAINTEXT://127.0.0.1:0', `log.dirs=${paths().join()}`, `cordoned.log.dirs=${paths()[1]}`] }) });
    client = await RawClient.connect(broker.ports.get('PLAINTEXT')!);
  });

  afterEach(async () => {
    client.close();
    await broker.stop();
    rmSync(root, { recursive: true });
  });

  it('tells every replica in its directory, with what is free there', async () => {
    const bytes = await fill(client);
    const { errorCode, results } = await client.ask(DescribeLogDirs, 5, { topics: null });
    expect(errorCode).toBe(0);
    expect(results.map((result) => [result.errorCode, result.logDir, result.isCordoned])).toEqual(paths().map((path, at) => [0, path, at === 1]));
    const { blocks, bsize } = statfsSync(root);
    for (const { totalBytes, usableBytes } of results) {
      expect(totalBytes).toBe(blocks * bsize);
      expect(usableBytes).toBeGreaterThan(0);
      expect(usableBytes).toBeLessThanOrEqual(totalBytes);
    }
    const told = results.flatMap(({ topics }) => topics.flatMap(({ name, partitions }) => partitions.map((one) => [`${name}-${one.partitionIndex}`, one.partitionSize, one.offsetLag, one.isFutureKey])));
    expect(told.sort()).toEqual([['a-0', 0, 0, false], ['a-1', bytes, 0, false], ['b-0', 0, 0, false]]);
  });

  it('leaves out what is not asked for, or not here', async () => {
    await fill(client);
    const { results } = await client.ask(DescribeLogDirs, 4, { topics: [{ topic: 'a', partitions: [1, 7] }, { topic: 'none', partitions: [0] }] });
    expect(results.flatMap(({ topics }) => topics.map(({ name, partitions }) => [name, partitions.map(({ partitionIndex }) => partitionIndex)]))).toEqual([['a', [1]]]);
    const none = await client.ask(DescribeLogDirs, 1, { topics: [] });
    expect(none.results.map(({ logDir, topics }) => [logDir, topics])).toEqual(paths().map((path) => [path, []]));
  });
});

it('in memory no disk tells a size', async () => {
  const world = await startWorld();
  const client = await world.connect();
  const { results } = await client.ask(DescribeLogDirs, 5, { topics: null });
  expect(results.map(({ logDir, totalBytes, usableBytes }) => [logDir, totalBytes, usableBytes])).toEqual([['/data', -1, -1]]);
  client.close();
  await world.broker.stop();
});
