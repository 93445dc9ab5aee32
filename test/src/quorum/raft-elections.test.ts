/** One voter of three, told what others say and what time it is: which roles it takes, whom it votes for, and what it does not believe. */
import { describe, expect, it } from 'vitest';
import { ErrorCode, errorName } from '../../../protocol/errors.ts';
import { initialState, nextTimeMs, step } from '../../../src/quorum/raft.ts';
import type { ElectionState, RaftAnswer, RaftConfig, RaftEffect, RaftEvent, RaftState } from '../../../src/quorum/raft-state.ts';
import type { Voter, VoterEndpoint } from '../../../src/quorum/voters.ts';

const PORT = 9090;
const endpoints = (id: number): VoterEndpoint[] => [{ name: 'CONTROLLER', host: 'node', port: PORT + id }];
const voter = (id: number): Voter => ({ id, directoryId: null, endpoints: endpoints(id), kraftVersions: { min: 0, max: 0 } });
const directory = (id: number): string => Buffer.alloc(16, id).toString('base64url');
const CONFIG: RaftConfig = {
  electionTimeoutMs: 1000, electionBackoffMsMax: 1000, fetchTimeoutMs: 2000, requestTimeoutMs: 2000, retryBackoffMs: 20, canVote: true, autoJoin: false, listenerName: 'CONTROLLER',
  endpoints: endpoints(1), kraftVersions: { min: 0, max: 1 }, bootstrap: [2, 3].map((id) => ({ nodeId: id, host: 'node', port: PORT + id })),
};
const END = 10;
const LAST_EPOCH = 4;

/** Node 1, whose log ends at 10 with a record of epoch 4. */
class Node {
  state: RaftState;
  nowMs = 0;
  effects: readonly RaftEffect[] = [];
  #token = 0;

  constructor(election: ElectionState | null = null, config: Partial<RaftConfig> = {}) {
    this.state = initialState({
      nodeId: 1, directoryId: directory(1), config: { ...CONFIG, ...config }, voters: [1, 2, 3].map(voter), kraftVersion: 0, votersOffset: null, election, lastEpoch: LAST_EPOCH, logEndOffset: END,
    });
    this.tell({ type: 'start' });
  }

  tell(event: RaftEvent): readonly RaftEffect[] {
    const { state, effects } = step(this.state, event, this.nowMs, 0);
    this.state = state;
    return (this.effects = effects);
  }

  /** Time goes by up to the next thing that is due. */
  wait(untilMs = nextTimeMs(this.state, this.nowMs)): readonly RaftEffect[] {
    this.nowMs = untilMs;
    return this.tell({ type: 'tick' });
  }

  get role(): string {
    return this.state.role.name;
  }

  /** `api to` of what was asked of others in the last step. */
  get sent(): string[] {
    return this.effects.flatMap((effect) => (effect.type === 'send' ? [`${effect.request.api}${effect.request.api === 'vote' && effect.request.preVote ? ' (pre)' : ''} ${effect.to.port - PORT}`] : []));
  }

  /** The answer of node `from` to what it was last asked. */
  answer(from: number, answer: Partial<RaftAnswer> & { api: RaftAnswer['api'] }): readonly RaftEffect[] {
    const busy = this.state.connections.get(`node:${PORT + from}`);
    const requestId = busy?.name === 'busy' ? busy.requestId : -1;
    const head = { error: ErrorCode.NONE, leaderId: -1, epoch: this.state.election.epoch, leaderEndpoints: [] };
    return this.tell({ type: 'answer', requestId, answer: { ...head, ...answer } as RaftAnswer });
  }

