/** What a reader wants of transactions: 0 is read_uncommitted, 1 read_committed, and there is no other. */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';

const READ_COMMITTED = 1;

/** Throws a KafkaError for a level that is not: Kafka's IsolationLevel.forId throws what it has no code for. */
export function readsCommitted(isolationLevel: number): boolean {
  if (isolationLevel < 0 || isolationLevel > READ_COMMITTED) throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, `isolation level ${isolationLevel}`);
  return isolationLevel === READ_COMMITTED;
}
