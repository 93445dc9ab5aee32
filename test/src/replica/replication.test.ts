/** Three brokers' replicas: what a leader appends comes to its followers, is committed when they have it, and survives a change of leaders. */
import { describe, expect, test } from 'vitest';
import { ClusterWorld } from './cluster-world.ts';

describe('replication', () => {
  test('followers hold what the leader has, and it is committed when all in sync have it', async () => {
    const world = new ClusterWorld();
    const [one, two, three] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0 });
    await world.settle();
    one.produce('a', 'b', 'c');
    expect(await world.settle()).toEqual(['a: 0', 'b: 0', 'c: 0']);
    for (const broker of [one, two, three]) expect(await broker.contents()).toEqual(['0:a', '1:b', '2:c']);
    expect(one.partition().log.highWatermark).toBe(3);
    // The watermark comes to the followers with the next answer, which waits for data or time.
    await world.after(500);
    expect([two, three].map((broker) => broker.partition().log.highWatermark)).toEqual([3, 3]);
    await world.stop();
  });
});
