/**
 * One cluster of ottla and Apache Kafka: partitions are replicated and moved across the kinds, leaders go back and forth, controllers of either kind are
 * elected, all under load; and then everything is judged as in the other cluster tests.
 * Promises: each step is seen to have happened (who leads, who holds the replicas, who is active), clients lose nothing, the files of both kinds are the same
 * bytes, and Apache Kafka's dump tool finds nothing in ours.
 * Does not: know which node is of which kind, beyond saying so; with Apache Kafka alone the same steps must pass, which is how this is tried.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SMALL_JVM, referenceDir } from '../../bench/broker-process.ts';
import { command } from '../../bench/command.ts';
import type { ClusterNode, ClusterProcesses, NodeSpec } from '../../bench/cluster-process.ts';
import { TOPIC } from '../crash/writers.ts';
import { compareMetadata } from '../cluster/replicas.ts';
import { type Outcome, type Running, type ScenarioContext, withCluster } from '../cluster/scenario.ts';
import { describeTimes } from '../cluster/times.ts';
import { sleep } from '../cluster/admin.ts';

const PARTITIONS = 6;
/** How often the active controller is made to go until one of the wanted kind follows. */
const ELECTIONS_MAX = 12;
const ELECTED_MS_MAX = 60_000;
const LED_MS_MAX = 30_000;
const DUMP_FILES_MAX = 200;

export interface MixedOptions {
  readonly nodes: readonly NodeSpec[];
  /** Times that each step is gone through. */
  readonly rounds: number;
}

export async function mixed(context: ScenarioContext, { nodes, rounds }: MixedOptions): Promise<Outcome> {
  const brokers = nodes.filter(({ roles }) => roles.includes('broker')).map(({ id }) => id);
  // Two of three hold each partition at first, so that a reassignment has somewhere to go.
  const assignments = Array.from({ length: PARTITIONS }, (_, partition) => [0, 1].map((step) => brokers[(partition + step) % brokers.length]!));
  const problems: string[] = [];
  const ended = async (cluster: ClusterProcesses) => {
    problems.push(...compareMetadata(cluster.nodes), ...(await dumped(cluster)));
  };
  const outcome = await withCluster(context, { nodes, assignments, topicConfigs: { 'min.insync.replicas': '1' }, ended }, async (running) => {
    for (let round = 1; round <= rounds; round++) {
      await reassignAcross(running, assignments, round, brokers);
      context.say(`round ${round}: reassigned, ${running.load.acknowledged} records acknowledged`);
      await leadInTurn(running, brokers);
      context.say(`round ${round}: every broker has led every partition, ${running.load.acknowledged} records acknowledged`);
      await electEitherKind(running);
      await killInTurn(running);
      context.say(`round ${round}: every node was killed, ${running.load.acknowledged} records acknowledged`);
    }
  });
  return { facts: outcome.facts, violations: [...outcome.violations, ...problems] };
}

/** Two replicas become three, and then two others than before. */
async function reassignAcross({ admin, load, violations }: Running, assignments: readonly (readonly number[])[], round: number, brokers: readonly number[]): Promise<void> {
  const rotated = (by: number, count: number) => new Map(assignments.map((_, partition) => [partition, Array.from({ length: count }, (_, step) => brokers[(partition + by + step) % brokers.length]!)]));
  for (const targets of [rotated(round, Math.min(3, brokers.length)), rotated(round + 1, Math.min(2, brokers.length)), rotated(round, Math.min(3, brokers.length))]) {
    await admin.reassign(TOPIC, targets);
    await admin.reassigned();
    await admin.settled([TOPIC]);
    for (const view of await admin.partitions(TOPIC)) {
      const wanted = targets.get(view.partition)!;
      if ([...view.replicas].sort().join() !== [...wanted].sort().join()) violations.push(`reassign: ${TOPIC}-${view.partition} is on ${view.replicas.join()}, and should be on ${wanted.join()}`);
    }
    await load.writing(performance.now());
  }
}

/** Every broker leads every partition once. */
async function leadInTurn({ admin, load, violations }: Running, brokers: readonly number[]): Promise<void> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  for (const id of brokers) {
    // The same replicas in another order move no data: they make another one the preferred leader.
    const order = new Map((await admin.partitions(TOPIC)).map(({ partition, replicas }) => [partition, [id, ...replicas.filter((replica) => replica !== id)]] as const));
    await admin.reassign(TOPIC, order);
    await admin.reassigned();
    // A node that hangs for longer than its session loses what it leads, and is asked to lead it again.
    let others = partitions;
    for (const sinceMs = performance.now(); others.length > 0 && performance.now() - sinceMs < LED_MS_MAX; await sleep(50)) {
      await admin.settled([TOPIC]);
      await admin.electPreferred(TOPIC, others);
      others = (await admin.partitions(TOPIC)).filter(({ leader }) => leader !== id).map(({ partition }) => partition);
    }
    if (others.length > 0) violations.push(`election: broker ${id} is the preferred leader of partitions ${others.join(', ')}, and does not lead them after ${LED_MS_MAX} ms`);
    await load.writing(performance.now());
  }
}

