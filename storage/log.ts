/**
 * The log of one partition, in Kafka's files.
 *
 * Promises: `append` gives a batch its offsets at once and queues it; `write` hands all that is queued to the files in order, and only what it
 * has handed over is ever read; `flush` makes it durable and moves the recovery point. What could not be written is taken back as if it had not been
 * appended. After a full disk the next append tries again; after any failed sync, or a write that failed for another reason, the log takes
 * nothing more and goes on serving reads.
 * Does not: validate batches (`protocol/record/validate.ts`), wait for replicas, start timers or know the time.
 *
 *     log start          high watermark    written end     log end
 *        |-- segments -------|-----------------|---- queue ----|
 *                 ^ recovery point: all before it is on the disk
 */
import assert from 'node:assert';
import { ErrorCode } from '../protocol/errors.ts';
import * as batch from '../protocol/record/batch.ts';
import { type Disk, DiskError } from './disk.ts';
import type { EpochEnd, EpochHistory } from './epoch-history.ts';
import { IndexBudget } from './index-budget.ts';
import type { LogConfig } from './log-config.ts';
import { LogDamage } from './log-damage.ts';
import { findMaxTimestamp, findTimestamp, type FoundOffset } from './log-lookup.ts';
import { emptyRead, type LogRead, readLog, type ReadOptions } from './log-read.ts';
import { createSegment, isPassing, type LogState, segmentJitterMs, StorageError } from './log-state.ts';
import { restartLog, truncateLog } from './log-truncation.ts';
import { type LogEvents, LogWriter } from './log-writer.ts';
import { OpenFiles } from './open-files.ts';
import type { AppendOrigin, CompletedTransaction, ProducerState } from './producer-state.ts';
import { loadLog, rebuildTxnIndex, type RecoveryReport } from './recovery.ts';
import { expiredSegments } from './retention.ts';
import type { Segment } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import { HEADER_BYTES, storedCrcMatches, storedSize } from './stored-batch.ts';
import { Tail, TailBudget } from './tail.ts';
import type { AbortedTransaction, TxnIndex } from './txn-index.ts';

export type { AbortedTransaction, AppendOrigin, EpochEnd, FoundOffset, LogConfig, LogRead, ReadOptions, RecoveryReport };
export { StorageError };

export interface LogOptions {
  readonly disk: Disk;
  /** Of the partition. Made when it is missing. */
  readonly directory: string;
  readonly topic: string;
  readonly partition: number;
  /** 22 characters; partition.metadata is the log directory's to write. */
  readonly topicId?: string;
  readonly config: LogConfig;
  readonly recoveryPoint: number;
  readonly logStartOffset: number;
  readonly cleanShutdown: boolean;
  /** See LoadOptions; false by default. */
  readonly cutsDamage?: boolean;
  readonly nowMs: number;
  readonly tail?: TailBudget;
  readonly files?: OpenFiles;
  readonly indexes?: IndexBudget;
  /** Below 1, from 0 on: which part of segmentJitterMs the next segment takes. Without it none. */
  readonly jitter?: () => number;
  /** Makes durable what the log itself does not know of: called once, before the recovery point first moves. Rejects with a DiskError. */
  readonly beforeFirstSync?: () => Promise<void>;
}

export interface AppendOptions {
  readonly leaderEpoch: number;
  readonly nowMs: number;
  readonly origin: AppendOrigin;
  /** Of a transaction marker (KIP-890). */
  readonly transactionVersion?: number;
  /**
   * The owner wants the buffer back: called once when it is written and nobody here looks at it any more, and never when it could not be written or was
   * not taken in. Readers at the tail then find the batch in the file.
   */
  readonly release?: () => void;
}

export interface AppendResult {
  readonly error: ErrorCode;
  /** -1 with an error. */
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** -1 unless the topic's timestamps are the time of append. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: number;
  /** The batch was in the log already, at these offsets; nothing was appended. */
  readonly duplicate: boolean;
}

