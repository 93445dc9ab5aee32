/** The commands of `ottla`, each loaded when it is called, so that a broker starts without what the others need. Does not parse their arguments. */
import { nearest } from '../settings/nearest.ts';
import { UsageError } from './arguments.ts';

export interface Command {
  /** Resolves to the exit code when the command has done its work. */
  run(argv: readonly string[]): Promise<number>;
}

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

const commands: ReadonlyMap<string, Entry> = new Map([
  ['start', { summary: 'run a broker (what `ottla` alone does)', load: async () => (await import('./start.ts')).start }],
  ['topics', { summary: 'list, create, describe and delete topics', load: async () => (await import('./topics.ts')).topics }],
  ['produce', { summary: 'write records from arguments, a file or standard input', load: async () => (await import('./produce.ts')).produce }],
  ['consume', { summary: 'print records, from an offset, a time or a group\'s place', load: async () => (await import('./consume.ts')).consume }],
  ['groups', { summary: 'list, describe, reset and delete consumer groups', load: async () => (await import('./groups.ts')).groups }],
  ['health', { summary: 'exit with 0 when a broker answers', load: async () => (await import('./health.ts')).health }],
  ['quorum', { summary: 'the metadata quorum: its state, controllers that come and go', load: async () => (await import('./quorum.ts')).quorum }],
  ['reassign', { summary: 'move partitions between brokers', load: async () => (await import('./reassign.ts')).reassign }],
  ['elect', { summary: 'elect preferred leaders, or unclean ones', load: async () => (await import('./elect.ts')).elect }],
  ['format', { summary: 'make log directories ready for a cluster, as kafka-storage.sh does', load: async () => (await import('./format.ts')).format }],
  ['storage', { summary: 'ids, feature levels and the state of log directories', load: async () => (await import('./format.ts')).storage }],
  ['dump', { summary: 'print what is in the files of a data directory', load: async () => (await import('./dump.ts')).dump }],
]);

/** The command that `argv` names, and its arguments. Options without a command belong to `start`. */
export async function commandOf(argv: readonly string[]): Promise<{ command: Command; argv: readonly string[] }> {
  // `ottla help topics` is what people type who have used other commands.
  if (argv[0] === 'help' && argv.length === 2) return commandOf([argv[1]!, '--help']);
  const first = argv[0];
  if (first === undefined || first.startsWith('-')) return { command: await commands.get('start')!.load(), argv };
  const entry = commands.get(first);
  if (entry === undefined) {
    const meant = nearest(first, commands.keys());
    throw new UsageError(`unknown command ${first}${meant === undefined ? '' : `; did you mean ${meant}?`} (ottla --help lists them)`);
  }
  return { command: await entry.load(), argv: argv.slice(1) };
}

export function commandList(): string {
  const lines = [...commands].map(([name, { summary }]) => `  ottla ${name.padEnd(9)} ${summary}`);
  return ['ottla: a Kafka-compatible broker', '', ...lines, '', '  ottla COMMAND --help tells the options of a command'].join('\n');
}
