/**
 * One run of a plan: a cluster comes up, clients work while faults happen (safety), everything is healed and must come to rest (liveness), everything is read, and
 * the history is judged.
 *
 * Promises: ends with what went wrong first, or with nothing; the same plan ends in the same way with the same hash. Does not: make a failure smaller (`shrink.ts`).
 */
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import { CreateTopics } from '../../protocol/messages/index.ts';
import { Admin } from './admin.ts';
import { check } from './checker.ts';
import { isLost, SimClient } from './client.ts';
import { SimCommitter } from './committer.ts';
import { SimConsumer } from './consumer.ts';
import type { ConsumerOptions } from './consumer.ts';
import { Faults } from './faults.ts';
import type { Cluster } from './faults.ts';
import { History } from './history.ts';
import { Invariants, quorumLeader } from './invariants.ts';
import { SimGroup, SimMember } from './member.ts';
import { SimNetwork } from './network.ts';
import { addressOf, BROKER_PORT, CONTROLLER_PORT, SimNode } from './node.ts';
import { TOPIC } from './plan.ts';
import type { Fault, Plan } from './plan.ts';
import { SimProducer } from './producer.ts';
import { formatVoter } from './voters.ts';
import { World } from './world.ts';

const CLUSTER_ID = 'mf1aHZOZRh-ZUFscZonG_A';
/** A cluster without faults must be up by then, and a healed one at rest. */
const START_MS_MAX = 30_000;
const CONVERGE_MS_MAX = 60_000;
const FINAL_READ_MS_MAX = 30_000;

export interface SimulationResult {
  readonly failure: string | null;
  readonly error: unknown;
  readonly hash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly acknowledged: number;
  readonly polled: number;
  /** Fault kinds that were carried out, and how often. */
  readonly faults: ReadonlyMap<string, number>;
  /** The last lines of the nodes' logs. */
  readonly lines: readonly string[];
}

export interface SimulationOptions {
  readonly traceTo?: (line: string) => void;
}

export async function simulate(plan: Plan, options: SimulationOptions = {}): Promise<SimulationResult> {
  const simulation = new Simulation(plan, options);
  const onRejection = (error: unknown): void => simulation.world.thrown(error);
  process.on('unhandledRejection', onRejection);
  try {
    return await simulation.run();
  } finally {
    process.off('unhandledRejection', onRejection);
  }
}

class Simulation implements Cluster {
  readonly world: World;
  readonly network: SimNetwork;
  readonly plan: Plan;
  readonly nodes: readonly SimNode[];
  readonly invariants: Invariants;
  readonly history: History;
  readonly clientAddresses: readonly string[];
  readonly #faults: Faults;
  readonly #clients: SimClient[] = [];
  readonly #producers: { readonly client: SimClient; readonly producer: SimProducer }[] = [];
  /** Those that ask coordinators. */
  readonly #askers: { readonly name: string; readonly last: string; answered: number }[] = [];
  #admin: Admin | null = null;
  #clientsMade = 0;
  /** Where those who read everything in the end began, by partition. */
  readonly #readFrom = new Map<string, number>();

  constructor(plan: Plan, { traceTo }: SimulationOptions) {
    this.plan = plan;
    const world = new World(plan.seed);
    this.world = world;
    if (traceTo !== undefined) world.traceTo = traceTo;
    this.network = new SimNetwork(world);
    this.network.cutChance = plan.network.cutChance;
    this.network.lateChance = plan.network.lateChance;
    this.network.ghostChance = plan.network.ghostChance;
    this.nodes = Array.from({ length: plan.nodes }, (_, index) => new SimNode(world, this.network, {
      id: index + 1, clusterId: CLUSTER_ID, settings: settingsOf(plan, index + 1), ...(plan.dynamicVoters && { format: (node: SimNode) => formatVoter(node, CLUSTER_ID) }),
    }));
    this.invariants = new Invariants(world, this.nodes);
    this.history = new History(() => world.nowMs);
    this.history.onAcknowledged = (send) => this.invariants.acknowledged(send);
    const clients = 4 + plan.producers * 2 + plan.consumers + plan.committers + plan.members;
    this.clientAddresses = Array.from({ length: clients }, (_, index) => `10.0.1.${index + 1}`);
    const all = [...this.nodes.map((node) => node.address), ...this.clientAddresses];
    for (const from of all) for (const to of all) if (from !== to) this.network.way(from, to).latencyMs = plan.network.latencyMs;
    this.#faults = new Faults(this);
    world.afterEvent = () => this.invariants.check();
  }

