/**
 * Answers that lie: a node of three tells the others what is not so, about offsets, epochs, ids, lengths and records, whatever it is asked, as a controller and as a leader of partitions. Nobody
 * who asks it may end, find a bug in itself or go in circles; and when it is gone, the two others serve.
 */
import { expect, test } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import { CreateTopics, InitProducerId, Produce } from '../../protocol/messages/index.ts';
import { buildBatch } from '../../protocol/record/build.ts';
import { isLost, SimClient } from './client.ts';
import { History } from './history.ts';
import { HostileNetwork } from './hostile-socket.ts';
import { Invariants } from './invariants.ts';
import { addressOf, SimNode } from './node.ts';
import { World } from './world.ts';

const SEEDS = Number(process.env['OTTLA_SEEDS'] ?? 8);
const FROM = Number(process.env['OTTLA_SEED'] ?? 1);
const IDS = [1, 2, 3];
const LIES_MS = 6_000;
const HEALED_MS_MAX = 60_000;

function settingsOf(id: number): string[] {
  return [
    `node.id=${id}`, 'process.roles=broker,controller', `listeners=PLAINTEXT://${addressOf(id)}:9092,CONTROLLER://${addressOf(id)}:9093`, 'controller.listener.names=CONTROLLER',
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT', `controller.quorum.voters=${IDS.map((one) => `${one}@${addressOf(one)}:9093`).join()}`,
    'default.replication.factor=3', 'broker.session.timeout.ms=1500', 'broker.heartbeat.interval.ms=300', 'controller.quorum.election.timeout.ms=300', 'controller.quorum.fetch.timeout.ms=600',
    'replica.fetch.backoff.ms=100', 'replica.fetch.wait.max.ms=100', 'metadata.log.max.record.bytes.between.snapshots=2000',
  ];
}

class Trial {
  readonly world: World;
  readonly network: HostileNetwork;
  readonly nodes: readonly SimNode[];
  readonly client: SimClient;
  readonly ended: string[] = [];
  readonly #seed: number;
  /** Who lies: the leader of the quorum at first, or another. */
  #foe!: SimNode;

  constructor(seed: number) {
    this.#seed = seed;
    this.world = new World(seed);
    this.network = new HostileNetwork(this.world);
    this.network.isNode = (address) => IDS.some((id) => addressOf(id) === address);
    this.nodes = IDS.map((id) => new SimNode(this.world, this.network, { id, clusterId: 'mf1aHZOZRh-ZUFscZonG_A', settings: settingsOf(id) }));
    this.client = new SimClient({
      world: this.world, network: this.network, history: new History(() => this.world.nowMs), invariants: new Invariants(this.world, this.nodes), name: 'client', address: '10.0.1.1', bootstrap: IDS.map((id) => ({ host: addressOf(id), port: 9092 })),
    });
  }

  async run(): Promise<void> {
    const { world, network, nodes } = this;
    for (const node of nodes) {
      node.onExit = (error) => void this.ended.push(`node ${node.id}: ${error instanceof Error ? error.stack : String(error)}`);
      node.start();
    }
    await this.until(() => this.create('before', 3), 30_000);
    const isLeader = (node: SimNode): boolean => node.broker?.quorum.controller?.isActive === true;
    this.#foe = nodes.find((node) => isLeader(node) === (this.#seed % 3 !== 0))!;
    network.foe = this.#foe.address;
    const work = this.#work();
    // One comes anew into that: what it learns of the cluster is learnt from lies.
    const other = nodes.find((node) => node !== this.#foe)!;
    other.onExit = (error) => this.#endedAtStart(other, error);
    await world.run(world.nowMs + LIES_MS / 3);
    void other.stop();
    await world.run(world.nowMs + LIES_MS / 6);
    other.kill();
    other.start();
    await world.run(world.nowMs + LIES_MS / 2);
    this.#check();
    network.lieChance = 0;
    this.#foe.kill();
    await this.until(() => this.create('after', 2), HEALED_MS_MAX);
    await this.until(() => this.write('after', 0), HEALED_MS_MAX);
    this.#isOver = true;
    await world.run(world.nowMs + 5_000);
    await work;
    this.#check();
  }

  close(): void {
    this.client.kill();
    for (const node of this.nodes) node.kill();
  }

  #isOver = false;

  /** A start may end, with a reason: that it is of another cluster, or of a version that nobody serves. Somebody starts it again. */
  #endedAtStart(node: SimNode, error: unknown): void {
    if (node.broker !== null || !(error instanceof Error) || error.message === '') this.ended.push(`node ${node.id}: ${String(error)}`);
    else this.world.at(500, null, 'start again', () => node.start());
  }

