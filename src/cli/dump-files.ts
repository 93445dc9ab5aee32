/** The small files of a data directory, by their names: indexes, producer snapshots, checkpoints, identities. Does not print. */
import { readInt64 } from '../../protocol/record/batch.ts';
import type { Disk } from '../../storage/disk.ts';
import type { Loaded } from '../../storage/files.ts';
import { OFFSET_INDEX_ENTRY_BYTES } from '../../storage/offset-index.ts';
import { decodeProducerSnapshot } from '../../storage/producer-snapshot.ts';
import { parseSegmentFileName } from '../../storage/segment-name.ts';
import { TIME_INDEX_ENTRY_BYTES } from '../../storage/time-index.ts';
import { TxnIndex } from '../../storage/txn-index.ts';
import { parseProperties } from '../../protocol/properties.ts';
import type { Dump } from './dump.ts';
import { isoTime } from './time.ts';

export function* dumpSmallFile(disk: Disk, path: string): Generator<Dump> {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const bytes = disk.readFile(path);
  const baseOffset = parseSegmentFileName(name)?.baseOffset ?? 0;
  if (name.endsWith('.index')) yield* offsetIndex(bytes, baseOffset);
  else if (name.endsWith('.timeindex')) yield* timeIndex(bytes, baseOffset);
  else if (name.endsWith('.txnindex')) yield* txnIndex(bytes, baseOffset);
  else if (name.endsWith('.snapshot')) yield* producerSnapshot(bytes);
  else if (name === 'leader-epoch-checkpoint') yield* checkpoint(bytes, ['epoch', 'startOffset']);
  else if (name.endsWith('-checkpoint')) yield* checkpoint(bytes, ['topic', 'partition', 'offset']);
  else if (name === 'meta.properties' || name === 'partition.metadata') yield* properties(bytes);
  else if (name === 'quorum-state' || name === '.kafka_cleanshutdown') yield { kind: name, fields: fieldsOf(bytes.toString()) };
  else yield { kind: 'file', fields: { bytes: bytes.length, note: 'of no kind that dump knows' } };
}

// relativeOffset:4 position:4
function* offsetIndex(bytes: Buffer, baseOffset: number): Generator<Dump> {
  let last = -1;
  for (let at = 0; at + OFFSET_INDEX_ENTRY_BYTES <= bytes.length; at += OFFSET_INDEX_ENTRY_BYTES) {
    const [relative, position] = [bytes.readInt32BE(at), bytes.readInt32BE(at + 4)];
    // An index that is in use is longer than it is full.
    if (relative === 0 && position === 0) return;
    yield { kind: 'entry', fields: { offset: baseOffset + relative, position }, isDamage: relative <= last };
    last = relative;
  }
}

// timestamp:8 relativeOffset:4
function* timeIndex(bytes: Buffer, baseOffset: number): Generator<Dump> {
  let last = -1;
  for (let at = 0; at + TIME_INDEX_ENTRY_BYTES <= bytes.length; at += TIME_INDEX_ENTRY_BYTES) {
    const [timestamp, relative] = [readInt64(bytes, at), bytes.readInt32BE(at + 8)];
    if (timestamp === 0 && relative === 0) return;
    yield { kind: 'entry', fields: { timestamp, time: timestamp < 0 ? null : isoTime(timestamp), offset: baseOffset + relative }, isDamage: timestamp <= last };
    last = timestamp;
  }
}

function* txnIndex(bytes: Buffer, baseOffset: number): Generator<Dump> {
  const index = TxnIndex.parse(baseOffset, bytes);
  if (index === undefined) yield damage('it is no transaction index');
  else for (const entry of index.entries) yield { kind: 'aborted', fields: { ...entry } };
}

function* producerSnapshot(bytes: Buffer): Generator<Dump> {
  const loaded = decodeProducerSnapshot(bytes);
  if (loaded.status === 'ok') for (const entry of loaded.value) yield { kind: 'producer', fields: { ...entry } };
  else yield damage(reasonOf(loaded));
}

// A version, a count, then so many lines of fields with blanks between.
function* checkpoint(bytes: Buffer, names: readonly string[]): Generator<Dump> {
  const [version, count, ...lines] = bytes.toString().trimEnd().split('\n');
  if (version !== '0' || !/^[0-9]+$/.test(count ?? '')) {
    yield damage(`it does not begin with version 0 and a count`);
    return;
  }
  for (const line of lines) {
    const fields = line.split(' ');
    yield { kind: 'entry', fields: Object.fromEntries(names.map((name, index) => [name, fields[index]])), isDamage: fields.length !== names.length };
  }
  if (lines.length !== Number(count)) yield damage(`it says ${count} entries and has ${lines.length}`);
}

function* properties(bytes: Buffer): Generator<Dump> {
  for (const { name, value } of parseProperties(bytes.toString())) yield { kind: 'property', fields: { [name]: value } };
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return { content: text.trim() };
  }
}

function damage(reason: string): Dump {
  return { kind: 'DAMAGE', fields: { reason }, isDamage: true };
}

function reasonOf(loaded: Exclude<Loaded<unknown>, { status: 'ok' }>): string {
  return loaded.status === 'corrupt' ? loaded.reason : `it is ${loaded.status}`;
}
