/**
 * What a member of the metadata quorum knows and can be, and what happens to it: the values of `raft.ts`, which steps from one to the next.
 *
 *     unattached   knows no leader that it can reach, and fetches from anyone to hear of one
 *     prospective  has not heard from a leader in time and asks whether it would be elected (pre-vote, KIP-996)
 *     candidate    has taken a new epoch and asks for votes
 *     leader       writes
 *     follower     fetches from the leader of the epoch; one that is no voter is called an observer, and is never a candidate
 *     resigned     has led in this epoch and does not any more
 *
 * All times are monotonic ms. Does nothing.
 */
import type { ErrorCode } from '../../protocol/errors.ts';
import type { ReplicaKey, VersionRange, Voter, VoterEndpoint, VoterSet } from './voters.ts';

/** What the quorum-state file keeps over a restart. */
export interface ElectionState {
  readonly epoch: number;
  /** -1 when none is known in this epoch. */
  readonly leaderId: number;
  /** -1 when this node has not voted in this epoch. */
  readonly votedId: number;
  readonly votedDirectoryId: string | null;
}

export interface RaftConfig {
  /** Elections wait for this and up to as much again. */
  readonly electionTimeoutMs: number;
  readonly electionBackoffMsMax: number;
  readonly fetchTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly retryBackoffMs: number;
  /** Whether this node is a controller, and so may be made a voter. */
  readonly canVote: boolean;
  /** Whether it asks to be made one (controller.quorum.auto.join.enable). */
  readonly autoJoin: boolean;
  /** The one of controller.listener.names that voters speak to each other on. */
  readonly listenerName: string;
  /** What this node says of itself: empty where it is reached by nobody. */
  readonly endpoints: readonly VoterEndpoint[];
  readonly kraftVersions: VersionRange;
  /** Who is asked for the leader when none is known: controller.quorum.bootstrap.servers, or the static voters. */
  readonly bootstrap: readonly Destination[];
}

export interface Destination {
  /** null for an address of which it is not known who is there. */
  readonly nodeId: number | null;
  readonly host: string;
  readonly port: number;
}

/** By `host:port`: one request at a time, and a pause after one that failed. */
export type Connection =
  | { readonly name: 'busy'; readonly requestId: number; readonly untilMs: number; readonly api: RaftRequest['api']; readonly nodeId: number | null }
  | { readonly name: 'backingOff'; readonly untilMs: number };

export interface SnapshotId {
  readonly offset: number;
  readonly epoch: number;
}

/** What the leader knows of a replica. Times are -1 until there is one. */
export interface Progress {
  readonly key: ReplicaKey;
  /** End of what it has made durable; -1 while it is not known. */
  readonly endOffset: number;
  readonly lastFetchMs: number;
  /** Where the leader's log ended at that fetch. */
  readonly endOffsetAtFetch: number;
  readonly lastCaughtUpMs: number;
}

export type Ballot = ReadonlyMap<number, 'granted' | 'rejected'>;

/** A change of the voters that was asked for and is not answered. */
export interface VoterChange {
  readonly kind: 'add' | 'remove' | 'update';
  /** null when the answer has been given. */
  readonly token: number | null;
  readonly voter: Voter;
  /** While the new voter is being asked what it supports. */
  readonly requestId: number | null;
  readonly ackWhenCommitted: boolean;
  /** Of the record with the new voters; null until it is appended. */
  readonly offset: number | null;
  readonly deadlineMs: number;
}

export interface LeaderRole {
  readonly name: 'leader';
  /** Of the LeaderChange record. Nothing counts as committed before it is. */
  readonly epochStartOffset: number;
  /** By `progressKey`: voters and observers. */
  readonly replicas: ReadonlyMap<string, Progress>;
  readonly beginEpochMs: number;
  readonly checkQuorumMs: number;
  /** Voters that have fetched since `checkQuorumMs` was set. */
  readonly fetchedVoters: readonly number[];
  readonly change: VoterChange | null;
  /** What voters have said of themselves while kraft.version is 0: what an upgrade to 1 writes down. */
  readonly volatileVoters: VoterSet;
}

export interface FollowerRole {
  readonly name: 'follower';
  readonly fetchDeadlineMs: number;
  readonly hasFetched: boolean;
  /** Since when the leader is not reached; null when it was the last time. */
  readonly unreachedMs: number | null;
  /** Since when nothing listens where this node fetched before; null when it has not fetched, or something does. */
  readonly refusedMs: number | null;
  readonly updateVoterMs: number;
  readonly hasUpdatedLeader: boolean;
  /** The snapshot that is being fetched in place of the log, and how much of it is here. */
  readonly snapshot: (SnapshotId & { readonly position: number }) | null;
  /** What the leader sent is being written, cut or fetched: nothing more is asked for. */
  readonly isFollowing: boolean;
  /** As the leader tells it; this node's follows as far as its own log is durable. */
  readonly leaderHighWatermark: number;
}

