/**
 * From a frame to an answer: header, lookup, decoding, handler, encoding.
 *
 * Promises: bytes that are not a request of an API and version that we serve close that connection and nothing else; an ApiVersions from the future
 * is answered as KIP-511 says; a KafkaError of a handler becomes the API's own error response; every request is answered once.
 * An AssertionError is never answered: it goes to `onBug`, which ends the process. Any other error of a handler is logged with its stack and answered UNKNOWN_SERVER_ERROR.
 */
import { AssertionError } from 'node:assert';
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { decode } from '../../protocol/compile.ts';
import { decodeRequestHeader, encodeResponsePieces } from '../../protocol/frame.ts';
import type { AnyMessage, Input } from '../../protocol/schema.ts';
import { ApiVersions } from '../../protocol/messages/cluster.ts';
import { forwardToController, isForwarded } from '../api/forwarding.ts';
import { closeConnection, noAnswer, servedOn } from '../api/serve.ts';
import type { ListenerKind, RequestContext, Served } from '../api/serve.ts';
import type { Node } from '../api/node.ts';
import type { Logger } from '../runtime/logger.ts';
import type { RequestMetrics, RequestStats } from '../metrics/request-metrics.ts';
import type { Clock } from '../runtime/runtime.ts';
import type { Connection, Slot } from './connection.ts';

/** Where requests are counted, by whose time. */
export interface DispatchMetrics {
  readonly requests: RequestMetrics;
  readonly clock: Clock;
}

/** One request's. */
interface Count {
  readonly stats: RequestStats;
  /** How long the request waited for those that were read with it. */
  readonly queueMs: number;
  /** How long its handler ran before it waited; undefined while it has not waited. */
  localMs: number | undefined;
}

export class Dispatcher {
  readonly #byKey: { readonly [K in ListenerKind]: (Served | undefined)[] } = { broker: [], controller: [] };
  readonly #node: Node;
  readonly #log: Logger;
  readonly #onBug: (error: Error) => void;
  readonly #metrics: DispatchMetrics | null;

  constructor(options: { apis: readonly Served[]; node: Node; log: Logger; onBug: (error: Error) => void; metrics?: DispatchMetrics }) {
    this.#metrics = options.metrics ?? null;
    for (const kind of ['broker', 'controller'] as const) for (const served of servedOn(kind, options.apis)) this.#byKey[kind][served.api.key] = served;
    this.#node = options.node;
    this.#log = options.log;
    this.#onBug = options.onBug;
  }

  dispatch(connection: Connection, frame: Buffer, returnFrame?: () => void): void {
    let header;
    try {
      header = decodeRequestHeader(frame);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      connection.malformed(`request header: ${error.message}`);
      return;
    }
    const { apiKey, apiVersion, correlationId, clientId } = header;
    const served = this.#byKey[connection.listenerKind][apiKey];
    if (served === undefined) {
      connection.malformed(`request of API key ${apiKey}, which is not served`);
      return;
    }
    const slot = connection.enqueue(frame.length);
    const context: RequestContext = {
      apiVersion, clientId, correlationId, receivedMs: connection.arrivedMs, connection, node: this.#node, returnFrame, whenSent: (call) => void (slot.sent = call),
    };
    if (apiVersion < served.versionMin || apiVersion > served.versionMax) {
      if (served.api.key !== ApiVersions.key) {
        connection.malformed(`${served.api.name} version ${apiVersion}, which is not served (${served.versionMin} to ${served.versionMax} are)`);
        return;
      }
      // KIP-511: a version from the future is answered in version 0, with the versions to choose from.
      this.#finish(served, 0, slot, context, served.onError(ErrorCode.UNSUPPORTED_VERSION, null, context, null), null);
      return;
    }
    let request;
    try {
      request = decode(served.api.request, apiVersion, header.reader);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      connection.malformed(`${served.api.name} version ${apiVersion}: ${error.message}`);
      return;
    }
    const count = this.#begin(served, apiVersion, request, connection.lastActiveMs - context.receivedMs);
    let outcome;
    try {
      outcome = served.forward && isForwarded(served, context) ? forwardToController(served, request, context) : served.handle(request, context);
    } catch (error) {
      this.#fail(served, slot, context, request, error, count);
      return;
    }
    if (!(outcome instanceof Promise)) {
      this.#finish(served, apiVersion, slot, context, outcome, count);
      return;
    }
    if (count !== null) count.localMs = this.#metrics!.clock.monotonicMs() - context.receivedMs - count.queueMs;
    outcome.then(
      (response) => this.#finish(served, apiVersion, slot, context, response, count),
      (error: unknown) => this.#fail(served, slot, context, request, error, count),
    );
  }

  #begin(served: Served, apiVersion: number, request: unknown, queueMs: number): Count | null {
    if (this.#metrics === null) return null;
    const stats = this.#metrics.requests.of(served.api, request);
    stats.asked(apiVersion);
    return { stats, queueMs, localMs: undefined };
  }

  #ended({ stats, queueMs, localMs }: Count, outcome: unknown, slot: Slot, { receivedMs }: RequestContext): void {
    const nowMs = this.#metrics!.clock.monotonicMs();
    slot.times = stats;
    slot.readyMs = nowMs;
    stats.answered({ totalMs: nowMs - receivedMs, queueMs, localMs: localMs ?? nowMs - receivedMs - queueMs });
    const code = (outcome as { readonly errorCode?: number }).errorCode;
    if (code !== undefined) stats.ended(code);
  }

  #finish(served: Served, version: number, slot: Slot, context: RequestContext, outcome: unknown, count: Count | null): void {
    if (count !== null) this.#ended(count, outcome, slot, context);
    const connection = slot.connection;
    if (connection.closed) return;
    if (outcome === noAnswer) return connection.answer(slot, null);
    if (outcome === closeConnection) return connection.close();
    let frame;
    try {
      frame = encodeResponsePieces(served.api, version, context.correlationId, outcome as Input<AnyMessage>);
    } catch (error) {
      // A response that does not encode is our mistake; the client must not wait for ever for it.
      this.#log.error(`${served.api.name} version ${version}: response does not encode: ${(error as Error).stack}`);
      connection.close();
      return;
    }
    connection.answer(slot, frame);
  }

  #fail(served: Served, slot: Slot, context: RequestContext, request: unknown, error: unknown, count: Count | null): void {
    if (error instanceof AssertionError) return this.#onBug(error);
    let code: ErrorCode = ErrorCode.UNKNOWN_SERVER_ERROR;
    let message: string | null = null;
    if (error instanceof KafkaError) {
      code = error.code;
      message = error.message;
    } else {
      this.#log.error(`${served.api.name} version ${context.apiVersion}: ${error instanceof Error ? error.stack : String(error)}`);
    }
    let outcome;
    try {
      outcome = served.onError(code, request, context, message);
    } catch (second) {
      this.#log.error(`${served.api.name}: its error response: ${second instanceof Error ? second.stack : String(second)}`);
      slot.connection.close();
      return;
    }
    this.#finish(served, context.apiVersion, slot, context, outcome, count);
  }
}
