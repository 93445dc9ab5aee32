/** Whole brokers in this process: what is promised to clients, to the next start, and to whoever runs out of room. */
import { AssertionError } from 'node:assert';
import { afterEach, describe, expect, test } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import { encodeRequestFrame } from '../../protocol/frame.ts';
import { ApiVersions } from '../../protocol/messages/cluster.ts';
import { Fetch, ListOffsets } from '../../protocol/messages/fetch.ts';
import { FindCoordinator } from '../../protocol/messages/groups.ts';
import { DescribeTopicPartitions, Metadata } from '../../protocol/messages/metadata.ts';
import { OffsetCommit, OffsetFetch } from '../../protocol/messages/offsets.ts';
import { Produce } from '../../protocol/messages/produce.ts';
import { IncrementalAlterConfigs } from '../../protocol/messages/configs.ts';
import { CreateTopics, DeleteTopics } from '../../protocol/messages/topics.ts';
import { InitProducerId } from '../../protocol/messages/transactions.ts';
import { recordsAt } from '../../protocol/record/batches.ts';
import { buildBatch } from '../../protocol/record/build.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { servedApis } from '../../src/api/index.ts';
import { servedOn } from '../../src/api/serve.ts';
import { batchOf, defaultsOf, RawClient, startWorld } from './broker-world.ts';
import type { World } from './broker-world.ts';

const worlds: World[] = [];
async function world(options?: Parameters<typeof startWorld>[0]): Promise<World> {
  const started = await startWorld(options);
  worlds.push(started);
  return started;
}
afterEach(async () => {
  for (const { broker } of worlds.splice(0)) await broker.stop();
});

const createTopic = (client: RawClient, name: string, numPartitions = 1, configs: { name: string; value: string }[] = []) =>
  client.ask(CreateTopics, 5, { topics: [{ name, numPartitions, replicationFactor: 1, assignments: [], configs }], timeoutMs: 5000 });

async function produce(client: RawClient, topic: string, batch: Buffer, acks = -1) {
  const response = await client.ask(Produce, 9, { acks, timeoutMs: 5000, topicData: [{ name: topic, partitionData: [{ index: 0, records: batch }] }] });
  return response.responses[0]!.partitionResponses[0]!;
}

async function fetch(client: RawClient, topic: string, fetchOffset: number, { maxWaitMs = 0, minBytes = 1 } = {}) {
  const response = await client.ask(Fetch, 11, {
    maxWaitMs, minBytes, maxBytes: 1 << 20, isolationLevel: 0, sessionId: 0, sessionEpoch: -1, forgottenTopicsData: [], rackId: '',
    topics: [{ topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }] }],
  });
  return response.responses[0]!.partitions[0]!;
}

const values = (records: Buffer | null) => (records === null || records.length === 0 ? [] : recordsAt(records, 0).map((record) => String(record.value)));

test('what a topic asks for and nobody does is said when it is asked for', async () => {
  const { connect, lines } = await world();
  const client = await connect();
  await createTopic(client, 'quiet', 2, [{ name: 'retention.ms', value: '1000' }, { name: 'cleanup.policy', value: 'delete' }]);
  await createTopic(client, 'loud', 2, [{ name: 'compression.type', value: 'lz4' }, { name: 'compression.lz4.level', value: '12' }, { name: 'cleanup.policy', value: 'compact,delete' }]);
  const said = () => lines.filter((line) => line.includes('without effect'));
  expect(said()).toEqual(['topic loud: taken without effect here: cleanup.policy=compact (logs are not compacted yet), compression.lz4.level']);
  await client.ask(IncrementalAlterConfigs, 1, { resources: [{ resourceType: 2, resourceName: 'quiet', configs: [{ name: 'preallocate', configOperation: 0, value: 'true' }] }], validateOnly: false });
  expect(said().slice(1)).toEqual(['topic quiet: taken without effect here: preallocate']);
});

