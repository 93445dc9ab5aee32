/**
 * `ottla quorum`: who votes on the metadata, who leads, how far the others are; and controllers that come and go (KIP-853). Speaks to brokers, which pass on what is the active
 * controller's, or to controllers (--bootstrap-controller), which serve when no broker does. Does not format a controller: `ottla format --no-initial-controllers` does.
 */
import { ZERO_UUID } from '../../protocol/text.ts';
import { loadMetaProperties } from '../../storage/meta-properties.ts';
import { ClusterAdmin } from '../client/cluster-admin.ts';
import type { QuorumDescription, VoterEndpoint } from '../client/cluster-admin.ts';
import { addressText } from '../client/connection.ts';
import { parseProperties } from '../../protocol/properties.ts';
import { nodeRuntime } from '../runtime/node.ts';
import { nearest } from '../settings/nearest.ts';
import { UsageError, helpText, parseArguments, wholeNumber } from './arguments.ts';
import type { CommandDeclaration } from './arguments.ts';
import type { Command } from './commands.ts';
import { CommandError, explain } from './failures.ts';
import { table } from './output.ts';
import { connectionOptions, controllerOption, withClient } from './session.ts';
import type { Session } from './session.ts';

const declaration = {
  name: 'quorum',
  summary: 'Tells of the metadata quorum, and adds and removes its controllers.',
  words: '[status | replication | add-controller | remove-controller]',
  options: {
    ...connectionOptions,
    ...controllerOption,
    'config': { short: 'c', value: 'FILE', help: 'add-controller: the settings of the controller, on whose machine this runs' },
    'controller-id': { value: 'ID', help: 'remove-controller: whom' },
    'controller-directory-id': { value: 'ID', help: 'remove-controller: the directory id of its metadata', fallback: 'that of the only voter with the id' },
    'dry-run': { help: 'add-controller, remove-controller: only say what would be done' },
    'json': { help: 'status, replication: JSON' },
  },
  examples: ['ottla quorum', 'ottla quorum replication -b broker1:9092', 'ottla quorum add-controller --config controller.properties', 'ottla quorum remove-controller --controller-id 3'],
} as const satisfies CommandDeclaration<any>;

type Options = ReturnType<typeof parseArguments<typeof declaration.options>>['options'];

interface Asked {
  readonly client: Session['client'];
  readonly cluster: ClusterAdmin;
}

const WORK: ReadonlyMap<string, (asked: Asked, options: Options) => Promise<string[]>> = new Map([
  ['status', status],
  ['replication', replication],
  ['add-controller', addController],
  ['remove-controller', removeController],
]);

export const quorum: Command = {
  async run(argv) {
    const { options, words } = parseArguments(declaration, argv);
    if (options.help) {
      console.log(helpText(declaration));
      return 0;
    }
    const [action = 'status', ...rest] = words;
    const work = WORK.get(action);
    if (work === undefined || rest.length > 0) {
      const meant = nearest(action, WORK.keys());
      throw new UsageError(rest.length > 0 ? `quorum ${action} takes no words: ${rest.join(' ')}` : `unknown action ${action}${meant === undefined ? '' : `; did you mean ${meant}?`} (${[...WORK.keys()].join(', ')})`);
    }
    const controllers = options['bootstrap-controller'];
    if (controllers !== undefined && options['bootstrap-server'] !== undefined) throw new UsageError('--bootstrap-server and --bootstrap-controller cannot be given together');
    const connection = { ...options, 'bootstrap-server': controllers ?? options['bootstrap-server'] };
    for (const line of await withClient(connection, ({ client }) => work({ client, cluster: new ClusterAdmin(client, { isOfControllers: controllers !== undefined }) }, options))) console.log(line);
    return 0;
  },
};

type ReplicaState = QuorumDescription['currentVoters'][number];

interface Row extends ReplicaState {
  readonly role: 'leader' | 'voter' | 'observer';
  readonly lag: number;
  readonly endpoints: readonly string[];
}

