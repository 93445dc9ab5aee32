/** Several quorums in one process: elections, followers and observers on real logs, snapshots between nodes, voters that come and go, and peers that lie. */
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { SUPPORTED_FEATURES } from '../../../src/quorum/features.ts';
import { listSnapshots } from '../../../src/quorum/snapshots.ts';
import type { Quorum } from '../../../src/quorum/quorum.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { ClusterWorld, PORT, staticVoters } from './cluster-world.ts';
import { CLUSTER_ID, METADATA, newTopic, topicNames } from './world.ts';

const THREE = [1, 2, 3];
const STATIC = { settings: { 'controller.quorum.voters': staticVoters(THREE) } };
const OBSERVER = { roles: ['broker'] as const, settings: { ...STATIC.settings, 'process.roles': 'broker' } };

/** The bytes of all segments of the node's log. */
function logOf(world: ClusterWorld, id: number): Buffer {
  const disk = world.disks.get(id)!;
  return Buffer.concat(disk.list(METADATA).filter((name) => name.endsWith('.log')).sort().map((name) => disk.readFile(`${METADATA}/${name}`)));
}

async function create(world: ClusterWorld, leader: Quorum, name: string): Promise<void> {
  const created = leader.controller!.createTopics([newTopic(name, { assignments: [{ partitionIndex: 0, brokerIds: [1] }], numPartitions: -1, replicationFactor: -1 })]);
  let isDone = false;
  void created.then(() => (isDone = true), () => (isDone = true));
  await world.until(() => isDone);
  await created;
}

/** A broker that topics can be placed on, which is no node of the world. */
async function addBroker(world: ClusterWorld, leader: Quorum): Promise<void> {
  const joined = leader.controller!.joinCluster({
    brokerId: 1, clusterId: CLUSTER_ID, incarnationId: Buffer.alloc(16, 9).toString('base64url'), listeners: [{ name: 'PLAINTEXT', host: 'localhost', port: 9, securityProtocol: 0 }],
    features: SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max })), rack: null, isMigratingZkBroker: false, logDirs: [Buffer.alloc(16, 8).toString('base64url')], previousBrokerEpoch: -1,
  });
  let isDone = false;
  void joined.then(() => (isDone = true), () => (isDone = true));
  await world.until(() => isDone);
  await joined;
}

async function caughtUp(world: ClusterWorld): Promise<void> {
  await world.until(() => {
    const leader = world.leader();
    return leader !== undefined && [...world.quorums.values()].every((quorum) => quorum.highWatermark() >= leader.highWatermark());
  });
}

