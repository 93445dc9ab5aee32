/** Records of __consumer_offsets: committed offsets, classic groups and consumer groups. The other kinds of groups are in files of their own. */
import { array, bytes, int32, int64, int64Exact, int8, message, string, struct, uuid } from '../schema.ts';
import { coordinatorRecords } from './framing.ts';
import { shareGroupRecords } from './share-group.ts';
import { streamsGroupRecords } from './streams-group.ts';

export const LegacyOffsetCommitKey = message({
  name: 'LegacyOffsetCommitKey',
  versions: '0',
  flexible: 'none',
  fields: {
    group: string(),
    topic: string(),
    partition: int32(),
  },
});

export const LegacyOffsetCommitValue = message({
  name: 'LegacyOffsetCommitValue',
  versions: '0',
  flexible: 'none',
  fields: {
    offset: int64Exact(),
    metadata: string(),
    commitTimestamp: int64(),
  },
});

export const OffsetCommitKey = message({
  name: 'OffsetCommitKey',
  versions: '0',
  flexible: 'none',
  fields: {
    group: string(),
    topic: string(),
    partition: int32(),
  },
});

export const OffsetCommitValue = message({
  name: 'OffsetCommitValue',
  versions: '0-4',
  flexible: '4+',
  fields: {
    offset: int64Exact(),
    leaderEpoch: int32('3+').default(-1).ignorable(),
    metadata: string(),
    commitTimestamp: int64(),
    expireTimestamp: int64('1').default(-1).ignorable(),
    topicId: uuid().ignorable().tagged(0, '4+'),
  },
});

export const GroupMetadataKey = message({
  name: 'GroupMetadataKey',
  versions: '0',
  flexible: 'none',
  fields: {
    group: string(),
  },
});

const memberMetadata = {
  memberId: string(),
  groupInstanceId: string('3+').nullable().default(null).ignorable(),
  clientId: string(),
  clientHost: string(),
  rebalanceTimeout: int32('1+').default(-1).ignorable(),
  sessionTimeout: int32(),
  subscription: bytes(),
  assignment: bytes(),
};

export const GroupMetadataValue = message({
  name: 'GroupMetadataValue',
  versions: '0-4',
  flexible: '4+',
  fields: {
    protocolType: string(),
    generation: int32(),
    protocol: string().nullable(),
    leader: string().nullable(),
    currentStateTimestamp: int64('2+').default(-1).ignorable(),
    members: array(struct(memberMetadata)),
  },
});

export const ConsumerGroupMetadataKey = message({
  name: 'ConsumerGroupMetadataKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
  },
});

export const ConsumerGroupMetadataValue = message({
  name: 'ConsumerGroupMetadataValue',
  versions: '0',
  flexible: '0+',
  fields: {
    epoch: int32(),
    metadataHash: int64Exact().default(0n).tagged(0, '0+'),
  },
});

export const ConsumerGroupPartitionMetadataKey = message({
  name: 'ConsumerGroupPartitionMetadataKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
  },
});

export const ConsumerGroupPartitionMetadataValue = message({
  name: 'ConsumerGroupPartitionMetadataValue',
  versions: '0',
  flexible: '0+',
  fields: {
    topics: array(struct({
      topicId: uuid(),
      topicName: string(),
      numPartitions: int32(),
      partitionMetadata: array(struct({
        partition: int32(),
        racks: array(string()),
      })),
    })),
  },
});

export const ConsumerGroupMemberMetadataKey = message({
  name: 'ConsumerGroupMemberMetadataKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    memberId: string(),
  },
});

export const ConsumerGroupMemberMetadataValue = message({
  name: 'ConsumerGroupMemberMetadataValue',
  versions: '0',
  flexible: '0+',
  fields: {
    instanceId: string().nullable(),
    rackId: string().nullable(),
    clientId: string(),
    clientHost: string(),
    subscribedTopicNames: array(string()),
    subscribedTopicRegex: string().nullable(),
    rebalanceTimeoutMs: int32().default(-1),
    serverAssignor: string().nullable(),
    classicMemberMetadata: struct({
      sessionTimeoutMs: int32(),
      supportedProtocols: array(struct({
        name: string(),
        metadata: bytes(),
      })),
    }).nullable().tagged(0, '0+'),
  },
});

