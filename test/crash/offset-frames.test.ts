/** What is read from a client's frames, on the bytes of requests and answers. */
import { expect, test } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import { encodeRequestFrame, encodeResponseFrame } from '../../protocol/frame.ts';
import { OffsetCommit, OffsetFetch } from '../../protocol/messages/offsets.ts';
import { CommitHistory } from './commit-history.ts';
import { OffsetFrames } from './offset-frames.ts';
import { judging } from './writers.ts';

const COMMIT_VERSION = 5;
const FETCH_VERSION = 5;

function fixture() {
  const commits = new CommitHistory();
  const violations: string[] = [];
  const told: string[] = [];
  const judge = judging(commits, violations);
  const connection = new OffsetFrames('t', {
    sent: (...words) => (told.push(`sent ${words.join(' ')}`), judge.sent(...words)),
    answered: (...words) => (told.push(`answered ${words.join(' ')}`), judge.answered(...words)),
    asked: (id) => (told.push(`asked ${id}`), judge.asked(id)),
    told: (...words) => (told.push(`told ${words.join(' ')}`), judge.told(...words)),
  }).connection();
  const header = (correlationId: number) => ({ correlationId, clientId: 'c' });
  return {
    commits, violations, told, connection,
    commit: (correlationId: number, offset: bigint, name = 't') =>
      Buffer.concat(encodeRequestFrame(OffsetCommit, COMMIT_VERSION, header(correlationId), { groupId: 'g', generationIdOrMemberEpoch: 1, memberId: 'm', topics: [{ name, partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: null }] }] })),
    committed: (correlationId: number, errorCode: ErrorCode, name = 't') =>
      Buffer.concat(encodeResponseFrame(OffsetCommit, COMMIT_VERSION, correlationId, { throttleTimeMs: 0, topics: [{ name, partitions: [{ partitionIndex: 0, errorCode }] }] })),
    ask: (correlationId: number) => Buffer.concat(encodeRequestFrame(OffsetFetch, FETCH_VERSION, header(correlationId), { groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] })),
    answer: (correlationId: number, committedOffset: bigint, errorCode: ErrorCode = ErrorCode.NONE) =>
      Buffer.concat(encodeResponseFrame(OffsetFetch, FETCH_VERSION, correlationId, { throttleTimeMs: 0, errorCode, topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset, committedLeaderEpoch: -1, metadata: '', errorCode }] }] })),
  };
}

test('commits and answers are told in their order, whatever the chunks that they come in', () => {
  const { connection, told, commits, violations, commit, committed, ask, answer } = fixture();
  for (const byte of Buffer.concat([commit(7, 5n), ask(8)])) connection.out(Buffer.from([byte]));
  connection.in(Buffer.concat([committed(7, ErrorCode.NONE), answer(8, 5n)]));
  expect(told).toEqual(['sent 1 0 5', 'asked 2', 'answered 1 0', 'told 2 0 5']);
  expect(commits.acknowledged).toBe(1);
  expect(violations).toEqual([]);
});

test('a broker that answers with an older offset than it had acknowledged before it was asked is found', () => {
  const { connection, violations, commit, committed, ask, answer } = fixture();
  connection.out(commit(1, 5n));
  connection.in(committed(1, ErrorCode.NONE));
  connection.out(Buffer.concat([ask(2), commit(3, 9n)]));
  connection.in(committed(3, ErrorCode.NONE));
  connection.in(answer(2, 5n));
  expect(violations, 'asked before the second was acknowledged').toEqual([]);
  connection.out(ask(4));
  connection.in(answer(4, 5n));
  expect(violations).toEqual(['sent back: lost commit: partition 0 is at 5, 9 was acknowledged']);
});

test('other topics, refused commits and questions that are not answered tell nothing of what is committed', () => {
  const { connection, told, commits, commit, committed, ask, answer } = fixture();
  connection.out(Buffer.concat([commit(1, 5n, 'other'), commit(2, 6n), ask(3)]));
  connection.in(Buffer.concat([committed(1, ErrorCode.NONE, 'other'), committed(2, ErrorCode.NOT_COORDINATOR), answer(3, -1n, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)]));
  expect(told).toEqual(['sent 1 0 6', 'asked 2', `answered 1 ${ErrorCode.NOT_COORDINATOR}`]);
  expect(commits.acknowledged).toBe(0);
});
