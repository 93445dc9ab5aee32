/** The shard over a machine as simple as can be: a map of names and numbers. */
import { expect, test } from 'vitest';
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts';
import { CompressionType, recordCount } from '../../../protocol/record/batch.ts';
import { buildBatch } from '../../../protocol/record/build.ts';
import { Shard } from '../../../src/coordinator/shard.ts';
import type { Outcome, RecordCodec, ShardOptions, StateMachine } from '../../../src/coordinator/shard.ts';
import { TimelineMap } from '../../../src/coordinator/timeline.ts';
import type { Timeline } from '../../../src/coordinator/timeline.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { TestLog } from './shard-log.ts';
import { World } from './world.ts';

type Entry = { name: string; value: number | null };

const codec: RecordCodec<Entry> = {
  encodeKey: ({ name }) => Buffer.from(name),
  encodeValue: ({ value }) => (value === null ? null : Buffer.from(String(value))),
  decode: (key, value) => (key.toString().startsWith('?') ? null : { name: key.toString(), value: value === null ? null : Number(value) }),
};

class Counters implements StateMachine<Entry> {
  readonly map: TimelineMap<string, number>;
  loaded = 0;
  unloaded = 0;

  constructor(timeline: Timeline) {
    this.map = new TimelineMap(timeline);
  }

  replay({ name, value }: Entry): void {
    if (value === null) this.map.delete(name);
    else this.map.set(name, value);
  }

  replayEndOfTransaction(): void {}
  onLoaded(): void { this.loaded++; }
  onUnloaded(): void { this.unloaded++; }
  state(): string { return [...this.map.entries()].map(([name, value]) => `${name}=${value}`).join(' '); }
  committed(): string { return [...this.map.committedEntries()].map(([name, value]) => `${name}=${value}`).join(' '); }
}

function makeShard(options: Partial<ShardOptions> = {}, log = new TestLog()) {
  const world = new World();
  const machines: Counters[] = [];
  const shard = new Shard<Entry, Counters>({
    log,
    name: 'counters',
    codec,
    createMachine: (timeline) => {
      const machine = new Counters(timeline);
      machines.push(machine);
      return machine;
    },
    clock: world,
    timers: world,
    logger: silentLogger,
    options: { batchBytesMax: 1000, lingerMs: -1, commitTimeoutMs: 5000, compression: CompressionType.NONE, ...options },
  });
  const transcript: string[] = [];
  const write = (label: string, ...records: Entry[]): void => {
    shard.write((): Outcome<Entry, string> => ({ records, response: label })).then(
      (answer) => transcript.push(`${answer} ok`),
      (error: unknown) => transcript.push(`${label} ${(error as KafkaError).code}`),
    );
  };
  const said = (): string[] => transcript.splice(0);
  return { world, log, shard, write, said, machines, machine: () => machines.at(-1)! };
}

const a = (value: number | null): Entry => ({ name: 'a', value });
const b = (value: number | null): Entry => ({ name: 'b', value });

test('writes of one turn go out as one batch, and are answered in order when it is committed', async () => {
  const { world, log, shard, write, said, machine } = makeShard();
  write('too early', a(0));
  await world.settle();
  expect(said()).toEqual([`too early ${ErrorCode.COORDINATOR_LOAD_IN_PROGRESS}`]);
  await shard.load();
  log.holds = true;
  write('one', a(1));
  write('two', a(2), b(1));
  write('nothing to write');
  expect(machine().state()).toBe('a=2 b=1');
  expect(shard.read((m) => m.committed())).toBe('');
  await world.settle();
  expect(log.batches.map((batch) => recordCount(batch, 0))).toEqual([3]);
  expect(said()).toEqual([]);
  log.commit();
  await world.settle();
  expect(said()).toEqual(['one ok', 'two ok', 'nothing to write ok']);
  expect(shard.read((m) => m.committed())).toBe('a=2 b=1');
  write('nothing before it');
  await world.settle();
  expect(said()).toEqual(['nothing before it ok']);
});

