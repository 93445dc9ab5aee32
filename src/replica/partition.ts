/**
 * One partition that this node has a replica of: its log, its leadership, and who waits on it.
 *
 * Promises: a batch is acknowledged to acks=all once the high watermark has passed it, and to acks=1 once it has been handed to the file; all that one turn
 * of the event loop appends leaves in one write; whoever waits is woken when the data, the watermark, the leadership or the log goes.
 * Does not check a client's batch (`protocol/record` does) and does not choose leaders (the controller does).
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { ProduceRules } from '../../protocol/record/validate.ts';
import type { AppendOrigin, AppendResult, Log } from '../../storage/log.ts';
import type { Turn, TurnOwner } from '../runtime/turn.ts';
import { CommitQueue } from './waiting.ts';
import type { ParkedFetch, Watched } from './waiting.ts';

/** What the metadata says of a partition, as far as a replica of it needs to know. */
export interface PartitionState {
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly partitionEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

/** What a topic's settings mean for one of its partitions, apart from its log. */
export interface PartitionSettings {
  /** What produced batches are checked by. */
  readonly produceRules: ProduceRules;
  /** min.insync.replicas */
  readonly minInsyncReplicas: number;
}

export class Partition implements TurnOwner, Watched {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly log: Log;
  /** As the topic's settings say now; replaced when they change. */
  settings: PartitionSettings;
  readonly #nodeId: number;
  readonly #turn: Turn;
  #state: PartitionState;
  #turnPending = false;
  #writing = false;
  #writeAgain = false;
  /** Appended and not yet written; written, and not yet told to those who watch. */
  #unwrittenBytes = 0;
  #untoldBytes = 0;
  /** acks=all: by the high watermark. */
  readonly #committed = new CommitQueue();
  /** acks=1: by the end of what was written. */
  readonly #written = new CommitQueue();
  readonly #watchers = new Set<ParkedFetch>();
  /** What whoever comes after the replica has left is told. */
  #left: ErrorCode | null = null;

  constructor(options: { topic: string; topicId: string; partition: number; log: Log; settings: PartitionSettings; nodeId: number; turn: Turn; state: PartitionState }) {
    this.topic = options.topic;
    this.topicId = options.topicId;
    this.partition = options.partition;
    this.log = options.log;
    this.settings = options.settings;
    this.#nodeId = options.nodeId;
    this.#turn = options.turn;
    this.#state = options.state;
    this.log.onWritten = (endOffset) => this.#onWritten(endOffset);
    this.log.onWriteFailed = (_error, fromOffset) => this.#onWriteFailed(fromOffset);
    // Alone in the in-sync replicas, everything that is in the log is committed.
    if (this.isLeader) this.#advanceHighWatermark();
  }

  get state(): PartitionState {
    return this.#state;
  }

  get isLeader(): boolean {
    return this.#state.leader === this.#nodeId && this.#left === null;
  }

  get leaderEpoch(): number {
    return this.#state.leaderEpoch;
  }

  /** Takes over what the metadata says now. A new leader epoch ends every wait: the waiter must look again. */
  update(state: PartitionState): void {
    const moved = state.leaderEpoch !== this.#state.leaderEpoch || state.leader !== this.#state.leader;
    this.#state = state;
    if (moved) {
      if (!this.isLeader) this.#failWaiters(ErrorCode.NOT_LEADER_OR_FOLLOWER);
      this.wakeWatchers();
    }
    // Also when only the in-sync replicas have become fewer: what was missing may be committed by that.
    if (this.isLeader) this.#advanceHighWatermark();
  }

  /** acks=all may only be promised while this many in-sync replicas hold the data (min.insync.replicas). */
  get hasEnoughReplicas(): boolean {
    return this.#state.isr.length >= Math.min(this.settings.minInsyncReplicas, this.#state.replicas.length);
  }

  /**
   * KIP-320's check of the leader epoch that a client or follower believes in; -1 is no belief.
   * FENCED_LEADER_EPOCH: it is behind; UNKNOWN_LEADER_EPOCH: we are.
   */
  checkLeader(currentLeaderEpoch: number): ErrorCode {
    if (!this.isLeader) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    if (currentLeaderEpoch >= 0 && currentLeaderEpoch !== this.#state.leaderEpoch) {
      return currentLeaderEpoch < this.#state.leaderEpoch ? ErrorCode.FENCED_LEADER_EPOCH : ErrorCode.UNKNOWN_LEADER_EPOCH;
    }
    return ErrorCode.NONE;
  }

