/**
 * A connection of ours to a broker: requests out, answers matched by correlation id, in the highest version that both sides have.
 *
 * Promises: every request settles: by its answer, by its time, or by the end of the connection (all rejections are ConnectionErrors).
 * Does not: reconnect, authenticate, or know what an answer means.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import { decodeCorrelationId, decodeResponseFrame, encodeRequestFrame } from '../../protocol/frame.ts';
import { ApiVersions } from '../../protocol/messages/index.ts';
import type { AnyMessage, Api, AnyApi, Input, Value } from '../../protocol/schema.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import { FrameCutter } from '../runtime/frames.ts';
import type { FramePool } from '../runtime/frames.ts';
import type { Network, Socket, Timer, Timers } from '../runtime/runtime.ts';

export interface ConnectionOptions {
  readonly network: Network;
  readonly timers: Timers;
  readonly host: string;
  readonly port: number;
  readonly clientId: string;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** A larger answer ends the connection. */
  readonly responseBytesMax: number;
  /** Where the buffers of large answers come from; whoever asks with `lend` gives them back. */
  readonly pool?: FramePool;
}

export interface AskOptions {
  readonly versionMax?: number;
  readonly timeoutMs?: number;
  /** Told, before the answer is, how to give back the buffer that it lies in: once nobody looks at any bytes of it any more, or never. Not called where there is nothing to give back. */
  readonly lend?: (giveBack: () => void) => void;
}

/** Answers up to this size are taken into a pooled buffer at their word: ten fetches' worth of a follower. */
const POOLED_BYTES_MAX = 16 * 1024 * 1024;

interface Waiting {
  readonly api: AnyApi;
  readonly version: number;
  readonly timer: Timer;
  readonly lend: ((giveBack: () => void) => void) | undefined;
  resolve(body: unknown): void;
  reject(error: Error): void;
}

