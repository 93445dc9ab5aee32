/**
 * A simulated idempotent producer: acks=all, several batches of a partition on their way at once, and the same batches with the same sequences again and
 * again until they are acknowledged.
 *
 * Promises: each record is one value that nobody else sends; the history says `ok` with the offset that was acknowledged, and `info` for what a killed client
 * had under way. Does not: give up a batch; what is never acknowledged keeps the producer from ending, which the liveness check sees.
 */
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import { InitProducerId, Produce } from '../../protocol/messages/index.ts';
import { CompressionType } from '../../protocol/record/batch.ts';
import { buildBatch } from '../../protocol/record/build.ts';
import { isLost } from './client.ts';
import type { SimClient } from './client.ts';
import type { Send } from './history.ts';

export interface ProducerOptions {
  readonly topic: string;
  readonly partition: number;
  readonly inFlightMax: number;
  readonly recordsMax: number;
  /** Between one round and the next, at most. */
  readonly thinkMs: number;
  /** See the plan. */
  readonly largeBytes: number;
}

interface Batch {
  readonly send: Send;
  readonly bytes: Buffer;
}

/** The cluster is not there yet, or not there any more: the same batch again. */
const RETRIED = new Set<number>([
  ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.LEADER_NOT_AVAILABLE, ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NETWORK_EXCEPTION, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode.INCONSISTENT_TOPIC_ID,
  // An old leader may not know of what the new one has acknowledged; that a true one does not is found by those who read.
  ErrorCode.UNKNOWN_PRODUCER_ID, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_CONTROLLER, ErrorCode.BROKER_NOT_AVAILABLE,
]);

export class SimProducer {
  /** Everything that it took up is acknowledged. */
  isDone = false;
  readonly #client: SimClient;
  readonly #options: ProducerOptions;
  #window: Batch[] = [];
  #number = 0;
  #sequence = 0;
  #producer = { id: -1, epoch: -1 };
  #isOld = false;
  #isKnown = false;
  /** What it was last told. */
  last = '';

  constructor(client: SimClient, options: ProducerOptions) {
    this.#client = client;
    this.#options = options;
  }

  get name(): string {
    return `${this.#client.name} to ${this.#options.topic}-${this.#options.partition}`;
  }

  async run(): Promise<void> {
    const client = this.#client;
    while (!(await this.#introduce())) await client.backOff();
    while (!client.stopping || this.#window.length > 0) {
      const { inFlightMax, thinkMs } = this.#options;
      // A broker takes the first batch of a producer that it does not know whatever its sequence is (Kafka too): were the very first one refused, the second
      // would be taken in its place.
      const wanted = this.#isKnown ? 1 + client.random.below(inFlightMax) : 1;
      while (this.#window.length < wanted && !client.stopping) this.#window.push(this.#batch());
      const wasRefused = await this.#round();
      if (wasRefused) await client.backOff();
      else await client.pause(client.random.next() * thinkMs);
    }
    this.isDone = true;
  }

  /** Its machine is gone. */
  abandon(): void {
    for (const { send } of this.#window) this.#client.history.end(send, 'info');
    this.#window = [];
    this.isDone = true;
  }

  async #introduce(): Promise<boolean> {
    try {
      const answer = await this.#client.ask(InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 });
      this.last = `InitProducerId: ${errorName(answer.errorCode)}`;
      if (answer.errorCode !== ErrorCode.NONE) return false;
      this.#producer = { id: answer.producerId, epoch: answer.producerEpoch };
      return true;
    } catch (error) {
      if (!isLost(error)) throw error;
      this.last = error.message;
      return false;
    }
  }

  #batch(): Batch {
    const { random, name, world, history } = this.#client;
    const { topic, partition, recordsMax, largeBytes } = this.#options;
    const bytes = (): number => (largeBytes > 0 && random.chance(0.1) ? largeBytes : random.below(random.chance(0.1) ? 2500 : 300));
    const values = Array.from({ length: 1 + random.below(recordsMax) }, () => `${name}:${this.#number++}`);
    const batch = buildBatch({
      baseOffset: 0,
      records: values.map((value) => ({ timestamp: 1_700_000_000_000 + Math.floor(world.nowMs), key: null, value: Buffer.from(`${value} ${'.'.repeat(bytes())}`), headers: [] })),
      compression: random.chance(0.1) ? CompressionType.GZIP : CompressionType.NONE,
      producerId: this.#producer.id,
      producerEpoch: this.#producer.epoch,
      baseSequence: this.#sequence,
    });
    this.#sequence += values.length;
    return { send: history.send(`${name}/${partition}`, `${topic}-${partition}`, values), bytes: batch };
  }

  /** Sends all that is not acknowledged, in order, and takes the answers in order. True when something has to be sent again. */
  async #round(): Promise<boolean> {
    const client = this.#client;
    const { topic, partition } = this.#options;
    const window = [...this.#window];
    let leaderId = -1;
    let answers;
    try {
      const leader = await client.leader(topic, partition, this.#isOld);
      this.#isOld = false;
      leaderId = leader.leaderId;
      const connection = await client.broker(leaderId);
      answers = await Promise.allSettled(window.map(({ bytes }) => connection.request(Produce, {
        transactionalId: null, acks: -1, timeoutMs: 2500, topicData: [{ name: topic, topicId: leader.topicId, partitionData: [{ index: partition, records: bytes }] }],
      })));
    } catch (error) {
      if (!isLost(error)) throw error;
      this.last = error.message;
      this.#isOld = true;
      if (leaderId >= 0) client.drop(leaderId);
      return true;
    }
    let isRefused = false;
    for (const [number, answer] of answers.entries()) {
      const { send } = window[number]!;
      if (send.outcome === 'ok') continue;
      if (answer.status === 'rejected') {
        if (!isLost(answer.reason)) throw answer.reason;
        this.last = answer.reason.message;
        this.#isOld = true;
        client.drop(leaderId);
        return true;
      }
      const { errorCode, baseOffset } = answer.value.responses[0]!.partitionResponses[0]!;
      this.last = `Produce at ${leaderId}: ${errorName(errorCode)}`;
      client.world.trace(() => `${client.name} ${topic}-${partition} ${send.values[0]} ${errorName(errorCode)} ${baseOffset}`);
      if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) {
        // It is taken only in its turn, so those before it are in the log too. After a restart a broker may refuse them nevertheless, for a snapshot of producers
        // keeps no more than the last batch of each (Kafka's format).
        const at = this.#window.findIndex((one) => one.send === send);
        for (const earlier of this.#window.slice(0, at)) client.history.end(earlier.send, 'ok');
        this.#window = this.#window.slice(at + 1);
        this.#isKnown = true;
        client.history.end(send, 'ok', errorCode === ErrorCode.NONE && baseOffset >= 0 ? baseOffset : null);
      } else if (RETRIED.has(errorCode)) {
        isRefused = true;
        this.#isOld = true;
      } else {
        return client.world.fail(`${this.name} was told ${errorName(errorCode)}`), true;
      }
    }
    return isRefused;
  }
}
