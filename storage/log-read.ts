/**
 * Reads of a log by offset: from memory where the tail holds it, else one large asynchronous read of a segment file.
 *
 * Promises: the answer begins with the batch that holds the offset asked for (clients skip what comes before), ends at the end of a batch, holds
 * nothing at or beyond `endOffset` and nothing that is not written yet, and is not longer than `maxBytes` unless it is the one batch that
 * `minOneBatch` asks for. It comes from one segment at most when it comes from a file, so it may be shorter than there is data. Where the reader
 * takes a slice of the file instead of bytes, a reader that goes on where it was is given one without waiting.
 * What lay in the file when the log was opened may have rotted while nobody looked: it is read with its checksums until a read has found it sound.
 * Does not: check the offset against the log start (the caller has, and tells the client), verify checksums of what this process has written (consumers do).
 */
import { ErrorCode } from '../protocol/errors.ts';
import { sizeInBytes } from '../protocol/record/batch.ts';
import { DiskError } from './disk.ts';
import { FileSlice } from './file-slice.ts';
import type { Segment } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import type { BufferPool } from './buffer-pool.ts';
import { hasHeader, HEADER_BYTES, storedBaseOffset, storedCrcMatches, storedLastOffset, storedSize } from './stored-batch.ts';
import { positionOfOffset, type Tail, type TailChunk } from './tail.ts';

export interface ReadOptions {
  readonly maxBytes: number;
  /** Exclusive: the high watermark, the last stable offset or the log end, by who reads. */
  readonly endOffset: number;
  /** Give the first batch whole even if it is larger than `maxBytes`. */
  readonly minOneBatch: boolean;
  /** Where buffers for reads of files come from; without it they are made anew. */
  readonly buffers?: BufferPool;
  /** The reader takes a `slice` as well as `buffers`. */
  readonly slices?: boolean;
}

export interface LogRead {
  /** OFFSET_OUT_OF_RANGE, or KAFKA_STORAGE_ERROR when the file cannot be read; there is no data then. */
  readonly error: ErrorCode;
  /** Whole batches, in order. They alias memory of the log: good for as long as they are held, never to be changed. */
  readonly buffers: readonly Buffer[];
  /** In place of `buffers`: the same bytes, in the file still. */
  readonly slice?: FileSlice;
  readonly bytes: number;
  /** -1 when there is no data. */
  readonly firstBatchBaseOffset: number;
  /** The offset after the last one in `buffers`; the offset asked for when there is no data. */
  readonly nextOffset: number;
  /** Gives the buffer of a read back to where it came from, to be called once when nobody looks at `buffers` any more; or never. */
  readonly release?: () => void;
}

/** What a log shows to its reader. */
export interface ReadableLog {
  readonly segments: SegmentList;
  readonly tail: Tail;
  readonly logStartOffset: number;
  readonly logEndOffset: number;
  readonly writtenEndOffset: number;
  /** Grows whenever bytes in the files are taken away: a read that was under way then is made again. */
  readonly truncations: number;
  /** Told of a batch that is not what was written; whether it is kept from the reader. */
  readonly refusesDamage: (segment: Segment, offset: number) => boolean;
}

/** Small chunks are copied into one buffer: a vectored write of hundreds of small pieces costs more than the copy. */
const GATHER_CHUNKS_MIN = 16;
const GATHER_CHUNK_BYTES_MAX = 8 * 1024;
/** What was read into a larger buffer than this many times its size is copied out of it: an answer may wait long for its client. */
const LENT_FOR_MAX = 4;
/** Read beyond `maxBytes` where the index does not tell the exact place, to reach the batch in the same read. */
const SEEK_SLACK_BYTES = 8 * 1024;
/** Less than this is read at once: it may come from the index's last entries, behind which there is more. */
const SLICE_BYTES_MIN = 128 * 1024;

export function emptyRead(offset: number, error: ErrorCode = ErrorCode.NONE): LogRead {
  return { error, buffers: [], bytes: 0, firstBatchBaseOffset: -1, nextOffset: offset };
}

export function readLog(log: ReadableLog, startOffset: number, options: ReadOptions): LogRead | Promise<LogRead> {
  if (startOffset < log.logStartOffset || startOffset > log.logEndOffset) return emptyRead(startOffset, ErrorCode.OFFSET_OUT_OF_RANGE);
  const endOffset = Math.min(options.endOffset, log.writtenEndOffset);
  if (startOffset >= endOffset || (options.maxBytes <= 0 && !options.minOneBatch)) return emptyRead(startOffset);
  const tailBase = log.tail.baseOffset;
  if (tailBase !== undefined && startOffset >= tailBase) {
    const read = readTail(log.tail, startOffset, endOffset, options);
    if (read !== undefined) return read;
  }
  return (options.slices === true ? slice(log, startOffset, endOffset, options) : undefined) ?? readFiles(log, startOffset, endOffset, options);
}

