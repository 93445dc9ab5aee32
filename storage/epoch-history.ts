/**
 * The leader epochs of a log and the offset at which each began: `leader-epoch-checkpoint`. Followers and consumers ask it where their log and
 * the leader's part (KIP-101, KIP-279).
 *
 *     0
 *     2
 *     0 7779          epoch, start offset
 *     3 9120
 *
 * Promises: epochs and start offsets both rise. Answers come from memory; the file follows by `persist`.
 * Does not: write by itself. The log persists it before its recovery point passes the start of a new epoch: above the recovery point, recovery
 * finds the epochs again in the batches, below it this file is the only witness. Nor does it know the log's end; callers give it.
 */
import assert from 'node:assert';
import { formatCheckpoint, parseCheckpoint, parseNumber } from './checkpoint.ts';
import { corrupt, joinPath, loadFile, ReplacedFile, replaceFileSync } from './files.ts';
import type { Loaded } from './files.ts';
import type { Disk } from './disk.ts';

export const LEADER_EPOCH_CHECKPOINT = 'leader-epoch-checkpoint';

export interface EpochEntry {
  readonly epoch: number;
  readonly startOffset: number;
}

/** The answer to "where does this epoch end here?": the largest epoch that is not larger than the one asked for, and the offset behind its last record. */
export interface EpochEnd {
  readonly epoch: number;
  readonly endOffset: number;
}

/** Neither this epoch nor a place to look for an earlier one is known. */
export const UNDEFINED_EPOCH_END: EpochEnd = { epoch: -1, endOffset: -1 };

export class EpochHistory {
  readonly #disk: Disk;
  readonly #file: ReplacedFile;
  #entries: EpochEntry[] = [];
  /** Rises with each change; the file holds the state of `#persistedVersion`. */
  #version = 0;
  #persistedVersion = 0;

