/**
 * Makes durable what is appended to the metadata log, once for all that a turn of the event loop has appended.
 *
 * Promises: after `ask` all that the log held is written, synced where that is wanted, and told as durable; while one flush is under way what comes is in the next.
 * A disk that fails for good is told once. Does not append.
 */
import type { Timers } from '../runtime/runtime.ts';
import type { RaftLog } from './driver.ts';

export interface LogFlushOptions {
  readonly log: Pick<RaftLog, 'logEndOffset' | 'writtenEndOffset' | 'recoveryPoint' | 'write' | 'flush'>;
  readonly timers: Timers;
  /** Whether others count on what this node has on disk; else it is enough that it can be read. */
  readonly isSynced: boolean;
  readonly onDurable: (endOffset: number) => void;
  readonly onFailed: (error: unknown) => void;
}

export class LogFlush {
  readonly #options: LogFlushOptions;
  #underWay: Promise<void> | undefined;
  #stopped = false;

  constructor(options: LogFlushOptions) {
    this.#options = options;
  }

  /** While something is being made durable: resolves at its end, also when it failed. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay;
  }

  /** At the end of this turn, so that all records of the turn share one write and one sync. */
  ask(): void {
    if (this.#underWay !== undefined || this.#stopped) return;
    this.#underWay = new Promise((resolve) => {
      this.#options.timers.soon(() => {
        this.#flush().then(
          () => {
            this.#underWay = undefined;
            // What was appended between the last look and now has asked in vain.
            if (this.#durableOffset < this.#options.log.logEndOffset) this.ask();
            resolve();
          },
          (error: unknown) => {
            this.#underWay = undefined;
            this.#options.onFailed(error);
            resolve();
          },
        );
      });
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  async #flush(): Promise<void> {
    const { log, isSynced, onDurable } = this.#options;
    do {
      if (this.#stopped) return;
      if (isSynced) await log.flush();
      else await log.write();
      onDurable(this.#durableOffset);
    } while (this.#durableOffset < log.logEndOffset);
  }

  get #durableOffset(): number {
    const { log, isSynced } = this.#options;
    return isSynced ? log.recoveryPoint : log.writtenEndOffset;
  }
}
