/** How a suite's results are judged: what is expected must pass, what is left out is named and noticed when it passes. */
import { expect, test } from 'vitest';
import { leftOut } from './left-out.ts';
import { judge } from './suites.ts';

const got = [
  { test: 'a', result: 'pass', seconds: 1 },
  { test: 'b', result: 'fail', seconds: 2 },
  { test: 'c', result: 'timeout', seconds: 3 },
  { test: 'd', result: 'skip', seconds: 0 },
  { test: 'e', result: 'pass', seconds: 5 },
  { test: 'not expected', result: 'fail', seconds: 6 },
];

test('everything expected counts once, everything else does not', () => {
  expect(judge('s', ['a', 'b', 'c', 'd', 'missing'], got, {})).toEqual([
    { test: 'a', outcome: 'pass', seconds: 1 },
    { test: 'b', outcome: 'fail', note: 'fail', seconds: 2 },
    { test: 'c', outcome: 'fail', note: 'timeout', seconds: 3 },
    { test: 'd', outcome: 'fail', note: 'skip', seconds: 0 },
    { test: 'missing', outcome: 'fail', note: 'did not run', seconds: 0 },
  ]);
});

test('what is left out is a skip with its topic, and a note when it passes', () => {
  expect(judge('s', ['a', 'b', 'e', 'missing'], got, { transactions: ['b', 'e'], cluster: ['missing'] })).toEqual([
    { test: 'a', outcome: 'pass', seconds: 1 },
    { test: 'b', outcome: 'skip', note: 'left to a later issue: transactions', seconds: 2 },
    { test: 'e', outcome: 'pass', note: 'passes, but is left out for transactions: take it off the list', seconds: 5 },
    { test: 'missing', outcome: 'skip', note: 'left to a later issue: cluster', seconds: 0 },
  ]);
});

test('a name on the list that the suite does not know is a failure', () => {
  expect(
    judge('s', ['a'], got, { security: ['z'] })
      .filter((result) => result.outcome === 'fail')
      .map((result) => result.test),
  ).toEqual(['z']);
});

test('no test is on the list twice', () => {
  for (const topics of Object.values(leftOut)) {
    const names = Object.values(topics).flat();
    expect(names).toEqual([...new Set(names)]);
  }
});
