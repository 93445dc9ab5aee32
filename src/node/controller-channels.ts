/**
 * This node's channels to the active controller: made before the quorum is open, since handlers have them from the first request on, and bound to it when it is.
 *
 * Promises: while this node's own controller is active it is asked in process, by the same handlers as the network's. Each purpose has connections of its own.
 */
import { askSelf } from '../api/inner.ts';
import { servedApis } from '../api/index.ts';
import type { Node } from '../api/node.ts';
import type { ConnectionInfo } from '../api/serve.ts';
import { CONTROLLER_CHANNEL_DEFAULTS, ControllerChannel } from '../peer/controller-channel.ts';
import type { KnownLeader } from '../peer/controller-channel.ts';
import type { PeerAddress, PeerChannel } from '../peer/peer.ts';
import type { Quorum } from '../quorum/quorum.ts';

export interface ChannelsOptions {
  readonly node: Node;
  /** The one of the node's own requests: the first of controller.listener.names. */
  readonly listener: string;
  /** Connections of this purpose's own. */
  readonly peersFor: (purpose: string) => (address: PeerAddress) => PeerChannel;
}

const NOBODY: KnownLeader = { leaderId: -1, epoch: -1, address: null };
const HERE = '127.0.0.1';

export class ControllerChannels {
  readonly #options: ChannelsOptions;
  readonly #connection: ConnectionInfo;
  readonly #channels: ControllerChannel[] = [];
  readonly #listeners = new Set<() => void>();
  #quorum: Quorum | null = null;

  constructor(options: ChannelsOptions) {
    this.#options = options;
    this.#connection = {
      id: 0, listener: options.listener, listenerKind: 'controller', remoteAddress: HERE, localAddress: HERE, localPort: 0, principal: 'User:ANONYMOUS',
      clientSoftwareName: '', clientSoftwareVersion: '',
    };
  }

  channel(purpose: string): ControllerChannel {
    const { node, peersFor } = this.#options;
    const { clock, timers } = node.runtime;
    const channel = new ControllerChannel({
      ...CONTROLLER_CHANNEL_DEFAULTS, nodeId: node.nodeId, clock, timers,
      leader: () => this.#quorum?.leader() ?? NOBODY,
      onLeader: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      local: (api, input, { versionMax }) => {
        const served = servedApis.find((one) => one.api === api && one.listeners !== 'broker');
        return askSelf(served, api, input, { node, connection: this.#connection, versionMax });
      },
      peerOf: peersFor(purpose),
    });
    this.#channels.push(channel);
    return channel;
  }

  bind(quorum: Quorum): void {
    this.#quorum = quorum;
    quorum.onLeader(() => {
      for (const listener of [...this.#listeners]) listener();
    });
  }

  /** What waits is given up. */
  close(): void {
    for (const channel of this.#channels) channel.close();
  }
}
