/**
 * What differs between two images of one lineage: what brokers react to. Costs what changed, not what there is. Does not fold records.
 */
import { configResource, type MetadataImage, type PartitionImage, type TopicImage } from './image.ts';

export interface PartitionChange {
  /** As it is now. */
  readonly topic: TopicImage;
  readonly partition: number;
  /** undefined when the partition is new. */
  readonly before: PartitionImage | undefined;
  readonly after: PartitionImage;
}

/** Lists are in no particular order. */
export interface MetadataChanges {
  readonly before: MetadataImage;
  readonly image: MetadataImage;
  /** As they were. A name that was deleted and created again is in both lists, with its two ids. */
  readonly topicsDeleted: readonly TopicImage[];
  readonly topicsCreated: readonly TopicImage[];
  /** New or changed partitions, those of new topics included. */
  readonly partitions: readonly PartitionChange[];
  /** Resources whose settings changed; those of deleted topics too. */
  readonly configs: readonly { readonly resourceType: number; readonly name: string }[];
  /** Registered, changed or gone. */
  readonly brokers: readonly number[];
  readonly featuresChanged: boolean;
}

export function imageChanges(before: MetadataImage, image: MetadataImage): MetadataChanges {
  const topicsDeleted: TopicImage[] = [];
  const topicsCreated: TopicImage[] = [];
  const partitions: PartitionChange[] = [];
  for (const id of before.topicsById.differences(image.topicsById)) {
    const was = before.topicsById.get(id);
    const topic = image.topicsById.get(id);
    if (topic === undefined) {
      topicsDeleted.push(was!);
      continue;
    }
    if (was === undefined) topicsCreated.push(topic);
    for (let partition = 0; partition < topic.partitions.length; partition++) {
      const after = topic.partitions[partition]!;
      const old = was?.partitions[partition];
      if (old !== after) partitions.push({ topic, partition, before: old, after });
    }
  }
  return {
    before,
    image,
    topicsDeleted,
    topicsCreated,
    partitions,
    configs: [...before.configs.differences(image.configs)].map(configResource),
    brokers: before.brokers === image.brokers ? [] : mapDifferences(before.brokers, image.brokers),
    featuresChanged: before.features !== image.features,
  };
}

function mapDifferences<V>(before: ReadonlyMap<number, V>, after: ReadonlyMap<number, V>): number[] {
  const keys: number[] = [];
  for (const [key, value] of before) if (after.get(key) !== value) keys.push(key);
  for (const key of after.keys()) if (!before.has(key)) keys.push(key);
  return keys;
}
