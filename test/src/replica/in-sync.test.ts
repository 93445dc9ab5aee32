/** Who counts as in sync, what the controller is asked for and what its answers do, and what acks=all means while that goes on. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { Fetch } from '../../../protocol/messages/fetch.ts';
import { Produce } from '../../../protocol/messages/produce.ts';
import { newRecord } from '../../../src/quorum/records.ts';
import { InSyncReplicas } from '../../../src/replica/in-sync.ts';
import { testBatch } from '../../storage/log-fixture.ts';
import { ClusterWorld, EPOCH_OF, TOPIC_ID } from './cluster-world.ts';
import type { PartitionSpec, TestBroker } from './cluster-world.ts';

const LAG_MS = 30_000;

/** The fetch of a follower that does not exist otherwise. */
async function fetchAs(
  leader: TestBroker,
  replicaId: number,
  fetch: { offset: number; brokerEpoch?: number; leaderEpoch?: number; lastEpoch?: number; version?: number },
): Promise<{ errorCode: number; highWatermark: number; records: number; diverging: number }> {
  const version = fetch.version ?? 17;
  const answer = await leader.request(Fetch, version, {
    ...(version >= 15 ? { replicaState: { replicaId, replicaEpoch: fetch.brokerEpoch ?? EPOCH_OF(replicaId) } } : { replicaId }),
    maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000,
    topics: [{
      ...(version >= 13 ? { topicId: TOPIC_ID } : { topic: 't' }),
      partitions: [{
        partition: 0, fetchOffset: fetch.offset, partitionMaxBytes: 1_000_000, ...(version >= 9 && { currentLeaderEpoch: fetch.leaderEpoch ?? 0 }),
        ...(version >= 12 && { lastFetchedEpoch: fetch.lastEpoch ?? -1 }), ...(version >= 5 && { logStartOffset: 0 }),
      }],
    }],
    forgottenTopicsData: [],
    ...(version >= 7 && { sessionId: 0, sessionEpoch: -1 }),
  });
  const one = answer.responses[0]!.partitions[0]!;
  return { errorCode: one.errorCode, highWatermark: one.highWatermark, records: one.records?.length ?? 0, diverging: one.divergingEpoch.endOffset };
}

async function produceTo(broker: TestBroker, options: { acks?: number; timeoutMs?: number } = {}): Promise<string> {
  const answer = await broker.request(Produce, 12, {
    transactionalId: null, acks: options.acks ?? -1, timeoutMs: options.timeoutMs ?? 1000,
    topicData: [{ name: 't', partitionData: [{ index: 0, records: testBatch({ values: ['p'] }) }] }],
  });
  const one = answer.responses[0]!.partitionResponses[0]!;
  return `${one.errorCode} at ${one.baseOffset}`;
}

async function leaderOf(spec: Partial<PartitionSpec> = {}, settings: Record<string, string | number> = {}): Promise<{ world: ClusterWorld; one: TestBroker }> {
  const world = new ClusterWorld({ settings });
  const one = world.start(1);
  world.create({ leader: 1, leaderEpoch: 0, ...spec });
  await world.settle();
  return { world, one };
}

describe('falling behind', () => {
  test('a follower that has not caught up for replica.lag.time.max.ms goes, and comes back when it has', async () => {
    const world = new ClusterWorld();
    const [one] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0 });
    await world.settle();
    world.cut.add('3 > 1');
    await world.after(600);
    one.produce('a');
    await world.after(LAG_MS / 2);
    expect(world.state().isr).toEqual([1, 2, 3]);
    expect(await world.after(LAG_MS)).toEqual(['a: 0']);
    expect(world.state().isr).toEqual([1, 2]);
    world.cut.clear();
    await world.after(1100);
    expect(world.state().isr).toEqual([1, 2, 3]);
    await world.stop();
  });

  test('not while there is nothing that it lacks, however long ago it asked', async () => {
    const world = new ClusterWorld();
    world.startAll();
    world.create({ leader: 1, leaderEpoch: 0 });
    await world.after(600);
    world.cut.add('3 > 1');
    await world.after(3 * LAG_MS);
    expect(world.state().isr).toEqual([1, 2, 3]);
    expect(world.alterRequests).toEqual([]);
    await world.stop();
  });

  test('one that never asks goes too, a lag after the leader began', async () => {
    const { world, one } = await leaderOf();
    one.produce('a');
    await world.after(1.5 * LAG_MS + 100);
    expect(world.state().isr).toEqual([1]);
    await world.stop();
  });

  test('one that asks and never has all stays as long as it has what there was when it asked before', async () => {
    const { world, one } = await leaderOf({ replicas: [1, 2] });
    for (let i = 0; i < 8; i++) {
      one.produce(`${i}`);
      await world.settle();
      expect((await fetchAs(one, 2, { offset: i })).errorCode).toBe(0);
      await world.after(10_000);
    }
    expect(world.state().isr).toEqual([1, 2]);
    await world.stop();
  });

  test('one that asks and gets on too slowly goes', async () => {
    const { world, one } = await leaderOf({ replicas: [1, 2] });
    for (let i = 0; i < 8; i++) {
      one.produce('x', 'y', 'z');
      await world.settle();
      await fetchAs(one, 2, { offset: i });
      await world.after(10_000);
    }
    expect(world.state().isr).toEqual([1]);
    await world.stop();
  });
});