test('a failed append takes back what followed it, and nothing before', async () => {
  const { world, log, shard, write, said, machine } = makeShard();
  await shard.load();
  write('kept', a(1));
  await world.settle();
  log.holds = true;
  write('lost', a(2));
  await world.settle();
  write('built upon it', b(2));
  await world.settle();
  write('not yet appended', b(3));
  expect(machine().state()).toBe('a=2 b=3');
  log.fail(ErrorCode.KAFKA_STORAGE_ERROR);
  await world.settle();
  expect(said()).toEqual(['kept ok', `lost ${ErrorCode.KAFKA_STORAGE_ERROR}`, `built upon it ${ErrorCode.KAFKA_STORAGE_ERROR}`, `not yet appended ${ErrorCode.KAFKA_STORAGE_ERROR}`]);
  expect(machine().state()).toBe('a=1');
  log.holds = false;
  write('there is room again', b(4));
  await world.settle();
  expect(said()).toEqual(['there is room again ok']);
  expect(machine().committed()).toBe('a=1 b=4');
  expect([machine().loaded, machine().unloaded]).toEqual([1, 0]);
});

test('an append that is refused at once leaves the state as it was', async () => {
  const { world, log, shard, write, said, machine } = makeShard({ lingerMs: 0 });
  await shard.load();
  write('kept', a(1));
  log.refusal = ErrorCode.NOT_LEADER_OR_FOLLOWER;
  write('refused', a(2));
  log.refusal = null;
  write('again', a(3));
  await world.settle();
  expect(said()).toEqual([`refused ${ErrorCode.NOT_LEADER_OR_FOLLOWER}`, 'kept ok', 'again ok']);
  expect(machine().state()).toBe('a=3');
});

test('a log that is not where the state thinks it is: the state is loaded anew', async () => {
  const { world, log, shard, write, said, machine, machines } = makeShard();
  await shard.load();
  log.batches.push(buildBatch({ baseOffset: 0, records: [{ key: Buffer.from('stray'), value: Buffer.from('7') }] }));
  write('out of step', a(1));
  await world.settle();
  expect(said()).toEqual([`out of step ${ErrorCode.NOT_COORDINATOR}`]);
  expect(machines.map(({ loaded, unloaded }) => [loaded, unloaded])).toEqual([[1, 1], [1, 0]]);
  expect(machine().state()).toBe('stray=7 a=1');
  write('in step', b(1));
  await world.settle();
  expect(said()).toEqual(['in step ok']);
});

test('what takes too long to commit is answered, and its records stay', async () => {
  const { world, log, shard, write, said, machine } = makeShard({ commitTimeoutMs: 100 });
  await shard.load();
  log.holds = true;
  write('slow', a(1));
  await world.pass(60);
  write('later', a(2));
  await world.pass(39);
  expect(said()).toEqual([]);
  await world.pass(1);
  expect(said()).toEqual([`slow ${ErrorCode.REQUEST_TIMED_OUT}`]);
  log.commit();
  await world.settle();
  expect(said()).toEqual(['later ok']);
  expect(machine().committed()).toBe('a=2');
  await world.pass(1000);
  expect(world.timerCount).toBe(0);
});

test('with a linger time, batches wait for it or until they are full', async () => {
  const { world, log, shard, write, said } = makeShard({ lingerMs: 10, batchBytesMax: 200 });
  await shard.load();
  write('one', a(1));
  await world.pass(5);
  write('two', a(2));
  await world.pass(4);
  expect(log.batches.length).toBe(0);
  await world.pass(1);
  expect(log.batches.map((batch) => recordCount(batch, 0))).toEqual([2]);
  for (let i = 0; i < 6; i++) write(`${i}`, a(i));
  await world.settle();
  expect(log.batches.length).toBeGreaterThan(1);
  await world.pass(10);
  expect(said()).toEqual(['one ok', 'two ok', '0 ok', '1 ok', '2 ok', '3 ok', '4 ok', '5 ok']);
});

