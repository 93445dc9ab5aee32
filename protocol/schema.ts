/**
 * The language in which every message is declared, once: builders for fields, `message` and `api`, and the static types that follow from a declaration.
 *
 * Promises: field names are Kafka's in camelCase, the order of fields is wire order, version ranges are Kafka's notation ('0-4', '3+', '2'),
 * and a declaration is a plain value without behaviour. Does not read or write bytes (`compile.ts` does) and does not check a declaration
 * beyond what the types say; the golden tests do.
 */
import type { Piece } from './deferred-bytes.ts';

/** Kafka's notation: '3+' from 3 on, '0-4' both ends included, '2' that one alone. */
export type RangeText = `${number}` | `${number}+` | `${number}-${number}`;

/** Both ends included; `max` is Infinity for '3+', and below `min` for 'none'. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** Reads Kafka's notation. */
export function versionRange(text: RangeText | 'none'): VersionRange {
  if (text === 'none') return { min: 0, max: -1 };
  const [from, to] = text.split('-') as [string, string | undefined];
  if (to !== undefined) return { min: Number(from), max: Number(to) };
  return from.endsWith('+') ? { min: Number(from.slice(0, -1)), max: Infinity } : { min: Number(from), max: Number(from) };
}

export function inRange(range: VersionRange, version: number): boolean {
  return version >= range.min && version <= range.max;
}

export type PrimitiveKind =
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'int64Exact'
  | 'uint16'
  | 'uint32'
  | 'float64'
  | 'bool'
  | 'string'
  | 'bytes'
  | 'records'
  | 'uuid';
export type Kind = PrimitiveKind | 'array' | 'struct';

/** What an int64 may have for a default: a number, or all 64 bits as a bigint (the ordinary mode saturates it). */
type DefaultOf<V> = V extends number ? number | bigint : V;

/** Fields of a struct, in wire order. */
export type Fields = { readonly [name: string]: AnyField };
export type AnyField = Field<any, any, boolean>;

/** A field that some versions lack may be left out when encoding; it then holds its default. */
type Limited<R> = R extends '0+' ? false : true;

/**
 * One field. V is the type it decodes to, I the type it encodes from, O whether it may be left out when encoding.
 * Fields are immutable; each method returns a changed copy.
 */
export class Field<V, I, O extends boolean> {
  declare readonly $value: V;
  declare readonly $input: I;
  declare readonly $optional: O;

  readonly kind: Kind;
  readonly versions: RangeText;
  readonly element: AnyField | undefined;
  readonly fields: Fields | undefined;
  readonly nullableVersions: RangeText | undefined;
  /** undefined: the zero of the kind, which is an empty array and a struct of defaults. */
  readonly defaultValue: unknown;
  readonly isIgnorable: boolean;
  readonly tag: number | undefined;
  readonly taggedVersions: RangeText | undefined;
  /** Written the old way in flexible versions too. Only the client id of the request header is. */
  readonly isInflexible: boolean;

  constructor(kind: Kind, versions: RangeText, inner: { element?: AnyField; fields?: Fields }, changes: Partial<AnyField> = {}) {
    this.kind = kind;
    this.versions = versions;
    this.element = inner.element;
    this.fields = inner.fields;
    this.nullableVersions = changes.nullableVersions;
    this.defaultValue = changes.defaultValue;
    this.isIgnorable = changes.isIgnorable ?? false;
    this.tag = changes.tag;
    this.taggedVersions = changes.taggedVersions;
    this.isInflexible = changes.isInflexible ?? false;
  }

  /** May be null in these versions. */
  nullable(versions: RangeText = '0+'): Field<V | null, I | null, O> {
    return this.#with({ nullableVersions: versions });
  }

  /** What the field holds where a version lacks it, and what a tagged field is not written for. */
  default(value: DefaultOf<V>): Field<V, I, true> {
    return this.#with({ defaultValue: value });
  }

  /** Is dropped without complaint by versions that cannot carry it. */
  ignorable(): Field<V, I, O> {
    return this.#with({ isIgnorable: true });
  }

  /** Lies among the tagged fields of these versions, nowhere in others, and is written only when it is not at its default. */
  tagged(tag: number, versions: RangeText): Field<V, I, true> {
    return this.#with({ tag, taggedVersions: versions });
  }

  /** Keeps the encoding of inflexible versions in all of them. */
  inflexible(): Field<V, I, O> {
    return this.#with({ isInflexible: true });
  }

