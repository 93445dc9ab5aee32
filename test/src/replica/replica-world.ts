/** A partition over a log on a disk in memory, with time in the hands of the test, and fetches whose course is told as lines. */
import { ErrorCode } from '../../../protocol/errors.ts';
import { recordsAt } from '../../../protocol/record/batches.ts';
import { sizeInBytes } from '../../../protocol/record/batch.ts';
import { DEFAULT_PRODUCE_RULES } from '../../../protocol/record/validate.ts';
import { DiskError } from '../../../storage/disk.ts';
import type { DiskFile } from '../../../storage/disk.ts';
import type { Log } from '../../../storage/log.ts';
import { BufferPool } from '../../../storage/buffer-pool.ts';
import type { FetchPartition } from '../../../src/replica/fetch-sessions.ts';
import { Partition } from '../../../src/replica/partition.ts';
import type { PartitionNode, PartitionSettings, PartitionState } from '../../../src/replica/partition.ts';
import type { Proposal } from '../../../src/replica/in-sync.ts';
import { readPartitions } from '../../../src/replica/reading.ts';
import type { ReadAnswer, ReadOptions } from '../../../src/replica/reading.ts';
import { Turn } from '../../../src/runtime/turn.ts';
import { FakeTime, settle } from '../server/fake-world.ts';
import { openLog, sizedBatch, testBatch } from '../../storage/log-fixture.ts';
import type { OpenOptions, TestBatch } from '../../storage/log-fixture.ts';

export const NODE = 1;
export const LAG_MS_MAX = 30_000;
export const SETTINGS: PartitionSettings = { produceRules: DEFAULT_PRODUCE_RULES, minInsyncReplicas: 1, leaderThrottledReplicas: [], followerThrottledReplicas: [] };
export const ALONE: PartitionState = { leader: NODE, leaderEpoch: 5, partitionEpoch: 0, replicas: [NODE], isr: [NODE] };

export class ReplicaWorld {
  readonly time = new FakeTime();
  readonly turn = new Turn(this.time);
  /** What happened, in order. */
  readonly told: string[] = [];
  /** Epochs of the brokers that are in service. */
  readonly brokers = new Map<number, number>([[1, 101], [2, 102], [3, 103]]);
  /** What the partitions have asked the controller for. */
  readonly proposals: { readonly partition: Partition; readonly proposal: Proposal }[] = [];
  readonly node: PartitionNode = {
    nodeId: NODE,
    nowMs: () => this.time.monotonicMs(),
    wallMs: () => this.time.wallMs(),
    lagMsMax: () => LAG_MS_MAX,
    aliveEpoch: (id) => this.brokers.get(id),
    mayJoin: (id) => this.brokers.has(id),
    propose: (partition, proposal) => void this.proposals.push({ partition, proposal }),
    roleChanged: () => {},
  };

  partition(options: OpenOptions & { name?: string; state?: PartitionState } = {}): Partition {
    const { name = 't', state = ALONE, ...rest } = options;
    const { log } = openLog({ directory: `/data/${name}-0`, topic: name, ...rest });
    return new Partition({ topic: name, topicId: '', partition: 0, log, node: this.node, turn: this.turn, state, settings: SETTINGS });
  }

  /** Appends a batch of this many bytes; `name acks: code` is told for each that waits. Returns the end offset. */
  produce(partition: Partition, name: string, batch: number | TestBatch = {}): number {
    const appended = partition.append(typeof batch === 'number' ? sizedBatch(batch) : testBatch(batch), 'client', this.time.wallMs());
    if (appended.error !== ErrorCode.NONE) {
      this.told.push(`${name} refused: ${appended.error}`);
      return -1;
    }
    const end = appended.lastOffset + 1;
    partition.whenWritten(end, (code) => void this.told.push(`${name} acks=1: ${code}`));
    partition.whenCommitted(end, (code) => void this.told.push(`${name} acks=all: ${code}`));
    return end;
  }

