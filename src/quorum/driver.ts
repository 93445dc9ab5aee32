/**
 * Carries out what `raft.ts` decides, over the metadata log and the quorum-state file.
 *
 * Promises: effects happen in order, and an election is on disk before the effect after it; records of one turn of the event loop share one write and one
 * sync; `committed` of an append resolves when a majority has the records on disk and everybody here has acted on them. A failed sync ends this node's part
 * in the quorum (`onFailure`); a full disk only fails the append, for nothing of it stays in the log.
 * Does not: know what records mean, or fold them.
 */
import assert from 'node:assert';
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { DiskError } from '../../storage/disk.ts';
import type { LogRead } from '../../storage/log-read.ts';
import type { Clock, Timers } from '../runtime/runtime.ts';
import { BATCH_BYTES_MAX, type BatchStamp, controlBatch, dataBatches, type NewControlRecord } from './batches.ts';
import { type ElectionState, type RaftEffect, type RaftEvent, type RaftState, step } from './raft.ts';

/** What the driver needs of `storage/log.ts`. */
export interface RaftLog {
  readonly config: { readonly segmentBytes: number };
  readonly logEndOffset: number;
  append(
    batch: Buffer,
    options: { readonly leaderEpoch: number; readonly nowMs: number; readonly origin: 'raft' },
  ): { readonly error: ErrorCode; readonly baseOffset: number; readonly lastOffset: number };
  /** All below it is on the disk. */
  readonly recoveryPoint: number;
  /** Writes and syncs all that was appended; rejects when the disk failed for good. What a full disk refuses it takes back and tells `onWriteFailed`. */
  flush(): Promise<void>;
  onWriteFailed: (error: Error, fromOffset: number) => void;
  read(startOffset: number, options: { readonly maxBytes: number; readonly endOffset: number; readonly minOneBatch: boolean }): LogRead | Promise<LogRead>;
  advanceHighWatermark(offset: number): void;
}

export interface DriverHooks {
  /** Makes the election durable before it returns; throws a DiskError. */
  saveElection(election: ElectionState): void;
  /** This node leads now; the LeaderChange record of the epoch is in the log. */
  onLeader(epoch: number): void;
  /** All below is committed. Resolves when what followed from it is done. */
  onHighWatermark(offset: number): Promise<void>;
  /** What was appended and not committed is gone. */
  onCut(): void;
  /** The disk failed: this node cannot be part of the quorum any more. */
  onFailure(error: unknown): void;
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

export class RaftDriver {
  readonly #log: RaftLog;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #hooks: DriverHooks;
  /** Control records that the first leader of a new quorum writes behind its LeaderChange. */
  readonly #firstControlRecords: readonly NewControlRecord[];
  #state: RaftState;
  readonly #effects: RaftEffect[] = [];
  #performing = false;
  #leaderEpoch: number | undefined;
  #flushAsked = false;
  #flushing: Promise<void> | undefined;
  #failed: unknown;
  #closed = false;
  /** By last offset. */
  #waiting: Waiting[] = [];

  constructor(options: {
    readonly log: RaftLog;
    readonly clock: Clock;
    readonly timers: Timers;
    readonly hooks: DriverHooks;
    readonly state: RaftState;
    readonly firstControlRecords: readonly NewControlRecord[];
  }) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#timers = options.timers;
    this.#hooks = options.hooks;
    this.#state = options.state;
    this.#firstControlRecords = options.firstControlRecords;
    this.#log.onWriteFailed = (error) => this.#cut(error);
  }

  get state(): RaftState {
    return this.#state;
  }

  /** undefined while this node does not lead. */
  get leaderEpoch(): number | undefined {
    return this.#leaderEpoch;
  }

  start(): void {
    this.#dispatch({ type: 'start' });
  }

