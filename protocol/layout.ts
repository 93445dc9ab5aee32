/**
 * What a declaration comes to in one version: which fields are there, which of them are tagged or nullable, how few bytes a value can take,
 * and what an absent field holds.
 *
 * Promises: plain answers about declarations, shared by both emitters and the tests. Writes no source and reads no bytes.
 */
import { inRange, versionRange } from './schema.ts';
import type { AnyField, Fields } from './schema.ts';

/** Int64 as numbers (saturating), or all of them as bigints. */
export type Int64Mode = 'ordinary' | 'exact';

/** A field in one version. */
export interface Slot {
  readonly name: string;
  readonly field: AnyField;
  readonly isPresent: boolean;
  /** Its number among the tagged fields. */
  readonly tag: number | undefined;
  readonly isNullable: boolean;
  /** Compact lengths, and tagged fields after a struct. */
  readonly isFlexible: boolean;
}

export function slotsOf(fields: Fields, version: number, isFlexible: boolean): Slot[] {
  return Object.entries(fields).map(([name, field]) => {
    return {
      name,
      field,
      isPresent: inRange(versionRange(field.taggedVersions ?? field.versions), version),
      tag: field.tag,
      isNullable: field.nullableVersions !== undefined && inRange(versionRange(field.nullableVersions), version),
      isFlexible: isFlexible && !field.isInflexible,
    };
  });
}

/** Those that lie in the body, in wire order. */
export function bodySlots(slots: readonly Slot[]): Slot[] {
  return slots.filter((slot) => slot.isPresent && slot.tag === undefined);
}

/** Those among the tagged fields, in the order of their tags. */
export function taggedSlots(slots: readonly Slot[]): Slot[] {
  return slots.filter((slot) => slot.isPresent && slot.tag !== undefined).sort((a, b) => a.tag! - b.tag!);
}

const FIXED_BYTES: { readonly [kind: string]: number } = {
  int8: 1,
  bool: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  int64Exact: 8,
  float64: 8,
  uuid: 16,
};

/** The size of a kind whose values are all of one size. */
export function fixedBytes(field: AnyField): number | undefined {
  return FIXED_BYTES[field.kind];
}

/** The fewest bytes that a value takes in a version. */
export function leastBytes(slot: Slot, version: number): number {
  const { field, isFlexible } = slot;
  const fixed = fixedBytes(field);
  if (fixed !== undefined) return fixed;
  if (field.kind === 'struct') return slot.isNullable ? 1 : leastStructBytes(field.fields!, version, isFlexible);
  if (isFlexible) return 1;
  return field.kind === 'string' ? 2 : 4;
}

function leastStructBytes(fields: Fields, version: number, isFlexible: boolean): number {
  const tagBytes = isFlexible ? 1 : 0;
  return bodySlots(slotsOf(fields, version, isFlexible)).reduce((sum, slot) => sum + leastBytes(slot, version), tagBytes);
}

/** The elements of an array as a slot of their own. */
export function elementSlot(slot: Slot): Slot {
  return { ...slot, field: slot.field.element!, isPresent: true, tag: undefined, isNullable: false };
}

/** Whether a caller may leave the field out: the same rule as the type `Input` has. */
export function mayBeLeftOut(field: AnyField): boolean {
  return field.defaultValue !== undefined || field.tag !== undefined || field.versions !== '0+';
}

/** Source text of the value that an absent field holds. Each evaluation makes a new array or struct. */
export function defaultSource(field: AnyField, mode: Int64Mode): string {
  const value = field.defaultValue;
  if (value === null) return 'null';
  switch (field.kind) {
    case 'array':
      return '[]';
    case 'struct':
      return `{ ${Object.entries(field.fields!)
        .map(([name, inner]) => `${name}: ${defaultSource(inner, mode)}`)
        .join(', ')} }`;
    case 'bytes':
    case 'records':
      return 'noBytes';
    case 'string':
      return JSON.stringify(value ?? '');
    case 'uuid':
      return 'ZERO_UUID';
    case 'bool':
      return String(value ?? false);
    case 'int64':
      return mode === 'exact' ? `${BigInt((value as number | bigint) ?? 0)}n` : String(saturated((value as number | bigint) ?? 0));
    case 'int64Exact':
      return `${(value as bigint) ?? 0}n`;
    default:
      return String(value ?? 0);
  }
}

function saturated(value: number | bigint): number {
  return Math.max(-(2 ** 53), Math.min(2 ** 53, Number(value)));
}

/** Source text of the condition that `value`, an expression, is what an absent field holds. */
export function isDefaultSource(field: AnyField, value: string, mode: Int64Mode): string {
  if (field.defaultValue === null) return `${value} === null`;
  switch (field.kind) {
    case 'array':
    case 'bytes':
    case 'records':
      return field.nullableVersions === undefined ? `${value}.length === 0` : `(${value} !== null && ${value}.length === 0)`;
    case 'struct': {
      const inner = Object.entries(field.fields!).map(([name, of]) => {
        const condition = isDefaultSource(of, `${value}.${name}`, mode);
        return mayBeLeftOut(of) ? `(${value}.${name} === undefined || ${condition})` : condition;
      });
      if (field.nullableVersions !== undefined) inner.unshift(`${value} !== null`);
      return inner.length === 0 ? 'true' : `(${inner.join(' && ')})`;
    }
    default:
      return `${value} === ${defaultSource(field, mode)}`;
  }
}
