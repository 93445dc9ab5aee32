/**
 * The metadata log as a member of the quorum that does not lead keeps it, and as the leader compares it with those of others.
 *
 * Promises: what a leader sends is appended only when it is sound, goes on where this log ends, and is understood record by record; it is in the latest image
 * then. The log is cut only where the leader's epochs say so and never below what is committed; a snapshot takes the log's place only when it is whole, read
 * and durable. Does not: decide whom to follow (`raft.ts`), or send.
 */
import assert from 'node:assert';
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { Disk } from '../../storage/disk.ts';
import { HEADER_BYTES, storedSize } from '../../storage/stored-batch.ts';
import type { Clock } from '../runtime/runtime.ts';
import { type MetadataBatch, readBatches } from './batches.ts';
import type { MetadataImages } from './images.ts';
import { MetadataError, type MetadataLog } from './metadata-log.ts';
import type { SnapshotId } from './raft-state.ts';
import { SnapshotDownload } from './snapshot-download.ts';
import { listSnapshots } from './snapshots.ts';

const READ_BYTES = 1024 * 1024;

/** Where a replica's log and this one part. */
export type Agreement =
  | { readonly type: 'valid' }
  | { readonly type: 'diverging'; readonly epoch: number; readonly endOffset: number }
  | { readonly type: 'snapshot'; readonly id: SnapshotId };

export class Replication {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #metadata: MetadataLog;
  readonly #images: MetadataImages;
  #download: SnapshotDownload | undefined;

  constructor(options: { readonly disk: Disk; readonly clock: Clock; readonly metadata: MetadataLog; readonly images: MetadataImages }) {
    this.#disk = options.disk;
    this.#clock = options.clock;
    this.#metadata = options.metadata;
    this.#images = options.images;
  }