describe('joining', () => {
  test('asks for it with broker epochs, once it has all up to the high watermark and the start of the leader epoch', async () => {
    const { world, one } = await leaderOf({ isr: [1] });
    one.produce('a', 'b');
    expect(await world.settle()).toEqual(['a: 0', 'b: 0']);
    await fetchAs(one, 2, { offset: 1 });
    expect(world.alterRequests).toEqual([]);
    await fetchAs(one, 2, { offset: 2, lastEpoch: 0 });
    await world.settle();
    expect(world.alterRequests.map(({ brokerId, brokerEpoch }) => [brokerId, brokerEpoch])).toEqual([[1, EPOCH_OF(1)]]);
    const [asked] = world.alterRequests[0]!.topics[0]!.partitions;
    expect(asked!.newIsrWithEpochs).toEqual([{ brokerId: 1, brokerEpoch: EPOCH_OF(1) }, { brokerId: 2, brokerEpoch: EPOCH_OF(2) }]);
    expect([asked!.leaderEpoch, asked!.partitionEpoch]).toEqual([0, 0]);
    expect(one.partition().inSyncReplicas).toEqual([1, 2]);
    await world.stop();
  });

  test('while that is on its way, nothing is committed that the new one lacks', async () => {
    const { world, one } = await leaderOf({ isr: [1] });
    one.produce('a');
    await world.settle();
    let answer = (): void => {};
    world.answer = (request) => new Promise((resolve) => {
      answer = () => resolve({
        throttleTimeMs: 0, errorCode: 0,
        topics: request.topics.map(({ topicId, partitions }) => ({ topicId, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: ErrorCode.INELIGIBLE_REPLICA, leaderId: -1, leaderEpoch: -1, isr: [], partitionEpoch: -1 })) })),
      });
    });
    await fetchAs(one, 2, { offset: 1, lastEpoch: 0 });
    await world.settle();
    expect(world.alterRequests.length).toBe(1);
    one.produce('b');
    expect(await world.settle()).toEqual([]);
    await world.after(LAG_MS + 1);
    expect(world.told).toEqual([]);
    // The controller refuses for certain: it counts no more.
    answer();
    expect(await world.settle()).toEqual(['b: 0']);
    await world.stop();
  });

  test('not of a broker that is fenced, on its way out, or of another life than the one that asks', async () => {
    const { world, one } = await leaderOf({ isr: [1] });
    world.apply([newRecord('BrokerRegistrationChangeRecord', { brokerId: 2, brokerEpoch: EPOCH_OF(2), fenced: 1 } as never)]);
    expect((await fetchAs(one, 2, { offset: 0 })).errorCode).toBe(0);
    world.apply([newRecord('BrokerRegistrationChangeRecord', { brokerId: 3, brokerEpoch: EPOCH_OF(3), inControlledShutdown: 1 } as never, 1)]);
    expect((await fetchAs(one, 3, { offset: 0 })).errorCode).toBe(0);
    await world.settle();
    expect(world.alterRequests).toEqual([]);
    world.register(2, null, 500);
    // KIP-903: an older self is refused, one that we have not heard of yet is read for and not let in.
    expect((await fetchAs(one, 2, { offset: 0, brokerEpoch: 102 })).errorCode).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    expect((await fetchAs(one, 2, { offset: 0, brokerEpoch: 501 })).errorCode).toBe(0);
    await world.settle();
    expect(world.alterRequests).toEqual([]);
    await fetchAs(one, 2, { offset: 0, brokerEpoch: 500 });
    await world.settle();
    expect(world.state().isr).toEqual([1, 2]);
    await world.stop();
  });

  test('one that is about to join is waited for until its broker is out of service, or it falls behind', async () => {
    for (const leaves of [true, false]) {
      const { world, one } = await leaderOf({ isr: [1] });
      world.answer = () => ({ throttleTimeMs: 0, errorCode: ErrorCode.UNKNOWN_SERVER_ERROR, topics: [] });
      await fetchAs(one, 2, { offset: 0 });
      await world.settle();
      // As the metadata have it, the change that is asked for is over, and was not made.
      world.change({ isr: [1], directories: [...world.state().directories].reverse() });
      one.produce('a');
      expect(await world.settle()).toEqual([]);
      if (leaves) {
        world.apply([newRecord('BrokerRegistrationChangeRecord', { brokerId: 2, brokerEpoch: EPOCH_OF(2), fenced: 1 } as never)]);
        expect(await world.settle()).toEqual(['a: 0']);
      } else {
        expect(await world.after(1.5 * LAG_MS + 100)).toEqual(['a: 0']);
      }
      await world.stop();
    }
  });

  test('what the controller finds ineligible is asked for again by the next fetch', async () => {
    const { world, one } = await leaderOf({ isr: [1] });
    // The controller knows of a newer life of the broker than this leader.
    world.epochs.set(2, 999);
    await fetchAs(one, 2, { offset: 0 });
    await world.settle();
    expect(one.partition().inSyncReplicas).toEqual([1]);
    await fetchAs(one, 2, { offset: 0 });
    await world.settle();
    expect(world.alterRequests.length).toBe(2);
    await world.stop();
  });
});

