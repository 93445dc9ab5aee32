/**
 * The group and offset APIs through their handlers: every version's request decoded from bytes, every version's response encoded, as a client sees them.
 * The expected answers are Apache Kafka 4.3.1's to the same requests.
 */
import { expect, test } from 'vitest';
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts';
import { decodeBuffer, encodeBuffer } from '../../../protocol/compile.ts';
import {
  DeleteGroups, DescribeGroups, FindCoordinator, Heartbeat, JoinGroup, LeaveGroup, ListGroups, SyncGroup,
} from '../../../protocol/messages/groups.ts';
import { OffsetCommit, OffsetDelete, OffsetFetch } from '../../../protocol/messages/offsets.ts';
import type { Api, Input, Value } from '../../../protocol/schema.ts';
import { findCoordinatorApis } from '../../../src/api/find-coordinator.ts';
import { groupApis } from '../../../src/api/groups.ts';
import { javaAddress } from '../../../src/api/java-address.ts';
import type { Node } from '../../../src/api/node.ts';
import { offsetApis } from '../../../src/api/offsets.ts';
import type { RequestContext, Served } from '../../../src/api/serve.ts';
import { Scene } from '../coordinator/scene.ts';

const T1 = 'SJ26i6QGSRSe7BZOrNn7Ug';
const T2 = 'yh7rOkn-RgKqXIcyR9MDQw';
const NOBODYS = 'BBBBBBBBBBBBBBBBBBBBBA';
const NO_ID = 'AAAAAAAAAAAAAAAAAAAAAA';

const apis: readonly Served[] = [...groupApis, ...offsetApis, ...findCoordinatorApis];

interface TestTopic {
  name: string;
  id: string;
  partitions: { leader: number }[];
}

async function stage(options: { leads?: boolean; ensureTopic?: () => Promise<void>; hasTopic?: boolean } = {}) {
  const topics = new Map<string, TestTopic>([
    ['t1', { name: 't1', id: T1, partitions: [{ leader: 1 }, { leader: 1 }] }],
    ['t2', { name: 't2', id: T2, partitions: [{ leader: 1 }] }],
  ]);
  if (options.hasTopic !== false) topics.set('__consumer_offsets', { name: '__consumer_offsets', id: NOBODYS.replace('BB', 'CC'), partitions: [{ leader: 1 }] });
  const image = {
    topic: (name: string) => topics.get(name),
    topicById: (id: string) => [...topics.values()].find((topic) => topic.id === id),
    partition: (name: string, index: number) => topics.get(name)?.partitions[index],
  };
  const ensureTopic = async () => void topics.set('__consumer_offsets', { name: '__consumer_offsets', id: 'x', partitions: [{ leader: 1 }] });
  const scene = new Scene({}, { ensureTopic: options.ensureTopic ?? ensureTopic });
  if (options.leads !== false) await scene.lead();
  const node = { groups: scene.coordinator, image: () => image, endpointsOf: (ids: Iterable<number>) => [...ids].map((nodeId) => ({ nodeId, host: 'broker', port: 9092, rack: null })) } as unknown as Node;
  const connection = {
    id: 1, listener: 'PLAINTEXT', listenerKind: 'broker' as const, remoteAddress: '127.0.0.1', localAddress: '127.0.0.1', localPort: 9092, principal: 'User:ANONYMOUS', clientSoftwareName: '', clientSoftwareVersion: '',
  };

  async function ask<A extends Api<any, any>>(api: A, apiVersion: number, input: Input<A['request']>, clientId: string | null = 'cli'): Promise<Value<A['response']>> {
    const served = apis.find((one) => one.api === api)!;
    expect(apiVersion >= served.versionMin && apiVersion <= served.versionMax, `${api.name} ${apiVersion}`).toBe(true);
    const request = decodeBuffer(api.request, apiVersion, encodeBuffer(api.request, apiVersion, input));
    const context: RequestContext = { apiVersion, clientId, correlationId: 1, receivedMs: 0, connection, node, whenSent() {}, returnFrame: undefined };
    let outcome;
    try {
      outcome = served.handle(request, context);
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      outcome = served.onError(error.code, request, context, error.message);
    }
    const answered = Promise.resolve(outcome).catch((error: unknown) => {
      if (!(error instanceof KafkaError)) throw error;
      return served.onError(error.code, request, context, error.message);
    });
    await scene.world.pass(0);
    const response = await answered;
    return decodeBuffer(api.response, apiVersion, encodeBuffer(api.response, apiVersion, response as never));
  }
  return { scene, ask, topics, image };
}

