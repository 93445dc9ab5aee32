/**
 * Hands the batches of a log to its files, and makes them durable.
 *
 * Promises: one write at a time, in order, all that is queued in one vectored write per segment; what could not be written is taken back as if it had
 * never been appended. After a full disk the log goes on; after any failed sync, or a write that failed for another reason, it has failed for good,
 * and no sync is ever tried again.
 * Does not: decide offsets, roll, or cut what is written.
 */
import { DiskError } from './disk.ts';
import { type LogState, isPassing, StorageError } from './log-state.ts';
import type { Segment } from './segment.ts';
import { OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX } from './segment-name.ts';
import type { TailChunk } from './tail.ts';
import { type SegmentWrite, WriteQueue } from './write-queue.ts';

/** Whom the log tells. */
export interface LogEvents {
  /** After each write that succeeded, once. */
  onWritten: (endOffset: number) => void;
  /** All from this offset on was taken back. */
  onWriteFailed: (error: Error, fromOffset: number) => void;
  /** Once, when nothing more can be appended. */
  onFailed: (error: StorageError) => void;
}

/**
 * Writes of up to this many bytes are made at once: they only copy into the page cache, while the way through the thread pool and back costs more than
 * the copy. Measured per write, processor time of all threads: 170 bytes 5 against 22 us, 16 KiB 6 against 57, 64 KiB 28 against 82. Larger ones are
 * left to a thread, so that the copy and the next batches' checks share two processors.
 */
const SYNCHRONOUS_BYTES_MAX = 64 * 1024;

const DONE: Promise<void> = Promise.resolve();

export class LogWriter {
  readonly #log: LogState;
  readonly #events: LogEvents;
  readonly #queue = new WriteQueue();
  #writing: Promise<void> | undefined;
  #nextWrite: Promise<void> | undefined;
  #flushing: Promise<void> = DONE;
  #syncing: Promise<void> = DONE;
  #unflushedSinceMs: number;
  #abandoned = false;
  /** What a cut has begun and not ended, and why. */
  #unrepaired: { readonly cut: () => void; readonly error: DiskError } | undefined;
  #beforeFirstSync: (() => Promise<void>) | undefined;

  constructor(log: LogState, events: LogEvents, options: { nowMs: number; beforeFirstSync: (() => Promise<void>) | undefined }) {
    this.#log = log;
    this.#events = events;
    this.#unflushedSinceMs = options.nowMs;
    this.#beforeFirstSync = options.beforeFirstSync;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** When the oldest batch was appended that is not flushed. */
  get unflushedSinceMs(): number {
    return this.#unflushedSinceMs;
  }

  /** Queues what was given its place at the end of the log. */
  push(segment: Segment, buffer: Buffer, baseOffset: number, nextOffset: number, position: number, nowMs: number, release?: () => void): void {
    if (baseOffset <= this.#log.recoveryPoint) this.#unflushedSinceMs = nowMs;
    this.#queue.push(segment, buffer, baseOffset, nextOffset, position, release);
  }

  // ---- writing

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
    const log = this.#log;
    const from = log.writtenEndOffset;
    const end = log.logEndOffset;
    const writes = this.#queue.take();
    log.producers.beginWrite();
    const { segment: firstSegment } = writes[0] as SegmentWrite;
    const firstPosition = firstSegment.writtenBytes;
    try {
      for (const write of writes) await this.#writeSegment(write);
      if (end - log.recoveryPoint >= log.config.flushMessages) await this.#syncUpTo(end);
      // Another log of the directory may have failed meanwhile: then nobody is told that this was taken in.
      if (log.failure !== undefined) throw log.failure;
    } catch (error) {
      if (!(error instanceof DiskError) && !(error instanceof StorageError)) throw error;
      this.#takeBack(error, from, firstSegment, firstPosition);
      this.#writing = undefined;
      this.#events.onWriteFailed(error, from);
      return;
    }
    log.writtenEndOffset = end;
    log.producers.endWrite();
    this.#writing = undefined;
    for (const write of writes) for (const chunk of write.chunks) this.#keep(chunk);
    for (const write of writes) if (write.segment !== log.segments.active) this.seal(write.segment);
    this.#events.onWritten(end);
  }

  /** In the tail, which is a gapless suffix; a buffer that is wanted back ends it, and readers find the batch in the file. */
  #keep(chunk: TailChunk): void {
    const { tail } = this.#log;
    if (chunk.release === undefined) {
      tail.add(chunk);
    } else {
      tail.restart();
      chunk.release();
    }
  }

