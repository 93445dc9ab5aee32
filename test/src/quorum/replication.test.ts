/** What a follower takes from its leader, and what it does not: every batch is judged before any of it is in the log. */
import { describe, expect, it } from 'vitest';
import { setBaseOffset } from '../../../protocol/record/batch.ts';
import { controlBatch, dataBatches } from '../../../src/quorum/batches.ts';
import { MetadataImages } from '../../../src/quorum/images.ts';
import { MetadataError, MetadataLog } from '../../../src/quorum/metadata-log.ts';
import { encodeRecord, newRecord } from '../../../src/quorum/records.ts';
import { Replication } from '../../../src/quorum/replication.ts';
import { encodeSnapshot, snapshotName } from '../../../src/quorum/snapshots.ts';
import { Settings } from '../../../src/settings.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';

const METADATA = '/data/__cluster_metadata-0';
const NOW = 1_700_000_000_000;

function world() {
  const disk = new MemoryDisk();
  disk.makeDirectory('/data');
  const clock = { monotonicMs: () => NOW, wallMs: () => NOW };
  const log = (): void => {};
  const metadata = MetadataLog.open({ disk, directory: METADATA, clock, settings: Settings.from({ production: true, values: { 'node.id': 1 } }), logger: { info: log, warn: log, error: log }, staticVoters: [] });
  const images = new MetadataImages();
  return { disk, metadata, images, replication: new Replication({ disk, clock, metadata, images }) };
}

/** A batch of `count` records, each of which names a topic. */
function batch(baseOffset: number, epoch: number, count = 1): Buffer {
  const values = Array.from({ length: count }, (_, index) =>
    encodeRecord(newRecord('TopicRecord', { name: `t${baseOffset + index}`, topicId: Buffer.alloc(16, 1 + baseOffset + index).toString('base64url') })),
  );
  return dataBatches(values, { baseOffset, epoch, nowMs: NOW })[0]!;
}

function leaderChange(baseOffset: number, epoch: number): Buffer {
  return controlBatch([{ type: 'leaderChange', value: { version: 0, leaderId: 2, voters: [{ voterId: 2 }], grantingVoters: [{ voterId: 2 }] } }], { baseOffset, epoch, nowMs: NOW });
}

describe('batches of a leader', () => {
  it('are appended as they are and are in the latest image; the committed one follows the high watermark', async () => {
    const { metadata, images, replication } = world();
    replication.follow(Buffer.concat([leaderChange(0, 1), batch(1, 1, 2), batch(3, 1)]), 1, 3);
    expect(metadata.log.logEndOffset).toBe(4);
    expect(metadata.lastEpoch).toBe(1);
    expect([...images.latest.topics.keys()].sort()).toEqual(['t1', 't2', 't3']);
    await images.commit(3);
    expect([...images.committed.topics.keys()].sort()).toEqual(['t1', 't2']);
    await images.commit(4);
    expect(images.committed.offset).toBe(3);
  });

  it('that are cut short at the end are taken as far as they are whole', () => {
    const { metadata, replication } = world();
    const bytes = Buffer.concat([leaderChange(0, 1), batch(1, 1)]);
    replication.follow(bytes.subarray(0, bytes.length - 1), 1, -1);
    expect(metadata.log.logEndOffset).toBe(1);
  });

  const unsound: readonly (readonly [string, () => Buffer])[] = [
    ['of a later epoch than the leader has', () => batch(1, 3)],
    ['of an earlier epoch than the one before', () => batch(1, 0)],
    ['behind a gap', () => batch(2, 1)],
    ['that are here already', () => batch(0, 1)],
    ['that count backwards', () => Buffer.concat([batch(1, 1), batch(1, 1)])],
    ['with a flipped bit', () => Buffer.from(batch(1, 1).map((byte, index) => (index === 70 ? byte ^ 1 : byte)))],
    ['with an offset that is none', () => setOffset(batch(1, 1), -5)],
    ['with a length that is none', () => setLength(batch(1, 1), -1)],
    ['that are only a piece', () => batch(1, 1).subarray(0, 40)],
    ['of records that nobody knows', () => dataBatches([Buffer.from([1, 0x7e, 0, 0])], { baseOffset: 1, epoch: 1, nowMs: NOW })[0]!],
  ];
  it.each(unsound)('%s are refused, and leave the log as it was', (_, make) => {
    const { metadata, images, replication } = world();
    replication.follow(leaderChange(0, 1), 1, -1);
    expect(() => replication.follow(Buffer.concat([make()]), 2, -1)).toThrow();
    expect(metadata.log.logEndOffset).toBe(1);
    expect(images.latest.topics.size).toBe(0);
  });
});

function setOffset(bytes: Buffer, offset: number): Buffer {
  setBaseOffset(bytes, 0, offset);
  return bytes;
}

function setLength(bytes: Buffer, length: number): Buffer {
  bytes.writeInt32BE(length, 8);
  return bytes;
}