  async run(): Promise<SimulationResult> {
    const { world, plan } = this;
    for (const node of this.nodes) node.start();
    let isReady = false;
    void this.#createTopic().then(() => (isReady = true));
    await world.run(START_MS_MAX, () => isReady);
    if (!isReady) world.fail(`liveness: the cluster did not come up within ${START_MS_MAX} ms: ${this.#state()}`);
    this.#startClients();
    this.#faults.plan();
    await world.run(world.nowMs + plan.safetyMs);
    this.#faults.heal();
    await this.#converge();
    await this.#readAll();
    this.#judge();
    const { failure } = world;
    const result = {
      failure: failure?.message ?? null, error: failure?.error, hash: world.hash, events: world.events, virtualMs: world.nowMs, acknowledged: this.history.acknowledged,
      polled: this.history.polled, faults: this.#faults.done, lines: failure === undefined ? [] : this.#lines(),
    };
    for (const client of this.#clients) client.kill();
    for (const node of this.nodes) node.kill();
    return result;
  }

  // ---- clients

  #client(kind: string): SimClient {
    const number = ++this.#clientsMade;
    const client = new SimClient({
      world: this.world, network: this.network, history: this.history, invariants: this.invariants, name: `${kind}${number}`, address: this.clientAddresses[(number - 1) % this.clientAddresses.length]!,
      bootstrap: this.nodes.map((node) => ({ host: node.address, port: BROKER_PORT })),
    });
    this.#clients.push(client);
    return client;
  }