  /** An empty history of the partition whose directory this is; the file is left as it is. */
  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#file = new ReplacedFile(disk, joinPath(directory, LEADER_EPOCH_CHECKPOINT));
  }

  /** The history in the file. When it is missing or corrupt, the caller starts from an empty one and from the batches. */
  static load(disk: Disk, directory: string): Loaded<EpochHistory> {
    const loaded = loadFile(disk, joinPath(directory, LEADER_EPOCH_CHECKPOINT), parseEpochs);
    if (loaded.status !== 'ok') return loaded;
    const history = new EpochHistory(disk, directory);
    history.#entries = loaded.value;
    return { status: 'ok', value: history };
  }

  get entries(): readonly EpochEntry[] {
    return this.#entries;
  }

  get latest(): EpochEntry | undefined {
    return this.#entries.at(-1);
  }

  /** -1 when the log has no batch with an epoch. */
  get latestEpoch(): number {
    return this.#entries.at(-1)?.epoch ?? -1;
  }

  get earliest(): EpochEntry | undefined {
    return this.#entries[0];
  }

  /** True while the file does not hold what memory does. */
  get isDirty(): boolean {
    return this.#version !== this.#persistedVersion;
  }

  /**
   * A batch of this epoch begins at this offset. Nothing happens while the epoch goes on. Entries that contradict it, of the same or a later epoch or
   * offset, are dropped: the batch is in the log, they were of batches that no longer are.
   */
  assign(epoch: number, startOffset: number): void {
    const latest = this.#entries.at(-1);
    if (latest !== undefined && latest.epoch === epoch && latest.startOffset <= startOffset) return;
    assert(epoch >= 0);
    assert(startOffset >= 0);
    while (this.#entries.length > 0) {
      const { epoch: lastEpoch, startOffset: lastStart } = this.#entries.at(-1)!;
      if (lastEpoch < epoch && lastStart < startOffset) break;
      this.#entries.pop();
    }
    this.#entries.push({ epoch, startOffset });
    this.#version++;
  }

  /**
   * Where the epoch ends in this log, as OffsetsForLeaderEpoch answers (KIP-279):
   *
   *     asked for                    epoch                       end offset
   *     the latest                   it                          the log's end
   *     one between those known      the largest below it        the start of the next larger
   *     one before the earliest      the one asked for           the start of the earliest
   *     one after the latest, -1     -1                          -1
   */
  endOffsetFor(epoch: number, logEndOffset: number): EpochEnd {
    if (epoch < 0) return UNDEFINED_EPOCH_END;
    if (epoch === this.latestEpoch) return { epoch, endOffset: logEndOffset };
    const next = this.#entries.findIndex((entry) => entry.epoch > epoch);
    if (next < 0) return UNDEFINED_EPOCH_END;
    const endOffset = this.#entries[next]!.startOffset;
    return { epoch: next === 0 ? epoch : this.#entries[next - 1]!.epoch, endOffset };
  }

  /** The epoch of the record at the offset; -1 when it is before the first known. */
  epochForOffset(offset: number): number {
    let low = 0;
    let high = this.#entries.length;
    // The last entry that starts at or before the offset.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]!.startOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return this.#entries[low - 1]?.epoch ?? -1;
  }

  /** The log now ends at this offset: epochs that began there or later never were. */
  truncateFromEnd(endOffset: number): void {
    const before = this.#entries.length;
    while (this.#entries.length > 0 && this.#entries.at(-1)!.startOffset >= endOffset) this.#entries.pop();
    if (this.#entries.length !== before) this.#version++;
  }

  /** The log now starts at this offset: earlier epochs are gone, the one that it lies in starts there. */
  truncateFromStart(startOffset: number): void {
    const first = this.#entries[0];
    if (first === undefined || first.startOffset >= startOffset) return;
    let kept = this.#entries.findIndex((entry) => entry.startOffset > startOffset);
    if (kept < 0) kept = this.#entries.length;
    this.#entries = [{ epoch: this.#entries[kept - 1]!.epoch, startOffset }, ...this.#entries.slice(kept)];
    this.#version++;
  }

  /**
   * Batches before the first entry were found in the log, with these epochs: the file was cut for a log start that was not written down before the power
   * went. Entries that do not come before the first one are not believed.
   */
  prepend(entries: readonly EpochEntry[]): void {
    const first = this.#entries[0];
    const before = entries.filter((entry) => first === undefined || (entry.epoch <= first.epoch && entry.startOffset < first.startOffset));
    if (before.length === 0) return;
    const goesOn = before.at(-1)!.epoch === first?.epoch;
    this.#entries = [...before, ...this.#entries.slice(goesOn ? 1 : 0)];
    this.#version++;
  }

  clear(): void {
    if (this.#entries.length === 0) return;
    this.#entries = [];
    this.#version++;
  }

  /** Replaces the file when it is behind; resolves when it is durable. */
  async persist(): Promise<void> {
    if (!this.isDirty) return;
    const version = this.#version;
    await this.#file.replace(this.format());
    this.#persistedVersion = Math.max(this.#persistedVersion, version);
  }

  /** As `persist`, at once: at start and close, when no `persist` is under way. */
  persistSync(): void {
    if (!this.isDirty) return;
    replaceFileSync(this.#disk, this.#file.path, this.format());
    this.#persistedVersion = this.#version;
  }

  /** The content of the file. */
  format(): Buffer {
    return formatCheckpoint(this.#entries.map((entry) => `${entry.epoch} ${entry.startOffset}`));
  }
}

function parseEpochs(bytes: Buffer): Loaded<EpochEntry[]> {
  const lines = parseCheckpoint(bytes, 2);
  if (lines.status !== 'ok') return lines;
  const entries: EpochEntry[] = [];
  for (const fields of lines.value) {
    const epoch = parseNumber(fields[0]!);
    const startOffset = parseNumber(fields[1]!);
    if (epoch === undefined || startOffset === undefined || epoch > 0x7fffffff) return corrupt(`the line ${JSON.stringify(fields.join(' '))}`);
    const last = entries.at(-1);
    if (last !== undefined && (last.epoch >= epoch || last.startOffset >= startOffset)) return corrupt(`${fields.join(' ')} behind ${last.epoch} ${last.startOffset}`);
    entries.push({ epoch, startOffset });
  }
  return { status: 'ok', value: entries };
}
