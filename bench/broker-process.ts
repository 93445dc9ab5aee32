/**
 * A broker as a process of its own: ottla, or the reference (Apache Kafka, built by OTTLA_SHARED/reference/setup.sh), started the same way.
 * Promises: started means that a Metadata request was answered; stop() and the end of this process leave no process behind.
 * Does not: choose settings beyond those that one node needs; the caller's lines win.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { command } from './command.ts';

export type BrokerKind = 'ottla' | 'reference';

export interface BrokerProcess {
  readonly kind: BrokerKind;
  readonly version: string;
  readonly host: string;
  readonly port: number;
  readonly bootstrapServers: string;
  /** Of the broker itself, not of a shell around it. */
  readonly pid: number;
  /** From the start of the process to the first Metadata answer. */
  readonly readyMs: number;
  /** Standard output and error. */
  readonly logFile: string;
  /** Asks it to end (SIGTERM), kills it after `timeoutMs`; resolves with its exit status or signal. */
  stop(timeoutMs?: number): Promise<number | NodeJS.Signals>;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<number | NodeJS.Signals>;
}

export interface BrokerProcessOptions {
  readonly kind: BrokerKind;
  /** Holds the properties, the log and, below data/, the broker's directory. */
  readonly dir: string;
  /** 0 finds a free one. */
  readonly port?: number;
  /** Lines name=value for server.properties, after the ones that a single node needs, so that they win. */
  readonly settings?: readonly string[];
  /** Environment beyond this process's. */
  readonly env?: Readonly<Record<string, string>>;
  readonly readyTimeoutMs?: number;
  /** Called once the process runs, long before it serves; `kill` may end it while it starts. */
  readonly onSpawn?: (kill: (signal: NodeJS.Signals) => void) => void;
}

const root = resolve(import.meta.dirname, '..');
const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) killGroup(child, 'SIGKILL');
});

/** The directory with the reference's scripts and the suites, or null where this clone has none. */
export function sharedDir(): string | null {
  const dir = resolve(root, process.env['OTTLA_SHARED'] ?? '../shared');
  return existsSync(join(dir, 'reference/setup.sh')) ? dir : null;
}

/** Builds the reference when that was not done before; returns its directory with bin/ and libs/. Throws when Java or Maven is missing. */
export function referenceDir(): string {
  builtReference ??= buildReference();
  return builtReference;
}

let builtReference: string | undefined;

function buildReference(): string {
  const shared = sharedDir();
  if (shared === null) throw new Error('no reference: set OTTLA_SHARED to a directory with reference/setup.sh');
  return execFileSync(join(shared, 'reference/setup.sh'), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** A port nobody listens on now. Another process may take it before the caller does: start again then. */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer()
      .once('error', failed)
      .listen(0, host, () => {
        const { port } = server.address() as { port: number };
        server.close(() => done(port));
      });
  });
}

/** server.properties of a single node that is broker and controller, as Apache Kafka needs it and ottla takes it. */
export function singleNodeProperties(options: { port: number; controllerPort: number; dataDir: string; settings?: readonly string[] }): string {
  return (
    [
      'process.roles=broker,controller',
      'node.id=1',
      'controller.listener.names=CONTROLLER',
      `controller.quorum.voters=1@127.0.0.1:${options.controllerPort}`,
      `listeners=PLAINTEXT://127.0.0.1:${options.port},CONTROLLER://127.0.0.1:${options.controllerPort}`,
      `advertised.listeners=PLAINTEXT://127.0.0.1:${options.port}`,
      'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL',
      `log.dirs=${options.dataDir}`,
      'offsets.topic.replication.factor=1',
      'transaction.state.log.replication.factor=1',
      'transaction.state.log.min.isr=1',
      'share.coordinator.state.topic.replication.factor=1',
      'share.coordinator.state.topic.min.isr=1',
      'group.initial.rebalance.delay.ms=0',
      ...(options.settings ?? []),
    ].join('\n') + '\n'
  );
}

/** The command as users have it: what was built, where it is of these sources. OTTLA_COMMAND (a JSON array) replaces it, to measure an installed ottla. */
export function ottlaCommand(): string[] {
  const command = process.env['OTTLA_COMMAND'];
  return command === undefined ? [process.execPath, join(root, 'bin/ottla.js')] : (JSON.parse(command) as string[]);
}

