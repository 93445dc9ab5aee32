/** Clusters of whole nodes in this process: disks in memory, real sockets. */
import { LocalCluster } from '../../../src/node/local-cluster.ts';
import { clusterPlan, freePorts } from '../../../src/node/cluster-plan.ts';
import type { PlannedNode } from '../../../src/node/cluster-plan.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import { Settings } from '../../../src/settings.ts';
import type { SettingInput } from '../../../src/settings.ts';
import { RawClient } from '../broker-world.ts';

export interface ClusterWorld {
  readonly cluster: LocalCluster;
  readonly lines: string[];
  readonly ports: readonly number[];
  readonly controllerPorts: readonly number[];
  readonly bootstrap: string[];
  connect(nodeId: number): Promise<RawClient>;
  connectController(nodeId: number): Promise<RawClient>;
}

const HOST = '127.0.0.1';

export async function startCluster(options: { nodes?: number; values?: Record<string, SettingInput>; change?: (node: PlannedNode) => Record<string, SettingInput> } = {}): Promise<ClusterWorld> {
  const { nodes = 3, values = {}, change = () => ({}) } = options;
  const runtime = nodeRuntime();
  const free = await freePorts(runtime.network, HOST, nodes * 2);
  const [ports, controllerPorts] = [free.slice(0, nodes), free.slice(nodes)];
  const lines: string[] = [];
  const given = Settings.from({ values, production: true });
  const plan = clusterPlan({ nodes, host: HOST, ports, controllerPorts, given, production: false });
  const cluster = await LocalCluster.start({
    runtime, plan, dataDir: undefined,
    settingsOf: (node) => Settings.from({ values: { ...values, ...node.values, ...change(node) }, production: true }),
    logger: (nodeId) => {
      const say = (line: string) => void lines.push(`${nodeId} ${line}`);
      return { info: say, warn: say, error: say };
    },
  });
  return {
    cluster, lines, ports, controllerPorts, bootstrap: ports.map((port) => `${HOST}:${port}`),
    connect: (nodeId) => RawClient.connect(ports[nodeId - 1]!),
    connectController: (nodeId) => RawClient.connect(controllerPorts[nodeId - 1]!),
  };
}

/** The node that leads the quorum. */
export function controllerId({ cluster }: ClusterWorld): number {
  for (const { broker } of cluster.nodes) if (broker?.quorum.controller?.isActive === true) return broker.nodeId;
  return -1;
}
