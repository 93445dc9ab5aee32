/** One part of the client tests: what it needs, and what came of each of its tests. Does not: decide which parts run; run.ts does. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { BrokerKind, BrokerProcess } from '../../bench/broker-process.ts';

export interface Result {
  readonly test: string;
  readonly outcome: 'pass' | 'fail' | 'skip';
  /** Why it failed or was skipped. */
  readonly note?: string;
  readonly seconds: number;
}

export interface PartContext {
  readonly kind: BrokerKind;
  /** This part's own, empty. */
  readonly dir: string;
  readonly say: (line: string) => void;
}

export interface Part {
  readonly name: string;
  /** Runs when all others have ended, and beside none: it looks at the clock. */
  readonly alone?: boolean;
  /** Downloads and builds, so that nothing is compiled while tests that look at the clock run. Throws `Missing` when a tool cannot be had. */
  setUp(context: PartContext): Promise<void>;
  run(context: PartContext): Promise<readonly Result[]>;
}

/** A tool or privilege that this machine does not have: the part is skipped, and says so. */
export class Missing extends Error {}

export function findProgram(name: string): string | null {
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return join(dir, name);
    } catch (error) {
      if (!['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return null;
}

export function need(...programs: readonly string[]): void {
  const missing = programs.filter((name) => findProgram(name) === null);
  if (missing.length > 0) throw new Missing(`${missing.join(', ')} not found`);
}

export type Check = (broker: BrokerProcess) => Promise<void>;

/** Runs named checks one after another; a check that throws has failed, the others run all the same. */
export async function runChecks(checks: Readonly<Record<string, Check>>, broker: BrokerProcess): Promise<Result[]> {
  const results: Result[] = [];
  for (const [test, check] of Object.entries(checks)) {
    const startedMs = performance.now();
    const result = await check(broker).then(
      () => ({ outcome: 'pass' as const }),
      (error: Error) => ({ outcome: 'fail' as const, note: error.message }),
    );
    results.push({ test, ...result, seconds: (performance.now() - startedMs) / 1000 });
  }
  return results;
}
