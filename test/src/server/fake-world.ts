/** A clock, timers and sockets in the hands of a test. Nothing runs until the test says so. */
import type { Clock, Listener, Network, Socket, Timer, Timers } from '../../../src/runtime/runtime.ts';

export class FakeTime implements Clock, Timers {
  #now = 0;
  #sequence = 0;
  #timers: { at: number; sequence: number; run: () => void }[] = [];
  #soon: (() => void)[] = [];

  monotonicMs(): number {
    return this.#now;
  }

  /** Whoever runs takes so long. */
  takes(ms: number): void {
    this.#now += ms;
  }

  wallMs(): number {
    return 1_700_000_000_000 + Math.floor(this.#now);
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = { at: this.#now + delayMs, sequence: this.#sequence++, run };
    this.#timers.push(timer);
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  soon(run: () => void): void {
    this.#soon.push(run);
  }

  /** Ends the current turn: what was put off runs, and promises settle. */
  async turn(): Promise<void> {
    await settle();
    for (const run of this.#soon.splice(0)) run();
    await settle();
  }

  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at || a.sequence - b.sequence)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await this.turn();
    }
    this.#now = until;
  }

  get pendingTimers(): number {
    return this.#timers.length;
  }
}

/** Lets promise callbacks run, however deep they nest. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

export class FakeSocket implements Socket {
  readonly remoteAddress: string;
  readonly remotePort = 50_000;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 9092;
  onData: (chunk: Buffer) => void = () => {};
  room: () => Buffer | null = () => null;
  onClose: (error?: Error) => void = () => {};
  onDrain: () => void = () => {};
  queuedBytes = 0;
  /** What was written, a list of buffers for each call. */
  readonly writes: Buffer[][] = [];
  paused = false;
  ended: 'no' | 'end' | 'destroy' = 'no';

  constructor(remoteAddress = '127.0.0.1') {
    this.remoteAddress = remoteAddress;
  }

  /** What is to be called when a write has been taken, in order; the test calls it. */
  readonly written: (() => void)[] = [];

  write(buffers: readonly Buffer[], written?: () => void): boolean {
    this.writes.push([...buffers]);
    if (written !== undefined) this.written.push(written);
    return true;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.ended = 'end';
  }
  destroy(): void {
    this.ended = 'destroy';
  }
  text(): string {
    return this.writes.map((buffers) => buffers.map(String).join('')).join('|');
  }
}

export class FakeNetwork implements Network {
  accept: (socket: Socket) => void = () => {};
  listening = false;

  async listen(options: { host: string; port: number }, onConnection: (socket: Socket) => void): Promise<Listener> {
    this.accept = onConnection;
    this.listening = true;
    return { host: options.host, port: options.port, close: async () => void (this.listening = false) };
  }
  async connect(): Promise<Socket> {
    throw new Error('nobody to connect to');
  }
}
