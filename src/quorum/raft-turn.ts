/**
 * One step of `raft.ts` while it is made: the state so far and the effects so far, and the ways from one role to another.
 *
 * Promises: an election that changes is saved by an effect that comes before everything that tells of it; whoever leaves the role of the leader says so.
 * Does not decide when to change roles.
 */
import assert from 'node:assert';
import { ErrorCode } from '../../protocol/errors.ts';
import type {
  Ballot, Destination, ElectionState, FollowerRole, LeaderRole, RaftEffect, RaftRequest, RaftRole, RaftState, Reply,
} from './raft-state.ts';
import { endpointOn, isVoter, majorityOf, needsUpdate, type ReplicaKey, type Voter, type VoterEndpoint, voterOf, withUpdatedVoter } from './voters.ts';

/** Followers that are silent for so many fetch timeouts together leave a leader without its quorum, as Kafka counts them. */
export const CHECK_QUORUM_FACTOR = 1.5;
/** The epochs of the protocol are 32 bits wide, and each election takes one. */
export const EPOCH_MAX = 0x7fff_ffff;

/**
 * Whether a peer may speak of that epoch: one that is further ahead than half of the epochs that are left is a lie, or a bit that fell over, and to believe it would leave the quorum
 * without an epoch to elect in, for ever. Elections come one by one, so nobody else is ever told of such a one.
 */
export function isPlausible({ election }: RaftState, epoch: number): boolean {
  return epoch - election.epoch <= Math.max(1, Math.floor((EPOCH_MAX - election.epoch) / 2));
}

/** A leader that is not reached for this part of the fetch timeout is taken for gone; one whose address refuses connections at once. */
const UNREACHED_PART = 8;
/** Between the voters that may stand in turn: longer than an election takes. */
export const ELECTION_STEP_MS = 100;

export interface Turn {
  state: RaftState;
  readonly effects: RaftEffect[];
  readonly nowMs: number;
  /** From 0 on, below 1. */
  readonly jitter: number;
}

export function self(state: RaftState): ReplicaKey {
  return { id: state.nodeId, directoryId: state.directoryId };
}

/** As it would be written down. */
export function selfAsVoter({ nodeId, directoryId, config }: RaftState): Voter {
  return { id: nodeId, directoryId, endpoints: config.endpoints, kraftVersions: config.kraftVersions };
}

export function isVoterItself(state: RaftState): boolean {
  return state.config.canVote && isVoter(state.voters, self(state));
}

export function isOnlyVoter(state: RaftState): boolean {
  return state.voters.length === 1 && isVoterItself(state);
}

export function electionDeadline({ state, nowMs, jitter }: Turn): number {
  const { electionTimeoutMs } = state.config;
  return nowMs + electionTimeoutMs + Math.floor(jitter * electionTimeoutMs);
}

/** By what replicas are told apart: voters of a static quorum by their id, all others by their directory too. */
export function progressKey(state: RaftState, key: ReplicaKey): string {
  const voter = voterOf(state.voters, key.id);
  return voter !== undefined && voter.directoryId === null ? `${key.id}` : `${key.id}/${key.directoryId ?? ''}`;
}

// ---- requests of this node

export function keyOf({ host, port }: Destination): string {
  return `${host}:${port}`;
}

/** Sends it unless the one it goes to is busy or was not reached just now. */
export function send(turn: Turn, to: Destination, request: RaftRequest): boolean {
  const { state, nowMs } = turn;
  const connection = state.connections.get(keyOf(to));
  if (connection !== undefined && nowMs < connection.untilMs) return false;
  const requestId = state.nextRequestId;
  const connections = new Map(state.connections).set(keyOf(to), {
    name: 'busy', requestId, untilMs: nowMs + state.config.requestTimeoutMs, api: request.api, nodeId: to.nodeId,
  });
  turn.state = { ...state, connections, nextRequestId: requestId + 1 };
  turn.effects.push({ type: 'send', requestId, to, request });
  return true;
}

export function destinationOf(state: RaftState, voter: Voter): Destination | null {
  const endpoint = endpointOn(voter.endpoints, state.config.listenerName);
  return endpoint === undefined ? null : { nodeId: voter.id, host: endpoint.host, port: endpoint.port };
}

/** null when there is no leader, or it is not known where it is. */
export function leaderDestination({ election, leaderEndpoints, config }: RaftState): Destination | null {
  const endpoint = endpointOn(leaderEndpoints, config.listenerName);
  return endpoint === undefined ? null : { nodeId: election.leaderId, host: endpoint.host, port: endpoint.port };
}

