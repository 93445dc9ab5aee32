/** Every golden line about a message, both ways, in exact and in ordinary mode; and that no type or version is missing. */
import { expect, test } from 'vitest';
import { compileDecoder, compileEncoder } from '../../protocol/compile.ts';
import type { Int64Mode } from '../../protocol/layout.ts';
import {
  decodeCoordinatorKey,
  decodeCoordinatorValue,
  decodeFramed,
  decodeVersioned,
  encodeCoordinatorKey,
  encodeCoordinatorValue,
  encodeFramed,
  encodeVersioned,
} from '../../protocol/log-records/framing.ts';
import type { CoordinatorRecordTypes, FramedTypes } from '../../protocol/log-records/framing.ts';
import { groupRecords } from '../../protocol/log-records/group.ts';
import { metadataRecords } from '../../protocol/log-records/metadata.ts';
import { remoteStorageRecords } from '../../protocol/log-records/remote-storage.ts';
import { shareRecords } from '../../protocol/log-records/share.ts';
import { transactionRecords } from '../../protocol/log-records/transaction.ts';
import type { AnyMessage } from '../../protocol/schema.ts';
import { Reader } from '../../protocol/reader.ts';
import { Writer } from '../../protocol/writer.ts';
import { isDeepStrictEqual } from 'node:util';
import { describeGolden, flexibleText, goldenJson, goldenLines, inputOf, isBeyondNumbers, messages, valueOf, vectorLines, versionsText } from './golden.ts';
import type { MessageLine } from './golden.ts';

const OTHERS = /^(algorithms|frames|record-batches|record-batches-invalid)\.jsonl\.gz$/;

interface Codec {
  readonly decode: (reader: Reader) => any;
  readonly encode: (input: any, writer: Writer) => void;
}
const codecs = new Map<string, Codec>();

function codec(message: AnyMessage, version: number, mode: Int64Mode): Codec {
  const key = `${message.name} ${version} ${mode}`;
  let found = codecs.get(key);
  if (found === undefined) {
    found = { decode: compileDecoder(message, version, mode), encode: compileEncoder(message, version, mode) };
    codecs.set(key, found);
  }
  return found;
}

function encodeHex(of: Codec, input: any): string {
  const writer = new Writer();
  of.encode(input, writer);
  const { length } = writer;
  const bytes = Buffer.concat(writer.finish());
  expect(bytes.length).toBe(length);
  return bytes.toString('hex');
}

/** What is wrong with a line; nothing is right. */
function check(line: MessageLine): string[] {
  const message = messages.get(line.type);
  if (message === undefined) return ['there is no such message'];
  const wrong: string[] = [];
  const bytes = Buffer.from(line.hex, 'hex');
  const wanted = line.hexWithout ?? line.hex;
  for (const mode of ['exact', 'ordinary'] as const) {
    const of = codec(message, line.version, mode);
    const reader = new Reader(bytes);
    const value = of.decode(reader);
    if (reader.remaining !== 0) wrong.push(`${mode}: ${reader.remaining} bytes were not read`);
    const expected = valueOf(message.fields, line.json, mode);
    if (!isDeepStrictEqual(value, expected)) wrong.push(`${mode}: decodes to ${show(value)}, not ${show(expected)}`);
    if (Object.keys(value).join() !== Object.keys(message.fields).join()) wrong.push(`${mode}: the fields are not in the order of the declaration`);
    const input = inputOf(message.fields, line.json, mode);
    if (mode === 'ordinary' && isBeyondNumbers(message.fields, line.json)) {
      expect(() => encodeHex(of, input), `${line.type} v${line.version}`).toThrow(TypeError);
      continue;
    }
    const hex = encodeHex(of, input);
    if (hex !== wanted) wrong.push(`${mode}: encodes to ${hex}, not ${wanted}`);
    const again = encodeHex(of, value);
    if (again !== wanted) wrong.push(`${mode}: what was decoded encodes to ${again}, not ${wanted}`);
  }
  if (line.framed !== undefined && !isBeyondNumbers(message.fields, line.json)) wrong.push(...checkFramed(line, message));
  return wrong;
}

