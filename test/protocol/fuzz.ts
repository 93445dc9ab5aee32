/**
 * A seeded fuzzer that knows the structure of messages. It makes values from the declarations, checks that they come back from their bytes, and
 * damages the bytes, mostly where lengths, counts and tags are.
 *
 * Promises: the same seed gives the same frames. A damaged frame must be refused with a RangeError or decode to something that comes back from its
 * own encoding; anything else is reported with the frame and the seed that made it. Keeps nothing from one frame to the next.
 */
import { isDeepStrictEqual } from 'node:util';
import { decode, encode } from '../../protocol/compile.ts';
import { inRange, versionRange } from '../../protocol/schema.ts';
import type { AnyField, AnyMessage, Fields } from '../../protocol/schema.ts';
import { INT64_SATURATED, Reader } from '../../protocol/reader.ts';
import { Writer } from '../../protocol/writer.ts';
import { bytesFor, positionsOf } from './positions.ts';
import type { Position } from './positions.ts';

export interface FuzzResult {
  readonly frames: number;
  /** Damaged frames that were refused. */
  readonly refused: number;
  /** Damaged frames that were valid all the same. */
  readonly accepted: number;
  /** What went wrong: nothing is right. */
  readonly findings: readonly string[];
}

const DAMAGED_PER_FRAME = 24;
const FINDINGS_MAX = 10;

/** Runs through the messages in turn until so many frames, whole or damaged, have been decoded. */
export function fuzz(messages: readonly AnyMessage[], frames: number, seed: number): FuzzResult {
  const random = new Random(seed);
  const versions = messages.flatMap((message) => {
    const all = [];
    for (let version = message.versions.min; version <= message.versions.max; version++) all.push({ message, version });
    return all;
  });
  let done = 0;
  let refused = 0;
  let accepted = 0;
  const findings: string[] = [];
  while (done < frames && findings.length < FINDINGS_MAX) {
    const { message, version } = versions[random.below(versions.length)]!;
    const report = (what: string, frame: Buffer) => {
      findings.push(`seed ${seed}: ${message.name} v${version}: ${what}: ${frame.toString('hex').slice(0, 2000)}`);
    };
    const value = new ValueMaker(random, version).struct(message.fields, inRange(message.flexible, version));
    const frame = encoded(message, version, value);
    done++;
    if (!comesBack(message, version, frame, report)) continue;
    const positions = positionsOf(message, version, frame);
    for (let i = 0; i < DAMAGED_PER_FRAME && done < frames; i++) {
      const damaged = damage(random, frame, positions);
      done++;
      if (comesBack(message, version, damaged, report)) accepted++;
      else refused++;
    }
  }
  return { frames: done, refused, accepted, findings };
}

function encoded(message: AnyMessage, version: number, value: any): Buffer {
  const writer = new Writer();
  encode(message, version, value, writer);
  return Buffer.concat(writer.finish());
}

/** Whether the frame decodes; reports all that must not be, among it a value that its own encoding does not give back. */
function comesBack(message: AnyMessage, version: number, frame: Buffer, report: (what: string, frame: Buffer) => void): boolean {
  let value: any;
  const reader = new Reader(frame);
  try {
    value = decode(message, version, reader);
  } catch (error) {
    if (!(error instanceof RangeError)) report(`decoding ends in ${String(error)}`, frame);
    return false;
  }
  if (reader.position > frame.length) report(`decoding read up to ${reader.position} of ${frame.length}`, frame);
  let again: Buffer;
  try {
    again = encoded(message, version, value);
  } catch (error) {
    // A saturated int64 is refused by design.
    if (!(error instanceof TypeError) || !hasSaturated(value)) report(`what was decoded does not encode: ${String(error)}`, frame);
    return true;
  }
  if (!isDeepStrictEqual(decode(message, version, new Reader(again)), value)) report('what was decoded does not come back', frame);
  return true;
}

function hasSaturated(value: any): boolean {
  if (typeof value === 'number') return Math.abs(value) === INT64_SATURATED;
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return false;
  return Object.values(value).some(hasSaturated);
}

/** mulberry32: 32 bits of state, good enough to choose by, the same everywhere. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  oneOf<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** True once in so many times. */
  once(inTimes: number): boolean {
    return this.below(inTimes) === 0;
  }
}

const ODD_STRINGS = ['', '\ufeffbom', 'nul\0nul', 'ž', '日本', '🎣', '\u2028', '\ufffd', '__proto__'];
const STRINGS = [...ODD_STRINGS, 'a', 'topic-1', 'x'.repeat(127), 'x'.repeat(128), 'ä'.repeat(64)];
const UUIDS = ['AAAAAAAAAAAAAAAAAAAAAA', 'AAAAAAAAAAAAAAAAAAAAAQ', '_____________________w', 'GHdWVuDG78oaW2lQ7mbBzA'];

