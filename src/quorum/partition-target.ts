/**
 * What every decision about a partition needs besides what it is about: who may lead, the minimum in sync, the rules of the metadata.version.
 *
 * Promises: pure. `changeRecord` turns a wish into the record that grants it, or into null when nothing would change. A sweep sees one image: changes
 * that it makes do not see each other, as in Kafka's ReplicationControlManager.
 */
import { type MetadataVersionRules, metadataVersionRules } from './features.ts';
import { LOST_DIRECTORY, type MetadataImage, MIGRATING_DIRECTORY, type PartitionImage, type TopicImage, UNASSIGNED_DIRECTORY } from './image.ts';
import { partitionChange, type PartitionTarget } from './partition-change.ts';
import type { PartitionIndex, PartitionRef } from './partition-index.ts';
import { newRecord, type NewRecord } from './records.ts';
import { defaultDirectory } from './topic-creation.ts';

/** The settings of topics that elections depend on. */
export interface ElectionSettings {
  minInsyncReplicas(topic: string, image: MetadataImage): number;
  uncleanLeaderElection(topic: string, image: MetadataImage): boolean;
}

export interface PartitionsContext {
  readonly image: MetadataImage;
  /** Of that image. */
  readonly index: PartitionIndex;
  readonly settings: ElectionSettings;
}

/** What is wished for; the rest of a target follows from the context. */
export type PartitionWish = Partial<Omit<PartitionTarget, 'topicId' | 'partitionId' | 'partition' | 'isAcceptableLeader'>>;

export type CanLead = (brokerId: number) => boolean;

export function changeRecord(
  { topic, partitionId, partition }: PartitionRef,
  wish: PartitionWish,
  { image, settings }: PartitionsContext,
  canLead: CanLead = (broker) => image.isActive(broker),
): NewRecord | null {
  const rules = rulesOf(image);
  const change = partitionChange({
    topicId: topic.id,
    partitionId,
    partition,
    isAcceptableLeader: (broker) => canLead(broker) && hasReplica(image, broker, partition),
    minInsyncReplicas: Math.min(settings.minInsyncReplicas(topic.name, image), topic.partitions[0]!.replicas.length),
    elrEnabled: image.elrEnabled,
    rules,
    defaultDirectory: (broker) => (rules.supportsDirectories ? defaultDirectory(image, broker) : MIGRATING_DIRECTORY),
    ...wish,
  });
  return change === null ? null : newRecord('PartitionChangeRecord', change, rules.partitionChangeRecordVersion);
}

export function electionFor(topic: TopicImage, { image, settings }: PartitionsContext): 'unclean' | 'online' {
  return settings.uncleanLeaderElection(topic.name, image) ? 'unclean' : 'online';
}

const NO_BROKER = -1;

export interface PartitionSweep {
  /** This broker leaves in-sync sets and leaderships. */
  readonly remove?: number;
  /** This one counts as able to lead although the image still has it fenced. */
  readonly add?: number;
  /** This one may lack the end of its logs: neither in sync, nor eligible, nor leader. */
  readonly uncleanShutdown?: number;
}

/** What becomes of the partitions when a broker comes, goes, or has lost what it wrote last. */
export function sweepPartitions(partitions: Iterable<PartitionRef>, sweep: PartitionSweep, context: PartitionsContext): NewRecord[] {
  const { remove = NO_BROKER, add = NO_BROKER, uncleanShutdown = NO_BROKER } = sweep;
  const canLead: CanLead = (broker) => broker !== remove && broker !== uncleanShutdown && (broker === add || context.image.isActive(broker));
  const records: NewRecord[] = [];
  for (const ref of partitions) {
    const record = changeRecord(
      ref,
      {
        isr: ref.partition.isr.filter((broker) => broker !== remove && broker !== uncleanShutdown),
        ...(uncleanShutdown !== NO_BROKER && { uncleanShutdown: [uncleanShutdown] }),
        election: electionFor(ref.topic, context),
      },
      context,
      canLead,
    );
    if (record !== null) records.push(record);
  }
  return records;
}

export function* inSync(brokerId: number, { index }: PartitionsContext): Generator<PartitionRef> {
  for (const ref of index.ofBroker(brokerId)) if (ref.partition.isr.includes(brokerId)) yield ref;
}

export function* eligible(brokerId: number, { index }: PartitionsContext): Generator<PartitionRef> {
  for (const ref of index.ofBroker(brokerId)) if (ref.partition.elr.includes(brokerId)) yield ref;
}

export function rulesOf(image: MetadataImage): MetadataVersionRules {
  return metadataVersionRules(image.metadataVersion ?? 0);
}

/** Whether the directory that holds the replica is online; one that nobody named yet may be. */
function hasReplica(image: MetadataImage, brokerId: number, partition: PartitionImage): boolean {
  const broker = image.brokers.get(brokerId);
  if (broker === undefined) return false;
  // A last known leader may be no replica any more; Kafka fails on it, and it must not lead.
  const directory = partition.directories[partition.replicas.indexOf(brokerId)];
  return directory !== undefined && isOnline(directory, broker.logDirs);
}

/** Kafka's DirectoryId.isOnline. A broker without directories was registered before they were told (3.7-IV2): what it has is taken to be online. */
export function isOnline(directory: string, logDirs: readonly string[]): boolean {
  if (directory === UNASSIGNED_DIRECTORY || directory === MIGRATING_DIRECTORY) return true;
  return directory !== LOST_DIRECTORY && (logDirs.length === 0 || logDirs.includes(directory));
}
