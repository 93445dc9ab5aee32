/**
 * Several nodes that form one cluster in this process, on one event loop: for tests of client code, which stop a node and start it again.
 *
 * Promises: `start` resolves when every node is in service, and leaves nothing behind when one of them cannot be; a node that was stopped keeps its ports and its
 * data. Nodes that stop together all give their leaderships away first. Does not isolate: what blocks one node blocks all; `ottla --nodes` gives each a thread.
 */
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { joinPath } from '../../storage/files.ts';
import { Broker } from '../broker.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';
import { clusterIdOf } from './cluster-plan.ts';
import type { PlannedNode } from './cluster-plan.ts';

export interface LocalClusterOptions {
  readonly runtime: Runtime;
  readonly plan: readonly PlannedNode[];
  /** The settings of a node, by its plan. */
  readonly settingsOf: (node: PlannedNode) => Settings;
  /** One directory for each node below it; in memory without one. */
  readonly dataDir: string | undefined;
  readonly clusterId?: string | undefined;
  readonly logger: (nodeId: number) => Logger;
  readonly onFatal?: ((error: unknown) => void) | undefined;
}

const MEMORY_DIRECTORY = '/memory';

export class LocalNode {
  readonly nodeId: number;
  readonly #start: (aborted: AbortSignal | undefined) => Promise<Broker>;
  #broker: Broker | null = null;
  #starting: { readonly started: Promise<Broker>; readonly abort: AbortController } | null = null;

  constructor(nodeId: number, start: (aborted: AbortSignal | undefined) => Promise<Broker>) {
    this.nodeId = nodeId;
    this.#start = start;
  }

  /** null while it does not run. */
  get broker(): Broker | null {
    return this.#broker;
  }

  /** Resolves when the node is in service. Does nothing while it runs. */
  async start(aborted?: AbortSignal): Promise<void> {
    if (this.#broker !== null) return;
    if (this.#starting === null) {
      const abort = new AbortController();
      aborted?.addEventListener('abort', () => abort.abort());
      this.#starting = { abort, started: this.#start(abort.signal) };
    }
    try {
      this.#broker = await this.#starting.started;
    } finally {
      this.#starting = null;
    }
  }

  async stop(options?: { readonly withAll?: boolean }): Promise<void> {
    if (this.#starting !== null) {
      this.#starting.abort.abort();
      await this.#starting.started.then((broker) => broker.stop(), () => {});
    }
    const broker = this.#broker;
    this.#broker = null;
    await broker?.stop(options);
  }
}

export class LocalCluster {
  readonly clusterId: string;
  readonly nodes: readonly LocalNode[];

  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const cluster = new LocalCluster(options);
    const abort = new AbortController();
    const results = await Promise.allSettled(cluster.nodes.map((node) => node.start(abort.signal).catch((error: unknown) => {
      abort.abort();
      throw error;
    })));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
    if (failures.length === 0) return cluster;
    await Promise.allSettled(cluster.nodes.map((node) => node.stop()));
    // The others were told to end by the first.
    throw failures.find(({ name }) => name !== 'AbortError') ?? failures[0]!;
  }

  private constructor({ runtime, plan, settingsOf, dataDir, clusterId, logger, onFatal }: LocalClusterOptions) {
    this.clusterId = clusterId ?? (dataDir === undefined ? undefined : clusterIdOf(runtime.disk, dataDir, plan.length)) ?? runtime.random.uuid();
    if (dataDir !== undefined && runtime.disk.status(dataDir) === undefined) runtime.disk.makeDirectory(dataDir);
    this.nodes = plan.map((node) => {
      const disk = dataDir === undefined ? new MemoryDisk() : runtime.disk;
      return new LocalNode(node.nodeId, (aborted) => Broker.start({
        runtime: { ...runtime, disk }, settings: settingsOf(node), dataDir: dataDir === undefined ? MEMORY_DIRECTORY : joinPath(dataDir, node.directory),
        clusterId: this.clusterId, logger: logger(node.nodeId), onFatal, aborted,
      }));
    });
  }

  /** Leaves first, all at once, so that nobody waits for a controller that has gone already. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.broker?.leave()));
    const results = await Promise.allSettled(this.nodes.map((node) => node.stop({ withAll: true })));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }
}
