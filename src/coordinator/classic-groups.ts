/**
 * The requests of the classic group protocol: what JoinGroup, SyncGroup, Heartbeat and LeaveGroup do to a group.
 *
 * Promises: Kafka's rules, code for code (GroupMetadataManager of 4.3.1): ids given before joining (KIP-394), static members that come back without a
 * rebalance (KIP-345, 814), protocols that have to agree (KIP-559). Every request that waits is answered once, here or by the rebalance (`classic-rebalance.ts`).
 * Does not: validate what needs no group (`group-coordinator.ts` does), store offsets, or know the log.
 *
 * Membership is soft state: a group's records are written when a generation has its assignment or nobody is left, not at every step in between, so these
 * records are not replayed by the shard that wrote them; `settled` undoes or completes what hangs on them.
 */
import assert from 'node:assert';
import { ErrorCode } from '../../protocol/errors.ts';
import type { HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest } from '../../protocol/messages/groups.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type { Clock, Random } from '../runtime/runtime.ts';
import { Answer, joinError, memberMetadata, NO_ASSIGNMENT, sameProtocols, syncError } from './classic-group.ts';
import type { ClassicGroup, ClassicMember, GroupProtocol, JoinAnswer, SyncAnswer } from './classic-group.ts';
import { joinedAnswer, NO_EFFECT, quote } from './classic-rebalance.ts';
import type { ClassicGroupSettings, ClassicRebalance, Effect } from './classic-rebalance.ts';
import { coordinatorErrorOf } from './errors.ts';
import { emptyGroupRecord, groupRecord } from './group-records.ts';
import type { GroupRecord } from './group-records.ts';
import type { Outcome } from './shard.ts';

/** Who asks. */
export interface Caller {
  readonly apiVersion: number;
  /** '' when the client gave none. */
  readonly clientId: string;
  /** As Java prints an address: "/127.0.0.1". */
  readonly clientHost: string;
}

/** JoinGroup since version 4 wants a member to come back with the id it was given (KIP-394). */
const MEMBER_ID_REQUIRED_SINCE = 4;
/** JoinGroup since version 9 can tell a leader to keep the assignment as it is (KIP-814). */
const SKIP_ASSIGNMENT_SINCE = 9;

/** What a string of the protocol, and of the group's records, holds. */
const MEMBER_ID_BYTES_MAX = 32_767;

type Join = Value<typeof JoinGroupRequest>;
type Sync = Value<typeof SyncGroupRequest>;

export class ClassicGroups {
  readonly #settings: ClassicGroupSettings;
  readonly #rebalance: ClassicRebalance;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: { settings: ClassicGroupSettings; rebalance: ClassicRebalance; clock: Clock; random: Random }) {
    this.#settings = options.settings;
    this.#rebalance = options.rebalance;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  // ---- JoinGroup

  /** `isNew`: the group was made for this request, has to be written if nothing else is, and nobody is told of it before it is. */
  join(group: ClassicGroup, isNew: boolean, request: Join, caller: Caller, answer: Answer<JoinAnswer>): Effect {
    if (!isNew) return this.#join(group, request, caller, answer);
    const early = new Answer<JoinAnswer>();
    const effect = this.#join(group, request, caller, early);
    assert(effect.records.length === 0, 'the first generation of a group is not written at once');
    return {
      records: [emptyGroupRecord(group.id, group.stateSinceMs)],
      response: null,
      replay: false,
      settled: (error) => {
        const refusal = error !== null && early.given ? joinError('', coordinatorErrorOf(error)) : null;
        // Whoever waits for a generation of a group that never was, this request too, is told by its end (`GroupShard`).
        void early.promise.then((response) => answer.give(refusal ?? response));
      },
    };
  }