/** The active controller is killed until each kind of voter has been active. */
async function electEitherKind({ cluster, admin, load, violations, facts }: Running): Promise<void> {
  const wanted = new Set(cluster.nodes.filter((node) => node.isController).map(({ kind }) => kind));
  const seen = new Map<string, number>();
  for (let election = 0; election < ELECTIONS_MAX; election++) {
    const active = cluster.node(await newLeader(admin));
    seen.set(active.kind, (seen.get(active.kind) ?? 0) + 1);
    if (wanted.size === 1 && election > 0) break;
    if (seen.size === wanted.size && election >= wanted.size) break;
    if (cluster.nodes.filter((node) => node.isController).length === 1) break;
    await active.kill();
    await newLeader(admin, active);
    active.spawn();
    if (active.isBroker) await cluster.ready([active]);
    await admin.settled([TOPIC, '__consumer_offsets']);
    await load.writing(performance.now());
  }
  if (seen.size < wanted.size) violations.push(`quorum: of the kinds ${[...wanted].join(', ')} only ${[...seen.keys()].join(', ')} was ever active in ${ELECTIONS_MAX} elections`);
  facts.push(`active controllers: ${[...seen].map(([kind, times]) => `${kind} ${times} times`).join(', ')}`);
}

/** Waits for an active controller that is not `instead`. */
async function newLeader(admin: Running['admin'], instead?: ClusterNode): Promise<number> {
  for (const sinceMs = performance.now(); performance.now() - sinceMs < ELECTED_MS_MAX; await sleep(50)) {
    const { leaderId } = await admin.quorum();
    if (leaderId !== instead?.id) return leaderId;
  }
  throw new Error(`no active controller but ${instead?.id ?? 'none'} in ${ELECTED_MS_MAX} ms`);
}

/** kill -9 of each node in turn, the next one when all replicas are in sync again. */
async function killInTurn({ cluster, admin, load, facts }: Running): Promise<void> {
  const times: number[] = [];
  for (const node of cluster.nodes) {
    // A quorum of one that is killed is a cluster without metadata until it is back; nothing is to be measured there.
    const alone = node.isController && cluster.nodes.filter((each) => each.isController).length === 1;
    const affected = (await admin.partitions(TOPIC)).filter(({ leader }) => leader === node.id).map(({ partition }) => partition);
    const killedMs = performance.now();
    await node.kill();
    if (!alone) {
      const tookMs = await load.writing(killedMs, affected);
      if (affected.length > 0) times.push(tookMs);
    }
    node.spawn();
    if (node.isBroker) await cluster.ready([node]);
    await admin.settled([TOPIC, '__consumer_offsets']);
    await load.writing(performance.now());
  }
  facts.push(describeTimes('writing again after a node was killed', times));
}

/** What Apache Kafka's own dump tool says of our nodes' partitions; nothing when all is well. */
async function dumped(cluster: ClusterProcesses): Promise<string[]> {
  const problems: string[] = [];
  for (const node of cluster.nodes.filter(({ kind }) => kind === 'ottla')) {
    const dirs = readdirSync(node.dataDir, { withFileTypes: true }).filter((entry) => entry.isDirectory() && new RegExp(`^(${TOPIC}|__consumer_offsets)-\\d+$`).test(entry.name));
    const files = dirs.flatMap(({ name }) => readdirSync(join(node.dataDir, name)).filter((file) => /\.(log|index|timeindex)$/.test(file)).map((file) => join(node.dataDir, name, file))).slice(0, DUMP_FILES_MAX);
    if (files.length === 0) continue;
    const { stdout, stderr, status } = await command(join(referenceDir(), 'bin/kafka-dump-log.sh'), ['--deep-iteration', '--files', files.join(',')], { env: SMALL_JVM, anyStatus: true, timeoutMs: 300_000 });
    const bad = `${stdout}\n${stderr}`.split('\n').filter((line) => /isvalid: false|mismatch|Non-consecutive|Found timestamp|Exception|Index timestamp|Could not|out of order/i.test(line));
    if (status !== 0) problems.push(`dump: kafka-dump-log ended with ${status} on node ${node.id}: ${stderr.slice(0, 500)}`);
    problems.push(...bad.slice(0, 5).map((line) => `dump: node ${node.id}: ${line.slice(0, 300)}`));
  }
  return problems;
}
