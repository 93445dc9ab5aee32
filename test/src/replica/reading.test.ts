/** Fetches over partitions: how long they wait and for what, what one byte limit gives to each, what a reader may see. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { TailBudget } from '../../../storage/tail.ts';
import { COORDINATOR, markerBatch, NOW_MS, testBatch } from '../../storage/log-fixture.ts';
import { ALONE, holdRead, holdWrites, ReplicaWorld } from './replica-world.ts';

const LARGE = 70_000;
const fromFile = () => ({ tail: new TailBudget({ tailBytesMax: 0 }) });

async function filled(world: ReplicaWorld, count: number, bytes = 1000, options = {}) {
  const partition = world.partition(options);
  for (let i = 0; i < count; i++) world.produce(partition, `batch ${i}`, bytes);
  await world.turnEnds();
  return partition;
}

describe('a fetch that finds too little', () => {
  test('is answered by what is committed later, once', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    world.fetch('f', [partition]);
    expect(await world.after(100)).toEqual([]);
    world.produce(partition, 'a');
    expect(await world.turnEnds()).toEqual(['a acks=1: 0', 'a acks=all: 0', '100 ms f: [0] hw 1']);
    world.produce(partition, 'b');
    expect(await world.after(1000)).toEqual(['b acks=1: 0', 'b acks=all: 0']);
    expect(world.time.pendingTimers).toBe(0);
  });

  test('is answered with what there is when its time is up, and at once when it wants no wait', async () => {
    const world = new ReplicaWorld();
    const partition = await filled(world, 1);
    world.fetch('impatient', [{ of: partition, from: 1 }], { maxWaitMs: 0 });
    world.fetch('wants more', [partition], { minBytes: 5000, maxWaitMs: 300 });
    expect(await world.turnEnds()).toEqual(['0 ms impatient: [] hw 1']);
    expect(await world.after(299)).toEqual([]);
    expect(await world.after(1)).toEqual(['300 ms wants more: [0] hw 1']);
  });

  test('waits for its bytes, over all its partitions', async () => {
    const world = new ReplicaWorld();
    const [one, two] = [await filled(world, 1, 1000, { name: 'one' }), world.partition({ name: 'two' })];
    world.fetch('f', [one, two], { minBytes: 3000 });
    world.produce(two, 'a', 1000);
    expect(await world.turnEnds()).toEqual(['a acks=1: 0', 'a acks=all: 0']);
    world.produce(one, 'b', 1000);
    expect(await world.turnEnds()).toEqual(['b acks=1: 0', 'b acks=all: 0', '0 ms f: [0 1] hw 2 | [0] hw 1']);
  });

  test('is woken by a batch that somebody else than the turn made the log write', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    world.fetch('f', [partition], { maxWaitMs: 30_000 });
    await world.turnEnds();
    partition.append(testBatch(), 'client', NOW_MS);
    // A lookup by time writes first what is queued.
    await partition.log.offsetForTimestamp(NOW_MS);
    expect(await world.turnEnds()).toEqual(['0 ms f: [0] hw 1']);
  });

  test('is not woken by bytes that are only queued, or were taken back', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    const writes = holdWrites(partition.log);
    world.fetch('f', [partition], { minBytes: 2 * LARGE });
    world.produce(partition, 'a', LARGE);
    await world.turnEnds();
    world.produce(partition, 'b', LARGE);
    await world.turnEnds();
    await writes.go();
    expect(await world.turnEnds()).toEqual(['a acks=1: 0', 'a acks=all: 0']);
    await writes.go('ENOSPC');
    await world.turnEnds();
    world.produce(partition, 'c', 1000);
    expect(await world.turnEnds()).toEqual(['c acks=1: 0', 'c acks=all: 0']);
    expect(await world.after(500)).toEqual(['500 ms f: [0 1] hw 2']);
  });

  test('looks again before it lies down: what came during a read of the file is not missed', async () => {
    const world = new ReplicaWorld();
    const partition = await filled(world, 1, 1000, fromFile());
    const read = holdRead(partition.log.segments.active.file());
    world.fetch('f', [partition], { minBytes: 1500, maxWaitMs: 30_000 });
    world.produce(partition, 'a', 1000);
    expect(await world.turnEnds()).toEqual(['a acks=1: 0', 'a acks=all: 0']);
    await read.go();
    expect(await world.turnEnds()).toEqual(['0 ms f: [0 1] hw 2']);
  });

  test('does not wait for bytes that are there and did not fit', async () => {
    const world = new ReplicaWorld();
    const partition = await filled(world, 5, 999);
    // The limit gives one batch of 999 bytes; 1000 are wanted, and 4995 are there.
    world.fetch('f', [{ of: partition, maxBytes: 1500 }], { minBytes: 1000 });
    expect(await world.turnEnds()).toEqual(['0 ms f: [0] hw 5']);
    // More than the partition's limit can never be given: that waits, as in Kafka.
    world.fetch('greedy', [{ of: partition, maxBytes: 1500 }], { minBytes: 2000 });
    expect(await world.turnEnds()).toEqual([]);
    expect(await world.after(500)).toEqual(['500 ms greedy: [0] hw 5']);
  });

  test('does not wait at the end of a segment that is not the last', async () => {
    const world = new ReplicaWorld();
    const partition = await filled(world, 3, 1000, { ...fromFile(), config: { segmentBytes: 2500 } });
    world.fetch('f', [partition], { minBytes: 100_000 });
    expect(await world.turnEnds()).toEqual(['0 ms f: [0 1] hw 3']);
  });
});

describe('byte limits', () => {
  test('one for all partitions in their order; the first with data gives a batch whatever they say', async () => {
    const world = new ReplicaWorld();
    const empty = world.partition({ name: 'empty' });
    const [one, two, three] = [await filled(world, 3, 1000, { name: 'one' }), await filled(world, 3, 1000, { name: 'two' }), await filled(world, 3, 1000, { name: 'three' })];
    world.fetch('4000', [one, two, three], { maxBytes: 4500 });
    world.fetch('of the broker', [one, two, three], { maxBytesOfBroker: 2000 });
    world.fetch('tiny', [empty, one, two], { maxBytes: 10 });
    world.fetch('none', [empty, one, two], { maxBytes: 0 });
    world.fetch('below none', [{ of: one, maxBytes: -1 }, two], { maxBytes: -1 });
    world.fetch('by partition', [{ of: one, maxBytes: 10 }, { of: two, maxBytes: 10 }, { of: three, maxBytes: 2500 }]);
    expect(await world.turnEnds()).toEqual([
      '0 ms 4000: [0 1 2] hw 3 | [0] hw 3 | [] hw 3',
      '0 ms of the broker: [0 1] hw 3 | [] hw 3 | [] hw 3',
      '0 ms tiny: [] hw 0 | [0] hw 3 | [] hw 3',
      '0 ms none: [] hw 0 | [0] hw 3 | [] hw 3',
      '0 ms below none: error -1 | [0] hw 3',
      '0 ms by partition: [0] hw 3 | [] hw 3 | [0 1] hw 3',
    ]);
  });

  test('a reader gets through batches that are each larger than every limit, from memory and from the file', async () => {
    for (const options of [{}, fromFile()]) {
      const world = new ReplicaWorld();
      const partition = await filled(world, 4, LARGE, options);
      for (let from = 0; from < 4; from++) {
        world.fetch('f', [{ of: partition, from, maxBytes: 1000 }], { maxBytes: 1000 });
        expect(await world.turnEnds()).toEqual([`0 ms f: [${from}] hw 4`]);
      }
    }
  });
});

describe('what a reader may see', () => {
  test('nothing beyond the high watermark', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition({ state: { ...ALONE, replicas: [1, 2], isr: [1, 2] } });
    world.produce(partition, 'a');
    await world.turnEnds();
    world.fetch('f', [partition]);
    world.fetch('beyond', [{ of: partition, from: 1 }]);
    world.fetch('outside', [{ of: partition, from: 2 }]);
    expect(await world.turnEnds()).toEqual([`0 ms outside: error ${ErrorCode.OFFSET_OUT_OF_RANGE}`]);
    partition.update({ ...ALONE, leaderEpoch: 6 });
    expect(await world.turnEnds()).toEqual(['a acks=all: 0', '0 ms f: [0] hw 1', '0 ms beyond: [] hw 1']);
  });

  test('read_committed: nothing of an open transaction; its end wakes the reader and says what to leave out', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    world.fetch('committed', [partition], { readCommitted: true, maxWaitMs: 30_000 });
    const transaction = { producerId: 7, producerEpoch: 0, baseSequence: 0, isTransactional: true, values: ['x'] };
    world.fetch('uncommitted', [partition]);
    await world.turnEnds();
    world.produce(partition, 'in transaction', transaction);
    expect((await world.turnEnds()).at(-1)).toBe('0 ms uncommitted: [0] hw 1');
    world.produce(partition, 'behind it', { values: ['y'] });
    expect((await world.turnEnds()).filter((line) => line.includes('ms'))).toEqual([]);
    partition.append(markerBatch('abort', { producerId: 7, producerEpoch: 0 }), COORDINATOR.origin, NOW_MS);
    expect(await world.turnEnds()).toEqual(['0 ms committed: [0 1 2] hw 3 aborted 7@0']);
  });
});

describe('a partition that changes under a fetch', () => {
  test('one error answers for all at once', async () => {
    const world = new ReplicaWorld();
    const partition = world.partition();
    world.fetch('f', [partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]);
    expect(await world.turnEnds()).toEqual(['0 ms f: [] hw 0 | error 3']);
  });

  test('deleted during the read of a file: the fetch looks again and says so', async () => {
    const world = new ReplicaWorld();
    const partition = await filled(world, 1, 1000, fromFile());
    const read = holdRead(partition.log.segments.active.file());
    const fetch = world.fetch('f', [partition], { minBytes: 5000 });
    await world.turnEnds();
    fetch.found[0] = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
    partition.leave(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    await read.go();
    expect(await world.turnEnds()).toEqual(['0 ms f: error 3']);
    expect(world.time.pendingTimers).toBe(0);
  });

  test('deleted and made again: the fetch by name reads the new one', async () => {
    const world = new ReplicaWorld();
    const [old, fresh] = [world.partition(), world.partition()];
    const fetch = world.fetch('f', [old]);
    await world.turnEnds();
    fetch.found[0] = fresh;
    old.leave(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    expect(await world.turnEnds()).toEqual(['0 ms f: [] hw 0']);
  });
});
