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
import { type FoundOffset, findMaxTimestamp, findTimestamp } from './log-lookup.ts';
import { type LogRead, type ReadOptions, readLog } from './log-read.ts';
import { OpenFiles } from './open-files.ts';
import type { ProducerSnapshots } from './producer-snapshots.ts';
import type { AppendOrigin, CompletedTransaction, ProducerState } from './producer-state.ts';
import { loadLog, rebuildProducers, rebuildTxnIndex, type RecoveryReport } from './recovery.ts';
import { planRetention } from './retention.ts';
import { Segment, type SegmentResources } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import { OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX } from './segment-name.ts';
import { HEADER_BYTES, storedCrcMatches, storedSize } from './stored-batch.ts';
import { Tail, TailBudget } from './tail.ts';
import type { AbortedTransaction } from './txn-index.ts';
import { type SegmentWrite, WriteQueue } from './write-queue.ts';

export type { AbortedTransaction, AppendOrigin, EpochEnd, FoundOffset, LogConfig, LogRead, ReadOptions, RecoveryReport };

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

/** What a log that has failed answers to `flush`, `close` and the like. */
export class StorageError extends Error {
  readonly directory: string;
  constructor(directory: string, cause: Error) {
    super(`log in '${directory}': ${cause.message}`, { cause });
    this.name = 'StorageError';
    this.directory = directory;
  }
}

/** The disk refuses for now: there is no room, or no descriptor. Nothing that was promised is in doubt. */
const PASSING_ERRORS: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE']);
const DONE: Promise<void> = Promise.resolve();

export class Log {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: string | undefined;
  /** May be replaced at any time; index.interval.bytes holds from the next segment on. */
  config: LogConfig;
  readonly segments: SegmentList;
  readonly epochs: EpochHistory;
  readonly producers: ProducerState;
  readonly tail: Tail;
  /** What loading the log came upon. */
  readonly recovery: RecoveryReport;
  logStartOffset: number;
  /** The next offset to be given. What lies between the written end and it is queued. */
  logEndOffset: number;
  /** All below it has been handed to the file. */
  writtenEndOffset: number;
  /** All below it is durable. */
  recoveryPoint: number;
  highWatermark: number;
  truncations = 0;

  /** After each write that succeeded, once. */
  onWritten: (endOffset: number) => void = () => {};
  /** All from this offset on was taken back. */
  onWriteFailed: (error: Error, fromOffset: number) => void = () => {};
  /** Once, when nothing more can be appended. */
  onFailed: (error: StorageError) => void = () => {};
  /** The recovery point is about to be lowered by a truncation: the checkpoint must say so, durably, before the log is cut. */
  onRecoveryPointLowered: () => Promise<void> = () => DONE;

  #directory: string;
  readonly #disk: Disk;
  readonly #resources: SegmentResources;
  readonly #snapshots: ProducerSnapshots;
  readonly #queue = new WriteQueue();
  readonly #jitter: () => number;
  #latestEpoch: number;
  #failure: StorageError | undefined;
  #writing: Promise<void> | undefined;
  #nextWrite: Promise<void> | undefined;
  #flushing: Promise<void> = DONE;
  /** Names in the directory that are not durable yet. */
  #namesChanged = false;
  #unflushedSinceMs = 0;
  #beforeFirstSync: (() => Promise<void>) | undefined;
  #closed = false;

  static open(options: LogOptions): Log {
    return new Log(options);
  }

  private constructor(options: LogOptions) {
    const { disk, directory, nowMs } = options;
    this.topic = options.topic;
    this.partition = options.partition;
    this.topicId = options.topicId;
    this.config = options.config;
    this.#directory = directory;
    this.#disk = disk;
    this.#resources = { files: options.files ?? new OpenFiles(disk), indexes: options.indexes ?? new IndexBudget() };
    this.#jitter = options.jitter ?? (() => 0);
    this.#beforeFirstSync = options.beforeFirstSync;
    if (disk.status(directory) === undefined) disk.makeDirectory(directory);
    const loaded = loadLog({
      disk, directory, resources: this.#resources, config: options.config, recoveryPoint: options.recoveryPoint, logStartOffset: options.logStartOffset,
      cleanShutdown: options.cleanShutdown, nowMs, jitterMs: () => this.#jitterMs(),
    });
    this.segments = loaded.segments;
    this.producers = loaded.producers;
    this.#snapshots = loaded.snapshots;
    this.epochs = loaded.epochs;
    this.recovery = loaded.report;
    this.logStartOffset = loaded.logStartOffset;
    this.logEndOffset = loaded.logEndOffset;
    this.writtenEndOffset = loaded.logEndOffset;
    this.recoveryPoint = loaded.recoveryPoint;
    this.highWatermark = loaded.logStartOffset;
    this.#latestEpoch = loaded.epochs.latestEpoch;
    this.#unflushedSinceMs = nowMs;
    this.tail = new Tail(options.tail ?? new TailBudget());
  }

