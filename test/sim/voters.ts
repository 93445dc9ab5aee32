/**
 * The voters of a dynamic metadata quorum (KIP-853), as the operator of a simulated cluster sees and changes them.
 *
 * Promises: a disk that comes new is formatted under a directory id of its own before its node starts, the first disks of the first three nodes as the initial
 * controllers; what is asked for keeps at least one voter. Does not: decide when, or repeat what was refused.
 */
import { AddRaftVoter, DescribeQuorum, RemoveRaftVoter } from '../../protocol/messages/index.ts';
import { errorName } from '../../protocol/errors.ts';
import { formatDirectory } from '../../src/quorum/bootstrap.ts';
import type { Broker } from '../../src/broker.ts';
import type { ClientConnection } from '../../src/client/connection.ts';
import { addressOf, CONTROLLER_PORT, DATA } from './node.ts';
import type { SimNode } from './node.ts';

const INITIAL = [1, 2, 3];
const METADATA = '__cluster_metadata';
const QUESTION = { topics: [{ topicName: METADATA, partitions: [{ partitionIndex: 0 }] }] };

/** Of a disk that was wiped so often. */
export function directoryIdOf(nodeId: number, wipes: number): string {
  return Buffer.alloc(16, nodeId).fill(wipes + 1, 8).toString('base64url');
}

/** What `ottla format` does, by the operator's hands: with --initial-controllers at first, with --no-initial-controllers for a disk that comes later. */
export function formatVoter(node: SimNode, clusterId: string): void {
  const isInitial = node.wipes === 0 && INITIAL.includes(node.id);
  const voters = INITIAL.map((id) => ({
    voterId: id, voterDirectoryId: directoryIdOf(id, 0), endpoints: [{ name: 'CONTROLLER', host: addressOf(id), port: CONTROLLER_PORT }],
    kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 },
  }));
  formatDirectory({
    disk: node.disk, directory: DATA, clusterId, nodeId: node.id, directoryId: directoryIdOf(node.id, node.wipes), nowMs: node.clock.wallMs(),
    voters: isInitial ? { kraftVersion: 1, voters: { version: 0, voters } } : null,
  });
}

/** Voters and their directories by what a leader says of itself, at this moment; null for a node that does not lead. */
export function votersOf({ quorum }: Broker): ReadonlyMap<number, string> | null {
  const partition = quorum.requests.describeQuorum(QUESTION, { apiVersion: 2 }).topics![0]!.partitions![0]!;
  return partition.errorCode === 0 ? new Map(partition.currentVoters!.map(({ replicaId, replicaDirectoryId }) => [replicaId!, replicaDirectoryId!])) : null;
}

/** Takes out a voter that is no more, or one that is; or puts one in. Rejects with a ConnectionError when nobody answers. */
export async function changeVoters(connection: ClientConnection, nodes: readonly SimNode[], { choice, other }: { readonly choice: number; readonly other: number }): Promise<string> {
  const answer = await connection.request(DescribeQuorum, QUESTION);
  const partition = answer.topics[0]?.partitions[0];
  if (partition === undefined || partition.errorCode !== 0) return `who votes is not told: ${errorName(partition?.errorCode ?? answer.errorCode)}`;
  const voters = partition.currentVoters;
  const directoryOf = (node: SimNode): string => directoryIdOf(node.id, node.wipes);
  const gone = voters.find(({ replicaId, replicaDirectoryId }) => nodes.some((node) => node.id === replicaId && directoryOf(node) !== replicaDirectoryId));
  const node = nodes[(other - 1) % nodes.length]!;
  const hasMoved = nodes.some((one) => one.controllerPort !== CONTROLLER_PORT);
  const removed = gone ?? (!hasMoved && voters.length > (choice < 0.15 ? 1 : 2) ? voters.find(({ replicaId }) => replicaId === node.id) : undefined);
  if (removed !== undefined) {
    const { replicaId: voterId, replicaDirectoryId: voterDirectoryId } = removed;
    const { errorCode } = await connection.request(RemoveRaftVoter, { clusterId: null, voterId, voterDirectoryId }, { timeoutMs: 6000 });
    return `without ${voterId} of ${voterDirectoryId}: ${errorName(errorCode)}`;
  }
  const added = nodes.find((one) => !voters.some(({ replicaId }) => replicaId === one.id));
  if (added === undefined) return 'all vote';
  const { errorCode } = await connection.request(AddRaftVoter, {
    clusterId: null, timeoutMs: 5000, voterId: added.id, voterDirectoryId: directoryOf(added), listeners: [{ name: 'CONTROLLER', host: added.address, port: added.controllerPort }], ackWhenCommitted: choice < 0.7,
  }, { timeoutMs: 6000 });
  return `with ${added.id} of ${directoryOf(added)}: ${errorName(errorCode)}`;
}