describe('what is served', () => {
  test('every API in every version that it is advertised in answers a request of defaults, and the versions around it close the connection', async () => {
    const { connect } = await world();
    for (const { api, versionMin, versionMax } of servedOn('broker', servedApis)) {
      for (let version = versionMin; version <= versionMax; version++) {
        // A Produce of defaults is one with acks=0, which gets no answer.
        const input = { ...defaultsOf(api.request, version), ...(api === Produce && { acks: 1 }), ...(api === ApiVersions && version > 2 && { clientSoftwareName: 'a', clientSoftwareVersion: '1' }) };
        const client = await connect();
        await expect(client.ask(api, version, input), `${api.name} ${version}`).resolves.toBeTypeOf('object');
        client.close();
      }
      if (api === ApiVersions) continue;
      for (const version of [versionMin - 1, versionMax + 1]) {
        const client = await connect();
        const frame = Buffer.concat(encodeRequestFrame(api, versionMin, { correlationId: 1, clientId: null }, { ...defaultsOf(api.request, versionMin) }));
        frame.writeInt16BE(version, 6);
        client.socket.write([frame]);
        await client.gone;
      }
    }
  });

  test('ApiVersions tells what is served, and Produce from 0', async () => {
    const { connect } = await world();
    const { apiKeys } = await (await connect()).ask(ApiVersions, 2, {});
    expect(apiKeys).toEqual(servedOn('broker', servedApis).map(({ api, versionMin, versionMax }) => ({ apiKey: api.key, minVersion: api === Produce ? 0 : versionMin, maxVersion: versionMax })));
  });

  test('a client is told the address that it came to', async () => {
    const { connect, port } = await world({ set: ['listeners=PLAINTEXT://:0'] });
    const { brokers } = await (await connect()).ask(Metadata, 8, { topics: [] });
    expect(brokers).toMatchObject([{ nodeId: 1, host: '127.0.0.1', port }]);
  });

  test('or the one that is advertised', async () => {
    const { connect } = await world({ set: ['advertised.listeners=PLAINTEXT://broker.example:1234'] });
    const { brokers } = await (await connect()).ask(Metadata, 8, { topics: [] });
    expect(brokers).toMatchObject([{ host: 'broker.example', port: 1234 }]);
  });
});

