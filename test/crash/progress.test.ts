/** Waits of the harnesses end: with what they wait for, or with words. */
import { expect, test } from 'vitest';
import { watched, within } from './progress.ts';

test('a wait that comes is given', async () => {
  expect(await within(60_000, 'the answer', Promise.resolve(42))).toBe(42);
});

test('a wait that never comes ends at its limit, and says what it was for and how things stood', async () => {
  await expect(within(1, 'the first commit', new Promise(() => {}), () => 'node 1 ends: idle')).rejects.toThrow(/^the first commit: not done after 1 ms\nnode 1 ends: idle$/);
});

test('what moves is not enough when the wait itself has a limit', async () => {
  let acknowledged = 0;
  const moving = watched(new Promise(() => {}), { stallMsMax: 60_000, tail: () => '', failure: () => null, moving: () => acknowledged++ });
  await expect(within(1, 'the first commit', moving)).rejects.toThrow('the first commit: not done after 1 ms');
});
