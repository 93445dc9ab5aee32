/**
 * An image as the records that make it: the content of a snapshot, in Kafka's order (features first, for they say how to read the rest).
 *
 * Promises: folding the records into an empty image gives this one, at the record versions of its metadata.version. Deletes nothing.
 */
import { encodeMetadataRecord } from '../../protocol/log-records/metadata.ts';
import { METADATA_VERSION, metadataVersionRules } from './features.ts';
import { configResource, type MetadataImage } from './image.ts';
import { encodeRecord, newRecord, type NewRecord } from './records.ts';
import { partitionRecord } from './topic-creation.ts';

/** Framed values, ready for batches. */
export function* snapshotRecords(image: MetadataImage): Generator<Buffer> {
  for (const record of features(image)) yield encodeRecord(record);
  for (const record of cluster(image)) yield encodeRecord(record);
  for (const topic of image.topicsById.values()) {
    yield encodeRecord(newRecord('TopicRecord', { name: topic.name, topicId: topic.id }));
    for (const [index, partition] of topic.partitions.entries()) yield encodeRecord(partitionRecord(topic.id, index, partition, image));
  }
  for (const [key, config] of image.configs) {
    const { resourceType, name: resourceName } = configResource(key);
    for (const [name, value] of config) yield encodeRecord(newRecord('ConfigRecord', { resourceType, resourceName, name, value }));
  }
  for (const quota of image.clientQuotas.values()) yield encodeMetadataRecord('ClientQuotaRecord', 0, quota);
  if (image.producerIds !== null) yield encodeRecord(newRecord('ProducerIdsRecord', image.producerIds));
  for (const acl of image.acls.values()) yield encodeMetadataRecord('AccessControlEntryRecord', 0, acl);
  for (const credential of image.scramCredentials.values()) yield encodeMetadataRecord('UserScramCredentialRecord', 0, credential);
  for (const token of image.delegationTokens.values()) yield encodeMetadataRecord('DelegationTokenRecord', 0, token);
}

function* features(image: MetadataImage): Generator<NewRecord> {
  const level = image.features.get(METADATA_VERSION);
  if (level !== undefined) yield newRecord('FeatureLevelRecord', { name: METADATA_VERSION, featureLevel: level });
  for (const [name, featureLevel] of image.features) {
    if (name !== METADATA_VERSION) yield newRecord('FeatureLevelRecord', { name, featureLevel });
  }
}

function* cluster(image: MetadataImage): Generator<NewRecord> {
  const rules = metadataVersionRules(image.metadataVersion ?? 0);
  for (const broker of image.brokers.values()) {
    yield newRecord(
      'RegisterBrokerRecord',
      {
        brokerId: broker.id,
        incarnationId: broker.incarnationId,
        brokerEpoch: broker.epoch,
        endPoints: broker.endpoints,
        features: broker.features,
        rack: broker.rack,
        fenced: broker.fenced,
        inControlledShutdown: broker.inControlledShutdown,
        ...(broker.isMigratingZkBroker && { isMigratingZkBroker: true }),
        ...(rules.supportsDirectories && { logDirs: broker.logDirs }),
        ...(rules.supportsCordonedLogDirs && broker.cordonedLogDirs !== null && { cordonedLogDirs: broker.cordonedLogDirs }),
      },
      rules.registerBrokerRecordVersion,
    );
  }
  if (!rules.supportsControllerRegistration) return;
  for (const controller of image.controllers.values()) {
    yield newRecord('RegisterControllerRecord', {
      controllerId: controller.id,
      incarnationId: controller.incarnationId,
      zkMigrationReady: controller.zkMigrationReady,
      endPoints: controller.endpoints,
      features: controller.features,
    });
  }
}
