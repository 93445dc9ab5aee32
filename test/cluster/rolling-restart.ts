/**
 * Rolling restart: each node in turn is asked to stop (SIGTERM), and starts again when it has, with clients running.
 * Promises: a controlled shutdown moves leadership before it stops serving, so clients wait for less than a session; the times are measured.
 */
import { TOPIC } from '../crash/writers.ts';
import { type Outcome, type ScenarioContext, withCluster } from './scenario.ts';
import { describeTimes } from './times.ts';

export function rollingRestart(context: ScenarioContext): Promise<Outcome> {
  return withCluster(context, {}, async ({ cluster, admin, load, random, violations, facts }) => {
    const stops: number[] = [],
      starts: number[] = [],
      gaps: number[] = [];
    for (let round = 1; round <= context.rounds && performance.now() < context.deadlineMs; round++) {
      for (const node of cluster.nodes) {
        await load.more(1 + random.below(300));
        const beganMs = performance.now();
        let stopped = false;
        const gap = longestGap(load, () => stopped);
        const end = await node.stop();
        stops.push(performance.now() - beganMs);
        if (end !== 0 && !(end === 143 && node.kind === 'reference')) violations.push(`stop: node ${node.id} ended with ${String(end)}: ${node.tail(5)}`);
        const left = (await admin.partitions(TOPIC)).filter(({ leader }) => leader === node.id);
        if (left.length > 0) violations.push(`controlled shutdown: node ${node.id} has stopped and still leads ${left.map(({ partition }) => partition).join(', ')}`);
        await load.writing(performance.now());
        stopped = true;
        gaps.push(await gap);
        const startMs = performance.now();
        node.spawn();
        await cluster.ready([node]);
        starts.push(performance.now() - startMs);
        await admin.settled([TOPIC, '__consumer_offsets'], context.stallMsMax);
      }
    }
    facts.push(describeTimes('from SIGTERM to the end', stops), describeTimes('longest time without any acknowledgement', gaps), describeTimes('from start to answering', starts));
  });
}

/** The longest time in which the load moved nowhere, until `done`. */
async function longestGap(load: { readonly acknowledged: number }, done: () => boolean): Promise<number> {
  let longest = 0;
  for (let [last, sinceMs] = [load.acknowledged, performance.now()]; !done();) {
    await new Promise((next) => setTimeout(next, 2));
    if (load.acknowledged !== last) [last, sinceMs] = [load.acknowledged, performance.now()];
    longest = Math.max(longest, performance.now() - sinceMs);
  }
  return longest;
}
