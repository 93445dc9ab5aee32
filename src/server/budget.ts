/**
 * Bytes in flight: requests taken from sockets and not yet answered, and frames that are still arriving. A connection that finds the budget
 * spent stops reading until others have been answered, so that a flood becomes back-pressure and not memory.
 *
 * Promises: `take` always succeeds (the bytes are here already) and says whether the taker should pause; whoever paused is woken once, in order.
 * Does not bound a single frame: that is the frame limit's business.
 */
export class ByteBudget {
  readonly bytesMax: number;
  #served = 0;
  #arriving = 0;
  #paused: (() => void)[] = [];

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#served + this.#arriving;
  }

  /** A whole request is being served. */
  take(bytes: number): void {
    this.#served += bytes;
  }

  give(bytes: number): void {
    this.#served -= bytes;
    this.#wake();
  }

  /** The unfinished frame of a connection has grown, or shrunk, by so many bytes. */
  arriving(bytes: number): void {
    this.#arriving += bytes;
    if (bytes < 0) this.#wake();
  }

  get spent(): boolean {
    return this.bytes >= this.bytesMax;
  }

  /** Spent by unfinished frames alone: nothing that is being served will ever make room, so somebody has to go. */
  get stuck(): boolean {
    return this.#served === 0 && this.spent;
  }

  /** Calls `wake` once when there is room again. */
  waitForRoom(wake: () => void): void {
    this.#paused.push(wake);
  }

  #wake(): void {
    while (this.#paused.length > 0 && (!this.spent || this.#served === 0)) this.#paused.shift()!();
  }
}
