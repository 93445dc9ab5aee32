/**
 * A disk that fails: each flow is run again and again, with its first call failing, its second, its third, ... until it has none left (T4). Whatever
 * fails, nothing that was promised is lost, nothing that is promised afterwards is a lie, and a disk that was only full is used again.
 *
 * OTTLA_FAULT_EVERY: of each so many cases one is run, a different one for each kind of fault (5; 1 for all, which takes a minute).
 */
import assert from 'node:assert';
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import { contentsOf } from './crash-disk.ts';
import { showOutcome } from './crash-outcome.ts';
import type { Call, CallKind, Fault } from './crash-disk.ts';
import type { Outcome } from './crash-outcome.ts';
import { FLOWS, Steps } from './log-flows.ts';
import type { Flow } from './log-flows.ts';
import { judge, LogWorld, tolerate } from './log-world.ts';
import { readBatches } from './read-log.ts';

const EVERY = Number(process.env.OTTLA_FAULT_EVERY ?? 5);

const NEEDS_DESCRIPTOR: readonly CallKind[] = ['open', 'list', 'readFile', 'syncDirectory'];
const NEEDS_SPACE: readonly CallKind[] = ['open', 'write', 'rename', 'makeDirectory'];
const CHANGES: readonly CallKind[] = [...NEEDS_SPACE, 'truncate', 'sync', 'syncDirectory', 'unlink', 'removeDirectory'];
const SYNCS: readonly CallKind[] = ['sync', 'syncDirectory'];
const ALL: readonly CallKind[] = [...CHANGES, 'list', 'status', 'readFile', 'read'];

const FAULTS: readonly { readonly name: string; readonly fault: Fault; readonly kinds: readonly CallKind[] }[] = [
  { name: 'EIO', fault: { code: 'EIO' }, kinds: ALL },
  { name: 'EIO after half of the bytes', fault: { code: 'EIO', isShort: true }, kinds: ['write'] },
  { name: 'ENOSPC', fault: { code: 'ENOSPC' }, kinds: NEEDS_SPACE },
  { name: 'ENOSPC after half of the bytes', fault: { code: 'ENOSPC', isShort: true }, kinds: ['write'] },
  { name: 'ENOSPC of a sync', fault: { code: 'ENOSPC' }, kinds: SYNCS },
  { name: 'EMFILE', fault: { code: 'EMFILE' }, kinds: NEEDS_DESCRIPTOR },
  { name: 'ENFILE', fault: { code: 'ENFILE' }, kinds: NEEDS_DESCRIPTOR },
  { name: 'EROFS', fault: { code: 'EROFS' }, kinds: CHANGES },
];
const PASSING = new Set(['ENOSPC', 'EMFILE', 'ENFILE']);

interface Case {
  readonly flow: Flow;
  readonly fault: Fault;
  readonly kinds: readonly CallKind[];
  /** The how manieth call of those kinds. */
  readonly at: number;
  readonly isForever: boolean;
}