describe('a log that is not the leader\'s', () => {
  it('is cut where the epochs part, and the images with it', async () => {
    const { metadata, images, replication } = world();
    replication.follow(Buffer.concat([leaderChange(0, 1), batch(1, 1), leaderChange(2, 2), batch(3, 2), batch(4, 2)]), 2, -1);
    // The leader's epoch 2 ended at 4, or it never had one.
    expect(await replication.truncate(2, 4)).toBe(4);
    expect([...images.latest.topics.keys()].sort()).toEqual(['t1', 't3']);
    expect(await replication.truncate(1, 2)).toBe(2);
    expect([...images.latest.topics.keys()]).toEqual(['t1']);
    expect(metadata.lastEpoch).toBe(1);
  });

  it('is never cut below what is committed', async () => {
    const { metadata, replication } = world();
    replication.follow(Buffer.concat([leaderChange(0, 1), batch(1, 1), batch(2, 1)]), 1, -1);
    await metadata.log.flush();
    metadata.log.advanceHighWatermark(2);
    await expect(replication.truncate(1, 1)).rejects.toBeInstanceOf(MetadataError);
    expect(metadata.log.logEndOffset).toBe(3);
  });

  it('says where it parts from another', () => {
    const { replication } = world();
    replication.follow(Buffer.concat([leaderChange(0, 1), batch(1, 1), leaderChange(2, 3), batch(3, 3)]), 3, -1);
    expect(replication.agreement(0, 0)).toEqual({ type: 'valid' });
    expect(replication.agreement(2, 1)).toEqual({ type: 'valid' });
    expect(replication.agreement(4, 3)).toEqual({ type: 'valid' });
    expect(replication.agreement(4, 1)).toEqual({ type: 'diverging', epoch: 1, endOffset: 2 });
    expect(replication.agreement(3, 2)).toEqual({ type: 'diverging', epoch: 1, endOffset: 2 });
    expect(replication.agreement(9, 3)).toEqual({ type: 'diverging', epoch: 3, endOffset: 4 });
    expect(replication.agreement(9, 7)).toEqual({ type: 'diverging', epoch: 3, endOffset: 4 });
  });
});

describe('a snapshot that is fetched', () => {
  const id = { offset: 40, epoch: 3 };
  const content = (): Buffer =>
    Buffer.concat(
      encodeSnapshot([encodeRecord(newRecord('TopicRecord', { name: 'kept', topicId: Buffer.alloc(16, 9).toString('base64url') }))], { epoch: 3, nowMs: NOW, lastContainedLogTimestampMs: NOW, kraftVersion: 0, voters: null }),
    );

  it('takes the place of log and images once it is whole', async () => {
    const { disk, metadata, images, replication } = world();
    replication.follow(Buffer.concat([leaderChange(0, 1), batch(1, 1)]), 1, -1);
    const bytes = content();
    expect(replication.beginSnapshot(id)).toBe(false);
    expect(await replication.takeChunk(id, 0, bytes.length, bytes.subarray(0, 50))).toEqual({ position: 50, isWhole: false });
    expect(metadata.log.logEndOffset).toBe(2);
    expect(await replication.takeChunk(id, 50, bytes.length, bytes.subarray(50))).toEqual({ position: bytes.length, isWhole: true });
    expect(metadata.log.logStartOffset).toBe(40);
    expect(metadata.lastEpoch).toBe(3);
    expect([...images.latest.topics.keys()]).toEqual(['kept']);
    expect(disk.readFile(`${METADATA}/${snapshotName(id)}`).equals(bytes)).toBe(true);
    expect(replication.agreement(0, 0)).toEqual({ type: 'snapshot', id });
    expect(replication.agreement(39, 1)).toEqual({ type: 'snapshot', id });
    expect(replication.agreement(40, 3)).toEqual({ type: 'valid' });
    expect(replication.agreement(40, 2)).toEqual({ type: 'snapshot', id });
    expect(replication.beginSnapshot(id)).toBe(true);
    // The log goes on behind it.
    replication.follow(batch(40, 4), 4, -1);
    expect([...images.latest.topics.keys()].sort()).toEqual(['kept', 't40']);
  });

  it('that is damaged is thrown away, and nothing has changed', async () => {
    const { disk, metadata, images, replication } = world();
    replication.follow(Buffer.concat([leaderChange(0, 1), batch(1, 1)]), 1, -1);
    const bytes = content();
    bytes[bytes.length - 3]! ^= 1;
    replication.beginSnapshot(id);
    await expect(replication.takeChunk(id, 0, bytes.length, bytes)).rejects.toThrow('checksum');
    expect(disk.list(METADATA).filter((name) => name.includes('checkpoint')).filter((name) => name !== 'leader-epoch-checkpoint')).toEqual([]);
    expect(metadata.log.logEndOffset).toBe(2);
    expect([...images.latest.topics.keys()]).toEqual(['t1']);
  });
});
