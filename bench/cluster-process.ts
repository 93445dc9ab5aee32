/**
 * A cluster as processes: nodes of ottla, of the reference (Apache Kafka), or of both in one cluster, from settings files of the same form.
 * Promises: `started` means that every broker's Metadata names all brokers; a node keeps its ports and directory over any number of starts; no process
 * outlives this one. Does not: choose timeouts, place partitions, or judge; the caller's settings win.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BrokerKind, type Daemon, brokerCommand, brokersInMetadata, formatNode, freePort, logTail, newId, startDaemon,
} from './broker-process.ts';

export type Role = 'broker' | 'controller';

export interface NodeSpec {
  readonly id: number;
  readonly kind: BrokerKind;
  readonly roles: readonly Role[];
  /** Whose tool formats its directory. By default ours formats itself when it starts, and the reference by its own tool. */
  readonly formattedBy?: BrokerKind;
}

export interface ClusterOptions {
  readonly nodes: readonly NodeSpec[];
  /** Holds a directory per node: its settings file, its log and, below data/, its data. */
  readonly dir: string;
  /** Lines name=value for every node's settings file, after the ones that any cluster needs. */
  readonly settings?: readonly string[];
  /**
   * The controllers that vote first, and the quorum is dynamic (KIP-853): one is formatted --standalone, several with --initial-controllers, and all other
   * nodes with --no-initial-controllers. Without it the quorum is static, and all controllers vote.
   */
  readonly firstVoters?: readonly number[];
  /** Where a node listens; by default 127.0.0.1. */
  readonly hostOf?: (id: number) => string;
  /** Words before the command that runs a node, such as those that enter a namespace. They must hand over with exec. */
  readonly prefixOf?: (id: number) => readonly string[];
  /** Environment of every node. */
  readonly env?: Readonly<Record<string, string>>;
  readonly readyTimeoutMs?: number;
}

/** n nodes of a kind that are broker and controller, numbered from 1. */
export function combinedNodes(kind: BrokerKind, count: number): NodeSpec[] {
  return Array.from({ length: count }, (_, i) => ({ id: i + 1, kind, roles: ['broker', 'controller'] }));
}

const READY_TIMEOUT_MS = 120_000;
const ASK_AGAIN_MS = 10;

export class ClusterNode {
  readonly id: number;
  readonly roles: readonly Role[];
  readonly host: string;
  readonly port: number;
  readonly controllerPort: number;
  readonly dir: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly config: string;
  readonly clusterId: string;
  readonly #prefix: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #isClosed: () => boolean;
  #kind: BrokerKind;
  #daemon: Daemon | null = null;
  isPaused = false;

  constructor(options: {
    spec: NodeSpec; host: string; port: number; controllerPort: number; dir: string; config: string; clusterId: string; prefix: readonly string[]; env: Readonly<Record<string, string>>;
    isClosed: () => boolean;
  }) {
    const { spec, dir } = options;
    this.id = spec.id;
    this.#kind = spec.kind;
    this.roles = spec.roles;
    this.host = options.host;
    this.port = options.port;
    this.controllerPort = options.controllerPort;
    this.dir = dir;
    this.dataDir = join(dir, 'data');
    this.logFile = join(dir, 'node.log');
    this.config = options.config;
    this.clusterId = options.clusterId;
    this.#prefix = options.prefix;
    this.#env = options.env;
    this.#isClosed = options.isClosed;
  }

  get kind(): BrokerKind {
    return this.#kind;
  }

