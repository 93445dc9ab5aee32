/**
 * Several real quorums, each on its own disk, in one process: requests pass through the codec from one to the other, time moves when it is told to.
 */
import { decodeBuffer, encodeBuffer } from '../../../protocol/compile.ts';
import type { AnyApi, AnyMessage, Api, Input, Value } from '../../../protocol/schema.ts';
import type { Peer } from '../../../src/peer/peer.ts';
import { formatDirectory } from '../../../src/quorum/bootstrap.ts';
import { openQuorum, type Quorum } from '../../../src/quorum/quorum.ts';
import { ConnectionError } from '../../../src/runtime/connection-error.ts';
import type { Runtime } from '../../../src/runtime/runtime.ts';
import { Settings, type SettingInput } from '../../../src/settings.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { seededRandom } from '../coordinator/world.ts';
import { CLUSTER_ID, DIRECTORY } from './world.ts';

export const PORT = 9090;

interface Waiting {
  readonly atMs: number;
  readonly run: () => void;
}

export interface MemberOptions {
  readonly roles?: readonly ('broker' | 'controller')[];
  readonly settings?: Readonly<Record<string, SettingInput>>;
  /** Those of a dynamic quorum that the directory is formatted with; null for settings that name them. */
  readonly initialVoters?: readonly number[] | null;
}

export class ClusterWorld {
  readonly disks = new Map<number, MemoryDisk>();
  readonly quorums = new Map<number, Quorum>();
  /** Of those whose directories are not the first that they had. */
  readonly directoryIds = new Map<number, string>();
  readonly lines: string[] = [];
  readonly failures: unknown[] = [];
  /** Nodes that nobody reaches, and that reach nobody. */
  readonly cutOff = new Set<number>();
  /** Of requests that were sent: name, from, to. */
  readonly sent: { readonly api: string; readonly from: number; readonly to: number }[] = [];
  nowMs = 1_700_000_000_000;
  #timers: Waiting[] = [];
  /** How often each was killed: what is left of it in this process is heard by nobody. */
  readonly #lives = new Map<number, number>();

  directoryId(id: number): string {
    return this.directoryIds.get(id) ?? Buffer.alloc(16, id).toString('base64url');
  }

  runtime(id: number): Runtime {
    const disk = this.disks.get(id) ?? new MemoryDisk();
    this.disks.set(id, disk);
    const timers = {
      after: (delayMs: number, run: () => void) => {
        const waiting = { atMs: this.nowMs + delayMs, run };
        this.#timers.push(waiting);
        return { cancel: () => void (this.#timers = this.#timers.filter((one) => one !== waiting)) };
      },
      soon: (run: () => void) => void setImmediate(run),
    };
    return { clock: { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs }, timers, random: seededRandom(id), disk, network: undefined as never };
  }

  /** Starts a node; the promise resolves when it knows a leader, for which time must pass. */
  async open(id: number, { roles = ['controller'], settings = {}, initialVoters = null }: MemberOptions = {}): Promise<Quorum> {
    const runtime = this.runtime(id);
    if (runtime.disk.status(`${DIRECTORY}/meta.properties`) === undefined) {
      const voters =
        initialVoters === null
          ? null
          : {
              kraftVersion: 1,
              voters: {
                version: 0,
                voters: initialVoters.map((voterId) => ({
                  voterId, voterDirectoryId: this.directoryId(voterId), endpoints: [{ name: 'CONTROLLER', host: 'node', port: PORT + voterId }],
                  kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 },
                })),
              },
            };
      formatDirectory({ disk: runtime.disk, directory: DIRECTORY, clusterId: CLUSTER_ID, nodeId: id, directoryId: this.directoryId(id), nowMs: this.nowMs, voters });
    }
    const log = (line: string): void => void this.lines.push(`${id}: ${line}`);
    return openQuorum({
      runtime, directory: DIRECTORY, settings: Settings.from({ production: true, values: { 'node.id': id, 'controller.listener.names': 'CONTROLLER', ...settings } }), nodeId: id,
      clusterId: CLUSTER_ID, directoryId: this.directoryId(id), logger: { info: log, warn: log, error: log }, roles, onFailure: (error) => void this.failures.push(error),
      controllerEndpoints: roles.includes('controller') ? [{ name: 'CONTROLLER', host: 'node', port: PORT + id, securityProtocol: 0 }] : [],
      peerOf: ({ port }) => this.#peer(id, port - PORT, this.#lives.get(id)) as unknown as Peer,
      onOpened: (quorum) => void this.quorums.set(id, quorum),
    });
  }

  /** The nodes, once all of them know a leader. */
  async openAll(ids: readonly number[], options: MemberOptions = {}): Promise<Quorum[]> {
    const opening = Promise.all(ids.map((id) => this.open(id, options)));
    let isOpen = false;
    void opening.then(() => (isOpen = true), () => (isOpen = true));
    await this.until(() => isOpen);
    return opening;
  }

  async close(id: number): Promise<void> {
    const closing = this.quorums.get(id)!.close();
    let isClosed = false;
    void closing.then(() => (isClosed = true));
    await this.until(() => isClosed);
    this.quorums.delete(id);
  }

  /** As kill -9 and power loss together: nothing more is heard of it, and its disk has what was synced. */
  kill(id: number): void {
    this.quorums.delete(id);
    this.#lives.set(id, (this.#lives.get(id) ?? 0) + 1);
  }

  leader(): Quorum | undefined {
    return [...this.quorums.values()].find((quorum) => quorum.controller?.isActive === true);
  }

  /** Lets all happen that can happen now. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Time goes by in steps until it is so. */
  async until(isSo: () => boolean, { stepMs = 10, limitMs = 30_000 } = {}): Promise<void> {
    const endMs = this.nowMs + limitMs;
    for (await this.settle(); !isSo(); await this.pass(stepMs)) {
      if (this.nowMs > endMs) throw new Error(`it did not come about in ${limitMs} ms\n${this.lines.join('\n')}`);
    }
  }

  async pass(byMs: number): Promise<void> {
    this.nowMs += byMs;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { run } of due) run();
    await this.settle();
  }

