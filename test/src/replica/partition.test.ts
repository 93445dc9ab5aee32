/** A partition and those who wait on it: what is acknowledged when, and who is told what when the disk, the leadership or the partition goes. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { ALONE, holdWrites, ReplicaWorld } from './replica-world.ts';

/** Beyond what is written at once: such a write goes through the disk's asynchronous call. */
const LARGE = 70_000;

describe('acknowledgements', () => {
  test('come when the write of the turn is done, in order, and not before', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    world.produce(partition, 'a');
    world.produce(partition, 'b');
    expect(world.now()).toEqual([]);
    expect(partition.log.highWatermark).toBe(0);
    expect(await world.turnEnds()).toEqual(['a acks=1: 0', 'b acks=1: 0', 'a acks=all: 0', 'b acks=all: 0']);
    expect(partition.log.highWatermark).toBe(2);
  });

  test('what comes while a write is under way is in the next', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    const writes = holdWrites(partition.log);
    world.produce(partition, 'a', LARGE);
    await world.turnEnds();
    world.produce(partition, 'b', LARGE);
    world.produce(partition, 'c', LARGE);
    expect(await world.turnEnds()).toEqual([]);
    await writes.go();
    expect(world.now()).toEqual(['a acks=1: 0', 'a acks=all: 0']);
    await world.turnEnds();
    await writes.go();
    expect(await world.turnEnds()).toEqual(['b acks=1: 0', 'c acks=1: 0', 'b acks=all: 0', 'c acks=all: 0']);
  });

  test('acks=1 does not wait for the in-sync replicas; acks=all does, and is told when another leads', async () => {
    const world = new ReplicaWorld();
    const state = { ...ALONE, replicas: [1, 2], isr: [1, 2] };
    const partition = world.partition({ state });
    world.produce(partition, 'a');
    expect(await world.turnEnds()).toEqual(['a acks=1: 0']);
    partition.update({ ...state, isr: [1], partitionEpoch: 1 });
    expect(world.now()).toEqual(['a acks=all: 0']);
    world.produce(partition, 'b');
    expect(await world.turnEnds()).toEqual(['b acks=1: 0', 'b acks=all: 0']);
    partition.update({ ...state, partitionEpoch: 2 });
    world.produce(partition, 'c');
    await world.turnEnds();
    partition.update({ ...state, leader: 2, leaderEpoch: 6, partitionEpoch: 3 });
    expect(world.now()).toEqual([`c acks=all: ${ErrorCode.NOT_LEADER_OR_FOLLOWER}`]);
  });

  test('a batch that was sent twice while others wait is acknowledged, and lost with them if they are', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    const writes = holdWrites(partition.log);
    const first = { producerId: 7, producerEpoch: 0, baseSequence: 0, values: ['x'.repeat(LARGE)] };
    world.produce(partition, 'first', first);
    await world.turnEnds();
    world.produce(partition, 'second', { ...first, baseSequence: 1 });
    world.produce(partition, 'first again', first);
    await writes.go();
    await world.turnEnds();
    await writes.go('ENOSPC');
    const lost = await world.turnEnds();
    expect(lost).toContain(`second acks=all: ${ErrorCode.KAFKA_STORAGE_ERROR}`);
    expect(lost).toContain(`second acks=1: ${ErrorCode.KAFKA_STORAGE_ERROR}`);
    // What takes the lost one's place must not answer for it.
    world.produce(partition, 'third', LARGE);
    await world.turnEnds();
    await writes.go();
    expect(await world.turnEnds()).toEqual(['third acks=1: 0', 'third acks=all: 0']);
  });
});

describe('a disk that refuses', () => {
  test('for now: those who lost their batch are told, the next append succeeds', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    const writes = holdWrites(partition.log);
    world.produce(partition, 'a', LARGE);
    await world.turnEnds();
    world.produce(partition, 'b', LARGE);
    await writes.go('ENOSPC');
    const error = ErrorCode.KAFKA_STORAGE_ERROR;
    expect(world.now()).toEqual([`a acks=1: ${error}`, `b acks=1: ${error}`, `a acks=all: ${error}`, `b acks=all: ${error}`]);
    expect(world.produce(partition, 'c', LARGE)).toBe(1);
    await world.turnEnds();
    await writes.go();
    expect(await world.turnEnds()).toEqual(['c acks=1: 0', 'c acks=all: 0']);
  });

  test('for good: appends are refused, and fetches that wait are told', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    const writes = holdWrites(partition.log);
    world.fetch('f', [partition]);
    world.produce(partition, 'a', LARGE);
    await world.turnEnds();
    await writes.go('EIO');
    const error = ErrorCode.KAFKA_STORAGE_ERROR;
    expect(await world.turnEnds()).toEqual([`a acks=1: ${error}`, `a acks=all: ${error}`, `0 ms f: error ${error}`]);
    world.produce(partition, 'b');
    expect(world.now()).toEqual([`b refused: ${error}`]);
    expect(world.time.pendingTimers).toBe(0);
  });
});

describe('a partition that leaves', () => {
  test('tells everybody who waits, and whoever comes later', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    const writes = holdWrites(partition.log);
    const fetch = world.fetch('f', [partition]);
    const end = world.produce(partition, 'a', LARGE);
    await world.turnEnds();
    fetch.found[0] = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    partition.leave(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    expect(await world.turnEnds()).toEqual(['a acks=all: 3', 'a acks=1: 3', '0 ms f: error 3']);
    partition.whenCommitted(end, (code) => void world.told.push(`late acks=all: ${code}`));
    partition.whenWritten(end, (code) => void world.told.push(`late acks=1: ${code}`));
    expect(world.now()).toEqual(['late acks=all: 3', 'late acks=1: 3']);
    expect(partition.checkLeader(-1)).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    await writes.go();
    expect(await world.turnEnds()).toEqual([]);
    expect(world.time.pendingTimers).toBe(0);
  });
});

describe('leadership', () => {
  test('who believes in another epoch is told which way', () => {
    const partition = new ReplicaWorld().partition();
    const { NONE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH } = ErrorCode;
    expect([-1, 5, 4, 6].map((epoch) => partition.checkLeader(epoch))).toEqual([NONE, NONE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH]);
  });

  test('a new epoch of the same leader ends the waits of fetches and not those of producers', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    const writes = holdWrites(partition.log);
    world.fetch('believes', [{ of: partition, epoch: 5 }]);
    world.fetch('does not care', [partition]);
    world.produce(partition, 'a', LARGE);
    await world.turnEnds();
    partition.update({ ...ALONE, leaderEpoch: 6 });
    expect(await world.turnEnds()).toEqual([`0 ms believes: error ${ErrorCode.FENCED_LEADER_EPOCH} leader 1 epoch 6`, '0 ms does not care: [] hw 0']);
    await writes.go();
    expect(await world.turnEnds()).toEqual(['a acks=1: 0', 'a acks=all: 0']);
  });

  test('a change that moves no leader wakes nobody', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    world.fetch('f', [partition]);
    await world.turnEnds();
    partition.update({ ...ALONE, partitionEpoch: 9 });
    expect(await world.turnEnds()).toEqual([]);
    expect(await world.after(500)).toEqual(['500 ms f: [] hw 0']);
  });
});
