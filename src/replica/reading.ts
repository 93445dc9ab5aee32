/**
 * Reads for one fetch: several partitions, in order, under one byte limit, waiting for data when there is too little.
 *
 * Promises: the first partition with data gives at least one whole batch whatever the limits say, so that a consumer always gets on (KIP-74); no
 * read goes beyond what the reader may see (the high watermark; the last stable offset under read_committed); a wait ends once, by bytes,
 * by time, or by a change of the partition. An error of one partition is that partition's answer.
 * Does not know of sessions or of the wire.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { AbortedTransaction, LogRead } from '../../storage/log.ts';
import type { BufferPool } from '../../storage/buffer-pool.ts';
import type { Timers } from '../runtime/runtime.ts';
import type { FetchPartition } from './fetch-sessions.ts';
import type { Partition } from './partition.ts';
import { ParkedFetch } from './waiting.ts';

export interface ReadOptions {
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly readCommitted: boolean;
  /** Largest number of bytes that one fetch is given, whatever it asks (fetch.max.bytes). */
  readonly maxBytesOfBroker: number;
  readonly timers: Timers;
  /** Where buffers for reads of files come from. */
  readonly buffers: BufferPool;
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
  /** Told with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH (KIP-951). */
  readonly currentLeader: { readonly leaderId: number; readonly leaderEpoch: number } | null;
  /** Views of the log: valid while the answer is being sent. */
  readonly records: readonly Buffer[];
  readonly recordsBytes: number;
  /**
   * What counts towards the bytes that the reader waits for: all that it could be given, records that this answer had no room for included, up to the
   * partition's limit; Infinity where there is a newer segment, since a read ends with its segment (Kafka's DelayedFetch counts so).
   */
  readonly availableBytes: number;
  /** To be called once when nobody looks at `records` any more; or never. */
  readonly release: (() => void) | undefined;
}

const NO_RECORDS: readonly Buffer[] = [];

/** Reads at once, and again when a wait has ended. The answers are in the order of `asked`. */
export async function readPartitions(asked: readonly FetchPartition[], options: ReadOptions): Promise<readonly ReadAnswer[]> {
  const first = await readOnce(asked, options);
  if (options.maxWaitMs <= 0 || asked.length === 0 || first.available >= options.minBytes || first.mustAnswer) return first.answers;
  const watched: Partition[] = [];
  for (const one of asked) {
    const found = options.find(one);
    if (typeof found !== 'number') watched.push(found);
  }
  // Something may have been written since it was read: look again before lying down, or a wake-up is lost.
  // What was read is less than was asked for, and is read again.
  release(first.answers);
  if (moved(first.answers, watched, options)) return (await readOnce(asked, options)).answers;
  await new Promise<void>((complete) => {
    new ParkedFetch({ bytesMissing: options.minBytes - first.available, committedOnly: options.readCommitted, watched, maxWaitMs: options.maxWaitMs, timers: options.timers, complete });
  });
  return (await readOnce(asked, options)).answers;
}

/** Gives back what the answers were read into. Their records must not be looked at any more. */
export function release(answers: readonly ReadAnswer[]): void {
  for (const answer of answers) answer.release?.();
}

function moved(answers: readonly ReadAnswer[], watched: readonly Partition[], options: ReadOptions): boolean {
  return answers.some((answer, i) => {
    const partition = watched[i];
    return partition === undefined || visibleEnd(partition, options.readCommitted) !== (options.readCommitted ? answer.lastStableOffset : answer.highWatermark);
  });
}

function visibleEnd(partition: Partition, readCommitted: boolean): number {
  return readCommitted ? partition.log.lastStableOffset : partition.log.highWatermark;
}

interface Round {
  readonly answers: readonly ReadAnswer[];
  /** The `availableBytes` of all answers. */
  readonly available: number;
  /** An error or a divergence: the client must hear of it now. */
  readonly mustAnswer: boolean;
}