type Stage = Awaited<ReturnType<typeof stage>>;

const protocols = [{ name: 'range', metadata: Buffer.from([0, 0, 0, 0, 0, 1, 0, 2, 0x74, 0x31, 255, 255, 255, 255]) }];

/** A member of a stable group of one, joined and synced in these versions. */
async function member({ ask }: Stage, groupId: string, joinVersion = 9): Promise<string> {
  const timeouts = { sessionTimeoutMs: 10_000, ...(joinVersion >= 1 && { rebalanceTimeoutMs: 20_000 }) };
  let joined = await ask(JoinGroup, joinVersion, { groupId, ...timeouts, memberId: '', protocolType: 'consumer', protocols });
  if (joinVersion >= 4) {
    expect(joined.errorCode).toBe(ErrorCode.MEMBER_ID_REQUIRED);
    joined = await ask(JoinGroup, joinVersion, { groupId, ...timeouts, memberId: joined.memberId, protocolType: 'consumer', protocols });
  }
  expect(joined).toEqual({
    throttleTimeMs: 0, errorCode: 0, generationId: 1, protocolType: joinVersion >= 7 ? 'consumer' : null, protocolName: 'range', leader: joined.memberId, skipAssignment: false,
    memberId: joined.memberId, members: [{ memberId: joined.memberId, groupInstanceId: null, metadata: protocols[0]!.metadata }],
  });
  const syncVersion = Math.min(joinVersion, 5);
  const synced = await ask(SyncGroup, syncVersion, {
    groupId, generationId: 1, memberId: joined.memberId, assignments: [{ memberId: joined.memberId, assignment: Buffer.from('A') }],
    ...(syncVersion >= 5 && { protocolType: 'consumer', protocolName: 'range' }),
  });
  const told = syncVersion >= 5 ? { protocolType: 'consumer', protocolName: 'range' } : { protocolType: null, protocolName: null };
  expect(synced).toEqual({ throttleTimeMs: 0, errorCode: 0, ...told, assignment: Buffer.from('A') });
  return joined.memberId;
}

test('all versions of Kafka 4.3.1 are served', () => {
  expect(apis.map((one) => `${one.api.name} ${one.versionMin}-${one.versionMax}`).sort()).toEqual([
    'DeleteGroups 0-2', 'DescribeGroups 0-6', 'FindCoordinator 0-6', 'Heartbeat 0-4', 'JoinGroup 0-9', 'LeaveGroup 0-5', 'ListGroups 0-5', 'OffsetCommit 2-10', 'OffsetDelete 0-0',
    'OffsetFetch 1-10', 'SyncGroup 0-5',
  ]);
});

