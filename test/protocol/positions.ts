/**
 * Where the lengths and counts of a frame lie: a reader of declarations that compiles nothing and shares no code with the compiler, so that the
 * hostile tests and the fuzzer know where to hit, and a second opinion on what a valid frame is.
 */
import { inRange, versionRange } from '../../protocol/schema.ts';
import type { AnyField, AnyMessage, Fields, Kind } from '../../protocol/schema.ts';

export interface Position {
  readonly path: string;
  readonly at: number;
  /** Bytes that the number takes: 2 or 4, or 1 to 5 of a varint. */
  readonly bytes: number;
  /** How the number is written. A compact length is one more than it says. */
  readonly form: 'int16' | 'int32' | 'compact' | 'varint';
  readonly what: 'length' | 'count' | 'tag count' | 'tag' | 'tag size';
  readonly isNullable: boolean;
  /** The number as it means: -1 for null. */
  readonly value: number;
  /** Fewest bytes of what is counted. */
  readonly least: number;
  /** What is counted, where it is elements. */
  readonly element: Kind | undefined;
}

/** All of them, in the order of a valid frame of the message. */
export function positionsOf(message: AnyMessage, version: number, frame: Buffer): Position[] {
  const walk = new Walk(frame, version);
  walk.struct(message.fields, inRange(message.flexible, version), '');
  if (walk.at !== frame.length) throw new Error(`${message.name} v${version} has ${frame.length} bytes, ${walk.at} were walked`);
  return walk.positions;
}

/** The bytes that write `value`, as it means, at such a position. */
export function bytesFor(position: Position, value: number): Buffer {
  if (position.form === 'int16') return Buffer.from([(value >> 8) & 255, value & 255]);
  if (position.form === 'int32') return Buffer.from([(value >> 24) & 255, (value >> 16) & 255, (value >> 8) & 255, value & 255]);
  return varintBytes(position.form === 'compact' ? value + 1 : value);
}

function varintBytes(value: number): Buffer {
  const bytes = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}

/** The frame with another number at a position. */
export function replaced(frame: Buffer, position: Position, value: number): Buffer {
  return Buffer.concat([frame.subarray(0, position.at), bytesFor(position, value), frame.subarray(position.at + position.bytes)]);
}

const FIXED = new Map([
  ['int8', 1],
  ['bool', 1],
  ['int16', 2],
  ['uint16', 2],
  ['int32', 4],
  ['uint32', 4],
  ['int64', 8],
  ['int64Exact', 8],
  ['float64', 8],
  ['uuid', 16],
]);

class Walk {
  at = 0;
  readonly positions: Position[] = [];
  readonly #frame: Buffer;
  readonly #version: number;

  constructor(frame: Buffer, version: number) {
    this.#frame = frame;
    this.#version = version;
  }

  struct(fields: Fields, isFlexible: boolean, path: string): void {
    const present = Object.entries(fields).filter(([, field]) => inRange(versionRange(field.taggedVersions ?? field.versions), this.#version));
    for (const [name, field] of present) if (field.tag === undefined) this.#field(field, isFlexible, `${path}.${name}`, false);
    if (!isFlexible) return;
    const tagged = new Map(present.filter(([, field]) => field.tag !== undefined).map(([name, field]) => [field.tag!, { name, field }]));
    for (let left = this.#number('varint', 'tag count', `${path}.tags`, false, 2); left > 0; left--) {
      const tag = this.#number('varint', 'tag', `${path}.tags`, false, 0);
      const size = this.#number('varint', 'tag size', `${path}.tags`, false, 1);
      const end = this.at + size;
      const known = tagged.get(tag);
      if (known === undefined) this.at = end;
      else this.#field(known.field, isFlexible, `${path}.${known.name}`, true);
      if (this.at !== end) throw new Error(`${path}: tag ${tag} ends at ${this.at}, not at ${end}`);
    }
  }

  #field(field: AnyField, flexibleMessage: boolean, path: string, isTagged: boolean): void {
    const isFlexible = flexibleMessage && !field.isInflexible;
    const isNullable = field.nullableVersions !== undefined && inRange(versionRange(field.nullableVersions), this.#version);
    const fixed = FIXED.get(field.kind);
    if (fixed !== undefined) {
      this.at += fixed;
    } else if (field.kind === 'struct') {
      if (isNullable && (isTagged ? this.#frame[this.at++]! === 0 : this.#frame.readInt8(this.at++) < 0)) return;
      this.struct(field.fields!, isFlexible, path);
    } else if (field.kind === 'array') {
      const least = this.#least(field.element!, isFlexible);
      const count = this.#number(isFlexible ? 'compact' : 'int32', 'count', path, isNullable, least, field.element!.kind);
      for (let i = 0; i < count; i++) this.#field(field.element!, isFlexible, path, false);
    } else {
      const form = isFlexible ? 'compact' : field.kind === 'string' ? 'int16' : 'int32';
      const length = this.#number(form, 'length', path, isNullable, 1);
      this.at += Math.max(0, length);
    }
  }

  #least(field: AnyField, isFlexible: boolean): number {
    const fixed = FIXED.get(field.kind);
    if (fixed !== undefined) return fixed;
    if (field.kind !== 'struct') return isFlexible ? 1 : field.kind === 'string' ? 2 : 4;
    let sum = isFlexible ? 1 : 0;
    for (const inner of Object.values(field.fields!)) {
      if (inner.tag !== undefined || !inRange(versionRange(inner.versions), this.#version)) continue;
      const isNullable = inner.nullableVersions !== undefined && inRange(versionRange(inner.nullableVersions), this.#version);
      sum += inner.kind === 'struct' && isNullable ? 1 : this.#least(inner, isFlexible);
    }
    return sum;
  }

  #number(form: Position['form'], what: Position['what'], path: string, isNullable: boolean, least: number, element?: Kind): number {
    const { at } = this;
    let value: number;
    if (form === 'int16') value = this.#frame.readInt16BE(this.at);
    else if (form === 'int32') value = this.#frame.readInt32BE(this.at);
    else {
      value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = this.#frame[this.at++];
        if (byte === undefined) throw new Error(`${path}: the frame ends in a number`);
        value += (byte & 127) * 2 ** shift;
        if (byte < 128) break;
      }
      if (form === 'compact') value--;
    }
    if (form === 'int16' || form === 'int32') this.at += form === 'int16' ? 2 : 4;
    this.positions.push({ path, at, bytes: this.at - at, form, what, isNullable, value, least, element });
    return value;
  }
}
