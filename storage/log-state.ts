/**
 * What the parts of a log share: where it begins and ends, and what it is made of. Data only; `log.ts` appends and reads, `log-writer.ts` writes and
 * flushes, `log-truncation.ts` cuts.
 */
import { DiskError, type Disk } from './disk.ts';
import type { EpochHistory } from './epoch-history.ts';
import type { LogConfig } from './log-config.ts';
import type { ProducerSnapshots } from './producer-snapshots.ts';
import type { ProducerState } from './producer-state.ts';
import { Segment, type SegmentResources } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import type { Tail } from './tail.ts';

export interface LogState {
  readonly disk: Disk;
  readonly resources: SegmentResources;
  readonly segments: SegmentList;
  readonly epochs: EpochHistory;
  readonly producers: ProducerState;
  readonly snapshots: ProducerSnapshots;
  readonly tail: Tail;
  /** Below 1, from 0 on: which part of segmentJitterMs the next segment takes. */
  readonly jitter: () => number;
  config: LogConfig;
  directory: string;
  logStartOffset: number;
  logEndOffset: number;
  writtenEndOffset: number;
  /**
   * All below it is on the disk. Unlike Kafka's it does not follow the log start: that may be forgotten in a crash, and what lies before it be a part of the
   * log again.
   */
  recoveryPoint: number;
  highWatermark: number;
  /** The epoch of the last batch, or of the leader that began after it. */
  latestEpoch: number;
  /** Grows whenever bytes in the files are taken away. */
  truncations: number;
  /** Names in the directory may not be durable yet. */
  namesChanged: boolean;
  failure: StorageError | undefined;
  closed: boolean;
  /** Told of a batch that is not what was written; whether it is kept from the reader. */
  readonly refusesDamage: (segment: Segment, offset: number) => boolean;
}

/** What a log that has failed answers to `flush`, `close` and the like. */
export class StorageError extends Error {
  readonly directory: string;
  constructor(directory: string, cause: Error) {
    super(`log in '${directory}': ${cause.message}`, { cause });
    this.name = 'StorageError';
    this.directory = directory;
  }
}

const NO_DESCRIPTOR: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE']);
const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);
const SYNCS: ReadonlySet<string> = new Set(['fdatasync', 'fsync']);

/**
 * The disk refuses for now: there is no room, or no descriptor. Nothing that was promised is in doubt, and the same may be tried again later. A sync that
 * found no room is none of these: of what it was to write, some may be lost.
 */
export function isPassing(error: unknown): boolean {
  const cause = error instanceof StorageError ? error.cause : error;
  if (!(cause instanceof DiskError)) return false;
  return NO_DESCRIPTOR.has(cause.code) || (NO_ROOM.has(cause.code) && !SYNCS.has(cause.operation));
}

export function segmentJitterMs(config: LogConfig, jitter: () => number): number {
  return Math.floor(jitter() * Math.max(0, Math.min(config.segmentJitterMs, config.segmentMs)));
}

/**
 * Makes the segment that the log goes on in, at `baseOffset`. The names of those before it are durable first, which they mostly are since the flush that
 * followed the last roll: else a crash could leave a log that begins with the new one. Throws a DiskError.
 */
export function createSegment(log: LogState, baseOffset: number, nowMs: number): Segment {
  const { config, jitter } = log;
  if (log.namesChanged) log.disk.syncDirectory(log.directory);
  const segment = Segment.create(log.resources, log.directory, { baseOffset, nowMs, jitterMs: segmentJitterMs(config, jitter), indexIntervalBytes: config.indexIntervalBytes });
  log.namesChanged = true;
  return segment;
}
