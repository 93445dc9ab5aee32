/**
 * The load of the cluster tests: idempotent producers of kafkajs, librdkafka and Java, and a group that commits, through whatever happens to the cluster.
 * Promises: every acknowledgement is in the history with its time; `finish` stops the writers, waits until the group has read all that is there, and stops it;
 * `violations` judges what is found on the disks then: records lost, doubled, moved or out of order, commits that went back, and records that the group read and that are not there
 * (or others are), or did not read. Every wait has a limit, and no client runs in this process, so that nothing can keep it from giving up.
 * Does not: harm the cluster, or read disks.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type KafkaConfig, logLevel } from 'kafkajs';
import type { ClusterProcesses } from '../../bench/cluster-process.ts';
import { CommitHistory } from '../crash/commit-history.ts';
import { History, type LogRecord } from '../crash/history.ts';
import type { OffsetListener } from '../crash/offset-frames.ts';
import { watched, within } from '../crash/progress.ts';
import { seeded } from '../crash/seeded.ts';
import { GROUP, TOPIC, type Writer, javaWriter, judging, kafkajsProcessWriter, librdkafkaWriter } from '../crash/writers.ts';
import type { ClusterAdmin } from './admin.ts';

/** The programs of producers that are not written in JavaScript; null leaves one out. */
export interface Programs {
  readonly librdkafka: string | null;
  readonly java: readonly string[] | null;
}

export interface LoadOptions {
  readonly cluster: ClusterProcesses;
  readonly admin: ClusterAdmin;
  readonly programs: Programs;
  readonly seed: number;
  readonly partitions: number;
  readonly recordsPerSecond: number;
  /** Replicas of each partition, by partition; without it the cluster places three of each. */
  readonly assignments?: readonly (readonly number[])[];
  readonly topicConfigs?: Readonly<Record<string, string>>;
  /** Without any acknowledgement for so long while some are waited for, the run has failed. */
  readonly stallMsMax: number;
}

/** Longer than any of our servers needs, shorter than people wait: a client learns of a leader that hangs only by this. */
const REQUEST_TIMEOUT_MS = 2_000;
const KAFKAJS_WRITERS = 2;
/** kafkajs sets timers that were due before 1970 (network/requestQueue), and Node says so each time. */
const QUIET = ['--disable-warning=TimeoutNegativeWarning', '--disable-warning=MaxListenersExceededWarning'];
const COMMITTER_STOP_MS = 10_000;
/** What writers have to end in after a failure, before they are killed: they would only take the time of what runs next. */
const ABANDONED_MS = 1_000;
/** What of a value names the record. */
const NAME_CHARS = 40;
/**
 * Answers that a killed node had already sent may be read a little later, and are no sign of a new leader. No failover is that quick: clients wait for 20 ms before they
 * try again.
 */
const STRAGGLER_MS = 30;

/** Times from one moment to the first acknowledgements after it. */
export interface Resumed {
  /** Of the last of the partitions, whoever wrote to it. */
  readonly tookMs: number;
  /** Of each writer, in any of the partitions. */
  readonly byWriter: ReadonlyMap<string, number>;
}

export class Load {
  readonly history = new History();
  readonly commits = new CommitHistory();
  readonly violations: string[] = [];
  readonly partitions: number;
  readonly config: KafkaConfig;
  readonly #options: LoadOptions;
  readonly #writers: Writer[] = [];
  /** Why each of them ended. */
  readonly committersGone: string[] = [];
  #committer: { stop(): Promise<void> } | null = null;
  #stopping = false;
  #failure: Error | null = null;
  /** What the group read, by partition and offset. */
  readonly #read: Map<number, string>[];
  /** Monotonic time of the last acknowledgement, by writer and partition. */
  readonly #lastMs = new Map<string, number[]>();
  readonly #waiting = new Set<() => void>();

