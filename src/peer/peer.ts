/**
 * Another node of the cluster, as this one speaks to it: one connection, made when it is first needed and again after it was lost.
 *
 * Promises: requests go out in the order of the calls and each settles once: by its answer, or by a ConnectionError (not reached, gone, too late). After
 * a failure nothing is tried for a while that doubles up to a limit; what is asked in that time fails at once. A new address (`moveTo`) ends the old
 * connection. Does not repeat a request, know who leads, or look into answers.
 */
import { ClientConnection } from '../client/connection.ts';
import type { AskOptions } from '../client/connection.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import type { AnyApi, AnyMessage, Api, Input, Value } from '../../protocol/schema.ts';
import type { FramePool } from '../runtime/frames.ts';
import type { Clock, Network, Timers } from '../runtime/runtime.ts';

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

export interface PeerOptions {
  readonly network: Network;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly clientId: string;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** reconnect.backoff.ms and reconnect.backoff.max.ms of Kafka's own clients. */
  readonly backoffMs: number;
  readonly backoffMsMax: number;
  readonly responseBytesMax: number;
  /** Where the buffers of large answers come from. */
  readonly pool?: FramePool;
}

export const PEER_DEFAULTS = { connectTimeoutMs: 10_000, requestTimeoutMs: 30_000, backoffMs: 50, backoffMsMax: 1_000, responseBytesMax: 0x7fff_ffff } as const;

/** What others need of a peer; a test gives its own. */
export interface PeerChannel {
  request<Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, input: Input<Q>, options?: AskOptions): Promise<Value<S>>;
  /** Ends the connection, where there is one; what waits on it fails. The next request makes a new one. */
  disconnect?(): void;
}

export class Peer implements PeerChannel {
  readonly #options: PeerOptions;
  #address: PeerAddress;
  #connecting: Promise<ClientConnection> | undefined;
  #connection: ClientConnection | undefined;
  #failures = 0;
  #notBeforeMs = 0;
  #lastError: ConnectionError | undefined;
  #closed = false;

  constructor(address: PeerAddress, options: PeerOptions) {
    this.#address = address;
    this.#options = options;
  }

  get address(): PeerAddress {
    return this.#address;
  }

  /** Monotonic ms before which no connection is tried; 0 when one may be made now. */
  get notBeforeMs(): number {
    return this.#connection?.isOpen === true || this.#notBeforeMs <= this.#options.clock.monotonicMs() ? 0 : this.#notBeforeMs;
  }

  async request<Q extends AnyMessage, S extends AnyMessage>(
    api: Api<Q, S>,
    input: Input<Q>,
    options: AskOptions = {},
  ): Promise<Value<S>> {
    const connection = this.#connection?.isOpen === true ? this.#connection : await this.#connect();
    try {
      return await connection.request(api, input, options);
    } catch (error) {
      // Not answered in time, and not closed either: it may have died without a word, and TCP takes a quarter of an hour to find out. As Kafka's NetworkClient.
      if (error instanceof ConnectionError && this.#connection === connection && connection.isOpen && connection.versionOf(api) !== undefined) this.disconnect();
      throw error;
    }
  }

  /** The highest version of an API that both sides have; undefined when there is none. Connects when it must. */
  async versionOf(api: AnyApi): Promise<number | undefined> {
    return (this.#connection?.isOpen === true ? this.#connection : await this.#connect()).versionOf(api);
  }

  /** The node is reached elsewhere from now on. */
  moveTo(address: PeerAddress): void {
    if (address.host === this.#address.host && address.port === this.#address.port) return;
    this.#address = address;
    this.disconnect();
    this.#failures = 0;
    this.#notBeforeMs = 0;
  }

  /** Ends the connection; what waits on it fails. The next request makes a new one. */
  disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
    this.#connecting = undefined;
  }

  close(): void {
    this.#closed = true;
    this.disconnect();
  }

  #connect(): Promise<ClientConnection> {
    if (this.#closed) return Promise.reject(new ConnectionError(`the connection to ${this.#name} was closed`));
    if (this.#connecting !== undefined) return this.#connecting;
    if (this.#options.clock.monotonicMs() < this.#notBeforeMs) return Promise.reject(this.#lastError!);
    const { host, port } = this.#address;
    const attempt: Promise<ClientConnection> = ClientConnection.open({ ...this.#options, host, port }).then(
      (connection) => {
        if (this.#connecting !== attempt) {
          connection.close();
          throw new ConnectionError(`the connection to ${host}:${port} was closed`);
        }
        this.#connecting = undefined;
        this.#connection = connection;
        this.#failures = 0;
        return connection;
      },
      (error: unknown) => {
        if (!(error instanceof ConnectionError) || this.#connecting !== attempt) throw error;
        this.#connecting = undefined;
        const { backoffMs, backoffMsMax, clock } = this.#options;
        this.#notBeforeMs = clock.monotonicMs() + Math.min(backoffMs * 2 ** this.#failures, backoffMsMax);
        this.#failures++;
        this.#lastError = error;
        throw error;
      },
    );
    this.#connecting = attempt;
    return attempt;
  }

  get #name(): string {
    return `${this.#address.host}:${this.#address.port}`;
  }
}
