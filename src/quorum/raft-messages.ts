/**
 * What this node asks of others, as Kafka's messages, and what their answers say.
 *
 * Promises: an answer that is not about the one metadata partition, or lacks what it must have, is null: as good as none. Lengths and numbers are bounded by the
 * decoder; that they make sense is checked in `raft-answers.ts`. Does not send.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import {
  AddRaftVoter, type AddRaftVoterResponse, ApiVersions, type ApiVersionsResponse, BeginQuorumEpoch, type BeginQuorumEpochResponse, EndQuorumEpoch, Fetch, type FetchResponse,
  FetchSnapshot, type FetchSnapshotResponse, RemoveRaftVoter, UpdateRaftVoter, type UpdateRaftVoterResponse, Vote, type VoteResponse,
} from '../../protocol/messages/index.ts';
import type { AnyMessage, Api } from '../../protocol/schema.ts';
import { METADATA_TOPIC_ID } from './bootstrap.ts';
import { KRAFT_VERSION } from './features.ts';
import { ZERO_UUID } from './image.ts';
import type { AnswerHead, FetchedContent, RaftAnswer, RaftRequest, RaftState } from './raft-state.ts';
import type { VoterEndpoint } from './voters.ts';

export const METADATA_TOPIC = '__cluster_metadata';
/** How long a leader may keep a fetch that brings nothing (KafkaRaftClient.MAX_FETCH_WAIT_MS). */
const FETCH_WAIT_MS_MAX = 500;
const PORT_MAX = 65_535;

/** Kafka asks for no less, so that with a fetch timeout below it an idle quorum elects for ever; here a leader is heard twice in that time. */
function fetchWaitMs({ fetchTimeoutMs, requestTimeoutMs }: RaftState['config']): number {
  return Math.min(FETCH_WAIT_MS_MAX, Math.floor(Math.min(fetchTimeoutMs, requestTimeoutMs) / 2));
}

export interface RaftMessageOptions {
  readonly clusterId: string;
  readonly fetchBytesMax: number;
  readonly snapshotBytesMax: number;
}

export interface Outgoing {
  readonly api: Api<any, any>;
  readonly input: Input<AnyMessage>;
  /** Below it the request would say something else. */
  readonly versionMin: number;
  /** What the answer says; null when it does not make sense. */
  read(response: any): RaftAnswer | null;
}

/** What is believed is told to others, in messages whose ports are narrower than those that it came in: nothing where that cannot be. */
function soundEndpoint(endpoint: VoterEndpoint): VoterEndpoint[] {
  return endpoint.host === '' || endpoint.port < 1 || endpoint.port > PORT_MAX ? [] : [endpoint];
}

