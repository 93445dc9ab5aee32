/**
 * What the client commands share: a client of the bootstrap servers for as long as the command runs, and what Ctrl-C means to it. Does not
 * print results.
 */
import { Admin } from '../client/admin.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import { Client, parseAddress } from '../client.ts';
import { KafkaError } from '../../protocol/errors.ts';
import { nodeRuntime } from '../runtime/node.ts';
import { UsageError } from './arguments.ts';
import { CommandError } from './failures.ts';

export const connectionOptions = {
  'bootstrap-server': { short: 'b', value: 'HOST:PORT,...', help: 'brokers to ask first', fallback: 'localhost:9092' },
  'timeout-ms': { value: 'MS', help: 'how long to wait for the cluster', fallback: '30000' },
  'help': { short: 'h', help: 'tell the options' },
} as const;

/** For commands that controllers serve too. */
export const controllerOption = {
  'bootstrap-controller': { value: 'HOST:PORT,...', help: 'controllers to ask, in place of brokers' },
} as const;

export interface Session {
  readonly client: Client;
  readonly admin: Admin;
  /** Whether Ctrl-C has asked for an end. A second one ends at once. */
  readonly isStopping: boolean;
  /** Resolves with the first Ctrl-C. */
  readonly stopping: Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 30_000;

/** Runs `work` with a client and gives back what it gives back. What the cluster refuses ends in one line. */
export async function withClient<T>(
  options: { readonly 'bootstrap-server': string | undefined; readonly 'timeout-ms': string | undefined },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const timeoutMs = options['timeout-ms'] === undefined ? DEFAULT_TIMEOUT_MS : Number(options['timeout-ms']);
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1) throw new UsageError(`--timeout-ms ${options['timeout-ms']}: it should be a number of milliseconds`);
  const bootstrapServers = (options['bootstrap-server'] ?? 'localhost:9092').split(',');
  for (const server of bootstrapServers) checkAddress(server);
  const client = new Client({ bootstrapServers, runtime: nodeRuntime(), requestTimeoutMs: timeoutMs, retryMs: timeoutMs, connectTimeoutMs: Math.min(timeoutMs, 10_000) });
  const release = holdProcess();
  const signals = watchSignals();
  try {
    return await work({
      client,
      admin: new Admin(client),
      stopping: signals.stopping,
      get isStopping() {
        return signals.isStopping();
      },
    });
  } catch (error) {
    if (error instanceof KafkaError || error instanceof ConnectionError) throw new CommandError(error.message, { cause: error });
    throw error;
  } finally {
    signals.end();
    client.close();
    release();
  }
}

function checkAddress(text: string): void {
  try {
    parseAddress(text);
  } catch (error) {
    throw new UsageError(`--bootstrap-server: ${(error as Error).message}`);
  }
}

/** The runtime's timers keep no process alive, and between two attempts there may be no socket that does. */
function holdProcess(): () => void {
  const { port1, port2 } = new MessageChannel();
  port1.on('message', () => undefined);
  return () => {
    port1.close();
    port2.close();
  };
}

function watchSignals(): { stopping: Promise<void>; isStopping: () => boolean; end: () => void } {
  let isStopping = false;
  let announce: () => void;
  const stopping = new Promise<void>((resolve) => {
    announce = resolve;
  });
  const onSignal = (): void => {
    if (isStopping) process.exit(130);
    isStopping = true;
    announce();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    stopping,
    isStopping: () => isStopping,
    end: () => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
