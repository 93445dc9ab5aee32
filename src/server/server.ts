/**
 * The listening side of a node: accepts connections on its listeners, holds them to their limits, and closes what idles.
 *
 * Promises: no more connections than `connectionsMax` in all and `connectionsPerAddressMax` from one address (one more is closed at once and
 * counted); a connection that says nothing within the first-request time, or nothing for the idle time while nothing of its own is being served, is closed.
 * Does not know what a request means.
 */
import type { Listener, Network, Socket, Timer, Timers, Clock } from '../runtime/runtime.ts';
import type { Turn } from '../runtime/turn.ts';
import type { Logger } from '../runtime/logger.ts';
import { BufferPool } from '../../storage/buffer-pool.ts';
import { ByteBudget } from './budget.ts';
import { Connection } from './connection.ts';
import type { ConnectionLimits, ConnectionOwner, NamedListener } from './connection.ts';

export interface ServerLimits extends ConnectionLimits {
  /** max.connections */
  readonly connectionsMax: number;
  /** max.connections.per.ip */
  readonly connectionsPerAddressMax: number;
  /** max.connections.per.ip.overrides, by address. */
  readonly connectionsPerAddressOverrides: ReadonlyMap<string, number>;
  /** Bytes of requests of all connections that are being served or arriving. */
  readonly bytesInFlightTotalMax: number;
  /** connections.max.idle.ms */
  readonly idleMsMax: number;
  /** How long a new connection may take to send its first whole request. */
  readonly firstRequestMsMax: number;
}

export interface ServerOptions {
  readonly network: Network;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly turn: Turn;
  readonly log: Logger;
  readonly limits: ServerLimits;
  /** As a Disk's. */
  readonly deviceReads: () => number;
  readonly dispatch: (connection: Connection, frame: Buffer, returnFrame?: () => void) => void;
}

export class Server implements ConnectionOwner {
  readonly turn: Turn;
  readonly budget: ByteBudget;
  readonly frames = new BufferPool();
  readonly pieces = new BufferPool();
  readonly limits: ServerLimits;
  readonly #options: ServerOptions;
  readonly #connections = new Set<Connection>();
  readonly #perAddress = new Map<string, number>();
  readonly #listeners: Listener[] = [];
  #nextId = 1;
  #sweep: Timer | null = null;
  #refused = 0;
  #saidRefusedMs = -Infinity;
  #serving = false;
  #stopping = false;
  #early: { listener: NamedListener; socket: Socket }[] = [];
  #allClosed: (() => void) | null = null;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.turn = options.turn;
    this.limits = options.limits;
    this.budget = new ByteBudget(options.limits.bytesInFlightTotalMax);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Of each listener that has some. */
  connectionsByListener(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { listener } of this.#connections) counts.set(listener, (counts.get(listener) ?? 0) + 1);
    return counts;
  }

  /** Connections closed at once because a limit was reached. */
  get refused(): number {
    return this.#refused;
  }

  monotonicMs(): number {
    return this.#options.clock.monotonicMs();
  }

  dispatch(connection: Connection, frame: Buffer, returnFrame?: () => void): void {
    this.#options.dispatch(connection, frame, returnFrame);
  }

  deviceReads(): number {
    return this.#options.deviceReads();
  }

  soon(call: () => void): void {
    this.#options.timers.soon(call);
  }

  unanswerable(connection: Connection, error: Error): void {
    this.#options.log.warn(`closed the connection of ${connection.remoteAddress}:${connection.socket.remotePort} in the middle of an answer: ${error.message}`);
  }

