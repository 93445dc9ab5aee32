/**
 * How far the metadata log is known to be committed: a hint in a file of its own (`committed-offset`, which Kafka passes over), and the check
 * by it that tells damage from the end that a crash left unfinished.
 *
 * Promises: the mark is never beyond what is committed and on this node's disk, so a log that is not whole up to it has been damaged, and is refused before
 * anything in it is changed; what lies beyond may be torn by a power loss, and may be cut. Without a mark (a directory of Kafka's, or a lost file) a damaged
 * batch with sound ones behind it counts as damage. A new directory has one from the start, so that its first records may be torn too.
 * Does not: sync the mark (an older one only checks less), or read records.
 *
 *     0                               version, as in Kafka's own checkpoints
 *     1
 *     __cluster_metadata 0 4711       all below 4711 is committed
 */
import { baseOffset, MAGIC_AT, partitionLeaderEpoch, RECORD_BATCH_OVERHEAD } from '../../protocol/record/batch.ts';
import { BatchScan } from '../../storage/batch-scan.ts';
import { formatOffsets, parseOffsets } from '../../storage/checkpoint.ts';
import type { Disk, DiskFile } from '../../storage/disk.ts';
import { joinPath, loadFile } from '../../storage/files.ts';
import { LOG_SUFFIX, parseSegmentFileName, segmentFileName } from '../../storage/segment-name.ts';
import { storedCrcMatches, storedSize } from '../../storage/stored-batch.ts';

export const COMMITTED_OFFSET = 'committed-offset';
const PARTITION = '__cluster_metadata-0';
/** The mark may be that much behind: rewriting a small file after each commit would cost more than the commit. */
const WRITE_INTERVAL_MS = 1000;
const SCAN_CHUNK_BYTES = 1024 * 1024;

export class CommitMark {
  readonly #disk: Disk;
  readonly #path: string;
  #written: number | undefined;
  #writtenMs = -Infinity;

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#path = joinPath(directory, COMMITTED_OFFSET);
  }

  /** undefined when there is none. One whose content a power loss took says nothing, which is what 0 says. */
  load(): number | undefined {
    const loaded = loadFile(this.#disk, this.#path, parseOffsets);
    if (loaded.status === 'missing') return undefined;
    this.#written = loaded.status === 'ok' ? loaded.value.get(PARTITION) : undefined;
    return this.#written ?? 0;
  }

  /** What the file says; undefined before it was read or written. */
  get written(): number | undefined {
    return this.#written;
  }

  /** Throws a DiskError. */
  write(offset: number, { nowMs, atOnce }: { readonly nowMs: number; readonly atOnce: boolean }): void {
    if (offset === this.#written || (!atOnce && nowMs - this.#writtenMs < WRITE_INTERVAL_MS)) return;
    const file = this.#disk.open(`${this.#path}.tmp`, 'replace');
    try {
      file.writeSync([formatMark(offset)], 0);
    } finally {
      file.close();
    }
    this.#disk.rename(`${this.#path}.tmp`, this.#path);
    this.#written = offset;
    this.#writtenMs = nowMs;
  }
}

export function formatMark(offset: number): Buffer {
  return formatOffsets(new Map([[PARTITION, offset]]));
}

/** What is wrong with the log in the directory from the offset `from` on, or null when it is whole as far as it must be. */
export function logDamage(disk: Disk, directory: string, { from, mark }: { readonly from: number; readonly mark: number | undefined }): string | null {
  const baseOffsets: number[] = [];
  for (const name of disk.list(directory)) {
    const file = parseSegmentFileName(name);
    if (file?.kind === LOG_SUFFIX && file.state === '') baseOffsets.push(file.baseOffset);
  }
  // Names are sorted, and so are their digits. From the segment that holds `from` on.
  const segments = baseOffsets.slice(Math.max(0, baseOffsets.findLastIndex((offset) => offset <= from)));
  let end = segments[0] ?? 0;
  let epoch = 0;
  let isDamaged = false;
  for (const offset of segments) {
    const file = disk.open(joinPath(directory, segmentFileName(offset, LOG_SUFFIX)), 'read');
    try {
      let position = 0;
      if (!isDamaged) {
        const scan = new BatchScan(file, 0, file.sizeBytes(), SCAN_CHUNK_BYTES);
        // The checksum covers neither offset nor epoch, but the metadata log has no gaps, and its epochs only grow.
        while (scan.next() && scan.crcMatches() && baseOffset(scan.buffer, scan.at) === end && partitionLeaderEpoch(scan.buffer, scan.at) >= epoch) {
          end = scan.lastOffset + 1;
          epoch = partitionLeaderEpoch(scan.buffer, scan.at);
        }
        isDamaged = scan.stop !== 'end';
        position = scan.position;
      }
      if (isDamaged && mark === undefined && hasSoundBatch(file, position, end)) return `damage at offset ${end}, with batches behind it`;
    } finally {
      file.close();
    }
    if (isDamaged && mark !== undefined) break;
  }
  if (mark === undefined || mark <= from || end >= mark) return null;
  return `it is whole up to offset ${end}, and ${mark} had been committed`;
}

/** Looks at every byte: where the damaged batch ends can no longer be told. */
function hasSoundBatch(file: DiskFile, position: number, afterOffset: number): boolean {
  const rest = Buffer.allocUnsafe(Math.max(0, file.sizeBytes() - position));
  const length = file.readSync(rest, position);
  for (let at = 0; at + RECORD_BATCH_OVERHEAD <= length; at++) {
    if (rest[at + MAGIC_AT] !== 2) continue;
    const size = storedSize(rest, at);
    if (size < RECORD_BATCH_OVERHEAD || size > length - at || baseOffset(rest, at) < afterOffset) continue;
    if (storedCrcMatches(rest, at)) return true;
  }
  return false;
}
