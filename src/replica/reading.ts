/**
 * Reads for one fetch, of a consumer or of a follower: several partitions, in order, under one byte limit, waiting for data when there is too little.
 *
 * Promises: the first partition with data gives at least one whole batch whatever the limits say, so that a consumer always gets on (KIP-74); no
 * read goes beyond what the reader may see (the high watermark; the last stable offset under read_committed; for a follower what is written here); a wait ends once,
 * by bytes, by time, or by a change of the partition. An error of one partition is that partition's answer.
 * Does not know of sessions or of the wire.
 */
import type { Piece } from '../../protocol/deferred-bytes.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import type { AbortedTransaction, LogRead } from '../../storage/log.ts';
import type { BufferPool } from '../../storage/buffer-pool.ts';
import type { Timers } from '../runtime/runtime.ts';
import type { FetchPartition } from './fetch-sessions.ts';
import type { Partition } from './partition.ts';
import { ParkedFetch } from './waiting.ts';
import type { Sight } from './waiting.ts';

/** A follower that fetches, as far as it is the same for all partitions. */
export interface Reader {
  readonly replicaId: number;
  readonly brokerEpoch: number;
  /** Monotonic ms at which its request came. */
  readonly atMs: number;
  /** Names the connection that it came by. */
  readonly connection: number;
  /** It serves consumers itself: it hears of the high watermark at once, not with the next records. */
  readonly wantsHighWatermark: boolean;
  /** Whether this partition's share of a throttled rate is spent (leader.replication.throttled.rate). */
  isThrottled(partition: Partition): boolean;
}

export interface LeaderHint {
  readonly leaderId: number;
  readonly leaderEpoch: number;
}

export interface ReadOptions {
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly readCommitted: boolean;
  /** Largest number of bytes that one fetch is given, whatever it asks (fetch.max.bytes). */
  readonly maxBytesOfBroker: number;
  /** null for a consumer. */
  readonly follower: Reader | null;
  /** A replica that does not lead will not do. */
  readonly leaderOnly: boolean;
  /** Not a consumer: what is written may be read, committed or not. */
  readonly readsToEnd: boolean;
  /** The replica that this consumer had better read from (KIP-392); -1 for this one. null where there is no choice. */
  readonly preferredReplica: ((partition: Partition, asked: FetchPartition) => number) | null;
  /** Who leads a partition of which this node has no replica. */
  leaderOf(asked: FetchPartition): LeaderHint | null;
  readonly timers: Timers;
  /** Where buffers for reads of files come from. */
  readonly buffers: BufferPool;
  /** Large reads may be answered with slices of files. */
  readonly slices?: boolean;
  /** undefined, or the code to answer, where this node has no such partition. */
  find(asked: FetchPartition): Partition | ErrorCode;
}

export interface ReadAnswer {
  readonly asked: FetchPartition;
  readonly errorCode: ErrorCode;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly abortedTransactions: readonly AbortedTransaction[] | null;
  readonly divergingEpoch: { readonly epoch: number; readonly endOffset: number } | null;
  /** -1 unless the reader is to go there. */
  readonly preferredReplica: number;
  /** Told with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH (KIP-951). */
  readonly currentLeader: LeaderHint | null;
  /** Views of the log, or slices of its files: valid while the answer is being sent. */
  readonly records: readonly Piece[];
  readonly recordsBytes: number;
  /**
   * What counts towards the bytes that the reader waits for: all that it could be given, records that this answer had no room for included, up to the
   * partition's limit; Infinity where there is a newer segment, since a read ends with its segment (Kafka's DelayedFetch counts so).
   */
  readonly availableBytes: number;
  /** Where the log ended for this reader. */
  readonly visibleEnd: number;
  /** To be called once when nobody looks at `records` any more; or never. */
  readonly release: (() => void) | undefined;
}

const NO_RECORDS: readonly Piece[] = [];

/** Reads at once, and again when a wait has ended. The answers are in the order of `asked`. */
export async function readPartitions(asked: readonly FetchPartition[], options: ReadOptions): Promise<readonly ReadAnswer[]> {
  const answers = await readOrWait(asked, options);
  if (options.follower?.wantsHighWatermark === true) {
    for (const answer of answers) {
      const found = options.find(answer.asked);
      if (typeof found !== 'number') found.toldFollower(options.follower.replicaId, answer.highWatermark);
    }
  }
  return answers;
}

