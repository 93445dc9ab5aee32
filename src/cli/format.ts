/**
 * `ottla format` and `ottla storage`: what Apache Kafka's `kafka-storage.sh` does, with its names for actions and options. `format` makes the log directories that a
 * settings file names ready for a cluster; the other actions tell what is there or what Kafka knows. Does not start anything.
 */
import { parseProperties } from '../../protocol/properties.ts';
import { METADATA_VERSION, METADATA_VERSION_LATEST, SUPPORTED_FEATURES } from '../quorum/features.ts';
import { formatNode, parseInitialControllers } from '../quorum/format.ts';
import type { InitialController } from '../quorum/format.ts';
import { defaultLevels, dependenciesOf, FormatError, releaseLevel, versionName } from '../quorum/format-features.ts';
import { nodeRuntime } from '../runtime/node.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { environmentSettings } from '../settings/environment.ts';
import { nearest } from '../settings/nearest.ts';
import { Settings } from '../settings.ts';
import { UsageError, helpText, parseArguments } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { CommandError, explain } from './failures.ts';
import { checkNode } from './format-checks.ts';
import { directoriesInfo } from './format-info.ts';

const options = {
  'config': { short: 'c', value: 'FILE', help: 'the settings of the node: its id, roles, directories and controllers' },
  'cluster-id': { short: 't', value: 'ID', help: 'format: the cluster that the directories are made for, the same for all its nodes' },
  'standalone': { short: 's', help: 'format: this controller is the first voter of a dynamic quorum' },
  'initial-controllers': { short: 'I', value: 'ID@HOST:PORT:DIRECTORY,...', help: 'format: the first voters of a dynamic quorum, the same text on all nodes' },
  'no-initial-controllers': { short: 'N', help: 'format: the voters of the dynamic quorum are known elsewhere' },
  'release-version': { short: 'r', value: 'VERSION', help: 'the release that the features of the cluster begin with', fallback: versionName(METADATA_VERSION_LATEST)! },
  'feature': { short: 'f', value: 'NAME=LEVEL', help: 'a feature that begins with another level', many: true },
  'add-scram': { short: 'S', value: 'CREDENTIAL', help: 'format: a first user, SCRAM-SHA-256=[name=alice,password=secret]', many: true },
  'ignore-formatted': { short: 'g', help: 'format: leave directories that are formatted as they are' },
  'help': { short: 'h', help: 'tell the options' },
} as const;

const examples = [
  'ottla format --cluster-id $(ottla storage random-uuid) --config server.properties --standalone',
  'ottla storage info --config server.properties',
];

const formatDeclaration = {
  name: 'format',
  summary: 'Makes the log directories of a node ready for a cluster, as kafka-storage.sh format does.',
  words: '[info | version-mapping | feature-dependencies | random-uuid]',
  options,
  examples,
} as const satisfies CommandDeclaration<any>;

const storageDeclaration = { ...formatDeclaration, name: 'storage', summary: 'What kafka-storage.sh does: formats log directories, and tells of them.', words: 'format | info | version-mapping | feature-dependencies | random-uuid' } as const;

type Options = ReturnType<typeof parseArguments<typeof options>>['options'];
type Say = (line: string) => void;

const ACTIONS: ReadonlyMap<string, (options: Options, runtime: Runtime, say: Say) => number> = new Map([
  ['format', runFormat],
  ['info', (given: Options, runtime: Runtime, say: Say) => directoriesInfo(runtime.disk, directoriesOf(readSettings(given, runtime)).all, say)],
  ['version-mapping', versionMapping],
  ['feature-dependencies', featureDependencies],
  ['random-uuid', (_: Options, runtime: Runtime, say: Say) => (say(runtime.random.uuid()), 0)],
]);

export const format: Command = { run: (argv) => run(formatDeclaration, argv, 'format') };
export const storage: Command = { run: (argv) => run(storageDeclaration, argv, undefined) };

