/**
 * One segment of a log: the .log file, and its indexes.
 *
 * Promises: knows where each batch lies, what is written and what waits to be, and whether a batch still belongs into it.
 * Does not: decide about retention, write batches (the log does, in vectored writes), or make anything durable by itself.
 */
import assert from 'node:assert';
import { BatchScan } from './batch-scan.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { IndexBudget } from './index-budget.ts';
import type { LogConfig } from './log-config.ts';
import { OFFSET_INDEX_ENTRY_BYTES } from './offset-index.ts';
import { FileHandle, type OpenFiles } from './open-files.ts';
import { type SegmentEnd, SegmentIndexes } from './segment-indexes.ts';
import { DELETED_SUFFIX, LOG_SUFFIX, SEGMENT_SUFFIXES, segmentFileName } from './segment-name.ts';
import { HEADER_BYTES, storedBaseOffset, storedMaxTimestamp } from './stored-batch.ts';
import { TIME_INDEX_ENTRY_BYTES } from './time-index.ts';

/** Not asked yet. */
const UNKNOWN = Number.NaN;
/** Readers of one segment that go on where they were without a search. */
const READ_HINTS_MAX = 32;

export interface SegmentResources {
  readonly files: OpenFiles;
  readonly indexes: IndexBudget;
}

export interface SegmentOptions {
  readonly baseOffset: number;
  readonly nowMs: number;
  /** Taken off segmentMs. */
  readonly jitterMs: number;
  /** As the log was configured when the segment was made or opened. */
  readonly indexIntervalBytes: number;
}

export class Segment {
  readonly baseOffset: number;
  /** Bytes of whole batches, those included that wait to be written. */
  sizeBytes: number;
  /** Bytes handed to the file. */
  writtenBytes: number;
  /** Bytes that were in the file when it was found, less what was cut. */
  foundBytes = 0;
  /** Of these, what has been read and is what was written, from the beginning on. */
  #verifiedBytes = 0;
  /** Written to since the last sync. */
  dirty = false;
  /** Taken off segmentMs. */
  readonly jitterMs: number;
  readonly handle: FileHandle;
  readonly indexes: SegmentIndexes;

  readonly #files: OpenFiles;
  #directory: string;
  #createdMs: number;
  #firstTimestamp = UNKNOWN;
  /** Where reads ended: a batch begins there, or the written part of the file ends. */
  readonly #hints = new Map<number, number>();

  private constructor(resources: SegmentResources, directory: string, sizeBytes: number, options: SegmentOptions) {
    this.#files = resources.files;
    this.#directory = directory;
    this.baseOffset = options.baseOffset;
    this.sizeBytes = sizeBytes;
    this.writtenBytes = sizeBytes;
    this.#createdMs = options.nowMs;
    this.jitterMs = options.jitterMs;
    this.handle = new FileHandle(this.path(LOG_SUFFIX));
    this.indexes = new SegmentIndexes(this, resources.indexes, options.indexIntervalBytes);
  }

  /** A new, empty segment, to be written to. Files of that name, left by something that failed, are emptied. Throws a DiskError, leaving nothing that matters. */
  static create(resources: SegmentResources, directory: string, options: SegmentOptions): Segment {
    const segment = new Segment(resources, directory, 0, options);
    segment.indexes.create();
    resources.files.use(segment.handle, 'replace');
    return segment;
  }

  /** A segment found on disk. Nothing of it is read yet. */
  static found(resources: SegmentResources, directory: string, sizeBytes: number, options: SegmentOptions): Segment {
    const segment = new Segment(resources, directory, sizeBytes, options);
    segment.foundBytes = sizeBytes;
    return segment;
  }

  path(suffix: string): string {
    return `${this.#directory}/${segmentFileName(this.baseOffset, suffix)}`;
  }

  get disk(): Disk {
    return this.#files.disk;
  }

  /** See OpenFiles.use. */
  file(): DiskFile {
    return this.#files.use(this.handle);
  }

  unpin(): void {
    this.#files.unpin(this.handle);
  }

  /** The directory was renamed; what is open stays open. */
  moveTo(directory: string): void {
    this.#directory = directory;
    this.handle.path = this.path(LOG_SUFFIX);
  }

  close(): void {
    this.#files.close(this.handle);
    this.indexes.forget();
  }

  // ---- appending

  /** Kafka's LogSegment.shouldRoll. Time is told by the batches' stamps where they have any, so a log that is replayed rolls as it did at first. */
  shouldRoll(config: LogConfig, appendBytes: number, maxTimestamp: number, lastOffset: number, nowMs: number): boolean {
    if (this.sizeBytes > config.segmentBytes - appendBytes) return true;
    if (this.sizeBytes > 0 && this.#ageMs(nowMs, maxTimestamp) > config.segmentMs - this.jitterMs) return true;
    const offsetEntriesMax = Math.floor(config.indexSizeMaxBytes / OFFSET_INDEX_ENTRY_BYTES);
    // One entry of the time index is kept free for the one that is made when the segment is closed.
    const timeEntriesMax = Math.floor(config.indexSizeMaxBytes / TIME_INDEX_ENTRY_BYTES) - 1;
    const { offset, time } = this.indexes;
    return offset.entries >= offsetEntriesMax || time.entries >= timeEntriesMax || !offset.canHold(lastOffset);
  }

  /** Takes note of a batch that will lie at the end of the file. */
  noteBatch(lastOffset: number, maxTimestamp: number, sizeBytes: number): void {
    if (this.sizeBytes === 0) this.#firstTimestamp = maxTimestamp;
    this.indexes.note(lastOffset, maxTimestamp, this.sizeBytes, sizeBytes);
    this.sizeBytes += sizeBytes;
  }

  #ageMs(nowMs: number, maxTimestamp: number): number {
    const first = this.firstTimestamp;
    return first >= 0 ? maxTimestamp - first : nowMs - this.#createdMs;
  }

