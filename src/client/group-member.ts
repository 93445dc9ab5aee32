/**
 * A member of a classic consumer group, which reads the partitions that the group gives it and commits where it is.
 *
 * Promises: partitions are spread by range over the members of the same protocol, as the `range` assignor of other clients does, so that it can
 * share a group with them; only what was told to be processed is committed, and a rebalance commits first. Does not: static membership,
 * cooperative rebalances.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { decodeVersioned, encodeVersioned } from '../../protocol/log-records/framing.ts';
import { ConsumerProtocolAssignment, ConsumerProtocolSubscription } from '../../protocol/log-records/consumer-protocol.ts';
import { Heartbeat, JoinGroup, LeaveGroup, OffsetCommit, SyncGroup } from '../../protocol/messages/index.ts';
import type { Value } from '../../protocol/schema.ts';
import { byTopic, OffsetTime } from './admin.ts';
import type { Admin, TopicPartition } from './admin.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import { throwOn } from '../client.ts';
import type { Client } from '../client.ts';
import type { ReadRecord, RecordReader } from './reader.ts';
import type { Timer } from '../runtime/runtime.ts';

export interface GroupMemberOptions {
  readonly groupId: string;
  readonly topics: readonly string[];
  /** Where partitions begin that the group has not read yet. */
  readonly from: 'earliest' | 'latest';
  readonly sessionTimeoutMs?: number;
}

const PROTOCOL = 'range';
const REBALANCE_TIMEOUT_MS = 60_000;
const SUBSCRIPTION_VERSION = 1;

export class GroupMember {
  readonly #client: Client;
  readonly #admin: Admin;
  readonly #reader: RecordReader;
  readonly #options: Required<GroupMemberOptions>;
  #memberId = '';
  #generationId = -1;
  #mustRejoin = true;
  #heartbeat: Timer | undefined;
  #left = false;
  /** The next offset to commit, by topic and partition: of partitions that are ours and that something was read of. */
  readonly #processed = new Map<string, { place: TopicPartition; next: number }>();

  constructor(client: Client, admin: Admin, reader: RecordReader, options: GroupMemberOptions) {
    this.#client = client;
    this.#admin = admin;
    this.#reader = reader;
    this.#options = { sessionTimeoutMs: 30_000, ...options };
  }

