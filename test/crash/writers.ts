/**
 * Who loads the broker in the crash test: kafkajs's and librdkafka's idempotent producers, and a consumer that commits.
 * Promises: each tells the history what it sends and what was acknowledged, and goes on through any number of restarts. Does not: judge.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { CompressionTypes, type Consumer, Kafka, type KafkaConfig } from 'kafkajs';
import { ErrorCode } from '../../protocol/errors.ts';
import type { CommitAttempt, CommitHistory, CommitQuestion } from './commit-history.ts';
import type { History } from './history.ts';
import { OffsetFrames, type OffsetListener } from './offset-frames.ts';
import type { Seeded } from './seeded.ts';

export const TOPIC = 'crash';
export const GROUP = 'crash-group';
/** Short: a member that was killed off while it joined comes back under another id, and the group waits for the first one until its session ends. */
export const SESSION_TIMEOUT_MS = 2_000;
const VALUE_BYTES_MAX = 200_000;
const RECORDS_PER_SECOND = 4_000;
/** Longer than a whole cluster is ever down. */
const GIVE_UP_MS = 120_000;
/**
 * kafkajs sends a commit again and again to the coordinator that it had when it joined (consumer/consumerGroup.js), which answers for ever that another one coordinates the group;
 * only a consumer that has given up joins anew, and looks for the coordinator.
 */
const COMMIT_RETRIES = 5;
/** How far librdkafka may send ahead of its acknowledgements. */
const QUEUE_RECORDS_MAX = 2_000;

export interface Writer {
  /** Resolves when everything that was attempted is acknowledged. */
  stop(): Promise<void>;
  /** Ends it at once where it is a process. */
  kill?(): void;
}

export interface WriterOptions {
  /** Part of every record. */
  readonly name: string;
  /** TOPIC where it is absent. */
  readonly topic?: string;
  readonly config: KafkaConfig;
  readonly partitions: number;
  readonly history: History;
  /** How fast it may go; by default as fast as it can, or 4,000 a second where it sends ahead of its acknowledgements. */
  readonly recordsPerSecond?: number;
  /**
   * One partition in each request. kafkajs keeps its answers by broker: a partition that moves, between two attempts of one request, to a broker that has
   * answered already counts as sent and never is (producer/sendMessages.js, brokersWithoutResponse). So where leaders move a request must have one.
   */
  readonly onePartition?: boolean;
  /** Acknowledgements may come in another order than the records, as they may where leaders move. */
  readonly anyOrder?: boolean;
  /** The longest value, by default 200,000 bytes. */
  readonly valueBytesMax?: number;
  /** Called when the writer has given up. */
  readonly fail: (error: Error) => void;
}

/**
 * kafkajs's idempotent producer. Its limits, read in its source (producer/sendMessages.js, eosManager): one request in flight per broker; a request that
 * failed gives its sequence numbers back, and the next send uses them again. So the *same* records must follow, else the broker would rightly take new
 * records for duplicates. It retries by itself with the same records until it is told that trying is useless; then this loop sends the same again.
 */
