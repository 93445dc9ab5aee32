/**
 * The brokers' side of the transcript of a cluster of Apache Kafka 4.3.1: our two brokers, whole nodes in a simulated world, meet a controller that gives the answers that
 * Kafka's gave, and clients that send what Kafka's clients sent. One broker is killed and comes back, one is told to stop. What ours ask the controller must be what
 * Kafka's brokers asked. What is compared otherwise than byte by byte is in `told`, with the reason.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeRequestFrame } from '../../../protocol/frame.ts';
import { AllocateProducerIds, AlterPartition, BrokerHeartbeat, BrokerRegistration, Envelope } from '../../../protocol/messages/cluster.ts';
import { Fetch } from '../../../protocol/messages/fetch.ts';
import {
  AlterPartitionReassignments, ApiVersions, apis, CreateTopics, DeleteTopics, ElectLeaders, FindCoordinator, IncrementalAlterConfigs, ListPartitionReassignments, Produce,
} from '../../../protocol/messages/index.ts';
import { InitProducerId } from '../../../protocol/messages/transactions.ts';
import type { Socket } from '../../../src/runtime/runtime.ts';
import { writeMetaProperties } from '../../../storage/meta-properties.ts';
import { describeGolden, hasGoldenFile } from '../../protocol/golden.ts';
import { TRANSCRIPT, transcriptExchanges, transcriptFrames, TRANSCRIPT_PORTS } from '../../protocol/transcript.ts';
import type { TranscriptExchange } from '../../protocol/transcript.ts';
import { SimNetwork } from '../../sim/network.ts';
import { DATA, SimNode } from '../../sim/node.ts';
import { Process, World } from '../../sim/world.ts';
import { kindOf, ScriptedController } from './scripted-controller.ts';
import type { Asked } from './scripted-controller.ts';

const HOST = '127.0.0.1';
const START_MS = 13_700;
const END_MS = 160_000;
/** From the transcript: its steps, and the heartbeat that asks for leave. */
const BROKER_3_KILLED_MS = 103_870;
const BROKER_2_LEAVES_MS = 153_764;
const OF_BROKERS = /^(?:raft-client-|broker-|AddPartitionsManager-client-)?\d+(?:-fetcher-\d+|-txn-marker-sender)?$/;
/** What clients ask that makes a broker ask the controller, or has replicas of its own behind it. */
const OF_CLIENTS: ReadonlySet<number> = new Set(
  [CreateTopics, InitProducerId, IncrementalAlterConfigs, ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments, DeleteTopics, FindCoordinator, Produce].map(({ key }) => key),
);

class Play {
  readonly world = new World(4);
  readonly network = new SimNetwork(this.world);
  readonly exchanges: readonly TranscriptExchange[];
  readonly controller: ScriptedController;
  readonly nodes: ReadonlyMap<number, SimNode>;
  readonly #clients = new Process('clients');
  readonly #sockets = new Map<number, Promise<Socket>>();

