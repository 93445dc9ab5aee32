/**
 * The connections of a node to the other nodes of its cluster.
 *
 * Promises: one connection for each purpose, node and lane, since a server answers a connection's requests in their order and a request that waits (a long
 * fetch) holds up those behind it. A broker that comes back under another address is asked there; one that is gone loses its connections.
 * Does not repeat requests, and knows no leader.
 */
import { BufferPool } from '../../storage/buffer-pool.ts';
import { Peer, PEER_DEFAULTS } from '../peer/peer.ts';
import type { PeerAddress } from '../peer/peer.ts';
import type { MetadataChanges } from '../quorum/changes.ts';
import type { MetadataImage } from '../quorum/image.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';

const ADDRESSES_MAX = 64;

export class Peers {
  readonly #runtime: Runtime;
  readonly #settings: Settings;
  readonly #nodeId: number;
  readonly #image: () => MetadataImage;
  /** By purpose and address. */
  readonly #byAddress = new Map<string, Peer>();
  /** By node, then lane. */
  readonly #brokers = new Map<number, Map<number, Peer>>();
  /** Buffers of what followers are sent. */
  readonly #frames = new BufferPool();
  #closed = false;

  constructor(options: { readonly runtime: Runtime; readonly settings: Settings; readonly nodeId: number; readonly image: () => MetadataImage }) {
    this.#runtime = options.runtime;
    this.#settings = options.settings;
    this.#nodeId = options.nodeId;
    this.#image = options.image;
  }

  /** Connections by address, of this purpose's own. */
  at(purpose: string): (address: PeerAddress) => Peer {
    return (address) => {
      const key = `${purpose} ${address.host} ${address.port}`;
      let peer = this.#byAddress.get(key);
      if (peer === undefined) {
        this.#makeRoom();
        this.#byAddress.set(key, (peer = this.#connectTo(address, purpose === 'quorum' ? `raft-client-${this.#nodeId}` : String(this.#nodeId))));
      }
      return peer;
    };
  }

  /** Whether somebody listens there, by a connection that is closed at once. */
  async knock({ host, port }: PeerAddress): Promise<'taken' | 'refused' | 'unknown'> {
    if (this.#closed) return 'unknown';
    try {
      const socket = await this.#runtime.network.connect({ host, port, timeoutMs: this.#settings.get('socket.connection.setup.timeout.ms') });
      socket.destroy();
      return 'taken';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'refused' : 'unknown';
    }
  }

  /** Another broker by its listener for brokers, or null while it is not registered with one. Lanes from 1 on are those of fetchers. */
  broker(nodeId: number, lane = 0): Peer | null {
    const address = this.#addressOf(nodeId);
    if (address === null) return null;
    let lanes = this.#brokers.get(nodeId);
    if (lanes === undefined) this.#brokers.set(nodeId, (lanes = new Map()));
    let peer = lanes.get(lane);
    if (peer === undefined) lanes.set(lane, (peer = this.#connectTo(address, `broker-${this.#nodeId}${lane === 0 ? '' : `-fetcher-${lane - 1}`}`)));
    else peer.moveTo(address);
    return peer;
  }

  /** Leaders are where others say that they are: however many addresses are told, no more connections are kept than a cluster can have. */
  #makeRoom(): void {
    if (this.#byAddress.size < ADDRESSES_MAX) return;
    const [oldest, peer] = this.#byAddress.entries().next().value!;
    this.#byAddress.delete(oldest);
    peer.close();
  }

  apply(changes: MetadataChanges): void {
    for (const nodeId of changes.brokers) {
      const lanes = this.#brokers.get(nodeId);
      if (lanes === undefined) continue;
      const address = this.#addressOf(nodeId);
      for (const peer of lanes.values()) {
        if (address === null) peer.close();
        else peer.moveTo(address);
      }
      if (address === null) this.#brokers.delete(nodeId);
    }
  }

  close(): void {
    this.#closed = true;
    for (const peer of this.#byAddress.values()) peer.close();
    for (const lanes of this.#brokers.values()) for (const peer of lanes.values()) peer.close();
  }

  #addressOf(nodeId: number): PeerAddress | null {
    const name = this.#settings.listeners.interBroker;
    return this.#image().brokers.get(nodeId)?.endpoints.find((endpoint) => endpoint.name === name) ?? null;
  }

  /** Under the names that Kafka's nodes have for each other, by which operators know them in logs and quotas. */
  #connectTo({ host, port }: PeerAddress, clientId: string): Peer {
    const { network, timers, clock } = this.#runtime;
    const peer = new Peer({ host, port }, {
      ...PEER_DEFAULTS, pool: this.#frames, network, timers, clock, clientId, connectTimeoutMs: this.#settings.get('socket.connection.setup.timeout.ms'),
    });
    if (this.#closed) peer.close();
    return peer;
  }
}
