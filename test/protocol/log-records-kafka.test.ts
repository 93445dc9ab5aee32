/**
 * Every record of the internal topics in Apache Kafka's own directories, its control records and producer snapshots: decoded, and encoded again to the
 * same bytes.
 */
import { describe, expect, test } from 'vitest';
import { decodeBuffer, encodeBuffer } from '../../protocol/compile.ts';
import {
  ControlRecordTypeSchema,
  EndTxnMarker,
  KRaftVersionRecord,
  LeaderChangeMessage,
  SnapshotFooterRecord,
  SnapshotHeaderRecord,
  VotersRecord,
} from '../../protocol/log-records/control.ts';
import {
  decodeCoordinatorRecord,
  decodeVersioned,
  encodeCoordinatorKey,
  encodeCoordinatorValue,
  encodeVersioned,
} from '../../protocol/log-records/framing.ts';
import type { CoordinatorRecordTypes } from '../../protocol/log-records/framing.ts';
import { groupRecords } from '../../protocol/log-records/group.ts';
import { decodeMetadataRecord, encodeMetadataRecord } from '../../protocol/log-records/metadata.ts';
import { ProducerSnapshot } from '../../protocol/log-records/producer-snapshot.ts';
import { shareRecords } from '../../protocol/log-records/share.ts';
import { transactionRecords } from '../../protocol/log-records/transaction.ts';
import { nextBatchBytes } from '../../protocol/record/batches.ts';
import { readBatch } from '../../protocol/record/records.ts';
import type { AnyMessage } from '../../protocol/schema.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { kafkaDataIsThere, unpackImage } from '../storage/kafka-data.ts';
import type { ImageName } from '../storage/kafka-data.ts';

const coordinators: { readonly [topic: string]: CoordinatorRecordTypes } = {
  __consumer_offsets: groupRecords,
  __transaction_state: transactionRecords,
  __share_group_state: shareRecords,
};
/** By the type in their keys; markers of transactions, 0 and 1, have a version of their own in front. */
const controls: { readonly [type: number]: AnyMessage } = {
  2: LeaderChangeMessage,
  3: SnapshotHeaderRecord,
  4: SnapshotFooterRecord,
  5: KRaftVersionRecord,
  6: VotersRecord,
};

interface Rewritten {
  readonly name: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

function rewriteControl(key: Buffer, value: Buffer): Rewritten {
  const type = decodeVersioned(ControlRecordTypeSchema, key);
  const sameKey = encodeVersioned(ControlRecordTypeSchema, type.version, type.value);
  const message = controls[type.value.type];
  if (message === undefined) {
    const marker = decodeVersioned(EndTxnMarker, value);
    return { name: 'EndTxnMarker', key: sameKey, value: encodeVersioned(EndTxnMarker, marker.version, marker.value) };
  }
  // Their first field says the version of the rest.
  const version = value.readInt16BE(0);
  return { name: message.name, key: sameKey, value: encodeBuffer(message, version, decodeBuffer(message, version, value)) };
}

function rewriteMetadata(value: Buffer): Rewritten {
  const record = decodeMetadataRecord(value);
  return { name: record.name, key: null, value: encodeMetadataRecord(record.name, record.version, record.value) };
}

function rewriteCoordinator(types: CoordinatorRecordTypes, key: Buffer, value: Buffer | null): Rewritten {
  const record = decodeCoordinatorRecord(types, key, value)!;
  const type = types[record.name]!;
  return {
    name: record.name,
    key: encodeCoordinatorKey(type, record.key),
    value: record.value === null ? null : encodeCoordinatorValue(type, record.version!, record.value),
  };
}

/** Checks each record of a log; returns the names of what it has. */
function rewriteLog(topic: string, bytes: Buffer): string[] {
  const names = [];
  for (let at = 0, size = 0; (size = nextBatchBytes(bytes, at, bytes.length)) > 0; at += size) {
    const batch = readBatch(bytes, at);
    for (const { key, value } of batch.records) {
      const types = coordinators[topic];
      const rewritten = batch.isControl
        ? rewriteControl(key!, value!)
        : types === undefined
          ? rewriteMetadata(value!)
          : rewriteCoordinator(types, key!, value);
      expect(rewritten.value, `${topic} ${rewritten.name}`).toEqual(value);
      expect(rewritten.key, `${topic} ${rewritten.name}`).toEqual(key);
      names.push(rewritten.name);
    }
  }
  return names;
}

function imageOf(name: ImageName): MemoryDisk {
  const disk = new MemoryDisk();
  disk.makeDirectory('data');
  unpackImage(name, disk, 'data');
  return disk;
}

describe.skipIf(!kafkaDataIsThere).each(['clean', 'killed'] as const)('Kafka wrote: %s', (image) => {
  const disk = kafkaDataIsThere ? imageOf(image) : new MemoryDisk();
  const directories = () => disk.list('data').filter((name) => disk.status(`data/${name}`)!.isDirectory);

  test('the records of internal topics and the metadata log', () => {
    const names = new Set<string>();
    for (const directory of directories()) {
      const topic = /^(__.*)-\d+$/.exec(directory)?.[1];
      if (topic === undefined) continue;
      for (const file of disk.list(`data/${directory}`).filter((each) => each.endsWith('.log'))) {
        for (const name of rewriteLog(topic, disk.readFile(`data/${directory}/${file}`))) names.add(name);
      }
    }
    // A few that must be there, of each topic.
    for (const name of ['PartitionRecord', 'LeaderChangeMessage', 'OffsetCommit', 'ConsumerGroupMetadata', 'ShareSnapshot', 'TransactionLog', 'EndTxnMarker']) {
      expect(names).toContain(name);
    }
  });

  test('producer snapshots', () => {
    let count = 0;
    for (const directory of directories()) {
      for (const file of disk.list(`data/${directory}`).filter((each) => each.endsWith('.snapshot'))) {
        const bytes = disk.readFile(`data/${directory}/${file}`);
        const { version, value } = decodeVersioned(ProducerSnapshot, bytes);
        expect(encodeVersioned(ProducerSnapshot, version, value)).toEqual(bytes);
        count++;
      }
    }
    expect(count).toBeGreaterThan(0);
  });
});
