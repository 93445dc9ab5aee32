/** Folding records: what each says about the image, transactions, and what two images tell listeners. */
import { describe, expect, it } from 'vitest';
import type { MetadataRecord } from '../../../protocol/log-records/metadata.ts';
import { decodedRecords } from '../../../src/quorum/batches.ts';
import { imageChanges } from '../../../src/quorum/changes.ts';
import { MetadataDelta } from '../../../src/quorum/delta.ts';
import { MetadataImage, NO_LEADER, ResourceType } from '../../../src/quorum/image.ts';
import { encodeRecord, newRecord, type NewRecord } from '../../../src/quorum/records.ts';
import { snapshotRecords } from '../../../src/quorum/snapshot-records.ts';

const A = 'AAAAAAAAAAAAAAAAAAAACg';
const B = 'AAAAAAAAAAAAAAAAAAAACw';
const DIRECTORY = '9Qv_gnq-t2feTT_K0Y6Uuw';
const PROVENANCE = { offset: 9, epoch: 1, timestampMs: 5 };

function records(...made: NewRecord[]): MetadataRecord[] {
  return decodedRecords(made.map(encodeRecord));
}

function fold(image: MetadataImage, ...made: NewRecord[]): MetadataImage {
  const delta = new MetadataDelta(image);
  for (const record of records(...made)) delta.apply(record);
  return delta.build(PROVENANCE);
}

const topic = (name: string, topicId: string) => newRecord('TopicRecord', { name, topicId });
const partition = (topicId: string, partitionId: number) =>
  newRecord(
    'PartitionRecord',
    { partitionId, topicId, replicas: [1, 2], isr: [1, 2], removingReplicas: [], addingReplicas: [], leader: 1, leaderEpoch: 0, partitionEpoch: 0, directories: [DIRECTORY, DIRECTORY] },
    2,
  );
const config = (name: string, value: string | null) => newRecord('ConfigRecord', { resourceType: ResourceType.TOPIC, resourceName: 'a', name, value });
const broker = (brokerId: number, brokerEpoch: number) =>
  newRecord(
    'RegisterBrokerRecord',
    { brokerId, incarnationId: A, brokerEpoch, endPoints: [], features: [], rack: null, logDirs: [DIRECTORY] },
    4,
  );
const level = (name: string, featureLevel: number) => newRecord('FeatureLevelRecord', { name, featureLevel });