async function readOnce(asked: readonly FetchPartition[], options: ReadOptions): Promise<Round> {
  const answers: ReadAnswer[] = [];
  let bytesLeft = Math.min(options.maxBytes, options.maxBytesOfBroker);
  let bytes = 0;
  let available = 0;
  let mustAnswer = false;
  for (const one of asked) {
    const found = options.find(one);
    if (typeof found === 'number') {
      // Kafka answers what it could not look up with an empty list, and what it could not read with none.
      answers.push({ ...failed(one, found, null), abortedTransactions: [] });
      mustAnswer = true;
      continue;
    }
    const answer = readPartition(found, one, bytesLeft, bytes === 0, options);
    const settled = answer instanceof Promise ? await answer : answer;
    if (settled.errorCode !== ErrorCode.NONE || settled.divergingEpoch !== null) mustAnswer = true;
    bytes += settled.recordsBytes;
    available += settled.availableBytes;
    bytesLeft = Math.max(0, bytesLeft - settled.recordsBytes);
    answers.push(settled);
  }
  return { answers, available, mustAnswer };
}

function readPartition(partition: Partition, asked: FetchPartition, bytesLeft: number, needsOne: boolean, options: ReadOptions): ReadAnswer | Promise<ReadAnswer> {
  const refusal = partition.checkLeader(asked.currentLeaderEpoch);
  if (refusal !== ErrorCode.NONE) return failed(asked, refusal, partition);
  const log = partition.log;
  if (log.failed) return failed(asked, ErrorCode.KAFKA_STORAGE_ERROR, null);
  const { fetchOffset } = asked;
  // Taken before a read that may wait: the answer must not tell of a watermark beyond the records it carries.
  const highWatermark = log.highWatermark;
  const lastStableOffset = log.lastStableOffset;
  const logStartOffset = log.logStartOffset;
  const told = { asked, highWatermark, lastStableOffset, logStartOffset, currentLeader: null };
  if (asked.lastFetchedEpoch >= 0) {
    // KIP-595: whoever fetched its last record in another epoch than ours at that place must cut back first.
    const end = log.endOffsetForEpoch(asked.lastFetchedEpoch);
    if (end === null) return failed(asked, ErrorCode.OFFSET_OUT_OF_RANGE, null);
    if (end.epoch < asked.lastFetchedEpoch || end.endOffset < fetchOffset) {
      return { ...told, errorCode: ErrorCode.NONE, divergingEpoch: end, abortedTransactions: null, records: NO_RECORDS, recordsBytes: 0, availableBytes: 0, release: undefined };
    }
  }
  if (fetchOffset < logStartOffset || fetchOffset > log.logEndOffset) return failed(asked, ErrorCode.OFFSET_OUT_OF_RANGE, null);
  const endOffset = options.readCommitted ? lastStableOffset : highWatermark;
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
      records: read === null ? NO_RECORDS : read.buffers,
      recordsBytes: read === null ? 0 : read.bytes,
      availableBytes: availableBytes(read),
      release: read?.release,
    };
  };
  if (fetchOffset >= endOffset || (maxBytes <= 0 && !needsOne)) return answer(null);
  const read = log.read(fetchOffset, { maxBytes, endOffset, minOneBatch: needsOne, buffers: options.buffers });
  return read instanceof Promise ? read.then(answer) : answer(read);
}

function failed(asked: FetchPartition, errorCode: ErrorCode, partition: Partition | null): ReadAnswer {
  const currentLeader = partition === null ? null : { leaderId: partition.state.leader, leaderEpoch: partition.leaderEpoch };
  return {
    asked, errorCode, highWatermark: -1, lastStableOffset: -1, logStartOffset: -1, abortedTransactions: null, divergingEpoch: null,
    currentLeader, records: NO_RECORDS, recordsBytes: 0, availableBytes: 0, release: undefined,
  };
}