function checkFramed(line: MessageLine, message: AnyMessage): string[] {
  const framed = Buffer.from(line.framed!, 'hex');
  const input = inputOf(message.fields, line.json, 'ordinary');
  const expected = valueOf(message.fields, line.json, 'ordinary');
  const { encoded, decoded } = through(line, message, framed, input);
  const wrong: string[] = [];
  if (!encoded.equals(framed)) wrong.push(`framed: ${encoded.toString('hex')}, not ${line.framed}`);
  if (!isDeepStrictEqual(decoded, expected)) wrong.push(`framed: decodes to ${show(decoded)}`);
  return wrong;
}

function through(line: MessageLine, message: AnyMessage, framed: Buffer, input: any): { encoded: Buffer; decoded: any } {
  for (const types of [groupRecords, transactionRecords, shareRecords] as CoordinatorRecordTypes[]) {
    for (const type of Object.values(types)) {
      if (type.key === message) {
        expect(type.type).toBe(line.apiKey);
        return { encoded: encodeCoordinatorKey(type, input), decoded: decodeCoordinatorKey(types, framed)!.key };
      }
      if (type.value === message) {
        expect(type.type).toBe(line.apiKey);
        return { encoded: encodeCoordinatorValue(type, line.version, input), decoded: decodeCoordinatorValue(type, framed).value };
      }
    }
  }
  for (const types of [metadataRecords, remoteStorageRecords] as FramedTypes[]) {
    for (const [name, type] of Object.entries(types)) {
      if (type.message !== message) continue;
      expect(type.type).toBe(line.apiKey);
      const decoded = decodeFramed(types, framed);
      expect(decoded.name).toBe(name);
      expect(decoded.version).toBe(line.version);
      return { encoded: encodeFramed(types, name, line.version, input), decoded: decoded.value };
    }
  }
  const decoded = decodeVersioned(message, framed);
  expect(decoded.version).toBe(line.version);
  return { encoded: encodeVersioned(message, line.version, input), decoded: decoded.value };
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `${each}n` : each))!.slice(0, 400);
}

function checkAll(lines: MessageLine[]): void {
  const wrong: string[] = [];
  for (const line of lines) {
    for (const each of check(line)) wrong.push(`${line.type} v${line.version} ${line.sample}: ${each}`);
    if (wrong.length > 20) break;
  }
  expect(wrong).toEqual([]);
}

test('our own small set', () => {
  checkAll(vectorLines('messages.jsonl') as MessageLine[]);
});

describeGolden(() => {
  const index = goldenJson('index.json');
  const files = Object.keys(index.lines).filter((file) => !OTHERS.test(file));

  test.each(files)('%s', (file) => {
    const lines = goldenLines(file) as MessageLine[];
    expect(lines.length).toBe(index.lines[file]);
    checkAll(lines);
  });

  test('every type is declared, with its versions and its flexible versions, and no other', () => {
    const ours = [...messages.values()].map((message) => [message.name, versionsText(message), flexibleText(message)]);
    const theirs = Object.entries<any>(index.types).map(([name, type]) => [name, type.versions, type.flexible]);
    expect(ours.sort()).toEqual(theirs.sort());
  });

  test('every version of every message has a line', () => {
    const seen = new Set(files.flatMap((file) => goldenLines(file).map((line) => `${line.type} v${line.version}`)));
    const missing = [];
    for (const message of messages.values()) {
      for (let version = message.versions.min; version <= message.versions.max; version++) {
        if (!seen.has(`${message.name} v${version}`)) missing.push(`${message.name} v${version}`);
      }
    }
    expect(missing).toEqual([]);
  });
});