  #join(group: ClassicGroup, request: Join, caller: Caller, answer: Answer<JoinAnswer>): Effect {
    if (!this.#accepts(group, request.memberId)) {
      group.remove(request.memberId);
      answer.give(joinError('', ErrorCode.GROUP_MAX_SIZE_REACHED));
      return NO_EFFECT;
    }
    if (!group.supportsProtocols(request.protocolType, request.protocols)) {
      answer.give(joinError(request.memberId, ErrorCode.INCONSISTENT_GROUP_PROTOCOL));
      return NO_EFFECT;
    }
    return request.memberId === '' ? this.#joinNewMember(group, request, caller, answer) : this.#joinExistingMember(group, request, caller, answer);
  }

  #accepts(group: ClassicGroup, memberId: string): boolean {
    const { groupSizeMax } = this.#settings;
    switch (group.state) {
      case 'Empty':
      case 'Dead':
        return true;
      case 'PreparingRebalance':
        // The first to come back keep their places, and the size counts those only: it may be over the limit since the limit was lowered.
        return (group.members.get(memberId)?.awaitingJoin ?? null) !== null || group.awaitingJoinCount < groupSizeMax;
      case 'CompletingRebalance':
      case 'Stable':
        return group.members.has(memberId) || group.members.size < groupSizeMax;
    }
  }

  #joinNewMember(group: ClassicGroup, request: Join, caller: Caller, answer: Answer<JoinAnswer>): Effect {
    const instanceId = request.groupInstanceId;
    const memberId = `${instanceId ?? caller.clientId}-${this.#javaUuid()}`;
    if (Buffer.byteLength(memberId) > MEMBER_ID_BYTES_MAX) {
      answer.give(joinError('', ErrorCode.INVALID_REQUEST));
      return NO_EFFECT;
    }
    if (instanceId !== null) {
      const existing = group.staticMembers.get(instanceId);
      if (existing !== undefined) return this.#replaceStaticMember(group, request, caller, existing, memberId, answer);
      return this.#addMember(group, request, caller, memberId, answer);
    }
    if (caller.apiVersion < MEMBER_ID_REQUIRED_SINCE) return this.#addMember(group, request, caller, memberId, answer);
    this.#rebalance.awaitPending(group, memberId, request.sessionTimeoutMs);
    answer.give(joinError(memberId, ErrorCode.MEMBER_ID_REQUIRED));
    return NO_EFFECT;
  }

  #joinExistingMember(group: ClassicGroup, request: Join, caller: Caller, answer: Answer<JoinAnswer>): Effect {
    const { memberId } = request;
    if (group.pendingJoins.has(memberId)) {
      // Kafka's coordinator ends in an exception here: whoever was given an id had no instance id.
      if (request.groupInstanceId !== null) {
        answer.give(joinError('', ErrorCode.UNKNOWN_SERVER_ERROR));
        return NO_EFFECT;
      }
      return this.#addMember(group, request, caller, memberId, answer);
    }
    const refusal = group.validateMember(memberId, request.groupInstanceId);
    if (refusal !== ErrorCode.NONE) {
      answer.give(joinError(memberId, refusal));
      return NO_EFFECT;
    }
    const member = group.members.get(memberId)!;
    const isUnchanged = sameProtocols(member.protocols, request.protocols);
    switch (group.state) {
      case 'PreparingRebalance':
        return this.#updateMember(group, request, member, `member ${quote(memberId)} joins again`, answer);
      case 'CompletingRebalance':
        // It may not have got the answer to its first JoinGroup, so it is given again.
        if (isUnchanged) break;
        return this.#updateMember(group, request, member, `member ${quote(memberId)} has other metadata`, answer);
      case 'Stable':
        // The leader joins again to have partitions assigned anew, for example because a topic has more of them.
        if (isUnchanged && group.leaderId !== memberId) break;
        return this.#updateMember(group, request, member, `${group.leaderId === memberId ? 'leader' : 'member'} ${quote(memberId)} joins again`, answer);
      case 'Empty':
      case 'Dead':
        answer.give(joinError(memberId, group.state === 'Dead' ? ErrorCode.COORDINATOR_NOT_AVAILABLE : ErrorCode.UNKNOWN_MEMBER_ID));
        return NO_EFFECT;
    }
    answer.give(joinedAnswer(group, member));
    return NO_EFFECT;
  }

  #addMember(group: ClassicGroup, request: Join, caller: Caller, memberId: string, answer: Answer<JoinAnswer>): Effect {
    const member = this.#rebalance.newMember(group, {
      id: memberId,
      instanceId: request.groupInstanceId,
      clientId: caller.clientId,
      clientHost: caller.clientHost,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      sessionTimeoutMs: request.sessionTimeoutMs,
      protocolType: request.protocolType,
      protocols: ownProtocols(request),
      assignment: NO_ASSIGNMENT,
    });
    member.isNew = true;
    if (group.state === 'PreparingRebalance' && group.previousState === 'Empty') group.newMemberAdded = true;
    group.add(member, answer);
    // It cannot send heartbeats yet. If its client gave up, many of its kind may wait here: after this time it is expected to have asked again.
    member.session.set(this.#settings.newMemberJoinTimeoutMs);
    return this.#rebalance.prepareOrCompleteJoin(group, `new member ${quote(memberId)}`);
  }

  #updateMember(group: ClassicGroup, request: Join, member: ClassicMember, reason: string, answer: Answer<JoinAnswer>): Effect {
    group.update(member, { protocols: ownProtocols(request), rebalanceTimeoutMs: request.rebalanceTimeoutMs, sessionTimeoutMs: request.sessionTimeoutMs }, answer);
    return this.#rebalance.prepareOrCompleteJoin(group, reason);
  }

  /** KIP-345: a known instance without a member id is a restarted one. It takes its own place again. */
  #replaceStaticMember(group: ClassicGroup, request: Join, caller: Caller, oldId: string, newId: string, answer: Answer<JoinAnswer>): Effect {
    const old = group.members.get(oldId)!;
    const before = { protocols: old.protocols, rebalanceTimeoutMs: old.rebalanceTimeoutMs, sessionTimeoutMs: old.sessionTimeoutMs };
    const oldLeader = group.leaderId;
    const member = this.#rebalance.newMember(group, { ...old, id: newId });
    group.replaceStaticMember(oldId, member);
    member.session.set(old.sessionTimeoutMs);
    group.update(member, { protocols: ownProtocols(request), rebalanceTimeoutMs: request.rebalanceTimeoutMs, sessionTimeoutMs: request.sessionTimeoutMs }, answer);
    switch (group.state) {
      case 'Stable':
        if (group.selectProtocol() === group.protocolName) break;
        return this.#rebalance.prepareOrCompleteJoin(group, `instance ${quote(request.groupInstanceId)} came back and changes the protocol`);
      case 'CompletingRebalance':
        // The leader may assign to the old id, and the new one would get nothing.
        return this.#rebalance.prepare(group, `instance ${quote(request.groupInstanceId)} came back`);
      default:
        return this.#rebalance.maybeCompleteJoin(group);
    }
    // No rebalance: the new member id is written down, and the member is told of the generation that goes on.
    const generationId = group.generationId;
    return {
      records: [groupRecord(group)],
      response: null,
      replay: false,
      settled: (error) => {
        if (error !== null) {
          const code = coordinatorErrorOf(error);
          if (member.awaitingJoin === answer) {
            group.completeJoin(member, { ...joinedAnswer(group, member), errorCode: code, memberId: '', leader: oldLeader ?? '', members: [] });
            const restored = this.#rebalance.newMember(group, { ...member, ...before, id: oldId });
            group.replaceStaticMember(newId, restored);
            restored.session.set(restored.sessionTimeoutMs);
          }
          return;
        }
        // Meanwhile a rebalance may have begun, in which this request counts as joining and is answered with the next generation.
        if (member.awaitingJoin !== answer || group.state !== 'Stable' || group.generationId !== generationId) return;
        if (caller.apiVersion >= SKIP_ASSIGNMENT_SINCE) {
          const isLeader = group.leaderId === newId;
          group.completeJoin(member, {
            ...joinedAnswer(group, member),
            skipAssignment: isLeader,
            members: isLeader
              ? Array.from(group.members.values(), (one) => ({ memberId: one.id, groupInstanceId: one.instanceId, metadata: memberMetadata(one, group.protocolName) }))
              : [],
          });
        } else {
          // An older client would assign anew if it learned that it leads: it is told of the leader of before, which is nobody.
          group.completeJoin(member, { ...joinedAnswer(group, member), leader: oldLeader ?? '', members: [] });
        }
      },
    };
  }

  // ---- SyncGroup

  sync(group: ClassicGroup, request: Sync, answer: Answer<SyncAnswer>): Effect {
    const refusal = this.#validateSync(group, request);
    if (refusal !== ErrorCode.NONE) {
      answer.give(syncError(refusal));
      return NO_EFFECT;
    }
    const member = group.members.get(request.memberId)!;
    switch (group.state) {
      case 'PreparingRebalance':
        answer.give(syncError(ErrorCode.REBALANCE_IN_PROGRESS));
        return NO_EFFECT;
      case 'CompletingRebalance':
        group.awaitSync(member, answer);
        this.#removePendingSync(group, member.id);
        return group.leaderId === member.id ? this.#storeAssignment(group, request) : NO_EFFECT;
      case 'Stable':
        this.#removePendingSync(group, member.id);
        answer.give(this.#assignmentAnswer(group, member));
        return NO_EFFECT;
      case 'Empty':
      case 'Dead':
        answer.give(syncError(group.state === 'Dead' ? ErrorCode.COORDINATOR_NOT_AVAILABLE : ErrorCode.UNKNOWN_MEMBER_ID));
        return NO_EFFECT;
    }
  }

  #validateSync(group: ClassicGroup, request: Sync): ErrorCode {
    if (group.state === 'Dead') return ErrorCode.COORDINATOR_NOT_AVAILABLE;
    const refusal = group.validateMember(request.memberId, request.groupInstanceId);
    if (refusal !== ErrorCode.NONE) return refusal;
    if (request.generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION;
    // KIP-559: what the client says of the protocol has to agree with what was chosen, where both say something.
    const differs = (asked: string | null, chosen: string | null): boolean => asked !== null && chosen !== null && asked !== chosen;
    if (differs(request.protocolType, group.protocolType) || differs(request.protocolName, group.protocolName)) return ErrorCode.INCONSISTENT_GROUP_PROTOCOL;
    return ErrorCode.NONE;
  }

  #removePendingSync(group: ClassicGroup, memberId: string): void {
    group.pendingSyncs.delete(memberId);
    if (group.pendingSyncs.size === 0) group.syncDeadline.cancel();
  }

  /** The leader's word: once it is in the log, everyone gets their part of it. */
  #storeAssignment(group: ClassicGroup, request: Sync): Effect {
    const assignments = new Map(request.assignments.map(({ memberId, assignment }) => [memberId, Buffer.from(assignment)]));
    const generationId = group.generationId;
    return {
      records: [groupRecord(group, assignments)],
      response: null,
      replay: false,
      settled: (error) => {
        // Meanwhile another member may have joined, and then all this is history.
        if (group.state !== 'CompletingRebalance' || group.generationId !== generationId) return;
        if (error !== null) {
          const code = coordinatorErrorOf(error);
          this.#rebalance.answerSyncs(group, code);
          this.#rebalance.run(group, () => this.#rebalance.prepareOrCompleteJoin(group, `its assignment could not be written (error ${code})`));
          return;
        }
        for (const member of group.members.values()) member.assignment = assignments.get(member.id) ?? NO_ASSIGNMENT;
        for (const member of group.members.values()) {
          // While the member waited, the end of its session was overlooked.
          if (group.completeSync(member, this.#assignmentAnswer(group, member))) member.session.set(member.sessionTimeoutMs);
        }
        group.transitionTo('Stable', this.#clock.wallMs());
      },
    };
  }

  #assignmentAnswer(group: ClassicGroup, member: ClassicMember): SyncAnswer {
    return { errorCode: ErrorCode.NONE, protocolType: group.protocolType, protocolName: group.protocolName, assignment: member.assignment };
  }

  // ---- Heartbeat, LeaveGroup, session timeouts

  heartbeat(group: ClassicGroup, request: Value<typeof HeartbeatRequest>): ErrorCode {
    if (group.state === 'Dead') return ErrorCode.COORDINATOR_NOT_AVAILABLE;
    const refusal = group.validateMember(request.memberId, request.groupInstanceId);
    if (refusal !== ErrorCode.NONE) return refusal;
    if (request.generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION;
    if (group.state === 'Empty') return ErrorCode.UNKNOWN_MEMBER_ID;
    this.keepAlive(group, request.memberId);
    return group.state === 'PreparingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE;
  }

  /** The member showed signs of life. */
  keepAlive(group: ClassicGroup, memberId: string): void {
    const member = group.members.get(memberId);
    member?.session.set(member.sessionTimeoutMs);
  }

  leave(group: ClassicGroup, request: Value<typeof LeaveGroupRequest>): Outcome<GroupRecord, Input<typeof LeaveGroupResponse>> {
    if (group.state === 'Dead') return { records: [], response: { errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE } };
    const members: { memberId: string; groupInstanceId: string | null; errorCode: ErrorCode }[] = [];
    let hasLeft = false;
    for (const { memberId, groupInstanceId } of request.members) {
      let errorCode: ErrorCode = ErrorCode.NONE;
      // An administrator names an instance and does not know its member id.
      const leaving = memberId === '' ? (groupInstanceId === null ? undefined : group.staticMembers.get(groupInstanceId)) : memberId;
      if (leaving === undefined) errorCode = ErrorCode.UNKNOWN_MEMBER_ID;
      else if (!group.pendingJoins.has(leaving)) errorCode = group.validateMember(leaving, groupInstanceId);
      if (errorCode === ErrorCode.NONE) {
        group.remove(leaving!);
        hasLeft = true;
      }
      members.push({ memberId, groupInstanceId, errorCode });
    }
    let effect = NO_EFFECT;
    if (hasLeft && group.state !== 'Empty') effect = this.#rebalance.prepareOrCompleteJoin(group, 'members left');
    return { ...effect, response: { errorCode: ErrorCode.NONE, members } };
  }

  /** As java.util.UUID prints a random one, which is how Kafka ends member ids. */
  #javaUuid(): string {
    const bytes = this.#random.bytes(16);
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    const hex = bytes.toString('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
}

/** Metadata outlives the frame that it came in, which may be far larger. */
function ownProtocols(request: Join): GroupProtocol[] {
  return request.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }));
}
