/**
 * The life of a classic group between requests: a rebalance is prepared, its joining phase ends, its members are to sync, their sessions end.
 *
 *   prepare            everybody is to join again; ends when all have, or with the group's rebalance timeout; the first time, after a delay for more to come
 *   completeJoin       who has not joined and is not static is out; the others have a new generation, and as long again to ask for their parts
 *   session end        a member that was not heard of is out, and the others rebalance
 *
 * Promises: a deadline that comes late (its group or member is gone, or moved on) does nothing. Nothing here waits: what must be written is returned as records,
 * and what time does runs as an operation of the shard.
 * Does not: read requests (`classic-groups.ts` does). Follows Kafka's GroupMetadataManager (4.3.1).
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { KafkaError } from '../../protocol/errors.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Clock } from '../runtime/runtime.ts';
import { ClassicGroup, hasSatisfiedHeartbeat, memberMetadata, NO_ASSIGNMENT, syncError } from './classic-group.ts';
import type { ClassicMember, JoinAnswer } from './classic-group.ts';
import type { Deadline } from './deadline.ts';
import { groupRecord } from './group-records.ts';
import type { GroupRecord } from './group-records.ts';
import type { Outcome } from './shard.ts';

export interface ClassicGroupSettings {
  readonly initialRebalanceDelayMs: number;
  readonly groupSizeMax: number;
  /** How long a member that joins for the first time may be kept waiting before it counts as gone. Not a setting in Kafka either. */
  readonly newMemberJoinTimeoutMs: number;
}

export type Effect = Outcome<GroupRecord, null>;
export const NO_EFFECT: Effect = { records: [], response: null };

/** What this room needs of the one that holds all groups of a shard. */
export interface Groups {
  /** Whether the group is still the one of its name: timers may outlive it. */
  isCurrent(group: ClassicGroup): boolean;
  /** For what time does: runs the operation as one of the shard's, and writes what it returns. */
  run(operation: () => Effect): void;
}

export class ClassicRebalance {
  readonly #settings: ClassicGroupSettings;
  readonly #groups: Groups;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #deadline: (overdue: () => void) => Deadline;

  constructor(options: { settings: ClassicGroupSettings; groups: Groups; clock: Clock; logger: Logger; deadline: (overdue: () => void) => Deadline }) {
    this.#settings = options.settings;
    this.#groups = options.groups;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#deadline = options.deadline;
  }

