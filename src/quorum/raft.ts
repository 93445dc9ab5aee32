/**
 * KRaft as a state machine: `step(state, event, nowMs, jitter)` gives the next state and what must be done about it, and does none of it.
 *
 * Promises: no input, no output, no clock, no randomness; the same events give the same effects. Effects are to be carried out in order, and a
 * `saveElection` must be durable before the effect after it: a vote or an epoch that a crash can take back is how two leaders come about. Whatever others
 * send is checked here; nothing that they say makes an epoch fall, gives an epoch two leaders, or cuts what is committed.
 * After each step the driver calls it again with `tick` at `nextTimeMs(state)`.
 *
 *   unattached --no leader in time--> prospective --pre-votes of a majority--> candidate --votes of a majority--> leader --resign--> resigned
 *   any --a leader is heard of--> follower --no leader in time--> prospective        any --a later epoch--> unattached
 */
import assert from 'node:assert';
import { ErrorCode } from '../../protocol/errors.ts';
import { afterLostPreVote, answered, followed, followHighWatermark, hearOfLeader, isAllDurable, isConsistent, notAnswered, setFollower } from './raft-answers.ts';
import { noteAlive, noteFetch, noteOwnDurable, noteVoters, pollLeader, successors } from './raft-leader.ts';
import type { Ballot, ElectionState, FollowerRole, RaftEvent, RaftRequest, RaftState, RaftStep } from './raft-state.ts';
import {
  destinationOf, electionDeadline, isLost, isOnlyVoter, isPlausible, isVoterItself, keyOf, leaderDestination, otherVoters, reply, selfAsVoter, send, standAsCandidate, standingMs, toCandidate, toFollower,
  toProspective, toResigned, toUnattached, type Turn,
} from './raft-turn.ts';
import { addVoter, changeCommitted, expireChange, removeVoter, updateVoter, upgrade, votersAppended } from './raft-voter-change.ts';
import { matches, needsUpdate, type ReplicaKey, voterOf } from './voters.ts';

export function initialState(options: Pick<RaftState, 'nodeId' | 'directoryId' | 'config' | 'voters' | 'kraftVersion' | 'votersOffset' | 'lastEpoch' | 'logEndOffset'> & {
  /** From the quorum-state file; null in a new directory. */
  readonly election: ElectionState | null;
}): RaftState {
  const { election: saved, lastEpoch } = options;
  // A log that is ahead of the file was written by a leader whose epoch this node never stored: the file is lost or old, the log is right.
  const election = saved !== null && saved.epoch >= lastEpoch ? saved : { epoch: lastEpoch, leaderId: -1, votedId: -1, votedDirectoryId: null };
  return {
    nodeId: options.nodeId,
    directoryId: options.directoryId,
    config: options.config,
    voters: options.voters,
    kraftVersion: options.kraftVersion,
    votersOffset: options.votersOffset,
    election,
    leaderEndpoints: [],
    goneLeaderId: null,
    role: { name: 'unattached', electionMs: Infinity, leaderless: null },
    logEndOffset: options.logEndOffset,
    lastEpoch,
    durableOffset: options.logEndOffset,
    highWatermark: undefined,
    connections: new Map(),
    nextRequestId: 1,
    isClosing: false,
  };
}

export function isLeader(state: RaftState): boolean {
  return state.role.name === 'leader';
}

/** `jitter`, from 0 on and below 1, spreads election timeouts: a new random number for each step. */
export function step(state: RaftState, event: RaftEvent, nowMs: number, jitter: number): RaftStep {
  const turn: Turn = { state, effects: [], nowMs, jitter };
  take(turn, event);
  if (turn.state.role.name === 'leader') changeCommitted(turn);
  // A new role may have something to do at once, and be left again; it never goes in a circle without time passing.
  for (let polls = 0; poll(turn); polls++) assert(polls < 10, 'roles that follow each other without end');
  return { state: turn.state, effects: turn.effects };
}

