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
import type { ClusterProcesses, NodeSpec } from '../../bench/cluster-process.ts';
import { TOPIC } from '../crash/writers.ts';
import { compareMetadata } from '../cluster/replicas.ts';
import { type Outcome, type Running, type ScenarioContext, withCluster } from '../cluster/scenario.ts';
import { describeTimes } from '../cluster/times.ts';
import { sleep } from '../cluster/admin.ts';
import { electEitherKind } from './quorum.ts';

const PARTITIONS = 6;
const LED_MS_MAX = 30_000;
const DUMP_FILES_MAX = 200;
const DUMP_MS_MAX = 120_000;

export interface MixedOptions {
  readonly nodes: readonly NodeSpec[];
  /** Times that each step is gone through. */
  readonly rounds: number;
}

/** Also the metadata logs of all nodes must be the same, and Apache Kafka's dump tool content with what our nodes have left; and what `more` finds in the files. */
export async function judged(run: (ended: (cluster: ClusterProcesses) => Promise<void>) => Promise<Outcome>, more: (cluster: ClusterProcesses) => readonly string[] = () => []): Promise<Outcome> {
  const problems: string[] = [];
  const { violations, facts } = await run(async (cluster) => {
    problems.push(...compareMetadata(cluster.nodes), ...(await dumped(cluster)), ...more(cluster));
  });
  return { facts, violations: [...violations, ...problems] };
}

export function mixed(context: ScenarioContext, { nodes, rounds }: MixedOptions): Promise<Outcome> {
  const brokers = nodes.filter(({ roles }) => roles.includes('broker')).map(({ id }) => id);
  // Two of three hold each partition at first, so that a reassignment has somewhere to go.
  const assignments = Array.from({ length: PARTITIONS }, (_, partition) => [0, 1].map((step) => brokers[(partition + step) % brokers.length]!));
  return judged((ended) => withCluster(context, { nodes, assignments, topicConfigs: { 'min.insync.replicas': '1' }, ended }, async (running) => {
    for (let round = 1; round <= rounds; round++) {
      await reassignAcross(running, assignments, round, brokers);
      context.say(`round ${round}: reassigned, ${running.load.acknowledged} records acknowledged`);
      await leadInTurn(running, brokers);
      context.say(`round ${round}: every broker has led every partition, ${running.load.acknowledged} records acknowledged`);
      await electEitherKind(running);
      await killInTurn(running);
      context.say(`round ${round}: every node was killed, ${running.load.acknowledged} records acknowledged`);
    }
  }));
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
    const order = new Map((await admin.partitions(TOPIC)).map(({ partition, replicas }) => [partition, inFront(id, replicas)] as const));
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

/** Every broker leads some, so that the death of each is felt. */
async function leadEvenly(admin: Running['admin'], brokers: readonly number[]): Promise<void> {
  const views = await admin.partitions(TOPIC);
  await admin.reassign(TOPIC, new Map(views.map(({ partition, replicas }) => [partition, inFront(brokers[partition % brokers.length]!, replicas)])));
  await admin.reassigned();
  await admin.settled([TOPIC]);
  await admin.electPreferred(TOPIC, views.map(({ partition }) => partition));
}

/** The same replicas in another order move no data: they make another one the preferred leader. */
function inFront(id: number, replicas: readonly number[]): number[] {
  return replicas.includes(id) ? [id, ...replicas.filter((replica) => replica !== id)] : [...replicas];
}

/** kill -9 of each node in turn, the next one when all replicas are in sync again. */
async function killInTurn({ cluster, admin, load, facts }: Running): Promise<void> {
  const times: number[] = [];
  await leadEvenly(admin, cluster.brokers.map(({ id }) => id));
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

/** What Apache Kafka's own dump tool says of our nodes' partitions and of their metadata; nothing when all is well. */
async function dumped(cluster: ClusterProcesses): Promise<string[]> {
  const problems: string[] = [];
  if (!cluster.nodes.some(({ kind }) => kind === 'reference')) return problems;
  for (const node of cluster.nodes.filter(({ kind }) => kind === 'ottla')) {
    for (const [names, types, options] of [
      [new RegExp(`^(${TOPIC}|__consumer_offsets)-\\d+$`), /\.(log|index|timeindex)$/, ['--deep-iteration']],
      [/^__cluster_metadata-0$/, /\.(log|checkpoint)$/, ['--cluster-metadata-decoder']],
    ] as const) {
      const dirs = readdirSync(node.dataDir, { withFileTypes: true }).filter((entry) => entry.isDirectory() && names.test(entry.name));
      const files = dirs.flatMap(({ name }) => readdirSync(join(node.dataDir, name)).filter((file) => types.test(file)).map((file) => join(node.dataDir, name, file))).slice(0, DUMP_FILES_MAX);
      if (files.length === 0) continue;
      const { stdout, stderr, status } = await command(join(referenceDir(), 'bin/kafka-dump-log.sh'), [...options, '--files', files.join(',')], { env: SMALL_JVM, anyStatus: true, timeoutMs: DUMP_MS_MAX });
      const bad = `${stdout}\n${stderr}`.split('\n').filter((line) => /isvalid: false|mismatch|Non-consecutive|Found timestamp|Exception|Index timestamp|Could not|out of order/i.test(line));
      if (status !== 0) problems.push(`dump: kafka-dump-log ended with ${status} on node ${node.id}: ${stderr.slice(0, 500)}`);
      problems.push(...bad.slice(0, 5).map((line) => `dump: node ${node.id}: ${line.slice(0, 300)}`));
    }
  }
  return problems;
}
