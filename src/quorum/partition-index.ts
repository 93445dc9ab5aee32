/**
 * Which partitions concern a broker, have no leader, not the preferred one, or are being moved: what would else take a walk over all partitions.
 *
 * Promises: `at(image)` costs what differs from the image that it was asked about last, forward or backward; the answers are those of that image. Iterate
 * before the next `at`. Knows nothing of sessions or settings.
 */
import { MetadataImage, NO_LEADER, type PartitionImage, type TopicImage } from './image.ts';

export interface PartitionRef {
  readonly topic: TopicImage;
  readonly partitionId: number;
  readonly partition: PartitionImage;
}

class PartitionSet {
  readonly #topics = new Map<string, Set<number>>();

  get isEmpty(): boolean {
    return this.#topics.size === 0;
  }

  add(topicId: string, partitionId: number): void {
    let partitions = this.#topics.get(topicId);
    if (partitions === undefined) this.#topics.set(topicId, (partitions = new Set()));
    partitions.add(partitionId);
  }

  delete(topicId: string, partitionId: number): void {
    const partitions = this.#topics.get(topicId);
    if (partitions === undefined) return;
    partitions.delete(partitionId);
    if (partitions.size === 0) this.#topics.delete(topicId);
  }

  *refs(image: MetadataImage): Generator<PartitionRef> {
    for (const [topicId, partitions] of this.#topics) {
      const topic = image.topicById(topicId)!;
      for (const partitionId of partitions) yield { topic, partitionId, partition: topic.partitions[partitionId]! };
    }
  }
}

export class PartitionIndex {
  #image: MetadataImage = MetadataImage.EMPTY;
  readonly #byBroker = new Map<number, PartitionSet>();
  readonly #leaderships = new Map<number, number>();
  readonly #leaderless = new PartitionSet();
  readonly #imbalanced = new PartitionSet();
  readonly #reassigning = new PartitionSet();

  at(image: MetadataImage): this {
    const before = this.#image;
    if (before.topicsById !== image.topicsById) {
      for (const topicId of before.topicsById.differences(image.topicsById)) this.#update(topicId, before.topicById(topicId), image.topicById(topicId));
    }
    this.#image = image;
    return this;
  }

  /** Where the broker is a replica, in sync, or eligible. */
  ofBroker(brokerId: number): Iterable<PartitionRef> {
    return this.#byBroker.get(brokerId)?.refs(this.#image) ?? [];
  }

  leads(brokerId: number): boolean {
    return this.#leaderships.has(brokerId);
  }

  leaderless(): Iterable<PartitionRef> {
    return this.#leaderless.refs(this.#image);
  }

  /** Led by another than the first of their replicas, or by none. */
  imbalanced(): Iterable<PartitionRef> {
    return this.#imbalanced.refs(this.#image);
  }

  reassigning(): Iterable<PartitionRef> {
    return this.#reassigning.refs(this.#image);
  }

  #update(topicId: string, was: TopicImage | undefined, is: TopicImage | undefined): void {
    const count = Math.max(was?.partitions.length ?? 0, is?.partitions.length ?? 0);
    for (let partitionId = 0; partitionId < count; partitionId++) {
      const old = was?.partitions[partitionId];
      const now = is?.partitions[partitionId];
      if (old === now) continue;
      if (old !== undefined) this.#remove(topicId, partitionId, old);
      if (now !== undefined) this.#add(topicId, partitionId, now);
    }
  }

  #remove(topicId: string, partitionId: number, partition: PartitionImage): void {
    for (const broker of concerned(partition)) {
      const set = this.#byBroker.get(broker);
      set?.delete(topicId, partitionId);
      if (set?.isEmpty) this.#byBroker.delete(broker);
    }
    const { leader } = partition;
    const led = (this.#leaderships.get(leader) ?? 0) - 1;
    if (led > 0) this.#leaderships.set(leader, led);
    else this.#leaderships.delete(leader);
    this.#leaderless.delete(topicId, partitionId);
    this.#imbalanced.delete(topicId, partitionId);
    this.#reassigning.delete(topicId, partitionId);
  }

  #add(topicId: string, partitionId: number, partition: PartitionImage): void {
    for (const broker of concerned(partition)) {
      let set = this.#byBroker.get(broker);
      if (set === undefined) this.#byBroker.set(broker, (set = new PartitionSet()));
      set.add(topicId, partitionId);
    }
    const { leader } = partition;
    this.#leaderships.set(leader, (this.#leaderships.get(leader) ?? 0) + 1);
    if (leader === NO_LEADER) this.#leaderless.add(topicId, partitionId);
    if (leader !== partition.replicas[0]) this.#imbalanced.add(topicId, partitionId);
    if (isReassigning(partition)) this.#reassigning.add(topicId, partitionId);
  }
}

export function isReassigning({ addingReplicas, removingReplicas }: PartitionImage): boolean {
  return addingReplicas.length > 0 || removingReplicas.length > 0;
}

/** A replica that a reassignment took away while it was in sync may stay eligible (KIP-966), so eligible ones need not be replicas. */
function concerned({ replicas, isr, elr }: PartitionImage): Iterable<number> {
  const others = [...isr, ...elr].filter((broker) => !replicas.includes(broker));
  return others.length === 0 ? replicas : new Set([...replicas, ...others]);
}
