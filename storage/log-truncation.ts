/**
 * Cutting a log: what a follower does when its leader's log is another.
 *
 * Promises: a crash at any moment leaves a log without a hole, either cut or not; the checkpoint of recovery points is lowered before the log is cut,
 * and the cut is durable before anything is written after it, so that old and new batches cannot come up mixed.
 * Does not: decide where to cut (`epochs` knows), or wait for what is being written (its caller has).
 */
import { DiskError } from './disk.ts';
import { createSegment, type LogState } from './log-state.ts';
import type { LogWriter } from './log-writer.ts';
import { rebuildProducers } from './recovery.ts';

export interface TruncationOptions {
  readonly offset: number;
  readonly nowMs: number;
  /** Makes a lower recovery point durable. */
  readonly recoveryPointLowered: () => Promise<void>;
}

/** Cuts before `offset`, which is in the log. Rejects with a StorageError. */
export async function truncateLog(log: LogState, writer: LogWriter, options: TruncationOptions): Promise<void> {
  const { offset, nowMs } = options;
  await lowerRecoveryPoint(log, offset, options);
  await cutting(log, writer, async () => {
    // Newest first, each durable before the next.
    for (const segment of [...log.segments.beyond(offset)].reverse()) {
      log.segments.remove(segment);
      segment.remove();
      log.disk.syncDirectory(log.directory);
    }
    const { active } = log.segments;
    const end = active.truncateTo(offset, nowMs);
    endAt(log, end);
    log.snapshots.removeBeyond(end);
    rebuildProducers(log.producers, log.snapshots, log.segments, { config: log.config, nowMs, logStartOffset: log.logStartOffset, endOffset: end });
    await writer.syncSegment(active);
  });
}

/** Throws everything away and begins anew at `offset`. Rejects with a StorageError. */
export async function restartLog(log: LogState, writer: LogWriter, options: TruncationOptions): Promise<void> {
  const { offset, nowMs } = options;
  await lowerRecoveryPoint(log, Math.min(offset, log.segments.first.baseOffset), options);
  await cutting(log, writer, async () => {
    for (const segment of [...log.segments.all].reverse()) {
      log.segments.remove(segment);
      segment.remove();
      log.disk.syncDirectory(log.directory);
    }
    log.snapshots.removeAll();
    log.segments.add(createSegment(log, offset, nowMs));
    endAt(log, offset);
    log.logStartOffset = offset;
    log.highWatermark = offset;
    log.recoveryPoint = offset;
    log.epochs.clear();
    log.latestEpoch = -1;
    log.producers.reset(offset);
    log.disk.syncDirectory(log.directory);
    log.namesChanged = false;
  });
}

/** The log ends here now, as far as memory goes. */
function endAt(log: LogState, offset: number): void {
  log.truncations++;
  log.tail.clear();
  log.logEndOffset = offset;
  log.writtenEndOffset = offset;
  log.logStartOffset = Math.min(log.logStartOffset, offset);
  log.highWatermark = Math.min(log.highWatermark, offset);
  log.recoveryPoint = Math.min(log.recoveryPoint, offset);
  log.epochs.truncateFromEnd(offset);
  log.latestEpoch = log.epochs.latestEpoch;
}

/** Recovery trusts what lies below the checkpointed point; after the cut, other batches will lie there. */
async function lowerRecoveryPoint(log: LogState, offset: number, options: TruncationOptions): Promise<void> {
  if (log.recoveryPoint <= offset) return;
  log.recoveryPoint = offset;
  await options.recoveryPointLowered();
}

async function cutting(log: LogState, writer: LogWriter, cut: () => Promise<void>): Promise<void> {
  try {
    await cut();
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    writer.fail(error);
    throw log.failure;
  }
}