export const ConsumerGroupTargetAssignmentMetadataKey = message({
  name: 'ConsumerGroupTargetAssignmentMetadataKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
  },
});

export const ConsumerGroupTargetAssignmentMetadataValue = message({
  name: 'ConsumerGroupTargetAssignmentMetadataValue',
  versions: '0',
  flexible: '0+',
  fields: {
    assignmentEpoch: int32(),
    assignmentTimestamp: int64().default(0).ignorable().tagged(0, '0+'),
  },
});

export const ConsumerGroupTargetAssignmentMemberKey = message({
  name: 'ConsumerGroupTargetAssignmentMemberKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    memberId: string(),
  },
});

export const ConsumerGroupTargetAssignmentMemberValue = message({
  name: 'ConsumerGroupTargetAssignmentMemberValue',
  versions: '0',
  flexible: '0+',
  fields: {
    topicPartitions: array(struct({
      topicId: uuid(),
      partitions: array(int32()),
    })),
  },
});

export const ConsumerGroupCurrentMemberAssignmentKey = message({
  name: 'ConsumerGroupCurrentMemberAssignmentKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    memberId: string(),
  },
});

const topicPartitions = {
  topicId: uuid(),
  partitions: array(int32()),
  assignmentEpochs: array(int32()).nullable().tagged(0, '0+'),
};

export const ConsumerGroupCurrentMemberAssignmentValue = message({
  name: 'ConsumerGroupCurrentMemberAssignmentValue',
  versions: '0',
  flexible: '0+',
  fields: {
    memberEpoch: int32(),
    previousMemberEpoch: int32(),
    state: int8(),
    assignedPartitions: array(struct(topicPartitions)),
    partitionsPendingRevocation: array(struct(topicPartitions)),
  },
});

export const ConsumerGroupRegularExpressionKey = message({
  name: 'ConsumerGroupRegularExpressionKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    regularExpression: string(),
  },
});

export const ConsumerGroupRegularExpressionValue = message({
  name: 'ConsumerGroupRegularExpressionValue',
  versions: '0',
  flexible: '0+',
  fields: {
    topics: array(string()),
    version: int64(),
    timestamp: int64(),
  },
});

/** All records of the topic by name, with the number that goes before the key. */
export const groupRecords = coordinatorRecords({
  LegacyOffsetCommit: { type: 0, key: LegacyOffsetCommitKey, value: LegacyOffsetCommitValue },
  OffsetCommit: { type: 1, key: OffsetCommitKey, value: OffsetCommitValue },
  GroupMetadata: { type: 2, key: GroupMetadataKey, value: GroupMetadataValue },
  ConsumerGroupMetadata: { type: 3, key: ConsumerGroupMetadataKey, value: ConsumerGroupMetadataValue },
  ConsumerGroupPartitionMetadata: { type: 4, key: ConsumerGroupPartitionMetadataKey, value: ConsumerGroupPartitionMetadataValue },
  ConsumerGroupMemberMetadata: { type: 5, key: ConsumerGroupMemberMetadataKey, value: ConsumerGroupMemberMetadataValue },
  ConsumerGroupTargetAssignmentMetadata: { type: 6, key: ConsumerGroupTargetAssignmentMetadataKey, value: ConsumerGroupTargetAssignmentMetadataValue },
  ConsumerGroupTargetAssignmentMember: { type: 7, key: ConsumerGroupTargetAssignmentMemberKey, value: ConsumerGroupTargetAssignmentMemberValue },
  ConsumerGroupCurrentMemberAssignment: { type: 8, key: ConsumerGroupCurrentMemberAssignmentKey, value: ConsumerGroupCurrentMemberAssignmentValue },
  ConsumerGroupRegularExpression: { type: 16, key: ConsumerGroupRegularExpressionKey, value: ConsumerGroupRegularExpressionValue },
  ...shareGroupRecords,
  ...streamsGroupRecords,
});
