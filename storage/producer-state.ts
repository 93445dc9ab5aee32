/**
 * What a log remembers of the producers that write to it: epoch, the last five batches, the open transaction (KIP-98, KIP-360, KIP-890).
 *
 * Promises: a batch that a producer sends again is recognised among its last five; a gap, an old epoch or a zombie's marker is refused with Kafka's
 * code; the first offset of the oldest transaction that a read_committed reader must wait for is known at any time. Batches that were taken in but
 * could not be written are taken back by `rollBack`.
 * Does not: touch the disk (`producer-snapshot.ts`), verify a transaction with its coordinator, or expire by itself.
 *
 * The rules are those of Kafka's ProducerAppendInfo and ProducerStateManager. Since 2.4 (KIP-360) an unknown producer may begin at any sequence,
 * so UNKNOWN_PRODUCER_ID is never answered.
 */
import assert from 'node:assert';
import { ErrorCode } from '../protocol/errors.ts';
import * as batch from '../protocol/record/batch.ts';
import { ControlRecordType } from '../protocol/record/control.ts';
import { RecordCursor } from '../protocol/record/records.ts';
import { decrementSequence } from '../protocol/record/sequence.ts';

/** Batches in which a producer's repeated batch is recognised: as many as an idempotent producer may have in flight. */
const BATCHES_KEPT = 5;
const SEQUENCE_LAST = 0x7fff_ffff;
const EPOCH_LAST = 0x7fff;
const NO_OFFSET = -1;

/** Who appends. A client is checked most; a coordinator writes markers and its own records; followers and replay take what the leader took. */
export type AppendOrigin = 'client' | 'coordinator' | 'raft' | 'replication';

export interface ProducerBatch {
  readonly lastSequence: number;
  readonly lastOffset: number;
  readonly offsetDelta: number;
  readonly timestamp: number;
}

export interface ProducerEntry {
  readonly producerId: number;
  epoch: number;
  coordinatorEpoch: number;
  lastTimestamp: number;
  /** -1 when no transaction is open. */
  currentTxnFirstOffset: number;
  /** Oldest first; all of the current epoch. */
  batches: ProducerBatch[];
}

/** A transaction that has ended on this partition. */
export interface CompletedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** The marker's. */
  readonly lastOffset: number;
  readonly aborted: boolean;
}

interface OngoingTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** The marker's, once it is in the log; -1 before. */
  lastOffset: number;
}

interface Tracked extends ProducerEntry {
  /** The generation of appends that has a copy of the entry from before it. */
  generation: number;
}

interface Undo {
  readonly producerId: number;
  /** undefined: the producer was unknown. */
  readonly before: Tracked | undefined;
}

interface Marker {
  readonly type: number;
  readonly coordinatorEpoch: number;
  readonly timestamp: number;
}

export class ProducerState {
  /** The state is that of all batches below this offset. */
  endOffset = 0;
  /** What `check` found when it answered DUPLICATE_SEQUENCE_NUMBER: the batch that is in the log already. */
  duplicate: ProducerBatch | undefined;

  readonly #producers = new Map<number, Tracked>();
  /** By first offset. */
  #ongoing: OngoingTransaction[] = [];
  /** Ended by a marker that is not below the high watermark yet; by first offset. */
  #unreplicated: OngoingTransaction[] = [];
  #generation = 0;
  #undo: Undo[] = [];
  #undoOfWrite: Undo[] = [];
  readonly #cursor = new RecordCursor();

  get size(): number {
    return this.#producers.size;
  }

  get isEmpty(): boolean {
    return this.#producers.size === 0 && this.#unreplicated.length === 0;
  }

  producer(producerId: number): Readonly<ProducerEntry> | undefined {
    return this.#producers.get(producerId);
  }

