/**
 * Carries out what `raft.ts` decides: over the metadata log, the quorum-state file, the peers and the clock.
 *
 * Promises: effects happen in order, and an election is on disk before the effect after it; while the log is cut or a snapshot is taken in, all else
 * waits. Records of one turn of the event loop share one write and one sync; `committed` of an append resolves when a majority has the records on disk and
 * everybody here has acted on them. A failed sync ends this node's part in the quorum (`onFailure`); a full disk fails the append, for nothing of it stays in
 * the log, and ends the leadership of a leader with followers.
 * Does not: know what records mean, or fold them; does not answer fetches (`raft-fetch.ts`).
 */
import assert from 'node:assert';
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { DiskError } from '../../storage/disk.ts';
import type { LogRead } from '../../storage/log-read.ts';
import { StorageError } from '../../storage/log-state.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Clock, Random, Timer, Timers } from '../runtime/runtime.ts';
import { BATCH_BYTES_MAX, type BatchStamp, controlBatch, dataBatches, type NewControlRecord } from './batches.ts';
import { LogFlush } from './log-flush.ts';
import { MetadataError } from './metadata-log.ts';
import { nextTimeMs, step } from './raft.ts';
import type { RaftPeers } from './raft-peers.ts';
import type { Destination, ElectionState, RaftEffect, RaftEvent, RaftRequest, RaftState, Reply, SnapshotId } from './raft-state.ts';
import { endpointOn, recordOfVoters, type VoterSet } from './voters.ts';

/** What the driver needs of `storage/log.ts`. */
export interface RaftLog {
  readonly config: { readonly segmentBytes: number };
  readonly logEndOffset: number;
  /** All below it has been handed to the file, and can be read. */
  readonly writtenEndOffset: number;
  append(
    batch: Buffer,
    options: { readonly leaderEpoch: number; readonly nowMs: number; readonly origin: 'raft' },
  ): { readonly error: ErrorCode; readonly baseOffset: number; readonly lastOffset: number };
  /** All below it is on the disk. */
  readonly recoveryPoint: number;
  write(): Promise<void>;
  /** Writes and syncs all that was appended; rejects when the disk failed for good. What a full disk refuses it takes back and tells `onWriteFailed`. */
  flush(): Promise<void>;
  onWritten: (endOffset: number) => void;
  onWriteFailed: (error: Error, fromOffset: number) => void;
  read(startOffset: number, options: { readonly maxBytes: number; readonly endOffset: number; readonly minOneBatch: boolean }): LogRead | Promise<LogRead>;
  advanceHighWatermark(offset: number): void;
}

export interface DriverHooks {
  /** Makes the election durable before it returns; throws a DiskError. */
  saveElection(election: ElectionState, state: RaftState): void;
  /** This node leads now; the LeaderChange record of the epoch is in the log. */
  onLeader(epoch: number): void;
  /** It does not any more: what it has not committed may never be. */
  onResigned(epoch: number): void;
  /** Another leader, another epoch, or another address. */
  onLeaderChanged(): void;
  /** All below is committed. Resolves when what followed from it is done. */
  onHighWatermark(offset: number): Promise<void>;
  /** What was appended and could not be written is gone: the images follow from what is left. */
  onCut(): Promise<void>;
  /** The disk failed: this node cannot be part of the quorum any more. */
  onFailure(error: unknown): void;
  /** The voters as of the log's end, and the epoch of its last batch. */
  latest(): { readonly voters: VoterSet; readonly kraftVersion: number; readonly offset: number | null; readonly lastEpoch: number };
  /** A batch of control records is in the log. */
  onControlBatch(batch: Buffer): void;
  /** The effects of a follower; see `replication.ts`. */
  follow(bytes: Buffer, epoch: number, highWatermark: number): void;
  truncate(epoch: number, endOffset: number): Promise<number>;
  beginSnapshot(id: SnapshotId): boolean;
  followSnapshot(id: SnapshotId): Promise<void>;
  takeChunk(id: SnapshotId, position: number, sizeBytes: number, bytes: Buffer): Promise<{ readonly position: number; readonly isWhole: boolean }>;
}

