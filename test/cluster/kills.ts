/**
 * kill -9 of a partition's leader, of a follower, of the active controller, of all nodes at once, again and again under load.
 * Promises: each kill comes after new acknowledgements; how long the killed node's partitions took no record is measured where the cluster was whole before.
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
    const times: Record<'leader' | 'controller', number[]> = { leader: [], controller: [] };
    const counts = new Map<Victim, number>();
    let whole = true;
    for (let round = 1; round <= context.rounds && performance.now() < context.deadlineMs; round++) {
      const { load, random, cluster, admin } = running;
      await load.more(1 + random.below(ACKNOWLEDGEMENTS_MAX));
      const kind = VICTIMS[random.below(VICTIMS.length)]!;
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      const { victims, affected } = await choose(running, kind);
      const killedMs = performance.now();
      await Promise.all(victims.map((node) => node.kill()));
      if (kind !== 'all' && whole) {
        // A follower's death is noticed by nobody who writes; a leader's by those who write to it.
        const tookMs = await load.writing(killedMs, affected);
        if (kind !== 'follower' && affected.length > 0) times[kind].push(tookMs);
        if (tookMs > FAILOVER_MS_MAX && context.kind === 'ottla') running.violations.push(`failover: round ${round}: ${tookMs.toFixed(0)} ms without writing after the ${kind} (node ${victims.map(({ id }) => id).join()}) was killed`);
      }
      await sleep(random.below(DOWN_MS_MAX));
      for (const node of victims) node.spawn();
      await cluster.ready(victims);
      whole = random.below(1_000) >= HASTY_SHARE || round === context.rounds;
      if (whole) await admin.settled([TOPIC], context.stallMsMax);
      if (round % 10 === 0) context.say(`${round} kills, ${load.acknowledged} records acknowledged; ${describeTimes('leader killed', times.leader)}`);
      if (running.load.violations.length + running.violations.length > 20) break;
    }
    running.facts.push([...counts].map(([kind, count]) => `${kind} ${count}`).join(', ') + ' times killed');
    for (const [kind, timesMs] of Object.entries(times)) running.facts.push(describeTimes(`writing again after the ${kind} was killed`, timesMs));
    const all = [...times.leader, ...times.controller];
    running.facts.push(describeTimes('writing again after either', all));
    // A median of a few says nothing.
    if (context.kind === 'ottla' && all.length >= FEW && median(all) > FAILOVER_MEDIAN_MS_MAX) running.violations.push(`failover: ${describeTimes('writing again', all)}, should be ${FAILOVER_MEDIAN_MS_MAX} ms`);
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
