/**
 * Batches that are damaged at random, by a seed: everything ends in records or in a code, quickly, and the three readers agree. The number of rounds
 * is OTTLA_FUZZ_BATCHES; a failure names its seed, and OTTLA_FUZZ_SEED runs that one alone.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { errorName, KafkaError } from '../../../protocol/errors.ts';
import * as batch from '../../../protocol/record/batch.ts';
import { INCOMPLETE, isIntact, nextBatchBytes, recordsAt } from '../../../protocol/record/batches.ts';
import { buildBatch, type RecordInput } from '../../../protocol/record/build.ts';
import { payloadOf, RecordCursor, readRecords } from '../../../protocol/record/records.ts';
import { storedForm } from '../../../protocol/record/produced.ts';
import { DEFAULT_PRODUCE_RULES, ProducedBatch, validateProduced, type ProduceRules } from '../../../protocol/record/validate.ts';
import { RecordWalk } from '../../../protocol/record/walk.ts';

const ROUNDS = Number(process.env.OTTLA_FUZZ_BATCHES ?? 20_000);
const NOW = 1_760_000_000_000;
const LIMITS = { outputBytesMax: 4 * 1024 * 1024, ratioMax: 1000 };

/** A small generator whose whole state is its seed. */
class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }
  /** 0 to below `n`. */
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) % n;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
  bytes(n: number): Buffer {
    return Buffer.from(Array.from({ length: n }, () => this.below(256)));
  }
}

function someRecord(dice: Dice): RecordInput {
  const field = (): Buffer | null => (dice.below(5) === 0 ? null : dice.bytes(dice.pick([0, 1, 5, 63, 64, 200])));
  return {
    timestamp: NOW + dice.pick([0, 1, -1, 70, 10_000, -(2 ** 31), 2 ** 40]),
    key: field(),
    value: field(),
    headers: Array.from({ length: dice.pick([0, 0, 0, 1, 3]) }, () => ({ key: dice.bytes(dice.below(9)).toString('hex'), value: field() })),
  };
}

function someBatch(dice: Dice): Buffer {
  const withProducer = dice.below(2) === 0;
  const timestampType = dice.below(8) === 0 ? batch.TimestampType.LOG_APPEND_TIME : batch.TimestampType.CREATE_TIME;
  return buildBatch({
    records: Array.from({ length: 1 + dice.below(12) }, () => someRecord(dice)),
    compression: dice.pick(Object.values(batch.CompressionType)),
    timestampType,
    ...(timestampType === batch.TimestampType.LOG_APPEND_TIME ? { maxTimestamp: NOW } : {}),
    ...(withProducer ? { producerId: dice.below(100), producerEpoch: 0, baseSequence: dice.below(1000) } : {}),
  });
}

const INTERESTING = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
const INTERESTING_LENGTHS = [-(2 ** 31), -1, 0, 1, 13, 14, 48, 49, 50, 2 ** 31 - 1];

function damage(dice: Dice, bytes: Buffer): Buffer {
  let damaged = Buffer.from(bytes);
  for (let n = dice.below(4); n > 0 && damaged.length > 0; n--) {
    switch (dice.below(7)) {
      case 0:
        damaged[dice.below(damaged.length)] = dice.pick(INTERESTING);
        break;
      case 1:
        damaged[dice.below(damaged.length)]! ^= 1 << dice.below(8);
        break;
      case 2:
        damaged = damaged.subarray(0, dice.below(damaged.length + 1));
        break;
      case 3:
        damaged = Buffer.concat([damaged, dice.bytes(dice.below(20))]);
        break;
      case 4: {
        const at = dice.below(damaged.length);
        damaged = Buffer.concat([damaged.subarray(0, at), dice.bytes(dice.below(6)), damaged.subarray(at + dice.below(6))]);
        break;
      }
      case 5: {
        const at = dice.pick([batch.BATCH_LENGTH_AT, batch.RECORD_COUNT_AT, batch.LAST_OFFSET_DELTA_AT, batch.BASE_SEQUENCE_AT]);
        if (damaged.length >= at + 4) damaged.writeInt32BE(dice.pick(INTERESTING_LENGTHS), at);
        break;
      }
      case 6:
        if (damaged.length > batch.ATTRIBUTES_AT + 1) damaged[batch.ATTRIBUTES_AT + 1] = dice.below(256);
        break;
    }
  }
  // Damage that the length and the checksum give away would hide the rest: mostly they are put right.
  if (damaged.length >= batch.RECORD_BATCH_OVERHEAD && dice.below(10) > 0) {
    damaged.writeInt32BE(damaged.length - batch.LOG_OVERHEAD, batch.BATCH_LENGTH_AT);
    batch.updateCrc(damaged, 0);
  }
  return damaged;
}

