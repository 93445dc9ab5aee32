/** Three brokers' replicas: what a leader appends comes to its followers, is committed when they have it, and survives a change of leaders. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { testBatch } from '../../storage/log-fixture.ts';
import { ClusterWorld, directoryId } from './cluster-world.ts';
import type { TestBroker } from './cluster-world.ts';

const highWatermarks = (...brokers: TestBroker[]): number[] => brokers.map((broker) => broker.partition().log.highWatermark);

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
    expect(highWatermarks(two, three)).toEqual([3, 3]);
    await world.stop();
  });

  test('nothing is committed that one of the in-sync replicas lacks', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0 });
    await world.settle();
    world.cut.add('3 > 1');
    await world.after(500);
    one.produce('a');
    expect(await world.settle()).toEqual([]);
    expect(await two.contents()).toEqual(['0:a']);
    world.cut.clear();
    expect(await world.after(1000)).toEqual(['a: 0']);
    await world.stop();
  });

  test('an answer that is lost is asked for again, under a new session', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a');
    await world.settle();
    world.cut.add('1 > 2');
    one.produce('b');
    expect(await world.settle()).toEqual([]);
    world.cut.clear();
    expect(await world.after(1000)).toEqual(['b: 0']);
    expect(await two.contents()).toEqual(['0:a', '1:b']);
    await world.stop();
  });

  test('a session asks for what changed, and is not broken by partitions that come and go', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] }, 1);
    await world.settle();
    one.produce('a');
    await world.after(600);
    // Partition 1 moves to another leader and back: fetched elsewhere meanwhile, and here again.
    world.change({ leader: 2, isr: [2, 1] }, undefined, 1);
    await world.after(600);
    two.partition(1).append(testBatch({ values: ['x'] }), 'client', world.time.wallMs());
    await world.after(1100);
    expect(await one.contents(1)).toEqual(['0:x']);
    world.change({ leader: 1 }, undefined, 1);
    await world.after(600);
    one.partition(1).append(testBatch({ values: ['y'] }), 'client', world.time.wallMs());
    one.produce('b');
    await world.after(1100);
    expect(await two.contents(1)).toEqual(['0:x', '1:y']);
    expect(await two.contents(0)).toEqual(['0:a', '1:b']);
    await world.stop();
  });

  test('a partition that comes does not wait for the fetch that is waiting at its leader', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.after(600);
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] }, 1);
    one.partition(1).append(testBatch({ values: ['x'] }), 'client', world.time.wallMs());
    await world.settle();
    expect(await two.contents(1)).toEqual([]);
    await world.after(40);
    expect(await two.contents(1)).toEqual(['0:x']);
    // The fetch that has it in is left to wait.
    world.sent.length = 0;
    await world.after(400);
    expect(world.sent).toEqual([]);
    await world.stop();
  });

  test('a leader that is followed again does not keep the first fetch waiting behind one that nobody wants', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.after(600);
    world.change({ leader: 2 });
    await world.settle();
    world.change({ leader: 1 });
    await world.settle();
    one.produce('a');
    expect(await world.after(30)).toEqual(['a: 0']);
    expect(await two.contents()).toEqual(['0:a']);
    await world.stop();
  });

  test('an idle follower asks twice a second, and no more', async () => {
    const world = new ClusterWorld();
    world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.after(1000);
    world.sent.length = 0;
    await world.after(5000);
    expect(world.sent).toEqual(Array.from({ length: 10 }, () => '2 > 1 Fetch'));
    await world.stop();
  });
});

describe('a follower', () => {
  test('begins where the leader does when that is behind its end', async () => {
    const world = new ClusterWorld({ settings: { 'log.segment.bytes': 1024 * 1024 } });
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2], isr: [1] });
    world.cut.add('2 > 1');
    one.produce('a', 'b', 'c', 'd');
    await world.settle();
    one.partition().log.advanceLogStartOffset(3);
    world.cut.clear();
    await world.after(3000);
    expect(await two.contents()).toEqual(['3:d']);
    expect(two.partition().log.logStartOffset).toBe(3);
    expect([...world.state().isr].sort()).toEqual([1, 2]);
    expect(two.lines.join('\n')).toContain('begins anew at 3');
    await world.stop();
  });

  test('takes over the log start of its leader', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a', 'b', 'c');
    await world.after(600);
    one.partition().log.advanceLogStartOffset(2);
    one.partition().wakeWatchers();
    await world.after(600);
    expect(two.partition().log.logStartOffset).toBe(2);
    await world.stop();
  });

  test('refuses what is not as it was sent, and asks again', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    let spoiled = 0;
    world.tamper = (_from, api, answer) => {
      const records: Buffer | null = api === 'Fetch' ? (answer.responses[0]?.partitions[0]?.records ?? null) : null;
      if (records === null || records.length === 0 || spoiled > 0) return;
      spoiled++;
      records[65]! ^= 1;
    };
    one.produce('a');
    expect(await world.settle()).toEqual([]);
    expect(spoiled).toBe(1);
    expect(await two.contents()).toEqual([]);
    expect(two.lines.join('\n')).toContain('was not taken');
    expect(await world.after(1000)).toEqual(['a: 0']);
    expect(await two.contents()).toEqual(['0:a']);
    await world.stop();
  });

  test.each([
    ['an epoch from the future', (batch: Buffer) => batch.writeInt32BE(9, 12)],
    ['offsets that it has', (batch: Buffer) => batch.writeBigInt64BE(0n, 0)],
    ['offsets that nobody has', (batch: Buffer) => batch.writeBigInt64BE(2n ** 62n, 0)],
    ['an older epoch than its last', (batch: Buffer) => batch.writeInt32BE(0, 12)],
    ['another format', (batch: Buffer) => batch.writeInt8(1, 16)],
    ['a length beyond the rest', (batch: Buffer) => batch.writeInt32BE(1 << 30, 8)],
    ['a length below a header', (batch: Buffer) => batch.writeInt32BE(3, 8)],
  ])('does not take %s', async (_what, spoil) => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 4, replicas: [1, 2] });
    await world.settle();
    one.produce('a');
    await world.after(600);
    world.tamper = (_from, api, answer) => {
      const records: Buffer | null = api === 'Fetch' ? (answer.responses[0]?.partitions[0]?.records ?? null) : null;
      if (records !== null && records.length > 0) spoil(records);
    };
    one.produce('b');
    await world.after(100);
    expect(await two.contents()).toEqual(['0:a']);
    expect(two.partition().log.logEndOffset).toBe(1);
    world.tamper = null;
    expect(await world.after(2000)).toEqual(['b: 0']);
    expect(await two.contents()).toEqual(['0:a', '1:b']);
    await world.stop();
  });

  test('is not cut below what the same leader has told to be committed', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a', 'b');
    await world.after(600);
    expect(highWatermarks(two)).toEqual([2]);
    world.tamper = (_from, api, answer) => {
      if (api === 'Fetch') for (const topic of answer.responses) for (const partition of topic.partitions) partition.divergingEpoch = { epoch: 0, endOffset: 1 };
    };
    one.produce('c');
    await world.after(600);
    expect(await two.contents()).toEqual(['0:a', '1:b']);
    expect(two.lines.join('\n')).toContain('not cut from 2 to 1');
    world.tamper = null;
    expect(await world.after(2000)).toEqual(['c: 0']);
    await world.stop();
  });

  test('does not ask in a circle where an answer changes nothing', async () => {
    const world = new ClusterWorld();
    const [one] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a');
    await world.after(600);
    for (const tamper of [
      (partition: any) => (partition.divergingEpoch = { epoch: 0, endOffset: 7 }),
      (partition: any) => (partition.errorCode = ErrorCode.OFFSET_OUT_OF_RANGE),
      (partition: any) => (partition.divergingEpoch = { epoch: 5, endOffset: -1 }),
      (_partition: any, answer: any) => (answer.errorCode = ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
      (_partition: any, answer: any) => (answer.errorCode = ErrorCode.UNKNOWN_SERVER_ERROR),
    ]) {
      world.tamper = (_from, api, answer) => {
        if (api === 'Fetch') for (const topic of answer.responses) for (const partition of topic.partitions) tamper(partition, answer);
      };
      one.produce('b');
      await world.after(600);
      world.sent.length = 0;
      await world.after(5000);
      expect(world.sent.length).toBeLessThan(25);
      world.tamper = null;
      expect(await world.after(2100)).toEqual(['b: 0']);
    }
    await world.stop();
  });

  test('is fetched by as many loops as num.replica.fetchers says, each with a session of its own', async () => {
    const world = new ClusterWorld({ settings: { 'num.replica.fetchers': 3 } });
    const [one, two] = world.startAll();
    for (let i = 0; i < 6; i++) world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] }, i);
    await world.after(1100);
    world.sent.length = 0;
    await world.after(1000);
    expect(world.sent.length).toBe(6);
    for (let i = 0; i < 6; i++) one.partition(i).append(testBatch({ values: [`${i}`] }), 'client', world.time.wallMs());
    await world.settle();
    for (let i = 0; i < 6; i++) expect(await two.contents(i)).toEqual([`0:${i}`]);
    await world.stop();
  });

  test('after an unclean election, has what the new leader has, below the high watermark too', async () => {
    const world = new ClusterWorld();
    const [one, two, three] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, isr: [1, 2] });
    world.cut.add('3 > 1');
    await world.settle();
    one.produce('a', 'b');
    await world.after(600);
    expect(highWatermarks(two)).toEqual([2]);
    world.change({ leader: 3, isr: [3] });
    world.cut.clear();
    three.produce('c');
    await world.after(2000);
    for (const broker of [one, two, three]) expect(await broker.contents()).toEqual(['0:c']);
    expect(two.lines.join('\n')).toContain('below the high watermark');
    await world.stop();
  });

  test('asks again soon where the leader has not heard yet, and waits for the metadata where it has not heard itself', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    world.change({ leader: 2 }, [1]);
    one.produce('x');
    expect(await world.settle()).toEqual([`x: ${ErrorCode.NOT_LEADER_OR_FOLLOWER}`]);
    world.sent.length = 0;
    await world.after(100);
    const tries = world.sent.filter((line) => line === '1 > 2 Fetch').length;
    expect(tries).toBeGreaterThan(2);
    expect(tries).toBeLessThan(8);
    world.publish(2);
    await world.settle();
    two.produce('a');
    expect(await world.after(300)).toEqual(['a: 0']);
    // The other way round: the follower is behind, and is told that its epoch is old.
    world.change({ leader: 2 }, [2]);
    await world.settle();
    world.sent.length = 0;
    await world.after(3000);
    expect(world.sent.filter((line) => line === '1 > 2 Fetch').length).toBeLessThan(2);
    world.publish(1);
    two.produce('b');
    expect(await world.after(300)).toEqual(['b: 0']);
    await world.stop();
  });
});

describe('replicas that come and go', () => {
  test('a reassignment: the new one is filled and joins, the old one is removed with its files', async () => {
    const world = new ClusterWorld();
    const [one, two, three] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a', 'b');
    await world.after(600);
    world.change({ replicas: [1, 2, 3], adding: [3], directories: [1, 2, 3].map((id) => directoryId(id, '/data')) });
    await world.after(600);
    expect(await three.contents()).toEqual(['0:a', '1:b']);
    expect([...world.state().isr].sort()).toEqual([1, 2, 3]);
    world.change({ leader: 3, replicas: [2, 3], isr: [2, 3], adding: [], directories: [2, 3].map((id) => directoryId(id, '/data')) });
    await world.after(600);
    expect(one.replicas.find('t', 0)).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    expect(one.disk.list('/data').filter((name) => name.startsWith('t-0'))).toEqual([]);
    three.produce('c');
    expect(await world.after(1100)).toEqual(['c: 0']);
    expect(await two.contents()).toEqual(['0:a', '1:b', '2:c']);
    // And comes again: from nothing.
    world.change({ replicas: [2, 3, 1], adding: [1], directories: [2, 3, 1].map((id) => directoryId(id, '/data')) });
    await world.after(600);
    expect(await one.contents()).toEqual(['0:a', '1:b', '2:c']);
    await world.stop();
  });

  test('who waits at a leader that is taken away is told', async () => {
    const world = new ClusterWorld();
    const [one] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    world.cut.add('2 > 1');
    await world.settle();
    one.produce('a');
    await world.settle();
    world.change({ leader: 2, replicas: [2, 3], isr: [2], directories: [2, 3].map((id) => directoryId(id, '/data')) });
    expect(await world.settle()).toEqual([`a: ${ErrorCode.NOT_LEADER_OR_FOLLOWER}`]);
    await world.stop();
  });

  test('a restart begins with the high watermark that was written down, and goes on', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a', 'b');
    await world.after(600);
    await two.stop();
    const again = world.start(2, two.disk);
    expect(highWatermarks(again)).toEqual([2]);
    one.produce('c');
    expect(await world.after(1100)).toEqual(['c: 0']);
    expect(await again.contents()).toEqual(['0:a', '1:b', '2:c']);
    await world.stop();
  });

  test('a replica that lies in another directory than the metadata say is told to the controller', async () => {
    const world = new ClusterWorld({ paths: ['/first', '/second'] });
    const [one] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1], directories: [directoryId(1, '/second')] });
    await world.settle();
    expect(one.partition().log.directory).toBe('/second/t-0');
    expect(world.assigned).toEqual([]);
    world.change({ directories: [directoryId(1, '/first')] });
    await world.after(200);
    expect(world.assigned).toEqual([`1: 0 in ${directoryId(1, '/second')}`]);
    await world.stop();
  });

  test('a directory that fails takes its partitions with it, and is named', async () => {
    const world = new ClusterWorld({ paths: ['/first', '/second'] });
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    world.create({ leader: 2, leaderEpoch: 0, replicas: [2, 1], directories: [directoryId(2, '/first'), directoryId(1, '/second')] }, 1);
    await world.settle();
    const { log } = one.partition(1);
    log.takeOffline(Object.assign(new Error('EIO')) as never);
    await world.settle();
    expect(one.replicas.offlineLogDirs()).toEqual([directoryId(1, '/second')]);
    one.produce('a');
    expect(await world.after(1100)).toEqual(['a: 0']);
    two.partition(1).append(testBatch({ values: ['x'] }), 'client', world.time.wallMs());
    await world.after(1100);
    expect(log.logEndOffset).toBe(0);
    await Promise.allSettled([...world.brokers.values()].map((broker) => broker.stop()));
  });
});