  /** A group without members, in no map yet. */
  create(id: string): ClassicGroup {
    return new ClassicGroup({ id, state: 'Empty', stateSinceMs: this.#clock.wallMs(), deadline: this.#deadline, onSyncDeadline: (group) => this.#onSyncDeadline(group) });
  }

  /** A group as a record tells it. Its timers start with `onLoaded`. */
  load(id: string, value: Extract<GroupRecord, { type: 'group' }>['value'] & object): ClassicGroup {
    const { members } = value;
    const instances = members.filter(({ groupInstanceId }) => groupInstanceId !== null);
    if (new Set(members.map(({ memberId }) => memberId)).size < members.length || new Set(instances.map(({ groupInstanceId }) => groupInstanceId)).size < instances.length) {
      throw new RangeError(`the record of group ${quote(id)} has a member twice`);
    }
    const group = new ClassicGroup({
      id,
      state: members.length === 0 ? 'Empty' : 'Stable',
      stateSinceMs: value.currentStateTimestamp,
      generationId: value.generation,
      protocolType: value.protocolType === '' ? null : value.protocolType,
      protocolName: members.length === 0 ? value.protocol : (value.protocol ?? ''),
      leaderId: members.some(({ memberId }) => memberId === value.leader) ? value.leader : null,
      deadline: this.#deadline,
      onSyncDeadline: (overdue) => this.#onSyncDeadline(overdue),
    });
    for (const one of members) {
      const member = this.newMember(group, {
        id: one.memberId,
        instanceId: one.groupInstanceId,
        clientId: one.clientId,
        clientHost: one.clientHost,
        // Before version 1 of the record there was one timeout for both.
        rebalanceTimeoutMs: one.rebalanceTimeout === -1 ? one.sessionTimeout : one.rebalanceTimeout,
        sessionTimeoutMs: one.sessionTimeout,
        protocolType: value.protocolType,
        protocols: [{ name: value.protocol ?? '', metadata: Buffer.from(one.subscription) }],
        assignment: Buffer.from(one.assignment),
      });
      group.add(member, null);
    }
    group.subscribedTopics = group.computeSubscribedTopics();
    return group;
  }

  onLoaded(group: ClassicGroup): void {
    for (const member of group.members.values()) member.session.set(member.sessionTimeoutMs);
    if (group.members.size > this.#settings.groupSizeMax) {
      this.#groups.run(() => this.prepare(group, `it has ${group.members.size} members, more than the ${this.#settings.groupSizeMax} that group.max.size allows`));
    }
  }

  /** KIP-394: the member was given its id and has this long to come back with it. */
  awaitPending(group: ClassicGroup, memberId: string, sessionTimeoutMs: number): void {
    const deadline = this.#deadline(() =>
      this.run(group, () => {
        group.removePendingJoin(memberId);
        return group.state === 'PreparingRebalance' && group.hasAllMembersJoined ? this.completeJoin(group) : NO_EFFECT;
      }),
    );
    group.pendingJoins.set(memberId, deadline);
    deadline.set(sessionTimeoutMs);
  }

  // ---- the joining phase

  prepareOrCompleteJoin(group: ClassicGroup, reason: string): Effect {
    return group.canRebalance ? this.prepare(group, reason) : this.maybeCompleteJoin(group);
  }

  prepare(group: ClassicGroup, reason: string): Effect {
    if (group.state === 'CompletingRebalance') this.answerSyncs(group, ErrorCode.REBALANCE_IN_PROGRESS);
    group.pendingSyncs.clear();
    group.syncDeadline.cancel();
    const isInitial = group.state === 'Empty';
    group.transitionTo('PreparingRebalance', this.#clock.wallMs());
    this.#logger.info(`group ${quote(group.id)}: rebalance after generation ${group.generationId}: ${reason}`);
    if (isInitial) {
      // More members are likely to follow at once, so the first generation waits for them.
      const delayMs = this.#settings.initialRebalanceDelayMs;
      this.#delayFirstGeneration(group, delayMs, Math.max(group.rebalanceTimeoutMs - delayMs, 0));
      return NO_EFFECT;
    }
    if (group.hasAllMembersJoined) return this.completeJoin(group);
    group.onJoinDeadline = () => this.run(group, () => this.completeJoin(group));
    group.joinDeadline.set(group.rebalanceTimeoutMs);
    return NO_EFFECT;
  }

  #delayFirstGeneration(group: ClassicGroup, delayMs: number, remainingMs: number): void {
    group.onJoinDeadline = () =>
      this.run(group, () => {
        if (!group.newMemberAdded || remainingMs === 0) return this.completeJoin(group);
        group.newMemberAdded = false;
        this.#delayFirstGeneration(group, Math.min(this.#settings.initialRebalanceDelayMs, remainingMs), Math.max(remainingMs - delayMs, 0));
        return NO_EFFECT;
      });
    group.joinDeadline.set(delayMs);
  }

  maybeCompleteJoin(group: ClassicGroup): Effect {
    if (group.state !== 'PreparingRebalance' || group.previousState === 'Empty' || !group.hasAllMembersJoined) return NO_EFFECT;
    return this.completeJoin(group);
  }

  /** Ends the joining phase: who is not here now, and is not static, is out; the others are told of their generation. */
  completeJoin(group: ClassicGroup): Effect {
    group.joinDeadline.cancel();
    for (const member of [...group.members.values()]) {
      if (member.awaitingJoin !== null || member.instanceId !== null) continue;
      this.#logger.info(`group ${quote(group.id)}: member ${quote(member.id)} did not join in time and is removed`);
      group.remove(member.id);
    }
    if (!group.electJoinedLeader() && group.members.size > 0) {
      // Only static members are left, and none has come: wait for one of them, or for their sessions to end.
      group.onJoinDeadline = () => this.run(group, () => this.completeJoin(group));
      group.joinDeadline.set(group.rebalanceTimeoutMs);
      return NO_EFFECT;
    }
    group.initNextGeneration(this.#clock.wallMs());
    if (group.state === 'Empty') {
      this.#logger.info(`group ${quote(group.id)}: generation ${group.generationId} is empty`);
      // If this fails, the generation before lives on in the log with members who will time out.
      return { records: [groupRecord(group)], response: null, replay: false, settled: (error) => this.warnNotWritten(group, error) };
    }
    this.#logger.info(`group ${quote(group.id)}: generation ${group.generationId} has ${group.members.size} members`);
    for (const member of group.members.values()) {
      group.completeJoin(member, joinedAnswer(group, member));
      member.session.set(member.sessionTimeoutMs);
      member.isNew = false;
      group.pendingSyncs.add(member.id);
    }
    group.syncDeadline.set(group.rebalanceTimeoutMs);
    return NO_EFFECT;
  }

  warnNotWritten(group: ClassicGroup, error: KafkaError | null): void {
    if (error !== null) this.#logger.warn(`group ${quote(group.id)}: its generation ${group.generationId} without members could not be written: ${error.message}`);
  }

  answerSyncs(group: ClassicGroup, errorCode: ErrorCode): void {
    for (const member of group.members.values()) {
      member.assignment = NO_ASSIGNMENT;
      if (group.completeSync(member, syncError(errorCode))) member.session.set(member.sessionTimeoutMs);
    }
  }

  /** KIP-568: who joined and never asked for its assignment holds up nobody for longer than a rebalance. */
  #onSyncDeadline(group: ClassicGroup): void {
    this.run(group, () => {
      if (group.pendingSyncs.size === 0 || (group.state !== 'CompletingRebalance' && group.state !== 'Stable')) return NO_EFFECT;
      const gone = [...group.pendingSyncs];
      for (const memberId of gone) group.remove(memberId);
      return this.prepare(group, `members ${gone.map(quote).join(', ')} joined and did not sync`);
    });
  }

  #onSessionEnd(group: ClassicGroup, member: ClassicMember): void {
    this.run(group, () => {
      if (group.members.get(member.id) !== member || hasSatisfiedHeartbeat(member)) return NO_EFFECT;
      this.#logger.info(`group ${quote(group.id)}: the session of member ${quote(member.id)} has ended`);
      group.remove(member.id);
      if (group.state === 'Stable' || group.state === 'CompletingRebalance') return this.prepareOrCompleteJoin(group, `the session of ${quote(member.id)} has ended`);
      return group.state === 'PreparingRebalance' && group.hasAllMembersJoined ? this.completeJoin(group) : NO_EFFECT;
    });
  }

