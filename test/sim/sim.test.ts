/** The simulator: it repeats itself exactly, and its seeds find nothing. More of them by `npm run sim -- --seeds N`. */
import { expect, test } from 'vitest';
import { planOf } from './plan.ts';
import { runSeeds } from './run-seeds.ts';
import { shrink } from './shrink.ts';
import { simulate } from './simulation.ts';

const SEEDS = 300;

test('a seed has the same hash again, in this process and in another', async () => {
  const plans = [3, 4].map((seed) => planOf(seed));
  const first = [];
  for (const plan of [...plans, ...plans]) first.push((await simulate(plan)).hash);
  expect(first.slice(2)).toEqual(first.slice(0, 2));
  expect(first[0]).not.toBe(first[1]);
  const others = await runSeeds({ from: 3, seeds: 2, jobs: 2 });
  expect(others.map(({ hash }) => hash)).toEqual(first.slice(0, 2));
}, 300_000);

test(`${SEEDS} seeds`, async () => {
  const reports = await runSeeds({ from: 1, seeds: SEEDS, jobs: 2 });
  expect(reports.filter(({ failure }) => failure !== null).map(({ seed, failure }) => `npm run sim -- --seed ${seed} --trace: ${failure}`)).toEqual([]);
  // A run in which nothing is done finds nothing.
  for (const { seed, acknowledged } of reports) expect(acknowledged, `seed ${seed}`).toBeGreaterThan(0);
}, 900_000);

test('a failing plan is made smaller: what it does not need is left out', async () => {
  const plan = { ...planOf(1, { nodes: 3 }), producers: 3, consumers: 2, members: 2, committers: 1 };
  const faults = Array.from({ length: 8 }, (_, index) => ({ atMs: index, kind: index === 5 ? 'wipe' : 'kill', target: 1, other: 2, ms: 1, choice: 0 }) as const);
  const found = await shrink({ ...plan, faults }, async (one) => (one.faults.some(({ kind }) => kind === 'wipe') && one.producers >= 2 ? 'lost' : null));
  expect(found).toMatchObject({ kind: 'lost', plan: { producers: 2, consumers: 0, members: 0, committers: 0, faults: [{ kind: 'wipe' }] } });
  expect(await shrink({ ...plan, faults }, async () => null)).toBeNull();
});