  /** Appends and folds what the leader of `epoch` sent; what lies below `highWatermark` is published together. Throws a KafkaError or RangeError for what is not sound. */
  follow(bytes: Buffer, epoch: number, highWatermark: number): void {
    const { log } = this.#metadata;
    const whole = wholeBatches(bytes);
    const batches = [...readBatches(whole)];
    let end = log.logEndOffset;
    let lastEpoch = this.#metadata.lastEpoch;
    for (const batch of batches) {
      // Offsets and epochs are not under the checksum; without gaps and never falling is how the leader wrote them.
      if (batch.baseOffset !== end || batch.lastOffset < batch.baseOffset) throw unsound(`a batch at offset ${batch.baseOffset} where ${end} is due`);
      if (batch.epoch < lastEpoch || batch.epoch > epoch) throw unsound(`a batch of epoch ${batch.epoch} behind epoch ${lastEpoch} in epoch ${epoch}`);
      end = batch.lastOffset + 1;
      lastEpoch = batch.epoch;
    }
    // A batch may not be longer than a segment, so each is appended by itself; the buffer is the network's.
    const appended: MetadataBatch[] = [];
    let refused: ErrorCode = ErrorCode.NONE;
    let at = 0;
    for (const batch of batches) {
      const size = storedSize(whole, at);
      const { error } = log.appendAsFollower(Buffer.from(whole.subarray(at, at + size)), { leaderEpoch: epoch, nowMs: this.#clock.wallMs() });
      if (error !== ErrorCode.NONE) {
        refused = error;
        break;
      }
      this.#metadata.noteControl(batch);
      appended.push(batch);
      at += size;
    }
    this.#fold(appended, highWatermark);
    if (refused !== ErrorCode.NONE) throw new KafkaError(refused, 'the metadata log does not take what the leader sent');
  }

  /** What is in the log must be in the images: who cannot read it cannot go on. Throws a MetadataError. */
  #fold(batches: readonly MetadataBatch[], highWatermark: number): void {
    const committed = batches.filter((batch) => batch.lastOffset < highWatermark);
    try {
      if (committed.length > 0) this.#images.fold(committed);
      for (const batch of batches.slice(committed.length)) this.#images.fold([batch]);
    } catch (error) {
      if (!(error instanceof KafkaError) && !(error instanceof RangeError)) throw error;
      throw new MetadataError(`the metadata that the leader sent cannot be used: ${error.message}`, { cause: error });
    }
  }

  /** Cuts where the leader's epoch `epoch`, which ends at `endOffset`, and this log part. Resolves with the end. Rejects with a MetadataError for a cut of what is committed. */
  async truncate(epoch: number, endOffset: number): Promise<number> {
    const { log } = this.#metadata;
    const mine = this.#endOfEpoch(epoch);
    const end = epoch === 0 ? Math.min(endOffset, log.logEndOffset) : mine.epoch === epoch ? Math.min(mine.endOffset, endOffset) : mine.endOffset;
    if (end < this.#metadata.committedOffset) {
      throw new MetadataError(`the leader asks to cut the metadata log at offset ${end}, and ${this.#metadata.committedOffset} had been committed`);
    }
    await log.truncateTo(end, this.#clock.wallMs());
    await this.refold();
    return log.logEndOffset;
  }

  /** Makes the latest image follow from the log again, after its end is gone. */
  async refold(): Promise<void> {
    const { log, voters } = this.#metadata;
    voters.truncateFromEnd(log.logEndOffset);
    this.#images.revert();
    for (let offset = Math.max(this.#images.latest.offset + 1, log.logStartOffset); offset < log.logEndOffset; ) {
      const read = await log.read(offset, { maxBytes: READ_BYTES, endOffset: log.logEndOffset, minOneBatch: true });
      if (read.bytes === 0) throw new MetadataError(`the metadata log cannot be read at offset ${offset}`);
      const from = offset;
      const batches = read.buffers.flatMap((buffer) => [...readBatches(buffer)]);
      for (const batch of batches) if (batch.baseOffset >= from) this.#images.fold([batch]);
      offset = read.nextOffset;
    }
  }

  /** Where a replica that has all up to `offset`, the last of it written in `epoch`, stands to this log. */
  agreement(offset: number, epoch: number): Agreement {
    const { log, newestSnapshot } = this.#metadata;
    if (offset === 0) {
      if (newestSnapshot !== null) return { type: 'snapshot', id: newestSnapshot };
      if (log.logStartOffset === 0) return { type: 'valid' };
    }
    const { earliestSnapshot: earliest } = this.#metadata;
    if (earliest !== null && newestSnapshot !== null) {
      const isBefore = offset < log.logStartOffset || (offset === log.logStartOffset && epoch !== earliest.epoch) || epoch < earliest.epoch;
      if (isBefore) return { type: 'snapshot', id: newestSnapshot };
    }
    const end = this.#endOfEpoch(epoch);
    return end.epoch !== epoch || end.endOffset < offset ? { type: 'diverging', ...end } : { type: 'valid' };
  }

  /** The end of the largest epoch up to the one asked for, or the log's own where that is before all it knows. */
  #endOfEpoch(epoch: number): { epoch: number; endOffset: number } {
    const { log, lastEpoch } = this.#metadata;
    const end = log.endOffsetForEpoch(epoch);
    if (end === null || end.epoch < 0) return { epoch: lastEpoch, endOffset: log.logEndOffset };
    // The first record here may be of a later epoch than the snapshot before it, whose epoch ended where that begins.
    const { earliestSnapshot: earliest } = this.#metadata;
    if (earliest !== null && end.endOffset === earliest.offset && end.epoch === epoch) return { epoch: earliest.epoch, endOffset: earliest.offset };
    return { epoch: end.epoch, endOffset: end.endOffset };
  }

  /** True when the snapshot is here already. */
  beginSnapshot(id: SnapshotId): boolean {
    this.#download?.abandon();
    this.#download = undefined;
    if (listSnapshots(this.#disk, this.#metadata.directory).some(({ offset, epoch }) => offset === id.offset && epoch === id.epoch)) return true;
    this.#download = new SnapshotDownload(this.#disk, this.#metadata.directory, id);
    return false;
  }

  /** Writes what came; resolves with how much there is, and makes log and images follow from the snapshot once it is whole. Rejects with a KafkaError or RangeError when it is damaged. */
  async takeChunk(id: SnapshotId, position: number, sizeBytes: number, bytes: Buffer): Promise<{ position: number; isWhole: boolean }> {
    const download = this.#download;
    assert(download !== undefined && download.id.offset === id.offset && download.id.epoch === id.epoch && download.position === position, 'a piece of another snapshot');
    await download.append(bytes);
    if (download.position < sizeBytes) return { position: download.position, isWhole: false };
    this.#download = undefined;
    await download.finish();
    await this.followSnapshot(id);
    return { position: download.position, isWhole: true };
  }

  /** The log begins anew at the end of the snapshot, which is here. */
  async followSnapshot(id: SnapshotId): Promise<void> {
    const file = listSnapshots(this.#disk, this.#metadata.directory).find(({ offset, epoch }) => offset === id.offset && epoch === id.epoch);
    assert(file !== undefined, 'a snapshot that is not here');
    const { log } = this.#metadata;
    await log.truncateFullyAndStartAt(id.offset, this.#clock.wallMs());
    this.#metadata.loadSnapshot(file, this.#images);
    this.#metadata.dropSnapshotsBefore(id);
  }

  close(): void {
    this.#download?.abandon();
    this.#download = undefined;
  }
}

/** Without the batch at the end that the answer's limit cut short. */
function wholeBatches(bytes: Buffer): Buffer {
  let end = 0;
  while (bytes.length - end >= HEADER_BYTES) {
    const size = storedSize(bytes, end);
    if (size < HEADER_BYTES || size > bytes.length - end) break;
    end += size;
  }
  if (end === 0 && bytes.length > 0) throw unsound(`${bytes.length} bytes without a whole batch`);
  return bytes.subarray(0, end);
}

function unsound(detail: string): KafkaError {
  return new KafkaError(ErrorCode.CORRUPT_MESSAGE, `what the leader of the metadata quorum sent is not sound: ${detail}`);
}
