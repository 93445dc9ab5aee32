/** Asking leaders where their logs end: when, whom, and what is made of answers that are late, wrong or none. */
import { beforeEach, expect, it } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { RemoteEnds } from '../../../src/node/remote-ends.ts';
import type { PeerChannel } from '../../../src/peer/peer.ts';
import { ConnectionError } from '../../../src/runtime/connection-error.ts';

const LEADERS: Readonly<Record<string, readonly number[]>> = { a: [2, 3], b: [2], lost: [-1] };
let nowMs: number;
let asked: { readonly leaderId: number; readonly request: any }[];
/** By leader: the end that it tells for each partition, or what becomes of the request. */
let answers: Record<number, (request: any) => unknown>;
let ends: RemoteEnds;

const told = (offset: number, errorCode: ErrorCode = ErrorCode.NONE) => (request: any) => ({
  topics: request.topics.map(({ name, partitions }: any) => ({ name, partitions: partitions.map(({ partitionIndex }: any) => ({ partitionIndex, errorCode, offset: offset + partitionIndex })) })),
});

beforeEach(() => {
  nowMs = 0;
  asked = [];
  answers = { 2: told(100), 3: told(200) };
  ends = new RemoteEnds({
    clock: { monotonicMs: () => nowMs, wallMs: () => nowMs },
    image: () => ({ partition: (topic: string, index: number) => (LEADERS[topic]?.[index] === undefined ? undefined : { leader: LEADERS[topic]![index], leaderEpoch: 7 }) }) as never,
    peerOf: (leaderId) => ({ request: async (_: unknown, request: any) => (asked.push({ leaderId, request }), answers[leaderId]!(request)) }) as unknown as PeerChannel,
  });
});

const look = (...wanted: readonly (readonly [string, number])[]) => wanted.map(([topic, partition]) => ends.want(topic, partition));

it('tells what the look before has found out, and asks each leader once', async () => {
  expect(look(['a', 0], ['a', 1], ['b', 0], ['lost', 0], ['none', 0])).toEqual([undefined, undefined, undefined, undefined, undefined]);
  await ends.refresh();
  expect(asked.map(({ leaderId, request: { replicaId, topics } }) => [leaderId, replicaId, topics])).toEqual([
    [2, -1, [{ name: 'a', partitions: [{ partitionIndex: 0, currentLeaderEpoch: 7, timestamp: -1 }] }, { name: 'b', partitions: [{ partitionIndex: 0, currentLeaderEpoch: 7, timestamp: -1 }] }]],
    [3, -1, [{ name: 'a', partitions: [{ partitionIndex: 1, currentLeaderEpoch: 7, timestamp: -1 }] }]],
  ]);
  expect(look(['a', 0], ['a', 1], ['b', 0], ['lost', 0])).toEqual([100, 201, 100, undefined]);
});

it('asks no more often than is worth it, and not while an answer is awaited', async () => {
  look(['a', 0]);
  await Promise.all([ends.refresh(), ends.refresh()]);
  look(['a', 0]);
  nowMs = 4_999;
  await ends.refresh();
  expect(asked).toHaveLength(1);
  look(['a', 0]);
  nowMs = 5_000;
  await ends.refresh();
  expect(asked).toHaveLength(2);
});

it('keeps what it knew of a leader that does not answer, or has an error to tell, and forgets topics that nobody wants', async () => {
  look(['a', 0], ['a', 1], ['b', 0]);
  await ends.refresh();
  answers = { 2: () => Promise.reject(new ConnectionError('gone')), 3: told(0, ErrorCode.NOT_LEADER_OR_FOLLOWER) };
  nowMs = 10_000;
  look(['a', 0], ['a', 1]);
  await ends.refresh();
  expect(look(['a', 0], ['a', 1], ['b', 0])).toEqual([100, 201, undefined]);
});

it('takes from an answer only what was asked for', async () => {
  answers[2] = () => ({ topics: [{ name: 'a', partitions: [{ partitionIndex: 5, errorCode: 0, offset: 1 }, { partitionIndex: 0, errorCode: 0, offset: -1 }] }, { name: 'z', partitions: [{ partitionIndex: 0, errorCode: 0, offset: 9 }] }] });
  look(['a', 0]);
  await ends.refresh();
  expect(look(['a', 0], ['a', 5], ['z', 0])).toEqual([undefined, undefined, undefined]);
});
