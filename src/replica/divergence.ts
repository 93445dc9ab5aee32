/**
 * Where a follower's log has to be cut for its leader's: a pure function of the follower's epochs and what the leader said of its own (KIP-101, KIP-279).
 *
 * Promises: nothing is cut that the leader has, and the cut lies at or before the place where the logs part; it may take several rounds, each with an older epoch, until
 * the last one that both know is found. Does not cut.
 */
import type { EpochEnd } from '../../storage/log.ts';

/** What it is asked of: a log. */
export interface EpochedLog {
  readonly logStartOffset: number;
  readonly logEndOffset: number;
  endOffsetForEpoch(epoch: number): EpochEnd | null;
}

/**
 * `leader`: the largest epoch of the leader that is not larger than the one asked for, and where it ends there. The offset to cut to, which is not beyond the log's end; null
 * when the answer says nothing that could be used.
 */
export function truncationOffset(log: EpochedLog, leader: EpochEnd): number | null {
  if (leader.endOffset < 0) return null;
  const end = log.logEndOffset;
  // A leader that knows no epoch at all leaves its end to go by.
  if (leader.epoch < 0) return Math.min(leader.endOffset, end);
  const own = log.endOffsetForEpoch(leader.epoch);
  if (own === null) return Math.min(leader.endOffset, end);
  // An epoch that this log does not know: all behind the next older one goes, and with that one the leader is asked again.
  if (own.epoch !== leader.epoch) return Math.min(own.endOffset, end);
  return Math.min(own.endOffset, leader.endOffset, end);
}
