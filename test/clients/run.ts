/**
 * `npm run test:clients`: other people's Kafka clients against ottla, each part on its own fresh broker.
 *
 *   --only REGEX on part names   --cluster: also three nodes harmed   --mixed: also ottla with Apache Kafka in one cluster (as does an --only that names them)   --broker ottla|reference   --jobs N (2)   --dir DIR   --keep
 *
 * Promises: installs and builds what it needs where it can; says what was skipped and why; the last line is `N passed, N failed, N skipped`; exit status 1 when
 * anything failed. Everything that is set up stays in OTTLA_CACHE, so a second run is quicker. Does not: repeat what failed.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BrokerKind } from '../../bench/broker-process.ts';
import { clusterPart, mixedPart } from './cluster.ts';
import { javaPart } from './java.ts';
import { kcatPart } from './kcat.ts';
import { Missing, type Part, type Result } from './part.ts';
import { suiteParts } from './suites.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    cluster: { type: 'boolean', default: false },
    mixed: { type: 'boolean', default: false },
    broker: { type: 'string', default: 'ottla' },
    jobs: { type: 'string', default: '2' },
    dir: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

const dir = values.dir ?? mkdtempSync(join(tmpdir(), 'ottla-clients-'));
const kind = values.broker as BrokerKind;
const say = (line: string) => console.log(line);

/** Runs `work` on all items, `jobs` at a time, in order. */
async function inLanes<T>(items: readonly T[], jobs: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      for (let item; (item = left.shift()) !== undefined;) await work(item);
    }),
  );
}

async function main(): Promise<number> {
  process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143)); // 'exit' ends brokers and clients
  const startedMs = performance.now();
  const elapsed = () => `${((performance.now() - startedMs) / 1000).toFixed(0)} s`;
  const count = { pass: 0, fail: 0, skip: 0 };
  const only = new RegExp(values.only);
  const parts = [kcatPart, ...suiteParts, javaPart, ...(values.cluster || values.only !== '' ? [clusterPart] : []), ...(values.mixed || values.only !== '' ? [mixedPart] : [])].filter((part) => only.test(part.name));
  const skipPart = (part: Part, why: string) => {
    count.skip++;
    say(`${part.name}: skipped: ${why}`);
  };
  const context = (part: Part) => {
    mkdirSync(join(dir, part.name), { recursive: true });
    return { kind, dir: join(dir, part.name), say };
  };
  // One after another: the builds use all cores by themselves.
  const ready: Part[] = [];
  for (const part of parts) {
    try {
      await part.setUp(context(part));
      ready.push(part);
    } catch (error) {
      if (error instanceof Missing) {
        skipPart(part, error.message);
        continue;
      }
      count.fail++;
      say(`FAILED ${part.name}: setting up: ${(error as Error).message}`);
    }
  }
  say(`set up after ${elapsed()}`);
  const runPart = async (part: Part): Promise<void> => {
    const beganMs = performance.now();
    const results: readonly Result[] = await part
      .run(context(part))
      .catch((error: Error) => [{ test: 'the whole part', outcome: 'fail', note: error.stack ?? error.message, seconds: 0 }]);
    for (const result of results) count[result.outcome]++;
    const of = (outcome: Result['outcome']) => results.filter((each) => each.outcome === outcome);
    say(
      `${part.name}: ${of('pass').length} passed, ${of('fail').length} failed, ${of('skip').length} skipped, ${((performance.now() - beganMs) / 1000).toFixed(0)} s`,
    );
    for (const { test, note } of of('fail')) say(`  FAILED ${part.name}: ${test}${note ? `: ${note.split('\n').join('\n    ')}` : ''}`);
    const reasons = Map.groupBy(of('skip'), (each) => each.note ?? '');
    for (const [note, skipped] of reasons) say(`  skipped ${skipped.length}: ${note}: ${skipped.map((each) => each.test).join(', ')}`);
    for (const { test, note } of of('pass')) if (note) say(`  ${part.name}: ${test}: ${note}`);
  };
  await inLanes(ready.filter(({ alone }) => !alone), Number(values.jobs), runPart);
  await inLanes(ready.filter(({ alone }) => alone), 1, runPart);
  say(`after ${elapsed()}${count.fail > 0 || values.keep ? `; logs in ${dir}` : ''}`);
  if (count.fail === 0 && !values.keep && !values.dir) rmSync(dir, { recursive: true, force: true });
  say(`${count.pass} passed, ${count.fail} failed, ${count.skip} skipped`);
  return count.fail > 0 ? 1 : 0;
}

process.exit(await main());
