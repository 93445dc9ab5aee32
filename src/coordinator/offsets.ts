/**
 * Committed offsets of all groups of one shard, and those that wait for the end of a transaction.
 *
 * Promises: state follows records alone; what is committed is given back exactly (offsets are bigints). Expiry follows KIP-211: with a retention time of its own
 * an offset ends at that time; otherwise when its group has been without members for `retentionMs`, or, where nobody ever was a member or a group of consumers does
 * not read the topic any more, when it was committed that long ago.
 * Does not: check who may commit (`group-shard.ts`), or that topics exist (the API's handlers).
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse } from '../../protocol/messages/offsets.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { NO_TOPIC_ID, offsetTombstone } from './group-records.ts';
import type { GroupRecord } from './group-records.ts';
import type { Outcome, RecordPosition } from './shard.ts';
import { TimelineMap } from './timeline.ts';
import type { Timeline } from './timeline.ts';

export interface CommittedOffset {
  /** Where the record lies that says so: of two commits the later one counts, also when the earlier one's transaction ends after it. */
  readonly recordOffset: number;
  readonly offset: bigint;
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly commitTimestampMs: number;
  /** -1 for none. */
  readonly expireTimestampMs: number;
  /** NO_TOPIC_ID in records from before Kafka 4.1. */
  readonly topicId: string;
}

type OffsetRecord = Extract<GroupRecord, { type: 'offset' }>;
type FetchGroup = NonNullable<Value<typeof OffsetFetchRequest>['groups']>[number];
export type FetchedGroup = NonNullable<Input<typeof OffsetFetchResponse>['groups']>[number];
type FetchedPartition = FetchedGroup['topics'][number]['partitions'][number];

const INVALID_OFFSET = -1n;
const NO_LEADER_EPOCH = -1;

type Partitions = TimelineMap<number, CommittedOffset>;

