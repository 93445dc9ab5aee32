/**
 * What becomes of a partition when its in-sync replicas, its replicas or the brokers that may lead change: elections and eligible leader replicas
 * (KIP-966), as one pure function from the partition to a PartitionChangeRecord.
 *
 * Promises: a leader comes from the in-sync replicas, else from the eligible ones, else is the last one known, else, where the topic allows it, any
 * acceptable replica; an unclean leader starts RECOVERING. Null when nothing changes. Does not know why something changed.
 */
import type { Input } from '../../protocol/schema.ts';
import type { PartitionChangeRecord } from '../../protocol/log-records/metadata.ts';
import { type MetadataVersionRules } from './features.ts';
import { NO_LEADER, type PartitionImage, RECOVERING } from './image.ts';

/** preferred: go back to the first replica. online: keep a leader. unclean: keep one at the price of records. */
export type Election = 'preferred' | 'online' | 'unclean';

export interface PartitionTarget {
  readonly topicId: string;
  readonly partitionId: number;
  readonly partition: PartitionImage;
  readonly isr?: readonly number[];
  readonly replicas?: readonly number[];
  readonly removingReplicas?: readonly number[];
  readonly addingReplicas?: readonly number[];
  readonly leaderRecoveryState?: number;
  /** Directories to set, by broker. */
  readonly directories?: ReadonlyMap<number, string>;
  /** Brokers that came back without the end of their logs: neither in sync nor eligible. */
  readonly uncleanShutdown?: readonly number[];
  readonly election?: Election;
  readonly isAcceptableLeader: (brokerId: number) => boolean;
  /** Already bounded by the number of replicas. */
  readonly minInsyncReplicas: number;
  readonly elrEnabled: boolean;
  readonly rules: MetadataVersionRules;
  readonly defaultDirectory: (brokerId: number) => string;
}

type Change = { -readonly [K in keyof Input<typeof PartitionChangeRecord>]: Input<typeof PartitionChangeRecord>[K] };

