/**
 * What `kafka-storage.sh format` makes of a node's empty log directories, and what it refuses (4.3.1): the feature levels of a new cluster, its first voters, its
 * first users.
 *
 * Promises: the same files as Kafka's tool, equal but for ids and times; a directory that is formatted already is never touched; `meta.properties` is written last and
 * durably, so a format that a crash cut short is done again. Refusals are FormatErrors in Kafka's words. Does not read settings.
 *
 *   every directory    bootstrap.checkpoint, meta.properties
 *   of the metadata    __cluster_metadata-0/00000000000000000000-0000000000.checkpoint, where the first voters are given
 */
import type { Disk } from '../../storage/disk.ts';
import { joinPath, parentOf, replaceFileSync } from '../../storage/files.ts';
import { loadMetaProperties, META_PROPERTIES, writeMetaProperties } from '../../storage/meta-properties.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { BOOTSTRAP_CHECKPOINT, encodeBootstrap, makeDurably, METADATA_DIRECTORY } from './bootstrap.ts';
import { KRAFT_VERSION, METADATA_VERSION, metadataVersionName } from './features.ts';
import { effectiveLevels, FormatError } from './format-features.ts';
import type { FeatureLevels } from './format-features.ts';
import { newRecord } from './records.ts';
import type { NewRecord } from './records.ts';
import { scramRecord } from './format-scram.ts';
import { encodeSnapshot, snapshotName } from './snapshots.ts';
import type { VoterRecords } from './snapshots.ts';

export interface InitialController {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly directoryId: string;
}

export interface FormatRequest {
  readonly runtime: Pick<Runtime, 'disk' | 'random' | 'clock'>;
  readonly clusterId: string;
  readonly nodeId: number;
  /** All log directories, that of the metadata among them. */
  readonly directories: readonly string[];
  readonly metadataDirectory: string;
  /** Without controller.quorum.voters. */
  readonly isDynamicQuorum: boolean;
  /** By id; null where none are given. */
  readonly initialControllers: readonly InitialController[] | null;
  readonly controllerListener: string;
  readonly releaseVersion: string | null;
  readonly features: FeatureLevels;
  /** Texts of --add-scram. */
  readonly scram: readonly string[];
  readonly ignoreFormatted: boolean;
}

type DirectoryKind = 'data directory' | 'metadata directory' | 'dynamic metadata directory' | 'dynamic metadata voter directory';

/** Tells each step through `say`. Throws a FormatError before anything is written, or a DiskError. */
export function formatNode(request: FormatRequest, say: (line: string) => void): void {
  const { runtime, clusterId, nodeId, ignoreFormatted } = request;
  const levels = effectiveLevels(request);
  const bootstrap = bootstrapOf(request, levels);
  const directories = [...new Set(request.directories)].sort();
  const formatted = directories.filter((directory) => isFormatted(request, directory, say));
  if (formatted.length > 0 && !ignoreFormatted) {
    throw new FormatError(`Log directory ${formatted[0]} is already formatted. Use --ignore-formatted to ignore this directory and format the others.`);
  }
  const empty = directories.filter((directory) => !formatted.includes(directory));
  if (empty.length === 0) {
    say('All of the log directories are already formatted.');
    return;
  }
  const version = metadataVersionName(levels.get(METADATA_VERSION)!)!;
  say(`Bootstrap metadata: ${bootstrap.map(recordText).join(', ')}`);
  for (const directory of empty) {
    const kind = kindOf(request, directory);
    const own = kind === 'dynamic metadata voter directory' ? request.initialControllers!.find(({ id }) => id === nodeId) : undefined;
    say(`Formatting ${kind} ${directory} with metadata.version ${version}.`);
    writeDirectory(request, { directory, kind, bootstrap, kraftVersion: levels.get(KRAFT_VERSION)! });
    writeMetaProperties(runtime.disk, directory, { clusterId, nodeId, directoryId: own?.directoryId ?? runtime.random.uuid() }, runtime.clock.wallMs());
  }
}

