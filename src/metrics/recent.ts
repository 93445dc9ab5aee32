/**
 * What happened in the last 30 s, by the second: how much of it in a second, and the mean and the most of single values (Rate, Avg and Max of Kafka's client metrics, whose
 * windows reach as far back).
 *
 * Promises: recording allocates nothing; what is older than the window counts no more, whoever looks how often. Before a whole window has passed the rate is that of the time since
 * the first second. Does not keep single values.
 */
const SECONDS = 30;

export class Recent {
  readonly #sums = new Float64Array(SECONDS);
  readonly #counts = new Uint32Array(SECONDS);
  readonly #maxima = new Float64Array(SECONDS);
  #second = -1;
  #firstSecond = -1;

  /** `nowMs` is monotonic. */
  record(value: number, nowMs: number): void {
    const at = this.#turnTo(nowMs);
    this.#sums[at]! += value;
    this.#counts[at]!++;
    if (value > this.#maxima[at]!) this.#maxima[at] = value;
  }

  /** Of the sum of the values, a second; 0 before the first one. */
  rate(nowMs: number): number {
    if (this.#second < 0) return 0;
    this.#turnTo(nowMs);
    const seconds = Math.min(SECONDS, this.#second - this.#firstSecond + 1);
    return this.#sums.reduce((total, one) => total + one, 0) / seconds;
  }

  /** NaN where there was none. */
  mean(nowMs: number): number {
    this.#turnTo(nowMs);
    return this.#sums.reduce((total, one) => total + one, 0) / this.#counts.reduce((total, one) => total + one, 0);
  }

  /** NaN where there was none. */
  max(nowMs: number): number {
    this.#turnTo(nowMs);
    return this.#counts.some((count) => count > 0) ? Math.max(...this.#maxima) : NaN;
  }

  /** Empties the seconds that have passed since the last call; the place of this one. */
  #turnTo(nowMs: number): number {
    const second = Math.floor(nowMs / 1000);
    if (this.#second < 0) this.#firstSecond = this.#second = second;
    for (let passed = Math.max(this.#second + 1, second - SECONDS + 1); passed <= second; passed++) {
      const at = passed % SECONDS;
      this.#sums[at] = 0;
      this.#counts[at] = 0;
      this.#maxima[at] = 0;
    }
    this.#second = Math.max(this.#second, second);
    return this.#second % SECONDS;
  }
}
