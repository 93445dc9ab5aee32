/**
 * Damage at rest: what bad disks, careless hands and restored backups do to the files of one node.
 *
 * Promises: a file of the class asked for is changed where it lies, for the process that uses it and for every start after it. Text files without a checksum are not
 * given another number of the same look: nobody could know it. Does not: decide whether the node may lose what it loses, or touch quorum-state: an older one, and one that is gone,
 * are a vote forgotten, and nothing tells.
 *
 *   flip       one bit          zeros      a sector of 512 bytes     cut     the file ends earlier, anywhere
 *   delete     it is gone       old        as it was a while ago     swap    with another of its kind
 */
import { nextBatchBytes } from '../../protocol/record/batches.ts';
import type { Seeded } from '../storage/seeded.ts';
import type { SimDisk } from './disk.ts';
import { DATA } from './node.ts';

export const DAMAGES = ['flip', 'zeros', 'cut', 'delete', 'old', 'swap'] as const;
export type Damage = (typeof DAMAGES)[number];

const METADATA = `${DATA}/__cluster_metadata-0/`;
const SECTOR_BYTES = 512;
const BASE_OFFSET_BYTES = 8;
const LEADER_EPOCH_AT = 12;
const LEADER_EPOCH_BYTES = 4;

/** Files of partitions, and of the directory. */
const DATA_FILES: readonly RegExp[] = [
  /\.log$/, /\.log$/, /\.log$/, /\.index$/, /\.timeindex$/, /\.snapshot$/, /leader-epoch-checkpoint$/, /partition\.metadata$/, /\/replication-offset-checkpoint$/, /\/recovery-point-offset-checkpoint$/,
  /\/log-start-offset-checkpoint$/, /\.kafka_cleanshutdown$/,
];
/** What the node needs to know what it has voted for and what is committed. */
const METADATA_FILES: readonly RegExp[] = [/\.log$/, /\.log$/, /\.checkpoint$/, /committed-offset$/, /leader-epoch-checkpoint$/, /meta\.properties$/];

/** What was done, in words; null when there was nothing to damage. */
export function damage(disk: SimDisk, random: Seeded, { ofMetadata }: { readonly ofMetadata: boolean }): string | null {
  const kind = random.pick(ofMetadata ? METADATA_FILES : DATA_FILES);
  const paths = filesOf(disk, DATA).filter((path) => kind.test(path) && isOfMetadata(path) === ofMetadata);
  if (paths.length === 0) return null;
  const path = random.pick(paths);
  const how = random.pick(DAMAGES);
  // A segment that is gone or another's looks like a hole, and holes are what compaction leaves: no reader can tell.
  if (!ofMetadata && path.endsWith('.log') && (how === 'delete' || how === 'swap')) return null;
  const bytes = disk.peek(path)!;
  const isText = !/\.(log|index|timeindex|snapshot|checkpoint)$/.test(path);
  switch (how) {
    case 'flip': {
      if (bytes.length === 0) return null;
      const at = random.below(bytes.length);
      if (isText && isDigit(bytes[at]!)) return null;
      if (!ofMetadata && path.endsWith('.log') && !isTold(bytes, at)) return null;
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << random.below(8);
      disk.overwrite(path, flipped);
      break;
    }
    case 'zeros': {
      if (bytes.length === 0) return null;
      const at = random.below(Math.ceil(bytes.length / SECTOR_BYTES)) * SECTOR_BYTES;
      disk.overwrite(path, Buffer.from(bytes).fill(0, at, Math.min(bytes.length, at + SECTOR_BYTES)));
      break;
    }
    case 'cut':
      if (bytes.length === 0) return null;
      disk.overwrite(path, bytes.subarray(0, random.below(bytes.length)));
      break;
    case 'delete':
      disk.take(path);
      break;
    case 'old': {
      const before = disk.before(path);
      // Of files that only grow, an old one is a shorter one.
      if (before === null && !path.endsWith('.log')) return null;
      disk.overwrite(path, before ?? bytes.subarray(0, random.below(bytes.length + 1)));
      break;
    }
    case 'swap': {
      const other = random.pick(paths);
      const others = disk.peek(other)!;
      if (other === path || others.equals(bytes)) return null;
      disk.overwrite(path, others);
      disk.overwrite(other, bytes);
      return `${how} ${path} and ${other}`;
    }
  }
  return `${how} ${path}`;
}

function isOfMetadata(path: string): boolean {
  return path.startsWith(METADATA) || path === `${DATA}/meta.properties`;
}

/**
 * Whether anything in a batch tells that this byte has changed. Nothing does of its base offset and its leader epoch, which a leader writes into it after the
 * checksum was made (Kafka's format): records are read under other offsets then.
 */
function isTold(log: Buffer, at: number): boolean {
  for (let from = 0; ; ) {
    const bytes = nextBatchBytes(log, from, log.length);
    if (bytes <= 0) return true;
    if (at < from + bytes) return !(at - from < BASE_OFFSET_BYTES || (at - from >= LEADER_EPOCH_AT && at - from < LEADER_EPOCH_AT + LEADER_EPOCH_BYTES));
    from += bytes;
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function filesOf(disk: SimDisk, directory: string): string[] {
  return disk.peekList(directory).flatMap((name) => {
    const path = `${directory}/${name}`;
    return disk.peekSize(path) === null ? filesOf(disk, path) : [path];
  });
}
