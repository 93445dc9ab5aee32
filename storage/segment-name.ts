/**
 * The names of the files of a segment, as Kafka writes and reads them: twenty digits of the base offset and a suffix for the kind of file.
 *
 * Promises: what does not look exactly so is no segment file. Does not: touch the disk.
 */

export const LOG_SUFFIX = '.log';
export const OFFSET_INDEX_SUFFIX = '.index';
export const TIME_INDEX_SUFFIX = '.timeindex';
export const TXN_INDEX_SUFFIX = '.txnindex';
export const SNAPSHOT_SUFFIX = '.snapshot';
/** Put behind the whole name: waits to be removed; half made by the cleaner; made whole by the cleaner, not yet in its place. */
export const DELETED_SUFFIX = '.deleted';
export const CLEANED_SUFFIX = '.cleaned';
export const SWAP_SUFFIX = '.swap';

/** The kinds of file that belong to one segment; only the log itself is more than a cache. */
export const SEGMENT_SUFFIXES = [LOG_SUFFIX, OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX] as const;

const NAME = /^(\d{20})(\.log|\.index|\.timeindex|\.txnindex|\.snapshot)(\.deleted|\.cleaned|\.swap)?$/;

export interface SegmentFileName {
  readonly baseOffset: number;
  readonly kind: string;
  /** '' for a file in use. */
  readonly state: string;
}

export function segmentFileName(baseOffset: number, suffix: string): string {
  return String(baseOffset).padStart(20, '0') + suffix;
}

/** undefined for the name of anything else, and for offsets beyond 2^53, which no broker reaches. */
export function parseSegmentFileName(name: string): SegmentFileName | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const baseOffset = Number(match[1]);
  if (!Number.isSafeInteger(baseOffset)) return undefined;
  return { baseOffset, kind: match[2] as string, state: match[3] ?? '' };
}
