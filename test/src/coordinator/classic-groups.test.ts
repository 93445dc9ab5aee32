/** The classic protocol as transcripts: who asks what, who is told what, when. Kafka 4.3.1's own answers to the same requests are where the codes come from. */
import { expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { javaHashOrder } from '../../../src/coordinator/java-hash-order.ts';
import { Scene, scene, subscription } from './scene.ts';
import { TestLog } from './shard-log.ts';

test('the first members are given ids, wait for each other, and get their generation and their parts', async () => {
  const s = await scene({ 'group.initial.rebalance.delay.ms': 3000 });
  const [a, b, c] = ['A', 'B', 'C'].map((name) => s.client(name));
  void s.join(a!);
  expect(await s.said()).toEqual(['A join MEMBER_ID_REQUIRED']);
  expect(a!.memberId).toMatch(/^A-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(s.groups()).toBe('g:Empty');
  void s.join(a!);
  expect(await s.saidWithin(2000)).toEqual([]);
  void s.joinTwice(b!);
  // The delay is extended by another one, since somebody came.
  expect(await s.saidWithin(2000)).toEqual(['B join MEMBER_ID_REQUIRED']);
  void s.joinTwice(c!);
  expect(await s.saidWithin(4999)).toEqual(['C join MEMBER_ID_REQUIRED']);
  expect(await s.saidWithin(1)).toEqual(['A joined 1, A leads: A B C', 'B joined 1, A leads', 'C joined 1, A leads']);
  expect(s.groups()).toBe('g:CompletingRebalance');
  void s.sync(b!);
  void s.sync(c!);
  expect(await s.said()).toEqual([]);
  void s.sync(a!);
  expect(await s.said()).toEqual(["B synced 'B1'", "C synced 'C1'", "A synced 'A1'"]);
  expect(s.groups()).toBe('g:Stable');
  void s.sync(b!);
  void s.heartbeat(b!);
  expect(await s.said()).toEqual(["B synced 'B1'", 'B heartbeat NONE']);
});

test('the initial delay ends with the rebalance timeout, however many come', async () => {
  const s = await scene({ 'group.initial.rebalance.delay.ms': 3000 });
  const clients = Array.from({ length: 10 }, (_, i) => s.client(`M${i}`, { rebalanceTimeoutMs: 7000, apiVersion: 3 }));
  const lines: string[] = [];
  for (const client of clients) {
    void s.join(client);
    lines.push(...(await s.saidWithin(1000)));
  }
  // 3000 + 3000 + 1000
  expect(lines).toHaveLength(7);
  expect(lines[0]).toBe('M0 joined 1, M0 leads: M0 M1 M2 M3 M4 M5 M6');
});

test('somebody new makes everybody join again, and who does not is out when the rebalance timeout ends', async () => {
  const s = await scene();
  const [a, b, c] = ['A', 'B', 'C'].map((name) => s.client(name, { rebalanceTimeoutMs: 5000, sessionTimeoutMs: 30_000 }));
  await s.stable(a!, b!);
  const generation = a!.generation;
  void s.joinTwice(c!);
  expect(await s.said()).toEqual(['C join MEMBER_ID_REQUIRED']);
  void s.heartbeat(a!);
  void s.heartbeat(b!);
  expect(await s.said()).toEqual(['A heartbeat REBALANCE_IN_PROGRESS', 'B heartbeat REBALANCE_IN_PROGRESS']);
  void s.join(a!);
  expect(await s.saidWithin(4999)).toEqual([]);
  expect(await s.saidWithin(1)).toEqual([`C joined ${generation + 1}, A leads`, `A joined ${generation + 1}, A leads: A C`]);
  void s.heartbeat(b!);
  void s.join(b!);
  expect(await s.said()).toEqual(['B heartbeat UNKNOWN_MEMBER_ID', 'B join UNKNOWN_MEMBER_ID']);
});

test('a leader that does not come back is replaced by one that did', async () => {
  const s = await scene();
  const [a, b, c] = ['A', 'B', 'C'].map((name) => s.client(name, { rebalanceTimeoutMs: 5000, sessionTimeoutMs: 30_000 }));
  await s.stable(a!, b!);
  void s.joinTwice(c!);
  await s.said();
  void s.join(b!);
  const generation = b!.generation + 1;
  expect(await s.saidWithin(5000)).toEqual([`C joined ${generation}, B leads`, `B joined ${generation}, B leads: B C`]);
});

test('a session that ends starts a rebalance; heartbeats and commits keep it alive', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name, { sessionTimeoutMs: 10_000 }));
  await s.stable(a!, b!);
  await s.saidWithin(9000);
  void s.heartbeat(a!);
  void s.commit(b!, 't', 0, 1n);
  expect(await s.saidWithin(9000)).toEqual(['A heartbeat NONE', 'B commit NONE']);
  void s.heartbeat(a!);
  expect(await s.saidWithin(1000)).toEqual(['A heartbeat NONE']);
  void s.heartbeat(a!);
  void s.heartbeat(b!);
  expect(await s.said()).toEqual(['A heartbeat REBALANCE_IN_PROGRESS', 'B heartbeat UNKNOWN_MEMBER_ID']);
  void s.join(a!);
  expect(await s.said()).toEqual([`A joined ${a!.generation}, A leads: A`]);
});

