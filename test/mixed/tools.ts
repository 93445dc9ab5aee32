/**
 * What operators do to a cluster by hand, each with the tool of either kind: `ottla quorum` and `ottla reassign`, or Apache Kafka's kafka-metadata-quorum and
 * kafka-reassign-partitions. Promises: a tool that refuses throws what it printed; each has a minute. Does not: look at what came of it in the cluster.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokerKind, SMALL_JVM, ottlaCommand, referenceDir } from '../../bench/broker-process.ts';
import type { ClusterNode } from '../../bench/cluster-process.ts';
import { command } from '../../bench/command.ts';

const TOOL_MS_MAX = 60_000;

/** Where a tool asks: the active controller's own listener, or any broker, which passes on what is the controller's. */
export type Asked = { readonly controller: ClusterNode } | { readonly broker: ClusterNode };

function bootstrap(asked: Asked): readonly string[] {
  return 'controller' in asked
    ? ['--bootstrap-controller', `${asked.controller.host}:${asked.controller.controllerPort}`]
    : ['--bootstrap-server', `${asked.broker.host}:${asked.broker.port}`];
}

/** What it printed. */
async function ottla(...words: readonly string[]): Promise<string> {
  const [program, ...first] = ottlaCommand();
  return (await command(program!, [...first, ...words], { timeoutMs: TOOL_MS_MAX })).stdout;
}

async function kafka(script: string, ...words: readonly string[]): Promise<string> {
  return (await command(join(referenceDir(), 'bin', script), words, { env: SMALL_JVM, timeoutMs: TOOL_MS_MAX })).stdout;
}

/** So many records of a size, all acknowledged, in partition 0. */
export async function produce(topic: string, records: number, recordBytes: number, { broker }: { readonly broker: ClusterNode }): Promise<void> {
  const [program, ...first] = ottlaCommand();
  const lines = Array.from({ length: records }, (_, i) => String(i).padEnd(recordBytes, '.'));
  await command(program!, [...first, 'produce', topic, '--partition', '0', '--bootstrap-server', `${broker.host}:${broker.port}`], { input: `${lines.join('\n')}\n`, timeoutMs: TOOL_MS_MAX });
}

/** The node is running and formatted; its settings file and its directory say who it is. */
export async function addController(by: BrokerKind, node: ClusterNode, asked: Asked): Promise<void> {
  if (by === 'ottla') await ottla('quorum', 'add-controller', '--config', node.config, ...bootstrap(asked));
  else await kafka('kafka-metadata-quorum.sh', ...bootstrap(asked), '--command-config', node.config, 'add-controller');
}

export async function removeController(by: BrokerKind, node: { readonly id: number; readonly directoryId: string }, asked: Asked): Promise<void> {
  const words = ['remove-controller', '--controller-id', String(node.id), '--controller-directory-id', node.directoryId];
  if (by === 'ottla') await ottla('quorum', ...words, ...bootstrap(asked));
  else await kafka('kafka-metadata-quorum.sh', ...bootstrap(asked), ...words);
}

export interface VoterRow {
  readonly id: number;
  readonly directoryId: string;
}

/** The voters, as a tool's description of the quorum has them. */
export async function votersBy(by: BrokerKind, asked: Asked): Promise<VoterRow[]> {
  if (by === 'ottla') {
    const { nodes } = JSON.parse(await ottla('quorum', '--json', ...bootstrap(asked))) as { nodes: (VoterRow & { role: string })[] };
    return nodes.filter(({ role }) => role !== 'observer').map(({ id, directoryId }) => ({ id, directoryId }));
  }
  const text = await kafka('kafka-metadata-quorum.sh', ...bootstrap(asked), 'describe', '--status');
  const found = /^CurrentVoters:\s*(\[.*\])$/m.exec(text);
  if (found === null) throw new Error(`kafka-metadata-quorum describe --status prints no CurrentVoters:\n${text}`);
  return JSON.parse(found[1]!) as VoterRow[];
}

export interface Move {
  readonly topic: string;
  readonly partition: number;
  readonly replicas: readonly number[];
}

/** Moves under a throttle of so many bytes a second; resolves when all is moved and the throttles are gone. */
export async function throttledMove(by: BrokerKind, moves: readonly Move[], throttle: number, asked: { readonly broker: ClusterNode }, dir: string): Promise<void> {
  const plan = join(dir, 'plan.json');
  writeFileSync(plan, JSON.stringify({ version: 1, partitions: moves }));
  if (by === 'ottla') {
    await ottla('reassign', 'execute', '--plan', plan, '--throttle', String(throttle), '--wait', ...bootstrap(asked));
    return;
  }
  await kafka('kafka-reassign-partitions.sh', ...bootstrap(asked), '--reassignment-json-file', plan, '--execute', '--throttle', String(throttle));
  let said = '';
  for (const sinceMs = performance.now(); performance.now() - sinceMs < TOOL_MS_MAX;) {
    said = await kafka('kafka-reassign-partitions.sh', ...bootstrap(asked), '--reassignment-json-file', plan, '--verify');
    if (!said.includes('still in progress') && said.includes('is completed')) return;
  }
  throw new Error(`kafka-reassign-partitions --verify does not see the end after ${TOOL_MS_MAX} ms:\n${said}`);
}