  /** All producers by id, which is the order of Kafka's snapshots as long as ids are dense. */
  entries(): readonly Readonly<ProducerEntry>[] {
    return [...this.#producers.values()].sort((a, b) => a.producerId - b.producerId);
  }

  hasOngoingTransaction(producerId: number, epoch: number): boolean {
    const entry = this.#producers.get(producerId);
    return entry !== undefined && entry.currentTxnFirstOffset >= 0 && entry.epoch === epoch;
  }

  /** First offset of a transaction that is open, or whose end is not replicated; -1 when there is none. */
  get firstUnstableOffset(): number {
    const ongoing = this.#ongoing[0];
    const unreplicated = this.#unreplicated[0];
    if (ongoing === undefined) return unreplicated === undefined ? NO_OFFSET : unreplicated.firstOffset;
    return unreplicated === undefined ? ongoing.firstOffset : Math.min(ongoing.firstOffset, unreplicated.firstOffset);
  }

  // ---- appending

  /**
   * Whether a batch with a producer id may be appended at `baseOffset`. DUPLICATE_SEQUENCE_NUMBER: it is in the log already, see `duplicate`.
   * Changes nothing. `transactionVersion` matters for markers only: from 2 on a marker must carry a higher epoch than the data (KIP-890).
   */
  check(buffer: Buffer, at: number, origin: AppendOrigin, transactionVersion: number): ErrorCode {
    const entry = this.#producers.get(batch.producerId(buffer, at));
    if (batch.isControl(buffer, at)) return this.#checkMarker(buffer, at, entry, origin, transactionVersion);
    if (entry === undefined || origin === 'replication') return ErrorCode.NONE;
    const epoch = batch.producerEpoch(buffer, at);
    const sequence = batch.baseSequence(buffer, at);
    if (origin === 'client') {
      const repeated = entry.epoch === epoch ? findRepeated(entry, sequence, batch.lastSequence(buffer, at)) : undefined;
      if (repeated !== undefined) {
        this.duplicate = repeated;
        return ErrorCode.DUPLICATE_SEQUENCE_NUMBER;
      }
    }
    if (epoch < entry.epoch) return ErrorCode.INVALID_PRODUCER_EPOCH;
    if (origin === 'client' && !inSequence(entry, epoch, sequence)) return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER;
    if (entry.currentTxnFirstOffset >= 0 && !batch.isTransactional(buffer, at)) return ErrorCode.INVALID_TXN_STATE;
    return ErrorCode.NONE;
  }

  #checkMarker(buffer: Buffer, at: number, entry: Tracked | undefined, origin: AppendOrigin, transactionVersion: number): ErrorCode {
    const marker = this.#markerOf(buffer, at);
    if (entry === undefined || origin === 'replication' || marker === undefined) return ErrorCode.NONE;
    const epoch = batch.producerEpoch(buffer, at);
    if (epoch < entry.epoch) return ErrorCode.INVALID_PRODUCER_EPOCH;
    if (transactionVersion >= 2 && epoch === entry.epoch) {
      // The same marker again, after its transaction has ended (the coordinator did not hear the answer): harmless (KAFKA-19999).
      const isRetry = entry.currentTxnFirstOffset < 0 || epoch === EPOCH_LAST;
      if (!isRetry) return ErrorCode.INVALID_PRODUCER_EPOCH;
    }
    return entry.coordinatorEpoch > marker.coordinatorEpoch ? ErrorCode.TRANSACTION_COORDINATOR_FENCED : ErrorCode.NONE;
  }

  /** Takes in a batch with a producer id as it lies in the log, which has been checked or came from a leader. Returns the transaction that it ended. */
  note(buffer: Buffer, at: number): CompletedTransaction | undefined {
    const producerId = batch.producerId(buffer, at);
    const epoch = batch.producerEpoch(buffer, at);
    if (batch.isControl(buffer, at)) return this.#noteMarker(buffer, at, producerId, epoch);
    const entry = this.#change(producerId);
    if (entry.epoch !== epoch) {
      entry.batches = [];
      entry.epoch = epoch;
    }
    const firstOffset = batch.baseOffset(buffer, at);
    const offsetDelta = batch.lastOffsetDelta(buffer, at);
    const timestamp = batch.maxTimestamp(buffer, at);
    if (entry.batches.length === BATCHES_KEPT) entry.batches.shift();
    entry.batches.push({ lastSequence: batch.lastSequence(buffer, at), lastOffset: firstOffset + offsetDelta, offsetDelta, timestamp });
    entry.lastTimestamp = timestamp;
    if (entry.currentTxnFirstOffset < 0 && batch.isTransactional(buffer, at)) {
      entry.currentTxnFirstOffset = firstOffset;
      this.#ongoing.push({ producerId, firstOffset, lastOffset: NO_OFFSET });
    }
    return undefined;
  }

