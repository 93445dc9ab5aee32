/**
 * ottla as a library: a Kafka-compatible broker in this process, for tests and for small services.
 *
 *     import { startBroker } from 'ottla';
 *
 *     const broker = await startBroker();
 *     const kafka = new Kafka({ brokers: [broker.bootstrapServers] });
 *     ...
 *     await broker.reset();   // between tests
 *     await broker.stop();
 *
 * Promises: when `startBroker` resolves, clients are served; when `stop` resolves, no socket, file or timer of the broker is left. Does not read
 * the environment or any file but those of its data directory.
 */
import { Admin } from './client/admin.ts';
import type { NewTopic } from './client/admin.ts';
import { Client } from './client.ts';
import { Broker } from './broker.ts';
import { clusterPlan, freePorts } from './node/cluster-plan.ts';
import { LocalCluster } from './node/local-cluster.ts';
import { ErrorCode, KafkaError } from '../protocol/errors.ts';
import type { Logger } from './runtime/logger.ts';
import { silentLogger } from './runtime/logger.ts';
import { nodeRuntime } from './runtime/node.ts';
import type { Runtime } from './runtime/runtime.ts';
import { Settings } from './settings.ts';
import type { BrokerSettingName, SettingInput } from './settings.ts';

export { KafkaError } from '../protocol/errors.ts';
export { SettingError } from './settings.ts';
export type { NewTopic } from './client/admin.ts';
export type { Logger } from './runtime/logger.ts';
export type { BrokerSettingName, SettingInput } from './settings.ts';

export interface BrokerOptions {
  /** Keeps the data in memory. The default where there is no `dataDir`. */
  readonly memory?: boolean;
  /** Keeps the data in this directory, in Apache Kafka's formats; an empty or missing one is made ready. */
  readonly dataDir?: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
  /** The address to listen on: `127.0.0.1` by default, `0.0.0.0` or `::` for all. */
  readonly host?: string;
  /** Settings by Kafka's names: `{ 'num.partitions': 3 }`. They win over the development preset. */
  readonly settings?: Readonly<{ [N in BrokerSettingName]?: SettingInput } & Record<string, SettingInput>>;
  /** Leaves the development preset out: Kafka's own defaults, and its waits. */
  readonly production?: boolean;
  /** Where the broker says what happened. By default nowhere. */
  readonly logger?: Logger;
}

export interface RunningBroker {
  /** `host:port`, for the clients' `bootstrap.servers`. */
  readonly bootstrapServers: string;
  readonly clusterId: string;
  readonly nodeId: number;
  /**
   * Makes topics; each may be a name alone. They have leaders when it resolves. Throws a KafkaError (TOPIC_ALREADY_EXISTS, INVALID_CONFIG ...) for
   * the first that is refused; the others are made.
   */
  createTopics(topics: readonly (string | NewTopic)[]): Promise<void>;
  /**
   * Deletes all topics and groups, with members thrown out: what the next test sees is a new broker. What is deleted is gone when it resolves.
   * Internal topics stay, emptied of what the groups had in them.
   */
  reset(): Promise<void>;
  /** Answers what is being served and closes everything. Twice is once. */
  stop(): Promise<void>;
  /** `await using broker = await startBroker()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ClusterOptions extends Omit<BrokerOptions, 'port'> {
  /** 3 by default. */
  readonly nodes?: number;
  /** Of the first node; the others have the next ones. 0, the default, takes free ports. */
  readonly port?: number;
}

export interface RunningNode {
  readonly nodeId: number;
  /** `host:port`, the same after each start. */
  readonly bootstrapServers: string;
  readonly isRunning: boolean;
  /** Gives leaderships away and closes, as a node does that is to be restarted. */
  stop(): Promise<void>;
  /** Starts it again with the data that it had. Resolves when it is in service. */
  start(): Promise<void>;
}

export interface RunningCluster extends Omit<RunningBroker, 'nodeId'> {
  /** By node id, from 1 on. */
  readonly brokers: readonly RunningNode[];
}

