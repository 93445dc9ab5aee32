/**
 * A directory of logs (Kafka's log.dir): its lock, its checkpoints, its mark of a clean shutdown, and the partitions in it.
 *
 * Promises: one process at a time; the mark is gone, durably, before a log in it is opened; checkpoints are replaced whole and keep the lines of
 * partitions that were not opened; when one log fails for good, all of the directory takes nothing more (`onOffline`, once), and no mark is
 * written when it is closed.
 * Does not: know which partitions ought to be here (the metadata does), delete what nobody asked it to delete, start timers, or read meta.properties.
 */
import { CLEAN_SHUTDOWN, loadCleanShutdown, removeCleanShutdown, writeCleanShutdown } from './clean-shutdown.ts';
import { LOG_START_CHECKPOINT, OffsetCheckpoint, RECOVERY_POINT_CHECKPOINT, REPLICATION_CHECKPOINT } from './checkpoint.ts';
import { parseDirectoryName, partitionName, stateDirectoryName } from './directory-name.ts';
import { type Disk, DiskError } from './disk.ts';
import { joinPath, parentOf } from './files.ts';
import { IndexBudget, INDEX_BYTES_MAX_DEFAULT } from './index-budget.ts';
import type { LogConfig } from './log-config.ts';
import { Log, StorageError } from './log.ts';
import { isPassing } from './log-state.ts';
import { OPEN_FILES_MAX_DEFAULT, OpenFiles } from './open-files.ts';
import { formatPartitionMetadata, loadPartitionMetadata, PARTITION_METADATA } from './partition-metadata.ts';
import { TAIL_BYTES_MAX_DEFAULT, TailBudget } from './tail.ts';

/** The metadata log lies among the partitions, but belongs to the quorum; Kafka's checkpoints do not list it. */
export const METADATA_TOPIC = '__cluster_metadata';
const LOCK = '.lock';
/** Logs that are closed, and so synced, at the same time. */
const CLOSES_AT_ONCE = 32;

export interface LogDirectoryOptions {
  readonly disk: Disk;
  /** Made when it is missing. */
  readonly path: string;
  /** A new id in Kafka's text, for the names of directories that are being removed. */
  readonly uuid: () => string;
  readonly openFilesMax?: number;
  readonly indexBytesMax?: number;
  /** May be shared by several directories. */
  readonly tail?: TailBudget;
  /** See LogOptions. */
  readonly jitter?: () => number;
}

export interface FoundPartition {
  readonly topic: string;
  readonly partition: number;
  /** Name of its directory. */
  readonly name: string;
}

export interface OpenLogOptions {
  readonly config: LogConfig;
  readonly nowMs: number;
  /** See LoadOptions of recovery.ts. */
  readonly cutsDamage?: boolean;
}

export interface CreateLogOptions extends OpenLogOptions {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: string;
}

export class LogDirectory {
  readonly path: string;
  /** The broker before this one left the directory in order. */
  readonly cleanShutdown: boolean;
  /** The epoch under which that broker was registered; -1 when it is not known. */
  readonly previousBrokerEpoch: number;
  /** Partitions that were there when the directory was opened, those of the metadata log excepted. */
  readonly found: readonly FoundPartition[];
  /** Files that did not serve, and what was made of it: for the operator's log. */
  readonly problems: readonly string[];
  /** Once: nothing in here can be appended to any more. */
  onOffline: (error: StorageError) => void = () => {};

  readonly #options: LogDirectoryOptions;
  readonly #disk: Disk;
  readonly #unlock: () => void;
  readonly #files: OpenFiles;
  readonly #indexes: IndexBudget;
  readonly #tail: TailBudget;
  readonly #logs = new Map<string, Log>();
  readonly #recoveryPointFile: OffsetCheckpoint;
  readonly #logStartFile: OffsetCheckpoint;
  readonly #highWatermarkFile: OffsetCheckpoint;
  /** What the files said, less the partitions that were opened since or deleted. */
  readonly #recoveryPoints: Map<string, number>;
  readonly #logStarts: Map<string, number>;
  readonly #highWatermarks: Map<string, number>;
  #markRemoved = false;
  #offline: StorageError | undefined;
  #namesChanged = false;
  #closed = false;

  /** Throws a DiskError: EBUSY when a living process has it. */
  static open(options: LogDirectoryOptions): LogDirectory {
    makeDurably(options.disk, options.path);
    const unlock = options.disk.lock(joinPath(options.path, LOCK));
    try {
      return new LogDirectory(options, unlock);
    } catch (error) {
      unlock();
      throw error;
    }
  }

