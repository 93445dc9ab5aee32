/** `ottla quorum`, `ottla reassign` and `ottla elect` against a cluster that answers as the test says: what is asked, what is printed, and the exit codes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import {
  AddRaftVoter, AlterPartitionReassignments, DescribeConfigs, DescribeQuorum, ElectLeaders, IncrementalAlterConfigs, ListPartitionReassignments, Metadata, RemoveRaftVoter,
} from '../../../protocol/messages/index.ts';
import { answers, FakeCluster } from './fake-cluster.ts';
import { ottla } from './ottla.ts';

const root = mkdtempSync(join(tmpdir(), 'ottla-operators-'));
let cluster: FakeCluster;

beforeAll(async () => {
  cluster = await FakeCluster.start();
});

afterAll(() => {
  cluster.stop();
  rmSync(root, { recursive: true, force: true });
});

const run = (argv: readonly string[], input?: string) => ottla([...argv, '-b', `127.0.0.1:${cluster.port}`, '--timeout-ms', '5000'], input === undefined ? {} : { input });

const CLUSTER = 'mNdAVA5ZSzWRJUXuBoWdtQ';
const DIRECTORY = 'JEXY6aqzQY-32P5TStzaFg';
const ZERO = 'AAAAAAAAAAAAAAAAAAAAAA';

/** Three brokers, all at the fake's address, and the replicas of each partition of `t`. */
const metadata = (replicas: readonly number[][]) =>
  answers(Metadata, ({ topics }) => ({
    clusterId: CLUSTER,
    controllerId: 1,
    brokers: [1, 2, 3].map((nodeId) => ({ nodeId, host: '127.0.0.1', port: cluster.port, rack: null })),
    topics: (topics ?? []).map(({ name }) => ({
      name, errorCode: name === 't' ? 0 : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      partitions: name !== 't' ? [] : replicas.map((own, partitionIndex) => ({ partitionIndex, errorCode: 0, leaderId: own[0]!, replicaNodes: own, isrNodes: own, offlineReplicas: [] })),
    })),
  }));

const state = (replicaId: number, logEndOffset: number, replicaDirectoryId = ZERO) => ({ replicaId, replicaDirectoryId, logEndOffset, lastFetchTimestamp: 1000, lastCaughtUpTimestamp: -1 });
const quorumOf = (voters: readonly ReturnType<typeof state>[], observers: readonly ReturnType<typeof state>[] = []) =>
  answers(DescribeQuorum, () => ({
    errorCode: 0,
    errorMessage: null,
    topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0, errorCode: 0, errorMessage: null, leaderId: 2, leaderEpoch: 7, highWatermark: 99, currentVoters: voters, observers }] }],
    nodes: [{ nodeId: 2, listeners: [{ name: 'CONTROLLER', host: 'c2', port: 9093 }] }],
  }));