async function run(declaration: CommandDeclaration<typeof options>, argv: readonly string[], defaultAction: string | undefined): Promise<number> {
  const { options: given, words } = parseArguments(declaration, argv);
  if (given.help) {
    console.log(helpText(declaration));
    return 0;
  }
  const [action = defaultAction, ...rest] = words;
  if (action === undefined) throw new UsageError(`${declaration.name} needs an action: ${[...ACTIONS.keys()].join(', ')}`);
  const work = ACTIONS.get(action);
  if (work === undefined || rest.length > 0) {
    const meant = work === undefined ? nearest(action, ACTIONS.keys()) : undefined;
    throw new UsageError(work === undefined ? `unknown action ${action}${meant === undefined ? '' : `; did you mean ${meant}?`} (${[...ACTIONS.keys()].join(', ')})` : `${action} takes no words: ${rest.join(' ')}`);
  }
  try {
    return work(given, nodeRuntime(), (line) => console.log(line));
  } catch (error) {
    if (error instanceof FormatError) throw new CommandError(error.message, { cause: error });
    throw error;
  }
}

function runFormat(given: Options, runtime: Runtime, say: Say): number {
  const clusterId = given['cluster-id'];
  if (clusterId === undefined) throw new UsageError('format needs --cluster-id ID (ottla storage random-uuid makes one)');
  // As Kafka: any text is an id, though its tools make 16 bytes of base64.
  if (clusterId.trim() === '') throw new UsageError('--cluster-id is empty');
  const chosen = (['standalone', 'initial-controllers', 'no-initial-controllers'] as const).filter((name) => given[name] !== undefined && given[name] !== false);
  if (chosen.length > 1) throw new UsageError(`--${chosen[0]} and --${chosen[1]} cannot be given together`);
  const settings = readSettings(given, runtime);
  checkNode(settings);
  const isController = settings.get('process.roles')!.includes('controller');
  const isDynamicQuorum = settings.get('controller.quorum.voters').length === 0;
  if (!isDynamicQuorum && (given.standalone || given['initial-controllers'] !== undefined)) {
    throw new FormatError(
      'You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. If you want to use dynamic quorum, please remove ' +
        'controller.quorum.voters and specify controller.quorum.bootstrap.servers instead.',
    );
  }
  const initialControllers = given['initial-controllers'] !== undefined ? parseInitialControllers(given['initial-controllers']) : given.standalone ? [ownController(settings, runtime)] : null;
  if (isController && isDynamicQuorum && initialControllers === null && !given['no-initial-controllers']) {
    throw new FormatError(
      'Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone, --initial-controllers, or --no-initial-controllers.',
    );
  }
  const { all, metadata } = directoriesOf(settings);
  formatNode(
    {
      runtime, clusterId, isDynamicQuorum, initialControllers,
      nodeId: settings.get('node.id')!,
      directories: all,
      metadataDirectory: metadata,
      controllerListener: settings.get('controller.listener.names')![0]!,
      releaseVersion: given['release-version'] ?? null,
      features: new Map(given.feature.map(parseFeature)),
      scram: given['add-scram'],
      ignoreFormatted: given['ignore-formatted'],
    },
    say,
  );
  return 0;
}

/** As `ottla start` reads them, but for what Kafka wants to be said before it formats anything: a preset must not choose a node's id or part. */
function readSettings(given: Options, runtime: Runtime): Settings {
  const file = given.config;
  if (file === undefined) throw new UsageError('--config FILE is needed: the settings of the node');
  let text: string;
  try {
    text = runtime.disk.readFile(file).toString();
  } catch (error) {
    throw new CommandError(`--config ${file}: ${explain(error).line}`, { cause: error });
  }
  const names = new Set([...parseProperties(text), ...environmentSettings(process.env)].map(({ name }) => name));
  for (const required of ['node.id', 'process.roles', 'controller.listener.names']) {
    const isGiven = names.has(required) || (required === 'node.id' && names.has('broker.id'));
    if (!isGiven) throw new FormatError(`Missing required configuration "${required}" which has no default value.`);
  }
  return Settings.from({ file: { name: file, text }, environment: process.env, production: true });
}

