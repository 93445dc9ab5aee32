/**
 * One segment of a log: the .log file with its offset, time and transaction index.
 *
 * Promises: indexes are caches. Those of a segment that this process wrote are right by construction; those found on disk are checked when they are
 * first used and each time they are asked, and made again from the .log file when they are missing, short or wrong.
 * Does not: decide when to roll, write batches (the log does, in vectored writes), or make anything durable by itself.
 */
import assert from 'node:assert';
import { HEADER_BYTES_UP_TO_MAGIC } from '../protocol/record/batch.ts';
import { BatchScan } from './batch-scan.ts';
import { type Disk, DiskError, type DiskFile } from './disk.ts';
import type { IndexBudget } from './index-budget.ts';
import type { LogConfig } from './log-config.ts';
import { OFFSET_INDEX_ENTRY_BYTES, OffsetIndex } from './offset-index.ts';
import { FileHandle, type OpenFiles } from './open-files.ts';
import { DELETED_SUFFIX, LOG_SUFFIX, OFFSET_INDEX_SUFFIX, SEGMENT_SUFFIXES, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, segmentFileName } from './segment-name.ts';
import { HEADER_BYTES, storedBaseOffset, storedLastOffset, storedMaxTimestamp, storedSize } from './stored-batch.ts';
import { TIME_INDEX_ENTRY_BYTES, TimeIndex } from './time-index.ts';
import { type AbortedTransaction, TXN_INDEX_ENTRY_BYTES, TxnIndex } from './txn-index.ts';

/** Not asked yet. */
const UNKNOWN = Number.NaN;
/** Entries lie an interval apart, but a segment that was opened again starts counting anew: up to so many intervals are no sign of a lost entry. */
const INDEX_INTERVALS_MAX = 4;

