/**
 * The throttles of replication: bytes per second that replicas which are not in sync may take of this node (leader.replication.throttled.rate) or bring to it
 * (follower.replication.throttled.rate), for the partitions that leader/follower.replication.throttled.replicas name.
 *
 * Promises: the rate is that of Kafka's sampled quota: over replication.quota.window.num windows of replication.quota.window.size.seconds, the last of which is
 * still open; what is older is forgotten. Without a rate nothing is throttled. Does not hold anything up: who is about to read or fetch asks first.
 */

export interface QuotaSettings {
  /** replication.quota.window.num, replication.quota.window.size.seconds */
  readonly windows: number;
  readonly windowMs: number;
}

/** A rate of 2^63-1, which is the default, arrives as the largest safe integer. */
const UNLIMITED = Number.MAX_SAFE_INTEGER;

export class ReplicationQuota {
  readonly #settings: QuotaSettings;
  /** Oldest first. */
  #samples: { startMs: number; bytes: number }[] = [];

  constructor(settings: QuotaSettings) {
    this.#settings = settings;
  }

  record(bytes: number, nowMs: number): void {
    this.#forget(nowMs);
    const last = this.#samples.at(-1);
    if (last === undefined || nowMs - last.startMs >= this.#settings.windowMs) this.#samples.push({ startMs: nowMs, bytes });
    else last.bytes += bytes;
  }

  isExceeded(bytesPerSecond: number, nowMs: number): boolean {
    return bytesPerSecond < UNLIMITED && this.bytesPerSecond(nowMs) > bytesPerSecond;
  }

  /** As Kafka's SimpleRate: since the oldest sample, but never over less than one window. */
  bytesPerSecond(nowMs: number): number {
    this.#forget(nowMs);
    const first = this.#samples[0];
    if (first === undefined) return 0;
    let bytes = 0;
    for (const sample of this.#samples) bytes += sample.bytes;
    return (bytes * 1000) / Math.max(nowMs - first.startMs, this.#settings.windowMs);
  }

  #forget(nowMs: number): void {
    const { windows, windowMs } = this.#settings;
    while (this.#samples.length > 0 && nowMs - this.#samples[0]!.startMs >= windows * windowMs) this.#samples.shift();
  }
}

/** Whether a list of throttled replicas names this one. */
export function isThrottledReplica(list: readonly string[], partition: number, brokerId: number): boolean {
  return list.length > 0 && (list[0] === '*' || list.includes(`${partition}:${brokerId}`));
}
