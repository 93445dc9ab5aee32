/**
 * The file of producer states at an offset, `00000000000000001116.snapshot`: what the log would otherwise have to read again from its beginning.
 *
 *     file:    0 version:2                 1
 *              2 crc:4                     CRC-32C of all that follows
 *              6 count:4
 *             10 entries
 *
 *     entry:   0 producerId:8
 *              8 epoch:2
 *             10 lastSequence:4            -1 when only markers were written
 *             14 lastOffset:8
 *             22 offsetDelta:4             last minus first sequence of the last batch
 *             26 timestamp:8
 *             34 coordinatorEpoch:4        -1 before the first marker
 *             38 currentTxnFirstOffset:8   -1 outside of a transaction
 *
 * Promises: a file that is cut, longer or damaged is corrupt, as a whole. Does not: name the file, write it, or expire producers. Kafka writes
 * the file and syncs it without a rename, so a bad one is normal after a crash and the next older one serves.
 */
import { readInt64, writeInt64 } from '../protocol/record/batch.ts';
import { crc32c } from '../protocol/record/crc32c.ts';
import { corrupt } from './files.ts';
import type { Loaded } from './files.ts';

const VERSION = 1;
const CRC_AT = 2;
const COUNT_AT = 6;
const ENTRIES_AT = 10;
const ENTRY_BYTES = 46;

export interface ProducerSnapshotEntry {
  readonly producerId: number;
  readonly epoch: number;
  readonly lastSequence: number;
  readonly lastOffset: number;
  readonly offsetDelta: number;
  readonly timestamp: number;
  readonly coordinatorEpoch: number;
  readonly currentTxnFirstOffset: number;
}

export function encodeProducerSnapshot(entries: readonly ProducerSnapshotEntry[]): Buffer {
  const bytes = Buffer.alloc(ENTRIES_AT + entries.length * ENTRY_BYTES);
  bytes.writeInt16BE(VERSION, 0);
  bytes.writeInt32BE(entries.length, COUNT_AT);
  let at = ENTRIES_AT;
  for (const entry of entries) {
    writeInt64(bytes, entry.producerId, at);
    bytes.writeInt16BE(entry.epoch, at + 8);
    bytes.writeInt32BE(entry.lastSequence, at + 10);
    writeInt64(bytes, entry.lastOffset, at + 14);
    bytes.writeInt32BE(entry.offsetDelta, at + 22);
    writeInt64(bytes, entry.timestamp, at + 26);
    bytes.writeInt32BE(entry.coordinatorEpoch, at + 34);
    writeInt64(bytes, entry.currentTxnFirstOffset, at + 38);
    at += ENTRY_BYTES;
  }
  bytes.writeUInt32BE(crc32c(bytes, COUNT_AT, bytes.length), CRC_AT);
  return bytes;
}

export function decodeProducerSnapshot(bytes: Buffer): Loaded<ProducerSnapshotEntry[]> {
  if (bytes.length < ENTRIES_AT) return corrupt(`${bytes.length} bytes`);
  if (bytes.readInt16BE(0) !== VERSION) return corrupt(`version ${bytes.readInt16BE(0)}`);
  if (bytes.readUInt32BE(CRC_AT) !== crc32c(bytes, COUNT_AT, bytes.length)) return corrupt('wrong checksum');
  const count = bytes.readInt32BE(COUNT_AT);
  if (bytes.length !== ENTRIES_AT + count * ENTRY_BYTES) return corrupt(`${count} entries in ${bytes.length} bytes`);
  const entries: ProducerSnapshotEntry[] = [];
  for (let at = ENTRIES_AT; at < bytes.length; at += ENTRY_BYTES) {
    entries.push({
      producerId: readInt64(bytes, at),
      epoch: bytes.readInt16BE(at + 8),
      lastSequence: bytes.readInt32BE(at + 10),
      lastOffset: readInt64(bytes, at + 14),
      offsetDelta: bytes.readInt32BE(at + 22),
      timestamp: readInt64(bytes, at + 26),
      coordinatorEpoch: bytes.readInt32BE(at + 34),
      currentTxnFirstOffset: readInt64(bytes, at + 38),
    });
  }
  return { status: 'ok', value: entries };
}