function take(turn: Turn, event: RaftEvent): void {
  const { state } = turn;
  switch (event.type) {
    case 'start':
      return start(turn);
    case 'tick':
      return;
    case 'appended':
      assert(event.endOffset >= state.logEndOffset, 'the log grew backwards');
      turn.state = { ...state, logEndOffset: event.endOffset, lastEpoch: event.lastEpoch };
      return;
    case 'durable':
      assert(event.endOffset <= state.logEndOffset, 'more is durable than was written');
      turn.state = { ...state, durableOffset: event.endOffset };
      if (state.role.name === 'leader') noteOwnDurable(turn);
      return followHighWatermark(turn);
    case 'cut':
      assert(event.endOffset >= (state.highWatermark ?? 0), 'the log was cut below the high watermark');
      turn.state = { ...state, logEndOffset: event.endOffset, lastEpoch: event.lastEpoch, durableOffset: Math.min(state.durableOffset, event.endOffset) };
      return;
    case 'restarted':
      assert(event.endOffset >= (state.highWatermark ?? 0), 'a snapshot before the high watermark');
      turn.state = { ...state, logEndOffset: event.endOffset, lastEpoch: event.lastEpoch, durableOffset: event.endOffset };
      setFollower(turn, { snapshot: null, leaderHighWatermark: Math.max(event.endOffset, (turn.state.role as Partial<FollowerRole>).leaderHighWatermark ?? -1) });
      return followHighWatermark(turn);
    case 'voters':
      return votersChanged(turn, event);
    case 'resign':
      if (state.role.name === 'leader') toResigned(turn, successors(state));
      return;
    case 'close':
      turn.state = { ...state, isClosing: true };
      return;
    case 'vote':
      return voteAsked(turn, event);
    case 'beginEpoch':
      return epochBegun(turn, event);
    case 'endEpoch':
      return epochEnded(turn, event);
    case 'fetchedBy':
      if (state.role.name === 'leader') noteFetch(turn, event.key, event.offset);
      return;
    case 'snapshotFetchedBy':
      if (state.role.name === 'leader') noteAlive(turn, event.key);
      return;
    case 'addVoter':
    case 'removeVoter':
    case 'updateVoter':
    case 'upgrade':
      return changeAsked(turn, event);
    case 'answer':
      return answered(turn, event.requestId, event.answer);
    case 'noAnswer':
      return notAnswered(turn, event.requestId);
    case 'refused':
      return notAnswered(turn, event.requestId, { isRefused: true });
    case 'followed':
      return followed(turn, event.isDone);
    case 'chunkTaken':
      // Of a snapshot that is complete `restarted` has told.
      return setFollower(turn, { isFollowing: false, snapshot: event.isWhole ? null : { ...event.id, position: event.position } });
  }
}

/** Where a node stands after a restart, by what it had stored. */
function start(turn: Turn): void {
  const { state } = turn;
  const { election, nodeId } = state;
  turn.effects.push({ type: 'leaderChanged' });
  // Alone, there is nobody to hear from first.
  if (isOnlyVoter(state)) return toCandidate(turn);
  const waits = (): void => {
    turn.state = { ...turn.state, role: { name: 'unattached', electionMs: isVoterItself(state) ? electionDeadline(turn) : Infinity, leaderless: [] } };
  };
  turn.effects.push({ type: 'saveElection', election });
  if (election.leaderId === nodeId) {
    if (!state.config.canVote) return waits();
    // It led when it went down, and does not know what it had said since. Others need not wait to find that out; Kafka names no successors here.
    const others = otherVoters(state);
    turn.state = { ...state, role: { name: 'resigned', electionMs: electionDeadline(turn), unheard: others.map(({ id }) => id), successors: others }, leaderEndpoints: state.config.endpoints };
    return;
  }
  if (election.leaderId < 0 && election.votedId === nodeId && isVoterItself(state) && (election.votedDirectoryId ?? state.directoryId) === state.directoryId) {
    return standAsCandidate(turn, election);
  }
  if (election.leaderId >= 0 && toFollower(turn, election.epoch, election.leaderId, voterOf(state.voters, election.leaderId)?.endpoints ?? [])) return;
  waits();
}

// ---- requests of others

/** As the requests that only voters make are checked: undefined when there is nothing against it. */
function epochFault(state: RaftState, remoteId: number, epoch: number): ErrorCode | undefined {
  if (epoch < state.election.epoch) return ErrorCode.FENCED_LEADER_EPOCH;
  return remoteId < 0 || !isPlausible(state, epoch) ? ErrorCode.INVALID_REQUEST : undefined;
}

/** As the requests are checked that only a leader answers. */
export function leaderFault({ election, role, isClosing }: RaftState, epoch: number): ErrorCode | undefined {
  if (epoch < election.epoch) return ErrorCode.FENCED_LEADER_EPOCH;
  if (epoch > election.epoch) return ErrorCode.UNKNOWN_LEADER_EPOCH;
  if (role.name !== 'leader') return ErrorCode.NOT_LEADER_OR_FOLLOWER;
  return isClosing ? ErrorCode.BROKER_NOT_AVAILABLE : undefined;
}