  constructor() {
    const frames = transcriptFrames();
    this.exchanges = transcriptExchanges(frames);
    this.controller = new ScriptedController({ world: this.world, network: this.network, address: HOST, frames, offsetMs: START_MS });
    this.nodes = new Map([2, 3].map((id) => [id, this.#node(id)]));
  }

  async run(): Promise<void> {
    const { world, nodes, controller } = this;
    for (const [id, node] of nodes) {
      for (const beginMs of controller.lifeBegins(id)) {
        this.#at(beginMs - 5, () => {
          controller.begin(id);
          node.start();
        });
      }
    }
    for (const one of this.exchanges) if (nodes.has(TRANSCRIPT_PORTS.get(one.port)!) && !OF_BROKERS.test(one.clientId ?? '') && OF_CLIENTS.has(one.apiKey)) this.#at(one.atMs, () => this.#send(one));
    this.#at(BROKER_3_KILLED_MS, () => nodes.get(3)!.kill());
    this.#at(BROKER_2_LEAVES_MS, () => void nodes.get(2)!.stop());
    await world.run(END_MS - START_MS);
    if (world.failure !== undefined) throw world.failure.error ?? new Error(world.failure.message);
  }

  close(): void {
    for (const node of this.nodes.values()) node.kill();
    this.controller.close();
    this.#clients.die();
  }

  #node(id: number): SimNode {
    const { clusterId, logDirs } = this.exchanges.find(({ apiKey, request }) => apiKey === BrokerRegistration.key && request.brokerId === id)!.request;
    const [port] = [...TRANSCRIPT_PORTS].find(([, one]) => one === id)!;
    const node = new SimNode(this.world, this.network, {
      id, address: HOST, clusterId,
      settings: [
        `node.id=${id}`, 'process.roles=broker', `listeners=PLAINTEXT://${HOST}:${port}`, 'controller.listener.names=CONTROLLER',
        'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT', `controller.quorum.voters=1@${HOST}:26091`, 'offsets.topic.num.partitions=3',
        'offsets.topic.replication.factor=2',
      ],
    });
    node.disk.makeDirectory(DATA);
    writeMetaProperties(node.disk, DATA, { clusterId, nodeId: id, directoryId: logDirs[0] }, 0);
    return node;
  }

  #at(transcriptMs: number, run: () => void): void {
    this.world.at(transcriptMs - START_MS, null, 'the transcript', run);
  }

  #send({ conn, port, apiKey, clientId, request, frame }: TranscriptExchange): void {
    // Transactions are not served: a producer without one takes the id that a transactional one took.
    const bytes = apiKey === InitProducerId.key
      ? Buffer.concat(encodeRequestFrame(InitProducerId, 5, { correlationId: frame.readInt32BE(4), clientId }, { ...request, transactionalId: null }))
      : Buffer.concat([Buffer.alloc(4), frame]);
    bytes.writeInt32BE(bytes.length - 4, 0);
    if (!this.#sockets.has(conn)) this.#sockets.set(conn, this.network.of(HOST, this.#clients).connect({ host: HOST, port, timeoutMs: 1000 } as never));
    void this.#sockets.get(conn)!.then((socket) => socket.write([bytes]));
  }
}

const textOf = (value: unknown): string => JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? String(one) : one));

/** What is compared of a request. */
function told({ apiKey, clientId, body }: Asked): unknown {
  switch (apiKey) {
    case ApiVersions.key:
      // The software's name is its own.
      return { clientId };
    case BrokerRegistration.key:
      // An incarnation is random, and features come in the order of a hash table.
      return { clientId, ...body, incarnationId: null, features: [...body.features].sort((a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)) };
    default:
      return { clientId, ...body };
  }
}

const lists = (asked: readonly Asked[], broker: number, life: number, apiKeys: readonly { readonly key: number }[]): string[] =>
  asked.filter((one) => one.broker === broker && one.life === life && apiKeys.some(({ key }) => key === one.apiKey)).map((one) => `${kindOf(one.apiKey, one.body)} ${textOf(told(one))}`);

/** How often a heartbeat is sent before the fence is lifted or leave is given is a matter of how fast things go: each thing that is wanted counts once. */
function wishes(asked: readonly Asked[], broker: number, life: number): string[] {
  const all = asked.filter((one) => one.broker === broker && one.life === life && one.apiKey === BrokerHeartbeat.key)
    .map(({ body: { brokerId, brokerEpoch, wantFence, wantShutDown, offlineLogDirs } }) => textOf({ brokerId, brokerEpoch, wantFence, wantShutDown, offlineLogDirs }));
  return all.filter((one, at) => one !== all[at - 1]);
}

/** AlterPartition, a partition a line: which of them share a request depends on which fetch comes first. */
function inSyncChanges(asked: readonly Asked[]): string[] {
  return asked.filter(({ apiKey }) => apiKey === AlterPartition.key).flatMap(({ body }) => body.topics.flatMap(({ topicId, partitions }: any) => partitions.map((one: any) => textOf([body.brokerId, body.brokerEpoch, topicId, one])))).sort();
}