describe('producing and fetching', () => {
  test('a topic that nobody made has a usable leader in the very answer that made it', async () => {
    const { connect } = await world();
    const client = await connect();
    const { topics } = await client.ask(Metadata, 9, { topics: [{ name: 'fresh' }], allowAutoTopicCreation: true });
    expect(topics[0]).toMatchObject({ errorCode: ErrorCode.NONE, partitions: [{ leaderId: 1, errorCode: ErrorCode.NONE }] });
    expect(await produce(client, 'fresh', batchOf('a', 'b'))).toMatchObject({ errorCode: ErrorCode.NONE, baseOffset: 0 });
    expect(values((await fetch(client, 'fresh', 0)).records)).toEqual(['a', 'b']);
  });

  test('a fetch that waits is woken by a produce, and one in the middle of a batch gets the whole batch', async () => {
    const { connect } = await world();
    const [producer, consumer] = [await connect(), await connect()];
    await createTopic(producer, 't');
    const waiting = fetch(consumer, 't', 0, { maxWaitMs: 60_000 });
    await produce(producer, 't', batchOf('a', 'b', 'c'));
    expect(values((await waiting).records)).toEqual(['a', 'b', 'c']);
    expect(values((await fetch(consumer, 't', 2)).records)).toEqual(['a', 'b', 'c']);
  });

  test('pipelined requests of one connection take effect and are answered in order', async () => {
    const { connect } = await world();
    const client = await connect();
    await createTopic(client, 't');
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => produce(client, 't', batchOf(String(i)), i % 2 === 0 ? -1 : 1)));
    expect(answers.map((answer) => answer.baseOffset)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test('a parked fetch of a deleted topic is answered, and a delete is done when it is acknowledged', async () => {
    const { connect } = await world();
    const [admin, consumer] = [await connect(), await connect()];
    await createTopic(admin, 't');
    const waiting = fetch(consumer, 't', 0, { maxWaitMs: 60_000 });
    await admin.ask(DeleteTopics, 5, { topicNames: ['t'], timeoutMs: 1000 });
    expect((await waiting).errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    expect((await produce(admin, 't', batchOf('a'))).errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    await createTopic(admin, 't');
    expect((await produce(admin, 't', batchOf('a'))).baseOffset).toBe(0);
  });

  test('answers from the file carry their own records, however many are under way in buffers that are used again', async () => {
    const { connect } = await world({ set: ['ottla.log.tail.bytes=0'] });
    const producer = await connect();
    await createTopic(producer, 't');
    for (let i = 0; i < 40; i++) await produce(producer, 't', batchOf(`${i}:`.padEnd(100_000, 'x')));
    const consumers = await Promise.all(Array.from({ length: 4 }, () => connect()));
    const asked = Array.from({ length: 400 }, (_, i) => i % 40);
    const answers = await Promise.all(asked.map(async (offset, i) => values((await fetch(consumers[i % 4]!, 't', offset)).records)[0]!));
    expect(answers.map((value) => Number(value.slice(0, value.indexOf(':'))))).toEqual(asked);
  });

  test('large batches, small ones and several in one request keep their own bytes while the buffers of their frames are used again', async () => {
    const { connect } = await world();
    const producers = await Promise.all(Array.from({ length: 3 }, () => connect()));
    await createTopic(producers[0]!, 't');
    await createTopic(producers[0]!, 'pair', 2);
    const bytesOf = (i: number) => (i % 5 === 4 ? 300 : 150_000 + i * 4000);
    const valueOf = (i: number) => `${i}:`.padEnd(bytesOf(i), String(i % 10));
    const offsets = await Promise.all(Array.from({ length: 120 }, async (_, i) => {
      if (i % 7 === 3) {
        const both = await producers[i % 3]!.ask(Produce, 9, {
          acks: 1, timeoutMs: 5000, topicData: [{ name: 'pair', partitionData: [0, 1].map((index) => ({ index, records: batchOf(valueOf(i)) })) }],
        });
        expect(both.responses[0]!.partitionResponses.map((one) => one.errorCode)).toEqual([0, 0]);
      }
      return (await produce(producers[i % 3]!, 't', batchOf(valueOf(i)), i % 2 === 0 ? -1 : 1)).baseOffset;
    }));
    const consumer = await connect();
    for (const [i, offset] of offsets.entries()) {
      const found = await fetch(consumer, 't', offset);
      expect(recordsAt(found.records!, 0).map((record) => String(record.value)).includes(valueOf(i)), `record ${i}`).toBe(true);
    }
    for (let offset = 0, at = 3; at < 120; offset++, at += 7) expect(values((await fetch(consumer, 'pair', offset)).records)[0]!.length).toBeGreaterThan(200);
  });

  test('clients may not write internal topics, nor with control batches', async () => {
    const { connect } = await world();
    const client = await connect();
    await client.ask(FindCoordinator, 3, { key: 'g', keyType: 0 });
    expect((await produce(client, '__consumer_offsets', batchOf('x'))).errorCode).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION);
    await createTopic(client, 't');
    const control = buildBatch({ baseOffset: 0, isControl: true, records: [{ timestamp: 1, key: Buffer.from([0, 0, 0, 1]), value: null, headers: [] }] });
    expect((await produce(client, 't', control)).errorCode).toBe(ErrorCode.INVALID_RECORD);
  });
});

describe('a restart', () => {
  test('finds topics, records, producers and committed offsets again', async () => {
    const disk = new MemoryDisk({ nowMs: () => Date.now() });
    const first = await world({ disk });
    let client = await first.connect();
    await createTopic(client, 't', 1, [{ name: 'retention.ms', value: '-1' }]);
    const { producerId } = await client.ask(InitProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 });
    const numbered = (baseSequence: number) => buildBatch({ baseOffset: 0, producerId, producerEpoch: 0, baseSequence, records: [{ timestamp: Date.now(), key: null, value: Buffer.from(`n${baseSequence}`), headers: [] }] });
    expect((await produce(client, 't', numbered(0))).baseOffset).toBe(0);
    expect((await produce(client, 't', numbered(1))).baseOffset).toBe(1);
    await client.ask(FindCoordinator, 3, { key: 'g', keyType: 0 });
    const commit = await client.ask(OffsetCommit, 8, { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '', topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 2n ** 60n + 1n, committedMetadata: 'here' }] }] });
    expect(commit.topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.NONE);
    await first.broker.stop();

    const second = await world({ disk });
    expect(second.broker.clusterId).toBe(first.broker.clusterId);
    client = await second.connect();
    expect((await produce(client, 't', numbered(1))).baseOffset, 'a batch sent again gets the offset that it has').toBe(1);
    expect((await produce(client, 't', numbered(3))).errorCode).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect((await produce(client, 't', numbered(2))).baseOffset).toBe(2);
    expect(values((await fetch(client, 't', 0)).records)).toEqual(['n0']);
    const fetched = await client.ask(OffsetFetch, 7, { groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }], requireStable: true });
    expect(fetched.topics[0]!.partitions[0]).toMatchObject({ committedOffset: 2n ** 60n + 1n, metadata: 'here' });
    const again = await client.ask(InitProducerId, 4, { transactionalId: null, transactionTimeoutMs: 0 });
    expect(again.producerId).toBeGreaterThan(producerId);
  });

  test('a directory of a partition that the metadata does not know is put aside, not deleted', async () => {
    const disk = new MemoryDisk({ nowMs: () => Date.now() });
    const first = await world({ disk });
    await createTopic(await first.connect(), 't');
    await first.broker.stop();
    disk.makeDirectory('/data/stranger-0');
    const second = await world({ disk });
    expect(disk.list('/data').filter((name) => name.startsWith('stranger'))).toEqual([expect.stringMatching(/^stranger-0\..*-stray$/)]);
    expect(second.lines.join()).toContain('put aside');
  });
});

