/**
 * Work put off to the end of the current turn of the event loop, once per owner however often it is asked for: one write for all batches
 * that a turn appended to a log, one vectored write for all answers that a turn gave a connection.
 *
 * Promises: `endTurn` of every owner that was added is called once, in the order of the first `add`; what is added meanwhile waits for the next turn.
 * Does not catch: an error of one owner is an error of ours.
 */
import type { Timers } from './runtime.ts';

export interface TurnOwner {
  endTurn(): void;
}

export class Turn {
  readonly #timers: Timers;
  #owners: TurnOwner[] = [];
  readonly #run = (): void => this.#end();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** The owner keeps its own mark that it has been added: a turn may have thousands of calls and a handful of owners. */
  add(owner: TurnOwner): void {
    if (this.#owners.push(owner) === 1) this.#timers.soon(this.#run);
  }

  #end(): void {
    const owners = this.#owners;
    this.#owners = [];
    for (const owner of owners) owner.endTurn();
  }
}