  private constructor(options: LoadOptions) {
    this.#options = options;
    this.partitions = options.assignments?.length ?? options.partitions;
    this.#read = Array.from({ length: this.partitions }, () => new Map());
    this.config = {
      brokers: options.cluster.bootstrapServers.split(','),
      connectionTimeout: 1_000,
      requestTimeout: REQUEST_TIMEOUT_MS,
      logLevel: logLevel.NOTHING,
      // For ever: kafkajs gives an unknown outcome no number of its own, so the same records must be sent again (see kafkajsWriter).
      retry: { initialRetryTime: 20, maxRetryTime: 100, retries: Number.MAX_SAFE_INTEGER },
    };
    this.history.onAcknowledged = (_, partition, writer) => {
      const last = this.#lastMs.get(writer) ?? Array.from({ length: this.partitions }, () => 0);
      this.#lastMs.set(writer, last);
      last[partition] = performance.now();
      for (const wake of this.#waiting) wake();
    };
  }

  /** Makes the topic and starts all; resolves when each partition has had an acknowledgement and the group has committed. */
  static async start(options: LoadOptions): Promise<Load> {
    const load = new Load(options);
    await load.#start();
    return load;
  }

  async #start(): Promise<void> {
    const { admin, programs, assignments, topicConfigs, recordsPerSecond } = this.#options;
    await admin.createTopic({ topic: TOPIC, partitions: this.partitions, ...(assignments && { assignments }), ...(topicConfigs && { configs: topicConfigs }) });
    await admin.settled([TOPIC]);
    const random = seeded(this.#options.seed);
    const { config, partitions, history } = this;
    const fail = (error: Error) => {
      this.#failure ??= error;
    };
    const common = { config, partitions, history, fail, anyOrder: true, recordsPerSecond: Math.ceil(recordsPerSecond / 4) };
    const program = [process.execPath, ...QUIET, join(import.meta.dirname, './kafkajs-producer.ts')];
    for (let i = 0; i < KAFKAJS_WRITERS; i++) this.#writers.push(kafkajsProcessWriter({ ...common, name: `kafkajs${i}`, program, seed: random.below(2 ** 31) }));
    if (programs.librdkafka !== null) this.#writers.push(librdkafkaWriter({ ...common, name: 'librdkafka', program: programs.librdkafka }));
    if (programs.java !== null) this.#writers.push(javaWriter({ ...common, name: 'java', java: programs.java }));
    this.#startCommitter();
    // Harm comes after everybody's first record everywhere: a broker takes whatever sequence number a producer that it does not know comes with, and when a
    // leader moves between a Java producer's first two batches the second is taken for the first, which is then out of order for ever (seen with Kafka 4.3.1).
    const begun = (): string[] => [...this.#lastMs].flatMap(([writer, last]) => last.flatMap((atMs, partition) => (atMs > 0 ? [`${writer}:${partition}`] : [])));
    await this.#until(() => begun().length === this.#writers.length * this.partitions, () => `only these have begun: ${begun().join(', ')}`);
    await this.#within(`the group's first commit`, this.commits.more());
  }

  /** A member that the group has given up (its session ended while it could not reach the coordinator) begins anew: kafkajs leaves that to its user. */
  #startCommitter(): void {
    const child = spawn(process.execPath, [...QUIET, join(import.meta.dirname, './committer.ts'), (this.config.brokers as string[]).join(','), String(REQUEST_TIMEOUT_MS)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.stdin.on('error', () => {});
    const listener = judging(this.commits, this.violations);
    createInterface({ input: child.stdout }).on('line', (line) => this.#heard(line, listener));
    const exited = new Promise<void>((done) =>
      child.once('close', () => {
        process.off('exit', kill);
        done();
        if (!this.#stopping) this.#startCommitter();
      }),
    );
    this.#committer = {
      async stop() {
        child.stdin.end();
        const timer = setTimeout(kill, COMMITTER_STOP_MS);
        await exited;
        clearTimeout(timer);
      },
    };
  }

  #heard(line: string, listener: OffsetListener): void {
    const [what, ...rest] = line.split(' ');
    const [first, second, third] = rest.map(Number) as [number, number, number];
    if (what === 'sent') listener.sent(first, second, third);
    else if (what === 'answered') listener.answered(first, second);
    else if (what === 'asked') listener.asked(first);
    else if (what === 'told') listener.told(first, second, third);
    else if (what === 'gone') this.committersGone.push(line);
    else if (what === 'read') {
      const before = this.#read[first]!.get(second),
        now = rest.slice(2).join(' ').slice(0, NAME_CHARS);
      if (before !== undefined && before !== now) this.violations.push(`read twice: ${first}/${second} was ${before} and then ${now}`);
      this.#read[first]!.set(second, now);
    } else this.#failure ??= new Error(`the committer says: ${line}`);
  }

  get acknowledged(): number {
    return this.history.acknowledged;
  }

  #watched<T>(wait: Promise<T>): Promise<T> {
    return watched(wait, { stallMsMax: this.#options.stallMsMax, tail: () => this.#options.cluster.tails(), failure: () => this.#failure, moving: () => this.history.acknowledged + this.commits.acknowledged });
  }

  /** For what may not come although other things move. */
  #within<T>(what: string, wait: Promise<T>): Promise<T> {
    return within(this.#options.stallMsMax, what, this.#watched(wait), () => this.#options.cluster.tails());
  }

  /** Throws when a writer has given up, which none may. */
  assertAlive(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Waits for `count` more acknowledgements, of any partition. */
  async more(count: number): Promise<void> {
    const wanted = this.history.acknowledged + count;
    await this.#until(() => this.history.acknowledged >= wanted, () => `${wanted - this.history.acknowledged} acknowledgements are missing`);
  }

  /** Waits until each of `partitions` has an acknowledgement later than `sinceMs`. Resolves with how long after `sinceMs` the last of them came. */
  async writing(sinceMs: number, partitions: readonly number[] = this.#all): Promise<number> {
    return (await this.#resumed(sinceMs, partitions, [])).tookMs;
  }

  /** The same, and waits until each writer has written to one of `partitions`. */
  resumed(sinceMs: number, partitions: readonly number[] = this.#all): Promise<Resumed> {
    return this.#resumed(sinceMs, partitions, [...this.#lastMs.keys()]);
  }

  get #all(): number[] {
    return Array.from({ length: this.partitions }, (_, partition) => partition);
  }

  async #resumed(sinceMs: number, partitions: readonly number[], writers: readonly string[]): Promise<Resumed> {
    const first = new Map<number, number>(),
      byWriter = new Map<string, number>();
    const look = (): boolean => {
      for (const [writer, last] of this.#lastMs) {
        for (const partition of partitions) {
          const tookMs = last[partition]! - sinceMs;
          if (tookMs <= STRAGGLER_MS) continue;
          if (!first.has(partition)) first.set(partition, tookMs);
          if (!byWriter.has(writer)) byWriter.set(writer, tookMs);
        }
      }
      return first.size === partitions.length && (partitions.length === 0 || writers.every((writer) => byWriter.has(writer)));
    };
    await this.#until(look, () => {
      const missing = [...partitions.filter((each) => !first.has(each)).map((each) => `partition ${each}`), ...writers.filter((each) => !byWriter.has(each))];
      return `no acknowledgement for ${missing.join(', ')}`;
    });
    return { tookMs: Math.max(0, ...first.values()), byWriter };
  }

  #until(reached: () => boolean, why: () => string): Promise<void> {
    const timeoutMs = this.#options.stallMsMax;
    return new Promise((done, failed) => {
      const end = (error?: Error) => {
        clearTimeout(late);
        clearInterval(often);
        this.#waiting.delete(look);
        if (error) failed(error);
        else done();
      };
      const look = () => {
        if (reached()) end();
      };
      const late = setTimeout(() => end(new Error(`after ${timeoutMs} ms ${why()}\n${this.#options.cluster.tails()}`)), timeoutMs);
      const often = setInterval(() => {
        if (this.#failure) end(this.#failure);
        else look();
      }, 100);
      this.#waiting.add(look);
      look();
    });
  }

  /** Stops all, on a cluster that is whole again. */
  async finish(): Promise<void> {
    await this.#within('the last acknowledgements of writers that were told to end', Promise.all(this.#writers.map((writer) => writer.stop())));
    const { admin, stallMsMax } = this.#options;
    const ends = await admin.ends(TOPIC, stallMsMax);
    const behind = () => this.#read.map(({ size }, partition) => `${size} of ${ends.get(partition)} in partition ${partition}`).filter((_, partition) => this.#read[partition]!.size < ends.get(partition)!);
    await this.#until(() => behind().length === 0, () => `the group has read ${behind().join(', ')}`);
    this.#stopping = true;
    await this.#committer!.stop();
    const question = this.commits.ask();
    this.violations.push(...this.commits.violations(question, await admin.committed(GROUP, TOPIC, this.#all, stallMsMax)));
  }

  /** What is wrong with all that was sent, acknowledged and read, when this is what the log holds; after `finish`. */
  judge(log: ReadonlyMap<number, readonly LogRecord[]>): readonly string[] {
    this.violations.push(...this.history.violations(log));
    for (const [partition, records] of log) {
      const read = this.#read[partition]!;
      const values = new Map(records.map(({ offset, value }) => [offset, value.slice(0, NAME_CHARS)]));
      for (const [offset, value] of read)
        if (values.get(offset) !== value) this.violations.push(`read and gone: ${partition}/${offset} was read as ${value}, in the end it is ${values.get(offset) ?? 'not there'}`);
      for (const [offset, value] of values) if (!read.has(offset)) this.violations.push(`never read: ${partition}/${offset}, ${value}`);
    }
    return this.violations;
  }

  /** After a failure: tells everybody to end, and kills who has not when nobody answers any more. Waits for nobody. */
  abandon(): void {
    this.#stopping = true;
    for (const writer of this.#writers) {
      writer.stop().catch(() => {});
      setTimeout(() => writer.kill?.(), ABANDONED_MS).unref();
    }
    this.#committer?.stop().catch(() => {});
  }
}
