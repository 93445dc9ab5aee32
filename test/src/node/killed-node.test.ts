/** Nodes as processes, one of them killed: the others go on long before its session (9 s) is over, whoever it was. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ClusterProcesses, combinedNodes } from '../../../bench/cluster-process.ts';
import { ClusterAdmin } from '../../cluster/admin.ts';

const SESSION_MS = 9_000;
const TIMEOUT_MS = 60_000;

let dir: string, cluster: ClusterProcesses, admin: ClusterAdmin;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ottla-killed-'));
  cluster = await ClusterProcesses.start({ nodes: combinedNodes('ottla', 3), dir, settings: ['offsets.topic.num.partitions=1'] });
  admin = new ClusterAdmin(cluster);
  await admin.createTopic({ topic: 't', partitions: 3, assignments: [[1, 2, 3], [2, 3, 1], [3, 1, 2]] });
  await admin.settled(['t']);
}, TIMEOUT_MS);

afterAll(async () => {
  admin?.close();
  await cluster?.killAll();
  await rm(dir, { recursive: true, force: true });
});

test.each(['the controller', 'another'])('the partitions of %s have leaders again, and in-sync replicas without it', async (who) => {
  const { leaderId } = await admin.quorum();
  const victim = cluster.node(who === 'another' ? (leaderId % 3) + 1 : leaderId);
  const killedMs = performance.now();
  await victim.kill();
  for (;;) {
    const views = await admin.partitions('t');
    if (views.every(({ leader, isr }) => leader > 0 && leader !== victim.id && !isr.includes(victim.id))) break;
    if (performance.now() - killedMs > TIMEOUT_MS / 2) throw new Error(`not so after ${TIMEOUT_MS / 2} ms: ${JSON.stringify(views)}`);
  }
  const tookMs = performance.now() - killedMs;
  expect(tookMs).toBeLessThan(SESSION_MS / 2);
  expect(cluster.nodes.map((node) => node.tail(50)).join('\n')).toContain(`broker ${victim.id} is fenced: nothing listens any more at`);
  victim.spawn();
  await cluster.ready([victim]);
  await admin.settled(['t']);
}, TIMEOUT_MS);
