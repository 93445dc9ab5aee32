/** Streams groups (KIP-1071). */
import { api, array, bool, int16, int32, int64, int8, message, string, struct, uint16 } from '../schema.ts';

const keyValue = {
  key: string(),
  value: string(),
};

const topicInfo = {
  name: string(),
  partitions: int32(),
  replicationFactor: int16(),
  topicConfigs: array(struct(keyValue)),
};

const endpoint = {
  host: string(),
  port: uint16(),
};

const taskOffset = {
  subtopologyId: string(),
  partition: int32(),
  offset: int64(),
};

const taskIds = {
  subtopologyId: string(),
  partitions: array(int32()),
};

export const StreamsGroupHeartbeatRequest = message({
  name: 'StreamsGroupHeartbeatRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    groupId: string(),
    memberId: string(),
    memberEpoch: int32(),
    endpointInformationEpoch: int32(),
    instanceId: string().nullable().default(null),
    rackId: string().nullable().default(null),
    rebalanceTimeoutMs: int32().default(-1),
    topology: struct({
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
    }).nullable().default(null),
    activeTasks: array(struct(taskIds)).nullable().default(null),
    standbyTasks: array(struct(taskIds)).nullable().default(null),
    warmupTasks: array(struct(taskIds)).nullable().default(null),
    processId: string().nullable().default(null),
    userEndpoint: struct(endpoint).nullable().default(null),
    clientTags: array(struct(keyValue)).nullable().default(null),
    taskOffsets: array(struct(taskOffset)).nullable().default(null),
    taskEndOffsets: array(struct(taskOffset)).nullable().default(null),
    shutdownApplication: bool().default(false),
  },
});

const status = {
  statusCode: int8(),
  statusDetail: string(),
};

const topicPartition = {
  topic: string(),
  partitions: array(int32()),
};

export const StreamsGroupHeartbeatResponse = message({
  name: 'StreamsGroupHeartbeatResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
    memberId: string(),
    memberEpoch: int32(),
    heartbeatIntervalMs: int32(),
    acceptableRecoveryLag: int32(),
    taskOffsetIntervalMs: int32(),
    status: array(struct(status)).nullable(),
    activeTasks: array(struct(taskIds)).nullable().default(null),
    standbyTasks: array(struct(taskIds)).nullable().default(null),
    warmupTasks: array(struct(taskIds)).nullable().default(null),
    endpointInformationEpoch: int32(),
    partitionsByUserEndpoint: array(struct({
      userEndpoint: struct(endpoint),
      activePartitions: array(struct(topicPartition)),
      standbyPartitions: array(struct(topicPartition)),
    })).nullable().default(null),
  },
});

export const StreamsGroupHeartbeat = api({
  key: 88,
  name: 'StreamsGroupHeartbeat',
  request: StreamsGroupHeartbeatRequest,
  response: StreamsGroupHeartbeatResponse,
  listeners: ['broker'],
});

export const StreamsGroupDescribeRequest = message({
  name: 'StreamsGroupDescribeRequest',
  versions: '0',
  flexible: '0+',
  fields: {
    groupIds: array(string()),
    includeAuthorizedOperations: bool(),
  },
});

const assignment = {
  activeTasks: array(struct(taskIds)),
  standbyTasks: array(struct(taskIds)),
  warmupTasks: array(struct(taskIds)),
};

export const StreamsGroupDescribeResponse = message({
  name: 'StreamsGroupDescribeResponse',
  versions: '0',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    groups: array(struct({
      errorCode: int16(),
      errorMessage: string().nullable().default(null),
      groupId: string(),
      groupState: string(),
      groupEpoch: int32(),
      assignmentEpoch: int32(),
      topology: struct({
        epoch: int32(),
        subtopologies: array(struct({
          subtopologyId: string(),
          sourceTopics: array(string()),
          repartitionSinkTopics: array(string()),
          stateChangelogTopics: array(struct(topicInfo)),
          repartitionSourceTopics: array(struct(topicInfo)),
        })).nullable().default(null),
      }).nullable().default(null),
      members: array(struct({
        memberId: string(),
        memberEpoch: int32(),
        instanceId: string().nullable().default(null),
        rackId: string().nullable().default(null),
        clientId: string(),
        clientHost: string(),
        topologyEpoch: int32(),
        processId: string(),
        userEndpoint: struct(endpoint).nullable().default(null),
        clientTags: array(struct(keyValue)),
        taskOffsets: array(struct(taskOffset)),
        taskEndOffsets: array(struct(taskOffset)),
        assignment: struct(assignment),
        targetAssignment: struct(assignment),
        isClassic: bool(),
      })),
      authorizedOperations: int32().default(-2147483648),
    })),
  },
});

export const StreamsGroupDescribe = api({
  key: 89,
  name: 'StreamsGroupDescribe',
  request: StreamsGroupDescribeRequest,
  response: StreamsGroupDescribeResponse,
  listeners: ['broker'],
});
