/**
 * Members of a quorum as pure steps over logs in memory: a clock that jumps from event to event, a network that loses, repeats and delays, crashes that take what
 * was not synced. After every step the world checks what must always hold.
 */
import assert from 'node:assert';
import { ErrorCode } from '../../../protocol/errors.ts';
import { initialState, leaderFault, nextTimeMs, step } from '../../../src/quorum/raft.ts';
import type {
  Destination, ElectionState, FetchedContent, RaftAnswer, RaftConfig, RaftEffect, RaftEvent, RaftRequest, RaftState, Reply,
} from '../../../src/quorum/raft-state.ts';
import { KRAFT_VERSIONS, type Voter, VoterHistory, type VoterSet } from '../../../src/quorum/voters.ts';
import type { RaftQuestion } from '../../../src/quorum/driver.ts';

/** A record, each one different: what makes two logs the same is that these are. */
interface Entry {
  readonly epoch: number;
  readonly id: number;
  /** Of a record that says who votes. */
  readonly voters?: VoterSet;
}

export interface WorldOptions {
  readonly nodes: number;
  /** Of them the first so many vote. */
  readonly voters: number;
  readonly random: { below(below: number): number };
  readonly lossPercent?: number;
  readonly repeatPercent?: number;
  readonly delayMsMax?: number;
  readonly config?: Partial<RaftConfig>;
}

class Member {
  readonly id: number;
  readonly history: VoterHistory;
  log: Entry[] = [];
  saved: ElectionState | null = null;
  /** Entries that are on the disk. */
  synced = 0;
  isUp = false;
  state!: RaftState;
  /** What was under way before a crash must not come back after it. */
  life = 0;
  highestHighWatermark = -1;
  leads = false;
  tickMs = Infinity;
  readonly asked = new Map<number, (reply: Reply) => void>();

  constructor(id: number, staticVoters: VoterSet) {
    this.id = id;
    this.history = new VoterHistory(staticVoters);
  }

  get lastEpoch(): number {
    return this.log.at(-1)?.epoch ?? 0;
  }
}

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

const PORT = 9000;
const ENTRIES_PER_FETCH = 4;
const FETCH_WAIT_MS = 100;

export function directoryOf(id: number): string {
  return Buffer.alloc(16, id).toString('base64url');
}

export class RaftWorld {
  readonly members: Member[];
  readonly #options: WorldOptions;
  readonly #queue: Scheduled[] = [];
  readonly #leaders = new Map<number, number>();
  /** What has been committed, by offset. */
  readonly committed: Entry[] = [];
  nowMs = 0;
  steps = 0;
  isHealed = false;
  /** From, to: lost for now. */
  readonly cut = new Set<string>();
  #order = 0;
  #nextId = 1;
  #nextToken = 1;

  constructor(options: WorldOptions) {
    this.#options = options;
    const voters = Array.from({ length: options.voters }, (_, index) => this.voter(index + 1));
    this.members = Array.from({ length: options.nodes }, (_, index) => new Member(index + 1, []));
    for (const member of this.members) {
      // As `format --initial-controllers` leaves it.
      member.history.noteVersion(-1, 1);
      member.history.noteVoters(-1, voters);
    }
    for (const member of this.members) this.start(member);
  }

  voter(id: number): Voter {
    return { id, directoryId: directoryOf(id), endpoints: [{ name: 'CONTROLLER', host: 'node', port: PORT + id }], kraftVersions: KRAFT_VERSIONS };
  }

