/** What a flush covers. Crashes call by call: log-crash.test.ts. */
import { expect, test } from 'vitest';
import { accept, openLog, sizedBatch } from './log-fixture.ts';

test('a large batch that is being written while the segment before it is flushed is synced before it counts as flushed', async () => {
  const { log } = openLog({ config: { flushMessages: 1, segmentBytes: 150_000 } });
  accept(log, sizedBatch(100_000));
  await log.write();
  const calls: string[] = [];
  // Begins a segment, and with that a flush of what lies before it.
  accept(log, sizedBatch(100_000));
  const file = log.segments.active.file();
  const { write, sync } = file;
  file.sync = async () => {
    calls.push('sync');
    await sync.call(file);
  };
  file.write = async (buffers, position) => {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    await write.call(file, buffers, position);
    calls.push('written');
  };
  await log.write();
  expect(calls.at(-1)).toBe('sync');
  expect([log.segments.count, log.recoveryPoint]).toEqual([2, 2]);
});