describe('quorum', () => {
  it('tells who leads, who votes and who lags', async () => {
    cluster.serve(metadata([]), quorumOf([state(3, 90), state(2, 100, DIRECTORY)], [state(9, -1)]));
    expect((await run(['quorum'])).out).toBe(
      [
        `cluster ${CLUSTER}  leader 2 in epoch 7, high watermark 99`,
        '2 voters, 1 observer, the slowest voter lags 10 records',
        '  NODE  ROLE      LAG  DIRECTORY               ENDPOINTS',
        `  2     leader    0    ${DIRECTORY}  CONTROLLER://c2:9093`,
        '  3     voter     10   -                       -',
        '  9     observer  -    -                       -',
        '',
      ].join('\n'),
    );
    expect(JSON.parse((await run(['quorum', 'status', '--json'])).out)).toMatchObject({ clusterId: CLUSTER, leaderId: 2, leaderEpoch: 7, highWatermark: 99, nodes: [{ id: 2, directoryId: DIRECTORY, role: 'leader', lag: 0 }, { id: 3, directoryId: null, lag: 10 }, { id: 9, role: 'observer', lag: -1 }] });
    expect((await run(['quorum', 'replication'])).out.split('\n')[2]).toMatch(/^3 +voter +90 +10 +\d+ ms ago +- +-$/);
  });

  it('tries again while there is no leader, and says what it was refused', async () => {
    let calls = 0;
    cluster.serve(metadata([]), answers(DescribeQuorum, () => (++calls < 3 ? { errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER, errorMessage: null, topics: [], nodes: [] } : { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, errorMessage: 'not you', topics: [], nodes: [] })));
    expect(await run(['quorum'])).toMatchObject({ code: 1, err: 'ottla: the quorum: not you (CLUSTER_AUTHORIZATION_FAILED)\n' });
    expect(calls).toBe(3);
  });

  it('adds the controller of a settings file', async () => {
    const data = join(root, 'c3');
    mkdirSync(data);
    writeFileSync(join(data, 'meta.properties'), `node.id=3\nversion=1\ncluster.id=${CLUSTER}\ndirectory.id=${DIRECTORY}\n`);
    const config = join(root, 'c3.properties');
    writeFileSync(config, `node.id=3\nprocess.roles=controller\nlog.dirs=${data}\ncontroller.listener.names=CONTROLLER\nlisteners=CONTROLLER://:9093\nadvertised.listeners=CONTROLLER://c3.example:19093\n`);
    cluster.serve(metadata([]), answers(AddRaftVoter, () => ({ errorCode: 0, errorMessage: null })));
    const shown = `controller 3 with directory ${DIRECTORY} at CONTROLLER://c3.example:19093`;
    expect(await run(['quorum', 'add-controller', '--config', config, '--dry-run'])).toMatchObject({ code: 0, out: `would add ${shown}\n` });
    expect(cluster.requestsOf(AddRaftVoter)).toEqual([]);
    expect(await run(['quorum', 'add-controller', '--config', config])).toMatchObject({ code: 0, out: `added ${shown}\n` });
    expect(cluster.requestsOf(AddRaftVoter)).toMatchObject([{ clusterId: CLUSTER, voterId: 3, voterDirectoryId: DIRECTORY, listeners: [{ name: 'CONTROLLER', host: 'c3.example', port: 19093 }] }]);
    writeFileSync(config, `node.id=4\nprocess.roles=controller\nlog.dirs=${data}\ncontroller.listener.names=CONTROLLER\nlisteners=CONTROLLER://:9093\n`);
    expect(await run(['quorum', 'add-controller', '--config', config])).toMatchObject({ code: 1, err: `ottla: ${data} belongs to node 3, but node.id is 4\n` });
  });

  it('removes a controller, whose directory it finds', async () => {
    cluster.serve(metadata([]), quorumOf([state(2, 1, DIRECTORY), state(5, 1, CLUSTER)]), answers(RemoveRaftVoter, () => ({ errorCode: ErrorCode.VOTER_NOT_FOUND, errorMessage: 'gone' })));
    expect(await run(['quorum', 'remove-controller', '--controller-id', '5', '--dry-run'])).toMatchObject({ code: 0, out: `would remove controller 5 with directory ${CLUSTER}\n` });
    expect(await run(['quorum', 'remove-controller', '--controller-id', '5'])).toMatchObject({ code: 1, err: 'ottla: voter 5: gone (VOTER_NOT_FOUND)\n' });
    expect(cluster.requestsOf(RemoveRaftVoter)).toMatchObject([{ clusterId: CLUSTER, voterId: 5, voterDirectoryId: CLUSTER }]);
    expect(await run(['quorum', 'remove-controller', '--controller-id', '8'])).toMatchObject({ code: 1, err: 'ottla: controller 8 is not one of the voters\n' });
  });

  it('names the nearest action', async () => {
    expect(await run(['quorum', 'satus'])).toMatchObject({ code: 2, err: 'ottla: unknown action satus; did you mean status? (status, replication, add-controller, remove-controller)\n' });
  });
});

