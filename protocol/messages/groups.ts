/** Finding a coordinator, and the classic group protocol. */
import { api, array, bool, bytes, int16, int32, int8, message, string, struct } from '../schema.ts';

export const FindCoordinatorRequest = message({
  name: 'FindCoordinatorRequest',
  versions: '0-6',
  flexible: '3+',
  fields: {
    key: string('0-3'),
    keyType: int8('1+').default(0),
    coordinatorKeys: array(string(), '4+'),
  },
});

export const FindCoordinatorResponse = message({
  name: 'FindCoordinatorResponse',
  versions: '0-6',
  flexible: '3+',
  fields: {
    throttleTimeMs: int32('1+').ignorable(),
    errorCode: int16('0-3'),
    errorMessage: string('1-3').nullable().ignorable(),
    nodeId: int32('0-3'),
    host: string('0-3'),
    port: int32('0-3'),
    coordinators: array(struct({
      key: string(),
      nodeId: int32(),
      host: string(),
      port: int32(),
      errorCode: int16(),
      errorMessage: string().nullable(),
    }), '4+'),
  },
});

export const FindCoordinator = api({
  key: 10,
  name: 'FindCoordinator',
  request: FindCoordinatorRequest,
  response: FindCoordinatorResponse,
  listeners: ['broker'],
});

export const JoinGroupRequest = message({
  name: 'JoinGroupRequest',
  versions: '0-9',
  flexible: '6+',
  fields: {
    groupId: string(),
    sessionTimeoutMs: int32(),
    rebalanceTimeoutMs: int32('1+').default(-1).ignorable(),
    memberId: string(),
    groupInstanceId: string('5+').nullable().default(null),
    protocolType: string(),
    protocols: array(struct({
      name: string(),
      metadata: bytes(),
    })),
    reason: string('8+').nullable().default(null).ignorable(),
  },
});

export const JoinGroupResponse = message({
  name: 'JoinGroupResponse',
  versions: '0-9',
  flexible: '6+',
  fields: {
    throttleTimeMs: int32('2+').ignorable(),
    errorCode: int16(),
    generationId: int32().default(-1),
    protocolType: string('7+').nullable().default(null).ignorable(),
    protocolName: string().nullable('7+'),
    leader: string(),
    skipAssignment: bool('9+').default(false),
    memberId: string(),
    members: array(struct({
      memberId: string(),
      groupInstanceId: string('5+').nullable().default(null).ignorable(),
      metadata: bytes(),
    })),
  },
});

export const JoinGroup = api({ key: 11, name: 'JoinGroup', request: JoinGroupRequest, response: JoinGroupResponse, listeners: ['broker'] });

export const SyncGroupRequest = message({
  name: 'SyncGroupRequest',
  versions: '0-5',
  flexible: '4+',
  fields: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: string('3+').nullable().default(null),
    protocolType: string('5+').nullable().default(null).ignorable(),
    protocolName: string('5+').nullable().default(null).ignorable(),
    assignments: array(struct({
      memberId: string(),
      assignment: bytes(),
    })),
  },
});

export const SyncGroupResponse = message({
  name: 'SyncGroupResponse',
  versions: '0-5',
  flexible: '4+',
  fields: {
    throttleTimeMs: int32('1+').ignorable(),
    errorCode: int16(),
    protocolType: string('5+').nullable().default(null).ignorable(),
    protocolName: string('5+').nullable().default(null).ignorable(),
    assignment: bytes(),
  },
});

export const SyncGroup = api({ key: 14, name: 'SyncGroup', request: SyncGroupRequest, response: SyncGroupResponse, listeners: ['broker'] });

export const HeartbeatRequest = message({
  name: 'HeartbeatRequest',
  versions: '0-4',
  flexible: '4+',
  fields: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: string('3+').nullable().default(null),
  },
});