export function otherVoters(state: RaftState): Voter[] {
  return state.voters.filter(({ id }) => id !== state.nodeId);
}

export function reply(turn: Turn, token: number, error: ErrorCode, rest: { readonly message?: string; readonly isGranted?: boolean } = {}): void {
  const { election, leaderEndpoints } = turn.state;
  const answer: Reply = { error, leaderId: election.leaderId, epoch: election.epoch, leaderEndpoints, ...rest };
  turn.effects.push({ type: 'reply', token, reply: answer });
}

/**
 * When a follower stands for election: its leader has been silent for the fetch timeout, or cannot be reached at all. Kafka waits for the first; but connections to a
 * process that was killed break and are refused at once, and a pre-vote does no harm while others still hear from the leader. By turns, so that votes are not split.
 * After a pre-vote that was lost nothing has been fetched, so the next one is not held at once.
 */
export function standingMs({ nodeId, voters, election, config }: RaftState, { fetchDeadlineMs, unreachedMs, refusedMs }: FollowerRole): number {
  if (unreachedMs === null) return fetchDeadlineMs;
  const position = voters.filter(({ id }) => id !== election.leaderId && id < nodeId).length;
  const gone = refusedMs ?? unreachedMs + Math.floor(config.fetchTimeoutMs / UNREACHED_PART);
  return Math.min(fetchDeadlineMs, gone + position * ELECTION_STEP_MS);
}

// ---- from one role to another

/** A new epoch, or the end of a pre-vote that was lost. */
export function toUnattached(turn: Turn, epoch: number, leaderId = -1): void {
  const { state } = turn;
  const { role, election } = state;
  assert(epoch > election.epoch || (epoch === election.epoch && role.name === 'prospective'), 'an epoch that goes back');
  let electionMs = electionDeadline(turn);
  if (!isVoterItself(state)) electionMs = Infinity;
  else if (role.name === 'candidate' || role.name === 'unattached' || role.name === 'resigned') electionMs = role.electionMs;
  else if (role.name === 'prospective' && !isLost(state, role.ballot)) electionMs = role.electionMs;
  const voted = epoch === election.epoch ? election : { votedId: -1, votedDirectoryId: null };
  become(turn, { name: 'unattached', electionMs, leaderless: null }, { epoch, leaderId, votedId: voted.votedId, votedDirectoryId: voted.votedDirectoryId }, []);
}

/** False, and nothing happens, when it is not known where the leader is reached. */
export function toFollower(turn: Turn, epoch: number, leaderId: number, endpoints: readonly VoterEndpoint[]): boolean {
  const { state, nowMs } = turn;
  const { election, config } = state;
  assert(leaderId !== state.nodeId, 'a node does not follow itself');
  assert(epoch >= election.epoch, 'an epoch that goes back');
  if (endpointOn(endpoints, config.listenerName) === undefined) return false;
  const voted = epoch === election.epoch ? election : { votedId: -1, votedDirectoryId: null };
  const role: RaftRole = {
    name: 'follower', fetchDeadlineMs: nowMs + config.fetchTimeoutMs, hasFetched: false, unreachedMs: null, refusedMs: null, updateVoterMs: nowMs + 2 * config.fetchTimeoutMs, hasUpdatedLeader: false,
    snapshot: null, isFollowing: false, leaderHighWatermark: -1,
  };
  become(turn, role, { epoch, leaderId, votedId: voted.votedId, votedDirectoryId: voted.votedDirectoryId }, endpoints);
  return true;
}

export function toProspective(turn: Turn): void {
  const { state } = turn;
  assert(isVoterItself(state), 'only a voter stands for election');
  become(turn, { name: 'prospective', ballot: new Map([[state.nodeId, 'granted']]), electionMs: electionDeadline(turn) }, state.election, state.leaderEndpoints);
  if (isWon(state, (turn.state.role as { ballot: Ballot }).ballot)) toCandidate(turn);
}

/** A new epoch, with a vote for itself that must be on disk before anybody counts it. */
export function toCandidate(turn: Turn): void {
  const { state } = turn;
  assert(isVoterItself(state), 'only a voter stands for election');
  if (state.election.epoch >= EPOCH_MAX) return;
  const election = { epoch: state.election.epoch + 1, leaderId: -1, votedId: state.nodeId, votedDirectoryId: state.directoryId };
  standAsCandidate(turn, election);
}

/** Also after a restart in the epoch in which this node voted for itself. */
export function standAsCandidate(turn: Turn, election: ElectionState): void {
  const ballot: Ballot = new Map([[turn.state.nodeId, 'granted']]);
  become(turn, { name: 'candidate', ballot, electionMs: electionDeadline(turn) }, election, []);
  if (isWon(turn.state, ballot)) toLeader(turn);
}

