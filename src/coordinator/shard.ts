/**
 * A coordinator over one partition of an internal topic: the log holds the truth, the state machine follows it.
 *
 * Promises: an operation runs at once, in the order of the calls; the records it returns are replayed, then appended together with those of the other
 * operations of this turn of the event loop, and it is answered when they are committed. An operation without records is answered when everything before
 * it is committed. If an append fails, the state goes back to what the log holds, and all operations from there on are answered with the error. No answer
 * is lost and none is given twice: an operation whose records take longer than `commitTimeoutMs` is answered REQUEST_TIMED_OUT, its records stay.
 * Does not: know what the records mean (the machine does), who leads the partition (the replica room says so by handing over a `ShardLog`).
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { baseOffset, isControl, isTransactional, magic, nextOffset, producerId, RECORD_BATCH_OVERHEAD } from '../../protocol/record/batch.ts';
import type { CompressionType } from '../../protocol/record/batch.ts';
import { CORRUPT, INCOMPLETE, isIntact, MAGIC_MAX, nextBatchBytes, recordsAt } from '../../protocol/record/batches.ts';
import { buildBatch } from '../../protocol/record/build.ts';
import { ControlRecordType } from '../../protocol/record/control.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Clock, Timer, Timers } from '../runtime/runtime.ts';
import { Timeline } from './timeline.ts';

/** What a shard asks of the partition that it lives on. One object per leadership: when the leader epoch moves on, so does the object. */
export interface ShardLog {
  readonly partition: number;
  readonly leaderEpoch: number;
  /**
   * Queues one batch, which is the log's from then on. Throws KafkaError at once when it cannot be taken (not leader, storage failed). `committed` resolves
   * when the batch is below the high watermark, and rejects with a KafkaError when the batch is not in the log and will not be; batches settle in log order.
   */
  append(batch: Buffer): { readonly baseOffset: number; readonly committed: Promise<void> };
  /**
   * At least one whole batch from the one that contains `from` on, in order; the last may be cut short. null when nothing is there. Waits until all below `end`
   * is committed: what a new leader has and its predecessor did not commit is decided before a state is built on it.
   */
  read(from: number, end: number): Promise<Buffer | null>;
  /**
   * null where it is certain that this node leads the partition; else resolves when it is known that it did when it was asked, and rejects with a KafkaError when it does not.
   */
  confirmed(): Promise<void> | null;
  readonly logStartOffset: number;
  /** What the next batch would get. */
  readonly logEndOffset: number;
}

/** Where a record lies in the log, and in whose name it was written. */
export interface RecordPosition {
  readonly offset: number;
  /** -1 outside of transactions. */
  readonly producerId: number;
}

export interface RecordCodec<R> {
  encodeKey(record: R): Buffer;
  /** null for a tombstone. */
  encodeValue(record: R): Buffer | null;
  /** null for a record of a type that this version does not know: it stays in the log and is not replayed. Throws RangeError on malformed bytes. */
  decode(key: Buffer, value: Buffer | null): R | null;
}

export interface StateMachine<R> {
  /** Changes state, in maps of the shard's timeline alone. Must not fail. */
  replay(record: R, position: RecordPosition): void;
  /** The transaction of this producer ended: what it wrote comes to be, or not. */
  replayEndOfTransaction(producerId: number, committed: boolean): void;
  /** The log has been replayed: timers may start. */
  onLoaded(): void;
  /** No more calls come: answers everyone who waits, with NOT_COORDINATOR, and stops all timers. */
  onUnloaded(): void;
}

export interface Outcome<R, T> {
  readonly records: readonly R[];
  readonly response: T;
  /** False when the state already is what the records say, and failing to write them is undone by `settled`. */
  readonly replay?: boolean;
  /** True when the records may be spread over batches, so that some may be kept without the others. */
  readonly divisible?: boolean;
  /** Called once, before the answer goes out: null when the records are committed, or what kept them out of the log. */
  readonly settled?: (error: KafkaError | null) => void;
}