function writeDirectory(request: FormatRequest, { directory, kind, bootstrap, kraftVersion }: { directory: string; kind: DirectoryKind; bootstrap: readonly NewRecord[]; kraftVersion: number }): void {
  const { disk, clock } = request.runtime;
  makeWithParents(disk, directory);
  replaceFileSync(disk, joinPath(directory, BOOTSTRAP_CHECKPOINT), encodeBootstrap(bootstrap, clock.wallMs()));
  if (kind === 'data directory' || request.initialControllers === null) return;
  const metadata = joinPath(directory, METADATA_DIRECTORY);
  makeDurably(disk, metadata);
  const nowMs = clock.wallMs();
  const snapshot = encodeSnapshot([], { epoch: 0, nowMs, lastContainedLogTimestampMs: nowMs, kraftVersion, voters: votersRecord(request.initialControllers, request.controllerListener) });
  replaceFileSync(disk, joinPath(metadata, snapshotName({ offset: 0, epoch: 0 })), Buffer.concat(snapshot));
}

function votersRecord(controllers: readonly InitialController[], listener: string): NonNullable<VoterRecords['voters']> {
  return {
    version: 0,
    voters: controllers.map(({ id, host, port, directoryId }) => ({
      voterId: id,
      voterDirectoryId: directoryId,
      endpoints: [{ name: listener.toUpperCase(), host, port }],
      kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 },
    })),
  };
}

function kindOf({ metadataDirectory, initialControllers, nodeId }: FormatRequest, directory: string): DirectoryKind {
  if (directory !== metadataDirectory) return 'data directory';
  if (initialControllers === null) return 'metadata directory';
  return initialControllers.some(({ id }) => id === nodeId) ? 'dynamic metadata voter directory' : 'dynamic metadata directory';
}

/** As Kafka: a directory without meta.properties is empty, whatever else is in it. */
function isFormatted({ runtime, clusterId, nodeId }: FormatRequest, directory: string, say: (line: string) => void): boolean {
  const path = joinPath(directory, META_PROPERTIES);
  const loaded = loadMetaProperties(runtime.disk, directory);
  switch (loaded.status) {
    case 'missing':
      return false;
    case 'empty':
    case 'corrupt':
      throw new FormatError(`${path} cannot be used: ${loaded.status === 'empty' ? 'it is empty' : loaded.reason}`);
    case 'ok':
      if (loaded.value.clusterId !== clusterId) throw new FormatError(`Invalid cluster.id in: ${path}. Expected ${clusterId}, but read ${loaded.value.clusterId}`);
      if (loaded.value.nodeId !== nodeId) {
        throw new FormatError(
          `Stored node id ${loaded.value.nodeId} doesn't match previous node id ${nodeId} in ${path}. If you moved your data, make sure your configured node id matches. ` +
            'If you intend to create a new node, you should remove all data in your data directories.',
        );
      }
      if (loaded.value.directoryId === undefined) say(`${path} has no directory.id; the next start gives it one`);
      return true;
  }
}

function bootstrapOf({ runtime, scram }: FormatRequest, levels: FeatureLevels): NewRecord[] {
  const records: NewRecord[] = [newRecord('FeatureLevelRecord', { name: METADATA_VERSION, featureLevel: levels.get(METADATA_VERSION)! })];
  // By name, and without what is at 0 or the quorum's own.
  for (const [name, featureLevel] of [...levels].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (name !== METADATA_VERSION && name !== KRAFT_VERSION && featureLevel > 0) records.push(newRecord('FeatureLevelRecord', { name, featureLevel }));
  }
  const SCRAM_LEVEL_MIN = 11;
  if (scram.length > 0 && levels.get(METADATA_VERSION)! < SCRAM_LEVEL_MIN) throw new FormatError(`SCRAM is only supported in metadata.version ${metadataVersionName(SCRAM_LEVEL_MIN)} or later.`);
  for (const text of scram) records.push(scramRecord(text, runtime.random));
  return records;
}

