/** What the cluster tests print, as the client tests count it. */
import { expect, test } from 'vitest';
import { resultsOf } from './cluster.ts';

test('passed, failed with its violations, skipped with its reason', () => {
  const output = `ottla, seed 1
  kill -9: 10 kills, 5 records acknowledged
passed kill -9: 6 rounds in 33 s, 0 violations
  kill -9: writing again: 3 measured
FAILED pauses: 2 rounds in 9 s, 1 violations
  lost: java:1:2, acknowledged at offset 3
skipped power loss: no loop device can be mounted
passed our brokers join their quorum (101 reference, 1 ottla): 68 s, 0 violations
FAILED rolling restart: Error: no acknowledgement
1 passed, 1 failed, 1 skipped`;
  expect(resultsOf(output).map(({ test: name, outcome, seconds }) => [name, outcome, seconds])).toEqual([
    ['kill -9', 'pass', 33],
    ['pauses', 'fail', 9],
    ['power loss', 'skip', 0],
    ['our brokers join their quorum (101 reference, 1 ottla)', 'pass', 68],
    ['rolling restart', 'fail', 0],
  ]);
  expect(resultsOf(output)[0]!.note).toContain('kill -9: writing again: 3 measured');
  expect(resultsOf(output)[1]!.note).toContain('lost: java:1:2, acknowledged at offset 3');
  expect(resultsOf(output)[2]!.note).toBe('no loop device can be mounted');
});
