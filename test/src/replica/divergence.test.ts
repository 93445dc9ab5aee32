/** Where a follower cuts, by its own epochs and what the leader says of its own (KIP-101, KIP-279). */
import { expect, test } from 'vitest';
import { truncationOffset } from '../../../src/replica/divergence.ts';
import { openLog, testBatch } from '../../storage/log-fixture.ts';

/** A log of one record for each epoch named. */
function logOf(...epochs: number[]) {
  const { log } = openLog();
  for (const leaderEpoch of epochs) log.append(testBatch(), { leaderEpoch, nowMs: 0, origin: 'client' });
  return log;
}

test.each([
  ['the leader ends the epoch earlier', [0, 0, 1, 1], { epoch: 1, endOffset: 3 }, 3],
  ['the leader ends it later: nothing of it is cut', [0, 0, 1, 1], { epoch: 1, endOffset: 9 }, 4],
  ['an older epoch goes on further in the leader', [0, 0, 2, 2], { epoch: 0, endOffset: 3 }, 2],
  ['an older epoch ends earlier in the leader', [0, 0, 2, 2], { epoch: 0, endOffset: 1 }, 1],
  ['an epoch that this log does not know: behind the next older one', [0, 0, 3, 3], { epoch: 2, endOffset: 3 }, 2],
  ['and it is older than all that are known', [3, 3], { epoch: 2, endOffset: 1 }, 0],
  ['it is newer than all that are known', [0, 0], { epoch: 5, endOffset: 1 }, 1],
  ['a leader without epochs leaves its end', [0, 0, 0], { epoch: -1, endOffset: 2 }, 2],
  ['a leader that says nothing', [0, 0], { epoch: 0, endOffset: -1 }, null],
  ['nothing is here', [], { epoch: 4, endOffset: 7 }, 0],
] as const)('%s', (_what, epochs, leader, offset) => {
  expect(truncationOffset(logOf(...epochs), leader)).toBe(offset);
});
