/** Three brokers' replicas when their leader changes: nothing committed is lost, whatever was not is cut by epoch, and nobody takes what the old leader says. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { DiskError } from '../../../storage/disk.ts';
import { ListOffsets } from '../../../protocol/messages/fetch.ts';
import { ClusterWorld } from './cluster-world.ts';
import type { TestBroker } from './cluster-world.ts';

const highWatermarks = (...brokers: TestBroker[]): number[] => brokers.map((broker) => broker.partition().log.highWatermark);
const epochs = (broker: TestBroker): string => broker.partition().log.epochs.entries.map(({ epoch, startOffset }) => `${epoch}@${startOffset}`).join(' ');

describe('a change of leaders', () => {
  test('KIP-101, 1: a follower that restarts keeps what it has not heard to be committed, and so does the cluster when it leads next', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a', 'b');
    expect(await world.settle()).toEqual(['a: 0', 'b: 0']);
    // Its own high watermark is behind: the answer that would tell it waits at the leader.
    expect(highWatermarks(one, two)).toEqual([2, 0]);
    two.kill();
    const again = world.start(2, two.disk);
    expect(again.partition().log.highWatermark).toBe(0);
    one.kill();
    world.brokers.delete(1);
    world.change({ leader: 2, isr: [2] });
    await world.settle();
    expect(await again.contents()).toEqual(['0:a', '1:b']);
    expect(again.partition().log.highWatermark).toBe(2);
    const back = world.start(1, one.disk);
    await world.after(1000);
    expect(await back.contents()).toEqual(['0:a', '1:b']);
    await world.stop();
  });

  test('KIP-101, 2: what a leader had alone is cut when another has gone on without it', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a');
    await world.after(600);
    world.cut.add('2 > 1').add('1 > 2');
    one.produce('lost');
    await world.settle();
    expect(await one.contents()).toEqual(['0:a', '1:lost']);
    world.change({ leader: 2, isr: [2] }, [2]);
    two.produce('b');
    expect(await world.settle()).toEqual(['b: 0']);
    world.cut.clear();
    world.publish(1);
    expect(await world.settle()).toEqual([`lost: ${ErrorCode.NOT_LEADER_OR_FOLLOWER}`]);
    await world.after(2000);
    expect(await one.contents()).toEqual(['0:a', '1:b']);
    expect([epochs(one), epochs(two)]).toEqual(['0@0 1@1', '0@0 1@1']);
    expect(one.lines.join('\n')).toContain('cut from 2 to 1');
    expect([...world.state().isr].sort()).toEqual([1, 2]);
    await world.stop();
  });

  test('KIP-279: epochs that only one of the two knows are cut in rounds, each with an older one', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a', 'b');
    await world.after(600);
    world.cut.add('2 > 1').add('1 > 2');
    // Each leads in turn, and neither hears of the other: epochs 1 and 3 here, 2 and 4 there.
    world.change({ leader: 1 }, [1]);
    one.produce('one1');
    await world.settle();
    world.change({ leader: 2 }, [2]);
    two.produce('two2', 'two2b', 'two2c');
    await world.settle();
    world.change({ leader: 1 }, [1]);
    one.produce('one3', 'one3b');
    await world.settle();
    expect([epochs(one), epochs(two)]).toEqual(['0@0 1@2 3@3', '0@0 2@2']);
    world.change({ leader: 2 }, [2]);
    two.produce('two4');
    await world.settle();
    world.cut.clear();
    world.publish(1);
    await world.after(3000);
    expect(await one.contents()).toEqual(['0:a', '1:b', '2:two2', '3:two2b', '4:two2c', '5:two4']);
    expect(await two.contents()).toEqual(await one.contents());
    expect([epochs(one), epochs(two)]).toEqual(['0@0 2@2 4@5', '0@0 2@2 4@5']);
    await world.stop();
  });

  test('an epoch begins at the end of the log for a leader that appends nothing in it', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a');
    await world.after(600);
    world.change({ leader: 2 });
    await world.after(600);
    world.change({ leader: 1 });
    await world.after(600);
    // What it began and never wrote in, nobody else knows of: it is cut with nothing behind it.
    expect(epochs(two)).toBe('0@0');
    expect(epochs(one)).toBe('0@0 2@1');
    one.produce('b');
    expect(await world.after(1100)).toEqual(['b: 0']);
    expect(await two.contents()).toEqual(['0:a', '1:b']);
    expect(epochs(two)).toBe('0@0 2@1');
    await world.stop();
  });

  test('a leader whose first write fails still leads its epoch: who followed another is cut', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a');
    await world.after(600);
    world.cut.add('1 > 2').add('2 > 1');
    world.change({ leader: 2, isr: [2] }, [2]);
    two.produce('b', 'c');
    await world.settle();
    world.change({ leader: 1, isr: [1] });
    const file = one.partition().log.segments.active.file();
    const { writeSync } = file;
    file.writeSync = () => {
      file.writeSync = writeSync;
      throw new DiskError('ENOSPC', '/data', 'write');
    };
    one.produce('lost');
    expect(await world.settle()).toContain(`lost: ${ErrorCode.KAFKA_STORAGE_ERROR}`);
    expect(epochs(one)).toBe('0@0 2@1');
    world.cut.clear();
    await world.after(2100);
    expect(await two.contents()).toEqual(['0:a']);
    one.produce('d');
    expect(await world.after(1100)).toEqual(['d: 0']);
    expect(await two.contents()).toEqual(['0:a', '1:d']);
    await world.stop();
  });

  test('a replica that is being cut does not lead before that is over', async () => {
    const world = new ClusterWorld();
    const [one] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a');
    await world.after(600);
    world.cut.add('2 > 1').add('1 > 2');
    one.produce('lost');
    await world.settle();
    world.change({ leader: 2, isr: [2] });
    await world.settle();
    const partition = one.partition();
    const { log } = partition;
    let lower = (): void => {};
    log.onRecoveryPointLowered = () => new Promise((resolve) => (lower = resolve));
    await log.flush();
    const cut = partition.cutTo(1, 1);
    await world.settle();
    world.change({ leader: 1, isr: [1] });
    expect(partition.isLeader).toBe(false);
    expect(log.logEndOffset).toBe(2);
    lower();
    await cut;
    await world.settle();
    expect(partition.isLeader).toBe(true);
    expect(await one.contents()).toEqual(['0:a']);
    expect(epochs(one)).toBe('0@0 2@1');
    expect(world.roles.filter((role) => role.startsWith('1:')).at(-1)).toBe('1: t-0 leader 2');
    await world.stop();
  });

  test('a new leader tells no latest offset before it knows how far its predecessor had committed (KIP-207)', async () => {
    const world = new ClusterWorld();
    const [one, two] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    one.produce('a', 'b');
    await world.settle();
    expect(highWatermarks(one, two)).toEqual([2, 0]);
    world.cut.add('1 > 2');
    world.change({ leader: 2 });
    await world.settle();
    const latest = async (version: number, timestamp: number) => {
      const answer = await two.request(ListOffsets, version, { replicaId: -1, isolationLevel: 0, topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp }] }] });
      const { errorCode, offset } = answer.topics[0]!.partitions[0]!;
      return [errorCode, offset];
    };
    expect(await latest(5, -1)).toEqual([ErrorCode.OFFSET_NOT_AVAILABLE, -1]);
    expect(await latest(4, -1)).toEqual([ErrorCode.LEADER_NOT_AVAILABLE, -1]);
    expect(await latest(5, 2 ** 42)).toEqual([ErrorCode.OFFSET_NOT_AVAILABLE, -1]);
    expect(await latest(5, -2)).toEqual([0, 0]);
    world.cut.clear();
    await world.after(1100);
    expect(await latest(5, -1)).toEqual([0, 2]);
    await world.stop();
  });

  test('metadata that come late change nothing that newer ones said', async () => {
    const world = new ClusterWorld();
    const [one] = world.startAll();
    world.create({ leader: 1, leaderEpoch: 0, replicas: [1, 2] });
    await world.settle();
    const partition = one.partition();
    const before = partition.state;
    world.change({ leader: 1 });
    partition.update(before);
    expect([partition.leaderEpoch, partition.isLeader]).toEqual([1, true]);
    await world.stop();
  });
});
