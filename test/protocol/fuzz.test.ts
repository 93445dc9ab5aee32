/** The fuzzer for as long as OTTLA_FUZZ_FRAMES says (a million by default), from the seed OTTLA_FUZZ_SEED. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fuzz, Random } from './fuzz.ts';
import { messages } from './golden.ts';

const frames = Number(process.env.OTTLA_FUZZ_FRAMES ?? 1_000_000);
const seed = Number(process.env.OTTLA_FUZZ_SEED ?? 20261121);
const { stackTraceLimit } = Error;

beforeAll(() => {
  // Most frames end in an error, and its stack trace costs more than the decoding.
  Error.stackTraceLimit = 0;
});

afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

test('the same seed makes the same frames', () => {
  const list = [...messages.values()];
  expect(fuzz(list, 2000, 7)).toEqual(fuzz(list, 2000, 7));
  expect(new Random(7).below(1000)).toBe(new Random(7).below(1000));
});

test(`${frames} frames: no crash, no hang, no growth`, { timeout: 60_000 + frames }, () => {
  const list = [...messages.values()];
  // The first part compiles the messages and warms up; after it nothing may stay.
  const first = fuzz(list, Math.ceil(frames / 10), seed);
  expect(first.findings).toEqual([]);
  const before = heapBytes();
  const rest = fuzz(list, frames - first.frames, seed + 1);
  expect(rest.findings).toEqual([]);
  expect(first.frames + rest.frames).toBe(frames);
  // Both outcomes must be common, or the damage is too small or too large to find anything.
  expect(rest.refused).toBeGreaterThan(rest.frames / 10);
  expect(rest.accepted).toBeGreaterThan(rest.frames / 10);
  expect(heapBytes() - before).toBeLessThan(32 * 1024 * 1024);
});
