/**
 * A classic group: who is in it, in which state and generation it is, who leads it, and who waits for an answer.
 *
 *            first join                 all joined, or time is up            assignment is in the log
 *   Empty ----------------> Preparing ----------------------> Completing -----------------------------> Stable
 *     ^                     Rebalance <---------------------- Rebalance                                    |
 *     |                      |    ^     someone came or went             someone came or went              |
 *     +----------------------+    +------------------------------------------------------------------------+
 *        time is up, nobody there                       Dead: this node is no longer the group's coordinator
 *
 * Promises: counts (who has joined, which protocols everyone supports) agree with the members at all times; a member that leaves the group, and a request that
 * a later one of the same member replaces, are answered then and there, so that nobody waits for ever (Apache Kafka 4.3 drops the older request's answer).
 * Does not: read requests, write records, start timers of its own accord (`classic-groups.ts` does). Follows Kafka's ClassicGroup (KIP-62, 134, 345, 394, 559).
 */
import assert from 'node:assert';
import { ErrorCode } from '../../protocol/errors.ts';
import type { Input } from '../../protocol/schema.ts';
import type { JoinGroupResponse, SyncGroupResponse } from '../../protocol/messages/groups.ts';
import type { Deadline } from './deadline.ts';
import { javaHashOrder } from './java-hash-order.ts';
import { subscribedTopics } from './subscription.ts';

export type ClassicState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

const PREVIOUS: Record<ClassicState, readonly ClassicState[]> = {
  Empty: ['PreparingRebalance'],
  PreparingRebalance: ['Stable', 'CompletingRebalance', 'Empty'],
  CompletingRebalance: ['PreparingRebalance'],
  Stable: ['CompletingRebalance'],
  Dead: ['Stable', 'PreparingRebalance', 'CompletingRebalance', 'Empty', 'Dead'],
};

export const NO_ASSIGNMENT: Buffer = Buffer.alloc(0);
export const CONSUMER_PROTOCOL_TYPE = 'consumer';

export type JoinAnswer = Input<typeof JoinGroupResponse>;
export type SyncAnswer = Input<typeof SyncGroupResponse>;

/** The one place where a parked request's answer goes. Giving a second one is a mistake of ours. */
export class Answer<T> {
  readonly promise: Promise<T>;
  #resolve!: (response: T) => void;
  #given = false;

