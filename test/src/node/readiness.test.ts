/** Why a node is not ready, one reason at a time. */
import { describe, expect, it } from 'vitest';
import { whyUnready } from '../../../src/node/readiness.ts';
import type { ReadinessView } from '../../../src/node/readiness.ts';
import { GROUP_METADATA_TOPIC } from '../../../src/quorum/topic-names.ts';

interface Facts {
  leaderId?: number;
  leaderHighWatermark?: number;
  offset?: number;
  broker?: { epoch?: number; fenced?: boolean; inControlledShutdown?: boolean } | null;
  brokerEpoch?: number;
  partitions?: readonly { leader: number; replicas: readonly number[] }[];
  shards?: readonly (readonly [number, string])[];
  offline?: boolean;
  stopping?: boolean;
  open?: boolean;
  isBroker?: boolean;
}

function why(facts: Facts = {}): string[] {
  const { leaderId = 1, leaderHighWatermark = 101, offset = 100, broker = {}, brokerEpoch = 7, partitions = [], shards = [], offline = false, stopping = false, open = true, isBroker = true } = facts;
  return whyUnready({
    nodeId: 1,
    image: () => ({
      offset,
      brokers: new Map(broker === null ? [] : [[1, { epoch: 7, fenced: false, inControlledShutdown: false, ...broker }]]),
      topic: (name: string) => (name === GROUP_METADATA_TOPIC && partitions.length > 0 ? { partitions } : undefined),
    }),
    quorum: () => (open ? { leader: () => ({ leaderId }), raft: () => ({ leaderHighWatermark }) } : null),
    directories: { all: [{ logs: { offline: offline ? new Error() : undefined } }] },
    broker: isBroker ? { groups: { shardStates: () => new Map(shards) } } : null,
    brokerEpoch: () => brokerEpoch,
    isStopping: () => stopping,
  } as unknown as ReadinessView);
}

describe('a node is ready', () => {
  it('when it is in service and has loaded what it leads', () => {
    expect(why()).toEqual([]);
    expect(why({ partitions: [{ leader: 1, replicas: [1] }, { leader: 2, replicas: [2, 1] }], shards: [[0, 'active']] })).toEqual([]);
    expect(why({ leaderHighWatermark: 1100 })).toEqual([]);
    // A controller needs no registration.
    expect(why({ isBroker: false, broker: null, brokerEpoch: -1 })).toEqual([]);
  });

  it.each<[string, Facts, string]>([
    ['stops', { stopping: true }, 'the node stops'],
    ['has no quorum yet', { open: false }, 'the metadata log is being opened, or the quorum has no leader yet'],
    ['knows no leader', { leaderId: -1 }, 'no leader of the metadata quorum is known'],
    ['is behind with its metadata', { leaderHighWatermark: 5001 }, 'the metadata are 4900 records behind'],
    ['is not registered', { broker: null }, 'the broker is not registered yet'],
    ['has not heard of its registration', { broker: { epoch: 6 } }, 'the broker is not registered yet'],
    ['is fenced', { broker: { fenced: true } }, 'the broker is fenced: the controller does not hear it, or it has not caught up'],
    ['leaves', { broker: { inControlledShutdown: true } }, 'the broker is leaving'],
    ['has no disk', { offline: true }, 'all log directories are offline'],
    ['loads groups', { partitions: [{ leader: 1, replicas: [1] }, { leader: 1, replicas: [1] }], shards: [[0, 'active'], [1, 'loading']] }, '1 of the 2 partitions of __consumer_offsets that this node leads are not loaded yet'],
    ['could not load groups', { partitions: [{ leader: 1, replicas: [1] }], shards: [[0, 'failed']] }, '1 of the 1 partitions of __consumer_offsets that this node leads are not loaded yet'],
    ['waits for a leader of groups', { partitions: [{ leader: -1, replicas: [1] }, { leader: -1, replicas: [2] }] }, '1 partitions of __consumer_offsets have no leader'],
  ])('not while it %s', (_, facts, reason) => expect(why(facts)).toEqual([reason]));
});
