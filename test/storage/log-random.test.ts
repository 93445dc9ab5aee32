/**
 * Random commands to a log and to a plain array, compared all along: appends, transactions, repeated and missing batches, rolls, flushes, truncations,
 * retention, restarts, kills, and power losses after which the same log goes on with what was left. A failure is shrunk to the commands that it takes.
 *
 * OTTLA_MODEL_RUNS (300) sequences from OTTLA_MODEL_SEED (1) on, of OTTLA_MODEL_COMMANDS (60) each.
 */
import assert from 'node:assert';
import { expect, test } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import type { Outcome } from './crash-outcome.ts';
import { PLAIN_OUTCOMES, showOutcome } from './crash-outcome.ts';
import { stableOffset } from './log-model.ts';
import { LogWorld } from './log-world.ts';
import { Seeded } from './seeded.ts';

const RUNS = Number(process.env.OTTLA_MODEL_RUNS ?? 300);
const FIRST_SEED = Number(process.env.OTTLA_MODEL_SEED ?? 1);
const COMMANDS = Number(process.env.OTTLA_MODEL_COMMANDS ?? 60);
const SHRINK_RUNS_MAX = 400;

const WEIGHTS = {
  append: 24, produce: 10, transact: 10, end: 7, repeat: 4, skip: 2, write: 10, flush: 6, appendWhileFlushing: 4, roll: 3, epoch: 3, truncate: 3,
  startAt: 1, deleteRecords: 3, retain: 3, checkpoint: 5, later: 2, restart: 2, kill: 2, crash: 4, check: 6,
} as const;
type Name = keyof typeof WEIGHTS;
const NAMES = (Object.keys(WEIGHTS) as Name[]).flatMap((name) => Array.from({ length: WEIGHTS[name] }, () => name));

/** What it does depends on the log at that time too, so that any subsequence of commands makes sense. */
interface Command {
  readonly name: Name;
  /** In [0, 1): which, how many, how far. */
  readonly a: number;
  readonly b: number;
}

function generate(random: Seeded): Command[] {
  return Array.from({ length: COMMANDS }, () => ({ name: random.pick(NAMES), a: random.next(), b: random.next() }));
}

const show = ({ name, a, b }: Command): string => `${name} ${a.toFixed(6)} ${b.toFixed(6)}`;
const upTo = (fraction: number, below: number): number => Math.floor(fraction * below);

