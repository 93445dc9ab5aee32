/** What the invariants make of replicas whose nodes do not say all that they have. */
import { describe, expect, test } from 'vitest';
import { buildBatch } from '../../protocol/record/build.ts';
import type { Broker } from '../../src/broker.ts';
import type { Send } from './history.ts';
import { Invariants } from './invariants.ts';
import { DATA, SimNode } from './node.ts';
import { SimNetwork } from './network.ts';
import { Process, World } from './world.ts';

const TOPIC = 'alpha';
const BATCH = buildBatch({ records: [{ offset: 0, timestamp: 0, key: null, value: Buffer.from('a'), headers: [] }] });
const SEND: Send = { kind: 'send', client: 'p1', partition: `${TOPIC}-0`, values: ['p1:0'], invokedMs: 0, endedMs: 1, outcome: 'ok', baseOffset: 0 };

/** As far as the invariants look at a leader whose in-sync replicas have the first record. */
function leader(): Broker {
  const log = { highWatermark: 1, writtenEndOffset: 1 };
  const partition = { topic: TOPIC, topicId: 'id', partition: 0, isLeader: true, leaderEpoch: 0, inSyncReplicas: [1, 2], log };
  return { image: () => ({ offset: 0, topics: new Map(), brokers: new Map() }), quorum: {}, replicas: { partitions: () => [partition] } } as unknown as Broker;
}

/** Node 1 leads; node 2 has begun to follow, and does not serve yet; node 3 is down. */
function cluster({ follower }: { follower: Buffer }): { world: World; invariants: Invariants } {
  const world = new World(1);
  const network = new SimNetwork(world);
  const nodes = [1, 2, 3].map((id) => new SimNode(world, network, { id, clusterId: 'c', settings: [] }));
  const invariants = new Invariants(world, nodes);
  [BATCH, follower].forEach((bytes, index) => {
    const { disk } = nodes[index]!;
    const process = new Process(`node ${index + 1}`);
    nodes[index]!.process = process;
    process.run(() => {
      disk.usedBy(process);
      disk.makeDirectory(`${DATA}/${TOPIC}-0`);
      disk.open(`${DATA}/${TOPIC}-0/00000000000000000000.log`, 'create').writeSync([bytes], 0);
    });
  });
  nodes[0]!.broker = leader();
  // The leader's first: what there is to know of a partition begins with one that serves.
  invariants.check();
  return { world, invariants };
}

describe('a send that is acknowledged', () => {
  test('counts a replica whose node does not serve yet, by what its files hold', () => {
    const { world, invariants } = cluster({ follower: BATCH });
    invariants.acknowledged(SEND);
    expect(world.failure).toBeUndefined();
  });

  test.each([['nothing', Buffer.alloc(0)], ['a part of it', BATCH.subarray(0, -1)]])('is told too early where the other replica has %s', (_, follower) => {
    const { world, invariants } = cluster({ follower });
    invariants.acknowledged(SEND);
    expect(world.failure?.message).toBe('invariant: p1:0 was acknowledged at alpha-0 0, which 1 replicas have written; min.insync.replicas is 2');
  });
});