describe('three static voters', () => {
  it('elect a leader, commit, and have the same log; an observer follows and never votes', async () => {
    const world = new ClusterWorld();
    await world.openAll(THREE, STATIC);
    const leader = world.leader()!;
    await addBroker(world, leader);
    await create(world, leader, 'a');
    const [observer] = await world.openAll([4], OBSERVER);
    expect(observer!.controller).toBeNull();
    await create(world, leader, 'b');
    await caughtUp(world);
    for (const quorum of world.quorums.values()) {
      expect(topicNames(quorum)).toEqual(['a', 'b']);
      expect(quorum.leader()).toEqual({ leaderId: 1, epoch: 1, address: { host: 'node', port: PORT + 1 } });
    }
    const log = logOf(world, 1);
    for (const id of [2, 3, 4]) expect(logOf(world, id).equals(log), `the log of node ${id}`).toBe(true);
    expect(world.sent.filter(({ from }) => from === 4).every(({ api }) => api === 'Fetch')).toBe(true);
    expect(world.disks.get(2)!.readFile(`${METADATA}/quorum-state`).toString()).toBe(
      '{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":1,"appliedOffset":0,"currentVoters":[{"voterId":1},{"voterId":2},{"voterId":3}],"data_version":0}',
    );
    expect(world.failures).toEqual([]);
  });

  it.each([['fetch', 2000], ['fetch', 300], ['fetch', 100], ['request', 300]])('keep their leader while there is nothing to say, also with a %s timeout of %i ms', async (kind, timeoutMs) => {
    const world = new ClusterWorld();
    const settings = { ...STATIC.settings, [`controller.quorum.${kind}.timeout.ms`]: timeoutMs, 'metadata.max.idle.interval.ms': 0 };
    await world.openAll(THREE, { settings });
    const { leaderId, epoch } = world.leader()!.leader();
    for (let passedMs = 0; passedMs < 10_000; passedMs += 10) await world.pass(10);
    for (const quorum of world.quorums.values()) expect(quorum.leader()).toMatchObject({ leaderId, epoch });
  });

  it('have another leader after one was lost, and lose nothing that was acknowledged', async () => {
    const world = new ClusterWorld();
    await world.openAll(THREE, STATIC);
    await addBroker(world, world.leader()!);
    await create(world, world.leader()!, 'before');
    world.kill(1);
    const killedMs = world.nowMs;
    await world.until(() => world.leader() !== undefined);
    // Not the fetch timeout: nobody is there to be waited for.
    expect(world.nowMs - killedMs).toBeLessThan(1000);
    expect(world.leader()!.leader().epoch).toBeGreaterThan(1);
    await create(world, world.leader()!, 'after');
    // With what was on its disk, it comes back and follows.
    await world.openAll([1], STATIC);
    await caughtUp(world);
    expect(topicNames(world.quorums.get(1)!)).toEqual(['after', 'before']);
    expect(world.quorums.get(1)!.controller!.isActive).toBe(false);
    expect(world.failures).toEqual([]);
  });

  it('take over at once from a leader that stops', async () => {
    const world = new ClusterWorld();
    await world.openAll(THREE, STATIC);
    await caughtUp(world);
    const stoppedMs = world.nowMs;
    await world.close(1);
    await world.until(() => world.leader() !== undefined);
    // The best successor does not wait for its fetch timeout.
    expect(world.nowMs - stoppedMs).toBeLessThan(200);
    expect(world.sent.filter(({ api }) => api === 'EndQuorumEpoch').length).toBeGreaterThan(0);
  });

  it('cut off from the others, a leader resigns and commits nothing; what it wrote alone is cut when it returns', async () => {
    const world = new ClusterWorld();
    await world.openAll(THREE, STATIC);
    const old = world.leader()!;
    await addBroker(world, old);
    await create(world, old, 'committed');
    await caughtUp(world);
    world.cutOff.add(1);
    const lost = old.controller!.createTopics([newTopic('lost', { assignments: [{ partitionIndex: 0, brokerIds: [1] }], numPartitions: -1, replicationFactor: -1 })]);
    await expect(Promise.all([lost, world.until(() => old.controller!.isActive === false)])).rejects.toMatchObject({ code: ErrorCode.NOT_CONTROLLER });
    await world.until(() => world.leader() !== undefined);
    await create(world, world.leader()!, 'kept');
    world.cutOff.clear();
    await caughtUp(world);
    await world.until(() => topicNames(old).includes('kept'));
    expect(topicNames(old)).toEqual(['committed', 'kept']);
    expect(old.controller!.isActive).toBe(false);
    await world.pass(1000);
    const log = logOf(world, 2);
    expect(logOf(world, 1).subarray(0, log.length).equals(log.subarray(0, logOf(world, 1).length))).toBe(true);
    expect(world.failures).toEqual([]);
  });

  it('one of three elects nobody, and its wait can be ended', async () => {
    const world = new ClusterWorld();
    const opening = world.open(1, STATIC);
    let outcome: unknown;
    opening.catch((error: unknown) => (outcome = error));
    for (let step = 0; step < 500; step++) await world.pass(10);
    expect(world.leader()).toBeUndefined();
    expect(world.sent.some(({ api }) => api === 'Vote')).toBe(true);
    await world.quorums.get(1)!.close();
    await world.settle();
    expect(outcome).toBeInstanceOf(Error);
  });
});

