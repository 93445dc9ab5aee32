/**
 * The few bytes before a message that lies in a log: which type and version it is.
 *
 *   coordinator key     type:int16  key, always version 0 of its message
 *   coordinator value   version:int16  value
 *   versioned           version:int16  message             consumer protocol, principal, transaction markers, keys of control records
 *   framed              1:varint  type:varint  version:varint  message            metadata log, tiered storage
 *
 * Promises: what is unknown or ill-formed is a RangeError, except where Kafka goes on (said at each function). Bytes in a decoded value are
 * views of the buffer. Does not touch record batches.
 */
import { decode, encode } from '../compile.ts';
import { inRange } from '../schema.ts';
import type { AnyMessage, Input, Value } from '../schema.ts';
import { Reader } from '../reader.ts';
import { Writer } from '../writer.ts';

/** A type of record of a coordinator's topic. */
export interface CoordinatorRecordType<N extends string = string, K extends AnyMessage = AnyMessage, V extends AnyMessage = AnyMessage> {
  readonly name: N;
  readonly type: number;
  readonly key: K;
  readonly value: V;
}
export type CoordinatorRecordTypes = { readonly [name: string]: CoordinatorRecordType<string, any, any> };

type Named<T> = {
  readonly [N in keyof T & string]: T[N] extends { key: infer K extends AnyMessage; value: infer V extends AnyMessage }
    ? CoordinatorRecordType<N, K, V>
    : never;
};

/** Gives each type of record its name. */
export function coordinatorRecords<T extends { readonly [name: string]: { type: number; key: AnyMessage; value: AnyMessage } }>(types: T): Named<T> {
  return Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { ...type, name }])) as unknown as Named<T>;
}

/** A record of a coordinator's topic: switch on its `name`. A null value takes back what the key stands for. */
export type CoordinatorRecord<T extends CoordinatorRecordTypes> = {
  [N in keyof T]: {
    readonly name: T[N]['name'];
    readonly key: Value<T[N]['key']>;
    readonly value: Value<T[N]['value']> | null;
    /** The version of the value; undefined where it is null. */
    readonly version: number | undefined;
  };
}[keyof T];

export function encodeCoordinatorKey<K extends AnyMessage>(type: CoordinatorRecordType<string, K, any>, key: Input<K>): Buffer {
  const writer = new Writer();
  writer.int16(type.type);
  encode(type.key, 0, key, writer);
  return writer.finishCopy();
}

export function encodeCoordinatorValue<V extends AnyMessage>(type: CoordinatorRecordType<string, any, V>, version: number, value: Input<V>): Buffer {
  return encodeVersioned(type.value, version, value);
}

/** The type and the key of a record; undefined for a type that nobody knows, which Kafka's coordinators skip. */
export function decodeCoordinatorKey<T extends CoordinatorRecordTypes>(
  types: T,
  buffer: Buffer,
): { [N in keyof T]: { readonly name: T[N]['name']; readonly type: T[N]; readonly key: Value<T[N]['key']> } }[keyof T] | undefined {
  const reader = new Reader(buffer);
  const number = reader.int16();
  for (const type of Object.values(types)) {
    if (type.type === number) return { name: type.name, type, key: decode(type.key, 0, reader) } as never;
  }
  return undefined;
}

/** A version that is unknown is a RangeError: Kafka's coordinators refuse to load it too. */
export function decodeCoordinatorValue<V extends AnyMessage>(
  type: CoordinatorRecordType<string, any, V>,
  buffer: Buffer,
): { version: number; value: Value<V> } {
  const reader = new Reader(buffer);
  const version = knownVersion(type.value, reader.int16());
  return { version, value: decode(type.value, version, reader) };
}

/** A whole record; undefined for a type that nobody knows. */
export function decodeCoordinatorRecord<T extends CoordinatorRecordTypes>(types: T, key: Buffer, value: Buffer | null): CoordinatorRecord<T> | undefined {
  const decoded = decodeCoordinatorKey(types, key);
  if (decoded === undefined) return undefined;
  const body = value === null ? { version: undefined, value: null } : decodeCoordinatorValue(decoded.type, value);
  return { name: decoded.name, key: decoded.key, ...body } as never;
}

/** int16 version before the message. */
export function encodeVersioned<M extends AnyMessage>(message: M, version: number, value: Input<M>): Buffer {
  const writer = new Writer();
  writer.int16(version);
  encode(message, version, value, writer);
  return writer.finishCopy();
}

/** A version from the future is read as the newest known, and what it has behind that is left unread: Kafka's rule for the consumer protocol. */
export function decodeVersioned<M extends AnyMessage>(message: M, buffer: Buffer): { version: number; value: Value<M> } {
  const reader = new Reader(buffer);
  const version = reader.int16();
  return { version, value: decode(message, knownVersion(message, Math.min(version, message.versions.max)), reader) };
}

/** A type of record that is framed. */
export interface FramedType {
  readonly type: number;
  readonly message: AnyMessage;
}
export type FramedTypes = { readonly [name: string]: FramedType };
export type FramedInput<T extends FramedTypes, N extends keyof T> = Input<T[N]['message']>;
export type DecodedFramed<T extends FramedTypes> = {
  [N in keyof T]: { readonly name: N; readonly type: T[N]['type']; readonly version: number; readonly value: Value<T[N]['message']> };
}[keyof T];

const FRAME_VERSION = 1;

export function encodeFramed<T extends FramedTypes, N extends keyof T & string>(types: T, name: N, version: number, value: FramedInput<T, N>): Buffer {
  const { type, message } = types[name]!;
  const writer = new Writer();
  writer.unsignedVarint(FRAME_VERSION);
  writer.unsignedVarint(type);
  writer.unsignedVarint(version);
  encode(message, version, value, writer);
  return writer.finishCopy();
}

export function decodeFramed<T extends FramedTypes>(types: T, buffer: Buffer): DecodedFramed<T> {
  const reader = new Reader(buffer);
  const frameVersion = reader.unsignedVarint();
  if (frameVersion !== FRAME_VERSION) throw new RangeError(`record of frame version ${frameVersion}`);
  const number = reader.unsignedVarint();
  const version = reader.unsignedVarint();
  const known = namesByType(types).get(number);
  if (known === undefined) throw new RangeError(`record of unknown type ${number}`);
  const { name, message } = known;
  const value = decode(message, knownVersion(message, version), reader);
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes behind ${name} v${version}`);
  return { name, type: number, version, value } as never;
}

type NamesByType = ReadonlyMap<number, { readonly name: string; readonly message: AnyMessage }>;
const namesByTypes = new WeakMap<FramedTypes, NamesByType>();

/** Made once per list of types: going through the 26 of the metadata log took 3 us of every record, and a start may read 60,000. */
function namesByType(types: FramedTypes): NamesByType {
  let names = namesByTypes.get(types);
  if (names === undefined) {
    names = new Map(Object.entries(types).map(([name, { type, message }]) => [type, { name, message }]));
    namesByTypes.set(types, names);
  }
  return names;
}

function knownVersion(message: AnyMessage, version: number): number {
  if (!inRange(message.versions, version)) throw new RangeError(`${message.name} of unknown version ${version}`);
  return version;
}
