/**
 * FindCoordinator: which broker coordinates a group, one (version 0 to 3) or many at a time (KIP-699).
 *
 * Promises: when `__consumer_offsets` is missing it is created, and the answer waits until it has leaders: a fresh broker costs a client no round of
 * COORDINATOR_NOT_AVAILABLE. Transaction and share coordinators are not served yet: UNSUPPORTED_VERSION with a message, which no client retries.
 */
import { ErrorCode, errorMessage, KafkaError } from '../../protocol/errors.ts';
import { FindCoordinator } from '../../protocol/messages/groups.ts';
import type { Input, Value } from '../../protocol/schema.ts';
import { GROUP_METADATA_TOPIC } from '../quorum/topic-names.ts';
import { serve } from './serve.ts';
import type { RequestContext } from './serve.ts';

type Request = Value<typeof FindCoordinator.request>;
type Response = Input<typeof FindCoordinator.response>;

const GROUP = 0;
const TRANSACTION = 1;
const SHARE = 2;

const BATCHED_SINCE = 4; // KIP-699
const SHARE_SINCE = 6; // KIP-932

interface Found {
  readonly errorCode: ErrorCode;
  readonly errorMessage: string;
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

export const findCoordinatorApis = [
  serve(FindCoordinator, '0-6', {
    handle,
    onError: (code, request, { apiVersion }, message) => respond(request, apiVersion, () => refused(code, message ?? errorMessage(code) ?? '')),
  }),
];

async function handle(request: Request, context: RequestContext): Promise<Response> {
  const { keyType } = request;
  if (keyType < GROUP || keyType > SHARE) throw new KafkaError(ErrorCode.INVALID_REQUEST);
  if (keyType === SHARE && context.apiVersion < SHARE_SINCE) return respond(request, context.apiVersion, () => refused(ErrorCode.INVALID_REQUEST));
  if (keyType !== GROUP) {
    const kind = keyType === TRANSACTION ? 'transaction' : 'share';
    return respond(request, context.apiVersion, () => refused(ErrorCode.UNSUPPORTED_VERSION, `This broker does not coordinate ${kind}s yet.`));
  }
  const { node } = context;
  if (node.image().topic(GROUP_METADATA_TOPIC) === undefined) {
    try {
      await node.groups.ensureTopic();
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      return respond(request, context.apiVersion, () => refused(ErrorCode.COORDINATOR_NOT_AVAILABLE));
    }
  }
  return respond(request, context.apiVersion, (groupId) => find(groupId, context));
}

function find(groupId: string, { node, connection }: RequestContext): Found {
  const leader = node.image().partition(GROUP_METADATA_TOPIC, node.groups.partitionFor(groupId))?.leader ?? -1;
  const [endpoint] = leader < 0 ? [] : node.endpointsOf([leader], connection);
  if (endpoint === undefined) return refused(ErrorCode.COORDINATOR_NOT_AVAILABLE);
  const { nodeId, host, port } = endpoint;
  return { errorCode: ErrorCode.NONE, errorMessage: '', nodeId, host, port };
}

function refused(errorCode: ErrorCode, message = ''): Found {
  return { errorCode, errorMessage: message, nodeId: -1, host: '', port: -1 };
}

function respond(request: Request, apiVersion: number, find: (key: string) => Found): Response {
  if (apiVersion >= BATCHED_SINCE) return { throttleTimeMs: 0, coordinators: request.coordinatorKeys.map((key) => ({ key, ...find(key) })) };
  const found = find(request.key);
  // The one coordinator of old carried its error's message in any case, and Kafka's name for no error is NONE.
  return { throttleTimeMs: 0, ...found, errorMessage: found.errorMessage !== '' ? found.errorMessage : (errorMessage(found.errorCode) ?? 'NONE') };
}