test('a coordinator whose log others have written to loads it anew, with all that was committed since it leads', async () => {
  const { port, connect } = await world({ set: ['offsets.topic.num.partitions=1'] });
  const client = await connect();
  await createTopic(client, 't');
  await client.ask(FindCoordinator, 3, { key: 'g', keyType: 0 });
  const commit = async (offset: bigint) => {
    const request = { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '', topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: null }] }] };
    return (await client.ask(OffsetCommit, 8, request)).topics[0]!.partitions[0]!.errorCode;
  };
  const committed = async () => {
    for (;;) {
      const { errorCode, topics } = await client.ask(OffsetFetch, 7, { groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }], requireStable: false });
      if (errorCode !== ErrorCode.COORDINATOR_LOAD_IN_PROGRESS) return topics[0]?.partitions[0]?.committedOffset;
    }
  };
  expect(await commit(5n)).toBe(ErrorCode.NONE);
  // Who calls himself so may write to internal topics, as with Apache Kafka.
  const stranger = await RawClient.connect(port, '__admin_client');
  const key = Buffer.from([0, 99]);
  expect((await produce(stranger, '__consumer_offsets', buildBatch({ baseOffset: 0, records: [{ timestamp: Date.now(), key, value: null }] }))).errorCode).toBe(ErrorCode.NONE);
  expect(await commit(6n), 'is in the log, but not where the coordinator thought').toBe(ErrorCode.NOT_COORDINATOR);
  expect(await committed()).toBe(6n);
  expect(await commit(7n)).toBe(ErrorCode.NONE);
  expect(await committed()).toBe(7n);
});

