/** Consumers that read from replicas near them (KIP-392), and what followers tell their own readers; the throttles of replication. */
import { describe, expect, test } from 'vitest';
import { Fetch } from '../../../protocol/messages/fetch.ts';
import { newRecord } from '../../../src/quorum/records.ts';
import { readReplica } from '../../../src/replica/read-replica.ts';
import { LEADER_SELECTOR, RACK_AWARE_SELECTOR } from '../../../src/settings/replica.ts';
import { Settings } from '../../../src/settings.ts';
import { isThrottledReplica, ReplicationQuota } from '../../../src/replica/replication-quota.ts';
import { ResourceType } from '../../../src/quorum/image.ts';
import { testBatch } from '../../storage/log-fixture.ts';
import { ClusterWorld, TOPIC_ID } from './cluster-world.ts';
import type { TestBroker } from './cluster-world.ts';

async function consume(broker: TestBroker, offset: number, options: { rack?: string; maxWaitMs?: number } = {}): Promise<string> {
  const answer = await broker.request(Fetch, 17, {
    maxWaitMs: options.maxWaitMs ?? 0, minBytes: 1, maxBytes: 1_000_000, rackId: options.rack ?? '',
    topics: [{ topicId: TOPIC_ID, partitions: [{ partition: 0, fetchOffset: offset, partitionMaxBytes: 1_000_000 }] }], forgottenTopicsData: [],
  });
  const one = answer.responses[0]!.partitions[0]!;
  return `${one.errorCode} hw ${one.highWatermark} ${one.records?.length ?? 0 > 0 ? 'records' : 'nothing'}${one.preferredReadReplica >= 0 ? ` better from ${one.preferredReadReplica}` : ''}`;
}

describe('reading near by', () => {
  test('a consumer is sent to the replica of its rack, when that is in sync and has the offset', async () => {
    const world = new ClusterWorld({ racks: true, settings: { 'replica.selector.class': RACK_AWARE_SELECTOR } });
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0 });
    await world.settle();
    one.produce('a', 'b');
    await world.settle();
    expect(await consume(one, 0, { rack: 'rack2' })).toBe('0 hw 2 nothing better from 2');
    expect(await consume(one, 0, { rack: 'rack1' })).toBe('0 hw 2 records');
    expect(await consume(one, 0, { rack: 'nowhere' })).toBe('0 hw 2 records');
    expect(await consume(one, 0)).toBe('0 hw 2 records');
    // The replica is asked no further: it is the one.
    expect(await consume(two, 0, { rack: 'rack2' })).toBe('0 hw 2 records');
    world.apply([newRecord('BrokerRegistrationChangeRecord', { brokerId: 2, brokerEpoch: 102, fenced: 1 } as never)]);
    expect(await consume(one, 0, { rack: 'rack2' })).toBe('0 hw 2 records');
    await world.stop();
  });

  test('where replicas are read from, they hear of the high watermark at once', async () => {
    for (const selects of [true, false]) {
      const world = new ClusterWorld({ racks: true, settings: selects ? { 'replica.selector.class': RACK_AWARE_SELECTOR } : {} });
      const [one, two] = world.startAll();
      world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
      await world.after(600);
      const waits = consume(two, 0, { maxWaitMs: 400 });
      one.produce('a');
      expect(await world.settle()).toEqual(['a: 0']);
      expect(two.partition().log.highWatermark).toBe(selects ? 1 : 0);
      await world.after(400);
      expect(await waits).toBe(selects ? '0 hw 1 records' : '0 hw 0 nothing');
      world.sent.length = 0;
      await world.after(1000);
      expect(world.sent.length).toBe(2);
      await world.stop();
    }
  });

  test('only the two ways of Kafka to choose are taken', () => {
    for (const name of [RACK_AWARE_SELECTOR, LEADER_SELECTOR]) expect(Settings.from({ values: { 'replica.selector.class': name } }).get('replica.selector.class')).toBe(name);
    expect(() => Settings.from({ values: { 'replica.selector.class': 'com.example.Mine' } })).toThrow('replica.selector.class = com.example.Mine');
  });

  test('of several in the rack the one that has most, then the one that had all last, then the first', () => {
    const follower = (id: number, logEndOffset: number, caughtUpMs: number, logStartOffset = 0) => ({
      id, logEndOffset, logStartOffset, caughtUpMs, lastFetchMs: 0, leaderEndAtLastFetch: 0, brokerEpoch: 1, toldHighWatermark: 0,
    });
    const choose = (...followers: ReturnType<typeof follower>[]) =>
      readReplica({ rack: 'r', fetchOffset: 5, leaderRack: 'other', isr: [1, 2, 3, 4], followers, rackOf: (id) => (id === 4 ? 'other' : 'r') });
    expect(choose(follower(2, 9, 0), follower(3, 10, 0))).toBe(3);
    expect(choose(follower(2, 9, 5), follower(3, 9, 7))).toBe(3);
    expect(choose(follower(3, 9, 5), follower(2, 9, 5))).toBe(2);
    expect(choose(follower(2, 4, 5))).toBe(-1);
    expect(choose(follower(2, 9, 5, 6))).toBe(-1);
    expect(choose(follower(4, 9, 5))).toBe(-1);
    expect(choose(follower(5, 9, 5))).toBe(-1);
  });
});

