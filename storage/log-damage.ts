/**
 * What is done about bytes of a log that are no more what was written, when a reader comes upon them.
 *
 * Promises: where the owner has the log from elsewhere, the reader is refused, and the recovery point is lowered, durably, to the segment that is damaged, so that the
 * next start looks at it even if nothing in it is newer. Otherwise the reader is given the bytes, as Kafka does, and finds out by their checksum.
 * Does not: look for damage, or repair it.
 */
import { type LogState, StorageError } from './log-state.ts';
import type { Segment } from './segment.ts';

export class LogDamage {
  /** The batch at this offset is not what was written: whether others have it. */
  onFound: (offset: number) => boolean = () => false;
  /** The next start will look at it, whatever happens now. */
  onNoted: (offset: number) => void = () => {};

  refuses(log: LogState, segment: Segment, offset: number, recoveryPointLowered: () => Promise<void>): boolean {
    if (!this.onFound(offset)) return false;
    log.recoveryPoint = Math.min(log.recoveryPoint, segment.baseOffset);
    recoveryPointLowered().then(() => this.onNoted(offset), (error: unknown) => {
      // The directory is offline, and what it holds with it.
      if (!(error instanceof StorageError)) throw error;
    });
    return true;
  }
}