export interface DriverOptions {
  readonly log: RaftLog;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly hooks: DriverHooks;
  readonly state: RaftState;
  readonly peers: RaftPeers;
}

export interface Appended {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly epoch: number;
  readonly timestampMs: number;
  readonly committed: Promise<void>;
}

interface Waiting {
  readonly lastOffset: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** An event that is answered. */
type Asked<E> = E extends { readonly token: number } ? Omit<E, 'token'> : never;
export type RaftQuestion = Asked<RaftEvent>;

const JITTER_STEPS = 1 << 30;
/** How long one that leaves waits for the others to hear of it; Kafka waits 5 s for somebody else to lead. */
const CLOSE_GRACE_MS = 1000;

export class RaftDriver {
  readonly #log: RaftLog;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #hooks: DriverHooks;
  readonly #peers: RaftPeers;
  #state: RaftState;
  readonly #effects: RaftEffect[] = [];
  #performing = false;
  /** An effect that takes time is under way; events wait. */
  #locked: Promise<void> | undefined;
  readonly #events: RaftEvent[] = [];
  #leaderEpoch: number | undefined;
  readonly #flush: LogFlush;
  #failed: unknown;
  #closed = false;
  /** Closed for good: what others still answer comes too late. */
  #ended = false;
  #timer: Timer | undefined;
  /** The time that the state was last looked at with. */
  #steppedMs = 0;
  #timerMs = Infinity;
  /** By last offset. */
  #waiting: Waiting[] = [];
  readonly #asked = new Map<number, (reply: Reply) => void>();
  #nextToken = 1;
  /** Told when more can be read, more is committed, or the role has changed. */
  onProgress: () => void = () => {};
  onStep: () => void = () => {};

