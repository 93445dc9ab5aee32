/**
 * A leader's answers to those who fetch the metadata log and its snapshots.
 *
 * Promises: a fetch tells where the follower's log parts from this one, or gives what comes next, or waits until there is something to tell: records, a higher
 * high watermark, the loss of the leadership, the end of its time. What a follower says it has is counted before it is answered. Offsets and epochs are checked
 * against the log before they are believed. Does not know the wire's versions (`quorum-service.ts`).
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { Disk } from '../../storage/disk.ts';
import { joinPath } from '../../storage/files.ts';
import type { LogRead } from '../../storage/log-read.ts';
import type { Timer, Timers } from '../runtime/runtime.ts';
import { BATCH_BYTES_MAX } from './batches.ts';
import type { RaftDriver } from './driver.ts';
import type { MetadataLog } from './metadata-log.ts';
import { leaderFault } from './raft.ts';
import type { SnapshotId } from './raft-state.ts';
import type { Agreement, Replication } from './replication.ts';
import { snapshotName } from './snapshots.ts';
import type { ReplicaKey } from './voters.ts';

/** Whatever is asked for, no answer is much longer. */
const ANSWER_BYTES_MAX = BATCH_BYTES_MAX;
/** One for each follower is all that there should be. */
const PARKED_MAX = 10_000;

export interface RaftFetch {
  readonly replica: ReplicaKey;
  readonly epoch: number;
  readonly offset: number;
  readonly lastEpoch: number;
  readonly highWatermark: number;
  readonly maxWaitMs: number;
  readonly maxBytes: number;
}

export interface RaftFetched {
  readonly error: ErrorCode;
  /** -1 while this leader knows of none. */
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly agreement: Agreement;
  readonly records: readonly Buffer[];
}

export interface SnapshotPiece {
  readonly error: ErrorCode;
  readonly sizeBytes: number;
  readonly bytes: Buffer;
}

interface Parked {
  readonly offset: number;
  readonly highWatermark: number;
  readonly wake: () => void;
}

export class RaftFetches {
  readonly #driver: RaftDriver;
  readonly #metadata: MetadataLog;
  readonly #replication: Replication;
  readonly #disk: Disk;
  readonly #timers: Timers;
  #parked: Parked[] = [];

  constructor(options: { readonly driver: RaftDriver; readonly metadata: MetadataLog; readonly replication: Replication; readonly disk: Disk; readonly timers: Timers }) {
    this.#driver = options.driver;
    this.#metadata = options.metadata;
    this.#replication = options.replication;
    this.#disk = options.disk;
    this.#timers = options.timers;
    options.driver.onProgress = () => this.#wake();
  }

  async fetch(asked: RaftFetch): Promise<RaftFetched> {
    await this.#driver.unlocked;
    const { offset, lastEpoch, epoch, maxWaitMs } = asked;
    if (maxWaitMs < 0 || offset < 0 || lastEpoch < 0 || lastEpoch > epoch) return this.#refused(ErrorCode.INVALID_REQUEST);
    const fault = this.#fault(epoch);
    if (fault !== undefined) return this.#refused(fault);
    const agreement = this.#replication.agreement(offset, lastEpoch);
    if (agreement.type !== 'valid') return this.#answer(agreement, []);
    let read = await this.#read(asked);
    const offsetOfBatch = read.bytes > 0 ? read.firstBatchBaseOffset : offset;
    if (this.#fault(epoch) === undefined) {
      // An offset within a batch is that of nobody who has followed this log: it has what comes before the batch.
      this.#driver.dispatch({ type: 'fetchedBy', key: asked.replica, offset: Math.min(offset, offsetOfBatch) });
      if (maxWaitMs > 0 && !this.#hasNews(asked)) {
        await this.#news(asked);
        read = await this.#read(asked);
      }
    }
    // What was waited for may be the end of the leadership.
    const later = this.#fault(epoch);
    if (later !== undefined) return this.#refused(later);
    return read.error === ErrorCode.NONE ? this.#answer(agreement, read.buffers) : this.#refused(ErrorCode.UNKNOWN_SERVER_ERROR);
  }

