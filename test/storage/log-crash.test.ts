/**
 * Crashes of the log, all of them: each flow is run once, and after every call in it the world ends in every way that the crash disk knows. What a new
 * broker then finds must be a prefix of what was appended that holds all that was flushed (T3), and the recovery that finds it may crash too.
 *
 * OTTLA_CRASH_SEEDS is the number of random outcomes at each boundary (2), OTTLA_CRASH_RECOVERY_SEEDS those of a crash in a recovery (1), and one of
 * OTTLA_CRASH_RECOVERY_EVERY recoveries that change something is crashed itself (5; 1 for all).
 */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { MemoryDisk } from '../../storage/memory-disk.ts';
import { contentsOf } from './crash-disk.ts';
import { PLAIN_OUTCOMES, showOutcome } from './crash-outcome.ts';
import type { CrashDisk } from './crash-disk.ts';
import type { Outcome } from './crash-outcome.ts';
import type { Contents } from './log-model.ts';
import { FLOWS, Steps } from './log-flows.ts';
import type { Flow } from './log-flows.ts';
import { judge, LogWorld } from './log-world.ts';
import type { Expectation } from './log-world.ts';

const SEEDS = Number(process.env.OTTLA_CRASH_SEEDS ?? 2);
const RECOVERY_SEEDS = Number(process.env.OTTLA_CRASH_RECOVERY_SEEDS ?? 1);
const RECOVERY_EVERY = Number(process.env.OTTLA_CRASH_RECOVERY_EVERY ?? 5);
/** A prime, so that the images from which the log goes on are of all kinds. */
const GO_ON_EVERY = 7;

function outcomes(boundary: number, seeds: number): Outcome[] {
  return [...PLAIN_OUTCOMES, ...Array.from({ length: seeds }, (_, index) => ({ seed: boundary * 1_000 + index }))];
}

class Enumeration {
  images = 0;
  judged = 0;
  recoveries = 0;
  readonly #flow: Flow;
  readonly #world: LogWorld;
  readonly #seen = new Set<string>();

  constructor(flow: Flow, world: LogWorld) {
    this.#flow = flow;
    this.#world = world;
  }

  async crashes(disk: CrashDisk<Expectation>, options: { changes: number; seeds: number; path: string; depth: number }): Promise<void> {
    const { changes, seeds, path, depth } = options;
    for (let boundary = 0; boundary <= changes; boundary++) {
      const expectation = disk.observedAt(boundary);
      const pending = disk.isInDoubt(boundary);
      for (const outcome of pending ? outcomes(boundary, seeds) : (['everything'] as const)) {
        const image = disk.image(boundary, outcome);
        this.images++;
        const where = `${path}${path === '' ? '' : ', '}crash after call ${boundary}, ${showOutcome(outcome)}`;
        // A disk that was judged already, against promises as strong.
        const known = fingerprint(image, expectation, outcome === 'everything' && depth === 1);
        if (this.#seen.has(known)) continue;
        this.#seen.add(known);
        await this.#judge(disk, image, { boundary, outcome, expectation, where, depth });
      }
    }
  }

  async #judge(disk: CrashDisk<Expectation>, image: MemoryDisk, at: { boundary: number; outcome: Outcome; expectation: Expectation; where: string; depth: number }): Promise<void> {
    const { boundary, outcome, expectation, where, depth } = at;
    const goOn = this.judged++ % GO_ON_EVERY === 0;
    let recovery: CrashDisk<Expectation>;
    let changes: number;
    try {
      ({ disk: recovery, recoveryChanges: changes } = await judge(image, { config: this.#world.config, expectation, isKill: outcome === 'everything' && depth === 1, seed: boundary, goOn }));
    } catch (error) {
      const files = [...contentsOf(image)].map(([path, bytes]) => `${path} ${bytes.length}`).join('\n  ');
      throw new Error(`${this.#flow.name}: ${where}: ${(error as Error).message}\n${disk.transcript(boundary)}\nleft:\n  ${files}`, { cause: error });
    }
    if (depth === 2 || changes === 0) return;
    if (this.recoveries++ % RECOVERY_EVERY !== 0) return;
    await this.crashes(recovery, { changes, seeds: RECOVERY_SEEDS, path: `${where}; in its recovery`, depth: 2 });
  }
}

const identities = new WeakMap<Contents, number>();
let lastIdentity = 0;

/** Contents are never changed, only replaced. */
function identity(contents: Contents): number {
  let known = identities.get(contents);
  if (known === undefined) identities.set(contents, (known = ++lastIdentity));
  return known;
}

function fingerprint(image: MemoryDisk, expectation: Expectation, isKill: boolean): string {
  const hash = createHash('sha1');
  for (const [path, bytes] of contentsOf(image)) hash.update(`${path}\n${bytes.length}\n`).update(bytes);
  const allowed = expectation.allowed.map(({ contents, ...numbers }) => [identity(contents), numbers]);
  hash.update(JSON.stringify([isKill, expectation.isDurable, allowed]));
  return hash.digest('base64');
}

test.each(FLOWS)('$name', { timeout: 600_000 }, async (flow) => {
  const world = new LogWorld(flow.config === undefined ? {} : { config: flow.config });
  const steps = new Steps(world);
  await flow.run(steps);
  expect(steps.errors).toEqual([]);
  const enumeration = new Enumeration(flow, world);
  await enumeration.crashes(world.disk, { changes: world.disk.boundaries, seeds: SEEDS, path: '', depth: 1 });
  expect(enumeration.judged).toBeGreaterThan(world.disk.boundaries);
  expect(enumeration.recoveries).toBeGreaterThan(3);
  if (process.env.OTTLA_CRASH_REPORT !== undefined) {
    console.log(`${flow.name}: ${world.disk.boundaries} calls, ${enumeration.images} images, ${enumeration.judged} judged, ${enumeration.recoveries} recoveries that changed something`);
  }
});

test('a log that has lost what was flushed does not take what it is given then for flushed', async () => {
  const world = new LogWorld();
  world.open();
  for (let round = 0; round < 4; round++) world.append(2);
  await world.flush();
  await world.checkpoint();
  world.kill();
  // No crash does that; a disk that forgets, or a person, does.
  const { live } = world.disk;
  const file = live.open('/data/t-0/00000000000000000000.log', 'update');
  file.truncate(file.sizeBytes() - 1);
  file.close();
  const contents = world.contents.slice(0, 3);
  const seen = new LogWorld({ disk: { from: live } });
  Object.assign(seen, { contents, logStart: 0 });
  seen.open();
  expect(seen.log.recovery.lostFlushed).toBe(true);
  expect([seen.log.logEndOffset, seen.log.recoveryPoint]).toEqual([6, 6]);
  seen.append(2);
  seen.append(3);
  await seen.write();
  // The first of the two is torn; were it below the recovery point, it would be taken for one that has rotted, and kept.
  const again = seen.disk.image(seen.disk.boundaries, 'everything');
  const torn = again.open('/data/t-0/00000000000000000000.log', 'update');
  const size = torn.sizeBytes();
  torn.writeSync([Buffer.alloc(8)], size - seen.contents.at(-1)!.bytes.length - 8);
  torn.close();
  const { endOffset } = await judge(again, { config: seen.config, expectation: seen.expectation(), isKill: false, seed: 1 });
  expect(endOffset).toBe(6);
});