describe('the controller', () => {
  test('is asked for all partitions in one request, and for more only when it has answered', async () => {
    const world = new ClusterWorld();
    const one = world.start(1);
    for (let i = 0; i < 3; i++) world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] }, i);
    await world.settle();
    for (let i = 0; i < 3; i++) one.partition(i).append(testBatch(), 'client', world.time.wallMs());
    await world.after(1.5 * LAG_MS + 100);
    expect(world.alterRequests.map(({ topics }) => topics[0]!.partitions.map(({ partitionIndex }) => partitionIndex))).toEqual([[0, 1, 2]]);
    await world.stop();
  });

  test('that cannot be reached is asked again and again, and nothing changes meanwhile', async () => {
    const { world, one } = await leaderOf({ replicas: [1, 2] });
    world.cut.add('1 > controller');
    one.produce('a');
    expect(await world.after(2 * LAG_MS)).toEqual([]);
    expect(one.partition().inSyncReplicas).toEqual([1, 2]);
    world.cut.clear();
    expect(await world.after(100)).toEqual(['a: 0']);
    expect(world.alterRequests.length).toBe(1);
    await world.stop();
  });

  test('whose answer never came may have done it: the same is asked again, and the answer that it is late is left to the metadata', async () => {
    const { world, one } = await leaderOf({ replicas: [1, 2] });
    one.produce('a');
    let asked = 0;
    world.answer = ((request) => {
      asked++;
      if (asked > 1) return { throttleTimeMs: 0, errorCode: 0, topics: request.topics.map(({ topicId, partitions }) => ({ topicId, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: ErrorCode.INVALID_UPDATE_VERSION, leaderId: -1, leaderEpoch: -1, isr: [], partitionEpoch: -1 })) })) };
      world.change({ isr: [1] }, []);
      return { throttleTimeMs: 0, errorCode: ErrorCode.STALE_BROKER_EPOCH, topics: [] };
    });
    expect(await world.after(1.5 * LAG_MS + 500)).toEqual([]);
    expect(asked).toBe(2);
    world.publish(1);
    expect(await world.settle()).toEqual(['a: 0']);
    await world.stop();
  });

  test.each([
    [ErrorCode.NONE, 'committed', [1, 2]],
    [ErrorCode.OPERATION_NOT_ATTEMPTED, 'reverted', [1]],
    [ErrorCode.INELIGIBLE_REPLICA, 'reverted', [1]],
    [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 'waiting', [1, 2]],
    [ErrorCode.UNKNOWN_TOPIC_ID, 'waiting', [1, 2]],
    [ErrorCode.FENCED_LEADER_EPOCH, 'waiting', [1, 2]],
    [ErrorCode.INVALID_UPDATE_VERSION, 'waiting', [1, 2]],
    [ErrorCode.INVALID_REQUEST, 'waiting', [1, 2]],
    [ErrorCode.NEW_LEADER_ELECTED, 'waiting', [1, 2]],
    [ErrorCode.UNKNOWN_SERVER_ERROR, 'retry', [1, 2]],
    [ErrorCode.NOT_CONTROLLER, 'retry', [1, 2]],
  ])('answers %d to an expansion: %s', (errorCode, verdict, maximal) => {
    const inSync = new InSyncReplicas({ isr: [1], leaderEpoch: 3, partitionEpoch: 7 });
    const proposal = inSync.expand(2)!;
    expect(inSync.maximal).toEqual([1, 2]);
    expect(inSync.answered(proposal, { errorCode, leaderEpoch: 3, partitionEpoch: 8, isr: [1, 2] })).toBe(verdict);
    expect(inSync.maximal).toEqual(maximal);
    expect(inSync.pending).toBe(verdict === 'committed' || verdict === 'reverted' ? null : proposal);
  });

  test('has told what the metadata tell again later: what was asked for since still counts', () => {
    const inSync = new InSyncReplicas({ isr: [1], leaderEpoch: 3, partitionEpoch: 7 });
    const first = inSync.expand(2)!;
    expect(inSync.answered(first, { errorCode: 0, leaderEpoch: 3, partitionEpoch: 8, isr: [1, 2] })).toBe('committed');
    const second = inSync.expand(3)!;
    inSync.learn({ isr: [1, 2], leaderEpoch: 3, partitionEpoch: 8 });
    expect(inSync.maximal).toEqual([1, 2, 3]);
    expect(inSync.pending).toBe(second);
    inSync.learn({ isr: [1, 2, 3], leaderEpoch: 3, partitionEpoch: 9 });
    expect([inSync.isr, inSync.pending]).toEqual([[1, 2, 3], null]);
    // Nothing to change is an answer too.
    const third = inSync.shrink([3])!;
    expect(inSync.answered(third, { errorCode: 0, leaderEpoch: 3, partitionEpoch: 9, isr: [1, 2, 3] })).toBe('committed');
    expect(inSync.pending).toBe(null);
  });

  test('answers what is not asked any more, of another epoch, or from before', () => {
    const inSync = new InSyncReplicas({ isr: [1, 2], leaderEpoch: 3, partitionEpoch: 7 });
    const proposal = inSync.shrink([2])!;
    expect(inSync.maximal).toEqual([1, 2]);
    expect(inSync.expand(3)).toBe(null);
    expect(inSync.answered(proposal, { errorCode: 0, leaderEpoch: 4, partitionEpoch: 8, isr: [1] })).toBe('waiting');
    expect(inSync.answered(proposal, { errorCode: 0, leaderEpoch: 3, partitionEpoch: 6, isr: [1] })).toBe('waiting');
    inSync.learn({ isr: [1, 2], leaderEpoch: 4, partitionEpoch: 8 });
    expect(inSync.answered(proposal, { errorCode: 0, leaderEpoch: 4, partitionEpoch: 9, isr: [1] })).toBe('stale');
    expect(inSync.isr).toEqual([1, 2]);
    expect(inSync.shrink([3])).toBe(null);
  });
});