/** Runs the case; false when the flow has ended before its turn. */
async function run({ flow, fault, kinds, at, isForever }: Case): Promise<boolean> {
  let count = 0;
  const failed: Call[] = [];
  const world = new LogWorld({
    ...(flow.config !== undefined && { config: flow.config }),
    disk: {
      fault: (call) => {
        if (!kinds.includes(call.kind)) return undefined;
        const number = count++;
        if (isForever ? number < at : number !== at) return undefined;
        failed.push(call);
        return fault;
      },
    },
  });
  const steps = new Steps(world);
  let left = '';
  const describeCase = (): string => {
    const [first] = failed;
    const where = first === undefined ? 'nothing' : `call ${first.number}, ${first.kind} ${first.path}`;
    const calls = world.disk.calls.slice(Math.max(0, (first?.number ?? 0) - 12), (first?.number ?? 0) + 30);
    return `${flow.name}: ${fault.code}${fault.isShort === true ? ' (short)' : ''} of ${where}${isForever ? ' and all after it' : ''}\n` +
      `errors: ${steps.errors.map((error) => error.message).join('; ')}\n${calls.map(({ number, kind, path }) => `${number} ${kind} ${path}`).join('\n')}\n--\n${world.disk.transcript()}`;
  };
  try {
    await flow.run(steps);
    const [first] = failed;
    if (first === undefined) return false;
    noSyncAgain(world.disk.calls, failed);
    world.disk.fault = undefined;
    if (steps.isOpen) await afterwards(world, first, fault);
    // The process is killed, or the machine: what a new broker finds must be what this one promised.
    const expectation = world.expectation();
    const { boundaries } = world.disk;
    const outcomes: Outcome[] = ['everything', 'nothing', { seed: at * 31 + 7 }, { seed: at * 31 + 8 }];
    for (const outcome of outcomes) {
      const image = world.disk.image(boundaries, outcome);
      left = `left, ${showOutcome(outcome)}:\n${[...contentsOf(image)].map(([path, bytes]) => `${path} ${bytes.length}`).join('\n')}`;
      await judge(image, { config: world.config, expectation, isKill: outcome === 'everything', seed: at, goOn: outcome === 'everything' });
    }
    return true;
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${describeCase()}\n${left}`, { cause: error });
  }
}

/** After a sync of a file of the log has failed, a second one proves nothing and must not be asked for one. */
function noSyncAgain(calls: readonly Call[], failed: readonly Call[]): void {
  for (const { kind, path, number } of failed) {
    if (kind !== 'sync' || !path.endsWith('.log')) continue;
    const again = calls.find((call) => call.number > number && call.kind === 'sync' && call.path === path);
    assert(again === undefined || calls.some((call) => call.number > number && call.number < again.number && call.kind === 'status' && call.path === '/data'), `sync ${path} again`);
  }
}

/** The fault is over. */
async function afterwards(world: LogWorld, first: Call, fault: Fault): Promise<void> {
  const { log } = world;
  if (PASSING.has(fault.code) && !SYNCS.includes(first.kind)) assert(!world.hasFailed, `${fault.code} has ended the log: ${log.failure?.message}`);
  if (world.hasFailed) {
    assert.equal(world.append(1).error, ErrorCode.KAFKA_STORAGE_ERROR, 'appending to a log that has failed');
    assert((await tolerate(() => log.flush())) !== undefined, 'flushing a log that has failed');
  } else {
    assert.equal(world.append(1).error, ErrorCode.NONE, 'appending again');
    await world.flush();
  }
  // Reads go on either way.
  if (world.isHalfCut) return;
  const end = log.writtenEndOffset;
  const found = await readBatches(log);
  const known = world.contents.filter(({ lastOffset }) => lastOffset >= log.logStartOffset && lastOffset < end);
  assert.deepEqual(found.map(({ baseOffset }) => baseOffset), known.map(({ baseOffset }) => baseOffset), 'batches that can be read');
}

describe.each(FLOWS)('$name', { timeout: 600_000 }, (flow) => {
  test.each(FAULTS.map((fault, index) => ({ ...fault, index })))('$name', async ({ fault, kinds, index }) => {
    let cases = 0;
    for (const isForever of [false, true]) {
      for (let at = 0; ; at++) {
        if (at % EVERY !== (isForever ? 0 : index % EVERY)) continue;
        if (!(await run({ flow, fault, kinds, at, isForever }))) break;
        cases++;
      }
    }
    expect(cases).toBeGreaterThan(0);
  });
});

test('a stop that could not write everything down leaves no mark of a clean one', async () => {
  const world = new LogWorld();
  world.open();
  world.append(1);
  await world.write();
  world.disk.fault = ({ kind, path }) => (kind === 'write' && path.includes('leader-epoch') ? { code: 'ENOSPC' } : undefined);
  const error = await tolerate(() => world.close());
  expect(error?.message).toContain('ENOSPC');
  expect(world.disk.live.list('/data')).not.toContain('.kafka_cleanshutdown');
});