async function quiet(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function execute(world: LogWorld, { name, a, b }: Command): Promise<void> {
  const { log } = world;
  const count = 1 + upTo(a, 5);
  const start = log.logStartOffset;
  switch (name) {
    case 'append':
      assert.equal(world.append(count).error, ErrorCode.NONE);
      break;
    case 'produce':
      assert.equal(world.append(count, { id: 3 + upTo(b, 2) }).error, ErrorCode.NONE);
      break;
    case 'transact':
      assert.equal(world.append(count, { id: 1 + upTo(b, 2), isTransactional: true }).error, ErrorCode.NONE);
      break;
    case 'end': {
      const id = 1 + upTo(b, 2);
      const own = world.contents.filter(({ producerId }) => producerId === id);
      if (stableOffset(own, Infinity) < Infinity) assert.equal(world.appendMarker(id, a < 0.5 ? 'abort' : 'commit').error, ErrorCode.NONE);
      break;
    }
    case 'repeat':
      world.repeat(1 + upTo(b, 4));
      break;
    case 'skip':
      world.skip(1 + upTo(b, 4));
      break;
    case 'write':
      await world.write();
      break;
    case 'flush':
      await world.flush();
      break;
    case 'appendWhileFlushing': {
      const flushing = world.flush();
      world.append(count);
      const writing = world.write();
      world.append(1);
      await Promise.all([flushing, writing]);
      break;
    }
    case 'roll':
      log.roll(world.nowMs);
      break;
    case 'epoch':
      world.epoch++;
      break;
    case 'truncate':
      await world.truncate(start + upTo(a, log.logEndOffset - start + 1));
      break;
    case 'startAt':
      await world.startAt(upTo(a, log.logEndOffset + 20));
      break;
    case 'deleteRecords':
      await world.write();
      world.deleteRecords(start + upTo(a * a, log.highWatermark - start + 1));
      break;
    case 'retain':
      await world.write();
      world.retain();
      break;
    case 'checkpoint':
      await world.checkpoint();
      break;
    case 'later':
      world.nowMs += upTo(a, 10_000);
      break;
    case 'restart':
      await world.close();
      world.open();
      break;
    case 'kill':
      await quiet();
      world.kill();
      world.open();
      break;
    case 'crash': {
      await quiet();
      const outcome: Outcome = a < 0.4 ? PLAIN_OUTCOMES[upTo(a / 0.4, PLAIN_OUTCOMES.length)]! : { seed: upTo(a, 1_000_000) };
      // Mostly not long ago, so that the sequence gets somewhere.
      const boundary = world.disk.boundaries - upTo(b * b, Math.min(world.disk.boundaries + 1, 30));
      await world.crash(boundary, outcome, upTo(b, 1_000));
      world.open();
      break;
    }
    case 'check':
      await world.check(upTo(a, 1_000));
      break;
  }
  assert.equal(world.log.logEndOffset >= world.log.writtenEndOffset, true);
  assert.equal(world.log.recoveryPoint <= world.log.logEndOffset, true, 'the recovery point is beyond the end');
}

/** Runs the commands on a fresh log; what went wrong, if something did. */
async function run(seed: number, commands: readonly Command[]): Promise<Error | undefined> {
  const random = new Seeded(seed);
  const world = new LogWorld({ seed, config: { segmentBytes: random.pick([700, 1_000, 2_000]), indexIntervalBytes: random.pick([1, 150, 400]), retentionBytes: random.pick([-1, 1_500]) } });
  try {
    world.open();
    for (const command of commands) await execute(world, command);
    await world.check(seed);
    await quiet();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** Another failure on the way to a smaller one leads astray. */
const withoutNumbers = (error: Error): string => error.message.split('\n')[0]!.replaceAll(/[\d ]+/g, '#');

/** Leaves out whatever the failure does not need: halves first, single commands last. */
async function shrink(seed: number, commands: Command[], failure: Error): Promise<Command[]> {
  const isSame = (other: Error | undefined): boolean => other !== undefined && withoutNumbers(other) === withoutNumbers(failure);
  let runs = 0;
  let smallest = commands;
  for (let size = Math.ceil(commands.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length && runs < SHRINK_RUNS_MAX; runs++) {
      const without = [...smallest.slice(0, at), ...smallest.slice(at + size)];
      if (!isSame(await run(seed, without))) at += size;
      else smallest = without;
    }
  }
  return smallest;
}

test(`${RUNS} sequences of ${COMMANDS} commands`, { timeout: 3_600_000 }, async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
    const commands = generate(new Seeded(seed * 7_919));
    const failure = await run(seed, commands);
    if (failure === undefined) continue;
    const smallest = await shrink(seed, commands, failure);
    const last = (await run(seed, smallest)) ?? failure;
    throw new Error(`seed ${seed}: ${last.message}\ncommands:\n${smallest.map(show).join('\n')}`, { cause: last });
  }
});

test('shrinking finds the commands that matter', async () => {
  // A log that cannot be truncated to its start, for the sake of this test.
  const commands = generate(new Seeded(4)).filter(({ name }) => name !== 'startAt');
  const broken: Command = { name: 'truncate', a: Number.NaN, b: 0 };
  const all = [...commands.slice(0, 30), broken, ...commands.slice(30)];
  const smallest = await shrink(4, all, (await run(4, all))!);
  expect(smallest.map(({ name }) => name)).toEqual(['truncate']);
  expect(showOutcome({ seed: 5 })).toBe('seed 5');
});
