/** What shows a leader that it leads, and what only seems to. */
import { expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { Confirmations } from '../../../src/replica/confirmations.ts';

function scene(...replicas: number[]) {
  const confirmations = new Confirmations();
  const heard: ErrorCode[] = [];
  confirmations.ask(replicas, (errorCode) => heard.push(errorCode));
  return { confirmations, heard };
}

test('nobody else can lead: known at once', () => {
  const { confirmations, heard } = scene();
  expect(heard).toEqual([ErrorCode.NONE]);
  expect(confirmations.isWaiting).toBe(false);
});

test('the second fetch of every follower shows it, and no other replica is asked', () => {
  const { confirmations, heard } = scene(2, 3);
  for (const replica of [2, 2, 4, 4, 3]) confirmations.fetched(replica, replica);
  expect(heard).toEqual([]);
  expect([2, 3, 4].map((replica) => confirmations.awaits(replica))).toEqual([false, true, false]);
  confirmations.fetched(3, 3);
  expect(heard).toEqual([ErrorCode.NONE]);
  expect(confirmations.isWaiting).toBe(false);
});

test('fetches by different connections may both have lain in a socket', () => {
  const { confirmations, heard } = scene(2);
  confirmations.fetched(2, 10);
  confirmations.fetched(2, 11);
  confirmations.fetched(2, 10);
  expect(heard).toEqual([]);
  confirmations.fetched(2, 10);
  expect(heard).toEqual([ErrorCode.NONE]);
});

test('a question is not answered by what came before it', () => {
  const { confirmations, heard } = scene(2);
  confirmations.fetched(2, 10);
  confirmations.ask([2], (errorCode) => heard.push(errorCode));
  confirmations.fetched(2, 10);
  expect(heard).toHaveLength(1);
  confirmations.fetched(2, 10);
  expect(heard).toHaveLength(2);
});

test('who falls out of the in-sync replicas is not waited for; the end of the leadership ends all waits, once', () => {
  const first = scene(2, 3);
  first.confirmations.fetched(2, 1);
  first.confirmations.fetched(2, 1);
  first.confirmations.keep([2]);
  expect(first.heard).toEqual([ErrorCode.NONE]);
  const second = scene(2);
  second.confirmations.fail(ErrorCode.NOT_LEADER_OR_FOLLOWER);
  second.confirmations.fail(ErrorCode.NOT_LEADER_OR_FOLLOWER);
  second.confirmations.keep([]);
  expect(second.heard).toEqual([ErrorCode.NOT_LEADER_OR_FOLLOWER]);
});
