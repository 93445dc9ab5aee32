/**
 * Cutting a log: what a follower does when its leader's log is another.
 *
 * Promises: a crash at any moment leaves a log without a hole, either cut or not; the checkpoint of recovery points is lowered before the log is cut,
 * and the cut is durable before anything is written after it, so that old and new batches cannot come up mixed.
 * Does not: decide where to cut (`epochs` knows), or wait for what is being written (its caller has).
 */
import { createSegment, type LogState } from './log-state.ts';
import type { LogWriter } from './log-writer.ts';
import { rebuildProducers } from './recovery.ts';
import type { Segment } from './segment.ts';

export interface TruncationOptions {
  readonly offset: number;
  readonly nowMs: number;
  /** Makes a lower recovery point durable. */
  readonly recoveryPointLowered: () => Promise<void>;
  /** Makes a lower log start durable. */
  readonly logStartLowered: () => Promise<void>;
}

/** Cuts before `offset`, which is in the log. Rejects with a StorageError: the log is cut all the same, as soon as the disk lets it, if that `isPassing`. */
export async function truncateLog(log: LogState, writer: LogWriter, options: TruncationOptions): Promise<void> {
  const { offset, nowMs } = options;
  let end = offset;
  // Where it really ends, told before anything is lowered or cut: of the batch that the offset lies inside of, nothing is left.
  cutting(writer, () => {
    end = Math.min(offset, log.segments.from(offset)[0]?.findBatch(offset)?.baseOffset ?? offset);
  });
  await lowerCheckpoints(log, { recoveryPoint: end, logStart: end }, options);
  let snapshotsRemoved = false;
  cutting(writer, () => {
    snapshotsRemoved = log.snapshots.removeBeyond(end) || snapshotsRemoved;
    if (snapshotsRemoved) log.disk.syncDirectory(log.directory);
    // Newest first, each durable before the next.
    for (const segment of [...log.segments.beyond(end)].reverse()) removeLast(log, segment);
    const { active } = log.segments;
    active.truncateTo(end, nowMs);
    endAt(log, end);
    rebuildProducers(log.producers, log.snapshots, log.segments, { config: log.config, nowMs, logStartOffset: log.logStartOffset, endOffset: end });
    // The markers that are left are replicated as far as they were before.
    log.producers.advanceHighWatermark(log.highWatermark);
    writer.syncSegmentNow(active);
  });
}

/** Throws everything away and begins anew at `offset`. Rejects as `truncateLog` does. */
export async function restartLog(log: LogState, writer: LogWriter, options: TruncationOptions): Promise<void> {
  const { offset, nowMs } = options;
  await lowerCheckpoints(log, { recoveryPoint: Math.min(offset, log.segments.first.baseOffset), logStart: offset }, options);
  cutting(writer, () => {
    while (log.segments.count > 1) removeLast(log, log.segments.active);
    // The new one first, so that there always is one; if they have the same name, making it has emptied the old one.
    const old = log.segments.first;
    const fresh = createSegment(log, offset, nowMs);
    if (old.baseOffset === offset) old.close();
    else old.remove();
    log.segments.clear();
    log.segments.add(fresh);
    endAt(log, offset);
    log.logStartOffset = offset;
    log.highWatermark = offset;
    log.recoveryPoint = offset;
    log.epochs.clear();
    log.latestEpoch = -1;
    log.producers.reset(offset);
    log.snapshots.removeAll();
    // Of a file that was emptied a crash would bring back the old batches.
    writer.syncSegmentNow(fresh);
    log.disk.syncDirectory(log.directory);
    log.namesChanged = false;
  });
}

function removeLast(log: LogState, segment: Segment): void {
  segment.remove();
  log.segments.remove(segment);
  endAt(log, Math.min(log.logEndOffset, segment.baseOffset));
  log.disk.syncDirectory(log.directory);
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

/**
 * Recovery trusts what lies below the checkpointed point, where other batches will lie after the cut; and it takes a log that ends before its checkpointed
 * start for one that is gone.
 */
async function lowerCheckpoints(log: LogState, to: { recoveryPoint: number; logStart: number }, options: TruncationOptions): Promise<void> {
  if (log.recoveryPoint > to.recoveryPoint) {
    log.recoveryPoint = to.recoveryPoint;
    await options.recoveryPointLowered();
  }
  if (log.logStartOffset > to.logStart) {
    const { logStartOffset } = log;
    log.logStartOffset = to.logStart;
    try {
      await options.logStartLowered();
    } catch (error) {
      // It will not be cut: what was deleted stays so.
      log.logStartOffset = logStartOffset;
      throw error;
    }
  }
}

function cutting(writer: LogWriter, cut: () => void): void {
  if (writer.repair(cut)) return;
  const trouble = writer.trouble();
  if (trouble !== undefined) throw trouble;
}
