/** The framing of records in logs: what is unknown, cut short, or from the future. */
import { expect, test } from 'vitest';
import { ConsumerProtocolAssignment, ConsumerProtocolSubscription } from '../../protocol/log-records/consumer-protocol.ts';
import {
  decodeCoordinatorKey,
  decodeCoordinatorRecord,
  decodeCoordinatorValue,
  decodeVersioned,
  encodeCoordinatorKey,
  encodeCoordinatorValue,
  encodeVersioned,
} from '../../protocol/log-records/framing.ts';
import { groupRecords } from '../../protocol/log-records/group.ts';
import { decodeMetadataRecord, encodeMetadataRecord } from '../../protocol/log-records/metadata.ts';
import { transactionRecords } from '../../protocol/log-records/transaction.ts';

const offsetKey = encodeCoordinatorKey(groupRecords.OffsetCommit, { group: 'g', topic: 't', partition: 3 });
const offsetValue = encodeCoordinatorValue(groupRecords.OffsetCommit, 3, { offset: 2n ** 63n - 1n, metadata: '', commitTimestamp: 1 });

test('a record of a coordinator is told by its name', () => {
  const record = decodeCoordinatorRecord(groupRecords, offsetKey, offsetValue)!;
  if (record.name !== 'OffsetCommit') throw new Error(record.name);
  expect(record.key).toEqual({ group: 'g', topic: 't', partition: 3 });
  expect(record.value?.offset).toBe(2n ** 63n - 1n);
  expect(record.version).toBe(3);
});

test('a tombstone has no value', () => {
  expect(decodeCoordinatorRecord(groupRecords, offsetKey, null)).toMatchObject({ name: 'OffsetCommit', value: null, version: undefined });
});

test('a type that nobody knows is undefined, a version that nobody knows is an error', () => {
  expect(decodeCoordinatorKey(groupRecords, Buffer.from('007f0000', 'hex'))).toBe(undefined);
  expect(decodeCoordinatorRecord(groupRecords, Buffer.from('007f0000', 'hex'), offsetValue)).toBe(undefined);
  expect(decodeCoordinatorKey(transactionRecords, Buffer.from('00010000', 'hex'))).toBe(undefined);
  const future = Buffer.from(offsetValue);
  future.writeInt16BE(5, 0);
  expect(() => decodeCoordinatorValue(groupRecords.OffsetCommit, future)).toThrow(new RangeError('OffsetCommitValue of unknown version 5'));
  future.writeInt16BE(-1, 0);
  expect(() => decodeCoordinatorValue(groupRecords.OffsetCommit, future)).toThrow(RangeError);
  expect(() => decodeCoordinatorKey(groupRecords, Buffer.alloc(1))).toThrow(RangeError);
});

test('the consumer protocol of the future is read as far as it is known', () => {
  const bytes = encodeVersioned(ConsumerProtocolSubscription, 3, { topics: ['a'], userData: null, ownedPartitions: [], generationId: 4, rackId: 'r' });
  bytes.writeInt16BE(9, 0);
  const { version, value } = decodeVersioned(ConsumerProtocolSubscription, Buffer.concat([bytes, Buffer.from('more')]));
  expect(version).toBe(9);
  expect(value).toMatchObject({ topics: ['a'], generationId: 4, rackId: 'r' });
  bytes.writeInt16BE(-1, 0);
  expect(() => decodeVersioned(ConsumerProtocolAssignment, bytes)).toThrow(RangeError);
});

test('a record of the metadata log is told by its name, and must be known to the last byte', () => {
  const bytes = encodeMetadataRecord('TopicRecord', 0, { name: 't', topicId: 'GHdWVuDG78oaW2lQ7mbBzA' });
  expect(bytes.subarray(0, 3).toString('hex')).toBe('010200');
  const record = decodeMetadataRecord(bytes);
  if (record.name !== 'TopicRecord') throw new Error(record.name);
  expect(record).toEqual({ name: 'TopicRecord', type: 2, version: 0, value: { name: 't', topicId: 'GHdWVuDG78oaW2lQ7mbBzA' } });
  for (const [index, byte, error] of [
    [0, 0, 'record of frame version 0'],
    [1, 99, 'record of unknown type 99'],
    [2, 1, 'TopicRecord of unknown version 1'],
  ] as const) {
    const damaged = Buffer.from(bytes);
    damaged[index] = byte;
    expect(() => decodeMetadataRecord(damaged)).toThrow(new RangeError(error));
  }
  expect(() => decodeMetadataRecord(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow(new RangeError('1 bytes behind TopicRecord v0'));
  for (let length = 0; length < bytes.length; length++) expect(() => decodeMetadataRecord(bytes.subarray(0, length))).toThrow(RangeError);
});
