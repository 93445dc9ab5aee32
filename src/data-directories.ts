/**
 * The log directories of a node: whose they are, and what a fresh one is given.
 *
 * Promises: an empty directory is formatted as Apache Kafka's storage tool would; one that belongs to another node or cluster, or that holds data and does
 * not say whose it is, is refused with a line that says which is which, and is left as it was.
 */
import { joinPath } from '../storage/files.ts';
import type { Disk } from '../storage/disk.ts';
import { LogDirectory } from '../storage/log-directory.ts';
import { loadMetaProperties, META_PROPERTIES, writeMetaProperties } from '../storage/meta-properties.ts';
import type { MetaProperties } from '../storage/meta-properties.ts';
import { TailBudget } from '../storage/tail.ts';
import { formatDirectory } from './quorum/bootstrap.ts';
import type { OwnDirectory } from './replica/replicas.ts';
import type { Runtime } from './runtime/runtime.ts';
import type { Settings } from './settings.ts';

/** A data directory that this node must not use as it is. */
export class DataDirectoryError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DataDirectoryError';
  }
}

export interface OpenedDirectories {
  readonly clusterId: string;
  readonly all: readonly OwnDirectory[];
  /** Holds the metadata log. */
  readonly metadata: OwnDirectory;
}

export interface OpenOptions {
  readonly runtime: Runtime;
  readonly settings: Settings;
  readonly nodeId: number;
  readonly paths: readonly string[];
  readonly metadataPath: string;
  readonly clusterId: string | undefined;
  /** isAlone: an empty directory may be made that of a new cluster. */
  readonly roles: { readonly isController: boolean; readonly isAlone: boolean };
  /** Where this node is reached as a controller. */
  readonly controllerEndpoints: readonly { readonly name: string; readonly host: string; readonly port: number }[];
}

/** Throws a DataDirectoryError or a DiskError; no lock is kept then. */
export function openDirectories(options: OpenOptions): OpenedDirectories {
  const { runtime, settings, paths, metadataPath } = options;
  const { disk, random } = runtime;
  const nodeId = options.nodeId;
  const tail = new TailBudget({ tailBytesMax: settings.get('ottla.log.tail.bytes') });
  const opened: LogDirectory[] = [];
  try {
    for (const path of new Set([metadataPath, ...paths])) {
      opened.push(LogDirectory.open({ disk, path, uuid: () => random.uuid(), openFilesMax: settings.get('ottla.log.open.files'), tail, jitter: () => random.below(1 << 30) / (1 << 30) }));
    }
    const owners = opened.map((logs) => ownerOf(disk, logs));
    const known = owners.filter((owner) => owner !== undefined);
    const given = options.clusterId ?? known[0]?.clusterId;
    if (given === undefined && !options.roles.isAlone) {
      throw new DataDirectoryError(`${metadataPath} is not formatted, and a node of a cluster of several must be told which cluster it is of: format it (ottla format --cluster-id ID --config FILE) or give --cluster-id`);
    }
    const clusterId = given ?? random.uuid();
    const ofMetadata = opened.findIndex((logs) => logs.path === metadataPath);
    if (owners[ofMetadata] === undefined) checkMayBegin(options, { isKnown: known.length > 0 });
    opened.forEach((logs, i) => checkOwner(logs.path, owners[i], { nodeId, clusterId }));
    const all = opened.map((logs, i) => ({ logs, id: owners[i]?.directoryId ?? give(logs.path, { clusterId, nodeId, directoryId: random.uuid() }, logs.path === metadataPath, options) }));
    return { clusterId, all: all.filter(({ logs }) => paths.includes(logs.path)), metadata: all.find(({ logs }) => logs.path === metadataPath)! };
  } catch (error) {
    for (const logs of opened) logs.release();
    throw error;
  }
}

/** A node on its own begins where nothing is; one of several must not begin as somebody that it was not, or has been. */
function checkMayBegin({ roles, settings, metadataPath, clusterId }: OpenOptions, { isKnown }: { readonly isKnown: boolean }): void {
  if (roles.isAlone) return;
  if (isKnown && clusterId === undefined) {
    throw new DataDirectoryError(`${metadataPath} has lost the metadata of this node, whose other directories are there: a voter that forgets what it has voted for must not come back by itself. Format it, if that is meant`);
  }
  if (roles.isController && settings.get('controller.quorum.voters').length === 0) {
    throw new DataDirectoryError(`${metadataPath} is not formatted, and controller.quorum.voters is not set: format it, with one of --standalone, --initial-controllers and --no-initial-controllers (ottla format --help)`);
  }
}

/** undefined for a directory that is nobody's yet. */
function ownerOf(disk: Disk, { path, found }: LogDirectory): MetaProperties | undefined {
  const loaded = loadMetaProperties(disk, path);
  switch (loaded.status) {
    case 'ok':
      return loaded.value;
    case 'missing':
      if (found.length === 0) return undefined;
      throw new DataDirectoryError(`${path} holds partitions (${found[0]!.name} ...) but no ${META_PROPERTIES}, so it cannot be told whose they are`);
    case 'empty':
      throw new DataDirectoryError(`${joinPath(path, META_PROPERTIES)} is empty, so it cannot be told whose directory this is`);
    case 'corrupt':
      throw new DataDirectoryError(`${joinPath(path, META_PROPERTIES)} cannot be used: ${loaded.reason}`);
  }
}

function checkOwner(path: string, owner: MetaProperties | undefined, { nodeId, clusterId }: { nodeId: number; clusterId: string }): void {
  if (owner === undefined) return;
  if (owner.clusterId !== clusterId) throw new DataDirectoryError(`${path} belongs to cluster ${owner.clusterId}, this node is of cluster ${clusterId}`);
  if (owner.nodeId !== nodeId) throw new DataDirectoryError(`${path} belongs to node ${owner.nodeId}, but node.id is ${nodeId}`);
}

/** Formats an empty directory; returns its id. */
function give(directory: string, owner: { clusterId: string; nodeId: number; directoryId: string }, isMetadata: boolean, options: OpenOptions): string {
  const { runtime } = options;
  const nowMs = runtime.clock.wallMs();
  if (isMetadata) formatDirectory({ disk: runtime.disk, directory, ...owner, nowMs, voters: options.roles.isAlone ? firstVoter(options, owner) : null });
  else writeMetaProperties(runtime.disk, directory, owner, nowMs);
  return owner.directoryId;
}

/** Without static voters a new node is the first voter of a dynamic quorum of its own (what `kafka-storage format --standalone` makes). */
function firstVoter({ settings, controllerEndpoints }: OpenOptions, { nodeId, directoryId }: { nodeId: number; directoryId: string }) {
  if (settings.get('controller.quorum.voters').length > 0) return null;
  const listener = controllerEndpoints[0];
  const name = listener?.name ?? settings.get('controller.listener.names')?.[0] ?? 'CONTROLLER';
  return {
    kraftVersion: 1,
    voters: {
      version: 0,
      voters: [
        {
          voterId: nodeId,
          voterDirectoryId: directoryId,
          endpoints: [{ name, host: listener?.host || 'localhost', port: listener?.port ?? 9093 }],
          kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 },
        },
      ],
    },
  };
}
