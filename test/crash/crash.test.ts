/** A few rounds of `npm run test:crash`, with a seed of their own each time; a failure prints it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crash } from './crash.ts';

test('kill -9 under load loses and doubles nothing', { timeout: 120_000 }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'ottla-crash-')),
    seed = Date.now() % 2 ** 31;
  const result = await crash({
    kind: 'ottla',
    rounds: 3,
    seed,
    dir,
    partitions: 3,
    writers: 2,
    librdkafka: null,
    acknowledgementsPerRoundMax: 500,
    stallMsMax: 60_000,
  }).catch((error: Error) => {
    throw new Error(`seed ${seed}, directory ${dir}: ${error.message}`, { cause: error });
  });
  expect(result.violations, `seed ${seed}, directory ${dir}`).toEqual([]);
  expect(result.kills).toBeGreaterThanOrEqual(3);
  expect(result.acknowledgedRecords).toBeGreaterThan(0);
  await rm(dir, { recursive: true });
});
