/**
 * `npm run test:cluster`: three nodes as processes, with real sockets and disks, harmed under load; then everything is read and judged.
 *
 *   --rounds N (200) kills; other scenarios take a share of it   --quick: a few rounds of each   --only REGEX on scenarios   --seed N (of the time)
 *   --time-limit-s N: no new round of a scenario after that (3600); ten minutes later it is ended wherever it is
 *   --kind ottla|reference   --dir DIR (in memory where there is /dev/shm)   --rate N records a second   --session-ms N   --keep
 *
 * Promises: says its seed, what was skipped and why, and what was measured; the last line is `N passed, N failed, N skipped`; exit status 1 when anything failed,
 * and then the nodes' directories stay. No process, mount or namespace outlives it.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BrokerKind, SMALL_JVM, referenceDir } from '../../bench/broker-process.ts';
import { combinedNodes } from '../../bench/cluster-process.ts';
import { driverProgram } from '../../bench/librdkafka.ts';
import { javaProducer } from './java-producer.ts';
import { kills } from './kills.ts';
import type { Programs } from './load.ts';
import { enterOwnNetwork, partitions } from './partitions.ts';
import { pauses } from './pauses.ts';
import { powerLoss } from './power-loss.ts';
import { rollingRestart } from './rolling-restart.ts';
import { type Outcome, type ScenarioContext, Skip } from './scenario.ts';
import { quickFailover } from './settings.ts';

interface Scenario {
  readonly name: string;
  readonly run: (context: ScenarioContext) => Promise<Outcome>;
  /** Rounds of a quick run, and of one with `--rounds 200`. */
  readonly quick: number;
  readonly full: number;
}

const scenarios: readonly Scenario[] = [
  { name: 'kill -9', run: kills, quick: 6, full: 200 },
  { name: 'network partitions', run: partitions, quick: 2, full: 30 },
  { name: 'pauses', run: pauses, quick: 2, full: 20 },
  { name: 'rolling restart', run: rollingRestart, quick: 1, full: 5 },
  { name: 'power loss', run: powerLoss, quick: 2, full: 30 },
];

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    seed: { type: 'string' },
    kind: { type: 'string', default: 'ottla' },
    dir: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
    rate: { type: 'string', default: '1000' },
    'session-ms': { type: 'string' },
    keep: { type: 'boolean', default: false },
    'time-limit-s': { type: 'string', default: '3600' },
  },
});

/** What a scenario may take after its last round, until it has read and judged everything. */
const ENDING_MS_MAX = 600_000;

const say = (line: string) => console.log(line);

async function programs(): Promise<Programs> {
  const without = (name: string) => (error: Error) => {
    say(`without ${name}: ${error.message}`);
    return null;
  };
  return { librdkafka: await driverProgram().catch(without('librdkafka')), java: await javaProducer().catch(without('Java')) };
}

async function main(): Promise<number> {
  process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143)); // 'exit' ends nodes and clients
  const kind = values.kind as BrokerKind;
  // What is built needs the network that a namespace of our own has not.
  if (kind === 'reference') referenceDir();
  const built = await programs();
  const inside = await enterOwnNetwork();
  if (inside !== null) return inside;
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  const dir = mkdtempSync(join(values.dir, 'ottla-cluster-'));
  say(`${kind}, seed ${seed}`);
  const count = { pass: 0, fail: 0, skip: 0 };
  const only = new RegExp(values.only);
  for (const { name, run, quick, full } of scenarios.filter((each) => only.test(each.name))) {
    const rounds = values.quick ? quick : Math.max(1, Math.round((full * Number(values.rounds)) / 200));
    const home = join(dir, name.replaceAll(' ', '-'));
    mkdirSync(home);
    const startedMs = performance.now();
    try {
      const { violations, facts } = await run({
        kind, dir: home, seed, rounds, programs: built, nodes: combinedNodes(kind, 3), recordsPerSecond: Number(values.rate), stallMsMax: 90_000, keep: values.keep,
        deadlineMs: startedMs + Number(values['time-limit-s']) * 1000, limitMs: Number(values['time-limit-s']) * 1000 + ENDING_MS_MAX,
        settings: quickFailover({ sessionMs: Number(values['session-ms'] ?? (kind === 'ottla' ? 400 : 2_000)) }),
        env: SMALL_JVM,
        say: (line) => say(`  ${name}: ${line}`),
      });
      const ok = violations.length === 0;
      count[ok ? 'pass' : 'fail']++;
      say(`${ok ? 'passed' : 'FAILED'} ${name}: at most ${rounds} rounds, in ${((performance.now() - startedMs) / 1000).toFixed(0)} s, ${violations.length} violations`);
      for (const fact of facts) say(`  ${name}: ${fact}`);
      for (const violation of violations.slice(0, 50)) say(`  ${violation}`);
      if (violations.length > 50) say(`  and ${violations.length - 50} more`);
      if (ok && !values.keep) rmSync(home, { recursive: true, force: true });
    } catch (error) {
      if (error instanceof Skip) {
        count.skip++;
        say(`skipped ${name}: ${error.message}`);
        continue;
      }
      count.fail++;
      say(`FAILED ${name}: ${(error as Error).stack}`);
    }
  }
  if (count.fail === 0 && !values.keep) rmSync(dir, { recursive: true, force: true });
  else say(`the nodes' directories are in ${dir}; again with --seed ${seed}`);
  say(`${count.pass} passed, ${count.fail} failed, ${count.skip} skipped`);
  return count.fail > 0 ? 1 : 0;
}

process.exit(await main());
