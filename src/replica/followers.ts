/**
 * The other replicas of a partition, as its leader knows them from their fetches: how far they have come, and when they last had everything.
 *
 * Promises: an offset counts only if this leader, in this epoch, may have given it: who calls has checked the epoch, that the logs do not part before it,
 * and that it is not beyond the log's end. Of a broker that has registered anew an older self is not believed (KIP-903).
 * Does not know the log, the in-sync replicas or the metadata: they are given.
 */

export interface Follower {
  readonly id: number;
  /** It has all before this; -1 until its first fetch in this leader's time. */
  logEndOffset: number;
  logStartOffset: number;
  /** Monotonic ms of its last fetch, and where the leader's log ended then. */
  lastFetchMs: number;
  leaderEndAtLastFetch: number;
  /** Monotonic ms at which it last had all that the leader had. */
  caughtUpMs: number;
  /** As its fetches say; -1 where they did not, undefined before the first. */
  brokerEpoch: number | undefined;
  /** The high watermark in the last answer to it. */
  toldHighWatermark: number;
}

export interface FollowerFetch {
  readonly fetchOffset: number;
  readonly logStartOffset: number;
  /** Monotonic ms at which the request came. */
  readonly atMs: number;
  readonly brokerEpoch: number;
}

const NEVER = Number.NEGATIVE_INFINITY;

export class Followers {
  readonly #byId = new Map<number, Follower>();

  get all(): Iterable<Follower> {
    return this.#byId.values();
  }

  get count(): number {
    return this.#byId.size;
  }

  get(id: number): Follower | undefined {
    return this.#byId.get(id);
  }

  /** Keeps those who are replicas, and meets those who are new. */
  keep(ids: readonly number[]): void {
    for (const id of this.#byId.keys()) if (!ids.includes(id)) this.#byId.delete(id);
    for (const id of ids) {
      if (this.#byId.has(id)) continue;
      this.#byId.set(id, {
        id, logEndOffset: -1, logStartOffset: -1, lastFetchMs: NEVER, leaderEndAtLastFetch: -1, caughtUpMs: NEVER, brokerEpoch: undefined, toldHighWatermark: -1,
      });
    }
  }

  clear(): void {
    this.#byId.clear();
  }

  /**
   * A new leader epoch begins. Those in sync are given the time of a lag to come; what is known of them stays only where this replica led before
   * (`goesOn`): else it was told to another.
   */
  beginEpoch(options: { readonly isr: readonly number[]; readonly nowMs: number; readonly leaderEndOffset: number; readonly goesOn: boolean }): void {
    const { isr, nowMs, leaderEndOffset, goesOn } = options;
    for (const follower of this.#byId.values()) {
      const inSync = isr.includes(follower.id);
      follower.caughtUpMs = inSync ? nowMs : NEVER;
      follower.lastFetchMs = goesOn && inSync ? nowMs : NEVER;
      follower.leaderEndAtLastFetch = goesOn ? leaderEndOffset : -1;
      follower.toldHighWatermark = -1;
      if (goesOn) continue;
      follower.logEndOffset = -1;
      follower.logStartOffset = -1;
      follower.brokerEpoch = undefined;
    }
  }

  /** Whether it has come further than it had. As Kafka's Replica.updateFetchState. */
  fetched(follower: Follower, fetch: FollowerFetch, leaderEndOffset: number): boolean {
    if (fetch.fetchOffset >= leaderEndOffset) follower.caughtUpMs = Math.max(follower.caughtUpMs, fetch.atMs);
    // It has all that there was when it asked last: it had caught up with that moment.
    else if (fetch.fetchOffset >= follower.leaderEndAtLastFetch) follower.caughtUpMs = Math.max(follower.caughtUpMs, follower.lastFetchMs);
    const moved = fetch.fetchOffset !== follower.logEndOffset;
    follower.logEndOffset = fetch.fetchOffset;
    follower.logStartOffset = fetch.logStartOffset;
    follower.lastFetchMs = Math.max(follower.lastFetchMs, fetch.atMs);
    follower.leaderEndAtLastFetch = leaderEndOffset;
    follower.brokerEpoch = fetch.brokerEpoch;
    return moved;
  }
}

/** It has everything, or had so not longer ago than a lag may last. */
export function isCaughtUp(follower: Follower, leaderEndOffset: number, nowMs: number, lagMsMax: number): boolean {
  return follower.logEndOffset === leaderEndOffset || nowMs - follower.caughtUpMs <= lagMsMax;
}
