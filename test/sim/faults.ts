/**
 * Carries out the faults of a plan on a cluster, and takes all of them back.
 *
 * Promises: a fault that takes data away (power, a disk that fails, a wiped one) is left out unless every partition has all its replicas in sync, and until that is so again no other
 * node ends without stopping in order: the controller takes every broker that did for one that has lost data (KIP-966), and min.insync.replicas of 2 promises to survive
 * one of those. One whose files were damaged has lost data until it has another disk. Whatever else may come at any time and together. `heal` leaves a world without
 * faults: all nodes up, all ways free, all disks well but for the damage, which each node finds or never meets.
 * Does not: decide what happens when; the plan has.
 */
import { DataDirectoryError } from '../../src/data-directories.ts';
import { MetadataError } from '../../src/quorum/metadata-log.ts';
import { Seeded } from '../storage/seeded.ts';
import { damage } from './damage.ts';
import type { DiskCall } from './disk.ts';
import { quorumLeader } from './invariants.ts';
import type { Invariants } from './invariants.ts';
import { BROKER_PORT, CONTROLLER_PORT } from './node.ts';
import type { SimNode } from './node.ts';
import type { SimNetwork } from './network.ts';
import { TOPIC } from './plan.ts';
import type { Fault, FaultKind, Plan, Target } from './plan.ts';
import { directoryIdOf, votersOf } from './voters.ts';
import type { World } from './world.ts';

export interface Cluster {
  readonly world: World;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly invariants: Invariants;
  readonly plan: Plan;
  /** Addresses of clients, which partitions keep away from nodes too. */
  readonly clientAddresses: readonly string[];
  /** What takes a client rather than a node. */
  admin(fault: Fault): void;
  killClient(choice: number): void;
}

/** After these a node comes back as one that may have lost data. */
const UNCLEAN: ReadonlySet<FaultKind> = new Set<FaultKind>(['kill', 'kill all', 'move voter', 'contest', 'disk full', 'disk error', 'power', 'power in a turn', 'wipe', 'damage', 'damage while it runs', 'damage to metadata']);
/** And after these it has. */
const LOSING: ReadonlySet<FaultKind> = new Set<FaultKind>(['power', 'power in a turn', 'wipe', 'disk error', 'damage', 'damage while it runs', 'damage to metadata']);

