/**
 * Real sockets by node:net, small requests first: no Nagle delay, one vectored write for the buffers of a response, and no buffer made for a read.
 *
 * Left alone Node makes a buffer of 64 KiB for each read. They lie outside the heap, and V8 answers their flow with full marking: a quarter of a broker's
 * processor time at 700 MB/s. So every socket reads to where its owner wants the bytes, or else to one place that all share (`onread` of node:net).
 *
 * Promises: `onClose` comes once and last, with the error when there was one; what is written after the end goes nowhere and hurts nobody.
 * Does not: limit what is queued (the owner looks at `queuedBytes` and at what `write` says), time out, or speak TLS.
 */
import * as net from 'node:net';
import type { Listener, Network, Socket } from './runtime.ts';

export interface NodeNetworkOptions {
  /** Connections that the operating system holds until they are accepted (`socket.listen.backlog.size`). */
  readonly listenBacklog?: number;
  /** What may be queued on one socket before `write` says false; not less than Node's own mark of 64 KiB, at which it begins to tell of draining. */
  readonly queuedBytesMax?: number;
}

const LISTEN_BACKLOG_DEFAULT = 511;
const QUEUED_BYTES_MAX_DEFAULT = 1_048_576;
/** The first probe of an idle connection's peer; clients and brokers time out long before, so this finds only machines that vanished. */
const KEEP_ALIVE_DELAY_MS = 60_000;

/** What one read takes when the owner has no place for it. */
const READ_BYTES = 64 * 1024;

const nothing = (): void => {};
const nowhere = (): null => null;

/** IPv4 peers of a socket that listens on all addresses come as `::ffff:127.0.0.1`; people and access lists know them as `127.0.0.1`. */
function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/**
 * How a socket reads. Node asks for the place of the next read as soon as one is over, and before the socket has its owner; a place that nobody reads
 * to is no loss. Reads are never at the same time, so one place of their own is enough for all sockets of a process.
 */
class Reads {
  static shared: Buffer | undefined;
  socket: NodeSocket | undefined;

  get options(): net.OnReadOpts {
    return { buffer: () => this.place(), callback: (bytes, buffer) => this.took(bytes, buffer as Buffer) };
  }

  private place(): Buffer {
    return this.socket?.room() ?? (Reads.shared ??= Buffer.allocUnsafeSlow(READ_BYTES));
  }

  private took(bytes: number, buffer: Buffer): boolean {
    this.socket!.onData(bytes === buffer.length ? buffer : buffer.subarray(0, bytes));
    return true;
  }
}

/**
 * An accepted socket that reads by `reads`. node:net takes `onread` for sockets that connect only, so the connection (libuv's handle, of which net.Socket is
 * the shell) gets a new shell. Without such a handle the socket stays as it is, and reads into buffers of Node's.
 */
function withReads(accepted: net.Socket, reads: Reads): net.Socket {
  const inner = accepted as unknown as { _handle: { useUserBuffer?: unknown } | null };
  const handle = inner._handle;
  if (typeof handle?.useUserBuffer !== 'function') return accepted;
  inner._handle = null;
  accepted.destroy();
  return new net.Socket({ handle, onread: reads.options } as net.SocketConstructorOpts);
}

class NodeSocket implements Socket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  onData: (chunk: Buffer) => void = nothing;
  room: () => Buffer | null = nowhere;
  onClose: (error?: Error) => void = nothing;
  onDrain: () => void = nothing;
  private readonly socket: net.Socket;
  private readonly queuedBytesMax: number;
  private error: Error | undefined;

  constructor(socket: net.Socket, reads: Reads, queuedBytesMax: number) {
    this.socket = socket;
    reads.socket = this;
    this.queuedBytesMax = Math.max(queuedBytesMax, socket.writableHighWaterMark);
    // Kept here: a closed socket no longer knows them.
    this.remoteAddress = plainAddress(socket.remoteAddress);
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = plainAddress(socket.localAddress);
    this.localPort = socket.localPort ?? 0;
    socket.on('data', (chunk: Buffer) => this.onData(chunk));
    socket.on('drain', () => this.onDrain());
    socket.on('error', (error) => {
      this.error ??= error;
    });
    socket.on('close', () => this.onClose(this.error));
  }

  get queuedBytes(): number {
    return this.socket.writableLength;
  }

  write(buffers: readonly Buffer[], written?: () => void): boolean {
    const { socket } = this;
    // A peer that is gone is no error of the writer: onClose is on its way.
    if (!socket.writable) return false;
    if (buffers.length === 0) return socket.writableLength < this.queuedBytesMax;
    const last = buffers.length - 1;
    const done = written === undefined ? undefined : (error?: Error | null) => error == null && written();
    if (last === 0) {
      socket.write(buffers[0]!, done);
    } else {
      socket.cork();
      for (let i = 0; i < last; i++) socket.write(buffers[i]!);
      socket.write(buffers[last]!, done);
      socket.uncork();
    }
    return socket.writableLength < this.queuedBytesMax;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

class NodeListener implements Listener {
  readonly host: string;
  readonly port: number;
  private readonly server: net.Server;
  private closing: Promise<void> | undefined;

  constructor(server: net.Server, host: string) {
    this.server = server;
    this.host = host;
    this.port = (server.address() as net.AddressInfo).port;
  }

  close(): Promise<void> {
    // The callback of close() waits for the last connection; here only accepting ends, which close() does before it returns.
    this.closing ??= new Promise((resolve) => {
      this.server.close();
      setImmediate(resolve);
    });
    return this.closing;
  }
}

export class NodeNetwork implements Network {
  private readonly listenBacklog: number;
  private readonly queuedBytesMax: number;

  constructor(options: NodeNetworkOptions = {}) {
    this.listenBacklog = options.listenBacklog ?? LISTEN_BACKLOG_DEFAULT;
    this.queuedBytesMax = options.queuedBytesMax ?? QUEUED_BYTES_MAX_DEFAULT;
  }

  listen(options: { host: string; port: number }, onConnection: (socket: Socket) => void): Promise<Listener> {
    const server = net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS });
    server.on('connection', (socket) => {
      // A peer that is gone before it was accepted has no address.
      if (socket.remoteAddress === undefined) socket.destroy();
      else {
        const reads = new Reads();
        onConnection(new NodeSocket(withReads(socket, reads), reads, this.queuedBytesMax));
      }
    });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.once('listening', () => {
        server.off('error', reject);
        // After that errors are of accept(), above all EMFILE: the connection is refused, those that exist go on.
        server.on('error', nothing);
        resolve(new NodeListener(server, options.host));
      });
      // Without a host Node listens on `::` for both families, or on 0.0.0.0 where there is no IPv6.
      const host = options.host === '' ? {} : { host: options.host };
      server.listen({ port: options.port, backlog: this.listenBacklog, exclusive: true, ...host });
    });
  }

  connect(options: { host: string; port: number; timeoutMs: number }): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const reads = new Reads();
      const socket = net.connect({
        onread: reads.options,
        host: options.host,
        port: options.port,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
      });
      const timer = setTimeout(() => {
        const error = Object.assign(new Error(`no connection to ${options.host}:${options.port} within ${options.timeoutMs} ms`), { code: 'ETIMEDOUT' });
        socket.destroy(error);
      }, options.timeoutMs);
      const failed = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
      };
      socket.once('error', failed);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', failed);
        resolve(new NodeSocket(socket, reads, this.queuedBytesMax));
      });
    });
  }
}
