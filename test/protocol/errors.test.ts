/** Errors by name and by code. The whole table is checked against Kafka's in golden-frames.test.ts. */
import { expect, test } from 'vitest';
import { ErrorCode, errorMessage, errorName, isRetriable, KafkaError } from '../../protocol/errors.ts';

test('codes are numbers with names and texts', () => {
  expect(ErrorCode.NOT_COORDINATOR).toBe(16);
  expect(errorName(16)).toBe('NOT_COORDINATOR');
  expect(errorMessage(16)).toBe('This is not the correct coordinator.');
  expect(errorMessage(ErrorCode.NONE)).toBe(null);
  expect([isRetriable(ErrorCode.NOT_COORDINATOR), isRetriable(ErrorCode.INVALID_GROUP_ID)]).toEqual([true, false]);
});

test('no two names have one code', () => {
  const codes = Object.values(ErrorCode);
  expect(new Set(codes).size).toBe(codes.length);
});

test('a code that nobody knows', () => {
  expect(errorName(9999)).toBe('UNKNOWN(9999)');
  expect(errorMessage(9999)).toBe(errorMessage(ErrorCode.UNKNOWN_SERVER_ERROR));
  expect(isRetriable(9999)).toBe(false);
});

test('an exception has its code and Kafka\'s text, or one of its own', () => {
  const error = new KafkaError(ErrorCode.NOT_CONTROLLER);
  expect(error).toBeInstanceOf(Error);
  expect([error.name, error.code, error.message, error.isRetriable]).toEqual(['KafkaError', 41, 'This is not the correct controller for this cluster.', true]);
  expect(new KafkaError(ErrorCode.INVALID_CONFIG, 'retention.ms is -5').message).toBe('retention.ms is -5');
});