const DONE: Promise<void> = Promise.resolve();

export class Log implements LogEvents {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: string | undefined;
  /** What loading the log came upon. */
  readonly recovery: RecoveryReport;

  onWritten: (endOffset: number) => void = () => {};
  onWriteFailed: (error: Error, fromOffset: number) => void = () => {};
  onFailed: (error: StorageError) => void = () => {};
  /** The recovery point is about to be lowered by a truncation: the checkpoint must say so, durably, before the log is cut. */
  onRecoveryPointLowered: () => Promise<void> = () => DONE;
  /** So is the log start: a later one in the checkpoint would hide, or throw away, what is appended after the cut. */
  onLogStartLowered: () => Promise<void> = () => DONE;
  readonly damage = new LogDamage();

  readonly #state: LogState;
  readonly #writer: LogWriter;

  static open(options: LogOptions): Log {
    return new Log(options);
  }

  private constructor(options: LogOptions) {
    const { disk, directory, nowMs, config } = options;
    this.topic = options.topic;
    this.partition = options.partition;
    this.topicId = options.topicId;
    const resources = { files: options.files ?? new OpenFiles(disk), indexes: options.indexes ?? new IndexBudget() };
    const jitter = options.jitter ?? (() => 0);
    if (disk.status(directory) === undefined) disk.makeDirectory(directory);
    const loaded = loadLog({
      disk, directory, resources, config, recoveryPoint: options.recoveryPoint, logStartOffset: options.logStartOffset,
      cleanShutdown: options.cleanShutdown, cutsDamage: options.cutsDamage ?? false, nowMs, jitterMs: () => segmentJitterMs(config, jitter),
    });
    this.recovery = loaded.report;
    this.#state = {
      disk, resources, jitter, config, directory,
      segments: loaded.segments, epochs: loaded.epochs, producers: loaded.producers, snapshots: loaded.snapshots,
      tail: new Tail(options.tail ?? new TailBudget()),
      logStartOffset: loaded.logStartOffset, logEndOffset: loaded.logEndOffset, writtenEndOffset: loaded.logEndOffset,
      recoveryPoint: loaded.recoveryPoint, highWatermark: loaded.logStartOffset, latestEpoch: loaded.epochs.latestEpoch,
      truncations: 0, namesChanged: loaded.unflushedNames, failure: undefined, closed: false,
      refusesDamage: (segment, offset) => this.damage.refuses(this.#state, segment, offset, this.onRecoveryPointLowered),
    };
    this.#writer = new LogWriter(this.#state, this, { nowMs, beforeFirstSync: options.beforeFirstSync });
  }

  /** May be replaced at any time; index.interval.bytes holds from the next segment on. */
  get config(): LogConfig {
    return this.#state.config;
  }

  set config(config: LogConfig) {
    this.#state.config = config;
  }

  get directory(): string {
    return this.#state.directory;
  }

  get segments(): SegmentList {
    return this.#state.segments;
  }

  get epochs(): EpochHistory {
    return this.#state.epochs;
  }

  get producers(): ProducerState {
    return this.#state.producers;
  }

  get tail(): Tail {
    return this.#state.tail;
  }

  get logStartOffset(): number {
    return this.#state.logStartOffset;
  }

  /** The next offset to be given. What lies between the written end and it is queued. */
  get logEndOffset(): number {
    return this.#state.logEndOffset;
  }

  /** All below it has been handed to the file. */
  get writtenEndOffset(): number {
    return this.#state.writtenEndOffset;
  }

  /** Those of its files; else the next flush makes them so. */
  get namesAreDurable(): boolean {
    return !this.#state.namesChanged;
  }

  /** All below it is durable. */
  get recoveryPoint(): number {
    return this.#state.recoveryPoint;
  }

  get highWatermark(): number {
    return this.#state.highWatermark;
  }

