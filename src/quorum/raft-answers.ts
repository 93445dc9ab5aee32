/**
 * What answers of other nodes mean for a member of the quorum.
 *
 * Promises: an answer to a question that was asked in another role, or another time, changes nothing; whatever a peer says of leaders and epochs is checked
 * against what this node knows: epochs never fall, and an epoch has one leader. What does not fit counts as no answer. Does not read or write the log.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { AnswerHead, FollowerRole, RaftAnswer, RaftState } from './raft-state.ts';
import { destinationOf, ELECTION_STEP_MS, isLost, isPlausible, isVoterItself, isWon, keyOf, leaderDestination, otherVoters, toCandidate, toFollower, toLeader, toUnattached, type Turn } from './raft-turn.ts';
import { versionsNotTold, versionsTold } from './raft-voter-change.ts';
import { endpointOn, majorityOf, type VoterEndpoint, voterOf } from './voters.ts';

export function answered(turn: Turn, requestId: number, answer: RaftAnswer): void {
  const asked = connectionOf(turn.state, requestId);
  if (asked === undefined || asked.api !== answer.api) return;
  const isUnderstood = take(turn, requestId, answer, asked);
  // In another role all connections are new.
  if (connectionOf(turn.state, requestId) !== undefined) settle(turn, asked.key, isUnderstood);
}

export function notAnswered(turn: Turn, requestId: number, { isRefused = false } = {}): void {
  const asked = connectionOf(turn.state, requestId);
  if (asked === undefined) return;
  settle(turn, asked.key, false);
  const { role } = turn.state;
  const leader = leaderDestination(turn.state);
  if (role.name === 'follower' && leader !== null && keyOf(leader) === asked.key) {
    const { nowMs } = turn;
    setFollower(turn, { unreachedMs: role.unreachedMs ?? nowMs, ...(isRefused && role.hasFetched && { refusedMs: role.refusedMs ?? nowMs }) });
    if (isRefused && role.hasFetched) turn.state = { ...turn.state, goneLeaderId: leader.nodeId };
  }
  if (asked.api === 'versions') versionsNotTold(turn, requestId);
}

function connectionOf(state: RaftState, requestId: number) {
  for (const [key, connection] of state.connections) {
    if (connection.name === 'busy' && connection.requestId === requestId) return { ...connection, key };
  }
  return undefined;
}

/** What came from the leader has been done; or it could not be, and is asked for again after a pause. */
export function followed(turn: Turn, isDone: boolean): void {
  if (turn.state.role.name !== 'follower') return;
  setFollower(turn, { isFollowing: false });
  const leader = leaderDestination(turn.state);
  if (!isDone && leader !== null) settle(turn, keyOf(leader), false);
  followHighWatermark(turn);
}

function settle(turn: Turn, key: string, isUnderstood: boolean): void {
  const connections = new Map(turn.state.connections);
  if (isUnderstood) connections.delete(key);
  else connections.set(key, { name: 'backingOff', untilMs: turn.nowMs + turn.state.config.retryBackoffMs });
  turn.state = { ...turn.state, connections };
}

/** False for what is to be asked again only after a pause. */
function take(turn: Turn, requestId: number, answer: RaftAnswer, { nodeId, key }: { readonly nodeId: number | null; readonly key: string }): boolean {
  switch (answer.api) {
    case 'vote':
      return takeVote(turn, answer, nodeId);
    case 'beginEpoch':
      return takeHead(turn, answer) ?? answer.error === ErrorCode.NONE;
    case 'endEpoch':
      return takeEndEpoch(turn, answer, nodeId);
    case 'fetch':
      return takeFetched(turn, answer, key);
    case 'fetchSnapshot':
      return takeChunk(turn, answer);
    case 'updateVoter':
      return takeUpdateVoter(turn, answer);
    case 'addVoter':
      return postpone(turn, [ErrorCode.NONE, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.DUPLICATE_VOTER].includes(answer.error as never));
    case 'removeVoter':
      return postpone(turn, [ErrorCode.NONE, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.VOTER_NOT_FOUND].includes(answer.error as never));
    case 'versions':
      return versionsTold(turn, requestId, answer);
  }
}

/** What an answer says of leader and epoch: undefined when it is of this epoch and the rest of it counts. */
function takeHead(turn: Turn, { error, leaderId, epoch, leaderEndpoints: told }: AnswerHead): boolean | undefined {
  const { state } = turn;
  const { election } = state;
  const endpoints = told.length > 0 ? told : (voterOf(state.voters, leaderId)?.endpoints ?? []);
  if (error === ErrorCode.INVALID_REQUEST || error === ErrorCode.BROKER_NOT_AVAILABLE || !isPlausible(state, epoch)) return false;
  if (epoch < election.epoch || error === ErrorCode.UNKNOWN_LEADER_EPOCH) return true;
  if (epoch > election.epoch || error === ErrorCode.FENCED_LEADER_EPOCH || error === ErrorCode.NOT_LEADER_OR_FOLLOWER) {
    return hearOfLeader(turn, leaderId, epoch, endpoints);
  }
  if (leaderId >= 0 && election.leaderId < 0) {
    if (!isConsistent(state, leaderId, epoch) || !toFollower(turn, epoch, leaderId, endpoints)) return false;
    return error === ErrorCode.NONE ? undefined : true;
  }
  // One epoch, two leaders: somebody lies.
  if (leaderId >= 0 && leaderId !== election.leaderId) return false;
  if (error === ErrorCode.INVALID_VOTER_KEY) return true;
  return undefined;
}