function isMeant({ nodeId, directoryId }: RaftState, voter: ReplicaKey | null): boolean {
  return voter === null || (voter.id === nodeId && (voter.directoryId === null || voter.directoryId === directoryId));
}

function voteAsked(turn: Turn, event: RaftEvent & { type: 'vote' }): void {
  const { token, replica, epoch, lastEpoch, lastOffset, preVote } = event;
  // A candidate has taken an epoch of its own; one that is not yet may stand in that of its log.
  if (lastOffset < 0 || lastEpoch < 0 || (preVote ? lastEpoch > epoch : lastEpoch >= epoch)) return reply(turn, token, ErrorCode.INVALID_REQUEST);
  const fault = epochFault(turn.state, replica.id, epoch);
  if (fault !== undefined) return reply(turn, token, fault);
  // Nobody else is this node.
  if (replica.id === turn.state.nodeId) return reply(turn, token, ErrorCode.NONE, { isGranted: false });
  if (epoch > turn.state.election.epoch) toUnattached(turn, epoch);
  if (!isMeant(turn.state, event.voter)) return reply(turn, token, ErrorCode.INVALID_VOTER_KEY);
  const isGranted = mayVoteFor(turn.state, event);
  const { role, election } = turn.state;
  if (isGranted && !preVote && election.votedId < 0 && (role.name === 'unattached' || role.name === 'prospective')) {
    const voted: ElectionState = { ...election, votedId: replica.id, votedDirectoryId: replica.directoryId };
    turn.state = { ...turn.state, election: voted, role: { ...role, electionMs: electionDeadline(turn) } };
    turn.effects.push({ type: 'saveElection', election: voted });
  }
  reply(turn, token, ErrorCode.NONE, { isGranted });
}

function mayVoteFor({ role, election, lastEpoch, logEndOffset }: RaftState, event: RaftEvent & { type: 'vote' }): boolean {
  const { replica, preVote } = event;
  const isUpToDate = event.lastEpoch > lastEpoch || (event.lastEpoch === lastEpoch && event.lastOffset >= logEndOffset);
  switch (role.name) {
    case 'unattached':
    case 'prospective':
      if (preVote) return isUpToDate;
      if (election.votedId >= 0) return matches({ id: election.votedId, directoryId: election.votedDirectoryId }, replica);
      return election.leaderId < 0 && isUpToDate;
    case 'follower':
      return preVote && isUpToDate && (!role.hasFetched || role.unreachedMs !== null);
    case 'candidate':
    case 'resigned':
      return preVote && isUpToDate;
    case 'leader':
      return false;
  }
}

function epochBegun(turn: Turn, { token, voter, leaderId, epoch, endpoints }: RaftEvent & { type: 'beginEpoch' }): void {
  if (!heard(turn, token, leaderId, epoch, endpoints)) return;
  reply(turn, token, isMeant(turn.state, voter) ? ErrorCode.NONE : ErrorCode.INVALID_VOTER_KEY);
}

/** False when the request has been refused. */
function heard(turn: Turn, token: number, leaderId: number, epoch: number, told: RaftState['leaderEndpoints']): boolean {
  const { state } = turn;
  const endpoints = told.length > 0 ? told : (voterOf(state.voters, leaderId)?.endpoints ?? []);
  // Nobody else is this node, and an epoch has one leader; Kafka ends here.
  const fault = epochFault(state, leaderId, epoch) ?? (leaderId !== state.nodeId && isConsistent(state, leaderId, epoch) ? undefined : ErrorCode.INVALID_REQUEST);
  if (fault !== undefined) {
    reply(turn, token, fault);
    return false;
  }
  hearOfLeader(turn, leaderId, epoch, endpoints);
  return true;
}

function epochEnded(turn: Turn, event: RaftEvent & { type: 'endEpoch' }): void {
  const { token, leaderId, epoch, endpoints } = event;
  if (!heard(turn, token, leaderId, epoch, endpoints)) return;
  const { state, nowMs } = turn;
  if (state.role.name === 'follower' && state.election.leaderId === leaderId) {
    setFollower(turn, { fetchDeadlineMs: nowMs + successionDelayMs(state, event.successors) });
  }
  reply(turn, token, ErrorCode.NONE);
}

