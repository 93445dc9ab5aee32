/** What becomes of a partition, a row a case: who is in sync, eligible, acceptable, and what the record says. */
import { describe, expect, it } from 'vitest';
import { metadataVersionRules } from '../../../src/quorum/features.ts';
import { NO_LEADER, type PartitionImage, RECOVERED, RECOVERING } from '../../../src/quorum/image.ts';
import { partitionChange, type PartitionTarget } from '../../../src/quorum/partition-change.ts';

const ID = 'AAAAAAAAAAAAAAAAAAAACg';
const directoryOf = (broker: number): string => `directory-${broker}`;

function partition(changes: Partial<PartitionImage> = {}): PartitionImage {
  const replicas = changes.replicas ?? [1, 2, 3];
  return {
    replicas, directories: replicas.map(directoryOf), isr: replicas, removingReplicas: [], addingReplicas: [], elr: [], lastKnownElr: [],
    leader: 1, leaderEpoch: 4, leaderRecoveryState: RECOVERED, partitionEpoch: 7, ...changes,
  };
}

function change(target: Partial<PartitionTarget> & { alive?: number[] }, version = 30): object | null {
  const { alive = [1, 2, 3, 4, 5], ...rest } = target;
  const made = partitionChange({
    topicId: ID, partitionId: 0, partition: partition(), isAcceptableLeader: (broker) => alive.includes(broker), minInsyncReplicas: 2, elrEnabled: true,
    rules: metadataVersionRules(version), defaultDirectory: directoryOf, ...rest,
  });
  if (made === null) return null;
  const { topicId, partitionId, ...changed } = made;
  expect([topicId, partitionId]).toEqual([ID, 0]);
  return changed;
}

describe('with eligible leader replicas', () => {
  it.each<[string, Parameters<typeof change>[0], object | null]>([
    ['nothing changes', {}, null],
    ['a follower leaves the in-sync set', { isr: [1, 3] }, { isr: [1, 3] }],
    ['the leader leaves it, another leads', { isr: [2, 3], alive: [2, 3] }, { isr: [2, 3], leader: 2 }],
    ['below the minimum, those who leave stay eligible', { isr: [3], alive: [3] }, { isr: [3], leader: 3, eligibleLeaderReplicas: [1, 2] }],
    ['the last one leaves: eligible, and the last known leader', { partition: partition({ isr: [1], elr: [2] }), isr: [], alive: [] }, { isr: [], leader: NO_LEADER, eligibleLeaderReplicas: [1, 2], lastKnownElr: [1] }],
    ['an eligible one leads when nobody is in sync', { partition: partition({ isr: [], elr: [1, 2], leader: NO_LEADER, lastKnownElr: [1] }), alive: [2] }, { isr: [2], leader: 2, eligibleLeaderReplicas: [1], lastKnownElr: [] }],
    ['back above the minimum, eligibility ends', { partition: partition({ isr: [1], elr: [2] }), isr: [1, 3] }, { isr: [1, 3], eligibleLeaderReplicas: [] }],
    // As Kafka 4.3.1 wrote them for one broker that was killed and came back.
    ['killed alone: not eligible any more', { partition: partition({ replicas: [1], isr: [], elr: [1], lastKnownElr: [1], leader: NO_LEADER }), minInsyncReplicas: 1, uncleanShutdown: [1], alive: [] }, { eligibleLeaderReplicas: [] }],
    ['killed alone: comes back as the last known leader, uncleanly', { partition: partition({ replicas: [1], isr: [], lastKnownElr: [1], leader: NO_LEADER }), minInsyncReplicas: 1 }, { isr: [1], leader: 1, leaderRecoveryState: RECOVERING, lastKnownElr: [] }],
    ['stopped alone', { partition: partition({ replicas: [1] }), isr: [], minInsyncReplicas: 1, alive: [] }, { isr: [], leader: NO_LEADER, eligibleLeaderReplicas: [1], lastKnownElr: [1] }],
    ['started again alone', { partition: partition({ replicas: [1], isr: [], elr: [1], lastKnownElr: [1], leader: NO_LEADER }), minInsyncReplicas: 1 }, { isr: [1], leader: 1, eligibleLeaderReplicas: [], lastKnownElr: [] }],
    ['unclean only where it is allowed', { partition: partition({ isr: [1], leader: 1 }), isr: [1], election: 'unclean', alive: [3] }, { isr: [3], leader: 3, leaderRecoveryState: RECOVERING }],
    ['not allowed: nobody leads', { partition: partition({ isr: [1], leader: 1 }), isr: [1], alive: [3] }, { leader: NO_LEADER, lastKnownElr: [1] }],
    ['the preferred one takes over', { partition: partition({ leader: 2 }), election: 'preferred' }, { leader: 1 }],
    ['the preferred one is gone: the leader stays', { partition: partition({ leader: 2 }), election: 'preferred', alive: [2, 3] }, null],
    ['recovered', { partition: partition({ leaderRecoveryState: RECOVERING }), leaderRecoveryState: RECOVERED }, { leaderRecoveryState: RECOVERED }],
  ])('%s', (_name, target, expected) => {
    expect(change(target)).toEqual(expected);
  });
});

describe('without them', () => {
  it('the last in-sync replica stays in the set', () => {
    expect(change({ elrEnabled: false, partition: partition({ isr: [1] }), isr: [], alive: [] })).toEqual({ leader: NO_LEADER });
  });

  it('before 3.6 a shrinking set bumps the leader epoch', () => {
    expect(change({ elrEnabled: false, isr: [1, 2] }, 11)).toEqual({ isr: [1, 2], leader: 1 });
    expect(change({ elrEnabled: false, isr: [1, 2] }, 12)).toEqual({ isr: [1, 2] });
  });
});

describe('a reassignment', () => {
  const moving = partition({ replicas: [1, 2, 3, 4], isr: [1, 2, 3], removingReplicas: [1], addingReplicas: [4] });

  it('is done when all that were to come are in sync', () => {
    expect(change({ partition: moving, isr: [1, 2, 3, 4] })).toEqual({
      replicas: [2, 3, 4], isr: [2, 3, 4], leader: 2, removingReplicas: [], addingReplicas: [], directories: [2, 3, 4].map(directoryOf),
    });
  });

  it('waits for them', () => {
    expect(change({ partition: moving, isr: [1, 2] })).toEqual({ isr: [1, 2] });
  });

  it('that shrinks the set waits for all that stay', () => {
    const shrinking = partition({ replicas: [1, 2, 3, 4], isr: [1, 4], removingReplicas: [1, 2], addingReplicas: [4] });
    expect(change({ partition: shrinking, isr: [1, 4] })).toBe(null);
    expect(change({ partition: shrinking, isr: [1, 3, 4] })).toMatchObject({ replicas: [3, 4], isr: [3, 4] });
  });

  it('gives new replicas a directory, and a new leader epoch when one leaves', () => {
    expect(change({ replicas: [1, 2, 4], isr: [1, 2] })).toEqual({ replicas: [1, 2, 4], isr: [1, 2], leader: 1, directories: [1, 2, 4].map(directoryOf) });
    expect(change({ replicas: [1, 2, 3, 4] })).toEqual({ replicas: [1, 2, 3, 4], directories: [1, 2, 3, 4].map(directoryOf) });
  });
});
