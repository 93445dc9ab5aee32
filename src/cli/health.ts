/** `ottla health`: whether a broker answers, for the health check of a container: no output but the exit code's, and no tool but this one. */
import { Settings } from '../settings.ts';
import { helpText, parseArguments } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { connectionOptions, withClient } from './session.ts';

const declaration = {
  name: 'health',
  summary: 'Exits with 0 when a broker answers. Without --bootstrap-server it asks the first listener that KAFKA_* variables name.',
  options: { ...connectionOptions, 'bootstrap-server': { short: 'b', value: 'HOST:PORT,...', help: 'the broker to ask' } },
} as const satisfies CommandDeclaration<any>;

const TIMEOUT_MS = '3000';

export const health: Command = {
  async run(argv) {
    const { options } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(helpText(declaration));
      return 0;
    }
    const server = options['bootstrap-server'] ?? ownAddress();
    const { clusterId } = await withClient({ 'bootstrap-server': server, 'timeout-ms': options['timeout-ms'] ?? TIMEOUT_MS }, ({ client }) => client.metadata([]));
    console.log(`cluster ${clusterId} answers at ${server}`);
    return 0;
  },
};

function ownAddress(): string {
  const { host, port } = Settings.from({ environment: process.env }).listeners.broker[0]!;
  const near = host === '' || host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return near.includes(':') ? `[${near}]:${port}` : `${near}:${port}`;
}