  /** `name: ...` is told when it is answered, with the time and what it holds of each partition. */
  fetch(name: string, asked: readonly (Partition | ErrorCode | { of: Partition; from?: number; maxBytes?: number; epoch?: number })[], options: Partial<ReadOptions> = {}): { found: (Partition | ErrorCode)[] } {
    const wants = asked.map((one) => (typeof one === 'number' || one instanceof Partition ? { of: one } : one)) as { of: Partition | ErrorCode; from?: number; maxBytes?: number; epoch?: number }[];
    const found = wants.map(({ of }) => of);
    const partitions = wants.map(
      ({ from = 0, maxBytes = 1_000_000, epoch = -1 }, partition): FetchPartition => ({
        topic: 't', topicId: '', partition, fetchOffset: from, partitionMaxBytes: maxBytes, currentLeaderEpoch: epoch, lastFetchedEpoch: -1, logStartOffset: -1,
      }),
    );
    void readPartitions(partitions, {
      maxWaitMs: 500, minBytes: 1, maxBytes: 1_000_000, readCommitted: false, maxBytesOfBroker: 1_000_000, timers: this.time,
      follower: null, leaderOnly: true, readsToEnd: false, preferredReplica: null, leaderOf: () => null,
      buffers: new BufferPool({ idleBytesMax: 1 << 24, poison: true }), find: (one) => found[one.partition]!, ...options,
    }).then((answers) => this.told.push(`${this.time.monotonicMs()} ms ${name}: ${answers.map(describeAnswer).join(' | ')}`));
    return { found };
  }

  /** Ends this turn and what follows from it, and gives what was told since the last time. */
  async turnEnds(): Promise<string[]> {
    for (let i = 0; i < 4; i++) await this.time.turn();
    return this.told.splice(0);
  }

  async after(ms: number): Promise<string[]> {
    await this.time.advance(ms);
    return this.turnEnds();
  }

  now(): string[] {
    return this.told.splice(0);
  }
}

/** `offsets (high watermark)`, or the error. */
function describeAnswer(answer: ReadAnswer): string {
  if (answer.errorCode !== ErrorCode.NONE) return `error ${answer.errorCode}${answer.currentLeader === null ? '' : ` leader ${answer.currentLeader.leaderId} epoch ${answer.currentLeader.leaderEpoch}`}`;
  const offsets: number[] = [];
  for (const buffer of answer.records as readonly Buffer[]) for (let at = 0; at < buffer.length; at += sizeInBytes(buffer, at)) offsets.push(...recordsAt(buffer, at).map((record) => record.offset));
  const aborted = answer.abortedTransactions?.map(({ producerId, firstOffset }) => ` aborted ${producerId}@${firstOffset}`).join('') ?? '';
  return `[${offsets.join(' ')}] hw ${answer.highWatermark}${aborted}`;
}

/** Holds up the log's writes until `go`, or makes them fail. */
export function holdWrites(log: Log): { go(code?: string): Promise<void> } {
  const file = log.segments.active.file();
  const held: { run: () => void; fail: (error: Error) => void }[] = [];
  const { write } = file;
  file.write = (buffers, position) =>
    new Promise((resolve, reject) => {
      held.push({ run: () => void write.call(file, buffers, position).then(resolve, reject), fail: reject });
    });
  return {
    async go(code) {
      const one = held.shift()!;
      if (code === undefined) one.run();
      else one.fail(new DiskError(code, '/data', 'write'));
      await settle();
    },
  };
}

/** The next read of a file waits for `go`. */
export function holdRead(file: DiskFile): { go(): Promise<void> } {
  const { read } = file;
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => (release = resolve));
  file.read = async (target, position) => {
    file.read = read;
    await gate;
    return read.call(file, target, position);
  };
  return {
    async go() {
      release();
      await settle();
    },
  };
}
