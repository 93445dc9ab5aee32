/**
 * A small HTTP/1.1 server over the node's own sockets: GET and HEAD of a few fixed paths, for orchestrators and scrapers. Made here rather than taken from node:http so
 * that it runs in a simulated world like everything else.
 *
 * Promises: no more than `connectionsMax` connections, of which each holds one head of a request and one answer; a client that has not sent a whole request within
 * `requestMsMax`, or not taken its answer within `answerMsMax`, is closed; requests of one connection are answered in turn. Does not serve bodies, TLS or
 * chunked answers.
 */
import type { Logger } from '../runtime/logger.ts';
import type { Clock, Listener, Network, Socket, Timer, Timers } from '../runtime/runtime.ts';
import { HttpError, HttpRequestReader } from './http-request.ts';
import type { HttpRequest } from './http-request.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Buffer;
}

/** Gives the answer, at once or when it is made. */
export type Route = () => HttpAnswer | Promise<HttpAnswer>;

export interface HttpLimits {
  readonly connectionsMax: number;
  readonly headBytesMax: number;
  /** For the head of a request from its first byte on, and between two requests. */
  readonly requestMsMax: number;
  readonly answerMsMax: number;
}

export const HTTP_LIMITS: HttpLimits = { connectionsMax: 64, headBytesMax: 8192, requestMsMax: 30_000, answerMsMax: 30_000 };

export interface HttpServerOptions {
  readonly network: Network;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly routes: ReadonlyMap<string, Route>;
  readonly limits?: HttpLimits;
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK', 400: 'Bad Request', 404: 'Not Found', 405: 'Method Not Allowed', 413: 'Content Too Large', 431: 'Request Header Fields Too Large',
  500: 'Internal Server Error', 503: 'Service Unavailable', 505: 'HTTP Version Not Supported',
};

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #limits: HttpLimits;
  readonly #connections = new Set<HttpConnection>();
  #listener: Listener | null = null;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#limits = options.limits ?? HTTP_LIMITS;
  }

  /** Rejects with the operating system's error (EADDRINUSE ...). */
  async listen(address: { readonly host: string; readonly port: number }): Promise<Listener> {
    this.#listener = await this.#options.network.listen({ ...address }, (socket) => this.#accept(socket));
    return this.#listener;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Closes everything at once: whoever asks for health again finds nobody, which is the answer. */
  async close(): Promise<void> {
    await this.#listener?.close();
    for (const connection of [...this.#connections]) connection.close();
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= this.#limits.connectionsMax) {
      // The one that has been silent longest makes room: a client that opens connections and says nothing must not keep the probe of an orchestrator out.
      const idle = [...this.#connections].find((one) => one.isIdle);
      if (idle === undefined) {
        socket.onData = () => undefined;
        socket.onClose = () => undefined;
        socket.destroy();
        return;
      }
      idle.close();
    }
    const { timers, log, routes } = this.#options;
    const connection = new HttpConnection({ socket, timers, limits: this.#limits, answer: (request) => answerOf(routes, request, log), closed: () => this.#connections.delete(connection) });
    this.#connections.add(connection);
  }
}

function answerOf(routes: ReadonlyMap<string, Route>, { method, path }: HttpRequest, log: Logger): HttpAnswer | Promise<HttpAnswer> {
  const route = routes.get(path);
  if (route === undefined) return plain(404, `there are ${[...routes.keys()].join(', ')}`);
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'GET or HEAD');
  // A number that cannot be told must not end the node that it is about.
  const failed = (error: unknown): HttpAnswer => {
    log.error(`http ${path}: ${error instanceof Error ? error.stack : String(error)}`);
    return plain(500, 'failed, see the log');
  };
  try {
    const answer = route();
    return answer instanceof Promise ? answer.catch(failed) : answer;
  } catch (error) {
    return failed(error);
  }
}

export function plain(status: number, text: string): HttpAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` };
}

interface ConnectionOptions {
  readonly socket: Socket;
  readonly timers: Timers;
  readonly limits: HttpLimits;
  readonly answer: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;
  readonly closed: () => void;
}

class HttpConnection {
  readonly #options: ConnectionOptions;
  readonly #reader: HttpRequestReader;
  #deadline: Timer;
  #answering = false;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#reader = new HttpRequestReader(options.limits);
    this.#deadline = this.#within(options.limits.requestMsMax);
    options.socket.onData = (chunk) => this.#data(chunk);
    options.socket.onClose = () => this.#ended();
  }

  get isIdle(): boolean {
    return !this.#answering;
  }

  close(): void {
    if (this.#closed) return;
    this.#options.socket.destroy();
    this.#ended();
  }

  #within(ms: number): Timer {
    return this.#options.timers.after(ms, () => this.close());
  }

  #data(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#reader.push(chunk);
      if (!this.#answering) this.#serve();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(error);
    }
  }

  /** Throws an HttpError. */
  #serve(): void {
    const request = this.#reader.next();
    if (request === undefined) return;
    const { keepAlive } = request;
    const isHead = request.method === 'HEAD';
    // One answer at a time: what the client sends meanwhile waits in the operating system.
    this.#answering = true;
    this.#deadline.cancel();
    this.#deadline = this.#within(this.#options.limits.answerMsMax);
    this.#options.socket.pause();
    const answer = this.#options.answer(request);
    if (answer instanceof Promise) void answer.then((made) => this.#answer(made, keepAlive, isHead));
    else this.#answer(answer, keepAlive, isHead);
  }

  #answer({ status, contentType, body }: HttpAnswer, keepAlive: boolean, isHead: boolean): void {
    const { socket } = this.#options;
    if (this.#closed) return;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const head = [
      `HTTP/1.1 ${status} ${REASONS[status] ?? 'Unknown'}`,
      `Content-Type: ${contentType}`,
      `Content-Length: ${bytes.length}`,
      'Cache-Control: no-store',
      'X-Content-Type-Options: nosniff',
      ...(status === 405 ? ['Allow: GET, HEAD'] : []),
      `Connection: ${keepAlive ? 'keep-alive' : 'close'}`,
      '\r\n',
    ].join('\r\n');
    socket.write(isHead || bytes.length === 0 ? [Buffer.from(head, 'latin1')] : [Buffer.from(head, 'latin1'), bytes], () => this.#answered(keepAlive));
    if (!keepAlive) socket.end();
  }

  #answered(keepAlive: boolean): void {
    if (this.#closed) return;
    const { socket, limits } = this.#options;
    // A paused socket never hears that its peer has ended.
    socket.resume();
    if (!keepAlive) return;
    this.#answering = false;
    this.#deadline.cancel();
    this.#deadline = this.#within(limits.requestMsMax);
    try {
      this.#serve();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(error);
    }
  }

  #refuse({ status, message }: HttpError): void {
    if (this.#answering) return this.close();
    this.#answering = true;
    this.#deadline.cancel();
    this.#deadline = this.#within(this.#options.limits.answerMsMax);
    this.#answer(plain(status, message), false, false);
  }

  #ended(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deadline.cancel();
    this.#options.closed();
  }
}
