/**
 * What a leader of the quorum does about its replicas: counts what they have on disk, and whether enough of them are there.
 *
 * Promises: the high watermark is what a majority of the voters has on disk, never before a record of the leader's own epoch is among it (Raft 5.4.2), and
 * never falls; a leader that a majority has not fetched from for one and a half fetch timeouts resigns. Does not answer fetches.
 */
import assert from 'node:assert';
import type { LeaderRole, Progress, RaftState } from './raft-state.ts';
import { CHECK_QUORUM_FACTOR, destinationOf, otherVoters, progressKey, self, send, toResigned, type Turn } from './raft-turn.ts';
import { isVoter, majorityOf, matches, type ReplicaKey, voterOf } from './voters.ts';

/** Who has not fetched for so long is no observer any more, as in Kafka. */
const OBSERVER_SESSION_MS = 300_000;
/** Anybody may fetch under any id: more are not remembered. */
const OBSERVERS_MAX = 10_000;

export function leaderOf(state: RaftState): LeaderRole {
  assert(state.role.name === 'leader', 'only a leader knows its replicas');
  return state.role;
}

function setLeader(turn: Turn, changes: Partial<LeaderRole>): void {
  turn.state = { ...turn.state, role: { ...leaderOf(turn.state), ...changes } };
}

/** What this node itself has on disk counts like what a follower has. */
export function noteOwnDurable(turn: Turn): void {
  const { state } = turn;
  const key = progressKey(state, self(state));
  const { replicas } = leaderOf(state);
  const mine = replicas.get(key) ?? newProgress(self(state));
  setLeader(turn, { replicas: new Map(replicas).set(key, { ...mine, endOffset: state.durableOffset }) });
  advanceHighWatermark(turn);
}

/** It has all before `offset` on its disk, and that is what this leader has. */
export function noteFetch(turn: Turn, replica: ReplicaKey, offset: number): void {
  const { state, nowMs } = turn;
  const { replicas } = leaderOf(state);
  if (replica.id < 0 || replica.id === state.nodeId) return;
  const key = progressKey(state, replica);
  const before = replicas.get(key);
  if (before === undefined && replicas.size >= OBSERVERS_MAX) return;
  const { endOffsetAtFetch, lastFetchMs, lastCaughtUpMs, key: known } = before ?? newProgress(replica);
  let caughtUpMs = lastCaughtUpMs;
  if (offset >= state.logEndOffset) caughtUpMs = nowMs;
  // It has what there was when it fetched before.
  else if (endOffsetAtFetch > 0 && offset >= endOffsetAtFetch) caughtUpMs = Math.max(lastCaughtUpMs, lastFetchMs);
  const progress: Progress = { key: known, endOffset: offset, lastFetchMs: nowMs, endOffsetAtFetch: state.logEndOffset, lastCaughtUpMs: caughtUpMs };
  setLeader(turn, { replicas: withoutSilent(turn, new Map(replicas).set(key, progress)) });
  noteAlive(turn, replica);
  if (isVoter(state.voters, replica)) advanceHighWatermark(turn);
}

/** A voter that fetches, be it a snapshot, still follows. */
export function noteAlive(turn: Turn, replica: ReplicaKey): void {
  const { state, nowMs } = turn;
  const { fetchedVoters } = leaderOf(state);
  if (replica.id === state.nodeId || !isVoter(state.voters, replica)) return;
  const fetched = fetchedVoters.includes(replica.id) ? fetchedVoters : [...fetchedVoters, replica.id];
  const needed = majorityOf(state.voters) - (isVoter(state.voters, self(state)) ? 1 : 0);
  const isEnough = fetched.filter((id) => voterOf(state.voters, id) !== undefined).length >= needed;
  if (isEnough) setLeader(turn, { fetchedVoters: [], checkQuorumMs: nowMs + CHECK_QUORUM_FACTOR * state.config.fetchTimeoutMs });
  else setLeader(turn, { fetchedVoters: fetched });
}

