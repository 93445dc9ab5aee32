/**
 * The words for records that were refused: what Kafka puts into `recordErrors` and `errorMessage` of a produce response, from version 8 on (KIP-467).
 *
 * Promises: Kafka's texts, which clients show to people.
 * Does not: decide anything (`validate.ts` did). For other errors of a batch Kafka sends no text of its own.
 */
import { ErrorCode } from '../errors.ts';
import { CompressionType } from './batch.ts';
import type { ProducedBatch, ProduceRules, Rejection } from './validate.ts';

/** As in the message ProduceResponse. */
export interface RecordErrorText {
  readonly batchIndex: number;
  readonly batchIndexErrorMessage: string;
}

export interface RejectionTexts {
  readonly errorMessage: string;
  readonly recordErrors: readonly RecordErrorText[];
}

const SHOWN_RECORDS_MAX = 3;
const LONG_MAX = 2n ** 63n - 1n;

/** Of a batch with rejections, refused with `code` at `nowMs`. `topicPartition` is written as in `orders-7`. */
export function describeRejections(found: ProducedBatch, code: ErrorCode, topicPartition: string, rules: ProduceRules, nowMs: number): RejectionTexts {
  const recordErrors = found.rejections.map((rejection) => ({
    batchIndex: rejection.batchIndex,
    batchIndexErrorMessage: describeRejection(rejection, found, topicPartition, rules, nowMs),
  }));
  if (code === ErrorCode.INVALID_TIMESTAMP) return { errorMessage: 'One or more records have been rejected due to invalid timestamp', recordErrors };
  const shown = recordErrors
    .slice(0, SHOWN_RECORDS_MAX)
    .map((error) => `RecordError(batchIndex=${error.batchIndex}, message='${error.batchIndexErrorMessage}')`)
    .join(', ');
  const errorMessage = `One or more records have been rejected due to ${recordErrors.length} record errors in total, `
    + `and only showing the first three errors at most: [${shown}]`;
  return { errorMessage, recordErrors };
}

function describeRejection(rejection: Rejection, found: ProducedBatch, topicPartition: string, rules: ProduceRules, nowMs: number): string {
  const { offset, timestamp, keyBytes, valueBytes } = rejection;
  switch (rejection.reason) {
    case 'no key':
      return `Compacted topic cannot accept message without key in topic partition ${topicPartition}`;
    case 'timestamp out of range': {
      // With a bound of 2^63-1 the range begins far below zero, and a Java long goes round.
      const least = BigInt.asIntN(64, BigInt(nowMs) - asLong(rules.timestampBeforeMaxMs));
      const greatest = BigInt.asIntN(64, BigInt(nowMs) + asLong(rules.timestampAfterMaxMs));
      return `Timestamp ${timestamp} of message with offset ${offset} is out of range. The timestamp should be within [${least}, ${greatest}]`;
    }
    case 'log append time': {
      // The name of the Java class that Kafka has read the record with shows.
      const isPartial = found.producedCompression !== CompressionType.NONE && found.storedCompression === found.producedCompression;
      const record = `${isPartial ? 'Partial' : ''}DefaultRecord(offset=${offset}, timestamp=${timestamp}, key=${keyBytes} bytes, value=${valueBytes} bytes)`;
      return `Invalid timestamp type in message ${record}. Producer should not set timestamp type to LogAppendTime.`;
    }
  }
}

function asLong(ms: number): bigint {
  return ms >= Number(LONG_MAX) ? LONG_MAX : BigInt(ms);
}
