/**
 * `npm run sim -- --bugs`: switches each known bug on in turn and counts the seeds until the simulator finds it; writes the list to `test/sim/bugs/README.md`.
 * Does not: change a file of the product; `bugs/hook.ts` does that in the memory of the processes that run the seeds.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bugs } from './bugs/all.ts';
import type { Bug } from './bugs/bug.ts';
import { runSeeds } from './run-seeds.ts';
import type { SeedReport } from './run-seeds.ts';

const HOOK = fileURLToPath(new URL('./bugs/hook.ts', import.meta.url));
const LIST = fileURLToPath(new URL('./bugs/README.md', import.meta.url));

/** The report of the first seed that fails, or null. */
export async function findBug({ name, kinds, nodes }: Bug, { seedsMax, jobs }: { readonly seedsMax: number; readonly jobs: number }): Promise<SeedReport | null> {
  const reports = await runSeeds({ from: 1, seeds: seedsMax, jobs, stopAtFailure: true, kinds, nodes, execArgv: ['--import', HOOK], environment: { SIM_BUG: name } });
  return reports.find(({ failure }) => failure !== null) ?? null;
}

/** How many were not found. The list is written after each, so that a run that is ended keeps what it has found. */
export async function runBugs({ seedsMax, jobs, only }: { readonly seedsMax: number; readonly jobs: number; readonly only: string | undefined }): Promise<number> {
  const lines = knownLines();
  let missed = 0;
  for (const bug of bugs) {
    if (only !== undefined && !bug.name.includes(only)) continue;
    const startMs = performance.now();
    const found = await findBug(bug, { seedsMax, jobs });
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
    if (found === null) missed++;
    const what = found === null ? `not in ${seedsMax} seeds` : shortened(found.failure!);
    const faults = bug.kinds === undefined ? 'as the seeds have them' : bug.kinds.join(', ');
    lines.set(bug.name, `| ${bug.name} | ${bug.about} | ${faults} | ${found === null ? '-' : found.seed} | ${what} |`);
    console.log(`${bug.name}: ${found === null ? what : `seed ${found.seed}: ${what}`} (${seconds} s)`);
    writeFileSync(LIST, listOf(bugs.map(({ name, about }) => lines.get(name) ?? `| ${name} | ${about} | | | not tried yet |`)));
  }
  return missed;
}

/** Of the list as it is, by bug. */
function knownLines(): Map<string, string> {
  if (!existsSync(LIST)) return new Map();
  const lines = readFileSync(LIST, 'utf8').split('\n').filter((line) => line.startsWith('| '));
  return new Map(lines.map((line) => [line.split(' | ')[0]!.slice(2), line]));
}

/** One line, without what is different in each run. */
function shortened(failure: string): string {
  const line = failure.split('\n')[0]!.replaceAll('|', '/').replace(/\s+/g, ' ');
  return line.length > 150 ? `${line.slice(0, 150)}...` : line;
}

function listOf(lines: readonly string[]): string {
  return `# Bugs that the simulator finds

Each is a change of the source that is made while it is loaded (\`bug.ts\`, \`hook.ts\`). The number is the first seed, counted from 1, that fails with it; ordinary
seeds find nothing without it. A dash is a bug that so many seeds have not found yet. Made by \`npm run sim -- --bugs\`.

| bug | what it is | faults | first seed | what was seen |
|---|---|---|---|---|
${lines.join('\n')}
`;
}
