/** A replica whose bytes have rotted: while others have them it is not read, ends its node, and comes back as one that has to ask for them. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { Fetch } from '../../../protocol/messages/fetch.ts';
import type { MemoryDisk } from '../../../storage/memory-disk.ts';
import { ClusterWorld, TOPIC, TOPIC_ID } from './cluster-world.ts';
import type { TestBroker } from './cluster-world.ts';

const FILE = `/data/${TOPIC}-0/00000000000000000000.log`;

function edit(disk: MemoryDisk, change: (bytes: Buffer) => Buffer): void {
  const bytes = change(disk.readFile(FILE));
  const file = disk.open(FILE, 'replace');
  file.writeSync([bytes], 0);
  file.close();
}

/** Three replicas of `a`, `b` and `c`, of which the first one has stopped in order. */
async function stopped({ isr }: { isr: readonly number[] }): Promise<{ world: ClusterWorld; disk: MemoryDisk }> {
  const world = new ClusterWorld();
  const [one, two] = world.startAll();
  world.create({ leader: 1, leaderEpoch: 0 });
  await world.settle();
  one.produce('a', 'b', 'c');
  await world.settle();
  await world.after(500);
  await one.stop();
  world.brokers.delete(1);
  world.change({ leader: 2, isr }, [2, 3]);
  expect(await two.contents()).toEqual(['0:a', '1:b', '2:c']);
  return { world, disk: one.disk };
}

const rotten = (bytes: Buffer): Buffer => {
  bytes[bytes.length / 3 + 65]! ^= 1;
  return bytes;
};

const readAt = (broker: TestBroker, fetchOffset: number) => broker.request(Fetch, 12, {
  maxWaitMs: 0, minBytes: 1, maxBytes: 10_000, forgottenTopicsData: [], topics: [{ topic: TOPIC, topicId: TOPIC_ID, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 10_000 }] }],
}).then((answer) => answer.responses[0]!.partitions[0]!);

describe('a replica that has rotted', () => {
  test('is not read as a leader, and has its node end', async () => {
    const { world, disk } = await stopped({ isr: [2, 3] });
    edit(disk, rotten);
    const one = world.start(1, disk);
    world.change({ isr: [1, 2, 3] });
    await world.settle();
    world.change({ leader: 1 });
    await world.settle();
    const answer = await readAt(one, 1);
    expect([answer.errorCode, answer.records?.length ?? 0]).toEqual([ErrorCode.KAFKA_STORAGE_ERROR, 0]);
    await world.settle();
    expect(one.damaged.map(String)).toEqual([`DamageError: ${TOPIC}-0 is damaged at offset 1; a restart takes it from the other replicas`]);
    // As one that has crashed it is out of the in-sync replicas; then it has the rest from the others.
    one.kill();
    world.brokers.delete(1);
    world.change({ leader: 2, isr: [2, 3] });
    const again = world.start(1, disk);
    expect(again.partition().log.logEndOffset).toBe(1);
    await world.after(1000);
    expect(await again.contents()).toEqual(['0:a', '1:b', '2:c']);
    await world.stop();
  });

  test('is read where nobody else is in sync: whoever reads it finds out', async () => {
    const { world, disk } = await stopped({ isr: [2, 3] });
    edit(disk, rotten);
    for (const id of [2, 3]) world.cut.add(`${id} > 1`);
    const one = world.start(1, disk);
    world.change({ leader: 1, isr: [1] });
    await world.settle();
    expect((await readAt(one, 1)).errorCode).toBe(ErrorCode.NONE);
    expect([one.damaged, one.lines.filter((line) => line.includes('is not what was written')).length]).toEqual([[], 1]);
    await world.stop();
  });
});

test('a node that stopped in order with more than it has now does not come back as one that has all', async () => {
  const { world, disk } = await stopped({ isr: [1, 2] });
  edit(disk, (bytes) => bytes.subarray(0, (bytes.length / 3) * 2));
  expect(() => world.start(1, disk)).toThrow(`${TOPIC}-0 is damaged at offset 2; a restart takes it from the other replicas`);
  world.broker(1).kill();
  world.brokers.delete(1);
  // The mark is gone with the first start: the controller takes it for one that has crashed.
  world.change({ isr: [2] });
  const again = world.start(1, disk);
  await world.after(1000);
  expect(await again.contents()).toEqual(['0:a', '1:b', '2:c']);
  await world.stop();
});
