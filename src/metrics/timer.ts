/**
 * How long things take, in buckets of a fixed size: each power of two of microseconds is cut in 16, so that a quantile is off by 3 % at most.
 *
 * Promises: recording is a few additions, without allocation and without a clock; the quantiles are of the last one to two windows before a look, the count and
 * sum of all time. Memory is 4 KiB a timer. Does not keep single values: the maximum is that of its bucket.
 */

const SUB_BITS = 4;
const SUBS = 1 << SUB_BITS;
/** 2^31 us are 35 minutes; what takes longer counts as that long. */
const US_MAX = 0x7fff_ffff;
const BUCKETS = (31 - SUB_BITS) * SUBS + SUBS;
/** A window ends with the first look after so long. */
export const WINDOW_MS = 60_000;

export interface TimerSnapshot {
  /** ms; 0 where nothing was recorded. */
  readonly quantile: (at: number) => number;
  readonly count: number;
  readonly sumMs: number;
}

export class Timer {
  #current = new Uint32Array(BUCKETS);
  #previous = new Uint32Array(BUCKETS);
  #windowStartMs: number | null = null;
  #count = 0;
  #sumMs = 0;

  record(ms: number): void {
    const us = ms <= 0 ? 0 : ms >= US_MAX / 1000 ? US_MAX : (ms * 1000) | 0;
    this.#current[bucketOf(us)]!++;
    this.#count++;
    this.#sumMs += ms;
  }

  get count(): number {
    return this.#count;
  }

  snapshot(nowMs: number): TimerSnapshot {
    this.#windowStartMs ??= nowMs;
    const merged = new Uint32Array(BUCKETS);
    let recent = 0;
    for (let i = 0; i < BUCKETS; i++) recent += merged[i] = this.#current[i]! + this.#previous[i]!;
    const ageMs = nowMs - this.#windowStartMs;
    if (ageMs >= WINDOW_MS) {
      // Nobody has looked for long: what is current is as old as what was previous.
      const old = this.#previous;
      this.#previous = this.#current;
      this.#current = old.fill(0);
      this.#windowStartMs = nowMs;
    }
    return {
      count: this.#count,
      sumMs: this.#sumMs,
      quantile(at) {
        if (recent === 0) return 0;
        const rank = Math.max(1, Math.ceil(at * recent));
        let seen = 0;
        for (let i = 0; i < BUCKETS; i++) {
          seen += merged[i]!;
          if (seen >= rank) return middleUs(i) / 1000;
        }
        return middleUs(BUCKETS - 1) / 1000;
      },
    };
  }
}

// us < 16: bucket us. Else with e its highest bit: (e - 3) * 16 + the four bits below the highest.
function bucketOf(us: number): number {
  if (us < SUBS) return us;
  const top = 31 - Math.clz32(us);
  return (top - SUB_BITS + 1) * SUBS + ((us >>> (top - SUB_BITS)) & (SUBS - 1));
}

function middleUs(bucket: number): number {
  if (bucket < SUBS) return bucket;
  const shift = (bucket >> SUB_BITS) - 1;
  const low = (SUBS + (bucket & (SUBS - 1))) * 2 ** shift;
  return low + (2 ** shift - 1) / 2;
}
