/**
 * The rows of the benchmark: what is loaded, with how much, and what ottla must reach beside Apache Kafka.
 * Promises: a scenario runs against any broker and any driver; only the load itself is accounted, not the filling of a topic that is to be read.
 * Does not: start brokers, repeat, or compare; that is run.ts.
 */
import { execFileSync } from 'node:child_process';
import type { Driver, LoadResult } from './driver.ts';
import { pageCacheCost } from './page-cache.ts';
import { type Usage, cpuSeconds, machineCpuSeconds } from './process-usage.ts';
import { createTopic } from './topic.ts';

export interface Scenario {
  readonly name: string;
  readonly load: 'produce' | 'one-record' | 'consume' | 'follow';
  readonly partitions: number;
  readonly recordBytes: number;
  readonly records: number;
  readonly recordsPerSecond?: number;
  /** Of each partition, 1 where it is absent. */
  readonly replicas?: number;
  /** Only these drivers; absent: all. */
  readonly drivers?: readonly string[];
  /** Ratios to Apache Kafka: throughput at least, CPU at most. */
  readonly goal?: { readonly throughputMin: number; readonly cpuMax?: number };
}

/** The sizes of a full run; `scaled` makes smaller ones. */
export const scenarios: readonly Scenario[] = [
  { name: 'produce 100 B, 1 partition', load: 'produce', partitions: 1, recordBytes: 100, records: 10_000_000, goal: { throughputMin: 1, cpuMax: 0.6 } },
  { name: 'produce 1 KiB, 6 partitions', load: 'produce', partitions: 6, recordBytes: 1024, records: 2_000_000, goal: { throughputMin: 1, cpuMax: 0.8 } },
  {
    name: 'produce 100 B, one-record requests',
    load: 'one-record',
    partitions: 1,
    recordBytes: 100,
    records: 300_000,
    goal: { throughputMin: 1, cpuMax: 0.5 },
  },
  { name: 'produce 1 KiB at 5,000/s', load: 'produce', partitions: 6, recordBytes: 1024, records: 50_000, recordsPerSecond: 5_000 },
  { name: 'consume 100 B from file', load: 'consume', partitions: 1, recordBytes: 100, records: 10_000_000, goal: { throughputMin: 1, cpuMax: 0.6 } },
  { name: 'consume 1 KiB from file', load: 'consume', partitions: 6, recordBytes: 1024, records: 2_000_000, goal: { throughputMin: 1, cpuMax: 0.8 } },
  {
    name: 'consume 1 KiB from tail at 50,000/s',
    load: 'follow',
    partitions: 6,
    recordBytes: 1024,
    records: 500_000,
    recordsPerSecond: 50_000,
    goal: { throughputMin: 0.98, cpuMax: 0.8 },
  },
  { name: 'produce 5 GB of 1 KiB', load: 'produce', partitions: 6, recordBytes: 1024, records: 5_000_000, drivers: ['librdkafka', 'node'] },
];

/** The same loads with `1/divisor` of the records, one thousand at least. Rates stay. */
export function scaled(all: readonly Scenario[], divisor: number): Scenario[] {
  return all.map((each) => ({ ...each, records: Math.max(1000, Math.ceil(each.records / divisor)) }));
}

/** The broker that is measured. `usage` covers all of its processes. */
export interface MeasuredBroker {
  readonly bootstrapServers: string;
  usage(): Usage;
  restartPeak(): void;
}

export interface Measurement {
  readonly recordsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly peakRssBytes: number;
  readonly cpuSecondsPerGb: number;
  /** Where a request carries one record. */
  readonly cpuSecondsPer100kRequests: number | null;
  /** CPU that neither the broker nor the drivers used while this was measured, as a share of the machine's cores: over 0.1 the row is not to be trusted. */
  readonly foreignCpuShare: number;
  /** Just before, where it writes: see page-cache.ts. */
  readonly pageCacheCpuSecondsPerGb: number | null;
}

/** Everything on the disk, so that a row does not pay for the one before; then what fresh pages cost now, by a file in `dir`, where the row writes. */
export function settleDisk(dir: string, writes: boolean): number | null {
  execFileSync('sync');
  return writes ? pageCacheCost(dir) : null;
}

