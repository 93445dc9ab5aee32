/** Committed offsets: who may commit, what comes back, what is in the log, and when it is taken away. */
import { expect, test } from 'vitest';
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts';
import { ControlRecordType, encodeControlKey } from '../../../protocol/record/control.ts';
import { buildBatch } from '../../../protocol/record/build.ts';
import { groupRecordCodec, NO_TOPIC_ID } from '../../../src/coordinator/group-records.ts';
import type { GroupRecord } from '../../../src/coordinator/group-records.ts';
import { Scene, scene, subscription } from './scene.ts';
import { TestLog } from './shard-log.ts';

const T = 'SJ26i6QGSRSe7BZOrNn7Ug';
const U = 'yh7rOkn-RgKqXIcyR9MDQw';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

test('offsets come back as they were given, in every width', async () => {
  const s = await scene();
  const a = s.client('A', { group: 'simple' });
  for (const [partition, offset] of [[0, 5n], [1, 9007199254740993n], [2, -7n], [3, 0x7fff_ffff_ffff_ffffn]] as const) void s.commit(a, 't', partition, offset);
  expect(await s.said()).toEqual(['A commit NONE', 'A commit NONE', 'A commit NONE', 'A commit NONE']);
  expect(await s.offsets('simple')).toBe('t-0=5 t-1=9007199254740993 t-2=-7 t-3=9223372036854775807');
  expect(s.groups()).toBe('simple:Empty');
  const t = await new Scene().lead([new TestLog(0, 1, s.log.batches)]);
  expect(await t.offsets('simple')).toBe('t-0=5 t-1=9007199254740993 t-2=-7 t-3=9223372036854775807');
});

test('the records are those of Kafka 4.3.1', async () => {
  const s = await scene();
  const a = s.client('A', { group: 'simple' });
  void s.commit(a, 't1', 0, 6n, { topicId: T, metadata: 'meta' });
  void s.commit(a, 't1', 1, 7n, { topicId: T, retentionTimeMs: 3_600_000 });
  await s.said();
  const stamp = s.world.wallMs();
  expect(s.log.records()).toEqual([
    { type: 'offset', group: 'simple', topic: 't1', partition: 0, value: { offset: 6n, leaderEpoch: 3, metadata: 'meta', commitTimestamp: stamp, expireTimestamp: -1, topicId: T } },
    // The version with a time to expire has neither leader epoch nor topic id.
    { type: 'offset', group: 'simple', topic: 't1', partition: 1, value: { offset: 7n, leaderEpoch: -1, metadata: '', commitTimestamp: stamp, expireTimestamp: stamp + 3_600_000, topicId: NO_TOPIC_ID } },
  ]);
  const [batch] = s.log.batches;
  // As `kafka-dump-log.sh --offsets-decoder` shows those that a broker wrote: keySize 18, valueSize 42 + 4 of metadata, baseSequence 0.
  expect([batch!.readInt32BE(53), batch!.readBigInt64BE(43), batch!.readInt16BE(21)]).toEqual([0, -1n, 0]);
  const key = groupRecordCodec.encodeKey(s.log.records()[0]!);
  const value = groupRecordCodec.encodeValue(s.log.records()[0]!)!;
  expect([key.length, value.length]).toEqual([18, 46]);
});

