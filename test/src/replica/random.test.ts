/**
 * Replicas under random misfortune: brokers that are killed and come back, networks that are cut one way, metadata that come late, leaders that change, disks that are
 * full for a while, all by a seed.
 * What was acknowledged to acks=all is there in the end, once and in order, on every replica, and all replicas are equal.
 *
 * `OTTLA_REPLICA_SEEDS=1000-2000` runs others.
 */
import { expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { DiskError } from '../../../storage/disk.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { ConnectionError } from '../../../src/runtime/connection-error.ts';
import { newRecord } from '../../../src/quorum/records.ts';
import { testBatch } from '../../storage/log-fixture.ts';
import { ClusterWorld } from './cluster-world.ts';

const [from, to] = (process.env['OTTLA_REPLICA_SEEDS'] ?? '1-40').split('-').map(Number) as [number, number];
const STEPS = 60;
const IDS = [1, 2, 3];

/** mulberry32 */
function dice(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

class Course {
  readonly world: ClusterWorld;
  readonly story: string[] = [];
  readonly acknowledged: string[] = [];
  readonly disks = new Map<number, MemoryDisk>();
  readonly full = new Set<number>();
  readonly highest = new Map<string, number>();
  #values = 0;
  #brokerEpoch = 1000;
  readonly #roll: (below: number) => number;

  constructor(seed: number) {
    this.#roll = dice(seed);
    this.world = new ClusterWorld({ settings: { 'replica.lag.time.max.ms': 3000, 'min.insync.replicas': 1 + (seed % 2) } });
  }

  #some<T>(of: readonly T[]): T {
    return of[this.#roll(of.length)]!;
  }

  get alive(): number[] {
    return [...this.world.brokers.keys()];
  }

  async begin(): Promise<void> {
    for (const id of IDS) this.disks.set(id, this.world.start(id, this.#diskOf(id)).disk);
    this.world.create({ leader: 1, leaderEpoch: 0 });
    await this.world.settle();
    // Changes of in-sync replicas are made, and told late, or to whoever asked not at all.
    this.world.answer = (request) => {
      const answer = this.world.alter(request, this.#late());
      const isr = this.world.state().isr.join(',');
      if (this.#roll(3) > 0) return answer;
      this.story.push(`the answer to ${request.brokerId} is lost; in sync are ${isr}`);
      throw new ConnectionError('lost');
    };
  }

  #diskOf(id: number): MemoryDisk {
    const disk = new MemoryDisk();
    const { open } = disk;
    disk.open = (path, mode) => {
      const file = open.call(disk, path, mode);
      const { writeSync } = file;
      file.writeSync = (buffers, position) => {
        if (this.full.has(id) && path.endsWith('.log')) throw new DiskError('ENOSPC', path, 'write');
        writeSync.call(file, buffers, position);
      };
      return file;
    };
    return disk;
  }

  async step(): Promise<void> {
    const { world } = this;
    const kind = this.#roll(16);
    if (kind < 5) this.#produce();
    else if (kind === 5) this.#cut();
    else if (kind === 6) world.cut.clear();
    else if (kind === 14) await this.#isolate();
    else if (kind === 15) this.#fill();
    else if (kind === 7 && this.alive.length > 1) this.#kill(this.#some(this.alive));
    else if (kind === 8) this.#revive();
    else if (kind === 9) this.#elect(this.#late());
    else if (kind === 10) for (const id of this.alive) world.publish(id);
    else await world.after(this.#some([1, 20, 300, 1100, 2500]));
    if (this.#roll(3) === 0) await world.settle();
    this.#note();
  }

  #produce(): void {
    for (const id of this.alive) {
      const partition = this.world.broker(id).partition();
      // Whoever believes to lead takes records; two may.
      if (!partition.isLeader || !partition.hasEnoughReplicas) continue;
      const value = `v${this.#values++}`;
      const appended = partition.append(testBatch({ values: [value] }), 'client', this.world.time.wallMs());
      if (appended.error !== ErrorCode.NONE) continue;
      partition.whenCommitted(appended.lastOffset + 1, (code) => {
        if (code === ErrorCode.NONE) this.acknowledged.push(`${appended.lastOffset}:${value}`);
      });
      this.story.push(`produce ${value} at ${id}`);
    }
  }

  #cut(): void {
    const [one, other] = [this.#some(IDS), this.#some([...IDS.map(String), 'controller'])];
    this.story.push(`cut ${one} > ${other}`);
    this.world.cut.add(`${one} > ${other}`);
  }

  #fill(): void {
    const id = this.#some(IDS);
    if (!this.full.delete(id)) this.full.add(id);
    this.story.push(`the disk of ${id} is ${this.full.has(id) ? 'full' : 'not full any more'}`);
  }

  /** The leader loses a follower and the controller for longer than a lag may last, takes records, and is succeeded by that follower. */
  async #isolate(): Promise<void> {
    const { leader, isr } = this.world.state();
    const follower = this.#some(IDS.filter((id) => id !== leader));
    this.story.push(`${leader} loses ${follower} and the controller`);
    this.world.cut.add(`${leader} > controller`).add(`${follower} > ${leader}`);
    await this.world.after(this.#some([2000, 4000, 6000]));
    this.#produce();
    await this.world.settle();
    if (isr.includes(follower) && this.alive.includes(follower)) this.world.change({ leader: follower }, this.#late());
  }

  /** Whom the metadata do not reach at once. */
  #late(): number[] {
    return this.alive.filter(() => this.#roll(3) > 0);
  }

  #kill(id: number): void {
    this.story.push(`kill ${id}`);
    const { world } = this;
    world.broker(id).kill();
    world.brokers.delete(id);
    world.epochs.delete(id);
    this.world.apply([newRecord('BrokerRegistrationChangeRecord', { brokerId: id, brokerEpoch: world.image.brokers.get(id)!.epoch, fenced: 1 } as never)], []);
    const { isr, leader } = world.state();
    const rest = isr.filter((one) => one !== id);
    if (leader === id) world.change({ leader: rest.find((one) => this.alive.includes(one)) ?? -1, ...(rest.length > 0 && { isr: rest }) }, this.#late());
    else if (rest.length > 0 && rest.length < isr.length) world.change({ isr: rest }, this.#late());
  }

  #revive(): void {
    const dead = IDS.filter((id) => !this.alive.includes(id));
    if (dead.length === 0) return;
    const id = this.#some(dead);
    this.story.push(`start ${id}`);
    this.world.register(id, null, this.#brokerEpoch++);
    this.world.start(id, this.disks.get(id)!);
    const { leader, isr } = this.world.state();
    if (leader < 0 && isr.includes(id)) this.world.change({ leader: id });
  }

  /** From the in-sync replicas, as a clean election does. */
  #elect(reached: readonly number[]): void {
    const { isr } = this.world.state();
    const able = isr.filter((id) => this.alive.includes(id));
    if (able.length === 0) return;
    const leader = this.#some(able);
    this.story.push(`elect ${leader}, told to ${reached.join(',')}`);
    this.world.change({ leader }, reached);
  }

  /** High watermarks of a leader do not fall within its epoch. */
  #note(): void {
    for (const id of this.alive) {
      const partition = this.world.broker(id).partition();
      if (!partition.isLeader) continue;
      const key = `${id} ${partition.leaderEpoch}`;
      const { highWatermark } = partition.log;
      expect(highWatermark, this.story.join('\n')).toBeGreaterThanOrEqual(this.highest.get(key) ?? 0);
      this.highest.set(key, highWatermark);
    }
  }

  async end(): Promise<void> {
    const { world } = this;
    world.cut.clear();
    world.answer = null;
    this.full.clear();
    while (this.alive.length < IDS.length) this.#revive();
    if (world.state().leader < 0) world.change({ leader: world.state().isr[0]! });
    for (const id of this.alive) world.publish(id);
    await world.after(20_000);
    const told = this.story.join('\n');
    const logs = await Promise.all(IDS.map((id) => world.broker(id).contents()));
    for (const log of logs) expect(log, told).toEqual(logs[0]);
    const found = new Set(logs[0]);
    for (const record of this.acknowledged) expect(found.has(record), `${record} of ${told}`).toBe(true);
    const values = logs[0]!.map((record) => record.slice(record.indexOf(':') + 1));
    expect(new Set(values).size, told).toBe(values.length);
    expect([...world.state().isr].sort(), told).toEqual(IDS);
    const epochs = IDS.map((id) => JSON.stringify(world.broker(id).partition().log.epochs.entries.filter(({ startOffset }) => startOffset < logs[0]!.length)));
    expect(new Set(epochs).size, `${epochs.join(' ')} ${told}`).toBe(1);
    await world.stop();
  }
}

test.each(Array.from({ length: to - from + 1 }, (_, i) => from + i))('seed %d', async (seed) => {
  const course = new Course(seed);
  await course.begin();
  for (let i = 0; i < STEPS; i++) await course.step();
  await course.end();
});