  /** What a user would call it. */
  get version(): string {
    return brokerCommand(this.#kind, this.config).version;
  }

  /** From its next start on the node is of this kind: the same settings file, the same directory. */
  becomes(kind: BrokerKind): void {
    if (this.isRunning) throw new Error(`node ${this.id} runs`);
    this.#kind = kind;
  }

  /** Its disk is lost, and another one formatted: by the tool of a kind, with these options. The directory id is another one. */
  async formatAnew(by: BrokerKind, options: readonly string[]): Promise<void> {
    if (this.isRunning) throw new Error(`node ${this.id} runs`);
    rmSync(this.dataDir, { recursive: true, force: true });
    await formatNode(by, this.config, this.clusterId, options);
  }

  get isBroker(): boolean {
    return this.roles.includes('broker');
  }

  get isController(): boolean {
    return this.roles.includes('controller');
  }

  get isRunning(): boolean {
    return this.#daemon !== null && this.#daemon.gone === null;
  }

  get pid(): number {
    return this.#daemon!.pid;
  }

  /** Resolves at the end of the process that was started last, with its status or signal. */
  get exited(): Promise<number | NodeJS.Signals> {
    return this.#daemon!.exited;
  }

  /** Starts the process and does not wait for it to serve. */
  spawn(): void {
    if (this.isRunning) throw new Error(`node ${this.id} runs already`);
    if (this.#isClosed()) throw new Error(`node ${this.id} is not started any more: its cluster is closed`);
    this.isPaused = false;
    const { command } = brokerCommand(this.#kind, this.config);
    // Ours formats its directory when it starts, in a static quorum.
    if (this.#kind === 'ottla') command.push('--cluster-id', this.clusterId);
    this.#daemon = startDaemon([...this.#prefix, ...command], { cwd: this.dir, logFile: this.logFile, env: this.#env });
  }

  /** SIGKILL; resolves when the process has gone. */
  async kill(): Promise<void> {
    this.#daemon!.kill('SIGKILL');
    await this.#daemon!.exited;
  }

  pause(): void {
    this.isPaused = true;
    this.#daemon!.kill('SIGSTOP');
  }

  resume(): void {
    this.isPaused = false;
    this.#daemon!.kill('SIGCONT');
  }

  /** SIGTERM, and SIGKILL after `timeoutMs`. Resolves with what it ended with. */
  stop(timeoutMs = 30_000): Promise<number | NodeJS.Signals> {
    if (this.isPaused) this.resume();
    return this.#daemon!.stop(timeoutMs);
  }

  /** Throws with the end of its log when the process has gone. */
  assertRunning(): void {
    if (this.isRunning) return;
    throw new Error(`node ${this.id} (${this.kind}) ended with ${String(this.#daemon?.gone ?? 'nothing: it was not started')}:\n${logTail(this.logFile)}`);
  }

  tail(lines = 20): string {
    return existsSync(this.logFile) ? logTail(this.logFile, lines) : '';
  }
}

export class ClusterProcesses {
  readonly nodes: readonly ClusterNode[];
  readonly clusterId: string;
  readonly #readyTimeoutMs: number;
  readonly #closing: { isClosed: boolean };
  /** From the start of the processes to the last broker's answer that names all brokers. */
  readyMs = 0;

  private constructor(nodes: readonly ClusterNode[], clusterId: string, readyTimeoutMs: number, closing: { isClosed: boolean }) {
    this.nodes = nodes;
    this.clusterId = clusterId;
    this.#readyTimeoutMs = readyTimeoutMs;
    this.#closing = closing;
  }

  /** Writes the settings files and formats what must be formatted, and starts nothing. */
  static async prepare(options: ClusterOptions): Promise<ClusterProcesses> {
    const { nodes: specs, dir, hostOf = () => '127.0.0.1', prefixOf = () => [], env = {} } = options;
    const clusterId = newId();
    const places = [],
      closing = { isClosed: false };
    for (const spec of specs) places.push({ spec, host: hostOf(spec.id), port: await freePort(), controllerPort: await freePort() });
    const controllers = places.filter(({ spec }) => spec.roles.includes('controller')).map(({ spec, host, controllerPort }) => ({ id: spec.id, address: `${host}:${controllerPort}` }));
    const { firstVoters } = options;
    const voters = controllers.filter(({ id }) => firstVoters?.includes(id) !== false).map(({ id, address }) => `${id}@${address}`);
    const initial = voters.map((voter) => `${voter}:${newId()}`).join(',');
    const brokers = places.filter(({ spec }) => spec.roles.includes('broker')).length;
    const nodes = await Promise.all(places.map(async ({ spec, host, port, controllerPort }) => {
      const home = join(dir, `node${spec.id}`),
        config = join(home, 'server.properties');
      mkdirSync(home, { recursive: true });
      const replicas = Math.min(3, brokers),
        insync = brokers < 3 ? 1 : 2;
      const isBroker = spec.roles.includes('broker'),
        isController = spec.roles.includes('controller');
      const listeners = [...(isBroker ? [`PLAINTEXT://${host}:${port}`] : []), ...(isController ? [`CONTROLLER://${host}:${controllerPort}`] : [])];
      writeFileSync(config, [
        `process.roles=${spec.roles.join(',')}`,
        `node.id=${spec.id}`,
        'controller.listener.names=CONTROLLER',
        firstVoters === undefined ? `controller.quorum.voters=${voters.join(',')}` : `controller.quorum.bootstrap.servers=${controllers.map(({ address }) => address).join(',')}`,
        `listeners=${listeners.join(',')}`,
        ...(isBroker ? [`advertised.listeners=PLAINTEXT://${host}:${port}`] : []),
        'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
        `log.dirs=${join(home, 'data')}`,
        `offsets.topic.replication.factor=${replicas}`,
        `transaction.state.log.replication.factor=${replicas}`,
        `transaction.state.log.min.isr=${insync}`,
        `share.coordinator.state.topic.replication.factor=${replicas}`,
        `share.coordinator.state.topic.min.isr=${insync}`,
        `default.replication.factor=${replicas}`,
        `min.insync.replicas=${insync}`,
        'group.initial.rebalance.delay.ms=0',
        ...(options.settings ?? []),
        '',
      ].join('\n'));
      const formatter = spec.formattedBy ?? (firstVoters === undefined && spec.kind === 'ottla' ? null : spec.kind);
      if (formatter !== null) await formatNode(formatter, config, clusterId, firstVoters === undefined ? [] : formatOptions(spec.id, firstVoters, initial));
      return new ClusterNode({
        spec, host, port, controllerPort, dir: home, config, clusterId, prefix: prefixOf(spec.id),
        env: { LOG_DIR: home, KAFKA_HEAP_OPTS: '-Xmx512m', ...env },
        isClosed: () => closing.isClosed,
      });
    }));
    return new ClusterProcesses(nodes, clusterId, options.readyTimeoutMs ?? READY_TIMEOUT_MS, closing);
  }

  static async start(options: ClusterOptions): Promise<ClusterProcesses> {
    const cluster = await ClusterProcesses.prepare(options);
    try {
      await cluster.startAll();
      return cluster;
    } catch (error) {
      await cluster.killAll();
      throw error;
    }
  }

  get brokers(): ClusterNode[] {
    return this.nodes.filter((node) => node.isBroker);
  }

  get bootstrapServers(): string {
    return this.brokers.map(({ host, port }) => `${host}:${port}`).join(',');
  }

  node(id: number): ClusterNode {
    const found = this.nodes.find((node) => node.id === id);
    if (found === undefined) throw new Error(`there is no node ${id}`);
    return found;
  }

  /** Starts what does not run and waits until every broker knows of every broker. */
  async startAll(): Promise<void> {
    const startedMs = performance.now();
    for (const node of this.nodes) if (!node.isRunning) node.spawn();
    await this.ready(this.brokers);
    this.readyMs = performance.now() - startedMs;
  }

  /** Waits until each of `nodes` answers and names as many brokers as are running. */
  async ready(nodes: readonly ClusterNode[]): Promise<void> {
    const deadlineMs = performance.now() + this.#readyTimeoutMs;
    const wanted = this.brokers.filter((node) => node.isRunning && !node.isPaused).length;
    await Promise.all(nodes.map(async (node) => {
      for (let named = 0; (named = await brokersInMetadata(node.host, node.port)) < wanted;) {
        for (const each of this.nodes) if (nodes.includes(each)) each.assertRunning();
        if (performance.now() > deadlineMs) throw new Error(`node ${node.id} (${node.kind}) names ${named} of ${wanted} brokers after ${this.#readyTimeoutMs} ms:\n${node.tail()}`);
        await new Promise((done) => setTimeout(done, ASK_AGAIN_MS));
      }
    }));
  }

  /** Brokers first, then what is only controller; resolves with what each node ended with. */
  async stopAll(timeoutMs = 30_000): Promise<ReadonlyMap<number, number | NodeJS.Signals>> {
    const ends = new Map<number, number | NodeJS.Signals>();
    for (const part of [this.nodes.filter((node) => node.isBroker), this.nodes.filter((node) => !node.isBroker)])
      await Promise.all(part.filter((node) => node.isRunning).map(async (node) => ends.set(node.id, await node.stop(timeoutMs))));
    return ends;
  }

  /** From now on no node starts, whoever asks. Those that run go on. */
  close(): void {
    this.#closing.isClosed = true;
  }

  /** How the logs of all nodes end: worth reading when nothing moves. */
  tails(lines = 8): string {
    return this.nodes.map((node) => `node ${node.id} (${node.kind}${node.isRunning ? '' : ', not running'}) ends:\n${node.tail(lines)}`).join('\n');
  }

  async killAll(): Promise<void> {
    await Promise.all(this.nodes.filter((node) => node.isRunning).map((node) => node.kill()));
  }

  remove(): void {
    for (const node of this.nodes) rmSync(node.dir, { recursive: true, force: true });
  }
}

function formatOptions(id: number, firstVoters: readonly number[], initial: string): readonly string[] {
  if (!firstVoters.includes(id)) return ['--no-initial-controllers'];
  return firstVoters.length === 1 ? ['--standalone'] : ['--initial-controllers', initial];
}
