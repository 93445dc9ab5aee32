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
import type { Connection, Slot } from './connection.ts';

export class Dispatcher {
  readonly #byKey: { readonly [K in ListenerKind]: (Served | undefined)[] } = { broker: [], controller: [] };
  readonly #node: Node;
  readonly #log: Logger;
  readonly #onBug: (error: Error) => void;

  constructor(options: { apis: readonly Served[]; node: Node; log: Logger; onBug: (error: Error) => void }) {
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
      apiVersion, clientId, correlationId, receivedMs: connection.lastActiveMs, connection, node: this.#node, returnFrame, whenSent: (call) => void (slot.sent = call),
    };
    if (apiVersion < served.versionMin || apiVersion > served.versionMax) {
      if (served.api.key !== ApiVersions.key) {
        connection.malformed(`${served.api.name} version ${apiVersion}, which is not served (${served.versionMin} to ${served.versionMax} are)`);
        return;
      }
      // KIP-511: a version from the future is answered in version 0, with the versions to choose from.
      this.#finish(served, 0, slot, context, served.onError(ErrorCode.UNSUPPORTED_VERSION, null, context, null));
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
    let outcome;
    try {
      outcome = served.forward && isForwarded(served, context) ? forwardToController(served, request, context) : served.handle(request, context);
    } catch (error) {
      this.#fail(served, slot, context, request, error);
      return;
    }
    if (!(outcome instanceof Promise)) {
      this.#finish(served, apiVersion, slot, context, outcome);
      return;
    }
    outcome.then(
      (response) => this.#finish(served, apiVersion, slot, context, response),
      (error: unknown) => this.#fail(served, slot, context, request, error),
    );
  }

  #finish(served: Served, version: number, slot: Slot, context: RequestContext, outcome: unknown): void {
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

  #fail(served: Served, slot: Slot, context: RequestContext, request: unknown, error: unknown): void {
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
    this.#finish(served, context.apiVersion, slot, context, outcome);
  }
}