function rowsOf({ leaderId, currentVoters, observers, nodes }: QuorumDescription): Row[] {
  const end = currentVoters.find(({ replicaId }) => replicaId === leaderId)?.logEndOffset ?? Math.max(0, ...currentVoters.map(({ logEndOffset }) => logEndOffset));
  const row = (role: Row['role']) => (state: ReplicaState): Row => {
    const node = nodes.find(({ nodeId }) => nodeId === state.replicaId);
    // A replica that has never fetched has no end that is known.
    const lag = state.logEndOffset < 0 ? -1 : Math.max(0, end - state.logEndOffset);
    return { ...state, role, lag, endpoints: (node?.listeners ?? []).map(({ name, host, port }) => `${name}://${addressText(host, port)}`) };
  };
  const byId = (a: Row, b: Row) => a.replicaId - b.replicaId;
  const voters = currentVoters.map((state) => row(state.replicaId === leaderId ? 'leader' : 'voter')(state)).sort(byId);
  return [...voters, ...observers.map(row('observer')).sort(byId)];
}

async function status({ cluster }: Asked, options: Options): Promise<string[]> {
  const description = await cluster.quorum();
  const clusterId = await cluster.clusterId();
  const rows = rowsOf(description);
  const { leaderId, leaderEpoch, highWatermark } = description;
  if (options.json) {
    const shown = rows.map(({ replicaId, replicaDirectoryId, role, lag, endpoints }) => ({ id: replicaId, directoryId: directoryOf(replicaDirectoryId), role, lag, endpoints }));
    return [JSON.stringify({ clusterId, leaderId, leaderEpoch, highWatermark, nodes: shown })];
  }
  const voters = rows.filter(({ role }) => role !== 'observer');
  const behind = Math.max(...voters.map(({ lag }) => lag));
  return [
    `cluster ${clusterId}  ${leaderId < 0 ? 'no leader' : `leader ${leaderId}`} in epoch ${leaderEpoch}, high watermark ${highWatermark}`,
    `${voters.length} voter${voters.length === 1 ? '' : 's'}, ${rows.length - voters.length} observer${rows.length - voters.length === 1 ? '' : 's'}, the slowest voter ${behind <= 0 ? 'is caught up' : `lags ${behind} records`}`,
    ...table([['NODE', 'ROLE', 'LAG', 'DIRECTORY', 'ENDPOINTS'], ...rows.map((row) => [String(row.replicaId), row.role, lagText(row.lag), directoryOf(row.replicaDirectoryId) ?? '-', row.endpoints.join(',') || '-'])]).map((line) => `  ${line}`),
  ];
}

async function replication({ client, cluster }: Asked, options: Options): Promise<string[]> {
  const rows = rowsOf(await cluster.quorum());
  if (options.json) return rows.map(({ replicaId, replicaDirectoryId, endpoints: _, ...row }) => JSON.stringify({ id: replicaId, directoryId: directoryOf(replicaDirectoryId), ...row }));
  const nowMs = client.runtime.clock.wallMs();
  // Clocks of machines differ; what is less than nothing ago is now.
  const ago = (ms: number) => (ms < 0 ? '-' : `${Math.max(0, nowMs - ms)} ms ago`);
  return table([
    ['NODE', 'ROLE', 'LOG END', 'LAG', 'LAST FETCH', 'LAST CAUGHT UP', 'DIRECTORY'],
    ...rows.map((row) => [String(row.replicaId), row.role, String(row.logEndOffset), lagText(row.lag), ago(row.lastFetchTimestamp), ago(row.lastCaughtUpTimestamp), directoryOf(row.replicaDirectoryId) ?? '-']),
  ]);
}

function lagText(lag: number): string {
  return lag < 0 ? '-' : String(lag);
}

/** null in a static quorum, whose voters have no directory ids. */
function directoryOf(id: string): string | null {
  return id === ZERO_UUID ? null : id;
}