export async function kafkajsWriter(options: WriterOptions & { readonly random: Seeded }): Promise<Writer> {
  const { name, topic = TOPIC, config, partitions, history, fail, random, recordsPerSecond = Infinity, valueBytesMax = VALUE_BYTES_MAX, onePartition = false } = options;
  const producer = new Kafka({ ...config, clientId: name }).producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  let stopping = false;
  const run = async () => {
    while (!stopping) {
      // Now and then a request whose write takes its time.
      const large = random.below(10) === 0;
      const batches: { partition: number; first: number; count: number }[] = [];
      const only = onePartition ? random.below(partitions) : null;
      for (let partition = 0; partition < partitions; partition++) {
        if (only === null ? random.below(2) === 0 : only !== partition) continue;
        const count = 1 + random.below(large ? 5 : 20);
        batches.push({ partition, first: history.attempt(name, partition, count), count });
      }
      const messages = batches.flatMap(({ partition, first, count }) =>
        Array.from({ length: count }, (_, i) => ({
          partition,
          value: `${name}:${partition}:${first + i} ${'.'.repeat(random.below(large ? valueBytesMax : 200))}`,
        })),
      );
      if (messages.length === 0) continue;
      const startedMs = performance.now();
      const compression = random.below(2) ? CompressionTypes.GZIP : CompressionTypes.None;
      let answer: Awaited<ReturnType<typeof producer.send>> | null = null;
      while (answer === null) {
        try {
          answer = await producer.send({ topic, messages, acks: -1, compression });
        } catch (error) {
          if (performance.now() - startedMs > GIVE_UP_MS) throw error;
          await new Promise((done) => setTimeout(done, 20));
          // A client that lost its last broker says 'Broker not connected' until it is told to connect. Its producer id and sequence numbers stay.
          await producer.connect().catch(() => {});
        }
      }
      for (const { partition, first, count } of batches) {
        const base = Number(answer.find((each) => each.partition === partition)?.baseOffset ?? -1);
        history.acknowledge(name, partition, first, count, base >= 0 ? base : null);
      }
      const leftMs = (messages.length / recordsPerSecond) * 1000 - (performance.now() - startedMs);
      if (leftMs >= 1) await new Promise((done) => setTimeout(done, leftMs));
    }
    await producer.disconnect();
  };
  const running = run();
  running.catch((error: Error) => fail(new Error(`${name}: ${error.message}`, { cause: error })));
  return {
    stop: () => {
      stopping = true;
      return running;
    },
  };
}

/**
 * librdkafka's idempotent producer: five requests in flight, its own retries, for ever (message.timeout.ms=0). When a leader that lives hands over, it may send to the new one while
 * the old one still owes it answers; a gap in the sequence there makes it take a new epoch for all its partitions, and send what was written and not acknowledged yet once more
 * (its issue 4953, seen with Apache Kafka).
 */
export function librdkafkaWriter(options: WriterOptions & { readonly program: string }): Writer {
  const { name, config, partitions, program, recordsPerSecond = RECORDS_PER_SECOND } = options;
  return numberingWriter({ ...options, renumbers: options.anyOrder === true }, [
    program,
    'number',
    (config.brokers as string[]).join(','),
    TOPIC,
    String(partitions),
    name,
    String(recordsPerSecond),
    'enable.idempotence=true',
    'message.timeout.ms=0',
    'retry.backoff.ms=20',
    'reconnect.backoff.ms=20',
    'reconnect.backoff.max.ms=100',
    `queue.buffering.max.messages=${QUEUE_RECORDS_MAX}`,
    `socket.timeout.ms=${String(config.requestTimeout ?? 60_000)}`,
    'linger.ms=1',
    'log_level=0',
  ]);
}

/** Kafka's own Java producer, idempotent by default; `java` are the words that run NumberedProducer (test/cluster/java-producer.ts). */
export function javaWriter(options: WriterOptions & { readonly java: readonly string[] }): Writer {
  const { name, config, partitions, java, recordsPerSecond = RECORDS_PER_SECOND } = options;
  return numberingWriter(options, [
    ...java,
    (config.brokers as string[]).join(','),
    TOPIC,
    String(partitions),
    name,
    String(recordsPerSecond),
    String(QUEUE_RECORDS_MAX),
    'retry.backoff.ms=20',
    'retry.backoff.max.ms=100',
    'reconnect.backoff.ms=20',
    'reconnect.backoff.max.ms=100',
    `request.timeout.ms=${String(config.requestTimeout ?? 10_000)}`,
  ]);
}

/** kafkajs in a process of its own: test/cluster/kafkajs-producer.ts, which says why. */
export function kafkajsProcessWriter(options: WriterOptions & { readonly program: readonly string[]; readonly seed: number }): Writer {
  const { name, config, partitions, program, seed, recordsPerSecond = RECORDS_PER_SECOND } = options;
  const words = [(config.brokers as string[]).join(','), TOPIC, String(partitions), name, String(recordsPerSecond), String(config.requestTimeout ?? 10_000), String(seed)];
  return numberingWriter(options, [...program, ...words]);
}

