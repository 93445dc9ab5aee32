/**
 * ListOffsets: offsets by time, and the special places of a log.
 *
 * Promises: an offset that is told is one that the asker may read (below the high watermark, or the last stable offset under read_committed).
 * A special timestamp that this version of the request cannot know is answered UNSUPPORTED_VERSION, as Kafka does.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { ListOffsets } from '../../protocol/messages/fetch.ts';
import type { FoundOffset } from '../../storage/log.ts';
import type { Partition } from '../replica/partition.ts';
import { readsCommitted } from './isolation-level.ts';
import { serve } from './serve.ts';
import type { RequestContext } from './serve.ts';

type Request = Value<typeof ListOffsets.request>;
type Response = Input<typeof ListOffsets.response>;
type TopicResponse = NonNullable<Response['topics']>[number];
type PartitionResponse = NonNullable<TopicResponse['partitions']>[number];

const LATEST = -1;
const EARLIEST = -2;
/** KIP-734: the record with the largest timestamp. */
const MAX_TIMESTAMP = -3;
/** KIP-405: the first offset on local disk. */
const EARLIEST_LOCAL = -4;
/** KIP-1005: the last offset in remote storage. */
const LATEST_TIERED = -5;
/** KIP-1023: the first offset not yet in remote storage. */
const EARLIEST_PENDING_UPLOAD = -6;

/** The first version of the request that knows each special timestamp. */
const sinceVersion = new Map([[MAX_TIMESTAMP, 7], [EARLIEST_LOCAL, 8], [LATEST_TIERED, 9], [EARLIEST_PENDING_UPLOAD, 11]]);

const LEADER_EPOCHS_SINCE = 4; // KIP-320
const OFFSET_NOT_AVAILABLE_SINCE = 5; // KIP-207
const CONSUMER = -1;
/** Asks any replica, for whoever looks into a cluster. */
const DEBUGGING = -2;

export const listOffsetsApis = [
  serve(ListOffsets, '1-11', {
    handle,
    onError: (code, request) => ({
      throttleTimeMs: 0,
      topics: request.topics.map((topic) => ({ name: topic.name, partitions: topic.partitions.map((one) => refused(one.partitionIndex, code)) })),
    }),
  }),
];

async function handle(request: Request, context: RequestContext): Promise<Response> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const topic of request.topics) {
    for (const { partitionIndex } of topic.partitions) {
      const key = `${topic.name}:${partitionIndex}`;
      if (seen.has(key)) twice.add(key);
      seen.add(key);
    }
  }
  const topics: TopicResponse[] = [];
  for (const topic of request.topics) {
    const partitions: PartitionResponse[] = [];
    for (const asked of topic.partitions) {
      const key = `${topic.name}:${asked.partitionIndex}`;
      // What is named twice is answered once.
      if (twice.has(key)) {
        if (seen.delete(key)) partitions.push(refused(asked.partitionIndex, ErrorCode.INVALID_REQUEST));
      } else partitions.push(await look(topic.name, asked, request, context));
    }
    topics.push({ name: topic.name, partitions });
  }
  return { throttleTimeMs: 0, topics };
}

async function look(topic: string, asked: Request['topics'][number]['partitions'][number], request: Request, { node, apiVersion }: RequestContext): Promise<PartitionResponse> {
  const { partitionIndex, timestamp } = asked;
  if ((sinceVersion.get(timestamp) ?? 0) > apiVersion || timestamp < EARLIEST_PENDING_UPLOAD) return refused(partitionIndex, ErrorCode.UNSUPPORTED_VERSION);
  const partition = node.replicas.find(topic, partitionIndex);
  if (typeof partition === 'number') return refused(partitionIndex, partition);
  const refusal = request.replicaId === DEBUGGING ? partition.checkEpoch(asked.currentLeaderEpoch) : partition.checkLeader(asked.currentLeaderEpoch);
  if (refusal !== ErrorCode.NONE) return refused(partitionIndex, refusal);
  if (partition.log.failed) return refused(partitionIndex, ErrorCode.KAFKA_STORAGE_ERROR);
  const end = visibleEnd(partition, request);
  // A new leader does not know yet how far its predecessor had committed: what it could tell might be less than a consumer has seen (KIP-207).
  const isSettled = partition.unsettledSince === null || end >= partition.unsettledSince;
  const notAvailable = (): PartitionResponse => refused(partitionIndex, apiVersion >= OFFSET_NOT_AVAILABLE_SINCE ? ErrorCode.OFFSET_NOT_AVAILABLE : ErrorCode.LEADER_NOT_AVAILABLE);
  if (timestamp === LATEST && !isSettled) return notAvailable();
  const found = await locate(partition, timestamp, end);
  if (found === BEYOND_END && !isSettled) return notAvailable();
  return { partitionIndex, errorCode: ErrorCode.NONE, timestamp: found.timestamp, offset: found.offset, ...(apiVersion >= LEADER_EPOCHS_SINCE && { leaderEpoch: found.leaderEpoch }) };
}

/** Where the asker's view of the log ends. */
function visibleEnd({ log }: Partition, request: Request): number {
  if (request.replicaId !== CONSUMER) return log.writtenEndOffset;
  return readsCommitted(request.isolationLevel) ? log.lastStableOffset : log.highWatermark;
}

interface Found {
  readonly timestamp: number;
  readonly offset: number;
  readonly leaderEpoch: number;
}

const NOTHING: Found = { timestamp: -1, offset: -1, leaderEpoch: -1 };
/** There is such a record, or may be, and the asker cannot see it yet. */
const BEYOND_END: Found = { ...NOTHING };

async function locate(partition: Partition, timestamp: number, end: number): Promise<Found> {
  const { log } = partition;
  switch (timestamp) {
    case LATEST:
      return { timestamp: -1, offset: end, leaderEpoch: partition.leaderEpoch };
    case EARLIEST:
    case EARLIEST_LOCAL:
      return { timestamp: -1, offset: log.logStartOffset, leaderEpoch: epochAt(partition, log.logStartOffset) };
    case LATEST_TIERED:
    case EARLIEST_PENDING_UPLOAD:
      // Nothing is in remote storage, and nothing waits to go there.
      return NOTHING;
    case MAX_TIMESTAMP: {
      const found = await log.maxTimestampOffset();
      return foundBefore(end, found);
    }
    default: {
      const found = await log.offsetForTimestamp(timestamp);
      return foundBefore(end, found);
    }
  }
}

function foundBefore(end: number, found: FoundOffset | undefined): Found {
  if (found === undefined || found.offset >= end) return BEYOND_END;
  return { timestamp: found.timestampMs, offset: found.offset, leaderEpoch: found.leaderEpoch };
}

function epochAt({ log }: Partition, offset: number): number {
  return log.epochs.epochForOffset(offset) ?? -1;
}

function refused(partitionIndex: number, errorCode: ErrorCode): PartitionResponse {
  return { partitionIndex, errorCode, timestamp: -1, offset: -1 };
}