/** The voters are others now: those who leave are observers. A new majority has all of its time to be heard: a leader that was alone waited for nobody. */
export function noteVoters(turn: Turn): void {
  const { state, nowMs } = turn;
  const replicas = new Map<string, Progress>();
  const { role } = state;
  assert(role.name === 'leader', 'only a leader knows its replicas');
  for (const progress of role.replicas.values()) {
    const voter = voterOf(state.voters, progress.key.id);
    // With kraft.version 1 their directories become known.
    const key = voter !== undefined && progress.key.directoryId === null && matches(voter, { id: voter.id, directoryId: voter.directoryId }) ? voter : progress.key;
    replicas.set(progressKey(state, key), { ...progress, key });
  }
  for (const voter of state.voters) {
    const key = progressKey(state, voter);
    if (!replicas.has(key)) replicas.set(key, newProgress(voter));
  }
  setLeader(turn, { replicas, fetchedVoters: [], checkQuorumMs: nowMs + CHECK_QUORUM_FACTOR * state.config.fetchTimeoutMs });
  noteOwnDurable(turn);
}

function newProgress({ id, directoryId }: ReplicaKey): Progress {
  return { key: { id, directoryId }, endOffset: -1, lastFetchMs: -1, endOffsetAtFetch: -1, lastCaughtUpMs: -1 };
}

function withoutSilent({ state, nowMs }: Turn, replicas: Map<string, Progress>): Map<string, Progress> {
  for (const [key, { key: replica, lastFetchMs }] of replicas) {
    if (isVoter(state.voters, replica) || replica.id === state.nodeId) continue;
    if (nowMs - lastFetchMs >= OBSERVER_SESSION_MS) replicas.delete(key);
  }
  return replicas;
}

export function advanceHighWatermark(turn: Turn): void {
  const { state } = turn;
  const { replicas, epochStartOffset } = leaderOf(state);
  const offsets = state.voters.map((voter) => replicas.get(progressKey(state, voter))?.endOffset ?? -1).sort((left, right) => right - left);
  const majority = offsets[Math.floor(state.voters.length / 2)]!;
  // With other voters it may be less than it was: then it waits.
  if (majority <= epochStartOffset || majority <= (state.highWatermark ?? -1)) return;
  turn.state = { ...state, highWatermark: majority };
  turn.effects.push({ type: 'highWatermark', offset: majority });
}

/** True when it is no leader any more. */
export function pollLeader(turn: Turn): boolean {
  const { state, nowMs } = turn;
  const leader = leaderOf(state);
  if (state.isClosing || (state.voters.length > 1 && nowMs >= leader.checkQuorumMs)) {
    toResigned(turn, successors(state));
    return true;
  }
  if (nowMs >= leader.beginEpochMs) {
    const intervalMs = Math.floor(state.config.fetchTimeoutMs / 2);
    for (const voter of otherVoters(state)) {
      const lastFetchMs = leader.replicas.get(progressKey(state, voter))?.lastFetchMs ?? -1;
      const to = destinationOf(state, voter);
      if (to !== null && (lastFetchMs < 0 || nowMs - lastFetchMs >= intervalMs)) send(turn, to, { api: 'beginEpoch', voter, epoch: state.election.epoch });
    }
    setLeader(turn, { beginEpochMs: nowMs + Math.max(1, intervalMs) });
  }
  return false;
}

/** The voters by what they have, most first: whom the others should let stand for election first. */
export function successors(state: RaftState): ReplicaKey[] {
  const { replicas } = leaderOf(state);
  return otherVoters(state)
    .map((voter) => ({ key: { id: voter.id, directoryId: voter.directoryId }, endOffset: replicas.get(progressKey(state, voter))?.endOffset ?? -1 }))
    .sort((left, right) => right.endOffset - left.endOffset)
    .map(({ key }) => key);
}
