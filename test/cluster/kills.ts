/**
 * kill -9 of a partition's leader, of a follower, of the active controller, of all nodes at once, again and again under load.
 * Promises: each kill comes after new acknowledgements. The time of a failover is measured where the cluster was whole before: from just before the signal is sent until each partition,
 * whoever led it, has acknowledged a record to somebody, and until each client has had an acknowledgement from a partition that the killed node led. Any death stops all partitions: the
 * dead one counts as in sync until the controller says otherwise. After the death of all it is measured from the moment when their processes are started again.
 * Does not: show anything about power loss: the operating system keeps what a killed process has written.
 */
import type { ClusterNode } from '../../bench/cluster-process.ts';
import { TOPIC } from '../crash/writers.ts';
import { sleep } from './admin.ts';
import { type Outcome, type Running, type ScenarioContext, withCluster } from './scenario.ts';
import { FAILOVER_MEDIAN_MS_MAX, FAILOVER_MS_MAX, describeTimes } from './times.ts';
import { median } from '../../bench/report.ts';

type Victim = 'leader' | 'follower' | 'controller' | 'all';
/** Of ten kills, in the order of a seed. */
const VICTIMS: readonly Victim[] = ['leader', 'leader', 'leader', 'leader', 'controller', 'controller', 'controller', 'follower', 'follower', 'all'];
const ACKNOWLEDGEMENTS_MAX = 500;
/** Of a thousand rounds: those in which the next kill does not wait until all replicas are in sync again. */
const HASTY_SHARE = 200;
const DOWN_MS_MAX = 1_500;
const FEW = 20;

export function kills(context: ScenarioContext): Promise<Outcome> {
  return withCluster(context, {}, async (running) => {
    const times: Record<Victim, number[]> = { leader: [], controller: [], follower: [], all: [] };
    /** Of those that led something. */
    const leading: number[] = [];
    const byClient = new Map<string, number[]>();
    const counts = new Map<Victim, number>();
    let whole = true;
    for (let round = 1; round <= context.rounds && performance.now() < context.deadlineMs; round++) {
      const { load, random, cluster, admin } = running;
      await load.more(1 + random.below(ACKNOWLEDGEMENTS_MAX));
      const kind = VICTIMS[random.below(VICTIMS.length)]!;
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      const { victims, affected } = await choose(running, kind);
      const who = `the ${kind} (node ${victims.map(({ id }) => id).join()})`;
      const took = (ms: number, until: string): void => {
        if (ms > FAILOVER_MS_MAX && context.kind === 'ottla') running.violations.push(`failover: round ${round}: ${ms.toFixed(0)} ms until ${until} after ${who} was killed`);
      };
      const killedMs = performance.now();
      await Promise.all(victims.map((node) => node.kill()));
      if (kind !== 'all' && whole) {
        const [tookMs, { byWriter }] = await Promise.all([load.writing(killedMs), load.resumed(killedMs, affected)]);
        times[kind].push(tookMs);
        if (affected.length > 0) leading.push(tookMs);
        took(tookMs, 'all partitions were written to');
        for (const [writer, ms] of byWriter) {
          byClient.set(writer, [...(byClient.get(writer) ?? []), ms]);
          took(ms, `${writer} wrote to what it led`);
        }
        context.say(`round ${round}: ${who}: ${tookMs.toFixed(0)} ms; ${[...byWriter].map(([writer, ms]) => `${writer} ${ms.toFixed(0)}`).join(', ')}`);
      }
      await sleep(random.below(DOWN_MS_MAX));
      const startedMs = performance.now();
      for (const node of victims) node.spawn();
      await cluster.ready(victims);
      if (kind === 'all') {
        const tookMs = await load.writing(startedMs);
        times.all.push(tookMs);
        took(tookMs, 'all partitions were written to, from the new start on,');
      }
      whole = random.below(1_000) >= HASTY_SHARE || round === context.rounds;
      if (whole) await admin.settled([TOPIC], context.stallMsMax);
      if (round % 10 === 0) context.say(`${round} kills, ${load.acknowledged} records acknowledged`);
      if (running.load.violations.length + running.violations.length > 20) break;
    }
    running.facts.push([...counts].map(([kind, count]) => `${kind} ${count}`).join(', ') + ' times killed');
    const { all, ...single } = times;
    for (const [kind, timesMs] of Object.entries(single)) running.facts.push(describeTimes(`all partitions written to after the ${kind} was killed`, timesMs));
    running.facts.push(describeTimes('the same after all were killed, from their new start on', all));
    for (const [writer, timesMs] of byClient) running.facts.push(describeTimes(`${writer} writing again to what the killed node led`, timesMs));
    const failovers = describeTimes('all partitions written to after any that led some was killed', leading);
    running.facts.push(failovers);
    // A median of a few says nothing.
    if (context.kind === 'ottla' && leading.length >= FEW && median(leading) > FAILOVER_MEDIAN_MS_MAX) running.violations.push(`failover: ${failovers}, should be ${FAILOVER_MEDIAN_MS_MAX} ms`);
  });
}

/** Who is killed, and which partitions it leads. */
async function choose({ cluster, admin, random }: Running, kind: Victim): Promise<{ victims: readonly ClusterNode[]; affected: readonly number[] }> {
  if (kind === 'all') return { victims: cluster.nodes.filter((node) => node.isRunning), affected: [] };
  const views = await admin.partitions(TOPIC);
  const led = (id: number) => views.filter(({ leader }) => leader === id).map(({ partition }) => partition);
  const some = views[random.below(views.length)]!;
  let id: number;
  if (kind === 'controller') id = (await admin.quorum()).leaderId;
  else if (kind === 'leader') id = some.leader;
  else id = some.replicas.find((replica) => replica !== some.leader)!;
  return { victims: [cluster.node(id)], affected: led(id) };
}