describe('throttles', () => {
  test('the rate is taken over the windows that are not over, and never over less than one', () => {
    const quota = new ReplicationQuota({ windows: 3, windowMs: 1000 });
    expect(quota.bytesPerSecond(0)).toBe(0);
    quota.record(1000, 0);
    expect(quota.bytesPerSecond(1)).toBe(1000);
    expect(quota.isExceeded(999, 1)).toBe(true);
    expect(quota.isExceeded(1000, 1)).toBe(false);
    expect(quota.isExceeded(Number.MAX_SAFE_INTEGER, 1)).toBe(false);
    quota.record(500, 900);
    quota.record(500, 2000);
    expect(quota.bytesPerSecond(2000)).toBe(1000);
    // The first window is over.
    expect(quota.bytesPerSecond(3000)).toBe(500);
    expect(quota.bytesPerSecond(5000)).toBe(0);
  });

  test('hold for the replicas that are named', () => {
    expect(isThrottledReplica([], 0, 1)).toBe(false);
    expect(isThrottledReplica(['*'], 3, 1)).toBe(true);
    expect(isThrottledReplica(['0:1', '1:2'], 1, 2)).toBe(true);
    expect(isThrottledReplica(['0:1', '1:2'], 1, 1)).toBe(false);
  });

  async function fillsWith(setting: 'leader' | 'follower'): Promise<{ bytesAfter: (ms: number) => Promise<number>; world: ClusterWorld }> {
    const world = new ClusterWorld({ settings: { 'replica.fetch.max.bytes': 1000, 'replica.fetch.response.max.bytes': 1000 }, dynamic: { [`${setting}.replication.throttled.rate`]: '1000' } });
    const [one, , three] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    for (let i = 0; i < 50; i++) one.partition().append(testBatch({ values: ['v'.repeat(900)] }), 'client', world.time.wallMs());
    await world.after(600);
    // What the one in sync was given would count too.
    world.apply([newRecord('ConfigRecord', { resourceType: ResourceType.TOPIC, resourceName: 't', name: `${setting}.replication.throttled.replicas`, value: '*' })]);
    const state = world.state();
    world.change({ replicas: [1, 2, 3], adding: [3], directories: [...state.directories, state.directories[0]!] });
    return { world, bytesAfter: async (ms) => (await world.after(ms), three.partition().log.sizeBytes) };
  }

  test.each(['leader', 'follower'] as const)('of the %s hold up a replica that is being filled, and not one that is in sync', async (side) => {
    const { world, bytesAfter } = await fillsWith(side);
    const two = world.broker(2);
    expect(two.partition().log.logEndOffset).toBe(50);
    const [early, late] = [await bytesAfter(5_000), await bytesAfter(15_000)];
    expect(early).toBeGreaterThan(900);
    expect(early).toBeLessThan(12_000);
    expect(late - early).toBeGreaterThan(8_000);
    expect(late - early).toBeLessThan(25_000);
    await bytesAfter(60_000);
    expect(world.broker(3).partition().log.logEndOffset).toBe(50);
    await world.stop();
  });
});
