/**
 * What handlers see of the node they run in: its rooms, and the few facts that more than one API tells.
 * A plain interface, so that a handler's test can give it just what the handler uses.
 */
import type { BufferPool } from '../../storage/buffer-pool.ts';
import type { GroupCoordinator } from '../coordinator/group-coordinator.ts';
import type { Controller } from '../quorum/controller.ts';
import type { PeerChannel } from '../peer/peer.ts';
import type { MetadataImage } from '../quorum/image.ts';
import type { Quorum } from '../quorum/quorum.ts';
import type { FetchSessions } from '../replica/fetch-sessions.ts';
import type { ProducerIds } from '../replica/producer-ids.ts';
import type { Replicas } from '../replica/replicas.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';
import type { ConnectionInfo } from './serve.ts';

export interface NodeEndpoint {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

export interface Node {
  readonly runtime: Runtime;
  readonly settings: Settings;
  readonly nodeId: number;
  readonly clusterId: string;
  /** The metadata as of now. Keep the image, not the call, through one request. */
  image(): MetadataImage;
  /** The finalized kraft.version, which is the quorum's and not in the image. */
  kraftVersion(): number;
  readonly quorum: Quorum;
  /** This node's own. Reading it throws NOT_CONTROLLER where the node has no controller; whether it is the active one it says itself. */
  readonly controller: Controller;
  /** To the active controller, wherever it is: in this process or over the network. */
  readonly controllerChannel: PeerChannel;
  /**
   * Creates topics that are missing: with the settings of this broker, or those that an internal topic must have. Resolves when this node's metadata shows
   * them, or when they cannot be made (which is logged). Rejects with a KafkaError when no controller answers in time.
   */
  ensureTopics(names: readonly string[]): Promise<void>;
  /** Of this node's registration as a broker; -1 before the first. */
  readonly brokerEpoch: number;
  // From here on what brokers have: reading them on a node that is a controller only is an error of ours.
  readonly replicas: Replicas;
  readonly fetchSessions: FetchSessions;
  readonly readBuffers: BufferPool;
  readonly producerIds: ProducerIds;
  readonly groups: GroupCoordinator;
  /** Where a client of this connection reaches the brokers: their advertised listener of the name by which it came, or the address that it came to. */
  endpointsOf(nodeIds: Iterable<number>, connection: ConnectionInfo): NodeEndpoint[];
}
