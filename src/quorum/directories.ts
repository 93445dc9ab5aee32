/**
 * In which directory of its broker a replica lies, as the controller is told (KIP-858): assignments, and directories that have failed.
 *
 * Promises: pure. A replica whose directory is lost leaves the in-sync set and does not lead; a broker that has no directory left is fenced by its own
 * silence, for it stops. Does not choose directories: brokers do.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type { AssignReplicasToDirsRequest, AssignReplicasToDirsResponse } from '../../protocol/messages/cluster.ts';
import type { BrokerImage } from './image.ts';
import type { PartitionRef } from './partition-index.ts';
import { changeRecord, isOnline, type PartitionsContext, rulesOf, sweepPartitions } from './partition-target.ts';
import { newRecord, type NewRecord } from './records.ts';

export type DirectoryAssignments = Value<typeof AssignReplicasToDirsRequest>;
export type DirectoryAssignmentsAnswer = Input<typeof AssignReplicasToDirsResponse>;

/** `broker` is the one that asks, its epoch checked. */
export function assignDirectories(
  { directories }: DirectoryAssignments,
  broker: BrokerImage,
  context: PartitionsContext,
): { records: NewRecord[]; answer: DirectoryAssignmentsAnswer } {
  if (!rulesOf(context.image).supportsDirectories) throw new KafkaError(ErrorCode.UNSUPPORTED_VERSION, 'Directory assignment is not supported yet.');
  const records: NewRecord[] = [];
  const nowOffline = new Map<string, PartitionRef>();
  const answered = directories.map(({ id, topics }) => ({
    id,
    topics: topics.map(({ topicId, partitions }) => ({
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: assign(id, topicId, partitionIndex) })),
    })),
  }));
  records.push(...sweepPartitions(nowOffline.values(), { remove: broker.id }, context));
  return { records, answer: { throttleTimeMs: 0, errorCode: ErrorCode.NONE, directories: answered } };

  function assign(directory: string, topicId: string, partitionId: number): ErrorCode {
    const topic = context.image.topicById(topicId);
    if (topic === undefined) return ErrorCode.UNKNOWN_TOPIC_ID;
    const partition = topic.partitions[partitionId];
    if (partition === undefined) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    if (!partition.replicas.includes(broker.id)) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    const ref = { topic, partitionId, partition };
    const record = changeRecord(ref, { directories: new Map([[broker.id, directory]]) }, context);
    if (record !== null) records.push(record);
    if (!isOnline(directory, broker.logDirs)) nowOffline.set(`${topicId} ${partitionId}`, ref);
    return ErrorCode.NONE;
  }
}

/** What lies in directories that a broker has lost is out of its hands. */
export function offlineDirectories(broker: BrokerImage, offlineLogDirs: readonly string[], context: PartitionsContext): NewRecord[] {
  const lost = broker.logDirs.filter((directory) => offlineLogDirs.includes(directory));
  if (lost.length === 0) return [];
  const records: NewRecord[] = [];
  for (const directory of lost) records.push(...sweepPartitions(inDirectory(broker.id, directory, context), { remove: broker.id }, context));
  const logDirs = broker.logDirs.filter((directory) => !lost.includes(directory));
  records.push(newRecord('BrokerRegistrationChangeRecord', { brokerId: broker.id, brokerEpoch: broker.epoch, logDirs }, 2));
  return records;
}

function* inDirectory(brokerId: number, directory: string, { index }: PartitionsContext): Generator<PartitionRef> {
  for (const ref of index.ofBroker(brokerId)) {
    if (ref.partition.directories[ref.partition.replicas.indexOf(brokerId)] === directory) yield ref;
  }
}
