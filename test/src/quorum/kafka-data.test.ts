/**
 * The metadata that Apache Kafka 4.3.1 left, stopped cleanly and caught running (OTTLA_KAFKA_DATA, default ../shared/golden/kafka-data): a quorum opens it, finds
 * the topics and settings that Kafka's own tools printed, goes on writing, and finds all of it again.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ResourceType } from '../../../src/quorum/image.ts';
import type { MetadataImage } from '../../../src/quorum/image.ts';
import { loadMetaProperties } from '../../../storage/meta-properties.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { kafkaDataDirectory, kafkaDataIsThere, readTopicIds, unpackImage } from '../../storage/kafka-data.ts';
import { openQuorum } from '../../../src/quorum/quorum.ts';
import { DIRECTORY, METADATA, newTopic, QuorumWorld } from './world.ts';

/** Partitions and settings by topic, as kafka-topics.sh printed them. Settings of the server's file are in it too. */
function printedTopics(): Map<string, { partitions: number; configs: Map<string, string> }> {
  const text = readFileSync(`${kafkaDataDirectory}/topics.txt`, 'utf8');
  return new Map(
    [...text.matchAll(/^Topic: (\S+)\s.*PartitionCount: (\d+)\s.*Configs: (\S*)/gm)].map(([, name, partitions, configs]) => [
      name!,
      { partitions: Number(partitions), configs: new Map(configs!.split(',').filter((pair) => pair !== '').map((pair) => pair.split('=') as [string, string])) },
    ]),
  );
}

function check(image: MetadataImage): void {
  const ids = readTopicIds();
  const printed = printedTopics();
  const clients = [...image.topics.keys()].filter((name) => !name.startsWith('__')).sort();
  expect(clients).toEqual([...ids.keys()].sort());
  for (const [name, { partitions, configs }] of printed) {
    const topic = image.topic(name)!;
    expect(topic.id).toBe(ids.get(name));
    expect(topic.partitions.length).toBe(partitions);
    expect(topic.partitions.every(({ replicas }) => replicas.length === 1 && replicas[0] === 1)).toBe(true);
    for (const [key, value] of image.topicConfig(name)) expect([name, key, configs.get(key)]).toEqual([name, key, value]);
  }
  expect([...image.topics.keys()].filter((name) => name.startsWith('__')).sort()).toEqual(['__consumer_offsets', '__share_group_state', '__transaction_state']);
  expect(image.topicConfig('compacted').get('cleanup.policy')).toBe('compact');
  expect(image.configOf(ResourceType.BROKER, '').get('min.insync.replicas')).toBe('1');
  expect(image.producerIds).toMatchObject({ nextProducerId: 1000 });
  expect([image.scramCredentials.size, image.clientQuotas.size]).toEqual([1, 1]);
  expect(image.metadataVersion).toBe(30);
}

describe.skipIf(!kafkaDataIsThere)('what 4.3.1 left (skipped where ../shared is missing)', () => {
  it.each(['clean', 'killed'] as const)('%s', async (name) => {
    const disk = new MemoryDisk();
    disk.makeDirectory(DIRECTORY);
    unpackImage(name, disk, DIRECTORY);
    const meta = loadMetaProperties(disk, DIRECTORY);
    if (meta.status !== 'ok') throw new Error(meta.status);
    const { clusterId, directoryId } = meta.value;
    const world = new QuorumWorld({ disk });
    // Stamps of batches must not run backwards, or segments roll by age.
    world.nowMs = 1_795_300_000_000;
    const open = () =>
      openQuorum({
        runtime: world.runtime, directory: DIRECTORY, settings: world.settings, nodeId: 1, clusterId, directoryId: directoryId!, logger: world.logger,
        onFailure: (error) => (world.failure = error),
      });

    const first = await open();
    const epoch = await first.controller!.joinCluster(world.registration({ clusterId }));
    check(first.image());
    expect(first.image().brokers.get(1)).toMatchObject({ epoch, fenced: false, inControlledShutdown: false });
    expect(first.image().partition('plain', 2)).toMatchObject({ leader: 1, isr: [1] });
    const quorumState = JSON.parse(disk.readFile(`${METADATA}/quorum-state`).toString()) as { leaderEpoch: number };
    expect(quorumState.leaderEpoch).toBe(2);
    await first.controller!.createTopics([newTopic('ours')]);
    expect(await first.controller!.allocateProducerIds(1, epoch)).toEqual({ firstProducerId: 1000, blockSize: 1000 });
    await first.snapshot();
    await first.close();

    const second = await open();
    await second.controller!.joinCluster(world.registration({ clusterId, previousBrokerEpoch: epoch }));
    expect(second.image().topic('ours')!.partitions.length).toBe(1);
    await second.controller!.deleteTopics([second.image().topic('ours')!.id]);
    const image = second.image();
    expect(image.producerIds!.nextProducerId).toBe(2000);
    expect([image.scramCredentials.size, image.clientQuotas.size]).toEqual([1, 1]);
    expect(readTopicIds().get('txn')).toBe(image.topic('txn')!.id);
    await second.close();
    expect(world.failure).toBeUndefined();
  });
});
