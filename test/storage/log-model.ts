/**
 * What a partition's log is, said with a plain array: the batches that were appended, and everything that follows from them.
 *
 * Promises: computes each answer from the batches alone, every time, without an index, a cache or a file. Does not: share code with the log
 * but the accessors of a batch's header.
 */
import * as batch from '../../protocol/record/batch.ts';
import { ControlRecordType, decodeControlType } from '../../protocol/record/control.ts';
import { readRecords } from '../../protocol/record/records.ts';
import type { Record } from '../../protocol/record/records.ts';

export interface ModelBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly epoch: number;
  /** As it lies in the file. */
  readonly bytes: Buffer;
  readonly records: readonly Record[];
  /** -1 for none. */
  readonly producerId: number;
  readonly isTransactional: boolean;
  /** Of a marker. */
  readonly marker: 'commit' | 'abort' | undefined;
}

export type Contents = readonly ModelBatch[];

/** `buffer` is what the log was given, with the offsets that it has set in it. */
export function modelBatch(buffer: Buffer): ModelBatch {
  const bytes = Buffer.from(buffer);
  const records = readRecords(bytes, 0);
  const type = batch.isControl(bytes, 0) ? decodeControlType(records[0]!.key) : undefined;
  return {
    baseOffset: batch.baseOffset(bytes, 0),
    lastOffset: batch.lastOffset(bytes, 0),
    epoch: batch.partitionLeaderEpoch(bytes, 0),
    bytes,
    records,
    producerId: batch.producerId(bytes, 0),
    isTransactional: batch.isTransactional(bytes, 0),
    marker: type === undefined ? undefined : type === ControlRecordType.ABORT ? 'abort' : 'commit',
  };
}

export function endOf(contents: Contents, startOffset: number): number {
  return Math.max(startOffset, (contents.at(-1)?.lastOffset ?? -1) + 1);
}

/** What is left when the log ends before `offset`, which may lie in the middle of a batch: that one goes as a whole. */
export function cutAt(contents: Contents, offset: number): Contents {
  return contents.filter(({ lastOffset }) => lastOffset < offset);
}

/** What a reader can get when the log starts at `offset`. */
export function from(contents: Contents, offset: number): Contents {
  return contents.filter(({ lastOffset }) => lastOffset >= offset);
}

/** Of all batches, those before the start included: the epoch that the start lies in begins there. */
export function epochsOf(contents: Contents, startOffset: number): { epoch: number; startOffset: number }[] {
  const epochs: { epoch: number; startOffset: number }[] = [];
  for (const { epoch, baseOffset } of contents) {
    if (epochs.at(-1)?.epoch === epoch) continue;
    if (baseOffset <= startOffset) epochs.pop();
    epochs.push({ epoch, startOffset: Math.max(baseOffset, startOffset) });
  }
  return epochs;
}

/** The first offset of the earliest transaction that is open at the end, else the end. */
export function stableOffset(contents: Contents, endOffset: number): number {
  const open = new Map<number, number>();
  for (const { producerId, isTransactional, marker, baseOffset } of contents) {
    if (marker !== undefined) open.delete(producerId);
    else if (isTransactional && !open.has(producerId)) open.set(producerId, baseOffset);
  }
  return Math.min(endOffset, ...open.values());
}

/** Offsets of the records that a read_committed reader gets from [startOffset, stableOffset): of no transaction, or of one that its marker commits. */
export function committedOffsets(contents: Contents, startOffset: number, stable: number): number[] {
  const offsets: number[] = [];
  contents.forEach((of, index) => {
    if (of.marker !== undefined) return;
    if (of.isTransactional && contents.slice(index).find(({ producerId, marker }) => producerId === of.producerId && marker !== undefined)?.marker === 'abort') return;
    offsets.push(...of.records.map(({ offset }) => offset).filter((offset) => offset >= startOffset && offset < stable));
  });
  return offsets;
}

/** The first record at or behind the start that is not older. */
export function offsetForTimestamp(contents: Contents, startOffset: number, timestampMs: number): { offset: number; timestampMs: number } | undefined {
  for (const { records } of contents) {
    for (const { offset, timestamp } of records) if (offset >= startOffset && timestamp >= timestampMs) return { offset, timestampMs: timestamp };
  }
  return undefined;
}

/** The last data batch of each producer with a sequence. */
export function lastOfProducers(contents: Contents): Map<number, ModelBatch> {
  const last = new Map<number, ModelBatch>();
  for (const of of contents) if (of.producerId >= 0 && of.marker === undefined) last.set(of.producerId, of);
  return last;
}
