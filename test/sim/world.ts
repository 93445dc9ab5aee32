/**
 * The simulated world: virtual time, one queue of events in the order of (time, sequence), a stream of random numbers for each name, and a hash of all
 * that has happened.
 *
 * Promises: the same seed gives the same events in the same order with the same hash, in any process; an event runs to its end, all its microtasks
 * included, before the next one begins; what belongs to a process waits while it is paused and is forgotten when it is dead.
 * Does not: know what a disk, a network or a node is. A macrotask of the real loop lets the microtasks of each event settle, and is the only use of real time.
 */
import { crc32 } from 'node:zlib';
import type { Clock, Random, Timer, Timers } from '../../src/runtime/runtime.ts';
import { Seeded } from '../storage/seeded.ts';

/** Something with a life of its own: what is queued for it runs while it lives. */
export class Process {
  readonly name: string;
  state: 'running' | 'paused' | 'dead' = 'running';
  /** It has done something since whoever looks at it has set this to false. */
  hasRun = false;
  #deferred: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Now, or when it goes on, or never. */
  run(call: () => void): void {
    if (this.state === 'running') {
      this.hasRun = true;
      call();
    } else if (this.state === 'paused') this.#deferred.push(call);
  }

  pause(): void {
    if (this.state === 'running') this.state = 'paused';
  }

  /** Gives what has waited, in order. */
  resume(): readonly (() => void)[] {
    if (this.state === 'paused') this.state = 'running';
    return this.#deferred.splice(0);
  }

  die(): void {
    this.state = 'dead';
    this.#deferred = [];
  }
}

interface Event extends Timer {
  readonly atMs: number;
  readonly sequence: number;
  readonly label: string;
  readonly owner: Process | null;
  run: (() => void) | null;
}

/** Time stands still for so many events only when somebody goes in circles. */
const EVENTS_AT_ONCE_MAX = 20_000;

export class World {
  readonly seed: number;
  nowMs = 0;
  /** Events that have run. */
  events = 0;
  /** The process whose event ran last: what is rejected and not handled is its fault. */
  current: Process | null = null;
  /** What went wrong first; the world stops there. */
  failure: { readonly message: string; readonly error: unknown } | undefined;
  /** Called after every event. */
  afterEvent: () => void = () => {};
  /** Where a trace goes; nothing is put into words without it. */
  traceTo: ((line: string) => void) | null = null;
  readonly #queue = new EventQueue();
  readonly #labels = new Map<string, number>();
  #sequence = 0;
  #eventsNow = 0;
  #hashLow = 0x811c9dc5;
  #hashHigh = 0x1b873593;

  constructor(seed: number) {
    this.seed = seed;
  }

  /** The stream of that name: what one part of the world takes leaves the others' numbers as they are. */
  random(stream: string): Seeded {
    return new Seeded((crc32(stream) ^ Math.imul(this.seed + 1, 0x85ebca6b)) >>> 0);
  }

  at(delayMs: number, owner: Process | null, label: string, run: () => void): Timer {
    const event: Event = {
      atMs: this.nowMs + Math.max(0, delayMs), sequence: this.#sequence++, label, owner, run,
      cancel() {
        event.run = null;
      },
    };
    this.#queue.push(event);
    return event;
  }

  pause(delayMs: number, owner: Process | null = null): Promise<void> {
    return new Promise((resolve) => this.at(delayMs, owner, 'pause', resolve));
  }

  resume(owner: Process): void {
    for (const call of owner.resume()) this.at(0, owner, 'resumed', call);
  }

  /** Takes a number into the hash. */
  mix(value: number): void {
    this.#hashLow = Math.imul(this.#hashLow ^ value, 0x01000193) >>> 0;
    this.#hashHigh = (Math.imul(this.#hashHigh ^ (value >>> 15) ^ this.#hashLow, 0x85ebca6b) + 0x9e3779b9) >>> 0;
  }

  get hash(): string {
    return this.#hashHigh.toString(16).padStart(8, '0') + this.#hashLow.toString(16).padStart(8, '0');
  }

  trace(line: () => string): void {
    if (this.traceTo !== null) this.traceTo(`${this.nowMs.toFixed(3)} ${line()}`);
  }