test('who may commit', async () => {
  const s = await scene();
  const a = s.client('A', { apiVersion: 9 });
  void s.commit(a, 't', 0, 1n, { generation: 1, memberId: 'x' });
  void s.commit({ ...a, apiVersion: 8 }, 't', 0, 1n, { generation: 1, memberId: 'x' });
  void s.commit(a, 't', 0, 1n, { generation: -1, memberId: 'whoever' });
  void s.commit(a, 't', 0, 1n, { generation: 0, memberId: '' });
  expect(await s.said()).toEqual(['A commit GROUP_ID_NOT_FOUND', 'A commit ILLEGAL_GENERATION', 'A commit NONE', 'A commit UNKNOWN_MEMBER_ID']);
  void s.joinTwice(a);
  await s.saidWithin(0);
  void s.commit(a, 't', 0, 2n);
  expect(await s.said()).toEqual(['A commit REBALANCE_IN_PROGRESS']);
  void s.sync(a);
  await s.said();
  void s.commit(a, 't', 0, 3n);
  void s.commit(a, 't', 0, 4n, { generation: 2 });
  void s.commit(a, 't', 0, 4n, { generation: -1 });
  void s.commit(a, 't', 0, 4n, { generation: -1, memberId: '' });
  void s.commit(a, 't', 0, 4n, { memberId: 'nobody' });
  void s.commit(a, 't', 0, 4n, { metadata: 'x'.repeat(4097) });
  expect(await s.said()).toEqual([
    'A commit NONE', 'A commit ILLEGAL_GENERATION', 'A commit ILLEGAL_GENERATION', 'A commit UNKNOWN_MEMBER_ID', 'A commit UNKNOWN_MEMBER_ID', 'A commit OFFSET_METADATA_TOO_LARGE',
  ]);
  expect(await s.offsets('g')).toBe('t-0=3');
});

test('a plain fetch sees what is committed to the log, a stable one waits for the rest', async () => {
  const s = await scene();
  const a = s.client('A', { group: 'simple' });
  void s.commit(a, 't', 0, 1n);
  await s.said();
  s.log.holds = true;
  void s.commit(a, 't', 0, 2n);
  void s.commit(a, 'u', 0, 3n);
  void s.commit({ ...a, group: 'new' }, 't', 0, 1n);
  expect(await s.said()).toEqual([]);
  expect(await s.offsets('simple')).toBe('t-0=1');
  expect(s.groups()).toBe('simple:Empty');
  const stable = s.offsets('simple', { stable: true });
  await s.world.settle();
  s.log.commit();
  expect(await stable).toBe('t-0=2 u-0=3');
  expect(await s.offsets('simple')).toBe('t-0=2 u-0=3');
  expect(s.groups()).toBe('new:Empty simple:Empty');

  void s.commit(a, 't', 0, 9n);
  const lost = s.offsets('simple', { stable: true });
  await s.world.settle();
  s.log.fail(ErrorCode.KAFKA_STORAGE_ERROR);
  expect(await lost).toBe('NOT_COORDINATOR');
  expect(await s.said()).toEqual(['A commit NONE', 'A commit NONE', 'A commit NONE', 'A commit NOT_COORDINATOR']);
  expect(await s.offsets('simple')).toBe('t-0=2 u-0=3');
});

test('a commit that is not written in time is answered, and counts when it is', async () => {
  const s = await scene();
  const a = s.client('A', { group: 'simple' });
  s.log.holds = true;
  void s.commit(a, 't', 0, 1n);
  expect(await s.saidWithin(4999)).toEqual([]);
  expect(await s.saidWithin(1)).toEqual(['A commit COORDINATOR_NOT_AVAILABLE']);
  s.log.commit();
  await s.said();
  expect(await s.offsets('simple')).toBe('t-0=1');
});

test('a coordinator that may have a successor tells offsets when it knows that it has none', async () => {
  const s = await scene();
  const a = s.client('A', { group: 'simple' });
  void s.commit(a, 't', 0, 1n);
  await s.said();
  for (const stable of [false, true]) {
    let confirm!: () => void;
    s.log.confirmation = new Promise((resolve) => (confirm = resolve));
    let answer = '';
    const asked = s.offsets('simple', { stable }).then((offsets) => (answer = offsets));
    await s.world.settle();
    expect(answer).toBe('');
    void s.commit(a, 't', 0, stable ? 3n : 2n);
    await s.said();
    confirm();
    await asked;
    expect(answer, 'as it is by then').toBe(stable ? 't-0=3' : 't-0=2');
  }
  s.log.confirmation = Promise.reject(new KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER));
  expect(await s.offsets('simple')).toBe('NOT_COORDINATOR');
  s.log.confirmation = new Promise(() => {});
  let late = '';
  void s.offsets('simple').then((offsets) => (late = offsets));
  await s.world.pass(4999);
  expect(late).toBe('');
  await s.world.pass(1);
  expect(late, 'offsets.commit.timeout.ms').toBe('NOT_COORDINATOR');
  const gone = s.offsets('simple');
  s.coordinator.onResignation(0, null);
  expect(await gone).toBe('NOT_COORDINATOR');
});

