/** The world of the coordinator's tests: a clock that only moves when told, timers that fire in order, seeded randomness. */
import type { Clock, Random, Runtime, Timer, Timers } from '../../../src/runtime/runtime.ts';

/** mulberry32: small, seeded, good enough to pick test cases. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  const random: Random = {
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => Math.floor(next() * 256))),
    below: (below) => Math.floor(next() * below),
    uuid: () => random.bytes(16).toString('base64url'),
  };
  return random;
}

interface Waiting {
  atMs: number;
  sequence: number;
  run: () => void;
}

export class World implements Clock, Timers {
  nowMs = 0;
  readonly random: Random;
  #sequence = 0;
  #waiting: Waiting[] = [];
  #soon: (() => void)[] = [];
  readonly runtime: Runtime;

  constructor(seed = 1) {
    this.random = seededRandom(seed);
    const nothing = new Proxy({}, { get: (_, name) => { throw new Error(`the coordinator does not use ${String(name)}`); } });
    this.runtime = { clock: this, timers: this, random: this.random, disk: nothing as never, network: nothing as never };
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  /** Some day in 2023, so that stamps look like stamps. */
  wallMs(): number {
    return 1_700_000_000_000 + Math.floor(this.nowMs);
  }

  after(delayMs: number, run: () => void): Timer {
    const waiting: Waiting = { atMs: this.nowMs + Math.max(0, delayMs), sequence: this.#sequence++, run };
    this.#waiting.push(waiting);
    return { cancel: () => void (this.#waiting = this.#waiting.filter((other) => other !== waiting)) };
  }

  soon(run: () => void): void {
    this.#soon.push(run);
  }

  get timerCount(): number {
    return this.#waiting.length;
  }

  /** Lets promises and the ends of turns run until nothing is left to do at this moment. */
  async settle(): Promise<void> {
    for (;;) {
      // Long promise chains take several rounds of microtasks; a macrotask of the real loop lets all of them run.
      await new Promise<void>((resolve) => setImmediate(resolve));
      const soon = this.#soon;
      if (soon.length === 0) return;
      this.#soon = [];
      for (const run of soon) run();
    }
  }

  /** Time passes; what falls due on the way runs in its order, each with the time it fell due at. */
  async pass(ms: number): Promise<void> {
    const until = this.nowMs + ms;
    await this.settle();
    for (;;) {
      let first: Waiting | undefined;
      for (const waiting of this.#waiting) {
        if (waiting.atMs <= until && (first === undefined || waiting.atMs < first.atMs || (waiting.atMs === first.atMs && waiting.sequence < first.sequence))) first = waiting;
      }
      if (first === undefined) break;
      this.#waiting = this.#waiting.filter((other) => other !== first);
      this.nowMs = Math.max(this.nowMs, first.atMs);
      first.run();
      await this.settle();
    }
    this.nowMs = until;
  }
}
