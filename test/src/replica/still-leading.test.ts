/** A leader that asks whether it still is one: what the followers' fetches tell it, and a coordinator's log that asks only when it must. */
import { expect, test } from 'vitest';
import { ErrorCode, errorName, KafkaError } from '../../../protocol/errors.ts';
import { shardLogOf } from '../../../src/replica/shard-log.ts';
import { ClusterWorld } from './cluster-world.ts';
import type { TestBroker } from './cluster-world.ts';

async function scene() {
  const world = new ClusterWorld();
  const [one, two, three] = world.startAll();
  world.create({ leader: 1, leaderEpoch: 0 });
  await world.settle();
  const heard: string[] = [];
  const ask = (broker: TestBroker): void => broker.partition().whenStillLeading((errorCode) => heard.push(errorName(errorCode)));
  return { world, one, two, three, heard, ask };
}

test('followers that wait for data answer at once, and wait again', async () => {
  const { world, one, heard, ask } = await scene();
  ask(one);
  expect(heard).toEqual([]);
  const before = world.sent.length;
  await world.settle();
  expect(heard).toEqual(['NONE']);
  expect(world.sent.length - before, 'two fetches of each follower and no more').toBeLessThanOrEqual(6);
  await world.stop();
});

test('a leader that is cut off is not told that it leads, and in the end that it does not', async () => {
  const { world, one, two, heard, ask } = await scene();
  for (const way of ['1 > 2', '1 > 3', '2 > 1', '3 > 1']) world.cut.add(way);
  await world.after(600);
  ask(one);
  await world.after(2000);
  expect(heard).toEqual([]);
  world.change({ leader: 2, isr: [2, 3] }, [2, 3]);
  await world.settle();
  ask(two);
  await world.after(600);
  expect(heard, 'its successor is').toEqual(['NONE']);
  world.cut.clear();
  await world.after(2000);
  expect(heard, 'followers of another leader do not come back').toEqual(['NONE']);
  world.publish(1);
  expect(heard).toEqual(['NONE', 'NOT_LEADER_OR_FOLLOWER']);
  ask(one);
  expect(heard.at(-1)).toBe('NOT_LEADER_OR_FOLLOWER');
  await world.stop();
});

test('one follower that could lead is enough not to know; one that cannot any more is not waited for', async () => {
  const { world, one, heard, ask } = await scene();
  world.cut.add('3 > 1');
  await world.after(600);
  ask(one);
  await world.after(600);
  expect(heard).toEqual([]);
  const before = world.sent.length;
  await world.after(600);
  expect(world.sent.slice(before).filter((line) => line === '2 > 1 Fetch').length, 'the other one is not kept busy').toBeLessThan(5);
  world.change({ isr: [1, 2] });
  await world.settle();
  expect(heard).toEqual(['NONE']);
  await world.stop();
});

test('the log of a coordinator asks once for as long as the lease goes on', async () => {
  const { world, one } = await scene();
  let lease: number | null = 1;
  const log = shardLogOf(one.partition(), world.time, () => lease);
  const first = log.confirmed();
  expect(first).not.toBeNull();
  await world.settle();
  await first;
  expect(log.confirmed()).toBeNull();
  lease = 2;
  const second = log.confirmed();
  await world.settle();
  await second;
  expect(log.confirmed()).toBeNull();
  lease = null;
  const third = log.confirmed();
  await world.settle();
  await third;
  lease = 3;
  const last = log.confirmed()?.catch((error: KafkaError) => error.code);
  expect(last, 'what was known without a lease is known of that moment alone').toBeDefined();
  world.change({ leader: 2 });
  expect(await last).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
  await world.stop();
});
