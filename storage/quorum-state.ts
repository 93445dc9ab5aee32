/**
 * `quorum-state`, beside the metadata log: the epoch a voter is in, whom it voted for, who leads. Raft answers no vote before it is durable.
 *
 *     {"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}
 *     {"leaderId":7,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}
 *
 * Promises: Kafka's bytes: version 0 while the voters are given by settings (kraft.version 0), version 1 when they are in the log.
 * Does not: judge the state. A file that cannot be read must end the start: a forgotten vote is a second vote in the same epoch.
 */
import { ZERO_UUID } from '../protocol/text.ts';
import { corrupt, joinPath, loadFile, replaceFileSync } from './files.ts';
import type { Loaded } from './files.ts';
import type { Disk } from './disk.ts';
import { isUuid } from './meta-properties.ts';

export const QUORUM_STATE = 'quorum-state';

export interface QuorumState {
  readonly version: 0 | 1;
  /** -1 for none known. */
  readonly leaderId: number;
  readonly leaderEpoch: number;
  /** -1 for nobody. */
  readonly votedId: number;
  /** All zeros for none, and always in version 0. */
  readonly votedDirectoryId: string;
  /** In version 0 the ids of the voters; in version 1 empty. */
  readonly voterIds: readonly number[];
}

export function loadQuorumState(disk: Disk, directory: string): Loaded<QuorumState> {
  return loadFile(disk, joinPath(directory, QUORUM_STATE), parseQuorumState);
}

/** Returns when it is durable; holds up the event loop, which elections are rare enough for. */
export function writeQuorumState(disk: Disk, directory: string, state: QuorumState): void {
  replaceFileSync(disk, joinPath(directory, QUORUM_STATE), formatQuorumState(state));
}

export function formatQuorumState(state: QuorumState): Buffer {
  const { leaderId, leaderEpoch, votedId, votedDirectoryId, voterIds } = state;
  return Buffer.from(
    JSON.stringify(
      state.version === 0
        ? { clusterId: '', leaderId, leaderEpoch, votedId, appliedOffset: 0, currentVoters: voterIds.map((voterId) => ({ voterId })), data_version: 0 }
        : { leaderId, leaderEpoch, votedId, votedDirectoryId, data_version: 1 },
    ),
  );
}

export function parseQuorumState(bytes: Buffer): Loaded<QuorumState> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return corrupt('not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null) return corrupt('not an object');
  const state = parsed as Record<string, unknown>;
  const { data_version: version, leaderId, leaderEpoch, votedId } = state;
  if (version !== 0 && version !== 1) return corrupt(`data_version ${JSON.stringify(version)}`);
  if (!isId(leaderId)) return corrupt(`leaderId ${JSON.stringify(leaderId)}`);
  if (!isId(votedId)) return corrupt(`votedId ${JSON.stringify(votedId)}`);
  if (!isId(leaderEpoch)) return corrupt(`leaderEpoch ${JSON.stringify(leaderEpoch)}`);
  if (version === 1) {
    const { votedDirectoryId } = state;
    if (typeof votedDirectoryId !== 'string' || !isUuid(votedDirectoryId)) return corrupt(`votedDirectoryId ${JSON.stringify(votedDirectoryId)}`);
    return { status: 'ok', value: { version, leaderId, leaderEpoch, votedId, votedDirectoryId, voterIds: [] } };
  }
  const voters = state.currentVoters ?? [];
  if (!Array.isArray(voters)) return corrupt(`currentVoters ${JSON.stringify(voters)}`);
  const voterIds: number[] = [];
  for (const voter of voters as unknown[]) {
    const voterId = (voter as { voterId?: unknown } | null)?.voterId;
    if (!isId(voterId) || voterId < 0) return corrupt(`currentVoters ${JSON.stringify(voters)}`);
    voterIds.push(voterId);
  }
  return { status: 'ok', value: { version, leaderId, leaderEpoch, votedId, votedDirectoryId: ZERO_UUID, voterIds } };
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= -1 && (value as number) <= 0x7fffffff;
}
