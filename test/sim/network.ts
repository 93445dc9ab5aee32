/**
 * A network of hosts in one process: connections as TCP gives them, and the ways in which they go wrong.
 *
 * Promises: the bytes of a connection arrive once and in order, cut anywhere; connections overtake each other; what a blocked way holds up arrives when it
 * is free again, or the connection is reset; the sockets of a process that was killed are reset, those of a machine without power are silent until it is up
 * and asked. What a reader was given is overwritten after the call, and some writes take their bytes only later, so that whoever keeps or changes a buffer that
 * is not theirs is found out.
 * Does not: lose or reorder bytes within a connection, resolve names, or know frames.
 */
import { crc32 } from 'node:zlib';
import type { Listener, Network, Socket } from '../../src/runtime/runtime.ts';
import type { Seeded } from '../storage/seeded.ts';
import type { Process, World } from './world.ts';

/** Bytes that lie unread at the receiver before the sender has to wait. */
const WINDOW_BYTES = 262_144;
const HIGH_WATER_BYTES = 65_536;
const READ_BYTES = 65_536;
const EPHEMERAL_PORT = 40_000;
const SYN_RETRY_MS = 200;
const POISON = 0xdd;

interface Host {
  readonly address: string;
  /** Has power. */
  isUp: boolean;
  readonly listeners: Map<number, { readonly process: Process; readonly onConnection: (socket: Socket) => void }>;
  readonly sockets: Set<SimSocket>;
  nextPort: number;
}

/** How a way from one host to another behaves. */
interface Way {
  blocked: boolean;
  /** Of listeners whose connections alone do not get through, whichever end listens. */
  readonly blockedPorts: Set<number>;
  latencyMs: number;
}

export class SimNetwork {
  readonly world: World;
  readonly random: Seeded;
  readonly #hosts = new Map<string, Host>();
  readonly #ways = new Map<string, Way>();
  /** Chance that a write is cut into several arrivals, that its bytes are taken later, that a connect is seen twice. */
  cutChance = 0.1;
  lateChance = 0.1;
  ghostChance = 0;

  constructor(world: World) {
    this.world = world;
    this.random = world.random('network');
  }

  host(address: string): Host {
    let host = this.#hosts.get(address);
    if (host === undefined) {
      host = { address, isUp: true, listeners: new Map(), sockets: new Set(), nextPort: EPHEMERAL_PORT };
      this.#hosts.set(address, host);
    }
    return host;
  }

  way(from: string, to: string): Way {
    const key = `${from}>${to}`;
    let way = this.#ways.get(key);
    if (way === undefined) {
      way = { blocked: false, blockedPorts: new Set(), latencyMs: from === to ? 0.02 : 0.3 };
      this.#ways.set(key, way);
    }
    return way;
  }

  /** `port`: of the end that listens. */
  isBlocked(from: string, to: string, port: number): boolean {
    if (from === to) return false;
    const { blocked, blockedPorts } = this.way(from, to);
    return blocked || blockedPorts.has(port);
  }

  latency(from: string, to: string): number {
    const { latencyMs } = this.way(from, to);
    // Most are near the usual, some much later.
    return latencyMs * (0.5 + this.random.next()) * (this.random.chance(0.01) ? 10 : 1);
  }

  /** Frees or blocks one way. What was held up arrives, or some connections have not survived it. */
  setBlocked(from: string, to: string, blocked: boolean): void {
    const way = this.way(from, to);
    if (way.blocked === blocked) return;
    way.blocked = blocked;
    if (!blocked) this.#freed(from, to);
  }

  /** As `setBlocked`, for the connections of one listener only: a rule of a firewall. */
  setPortBlocked(from: string, to: string, port: number, blocked: boolean): void {
    const { blockedPorts } = this.way(from, to);
    if (blocked) blockedPorts.add(port);
    else if (blockedPorts.delete(port)) this.#freed(from, to);
  }

