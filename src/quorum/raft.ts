/**
 * KRaft as a state machine: `step(state, event, nowMs)` gives the next state and what must be done about it, and does none of it.
 *
 * Promises: no input, no output, no clock, no randomness; the same events give the same effects. Effects are to be carried out in order, and a
 * `saveElection` must be durable before the effect after it: a vote or an epoch that a crash can take back is how two leaders come about.
 * Complete for a quorum of one. Votes and durable offsets are counted over the voter set all the same, so that Vote, BeginQuorumEpoch,
 * EndQuorumEpoch and Fetch are more events and effects, and change none of what is here.
 *
 *   unattached --start / election timeout--> candidate --votes of a majority--> leader --resign--> resigned
 */
import assert from 'node:assert';

export interface Voter {
  readonly id: number;
  /** null in a static quorum (kraft.version 0), which knows no directories. */
  readonly directoryId: string | null;
}

/** What the quorum-state file keeps over a restart. */
export interface ElectionState {
  readonly epoch: number;
  /** -1 when none is known in this epoch. */
  readonly leaderId: number;
  /** -1 when this node has not voted in this epoch. */
  readonly votedId: number;
  readonly votedDirectoryId: string | null;
}

export type RaftRole =
  | { readonly name: 'unattached' }
  | { readonly name: 'candidate'; readonly granted: readonly number[] }
  | {
      readonly name: 'leader';
      /** Of the LeaderChange record. Nothing counts as committed before it is. */
      readonly epochStartOffset: number;
      /** By voter: the end of what it has made durable. */
      readonly durableOffsets: ReadonlyMap<number, number>;
    }
  | { readonly name: 'resigned' };

export interface RaftState {
  readonly nodeId: number;
  readonly directoryId: string | null;
  readonly voters: readonly Voter[];
  readonly election: ElectionState;
  readonly role: RaftRole;
  readonly logEndOffset: number;
  /** End of what this node's log has on disk. */
  readonly durableOffset: number;
  /** All below is committed; undefined until this node has heard of one since it started. */
  readonly highWatermark: number | undefined;
}

export type RaftEvent =
  /** Once, after the log has been opened and recovered: all that it holds is durable. */
  | { readonly type: 'start' }
  /** The log ends at `endOffset` now; the LeaderChange record counts too. */
  | { readonly type: 'appended'; readonly endOffset: number }
  /** All below `endOffset` is on this node's disk. */
  | { readonly type: 'durable'; readonly endOffset: number }
  /** What was appended could not be written and is gone again. */
  | { readonly type: 'cut'; readonly endOffset: number }
  | { readonly type: 'resign' };

export type RaftEffect =
  | { readonly type: 'saveElection'; readonly election: ElectionState }
  /** Append a LeaderChange record as the first of this epoch. */
  | {
      readonly type: 'appendLeaderChange';
      readonly epoch: number;
      readonly voters: readonly number[];
      readonly grantingVoters: readonly number[];
    }
  | { readonly type: 'becomeLeader'; readonly epoch: number }
  | { readonly type: 'highWatermark'; readonly offset: number }
  | { readonly type: 'resigned'; readonly epoch: number };

export interface RaftStep {
  readonly state: RaftState;
  readonly effects: readonly RaftEffect[];
}

export function initialState(options: {
  readonly nodeId: number;
  readonly directoryId: string | null;
  readonly voters: readonly Voter[];
  /** From the quorum-state file; null in a new directory. */
  readonly election: ElectionState | null;
  /** Epoch of the last batch in the log or of the snapshot, 0 when there is none. */
  readonly lastEpoch: number;
  readonly logEndOffset: number;
}): RaftState {
  const saved = options.election;
  // A log that is ahead of the file was written by a leader whose epoch this node never stored: the file is lost or old, the log is right.
  const election =
    saved !== null && saved.epoch >= options.lastEpoch ? saved : { epoch: options.lastEpoch, leaderId: -1, votedId: -1, votedDirectoryId: null };
  return {
    nodeId: options.nodeId,
    directoryId: options.directoryId,
    voters: options.voters,
    election,
    role: { name: 'unattached' },
    logEndOffset: options.logEndOffset,
    durableOffset: options.logEndOffset,
    highWatermark: undefined,
  };
}