/** What runs a broker of a kind with a settings file: the program and its arguments, and what a user would call it. Builds the reference when it must. */
export function brokerCommand(kind: BrokerKind, config: string): { command: string[]; version: string } {
  if (kind === 'reference') {
    const reference = referenceDir();
    return { command: [join(reference, 'bin/kafka-server-start.sh'), config], version: `Apache Kafka ${readFileSync(join(reference, 'version'), 'utf8').trim()}` };
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return { command: [...ottlaCommand(), 'start', '--config', config], version: `ottla ${version} (Node ${process.version})` };
}

/** Formats the directories of a settings file with the tool of a kind; the reference does not start on empty ones. Both tools have the same `options`. */
export async function formatNode(kind: BrokerKind, config: string, clusterId: string, options: readonly string[] = []): Promise<void> {
  const [program, ...words] = kind === 'reference' ? [join(referenceDir(), 'bin/kafka-storage.sh')] : ottlaCommand();
  await command(program!, [...words, 'format', '--cluster-id', clusterId, '--config', config, ...options], { env: SMALL_JVM, timeoutMs: 120_000 });
}

/** For Java programs that run for seconds: the second compiler and a large heap would only cost time. */
export const SMALL_JVM = {
  KAFKA_HEAP_OPTS: '-Xmx256m',
  KAFKA_JVM_PERFORMANCE_OPTS: '-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Duser.language=en',
} as const;

/** Where util-linux is: the kernel kills what runs when this process has gone, also when it went without a word. */
const DIES_WITH_US = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'] : [];

/** A running program that is stopped by signals to it and all that it started. */
export interface Daemon {
  readonly pid: number;
  readonly exited: Promise<number | NodeJS.Signals>;
  /** null while it runs. */
  readonly gone: number | NodeJS.Signals | null;
  kill(signal: NodeJS.Signals): void;
  stop(timeoutMs?: number): Promise<number | NodeJS.Signals>;
}

/** Starts a program that outlives this call but not this process; its output goes to the end of `logFile`. */
export function startDaemon(words: readonly string[], options: { cwd: string; logFile: string; env: Readonly<Record<string, string>> }): Daemon {
  const log = openSync(options.logFile, 'a');
  // A group of its own, so that what the broker may start ends with it, and Ctrl-C reaches it only through stop().
  const [program, ...rest] = [...DIES_WITH_US, ...words];
  const child = spawn(program!, rest, { detached: true, stdio: ['ignore', log, log], env: { ...process.env, ...options.env }, cwd: options.cwd });
  closeSync(log);
  living.add(child);
  let gone: number | NodeJS.Signals | null = null;
  const exited = new Promise<number | NodeJS.Signals>((done) => {
    const end = (status: number | NodeJS.Signals) => {
      living.delete(child);
      gone = status;
      done(status);
    };
    child.once('error', () => end(127));
    child.once('exit', (code, signal) => end(code ?? signal ?? 0));
  });
  return {
    pid: child.pid!,
    exited,
    get gone() {
      return gone;
    },
    kill: (signal) => killGroup(child, signal),
    async stop(timeoutMs = 30_000) {
      killGroup(child, 'SIGTERM');
      const timer = setTimeout(() => killGroup(child, 'SIGKILL'), timeoutMs);
      try {
        return await exited;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

export async function startBrokerProcess(options: BrokerProcessOptions): Promise<BrokerProcess> {
  const { kind, dir } = options;
  const port = options.port || (await freePort());
  // Else the other one would be taken for the one that is started here.
  if ((await brokersInMetadata('127.0.0.1', port)) > 0) throw new Error(`a broker is there already: 127.0.0.1:${port}`);
  const controllerPort = await freePort();
  const dataDir = join(dir, 'data'),
    config = join(dir, 'server.properties'),
    logFile = join(dir, 'broker.log');
  mkdirSync(dir, { recursive: true });
  writeFileSync(config, singleNodeProperties({ port, controllerPort, dataDir, ...(options.settings && { settings: options.settings }) }));
  const { command: words, version } = brokerCommand(kind, config);
  const env: Record<string, string> = kind === 'reference' ? { LOG_DIR: dir, KAFKA_HEAP_OPTS: process.env['KAFKA_HEAP_OPTS'] ?? '-Xmx1g' } : {};
  if (kind === 'reference' && !existsSync(join(dataDir, 'meta.properties'))) await formatNode(kind, config, newId());
  const startedMs = performance.now();
  const daemon = startDaemon(words, { cwd: dir, logFile, env: { ...env, ...options.env } });
  options.onSpawn?.((signal) => daemon.kill(signal));
  const deadlineMs = startedMs + (options.readyTimeoutMs ?? 60_000);
  while ((await brokersInMetadata('127.0.0.1', port)) <= 0) {
    if (daemon.gone !== null) throw new Error(`${kind} ended with ${String(daemon.gone)} before it served:\n${logTail(logFile)}`);
    if (performance.now() > deadlineMs) {
      daemon.kill('SIGKILL');
      throw new Error(`${kind} did not serve in time:\n${logTail(logFile)}`);
    }
  }
  return {
    kind,
    version,
    host: '127.0.0.1',
    port,
    bootstrapServers: `127.0.0.1:${port}`,
    pid: daemon.pid,
    readyMs: performance.now() - startedMs,
    logFile,
    exited: daemon.exited,
    kill: (signal) => daemon.kill(signal),
    stop: (timeoutMs) => daemon.stop(timeoutMs),
  };
}

/** The id of a cluster or a directory as Kafka's tool makes them: 16 random bytes, base64url, not beginning like an option. */
export function newId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

export function logTail(file: string, lines = 20): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

// size:4=16 apiKey:2=3 (Metadata) version:2=1 correlationId:4 clientId:2=-1 (null) topics:4=0 (none)
const METADATA_REQUEST = Buffer.from('0000000e' + '0003' + '0001' + '0000000b' + 'ffff' + '00000000', 'hex');

/** One attempt: how many brokers a Metadata answer names, 0 without an answer. A refused connection costs about 2 ms, so a caller may ask in a loop. */
export function brokersInMetadata(host: string, port: number): Promise<number> {
  return new Promise((done) => {
    const socket = connect({ host, port });
    let answer = Buffer.alloc(0);
    const end = (brokers: number) => {
      socket.destroy();
      setTimeout(done, brokers > 0 ? 0 : 2, brokers);
    };
    socket.setTimeout(5_000, () => end(0));
    socket.once('error', () => end(0)).once('end', () => end(0));
    socket.once('connect', () => socket.write(METADATA_REQUEST));
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      // size:4 correlationId:4 brokers:4 ...
      if (answer.length >= 12 && answer.length >= answer.readInt32BE(0) + 4) end(answer.readInt32BE(8));
    });
  });
}
