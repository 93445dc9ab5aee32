/** What is done now and then: one disk that refuses does not keep the others from their turn, and closing waits for what is under way. */
import { expect, test } from 'vitest';
import { DiskError } from '../../../storage/disk.ts';
import { StorageError } from '../../../storage/log.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import type { Runtime } from '../../../src/runtime/runtime.ts';
import { Settings } from '../../../src/settings.ts';
import { Housekeeping } from '../../../src/replica/housekeeping.ts';
import type { HousekeepingOptions } from '../../../src/replica/housekeeping.ts';
import { FakeTime, settle } from '../server/fake-world.ts';

const EVERY_MS = 1000;

function world(flushes: readonly (() => Promise<void>)[]) {
  const time = new FakeTime();
  const said: string[] = [];
  const logs = flushes.map((flush, partition) => ({ topic: 't', partition, failed: false, highWatermark: 0, recoveryPoint: 0, logStartOffset: 0, isFlushDue: () => true, flush }));
  const settings = Settings.from({ set: [`log.flush.scheduler.interval.ms=${EVERY_MS}`] });
  const housekeeping = new Housekeeping({
    runtime: { clock: time, timers: time } as unknown as Runtime, logger: { ...silentLogger, error: (line) => void said.push(line) }, settings: () => settings,
    directories: [], partitions: () => logs.map((log) => ({ log })) as unknown as ReturnType<HousekeepingOptions['partitions']>,
  });
  housekeeping.start();
  return { time, said, housekeeping };
}

test('a log that cannot be flushed does not keep the next from it', async () => {
  let flushed = 0;
  const full = async (): Promise<void> => {
    throw new StorageError('/data/t-0', new DiskError('ENOSPC', '/data/t-0', 'write'));
  };
  const { time, said, housekeeping } = world([full, async () => void flushed++]);
  await time.advance(2 * EVERY_MS);
  expect(flushed).toBe(2);
  expect(said).toHaveLength(2);
  expect(said[0]).toContain('flush of t-0');
  await housekeeping.close();
  expect(time.pendingTimers).toBe(0);
});

test('closing waits for what is under way, and nothing begins after', async () => {
  let end = (): void => {};
  let closed = false;
  const { time, housekeeping } = world([() => new Promise((resolve) => (end = resolve))]);
  await time.advance(EVERY_MS);
  const closing = housekeeping.close().then(() => (closed = true));
  await settle();
  expect(closed).toBe(false);
  end();
  await closing;
  expect(time.pendingTimers).toBe(0);
});