/** For walks over an interval of the index. */
const WALK_CHUNK_BYTES = 16 * 1024;
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
  /** Written to since the last sync. */
  dirty = false;
  /** The indexes hold what their files do not. */
  indexesDirty = false;
  /**
   * The file of the transaction index is not known to be on the disk as it should be. The other indexes are checked against the batches when they are
   * used; of this one nobody could tell that it lacks an entry, so it must be durable before the recovery point passes the marker.
   */
  txnIndexUnsynced = false;
  /** Taken off segmentMs. */
  readonly jitterMs: number;
  readonly handle: FileHandle;

  readonly #resources: SegmentResources;
  readonly #indexIntervalBytes: number;
  #directory: string;
  #createdMs: number;
  #firstTimestamp = UNKNOWN;
  #maxTimestamp = UNKNOWN;
  #maxTimestampOffset = UNKNOWN;
  #bytesSinceIndexEntry = 0;
  /** Where the walk that checked the indexes ended. */
  #end: { readonly nextOffset: number; readonly sound: boolean; readonly writtenBytes: number } | undefined;
  #offsetIndex: OffsetIndex | undefined;
  #timeIndex: TimeIndex | undefined;
  #txnIndex: TxnIndex | undefined;
  /** Entries that the files hold already. */
  #offsetPersisted = 0;
  #timePersisted = 0;
  #txnPersisted = 0;
  /** Where reads ended: a batch begins there, or the written part of the file ends. */
  readonly #hints = new Map<number, number>();
  /** The indexes were made from batches by this process. */
  #trusted = false;

  private constructor(resources: SegmentResources, directory: string, sizeBytes: number, options: SegmentOptions) {
    this.#resources = resources;
    this.#directory = directory;
    this.baseOffset = options.baseOffset;
    this.sizeBytes = sizeBytes;
    this.writtenBytes = sizeBytes;
    this.#createdMs = options.nowMs;
    this.#indexIntervalBytes = options.indexIntervalBytes;
    this.jitterMs = options.jitterMs;
    this.handle = new FileHandle(this.path(LOG_SUFFIX));
  }

  /** A new, empty segment. Files of that name, left by something that failed, are emptied. Throws a DiskError, leaving nothing that matters. */
  static create(resources: SegmentResources, directory: string, options: SegmentOptions): Segment {
    const segment = new Segment(resources, directory, 0, options);
    const disk = resources.files.disk;
    if (disk.status(segment.path(TXN_INDEX_SUFFIX)) !== undefined) disk.unlink(segment.path(TXN_INDEX_SUFFIX));
    // Kafka takes a segment without .index for one to recover, so the empty files are made too.
    disk.open(segment.path(OFFSET_INDEX_SUFFIX), 'replace').close();
    disk.open(segment.path(TIME_INDEX_SUFFIX), 'replace').close();
    resources.files.use(segment.handle, 'replace');
    segment.#startIndexes();
    segment.#txnIndex = new TxnIndex();
    return segment;
  }

  /** A segment found on disk. Nothing of it is read yet. */
  static found(resources: SegmentResources, directory: string, sizeBytes: number, options: SegmentOptions): Segment {
    return new Segment(resources, directory, sizeBytes, options);
  }

  path(suffix: string): string {
    return `${this.#directory}/${segmentFileName(this.baseOffset, suffix)}`;
  }

  get disk(): Disk {
    return this.#resources.files.disk;
  }

  /** See OpenFiles.use. */
  file(): DiskFile {
    return this.#resources.files.use(this.handle);
  }

  unpin(): void {
    this.#resources.files.unpin(this.handle);
  }

  /** The directory was renamed; what is open stays open. */
  moveTo(directory: string): void {
    this.#directory = directory;
    this.handle.path = this.path(LOG_SUFFIX);
  }

  close(): void {
    this.#resources.files.close(this.handle);
    this.#resources.indexes.forget(this);
  }

  // ---- appending

  /** Kafka's LogSegment.shouldRoll. Time is told by the batches' stamps where they have any, so a log that is replayed rolls as it did at first. */
  shouldRoll(config: LogConfig, appendBytes: number, maxTimestamp: number, lastOffset: number, nowMs: number): boolean {
    if (this.sizeBytes > config.segmentBytes - appendBytes) return true;
    if (this.sizeBytes > 0 && this.#ageMs(nowMs, maxTimestamp) > config.segmentMs - this.jitterMs) return true;
    const offsetEntriesMax = Math.floor(config.indexSizeMaxBytes / OFFSET_INDEX_ENTRY_BYTES);
    // One entry of the time index is kept free for the one that is made when the segment is closed.
    const timeEntriesMax = Math.floor(config.indexSizeMaxBytes / TIME_INDEX_ENTRY_BYTES) - 1;
    const offsetIndex = this.offsetIndex();
    return offsetIndex.entries >= offsetEntriesMax || this.timeIndex().entries >= timeEntriesMax || !offsetIndex.canHold(lastOffset);
  }

  /** Takes note of a batch that will lie at the end of the file. */
  noteBatch(lastOffset: number, maxTimestamp: number, sizeBytes: number): void {
    if (this.sizeBytes === 0) this.#firstTimestamp = maxTimestamp;
    if (maxTimestamp > this.maxTimestamp) {
      this.#maxTimestamp = maxTimestamp;
      this.#maxTimestampOffset = lastOffset;
    }
    if (this.#bytesSinceIndexEntry > this.#indexIntervalBytes) {
      this.offsetIndex().append(lastOffset, this.sizeBytes);
      this.timeIndex().append(this.#maxTimestamp, this.#maxTimestampOffset);
      this.#bytesSinceIndexEntry = 0;
      this.indexesDirty = true;
    }
    this.#bytesSinceIndexEntry += sizeBytes;
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
    const first = scan.next() ? storedMaxTimestamp(scan.buffer, scan.at) : -1;
    if (this.sizeBytes > 0) this.#firstTimestamp = first;
    return first;
  }

  // ---- timestamps

  /** Largest timestamp of all batches; -1 when there is none. */
  get maxTimestamp(): number {
    if (Number.isNaN(this.#maxTimestamp)) this.#loadIndexes();
    return this.#maxTimestamp;
  }

  /** Last offset of the batch that has it. */
  get maxTimestampOffset(): number {
    if (Number.isNaN(this.#maxTimestamp)) this.#loadIndexes();
    return this.#maxTimestampOffset;
  }

  /** By what age retention goes: the largest timestamp, else when the file was last written. */
  largestTimestamp(): number {
    const max = this.maxTimestamp;
    return max >= 0 ? max : (this.disk.status(this.path(LOG_SUFFIX))?.modifiedMs ?? this.#createdMs);
  }

  // ---- positions

  /**
   * Where in the file to begin a walk that looks for `offset`: the beginning of a batch that is not beyond it. What the index says is checked
   * against that batch, since a flipped bit would send the walk into the middle of one.
   */
  positionToSeek(offset: number): number {
    const index = this.offsetIndex();
    const slot = index.slotFor(offset);
    if (slot < 0) return 0;
    if (this.#trusted || this.#entryHolds(index, slot)) return index.positionAt(slot);
    this.rebuildIndexes();
    this.#tryPersistIndexes();
    return this.positionToSeek(offset);
  }

  /** The batch that holds `offset`, or the first one beyond it; undefined when all are before it. Reads headers. */
  findBatch(offset: number): { position: number; baseOffset: number } | undefined {
    const scan = new BatchScan(this.file(), this.positionToSeek(offset), this.writtenBytes);
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

  #entryHolds(index: OffsetIndex, slot: number): boolean {
    const position = index.positionAt(slot);
    const header = this.#headerAt(position);
    return header !== undefined && storedLastOffset(header, 0) === index.offsetAt(slot);
  }

  #headerAt(position: number): Buffer | undefined {
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    if (position + HEADER_BYTES_UP_TO_MAGIC > this.writtenBytes) return undefined;
    const bytes = this.file().readSync(header, position);
    if (bytes < HEADER_BYTES_UP_TO_MAGIC) return undefined;
    const size = storedSize(header, 0);
    return size < 0 || position + size > this.writtenBytes || bytes < Math.min(HEADER_BYTES, size) ? undefined : header;
  }

  /** The offset after the last batch, found from the last entry of the index on, and whether the file ends there. */
  readEnd(): { nextOffset: number; sound: boolean } {
    if (this.writtenBytes === 0) return { nextOffset: this.baseOffset, sound: true };
    const index = this.offsetIndex();
    if (this.#end?.writtenBytes === this.writtenBytes) return this.#end;
    const from = index.entries === 0 ? 0 : this.positionToSeek(index.offsetAt(index.entries - 1));
    const scan = new BatchScan(this.file(), from, this.writtenBytes, WALK_CHUNK_BYTES);
    let nextOffset = this.baseOffset;
    while (scan.next()) nextOffset = scan.lastOffset + 1;
    return { nextOffset, sound: scan.stop === 'end' };
  }

  // ---- indexes

  offsetIndex(): OffsetIndex {
    if (this.#offsetIndex === undefined) this.#loadIndexes();
    return this.#offsetIndex as OffsetIndex;
  }

  timeIndex(): TimeIndex {
    if (this.#timeIndex === undefined) this.#loadIndexes();
    return this.#timeIndex as TimeIndex;
  }

  /** undefined when the file is no index: the log must make it again, for it takes the state of producers to do so. */
  txnIndex(): TxnIndex | undefined {
    if (this.#txnIndex !== undefined) return this.#txnIndex;
    const bytes = this.#readIndexFile(TXN_INDEX_SUFFIX);
    const index = bytes === undefined ? new TxnIndex() : TxnIndex.parse(this.baseOffset, bytes);
    if (index === undefined) return undefined;
    this.#txnIndex = index;
    this.#txnPersisted = index.entries.length;
    return index;
  }

  replaceTxnIndex(index: TxnIndex): void {
    this.#txnIndex = index;
    this.#txnPersisted = 0;
    this.indexesDirty = true;
    this.txnIndexUnsynced = true;
  }

  /** A marker that will lie at the end of the file has ended a transaction: `index` is this segment's, to which the entry is added. */
  noteAborted(index: TxnIndex, entry: AbortedTransaction): void {
    index.append(entry);
    this.indexesDirty = true;
    this.txnIndexUnsynced = true;
  }

  /** The budget asks for the memory; a later use reads the files again. */
  dropIndexes(): void {
    if (this.indexesDirty) return;
    this.#offsetIndex = undefined;
    this.#timeIndex = undefined;
    this.#trusted = false;
  }

  #startIndexes(): void {
    this.#offsetIndex = new OffsetIndex(this.baseOffset);
    this.#timeIndex = new TimeIndex(this.baseOffset);
    this.#offsetPersisted = 0;
    this.#timePersisted = 0;
    this.#bytesSinceIndexEntry = 0;
    this.#maxTimestamp = -1;
    this.#maxTimestampOffset = this.baseOffset;
    this.#firstTimestamp = UNKNOWN;
    this.#trusted = true;
  }

  #readIndexFile(suffix: string): Buffer | undefined {
    try {
      return this.disk.readFile(this.path(suffix));
    } catch (error) {
      if (error instanceof DiskError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #loadIndexes(): void {
    const offsetBytes = this.#readIndexFile(OFFSET_INDEX_SUFFIX);
    const timeBytes = this.#readIndexFile(TIME_INDEX_SUFFIX);
    const offset = offsetBytes === undefined ? undefined : OffsetIndex.parse(this.baseOffset, offsetBytes, this.writtenBytes);
    const time = timeBytes === undefined ? undefined : TimeIndex.parse(this.baseOffset, timeBytes);
    if (offset?.intact !== true || time?.intact !== true || !this.#indexesReachEnd(offset.index, time.index)) {
      this.rebuildIndexes();
      this.#tryPersistIndexes();
      return;
    }
    this.#offsetIndex = offset.index;
    this.#timeIndex = time.index;
    this.#offsetPersisted = offset.index.entries;
    this.#timePersisted = time.index.entries;
    this.#trusted = false;
    this.#maxTimestamp = time.index.lastTimestamp;
    this.#maxTimestampOffset = time.index.lastOffset;
    this.#resources.indexes.note(this, (offsetBytes as Buffer).length + (timeBytes as Buffer).length);
  }

  /**
   * Whether what comes after the last entries is what an index leaves out, and no more: the rest of an interval, and nothing younger. The last
   * entry of the time index decides which segment is asked for a timestamp, so the batch that it names must bear it out.
   */
  #indexesReachEnd(offset: OffsetIndex, time: TimeIndex): boolean {
    if (this.writtenBytes === 0) return offset.entries === 0 && time.entries === 0;
    if (offset.entries > 0 && !this.#entryHolds(offset, offset.entries - 1)) return false;
    const from = offset.entries === 0 ? 0 : offset.positionAt(offset.entries - 1);
    const scan = new BatchScan(this.file(), from, this.writtenBytes, WALK_CHUNK_BYTES);
    let nextOffset = this.baseOffset;
    let timeEntrySeen = time.entries === 0;
    while (scan.next()) {
      const timestamp = storedMaxTimestamp(scan.buffer, scan.at);
      if (timestamp > time.lastTimestamp || scan.position - from > INDEX_INTERVALS_MAX * this.#indexIntervalBytes) return false;
      if (scan.lastOffset === time.lastOffset) {
        if (timestamp !== time.lastTimestamp) return false;
        timeEntrySeen = true;
      }
      nextOffset = scan.lastOffset + 1;
    }
    this.#end = { nextOffset, sound: scan.stop === 'end', writtenBytes: this.writtenBytes };
    return timeEntrySeen || this.#timeEntryHolds(offset, time);
  }

  #timeEntryHolds(offset: OffsetIndex, time: TimeIndex): boolean {
    const slot = offset.slotFor(time.lastOffset);
    if (slot >= 0 && !this.#entryHolds(offset, slot)) return false;
    const scan = new BatchScan(this.file(), slot < 0 ? 0 : offset.positionAt(slot), this.writtenBytes, WALK_CHUNK_BYTES);
    while (scan.next() && scan.lastOffset <= time.lastOffset) {
      if (scan.lastOffset === time.lastOffset) return storedMaxTimestamp(scan.buffer, scan.at) === time.lastTimestamp;
    }
    return false;
  }

  /** Makes both indexes from the headers in the .log file. The files are replaced when they are next persisted. */
  rebuildIndexes(): void {
    const size = this.sizeBytes;
    this.startRecovery();
    const scan = new BatchScan(this.file(), 0, this.writtenBytes, 1024 * 1024);
    while (scan.next()) this.noteBatch(scan.lastOffset, storedMaxTimestamp(scan.buffer, scan.at), scan.sizeBytes);
    this.sizeBytes = size;
  }

  /** Forgets what the indexes say and counts the batches anew, through `noteBatch`, from the beginning of the file. */
  startRecovery(): void {
    this.#resources.indexes.forget(this);
    this.sizeBytes = 0;
    this.#startIndexes();
    this.indexesDirty = true;
  }

  /**
   * Brings the index files up to what is in memory, with the closing entry of the time index, and cuts what Kafka had preallocated.
   * Unsynced: they are caches. Throws a DiskError.
   */
  persistIndexes(): void {
    if (this.#offsetIndex === undefined || this.#timeIndex === undefined) return;
    this.#timeIndex.append(this.#maxTimestamp, this.#maxTimestampOffset);
    if (this.#timeIndex.entries > this.#timePersisted) this.indexesDirty = true;
    if (!this.indexesDirty) return;
    this.#writeIndex(OFFSET_INDEX_SUFFIX, this.#offsetPersisted * OFFSET_INDEX_ENTRY_BYTES, this.#offsetIndex.bytesFrom(this.#offsetPersisted));
    this.#offsetPersisted = this.#offsetIndex.entries;
    this.#writeIndex(TIME_INDEX_SUFFIX, this.#timePersisted * TIME_INDEX_ENTRY_BYTES, this.#timeIndex.bytesFrom(this.#timePersisted));
    this.#timePersisted = this.#timeIndex.entries;
    if (this.#txnIndex !== undefined) this.#persistTxnIndex(this.#txnIndex);
    this.indexesDirty = false;
  }

  #persistTxnIndex(index: TxnIndex): void {
    if (index.entries.length > 0) {
      this.#writeIndex(TXN_INDEX_SUFFIX, this.#txnPersisted * TXN_INDEX_ENTRY_BYTES, index.bytesFrom(this.#txnPersisted));
    } else if (this.disk.status(this.path(TXN_INDEX_SUFFIX)) !== undefined) {
      this.disk.unlink(this.path(TXN_INDEX_SUFFIX));
    }
    this.#txnPersisted = index.entries.length;
  }

  /** Makes the entries of the transaction index durable, but for the name of its file. Rejects with a DiskError. */
  async syncTxnIndex(): Promise<void> {
    const index = this.#txnIndex;
    this.txnIndexUnsynced = false;
    if (index === undefined) return;
    try {
      this.#persistTxnIndex(index);
      if (index.entries.length === 0) return;
      const file = this.disk.open(this.path(TXN_INDEX_SUFFIX), 'update');
      try {
        await file.sync();
      } finally {
        file.close();
      }
    } catch (error) {
      this.txnIndexUnsynced = true;
      throw error;
    }
  }

  /** A cache that cannot be written is still one. */
  #tryPersistIndexes(): void {
    try {
      this.persistIndexes();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
    }
  }

  #writeIndex(suffix: string, position: number, bytes: Buffer): void {
    const file = this.disk.open(this.path(suffix), 'create');
    try {
      if (bytes.length > 0) file.writeSync([bytes], position);
      if (file.sizeBytes() !== position + bytes.length) file.truncate(position + bytes.length);
    } finally {
      file.close();
    }
  }

  /** No more is written to it: its indexes count against the budget from now on. */
  seal(): void {
    this.persistIndexes();
    if (this.#offsetIndex === undefined || this.#timeIndex === undefined) return;
    const bytes = this.#offsetIndex.entries * OFFSET_INDEX_ENTRY_BYTES + this.#timeIndex.entries * TIME_INDEX_ENTRY_BYTES;
    this.#resources.indexes.note(this, bytes);
  }

  // ---- cutting and removing

  /**
   * Cuts the file before the batch that holds `offset`, if that is in it. Nothing may wait to be written. Unsynced. Returns where the log ends
   * now: at `offset`, or before it where it lay inside of a batch.
   */
  truncateTo(offset: number, nowMs: number): number {
    assert(this.sizeBytes === this.writtenBytes);
    const found = this.findBatch(offset);
    if (found !== undefined) this.cutFile(found.position);
    const end = Math.min(offset, found?.baseOffset ?? offset);
    this.#forgetFrom(end, this.writtenBytes, nowMs);
    return end;
  }

  /** Takes back batches that were noted but could not be written: everything from `position` in the file, `offset` in the log, on. */
  cutBack(offset: number, position: number, nowMs: number): void {
    assert(position <= this.sizeBytes);
    this.#forgetFrom(offset, position, nowMs);
  }

  cutFile(position: number): void {
    this.file().truncate(position);
    this.writtenBytes = position;
    this.dirty = true;
    this.#end = undefined;
    this.#hints.clear();
  }

  #forgetFrom(offset: number, position: number, nowMs: number): void {
    const offsetIndex = this.offsetIndex();
    const timeIndex = this.timeIndex();
    offsetIndex.truncateTo(offset);
    timeIndex.truncateTo(offset);
    this.#offsetPersisted = Math.min(this.#offsetPersisted, offsetIndex.entries);
    this.#timePersisted = Math.min(this.#timePersisted, timeIndex.entries);
    const txnIndex = this.txnIndex();
    if (txnIndex !== undefined) {
      txnIndex.truncateTo(offset);
      this.txnIndexUnsynced = true;
      this.#txnPersisted = Math.min(this.#txnPersisted, txnIndex.entries.length);
    }
    this.sizeBytes = position;
    this.indexesDirty = true;
    this.#bytesSinceIndexEntry = 0;
    if (position === 0) {
      this.#createdMs = nowMs;
      this.#firstTimestamp = UNKNOWN;
    }
    this.#maxTimestamp = timeIndex.lastTimestamp;
    this.#maxTimestampOffset = timeIndex.lastOffset;
    const from = offsetIndex.entries === 0 ? 0 : offsetIndex.positionAt(offsetIndex.entries - 1);
    const scan = new BatchScan(this.file(), from, position);
    while (scan.next()) {
      const timestamp = storedMaxTimestamp(scan.buffer, scan.at);
      if (timestamp <= this.#maxTimestamp) continue;
      this.#maxTimestamp = timestamp;
      this.#maxTimestampOffset = scan.lastOffset;
    }
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
