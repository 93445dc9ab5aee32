/**
 * One partition in a log directory on a crash disk, driven beside its model, and the judgement over what a crash has left of it.
 *
 * Promises: knows at each moment what the log has promised: what is flushed, what is written, from where to where it may start. `judge` opens an
 * image as a new broker would and throws with everything that is needed to see it again when the log there is not one that those promises allow.
 * Does not: decide what to do; the flows and the random runs do.
 */
import assert from 'node:assert';
import { isDeepStrictEqual } from 'node:util';
import { ErrorCode } from '../../protocol/errors.ts';
import { lastSequence as lastSequenceAt, producerEpoch } from '../../protocol/record/batch.ts';
import { buildBatch } from '../../protocol/record/build.ts';
import { ControlRecordType, encodeControlKey } from '../../protocol/record/control.ts';
import { incrementSequence } from '../../protocol/record/sequence.ts';
import { DiskError } from '../../storage/disk.ts';
import { DEFAULT_LOG_CONFIG } from '../../storage/log-config.ts';
import type { LogConfig } from '../../storage/log-config.ts';
import { LogDirectory } from '../../storage/log-directory.ts';
import { isPassing } from '../../storage/log-state.ts';
import { StorageError } from '../../storage/log.ts';
import type { AppendResult, Log } from '../../storage/log.ts';
import type { MemoryDisk } from '../../storage/memory-disk.ts';
import { decodeProducerSnapshot } from '../../storage/producer-snapshot.ts';
import { contentsOf, CrashDisk } from './crash-disk.ts';
import { showOutcome } from './crash-outcome.ts';
import type { CrashDiskOptions } from './crash-disk.ts';
import type { Outcome } from './crash-outcome.ts';
import { committedOffsets, cutAt, endOf, epochsOf, from, lastOfProducers, modelBatch, offsetForTimestamp, stableOffset } from './log-model.ts';
import type { Contents } from './log-model.ts';
import { committedOnly, dataRecords, readBatches } from './read-log.ts';
import { Seeded } from './seeded.ts';

export const ROOT = '/data';
export const TOPIC = 't';
export const TOPIC_ID = 'TziIL9W9SW2CPHav37dTwg';

/** Small, so that a few batches roll a segment and fill an index. */
export const SMALL_CONFIG: LogConfig = { ...DEFAULT_LOG_CONFIG, segmentBytes: 1_400, indexIntervalBytes: 250, retentionMs: -1 };

/** One of the logs that may be found. */
export interface Allowed {
  /** The log found is a prefix of these, at least up to `flushed`. */
  readonly contents: Contents;
  readonly startMin: number;
  readonly startMax: number;
  /** Before this records had been deleted; a crash may have brought them back, but what the log knew of their producers is not all there. */
  readonly deletedUpTo: number;
  /** Up to here it survives a power loss. */
  readonly flushed: number;
  /** Up to here it survives a kill. */
  readonly written: number;
}

export interface Expectation {
  /** Whether the partition must be there, even if the power is lost. */
  readonly isDurable: boolean;
  readonly allowed: readonly Allowed[];
}

export interface ProducerInput {
  readonly id: number;
  readonly isTransactional?: boolean;
}

export class LogWorld {
  disk: CrashDisk<Expectation>;
  readonly config: LogConfig;
  directory!: LogDirectory;
  log!: Log;
  nowMs = 1_000_000;
  epoch = 0;
  contents: Contents = [];
  /** What it was before an operation that is under way, or that failed in the middle. */
  #before: Allowed[] = [];
  #flushed = 0;
  #writtenBefore = 0;
  #startDurable = 0;
  #deletedUpTo = 0;
  #isDurable = false;
  /** A truncation that the disk did not allow when it was asked for, and what the log was before. */
  #waiting: { readonly contents: Contents; readonly cutTo: number } | undefined;
  /** Where a truncation that failed was to cut: what lies behind may be gone, or not. */
  #cutAsked = Infinity;
  /** Where the log started before that: the checkpoint may still say so. */
  #startBefore = 0;
  #isOpen = false;
  #uuids = 0;
  readonly #random: Seeded;

