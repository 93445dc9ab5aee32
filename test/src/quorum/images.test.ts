/** Images that are given up: what a snapshot has stays, whether or not anything was published since the node started. */
import { expect, test } from 'vitest';
import type { MetadataRecord } from '../../../protocol/log-records/metadata.ts';
import { decodedRecords } from '../../../src/quorum/batches.ts';
import { MetadataDelta } from '../../../src/quorum/delta.ts';
import { MetadataImage } from '../../../src/quorum/image.ts';
import { MetadataImages } from '../../../src/quorum/images.ts';
import { encodeRecord, newRecord } from '../../../src/quorum/records.ts';

const topicRecord = (name: string): MetadataRecord => [...decodedRecords([encodeRecord(newRecord('TopicRecord', { name, topicId: Buffer.from(name.padEnd(16)).toString('base64url') }))])][0]!;

function snapshotOf(name: string, offset: number): MetadataImage {
  const delta = new MetadataDelta(MetadataImage.EMPTY);
  delta.apply(topicRecord(name));
  return delta.build({ offset, epoch: 1, timestampMs: 0 });
}

test('a follower that cuts its log before it knows what is committed goes back to its snapshot', async () => {
  const images = new MetadataImages();
  images.reset(snapshotOf('kept', 9));
  images.fold([{ records: [topicRecord('cut')], lastOffset: 10, epoch: 1, timestampMs: 0 }]);
  expect([...images.latest.topics.values()].map(({ name }) => name).sort()).toEqual(['cut', 'kept']);
  images.revert();
  expect([...images.latest.topics.values()].map(({ name }) => name)).toEqual(['kept']);
  await images.commit(10);
  expect([...images.committed.topics.values()].map(({ name }) => name)).toEqual(['kept']);
});

test('what was published after a snapshot is not given up for it', async () => {
  const images = new MetadataImages();
  images.reset(snapshotOf('kept', 9));
  images.fold([{ records: [topicRecord('later')], lastOffset: 10, epoch: 1, timestampMs: 0 }]);
  await images.commit(11);
  images.revert();
  expect(images.latest.offset).toBe(10);
});
