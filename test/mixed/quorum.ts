/**
 * The active controller of a cluster of both kinds: killed, with the times that an election took, or paused until one of a wanted kind follows.
 * Promises: each election is seen by a broker, with a leader that is not the one that was killed. Does not: choose who is elected; that is the voters' affair.
 */
import type { BrokerKind } from '../../bench/broker-process.ts';
import type { ClusterNode } from '../../bench/cluster-process.ts';
import { sleep } from '../cluster/admin.ts';
import type { Running } from '../cluster/scenario.ts';
import { TOPIC } from '../crash/writers.ts';
import { describeTimes } from '../cluster/times.ts';

/** How often the active controller is made to go until one of the wanted kind follows. */
const ELECTIONS_MAX = 16;
const ELECTED_MS_MAX = 60_000;
const ASK_AGAIN_MS = 25;

/** Times from a kill to the next active controller, by who was killed and who was left to vote. */
export class Elections {
  readonly #timesMs = new Map<string, number[]>();

  took(killed: ClusterNode, left: readonly ClusterNode[], tookMs: number): void {
    const name = `${killed.kind} killed, ${left.map(({ kind }) => kind).sort().join(' and ')} left`;
    const times = this.#timesMs.get(name) ?? [];
    this.#timesMs.set(name, times);
    times.push(tookMs);
  }

  facts(): string[] {
    return [...this.#timesMs].map(([name, times]) => describeTimes(`next active controller, ${name}`, times));
  }
}

/** Waits for an active controller that is not `instead`. */
export async function newLeader({ admin, cluster }: Pick<Running, 'admin' | 'cluster'>, instead?: ClusterNode): Promise<ClusterNode> {
  for (const sinceMs = performance.now(); performance.now() - sinceMs < ELECTED_MS_MAX; await sleep(ASK_AGAIN_MS)) {
    const { leaderId } = await admin.quorum();
    if (leaderId !== instead?.id) return cluster.node(leaderId);
  }
  throw new Error(`no active controller but ${instead?.id ?? 'none'} in ${ELECTED_MS_MAX} ms`);
}

/** Kills the active controller and starts it again once another one has followed. `voters` are the ids of those that may. */
export async function killLeader(running: Running, elections: Elections, voters: readonly number[]): Promise<void> {
  const { cluster, admin, load } = running;
  const active = await newLeader(running);
  const killedMs = performance.now();
  await active.kill();
  await newLeader(running, active);
  elections.took(active, cluster.nodes.filter(({ id }) => voters.includes(id) && id !== active.id), performance.now() - killedMs);
  active.spawn();
  if (active.isBroker) await cluster.ready([active]);
  await admin.settled([TOPIC, '__consumer_offsets']);
  await load.writing(performance.now());
}

/** Until one of a kind is active; false, and said, when that does not come. Who is not of the kind sleeps until another one leads, which is quicker done than kill and start. */
export async function makeLead(running: Running, kind: BrokerKind): Promise<boolean> {
  const { admin, load } = running;
  for (let election = 0; election < ELECTIONS_MAX; election++) {
    const active = await newLeader(running);
    if (active.kind === kind) return true;
    active.pause();
    try {
      await newLeader(running, active);
    } finally {
      active.resume();
    }
    await admin.settled([TOPIC, '__consumer_offsets']);
    await load.writing(performance.now());
  }
  running.violations.push(`quorum: none of kind ${kind} was active in ${ELECTIONS_MAX} elections`);
  return false;
}

/** Each kind among the voters is active once, and is killed. */
export async function electEitherKind(running: Running, voters: readonly number[] = running.cluster.nodes.filter(({ isController }) => isController).map(({ id }) => id)): Promise<void> {
  if (voters.length < 2) return;
  const elections = new Elections();
  const kinds = new Set(voters.map((id) => running.cluster.node(id).kind));
  for (const kind of kinds) {
    // Its death is measured, too.
    if (await makeLead(running, kind)) await killLeader(running, elections, voters);
  }
  running.facts.push(...elections.facts());
}