  #freed(from: string, to: string): void {
    for (const socket of this.host(to).sockets) if (socket.remoteAddress === from) socket.wayFreed(this.random.chance(0.3));
  }

  /** Ends connections between two hosts, as a device on the way does that has forgotten them; `orderly` as if the other side had ended. */
  cut(a: string, b: string, orderly: boolean): void {
    for (const socket of [...this.host(a).sockets]) {
      if (socket.remoteAddress !== b) continue;
      if (orderly) socket.arrive('fin');
      else {
        socket.arrive('rst');
        socket.peer.arrive('rst');
      }
    }
  }

  /** What a process sees of the network. */
  of(address: string, process: Process): Network {
    return {
      listen: (options, onConnection) => this.#listen(address, process, options.port, onConnection),
      connect: (options) => this.#connect(address, process, options),
    };
  }

  /** The operating system cleans up after a process that is gone; without power nobody does. */
  end(address: string, process: Process, hasPower: boolean): void {
    const host = this.host(address);
    for (const [port, listener] of [...host.listeners]) if (listener.process === process) host.listeners.delete(port);
    for (const socket of [...host.sockets]) if (socket.process === process) socket.lose(hasPower);
    host.isUp = hasPower;
  }

  powerUp(address: string): void {
    this.host(address).isUp = true;
  }

  #listen(address: string, process: Process, asked: number, onConnection: (socket: Socket) => void): Promise<Listener> {
    const host = this.host(address);
    const port = asked === 0 ? host.nextPort++ : asked;
    if (host.listeners.has(port)) return Promise.reject(failure('EADDRINUSE', `${address}:${port} is in use`));
    host.listeners.set(port, { process, onConnection });
    const close = async (): Promise<void> => {
      if (host.listeners.get(port)?.process === process) host.listeners.delete(port);
    };
    return Promise.resolve({ host: address, port, close });
  }

  #connect(from: string, process: Process, { host: to, port, timeoutMs }: { host: string; port: number; timeoutMs: number }): Promise<Socket> {
    const { world } = this;
    return new Promise((resolve, reject) => {
      let isOver = false;
      const finish = (call: () => void): void => {
        if (isOver) return;
        isOver = true;
        deadline.cancel();
        call();
      };
      const deadline = world.at(timeoutMs, process, 'connect timeout', () => finish(() => reject(failure('ETIMEDOUT', `no connection to ${to}:${port} within ${timeoutMs} ms`))));
      const attempt = (): void => {
        if (isOver || process.state === 'dead') return;
        // Neither a lost SYN nor a lost answer is told apart from a machine that is off.
        if (this.isBlocked(from, to, port) || this.isBlocked(to, from, port) || !this.host(to).isUp) {
          world.at(SYN_RETRY_MS, null, '', attempt);
          return;
        }
        const listener = this.host(to).listeners.get(port);
        const back = this.latency(to, from);
        if (listener === undefined || listener.process.state === 'dead') {
          world.at(back, process, 'refused', () => finish(() => reject(failure('ECONNREFUSED', `connect ECONNREFUSED ${to}:${port}`))));
          return;
        }
        if (this.random.chance(this.ghostChance)) this.#ghost(from, to, port, listener);
        const source = this.host(from);
        const localPort = source.nextPort++;
        const near = new SimSocket(this, process, { local: from, localPort, remote: to, remotePort: port });
        const far = new SimSocket(this, listener.process, { local: to, localPort: port, remote: from, remotePort: localPort });
        near.join(far);
        listener.process.run(() => listener.onConnection(far));
        far.sendsFrom(world.nowMs + back);
        world.at(back, process, 'connected', () => {
          if (isOver) near.destroy();
          else finish(() => resolve(near));
        });
      };
      world.at(this.latency(from, to), null, 'syn', attempt);
    });
  }

  /** A connection that its client has given up already: nothing ever comes by it. */
  #ghost(from: string, to: string, port: number, listener: { process: Process; onConnection: (socket: Socket) => void }): void {
    const localPort = this.host(from).nextPort++;
    const far = new SimSocket(this, listener.process, { local: to, localPort: port, remote: from, remotePort: localPort });
    const near = new SimSocket(this, listener.process, { local: from, localPort, remote: to, remotePort: port });
    near.join(far);
    listener.process.run(() => listener.onConnection(far));
    this.world.at(this.random.next() * 500, null, 'ghost ends', () => near.lose(true));
  }
}

type Arrival = Buffer | 'fin' | 'rst';

