/**
 * Where the logs of partitions begin, and that what lay before was let go by retention and by nothing else.
 *
 * Promises: the log start of a replica never falls in one life of its node; it rises only to where a leader's has been, or where that log's retention, by the node's
 * own clock, allows it: what was let go is too old, batch by batch, or so much is left as is to be kept. Does not: know DeleteRecords, which is not served.
 */
import type { Partition } from '../../src/replica/partition.ts';
import { deletesByRetention } from '../../storage/log-config.ts';
import type { Committed } from './committed.ts';
import type { SimNode } from './node.ts';

export class LogStarts {
  /** The highest that a leader has had, by the name of the partition. */
  readonly #ofLeaders = new Map<string, number>();
  /** By life of a replica, and by disk. */
  readonly #ofLives = new WeakMap<Partition, number>();
  readonly #ofDisks = new Map<string, number>();

  /** What a consumer may find gone. */
  highestOf(name: string): number {
    return this.#ofLeaders.get(name) ?? 0;
  }

  /** What is wrong with the log start of a replica, or null. `committed` is what is known of the partition. */
  check(node: SimNode, partition: Partition, committed: Committed | undefined): string | null {
    const { logStartOffset: start } = partition.log;
    const name = `${partition.topic}-${partition.partition}`;
    const isTold = start <= this.highestOf(name);
    if (partition.isLeader && !isTold) this.#ofLeaders.set(name, start);
    const before = this.#ofLives.get(partition);
    if (before === start) return null;
    this.#ofLives.set(partition, start);
    const place = `${node.id} ${node.wipes} ${partition.topicId}-${partition.partition}`;
    const known = before ?? this.#ofDisks.get(place) ?? 0;
    this.#ofDisks.set(place, Math.max(start, known));
    if (before !== undefined && start < before) return `the log start of ${name} fell from ${before} to ${start} on node ${node.id}`;
    if (start <= known || isTold) return null;
    const kept = committed === undefined ? null : keptUnduly(node, partition, committed, known);
    return kept === null ? null : `${name} begins at ${start} on node ${node.id}, at ${known} before, and ${kept}`;
  }
}

/** Why retention may not have let go what lies before the log start, or null. */
function keptUnduly(node: SimNode, { log }: Partition, committed: Committed, from: number): string | null {
  const { cleanupPolicy, retentionBytes, retentionMs } = log.config;
  if (!deletesByRetention(cleanupPolicy)) return `its policy is ${cleanupPolicy}`;
  let left = log.segments.sizeBytes;
  let young: number | null = null;
  const nowMs = node.clock.wallMs();
  for (const batch of committed.batches(from, log.logStartOffset)) {
    if (retentionMs >= 0 && nowMs - batch.maxTimestamp > retentionMs) left += batch.sizeBytes;
    else {
      young = batch.lastOffset;
      left = log.segments.sizeBytes;
    }
  }
  if (young === null || (retentionBytes >= 0 && left >= retentionBytes)) return null;
  return `offset ${young} was to be kept: retention.ms is ${retentionMs}, and of retention.bytes, ${retentionBytes}, ${left} are left`;
}