test('JoinGroup and SyncGroup in every version', async () => {
  const s = await stage();
  for (let version = 0; version <= 9; version++) await member(s, `g${version}`, version);
  const refused = await s.ask(JoinGroup, 6, { groupId: '', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 1, memberId: 'm', protocolType: 'consumer', protocols });
  expect([refused.errorCode, refused.protocolName, refused.generationId, refused.memberId]).toEqual([ErrorCode.INVALID_GROUP_ID, '', -1, 'm']);
  const newer = await s.ask(JoinGroup, 7, { groupId: '', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 1, memberId: 'm', protocolType: 'consumer', protocols });
  expect(newer.protocolName).toBe(null);
  // Version 0 has one timeout for both: whoever is alone is out when it ends.
  expect((await s.ask(SyncGroup, 5, { groupId: 'g9', generationId: 1, memberId: 'm', protocolType: null, protocolName: null, assignments: [] })).errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
  // A client without an id has an empty one.
  const nameless = await s.ask(JoinGroup, 4, { groupId: 'nameless', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 1, memberId: '', protocolType: 'consumer', protocols }, null);
  expect(nameless.memberId).toMatch(/^-[0-9a-f]{8}-/);
});

test('Heartbeat and LeaveGroup in every version', async () => {
  const s = await stage();
  const memberId = await member(s, 'g');
  for (let version = 0; version <= 4; version++) {
    expect((await s.ask(Heartbeat, version, { groupId: 'g', generationId: 1, memberId })).errorCode).toBe(ErrorCode.NONE);
    expect((await s.ask(Heartbeat, version, { groupId: 'g', generationId: 2, memberId })).errorCode).toBe(ErrorCode.ILLEGAL_GENERATION);
  }
  for (let version = 0; version <= 2; version++) {
    expect(await s.ask(LeaveGroup, version, { groupId: 'g', memberId: 'nobody' })).toEqual({ throttleTimeMs: 0, errorCode: ErrorCode.UNKNOWN_MEMBER_ID, members: [] });
    expect((await s.ask(LeaveGroup, version, { groupId: 'nope', memberId: 'nobody' })).errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID);
    expect((await s.ask(LeaveGroup, version, { groupId: '', memberId: 'nobody' })).errorCode).toBe(ErrorCode.INVALID_GROUP_ID);
  }
  for (let version = 3; version <= 5; version++) {
    const answer = await s.ask(LeaveGroup, version, { groupId: 'g', members: [{ memberId: 'nobody', groupInstanceId: null }, { memberId: '', groupInstanceId: 'i' }] });
    expect([answer.errorCode, answer.members.map(({ errorCode }) => errorCode)]).toEqual([0, [ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.UNKNOWN_MEMBER_ID]]);
  }
  const both = [{ memberId, groupInstanceId: null }, { memberId, groupInstanceId: null }];
  expect((await s.ask(LeaveGroup, 5, { groupId: 'g', members: both })).members.map(({ errorCode }) => errorCode)).toEqual([0, ErrorCode.UNKNOWN_MEMBER_ID]);
});

test('ListGroups, DescribeGroups, DeleteGroups in every version', async () => {
  const s = await stage();
  const memberId = await member(s, 'g');
  for (let version = 0; version <= 5; version++) {
    const answer = await s.ask(ListGroups, version, { ...(version >= 4 && { statesFilter: [' sTABLE '] }), ...(version >= 5 && { typesFilter: ['Classic', 'nonsense'] }) });
    expect(answer).toEqual({
      throttleTimeMs: 0, errorCode: 0, groups: [{ groupId: 'g', protocolType: 'consumer', groupState: version >= 4 ? 'Stable' : '', groupType: version >= 5 ? 'classic' : '' }],
    });
  }
  for (const [statesFilter, typesFilter] of [[['Empty'], []], [['nonsense'], []], [[], ['consumer']], [[], ['nonsense']]] as const) {
    expect((await s.ask(ListGroups, 5, { statesFilter: [...statesFilter], typesFilter: [...typesFilter] })).groups).toEqual([]);
  }
  for (let version = 0; version <= 6; version++) {
    const { groups } = await s.ask(DescribeGroups, version, { groups: ['g', 'nope'], ...(version >= 3 && { includeAuthorizedOperations: true }) });
    const missing = version >= 6 ? { errorCode: ErrorCode.GROUP_ID_NOT_FOUND, errorMessage: 'Group nope not found.' } : { errorCode: 0, errorMessage: null };
    const operations = (known: boolean): number => (version >= 3 && (known || version < 6) ? 3400 : -2147483648);
    expect(groups).toEqual([
      {
        errorCode: 0, errorMessage: null, groupId: 'g', groupState: 'Stable', protocolType: 'consumer', protocolData: 'range', authorizedOperations: operations(true),
        members: [{ memberId, groupInstanceId: null, clientId: 'cli', clientHost: '/127.0.0.1', memberMetadata: protocols[0]!.metadata, memberAssignment: Buffer.from('A') }],
      },
      { ...missing, groupId: 'nope', groupState: 'Dead', protocolType: '', protocolData: '', members: [], authorizedOperations: operations(false) },
    ]);
  }
  for (let version = 0; version <= 2; version++) {
    const { results } = await s.ask(DeleteGroups, version, { groupsNames: ['g', 'nope', 'nope'] });
    expect(results).toEqual([{ groupId: 'g', errorCode: ErrorCode.NON_EMPTY_GROUP }, { groupId: 'nope', errorCode: ErrorCode.GROUP_ID_NOT_FOUND }]);
  }
});

test('OffsetCommit and OffsetFetch in every version', async () => {
  const s = await stage();
  const memberId = await member(s, 'g');
  for (let version = 2; version <= 10; version++) {
    const topic = version >= 10 ? { topicId: T1 } : { name: 't1' };
    const partition = { partitionIndex: 0, committedOffset: BigInt(version), committedMetadata: `v${version}`, ...(version >= 6 && { committedLeaderEpoch: 4 }) };
    const answer = await s.ask(OffsetCommit, version, { groupId: 'g', generationIdOrMemberEpoch: 1, memberId, topics: [{ ...topic, partitions: [partition] }] });
    expect(answer.topics).toEqual([{ name: version >= 10 ? '' : 't1', topicId: version >= 10 ? T1 : NO_ID, partitions: [{ partitionIndex: 0, errorCode: 0 }] }]);
    const written = s.scene.log.records().at(-1)!;
    expect(written.type === 'offset' && written.value!.topicId).toBe(T1);
  }
  const committed = { partitionIndex: 0, committedOffset: 10n, metadata: 'v10', errorCode: 0 };
  const none = { partitionIndex: 1, committedOffset: -1n, committedLeaderEpoch: -1, metadata: '', errorCode: 0 };
  for (let version = 1; version <= 7; version++) {
    const fields = { ...(version >= 7 && { requireStable: true }) };
    const answer = await s.ask(OffsetFetch, version, { groupId: 'g', topics: [{ name: 't1', partitionIndexes: [0, 1] }, { name: 'absent', partitionIndexes: [1] }], ...fields });
    const one = { ...committed, committedLeaderEpoch: version >= 5 ? 4 : -1 };
    expect(answer).toEqual({ throttleTimeMs: 0, errorCode: 0, groups: [], topics: [{ name: 't1', partitions: [one, none] }, { name: 'absent', partitions: [none] }] });
    if (version < 2) continue;
    expect((await s.ask(OffsetFetch, version, { groupId: 'g', topics: null, ...fields })).topics).toEqual([{ name: 't1', partitions: [one] }]);
    expect((await s.ask(OffsetFetch, version, { groupId: 'g', topics: [], ...fields })).topics).toEqual([]);
    expect(await s.ask(OffsetFetch, version, { groupId: 'nope', topics: null, ...fields })).toEqual({ throttleTimeMs: 0, errorCode: 0, groups: [], topics: [] });
  }
  for (let version = 8; version <= 9; version++) {
    const { groups } = await s.ask(OffsetFetch, version, { groups: [{ groupId: 'g', topics: [{ name: 't1', partitionIndexes: [0] }] }, { groupId: 'nope', topics: null }, { groupId: 'g', topics: null }], requireStable: true });
    const told = { errorCode: 0, groupId: 'g', topics: [{ name: 't1', topicId: NO_ID, partitions: [{ ...committed, committedLeaderEpoch: 4 }] }] };
    expect(groups).toEqual([told, { errorCode: 0, groupId: 'nope', topics: [] }, told]);
  }
  const { groups } = await s.ask(OffsetFetch, 10, { groups: [{ groupId: 'g', topics: [{ topicId: NOBODYS, partitionIndexes: [0] }, { topicId: T1, partitionIndexes: [0] }] }, { groupId: 'g', topics: null }] });
  const told = { name: '', topicId: T1, partitions: [{ ...committed, committedLeaderEpoch: 4 }] };
  expect(groups).toEqual([
    { errorCode: 0, groupId: 'g', topics: [told, { name: '', topicId: NOBODYS, partitions: [{ ...none, partitionIndex: 0, errorCode: ErrorCode.UNKNOWN_TOPIC_ID }] }] },
    { errorCode: 0, groupId: 'g', topics: [told] },
  ]);
  // A topic that is gone has no id to be told by.
  s.topics.delete('t1');
  expect((await s.ask(OffsetFetch, 10, { groups: [{ groupId: 'g', topics: null }] })).groups[0]!.topics).toEqual([]);
});

test('OffsetCommit: what does not exist is refused here, and comes first', async () => {
  const s = await stage();
  const memberId = await member(s, 'g');
  const part = (partitionIndex: number, metadata = '') => ({ partitionIndex, committedOffset: 1n, committedMetadata: metadata });
  const commit = async (version: number, generation: number, topics: Input<typeof OffsetCommit.request>['topics']) =>
    (await s.ask(OffsetCommit, version, { groupId: 'g', generationIdOrMemberEpoch: generation, memberId, topics })).topics.map((topic) => [
      version >= 10 ? topic.topicId : topic.name, ...topic.partitions.map(({ partitionIndex, errorCode }) => `${partitionIndex}:${errorCode}`),
    ]);
  expect(await commit(9, 1, [{ name: 't1', partitions: [part(0), part(9), part(-1)] }, { name: 'absent', partitions: [part(0)] }, { name: 't2', partitions: [part(0, 'x'.repeat(4097))] }])).toEqual([
    ['t1', '9:3', '-1:3', '0:0'], ['absent', '0:3'], ['t2', '0:12'],
  ]);
  expect(await commit(10, 1, [{ topicId: T2, partitions: [part(0)] }, { topicId: NOBODYS, partitions: [part(0)] }])).toEqual([[NOBODYS, '0:100'], [T2, '0:0']]);
  expect(await commit(9, 2, [{ name: 't1', partitions: [part(9), part(0)] }, { name: 't2', partitions: [part(0)] }])).toEqual([['t1', '9:3', '0:22'], ['t2', '0:22']]);
  // With nothing left to commit nobody asks for the generation.
  expect(await commit(9, 2, [])).toEqual([]);
  expect(await commit(9, 2, [{ name: 'absent', partitions: [part(0)] }])).toEqual([['absent', '0:3']]);
});

test('OffsetDelete', async () => {
  const s = await stage();
  await member(s, 'g');
  const answer = await s.ask(OffsetDelete, 0, { groupId: 'g', topics: [{ name: 't1', partitions: [{ partitionIndex: 0 }, { partitionIndex: 5 }] }, { name: 'absent', partitions: [{ partitionIndex: 0 }] }] });
  expect(answer.topics.map(({ name, partitions }) => [name, ...partitions.map(({ partitionIndex, errorCode }) => `${partitionIndex}:${errorCode}`)])).toEqual([['t1', '5:3', '0:86'], ['absent', '0:3']]);
  expect(await s.ask(OffsetDelete, 0, { groupId: 'nope', topics: [{ name: 'absent', partitions: [{ partitionIndex: 0 }] }] })).toEqual({ throttleTimeMs: 0, errorCode: ErrorCode.GROUP_ID_NOT_FOUND, topics: [] });
});

test('FindCoordinator in every version, which creates what is missing first', async () => {
  const s = await stage({ hasTopic: false });
  for (let version = 0; version <= 3; version++) {
    const answer = await s.ask(FindCoordinator, version, { key: 'g', ...(version >= 1 && { keyType: 0 }) });
    expect(answer).toEqual({ throttleTimeMs: 0, errorCode: 0, errorMessage: version >= 1 ? 'NONE' : '', nodeId: 1, host: 'broker', port: 9092, coordinators: [] });
  }
  for (let version = 4; version <= 6; version++) {
    const { coordinators } = await s.ask(FindCoordinator, version, { keyType: 0, coordinatorKeys: ['g', ''] });
    expect(coordinators).toEqual(['g', ''].map((key) => ({ key, nodeId: 1, host: 'broker', port: 9092, errorCode: 0, errorMessage: '' })));
  }
  const malformed = 'This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.';
  expect(await s.ask(FindCoordinator, 3, { key: 'g', keyType: 7 })).toEqual({ throttleTimeMs: 0, errorCode: ErrorCode.INVALID_REQUEST, errorMessage: malformed, nodeId: -1, host: '', port: -1, coordinators: [] });
  expect((await s.ask(FindCoordinator, 6, { coordinatorKeys: ['g'], keyType: 7 })).coordinators).toEqual([{ key: 'g', nodeId: -1, host: '', port: -1, errorCode: ErrorCode.INVALID_REQUEST, errorMessage: malformed }]);
  expect((await s.ask(FindCoordinator, 5, { coordinatorKeys: ['g'], keyType: 2 })).coordinators[0]!.errorCode).toBe(ErrorCode.INVALID_REQUEST);
  for (const keyType of [1, 2]) expect((await s.ask(FindCoordinator, 6, { coordinatorKeys: ['g'], keyType })).coordinators[0]!.errorCode).toBe(ErrorCode.UNSUPPORTED_VERSION);
  s.topics.get('__consumer_offsets')!.partitions[0]!.leader = -1;
  expect((await s.ask(FindCoordinator, 6, { coordinatorKeys: ['g'] })).coordinators).toEqual([{ key: 'g', nodeId: -1, host: '', port: -1, errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE, errorMessage: '' }]);

  const without = await stage({ hasTopic: false, ensureTopic: async () => { throw new KafkaError(ErrorCode.INVALID_REPLICATION_FACTOR); } });
  expect((await without.ask(FindCoordinator, 1, { key: 'g' })).errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE);
});

test('a node that does not coordinate the group says so in every API and version', async () => {
  const s = await stage({ leads: false });
  const code = ErrorCode.NOT_COORDINATOR;
  for (let version = 0; version <= 9; version++) expect((await s.ask(JoinGroup, version, { groupId: 'g', sessionTimeoutMs: 10_000, memberId: '', protocolType: 'c', protocols })).errorCode).toBe(code);
  for (let version = 0; version <= 5; version++) {
    expect((await s.ask(SyncGroup, version, { groupId: 'g', generationId: 1, memberId: 'm', assignments: [], ...(version >= 5 && { protocolType: 'c', protocolName: 'r' }) })).errorCode).toBe(code);
    expect((await s.ask(LeaveGroup, version, version >= 3 ? { groupId: 'g', members: [] } : { groupId: 'g', memberId: 'm' })).errorCode).toBe(code);
    expect(await s.ask(ListGroups, version, {})).toMatchObject({ errorCode: 0, groups: [] });
  }
  for (let version = 0; version <= 4; version++) expect((await s.ask(Heartbeat, version, { groupId: 'g', generationId: 1, memberId: 'm' })).errorCode).toBe(code);
  for (let version = 0; version <= 6; version++) expect((await s.ask(DescribeGroups, version, { groups: ['g'] })).groups[0]).toMatchObject({ errorCode: code, groupState: '' });
  for (let version = 0; version <= 2; version++) expect((await s.ask(DeleteGroups, version, { groupsNames: ['g'] })).results).toEqual([{ groupId: 'g', errorCode: code }]);
  for (let version = 2; version <= 10; version++) {
    const topic = { ...(version >= 10 ? { topicId: T1 } : { name: 't1' }), partitions: [{ partitionIndex: 0, committedOffset: 1n, committedMetadata: null }] };
    expect((await s.ask(OffsetCommit, version, { groupId: 'g', memberId: '', topics: [topic] })).topics[0]!.partitions).toEqual([{ partitionIndex: 0, errorCode: code }]);
  }
  for (let version = 1; version <= 10; version++) {
    if (version >= 8) {
      for (const requireStable of [true, false]) expect((await s.ask(OffsetFetch, version, { groups: [{ groupId: 'g', topics: null }], requireStable })).groups).toEqual([{ groupId: 'g', topics: [], errorCode: code }]);
      continue;
    }
    const answer = await s.ask(OffsetFetch, version, { groupId: 'g', topics: [{ name: 't1', partitionIndexes: [3] }] });
    expect([answer.errorCode, answer.topics]).toEqual(version >= 2 ? [code, []] : [0, [{ name: 't1', partitions: [{ partitionIndex: 3, committedOffset: -1n, committedLeaderEpoch: -1, metadata: '', errorCode: code }] }]]);
  }
  expect((await s.ask(OffsetDelete, 0, { groupId: 'g', topics: [] })).errorCode).toBe(code);
});

test('addresses as Java prints them', () => {
  expect(['127.0.0.1', '::1', '::ffff:10.0.0.7', '2001:db8::ff00:42:8329', 'fe80::1%eth0', '::'].map(javaAddress)).toEqual([
    '/127.0.0.1', '/0:0:0:0:0:0:0:1', '/10.0.0.7', '/2001:db8:0:0:0:ff00:42:8329', '/fe80:0:0:0:0:0:0:1%eth0', '/0:0:0:0:0:0:0:0',
  ]);
});
