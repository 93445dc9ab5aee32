/** Reading a whole log through its front door, as the tests of the log do. */
import assert from 'node:assert';
import { ErrorCode } from '../../protocol/errors.ts';
import * as batch from '../../protocol/record/batch.ts';
import { readRecords } from '../../protocol/record/records.ts';
import type { Record } from '../../protocol/record/records.ts';
import type { Log } from '../../storage/log.ts';

export interface FoundBatch {
  readonly buffer: Buffer;
  readonly baseOffset: number;
  readonly lastOffset: number;
}

/** All batches from `from` to `endOffset`, in reads of at most `maxBytes`. Each read is held to what log-read.ts promises. */
export async function readBatches(log: Log, options: { from?: number; endOffset?: number; maxBytes?: number } = {}): Promise<FoundBatch[]> {
  const { from = log.logStartOffset, endOffset = log.writtenEndOffset, maxBytes = 1_048_576 } = options;
  const found: FoundBatch[] = [];
  let offset = from;
  while (offset < endOffset) {
    const read = await log.read(offset, { maxBytes, endOffset, minOneBatch: true });
    assert.equal(read.error, ErrorCode.NONE, `reading at ${offset}`);
    const bytes = Buffer.concat(read.buffers);
    assert.equal(bytes.length, read.bytes);
    // Compaction leaves offsets at the end that no batch holds.
    if (bytes.length === 0) break;
    assert.equal(batch.baseOffset(bytes, 0), read.firstBatchBaseOffset);
    let at = 0;
    let size = 0;
    for (; at < bytes.length; at += size) {
      size = batch.sizeInBytes(bytes, at);
      assert(at + size <= bytes.length, `a batch cut short at the end of a read at ${offset}`);
      assert.equal(batch.crc(bytes, at), batch.computeCrc(bytes, at), `checksum of the batch at ${batch.baseOffset(bytes, at)}`);
      const lastOffset = batch.lastOffset(bytes, at);
      assert(lastOffset >= offset, `the batch that ends at ${lastOffset} is before ${offset}`);
      assert(batch.baseOffset(bytes, at) < endOffset, 'beyond the end');
      found.push({ buffer: bytes.subarray(at, at + size), baseOffset: batch.baseOffset(bytes, at), lastOffset });
      offset = lastOffset + 1;
    }
    assert.equal(read.nextOffset, offset);
    assert(bytes.length <= maxBytes || bytes.length === batch.sizeInBytes(bytes, 0), `${bytes.length} bytes where ${maxBytes} were asked for`);
  }
  return found;
}

/** The records of a batch that a client gets, those of markers left out. */
export function dataRecords({ buffer }: FoundBatch): Record[] {
  return batch.isControl(buffer, 0) ? [] : readRecords(buffer, 0);
}

/** What a read_committed client makes of a fetch: the aborted transactions' batches left out, as the list beside the data says. */
export function committedOnly(batches: readonly FoundBatch[], aborted: readonly { producerId: number; firstOffset: number }[]): FoundBatch[] {
  const waiting = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const open = new Set<number>();
  return batches.filter(({ buffer, lastOffset }) => {
    while (waiting.length > 0 && waiting[0]!.firstOffset <= lastOffset) open.add(waiting.shift()!.producerId);
    const producerId = batch.producerId(buffer, 0);
    if (!batch.isTransactional(buffer, 0)) return true;
    if (batch.isControl(buffer, 0)) {
      open.delete(producerId);
      return false;
    }
    return !open.has(producerId);
  });
}