/** A program that prints "PARTITION NUMBER OFFSET" for each acknowledged record until its input ends, then "end ATTEMPTED". */
function numberingWriter({ name, partitions, history, fail, anyOrder = false, renumbers = false }: WriterOptions & { renumbers?: boolean }, [program, ...words]: readonly string[]): Writer {
  const child: ChildProcessWithoutNullStreams = spawn(program!, words);
  child.stdin.on('error', () => {}); // it may have ended already
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let errors = '',
    ended = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [partition, number, offset] = line.split(' ');
    if (partition === 'end') ended = true;
    else if (!/^\d+ \d+ -?\d+$/.test(line)) fail(new Error(`${name} says: ${line}`));
    else history.acknowledge(name, Number(partition), Number(number), 1, Number(offset) >= 0 ? Number(offset) : null);
  });
  // It sends ahead of its acknowledgements, and how far only it knows: its queue holds QUEUE_RECORDS_MAX records, so no number beyond that can have been sent.
  for (let partition = 0; partition < partitions; partition++) history.ahead(name, partition, QUEUE_RECORDS_MAX, { anyOrder, renumbers });
  const closed = new Promise<void>((done, failed) =>
    child.once('close', (code) => {
      process.off('exit', kill);
      if (ended) done();
      else failed(new Error(`${name} ended with ${code}: ${errors.slice(-2000)}`));
    }),
  );
  closed.catch(fail);
  return {
    stop: () => {
      child.stdin.end();
      return closed;
    },
    kill,
  };
}

/** Tells a history, and finds what no broker may say. */
export function judging(commits: CommitHistory, violations: string[]): OffsetListener {
  const attempts = new Map<number, CommitAttempt>();
  const questions = new Map<number, CommitQuestion>();
  return {
    sent: (id, partition, offset) => void attempts.set(id, commits.attempt(partition, offset)),
    answered(id, errorCode) {
      if (errorCode === ErrorCode.NONE) commits.acknowledge(attempts.get(id)!);
      else commits.refuse(attempts.get(id)!);
      attempts.delete(id);
    },
    asked: (id) => void questions.set(id, commits.ask()),
    told(id, partition, offset) {
      const found = commits.told(questions.get(id)!, partition, offset);
      if (found !== null) violations.push(`sent back: ${found}`);
    },
  };
}

/**
 * A consumer in a group that commits after every batch. What it commits and is told is read from its frames and not from what it does: kafkajs 2.2.4 goes back by itself. It fetches a partition
 * from its new leader while a batch of the old leader is still being worked on, from before the commit that ends this batch, and gives its reader these records again
 * (seen with Apache Kafka 4.3.1 as with ottla, whenever leaders move: consumer/fetchManager.js, one fetcher for each leader).
 */
export async function startCommitter(
  config: KafkaConfig,
  listener: OffsetListener,
  fail: (error: Error) => void,
  read: (partition: number, offset: number, value: string) => void = () => {},
): Promise<{ stop(): Promise<void> }> {
  let stopped = false;
  const start = async (): Promise<Consumer> => {
    const { socketFactory } = new OffsetFrames(TOPIC, listener);
    const consumer = new Kafka({ ...config, socketFactory, clientId: 'committer' }).consumer({
      groupId: GROUP,
      sessionTimeout: SESSION_TIMEOUT_MS,
      rebalanceTimeout: SESSION_TIMEOUT_MS,
      heartbeatInterval: 200,
      maxWaitTimeInMs: 100,
      retry: { ...config.retry, retries: COMMIT_RETRIES },
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (payload.restart || stopped) return;
      if (!isForgotten(payload.error)) return fail(new Error(`the consumer gave up: ${payload.error.message}`));
      consuming = start();
      consuming.catch(fail);
    });
    await consumer.connect();
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        for (const message of batch.messages) read(batch.partition, Number(message.offset), message.value?.toString() ?? 'null');
        const next = Number(batch.messages.at(-1)!.offset) + 1;
        await consumer.commitOffsets([{ topic: TOPIC, partition: batch.partition, offset: String(next) }]);
      },
    });
    return consumer;
  };
  let consuming = start();
  await consuming;
  return {
    async stop() {
      stopped = true;
      await (await consuming).disconnect();
    },
  };
}

/** kafkajs joins anew when it is told that its session has ended, and gives up when that happens while it joins (consumer/runner.js), as it does where a machine stands still for longer than the session. */
function isForgotten(error: Error & { readonly type?: string; readonly cause?: unknown }): boolean {
  return error.type === 'UNKNOWN_MEMBER_ID' || (error.cause instanceof Error && isForgotten(error.cause));
}