test('offsets by topic id: those of a topic of the same name that is gone are not told', async () => {
  const s = await scene();
  const a = s.client('A', { group: 'simple' });
  void s.commit(a, 't', 0, 1n, { topicId: T });
  void s.commit(a, 't', 1, 2n, { topicId: NO_TOPIC_ID });
  await s.said();
  const fetch = async (topicId: string) => {
    const { topics } = await s.coordinator.fetchOffsets({ groupId: 'simple', memberId: null, memberEpoch: -1, topics: [{ name: 't', topicId, partitionIndexes: [0, 1, 2] }] }, false);
    return topics[0]!.partitions.map(({ committedOffset, committedLeaderEpoch, metadata, errorCode }) => [committedOffset, committedLeaderEpoch, metadata, errorCode]);
  };
  expect(await fetch(T)).toEqual([[1n, 3, '', 0], [2n, 3, '', 0], [-1n, -1, '', 0]]);
  expect(await fetch(NO_TOPIC_ID)).toEqual([[1n, 3, '', 0], [2n, 3, '', 0], [-1n, -1, '', 0]]);
  expect(await fetch(U)).toEqual([[-1n, -1, '', 0], [2n, 3, '', 0], [-1n, -1, '', 0]]);
});

test('deleted topics take their offsets with them, those of a successor stay', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((group) => s.client(group, { group }));
  void s.commit(a!, 't', 0, 1n, { topicId: T });
  void s.commit(a!, 'u', 0, 2n, { topicId: U });
  void s.commit(b!, 't', 1, 3n);
  await s.said();
  s.coordinator.onTopicsDeleted([{ name: 't', id: T }]);
  await s.said();
  expect([await s.offsets('A'), await s.offsets('B')]).toEqual(['u-0=2', '']);
  s.coordinator.onTopicsDeleted([{ name: 'u', id: T }]);
  await s.said();
  expect(await s.offsets('A')).toBe('u-0=2');
});

test('OffsetDelete and DeleteGroups', async () => {
  const s = await scene();
  const a = s.client('A');
  const deleteOffsets = async (groupId: string, ...topics: string[]) => {
    const answer = s.coordinator.deleteOffsets({ groupId, topics: topics.map((name) => ({ name, partitions: [{ partitionIndex: 0 }] })) });
    await s.world.settle();
    const { errorCode, topics: told } = await answer;
    return errorCode !== 0 ? errorCode : told!.map(({ partitions }) => partitions[0]!.errorCode);
  };
  const deleteGroups = async (...ids: string[]) => {
    const answer = s.coordinator.deleteGroups(ids);
    await s.world.settle();
    return (await answer).map(({ groupId, errorCode }) => `${groupId}:${errorCode}`).sort();
  };
  await s.stable(a);
  void s.commit(a, 't', 0, 1n);
  void s.commit(a, 'u', 0, 1n);
  void s.commit(s.client('B', { group: 'simple' }), 't', 0, 1n);
  await s.said();
  expect(await deleteOffsets('g', 't', 'u', 'v')).toEqual([ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, 0, 0]);
  expect(await s.offsets('g')).toBe('t-0=1');
  expect(await deleteOffsets('nope', 't')).toBe(ErrorCode.GROUP_ID_NOT_FOUND);
  expect(await deleteOffsets('', 't')).toBe(ErrorCode.INVALID_GROUP_ID);
  const connect = s.client('C', { group: 'connect', protocolType: 'connect' });
  await s.stable(connect);
  expect(await deleteOffsets('connect', 't')).toBe(ErrorCode.NON_EMPTY_GROUP);
  expect(await deleteGroups('g', 'nope', 'simple', 'nope', '')).toEqual([`:${ErrorCode.GROUP_ID_NOT_FOUND}`, `g:${ErrorCode.NON_EMPTY_GROUP}`, `nope:${ErrorCode.GROUP_ID_NOT_FOUND}`, 'simple:0']);
  expect(s.groups()).toBe('connect:Stable g:Stable');
  expect(await s.offsets('simple')).toBe('');
  void s.leave(a);
  await s.said();
  expect(await deleteGroups('g')).toEqual(['g:0']);
  expect(await s.offsets('g')).toBe('');
  expect(await deleteGroups('g')).toEqual([`g:${ErrorCode.GROUP_ID_NOT_FOUND}`]);
  // What is left in the log after compaction is the group that is there.
  const left = new Map<string, GroupRecord>();
  for (const record of s.log.records()) left.set(groupRecordCodec.encodeKey(record).toString('latin1'), record);
  expect([...left.values()].filter((record) => groupRecordCodec.encodeValue(record) !== null).map(({ group }) => group)).toEqual(['connect']);
});

