/**
 * Elections that somebody asks for, and those that the controller holds by itself: back to preferred leaders, and of unclean ones where the topic allows.
 *
 * Promises: pure. An unclean election takes place only where a request or the topic's own setting asks for it. Elections that follow from brokers
 * coming and going are in `brokers.ts`.
 */
import { ErrorCode, errorMessage, KafkaError } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type { ElectLeadersRequest, ElectLeadersResponse } from '../../protocol/messages/reassignments.ts';
import { NO_LEADER } from './image.ts';
import type { PartitionRef } from './partition-index.ts';
import { changeRecord, type PartitionsContext } from './partition-target.ts';
import type { NewRecord } from './records.ts';

export type WantedElections = Value<typeof ElectLeadersRequest>;
export type ElectionsAnswer = Input<typeof ElectLeadersResponse>;

/** ElectionType. */
const PREFERRED = 0;
const UNCLEAN = 1;

interface Outcome {
  readonly errorCode: ErrorCode;
  readonly errorMessage: string | null;
}

const ELECTED: Outcome = { errorCode: ErrorCode.NONE, errorMessage: null };

export function electLeaders({ electionType, topicPartitions }: WantedElections, context: PartitionsContext): { records: NewRecord[]; answer: ElectionsAnswer } {
  if (electionType !== PREFERRED && electionType !== UNCLEAN) throw new KafkaError(ErrorCode.INVALID_REQUEST, `Unknown election type ${electionType}`);
  const records: NewRecord[] = [];
  const { image } = context;
  const results: { topic: string; partitionResult: (Outcome & { partitionId: number })[] }[] = [];
  if (topicPartitions === null) {
    for (const topic of image.topics.values()) {
      const outcomes = topic.partitions.map((partition, partitionId) => ({ partitionId, ...elect({ topic, partitionId, partition }) }));
      // Of all there are, those that have the leader that they should have are not worth a line each.
      results.push({ topic: topic.name, partitionResult: outcomes.filter(({ errorCode }) => errorCode !== ErrorCode.ELECTION_NOT_NEEDED) });
    }
  } else {
    for (const { topic: name, partitions } of topicPartitions) {
      const topic = image.topic(name);
      const partitionResult = partitions.map((partitionId) => {
        if (topic === undefined) return { partitionId, ...failed(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `No such topic as ${name}`) };
        const partition = topic.partitions[partitionId];
        if (partition === undefined) return { partitionId, ...failed(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `No such partition as ${name}-${partitionId}`) };
        return { partitionId, ...elect({ topic, partitionId, partition }) };
      });
      results.push({ topic: name, partitionResult });
    }
  }
  return { records, answer: { throttleTimeMs: 0, errorCode: ErrorCode.NONE, replicaElectionResults: results } };

  function elect(ref: PartitionRef): Outcome {
    const { leader, replicas } = ref.partition;
    if (electionType === PREFERRED ? leader === replicas[0] : leader !== NO_LEADER) return failed(ErrorCode.ELECTION_NOT_NEEDED);
    const record = changeRecord(ref, { election: electionType === PREFERRED ? 'preferred' : 'unclean' }, context);
    if (record === null) return failed(electionType === PREFERRED ? ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE : ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE);
    records.push(record);
    return ELECTED;
  }
}

function failed(errorCode: ErrorCode, text: string | null = errorMessage(errorCode)): Outcome {
  return { errorCode, errorMessage: text };
}

/** Of partitions that another than the preferred replica leads, or none, up to `electionsMax` at a time; more says that there may be others. */
export function preferredElections(electionsMax: number, context: PartitionsContext): { records: NewRecord[]; more: boolean } {
  return elections(context.index.imbalanced(), (ref) => changeRecord(ref, { election: 'preferred' }, context), electionsMax);
}

/** Of partitions without a leader whose topic would rather lose records than wait. */
export function uncleanElections(electionsMax: number, context: PartitionsContext): { records: NewRecord[]; more: boolean } {
  const { image, settings } = context;
  const elect = (ref: PartitionRef): NewRecord | null =>
    settings.uncleanLeaderElection(ref.topic.name, image) ? changeRecord(ref, { election: 'unclean' }, context) : null;
  return elections(context.index.leaderless(), elect, electionsMax);
}

function elections(
  partitions: Iterable<PartitionRef>,
  elect: (ref: PartitionRef) => NewRecord | null,
  electionsMax: number,
): { records: NewRecord[]; more: boolean } {
  const records: NewRecord[] = [];
  for (const ref of partitions) {
    if (records.length >= electionsMax) return { records, more: true };
    const record = elect(ref);
    if (record !== null) records.push(record);
  }
  return { records, more: false };
}