/**
 * Starts a cluster whose nodes share this process and its event loop: for tests of what clients do when brokers go and come. What is meant to last, or to
 * be fast, runs as `ottla --nodes` with a thread for each, or on machines of its own. Rejects as `startBroker` does.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<RunningCluster> {
  const { nodes = 3, dataDir, memory = dataDir === undefined, port = 0, host = '127.0.0.1', settings = {}, production = false, logger = silentLogger } = options;
  if (memory && dataDir !== undefined) throw new TypeError('memory and dataDir cannot be given together');
  if (!Number.isInteger(nodes) || nodes < 1) throw new TypeError(`nodes must be a whole number above 0, it is ${nodes}`);
  const runtime = nodeRuntime();
  const free = await freePorts(runtime.network, host, nodes);
  const plan = clusterPlan({
    nodes, host, production, given: Settings.from({ values: settings, production: true }),
    ports: port === 0 ? free : free.map((_, index) => port + index),
    controllerPorts: await freePorts(runtime.network, '127.0.0.1', nodes),
  });
  const cluster = await LocalCluster.start({
    runtime, plan, dataDir,
    settingsOf: ({ values }) => Settings.from({ values: { ...settings, ...values }, production: true }),
    logger: (nodeId) => {
      const say = (level: keyof Logger) => (line: string) => logger[level](`node ${nodeId}: ${line}`);
      return { info: say('info'), warn: say('warn'), error: say('error') };
    },
  });
  const brokers = cluster.nodes.map((node): RunningNode => {
    const { bootstrapServers } = node.broker!;
    return {
      nodeId: node.nodeId,
      bootstrapServers,
      get isRunning() {
        return node.broker !== null;
      },
      stop: () => node.stop(),
      start: () => node.start(),
    };
  });
  const bootstrapServers = brokers.map((broker) => broker.bootstrapServers).join(',');
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= cluster.stop());
  return { bootstrapServers, clusterId: cluster.clusterId, brokers, ...administered(runtime, bootstrapServers), stop, [Symbol.asyncDispose]: stop };
}

/** Starts a broker. Rejects with a SettingError for settings that cannot be, and with what the port or the directory refuses. */
export async function startBroker(options: BrokerOptions = {}): Promise<RunningBroker> {
  const { memory = options.dataDir === undefined, dataDir, port = 0, host = '127.0.0.1', settings = {}, production = false, logger = silentLogger } = options;
  if (memory && dataDir !== undefined) throw new TypeError('memory and dataDir cannot be given together');
  const runtime = nodeRuntime();
  const listeners = `PLAINTEXT://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const inForce = Settings.from({ values: { listeners, ...settings }, production });
  if (inForce.withoutEffect.length > 0) logger.info(`taken without effect here: ${inForce.withoutEffect.join(', ')}`);
  for (const { name, securityProtocol } of inForce.listeners.unserved) logger.warn(`listener ${name} stays closed: ${securityProtocol} is not served yet`);
  const broker = await Broker.start({
    runtime,
    settings: inForce,
    memory,
    dataDir,
    logger,
  });
  const { bootstrapServers } = broker;

  const stop = () => broker.stop();
  return {
    bootstrapServers,
    clusterId: broker.clusterId,
    nodeId: broker.nodeId,
    ...administered(runtime, bootstrapServers),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function administered(runtime: Runtime, bootstrapServers: string): Pick<RunningBroker, 'createTopics' | 'reset'> {
  const withAdmin = async (work: (admin: Admin) => Promise<void>): Promise<void> => {
    const client = new Client({ bootstrapServers: bootstrapServers.split(','), runtime, clientId: 'ottla-library' });
    try {
      await work(new Admin(client));
    } finally {
      client.close();
    }
  };
  return {
    createTopics: (topics) => withAdmin(async (admin) => void (await admin.createTopics(topics.map((topic) => (typeof topic === 'string' ? { name: topic } : topic))))),
    reset: () => withAdmin(reset),
  };
}

async function reset(admin: Admin): Promise<void> {
  // Groups first: a group that reads a topic which is deleted would be told to rebalance.
  for (const { groupId } of await admin.groups()) await deleteGroup(admin, groupId);
  const names = (await admin.topics()).filter(({ isInternal }) => !isInternal).map(({ name }) => name!);
  if (names.length > 0) await admin.deleteTopics(names, { ifExists: true });
}

/** A member that is thrown out may join again before the group is deleted. */
const DELETE_ATTEMPTS_MAX = 10;

async function deleteGroup(admin: Admin, groupId: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await admin.expelMembers(await admin.describeGroup(groupId));
      await admin.deleteGroup(groupId);
      return;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      if (error.code === ErrorCode.GROUP_ID_NOT_FOUND) return;
      if (error.code !== ErrorCode.NON_EMPTY_GROUP || attempt === DELETE_ATTEMPTS_MAX) throw error;
    }
  }
}