export function partitionChange(target: PartitionTarget): Input<typeof PartitionChangeRecord> | null {
  const { partition, elrEnabled, isAcceptableLeader } = target;
  const change: Change = { topicId: target.topicId, partitionId: target.partitionId };
  let isr = target.isr ?? partition.isr;
  let replicas = target.replicas ?? partition.replicas;
  let removing = target.removingReplicas ?? partition.removingReplicas;
  let adding = target.addingReplicas ?? partition.addingReplicas;
  const done = completedReassignment({ isr, replicas, removing, adding });
  if (done !== null) {
    ({ isr, replicas } = done);
    removing = [];
    adding = [];
  }

  let elr: readonly number[] = elrEnabled ? eligible(target, isr) : partition.elr;
  const canLead = (broker: number): boolean =>
    (isr.includes(broker) || (isr.length === 0 && elr.includes(broker))) && isAcceptableLeader(broker);
  const elected = elect();
  if (elected.leader !== partition.leader) {
    change.leader = elected.leader;
    if (elr.includes(elected.leader)) {
      isr = [elected.leader];
      elr = elr.filter((broker) => broker !== elected.leader);
    } else if (elected.unclean) {
      change.isr = [elected.leader];
      if (partition.leaderRecoveryState !== RECOVERING) change.leaderRecoveryState = RECOVERING;
    }
  }
  // Naming the present leader asks for a new leader epoch: replicas that are gone must not be able to fetch or lead under the old one.
  const bumpsEpoch = !partition.replicas.every((replica) => replicas.includes(replica));
  if (change.leader === undefined && bumpsEpoch) change.leader = partition.leader;

  const nextElr = change.isr !== undefined || !elrEnabled ? [] : elr;
  if (!same(nextElr, partition.elr)) change.eligibleLeaderReplicas = nextElr;
  // Without ELR the last in-sync replica stays in the set however far it is behind.
  if (change.isr === undefined && (isr.length > 0 || elrEnabled) && !same(isr, partition.isr)) change.isr = isr;
  if (target.rules.bumpsLeaderEpochOnIsrShrink && change.leader === undefined && change.isr != null) {
    const shrunk = change.isr;
    if (!partition.isr.every((broker) => shrunk.includes(broker))) change.leader = partition.leader;
  }
  if (elrEnabled) {
    // lastKnownElr holds the last leader, from when there is none until there is one again.
    if (change.leader === NO_LEADER && partition.lastKnownElr.length === 0) change.lastKnownElr = [partition.leader];
    else if (change.leader !== undefined && change.leader >= 0 && partition.lastKnownElr.length > 0) change.lastKnownElr = [];
  }
  if (target.rules.supportsDirectories) {
    const directories = replicas.map((replica) => directoryOf(target, replica));
    if (!same(directories, partition.directories)) change.directories = directories;
  }
  if (!same(replicas, partition.replicas)) change.replicas = replicas;
  if (!same(removing, partition.removingReplicas)) change.removingReplicas = removing;
  if (!same(adding, partition.addingReplicas)) change.addingReplicas = adding;
  const recovery = target.leaderRecoveryState ?? partition.leaderRecoveryState;
  if (recovery !== partition.leaderRecoveryState) change.leaderRecoveryState = recovery;
  return Object.keys(change).length === 2 ? null : change;

  function elect(): { leader: number; unclean: boolean } {
    if (target.election === 'preferred' && canLead(replicas[0]!)) return { leader: replicas[0]!, unclean: false };
    if (canLead(partition.leader)) return { leader: partition.leader, unclean: false };
    const clean = replicas.find(canLead);
    if (clean !== undefined) return { leader: clean, unclean: false };
    const lastKnown = partition.lastKnownElr;
    if (elrEnabled && elr.length === 0 && isr.length === 0 && lastKnown.length === 1 && isAcceptableLeader(lastKnown[0]!)) {
      return { leader: lastKnown[0]!, unclean: true };
    }
    if (target.election === 'unclean') {
      const any = replicas.find(isAcceptableLeader);
      if (any !== undefined) return { leader: any, unclean: true };
    }
    return { leader: NO_LEADER, unclean: false };
  }
}

/** Below min.insync.replicas, those that were in sync when it fell below stay eligible, for no record can have been committed without them. */
function eligible({ partition, minInsyncReplicas, uncleanShutdown = [] }: PartitionTarget, isr: readonly number[]): readonly number[] {
  if (isr.length >= minInsyncReplicas) return [];
  const candidates = new Set([...partition.elr, ...partition.isr]);
  return [...candidates].filter((broker) => !isr.includes(broker) && !uncleanShutdown.includes(broker)).sort((left, right) => left - right);
}

/** A reassignment is done when all that were to come are in sync, without those that are to go; one that shrinks waits for every replica that stays. */
function completedReassignment(state: {
  isr: readonly number[];
  replicas: readonly number[];
  removing: readonly number[];
  adding: readonly number[];
}): { isr: readonly number[]; replicas: readonly number[] } | null {
  const { removing, adding } = state;
  if (removing.length === 0 && adding.length === 0) return null;
  const isr = state.isr.filter((broker) => !removing.includes(broker));
  const replicas = state.replicas.filter((broker) => !removing.includes(broker));
  if (removing.length > 0 && (isr.length === 0 || replicas.length === 0)) return null;
  if (!adding.every((broker) => isr.includes(broker))) return null;
  if (adding.length < removing.length && !replicas.every((broker) => isr.includes(broker))) return null;
  return { isr, replicas };
}

function directoryOf(target: PartitionTarget, replica: number): string {
  const index = target.partition.replicas.indexOf(replica);
  return target.directories?.get(replica) ?? (index === -1 ? undefined : target.partition.directories[index]) ?? target.defaultDirectory(replica);
}

function same<T>(left: readonly T[], right: readonly T[]): boolean {
  return left.length === right.length && left.every((item, index) => item === right[index]);
}
