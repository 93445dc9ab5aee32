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
import { describeRejections } from '../../protocol/record/rejections.ts';
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

/** What the request says beside the records. */
export interface Produced {
  readonly apiVersion: number;
  readonly transactionalId: string | null;
  /** For a caller who wants the buffer of the records back; see AppendOptions. */
  readonly release: (() => void) | undefined;
}

const NO_RECORD_ERRORS: readonly RecordError[] = [];

/** Used for one batch at a time, and by nobody else. */
const found = new ProducedBatch();

export function appendProduced(partition: Partition, records: Buffer | null, produced: Produced, nowMs: number): Appended {
  const { log } = partition;
  if (log.failed) return refused(ErrorCode.KAFKA_STORAGE_ERROR, -1);
  if (records === null) return refused(ErrorCode.INVALID_RECORD, -1);
  const rules = partition.settings.produceRules;
  const fault = validateProduced(records, 0, records.length, produced.apiVersion, rules, nowMs, found);
  if (fault !== ErrorCode.NONE) return invalid(fault, partition, nowMs);
  if (isTransactional(records, 0)) {
    // A transaction needs a name. Those that have one come with the transaction coordinator; until then no producer has an id that may begin one.
    return refused(produced.transactionalId === null ? ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED : ErrorCode.INVALID_TXN_STATE, -1);
  }
  const batch = storedForm(records, 0, rules, nowMs, found);
  if (batch.length > rules.batchBytesMax) return refused(ErrorCode.MESSAGE_TOO_LARGE, -1);
  // A batch that was made anew is not in the frame any more, and needs no giving back.
  const result = partition.append(batch, 'client', nowMs, batch.buffer === records.buffer ? produced.release : undefined);
  if (result.error !== ErrorCode.NONE) return refused(result.error, withoutLogStart.has(result.error) ? -1 : log.logStartOffset);
  return {
    errorCode: ErrorCode.NONE, baseOffset: result.baseOffset, logAppendTimeMs: result.logAppendTimeMs, logStartOffset: result.logStartOffset,
    endOffset: result.lastOffset + 1, recordErrors: NO_RECORD_ERRORS, errorMessage: null,
  };
}

/** Kafka tells where the log starts with the refusals that its LogValidator and ProducerStateManager have, and not with these (ReplicaManager.appendToLocalLog). */
const withoutLogStart: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.CORRUPT_MESSAGE, ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE, ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_LEADER_OR_FOLLOWER,
]);

/** What did not pass validation, with what is wrong with which record where that can be said (KIP-467). */
function invalid(errorCode: ErrorCode, { topic, partition, log, settings }: Partition, nowMs: number): Appended {
  // Nothing that could be called a batch: Kafka finds that before it looks at the log.
  if (found.sizeInBytes === 0 || withoutLogStart.has(errorCode)) return refused(errorCode, -1);
  const refusal = refused(errorCode, log.logStartOffset);
  return found.rejections.length === 0 ? refusal : { ...refusal, ...describeRejections(found, errorCode, `${topic}-${partition}`, settings.produceRules, nowMs) };
}

function refused(errorCode: ErrorCode, logStartOffset: number): Appended {
  return { errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset, endOffset: -1, recordErrors: NO_RECORD_ERRORS, errorMessage: null };
}