describe('reassign', () => {
  const plan = join(root, 'plan.json');
  writeFileSync(plan, '{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[2,3]},{"topic":"t","partition":1,"replicas":[2,3]}]}');
  const underWay = (partitions: () => readonly number[]) =>
    answers(ListPartitionReassignments, () => ({
      errorCode: 0, errorMessage: null,
      topics: partitions().length === 0 ? [] : [{ name: 't', partitions: partitions().map((partitionIndex) => ({ partitionIndex, replicas: [3, 1, 2], addingReplicas: [3], removingReplicas: [1] })) }],
    }));
  const accepts = answers(AlterPartitionReassignments, ({ topics }) => ({ errorCode: 0, errorMessage: null, responses: topics.map(({ name, partitions }) => ({ name, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: 0, errorMessage: null })) })) }));
  const alters = answers(IncrementalAlterConfigs, ({ resources }) => ({ responses: resources.map(({ resourceType, resourceName }) => ({ resourceType, resourceName, errorCode: 0, errorMessage: null })) }));
  const throttled = (isSet: boolean) =>
    answers(DescribeConfigs, ({ resources }) => ({
      results: resources.map(({ resourceType, resourceName, configurationKeys }) => ({
        resourceType, resourceName, errorCode: 0, errorMessage: null,
        configs: configurationKeys!.map((name) => ({ name, value: isSet ? '1' : null, readOnly: false, configSource: isSet ? (resourceType === 2 ? 1 : 2) : 5, isSensitive: false, synonyms: [] })),
      })),
    }));
  /** What was changed, a line a resource. */
  const changes = () => cluster.requestsOf(IncrementalAlterConfigs).flatMap(({ resources }) => resources.map((one: any) => `${one.resourceType}:${one.resourceName} ${one.configs.map((config: any) => `${config.name.replace('replication.throttled.', '')}=${config.value}`).join(' ')}`));

  it('makes a plan on standard output alone', async () => {
    cluster.serve(metadata([[1, 2], [1, 2]]));
    const { code, out, err } = await run(['reassign', 'generate', '--topic', 't', '--brokers', '2,3']);
    expect({ code, out, err }).toEqual({
      code: 0,
      out: '{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[2,3],"log_dirs":["any","any"]},{"topic":"t","partition":1,"replicas":[3,2],"log_dirs":["any","any"]}]}\n',
      err: '2 of 2 partitions get a new replica; --current prints the plan that leads back\n',
    });
    expect((await run(['reassign', 'generate', '--topic', 't', '--current'])).out).toContain('"replicas":[1,2]');
    expect(await run(['reassign', 'generate', '--topic', 't', '--brokers', '2,7'])).toMatchObject({ code: 1, err: 'ottla: broker 7 is not in the cluster, which has 1, 2, 3\n' });
    expect(await run(['reassign', 'generate', '--topic', 'u', '--brokers', '2,3'])).toMatchObject({ code: 1, err: 'ottla: there is no topic u\n' });
  });

  it('sets throttles before it moves, waits, and takes them away', async () => {
    let left = [0, 1];
    let looks = 0;
    cluster.serve(metadata([[1, 2], [2, 3]]), underWay(() => (++looks < 3 ? (looks === 1 ? [] : left) : [])), accepts, alters, throttled(true));
    const { code, out, err } = await run(['reassign', 'execute', '--plan', plan, '--throttle', '1000', '--wait']);
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining('the plan that leads back: {"version":1,') });
    expect(out).toMatch(/^2 of 2 partitions began to move\nall moved in [\d.]+ s, the throttles are taken away\n$/);
    const order = cluster.asked.map(({ api }) => api);
    expect(order.indexOf('IncrementalAlterConfigs')).toBeLessThan(order.indexOf('AlterPartitionReassignments'));
    expect(changes()).toEqual([
      '4:1 leader.rate=1000 follower.rate=1000', '4:2 leader.rate=1000 follower.rate=1000', '4:3 leader.rate=1000 follower.rate=1000',
      '2:t leader.replicas=0:1,0:2 follower.replicas=0:3',
      '4:1 leader.rate=null follower.rate=null', '4:2 leader.rate=null follower.rate=null', '4:3 leader.rate=null follower.rate=null',
      '2:t leader.replicas=null follower.replicas=null',
    ]);
    left = [];
  });

  it('does not begin beside another move unless it is told to', async () => {
    cluster.serve(metadata([[1, 2], [2, 3]]), underWay(() => [1]), accepts, throttled(false));
    expect(await run(['reassign', 'execute', '--plan', plan])).toMatchObject({ code: 1, err: 'ottla: 1 partition is being moved already (ottla reassign list); --additional moves these too\n' });
    expect(cluster.requestsOf(AlterPartitionReassignments)).toEqual([]);
    expect(await run(['reassign', 'execute', '--plan', plan, '--additional'])).toMatchObject({ code: 0, out: '2 of 2 partitions began to move\n' });
    expect(cluster.requestsOf(AlterPartitionReassignments)).toMatchObject([{ topics: [{ name: 't', partitions: [{ partitionIndex: 0, replicas: [2, 3] }, { partitionIndex: 1, replicas: [2, 3] }] }] }]);
  });

  it('tells what was refused', async () => {
    cluster.serve(metadata([[1, 2], [2, 3]]), underWay(() => []), answers(AlterPartitionReassignments, () => ({ errorCode: 0, errorMessage: null, responses: [{ name: 't', partitions: [{ partitionIndex: 0, errorCode: ErrorCode.INVALID_REPLICA_ASSIGNMENT, errorMessage: 'no' }, { partitionIndex: 1, errorCode: 0, errorMessage: null }] }] })));
    expect(await run(['reassign', 'execute', '--plan', plan])).toMatchObject({ code: 1, out: 't-0: INVALID_REPLICA_ASSIGNMENT: no\n1 of 2 partitions began to move\n' });
  });

  it('verifies: throttles go when nothing moves any more', async () => {
    cluster.serve(metadata([[2, 3], [1, 2]]), underWay(() => [1]), alters, throttled(true));
    expect(await run(['reassign', 'verify', '--plan', plan])).toMatchObject({ code: 1, out: 'TOPIC  PARTITION  PLAN  NOW    STATE\nt      0          2,3   2,3    done\nt      1          2,3   3,1,2  moving\n' });
    expect(changes()).toEqual([]);
    cluster.serve(metadata([[2, 3], [2, 3]]), underWay(() => []), alters, throttled(true));
    expect(await run(['reassign', 'verify', '--plan', plan])).toMatchObject({ code: 0, out: expect.stringContaining('\nthe throttles are taken away\n') });
    expect(changes()).toHaveLength(4);
  });

  it('cancels what of the plan is under way, and lists', async () => {
    cluster.serve(metadata([[1, 2], [2, 3]]), underWay(() => [1]), accepts, alters, throttled(false));
    expect((await run(['reassign'])).out).toBe('TOPIC  PARTITION  REPLICAS  ADDING  REMOVING\nt      1          3,1,2     3       1\n');
    expect(await run(['reassign', 'cancel', '--plan', '-'], '{"partitions":[{"topic":"t","partition":1,"replicas":[2,3]}]}')).toMatchObject({ code: 0, out: 'cancelled 1 of 1\n' });
    expect(cluster.requestsOf(AlterPartitionReassignments)).toMatchObject([{ topics: [{ name: 't', partitions: [{ partitionIndex: 1, replicas: null }] }] }]);
  });
});

