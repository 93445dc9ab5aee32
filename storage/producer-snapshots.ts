/**
 * The producer snapshots of a log: files named by the offset up to which they hold the state of its producers.
 *
 * Promises: at most one per offset; one that turns out corrupt is removed, and the next older serves.
 * Does not: sync. A snapshot that a crash tore fails its checksum.
 */
import { type Disk, DiskError } from './disk.ts';
import { decodeProducerSnapshot, encodeProducerSnapshot, type ProducerSnapshotEntry } from './producer-snapshot.ts';
import type { ProducerEntry, ProducerState } from './producer-state.ts';
import { DELETED_SUFFIX, SNAPSHOT_SUFFIX, segmentFileName } from './segment-name.ts';

export class ProducerSnapshots {
  readonly #disk: Disk;
  #directory: string;
  /** Ascending. */
  #offsets: number[];

  constructor(disk: Disk, directory: string, offsets: readonly number[]) {
    this.#disk = disk;
    this.#directory = directory;
    this.#offsets = [...offsets].sort((a, b) => a - b);
  }

  get offsets(): readonly number[] {
    return this.#offsets;
  }

  moveTo(directory: string): void {
    this.#directory = directory;
  }

  path(offset: number): string {
    return `${this.#directory}/${segmentFileName(offset, SNAPSHOT_SUFFIX)}`;
  }

  /** Writes the state as of `state.endOffset`, unless that is there already. Throws a DiskError. */
  take(state: ProducerState): void {
    const offset = state.endOffset;
    if (this.#offsets.at(-1) === offset) return;
    const bytes = encodeProducerSnapshot(state.entries().map(toSnapshotEntry));
    const file = this.#disk.open(this.path(offset), 'replace');
    try {
      file.writeSync([bytes], 0);
    } finally {
      file.close();
    }
    this.#offsets = [...this.#offsets.filter((other) => other !== offset), offset].sort((a, b) => a - b);
  }

  /** Sets the state to the newest usable snapshot at or below `offset`, or to nothing as of `logStartOffset`. */
  load(state: ProducerState, options: { offset: number; logStartOffset: number; nowMs: number; expirationMs: number }): void {
    for (const candidate of this.#offsets.filter((other) => other <= options.offset && other > options.logStartOffset).reverse()) {
      const entries = this.#read(candidate);
      if (entries !== undefined) {
        state.load(entries, candidate, options.nowMs, options.expirationMs);
        return;
      }
      this.remove(candidate);
    }
    state.reset(options.logStartOffset);
  }

  #read(offset: number): ProducerEntry[] | undefined {
    try {
      const decoded = decodeProducerSnapshot(this.#disk.readFile(this.path(offset)));
      return decoded.status === 'ok' ? decoded.value.map(fromSnapshotEntry) : undefined;
    } catch (error) {
      if (error instanceof DiskError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /**
   * Removes those of states that the log has no longer, or not yet. True when there were some: that they are gone must be durable before the log grows
   * beyond them again, or after a crash they would be believed.
   */
  removeBeyond(offset: number): boolean {
    const beyond = this.#offsets.filter((other) => other > offset);
    for (const candidate of beyond) this.remove(candidate);
    return beyond.length > 0;
  }

  /** Removes what is not at the beginning of a segment, but for the newest when it is beyond the last segment's (Kafka's removeStraySnapshots). */
  removeStray(segmentOffsets: ReadonlySet<number>, lastSegmentOffset: number): void {
    const newest = this.#offsets.at(-1);
    for (const candidate of this.#offsets) {
      if (segmentOffsets.has(candidate) || (candidate === newest && candidate > lastSegmentOffset)) continue;
      this.remove(candidate);
    }
  }

  remove(offset: number): void {
    if (!this.#offsets.includes(offset)) return;
    this.#offsets = this.#offsets.filter((other) => other !== offset);
    const path = this.path(offset);
    if (this.#disk.status(path) !== undefined) this.#disk.unlink(path);
  }

  removeAll(): void {
    for (const offset of this.#offsets) this.remove(offset);
  }

  /** Gives the snapshot of a segment that retention removes the suffix of what waits to be removed. Returns the new names. */
  renameDeleted(offset: number): string[] {
    if (!this.#offsets.includes(offset)) return [];
    this.#offsets = this.#offsets.filter((other) => other !== offset);
    const path = this.path(offset);
    if (this.#disk.status(path) === undefined) return [];
    this.#disk.rename(path, path + DELETED_SUFFIX);
    return [path + DELETED_SUFFIX];
  }
}

/** Only the newest batch is kept in the file, so a repeated batch before it is not recognised after a restart, as with Kafka. */
function toSnapshotEntry(entry: ProducerEntry): ProducerSnapshotEntry {
  const last = entry.batches.at(-1);
  return {
    producerId: entry.producerId,
    epoch: entry.epoch,
    lastSequence: last?.lastSequence ?? -1,
    lastOffset: last?.lastOffset ?? -1,
    offsetDelta: last?.offsetDelta ?? 0,
    timestamp: entry.lastTimestamp,
    coordinatorEpoch: entry.coordinatorEpoch,
    currentTxnFirstOffset: entry.currentTxnFirstOffset,
  };
}

function fromSnapshotEntry(entry: ProducerSnapshotEntry): ProducerEntry {
  const { producerId, epoch, lastSequence, lastOffset, offsetDelta, timestamp, coordinatorEpoch, currentTxnFirstOffset } = entry;
  return {
    producerId, epoch, coordinatorEpoch, lastTimestamp: timestamp, currentTxnFirstOffset,
    batches: lastOffset >= 0 ? [{ lastSequence, lastOffset, offsetDelta, timestamp }] : [],
  };
}