  /** Largest timestamp of the first batch; -1 when the segment is empty or has no timestamps. */
  get firstTimestamp(): number {
    if (!Number.isNaN(this.#firstTimestamp)) return this.#firstTimestamp;
    if (this.sizeBytes === 0) return -1;
    const scan = new BatchScan(this.file(), 0, this.writtenBytes, HEADER_BYTES);
    this.#firstTimestamp = scan.next() ? storedMaxTimestamp(scan.buffer, scan.at) : -1;
    return this.#firstTimestamp;
  }

  /** By what age retention goes: the largest timestamp, else when the file was last written. */
  largestTimestamp(): number {
    const max = this.indexes.maxTimestamp;
    return max >= 0 ? max : (this.disk.status(this.path(LOG_SUFFIX))?.modifiedMs ?? this.#createdMs);
  }

  // ---- positions

  /** The batch that holds `offset`, or the first one beyond it; undefined when all are before it. Reads headers. */
  findBatch(offset: number): { position: number; baseOffset: number } | undefined {
    const scan = new BatchScan(this.file(), this.indexes.positionToSeek(offset), this.writtenBytes);
    while (scan.next()) if (scan.lastOffset >= offset) return { position: scan.position, baseOffset: storedBaseOffset(scan.buffer, scan.at) };
    return undefined;
  }

  /** Where `offset` begins, when a read ended just before it not long ago. */
  hintFor(offset: number): number | undefined {
    return this.#hints.get(offset);
  }

  addHint(offset: number, position: number): void {
    this.#hints.set(offset, position);
    if (this.#hints.size > READ_HINTS_MAX) this.#hints.delete(this.#hints.keys().next().value as number);
  }

  /** The offset after the last batch, and whether the file ends there. */
  readEnd(): SegmentEnd {
    return this.indexes.end();
  }

  /** Whether these bytes are known to be what was written: by this process, or as it found them. */
  isVerified(position: number, bytes: number): boolean {
    return position >= this.foundBytes || Math.min(position + bytes, this.foundBytes) <= this.#verifiedBytes;
  }

  /** Only what follows on what is known is remembered: most readers read on. */
  verified(position: number, bytes: number): void {
    if (position <= this.#verifiedBytes) this.#verifiedBytes = Math.max(this.#verifiedBytes, position + bytes);
  }

  // ---- cutting and removing

  /** Counts the batches anew, through `noteBatch`, from the beginning of the file. */
  startRecovery(): void {
    this.sizeBytes = 0;
    this.#firstTimestamp = UNKNOWN;
    this.indexes.restart();
  }

  /**
   * Cuts the file before the batch that holds `offset`, if that is in it. Nothing may wait to be written. Unsynced. Returns where the log ends
   * now: at `offset`, or before it where it lay inside of a batch.
   */
  truncateTo(offset: number, nowMs: number): number {
    assert(this.sizeBytes === this.writtenBytes);
    const found = this.findBatch(offset);
    if (found !== undefined) this.cutFile(found.position);
    const end = Math.min(offset, found?.baseOffset ?? offset);
    this.cutBack(end, this.writtenBytes, nowMs);
    return end;
  }

  /** Forgets batches that are not in the file, or no more: everything from `position` in the file, `offset` in the log, on. */
  cutBack(offset: number, position: number, nowMs: number): void {
    assert(position <= this.sizeBytes);
    this.sizeBytes = position;
    if (position === 0) {
      this.#createdMs = nowMs;
      this.#firstTimestamp = UNKNOWN;
    }
    this.indexes.truncateTo(offset, position);
  }

  cutFile(position: number): void {
    this.file().truncate(position);
    this.writtenBytes = position;
    this.foundBytes = Math.min(this.foundBytes, position);
    this.dirty = true;
    this.#hints.clear();
  }

  /** Gives its files the suffix of what waits to be removed, and returns their names. The log goes last: a crash in between leaves a segment, not orphans. */
  renameDeleted(): string[] {
    const renamed: string[] = [];
    for (const suffix of [...SEGMENT_SUFFIXES].reverse()) {
      const path = this.path(suffix);
      if (this.disk.status(path) === undefined) continue;
      this.disk.rename(path, path + DELETED_SUFFIX);
      renamed.push(path + DELETED_SUFFIX);
    }
    this.close();
    return renamed;
  }

  /** Removes its files at once. */
  remove(): void {
    this.close();
    for (const suffix of [...SEGMENT_SUFFIXES].reverse()) {
      const path = this.path(suffix);
      if (this.disk.status(path) !== undefined) this.disk.unlink(path);
    }
  }
}
