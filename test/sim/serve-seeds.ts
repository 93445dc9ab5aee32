/**
 * A process that runs seeds: each message is a seed, each answer its report. Its argument is the options of the plans, as JSON.
 * Does not: end by itself; it does when its parent is gone.
 */
import { planOf } from './plan.ts';
import type { PlanOptions } from './plan.ts';
import type { SeedReport } from './run-seeds.ts';
import { simulate } from './simulation.ts';
import type { SimulationResult } from './simulation.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as PlanOptions;

function reportOf(seed: number, result: SimulationResult, realMs: number): SeedReport {
  const { failure, hash, events, virtualMs, acknowledged, faults } = result;
  return { seed, failure, hash, events, virtualMs, acknowledged, faults: [...faults], realMs };
}

process.on('message', (seed: number) => {
  const startMs = performance.now();
  void simulate(planOf(seed, options)).then((result) => process.send!(reportOf(seed, result, performance.now() - startMs)));
});