describe('a snapshot', () => {
  const small = { 'controller.quorum.fetch.snapshot.max.bytes': 300, 'metadata.max.retention.bytes': 500, 'internal.metadata.log.segment.bytes': 600 };

  it('is what a node gets that begins where the leader has no log any more', async () => {
    const world = new ClusterWorld();
    const options = { settings: { ...STATIC.settings, ...small } };
    await world.openAll([1, 2], options);
    const leader = world.leader()!;
    await addBroker(world, leader);
    for (let index = 0; index < 12; index++) {
      await create(world, leader, `t${index}`);
      if (index % 4 === 3) await leader.snapshot();
    }
    expect(world.disks.get(1)!.list(METADATA)).not.toContain('00000000000000000000.log');
    await world.openAll([3], options);
    const [observer] = await world.openAll([4], { ...OBSERVER, settings: { ...OBSERVER.settings, ...small } });
    await create(world, leader, 'last');
    await caughtUp(world);
    for (const id of [3, 4]) {
      expect(topicNames(world.quorums.get(id)!)).toEqual(topicNames(leader));
      expect(listSnapshots(world.disks.get(id)!, METADATA).at(-1)!.name).toBe(listSnapshots(world.disks.get(1)!, METADATA).at(-1)!.name);
    }
    expect(world.sent.filter(({ api, from }) => api === 'FetchSnapshot' && from === 3).length).toBeGreaterThan(2);
    // And it survives a restart.
    await observer!.close();
    world.quorums.delete(4);
    const [again] = await world.openAll([4], { ...OBSERVER, settings: { ...OBSERVER.settings, ...small } });
    await caughtUp(world);
    expect(topicNames(again!)).toEqual(topicNames(leader));
    expect(world.failures).toEqual([]);
  });

  it('begins anew with another one when the leader is gone in the middle', async () => {
    const world = new ClusterWorld();
    const options = { settings: { ...STATIC.settings, ...small } };
    await world.openAll([1, 2], options);
    await addBroker(world, world.leader()!);
    for (let index = 0; index < 12; index++) {
      await create(world, world.leader()!, `t${index}`);
      if (index % 4 === 3) for (const quorum of world.quorums.values()) await quorum.snapshot();
    }
    const opening = world.openAll([3], options);
    await world.until(() => world.sent.some(({ api, from }) => api === 'FetchSnapshot' && from === 3), { stepMs: 1 });
    world.kill(1);
    await opening;
    await world.until(() => world.leader() !== undefined && topicNames(world.quorums.get(3)!).length === 12);
    expect(world.failures).toEqual([]);
  });
});

