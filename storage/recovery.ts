/**
 * Loading a log from its directory: what a broker that stopped, or was stopped, left there.
 *
 * Promises: after a clean shutdown nothing is read but names, sizes, the ends of the indexes and the newest producer snapshot. Otherwise every batch from
 * the segment of the recovery point on is checked, and the log is cut where the first one is torn, missing or wrong; what lies behind that is
 * removed first, so that a crash in the middle of recovery is recovered the same way. A second recovery changes nothing.
 * A batch below the recovery point whose bytes have rotted but which sound ones follow is kept, for it was flushed once, and what follows it is good: it
 * is counted in the report, and readers find out by its checksum. Where others have the log (`cutsDamage`) it is cut there instead, and at a hole. Leader epochs, indexes, and the state of producers are made again where their files
 * do not serve.
 * Does not: look into closed segments below the recovery point, or write the directory's checkpoints.
 */
import { storedBaseOffset, storedHasProducerId, storedLastOffset, storedLeaderEpoch, storedMaxTimestamp } from './stored-batch.ts';
import { isControl } from '../protocol/record/batch.ts';
import { BatchScan } from './batch-scan.ts';
import { type Disk, DiskError } from './disk.ts';
import { type EpochEntry, EpochHistory } from './epoch-history.ts';
import { isCompacted, type LogConfig } from './log-config.ts';
import { ProducerSnapshots } from './producer-snapshots.ts';
import { ProducerState } from './producer-state.ts';
import { Segment, type SegmentResources } from './segment.ts';
import { SegmentList } from './segment-list.ts';
import {
  CLEANED_SUFFIX, DELETED_SUFFIX, LOG_SUFFIX, parseSegmentFileName, type SegmentFileName, segmentFileName, SNAPSHOT_SUFFIX, SWAP_SUFFIX,
} from './segment-name.ts';
import { TxnIndex } from './txn-index.ts';

export interface LoadOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly resources: SegmentResources;
  readonly config: LogConfig;
  /** All below it was flushed. */
  readonly recoveryPoint: number;
  /** As checkpointed; the first segment may begin later. */
  readonly logStartOffset: number;
  readonly cleanShutdown: boolean;
  /** Others have all of the log, and nobody counts on this replica: it is cut where it is damaged, to have the rest from them. */
  readonly cutsDamage: boolean;
  readonly nowMs: number;
  readonly jitterMs: () => number;
}

export interface RecoveryReport {
  /** Segments whose batches were checked. */
  segmentsScanned: number;
  /** Cut off the end of the log. */
  bytesCut: number;
  segmentsRemoved: number;
  /** Batches below the recovery point that are not what was written. They are still in the log. */
  batchesCorrupt: number;
  /** The log ends before its recovery point: something that was flushed is gone. */
  lostFlushed: boolean;
}

export interface LoadedLog {
  readonly segments: SegmentList;
  readonly producers: ProducerState;
  readonly snapshots: ProducerSnapshots;
  readonly epochs: EpochHistory;
  readonly logStartOffset: number;
  readonly logEndOffset: number;
  readonly recoveryPoint: number;
  /** Names in the directory may not be durable. */
  readonly unflushedNames: boolean;
  readonly report: RecoveryReport;
}

const SCAN_CHUNK_BYTES = 1024 * 1024;

export function loadLog(options: LoadOptions): LoadedLog {
  const { disk, directory } = options;
  const names = settleFiles(disk, directory, disk.list(directory));
  const loading = new Loading(options, names);
  return loading.run();
}

/**
 * Finishes what the cleaner was in the middle of, as Kafka's LogLoader does: `.deleted` files go; a `.swap` file is complete and takes its
 * place, and what it was made from goes, unless a `.cleaned` file at or below it says that a split was not finished; `.cleaned` files go.
 */
