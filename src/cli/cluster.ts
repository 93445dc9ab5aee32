/**
 * `ottla --nodes N`: a cluster on this machine, a thread for each node, for people who want one at hand. One line on standard output when all serve.
 *
 * Promises: nodes stop together: first all give their leaderships away, then all close, so that it takes the time of one. When a node cannot start, or cannot go on, the
 * whole command ends with its reason.
 */
import { clusterIdOf, clusterPlan, freePorts, NODES_MAX } from '../node/cluster-plan.ts';
import type { PlannedNode } from '../node/cluster-plan.ts';
import type { Logger } from '../runtime/logger.ts';
import { startThread } from '../runtime/node-threads.ts';
import type { Message, Thread } from '../runtime/node-threads.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { joinPath } from '../../storage/files.ts';
import { Settings } from '../settings.ts';
import type { SettingsSources } from '../settings.ts';
import { UsageError } from './arguments.ts';
import type { NodeReport, NodeTask } from './cluster-node.ts';
import { CommandError } from './failures.ts';
import { watchSignals } from './signals.ts';

export interface ClusterOptions {
  readonly nodes: number;
  readonly runtime: Runtime;
  readonly logger: Logger;
  /** Without the development preset. */
  readonly sources: SettingsSources;
  readonly production: boolean;
  readonly host: string;
  /** Of the first node; the others have the next ones. 0 for free ones. */
  readonly port: number;
  /** undefined to keep all in memory. */
  readonly dataDir: string | undefined;
  readonly clusterId: string | undefined;
}

/** How long a node may take to say that it has left or stopped, before the command ends without its word. */
const STOP_MS_MAX = 60_000;

export async function runCluster(options: ClusterOptions): Promise<number> {
  const { nodes, runtime, logger, sources, dataDir } = options;
  if (nodes > NODES_MAX) throw new UsageError(`--nodes ${nodes}: at most ${NODES_MAX} nodes make sense on one machine`);
  if (options.port !== 0 && options.port + nodes - 1 > 65_535) throw new UsageError(`--port ${options.port}: ${nodes} nodes need the ports behind it too`);
  const signals = watchSignals(logger, runtime.clock);
  const plan = await planOf(options);
  const clusterId = options.clusterId ?? (dataDir === undefined ? undefined : clusterIdOf(runtime.disk, dataDir, nodes)) ?? runtime.random.uuid();
  if (dataDir !== undefined && runtime.disk.status(dataDir) === undefined) runtime.disk.makeDirectory(dataDir);
  const running = plan.map((node) => new NodeThread(node, { sources: { ...sources, production: true, values: node.values }, memory: dataDir === undefined, dataDir: dataDir === undefined ? undefined : joinPath(dataDir, node.directory), clusterId }, logger));
  const ended = Promise.race(running.map((node) => node.ended));
  const outcome = await Promise.race([Promise.all(running.map((node) => node.ready)), signals.asked, ended]);
  if (Array.isArray(outcome)) {
    const where = dataDir === undefined ? 'in memory' : `in ${dataDir}`;
    console.log(`ottla ready on ${outcome.join(',')} (cluster ${clusterId}, ${nodes} nodes, data ${where}, ${Math.round(runtime.clock.monotonicMs())} ms)`);
    await Promise.race([signals.asked, ended]);
  }
  const failure = running.map((node) => node.failure).find((one) => one !== null);
  const late = runtime.timers.after(STOP_MS_MAX, () => process.exit(1));
  // A cluster of which one node has failed is not asked for its leave: it may have no controller.
  if (failure === undefined) await Promise.all(running.map((node) => node.leave()));
  const lines = await Promise.all(running.map((node) => node.stop()));
  late.cancel();
  for (const line of lines) if (line !== null) logger.error(line);
  if (failure !== undefined) throw failure;
  logger.info('stopped');
  return lines.some((line) => line !== null) ? 1 : 0;
}

async function planOf({ nodes, runtime, sources, production, host, port }: ClusterOptions): Promise<PlannedNode[]> {
  const free = await freePorts(runtime.network, host, port === 0 ? nodes : 0);
  return clusterPlan({
    nodes, host, production,
    ports: port === 0 ? free : Array.from({ length: nodes }, (_, index) => port + index),
    controllerPorts: await freePorts(runtime.network, '127.0.0.1', nodes),
    given: Settings.from({ ...sources, production: true }),
  });
}

class NodeThread {
  readonly #name: string;
  readonly #thread: Thread;
  readonly #logger: Logger;
  #failure: CommandError | null = null;
  #end!: () => void;
  #isGone = false;
  #onReady!: (bootstrapServers: string) => void;
  #onLeft: () => void = () => {};
  #onStopped: (line: string | null) => void = () => {};
  readonly ready: Promise<string>;
  /** It has failed, or its thread is gone. */
  readonly ended: Promise<void>;

  constructor(node: PlannedNode, task: NodeTask, logger: Logger) {
    this.#name = `node ${node.nodeId}`;
    this.#logger = logger;
    this.ready = new Promise((resolve) => (this.#onReady = resolve));
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#thread = startThread(entry(), { data: task as unknown as Message, onMessage: (message) => this.#take(message as unknown as NodeReport) });
    void this.#thread.ended.then((error) => {
      this.#isGone = true;
      if (error !== null) this.#failed(`${error.stack ?? error.message}`);
      this.#onLeft();
      this.#onStopped(null);
      this.#end();
    });
  }

  get failure(): CommandError | null {
    return this.#failure;
  }

  leave(): Promise<void> {
    if (this.#isGone) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onLeft = resolve;
      this.#thread.send('leave');
    });
  }

  /** Resolves with what went wrong, or null. */
  stop(): Promise<string | null> {
    if (this.#isGone) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#onStopped = resolve;
      this.#thread.send('stop');
    });
  }

  #take(report: NodeReport): void {
    switch (report.type) {
      case 'ready':
        return this.#onReady(report.bootstrapServers);
      case 'failed':
        // Those that were told to stop while they started did not fail.
        if (!report.isAborted) this.#failed(report.line);
        return;
      case 'fatal':
        return this.#failed(`cannot go on: ${report.line}`);
      case 'left':
        return this.#onLeft();
      case 'stopped':
        return this.#onStopped(report.line === null ? null : `${this.#name}: ${report.line}`);
      case 'log':
        return this.#logger[report.level](`${this.#name}: ${report.line}`);
    }
  }

  #failed(line: string): void {
    this.#failure ??= new CommandError(`${this.#name}: ${line}`);
    this.#end();
  }
}

/** Beside this module as a source; put together, modules that are loaded late lie one directory deeper than entries. */
function entry(): URL {
  const own = import.meta.url;
  if (own.endsWith('.ts')) return new URL('./cluster-thread.ts', own);
  return new URL(own.includes('/chunks/') ? '../cluster-thread.js' : './cluster-thread.js', own);
}
