/**
 * A simulated client that does nothing but commit offsets for a group of its own, each higher than the one before, and ask for them.
 * Promises: one request at a time, an offset of its own for each attempt, all in the history. Now and then it goes to whichever coordinator some broker names, as a client does that has just been
 * started; that may be one whose time is over. Does not: join the group, or read what it commits for.
 */
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import { OffsetCommit, OffsetFetch } from '../../protocol/messages/index.ts';
import { isLost } from './client.ts';
import type { SimClient } from './client.ts';

export interface CommitterOptions {
  readonly groupId: string;
  readonly topic: string;
  readonly partition: number;
  readonly thinkMs: number;
}

/** The broker has refused before it did anything. */
const REFUSED = new Set<number>([ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID]);
/** It may have tried, and lost its part before it knew: nobody knows what became of it. */
const UNCLEAR = new Set<number>([
  ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.KAFKA_STORAGE_ERROR,
]);

export class SimCommitter {
  /** Commits and questions that were answered since `ask` was last set to 0. */
  answered = 0;
  last = '';
  readonly #client: SimClient;
  readonly #options: CommitterOptions;
  #offset = 0;
  #coordinator = -1;

  constructor(client: SimClient, options: CommitterOptions) {
    this.#client = client;
    this.#options = options;
  }

  get name(): string {
    return `${this.#client.name} for group ${this.#options.groupId}`;
  }

  async run(): Promise<void> {
    const client = this.#client;
    while (!client.stopping) {
      if (client.random.chance(0.3)) this.#coordinator = -1;
      const isFine = client.random.chance(0.6) ? await this.#commit() : await this.#ask();
      if (isFine) this.answered++;
      if (isFine) await client.pause(client.random.next() * this.#options.thinkMs);
      else await client.backOff();
    }
  }

  get #key(): string {
    return `${this.#options.groupId}/${this.#options.topic}-${this.#options.partition}`;
  }

  async #commit(): Promise<boolean> {
    const client = this.#client;
    const { groupId, topic, partition } = this.#options;
    const leader = await this.#found();
    if (leader === null) return false;
    const offset = ++this.#offset;
    const commit = client.history.commit(client.name, this.#key, offset);
    try {
      const connection = await client.broker(this.#coordinator);
      const answer = await connection.request(OffsetCommit, {
        groupId, generationIdOrMemberEpoch: -1, memberId: '', groupInstanceId: null,
        topics: [{ name: topic, topicId: leader, partitions: [{ partitionIndex: partition, committedOffset: BigInt(offset), committedLeaderEpoch: -1, committedMetadata: '' }] }],
      });
      const { errorCode } = answer.topics[0]!.partitions[0]!;
      this.last = `OffsetCommit at ${this.#coordinator}: ${errorName(errorCode)}`;
      client.history.end(commit, errorCode === ErrorCode.NONE ? 'ok' : REFUSED.has(errorCode) ? 'fail' : 'info');
      if (errorCode === ErrorCode.NONE) return true;
      if (!REFUSED.has(errorCode) && !UNCLEAR.has(errorCode)) client.world.fail(`${this.name} was told ${errorName(errorCode)}`);
    } catch (error) {
      if (!isLost(error)) throw error;
      this.last = error.message;
      client.history.end(commit, 'info');
      client.drop(this.#coordinator);
    }
    this.#coordinator = -1;
    return false;
  }

  async #ask(): Promise<boolean> {
    const client = this.#client;
    const { groupId, topic, partition } = this.#options;
    const invokedMs = client.world.nowMs;
    const topicId = await this.#found();
    if (topicId === null) return false;
    try {
      const connection = await client.broker(this.#coordinator);
      const answer = await connection.request(OffsetFetch, { groups: [{ groupId, topics: [{ name: topic, topicId, partitionIndexes: [partition] }] }], requireStable: client.random.chance(0.5) });
      const group = answer.groups[0]!;
      const found = group.topics[0]?.partitions[0];
      const errorCode = group.errorCode !== ErrorCode.NONE ? group.errorCode : (found?.errorCode ?? ErrorCode.NONE);
      this.last = `OffsetFetch at ${this.#coordinator}: ${errorName(errorCode)}`;
      if (errorCode === ErrorCode.NONE) {
        client.history.committed(client.name, this.#key, Number(found?.committedOffset ?? -1n), invokedMs);
        return true;
      }
      if (!REFUSED.has(errorCode) && !UNCLEAR.has(errorCode) && errorCode !== ErrorCode.UNSTABLE_OFFSET_COMMIT) client.world.fail(`${this.name} asked and was told ${errorName(errorCode)}`);
    } catch (error) {
      if (!isLost(error)) throw error;
      this.last = error.message;
      client.drop(this.#coordinator);
    }
    this.#coordinator = -1;
    return false;
  }

  /** The topic's id, once the coordinator is known; null when it cannot be found now. */
  async #found(): Promise<string | null> {
    const { groupId, topic, partition } = this.#options;
    try {
      if (this.#coordinator < 0) this.#coordinator = await this.#client.coordinator(groupId);
      return (await this.#client.leader(topic, partition)).topicId;
    } catch (error) {
      if (!isLost(error)) throw error;
      this.last = error.message;
      return null;
    }
  }
}