  /** Nothing can be appended any more; what is written can be read. */
  get failed(): boolean {
    return this.#state.failure !== undefined;
  }

  get failure(): StorageError | undefined {
    return this.#state.failure;
  }

  /** Bytes of batches, those included that wait to be written. */
  get sizeBytes(): number {
    return this.segments.sizeBytes;
  }

  get queuedBytes(): number {
    return this.#writer.queuedBytes;
  }

  /** What read_committed readers may see: nothing from the first open transaction on. */
  get lastStableOffset(): number {
    const { producers, highWatermark, logStartOffset } = this.#state;
    const unstable = producers.firstUnstableOffset;
    return unstable >= 0 && unstable < highWatermark ? Math.max(unstable, logStartOffset) : highWatermark;
  }

  // ---- appending

  /**
   * Appends one validated batch, or from a coordinator or the quorum several, as the leader of the epoch. Takes over the buffer: its offsets
   * and epoch are set in place, and it must not be changed any more.
   *
   * NONE, also for a batch that is in the log already (`duplicate`); RECORD_LIST_TOO_LARGE: larger than a segment; INVALID_PRODUCER_EPOCH,
   * OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE, TRANSACTION_COORDINATOR_FENCED: see `producer-state.ts`; KAFKA_STORAGE_ERROR.
   */
  append(buffer: Buffer, options: AppendOptions): AppendResult {
    const log = this.#state;
    if (log.closed || this.#writer.trouble() !== undefined) return this.#refuse(ErrorCode.KAFKA_STORAGE_ERROR);
    if (buffer.length > log.config.segmentBytes) return this.#refuse(ErrorCode.RECORD_LIST_TOO_LARGE);
    const { origin, nowMs, leaderEpoch } = options;
    const stamps = log.config.messageTimestampType === 'LogAppendTime' && origin !== 'raft';
    const baseOffset = log.logEndOffset;
    let maxTimestamp = stamps ? nowMs : -1;
    let nextOffset = baseOffset;
    for (let at = 0; at < buffer.length; at += batch.sizeInBytes(buffer, at)) {
      assert(at + batch.sizeInBytes(buffer, at) <= buffer.length);
      if (batch.hasProducerId(buffer, at)) {
        const error = log.producers.check(buffer, at, origin, options.transactionVersion ?? 0);
        if (error === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) return this.#duplicate();
        if (error !== ErrorCode.NONE) return this.#refuse(error);
      }
      if (!stamps) maxTimestamp = Math.max(maxTimestamp, batch.maxTimestamp(buffer, at));
      nextOffset += batch.lastOffsetDelta(buffer, at) + 1;
    }
    assert(nextOffset > baseOffset);
    if (!this.#rollIfDue({ bytes: buffer.length, maxTimestamp, baseOffset, lastOffset: nextOffset - 1, nowMs })) return this.#refuse(ErrorCode.KAFKA_STORAGE_ERROR);

    let offset = baseOffset;
    for (let at = 0; at < buffer.length; at += batch.sizeInBytes(buffer, at)) {
      batch.setBaseOffset(buffer, at, offset);
      batch.setPartitionLeaderEpoch(buffer, at, leaderEpoch);
      if (stamps) batch.setMaxTimestampAndType(buffer, at, batch.TimestampType.LOG_APPEND_TIME, nowMs);
      offset += batch.lastOffsetDelta(buffer, at) + 1;
    }
    this.#enqueue(buffer, baseOffset, nextOffset, nowMs, options.release);
    return { error: ErrorCode.NONE, baseOffset, lastOffset: nextOffset - 1, logAppendTimeMs: stamps ? nowMs : -1, logStartOffset: log.logStartOffset, duplicate: false };
  }

  /**
   * Appends batches of a leader with the offsets and epochs that they have. Takes over the buffer. A batch cut short at the end, and batches of an
   * epoch beyond `leaderEpoch`, which this replica has not heard of yet, are left out.
   * CORRUPT_MESSAGE: a checksum does not match; OFFSET_OUT_OF_RANGE: they begin before the log's end, or go backwards; KAFKA_STORAGE_ERROR.
   */
  appendAsFollower(batches: Buffer, options: Pick<AppendOptions, 'leaderEpoch' | 'nowMs' | 'release'>): AppendResult {
    const log = this.#state;
    if (log.closed || this.#writer.trouble() !== undefined) return this.#refuse(ErrorCode.KAFKA_STORAGE_ERROR);
    let end = 0;
    let nextOffset = log.logEndOffset;
    let lastEpoch = log.latestEpoch;
    let maxTimestamp = -1;
    while (end + HEADER_BYTES <= batches.length) {
      const size = storedSize(batches, end);
      if (size < HEADER_BYTES || batch.magic(batches, end) !== 2) return this.#refuse(ErrorCode.CORRUPT_MESSAGE);
      const epoch = batch.partitionLeaderEpoch(batches, end);
      if (end + size > batches.length || epoch > options.leaderEpoch) break;
      if (!storedCrcMatches(batches, end)) return this.#refuse(ErrorCode.CORRUPT_MESSAGE);
      if (batch.baseOffset(batches, end) < nextOffset) return this.#refuse(ErrorCode.OFFSET_OUT_OF_RANGE);
      // Neither offset nor epoch is under the checksum: what is said of them is held against the log.
      if (batch.lastOffsetDelta(batches, end) < 0 || batch.nextOffset(batches, end) >= Number.MAX_SAFE_INTEGER) return this.#refuse(ErrorCode.CORRUPT_MESSAGE);
      if (epoch >= 0 && epoch < lastEpoch) return this.#refuse(ErrorCode.CORRUPT_MESSAGE);
      lastEpoch = Math.max(lastEpoch, epoch);
      nextOffset = batch.nextOffset(batches, end);
      maxTimestamp = Math.max(maxTimestamp, batch.maxTimestamp(batches, end));
      end += size;
    }
    const taken = { error: ErrorCode.NONE, baseOffset: log.logEndOffset, lastOffset: nextOffset - 1, logAppendTimeMs: -1, logStartOffset: log.logStartOffset, duplicate: false };
    if (end === 0) return taken;
    const baseOffset = batch.baseOffset(batches, 0);
    if (!this.#rollIfDue({ bytes: end, maxTimestamp, baseOffset, lastOffset: nextOffset - 1, nowMs: options.nowMs })) return this.#refuse(ErrorCode.KAFKA_STORAGE_ERROR);
    this.#enqueue(end === batches.length ? batches : batches.subarray(0, end), baseOffset, nextOffset, options.nowMs, options.release);
    return { ...taken, baseOffset };
  }

  /** Gives the batches, whose headers are final, their place, and notes what they mean. */
  #enqueue(buffer: Buffer, baseOffset: number, nextOffset: number, nowMs: number, release?: () => void): void {
    const log = this.#state;
    const segment = log.segments.active;
    const position = segment.sizeBytes;
    for (let at = 0; at < buffer.length; at += batch.sizeInBytes(buffer, at)) {
      const epoch = batch.partitionLeaderEpoch(buffer, at);
      if (epoch !== log.latestEpoch && epoch >= 0) {
        log.epochs.assign(epoch, batch.baseOffset(buffer, at));
        log.latestEpoch = epoch;
      }
      segment.noteBatch(batch.lastOffset(buffer, at), batch.maxTimestamp(buffer, at), batch.sizeInBytes(buffer, at));
      if (!batch.hasProducerId(buffer, at)) continue;
      const completed = log.producers.note(buffer, at);
      if (completed !== undefined) this.#complete(segment, completed);
    }
    log.producers.endOffset = nextOffset;
    log.logEndOffset = nextOffset;
    this.#writer.push(segment, buffer, baseOffset, nextOffset, position, nowMs, release);
  }

  #complete(segment: Segment, completed: CompletedTransaction): void {
    const { producers } = this.#state;
    if (completed.aborted) {
      const { producerId, firstOffset, lastOffset } = completed;
      segment.indexes.noteAborted(this.#txnIndexOf(segment), { producerId, firstOffset, lastOffset, lastStableOffset: producers.stableOffsetAfter(completed) });
    }
    producers.complete(completed);
  }

  #txnIndexOf(segment: Segment): TxnIndex {
    const { snapshots, segments, config, logStartOffset } = this.#state;
    return segment.indexes.txn() ?? rebuildTxnIndex(segment, snapshots, segments, { config, logStartOffset, nowMs: this.#writer.unflushedSinceMs });
  }

  /** This replica leads from here on: the epoch begins at the log's end even if nothing is ever appended in it, as Kafka has it. */
  assignLeaderEpoch(epoch: number): void {
    const log = this.#state;
    log.epochs.assign(epoch, log.logEndOffset);
    log.latestEpoch = log.epochs.latestEpoch;
  }

  #refuse(error: ErrorCode): AppendResult {
    return { error, baseOffset: -1, lastOffset: -1, logAppendTimeMs: -1, logStartOffset: this.#state.logStartOffset, duplicate: false };
  }

  #duplicate(): AppendResult {
    const { duplicate } = this.#state.producers;
    assert(duplicate !== undefined);
    const { lastOffset, offsetDelta, timestamp } = duplicate;
    // Kafka tells the stamp of the batch as its append time whatever the topic's timestamps are.
    return { error: ErrorCode.NONE, baseOffset: lastOffset - offsetDelta, lastOffset, logAppendTimeMs: timestamp, logStartOffset: this.#state.logStartOffset, duplicate: true };
  }

  // ---- rolling

  /** False when a new segment is due for what is to be appended, and cannot be made. */
  #rollIfDue(append: { bytes: number; maxTimestamp: number; baseOffset: number; lastOffset: number; nowMs: number }): boolean {
    const { bytes, maxTimestamp, baseOffset, lastOffset, nowMs } = append;
    const log = this.#state;
    const { active } = log.segments;
    try {
      // Of a segment that was found on the disk, when it began has to be read first.
      if (!active.shouldRoll(log.config, bytes, maxTimestamp, lastOffset, nowMs)) return true;
      // An empty segment is as good as a new one, unless it begins too far back to tell the offset relative to it.
      if (active.sizeBytes === 0 && active.indexes.offset.canHold(lastOffset)) return true;
      this.#roll(baseOffset, nowMs);
      return true;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (!isPassing(error)) this.#writer.fail(error);
      return false;
    }
  }

  /** Makes a new active segment at the log's end, unless the active one is empty and begins there. Throws a DiskError, or a StorageError. */
  roll(nowMs: number): void {
    const { segments, logEndOffset } = this.#state;
    const trouble = this.#writer.trouble();
    if (trouble !== undefined) throw trouble;
    if (segments.active.baseOffset < logEndOffset) this.#roll(logEndOffset, nowMs);
  }

  /** A follower's next batch may lie beyond the log's end, and the segment begins where the batch does. */
  #roll(baseOffset: number, nowMs: number): void {
    const log = this.#state;
    const old = log.segments.active;
    try {
      log.segments.add(createSegment(log, baseOffset, nowMs));
    } catch (error) {
      if (error instanceof DiskError && !isPassing(error)) this.#writer.fail(error);
      throw error;
    }
    try {
      // With a snapshot where the segment begins, recovery has to read no further back.
      log.producers.endOffset = baseOffset;
      log.snapshots.take(log.producers);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
    }
    // What waits to be written belongs to it still: the writer seals it when it has.
    if (old.sizeBytes === old.writtenBytes) this.#writer.seal(old);
  }

  // ---- writing

  /**
   * Writes all that is queued now. Never rejects: `onWritten` or `onWriteFailed` tell, before the promise resolves. While one write is under way, all
   * further calls share the next.
   */
  write(): Promise<void> {
    return this.#writer.write();
  }

  /** Makes durable what has been appended up to now, and moves the recovery point there. Rejects with a StorageError: the log has failed then, for ever, unless `isPassing`. */
  flush(): Promise<void> {
    return this.#writer.flush(true);
  }

  /** Whether something has waited to be flushed for flush.ms. */
  isFlushDue(nowMs: number): boolean {
    return this.#writer.isFlushDue(nowMs);
  }

  /** Something else in the log directory failed for good: nothing more is appended here either. */
  takeOffline(error: StorageError): void {
    this.#writer.fail(error);
  }

  // ---- reading

  /** See log-read.ts. Whether `startOffset` is within the log is for the caller to check; OFFSET_OUT_OF_RANGE is answered all the same. */
  read(startOffset: number, options: ReadOptions): LogRead | Promise<LogRead> {
    if (this.#state.closed) return emptyRead(startOffset, ErrorCode.KAFKA_STORAGE_ERROR);
    return readLog(this.#state, startOffset, options);
  }

  /** The aborted transactions that a read_committed reader of [from, to) must leave out. */
  abortedTransactions(from: number, to: number): readonly AbortedTransaction[] {
    const found: AbortedTransaction[] = [];
    for (const segment of this.#state.segments.from(from)) if (this.#txnIndexOf(segment).collect(from, to, found)) break;
    return found;
  }

  /** The first record of this age or younger. See log-lookup.ts. */
  async offsetForTimestamp(timestampMs: number): Promise<FoundOffset | undefined> {
    await this.write();
    return findTimestamp(this.#state, timestampMs);
  }

  /** The first record with the largest timestamp (KIP-734). */
  async maxTimestampOffset(): Promise<FoundOffset | undefined> {
    await this.write();
    return findMaxTimestamp(this.#state);
  }

  /** As OffsetsForLeaderEpoch asks; null when neither this epoch nor one before it is known. */
  endOffsetForEpoch(epoch: number): EpochEnd | null {
    const end = this.#state.epochs.endOffsetFor(epoch, this.#state.logEndOffset);
    return end.endOffset < 0 ? null : end;
  }

  // ---- offsets that the owner moves

  /** What is replicated: never beyond what is written, never backwards. */
  advanceHighWatermark(offset: number): void {
    const log = this.#state;
    const bounded = Math.min(offset, log.writtenEndOffset);
    if (bounded <= log.highWatermark) return;
    log.highWatermark = bounded;
    log.producers.advanceHighWatermark(bounded);
  }

  /** DeleteRecords and retention. OFFSET_OUT_OF_RANGE beyond the high watermark; nothing happens when the log starts there or later already. */
  advanceLogStartOffset(offset: number): ErrorCode {
    const log = this.#state;
    if (offset > log.highWatermark) return ErrorCode.OFFSET_OUT_OF_RANGE;
    if (offset <= log.logStartOffset) return ErrorCode.NONE;
    log.logStartOffset = offset;
    log.epochs.truncateFromStart(offset);
    log.producers.advanceLogStartOffset(offset);
    return ErrorCode.NONE;
  }

  /**
   * Cuts the log before `offset`, or before the batch that it lies inside of. What is being written is waited for; the cut is durable when the promise resolves, so that what is written after
   * it cannot come up mixed with what was there. Nothing happens when the log ends before; false then. Rejects with a StorageError.
   */
  async truncateTo(offset: number, nowMs: number): Promise<boolean> {
    await this.#writer.settle();
    const log = this.#state;
    if (offset >= log.logEndOffset) {
      log.epochs.truncateFromEnd(log.logEndOffset);
      log.latestEpoch = log.epochs.latestEpoch;
      return false;
    }
    const cut = offset < log.segments.first.baseOffset ? restartLog : truncateLog;
    await cut(log, this.#writer, { offset, nowMs, recoveryPointLowered: this.onRecoveryPointLowered, logStartLowered: this.onLogStartLowered });
    return true;
  }

  /** Throws everything away and begins anew at `offset`. Rejects with a StorageError. */
  async truncateFullyAndStartAt(offset: number, nowMs: number): Promise<void> {
    await this.#writer.settle();
    await restartLog(this.#state, this.#writer, { offset, nowMs, recoveryPointLowered: this.onRecoveryPointLowered, logStartLowered: this.onLogStartLowered });
  }

  // ---- housekeeping

  /**
   * Takes the segments out of the log that retention lets go. Their files are renamed to `.deleted` at once; their names are returned, for the owner to
   * remove after file.delete.delay.ms. The log start offset moves. Throws a DiskError.
   */
  applyRetention(nowMs: number): readonly string[] {
    const log = this.#state;
    if (log.closed || this.#writer.trouble() !== undefined) return [];
    const expired = expiredSegments(log, nowMs);
    const last = expired.at(-1);
    if (last === undefined) return [];
    if (last === log.segments.active) this.#roll(log.logEndOffset, nowMs);
    const next = log.segments.nextBaseOffset(last);
    assert(next !== undefined);
    this.advanceLogStartOffset(next);
    const renamed: string[] = [];
    try {
      for (const segment of expired) {
        // Oldest first, each durable before the next, so that a crash leaves no hole; and the first only when the names of all that follow are, so that
        // it does not leave a log that ends where it had been flushed long since.
        log.disk.syncDirectory(log.directory);
        // One whose file cannot be renamed stays, below the log start, and is tried again: the checkpoint goes on naming that start.
        renamed.push(...segment.renameDeleted());
        log.segments.remove(segment);
        renamed.push(...log.snapshots.renameDeleted(segment.baseOffset));
      }
      // The checkpoint leaves out a log that starts with its first segment: what was deleted must not be the first one again.
      log.disk.syncDirectory(log.directory);
    } catch (error) {
      if (error instanceof DiskError && !isPassing(error)) this.#writer.fail(error);
      throw error;
    }
    return renamed;
  }

  /** Forgets producers that have been idle for producer.id.expiration.ms. */
  expireProducers(nowMs: number): number {
    return this.#state.producers.expire(nowMs, this.#state.config.producerIdExpirationMs);
  }

  /** Writes down the state of the producers as of the log's end. Throws a DiskError. */
  takeProducerSnapshot(): void {
    const { producers, logStartOffset, snapshots } = this.#state;
    if (producers.endOffset > logStartOffset) snapshots.take(producers);
  }

  /** Flushes, and leaves the files as a clean shutdown should: complete indexes and a snapshot at the end. Rejects with a StorageError when that was not possible. */
  async close(): Promise<void> {
    const log = this.#state;
    if (log.closed) return;
    log.closed = true;
    let failure: StorageError | undefined;
    try {
      await this.flush();
      await this.#writer.settle();
      this.takeProducerSnapshot();
      for (const segment of log.segments.all) segment.indexes.persist();
      await log.epochs.persist();
    } catch (error) {
      if (error instanceof DiskError) failure = new StorageError(log.directory, error);
      else if (error instanceof StorageError) failure = error;
      else throw error;
      if (!isPassing(failure)) this.#writer.fail(failure);
    }
    this.#leave();
    failure = log.failure ?? failure;
    if (failure !== undefined) throw failure;
  }

  /** The directory was renamed, to be removed: nothing more is taken in, what is being read can be finished. */
  retire(directory: string): void {
    const log = this.#state;
    log.directory = directory;
    this.#writer.abandon();
    for (const segment of log.segments.all) segment.moveTo(directory);
    log.snapshots.moveTo(directory);
    this.#leave();
  }

  #leave(): void {
    const log = this.#state;
    log.closed = true;
    log.tail.clear();
    for (const segment of log.segments.all) segment.close();
  }
}
