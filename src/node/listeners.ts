/**
 * The listeners of a node: opened for clients and for controllers, and what others are told of them.
 *
 * Promises: a listener that was given port 0 is told by the port that it got. Does not read from connections: the server does, when the node says so.
 */
import type { NodeEndpoint } from '../api/node.ts';
import type { ConnectionInfo, ListenerKind } from '../api/serve.ts';
import type { Endpoint, MetadataImage } from '../quorum/image.ts';
import type { Listener } from '../runtime/runtime.ts';
import type { Server } from '../server/server.ts';
import type { Settings } from '../settings.ts';
import type { ListenerAddress } from '../settings/listeners.ts';
import type { Roles } from './roles.ts';

const securityProtocols = { PLAINTEXT: 0, SSL: 1, SASL_PLAINTEXT: 2, SASL_SSL: 3 } as const;

/** Each kind of listener has connections, limits and a budget of its own, as in Kafka. */
export type Servers = { readonly [K in ListenerKind]: Server };

const THIS_MACHINE = 'localhost';

interface Opened {
  readonly kind: ListenerKind;
  readonly address: ListenerAddress;
  readonly listener: Listener;
}

export class NodeListeners {
  readonly #settings: Settings;
  /** What a listener on all addresses is told by, where it has no advertised one. */
  readonly #anyHost: string;
  readonly #opened = new Map<string, Opened>();

  /** Opens the listeners of the roles. Rejects with the operating system's error; what was opened is its server's to close. */
  static async open(servers: Servers, settings: Settings, { isBroker, isController, isAlone }: Roles, hostName: string | undefined): Promise<NodeListeners> {
    // Others of a cluster come from other machines; who comes to a node on its own is mostly at the same one.
    const listeners = new NodeListeners(settings, isAlone ? THIS_MACHINE : (hostName ?? THIS_MACHINE));
    const open = async (kind: ListenerKind, addresses: readonly ListenerAddress[]) => {
      for (const address of addresses) listeners.#opened.set(address.name, { kind, address, listener: await servers[kind].listen({ name: address.name, kind }, address) });
    };
    if (isBroker) await open('broker', settings.listeners.broker);
    if (isController) await open('controller', settings.listeners.controller);
    return listeners;
  }

  private constructor(settings: Settings, anyHost: string) {
    this.#settings = settings;
    this.#anyHost = anyHost;
  }

  /** What this node registers as. */
  endpoints(kind: ListenerKind): Endpoint[] {
    return this.#of(kind).map((opened) => ({ name: opened.address.name, ...this.#advertised(opened), securityProtocol: securityProtocols[opened.address.securityProtocol] }));
  }

  /** `host:port` of each listener, for people and for `bootstrap.servers` on this machine. */
  addresses(kind: ListenerKind): string {
    return this.#of(kind)
      .map((opened) => {
        const { host, port } = this.#advertised(opened);
        return `${host.includes(':') ? `[${host}]` : host}:${port}`;
      })
      .join(',');
  }

  /** The port that each listener really has, by its name. */
  get ports(): ReadonlyMap<string, number> {
    return new Map([...this.#opened].map(([name, { listener }]) => [name, listener.port]));
  }

  /** Where a client of this connection reaches the brokers; those that have no listener of its name are left out. */
  endpointsOf(nodeIds: Iterable<number>, connection: ConnectionInfo, { image, nodeId: ownId }: { readonly image: MetadataImage; readonly nodeId: number }): NodeEndpoint[] {
    const found: NodeEndpoint[] = [];
    for (const nodeId of nodeIds) {
      const broker = image.brokers.get(nodeId);
      const endpoint = broker?.endpoints.find((one) => one.name === connection.listener);
      if (broker === undefined || endpoint === undefined) continue;
      // Where nothing else was said, the address that the client came to is one that it can reach.
      const { host, port } = nodeId === ownId && this.#isUnnamed(connection.listener) ? { host: connection.localAddress, port: connection.localPort } : endpoint;
      found.push({ nodeId, host, port, rack: broker.rack });
    }
    return found;
  }

  #of(kind: ListenerKind): Opened[] {
    return [...this.#opened.values()].filter((opened) => opened.kind === kind);
  }

  #advertised({ address, listener }: Opened): { host: string; port: number } {
    const advertised = this.#settings.listeners.advertised.get(address.name);
    if (advertised !== undefined) return { host: advertised.host, port: advertised.port === 0 ? listener.port : advertised.port };
    return { host: isWildcard(address.host) ? this.#anyHost : address.host, port: listener.port };
  }

  /** Neither an advertised address nor one to listen on was given for the listener. */
  #isUnnamed(name: string): boolean {
    return !this.#settings.listeners.advertised.has(name) && isWildcard(this.#opened.get(name)?.address.host ?? '');
  }
}

function isWildcard(host: string): boolean {
  return host === '' || host === '0.0.0.0' || host === '::';
}
