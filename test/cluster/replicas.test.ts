/** The comparison of replicas, tried on directories with one fault each: what finds nothing must have been able to. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildBatch } from '../../protocol/record/build.ts';
import { type FilesOfNode, compareMetadata, compareReplicas } from './replicas.ts';

let dir: string, nodes: FilesOfNode[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ottla-replicas-'));
  nodes = [1, 2, 3].map((id) => ({ id, kind: id === 2 ? 'reference' : 'ottla', dataDir: join(dir, String(id)) }));
});
afterEach(() => rm(dir, { recursive: true }));

function batch(offset: number, value: string): Buffer {
  return buildBatch({ baseOffset: offset, records: [{ timestamp: 1, value: Buffer.from(value) }] });
}

const three = [batch(0, 'first'), batch(5, 'second'), batch(7, 'third')];

/** Segments by their first offset. */
async function replica(node: FilesOfNode, segments: Readonly<Record<number, readonly Buffer[]>>, name = 't-0'): Promise<void> {
  await mkdir(join(node.dataDir, name), { recursive: true });
  for (const [start, batches] of Object.entries(segments)) await writeFile(join(node.dataDir, name, `${start.padStart(20, '0')}.log`), Buffer.concat(batches));
}

const view = { topic: 't', partition: 0, leader: 1, leaderEpoch: 3, replicas: [1, 2, 3], isr: [1, 2, 3] };
const found = () => compareReplicas(nodes, [view]).problems;

describe('a partition', () => {
  test('the same, in other segments and from another start', async () => {
    await replica(nodes[0]!, { 0: three });
    await replica(nodes[1]!, { 0: [three[0]!], 5: three.slice(1) });
    await replica(nodes[2]!, { 5: three.slice(1) });
    const producer = { id: -1, epoch: -1 };
    const records = new Map([['t-0', [{ offset: 5, value: 'second', producer }, { offset: 7, value: 'third', producer }]]]);
    expect(compareReplicas(nodes, [view])).toEqual({ bytes: Buffer.concat(three.slice(1)).length, problems: [], records });
  });

  test('one byte', async () => {
    for (const node of nodes) await replica(node, { 0: node.id === 2 ? [three[0]!, batch(5, 'sEcond'), three[2]!] : three });
    expect(found()).toEqual([expect.stringMatching(/t-0 differs between node 1 .* and node 2 \(reference.* after offset 5/)]);
  });

  test('a batch at the end', async () => {
    for (const node of nodes) await replica(node, { 0: node.id === 3 ? three.slice(0, 2) : three });
    expect(found()).toEqual([expect.stringContaining('differs between node 1')]);
  });

  test('the same damage everywhere', async () => {
    const damaged = batch(5, 'second');
    damaged[damaged.length - 2]! ^= 1;
    for (const node of nodes) await replica(node, { 0: [three[0]!, damaged, three[2]!.subarray(0, 20)] });
    expect(found()).toEqual([expect.stringContaining('t-0 has a batch with a wrong checksum at byte'), expect.stringMatching(/t-0 ends with 20 bytes that are no batch/)]);
  });

  test('a replica that is not there', async () => {
    for (const node of nodes.slice(0, 2)) await replica(node, { 0: three });
    expect(found()).toEqual(['replicas: t-0 should be on 1,2,3, and is on 1,2 (in sync: 1,2,3)']);
  });
});

describe('the metadata log', () => {
  const log = (node: FilesOfNode, batches: readonly Buffer[]) => replica(node, { 0: batches }, '__cluster_metadata-0');

  test('ends where each node was when it stopped', async () => {
    for (const node of nodes) await log(node, three.slice(0, node.id));
    expect(compareMetadata(nodes)).toEqual([]);
  });

  test('another record at the same offset', async () => {
    for (const node of nodes) await log(node, node.id === 3 ? [three[0]!, batch(5, 'other!')] : three);
    expect(compareMetadata(nodes)).toEqual(['metadata: node 1 (ottla) and node 3 (ottla) differ in the batch at offset 5']);
  });

  test('nothing in common', async () => {
    for (const node of nodes) await log(node, node.id === 3 ? [batch(1, 'x')] : three);
    expect(compareMetadata(nodes)).toEqual(['metadata: node 1 and node 3 have no batch in common']);
  });
});
