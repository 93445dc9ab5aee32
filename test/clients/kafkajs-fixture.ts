/**
 * What the kafkajs tests share: a broker, clients that are closed in the end, and waiting for events instead of time.
 * OTTLA_TEST_BOOTSTRAP=HOST:PORT runs the same tests against a broker that is up already, Apache Kafka for one, which shows that they ask for what Kafka does.
 */
import { afterAll, afterEach, beforeAll } from 'vitest';
import {
  type Admin,
  type Consumer,
  type ConsumerConfig,
  type EachMessagePayload,
  Kafka,
  type KafkaConfig,
  type Producer,
  type ProducerConfig,
  logLevel,
} from 'kafkajs';
import { startBroker } from '../../src/index.ts';

export const externalBroker = process.env['OTTLA_TEST_BOOTSTRAP'];

export function kafkaAt(bootstrapServers: string, config: Partial<KafkaConfig> = {}): Kafka {
  return new Kafka({
    clientId: 'test',
    brokers: bootstrapServers.split(','),
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20, maxRetryTime: 200, retries: 50 },
    ...config,
  });
}

let names = 0;

/** Unlike any other, also in a broker that has seen earlier runs. */
export function uniqueName(what: string): string {
  return `${what}-${process.pid}-${Date.now().toString(36)}-${++names}`;
}

export interface Fixture {
  readonly bootstrapServers: string;
  readonly broker: Awaited<ReturnType<typeof startBroker>> | null;
  kafka(config?: Partial<KafkaConfig>): Kafka;
  admin(): Promise<Admin>;
  producer(config?: ProducerConfig): Promise<Producer>;
  /** Connected; disconnected after the test. */
  consumer(config?: Partial<ConsumerConfig>): Promise<Consumer>;
  topic(partitions?: number, configs?: Readonly<Record<string, string>>): Promise<string>;
}

/** One broker for all tests of a file; what a test opened is closed after it. */
export function useBroker(): Fixture {
  let broker: Fixture['broker'] = null;
  const open: { disconnect(): Promise<void> }[] = [];
  const opened = async <T extends { connect(): Promise<void>; disconnect(): Promise<void> }>(client: T): Promise<T> => {
    open.push(client);
    await client.connect();
    return client;
  };
  beforeAll(async () => {
    if (!externalBroker) broker = await startBroker({ memory: true });
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.disconnect()));
  });
  afterAll(async () => {
    await broker?.stop();
  });
  const fixture: Fixture = {
    get bootstrapServers() {
      return externalBroker ?? broker!.bootstrapServers;
    },
    get broker() {
      return broker;
    },
    kafka: (config) => kafkaAt(fixture.bootstrapServers, config),
    admin: () => opened(fixture.kafka().admin()),
    producer: (config) => opened(fixture.kafka().producer(config)),
    consumer: (config) => opened(fixture.kafka().consumer({ groupId: uniqueName('group'), maxWaitTimeInMs: 100, heartbeatInterval: 100, ...config })),
    async topic(partitions = 1, configs = {}) {
      const topic = uniqueName('topic'),
        admin = fixture.kafka().admin();
      await admin.connect();
      const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
      await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }], waitForLeaders: true });
      await admin.disconnect();
      return topic;
    },
  };
  return fixture;
}

/** Records as a consumer gave them, and a way to wait for more of them. */
export class Inbox {
  readonly messages: EachMessagePayload[] = [];
  readonly #waiting: { until: (messages: readonly EachMessagePayload[]) => boolean; done: () => void }[] = [];

  readonly eachMessage = async (payload: EachMessagePayload): Promise<void> => {
    this.messages.push(payload);
    for (const { until, done } of this.#waiting) if (until(this.messages)) done();
  };

  /** Resolves once `until` holds; the test's own time limit is the only other way out. */
  when(until: (messages: readonly EachMessagePayload[]) => boolean): Promise<void> {
    if (until(this.messages)) return Promise.resolve();
    return new Promise((done) => this.#waiting.push({ until, done }));
  }

  count(records: number): Promise<void> {
    return this.when((messages) => messages.length >= records);
  }

  get values(): (string | null)[] {
    return this.messages.map(({ message }) => message.value?.toString() ?? null);
  }
}

/** Resolves at the first join in which `wanted` holds of the consumer's partitions. */
export function assignmentWhere(consumer: Consumer, topic: string, wanted: (partitions: number[]) => boolean): Promise<number[]> {
  return new Promise((done) => {
    const off = consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      const partitions = [...(payload.memberAssignment[topic] ?? [])].sort((a, b) => a - b);
      if (!wanted(partitions)) return;
      off();
      done(partitions);
    });
  });
}

/** Commits for a group that is not running: a member comes, commits and goes. */
export async function commit(consumer: Consumer, topic: string, offsets: readonly { partition: number; offset: string }[]): Promise<void> {
  const joined = assignmentWhere(consumer, topic, (partitions) => partitions.length > 0);
  await consumer.subscribe({ topic });
  await consumer.run({ autoCommit: false, eachMessage: async () => {} });
  await joined;
  await consumer.commitOffsets(offsets.map((each) => ({ topic, ...each })));
  await consumer.disconnect();
}

/** Everything in a topic, by a group of its own. */
export async function readAll(fixture: Fixture, topic: string, records: number): Promise<Inbox> {
  const consumer = await fixture.consumer();
  const inbox = new Inbox();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ eachMessage: inbox.eachMessage });
  await inbox.count(records);
  await consumer.stop();
  return inbox;
}
