/** The index agrees with a walk over all partitions, whatever image it is asked about next. */
import { describe, expect, it } from 'vitest';
import { ImageMap } from '../../../src/quorum/image-map.ts';
import { MetadataImage, NO_LEADER, type PartitionImage, RECOVERED, type TopicImage } from '../../../src/quorum/image.ts';
import { isReassigning, PartitionIndex, type PartitionRef } from '../../../src/quorum/partition-index.ts';
import { seededRandom } from '../coordinator/world.ts';

const BROKERS = [1, 2, 3, 4, 5];

function randomPartition(random: ReturnType<typeof seededRandom>): PartitionImage {
  const some = (): number[] => BROKERS.filter(() => random.below(2) === 0);
  const replicas = some().length > 0 ? some() : [1];
  return {
    replicas, directories: replicas.map(() => 'd'), isr: some(), removingReplicas: random.below(4) === 0 ? [1] : [], addingReplicas: [], elr: some(), lastKnownElr: [],
    leader: random.below(4) === 0 ? NO_LEADER : 1 + random.below(5), leaderEpoch: 0, leaderRecoveryState: RECOVERED, partitionEpoch: 0,
  };
}

function withTopics(topics: ReadonlyMap<string, TopicImage>): MetadataImage {
  const byId = ImageMap.of([...topics].map(([id, topic]) => [id, topic] as const));
  return new MetadataImage({ ...MetadataImage.EMPTY, topicsById: byId, topics: ImageMap.of([...topics.values()].map((topic) => [topic.name, topic] as const)) });
}

const shown = (refs: Iterable<PartitionRef>): string[] => [...refs].map(({ topic, partitionId }) => `${topic.id}-${partitionId}`).sort();

function walk(image: MetadataImage, concerns: (partition: PartitionImage) => boolean): string[] {
  return [...image.topicsById.values()]
    .flatMap((topic) => topic.partitions.flatMap((partition, partitionId) => (concerns(partition) ? [`${topic.id}-${partitionId}`] : [])))
    .sort();
}

describe('the index', () => {
  it.each([1, 2, 3, 4, 5])('of random lives of topics, seed %i', (seed) => {
    const random = seededRandom(seed);
    const topics = new Map<string, TopicImage>();
    const images: MetadataImage[] = [MetadataImage.EMPTY];
    const index = new PartitionIndex();
    for (let step = 0; step < 200; step++) {
      const id = `t${random.below(12)}`;
      const topic = topics.get(id);
      if (topic === undefined || random.below(6) === 0) {
        if (topic !== undefined && random.below(2) === 0) topics.delete(id);
        else topics.set(id, { id, name: id, partitions: Array.from({ length: 1 + random.below(4) }, () => randomPartition(random)) });
      } else {
        const changed = random.below(topic.partitions.length);
        topics.set(id, { ...topic, partitions: topic.partitions.map((partition, at) => (at === changed ? randomPartition(random) : partition)) });
      }
      images.push(withTopics(topics));
      // Sometimes back to one that was there before: what was not committed is gone.
      const image = random.below(5) === 0 ? images[random.below(images.length)]! : images.at(-1)!;
      index.at(image);
      for (const broker of BROKERS) {
        expect(shown(index.ofBroker(broker))).toEqual(walk(image, ({ replicas, isr, elr }) => [...replicas, ...isr, ...elr].includes(broker)));
        expect(index.leads(broker)).toBe(walk(image, ({ leader }) => leader === broker).length > 0);
      }
      expect(shown(index.leaderless())).toEqual(walk(image, ({ leader }) => leader === NO_LEADER));
      expect(shown(index.imbalanced())).toEqual(walk(image, ({ leader, replicas }) => leader !== replicas[0]));
      expect(shown(index.reassigning())).toEqual(walk(image, isReassigning));
    }
  });
});