export function toLeader(turn: Turn): void {
  const { state, nowMs } = turn;
  const { role, voters, config } = state;
  assert(role.name === 'candidate', 'only a candidate is elected');
  const granted = [...role.ballot].filter(([, vote]) => vote === 'granted').map(([id]) => id).sort((left, right) => left - right);
  const replicas = new Map(
    voters.map((voter) => {
      const endOffset = voter.id === state.nodeId ? state.durableOffset : -1;
      return [progressKey(state, voter), { key: voter, endOffset, lastFetchMs: -1, endOffsetAtFetch: -1, lastCaughtUpMs: -1 }];
    }),
  );
  const me = selfAsVoter(state);
  const leader: LeaderRole = {
    name: 'leader', epochStartOffset: state.logEndOffset, replicas, beginEpochMs: nowMs, checkQuorumMs: nowMs + CHECK_QUORUM_FACTOR * config.fetchTimeoutMs, fetchedVoters: [],
    change: null, volatileVoters: withUpdatedVoter(voters, me, { ignoringDirectory: true }) ?? voters,
  };
  become(turn, leader, { epoch: state.election.epoch, leaderId: state.nodeId, votedId: -1, votedDirectoryId: null }, config.endpoints);
  const { epoch } = turn.state.election;
  turn.effects.push(
    { type: 'appendLeaderChange', epoch, voters: voters.map(({ id }) => id), grantingVoters: granted, votersRecord: votersToWrite(state, me) },
    { type: 'becomeLeader', epoch },
  );
}

/** The voters that a new leader has to write down: those that only the checkpoint of `format` has, or itself, when it is reached elsewhere than the log says. */
function votersToWrite({ voters, votersOffset, kraftVersion, config }: RaftState, me: Voter): readonly Voter[] | null {
  if (kraftVersion === 0) return null;
  const isMoved = config.endpoints.length > 0 && needsUpdate(voters, me);
  if (votersOffset !== -1 && !isMoved) return null;
  return isMoved ? withUpdatedVoter(voters, me) : voters;
}

/** The epoch goes on without a leader that writes; voters are told, the best successor first. */
export function toResigned(turn: Turn, successors: readonly ReplicaKey[]): void {
  const { state } = turn;
  become(turn, { name: 'resigned', electionMs: electionDeadline(turn), unheard: otherVoters(state).map(({ id }) => id), successors }, state.election, state.config.endpoints);
}

function become(turn: Turn, role: RaftRole, election: ElectionState, leaderEndpoints: readonly VoterEndpoint[]): void {
  const before = turn.state;
  if (before.role.name === 'leader') {
    const { change } = before.role;
    turn.state = { ...before, role };
    turn.effects.push({ type: 'resigned', epoch: before.election.epoch });
    if (change !== null && change.token !== null) reply(turn, change.token, ErrorCode.NOT_LEADER_OR_FOLLOWER);
  }
  // What was asked in another role is of no use any more.
  const isAnother = role.name === 'follower' && (election.epoch !== before.election.epoch || election.leaderId !== before.goneLeaderId);
  const goneLeaderId = isAnother ? null : before.goneLeaderId;
  turn.state = { ...before, role, election, leaderEndpoints, goneLeaderId, connections: new Map() };
  if (!sameElection(before.election, election)) turn.effects.push({ type: 'saveElection', election });
  const isNews = before.election.epoch !== election.epoch || before.election.leaderId !== election.leaderId || before.leaderEndpoints !== leaderEndpoints;
  if (isNews) turn.effects.push({ type: 'leaderChanged' });
}

export function sameElection(left: ElectionState, right: ElectionState): boolean {
  return left.epoch === right.epoch && left.leaderId === right.leaderId && left.votedId === right.votedId && left.votedDirectoryId === right.votedDirectoryId;
}

// ---- ballots

export function isWon({ voters }: RaftState, ballot: Ballot): boolean {
  return countOf(voters, ballot, 'granted') >= majorityOf(voters);
}

/** Whether those who have not answered cannot make it a majority any more. */
export function isLost({ voters }: RaftState, ballot: Ballot): boolean {
  return voters.length - countOf(voters, ballot, 'rejected') < majorityOf(voters);
}

function countOf(voters: readonly Voter[], ballot: Ballot, vote: 'granted' | 'rejected'): number {
  return voters.filter(({ id }) => ballot.get(id) === vote).length;
}
