/**
 * The conformance suites of OTTLA_SHARED/suites: other people's tests, held to what passes on Apache Kafka 4.3.1 (expected.csv) without those listed in left-out.ts.
 * Promises: each suite on its own fresh broker with the settings of its server.properties; a left-out test is run all the same, and reported when it passes.
 * Does not: count tests that the reference does not pass reliably either.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { freePort, sharedDir, startBrokerProcess } from '../../bench/broker-process.ts';
import { command } from '../../bench/command.ts';
import { DECIDED, leftOut } from './left-out.ts';
import { Missing, type Part, type PartContext, type Result, need } from './part.ts';

interface Suite {
  readonly name: string;
  readonly programs: readonly string[];
  /** The tests dial this port, whatever they are told. */
  readonly port?: number;
  readonly advertisedHost?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A test whose process ended before it had a result is tried once more, and that is said. */
  readonly againAfterCrash?: boolean;
}

const suites: readonly Suite[] = [
  { name: 'librdkafka', programs: ['java', 'mvn', 'npm', 'gcc', 'g++', 'make'] },
  { name: 'kafka-go', programs: ['java', 'mvn', 'go'], port: 9092, advertisedHost: 'localhost' },
  // Its pipelines that need what is left out wait for it until they are stopped; the longest that passes takes 70 s on Apache Kafka.
  { name: 'franz-go', programs: ['java', 'mvn', 'go'], env: { LIMIT: '120', JOBS: '2' } },
  // Without transactions `transactions-producers` asks for a topic that was never made, for the 60 s of Java's admin client; run.sh ends when a call
  // takes longer than LIMIT.
  { name: 'cli', programs: ['java', 'javac', 'mvn', 'node'], env: { LIMIT: '75' } },
  // One of some forty of its processes aborts in the bindings (exit status 134), whatever it tests and whatever the broker: it has not tested anything then.
  { name: 'node-rdkafka', programs: ['java', 'mvn', 'npm', 'node', 'gcc', 'g++', 'make'], againAfterCrash: true },
];

/** Rows of a results.csv or expected.csv: test,result,seconds. */
function rows(file: string): { test: string; result: string; seconds: number; isDead: boolean }[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [test, result, seconds] = line.split(',');
      // A process that ended without a result gets the row `...,fail,0`; the reporter writes `0.0`.
      return { test: test!, result: result!, seconds: Number(seconds), isDead: result === 'fail' && seconds === '0' };
    });
}

