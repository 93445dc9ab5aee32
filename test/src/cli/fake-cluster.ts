/** A broker of a cluster that is not there, on a real port: answers each API as the test says, and remembers what it was asked. Does not check what a real one would. */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { decode } from '../../../protocol/compile.ts';
import { decodeRequestHeader, encodeResponseFrame } from '../../../protocol/frame.ts';
import { ApiVersions } from '../../../protocol/messages/index.ts';
import type { AnyApi, Api, AnyMessage, Input, Value } from '../../../protocol/schema.ts';
import { FrameCutter } from '../../../src/runtime/frames.ts';

interface Answer {
  readonly api: AnyApi;
  readonly answer: (request: any) => unknown;
}

/** What the fake answers an API with; nobody is throttled. */
export function answers<Q extends AnyMessage, S extends AnyMessage>(api: Api<Q, S>, answer: (request: Value<Q>) => Omit<Input<S>, 'throttleTimeMs'>): Answer {
  return { api, answer };
}

export class FakeCluster {
  readonly asked: { readonly api: string; readonly request: any }[] = [];
  readonly #answers = new Map<number, Answer>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeCluster> {
    const server = createServer();
    const cluster = new FakeCluster(server);
    server.on('connection', (socket) => cluster.#serve(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return cluster;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on; what was asked before is forgotten. */
  serve(...all: readonly Answer[]): void {
    this.#answers.clear();
    this.asked.length = 0;
    for (const one of all) this.#answers.set(one.api.key, one);
  }

  requestsOf(api: AnyApi): any[] {
    return this.asked.filter((one) => one.api === api.name).map(({ request }) => request);
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    const frames = new FrameCutter({ frameBytesMax: 1 << 20, limit: 'test' });
    socket.on('data', (chunk) =>
      frames.push(chunk, (frame) => {
        const { api, apiVersion, correlationId, reader } = decodeRequestHeader(frame);
        const request = decode(api!.request, apiVersion, reader);
        let response: unknown;
        if (api!.key === ApiVersions.key) {
          const known = [ApiVersions as AnyApi, ...[...this.#answers.values()].map((one) => one.api)];
          response = { errorCode: 0, apiKeys: known.map((one) => ({ apiKey: one.key, minVersion: one.request.versions.min, maxVersion: one.request.versions.max })), throttleTimeMs: 0 };
        } else {
          this.asked.push({ api: api!.name, request });
          response = { throttleTimeMs: 0, ...(this.#answers.get(api!.key)!.answer(request) as object) };
        }
        for (const buffer of encodeResponseFrame(api as Api<any, any>, apiVersion, correlationId, response as never)) socket.write(buffer);
        return true;
      }),
    );
  }
}