  /** Appends a validated batch as the leader. It is written at the end of this turn; use `whenWritten` or `whenCommitted` to hear of it. */
  append(batch: Buffer, origin: AppendOrigin, nowMs: number, release?: () => void): AppendResult {
    const result = this.log.append(batch, { leaderEpoch: this.#state.leaderEpoch, nowMs, origin, ...(release !== undefined && { release }) });
    if (result.error === ErrorCode.NONE && !result.duplicate) {
      this.#unwrittenBytes += batch.length;
      this.#writeSoon();
    }
    return result;
  }

  #writeSoon(): void {
    if (this.#turnPending) return;
    this.#turnPending = true;
    this.#turn.add(this);
  }

  endTurn(): void {
    this.#turnPending = false;
    if (this.#left !== null) return;
    if (this.#writing) {
      this.#writeAgain = true;
      return;
    }
    this.#writing = true;
    // A disk that refuses is told by `onWriteFailed`: what rejects here is a bug, and is left to end the process.
    void this.log.write().then(this.#wrote);
  }

  /** `call` is called once, when all below `offset` is committed (acks=all) or written (acks=1), or when it will not be. */
  whenCommitted(offset: number, call: (errorCode: ErrorCode) => void): void {
    if (offset <= this.log.highWatermark) call(ErrorCode.NONE);
    else if (this.#left !== null) call(this.#left);
    else this.#committed.add(offset, call);
  }

  whenWritten(offset: number, call: (errorCode: ErrorCode) => void): void {
    if (offset <= this.log.writtenEndOffset) call(ErrorCode.NONE);
    else if (this.#left !== null) call(this.#left);
    else this.#written.add(offset, call);
  }

  addWatcher(fetch: ParkedFetch): void {
    this.#watchers.add(fetch);
  }

  removeWatcher(fetch: ParkedFetch): void {
    this.#watchers.delete(fetch);
  }

  /** The log start offset has moved, or something else that a waiting fetch must see at once. */
  wakeWatchers(): void {
    for (const watcher of [...this.#watchers]) watcher.end();
  }

  /** This node keeps the replica no longer, or cannot: everybody who waits is told. The log is its owner's to close or delete. */
  leave(errorCode: ErrorCode): void {
    this.#left = errorCode;
    this.#failWaiters(errorCode);
    this.wakeWatchers();
  }

  readonly #wrote = (): void => {
    this.#writing = false;
    if (!this.#writeAgain) return;
    this.#writeAgain = false;
    this.#writeSoon();
  };

  #onWritten(endOffset: number): void {
    // Counted by what the log still has queued: others than `endTurn` make it write too (a lookup by time, a flush).
    const { queuedBytes } = this.log;
    this.#untoldBytes += this.#unwrittenBytes - queuedBytes;
    this.#unwrittenBytes = queuedBytes;
    this.#written.advance(endOffset, ErrorCode.NONE);
    if (this.isLeader) this.#advanceHighWatermark();
  }

  #onWriteFailed(fromOffset: number): void {
    // With what was being written, all that was queued behind it has been taken back.
    this.#unwrittenBytes = 0;
    this.#written.fail(fromOffset, ErrorCode.KAFKA_STORAGE_ERROR);
    this.#committed.fail(fromOffset, ErrorCode.KAFKA_STORAGE_ERROR);
    if (this.log.failed) this.wakeWatchers();
  }

  /** The high watermark is the least log end of the in-sync replicas; with this replica alone among them, it is the end of what was written. */
  #advanceHighWatermark(): void {
    const { isr } = this.#state;
    if (isr.length !== 1 || isr[0] !== this.#nodeId) return;
    const log = this.log;
    const before = log.highWatermark;
    if (log.writtenEndOffset <= before) return;
    const stableBefore = log.lastStableOffset;
    log.advanceHighWatermark(log.writtenEndOffset);
    const bytes = this.#untoldBytes;
    this.#untoldBytes = 0;
    this.#committed.advance(log.highWatermark, ErrorCode.NONE);
    if (this.#watchers.size === 0) return;
    const stableMoved = log.lastStableOffset > stableBefore;
    for (const watcher of [...this.#watchers]) if (stableMoved || !watcher.committedOnly) watcher.more(bytes);
  }

  #failWaiters(errorCode: ErrorCode): void {
    this.#committed.fail(-1, errorCode);
    this.#written.fail(-1, errorCode);
  }
}