test('nobody left: an empty generation is written, the offsets stay', async () => {
  const s = await scene();
  const a = s.client('A');
  await s.stable(a);
  void s.commit(a, 't', 0, 7n);
  void s.leave(a);
  expect(await s.said()).toEqual(['A commit NONE', 'A leave NONE']);
  expect(s.groups()).toBe('g:Empty');
  expect(await s.offsets('g')).toBe('t-0=7');
  const written = s.log.records().map((record) => (record.type === 'group' ? [record.value!.generation, record.value!.protocol, record.value!.members.length] : record.type));
  expect(written).toEqual([[0, null, 0], [1, 'range', 1], 'offset', [2, null, 0]]);
  void s.heartbeat(a);
  void s.join(a);
  expect(await s.said()).toEqual(['A heartbeat UNKNOWN_MEMBER_ID', 'A join UNKNOWN_MEMBER_ID']);
});

test('who joins and never asks for its part is out after the rebalance timeout', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name, { rebalanceTimeoutMs: 5000, sessionTimeoutMs: 30_000 }));
  void s.joinTwice(a!);
  await s.said();
  void s.joinTwice(b!);
  await s.saidWithin(10);
  void s.sync(a!);
  expect(await s.saidWithin(4980)).toEqual(["A synced 'A1'"]);
  await s.saidWithin(20);
  void s.heartbeat(a!);
  void s.heartbeat(b!);
  expect(await s.said()).toEqual(['A heartbeat REBALANCE_IN_PROGRESS', 'B heartbeat UNKNOWN_MEMBER_ID']);

  // The leader itself: the others wait, and are told to join again.
  const t = await scene();
  const [d, e] = ['D', 'E'].map((name) => t.client(name, { rebalanceTimeoutMs: 5000, sessionTimeoutMs: 30_000 }));
  void t.joinTwice(d!);
  await t.said();
  void t.joinTwice(e!);
  await t.saidWithin(10);
  void t.sync(e!);
  expect(await t.saidWithin(5000)).toEqual(['E sync REBALANCE_IN_PROGRESS']);
  void t.join(e!);
  expect(await t.said()).toEqual(['E joined 2, E leads: E']);
});

