/**
 * The requests by which controllers elect a leader and follow it, and those by which operators look at the quorum and change it.
 *
 * What voters say to each other is served on the listeners of controllers alone: a client's listener does not know Vote. DescribeQuorum and the changes of voters come to
 * brokers too, which pass them on to the active controller. Fetch is served twice: here it is about the metadata log, and nothing else.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import {
  AddRaftVoter, BeginQuorumEpoch, DescribeQuorum, EndQuorumEpoch, Fetch, FetchSnapshot, RemoveRaftVoter, UpdateRaftVoter, Vote,
} from '../../protocol/messages/index.ts';
import type { QuorumRequestContext } from '../quorum/quorum-service.ts';
import { type RequestContext, serve } from './serve.ts';

function how({ apiVersion, connection }: RequestContext): QuorumRequestContext {
  return { apiVersion, listener: connection.listener };
}

/**
 * A broker that has passed a request on asks the next controller at NOT_CONTROLLER, and gives its client everything else: also NOT_LEADER_OR_FOLLOWER, which Kafka's admin client
 * takes for the end where it asked a broker. Seen with a broker of 4.3.1 that had not heard yet of the next leader.
 */
function mustLead({ node, isForwarded }: RequestContext): void {
  if (isForwarded && node.quorum.leader().leaderId !== node.nodeId) throw new KafkaError(ErrorCode.NOT_CONTROLLER);
}

const failed = (errorCode: ErrorCode) => ({ errorCode, topics: [] });
const refused = (errorCode: ErrorCode, _request: unknown, _context: unknown, errorMessage: string | null) => ({ throttleTimeMs: 0, errorCode, errorMessage });

export const quorumApis = [
  serve(Fetch, '4-18', {
    listeners: 'controller',
    handle: (request, context) => context.node.quorum.requests.fetch(request, how(context)),
    onError: (errorCode) => ({ throttleTimeMs: 0, errorCode, responses: [] }),
  }),
  serve(Vote, '0-2', {
    listeners: 'controller',
    handle: (request, context) => context.node.quorum.requests.vote(request, how(context)),
    onError: failed,
  }),
  serve(BeginQuorumEpoch, '0-1', {
    listeners: 'controller',
    handle: (request, context) => context.node.quorum.requests.beginQuorumEpoch(request, how(context)),
    onError: failed,
  }),
  serve(EndQuorumEpoch, '0-1', {
    listeners: 'controller',
    handle: (request, context) => context.node.quorum.requests.endQuorumEpoch(request, how(context)),
    onError: failed,
  }),
  serve(FetchSnapshot, '0-1', {
    listeners: 'controller',
    handle: (request, context) => context.node.quorum.requests.fetchSnapshot(request, how(context)),
    onError: (errorCode) => ({ throttleTimeMs: 0, errorCode, topics: [] }),
  }),
  serve(DescribeQuorum, '0-2', {
    forward: true,
    handle: (request, context) => context.node.quorum.requests.describeQuorum(request, how(context)),
    onError: (errorCode, _request, { apiVersion }, errorMessage) => ({ errorCode, ...(apiVersion >= 2 && { errorMessage }), topics: [] }),
  }),
  serve(AddRaftVoter, '0-1', {
    forward: true,
    handle(request, context) {
      mustLead(context);
      return context.node.quorum.requests.addRaftVoter(request);
    },
    onError: refused,
  }),
  serve(RemoveRaftVoter, '0', {
    forward: true,
    handle(request, context) {
      mustLead(context);
      return context.node.quorum.requests.removeRaftVoter(request);
    },
    onError: refused,
  }),
  serve(UpdateRaftVoter, '0', {
    listeners: 'controller',
    handle: (request, context) => context.node.quorum.requests.updateRaftVoter(request, how(context)),
    onError: (errorCode) => ({ throttleTimeMs: 0, errorCode, currentLeader: { leaderId: -1, leaderEpoch: -1, host: '', port: 0 } }),
  }),
];