describe('the end', () => {
  test('of a node is not held up by a fetch that finds nothing after the others were woken', async () => {
    const { connect, broker } = await world();
    const client = await connect();
    await createTopic(client, 't');
    broker.replicas.stopWaiting();
    expect((await fetch(client, 't', 0, { maxWaitMs: 600_000 })).errorCode).toBe(ErrorCode.NONE);
  });

  test('is told where a bug is found in writing a log', async () => {
    const bugs: unknown[] = [];
    const { connect, broker } = await world({ onFatal: (error) => bugs.push(error) });
    const client = await connect();
    await createTopic(client, 't');
    const bug = new AssertionError({ message: 'offsets went backwards' });
    const partition = broker.replicas.find('t', 0);
    if (typeof partition === 'number') throw new Error('there is no t-0');
    const write = partition.log.write.bind(partition.log);
    partition.log.write = async () => {
      await write();
      throw bug;
    };
    await produce(client, 't', batchOf('x'));
    expect(bugs).toEqual([bug]);
  });
});

describe('a start that must not be', () => {
  test.each([
    ['another node\'s directory', { set: ['node.id=7'] }, 'belongs to node 1, but node.id is 7'],
    ['another cluster\'s directory', { clusterId: 'AAAAAAAAAAAAAAAAAAAAAg' }, 'belongs to cluster'],
  ])('%s is refused and left as it was', async (_what, options, text) => {
    const disk = new MemoryDisk({ nowMs: () => Date.now() });
    await (await startWorld({ disk })).broker.stop();
    const before = disk.list('/data');
    await expect(startWorld({ disk, ...options })).rejects.toThrow(text);
    expect(disk.list('/data')).toEqual(before);
    await world({ disk });
  });

  test('a directory of a newer release', async () => {
    const disk = new MemoryDisk({ nowMs: () => Date.now() });
    disk.makeDirectory('/data');
    const file = disk.open('/data/meta.properties', 'create');
    file.writeSync([Buffer.from('version=9\nnode.id=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAg\n')], 0);
    file.close();
    await expect(startWorld({ disk })).rejects.toThrow('/data/meta.properties cannot be used: version "9", of a newer release');
    expect(disk.list('/data')).toContain('meta.properties');
  });

  test('a directory that a living broker holds', async () => {
    const { disk } = await world();
    await expect(startWorld({ disk })).rejects.toMatchObject({ code: 'EBUSY' });
  });

  test('a port that is taken', async () => {
    const { port } = await world();
    await expect(startWorld({ set: [`listeners=PLAINTEXT://127.0.0.1:${port}`] })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe('limits', () => {
  test('socket.request.max.bytes', async () => {
    const { connect, lines } = await world({ set: ['socket.request.max.bytes=1000'] });
    const client = await connect();
    const head = Buffer.alloc(4);
    head.writeInt32BE(1001);
    client.socket.write([head]);
    await client.gone;
    expect(lines.join()).toContain('frame of 1001 bytes, the limit is 1000');
  });

  test('max.connections and max.connections.per.ip', async () => {
    for (const setting of ['max.connections=2', 'max.connections.per.ip=2', 'max.connections.per.ip.overrides=127.0.0.1:2']) {
      const { connect } = await world({ set: [setting] });
      const [one, two, three] = [await connect(), await connect(), await connect()];
      await three.gone;
      await expect(one.ask(ApiVersions, 0, {})).resolves.toBeDefined();
      one.close();
      two.close();
    }
  });

  test('connections.max.idle.ms, and the time to the first request', async () => {
    for (const setting of ['connections.max.idle.ms=200', 'ottla.connection.first.request.ms=200']) {
      const { connect } = await world({ set: [setting] });
      const client = await connect();
      if (setting.startsWith('connections')) await client.ask(ApiVersions, 0, {});
      await client.gone;
    }
  });

  test('max.incremental.fetch.session.cache.slots: whoever comes when all are taken fetches without a session', async () => {
    const { connect } = await world({ set: ['max.incremental.fetch.session.cache.slots=1'] });
    const client = await connect();
    await createTopic(client, 't');
    const begin = async () => (await client.ask(Fetch, 11, { maxWaitMs: 0, minBytes: 0, maxBytes: 1, sessionId: 0, sessionEpoch: 0, topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }] }], forgottenTopicsData: [] })).sessionId;
    expect(await begin()).toBeGreaterThan(0);
    expect(await begin()).toBe(0);
  });

  test('max.request.partition.size.limit and offset.metadata.max.bytes', async () => {
    const { connect } = await world({ set: ['max.request.partition.size.limit=2', 'offset.metadata.max.bytes=3'] });
    const client = await connect();
    await createTopic(client, 't', 3);
    const { topics, nextCursor } = await client.ask(DescribeTopicPartitions, 0, { topics: [{ name: 't' }], responsePartitionLimit: 2000, cursor: null });
    expect([topics[0]!.partitions.length, nextCursor]).toEqual([2, { topicName: 't', partitionIndex: 2 }]);
    await client.ask(FindCoordinator, 3, { key: 'g', keyType: 0 });
    const commit = async (committedMetadata: string) => (await client.ask(OffsetCommit, 8, { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '', topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 1n, committedMetadata }] }] })).topics[0]!.partitions[0]!.errorCode;
    expect([await commit('abc'), await commit('abcd')]).toEqual([ErrorCode.NONE, ErrorCode.OFFSET_METADATA_TOO_LARGE]);
  });

  test('a hundred producers beyond the bytes in flight are slowed down, and all are served', async () => {
    const { connect, broker } = await world({ set: ['ottla.inflight.bytes=100000'] });
    const admin = await connect();
    await createTopic(admin, 't');
    const clients = await Promise.all(Array.from({ length: 100 }, () => connect()));
    const answers = await Promise.all(clients.flatMap((client) => Array.from({ length: 5 }, () => produce(client, 't', batchOf('x'.repeat(10_000))))));
    expect(answers.map((answer) => answer.errorCode)).toEqual(Array(500).fill(ErrorCode.NONE));
    expect(new Set(answers.map((answer) => answer.baseOffset)).size).toBe(500);
    expect(broker.requestBytesInFlight).toBe(0);
  });
});

