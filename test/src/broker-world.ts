/** A broker in this process on a disk in memory, and a raw client that sends any version of any request. */
import { apis } from '../../protocol/messages/index.ts';
import { decodeResponseFrame, encodeRequestFrame } from '../../protocol/frame.ts';
import { buildBatch } from '../../protocol/record/build.ts';
import type { AnyApi, AnyField, Api, Fields, Input, Message, Value } from '../../protocol/schema.ts';
import { inRange, versionRange } from '../../protocol/schema.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { Broker } from '../../src/broker.ts';
import type { Logger } from '../../src/runtime/logger.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import type { Socket } from '../../src/runtime/runtime.ts';
import { Settings } from '../../src/settings.ts';
import { FrameCutter } from '../../src/runtime/frames.ts';

export interface World {
  readonly broker: Broker;
  readonly disk: MemoryDisk;
  readonly lines: string[];
  readonly port: number;
  connect(): Promise<RawClient>;
}

export const runtime = nodeRuntime();

export async function startWorld(options: { set?: readonly string[]; disk?: MemoryDisk; clusterId?: string; onFatal?: (error: unknown) => void } = {}): Promise<World> {
  const disk = options.disk ?? new MemoryDisk({ nowMs: () => Date.now() });
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const logger: Logger = { info: log, warn: log, error: log };
  const broker = await Broker.start({
    runtime: { ...runtime, disk }, dataDir: '/data', logger, clusterId: options.clusterId, onFatal: options.onFatal,
    settings: Settings.from({ set: ['listeners=PLAINTEXT://127.0.0.1:0', ...(options.set ?? [])] }),
  });
  const port = broker.ports.get('PLAINTEXT')!;
  return { broker, disk, lines, port, connect: () => RawClient.connect(port) };
}

/** One connection. Requests may be pipelined; answers come in their order. */
export class RawClient {
  readonly socket: Socket;
  closed = false;
  readonly #waiting: { take(frame: Buffer): void; fail(error: Error): void }[] = [];
  #onClosed: () => void = () => {};
  /** Resolves when the connection is gone, whoever ended it. */
  readonly gone = new Promise<void>((resolve) => (this.#onClosed = resolve));
  #correlationId = 0;

  readonly #clientId: string;

  static async connect(port: number, clientId = 'test'): Promise<RawClient> {
    return new RawClient(await runtime.network.connect({ host: '127.0.0.1', port, timeoutMs: 5000 }), clientId);
  }

  private constructor(socket: Socket, clientId: string) {
    this.socket = socket;
    this.#clientId = clientId;
    const cutter = new FrameCutter({ frameBytesMax: 1 << 30, limit: 'the test' });
    socket.onData = (chunk) => cutter.push(chunk, (frame) => (this.#waiting.shift()!.take(frame), true));
    socket.onClose = () => {
      this.closed = true;
      for (const waiting of this.#waiting.splice(0)) waiting.fail(new Error('the connection was closed'));
      this.#onClosed();
    };
  }

  async ask<Q extends Message<any>, S extends Message<any>>(api: Api<Q, S>, version: number, input: Input<Q>): Promise<Value<S>> {
    const frame = await this.send(encodeRequestFrame(api, version, { correlationId: ++this.#correlationId, clientId: this.#clientId }, input));
    return decodeResponseFrame(api, version, frame).body;
  }

  /** The whole response frame to these bytes. */
  send(frame: readonly Buffer[]): Promise<Buffer> {
    return new Promise((take, fail) => {
      this.#waiting.push({ take, fail });
      this.socket.write(frame);
    });
  }

  close(): void {
    this.socket.destroy();
  }
}

export function apiNamed(name: string): AnyApi {
  return [...apis.values()].find((api) => api.name === name)!;
}

export function batchOf(...values: string[]): Buffer {
  return buildBatch({ baseOffset: 0, records: values.map((value) => ({ timestamp: Date.now(), key: null, value: Buffer.from(value), headers: [] })) });
}

/** What a request of this version holds when nobody sets anything. */
export function defaultsOf(message: Message<any>, version: number): Record<string, unknown> {
  return structDefaults(message.fields, version);
}

function structDefaults(fields: Fields, version: number): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) if (inRange(versionRange(field.versions), version)) value[name] = fieldDefault(field, version);
  return value;
}

function fieldDefault(field: AnyField, version: number): unknown {
  if (field.defaultValue !== undefined) {
    const nullable = field.nullableVersions !== undefined && inRange(versionRange(field.nullableVersions), version);
    if (field.defaultValue !== null || nullable) return field.defaultValue;
  }
  switch (field.kind) {
    case 'bool': return false;
    case 'string': return '';
    case 'bytes': case 'records': return Buffer.alloc(0);
    case 'uuid': return 'AAAAAAAAAAAAAAAAAAAAAA';
    case 'array': return [];
    case 'int64Exact': return 0n;
    case 'struct': return structDefaults(field.fields!, version);
    default: return 0;
  }
}
