/** A partition's log for the coordinator's tests: batches in memory, committed at once, when told, or not at all. */
import { KafkaError } from '../../../protocol/errors.ts';
import type { ErrorCode } from '../../../protocol/errors.ts';
import { isControl, nextOffset, setBaseOffset, sizeInBytes } from '../../../protocol/record/batch.ts';
import { recordsAt } from '../../../protocol/record/batches.ts';
import { groupRecordCodec } from '../../../src/coordinator/group-records.ts';
import type { GroupRecord } from '../../../src/coordinator/group-records.ts';
import type { ShardLog } from '../../../src/coordinator/shard.ts';

interface Held {
  baseOffset: number;
  resolve: () => void;
  reject: (error: KafkaError) => void;
}

export class TestLog implements ShardLog {
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly logStartOffset = 0;
  batches: Buffer[] = [];
  /** What an append throws, if it does. */
  refusal: ErrorCode | null = null;
  /** Appended batches wait for `commit` or `fail`. */
  holds = false;
  held: Held[] = [];
  /** Whether it is certain that this log is the leader's. */
  confirmation: Promise<void> | null = null;
  /** A read waits for this. */
  gate: Promise<void> = Promise.resolve();

  constructor(partition = 0, leaderEpoch = 0, batches: readonly Buffer[] = []) {
    this.partition = partition;
    this.leaderEpoch = leaderEpoch;
    this.batches = [...batches];
  }

  get logEndOffset(): number {
    const last = this.batches.at(-1);
    return last === undefined ? 0 : nextOffset(last, 0);
  }

  append(batch: Buffer): { baseOffset: number; committed: Promise<void> } {
    if (this.refusal !== null) throw new KafkaError(this.refusal);
    const baseOffset = this.logEndOffset;
    setBaseOffset(batch, 0, baseOffset);
    this.batches.push(batch);
    if (!this.holds) return { baseOffset, committed: Promise.resolve() };
    const committed = new Promise<void>((resolve, reject) => void this.held.push({ baseOffset, resolve, reject }));
    return { baseOffset, committed };
  }

  /** Commits the oldest held batches. */
  commit(count = Infinity): void {
    for (const held of this.held.splice(0, count)) held.resolve();
  }

  /** The log is cut at the first held batch: none of them is in it. */
  fail(code: ErrorCode): void {
    const lost = this.held.splice(0);
    const from = lost[0]!.baseOffset;
    this.batches = this.batches.filter((batch) => nextOffset(batch, 0) <= from);
    for (const held of lost) held.reject(new KafkaError(code));
  }

  confirmed(): Promise<void> | null {
    return this.confirmation;
  }

  async read(from: number): Promise<Buffer | null> {
    await this.gate;
    return this.batches.find((batch) => nextOffset(batch, 0) > from) ?? null;
  }

  /** Without markers. */
  records(): GroupRecord[] {
    return this.batches.filter((batch) => !isControl(batch, 0)).flatMap((batch) => recordsAt(batch, 0).map((record) => groupRecordCodec.decode(record.key!, record.value)!));
  }
}

export function splitBatches(buffer: Buffer): Buffer[] {
  const batches: Buffer[] = [];
  for (let at = 0; at < buffer.length; at += sizeInBytes(buffer, at)) batches.push(buffer.subarray(at, at + sizeInBytes(buffer, at)));
  return batches;
}