export class Bench {
  readonly #broker: MeasuredBroker;
  readonly #driver: Driver;
  readonly #cores: number;
  readonly #settle: (writes: boolean) => number | null;
  /** Topics that hold enough records to be read: by partitions and size of a record. */
  readonly #filled: Map<string, { topic: string; records: number }>;
  readonly #counter: { topics: number };
  readonly #place: ((partition: number, replicas: number) => number[]) | undefined;

  /**
   * `settle` is called before each row, and tells what its pages cost. `previous`: another driver's bench on the same broker, whose topics may be read again. `place`: the brokers that hold a
   * partition, the leader first; without it the cluster chooses.
   */
  constructor(options: {
    broker: MeasuredBroker; driver: Driver; cores: number; settle: (writes: boolean) => number | null; previous?: Bench; place?: (partition: number, replicas: number) => number[];
  }) {
    this.#place = options.place;
    this.#settle = options.settle;
    this.#broker = options.broker;
    this.#driver = options.driver;
    this.#cores = options.cores;
    this.#filled = options.previous ? options.previous.#filled : new Map();
    this.#counter = options.previous ? options.previous.#counter : { topics: 0 };
  }

  async run(scenario: Scenario): Promise<Measurement> {
    const { load, records, recordBytes, partitions, recordsPerSecond } = scenario;
    const bootstrapServers = this.#broker.bootstrapServers;
    const topic = load === 'consume' ? await this.#filledTopic(scenario) : await this.#newTopic(scenario);
    const target = { bootstrapServers, topic, partitions, records, recordBytes };
    if (load === 'produce') this.#filled.set(fillKey(scenario), { topic, records });
    return this.#account(recordBytes, load, () => {
      if (load === 'consume') return this.#driver.consume(target);
      if (load === 'follow') return this.#driver.follow({ ...target, recordsPerSecond: recordsPerSecond! });
      return this.#driver.produce({ ...target, ...(recordsPerSecond !== undefined && { recordsPerSecond }), oneRecordRequests: load === 'one-record' });
    });
  }

  async #account(recordBytes: number, kind: Scenario['load'], load: () => Promise<LoadResult>): Promise<Measurement> {
    const pageCacheCpuSecondsPerGb = this.#settle(kind !== 'consume');
    this.#broker.restartPeak();
    const before = this.#broker.usage(),
      machineBefore = machineCpuSeconds(),
      ownBefore = cpuSeconds(process.pid),
      startedMs = performance.now();
    const result = await load();
    const wallSeconds = (performance.now() - startedMs) / 1000;
    const after = this.#broker.usage();
    const cpu = after.cpuSeconds - before.cpuSeconds;
    const foreign = machineCpuSeconds() - machineBefore - cpu - (cpuSeconds(process.pid) - ownBefore);
    return {
      recordsPerSecond: result.records / result.seconds,
      bytesPerSecond: (result.records * recordBytes) / result.seconds,
      p50Ms: result.p50Ms ?? null,
      p99Ms: result.p99Ms ?? null,
      peakRssBytes: after.peakRssBytes,
      cpuSecondsPerGb: (cpu / (result.records * recordBytes)) * 1e9,
      cpuSecondsPer100kRequests: kind === 'one-record' ? (cpu / result.records) * 1e5 : null,
      foreignCpuShare: Math.max(0, foreign / wallSeconds / this.#cores),
      pageCacheCpuSecondsPerGb,
    };
  }

  async #filledTopic(scenario: Scenario): Promise<string> {
    const { records, recordBytes, partitions } = scenario;
    const found = this.#filled.get(fillKey(scenario));
    if (found && found.records >= records) return found.topic;
    const topic = await this.#newTopic(scenario);
    await this.#driver.produce({ bootstrapServers: this.#broker.bootstrapServers, topic, partitions, records, recordBytes });
    this.#filled.set(fillKey(scenario), { topic, records });
    return topic;
  }

  async #newTopic({ partitions, replicas = 1 }: Scenario): Promise<string> {
    const topic = `bench-${++this.#counter.topics}`;
    const place = this.#place;
    await createTopic(this.#broker.bootstrapServers, place
      ? { topic, replicaAssignment: Array.from({ length: partitions }, (_, partition) => ({ partition, replicas: place(partition, replicas) })) }
      : { topic, numPartitions: partitions, replicationFactor: replicas });
    return topic;
  }
}

function fillKey(scenario: Scenario): string {
  return `${scenario.partitions}x${scenario.recordBytes}x${scenario.replicas ?? 1}`;
}
