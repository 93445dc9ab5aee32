/**
 * Parked requests: fetches that wait for data, produces that wait to be committed. Each is woken exactly once: by data, by the watermark, by
 * time, or by the partition leaving.
 *
 * Does not own timers beyond a fetch's own deadline, does not read logs, does not build answers.
 */
import type { Timer, Timers } from '../runtime/runtime.ts';
import type { ErrorCode } from '../../protocol/errors.ts';

/** What a parked fetch watches. */
export interface Watched {
  addWatcher(fetch: ParkedFetch): void;
  removeWatcher(fetch: ParkedFetch): void;
}

/** How far its reader sees: a follower all that is written, a consumer what is committed, under read_committed what no open transaction holds back. */
export type Sight = 'written' | 'committed' | 'stable';

export class ParkedFetch {
  readonly sees: Sight;
  /** A follower whose own readers wait for the high watermark to move. */
  readonly wantsHighWatermark: boolean;
  #bytesMissing: number;
  #watched: readonly Watched[];
  #timer: Timer | null = null;
  #complete: (() => void) | null;

  /** `complete` is called once, from the event that ended the wait. `bytesMissing`: how much more must become readable. */
  constructor(options: {
    bytesMissing: number; sees: Sight; wantsHighWatermark?: boolean; watched: readonly Watched[]; maxWaitMs: number; timers: Timers; complete: () => void;
  }) {
    this.#bytesMissing = options.bytesMissing;
    this.sees = options.sees;
    this.wantsHighWatermark = options.wantsHighWatermark ?? false;
    this.#watched = options.watched;
    this.#complete = options.complete;
    for (const watched of this.#watched) watched.addWatcher(this);
    this.#timer = options.timers.after(options.maxWaitMs, () => this.end());
  }

  /** So many bytes more can be read by now. */
  more(bytes: number): void {
    this.#bytesMissing -= bytes;
    if (this.#bytesMissing <= 0) this.end();
  }

  /** Ends the wait whatever there is: time is up, leadership moved, or the partition left. */
  end(): void {
    const complete = this.#complete;
    if (complete === null) return;
    this.#complete = null;
    this.#timer?.cancel();
    for (const watched of this.#watched) watched.removeWatcher(this);
    this.#watched = [];
    complete();
  }
}

/**
 * Offsets that somebody waits for, in rising order, each with what to do then. A queue on an array with a moving head: two numbers' worth of work an entry.
 * A batch that was sent twice waits for an offset before those of others: it waits with the last of them, so that the order, by which `fail` finds
 * what is lost, holds.
 */
export class CommitQueue {
  #offsets: number[] = [];
  #calls: ((errorCode: ErrorCode) => void)[] = [];
  #first = 0;

  get length(): number {
    return this.#offsets.length - this.#first;
  }

  /** `call` is called with NONE once all below `offset` is committed, or with the error that prevents it. */
  add(offset: number, call: (errorCode: ErrorCode) => void): void {
    const last = this.#offsets.length === this.#first ? offset : this.#offsets[this.#offsets.length - 1]!;
    this.#offsets.push(Math.max(offset, last));
    this.#calls.push(call);
  }

  /** Everything below `highWatermark` is committed; those who waited are told `verdict`. */
  advance(highWatermark: number, verdict: ErrorCode): void {
    let first = this.#first;
    const offsets = this.#offsets;
    while (first < offsets.length && offsets[first]! <= highWatermark) {
      const call = this.#calls[first]!;
      this.#first = ++first;
      call(verdict);
    }
    if (first === offsets.length) {
      offsets.length = 0;
      this.#calls.length = 0;
      this.#first = 0;
    } else if (first > 4096) {
      offsets.splice(0, first);
      this.#calls.splice(0, first);
      this.#first = 0;
    }
  }

  /** Nothing at or above `offset` will ever be committed here. */
  fail(offset: number, errorCode: ErrorCode): void {
    let keep = this.#offsets.length;
    while (keep > this.#first && this.#offsets[keep - 1]! > offset) keep--;
    const calls = this.#calls.splice(keep);
    this.#offsets.length = keep;
    for (const call of calls) call(errorCode);
  }
}

/** Bytes that were written and are not committed yet, by where each write ended. */
export class Written {
  readonly #ends: number[] = [];
  readonly #bytes: number[] = [];
  #first = 0;

  add(endOffset: number, bytes: number): void {
    this.#ends.push(endOffset);
    this.#bytes.push(bytes);
  }

  /** Takes out what ends at or before `offset`, and gives its bytes. */
  takeUpTo(offset: number): number {
    let bytes = 0;
    while (this.#first < this.#ends.length && this.#ends[this.#first]! <= offset) bytes += this.#bytes[this.#first++]!;
    if (this.#first === this.#ends.length) this.clear();
    else if (this.#first > 4096) {
      this.#ends.splice(0, this.#first);
      this.#bytes.splice(0, this.#first);
      this.#first = 0;
    }
    return bytes;
  }

  clear(): void {
    this.#ends.length = 0;
    this.#bytes.length = 0;
    this.#first = 0;
  }
}
