/** The raft step as transcripts: an event a line, then what it asks for. */
import { describe, expect, it } from 'vitest';
import { initialState, isLeader, step as stepAt } from '../../../src/quorum/raft.ts';
import type { ElectionState, RaftConfig, RaftEffect, RaftEvent, RaftState, RaftStep } from '../../../src/quorum/raft-state.ts';
import type { Voter } from '../../../src/quorum/voters.ts';

const DIRECTORY = 'AQEBAQEBAQEBAQEBAQEBAQ';
const CONFIG: RaftConfig = {
  electionTimeoutMs: 1000, electionBackoffMsMax: 1000, fetchTimeoutMs: 2000, requestTimeoutMs: 2000, retryBackoffMs: 20, canVote: true, autoJoin: false,
  listenerName: 'CONTROLLER', endpoints: [], kraftVersions: { min: 0, max: 1 }, bootstrap: [],
};

function voter(id: number): Voter {
  return { id, directoryId: null, endpoints: [{ name: 'CONTROLLER', host: 'localhost', port: 9090 + id }], kraftVersions: { min: 0, max: 0 } };
}

const ALONE: Voter[] = [voter(1)];

function step(state: RaftState, event: RaftEvent, nowMs: number): RaftStep {
  return stepAt(state, event, nowMs, 0.5);
}

function begin(options: { election?: ElectionState; lastEpoch?: number; logEndOffset?: number; voters?: Voter[] } = {}): RaftState {
  return initialState({
    nodeId: 1, directoryId: DIRECTORY, config: CONFIG, voters: options.voters ?? ALONE, kraftVersion: 0, votersOffset: null, election: options.election ?? null, lastEpoch: options.lastEpoch ?? 0, logEndOffset: options.logEndOffset ?? 0,
  });
}

function show(effect: RaftEffect): string | null {
  switch (effect.type) {
    case 'saveElection':
      return `save epoch ${effect.election.epoch} leader ${effect.election.leaderId} voted ${effect.election.votedId}`;
    case 'appendLeaderChange':
      return `leader change, voters ${effect.voters.join(' ')}, granted by ${effect.grantingVoters.join(' ')}`;
    case 'becomeLeader':
      return `leader of epoch ${effect.epoch}`;
    case 'highWatermark':
      return `high watermark ${effect.offset}`;
    case 'resigned':
      return `resigned from epoch ${effect.epoch}`;
    default:
      return null;
  }
}

function transcript(state: RaftState, events: readonly RaftEvent[]): { lines: string[]; state: RaftState } {
  const lines: string[] = [];
  for (const event of events) {
    const next = step(state, event, 0);
    state = next.state;
    lines.push(...next.effects.map(show).filter((line) => line !== null));
  }
  return { lines, state };
}

describe('a quorum of one', () => {
  it('elects itself, writes its epoch first, and commits what it has on disk', () => {
    const { lines, state } = transcript(begin(), [
      { type: 'start' },
      { type: 'appended', endOffset: 1, lastEpoch: 1 },
      { type: 'appended', endOffset: 11, lastEpoch: 1 },
      { type: 'durable', endOffset: 1 },
      { type: 'appended', endOffset: 14, lastEpoch: 1 },
      { type: 'durable', endOffset: 14 },
      { type: 'resign' },
    ]);
    expect(lines).toEqual([
      'save epoch 1 leader -1 voted 1',
      'save epoch 1 leader 1 voted -1',
      'leader change, voters 1, granted by 1',
      'leader of epoch 1',
      'high watermark 1',
      'high watermark 14',
      'resigned from epoch 1',
    ]);
    expect(isLeader(state)).toBe(false);
  });

  it('takes a new epoch at every start', () => {
    const { lines } = transcript(begin({ election: { epoch: 4, leaderId: 1, votedId: -1, votedDirectoryId: null }, lastEpoch: 4, logEndOffset: 30 }), [{ type: 'start' }]);
    expect(lines[0]).toBe('save epoch 5 leader -1 voted 1');
  });

  it('believes the log when the quorum-state file is older', () => {
    const { lines } = transcript(begin({ election: { epoch: 2, leaderId: 1, votedId: -1, votedDirectoryId: null }, lastEpoch: 6, logEndOffset: 30 }), [{ type: 'start' }]);
    expect(lines[0]).toBe('save epoch 7 leader -1 voted 1');
  });

  it('commits nothing of earlier epochs before a record of its own is on disk', () => {
    const { lines } = transcript(begin({ lastEpoch: 3, logEndOffset: 30 }), [
      { type: 'start' },
      { type: 'appended', endOffset: 31, lastEpoch: 1 },
      { type: 'durable', endOffset: 30 },
    ]);
    expect(lines.filter((line) => line.startsWith('high'))).toEqual([]);
  });

  it('forgets what could not be written', () => {
    const { state } = transcript(begin(), [
      { type: 'start' }, { type: 'appended', endOffset: 1, lastEpoch: 1 }, { type: 'durable', endOffset: 1 }, { type: 'appended', endOffset: 9, lastEpoch: 1 }, { type: 'cut', endOffset: 1, lastEpoch: 1 },
    ]);
    expect(state.logEndOffset).toBe(1);
    expect(() => step(state, { type: 'cut', endOffset: 0, lastEpoch: 1 }, 0)).toThrow('below the high watermark');
    expect(() => step(state, { type: 'durable', endOffset: 5 }, 0)).toThrow('more is durable');
  });

  it('does the same for the same events', () => {
    const events: RaftEvent[] = [{ type: 'start' }, { type: 'appended', endOffset: 3, lastEpoch: 1 }, { type: 'durable', endOffset: 3 }];
    expect(transcript(begin(), events)).toEqual(transcript(begin(), events));
  });
});

it('one voter of three does not elect itself', () => {
  const voters = [1, 2, 3].map(voter);
  expect(transcript(begin({ voters }), [{ type: 'start' }]).lines).toEqual(['save epoch 0 leader -1 voted -1']);
});
