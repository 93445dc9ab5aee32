/**
 * What is done for the logs of a node now and then: retention, flushing by time, checkpoints, forgetting idle producers, removing files that were let go.
 *
 * Promises: each task runs by Kafka's own interval setting, one at a time, and none after `close`; a disk that refuses is said once in the log and tried
 * again by the next run, and keeps no other log or directory from its turn; what is under way is over when `close` resolves. Does not decide what is too old or too large: the log does.
 */
import { DiskError } from '../../storage/disk.ts';
import type { LogDirectory } from '../../storage/log-directory.ts';
import { StorageError } from '../../storage/log.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runtime, Timer } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';
import type { Partition } from './partition.ts';

export interface HousekeepingOptions {
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly settings: () => Settings;
  readonly directories: readonly LogDirectory[];
  readonly partitions: () => Iterable<Partition>;
}

/** setTimeout takes no more; an interval beyond it means never. */
const TIMER_MS_MAX = 2_147_483_647;

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #timers = new Map<string, Timer>();
  /** Tasks that have begun and not ended. */
  readonly #running = new Map<string, Promise<void>>();
  readonly #removals = new Set<Promise<void>>();
  /** Renamed to `.deleted` and still there, with the time at which they go. */
  #leaving: { readonly path: string; readonly atMs: number }[] = [];
  #checkpointed = '';
  #closed = false;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
  }

  start(): void {
    const settings = this.#options.settings();
    this.#every('retention', settings.get('log.retention.check.interval.ms'), () => this.#applyRetention());
    this.#every('checkpoint', settings.get('log.flush.offset.checkpoint.interval.ms'), () => this.#checkpoint());
    this.#every('flush', settings.get('log.flush.scheduler.interval.ms'), () => this.#flush());
    this.#every('producers', settings.get('producer.id.expiration.check.interval.ms'), () => this.#expireProducers());
  }

  /** Files of a deleted partition are going: `close` waits for them, so that nothing of ours is left running. */
  removing(removal: Promise<void>): void {
    const settled = removal.catch((error: unknown) => this.#say('removing the files of a deleted partition', error)).then(() => void this.#removals.delete(settled));
    this.#removals.add(settled);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    for (const { path } of this.#leaving.splice(0)) this.removing(this.#options.runtime.disk.removeAll(path));
    await Promise.all([...this.#running.values(), ...this.#removals]);
  }

  #every(name: string, intervalMs: number, task: () => void | Promise<void>): void {
    if (intervalMs > TIMER_MS_MAX) return;
    const run = async (): Promise<void> => {
      try {
        await task();
      } catch (error) {
        this.#say(name, error);
      }
      this.#running.delete(name);
      if (!this.#closed) again();
    };
    const again = (): void => void this.#timers.set(name, this.#options.runtime.timers.after(intervalMs, () => void this.#running.set(name, run())));
    again();
  }

  #say(what: string, error: unknown): void {
    if (!(error instanceof DiskError) && !(error instanceof StorageError)) throw error;
    this.#options.logger.error(`${what}: ${error.message}`);
  }

  #applyRetention(): void {
    const { runtime, partitions } = this.#options;
    const nowMs = runtime.clock.wallMs();
    const monotonicMs = runtime.clock.monotonicMs();
    const due = this.#leaving.filter((file) => file.atMs <= monotonicMs);
    this.#leaving = this.#leaving.filter((file) => file.atMs > monotonicMs);
    for (const { path } of due) this.removing(runtime.disk.removeAll(path));
    for (const { log, isBeingCut } of partitions()) {
      // Where it will end is not clear yet.
      if (isBeingCut) continue;
      try {
        const files = log.applyRetention(nowMs);
        for (const path of files) this.#leaving.push({ path, atMs: monotonicMs + log.config.fileDeleteDelayMs });
      } catch (error) {
        this.#say(`retention of ${log.topic}-${log.partition}`, error);
      }
    }
  }

  /** Nothing is written while nothing has changed: an idle broker leaves the disk alone. */
  async #checkpoint(): Promise<void> {
    let ends = 0;
    let points = 0;
    let count = 0;
    for (const { log } of this.#options.partitions()) {
      ends += log.highWatermark;
      points += log.recoveryPoint + log.logStartOffset;
      count++;
    }
    const now = `${count}:${ends}:${points}`;
    if (now === this.#checkpointed) return;
    let failed = false;
    for (const directory of this.#options.directories) {
      if (directory.offline !== undefined) continue;
      try {
        await directory.checkpoint();
      } catch (error) {
        failed = true;
        this.#say(`checkpoint of ${directory.path}`, error);
      }
    }
    if (!failed) this.#checkpointed = now;
  }

  async #flush(): Promise<void> {
    const nowMs = this.#options.runtime.clock.wallMs();
    for (const partition of [...this.#options.partitions()]) {
      const { log } = partition;
      // A recovery point that rose while the log is being cut would be written down beyond its end.
      if (log.failed || partition.isBeingCut || !log.isFlushDue(nowMs)) continue;
      try {
        await log.flush();
      } catch (error) {
        this.#say(`flush of ${log.topic}-${log.partition}`, error);
      }
    }
  }

  #expireProducers(): void {
    const nowMs = this.#options.runtime.clock.wallMs();
    for (const { log } of this.#options.partitions()) log.expireProducers(nowMs);
  }
}