  #peer(from: number, to: number, life: number | undefined) {
    const isGone = (): boolean => this.cutOff.has(from) || this.cutOff.has(to) || this.#lives.get(from) !== life;
    return {
      versionOf: async (api: AnyApi) => api.request.versions.max,
      disconnect() {},
      request: async <Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, input: Input<Q>): Promise<Value<S>> => {
        const version = api.request.versions.max;
        if (isGone()) throw new ConnectionError(`node ${to} is not reached`);
        this.sent.push({ api: api.name, from, to });
        const request = decodeBuffer(api.request, version, encodeBuffer<any>(api.request, version, input));
        const target = this.quorums.get(to);
        if (target === undefined) throw new ConnectionError(`nobody is at node ${to}`);
        const response = await this.answer(target, api.name, request, version);
        if (isGone() || this.quorums.get(to) !== target) throw new ConnectionError(`node ${to} is gone`);
        return decodeBuffer(api.response, version, encodeBuffer<any>(api.response, version, response)) as Value<S>;
      },
    };
  }

  async answer(target: Quorum, api: string, request: any, apiVersion: number): Promise<any> {
    const context = { apiVersion, listener: 'CONTROLLER' };
    switch (api) {
      case 'Vote':
        return target.requests.vote(request, context);
      case 'BeginQuorumEpoch':
        return target.requests.beginQuorumEpoch(request, context);
      case 'EndQuorumEpoch':
        return target.requests.endQuorumEpoch(request, context);
      case 'Fetch':
        return target.requests.fetch(request, context);
      case 'FetchSnapshot':
        return target.requests.fetchSnapshot(request, context);
      case 'UpdateRaftVoter':
        return target.requests.updateRaftVoter(request, context);
      case 'AddRaftVoter':
        return target.requests.addRaftVoter(request);
      case 'RemoveRaftVoter':
        return target.requests.removeRaftVoter(request);
      case 'ApiVersions':
        return { errorCode: 0, apiKeys: [], supportedFeatures: [{ name: 'kraft.version', minVersion: 0, maxVersion: 1 }] };
      default:
        throw new Error(`nobody answers ${api} here`);
    }
  }
}

export function staticVoters(ids: readonly number[]): string {
  return ids.map((id) => `${id}@node:${PORT + id}`).join(',');
}
