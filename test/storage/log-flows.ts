/**
 * What a broker does to a log, as short scripts: the crash and fault tests run each of them once and then ask about every call in it.
 *
 * Promises: the same calls each time. Every step tolerates a disk that fails, as its owner in the broker would: a log that has failed is left alone.
 */
import { tolerate } from './log-world.ts';
import type { LogWorld } from './log-world.ts';
import type { LogConfig } from '../../storage/log-config.ts';
import { isPassing } from '../../storage/log-state.ts';

export interface Flow {
  readonly name: string;
  readonly config?: Partial<LogConfig>;
  readonly run: (world: Steps) => Promise<void>;
}

/** The steps of a flow: those of the world, which fail as the disk does without ending the flow. */
export class Steps {
  readonly world: LogWorld;
  /** What failed, in order. */
  readonly errors: Error[] = [];
  #isOpen = false;

  get isOpen(): boolean {
    return this.#isOpen;
  }

  constructor(world: LogWorld) {
    this.world = world;
  }

  async open(): Promise<void> {
    // After a failure that does not pass nothing is opened again by the same machine: what its disk would say then is not to be trusted.
    if (this.world.hasFailed || !this.errors.every(isPassing)) return;
    this.#isOpen = true;
    this.#isOpen = await this.#step(() => this.world.open());
    if (!this.#isOpen) this.world.disk.kill();
  }

  /** Batches of so many records, written together. */
  async append(...counts: number[]): Promise<void> {
    await this.#step(async () => {
      for (const count of counts) this.world.append(count);
      await this.world.write();
    });
  }

  async produce(id: number, count: number, options: { isTransactional?: boolean } = {}): Promise<void> {
    await this.#step(async () => {
      this.world.append(count, { id, ...options });
      await this.world.write();
    });
  }

  async end(id: number, type: 'commit' | 'abort'): Promise<void> {
    await this.#step(async () => {
      this.world.appendMarker(id, type);
      await this.world.write();
    });
  }

  /** Appends and flushes at the same time, as a busy broker does. */
  async appendWhileFlushing(...counts: number[]): Promise<void> {
    await this.#step(async () => {
      const flushing = this.world.flush();
      for (const count of counts) {
        this.world.append(count);
        await this.world.write();
      }
      await flushing;
    });
  }

  flush = (): Promise<boolean> => this.#step(() => this.world.flush());
  checkpoint = (): Promise<boolean> => this.#step(() => this.world.checkpoint());
  roll = (): Promise<boolean> => this.#step(() => this.world.log.roll(this.world.nowMs));
  retain = (): Promise<boolean> => this.#step(() => this.world.retain());
  truncate = (offset: number): Promise<boolean> => this.#step(() => this.world.truncate(offset));
  startAt = (offset: number): Promise<boolean> => this.#step(() => this.world.startAt(offset));
  deleteRecords = (offset: number): Promise<boolean> =>
    this.#step(() => {
      this.world.deleteRecords(Math.min(offset, this.world.log.highWatermark));
    });

  async close(): Promise<void> {
    if (!(await this.#step(() => this.world.close()))) this.world.disk.kill();
    this.#isOpen = false;
  }

  async kill(): Promise<void> {
    // What runs in the background has ended by then; a kill in the middle of it is a crash like any other.
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (this.#isOpen) this.world.kill();
    this.#isOpen = false;
  }

  async #step(run: () => Promise<unknown> | unknown): Promise<boolean> {
    if (!this.#isOpen) return false;
    const error = await tolerate(run);
    if (error !== undefined) this.errors.push(error);
    return error === undefined;
  }
}

export const FLOWS: readonly Flow[] = [
  {
    name: 'append',
    async run(steps) {
      await steps.open();
      await steps.append(1);
      await steps.append(3, 1);
      await steps.append(2);
    },
  },
  {
    name: 'append and flush',
    async run(steps) {
      await steps.open();
      await steps.append(2, 1);
      await steps.flush();
      await steps.append(1);
      await steps.append(4);
      await steps.flush();
      await steps.flush();
      await steps.appendWhileFlushing(1, 2);
      await steps.append(3);
    },
  },
  {
    name: 'roll',
    config: { segmentBytes: 700 },
    async run(steps) {
      await steps.open();
      for (let round = 0; round < 4; round++) {
        steps.world.epoch = round;
        await steps.append(3, 2);
        await steps.append(4);
        if (round === 2) await steps.appendWhileFlushing(3, 3, 3);
      }
      await steps.roll();
      await steps.append(1);
      await steps.flush();
      await steps.roll();
      await steps.roll();
      await steps.append(1);
    },
  },
  {
    name: 'checkpoint',
    config: { segmentBytes: 900 },
    async run(steps) {
      await steps.open();
      await steps.checkpoint();
      await steps.append(3);
      await steps.checkpoint();
      await steps.flush();
      await steps.append(4, 4);
      await steps.checkpoint();
      await steps.append(4);
      await steps.flush();
      await steps.checkpoint();
      await steps.append(2);
    },
  },
  {
    name: 'transactions',
    config: { segmentBytes: 900 },
    async run(steps) {
      await steps.open();
      await steps.produce(1, 2, { isTransactional: true });
      await steps.produce(2, 1);
      await steps.produce(3, 2, { isTransactional: true });
      await steps.end(1, 'abort');
      await steps.append(2);
      await steps.flush();
      await steps.end(3, 'commit');
      await steps.produce(1, 4, { isTransactional: true });
      await steps.produce(3, 3, { isTransactional: true });
      await steps.produce(2, 3);
      await steps.end(3, 'abort');
      await steps.flush();
      await steps.checkpoint();
      await steps.append(5);
      await steps.end(1, 'abort');
      await steps.produce(3, 1, { isTransactional: true });
      await steps.produce(2, 1);
    },
  },
  {
    name: 'retention',
    config: { segmentBytes: 600, retentionBytes: 1_200 },
    async run(steps) {
      await steps.open();
      for (let round = 0; round < 3; round++) {
        await steps.append(4, 3);
        await steps.append(3);
        await steps.produce(round, 2);
        await steps.retain();
        await steps.append(2);
        if (round === 1) await steps.checkpoint();
      }
      await steps.flush();
      await steps.append(4, 4, 4);
      await steps.retain();
      await steps.checkpoint();
      await steps.append(1);
    },
  },
  {
    name: 'delete records',
    config: { segmentBytes: 700 },
    async run(steps) {
      await steps.open();
      await steps.append(4, 3, 2);
      await steps.flush();
      await steps.deleteRecords(5);
      await steps.checkpoint();
      await steps.append(5, 5);
      await steps.deleteRecords(12);
      await steps.retain();
      // The log start overtakes what waits to be flushed, and retention comes later.
      await steps.append(4);
      await steps.deleteRecords(21);
      await steps.append(3);
      await steps.flush();
      await steps.retain();
      await steps.append(3);
      await steps.checkpoint();
      await steps.flush();
      await steps.append(3, 3);
      await steps.deleteRecords(Infinity);
      await steps.retain();
      await steps.checkpoint();
      await steps.append(1);
    },
  },
  {
    name: 'truncate',
    config: { segmentBytes: 700 },
    async run(steps) {
      await steps.open();
      await steps.append(3, 2, 3);
      await steps.flush();
      await steps.checkpoint();
      steps.world.epoch = 1;
      await steps.append(2, 2);
      await steps.truncate(9);
      steps.world.epoch = 2;
      await steps.append(4, 3);
      await steps.flush();
      await steps.append(5, 5);
      await steps.truncate(4);
      steps.world.epoch = 3;
      await steps.append(3);
      await steps.produce(1, 2);
      await steps.append(4, 4);
      await steps.flush();
      await steps.truncate(14);
      await steps.append(1);
    },
  },
  {
    name: 'truncate and go on in the same epoch',
    config: { segmentBytes: 900 },
    async run(steps) {
      await steps.open();
      await steps.append(2, 2);
      steps.world.epoch = 1;
      await steps.append(3, 2);
      await steps.flush();
      await steps.checkpoint();
      await steps.truncate(2);
      // As a follower does whose leader of epoch 1 has another log.
      await steps.append(1, 4);
      await steps.checkpoint();
      await steps.append(2);
      await steps.flush();
      await steps.truncate(3);
      steps.world.epoch = 4;
      await steps.append(1);
    },
  },
  {
    name: 'truncate transactions',
    config: { segmentBytes: 500 },
    async run(steps) {
      await steps.open();
      await steps.produce(1, 1, { isTransactional: true });
      await steps.append(2);
      await steps.close();
      await steps.open();
      await steps.truncate(1);
      await steps.end(1, 'commit');
      await steps.append(3);
      await steps.produce(1, 1, { isTransactional: true });
      await steps.produce(2, 3);
      await steps.end(1, 'abort');
      await steps.append(3);
      await steps.produce(1, 1, { isTransactional: true });
      await steps.flush();
      await steps.checkpoint();
      // The snapshots of what is cut must not come back beside what takes its place.
      await steps.truncate(9);
      await steps.append(1);
      await steps.append(3);
      await steps.produce(1, 1, { isTransactional: true });
      await steps.append(3);
      await steps.flush();
      await steps.end(1, 'commit');
    },
  },
  {
    name: 'begin anew',
    config: { segmentBytes: 700 },
    async run(steps) {
      await steps.open();
      await steps.append(4, 4, 2);
      await steps.flush();
      await steps.checkpoint();
      await steps.startAt(40);
      await steps.append(2);
      await steps.checkpoint();
      await steps.append(3);
      await steps.flush();
      // Where it starts already: the file of the old batches is that of the new ones.
      await steps.startAt(40);
      await steps.append(1);
    },
  },
  {
    name: 'begin anew before the start',
    config: { segmentBytes: 700 },
    async run(steps) {
      await steps.open();
      await steps.append(4, 4, 2);
      await steps.deleteRecords(9);
      await steps.retain();
      await steps.checkpoint();
      await steps.startAt(5);
      await steps.append(2);
      await steps.flush();
      await steps.append(1);
      await steps.deleteRecords(7);
      await steps.checkpoint();
      await steps.truncate(6);
      await steps.append(1);
      await steps.flush();
    },
  },
  {
    name: 'stop and start',
    config: { segmentBytes: 900 },
    async run(steps) {
      await steps.open();
      await steps.append(4, 4);
      await steps.produce(5, 2, { isTransactional: true });
      await steps.close();
      await steps.open();
      await steps.append(2);
      await steps.end(5, 'abort');
      await steps.close();
      await steps.open();
      await steps.append(1);
    },
  },
  {
    name: 'kill and start',
    config: { segmentBytes: 900 },
    async run(steps) {
      await steps.open();
      await steps.append(4);
      await steps.produce(5, 2, { isTransactional: true });
      await steps.flush();
      await steps.append(4);
      await steps.end(5, 'abort');
      await steps.kill();
      await steps.open();
      await steps.flush();
      await steps.checkpoint();
      await steps.append(3, 3);
      await steps.kill();
      await steps.open();
      await steps.append(1);
      await steps.close();
      await steps.open();
      await steps.append(2);
    },
  },
];
