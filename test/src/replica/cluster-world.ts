/**
 * Several brokers' replicas in one process: each with a disk in memory and its own view of the metadata, fetching from each other through the real handlers and the
 * real wire format, under a clock that the test moves. The controller is the test: it publishes images, and answers AlterPartition as it is told.
 */
import { ErrorCode } from '../../../protocol/errors.ts';
import { decodeRequestHeader, decodeResponseFrame, encodeRequestFrame, encodeResponseFrame } from '../../../protocol/frame.ts';
import { AlterPartition, AssignReplicasToDirs } from '../../../protocol/messages/cluster.ts';
import { decode } from '../../../protocol/compile.ts';
import type { AnyMessage, Api, Input, Value } from '../../../protocol/schema.ts';
import { BufferPool } from '../../../storage/buffer-pool.ts';
import { LogDirectory } from '../../../storage/log-directory.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { fetchApis } from '../../../src/api/fetch.ts';
import { listOffsetsApis } from '../../../src/api/list-offsets.ts';
import type { Node } from '../../../src/api/node.ts';
import { offsetForLeaderEpochApis } from '../../../src/api/offset-for-leader-epoch.ts';
import { produceApis } from '../../../src/api/produce.ts';
import type { RequestContext } from '../../../src/api/serve.ts';
import type { PeerChannel } from '../../../src/peer/peer.ts';
import { imageChanges } from '../../../src/quorum/changes.ts';
import { MetadataDelta } from '../../../src/quorum/delta.ts';
import { MetadataImage } from '../../../src/quorum/image.ts';
import type { PartitionImage } from '../../../src/quorum/image.ts';
import { newRecord } from '../../../src/quorum/records.ts';
import type { NewRecord } from '../../../src/quorum/records.ts';
import { FetchSessions } from '../../../src/replica/fetch-sessions.ts';
import { Partition } from '../../../src/replica/partition.ts';
import { Replicas } from '../../../src/replica/replicas.ts';
import { ConnectionError } from '../../../src/runtime/connection-error.ts';
import type { Runtime } from '../../../src/runtime/runtime.ts';
import { Turn } from '../../../src/runtime/turn.ts';
import { Settings } from '../../../src/settings.ts';
import { seededRandom } from '../coordinator/world.ts';
import { FakeTime } from '../server/fake-world.ts';
import { contents, testBatch } from '../../storage/log-fixture.ts';

export const TOPIC = 't';
export const TOPIC_ID = 'tttttttttttttttttttttg';
export const EPOCH_OF = (nodeId: number): number => 100 + nodeId;

const served = [...fetchApis, ...listOffsetsApis, ...offsetForLeaderEpochApis, ...produceApis];

type AlterRequest = Value<typeof AlterPartition.request>;
type AlterResponse = Input<typeof AlterPartition.response>;

export interface PartitionSpec {
  readonly replicas?: readonly number[];
  readonly isr?: readonly number[];
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly adding?: readonly number[];
  readonly removing?: readonly number[];
  readonly directories?: readonly string[];
  readonly leaderRecoveryState?: number;
}

/** The fields that a full decoding of a record would have. */
function whole(record: NewRecord): Parameters<MetadataDelta['apply']>[0] {
  const defaults: Record<string, Record<string, unknown>> = {
    RegisterBrokerRecord: { isMigratingZkBroker: false, inControlledShutdown: false, logDirs: [], cordonedLogDirs: null, features: [], rack: null },
    BrokerRegistrationChangeRecord: { fenced: 0, inControlledShutdown: 0, logDirs: [], cordonedLogDirs: null },
    PartitionRecord: { removingReplicas: [], addingReplicas: [], leaderRecoveryState: 0, eligibleLeaderReplicas: null, lastKnownElr: null, directories: [] },
    PartitionChangeRecord: {
      isr: null, leader: -2, replicas: null, removingReplicas: null, addingReplicas: null, leaderRecoveryState: -1, directories: null, eligibleLeaderReplicas: null, lastKnownElr: null,
    },
  };
  return { name: record.name, version: record.version, value: { ...defaults[record.name], ...record.value } } as never;
}

export class TestBroker {
  readonly id: number;
  readonly world: ClusterWorld;
  readonly disk: MemoryDisk;
  readonly directories: { id: string; logs: LogDirectory }[];
  readonly replicas: Replicas;
  readonly node: Node;
  readonly turn: Turn;
  readonly lines: string[] = [];
  /** Why the node would end. */
  readonly damaged: Error[] = [];
  image: MetadataImage;

