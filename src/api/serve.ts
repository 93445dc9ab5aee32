/**
 * How an API is served: a handler is one element of the array in its domain's file, and everything that speaks of served APIs (ApiVersions, the
 * README's table, the contract tests) is derived from those arrays.
 *
 * A handler gets a decoded request and gives the response, or a promise of it. What writes must enter its queue (a log's, a
 * coordinator's) before the first `await`: requests of one connection are started in arrival order, and that is the order it may count on.
 */
import { versionRange } from '../../protocol/schema.ts';
import type { AnyApi, Api, Input, RangeText, Value } from '../../protocol/schema.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { MetadataImage } from '../quorum/image.ts';
import type { Node } from './node.ts';

/** For whom a listener is: clients and brokers, or the quorum and who speaks to controllers (controller.listener.names). */
export type ListenerKind = 'broker' | 'controller';

/** What a handler may know of the connection that a request came on. */
export interface ConnectionInfo {
  readonly id: number;
  readonly listener: string;
  readonly listenerKind: ListenerKind;
  readonly remoteAddress: string;
  /** The address and port at which the client reached us. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly principal: string;
  clientSoftwareName: string;
  clientSoftwareVersion: string;
  /** Called when the other side ends the connection, or it breaks; not when this node ends it. */
  onBroken?: (() => void) | undefined;
}

export interface RequestContext {
  readonly apiVersion: number;
  readonly clientId: string | null;
  readonly correlationId: number;
  /** Monotonic ms at which the request was whole. */
  readonly receivedMs: number;
  readonly connection: ConnectionInfo;
  /** It came in an Envelope: a broker has looked at it before. */
  readonly isForwarded?: true;
  readonly node: Node;
  /** Gives the buffer of the request back, to be called once when nobody looks at any part of it any more; or never. undefined for a frame that is not pooled. */
  readonly returnFrame: (() => void) | undefined;
  /** `call` is called once the answer has been handed to the operating system, and never when the connection ends before: what it was made of may be used again then. */
  whenSent(call: () => void): void;
}

/** A handler's answer when the client is sent none (acks=0). */
export const noAnswer = Symbol('no answer');
/** A handler's answer when all it can say is to close the connection (acks=0 that failed, as Kafka does). */
export const closeConnection = Symbol('close connection');

export type Outcome<R> = R | typeof noAnswer | typeof closeConnection;

export interface Handler<Q, S> {
  handle(request: Q, context: RequestContext): Outcome<S> | Promise<Outcome<S>>;
  /** The response that tells one error for the whole request, in the shape that this API has for it. */
  onError(code: ErrorCode, request: Q, context: RequestContext, message: string | null): Outcome<S>;
}

/** Tells whether this node's own metadata shows what the controller has answered, so that a client of this broker finds what it has just made. */
export type Arrival = (request: any, response: any, image: MetadataImage) => boolean;

export interface Served {
  readonly api: AnyApi;
  /** Where it is offered. An API that means different things on the two kinds of listeners is served twice, once for each. */
  readonly listeners: ListenerKind | 'both';
  /** A broker whose own controller is not active passes it on to the one that is, in an Envelope (KIP-590). */
  readonly forward: boolean;
  readonly arrived: Arrival | undefined;
  readonly versionMin: number;
  readonly versionMax: number;
  /** The least version that ApiVersions tells. It differs from what is served for Produce alone. */
  readonly advertisedMin: number;
  readonly handle: (request: any, context: RequestContext) => unknown;
  readonly onError: (code: ErrorCode, request: any, context: RequestContext, message: string | null) => unknown;
}

export function serve<A extends Api<any, any>>(
  api: A,
  versions: RangeText,
  handler: Handler<Value<A['request']>, Input<A['response']>> & {
    advertisedMin?: number;
    /** 'broker' by default. */
    listeners?: ListenerKind | 'both';
    /** For what the active controller does: false by default. Such an API is offered on both kinds of listeners. */
    forward?: true;
    arrived?(request: Value<A['request']>, response: Value<A['response']>, image: MetadataImage): boolean;
  },
): Served {
  const { min, max } = versionRange(versions);
  return {
    api,
    versionMin: min,
    versionMax: max,
    advertisedMin: handler.advertisedMin ?? min,
    listeners: handler.listeners ?? (handler.forward === true ? 'both' : 'broker'),
    forward: handler.forward ?? false,
    arrived: handler.arrived?.bind(handler),
    handle: (request, context) => handler.handle(request, context),
    onError: (code, request, context, message) => handler.onError(code, request, context, message),
  };
}

export function servedOn(kind: ListenerKind, apis: readonly Served[]): Served[] {
  return apis.filter((served) => served.listeners === 'both' || served.listeners === kind);
}