  get directory(): string {
    return this.#directory;
  }

  /** Nothing can be appended any more; what is written can be read. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  get failure(): StorageError | undefined {
    return this.#failure;
  }

  /** Bytes of batches, those included that wait to be written. */
  get sizeBytes(): number {
    return this.segments.sizeBytes;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** What read_committed readers may see: nothing from the first open transaction on. */
  get lastStableOffset(): number {
    const unstable = this.producers.firstUnstableOffset;
    return unstable >= 0 && unstable < this.highWatermark ? Math.max(unstable, this.logStartOffset) : this.highWatermark;
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
    if (this.#failure !== undefined || this.#closed) return this.#refuse(ErrorCode.KAFKA_STORAGE_ERROR);
    if (buffer.length > this.config.segmentBytes) return this.#refuse(ErrorCode.RECORD_LIST_TOO_LARGE);
    const { origin, nowMs, leaderEpoch } = options;
    const stamps = this.config.messageTimestampType === 'LogAppendTime' && origin !== 'raft';
    let maxTimestamp = stamps ? nowMs : -1;
    let nextOffset = this.logEndOffset;
    for (let at = 0; at < buffer.length; at += batch.sizeInBytes(buffer, at)) {
      assert(at + batch.sizeInBytes(buffer, at) <= buffer.length);
      if (batch.hasProducerId(buffer, at)) {
        const error = this.producers.check(buffer, at, origin, options.transactionVersion ?? 0);
        if (error === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) return this.#duplicate();
        if (error !== ErrorCode.NONE) return this.#refuse(error);
      }
      if (!stamps) maxTimestamp = Math.max(maxTimestamp, batch.maxTimestamp(buffer, at));
      nextOffset += batch.lastOffsetDelta(buffer, at) + 1;
    }
    assert(nextOffset > this.logEndOffset);
    if (!this.#rollIfDue(buffer.length, maxTimestamp, nextOffset - 1, nowMs)) return this.#refuse(ErrorCode.KAFKA_STORAGE_ERROR);

    const baseOffset = this.logEndOffset;
    let offset = baseOffset;
    for (let at = 0; at < buffer.length; at += batch.sizeInBytes(buffer, at)) {
      batch.setBaseOffset(buffer, at, offset);
      batch.setPartitionLeaderEpoch(buffer, at, leaderEpoch);
      if (stamps) batch.setMaxTimestampAndType(buffer, at, batch.TimestampType.LOG_APPEND_TIME, nowMs);
      offset += batch.lastOffsetDelta(buffer, at) + 1;
    }
    this.#enqueue(buffer, baseOffset, offset, nowMs);
    return { error: ErrorCode.NONE, baseOffset, lastOffset: offset - 1, logAppendTimeMs: stamps ? nowMs : -1, logStartOffset: this.logStartOffset, duplicate: false };
  }

  /**
   * Appends batches of a leader with the offsets and epochs that they have. Takes over the buffer. A batch cut short at the end, and batches of an
   * epoch beyond `leaderEpoch`, which this replica has not heard of yet, are left out.
   * CORRUPT_MESSAGE: a checksum does not match; OFFSET_OUT_OF_RANGE: they begin before the log's end, or go backwards; KAFKA_STORAGE_ERROR.
   */
  appendAsFollower(batches: Buffer, options: { readonly leaderEpoch: number; readonly nowMs: number }): AppendResult {
    if (this.#failure !== undefined || this.#closed) return this.#refuse(ErrorCode.KAFKA_STORAGE_ERROR);
    let end = 0;
    let nextOffset = this.logEndOffset;
    let maxTimestamp = -1;
    while (end + HEADER_BYTES <= batches.length) {
      const size = storedSize(batches, end);
      if (size < 0) return this.#refuse(ErrorCode.CORRUPT_MESSAGE);
      if (end + size > batches.length || batch.partitionLeaderEpoch(batches, end) > options.leaderEpoch) break;
      if (!storedCrcMatches(batches, end)) return this.#refuse(ErrorCode.CORRUPT_MESSAGE);
      if (batch.baseOffset(batches, end) < nextOffset) return this.#refuse(ErrorCode.OFFSET_OUT_OF_RANGE);
      nextOffset = batch.nextOffset(batches, end);
      maxTimestamp = Math.max(maxTimestamp, batch.maxTimestamp(batches, end));
      end += size;
    }
    const nothing = { error: ErrorCode.NONE, baseOffset: this.logEndOffset, lastOffset: this.logEndOffset - 1, logAppendTimeMs: -1, logStartOffset: this.logStartOffset, duplicate: false };
    if (end === 0) return nothing;
    const buffer = end === batches.length ? batches : batches.subarray(0, end);
    if (!this.#rollIfDue(end, maxTimestamp, nextOffset - 1, options.nowMs)) return this.#refuse(ErrorCode.KAFKA_STORAGE_ERROR);
    const baseOffset = batch.baseOffset(buffer, 0);
    this.#enqueue(buffer, baseOffset, nextOffset, options.nowMs);
    return { ...nothing, baseOffset, lastOffset: nextOffset - 1 };
  }

  /** Gives the batches, whose headers are final, their place, and notes what they mean. */
  #enqueue(buffer: Buffer, baseOffset: number, nextOffset: number, nowMs: number): void {
    const segment = this.segments.active;
    const position = segment.sizeBytes;
    for (let at = 0; at < buffer.length; at += batch.sizeInBytes(buffer, at)) {
      const epoch = batch.partitionLeaderEpoch(buffer, at);
      if (epoch !== this.#latestEpoch && epoch >= 0) {
        this.epochs.assign(epoch, batch.baseOffset(buffer, at));
        this.#latestEpoch = epoch;
      }
      segment.noteBatch(batch.lastOffset(buffer, at), batch.maxTimestamp(buffer, at), batch.sizeInBytes(buffer, at));
      if (!batch.hasProducerId(buffer, at)) continue;
      const completed = this.producers.note(buffer, at);
      if (completed !== undefined) this.#complete(segment, completed);
    }
    if (this.logEndOffset === this.recoveryPoint) this.#unflushedSinceMs = nowMs;
    this.producers.endOffset = nextOffset;
    this.logEndOffset = nextOffset;
    this.#queue.push(segment, buffer, baseOffset, nextOffset, position);
  }

  #complete(segment: Segment, completed: CompletedTransaction): void {
    if (completed.aborted) {
      const { producerId, firstOffset, lastOffset } = completed;
      const index = segment.txnIndex() ?? rebuildTxnIndex(segment, this.#snapshots, this.segments, this.#rebuildOptions(this.#unflushedSinceMs));
      index.append({ producerId, firstOffset, lastOffset, lastStableOffset: this.producers.stableOffsetAfter(completed) });
      segment.indexesDirty = true;
    }
    this.producers.complete(completed);
  }

  /** This replica leads from here on: the epoch begins at the log's end even if nothing is ever appended in it, as Kafka has it. */
  assignLeaderEpoch(epoch: number): void {
    this.epochs.assign(epoch, this.logEndOffset);
    this.#latestEpoch = this.epochs.latestEpoch;
  }

  #refuse(error: ErrorCode): AppendResult {
    return { error, baseOffset: -1, lastOffset: -1, logAppendTimeMs: -1, logStartOffset: this.logStartOffset, duplicate: false };
  }

  #duplicate(): AppendResult {
    const { duplicate } = this.producers;
    assert(duplicate !== undefined);
    const { lastOffset, offsetDelta, timestamp } = duplicate;
    return { error: ErrorCode.NONE, baseOffset: lastOffset - offsetDelta, lastOffset, logAppendTimeMs: timestamp, logStartOffset: this.logStartOffset, duplicate: true };
  }

  // ---- rolling

  /** False when a new segment is due and cannot be made. */
  #rollIfDue(bytes: number, maxTimestamp: number, lastOffset: number, nowMs: number): boolean {
    const { active } = this.segments;
    if (!active.shouldRoll(this.config, bytes, maxTimestamp, lastOffset, nowMs) || (active.sizeBytes === 0 && active.offsetIndex().canHold(lastOffset))) return true;
    try {
      this.#roll(nowMs);
      return true;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (!PASSING_ERRORS.has(error.code)) this.#fail(error);
      return false;
    }
  }

  /** Makes a new active segment at the log's end, unless the active one is empty and begins there. Throws a DiskError. */
  roll(nowMs: number): void {
    if (this.segments.active.sizeBytes > 0 || this.segments.active.baseOffset < this.logEndOffset) this.#roll(nowMs);
  }

  #roll(nowMs: number): void {
    const old = this.segments.active;
    const segment = Segment.create(this.#resources, this.#directory, {
      baseOffset: this.logEndOffset, nowMs, jitterMs: this.#jitterMs(), indexIntervalBytes: this.config.indexIntervalBytes,
    });
    this.#namesChanged = true;
    this.segments.add(segment);
    try {
      // With a snapshot where the segment begins, recovery has to read no further back.
      this.#snapshots.take(this.producers);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
    }
    if (old.sizeBytes === old.writtenBytes) this.#seal(old);
  }

  #seal(segment: Segment): void {
    try {
      segment.seal();
    } catch (error) {
      // An index that could not be written is made again when it is needed.
      if (!(error instanceof DiskError)) throw error;
    }
    void this.#flush(false).catch(ignoreStorageError);
  }

  #jitterMs(): number {
    return Math.floor(this.#jitter() * Math.max(0, Math.min(this.config.segmentJitterMs, this.config.segmentMs)));
  }

  // ---- writing

  /**
   * Writes all that is queued now. Never rejects: `onWritten` or `onWriteFailed` tell, before the promise resolves. While one write is under way, all
   * further calls share the next.
   */
  write(): Promise<void> {
    if (this.#writing === undefined) {
      if (this.#queue.isEmpty) return DONE;
      return (this.#writing = this.#writeQueued());
    }
    if (this.#queue.isEmpty) return this.#nextWrite ?? this.#writing;
    this.#nextWrite ??= this.#writing.then(() => {
      this.#nextWrite = undefined;
      return this.write();
    });
    return this.#nextWrite;
  }

  async #writeQueued(): Promise<void> {
    const from = this.writtenEndOffset;
    const end = this.logEndOffset;
    const writes = this.#queue.take();
    this.producers.beginWrite();
    const { segment: firstSegment } = writes[0] as SegmentWrite;
    const firstPosition = firstSegment.writtenBytes;
    try {
      for (const write of writes) await this.#writeSegment(write);
      if (end - this.recoveryPoint >= this.config.flushMessages) await this.#syncUpTo(end);
      if (this.#failure !== undefined) throw this.#failure;
      this.writtenEndOffset = end;
      this.producers.endWrite();
    } catch (error) {
      if (!(error instanceof DiskError) && !(error instanceof StorageError)) throw error;
      await this.#takeBack(error, from, firstSegment, firstPosition);
      this.#writing = undefined;
      this.onWriteFailed(error, from);
      return;
    }
    this.#writing = undefined;
    for (const write of writes) for (const chunk of write.chunks) this.tail.add(chunk);
    for (const write of writes) if (write.segment !== this.segments.active) this.#seal(write.segment);
    this.onWritten(end);
  }

  async #writeSegment({ segment, buffers, bytes }: SegmentWrite): Promise<void> {
    const file = segment.file();
    segment.handle.pins++;
    try {
      segment.dirty = true;
      await file.write(buffers, segment.writtenBytes);
    } finally {
      segment.unpin();
    }
    segment.writtenBytes += bytes;
  }

  /** Cuts the log back to where it was before a write that failed: memory at once, then the file, whose cut must be durable before it is written over. */
  async #takeBack(error: Error, offset: number, segment: Segment, position: number): Promise<void> {
    this.#queue.clear();
    this.truncations++;
    this.logEndOffset = offset;
    this.producers.rollBack(offset);
    this.epochs.truncateFromEnd(offset);
    this.#latestEpoch = this.epochs.latestEpoch;
    const transient = error instanceof DiskError && PASSING_ERRORS.has(error.code);
    if (!transient) this.#fail(error);
    try {
      this.#snapshots.removeBeyond(offset);
      for (const rolled of [...this.segments.beyond(Math.max(offset, segment.baseOffset))].reverse()) {
        this.segments.remove(rolled);
        rolled.remove();
      }
      segment.writtenBytes = Math.max(segment.writtenBytes, position);
      segment.cutFile(position);
      segment.cutBack(offset, position, this.#unflushedSinceMs);
      const file = segment.file();
      segment.handle.pins++;
      try {
        await file.sync();
      } finally {
        segment.unpin();
      }
    } catch (second) {
      if (!(second instanceof DiskError)) throw second;
      this.#fail(second);
    }
  }

  /** Something else in the log directory failed for good: nothing more is appended here either. */
  takeOffline(error: StorageError): void {
    this.#fail(error);
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error instanceof StorageError ? error : new StorageError(this.#directory, error);
    this.onFailed(this.#failure);
  }

  // ---- flushing

  /** Makes durable what has been appended up to now, and moves the recovery point there. Rejects with a StorageError; the log has failed then, for ever. */
  flush(): Promise<void> {
    return this.#flush(true);
  }

  /** Whether something has waited to be flushed for flush.ms. */
  isFlushDue(nowMs: number): boolean {
    return this.writtenEndOffset > this.recoveryPoint && nowMs - this.#unflushedSinceMs >= this.config.flushMs;
  }

  /** `whole`: the active segment too, else only those before it. */
  #flush(whole: boolean): Promise<void> {
    const flushed = this.#flushing.then(() => this.#flushNow(whole));
    this.#flushing = flushed.catch(ignoreStorageError);
    return flushed;
  }

  async #flushNow(whole: boolean): Promise<void> {
    const end = this.logEndOffset;
    while (whole && this.#failure === undefined && this.writtenEndOffset < Math.min(end, this.logEndOffset)) await this.write();
    if (this.#failure !== undefined) throw this.#failure;
    const target = whole ? this.writtenEndOffset : Math.min(this.segments.active.baseOffset, this.writtenEndOffset);
    await this.#syncUpTo(target);
  }

  async #syncUpTo(target: number): Promise<void> {
    if (target <= this.recoveryPoint && !this.segments.active.dirty) return;
    const truncations = this.truncations;
    try {
      for (const segment of this.segments.from(this.recoveryPoint)) {
        if (segment.baseOffset >= target && segment.baseOffset > this.recoveryPoint) break;
        if (!segment.dirty) continue;
        await this.#syncSegment(segment);
        if (segment !== this.segments.active) await this.#syncIndexes(segment);
      }
      if (this.epochs.isDirty) await this.epochs.persist();
      if (this.#beforeFirstSync !== undefined) {
        await this.#beforeFirstSync();
        this.#beforeFirstSync = undefined;
      }
      if (this.#namesChanged) {
        this.#namesChanged = false;
        this.#disk.syncDirectory(this.#directory);
      }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // The directory is gone because its topic was deleted: nothing is left to be durable.
      if (this.#closed && error.code === 'ENOENT') return;
      this.#fail(error);
      throw this.#failure;
    }
    if (truncations === this.truncations && target > this.recoveryPoint) this.recoveryPoint = target;
  }

  async #syncSegment(segment: Segment): Promise<void> {
    // Cleared first: what is written while the sync is under way needs another.
    segment.dirty = false;
    const file = segment.file();
    segment.handle.pins++;
    try {
      await file.sync();
    } finally {
      segment.unpin();
    }
  }

  /** Below the recovery point nobody looks whether the indexes came through a power loss, until they are used. */
  async #syncIndexes(segment: Segment): Promise<void> {
    for (const suffix of [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX]) {
      const path = segment.path(suffix);
      if (this.#disk.status(path) === undefined) continue;
      const file = this.#disk.open(path, 'update');
      try {
        await file.sync();
      } finally {
        file.close();
      }
    }
  }

  // ---- reading

  /** See log-read.ts. Whether `startOffset` is within the log is for the caller to check; OFFSET_OUT_OF_RANGE is answered all the same. */
  read(startOffset: number, options: ReadOptions): LogRead | Promise<LogRead> {
    return readLog(this, startOffset, options);
  }

  /** The aborted transactions that a read_committed reader of [from, to) must leave out. */
  abortedTransactions(from: number, to: number): readonly AbortedTransaction[] {
    const found: AbortedTransaction[] = [];
    for (const segment of this.segments.from(from)) {
      const index = segment.txnIndex() ?? rebuildTxnIndex(segment, this.#snapshots, this.segments, this.#rebuildOptions(this.#unflushedSinceMs));
      if (index.collect(from, to, found)) break;
    }
    return found;
  }

  /** The first record of this age or younger. See log-lookup.ts. */
  async offsetForTimestamp(timestampMs: number): Promise<FoundOffset | undefined> {
    await this.write();
    return findTimestamp(this, timestampMs);
  }

  /** The record with the largest timestamp (KIP-734). */
  async maxTimestampOffset(): Promise<FoundOffset | undefined> {
    await this.write();
    return findMaxTimestamp(this);
  }

  /** As OffsetsForLeaderEpoch asks; null when neither this epoch nor one before it is known. */
  endOffsetForEpoch(epoch: number): EpochEnd | null {
    const end = this.epochs.endOffsetFor(epoch, this.logEndOffset);
    return end.endOffset < 0 ? null : end;
  }

  // ---- offsets that the owner moves

  /** What is replicated: never beyond what is written, never backwards. */
  advanceHighWatermark(offset: number): void {
    const bounded = Math.min(Math.max(offset, this.logStartOffset), this.writtenEndOffset);
    if (bounded <= this.highWatermark) return;
    this.highWatermark = bounded;
    this.producers.advanceHighWatermark(bounded);
  }

  /** DeleteRecords and retention. OFFSET_OUT_OF_RANGE beyond the high watermark; nothing happens when the log starts there or later already. */
  advanceLogStartOffset(offset: number): ErrorCode {
    if (offset > this.highWatermark) return ErrorCode.OFFSET_OUT_OF_RANGE;
    if (offset <= this.logStartOffset) return ErrorCode.NONE;
    this.logStartOffset = offset;
    if (this.recoveryPoint < offset) this.recoveryPoint = offset;
    this.epochs.truncateFromStart(offset);
    this.#latestEpoch = this.epochs.latestEpoch;
    this.producers.advanceLogStartOffset(offset);
    return ErrorCode.NONE;
  }

  /**
   * Cuts the log before `offset`, or before the batch that it lies inside of. What is being written is waited for; the cut is durable when the promise resolves, so that what is written after
   * it cannot come up mixed with what was there. Nothing happens when the log ends before; false then. Rejects with a StorageError.
   */
  async truncateTo(offset: number, nowMs: number): Promise<boolean> {
    await this.#settle();
    if (offset >= this.logEndOffset) {
      this.epochs.truncateFromEnd(this.logEndOffset);
      this.#latestEpoch = this.epochs.latestEpoch;
      return false;
    }
    if (offset < this.segments.first.baseOffset) {
      await this.truncateFullyAndStartAt(offset, nowMs);
      return true;
    }
    await this.#lowerRecoveryPoint(offset);
    await this.#cut(async () => {
      // Newest first, each durable before the next: whatever a crash leaves is a log without a hole.
      for (const segment of [...this.segments.beyond(offset)].reverse()) {
        this.segments.remove(segment);
        segment.remove();
        this.#disk.syncDirectory(this.#directory);
      }
      const { active } = this.segments;
      const end = active.truncateTo(offset, nowMs);
      this.#endAt(end);
      this.#snapshots.removeBeyond(end);
      rebuildProducers(this.producers, this.#snapshots, this.segments, { ...this.#rebuildOptions(nowMs), endOffset: end });
      await this.#syncSegment(active);
    });
    return true;
  }

  /** Throws everything away and begins anew at `offset`. Rejects with a StorageError. */
  async truncateFullyAndStartAt(offset: number, nowMs: number): Promise<void> {
    await this.#settle();
    await this.#lowerRecoveryPoint(Math.min(offset, this.segments.first.baseOffset));
    await this.#cut(async () => {
      for (const segment of [...this.segments.all].reverse()) {
        this.segments.remove(segment);
        segment.remove();
      }
      this.#snapshots.removeAll();
      this.segments.add(Segment.create(this.#resources, this.#directory, { baseOffset: offset, nowMs, jitterMs: this.#jitterMs(), indexIntervalBytes: this.config.indexIntervalBytes }));
      this.#endAt(offset);
      this.logStartOffset = offset;
      this.highWatermark = offset;
      this.recoveryPoint = offset;
      this.epochs.clear();
      this.#latestEpoch = -1;
      this.producers.reset(offset);
      this.#disk.syncDirectory(this.#directory);
    });
  }

  /** The log ends here now, as far as memory goes. */
  #endAt(offset: number): void {
    this.truncations++;
    this.tail.clear();
    this.logEndOffset = offset;
    this.writtenEndOffset = offset;
    this.logStartOffset = Math.min(this.logStartOffset, offset);
    this.highWatermark = Math.min(this.highWatermark, offset);
    this.recoveryPoint = Math.min(this.recoveryPoint, offset);
    this.epochs.truncateFromEnd(offset);
    this.#latestEpoch = this.epochs.latestEpoch;
  }

  async #lowerRecoveryPoint(offset: number): Promise<void> {
    if (this.recoveryPoint <= offset) return;
    this.recoveryPoint = offset;
    await this.onRecoveryPointLowered();
  }

  async #cut(cut: () => Promise<void>): Promise<void> {
    try {
      await cut();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#fail(error);
      throw this.#failure;
    }
  }

  /** Waits until nothing is being written or flushed. */
  async #settle(): Promise<void> {
    while (this.#writing !== undefined || !this.#queue.isEmpty) await this.write();
    await this.#flushing;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #rebuildOptions(nowMs: number): { config: LogConfig; nowMs: number; logStartOffset: number } {
    return { config: this.config, nowMs, logStartOffset: this.logStartOffset };
  }

  // ---- housekeeping

  /**
   * Takes the segments out of the log that retention lets go. Their files are renamed to `.deleted` at once; their names are returned, for the owner to
   * remove after file.delete.delay.ms. The log start offset moves. Throws a DiskError.
   */
  applyRetention(nowMs: number): readonly string[] {
    if (this.#failure !== undefined || this.#closed) return [];
    const { expired } = planRetention(this, nowMs);
    if (expired.length === 0) return [];
    if (expired.length === this.segments.count) this.#roll(nowMs);
    const next = this.segments.nextBaseOffset(expired.at(-1) as Segment);
    assert(next !== undefined);
    this.advanceLogStartOffset(next);
    const renamed: string[] = [];
    for (const segment of expired) {
      // Oldest first, each durable before the next, so that a crash leaves no hole.
      if (renamed.length > 0) this.#disk.syncDirectory(this.#directory);
      this.segments.remove(segment);
      renamed.push(...this.#snapshots.renameDeleted(segment.baseOffset), ...segment.renameDeleted());
    }
    return renamed;
  }

  /** Forgets producers that have been idle for producer.id.expiration.ms. */
  expireProducers(nowMs: number): number {
    return this.producers.expire(nowMs, this.config.producerIdExpirationMs);
  }

  /** Writes down the state of the producers as of the log's end. Throws a DiskError. */
  takeProducerSnapshot(): void {
    if (this.producers.endOffset > this.logStartOffset || this.producers.size > 0) this.#snapshots.take(this.producers);
  }

  /** Flushes, and leaves the files as a clean shutdown should: complete indexes and a snapshot at the end. Rejects with a StorageError when the log failed. */
  async close(): Promise<void> {
    if (this.#closed) return;
    let failure = this.#failure;
    try {
      if (failure === undefined) {
        await this.flush();
        this.#closed = true;
        this.takeProducerSnapshot();
        for (const segment of this.segments.all) segment.persistIndexes();
        await this.epochs.persist();
      }
    } catch (error) {
      if (error instanceof DiskError) this.#fail(error);
      else if (!(error instanceof StorageError)) throw error;
      failure = this.#failure;
    }
    this.#leave();
    if (failure !== undefined) throw failure;
  }

  /** The directory was renamed, to be removed: nothing more is taken in, what is being read can be finished. */
  retire(directory: string): void {
    this.#directory = directory;
    for (const segment of this.segments.all) segment.moveTo(directory);
    this.#snapshots.moveTo(directory);
    this.#leave();
  }

  #leave(): void {
    this.#closed = true;
    this.tail.clear();
    for (const segment of this.segments.all) segment.close();
  }
}

/** Whoever needs to know is told by `onFailed`. */
function ignoreStorageError(error: unknown): void {
  if (!(error instanceof StorageError)) throw error;
}