  /** What makes brokers ask each other and the controller. */
  async #work(): Promise<void> {
    for (let n = 0; !this.#isOver; n++) {
      await Promise.all([this.write('before', n % 3), n % 5 === 0 && this.create(`t${n}`, 3), n % 7 === 0 && this.tried(() => this.client.ask(InitProducerId, { transactionalId: null, transactionTimeoutMs: 1, producerId: -1, producerEpoch: -1 } as never, 500))]);
      await this.client.pause(50);
    }
  }

  async tried<T>(call: () => Promise<T>): Promise<T | null> {
    try {
      return await call();
    } catch (error) {
      if (!isLost(error)) throw error;
      return null;
    }
  }

  async create(name: string, replicationFactor: number): Promise<boolean> {
    const topic = { name, numPartitions: 3, replicationFactor, assignments: [], configs: [] };
    const answer = await this.tried(() => this.client.ask(CreateTopics, { topics: [topic], timeoutMs: 2000, validateOnly: false }, 3000));
    const code = answer?.topics[0]!.errorCode;
    return code === ErrorCode.NONE || code === ErrorCode.TOPIC_ALREADY_EXISTS;
  }

  async write(topic: string, index: number): Promise<boolean> {
    const answer = await this.tried(async () => {
      const { leaderId, topicId } = await this.client.leader(topic, index, true);
      const records = buildBatch({ baseOffset: 0, records: [{ timestamp: 0, key: null, value: Buffer.alloc(100, 1), headers: [] }] });
      return (await this.client.broker(leaderId)).request(Produce, { transactionalId: null, acks: -1, timeoutMs: 1000, topicData: [{ name: topic, topicId, partitionData: [{ index, records }] }] }, { timeoutMs: 1500 });
    });
    return answer?.responses[0]?.partitionResponses[0]?.errorCode === ErrorCode.NONE;
  }

  async until(tries: () => Promise<boolean>, limitMs: number): Promise<void> {
    const { world } = this;
    let isDone = false;
    const loop = async (): Promise<void> => {
      while (!isDone) {
        if (await tries()) isDone = true;
        else await this.client.pause(100);
      }
    };
    void loop();
    await world.run(world.nowMs + limitMs, () => isDone);
    this.#check();
    if (!isDone) throw new Error(`not done within ${limitMs} ms of virtual time:\n${this.nodes.flatMap(({ id, lines, broker }) => [`${id} ${JSON.stringify(broker?.quorum.raft())}`, ...lines.filter((line) => !line.includes('fetching')).slice(-6).map((line) => `${id} ${line}`)]).join('\n')}`);
  }

  #check(): void {
    const { failure } = this.world;
    if (failure !== undefined) throw failure.error ?? new Error(failure.message);
    expect(this.ended).toEqual([]);
  }
}

test(`${SEEDS} seeds: nobody ends, and those who are left serve`, { timeout: 20_000 + SEEDS * 10_000 }, async () => {
  const lies = new Map<string, number>();
  for (let seed = FROM; seed < FROM + SEEDS; seed++) {
    const trial = new Trial(seed);
    const onRejection = (error: unknown): void => trial.world.thrown(error);
    process.on('unhandledRejection', onRejection);
    try {
      await trial.run();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).stack}`, { cause: error });
    } finally {
      process.off('unhandledRejection', onRejection);
      trial.close();
    }
    for (const [api, count] of trial.network.lies) lies.set(api, (lies.get(api) ?? 0) + count);
  }
  // Whatever one asks of another: those that come with each seed.
  for (const api of ['Fetch', 'BrokerHeartbeat', 'Envelope']) expect([...lies.keys()]).toContain(api);
});
