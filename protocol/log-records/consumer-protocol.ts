/** What members of a classic group tell each other through JoinGroup and SyncGroup: int16 version, then one of these messages. */
import { array, bytes, int32, message, string, struct } from '../schema.ts';

export const ConsumerProtocolSubscription = message({
  name: 'ConsumerProtocolSubscription',
  versions: '0-3',
  flexible: 'none',
  fields: {
    topics: array(string()),
    userData: bytes().nullable().default(null),
    ownedPartitions: array(struct({
      topic: string(),
      partitions: array(int32()),
    }), '1+').ignorable(),
    generationId: int32('2+').default(-1).ignorable(),
    rackId: string('3+').nullable().default(null).ignorable(),
  },
});

export const ConsumerProtocolAssignment = message({
  name: 'ConsumerProtocolAssignment',
  versions: '0-3',
  flexible: 'none',
  fields: {
    assignedPartitions: array(struct({
      topic: string(),
      partitions: array(int32()),
    })),
    userData: bytes().nullable().default(null),
  },
});
