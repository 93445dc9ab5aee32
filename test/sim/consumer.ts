/**
 * A simulated consumer of one partition that it has chosen itself: reads from the beginning to the end, and asks after a change of leaders whether what it
 * has read is still there (KIP-320).
 *
 * Promises: what it was given is in the history; a truncation below what it has read, and an offset out of range where no leader's log has begun later, are violations,
 * for neither can happen to what was committed. Where retention has let go what it would read next, it goes on where the log begins. Does not: commit.
 */
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import { Fetch, ListOffsets, OffsetForLeaderEpoch } from '../../protocol/messages/index.ts';
import { isControl, lastOffset, partitionLeaderEpoch } from '../../protocol/record/batch.ts';
import { isIntact, nextBatchBytes, recordsAt } from '../../protocol/record/batches.ts';
import { isLost } from './client.ts';
import type { PartitionLeader, SimClient } from './client.ts';
import type { Polled } from './history.ts';
import type { EpochView } from './invariants.ts';

/** Who has to read all of it, over a network of milliseconds, asks for much at a time. */
const FINAL_BYTES = 1_000_000;

export interface ConsumerOptions {
  readonly topic: string;
  readonly partition: number;
  /** The highest log start that a leader has had. */
  readonly logStart: () => number;
  /** Whether what this node holds may be damaged: a batch whose checksum is wrong is refused then, and asked for again. */
  readonly isDamaged: (nodeId: number) => boolean;
  /** Reads everything in the end, on a healed cluster. */
  readonly final?: boolean;
}

/** How often a poll goes to any of the replicas, not to the leader. */
const OTHER_REPLICA_CHANCE = 0.15;
const LATEST = -1;
const EARLIEST = -2;

const RETRIED = new Set<number>([
  ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.LEADER_NOT_AVAILABLE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.FENCED_LEADER_EPOCH,
  ErrorCode.UNKNOWN_LEADER_EPOCH, ErrorCode.OFFSET_NOT_AVAILABLE, ErrorCode.REPLICA_NOT_AVAILABLE, ErrorCode.BROKER_NOT_AVAILABLE, ErrorCode.INCONSISTENT_TOPIC_ID, ErrorCode.REQUEST_TIMED_OUT,
]);

export class SimConsumer {
  position = 0;
  /** Where it last began to read. */
  beganAt = 0;
  /** As of the last answer. */
  highWatermark = -1;
  last = '';
  readonly #client: SimClient;
  readonly #options: ConsumerOptions;
  #lastEpoch = -1;
  #leaderEpoch = -1;
  #isOld = false;
  #end = 0;

  constructor(client: SimClient, options: ConsumerOptions) {
    this.#client = client;
    this.#options = options;
  }

  get name(): string {
    return `${this.#client.name} of ${this.#options.topic}-${this.#options.partition}`;
  }

  get partition(): number {
    return this.#options.partition;
  }

  get isAtEnd(): boolean {
    return this.highWatermark >= 0 && this.position >= this.highWatermark;
  }

