/**
 * The data directories that Apache Kafka 4.3.1 left (README.md beside them says what is in them): unpacked onto any disk, and what a reader must find.
 *
 * Promises: sparse files stay sparse. Does not: run any other program, or know tar beyond what GNU tar makes of such a directory.
 */
import assert from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import type { Disk } from '../../storage/disk.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Of OTTLA_KAFKA_DATA, else beside the repository. */
export const kafkaDataDirectory = resolve(root, process.env.OTTLA_KAFKA_DATA ?? '../shared/golden/kafka-data');
export const kafkaDataIsThere = existsSync(`${kafkaDataDirectory}/clean.tar.gz`);

export type ImageName = 'clean' | 'killed';

/** A record as kcat printed it. */
export interface ReadRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly payload: string | null;
  /** Names and values in turn. */
  readonly headers: readonly (string | null)[] | null;
  readonly ts: number;
  readonly tstype: string;
}

function file(name: string): Buffer {
  return readFileSync(`${kafkaDataDirectory}/${name}`);
}

/** Every record that a reader of that isolation level got, by the partition's name. */
export function readRecords(isolation: 'read_committed' | 'read_uncommitted'): Map<string, ReadRecord[]> {
  const records = new Map<string, ReadRecord[]>();
  for (const line of gunzipSync(file(`${isolation}.jsonl.gz`)).toString('utf8').split('\n')) {
    if (line === '') continue;
    const record = JSON.parse(line) as ReadRecord;
    const name = `${record.topic}-${record.partition}`;
    const of = records.get(name);
    if (of === undefined) records.set(name, [record]);
    else of.push(record);
  }
  for (const of of records.values()) of.sort((a, b) => a.offset - b.offset);
  return records;
}

/** By the partition's name. */
export function readOffsets(which: 'earliest' | 'latest'): Map<string, number> {
  const lines = file(`${which}-offsets.txt`).toString('utf8').trim().split('\n');
  return new Map(lines.map((line) => /^(.*):(\d+):(\d+)$/.exec(line)!).map(([, topic, partition, offset]) => [`${topic}-${partition}`, Number(offset)]));
}

/** By the topic's name. */
export function readTopicIds(): Map<string, string> {
  const text = file('topics.txt').toString('utf8');
  return new Map([...text.matchAll(/^Topic: (\S+)\s+TopicId: (\S+)/gm)].map(([, topic, id]) => [topic!, id!]));
}

/** Puts the image's files under `directory`, which must be there. */
export function unpackImage(name: ImageName, disk: Disk, directory: string): void {
  const tar = gunzipSync(file(`${name}.tar.gz`));
  unpackTar(tar, disk, directory, `${name}/`);
}

const BLOCK_BYTES = 512;

/**
 * Unpacks the entries whose names begin with `prefix`, which is taken off. A header of GNU tar:
 *
 *       0 name:100    124 size:12 (octal, of the data in the archive)    156 type:1    257 magic "ustar  "
 *     386 sparse: 4 x (offset:12 bytes:12)    482 isExtended:1    483 realSize:12                       type 'S'
 *
 * and while a header or an extension is extended, another block of 21 x (offset:12 bytes:12) isExtended:1.
 */
export function unpackTar(tar: Buffer, disk: Disk, directory: string, prefix: string): void {
  let at = 0;
  while (at + BLOCK_BYTES <= tar.length && tar[at] !== 0) {
    const header = tar.subarray(at, at + BLOCK_BYTES);
    const name = text(header, 0, 100);
    const type = String.fromCharCode(header[156]!);
    const bytes = octal(header, 124);
    at += BLOCK_BYTES;
    const pieces: { position: number; bytes: number }[] = [];
    let sizeBytes = bytes;
    if (type === 'S') {
      sizeBytes = octal(header, 483);
      readPieces(header, 386, 4, pieces);
      for (let extended = header[482]; extended !== 0; at += BLOCK_BYTES) {
        const extension = tar.subarray(at, at + BLOCK_BYTES);
        readPieces(extension, 0, 21, pieces);
        extended = extension[504];
      }
    } else {
      assert(type === '0' || type === '5', `${name} is of type '${type}'`);
      pieces.push({ position: 0, bytes });
    }
    const data = tar.subarray(at, at + bytes);
    at += Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
    if (!name.startsWith(prefix) || name === prefix) continue;
    const path = `${directory}/${name.slice(prefix.length)}`;
    if (type === '5') {
      disk.makeDirectory(path.replace(/\/$/, ''));
      continue;
    }
    const target = disk.open(path, 'replace');
    let from = 0;
    for (const piece of pieces) {
      if (piece.bytes > 0) target.writeSync([data.subarray(from, from + piece.bytes)], piece.position);
      from += piece.bytes;
    }
    target.truncate(sizeBytes);
    target.close();
  }
}

function readPieces(block: Buffer, at: number, count: number, pieces: { position: number; bytes: number }[]): void {
  for (let index = 0; index < count; index++) {
    const from = at + index * 24;
    if (block[from] === 0) return;
    pieces.push({ position: octal(block, from), bytes: octal(block, from + 12) });
  }
}

function text(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString('utf8', at, end < 0 || end > at + length ? at + length : end);
}

function octal(block: Buffer, at: number): number {
  const digits = text(block, at, 12).trim();
  assert(/^[0-7]+$/.test(digits), `${JSON.stringify(digits)} is no octal number`);
  return parseInt(digits, 8);
}
