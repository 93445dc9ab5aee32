/**
 * What the active controller does by itself every so often, while it is active.
 *
 * Promises: between `start` and `stop` each task runs at its interval, and again at once while it says that there is more to do; nothing runs after `stop`.
 * A task is told how late it comes: a node that stood still has not heard what it was sent meanwhile. Does not know what the tasks do.
 */
import type { Clock, Timer, Timers } from '../runtime/runtime.ts';

export interface PeriodicTask {
  readonly intervalMs: number;
  /** Gives back whether there is more to do. */
  readonly run: (lateMs: number) => boolean;
}

export class PeriodicTasks {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #tasks: readonly PeriodicTask[];
  readonly #pending = new Set<Timer>();
  /** Of one time between start and stop. */
  #run = 0;

  constructor({ clock, timers, tasks }: { readonly clock: Clock; readonly timers: Timers; readonly tasks: readonly PeriodicTask[] }) {
    this.#clock = clock;
    this.#timers = timers;
    this.#tasks = tasks;
  }

  start(): void {
    this.stop();
    for (const task of this.#tasks) this.#schedule(task, task.intervalMs);
  }

  stop(): void {
    this.#run++;
    for (const timer of this.#pending) timer.cancel();
    this.#pending.clear();
  }

  #schedule(task: PeriodicTask, delayMs: number): void {
    const run = this.#run;
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const timer = this.#timers.after(delayMs, () => {
      this.#pending.delete(timer);
      if (run !== this.#run) return;
      const more = task.run(Math.max(0, this.#clock.monotonicMs() - dueMs));
      // The task may have cost this node its leadership.
      if (run === this.#run) this.#schedule(task, more ? 0 : task.intervalMs);
    });
    this.#pending.add(timer);
  }
}
