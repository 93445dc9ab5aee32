/**
 * DescribeLogDirs: which log directories this broker has, what is free there, and how large each replica in them is. `kafka-log-dirs.sh` asks for it, and
 * `kafka-reassign-partitions.sh` before it moves anything.
 *
 * Promises: a directory that has failed is told with KAFKA_STORAGE_ERROR and without partitions; partitions that are not here are left out. A size is -1 where the disk does not tell it.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import { DescribeLogDirs } from '../../protocol/messages/index.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type { Partition } from '../replica/partition.ts';
import { serve } from './serve.ts';

type Request = Value<typeof DescribeLogDirs.request>;
type Result = NonNullable<Input<typeof DescribeLogDirs.response>['results']>[number];

const UNKNOWN_BYTES = -1;

export const logDirApis = [
  serve(DescribeLogDirs, '1-5', {
    handle(request, { node }) {
      const { disk } = node.runtime;
      const cordoned = node.settings.get('cordoned.log.dirs');
      const isAsked = askedOf(request);
      const results = node.replicas.directories().map(({ path, isOffline, partitions }): Result => {
        if (isOffline) return { errorCode: ErrorCode.KAFKA_STORAGE_ERROR, logDir: path, topics: [] };
        const { totalBytes, usableBytes } = disk.capacity?.(path) ?? { totalBytes: UNKNOWN_BYTES, usableBytes: UNKNOWN_BYTES };
        return { errorCode: ErrorCode.NONE, logDir: path, topics: topicsOf(partitions.filter(isAsked)), totalBytes, usableBytes, isCordoned: cordoned.includes('*') || cordoned.includes(path) };
      });
      return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, results };
    },
    onError: (errorCode) => ({ throttleTimeMs: 0, errorCode, results: [] }),
  }),
];

function askedOf({ topics }: Request): (partition: Partition) => boolean {
  if (topics === null) return () => true;
  const asked = new Map<string, Set<number>>();
  for (const { topic, partitions } of topics) asked.set(topic, new Set([...(asked.get(topic) ?? []), ...partitions]));
  return ({ topic, partition }) => asked.get(topic)?.has(partition) === true;
}

function topicsOf(partitions: readonly Partition[]): Result['topics'] {
  const topics = new Map<string, { partitionIndex: number; partitionSize: number; offsetLag: number; isFutureKey: boolean }[]>();
  for (const { topic, partition: partitionIndex, log } of partitions) {
    let told = topics.get(topic);
    if (told === undefined) topics.set(topic, (told = []));
    // Replicas are not moved between directories of a broker, so none is a future one.
    told.push({ partitionIndex, partitionSize: log.sizeBytes, offsetLag: Math.max(0, log.highWatermark - log.logEndOffset), isFutureKey: false });
  }
  return [...topics].map(([name, found]) => ({ name, partitions: found }));
}