test('a pending member holds up the joining until its session ends or it leaves', async () => {
  const s = await scene();
  const [a, b, c] = ['A', 'B', 'C'].map((name) => s.client(name, { sessionTimeoutMs: 10_000 }));
  await s.stable(a!);
  void s.join(b!);
  void s.join(c!);
  await s.said();
  void s.join(a!);
  expect(await s.saidWithin(9999)).toEqual([]);
  void s.leave(c!);
  expect(await s.said()).toEqual(['C leave NONE']);
  expect(await s.saidWithin(1)).toEqual(['A joined 2, A leads: A']);
  void s.join(b!);
  void s.join(c!);
  expect(await s.said()).toEqual(['B join UNKNOWN_MEMBER_ID', 'C join UNKNOWN_MEMBER_ID']);
});

test('whoever waited longer than its session has a new one when it is answered', async () => {
  // For its part: B waits 30 s, is answered, and is never heard of again.
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name, { sessionTimeoutMs: name === 'A' ? 300_000 : 10_000, apiVersion: 3 }));
  await s.stable(a!, b!);
  void s.join(a!);
  void s.join(b!);
  await s.said();
  void s.sync(b!);
  expect(await s.saidWithin(30_000)).toEqual([]);
  void s.sync(a!);
  expect((await s.saidWithin(9999)).length).toBe(2);
  void s.heartbeat(a!);
  await s.saidWithin(1);
  void s.heartbeat(a!);
  expect(await s.said()).toEqual(['A heartbeat REBALANCE_IN_PROGRESS']);

  // For its part, but told to join again: it holds up the others no longer than its session.
  const t = await scene();
  const [d, e, f] = ['D', 'E', 'F'].map((name) => t.client(name, { sessionTimeoutMs: name === 'E' ? 10_000 : 300_000, apiVersion: 3 }));
  await t.stable(d!, e!);
  void t.join(d!);
  void t.join(e!);
  await t.said();
  void t.sync(e!);
  await t.saidWithin(30_000);
  void t.join(f!);
  void t.join(d!);
  expect(await t.saidWithin(9999)).toEqual(['E sync REBALANCE_IN_PROGRESS']);
  expect((await t.saidWithin(1)).length).toBe(2);

  // For its generation: it does not ask for its part, and its session ends before the time to do so does.
  const u = await scene();
  const [g, h, i] = ['G', 'H', 'I'].map((name) => u.client(name, { sessionTimeoutMs: name === 'H' ? 10_000 : 300_000, apiVersion: 3 }));
  await u.stable(g!, h!, i!);
  void u.join(g!);
  void u.join(h!);
  await u.saidWithin(30_000);
  void u.join(i!);
  expect((await u.said()).length).toBe(3);
  void u.sync(i!);
  expect(await u.saidWithin(9999)).toEqual([]);
  expect(await u.saidWithin(1)).toEqual(['I sync REBALANCE_IN_PROGRESS']);
});

test('a session that ends while the others have joined completes their generation', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name, { sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000 }));
  await s.stable(a!, b!);
  const generation = a!.generation;
  void s.join(a!);
  expect(await s.saidWithin(9999)).toEqual([]);
  expect(await s.saidWithin(1)).toEqual([`A joined ${generation + 1}, A leads: A`]);
});

test('when only static members are left and none has come, the generation waits for one of them', async () => {
  const s = await scene();
  const a = s.client('A', { instanceId: 'i1', sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 5000 });
  const b = s.client('B', { sessionTimeoutMs: 6000, rebalanceTimeoutMs: 5000 });
  await s.stable(a, b);
  const generation = a.generation;
  // B's session ends, A does not notice for a while.
  expect(await s.saidWithin(6000 + 5000 + 4000)).toEqual([]);
  expect(s.groups()).toBe('g:PreparingRebalance');
  void s.join(a);
  expect(await s.said()).toEqual([`A joined ${generation + 1}, A leads: A`]);
});

test('a member of before version 4 joins at once, and counts as gone after five minutes of waiting', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name, { apiVersion: 3, rebalanceTimeoutMs: 600_000, sessionTimeoutMs: 1_000_000 }));
  await s.stable(a!);
  void s.join(b!);
  expect(await s.saidWithin(299_999)).toEqual([]);
  expect(await s.saidWithin(1)).toEqual(['B join UNKNOWN_MEMBER_ID']);
});

