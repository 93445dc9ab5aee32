/**
 * The golden vectors: where they are, how their lines become values of ours, and which message of ours a type's name means.
 *
 * The directory is OTTLA_GOLDEN, or ../shared/golden beside the repository. Without it `test/vectors` stands in: a line or two for every version of
 * every message, in the same form.
 */
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'vitest';
import * as headers from '../../protocol/headers.ts';
import * as consumerProtocol from '../../protocol/log-records/consumer-protocol.ts';
import * as control from '../../protocol/log-records/control.ts';
import { groupRecords } from '../../protocol/log-records/group.ts';
import { metadataRecords } from '../../protocol/log-records/metadata.ts';
import * as principal from '../../protocol/log-records/principal.ts';
import * as producerSnapshot from '../../protocol/log-records/producer-snapshot.ts';
import * as raft from '../../protocol/log-records/raft.ts';
import { remoteStorageRecords } from '../../protocol/log-records/remote-storage.ts';
import { shareRecords } from '../../protocol/log-records/share.ts';
import { transactionRecords } from '../../protocol/log-records/transaction.ts';
import { apis } from '../../protocol/messages/index.ts';
import { inRange } from '../../protocol/schema.ts';
import type { AnyField, AnyMessage, Fields } from '../../protocol/schema.ts';
import type { Int64Mode } from '../../protocol/layout.ts';

const asked = process.env.OTTLA_GOLDEN;
const directory = asked ?? fileURLToPath(new URL('../../../shared/golden', import.meta.url));
const hasGolden = existsSync(`${directory}/index.json`);
if (asked !== undefined && !hasGolden) throw new Error(`OTTLA_GOLDEN: there is no index.json in ${asked}`);

/** Defines tests that need the golden vectors; without them one skipped test says so. */
export function describeGolden(define: () => void): void {
  if (hasGolden) describe('golden', define);
  else test.skip('the golden vectors: not run, they are not in ../shared/golden beside the repository, nor has OTTLA_GOLDEN their directory', () => {});
}

export function goldenJson(file: string): any {
  return JSON.parse(readFileSync(`${directory}/${file}`, 'utf8'));
}

/** Sets other than the usual one need not have every file. */
export function hasGoldenFile(file: string): boolean {
  return existsSync(`${directory}/${file}`);
}

/** The lines of a .jsonl.gz file. */
export function goldenLines(file: string): any[] {
  return parseLines(gunzipSync(readFileSync(`${directory}/${file}`)));
}

/** The lines of a file of our own small set. */
export function vectorLines(file: string): any[] {
  return parseLines(readFileSync(fileURLToPath(new URL(`../vectors/${file}`, import.meta.url))));
}

function parseLines(text: Buffer): any[] {
  return text
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** A line about one message. */
export interface MessageLine {
  readonly type: string;
  readonly kind: string;
  readonly apiKey?: number;
  readonly version: number;
  readonly flexible: boolean;
  readonly sample: string;
  readonly hex: string;
  readonly hexWithout?: string;
  readonly framed?: string;
  readonly json: any;
}

function isMessage(value: unknown): value is AnyMessage {
  return typeof value === 'object' && value !== null && 'decoders' in value;
}

/** Every message of ours by its name. */
export const messages: ReadonlyMap<string, AnyMessage> = new Map(
  [
    ...[...apis.values()].flatMap((api) => [api.request, api.response]),
    ...[groupRecords, transactionRecords, shareRecords].flatMap((records) => Object.values(records).flatMap((type) => [type.key, type.value])),
    ...[metadataRecords, remoteStorageRecords].flatMap((records) => Object.values(records).map((type) => type.message)),
    ...[headers, consumerProtocol, control, principal, producerSnapshot, raft].flatMap((module) => Object.values(module).filter(isMessage)),
  ].map((message: AnyMessage) => [message.name, message]),
);

/** What a line's JSON is as input of an encoder; fields that it lacks are left out. */
export function inputOf(fields: Fields, json: any, mode: Int64Mode): any {
  const input: any = {};
  for (const name of Object.keys(json)) {
    const field = fields[name];
    if (field === undefined) throw new Error(`the declaration has no field ${name}`);
    input[name] = fromJson(field, json[name], (inner, value) => inputOf(inner, value, mode), mode);
  }
  return input;
}

/** What a line's JSON must decode to: every field of the declaration, absent ones at their defaults. */
export function valueOf(fields: Fields, json: any, mode: Int64Mode): any {
  const value: any = {};
  for (const [name, field] of Object.entries(fields)) {
    value[name] = name in json ? fromJson(field, json[name], (inner, of) => valueOf(inner, of, mode), mode) : defaultOf(field, mode);
  }
  return value;
}

function fromJson(field: AnyField, json: any, struct: (fields: Fields, json: any) => any, mode: Int64Mode): any {
  if (json === null) return null;
  switch (field.kind) {
    case 'array':
      return json.map((each: any) => fromJson(field.element!, each, struct, mode));
    case 'struct':
      return struct(field.fields!, json);
    case 'bytes':
    case 'records':
      return Buffer.from(json, 'base64');
    case 'int64Exact':
      return BigInt(json);
    case 'int64':
      return int64Of(BigInt(json), mode);
    default:
      return json;
  }
}

function int64Of(value: bigint, mode: Int64Mode): number | bigint {
  if (mode === 'exact') return value;
  return Number(value > 2n ** 53n ? 2n ** 53n : value < -(2n ** 53n) ? -(2n ** 53n) : value);
}

function defaultOf(field: AnyField, mode: Int64Mode): any {
  const { defaultValue } = field;
  if (defaultValue === null) return null;
  switch (field.kind) {
    case 'array':
      return [];
    case 'struct':
      return Object.fromEntries(Object.entries(field.fields!).map(([name, inner]) => [name, defaultOf(inner, mode)]));
    case 'bytes':
    case 'records':
      return Buffer.alloc(0);
    case 'string':
      return defaultValue ?? '';
    case 'uuid':
      return 'AAAAAAAAAAAAAAAAAAAAAA';
    case 'bool':
      return defaultValue ?? false;
    case 'int64Exact':
      return BigInt((defaultValue as bigint) ?? 0);
    case 'int64':
      return int64Of(BigInt((defaultValue as number | bigint) ?? 0), mode);
    default:
      return defaultValue ?? 0;
  }
}

/** Whether some int64 of the line is more than a number can carry, so that ordinary mode must saturate and refuse it. */
export function isBeyondNumbers(fields: Fields, json: any): boolean {
  return Object.entries(json).some(([name, value]) => beyond(fields[name]!, value));
}

function beyond(field: AnyField, json: any): boolean {
  if (json === null) return false;
  if (field.kind === 'array') return json.some((each: any) => beyond(field.element!, each));
  if (field.kind === 'struct') return isBeyondNumbers(field.fields!, json);
  return field.kind === 'int64' && !Number.isSafeInteger(Number(json)) && BigInt(json) !== BigInt((field.defaultValue as bigint) ?? 0);
}

/** '3-5' for what a declaration makes flexible among the versions that the message has. */
export function flexibleText(message: AnyMessage): string {
  const versions = [];
  for (let version = message.versions.min; version <= message.versions.max; version++) if (inRange(message.flexible, version)) versions.push(version);
  return versions.length === 0 ? 'none' : rangeText(versions[0]!, versions.at(-1)!);
}

export function versionsText(message: AnyMessage): string {
  return rangeText(message.versions.min, message.versions.max);
}

function rangeText(min: number, max: number): string {
  return min === max ? `${min}` : `${min}-${max}`;
}
