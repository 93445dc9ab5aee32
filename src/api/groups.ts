/**
 * The classic group APIs: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, ListGroups, DescribeGroups, DeleteGroups, in every version that Kafka 4.3.1 serves.
 *
 * Promises: what a version cannot say is said as Kafka says it there. What the group does is the coordinator's affair (src/coordinator).
 */
import { ErrorCode } from '../../protocol/errors.ts';
import { DeleteGroups, DescribeGroups, Heartbeat, JoinGroup, LeaveGroup, ListGroups, SyncGroup } from '../../protocol/messages/groups.ts';
import type { Input } from '../../protocol/schema.ts';
import type { Caller } from '../coordinator/classic-groups.ts';
import { javaAddress } from './java-address.ts';
import { serve } from './serve.ts';
import type { RequestContext } from './serve.ts';

type JoinResponse = Input<typeof JoinGroup.response>;
type LeaveResponse = Input<typeof LeaveGroup.response>;

const REBALANCE_TIMEOUT_SINCE = 1; // KIP-62
const NULLABLE_PROTOCOL_NAME_SINCE = 7; // KIP-559
const PROTOCOL_REQUIRED_SINCE = 5; // KIP-559
const MANY_MEMBERS_SINCE = 3; // KIP-345
const AUTHORIZED_OPERATIONS_SINCE = 3; // KIP-430

/** READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: everything that can be allowed on a group, one bit each. */
const ALL_GROUP_OPERATIONS = (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11);
const NO_GROUP_OPERATIONS = -0x8000_0000;

const noAssignment = Buffer.alloc(0);

export function callerOf({ apiVersion, clientId, connection }: RequestContext): Caller {
  // Kafka takes a missing client id for an empty one.
  return { apiVersion, clientId: clientId ?? '', clientHost: javaAddress(connection.remoteAddress) };
}

export const groupApis = [
  serve(JoinGroup, '0-9', {
    async handle(request, context) {
      const { apiVersion, node } = context;
      // Version 0 had one timeout for both.
      const asked = apiVersion >= REBALANCE_TIMEOUT_SINCE ? request : { ...request, rebalanceTimeoutMs: request.sessionTimeoutMs };
      return joinResponse(await node.groups.joinGroup(asked, callerOf(context)), apiVersion);
    },
    onError: (errorCode, _, { apiVersion }) => joinResponse({ errorCode, protocolName: null, leader: '', memberId: '', members: [] }, apiVersion),
  }),

  serve(SyncGroup, '0-5', {
    handle(request, { apiVersion, node }) {
      if (apiVersion >= PROTOCOL_REQUIRED_SINCE && (request.protocolType === null || request.protocolName === null)) {
        return { errorCode: ErrorCode.INCONSISTENT_GROUP_PROTOCOL, assignment: noAssignment };
      }
      return node.groups.syncGroup(request);
    },
    onError: (errorCode) => ({ errorCode, assignment: noAssignment }),
  }),

  serve(Heartbeat, '0-4', {
    handle: (request, { node }) => node.groups.heartbeat(request),
    onError: (errorCode) => ({ errorCode }),
  }),

  serve(LeaveGroup, '0-5', {
    async handle(request, { apiVersion, node }) {
      const asked = apiVersion >= MANY_MEMBERS_SINCE ? request : { ...request, members: [{ memberId: request.memberId, groupInstanceId: null, reason: null }] };
      return leaveResponse(await node.groups.leaveGroup(asked), apiVersion);
    },
    onError: (errorCode) => ({ errorCode }),
  }),

  serve(ListGroups, '0-5', {
    handle: (request, { node }) => node.groups.listGroups(request),
    onError: (errorCode) => ({ errorCode, groups: [] }),
  }),

  serve(DescribeGroups, '0-6', {
    handle(request, context) {
      const described = context.node.groups.describeGroups(request.groups, callerOf(context));
      const wantsOperations = context.apiVersion >= AUTHORIZED_OPERATIONS_SINCE && request.includeAuthorizedOperations;
      const operationsOf = (errorCode: number): number => (wantsOperations && errorCode === ErrorCode.NONE ? ALL_GROUP_OPERATIONS : NO_GROUP_OPERATIONS);
      return {
        groups: described.map((group) =>
          context.apiVersion >= AUTHORIZED_OPERATIONS_SINCE ? { ...group, authorizedOperations: operationsOf(group.errorCode) } : group,
        ),
      };
    },
    onError: (errorCode, request) => ({
      groups: request.groups.map((groupId) => ({ groupId, errorCode, groupState: '', protocolType: '', protocolData: '', members: [] })),
    }),
  }),

  serve(DeleteGroups, '0-2', {
    handle: async (request, { node }) => ({ throttleTimeMs: 0, results: await node.groups.deleteGroups(request.groupsNames) }),
    onError: (errorCode, request) => ({ throttleTimeMs: 0, results: request.groupsNames.map((groupId) => ({ groupId, errorCode })) }),
  }),
];

/** The protocol's name could not be null at first; since it can, it is never empty. */
function joinResponse(response: JoinResponse, apiVersion: number): JoinResponse {
  const name = response.protocolName ?? '';
  return { ...response, protocolName: name === '' && apiVersion >= NULLABLE_PROTOCOL_NAME_SINCE ? null : name };
}

/** One member at first, whose error was the whole answer. */
function leaveResponse(response: LeaveResponse, apiVersion: number): LeaveResponse {
  if (apiVersion >= MANY_MEMBERS_SINCE) return response;
  return { errorCode: response.errorCode !== ErrorCode.NONE ? response.errorCode : (response.members?.[0]?.errorCode ?? ErrorCode.NONE) };
}

