/**
 * The records of `__consumer_offsets`, as this coordinator reads and writes them.
 *
 * Promises: the bytes of Kafka 4.3.1 (GroupCoordinatorRecordHelpers): GroupMetadata in version 3, OffsetCommit in version 4, or 1 when it has a time to expire.
 * Records of the other kinds of groups are not interpreted beyond whose they are: they are kept as keys, so that they can be taken back, and nothing else.
 */
import { decodeCoordinatorRecord, encodeCoordinatorKey, encodeCoordinatorValue } from '../../protocol/log-records/framing.ts';
import { groupRecords } from '../../protocol/log-records/group.ts';
import type { GroupMetadataValue, OffsetCommitValue } from '../../protocol/log-records/group.ts';
import type { Value } from '../../protocol/schema.ts';
import { memberMetadata } from './classic-group.ts';
import type { ClassicGroup } from './classic-group.ts';
import type { RecordCodec } from './shard.ts';

export const NO_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA';

export type OtherGroupType = 'consumer' | 'share' | 'streams';

/** A null value takes back what the record said. */
export type GroupRecord =
  | { readonly type: 'offset'; readonly group: string; readonly topic: string; readonly partition: number; readonly value: Value<typeof OffsetCommitValue> | null }
  | { readonly type: 'group'; readonly group: string; readonly value: Value<typeof GroupMetadataValue> | null }
  | {
      readonly type: 'other';
      readonly group: string;
      readonly groupType: OtherGroupType;
      readonly key: Buffer;
      /** The record says that the group is there, or that a member is, or neither. */
      readonly says: 'group' | 'member' | 'else';
      readonly isTombstone: boolean;
    };

const OFFSET_VERSION = 4;
/** The last version with a time to expire, which only commits of version 2 to 4 with a retention time have. */
const OFFSET_WITH_EXPIRY_VERSION = 1;
const GROUP_VERSION = 3;

export function groupTombstone(group: string): GroupRecord {
  return { type: 'group', group, value: null };
}

export function offsetTombstone(group: string, topic: string, partition: number): GroupRecord {
  return { type: 'offset', group, topic, partition, value: null };
}

/** What is written when a group comes to be, before it has a generation. */
export function emptyGroupRecord(group: string, stateSinceMs: number): GroupRecord {
  return { type: 'group', group, value: { protocolType: '', generation: 0, protocol: null, leader: null, currentStateTimestamp: stateSinceMs, members: [] } };
}

/** The group's present generation; `assignments` in place of those that its members have. */
export function groupRecord(group: ClassicGroup, assignments?: ReadonlyMap<string, Buffer>): GroupRecord {
  return {
    type: 'group',
    group: group.id,
    value: {
      protocolType: group.protocolType ?? '',
      generation: group.generationId,
      protocol: group.protocolName,
      leader: group.leaderId,
      currentStateTimestamp: group.stateSinceMs,
      members: Array.from(group.members.values(), (member) => ({
        memberId: member.id,
        groupInstanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeout: member.rebalanceTimeoutMs,
        sessionTimeout: member.sessionTimeoutMs,
        subscription: memberMetadata(member, group.protocolName),
        assignment: assignments === undefined ? member.assignment : (assignments.get(member.id) ?? Buffer.alloc(0)),
      })),
    },
  };
}

export const groupRecordCodec: RecordCodec<GroupRecord> = {
  encodeKey(record) {
    switch (record.type) {
      case 'offset':
        return encodeCoordinatorKey(groupRecords.OffsetCommit, { group: record.group, topic: record.topic, partition: record.partition });
      case 'group':
        return encodeCoordinatorKey(groupRecords.GroupMetadata, { group: record.group });
      case 'other':
        return record.key;
    }
  },

  encodeValue(record) {
    if (record.type === 'other' || record.value === null) return null;
    if (record.type === 'group') return encodeCoordinatorValue(groupRecords.GroupMetadata, GROUP_VERSION, record.value);
    const version = record.value.expireTimestamp === -1 ? OFFSET_VERSION : OFFSET_WITH_EXPIRY_VERSION;
    return encodeCoordinatorValue(groupRecords.OffsetCommit, version, record.value);
  },

  decode(key, value) {
    const record = decodeCoordinatorRecord(groupRecords, key, value);
    if (record === undefined) return null;
    switch (record.name) {
      case 'OffsetCommit':
        return { type: 'offset', ...record.key, value: record.value };
      case 'LegacyOffsetCommit':
        return { type: 'offset', ...record.key, value: record.value === null ? null : { ...record.value, leaderEpoch: -1, expireTimestamp: -1, topicId: NO_TOPIC_ID } };
      case 'GroupMetadata':
        return { type: 'group', group: record.key.group, value: record.value };
      default:
        return {
          type: 'other',
          group: record.key.groupId,
          groupType: record.name.startsWith('Share') ? 'share' : record.name.startsWith('Streams') ? 'streams' : 'consumer',
          // It outlives the batch that it was read from.
          key: Buffer.from(key),
          says: record.name.endsWith('GroupMemberMetadata') ? 'member' : record.name.endsWith('GroupMetadata') ? 'group' : 'else',
          isTombstone: value === null,
        };
    }
  },
};
