/**
 * The group coordinator of a node: the shards of `__consumer_offsets` that it leads, and what clients ask of them.
 *
 * Promises: every request is answered, once, with the codes that Kafka's coordinator has for it; errors of the log come out as a coordinator's (errors.ts).
 * A request enters its shard before this returns, so requests of one connection keep their order. Group ids are keys of Maps and nothing else.
 * Does not: authorise, look at topics (the handlers in src/api do), or say who leads which partition (the replica room does, by `onLeadership`).
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { coordinatorPartition } from '../../protocol/hash.ts';
import type { CompressionType } from '../../protocol/record/batch.ts';
import type {
  DeleteGroupsResponse, DescribeGroupsResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
  ListGroupsResponse, SyncGroupRequest,
} from '../../protocol/messages/groups.ts';
import type { OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest } from '../../protocol/messages/offsets.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Answer, joinError, syncError } from './classic-group.ts';
import type { JoinAnswer, SyncAnswer } from './classic-group.ts';
import type { Caller } from './classic-groups.ts';
import { coordinatorErrorOf } from './errors.ts';
import { groupRecordCodec } from './group-records.ts';
import type { GroupRecord } from './group-records.ts';
import { GroupShard } from './group-shard.ts';
import type { DeletedGroup, DescribedGroup, GroupShardSettings } from './group-shard.ts';
import type { FetchedGroup, GroupOffset } from './offsets.ts';
import { Shard } from './shard.ts';
import type { ShardLog, ShardState } from './shard.ts';

type SettingName =
  | 'group.coordinator.append.linger.ms'
  | 'group.initial.rebalance.delay.ms'
  | 'group.max.session.timeout.ms'
  | 'group.max.size'
  | 'group.min.session.timeout.ms'
  | 'message.max.bytes'
  | 'offset.metadata.max.bytes'
  | 'offsets.commit.timeout.ms'
  | 'offsets.retention.check.interval.ms'
  | 'offsets.retention.minutes'
  | 'offsets.topic.compression.codec';

/** The part of the node's settings that is read here. */
export interface GroupCoordinatorSettings {
  get(name: SettingName): number;
}

type FetchRequestGroup = NonNullable<Value<typeof OffsetFetchRequest>['groups']>[number];

const MINUTE_MS = 60_000;
/** Kafka has no setting for it either (GroupCoordinatorConfig.CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS). */
const NEW_MEMBER_JOIN_TIMEOUT_MS = 5 * MINUTE_MS;

export class GroupCoordinator {
  readonly #runtime: Runtime;
  readonly #settings: GroupCoordinatorSettings;
  readonly #logger: Logger;
  readonly #partitionCount: () => number;
  readonly #ensureTopic: () => Promise<void>;
  readonly #shards = new Map<number, Shard<GroupRecord, GroupShard>>();
  #isClosed = false;

  constructor(options: {
    runtime: Runtime;
    settings: GroupCoordinatorSettings;
    logger: Logger;
    /** Of `__consumer_offsets`, or of what it will be created with. Never changes for groups that there are. */
    partitionCount: () => number;
    /** Creates `__consumer_offsets` if it is missing; resolves when its partitions have leaders. Rejects with a KafkaError when it cannot be. */
    ensureTopic: () => Promise<void>;
  }) {
    this.#runtime = options.runtime;
    this.#settings = options.settings;
    this.#logger = options.logger;
    this.#partitionCount = options.partitionCount;
    this.#ensureTopic = options.ensureTopic;
  }

  ensureTopic(): Promise<void> {
    return this.#ensureTopic();
  }