  constructor() {
    this.promise = new Promise((resolve) => (this.#resolve = resolve));
  }

  get given(): boolean {
    return this.#given;
  }

  give(response: T): void {
    assert(!this.#given, 'a request is answered once');
    this.#given = true;
    this.#resolve(response);
  }
}

export function joinError(memberId: string, errorCode: ErrorCode): JoinAnswer {
  return { errorCode, memberId, protocolName: null, leader: '', members: [] };
}

export function syncError(errorCode: ErrorCode): SyncAnswer {
  return { errorCode, assignment: NO_ASSIGNMENT };
}

export interface GroupProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

export interface ClassicMember {
  readonly id: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  rebalanceTimeoutMs: number;
  sessionTimeoutMs: number;
  readonly protocolType: string;
  /** In the order of the member's preference. Owned by the member, not views of a frame. */
  protocols: readonly GroupProtocol[];
  assignment: Buffer;
  awaitingJoin: Answer<JoinAnswer> | null;
  awaitingSync: Answer<SyncAnswer> | null;
  /** Has not seen its first generation, so it does not know its id and cannot send heartbeats. */
  isNew: boolean;
  readonly session: Deadline;
}

export function memberMetadata(member: ClassicMember, protocolName: string | null): Buffer {
  const protocol = member.protocols.find(({ name }) => name === protocolName);
  assert(protocol !== undefined, `member ${member.id} does not support the protocol ${protocolName}`);
  return protocol.metadata;
}

/** The same protocols in the same order with the same metadata: joining changes nothing. */
export function sameProtocols(a: readonly GroupProtocol[], b: readonly GroupProtocol[]): boolean {
  return a.length === b.length && a.every((protocol, i) => protocol.name === b[i]!.name && protocol.metadata.equals(b[i]!.metadata));
}

/** Whoever waits for the group is not dead, but a new member cannot be told from a dead one. */
export function hasSatisfiedHeartbeat(member: ClassicMember): boolean {
  return !member.isNew && (member.awaitingJoin !== null || member.awaitingSync !== null);
}

export class ClassicGroup {
  readonly id: string;
  readonly type = 'classic';
  state: ClassicState;
  previousState: ClassicState = 'Dead';
  /** Wall time of the last change of state; -1 in records of old versions. */
  stateSinceMs: number;
  generationId: number;
  /** null: no member has ever joined, only offsets were committed (a "simple" group). */
  protocolType: string | null;
  protocolName: string | null;
  leaderId: string | null;
  /** Someone joined during the initial delay, which extends it. */
  newMemberAdded = false;
  /** null: not known, because the group is not one of consumers or its metadata cannot be read. */
  subscribedTopics: ReadonlySet<string> | null = null;

  // There may be a million groups that nobody ever joined, with offsets only: they take no room for members.
  #members: Map<string, ClassicMember> | undefined;
  #staticMembers: Map<string, string> | undefined;
  #pendingJoins: Map<string, Deadline> | undefined;
  #pendingSyncs: Set<string> | undefined;
  /** How many members support a protocol. */
  #supported: Map<string, number> | undefined;
  #awaitingJoinCount = 0;
  #joinDeadline: Deadline | undefined;
  #syncDeadline: Deadline | undefined;
  readonly #deadline: (overdue: () => void) => Deadline;
  readonly #onSyncDeadline: (group: ClassicGroup) => void;
  /** What to do when the joining phase's time is up: it differs for the first rebalance of a group. */
  onJoinDeadline: (() => void) | undefined;

  constructor(options: {
    id: string;
    state: ClassicState;
    stateSinceMs: number;
    generationId?: number;
    protocolType?: string | null;
    protocolName?: string | null;
    leaderId?: string | null;
    deadline: (overdue: () => void) => Deadline;
    onSyncDeadline: (group: ClassicGroup) => void;
  }) {
    this.id = options.id;
    this.state = options.state;
    this.stateSinceMs = options.stateSinceMs;
    this.generationId = options.generationId ?? 0;
    this.protocolType = options.protocolType ?? null;
    this.protocolName = options.protocolName ?? null;
    this.leaderId = options.leaderId ?? null;
    this.#deadline = options.deadline;
    this.#onSyncDeadline = options.onSyncDeadline;
  }

  get members(): Map<string, ClassicMember> {
    return (this.#members ??= new Map());
  }

  /** Member ids by group.instance.id (KIP-345). */
  get staticMembers(): Map<string, string> {
    return (this.#staticMembers ??= new Map());
  }

  /** Members that were given an id and told to come back with it (KIP-394), with the time they have for it. */
  get pendingJoins(): Map<string, Deadline> {
    return (this.#pendingJoins ??= new Map());
  }

  /** Members of this generation that have not asked for their assignment. */
  get pendingSyncs(): Set<string> {
    return (this.#pendingSyncs ??= new Set());
  }

  /** Ends the joining phase. */
  get joinDeadline(): Deadline {
    return (this.#joinDeadline ??= this.#deadline(() => this.onJoinDeadline?.()));
  }

  /** Ends the syncing phase. */
  get syncDeadline(): Deadline {
    return (this.#syncDeadline ??= this.#deadline(() => this.#onSyncDeadline(this)));
  }

  get usesConsumerProtocol(): boolean {
    return this.protocolType === CONSUMER_PROTOCOL_TYPE;
  }

  get awaitingJoinCount(): number {
    return this.#awaitingJoinCount;
  }

  get hasAllMembersJoined(): boolean {
    return this.members.size === this.#awaitingJoinCount && this.pendingJoins.size === 0;
  }

  get canRebalance(): boolean {
    return PREVIOUS.PreparingRebalance.includes(this.state);
  }

  get rebalanceTimeoutMs(): number {
    let longest = 0;
    for (const member of this.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs);
    return longest;
  }

  transitionTo(state: ClassicState, nowMs: number): void {
    assert(PREVIOUS[state].includes(this.state), `group ${this.id} does not go from ${this.state} to ${state}`);
    this.previousState = this.state;
    this.state = state;
    this.stateSinceMs = nowMs;
  }

  // ---- members

  add(member: ClassicMember, answer: Answer<JoinAnswer> | null): void {
    assert(!this.members.has(member.id), `member ${member.id} is in the group already`);
    if (member.instanceId !== null) {
      assert(!this.staticMembers.has(member.instanceId), `instance ${member.instanceId} is in the group already`);
      this.staticMembers.set(member.instanceId, member.id);
    }
    if (this.members.size === 0) this.protocolType = member.protocolType;
    assert(this.supportsProtocols(member.protocolType, member.protocols), 'a member without a common protocol is refused before');
    this.leaderId ??= member.id;
    this.members.set(member.id, member);
    this.#countProtocols(member, 1);
    this.#await(member, answer);
    this.removePendingJoin(member.id);
  }

  /** Takes the member, or the pending member, out. Whoever waits in its name is told that it is not known any more. */
  remove(memberId: string): void {
    const member = this.members.get(memberId);
    if (member !== undefined) {
      this.completeJoin(member, joinError('', ErrorCode.UNKNOWN_MEMBER_ID));
      this.completeSync(member, syncError(ErrorCode.UNKNOWN_MEMBER_ID));
      this.members.delete(memberId);
      this.#countProtocols(member, -1);
      if (member.instanceId !== null) this.staticMembers.delete(member.instanceId);
      member.session.cancel();
    }
    if (this.leaderId === memberId) this.leaderId = this.members.keys().next().value ?? null;
    this.removePendingJoin(memberId);
    this.pendingSyncs.delete(memberId);
  }

  removePendingJoin(memberId: string): void {
    this.#pendingJoins?.get(memberId)?.cancel();
    this.#pendingJoins?.delete(memberId);
  }

  /** A static member came back under a new id and takes the old one's place, assignment included; the old one is fenced. */
  replaceStaticMember(oldId: string, replacement: ClassicMember): void {
    const old = this.members.get(oldId);
    assert(old !== undefined, `there is no member ${oldId} to replace`);
    assert(old.instanceId !== null && old.instanceId === replacement.instanceId, 'only an instance replaces itself');
    this.completeJoin(old, joinError(oldId, ErrorCode.FENCED_INSTANCE_ID));
    this.completeSync(old, syncError(ErrorCode.FENCED_INSTANCE_ID));
    old.session.cancel();
    this.#countProtocols(old, -1);
    this.members.delete(oldId);
    this.members.set(replacement.id, replacement);
    this.#countProtocols(replacement, 1);
    if (this.leaderId === oldId) this.leaderId = replacement.id;
    this.staticMembers.set(old.instanceId, replacement.id);
  }

  update(member: ClassicMember, joined: Pick<ClassicMember, 'protocols' | 'rebalanceTimeoutMs' | 'sessionTimeoutMs'>, answer: Answer<JoinAnswer> | null): void {
    this.#countProtocols(member, -1);
    member.protocols = joined.protocols;
    member.rebalanceTimeoutMs = joined.rebalanceTimeoutMs;
    member.sessionTimeoutMs = joined.sessionTimeoutMs;
    this.#countProtocols(member, 1);
    this.#await(member, answer);
  }

  #await(member: ClassicMember, answer: Answer<JoinAnswer> | null): void {
    // A client that sent its request again, on another connection, no longer reads the first one's answer.
    this.completeJoin(member, joinError(member.id, ErrorCode.REBALANCE_IN_PROGRESS));
    member.awaitingJoin = answer;
    if (answer !== null) this.#awaitingJoinCount++;
  }

  awaitSync(member: ClassicMember, answer: Answer<SyncAnswer>): void {
    this.completeSync(member, syncError(ErrorCode.REBALANCE_IN_PROGRESS));
    member.awaitingSync = answer;
  }

  completeJoin(member: ClassicMember, response: JoinAnswer): boolean {
    const answer = member.awaitingJoin;
    if (answer === null) return false;
    member.awaitingJoin = null;
    this.#awaitingJoinCount--;
    answer.give(response);
    return true;
  }

  completeSync(member: ClassicMember, response: SyncAnswer): boolean {
    const answer = member.awaitingSync;
    if (answer === null) return false;
    member.awaitingSync = null;
    answer.give(response);
    return true;
  }

  /** Answers everyone and stops every timer: the group is gone from this node. */
  die(nowMs: number, errorCode: ErrorCode): void {
    this.transitionTo('Dead', nowMs);
    for (const member of this.#members?.values() ?? []) {
      this.completeJoin(member, joinError(member.id, errorCode));
      this.completeSync(member, syncError(errorCode));
    }
    this.stopTimers();
  }

  stopTimers(): void {
    for (const member of this.#members?.values() ?? []) member.session.cancel();
    for (const deadline of this.#pendingJoins?.values() ?? []) deadline.cancel();
    this.#joinDeadline?.cancel();
    this.#syncDeadline?.cancel();
  }

  /** NONE, or why a request of this member is refused. */
  validateMember(memberId: string, instanceId: string | null): ErrorCode {
    if (instanceId !== null) {
      const existing = this.staticMembers.get(instanceId);
      if (existing === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
      if (existing !== memberId) return ErrorCode.FENCED_INSTANCE_ID;
    }
    return this.members.has(memberId) ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID;
  }

  /** False when no member has joined, so that there is nobody to lead the next generation. */
  electJoinedLeader(): boolean {
    if (this.leaderId === null) return false;
    const leader = this.members.get(this.leaderId);
    assert(leader !== undefined, 'the leader is a member');
    if (leader.awaitingJoin !== null) return true;
    for (const member of this.members.values()) {
      if (member.awaitingJoin !== null) {
        this.leaderId = member.id;
        return true;
      }
    }
    return false;
  }

  // ---- protocols

  supportsProtocols(protocolType: string, protocols: readonly GroupProtocol[]): boolean {
    if (this.state === 'Empty') return protocolType !== '' && protocols.length > 0;
    return this.protocolType === protocolType && protocols.some(({ name }) => (this.#supported?.get(name) ?? 0) === this.members.size);
  }

  #countProtocols(member: ClassicMember, by: 1 | -1): void {
    this.#supported ??= new Map();
    // A client may name a protocol twice; it still is one member that supports it.
    for (const name of new Set(member.protocols.map((protocol) => protocol.name))) this.#supported.set(name, (this.#supported.get(name) ?? 0) + by);
  }

  /** Each member votes for the first of its protocols that everyone supports; most votes win. */
  selectProtocol(): string {
    assert(this.members.size > 0, 'an empty group selects no protocol');
    const votes = new Map<string, number>();
    for (const member of this.members.values()) {
      const vote = member.protocols.find(({ name }) => this.#supported?.get(name) === this.members.size);
      assert(vote !== undefined, `member ${member.id} has no protocol in common with the others`);
      votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1);
    }
    // A tie goes to the one that a Java HashMap iterates first, so that a group moved between brokers keeps its protocol.
    let best: string | undefined;
    for (const name of javaHashOrder([...votes.keys()])) {
      if (best === undefined || votes.get(name)! > votes.get(best)!) best = name;
    }
    return best!;
  }

  initNextGeneration(nowMs: number): void {
    this.generationId++;
    this.protocolName = this.members.size > 0 ? this.selectProtocol() : null;
    this.subscribedTopics = this.computeSubscribedTopics();
    this.transitionTo(this.members.size > 0 ? 'CompletingRebalance' : 'Empty', nowMs);
    this.pendingSyncs.clear();
    if (this.members.size === 0) this.#supported = undefined;
  }

  computeSubscribedTopics(): ReadonlySet<string> | null {
    if (!this.usesConsumerProtocol) return null;
    if (this.members.size === 0) return new Set();
    if (this.protocolName === null) return null;
    const all = new Set<string>();
    for (const member of this.members.values()) {
      const topics = subscribedTopics(memberMetadata(member, this.protocolName));
      if (topics === null) return null;
      for (const topic of topics) all.add(topic);
    }
    return all;
  }

  /** A group of consumers whose subscriptions cannot be read counts as subscribed to everything. */
  isSubscribedTo(topic: string): boolean {
    return this.subscribedTopics === null ? this.usesConsumerProtocol : this.subscribedTopics.has(topic);
  }
}