export function outgoing(request: RaftRequest, state: RaftState, options: RaftMessageOptions): Outgoing {
  const { clusterId } = options;
  const { nodeId, directoryId, config } = state;
  const make = <Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, input: Input<Q>, read: (response: Value<S>) => RaftAnswer | null, versionMin = 0): Outgoing => ({
    api, input: input as Input<AnyMessage>, read, versionMin,
  });
  const endpointsOf: EndpointsOf = (leaderId, nodes) => {
    const node = nodes.find((one) => one.nodeId === leaderId);
    return node === undefined ? [] : soundEndpoint({ name: config.listenerName, host: node.host, port: node.port });
  };
  switch (request.api) {
    case 'vote': {
      const { voter, epoch, preVote, lastEpoch, lastOffset } = request;
      const partition = {
        partitionIndex: 0, replicaEpoch: epoch, replicaId: nodeId, replicaDirectoryId: directoryId, voterDirectoryId: voter.directoryId ?? ZERO_UUID, lastOffsetEpoch: lastEpoch, lastOffset, preVote,
      };
      return make(Vote, { clusterId, voterId: voter.id, topics: [{ topicName: METADATA_TOPIC, partitions: [partition] }] }, (response) => readVote(response, endpointsOf), preVote ? 2 : 0);
    }
    case 'beginEpoch': {
      const partition = { partitionIndex: 0, voterDirectoryId: request.voter.directoryId ?? ZERO_UUID, leaderId: nodeId, leaderEpoch: request.epoch };
      return make(
        BeginQuorumEpoch,
        { clusterId, voterId: request.voter.id, topics: [{ topicName: METADATA_TOPIC, partitions: [partition] }], leaderEndpoints: [...config.endpoints] },
        (response) => readEpoch('beginEpoch', response, endpointsOf),
      );
    }
    case 'endEpoch': {
      const partition = {
        partitionIndex: 0, leaderId: nodeId, leaderEpoch: request.epoch, preferredSuccessors: request.successors.map(({ id }) => id),
        preferredCandidates: request.successors.map((key) => ({ candidateId: key.id, candidateDirectoryId: key.directoryId ?? ZERO_UUID })),
      };
      return make(
        EndQuorumEpoch, { clusterId, topics: [{ topicName: METADATA_TOPIC, partitions: [partition] }], leaderEndpoints: [...config.endpoints] },
        (response) => readEpoch('endEpoch', response, endpointsOf),
      );
    }
    case 'fetch': {
      const partition = {
        partition: 0, currentLeaderEpoch: request.epoch, fetchOffset: request.offset, lastFetchedEpoch: request.lastEpoch, logStartOffset: -1, partitionMaxBytes: 0,
        replicaDirectoryId: directoryId, highWatermark: request.highWatermark,
      };
      return make(
        Fetch,
        {
          clusterId, replicaState: { replicaId: nodeId, replicaEpoch: -1 }, maxWaitMs: fetchWaitMs(config), minBytes: 0, maxBytes: options.fetchBytesMax,
          topics: [{ topic: METADATA_TOPIC, topicId: METADATA_TOPIC_ID, partitions: [partition] }], forgottenTopicsData: [],
        },
        (response) => readFetch(response, endpointsOf), 15,
      );
    }
    case 'fetchSnapshot': {
      const partition = {
        partition: 0, currentLeaderEpoch: request.epoch, snapshotId: { endOffset: request.snapshot.offset, epoch: request.snapshot.epoch }, position: request.position, replicaDirectoryId: directoryId,
      };
      return make(
        FetchSnapshot, { clusterId, replicaId: nodeId, maxBytes: options.snapshotBytesMax, topics: [{ name: METADATA_TOPIC, partitions: [partition] }] },
        (response) => readSnapshotChunk(response, endpointsOf, request.epoch),
      );
    }
    case 'updateVoter':
      return make(
        UpdateRaftVoter,
        {
          clusterId, currentLeaderEpoch: request.epoch, voterId: nodeId, voterDirectoryId: directoryId, listeners: [...config.endpoints],
          kRaftVersionFeature: { minSupportedVersion: config.kraftVersions.min, maxSupportedVersion: config.kraftVersions.max },
        },
        (response) => readUpdateVoter(response, config.listenerName),
      );
    case 'addVoter':
      return make(
        AddRaftVoter, { clusterId, timeoutMs: config.requestTimeoutMs, voterId: nodeId, voterDirectoryId: directoryId, listeners: [...config.endpoints], ackWhenCommitted: false },
        ({ errorCode }: Value<typeof AddRaftVoterResponse>) => ({ api: 'addVoter', error: errorCode as ErrorCode }), 1,
      );
    case 'removeVoter':
      return make(RemoveRaftVoter, { clusterId, voterId: request.voter.id, voterDirectoryId: request.voter.directoryId ?? ZERO_UUID }, ({ errorCode }) => ({
        api: 'removeVoter', error: errorCode as ErrorCode,
      }));
    case 'versions':
      return make(ApiVersions, { clientSoftwareName: 'ottla', clientSoftwareVersion: '1' }, readVersions);
  }
}

type EndpointsOf = (leaderId: number, nodes: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[]) => readonly VoterEndpoint[];

/** An error of the whole request: what it says of the leader is nothing. */
function failed(error: number): AnswerHead {
  return { error: error as ErrorCode, leaderId: -1, epoch: Number.MAX_SAFE_INTEGER, leaderEndpoints: [] };
}

/** The only partition of the only topic. */
function only<P>(topics: readonly { readonly partitions: readonly P[] }[], isIt: (topic: any, partition: any) => boolean): P | null {
  const partition = topics[0]?.partitions[0];
  if (topics.length !== 1 || topics[0]!.partitions.length !== 1 || partition === undefined) return null;
  return isIt(topics[0], partition) ? partition : null;
}

function readVote(response: Value<typeof VoteResponse>, endpointsOf: EndpointsOf): RaftAnswer | null {
  if (response.errorCode !== ErrorCode.NONE) return unsupportedOnly('vote', response.errorCode);
  const partition = only(response.topics, isMetadata);
  if (partition === null) return null;
  const { errorCode, leaderId, leaderEpoch, voteGranted } = partition;
  return { api: 'vote', error: errorCode as ErrorCode, leaderId, epoch: leaderEpoch, leaderEndpoints: endpointsOf(leaderId, response.nodeEndpoints), isGranted: voteGranted };
}

/** A peer that does not know pre-votes. */
export function unsupportedOnly(api: 'vote', errorCode: number): RaftAnswer | null {
  return errorCode === ErrorCode.UNSUPPORTED_VERSION ? { api, isGranted: false, ...failed(errorCode), epoch: -1 } : null;
}