function settleFiles(disk: Disk, directory: string, names: readonly string[]): SegmentFileName[] {
  const all = names.map((name) => ({ name, parsed: parseSegmentFileName(name) }));
  const inState = (state: string) => all.filter((file) => file.parsed?.state === state) as { name: string; parsed: SegmentFileName }[];
  const unlink = (name: string) => disk.unlink(`${directory}/${name}`);
  for (const file of inState(DELETED_SUFFIX)) unlink(file.name);
  const cleaned = inState(CLEANED_SUFFIX);
  const cleanedMin = Math.min(...cleaned.map((file) => file.parsed.baseOffset));
  const swaps = inState(SWAP_SUFFIX);
  for (const file of swaps) if (file.parsed.baseOffset >= cleanedMin) unlink(file.name);
  for (const file of cleaned) unlink(file.name);
  let inUse = inState('').map((file) => file.parsed);
  const valid = swaps.filter((file) => file.parsed.baseOffset < cleanedMin);
  if (valid.length === 0) return inUse;

  let from = Infinity;
  let to = -Infinity;
  for (const file of valid) {
    if (file.parsed.kind !== LOG_SUFFIX) continue;
    from = Math.min(from, file.parsed.baseOffset);
    to = Math.max(to, nextOffsetOfFile(disk, `${directory}/${file.name}`, file.parsed.baseOffset));
  }
  inUse = inUse.filter((file) => {
    const replaced = file.baseOffset >= from && file.baseOffset < to;
    if (replaced) unlink(segmentFileName(file.baseOffset, file.kind));
    return !replaced;
  });
  for (const file of valid) {
    const { baseOffset, kind } = file.parsed;
    disk.rename(`${directory}/${file.name}`, `${directory}/${segmentFileName(baseOffset, kind)}`);
    inUse = inUse.filter((other) => other.baseOffset !== baseOffset || other.kind !== kind);
    inUse.push({ baseOffset, kind, state: '' });
  }
  disk.syncDirectory(directory);
  return inUse;
}

function nextOffsetOfFile(disk: Disk, path: string, baseOffset: number): number {
  const file = disk.open(path, 'read');
  try {
    const scan = new BatchScan(file, 0, file.sizeBytes());
    let next = baseOffset;
    while (scan.next()) next = scan.lastOffset + 1;
    return next;
  } finally {
    file.close();
  }
}

class Loading {
  readonly #options: LoadOptions;
  readonly #segments = new SegmentList();
  readonly #producers = new ProducerState();
  readonly #snapshots: ProducerSnapshots;
  readonly #epochs: EpochHistory;
  /** The epochs in the file do not serve: all batches are asked. */
  readonly #epochsLost: boolean;
  /** A segment was made, whose name the first flush makes durable. */
  #namesChanged = false;
  readonly #report: RecoveryReport = { segmentsScanned: 0, bytesCut: 0, segmentsRemoved: 0, batchesCorrupt: 0, lostFlushed: false };

  constructor(options: LoadOptions, files: readonly SegmentFileName[]) {
    this.#options = options;
    const { disk, directory } = options;
    this.#snapshots = new ProducerSnapshots(disk, directory, files.filter((file) => file.kind === SNAPSHOT_SUFFIX).map((file) => file.baseOffset));
    const epochs = EpochHistory.load(disk, directory);
    this.#epochsLost = epochs.status !== 'ok';
    this.#epochs = epochs.status === 'ok' ? epochs.value : new EpochHistory(disk, directory);
    const logs = files.filter((file) => file.kind === LOG_SUFFIX).sort((a, b) => a.baseOffset - b.baseOffset);
    const bases = new Set(logs.map((file) => file.baseOffset));
    for (const file of files) {
      if (file.kind === LOG_SUFFIX || file.kind === SNAPSHOT_SUFFIX || bases.has(file.baseOffset)) continue;
      disk.unlink(`${directory}/${segmentFileName(file.baseOffset, file.kind)}`);
    }
    for (const { baseOffset } of logs) {
      const status = disk.status(`${directory}/${segmentFileName(baseOffset, LOG_SUFFIX)}`);
      this.#segments.add(Segment.found(options.resources, directory, status?.sizeBytes ?? 0, this.#segmentOptions(baseOffset)));
    }
  }

