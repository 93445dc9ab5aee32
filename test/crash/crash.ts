/**
 * kill -9 under load: a broker process is killed again and again while idempotent producers write and a group commits offsets; then everything is read.
 * Promises: no acknowledged record may be lost or doubled, order and offsets hold, no acknowledged commit may go back; every kill comes after new
 * acknowledgements, so a broker that hangs fails the run instead of passing it. All choices come from the seed; the machine's timing does not.
 * Does not: show anything about power loss. A killed process leaves its writes to the operating system, so nothing here depends on fsync.
 */
import { Kafka, type KafkaConfig, logLevel } from 'kafkajs';
import { type BrokerKind, type BrokerProcess, freePort, logTail, startBrokerProcess } from '../../bench/broker-process.ts';
import { CommitHistory } from './commit-history.ts';
import { History } from './history.ts';
import { readAll, watched } from './progress.ts';
import { seeded } from './seeded.ts';
import { GROUP, SESSION_TIMEOUT_MS, TOPIC, type Writer, judging, kafkajsWriter, librdkafkaWriter, startCommitter } from './writers.ts';

export interface CrashOptions {
  readonly kind: BrokerKind;
  readonly rounds: number;
  readonly seed: number;
  /** For the broker; kept by this function, the caller removes it. */
  readonly dir: string;
  readonly partitions: number;
  /** kafkajs producers. */
  readonly writers: number;
  /** The program of bench/librdkafka-driver.c; null leaves librdkafka out. */
  readonly librdkafka: string | null;
  /** A kill comes after 1 to this many new acknowledgements. */
  readonly acknowledgementsPerRoundMax: number;
  /** Without any acknowledgement for so long, the run has failed. */
  readonly stallMsMax: number;
  readonly say?: (line: string) => void;
}

export interface CrashResult {
  readonly acknowledgedRecords: number;
  readonly acknowledgedCommits: number;
  readonly kills: number;
  /** Of these, kills while the broker was starting, so while it recovered. */
  readonly killsWhileStarting: number;
  readonly violations: readonly string[];
}

/** Of a thousand. */
const STARTING_SHARE = 200;
const COMMITTING_SHARE = 700;
const STARTING_MS_MAX = 150;
const LINGER_MS_MAX = 25;
/** Small segments, so that a run of a minute rolls some (1 MiB is the least that Kafka allows). */
const SETTINGS = ['log.segment.bytes=1048576', 'auto.create.topics.enable=false', `group.min.session.timeout.ms=${SESSION_TIMEOUT_MS}`];

