/**
 * The replicas of a partition on disk, compared byte for byte after a clean stop, and read.
 * Promises: the batches of all replicas are one sequence of bytes from the highest log start on; a difference is told with partition, nodes and offset. What is read is what all
 * replicas hold, since they hold the same; a batch whose checksum is wrong is told.
 * Does not: compare segment boundaries or indexes, which are each node's own affair.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { producerEpoch, producerId } from '../../protocol/record/batch.ts';
import { isIntact, nextBatchBytes, recordsAt } from '../../protocol/record/batches.ts';
import type { LogRecord } from '../crash/history.ts';
import type { PartitionView } from './admin.ts';

/** What is needed of a node: whose files they are. */
export interface FilesOfNode {
  readonly id: number;
  readonly kind: string;
  readonly dataDir: string;
}

interface Replica {
  readonly node: FilesOfNode;
  readonly startOffset: number;
  readonly bytes: Buffer;
}

// baseOffset:8 batchLength:4 leaderEpoch:4 magic:1 crc:4 ... ; batchLength counts what follows it
const LENGTH_AT = 8,
  OVERHEAD = 12;

export interface Compared {
  readonly bytes: number;
  readonly problems: string[];
  /** By partition's name. */
  readonly records: ReadonlyMap<string, readonly LogRecord[]>;
}

export function compareReplicas(nodes: readonly FilesOfNode[], views: readonly PartitionView[]): Compared {
  const problems: string[] = [];
  const records = new Map<string, LogRecord[]>();
  let total = 0;
  for (const { topic, partition, replicas, isr } of views) {
    const name = `${topic}-${partition}`;
    const found = isr.map((id) => replicaOf(nodes.find((node) => node.id === id)!, name)).filter((each) => each !== null);
    if (found.length !== replicas.length) problems.push(`replicas: ${name} should be on ${replicas.join(',')}, and is on ${found.map(({ node }) => node.id).join(',')} (in sync: ${isr.join(',')})`);
    if (found.length === 0) continue;
    const start = Math.max(...found.map(({ startOffset }) => startOffset));
    const [first, ...others] = found.map((each) => ({ ...each, bytes: from(each.bytes, start) }));
    total += first!.bytes.length;
    records.set(name, readRecords(name, first!.bytes, problems));
    for (const other of others) {
      if (first!.bytes.equals(other.bytes)) continue;
      let at = 0;
      while (at < first!.bytes.length && first!.bytes[at] === other.bytes[at]) at++;
      problems.push(
        `replicas: ${name} differs between node ${first!.node.id} (${first!.node.kind}, ${first!.bytes.length} bytes) and node ${other.node.id} (${other.node.kind}, ${other.bytes.length} bytes) at byte ${at}, after offset ${lastOffsetBefore(first!.bytes, at)}`,
      );
    }
  }
  return { bytes: total, problems, records };
}

function readRecords(name: string, bytes: Buffer, problems: string[]): LogRecord[] {
  const records: LogRecord[] = [];
  let at = 0;
  for (let size: number; (size = nextBatchBytes(bytes, at, bytes.length)) > 0; at += size) {
    if (!isIntact(bytes, at)) problems.push(`replicas: ${name} has a batch with a wrong checksum at byte ${at}`);
    else {
      const producer = { id: producerId(bytes, at), epoch: producerEpoch(bytes, at) };
      for (const { offset, value } of recordsAt(bytes, at)) records.push({ offset, value: value?.toString() ?? 'null', producer });
    }
  }
  if (at < bytes.length) problems.push(`replicas: ${name} ends with ${bytes.length - at} bytes that are no batch`);
  return records;
}

/** All segments one after another; null when the node has no such directory. */
function replicaOf(node: FilesOfNode, name: string): Replica | null {
  const dir = join(node.dataDir, name);
  if (!existsSync(dir)) return null;
  const segments = readdirSync(dir).filter((file) => file.endsWith('.log')).sort();
  // The reference allocates segments ahead only on Windows, and ours never: a file ends where its last batch ends.
  return { node, startOffset: Number(segments[0]?.replace('.log', '') ?? 0), bytes: Buffer.concat(segments.map((file) => readFileSync(join(dir, file)))) };
}

/** The batches from `offset` on. */
function from(bytes: Buffer, offset: number): Buffer {
  let at = 0;
  while (at + OVERHEAD <= bytes.length && Number(bytes.readBigInt64BE(at)) < offset) at += OVERHEAD + bytes.readInt32BE(at + LENGTH_AT);
  return bytes.subarray(at);
}

function lastOffsetBefore(bytes: Buffer, end: number): number {
  let last = -1;
  for (let at = 0; at + OVERHEAD <= bytes.length && at <= end; at += OVERHEAD + bytes.readInt32BE(at + LENGTH_AT)) last = Number(bytes.readBigInt64BE(at));
  return last;
}

const METADATA_DIRECTORY = '__cluster_metadata-0';

/** The metadata logs of all nodes, voters and observers, compared where they have the same offsets: batch by batch, as far as both go. */
export function compareMetadata(nodes: readonly FilesOfNode[]): string[] {
  const problems: string[] = [];
  const logs = nodes.map((node) => ({ node, batches: batchesOf(replicaOf(node, METADATA_DIRECTORY)?.bytes ?? Buffer.alloc(0)) }));
  // What only one node has may never have been committed; below the second longest end everything was.
  const [reference, ...others] = logs.sort((a, b) => b.batches.size - a.batches.size);
  for (const { node, batches } of others) {
    let shared = 0;
    for (const [offset, bytes] of batches) {
      const other = reference!.batches.get(offset);
      if (other === undefined) continue;
      shared++;
      if (other.equals(bytes)) continue;
      problems.push(`metadata: node ${reference!.node.id} (${reference!.node.kind}) and node ${node.id} (${node.kind}) differ in the batch at offset ${offset}`);
      break;
    }
    if (batches.size > 0 && shared === 0) problems.push(`metadata: node ${reference!.node.id} and node ${node.id} have no batch in common`);
  }
  return problems;
}

function batchesOf(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + OVERHEAD <= bytes.length;) {
    const end = at + OVERHEAD + bytes.readInt32BE(at + LENGTH_AT);
    if (end > bytes.length || end <= at) break;
    found.set(Number(bytes.readBigInt64BE(at)), bytes.subarray(at, end));
    at = end;
  }
  return found;
}
