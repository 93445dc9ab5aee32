/**
 * SIGSTOP for 1 to 20 s, of any node: longer than its session, so that it wakes up as a leader that nobody follows any more.
 * Promises: writing goes on while it sleeps; what it answers after it woke up counts like every other answer.
 */
import { TOPIC } from '../crash/writers.ts';
import { sleep } from './admin.ts';
import { type Outcome, type ScenarioContext, withCluster } from './scenario.ts';
import { describeTimes } from './times.ts';

const PAUSE_MS_MIN = 1_000;
const PAUSE_MS_MAX = 20_000;
/** A quick run has no time for long ones. */
const FEW_ROUNDS = 5;
const SHORT_PAUSE_MS_MAX = 6_000;

export function pauses(context: ScenarioContext): Promise<Outcome> {
  return withCluster(context, {}, async ({ cluster, admin, load, random, facts }) => {
    const times: number[] = [];
    for (let round = 1; round <= context.rounds && performance.now() < context.deadlineMs; round++) {
      await load.more(1 + random.below(500));
      // The active controller every other time: its pause stops both the metadata and the partitions that it leads.
      const node = round % 2 ? cluster.node((await admin.quorum()).leaderId) : cluster.brokers[random.below(cluster.brokers.length)]!;
      const affected = (await admin.partitions(TOPIC)).filter(({ leader }) => leader === node.id).map(({ partition }) => partition);
      const pauseMs = PAUSE_MS_MIN + random.below((context.rounds <= FEW_ROUNDS ? SHORT_PAUSE_MS_MAX : PAUSE_MS_MAX) - PAUSE_MS_MIN);
      const pausedMs = performance.now();
      node.pause();
      // Another leader may come or the node may wake up first; both are writing again.
      const writing = load.writing(pausedMs, affected).then((tookMs) => {
        if (affected.length > 0 && tookMs < pauseMs) times.push(tookMs);
      });
      await sleep(pauseMs);
      node.resume();
      await writing;
      await load.writing(performance.now());
      await admin.settled([TOPIC], context.stallMsMax);
      context.say(`node ${node.id} paused for ${pauseMs} ms, ${load.acknowledged} records acknowledged`);
    }
    facts.push(describeTimes('writing again before the paused leader woke up', times));
  });
}