test('groups that were told their ids while the group was deleted do not come back into it', async () => {
  const s = await scene();
  const a = s.client('A');
  void s.join(a);
  await s.said();
  void s.coordinator.deleteGroups(['g']);
  await s.said();
  void s.join(a);
  expect(await s.saidWithin(20_000)).toEqual(['A join UNKNOWN_MEMBER_ID']);
  expect(s.world.timerCount).toBe(1);
});

// ---- expiry (KIP-211)

test('offsets of nobody expire a retention time after the commit, and the group with the last', async () => {
  const s = await scene({ 'offsets.retention.minutes': 60, 'offsets.retention.check.interval.ms': MINUTE });
  const a = s.client('A', { group: 'simple' });
  void s.commit(a, 't', 0, 1n);
  await s.saidWithin(30 * MINUTE);
  void s.commit(a, 't', 1, 2n);
  void s.commit(a, 't', 2, 3n, { retentionTimeMs: 10 * MINUTE });
  // What a decoded 2^63-1 is.
  void s.commit({ ...a, group: 'kept' }, 't', 0, 1n, { retentionTimeMs: 2 ** 53 });
  await s.saidWithin(11 * MINUTE);
  expect(await s.offsets('simple')).toBe('t-0=1 t-1=2');
  await s.saidWithin(19 * MINUTE);
  expect(await s.offsets('simple')).toBe('t-1=2');
  await s.saidWithin(29 * MINUTE);
  expect(s.groups()).toBe('kept:Empty simple:Empty');
  await s.saidWithin(MINUTE);
  expect(s.groups()).toBe('kept:Empty');
  expect(s.log.records().at(-1)).toEqual({ type: 'group', group: 'simple', value: null });
});

test('offsets of a group count from when its last member left', async () => {
  const s = await scene({ 'offsets.retention.minutes': 60, 'offsets.retention.check.interval.ms': MINUTE, 'group.max.session.timeout.ms': DAY });
  const a = s.client('A', { sessionTimeoutMs: DAY });
  await s.stable(a);
  void s.commit(a, 't', 0, 1n);
  await s.saidWithin(100 * MINUTE);
  expect(await s.offsets('g')).toBe('t-0=1');
  void s.leave(a);
  await s.saidWithin(59 * MINUTE);
  expect(await s.offsets('g')).toBe('t-0=1');
  await s.saidWithin(2 * MINUTE);
  expect([await s.offsets('g'), s.groups()]).toEqual(['', '']);
});