class SimSocket implements Socket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  onData: (chunk: Buffer) => void = () => {};
  room: () => Buffer | null = () => null;
  onClose: (error?: Error) => void = () => {};
  onDrain: () => void = () => {};
  readonly process: Process;
  peer!: SimSocket;
  readonly #network: SimNetwork;
  readonly #world: World;
  /** Given by the owner and not yet taken. */
  #queue: { readonly buffers: readonly Buffer[]; readonly bytes: number; readonly written: (() => void) | undefined }[] = [];
  #queuedBytes = 0;
  #needsDrain = false;
  #flushAsked = false;
  /** The owner writes no more; the last byte has been sent. */
  #ending = false;
  #finSent = false;
  /** Nothing is told to the owner any more, besides onClose. */
  #closed = false;
  #isPaused = false;
  #pumping = false;
  #finArrived = false;
  #inbound: Buffer[] = [];
  /** On their way to the owner, or waiting for it. */
  #inboundBytes = 0;
  /** Arrivals that a blocked way holds up. */
  #stalled: Arrival[] = [];
  /** Nothing that this end sends arrives before. */
  #lastArrivalMs = 0;

  constructor(network: SimNetwork, process: Process, ends: { local: string; localPort: number; remote: string; remotePort: number }) {
    this.#network = network;
    this.#world = network.world;
    this.process = process;
    this.localAddress = ends.local;
    this.localPort = ends.localPort;
    this.remoteAddress = ends.remote;
    this.remotePort = ends.remotePort;
  }

  join(peer: SimSocket): void {
    this.peer = peer;
    peer.peer = this;
    this.#network.host(this.localAddress).sockets.add(this);
    this.#network.host(peer.localAddress).sockets.add(peer);
  }

  sendsFrom(atMs: number): void {
    this.#lastArrivalMs = atMs;
  }

  // ---- the owner's side

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  write(buffers: readonly Buffer[], written?: () => void): boolean {
    if (this.#closed || this.#ending || this.process.state === 'dead') return false;
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length;
    this.#queue.push({ buffers, bytes, written });
    this.#queuedBytes += bytes;
    if (this.#queue.length === 1 && !this.#network.random.chance(this.#network.lateChance)) this.#flush();
    else this.#flushSoon();
    this.#needsDrain ||= this.#queuedBytes > HIGH_WATER_BYTES;
    return this.#queuedBytes <= HIGH_WATER_BYTES;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#pumpSoon();
  }

  end(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    if (this.#queue.length === 0) this.#sendFin();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#forget();
    if (!this.#finSent) this.#send(this.#network.random.chance(0.5) ? 'fin' : 'rst');
    this.#world.at(0, this.process, 'close', () => this.onClose());
  }

  // ---- the kernel's side

  /** Ports of those who connect lie above all others. */
  get #listenerPort(): number {
    return Math.min(this.localPort, this.remotePort);
  }

  /** The owner's process is gone. */
  lose(hasPower: boolean): void {
    if (hasPower && !this.#closed) this.#send(this.#network.random.chance(0.5) ? 'fin' : 'rst');
    this.#forget();
  }

  #forget(): void {
    this.#closed = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#inbound = [];
    this.#inboundBytes = 0;
    this.#stalled = [];
    this.#network.host(this.localAddress).sockets.delete(this);
  }

  #flushSoon(): void {
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#world.at(this.#network.random.next(), this.process, 'sent late', () => {
      this.#flushAsked = false;
      this.#flush();
    });
  }

  /** Takes the bytes of what was written, as far as the peer's window goes. */
  #flush(): void {
    while (this.#queue.length > 0 && !this.#closed && this.peer.#inboundBytes < WINDOW_BYTES) {
      const { buffers, bytes, written } = this.#queue.shift()!;
      this.#queuedBytes -= bytes;
      if (bytes > 0) this.#transmit(buffers.length === 1 ? Buffer.from(buffers[0]!) : Buffer.concat(buffers));
      if (written !== undefined) this.#world.at(0, this.process, 'written', () => !this.#closed && written());
    }
    if (this.#queue.length > 0 || this.#closed) return;
    if (this.#needsDrain) {
      this.#needsDrain = false;
      this.#world.at(0, this.process, 'drain', () => !this.#closed && this.onDrain());
    }
    if (this.#ending) this.#sendFin();
  }

  #sendFin(): void {
    if (this.#finSent) return;
    this.#finSent = true;
    this.#send('fin');
    this.#closeWhenBothEnded();
  }

  #transmit(bytes: Buffer): void {
    this.peer.#inboundBytes += bytes.length;
    const { random, cutChance } = this.#network;
    let rest = bytes;
    while (rest.length > 1 && random.chance(cutChance)) {
      const cut = 1 + random.below(rest.length - 1);
      this.#send(rest.subarray(0, cut));
      rest = rest.subarray(cut);
    }
    this.#send(rest);
  }

  #send(arrival: Arrival): void {
    const { peer } = this;
    const atMs = Math.max(this.#lastArrivalMs, this.#world.nowMs + this.#network.latency(this.localAddress, peer.localAddress));
    this.#lastArrivalMs = atMs;
    this.#world.at(atMs - this.#world.nowMs, null, '', () => peer.#reach(arrival));
  }

  /** At the end of the way, if it is free. */
  #reach(arrival: Arrival): void {
    if (this.#stalled.length > 0 || this.#network.isBlocked(this.remoteAddress, this.localAddress, this.#listenerPort)) {
      // Nobody waits for it on an end that is closed: what is sent next is told so.
      if (!this.#closed) this.#stalled.push(arrival);
      return;
    }
    this.arrive(arrival);
  }

  wayFreed(isReset: boolean): void {
    const stalled = this.#stalled.splice(0);
    if (stalled.length === 0) return;
    if (isReset) {
      this.peer.arrive('rst');
      this.arrive('rst');
      return;
    }
    // All at once: TCP sends again what was not acknowledged.
    this.#world.at(this.#network.latency(this.remoteAddress, this.localAddress), null, 'freed', () => {
      const later = this.#stalled.splice(0);
      for (const arrival of [...stalled, ...later]) this.#reach(arrival);
    });
    // Until then the rest waits its turn.
    this.#stalled.push(Buffer.alloc(0));
  }

  arrive(arrival: Arrival): void {
    if (this.#closed) {
      // A kernel that knows of no such connection says so, once it is up again.
      if (arrival !== 'rst' && this.#network.host(this.localAddress).isUp) this.#send('rst');
      return;
    }
    if (arrival === 'rst') {
      this.#forget();
      this.#world.at(0, this.process, 'reset', () => this.onClose(failure('ECONNRESET', 'read ECONNRESET')));
      return;
    }
    if (arrival === 'fin') this.#finArrived = true;
    else if (arrival.length > 0) {
      this.#world.mix(crc32(arrival));
      this.#inbound.push(arrival);
    }
    this.process.run(() => this.#pump());
  }

  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#world.at(0, this.process, 'more', () => {
      this.#pumping = false;
      this.#pump();
    });
  }

  /** One read, as one turn of an event loop makes it. */
  #pump(): void {
    if (this.#isPaused || this.#closed || this.#pumping) return;
    const chunk = this.#inbound[0];
    if (chunk !== undefined) this.#read(chunk);
    if (this.#inbound.length === 0 && this.#finArrived) this.#ended();
    else if (!this.#closed && this.#inbound.length > 0) this.#pumpSoon();
  }

  #read(chunk: Buffer): void {
    const wanted = this.#network.random.chance(0.7) ? this.room() : null;
    const target = wanted ?? Buffer.allocUnsafeSlow(Math.min(chunk.length, READ_BYTES));
    const bytes = chunk.copy(target);
    if (bytes === chunk.length) this.#inbound.shift();
    else this.#inbound[0] = chunk.subarray(bytes);
    const wasFull = this.#inboundBytes >= WINDOW_BYTES;
    this.#inboundBytes -= bytes;
    if (wasFull && this.#inboundBytes < WINDOW_BYTES) this.peer.#flushSoon();
    this.onData(bytes === target.length ? target : target.subarray(0, bytes));
    if (wanted === null) target.fill(POISON);
  }

  /** The other side has ended, and all that it sent was read: so this side ends too. */
  #ended(): void {
    if (!this.#ending) this.end();
    this.#closeWhenBothEnded();
  }

  #closeWhenBothEnded(): void {
    if (!this.#finSent || !this.#finArrived || this.#inbound.length > 0 || this.#closed) return;
    this.#forget();
    this.#world.at(0, this.process, 'closed', () => this.onClose());
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
