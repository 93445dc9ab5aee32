/**
 * Envelope (KIP-590): a request that a client made of a broker, passed on to the active controller with the client's name and address, and its answer.
 *
 *     requestData       the client's request: header and body, as it came
 *     requestPrincipal  version:int16, then DefaultPrincipalData
 *     clientHostAddress 4 or 16 bytes
 *     responseData      the answer: header and body
 *
 * Promises: only APIs that brokers pass on are taken out of an envelope, and only in versions that are served here. NOT_CONTROLLER is the envelope's error,
 * so that the broker asks the next controller and the client never hears of it.
 */
import { decode, decodeBuffer, encodeBuffer } from '../../protocol/compile.ts';
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { decodeRequestHeader, decodeResponseFrame, encodeRequestFrame, encodeResponseFrame } from '../../protocol/frame.ts';
import { DefaultPrincipalData } from '../../protocol/log-records/principal.ts';
import { Envelope } from '../../protocol/messages/cluster.ts';
import type { AnyApi, Input, Value } from '../../protocol/schema.ts';
import { addressBytes, addressText } from './address-bytes.ts';
import { innerAnswer } from './inner.ts';
import { serve } from './serve.ts';
import type { RequestContext, Served } from './serve.ts';

const SIZE_BYTES = 4;
const PRINCIPAL_VERSION = 0;

/** `apis` is called at each request: the registry contains this handler too. */
export function envelopeApis(apis: () => readonly Served[]): Served[] {
  return [
    serve(Envelope, '0', {
      listeners: 'controller',
      handle: (request, context) => openEnvelope(request, context, apis()),
      onError: (errorCode) => ({ responseData: null, errorCode }),
    }),
  ];
}

async function openEnvelope(envelope: Value<typeof Envelope.request>, context: RequestContext, apis: readonly Served[]): Promise<Input<typeof Envelope.response>> {
  const principal = principalOf(envelope.requestPrincipal);
  const remoteAddress = addressText(envelope.clientHostAddress);
  if (remoteAddress === null) throw new KafkaError(ErrorCode.INVALID_REQUEST, `${envelope.clientHostAddress.length} bytes are no address`);
  const { served, header, request } = innerRequest(envelope.requestData, apis);
  const { apiVersion, correlationId, clientId } = header;
  const answer = await innerAnswer(served, request, {
    ...context, apiVersion, correlationId, clientId, connection: { ...infoOf(context), remoteAddress, principal }, isForwarded: true,
    returnFrame: undefined, whenSent: () => {},
  });
  const frame = Buffer.concat(encodeResponseFrame(served.api, apiVersion, correlationId, answer as never));
  return { responseData: frame.subarray(SIZE_BYTES), errorCode: ErrorCode.NONE };
}

function infoOf({ connection }: RequestContext): RequestContext['connection'] {
  const { id, listener, listenerKind, remoteAddress, localAddress, localPort, principal, clientSoftwareName, clientSoftwareVersion } = connection;
  return { id, listener, listenerKind, remoteAddress, localAddress, localPort, principal, clientSoftwareName, clientSoftwareVersion };
}

function innerRequest(data: Buffer, apis: readonly Served[]) {
  let header;
  try {
    header = decodeRequestHeader(data);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    // What cannot be read at all is taken for something newer, as Kafka takes it.
    throw new KafkaError(ErrorCode.UNSUPPORTED_VERSION, 'Failed to parse request header from envelope');
  }
  const { apiKey, apiVersion, reader, api } = header;
  if (api === undefined) throw new KafkaError(ErrorCode.UNSUPPORTED_VERSION);
  const served = apis.find((one) => one.forward && one.api.key === apiKey);
  if (served === undefined) throw new KafkaError(ErrorCode.INVALID_REQUEST, `API ${apiKey} is not enabled or is not eligible for forwarding`);
  if (apiVersion < served.versionMin || apiVersion > served.versionMax) throw new KafkaError(ErrorCode.UNSUPPORTED_VERSION);
  try {
    return { served, header, request: decode(served.api.request, apiVersion, reader) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new KafkaError(ErrorCode.UNSUPPORTED_VERSION, `${served.api.name} version ${apiVersion}: ${error.message}`);
  }
}

/** `User:ANONYMOUS`. */
function principalOf(bytes: Buffer | null): string {
  try {
    if (bytes === null || bytes.length < 2 || bytes.readInt16BE(0) !== PRINCIPAL_VERSION) throw new RangeError('of no version that is known');
    const { type, name } = decodeBuffer(DefaultPrincipalData, PRINCIPAL_VERSION, bytes.subarray(2));
    return `${type}:${name}`;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new KafkaError(ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE, 'Failed to deserialize client principal from envelope');
  }
}

/** What a broker puts around a client's request. */
export function sealEnvelope(api: AnyApi, request: unknown, { apiVersion, correlationId, clientId, connection }: RequestContext): Input<typeof Envelope.request> {
  const colon = connection.principal.indexOf(':');
  const principal = { type: connection.principal.slice(0, colon), name: connection.principal.slice(colon + 1), tokenAuthenticated: false };
  const version = Buffer.alloc(2);
  version.writeInt16BE(PRINCIPAL_VERSION);
  return {
    requestData: Buffer.concat(encodeRequestFrame(api, apiVersion, { correlationId, clientId }, request as never)).subarray(SIZE_BYTES),
    requestPrincipal: Buffer.concat([version, encodeBuffer(DefaultPrincipalData, PRINCIPAL_VERSION, principal)]),
    clientHostAddress: addressBytes(connection.remoteAddress),
  };
}

/** The answer in an envelope. Throws a KafkaError for the envelope's error, and UNKNOWN_SERVER_ERROR when what is in it is not the answer. */
export function openAnswer(api: AnyApi, { errorCode, responseData }: Value<typeof Envelope.response>, { apiVersion, correlationId }: RequestContext): unknown {
  if (errorCode !== ErrorCode.NONE) throw new KafkaError(errorCode as ErrorCode);
  try {
    if (responseData === null) throw new RangeError('there is none');
    const answer = decodeResponseFrame(api, apiVersion, responseData);
    if (answer.correlationId !== correlationId) throw new RangeError(`it answers request ${answer.correlationId}`);
    return answer.body;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, `the answer to ${api.name} in the envelope: ${error.message}`);
  }
}