export type RaftRole =
  | {
      readonly name: 'unattached';
      readonly electionMs: number;
      /** Since it started this node has only heard, from those at these addresses, that they know of no leader; null when it has heard or done more. */
      readonly leaderless: readonly string[] | null;
    }
  | { readonly name: 'prospective'; readonly ballot: Ballot; readonly electionMs: number }
  | { readonly name: 'candidate'; readonly ballot: Ballot; readonly electionMs: number }
  | LeaderRole
  | FollowerRole
  | {
      readonly name: 'resigned';
      readonly electionMs: number;
      /** Voters that have not confirmed that they heard of it. */
      readonly unheard: readonly number[];
      /** Best first. */
      readonly successors: readonly ReplicaKey[];
    };

export interface RaftState {
  readonly nodeId: number;
  readonly directoryId: string;
  readonly config: RaftConfig;
  /** As of the log's end, committed or not. */
  readonly voters: VoterSet;
  readonly kraftVersion: number;
  /** Of the record that says who votes; -1 in the checkpoint that `format` made, null when it is the settings that say it. */
  readonly votersOffset: number | null;
  readonly election: ElectionState;
  /** Empty when there is no leader, or it is not known where it is. */
  readonly leaderEndpoints: readonly VoterEndpoint[];
  /** The last leader that this node fetched from, when nothing listens any more where it was; null again with the next one. */
  readonly goneLeaderId: number | null;
  readonly role: RaftRole;
  readonly logEndOffset: number;
  /** Epoch of the last batch before it. */
  readonly lastEpoch: number;
  /** End of what this node's log has on disk. */
  readonly durableOffset: number;
  /** All below is committed; undefined until this node has heard of one since it started. */
  readonly highWatermark: number | undefined;
  readonly connections: ReadonlyMap<string, Connection>;
  readonly nextRequestId: number;
  readonly isClosing: boolean;
}

export type RaftRequest =
  | { readonly api: 'vote'; readonly voter: ReplicaKey; readonly epoch: number; readonly preVote: boolean; readonly lastEpoch: number; readonly lastOffset: number }
  | { readonly api: 'beginEpoch'; readonly voter: ReplicaKey; readonly epoch: number }
  | { readonly api: 'endEpoch'; readonly epoch: number; readonly successors: readonly ReplicaKey[] }
  | { readonly api: 'fetch'; readonly epoch: number; readonly offset: number; readonly lastEpoch: number; readonly highWatermark: number }
  | { readonly api: 'fetchSnapshot'; readonly epoch: number; readonly snapshot: SnapshotId; readonly position: number }
  | { readonly api: 'updateVoter'; readonly epoch: number }
  | { readonly api: 'addVoter' }
  | { readonly api: 'removeVoter'; readonly voter: ReplicaKey }
  | { readonly api: 'versions' };

/** What an answer says of the leader, besides what it is the answer to. */
export interface AnswerHead {
  readonly error: ErrorCode;
  readonly leaderId: number;
  readonly epoch: number;
  readonly leaderEndpoints: readonly VoterEndpoint[];
}

export type FetchedContent =
  | { readonly type: 'records'; readonly bytes: Buffer }
  | { readonly type: 'diverging'; readonly epoch: number; readonly endOffset: number }
  | { readonly type: 'snapshot'; readonly id: SnapshotId };

export type RaftAnswer =
  | (AnswerHead & { readonly api: 'vote'; readonly isGranted: boolean })
  | (AnswerHead & { readonly api: 'beginEpoch' | 'endEpoch' | 'updateVoter' })
  | (AnswerHead & { readonly api: 'fetch'; readonly highWatermark: number; readonly content: FetchedContent })
  | (AnswerHead & { readonly api: 'fetchSnapshot'; readonly id: SnapshotId; readonly position: number; readonly sizeBytes: number; readonly bytes: Buffer })
  | { readonly api: 'addVoter' | 'removeVoter'; readonly error: ErrorCode }
  | { readonly api: 'versions'; readonly error: ErrorCode; readonly kraftVersions: VersionRange | null };

