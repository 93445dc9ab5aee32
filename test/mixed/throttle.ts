/**
 * Moves between the kinds under a throttle: by the tool of either kind, and held by one side alone.
 * Promises: a move of known size takes at least as long as the throttle says and no longer than it must, and in the end the data is all there, batches whole. Does not: measure how even the flow is.
 */
import type { BrokerKind } from '../../bench/broker-process.ts';
import type { ClusterNode, ClusterProcesses } from '../../bench/cluster-process.ts';
import { type Outcome, type Running, type ScenarioContext, withCluster } from '../cluster/scenario.ts';
import { sleep } from '../cluster/admin.ts';
import { judged } from './mixed.ts';
import { compareReplicas } from '../cluster/replicas.ts';
import { produce, throttledMove } from './tools.ts';

const BULK = 'bulk';
const RECORD_BYTES = 100_000;
const RECORDS = 80;
const BYTES_PER_SECOND = 1_000_000;
/** What passes before a throttle takes hold: two windows of a second are open at once, and a fetch that has begun is not stopped, which takes replica.fetch.max.bytes (1 MiB). */
const FREE_BYTES = 3_500_000;
/** A quota of Kafka's lets through what was not used in its windows, which are 11 s long by default. */
const SHORT_WINDOW = 'replication.quota.window.num=2';
const LATE_FACTOR = 5;
const MOVED_MS_MAX = 60_000;
const ASK_AGAIN_MS = 25;

export function throttledMoves(context: ScenarioContext, { ours, theirs, controller }: { readonly ours: BrokerKind; readonly theirs: BrokerKind; readonly controller: BrokerKind }): Promise<Outcome> {
  const nodes = [
    { id: 101, kind: controller, roles: ['controller'] as const },
    { id: 1, kind: ours, roles: ['broker'] as const },
    { id: 2, kind: theirs, roles: ['broker'] as const },
  ];
  // Whoever copied last has it all; what is judged after the end.
  const whole = (cluster: ClusterProcesses) => {
    const { problems, records } = compareReplicas(cluster.nodes, [{ topic: BULK, partition: 0, leader: 1, leaderEpoch: 0, replicas: [1], isr: [1] }]);
    const count = records.get(`${BULK}-0`)?.length ?? 0;
    return [...problems, ...(count === RECORDS ? [] : [`moves: of ${RECORDS} records ${count} are there`])];
  };
  return judged((ended) => withCluster(context, { nodes, settings: [SHORT_WINDOW], topicConfigs: { 'min.insync.replicas': '1' }, ended }, async (running) => {
    const { cluster, admin } = running;
    const one = cluster.node(1),
      two = cluster.node(2);
    await admin.createTopic({ topic: BULK, partitions: 1, assignments: [[1]] });
    await admin.settled([BULK]);
    await produce(BULK, RECORDS, RECORD_BYTES, { broker: one });
    await moved(running, 'without a throttle', two, null, () => admin.reassign(BULK, new Map([[0, [2]]])));
    for (const tool of new Set([ours, theirs]))
      for (const to of [one, two])
        await moved(running, `by the tool of ${tool}`, to, BYTES_PER_SECOND, () => throttledMove(tool, [{ topic: BULK, partition: 0, replicas: [to.id] }], BYTES_PER_SECOND, { broker: one }, context.dir));
    // One side alone holds it back: each kind as who sends, and as who copies.
    for (const side of ['leader', 'follower'] as const) {
      for (const to of [one, two]) {
        const from = to === one ? two : one;
        const held = side === 'leader' ? from : to;
        await admin.setConfig({ broker: held.id }, `${side}.replication.throttled.rate`, String(BYTES_PER_SECOND));
        await admin.setConfig({ topic: BULK }, `${side}.replication.throttled.replicas`, '*');
        await moved(running, `held by its ${side} (${held.kind})`, to, BYTES_PER_SECOND, () => admin.reassign(BULK, new Map([[0, [to.id]]])));
        await admin.setConfig({ broker: held.id }, `${side}.replication.throttled.rate`, null);
        await admin.setConfig({ topic: BULK }, `${side}.replication.throttled.replicas`, null);
      }
    }
    // Where `whole` looks for it.
    await moved(running, 'in the end', one, null, () => admin.reassign(BULK, new Map([[0, [1]]])));
  }), whole);
}

/** Does the move and judges its time against the throttle, null where there is none: from when the move is seen under way, for tools take their time before. */
async function moved({ admin, load, violations, facts }: Running, how: string, to: ClusterNode, bytesPerSecond: number | null, move: () => Promise<void>): Promise<void> {
  const beganMs = performance.now();
  let isMoved = false,
    seenMs: number | null = null,
    doneMs = beganMs;
  const moving = move().finally(() => (isMoved = true));
  moving.catch(() => {}); // awaited below
  for (; ; await sleep(ASK_AGAIN_MS)) {
    if ((await admin.reassignmentsLeft()) > 0) seenMs ??= performance.now();
    else {
      const [view] = await admin.partitions(BULK);
      doneMs = performance.now();
      if (view!.replicas.join() === String(to.id) && view!.leader === to.id) break;
      if (doneMs - beganMs > MOVED_MS_MAX) throw new Error(`${BULK} is on ${view!.replicas.join()} and led by ${view!.leader} after ${MOVED_MS_MAX} ms; it should be on ${to.id}: ${how}`);
      // What the tool refuses it says at once.
      if (isMoved) await moving;
    }
  }
  await moving;
  const seconds = (doneMs - (seenMs ?? beganMs)) / 1000;
  const bytes = RECORDS * RECORD_BYTES;
  facts.push(`${(bytes / 1e6).toFixed(0)} MB moved to ${to.kind} ${how}: ${seconds.toFixed(1)} s`);
  if (bytesPerSecond !== null) {
    const [least, most] = [(bytes - FREE_BYTES) / bytesPerSecond, (LATE_FACTOR * bytes) / bytesPerSecond];
    if (seenMs === null || seconds < least) violations.push(`throttle: ${bytes} bytes to ${to.kind} ${how} took ${seconds.toFixed(1)} s, and at ${bytesPerSecond} a second they take ${least.toFixed(1)} s at least`);
    if (seconds > most) violations.push(`throttle: ${bytes} bytes to ${to.kind} ${how} took ${seconds.toFixed(1)} s, and ${most.toFixed(1)} s are more than enough`);
  }
  await load.writing(performance.now());
}