/** An epoch has one leader, and nobody knows better than this node whether it is the one. */
export function isConsistent({ nodeId, role, election }: RaftState, leaderId: number, epoch: number): boolean {
  if (leaderId === nodeId) return role.name === 'leader' && epoch === election.epoch;
  return epoch !== election.epoch || leaderId < 0 || election.leaderId < 0 || leaderId === election.leaderId;
}

/** Follows whoever leads a later epoch, or is newly known to lead this one. False when that cannot be. */
export function hearOfLeader(turn: Turn, leaderId: number, epoch: number, endpoints: readonly VoterEndpoint[]): boolean {
  const { state } = turn;
  const { election, leaderEndpoints, role, config } = state;
  if (!isConsistent(state, leaderId, epoch)) return false;
  if (epoch > election.epoch) {
    if (leaderId < 0 || !toFollower(turn, epoch, leaderId, endpoints)) toUnattached(turn, epoch, leaderId);
    return true;
  }
  if (leaderId < 0 || leaderId === state.nodeId || epoch < election.epoch) return true;
  const isNew = election.leaderId < 0 || (role.name !== 'follower' && endpointOn(leaderEndpoints, config.listenerName) === undefined);
  if (isNew || endpoints.length > leaderEndpoints.length) return toFollower(turn, epoch, leaderId, endpoints);
  return true;
}

function takeVote(turn: Turn, answer: RaftAnswer & { api: 'vote' }, nodeId: number | null): boolean {
  const { role } = turn.state;
  if (answer.error === ErrorCode.UNSUPPORTED_VERSION && role.name === 'prospective') {
    // Some voter does not know pre-votes: then nobody is asked for them.
    toCandidate(turn);
    return true;
  }
  const handled = takeHead(turn, answer);
  if (handled !== undefined) return handled;
  if (answer.error !== ErrorCode.NONE) return false;
  const { state } = turn;
  if ((state.role.name !== 'prospective' && state.role.name !== 'candidate') || nodeId === null) return true;
  const ballot = new Map(state.role.ballot).set(nodeId, answer.isGranted ? 'granted' : 'rejected');
  turn.state = { ...state, role: { ...state.role, ballot } };
  if (isWon(turn.state, ballot)) {
    if (state.role.name === 'prospective') toCandidate(turn);
    else toLeader(turn);
  } else if (state.role.name === 'prospective' && isLost(turn.state, ballot)) {
    afterLostPreVote(turn);
  }
  return true;
}

/** Back to the leader that was there, or to waiting for one. A candidate that lost waits for its time to run out. */
export function afterLostPreVote(turn: Turn): void {
  const { election, leaderEndpoints } = turn.state;
  if (election.leaderId >= 0 && election.leaderId !== turn.state.nodeId && toFollower(turn, election.epoch, election.leaderId, leaderEndpoints)) return;
  toUnattached(turn, election.epoch, election.leaderId);
}

function takeEndEpoch(turn: Turn, answer: AnswerHead, nodeId: number | null): boolean {
  const handled = takeHead(turn, answer);
  if (handled !== undefined) return handled;
  if (answer.error !== ErrorCode.NONE) return false;
  const { role } = turn.state;
  if (role.name === 'resigned') turn.state = { ...turn.state, role: { ...role, unheard: role.unheard.filter((id) => id !== nodeId) } };
  return true;
}

/**
 * A voter that has just started, and hears from a majority that they know of no leader either, need not wait for one: the first by id stands at once, each of
 * the others a little later. Pre-votes keep that from doing harm. Kafka's voters wait for the election timeout. Gives back false: there is nothing to fetch.
 */
function noteLeaderless(turn: Turn, { leaderId, epoch }: AnswerHead, to: string): false {
  const { state, nowMs } = turn;
  const { role, election, voters } = state;
  if (role.name !== 'unattached' || role.leaderless === null || leaderId >= 0 || epoch !== election.epoch || election.votedId >= 0) return false;
  const leaderless = role.leaderless.includes(to) ? role.leaderless : [...role.leaderless, to];
  const others = otherVoters(state).filter((voter) => {
    const destination = destinationOf(state, voter);
    return destination !== null && leaderless.includes(keyOf(destination));
  });
  const isEnough = isVoterItself(state) && others.length + 1 >= majorityOf(voters);
  const position = voters.findIndex(({ id }) => id === state.nodeId);
  const electionMs = isEnough ? Math.min(role.electionMs, nowMs + position * ELECTION_STEP_MS) : role.electionMs;
  turn.state = { ...state, role: { ...role, leaderless, electionMs } };
  return false;
}

