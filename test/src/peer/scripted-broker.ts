/** A listener on a real port of this machine that answers ApiVersions by itself and hands every other request to the test. */
import { encodeResponseFrame, decodeRequestHeader } from '../../../protocol/frame.ts';
import { decode } from '../../../protocol/compile.ts';
import { ApiVersions } from '../../../protocol/messages/cluster.ts';
import type { AnyApi } from '../../../protocol/schema.ts';
import { FrameCutter } from '../../../src/runtime/frames.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import type { Listener, Socket } from '../../../src/runtime/runtime.ts';

export interface Asked {
  readonly api: AnyApi;
  readonly version: number;
  readonly request: any;
  readonly socket: Socket;
  answer(response: unknown): void;
}

export class ScriptedBroker {
  readonly listener: Listener;
  readonly sockets: Socket[] = [];
  onRequest: (asked: Asked) => void = () => {};

  static async start(apis: readonly AnyApi[]): Promise<ScriptedBroker> {
    const accepted: { take(socket: Socket): void } = { take() {} };
    const listener = await nodeRuntime().network.listen({ host: '127.0.0.1', port: 0 }, (socket) => accepted.take(socket));
    const broker = new ScriptedBroker(listener, apis);
    accepted.take = (socket) => broker.#accept(socket);
    return broker;
  }

  readonly #apis: readonly AnyApi[];

  private constructor(listener: Listener, apis: readonly AnyApi[]) {
    this.listener = listener;
    this.#apis = apis;
  }

  get address() {
    return { host: '127.0.0.1', port: this.listener.port };
  }

  #accept(socket: Socket): void {
    this.sockets.push(socket);
    const cutter = new FrameCutter({ frameBytesMax: 1 << 20, limit: 'the test' });
    socket.onData = (chunk) => cutter.push(chunk, (frame) => (this.#request(socket, Buffer.from(frame)), true));
  }

  #request(socket: Socket, frame: Buffer): void {
    const { api, apiVersion, correlationId, reader } = decodeRequestHeader(frame);
    const answer = (response: unknown) => void socket.write(encodeResponseFrame(api!, apiVersion, correlationId, response as never));
    const request = decode(api!.request, apiVersion, reader);
    if (api !== ApiVersions) return this.onRequest({ api: api!, version: apiVersion, request, socket, answer });
    const apiKeys = [ApiVersions, ...this.#apis].map(({ key, request: { versions } }) => ({ apiKey: key, minVersion: versions.min, maxVersion: versions.max }));
    answer({ errorCode: 0, apiKeys, throttleTimeMs: 0 });
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await this.listener.close();
  }
}
