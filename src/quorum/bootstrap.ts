/**
 * What a new cluster begins with: the records of `bootstrap.checkpoint`, which the first leader copies into the metadata log, and the log directory
 * that has them (what `kafka-storage.sh format` makes).
 *
 * Promises: a directory that was formatted here opens in Apache Kafka, and the other way round. `meta.properties` is written last, and durably, so a format
 * that a crash cut short is simply done again. Does not look at what the directory holds already: the caller does.
 */
import type { MetadataRecord } from '../../protocol/log-records/metadata.ts';
import type { Disk } from '../../storage/disk.ts';
import { joinPath, parentOf } from '../../storage/files.ts';
import { writeMetaProperties } from '../../storage/meta-properties.ts';
import { formatPartitionMetadata, PARTITION_METADATA } from '../../storage/partition-metadata.ts';
import { COMMITTED_OFFSET, formatMark } from './commit-mark.ts';
import { BOOTSTRAP_FEATURES, ELIGIBLE_LEADER_REPLICAS_VERSION, METADATA_VERSION, METADATA_VERSION_LATEST, metadataVersionRules } from './features.ts';
import { ResourceType } from './image.ts';
import { encodeRecord, newRecord, type NewRecord } from './records.ts';
import { decodeSnapshot, encodeSnapshot, snapshotName, type VoterRecords } from './snapshots.ts';

export const BOOTSTRAP_CHECKPOINT = 'bootstrap.checkpoint';
export const METADATA_DIRECTORY = '__cluster_metadata-0';
/** The id that Kafka has reserved for the metadata topic. */
export const METADATA_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ';

export function defaultBootstrap(): NewRecord[] {
  return BOOTSTRAP_FEATURES.map(({ name, level }) => newRecord('FeatureLevelRecord', { name, featureLevel: level }));
}

export function encodeBootstrap(records: readonly NewRecord[], nowMs: number): Buffer {
  return Buffer.concat(
    encodeSnapshot(records.map(encodeRecord), { epoch: 0, nowMs, lastContainedLogTimestampMs: 0, kraftVersion: 0, voters: null }),
  );
}

/** Throws a RangeError or a KafkaError when the file is damaged. */
export function decodeBootstrap(bytes: Buffer): MetadataRecord[] {
  return [...decodeSnapshot(bytes).records];
}

/** As the first leader writes them: inside a transaction where the metadata.version knows transactions, for a new cluster may have many (KIP-868). */
export function bootstrapRecords(bootstrap: readonly NewRecord[], { minInsyncReplicas }: { readonly minInsyncReplicas: number }): NewRecord[] {
  const levels = new Map<string, number>();
  for (const record of bootstrap) if (record.name === 'FeatureLevelRecord') levels.set(record.value.name, record.value.featureLevel);
  const records = [...bootstrap];
  if ((levels.get(ELIGIBLE_LEADER_REPLICAS_VERSION) ?? 0) > 0) {
    // The minimum is the cluster's then, not each broker's: eligibility must mean the same to all.
    records.push(
      newRecord('ConfigRecord', { resourceType: ResourceType.BROKER, resourceName: '', name: 'min.insync.replicas', value: String(minInsyncReplicas) }),
    );
  }
  if (!metadataVersionRules(levels.get(METADATA_VERSION) ?? METADATA_VERSION_LATEST).supportsTransactions) return records;
  return [newRecord('BeginTransactionRecord', { name: 'Bootstrap records' }), ...records, newRecord('EndTransactionRecord', {})];
}

export interface FormatOptions {
  readonly disk: Disk;
  /** Made when it is missing. */
  readonly directory: string;
  readonly clusterId: string;
  readonly nodeId: number;
  readonly directoryId: string;
  readonly nowMs: number;
  /** Only those of a dynamic quorum that starts here (KIP-853); null for a static one, whose voters are in the settings. */
  readonly voters?: VoterRecords | null;
  readonly bootstrap?: readonly NewRecord[];
}

export function formatDirectory(options: FormatOptions): void {
  const { disk, directory, clusterId, nodeId, directoryId, nowMs, voters = null } = options;
  const metadata = joinPath(directory, METADATA_DIRECTORY);
  makeDurably(disk, directory);
  if (disk.status(metadata) === undefined) disk.makeDirectory(metadata);
  put(disk, joinPath(directory, BOOTSTRAP_CHECKPOINT), encodeBootstrap(options.bootstrap ?? defaultBootstrap(), nowMs), { isSynced: true });
  if (voters !== null) {
    const snapshot = encodeSnapshot([], { epoch: 0, nowMs, lastContainedLogTimestampMs: nowMs, ...voters });
    put(disk, joinPath(metadata, snapshotName({ offset: 0, epoch: 0 })), Buffer.concat(snapshot), { isSynced: true });
  }
  // A start waits for every sync, and these two say what is known without them.
  put(disk, joinPath(metadata, PARTITION_METADATA), formatPartitionMetadata(METADATA_TOPIC_ID), { isSynced: false });
  put(disk, joinPath(metadata, COMMITTED_OFFSET), formatMark(0), { isSynced: false });
  disk.syncDirectory(metadata);
  disk.syncDirectory(directory);
  writeMetaProperties(disk, directory, { clusterId, nodeId, directoryId }, nowMs);
}

function put(disk: Disk, path: string, content: Buffer, { isSynced }: { readonly isSynced: boolean }): void {
  const temporary = `${path}.tmp`;
  const file = disk.open(temporary, 'replace');
  try {
    file.writeSync([content], 0);
    if (isSynced) file.syncSync();
  } finally {
    file.close();
  }
  disk.rename(temporary, path);
}

/** Makes the directory, whose parent must be there, so that it is there after a crash too. */
export function makeDurably(disk: Disk, directory: string): void {
  if (disk.status(directory) !== undefined) return;
  disk.makeDirectory(directory);
  disk.syncDirectory(parentOf(directory));
}
