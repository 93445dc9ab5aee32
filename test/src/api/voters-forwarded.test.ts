/** Changes of voters that a broker has passed on to a controller that does not lead (any more): the broker must ask the next one, and its client never hear of it. */
import { expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { AddRaftVoter, RemoveRaftVoter } from '../../../protocol/messages/index.ts';
import { quorumApis } from '../../../src/api/quorum.ts';
import type { RequestContext, Served } from '../../../src/api/serve.ts';

const LEADER = 102;
const NOT_LEADING = { throttleTimeMs: 0, errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER, errorMessage: '' };

async function answerOf(key: number, nodeId: number, isForwarded: boolean): Promise<unknown> {
  const requests = { addRaftVoter: async () => NOT_LEADING, removeRaftVoter: async () => NOT_LEADING };
  const node = { nodeId, quorum: { leader: () => ({ leaderId: LEADER }), requests } };
  const served = (quorumApis as readonly Served[]).find(({ api }) => api.key === key)!;
  return (async () => served.handle({}, { node, isForwarded } as unknown as RequestContext))();
}

test.each([AddRaftVoter.key, RemoveRaftVoter.key])('API %i', async (key) => {
  await expect(answerOf(key, 101, true)).rejects.toMatchObject({ code: ErrorCode.NOT_CONTROLLER });
  // Whoever asks a controller himself is answered as by Kafka's, and so is a leader's client.
  expect(await answerOf(key, 101, false)).toBe(NOT_LEADING);
  expect(await answerOf(key, LEADER, true)).toBe(NOT_LEADING);
});
