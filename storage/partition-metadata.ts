/**
 * `partition.metadata`: the id of the topic that a partition's directory belongs to, by which a topic that was deleted and made again under the same
 * name is told apart.
 *
 *     version: 0
 *     topic_id: TziIL9W9SW2CPHav37dTwg          and no line end
 *
 * Promises: Kafka's bytes. Does not: compare the id with anything.
 */
import { ZERO_UUID } from '../protocol/text.ts';
import { corrupt, joinPath, loadFile, replaceFileSync } from './files.ts';
import type { Loaded } from './files.ts';
import type { Disk } from './disk.ts';
import { isUuid } from './meta-properties.ts';

export const PARTITION_METADATA = 'partition.metadata';

/** The topic id in the partition's directory. */
export function loadPartitionMetadata(disk: Disk, directory: string): Loaded<string> {
  return loadFile(disk, joinPath(directory, PARTITION_METADATA), parsePartitionMetadata);
}

export function writePartitionMetadata(disk: Disk, directory: string, topicId: string): void {
  replaceFileSync(disk, joinPath(directory, PARTITION_METADATA), formatPartitionMetadata(topicId));
}

export function formatPartitionMetadata(topicId: string): Buffer {
  return Buffer.from(`version: 0\ntopic_id: ${topicId}`);
}

export function parsePartitionMetadata(bytes: Buffer): Loaded<string> {
  const match = /^version:\s+(\S+)\r?\ntopic_id:\s+(\S+)\s*$/.exec(bytes.toString('latin1'));
  if (match === null) return corrupt('not the two lines version and topic_id');
  if (match[1] !== '0') return corrupt(`version ${JSON.stringify(match[1])}`);
  const topicId = match[2]!;
  // All zeros is what Kafka means by "no id".
  if (!isUuid(topicId) || topicId === ZERO_UUID) return corrupt(`topic_id ${JSON.stringify(topicId)}`);
  return { status: 'ok', value: topicId };
}
