/**
 * Directories change hands while the cluster runs: a node is stopped or killed under load, and the other kind is started on its directory, with its settings file.
 * Promises: each node's directory is taken over cleanly and after a kill -9, in both directions; it catches up and clients lose nothing.
 */
import type { BrokerKind } from '../../bench/broker-process.ts';
import { type Outcome, type ScenarioContext, withCluster } from '../cluster/scenario.ts';
import { describeTimes } from '../cluster/times.ts';
import { TOPIC } from '../crash/writers.ts';
import { judged } from './mixed.ts';

export function directoriesChangeHands(context: ScenarioContext, { ours, theirs }: { readonly ours: BrokerKind; readonly theirs: BrokerKind }): Promise<Outcome> {
  // Also at first nobody has the directory that its own kind has formatted.
  const nodes = [ours, theirs, ours].map((kind, i) => ({ id: i + 1, kind, roles: ['broker', 'controller'] as const, formattedBy: kind === ours ? theirs : ours }));
  return judged((ended) => withCluster(context, { nodes, topicConfigs: { 'min.insync.replicas': '1' }, ended }, async ({ cluster, admin, load, facts, violations }) => {
    const times: number[] = [];
    for (let round = 1; round <= context.rounds; round++) {
      for (const how of ['stop', 'kill'] as const) {
        for (const node of cluster.nodes) {
          const stoppedMs = performance.now();
          if (how === 'kill') await node.kill();
          else {
            const end = await node.stop();
            if (end !== 0 && !(end === 143 && node.kind === 'reference')) violations.push(`stop: node ${node.id} (${node.kind}) ended with ${String(end)}: ${node.tail(5)}`);
          }
          await load.writing(performance.now());
          node.becomes(node.kind === ours ? theirs : ours);
          node.spawn();
          await cluster.ready([node]);
          await admin.settled([TOPIC, '__consumer_offsets'], context.stallMsMax);
          times.push(performance.now() - stoppedMs);
        }
        context.say(`round ${round}: every node was ${how === 'kill' ? 'killed' : 'stopped'} and taken over by the other kind, ${load.acknowledged} records acknowledged`);
      }
    }
    facts.push(describeTimes('from the end of a node until the other kind was in sync on its directory', times));
  }));
}