describe('dynamic voters', () => {
  const bootstrap = { 'controller.quorum.bootstrap.servers': THREE.map((id) => `node:${PORT + id}`).join(',') };

  it('are added and removed one by one, the leader too', async () => {
    const world = new ClusterWorld();
    await world.openAll([1], { settings: bootstrap, initialVoters: [1] });
    const leader = world.leader()!;
    expect(leader.kraftVersion()).toBe(1);
    const add = (id: number) =>
      world.quorums.get(1)!.requests.addRaftVoter({
        clusterId: CLUSTER_ID, timeoutMs: 1000, voterId: id, voterDirectoryId: world.directoryId(id), listeners: [{ name: 'CONTROLLER', host: 'node', port: PORT + id }], ackWhenCommitted: true,
      });
    for (const id of [2, 3]) {
      await world.openAll([id], { settings: bootstrap });
      await caughtUp(world);
      const [answer] = await Promise.all([add(id), world.pass(1), world.pass(100), world.pass(500)]);
      expect(answer).toMatchObject({ errorCode: ErrorCode.NONE });
    }
    expect(await add(3)).toMatchObject({ errorCode: ErrorCode.DUPLICATE_VOTER });
    const shown = leader.requests.describeQuorum({ topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }] }, { apiVersion: 2 });
    expect(shown.topics[0]!.partitions[0]!.currentVoters.map(({ replicaId, replicaDirectoryId }: any) => [replicaId, replicaDirectoryId])).toEqual(THREE.map((id) => [id, world.directoryId(id)]));
    const removed = leader.requests.removeRaftVoter({ clusterId: CLUSTER_ID, voterId: 1, voterDirectoryId: world.directoryId(1) });
    await world.until(() => world.leader() !== undefined && world.leader() !== leader);
    expect(await removed).toMatchObject({ errorCode: ErrorCode.NONE });
    await caughtUp(world);
    expect([2, 3]).toContain(leader.leader().leaderId);
    expect(await leader.requests.removeRaftVoter({ clusterId: CLUSTER_ID, voterId: 2, voterDirectoryId: world.directoryId(2) })).toMatchObject({ errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER });
    expect(world.failures).toEqual([]);
  });

  it('join by themselves where that is asked for', async () => {
    const world = new ClusterWorld();
    const settings = { ...bootstrap, 'controller.quorum.auto.join.enable': true };
    await world.openAll([1], { settings, initialVoters: [1] });
    await world.openAll([2], { settings });
    await world.openAll([3], { settings });
    const voters = (): string[] =>
      world.leader()?.requests.describeQuorum({ topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }] }, { apiVersion: 2 }).topics[0]!.partitions[0]!.currentVoters.map(
        ({ replicaDirectoryId }) => replicaDirectoryId ?? '',
      ) ?? [];
    await world.until(() => voters().length === 3);
    // Its disk is lost: what it was is removed, and what it is now is added.
    world.kill(3);
    world.disks.delete(3);
    const fresh = Buffer.alloc(16, 33).toString('base64url');
    world.directoryIds.set(3, fresh);
    await world.openAll([3], { settings });
    await world.until(() => voters().includes(fresh));
    expect(voters()).toEqual([world.directoryId(1), world.directoryId(2), fresh]);
    expect(world.failures).toEqual([]);
  });

  it('come of static ones when kraft.version is raised', async () => {
    const world = new ClusterWorld();
    await world.openAll(THREE, STATIC);
    const leader = world.leader()!;
    const upgrade = () => leader.controller!.updateFeatures({ timeoutMs: 1000, featureUpdates: [{ feature: 'kraft.version', maxVersionLevel: 1, allowDowngrade: false, upgradeType: 1 }], validateOnly: false }, 2);
    for (const controllerId of [2, 3]) {
      const registered = leader.controller!.registerController({
        controllerId, incarnationId: world.directoryId(controllerId), zkMigrationReady: false, listeners: [{ name: 'CONTROLLER', host: 'node', port: PORT + controllerId, securityProtocol: 0 }],
        features: SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max })),
      });
      await Promise.all([registered, world.pass(1), world.pass(10)]);
    }
    // Voters tell the leader of their directories after a while.
    expect((await upgrade()).errorCode).toBe(ErrorCode.INVALID_UPDATE_VERSION);
    await world.until(() => new Set(world.sent.filter(({ api }) => api === 'UpdateRaftVoter').map(({ from }) => from)).size === 2);
    await world.pass(100);
    expect(await upgrade()).toMatchObject({ errorCode: ErrorCode.NONE });
    await caughtUp(world);
    await world.until(() => [...world.quorums.values()].every((quorum) => quorum.kraftVersion() === 1));
    // And it is what a restart finds.
    world.kill(3);
    await world.openAll([3], STATIC);
    expect(world.quorums.get(3)!.kraftVersion()).toBe(1);
    expect(world.disks.get(3)!.readFile(`${METADATA}/quorum-state`).toString()).toContain('"data_version":1');
  });
});