/** group -> topic -> partition. Maps that become empty are removed. */
class OffsetTree {
  readonly groups: TimelineMap<string, TimelineMap<string, Partitions>>;
  readonly #timeline: Timeline;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
    this.groups = new TimelineMap(timeline);
  }

  get(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.groups.get(group)?.get(topic)?.get(partition);
  }

  set(group: string, topic: string, partition: number, offset: CommittedOffset): void {
    let topics = this.groups.get(group);
    if (topics === undefined) this.groups.set(group, (topics = new TimelineMap(this.#timeline)));
    let partitions = topics.get(topic);
    if (partitions === undefined) topics.set(topic, (partitions = new TimelineMap(this.#timeline)));
    partitions.set(partition, offset);
  }

  delete(group: string, topic: string, partition: number): void {
    const topics = this.groups.get(group);
    const partitions = topics?.get(topic);
    if (topics === undefined || partitions === undefined) return;
    partitions.delete(partition);
    if (partitions.isEmpty()) topics.delete(topic);
    if (topics.isEmpty()) this.groups.delete(group);
  }

  *entries(group: string): Generator<[topic: string, partition: number, offset: CommittedOffset]> {
    for (const [topic, partitions] of this.groups.get(group)?.entries() ?? []) {
      for (const [partition, offset] of partitions.entries()) yield [topic, partition, offset];
    }
  }
}

export interface GroupOffset {
  readonly groupId: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

export class Offsets {
  readonly #timeline: Timeline;
  readonly #committed: OffsetTree;
  /** By producer id: written in a transaction that has not ended. */
  readonly #pending: TimelineMap<number, OffsetTree>;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
    this.#committed = new OffsetTree(timeline);
    this.#pending = new TimelineMap(timeline);
  }

  // ---- replay

  replay(record: OffsetRecord, position: RecordPosition): void {
    const { group, topic, partition, value } = record;
    if (value === null) {
      this.#committed.delete(group, topic, partition);
      for (const pending of this.#pending.values()) pending.delete(group, topic, partition);
      return;
    }
    const offset: CommittedOffset = {
      recordOffset: position.offset,
      offset: value.offset,
      leaderEpoch: value.leaderEpoch,
      metadata: value.metadata,
      commitTimestampMs: value.commitTimestamp,
      expireTimestampMs: value.expireTimestamp,
      topicId: value.topicId,
    };
    if (position.producerId < 0) {
      this.#committed.set(group, topic, partition, offset);
      return;
    }
    let pending = this.#pending.get(position.producerId);
    if (pending === undefined) this.#pending.set(position.producerId, (pending = new OffsetTree(this.#timeline)));
    pending.set(group, topic, partition, offset);
  }

  replayEndOfTransaction(producerId: number, committed: boolean): void {
    const pending = this.#pending.get(producerId);
    if (pending === undefined) return;
    this.#pending.delete(producerId);
    if (!committed) return;
    for (const group of pending.groups.keys()) {
      for (const [topic, partition, offset] of pending.entries(group)) {
        const existing = this.#committed.get(group, topic, partition);
        if (existing === undefined || existing.recordOffset < offset.recordOffset) this.#committed.set(group, topic, partition, offset);
      }
    }
  }

  // ---- what there is

  get(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#committed.get(group, topic, partition);
  }

  hasPending(group: string, topic: string, partition: number): boolean {
    for (const pending of this.#pending.values()) if (pending.get(group, topic, partition) !== undefined) return true;
    return false;
  }

  #hasPendingOf(group: string): boolean {
    for (const pending of this.#pending.values()) if (pending.groups.has(group)) return true;
    return false;
  }

  // ---- committing

  commit(request: Value<typeof OffsetCommitRequest>, options: { nowMs: number; metadataLengthMax: number }): Outcome<GroupRecord, Input<typeof OffsetCommitResponse>> {
    const records: GroupRecord[] = [];
    // A time beyond all others is as good as for ever, and still fits its field.
    const expireTimestamp = request.retentionTimeMs === -1 ? -1 : Math.min(options.nowMs + request.retentionTimeMs, Number.MAX_SAFE_INTEGER);
    const topics = request.topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map((one) => {
        const metadata = one.committedMetadata ?? '';
        // Kafka's limit is called offset.metadata.max.bytes and counts UTF-16 units, as `length` does.
        if (metadata.length > options.metadataLengthMax) return { partitionIndex: one.partitionIndex, errorCode: ErrorCode.OFFSET_METADATA_TOO_LARGE };
        records.push({
          type: 'offset',
          group: request.groupId,
          topic: name,
          partition: one.partitionIndex,
          value: { offset: one.committedOffset, leaderEpoch: one.committedLeaderEpoch, metadata, commitTimestamp: options.nowMs, expireTimestamp, topicId },
        });
        return { partitionIndex: one.partitionIndex, errorCode: ErrorCode.NONE };
      }),
    }));
    return { records, response: { topics } };
  }

  /** Adds what takes back all offsets of the group. */
  deleteAll(group: string, records: GroupRecord[]): void {
    const seen = new Set<string>();
    for (const tree of [this.#committed, ...this.#pending.values()]) {
      for (const [topic, partition] of tree.entries(group)) {
        const key = `${partition}:${topic}`;
        if (seen.has(key)) continue;
        seen.add(key);
        records.push(offsetTombstone(group, topic, partition));
      }
    }
  }

  /** `id` is that of the topic which is gone; a commit for another topic of the same name stays. */
  deleteTopic(topic: { readonly name: string; readonly id: string }, records: GroupRecord[]): void {
    for (const tree of [this.#committed, ...this.#pending.values()]) {
      for (const [group, topics] of tree.groups.entries()) {
        for (const [partition, offset] of topics.get(topic.name)?.entries() ?? []) {
          if (offset.topicId === NO_TOPIC_ID || offset.topicId === topic.id) records.push(offsetTombstone(group, topic.name, partition));
        }
      }
    }
  }

  /**
   * Adds what takes back the offsets that have expired. `sinceMs` says from when an offset's time counts, undefined when it does not.
   * True when nothing of the group's is left.
   */
  expire(
    group: string,
    options: { nowMs: number; retentionMs: number; isSubscribed: (topic: string) => boolean; sinceMs: ((offset: CommittedOffset) => number) | undefined },
    records: GroupRecord[],
  ): boolean {
    const { nowMs, retentionMs, isSubscribed, sinceMs } = options;
    let allExpired = true;
    for (const [topic, partition, offset] of this.#committed.entries(group)) {
      if (sinceMs === undefined) return false;
      const isExpired = offset.expireTimestampMs === -1 ? nowMs - sinceMs(offset) >= retentionMs : nowMs >= offset.expireTimestampMs;
      if (isExpired && !isSubscribed(topic) && !this.hasPending(group, topic, partition)) records.push(offsetTombstone(group, topic, partition));
      else allExpired = false;
    }
    return allExpired && !this.#hasPendingOf(group);
  }

  // ---- fetching

  /** `stable`: the latest state, in which offsets of open transactions are UNSTABLE_OFFSET_COMMIT; otherwise what is committed to the log. */
  fetch(request: FetchGroup, options: { exists: boolean; stable: boolean }): FetchedGroup {
    const { stable } = options;
    const groupId = request.groupId;
    const topics = !options.exists ? undefined : stable ? this.#committed.groups.get(groupId) : this.#committed.groups.getCommitted(groupId);
    if (request.topics === null) {
      const all = [];
      for (const [name, partitions] of (stable ? topics?.entries() : topics?.committedEntries()) ?? []) {
        const found: FetchedPartition[] = [];
        for (const [partition, offset] of stable ? partitions.entries() : partitions.committedEntries()) {
          found.push(this.#fetched(groupId, name, partition, offset, stable));
        }
        if (found.length > 0) all.push({ name, topicId: NO_TOPIC_ID, partitions: found });
      }
      return { groupId, topics: all };
    }
    return {
      groupId,
      topics: request.topics.map(({ name, topicId, partitionIndexes }) => {
        const partitions = stable ? topics?.get(name) : topics?.getCommitted(name);
        return {
          name,
          topicId,
          partitions: partitionIndexes.map((partition) => {
            const offset = stable ? partitions?.get(partition) : partitions?.getCommitted(partition);
            // The topic may have been deleted and made again since: its offsets mean nothing in the new one.
            const isOfAnother = offset !== undefined && offset.topicId !== topicId && offset.topicId !== NO_TOPIC_ID && topicId !== NO_TOPIC_ID;
            return this.#fetched(groupId, name, partition, isOfAnother ? undefined : offset, stable);
          }),
        };
      }),
    };
  }

  /** Of all groups, as the log has them. */
  *committedOffsets(): Generator<GroupOffset> {
    for (const [groupId, topics] of this.#committed.groups.committedEntries()) {
      for (const [topic, partitions] of topics.committedEntries()) {
        for (const [partition, { offset }] of partitions.committedEntries()) yield { groupId, topic, partition, offset };
      }
    }
  }

  #fetched(group: string, topic: string, partition: number, offset: CommittedOffset | undefined, stable: boolean): FetchedPartition {
    const none = { partitionIndex: partition, committedOffset: INVALID_OFFSET, committedLeaderEpoch: NO_LEADER_EPOCH, metadata: '', errorCode: ErrorCode.NONE };
    if (stable && this.hasPending(group, topic, partition)) return { ...none, errorCode: ErrorCode.UNSTABLE_OFFSET_COMMIT };
    if (offset === undefined) return none;
    return { ...none, committedOffset: offset.offset, committedLeaderEpoch: offset.leaderEpoch, metadata: offset.metadata };
  }
}
