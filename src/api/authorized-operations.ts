/**
 * The operations that whoever asks may do on a resource, as a bit field (KIP-430). Without an authorizer everybody may do all that the resource knows.
 */

/** AclOperation's codes. */
const Operation = {
  READ: 3, WRITE: 4, CREATE: 5, DELETE: 6, ALTER: 7, DESCRIBE: 8, CLUSTER_ACTION: 9, DESCRIBE_CONFIGS: 10, ALTER_CONFIGS: 11, IDEMPOTENT_WRITE: 12,
} as const;

/** What answers hold when nobody asked. */
export const OPERATIONS_NOT_ASKED = -2_147_483_648;

export const TOPIC_OPERATIONS = bits([
  Operation.READ, Operation.WRITE, Operation.CREATE, Operation.DELETE, Operation.ALTER, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS,
]);

export const CLUSTER_OPERATIONS = bits([
  Operation.CREATE, Operation.ALTER, Operation.DESCRIBE, Operation.CLUSTER_ACTION, Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS,
  Operation.IDEMPOTENT_WRITE,
]);

function bits(operations: readonly number[]): number {
  return operations.reduce((field, operation) => field | (1 << operation), 0);
}