function takeFetched(turn: Turn, answer: RaftAnswer & { api: 'fetch' }, to: string): boolean {
  const handled = takeHead(turn, answer);
  // Who cannot serve is not asked again at once: it would be all that both do.
  if (handled !== undefined) return answer.error === ErrorCode.NONE ? handled : noteLeaderless(turn, answer, to);
  if (answer.error !== ErrorCode.NONE || turn.state.role.name !== 'follower') return false;
  const { content } = answer;
  const { highWatermark, election } = turn.state;
  switch (content.type) {
    case 'diverging':
      // Whoever asks to cut what is committed is not the leader of this quorum.
      if (content.epoch < 0 || content.endOffset < 0 || content.endOffset < (highWatermark ?? 0)) return false;
      turn.effects.push({ type: 'truncate', epoch: content.epoch, endOffset: content.endOffset });
      setFollower(turn, { isFollowing: true });
      break;
    case 'snapshot':
      if (content.id.offset < 0 || content.id.epoch < 0 || content.id.epoch > election.epoch || content.id.offset < (highWatermark ?? 0)) return false;
      turn.effects.push({ type: 'beginSnapshot', id: content.id });
      setFollower(turn, { isFollowing: true });
      break;
    case 'records':
      if (content.bytes.length > 0) turn.effects.push({ type: 'follow', bytes: content.bytes, epoch: election.epoch });
      setFollower(turn, { isFollowing: content.bytes.length > 0, leaderHighWatermark: Math.max(turn.state.role.leaderHighWatermark, answer.highWatermark) });
      if (content.bytes.length === 0) followHighWatermark(turn);
      break;
  }
  fetched(turn);
  return true;
}

function takeChunk(turn: Turn, answer: RaftAnswer & { api: 'fetchSnapshot' }): boolean {
  const handled = takeHead(turn, answer);
  if (handled !== undefined) return handled;
  const { role } = turn.state;
  if (role.name !== 'follower' || role.snapshot === null) return false;
  const { snapshot } = role;
  if (answer.error === ErrorCode.SNAPSHOT_NOT_FOUND || answer.id.offset < 0 || answer.id.epoch < 0) {
    // It was deleted: the next fetch tells of another one.
    setFollower(turn, { snapshot: null });
    fetched(turn);
    return true;
  }
  const { id, position, sizeBytes, bytes } = answer;
  const fits = id.offset === snapshot.offset && id.epoch === snapshot.epoch && position === snapshot.position && bytes.length > 0 && position + bytes.length <= sizeBytes;
  if (answer.error !== ErrorCode.NONE || !fits) {
    setFollower(turn, { snapshot: null });
    return false;
  }
  turn.effects.push({ type: 'takeChunk', id, position, sizeBytes, bytes });
  setFollower(turn, { isFollowing: true });
  fetched(turn);
  return true;
}

function takeUpdateVoter(turn: Turn, answer: AnswerHead): boolean {
  const handled = takeHead(turn, answer);
  if (handled !== undefined) return handled;
  if (answer.error !== ErrorCode.NONE && answer.error !== ErrorCode.UNSUPPORTED_VERSION) return false;
  if (turn.state.role.name === 'follower') {
    setFollower(turn, { hasUpdatedLeader: true });
    fetched(turn);
  }
  return true;
}

function postpone(turn: Turn, isUnderstood: boolean): boolean {
  if (isUnderstood && turn.state.role.name === 'follower') setFollower(turn, { updateVoterMs: turn.nowMs + 2 * turn.state.config.fetchTimeoutMs });
  return isUnderstood;
}

export function setFollower(turn: Turn, changes: Partial<FollowerRole>): void {
  const { role } = turn.state;
  if (role.name === 'follower') turn.state = { ...turn.state, role: { ...role, ...changes } };
}

/** The leader is there. */
function fetched(turn: Turn): void {
  setFollower(turn, { hasFetched: true, unreachedMs: null, refusedMs: null, fetchDeadlineMs: turn.nowMs + turn.state.config.fetchTimeoutMs });
  turn.state = { ...turn.state, goneLeaderId: null };
}

/** What the leader has told is committed, as far as it is on this node's disk. */
export function followHighWatermark(turn: Turn): void {
  const { state } = turn;
  if (state.role.name !== 'follower') return;
  const offset = Math.min(state.role.leaderHighWatermark, state.durableOffset);
  if (offset <= (state.highWatermark ?? -1)) return;
  turn.state = { ...state, highWatermark: offset };
  turn.effects.push({ type: 'highWatermark', offset });
}

/** Whether another fetch may be sent: what a fetch asks for next, it says to have on disk. Nor would it know the high watermark that it has been told. */
export function isAllDurable({ durableOffset, logEndOffset }: RaftState): boolean {
  return durableOffset >= logEndOffset;
}
