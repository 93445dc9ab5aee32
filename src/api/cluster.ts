/** DescribeCluster: on a broker's listener the brokers, on a controller's the controllers (KIP-919), and who they are. */
import { ErrorCode } from '../../protocol/errors.ts';
import { DescribeCluster } from '../../protocol/messages/metadata.ts';
import type { Input } from '../../protocol/schema.ts';
import { CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED } from './authorized-operations.ts';
import { serve } from './serve.ts';
import type { RequestContext } from './serve.ts';

type Response = Input<typeof DescribeCluster.response>;

/** Codes of EndpointType. */
const BROKERS = 1;
const CONTROLLERS = 2;
const NO_CONTROLLER = -1;

const NAMES: ReadonlyMap<number, string> = new Map([[BROKERS, 'BROKER'], [CONTROLLERS, 'CONTROLLER']]);

export const clusterApis = [
  serve(DescribeCluster, '0-2', {
    listeners: 'both',
    handle(request, context) {
      const isController = context.connection.listenerKind === 'controller';
      const endpointType = isController ? CONTROLLERS : BROKERS;
      if (request.endpointType !== endpointType) {
        const asked = NAMES.get(request.endpointType);
        const code = asked !== undefined ? ErrorCode.MISMATCHED_ENDPOINT_TYPE : ErrorCode.UNSUPPORTED_ENDPOINT_TYPE;
        return failure(
          context.apiVersion === 0 ? ErrorCode.INVALID_REQUEST : code,
          asked !== undefined
            ? `The request was sent to an endpoint of type ${NAMES.get(endpointType)}, but we wanted an endpoint of type ${asked}`
            : `Unsupported endpoint type ${request.endpointType}`,
        );
      }
      return {
        throttleTimeMs: 0,
        errorCode: ErrorCode.NONE,
        errorMessage: null,
        endpointType,
        clusterId: context.node.clusterId,
        ...(isController ? controllersOf(context) : brokersOf(context, request.includeFencedBrokers)),
        clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? CLUSTER_OPERATIONS : OPERATIONS_NOT_ASKED,
      };
    },
    onError: (code, _request, _context, message) => failure(code, message),
  }),
];

/** A broker passes on what is for the controller, so any that is alive may be named for it. */
function brokersOf({ node, connection }: RequestContext, includeFenced: boolean): Pick<Response, 'controllerId' | 'brokers'> {
  const image = node.image();
  const shown = [...image.brokers.values()].filter((broker) => !broker.fenced || includeFenced);
  const brokers = node.endpointsOf(shown.map((broker) => broker.id), connection).map(({ nodeId, host, port, rack }) => ({
    brokerId: nodeId, host, port, rack, isFenced: image.brokers.get(nodeId)?.fenced ?? false,
  }));
  const alive = brokers.filter((broker) => !broker.isFenced);
  return { controllerId: alive[node.runtime.random.below(Math.max(1, alive.length))]?.brokerId ?? NO_CONTROLLER, brokers };
}

/** Those that have registered, by their listener of the name that the client came by. */
function controllersOf({ node, connection }: RequestContext): Pick<Response, 'controllerId' | 'brokers'> {
  const brokers: Response['brokers'][number][] = [];
  for (const { id, endpoints } of node.image().controllers.values()) {
    const endpoint = endpoints.find(({ name }) => name === connection.listener);
    if (endpoint !== undefined) brokers.push({ brokerId: id, host: endpoint.host, port: endpoint.port, rack: null });
  }
  return { controllerId: node.quorum.leader().leaderId, brokers };
}

function failure(errorCode: ErrorCode, errorMessage: string | null) {
  return { throttleTimeMs: 0, errorCode, errorMessage, clusterId: '', controllerId: NO_CONTROLLER, brokers: [] };
}
