/** One scenario of the cluster tests: what it gets, and what it has found. Does not: start clusters by itself; `withCluster` does that for it. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BrokerKind } from '../../bench/broker-process.ts';
import { type ClusterOptions, ClusterProcesses, type NodeSpec } from '../../bench/cluster-process.ts';
import { within } from '../crash/progress.ts';
import { type Seeded, seeded } from '../crash/seeded.ts';
import { TOPIC } from '../crash/writers.ts';
import { ClusterAdmin } from './admin.ts';
import { Load, type LoadOptions, type Programs } from './load.ts';
import { compareReplicas } from './replicas.ts';

export interface ScenarioContext {
  readonly nodes: readonly NodeSpec[];
  readonly kind: BrokerKind;
  readonly dir: string;
  readonly seed: number;
  readonly rounds: number;
  /** Monotonic time after which no further round begins. */
  readonly deadlineMs: number;
  /** Longer than this no scenario takes: it is ended where it is, and has failed. */
  readonly limitMs: number;
  readonly programs: Programs;
  readonly settings: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly recordsPerSecond: number;
  readonly stallMsMax: number;
  readonly keep: boolean;
  readonly say: (line: string) => void;
}

/** Thrown where a privilege or a tool is missing. */
export class Skip extends Error {}

export interface Outcome {
  readonly violations: readonly string[];
  /** What a reader wants to know: counts and times. */
  readonly facts: readonly string[];
}

export interface Running {
  readonly cluster: ClusterProcesses;
  readonly admin: ClusterAdmin;
  readonly load: Load;
  readonly random: Seeded;
  /** What a harm did beyond what the load sees. */
  readonly violations: string[];
  readonly facts: string[];
}

export type WithClusterOptions = Partial<Pick<ClusterOptions, 'hostOf' | 'prefixOf' | 'nodes' | 'firstVoters'>> & Partial<Pick<LoadOptions, 'partitions' | 'assignments' | 'topicConfigs'>> & {
  /** Before the first start, when the directories are there. */
  readonly prepared?: (cluster: ClusterProcesses) => Promise<void>;
  readonly settings?: readonly string[];
  /** After the processes have ended, before the directories go. */
  readonly ended?: (cluster: ClusterProcesses) => Promise<void>;
};

const PARTITIONS = 6;
const STOP_MS_MAX = 15_000;

/**
 * Starts a cluster and its load, has `harm` done, heals, stops cleanly and judges: histories, and the replicas' files byte for byte.
 * `harm` must leave every node running or killed, none paused or cut off.
 */
export async function withCluster(context: ScenarioContext, options: WithClusterOptions, harm: (running: Running) => Promise<void>): Promise<Outcome> {
  const dir = join(context.dir, 'cluster');
  mkdirSync(dir, { recursive: true });
  const violations: string[] = [],
    facts: string[] = [];
  const cluster = await ClusterProcesses.prepare({
    nodes: options.nodes ?? context.nodes, dir, env: context.env,
    settings: [...context.settings, ...(options.settings ?? [])],
    ...(options.hostOf && { hostOf: options.hostOf }),
    ...(options.prefixOf && { prefixOf: options.prefixOf }),
    ...(options.firstVoters && { firstVoters: options.firstVoters }),
  });
  const admin = new ClusterAdmin(cluster);
  let load: Load | null = null,
    step = 'nothing',
    ok = false;
  const run = async () => {
    step = 'starting';
    await options.prepared?.(cluster);
    await cluster.startAll();
    const beganMs = performance.now();
    step = 'starting the load';
    load = await Load.start({
      cluster, admin, programs: context.programs, seed: context.seed, stallMsMax: context.stallMsMax, recordsPerSecond: context.recordsPerSecond,
      partitions: options.partitions ?? PARTITIONS,
      ...(options.assignments && { assignments: options.assignments }),
      ...(options.topicConfigs && { topicConfigs: options.topicConfigs }),
    });
    step = 'doing harm';
    await harm({ cluster, admin, load, random: seeded(context.seed), violations, facts });
    step = 'healing';
    for (const node of cluster.nodes) if (!node.isRunning) node.spawn();
    await cluster.ready(cluster.brokers);
    const topics = [TOPIC, '__consumer_offsets'];
    await admin.settled(topics, context.stallMsMax);
    step = 'reading everything';
    await load.finish();
    facts.push(`${load.history.acknowledged} records and ${load.commits.acknowledged} commits acknowledged in ${((performance.now() - beganMs) / 1000).toFixed(0)} s`);
    await admin.settled(topics, context.stallMsMax);
    const views = await admin.partitions(...topics);
    admin.close();
    step = 'stopping all nodes';
    const stopMs = performance.now();
    for (const [id, end] of await cluster.stopAll(STOP_MS_MAX)) {
      // A JVM ends with 143 after SIGTERM, also when all went well; and of Apache Kafka's nodes that are told to stop at once the last waits for a quorum.
      if (end !== 0 && cluster.node(id).kind === 'ottla') violations.push(`the clean stop of node ${id} ended with ${String(end)}: ${cluster.node(id).tail(5)}`);
    }
    facts.push(`all nodes stopped together in ${(performance.now() - stopMs).toFixed(0)} ms`);
    const { bytes, problems, records } = compareReplicas(cluster.nodes, views);
    violations.push(...problems, ...load.judge(new Map(Array.from({ length: load.partitions }, (_, partition) => [partition, records.get(`${TOPIC}-${partition}`) ?? []]))));
    if (load.history.renumbered > 0) facts.push(`${load.history.renumbered} records are there twice because librdkafka sent them once more in a new epoch (its issue 4953)`);
    facts.push(`${(bytes / 1e6).toFixed(1)} MB in ${views.length} partitions are the same on all replicas`);
  };
  try {
    await within(context.limitMs, 'the scenario', run(), () => `It was ${step}.\n${cluster.tails()}`);
    ok = violations.length === 0;
  } finally {
    // What ran into the limit goes on behind, finds no node any more, and must start none.
    cluster.close();
    (load as Load | null)?.abandon();
    admin.close();
    await cluster.killAll();
    await options.ended?.(cluster);
    if (ok && !context.keep) rmSync(dir, { recursive: true, force: true });
  }
  return { violations, facts };
}