/** undefined when what comes next is not in memory. */
function readTail(tail: Tail, startOffset: number, endOffset: number, options: ReadOptions): LogRead | undefined {
  let number = tail.find(startOffset);
  let chunk = tail.chunk(number);
  if (chunk === undefined || chunk.baseOffset >= endOffset) return chunk === undefined ? undefined : emptyRead(startOffset);
  const buffers: Buffer[] = [];
  let bytes = 0;
  let nextOffset = startOffset;
  let firstBatchBaseOffset = -1;
  for (; chunk !== undefined && chunk.baseOffset < endOffset; chunk = tail.chunk(++number)) {
    const from = chunk.baseOffset < startOffset ? positionOfOffset(chunk.buffer, startOffset) : 0;
    const to = endWithin(chunk, from, endOffset, options.maxBytes - bytes, options.minOneBatch && bytes === 0);
    if (to > from) {
      if (bytes === 0) firstBatchBaseOffset = storedBaseOffset(chunk.buffer, from);
      buffers.push(from === 0 && to === chunk.buffer.length ? chunk.buffer : chunk.buffer.subarray(from, to));
      bytes += to - from;
      nextOffset = to === chunk.buffer.length ? chunk.nextOffset : storedBaseOffset(chunk.buffer, to);
    }
    if (to < chunk.buffer.length) break;
  }
  if (buffers.length >= GATHER_CHUNKS_MIN && bytes / buffers.length < GATHER_CHUNK_BYTES_MAX) {
    return { error: ErrorCode.NONE, buffers: [Buffer.concat(buffers, bytes)], bytes, firstBatchBaseOffset, nextOffset };
  }
  return { error: ErrorCode.NONE, buffers, bytes, firstBatchBaseOffset, nextOffset };
}

/** Where in a chunk the batches end that fit. */
function endWithin(chunk: TailChunk, from: number, endOffset: number, maxBytes: number, minOneBatch: boolean): number {
  const { buffer } = chunk;
  if (chunk.nextOffset <= endOffset && buffer.length - from <= maxBytes) return buffer.length;
  return wholeBatchesEnd(buffer, from, buffer.length, endOffset, maxBytes, minOneBatch);
}

/** Where the last batch ends that lies within [from, to), begins below `endOffset` and fits into `maxBytes`. */
function wholeBatchesEnd(buffer: Buffer, from: number, to: number, endOffset: number, maxBytes: number, minOneBatch: boolean): number {
  let at = from;
  while (at < to && storedBaseOffset(buffer, at) < endOffset) {
    const next = at + sizeInBytes(buffer, at);
    if (next - from > maxBytes && !(minOneBatch && at === from)) break;
    at = next;
  }
  return at;
}

/** undefined when the place of `startOffset` is not known without a search, or too little follows of which the index knows that it may be given. */
function slice(log: ReadableLog, startOffset: number, endOffset: number, { maxBytes }: ReadOptions): LogRead | undefined {
  if (maxBytes < SLICE_BYTES_MIN) return undefined;
  const [segment] = log.segments.from(startOffset);
  const position = segment?.hintFor(startOffset);
  if (segment === undefined || position === undefined || segment.writtenBytes - position < SLICE_BYTES_MIN) return undefined;
  try {
    const end = segment.indexes.batchNotBeyond(Math.min(position + maxBytes, segment.writtenBytes));
    if (end === undefined || end.position - position < SLICE_BYTES_MIN || end.baseOffset > endOffset) return undefined;
    if (!segment.isVerified(position, end.position - position)) return undefined;
    segment.addHint(end.baseOffset, end.position);
    const bytes = end.position - position;
    return {
      error: ErrorCode.NONE, buffers: [], slice: new FileSlice(log, segment, position, bytes), bytes, firstBatchBaseOffset: startOffset, nextOffset: end.baseOffset,
    };
  } catch (error) {
    // Told by the read that is made instead.
    if (!(error instanceof DiskError)) throw error;
    return undefined;
  }
}

async function readFiles(log: ReadableLog, startOffset: number, endOffset: number, options: ReadOptions): Promise<LogRead> {
  try {
    for (;;) {
      const truncations = log.truncations;
      const read = await readSegments(log, startOffset, endOffset, options);
      // What was read may have been cut away and written over meanwhile.
      if (log.truncations === truncations) return read;
      read.release?.();
      if (startOffset >= log.writtenEndOffset || startOffset < log.logStartOffset) return emptyRead(startOffset);
    }
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    // Retention has taken the file away before it was opened.
    if (startOffset < log.logStartOffset) return emptyRead(startOffset, ErrorCode.OFFSET_OUT_OF_RANGE);
    return emptyRead(startOffset, ErrorCode.KAFKA_STORAGE_ERROR);
  }
}

async function readSegments(log: ReadableLog, startOffset: number, endOffset: number, options: ReadOptions): Promise<LogRead> {
  // The batches of a compacted segment may all lie before the offset: then the next one holds what comes after it.
  for (const segment of log.segments.from(startOffset)) {
    if (segment.baseOffset >= endOffset) break;
    const read = await readSegment(log, segment, startOffset, endOffset, options);
    if (read !== undefined) return read;
  }
  return emptyRead(startOffset);
}

