/** Controllers and brokers as nodes of their own: who serves what, who waits for whom, and how each of them ends. */
import { afterEach, describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { ApiVersions } from '../../../protocol/messages/cluster.ts';
import { Metadata } from '../../../protocol/messages/metadata.ts';
import { Produce } from '../../../protocol/messages/produce.ts';
import { CreateTopics, DeleteTopics } from '../../../protocol/messages/topics.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { writeMetaProperties } from '../../../storage/meta-properties.ts';
import { Broker } from '../../../src/broker.ts';
import { freePorts } from '../../../src/node/cluster-plan.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import { Settings } from '../../../src/settings.ts';
import { batchOf, RawClient } from '../broker-world.ts';

const CLUSTER_ID = 'AAAAAAAAAAAAAAAAAAAACg';
const HOST = '127.0.0.1';
const running = new Set<Broker>();
afterEach(async () => {
  const nodes = [...running];
  running.clear();
  await Promise.all(nodes.map((node) => node.leave()));
  await Promise.all(nodes.map((node) => node.stop()));
});

interface Place {
  readonly nodeId: number;
  readonly port: number;
  readonly disk: MemoryDisk;
}

async function places(count: number, firstId: number): Promise<Place[]> {
  const ports = await freePorts(nodeRuntime().network, HOST, count);
  return ports.map((port, index) => ({ nodeId: firstId + index, port, disk: new MemoryDisk() }));
}

const votersOf = (controllers: readonly Place[]) => `controller.quorum.voters=${controllers.map(({ nodeId, port }) => `${nodeId}@${HOST}:${port}`).join(',')}`;
const quick = ['controller.quorum.election.timeout.ms=50', 'controller.quorum.fetch.timeout.ms=500'];

async function start({ nodeId, disk }: Place, set: readonly string[], aborted?: AbortSignal): Promise<Broker> {
  const node = await Broker.start({
    runtime: { ...nodeRuntime(), disk }, dataDir: '/data', clusterId: CLUSTER_ID, aborted,
    settings: Settings.from({ set: [`node.id=${nodeId}`, 'controller.listener.names=CONTROLLER', ...quick, ...set] }),
  });
  running.add(node);
  return node;
}

const startController = (place: Place, all: readonly Place[]) => start(place, ['process.roles=controller', `listeners=CONTROLLER://${HOST}:${place.port}`, votersOf(all)]);
const startBroker = (place: Place, controllers: readonly Place[], aborted?: AbortSignal) =>
  start(place, ['process.roles=broker', `listeners=PLAINTEXT://${HOST}:${place.port}`, votersOf(controllers)], aborted);

const newTopic = (name: string) => ({ topics: [{ name, numPartitions: 2, replicationFactor: 2, assignments: [], configs: [] }], timeoutMs: 5000 });

describe('a controller and two brokers', () => {
  test('serve together, and each what is its own', async () => {
    const [controllers, brokers] = [await places(1, 1), await places(2, 11)];
    // Whoever comes first waits for the others.
    const [controller] = await Promise.all([startController(controllers[0]!, controllers), ...brokers.map((broker) => startBroker(broker, controllers))]);
    expect([controller!.roles.isBroker, controller!.bootstrapServers, controller!.isInService]).toEqual([false, `${HOST}:${controllers[0]!.port}`, true]);
    const client = await RawClient.connect(brokers[1]!.port);
    expect((await client.ask(CreateTopics, 7, newTopic('t'))).topics[0]!.errorCode).toBe(ErrorCode.NONE);
    const { topics, brokers: told } = await client.ask(Metadata, 9, { topics: [{ name: 't' }] });
    expect(told.map(({ nodeId, port }) => [nodeId, port])).toEqual(brokers.map(({ nodeId, port }) => [nodeId, port]));
    for (const { partitionIndex, leaderId, isrNodes } of topics[0]!.partitions) {
      expect([...isrNodes].sort()).toEqual([11, 12]);
      const leader = await RawClient.connect(brokers.find(({ nodeId }) => nodeId === leaderId)!.port);
      for (;;) {
        const { responses } = await leader.ask(Produce, 9, { acks: -1, timeoutMs: 5000, topicData: [{ name: 't', partitionData: [{ index: partitionIndex, records: batchOf('x') }] }] });
        const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
        // The leader may hear of its leadership a moment after this broker.
        if (errorCode === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION || errorCode === ErrorCode.NOT_LEADER_OR_FOLLOWER) continue;
        expect([errorCode, baseOffset]).toEqual([ErrorCode.NONE, 0]);
        break;
      }
      leader.close();
    }
    client.close();

    // An administrator's client may come to the controller itself, which knows no Metadata.
    const admin = await RawClient.connect(controllers[0]!.port);
    const { apiKeys } = await admin.ask(ApiVersions, 2, {});
    expect([Metadata, Produce, CreateTopics].map(({ key }) => apiKeys.some(({ apiKey }) => apiKey === key))).toEqual([false, false, true]);
    expect((await admin.ask(DeleteTopics, 5, { topicNames: ['t'], timeoutMs: 5000 })).responses[0]!.errorCode).toBe(ErrorCode.NONE);
    admin.close();
  });

  test('a broker that waits for its controllers can be told to stop waiting, and leaves nothing', async () => {
    const [controllers, [broker]] = [await places(1, 1), await places(1, 11)];
    const abort = new AbortController();
    const starting = startBroker(broker!, controllers, abort.signal);
    starting.catch(() => {});
    abort.abort();
    await expect(starting).rejects.toThrow();
    // Port and directory are free again.
    await Promise.all([startController(controllers[0]!, controllers), startBroker(broker!, controllers)]);
  });

  test('a broker goes on serving while there is no controller, and is known again when there is', async () => {
    const [controllers, brokers] = [await places(1, 1), await places(2, 11)];
    const [controller] = await Promise.all([startController(controllers[0]!, controllers), ...brokers.map((broker) => startBroker(broker, controllers))]);
    const client = await RawClient.connect(brokers[0]!.port);
    await client.ask(CreateTopics, 7, newTopic('t'));
    running.delete(controller!);
    await controller!.stop();
    const { topics } = await client.ask(Metadata, 9, { topics: [{ name: 't' }] });
    expect(topics[0]!.partitions).toHaveLength(2);
    const late = client.ask(CreateTopics, 7, newTopic('u'));
    await startController(controllers[0]!, controllers);
    expect((await late).topics[0]!.errorCode).toBe(ErrorCode.NONE);
    client.close();
  });
});

test('a listener on all addresses is told by the name of its machine', async () => {
  const [controllers, brokers] = [await places(1, 1), await places(1, 11)];
  const { nodeId, port, disk } = brokers[0]!;
  const [, broker] = await Promise.all([
    startController(controllers[0]!, controllers),
    Broker.start({
      runtime: { ...nodeRuntime(), disk, hostName: 'machine-7.example' }, dataDir: '/data', clusterId: CLUSTER_ID,
      settings: Settings.from({ set: [`node.id=${nodeId}`, 'process.roles=broker', 'controller.listener.names=CONTROLLER', `listeners=PLAINTEXT://:${port}`, votersOf(controllers), ...quick] }),
    }),
  ]);
  running.add(broker);
  expect(broker.image().brokers.get(nodeId)!.endpoints).toMatchObject([{ host: 'machine-7.example', port }]);
});

describe('what ends a start with a reason', () => {
  test('a directory of nobody, for a node that is not alone', async () => {
    const [controllers, [broker]] = [await places(1, 1), await places(1, 11)];
    const settings = Settings.from({ set: ['node.id=11', 'process.roles=broker', 'controller.listener.names=CONTROLLER', `listeners=PLAINTEXT://${HOST}:${broker!.port}`, votersOf(controllers)] });
    const runtime = { ...nodeRuntime(), disk: new MemoryDisk() };
    await expect(Broker.start({ runtime, settings, dataDir: '/data' })).rejects.toThrow('/data is not formatted, and a node of a cluster of several must be told which cluster it is of');
  });

  test('a controller of a dynamic quorum that nobody has formatted, and a voter that has lost its metadata', async () => {
    const dynamic = ['node.id=1', 'process.roles=controller', 'controller.listener.names=CONTROLLER', `listeners=CONTROLLER://${HOST}:0`, 'controller.quorum.bootstrap.servers=a:1,b:1'];
    await expect(Broker.start({ runtime: { ...nodeRuntime(), disk: new MemoryDisk() }, settings: Settings.from({ set: dynamic }), dataDir: '/data', clusterId: CLUSTER_ID }))
      .rejects.toThrow('/data is not formatted, and controller.quorum.voters is not set: format it, with one of --standalone, --initial-controllers and --no-initial-controllers');
    const [controllers, disk] = [await places(1, 1), new MemoryDisk()];
    for (const path of ['/logs', '/meta']) disk.makeDirectory(path);
    const own = ['process.roles=broker,controller', 'log.dirs=/logs', 'metadata.log.dir=/meta', `listeners=PLAINTEXT://${HOST}:0,CONTROLLER://${HOST}:${controllers[0]!.port}`, `controller.quorum.voters=1@${HOST}:${controllers[0]!.port},2@${HOST}:1`];
    const settings = Settings.from({ set: ['node.id=1', 'controller.listener.names=CONTROLLER', ...own] });
    writeMetaProperties(disk, '/logs', { clusterId: CLUSTER_ID, nodeId: 1, directoryId: 'AAAAAAAAAAAAAAAAAAAADA' }, 0);
    await expect(Broker.start({ runtime: { ...nodeRuntime(), disk }, settings })).rejects.toThrow('/meta has lost the metadata of this node');
  });

  test('a cluster that registers nobody in time', async () => {
    const [controllers, [broker]] = [await places(1, 1), await places(1, 11)];
    await startController(controllers[0]!, controllers);
    const other = { ...broker!, disk: new MemoryDisk() };
    const node = Broker.start({
      runtime: { ...nodeRuntime(), disk: other.disk }, dataDir: '/data', clusterId: 'AAAAAAAAAAAAAAAAAAAACw',
      settings: Settings.from({ set: ['node.id=11', 'process.roles=broker', 'controller.listener.names=CONTROLLER', `listeners=PLAINTEXT://${HOST}:${broker!.port}`, votersOf(controllers), 'initial.broker.registration.timeout.ms=300'] }),
    });
    await expect(node).rejects.toThrow('no leader of the controller quorum was heard of within initial.broker.registration.timeout.ms = 300');
  });
});