test('a group of consumers gives up offsets of topics that it does not read any more', async () => {
  const s = await scene({ 'offsets.retention.minutes': 60, 'offsets.retention.check.interval.ms': MINUTE, 'group.max.session.timeout.ms': DAY });
  const a = s.client('A', { sessionTimeoutMs: DAY, protocols: [{ name: 'range', metadata: subscription('t', 'u') }] });
  const b = s.client('B', { group: 'odd', sessionTimeoutMs: DAY, protocols: [{ name: 'range', metadata: Buffer.from('not a subscription') }] });
  const c = s.client('C', { group: 'connect', sessionTimeoutMs: DAY, protocolType: 'connect' });
  await s.stable(a);
  await s.stable(b);
  await s.stable(c);
  for (const client of [a, b, c]) {
    void s.commit(client, 't', 0, 1n);
    void s.commit(client, 'v', 0, 2n);
  }
  await s.saidWithin(61 * MINUTE);
  expect([await s.offsets('g'), await s.offsets('odd'), await s.offsets('connect')]).toEqual(['t-0=1', 't-0=1 v-0=2', 't-0=1 v-0=2']);
});

test('a group that never had offsets goes at the next check, unless it has members', async () => {
  const s = await scene();
  const a = s.client('A');
  const b = s.client('B', { group: 'h', sessionTimeoutMs: 1_800_000 });
  await s.stable(a);
  await s.stable(b);
  void s.leave(a);
  await s.said();
  expect(s.groups()).toBe('g:Empty h:Stable');
  await s.saidWithin(600_000);
  expect(s.groups()).toBe('h:Stable');
});

// ---- transactions, as Apache Kafka leaves them in the log

const inTransaction = (producerId: number, baseOffset: number, records: GroupRecord[]): Buffer =>
  buildBatch({
    baseOffset, producerId, producerEpoch: 0, baseSequence: 0, isTransactional: true,
    records: records.map((record) => ({ timestamp: 1, key: groupRecordCodec.encodeKey(record), value: groupRecordCodec.encodeValue(record) })),
  });
const marker = (producerId: number, baseOffset: number, type: ControlRecordType): Buffer =>
  buildBatch({ baseOffset, producerId, producerEpoch: 0, isTransactional: true, isControl: true, records: [{ timestamp: 1, key: encodeControlKey(type), value: Buffer.from([0, 0, 0, 0, 0, 0]) }] });
const plain = (baseOffset: number, record: GroupRecord): Buffer =>
  buildBatch({ baseOffset, records: [{ timestamp: 1, key: groupRecordCodec.encodeKey(record), value: groupRecordCodec.encodeValue(record) }] });
const offset = (partition: number, value: bigint): GroupRecord => ({
  type: 'offset', group: 'g', topic: 't', partition, value: { offset: value, leaderEpoch: -1, metadata: '', commitTimestamp: 1_700_000_000_000, expireTimestamp: -1, topicId: NO_TOPIC_ID },
});

test('offsets of a transaction count when it commits, and not before; the later commit wins', async () => {
  const s = await new Scene().lead([
    new TestLog(0, 0, [
      inTransaction(7, 0, [offset(0, 10n), offset(1, 11n)]),
      inTransaction(8, 2, [offset(2, 20n)]),
      plain(3, offset(1, 99n)),
      marker(8, 4, ControlRecordType.ABORT),
      marker(7, 5, ControlRecordType.COMMIT),
      inTransaction(9, 6, [offset(0, 30n), offset(3, 31n)]),
    ]),
  ]);
  expect(await s.offsets('g')).toBe('t-0=10 t-1=99');
  expect(await s.offsets('g', { stable: true })).toBe('t-0=UNSTABLE_OFFSET_COMMIT t-1=99');
  // What a transaction has open does not expire, and deleting takes it along.
  const deleted = s.coordinator.deleteGroups(['g']);
  await s.said();
  expect((await deleted).map(({ errorCode }) => errorCode)).toEqual([0]);
  expect(s.log.records().slice(-4).map((record) => (record.type === 'offset' ? record.partition : record.type)).sort()).toEqual([0, 1, 3, 'group']);
});