  async #createTopic(): Promise<void> {
    const client = this.#client('admin');
    const configs = this.plan.topicConfigs.map((config) => {
      const [name, value] = config.split('=');
      return { name: name!, value: value! };
    });
    this.#admin = new Admin(client, this.nodes);
    for (;;) {
      try {
        const answer = await client.ask(CreateTopics, {
          topics: [{ name: TOPIC, numPartitions: this.plan.partitions, replicationFactor: Math.min(3, this.plan.nodes), assignments: [], configs }], timeoutMs: 5000, validateOnly: false,
        }, 6000);
        const { errorCode } = answer.topics[0]!;
        this.world.trace(() => `CreateTopics ${errorName(errorCode)}`);
        if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.TOPIC_ALREADY_EXISTS) break;
      } catch (error) {
        if (!isLost(error)) throw error;
      }
      await client.pause(100);
    }
  }

  #startClients(): void {
    const { plan } = this;
    for (let i = 0; i < plan.producers; i++) this.#startProducer();
    for (let i = 0; i < plan.consumers; i++) {
      const client = this.#client('c');
      for (let partition = 0; partition < plan.partitions; partition++) this.#run(client, new SimConsumer(client, this.#consumed(partition)).run());
    }
    for (let i = 0; i < plan.committers; i++) {
      const client = this.#client('o');
      const committer = new SimCommitter(client, { groupId: `group${i}`, topic: TOPIC, partition: i % plan.partitions, thinkMs: plan.thinkMs });
      this.#askers.push(committer);
      this.#run(client, committer.run());
    }
    const group = new SimGroup('members', TOPIC, plan.partitions);
    for (let i = 0; i < plan.members; i++) {
      const client = this.#client('m');
      const member = new SimMember(client, group);
      this.#askers.push(member);
      this.#run(client, member.run());
    }
  }

  #consumed(partition: number): ConsumerOptions {
    return { topic: TOPIC, partition, logStart: () => this.invariants.logStarts.highestOf(`${TOPIC}-${partition}`), isDamaged: (id) => this.nodes[id - 1]!.isDamaged };
  }

  #startProducer(): void {
    const { plan } = this;
    const client = this.#client('p');
    for (let partition = 0; partition < plan.partitions; partition++) {
      const producer = new SimProducer(client, { topic: TOPIC, partition, inFlightMax: 4, recordsMax: 3, thinkMs: plan.thinkMs, largeBytes: plan.largeBytes });
      this.#producers.push({ client, producer });
      this.#run(client, producer.run());
    }
  }

  #run(client: SimClient, work: Promise<void>): void {
    work.catch((error: unknown) => this.world.fail(`client ${client.name} failed: ${error instanceof Error ? error.stack : String(error)}`, error));
  }

  killClient(choice: number): void {
    const running = this.#producers.filter(({ client }) => client.process.state === 'running');
    const chosen = running[Math.floor(choice * running.length)];
    if (chosen === undefined) return;
    chosen.client.kill();
    for (const { client, producer } of this.#producers) if (client === chosen.client) producer.abandon();
    this.#startProducer();
  }

  admin(fault: Fault): void {
    const admin = this.#admin!;
    this.#run(admin.client, admin.perform(fault, this.invariants.newest));
  }

  // ---- liveness

  async #converge(): Promise<void> {
    const { world } = this;
    for (const { client } of this.#producers) client.stopping = true;
    for (const asker of this.#askers) asker.answered = 0;
    const startMs = world.nowMs;
    await world.run(startMs + CONVERGE_MS_MAX, () => this.#unrest() === null);
    const unrest = this.#unrest();
    if (unrest !== null) world.fail(`liveness: ${CONVERGE_MS_MAX} ms after everything was healed ${unrest}; ${this.#state()}`);
    world.trace(() => `CONVERGED after ${Math.round(world.nowMs - startMs)} ms`);
  }

  /** What is not yet as it should be, or null. */
  #unrest(): string | null {
    for (const node of this.nodes) if (node.broker === null) return `node ${node.id} does not serve`;
    const image = this.invariants.newest;
    if (image === null) return 'there is no metadata';
    for (const broker of image.brokers.values()) if (broker.fenced) return `node ${broker.id} is fenced`;
    for (const topic of image.topics.values()) {
      for (const [index, partition] of topic.partitions.entries()) {
        if (partition.leader < 0) return `${topic.name}-${index} has no leader`;
        if (partition.isr.length !== partition.replicas.length) return `${topic.name}-${index} has ${partition.isr.join()} of ${partition.replicas.join()} in sync`;
      }
    }
    const waiting = this.#producers.find(({ producer }) => !producer.isDone);
    if (waiting !== undefined) return `${waiting.producer.name} waits for an acknowledgement (${waiting.producer.last})`;
    const stuck = this.#askers.find((asker) => asker.answered < 3);
    if (stuck !== undefined) return `${stuck.name} gets no answers (${stuck.last})`;
    return null;
  }

  async #readAll(): Promise<void> {
    const { world, plan } = this;
    if (world.failure !== undefined) return;
    for (const client of this.#clients) client.stopping = true;
    const client = this.#client('f');
    const readers = Array.from({ length: plan.partitions }, (_, partition) => new SimConsumer(client, { ...this.#consumed(partition), final: true }));
    for (const reader of readers) this.#run(client, reader.run());
    await world.run(world.nowMs + FINAL_READ_MS_MAX, () => readers.every((reader) => reader.isAtEnd));
    client.stopping = true;
    for (const reader of readers) this.#readFrom.set(`${TOPIC}-${reader.partition}`, reader.beganAt);
    const behind = readers.find((reader) => !reader.isAtEnd);
    if (behind !== undefined) world.fail(`liveness: ${behind.name} is at ${behind.position} of ${behind.highWatermark} in the end (${behind.last}); ${this.#state()}`);
  }

  #judge(): void {
    const { world } = this;
    for (const name of this.#admin?.created ?? []) {
      if (world.failure === undefined && this.invariants.newest?.topic(name) === undefined) world.fail(`metadata: topic ${name} was created, acknowledged, and is not there`);
    }
    const anomalies = check(this.history.operations, { complete: world.failure === undefined, logStarts: this.#readFrom });
    if (anomalies.length > 0 && world.failure === undefined) world.fail(`history: ${anomalies.slice(0, 5).map(({ name, about }) => `${name} ${about}`).join('; ')}${anomalies.length > 5 ? ` and ${anomalies.length - 5} more` : ''}`);
  }

  // ---- for people

  #state(): string {
    const nodes = this.nodes.map((node) => {
      if (!node.isAlive) return `${node.id} is down`;
      if (node.broker === null) return `${node.id} is starting`;
      const { leaderId, epoch } = quorumLeader(node.broker);
      return `${node.id} sees controller ${leaderId} of epoch ${epoch} and metadata ${node.broker.image().offset}`;
    });
    return `nodes: ${nodes.join(', ')}`;
  }

  #lines(): string[] {
    const all = this.nodes.flatMap((node) => node.lines.map((line) => ({ atMs: Number(line.slice(0, line.indexOf(' '))), line: `node ${node.id} ${line}` })));
    return all.sort((a, b) => a.atMs - b.atMs).slice(-60).map(({ line }) => line);
  }
}

function settingsOf(plan: Plan, id: number): string[] {
  const host = addressOf(id);
  // With static voters the fourth node is a broker only: it may lose its disk without having voted.
  const votes = id <= 3 || plan.dynamicVoters;
  const voters = Array.from({ length: Math.min(3, plan.nodes) }, (_, index) => `${index + 1}@${addressOf(index + 1)}:${CONTROLLER_PORT}`);
  return [
    `node.id=${id}`, `process.roles=${votes ? 'broker,controller' : 'broker'}`,
    `listeners=PLAINTEXT://${host}:${BROKER_PORT}${votes && plan.nodes > 1 ? `,CONTROLLER://${host}:${CONTROLLER_PORT}` : ''}`,
    'controller.listener.names=CONTROLLER', 'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    ...(plan.dynamicVoters ? [`controller.quorum.bootstrap.servers=${Array.from({ length: plan.nodes }, (_, index) => `${addressOf(index + 1)}:${CONTROLLER_PORT}`).join()}`] : []),
    ...(plan.nodes > 1 && !plan.dynamicVoters ? [`controller.quorum.voters=${voters.join()}`] : []),
    ...plan.settings,
  ];
}
