/**
 * `ottla health`: whether a node can be used, for the health check of a container: no tool but this one. Asks `/readyz` where the node has a port for operators
 * (--http, ottla.http), else whether its listener answers. The reasons are on standard error, the exit code says the rest.
 */
import { parseAddress } from '../client.ts';
import { addressText } from '../client/connection.ts';
import { httpGet } from '../http/http-get.ts';
import { parseHttpAddress } from '../http/http-address.ts';
import { nodeRuntime } from '../runtime/node.ts';
import { Settings } from '../settings.ts';
import { UsageError, helpText, parseArguments } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { CommandError } from './failures.ts';
import { connectionOptions, withClient } from './session.ts';

const declaration = {
  name: 'health',
  summary: 'Exits with 0 when a node can be used. Without an address it asks what KAFKA_* variables name: the port of operators, else the first listener.',
  options: {
    ...connectionOptions,
    'bootstrap-server': { short: 'b', value: 'HOST:PORT,...', help: 'the broker to ask' },
    'http': { value: '[HOST:]PORT', help: 'the port of operators to ask, as --http of the node has it' },
  },
} as const satisfies CommandDeclaration<any>;

const TIMEOUT_MS = '3000';

export const health: Command = {
  async run(argv) {
    const { options } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(helpText(declaration));
      return 0;
    }
    if (options.http !== undefined && options['bootstrap-server'] !== undefined) throw new UsageError('--http and --bootstrap-server cannot be given together');
    const timeoutMs = options['timeout-ms'] ?? TIMEOUT_MS;
    const settings = options['bootstrap-server'] === undefined && options.http === undefined ? Settings.from({ environment: process.env }) : null;
    const http = options.http ?? settings?.get('ottla.http') ?? undefined;
    if (http !== undefined) return askReady(http, Number(timeoutMs));
    const server = options['bootstrap-server'] ?? addressOf(settings!);
    const { clusterId } = await withClient({ 'bootstrap-server': server, 'timeout-ms': timeoutMs }, ({ client }) => client.metadata([]));
    console.log(`cluster ${clusterId} answers at ${server}`);
    return 0;
  },
};

async function askReady(text: string, timeoutMs: number): Promise<number> {
  const { host, port } = parseHttpAddress(text);
  const at = { host: near(host), port };
  const { network, timers } = nodeRuntime();
  const { status, body } = await httpGet({ network, timers, ...at, path: '/readyz', timeoutMs }).catch((error: unknown) => {
    throw new CommandError(`${addressText(at.host, at.port)} does not answer: ${(error as Error).message}`, { cause: error });
  });
  if (status === 200) {
    console.log(`ready at ${addressText(at.host, at.port)}`);
    return 0;
  }
  console.error(`ottla: not ready: ${body.trim().replaceAll('\n', '; ')}`);
  return 1;
}

function addressOf(settings: Settings): string {
  const { host, port } = settings.listeners.broker[0]!;
  return addressText(near(host), parseAddress(`localhost:${port}`).port);
}

function near(host: string): string {
  return host === '' || host === '0.0.0.0' || host === '::' ? 'localhost' : host;
}
