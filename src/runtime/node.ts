/**
 * The real world: this machine's clock, timers, randomness, files and sockets. The one way in for everything that is not a pure function
 * of what it was given; files, the directory lock and sockets are in the siblings `node-disk.ts`, `node-lock.ts` and `node-network.ts`.
 *
 * Promises: timers are never early by the monotonic clock and keep no process alive.
 * Does not: promise to be on time; a busy event loop is late.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { hostname } from 'node:os';
import { NodeDisk } from './node-disk.ts';
import { NodeNetwork } from './node-network.ts';
import type { NodeNetworkOptions } from './node-network.ts';
import type { Clock, Random, Runtime, Timer, Timers } from './runtime.ts';

/** The longest delay of a Node timer, about 24.8 days: a longer one fires at once. */
const TIMER_DELAY_MS_MAX = 2 ** 31 - 1;

export function nodeRuntime(options: NodeNetworkOptions = {}): Runtime {
  return { clock, timers, random, disk: new NodeDisk(), network: new NodeNetwork(options), hostName: hostname() };
}

const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

class NodeTimer implements Timer {
  private readonly run: () => void;
  private readonly dueMs: number;
  private handle: NodeJS.Timeout | undefined;

  constructor(delayMs: number, run: () => void) {
    this.run = run;
    this.dueMs = performance.now() + delayMs;
    this.arm(delayMs);
  }

  private arm(delayMs: number): void {
    this.handle = setTimeout(this.fire, Math.min(Math.ceil(delayMs), TIMER_DELAY_MS_MAX)).unref();
  }

  // Node counts whole milliseconds of the loop's own clock, and so fires up to one too early: a deadline that is not yet reached would be
  // missed by whoever compares it with the clock.
  private readonly fire = (): void => {
    const leftMs = this.dueMs - performance.now();
    if (leftMs > 0) {
      this.arm(leftMs);
      return;
    }
    this.handle = undefined;
    this.run();
  };

  cancel(): void {
    if (this.handle === undefined) return;
    clearTimeout(this.handle);
    this.handle = undefined;
  }
}

const timers: Timers = {
  after: (delayMs, run) => new NodeTimer(delayMs, run),
  soon: (run) => {
    setImmediate(run);
  },
};

const random: Random = {
  bytes: (count) => randomBytes(count),
  below: (below) => randomInt(below),
  uuid: () => {
    for (;;) {
      const bytes = randomBytes(16);
      bytes[6] = (bytes[6]! & 0x0f) | 0x40;
      bytes[8] = (bytes[8]! & 0x3f) | 0x80;
      const text = bytes.toString('base64url');
      // Kafka's reserved ids have no version bits, so that only the leading '-' (an option to every command line) is left to avoid.
      if (!text.startsWith('-')) return text;
    }
  },
};