  constructor(options: { seed?: number; config?: Partial<LogConfig>; disk?: Omit<CrashDiskOptions<Expectation>, 'observe'> } = {}) {
    this.disk = new CrashDisk<Expectation>({ ...options.disk, observe: () => this.expectation() });
    this.config = { ...SMALL_CONFIG, ...options.config };
    this.#random = new Seeded(options.seed ?? 1);
  }

  /** What has been promised by now. */
  expectation(): Expectation {
    return { isDurable: this.#isDurable, allowed: [...this.#before, this.allowed()] };
  }

  allowed(): Allowed {
    if (!this.#isOpen) {
      const { contents, logStart: startMax } = this;
      return { contents, startMin: this.#startDurable, startMax, deletedUpTo: this.#deletedUpTo, flushed: this.#flushed, written: this.#writtenBefore };
    }
    const { recoveryPoint, logStartOffset, writtenEndOffset } = this.log;
    this.#flushed = recoveryPoint;
    this.#writtenBefore = writtenEndOffset;
    this.logStart = logStartOffset;
    const flushed = Math.min(this.#flushed, endOf(this.contents, logStartOffset), this.#cutAsked);
    this.#deletedUpTo = Math.max(this.#deletedUpTo, logStartOffset);
    return {
      contents: this.contents, startMin: this.#startDurable, startMax: Math.max(logStartOffset, this.#startBefore), deletedUpTo: this.#deletedUpTo, flushed,
      written: Math.min(writtenEndOffset, this.#cutAsked),
    };
  }

  /** A cut has failed for good: what can be read of the log is anybody's guess. */
  isHalfCut = false;

  /** As the log said last. */
  logStart = 0;

  /** Opens the directory and the partition, or makes it. Throws a DiskError. */
  open(): void {
    this.directory = openDirectory(this.disk, () => this.#uuid());
    const found = this.directory.found.find(({ topic }) => topic === TOPIC);
    // As the broker does, which knows from the metadata that there is such a partition: what a crash left of a creation is created again.
    this.log = found === undefined || this.directory.topicIdOf(found) === undefined
      ? this.directory.createLog({ topic: TOPIC, partition: 0, topicId: TOPIC_ID, config: this.config, nowMs: this.nowMs })
      : this.directory.openLog(found, { config: this.config, nowMs: this.nowMs });
    this.log.onWriteFailed = (_, fromOffset) => {
      // What was not taken in may be there all the same when the file could not be cut any more.
      if (this.log.failed) this.#before.push(this.allowed());
      this.contents = cutAt(this.contents, fromOffset);
    };
    this.log.advanceHighWatermark(this.log.logEndOffset);
    const start = this.log.logStartOffset;
    assert(start >= this.#startDurable && start <= this.logStart, `opened, the log starts at ${start}, not in [${this.#startDurable}, ${this.logStart}]`);
    this.logStart = start;
    this.#isOpen = true;
  }

  /** Nothing can be appended any more. */
  get hasFailed(): boolean {
    return this.log !== undefined && (this.log.failed || this.directory.offline !== undefined);
  }

  #uuid(): string {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32BE(++this.#uuids);
    return bytes.toString('base64url');
  }

  /** Appends a batch of so many records; they wait to be written. */
  append(count: number, producer?: ProducerInput): AppendResult {
    const last = producer === undefined ? undefined : lastOfProducers(this.contents).get(producer.id);
    // Of a producer whose batches are all deleted the log may have forgotten the sequence; the producer then goes on in the next epoch (KIP-360).
    const isKnown = last !== undefined && last.lastOffset >= this.#knownFrom();
    const epoch = last === undefined ? 0 : epochOfProducer(last.bytes) + (isKnown ? 0 : 1);
    const sequence = isKnown ? incrementSequence(lastSequence(last.bytes), 1) : 0;
    const nextOffset = this.log.logEndOffset;
    const buffer = buildBatch({
      records: Array.from({ length: count }, (_, index) => ({
        timestamp: this.nowMs + nextOffset * 10 + index * 10 + this.#random.below(60) - 30,
        key: Buffer.from(`k${this.#random.below(20)}`),
        // Content tells every record from every other, those of a branch of the log that was cut off included.
        value: Buffer.from(`${this.disk.calls.length}:${'v'.repeat(this.#random.below(90))}`),
      })),
      ...(producer !== undefined && { producerId: producer.id, producerEpoch: epoch, baseSequence: sequence, isTransactional: producer.isTransactional === true }),
    });
    const result = this.log.append(buffer, { leaderEpoch: this.epoch, nowMs: this.nowMs, origin: 'client' });
    this.#appended(result, buffer);
    return result;
  }

  /** Producers all of whose batches were deleted may be forgotten, even if a crash has brought the batches back. */
  #knownFrom(): number {
    return Math.max(this.log.logStartOffset, this.#deletedUpTo);
  }

  /** The producer sends its last batch again, as it does when the answer was lost. */
  repeat(id: number): AppendResult | undefined {
    const last = lastOfProducers(from(this.contents, this.#knownFrom())).get(id);
    if (last === undefined) return undefined;
    const result = this.log.append(Buffer.from(last.bytes), { leaderEpoch: this.epoch, nowMs: this.nowMs, origin: 'client' });
    assert.deepEqual([result.error, result.duplicate, result.baseOffset, result.lastOffset], [ErrorCode.NONE, true, last.baseOffset, last.lastOffset], `producer ${id} repeats its last batch`);
    return result;
  }

  /** The producer has lost a batch on the way. */
  skip(id: number): AppendResult | undefined {
    const last = lastOfProducers(from(this.contents, this.#knownFrom())).get(id);
    if (last === undefined) return undefined;
    const sequence = incrementSequence(lastSequence(last.bytes), 2);
    const buffer = buildBatch({ records: [{ timestamp: this.nowMs, value: Buffer.from('gap') }], producerId: id, producerEpoch: epochOfProducer(last.bytes), baseSequence: sequence, isTransactional: last.isTransactional });
    const result = this.log.append(buffer, { leaderEpoch: this.epoch, nowMs: this.nowMs, origin: 'client' });
    assert.equal(result.error, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, `producer ${id} leaves a gap`);
    return result;
  }

  /** Ends the producer's transaction. */
  appendMarker(producerId: number, type: 'commit' | 'abort'): AppendResult {
    const last = lastOfProducers(this.contents).get(producerId);
    const epoch = last === undefined ? 0 : epochOfProducer(last.bytes);
    const value = Buffer.alloc(6);
    const buffer = buildBatch({
      records: [{ timestamp: this.nowMs + this.log.logEndOffset * 10, key: encodeControlKey(type === 'abort' ? ControlRecordType.ABORT : ControlRecordType.COMMIT), value }],
      producerId, producerEpoch: epoch, isTransactional: true, isControl: true,
    });
    const result = this.log.append(buffer, { leaderEpoch: this.epoch, nowMs: this.nowMs, origin: 'coordinator' });
    this.#appended(result, buffer);
    return result;
  }

  #appended(result: AppendResult, buffer: Buffer): void {
    if (result.error !== ErrorCode.NONE || result.duplicate) return;
    this.#cutWasMade(result.baseOffset);
    this.contents = [...this.contents, modelBatch(buffer)];
  }

  /** The truncation that was waited for is over, and left the log ending here. */
  #cutWasMade(endOffset: number): void {
    if (this.#waiting === undefined) return;
    if (endOffset !== this.#waiting.cutTo) this.contents = this.#waiting.contents;
    this.#waiting = undefined;
    this.#before = [];
    this.#startBefore = 0;
  }

  async write(): Promise<void> {
    await this.log.write();
    if (!this.log.failed) this.log.advanceHighWatermark(this.log.writtenEndOffset);
  }

  /** Throws a StorageError, like all that follow. */
  async flush(): Promise<void> {
    await this.log.flush();
    this.log.advanceHighWatermark(this.log.writtenEndOffset);
    // The first flush makes the names durable, of an empty log too when there was something to flush.
    if (this.log.recoveryPoint > 0 && this.contents.length > 0) this.#isDurable = true;
  }

  async checkpoint(): Promise<void> {
    const start = this.log.logStartOffset;
    await this.directory.checkpoint();
    this.#startDurable = start;
  }

  deleteRecords(offset: number): void {
    assert.equal(this.log.advanceLogStartOffset(offset), ErrorCode.NONE);
    this.logStart = this.log.logStartOffset;
  }

  /** Retention, and the removal that the owner would do later. */
  retain(): void {
    for (const path of this.log.applyRetention(this.nowMs)) this.disk.unlink(path);
    this.logStart = this.log.logStartOffset;
  }

  /** While it runs, both the log as it was and the log cut may be found; afterwards only the latter, if nothing failed. */
  async truncate(offset: number): Promise<void> {
    if (this.log.failure !== undefined) throw this.log.failure;
    if (this.#waiting !== undefined) {
      await this.log.flush();
      this.#cutWasMade(this.log.logEndOffset);
    }
    await this.write();
    const before = this.allowed();
    const contents = cutAt(this.contents, offset);
    const end = this.contents.find(({ baseOffset, lastOffset }) => baseOffset <= offset && offset <= lastOffset)?.baseOffset ?? Math.min(offset, this.log.logEndOffset);
    this.#flushed = Math.min(this.#flushed, end);
    this.#before = [{ ...before, startMin: Math.min(before.startMin, end), flushed: Math.min(before.flushed, end), written: Math.min(before.written, end) }];
    this.contents = contents;
    this.#startDurable = Math.min(this.#startDurable, end);
    try {
      await this.log.truncateTo(offset, this.nowMs);
      this.#before = [];
      this.#startBefore = 0;
    } catch (error) {
      this.#startBefore = before.startMax;
      // The cut is made before the next append, unless it came to nothing before it began.
      if (isPassing(error)) {
        this.#waiting = { contents: before.contents, cutTo: end };
        throw error;
      }
      this.isHalfCut = this.log.failed;
      // Before the cut or after it: the log says which; on the disk either may be found.
      if (this.log.writtenEndOffset > end) {
        this.#cutAsked = end;
        this.#before = [{ ...this.allowed(), contents }];
        this.contents = before.contents;
        this.#flushed = Math.min(before.flushed, this.log.recoveryPoint);
      }
      throw error;
    }
  }

  async startAt(offset: number): Promise<void> {
    if (this.log.failure !== undefined) throw this.log.failure;
    await this.write();
    const before = this.allowed();
    // Whatever is left of the old log may be found, in whatever state, until the new one is there.
    this.#before = [{ ...before, startMin: 0, flushed: 0, written: 0 }, { ...before, contents: [], startMin: 0, startMax: Math.max(offset, before.startMax), flushed: 0, written: 0 }];
    this.#flushed = 0;
    this.contents = [];
    this.#startDurable = 0;
    try {
      await this.log.truncateFullyAndStartAt(offset, this.nowMs);
      this.#before = [];
      this.#startDurable = offset;
      this.#startBefore = 0;
    } catch (error) {
      this.#startBefore = before.startMax;
      this.isHalfCut = true;
      if (this.log.writtenEndOffset !== offset) this.contents = before.contents;
      throw error;
    }
  }

  /**
   * The power goes after that call, and comes back: what is left is judged, and the world goes on with it. The log is closed afterwards.
   * What runs in the background must have ended.
   */
  async crash(boundary: number, outcome: Outcome, seed: number): Promise<void> {
    const expectation = this.disk.observedAt(boundary);
    const image = this.disk.image(boundary, outcome);
    const { contents, hasTopicId, startOffset, endOffset } = await judge(image, { config: this.config, expectation, isKill: outcome === 'everything', seed }).catch((error: Error) => {
      const files = [...contentsOf(image)].map(([path, bytes]) => `${path} ${bytes.length}`).join('\n  ');
      throw new Error(`${error.message}\n${this.disk.transcript(boundary, 80)}\nleft, ${showOutcome(outcome)}:\n  ${files}`, { cause: error });
    });
    this.disk = new CrashDisk<Expectation>({ from: image, observe: () => this.expectation() });
    this.#isOpen = false;
    this.#before = [];
    this.#waiting = undefined;
    this.#cutAsked = Infinity;
    this.#startBefore = 0;
    this.contents = contents ?? [];
    // All that is there now is on the disk.
    this.#isDurable = hasTopicId;
    this.#flushed = endOffset;
    this.#writtenBefore = endOffset;
    this.#startDurable = startOffset;
    this.logStart = startOffset;
  }

  /** Compares the running log with its model. */
  async check(seed: number): Promise<void> {
    await this.write();
    const end = endOf(this.contents, this.log.logStartOffset);
    const allowed = { contents: this.contents, startMin: this.logStart, startMax: this.logStart, deletedUpTo: this.#deletedUpTo, flushed: end, written: end };
    await judgeLog(this.log, { config: this.config, expectation: { isDurable: true, allowed: [allowed] }, isKill: false, seed });
  }

  /** The process is killed; what it has handed to the system stays. */
  kill(): void {
    this.allowed();
    this.disk.kill();
    this.contents = cutAt(this.contents, this.#writtenBefore);
    this.#isOpen = false;
  }

  async close(): Promise<void> {
    await this.directory.close(7);
    this.#flushed = this.log.logEndOffset;
    this.#startDurable = this.log.logStartOffset;
    this.#writtenBefore = this.log.writtenEndOffset;
    this.logStart = this.log.logStartOffset;
    if (this.contents.length > 0) this.#isDurable = true;
    this.#isOpen = false;
  }
}

/** Runs what may fail of the disk's faults. Any other error is one of ours. */
export async function tolerate(run: () => Promise<unknown> | unknown): Promise<Error | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    if (error instanceof DiskError || error instanceof StorageError) return error;
    throw error;
  }
}

function epochOfProducer(bytes: Buffer): number {
  return producerEpoch(bytes, 0);
}

function lastSequence(bytes: Buffer): number {
  return lastSequenceAt(bytes, 0);
}

function openDirectory(disk: CrashDisk<any>, uuid: () => string): LogDirectory {
  return LogDirectory.open({ disk, path: ROOT, uuid, openFilesMax: 64 });
}

export interface Judgement {
  /** The disk on which the log was opened, with the journal of its recovery. */
  readonly disk: CrashDisk<Expectation>;
  /** How many changes the recovery has made to it, what readers made it write included. */
  readonly recoveryChanges: number;
  /** What the log holds; undefined when there is none. */
  readonly contents: Contents | undefined;
  readonly hasTopicId: boolean;
  readonly startOffset: number;
  readonly endOffset: number;
}

export interface JudgeOptions {
  readonly config: LogConfig;
  readonly expectation: Expectation;
  /** The process was killed, the machine went on: all that was written is there. */
  readonly isKill: boolean;
  readonly seed: number;
  /** Also appends to the log found, flushes, closes it and opens it again. */
  readonly goOn?: boolean;
}

/** Opens the image and throws when what it finds is not allowed. */
export async function judge(image: MemoryDisk, options: JudgeOptions): Promise<Judgement> {
  const { config, expectation } = options;
  const disk = new CrashDisk<Expectation>({ from: image, observe: () => expectation });
  const directory = openDirectory(disk, () => TOPIC_ID);
  const found = directory.found.find(({ topic }) => topic === TOPIC);
  if (found === undefined) {
    assert(!expectation.isDurable, 'the partition is gone');
    return { disk, recoveryChanges: disk.boundaries, contents: undefined, hasTopicId: false, startOffset: 0, endOffset: 0 };
  }
  if (expectation.isDurable) assert.equal(directory.topicIdOf(found), TOPIC_ID, 'topic id');
  const log = directory.openLog(found, { config, nowMs: 2_000_000 });
  log.advanceHighWatermark(log.logEndOffset);
  const contents = await judgeLog(log, options);
  await judgeSecondRecovery(disk, log, options);
  const recoveryChanges = disk.boundaries;
  const { logStartOffset: startOffset, logEndOffset: endOffset } = log;
  if (options.goOn === true) await goOn(disk, directory, log, contents, Math.max(startOffset, ...options.expectation.allowed.map(({ deletedUpTo }) => deletedUpTo)));
  return { disk, recoveryChanges, contents, hasTopicId: directory.topicIdOf(found) === TOPIC_ID, startOffset, endOffset };
}

/** Returns what the log holds, as the model has it. */
async function judgeLog(log: Log, { expectation, isKill, seed }: JudgeOptions): Promise<Contents> {
  const start = log.logStartOffset;
  const end = log.logEndOffset;
  const found = await readBatches(log);
  const fits = ({ contents, startMin, startMax, flushed, written }: Allowed): string | undefined => {
    if (start < startMin || start > startMax) return `starts at ${start}, not in [${startMin}, ${startMax}]`;
    if (end < (isKill ? written : flushed)) return `ends at ${end}, ${isKill ? 'written' : 'flushed'} was ${isKill ? written : flushed}`;
    const expected = from(cutAt(contents, end), start);
    if (endOf(expected, start) !== end) return `ends at ${end}, inside of a batch`;
    if (found.length !== expected.length) return `holds the batches ${found.map(({ baseOffset }) => baseOffset).join(' ')}, not ${expected.map(({ baseOffset }) => baseOffset).join(' ')}`;
    const wrong = expected.findIndex(({ bytes }, index) => !bytes.equals(found[index]!.buffer));
    return wrong < 0 ? undefined : `holds another batch at ${expected[wrong]!.baseOffset}`;
  };
  const misfits = expectation.allowed.map(fits);
  const which = misfits.indexOf(undefined);
  assert(which >= 0, `the log ${misfits.join(', and ')}`);
  const contents = cutAt(expectation.allowed[which]!.contents, end);

  // Everything else follows from the batches.
  const visible = from(contents, start);
  // Of an epoch that has no batch left the history may know or not: it is in the file, or was to be found again in the batches. An epoch that a log
  // which has been begun anew did not have may still be in the file, too.
  const epochs = log.epochs.entries;
  const last = visible.length === 0 ? epochs : epochsOf(visible, start);
  if (!isDeepStrictEqual(epochs, last)) assert.deepEqual(epochs, epochsOf(contents, start), 'leader epochs');
  assert(epochs.every(({ startOffset }) => startOffset >= start && startOffset <= end), 'an epoch that begins outside of the log');
  assert(log.recoveryPoint <= end, 'the recovery point is beyond the end');
  assert.equal(log.recovery.batchesCorrupt, 0, 'corrupt batches');
  assert.equal(log.sizeBytes >= visible.reduce((sum, { bytes }) => sum + bytes.length, 0), true, 'size');
  // Of a transaction that began before the log start the log may know, or not any more: it is in a snapshot, or was to be found in the batches.
  const stable = log.lastStableOffset;
  const known = Math.max(start, Math.min(expectation.allowed[which]!.deletedUpTo, end));
  const [least, most] = [contents, from(contents, known)].map((of) => Math.max(start, stableOffset(of, end)));
  assert(stable >= least! && stable <= most!, `the last stable offset is ${stable}, not in [${least}, ${most}]`);
  const committed = committedOnly(await readBatches(log, { endOffset: stable }), log.abortedTransactions(start, stable)).flatMap(dataRecords).map(({ offset }) => offset);
  assert.deepEqual(committed.filter((offset) => offset >= known), committedOffsets(visible, known, stable), 'committed records');
  const random = new Seeded(seed);
  for (let round = 0; round < 4 && visible.length > 0; round++) {
    const { records } = random.pick(visible);
    const { timestamp } = random.pick(records);
    for (const timestampMs of [timestamp, timestamp + 1]) {
      const known = offsetForTimestamp(visible, start, timestampMs);
      const answer = await log.offsetForTimestamp(timestampMs);
      assert.deepEqual(answer && { offset: answer.offset, timestampMs: answer.timestampMs }, known, `offset for timestamp ${timestampMs}`);
    }
    const at = start + random.below(end - start);
    const [first] = await readBatches(log, { from: at, maxBytes: 300, endOffset: at + 1 });
    assert(first !== undefined && first.baseOffset <= at && at <= first.lastOffset, `reading at ${at}`);
  }
  return contents;
}

/** More starts, each right after the one before was killed: they must find nothing left to do. What a clean start did not look at, the next one may tidy. */
async function judgeSecondRecovery(disk: CrashDisk<Expectation>, log: Log, { config }: JudgeOptions): Promise<void> {
  let first = disk;
  const starts = log.recovery.segmentsScanned === 0 ? 2 : 1;
  for (let start = 1; start <= starts; start++) {
    const again = new CrashDisk<Expectation>({ from: first.image(first.boundaries, 'everything') });
    const directory = openDirectory(again, () => TOPIC_ID);
    const second = directory.openLog(directory.found.find(({ topic }) => topic === TOPIC)!, { config, nowMs: 2_000_000 });
    assert.deepEqual([second.logStartOffset, second.logEndOffset], [log.logStartOffset, log.logEndOffset], 'a second recovery finds other offsets');
    await readBatches(second);
    if (start === starts) assertSame(contentsOf(first.live), contentsOf(again.live), log.logStartOffset);
    first = again;
  }
}

function assertSame(before: Map<string, Buffer>, after: Map<string, Buffer>, logStartOffset: number): void {
  for (const path of new Set([...before.keys(), ...after.keys()])) {
    if (path.endsWith('/.lock')) continue;
    assert(before.has(path), `a second recovery makes ${path}`);
    // Which damaged snapshots a recovery comes upon, and removes, depends on where the sound ones are.
    if (path.endsWith('.snapshot') && !after.has(path) && decodeProducerSnapshot(before.get(path)!).status !== 'ok') continue;
    // Where a transaction began that lost its first batches to the log start depends on them too; what readers leave out is the same.
    if (path.endsWith('.txnindex') && logStartOffset > 0) continue;
    assert(after.has(path), `a second recovery removes ${path}`);
    assert(before.get(path)!.equals(after.get(path)!), `a second recovery changes ${path}`);
  }
}

/** What was found is a log like any other: it knows its producers, takes more, and is there after a clean stop. */
async function goOn(disk: CrashDisk<Expectation>, directory: LogDirectory, log: Log, contents: Contents, knownFrom: number): Promise<void> {
  const options = { leaderEpoch: 1_000, nowMs: 3_000_000, origin: 'client' } as const;
  for (const [producerId, last] of lastOfProducers(from(contents, knownFrom))) {
    const again = log.append(Buffer.from(last.bytes), options);
    assert.deepEqual([again.error, again.duplicate, again.baseOffset, again.lastOffset], [ErrorCode.NONE, true, last.baseOffset, last.lastOffset], `producer ${producerId} repeats its last batch`);
    const next = buildBatch({
      records: [{ timestamp: 3_000_000, value: Buffer.from('next') }], producerId, producerEpoch: epochOfProducer(last.bytes),
      baseSequence: incrementSequence(lastSequence(last.bytes), 1), isTransactional: last.isTransactional,
    });
    assert.equal(log.append(next, options).error, ErrorCode.NONE, `producer ${producerId} goes on`);
  }
  const plain = log.append(buildBatch({ records: [{ timestamp: 3_000_000, value: Buffer.from('after the crash') }] }), options);
  assert.equal(plain.error, ErrorCode.NONE);
  await log.flush();
  assert.equal(log.recoveryPoint, log.logEndOffset);
  const whole = await readBatches(log);
  assert.equal(whole.at(-1)!.lastOffset, plain.lastOffset);
  await directory.close();
  // A clean stop survives the loss of power.
  const reopened = openDirectory(new CrashDisk({ from: disk.image(disk.boundaries, 'nothing') }), () => TOPIC_ID);
  assert.equal(reopened.cleanShutdown, true, 'the mark of a clean shutdown');
  const second = reopened.openLog(reopened.found.find(({ topic }) => topic === TOPIC)!, { config: log.config, nowMs: 4_000_000 });
  assert.deepEqual([second.logStartOffset, second.logEndOffset], [log.logStartOffset, log.logEndOffset], 'offsets after a clean stop');
  const found = await readBatches(second);
  assert.deepEqual(found.map(({ baseOffset }) => baseOffset), whole.map(({ baseOffset }) => baseOffset));
  const left = found.map(({ buffer }) => modelBatch(buffer));
  for (const [producerId, last] of lastOfProducers(left)) {
    assert.equal(second.append(Buffer.from(last.bytes), options).duplicate, true, `producer ${producerId} repeats its last batch after a clean stop`);
  }
  // Cut back, it knows of producers what the batches say that are left, and nothing that a snapshot of another time does.
  const cut = left[Math.floor((left.length * 2) / 3)]!.baseOffset;
  second.advanceHighWatermark(second.logEndOffset);
  await second.truncateTo(cut, 5_000_000);
  if (second.logStartOffset === 0) assert.equal(second.lastStableOffset, stableOffset(cutAt(left, cut), cut), 'last stable offset after a cut');
  for (const [producerId, last] of lastOfProducers(from(cutAt(left, cut), knownFrom))) {
    assert.equal(second.append(Buffer.from(last.bytes), options).duplicate, true, `producer ${producerId} repeats its last batch after a cut`);
  }
}