describe('elect', () => {
  const result = (partitionId: number, errorCode: number, errorMessage: string | null = null) => ({ partitionId, errorCode, errorMessage });

  it('tells the outcome of each partition', async () => {
    cluster.serve(metadata([[1], [2], [3]]), answers(ElectLeaders, () => ({ errorCode: 0, replicaElectionResults: [{ topic: 't', partitionResult: [result(1, ErrorCode.ELECTION_NOT_NEEDED, 'x'), result(0, 0), result(2, ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, 'nobody')] }] })));
    expect(await run(['elect', 'unclean', '--topic', 't'])).toMatchObject({
      code: 1,
      out: 'TOPIC  PARTITION  OUTCOME\nt      0          elected\nt      1          not needed\nt      2          ELIGIBLE_LEADERS_NOT_AVAILABLE  nobody\n',
    });
    expect(cluster.requestsOf(ElectLeaders)).toMatchObject([{ electionType: 1, topicPartitions: [{ topic: 't', partitions: [0, 1, 2] }] }]);
  });

  it('asks for all, or one partition, and needs to be told which', async () => {
    cluster.serve(metadata([[1]]), answers(ElectLeaders, () => ({ errorCode: 0, replicaElectionResults: [] })));
    expect(await run(['elect', '--all'])).toMatchObject({ code: 0, out: 'no partition needed an election\n' });
    await run(['elect', 'preferred', '--topic', 't', '--partition', '4']);
    expect(cluster.requestsOf(ElectLeaders)).toMatchObject([{ electionType: 0, topicPartitions: null }, { electionType: 0, topicPartitions: [{ topic: 't', partitions: [4] }] }]);
    expect(await run(['elect'])).toMatchObject({ code: 2, err: 'ottla: elect needs either --topic TOPIC or --all\n' });
  });
});