test('group.max.size: no more than that join, and members of before keep their places', async () => {
  const s = await scene({ 'group.max.size': 2 });
  const [a, b, c] = ['A', 'B', 'C'].map((name) => s.client(name, { apiVersion: 3 }));
  await s.stable(a!, b!);
  void s.join(c!);
  expect(await s.said()).toEqual(['C join GROUP_MAX_SIZE_REACHED']);
  void s.join(a!);
  void s.join(b!);
  void s.join(c!);
  const generation = a!.generation + 1;
  expect(await s.said()).toEqual([`A joined ${generation}, A leads: A B`, `B joined ${generation}, A leads`, 'C join GROUP_MAX_SIZE_REACHED']);
});

test('a group that is larger than it may be after a restart makes its members join for the places there are', async () => {
  const s = await scene();
  const clients = ['A', 'B', 'C'].map((name) => s.client(name, { apiVersion: 3 }));
  await s.stable(...clients);
  const t = await new Scene({ 'group.max.size': 2 }).lead([new TestLog(0, 1, s.log.batches)]);
  expect(t.groups()).toBe('g:PreparingRebalance');
  for (const client of clients) void t.join(client);
  expect(await t.said()).toEqual(['C join GROUP_MAX_SIZE_REACHED']);
  // As in Kafka, turning somebody away is no reason to look whether everybody is there.
  const generation = clients[0]!.generation + 1;
  expect(await t.saidWithin(60_000)).toEqual([`A joined ${generation}, A leads: A B`, `B joined ${generation}, A leads`]);
});

test('the protocol is the one that most vote for among those that all support, and a tie goes as in Java', async () => {
  const protocols = (...names: string[]) => names.map((name) => ({ name, metadata: subscription('t') }));
  const s = await scene();
  const a = s.client('A', { apiVersion: 3, protocols: protocols('x', 'roundrobin', 'range') });
  const b = s.client('B', { apiVersion: 3, protocols: protocols('range', 'roundrobin', 'y') });
  const protocolOf = () => s.coordinator.describeGroups(['g'], { apiVersion: 6, clientId: '', clientHost: '' })[0]!.protocolData;
  await s.stable(a, b);
  expect(protocolOf()).toBe('range');
  const c = s.client('C', { apiVersion: 3, protocols: protocols('roundrobin', 'range') });
  void s.join(c);
  await s.stable(a, b);
  await s.stable(a, b, c);
  expect(protocolOf()).toBe('roundrobin');
  const d = s.client('D', { apiVersion: 3, protocols: protocols('x') });
  void s.join(d);
  expect(await s.said()).toEqual(['D join INCONSISTENT_GROUP_PROTOCOL']);
  const e = s.client('E', { protocolType: 'connect', protocols: protocols('range') });
  void s.join(e);
  expect(await s.said()).toEqual(['E join INCONSISTENT_GROUP_PROTOCOL']);
  // Printed by Java 17.
  expect(javaHashOrder(['sticky', 'cooperative-sticky', 'range'])).toEqual(['sticky', 'range', 'cooperative-sticky']);
  expect(javaHashOrder(['Aa', 'BB', 'x'])).toEqual(['Aa', 'BB', 'x']);
  const many = Array.from({ length: 14 }, (_, i) => `p${i}`);
  expect(javaHashOrder(many)).toEqual(['p0', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7', 'p8', 'p9', 'p10', 'p12', 'p11', 'p13']);
});

test('a client that names a protocol twice supports it once, and one whose id would not fit a record is refused', async () => {
  const s = await scene();
  const a = s.client('A', { apiVersion: 3, protocols: [{ name: 'range', metadata: subscription('t') }, { name: 'range', metadata: subscription('u') }] });
  const b = s.client('B', { apiVersion: 3 });
  await s.stable(a, b);
  expect(s.groups()).toBe('g:Stable');
  void s.join(s.client('long'.repeat(8183), { instanceId: null }));
  void s.join(s.client('X', { instanceId: 'i'.repeat(32_731) }));
  expect((await s.said()).map((line) => line.slice(-20))).toEqual(['join INVALID_REQUEST', 'join INVALID_REQUEST']);
  const longest = s.client('Y', { group: 'h', instanceId: 'i'.repeat(32_730) });
  void s.join(longest);
  await s.saidWithin(0);
  void s.sync(longest);
  await s.said();
  expect(s.groups()).toBe('g:Stable h:Stable');
});

test('metadata that changes, or a leader that joins again, starts a rebalance; a follower that joins again does not', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name));
  await s.stable(a!, b!);
  const generation = a!.generation;
  void s.join(b!);
  expect(await s.said()).toEqual([`B joined ${generation}, A leads`]);
  b!.protocols = [{ name: 'range', metadata: subscription('t', 'u') }];
  void s.join(b!);
  expect(await s.said()).toEqual([]);
  void s.join(a!);
  expect(await s.said()).toEqual([`B joined ${generation + 1}, A leads`, `A joined ${generation + 1}, A leads: A B`]);
  // While the assignment is awaited a member may ask again what it was told.
  void s.join(a!);
  expect(await s.said()).toEqual([`A joined ${generation + 1}, A leads: A B`]);
  void s.sync(a!);
  void s.sync(b!);
  await s.said();
  void s.join(a!);
  void s.heartbeat(b!);
  expect(await s.said()).toEqual(['B heartbeat REBALANCE_IN_PROGRESS']);
});

