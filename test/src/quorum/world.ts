/** The world of the quorum's tests: a clock that moves only when told, seeded randomness, and a quorum of one over any disk. */
import type { Logger } from '../../../src/runtime/logger.ts';
import type { Runtime, Timer } from '../../../src/runtime/runtime.ts';
import { Settings, type SettingInput } from '../../../src/settings.ts';
import { formatDirectory } from '../../../src/quorum/bootstrap.ts';
import type { Registration } from '../../../src/quorum/brokers.ts';
import { SUPPORTED_FEATURES } from '../../../src/quorum/features.ts';
import type { Knock } from '../../../src/quorum/lost-brokers.ts';
import type { NewTopic } from '../../../src/quorum/topic-creation.ts';
import { openQuorum, type Quorum } from '../../../src/quorum/quorum.ts';
import type { Disk } from '../../../storage/disk.ts';
import { loadMetaProperties } from '../../../storage/meta-properties.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { seededRandom } from '../coordinator/world.ts';

export const CLUSTER_ID = 'mf1aHZOZRh-ZUFscZonG_A';
export const DIRECTORY = '/data';
export const METADATA = `${DIRECTORY}/__cluster_metadata-0`;
const NODE_ID = 1;

export class QuorumWorld {
  readonly disk: Disk;
  readonly runtime: Runtime;
  readonly settings: Settings;
  readonly clusterId: string;
  readonly lines: string[] = [];
  readonly #timers = new Set<{ readonly atMs: number; readonly run: () => void }>();
  failure: unknown;
  nowMs = 1_700_000_000_000;

  constructor(options: { disk?: Disk; settings?: Readonly<Record<string, SettingInput>>; seed?: number; clusterId?: string } = {}) {
    this.clusterId = options.clusterId ?? CLUSTER_ID;
    this.disk = options.disk ?? new MemoryDisk();
    const clock = { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs };
    const timers = { after: (delayMs: number, run: () => void) => this.#after(delayMs, run), soon: (run: () => void) => void setImmediate(run) };
    this.runtime = { clock, timers, random: seededRandom(options.seed ?? 1), disk: this.disk, network: undefined as never };
    this.settings = Settings.from({ production: true, values: { 'node.id': NODE_ID, ...options.settings } });
  }

  /** Lets time pass: timers fire at their times, and what follows from each is done before the next. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((left, right) => left.atMs - right.atMs)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      await this.settle();
    }
    this.nowMs = endMs;
  }

  /** Time passes and nobody notices: the process stood still. */
  standStill(ms: number): void {
    this.nowMs += ms;
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  #after(delayMs: number, run: () => void): Timer {
    const timer = { atMs: this.nowMs + delayMs, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  get logger(): Logger {
    const note = (line: string): void => void this.lines.push(line);
    return { info: note, warn: note, error: note };
  }

  /** The id in meta.properties; formats the directory first when there is none. */
  directoryId(): string {
    const loaded = loadMetaProperties(this.disk, DIRECTORY);
    if (loaded.status === 'ok') return loaded.value.directoryId!;
    const directoryId = this.runtime.random.uuid();
    formatDirectory({ disk: this.disk, directory: DIRECTORY, clusterId: this.clusterId, nodeId: NODE_ID, directoryId, nowMs: this.nowMs });
    return directoryId;
  }

  /** What comes of connections to brokers. */
  knock: Knock = async () => 'unknown';

  async open(): Promise<Quorum> {
    return openQuorum({
      runtime: this.runtime, directory: DIRECTORY, settings: this.settings, nodeId: NODE_ID, clusterId: this.clusterId, directoryId: this.directoryId(),
      knock: (address) => this.knock(address), logger: this.logger, onFailure: (error) => (this.failure = error),
    });
  }

  registration(changes: Partial<Registration> = {}): Registration {
    return {
      brokerId: NODE_ID,
      clusterId: this.clusterId,
      incarnationId: this.runtime.random.uuid(),
      listeners: [{ name: 'PLAINTEXT', host: 'localhost', port: 9092, securityProtocol: 0 }],
      features: SUPPORTED_FEATURES.map(({ name, min, max }) => ({ name, minSupportedVersion: min, maxSupportedVersion: max })),
      rack: null,
      isMigratingZkBroker: false,
      logDirs: [this.directoryId()],
      previousBrokerEpoch: -1,
      ...changes,
    };
  }

  /** A quorum with its one broker in service. */
  async start(changes: Partial<Registration> = {}): Promise<{ quorum: Quorum; epoch: number }> {
    const quorum = await this.open();
    return { quorum, epoch: await quorum.controller!.joinCluster(this.registration(changes)) };
  }
}

export function newTopic(name: string, changes: Partial<NewTopic> = {}): NewTopic {
  return { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...changes };
}

export function topicNames(quorum: Quorum): string[] {
  return [...quorum.image().topics.keys()].sort();
}
