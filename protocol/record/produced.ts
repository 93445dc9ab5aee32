/**
 * A valid batch as it goes into the log: usually the very bytes that came, changed in place where the topic's rules ask for it.
 *
 * Promises: after `storedForm` the batch has the timestamps and the codec of its topic, as Kafka's LogValidator makes them; offsets and leader epoch
 * are the log's to set. A batch that nothing has to change is returned as a view of its input.
 * Does not: validate (`validate.ts` did), or check again that a batch in another codec is not too large (the caller compares its length).
 */
import {
  baseSequence, baseTimestamp, isTransactional, maxTimestamp, producerEpoch, producerId, RECORD_BATCH_OVERHEAD,
  setMaxTimestampAndType, TimestampType, timestampType,
} from './batch.ts';
import { buildBatch, wrapRecords } from './build.ts';
import { readRecords } from './records.ts';
import type { ProducedBatch, ProduceRules } from './validate.ts';

/** The batch at `at` of which `validateProduced` said NONE and what is in `found`. Writes into `buffer` when a timestamp has to change. */
export function storedForm(buffer: Buffer, at: number, rules: ProduceRules, nowMs: number, found: ProducedBatch): Buffer {
  const batch = buffer.subarray(at, at + found.sizeInBytes);
  const stored = found.storedCompression === found.producedCompression ? batch : recode(batch, rules, found);
  found.payload = undefined;
  const stamp = rules.timestampType === TimestampType.LOG_APPEND_TIME ? nowMs : found.maxTimestamp;
  if (timestampType(stored, 0) !== rules.timestampType || maxTimestamp(stored, 0) !== stamp) setMaxTimestampAndType(stored, 0, rules.timestampType, stamp);
  return stored;
}

function recode(batch: Buffer, rules: ProduceRules, found: ProducedBatch): Buffer {
  const header = {
    compression: found.storedCompression,
    ...(rules.compressionLevel === undefined ? {} : { compressionLevel: rules.compressionLevel }),
    maxTimestamp: found.maxTimestamp,
    producerId: producerId(batch, 0),
    producerEpoch: producerEpoch(batch, 0),
    baseSequence: baseSequence(batch, 0),
    isTransactional: isTransactional(batch, 0),
  };
  if (found.hasSequentialOffsets && timestampType(batch, 0) === TimestampType.CREATE_TIME) {
    const payload = found.payload ?? batch.subarray(RECORD_BATCH_OVERHEAD);
    return wrapRecords(payload, found.recordCount, { ...header, baseTimestamp: baseTimestamp(batch, 0) });
  }
  // Gaps in the offsets are closed, and log append times that a producer claimed become the records' own, so the records are written anew.
  const records = readRecords(batch, 0, rules.decompression).map(({ timestamp, key, value, headers }) => ({ timestamp, key, value, headers }));
  return buildBatch({ ...header, records });
}
