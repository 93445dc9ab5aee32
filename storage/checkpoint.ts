/**
 * The text files in which Kafka keeps a number for each partition of a log directory, or for each epoch of a partition.
 *
 *     0                        version
 *     2                        number of lines that follow
 *     plain 0 525              topic, partition, offset        or: epoch, start offset
 *     txn 1 1116
 *
 * Promises: what was read is all of the file and nothing else; a file that is empty, cut or damaged is reported so, never read as fewer entries. Does not: know what the numbers mean, nor cut them when they are beyond the log's end.
 */
import { corrupt, joinPath, loadFile, ReplacedFile, replaceFileSync } from './files.ts';
import type { Loaded } from './files.ts';
import type { Disk } from './disk.ts';
import { parsePartitionName } from './directory-name.ts';

const VERSION = '0';

/** Offsets below which a log is known to be on the disk. */
export const RECOVERY_POINT_CHECKPOINT = 'recovery-point-offset-checkpoint';
/** High watermarks. */
export const REPLICATION_CHECKPOINT = 'replication-offset-checkpoint';
/** Log start offsets, of the logs where they are not the base offset of the first segment. */
export const LOG_START_CHECKPOINT = 'log-start-offset-checkpoint';
/** How far the log cleaner got. */
export const CLEANER_CHECKPOINT = 'cleaner-offset-checkpoint';

export function formatCheckpoint(lines: readonly string[]): Buffer {
  return Buffer.from(`${VERSION}\n${lines.length}\n${lines.map((line) => `${line}\n`).join('')}`);
}

/** The lines behind the head, each split at blanks. */
export function parseCheckpoint(bytes: Buffer, fieldsPerLine: number): Loaded<string[][]> {
  const text = bytes.toString('utf8');
  // The last line's end is there in what Kafka writes; without it, nothing shows that the last number is whole.
  if (!text.endsWith('\n')) return corrupt('ends in the middle of a line');
  const lines = text.slice(0, -1).split('\n');
  const [version, count] = lines;
  if (version !== VERSION) return corrupt(`version ${shown(version)}`);
  if (count === undefined || parseNumber(count) === undefined) return corrupt(`a count of ${shown(count)}`);
  if (lines.length - 2 !== Number(count)) return corrupt(`${lines.length - 2} lines where ${count} are announced`);
  const entries: string[][] = [];
  for (const line of lines.slice(2)) {
    const fields = line.split(/\s+/);
    if (fields.length !== fieldsPerLine) return corrupt(`the line ${shown(line)}`);
    entries.push(fields);
  }
  return { status: 'ok', value: entries };
}

/** A whole number of at least 0 and below 2^53. */
export function parseNumber(text: string): number | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** For the reason of a bad file: one line, not too long. */
function shown(text: string | undefined): string {
  return text === undefined ? 'nothing' : JSON.stringify(text.slice(0, 60));
}

/** One of the files of a log directory with an offset for each partition; the key is the name of the partition's directory, `topic-0`. */
export class OffsetCheckpoint {
  readonly path: string;
  readonly #disk: Disk;
  readonly #file: ReplacedFile;

  constructor(disk: Disk, directory: string, name: string) {
    this.#disk = disk;
    this.path = joinPath(directory, name);
    this.#file = new ReplacedFile(disk, this.path);
  }

  read(): Loaded<Map<string, number>> {
    return loadFile(this.#disk, this.path, parseOffsets);
  }

  /** Replaces the file; resolves when these offsets or newer ones are durable. */
  write(offsets: ReadonlyMap<string, number>): Promise<void> {
    return this.#file.replace(formatOffsets(offsets));
  }

  /** As `write`, at once, when no `write` is under way. Throws a DiskError. */
  writeSync(offsets: ReadonlyMap<string, number>): void {
    replaceFileSync(this.#disk, this.path, formatOffsets(offsets));
  }
}

export function formatOffsets(offsets: ReadonlyMap<string, number>): Buffer {
  const lines: string[] = [];
  for (const [name, offset] of offsets) {
    const partition = parsePartitionName(name);
    if (partition === undefined) throw new TypeError(`${name} is no partition`);
    lines.push(`${partition.topic} ${partition.partition} ${offset}`);
  }
  return formatCheckpoint(lines);
}

export function parseOffsets(bytes: Buffer): Loaded<Map<string, number>> {
  const lines = parseCheckpoint(bytes, 3);
  if (lines.status !== 'ok') return lines;
  const offsets = new Map<string, number>();
  for (const [topic, partition, offset] of lines.value) {
    const name = `${topic!}-${partition!}`;
    const value = parseNumber(offset!);
    if (value === undefined || parsePartitionName(name) === undefined) return corrupt(`the line ${shown(`${topic} ${partition} ${offset}`)}`);
    if (offsets.has(name)) return corrupt(`${name} twice`);
    offsets.set(name, value);
  }
  return { status: 'ok', value: offsets };
}
