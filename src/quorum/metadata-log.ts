/**
 * The metadata log with its snapshots: `__cluster_metadata-0` in the directory of the node.
 *
 * Promises: opening one gives the newest snapshot and every batch after it, each checked, or a MetadataError that says what is wrong: damage in
 * committed metadata is never skipped or cut, and left as it was found. Snapshots are taken by size and age, and what they make needless is dropped
 * by the retention settings, of which the newest snapshot always stays. A snapshot that cannot be written costs a line in the log and is tried again.
 * Does not: decide what is committed (`raft.ts`), or fold records (`delta.ts`).
 */
import type { Clock } from '../runtime/runtime.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Settings } from '../settings.ts';
import { KafkaError } from '../../protocol/errors.ts';
import { type Disk, DiskError } from '../../storage/disk.ts';
import { joinPath, replaceFileSync } from '../../storage/files.ts';
import { Log } from '../../storage/log.ts';
import { DEFAULT_LOG_CONFIG, type LogConfig } from '../../storage/log-config.ts';
import { loadPartitionMetadata, writePartitionMetadata } from '../../storage/partition-metadata.ts';
import { type MetadataBatch, readBatches } from './batches.ts';
import { CommitMark, COMMITTED_OFFSET, formatMark, logDamage } from './commit-mark.ts';
import { makeDurably, METADATA_TOPIC_ID } from './bootstrap.ts';
import { MetadataDelta } from './delta.ts';
import { MetadataImage } from './image.ts';
import type { MetadataImages } from './images.ts';
import { snapshotRecords } from './snapshot-records.ts';
import {
  encodeSnapshot, listSnapshots, readSnapshot, removePartialSnapshots, type SnapshotFile, type SnapshotId, writeSnapshot,
} from './snapshots.ts';
import { recordOfVoters, VoterHistory, votersOfRecord, type VoterSet } from './voters.ts';

const READ_BYTES = 1024 * 1024;

/** The metadata of this directory cannot be used. The message is for the person who runs the node. */
export class MetadataError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MetadataError';
  }
}

export interface MetadataLogOptions {
  readonly disk: Disk;
  /** `.../__cluster_metadata-0` */
  readonly directory: string;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly logger: Logger;
  /** Those of controller.quorum.voters, who vote while the log does not say who does. */
  readonly staticVoters: VoterSet;
}

export class MetadataLog {
  readonly log: Log;
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #mark: CommitMark;
  /** Who votes, by what snapshot and log say. */
  readonly voters: VoterHistory;
  #newestSnapshot: SnapshotId | null = null;
  /** Read from the directory when it is asked for; forgotten when that changes. */
  #earliestSnapshot: SnapshotId | null = null;
  /** `log.sizeBytes` at the newest snapshot, less what was deleted since. */
  #sizeAtSnapshot = 0;
  #lastSnapshotMs: number;
  #snapshotting: Promise<void> | undefined;

  static open(options: MetadataLogOptions): MetadataLog {
    return new MetadataLog(options);
  }

  private constructor(options: MetadataLogOptions) {
    const { disk, directory, clock, settings } = options;
    this.#disk = disk;
    this.#directory = directory;
    this.#clock = clock;
    this.#settings = settings;
    this.#logger = options.logger;
    this.voters = new VoterHistory(options.staticVoters);
    this.#lastSnapshotMs = clock.monotonicMs();
    makeDurably(disk, directory);
    removePartialSnapshots(disk, directory);
    if (loadPartitionMetadata(disk, directory).status !== 'ok') writePartitionMetadata(disk, directory, METADATA_TOPIC_ID);
    this.#mark = new CommitMark(disk, directory);
    const from = newestSnapshot(disk, directory)?.offset ?? 0;
    const mark = this.#mark.load();
    const damage = logDamage(disk, directory, { from, mark });
    if (damage !== null) throw new MetadataError(`the metadata log in ${directory} is damaged: ${damage}`);
    if (mark === undefined) replaceFileSync(disk, joinPath(directory, COMMITTED_OFFSET), formatMark(from));
    this.log = Log.open({
      disk,
      directory,
      topic: '__cluster_metadata',
      partition: 0,
      topicId: METADATA_TOPIC_ID,
      config: logConfig(settings),
      // What recovery cuts beyond it is the unfinished end that a crash left: nobody was told of it.
      recoveryPoint: Math.max(mark ?? 0, from),
      logStartOffset: from,
      cleanShutdown: false,
      nowMs: clock.wallMs(),
    });
  }

