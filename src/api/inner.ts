/**
 * Requests that do not come as a frame of their own: from this node to its own controller, and from another broker in an Envelope.
 *
 * Promises: they pass through the codec and the handler as those of the network do, so that nobody can tell the difference. A KafkaError becomes the API's own
 * error answer, except NOT_CONTROLLER, which is thrown: whoever asked must ask elsewhere.
 */
import { AssertionError } from 'node:assert';
import { decodeBuffer, encodeBuffer } from '../../protocol/compile.ts';
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import type { AnyApi } from '../../protocol/schema.ts';
import type { Node } from './node.ts';
import type { ConnectionInfo, RequestContext, Served } from './serve.ts';

/** The handler's answer, or its answer for an error. */
export async function innerAnswer(served: Served, request: unknown, context: RequestContext): Promise<unknown> {
  try {
    return await served.handle(request, context);
  } catch (error) {
    if (error instanceof AssertionError || !(error instanceof KafkaError) || error.code === ErrorCode.NOT_CONTROLLER) throw error;
    return served.onError(error.code, request, context, error.message);
  }
}

/** Asks this node itself, as if by a connection to its controller listener. */
export async function askSelf(
  served: Served | undefined,
  api: AnyApi,
  input: unknown,
  { node, connection, versionMax }: { readonly node: Node; readonly connection: ConnectionInfo; readonly versionMax?: number | undefined },
): Promise<unknown> {
  if (served === undefined) throw new KafkaError(ErrorCode.UNSUPPORTED_VERSION, `${api.name} is not served here`);
  const apiVersion = Math.min(served.versionMax, versionMax ?? served.versionMax);
  const request = decodeBuffer(api.request, apiVersion, encodeBuffer(api.request, apiVersion, input as never));
  const context: RequestContext = {
    apiVersion, clientId: null, correlationId: 0, receivedMs: node.runtime.clock.monotonicMs(), connection, node, returnFrame: undefined, whenSent: () => {},
  };
  const answer = await innerAnswer(served, request, context);
  return decodeBuffer(api.response, apiVersion, encodeBuffer(api.response, apiVersion, answer as never));
}
