/**
 * `ottla start`: a broker in this process. Standard output gets exactly one line, when it serves; the log goes to standard error. The first
 * Ctrl-C (SIGINT, SIGTERM, SIGHUP) stops it cleanly, a second one at once.
 */
import module from 'node:module';
import { Broker } from '../broker.ts';
import type { Logger } from '../runtime/logger.ts';
import { nodeRuntime } from '../runtime/node.ts';
import { tuneHeap } from '../runtime/node-heap.ts';
import { processFacts } from '../runtime/node-process.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Settings } from '../settings.ts';
import type { SettingsSources } from '../settings.ts';
import { UsageError, helpText, parseArguments, wholeNumber } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { CommandError, explain } from './failures.ts';
import { stderrLogger, watchSignals } from './signals.ts';

const DEFAULT_DATA_DIR = 'ottla-data';

const declaration = {
  name: 'start',
  summary: 'Runs a broker. An empty data directory is formatted first.',
  options: {
    'port': { short: 'p', value: 'PORT', help: 'listen on this port, 0 for a free one', fallback: '9092' },
    'host': { value: 'HOST', help: 'listen on this address, 0.0.0.0 for all', fallback: '127.0.0.1' },
    'data-dir': { short: 'd', value: 'DIR', help: 'keep the data here', fallback: `log.dirs, else ./${DEFAULT_DATA_DIR}` },
    'memory': { short: 'm', help: 'keep the data in memory' },
    'config': { short: 'c', value: 'FILE', help: 'settings from a properties file, such as Apache Kafka\'s server.properties' },
    'set': { short: 's', value: 'NAME=VALUE', help: 'one setting, by Kafka\'s name', many: true },
    'http': { value: '[HOST:]PORT', help: 'serve /healthz, /readyz and /metrics there; :PORT is all addresses' },
    'nodes': { short: 'n', value: 'N', help: 'run a cluster of N nodes, each in a thread of its own; ports and directories follow those of the first', fallback: '1' },
    'production': { help: 'without the development preset: Kafka\'s own defaults' },
    'cluster-id': { value: 'ID', help: 'the cluster that the data directory must belong to, or is made for' },
    'quiet': { short: 'q', help: 'log warnings and errors only' },
    'help': { short: 'h', help: 'tell the options' },
  },
  examples: ['ottla --memory --port 0', 'ottla --data-dir /var/lib/ottla --set num.partitions=3', 'ottla --production --config server.properties', 'ottla --nodes 3'],
} as const satisfies CommandDeclaration<any>;

type Options = ReturnType<typeof parseArguments<typeof declaration.options>>['options'];

export function startHelp(): string {
  return helpText(declaration);
}

export const start: Command = {
  async run(argv) {
    tuneHeap();
    const { options, words } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(startHelp());
      return 0;
    }
    if (words.length > 0) throw new UsageError(`start takes no words: ${words.join(' ')}`);
    if (options.memory && options['data-dir'] !== undefined) throw new UsageError('--memory and --data-dir cannot be given together');
    const runtime = nodeRuntime();
    const nodes = options.nodes === undefined ? 1 : wholeNumber('nodes', options.nodes, 1, 99);
    if (nodes > 1) return runNodes(nodes, options, runtime);
    const settings = readSettings(options, runtime);
    const logger = stderrLogger(runtime.clock, options.quiet);
    if (settings.withoutEffect.length > 0) logger.info(`taken without effect here: ${settings.withoutEffect.join(', ')}`);
    for (const { name, securityProtocol } of settings.listeners.unserved) logger.warn(`listener ${name} stays closed: ${securityProtocol} is not served yet`);
    return run({ runtime, settings, logger, options });
  },
};

async function run({ runtime, settings, logger, options }: { runtime: Runtime; settings: Settings; logger: Logger; options: Options }): Promise<number> {
  const place = options.memory ? undefined : dataDirOf(options, settings);
  // Signals count from the start: who stops a broker that is not up yet wants it stopped too.
  const signals = watchSignals(logger, runtime.clock);
  const broker = await Broker.start({
    runtime,
    settings,
    memory: options.memory,
    dataDir: place,
    clusterId: clusterIdOf(options),
    logger,
    processUse: processFacts(),
    onFatal: (error) => {
      logger.error(`the broker cannot go on: ${explain(error).line}`);
      process.exit(1);
    },
    aborted: signals.aborted,
  }).catch((error: unknown) => {
    if (signals.aborted.aborted) return null;
    throw inContext(error, settings);
  });
  if (broker === null) {
    logger.info('stopped');
    return 0;
  }
  const where = options.memory ? 'in memory' : `in ${place ?? (settings.get('log.dirs') ?? settings.get('log.dir')).join(',')}`;
  const tookMs = Math.round(runtime.clock.monotonicMs());
  console.log(`ottla ready on ${broker.bootstrapServers} (cluster ${broker.clusterId}, node ${broker.nodeId}, data ${where}, ${tookMs} ms)`);
  if (broker.httpPort !== null) logger.info(`health, readiness and metrics on port ${broker.httpPort}`);
  // What was compiled so far serves the next start, also when this one ends by SIGKILL.
  runtime.timers.soon(() => module.flushCompileCache());
  await signals.asked;
  await broker.stop();
  logger.info('stopped');
  return 0;
}

