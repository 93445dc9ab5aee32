/**
 * All groups of one partition of `__consumer_offsets`: which there are, of what kind, and the offsets that they committed.
 *
 * Promises: the state machine that a shard drives (`shard.ts`): the log's records make the state, requests make records. Reads for clients are of what is committed.
 * Does not: speak to clients, or find the shard of a group (`group-coordinator.ts`); know the classic protocol (`classic-groups.ts`).
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type {
  DeleteGroupsResponse, DescribeGroupsResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, ListGroupsResponse, SyncGroupRequest,
} from '../../protocol/messages/groups.ts';
import type { OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest } from '../../protocol/messages/offsets.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Clock, Random, Timers } from '../runtime/runtime.ts';
import { ClassicGroup, joinError, memberMetadata, syncError } from './classic-group.ts';
import type { Answer, JoinAnswer, SyncAnswer } from './classic-group.ts';
import { ClassicGroups } from './classic-groups.ts';
import type { Caller } from './classic-groups.ts';
import { ClassicRebalance, NO_EFFECT } from './classic-rebalance.ts';
import type { ClassicGroupSettings, Effect } from './classic-rebalance.ts';
import { Deadline } from './deadline.ts';
import { groupTombstone, offsetTombstone } from './group-records.ts';
import type { GroupRecord } from './group-records.ts';
import { Offsets } from './offsets.ts';
import type { CommittedOffset, FetchedGroup, GroupOffset } from './offsets.ts';
import { OtherGroup } from './other-group.ts';
import type { Outcome, RecordPosition, StateMachine } from './shard.ts';
import { TimelineMap } from './timeline.ts';
import type { Timeline } from './timeline.ts';

export interface GroupShardSettings extends ClassicGroupSettings {
  readonly offsetMetadataLengthMax: number;
  readonly offsetsRetentionMs: number;
  readonly offsetsRetentionCheckIntervalMs: number;
}

export type Group = ClassicGroup | OtherGroup;
export type DescribedGroup = NonNullable<Input<typeof DescribeGroupsResponse>['groups']>[number];
export type ListedGroup = NonNullable<Input<typeof ListGroupsResponse>['groups']>[number];
export type DeletedGroup = NonNullable<Input<typeof DeleteGroupsResponse>['results']>[number];

/** OffsetCommit since this version tells a missing group from a wrong generation (KIP-848). */
const COMMIT_GROUP_ID_NOT_FOUND_SINCE = 9;
/** DescribeGroups since this version says that a group is missing (KIP-1043); before, it is described as dead. */
const DESCRIBE_GROUP_ID_NOT_FOUND_SINCE = 6;

export class GroupShard implements StateMachine<GroupRecord> {
  readonly #settings: GroupShardSettings;
  readonly #clock: Clock;
  readonly #timeline: Timeline;
  readonly #run: (operation: () => Effect) => void;
  readonly #groups: TimelineMap<string, Group>;
  readonly #offsets: Offsets;
  readonly #classic: ClassicGroups;
  readonly #rebalance: ClassicRebalance;
  readonly #expiry: Deadline;

