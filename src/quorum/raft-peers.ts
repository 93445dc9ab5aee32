/**
 * The other members of the quorum, as this one reaches them.
 *
 * Promises: each question gets an answer, or null: when the other was not reached in time, does not know the request, or answers what makes no sense; or 'refused', when
 * nothing listens at its address. Addresses are told
 * by others, so connections that are not used are ended when there are too many. Does not repeat a question.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { AnyApi, AnyMessage, Api, Input, Value } from '../../protocol/schema.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import { outgoing, type RaftMessageOptions, unsupportedOnly } from './raft-messages.ts';
import type { Destination, RaftAnswer, RaftRequest, RaftState } from './raft-state.ts';
import { keyOf } from './raft-turn.ts';

/** A connection to another member, made when it is needed. */
export interface RaftPeer {
  request<Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, input: Input<Q>, options?: { versionMax?: number; timeoutMs?: number }): Promise<Value<S>>;
  versionOf(api: AnyApi): Promise<number | undefined>;
  disconnect(): void;
}

const PEERS_MAX = 64;

export class RaftPeers {
  readonly #messages: RaftMessageOptions;
  readonly #peerOf: (to: Destination) => RaftPeer;
  readonly #peers = new Map<string, RaftPeer>();

  constructor(options: { readonly messages: RaftMessageOptions; readonly peerOf: (to: Destination) => RaftPeer }) {
    this.#messages = options.messages;
    this.#peerOf = options.peerOf;
  }

  async ask(to: Destination, request: RaftRequest, state: RaftState): Promise<RaftAnswer | 'refused' | null> {
    const { api, input, read, versionMin } = outgoing(request, state, this.#messages);
    const peer = this.#peer(to, state);
    try {
      if (versionMin > 0) {
        const version = await peer.versionOf(api);
        if (version === undefined || version < versionMin) return request.api === 'vote' ? unsupportedOnly('vote', ErrorCode.UNSUPPORTED_VERSION) : null;
      }
      return read(await peer.request(api, input, { timeoutMs: state.config.requestTimeoutMs }));
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      return error.isRefused ? 'refused' : null;
    }
  }

  #peer(to: Destination, state: RaftState): RaftPeer {
    const key = keyOf(to);
    let peer = this.#peers.get(key);
    if (peer === undefined) {
      if (this.#peers.size >= PEERS_MAX) this.#disconnectIdle(state);
      this.#peers.set(key, (peer = this.#peerOf(to)));
    }
    return peer;
  }

  #disconnectIdle(state: RaftState): void {
    for (const [key, peer] of this.#peers) {
      if (state.connections.get(key)?.name === 'busy') continue;
      peer.disconnect();
      this.#peers.delete(key);
    }
  }

  close(): void {
    for (const peer of this.#peers.values()) peer.disconnect();
    this.#peers.clear();
  }
}