  ask(event: Omit<RaftEvent & { type: 'vote' | 'beginEpoch' | 'endEpoch' }, 'token'> & object): { error: string; isGranted?: boolean | undefined } {
    const effects = this.tell({ ...event, token: ++this.#token } as RaftEvent);
    const reply = effects.find((effect) => effect.type === 'reply');
    return { error: errorName(reply!.reply.error), isGranted: reply!.reply.isGranted };
  }

  vote(from: number, epoch: number, options: { preVote?: boolean; lastEpoch?: number; lastOffset?: number } = {}): boolean | string {
    const { preVote = false, lastEpoch = LAST_EPOCH, lastOffset = END } = options;
    const event = { type: 'vote', voter: { id: 1, directoryId: null }, replica: { id: from, directoryId: directory(from) }, epoch, lastEpoch, lastOffset, preVote } as const;
    const { error, isGranted } = this.ask(event as never);
    return error === 'NONE' ? isGranted! : error;
  }

  begin(from: number, epoch: number): string {
    return this.ask({ type: 'beginEpoch', voter: null, leaderId: from, epoch, endpoints: endpoints(from) } as never).error;
  }

  /** Candidate of epoch 5, and then its leader. */
  lead(): this {
    this.wait(this.state.role.name === 'unattached' ? this.state.role.electionMs : this.nowMs);
    this.answer(2, { api: 'vote', isGranted: true });
    this.answer(3, { api: 'vote', isGranted: true });
    this.tell({ type: 'appended', endOffset: END + 1, lastEpoch: 5 });
    this.tell({ type: 'durable', endOffset: END + 1 });
    expect(this.role).toBe('leader');
    return this;
  }
}

describe('a voter without a leader', () => {
  it('asks whether it would be elected, then takes an epoch, then leads', () => {
    const node = new Node();
    expect([node.role, node.sent]).toEqual(['unattached', ['fetch 2']]);
    node.wait(1000);
    expect([node.role, node.sent]).toEqual(['prospective', ['vote (pre) 2', 'vote (pre) 3']]);
    // No epoch was taken, and nothing written: a node that is cut off disturbs nobody.
    expect(node.state.election.epoch).toBe(4);
    expect(node.effects.some(({ type }) => type === 'saveElection')).toBe(false);
    const effects = node.answer(3, { api: 'vote', isGranted: true });
    expect([node.role, node.sent]).toEqual(['candidate', ['vote 2', 'vote 3']]);
    expect(effects.findIndex(({ type }) => type === 'saveElection')).toBeLessThan(effects.findIndex(({ type }) => type === 'send'));
    expect(node.state.election).toEqual({ epoch: 5, leaderId: -1, votedId: 1, votedDirectoryId: directory(1) });
    node.answer(2, { api: 'vote', isGranted: true });
    expect([node.role, node.sent]).toEqual(['leader', ['beginEpoch 2', 'beginEpoch 3']]);
  });

  it('goes back to waiting when the others would not elect it, and again asks after its time', () => {
    const node = new Node();
    node.wait(1000);
    node.answer(2, { api: 'vote', isGranted: false });
    expect(node.role).toBe('prospective');
    node.answer(3, { api: 'vote', isGranted: false });
    expect(node.role).toBe('unattached');
    node.wait(2000);
    expect(node.role).toBe('prospective');
  });

  it('stands at once where a voter does not know pre-votes', () => {
    const node = new Node();
    node.wait(1000);
    node.answer(2, { api: 'vote', error: ErrorCode.UNSUPPORTED_VERSION, epoch: -1, isGranted: false });
    expect([node.role, node.state.election.epoch]).toEqual(['candidate', 5]);
  });

  it('that lost an election waits for its time to run out, and does not take another epoch before it may win', () => {
    const node = new Node();
    node.wait(1000);
    node.answer(2, { api: 'vote', isGranted: true });
    node.answer(2, { api: 'vote', isGranted: false });
    node.answer(3, { api: 'vote', isGranted: false });
    expect(node.role).toBe('candidate');
    node.wait(node.state.role.name === 'candidate' ? node.state.role.electionMs : 0);
    expect([node.role, node.state.election.epoch]).toEqual(['prospective', 5]);
  });

  it('follows whoever others say leads, in an epoch that is not older', () => {
    const node = new Node();
    node.answer(2, { api: 'fetch', error: ErrorCode.NOT_LEADER_OR_FOLLOWER, leaderId: 3, epoch: 3, leaderEndpoints: endpoints(3) });
    expect(node.role).toBe('unattached');
    node.answer(2, { api: 'fetch', error: ErrorCode.NOT_LEADER_OR_FOLLOWER, leaderId: 3, epoch: 7, leaderEndpoints: endpoints(3) });
    node.nowMs += 20;
    node.wait(node.nowMs);
    const again = new Node();
    again.answer(2, { api: 'fetch', error: ErrorCode.FENCED_LEADER_EPOCH, leaderId: 3, epoch: 7, leaderEndpoints: endpoints(3) });
    expect([again.role, again.state.election.epoch, again.state.election.leaderId, again.sent]).toEqual(['follower', 7, 3, ['fetch 3']]);
  });

  it('that has just started stands as soon as a majority knows no leader either', () => {
    const node = new Node();
    node.answer(2, { api: 'fetch', error: ErrorCode.NOT_LEADER_OR_FOLLOWER });
    expect(node.role).toBe('prospective');
    // Not one that has been asked for its vote: an election is under way.
    const other = new Node();
    other.vote(3, 5);
    other.answer(2, { api: 'fetch', error: ErrorCode.NOT_LEADER_OR_FOLLOWER });
    expect(other.role).toBe('unattached');
  });
});

describe('the epochs that are left', () => {
  const MAX = 0x7fff_ffff;

  it('are not given away for a lie: one that is further on than half of them is refused, in a request and in an answer', () => {
    const node = new Node();
    const half = LAST_EPOCH + Math.floor((MAX - LAST_EPOCH) / 2);
    for (const epoch of [MAX, half + 1]) {
      expect(node.vote(2, epoch)).toBe('INVALID_REQUEST');
      expect(node.begin(2, epoch)).toBe('INVALID_REQUEST');
    }
    node.wait();
    expect(node.sent).toEqual(['vote (pre) 2', 'vote (pre) 3']);
    node.answer(2, { api: 'vote', error: ErrorCode.FENCED_LEADER_EPOCH, leaderId: 2, epoch: MAX, isGranted: false });
    expect([node.role, node.state.election.epoch]).toEqual(['prospective', LAST_EPOCH]);
    // Whoever was away for long may believe what cannot be told from the truth, and elections go on from there.
    expect(node.vote(2, half)).toBe(true);
    expect(node.state.election.epoch).toBe(half);
  });

  it('are used up to the last one', () => {
    const node = new Node({ epoch: MAX - 1, leaderId: -1, votedId: -1, votedDirectoryId: null });
    expect(node.vote(2, MAX)).toBe(true);
    expect(node.state.election).toMatchObject({ epoch: MAX, votedId: 2 });
  });
});

describe('after a restart a voter is', () => {
  const saved = (changes: Partial<ElectionState>): ElectionState => ({ epoch: 6, leaderId: -1, votedId: -1, votedDirectoryId: null, ...changes });
  it.each([
    ['a follower of the leader that it followed', saved({ leaderId: 3 }), 'follower', ['fetch 3']],
    ['resigned where it led, and tells the others', saved({ leaderId: 1 }), 'resigned', ['endEpoch 2', 'endEpoch 3']],
    ['a candidate where it voted for itself', saved({ votedId: 1 }), 'candidate', ['vote 2', 'vote 3']],
    ['waiting where it voted for another', saved({ votedId: 2 }), 'unattached', ['fetch 2']],
    ['waiting in the epoch of its log where the file is older', saved({ epoch: 2, leaderId: 3 }), 'unattached', ['fetch 2']],
  ])('%s', (_, election, role, sent) => {
    const node = new Node(election);
    expect([node.role, node.sent]).toEqual([role, sent]);
    expect(node.state.election.epoch).toBe(Math.max(election.epoch, LAST_EPOCH));
  });
});

describe('a vote', () => {
  it('is given once in an epoch, and again to the same', () => {
    const node = new Node();
    expect(node.vote(2, 5)).toBe(true);
    expect(node.effects.findIndex(({ type }) => type === 'saveElection')).toBeLessThan(node.effects.findIndex(({ type }) => type === 'reply'));
    expect(node.vote(3, 5)).toBe(false);
    expect(node.vote(2, 5)).toBe(true);
    expect(node.vote(3, 6)).toBe(true);
  });

  it.each([
    ['a shorter log of the same epoch', { lastOffset: 9 }, false],
    ['a longer log of an earlier epoch', { lastEpoch: 3, lastOffset: 99 }, false],
    ['a shorter log of a later epoch', { lastEpoch: 5, lastOffset: 1 }, true],
    ['the same log', {}, true],
  ])('goes to one with %s: %s', (_, options, expected) => {
    expect(new Node().vote(2, 6, options)).toBe(expected);
  });

  it('of a follower that has heard from its leader is refused, the pre-vote too; before that a pre-vote is given', () => {
    const node = new Node({ epoch: 6, leaderId: 3, votedId: -1, votedDirectoryId: null });
    expect(node.vote(2, 6)).toBe(false);
    expect(node.vote(2, 6, { preVote: true })).toBe(true);
    node.answer(3, { api: 'fetch', leaderId: 3, highWatermark: -1, content: { type: 'records', bytes: Buffer.alloc(0) } });
    expect(node.vote(2, 6, { preVote: true })).toBe(false);
    // In a later epoch it is nobody's follower.
    expect(node.vote(2, 7)).toBe(true);
  });

  it('of a leader is refused in its epoch; one that has resigned gives pre-votes', () => {
    const node = new Node().lead();
    expect(node.vote(2, 5, { preVote: true, lastEpoch: 5, lastOffset: 99 })).toBe(false);
    node.tell({ type: 'resign' });
    expect(node.vote(2, 5, { preVote: true, lastEpoch: 5, lastOffset: 99 })).toBe(true);
    expect(node.vote(2, 5, { lastOffset: 99 })).toBe(false);
  });

  it('that makes no sense is an error', () => {
    const node = new Node();
    expect(node.vote(2, 3, { lastEpoch: 2 })).toBe('FENCED_LEADER_EPOCH');
    expect(node.vote(2, 4)).toBe('INVALID_REQUEST');
    expect(node.vote(-1, 5)).toBe('INVALID_REQUEST');
    expect(node.vote(2, 5, { lastOffset: -1 })).toBe('INVALID_REQUEST');
    expect(node.vote(1, 5)).toBe(false);
    expect(node.state.election.votedId).toBe(-1);
  });
});

describe('a leader', () => {
  it('resigns when a majority has not fetched for one and a half fetch timeouts, and says who should be next', () => {
    const node = new Node().lead();
    const sinceMs = node.nowMs;
    node.nowMs = sinceMs + 2999;
    node.tell({ type: 'fetchedBy', key: { id: 3, directoryId: directory(3) }, offset: END + 1 });
    node.wait(sinceMs + 3000);
    expect(node.role).toBe('leader');
    node.wait(sinceMs + 2999 + 3000);
    expect(node.role).toBe('resigned');
    const end = node.effects.find((effect) => effect.type === 'send' && effect.request.api === 'endEpoch');
    expect(end?.type === 'send' && end.request.api === 'endEpoch' && end.request.successors.map(({ id }) => id)).toEqual([3, 2]);
    // An observer does not keep it in office.
    const other = new Node().lead();
    const start = other.nowMs;
    other.nowMs = start + 2900;
    other.tell({ type: 'fetchedBy', key: { id: 9, directoryId: directory(9) }, offset: END });
    other.wait(start + 3000);
    expect(other.role).toBe('resigned');
  });

  it('commits what a majority has on disk, and nothing before a record of its own epoch', () => {
    const node = new Node().lead();
    const fetched = (id: number, offset: number) => node.tell({ type: 'fetchedBy', key: { id, directoryId: directory(id) }, offset }).filter(({ type }) => type === 'highWatermark');
    expect(fetched(2, END)).toEqual([]);
    expect(fetched(2, END + 1)).toEqual([{ type: 'highWatermark', offset: END + 1 }]);
    node.tell({ type: 'appended', endOffset: END + 5, lastEpoch: 5 });
    // Its own disk counts like any other: two followers may have it before the leader.
    expect(fetched(2, END + 5)).toEqual([]);
    expect(fetched(3, END + 4)).toEqual([{ type: 'highWatermark', offset: END + 4 }]);
    expect(node.tell({ type: 'durable', endOffset: END + 5 }).filter(({ type }) => type === 'highWatermark')).toEqual([{ type: 'highWatermark', offset: END + 5 }]);
    // A replica that has lost what it had takes nothing back.
    expect(fetched(2, 0)).toEqual([]);
    expect(node.state.highWatermark).toBe(END + 5);
  });

  it('ceases to be when it hears of a later epoch, from a request or an answer', () => {
    const asked = new Node().lead();
    asked.vote(2, 9, { lastEpoch: 8, lastOffset: 1 });
    expect([asked.role, asked.effects.map(({ type }) => type)]).toEqual(['unattached', expect.arrayContaining(['resigned', 'saveElection', 'reply'])]);
    const told = new Node().lead();
    told.answer(2, { api: 'beginEpoch', error: ErrorCode.FENCED_LEADER_EPOCH, leaderId: 3, epoch: 8, leaderEndpoints: endpoints(3) });
    expect([told.role, told.state.election.leaderId]).toEqual(['follower', 3]);
  });
});

describe('a follower', () => {
  const follower = (): Node => new Node({ epoch: 6, leaderId: 3, votedId: -1, votedDirectoryId: null });

  it('whose leader is silent asks for votes after the fetch timeout, and an observer never does', () => {
    const node = follower();
    node.wait(1999);
    expect(node.role).toBe('follower');
    node.wait(2000);
    expect(node.role).toBe('prospective');
    const observer = new Node({ epoch: 6, leaderId: 3, votedId: -1, votedDirectoryId: null }, { canVote: false });
    for (let waits = 0; waits < 50; waits++) observer.wait();
    expect(observer.role).toBe('follower');
  });

  it('whose leader cannot be reached does not wait that long, and gives others its pre-vote', () => {
    const node = follower();
    node.answer(3, { api: 'fetch', leaderId: 3, highWatermark: -1, content: { type: 'records', bytes: Buffer.alloc(0) } });
    expect(node.vote(2, 6, { preVote: true })).toBe(false);
    const refuse = (): void => {
      const busy = node.state.connections.get(`node:${PORT + 3}`);
      if (busy?.name === 'busy') node.tell({ type: 'noAnswer', requestId: busy.requestId });
    };
    refuse();
    expect(node.vote(2, 6, { preVote: true })).toBe(true);
    node.wait(249);
    refuse();
    expect(node.role).toBe('follower');
    node.wait(250);
    expect(node.role).toBe('prospective');
    // One answer, and all is well again.
    const other = follower();
    const busy = other.state.connections.get(`node:${PORT + 3}`);
    other.tell({ type: 'noAnswer', requestId: busy?.name === 'busy' ? busy.requestId : -1 });
    const asked = other.state.connections.get(`node:${PORT + 2}`);
    other.tell({ type: 'noAnswer', requestId: asked?.name === 'busy' ? asked.requestId : -1 });
    other.wait(20);
    expect(other.sent).toEqual(['fetch 3']);
    other.answer(3, { api: 'fetch', leaderId: 3, highWatermark: -1, content: { type: 'records', bytes: Buffer.alloc(0) } });
    other.wait(300);
    expect(other.role).toBe('follower');
  });

  it('whose leader has gone stands at once, and once: after a pre-vote that is lost it waits like others', () => {
    const node = follower();
    /** The leader, and nobody else answers either. */
    const refuse = (type: 'noAnswer' | 'refused'): void => {
      for (const id of [3, 2]) {
        const busy = node.state.connections.get(`node:${PORT + id}`);
        if (busy?.name === 'busy' && node.role === 'follower') node.tell({ type: id === 3 ? type : 'noAnswer', requestId: busy.requestId });
      }
    };
    const fetched = { api: 'fetch', leaderId: 3, highWatermark: -1, content: { type: 'records', bytes: Buffer.alloc(0) } } as const;
    // It never had anything from that leader: whether anybody was there, nobody knows.
    refuse('refused');
    node.wait(20);
    expect([node.role, node.state.goneLeaderId]).toEqual(['follower', null]);
    node.answer(3, fetched);
    refuse('noAnswer');
    node.wait(40);
    expect([node.role, node.sent]).toEqual(['follower', ['fetch 3']]);
    refuse('refused');
    expect([node.role, node.state.goneLeaderId]).toEqual(['prospective', 3]);
    node.answer(2, { api: 'vote', isGranted: false, leaderId: 3 });
    node.answer(3, { api: 'vote', isGranted: false, leaderId: 3 });
    expect([node.role, node.state.goneLeaderId]).toEqual(['follower', 3]);
    for (const atMs of [41, 61, 81, 101]) {
      node.wait(atMs);
      refuse('refused');
      expect(node.role).toBe('follower');
    }
    node.wait(121);
    node.answer(3, fetched);
    expect([node.role, node.state.goneLeaderId]).toEqual(['follower', null]);
  });

  it.each([
    ['the first successor at once', [1, 2], 0],
    ['the second later', [2, 1], 500],
    ['one that is not named last', [2], 1000],
  ])('whose leader resigns stands in turn: %s', (_, ids, delayMs) => {
    const node = follower();
    expect(node.ask({ type: 'endEpoch', leaderId: 3, epoch: 6, endpoints: endpoints(3), successors: ids.map((id) => ({ id, directoryId: null })) } as never).error).toBe('NONE');
    if (delayMs > 0) {
      expect(node.role).toBe('follower');
      node.wait(delayMs - 1);
      expect(node.role).toBe('follower');
      node.wait(delayMs);
    }
    expect(node.role).toBe('prospective');
  });

  it('fetches from the end of its log only when all of it is on disk', () => {
    const node = follower();
    node.answer(3, { api: 'fetch', leaderId: 3, highWatermark: 11, content: { type: 'records', bytes: Buffer.alloc(61) } });
    expect(node.sent).toEqual([]);
    node.tell({ type: 'appended', endOffset: 12, lastEpoch: 6 });
    node.tell({ type: 'followed', isDone: true });
    // The leader would count an offset that is asked for as one that is safe here.
    expect([node.sent, node.state.highWatermark]).toEqual([[], 10]);
    node.tell({ type: 'durable', endOffset: 12 });
    expect([node.sent, node.state.highWatermark]).toEqual([['fetch 3'], 11]);
  });

  it.each([
    ['to cut what is committed', { type: 'diverging', epoch: 3, endOffset: 5 }],
    ['to take a snapshot of less than is committed', { type: 'snapshot', id: { offset: 5, epoch: 3 } }],
    ['to take a snapshot of an epoch that has not begun', { type: 'snapshot', id: { offset: 50, epoch: 7 } }],
    ['to take a snapshot of nothing', { type: 'snapshot', id: { offset: -1, epoch: 3 } }],
  ] as const)('does not let itself be told %s', (_, content) => {
    const node = follower();
    node.answer(3, { api: 'fetch', leaderId: 3, highWatermark: 8, content: { type: 'records', bytes: Buffer.alloc(0) } });
    expect(node.state.highWatermark).toBe(8);
    const effects = node.answer(3, { api: 'fetch', leaderId: 3, highWatermark: 8, content });
    expect(effects.filter(({ type }) => type === 'truncate' || type === 'beginSnapshot')).toEqual([]);
  });

  it('takes a high watermark that is beyond its log for as much as it has, and never a lower one', () => {
    const node = follower();
    const told = (highWatermark: number) => node.answer(3, { api: 'fetch', leaderId: 3, highWatermark, content: { type: 'records', bytes: Buffer.alloc(0) } });
    told(1_000_000);
    expect(node.state.highWatermark).toBe(END);
    told(3);
    expect(node.state.highWatermark).toBe(END);
  });

  it('believes in one leader of an epoch', () => {
    const node = follower();
    expect(node.begin(2, 6)).toBe('INVALID_REQUEST');
    expect(node.begin(1, 9)).toBe('INVALID_REQUEST');
    expect(node.begin(2, 5)).toBe('FENCED_LEADER_EPOCH');
    expect([node.role, node.state.election.leaderId, node.state.election.epoch]).toEqual(['follower', 3, 6]);
    expect(node.begin(2, 7)).toBe('NONE');
    expect([node.state.election.leaderId, node.state.election.epoch]).toEqual([2, 7]);
  });

  it('gives up a snapshot whose pieces do not fit', () => {
    const node = follower();
    const id = { offset: 50, epoch: 5 };
    node.answer(3, { api: 'fetch', leaderId: 3, highWatermark: -1, content: { type: 'snapshot', id } });
    node.tell({ type: 'chunkTaken', id, position: 0, isWhole: false });
    expect(node.sent).toEqual(['fetchSnapshot 3']);
    const effects = node.answer(3, { api: 'fetchSnapshot', leaderId: 3, id, position: 7, sizeBytes: 100, bytes: Buffer.alloc(10) });
    expect(effects.filter(({ type }) => type === 'takeChunk')).toEqual([]);
    // It hears of another one, or of none, by its next fetch; from somebody else meanwhile.
    expect(node.sent).toEqual(['fetch 2']);
  });
});