export class ClientConnection {
  readonly address: string;
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #waiting = new Map<number, Waiting>();
  readonly #versions = new Map<number, { min: number; max: number }>();
  readonly #frames: FrameCutter;
  readonly #take = (frame: Buffer, pooled: Buffer | null): boolean => {
    if (frame.length < 4) this.#fail(`sent a frame of ${frame.length} bytes`);
    else this.#answered(frame, pooled);
    return this.#closed === undefined;
  };
  #nextCorrelationId = 1;
  #closed: Error | undefined;

  private constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.address = addressText(options.host, options.port);
    const { pool } = options;
    this.#frames = new FrameCutter({ frameBytesMax: options.responseBytesMax, limit: 'responseBytesMax', ...(pool !== undefined && { pool, pooledBytesMax: POOLED_BYTES_MAX }) });
    socket.onData = (chunk) => this.#received(chunk);
    socket.room = () => this.#frames.room();
    socket.onClose = (error) => this.#end(new ConnectionError(`${this.address} closed the connection${error === undefined ? '' : `: ${error.message}`}`));
  }

  /** Connects and learns which versions the broker has. Rejects with a ConnectionError. */
  static async open(options: ConnectionOptions): Promise<ClientConnection> {
    const { network, host, port, connectTimeoutMs } = options;
    let socket: Socket;
    try {
      socket = await network.connect({ host, port, timeoutMs: connectTimeoutMs });
    } catch (error) {
      throw new ConnectionError(`cannot reach ${addressText(host, port)}: ${connectReason(error as NodeJS.ErrnoException)}`, { cause: error });
    }
    const connection = new ClientConnection(socket, options);
    try {
      await connection.#learnVersions();
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** The highest version of an API that the broker and we have; undefined when there is none. */
  versionOf(api: AnyApi): number | undefined {
    const theirs = this.#versions.get(api.key);
    if (theirs === undefined) return undefined;
    const version = Math.min(theirs.max, api.request.versions.max);
    return version >= Math.max(theirs.min, api.request.versions.min) ? version : undefined;
  }

  /** Sends a request, in the highest common version but none above `versionMax`. Errors in the answer are the caller's. */
  request<Q extends AnyMessage, S extends AnyMessage>(
    api: Api<Q, S>,
    input: Input<Q>,
    options: AskOptions = {},
  ): Promise<Value<S>> {
    const common = this.versionOf(api);
    if (common === undefined) return Promise.reject(new ConnectionError(`${this.address} does not serve ${api.name}`));
    return this.#send(api, Math.min(common, options.versionMax ?? common), input, options.timeoutMs ?? this.#options.requestTimeoutMs, options.lend);
  }

  /** Sends a request that gets no answer (Produce with acks=0). */
  sendOnly<Q extends AnyMessage>(api: Api<Q, any>, input: Input<Q>): void {
    const version = this.versionOf(api);
    if (this.#closed !== undefined) throw this.#closed;
    if (version === undefined) throw new ConnectionError(`${this.address} does not serve ${api.name}`);
    this.#socket.write(encodeRequestFrame(api, version, { correlationId: this.#takeCorrelationId(), clientId: this.#options.clientId }, input));
  }

  /** Closes when all that was written is with the operating system. */
  finish(): void {
    this.#socket.end();
    this.#end(new ConnectionError(`the connection to ${this.address} was closed`));
  }

  close(): void {
    this.#socket.destroy();
    this.#end(new ConnectionError(`the connection to ${this.address} was closed`));
  }

  #send<Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, version: number, input: Input<Q>, timeoutMs: number, lend?: (giveBack: () => void) => void): Promise<Value<S>> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const correlationId = this.#takeCorrelationId();
    const frame = encodeRequestFrame(api, version, { correlationId, clientId: this.#options.clientId }, input);
    return new Promise<Value<S>>((resolve, reject) => {
      const timer = this.#options.timers.after(timeoutMs, () => {
        this.#waiting.delete(correlationId);
        reject(new ConnectionError(`${this.address} did not answer ${api.name} within ${timeoutMs} ms`));
      });
      this.#waiting.set(correlationId, { api, version, timer, lend, resolve: resolve as (body: unknown) => void, reject });
      this.#socket.write(frame);
    });
  }

  #takeCorrelationId(): number {
    const correlationId = this.#nextCorrelationId;
    this.#nextCorrelationId = (correlationId % 0x7fff_ffff) + 1;
    return correlationId;
  }

  async #learnVersions(): Promise<void> {
    const { connectTimeoutMs } = this.#options;
    const about = { clientSoftwareName: 'ottla', clientSoftwareVersion: '1' };
    const newest = ApiVersions.request.versions.max;
    let answer = await this.#send(ApiVersions, newest, about, connectTimeoutMs);
    // A broker that does not know our version answers in version 0 and names those it has (KIP-511).
    if (answer.errorCode === ErrorCode.UNSUPPORTED_VERSION) {
      const theirs = answer.apiKeys.find((one) => one.apiKey === ApiVersions.key);
      answer = await this.#send(ApiVersions, Math.min(newest, theirs?.maxVersion ?? 0), (theirs?.maxVersion ?? 0) >= 3 ? about : {}, connectTimeoutMs);
    }
    if (answer.errorCode !== ErrorCode.NONE) throw new ConnectionError(`${this.address} answers ApiVersions with error ${answer.errorCode}`);
    for (const { apiKey, minVersion, maxVersion } of answer.apiKeys) this.#versions.set(apiKey, { min: minVersion, max: maxVersion });
  }

  // size:int32 then that many bytes, cut from chunks of any length. Only a frame that spans chunks is copied.
  #received(chunk: Buffer): void {
    try {
      this.#frames.push(chunk, this.#take);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#fail(`sent a ${error.message}`);
    }
  }

  #answered(frame: Buffer, pooled: Buffer | null): void {
    const correlationId = decodeCorrelationId(frame);
    const waiting = this.#waiting.get(correlationId);
    if (waiting === undefined) return; // Its time was up.
    this.#waiting.delete(correlationId);
    waiting.timer.cancel();
    try {
      const body = this.#decode(waiting, frame);
      const { pool } = this.#options;
      if (pooled !== null && pool !== undefined) waiting.lend?.(() => pool.give(pooled));
      waiting.resolve(body);
    } catch (error) {
      waiting.reject(new ConnectionError(`${this.address} sent a malformed answer to ${waiting.api.name}: ${(error as Error).message}`, { cause: error }));
      this.#fail('sent a malformed answer');
    }
  }

  #decode({ api, version }: Waiting, frame: Buffer): unknown {
    // The answer to an ApiVersions of an unknown version has version 0, and its error comes first in the body: correlationId:4 errorCode:2.
    const isFallback = api.key === ApiVersions.key && frame.length >= 6 && frame.readInt16BE(4) === ErrorCode.UNSUPPORTED_VERSION;
    return decodeResponseFrame(api, isFallback ? 0 : version, frame).body;
  }

  #fail(reason: string): void {
    this.#socket.destroy();
    this.#end(new ConnectionError(`${this.address} ${reason}`));
  }

  #end(error: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const one of waiting) {
      one.timer.cancel();
      one.reject(error);
    }
  }
}

export function addressText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function connectReason(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'nothing listens there';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'there is no such host';
    case 'ETIMEDOUT':
      return 'it does not answer';
    default:
      return error.message;
  }
}
