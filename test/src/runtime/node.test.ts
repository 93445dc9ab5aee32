/** The real clock, timers and randomness. Files are in test/storage/disks.test.ts. */
import { expect, test } from 'vitest';
import { nodeRuntime } from '../../../src/runtime/node.ts';

const { clock, timers, random } = nodeRuntime();

test('the clocks', () => {
  const before = clock.monotonicMs();
  expect(Number.isInteger(clock.wallMs())).toBe(true);
  expect(Math.abs(clock.wallMs() - Date.now())).toBeLessThan(1000);
  expect(clock.monotonicMs()).toBeGreaterThanOrEqual(before);
});

test('a timer fires once, in order, and never early', async () => {
  const fired: number[] = [];
  const startMs = clock.monotonicMs();
  await Promise.all(
    [9.7, 0, 3.2, 1, 5.5].map(
      (delayMs) =>
        new Promise<void>((resolve) => {
          timers.after(delayMs, () => {
            expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(delayMs);
            fired.push(delayMs);
            resolve();
          });
        }),
    ),
  );
  expect(fired).toEqual([0, 1, 3.2, 5.5, 9.7]);
});

test('a cancelled timer does not fire; a long one is not a short one', async () => {
  let fired = 0;
  const cancelled = timers.after(1, () => fired++);
  const long = timers.after(2 ** 31 + 5, () => fired++);
  const infinite = timers.after(Infinity, () => fired++);
  cancelled.cancel();
  cancelled.cancel();
  await new Promise<void>((resolve) => {
    const last = timers.after(20, () => {
      last.cancel();
      resolve();
    });
  });
  long.cancel();
  infinite.cancel();
  expect(fired).toBe(0);
});

test('soon comes after the promises and before the timers of a later turn', async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    timers.soon(() => {
      order.push('soon');
      resolve();
    });
    queueMicrotask(() => order.push('microtask'));
  });
  expect(order).toEqual(['microtask', 'soon']);
});

test('randomness', () => {
  expect(random.bytes(5).length).toBe(5);
  expect(random.bytes(16).equals(random.bytes(16))).toBe(false);
  const seen = new Set<number>();
  for (let index = 0; index < 1000; index++) seen.add(random.below(4));
  expect([...seen].sort()).toEqual([0, 1, 2, 3]);
});

test('uuids are of version 4, in 22 characters, and none begins with a dash', () => {
  for (let index = 0; index < 2000; index++) {
    const uuid = random.uuid();
    expect(uuid).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{20}[AQgw]$/);
    const bytes = Buffer.from(uuid, 'base64url');
    expect([bytes.length, bytes[6]! >> 4, bytes[8]! >> 6]).toEqual([16, 4, 2]);
  }
});

test.skipIf(process.platform !== 'linux')('a directory where none can be made ends in an error, and not in a loop', () => {
  expect(() => nodeRuntime().disk.makeDirectory('/proc/ottla/data')).toThrow('ENOENT');
});