  /**
   * Appends framed records, as one batch unless they are longer than a batch may be. Throws NOT_CONTROLLER, or KAFKA_STORAGE_ERROR when the log takes
   * nothing more.
   */
  append(values: readonly Buffer[]): Appended {
    if (this.#leaderEpoch === undefined || this.#closed) throw new KafkaError(ErrorCode.NOT_CONTROLLER);
    assert(values.length > 0, 'an append of nothing');
    const baseOffset = this.#log.logEndOffset;
    const stamp: BatchStamp = { baseOffset, epoch: this.#leaderEpoch, nowMs: this.#clock.wallMs() };
    const batchBytesMax = Math.min(BATCH_BYTES_MAX, this.#log.config.segmentBytes);
    for (const batch of dataBatches(values, stamp, batchBytesMax)) this.#appendBatch(batch, stamp);
    const lastOffset = baseOffset + values.length - 1;
    return { baseOffset, lastOffset, epoch: stamp.epoch, timestampMs: stamp.nowMs, committed: this.#committed(lastOffset) };
  }

  /** Resolves once all that is in the log now is committed and acted upon. */
  settled(): Promise<void> {
    return this.#log.logEndOffset <= (this.#state.highWatermark ?? 0) ? Promise.resolve() : this.#committed(this.#log.logEndOffset - 1);
  }

  /** Stops leading, after what is under way is on disk. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#failed === undefined) {
      this.#askFlush();
      await this.#flushing;
    }
    this.#dispatch({ type: 'resign' });
    this.#rejectWaiting(new KafkaError(ErrorCode.NOT_CONTROLLER));
  }

  #committed(lastOffset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ lastOffset, resolve, reject });
    });
  }

  #appendBatch(batch: Buffer, { epoch, nowMs }: BatchStamp): void {
    const { error } = this.#log.append(batch, { leaderEpoch: epoch, nowMs, origin: 'raft' });
    if (error !== ErrorCode.NONE) throw new KafkaError(error);
    this.#dispatch({ type: 'appended', endOffset: this.#log.logEndOffset });
    this.#askFlush();
  }

  #dispatch(event: RaftEvent): void {
    const { state, effects } = step(this.#state, event, this.#clock.monotonicMs());
    this.#state = state;
    this.#effects.push(...effects);
    this.#perform();
  }

  #perform(): void {
    // An effect may dispatch an event; what follows from that comes after the effects that are there.
    if (this.#performing) return;
    this.#performing = true;
    try {
      for (let effect = this.#effects.shift(); effect !== undefined; effect = this.#effects.shift()) this.#performOne(effect);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#fail(error);
    } finally {
      this.#performing = false;
    }
  }

  #performOne(effect: RaftEffect): void {
    switch (effect.type) {
      case 'saveElection':
        // Nothing happens between two elections in a row, so the second is all that a restart could miss.
        if (this.#effects[0]?.type !== 'saveElection') this.#hooks.saveElection(effect.election);
        return;
      case 'appendLeaderChange':
        return this.#appendLeaderChange(effect);
      case 'becomeLeader':
        this.#leaderEpoch = effect.epoch;
        return this.#hooks.onLeader(effect.epoch);
      case 'highWatermark':
        return this.#highWatermark(effect.offset);
      case 'resigned':
        this.#leaderEpoch = undefined;
        return;
    }
  }

  #appendLeaderChange({ epoch, voters, grantingVoters }: RaftEffect & { type: 'appendLeaderChange' }): void {
    const stamp: BatchStamp = { baseOffset: this.#log.logEndOffset, epoch, nowMs: this.#clock.wallMs() };
    const leaderChange: NewControlRecord = {
      type: 'leaderChange',
      value: {
        version: 0,
        leaderId: this.#state.nodeId,
        voters: voters.map((voterId) => ({ voterId })),
        grantingVoters: grantingVoters.map((voterId) => ({ voterId })),
      },
    };
    const first = stamp.baseOffset === 0 ? this.#firstControlRecords : [];
    this.#appendBatch(controlBatch([leaderChange, ...first], stamp), stamp);
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
        for (const waiting of done) waiting.reject(error);
        this.#fail(error);
      },
    );
  }

  /** At the end of this turn, so that all records of the turn share one write and one sync. */
  #askFlush(): void {
    if (this.#flushAsked || this.#flushing !== undefined || this.#failed !== undefined) return;
    this.#flushAsked = true;
    this.#flushing = new Promise((resolve) => {
      this.#timers.soon(() => {
        this.#flushAsked = false;
        this.#flush().then(
          () => {
            this.#flushing = undefined;
            resolve();
          },
          (error: unknown) => {
            this.#flushing = undefined;
            this.#fail(error);
            resolve();
          },
        );
      });
    });
  }

  async #flush(): Promise<void> {
    while (this.#state.durableOffset < this.#log.logEndOffset && this.#failed === undefined) {
      await this.#log.flush();
      const endOffset = this.#log.recoveryPoint;
      if (endOffset > this.#state.durableOffset) this.#dispatch({ type: 'durable', endOffset });
    }
  }

  /** The log has dropped what it could not write: as if it had never been appended. */
  #cut(error: Error): void {
    const { role } = this.#state;
    // Without the record that begins its epoch a leader is none.
    if (role.name === 'leader' && this.#log.logEndOffset <= role.epochStartOffset) return this.#fail(error);
    this.#dispatch({ type: 'cut', endOffset: this.#log.logEndOffset });
    this.#hooks.onCut();
    this.#rejectWaiting(storageError(error));
  }

  #rejectWaiting(error: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) one.reject(error);
  }

  #fail(error: unknown): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.#effects.length = 0;
    this.#leaderEpoch = undefined;
    this.#rejectWaiting(storageError(error));
    this.#hooks.onFailure(error);
  }
}

function storageError(error: unknown): KafkaError {
  return new KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, `the metadata log cannot be written: ${error instanceof Error ? error.message : String(error)}`);
}