describe('folding records', () => {
  it('makes, changes and removes topics, and their settings with them', () => {
    const made = fold(MetadataImage.EMPTY, topic('a', A), config('retention.ms', '5'), partition(A, 0), partition(A, 1));
    expect(made.topic('a')).toBe(made.topicById(A));
    expect(made.topic('a')!.partitions.length).toBe(2);
    expect(made.topicConfig('a')).toEqual(new Map([['retention.ms', '5']]));

    const changed = fold(made, newRecord('PartitionChangeRecord', { topicId: A, partitionId: 1, isr: [2], leader: 2 }, 2), config('retention.ms', null));
    expect(changed.partition('a', 1)).toMatchObject({ isr: [2], leader: 2, leaderEpoch: 1, partitionEpoch: 1, replicas: [1, 2] });
    expect(changed.topicConfig('a').size).toBe(0);
    expect(made.partition('a', 1)).toMatchObject({ isr: [1, 2], leader: 1, leaderEpoch: 0 });

    const removed = fold(fold(changed, config('segment.ms', '7')), newRecord('RemoveTopicRecord', { topicId: A }));
    expect(removed.topic('a')).toBeUndefined();
    expect(removed.topicById(A)).toBeUndefined();
    expect(removed.configs.size).toBe(0);
  });

  it('bumps the leader epoch when the record names a leader, the same one too, and the partition epoch always', () => {
    const made = fold(MetadataImage.EMPTY, topic('a', A), partition(A, 0));
    const change = (leader: number | undefined) =>
      fold(made, newRecord('PartitionChangeRecord', { topicId: A, partitionId: 0, ...(leader !== undefined && { leader }), isr: [1] }, 2)).partition('a', 0)!;
    expect(change(undefined)).toMatchObject({ leader: 1, leaderEpoch: 0, partitionEpoch: 1 });
    expect(change(1)).toMatchObject({ leader: 1, leaderEpoch: 1, partitionEpoch: 1 });
    expect(change(NO_LEADER)).toMatchObject({ leader: NO_LEADER, leaderEpoch: 1, partitionEpoch: 1 });
  });

  it('keeps names that metrics cannot tell apart until the last of them goes', () => {
    const made = fold(MetadataImage.EMPTY, topic('a.b', A), topic('a_b', B), topic('plain', 'AAAAAAAAAAAAAAAAAAAADA'));
    expect(made.collisions.get('a_b')).toEqual(['a.b', 'a_b']);
    expect(made.collisions.size).toBe(1);
    const one = fold(made, newRecord('RemoveTopicRecord', { topicId: A }));
    expect(one.collisions.get('a_b')).toEqual(['a_b']);
    expect(fold(one, newRecord('RemoveTopicRecord', { topicId: B })).collisions.size).toBe(0);
  });

  it('clears eligible leaders of one topic, or of all', () => {
    const elr = (topicId: string) => newRecord('PartitionChangeRecord', { topicId, partitionId: 0, eligibleLeaderReplicas: [2], lastKnownElr: [1] }, 2);
    const made = fold(MetadataImage.EMPTY, topic('a', A), partition(A, 0), topic('b', B), partition(B, 0), elr(A), elr(B));
    const one = fold(made, newRecord('ClearElrRecord', { topicName: 'a' }));
    expect(one.partition('a', 0)).toMatchObject({ elr: [], lastKnownElr: [], partitionEpoch: 2 });
    expect(one.partition('b', 0)).toMatchObject({ elr: [2], lastKnownElr: [1], partitionEpoch: 1 });
    expect(fold(made, newRecord('ClearElrRecord', { topicName: '' })).partition('b', 0)).toMatchObject({ elr: [], lastKnownElr: [] });
  });

  it('follows the registration of a broker', () => {
    const made = fold(MetadataImage.EMPTY, broker(1, 5));
    expect(made.brokers.get(1)).toMatchObject({ epoch: 5, fenced: true, inControlledShutdown: false, cordonedLogDirs: null });
    const change = (fields: object) => newRecord('BrokerRegistrationChangeRecord', { brokerId: 1, brokerEpoch: 5, ...fields }, 3);
    const unfenced = fold(made, change({ fenced: -1, cordonedLogDirs: [] }));
    expect(unfenced.brokers.get(1)).toMatchObject({ fenced: false, cordonedLogDirs: [] });
    expect(unfenced.isActive(1)).toBe(true);
    expect(fold(unfenced, change({ inControlledShutdown: 1 })).isActive(1)).toBe(false);
    expect(fold(unfenced, newRecord('FenceBrokerRecord', { id: 1, epoch: 5 })).aliveBrokers()).toEqual([]);
    expect(fold(unfenced, newRecord('UnregisterBrokerRecord', { brokerId: 1, brokerEpoch: 5 })).brokers.size).toBe(0);
    expect(() => fold(made, newRecord('BrokerRegistrationChangeRecord', { brokerId: 1, brokerEpoch: 4, fenced: -1 }))).toThrow('at epoch 4, but it has 5');
  });

  it('reads features: level 0 is none', () => {
    const made = fold(MetadataImage.EMPTY, level('metadata.version', 30), level('eligible.leader.replicas.version', 1));
    expect([made.metadataVersion, made.elrEnabled]).toEqual([30, true]);
    expect(fold(made, level('eligible.leader.replicas.version', 0)).elrEnabled).toBe(false);
  });

  it('refuses what the log cannot say', () => {
    expect(() => fold(MetadataImage.EMPTY, partition(A, 0))).toThrow('does not exist');
    expect(() => fold(MetadataImage.EMPTY, topic('a', A), partition(A, 1))).toThrow('leaves a gap');
    expect(() => fold(MetadataImage.EMPTY, topic('a', A), topic('a', B))).toThrow('created twice');
    expect(() => fold(MetadataImage.EMPTY, newRecord('RemoveTopicRecord', { topicId: A }))).toThrow('does not exist');
    expect(() => fold(MetadataImage.EMPTY, newRecord('EndTransactionRecord', {}))).toThrow('did not begin');
  });
});

describe('a metadata transaction', () => {
  it('is forgotten when it is aborted, with all that it did', () => {
    const made = fold(MetadataImage.EMPTY, topic('a', A), partition(A, 0), config('retention.ms', '5'), level('metadata.version', 30));
    const delta = new MetadataDelta(made);
    const apply = (...list: NewRecord[]): void => records(...list).forEach((record) => delta.apply(record));
    apply(topic('b', B), newRecord('BeginTransactionRecord', { name: 'x' }));
    expect(delta.inTransaction).toBe(true);
    apply(newRecord('RemoveTopicRecord', { topicId: A }), broker(7, 7), level('group.version', 1), partition(B, 0));
    apply(newRecord('AbortTransactionRecord', { reason: 'y' }), partition(B, 0));
    expect(delta.inTransaction).toBe(false);
    const image = delta.build(PROVENANCE);
    expect([...image.topics.keys()].sort()).toEqual(['a', 'b']);
    expect(image.topicConfig('a').size).toBe(1);
    expect(image.brokers.size).toBe(0);
    expect(image.features.size).toBe(1);
    expect(image.topic('b')!.partitions.length).toBe(1);
  });

  it('stays when it ends', () => {
    const image = fold(MetadataImage.EMPTY, newRecord('BeginTransactionRecord', {}), topic('a', A), newRecord('EndTransactionRecord', {}));
    expect(image.topics.size).toBe(1);
  });
});