export interface ShardOptions {
  /** What a batch of this partition may take (max.message.bytes). */
  readonly batchBytesMax: number;
  /** How long records wait for company; 0 for none, -1 for the rest of the turn of the event loop. */
  readonly lingerMs: number;
  readonly commitTimeoutMs: number;
  readonly compression: CompressionType;
}

export type ShardState = 'loading' | 'active' | 'failed' | 'unloaded';

interface Event {
  /** Settles the operation; called once. */
  finish(error: KafkaError | null): void;
}

interface Batch {
  readonly baseOffset: number;
  nextOffset: number;
  /** null after the commit timeout: answered already. */
  events: Event[] | null;
  committed: boolean;
  deadlineMs: number;
}

interface OpenBatch extends Batch {
  readonly records: { timestamp: number; key: Buffer; value: Buffer | null }[];
  bytes: number;
  linger: Timer | null;
}

/** An uncompressed record's fields beside key and value take less than this. */
const RECORD_OVERHEAD_MAX_BYTES = 32;

export class Shard<R, M extends StateMachine<R>> {
  readonly log: ShardLog;
  readonly #codec: RecordCodec<R>;
  readonly #createMachine: (timeline: Timeline) => M;
  readonly #options: ShardOptions;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #logger: Logger;
  readonly #name: string;

  #state: ShardState = 'loading';
  #timeline = new Timeline();
  #machine: M;
  /** The offset that the next record gets, if all appends so far are taken. */
  #nextOffset = 0;
  #open: OpenBatch | null = null;
  /** Batches handed to the log and not committed, in log order. */
  #inFlight: Batch[] = [];
  #watchdog: Timer | null = null;
  /** Of those who wait to know whether this shard's leadership lasts: what ends the wait. */
  readonly #unconfirmed = new Set<() => void>();
  /** Counts machines: what was started for an earlier one is not for this one. */
  #incarnation = 0;

  constructor(options: {
    log: ShardLog;
    name: string;
    codec: RecordCodec<R>;
    createMachine: (timeline: Timeline) => M;
    clock: Clock;
    timers: Timers;
    logger: Logger;
    options: ShardOptions;
  }) {
    this.log = options.log;
    this.#name = `${options.name}-${options.log.partition}`;
    this.#codec = options.codec;
    this.#createMachine = options.createMachine;
    this.#clock = options.clock;
    this.#timers = options.timers;
    this.#logger = options.logger;
    this.#options = options.options;
    this.#machine = this.#createMachine(this.#timeline);
  }

  get state(): ShardState {
    return this.#state;
  }

  /** Replays what the log holds now. Resolves when the shard serves, has failed or was unloaded meanwhile. Called once, by the owner. */
  async load(): Promise<void> {
    const incarnation = this.#incarnation;
    const startedMs = this.#clock.monotonicMs();
    let offset = this.log.logStartOffset;
    const end = this.log.logEndOffset;
    let recordCount = 0;
    try {
      while (offset < end) {
        const buffer = await this.log.read(offset, end);
        if (incarnation !== this.#incarnation) return;
        if (buffer === null) break;
        const before = offset;
        for (let at = 0, bytes = 0; (bytes = nextBatchBytes(buffer, at, buffer.length)) !== INCOMPLETE; at += bytes) {
          if (bytes === CORRUPT || !isIntact(buffer, at)) throw new RangeError('the next batch is corrupt');
          // Before magic 2 a batch carried the offset of its last record.
          const next = magic(buffer, at) < MAGIC_MAX ? baseOffset(buffer, at) + 1 : nextOffset(buffer, at);
          // A read starts at the batch that contains the offset, which may begin below it.
          if (next > offset) recordCount += this.#replayBatch(buffer, at, offset);
          offset = Math.max(offset, next);
        }
        if (offset === before) throw new RangeError('no whole batch was read');
        this.#timeline.commit(offset);
      }
    } catch (error) {
      if (incarnation !== this.#incarnation) return;
      if (!(error instanceof KafkaError) && !(error instanceof RangeError)) throw error;
      this.#state = 'failed';
      this.#logger.error(`${this.#name}: cannot be loaded, stopped at offset ${offset}: ${error.message}`);
      return;
    }
    this.#nextOffset = offset;
    this.#timeline.moveTo(offset);
    this.#state = 'active';
    this.#machine.onLoaded();
    if (recordCount > 0) {
      this.#logger.info(`${this.#name}: loaded ${recordCount} records in ${Math.round(this.#clock.monotonicMs() - startedMs)} ms, leader epoch ${this.log.leaderEpoch}`);
    }
  }

  /** Throws the KafkaError that says why this shard does not serve. */
  #requireActive(): void {
    if (this.#state === 'active') return;
    if (this.#state === 'loading') throw new KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS);
    throw new KafkaError(ErrorCode.NOT_COORDINATOR);
  }

  /** Runs the operation now; resolves with its response when its records are committed. Rejects with KafkaError. */
  write<T>(operation: (machine: M) => Outcome<R, T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#requireActive();
      const outcome = operation(this.#machine);
      this.#append(outcome, {
        finish(error) {
          outcome.settled?.(error);
          if (error === null) resolve(outcome.response);
          else reject(error);
        },
      });
    });
  }

