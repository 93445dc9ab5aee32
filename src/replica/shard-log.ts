/**
 * A partition of an internal topic as its coordinator sees it, for one leadership: appended to in order, and read from the start.
 * Ends with the leader epoch: the coordinator is given a new one then.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { ShardLog } from '../coordinator/shard.ts';
import type { Clock } from '../runtime/runtime.ts';
import type { Partition } from './partition.ts';

const READ_BYTES = 1 << 20;

/** `lease`: see BrokerLifecycle.lease. */
export function shardLogOf(partition: Partition, clock: Clock, lease: () => number | null): ShardLog {
  const { log, leaderEpoch } = partition;
  /** While it lasts nobody else can have been made leader since this was known to be. */
  let confirmedIn: number | null = null;
  return {
    partition: partition.partition,
    leaderEpoch,
    get logStartOffset() {
      return log.logStartOffset;
    },
    get logEndOffset() {
      return log.logEndOffset;
    },
    append(batch) {
      if (!partition.isLeader || partition.leaderEpoch !== leaderEpoch) throw new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER);
      if (!partition.hasEnoughReplicas) throw new KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS);
      const { error, baseOffset, lastOffset } = partition.append(batch, 'coordinator', clock.wallMs());
      if (error !== ErrorCode.NONE) throw new KafkaError(error);
      const committed = new Promise<void>((resolve, reject) => {
        partition.whenCommitted(lastOffset + 1, (code) => (isCommitted(code) ? resolve() : reject(new KafkaError(code))));
      });
      return { baseOffset, committed };
    },
    confirmed() {
      const current = lease();
      if (current !== null && current === confirmedIn) return null;
      return new Promise((resolve, reject) => {
        partition.whenStillLeading((code) => {
          if (code !== ErrorCode.NONE) return reject(new KafkaError(code));
          confirmedIn = current;
          resolve();
        });
      });
    },
    async read(from, endOffset) {
      if (log.highWatermark < endOffset) {
        await new Promise<void>((resolve, reject) => {
          partition.whenCommitted(endOffset, (code) => (isCommitted(code) ? resolve() : reject(new KafkaError(code))));
        });
      }
      const read = await log.read(from, { maxBytes: READ_BYTES, endOffset, minOneBatch: true });
      if (read.error !== ErrorCode.NONE) throw new KafkaError(read.error);
      if (read.bytes === 0) return null;
      return read.buffers.length === 1 ? read.buffers[0]! : Buffer.concat(read.buffers);
    },
  };
}

/** That fewer replicas are in sync by now than should be is told to producers; the records are committed all the same, and a shard must not undo them. */
function isCommitted(code: ErrorCode): boolean {
  return code === ErrorCode.NONE || code === ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND;
}