test('a request sent again takes the place of the first, which is answered too', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name));
  await s.stable(a!, b!);
  void s.join(a!);
  await s.said();
  void s.join(a!);
  expect(await s.said()).toEqual(['A join REBALANCE_IN_PROGRESS']);
  void s.join(b!);
  await s.said();
  void s.sync(b!);
  await s.said();
  void s.sync(b!);
  expect(await s.said()).toEqual(['B sync REBALANCE_IN_PROGRESS']);
  void s.leave(b!);
  expect(await s.said()).toEqual(['B sync UNKNOWN_MEMBER_ID', 'B leave NONE']);
});

test('requests that do not fit their group', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name));
  void s.join(s.client('X', { group: '' }));
  void s.join(s.client('X', { sessionTimeoutMs: 5999 }));
  void s.join(s.client('X', { sessionTimeoutMs: 1_800_001 }));
  void s.join(s.client('X', { memberId: 'nobody' }));
  expect(await s.said()).toEqual(['X join INVALID_GROUP_ID', 'X join INVALID_SESSION_TIMEOUT', 'X join INVALID_SESSION_TIMEOUT', 'X join UNKNOWN_MEMBER_ID']);
  expect(s.groups()).toBe('');
  // Kafka makes the group all the same.
  void s.join(s.client('X', { group: 'none', protocols: [] }));
  void s.join(s.client('X', { group: 'untyped', protocolType: '' }));
  expect(await s.said()).toEqual(['X join INCONSISTENT_GROUP_PROTOCOL', 'X join INCONSISTENT_GROUP_PROTOCOL']);
  expect(s.groups()).toBe('none:Empty untyped:Empty');
  await s.stable(a!);
  void s.sync(a!, { generationId: 7 });
  void s.sync(a!, { protocolName: 'roundrobin' });
  void s.sync(a!, { protocolType: 'connect' });
  void s.sync(a!, { memberId: 'nobody' });
  void s.sync(s.client('X', { group: 'nope', memberId: 'x' }));
  void s.sync(s.client('X', { group: '', memberId: 'x' }));
  expect(await s.said()).toEqual([
    'A sync ILLEGAL_GENERATION', 'A sync INCONSISTENT_GROUP_PROTOCOL', 'A sync INCONSISTENT_GROUP_PROTOCOL', 'A sync UNKNOWN_MEMBER_ID', 'X sync UNKNOWN_MEMBER_ID', 'X sync INVALID_GROUP_ID',
  ]);
  void s.heartbeat({ ...a!, generation: 0 });
  void s.heartbeat({ ...a!, memberId: 'nobody' });
  void s.heartbeat({ ...a!, group: 'nope' });
  void s.heartbeat({ ...a!, group: '' });
  expect(await s.said()).toEqual(['A heartbeat ILLEGAL_GENERATION', 'A heartbeat UNKNOWN_MEMBER_ID', 'A heartbeat UNKNOWN_MEMBER_ID', 'A heartbeat INVALID_GROUP_ID']);
  void s.leave({ ...a!, memberId: 'nobody' });
  void s.leave({ ...a!, group: 'nope' });
  void s.leave({ ...a!, group: '' });
  expect(await s.said()).toEqual(['A leave UNKNOWN_MEMBER_ID', 'A leave UNKNOWN_MEMBER_ID', 'A leave INVALID_GROUP_ID']);
  // Whoever was given an id did so without an instance id.
  void s.join(b!);
  await s.said();
  void s.join({ ...b!, instanceId: 'i' });
  expect(await s.said()).toEqual(['B join UNKNOWN_SERVER_ERROR']);
});