  /** The partition of `__consumer_offsets` that a group's records are in. */
  partitionFor(groupId: string): number {
    return coordinatorPartition(groupId, this.#partitionCount());
  }

  // ---- for operators

  /** Of each partition of `__consumer_offsets` that this node leads. */
  shardStates(): Map<number, ShardState> {
    return new Map([...this.#shards].map(([partition, shard]) => [partition, shard.state]));
  }

  /** Groups by state, of the shards that are loaded. */
  groupStates(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const machine of this.#loaded()) for (const { groupState = '' } of machine.listGroups([], [])) counts.set(groupState, (counts.get(groupState) ?? 0) + 1);
    return counts;
  }

  /** Every committed offset of the shards that are loaded. */
  *committedOffsets(): Generator<GroupOffset> {
    for (const machine of this.#loaded()) yield* machine.committedOffsets();
  }

  #loaded(): GroupShard[] {
    return [...this.#shards.values()].filter(({ state }) => state === 'active').map((shard) => shard.read((machine) => machine));
  }

  // ---- leadership

  /** This node leads the partition from now on, in this leader epoch. Resolves when the shard has loaded, failed, or been given up. */
  async onLeadership(partition: number, log: ShardLog): Promise<void> {
    const current = this.#shards.get(partition);
    if (this.#isClosed || (current !== undefined && current.log.leaderEpoch >= log.leaderEpoch)) return;
    current?.unload();
    const { clock, timers, random } = this.#runtime;
    const settings = this.#shardSettings();
    const shard: Shard<GroupRecord, GroupShard> = new Shard({
      log,
      name: '__consumer_offsets',
      codec: groupRecordCodec,
      createMachine: (timeline) =>
        new GroupShard({ settings, timeline, clock, timers, random, logger: this.#logger, run: (operation) => shard.run(operation) }),
      clock,
      timers,
      logger: this.#logger,
      options: {
        batchBytesMax: this.#settings.get('message.max.bytes'),
        lingerMs: this.#settings.get('group.coordinator.append.linger.ms'),
        commitTimeoutMs: this.#settings.get('offsets.commit.timeout.ms'),
        compression: this.#settings.get('offsets.topic.compression.codec') as CompressionType,
      },
    });
    this.#shards.set(partition, shard);
    await shard.load();
  }

  /** This node no longer leads the partition as of this leader epoch; null: whatever its epoch (the partition is gone). */
  onResignation(partition: number, leaderEpoch: number | null): void {
    const shard = this.#shards.get(partition);
    if (shard === undefined || (leaderEpoch !== null && shard.log.leaderEpoch >= leaderEpoch)) return;
    this.#shards.delete(partition);
    shard.unload();
  }

  /** Their offsets go with them. */
  onTopicsDeleted(topics: readonly { readonly name: string; readonly id: string }[]): void {
    if (topics.length === 0) return;
    for (const shard of this.#shards.values()) shard.run((machine) => machine.deleteTopics(topics));
  }

  /** Answers everyone who waits and stops all timers. */
  close(): void {
    this.#isClosed = true;
    for (const shard of this.#shards.values()) shard.unload();
    this.#shards.clear();
  }

  // ---- membership

  joinGroup(request: Value<typeof JoinGroupRequest>, caller: Caller): Promise<JoinAnswer> {
    const refusal = this.#checkJoin(request);
    if (refusal !== ErrorCode.NONE) return Promise.resolve(joinError(request.memberId, refusal));
    const answer = new Answer<JoinAnswer>();
    return this.#submit(request.groupId, (machine) => machine.join(request, caller, answer), answer, (code) => joinError('', code));
  }

  #checkJoin(request: Value<typeof JoinGroupRequest>): ErrorCode {
    if (this.#isClosed) return ErrorCode.COORDINATOR_NOT_AVAILABLE;
    if (request.groupId === '') return ErrorCode.INVALID_GROUP_ID;
    const { sessionTimeoutMs } = request;
    if (sessionTimeoutMs < this.#settings.get('group.min.session.timeout.ms') || sessionTimeoutMs > this.#settings.get('group.max.session.timeout.ms')) return ErrorCode.INVALID_SESSION_TIMEOUT;
    return ErrorCode.NONE;
  }

  syncGroup(request: Value<typeof SyncGroupRequest>): Promise<SyncAnswer> {
    if (this.#isClosed) return Promise.resolve(syncError(ErrorCode.COORDINATOR_NOT_AVAILABLE));
    if (request.groupId === '') return Promise.resolve(syncError(ErrorCode.INVALID_GROUP_ID));
    const answer = new Answer<SyncAnswer>();
    return this.#submit(request.groupId, (machine) => machine.sync(request, answer), answer, syncError);
  }

  /** For operations that are answered when the group is ready, and not when records are written. */
  #submit<T>(groupId: string, operation: Parameters<Shard<GroupRecord, GroupShard>['submit']>[0], answer: Answer<T>, onError: (code: ErrorCode) => T): Promise<T> {
    try {
      this.#shardOf(this.partitionFor(groupId)).submit(operation);
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      answer.give(onError(coordinatorErrorOf(error)));
    }
    return answer.promise;
  }

  async heartbeat(request: Value<typeof HeartbeatRequest>): Promise<Input<typeof HeartbeatResponse>> {
    if (request.groupId === '') return { errorCode: ErrorCode.INVALID_GROUP_ID };
    return this.#answer(
      this.#write(request.groupId, (machine) => machine.heartbeat(request)),
      // While the group loads nobody's session ends, so all is well.
      (code) => ({ errorCode: code === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS ? ErrorCode.NONE : code }),
    );
  }

  /** The members are in `members` whatever the version of the request was. */
  async leaveGroup(request: Value<typeof LeaveGroupRequest>): Promise<Input<typeof LeaveGroupResponse>> {
    if (request.groupId === '') return { errorCode: ErrorCode.INVALID_GROUP_ID };
    return this.#answer(this.#write(request.groupId, (machine) => machine.leave(request)), (errorCode) => ({ errorCode }));
  }

  // ---- offsets

  /** Topics have their names and ids, and all partitions exist. */
  async commitOffsets(request: Value<typeof OffsetCommitRequest>, caller: Caller): Promise<Input<typeof OffsetCommitResponse>> {
    return this.#answer(
      this.#write(request.groupId, (machine) => machine.commitOffsets(request, caller)),
      (code) => offsetCommitError(request, code),
    );
  }

  /** Topics have their names. An error of the group as a whole is in the answer's `errorCode`. */
  async fetchOffsets(request: FetchRequestGroup, requireStable: boolean): Promise<FetchedGroup> {
    return this.#answer(
      this.#fetchOffsets(request, requireStable),
      // Consumers before 3.9 know NOT_COORDINATOR here, and not COORDINATOR_NOT_AVAILABLE.
      (code) => ({ groupId: request.groupId, topics: [], errorCode: code === ErrorCode.COORDINATOR_NOT_AVAILABLE && !this.#isClosed ? ErrorCode.NOT_COORDINATOR : code }),
    );
  }

  async #fetchOffsets(request: FetchRequestGroup, requireStable: boolean): Promise<FetchedGroup> {
    const shard = this.#shardOf(this.partitionFor(request.groupId));
    const confirmed = shard.confirmed();
    // A coordinator that was paused, or cut off, may have a successor who has acknowledged commits. Kafka's answers all the same.
    if (confirmed !== null) await confirmed;
    // To wait for what is not yet committed is what KIP-447 asks for.
    if (requireStable) return shard.write((machine) => ({ records: [], response: machine.fetchOffsets(request, true) }));
    return shard.read((machine) => machine.fetchOffsets(request, false));
  }

  async deleteOffsets(request: Value<typeof OffsetDeleteRequest>): Promise<Input<typeof OffsetDeleteResponse>> {
    const failed = (errorCode: ErrorCode): Input<typeof OffsetDeleteResponse> => ({ errorCode, throttleTimeMs: 0, topics: [] });
    if (request.groupId === '') return failed(ErrorCode.INVALID_GROUP_ID);
    return this.#answer(this.#write(request.groupId, (machine) => machine.deleteOffsets(request)), failed);
  }

  // ---- administration

  /** The groups of all shards that are loaded. While one is loading the answer would be a lie, so it is an error. */
  listGroups(request: Value<typeof ListGroupsRequest>): Input<typeof ListGroupsResponse> {
    if (this.#isClosed) return { errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE, groups: [] };
    const groups = [];
    for (const shard of this.#shards.values()) {
      if (shard.state === 'loading') return { errorCode: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, groups: [] };
      if (shard.state === 'active') groups.push(...shard.read((machine) => machine.listGroups(request.statesFilter, request.typesFilter)));
    }
    return { errorCode: ErrorCode.NONE, groups };
  }

  describeGroups(groupIds: readonly string[], caller: Caller): NonNullable<Input<typeof DescribeGroupsResponse>['groups']> {
    return groupIds.map((groupId) =>
      this.#read(
        this.partitionFor(groupId),
        (machine): DescribedGroup => machine.describeGroup(groupId, caller.apiVersion),
        (errorCode): DescribedGroup => ({ groupId, errorCode, groupState: '', protocolType: '', protocolData: '', members: [] }),
      ),
    );
  }

  async deleteGroups(groupIds: readonly string[]): Promise<NonNullable<Input<typeof DeleteGroupsResponse>['results']>> {
    const byPartition = new Map<number, string[]>();
    for (const groupId of new Set(groupIds)) {
      const partition = this.partitionFor(groupId);
      const ids = byPartition.get(partition);
      if (ids === undefined) byPartition.set(partition, [groupId]);
      else ids.push(groupId);
    }
    const results = await Promise.all(
      Array.from(byPartition.values(), (ids) =>
        this.#answer(
          this.#write(ids[0]!, (machine) => machine.deleteGroups(ids)),
          (errorCode): DeletedGroup[] => ids.map((groupId) => ({ groupId, errorCode })),
        ),
      ),
    );
    return results.flat();
  }

  // ----

  #shardOf(partition: number): Shard<GroupRecord, GroupShard> {
    if (this.#isClosed) throw new KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE);
    const shard = this.#shards.get(partition);
    if (shard === undefined) throw new KafkaError(ErrorCode.NOT_COORDINATOR);
    return shard;
  }

  /** Enters the shard at once; what is wrong comes as a rejection. */
  async #write<T>(groupId: string, operation: (machine: GroupShard) => { records: readonly GroupRecord[]; response: T }): Promise<T> {
    return this.#shardOf(this.partitionFor(groupId)).write(operation);
  }

  async #answer<T>(pending: Promise<T>, onError: (code: ErrorCode) => T): Promise<T> {
    try {
      return await pending;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return onError(coordinatorErrorOf(error));
    }
  }

  #read<T>(partition: number, operation: (machine: GroupShard) => T, onError: (code: ErrorCode) => T): T {
    try {
      return this.#shardOf(partition).read(operation);
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return onError(error.code);
    }
  }

  #shardSettings(): GroupShardSettings {
    return {
      initialRebalanceDelayMs: this.#settings.get('group.initial.rebalance.delay.ms'),
      groupSizeMax: this.#settings.get('group.max.size'),
      newMemberJoinTimeoutMs: NEW_MEMBER_JOIN_TIMEOUT_MS,
      offsetMetadataLengthMax: this.#settings.get('offset.metadata.max.bytes'),
      offsetsRetentionMs: this.#settings.get('offsets.retention.minutes') * MINUTE_MS,
      offsetsRetentionCheckIntervalMs: this.#settings.get('offsets.retention.check.interval.ms'),
    };
  }
}

/** One error for every partition of the request. */
export function offsetCommitError(request: Value<typeof OffsetCommitRequest>, errorCode: ErrorCode): Input<typeof OffsetCommitResponse> {
  return {
    topics: request.topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    })),
  };
}