  run(group: ClassicGroup, operation: () => Effect): void {
    this.#groups.run(() => (group.state !== 'Dead' && this.#groups.isCurrent(group) ? operation() : NO_EFFECT));
  }

  newMember(group: ClassicGroup, fields: Omit<ClassicMember, 'awaitingJoin' | 'awaitingSync' | 'isNew' | 'session'>): ClassicMember {
    const member: ClassicMember = {
      id: fields.id,
      instanceId: fields.instanceId,
      clientId: fields.clientId,
      clientHost: fields.clientHost,
      rebalanceTimeoutMs: fields.rebalanceTimeoutMs,
      sessionTimeoutMs: fields.sessionTimeoutMs,
      protocolType: fields.protocolType,
      protocols: fields.protocols,
      assignment: fields.assignment,
      awaitingJoin: null,
      awaitingSync: null,
      isNew: false,
      session: this.#deadline(() => this.#onSessionEnd(group, member)),
    };
    return member;
  }
}

/** The current generation as this member sees it: the leader alone sees the others. */
export function joinedAnswer(group: ClassicGroup, member: ClassicMember): JoinAnswer {
  return {
    errorCode: ErrorCode.NONE,
    memberId: member.id,
    generationId: group.generationId,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader: group.leaderId ?? '',
    members:
      group.leaderId !== member.id || group.state === 'Stable'
        ? []
        : Array.from(group.members.values(), (one) => ({ memberId: one.id, groupInstanceId: one.instanceId, metadata: memberMetadata(one, group.protocolName) })),
  };
}

/** Ids are a client's words: in a log line they stay on their line, and of bounded length. */
export function quote(id: string | null): string {
  return JSON.stringify(id !== null && id.length > 200 ? `${id.slice(0, 200)}...` : id);
}
