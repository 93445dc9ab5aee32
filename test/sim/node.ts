/**
 * One machine of the simulated cluster: its disk, its clock, and the broker that runs on it, from one life to the next.
 *
 * Promises: the broker is the real one, given a simulated Runtime; `kill` ends its process as kill -9 does, `losePower` the machine, both at once and for all that
 * was under way; a process that ends itself is told of (`onExit`) and started again only by others.
 * Does not: decide when to do any of that.
 */
import { AssertionError } from 'node:assert';
import { Broker } from '../../src/broker.ts';
import type { Logger } from '../../src/runtime/logger.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { Settings } from '../../src/settings.ts';
import type { Seeded } from '../storage/seeded.ts';
import { SimDisk } from './disk.ts';
import type { SimNetwork } from './network.ts';
import { Process, SimClock, SimTimers, simRandom } from './world.ts';
import type { World } from './world.ts';

export const DATA = '/data';
/** Where brokers listen for clients and for each other; controllers have another. */
export const BROKER_PORT = 9092;
export const CONTROLLER_PORT = 9093;
const LINES_KEPT = 400;

export interface NodeOptions {
  readonly id: number;
  /** By default one of its own. */
  readonly address?: string;
  readonly clusterId: string;
  /** `name=value` */
  readonly settings: readonly string[];
  /** Whoever gives it a disk formats it; without it the node does that itself. */
  readonly format?: (node: SimNode) => void;
}

export class SimNode {
  readonly id: number;
  readonly address: string;
  readonly disk: SimDisk;
  readonly clock: SimClock;
  /** While its process lives and has begun to serve. */
  broker: Broker | null = null;
  process: Process | null = null;
  timers: SimTimers | null = null;
  /** Lives so far. */
  lives = 0;
  /** Files on this disk were damaged: what it holds need not be what it wrote. */
  isDamaged = false;
  /** Its disk was wiped so often: what it knew before counts no more. */
  wipes = 0;
  /** The last lines of its log. */
  readonly lines: string[] = [];
  /** The process has ended without having been told to. */
  onExit: (error: unknown) => void = () => {};
  /** Where its controller listens from its next life on. */
  controllerPort = CONTROLLER_PORT;
  readonly settings: readonly string[];
  readonly #format: (node: SimNode) => void;
  readonly #world: World;
  readonly #network: SimNetwork;
  readonly #clusterId: string;
  readonly #random: Seeded;
  readonly #turns: Seeded;

  constructor(world: World, network: SimNetwork, { id, address = addressOf(id), clusterId, settings, format = () => {} }: NodeOptions) {
    this.id = id;
    this.address = address;
    this.settings = settings;
    this.#format = format;
    this.#world = world;
    this.#network = network;
    this.#clusterId = clusterId;
    this.disk = new SimDisk(world, `node ${id}`);
    this.clock = new SimClock(world, 1000 * id);
    this.#random = world.random(`node ${id}`);
    this.#turns = world.random(`turns of node ${id}`);
  }

  get isVoter(): boolean {
    return this.settings.some((setting) => setting.startsWith('process.roles=') && setting.includes('controller'));
  }

  /** Whether voters come and go (KIP-853): then being a controller does not make it one. */
  get hasDynamicVoters(): boolean {
    return this.settings.some((setting) => setting.startsWith('controller.quorum.bootstrap.servers='));
  }

  get isAlive(): boolean {
    return this.process !== null;
  }

  /** Starts a process; `broker` is there once it serves. */
  start(): void {
    if (this.process !== null) return;
    if (this.disk.peekList(DATA).length === 0) this.disk.withoutFaults(() => this.#format(this));
    const process = new Process(`node ${this.id}`);
    const timers = new SimTimers(this.#world, process, this.#turns);
    this.process = process;
    this.timers = timers;
    this.lives++;
    this.disk.usedBy(process);
    this.#network.powerUp(this.address);
    const runtime: Runtime = { clock: this.clock, timers, random: simRandom(this.#random), disk: this.disk, network: this.#network.of(this.address, process) };
    const failed = (error: unknown): void => {
      if (process.state === 'dead') return;
      this.#say(`ends: ${error instanceof Error ? error.message : String(error)}`);
      if (isBug(error)) return this.#world.fail(`node ${this.id} found a bug of its own: ${String((error as Error).stack)}`, error);
      this.kill();
      this.onExit(error);
    };
    this.#world.at(0, process, 'start', () => {
      this.#say('starts');
      Broker.start({
        runtime, dataDir: DATA, clusterId: this.#clusterId, logger: this.#logger(), onFatal: failed, settings: Settings.from({ set: this.#settingsNow(), production: true }),
      }).then((broker) => {
        if (process.state === 'dead') return;
        this.#say('serves');
        this.broker = broker;
      }, failed);
    });
  }

  /** As kill -9: what was written stays, connections are reset. */
  kill(): void {
    if (this.#end(true)) this.disk.killed();
  }

  losePower(): void {
    if (this.#end(false)) this.disk.losePower();
  }

  /** As the system ends in order, without the broker. */
  reboot(): void {
    this.#end(false);
    this.disk.reboot();
  }

  /** The power goes in the middle of whatever the node does, after so many changes of its disk. */
  losePowerAfter(changes: number, then: () => void): void {
    this.disk.cutPowerAfter(changes, () => {
      this.losePower();
      then();
    });
  }

  /** Stops in order; the process has ended when it resolves. */
  async stop(): Promise<void> {
    const { broker, process } = this;
    if (broker === null || process === null) return this.kill();
    try {
      await broker.stop();
    } catch (error) {
      if (process.state !== 'dead') this.#say(`stops badly: ${String(error)}`);
    }
    if (this.process === process) this.kill();
  }

  wipe(): void {
    this.kill();
    this.disk.wipe();
    this.isDamaged = false;
    this.wipes++;
  }

  pause(): void {
    this.process?.pause();
  }

  resume(): void {
    if (this.process?.state === 'paused') this.#world.resume(this.process);
  }

  #settingsNow(): readonly string[] {
    if (this.controllerPort === CONTROLLER_PORT) return this.settings;
    const listener = `CONTROLLER://${this.address}:`;
    return this.settings.map((setting) => setting.replace(`${listener}${CONTROLLER_PORT}`, `${listener}${this.controllerPort}`));
  }

  #end(hasPower: boolean): boolean {
    const { process } = this;
    if (process === null) return false;
    this.#say(hasPower ? 'is killed' : 'loses power');
    process.die();
    this.process = null;
    this.broker = null;
    this.timers = null;
    this.#network.end(this.address, process, hasPower);
    return true;
  }

  #say(line: string): void {
    if (this.lines.push(`${this.#world.nowMs.toFixed(3)} ${line}`) > LINES_KEPT) this.lines.shift();
    this.#world.trace(() => `node ${this.id}: ${line}`);
  }

  #logger(): Logger {
    return { info: (line) => this.#say(line), warn: (line) => this.#say(`warning: ${line}`), error: (line) => this.#say(`error: ${line}`) };
  }
}

export function addressOf(id: number): string {
  return `10.0.0.${id}`;
}

/** What no disk, network or peer can be the cause of. */
function isBug(error: unknown): boolean {
  return error instanceof AssertionError || error instanceof TypeError || error instanceof ReferenceError;
}
