/**
 * Changing who votes (KIP-853): one voter at a time, each change a record that must be committed before the next one is begun.
 *
 * Promises: a new voter is one that has been heard of within the hour and has caught up, and that answers ApiVersions with a fitting kraft.version; answers and
 * their texts are those of Kafka. A leader that was removed resigns once that is committed. Does not know requests' formats.
 */
import assert from 'node:assert';
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import type { LeaderRole, RaftAnswer, RaftState, VoterChange } from './raft-state.ts';
import { isVoterItself, progressKey, reply, send, toResigned, type Turn } from './raft-turn.ts';
import { noteAlive, successors } from './raft-leader.ts';
import {
  endpointOn, type ReplicaKey, type VersionRange, type Voter, voterOf, withoutVoter, withUpdatedVoter, withVoter,
} from './voters.ts';

const CAUGHT_UP_WITHIN_MS = 3_600_000;

function leader(state: RaftState): LeaderRole {
  assert(state.role.name === 'leader', 'only a leader changes voters');
  return state.role;
}

function setChange(turn: Turn, change: VoterChange | null): void {
  turn.state = { ...turn.state, role: { ...leader(turn.state), change } };
}

/** Gives the answer, if it was not given, and makes room for the next change. */
function finish(turn: Turn, error: ErrorCode, message?: string): void {
  const { change } = leader(turn.state);
  setChange(turn, null);
  if (change !== null && change.token !== null) reply(turn, change.token, error, message === undefined ? {} : { message });
}

/** What stands in the way of any change now, or null. */
function obstacle(state: RaftState, verb: string): { error: ErrorCode; message: string } | null {
  if (leader(state).change !== null) {
    return { error: ErrorCode.REQUEST_TIMED_OUT, message: 'Request timed out waiting for leader to handle previous voter change request' };
  }
  if (state.highWatermark === undefined || state.highWatermark <= leader(state).epochStartOffset) {
    return { error: ErrorCode.REQUEST_TIMED_OUT, message: 'Request timed out waiting for leader to establish HWM and fence previous voter changes' };
  }
  if (state.kraftVersion === 0) {
    return { error: ErrorCode.UNSUPPORTED_VERSION, message: `Cluster doesn't support ${verb} voter because the kraft.version feature is 0` };
  }
  if (!votersAreCommitted(state)) {
    return {
      error: ErrorCode.REQUEST_TIMED_OUT,
      message: `Request timed out waiting for voters to commit the latest voter change at Optional[${state.votersOffset}] with HWM ${state.highWatermark}`,
    };
  }
  return null;
}

function votersAreCommitted({ votersOffset, highWatermark }: RaftState): boolean {
  return votersOffset !== null && highWatermark !== undefined && votersOffset < highWatermark;
}

export function addVoter(turn: Turn, token: number, voter: Voter, ackWhenCommitted: boolean): void {
  const { state, nowMs } = turn;
  const fault = obstacle(state, 'adding');
  if (fault !== null) return reply(turn, token, fault.error, fault);
  if (voterOf(state.voters, voter.id) !== undefined) {
    return reply(turn, token, ErrorCode.DUPLICATE_VOTER, { message: `The voter id for ${text(voter)} is already part of the set of voters [${state.voters.map(text).join(', ')}].` });
  }
  const requestId = askVersions(turn, voter);
  if (requestId === null) return reply(turn, token, ErrorCode.REQUEST_TIMED_OUT, { message: `New voter ${text(voter)} is not ready to receive requests` });
  setChange(turn, { kind: 'add', token, voter, requestId, ackWhenCommitted, offset: null, deadlineMs: nowMs + state.config.requestTimeoutMs });
}

