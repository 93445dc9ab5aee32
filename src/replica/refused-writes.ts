/**
 * Says in the log that a directory's disk refuses what is written to it for now: it is full, or there are no descriptors left. Once a minute for each directory, however many
 * writes are refused. Does not look at the disk, and does not tell of failures that last: those take the directory offline.
 */
import type { Logger } from '../runtime/logger.ts';
import type { Clock } from '../runtime/runtime.ts';

const SILENCE_MS = 60_000;

export class RefusedWrites {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #toldMs = new Map<string, number>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  tell(directory: string, error: Error): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - (this.#toldMs.get(directory) ?? -Infinity) < SILENCE_MS) return;
    this.#toldMs.set(directory, nowMs);
    this.#logger.error(`${directory} takes no more for now, and producers are told so until it does: ${error.message}`);
  }
}