  #config(id: number): RaftConfig {
    return {
      electionTimeoutMs: 100, electionBackoffMsMax: 100, fetchTimeoutMs: 200, requestTimeoutMs: 200, retryBackoffMs: 20, canVote: true, autoJoin: false,
      listenerName: 'CONTROLLER', endpoints: this.voter(id).endpoints, kraftVersions: KRAFT_VERSIONS,
      bootstrap: Array.from({ length: this.#options.nodes }, (_, index) => ({ nodeId: null, host: 'node', port: PORT + index + 1 })).filter(({ port }) => port !== PORT + id),
      ...this.#options.config,
    };
  }

  start(member: Member): void {
    member.isUp = true;
    member.life++;
    member.asked.clear();
    const { voters, kraftVersion, offset } = member.history.latest;
    member.state = initialState({
      nodeId: member.id, directoryId: directoryOf(member.id), config: this.#config(member.id), voters, kraftVersion, votersOffset: offset, election: member.saved,
      lastEpoch: member.lastEpoch, logEndOffset: member.log.length,
    });
    member.tickMs = Infinity;
    this.dispatch(member, { type: 'start' });
  }

  /** The end of the log that was not synced is gone, or a part of it. */
  crash(member: Member): void {
    member.isUp = false;
    member.leads = false;
    member.life++;
    const kept = member.synced + this.#options.random.below(member.log.length - member.synced + 1);
    member.log.length = kept;
    member.synced = kept;
    member.history.truncateFromEnd(kept);
    // What it had heard of what is committed it hears again.
    member.highestHighWatermark = -1;
  }

  get leaders(): Member[] {
    return this.members.filter((member) => member.isUp && member.leads);
  }

  /** As a client of the controller would. */
  append(member: Member): void {
    this.#push(member, { epoch: member.state.election.epoch, id: this.#nextId++ });
  }

  ask(member: Member, question: RaftQuestion, then: (reply: Reply) => void): void {
    const token = this.#nextToken++;
    member.asked.set(token, then);
    this.dispatch(member, { ...question, token } as RaftEvent);
  }

  // ---- time

  at(delayMs: number, run: () => void): void {
    this.#queue.push({ atMs: this.nowMs + delayMs, order: this.#order++, run });
  }

  run(untilMs: number): void {
    for (;;) {
      let first = -1;
      for (let index = 0; index < this.#queue.length; index++) {
        const one = this.#queue[index]!;
        const best = this.#queue[first];
        if (best === undefined || one.atMs < best.atMs || (one.atMs === best.atMs && one.order < best.order)) first = index;
      }
      let ticking: Member | undefined;
      for (const member of this.members) if (member.isUp && member.tickMs < (ticking?.tickMs ?? Infinity)) ticking = member;
      const next = this.#queue[first];
      const nextMs = Math.min(next?.atMs ?? Infinity, ticking?.tickMs ?? Infinity);
      if (nextMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, nextMs);
      if (ticking !== undefined && ticking.tickMs === nextMs) {
        this.dispatch(ticking, { type: 'tick' });
      } else {
        this.#queue.splice(first, 1);
        next!.run();
      }
    }
    this.nowMs = untilMs;
  }

  // ---- effects

  dispatch(member: Member, event: RaftEvent): void {
    this.steps++;
    const before = member.state;
    const { state, effects } = step(before, event, this.nowMs, this.#options.random.below(1000) / 1000);
    assert(state.election.epoch >= before.election.epoch, 'an epoch fell');
    member.state = state;
    for (const effect of effects) this.#perform(member, effect);
    member.tickMs = nextTimeMs(member.state, this.nowMs);
  }

  #perform(member: Member, effect: RaftEffect): void {
    switch (effect.type) {
      case 'saveElection': {
        const { election } = effect;
        const had = member.saved;
        if (had !== null && had.epoch === election.epoch && had.votedId >= 0 && election.votedId >= 0) assert.equal(election.votedId, had.votedId, 'a second vote in an epoch');
        member.saved = election;
        return;
      }
      case 'appendLeaderChange':
        assert(!this.#leaders.has(effect.epoch) || this.#leaders.get(effect.epoch) === member.id, `two leaders of epoch ${effect.epoch}`);
        this.#leaders.set(effect.epoch, member.id);
        for (const [offset, entry] of this.committed.entries()) assert.equal(member.log[offset]?.id, entry.id, `the leader of epoch ${effect.epoch} lacks offset ${offset}`);
        this.#push(member, { epoch: effect.epoch, id: this.#nextId++ });
        if (effect.votersRecord !== null) this.#push(member, { epoch: effect.epoch, id: this.#nextId++, voters: effect.votersRecord });
        return;
      case 'becomeLeader':
        member.leads = true;
        return;
      case 'resigned':
        member.leads = false;
        return;
      case 'appendVoters':
        return this.#push(member, { epoch: member.state.election.epoch, id: this.#nextId++, voters: effect.voters });
      case 'highWatermark':
        return this.#committed(member, effect.offset);
      case 'leaderChanged':
        return;
      case 'send':
        return this.#send(member, effect.requestId, effect.to, effect.request);
      case 'reply': {
        const then = member.asked.get(effect.token);
        member.asked.delete(effect.token);
        return then?.(effect.reply);
      }
      case 'follow': {
        const entries = JSON.parse(effect.bytes.toString()) as Entry[];
        for (const entry of entries) this.#push(member, entry);
        return this.dispatch(member, { type: 'followed', isDone: true });
      }
      case 'truncate': {
        const mine = endOfEpoch(member.log, effect.epoch);
        const end = Math.min(mine.epoch === effect.epoch ? Math.min(mine.endOffset, effect.endOffset) : mine.endOffset, member.log.length);
        member.log.length = end;
        member.synced = Math.min(member.synced, end);
        member.history.truncateFromEnd(end);
        this.dispatch(member, { type: 'cut', endOffset: end, lastEpoch: member.lastEpoch });
        this.#tellVoters(member);
        return this.dispatch(member, { type: 'followed', isDone: true });
      }
      case 'beginSnapshot':
      case 'takeChunk':
        assert.fail('no snapshots here');
    }
  }

  #push(member: Member, entry: Entry): void {
    member.log.push(entry);
    this.dispatch(member, { type: 'appended', endOffset: member.log.length, lastEpoch: entry.epoch });
    if (entry.voters !== undefined) {
      member.history.noteVoters(member.log.length - 1, entry.voters);
      this.#tellVoters(member);
    }
    const { life } = member;
    this.at(this.#options.random.below(5), () => {
      if (member.life !== life || member.synced >= member.log.length) return;
      member.synced = member.log.length;
      this.dispatch(member, { type: 'durable', endOffset: member.synced });
    });
  }

