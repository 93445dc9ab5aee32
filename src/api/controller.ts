/**
 * What brokers and other controllers ask of the active controller on its own listener: registration, heartbeats, in-sync replicas, directories, producer ids.
 *
 * Promises: decisions are the controller's (`src/quorum`), here is only the shape of the answers. UnregisterBroker is an operator's, and passed on by brokers.
 */
import { ErrorCode } from '../../protocol/errors.ts';
import {
  AllocateProducerIds, AlterPartition, AssignReplicasToDirs, BrokerHeartbeat, BrokerRegistration, ControllerRegistration, UnregisterBroker,
} from '../../protocol/messages/cluster.ts';
import { serve } from './serve.ts';

const NO_EPOCH = -1;
/** What Kafka sends where it leaves the field alone, though that could be null. */
const NO_MESSAGE = '';

export const controllerApis = [
  serve(BrokerRegistration, '0-4', {
    listeners: 'controller',
    async handle(request, { node }) {
      return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, brokerEpoch: await node.controller.registerBroker(request) };
    },
    onError: (errorCode) => ({ throttleTimeMs: 0, errorCode, brokerEpoch: NO_EPOCH }),
  }),
  serve(BrokerHeartbeat, '0-2', {
    listeners: 'controller',
    async handle(request, { node, connection }) {
      const { brokerId, brokerEpoch } = request;
      connection.onBroken = () => node.controller.brokerDisconnected(brokerId, brokerEpoch);
      const { isCaughtUp, isFenced, shouldShutDown } = await node.controller.brokerHeartbeat(request);
      return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, isCaughtUp, isFenced, shouldShutDown };
    },
    onError: (errorCode) => ({ throttleTimeMs: 0, errorCode, isCaughtUp: false, isFenced: true, shouldShutDown: false }),
  }),
  serve(ControllerRegistration, '0', {
    listeners: 'controller',
    async handle(request, { node }) {
      await node.controller.registerController(request);
      return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: NO_MESSAGE };
    },
    onError: (errorCode, _request, _context, errorMessage) => ({ throttleTimeMs: 0, errorCode, errorMessage }),
  }),
  serve(AlterPartition, '2-3', {
    listeners: 'controller',
    handle: (request, { node }) => node.controller.alterPartitions(request),
    onError: (errorCode) => ({ throttleTimeMs: 0, errorCode, topics: [] }),
  }),
  serve(AssignReplicasToDirs, '0', {
    listeners: 'controller',
    handle: (request, { node }) => node.controller.assignReplicasToDirectories(request),
    onError: (errorCode) => ({ throttleTimeMs: 0, errorCode, directories: [] }),
  }),
  serve(AllocateProducerIds, '0', {
    listeners: 'controller',
    async handle({ brokerId, brokerEpoch }, { node }) {
      const { firstProducerId, blockSize } = await node.controller.allocateProducerIds(brokerId, brokerEpoch);
      return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, producerIdStart: firstProducerId, producerIdLen: blockSize };
    },
    onError: (errorCode) => ({ throttleTimeMs: 0, errorCode, producerIdStart: 0, producerIdLen: 0 }),
  }),
  serve(UnregisterBroker, '0', {
    forward: true,
    async handle({ brokerId }, { node }) {
      await node.controller.unregisterBroker(brokerId);
      return { throttleTimeMs: 0, errorCode: ErrorCode.NONE, errorMessage: NO_MESSAGE };
    },
    onError: (errorCode, _request, _context, errorMessage) => ({ throttleTimeMs: 0, errorCode, errorMessage }),
    arrived: ({ brokerId }, _response, image) => !image.brokers.has(brokerId),
  }),
];
