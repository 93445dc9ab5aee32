/**
 * What other nodes and operators ask of this member of the quorum, as Kafka's messages.
 *
 * Promises: requests of another cluster, or about anything but the one metadata partition, are refused as Kafka refuses them and reach nothing else; answers tell the
 * leader and where it is on the listener that the request came on, in the versions that have room for that. Does not decide (`raft.ts`).
 */
import { ErrorCode, errorMessage } from '../../protocol/errors.ts';
import type {
  AddRaftVoterRequest, AddRaftVoterResponse, BeginQuorumEpochRequest, BeginQuorumEpochResponse, DescribeQuorumRequest, DescribeQuorumResponse, EndQuorumEpochRequest,
  EndQuorumEpochResponse, FetchRequest, FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse, UpdateRaftVoterRequest,
  UpdateRaftVoterResponse, VoteRequest, VoteResponse,
} from '../../protocol/messages/index.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import type { Clock } from '../runtime/runtime.ts';
import { METADATA_TOPIC_ID } from './bootstrap.ts';
import type { RaftDriver } from './driver.ts';
import { ZERO_UUID } from './image.ts';
import type { RaftFetches } from './raft-fetch.ts';
import { METADATA_TOPIC } from './raft-messages.ts';
import type { Progress, Reply } from './raft-state.ts';
import { progressKey } from './raft-turn.ts';
import { endpointOn, replicaKey, type ReplicaKey, type VoterEndpoint } from './voters.ts';

/** How a request came. */
export interface QuorumRequestContext {
  readonly apiVersion: number;
  /** Name of the listener. */
  readonly listener: string;
}

type Leader = Pick<Reply, 'leaderId' | 'epoch' | 'leaderEndpoints'>;

export class QuorumService {
  readonly #clusterId: string;
  readonly #driver: RaftDriver;
  readonly #fetches: RaftFetches;
  readonly #clock: Clock;

  constructor(options: { readonly clusterId: string; readonly driver: RaftDriver; readonly fetches: RaftFetches; readonly clock: Clock }) {
    this.#clusterId = options.clusterId;
    this.#driver = options.driver;
    this.#fetches = options.fetches;
    this.#clock = options.clock;
  }