  #noteMarker(buffer: Buffer, at: number, producerId: number, epoch: number): CompletedTransaction | undefined {
    const marker = this.#markerOf(buffer, at);
    // The cleaner has emptied the batch: the whole transaction is gone, and so is its end.
    if (marker === undefined) return undefined;
    const entry = this.#change(producerId);
    if (entry.epoch !== epoch) {
      entry.batches = [];
      entry.epoch = epoch;
    }
    const firstOffset = entry.currentTxnFirstOffset;
    entry.coordinatorEpoch = marker.coordinatorEpoch;
    entry.lastTimestamp = marker.timestamp;
    entry.currentTxnFirstOffset = NO_OFFSET;
    if (firstOffset < 0) return undefined;
    return { producerId, firstOffset, lastOffset: batch.baseOffset(buffer, at), aborted: marker.type === ControlRecordType.ABORT };
  }

  /** What the last stable offset will be once `completed` is replicated: the first offset of the oldest open transaction of somebody else. */
  stableOffsetAfter(completed: CompletedTransaction): number {
    for (const transaction of this.#ongoing) if (transaction.producerId !== completed.producerId) return transaction.firstOffset;
    return completed.lastOffset + 1;
  }

  /** A transaction that `note` returned holds readers back only until its marker is replicated. */
  complete(completed: CompletedTransaction): void {
    const at = this.#ongoing.findIndex((transaction) => transaction.firstOffset === completed.firstOffset);
    assert(at >= 0);
    const [transaction] = this.#ongoing.splice(at, 1);
    assert(transaction !== undefined);
    transaction.lastOffset = completed.lastOffset;
    insertByFirstOffset(this.#unreplicated, transaction);
  }

  advanceHighWatermark(highWatermark: number): void {
    if (this.#unreplicated.length === 0) return;
    this.#unreplicated = this.#unreplicated.filter((transaction) => transaction.lastOffset >= highWatermark);
  }

  advanceLogStartOffset(logStartOffset: number): void {
    this.advanceHighWatermark(logStartOffset);
    if (this.endOffset < logStartOffset) this.endOffset = logStartOffset;
  }

  // ---- time

  /** Forgets producers that have not written for so long, unless they have a transaction open. Returns how many. */
  expire(nowMs: number, expirationMs: number): number {
    let count = 0;
    for (const entry of this.#producers.values()) {
      if (!isExpired(entry, nowMs, expirationMs)) continue;
      this.#producers.delete(entry.producerId);
      count++;
    }
    return count;
  }

  // ---- loading and taking back

  /** Begins anew with what a snapshot at `endOffset` says, without those that have expired since. */
  load(entries: readonly ProducerEntry[], endOffset: number, nowMs: number, expirationMs: number): void {
    this.reset(endOffset);
    for (const entry of entries) {
      if (isExpired(entry, nowMs, expirationMs)) continue;
      this.#producers.set(entry.producerId, { ...entry, batches: [...entry.batches], generation: this.#generation });
      if (entry.currentTxnFirstOffset < 0) continue;
      insertByFirstOffset(this.#ongoing, { producerId: entry.producerId, firstOffset: entry.currentTxnFirstOffset, lastOffset: NO_OFFSET });
    }
  }

  reset(endOffset: number): void {
    this.#producers.clear();
    this.#ongoing = [];
    this.#unreplicated = [];
    this.#undo = [];
    this.#undoOfWrite = [];
    this.endOffset = endOffset;
  }

  /** What was appended up to now is being written; what comes from now on belongs to the next write. */
  beginWrite(): void {
    this.#undoOfWrite = this.#undo;
    this.#undo = [];
    this.#generation++;
  }

  /** What was being written has been. */
  endWrite(): void {
    if (this.#undoOfWrite.length > 0) this.#undoOfWrite = [];
  }

  /** Neither what was being written nor what was appended meanwhile will be: the state is again that of the batches below `endOffset`. */
  rollBack(endOffset: number): void {
    for (const undo of [...this.#undoOfWrite, ...this.#undo].reverse()) {
      if (undo.before === undefined) this.#producers.delete(undo.producerId);
      else this.#producers.set(undo.producerId, undo.before);
    }
    this.#undo = [];
    this.#undoOfWrite = [];
    this.#generation++;
    const reopened = this.#unreplicated.filter((transaction) => transaction.lastOffset >= endOffset);
    this.#unreplicated = this.#unreplicated.filter((transaction) => transaction.lastOffset < endOffset);
    this.#ongoing = this.#ongoing.filter((transaction) => transaction.firstOffset < endOffset);
    for (const transaction of reopened) {
      if (transaction.firstOffset < endOffset) insertByFirstOffset(this.#ongoing, { ...transaction, lastOffset: NO_OFFSET });
    }
    this.endOffset = Math.min(this.endOffset, endOffset);
  }

  /** The producer's entry, made when it is new, after a copy of what it was before this generation of appends has been put aside. */
  #change(producerId: number): Tracked {
    const entry = this.#producers.get(producerId);
    if (entry === undefined) {
      const added: Tracked = {
        producerId, epoch: batch.NO_PRODUCER_EPOCH, coordinatorEpoch: -1, lastTimestamp: -1, currentTxnFirstOffset: NO_OFFSET, batches: [],
        generation: this.#generation,
      };
      this.#undo.push({ producerId, before: undefined });
      this.#producers.set(producerId, added);
      return added;
    }
    if (entry.generation !== this.#generation) {
      this.#undo.push({ producerId, before: { ...entry, batches: entry.batches.slice() } });
      entry.generation = this.#generation;
    }
    return entry;
  }

  /** undefined for an empty batch. Throws a KafkaError where a control batch holds no control record, which no coordinator writes. */
  #markerOf(buffer: Buffer, at: number): Marker | undefined {
    const cursor = this.#cursor;
    cursor.open(buffer, at);
    if (!cursor.next()) return undefined;
    // key:   0 version:2  2 type:2          value:  0 version:2  2 coordinatorEpoch:4
    const type = cursor.keyLength >= 4 ? cursor.buffer.readInt16BE(cursor.keyAt + 2) : ControlRecordType.UNKNOWN;
    const coordinatorEpoch = cursor.valueLength >= 6 ? cursor.buffer.readInt32BE(cursor.valueAt + 2) : -1;
    return { type, coordinatorEpoch, timestamp: cursor.timestamp };
  }
}

function findRepeated(entry: ProducerEntry, baseSequence: number, lastSequence: number): ProducerBatch | undefined {
  for (const kept of entry.batches) {
    if (kept.lastSequence === lastSequence && decrementSequence(kept.lastSequence, kept.offsetDelta) === baseSequence) return kept;
  }
  return undefined;
}

function inSequence(entry: ProducerEntry, epoch: number, sequence: number): boolean {
  // A new epoch begins at 0, unless nothing is known of the old one.
  if (epoch !== entry.epoch) return sequence === 0 || entry.epoch === batch.NO_PRODUCER_EPOCH;
  const last = entry.batches.at(-1)?.lastSequence ?? batch.NO_SEQUENCE;
  return sequence === last + 1 || (sequence === 0 && last === SEQUENCE_LAST);
}

function isExpired(entry: ProducerEntry, nowMs: number, expirationMs: number): boolean {
  return entry.currentTxnFirstOffset < 0 && nowMs - entry.lastTimestamp >= expirationMs;
}

function insertByFirstOffset(transactions: OngoingTransaction[], added: OngoingTransaction): void {
  let at = transactions.length;
  while (at > 0 && (transactions[at - 1] as OngoingTransaction).firstOffset > added.firstOffset) at--;
  transactions.splice(at, 0, added);
}