/** undefined when the segment has no batch at or beyond `startOffset`. */
async function readSegment(log: ReadableLog, segment: Segment, startOffset: number, endOffset: number, options: ReadOptions): Promise<LogRead | undefined> {
  const end = segment.writtenBytes;
  let position = segment.hintFor(startOffset) ?? segment.indexes.positionToSeek(startOffset);
  let wanted = Math.max(options.maxBytes, HEADER_BYTES) + SEEK_SLACK_BYTES;
  let lent: Buffer | undefined;
  const { truncations } = log;
  const file = segment.file();
  segment.handle.pins++;
  try {
    for (;;) {
      if (position === end) return undefined;
      // Batches end where the segment does. A length that leads beyond is not what was written: what follows must not be taken for the next segment's.
      if (position > end) return damagedRead(log, segment, startOffset, truncations);
      const length = Math.min(wanted, end - position);
      if (lent !== undefined && lent.length < length) lent = giveBack(options, lent);
      lent ??= options.buffers?.take(length);
      const buffer = lent?.subarray(0, length) ?? Buffer.allocUnsafeSlow(length);
      const filled = await file.read(buffer, position);
      // Somebody else has cut the file, or we have: asking again gives no more.
      if (filled < length) return damagedRead(log, segment, startOffset, truncations);
      let at = 0;
      let size = 0;
      // Header by header up to the batch that holds the offset.
      for (; ; at += size) {
        if (!hasHeader(buffer, at, filled)) break;
        size = storedSize(buffer, at);
        if (size < 0) return damagedRead(log, segment, startOffset, truncations);
        if (storedLastOffset(buffer, at) >= startOffset) break;
      }
      if (!hasHeader(buffer, at, filled)) {
        // Between two chunks of the walk; or what is left is no batch.
        if (at === 0) return damagedRead(log, segment, startOffset, truncations);
        position += at;
        continue;
      }
      if (storedBaseOffset(buffer, at) >= endOffset) return emptyRead(startOffset);
      if (at + size > filled) {
        if (size > options.maxBytes && !options.minOneBatch) return emptyRead(startOffset);
        if (position + at + size > end) return damagedRead(log, segment, startOffset, truncations);
        position += at;
        wanted = Math.max(size, options.maxBytes);
        continue;
      }
      const read = take(buffer, at, filled, startOffset, endOffset, options);
      const from = position + at;
      if (from < segment.foundBytes && !segment.isVerified(from, read.bytes)) {
        const damaged = damagedOffset(read.buffers);
        if (damaged === null) segment.verified(from, read.bytes);
        else if (log.truncations === truncations && log.refusesDamage(segment, damaged)) return emptyRead(startOffset, ErrorCode.KAFKA_STORAGE_ERROR);
      }
      // A consumer that reads on will ask for just what follows: it saves the search. After a cut something else may lie there.
      if (read.bytes > 0 && log.truncations === truncations) segment.addHint(read.nextOffset, position + at + read.bytes);
      if (lent === undefined || read.bytes === 0) return read;
      if (read.bytes * LENT_FOR_MAX < lent.length) return { ...read, buffers: [copyOf(read.buffers[0]!)] };
      const kept = lent;
      lent = undefined;
      return { ...read, release: () => options.buffers!.give(kept) };
    }
  } finally {
    giveBack(options, lent);
    segment.unpin();
  }
}

/** No batch lies where one should. Nobody is to blame when the log has been cut meanwhile. */
function damagedRead(log: ReadableLog, segment: Segment, startOffset: number, truncations: number): LogRead {
  if (log.truncations === truncations) log.refusesDamage(segment, startOffset);
  return emptyRead(startOffset, ErrorCode.KAFKA_STORAGE_ERROR);
}

/** Of the first batch that is not what was written, or null. */
function damagedOffset(buffers: readonly Buffer[]): number | null {
  for (const buffer of buffers) {
    for (let at = 0; at < buffer.length; at += storedSize(buffer, at)) if (!storedCrcMatches(buffer, at)) return storedBaseOffset(buffer, at);
  }
  return null;
}

/** Not from Node's pool, of which it would keep all alive. */
function copyOf(buffer: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(buffer.length);
  buffer.copy(copy);
  return copy;
}

function giveBack({ buffers }: ReadOptions, lent: Buffer | undefined): undefined {
  if (lent !== undefined) buffers!.give(lent);
}

function take(buffer: Buffer, at: number, filled: number, startOffset: number, endOffset: number, options: ReadOptions): LogRead {
  let to = at;
  let nextOffset = startOffset;
  while (hasHeader(buffer, to, filled) && storedBaseOffset(buffer, to) < endOffset) {
    const size = storedSize(buffer, to);
    const next = to + size;
    if (size < 0 || next > filled || (next - at > options.maxBytes && !(options.minOneBatch && to === at))) break;
    nextOffset = storedLastOffset(buffer, to) + 1;
    to = next;
  }
  if (to === at) return emptyRead(startOffset);
  const records = at === 0 && to === buffer.length ? buffer : buffer.subarray(at, to);
  return { error: ErrorCode.NONE, buffers: [records], bytes: to - at, firstBatchBaseOffset: storedBaseOffset(buffer, at), nextOffset };
}
