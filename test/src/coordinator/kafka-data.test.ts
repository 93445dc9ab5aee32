/** The groups that Apache Kafka 4.3.1 left in its data directories (groups.txt beside them), loaded, used, and taken back. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { nextBatchBytes } from '../../../protocol/record/batches.ts';
import { groupRecordCodec } from '../../../src/coordinator/group-records.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { kafkaDataDirectory, kafkaDataIsThere, unpackImage } from '../../storage/kafka-data.ts';
import type { ImageName } from '../../storage/kafka-data.ts';
import { Scene, subscription } from './scene.ts';
import { TestLog } from './shard-log.ts';

const PARTITIONS = 5;
/** The stamps in the directories age. */
const retention = { 'offsets.retention.minutes': 35_000_000 };

function consumerOffsets(image: ImageName): TestLog[] {
  const disk = new MemoryDisk();
  disk.makeDirectory('data');
  unpackImage(image, disk, 'data');
  return Array.from({ length: PARTITIONS }, (_, partition) => {
    const bytes = disk.readFile(`data/__consumer_offsets-${partition}/00000000000000000000.log`);
    const batches: Buffer[] = [];
    for (let at = 0, size = 0; at < bytes.length && (size = nextBatchBytes(bytes, at, bytes.length)) > 0; at += size) batches.push(bytes.subarray(at, at + size));
    return new TestLog(partition, 3, batches);
  });
}

describe.skipIf(!kafkaDataIsThere).each(['clean', 'killed'] as const)(`the %s image in ${kafkaDataDirectory}`, (image) => {
  const load = () => new Scene(retention, { partitionCount: PARTITIONS }).lead(consumerOffsets(image));

  test('has the groups and offsets that Kafka told', async () => {
    const s = await load();
    expect(s.groups()).toBe('g-848:Empty g-classic:Empty g-copier:Empty g-share:Empty');
    expect(await s.offsets('g-classic')).toBe('plain-0=500 plain-1=277 plain-2=0');
    expect(await s.offsets('g-848')).toBe('txn-0=500 txn-1=0');
    expect(await s.offsets('g-copier')).toBe('plain-0=500');
    expect(await s.offsets('g-copier', { stable: true })).toBe('plain-0=500');
    const listed = s.coordinator.listGroups({ statesFilter: [], typesFilter: [] }).groups!;
    expect(listed.map(({ groupId, protocolType, groupType }) => [groupId, protocolType, groupType]).sort()).toEqual([
      ['g-848', 'consumer', 'consumer'], ['g-classic', 'consumer', 'classic'], ['g-copier', '', 'classic'], ['g-share', 'share', 'share'],
    ]);
    expect(s.coordinator.listGroups({ statesFilter: [], typesFilter: ['SHARE'] }).groups!.map(({ groupId }) => groupId)).toEqual(['g-share']);
    const described = s.coordinator.describeGroups(['g-848', 'g-classic'], { apiVersion: 6, clientId: '', clientHost: '' });
    expect(described.map(({ errorCode, errorMessage, groupState }) => [errorCode, errorMessage, groupState])).toEqual([
      [ErrorCode.GROUP_ID_NOT_FOUND, 'Group g-848 is not a classic group.', 'Dead'], [0, undefined, 'Empty'],
    ]);
  });

  test('loses nothing of groups that are not served yet when time passes', async () => {
    const s = await load();
    const before = s.logs.get(3)!.batches.length;
    await s.saidWithin(3 * 600_000);
    expect(s.groups()).toBe('g-848:Empty g-classic:Empty g-copier:Empty g-share:Empty');
    expect([s.logs.get(2)!.batches.length, s.logs.get(3)!.batches.length]).toEqual([consumerOffsets(image)[2]!.batches.length, before]);
  });

  test('goes on: its classic group rebalances, its consumer group takes classic members once it is empty', async () => {
    const s = await load();
    const a = s.client('A', { group: 'g-classic', protocols: [{ name: 'range', metadata: subscription('plain') }] });
    await s.stable(a);
    expect(a.generation).toBe(3);
    void s.commit(a, 'plain', 0, 501n);
    expect(await s.said()).toEqual(['A commit NONE']);
    const b = s.client('B', { group: 'g-848' });
    await s.stable(b);
    expect(b.generation).toBe(1);
    expect(await s.offsets('g-848')).toBe('txn-0=500 txn-1=0');
    void s.join(s.client('C', { group: 'g-share' }));
    expect(await s.said()).toEqual(['C join INCONSISTENT_GROUP_PROTOCOL']);
    // All of it again from the log.
    const again = await new Scene(retention, { partitionCount: PARTITIONS }).lead([...s.logs.values()].map((log) => new TestLog(log.partition, 4, log.batches)));
    expect(again.groups()).toBe('g-848:Stable g-classic:Stable g-copier:Empty g-share:Empty');
    expect(again.coordinator.listGroups({ statesFilter: [], typesFilter: ['classic'] }).groups!.length).toBe(3);
    expect(await again.offsets('g-classic')).toBe('plain-0=501 plain-1=277 plain-2=0');
  });

  test('gives up a group as a whole, its own record last', async () => {
    const s = await load();
    const deleted = s.coordinator.deleteGroups(['g-848', 'g-copier', 'g-share']);
    await s.said();
    expect((await deleted).map(({ groupId, errorCode }) => [groupId, errorCode]).sort()).toEqual([['g-848', 0], ['g-copier', 0], ['g-share', ErrorCode.UNSUPPORTED_VERSION]]);
    expect(s.groups()).toBe('g-classic:Empty g-share:Empty');
    const left = new Map<string, Buffer | null>();
    for (const log of [s.logs.get(0)!, s.logs.get(2)!]) {
      for (const record of log.records()) {
        const value = record.type === 'other' ? (record.isTombstone ? null : Buffer.alloc(0)) : groupRecordCodec.encodeValue(record);
        left.set(groupRecordCodec.encodeKey(record).toString('latin1'), value);
      }
    }
    expect([...left.values()].filter((value) => value !== null)).toEqual([]);
    const last = s.logs.get(2)!.records().at(-1)!;
    expect(last.type === 'other' && [last.says, last.isTombstone]).toEqual(['group', true]);
  });
});