  private constructor(options: LogDirectoryOptions, unlock: () => void) {
    const { disk, path } = options;
    const problems: string[] = [];
    this.path = path;
    this.#options = options;
    this.#disk = disk;
    this.#unlock = unlock;
    this.#files = new OpenFiles(disk, { openFilesMax: options.openFilesMax ?? OPEN_FILES_MAX_DEFAULT });
    this.#indexes = new IndexBudget({ indexBytesMax: options.indexBytesMax ?? INDEX_BYTES_MAX_DEFAULT });
    this.#tail = options.tail ?? new TailBudget({ tailBytesMax: TAIL_BYTES_MAX_DEFAULT });
    const found: FoundPartition[] = [];
    for (const name of disk.list(path)) {
      const parsed = parseDirectoryName(name);
      if (parsed?.state === undefined && parsed !== undefined && parsed.topic !== METADATA_TOPIC) found.push({ topic: parsed.topic, partition: parsed.partition, name });
    }
    const mark = loadCleanShutdown(disk, path);
    // A mark that says nothing sensible is one that nobody finished writing.
    this.cleanShutdown = mark.status === 'ok';
    this.previousBrokerEpoch = mark.status === 'ok' ? mark.value : -1;
    if (mark.status === 'corrupt') problems.push(`${CLEAN_SHUTDOWN}: ${mark.reason}; every log is recovered`);
    const checkpoint = (name: string, without: string): [OffsetCheckpoint, Map<string, number>] => {
      const file = new OffsetCheckpoint(disk, path, name);
      const read = file.read();
      if (read.status === 'corrupt') problems.push(`${name}: ${read.reason}; ${without}`);
      // Apache Kafka makes it empty when it makes the directory.
      if (read.status === 'empty' && found.length > 0) problems.push(`${name}: empty; ${without}`);
      return [file, read.status === 'ok' ? read.value : new Map()];
    };
    [this.#recoveryPointFile, this.#recoveryPoints] = checkpoint(RECOVERY_POINT_CHECKPOINT, 'logs are recovered from their beginning');
    [this.#logStartFile, this.#logStarts] = checkpoint(LOG_START_CHECKPOINT, 'logs start at their first segment');
    [this.#highWatermarkFile, this.#highWatermarks] = checkpoint(REPLICATION_CHECKPOINT, 'high watermarks begin at the log start');
    this.found = found;
    this.#namesChanged = !this.cleanShutdown && found.length > 0;
    this.problems = problems;
  }

  get offline(): StorageError | undefined {
    return this.#offline;
  }

  get logs(): Iterable<Log> {
    return this.#logs.values();
  }

  log(topic: string, partition: number): Log | undefined {
    return this.#logs.get(partitionName(topic, partition));
  }

  get openFileCount(): number {
    return this.#files.count;
  }

  /** The topic id that a partition found here says it belongs to; undefined when it does not say. */
  topicIdOf(found: FoundPartition): string | undefined {
    const loaded = loadPartitionMetadata(this.#disk, joinPath(this.path, found.name));
    return loaded.status === 'ok' ? loaded.value : undefined;
  }

  /** Removes what earlier deletions left behind: directories renamed to `-delete`. */
  async removeDeleted(): Promise<void> {
    for (const name of this.#disk.list(this.path)) {
      if (parseDirectoryName(name)?.state === 'delete') await this.#disk.removeAll(joinPath(this.path, name));
    }
  }

  /** Opens the log of a partition that is here, recovering it when need be. Throws a DiskError. */
  openLog(found: FoundPartition, options: OpenLogOptions): Log {
    const { name } = found;
    const topicId = this.topicIdOf(found);
    return this.#open(name, found.topic, found.partition, topicId, options, {
      recoveryPoint: this.#recoveryPoints.get(name) ?? 0,
      logStartOffset: this.#logStarts.get(name) ?? 0,
    });
  }

  /**
   * Makes the log of a new partition. Its names and its topic id become durable with its first flush: until then nothing in it is.
   * A directory of that name that is here already is taken over: what is in it is opened. Throws a DiskError.
   */
  createLog(options: CreateLogOptions): Log {
    const { topic, partition, topicId } = options;
    const name = partitionName(topic, partition);
    const directory = joinPath(this.path, name);
    this.#removeMark();
    this.#disk.makeDirectory(directory);
    this.#namesChanged = true;
    const metadataPath = joinPath(directory, PARTITION_METADATA);
    const temporary = `${metadataPath}.tmp`;
    const file = this.#disk.open(temporary, 'replace');
    try {
      file.writeSync([formatPartitionMetadata(topicId)], 0);
    } finally {
      file.close();
    }
    this.#disk.rename(temporary, metadataPath);
    return this.#open(name, topic, partition, topicId, options, {
      recoveryPoint: this.#recoveryPoints.get(name) ?? 0,
      logStartOffset: this.#logStarts.get(name) ?? 0,
    });
  }