  /** Unfinished frames alone hold all that may be held: whoever holds most of it has to go, and not whoever sends next. */
  stuck(): void {
    let largest: Connection | undefined;
    for (const connection of this.#connections) if (connection.arrivingBytes > (largest?.arrivingBytes ?? 0)) largest = connection;
    largest?.malformed(`its unfinished frame holds ${largest.arrivingBytes} bytes of the ${this.budget.bytes} that unfinished frames hold, the limit is ${this.budget.bytesMax}`);
  }

  malformed(connection: Connection, reason: string): void {
    this.#options.log.warn(`connection ${connection.id} from ${connection.remoteAddress} closed: ${reason}`);
  }

  closed(connection: Connection): void {
    this.#connections.delete(connection);
    const left = this.#perAddress.get(connection.remoteAddress)! - 1;
    if (left === 0) this.#perAddress.delete(connection.remoteAddress);
    else this.#perAddress.set(connection.remoteAddress, left);
    if (this.#connections.size === 0) this.#allClosed?.();
  }

  /** Listens on one more address; nothing is read before `serve`. Rejects with the operating system's error (EADDRINUSE ...). */
  async listen(listener: NamedListener, address: { host: string; port: number }): Promise<Listener> {
    const opened = await this.#options.network.listen(address, (socket) => this.#accept(listener, socket));
    this.#listeners.push(opened);
    this.#scheduleSweep();
    return opened;
  }

  /** From now on connections are read from, those first that came while the node was getting ready. */
  serve(): void {
    this.#serving = true;
    for (const { listener, socket } of this.#early.splice(0)) {
      socket.resume();
      this.#accept(listener, socket);
    }
  }

  /** Reads no more requests and stops accepting, both at once; gives what is being served up to `graceMs` to be answered, then closes every connection. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#sweep?.cancel();
    for (const { socket } of this.#early.splice(0)) socket.destroy();
    for (const connection of [...this.#connections]) connection.drain();
    const grace = this.#options.timers.after(graceMs, () => {
      for (const connection of [...this.#connections]) connection.close();
    });
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    if (this.#connections.size > 0) await new Promise<void>((resolve) => (this.#allClosed = resolve));
    grace.cancel();
  }

  #accept(listener: NamedListener, socket: Socket): void {
    if (!this.#serving && !this.#stopping) {
      socket.pause();
      const early = { listener, socket };
      socket.onClose = () => void (this.#early = this.#early.filter((other) => other !== early));
      this.#early.push(early);
      return;
    }
    const address = socket.remoteAddress;
    const here = this.#perAddress.get(address) ?? 0;
    const { connectionsMax, connectionsPerAddressMax, connectionsPerAddressOverrides } = this.limits;
    const perAddressMax = connectionsPerAddressOverrides.get(address) ?? connectionsPerAddressMax;
    if (this.#stopping || this.#connections.size >= connectionsMax || here >= perAddressMax) {
      this.#refuse(address, here >= perAddressMax ? `max.connections.per.ip is ${perAddressMax}` : `max.connections is ${connectionsMax}`);
      socket.onData = () => {};
      socket.onClose = () => {};
      socket.destroy();
      return;
    }
    this.#perAddress.set(address, here + 1);
    this.#connections.add(new Connection(this.#nextId++, listener, socket, this));
  }

  /** A flood of refused connections is one line a second, not one each. */
  #refuse(address: string, why: string): void {
    this.#refused++;
    const now = this.monotonicMs();
    if (this.#stopping || now - this.#saidRefusedMs < 1000) return;
    this.#saidRefusedMs = now;
    this.#options.log.warn(`connection from ${address} refused: ${why} (${this.#refused} refused so far)`);
  }

  #scheduleSweep(): void {
    if (this.#sweep !== null || this.#stopping) return;
    const { idleMsMax, firstRequestMsMax } = this.limits;
    const everyMs = Math.max(50, Math.min(idleMsMax, firstRequestMsMax) / 4);
    this.#sweep = this.#options.timers.after(Math.min(everyMs, 10_000), () => {
      this.#sweep = null;
      this.#closeIdle();
      this.#scheduleSweep();
    });
  }

  #closeIdle(): void {
    const now = this.monotonicMs();
    for (const connection of this.#connections) {
      if (connection.inFlight > 0) continue;
      const allowed = connection.requests === 0 ? this.limits.firstRequestMsMax : this.limits.idleMsMax;
      if (now - connection.lastActiveMs >= allowed) connection.close();
    }
  }
}