describe('a follower that is not to be believed', () => {
  test.each([
    ['an offset beyond the end', { offset: 99 }, ErrorCode.OFFSET_OUT_OF_RANGE],
    ['an offset below the start', { offset: -1 }, ErrorCode.OFFSET_OUT_OF_RANGE],
    ['an older leader epoch', { offset: 1, leaderEpoch: 4 }, ErrorCode.FENCED_LEADER_EPOCH],
    ['a leader epoch from the future', { offset: 1, leaderEpoch: 6 }, ErrorCode.UNKNOWN_LEADER_EPOCH],
    ['no leader epoch', { offset: 1, leaderEpoch: -1 }, ErrorCode.NONE],
    ['no leader epoch, in an older version', { offset: 1, version: 8 }, ErrorCode.NONE],
    ['an older life', { offset: 1, brokerEpoch: 1 }, ErrorCode.NOT_LEADER_OR_FOLLOWER],
    ['a last epoch from the future', { offset: 1, lastEpoch: 9 }, ErrorCode.OFFSET_OUT_OF_RANGE],
  ])('%s moves nothing', async (_what, fetch, errorCode) => {
    const world = new ClusterWorld();
    const one = world.start(1);
    world.create({ leader: 1, leaderEpoch: 5, replicas: [1, 2] });
    await world.settle();
    one.produce('a');
    await world.settle();
    expect((await fetchAs(one, 2, { leaderEpoch: 5, ...fetch })).errorCode).toBe(errorCode);
    expect(await world.settle()).toEqual([]);
    expect(one.partition().log.highWatermark).toBe(0);
    expect((await fetchAs(one, 2, { offset: 1, leaderEpoch: 5, lastEpoch: 5 })).errorCode).toBe(0);
    expect(await world.settle()).toEqual(['a: 0']);
    await world.stop();
  });

  test('a log that parts from ours before the offset moves nothing', async () => {
    const world = new ClusterWorld();
    const one = world.start(1);
    world.create({ leader: 1, leaderEpoch: 5, replicas: [1, 2] });
    await world.settle();
    one.produce('a');
    await world.settle();
    const answer = await fetchAs(one, 2, { offset: 1, leaderEpoch: 5, lastEpoch: 3 });
    expect([answer.errorCode, answer.diverging, answer.records]).toEqual([0, 0, 0]);
    expect(await world.settle()).toEqual([]);
    expect(one.partition().log.highWatermark).toBe(0);
    await world.stop();
  });

  test('a broker that is no replica is told to ask again, and counts for nothing', async () => {
    const { world, one } = await leaderOf({ replicas: [1, 2] });
    one.produce('a');
    await world.settle();
    expect((await fetchAs(one, 3, { offset: 1 })).errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
    expect((await fetchAs(one, 3, { offset: 1, version: 8 })).errorCode).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    expect((await fetchAs(one, 1, { offset: 1 })).errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
    expect(await world.settle()).toEqual([]);
    await world.stop();
  });

  test('one that takes back what it had does not take the high watermark back', async () => {
    const { world, one } = await leaderOf({ replicas: [1, 2] });
    one.produce('a', 'b');
    await world.settle();
    await fetchAs(one, 2, { offset: 2, lastEpoch: 0 });
    expect(await world.settle()).toEqual(['a: 0', 'b: 0']);
    const answer = await fetchAs(one, 2, { offset: 0 });
    expect(answer.highWatermark).toBe(2);
    expect(one.partition().log.highWatermark).toBe(2);
    one.produce('c');
    await fetchAs(one, 2, { offset: 2, lastEpoch: 0 });
    expect(await world.settle()).toEqual([]);
    await world.stop();
  });
});

describe('acks=all', () => {
  test('is refused while fewer are in sync than min.insync.replicas', async () => {
    const { world, one } = await leaderOf({ isr: [1] }, { 'min.insync.replicas': 2 });
    expect(await produceTo(one)).toBe(`${ErrorCode.NOT_ENOUGH_REPLICAS} at -1`);
    expect(one.partition().log.logEndOffset).toBe(0);
    const answer = produceTo(one, { acks: 1 });
    await world.settle();
    expect(await answer).toBe('0 at 0');
    // KIP-966: what too few have is not committed.
    expect(one.partition().log.highWatermark).toBe(0);
    await world.stop();
  });

  test('is told when its time is up, with the place that the records got', async () => {
    const { world, one } = await leaderOf({ replicas: [1, 2] });
    const answer = produceTo(one, { timeoutMs: 700 });
    await world.after(699);
    expect(await Promise.race([answer, Promise.resolve('waits')])).toBe('waits');
    await world.after(1);
    expect(await answer).toBe(`${ErrorCode.REQUEST_TIMED_OUT} at 0`);
    await world.stop();
  });

  test('that waits when the in-sync replicas fall below the minimum waits for them, or for its time', async () => {
    const { world, one } = await leaderOf({ replicas: [1, 2] }, { 'min.insync.replicas': 2 });
    const answer = produceTo(one, { timeoutMs: 2 * LAG_MS });
    await world.after(1.5 * LAG_MS + 100);
    expect(world.state().isr).toEqual([1]);
    expect(one.partition().log.highWatermark).toBe(0);
    await fetchAs(one, 2, { offset: 1, lastEpoch: 0 });
    await world.settle();
    expect(world.state().isr).toEqual([1, 2]);
    expect(await answer).toBe('0 at 0');
    await world.stop();
  });

  test('is told who leads when another does', async () => {
    const { world, one } = await leaderOf({ replicas: [1, 2] });
    const answer = produceTo(one);
    await world.settle();
    world.change({ leader: 2 });
    expect(await answer).toBe(`${ErrorCode.NOT_LEADER_OR_FOLLOWER} at 0`);
    await world.stop();
  });
});
