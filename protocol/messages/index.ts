/** All APIs by their keys. */
import type { AnyApi } from '../schema.ts';
import { Produce } from './produce.ts';
import { Fetch, ListOffsets, OffsetForLeaderEpoch } from './fetch.ts';
import { DescribeCluster, DescribeTopicPartitions, Metadata } from './metadata.ts';
import { CreatePartitions, CreateTopics, DeleteRecords, DeleteTopics } from './topics.ts';
import { AlterPartitionReassignments, AlterReplicaLogDirs, DescribeLogDirs, ElectLeaders, ListPartitionReassignments } from './reassignments.ts';
import { AlterClientQuotas, AlterConfigs, DescribeClientQuotas, DescribeConfigs, IncrementalAlterConfigs, ListConfigResources } from './configs.ts';
import { DeleteGroups, DescribeGroups, FindCoordinator, Heartbeat, JoinGroup, LeaveGroup, ListGroups, SyncGroup } from './groups.ts';
import { ConsumerGroupDescribe, ConsumerGroupHeartbeat } from './consumer-groups.ts';
import { OffsetCommit, OffsetDelete, OffsetFetch } from './offsets.ts';
import {
  AddOffsetsToTxn,
  AddPartitionsToTxn,
  DescribeProducers,
  DescribeTransactions,
  EndTxn,
  InitProducerId,
  ListTransactions,
  TxnOffsetCommit,
  WriteTxnMarkers,
} from './transactions.ts';
import { AlterUserScramCredentials, DescribeUserScramCredentials, SaslAuthenticate, SaslHandshake } from './sasl.ts';
import { CreateAcls, DeleteAcls, DescribeAcls } from './acls.ts';
import { CreateDelegationToken, DescribeDelegationToken, ExpireDelegationToken, RenewDelegationToken } from './delegation-tokens.ts';
import {
  AllocateProducerIds,
  AlterPartition,
  ApiVersions,
  AssignReplicasToDirs,
  BrokerHeartbeat,
  BrokerRegistration,
  ControllerRegistration,
  Envelope,
  UnregisterBroker,
  UpdateFeatures,
} from './cluster.ts';
import { AddRaftVoter, BeginQuorumEpoch, DescribeQuorum, EndQuorumEpoch, FetchSnapshot, RemoveRaftVoter, UpdateRaftVoter, Vote } from './quorum.ts';
import {
  AlterShareGroupOffsets,
  DeleteShareGroupOffsets,
  DescribeShareGroupOffsets,
  ShareAcknowledge,
  ShareFetch,
  ShareGroupDescribe,
  ShareGroupHeartbeat,
} from './share.ts';
import {
  DeleteShareGroupState,
  InitializeShareGroupState,
  ReadShareGroupState,
  ReadShareGroupStateSummary,
  WriteShareGroupState,
} from './share-state.ts';
import { StreamsGroupDescribe, StreamsGroupHeartbeat } from './streams.ts';
import { GetTelemetrySubscriptions, PushTelemetry } from './telemetry.ts';

export * from './produce.ts';
export * from './fetch.ts';
export * from './metadata.ts';
export * from './topics.ts';
export * from './reassignments.ts';
export * from './configs.ts';
export * from './groups.ts';
export * from './consumer-groups.ts';
export * from './offsets.ts';
export * from './transactions.ts';
export * from './sasl.ts';
export * from './acls.ts';
export * from './delegation-tokens.ts';
export * from './cluster.ts';
export * from './quorum.ts';
export * from './share.ts';
export * from './share-state.ts';
export * from './streams.ts';
export * from './telemetry.ts';

const list: readonly AnyApi[] = [
  Produce,
  Fetch,
  ListOffsets,
  Metadata,
  OffsetCommit,
  OffsetFetch,
  FindCoordinator,
  JoinGroup,
  Heartbeat,
  LeaveGroup,
  SyncGroup,
  DescribeGroups,
  ListGroups,
  SaslHandshake,
  ApiVersions,
  CreateTopics,
  DeleteTopics,
  DeleteRecords,
  InitProducerId,
  OffsetForLeaderEpoch,
  AddPartitionsToTxn,
  AddOffsetsToTxn,
  EndTxn,
  WriteTxnMarkers,
  TxnOffsetCommit,
  DescribeAcls,
  CreateAcls,
  DeleteAcls,
  DescribeConfigs,
  AlterConfigs,
  AlterReplicaLogDirs,
  DescribeLogDirs,
  SaslAuthenticate,
  CreatePartitions,
  CreateDelegationToken,
  RenewDelegationToken,
  ExpireDelegationToken,
  DescribeDelegationToken,
  DeleteGroups,
  ElectLeaders,
  IncrementalAlterConfigs,
  AlterPartitionReassignments,
  ListPartitionReassignments,
  OffsetDelete,
  DescribeClientQuotas,
  AlterClientQuotas,
  DescribeUserScramCredentials,
  AlterUserScramCredentials,
  Vote,
  BeginQuorumEpoch,
  EndQuorumEpoch,
  DescribeQuorum,
  AlterPartition,
  UpdateFeatures,
  Envelope,
  FetchSnapshot,
  DescribeCluster,
  DescribeProducers,
  BrokerRegistration,
  BrokerHeartbeat,
  UnregisterBroker,
  DescribeTransactions,
  ListTransactions,
  AllocateProducerIds,
  ConsumerGroupHeartbeat,
  ConsumerGroupDescribe,
  ControllerRegistration,
  GetTelemetrySubscriptions,
  PushTelemetry,
  AssignReplicasToDirs,
  ListConfigResources,
  DescribeTopicPartitions,
  ShareGroupHeartbeat,
  ShareGroupDescribe,
  ShareFetch,
  ShareAcknowledge,
  AddRaftVoter,
  RemoveRaftVoter,
  UpdateRaftVoter,
  InitializeShareGroupState,
  ReadShareGroupState,
  WriteShareGroupState,
  DeleteShareGroupState,
  ReadShareGroupStateSummary,
  StreamsGroupHeartbeat,
  StreamsGroupDescribe,
  DescribeShareGroupOffsets,
  AlterShareGroupOffsets,
  DeleteShareGroupOffsets,
];

/** Every API of Kafka 4.3 that still has a version, by key. 4 to 7 were between ZooKeeper brokers and have none. */
export const apis: ReadonlyMap<number, AnyApi> = new Map(list.map((api) => [api.key, api]));
