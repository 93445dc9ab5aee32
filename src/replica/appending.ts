/**
 * One partition's part of a produce request: from the bytes that came to the log.
 *
 * Promises: what enters the log has been checked as Kafka checks it, and is stored as the topic's settings ask; a batch that was appended before, by
 * the same idempotent producer under the same sequence, is answered with the offset that it got then. Nothing is copied unless the settings need it.
 * Does not wait: the caller does, for `endOffset`.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import { isTransactional } from '../../protocol/record/batch.ts';
import { storedForm } from '../../protocol/record/produced.ts';
import { ProducedBatch, validateProduced } from '../../protocol/record/validate.ts';
import type { Partition } from './partition.ts';

export interface RecordError {
  readonly batchIndex: number;
  readonly batchIndexErrorMessage: string | null;
}

export interface Appended {
  readonly errorCode: ErrorCode;
  /** Of the first record, or -1. */
  readonly baseOffset: number;
  /** -1 under CreateTime. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: number;
  /** The offset that must be committed, or written, before the producer may be told. */
  readonly endOffset: number;
  readonly recordErrors: readonly RecordError[];
  readonly errorMessage: string | null;
}

const NO_RECORD_ERRORS: readonly RecordError[] = [];

/** Used for one batch at a time, and by nobody else. */
const found = new ProducedBatch();

export function appendProduced(partition: Partition, records: Buffer | null, apiVersion: number, nowMs: number): Appended {
  const { log } = partition;
  if (log.failed) return refused(ErrorCode.KAFKA_STORAGE_ERROR, -1);
  if (records === null) return refused(ErrorCode.INVALID_RECORD, log.logStartOffset);
  const rules = partition.settings.produceRules;
  const fault = validateProduced(records, 0, records.length, apiVersion, rules, nowMs, found);
  if (fault !== ErrorCode.NONE) return refused(fault, log.logStartOffset);
  // Served with the transaction coordinator; until then no producer has been given an id that may begin a transaction.
  if (isTransactional(records, 0)) return refused(ErrorCode.INVALID_TXN_STATE, log.logStartOffset);
  const batch = storedForm(records, 0, rules, nowMs, found);
  if (batch.length > rules.batchBytesMax) return refused(ErrorCode.MESSAGE_TOO_LARGE, log.logStartOffset);
  const result = partition.append(batch, 'client', nowMs);
  if (result.error !== ErrorCode.NONE) return refused(result.error, log.logStartOffset);
  return {
    errorCode: ErrorCode.NONE, baseOffset: result.baseOffset, logAppendTimeMs: result.logAppendTimeMs, logStartOffset: result.logStartOffset,
    endOffset: result.lastOffset + 1, recordErrors: NO_RECORD_ERRORS, errorMessage: null,
  };
}

function refused(errorCode: ErrorCode, logStartOffset: number): Appended {
  return { errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset, endOffset: -1, recordErrors: NO_RECORD_ERRORS, errorMessage: null };
}