  /** What has arrived, of the partitions that are ours; joins the group first where that is needed. */
  async poll(waitMs: number): Promise<ReadRecord[]> {
    if (this.#mustRejoin) await this.#join();
    return this.#reader.poll(waitMs);
  }

  /** The record is done with: the next commit goes past it. */
  processed({ topic, partition, record }: ReadRecord): void {
    this.#processed.set(`${topic} ${partition}`, { place: { topic, partition }, next: record.offset + 1 });
  }

  /** Commits what was processed since the last commit. */
  async commit(): Promise<void> {
    if (this.#generationId < 0 || this.#processed.size === 0) return;
    const done = new Map([...this.#processed.values()].map(({ place, next }) => [place, next]));
    this.#processed.clear();
    const topics = byTopic([...done.keys()], (one) => ({ partitionIndex: one.partition, committedOffset: BigInt(done.get(one)!), committedMetadata: '' }));
    const { groupId } = this.#options;
    await this.#client.retrying(async () => {
      const connection = await this.#client.coordinator(groupId);
      const request = { groupId, generationIdOrMemberEpoch: this.#generationId, memberId: this.#memberId, topics };
      const answer = await connection.request(OffsetCommit, request, { versionMax: 9 });
      for (const topic of answer.topics) {
        for (const { partitionIndex, errorCode } of topic.partitions) {
          if (isRebalance(errorCode)) return this.#forget(errorCode);
          throwOn(errorCode, `commit of ${topic.name}-${partitionIndex}`);
        }
      }
    });
  }

  /** Commits, and gives the partitions back to the group. */
  async leave(): Promise<void> {
    this.#left = true;
    this.#heartbeat?.cancel();
    if (this.#memberId === '') return;
    await this.commit();
    const { groupId } = this.#options;
    const connection = await this.#client.coordinator(groupId);
    const version = connection.versionOf(LeaveGroup) ?? 0;
    const members = version >= 3 ? [{ memberId: this.#memberId, reason: 'the consumer was closed' }] : [];
    await connection.request(LeaveGroup, { groupId, memberId: version >= 3 ? '' : this.#memberId, members });
  }

  async #join(): Promise<void> {
    this.#heartbeat?.cancel();
    await this.commit();
    const { groupId, topics } = this.#options;
    const assignment = await this.#client.retrying(async () => {
      const joined = await this.#joinGroup();
      this.#generationId = joined.generationId;
      const isLeader = joined.leader === this.#memberId;
      const assignments = isLeader && !joined.skipAssignment ? await this.#assign(joined.members) : [];
      const connection = await this.#client.coordinator(groupId);
      const request = { groupId, generationId: joined.generationId, memberId: this.#memberId, protocolType: 'consumer', protocolName: PROTOCOL, assignments };
      const synced = await connection.request(SyncGroup, request, { timeoutMs: REBALANCE_TIMEOUT_MS });
      if (isRebalance(synced.errorCode)) {
        this.#forget(synced.errorCode);
        throw new KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, 'the group changed while it was joined');
      }
      throwOn(synced.errorCode, `group ${groupId}`);
      return synced.assignment;
    }, REBALANCE_TIMEOUT_MS);
    const { assignedPartitions } = assignment.length === 0 ? { assignedPartitions: [] } : decodeVersioned(ConsumerProtocolAssignment, assignment).value;
    const own = assignedPartitions.filter(({ topic }) => topics.includes(topic));
    await this.#reader.assign(await this.#startingPoints(own.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })))));
    this.#mustRejoin = false;
    this.#beat();
  }

  async #joinGroup(): Promise<Value<typeof JoinGroup.response>> {
    const { groupId, topics, sessionTimeoutMs } = this.#options;
    const subscription = { topics, userData: null, ownedPartitions: [] };
    for (;;) {
      const connection = await this.#client.coordinator(groupId);
      const joined = await connection.request(
        JoinGroup,
        {
          groupId,
          sessionTimeoutMs,
          rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
          memberId: this.#memberId,
          protocolType: 'consumer',
          protocols: [{ name: PROTOCOL, metadata: encodeVersioned(ConsumerProtocolSubscription, SUBSCRIPTION_VERSION, subscription) }],
        },
        { timeoutMs: REBALANCE_TIMEOUT_MS + 10_000 },
      );
      if (joined.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
        this.#memberId = joined.memberId;
        continue;
      }
      if (isRebalance(joined.errorCode)) {
        this.#forget(joined.errorCode);
        continue;
      }
      throwOn(joined.errorCode, `group ${groupId}`);
      this.#memberId = joined.memberId;
      return joined;
    }
  }

  /** The leader's work: each topic's partitions in even runs over those who want it, in the order of their ids. */
  async #assign(members: Value<typeof JoinGroup.response>['members']): Promise<{ memberId: string; assignment: Buffer }[]> {
    const wants = members.map(({ memberId, metadata }) => ({ memberId, topics: decodeVersioned(ConsumerProtocolSubscription, metadata).value.topics }));
    wants.sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
    const given = new Map(wants.map(({ memberId }) => [memberId, [] as { topic: string; partitions: number[] }[]]));
    for (const name of new Set(wants.flatMap(({ topics }) => topics))) {
      const takers = wants.filter(({ topics }) => topics.includes(name));
      const all = await this.#client.topic(name).then(({ partitions }) => partitions.map(({ partitionIndex }) => partitionIndex).sort((a, b) => a - b), ifUnknown);
      for (const [at, partitions] of evenRuns(all, takers.length).entries()) {
        if (partitions.length > 0) given.get(takers[at]!.memberId)!.push({ topic: name, partitions });
      }
    }
    return [...given].map(([memberId, assignedPartitions]) => ({
      memberId,
      assignment: encodeVersioned(ConsumerProtocolAssignment, SUBSCRIPTION_VERSION, { assignedPartitions, userData: null }),
    }));
  }

  async #startingPoints(partitions: readonly TopicPartition[]): Promise<Map<TopicPartition, number>> {
    const committed = await this.#admin.committedOffsets(this.#options.groupId);
    const positions = new Map<TopicPartition, number>();
    const fresh: TopicPartition[] = [];
    for (const one of partitions) {
      const found = committed.find(({ topic, partition }) => topic === one.topic && partition === one.partition);
      if (found !== undefined && found.offset >= 0n) positions.set(one, Number(found.offset));
      else fresh.push(one);
    }
    const time = this.#options.from === 'earliest' ? OffsetTime.EARLIEST : OffsetTime.LATEST;
    for (const [one, offset] of await this.#admin.offsets(fresh, time)) positions.set(one, offset);
    return positions;
  }

  #beat(): void {
    if (this.#left) return;
    const intervalMs = this.#options.sessionTimeoutMs / 10;
    this.#heartbeat = this.#client.runtime.timers.after(intervalMs, () => {
      this.#sendHeartbeat().then(
        (errorCode) => (isRebalance(errorCode) ? this.#forget(errorCode) : this.#beat()),
        // The next one finds the coordinator again, and the session is longer than a few of them.
        (error: unknown) => (error instanceof ConnectionError || error instanceof KafkaError ? this.#beat() : Promise.reject(error as Error)),
      );
    });
  }

  async #sendHeartbeat(): Promise<number> {
    const { groupId } = this.#options;
    const connection = await this.#client.coordinator(groupId);
    return (await connection.request(Heartbeat, { groupId, generationId: this.#generationId, memberId: this.#memberId })).errorCode;
  }

  /** The group goes on without us, or has a new generation. */
  #forget(errorCode: number): void {
    this.#mustRejoin = true;
    if (errorCode !== ErrorCode.REBALANCE_IN_PROGRESS) this.#generationId = -1;
    if (errorCode === ErrorCode.UNKNOWN_MEMBER_ID || errorCode === ErrorCode.FENCED_INSTANCE_ID) this.#memberId = '';
  }
}

function isRebalance(errorCode: number): boolean {
  switch (errorCode) {
    case ErrorCode.REBALANCE_IN_PROGRESS:
    case ErrorCode.ILLEGAL_GENERATION:
    case ErrorCode.UNKNOWN_MEMBER_ID:
      return true;
    default:
      return false;
  }
}

/** `all` in `count` runs whose lengths differ by one at most, the longer ones first. */
export function evenRuns(all: readonly number[], count: number): number[][] {
  const [each, extra] = [Math.floor(all.length / count), all.length % count];
  let at = 0;
  return Array.from({ length: count }, (_, index) => {
    const run = all.slice(at, at + each + (index < extra ? 1 : 0));
    at += run.length;
    return run;
  });
}

/** A topic that somebody wants and that is not there has no partitions to give. */
function ifUnknown(error: unknown): number[] {
  if (error instanceof KafkaError && error.code === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) return [];
  throw error;
}
