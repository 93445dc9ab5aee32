/**
 * The way from this node to the active controller, wherever that is: in this process while this node's own controller is active, else over the network to the
 * leader that the quorum knows.
 *
 * Promises: a request settles once, within its time: by an answer that is not NOT_CONTROLLER, or by a ConnectionError. While nobody leads, when the connection
 * is lost, and when whoever was asked does not lead (any more), the request is made again, at once when another leader is known and else after a pause that
 * doubles up to a limit. So a request may reach controllers more than once, as those of Kafka's brokers may.
 * Does not look into answers beyond NOT_CONTROLLER, or order requests: whoever needs an order waits for one answer before the next request.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { AnyApi, AnyMessage, Api, Input, Value } from '../../protocol/schema.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import type { Clock, Timer, Timers } from '../runtime/runtime.ts';
import type { PeerAddress, PeerChannel } from './peer.ts';

/** What the quorum knows of its leader; an id below 0 and a null address stand for not knowing. */
export interface KnownLeader {
  readonly leaderId: number;
  readonly epoch: number;
  readonly address: PeerAddress | null;
}

export interface ControllerChannelOptions {
  readonly nodeId: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly leader: () => KnownLeader;
  /** Calls back when another leader is known, or none any more. Gives back the way to stop that. */
  readonly onLeader: (listener: () => void) => () => void;
  /** This node's own controller: throws or rejects with a KafkaError, NOT_CONTROLLER while it is not active. */
  readonly local: (api: AnyApi, input: unknown, options: { versionMax?: number }) => Promise<unknown>;
  /** Connections of this channel's own: a slow answer to somebody else must not hold up these. */
  readonly peerOf: (address: PeerAddress) => PeerChannel;
  /** How long one try may take: a leader that hangs must leave time to ask its successor. */
  readonly tryTimeoutMs: number;
  /** How long a request may take in all where its caller does not say. */
  readonly requestTimeoutMs: number;
  readonly backoffMs: number;
  readonly backoffMsMax: number;
}

export const CONTROLLER_CHANNEL_DEFAULTS = { tryTimeoutMs: 10_000, requestTimeoutMs: 30_000, backoffMs: 20, backoffMsMax: 500 } as const;

const LEADER_CHANGED = Symbol('leader changed');

export class ControllerChannel implements PeerChannel {
  readonly #options: ControllerChannelOptions;
  readonly #unsubscribe: () => void;
  /** Of those that wait for a leader or an answer. */
  readonly #wakers = new Set<() => void>();
  #closed = false;

  constructor(options: ControllerChannelOptions) {
    this.#options = options;
    this.#unsubscribe = options.onLeader(() => this.#wake());
  }

  async request<Q extends AnyMessage, S extends AnyMessage>(
    api: Api<Q, S>,
    input: Input<Q>,
    options: { versionMax?: number; timeoutMs?: number } = {},
  ): Promise<Value<S>> {
    const { clock, requestTimeoutMs, backoffMs, backoffMsMax } = this.#options;
    const deadlineMs = clock.monotonicMs() + (options.timeoutMs ?? requestTimeoutMs);
    let reason = 'no controller is known';
    for (let failures = 0; ; failures++) {
      const leftMs = deadlineMs - clock.monotonicMs();
      if (this.#closed || leftMs <= 0) throw new ConnectionError(`${api.name} did not reach the active controller: ${this.#closed ? 'the node stops' : reason}`);
      const { epoch } = this.#options.leader();
      try {
        const answer = await this.#try(api, input, { ...options, timeoutMs: leftMs });
        if (answer !== LEADER_CHANGED && !isNotController(answer)) return answer as Value<S>;
        reason = answer === LEADER_CHANGED ? 'the controller changed' : 'whoever was asked is not the active controller';
      } catch (error) {
        if (!(error instanceof ConnectionError) && !(error instanceof KafkaError && error.code === ErrorCode.NOT_CONTROLLER)) throw error;
        reason = error.message;
      }
      if (this.#options.leader().epoch === epoch) await this.#pause(Math.min(backoffMs * 2 ** Math.min(failures, 16), backoffMsMax, deadlineMs - clock.monotonicMs()));
    }
  }

  /** What waits is given up. */
  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    this.#wake();
  }

  /** One try. An answer that comes after the leader has changed is as good as lost. */
  #try(api: Api<any, any>, input: unknown, { versionMax, timeoutMs }: { versionMax?: number; timeoutMs: number }): Promise<unknown> {
    const { nodeId, leader, local, peerOf, tryTimeoutMs } = this.#options;
    const { leaderId, address } = leader();
    const version = versionMax === undefined ? {} : { versionMax };
    // What is decided in this process is decided: to ask the next leader as well would be to do it twice.
    if (leaderId === nodeId) return local(api, input, version);
    if (address === null) return Promise.reject(new ConnectionError('no controller is known'));
    const answered = peerOf(address).request(api, input as never, { ...version, timeoutMs: Math.min(timeoutMs, tryTimeoutMs) });
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        const now = leader();
        if (!this.#closed && now.leaderId === leaderId && now.address?.host === address.host && now.address.port === address.port) return;
        this.#wakers.delete(wake);
        resolve(LEADER_CHANGED);
      };
      this.#wakers.add(wake);
      answered.then(resolve, reject).finally(() => this.#wakers.delete(wake));
    });
  }

  #pause(delayMs: number): Promise<void> {
    if (delayMs <= 0 || this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wakers.delete(wake);
        timer.cancel();
        resolve();
      };
      const timer: Timer = this.#options.timers.after(delayMs, wake);
      this.#wakers.add(wake);
    });
  }

  #wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }
}

/** As a whole, or for a part of the request: then for all of it, and nothing was done. */
function isNotController(answer: unknown): boolean {
  if (hasCode(answer)) return true;
  return Object.values(answer as object).some((part) => Array.isArray(part) && part.some(hasCode));
}

function hasCode(part: unknown): boolean {
  return typeof part === 'object' && part !== null && (part as { errorCode?: unknown }).errorCode === ErrorCode.NOT_CONTROLLER;
}