  run(): LoadedLog {
    const { logStartOffset: checkpointed, recoveryPoint } = this.#options;
    // A mark of a clean shutdown can be false (a copied directory): what the end of the log looks like is the better witness.
    let cleanShutdown = this.#options.cleanShutdown;
    if (cleanShutdown && this.#segments.count > 0) {
      const { sound, nextOffset } = this.#segments.active.readEnd();
      cleanShutdown = sound && nextOffset >= recoveryPoint;
    }
    if (this.#segments.count > 0 && !cleanShutdown) this.#recover();
    let logEndOffset = this.#segments.count === 0 ? checkpointed : this.#segments.active.readEnd().nextOffset;
    if (this.#segments.count > 0 && logEndOffset < checkpointed) this.#startOver();
    if (this.#segments.count === 0) {
      logEndOffset = checkpointed;
      this.#segments.add(Segment.create(this.#options.resources, this.#options.directory, this.#segmentOptions(checkpointed)));
      this.#namesChanged = true;
    }
    this.#segments.active.indexes.unseal();
    const logStartOffset = Math.max(checkpointed, this.#segments.first.baseOffset);
    if (!cleanShutdown) this.#report.lostFlushed = logEndOffset < recoveryPoint;
    if (this.#epochsLost) this.#epochsFromBatches(logStartOffset);
    else this.#completeEpochs(logStartOffset);
    this.#epochs.truncateFromEnd(logEndOffset);
    this.#epochs.truncateFromStart(logStartOffset);
    if (this.#snapshots.removeBeyond(logEndOffset)) this.#options.disk.syncDirectory(this.#options.directory);
    this.#snapshots.removeStray(new Set(this.#segments.all.map((segment) => segment.baseOffset)), this.#segments.active.baseOffset);
    if (cleanShutdown || this.#producers.endOffset !== logEndOffset) {
      rebuildProducers(this.#producers, this.#snapshots, this.#segments, { ...this.#options, logStartOffset, endOffset: logEndOffset });
    }
    this.#producers.advanceLogStartOffset(logStartOffset);
    this.#producers.beginWrite();
    this.#producers.endWrite();
    return {
      segments: this.#segments,
      producers: this.#producers,
      snapshots: this.#snapshots,
      epochs: this.#epochs,
      logStartOffset,
      logEndOffset,
      // After a clean shutdown all was flushed, whatever the checkpoint says; else only a flush may raise it.
      recoveryPoint: cleanShutdown ? logEndOffset : Math.min(recoveryPoint, logEndOffset),
      // Nobody ever flushed an empty segment.
      unflushedNames: !cleanShutdown || this.#namesChanged || this.#segments.active.sizeBytes === 0,
      report: this.#report,
    };
  }

  #segmentOptions(baseOffset: number): { baseOffset: number; nowMs: number; jitterMs: number; indexIntervalBytes: number } {
    const { nowMs, config, jitterMs } = this.#options;
    return { baseOffset, nowMs, jitterMs: jitterMs(), indexIntervalBytes: config.indexIntervalBytes };
  }

  /** Checks all segments that may hold something unflushed. */
  #recover(): void {
    const { recoveryPoint, logStartOffset, config } = this.#options;
    const unflushed = this.#segments.from(recoveryPoint);
    const first = unflushed[0] as Segment;
    rebuildProducers(this.#producers, this.#snapshots, this.#segments, { ...this.#options, logStartOffset: Math.max(logStartOffset, this.#segments.first.baseOffset), endOffset: first.baseOffset });
    // The file may be older than a truncation: where the batches are asked anyway, it has no say.
    this.#epochs.truncateFromEnd(first.baseOffset);
    let end: number | undefined;
    for (const segment of unflushed) {
      // The name of a segment in between was lost with the crash, or this one was left over from before: what comes here does not follow.
      const follows = end === undefined || segment.baseOffset === end || (segment.baseOffset > end && isCompacted(config.cleanupPolicy));
      if (!follows) {
        this.#removeFrom(segment);
        return;
      }
      this.#report.segmentsScanned++;
      const recovered = this.#recoverSegment(segment);
      end = recovered.endOffset;
      if (recovered.sound) {
        this.#complete(segment);
        continue;
      }
      // First what lies behind, then the cut: the other way round, a crash in between would leave segments that seem to follow.
      const next = this.#segments.beyond(segment.baseOffset)[0];
      if (next !== undefined) this.#removeFrom(next);
      this.#report.bytesCut += segment.writtenBytes - segment.sizeBytes;
      segment.cutFile(segment.sizeBytes);
      segment.file().syncSync();
      return;
    }
  }

  /** The index files of a segment that will be written to no more. The active one's are completed later. */
  #complete(segment: Segment): void {
    if (segment === this.#segments.active) return;
    try {
      segment.indexes.seal();
    } catch (error) {
      // A cache that cannot be written is made again when it is needed.
      if (!(error instanceof DiskError)) throw error;
    }
  }

  #removeFrom(segment: Segment): void {
    const { disk, directory } = this.#options;
    for (const stale of [segment, ...this.#segments.beyond(segment.baseOffset)].reverse()) {
      this.#report.segmentsRemoved++;
      this.#report.bytesCut += stale.writtenBytes;
      this.#segments.remove(stale);
      this.#snapshots.remove(stale.baseOffset);
      stale.remove();
      disk.syncDirectory(directory);
    }
  }

  /** Notes all sound batches of a segment anew. `sound` is false when there is something behind them. */
  #recoverSegment(segment: Segment): { sound: boolean; endOffset: number } {
    const { recoveryPoint, cutsDamage, config } = this.#options;
    const hasNoHoles = cutsDamage && !isCompacted(config.cleanupPolicy);
    const txnIndex = new TxnIndex();
    // It may be in the system's memory only, if the process died and the machine did not.
    segment.dirty = true;
    segment.startRecovery();
    segment.indexes.replaceTxn(txnIndex);
    const scan = new BatchScan(segment.file(), 0, segment.writtenBytes, SCAN_CHUNK_BYTES);
    let endOffset = segment.baseOffset;
    while (scan.next()) {
      const { buffer, at } = scan;
      if (storedBaseOffset(buffer, at) < endOffset || !segment.indexes.offset.canHold(storedLastOffset(buffer, at))) return { sound: false, endOffset };
      if (hasNoHoles && storedBaseOffset(buffer, at) > endOffset) return { sound: false, endOffset };
      const lastOffset = scan.lastOffset;
      if (scan.crcMatches()) {
        const epoch = storedLeaderEpoch(scan.buffer, scan.at);
        if (epoch > this.#epochs.latestEpoch) this.#epochs.assign(epoch, storedBaseOffset(scan.buffer, scan.at));
        noteProducer(this.#producers, scan, txnIndex);
      } else if (lastOffset < recoveryPoint && !cutsDamage && soundBatchAt(segment, scan.position + scan.sizeBytes, lastOffset)) {
        this.#report.batchesCorrupt++;
      } else {
        return { sound: false, endOffset };
      }
      segment.noteBatch(lastOffset, storedMaxTimestamp(scan.buffer, scan.at), scan.sizeBytes);
      endOffset = lastOffset + 1;
      this.#producers.endOffset = endOffset;
    }
    return { sound: scan.stop === 'end', endOffset };
  }

  /** The log ends before it starts: its files were taken away, or are another's. Kafka's answer, too, is an empty log at the start offset. */
  #startOver(): void {
    this.#removeFrom(this.#segments.first);
    this.#snapshots.removeAll();
    this.#epochs.clear();
    this.#producers.reset(this.#options.logStartOffset);
  }

  /** The epochs in the file may begin behind the log start: it was cut for one that is no longer known. */
  #completeEpochs(logStartOffset: number): void {
    const firstStart = this.#epochs.earliest?.startOffset ?? Infinity;
    if (firstStart <= logStartOffset) return;
    const entries: EpochEntry[] = [];
    for (const segment of this.#segments.from(logStartOffset)) {
      const scan = new BatchScan(segment.file(), segment.indexes.positionToSeek(logStartOffset), segment.writtenBytes);
      while (scan.next()) {
        const baseOffset = storedBaseOffset(scan.buffer, scan.at);
        const epoch = storedLeaderEpoch(scan.buffer, scan.at);
        // Formats that older brokers wrote have no epochs: there is nothing to be found.
        if (baseOffset >= firstStart || epoch < 0) return this.#epochs.prepend(entries);
        if (scan.lastOffset >= logStartOffset && epoch > (entries.at(-1)?.epoch ?? -1)) entries.push({ epoch, startOffset: Math.max(baseOffset, logStartOffset) });
      }
    }
    this.#epochs.prepend(entries);
  }

  #epochsFromBatches(logStartOffset: number): void {
    this.#epochs.clear();
    for (const segment of this.#segments.from(logStartOffset)) {
      const scan = new BatchScan(segment.file(), 0, segment.writtenBytes, SCAN_CHUNK_BYTES);
      while (scan.next()) {
        const epoch = storedLeaderEpoch(scan.buffer, scan.at);
        if (epoch > this.#epochs.latestEpoch) this.#epochs.assign(epoch, storedBaseOffset(scan.buffer, scan.at));
      }
    }
  }
}

export interface RebuildOptions {
  readonly config: LogConfig;
  readonly nowMs: number;
  readonly logStartOffset: number;
  readonly endOffset: number;
}

/** Sets the state to that of all batches below `endOffset`: the newest snapshot, and what follows it in the log. */
export function rebuildProducers(producers: ProducerState, snapshots: ProducerSnapshots, segments: SegmentList, options: RebuildOptions): void {
  const { logStartOffset, endOffset, nowMs } = options;
  snapshots.load(producers, { offset: endOffset, logStartOffset, nowMs, expirationMs: options.config.producerIdExpirationMs });
  if (producers.endOffset >= endOffset) return;
  for (const segment of segments.from(producers.endOffset)) {
    if (segment.baseOffset >= endOffset) break;
    replaySegment(producers, segment, endOffset, undefined);
  }
  producers.endOffset = endOffset;
  producers.beginWrite();
  producers.endWrite();
}

/** Makes the transaction index of a segment again, whose file is no index. */
export function rebuildTxnIndex(segment: Segment, snapshots: ProducerSnapshots, segments: SegmentList, options: Omit<RebuildOptions, 'endOffset'>): TxnIndex {
  const producers = new ProducerState();
  rebuildProducers(producers, snapshots, segments, { ...options, endOffset: Math.max(segment.baseOffset, options.logStartOffset) });
  const index = new TxnIndex();
  replaySegment(producers, segment, Infinity, index);
  segment.indexes.replaceTxn(index);
  return index;
}

function replaySegment(producers: ProducerState, segment: Segment, endOffset: number, txnIndex: TxnIndex | undefined): void {
  const from = producers.endOffset;
  const scan = new BatchScan(segment.file(), from <= segment.baseOffset ? 0 : segment.indexes.positionToSeek(from), segment.writtenBytes, SCAN_CHUNK_BYTES);
  while (scan.next() && storedBaseOffset(scan.buffer, scan.at) < endOffset) {
    if (scan.lastOffset >= from) noteProducer(producers, scan, txnIndex);
  }
}

function noteProducer(producers: ProducerState, scan: BatchScan, txnIndex: TxnIndex | undefined): void {
  if (!storedHasProducerId(scan.buffer, scan.at)) return;
  // Only a marker's body is of interest.
  if (isControl(scan.buffer, scan.at) && !scan.crcMatches()) return;
  const completed = producers.note(scan.buffer, scan.at);
  if (completed === undefined) return;
  const { producerId, firstOffset, lastOffset, aborted } = completed;
  if (aborted && txnIndex !== undefined) txnIndex.append({ producerId, firstOffset, lastOffset, lastStableOffset: producers.stableOffsetAfter(completed) });
  producers.complete(completed);
}

function soundBatchAt(segment: Segment, position: number, afterOffset: number): boolean {
  const scan = new BatchScan(segment.file(), position, segment.writtenBytes, SCAN_CHUNK_BYTES);
  return scan.next() && storedBaseOffset(scan.buffer, scan.at) > afterOffset && scan.crcMatches();
}
