/**
 * Names of topics and of the directories of their partitions.
 *
 *     topic-0                                                in use
 *     topic-0.42ea49d5b0e64bed9421f19384852944-delete        renamed, being removed
 *     topic-0.42ea49d5b0e64bed9421f19384852944-stray         found at start without being in the metadata
 *     topic-0.42ea49d5b0e64bed9421f19384852944-future        being copied from another log directory
 *
 * Promises: a topic name that `isTopicName` passes is safe as a part of a path; every name made here fits the 255 bytes that file systems allow.
 * Does not: touch the disk, nor say whether two names collide in metrics (`.` and `_`).
 */

/** Topic names have ASCII letters, digits, '.', '_' and '-', at most this many: with '-', a partition number and little more 255 are full. */
export const TOPIC_NAME_CHARACTERS_MAX = 249;
const FILE_NAME_CHARACTERS_MAX = 255;
const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/;

export type DirectoryState = 'delete' | 'stray' | 'future';

export interface PartitionName {
  readonly topic: string;
  readonly partition: number;
}

export interface PartitionDirectoryName extends PartitionName {
  /** undefined for a directory in use. Of a name that was cut to fit, `topic` is what is left of it. */
  readonly state: DirectoryState | undefined;
}

export function isTopicName(name: string): boolean {
  return TOPIC_NAME.test(name) && name !== '.' && name !== '..';
}

export function partitionName(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}

/** undefined for what is not a topic, '-' and a partition number as it is printed (no sign, no leading zero). */
export function parsePartitionName(name: string): PartitionName | undefined {
  const dash = name.lastIndexOf('-');
  const topic = name.slice(0, Math.max(dash, 0));
  const digits = name.slice(dash + 1);
  if (!isTopicName(topic) || !/^(0|[1-9]\d{0,9})$/.test(digits)) return undefined;
  const partition = Number(digits);
  return partition <= 0x7fffffff ? { topic, partition } : undefined;
}

/**
 * The name that takes a partition's directory out of use. `uuid` is in Kafka's text; on disk it is written as 32 hexadecimal digits. The topic is cut
 * where the name would be too long; nobody parses it back then but to remove it. A future directory becomes the real one and keeps its name whole.
 */
export function stateDirectoryName(topic: string, partition: number, uuid: string, state: DirectoryState): string {
  const suffix = `-${partition}.${Buffer.from(uuid, 'base64url').toString('hex')}-${state}`;
  const room = state === 'future' ? topic.length : FILE_NAME_CHARACTERS_MAX - suffix.length;
  return topic.slice(0, room) + suffix;
}

/** What a directory in a log directory is; undefined for what is no partition. */
export function parseDirectoryName(name: string): PartitionDirectoryName | undefined {
  const match = /^(.+)\.([0-9a-f]{32})-(delete|stray|future)$/.exec(name);
  const partition = parsePartitionName(match === null ? name : match[1]!);
  if (partition === undefined) return undefined;
  return { ...partition, state: match === null ? undefined : (match[3] as DirectoryState) };
}