  #tellVoters(member: Member): void {
    const { voters, kraftVersion, offset } = member.history.latest;
    if (voters !== member.state.voters || offset !== member.state.votersOffset) this.dispatch(member, { type: 'voters', voters, kraftVersion, offset });
  }

  #committed(member: Member, offset: number): void {
    assert(offset > member.highestHighWatermark, 'a high watermark fell');
    assert(offset <= member.log.length, 'more is committed than there is');
    const checked = Math.max(0, member.highestHighWatermark);
    member.highestHighWatermark = offset;
    for (let at = checked; at < offset; at++) {
      const known = this.committed[at];
      if (known === undefined) this.committed.push(member.log[at]!);
      else assert.equal(member.log[at]!.id, known.id, `node ${member.id} takes another record for committed at offset ${at}`);
    }
  }

  // ---- the network

  #chance(percent: number | undefined): boolean {
    return !this.isHealed && this.#options.random.below(100) < (percent ?? 0);
  }

  #delay(): number {
    return 1 + this.#options.random.below(this.isHealed ? 3 : (this.#options.delayMsMax ?? 3));
  }

  #send(from: Member, requestId: number, to: Destination, request: RaftRequest): void {
    const target = this.members[to.port - PORT - 1]!;
    const { life } = from;
    let isAnswered = false;
    const back = (answer: RaftAnswer | null): void => {
      if (this.#chance(this.#options.lossPercent) || this.cut.has(`${target.id} ${from.id}`)) return;
      this.at(this.#delay(), () => {
        if (from.life !== life || isAnswered) return;
        isAnswered = true;
        this.dispatch(from, answer === null ? { type: 'noAnswer', requestId } : { type: 'answer', requestId, answer });
      });
    };
    // As the peer does: too late is no answer.
    this.at(200, () => {
      if (from.life !== life || isAnswered) return;
      isAnswered = true;
      this.dispatch(from, { type: 'noAnswer', requestId });
    });
    for (let copies = this.#chance(this.#options.repeatPercent) ? 2 : 1; copies > 0; copies--) {
      if (this.#chance(this.#options.lossPercent) || this.cut.has(`${from.id} ${target.id}`)) continue;
      this.at(this.#delay(), () => (target.isUp ? this.#receive(target, from, request, back) : back(null)));
    }
  }

  #receive(member: Member, from: Member, request: RaftRequest, back: (answer: RaftAnswer | null) => void): void {
    const endpoints = this.voter(from.id).endpoints;
    switch (request.api) {
      case 'vote':
        return this.ask(
          member,
          {
            type: 'vote', voter: request.voter, replica: { id: from.id, directoryId: directoryOf(from.id) }, epoch: request.epoch, lastEpoch: request.lastEpoch, lastOffset: request.lastOffset,
            preVote: request.preVote,
          },
          (reply) => back({ api: 'vote', isGranted: reply.isGranted ?? false, ...reply }),
        );
      case 'beginEpoch':
        return this.ask(member, { type: 'beginEpoch', voter: request.voter, leaderId: from.id, epoch: request.epoch, endpoints }, (reply) => back({ api: 'beginEpoch', ...reply }));
      case 'endEpoch':
        return this.ask(member, { type: 'endEpoch', leaderId: from.id, epoch: request.epoch, endpoints, successors: request.successors }, (reply) => back({ api: 'endEpoch', ...reply }));
      case 'fetch':
        return this.#fetched(member, from, request, back);
      case 'versions':
        return back({ api: 'versions', error: ErrorCode.NONE, kraftVersions: KRAFT_VERSIONS });
      case 'updateVoter':
        return this.ask(member, { type: 'updateVoter', voter: this.voter(from.id), epoch: request.epoch }, (reply) => back({ api: 'updateVoter', ...reply }));
      default:
        return back(null);
    }
  }

  #fetched(member: Member, from: Member, request: RaftRequest & { api: 'fetch' }, back: (answer: RaftAnswer | null) => void): void {
    const answer = (error: ErrorCode, content: FetchedContent): void => {
      const { election, leaderEndpoints, role, highWatermark } = member.state;
      const known = role.name === 'leader' && highWatermark !== undefined && highWatermark > role.epochStartOffset ? highWatermark : -1;
      back({ api: 'fetch', error, leaderId: election.leaderId, epoch: election.epoch, leaderEndpoints, highWatermark: known, content });
    };
    const records = (entries: readonly Entry[]): FetchedContent => ({ type: 'records', bytes: entries.length === 0 ? Buffer.alloc(0) : Buffer.from(JSON.stringify(entries)) });
    const fault = leaderFault(member.state, request.epoch);
    if (fault !== undefined) return answer(fault, records([]));
    const end = endOfEpoch(member.log, request.lastEpoch);
    if (request.offset > 0 && (end.epoch !== request.lastEpoch || end.endOffset < request.offset)) return answer(ErrorCode.NONE, { type: 'diverging', ...end });
    this.dispatch(member, { type: 'fetchedBy', key: { id: from.id, directoryId: directoryOf(from.id) }, offset: request.offset });
    const give = (): void => answer(ErrorCode.NONE, records(member.log.slice(request.offset, request.offset + ENTRIES_PER_FETCH)));
    const isNews = member.log.length > request.offset || (member.state.highWatermark ?? -1) > request.highWatermark;
    if (isNews) return give();
    const { life } = member;
    this.at(FETCH_WAIT_MS, () => {
      if (member.life !== life) return;
      const later = leaderFault(member.state, request.epoch);
      if (later === undefined) give();
      else answer(later, records([]));
    });
  }
}

/** The largest epoch up to the one asked for, and where it ends. */
function endOfEpoch(log: readonly Entry[], epoch: number): { epoch: number; endOffset: number } {
  let endOffset = log.length;
  while (endOffset > 0 && log[endOffset - 1]!.epoch > epoch) endOffset--;
  return { epoch: log[endOffset - 1]?.epoch ?? 0, endOffset };
}