test('a static member comes back without a rebalance, and the one of before is fenced', async () => {
  const s = await scene();
  const a = s.client('A', { instanceId: 'i1' });
  const b = s.client('B', { instanceId: 'i2' });
  await s.stable(a, b);
  const generation = a.generation;
  const before = { ...b };
  b.memberId = '';
  void s.join(b);
  expect(await s.said()).toEqual([`B joined ${generation}, A leads`]);
  expect(b.memberId).not.toBe(before.memberId);
  void s.heartbeat(before);
  void s.sync(before);
  void s.commit(before, 't', 0, 1n);
  void s.join(before);
  expect(await s.said()).toEqual(['B heartbeat FENCED_INSTANCE_ID', 'B sync FENCED_INSTANCE_ID', 'B commit FENCED_INSTANCE_ID', 'B join FENCED_INSTANCE_ID']);
  void s.sync(b);
  void s.heartbeat(b);
  expect(await s.said()).toEqual([`B synced 'B${generation}'`, 'B heartbeat NONE']);
  // The leader: it is told to keep the assignment; before version 9 it is told of a leader that is nobody.
  a.memberId = '';
  void s.join(a);
  expect(await s.said()).toEqual([`A joined ${generation}, A leads: B A, keeps the assignment`]);
  const oldLeader = a.memberId;
  a.memberId = '';
  a.apiVersion = 8;
  void s.join(a, {});
  await s.said();
  expect([a.isLeader, a.members, a.memberId === oldLeader]).toEqual([false, [], false]);
  // All of it is in the log.
  const t = await new Scene().lead([new TestLog(0, 1, s.log.batches)]);
  void t.heartbeat(a);
  void t.heartbeat(b);
  expect(await t.said()).toEqual(['A heartbeat NONE', 'B heartbeat NONE']);
});