  /**
   * Opens or makes the metadata log. It is in none of the checkpoints: after an unclean shutdown all of it is checked.
   * `logStartOffset` is that of the oldest snapshot needed. Throws a DiskError.
   */
  openMetadataLog(options: OpenLogOptions & { readonly topicId: string; readonly logStartOffset?: number }): Log {
    const name = partitionName(METADATA_TOPIC, 0);
    if (this.#disk.status(joinPath(this.path, name)) === undefined) return this.createLog({ ...options, topic: METADATA_TOPIC, partition: 0 });
    return this.#open(name, METADATA_TOPIC, 0, options.topicId, options, { recoveryPoint: 0, logStartOffset: options.logStartOffset ?? 0 });
  }

  #open(
    name: string, topic: string, partition: number, topicId: string | undefined, options: OpenLogOptions,
    state: { recoveryPoint: number; logStartOffset: number },
  ): Log {
    if (this.#logs.has(name)) throw new TypeError(`${name} is open already`);
    this.#removeMark();
    const { jitter } = this.#options;
    const log = Log.open({
      disk: this.#disk, directory: joinPath(this.path, name), topic, partition, config: options.config, nowMs: options.nowMs,
      cleanShutdown: this.cleanShutdown, cutsDamage: options.cutsDamage ?? false, tail: this.#tail, files: this.#files, indexes: this.#indexes, ...state,
      ...(topicId !== undefined && { topicId }), ...(jitter !== undefined && { jitter }),
      // Also of a partition that was found: whoever made it may have been killed, or have stopped without a flush, before its names were durable.
      beforeFirstSync: () => this.#syncPartition(name),
    });
    log.onFailed = (error) => this.#goOffline(error);
    log.onRecoveryPointLowered = () => this.#checkpointed(() => this.#writeRecoveryPoints());
    log.onLogStartLowered = () => this.#checkpointed(() => this.#writeLogStarts());
    const highWatermark = this.#highWatermarks.get(name);
    if (highWatermark !== undefined) log.advanceHighWatermark(highWatermark);
    this.#logs.set(name, log);
    // A log that ends before its recovery point has lost something. What is appended there now must not be taken for flushed after the next crash.
    if (state.recoveryPoint > log.logEndOffset) this.#recoveryPointFile.writeSync(this.#recoveryPointsNow());
    return log;
  }

  /** Makes durable which topic a partition is of, and the name of its directory; the log then makes the names in it so. Rejects with a DiskError. */
  async #syncPartition(name: string): Promise<void> {
    const metadataPath = joinPath(joinPath(this.path, name), PARTITION_METADATA);
    if (this.#disk.status(metadataPath) !== undefined) {
      const metadata = this.#disk.open(metadataPath, 'update');
      try {
        await metadata.sync();
      } finally {
        metadata.close();
      }
    }
    this.#syncNames();
  }