function directoriesOf(settings: Settings): { all: readonly string[]; metadata: string } {
  const own = settings.get('log.dirs') ?? settings.get('log.dir');
  const metadata = settings.get('metadata.log.dir') ?? own[0]!;
  return { all: [...new Set([...own, metadata])].sort(), metadata };
}

/** Where the others reach this controller: what it advertises, else where it listens. */
function ownController(settings: Settings, runtime: Runtime): InitialController {
  if (!settings.get('process.roles')!.includes('controller')) throw new FormatError('You can only use --standalone on a controller.');
  const listener = settings.listeners.controller[0];
  if (listener === undefined) throw new FormatError('No controller listeners found.');
  const advertised = (settings.get('advertised.listeners') ?? []).find((text) => text.toUpperCase().startsWith(`${listener.name}://`));
  const match = advertised === undefined ? null : /:\/\/(?:\[(.*)\]|([^:]*)):([0-9]+)$/.exec(advertised);
  const { host, port } = match === null ? listener : { host: match[1] ?? match[2] ?? '', port: Number(match[3]) };
  return { id: settings.get('node.id')!, host: ['', '0.0.0.0', '::'].includes(host) ? 'localhost' : host, port, directoryId: runtime.random.uuid() };
}

function parseFeature(text: string): [name: string, level: number] {
  const equals = text.indexOf('=');
  if (equals < 0) throw new FormatError(`Can't parse feature=level string ${text}: equals sign not found.`);
  const level = shortOf(text.slice(equals + 1).trim());
  if (level === undefined) throw new FormatError(`Can't parse feature=level string ${text}: unable to parse ${text.slice(equals + 1).trim()} as a short.`);
  return [text.slice(0, equals).trim(), level];
}

function shortOf(text: string): number | undefined {
  const value = /^[+-]?[0-9]{1,6}$/.test(text) ? Number(text) : NaN;
  return value >= -32_768 && value <= 32_767 ? value : undefined;
}

function versionMapping(given: Options, _: Runtime, say: Say): number {
  const version = given['release-version'] ?? versionName(METADATA_VERSION_LATEST)!;
  const level = releaseLevel(version, { unstable: true });
  say(`metadata.version=${level} (${version})`);
  for (const [name, own] of defaultLevels(level)) say(`${name}=${own}`);
  return 0;
}

function featureDependencies(given: Options, _: Runtime, say: Say): number {
  if (given.feature.length === 0) throw new UsageError('feature-dependencies needs --feature NAME=LEVEL');
  for (const text of given.feature) {
    const equals = text.indexOf('=');
    if (equals < 0) throw new FormatError(`Invalid feature format: ${text}. Expected format: 'feature=version' (e.g. 'group.version=1')`);
    const [name, levelText] = [text.slice(0, equals).trim(), text.slice(equals + 1).trim()];
    const level = shortOf(levelText);
    if (level === undefined) throw new FormatError(`Invalid version format: ${levelText} for feature ${name}`);
    if (name === METADATA_VERSION) {
      if (versionName(level) === undefined) throw new FormatError(`Unknown metadata.version ${level}`);
      say(`${name}=${level} (${versionName(level)}) has no dependencies.`);
      continue;
    }
    if (!SUPPORTED_FEATURES.some((one) => one.name === name)) throw new FormatError(`Unknown feature: ${name}`);
    const needs = dependenciesOf(name, level);
    if (needs === null) throw new FormatError(`Feature level ${level} is not supported for feature ${name}`);
    say(needs.size === 0 ? `${name}=${level} has no dependencies.` : `${name}=${level} requires:`);
    for (const [other, least] of needs) say(`    ${other}=${least}${other === METADATA_VERSION ? ` (${versionName(least)})` : ''}`);
  }
  return 0;
}
