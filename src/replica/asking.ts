/**
 * Requests to the controller that gather what is to be said: one under way at a time, with all that is wanted by the end of a turn of the event loop.
 *
 * Promises: `ask` is not called while an earlier call of it has not settled, while it has asked for a pause, when nothing is wanted, or after `close`.
 * Does not know what is asked, or what was answered.
 */
import type { Timer, Timers } from '../runtime/runtime.ts';
import type { Turn, TurnOwner } from '../runtime/turn.ts';

export interface AskingOptions {
  readonly timers: Timers;
  readonly turn: Turn;
  readonly isWanted: () => boolean;
  /** Resolves with the ms to wait before what is wanted then is asked; 0 for none. */
  readonly ask: () => Promise<number>;
}

export class Asking implements TurnOwner {
  readonly #options: AskingOptions;
  #scheduled = false;
  #sending = false;
  #pause: Timer | null = null;
  #closed = false;

  constructor(options: AskingOptions) {
    this.#options = options;
  }

  /** Something is wanted. */
  soon(): void {
    if (this.#scheduled || this.#sending || this.#pause !== null || this.#closed) return;
    this.#scheduled = true;
    this.#options.turn.add(this);
  }

  endTurn(): void {
    this.#scheduled = false;
    if (this.#sending || this.#closed || !this.#options.isWanted()) return;
    this.#sending = true;
    void this.#options.ask().then((pauseMs) => this.#asked(pauseMs));
  }

  close(): void {
    this.#closed = true;
    this.#pause?.cancel();
  }

  #asked(pauseMs: number): void {
    this.#sending = false;
    if (this.#closed || !this.#options.isWanted()) return;
    if (pauseMs === 0) return this.soon();
    this.#pause = this.#options.timers.after(pauseMs, () => {
      this.#pause = null;
      this.soon();
    });
  }
}