test('a static member that is away keeps its place until its session ends; leaving by instance is final', async () => {
  const s = await scene();
  const a = s.client('A', { instanceId: 'i1', rebalanceTimeoutMs: 5000, sessionTimeoutMs: 20_000 });
  const b = s.client('B', { instanceId: 'i2', rebalanceTimeoutMs: 5000, sessionTimeoutMs: 20_000 });
  const c = s.client('C', { rebalanceTimeoutMs: 5000, sessionTimeoutMs: 60_000 });
  await s.stable(a, b);
  const generation = a.generation;
  void s.joinTwice(c);
  // After the rebalance timeout the others go on with B's place kept.
  expect(await s.saidWithin(5000)).toEqual(['C join MEMBER_ID_REQUIRED', `C joined ${generation + 1}, C leads: A B C`]);
  void s.sync(c);
  expect(await s.said()).toEqual([`C synced 'C${generation + 1}'`]);
  void s.leave(s.client('admin'), { memberId: '', groupInstanceId: 'i2' });
  void s.leave(s.client('admin'), { memberId: '', groupInstanceId: 'i2' });
  void s.leave(s.client('admin'), { memberId: 'wrong', groupInstanceId: 'i1' });
  expect(await s.said()).toEqual(['admin leave NONE', 'admin leave UNKNOWN_MEMBER_ID', 'admin leave FENCED_INSTANCE_ID']);
  void s.heartbeat(b);
  void s.heartbeat(c);
  expect(await s.said()).toEqual(['B heartbeat UNKNOWN_MEMBER_ID', 'C heartbeat REBALANCE_IN_PROGRESS']);
});

test('a static member that comes back while the assignment is awaited starts over with everybody', async () => {
  const s = await scene();
  const a = s.client('A', { instanceId: 'i1' });
  const b = s.client('B', { instanceId: 'i2' });
  await s.stable(a, b);
  void s.join(a);
  void s.join(b);
  await s.said();
  const waiting = { ...b };
  void s.sync(waiting);
  b.memberId = '';
  void s.join(b);
  expect(await s.said()).toEqual(['B sync FENCED_INSTANCE_ID']);
  void s.heartbeat(a);
  void s.join(a);
  expect((await s.said()).length).toBe(3);
  expect(b.generation).toBe(a.generation);
});

// ---- when the log says no

test('an assignment that cannot be written makes everybody start over', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name));
  await s.stable(a!, b!);
  void s.join(a!);
  void s.join(b!);
  await s.said();
  s.log.holds = true;
  void s.sync(b!);
  void s.sync(a!);
  expect(await s.said()).toEqual([]);
  s.log.fail(ErrorCode.NOT_ENOUGH_REPLICAS);
  expect(await s.said()).toEqual(['B sync COORDINATOR_NOT_AVAILABLE', 'A sync COORDINATOR_NOT_AVAILABLE']);
  expect(s.groups()).toBe('g:PreparingRebalance');
  s.log.holds = false;
  void s.join(a!);
  void s.join(b!);
  await s.said();
  void s.sync(a!);
  void s.sync(b!);
  expect((await s.said()).every((line) => line.includes('synced'))).toBe(true);
});

test('an assignment that is written after another member came is history', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name, { apiVersion: 3 }));
  await s.stable(a!);
  void s.join(a!);
  await s.said();
  s.log.holds = true;
  void s.sync(a!);
  await s.said();
  void s.join(b!);
  expect(await s.said()).toEqual(['A sync REBALANCE_IN_PROGRESS']);
  s.log.holds = false;
  s.log.commit();
  expect(await s.said()).toEqual([]);
  expect(s.groups()).toBe('g:PreparingRebalance');
});

test('a group that could not be written is gone, and so is everybody who joined it meanwhile', async () => {
  const s = await scene({ 'group.initial.rebalance.delay.ms': 3000 });
  const [a, b] = ['A', 'B'].map((name) => s.client(name, { apiVersion: 3 }));
  s.log.holds = true;
  void s.join(a!);
  await s.said();
  void s.join(b!);
  expect(await s.said()).toEqual([]);
  s.log.fail(ErrorCode.KAFKA_STORAGE_ERROR);
  expect(await s.said()).toEqual(['A join NOT_COORDINATOR', 'B join NOT_COORDINATOR']);
  s.log.holds = false;
  expect(s.groups()).toBe('');
  expect(await s.saidWithin(400_000)).toEqual([]);
});