  async run(): Promise<void> {
    const client = this.#client;
    while (!client.stopping) {
      if (!(await this.#poll())) await client.backOff();
      else await client.pause(this.#options.final === true ? 0 : client.random.next() * 100);
    }
  }

  async #poll(): Promise<boolean> {
    const client = this.#client;
    const { topic, partition, final } = this.#options;
    let leaderId = -1;
    try {
      const leader = await client.leader(topic, partition, this.#isOld);
      this.#isOld = false;
      leaderId = leader.leaderId;
      const connection = await client.broker(leaderId);
      if (leader.leaderEpoch !== this.#leaderEpoch) {
        if (!(await this.#isStillThere(connection, leader.leaderEpoch))) return false;
        this.#leaderEpoch = leader.leaderEpoch;
      }
      if (client.random.chance(0.1) && !(await this.#askForEnd(connection, leader.leaderEpoch))) return false;
      if (final !== true && client.random.chance(OTHER_REPLICA_CHANCE)) return await this.#pollReplica(client.random.pick(leader.replicas), leader);
      const before = client.invariants.epochOf(leaderId, topic, partition);
      const answer = await connection.request(Fetch, {
        maxWaitMs: client.stopping ? 0 : 250, minBytes: 1, maxBytes: 1_000_000, topics: [{
          topic, topicId: leader.topicId, partitions: [{ partition, currentLeaderEpoch: leader.leaderEpoch, fetchOffset: this.position, lastFetchedEpoch: this.#lastEpoch, partitionMaxBytes: final === true ? FINAL_BYTES : 4096 }],
        }], forgottenTopicsData: [],
      });
      const fetched = answer.responses[0]?.partitions[0];
      const errorCode = answer.errorCode !== ErrorCode.NONE ? answer.errorCode : (fetched?.errorCode ?? ErrorCode.NONE);
      this.last = `Fetch at ${leaderId}: ${errorName(errorCode)}`;
      if (errorCode === ErrorCode.NONE) {
        if (fetched === undefined) return true;
        this.#served('Fetch', leaderId, leader.leaderEpoch, before);
        if (fetched.divergingEpoch.endOffset >= 0) return this.#truncated(`fetched from ${leaderId} in epoch ${leader.leaderEpoch} and was told that epoch ${fetched.divergingEpoch.epoch} ends at ${fetched.divergingEpoch.endOffset}`);
        this.highWatermark = fetched.highWatermark;
        return this.#take(fetched.records, leaderId);
      }
      if (errorCode === ErrorCode.OFFSET_OUT_OF_RANGE && this.position <= this.#options.logStart()) return this.#beginAnew(connection, leader.leaderEpoch);
      if (!RETRIED.has(errorCode)) client.world.fail(`${this.name} at ${this.position} was told ${errorName(errorCode)} by leader ${leaderId} of epoch ${leader.leaderEpoch}`);
      this.#isOld = true;
      return false;
    } catch (error) {
      if (!isLost(error)) throw error;
      this.last = error.message;
      this.#isOld = true;
      if (leaderId >= 0) client.drop(leaderId);
      return false;
    }
  }

  /** From whichever replica, as one does that is in the same rack (KIP-392): the high watermark that it knows may be older. */
  async #pollReplica(replica: number, leader: PartitionLeader): Promise<boolean> {
    const client = this.#client;
    const { topic, partition } = this.#options;
    const { leaderEpoch: epoch, topicId } = leader;
    const before = client.invariants.epochOf(replica, topic, partition);
    try {
      const connection = await client.broker(replica);
      const answer = await connection.request(Fetch, {
        maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000, topics: [{ topic, topicId, partitions: [{ partition, currentLeaderEpoch: epoch, fetchOffset: this.position, lastFetchedEpoch: -1, partitionMaxBytes: 4096 }] }],
        forgottenTopicsData: [],
      });
      const fetched = answer.responses[0]?.partitions[0];
      if (answer.errorCode !== ErrorCode.NONE || fetched === undefined || fetched.errorCode !== ErrorCode.NONE) return false;
      this.#served('Fetch', replica, epoch, before);
      return this.#take(fetched.records, replica);
    } catch (error) {
      if (!isLost(error)) throw error;
      client.drop(replica);
      return false;
    }
  }

  #served(what: string, by: number, epoch: number, before: EpochView | null): void {
    const { topic, partition } = this.#options;
    this.#client.invariants.served({ by, topic, partition, epoch, before, what });
  }

  /** Whether the new leader has what was read from the one before. */
  async #isStillThere(connection: Awaited<ReturnType<SimClient['broker']>>, leaderEpoch: number): Promise<boolean> {
    if (this.#lastEpoch < 0) return true;
    const { topic, partition } = this.#options;
    const answer = await connection.request(OffsetForLeaderEpoch, { topics: [{ topic, partitions: [{ partition, currentLeaderEpoch: leaderEpoch, leaderEpoch: this.#lastEpoch }] }] });
    const found = answer.topics[0]!.partitions[0]!;
    this.last = `OffsetForLeaderEpoch: ${errorName(found.errorCode)}`;
    if (found.errorCode !== ErrorCode.NONE) {
      this.#isOld = true;
      return false;
    }
    // Of an epoch that ended where the log begins now nothing is known any more.
    if (found.leaderEpoch < 0 && this.position <= this.#options.logStart()) return true;
    if (found.endOffset < this.position) return this.#truncated(`asked in epoch ${leaderEpoch} after epoch ${this.#lastEpoch} and was told that epoch ${found.leaderEpoch} ends at ${found.endOffset}`);
    return true;
  }

  /** The end of the log that it is told never falls, whoever leads (KIP-207). */
  async #askForEnd(connection: Awaited<ReturnType<SimClient['broker']>>, leaderEpoch: number): Promise<boolean> {
    const offset = await this.#offsetOf(connection, leaderEpoch, LATEST);
    if (offset === null) return false;
    const least = Math.max(this.#end, this.position);
    if (offset < least) this.#client.world.fail(`${this.name} was told that the log ends at ${offset}, and has read or been told up to ${least}`);
    this.#end = offset;
    return true;
  }

  /** Retention has let go what comes next: goes on at the earliest that is left. */
  async #beginAnew(connection: Awaited<ReturnType<SimClient['broker']>>, leaderEpoch: number): Promise<boolean> {
    const offset = await this.#offsetOf(connection, leaderEpoch, EARLIEST);
    if (offset === null) return false;
    const { topic, partition, logStart } = this.#options;
    const client = this.#client;
    client.world.trace(() => `${this.name} goes on at ${offset} instead of ${this.position}`);
    if (offset > logStart()) client.world.fail(`${this.name} was told that the log starts at ${offset}, and no leader's log starts after ${logStart()}`);
    this.position = offset;
    this.beganAt = offset;
    this.#lastEpoch = -1;
    client.history.seek(`${client.name}/${partition}`, `${topic}-${partition}`);
    return true;
  }

  async #offsetOf(connection: Awaited<ReturnType<SimClient['broker']>>, leaderEpoch: number, timestamp: number): Promise<number | null> {
    const { topic, partition } = this.#options;
    const answer = await connection.request(ListOffsets, { replicaId: -1, isolationLevel: 0, topics: [{ name: topic, partitions: [{ partitionIndex: partition, currentLeaderEpoch: leaderEpoch, timestamp }] }] });
    const { errorCode, offset } = answer.topics[0]!.partitions[0]!;
    this.last = `ListOffsets: ${errorName(errorCode)}`;
    if (errorCode === ErrorCode.NONE) return offset;
    this.#isOld = true;
    return null;
  }

  #truncated(how: string): boolean {
    this.#client.world.fail(`${this.name} has read up to ${this.position}, ${how}`);
    return false;
  }

  /** False when nothing of it could be taken. */
  #take(buffer: Buffer | null, leaderId: number): boolean {
    if (buffer === null) return true;
    const client = this.#client;
    const { topic, partition, final = false } = this.#options;
    const polled: Polled[] = [];
    for (let at = 0; at < buffer.length; ) {
      const bytes = nextBatchBytes(buffer, at, buffer.length);
      if (bytes <= 0) break;
      if (!isIntact(buffer, at)) {
        if (!this.#options.isDamaged(leaderId)) client.world.fail(`${this.name} was given a damaged batch at ${this.position} by ${leaderId}`);
        this.last = `Fetch at ${leaderId}: a damaged batch`;
        this.#isOld = true;
        break;
      }
      if (!isControl(buffer, at)) {
        for (const record of recordsAt(buffer, at)) {
          if (record.offset < this.position) continue;
          const text = record.value?.toString('latin1') ?? '';
          polled.push({ offset: record.offset, value: text.slice(0, text.indexOf(' ')) });
        }
      }
      this.position = Math.max(this.position, lastOffset(buffer, at) + 1);
      this.#lastEpoch = partitionLeaderEpoch(buffer, at);
      at += bytes;
    }
    client.history.poll(`${client.name}/${partition}`, `${topic}-${partition}`, polled, { final });
    return !this.#isOld;
  }
}