export function removeVoter(turn: Turn, token: number, key: ReplicaKey): void {
  const { state, nowMs } = turn;
  const fault = obstacle(state, 'removing');
  if (fault !== null) return reply(turn, token, fault.error, fault);
  const voters = withoutVoter(state.voters, key);
  const voter = voterOf(state.voters, key.id);
  if (voters === null || voter === undefined) {
    return reply(turn, token, ErrorCode.VOTER_NOT_FOUND, { message: `Cannot remove voter ${text(key)} from the set of voters [${state.voters.map(text).join(', ')}]` });
  }
  setChange(turn, { kind: 'remove', token, voter, requestId: null, ackWhenCommitted: true, offset: null, deadlineMs: nowMs + state.config.requestTimeoutMs });
  turn.effects.push({ type: 'appendVoters', voters, kraftVersion: null });
}

/** What a voter says of itself, as 4.3.1 takes it: nobody is asked whether it is true. */
export function updateVoter(turn: Turn, token: number, voter: Voter): void {
  const { state } = turn;
  const { change, epochStartOffset, volatileVoters } = leader(state);
  if (change !== null || state.highWatermark === undefined || state.highWatermark <= epochStartOffset) return reply(turn, token, ErrorCode.REQUEST_TIMED_OUT);
  if (state.kraftVersion > 0 && !votersAreCommitted(state)) return reply(turn, token, ErrorCode.REQUEST_TIMED_OUT);
  const { min, max } = voter.kraftVersions;
  // The leader writes itself down; a request in its name is somebody else's (4.3.1 ends at such a one).
  const isSound = endpointOn(voter.endpoints, state.config.listenerName) !== undefined && min <= state.kraftVersion && max >= state.kraftVersion && voter.id !== state.nodeId;
  if (!isSound) return reply(turn, token, ErrorCode.INVALID_REQUEST);
  const voters = state.kraftVersion === 0 ? withUpdatedVoter(volatileVoters, voter, { ignoringDirectory: true }) : withUpdatedVoter(state.voters, voter);
  if (voters === null) return reply(turn, token, ErrorCode.VOTER_NOT_FOUND);
  if (state.kraftVersion === 0) {
    turn.state = { ...state, role: { ...leader(state), volatileVoters: voters } };
  } else {
    setChange(turn, { kind: 'update', token: null, voter, requestId: null, ackWhenCommitted: false, offset: null, deadlineMs: turn.nowMs + state.config.requestTimeoutMs });
    turn.effects.push({ type: 'appendVoters', voters, kraftVersion: null });
  }
  noteAlive(turn, voter);
  reply(turn, token, ErrorCode.NONE);
}

/** The id of the request; null when the node is busy or was not reached just now. */
function askVersions(turn: Turn, voter: Voter): number | null {
  const endpoint = endpointOn(voter.endpoints, turn.state.config.listenerName);
  if (endpoint === undefined) return null;
  const requestId = turn.state.nextRequestId;
  return send(turn, { nodeId: voter.id, host: endpoint.host, port: endpoint.port }, { api: 'versions' }) ? requestId : null;
}

/** False when the one who was asked could not tell. */
export function versionsTold(turn: Turn, requestId: number, { error, kraftVersions }: RaftAnswer & { api: 'versions' }): boolean {
  const { state } = turn;
  if (state.role.name !== 'leader') return true;
  const { change } = state.role;
  if (change === null || change.requestId !== requestId) return true;
  if (error !== ErrorCode.NONE) {
    finish(turn, ErrorCode.REQUEST_TIMED_OUT, aborted(errorName(error)));
    return false;
  }
  completeAdd(turn, change, kraftVersions);
  return true;
}