  /**
   * Takes a partition out of use at once, by renaming its directory; resolves when its files are gone. Whoever reads it may finish.
   * Throws, or rejects with, a DiskError.
   */
  deleteLog(log: Log): Promise<void> {
    const name = partitionName(log.topic, log.partition);
    const deleted = joinPath(this.path, stateDirectoryName(log.topic, log.partition, this.#options.uuid(), 'delete'));
    this.#disk.rename(joinPath(this.path, name), deleted);
    this.#namesChanged = true;
    log.retire(deleted);
    this.#forget(name);
    return this.#disk.removeAll(deleted);
  }

  /** Deletes a partition that was found here and not opened. */
  deleteFound(found: FoundPartition): Promise<void> {
    const deleted = joinPath(this.path, stateDirectoryName(found.topic, found.partition, this.#options.uuid(), 'delete'));
    this.#disk.rename(joinPath(this.path, found.name), deleted);
    this.#namesChanged = true;
    this.#forget(found.name);
    return this.#disk.removeAll(deleted);
  }

  /** Puts a partition that nobody knows aside, for a human to look at (Kafka's `-stray`): data is not deleted without being told to. */
  putAside(found: FoundPartition): string {
    const stray = stateDirectoryName(found.topic, found.partition, this.#options.uuid(), 'stray');
    this.#disk.rename(joinPath(this.path, found.name), joinPath(this.path, stray));
    this.#namesChanged = true;
    this.#forget(found.name);
    return stray;
  }

  #forget(name: string): void {
    this.#logs.delete(name);
    for (const offsets of [this.#recoveryPoints, this.#logStarts, this.#highWatermarks]) offsets.delete(name);
  }

  /** Writes down recovery points, log starts and high watermarks. Rejects with a StorageError; the directory is offline then. */
  async checkpoint(): Promise<void> {
    await this.#checkpointed(async () => {
      this.#syncNames();
      await this.#writeRecoveryPoints();
      await this.#writeLogStarts();
      await this.#highWatermarkFile.write(this.#offsets(this.#highWatermarks, (log) => log.highWatermark));
    });
  }

  /** As Kafka: a log that starts where its first segment does needs no line; but the name of that segment must be durable to say so. */
  #writeLogStarts(): Promise<void> {
    const needsLine = (log: Log): boolean => log.logStartOffset > log.segments.first.baseOffset || (log.logStartOffset > 0 && !log.namesAreDurable);
    return this.#logStartFile.write(this.#offsets(this.#logStarts, (log) => (needsLine(log) ? log.logStartOffset : undefined)));
  }

  #writeRecoveryPoints(): Promise<void> {
    return this.#recoveryPointFile.write(this.#recoveryPointsNow());
  }

  #recoveryPointsNow(): Map<string, number> {
    return this.#offsets(this.#recoveryPoints, (log) => log.recoveryPoint);
  }

  #offsets(closed: ReadonlyMap<string, number>, offsetOf: (log: Log) => number | undefined): Map<string, number> {
    const offsets = new Map(closed);
    for (const [name, log] of this.#logs) {
      offsets.delete(name);
      const offset = log.topic === METADATA_TOPIC ? undefined : offsetOf(log);
      if (offset !== undefined) offsets.set(name, offset);
    }
    return offsets;
  }

  async #checkpointed(write: () => Promise<void>): Promise<void> {
    if (this.#offline !== undefined) throw this.#offline;
    try {
      await write();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // A full disk leaves the old files, which are true; of any other failure nobody knows what it left.
      const failure = new StorageError(this.path, error);
      if (!isPassing(error)) this.#goOffline(failure);
      throw failure;
    }
  }

  /**
   * Closes all logs, writes the checkpoints, and, when nothing failed, the mark of a clean shutdown. Gives back the lock. Rejects with the first
   * StorageError, after everything has been closed.
   */
  async close(brokerEpoch = -1): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    let failure: unknown;
    const logs = [...this.#logs.values()];
    const closeNext = async (): Promise<void> => {
      for (let log = logs.pop(); log !== undefined; log = logs.pop()) await log.close().catch((error: unknown) => (failure ??= error));
    };
    await Promise.all(Array.from({ length: CLOSES_AT_ONCE }, closeNext));
    try {
      if (failure === undefined) await this.checkpoint();
      if (failure === undefined && this.#offline === undefined) writeCleanShutdown(this.#disk, this.path, brokerEpoch);
    } catch (error) {
      failure = error;
    }
    this.#unlock();
    if (failure !== undefined) throw failure;
  }

  /** Gives back the lock of a directory in which nothing was opened, and leaves everything in it as it was. */
  release(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unlock();
  }

  #goOffline(error: StorageError): void {
    if (this.#offline !== undefined) return;
    this.#offline = error;
    for (const log of this.#logs.values()) log.takeOffline(error);
    this.onOffline(error);
  }

  #removeMark(): void {
    if (this.#markRemoved) return;
    removeCleanShutdown(this.#disk, this.path);
    this.#markRemoved = true;
  }

  #syncNames(): void {
    if (!this.#namesChanged) return;
    this.#disk.syncDirectory(this.path);
    this.#namesChanged = false;
  }
}

/** Makes a directory with its parents, whose names are durable afterwards. */
function makeDurably(disk: Disk, path: string): void {
  const missing: string[] = [];
  for (let at = path; disk.status(at) === undefined && at !== parentOf(at); at = parentOf(at)) missing.push(at);
  disk.makeDirectory(path);
  for (const made of missing) disk.syncDirectory(parentOf(made));
  if (missing.length > 0 || disk.list(path).length > 0) return;
  // There is nothing in it: the process that made it may have been killed before it came to this.
  for (let at = path; at !== parentOf(at); at = parentOf(at)) {
    try {
      disk.syncDirectory(parentOf(at));
    } catch (error) {
      // Further up, directories of others begin.
      if (error instanceof DiskError && (error.code === 'EACCES' || error.code === 'EPERM')) return;
      throw error;
    }
  }
}