  constructor(world: ClusterWorld, id: number, disk: MemoryDisk, settings: Settings, image: MetadataImage) {
    this.world = world;
    this.id = id;
    this.disk = disk;
    this.image = image;
    this.turn = new Turn(world.time);
    const random = seededRandom(id);
    this.directories = world.paths.map((path) => ({ id: directoryId(id, path), logs: LogDirectory.open({ disk, path, uuid: () => random.uuid() }) }));
    const runtime: Runtime = { clock: world.time, timers: world.time, random, disk, network: undefined as never };
    const note = (line: string): void => void this.lines.push(line);
    this.replicas = new Replicas({
      runtime, directories: this.directories, nodeId: id, turn: this.turn, logger: { info: note, warn: note, error: note }, settings: () => settings,
      peerOf: (nodeId, lane) => world.channel(id, nodeId, lane), controller: world.controllerOf(id), brokerEpoch: () => world.epochs.get(id) ?? -1,
      onDamaged: (error) => void this.damaged.push(error),
      onLeadershipChange: (partition, role) => void world.roles.push(`${id}: ${partition.topic}-${partition.partition} ${role} ${partition.leaderEpoch}`),
    });
    const fetchSessions = new FetchSessions({ slotsMax: 100, evictionMs: 120_000, newId: () => 1 + random.below(0x7fff_ffff) });
    this.node = {
      runtime, settings, nodeId: id, replicas: this.replicas, fetchSessions, readBuffers: new BufferPool(), image: () => this.image, endpointsOf: () => [],
    } as unknown as Node;
  }

  partition(index = 0): Partition {
    const found = this.replicas.find(TOPIC, index);
    if (typeof found === 'number') throw new Error(`broker ${this.id} answers ${found} for ${TOPIC}-${index}`);
    return found;
  }

  /** `offset:value` of all that is written. */
  contents(index = 0): Promise<string[]> {
    return contents(this.partition(index).log);
  }

  /** Appends one batch for each value; `value: code` is told when acks=all is answered. */
  produce(...values: string[]): void {
    const partition = this.partition();
    for (const value of values) {
      const appended = partition.append(testBatch({ values: [value] }), 'client', this.world.time.wallMs());
      if (appended.error !== ErrorCode.NONE) this.world.told.push(`${value} refused: ${appended.error}`);
      else partition.whenCommitted(appended.lastOffset + 1, (code) => void this.world.told.push(`${value}: ${code}`));
    }
  }

  /** Asks through the wire, as somebody else would. */
  request<Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, version: number, input: Input<Q>): Promise<Value<S>> {
    return call(this, api, version, input);
  }

  async stop(): Promise<void> {
    await this.replicas.close();
    await Promise.all(this.directories.map(({ logs }) => logs.close(EPOCH_OF(this.id))));
  }

  /** As a crash of the process leaves it: what was written is in the files, no checkpoint is newer than the last. */
  kill(): void {
    void this.replicas.close();
    for (const { logs } of this.directories) logs.release();
  }
}

export function directoryId(nodeId: number, path: string): string {
  return `${nodeId}${path.replaceAll('/', '_')}`.padEnd(21, 'x').slice(0, 21) + 'A';
}

async function call<Q extends AnyMessage, S extends AnyMessage>(broker: TestBroker, api: Api<Q, S>, version: number, input: Input<Q>): Promise<Value<S>> {
  const frame = Buffer.concat(encodeRequestFrame(api, version, { correlationId: 7, clientId: 'test' }, input)).subarray(4);
  const header = decodeRequestHeader(frame);
  const request = decode(api.request, version, header.reader);
  const handler = served.find((one) => one.api.key === api.key)!;
  const context = {
    apiVersion: version, clientId: 'test', correlationId: 7, receivedMs: broker.world.time.monotonicMs(), connection: { id: 1 }, node: broker.node, returnFrame: undefined,
    whenSent: (sent: () => void) => void queueMicrotask(sent),
  } as unknown as RequestContext;
  const answer = await handler.handle(request, context);
  const bytes = Buffer.concat(encodeResponseFrame(api, version, 7, answer as Input<S>)).subarray(4);
  return decodeResponseFrame(api, version, bytes).body;
}

