/**
 * `npm run test:crash`: kills the broker 100 times under load and reads everything in the end.
 *
 *   --rounds N (100)   --seed N (of the time)   --broker ottla|reference   --dir DIR (below the system's temporary directory)   --keep   --without-librdkafka
 *
 * Prints the seed; exit status 1 when a promise was broken or the run stalled, and then the directory is kept.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BrokerKind } from '../../bench/broker-process.ts';
import { driverProgram } from '../../bench/librdkafka.ts';
import { crash } from './crash.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    seed: { type: 'string' },
    broker: { type: 'string', default: 'ottla' },
    dir: { type: 'string', default: tmpdir() },
    keep: { type: 'boolean', default: false },
    'without-librdkafka': { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  const dir = mkdtempSync(join(values.dir, 'ottla-crash-'));
  console.log(`seed ${seed}, ${values.rounds} rounds`);
  let librdkafka: string | null = null;
  if (values['without-librdkafka']) console.log('without librdkafka: by option');
  else
    librdkafka = await driverProgram().catch((error: Error) => {
      console.log(`without librdkafka: ${error.message}`);
      return null;
    });
  const stop = () => process.exit(130); // 'exit' ends the broker and the drivers
  process.once('SIGINT', stop).once('SIGTERM', stop);
  let ok = false;
  try {
    const result = await crash({
      kind: values.broker as BrokerKind,
      rounds: Number(values.rounds),
      seed,
      dir,
      partitions: 4,
      writers: 2,
      librdkafka,
      acknowledgementsPerRoundMax: 3_000,
      stallMsMax: 60_000,
      say: (line) => console.log(line),
    });
    for (const violation of result.violations.slice(0, 100)) console.log(violation);
    if (result.violations.length > 100) console.log(`and ${result.violations.length - 100} more`);
    ok = result.violations.length === 0;
    const { kills, killsWhileStarting, acknowledgedRecords, acknowledgedCommits, violations } = result;
    const what = `${acknowledgedRecords} records and ${acknowledgedCommits} commits acknowledged`;
    console.log(`${kills} kills (${killsWhileStarting} while starting), ${what}, ${violations.length} violations`);
  } catch (error) {
    console.log((error as Error).stack);
  }
  if (ok && !values.keep) rmSync(dir, { recursive: true });
  else console.log(`the broker's directory is ${dir}; again with --seed ${seed}`);
  return ok ? 0 : 1;
}

process.exit(await main());
