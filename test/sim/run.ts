/**
 * `npm run sim`: runs seeds, on several processes, and says of a failing one what failed and how to see it again, as small as it could be made.
 *
 *     npm run sim -- --seeds 300 [--from 1] [--jobs 2]                 run many
 *     npm run sim -- --seed 17 [--trace]                                run one, with all its events
 *     npm run sim -- --seed 17 --keep 1,4 --ms 6000                     ... with only some of its faults, in less time
 *     npm run sim -- --seeds 100 --kinds 'kill,power' --nodes 4         only these faults, and more of them; a cluster of this size
 *     npm run sim -- --bugs [--only NAME] [--seeds 600]                 switch known bugs on, and count the seeds until each is found
 *
 * Ends with 0 when nothing failed. Does not: look for the cause.
 */
import { parseArgs } from 'node:util';
import { FAULT_KINDS, planOf } from './plan.ts';
import type { Plan, PlanOptions } from './plan.ts';
import { runBugs } from './run-bugs.ts';
import { runSeeds } from './run-seeds.ts';
import type { SeedReport } from './run-seeds.ts';
import { shrink } from './shrink.ts';
import { simulate } from './simulation.ts';

/** The words of a failure that another run of it would have too. */
function kindOf(failure: string): string {
  return failure.replace(/\d+/g, '#').slice(0, 40);
}

function commandOf(plan: Plan, whole: Plan, { nodes, kinds }: PlanOptions): string {
  const kept = plan.faults.map((fault) => whole.faults.indexOf(fault));
  const parts = [`--seed ${plan.seed}`, ...(nodes === undefined ? [] : [`--nodes ${nodes}`]), ...(kinds === undefined ? [] : [`--kinds '${kinds.join()}'`])];
  if (plan.faults.length < whole.faults.length) parts.push(`--keep ${kept.length === 0 ? 'none' : kept.join()}`);
  if (plan.safetyMs !== whole.safetyMs) parts.push(`--ms ${plan.safetyMs}`);
  for (const name of ['producers', 'consumers', 'committers', 'members'] as const) if (plan[name] !== whole[name]) parts.push(`--${name} ${plan[name]}`);
  return `npm run sim -- ${parts.join(' ')} --trace`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' }, from: { type: 'string', default: '1' }, seed: { type: 'string' }, jobs: { type: 'string', default: '2' }, nodes: { type: 'string' }, trace: { type: 'boolean' },
      keep: { type: 'string' }, ms: { type: 'string' }, producers: { type: 'string' }, consumers: { type: 'string' }, committers: { type: 'string' }, members: { type: 'string' },
      kinds: { type: 'string' }, bugs: { type: 'boolean' }, only: { type: 'string' }, shrink: { type: 'boolean' }, quiet: { type: 'boolean' },
    },
  });
  const shape: PlanOptions = {
    ...(values.nodes !== undefined && { nodes: Number(values.nodes) }),
    ...(values.kinds !== undefined && { kinds: FAULT_KINDS.filter((kind) => values.kinds!.split(',').includes(kind)) }),
  };
  if (values.bugs === true) return (await runBugs({ seedsMax: Number(values.seeds ?? '600'), jobs: Number(values.jobs), only: values.only })) === 0 ? 0 : 1;
  if (values.seed !== undefined) {
    const whole = planOf(Number(values.seed), shape);
    const number = (name: 'ms' | 'producers' | 'consumers' | 'committers' | 'members', otherwise: number): number => (values[name] === undefined ? otherwise : Number(values[name]));
    const keep = values.keep === undefined ? whole.faults.map((_, index) => index) : values.keep === 'none' ? [] : values.keep.split(',').map(Number);
    const plan: Plan = {
      ...whole, faults: whole.faults.filter((_, index) => keep.includes(index)), safetyMs: number('ms', whole.safetyMs), producers: number('producers', whole.producers),
      consumers: number('consumers', whole.consumers), committers: number('committers', whole.committers), members: number('members', whole.members),
    };
    if (values.shrink === true) return shrinkOne(plan, whole, shape);
    console.log(JSON.stringify(plan, null, 1));
    const startMs = performance.now();
    const result = await simulate(plan, values.trace === true ? { traceTo: (line) => console.log(line) } : {});
    for (const line of result.lines) console.log(line);
    console.log(`${result.failure ?? 'fine'}; hash ${result.hash}, ${result.events} events, ${Math.round(result.virtualMs)} virtual ms, ${result.acknowledged} acknowledged, ${result.polled} polled, ${Math.round(performance.now() - startMs)} ms`);
    if (result.error instanceof Error) console.log(result.error.stack);
    return result.failure === null ? 0 : 1;
  }
  return runMany({ from: Number(values.from), seeds: Number(values.seeds ?? '100'), jobs: Number(values.jobs), shape, quiet: values.quiet === true });
}

async function runMany({ quiet, shape, ...options }: { from: number; seeds: number; jobs: number; shape: PlanOptions; quiet: boolean }): Promise<number> {
  const startMs = performance.now();
  const reports = await runSeeds({
    ...options, ...shape,
    onReport: ({ seed, failure }) => {
      if (failure !== null && !quiet) console.log(`seed ${seed}: ${failure}`);
    },
  });
  const failed = reports.filter(({ failure }) => failure !== null);
  const total = (of: (report: SeedReport) => number): number => reports.reduce((sum, report) => sum + of(report), 0);
  const faults = new Map<string, number>();
  for (const report of reports) for (const [kind, times] of report.faults) faults.set(kind, (faults.get(kind) ?? 0) + times);
  console.log(`${reports.length} seeds, ${failed.length} failed; ${Math.round(total((one) => one.virtualMs) / 1000)} virtual s, ${total((one) => one.events)} events, ${total((one) => one.acknowledged)} records acknowledged, ${Math.round((performance.now() - startMs) / 1000)} s`);
  console.log(`faults: ${[...faults].sort().map(([kind, times]) => `${kind} ${times}`).join(', ')}`);
  const kinds = new Map<string, SeedReport[]>();
  for (const report of failed) kinds.set(kindOf(report.failure!), [...(kinds.get(kindOf(report.failure!)) ?? []), report]);
  for (const [kind, ones] of kinds) {
    console.log(`${ones.length} x ${kind}: seeds ${ones.slice(0, 10).map(({ seed }) => seed).join()}`);
    if (!quiet) {
      const whole = planOf(ones[0]!.seed, shape);
      await shrinkOne(whole, whole, shape);
    }
  }
  return failed.length === 0 ? 0 : 1;
}

async function shrinkOne(plan: Plan, whole: Plan, shape: PlanOptions): Promise<number> {
  const smaller = await shrink(plan, async (one) => {
    const { failure } = await simulate(one);
    return failure === null ? null : kindOf(failure);
  });
  if (smaller === null) {
    console.log(`seed ${plan.seed} does not fail here`);
    return 0;
  }
  console.log(`  ${smaller.plan.faults.length} of ${whole.faults.length} faults are enough (${smaller.plan.faults.map(({ kind, target, atMs }) => `${kind} ${target} at ${atMs}`).join(', ')}): ${smaller.kind}`);
  console.log(`  ${commandOf(smaller.plan, whole, shape)}`);
  return 1;
}

process.exitCode = await main();
