/**
 * The rows of `npm run bench -- --cluster`: three nodes of ottla and three of Apache Kafka in turn, on this machine, under the same loads.
 * Promises: the same settings for both; partitions lie the same way, leaders on all nodes in turn; a failover is measured from the kill to the next
 * acknowledgement on a partition that the killed node led, with a client that asks again every few milliseconds. Does not: drive the loads; bench/scenario.ts does.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { type BrokerKind, brokersInMetadata, freePort, logTail, ottlaCommand, startDaemon } from './broker-process.ts';
import { ClusterProcesses, combinedNodes } from './cluster-process.ts';
import { restartPeak, usage } from './process-usage.ts';
import { median } from './report.ts';
import type { MeasuredBroker, Scenario } from './scenario.ts';
import { createTopic } from './topic.ts';

export const CLUSTER_NODES = 3;

/** The sizes of a full run. */
export const clusterScenarios: readonly Scenario[] = [
  { name: 'produce 1 KiB, 6 partitions of 3 replicas', load: 'produce', partitions: 6, replicas: 3, recordBytes: 1024, records: 600_000, goal: { throughputMin: 1.2 } },
  { name: 'produce 100 B, 6 partitions of 3 replicas', load: 'produce', partitions: 6, replicas: 3, recordBytes: 100, records: 3_000_000, goal: { throughputMin: 1.2 } },
  { name: 'produce 100 B, one-record requests, 3 replicas', load: 'one-record', partitions: 1, replicas: 3, recordBytes: 100, records: 40_000, goal: { throughputMin: 2 } },
  { name: 'one-record requests at 300/s, 1 replica', load: 'one-record', partitions: 1, replicas: 1, recordBytes: 100, records: 3_000, recordsPerSecond: 300 },
  { name: 'one-record requests at 300/s, 3 replicas', load: 'one-record', partitions: 1, replicas: 3, recordBytes: 100, records: 3_000, recordsPerSecond: 300 },
];

/** What replication adds to the time of a request: the difference of these two rows. */
export const LATENCY_ROWS = ['one-record requests at 300/s, 1 replica', 'one-record requests at 300/s, 3 replicas'] as const;

/** Partition p is led by node p mod 3 + 1, and followed by those after it. */
export function placed(partition: number, replicas: number): number[] {
  return Array.from({ length: replicas }, (_, step) => ((partition + step) % CLUSTER_NODES) + 1);
}

export interface RunningCluster {
  readonly measured: MeasuredBroker;
  readonly version: string;
  readonly readyMs: number;
  /** null where the nodes are threads of one process, of which none can be killed alone. */
  readonly processes: ClusterProcesses | null;
  tail(): string;
  stop(): Promise<void>;
}