export class ClusterWorld {
  readonly time = new FakeTime();
  readonly brokers = new Map<number, TestBroker>();
  readonly told: string[] = [];
  readonly roles: string[] = [];
  /** What went over the network: `2 > 1 Fetch`. */
  readonly sent: string[] = [];
  /** Directed: `2 > 1`. Requests fail. */
  readonly cut = new Set<string>();
  /** Registered and in service. */
  readonly epochs = new Map<number, number>();
  readonly paths: readonly string[];
  /** What the controller was asked, in order; answered by `answer`, by default as it would. */
  readonly alterRequests: AlterRequest[] = [];
  answer: ((request: AlterRequest) => AlterResponse | Promise<AlterResponse>) | null = null;
  readonly assigned: string[] = [];
  image: MetadataImage = MetadataImage.EMPTY;
  readonly #settings: Settings;
  /** Ways to end what is being asked, by `from > to lane`. */
  readonly #open = new Map<string, Set<() => void>>();
  /** Where an answer is changed on its way, by who sends it. */
  tamper: ((from: number, api: string, answer: any) => void) | null = null;

  constructor(options: { settings?: Readonly<Record<string, string | number>>; dynamic?: Readonly<Record<string, string>>; paths?: readonly string[]; racks?: boolean } = {}) {
    this.paths = options.paths ?? ['/data'];
    this.#settings = Settings.from({ production: true, values: { 'node.id': 1, 'min.insync.replicas': 1, ...options.settings } }).withOverrides({
      broker: new Map(Object.entries(options.dynamic ?? {})), cluster: new Map(),
    });
    this.apply([newRecord('TopicRecord', { name: TOPIC, topicId: TOPIC_ID })], []);
    for (const id of [1, 2, 3]) this.register(id, options.racks === true ? `rack${id}` : null);
  }

  // ---- the controller

  /** Changes the metadata, and publishes them to these brokers; by default to all. */
  apply(records: readonly NewRecord[], to: Iterable<number> = this.brokers.keys()): void {
    const delta = new MetadataDelta(this.image);
    for (const record of records) delta.apply(whole(record));
    this.image = delta.build({ offset: this.image.offset + records.length, epoch: 1, timestampMs: 0 });
    for (const id of to) this.publish(id);
  }

  publish(id: number): void {
    const broker = this.brokers.get(id)!;
    const changes = imageChanges(broker.image, this.image);
    broker.image = this.image;
    broker.replicas.apply(changes);
  }

  register(id: number, rack: string | null = null, epoch: number = EPOCH_OF(id)): void {
    this.epochs.set(id, epoch);
    this.apply([newRecord('RegisterBrokerRecord', {
      brokerId: id, incarnationId: directoryId(id, 'incarnation'), brokerEpoch: epoch, endPoints: [], features: [], rack, fenced: false, logDirs: this.paths.map((path) => directoryId(id, path)).sort(),
    }, 3)]);
  }

  create(spec: PartitionSpec, index = 0): void {
    const replicas = spec.replicas ?? [1, 2, 3];
    this.apply([newRecord('PartitionRecord', {
      partitionId: index, topicId: TOPIC_ID, replicas, isr: spec.isr ?? replicas, removingReplicas: spec.removing ?? [], addingReplicas: spec.adding ?? [],
      leader: spec.leader, leaderEpoch: spec.leaderEpoch, partitionEpoch: 0, directories: spec.directories ?? replicas.map((id) => directoryId(id, this.paths[0]!)),
    }, 1)]);
  }

  /** A change of the partition; naming a leader raises the leader epoch by one. */
  change(change: Partial<{ leader: number; isr: readonly number[]; replicas: readonly number[]; directories: readonly string[]; adding: readonly number[] }>, to?: Iterable<number>, index = 0): void {
    const { adding, ...rest } = change;
    this.apply([newRecord('PartitionChangeRecord', { topicId: TOPIC_ID, partitionId: index, ...rest, ...(adding !== undefined && { addingReplicas: adding }) }, 1)], to);
  }

  state(index = 0): PartitionImage {
    return this.image.partition(TOPIC, index)!;
  }

  controllerOf(id: number): PeerChannel {
    return {
      request: async (api: Api<any, any>, input: any) => {
        await Promise.resolve();
        if (this.cut.has(`${id} > controller`)) throw new ConnectionError('cut');
        if (api.key === AssignReplicasToDirs.key) {
          for (const directory of input.directories) for (const topic of directory.topics) for (const { partitionIndex } of topic.partitions) this.assigned.push(`${id}: ${partitionIndex} in ${directory.id}`);
          return { throttleTimeMs: 0, errorCode: 0, directories: input.directories.map((directory: any) => ({ ...directory, topics: directory.topics.map((topic: any) => ({ ...topic, partitions: topic.partitions.map((one: any) => ({ ...one, errorCode: 0 })) })) })) };
        }
        this.alterRequests.push(input);
        return this.answer === null ? this.alter(input) : this.answer(input);
      },
    } as PeerChannel;
  }

  /** As the controller does, with the checks that matter here; publishes the change to these, by default to all. */
  alter(request: AlterRequest, to: Iterable<number> = this.brokers.keys()): AlterResponse {
    const topics = request.topics.map(({ topicId, partitions }) => ({
      topicId,
      partitions: partitions.map((one) => {
        const now = this.state(one.partitionIndex);
        const refuse = (errorCode: ErrorCode) => ({ partitionIndex: one.partitionIndex, errorCode, leaderId: -1, leaderEpoch: -1, isr: [], partitionEpoch: -1 });
        if (one.leaderEpoch !== now.leaderEpoch) return refuse(ErrorCode.FENCED_LEADER_EPOCH);
        if (one.partitionEpoch !== now.partitionEpoch) return refuse(ErrorCode.INVALID_UPDATE_VERSION);
        if (one.newIsrWithEpochs.some(({ brokerId, brokerEpoch }) => this.epochs.get(brokerId) !== brokerEpoch)) return refuse(ErrorCode.INELIGIBLE_REPLICA);
        this.change({ isr: one.newIsrWithEpochs.map(({ brokerId }) => brokerId) }, [], one.partitionIndex);
        const after = this.state(one.partitionIndex);
        return { partitionIndex: one.partitionIndex, errorCode: 0, leaderId: after.leader, leaderEpoch: after.leaderEpoch, isr: [...after.isr], partitionEpoch: after.partitionEpoch };
      }),
    }));
    for (const id of to) this.publish(id);
    return { throttleTimeMs: 0, errorCode: 0, topics };
  }

  // ---- brokers and network

  /** On a disk of its own, or on the one that it had. */
  start(id: number, disk: MemoryDisk = new MemoryDisk()): TestBroker {
    const broker = new TestBroker(this, id, disk, this.#settings, this.image);
    this.brokers.set(id, broker);
    broker.replicas.start(this.image);
    return broker;
  }

  startAll(): [TestBroker, TestBroker, TestBroker] {
    return [this.start(1), this.start(2), this.start(3)];
  }

  broker(id: number): TestBroker {
    return this.brokers.get(id)!;
  }

  channel(from: number, to: number, lane: number): PeerChannel {
    const way = `${from} > ${to}`;
    const key = `${way} ${lane}`;
    return {
      request: async (api: Api<any, any>, input: any) => {
        this.sent.push(`${way} ${api.name}`);
        await Promise.resolve();
        const broker = this.brokers.get(to);
        if (broker === undefined || this.cut.has(way)) throw new ConnectionError(`broker ${to} cannot be reached`);
        let disconnect = (): void => {};
        const disconnected = new Promise<never>((_, reject) => (disconnect = () => reject(new ConnectionError('disconnected'))));
        disconnected.catch(() => {});
        const open = this.#open.get(key) ?? new Set();
        this.#open.set(key, open.add(disconnect));
        try {
          const answer = await Promise.race([call(broker, api, api.request.versions.max, input), disconnected]);
          if (this.cut.has(`${to} > ${from}`)) throw new ConnectionError('the answer was lost');
          this.tamper?.(to, api.name, answer);
          return answer;
        } finally {
          open.delete(disconnect);
        }
      },
      disconnect: () => this.#open.get(key)?.forEach((end) => end()),
    } as PeerChannel;
  }

  /** Lets all that can happen without time passing happen. Gives what was told. */
  async settle(): Promise<string[]> {
    for (let i = 0; i < 30; i++) await this.time.turn();
    return this.told.splice(0);
  }

  /** What was begun is done before time passes. */
  async after(ms: number): Promise<string[]> {
    const told = await this.settle();
    await this.time.advance(ms);
    return [...told, ...(await this.settle())];
  }

  async stop(): Promise<void> {
    for (const broker of this.brokers.values()) await broker.stop();
  }
}