test('nobody is told of a group before it is written', async () => {
  const s = await scene();
  const [a, b] = ['A', 'B'].map((name) => s.client(name));
  s.log.holds = true;
  void s.join(a!);
  expect(await s.said()).toEqual([]);
  s.log.commit();
  expect(await s.said()).toEqual(['A join MEMBER_ID_REQUIRED']);
  expect(s.groups()).toBe('g:Empty');
  b!.group = 'h';
  void s.join(b!);
  await s.said();
  s.log.fail(ErrorCode.NOT_ENOUGH_REPLICAS);
  expect(await s.said()).toEqual(['B join COORDINATOR_NOT_AVAILABLE']);
  expect(s.groups()).toBe('g:Empty');
});

test('a static member whose return cannot be written has not returned', async () => {
  const s = await scene();
  const a = s.client('A', { instanceId: 'i1' });
  await s.stable(a);
  const before = { ...a };
  s.log.holds = true;
  a.memberId = '';
  void s.join(a);
  await s.said();
  s.log.fail(ErrorCode.KAFKA_STORAGE_ERROR);
  expect(await s.said()).toEqual(['A join NOT_COORDINATOR']);
  s.log.holds = false;
  void s.heartbeat(before);
  expect(await s.said()).toEqual(['A heartbeat NONE']);
});

test('losing the partition answers everybody who waits and stops all timers', async () => {
  const s = await scene();
  const [a, b, c] = ['A', 'B', 'C'].map((name) => s.client(name, { apiVersion: 3 }));
  await s.stable(a!, b!);
  void s.join(a!);
  void s.join(c!);
  void s.join(s.client('D', { group: 'h', apiVersion: 3 }));
  await s.said();
  s.coordinator.onResignation(0, 0);
  expect(s.groups()).toContain('g:PreparingRebalance');
  s.coordinator.onResignation(0, 1);
  expect(await s.said()).toEqual(['A join NOT_COORDINATOR', 'C join NOT_COORDINATOR', 'D join NOT_COORDINATOR']);
  void s.heartbeat(a!);
  expect(await s.said()).toEqual(['A heartbeat NOT_COORDINATOR']);
  expect(s.world.timerCount).toBe(0);
  // Leading again, in a later epoch: the group is as the log has it.
  await s.lead([new TestLog(0, 2, s.log.batches)]);
  void s.heartbeat(a!);
  expect(await s.said()).toEqual(['A heartbeat NONE']);
  s.coordinator.close();
  void s.heartbeat(a!);
  void s.join(a!);
  expect(await s.said()).toEqual(['A heartbeat COORDINATOR_NOT_AVAILABLE', 'A join COORDINATOR_NOT_AVAILABLE']);
  expect(s.world.timerCount).toBe(0);
});

test('while the log is being read nobody is a member, and nobody is told so', async () => {
  const s = await scene();
  const a = s.client('A');
  await s.stable(a);
  const t = new Scene();
  const log = new TestLog(0, 1, s.log.batches);
  let open!: () => void;
  log.gate = new Promise((resolve) => (open = resolve));
  const leading = t.lead([log]);
  await t.world.settle();
  void t.heartbeat(a);
  void t.sync(a);
  void t.commit(a, 't', 0, 1n);
  expect(await t.said()).toEqual(['A heartbeat NONE', 'A sync COORDINATOR_LOAD_IN_PROGRESS', 'A commit COORDINATOR_LOAD_IN_PROGRESS']);
  expect(t.groups()).toBe('COORDINATOR_LOAD_IN_PROGRESS');
  expect(await t.offsets('g')).toBe('COORDINATOR_LOAD_IN_PROGRESS');
  open();
  await leading;
  void t.heartbeat(a);
  expect(await t.said()).toEqual(['A heartbeat NONE']);
  // Its session counts from the moment the group was loaded.
  expect(await t.saidWithin(10_000)).toEqual([]);
  void t.heartbeat(a);
  expect(await t.said()).toEqual(['A heartbeat UNKNOWN_MEMBER_ID']);
});