export function isLeader(state: RaftState): boolean {
  return state.role.name === 'leader';
}

export function step(state: RaftState, event: RaftEvent, _nowMs: number): RaftStep {
  switch (event.type) {
    case 'start':
      // Alone, there is nobody to hear from first; with others this waits for the fetch timeout, then asks for pre-votes.
      return isOnlyVoter(state) ? becomeCandidate(state) : { state, effects: [] };
    case 'appended':
      assert(event.endOffset >= state.logEndOffset, 'the log grew backwards');
      return { state: { ...state, logEndOffset: event.endOffset }, effects: [] };
    case 'durable':
      return durable(state, event.endOffset);
    case 'cut':
      assert(event.endOffset >= (state.highWatermark ?? 0), 'the log was cut below the high watermark');
      return { state: { ...state, logEndOffset: event.endOffset }, effects: [] };
    case 'resign':
      return resign(state);
  }
}

/** A new epoch, with a vote for itself that must be on disk before anybody counts it. */
function becomeCandidate(state: RaftState): RaftStep {
  const election: ElectionState = {
    epoch: state.election.epoch + 1,
    leaderId: -1,
    votedId: state.nodeId,
    votedDirectoryId: state.directoryId,
  };
  const candidate: RaftState = { ...state, election, role: { name: 'candidate', granted: [state.nodeId] } };
  const rest = electedIfGranted(candidate);
  return { state: rest.state, effects: [{ type: 'saveElection', election }, ...rest.effects] };
}

function electedIfGranted(state: RaftState): RaftStep {
  assert(state.role.name === 'candidate', 'only a candidate is elected');
  const { granted } = state.role;
  if (granted.length <= state.voters.length / 2) return { state, effects: [] };
  const election: ElectionState = { ...state.election, leaderId: state.nodeId, votedId: -1, votedDirectoryId: null };
  const leader: RaftState = {
    ...state,
    election,
    role: { name: 'leader', epochStartOffset: state.logEndOffset, durableOffsets: new Map([[state.nodeId, state.durableOffset]]) },
  };
  return {
    state: leader,
    effects: [
      { type: 'saveElection', election },
      { type: 'appendLeaderChange', epoch: election.epoch, voters: state.voters.map((voter) => voter.id), grantingVoters: granted },
      { type: 'becomeLeader', epoch: election.epoch },
    ],
  };
}

function durable(state: RaftState, endOffset: number): RaftStep {
  assert(endOffset <= state.logEndOffset, 'more is durable than was written');
  const next: RaftState = { ...state, durableOffset: endOffset };
  if (next.role.name !== 'leader') return { state: next, effects: [] };
  const durableOffsets = new Map(next.role.durableOffsets).set(state.nodeId, endOffset);
  return advanceHighWatermark({ ...next, role: { ...next.role, durableOffsets } });
}

/** What a majority of the voters has on disk, but only once a record of this leader's own epoch is among it (Raft section 5.4.2). */
function advanceHighWatermark(state: RaftState): RaftStep {
  assert(state.role.name === 'leader', 'only a leader moves the high watermark by itself');
  const { durableOffsets, epochStartOffset } = state.role;
  const offsets = state.voters.map((voter) => durableOffsets.get(voter.id) ?? 0).sort((left, right) => right - left);
  const majority = offsets[Math.floor(state.voters.length / 2)]!;
  if (majority <= epochStartOffset || majority <= (state.highWatermark ?? -1)) return { state, effects: [] };
  return { state: { ...state, highWatermark: majority }, effects: [{ type: 'highWatermark', offset: majority }] };
}

function resign(state: RaftState): RaftStep {
  if (state.role.name !== 'leader') return { state, effects: [] };
  return { state: { ...state, role: { name: 'resigned' } }, effects: [{ type: 'resigned', epoch: state.election.epoch }] };
}

function isOnlyVoter(state: RaftState): boolean {
  return state.voters.length === 1 && state.voters[0]!.id === state.nodeId;
}
