/** The content of the quorum-state file, apart from the JSON that it is written as. */
import { array, int32, int64, message, string, struct, uuid } from '../schema.ts';

export const QuorumStateData = message({
  name: 'QuorumStateData',
  versions: '0-1',
  flexible: '0+',
  fields: {
    clusterId: string('0'),
    leaderId: int32().default(-1),
    leaderEpoch: int32().default(-1),
    votedId: int32().default(-1),
    votedDirectoryId: uuid('1+'),
    appliedOffset: int64('0'),
    currentVoters: array(struct({
      voterId: int32(),
    }), '0').nullable(),
  },
});