export async function crash(options: CrashOptions): Promise<CrashResult> {
  const { kind, rounds, dir, partitions, say = () => {} } = options;
  const random = seeded(options.seed);
  const port = await freePort();
  const history = new History(),
    commits = new CommitHistory();
  const violations: string[] = [];
  // Both retry until the broker is back: kafkajs gives an unknown outcome no number of its own, so the same records must be sent again (see kafkajsWriter).
  const config: KafkaConfig = {
    brokers: [`127.0.0.1:${port}`],
    connectionTimeout: 2_000,
    requestTimeout: 10_000,
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20, maxRetryTime: 100, retries: Number.MAX_SAFE_INTEGER },
  };
  let failure: Error | null = null;
  const fail = (error: Error) => {
    failure ??= error;
  };
  let killsWhileStarting = 0;

  let broker = await startBrokerProcess({ kind, dir, port, settings: SETTINGS });
  const admin = async <T>(run: (admin: ReturnType<Kafka['admin']>) => Promise<T>): Promise<T> => {
    const client = new Kafka({ ...config, retry: { initialRetryTime: 50, retries: 8 } }).admin();
    await client.connect();
    try {
      return await run(client);
    } finally {
      await client.disconnect();
    }
  };
  await admin((client) => client.createTopics({ topics: [{ topic: TOPIC, numPartitions: partitions, replicationFactor: 1 }], waitForLeaders: true }));

  const writers: Writer[] = [];
  const common = { config, partitions, history, fail };
  for (let i = 0; i < options.writers; i++) writers.push(await kafkajsWriter({ ...common, name: `kafkajs${i}`, random: seeded(random.below(2 ** 31)) }));
  if (options.librdkafka) writers.push(librdkafkaWriter({ ...common, name: 'librdkafka', program: options.librdkafka }));
  const committer = await startCommitter(config, judging(commits, violations), fail);

  const watch = (running: BrokerProcess) => ({
    stallMsMax: options.stallMsMax,
    tail: () => `the broker's log ends:\n${logTail(running.logFile)}`,
    failure: () => failure,
    moving: () => history.acknowledged,
  });
  const checkCommits = async () => {
    const question = commits.ask();
    const [topic] = await onceLoaded(options.stallMsMax, () => admin((client) => client.fetchOffsets({ groupId: GROUP, topics: [TOPIC] })));
    const committed = new Map(topic!.partitions.map((each) => [each.partition, Number(each.offset)] as const).filter(([, offset]) => offset >= 0));
    violations.push(...commits.violations(question, committed));
  };

  try {
    for (let round = 1; round <= rounds; round++) {
      // Most rounds let the group come back and commit, the others kill while it is joining.
      if (random.below(1000) < COMMITTING_SHARE) await watched(commits.more(), { ...watch(broker), moving: () => commits.acknowledged });
      // Half the kills come in the very turn in which an acknowledgement was read, when a broker that answers too early is still writing; half at any time.
      let left = 1 + random.below(options.acknowledgementsPerRoundMax);
      const atOnce = random.below(2) === 0,
        lingerMs = random.below(LINGER_MS_MAX),
        dying = broker;
      const enough = new Promise<void>((done) => {
        history.onAcknowledged = (more) => {
          if ((left -= more) > 0) return;
          history.onAcknowledged = () => {};
          if (atOnce) dying.kill('SIGKILL');
          done();
        };
      });
      await watched(enough, watch(broker));
      if (!atOnce) await new Promise((done) => setTimeout(done, lingerMs));
      broker.kill('SIGKILL');
      await broker.exited;
      while (random.below(1000) < STARTING_SHARE) {
        const afterMs = random.below(STARTING_MS_MAX);
        const survived = await startBrokerProcess({ kind, dir, port, settings: SETTINGS, onSpawn: (kill) => setTimeout(kill, afterMs, 'SIGKILL') }).then(
          (early) => early.exited, // it was quick enough to serve; the kill comes all the same
          (error: Error) => {
            if (!error.message.includes('SIGKILL')) throw error;
          },
        );
        if (survived === undefined) killsWhileStarting++;
      }
      broker = await startBrokerProcess({ kind, dir, port, settings: SETTINGS });
      await checkCommits();
      if (round % 10 === 0)
        say(
          `${round} kills, ${history.acknowledged} records and ${commits.acknowledged} commits acknowledged, ready again after ${broker.readyMs.toFixed(0)} ms`,
        );
      if (violations.length > 0) break;
    }
    await watched(Promise.all(writers.map((writer) => writer.stop())), watch(broker));
    await committer.stop();
    await checkCommits();
    violations.push(...history.violations(await readAll(config, TOPIC, partitions, options.stallMsMax)));
    const status = await broker.stop();
    if (kind === 'ottla' && status !== 0) violations.push(`the clean stop at the end ended with ${status}: ${logTail(broker.logFile)}`);
  } finally {
    // After a failure neither writers nor the consumer need come to an end; they are told and not waited for.
    for (const writer of writers) writer.stop().catch(() => {});
    committer.stop().catch(() => {});
    broker.kill('SIGKILL');
    await broker.exited;
  }
  return {
    acknowledgedRecords: history.acknowledged,
    acknowledgedCommits: commits.acknowledged,
    kills: rounds + killsWhileStarting,
    killsWhileStarting,
    violations,
  };
}

/** Asks again while the coordinator is not there yet, which a client must bear after a restart; kafkajs's admin does not do it by itself. */
async function onceLoaded<T>(timeoutMs: number, ask: () => Promise<T>): Promise<T> {
  for (const sinceMs = performance.now(); ;) {
    try {
      return await ask();
    } catch (error) {
      const { type } = error as { type?: string };
      if (
        !['NOT_COORDINATOR_FOR_GROUP', 'GROUP_LOAD_IN_PROGRESS', 'GROUP_COORDINATOR_NOT_AVAILABLE'].includes(type ?? '') ||
        performance.now() - sinceMs > timeoutMs
      )
        throw error;
      await new Promise((done) => setTimeout(done, 20));
    }
  }
}