async function readOrWait(asked: readonly FetchPartition[], options: ReadOptions): Promise<readonly ReadAnswer[]> {
  const first = await readOnce(asked, options, true);
  if (options.maxWaitMs <= 0 || asked.length === 0 || first.available >= options.minBytes || first.mustAnswer) return first.answers;
  const watched: Partition[] = [];
  for (const one of asked) {
    const found = options.find(one);
    if (typeof found !== 'number' && options.follower?.isThrottled(found) !== true) watched.push(found);
  }
  // Something may have been written since it was read: look again before lying down, or a wake-up is lost.
  // What was read is less than was asked for, and is read again.
  release(first.answers);
  if (moved(first.answers, options)) return (await readOnce(asked, options, false)).answers;
  await new Promise<void>((complete) => {
    const { maxWaitMs, timers, follower } = options;
    new ParkedFetch({ bytesMissing: options.minBytes - first.available, sees: sightOf(options), wantsHighWatermark: follower?.wantsHighWatermark === true, watched, maxWaitMs, timers, complete });
  });
  return (await readOnce(asked, options, false)).answers;
}

function sightOf({ readsToEnd, readCommitted }: ReadOptions): Sight {
  return readsToEnd ? 'written' : readCommitted ? 'stable' : 'committed';
}

/** Gives back what the answers were read into. Their records must not be looked at any more. */
export function release(answers: readonly ReadAnswer[]): void {
  for (const answer of answers) answer.release?.();
}

function moved(answers: readonly ReadAnswer[], options: ReadOptions): boolean {
  return answers.some(({ asked, visibleEnd, highWatermark }) => {
    const partition = options.find(asked);
    if (typeof partition === 'number' || endFor(partition, options) !== visibleEnd) return true;
    const { follower } = options;
    return follower !== null && (partition.awaits(follower.replicaId) || (follower.wantsHighWatermark && partition.log.highWatermark !== highWatermark));
  });
}

/** Where the log ends for this reader. */
function endFor({ log }: Partition, { readsToEnd, readCommitted }: ReadOptions): number {
  if (readsToEnd) return log.writtenEndOffset;
  return readCommitted ? log.lastStableOffset : log.highWatermark;
}

interface Round {
  readonly answers: readonly ReadAnswer[];
  /** The `availableBytes` of all answers. */
  readonly available: number;
  /** An error or a divergence: the client must hear of it now. */
  readonly mustAnswer: boolean;
}

/** `isFirst`: what the follower says of itself by its offsets is taken down; it says nothing new when a wait has ended. */
async function readOnce(asked: readonly FetchPartition[], options: ReadOptions, isFirst: boolean): Promise<Round> {
  const answers: ReadAnswer[] = [];
  let bytesLeft = Math.min(options.maxBytes, options.maxBytesOfBroker);
  let bytes = 0;
  let available = 0;
  let mustAnswer = false;
  for (const one of asked) {
    const found = options.find(one);
    if (typeof found === 'number') {
      // Kafka answers what is in no metadata with an empty list, and what it could not read with none.
      const isUnknown = found === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION || found === ErrorCode.UNKNOWN_TOPIC_ID;
      answers.push({ ...failed(one, found, null), abortedTransactions: isUnknown ? [] : null, currentLeader: tellsLeader.has(found) ? options.leaderOf(one) : null });
      mustAnswer = true;
      continue;
    }
    const answer = readPartition(found, one, bytesLeft, bytes === 0, options, isFirst);
    const settled = answer instanceof Promise ? await answer : answer;
    if (settled.errorCode !== ErrorCode.NONE || settled.divergingEpoch !== null || settled.preferredReplica >= 0) mustAnswer = true;
    const { follower } = options;
    if (follower !== null && found.awaits(follower.replicaId)) mustAnswer = true;
    if (follower?.wantsHighWatermark === true && settled.highWatermark > found.toldHighWatermark(follower.replicaId)) mustAnswer = true;
    bytes += settled.recordsBytes;
    available += settled.availableBytes;
    bytesLeft = Math.max(0, bytesLeft - settled.recordsBytes);
    answers.push(settled);
  }
  return { answers, available, mustAnswer };
}