function expected(folder: string): string[] {
  const csv = join(folder, 'expected.csv');
  if (existsSync(csv)) return rows(csv).map((row) => row.test);
  return [...readFileSync(join(folder, 'expected.txt'), 'utf8').matchAll(/^### (.+)$/gm)].map((match) => match[1]!);
}

/** The suite's server.properties, without what names listeners: those are ours, and SASL_PLAINTEXT comes with security. */
function settings(folder: string): string[] {
  const file = join(folder, 'server.properties');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .filter((line) => !/^(listeners|advertised\.listeners|sasl\.|listener\.name\.sasl)/.test(line));
}

/** Without this repository's programs: node-rdkafka is compiled for the machine's own Node, and does not load in the pinned one. */
function machinePath(): string {
  return (process.env['PATH'] ?? '').split(delimiter).filter((dir) => !dir.includes('node_modules')).join(delimiter);
}

function suitePart(suite: Suite): Part {
  const folder = () => {
    const shared = sharedDir();
    if (shared === null) throw new Missing('no suites: set OTTLA_SHARED to the directory that has them');
    return join(shared, 'suites', suite.name);
  };
  return {
    name: suite.name,
    async setUp({ dir, say }: PartContext) {
      need('bash', ...suite.programs);
      // A run builds what is missing and then looks for its broker. Nothing listens at 127.0.0.2, so it ends there, with status 2.
      const { stderr, seconds } = await command(join(folder(), 'run.sh'), [`127.0.0.2:${suite.port ?? (await freePort('127.0.0.2'))}`, join(dir, 'set-up')], {
        anyStatus: true,
        timeoutMs: 1_200_000,
        env: { PATH: machinePath() },
      });
      if (!stderr.includes('nothing listens at')) throw new Error(`${suite.name}: setting up failed:\n${stderr.slice(-4000)}`);
      if (seconds > 5) say(`${suite.name}: set up in ${seconds.toFixed(0)} s`);
    },
    async run({ kind, dir, say }: PartContext): Promise<Result[]> {
      const advertised = suite.port !== undefined && suite.advertisedHost ? [`advertised.listeners=PLAINTEXT://${suite.advertisedHost}:${suite.port}`] : [];
      const broker = await startBrokerProcess({
        kind,
        dir: join(dir, 'broker'),
        ...(suite.port !== undefined && { port: suite.port }),
        settings: [...settings(folder()), ...advertised],
      });
      const out = join(dir, 'out');
      let got: ReturnType<typeof rows> = [];
      try {
        const { stdout, stderr } = await command(join(folder(), 'run.sh'), [broker.bootstrapServers, out], {
          anyStatus: true,
          timeoutMs: 1_800_000,
          env: { PATH: machinePath(), ...suite.env },
        });
        writeFileSync(join(dir, 'run.log'), stdout + stderr);
        if (!existsSync(join(out, 'results.csv'))) throw new Error(`no results:\n${(stdout + stderr).slice(-4000)}`);
        got = rows(join(out, 'results.csv'));
        const crashed = suite.againAfterCrash === true ? got.filter(({ isDead }) => isDead).map(({ test }) => test) : [];
        if (crashed.length > 0) {
          say(`${suite.name}: once more, since the process of the test ended before it had a result: ${crashed.join('; ')}`);
          const again = join(dir, 'again');
          const titles = crashed.map((test) => test.slice(test.indexOf(': ') + 2).replace(/[^A-Za-z0-9 _-]/g, '.'));
          await command(join(folder(), 'run.sh'), [broker.bootstrapServers, again], {
            anyStatus: true, timeoutMs: 600_000, env: { PATH: machinePath(), ...suite.env, ONLY: titles.join('|') },
          });
          if (existsSync(join(again, 'results.csv'))) got = [...got, ...rows(join(again, 'results.csv')).filter(({ test }) => crashed.includes(test))];
        }
      } finally {
        const status = await broker.stop();
        if (status !== 0 && kind === 'ottla') say(`${suite.name}: the broker ended with ${status}, see ${broker.logFile}`);
      }
      return judge(suite.name, expected(folder()), got, leftOut[suite.name] ?? {});
    },
  };
}

/** Exported for its test: what of `wanted` passed, failed, or is left out with the topic that will cover it. */
export function judge(
  suite: string,
  wanted: readonly string[],
  got: readonly { test: string; result: string; seconds: number }[],
  topics: Partial<Readonly<Record<string, readonly string[]>>>,
): Result[] {
  const topicOf = new Map(Object.entries(topics).flatMap(([topic, tests]) => (tests ?? []).map((test) => [test, topic] as const)));
  const found = new Map(got.map((row) => [row.test, row]));
  const results: Result[] = wanted.map((test) => {
    const row = found.get(test),
      topic = topicOf.get(test),
      seconds = row?.seconds ?? 0;
    const passed = row?.result === 'pass';
    if (topic !== undefined)
      return passed
        ? { test, outcome: 'pass', note: `passes, but is left out for ${topic}: take it off the list`, seconds }
        : { test, outcome: 'skip', note: topic === DECIDED ? 'left out by decision, see left-out.ts' : `left to a later issue: ${topic}`, seconds };
    return passed ? { test, outcome: 'pass', seconds } : { test, outcome: 'fail', note: row?.result ?? 'did not run', seconds };
  });
  // A list that names what does not exist hides nothing today, and something tomorrow.
  for (const test of topicOf.keys())
    if (!wanted.includes(test)) results.push({ test, outcome: 'fail', note: `left-out.ts names it, but ${suite} expects no such test`, seconds: 0 });
  return results;
}

export const suiteParts: readonly Part[] = suites.map(suitePart);
