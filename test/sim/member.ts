/**
 * A simulated member of a classic consumer group: joins, is given partitions, reads them from the committed offset on and commits where it is.
 *
 * Promises: what a coordinator tells as committed is never less than what any member of the group was told to be committed before the question, or it is a violation:
 * a commit of an old generation must not get through. The records are in the history as those of a group. Does not: use Kafka's own assignors; the
 * group's leader deals partitions out in turn.
 */
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import { Fetch, Heartbeat, JoinGroup, LeaveGroup, ListOffsets, OffsetCommit, OffsetFetch, SyncGroup } from '../../protocol/messages/index.ts';
import { isControl, lastOffset } from '../../protocol/record/batch.ts';
import { isIntact, nextBatchBytes, recordsAt } from '../../protocol/record/batches.ts';
import { isLost } from './client.ts';
import type { PartitionLeader, SimClient } from './client.ts';
import type { Polled } from './history.ts';

/** What all members of a group know together. */
export class SimGroup {
  readonly id: string;
  readonly topic: string;
  readonly partitions: number;
  /** The highest offset whose commit was acknowledged, by partition. */
  readonly acknowledged = new Map<number, number>();

  constructor(id: string, topic: string, partitions: number) {
    this.id = id;
    this.topic = topic;
    this.partitions = partitions;
  }
}

const EARLIEST = -2;
const SESSION_MS = 3000;
const HEARTBEAT_MS = 600;
/** Of each round. */
const RESTART_CHANCE = 0.02;

export class SimMember {
  /** Rounds in which it was a member and its heartbeat was taken, since this was last set to 0. */
  answered = 0;
  last = '';
  readonly #client: SimClient;
  readonly #group: SimGroup;
  #coordinator = -1;
  #memberId = '';
  #generation = -1;
  #positions = new Map<number, number>();
  #heartbeatMs = 0;

  constructor(client: SimClient, group: SimGroup) {
    this.#client = client;
    this.#group = group;
  }

  get name(): string {
    return `${this.#client.name} of group ${this.#group.id}`;
  }

