/** Three nodes harmed, and ottla with Apache Kafka in one cluster: the quick forms of `npm run test:cluster` and `npm run test:mixed`, as parts of the client tests. */
import { join } from 'node:path';
import { referenceDir } from '../../bench/broker-process.ts';
import { command } from '../../bench/command.ts';
import { Missing, type Part, type PartContext, type Result, need } from './part.ts';

const CLUSTER_TIMEOUT_MS = 480_000;
const MIXED_TIMEOUT_MS = 900_000;
/** No scenario begins another round after that: each has had some by then, on a slow machine too. */
const ROUNDS_S_MAX = 45;

/** Exported for its test. The lines of test/cluster/run.ts and test/mixed/run.ts: "passed NAME...: ...", "FAILED NAME: ...", "skipped NAME: WHY", facts and violations below them. */
export function resultsOf(output: string): Result[] {
  const results: Result[] = [];
  const notes = new Map<number, string[]>();
  for (const line of output.split('\n')) {
    const [, how, test, rest] = /^(passed|FAILED|skipped) (.+?): (.*)$/.exec(line) ?? [];
    if (how !== undefined) {
      const seconds = Number(/ in (\d+) s|^(\d+) s/.exec(rest!)?.slice(1).find(Boolean) ?? 0);
      results.push({ test: test!, outcome: how === 'passed' ? 'pass' : how === 'FAILED' ? 'fail' : 'skip', seconds });
      notes.set(results.length - 1, [rest!]);
    } else if (line.startsWith('  ')) notes.get(results.length - 1)?.push(line.trim());
  }
  return results.map((result, at) => ({ ...result, note: notes.get(at)!.slice(0, 20).join('; ') }));
}

interface Script {
  readonly name: string;
  readonly script: string;
  readonly timeoutMs: number;
  readonly words: (context: PartContext) => readonly string[];
  readonly setUp?: () => void;
}

function partOf({ name, script, timeoutMs, words, setUp = () => {} }: Script): Part {
  return {
    name,
    alone: true,
    setUp: async () => setUp(),
    async run(context) {
      const { stdout, stderr, status } = await command(process.execPath, [join(import.meta.dirname, '..', script), '--quick', ...words(context)], { anyStatus: true, timeoutMs });
      const results = resultsOf(stdout);
      if (results.length === 0 || (status !== 0 && !results.some(({ outcome }) => outcome === 'fail'))) throw new Error(`ended with ${status}:\n${(stdout + stderr).slice(-4000)}`);
      return results;
    },
  };
}

export const clusterPart = partOf({
  name: 'cluster', script: 'cluster/run.ts', timeoutMs: CLUSTER_TIMEOUT_MS, words: ({ kind }) => ['--kind', kind, '--rate', '500', '--time-limit-s', String(ROUNDS_S_MAX)],
});

export const mixedPart = partOf({
  name: 'mixed', script: 'mixed/run.ts', timeoutMs: MIXED_TIMEOUT_MS, words: ({ kind }) => ['--short', '--ours', kind, '--rate', '200'],
  setUp() {
    need('java', 'mvn');
    try {
      referenceDir();
    } catch (error) {
      throw new Missing((error as Error).message);
    }
  },
});