  #fault(epoch: number): ErrorCode | undefined {
    return this.#driver.isClosed ? ErrorCode.BROKER_NOT_AVAILABLE : leaderFault(this.#driver.state, epoch);
  }

  async #read({ offset, maxBytes }: RaftFetch): Promise<LogRead> {
    const { log } = this.#metadata;
    if (log.writtenEndOffset <= offset) return { error: ErrorCode.NONE, buffers: [], bytes: 0, firstBatchBaseOffset: -1, nextOffset: offset };
    return log.read(offset, { maxBytes: Math.min(Math.max(maxBytes, 0), ANSWER_BYTES_MAX), endOffset: log.writtenEndOffset, minOneBatch: true });
  }

  get #highWatermark(): number {
    const { role, highWatermark } = this.#driver.state;
    return role.name === 'leader' && highWatermark !== undefined && highWatermark > role.epochStartOffset ? highWatermark : -1;
  }

  #answer(agreement: Agreement, records: readonly Buffer[]): RaftFetched {
    return { error: ErrorCode.NONE, highWatermark: this.#highWatermark, logStartOffset: this.#metadata.log.logStartOffset, agreement, records };
  }

  #refused(error: ErrorCode): RaftFetched {
    return { error, highWatermark: -1, logStartOffset: this.#metadata.log.logStartOffset, agreement: { type: 'valid' }, records: [] };
  }

  // ---- waiting

  #hasNews({ offset, highWatermark }: Pick<RaftFetch, 'offset' | 'highWatermark'>): boolean {
    return this.#metadata.log.writtenEndOffset > offset || this.#highWatermark > highWatermark;
  }

  #news({ offset, highWatermark, maxWaitMs }: RaftFetch): Promise<void> {
    if (this.#parked.length >= PARKED_MAX) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel();
        this.#parked = this.#parked.filter((one) => one !== parked);
        resolve();
      };
      const parked: Parked = { offset, highWatermark, wake };
      const timer: Timer = this.#timers.after(maxWaitMs, wake);
      this.#parked.push(parked);
    });
  }

  #wake(): void {
    if (this.#parked.length === 0) return;
    const isOver = this.#driver.state.role.name !== 'leader';
    for (const parked of [...this.#parked]) if (isOver || this.#hasNews(parked)) parked.wake();
  }

  /** At the end: nobody is left waiting. */
  close(): void {
    for (const parked of [...this.#parked]) parked.wake();
  }

  // ---- snapshots

  async snapshot(asked: { readonly replica: ReplicaKey; readonly epoch: number; readonly id: SnapshotId; readonly position: number; readonly maxBytes: number }): Promise<SnapshotPiece> {
    await this.#driver.unlocked;
    const fault = this.#fault(asked.epoch);
    if (fault !== undefined) return refusedPiece(fault);
    const { id, position } = asked;
    // The one that `format` makes is nobody else's; and only a number that fits its place makes a name of a file.
    if (id.offset <= 0 || id.epoch < 0 || !Number.isSafeInteger(id.offset)) return refusedPiece(ErrorCode.SNAPSHOT_NOT_FOUND);
    const path = joinPath(this.#metadata.directory, snapshotName(id));
    const sizeBytes = this.#disk.status(path)?.sizeBytes;
    if (sizeBytes === undefined) return refusedPiece(ErrorCode.SNAPSHOT_NOT_FOUND);
    if (position < 0 || position >= sizeBytes) return refusedPiece(ErrorCode.POSITION_OUT_OF_RANGE);
    const length = Math.min(Math.max(asked.maxBytes, 1), ANSWER_BYTES_MAX, sizeBytes - position);
    const bytes = Buffer.allocUnsafe(length);
    const file = this.#disk.open(path, 'read');
    let read: number;
    try {
      read = await file.read(bytes, position);
    } finally {
      file.close();
    }
    this.#driver.dispatch({ type: 'snapshotFetchedBy', key: asked.replica });
    return { error: ErrorCode.NONE, sizeBytes, bytes: bytes.subarray(0, read) };
  }
}

function refusedPiece(error: ErrorCode): SnapshotPiece {
  return { error, sizeBytes: 0, bytes: Buffer.alloc(0) };
}