  async vote(request: Value<typeof VoteRequest>, context: QuorumRequestContext): Promise<Input<typeof VoteResponse>> {
    const fault = this.#fault(request);
    if (fault !== undefined) return { errorCode: fault, topics: [] };
    const partition = request.topics[0]!.partitions[0]!;
    const reply = await this.#driver.ask({
      type: 'vote',
      voter: voterKey(request.voterId, partition.voterDirectoryId),
      replica: replicaKey(partition.replicaId, partition.replicaDirectoryId),
      epoch: partition.replicaEpoch,
      lastEpoch: partition.lastOffsetEpoch,
      lastOffset: partition.lastOffset,
      preVote: partition.preVote,
    });
    const answer = { partitionIndex: 0, errorCode: reply.error, leaderId: reply.leaderId, leaderEpoch: reply.epoch, voteGranted: reply.isGranted ?? false };
    return { errorCode: ErrorCode.NONE, topics: [{ topicName: METADATA_TOPIC, partitions: [answer] }], ...nodeEndpoints(reply, context, 1) };
  }

  async beginQuorumEpoch(request: Value<typeof BeginQuorumEpochRequest>, context: QuorumRequestContext): Promise<Input<typeof BeginQuorumEpochResponse>> {
    const fault = this.#fault(request);
    if (fault !== undefined) return { errorCode: fault, topics: [] };
    const { leaderId, leaderEpoch, voterDirectoryId } = request.topics[0]!.partitions[0]!;
    return epochAnswer(
      await this.#driver.ask({ type: 'beginEpoch', voter: voterKey(request.voterId, voterDirectoryId), leaderId, epoch: leaderEpoch, endpoints: endpointsOf(request.leaderEndpoints) }),
      context,
    );
  }

  async endQuorumEpoch(request: Value<typeof EndQuorumEpochRequest>, context: QuorumRequestContext): Promise<Input<typeof EndQuorumEpochResponse>> {
    const fault = this.#fault(request);
    if (fault !== undefined) return { errorCode: fault, topics: [] };
    const { leaderId, leaderEpoch, preferredSuccessors, preferredCandidates } = request.topics[0]!.partitions[0]!;
    const successors: ReplicaKey[] =
      context.apiVersion === 0
        ? preferredSuccessors.map((id) => ({ id, directoryId: null }))
        : preferredCandidates.map(({ candidateId, candidateDirectoryId }) => replicaKey(candidateId, candidateDirectoryId));
    return epochAnswer(await this.#driver.ask({ type: 'endEpoch', leaderId, epoch: leaderEpoch, endpoints: endpointsOf(request.leaderEndpoints), successors }), context);
  }

  async fetch(request: Value<typeof FetchRequest>, context: QuorumRequestContext): Promise<Input<typeof FetchResponse>> {
    const refuse = (errorCode: ErrorCode): Input<typeof FetchResponse> => ({ throttleTimeMs: 0, errorCode, responses: [] });
    if (!this.#isOurs(request.clusterId)) return refuse(ErrorCode.INCONSISTENT_CLUSTER_ID);
    const [topic] = request.topics;
    const partition = topic?.partitions[0];
    if (request.topics.length !== 1 || topic?.topicId !== METADATA_TOPIC_ID || topic.partitions.length !== 1 || partition?.partition !== 0) return refuse(ErrorCode.INVALID_REQUEST);
    const { error, highWatermark, logStartOffset, agreement, records } = await this.#fetches.fetch({
      replica: replicaKey(context.apiVersion < 15 ? request.replicaId : request.replicaState.replicaId, partition.replicaDirectoryId),
      epoch: partition.currentLeaderEpoch,
      offset: partition.fetchOffset,
      lastEpoch: partition.lastFetchedEpoch,
      highWatermark: partition.highWatermark,
      maxWaitMs: request.maxWaitMs,
      maxBytes: request.maxBytes,
    });
    const leader = this.#leader;
    const answer = {
      partitionIndex: 0,
      errorCode: error,
      highWatermark,
      logStartOffset,
      ...(agreement.type === 'diverging' && { divergingEpoch: { epoch: agreement.epoch, endOffset: agreement.endOffset } }),
      ...(agreement.type === 'snapshot' && { snapshotId: { endOffset: agreement.id.offset, epoch: agreement.id.epoch } }),
      currentLeader: { leaderId: leader.leaderId, leaderEpoch: leader.epoch },
      abortedTransactions: [],
      records: [...records],
    };
    return {
      throttleTimeMs: 0, errorCode: ErrorCode.NONE, responses: [{ topic: METADATA_TOPIC, topicId: METADATA_TOPIC_ID, partitions: [answer] }], ...nodeEndpoints(leader, context, 17),
    };
  }

  async fetchSnapshot(request: Value<typeof FetchSnapshotRequest>, context: QuorumRequestContext): Promise<Input<typeof FetchSnapshotResponse>> {
    const refuse = (errorCode: ErrorCode): Input<typeof FetchSnapshotResponse> => ({ throttleTimeMs: 0, errorCode, topics: [] });
    if (!this.#isOurs(request.clusterId)) return refuse(ErrorCode.INCONSISTENT_CLUSTER_ID);
    const [topic] = request.topics;
    const partition = topic?.partitions[0];
    if (topic === undefined || partition === undefined || request.topics.length !== 1 || topic.partitions.length !== 1) return refuse(ErrorCode.INVALID_REQUEST);
    const none = { endOffset: 0, epoch: 0 };
    if (topic.name !== METADATA_TOPIC || partition.partition !== 0) {
      const answer = { index: partition.partition, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, snapshotId: none, size: 0, position: 0, unalignedRecords: [] };
      return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, topics: [{ name: topic.name, partitions: [answer] }], ...nodeEndpoints(this.#leader, context, 1) };
    }
    const { endOffset, epoch } = partition.snapshotId;
    const piece = await this.#fetches.snapshot({
      replica: replicaKey(request.replicaId, partition.replicaDirectoryId),
      epoch: partition.currentLeaderEpoch,
      id: { offset: endOffset, epoch },
      position: partition.position,
      maxBytes: request.maxBytes,
    });
    const leader = this.#leader;
    const isGiven = piece.error === ErrorCode.NONE;
    const answer = {
      index: 0,
      errorCode: piece.error,
      snapshotId: isGiven ? { endOffset, epoch } : none,
      currentLeader: { leaderId: leader.leaderId, leaderEpoch: leader.epoch },
      size: piece.sizeBytes,
      position: isGiven ? partition.position : 0,
      unalignedRecords: piece.bytes,
    };
    return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, topics: [{ name: METADATA_TOPIC, partitions: [answer] }], ...nodeEndpoints(leader, context, 1) };
  }

  async addRaftVoter(request: Value<typeof AddRaftVoterRequest>): Promise<Input<typeof AddRaftVoterResponse>> {
    if (!this.#isOurs(request.clusterId)) return voterAnswer(ErrorCode.INCONSISTENT_CLUSTER_ID, this.#otherCluster(request.clusterId));
    const { listenerName } = this.#driver.state.config;
    const leaderError = this.#notLeading();
    if (leaderError !== undefined) return voterAnswer(leaderError, '');
    if (request.voterId < 0 || request.voterDirectoryId === ZERO_UUID) return voterAnswer(ErrorCode.INVALID_REQUEST, "Add voter request didn't include a valid voter");
    const endpoints = endpointsOf(request.listeners);
    if (endpointOn(endpoints, listenerName) === undefined) {
      return voterAnswer(ErrorCode.INVALID_REQUEST, `Add voter request didn't include the endpoint (${endpointsText(endpoints)}) for the default listener ListenerName(${listenerName})`);
    }
    const voter = { id: request.voterId, directoryId: request.voterDirectoryId, endpoints, kraftVersions: { min: 0, max: 0 } };
    const { error, message } = await this.#driver.ask({ type: 'addVoter', voter, ackWhenCommitted: request.ackWhenCommitted });
    return voterAnswer(error, message);
  }

  async removeRaftVoter(request: Value<typeof RemoveRaftVoterRequest>): Promise<Input<typeof RemoveRaftVoterResponse>> {
    if (!this.#isOurs(request.clusterId)) return voterAnswer(ErrorCode.INCONSISTENT_CLUSTER_ID, this.#otherCluster(request.clusterId));
    const leaderError = this.#notLeading();
    if (leaderError !== undefined) return voterAnswer(leaderError, '');
    if (request.voterId < 0 || request.voterDirectoryId === ZERO_UUID) return voterAnswer(ErrorCode.INVALID_REQUEST, "Remove voter request didn't include a valid voter");
    const { error, message } = await this.#driver.ask({ type: 'removeVoter', key: replicaKey(request.voterId, request.voterDirectoryId) });
    return voterAnswer(error, message);
  }

  async updateRaftVoter(request: Value<typeof UpdateRaftVoterRequest>, context: QuorumRequestContext): Promise<Input<typeof UpdateRaftVoterResponse>> {
    const answer = (error: ErrorCode, { leaderId, epoch, leaderEndpoints }: Leader): Input<typeof UpdateRaftVoterResponse> => {
      const { host, port } = endpointOn(leaderEndpoints, context.listener) ?? { host: '', port: 0 };
      return { throttleTimeMs: 0, errorCode: error, currentLeader: { leaderId, leaderEpoch: epoch, host, port } };
    };
    if (!this.#isOurs(request.clusterId)) return answer(ErrorCode.INCONSISTENT_CLUSTER_ID, this.#leader);
    const { voterId, voterDirectoryId, currentLeaderEpoch } = request;
    const { minSupportedVersion: min, maxSupportedVersion: max } = request.kRaftVersionFeature;
    const { election, role } = this.#driver.state;
    const isLeadersEpoch = role.name === 'leader' && currentLeaderEpoch === election.epoch;
    if (isLeadersEpoch && (voterId < 0 || voterDirectoryId === ZERO_UUID || min < 0 || max < min)) return answer(ErrorCode.INVALID_REQUEST, this.#leader);
    const voter = { id: voterId, directoryId: voterDirectoryId, endpoints: endpointsOf(request.listeners), kraftVersions: { min, max } };
    const reply = await this.#driver.ask({ type: 'updateVoter', voter, epoch: currentLeaderEpoch });
    return answer(reply.error, reply);
  }

  describeQuorum(request: Value<typeof DescribeQuorumRequest>, { apiVersion }: Pick<QuorumRequestContext, 'apiVersion'>): Input<typeof DescribeQuorumResponse> {
    const isIt = request.topics.length === 1 && request.topics[0]!.topicName === METADATA_TOPIC && request.topics[0]!.partitions.length === 1 && request.topics[0]!.partitions[0]!.partitionIndex === 0;
    if (!isIt) {
      const topics = request.topics.map(({ topicName, partitions }) => ({ topicName, partitions: partitions.map((one) => undescribed(one.partitionIndex, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)) }));
      return { errorCode: ErrorCode.NONE, topics };
    }
    const { state } = this.#driver;
    const { role } = state;
    if (role.name !== 'leader') {
      return { errorCode: ErrorCode.NONE, topics: [{ topicName: METADATA_TOPIC, partitions: [undescribed(0, ErrorCode.NOT_LEADER_OR_FOLLOWER)] }] };
    }
    const sinceWallMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    const wallMs = (timeMs: number): number => (timeMs < 0 ? -1 : Math.round(timeMs + sinceWallMs));
    const shown = ({ key, endOffset, lastFetchMs, lastCaughtUpMs }: Progress) => {
      const isLeader = key.id === state.nodeId;
      return {
        replicaId: key.id,
        ...(apiVersion >= 2 && { replicaDirectoryId: key.directoryId ?? ZERO_UUID }),
        logEndOffset: endOffset,
        lastFetchTimestamp: isLeader ? this.#clock.wallMs() : wallMs(lastFetchMs),
        lastCaughtUpTimestamp: isLeader ? this.#clock.wallMs() : wallMs(lastCaughtUpMs),
      };
    };
    const voterKeys = new Set(state.voters.map((voter) => progressKey(state, voter)));
    const hasCommitted = state.highWatermark !== undefined && state.highWatermark > role.epochStartOffset;
    const partition = {
      partitionIndex: 0,
      errorCode: ErrorCode.NONE,
      // Not null, as Kafka has it.
      errorMessage: '',
      leaderId: state.nodeId,
      leaderEpoch: state.election.epoch,
      highWatermark: hasCommitted ? state.highWatermark! : -1,
      currentVoters: state.voters.flatMap((voter) => [role.replicas.get(progressKey(state, voter))].filter((one) => one !== undefined).map(shown)),
      observers: [...role.replicas].filter(([key]) => !voterKeys.has(key)).map(([, progress]) => shown(progress)),
    };
    const nodes = state.voters.map(({ id, endpoints }) => ({ nodeId: id, listeners: [...endpoints] }));
    return { errorCode: ErrorCode.NONE, errorMessage: '', topics: [{ topicName: METADATA_TOPIC, partitions: [partition] }], ...(apiVersion >= 2 && { nodes }) };
  }

  // ---- what all have in common

  get #leader(): Leader {
    const { election, leaderEndpoints } = this.#driver.state;
    return { leaderId: election.leaderId, epoch: election.epoch, leaderEndpoints };
  }

  #isOurs(clusterId: string | null): boolean {
    return clusterId === null || clusterId === this.#clusterId;
  }

  #otherCluster(clusterId: string | null): string {
    return `The given id "${clusterId}" doesn't match the cluster id "${this.#clusterId}"`;
  }

  #notLeading(): ErrorCode | undefined {
    return this.#driver.state.role.name === 'leader' ? undefined : ErrorCode.NOT_LEADER_OR_FOLLOWER;
  }

  #fault(request: {
    readonly clusterId: string | null;
    readonly topics: readonly { readonly topicName: string; readonly partitions: readonly { readonly partitionIndex: number }[] }[];
  }): ErrorCode | undefined {
    if (!this.#isOurs(request.clusterId)) return ErrorCode.INCONSISTENT_CLUSTER_ID;
    const [topic] = request.topics;
    const isIt = request.topics.length === 1 && topic?.topicName === METADATA_TOPIC && topic.partitions.length === 1 && topic.partitions[0]?.partitionIndex === 0;
    return isIt ? undefined : ErrorCode.INVALID_REQUEST;
  }
}