test('an operation stays in one batch unless it may be divided, and fails when it is larger than one', async () => {
  const { world, log, shard, write, said, machine } = makeShard({ batchBytesMax: 300 });
  await shard.load();
  const many = (count: number): Entry[] => Array.from({ length: count }, (_, i) => ({ name: `n${i}`, value: i }));
  write('first', a(1));
  write('fills a batch of its own', ...many(6));
  await world.settle();
  expect(log.batches.map((batch) => recordCount(batch, 0))).toEqual([1, 6]);
  write('too large', ...many(40));
  await world.settle();
  expect(said()).toEqual(['first ok', 'fills a batch of its own ok', `too large ${ErrorCode.MESSAGE_TOO_LARGE}`]);
  expect([...machine().map.keys()].length).toBe(7);
  shard.run(() => ({ records: many(40), response: null, divisible: true }));
  await world.settle();
  expect(log.batches.length).toBeGreaterThan(5);
  expect([...machine().map.keys()].length).toBe(41);
});

test('loading replays whole batches, skips types nobody knows, and refuses corruption', async () => {
  const batches = [
    buildBatch({ baseOffset: 0, records: [{ key: Buffer.from('a'), value: Buffer.from('1') }, { key: Buffer.from('?new'), value: Buffer.from('x') }] }),
    buildBatch({ baseOffset: 5, compression: CompressionType.ZSTD, records: [{ key: Buffer.from('b'), value: Buffer.from('2') }, { key: Buffer.from('a'), value: null }] }),
  ];
  const good = makeShard({}, new TestLog(0, 0, batches));
  await good.shard.load();
  expect(good.machine().committed()).toBe('b=2');
  good.write('goes on', a(9));
  await good.world.settle();
  expect(good.log.logEndOffset).toBe(8);

  // A read may end in the middle of a batch.
  const cut = makeShard({}, new TestLog(0, 0, batches));
  cut.log.read = async (from) => (from === 0 ? Buffer.concat([batches[0]!, batches[1]!.subarray(0, 40)]) : batches[1]!);
  await cut.shard.load();
  expect(cut.machine().committed()).toBe('b=2');

  const torn = Buffer.from(batches[1]!);
  torn[torn.length - 1]! ^= 1;
  const bad = makeShard({}, new TestLog(0, 0, [batches[0]!, torn]));
  await bad.shard.load();
  expect(bad.shard.state).toBe('failed');
  bad.write('nobody is there', a(1));
  await bad.world.settle();
  expect(bad.said()).toEqual([`nobody is there ${ErrorCode.NOT_COORDINATOR}`]);
});

test('unloading answers everyone, during loading as well', async () => {
  const { world, log, shard, write, said, machine } = makeShard();
  await shard.load();
  log.holds = true;
  write('in flight', a(1));
  await world.settle();
  write('open', a(2));
  shard.unload();
  await world.settle();
  expect(said()).toEqual([`in flight ${ErrorCode.NOT_COORDINATOR}`, `open ${ErrorCode.NOT_COORDINATOR}`]);
  log.fail(ErrorCode.NOT_LEADER_OR_FOLLOWER);
  write('after', a(3));
  await world.settle();
  expect(said()).toEqual([`after ${ErrorCode.NOT_COORDINATOR}`]);
  expect(machine().unloaded).toBe(1);

  const loading = makeShard({}, new TestLog(0, 0, [buildBatch({ baseOffset: 0, records: [{ key: Buffer.from('a'), value: Buffer.from('1') }] })]));
  let open!: () => void;
  loading.log.gate = new Promise((resolve) => (open = resolve));
  const done = loading.shard.load();
  loading.shard.unload();
  open();
  await done;
  expect([loading.shard.state, loading.machine().loaded, loading.machine().unloaded]).toEqual(['unloaded', 0, 0]);
});