  fail(message: string, error?: unknown): void {
    if (this.failure !== undefined) return;
    this.trace(() => `FAILED ${message}`);
    this.failure = { message, error };
  }

  /** Runs events until the time is up, nothing is left to do, `until` says so, or something has failed. */
  async run(untilMs: number, until: () => boolean = () => false): Promise<void> {
    while (this.failure === undefined && !until()) {
      const event = this.#queue.peek();
      if (event === undefined || event.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return;
      }
      this.#queue.pop();
      if (event.run === null) continue;
      if (event.atMs > this.nowMs) this.#eventsNow = 0;
      else if (++this.#eventsNow > EVENTS_AT_ONCE_MAX) this.fail(`a livelock: ${EVENTS_AT_ONCE_MAX} events at one moment, the last of them ${event.owner?.name ?? 'the world'} ${event.label}`);
      this.nowMs = event.atMs;
      if (event.owner?.state === 'dead') continue;
      this.#perform(event);
      await settled();
      this.afterEvent();
    }
  }

  #perform(event: Event): void {
    this.events++;
    this.current = event.owner;
    this.mix(this.#label(event.label));
    this.mix(Math.round(event.atMs * 1000) | 0);
    if (this.traceTo !== null && event.label !== '') this.trace(() => `${event.owner?.name ?? 'world'} ${event.label}${event.owner?.state === 'paused' ? ' (waits)' : ''}`);
    const run = event.run!;
    event.run = null;
    try {
      if (event.owner === null) run();
      else event.owner.run(run);
    } catch (error) {
      this.thrown(error);
    }
  }

  /** An error that nobody has caught: a bug of ours, unless it is the last word of a process that is dead already. */
  thrown(error: unknown): void {
    if (this.current?.state === 'dead') return;
    this.fail(`${this.current?.name ?? 'the world'} threw ${error instanceof Error ? error.message : String(error)}`, error);
  }

  #label(label: string): number {
    let number = this.#labels.get(label);
    if (number === undefined) this.#labels.set(label, (number = crc32(label)));
    return number;
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A binary heap. */
class EventQueue {
  readonly #heap: Event[] = [];

  peek(): Event | undefined {
    return this.#heap[0];
  }

  push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

/** The clock of one machine: monotonic time as the world's, wall time as wrong as it has been set. */
export class SimClock implements Clock {
  readonly #world: World;
  readonly #startMs: number;
  /** Of wall time: what jumps have added, and what each ms adds. */
  offsetMs = 0;
  drift = 0;

  constructor(world: World, startMs: number) {
    this.#world = world;
    this.#startMs = startMs;
  }

  monotonicMs(): number {
    return this.#startMs + this.#world.nowMs;
  }

  wallMs(): number {
    return Math.floor(1_700_000_000_000 + this.offsetMs + this.#world.nowMs * (1 + this.drift));
  }
}

export class SimTimers implements Timers {
  readonly #world: World;
  readonly #process: Process;
  readonly #random: Seeded;
  /** How long a turn of the event loop takes, at most: a slow machine has long ones. */
  turnMs = 0.2;

  constructor(world: World, process: Process, random: Seeded) {
    this.#world = world;
    this.#process = process;
    this.#random = random;
  }

  after(delayMs: number, run: () => void): Timer {
    // Timers are late, never early.
    return this.#world.at(delayMs + this.#random.next() * this.turnMs, this.#process, 'timer', run);
  }

  soon(run: () => void): void {
    // What arrives until then shares the turn.
    this.#world.at(this.#random.next() * this.turnMs, this.#process, 'turn', run);
  }
}

export function simRandom(random: Seeded): Random {
  return {
    bytes: (count) => random.bytes(count),
    below: (below) => random.below(below),
    uuid: () => {
      for (;;) {
        const bytes = random.bytes(16);
        bytes[6] = (bytes[6]! & 0x0f) | 0x40;
        bytes[8] = (bytes[8]! & 0x3f) | 0x80;
        const text = bytes.toString('base64url');
        if (!text.startsWith('-')) return text;
      }
    },
  };
}
