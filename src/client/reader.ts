/**
 * Reads partitions of topics from given offsets on: one fetch waits at each leader, records come as they arrive.
 *
 * Promises: every record at or after a partition's position once and in order, none of control batches or, with `readCommitted`, of aborted
 * transactions; positions move only past what `poll` has given. Does not: commit, or choose partitions.
 */
import { ErrorCode, isRetriable, KafkaError } from '../../protocol/errors.ts';
import { Fetch } from '../../protocol/messages/index.ts';
import type { Value } from '../../protocol/schema.ts';
import { isControl, isTransactional, lastOffset, magic, producerId } from '../../protocol/record/batch.ts';
import { isIntact, nextBatchBytes, recordsAt } from '../../protocol/record/batches.ts';
import { ControlRecordType } from '../../protocol/record/control.ts';
import type { Record } from '../../protocol/record/records.ts';
import { OffsetTime } from './admin.ts';
import type { Admin, TopicPartition } from './admin.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import { throwOn } from '../client.ts';
import type { Client, TopicMetadata } from '../client.ts';

export interface ReaderOptions {
  readonly readCommitted?: boolean;
  /** Where to go on when the position is outside of the log: fails when left out. */
  readonly onOutOfRange?: 'earliest' | 'latest';
  readonly maxBytes?: number;
  readonly partitionMaxBytes?: number;
}

export interface ReadRecord extends TopicPartition {
  readonly record: Record;
}

interface Place extends TopicPartition {
  position: number;
  topicId: string;
  leaderId: number;
  highWatermark: number;
}

type FetchedPartition = Value<typeof Fetch.response>['responses'][number]['partitions'][number];

/** What one leader's fetch came to: errors are looked at when it is its turn. */
interface Arrived {
  readonly leaderId: number;
  readonly places: readonly Place[];
  readonly answer?: Value<typeof Fetch.response>;
  readonly error?: unknown;
}

export class RecordReader {
  readonly #client: Client;
  readonly #admin: Admin;
  readonly #options: Required<Omit<ReaderOptions, 'onOutOfRange'>> & Pick<ReaderOptions, 'onOutOfRange'>;
  readonly #places: Place[] = [];
  readonly #fetches = new Map<number, Promise<Arrived>>();

  constructor(client: Client, admin: Admin, options: ReaderOptions = {}) {
    this.#client = client;
    this.#admin = admin;
    this.#options = { readCommitted: false, maxBytes: 16 * 1024 * 1024, partitionMaxBytes: 1024 * 1024, ...options };
  }

  /** Reads these from now on, instead of what it read before. */
  async assign(positions: ReadonlyMap<TopicPartition, number>): Promise<void> {
    this.#places.length = 0;
    this.#fetches.clear();
    for (const [{ topic, partition }, position] of positions) this.#places.push({ topic, partition, position, topicId: '', leaderId: -1, highWatermark: -1 });
    await this.#findLeaders();
  }

