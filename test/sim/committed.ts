/**
 * What is committed, batch by batch, as the first replica showed it whose high watermark passed it; and that every other replica has the same.
 *
 * Promises: reads the files of the logs themselves, each batch once in the life of a replica, and tells of a batch that differs, is damaged, or is missing below a
 * high watermark. Does not: read what lies above a high watermark.
 */
import { baseOffset, crc, lastOffset, maxTimestamp, partitionLeaderEpoch } from '../../protocol/record/batch.ts';
import { isIntact, nextBatchBytes } from '../../protocol/record/batches.ts';
import type { SimDisk } from './disk.ts';

export interface CommittedBatch {
  readonly lastOffset: number;
  readonly crc: number;
  readonly leaderEpoch: number;
  readonly maxTimestamp: number;
  readonly sizeBytes: number;
  readonly from: string;
}

/** Of one partition. */
export class Committed {
  readonly name: string;
  /** The highest watermark that any replica has had. */
  highWatermark = 0;
  readonly #batches = new Map<number, CommittedBatch>();

  constructor(name: string) {
    this.name = name;
  }

  /** Those within [from, to), in order, as far as they are known. */
  *batches(from: number, to: number): Generator<CommittedBatch> {
    for (let batch = this.#batches.get(from); batch !== undefined && batch.lastOffset < to; batch = this.#batches.get(batch.lastOffset + 1)) yield batch;
  }

  /** What is wrong with a batch of the replica, or null. */
  take(batch: Buffer, replica: string): string | null {
    const offset = baseOffset(batch, 0);
    const known = this.#batches.get(offset);
    const mine: CommittedBatch = {
      lastOffset: lastOffset(batch, 0), crc: crc(batch, 0), leaderEpoch: partitionLeaderEpoch(batch, 0), maxTimestamp: maxTimestamp(batch, 0), sizeBytes: batch.length, from: replica,
    };
    if (known === undefined) {
      this.#batches.set(offset, mine);
      return null;
    }
    if (known.crc === mine.crc && known.lastOffset === mine.lastOffset && known.leaderEpoch === mine.leaderEpoch) return null;
    return `${this.name}: the batch at ${offset} is ${show(mine)} on ${replica} and ${show(known)} on ${known.from}`;
  }
}

function show({ lastOffset, crc, leaderEpoch }: CommittedBatch): string {
  return `[to ${lastOffset}, epoch ${leaderEpoch}, crc ${crc.toString(16)}]`;
}

const CHUNK_BYTES = 32_768;

/** Where the reading of one replica's files has come to. */
export class ReplicaReader {
  /** All below has been compared. */
  offset = -1;
  /** Of the last batch that was; -1 before the first. */
  leaderEpoch = -1;
  readonly #disk: SimDisk;
  readonly #directory: string;
  readonly #committed: Committed;
  readonly #replica: string;
  #segment = '';
  #position = 0;

  constructor(disk: SimDisk, directory: string, committed: Committed, replica: string) {
    this.#disk = disk;
    this.#directory = directory;
    this.#committed = committed;
    this.#replica = replica;
  }

  /** Compares up to the high watermark; says what is wrong, or null. */
  advance(highWatermark: number): string | null {
    if (this.offset < 0 && !this.#open()) return null;
    let chunkBytes = CHUNK_BYTES;
    while (this.offset < highWatermark) {
      const sizeBytes = this.#disk.peekSize(this.#path);
      if (sizeBytes === null) {
        // Retention has let the segment go, or the replica has begun anew: what is left begins later.
        if (!this.#open()) return null;
        continue;
      }
      const left = Math.max(0, sizeBytes - this.#position);
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, left));
      const bytes = chunk.length === 0 ? 0 : this.#disk.peekInto(this.#path, chunk, this.#position);
      let at = 0;
      while (at < bytes && this.offset < highWatermark) {
        const size = nextBatchBytes(chunk, at, bytes);
        if (size <= 0) break;
        const batch = chunk.subarray(at, at + size);
        at += size;
        if (lastOffset(batch, 0) < this.offset) continue;
        if (!isIntact(batch, 0)) return `${this.#committed.name}: the batch at ${baseOffset(batch, 0)} on ${this.#replica} is damaged`;
        const wrong = this.#committed.take(batch, this.#replica);
        if (wrong !== null) return wrong;
        this.offset = lastOffset(batch, 0) + 1;
        this.leaderEpoch = partitionLeaderEpoch(batch, 0);
      }
      this.#position += at;
      if (at > 0) continue;
      // Perhaps a batch that is longer.
      if (chunk.length < left) {
        chunkBytes = left;
        continue;
      }
      const next = this.#nextSegment();
      if (next === null) return `${this.#committed.name}: ${this.#replica} has a high watermark of ${highWatermark}, but its files end at ${this.offset} (${this.#path} ${this.#position} of ${sizeBytes})`;
      this.#segment = next;
      this.#position = 0;
    }
    return null;
  }

  get #path(): string {
    return `${this.#directory}/${this.#segment}`;
  }

  #segments(): string[] {
    return this.#disk.peekList(this.#directory).filter((name) => /^\d{20}\.log$/.test(name));
  }

  #open(): boolean {
    const first = this.#segments()[0];
    if (first === undefined) return false;
    this.#segment = first;
    this.#position = 0;
    this.offset = Math.max(this.offset, Number(first.slice(0, 20)));
    return true;
  }

  #nextSegment(): string | null {
    return this.#segments().find((name) => name > this.#segment) ?? null;
  }
}
