/** What is made of the answers of other members of the quorum: where they say that the leader is, and how long they may keep a fetch. */
import { expect, it } from 'vitest';
import { initialState } from '../../../src/quorum/raft.ts';
import type { RaftConfig } from '../../../src/quorum/raft-state.ts';
import { outgoing } from '../../../src/quorum/raft-messages.ts';

const ID = 'AQEBAQEBAQEBAQEBAQEBAQ';
const CONFIG: RaftConfig = {
  electionTimeoutMs: 1000, electionBackoffMsMax: 1000, fetchTimeoutMs: 2000, requestTimeoutMs: 2000, retryBackoffMs: 20, canVote: true, autoJoin: false, listenerName: 'CONTROLLER', endpoints: [],
  kraftVersions: { min: 0, max: 1 }, bootstrap: [],
};
const state = (config: Partial<RaftConfig> = {}) =>
  initialState({ nodeId: 1, directoryId: ID, config: { ...CONFIG, ...config }, voters: [], kraftVersion: 0, votersOffset: null, election: null, lastEpoch: 0, logEndOffset: 0 });
const OPTIONS = { clusterId: 'cluster', fetchBytesMax: 1000, snapshotBytesMax: 1000 };
const FETCH = { api: 'fetch', epoch: 1, offset: 0, lastEpoch: 0, highWatermark: 0 } as never;

it.each([['node', 9093, 1], ['node', 65_535, 1], ['node', 65_536, 0], ['node', 0, 0], ['node', -32_768, 0], ['', 9093, 0]])('a leader at %j, port %i, is reached at %i addresses', (host, port, count) => {
  const partition = { partitionIndex: 0, errorCode: 0, currentLeader: { leaderId: 2, leaderEpoch: 1 }, highWatermark: 0, divergingEpoch: { epoch: -1, endOffset: -1 }, snapshotId: { endOffset: -1, epoch: -1 }, records: Buffer.alloc(0) };
  const fetched = outgoing(FETCH, state(), OPTIONS).read({ errorCode: 0, responses: [{ topic: '__cluster_metadata', topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitions: [partition] }], nodeEndpoints: [{ nodeId: 2, host, port }] });
  const updated = outgoing({ api: 'updateVoter', epoch: 1 } as never, state(), OPTIONS).read({ errorCode: 0, currentLeader: { leaderId: 2, leaderEpoch: 1, host, port } });
  for (const answer of [fetched, updated]) expect(answer).toHaveProperty('leaderEndpoints', count === 0 ? [] : [{ name: 'CONTROLLER', host, port }]);
});

it.each([[2000, 2000, 500], [1000, 2000, 500], [300, 2000, 150], [2000, 200, 100]])('with a fetch timeout of %i ms and a request timeout of %i ms a fetch is kept for %i ms', (fetchTimeoutMs, requestTimeoutMs, waitMs) => {
  expect(outgoing(FETCH, state({ fetchTimeoutMs, requestTimeoutMs }), OPTIONS).input).toMatchObject({ maxWaitMs: waitMs });
});
