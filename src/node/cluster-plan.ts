/**
 * The settings of the nodes of one cluster on one machine: each is broker and controller, all are voters, and each has a port of its own for either.
 *
 * Promises: what the user set stays; what must differ between the nodes is set here. Internal topics get as many replicas as there are nodes, three at most, as
 * Kafka's defaults have it for three. Does not start anything.
 */
import { loadMetaProperties } from '../../storage/meta-properties.ts';
import { joinPath } from '../../storage/files.ts';
import type { Disk } from '../../storage/disk.ts';
import { parseHttpAddress } from '../http/http-address.ts';
import type { HttpAddress } from '../http/http-address.ts';
import type { Listener, Network } from '../runtime/runtime.ts';
import { SettingError } from '../settings.ts';
import type { SettingInput, Settings } from '../settings.ts';

export interface PlannedNode {
  readonly nodeId: number;
  /** To be set over everything that the user gave. */
  readonly values: Readonly<Record<string, SettingInput>>;
  /** The name of its directory below the cluster's. */
  readonly directory: string;
}

export interface ClusterPlanOptions {
  readonly nodes: number;
  /** Where clients reach the nodes: one port each. */
  readonly host: string;
  readonly ports: readonly number[];
  /** On this machine's own address: one port each. */
  readonly controllerPorts: readonly number[];
  /** What the user gave, without the development preset. */
  readonly given: Settings;
  /** Kafka's own waits. */
  readonly production: boolean;
}

export const NODES_MAX = 9;
const CONTROLLER_HOST = '127.0.0.1';
const REPLICAS_MAX = 3;
const ELECTION_TIMEOUT_MS = 50;

export function clusterPlan({ nodes, host, ports, controllerPorts, given, production }: ClusterPlanOptions): PlannedNode[] {
  for (const name of ['node.id', 'broker.id', 'listeners', 'advertised.listeners', 'controller.quorum.voters', 'controller.quorum.bootstrap.servers'] as const) {
    // The standing node.id is 1, which is nobody's wish.
    const isStanding = (name === 'node.id' || name === 'broker.id') && given.get('node.id') === 1;
    if (given.isSet(name) && !isStanding) throw new SettingError(`${name} differs between the nodes of a cluster: it cannot be set for all of them`);
  }
  const ids = ports.map((_, index) => index + 1);
  const voters = ids.map((id) => `${id}@${CONTROLLER_HOST}:${controllerPorts[id - 1]!}`);
  const replicas = Math.min(nodes, REPLICAS_MAX);
  const minInSync = Math.min(replicas, 2);
  const defaults: Readonly<Record<string, SettingInput>> = {
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': minInSync,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': minInSync,
    // Voters of one machine hear each other within a millisecond: the first election, which every start waits for, need not take Kafka's second.
    ...(!production && { 'group.initial.rebalance.delay.ms': 0, 'controller.quorum.election.timeout.ms': ELECTION_TIMEOUT_MS }),
  };
  const missing = Object.fromEntries(Object.entries(defaults).filter(([name]) => !given.isSet(name as never)));
  const http = given.get('ottla.http') === null ? null : parseHttpAddress(given.get('ottla.http')!);
  return ids.map((nodeId, index) => ({
    nodeId,
    directory: `node-${nodeId}`,
    values: {
      ...missing,
      'node.id': nodeId,
      'process.roles': 'broker,controller',
      'controller.quorum.voters': voters,
      'controller.listener.names': 'CONTROLLER',
      ...(http !== null && { 'ottla.http': httpTextOf(http, index) }),
      'listeners': [`PLAINTEXT://${host.includes(':') ? `[${host}]` : host}:${ports[index]!}`, `CONTROLLER://${CONTROLLER_HOST}:${controllerPorts[index]!}`],
    },
  }));
}

/** Of the first node as it was given; the others have the next ports. */
function httpTextOf({ host, port }: HttpAddress, index: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port === 0 ? 0 : port + index}`;
}

/** The cluster that directories of an earlier run belong to; undefined when there is none yet. */
export function clusterIdOf(disk: Disk, directory: string, nodes: number): string | undefined {
  for (let id = 1; id <= nodes; id++) {
    const path = joinPath(directory, `node-${id}`);
    if (disk.status(path) === undefined) continue;
    const loaded = loadMetaProperties(disk, path);
    if (loaded.status === 'ok' && loaded.value.clusterId !== undefined) return loaded.value.clusterId;
  }
  return undefined;
}

/** Ports that nobody listens on now. All at once, so that they differ. */
export async function freePorts(network: Network, host: string, count: number): Promise<number[]> {
  const listeners: Listener[] = [];
  try {
    for (let i = 0; i < count; i++) listeners.push(await network.listen({ host, port: 0 }, (socket) => socket.destroy()));
    return listeners.map(({ port }) => port);
  } finally {
    await Promise.all(listeners.map((listener) => listener.close()));
  }
}
