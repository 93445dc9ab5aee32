/**
 * AlterPartition: a leader asks for another set of in-sync replicas, or says that it has recovered.
 *
 * Promises: pure; the order of checks is that of Kafka's ReplicationControlManager, for it decides whether a leader gives up, asks again, or looks for
 * another controller. A replica gets in only in the life in which it caught up (KIP-903). A change that completes a reassignment may cost the asker its
 * leadership: it is told NEW_LEADER_ELECTED, and the change is made all the same.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type { AlterPartitionRequest, AlterPartitionResponse } from '../../protocol/messages/cluster.ts';
import { applyPartitionChange } from './delta.ts';
import { type MetadataImage, type PartitionImage, RECOVERED, RECOVERING, ZERO_UUID } from './image.ts';
import { changeRecord, electionFor, type PartitionsContext } from './partition-target.ts';
import type { NewRecord } from './records.ts';

export type IsrChanges = Value<typeof AlterPartitionRequest>;
export type IsrChangesAnswer = Input<typeof AlterPartitionResponse>;
type IsrChange = IsrChanges['topics'][number]['partitions'][number];
type PartitionAnswer = IsrChangesAnswer['topics'][number]['partitions'][number];

interface Member {
  readonly brokerId: number;
  readonly brokerEpoch: number;
}

/** Says that the epoch is not to be looked at. */
const ANY_EPOCH = -1;

/** The asking broker's epoch is checked. */
export function alterPartitions({ brokerId, topics }: IsrChanges, context: PartitionsContext): { records: NewRecord[]; answer: IsrChangesAnswer } {
  const { image } = context;
  const records: NewRecord[] = [];
  const answered = topics.map(({ topicId, partitions }) => {
    const topic = topicId === ZERO_UUID ? undefined : image.topicById(topicId);
    return {
      topicId,
      partitions: partitions.map((change): PartitionAnswer => {
        const { partitionIndex } = change;
        if (topic === undefined) return failure(partitionIndex, ErrorCode.UNKNOWN_TOPIC_ID);
        const partition = topic.partitions[partitionIndex];
        if (partition === undefined) return failure(partitionIndex, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
        const members = membersOf(change);
        const fault = faultOf(change, members, { brokerId, partition, image });
        if (fault !== ErrorCode.NONE) return failure(partitionIndex, fault);
        const record = changeRecord(
          { topic, partitionId: partitionIndex, partition },
          { isr: members.map((member) => member.brokerId), leaderRecoveryState: change.leaderRecoveryState, election: electionFor(topic, context) },
          context,
        );
        if (record === null || record.name !== 'PartitionChangeRecord') return success(partitionIndex, partition);
        records.push(record);
        const { leader } = record.value;
        if (leader !== undefined && leader !== brokerId) return failure(partitionIndex, ErrorCode.NEW_LEADER_ELECTED);
        return success(partitionIndex, applyPartitionChange(partition, record.value));
      }),
    };
  });
  return { records, answer: { throttleTimeMs: 0, errorCode: ErrorCode.NONE, topics: answered } };
}

/** Since version 3 with epochs; a version has one of the two. */
function membersOf({ newIsr, newIsrWithEpochs }: IsrChange): readonly Member[] {
  return newIsr.length > 0 ? newIsr.map((brokerId) => ({ brokerId, brokerEpoch: ANY_EPOCH })) : newIsrWithEpochs;
}

function faultOf(
  change: IsrChange,
  members: readonly Member[],
  { brokerId, partition, image }: { readonly brokerId: number; readonly partition: PartitionImage; readonly image: MetadataImage },
): ErrorCode {
  // A leader that knows more than we do has heard from a later controller: we only think that we are active.
  if (change.leaderEpoch > partition.leaderEpoch || change.partitionEpoch > partition.partitionEpoch) return ErrorCode.NOT_CONTROLLER;
  if (change.leaderEpoch < partition.leaderEpoch) return ErrorCode.FENCED_LEADER_EPOCH;
  if (brokerId !== partition.leader) return ErrorCode.INVALID_REQUEST;
  if (change.partitionEpoch < partition.partitionEpoch) return ErrorCode.INVALID_UPDATE_VERSION;
  const ids = members.map((member) => member.brokerId);
  if (ids.length === 0 || new Set(ids).size !== ids.length || !ids.every((id) => partition.replicas.includes(id))) return ErrorCode.INVALID_REQUEST;
  if (!ids.includes(partition.leader)) return ErrorCode.INVALID_REQUEST;
  // Kafka's controller fails on a state that it does not know, and gives up its leadership.
  if (change.leaderRecoveryState !== RECOVERED && change.leaderRecoveryState !== RECOVERING) return ErrorCode.INVALID_REQUEST;
  if (change.leaderRecoveryState === RECOVERING && (ids.length > 1 || partition.leaderRecoveryState === RECOVERED)) return ErrorCode.INVALID_REQUEST;
  return members.every((member) => isEligible(member, image)) ? ErrorCode.NONE : ErrorCode.INELIGIBLE_REPLICA;
}

function isEligible({ brokerId, brokerEpoch }: Member, image: MetadataImage): boolean {
  return image.isActive(brokerId) && (brokerEpoch === ANY_EPOCH || image.brokers.get(brokerId)!.epoch === brokerEpoch);
}

function failure(partitionIndex: number, errorCode: ErrorCode): PartitionAnswer {
  return { partitionIndex, errorCode, leaderId: 0, leaderEpoch: 0, isr: [], partitionEpoch: 0 };
}

function success(partitionIndex: number, { leader, leaderEpoch, isr, leaderRecoveryState, partitionEpoch }: PartitionImage): PartitionAnswer {
  return { partitionIndex, errorCode: ErrorCode.NONE, leaderId: leader, leaderEpoch, isr, leaderRecoveryState, partitionEpoch };
}
