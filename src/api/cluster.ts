/** DescribeCluster: the brokers and who they are. On a broker's listener it knows brokers; controllers are told on theirs (KIP-919). */
import { ErrorCode } from '../../protocol/errors.ts';
import { DescribeCluster } from '../../protocol/messages/metadata.ts';
import { CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED } from './authorized-operations.ts';
import { serve } from './serve.ts';

/** Codes of EndpointType. */
const BROKERS = 1;
const CONTROLLERS = 2;
const NO_CONTROLLER = -1;

export const clusterApis = [
  serve(DescribeCluster, '0-2', {
    handle(request, { node, connection, apiVersion }) {
      if (request.endpointType !== BROKERS) {
        const isKnown = request.endpointType === CONTROLLERS;
        const code = isKnown ? ErrorCode.MISMATCHED_ENDPOINT_TYPE : ErrorCode.UNSUPPORTED_ENDPOINT_TYPE;
        return failure(
          apiVersion === 0 ? ErrorCode.INVALID_REQUEST : code,
          isKnown
            ? 'The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER'
            : `Unsupported endpoint type ${request.endpointType}`,
        );
      }
      const image = node.image();
      const shown = [...image.brokers.values()].filter((broker) => !broker.fenced || request.includeFencedBrokers);
      const brokers = node.endpointsOf(shown.map((broker) => broker.id), connection).map(({ nodeId, host, port, rack }) => ({
        brokerId: nodeId, host, port, rack, isFenced: image.brokers.get(nodeId)?.fenced ?? false,
      }));
      const alive = brokers.filter((broker) => !broker.isFenced);
      return {
        throttleTimeMs: 0,
        errorCode: ErrorCode.NONE,
        errorMessage: null,
        endpointType: BROKERS,
        clusterId: node.clusterId,
        controllerId: alive[node.runtime.random.below(Math.max(1, alive.length))]?.brokerId ?? NO_CONTROLLER,
        brokers,
        clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? CLUSTER_OPERATIONS : OPERATIONS_NOT_ASKED,
      };
    },
    onError: (code, _request, _context, message) => failure(code, message),
  }),
];

function failure(errorCode: ErrorCode, errorMessage: string | null) {
  return { throttleTimeMs: 0, errorCode, errorMessage, clusterId: '', controllerId: NO_CONTROLLER, brokers: [] };
}