describe('what changed', () => {
  it('is what listeners act on', () => {
    const before = fold(MetadataImage.EMPTY, topic('a', A), partition(A, 0), partition(A, 1), config('retention.ms', '5'), broker(1, 1));
    const after = fold(
      before,
      newRecord('RemoveTopicRecord', { topicId: A }),
      topic('a', B),
      partition(B, 0),
      newRecord('BrokerRegistrationChangeRecord', { brokerId: 1, brokerEpoch: 1, fenced: -1 }),
    );
    const changes = imageChanges(before, after);
    expect(changes.topicsDeleted.map(({ id }) => id)).toEqual([A]);
    expect(changes.topicsCreated.map(({ id }) => id)).toEqual([B]);
    expect(changes.partitions).toEqual([{ topic: after.topic('a'), partition: 0, before: undefined, after: after.partition('a', 0) }]);
    expect(changes.configs).toEqual([{ resourceType: ResourceType.TOPIC, name: 'a' }]);
    expect(changes.brokers).toEqual([1]);
    expect(changes.featuresChanged).toBe(false);
  });

  it('names only the partitions that did', () => {
    const before = fold(MetadataImage.EMPTY, topic('a', A), partition(A, 0), partition(A, 1));
    const after = fold(before, newRecord('PartitionChangeRecord', { topicId: A, partitionId: 1, leader: 2 }, 2), partition(A, 2));
    const changes = imageChanges(before, after);
    expect(changes.partitions.map((change) => [change.partition, change.before?.leader, change.after.leader])).toEqual([[1, 1, 2], [2, undefined, 1]]);
    expect([changes.topicsCreated, changes.topicsDeleted]).toEqual([[], []]);
    expect(imageChanges(after, after).partitions).toEqual([]);
  });
});

it('a snapshot of an image folds to the same image', () => {
  const image = fold(
    MetadataImage.EMPTY,
    level('metadata.version', 30), level('eligible.leader.replicas.version', 1),
    broker(1, 5), newRecord('BrokerRegistrationChangeRecord', { brokerId: 1, brokerEpoch: 5, fenced: -1, cordonedLogDirs: [] }, 3),
    newRecord('RegisterControllerRecord', { controllerId: 1, incarnationId: B, zkMigrationReady: false, endPoints: [{ name: 'C', host: 'h', port: 9093, securityProtocol: 0 }], features: [] }),
    topic('a', A), config('retention.ms', '5'), partition(A, 0),
    newRecord('PartitionChangeRecord', { topicId: A, partitionId: 0, isr: [], leader: NO_LEADER, eligibleLeaderReplicas: [2], lastKnownElr: [1], leaderRecoveryState: 1, removingReplicas: [2] }, 2),
    newRecord('ConfigRecord', { resourceType: ResourceType.BROKER, resourceName: '', name: 'min.insync.replicas', value: '1' }),
    newRecord('ProducerIdsRecord', { brokerId: 1, brokerEpoch: 5, nextProducerId: 3000 }),
    newRecord('ClientQuotaRecord', { entity: [{ entityType: 'user', entityName: null }, { entityType: 'client-id', entityName: 'x' }], key: 'producer_byte_rate', value: 10.5, remove: false }),
    newRecord('UserScramCredentialRecord', { name: 'u', mechanism: 1, salt: Buffer.from('s'), storedKey: Buffer.from('k'), serverKey: Buffer.from('v'), iterations: 4096 }),
    newRecord('AccessControlEntryRecord', { id: A, resourceType: 2, resourceName: 'a', patternType: 3, principal: 'User:u', host: '*', operation: 3, permissionType: 3 }),
    newRecord('DelegationTokenRecord', { owner: 'User:u', requester: 'User:u', renewers: [], issueTimestamp: 1, maxTimestamp: 2, expirationTimestamp: 3, tokenId: 't' }),
  );
  const delta = new MetadataDelta(MetadataImage.EMPTY);
  for (const record of decodedRecords([...snapshotRecords(image)])) delta.apply(record);
  const again = delta.build(PROVENANCE);
  const plain = (one: MetadataImage) => ({
    ...one, topics: [...one.topics], topicsById: [...one.topicsById], collisions: [...one.collisions], configs: [...one.configs],
    clientQuotas: [...one.clientQuotas], scramCredentials: [...one.scramCredentials], acls: [...one.acls], delegationTokens: [...one.delegationTokens],
  });
  expect(plain(again)).toEqual(plain(image));
  expect(again.clientQuotas.size + again.scramCredentials.size + again.acls.size + again.delegationTokens.size).toBe(4);
  const emptied = fold(
    again,
    newRecord('ClientQuotaRecord', { entity: [{ entityType: 'client-id', entityName: 'x' }, { entityType: 'user', entityName: null }], key: 'producer_byte_rate', value: 0, remove: true }),
    newRecord('RemoveUserScramCredentialRecord', { name: 'u', mechanism: 1 }),
    newRecord('RemoveAccessControlEntryRecord', { id: A }),
    newRecord('RemoveDelegationTokenRecord', { tokenId: 't' }),
  );
  expect(emptied.clientQuotas.size + emptied.scramCredentials.size + emptied.acls.size + emptied.delegationTokens.size).toBe(0);
});