  /** As `write` for operations that nobody waits for, or that answer in ways of their own: what becomes of their records they hear through `settled`. */
  submit(operation: (machine: M) => Outcome<R, unknown>): void {
    this.#requireActive();
    const outcome = operation(this.#machine);
    if (outcome.records.length === 0) {
      outcome.settled?.(null);
      return;
    }
    this.#append(outcome, {
      finish: (error) => {
        outcome.settled?.(error);
        if (error !== null && outcome.settled === undefined) this.#logger.warn(`${this.#name}: ${outcome.records.length} records could not be written: ${error.message}`);
      },
    });
  }

  /** `submit` for timers, which do nothing when the shard does not serve. */
  run(operation: (machine: M) => Outcome<R, unknown>): void {
    if (this.#state === 'active') this.submit(operation);
  }

  /**
   * Before reads that may not be older than what another coordinator has acknowledged: null where none can have followed this one; else resolves when that is known, and rejects with a
   * KafkaError when there is another, or nobody can tell for as long as a commit may take.
   */
  confirmed(): Promise<void> | null {
    this.#requireActive();
    const pending = this.log.confirmed();
    if (pending === null) return null;
    return new Promise<void>((resolve, reject) => {
      const timer = this.#timers.after(this.#options.commitTimeoutMs, () => reject(new KafkaError(ErrorCode.REQUEST_TIMED_OUT)));
      const unload = (): void => {
        timer.cancel();
        reject(new KafkaError(ErrorCode.NOT_COORDINATOR));
      };
      this.#unconfirmed.add(unload);
      void pending.then(resolve, reject).finally(() => {
        timer.cancel();
        this.#unconfirmed.delete(unload);
      });
    });
  }

  /** For reads of the committed state: throws KafkaError when the shard does not serve. */
  read<T>(operation: (machine: M) => T): T {
    this.#requireActive();
    return operation(this.#machine);
  }

  /** The partition has another leader, or the node stops. Everyone who waits is answered with NOT_COORDINATOR. */
  unload(): void {
    if (this.#state === 'unloaded') return;
    const wasActive = this.#state === 'active';
    this.#state = 'unloaded';
    this.#incarnation++;
    for (const end of this.#unconfirmed) end();
    this.#failEverything(new KafkaError(ErrorCode.NOT_COORDINATOR));
    this.#watchdog?.cancel();
    this.#watchdog = null;
    if (wasActive) this.#machine.onUnloaded();
  }

  // ---- replay

  #replayBatch(buffer: Buffer, at: number, from: number): number {
    const isMarker = magic(buffer, at) === MAGIC_MAX && isControl(buffer, at);
    const transactionOf = magic(buffer, at) === MAGIC_MAX && isTransactional(buffer, at) ? producerId(buffer, at) : -1;
    let count = 0;
    for (const record of recordsAt(buffer, at)) {
      if (record.offset < from) continue;
      this.#timeline.moveTo(record.offset);
      if (isMarker) {
        const { controlType } = record;
        if (controlType === ControlRecordType.ABORT || controlType === ControlRecordType.COMMIT) {
          this.#machine.replayEndOfTransaction(transactionOf, controlType === ControlRecordType.COMMIT);
        }
        continue;
      }
      if (record.key === null) throw new RangeError(`the record at offset ${record.offset} has no key`);
      const decoded = this.#codec.decode(record.key, record.value);
      if (decoded === null) {
        this.#logger.warn(`${this.#name}: the record at offset ${record.offset} is of a type that this version does not know; it is left alone`);
        continue;
      }
      this.#machine.replay(decoded, { offset: record.offset, producerId: transactionOf });
      count++;
    }
    return count;
  }

  // ---- appending

  #append(outcome: Outcome<R, unknown>, event: Event): void {
    const { records } = outcome;
    if (records.length === 0) {
      const last = this.#open ?? this.#inFlight.at(-1);
      // With the commit timeout behind it the batch has no events any more, but what follows it still waits for nothing shorter.
      if (last === undefined) event.finish(null);
      else if (last.events === null) event.finish(new KafkaError(ErrorCode.REQUEST_TIMED_OUT));
      else last.events.push(event);
      return;
    }
    const encoded = records.map((record) => ({ key: this.#codec.encodeKey(record), value: this.#codec.encodeValue(record) }));
    const sizes = encoded.map(({ key, value }) => RECORD_OVERHEAD_MAX_BYTES + key.length + (value?.length ?? 0));
    const nowMs = this.#clock.wallMs();
    const isDivisible = outcome.divisible === true;
    const wholeBytes = sizes.reduce((sum, size) => sum + size, 0);
    for (let index = 0; index < records.length; index++) {
      const mayFlush = isDivisible || index === 0;
      if (mayFlush && this.#open !== null && this.#open.bytes + (isDivisible ? sizes[index]! : wholeBytes) > this.#options.batchBytesMax) {
        // What the operation saw is gone when the records before it are: it fails with them.
        const error = this.#flush();
        if (error !== null) {
          event.finish(error);
          return;
        }
      }
      const open = this.#open ?? this.#openBatch();
      this.#timeline.moveTo(open.nextOffset);
      if (outcome.replay !== false) this.#machine.replay(records[index]!, { offset: open.nextOffset, producerId: -1 });
      const { key, value } = encoded[index]!;
      open.records.push({ timestamp: nowMs, key, value });
      open.bytes += sizes[index]!;
      open.nextOffset++;
    }
    const open = this.#open!;
    this.#timeline.moveTo(open.nextOffset);
    open.events!.push(event);
    if (this.#options.lingerMs === 0 || open.bytes >= this.#options.batchBytesMax) this.#flush();
  }

  #openBatch(): OpenBatch {
    const open: OpenBatch = {
      baseOffset: this.#nextOffset,
      nextOffset: this.#nextOffset,
      events: [],
      committed: false,
      deadlineMs: this.#clock.monotonicMs() + this.#options.commitTimeoutMs,
      records: [],
      bytes: RECORD_BATCH_OVERHEAD,
      linger: null,
    };
    this.#open = open;
    const flush = (): void => {
      if (this.#open === open) this.#flush();
    };
    if (this.#options.lingerMs > 0) open.linger = this.#timers.after(this.#options.lingerMs, flush);
    else if (this.#options.lingerMs < 0) this.#timers.soon(flush);
    return open;
  }

  /** Hands the open batch to the log. Returns what kept it out, after everyone in it has been answered with that. */
  #flush(): KafkaError | null {
    const open = this.#open;
    if (open === null || open.records.length === 0) return null;
    this.#open = null;
    open.linger?.cancel();
    // Kafka's coordinators leave base sequence 0 where there is no producer, and a log of ours is to be theirs byte for byte.
    const batch = buildBatch({ baseOffset: 0, records: open.records, compression: this.#options.compression, baseSequence: 0 });
    let appended: { readonly baseOffset: number; readonly committed: Promise<void> };
    try {
      if (batch.length > this.#options.batchBytesMax) throw new KafkaError(ErrorCode.MESSAGE_TOO_LARGE, `${batch.length} bytes of coordinator records are more than the ${this.#options.batchBytesMax} of a batch`);
      appended = this.log.append(batch);
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      this.#logger.warn(`${this.#name}: ${open.records.length} records could not be appended: ${error.message}`);
      this.#timeline.revert(open.baseOffset);
      this.#finish(open, error);
      return error;
    }
    const incarnation = this.#incarnation;
    this.#inFlight.push(open);
    appended.committed.then(
      () => {
        if (incarnation === this.#incarnation) this.#committed(open);
      },
      (error: unknown) => {
        if (!(error instanceof KafkaError)) throw error;
        if (incarnation === this.#incarnation) this.#notInLog(open, error);
      },
    );
    if (appended.baseOffset !== open.baseOffset) {
      this.#logger.error(`${this.#name}: records of offset ${open.baseOffset} were written at ${appended.baseOffset}; the state is loaded anew`);
      this.#reload();
      return new KafkaError(ErrorCode.NOT_COORDINATOR);
    }
    this.#nextOffset = open.nextOffset;
    this.#watch();
    return null;
  }

  #committed(batch: Batch): void {
    batch.committed = true;
    while (this.#inFlight.length > 0 && this.#inFlight[0]!.committed) {
      const first = this.#inFlight.shift()!;
      this.#timeline.commit(first.nextOffset);
      this.#finish(first, null);
    }
  }

  /** The log was cut at the start of this batch: so is the state, and what was put upon it goes as well. */
  #notInLog(batch: Batch, error: KafkaError): void {
    const index = this.#inFlight.indexOf(batch);
    // A failed batch takes all that follow with it, whose own rejections then find nothing left to do.
    if (index < 0) return;
    this.#logger.warn(`${this.#name}: records from offset ${batch.baseOffset} on are not in the log: ${error.message}`);
    const lost: Batch[] = this.#inFlight.splice(index);
    if (this.#open !== null) {
      this.#open.linger?.cancel();
      lost.push(this.#open);
      this.#open = null;
    }
    this.#timeline.revert(batch.baseOffset);
    this.#nextOffset = batch.baseOffset;
    for (const one of lost) this.#finish(one, error);
  }

  #finish(batch: Batch, error: KafkaError | null): void {
    const events = batch.events;
    if (events === null) return;
    batch.events = null;
    for (const event of events) event.finish(error);
  }

  #failEverything(error: KafkaError): void {
    const lost: Batch[] = this.#inFlight;
    this.#inFlight = [];
    if (this.#open !== null) {
      this.#open.linger?.cancel();
      lost.push(this.#open);
      this.#open = null;
    }
    for (const batch of lost) this.#finish(batch, error);
  }

  #reload(): void {
    this.#incarnation++;
    this.#state = 'loading';
    this.#failEverything(new KafkaError(ErrorCode.NOT_COORDINATOR));
    this.#machine.onUnloaded();
    this.#timeline = new Timeline();
    this.#machine = this.#createMachine(this.#timeline);
    void this.load();
  }

  // ---- the commit timeout

  /** One timer for all batches: it looks at the oldest and comes back for the next. */
  #watch(): void {
    if (this.#watchdog !== null) return;
    const waiting = this.#inFlight.find((batch) => batch.events !== null);
    if (waiting === undefined) return;
    this.#watchdog = this.#timers.after(Math.max(0, waiting.deadlineMs - this.#clock.monotonicMs()), () => {
      this.#watchdog = null;
      const nowMs = this.#clock.monotonicMs();
      for (const batch of this.#inFlight) {
        if (batch.deadlineMs <= nowMs) this.#finish(batch, new KafkaError(ErrorCode.REQUEST_TIMED_OUT));
      }
      this.#watch();
    });
  }

  /** All that was appended is committed. */
  get isIdle(): boolean {
    return this.#inFlight.length === 0 && this.#open === null;
  }
}