function readPartition(
  partition: Partition, asked: FetchPartition, bytesLeft: number, needsOne: boolean, options: ReadOptions, isFirst: boolean,
): ReadAnswer | Promise<ReadAnswer> {
  const { follower } = options;
  const fetch = follower === null ? null : {
    replicaId: follower.replicaId, brokerEpoch: follower.brokerEpoch, atMs: follower.atMs, connection: follower.connection,
    fetchOffset: asked.fetchOffset, logStartOffset: asked.logStartOffset, currentLeaderEpoch: asked.currentLeaderEpoch,
  };
  let refusal = options.leaderOnly ? partition.checkLeader(asked.currentLeaderEpoch) : partition.checkEpoch(asked.currentLeaderEpoch);
  if (refusal === ErrorCode.NONE && fetch !== null) refusal = partition.checkFollower(fetch);
  if (refusal !== ErrorCode.NONE) return failed(asked, refusal, partition);
  const log = partition.log;
  if (log.failed) return failed(asked, ErrorCode.KAFKA_STORAGE_ERROR, null);
  const { fetchOffset } = asked;
  const diverging = divergence(partition, asked);
  if (typeof diverging === 'number') return failed(asked, diverging, null);
  if (fetch !== null && diverging === null && isFirst) partition.followerFetched(fetch);
  // Taken before a read that may wait: the answer must not tell of a watermark beyond the records it carries.
  const highWatermark = log.highWatermark;
  const lastStableOffset = log.lastStableOffset;
  const logStartOffset = log.logStartOffset;
  const endOffset = endFor(partition, options);
  const told = { asked, highWatermark, lastStableOffset, logStartOffset, currentLeader: null, preferredReplica: -1, visibleEnd: endOffset };
  const withoutRecords = { ...told, errorCode: ErrorCode.NONE, divergingEpoch: diverging, abortedTransactions: null, records: NO_RECORDS, recordsBytes: 0, availableBytes: 0, release: undefined };
  if (diverging !== null) return withoutRecords;
  const preferredReplica = options.preferredReplica?.(partition, asked) ?? -1;
  if (preferredReplica >= 0) return { ...withoutRecords, preferredReplica };
  if (follower?.isThrottled(partition) === true) return withoutRecords;
  const maxBytes = Math.min(asked.partitionMaxBytes, bytesLeft);
  const availableBytes = (read: LogRead | null): number => {
    if (fetchOffset >= endOffset) return 0;
    if (read !== null && read.nextOffset >= endOffset) return read.bytes;
    return fetchOffset < log.segments.active.baseOffset ? Infinity : Math.max(asked.partitionMaxBytes, 0);
  };
  const answer = (read: LogRead | null): ReadAnswer => {
    if (read !== null && read.error !== ErrorCode.NONE) return failed(asked, read.error, null);
    return {
      ...told,
      errorCode: ErrorCode.NONE,
      divergingEpoch: null,
      abortedTransactions: options.readCommitted ? (read === null || read.bytes === 0 ? [] : log.abortedTransactions(fetchOffset, read.nextOffset)) : null,
      records: read === null ? NO_RECORDS : read.slice !== undefined ? [read.slice] : read.buffers,
      recordsBytes: read === null ? 0 : read.bytes,
      availableBytes: availableBytes(read),
      release: read?.release,
    };
  };
  // Kafka would read less than nothing, and has no code for it.
  if (maxBytes < 0 && fetchOffset < endOffset) return failed(asked, ErrorCode.UNKNOWN_SERVER_ERROR, null);
  if (fetchOffset >= endOffset || (maxBytes <= 0 && !needsOne)) return answer(null);
  const read = log.read(fetchOffset, { maxBytes, endOffset, minOneBatch: needsOne, buffers: options.buffers, slices: options.slices === true });
  return read instanceof Promise ? read.then(answer) : answer(read);
}

/**
 * Where the reader's log and this one part (KIP-595): whoever fetched its last record in another epoch than ours at that place must cut back first. null when
 * they do not, a code when the offset is not in this log.
 */
function divergence({ log }: Partition, { fetchOffset, lastFetchedEpoch }: FetchPartition): { epoch: number; endOffset: number } | null | ErrorCode {
  if (lastFetchedEpoch >= 0) {
    const end = log.endOffsetForEpoch(lastFetchedEpoch);
    if (end === null || fetchOffset < log.logStartOffset) return ErrorCode.OFFSET_OUT_OF_RANGE;
    if (end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset) return end;
  }
  return fetchOffset < log.logStartOffset || fetchOffset > log.logEndOffset ? ErrorCode.OFFSET_OUT_OF_RANGE : null;
}

/** With these, and no others, the reader is told who leads. */
const tellsLeader: ReadonlySet<ErrorCode> = new Set([ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH]);

function failed(asked: FetchPartition, errorCode: ErrorCode, partition: Partition | null): ReadAnswer {
  const currentLeader: LeaderHint | null = partition === null || !tellsLeader.has(errorCode) ? null : { leaderId: partition.state.leader, leaderEpoch: partition.leaderEpoch };
  return {
    asked, errorCode, highWatermark: -1, lastStableOffset: -1, logStartOffset: -1, abortedTransactions: null, divergingEpoch: null,
    currentLeader, preferredReplica: -1, records: NO_RECORDS, recordsBytes: 0, availableBytes: 0, visibleEnd: -1, release: undefined,
  };
}