function codeOf(run: () => void): string {
  try {
    run();
    return 'NONE';
  } catch (error) {
    if (error instanceof KafkaError) return errorName(error.code);
    throw error;
  }
}

/** Native buffers are given back on a turn of the event loop, not before. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** What is still held when everything that can be given back was. */
async function heldBytes(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 3; i++) {
    collect();
    await turn();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const found = new ProducedBatch();
const cursor = new RecordCursor(LIMITS);
const walk = new RecordWalk();

function round(seed: number): string {
  const dice = new Dice(seed);
  const bytes = damage(dice, someBatch(dice));
  const before = dice.below(40);
  const buffer = Buffer.concat([dice.bytes(before), bytes, dice.bytes(dice.below(40))]);
  const end = before + bytes.length;
  const rules: ProduceRules = {
    ...DEFAULT_PRODUCE_RULES,
    keysRequired: dice.below(4) === 0,
    timestampAfterMaxMs: dice.pick([3_600_000, Infinity]),
    compression: dice.pick([-1, -1, ...Object.values(batch.CompressionType)]),
    compressedRecords: dice.pick(['inspected', 'inspected', 'trusted']),
    decompression: LIMITS,
  };
  const verdict = errorName(validateProduced(buffer, before, end, 13, rules, NOW, found));
  const size = nextBatchBytes(buffer, before, end);
  if (size > INCOMPLETE && batch.magic(buffer, before) === 2 && isIntact(buffer, before)) checkReaders(buffer, before, verdict, rules);
  else if (size > INCOMPLETE && batch.magic(buffer, before) < 2) codeOf(() => recordsAt(buffer, before, LIMITS));
  return verdict;
}

/** The cursor and the walk take the same batches; what was found valid is read, also in the form in which it is stored. */
function checkReaders(buffer: Buffer, at: number, verdict: string, rules: ProduceRules): void {
  let read = 0;
  let maxTimestamp = -Infinity;
  const byCursor = codeOf(() => {
    for (cursor.open(buffer, at); cursor.next(); read++) maxTimestamp = Math.max(maxTimestamp, batch.baseTimestamp(buffer, at) + cursor.timestampDelta);
  });
  const byWalk = codeOf(() => {
    const payload = payloadOf(buffer, at, LIMITS);
    walk.walk(payload, 0, payload.length, batch.recordCount(buffer, at), batch.baseTimestamp(buffer, at));
  });
  if (batch.recordCount(buffer, at) > 0) {
    expect(byWalk).toBe(byCursor);
    if (byWalk === 'NONE') expect([read, walk.maxTimestamp]).toEqual([batch.recordCount(buffer, at), maxTimestamp]);
  }
  if (verdict !== 'NONE') return;
  if (found.payload !== undefined || found.producedCompression === batch.CompressionType.NONE) expect(byCursor).toBe('NONE');
  if (byCursor !== 'NONE') return;
  const expected = readRecords(buffer, at, LIMITS).map((record) => record.value);
  const stored = storedForm(buffer, at, rules, NOW, found);
  expect(isIntact(stored, 0)).toBe(true);
  expect(readRecords(stored, 0, LIMITS).map((record) => record.value)).toEqual(expected);
}

test(`${ROUNDS} damaged batches`, { timeout: 60_000 + 2 * ROUNDS }, async () => {
  const single = process.env.OTTLA_FUZZ_SEED;
  const seeds = single === undefined ? Array.from({ length: ROUNDS }, (_, i) => i + 1) : [Number(single)];
  const verdicts = new Map<string, number>();
  let slowestMs = 0;
  const heldBefore = await heldBytes();
  for (const [i, seed] of seeds.entries()) {
    if (i % 1000 === 0) await turn();
    const start = process.cpuUsage();
    try {
      const verdict = round(seed);
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    } catch (error) {
      throw new Error(`OTTLA_FUZZ_SEED=${seed}: ${String(error)}`, { cause: error });
    }
    const { user, system } = process.cpuUsage(start);
    slowestMs = Math.max(slowestMs, (user + system) / 1000);
  }
  if (single !== undefined) return;
  // The dice reach every outcome, or they would show nothing.
  for (const verdict of ['NONE', 'INVALID_RECORD', 'CORRUPT_MESSAGE', 'UNKNOWN_SERVER_ERROR', 'INVALID_TIMESTAMP']) expect(verdicts.get(verdict) ?? 0).toBeGreaterThan(ROUNDS / 1000);
  expect(slowestMs).toBeLessThan(1000);
  expect((await heldBytes()) - heldBefore).toBeLessThan(16 * 1024 * 1024);
});