  constructor(options: DriverOptions) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#timers = options.timers;
    this.#random = options.random;
    this.#logger = options.logger;
    this.#hooks = options.hooks;
    this.#state = options.state;
    this.#peers = options.peers;
    this.#flush = new LogFlush({
      log: options.log, timers: options.timers, isSynced: options.state.config.canVote, onDurable: (endOffset) => this.#durable(endOffset), onFailed: (error) => this.#fail(error),
    });
    this.#log.onWriteFailed = (error) => this.#cut(error);
    this.#log.onWritten = () => this.onProgress();
  }

  get state(): RaftState {
    return this.#state;
  }

  /** undefined while this node does not lead. */
  get leaderEpoch(): number | undefined {
    return this.#leaderEpoch;
  }

  /** Resolves when the log is not being cut or replaced. */
  get unlocked(): Promise<void> | undefined {
    return this.#locked;
  }

  get isClosed(): boolean {
    return this.#closed || this.#failed !== undefined;
  }

  start(): void {
    this.dispatch({ type: 'start' });
  }

  /**
   * Appends framed records, as one batch unless they are longer than a batch may be. Throws NOT_CONTROLLER, or KAFKA_STORAGE_ERROR when the log takes
   * nothing more.
   */
  append(values: readonly Buffer[]): Appended {
    if (this.#leaderEpoch === undefined || this.#closed) throw new KafkaError(ErrorCode.NOT_CONTROLLER);
    // The image that decisions are made on is being made anew.
    if (this.#locked !== undefined) throw new KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, 'the metadata log has just lost what could not be written');
    assert(values.length > 0, 'an append of nothing');
    const baseOffset = this.#log.logEndOffset;
    const stamp: BatchStamp = { baseOffset, epoch: this.#leaderEpoch, nowMs: this.#clock.wallMs() };
    const batchBytesMax = Math.min(BATCH_BYTES_MAX, this.#log.config.segmentBytes);
    try {
      for (const batch of dataBatches(values, stamp, batchBytesMax)) this.#appendBatch(batch, stamp);
    } catch (error) {
      // A part of what was decided is in the log, and nobody here knows of it.
      if (this.#log.logEndOffset > baseOffset) this.#fail(error);
      throw error;
    }
    const lastOffset = baseOffset + values.length - 1;
    return { baseOffset, lastOffset, epoch: stamp.epoch, timestampMs: stamp.nowMs, committed: this.#committed(lastOffset) };
  }

  /** Resolves once all that is in the log now is committed and acted upon. */
  settled(): Promise<void> {
    return this.#log.logEndOffset <= (this.#state.highWatermark ?? 0) ? Promise.resolve() : this.#committed(this.#log.logEndOffset - 1);
  }

  /** A question of another node, or of an operator. */
  ask(question: RaftQuestion): Promise<Reply> {
    const token = this.#nextToken++;
    return new Promise((resolve) => {
      this.#asked.set(token, resolve);
      this.dispatch({ ...question, token } as RaftEvent);
    });
  }

  /** Raises kraft.version, or only says whether it could. Throws a KafkaError. */
  upgradeKraftVersion(kraftVersion: number, validateOnly: boolean): void {
    if (this.#locked !== undefined) throw new KafkaError(ErrorCode.NOT_CONTROLLER);
    const token = this.#nextToken++;
    let given: Reply | undefined;
    this.#asked.set(token, (reply) => (given = reply));
    this.dispatch({ type: 'upgrade', token, kraftVersion, validateOnly });
    const { error, message } = given ?? this.#ownReply(ErrorCode.NOT_CONTROLLER);
    if (error === ErrorCode.NOT_LEADER_OR_FOLLOWER) throw new KafkaError(ErrorCode.NOT_CONTROLLER);
    if (error !== ErrorCode.NONE) throw new KafkaError(error, message);
  }

  /** Stops leading, after what is under way is on disk and somebody else leads, or had time to; `waits` is false where nobody will. */
  async close({ waits = true }: { readonly waits?: boolean } = {}): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#failed === undefined) {
      this.#flush.ask();
      await this.#flush.underWay;
    }
    this.#rejectWaiting(new KafkaError(ErrorCode.NOT_CONTROLLER));
    if (this.#failed === undefined) {
      this.dispatch({ type: 'close' });
      if (waits) await this.#heard();
    }
    this.#timer?.cancel();
    await this.#locked;
    this.#ended = true;
    this.#timer?.cancel();
    this.#peers.close();
    for (const [token] of this.#asked) this.#reply(token, this.#ownReply(ErrorCode.BROKER_NOT_AVAILABLE));
  }

  /** Until somebody else leads: the vote of the one that leaves may be what that takes. */
  #heard(): Promise<void> {
    const isDone = (): boolean => this.#failed !== undefined || !this.#isAwaited();
    if (isDone()) return Promise.resolve();
    return new Promise((resolve) => {
      const { onStep } = this;
      const end = (): void => {
        timer.cancel();
        this.onStep = onStep;
        resolve();
      };
      const timer = this.#timers.after(CLOSE_GRACE_MS, end);
      this.onStep = () => void (isDone() && end());
    });
  }

  /** False when nobody is led any more, or nobody is there: who is down needs not hear of it. */
  #isAwaited(): boolean {
    const { role, connections, config, voters, nodeId, election } = this.#state;
    if (role.name === 'unattached') return election.votedId >= 0;
    if (role.name !== 'resigned') return false;
    return voters.some(({ id, endpoints }) => {
      const endpoint = id === nodeId ? undefined : endpointOn(endpoints, config.listenerName);
      return endpoint !== undefined && connections.get(`${endpoint.host}:${endpoint.port}`)?.name !== 'backingOff';
    });
  }

  #committed(lastOffset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ lastOffset, resolve, reject });
    });
  }

  #appendBatch(batch: Buffer, { epoch, nowMs }: BatchStamp): void {
    const { error } = this.#log.append(batch, { leaderEpoch: epoch, nowMs, origin: 'raft' });
    if (error !== ErrorCode.NONE) throw new KafkaError(error);
    this.dispatch({ type: 'appended', endOffset: this.#log.logEndOffset, lastEpoch: epoch });
    this.#flush.ask();
  }

  // ---- events and effects

  dispatch(event: RaftEvent): void {
    if (this.#failed !== undefined || this.#ended) return;
    if (this.#locked !== undefined) {
      this.#events.push(event);
      return;
    }
    this.#steppedMs = this.#clock.monotonicMs();
    const { state, effects } = step(this.#state, event, this.#steppedMs, this.#random.below(JITTER_STEPS) / JITTER_STEPS);
    const before = this.#state;
    this.#state = state;
    this.#effects.push(...effects);
    this.#perform();
    if (before.role !== state.role && before.role.name !== state.role.name) this.onProgress();
    this.#arm();
    this.onStep();
  }

  #perform(): void {
    // An effect may dispatch an event; what follows from that comes after the effects that are there.
    if (this.#performing) return;
    this.#performing = true;
    try {
      for (let effect = this.#effects.shift(); effect !== undefined; effect = this.#effects.shift()) {
        const done = this.#performOne(effect);
        if (done !== undefined) return this.#lock(done);
      }
    } catch (error) {
      // A node whose log takes nothing, or that cannot read what is in it, is no part of the quorum.
      const isExpected = error instanceof DiskError || error instanceof StorageError || error instanceof MetadataError || error instanceof KafkaError;
      if (!isExpected) throw error;
      this.#fail(error);
    } finally {
      this.#performing = false;
    }
  }

  /** All waits for it, then goes on with the events that it gives. */
  #lock(done: Promise<RaftEvent[]>): void {
    this.#locked = done.then(
      (events) => this.#unlock(events),
      (error: unknown) => {
        this.#locked = undefined;
        this.#fail(error);
      },
    );
  }

  #unlock(events: readonly RaftEvent[]): void {
    this.#locked = undefined;
    // What was to follow comes first, then what it gave, then what arrived meanwhile.
    const arrived = this.#events.splice(0);
    this.#perform();
    for (const event of [...events, ...arrived]) this.dispatch(event);
    this.onProgress();
  }

  #performOne(effect: RaftEffect): Promise<RaftEvent[]> | undefined {
    switch (effect.type) {
      case 'saveElection':
        // Nothing happens between two elections in a row, so the second is all that a restart could miss.
        if (this.#effects[0]?.type === 'leaderChanged' && this.#effects[1]?.type === 'saveElection') return undefined;
        if (this.#effects[0]?.type !== 'saveElection') this.#hooks.saveElection(effect.election, this.#state);
        return undefined;
      case 'appendLeaderChange':
        this.#appendLeaderChange(effect);
        return undefined;
      case 'becomeLeader':
        this.#leaderEpoch = effect.epoch;
        this.#hooks.onLeader(effect.epoch);
        return undefined;
      case 'resigned':
        this.#leaderEpoch = undefined;
        this.#rejectWaiting(new KafkaError(ErrorCode.NOT_CONTROLLER, 'this node is not the active controller any more'));
        this.#hooks.onResigned(effect.epoch);
        return undefined;
      case 'leaderChanged':
        this.#hooks.onLeaderChanged();
        return undefined;
      case 'highWatermark':
        this.#highWatermark(effect.offset);
        return undefined;
      case 'appendVoters':
        this.#appendVoters(effect);
        return undefined;
      case 'send':
        void this.#send(effect.requestId, effect.to, effect.request);
        return undefined;
      case 'reply':
        this.#reply(effect.token, effect.reply);
        return undefined;
      case 'follow':
        this.#follow(effect.bytes, effect.epoch);
        return undefined;
      case 'truncate':
        return this.#truncate(effect.epoch, effect.endOffset);
      case 'beginSnapshot':
        if (!this.#hooks.beginSnapshot(effect.id)) {
          this.dispatch({ type: 'chunkTaken', id: effect.id, position: 0, isWhole: false });
          return undefined;
        }
        return this.#hooks.followSnapshot(effect.id).then(() => [...this.#restarted(effect.id), { type: 'followed', isDone: true }]);
      case 'takeChunk':
        return this.#takeChunk(effect);
    }
  }

  #appendLeaderChange({ epoch, voters, grantingVoters, votersRecord }: RaftEffect & { type: 'appendLeaderChange' }): void {
    const records: NewControlRecord[] = [
      {
        type: 'leaderChange',
        value: {
          version: 0,
          leaderId: this.#state.nodeId,
          voters: voters.map((voterId) => ({ voterId })),
          grantingVoters: grantingVoters.map((voterId) => ({ voterId })),
        },
      },
    ];
    if (votersRecord !== null) {
      records.push({ type: 'kraftVersion', value: { version: 0, kRaftVersion: this.#state.kraftVersion } }, { type: 'voters', value: recordOfVoters(votersRecord) });
    }
    this.#appendControl(records, epoch);
  }

  #appendVoters({ voters, kraftVersion }: RaftEffect & { type: 'appendVoters' }): void {
    const records: NewControlRecord[] = kraftVersion === null ? [] : [{ type: 'kraftVersion', value: { version: 0, kRaftVersion: kraftVersion } }];
    this.#appendControl([...records, { type: 'voters', value: recordOfVoters(voters) }], this.#state.election.epoch);
  }

  #appendControl(records: readonly NewControlRecord[], epoch: number): void {
    const stamp: BatchStamp = { baseOffset: this.#log.logEndOffset, epoch, nowMs: this.#clock.wallMs() };
    const batch = controlBatch(records, stamp);
    this.#appendBatch(batch, stamp);
    this.#hooks.onControlBatch(batch);
    this.#tellVoters();
  }

  /** As the log's end says now. */
  #tellVoters(): void {
    const { voters, kraftVersion, offset } = this.#hooks.latest();
    const { state } = this;
    if (voters !== state.voters || kraftVersion !== state.kraftVersion || offset !== state.votersOffset) this.dispatch({ type: 'voters', voters, kraftVersion, offset });
  }

  #highWatermark(offset: number): void {
    this.#log.advanceHighWatermark(offset);
    const done = this.#waiting.filter((waiting) => waiting.lastOffset < offset);
    this.#waiting = this.#waiting.filter((waiting) => waiting.lastOffset >= offset);
    this.#hooks.onHighWatermark(offset).then(
      () => {
        for (const waiting of done) waiting.resolve();
      },
      (error: unknown) => {
        const told = error instanceof KafkaError ? error : new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, error instanceof Error ? error.message : String(error));
        for (const waiting of done) waiting.reject(told);
        this.#fail(error);
      },
    );
    this.onProgress();
  }

  // ---- following

  #follow(bytes: Buffer, epoch: number): void {
    const { role } = this.#state;
    let isDone = true;
    try {
      this.#hooks.follow(bytes, epoch, role.name === 'follower' ? role.leaderHighWatermark : -1);
    } catch (error) {
      if (!(error instanceof KafkaError) && !(error instanceof RangeError)) throw error;
      this.#logger.error(error.message);
      isDone = false;
    }
    if (this.#log.logEndOffset > this.#state.logEndOffset) {
      this.dispatch({ type: 'appended', endOffset: this.#log.logEndOffset, lastEpoch: this.#hooks.latest().lastEpoch });
      this.#tellVoters();
      this.#flush.ask();
    }
    this.dispatch({ type: 'followed', isDone });
  }

  async #truncate(epoch: number, endOffset: number): Promise<RaftEvent[]> {
    await this.#flush.underWay;
    const end = await this.#hooks.truncate(epoch, endOffset);
    this.#logger.info(`the metadata log was cut at offset ${end}, where the leader's goes another way`);
    const { lastEpoch, ...latest } = this.#hooks.latest();
    return [{ type: 'cut', endOffset: end, lastEpoch }, { type: 'voters', ...latest }, { type: 'followed', isDone: true }];
  }

  async #takeChunk({ id, position, sizeBytes, bytes }: RaftEffect & { type: 'takeChunk' }): Promise<RaftEvent[]> {
    await this.#flush.underWay;
    try {
      const taken = await this.#hooks.takeChunk(id, position, sizeBytes, bytes);
      return [...(taken.isWhole ? this.#restarted(id) : []), { type: 'chunkTaken', id, ...taken }];
    } catch (error) {
      if (!(error instanceof KafkaError) && !(error instanceof RangeError)) throw error;
      this.#logger.error(`the snapshot that the leader gave cannot be used: ${error.message}`);
      return [{ type: 'chunkTaken', id, position: 0, isWhole: true }, { type: 'followed', isDone: false }];
    }
  }

  #restarted(id: SnapshotId): RaftEvent[] {
    this.#logger.info(`the metadata follows from the leader's snapshot at offset ${id.offset}`);
    const { lastEpoch, ...latest } = this.#hooks.latest();
    return [{ type: 'restarted', endOffset: id.offset, lastEpoch }, { type: 'voters', ...latest }];
  }

  // ---- peers

  async #send(requestId: number, to: Destination, request: RaftRequest): Promise<void> {
    try {
      const answer = await this.#peers.ask(to, request, this.#state);
      if (answer === null) this.dispatch({ type: 'noAnswer', requestId });
      else if (answer === 'refused') this.dispatch({ type: 'refused', requestId });
      else this.dispatch({ type: 'answer', requestId, answer });
    } catch (error) {
      this.#fail(error);
    }
  }

  #reply(token: number, reply: Reply): void {
    const resolve = this.#asked.get(token);
    this.#asked.delete(token);
    resolve?.(reply);
  }

  #ownReply(error: ErrorCode): Reply {
    const { election, leaderEndpoints } = this.#state;
    return { error, leaderId: election.leaderId, epoch: election.epoch, leaderEndpoints };
  }

  #arm(): void {
    // What fell due while the effects were carried out was not looked at in that step: it is due at once, and must not be taken for what waits for something else.
    const nextMs = this.#failed === undefined ? nextTimeMs(this.#state, this.#steppedMs) : Infinity;
    if (nextMs === this.#timerMs && this.#timer !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerMs = nextMs;
    if (nextMs === Infinity) return;
    this.#timer = this.#timers.after(Math.max(0, nextMs - this.#clock.monotonicMs()), () => {
      this.#timer = undefined;
      this.#timerMs = Infinity;
      this.dispatch({ type: 'tick' });
    });
  }

  // ---- the disk

  #durable(endOffset: number): void {
    if (endOffset > this.#state.durableOffset && endOffset <= this.#state.logEndOffset) this.dispatch({ type: 'durable', endOffset });
  }

  /** The log has dropped what it could not write: as if it had never been appended. */
  #cut(error: Error): void {
    if (this.#locked !== undefined) return void this.#locked.then(() => this.#cut(error));
    const { role, voters } = this.#state;
    // Without the record that begins its epoch a leader is none.
    if (role.name === 'leader' && this.#log.logEndOffset <= role.epochStartOffset) return this.#fail(error);
    this.dispatch({ type: 'cut', endOffset: this.#log.logEndOffset, lastEpoch: this.#hooks.latest().lastEpoch });
    this.#rejectWaiting(storageError(error));
    if (role.name === 'leader' && voters.length > 1) this.dispatch({ type: 'resign' });
    this.#lock(
      this.#hooks.onCut().then(() => {
        const { lastEpoch: _, ...latest } = this.#hooks.latest();
        return [{ type: 'voters', ...latest }];
      }),
    );
  }

  #rejectWaiting(error: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) one.reject(error);
  }

  #fail(error: unknown): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.#flush.stop();
    this.#effects.length = 0;
    this.#leaderEpoch = undefined;
    this.#timer?.cancel();
    this.#rejectWaiting(storageError(error));
    for (const [token] of this.#asked) this.#reply(token, this.#ownReply(ErrorCode.BROKER_NOT_AVAILABLE));
    this.#hooks.onFailure(error);
  }
}

function storageError(error: unknown): KafkaError {
  return new KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, `the metadata log cannot be written: ${error instanceof Error ? error.message : String(error)}`);
}
