/**
 * Snapshots of the metadata in the directory of the metadata log: `OFFSET-EPOCH.checkpoint` holds everything below OFFSET, which was written up to EPOCH.
 *
 * Promises: a snapshot appears under its name only when it is whole and durable (written as `.checkpoint.part`, as Kafka does); reading one checks that it
 * begins and ends as a snapshot must. Does not decide when to take one or which to drop (`metadata-log.ts`).
 *
 *   control batch   SnapshotHeader [KRaftVersion, Voters]       the last two in a quorum of dynamic voters
 *   data batches    the records of `snapshot-records.ts`
 *   control batch   SnapshotFooter
 */
import type { MetadataRecord } from '../../protocol/log-records/metadata.ts';
import { type Disk, DiskError } from '../../storage/disk.ts';
import { joinPath } from '../../storage/files.ts';
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { type ControlRecord, controlBatch, dataBatches, type NewControlRecord, readBatches } from './batches.ts';

export interface SnapshotId {
  /** End offset: the first that is not in it. */
  readonly offset: number;
  readonly epoch: number;
}

export interface SnapshotFile extends SnapshotId {
  readonly name: string;
  readonly sizeBytes: number;
}

/** The quorum's own state, which lies in control records beside the metadata. */
export interface VoterRecords {
  readonly kraftVersion: number;
  /** null in a static quorum. */
  readonly voters: (ControlRecord & { type: 'voters' })['value'] | null;
}

export interface SnapshotContent extends VoterRecords {
  /** Append time of the last record in it, 0 for one that was made by hand. */
  readonly lastContainedLogTimestampMs: number;
  readonly records: readonly MetadataRecord[];
}

const NAME = /^(\d{20})-(\d{10})\.checkpoint$/;
/** Of one that is not whole yet. */
export const PART_SUFFIX = '.part';

export function snapshotName({ offset, epoch }: SnapshotId): string {
  return `${String(offset).padStart(20, '0')}-${String(epoch).padStart(10, '0')}.checkpoint`;
}

/** Oldest first. */
export function listSnapshots(disk: Disk, directory: string): SnapshotFile[] {
  const snapshots: SnapshotFile[] = [];
  for (const name of disk.list(directory)) {
    const match = NAME.exec(name);
    if (match === null) continue;
    const sizeBytes = disk.status(joinPath(directory, name))?.sizeBytes ?? 0;
    snapshots.push({ name, sizeBytes, offset: Number(match[1]), epoch: Number(match[2]) });
  }
  return snapshots.sort((left, right) => left.offset - right.offset || left.epoch - right.epoch);
}

/** What an earlier life of this node did not finish. */
export function removePartialSnapshots(disk: Disk, directory: string): void {
  for (const name of disk.list(directory)) {
    if (name.endsWith(`.checkpoint${PART_SUFFIX}`)) disk.unlink(joinPath(directory, name));
  }
}

export function encodeSnapshot(
  values: readonly Buffer[],
  { epoch, nowMs, lastContainedLogTimestampMs, kraftVersion, voters }: Omit<SnapshotContent, 'records'> & { readonly epoch: number; readonly nowMs: number },
): Buffer[] {
  const header: NewControlRecord[] = [
    { type: 'snapshotHeader', value: { version: 0, lastContainedLogTimestamp: lastContainedLogTimestampMs } },
  ];
  if (kraftVersion > 0) {
    header.push({ type: 'kraftVersion', value: { version: 0, kRaftVersion: kraftVersion } });
    if (voters !== null) header.push({ type: 'voters', value: voters });
  }
  // Offsets inside count from 0 and mean nothing.
  let baseOffset = 0;
  const head = controlBatch(header, { baseOffset, epoch, nowMs });
  baseOffset += header.length;
  const body = dataBatches(values, { baseOffset, epoch, nowMs });
  baseOffset += values.length;
  const foot = controlBatch([{ type: 'snapshotFooter', value: { version: 0 } }], { baseOffset, epoch, nowMs });
  return [head, ...body, foot];
}

/** Throws a RangeError or a KafkaError when the bytes are not a whole snapshot. */
export function decodeSnapshot(bytes: Buffer): SnapshotContent {
  const records: MetadataRecord[] = [];
  const control: ControlRecord[] = [];
  for (const batch of readBatches(bytes)) {
    for (const record of batch.records) records.push(record);
    control.push(...batch.controlRecords);
  }
  const header = control[0];
  if (header?.type !== 'snapshotHeader') throw notWhole('it does not begin with a header');
  if (control.at(-1)?.type !== 'snapshotFooter') throw notWhole('it does not end with a footer');
  const version = control.find((record) => record.type === 'kraftVersion');
  const voters = control.find((record) => record.type === 'voters');
  return {
    lastContainedLogTimestampMs: header.value.lastContainedLogTimestamp,
    kraftVersion: version?.value.kRaftVersion ?? 0,
    voters: voters?.value ?? null,
    records,
  };
}

export function readSnapshot(disk: Disk, directory: string, id: SnapshotId): SnapshotContent {
  return decodeSnapshot(disk.readFile(joinPath(directory, snapshotName(id))));
}

/** Writes the file and makes it durable under its name. Rejects with a DiskError, and leaves at most a `.part` behind. */
export async function writeSnapshot(disk: Disk, directory: string, id: SnapshotId, content: readonly Buffer[]): Promise<void> {
  const path = joinPath(directory, snapshotName(id));
  const part = `${path}${PART_SUFFIX}`;
  const file = disk.open(part, 'replace');
  try {
    await file.write(content, 0);
    await file.sync();
  } catch (error) {
    file.close();
    try {
      disk.unlink(part);
    } catch (second) {
      if (!(second instanceof DiskError)) throw second;
    }
    throw error;
  }
  file.close();
  disk.rename(part, path);
  disk.syncDirectory(directory);
}

function notWhole(detail: string): KafkaError {
  return new KafkaError(ErrorCode.CORRUPT_MESSAGE, `the snapshot is damaged: ${detail}`);
}
