/**
 * The offset, time and transaction index of one segment.
 *
 * Promises: offset and time index are caches. Those that this process made from batches are right by construction; those found on disk are checked when
 * they are loaded, and each entry again when it is used, and made again from the .log file when they are missing, short or wrong. Nobody could tell
 * that a transaction index lacks an entry, so that one is made durable before the recovery point passes its markers.
 * Does not: touch the .log file but to read headers.
 */
import { HEADER_BYTES_UP_TO_MAGIC } from '../protocol/record/batch.ts';
import { BatchScan } from './batch-scan.ts';
import { type Disk, DiskError, type DiskFile } from './disk.ts';
import type { IndexBudget } from './index-budget.ts';
import { lastTimeEntry, type LastTimeEntry, type OffsetEntries, OffsetIndexFile } from './index-file.ts';
import { OFFSET_INDEX_ENTRY_BYTES, OffsetIndex } from './offset-index.ts';
import { OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX } from './segment-name.ts';
import { HEADER_BYTES, storedBaseOffset, storedLastOffset, storedMaxTimestamp, storedSize } from './stored-batch.ts';
import { TIME_INDEX_ENTRY_BYTES, TimeIndex } from './time-index.ts';
import { type AbortedTransaction, TXN_INDEX_ENTRY_BYTES, TxnIndex } from './txn-index.ts';

/** Not asked yet. */
const UNKNOWN = Number.NaN;
/** Entries lie an interval apart, but a segment that was opened again starts counting anew: up to so many intervals are no sign of a lost entry. */
const INDEX_INTERVALS_MAX = 4;
/** For walks over an interval of the index. */
const WALK_CHUNK_BYTES = 16 * 1024;
const REBUILD_CHUNK_BYTES = 1024 * 1024;

/** The segment, as far as its indexes need it. */
export interface IndexedSegment {
  readonly baseOffset: number;
  readonly disk: Disk;
  /** Bytes of the .log file that hold batches. */
  readonly writtenBytes: number;
  path(suffix: string): string;
  /** The .log file. */
  file(): DiskFile;
}

/** Where the batches of a segment end. */
export interface SegmentEnd {
  readonly nextOffset: number;
  /** The file ends there too. */
  readonly sound: boolean;
}

export class SegmentIndexes {
  /** The file of the transaction index is not known to be on the disk as it should be. */
  txnUnsynced = false;

  readonly #segment: IndexedSegment;
  readonly #budget: IndexBudget;
  readonly #intervalBytes: number;
  #offset: OffsetIndex | undefined;
  #time: TimeIndex | undefined;
  #txn: TxnIndex | undefined;
  /** Entries that the files hold already. */
  #offsetPersisted = 0;
  #timePersisted = 0;
  #txnPersisted = 0;
  /** The indexes hold what their files do not. */
  #dirty = false;
  /** The indexes were made from batches by this process. */
  #trusted = false;
  /** The segment is not written to: the indexes may be dropped from memory. */
  #sealed = true;
  #maxTimestamp = UNKNOWN;
  #maxTimestampOffset = UNKNOWN;
  #bytesSinceEntry = 0;
  /** Where the walk that checked the indexes ended. */
  #end: (SegmentEnd & { readonly writtenBytes: number }) | undefined;

  constructor(segment: IndexedSegment, budget: IndexBudget, intervalBytes: number) {
    this.#segment = segment;
    this.#budget = budget;
    this.#intervalBytes = intervalBytes;
  }

  // ---- while the segment is written to

