/**
 * Everything that a node takes from the world: time, timers, randomness, disk and network, given once at the constructor, so that whole
 * clusters run under a simulated world. The only real implementation is `node.ts`; no other file may name a clock, a timer, a socket or a file.
 */
import type { Disk } from '../../storage/disk.ts';

export interface Clock {
  /** Monotonic milliseconds since some start, with fractions. For elapsed time, deadlines and timeouts. */
  monotonicMs(): number;
  /** Wall time in whole ms since the epoch. Only for stamps that people or other programs read. */
  wallMs(): number;
}

export interface Timer {
  /** Does nothing when the timer has fired or was cancelled. */
  cancel(): void;
}

export interface Timers {
  /** Calls `run` once, not before `delayMs` has passed. A timer keeps no process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` once all input that is ready now has been taken in (setImmediate). */
  soon(run: () => void): void;
}

export interface Random {
  /** Cryptographically strong in production, seeded in simulation. */
  bytes(count: number): Buffer;
  /** Whole number in [0, below). */
  below(below: number): number;
  /** A version 4 UUID in Kafka's text (22 characters of URL-safe base64), never one of Kafka's reserved ids and never starting with '-'. */
  uuid(): string;
}

/** One connection, either end. Events are single callbacks: set them before the first turn of the event loop ends. */
export interface Socket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The address this end was reached at, which is what a client may be told when no advertised listener is set. */
  readonly localAddress: string;
  readonly localPort: number;
  /** `chunk` is the socket's and may be overwritten once the call returns: what is kept of it is copied, unless it lies in what `room` gave. */
  onData: (chunk: Buffer) => void;
  /** Asked before each read: where the next bytes are to go, or null for a place of the socket's own. Not every socket asks. */
  room: () => Buffer | null;
  /** Once, whichever side ended it; `error` when it was not orderly. No data comes after it. */
  onClose: (error?: Error) => void;
  /** Everything queued by `write` has been handed to the operating system. */
  onDrain: () => void;
  /**
   * Queues the buffers in order as one vectored write. False when more is queued than the high water mark: wait for `onDrain`.
   * `written` is called when the operating system has taken all of them, and never when the connection ends before that.
   */
  write(buffers: readonly Buffer[], written?: () => void): boolean;
  /** Bytes written by us and not yet taken by the operating system. */
  readonly queuedBytes: number;
  pause(): void;
  resume(): void;
  /** Sends what is queued, then ends. */
  end(): void;
  /** Ends at once. */
  destroy(): void;
}

export interface Listener {
  readonly host: string;
  /** The real port, also where 0 was asked for. */
  readonly port: number;
  /** Stops accepting; connections stay. */
  close(): Promise<void>;
}

export interface Network {
  /** `host` '' listens on all addresses. Rejects with an Error whose `code` is EADDRINUSE, EACCES, EADDRNOTAVAIL ... */
  listen(options: { host: string; port: number }, onConnection: (socket: Socket) => void): Promise<Listener>;
  connect(options: { host: string; port: number; timeoutMs: number }): Promise<Socket>;
}

export interface Runtime {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly disk: Disk;
  readonly network: Network;
  /** How this machine is called by others, as far as it knows. */
  readonly hostName?: string;
}

/** What the process that we are in uses of the machine. Not part of a Runtime: several nodes may share one process. */
export interface ProcessUse {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** Buffers outside of the heap. */
  readonly externalBytes: number;
  readonly startTimeSeconds: number;
  /** undefined where it cannot be known. */
  readonly openFiles: number | undefined;
  /** Of this thread since the last look: 0 always idle, 1 always busy. */
  readonly eventLoopShare: number;
}