/** Values of declared fields, valid in one version. */
class ValueMaker {
  readonly #random: Random;
  readonly #version: number;
  /** Elements that the value may still have, so that nested arrays do not multiply. */
  #elementsLeft = 60;

  constructor(random: Random, version: number) {
    this.#random = random;
    this.#version = version;
  }

  struct(fields: Fields, isFlexible: boolean): any {
    const value: any = {};
    for (const [name, field] of Object.entries(fields)) {
      if (!inRange(versionRange(field.taggedVersions ?? field.versions), this.#version)) continue;
      if (field.tag !== undefined && this.#random.once(2)) continue;
      value[name] = this.#field(field, isFlexible);
    }
    return value;
  }

  #field(field: AnyField, isFlexible: boolean): any {
    const random = this.#random;
    if (field.nullableVersions !== undefined && inRange(versionRange(field.nullableVersions), this.#version) && random.once(4)) return null;
    switch (field.kind) {
      case 'int8':
        return random.oneOf([0, 1, -1, 127, -128, random.below(256) - 128]);
      case 'int16':
        return random.oneOf([0, 1, -1, 32767, -32768, random.below(65536) - 32768]);
      case 'uint16':
        return random.oneOf([0, 1, 65535, random.below(65536)]);
      case 'int32':
        return random.oneOf([0, 1, -1, 2 ** 31 - 1, -(2 ** 31), random.below(2 ** 32) - 2 ** 31]);
      case 'uint32':
        return random.oneOf([0, 1, 2 ** 32 - 1, random.below(2 ** 32)]);
      case 'int64':
        return random.oneOf([0, 1, -1, 2 ** 53 - 1, 1 - 2 ** 53, 2 ** 32, -(2 ** 32), random.below(2 ** 50)]);
      case 'int64Exact':
        return random.oneOf([0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), BigInt(random.below(2 ** 50))]);
      case 'float64':
        return random.oneOf([0, -0, 1.5, -1e300, Infinity, NaN, 5e-324]);
      case 'bool':
        return random.once(2);
      case 'uuid':
        return random.oneOf(UUIDS);
      case 'string':
        return random.oneOf(STRINGS);
      case 'bytes':
      case 'records':
        return Buffer.alloc(random.oneOf([0, 1, 61, 127, 128, 1500]), random.below(256));
      case 'array': {
        const count = Math.min(this.#elementsLeft, random.oneOf([0, 1, 1, 2, 3, random.below(20)]));
        this.#elementsLeft -= count;
        return Array.from({ length: count }, () => this.#field(field.element!, isFlexible));
      }
      default:
        return this.struct(field.fields!, isFlexible);
    }
  }
}

const NUMBERS = [-1, 0, 1, 2, 127, 128, 255, 256, 16383, 16384, 32767, 65535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2];

/** The frame with one to three things wrong with it. The first may know where the numbers are; after it the positions hold no more. */
function damage(random: Random, frame: Buffer, positions: readonly Position[]): Buffer {
  let damaged = frame;
  if (positions.length > 0 && !random.once(4)) {
    const position = random.oneOf(positions);
    const near = position.value + random.oneOf([-1, 1, 2, random.below(64)]);
    const value = Math.max(-1, random.once(2) ? near : random.oneOf(NUMBERS));
    const bytes = bytesFor(position, position.form === 'varint' ? Math.max(0, value) : value);
    damaged = Buffer.concat([frame.subarray(0, position.at), bytes, frame.subarray(position.at + position.bytes)]);
    if (random.once(2)) return damaged;
  }
  for (let times = 1 + random.below(3); times > 0; times--) damaged = blindDamage(random, damaged);
  return damaged;
}

function blindDamage(random: Random, frame: Buffer): Buffer {
  if (frame.length === 0) return Buffer.from([random.below(256)]);
  const at = random.below(frame.length);
  switch (random.below(6)) {
    case 0:
      return frame.subarray(0, at);
    case 1: {
      const copy = Buffer.from(frame);
      copy[at]! ^= 1 << random.below(8);
      return copy;
    }
    case 2: {
      const copy = Buffer.from(frame);
      copy[at] = random.oneOf([0, 1, 127, 128, 255, random.below(256)]);
      return copy;
    }
    case 3: {
      const length = 1 + random.below(8);
      return Buffer.concat([frame.subarray(0, at), frame.subarray(Math.min(frame.length, at + length))]);
    }
    case 4: {
      const piece = frame.subarray(at, at + 1 + random.below(16));
      return Buffer.concat([frame.subarray(0, at), piece, frame.subarray(at)]);
    }
    default: {
      // Tagged fields that nobody knows, or that somebody knows, in front of what was there.
      const tags = Buffer.from([1 + random.below(3), random.below(4), random.below(6), random.below(256)]);
      return Buffer.concat([frame.subarray(0, at), tags, frame.subarray(at)]);
    }
  }
}
