/**
 * Reassignments: partitions move to other brokers, step by step, while they serve (KIP-455).
 *
 * Promises: pure. A reassignment first adds the new replicas to the partition, and is completed by the in-sync change (`partition-change.ts`) that
 * brings the last of them in; null as target cancels it, which goes back to what was. Codes and texts are those of Kafka's ReplicationControlManager.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type {
  AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
} from '../../protocol/messages/reassignments.ts';
import type { MetadataImage, PartitionImage } from './image.ts';
import { isReassigning, type PartitionIndex, type PartitionRef } from './partition-index.ts';
import { changeRecord, electionFor, type PartitionsContext } from './partition-target.ts';
import type { NewRecord } from './records.ts';
import { checkAssignment, ownText } from './topic-creation.ts';

export type Reassignments = Value<typeof AlterPartitionReassignmentsRequest>;
export type ReassignmentsAnswer = Input<typeof AlterPartitionReassignmentsResponse>;
export type ReassignmentsQuery = Value<typeof ListPartitionReassignmentsRequest>;
export type OngoingReassignments = Input<typeof ListPartitionReassignmentsResponse>;
type OngoingTopic = OngoingReassignments['topics'][number];

export function alterReassignments(
  { topics, allowReplicationFactorChange }: Reassignments,
  context: PartitionsContext,
): { records: NewRecord[]; answer: ReassignmentsAnswer } {
  // Kafka's controller is not asked then, and the message stays at its default.
  if (topics.length === 0) return { records: [], answer: { throttleTimeMs: 0, allowReplicationFactorChange: true, errorCode: ErrorCode.NONE, errorMessage: '', responses: [] } };
  const records: NewRecord[] = [];
  const responses = topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, replicas }) => {
      try {
        const ref = find(name, partitionIndex, context.image);
        const record = replicas === null ? cancel(ref, context) : reassign(ref, replicas, { allowReplicationFactorChange }, context);
        if (record !== null) records.push(record);
        return { partitionIndex, errorCode: ErrorCode.NONE, errorMessage: null };
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        return { partitionIndex, errorCode: error.code, errorMessage: ownText(error) };
      }
    }),
  }));
  return { records, answer: { throttleTimeMs: 0, allowReplicationFactorChange, errorCode: ErrorCode.NONE, errorMessage: null, responses } };
}

function find(name: string, partitionId: number, image: MetadataImage): PartitionRef {
  const topic = image.topic(name);
  if (topic === undefined) throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `Unable to find a topic named ${name}.`);
  const partition = topic.partitions[partitionId];
  if (partition === undefined) throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `Unable to find partition ${name}:${partitionId}.`);
  return { topic, partitionId, partition };
}

function reassign(
  ref: PartitionRef,
  replicas: readonly number[],
  { allowReplicationFactorChange }: { readonly allowReplicationFactorChange: boolean },
  context: PartitionsContext,
): NewRecord | null {
  const { partition } = ref;
  checkAssignment(replicas, null, context.image);
  if (!allowReplicationFactorChange) {
    const present = targetOf(partition).length;
    if (present !== replicas.length) {
      throw new KafkaError(ErrorCode.INVALID_REPLICATION_FACTOR, `The replication factor is changed from ${present} to ${replicas.length}`);
    }
  }
  const removing = sorted(partition.replicas.filter((broker) => !replicas.includes(broker)));
  const adding = sorted(replicas.filter((broker) => !partition.replicas.includes(broker)));
  return changeRecord(
    ref,
    {
      replicas: [...replicas, ...removing],
      // A list that would be empty leaves that of a reassignment under way as it is.
      ...(removing.length > 0 && { removingReplicas: removing }),
      ...(adding.length > 0 && { addingReplicas: adding }),
    },
    context,
  );
}

/** Where a reassignment under way leads to. */
function targetOf({ replicas, addingReplicas, removingReplicas }: PartitionImage): number[] {
  return [...new Set([...replicas, ...addingReplicas])].filter((broker) => !removingReplicas.includes(broker));
}

function cancel(ref: PartitionRef, context: PartitionsContext): NewRecord | null {
  const { topic, partitionId, partition } = ref;
  if (!isReassigning(partition)) throw new KafkaError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS);
  const { addingReplicas } = partition;
  const replicas = partition.replicas.filter((broker) => !addingReplicas.includes(broker));
  let isr = partition.isr.filter((broker) => !addingReplicas.includes(broker));
  const election = electionFor(topic, context);
  if (isr.length === 0) {
    if (replicas.length === 0) {
      throw new KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, 'Invalid replica assignment: addingReplicas contains all replicas.');
    }
    // Only new replicas are in sync: going back to the old ones loses records.
    if (election !== 'unclean') {
      throw new KafkaError(
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        `Unable to revert partition assignment for ${topic.name}:${partitionId} because it would require an unclean leader election.`,
      );
    }
    isr = [replicas[0]!];
  }
  return changeRecord(ref, { isr, replicas, removingReplicas: [], addingReplicas: [], election }, context);
}

/** `index` is that of `image`. */
export function listReassignments({ topics }: ReassignmentsQuery, image: MetadataImage, index: PartitionIndex): OngoingReassignments {
  const found: OngoingTopic[] = [];
  if (topics === null) {
    const byName = new Map<string, { name: string; partitions: OngoingTopic['partitions'][number][] }>();
    for (const { topic, partitionId, partition } of index.reassigning()) {
      let entry = byName.get(topic.name);
      if (entry === undefined) byName.set(topic.name, (entry = { name: topic.name, partitions: [] }));
      entry.partitions.push(ongoing(partitionId, partition));
    }
    found.push(...byName.values());
  } else {
    for (const { name, partitionIndexes } of topics) {
      const topic = image.topic(name);
      const partitions = partitionIndexes.flatMap((partitionId) => {
        const partition = topic?.partitions[partitionId];
        return partition !== undefined && isReassigning(partition) ? [ongoing(partitionId, partition)] : [];
      });
      if (partitions.length > 0) found.push({ name, partitions });
    }
  }
  return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: null, topics: found };
}

function ongoing(partitionIndex: number, { replicas, addingReplicas, removingReplicas }: PartitionImage): OngoingTopic['partitions'][number] {
  return { partitionIndex, replicas, addingReplicas, removingReplicas };
}

function sorted(brokers: readonly number[]): number[] {
  return [...brokers].sort((left, right) => left - right);
}