describe('a full disk', () => {
  test('is a storage error to producers, reads go on, and writing resumes when there is room', async () => {
    const disk = new MemoryDisk({ nowMs: () => Date.now(), bytesMax: 3_000_000 });
    const full = await world({ disk });
    const client = await full.connect();
    await createTopic(client, 'keep');
    await createTopic(client, 'fill');
    await produce(client, 'keep', batchOf('kept'));
    const big = 'x'.repeat(500_000);
    let acknowledged = 0;
    let answer = await produce(client, 'fill', batchOf(big));
    for (; answer.errorCode === ErrorCode.NONE; answer = await produce(client, 'fill', batchOf(big))) acknowledged++;
    expect(answer.errorCode).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(acknowledged).toBeGreaterThan(1);

    // Each refusal is the client's to hear; the log has it once a minute.
    await produce(client, 'fill', batchOf(big));
    expect(full.lines.filter((line) => line.startsWith('/data takes no more for now, and producers are told so until it does: ENOSPC'))).toHaveLength(1);
    expect(values((await fetch(client, 'keep', 0)).records)).toEqual(['kept']);
    expect(values((await fetch(client, 'fill', acknowledged - 1)).records)).toEqual([big]);
    const { topics } = await client.ask(ListOffsets, 4, { replicaId: -1, isolationLevel: 0, topics: [{ name: 'fill', partitions: [{ partitionIndex: 0, timestamp: -1, currentLeaderEpoch: -1 }] }] });
    expect(topics[0]!.partitions[0]!.offset).toBe(acknowledged);

    await client.ask(DeleteTopics, 5, { topicNames: ['fill'], timeoutMs: 1000 });
    for (;;) {
      // The files of a deleted topic go on their own time.
      const retried = await produce(client, 'keep', batchOf(big));
      if (retried.errorCode === ErrorCode.NONE) break;
    }
    expect((await produce(client, 'keep', batchOf('again'))).errorCode).toBe(ErrorCode.NONE);
  });
});