export class Faults {
  readonly #cluster: Cluster;
  /** How often each kind was carried out. */
  readonly done = new Map<string, number>();
  #healed = false;
  /** The node that has lost data last, until all is well again. */
  #lossOf: SimNode | null = null;
  /** Nodes whose disk has said EIO in this life: their directories may be offline for good. */
  readonly #suspects = new Set<SimNode>();
  readonly #full = new Set<SimNode>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    for (const node of cluster.nodes) node.onExit = (error) => this.#exited(node, error);
  }

  plan(): void {
    const { world, plan } = this.#cluster;
    // Counted from now.
    for (const fault of plan.faults) world.at(fault.atMs, null, 'fault', () => this.#healed || this.#apply(fault));
  }

  #apply(fault: Fault): void {
    const { world, network } = this.#cluster;
    // A voter without its disk has forgotten its votes: where it keeps its name among the voters, only the last node, which is none, may lose everything.
    const isLast = fault.kind === 'wipe' && !this.#cluster.plan.dynamicVoters;
    const node = isLast ? this.#cluster.nodes.at(-1) : this.#find(fault.kind === 'rolling' || fault.kind === 'contest' ? 'controller' : fault.target);
    const other = this.#cluster.nodes[(fault.other - 1) % this.#cluster.nodes.length]!;
    if (node === undefined) return;
    if (UNCLEAN.has(fault.kind) && !this.#mayCrash(fault.kind, node)) return;
    if (!this.#perform(fault, node, other, world, network)) return;
    if (LOSING.has(fault.kind)) this.#lossOf = node;
    world.trace(() => `FAULT ${fault.kind} on node ${node.id} (other ${other.id}) for ${fault.ms} ms`);
    this.done.set(fault.kind, (this.done.get(fault.kind) ?? 0) + 1);
  }

  /** False when it cannot be done now. */
  #perform(fault: Fault, node: SimNode, other: SimNode, world: World, network: SimNetwork): boolean {
    const { ms, choice } = fault;
    const { nodes } = this.#cluster;
    const later = (call: () => void): void => void world.at(ms, null, 'fault ends', () => this.#healed || call());
    switch (fault.kind) {
      case 'kill':
        if (!node.isAlive) return false;
        node.kill();
        later(() => node.start());
        return true;
      case 'kill all':
        for (const each of this.#cluster.nodes) {
          each.kill();
          this.#restartLater(each, ms * new Seeded(each.id + Math.floor(choice * 1000)).next());
        }
        return true;
      case 'stop': {
        if (node.broker === null) return false;
        // A stop that hangs is ended as an impatient operator does.
        const process = node.process;
        void node.stop().then(() => this.#restartLater(node, ms));
        world.at(15_000, null, 'patience ends', () => {
          if (node.process !== process || process === null) return;
          node.kill();
          node.start();
        });
        return true;
      }
      case 'pause':
        if (!node.isAlive) return false;
        node.pause();
        later(() => node.resume());
        return true;
      case 'power':
        if (!this.#mayLose(node)) return false;
        node.losePower();
        later(() => node.start());
        return true;
      case 'power in a turn':
        if (!this.#mayLose(node)) return false;
        node.losePowerAfter(Math.floor(choice * 40), () => world.at(ms, null, 'fault ends', () => node.start()));
        return true;
      case 'wipe':
        if (!this.#mayForget(node) || !this.#mayLose(node)) return false;
        node.wipe();
        later(() => node.start());
        return true;
      case 'damage':
        // Some find it after a stop in order, when nothing is looked at, some after a crash.
        if (!this.#mayLose(node)) return false;
        if (choice < 0.5) void node.stop().then(() => this.#damageAndStart(node, fault));
        else {
          node.kill();
          this.#damageAndStart(node, fault);
        }
        return true;
      case 'damage while it runs':
        if (!this.#mayLose(node) || !this.#damage(node, fault)) return false;
        // What this process has written itself it does not look at again: the next one does.
        later(() => this.#restart(node));
        return true;
      case 'damage to metadata':
        // Who has to be replaced must be one that may be.
        if (!this.#mayForget(node) || !this.#mayLose(node)) return false;
        node.kill();
        this.#damageAndStart(node, fault);
        return true;
      case 'isolate':
        this.#block([node.address], this.#othersOf([node], choice < 0.5), choice < 0.8, true);
        later(() => this.#block([node.address], this.#othersOf([node], true), true, false));
        return true;
      case 'one way':
        if (node === other) return false;
        network.setBlocked(node.address, other.address, true);
        later(() => network.setBlocked(node.address, other.address, false));
        return true;
      case 'split':
        if (node === other) return false;
        this.#block([node.address], [other.address], true, true);
        later(() => this.#block([node.address], [other.address], true, false));
        return true;
      case 'contest': {
        // Two voters who do not hear each other stand for election, and the third comes back while both ask for its vote.
        const [one, two] = nodes.filter((each) => each.isVoter && each !== node);
        if (one === undefined || two === undefined || !node.isAlive) return false;
        this.#block([one.address], [two.address], true, true);
        node.kill();
        this.#restartLater(node, 100 + choice * 600);
        later(() => this.#block([one.address], [two.address], true, false));
        return true;
      }
      case 'apart':
        // The quorum and the clients do not see it: who does not replicate stays in sync until its lag is too long, and may be elected meanwhile.
        this.#part(node, choice < 0.7 ? null : other, true);
        later(() => this.#part(node, null, false));
        return true;
      case 'rolling':
        this.#cutOffControllers(node, fault, new Seeded(Math.floor(choice * 1_000_000)));
        return true;
      case 'cut':
        for (const address of [...this.#cluster.nodes.map((each) => each.address), ...this.#cluster.clientAddresses]) network.cut(node.address, address, choice < 0.5);
        return true;
      case 'slow way': {
        if (node === other) return false;
        const way = network.way(node.address, other.address);
        const before = way.latencyMs;
        way.latencyMs = 20 + choice * 500;
        later(() => (way.latencyMs = before));
        return true;
      }
      case 'slow disk':
        node.disk.times = { writeMs: [1, 5 + choice * 100], syncMs: [10, 20 + choice * 400] };
        later(() => this.#healDisk(node));
        return true;
      case 'slow node':
        if (node.timers === null) return false;
        node.timers.turnMs = 5 + choice * 60;
        later(() => node.timers === null || (node.timers.turnMs = 0.2));
        return true;
      case 'disk full':
        node.disk.fault = (call) => (call === 'write' || call === 'makeDirectory' ? 'ENOSPC' : undefined);
        this.#full.add(node);
        later(() => {
          this.#full.delete(node);
          this.#healDisk(node);
        });
        return true;
      case 'disk error': {
        if (!this.#mayLose(node)) return false;
        const failing: readonly DiskCall[] = choice < 0.4 ? ['sync'] : choice < 0.7 ? ['write', 'sync'] : ['read'];
        node.disk.fault = (call) => (failing.includes(call) ? 'EIO' : undefined);
        this.#suspects.add(node);
        // A directory that has failed once stays offline: only a new start takes it back, and only of the machine is it known what the disk really has.
        later(() => {
          this.#healDisk(node);
          this.#suspects.delete(node);
          node.reboot();
          this.#restartLater(node, 500);
        });
        return true;
      }
      case 'move voter':
        // The others find it by asking where it was: as long as they have not heard of where it is, the quorum must do without it (KIP-853).
        if (!node.isAlive || this.#hasMoved(node) || !this.#allVotersAreThere(3)) return false;
        node.kill();
        node.controllerPort = node.controllerPort === CONTROLLER_PORT ? CONTROLLER_PORT + 1 : CONTROLLER_PORT;
        later(() => node.start());
        return true;
      case 'clock':
        // Less than log.message.timestamp.after.max.ms, beyond which records are refused.
        node.clock.offsetMs = Math.floor((choice - 0.5) * 2 * (choice < 0.3 || choice > 0.7 ? 3_000_000 : 5000));
        node.clock.drift = (choice - 0.5) * 0.02;
        return true;
      case 'kill client':
        this.#cluster.killClient(choice);
        return true;
      case 'elect':
      case 'move leader':
      case 'reassign':
      case 'create topic':
      case 'delete topic':
      case 'configure':
      case 'retain':
      case 'voters':
        this.#cluster.admin(fault);
        return true;
    }
  }

  /** A supervisor starts it again. Where it refuses to, since its metadata are damaged, an operator gives it an empty disk: that is what the refusal asks for. */
  #exited(node: SimNode, error: unknown): void {
    if (node.isDamaged && (error instanceof MetadataError || error instanceof DataDirectoryError)) {
      this.#cluster.world.trace(() => `node ${node.id} refuses to start: ${error.message}`);
      this.done.set('refusals', (this.done.get('refusals') ?? 0) + 1);
      node.wipe();
    }
    this.#restartLater(node, 300);
  }

  #damageAndStart(node: SimNode, fault: Fault): void {
    // A stop may take until after the faults.
    if (!this.#healed) this.#damage(node, fault);
    this.#restartLater(node, fault.ms);
  }

  #damage(node: SimNode, { kind, choice }: Fault): boolean {
    const { world } = this.#cluster;
    const random = new Seeded(Math.floor(choice * 0x7fff_ffff));
    for (let attempt = 0; attempt < 20; attempt++) {
      const done = damage(node.disk, random, { ofMetadata: kind === 'damage to metadata' });
      if (done === null) continue;
      node.isDamaged = true;
      world.trace(() => `DAMAGE to node ${node.id}: ${done}`);
      return true;
    }
    return false;
  }

  /** Ends all faults; nodes that are down come back. */
  heal(): void {
    const { world, network, nodes, plan } = this.#cluster;
    this.#healed = true;
    world.trace(() => 'HEALED');
    const addresses = [...nodes.map((node) => node.address), ...this.#cluster.clientAddresses];
    for (const from of addresses) {
      for (const to of addresses) {
        if (from === to) continue;
        network.setBlocked(from, to, false);
        network.setPortBlocked(from, to, BROKER_PORT, false);
        network.way(from, to).latencyMs = plan.network.latencyMs;
      }
    }
    for (const node of nodes) {
      this.#healDisk(node);
      if (node.timers !== null) node.timers.turnMs = 0.2;
      node.resume();
      if (this.#suspects.has(node)) node.reboot();
      if (node.isDamaged) node.kill();
      if (!node.isAlive) this.#restartLater(node, 100);
    }
  }

  #restart(node: SimNode): void {
    node.kill();
    this.#restartLater(node, 500);
  }

  #healDisk(node: SimNode): void {
    node.disk.fault = () => undefined;
    node.disk.times = { writeMs: [0.02, 0.3], syncMs: [0.2, 2] };
  }

  #restartLater(node: SimNode, ms: number): void {
    this.#cluster.world.at(ms, null, 'restart', () => node.start());
  }

  /** Whether brokers can fetch from the node, or it from them; `other` is null for all. */
  #part(node: SimNode, other: SimNode | null, blocked: boolean): void {
    const { network, nodes } = this.#cluster;
    for (const each of nodes) {
      if (each === node || (other !== null && each !== other)) continue;
      network.setPortBlocked(node.address, each.address, BROKER_PORT, blocked);
      network.setPortBlocked(each.address, node.address, BROKER_PORT, blocked);
    }
  }

  /**
   * Cuts the controller off, and each that is elected after it, shortly after it was; the one before it is free again then. Each leaves an end of its log that the
   * others lack (Raft, figure 8).
   */
  #cutOffControllers(first: SimNode, fault: Fault, random: Seeded): void {
    const { world, nodes } = this.#cluster;
    const untilMs = world.nowMs + fault.ms;
    let cutOff: SimNode | null = null;
    let epoch = -1;
    const cut = (node: SimNode | null): void => {
      if (cutOff !== null) this.#block([cutOff.address], this.#othersOf([cutOff], true), true, false);
      cutOff = this.#healed ? null : node;
      if (cutOff !== null) this.#block([cutOff.address], this.#othersOf([cutOff], false), true, true);
      if (node === null || cutOff === null) return;
      world.trace(() => `FAULT rolling: node ${node.id} is cut off`);
      for (let times = random.below(3); times > 0; times--) this.#cluster.admin({ ...fault, kind: 'configure', target: node.id, choice: random.next() });
    };
    const look = (): void => {
      if (this.#healed || world.nowMs >= untilMs) return cut(null);
      const leader = nodes.find(({ id, broker }) => broker !== null && quorumLeader(broker).leaderId === id && quorumLeader(broker).epoch > epoch);
      if (leader?.broker == null) return void world.at(3, null, 'looks for a controller', look);
      ({ epoch } = quorumLeader(leader.broker));
      world.at(random.next() ** 2 * 60, null, 'cuts a controller off', () => {
        if (!this.#healed && world.nowMs < untilMs) cut(leader);
        look();
      });
    };
    if (first.broker !== null) epoch = quorumLeader(first.broker).epoch;
    cut(first);
    look();
  }

  #othersOf(nodes: readonly SimNode[], withClients: boolean): string[] {
    const others = this.#cluster.nodes.filter((node) => !nodes.includes(node)).map((node) => node.address);
    return withClients ? [...others, ...this.#cluster.clientAddresses] : others;
  }

  #block(some: readonly string[], others: readonly string[], bothWays: boolean, blocked: boolean): void {
    const { network } = this.#cluster;
    for (const a of some) {
      for (const b of others) {
        network.setBlocked(a, b, blocked);
        if (bothWays) network.setBlocked(b, a, blocked);
      }
    }
  }

  #find(target: Target): SimNode | undefined {
    const { nodes, invariants } = this.#cluster;
    if (typeof target === 'number') return nodes[(target - 1) % nodes.length];
    if (target === 'controller') return nodes.find((node) => node.broker !== null && quorumLeader(node.broker).leaderId === node.id) ?? nodes[0];
    const image = invariants.newest;
    const topic = target === 'coordinator' ? '__consumer_offsets' : TOPIC;
    const leader = image?.topic(topic)?.partitions[0]?.leader;
    return nodes.find((node) => node.id === leader) ?? nodes[0];
  }

  /** Whether the node may end without stopping in order. */
  #mayCrash(kind: FaultKind, node: SimNode): boolean {
    if (this.#lossOf !== null && this.#isWell()) this.#lossOf = null;
    const lost = this.#lossOf ?? this.#damaged;
    return lost === null || (lost === node && kind !== 'kill all');
  }

  /** The one node whose files are damaged: what of it nobody has found yet is as good as lost, however well all looks. */
  get #damaged(): SimNode | null {
    return this.#cluster.nodes.find(({ isDamaged }) => isDamaged) ?? null;
  }

  /** Whether the quorum goes on, without a vote given twice, when the node forgets all: it does not vote, or its next disk does not, and enough others do. */
  #mayForget(node: SimNode): boolean {
    const { plan } = this.#cluster;
    if (!plan.dynamicVoters) return node.id > 3;
    return !this.#hasMoved() && this.#allVotersAreThere(this.#voters()?.has(node.id) === true ? 3 : 1);
  }

  /** Some controller besides this one listens elsewhere than in the beginning. */
  #hasMoved(besides?: SimNode): boolean {
    return this.#cluster.nodes.some((node) => node !== besides && node.controllerPort !== CONTROLLER_PORT);
  }

  /** There are at least so many. Those whose disks are gone count among the voters until an operator has taken them out. */
  #allVotersAreThere(least: number): boolean {
    const voters = this.#voters();
    return voters !== null && voters.size >= least && [...voters].every(([id, directory]) => this.#cluster.nodes.some((one) => one.id === id && directoryIdOf(id, one.wipes) === directory));
  }

  #voters(): ReadonlyMap<number, string> | null {
    const { nodes } = this.#cluster;
    const leader = nodes.find(({ broker, id }) => broker !== null && quorumLeader(broker).leaderId === id);
    return leader === undefined ? null : votersOf(leader.broker!);
  }

  /** Whether the data of this node may be lost: every replica of every partition is in sync, as the newest metadata has it and as its brokers are. */
  #mayLose(node: SimNode): boolean {
    return this.#cluster.plan.nodes >= 3 && node.broker !== null && (this.#damaged === null || this.#damaged === node) && this.#isWell();
  }

  #isWell(): boolean {
    const { nodes, invariants } = this.#cluster;
    if (this.#suspects.size > 0 || this.#full.size > 0 || nodes.some((each) => each.disk.willLosePower)) return false;
    if (nodes.some((other) => other.broker === null || other.process?.state !== 'running')) return false;
    const image = invariants.newest;
    if (image === null) return false;
    for (const topic of image.topics.values()) {
      for (const partition of topic.partitions) {
        if (partition.isr.length < Math.min(3, partition.replicas.length) || partition.replicas.length < 3) return false;
      }
    }
    return [...image.brokers.values()].every((broker) => !broker.fenced);
  }
}