async function runNodes(nodes: number, options: Options, runtime: Runtime): Promise<number> {
  const sources = sourcesOf(options, runtime);
  const dataDir = options['data-dir'] ?? DEFAULT_DATA_DIR;
  const { runCluster } = await import('./cluster.ts');
  return runCluster({
    nodes, runtime, sources, production: options.production, logger: stderrLogger(runtime.clock, options.quiet),
    host: options.host ?? '127.0.0.1',
    port: options.port === undefined ? 9092 : wholeNumber('port', options.port, 0, 65_535),
    dataDir: options.memory ? undefined : dataDir,
    clusterId: clusterIdOf(options),
  }).catch((error: unknown) => {
    throw inContext(error, null);
  });
}

function sourcesOf(options: Options, runtime: Runtime): SettingsSources {
  return {
    file: options.config === undefined ? undefined : { name: options.config, text: readConfig(runtime, options.config) },
    // A copy: what is handed to threads must be plain.
    environment: { ...process.env },
    set: options.http === undefined ? options.set : [...options.set, `ottla.http=${options.http}`],
    production: options.production,
  };
}

function readSettings(options: Options, runtime: Runtime): Settings {
  const sources = sourcesOf(options, runtime);
  const settings = Settings.from(sources);
  if (options.port === undefined && options.host === undefined) return settings;
  return Settings.from({ ...sources, values: { listeners: movedListeners(settings, options) } });
}

/** `--port` and `--host` speak of the first listener for clients; the others stay. */
function movedListeners(settings: Settings, options: Options): string[] {
  const { broker, unserved, controller } = settings.listeners;
  return [...broker, ...unserved, ...controller].map((listener, index) => {
    const host = index === 0 && options.host !== undefined ? options.host.replace(/^\[(.*)\]$/, '$1') : listener.host;
    const port = index === 0 && options.port !== undefined ? wholeNumber('port', options.port, 0, 65_535) : listener.port;
    return `${listener.name}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  });
}

function readConfig(runtime: Runtime, path: string): string {
  try {
    return runtime.disk.readFile(path).toString();
  } catch (error) {
    throw new CommandError(`--config ${path}: ${explain(error).line}`, { cause: error });
  }
}

/** undefined where the settings name the directories. */
function dataDirOf(options: Options, settings: Settings): string | undefined {
  if (options['data-dir'] !== undefined) return options['data-dir'];
  return settings.isSet('log.dirs') || settings.isSet('log.dir') ? undefined : DEFAULT_DATA_DIR;
}

/** The apache/kafka image takes the id from CLUSTER_ID; other programs use that name for ids of other kinds. */
function clusterIdOf(options: Options): string | undefined {
  const isId = (text: string) => /^[A-Za-z0-9_-]{22}$/.test(text);
  const given = options['cluster-id'];
  if (given !== undefined && !isId(given)) throw new UsageError(`--cluster-id ${given}: it should be 22 characters of URL-safe base64, as kafka-storage random-uuid makes`);
  const variable = process.env['CLUSTER_ID'];
  return given ?? (variable !== undefined && isId(variable) ? variable : undefined);
}

/** An address in use says which settings it comes from. */
function inContext(error: unknown, settings: Settings | null): unknown {
  const { code, port } = error as NodeJS.ErrnoException & { port?: number };
  if (code !== 'EADDRINUSE') return error;
  const all = settings === null ? [] : [...settings.listeners.broker, ...settings.listeners.controller];
  const listener = all.find((one) => one.port === port) ?? all[0];
  const host = listener === undefined || listener.host === '' ? '' : ` on ${listener.host}`;
  return new CommandError(`port ${port ?? listener?.port}${host} is in use by another process; choose another with --port, or 0 for a free one`, { cause: error });
}
