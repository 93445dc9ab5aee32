/**
 * Hostile frames: for every version of every message, every truncation, and every length and count set to what does not fit. All of it must end in
 * a RangeError, before anything is allocated for what is not there.
 */
import { getHeapStatistics } from 'node:v8';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileDecoder } from '../../protocol/compile.ts';
import { Reader } from '../../protocol/reader.ts';
import { messages, vectorLines } from './golden.ts';
import type { MessageLine } from './golden.ts';
import { bytesFor, positionsOf, replaced } from './positions.ts';
import type { Position } from './positions.ts';

interface Sample {
  readonly title: string;
  readonly frame: Buffer;
  readonly positions: readonly Position[];
  readonly decode: (reader: Reader) => any;
}

let samples: Sample[] = [];
const { stackTraceLimit } = Error;

beforeAll(() => {
  // Stack traces are most of the cost of an error, and here errors are all there is.
  Error.stackTraceLimit = 0;
  samples = (vectorLines('messages.jsonl') as MessageLine[]).map((line) => {
    const message = messages.get(line.type)!;
    const frame = Buffer.from(line.hex, 'hex');
    return {
      title: `${line.type} v${line.version}`,
      frame,
      positions: positionsOf(message, line.version, frame),
      decode: compileDecoder(message, line.version, 'ordinary'),
    };
  });
});

afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

/** 'RangeError', another error's text, or undefined where it decodes. */
function outcome(sample: Sample, frame: Buffer): string | undefined {
  try {
    sample.decode(new Reader(frame));
    return undefined;
  } catch (error) {
    return error instanceof RangeError ? 'RangeError' : String(error);
  }
}

test('the samples have every message and version', () => {
  const versions = [...messages.values()].reduce((sum, message) => sum + message.versions.max - message.versions.min + 1, 0);
  expect(new Set(samples.map((sample) => sample.title)).size).toBe(versions);
});

test('every truncation', () => {
  const wrong = [];
  for (const sample of samples) {
    for (let length = 0; length < sample.frame.length; length++) {
      const got = outcome(sample, Buffer.from(sample.frame.subarray(0, length)));
      if (got !== 'RangeError') wrong.push(`${sample.title} cut to ${length}: ${got}`);
    }
  }
  expect(wrong).toEqual([]);
});

/** Numbers that no bytes can make good, by what they are written as. */
const TOO_LARGE = { int16: [32767], int32: [2 ** 31 - 1], compact: [2 ** 31 - 2, 2 ** 31 - 1, 2 ** 32 - 2], varint: [2 ** 31 - 1, 2 ** 32 - 1] };
const NEGATIVE = { int16: [-1, -2, -32768], int32: [-1, -2, -(2 ** 31)], compact: [-1], varint: [] };

/** The frame with the position set to each hostile value. A tag's number itself is no length. */
function* mutations(sample: Sample): Generator<{ frame: Buffer; value: number; position: Position }> {
  for (const position of sample.positions) {
    if (position.what === 'tag') continue;
    const left = sample.frame.length - position.at - position.bytes;
    const oneMore = Math.floor(left / position.least) + 1;
    const values: number[] = [...TOO_LARGE[position.form], ...NEGATIVE[position.form].filter((value) => value !== -1 || !position.isNullable)];
    if (position.form !== 'int16' || oneMore < 32767) values.push(oneMore);
    for (const value of values) yield { frame: replaced(sample.frame, position, value), value, position };
  }
}

test('every length and count that cannot be', () => {
  const wrong = [];
  let count = 0;
  for (const sample of samples) {
    for (const { frame, value, position } of mutations(sample)) {
      count++;
      const got = outcome(sample, frame);
      if (got !== 'RangeError') wrong.push(`${sample.title}${position.path} ${position.what} ${value}: ${got}`);
    }
  }
  expect(count).toBeGreaterThan(10_000);
  expect(wrong).toEqual([]);
});

test('null, where it is allowed, is no crash', () => {
  const wrong = [];
  for (const sample of samples) {
    for (const position of sample.positions.filter((each) => each.isNullable)) {
      const got = outcome(sample, replaced(sample.frame, position, -1));
      if (got !== undefined && got !== 'RangeError') wrong.push(`${sample.title}${position.path}: ${got}`);
    }
  }
  expect(wrong).toEqual([]);
});

/**
 * What a run allocates, from the growth of the heap: the least of some runs, for compilers and collectors grow and shrink it too.
 */
function allocatedBytes(run: () => void, enoughBytes: number): number {
  let least = Infinity;
  for (let i = 0; i < 10 && least > enoughBytes; i++) {
    const before = getHeapStatistics().used_heap_size;
    run();
    const allocated = getHeapStatistics().used_heap_size - before;
    if (allocated >= 0) least = Math.min(least, allocated);
  }
  return least;
}

test('a count or length that does not fit allocates at most four times the frame', () => {
  // So much lies behind the number that room for one less than it says would be seen.
  const padding = Buffer.alloc(16 * 1024, 0xff);
  const wrong = [];
  for (const sample of samples) {
    for (const position of sample.positions) {
      if (position.what === 'tag' || position.form === 'int16') continue;
      const before = sample.frame.subarray(0, position.at);
      const fitting = Math.floor(padding.length / position.least);
      const values = [fitting + 1, ...TOO_LARGE[position.form]];
      // Here the count fits, but the first string that is counted does not.
      if (position.what === 'count' && position.least === 1 && position.element === 'string') values.push(fitting);
      for (const value of values) {
        const hostile = Buffer.concat([before, bytesFor(position, value), padding]);
        const limit = 4 * hostile.length;
        let ended: string | undefined;
        const allocated = allocatedBytes(() => (ended = outcome(sample, hostile)), limit);
        if (allocated > limit) wrong.push(`${sample.title}${position.path} ${value}: ${allocated} bytes for ${hostile.length}`);
        if (ended !== 'RangeError') wrong.push(`${sample.title}${position.path} ${value}: ${ended}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test('no message has an element that takes no bytes', () => {
  expect(samples.flatMap((sample) => sample.positions.filter((position) => position.what === 'count' && position.least === 0))).toEqual([]);
});