async function addController({ cluster }: Asked, options: Options): Promise<string[]> {
  const controller = readController(options);
  const shown = `controller ${controller.id} with directory ${controller.directoryId} at ${controller.endpoints.map(({ name, host, port }) => `${name}://${addressText(host, port)}`).join(', ')}`;
  if (options['dry-run']) return [`would add ${shown}`];
  await cluster.addVoter({ clusterId: await cluster.clusterId(), ...controller });
  return [`added ${shown}`];
}

async function removeController({ cluster }: Asked, options: Options): Promise<string[]> {
  if (options['controller-id'] === undefined) throw new UsageError('quorum remove-controller needs --controller-id ID');
  const id = wholeNumber('controller-id', options['controller-id'], 0, 0x7fffffff);
  let directoryId = options['controller-directory-id'];
  if (directoryId === undefined) {
    const own = (await cluster.quorum()).currentVoters.filter(({ replicaId }) => replicaId === id);
    if (own.length !== 1) throw new CommandError(own.length === 0 ? `controller ${id} is not one of the voters` : `controller ${id} is there ${own.length} times; name one with --controller-directory-id`);
    directoryId = own[0]!.replicaDirectoryId;
  }
  const shown = `controller ${id} with directory ${directoryId}`;
  if (options['dry-run']) return [`would remove ${shown}`];
  await cluster.removeVoter({ clusterId: await cluster.clusterId(), id, directoryId });
  return [`removed ${shown}`];
}

/** Who the controller of a settings file is. Reads the file and the meta.properties of its metadata directory. */
function readController(options: Options): { id: number; directoryId: string; endpoints: VoterEndpoint[] } {
  const file = options.config;
  if (file === undefined) throw new UsageError('quorum add-controller needs --config FILE, the settings of the controller');
  const { disk } = nodeRuntime();
  let text: string;
  try {
    text = disk.readFile(file).toString();
  } catch (error) {
    throw new CommandError(`--config ${file}: ${explain(error).line}`, { cause: error });
  }
  const settings = new Map(parseProperties(text).map(({ name, value }) => [name, value.trim()]));
  const need = (name: string): string => settings.get(name) ?? fail(`${name} not found in ${file}. Is this a valid controller configuration file?`);
  const id = wholeNumber('config', need('node.id'), 0, 0x7fffffff);
  if (!need('process.roles').split(',').some((role) => role.trim() === 'controller')) fail(`process.roles of ${file} does not contain controller`);
  const directory = settings.get('metadata.log.dir') ?? need('log.dirs').split(',')[0]!.trim();
  const owner = loadMetaProperties(disk, directory);
  if (owner.status !== 'ok') fail(`${directory} is not formatted: ${owner.status === 'corrupt' ? owner.reason : `its meta.properties is ${owner.status}`} (ottla format --no-initial-controllers)`);
  if (owner.value.nodeId !== id) fail(`${directory} belongs to node ${owner.value.nodeId}, but node.id is ${id}`);
  if (owner.value.directoryId === undefined) fail(`${directory} has no directory.id`);
  const listeners = new Map([...endpointsOf(need('listeners')), ...endpointsOf(settings.get('advertised.listeners') ?? '')].map((one) => [one.name, one]));
  const names = need('controller.listener.names').split(',').map((name) => name.trim().toUpperCase());
  const endpoints = names.map((name) => listeners.get(name) ?? fail(`there is no listener ${name}, which controller.listener.names of ${file} names`));
  return { id, directoryId: owner.value.directoryId, endpoints };
}

function endpointsOf(text: string): VoterEndpoint[] {
  return text.split(',').flatMap((one) => {
    const match = /^\s*([^:/]+):\/\/(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})\s*$/.exec(one);
    if (match === null) return [];
    const host = match[2] ?? match[3] ?? '';
    return [{ name: match[1]!.toUpperCase(), host: ['', '0.0.0.0', '::'].includes(host) ? 'localhost' : host, port: Number(match[4]) }];
  });
}

function fail(message: string): never {
  throw new CommandError(message);
}