function readEpoch(api: 'beginEpoch' | 'endEpoch', response: Value<typeof BeginQuorumEpochResponse>, endpointsOf: EndpointsOf): RaftAnswer | null {
  const partition = response.errorCode === ErrorCode.NONE ? only(response.topics, isMetadata) : null;
  if (partition === null) return null;
  const { errorCode, leaderId, leaderEpoch } = partition;
  return { api, error: errorCode as ErrorCode, leaderId, epoch: leaderEpoch, leaderEndpoints: endpointsOf(leaderId, response.nodeEndpoints) };
}

function isMetadata(topic: { topicName: string }, partition: { partitionIndex: number }): boolean {
  return topic.topicName === METADATA_TOPIC && partition.partitionIndex === 0;
}

function readFetch(response: Value<typeof FetchResponse>, endpointsOf: EndpointsOf): RaftAnswer | null {
  if (response.errorCode !== ErrorCode.NONE) return null;
  const partition = only(response.responses, (topic, one) => (topic.topic === METADATA_TOPIC || topic.topicId === METADATA_TOPIC_ID) && one.partitionIndex === 0);
  if (partition === null) return null;
  const { leaderId, leaderEpoch } = partition.currentLeader;
  const { divergingEpoch, snapshotId } = partition;
  let content: FetchedContent = { type: 'records', bytes: recordBytes(partition.records) };
  if (divergingEpoch.epoch >= 0) content = { type: 'diverging', epoch: divergingEpoch.epoch, endOffset: divergingEpoch.endOffset };
  else if (snapshotId.epoch >= 0 || snapshotId.endOffset >= 0) content = { type: 'snapshot', id: { offset: snapshotId.endOffset, epoch: snapshotId.epoch } };
  return {
    api: 'fetch', error: partition.errorCode as ErrorCode, leaderId, epoch: leaderEpoch, leaderEndpoints: endpointsOf(leaderId, response.nodeEndpoints), highWatermark: partition.highWatermark, content,
  };
}

function recordBytes(records: Buffer | readonly Buffer[] | null): Buffer {
  if (records === null) return Buffer.alloc(0);
  return Buffer.isBuffer(records) ? records : Buffer.concat(records as readonly Buffer[]);
}

function readSnapshotChunk(response: Value<typeof FetchSnapshotResponse>, endpointsOf: EndpointsOf, epoch: number): RaftAnswer | null {
  // What Kafka 4.3.1 answers for a snapshot that it has deleted: its SNAPSHOT_NOT_FOUND has no records, and so cannot be encoded.
  if (response.errorCode === ErrorCode.UNKNOWN_SERVER_ERROR) {
    const none = { offset: -1, epoch: -1 };
    return { api: 'fetchSnapshot', error: ErrorCode.SNAPSHOT_NOT_FOUND, leaderId: -1, epoch, leaderEndpoints: [], id: none, position: 0, sizeBytes: 0, bytes: Buffer.alloc(0) };
  }
  if (response.errorCode !== ErrorCode.NONE) return null;
  const partition = only(response.topics, (topic, one) => topic.name === METADATA_TOPIC && one.index === 0);
  if (partition === null) return null;
  const { leaderId, leaderEpoch } = partition.currentLeader;
  return {
    api: 'fetchSnapshot', error: partition.errorCode as ErrorCode, leaderId, epoch: leaderEpoch, leaderEndpoints: endpointsOf(leaderId, response.nodeEndpoints),
    id: { offset: partition.snapshotId.endOffset, epoch: partition.snapshotId.epoch }, position: partition.position, sizeBytes: partition.size, bytes: recordBytes(partition.unalignedRecords),
  };
}

function readUpdateVoter({ errorCode, currentLeader }: Value<typeof UpdateRaftVoterResponse>, listenerName: string): RaftAnswer {
  const { leaderId, leaderEpoch, host, port } = currentLeader;
  const leaderEndpoints = leaderId >= 0 ? soundEndpoint({ name: listenerName, host, port }) : [];
  return { api: 'updateVoter', error: errorCode as ErrorCode, leaderId, epoch: leaderEpoch, leaderEndpoints };
}

function readVersions({ errorCode, supportedFeatures }: Value<typeof ApiVersionsResponse>): RaftAnswer {
  const range = supportedFeatures.find(({ name }) => name === KRAFT_VERSION);
  return { api: 'versions', error: errorCode as ErrorCode, kraftVersions: range === undefined ? null : { min: range.minVersion, max: range.maxVersion } };
}
