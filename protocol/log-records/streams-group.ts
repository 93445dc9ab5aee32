/** Records of __consumer_offsets: streams groups. */
import { array, int16, int32, int64, int64Exact, int8, message, string, struct, uint16 } from '../schema.ts';
import { coordinatorRecords } from './framing.ts';

export const StreamsGroupMetadataKey = message({
  name: 'StreamsGroupMetadataKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
  },
});

const lastAssignmentConfig = {
  key: string(),
  value: string(),
};

export const StreamsGroupMetadataValue = message({
  name: 'StreamsGroupMetadataValue',
  versions: '0',
  flexible: '0+',
  fields: {
    epoch: int32(),
    metadataHash: int64Exact(),
    validatedTopologyEpoch: int32().default(-1).tagged(0, '0+'),
    lastAssignmentConfigs: array(struct(lastAssignmentConfig)).nullable().tagged(1, '0+'),
  },
});

export const StreamsGroupMemberMetadataKey = message({
  name: 'StreamsGroupMemberMetadataKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    memberId: string(),
  },
});

const endpoint = {
  host: string(),
  port: uint16(),
};

const keyValue = {
  key: string(),
  value: string(),
};

export const StreamsGroupMemberMetadataValue = message({
  name: 'StreamsGroupMemberMetadataValue',
  versions: '0',
  flexible: '0+',
  fields: {
    instanceId: string().nullable(),
    rackId: string().nullable(),
    clientId: string(),
    clientHost: string(),
    rebalanceTimeoutMs: int32().default(-1),
    topologyEpoch: int32(),
    processId: string(),
    userEndpoint: struct(endpoint).nullable().default(null),
    clientTags: array(struct(keyValue)),
  },
});

export const StreamsGroupTargetAssignmentMetadataKey = message({
  name: 'StreamsGroupTargetAssignmentMetadataKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
  },
});

export const StreamsGroupTargetAssignmentMetadataValue = message({
  name: 'StreamsGroupTargetAssignmentMetadataValue',
  versions: '0',
  flexible: '0+',
  fields: {
    assignmentEpoch: int32(),
    assignmentTimestamp: int64().default(0).ignorable().tagged(0, '0+'),
  },
});

export const StreamsGroupTargetAssignmentMemberKey = message({
  name: 'StreamsGroupTargetAssignmentMemberKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    memberId: string(),
  },
});

const taskIds = {
  subtopologyId: string(),
  partitions: array(int32()),
};

export const StreamsGroupTargetAssignmentMemberValue = message({
  name: 'StreamsGroupTargetAssignmentMemberValue',
  versions: '0',
  flexible: '0+',
  fields: {
    activeTasks: array(struct(taskIds)),
    standbyTasks: array(struct(taskIds)),
    warmupTasks: array(struct(taskIds)),
  },
});

export const StreamsGroupCurrentMemberAssignmentKey = message({
  name: 'StreamsGroupCurrentMemberAssignmentKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    memberId: string(),
  },
});

const streamsGroupCurrentMemberAssignmentValueTaskIds = {
  subtopologyId: string(),
  partitions: array(int32()),
  assignmentEpochs: array(int32()).nullable().tagged(0, '0+'),
};

export const StreamsGroupCurrentMemberAssignmentValue = message({
  name: 'StreamsGroupCurrentMemberAssignmentValue',
  versions: '0',
  flexible: '0+',
  fields: {
    memberEpoch: int32(),
    previousMemberEpoch: int32(),
    state: int8(),
    activeTasks: array(struct(streamsGroupCurrentMemberAssignmentValueTaskIds)),
    standbyTasks: array(struct(streamsGroupCurrentMemberAssignmentValueTaskIds)),
    warmupTasks: array(struct(streamsGroupCurrentMemberAssignmentValueTaskIds)),
    activeTasksPendingRevocation: array(struct(streamsGroupCurrentMemberAssignmentValueTaskIds)),
    standbyTasksPendingRevocation: array(struct(streamsGroupCurrentMemberAssignmentValueTaskIds)),
    warmupTasksPendingRevocation: array(struct(streamsGroupCurrentMemberAssignmentValueTaskIds)),
  },
});

export const StreamsGroupTopologyKey = message({
  name: 'StreamsGroupTopologyKey',
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
  },
});

const topicConfig = {
  key: string(),
  value: string(),
};

const topicInfo = {
  name: string(),
  partitions: int32(),
  replicationFactor: int16(),
  topicConfigs: array(struct(topicConfig)),
};

export const StreamsGroupTopologyValue = message({
  name: 'StreamsGroupTopologyValue',
  versions: '0',
  flexible: '0+',
  fields: {
    epoch: int32(),
    subtopologies: array(struct({
      subtopologyId: string(),
      sourceTopics: array(string()),
      sourceTopicRegex: array(string()),
      stateChangelogTopics: array(struct(topicInfo)),
      repartitionSinkTopics: array(string()),
      repartitionSourceTopics: array(struct(topicInfo)),
      copartitionGroups: array(struct({
        sourceTopics: array(int16()),
        sourceTopicRegex: array(int16()),
        repartitionSourceTopics: array(int16()),
      })),
    })),
  },
});

/** Part of `groupRecords`. */
export const streamsGroupRecords = coordinatorRecords({
  StreamsGroupMetadata: { type: 17, key: StreamsGroupMetadataKey, value: StreamsGroupMetadataValue },
  StreamsGroupMemberMetadata: { type: 19, key: StreamsGroupMemberMetadataKey, value: StreamsGroupMemberMetadataValue },
  StreamsGroupTargetAssignmentMetadata: { type: 20, key: StreamsGroupTargetAssignmentMetadataKey, value: StreamsGroupTargetAssignmentMetadataValue },
  StreamsGroupTargetAssignmentMember: { type: 21, key: StreamsGroupTargetAssignmentMemberKey, value: StreamsGroupTargetAssignmentMemberValue },
  StreamsGroupCurrentMemberAssignment: { type: 22, key: StreamsGroupCurrentMemberAssignmentKey, value: StreamsGroupCurrentMemberAssignmentValue },
  StreamsGroupTopology: { type: 23, key: StreamsGroupTopologyKey, value: StreamsGroupTopologyValue },
});