  /** Epoch of the last batch, or of the snapshot that the log follows from; 0 for neither. */
  get lastEpoch(): number {
    const { latestEpoch } = this.log.epochs;
    return latestEpoch >= 0 ? latestEpoch : (this.#newestSnapshot?.epoch ?? 0);
  }

  get directory(): string {
    return this.#directory;
  }

  /** null for none besides the one that `format` makes. */
  get newestSnapshot(): SnapshotId | null {
    return this.#newestSnapshot;
  }

  /** Of those that are left, besides the one that `format` makes: what is before it cannot be had from the log. */
  get earliestSnapshot(): SnapshotId | null {
    this.#earliestSnapshot ??= listSnapshots(this.#disk, this.#directory).find(({ offset }) => offset > 0) ?? null;
    return this.#earliestSnapshot;
  }

  /** What this node is sure that is committed, from before it started; `cut` never goes below it. */
  get committedOffset(): number {
    return Math.max(this.#mark.written ?? 0, this.log.highWatermark);
  }

  /** Reads the newest snapshot and all batches after it. Rejects with a MetadataError. */
  async load(images: MetadataImages): Promise<void> {
    const snapshot = newestSnapshot(this.#disk, this.#directory);
    const from = snapshot?.offset ?? 0;
    if (this.log.segments.first.baseOffset > from) {
      throw new MetadataError(
        `the metadata log in ${this.#directory} begins at offset ${this.log.segments.first.baseOffset}, and no snapshot has what comes before`,
      );
    }
    if (snapshot !== undefined) this.loadSnapshot(snapshot, images);
    // A snapshot that was fetched by a follower, which crashed before it made its log follow.
    if (this.log.logEndOffset < from) await this.log.truncateFullyAndStartAt(from, this.#clock.wallMs());
    let bytesAfterSnapshot = 0;
    for (let offset = Math.max(from, this.log.logStartOffset); offset < this.log.logEndOffset; ) {
      const read = await this.log.read(offset, { maxBytes: READ_BYTES, endOffset: this.log.logEndOffset, minOneBatch: true });
      if (read.bytes === 0) throw new MetadataError(`the metadata log in ${this.#directory} cannot be read at offset ${offset}`);
      const batches = this.#understood(() => read.buffers.flatMap((buffer) => [...readBatches(buffer)]), `offset ${offset}`);
      this.#understood(() => images.fold(batches.filter((batch) => batch.baseOffset >= from)), `offset ${offset}`);
      for (const batch of batches) this.noteControl(batch);
      bytesAfterSnapshot += read.bytes;
      offset = read.nextOffset;
    }
    this.#sizeAtSnapshot = this.log.sizeBytes - bytesAfterSnapshot;
  }

  /** The metadata of the snapshot takes the place of all that was. Throws a MetadataError. */
  loadSnapshot(snapshot: SnapshotFile, images: MetadataImages): void {
    const content = this.#understood(() => readSnapshot(this.#disk, this.#directory, snapshot), snapshot.name);
    this.voters.clear();
    if (content.kraftVersion > 0) this.voters.noteVersion(snapshot.offset - 1, content.kraftVersion);
    if (content.voters !== null) this.voters.noteVoters(snapshot.offset - 1, votersOfRecord(content.voters));
    // The snapshot at offset 0 holds the first voters and no metadata.
    if (snapshot.offset === 0) return;
    this.#newestSnapshot = { offset: snapshot.offset, epoch: snapshot.epoch };
    const delta = new MetadataDelta(MetadataImage.EMPTY);
    this.#understood(() => content.records.forEach((record) => delta.apply(record)), snapshot.name);
    images.reset(delta.build({ offset: snapshot.offset - 1, epoch: snapshot.epoch, timestampMs: content.lastContainedLogTimestampMs }));
  }

  /** What the batch, which is in the log, says of who votes. */
  noteControl({ baseOffset, controlRecords }: Pick<MetadataBatch, 'baseOffset' | 'controlRecords'>): void {
    for (const [index, record] of controlRecords.entries()) {
      if (record.type === 'kraftVersion') this.voters.noteVersion(baseOffset + index, record.value.kRaftVersion);
      if (record.type === 'voters') this.voters.noteVoters(baseOffset + index, votersOfRecord(record.value));
    }
  }

  /** All below `offset` is committed. */
  noteCommitted(offset: number, { atOnce = false }: { readonly atOnce?: boolean } = {}): void {
    try {
      this.#mark.write(Math.min(offset, this.log.recoveryPoint), { nowMs: this.#clock.monotonicMs(), atOnce });
    } catch (error) {
      // An older mark will do.
      if (!(error instanceof DiskError)) throw error;
    }
  }

  /** Takes a snapshot of the committed image when one is due; at most one at a time. */
  maybeSnapshot(image: MetadataImage): void {
    if (this.#snapshotting !== undefined) return;
    const bytes = this.log.sizeBytes - this.#sizeAtSnapshot;
    const ageMs = this.#clock.monotonicMs() - this.#lastSnapshotMs;
    const intervalMs = this.#settings.get('metadata.log.max.snapshot.interval.ms');
    const isDue = bytes >= this.#settings.get('metadata.log.max.record.bytes.between.snapshots') || (intervalMs > 0 && ageMs >= intervalMs);
    if (isDue) void this.snapshot(image);
  }

  /** Writes a snapshot of the image, then drops what retention lets go. Resolves when that is done, also when the disk refused it. */
  snapshot(image: MetadataImage): Promise<void> {
    this.#snapshotting ??= this.#snapshot(image).finally(() => {
      this.#snapshotting = undefined;
    });
    return this.#snapshotting;
  }

  async #snapshot(image: MetadataImage): Promise<void> {
    const nowMs = this.#clock.wallMs();
    const id = { offset: image.offset + 1, epoch: image.epoch };
    this.#lastSnapshotMs = this.#clock.monotonicMs();
    const size = this.log.sizeBytes;
    try {
      const { kraftVersion, voters } = this.voters.before(id.offset);
      const content = encodeSnapshot([...snapshotRecords(image)], {
        epoch: id.epoch, nowMs, lastContainedLogTimestampMs: image.timestampMs, kraftVersion, voters: kraftVersion > 0 ? recordOfVoters(voters) : null,
      });
      await writeSnapshot(this.#disk, this.#directory, id, content);
      if (id.offset > (this.#newestSnapshot?.offset ?? 0)) this.#newestSnapshot = id;
      this.#earliestSnapshot = null;
      this.voters.truncateFromStart(id.offset);
      this.#sizeAtSnapshot = size;
      this.clean();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#logger.warn(`no snapshot of the metadata at offset ${id.offset}: ${error.message}`);
    }
  }

  /** Drops snapshots that are too old or too much, oldest first, and the log before the oldest one left. Throws a DiskError. */
  clean(): void {
    const retentionMs = this.#settings.get('metadata.max.retention.ms');
    const retentionBytes = this.#settings.get('metadata.max.retention.bytes');
    const snapshots = listSnapshots(this.#disk, this.#directory);
    let bytes = this.log.sizeBytes + snapshots.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (let next = snapshots[1]; next !== undefined && next.offset <= this.log.highWatermark; next = snapshots[1]) {
      const oldest = snapshots[0]!;
      const isOld = retentionMs >= 0 && this.#clock.wallMs() - this.#lastTimestampMs(oldest) > retentionMs;
      const isTooMuch = retentionBytes >= 0 && bytes > retentionBytes;
      if (!isOld && !isTooMuch) return;
      this.#disk.unlink(joinPath(this.#directory, oldest.name));
      this.#earliestSnapshot = null;
      const before = this.log.sizeBytes;
      this.#trimLog(next.offset);
      this.#sizeAtSnapshot -= before - this.log.sizeBytes;
      bytes -= oldest.sizeBytes + before - this.log.sizeBytes;
      snapshots.shift();
    }
  }

  /** A snapshot that was fetched has all that earlier ones have. Throws a DiskError. */
  dropSnapshotsBefore(id: SnapshotId): void {
    this.#lastSnapshotMs = this.#clock.monotonicMs();
    this.#sizeAtSnapshot = this.log.sizeBytes;
    this.#earliestSnapshot = null;
    for (const { name, offset } of listSnapshots(this.#disk, this.#directory)) {
      if (offset < id.offset) this.#disk.unlink(joinPath(this.#directory, name));
    }
  }

  #lastTimestampMs(snapshot: SnapshotFile): number {
    try {
      return readSnapshot(this.#disk, this.#directory, snapshot).lastContainedLogTimestampMs;
    } catch (error) {
      // Old and unreadable: nobody will miss it.
      if (error instanceof RangeError || error instanceof KafkaError) return 0;
      throw error;
    }
  }

  #trimLog(offset: number): void {
    this.log.advanceLogStartOffset(offset);
    for (const name of this.log.applyRetention(this.#clock.wallMs())) {
      this.#disk.unlink(name.includes('/') ? name : joinPath(this.#directory, name));
    }
  }

  /** Closes the files and leaves them as they are: the directory is not this node's to change. */
  abandon(): void {
    this.log.retire(this.#directory);
  }

  async close(): Promise<void> {
    await this.#snapshotting;
    const { highWatermark } = this.log;
    await this.log.close();
    this.noteCommitted(highWatermark, { atOnce: true });
  }

  #understood<T>(read: () => T, where: string): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof RangeError) && !(error instanceof KafkaError)) throw error;
      throw new MetadataError(`the metadata in ${this.#directory} cannot be used (${where}): ${error.message}`, { cause: error });
    }
  }
}

function newestSnapshot(disk: Disk, directory: string): SnapshotFile | undefined {
  return listSnapshots(disk, directory).at(-1);
}

function logConfig(settings: Settings): LogConfig {
  return {
    ...DEFAULT_LOG_CONFIG,
    // The internal one, for tests, has no lower bound.
    segmentBytes: settings.get('internal.metadata.log.segment.bytes') ?? settings.get('metadata.log.segment.bytes'),
    segmentMs: settings.get('metadata.log.segment.ms'),
    // Only what a snapshot covers is deleted, by `clean`.
    cleanupPolicy: 'delete',
    retentionBytes: -1,
    retentionMs: -1,
  };
}

