/**
 * One moment at which something is overdue, moved often and rarely reached: a member's session, extended by every heartbeat and every commit.
 *
 * Promises: `overdue` runs once per `set`, not before its time, unless `set` or `cancel` comes first. Moving the moment later costs a comparison: the
 * timer that is running finds on waking that it was early, and sleeps on.
 */
import type { Clock, Timer, Timers } from '../runtime/runtime.ts';

export class Deadline {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #overdue: () => void;
  #atMs = Infinity;
  #wakesAtMs = Infinity;
  #timer: Timer | null = null;

  constructor(clock: Clock, timers: Timers, overdue: () => void) {
    this.#clock = clock;
    this.#timers = timers;
    this.#overdue = overdue;
  }

  get isSet(): boolean {
    return this.#atMs !== Infinity;
  }

  set(delayMs: number): void {
    this.#atMs = this.#clock.monotonicMs() + delayMs;
    if (this.#wakesAtMs <= this.#atMs) return;
    this.#timer?.cancel();
    this.#sleep(delayMs);
  }

  cancel(): void {
    this.#atMs = Infinity;
    this.#wakesAtMs = Infinity;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #sleep(delayMs: number): void {
    this.#wakesAtMs = this.#atMs;
    this.#timer = this.#timers.after(delayMs, () => this.#wake());
  }

  #wake(): void {
    this.#timer = null;
    this.#wakesAtMs = Infinity;
    const restMs = this.#atMs - this.#clock.monotonicMs();
    if (restMs > 0) {
      this.#sleep(restMs);
      return;
    }
    this.#atMs = Infinity;
    this.#overdue();
  }
}