  #with(changes: Partial<AnyField>): Field<any, any, any> {
    const inner: { element?: AnyField; fields?: Fields } = {};
    if (this.element !== undefined) inner.element = this.element;
    if (this.fields !== undefined) inner.fields = this.fields;
    return new Field(this.kind, this.versions, inner, { ...this, ...changes });
  }
}

function primitive<V, I = V>(kind: PrimitiveKind) {
  return <const R extends RangeText = '0+'>(versions?: R): Field<V, I, Limited<R>> => new Field(kind, versions ?? '0+', {});
}

export const int8 = primitive<number>('int8');
export const int16 = primitive<number>('int16');
export const int32 = primitive<number>('int32');
/** A number. Beyond +-2^53 it saturates when decoded and is refused when encoded: for what is only compared or bounded. */
export const int64 = primitive<number>('int64');
/** A bigint: for what is kept and given back exactly as a client sent it. */
export const int64Exact = primitive<bigint>('int64Exact');
export const uint16 = primitive<number>('uint16');
export const uint32 = primitive<number>('uint32');
export const float64 = primitive<number>('float64');
export const bool = primitive<boolean>('bool');
export const string = primitive<string>('string');
/** Decodes to a view of the frame; copy it to keep it longer than the frame. */
export const bytes = primitive<Buffer>('bytes');
/** Decodes to a view of the frame. Large ones are encoded by reference: do not change them until the frame has been sent. */
export const records = primitive<Buffer, Buffer | readonly Piece[]>('records');
/** Kafka's text of a uuid: 22 characters of URL-safe base64. */
export const uuid = primitive<string>('uuid');

/** `element` has no range, null or default of its own. */
export function array<V, I, const R extends RangeText = '0+'>(
  element: Field<V, I, boolean>,
  versions?: R,
): Field<readonly V[], readonly I[], Limited<R>> {
  return new Field('array', versions ?? '0+', { element });
}

/** The ranges of inner fields are the message's versions, as everywhere. */
export function struct<F extends Fields, const R extends RangeText = '0+'>(
  fields: F,
  versions?: R,
): Field<StructValue<F>, StructInput<F>, Limited<R>> {
  return new Field('struct', versions ?? '0+', { fields });
}

type Simplify<T> = { [K in keyof T]: T[K] } & {};
type OptionalNames<F extends Fields> = { [K in keyof F]: true extends F[K]['$optional'] ? K : never }[keyof F];
export type StructValue<F extends Fields> = { readonly [K in keyof F]: F[K]['$value'] };
export type StructInput<F extends Fields> = Simplify<
  { readonly [K in Exclude<keyof F, OptionalNames<F>>]: F[K]['$input'] } & {
    readonly [K in OptionalNames<F>]?: F[K]['$input'] | undefined;
  }
>;

/** One message: what `compile.ts` needs to read and write each of its versions. */
export interface Message<F extends Fields = Fields> {
  readonly name: string;
  readonly versions: VersionRange;
  readonly flexible: VersionRange;
  readonly fields: F;
  /** Compiled on first use, by version; only `compile.ts` touches them. */
  readonly decoders: (((reader: any) => any) | undefined)[];
  readonly encoders: (((input: any, writer: any) => void) | undefined)[];
}
export type AnyMessage = Message<any>;

/** The decoded value of a message: every field present, those that the version lacks at their defaults. */
export type Value<M extends AnyMessage> = StructValue<M['fields']>;
/** What a message is encoded from: fields that are tagged, version-limited or have a declared default may be left out. */
export type Input<M extends AnyMessage> = StructInput<M['fields']>;

export function message<F extends Fields>(declaration: { name: string; versions: RangeText; flexible: RangeText | 'none'; fields: F }): Message<F> {
  const { name, fields } = declaration;
  return { name, versions: versionRange(declaration.versions), flexible: versionRange(declaration.flexible), fields, decoders: [], encoders: [] };
}

export type Listener = 'broker' | 'controller';

/** A request with its response. */
export interface Api<Q extends AnyMessage = AnyMessage, S extends AnyMessage = AnyMessage> {
  readonly key: number;
  readonly name: string;
  readonly request: Q;
  readonly response: S;
  /** The kinds of listeners on which Kafka offers it. */
  readonly listeners: readonly Listener[];
  /** Kafka does not advertise the last version unless told to. */
  readonly latestVersionUnstable: boolean;
}
export type AnyApi = Api<any, any>;

export function api<Q extends AnyMessage, S extends AnyMessage>(declaration: {
  key: number;
  name: string;
  request: Q;
  response: S;
  listeners: readonly Listener[];
  latestVersionUnstable?: boolean;
}): Api<Q, S> {
  return { latestVersionUnstable: false, ...declaration };
}