describe('requests that do not fit', () => {
  it('are refused as Kafka refuses them, and change nothing', async () => {
    const world = new ClusterWorld();
    await world.openAll(THREE, STATIC);
    await caughtUp(world);
    const leader = world.leader()!;
    const before = leader.leader();
    const { requests } = leader;
    const context = { apiVersion: 2, listener: 'CONTROLLER' };
    const vote = { partitionIndex: 0, replicaEpoch: 9, replicaId: 2, replicaDirectoryId: world.directoryId(2), voterDirectoryId: world.directoryId(1), lastOffsetEpoch: 1, lastOffset: 99, preVote: false };
    const topic = (partition: object) => [{ topicName: '__cluster_metadata', partitions: [{ ...vote, ...partition }] }];
    const ask = async (changes: object, partition: object = {}) => requests.vote({ clusterId: CLUSTER_ID, voterId: 1, topics: topic(partition), ...changes } as never, context);
    expect(await ask({ clusterId: 'another' })).toMatchObject({ errorCode: ErrorCode.INCONSISTENT_CLUSTER_ID, topics: [] });
    expect(await ask({ topics: [] })).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST });
    expect(await ask({ topics: [{ topicName: '__cluster_metadata', partitions: [] }] })).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST });
    expect(await ask({ topics: [{ topicName: 'other', partitions: [vote] }] })).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST });
    const codes = async (partition: object) => (await ask({}, partition)).topics[0]!.partitions[0]!.errorCode;
    expect(await codes({ lastOffset: -1 })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await codes({ lastOffsetEpoch: 9 })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await codes({ replicaId: -1 })).toBe(ErrorCode.INVALID_REQUEST);
    expect(await codes({ replicaEpoch: 0, lastOffsetEpoch: 0, preVote: true })).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    const fetch = async (changes: object, partition: object = {}) =>
      requests.fetch(
        {
          clusterId: CLUSTER_ID, replicaState: { replicaId: 2, replicaEpoch: -1 }, maxWaitMs: 0, minBytes: 0, maxBytes: 1000, forgottenTopicsData: [],
          topics: [{ topic: '__cluster_metadata', topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitions: [{ partition: 0, currentLeaderEpoch: 1, fetchOffset: 1, lastFetchedEpoch: 1, logStartOffset: -1, partitionMaxBytes: 0, replicaDirectoryId: world.directoryId(2), highWatermark: -1, ...partition }] }],
          ...changes,
        } as never,
        { apiVersion: 18, listener: 'CONTROLLER' },
      );
    expect(await fetch({ clusterId: 'another' })).toMatchObject({ errorCode: ErrorCode.INCONSISTENT_CLUSTER_ID });
    expect(await fetch({ topics: [] })).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST });
    const fetched = async (partition: object) => (await fetch({}, partition)).responses[0]!.partitions[0]!;
    expect((await fetched({ fetchOffset: -1 })).errorCode).toBe(ErrorCode.INVALID_REQUEST);
    expect((await fetched({ lastFetchedEpoch: 2 })).errorCode).toBe(ErrorCode.INVALID_REQUEST);
    expect((await fetched({ currentLeaderEpoch: 0, lastFetchedEpoch: 0 })).errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    expect((await fetched({ currentLeaderEpoch: 5 })).errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH);
    // An offset beyond the log is one of another log: it does not count as something that the replica has.
    expect(await fetched({ fetchOffset: 1_000_000 })).toMatchObject({ errorCode: ErrorCode.NONE, divergingEpoch: { epoch: 1 } });
    expect(leader.leader()).toEqual(before);
    expect(leader.controller!.isActive).toBe(true);
  });

  it('an epoch has one leader, whoever says otherwise', async () => {
    const world = new ClusterWorld();
    await world.openAll(THREE, STATIC);
    const follower = world.quorums.get(2)!;
    const begin = (leaderId: number, leaderEpoch: number) =>
      follower.requests.beginQuorumEpoch(
        { clusterId: CLUSTER_ID, voterId: 2, topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0, voterDirectoryId: world.directoryId(2), leaderId, leaderEpoch }] }], leaderEndpoints: [] },
        { apiVersion: 1, listener: 'CONTROLLER' },
      );
    expect((await begin(3, 1)).topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.INVALID_REQUEST);
    expect((await begin(2, 1)).topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.INVALID_REQUEST);
    expect((await begin(1, 0)).topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH);
    expect(follower.leader().leaderId).toBe(1);
  });
});

it('a follower whose disk fails leaves the quorum, and the others go on', async () => {
  const world = new ClusterWorld();
  await world.openAll(THREE, STATIC);
  await addBroker(world, world.leader()!);
  expect(world.disks.get(3)).toBeInstanceOf(MemoryDisk);
  world.kill(3);
  await create(world, world.leader()!, 'a');
  expect(topicNames(world.leader()!)).toEqual(['a']);
});