  async run(): Promise<void> {
    const client = this.#client;
    while (!client.stopping) {
      try {
        if (client.random.chance(RESTART_CHANCE)) await this.#restart();
        if (this.#coordinator < 0) this.#coordinator = await client.coordinator(this.#group.id);
        if (this.#generation < 0) await this.#join();
        if (this.#generation >= 0) await this.#round();
        await client.pause(50 + client.random.below(200));
      } catch (error) {
        if (!isLost(error)) throw error;
        this.last = error.message;
        if (this.#coordinator >= 0) client.drop(this.#coordinator);
        this.#coordinator = -1;
        await client.backOff();
      }
    }
  }

  /** Another process in its place, which knows nothing; half of them say goodbye first. */
  async #restart(): Promise<void> {
    const { random } = this.#client;
    const [memberId, isMember] = [this.#memberId, this.#generation >= 0];
    this.#memberId = '';
    this.#generation = -1;
    if (!isMember || random.chance(0.5)) return;
    const connection = await this.#client.broker(this.#coordinator);
    this.#coordinator = -1;
    await connection.request(LeaveGroup, { groupId: this.#group.id, memberId: '', members: [{ memberId, groupInstanceId: null, reason: null }] });
  }

  async #join(): Promise<void> {
    const client = this.#client;
    const { id: groupId, topic, partitions } = this.#group;
    const connection = await client.broker(this.#coordinator);
    const joined = await connection.request(JoinGroup, {
      groupId, sessionTimeoutMs: SESSION_MS, rebalanceTimeoutMs: SESSION_MS, memberId: this.#memberId, groupInstanceId: null, protocolType: 'sim', protocols: [{ name: 'turns', metadata: Buffer.from(topic) }],
    }, { timeoutMs: 2 * SESSION_MS });
    if (joined.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
      this.#memberId = joined.memberId;
      return;
    }
    if (!this.#taken('JoinGroup', joined.errorCode)) return;
    this.#memberId = joined.memberId;
    const ids = joined.members.map((member) => member.memberId).sort();
    const isLeader = joined.leader === joined.memberId;
    const assignments = !isLeader ? [] : ids.map((memberId, index) => ({
      memberId, assignment: Buffer.from(JSON.stringify(Array.from({ length: partitions }, (_, partition) => partition).filter((partition) => partition % ids.length === index))),
    }));
    const synced = await connection.request(SyncGroup, {
      groupId, generationId: joined.generationId, memberId: this.#memberId, groupInstanceId: null, protocolType: 'sim', protocolName: 'turns', assignments,
    }, { timeoutMs: 2 * SESSION_MS });
    if (!this.#taken('SyncGroup', synced.errorCode)) return;
    const assigned = synced.assignment.length === 0 ? [] : (JSON.parse(synced.assignment.toString()) as number[]);
    this.#positions = new Map(assigned.map((partition) => [partition, -1]));
    this.#generation = joined.generationId;
    client.world.trace(() => `${this.name} is in generation ${joined.generationId} with partitions ${assigned.join()}`);
  }

  async #round(): Promise<void> {
    const client = this.#client;
    const { id: groupId } = this.#group;
    if (client.world.nowMs - this.#heartbeatMs > HEARTBEAT_MS) {
      this.#heartbeatMs = client.world.nowMs;
      const connection = await client.broker(this.#coordinator);
      const answer = await connection.request(Heartbeat, { groupId, generationId: this.#generation, memberId: this.#memberId, groupInstanceId: null });
      if (!this.#taken('Heartbeat', answer.errorCode)) return;
      this.answered++;
    }
    for (const [partition, position] of [...this.#positions]) {
      if (this.#generation < 0) return;
      if (position < 0) await this.#begin(partition);
      else if (await this.#read(partition, position)) await this.#commit(partition);
    }
  }

  async #begin(partition: number): Promise<void> {
    const client = this.#client;
    const { id: groupId, topic, acknowledged } = this.#group;
    const least = acknowledged.get(partition) ?? -1;
    const { topicId } = await client.leader(topic, partition);
    const connection = await client.broker(this.#coordinator);
    const answer = await connection.request(OffsetFetch, { groups: [{ groupId, topics: [{ name: topic, topicId, partitionIndexes: [partition] }] }], requireStable: client.random.chance(0.5) });
    const group = answer.groups[0]!;
    const found = group.topics[0]?.partitions[0];
    if (!this.#taken('OffsetFetch', group.errorCode !== ErrorCode.NONE ? group.errorCode : (found?.errorCode ?? 0))) return;
    const committed = Number(found?.committedOffset ?? -1n);
    if (committed < least) client.world.fail(`${this.name} was told that partition ${partition} is committed up to ${committed}, ${least} had been acknowledged`);
    this.#positions.set(partition, Math.max(0, committed));
  }

  /** True when it went on. */
  async #read(partition: number, position: number): Promise<boolean> {
    const client = this.#client;
    const { topic } = this.#group;
    const leader = await client.leader(topic, partition);
    let answer;
    try {
      const connection = await client.broker(leader.leaderId);
      answer = await connection.request(Fetch, {
        maxWaitMs: 100, minBytes: 1, maxBytes: 100_000, forgottenTopicsData: [],
        topics: [{ topic, topicId: leader.topicId, partitions: [{ partition, currentLeaderEpoch: leader.leaderEpoch, fetchOffset: position, partitionMaxBytes: 2048 }] }],
      });
    } catch (error) {
      if (!isLost(error)) throw error;
      // The leader is away, not the coordinator.
      client.drop(leader.leaderId);
      await client.leader(topic, partition, true);
      return false;
    }
    const fetched = answer.responses[0]?.partitions[0];
    if (fetched?.errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
      // Retention has let it go; whether it may have is for the consumers that have chosen their partitions to find.
      await this.#beginAtStart(partition, position, leader);
      return false;
    }
    if (fetched === undefined || fetched.errorCode !== ErrorCode.NONE) {
      if (fetched !== undefined) await client.leader(topic, partition, true);
      return false;
    }
    const polled: Polled[] = [];
    let end = position;
    const { records } = fetched;
    for (let at = 0; records !== null && at < records.length; ) {
      const bytes = nextBatchBytes(records, at, records.length);
      // Of a damaged disk; whose it is the consumers look at that have chosen their partitions.
      if (bytes <= 0 || !isIntact(records, at)) break;
      if (!isControl(records, at)) {
        for (const record of recordsAt(records, at)) {
          const text = record.value?.toString('latin1') ?? '';
          if (record.offset >= position) polled.push({ offset: record.offset, value: text.slice(0, text.indexOf(' ')) });
        }
      }
      end = Math.max(end, lastOffset(records, at) + 1);
      at += bytes;
    }
    client.history.poll(`${client.name}/${partition}`, `${topic}-${partition}`, polled, { subscribed: true });
    this.#positions.set(partition, end);
    return end > position;
  }

  async #beginAtStart(partition: number, position: number, { leaderId, leaderEpoch }: PartitionLeader): Promise<void> {
    const connection = await this.#client.broker(leaderId);
    const answer = await connection.request(ListOffsets, {
      replicaId: -1, isolationLevel: 0, topics: [{ name: this.#group.topic, partitions: [{ partitionIndex: partition, currentLeaderEpoch: leaderEpoch, timestamp: EARLIEST }] }],
    });
    const { errorCode, offset } = answer.topics[0]!.partitions[0]!;
    if (errorCode === ErrorCode.NONE) this.#positions.set(partition, Math.max(position, offset));
  }

  async #commit(partition: number): Promise<void> {
    const client = this.#client;
    const { id: groupId, topic, acknowledged } = this.#group;
    const offset = this.#positions.get(partition)!;
    const { topicId } = await client.leader(topic, partition);
    const connection = await client.broker(this.#coordinator);
    const answer = await connection.request(OffsetCommit, {
      groupId, generationIdOrMemberEpoch: this.#generation, memberId: this.#memberId, groupInstanceId: null,
      topics: [{ name: topic, topicId, partitions: [{ partitionIndex: partition, committedOffset: BigInt(offset), committedLeaderEpoch: -1, committedMetadata: null }] }],
    });
    if (!this.#taken('OffsetCommit', answer.topics[0]!.partitions[0]!.errorCode)) return;
    acknowledged.set(partition, Math.max(acknowledged.get(partition) ?? -1, offset));
  }

  /** Whether the coordinator has done it; else what it said decides how to go on. */
  #taken(what: string, errorCode: number): boolean {
    const client = this.#client;
    this.last = `${what} at ${this.#coordinator}: ${errorName(errorCode)}`;
    switch (errorCode) {
      case ErrorCode.NONE:
        return true;
      case ErrorCode.UNKNOWN_MEMBER_ID:
        this.#memberId = '';
        this.#generation = -1;
        return false;
      case ErrorCode.REBALANCE_IN_PROGRESS:
      case ErrorCode.ILLEGAL_GENERATION:
        this.#generation = -1;
        return false;
      case ErrorCode.NOT_COORDINATOR:
      case ErrorCode.COORDINATOR_NOT_AVAILABLE:
        this.#coordinator = -1;
        return false;
      case ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
      case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
      case ErrorCode.UNKNOWN_TOPIC_ID:
      case ErrorCode.REQUEST_TIMED_OUT:
      case ErrorCode.KAFKA_STORAGE_ERROR:
      case ErrorCode.UNSTABLE_OFFSET_COMMIT:
      case ErrorCode.UNKNOWN_SERVER_ERROR:
        return false;
      default:
        client.world.fail(`${this.name}: ${what} was told ${errorName(errorCode)}`);
        return false;
    }
  }
}