  async #writeSegment({ segment, buffers, bytes }: SegmentWrite): Promise<void> {
    const file = segment.file();
    try {
      if (bytes <= SYNCHRONOUS_BYTES_MAX) {
        file.writeSync(buffers, segment.writtenBytes);
      } else {
        segment.handle.pins++;
        try {
          await file.write(buffers, segment.writtenBytes);
        } finally {
          segment.unpin();
        }
      }
    } finally {
      // Now: a sync that ran meanwhile has not covered it.
      segment.dirty = true;
    }
    segment.writtenBytes += bytes;
  }

  /**
   * Cuts the log back to where it was before a write that failed, which ended at `offset`, at `position` in `segment`: memory at once, so that what
   * is appended next has its true place, then the file. The cut must be durable before it is written over: a crash must not mix the two.
   */
  #takeBack(error: Error, offset: number, segment: Segment, position: number): void {
    const log = this.#log;
    this.#queue.clear();
    log.truncations++;
    log.logEndOffset = offset;
    log.producers.rollBack(offset);
    log.epochs.truncateFromEnd(offset);
    log.latestEpoch = log.epochs.latestEpoch;
    if (!isPassing(error)) this.fail(error);
    let snapshotsRemoved = false;
    this.repair(() => {
      snapshotsRemoved = log.snapshots.removeBeyond(offset) || snapshotsRemoved;
      if (snapshotsRemoved) log.disk.syncDirectory(log.directory);
      for (const rolled of [...log.segments.beyond(offset)].reverse()) {
        rolled.remove();
        log.segments.remove(rolled);
      }
      if (!log.segments.has(segment)) {
        // A follower had rolled over a gap: the one before it is written to again.
        log.segments.active.indexes.unseal();
        return;
      }
      segment.cutFile(position);
      segment.cutBack(offset, position, this.#unflushedSinceMs);
      if (log.failure === undefined) this.syncSegmentNow(segment);
    });
  }

  /**
   * Does what must be done before the log goes on, now; or, when there is no descriptor for it, later: until then nothing is appended
   * or flushed. `cut` is run again from its beginning. False when it is not done.
   */
  repair(cut: () => void): boolean {
    if (this.#abandoned) return false;
    try {
      cut();
      this.#unrepaired = undefined;
      return true;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#unrepaired = { cut, error };
      if (!isPassing(error)) this.fail(error);
      return false;
    }
  }

  /** Why nothing can be appended, now or ever; undefined when all is well, which a repair that was waiting may have made it. */
  trouble(): StorageError | undefined {
    const log = this.#log;
    if (log.failure !== undefined) return log.failure;
    if (this.#unrepaired === undefined || this.repair(this.#unrepaired.cut)) return undefined;
    return log.failure ?? new StorageError(log.directory, this.#unrepaired.error);
  }

  /** The log is being removed: what is queued is forgotten, and what goes wrong from now on is nobody's concern. */
  abandon(): void {
    this.#abandoned = true;
    this.#queue.clear();
  }

  fail(error: Error): void {
    const log = this.#log;
    if (log.failure !== undefined || this.#abandoned) return;
    log.failure = error instanceof StorageError ? error : new StorageError(log.directory, error);
    this.#events.onFailed(log.failure);
  }

  // ---- flushing

  isFlushDue(nowMs: number): boolean {
    const { writtenEndOffset, recoveryPoint, config } = this.#log;
    return writtenEndOffset > recoveryPoint && nowMs - this.#unflushedSinceMs >= config.flushMs;
  }

  /**
   * `whole`: the active segment too, else only those before it. Rejects with a StorageError; the log has failed then, unless there only was no room or no
   * descriptor for one of its small files.
   */
  flush(whole: boolean): Promise<void> {
    const flushed = this.#flushing.then(() => this.#flushNow(whole));
    this.#flushing = flushed.catch(ignoreStorageError);
    return flushed;
  }

  async #flushNow(whole: boolean): Promise<void> {
    const log = this.#log;
    const end = log.logEndOffset;
    while (whole && log.failure === undefined && log.writtenEndOffset < Math.min(end, log.logEndOffset)) await this.write();
    const trouble = this.trouble();
    if (trouble !== undefined) throw trouble;
    await this.#syncUpTo(whole ? log.writtenEndOffset : Math.min(log.segments.active.baseOffset, log.writtenEndOffset));
  }

  /** One after the other: what another is syncing is not synced yet, and would pass for it. */
  #syncUpTo(target: number): Promise<void> {
    const synced = this.#syncing.then(() => this.#syncNow(target));
    this.#syncing = synced.catch(() => undefined);
    return synced;
  }

  async #syncNow(target: number): Promise<void> {
    const log = this.#log;
    if (target <= log.recoveryPoint && !log.segments.active.dirty) return;
    const { truncations } = log;
    try {
      for (const segment of log.segments.from(log.recoveryPoint)) {
        if (segment.baseOffset >= target && segment.baseOffset > log.recoveryPoint) break;
        // Retention may have taken it away while an earlier one was synced.
        if (segment.indexes.txnUnsynced && log.segments.has(segment)) {
          await segment.indexes.syncTxn();
          log.namesChanged = true;
        }
        if (!segment.dirty || !log.segments.has(segment)) continue;
        await this.syncSegment(segment);
        if (segment !== log.segments.active) await this.#syncIndexes(segment);
      }
      if (this.#beforeFirstSync !== undefined) {
        await this.#beforeFirstSync();
        this.#beforeFirstSync = undefined;
        log.namesChanged = true;
      }
      await this.#syncNames();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (this.#abandoned) return;
      // One of the small files could not be written: the recovery point stays where it is, and a later flush tries again.
      if (isPassing(error)) throw new StorageError(log.directory, error);
      this.fail(error);
      throw log.failure;
    }
    // Something failed while this was under way: what was synced since proves nothing.
    if (log.failure !== undefined) throw log.failure;
    if (truncations === log.truncations && target > log.recoveryPoint) log.recoveryPoint = target;
  }

  /** The file of the epochs is replaced in the same directory, which makes all names in it durable. Rejects with a DiskError. */
  async #syncNames(): Promise<void> {
    const log = this.#log;
    if (log.epochs.isDirty) {
      const { namesChanged } = log;
      log.namesChanged = false;
      try {
        await log.epochs.persist();
      } catch (error) {
        log.namesChanged = log.namesChanged || namesChanged;
        throw error;
      }
    }
    if (!log.namesChanged) return;
    log.disk.syncDirectory(log.directory);
    log.namesChanged = false;
  }

  /** Rejects with a DiskError. */
  async syncSegment(segment: Segment): Promise<void> {
    const file = segment.file();
    // Cleared first: what is written while the sync is under way needs another.
    segment.dirty = false;
    segment.handle.pins++;
    try {
      await file.sync();
    } finally {
      segment.unpin();
    }
  }

  /** As `syncSegment`, at once. Throws a DiskError. */
  syncSegmentNow(segment: Segment): void {
    segment.file().syncSync();
    segment.dirty = false;
  }

  /** Below the recovery point nobody looks whether the indexes came through a power loss, until they are used. */
  async #syncIndexes(segment: Segment): Promise<void> {
    const { disk } = this.#log;
    for (const suffix of [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX]) {
      const path = segment.path(suffix);
      if (disk.status(path) === undefined) continue;
      const file = disk.open(path, 'update');
      try {
        await file.sync();
      } finally {
        file.close();
      }
    }
  }

  /** The segment is written to no more: its indexes are completed, and in the background all up to it becomes durable, as in Kafka. */
  seal(segment: Segment): void {
    try {
      segment.indexes.seal();
    } catch (error) {
      // An index that could not be written is made again when it is needed.
      if (!(error instanceof DiskError)) throw error;
    }
    void this.flush(false).catch(ignoreStorageError);
  }

  /** Waits until nothing is being written or flushed. Rejects with a StorageError. */
  async settle(): Promise<void> {
    while (this.#writing !== undefined || !this.#queue.isEmpty) await this.write();
    await this.#flushing;
    const trouble = this.trouble();
    if (trouble !== undefined) throw trouble;
  }
}

/** Whoever needs to know is told by `onFailed`. */
function ignoreStorageError(error: unknown): void {
  if (!(error instanceof StorageError)) throw error;
}
