/**
 * Which replica a consumer had better read from (KIP-392): one in its own rack, as Kafka's RackAwareReplicaSelector says.
 *
 * Promises: a replica that is named is in sync, in service, has the offset that is asked for, and is not the leader who answers. Pure; does not know settings.
 */
import type { Follower } from './followers.ts';

const NO_REPLICA = -1;

export interface Choice {
  readonly rack: string;
  readonly fetchOffset: number;
  /** The rack of the leader, which is asked. */
  readonly leaderRack: string | null;
  readonly isr: readonly number[];
  readonly followers: Iterable<Follower>;
  /** null for a broker that is not in service or has none. */
  rackOf(brokerId: number): string | null;
}

/** -1 for the leader. */
export function readReplica({ rack, fetchOffset, leaderRack, isr, followers, rackOf }: Choice): number {
  if (rack === '' || leaderRack === rack) return NO_REPLICA;
  let best: Follower | undefined;
  for (const follower of followers) {
    if (!isr.includes(follower.id) || rackOf(follower.id) !== rack) continue;
    if (follower.logEndOffset < fetchOffset || follower.logStartOffset > fetchOffset) continue;
    if (best === undefined || isBetter(follower, best)) best = follower;
  }
  return best?.id ?? NO_REPLICA;
}

/** Who has more; among equals who caught up later; among those the lower id. */
function isBetter(one: Follower, other: Follower): boolean {
  if (one.logEndOffset !== other.logEndOffset) return one.logEndOffset > other.logEndOffset;
  if (one.caughtUpMs !== other.caughtUpMs) return one.caughtUpMs > other.caughtUpMs;
  return one.id < other.id;
}