export const HeartbeatResponse = message({
  name: 'HeartbeatResponse',
  versions: '0-4',
  flexible: '4+',
  fields: {
    throttleTimeMs: int32('1+').ignorable(),
    errorCode: int16(),
  },
});

export const Heartbeat = api({ key: 12, name: 'Heartbeat', request: HeartbeatRequest, response: HeartbeatResponse, listeners: ['broker'] });

export const LeaveGroupRequest = message({
  name: 'LeaveGroupRequest',
  versions: '0-5',
  flexible: '4+',
  fields: {
    groupId: string(),
    memberId: string('0-2'),
    members: array(struct({
      memberId: string(),
      groupInstanceId: string().nullable().default(null),
      reason: string('5+').nullable().default(null).ignorable(),
    }), '3+'),
  },
});

export const LeaveGroupResponse = message({
  name: 'LeaveGroupResponse',
  versions: '0-5',
  flexible: '4+',
  fields: {
    throttleTimeMs: int32('1+').ignorable(),
    errorCode: int16(),
    members: array(struct({
      memberId: string(),
      groupInstanceId: string().nullable(),
      errorCode: int16(),
    }), '3+'),
  },
});

export const LeaveGroup = api({ key: 13, name: 'LeaveGroup', request: LeaveGroupRequest, response: LeaveGroupResponse, listeners: ['broker'] });

export const DescribeGroupsRequest = message({
  name: 'DescribeGroupsRequest',
  versions: '0-6',
  flexible: '5+',
  fields: {
    groups: array(string()),
    includeAuthorizedOperations: bool('3+'),
  },
});

export const DescribeGroupsResponse = message({
  name: 'DescribeGroupsResponse',
  versions: '0-6',
  flexible: '5+',
  fields: {
    throttleTimeMs: int32('1+').ignorable(),
    groups: array(struct({
      errorCode: int16(),
      errorMessage: string('6+').nullable().default(null),
      groupId: string(),
      groupState: string(),
      protocolType: string(),
      protocolData: string(),
      members: array(struct({
        memberId: string(),
        groupInstanceId: string('4+').nullable().default(null).ignorable(),
        clientId: string(),
        clientHost: string(),
        memberMetadata: bytes(),
        memberAssignment: bytes(),
      })),
      authorizedOperations: int32('3+').default(-2147483648),
    })),
  },
});

export const DescribeGroups = api({
  key: 15,
  name: 'DescribeGroups',
  request: DescribeGroupsRequest,
  response: DescribeGroupsResponse,
  listeners: ['broker'],
});

export const ListGroupsRequest = message({
  name: 'ListGroupsRequest',
  versions: '0-5',
  flexible: '3+',
  fields: {
    statesFilter: array(string(), '4+'),
    typesFilter: array(string(), '5+'),
  },
});

export const ListGroupsResponse = message({
  name: 'ListGroupsResponse',
  versions: '0-5',
  flexible: '3+',
  fields: {
    throttleTimeMs: int32('1+').ignorable(),
    errorCode: int16(),
    groups: array(struct({
      groupId: string(),
      protocolType: string(),
      groupState: string('4+').ignorable(),
      groupType: string('5+').ignorable(),
    })),
  },
});

export const ListGroups = api({ key: 16, name: 'ListGroups', request: ListGroupsRequest, response: ListGroupsResponse, listeners: ['broker'] });

export const DeleteGroupsRequest = message({
  name: 'DeleteGroupsRequest',
  versions: '0-2',
  flexible: '2+',
  fields: {
    groupsNames: array(string()),
  },
});

export const DeleteGroupsResponse = message({
  name: 'DeleteGroupsResponse',
  versions: '0-2',
  flexible: '2+',
  fields: {
    throttleTimeMs: int32(),
    results: array(struct({
      groupId: string(),
      errorCode: int16(),
    })),
  },
});

export const DeleteGroups = api({
  key: 42,
  name: 'DeleteGroups',
  request: DeleteGroupsRequest,
  response: DeleteGroupsResponse,
  listeners: ['broker'],
});
