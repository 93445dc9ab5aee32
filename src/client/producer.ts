/**
 * Writes records to the partitions of one topic: batches by partition, one request in flight a leader, in order, and each record once (an
 * idempotent producer) where the broker gives producer ids.
 *
 * Promises: a record that `send` has taken is written, or `flush` rejects. `send` waits when too much is queued. Does not: transactions.
 */
import { ErrorCode, isRetriable } from '../../protocol/errors.ts';
import { keyPartition } from '../../protocol/hash.ts';
import { InitProducerId, Produce } from '../../protocol/messages/index.ts';
import { CompressionType, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE } from '../../protocol/record/batch.ts';
import { buildBatch } from '../../protocol/record/build.ts';
import type { RecordInput } from '../../protocol/record/build.ts';
import { incrementSequence } from '../../protocol/record/sequence.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import { throwOn } from '../client.ts';
import type { Client, TopicMetadata } from '../client.ts';

export interface ProducerOptions {
  readonly topic: string;
  readonly compression?: CompressionType;
  /** -1: all in-sync replicas. */
  readonly acks?: -1 | 0 | 1;
  readonly batchBytes?: number;
  /** What may wait in all partitions before `send` makes its caller wait. */
  readonly queuedBytesMax?: number;
}

interface Queue {
  readonly partition: number;
  records: RecordInput[];
  bytes: number;
  /** The sequence of the next record. */
  sequence: number;
}

const RECORD_OVERHEAD_BYTES = 30;

export class TopicProducer {
  /** Records acknowledged so far. */
  acknowledged = 0;
  readonly #client: Client;
  readonly #options: Required<ProducerOptions>;
  readonly #queues: Queue[];
  readonly #producer: { id: number; epoch: number };
  #topic: TopicMetadata;
  #queuedBytes = 0;
  /** The partition for records without a key; it moves on with each batch, so that batches are full. */
  #sticky = 0;

  private constructor(client: Client, options: Required<ProducerOptions>, topic: TopicMetadata, producer: { id: number; epoch: number }) {
    this.#client = client;
    this.#options = options;
    this.#topic = topic;
    this.#producer = producer;
    this.#queues = topic.partitions.map((_, partition) => ({ partition, records: [], bytes: 0, sequence: 0 }));
  }

  static async open(client: Client, options: ProducerOptions): Promise<TopicProducer> {
    const whole = { compression: CompressionType.NONE, acks: -1 as const, batchBytes: 256 * 1024, queuedBytesMax: 4 * 1024 * 1024, ...options };
    const topic = await client.topic(options.topic, { allowAutoTopicCreation: true });
    const connection = await client.any();
    // Only acks=all keeps an order that sequences can speak of.
    if (whole.acks !== -1 || connection.versionOf(InitProducerId) === undefined) return new TopicProducer(client, whole, topic, { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH });
    const answer = await client.retrying(async () => {
      const given = await client.request(InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 });
      throwOn(given.errorCode, 'producer id');
      return given;
    });
    return new TopicProducer(client, whole, topic, { id: answer.producerId, epoch: answer.producerEpoch });
  }

  get partitionCount(): number {
    return this.#queues.length;
  }

  /** Queues a record: for a partition of its own, by its key, or wherever the next batch goes. */
  async send(record: RecordInput, partition?: number): Promise<void> {
    const { batchBytes, queuedBytesMax, topic } = this.#options;
    const at = partition ?? (record.key == null ? this.#sticky : keyPartition(record.key, this.#queues.length));
    const queue = this.#queues[at];
    if (queue === undefined) throw new RangeError(`topic ${topic} has no partition ${at}`);
    const bytes = sizeOf(record);
    if (queue.bytes + bytes > batchBytes && queue.records.length > 0) await this.flush();
    queue.records.push(record);
    queue.bytes += bytes;
    this.#queuedBytes += bytes;
    if (this.#queuedBytes >= queuedBytesMax) await this.flush();
  }

  /** Writes all that is queued. */
  async flush(): Promise<void> {
    const full = this.#queues.filter(({ records }) => records.length > 0);
    await Promise.all(full.map((queue) => this.#write(queue)));
    this.#queuedBytes = 0;
    this.#sticky = (this.#sticky + 1) % this.#queues.length;
  }

  async #write(queue: Queue): Promise<void> {
    const { records } = queue;
    const { compression, topic } = this.#options;
    const hasId = this.#producer.id !== NO_PRODUCER_ID;
    const batch = buildBatch({
      baseOffset: 0,
      records,
      compression,
      producerId: this.#producer.id,
      producerEpoch: this.#producer.epoch,
      baseSequence: hasId ? queue.sequence : NO_SEQUENCE,
    });
    await this.#client.retrying(async () => {
      try {
        await this.#produce(queue.partition, batch);
      } catch (error) {
        // The leader may have moved.
        const code = (error as { code?: unknown }).code;
        if (error instanceof ConnectionError || (typeof code === 'number' && isRetriable(code))) this.#topic = await this.#client.topic(topic);
        throw error;
      }
    });
    queue.records = [];
    queue.bytes = 0;
    queue.sequence = incrementSequence(queue.sequence, records.length);
    this.acknowledged += records.length;
  }

  async #produce(partition: number, batch: Buffer): Promise<void> {
    const { acks, topic } = this.#options;
    const leader = this.#topic.partitions.find(({ partitionIndex }) => partitionIndex === partition)!;
    const connection = await this.#client.broker(leader.leaderId);
    const request = {
      acks,
      timeoutMs: this.#client.requestTimeoutMs,
      topicData: [{ name: topic, topicId: this.#topic.topicId, partitionData: [{ index: partition, records: batch }] }],
    };
    if (acks === 0) return connection.sendOnly(Produce, request);
    const answer = await connection.request(Produce, request);
    const { errorCode, errorMessage, recordErrors } = answer.responses[0]!.partitionResponses[0]!;
    // The same batch came before, and its answer was lost.
    if (errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) return;
    throwOn(errorCode, `${topic}-${partition}`, recordErrors[0]?.batchIndexErrorMessage ?? errorMessage);
  }
}

function sizeOf({ key, value, headers }: RecordInput): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers ?? []) bytes += header.key.length + (header.value?.length ?? 0) + 10;
  return bytes;
}