describeGolden(() => {
  if (!hasGoldenFile(TRANSCRIPT)) return test.skip('the transcript: this set has none', () => {});
  let play: Play;
  let ours: readonly Asked[];
  let theirs: readonly Asked[];
  const lives = [[2, 0], [3, 0], [3, 1]] as const;

  beforeAll(async () => {
    play = new Play();
    await play.run();
    ours = play.controller.asked;
    // What the controller had not answered when the transcript ended, or when the broker was killed, is no more than a hint of what would have come.
    theirs = play.controller.wanted();
  }, 120_000);

  afterAll(() => play?.close());

  test.each(lives)('broker %i, life %i: each fetch of the metadata log says what Kafka\'s said after the same answers', (broker, life) => {
    const [got, wanted] = [lists(ours, broker, life, [Fetch]), lists(theirs, broker, life, [Fetch])];
    // Ours ends sooner than the JVM, or is stopped as the transcript is.
    expect(wanted.length - got.length).toBeOneOf([0, 1, 2]);
    expect(got.length).toBeGreaterThan(70);
    expect(got).toEqual(wanted.slice(0, got.length));
  });

  test.each(lives)('broker %i, life %i: registers as Kafka\'s', (broker, life) => {
    const registrations = lists(ours, broker, life, [BrokerRegistration]);
    expect(registrations).toHaveLength(1);
    expect(registrations).toEqual(lists(theirs, broker, life, [BrokerRegistration]));
  });

  test.each(lives)('broker %i, life %i: its heartbeats want the same things in the same order', (broker, life) => {
    expect(wishes(ours, broker, life)).toEqual(wishes(theirs, broker, life));
    const cordoned = (asked: readonly Asked[], wantFence: boolean): unknown[] =>
      asked.filter((one) => one.broker === broker && one.life === life && one.apiKey === BrokerHeartbeat.key && one.body.wantFence === wantFence).map(({ body }) => body.cordonedLogDirs);
    // Not known at first; Kafka's learns it while it still wants to be fenced, ours when it does not any more.
    expect(cordoned(ours, true)[0]).toBe(cordoned(theirs, true)[0]);
    expect(cordoned(ours, false)[0]).toEqual(cordoned(theirs, false)[0]);
  });

  test.each(lives)('broker %i, life %i: what it asks for its clients and itself is what Kafka\'s asked', (broker, life) => {
    const kinds = [Envelope, AllocateProducerIds, CreateTopics];
    // The topic of the transaction coordinator is made by brokers that have one.
    const wanted = lists(theirs, broker, life, kinds).filter((one) => !one.includes('"__transaction_state"'));
    expect(lists(ours, broker, life, kinds)).toEqual(wanted);
  });

  test('the leader lets the follower that came back into the in-sync replicas, with the same epochs', () => {
    expect(inSyncChanges(ours)).toHaveLength(8);
    expect(inSyncChanges(ours)).toEqual(inSyncChanges(theirs));
  });

  test('nothing else is asked, by clients of other names or in more connections', () => {
    const compared = new Set([ApiVersions, Fetch, BrokerRegistration, BrokerHeartbeat, Envelope, AllocateProducerIds, CreateTopics, AlterPartition].map(({ key }) => key));
    expect(ours.filter(({ apiKey }) => !compared.has(apiKey)).map(({ apiKey }) => apis.get(apiKey)!.name)).toEqual([]);
    const names = (asked: readonly Asked[]): string[] => [...new Set(asked.map(({ broker, apiKey, clientId }) => `${broker} ${apis.get(apiKey)!.name} ${clientId}`))].sort();
    expect(names(ours)).toEqual(names(theirs));
    // Kafka has one for the metadata log, one for heartbeats, one for what is forwarded and one for AlterPartition; ours sends the last two by the same.
    for (const [broker, life] of lives) expect(lists(ours, broker, life, [ApiVersions]).length).toBeLessThanOrEqual(lists(theirs, broker, life, [ApiVersions]).length);
  });
});