/** The first of the successors stands at once, each of the others twice as late as the one before it. */
function successionDelayMs({ nodeId, directoryId, config }: RaftState, keys: readonly ReplicaKey[]): number {
  const position = keys.findIndex((key) => key.id === nodeId && (key.directoryId === null || key.directoryId === directoryId));
  if (position === 0) return 0;
  if (position < 0) return config.electionBackoffMsMax;
  return Math.min(config.electionBackoffMsMax, Math.floor(config.electionBackoffMsMax / 2 ** (keys.length - 1)) * 2 ** (position - 1));
}

function changeAsked(turn: Turn, event: RaftEvent & { type: 'addVoter' | 'removeVoter' | 'updateVoter' | 'upgrade' }): void {
  const fault = leaderFault(turn.state, event.type === 'updateVoter' ? event.epoch : turn.state.election.epoch);
  if (fault !== undefined) return reply(turn, event.token, fault);
  switch (event.type) {
    case 'addVoter':
      return addVoter(turn, event.token, event.voter, event.ackWhenCommitted);
    case 'removeVoter':
      return removeVoter(turn, event.token, event.key);
    case 'updateVoter':
      return updateVoter(turn, event.token, event.voter);
    case 'upgrade':
      return upgrade(turn, event.token, event.kraftVersion, event.validateOnly);
  }
}

function votersChanged(turn: Turn, { voters, kraftVersion, offset }: RaftEvent & { type: 'voters' }): void {
  turn.state = { ...turn.state, voters, kraftVersion, votersOffset: offset };
  const { role } = turn.state;
  if (role.name === 'leader') {
    noteVoters(turn);
    if (offset !== null) votersAppended(turn, offset);
    return;
  }
  // Whoever is a voter now waits for a leader only so long; whoever is none any more does not stand.
  if (role.name === 'unattached') turn.state = { ...turn.state, role: { ...role, electionMs: isVoterItself(turn.state) ? Math.min(role.electionMs, electionDeadline(turn)) : Infinity } };
  else if ((role.name === 'prospective' || role.name === 'candidate') && !isVoterItself(turn.state)) {
    toUnattached(turn, turn.state.election.epoch + (role.name === 'candidate' ? 1 : 0));
  }
}

// ---- what time brings

/** True when there is a new role, which may have something to do at once. */
function poll(turn: Turn): boolean {
  const { state, nowMs } = turn;
  const { role } = state;
  switch (role.name) {
    case 'leader':
      expireChange(turn);
      return pollLeader(turn);
    case 'prospective':
      if (!state.isClosing && nowMs >= role.electionMs) {
        afterLostPreVote(turn);
        return true;
      }
      askForVotes(turn, role.ballot, true);
      return false;
    case 'candidate':
      if (!state.isClosing && nowMs >= role.electionMs) {
        toProspective(turn);
        return true;
      }
      askForVotes(turn, role.ballot, false);
      return false;
    case 'follower':
      return pollFollower(turn, role);
    case 'unattached':
      // Who is no voter here may have been asked for its vote all the same: the others know of later voters.
      if (!state.isClosing && isVoterItself(state) && nowMs >= role.electionMs) {
        toProspective(turn);
        return true;
      }
      if (isAllDurable(state)) fetchFromAnyone(turn);
      return false;
    case 'resigned':
      return pollResigned(turn, role.unheard, role.successors, role.electionMs);
  }
}

function askForVotes(turn: Turn, ballot: Ballot, preVote: boolean): void {
  const { state } = turn;
  if (isLost(state, ballot)) return;
  for (const voter of otherVoters(state)) {
    const to = ballot.has(voter.id) ? null : destinationOf(state, voter);
    if (to !== null) send(turn, to, { api: 'vote', voter, epoch: state.election.epoch, preVote, lastEpoch: state.lastEpoch, lastOffset: state.logEndOffset });
  }
}

function pollFollower(turn: Turn, role: FollowerRole): boolean {
  const { state, nowMs } = turn;
  if (state.isClosing) return false;
  if (isVoterItself(state) && nowMs >= standingMs(state, role)) {
    toProspective(turn);
    return true;
  }
  if (nowMs >= role.updateVoterMs) changeOwnVote(turn, role);
  fetchNext(turn, role);
  return false;
}

