/**
 * Requests and responses as they travel: int32 size, header, body.
 *
 *   request   size:int32  apiKey:int16  apiVersion:int16  correlationId:int32  clientId:string?  [tagged fields]  body
 *   response  size:int32  correlationId:int32  [tagged fields]  body
 *
 * Promises: a header that can be understood at all is understood, also for an API or a version that nobody knows, so that an answer can be
 * given. Frames are whole here: finding them in a stream, and limiting their size, is the connection's.
 */
import { decode, encode } from './compile.ts';
import { allInMemory, type Piece } from './deferred-bytes.ts';
import { RequestHeader, ResponseHeader } from './headers.ts';
import { apis } from './messages/index.ts';
import { inRange } from './schema.ts';
import type { AnyApi, Api, AnyMessage, Input, Value } from './schema.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';
import type { ReaderLimits } from './reader.ts';

const SIZE_BYTES = 4;
const API_VERSIONS_KEY = 18;

export interface DecodedRequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  /** undefined: no API of Kafka 4.3 has this key. */
  readonly api: AnyApi | undefined;
  /** The API has this version. */
  readonly isVersionKnown: boolean;
  /** Stands at the body; for an unknown API behind what every header has. */
  readonly reader: Reader;
}

/** The version of the request header before a request; also for versions that the API does not have. */
export function requestHeaderVersion(api: AnyApi, apiVersion: number): 1 | 2 {
  return apiVersion >= api.request.flexible.min && api.request.flexible.max >= 0 ? 2 : 1;
}

/** ApiVersions is always answered with version 0, since a client that asks for it does not know yet what it may be sent (KIP-511). */
export function responseHeaderVersion(api: AnyApi, apiVersion: number): 0 | 1 {
  if (api.key === API_VERSIONS_KEY) return 0;
  return apiVersion >= api.response.flexible.min && api.response.flexible.max >= 0 ? 1 : 0;
}

/**
 * Reads the header of a frame, whose size has been taken off. RangeError when the bytes are no header.
 * The reader aliases the frame.
 */
export function decodeRequestHeader(frame: Buffer, limits?: ReaderLimits): DecodedRequestHeader {
  const reader = new Reader(frame, 0, frame.length, limits);
  if (frame.length < 8) throw new RangeError(`a frame of ${frame.length} bytes has no request header`);
  const apiKey = frame.readInt16BE(0);
  const apiVersion = frame.readInt16BE(2);
  const api = apis.get(apiKey);
  if (api === undefined) {
    // All headers begin alike, up to the client id.
    const correlationId = frame.readInt32BE(4);
    reader.position = 8;
    return { apiKey, apiVersion, correlationId, clientId: reader.nullableString(), api, isVersionKnown: false, reader };
  }
  const { correlationId, clientId } = decode(RequestHeader, requestHeaderVersion(api, apiVersion), reader);
  return { apiKey, apiVersion, correlationId, clientId, api, isVersionKnown: inRange(api.request.versions, apiVersion), reader };
}

/** A response with its header and size, as buffers for one vectored write. Large records in it are by reference. */
export function encodeResponseFrame<S extends AnyMessage>(api: Api<any, S>, version: number, correlationId: number, input: Input<S>): Buffer[] {
  return allInMemory(encodeResponsePieces(api, version, correlationId, input));
}

/** As `encodeResponseFrame`, where bytes of the records may be deferred. */
export function encodeResponsePieces<S extends AnyMessage>(api: Api<any, S>, version: number, correlationId: number, input: Input<S>): Piece[] {
  const writer = new Writer();
  writer.int32(0);
  encode(ResponseHeader, responseHeaderVersion(api, version), { correlationId }, writer);
  encode(api.response, version, input, writer);
  return withSize(writer);
}

/** A request of ours with its header and size. */
export function encodeRequestFrame<Q extends AnyMessage>(
  api: Api<Q, any>,
  version: number,
  header: { correlationId: number; clientId: string | null },
  input: Input<Q>,
): Buffer[] {
  const writer = new Writer();
  writer.int32(0);
  const { correlationId, clientId } = header;
  encode(RequestHeader, requestHeaderVersion(api, version), { requestApiKey: api.key, requestApiVersion: version, correlationId, clientId }, writer);
  encode(api.request, version, input, writer);
  return allInMemory(withSize(writer));
}

/** The correlation id of a response, whose size has been taken off: what tells which request it answers. */
export function decodeCorrelationId(frame: Buffer): number {
  if (frame.length < 4) throw new RangeError(`a frame of ${frame.length} bytes has no response header`);
  return frame.readInt32BE(0);
}

/** A response to a request of ours, whose size has been taken off. */
export function decodeResponseFrame<S extends AnyMessage>(
  api: Api<any, S>,
  version: number,
  frame: Buffer,
  limits?: ReaderLimits,
): { correlationId: number; body: Value<S> } {
  const reader = new Reader(frame, 0, frame.length, limits);
  const { correlationId } = decode(ResponseHeader, responseHeaderVersion(api, version), reader);
  const body = decode(api.response, version, reader);
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes behind ${api.response.name} v${version}`);
  return { correlationId, body };
}

function withSize(writer: Writer): Piece[] {
  const size = writer.length - SIZE_BYTES;
  const pieces = writer.finishPieces();
  // The first has at least the header, which is never by reference.
  (pieces[0] as Buffer).writeInt32BE(size, 0);
  return pieces;
}