/** Three nodes as three processes, or, `asThreads`, `ottla --nodes 3`. */
export async function startCluster(options: { readonly kind: BrokerKind; readonly dir: string; readonly asThreads?: boolean; readonly settings?: readonly string[]; readonly env?: Readonly<Record<string, string>> }): Promise<RunningCluster> {
  const { kind, asThreads = false, settings = [] } = options;
  const dir = mkdtempSync(join(options.dir, `${kind}-cluster-`));
  if (asThreads) return startThreads(dir, settings);
  const cluster = await ClusterProcesses.start({ nodes: combinedNodes(kind, CLUSTER_NODES), dir, settings, env: { KAFKA_HEAP_OPTS: process.env['KAFKA_HEAP_OPTS'] ?? '-Xmx1g', ...options.env } });
  const pids = () => cluster.nodes.filter((node) => node.isRunning).map(({ pid }) => pid);
  return {
    measured: measuredOf(cluster.bootstrapServers, pids),
    version: cluster.nodes[0]!.version,
    readyMs: cluster.readyMs,
    processes: cluster,
    tail: () => cluster.nodes.map((node) => node.tail(3)).join('\n'),
    async stop() {
      await cluster.stopAll(10_000);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function startThreads(dir: string, settings: readonly string[]): Promise<RunningCluster> {
  const logFile = join(dir, 'node.log');
  mkdirSync(dir, { recursive: true });
  const port = await freePort();
  const startedMs = performance.now();
  const daemon = startDaemon(
    [...ottlaCommand(), 'start', '--nodes', String(CLUSTER_NODES), '--port', String(port), '--data-dir', join(dir, 'data'), ...settings.flatMap((line) => ['--set', line])],
    { cwd: dir, logFile, env: {} },
  );
  const ports = Array.from({ length: CLUSTER_NODES }, (_, i) => port + i);
  for (const each of ports) {
    while ((await brokersInMetadata('127.0.0.1', each)) < CLUSTER_NODES) {
      if (daemon.gone !== null || performance.now() - startedMs > 60_000) throw new Error(`ottla --nodes ${CLUSTER_NODES} does not serve:\n${logTail(logFile)}`);
    }
  }
  return {
    measured: measuredOf(ports.map((each) => `127.0.0.1:${each}`).join(','), () => [daemon.pid]),
    version: `ottla --nodes ${CLUSTER_NODES} (Node ${process.version})`,
    readyMs: performance.now() - startedMs,
    processes: null,
    tail: () => logTail(logFile, 5),
    async stop() {
      await daemon.stop(10_000);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function measuredOf(bootstrapServers: string, pids: () => number[]): MeasuredBroker {
  return {
    bootstrapServers,
    usage: () => pids().map(usage).reduce((sum, each) => ({
      cpuSeconds: sum.cpuSeconds + each.cpuSeconds, rssBytes: sum.rssBytes + each.rssBytes, peakRssBytes: sum.peakRssBytes + each.peakRssBytes,
    })),
    restartPeak: () => pids().forEach(restartPeak),
  };
}

const FAILOVER_TOPIC = 'bench-failover';
const AGAIN_MS = 5;
const FAILOVER_MS_MAX = 60_000;

/** kill -9 of the leader, `times` over: ms from each kill to the next acknowledgement. The killed node is started again, and in sync, before the next. */
export async function failovers(cluster: ClusterProcesses, times: number): Promise<number[]> {
  const kafka = new Kafka({
    brokers: cluster.bootstrapServers.split(','), logLevel: logLevel.NOTHING, connectionTimeout: 500, requestTimeout: 1_000, retry: { initialRetryTime: AGAIN_MS, maxRetryTime: AGAIN_MS * 4, retries: 1_000_000 },
  });
  const admin = kafka.admin(),
    producer = kafka.producer({ allowAutoTopicCreation: false });
  await admin.connect();
  await producer.connect();
  const partition = async () => (await admin.fetchTopicMetadata({ topics: [FAILOVER_TOPIC] })).topics[0]!.partitions[0]!;
  const whole = async () => {
    for (const sinceMs = performance.now(); ; await new Promise((done) => setTimeout(done, 50))) {
      const { isr, leader } = await partition().catch(() => ({ isr: [] as number[], leader: -1 }));
      if (isr.length === CLUSTER_NODES && leader >= 0) return leader;
      if (performance.now() - sinceMs > FAILOVER_MS_MAX) throw new Error(`${FAILOVER_TOPIC} is in sync on ${isr.join()} only`);
    }
  };
  const took: number[] = [];
  try {
    await createTopic(cluster.bootstrapServers, { topic: FAILOVER_TOPIC, replicaAssignment: [{ partition: 0, replicas: placed(0, CLUSTER_NODES) }] });
    for (let time = 0; time < times; time++) {
      const node = cluster.node(await whole());
      await producer.send({ topic: FAILOVER_TOPIC, acks: -1, messages: [{ value: 'before' }] });
      const killedMs = performance.now();
      await node.kill();
      await producer.send({ topic: FAILOVER_TOPIC, acks: -1, messages: [{ value: 'after' }] });
      took.push(performance.now() - killedMs);
      await cluster.startAll();
    }
    await whole();
  } finally {
    await Promise.all([producer.disconnect(), admin.disconnect()]).catch(() => {});
  }
  return took;
}

export function describeFailovers(name: string, ours: readonly number[], theirs: readonly number[]): string {
  const of = (all: readonly number[]) => (all.length === 0 ? '-' : `${median(all).toFixed(0)} (${all.map((ms) => ms.toFixed(0)).join(', ')})`);
  return `${name}, ms from kill -9 of the leader to the next acknowledgement: ${of(ours)} / ${of(theirs)}`;
}