  /** Makes the empty files of a new segment. Throws a DiskError. */
  create(): void {
    const { disk } = this.#segment;
    const txnPath = this.#segment.path(TXN_INDEX_SUFFIX);
    if (disk.status(txnPath) !== undefined) disk.unlink(txnPath);
    // Kafka takes a segment without .index for one to recover, so the empty files are made too.
    disk.open(this.#segment.path(OFFSET_INDEX_SUFFIX), 'replace').close();
    disk.open(this.#segment.path(TIME_INDEX_SUFFIX), 'replace').close();
    this.#start();
    this.#txn = new TxnIndex();
    this.#sealed = false;
  }

  /** Forgets what the files say: the batches are noted anew from the first on. */
  restart(): void {
    this.#budget.forget(this);
    this.#start();
    this.#dirty = true;
  }

  #start(): void {
    this.#offset = new OffsetIndex(this.#segment.baseOffset);
    this.#time = new TimeIndex(this.#segment.baseOffset);
    this.#offsetPersisted = 0;
    this.#timePersisted = 0;
    this.#bytesSinceEntry = 0;
    this.#maxTimestamp = -1;
    this.#maxTimestampOffset = this.#segment.baseOffset;
    this.#trusted = true;
  }

  /** The segment is the one that is written to: its indexes stay in memory. */
  unseal(): void {
    this.#sealed = false;
    this.#budget.forget(this);
  }

  /** Takes note of a batch that begins at `position`. */
  note(lastOffset: number, maxTimestamp: number, position: number, sizeBytes: number): void {
    if (maxTimestamp > this.maxTimestamp) {
      this.#maxTimestamp = maxTimestamp;
      this.#maxTimestampOffset = lastOffset;
    }
    if (this.#bytesSinceEntry > this.#intervalBytes) {
      this.offset.append(lastOffset, position);
      this.time.append(this.#maxTimestamp, this.#maxTimestampOffset);
      this.#bytesSinceEntry = 0;
      this.#dirty = true;
    }
    this.#bytesSinceEntry += sizeBytes;
  }

  /** A marker that will lie at the end of the file has ended a transaction: `index` is this segment's, to which the entry is added. */
  noteAborted(index: TxnIndex, entry: AbortedTransaction): void {
    index.append(entry);
    this.#dirty = true;
    this.txnUnsynced = true;
  }

  /** Forgets what lies at `offset`, which begins at `position`, and beyond. */
  truncateTo(offset: number, position: number): void {
    const { offset: offsets, time } = this;
    offsets.truncateTo(offset);
    time.truncateTo(offset);
    this.#offsetPersisted = Math.min(this.#offsetPersisted, offsets.entries);
    this.#timePersisted = Math.min(this.#timePersisted, time.entries);
    const txn = this.txn();
    if (txn !== undefined) {
      txn.truncateTo(offset);
      this.txnUnsynced = true;
      this.#txnPersisted = Math.min(this.#txnPersisted, txn.entries.length);
    }
    this.unseal();
    this.#dirty = true;
    this.#bytesSinceEntry = 0;
    this.#end = undefined;
    this.#maxTimestamp = time.lastTimestamp;
    this.#maxTimestampOffset = time.lastOffset;
    const from = offsets.entries === 0 ? 0 : offsets.positionAt(offsets.entries - 1);
    const scan = new BatchScan(this.#segment.file(), from, position);
    while (scan.next()) {
      const timestamp = storedMaxTimestamp(scan.buffer, scan.at);
      if (timestamp <= this.#maxTimestamp) continue;
      this.#maxTimestamp = timestamp;
      this.#maxTimestampOffset = scan.lastOffset;
    }
  }

  // ---- questions

  get offset(): OffsetIndex {
    if (this.#offset === undefined) this.#load();
    return this.#offset as OffsetIndex;
  }

  get time(): TimeIndex {
    if (this.#time === undefined) this.#load();
    return this.#time as TimeIndex;
  }

  /** undefined when the file is no index: the log must make it again, for it takes the state of producers to do so. */
  txn(): TxnIndex | undefined {
    if (this.#txn !== undefined) return this.#txn;
    const bytes = this.#read(TXN_INDEX_SUFFIX);
    const index = bytes === undefined ? new TxnIndex() : TxnIndex.parse(this.#segment.baseOffset, bytes);
    if (index === undefined) return undefined;
    this.#txn = index;
    this.#txnPersisted = index.entries.length;
    return index;
  }

  replaceTxn(index: TxnIndex): void {
    this.#txn = index;
    this.#txnPersisted = 0;
    this.#dirty = true;
    this.txnUnsynced = true;
  }

  /** Largest timestamp of all batches; -1 when there is none. */
  get maxTimestamp(): number {
    if (Number.isNaN(this.#maxTimestamp)) this.#findMaxTimestamp();
    return this.#maxTimestamp;
  }

  /** Last offset of the batch that has it. */
  get maxTimestampOffset(): number {
    if (Number.isNaN(this.#maxTimestamp)) this.#findMaxTimestamp();
    return this.#maxTimestampOffset;
  }

  /** Where in the file to begin a walk that looks for `offset`: the beginning of a batch that is not beyond it. */
  positionToSeek(offset: number): number {
    const index = this.offset;
    const slot = index.slotFor(offset);
    if (slot < 0) return 0;
    // A flipped bit would send the walk into the middle of a batch.
    if (this.#trusted || this.#entryHolds(index, slot)) return index.positionAt(slot);
    this.#rebuild();
    return this.positionToSeek(offset);
  }

  /** The last batch known to the index that begins at `position` or before: where, and with what offset. undefined when there is none, or the index is wrong there. */
  batchNotBeyond(position: number): { position: number; baseOffset: number } | undefined {
    const index = this.offset;
    const slot = index.slotAtPosition(position);
    if (slot < 0) return undefined;
    const header = this.#headerOf(index, slot);
    return header === undefined ? undefined : { position: index.positionAt(slot), baseOffset: storedBaseOffset(header, 0) };
  }

  /** Where the batches end, looked for from the last entry on. */
  end(): SegmentEnd {
    const { writtenBytes, baseOffset } = this.#segment;
    if (writtenBytes === 0) return { nextOffset: baseOffset, sound: true };
    const { offset } = this;
    if (this.#end?.writtenBytes === writtenBytes) return this.#end;
    const from = offset.entries === 0 ? 0 : this.positionToSeek(offset.offsetAt(offset.entries - 1));
    const scan = new BatchScan(this.#segment.file(), from, writtenBytes, WALK_CHUNK_BYTES);
    let nextOffset = baseOffset;
    while (scan.next()) nextOffset = scan.lastOffset + 1;
    return { nextOffset, sound: scan.stop === 'end' };
  }

  // ---- loading and checking

  #read(suffix: string): Buffer | undefined {
    try {
      return this.#segment.disk.readFile(this.#segment.path(suffix));
    } catch (error) {
      if (error instanceof DiskError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #load(): void {
    const { baseOffset, writtenBytes } = this.#segment;
    const offsetBytes = this.#read(OFFSET_INDEX_SUFFIX);
    const timeBytes = this.#read(TIME_INDEX_SUFFIX);
    const offset = offsetBytes === undefined ? undefined : OffsetIndex.parse(baseOffset, offsetBytes, writtenBytes);
    const time = timeBytes === undefined ? undefined : TimeIndex.parse(baseOffset, timeBytes);
    if (offset?.intact !== true || time?.intact !== true || !this.#reachEnd(offset.index, time.index)) {
      this.#rebuild();
      return;
    }
    this.#offset = offset.index;
    this.#time = time.index;
    this.#offsetPersisted = offset.index.entries;
    this.#timePersisted = time.index.entries;
    this.#trusted = false;
    this.#maxTimestamp = time.index.lastTimestamp;
    this.#maxTimestampOffset = time.index.lastOffset;
    if (this.#sealed) this.#budget.note(this, (offsetBytes as Buffer).length + (timeBytes as Buffer).length);
  }

  /** For segments that are only asked this, without loading the indexes; checked just as well. */
  #findMaxTimestamp(): void {
    if (this.#sealed && this.#peekMaxTimestamp()) return;
    this.#load();
  }

  #peekMaxTimestamp(): boolean {
    const { baseOffset, disk } = this.#segment;
    const offsetPath = this.#segment.path(OFFSET_INDEX_SUFFIX);
    const timePath = this.#segment.path(TIME_INDEX_SUFFIX);
    if (disk.status(offsetPath) === undefined || disk.status(timePath) === undefined) return false;
    const timeFile = disk.open(timePath, 'read');
    try {
      const last = lastTimeEntry(timeFile, baseOffset);
      if (last === undefined) return false;
      const offsetFile = disk.open(offsetPath, 'read');
      try {
        if (!this.#reachEnd(new OffsetIndexFile(offsetFile, baseOffset), last)) return false;
      } finally {
        offsetFile.close();
      }
      this.#maxTimestamp = last.lastTimestamp;
      this.#maxTimestampOffset = last.lastOffset;
      return true;
    } finally {
      timeFile.close();
    }
  }

  /**
   * Whether what comes after the last entries is what an index leaves out, and no more: the rest of an interval, and nothing younger. The last
   * entry of the time index decides which segment is asked for a timestamp, so the batch that it names must bear it out.
   */
  #reachEnd(offset: OffsetEntries, time: LastTimeEntry): boolean {
    const { baseOffset, writtenBytes } = this.#segment;
    if (writtenBytes === 0) return offset.entries === 0 && time.entries === 0;
    if (offset.entries > 0 && !this.#entryHolds(offset, offset.entries - 1)) return false;
    const from = offset.entries === 0 ? 0 : offset.positionAt(offset.entries - 1);
    const scan = new BatchScan(this.#segment.file(), from, writtenBytes, WALK_CHUNK_BYTES);
    let nextOffset = baseOffset;
    let timeEntrySeen = time.entries === 0;
    while (scan.next()) {
      const timestamp = storedMaxTimestamp(scan.buffer, scan.at);
      if (timestamp > time.lastTimestamp || scan.position - from > INDEX_INTERVALS_MAX * this.#intervalBytes) return false;
      if (scan.lastOffset === time.lastOffset) {
        if (timestamp !== time.lastTimestamp) return false;
        timeEntrySeen = true;
      }
      nextOffset = scan.lastOffset + 1;
    }
    this.#end = { nextOffset, sound: scan.stop === 'end', writtenBytes };
    return timeEntrySeen || this.#timeEntryHolds(offset, time);
  }

  #timeEntryHolds(offset: OffsetEntries, time: LastTimeEntry): boolean {
    const slot = offset.slotFor(time.lastOffset);
    if (slot >= 0 && !this.#entryHolds(offset, slot)) return false;
    const scan = new BatchScan(this.#segment.file(), slot < 0 ? 0 : offset.positionAt(slot), this.#segment.writtenBytes, WALK_CHUNK_BYTES);
    while (scan.next() && scan.lastOffset <= time.lastOffset) {
      if (scan.lastOffset === time.lastOffset) return storedMaxTimestamp(scan.buffer, scan.at) === time.lastTimestamp;
    }
    return false;
  }

  /** Whether a batch begins where the entry says, and ends with the offset that it says. */
  #entryHolds(index: OffsetEntries, slot: number): boolean {
    return this.#headerOf(index, slot) !== undefined;
  }

  /** The header of the batch that an entry tells of; undefined when no such batch begins there and is written. */
  #headerOf(index: OffsetEntries, slot: number): Buffer | undefined {
    const position = index.positionAt(slot);
    const { writtenBytes } = this.#segment;
    if (position < 0 || position + HEADER_BYTES_UP_TO_MAGIC > writtenBytes) return undefined;
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    const bytes = this.#segment.file().readSync(header, position);
    if (bytes < HEADER_BYTES_UP_TO_MAGIC) return undefined;
    const size = storedSize(header, 0);
    if (size < 0 || position + size > writtenBytes || bytes < Math.min(HEADER_BYTES, size)) return undefined;
    return storedLastOffset(header, 0) === index.offsetAt(slot) ? header : undefined;
  }

  /** Makes both indexes from the headers in the .log file, and their files, as far as there is room for a cache. */
  #rebuild(): void {
    const { writtenBytes } = this.#segment;
    const before = { timestamp: this.#maxTimestamp, offset: this.#maxTimestampOffset };
    this.restart();
    const scan = new BatchScan(this.#segment.file(), 0, writtenBytes, REBUILD_CHUNK_BYTES);
    let nextOffset = this.#segment.baseOffset;
    while (scan.next()) {
      nextOffset = scan.lastOffset + 1;
      this.note(scan.lastOffset, storedMaxTimestamp(scan.buffer, scan.at), scan.position, scan.sizeBytes);
    }
    if (before.offset >= nextOffset && before.timestamp > this.#maxTimestamp) {
      // That batch waits to be written.
      this.#maxTimestamp = before.timestamp;
      this.#maxTimestampOffset = before.offset;
      return;
    }
    try {
      if (this.#sealed) this.seal();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
    }
  }

  // ---- files

  /** No more batches are noted: the files are completed, and memory may be taken back. Throws a DiskError; the files are made again when they are needed. */
  seal(): void {
    this.#sealed = true;
    this.persist();
    if (this.#offset === undefined || this.#time === undefined) return;
    this.#budget.note(this, this.#offset.entries * OFFSET_INDEX_ENTRY_BYTES + this.#time.entries * TIME_INDEX_ENTRY_BYTES);
  }

  /** The budget, which knows sealed ones only, asks for the memory. */
  dropIndexes(): void {
    // What could not be written to the files would have to be made again.
    if (this.#dirty) return;
    this.#offset = undefined;
    this.#time = undefined;
    this.#trusted = false;
  }

  /** The segment is closed or gone. */
  forget(): void {
    this.#budget.forget(this);
  }

  /**
   * Brings the files up to what is in memory, with the closing entry of the time index, and cuts what Kafka had preallocated.
   * Unsynced: they are caches. Throws a DiskError.
   */
  persist(): void {
    if (this.#offset === undefined || this.#time === undefined) return;
    this.#time.append(this.#maxTimestamp, this.#maxTimestampOffset);
    if (this.#time.entries > this.#timePersisted) this.#dirty = true;
    if (!this.#dirty) return;
    this.#write(OFFSET_INDEX_SUFFIX, this.#offsetPersisted * OFFSET_INDEX_ENTRY_BYTES, this.#offset.bytesFrom(this.#offsetPersisted));
    this.#offsetPersisted = this.#offset.entries;
    this.#write(TIME_INDEX_SUFFIX, this.#timePersisted * TIME_INDEX_ENTRY_BYTES, this.#time.bytesFrom(this.#timePersisted));
    this.#timePersisted = this.#time.entries;
    if (this.#txn !== undefined) this.#persistTxn(this.#txn);
    this.#dirty = false;
  }

  #persistTxn(index: TxnIndex): void {
    const path = this.#segment.path(TXN_INDEX_SUFFIX);
    if (index.entries.length > 0) {
      this.#write(TXN_INDEX_SUFFIX, this.#txnPersisted * TXN_INDEX_ENTRY_BYTES, index.bytesFrom(this.#txnPersisted));
    } else if (this.#segment.disk.status(path) !== undefined) {
      this.#segment.disk.unlink(path);
    }
    this.#txnPersisted = index.entries.length;
  }

  /** Makes the entries of the transaction index durable, but for the name of its file. Rejects with a DiskError. */
  async syncTxn(): Promise<void> {
    const index = this.#txn;
    this.txnUnsynced = false;
    if (index === undefined) return;
    try {
      this.#persistTxn(index);
      if (index.entries.length === 0) return;
      const file = this.#segment.disk.open(this.#segment.path(TXN_INDEX_SUFFIX), 'update');
      try {
        await file.sync();
      } finally {
        file.close();
      }
    } catch (error) {
      this.txnUnsynced = true;
      throw error;
    }
  }

  #write(suffix: string, position: number, bytes: Buffer): void {
    const file = this.#segment.disk.open(this.#segment.path(suffix), 'create');
    try {
      if (bytes.length > 0) file.writeSync([bytes], position);
      if (file.sizeBytes() !== position + bytes.length) file.truncate(position + bytes.length);
    } finally {
      file.close();
    }
  }
}
