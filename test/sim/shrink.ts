/**
 * Makes a failing plan smaller: fewer faults, fewer clients, less time, as long as it fails in the same way.
 * Promises: what it gives fails, by a run of its own. Does not: find the smallest; it stops after `RUNS_MAX` runs.
 */
import type { Plan } from './plan.ts';

const RUNS_MAX = 80;

/** `run` says how a plan fails, or null. */
export async function shrink(plan: Plan, run: (plan: Plan) => Promise<string | null>): Promise<{ plan: Plan; kind: string } | null> {
  const kind = await run(plan);
  if (kind === null) return null;
  let best = plan;
  let runs = 1;
  const attempt = async (candidate: Plan): Promise<boolean> => {
    if (runs >= RUNS_MAX) return false;
    runs++;
    if ((await run(candidate)) !== kind) return false;
    best = candidate;
    return true;
  };
  // Halves, then quarters, ... of the faults are left out.
  for (let size = Math.max(1, best.faults.length >> 1); size >= 1 && best.faults.length > 0; size >>= 1) {
    for (let at = 0; at < best.faults.length; ) {
      const faults = [...best.faults.slice(0, at), ...best.faults.slice(at + size)];
      if (!(await attempt({ ...best, faults }))) at += size;
    }
  }
  for (const name of ['members', 'committers', 'consumers', 'producers'] as const) {
    for (let count = name === 'producers' ? 1 : 0; count < best[name]; count++) if (await attempt({ ...best, [name]: count })) break;
  }
  for (let part = 0.25; part < 1; part += 0.25) if (await attempt({ ...best, safetyMs: Math.ceil(plan.safetyMs * part) })) break;
  return { plan: best, kind };
}