function completeAdd(turn: Turn, change: VoterChange, kraftVersions: VersionRange | null): void {
  const { state } = turn;
  const { min, max } = kraftVersions ?? { min: 0, max: 0 };
  if (kraftVersions === null || min > state.kraftVersion || max < state.kraftVersion) {
    const range = kraftVersions === null ? '(min: 0, max: 0)' : `(min: ${min}, max: ${max}`;
    return finish(
      turn, ErrorCode.INVALID_REQUEST,
      `Aborted add voter operation for ${text(change.voter)} since the kraft.version range ${range} doesn't support the finalized version ${state.kraftVersion}`,
    );
  }
  if (!isCaughtUp(turn, change.voter)) {
    return finish(turn, ErrorCode.REQUEST_TIMED_OUT, `Aborted add voter operation for ${text(change.voter)} since it is lagging behind`);
  }
  const voters = withVoter(state.voters, { ...change.voter, kraftVersions: { min, max } });
  assert(voters !== null, 'the voters changed while a change was under way');
  setChange(turn, { ...change, requestId: null, token: change.ackWhenCommitted ? change.token : null });
  turn.effects.push({ type: 'appendVoters', voters, kraftVersion: null });
  if (!change.ackWhenCommitted && change.token !== null) reply(turn, change.token, ErrorCode.NONE);
}

function isCaughtUp({ state, nowMs }: Turn, voter: Voter): boolean {
  const progress = leader(state).replicas.get(progressKey(state, voter));
  return progress !== undefined && progress.lastCaughtUpMs >= 0 && progress.lastFetchMs >= 0 && progress.lastFetchMs > nowMs - CAUGHT_UP_WITHIN_MS;
}

/** The one who was asked was not reached. */
export function versionsNotTold(turn: Turn, requestId: number): void {
  const { role } = turn.state;
  if (role.name === 'leader' && role.change?.requestId === requestId) {
    finish(turn, ErrorCode.REQUEST_TIMED_OUT, aborted('BROKER_NOT_AVAILABLE'));
  }
}

/** Their record is in the log. */
export function votersAppended(turn: Turn, offset: number): void {
  const { change } = leader(turn.state);
  if (change !== null && change.requestId === null && change.offset === null) setChange(turn, { ...change, offset });
}

/** More is committed: a change may be among it. */
export function changeCommitted(turn: Turn): void {
  const { change } = leader(turn.state);
  if (change === null || change.offset === null || (turn.state.highWatermark ?? -1) <= change.offset) return;
  finish(turn, ErrorCode.NONE);
  if (!isVoterItself(turn.state)) toResigned(turn, successors(turn.state));
}

/** Nobody waits longer than a request may take. */
export function expireChange(turn: Turn): void {
  const { change } = leader(turn.state);
  if (change === null || turn.nowMs < change.deadlineMs) return;
  finish(turn, ErrorCode.REQUEST_TIMED_OUT);
}

/** kraft.version from 0 to 1: the voters go into the log, with the directories that they have told. */
export function upgrade(turn: Turn, token: number, kraftVersion: number, validateOnly: boolean): void {
  const { state } = turn;
  const { volatileVoters } = leader(state);
  const from = state.kraftVersion;
  if (kraftVersion === from) return reply(turn, token, ErrorCode.NONE);
  if (kraftVersion < from) {
    return reply(turn, token, ErrorCode.INVALID_UPDATE_VERSION, { message: `Invalid upgrade of kraft.version from version ${from} to ${kraftVersion} because the new version is a downgrade` });
  }
  if (!volatileVoters.every(({ kraftVersions: { min, max } }) => min <= kraftVersion && kraftVersion <= max) || volatileVoters.some(({ directoryId }) => directoryId === null)) {
    return reply(turn, token, ErrorCode.INVALID_UPDATE_VERSION, { message: `Invalid upgrade of kraft.version to ${kraftVersion} because not all of the voters support it` });
  }
  if (!validateOnly) turn.effects.push({ type: 'appendVoters', voters: volatileVoters, kraftVersion });
  reply(turn, token, ErrorCode.NONE);
}

/** 4.3.1 forgets to say for whom. */
function aborted(error: string): string {
  return `Aborted add voter operation for since API_VERSIONS returned an error ${error}`;
}

/** As Kafka shows a ReplicaKey. */
function text({ id, directoryId }: ReplicaKey): string {
  return `ReplicaKey(id=${id}, directoryId=${directoryId ?? '<undefined>'})`;
}
