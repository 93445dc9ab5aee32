/**
 * `npm run test:mixed`: ottla and Apache Kafka 4.3.1 in one cluster, both ways.
 *
 *   --quick: one round, one controller where a quorum is of one kind   --short: of that, what shows most in a few minutes   --rounds N (3)   --only REGEX on scenarios   --seed N   --ours ottla|reference (ottla)   --theirs ottla|reference (reference)
 *   --dir DIR   --rate N records a second   --session-ms N   --keep
 *
 * `--ours reference` puts Apache Kafka in our nodes' places too, which must pass: then a failure is ours and not the test's.
 * `--theirs ottla` needs no Java, and tries the scenarios themselves.
 * The last line is `N passed, N failed, N skipped`; exit status 1 when anything failed. Without Java or Maven everything is skipped.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BrokerKind, SMALL_JVM, referenceDir } from '../../bench/broker-process.ts';
import type { NodeSpec } from '../../bench/cluster-process.ts';
import { driverProgram } from '../../bench/librdkafka.ts';
import { javaProducer } from '../cluster/java-producer.ts';
import type { Outcome, ScenarioContext } from '../cluster/scenario.ts';
import { quickFailover } from '../cluster/settings.ts';
import { directoriesChangeHands } from './directories.ts';
import { mixed } from './mixed.ts';
import { throttledMoves } from './throttle.ts';
import { initialControllers, votersComeAndGo } from './voters.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string', default: '' },
    seed: { type: 'string' },
    ours: { type: 'string', default: 'ottla' },
    theirs: { type: 'string', default: 'reference' },
    dir: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
    rate: { type: 'string', default: '400' },
    'session-ms': { type: 'string', default: '2000' },
    keep: { type: 'boolean', default: false },
  },
});

const ours = values.ours as BrokerKind,
  theirs = values.theirs as BrokerKind;
const needsKafka = [ours, theirs].includes('reference');
const controllers = (...kinds: readonly BrokerKind[]): NodeSpec[] => kinds.map((kind, i) => ({ id: 101 + i, kind, roles: ['controller'] }));
const brokers = (...kinds: readonly BrokerKind[]): NodeSpec[] => kinds.map((kind, i) => ({ id: 1 + i, kind, roles: ['broker'] }));
const isQuick = values.quick || values.short;
const some = (kind: BrokerKind): BrokerKind[] => (isQuick ? [kind] : [kind, kind, kind]);

interface Scenario {
  readonly name: string;
  readonly run: (context: ScenarioContext) => Promise<Outcome>;
  /** Of the short run: one of each kind of thing, in a few minutes. */
  readonly isShort?: boolean;
}

/** Both kinds as brokers, under whatever votes: replicas, moves, leaders, elections, kills. */
const together = (name: string, nodes: readonly NodeSpec[], more: Partial<Scenario> = {}): Scenario => ({ name, run: (context) => mixed(context, { nodes, rounds: context.rounds }), ...more });

const scenarios: readonly Scenario[] = [
  together('our brokers join their quorum', [...controllers(...some(theirs)), ...brokers(ours, theirs, ours)]),
  together('their brokers join our quorum', [...controllers(...some(ours)), ...brokers(theirs, ours, theirs)]),
  together('two of ours and one of theirs vote', [...controllers(ours, ours, theirs), ...brokers(theirs, ours)]),
  together('two of theirs and one of ours vote', [...controllers(theirs, theirs, ours), ...brokers(ours, theirs)]),
  together('three that are both', ([ours, theirs, ours] as const).map((kind, i) => ({ id: 1 + i, kind, roles: ['broker', 'controller'] as const })), { isShort: true }),
  { name: 'throttled moves under our controller', run: (context) => throttledMoves(context, { ours, theirs, controller: ours }) },
  { name: 'throttled moves under their controller', run: (context) => throttledMoves(context, { ours, theirs, controller: theirs }) },
  { name: 'voters come and go, ours first', run: (context) => votersComeAndGo(context, { ours, theirs, first: ours }) },
  { name: 'voters come and go, theirs first', run: (context) => votersComeAndGo(context, { ours, theirs, first: theirs }) },
  { name: 'initial controllers, two of ours', run: (context) => initialControllers(context, { ours, theirs, alone: theirs }) },
  { name: 'initial controllers, two of theirs', run: (context) => initialControllers(context, { ours, theirs, alone: ours }) },
  { name: 'directories change hands', run: (context) => directoriesChangeHands(context, { ours, theirs }), isShort: true },
];

/** Of each round; a busy machine needs a third of it. */
const SCENARIO_MS_MAX = 600_000;

const say = (line: string) => console.log(line);

async function main(): Promise<number> {
  process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143)); // 'exit' ends nodes and clients
  const only = new RegExp(values.only);
  const chosen = scenarios.filter(({ name, isShort = false }) => only.test(name) && (isShort || !values.short));
  try {
    if (needsKafka) referenceDir();
  } catch (error) {
    say(`skipped: no Apache Kafka: ${(error as Error).message}`);
    say(`0 passed, 0 failed, ${chosen.length} skipped`);
    return 0;
  }
  const without = (name: string) => (error: Error) => {
    say(`without ${name}: ${error.message}`);
    return null;
  };
  const programs = { librdkafka: await driverProgram().catch(without('librdkafka')), java: needsKafka ? await javaProducer().catch(without('Java')) : null };
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  const rounds = Number(values.rounds ?? (isQuick ? 1 : 3));
  const dir = mkdtempSync(join(values.dir, 'ottla-mixed-'));
  say(`ours is ${ours}, theirs ${theirs}, seed ${seed}`);
  const count = { pass: 0, fail: 0 };
  for (const { name, run } of chosen) {
    const home = join(dir, name.replaceAll(/[ ,]+/g, '-'));
    mkdirSync(home);
    const startedMs = performance.now();
    try {
      const { violations, facts } = await run({
        kind: ours, dir: home, seed, rounds, programs, nodes: [], recordsPerSecond: Number(values.rate), stallMsMax: 120_000, keep: values.keep, deadlineMs: Infinity, limitMs: SCENARIO_MS_MAX * rounds,
        settings: quickFailover({ sessionMs: Number(values['session-ms']) }),
        env: SMALL_JVM,
        say: (line) => say(`  ${name}: ${line}`),
      });
      const ok = violations.length === 0;
      count[ok ? 'pass' : 'fail']++;
      say(`${ok ? 'passed' : 'FAILED'} ${name}: ${((performance.now() - startedMs) / 1000).toFixed(0)} s, ${violations.length} violations`);
      for (const fact of facts) say(`  ${name}: ${fact}`);
      for (const violation of violations.slice(0, 50)) say(`  ${violation}`);
    } catch (error) {
      count.fail++;
      say(`FAILED ${name}: ${(error as Error).stack}`);
    }
  }
  if (count.fail === 0 && !values.keep) rmSync(dir, { recursive: true, force: true });
  else say(`the nodes' directories are in ${dir}; again with --seed ${seed}`);
  say(`${count.pass} passed, ${count.fail} failed, 0 skipped`);
  return count.fail > 0 ? 1 : 0;
}

process.exit(await main());