  constructor(options: {
    settings: GroupShardSettings;
    timeline: Timeline;
    clock: Clock;
    timers: Timers;
    random: Random;
    logger: Logger;
    /** Runs an operation as one of the shard's, for what time does. */
    run: (operation: () => Effect) => void;
  }) {
    this.#settings = options.settings;
    this.#clock = options.clock;
    this.#timeline = options.timeline;
    this.#run = options.run;
    this.#groups = new TimelineMap<string, Group>(options.timeline, { undone: (group) => this.#onGroupUndone(group) });
    this.#offsets = new Offsets(options.timeline);
    const deadline = (overdue: () => void): Deadline => new Deadline(options.clock, options.timers, overdue);
    this.#rebalance = new ClassicRebalance({
      settings: options.settings,
      groups: { isCurrent: (group) => this.#groups.get(group.id) === group, run: options.run },
      clock: options.clock,
      logger: options.logger,
      deadline,
    });
    this.#classic = new ClassicGroups({ settings: options.settings, rebalance: this.#rebalance, clock: options.clock, random: options.random });
    this.#expiry = deadline(() => this.#onExpiryDue());
  }

  // ---- the state machine

  replay(record: GroupRecord, position: RecordPosition): void {
    switch (record.type) {
      case 'offset':
        // Whoever commits without joining has a group all the same, of nobody.
        if (record.value !== null && !this.#groups.has(record.group)) this.#groups.set(record.group, this.#rebalance.create(record.group));
        this.#offsets.replay(record, position);
        return;
      case 'group':
        if (record.value === null) this.#groups.delete(record.group);
        else this.#groups.set(record.group, this.#rebalance.load(record.group, record.value));
        return;
      case 'other':
        this.#replayOther(record);
    }
  }

  #replayOther(record: Extract<GroupRecord, { type: 'other' }>): void {
    let group = this.#groups.get(record.group);
    if (!(group instanceof OtherGroup) || group.type !== record.groupType) {
      // A classic group that gave way to one of another kind was taken back before, or came from an offset that was replayed first.
      if (record.isTombstone) return;
      group = new OtherGroup(record.group, record.groupType, this.#timeline);
      this.#groups.set(record.group, group);
    }
    group.replay(record);
    if (!group.hasRecords) this.#groups.delete(record.group);
  }

  replayEndOfTransaction(producerId: number, committed: boolean): void {
    this.#offsets.replayEndOfTransaction(producerId, committed);
  }

  onLoaded(): void {
    for (const group of this.#groups.values()) if (group.type === 'classic') this.#rebalance.onLoaded(group);
    this.#expiry.set(this.#settings.offsetsRetentionCheckIntervalMs);
  }

  onUnloaded(): void {
    this.#expiry.cancel();
    for (const group of this.#groups.values()) if (group.type === 'classic') group.die(this.#clock.wallMs(), ErrorCode.NOT_COORDINATOR);
  }

  /** The records that made it are not in the log: whoever joined it meanwhile has to start over. */
  #onGroupUndone(group: Group): void {
    if (group.type === 'classic' && group.state !== 'Dead') group.die(this.#clock.wallMs(), ErrorCode.NOT_COORDINATOR);
  }

  // ---- membership

  join(request: Value<typeof JoinGroupRequest>, caller: Caller, answer: Answer<JoinAnswer>): Effect {
    const existing = this.#groups.get(request.groupId);
    if (existing?.type === 'classic') return this.#classic.join(existing, false, request, caller, answer);
    if (existing !== undefined && (!existing.isEmpty || existing.type === 'share')) {
      answer.give(joinError('', ErrorCode.INCONSISTENT_GROUP_PROTOCOL));
      return NO_EFFECT;
    }
    if (request.memberId !== '') {
      answer.give(joinError(request.memberId, ErrorCode.UNKNOWN_MEMBER_ID));
      return NO_EFFECT;
    }
    const group = this.#rebalance.create(request.groupId);
    this.#groups.set(group.id, group);
    const effect = this.#classic.join(group, true, request, caller, answer);
    // An empty group of another kind gives way; its records go with it.
    return existing === undefined ? effect : { ...effect, records: [...existing.tombstones(), ...effect.records] };
  }

  sync(request: Value<typeof SyncGroupRequest>, answer: Answer<SyncAnswer>): Effect {
    const group = this.#groups.get(request.groupId);
    if (group?.type === 'classic') return this.#classic.sync(group, request, answer);
    answer.give(syncError(ErrorCode.UNKNOWN_MEMBER_ID));
    return NO_EFFECT;
  }

  heartbeat(request: Value<typeof HeartbeatRequest>): Outcome<GroupRecord, Input<typeof HeartbeatResponse>> {
    const group = this.#groups.get(request.groupId);
    const errorCode = group?.type === 'classic' ? this.#classic.heartbeat(group, request) : ErrorCode.UNKNOWN_MEMBER_ID;
    return { records: [], response: { errorCode } };
  }

  leave(request: Value<typeof LeaveGroupRequest>): Outcome<GroupRecord, Input<typeof LeaveGroupResponse>> {
    const group = this.#groups.get(request.groupId);
    if (group?.type === 'classic') return this.#classic.leave(group, request);
    const members = request.members.map(({ memberId, groupInstanceId }) => ({ memberId, groupInstanceId, errorCode: ErrorCode.UNKNOWN_MEMBER_ID }));
    return { records: [], response: { errorCode: ErrorCode.NONE, members } };
  }

  // ---- offsets

  /** Topics have both names and ids, and exist. Throws KafkaError when the member may not commit. */
  commitOffsets(request: Value<typeof OffsetCommitRequest>, caller: Caller): Outcome<GroupRecord, Input<typeof OffsetCommitResponse>> {
    const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch: generationId } = request;
    const group = this.#groups.get(groupId);
    if (group === undefined) {
      if (generationId >= 0) {
        throw caller.apiVersion >= COMMIT_GROUP_ID_NOT_FOUND_SINCE
          ? new KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, notFound(groupId))
          : new KafkaError(ErrorCode.ILLEGAL_GENERATION);
      }
      // A group of nobody: replaying the records makes it.
    } else if (group.type === 'classic') {
      this.#checkCommit(group, memberId, groupInstanceId, generationId);
      // Committing is a sign of life, but for a group that waits for its assignment.
      if (group.state === 'Stable' || group.state === 'PreparingRebalance') this.#classic.keepAlive(group, memberId);
    } else if (group.type === 'share') {
      throw new KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${groupId} is not a consumer group.`);
    } else if (generationId >= 0 || !group.isEmpty) {
      throw new KafkaError(ErrorCode.UNKNOWN_MEMBER_ID);
    }
    return this.#offsets.commit(request, { nowMs: this.#clock.wallMs(), metadataLengthMax: this.#settings.offsetMetadataLengthMax });
  }

  #checkCommit(group: ClassicGroup, memberId: string, instanceId: string | null, generationId: number): void {
    if (group.state === 'Dead') throw new KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    // An administrator, or a consumer that assigns its partitions itself, while nobody is there.
    if (generationId < 0 && group.state === 'Empty') return;
    if (generationId >= 0 || memberId !== '' || instanceId !== null) {
      const refusal = group.validateMember(memberId, instanceId);
      if (refusal !== ErrorCode.NONE) throw new KafkaError(refusal);
      if (generationId !== group.generationId) throw new KafkaError(ErrorCode.ILLEGAL_GENERATION);
    } else {
      throw new KafkaError(ErrorCode.UNKNOWN_MEMBER_ID);
    }
    // The member knows its generation, but not yet its part: let it ask for that first.
    if (group.state === 'CompletingRebalance') throw new KafkaError(ErrorCode.REBALANCE_IN_PROGRESS);
  }

  /** `stable`: as an operation of the shard, so that nothing is uncommitted when the answer goes out; otherwise as a read. */
  fetchOffsets(request: NonNullable<Value<typeof OffsetFetchRequest>['groups']>[number], stable: boolean): FetchedGroup {
    const group = stable ? this.#groups.get(request.groupId) : this.#groups.getCommitted(request.groupId);
    // A consumer group would check the member that asks (KIP-848): one that names itself cannot be known here.
    if (group !== undefined && group.type !== 'classic' && (request.memberId !== null || request.memberEpoch >= 0)) {
      return { groupId: request.groupId, topics: [], errorCode: ErrorCode.UNKNOWN_MEMBER_ID };
    }
    return this.#offsets.fetch(request, { exists: group !== undefined && group.type !== 'share', stable });
  }

  deleteOffsets(request: Value<typeof OffsetDeleteRequest>): Outcome<GroupRecord, Input<typeof OffsetDeleteResponse>> {
    const group = this.#groups.get(request.groupId);
    if (group === undefined || group.type === 'share') throw new KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, notFound(request.groupId));
    if (group.type === 'classic' && group.state !== 'Empty' && !group.usesConsumerProtocol) throw new KafkaError(ErrorCode.NON_EMPTY_GROUP);
    const records: GroupRecord[] = [];
    const topics = request.topics.map(({ name, partitions }) => {
      const isSubscribed = group.type === 'classic' ? group.isSubscribedTo(name) : !group.isEmpty;
      return {
        name,
        partitions: partitions.map(({ partitionIndex }) => {
          if (isSubscribed) return { partitionIndex, errorCode: ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC };
          if (this.#offsets.get(group.id, name, partitionIndex) !== undefined || this.#offsets.hasPending(group.id, name, partitionIndex)) {
            records.push(offsetTombstone(group.id, name, partitionIndex));
          }
          return { partitionIndex, errorCode: ErrorCode.NONE };
        }),
      };
    });
    return { records, response: { errorCode: ErrorCode.NONE, throttleTimeMs: 0, topics } };
  }

  // ---- administration

  /** Filters are as a client sent them: case does not count, an unknown one matches nothing. */
  listGroups(statesFilter: readonly string[], typesFilter: readonly string[]): ListedGroup[] {
    const states = new Set(statesFilter.map((state) => state.toLowerCase().trim()));
    const types = new Set(typesFilter.map((type) => type.toLowerCase()));
    const listed: ListedGroup[] = [];
    for (const [groupId, group] of this.#groups.committedEntries()) {
      if (states.size > 0 && !states.has(group.state.toLowerCase())) continue;
      if (types.size > 0 && !types.has(group.type)) continue;
      // The other kinds have their own name for a protocol type.
      listed.push({ groupId, protocolType: group.type === 'classic' ? (group.protocolType ?? '') : group.type, groupState: group.state, groupType: group.type });
    }
    return listed;
  }

  committedOffsets(): Iterable<GroupOffset> {
    return this.#offsets.committedOffsets();
  }

  describeGroup(groupId: string, apiVersion: number): DescribedGroup {
    const group = this.#groups.getCommitted(groupId);
    if (group?.type !== 'classic') {
      const dead = { groupId, errorCode: ErrorCode.NONE, groupState: 'Dead', protocolType: '', protocolData: '', members: [] };
      if (apiVersion < DESCRIBE_GROUP_ID_NOT_FOUND_SINCE) return dead;
      return { ...dead, errorCode: ErrorCode.GROUP_ID_NOT_FOUND, errorMessage: group === undefined ? notFound(groupId) : `Group ${groupId} is not a classic group.` };
    }
    const isStable = group.state === 'Stable';
    return {
      groupId,
      errorCode: ErrorCode.NONE,
      groupState: group.state,
      protocolType: group.protocolType ?? '',
      protocolData: isStable ? (group.protocolName ?? '') : '',
      members: Array.from(group.members.values(), (member) => ({
        memberId: member.id,
        groupInstanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        memberMetadata: isStable ? memberMetadata(member, group.protocolName) : Buffer.alloc(0),
        memberAssignment: member.assignment,
      })),
    };
  }

  deleteGroups(groupIds: readonly string[]): Outcome<GroupRecord, DeletedGroup[]> {
    const records: GroupRecord[] = [];
    const response = groupIds.map((groupId) => {
      const group = this.#groups.get(groupId);
      if (group === undefined) return { groupId, errorCode: ErrorCode.GROUP_ID_NOT_FOUND };
      const isEmpty = group.type === 'classic' ? group.state === 'Empty' : group.isEmpty;
      if (!isEmpty) return { groupId, errorCode: ErrorCode.NON_EMPTY_GROUP };
      // What a share group has in __share_group_state would stay behind.
      if (group.type === 'share') return { groupId, errorCode: ErrorCode.UNSUPPORTED_VERSION };
      this.#offsets.deleteAll(groupId, records);
      this.#deleteGroup(group, records);
      return { groupId, errorCode: ErrorCode.NONE };
    });
    return { records, response };
  }

  #deleteGroup(group: Group, records: GroupRecord[]): void {
    if (group.type === 'classic') records.push(groupTombstone(group.id));
    else records.push(...group.tombstones());
  }

  // ---- what time and topics take away

  #onExpiryDue(): void {
    this.#expiry.set(this.#settings.offsetsRetentionCheckIntervalMs);
    this.#run(() => this.expire());
  }

  /** Takes back expired offsets, and groups of which nothing is left. */
  expire(): Effect {
    const records: GroupRecord[] = [];
    const nowMs = this.#clock.wallMs();
    for (const group of this.#groups.values()) {
      if (group.type === 'share') continue;
      const nothingLeft = this.#offsets.expire(
        group.id,
        {
          nowMs,
          retentionMs: this.#settings.offsetsRetentionMs,
          isSubscribed: (topic) => (group.type === 'classic' ? group.isSubscribedTo(topic) : !group.isEmpty),
          sinceMs: expiryStart(group),
        },
        records,
      );
      if (nothingLeft && (group.type === 'classic' ? group.state === 'Empty' : group.isEmpty)) this.#deleteGroup(group, records);
    }
    return { records, response: null, divisible: true };
  }

  deleteTopics(topics: readonly { readonly name: string; readonly id: string }[]): Effect {
    const records: GroupRecord[] = [];
    for (const topic of topics) this.#offsets.deleteTopic(topic, records);
    return { records, response: null, divisible: true };
  }
}

function notFound(groupId: string): string {
  return `Group ${groupId} not found.`;
}

/** From when the offsets of a group count towards their expiry; undefined as long as they do not. */
function expiryStart(group: Group): ((offset: CommittedOffset) => number) | undefined {
  const sinceCommit = (offset: CommittedOffset): number => offset.commitTimestampMs;
  if (group.type !== 'classic' || group.protocolType === null) return sinceCommit;
  // Records of old versions do not say since when the group is empty.
  if (group.state === 'Empty') return (offset) => (group.stateSinceMs === -1 ? offset.commitTimestampMs : group.stateSinceMs);
  if (group.state === 'Stable' && group.usesConsumerProtocol && group.subscribedTopics !== null) return sinceCommit;
  return undefined;
}