/** A voter tells the leader when it is written down otherwise than it is; a node that is to be a voter asks for that. */
function changeOwnVote(turn: Turn, role: FollowerRole): void {
  const { state, nowMs } = turn;
  const { config } = state;
  const leader = leaderDestination(state);
  let request: RaftRequest | null = null;
  if (isVoterItself(state)) {
    const isStale = state.kraftVersion === 0 ? !role.hasUpdatedLeader : needsUpdate(state.voters, selfAsVoter(state));
    if (isStale && config.endpoints.length > 0) request = { api: 'updateVoter', epoch: state.election.epoch };
  } else if (config.canVote && config.autoJoin && state.kraftVersion > 0) {
    // A voter of this id with another directory is what this node was before its disk was replaced.
    const old = voterOf(state.voters, state.nodeId);
    request = old === undefined ? { api: 'addVoter' } : { api: 'removeVoter', voter: old };
  }
  if (request === null || (leader !== null && send(turn, leader, request))) setFollower(turn, { updateVoterMs: nowMs + 2 * config.fetchTimeoutMs });
}

function fetchNext(turn: Turn, { snapshot, isFollowing }: FollowerRole): void {
  const { state, nowMs } = turn;
  const leader = leaderDestination(state);
  const connection = leader === null ? undefined : state.connections.get(keyOf(leader));
  if (isFollowing || !isAllDurable(state)) return;
  // Somebody else may know who leads now.
  if (leader === null || (connection !== undefined && (connection.name === 'backingOff' ? nowMs < connection.untilMs : nowMs >= connection.untilMs))) {
    if (connection?.name === 'busy') {
      const connections = new Map(state.connections);
      connections.delete(keyOf(leader!));
      turn.state = { ...state, connections };
    }
    return fetchFromAnyone(turn);
  }
  if (isBusy(state, nowMs)) return;
  if (snapshot !== null) {
    send(turn, leader, { api: 'fetchSnapshot', epoch: state.election.epoch, snapshot: { offset: snapshot.offset, epoch: snapshot.epoch }, position: snapshot.position });
  } else {
    send(turn, leader, fetchRequest(state));
  }
}

function fetchRequest({ election, logEndOffset, lastEpoch, highWatermark }: RaftState): RaftRequest {
  return { api: 'fetch', epoch: election.epoch, offset: logEndOffset, lastEpoch, highWatermark: highWatermark ?? -1 };
}

function isBusy({ connections }: RaftState, nowMs: number): boolean {
  for (const connection of connections.values()) if (connection.name === 'busy' && nowMs < connection.untilMs) return true;
  return false;
}

function fetchFromAnyone(turn: Turn): void {
  const { state, nowMs, jitter } = turn;
  const { bootstrap } = state.config;
  if (state.isClosing || isBusy(state, nowMs)) return;
  const first = Math.floor(jitter * bootstrap.length);
  for (let index = 0; index < bootstrap.length; index++) {
    const to = bootstrap[(first + index) % bootstrap.length]!;
    if (to.nodeId !== state.nodeId && send(turn, to, fetchRequest(state))) return;
  }
}

function pollResigned(turn: Turn, unheard: readonly number[], keys: readonly ReplicaKey[], electionMs: number): boolean {
  const { state, nowMs } = turn;
  if (!state.isClosing && nowMs >= electionMs) {
    toUnattached(turn, state.election.epoch + 1);
    return true;
  }
  for (const voter of otherVoters(state)) {
    const to = unheard.includes(voter.id) ? destinationOf(state, voter) : null;
    if (to !== null) send(turn, to, { api: 'endEpoch', epoch: state.election.epoch, successors: keys });
  }
  return false;
}

/** When the next `tick` is due; Infinity when only events can change anything. What was due before waits for something else. */
export function nextTimeMs(state: RaftState, nowMs: number): number {
  let next = Infinity;
  for (const timeMs of timesMs(state)) if (timeMs > nowMs && timeMs < next) next = timeMs;
  return next;
}

function* timesMs(state: RaftState): Generator<number> {
  const { role, connections, voters, isClosing } = state;
  for (const { untilMs } of connections.values()) yield untilMs;
  if (role.name === 'leader') {
    if (voters.length > 1) yield* [role.checkQuorumMs, role.beginEpochMs];
    yield role.change?.deadlineMs ?? Infinity;
  } else if (!isClosing) {
    if (role.name === 'follower') yield* [standingMs(state, role), role.updateVoterMs];
    else yield role.electionMs;
  }
}