export type RaftEvent =
  /** Once, after the log has been opened and recovered: all that it holds is durable. */
  | { readonly type: 'start' }
  /** The time of `nextTimeMs` has come. */
  | { readonly type: 'tick' }
  /** The log ends at `endOffset` now; control records count too. */
  | { readonly type: 'appended'; readonly endOffset: number; readonly lastEpoch: number }
  /** All below `endOffset` is on this node's disk. */
  | { readonly type: 'durable'; readonly endOffset: number }
  /** What was appended is gone again: it could not be written, or the leader's log is another. */
  | { readonly type: 'cut'; readonly endOffset: number; readonly lastEpoch: number }
  /** The log begins anew at the end of a snapshot that was fetched. */
  | { readonly type: 'restarted'; readonly endOffset: number; readonly lastEpoch: number }
  /** What the records up to the log's end say of who votes. */
  | { readonly type: 'voters'; readonly voters: VoterSet; readonly kraftVersion: number; readonly offset: number | null }
  | { readonly type: 'resign' }
  /** This node leaves: a leader resigns, and nobody is a candidate any more. */
  | { readonly type: 'close' }
  /** Requests of others; each is answered once, by its token. */
  | {
      readonly type: 'vote';
      readonly token: number;
      /** Whom the sender takes this node for; null when it does not say. */
      readonly voter: ReplicaKey | null;
      readonly replica: ReplicaKey;
      readonly epoch: number;
      readonly lastEpoch: number;
      readonly lastOffset: number;
      readonly preVote: boolean;
    }
  | { readonly type: 'beginEpoch'; readonly token: number; readonly voter: ReplicaKey | null; readonly leaderId: number; readonly epoch: number; readonly endpoints: readonly VoterEndpoint[] }
  | { readonly type: 'endEpoch'; readonly token: number; readonly leaderId: number; readonly epoch: number; readonly endpoints: readonly VoterEndpoint[]; readonly successors: readonly ReplicaKey[] }
  | { readonly type: 'addVoter'; readonly token: number; readonly voter: Voter; readonly ackWhenCommitted: boolean }
  | { readonly type: 'removeVoter'; readonly token: number; readonly key: ReplicaKey }
  | { readonly type: 'updateVoter'; readonly token: number; readonly voter: Voter; readonly epoch: number }
  /** kraft.version is to be 1. */
  | { readonly type: 'upgrade'; readonly token: number; readonly kraftVersion: number; readonly validateOnly: boolean }
  /** A replica has fetched from `offset`, which agrees with this leader's log: it has all before on its disk. */
  | { readonly type: 'fetchedBy'; readonly key: ReplicaKey; readonly offset: number }
  | { readonly type: 'snapshotFetchedBy'; readonly key: ReplicaKey }
  /** What others answered. */
  | { readonly type: 'answer'; readonly requestId: number; readonly answer: RaftAnswer }
  /** Not reached, too late, or not understood. */
  | { readonly type: 'noAnswer'; readonly requestId: number }
  /** Nothing listens where it was sent: the process is gone. */
  | { readonly type: 'refused'; readonly requestId: number }
  /** An effect of `follow`, `truncate` or `beginSnapshot` is done, or could not be. */
  | { readonly type: 'followed'; readonly isDone: boolean }
  /** The bytes of a snapshot are on disk up to `position`; `isWhole` when it is complete and the log follows from it. */
  | { readonly type: 'chunkTaken'; readonly id: SnapshotId; readonly position: number; readonly isWhole: boolean };

export interface Reply {
  readonly error: ErrorCode;
  readonly message?: string;
  readonly isGranted?: boolean;
  readonly leaderId: number;
  readonly epoch: number;
  readonly leaderEndpoints: readonly VoterEndpoint[];
}

export type RaftEffect =
  /** Must be durable before the effect after it. */
  | { readonly type: 'saveElection'; readonly election: ElectionState }
  /** Append a LeaderChange record as the first of this epoch, with the voters behind it when they are not in the log as they should be. */
  | {
      readonly type: 'appendLeaderChange';
      readonly epoch: number;
      readonly voters: readonly number[];
      readonly grantingVoters: readonly number[];
      readonly votersRecord: VoterSet | null;
    }
  | { readonly type: 'becomeLeader'; readonly epoch: number }
  | { readonly type: 'resigned'; readonly epoch: number }
  /** Another leader or epoch, or the leader is reached elsewhere. */
  | { readonly type: 'leaderChanged' }
  | { readonly type: 'highWatermark'; readonly offset: number }
  | { readonly type: 'appendVoters'; readonly voters: VoterSet; readonly kraftVersion: number | null }
  | { readonly type: 'send'; readonly requestId: number; readonly to: Destination; readonly request: RaftRequest }
  | { readonly type: 'reply'; readonly token: number; readonly reply: Reply }
  /** Append what the leader sent, as far as it is sound. */
  | { readonly type: 'follow'; readonly bytes: Buffer; readonly epoch: number }
  /** Cut the log to where it agrees with the leader's, whose epoch `epoch` ends at `endOffset`. */
  | { readonly type: 'truncate'; readonly epoch: number; readonly endOffset: number }
  /** Begin to fetch a snapshot, unless it is here: then the log is to follow from it. */
  | { readonly type: 'beginSnapshot'; readonly id: SnapshotId }
  | { readonly type: 'takeChunk'; readonly id: SnapshotId; readonly position: number; readonly sizeBytes: number; readonly bytes: Buffer };

export interface RaftStep {
  readonly state: RaftState;
  readonly effects: readonly RaftEffect[];
}