/** null where the request does not say whom it is for. */
function voterKey(id: number, directoryId: string): ReplicaKey | null {
  return id < 0 ? null : replicaKey(id, directoryId);
}

function endpointsOf(told: readonly VoterEndpoint[]): VoterEndpoint[] {
  return told.map(({ name, host, port }) => ({ name, host, port }));
}

function nodeEndpoints({ leaderId, leaderEndpoints }: Leader, { apiVersion, listener }: QuorumRequestContext, sinceVersion: number) {
  const endpoint = endpointOn(leaderEndpoints, listener);
  if (apiVersion < sinceVersion || leaderId < 0 || endpoint === undefined) return {};
  return { nodeEndpoints: [{ nodeId: leaderId, host: endpoint.host, port: endpoint.port }] };
}

function epochAnswer(reply: Reply, context: QuorumRequestContext) {
  const partition = { partitionIndex: 0, errorCode: reply.error, leaderId: reply.leaderId, leaderEpoch: reply.epoch };
  return { errorCode: ErrorCode.NONE, topics: [{ topicName: METADATA_TOPIC, partitions: [partition] }], ...nodeEndpoints(reply, context, 1) };
}

function voterAnswer(errorCode: ErrorCode, message?: string) {
  return { throttleTimeMs: 0, errorCode, errorMessage: message ?? (errorCode === ErrorCode.NONE ? null : (errorMessage(errorCode) ?? null)) };
}

function undescribed(partitionIndex: number, errorCode: ErrorCode) {
  return { partitionIndex, errorCode, errorMessage: errorMessage(errorCode) ?? null, leaderId: 0, leaderEpoch: 0, highWatermark: 0, currentVoters: [], observers: [] };
}

function endpointsText(endpoints: readonly VoterEndpoint[]): string {
  return `Endpoints(endpoints={${endpoints.map(({ name, host, port }) => `ListenerName(${name})=${host}/<unresolved>:${port}`).join(', ')}})`;
}

