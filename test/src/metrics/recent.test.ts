/** Rates and means over the last half minute, whoever looks. */
import { expect, it } from 'vitest';
import { Recent } from '../../../src/metrics/recent.ts';

it('tells what happened a second, from the first second on and over 30 of them at most', () => {
  const recent = new Recent();
  expect(recent.rate(5_000)).toBe(0);
  recent.record(10, 5_000);
  recent.record(20, 5_999);
  expect(recent.rate(5_999)).toBe(30);
  expect(recent.rate(14_999)).toBe(3);
  expect(recent.rate(34_999)).toBe(1);
  // The 31st second: the first one is out of the window.
  recent.record(60, 35_000);
  expect(recent.rate(35_000)).toBe(2);
  expect(recent.rate(36_000)).toBe(2);
});

it('forgets all when nothing happens for longer than it remembers', () => {
  const recent = new Recent();
  recent.record(10, 1_000);
  expect(recent.mean(1_000)).toBe(10);
  expect(recent.rate(500_000)).toBe(0);
  expect(recent.mean(500_000)).toBeNaN();
  expect(recent.max(500_000)).toBeNaN();
});

it('tells the mean and the most of single values', () => {
  const recent = new Recent();
  expect(recent.max(0)).toBeNaN();
  for (const [value, atMs] of [[4, 0], [2, 100], [0, 9_000]] as const) recent.record(value, atMs);
  expect([recent.mean(9_000), recent.max(9_000)]).toEqual([2, 4]);
  // The second of the first two has passed out.
  expect([recent.mean(30_000), recent.max(30_000)]).toEqual([0, 0]);
});