/** Without keys and salts, which Kafka's tool prints. */
function recordText(record: NewRecord): string {
  switch (record.name) {
    case 'FeatureLevelRecord':
      return `${record.value.name}=${record.value.featureLevel}`;
    case 'UserScramCredentialRecord':
      return `${record.value.mechanism === 1 ? 'SCRAM-SHA-256' : 'SCRAM-SHA-512'} of ${record.value.name}`;
    default:
      return record.name;
  }
}

function makeWithParents(disk: Disk, directory: string): void {
  if (disk.status(directory) !== undefined) return;
  const parent = parentOf(directory);
  if (parent !== directory) makeWithParents(disk, parent);
  makeDurably(disk, directory);
}

/** `0@host:8082:JEXY6aqzQY-32P5TStzaFg,1@[::1]:8083:...`, by id. Throws a FormatError in the words of Kafka's DynamicVoters. */
export function parseInitialControllers(text: string): InitialController[] {
  const parsed = text.trim().split(',').filter((one) => one !== '').map((one) => parseController(one.trim()));
  if (parsed.length === 0) throw new FormatError('No voters given.');
  parsed.sort((left, right) => left.id - right.id);
  const twice = parsed.find(({ id }, index) => id === parsed[index + 1]?.id);
  if (twice !== undefined) throw new FormatError(`Node id ${twice.id} was specified more than once.`);
  return parsed;
}

function parseController(text: string): InitialController {
  const at = text.indexOf('@');
  if (at < 0) throw new FormatError('No @ found in dynamic voter string.');
  if (at === 0) throw new FormatError('Invalid @ at beginning of dynamic voter string.');
  const id = wholeNumber(text.slice(0, at));
  if (id === undefined) throw new FormatError('Failed to parse node id in dynamic voter string.');
  if (id < 0) throw new FormatError(`Invalid negative node id ${id} in dynamic voter string.`);
  const { host, rest } = splitHost(text.slice(at + 1));
  if (!rest.startsWith(':')) throw new FormatError('Port section must start with a colon.');
  const colon = rest.indexOf(':', 1);
  if (colon < 0) throw new FormatError('No colon following port could be found.');
  const port = wholeNumber(rest.slice(1, colon));
  if (port === undefined) throw new FormatError('Failed to parse port in dynamic voter string.');
  if (port < 0 || port > 65_535) throw new FormatError(`Invalid port ${port} in dynamic voter string.`);
  const directoryId = rest.slice(colon + 1);
  // As Kafka's Uuid.fromString: at most 24 characters that hold 16 bytes.
  const bytes = /^[A-Za-z0-9_-]{22}(==)?$/.test(directoryId) ? Buffer.from(directoryId, 'base64url') : Buffer.alloc(0);
  if (bytes.length !== 16) throw new FormatError('Failed to parse directory ID in dynamic voter string.');
  return { id, host, port, directoryId: bytes.toString('base64url') };
}

function splitHost(text: string): { host: string; rest: string } {
  if (text === '') throw new FormatError('No hostname found after node id.');
  if (text.startsWith('[')) {
    const end = text.indexOf(']');
    if (end < 0) throw new FormatError('Hostname began with left bracket, but no right bracket was found.');
    return { host: text.slice(1, end), rest: text.slice(end + 1) };
  }
  const end = text.indexOf(':');
  if (end < 0) throw new FormatError('No colon following hostname could be found.');
  return { host: text.slice(0, end), rest: text.slice(end) };
}

function wholeNumber(text: string): number | undefined {
  const value = /^[+-]?[0-9]{1,10}$/.test(text) ? Number(text) : NaN;
  return value >= -0x8000_0000 && value <= 0x7fff_ffff ? value : undefined;
}