  get positions(): ReadonlyMap<TopicPartition, number> {
    return new Map(this.#places.map((place) => [place, place.position]));
  }

  /** The end of each partition as of its last fetch: -1 before the first. */
  get ends(): ReadonlyMap<TopicPartition, number> {
    return new Map(this.#places.map((place) => [place, place.highWatermark]));
  }

  /** What has arrived: perhaps nothing, at the latest after `waitMs`. */
  async poll(waitMs: number): Promise<ReadRecord[]> {
    if (this.#places.length === 0) {
      await this.#client.pause(waitMs);
      return [];
    }
    for (const leaderId of new Set(this.#places.map((place) => place.leaderId))) {
      if (!this.#fetches.has(leaderId)) this.#fetches.set(leaderId, this.#fetch(leaderId, waitMs));
    }
    const arrived = await Promise.race(this.#fetches.values());
    this.#fetches.delete(arrived.leaderId);
    return this.#take(arrived);
  }

  async #fetch(leaderId: number, waitMs: number): Promise<Arrived> {
    const places = this.#places.filter((place) => place.leaderId === leaderId);
    const { readCommitted, maxBytes, partitionMaxBytes } = this.#options;
    const topics = new Map<string, { topic: string; topicId: string; partitions: { partition: number; fetchOffset: number; partitionMaxBytes: number }[] }>();
    for (const { topic, topicId, partition, position } of places) {
      const own = topics.get(topic) ?? { topic, topicId, partitions: [] };
      topics.set(topic, own);
      own.partitions.push({ partition, fetchOffset: position, partitionMaxBytes });
    }
    try {
      const connection = await this.#client.broker(leaderId);
      const request = { maxWaitMs: waitMs, minBytes: 1, maxBytes, isolationLevel: readCommitted ? 1 : 0, topics: [...topics.values()], forgottenTopicsData: [] };
      const answer = await connection.request(Fetch, request, { timeoutMs: waitMs + this.#client.requestTimeoutMs });
      throwOn(answer.errorCode, 'fetch');
      return { leaderId, places, answer };
    } catch (error) {
      return { leaderId, places, error };
    }
  }

  async #take({ places, answer, error }: Arrived): Promise<ReadRecord[]> {
    if (answer === undefined) {
      if (!(error instanceof ConnectionError) && !(error instanceof KafkaError && isRetriable(error.code))) throw error;
      await this.#client.retrying(() => this.#findLeaders());
      return [];
    }
    const found: ReadRecord[] = [];
    let isStale = false;
    for (const topic of answer.responses) {
      for (const partition of topic.partitions) {
        const place = places.find((one) => one.partition === partition.partitionIndex && (one.topic === topic.topic || one.topicId === topic.topicId));
        if (place === undefined || !this.#places.includes(place)) continue;
        if (partition.errorCode === ErrorCode.NONE) this.#takePartition(place, partition, found);
        else if (partition.errorCode === ErrorCode.OFFSET_OUT_OF_RANGE && this.#options.onOutOfRange !== undefined) await this.#reset(place);
        else if (isRetriable(partition.errorCode)) isStale = true;
        else throwOn(partition.errorCode, `${place.topic}-${place.partition} at offset ${place.position}`);
      }
    }
    if (isStale) {
      await this.#client.pause(STALE_PAUSE_MS);
      await this.#client.retrying(() => this.#findLeaders());
    }
    return found;
  }

  #takePartition(place: Place, fetched: FetchedPartition, found: ReadRecord[]): void {
    place.highWatermark = fetched.highWatermark;
    const { records: buffer } = fetched;
    if (buffer === null) return;
    const aborted = new AbortedTransactions(fetched.abortedTransactions ?? []);
    for (let at = 0; at < buffer.length; ) {
      const bytes = nextBatchBytes(buffer, at, buffer.length);
      if (bytes <= 0) break;
      if (!isIntact(buffer, at)) throw new KafkaError(ErrorCode.CORRUPT_MESSAGE, `${place.topic}-${place.partition} has a damaged batch at offset ${place.position}`);
      this.#takeBatch(place, buffer, at, aborted, found);
      at += bytes;
    }
  }

  #takeBatch(place: Place, buffer: Buffer, at: number, aborted: AbortedTransactions, found: ReadRecord[]): void {
    const isOld = magic(buffer, at) < 2;
    const records = recordsAt(buffer, at);
    if (isOld || (!isControl(buffer, at) && !(this.#options.readCommitted && aborted.covers(buffer, at)))) {
      for (const record of records) if (record.offset >= place.position) found.push({ topic: place.topic, partition: place.partition, record });
    } else if (isControl(buffer, at)) {
      aborted.ended(buffer, at, records[0]);
    }
    const end = isOld ? (records.at(-1)?.offset ?? place.position - 1) : lastOffset(buffer, at);
    place.position = Math.max(place.position, end + 1);
  }

  async #reset(place: Place): Promise<void> {
    const time = this.#options.onOutOfRange === 'earliest' ? OffsetTime.EARLIEST : OffsetTime.LATEST;
    place.position = (await this.#admin.offsets([place], time)).get(place)!;
  }

  async #findLeaders(): Promise<void> {
    const topics = new Map<string, TopicMetadata>();
    for (const name of new Set(this.#places.map(({ topic }) => topic))) topics.set(name, await this.#client.topic(name));
    for (const place of this.#places) {
      const topic = topics.get(place.topic)!;
      const partition = topic.partitions.find(({ partitionIndex }) => partitionIndex === place.partition);
      if (partition === undefined) throw new KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `topic ${place.topic} has no partition ${place.partition}`);
      place.topicId = topic.topicId;
      place.leaderId = partition.leaderId;
    }
  }
}

const STALE_PAUSE_MS = 100;

/** Which batches of one answer belong to transactions that were aborted: those from `firstOffset` on up to the producer's marker. */
class AbortedTransactions {
  readonly #upcoming: { producerId: number; firstOffset: number }[];
  readonly #open = new Set<number>();

  constructor(transactions: readonly { readonly producerId: number; readonly firstOffset: number }[]) {
    this.#upcoming = [...transactions].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  covers(buffer: Buffer, at: number): boolean {
    this.#advance(lastOffset(buffer, at));
    return isTransactional(buffer, at) && this.#open.has(producerId(buffer, at));
  }

  ended(buffer: Buffer, at: number, marker: Record | undefined): void {
    this.#advance(lastOffset(buffer, at));
    if (marker?.controlType === ControlRecordType.ABORT) this.#open.delete(producerId(buffer, at));
  }

  #advance(offset: number): void {
    while (this.#upcoming.length > 0 && this.#upcoming[0]!.firstOffset <= offset) this.#open.add(this.#upcoming.shift()!.producerId);
  }
}
