/**
 * What a broker passes on to the active controller for a client (KIP-590).
 *
 * Promises: the client's own request travels, in its version and with its name and address, and the answer comes back as if this broker had given it. When this
 * broker's metadata does not show yet what was done, the answer waits for it a little, so that a client finds here what it has just made.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { Envelope } from '../../protocol/messages/cluster.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import { openAnswer, sealEnvelope } from './envelope.ts';
import type { Node } from './node.ts';
import { closeConnection } from './serve.ts';
import type { Outcome, RequestContext, Served } from './serve.ts';

/** ForwardingManager of Kafka gives up after the same time. */
const FORWARD_TIMEOUT_MS = 60_000;
/** Kafka does not wait at all; a broker that is further behind than this has other worries. */
const ARRIVAL_MS_MAX = 1000;

export function isForwarded(served: Served, { connection, node }: RequestContext): boolean {
  return served.forward && connection.listenerKind === 'broker' && node.quorum.controller?.isActive !== true;
}

export async function forwardToController(served: Served, request: unknown, context: RequestContext): Promise<Outcome<unknown>> {
  const { node } = context;
  let answer;
  try {
    const envelope = await node.controllerChannel.request(Envelope, sealEnvelope(served.api, request, context), { timeoutMs: FORWARD_TIMEOUT_MS });
    // The controller is of another version than the one that ApiVersions was answered for: the client has to learn again.
    if (envelope.errorCode === ErrorCode.UNSUPPORTED_VERSION) return closeConnection;
    answer = openAnswer(served.api, envelope, context);
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    throw new KafkaError(ErrorCode.REQUEST_TIMED_OUT, error.message);
  }
  const { arrived } = served;
  if (arrived !== undefined) await imageWith(node, (image) => arrived(request, answer, image), ARRIVAL_MS_MAX);
  return answer;
}

/** Resolves when this node's metadata is as wished, and with false when it is not in time. */
export function imageWith(node: Pick<Node, 'image' | 'quorum' | 'runtime'>, isThere: (image: ReturnType<Node['image']>) => boolean, timeoutMs: number): Promise<boolean> {
  if (isThere(node.image())) return Promise.resolve(true);
  return new Promise((resolve) => {
    const end = (arrived: boolean): void => {
      timer.cancel();
      unsubscribe();
      resolve(arrived);
    };
    const timer = node.runtime.timers.after(timeoutMs, () => end(false));
    const unsubscribe = node.quorum.subscribe(({ image }) => {
      if (isThere(image)) end(true);
    });
  });
}
