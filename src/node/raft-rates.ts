/**
 * How fast the metadata quorum is, as this node sees it: KafkaRaftMetrics of Kafka. Read off where the node stands after each step of its raft state.
 *
 *     append-records-rate   records that this node has appended as the leader
 *     fetch-records-rate    records that it has copied from the leader
 *     commit-latency        from the append at the leader to the commit; of batches that were appended at once, the last
 *     election-latency      from the moment this node stood for election to a leader, whoever that is
 *
 * Promises: holds a bounded number of appends that wait for their commit. Does not look into the log.
 */
import { Recent } from '../metrics/recent.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { RaftFacts } from '../quorum/quorum.ts';

const UNCOMMITTED_MAX = 1024;

export type RaftStanding = Pick<RaftFacts, 'role' | 'leaderId' | 'epoch' | 'highWatermark' | 'logEndOffset'>;

export class RaftRates {
  readonly appended = new Recent();
  readonly fetched = new Recent();
  readonly commitMs = new Recent();
  readonly electionMs = new Recent();
  /** What this leader has appended and is not committed, oldest first. */
  #uncommitted: { readonly endOffset: number; readonly atMs: number }[] = [];
  #electionSinceMs: number | null = null;
  #before: RaftStanding | null = null;

  /** After each step. */
  step(now: RaftStanding, nowMs: number): void {
    const before = this.#before;
    this.#before = now;
    if (before === null) return;
    const isLeader = now.role === 'leader';
    if (!isLeader || before.epoch !== now.epoch) this.#uncommitted = [];
    const grown = now.logEndOffset - before.logEndOffset;
    if (grown > 0) (isLeader ? this.appended : this.fetched).record(grown, nowMs);
    if (grown > 0 && isLeader && this.#uncommitted.length < UNCOMMITTED_MAX) this.#uncommitted.push({ endOffset: now.logEndOffset, atMs: nowMs });
    while (this.#uncommitted.length > 0 && this.#uncommitted[0]!.endOffset <= now.highWatermark) this.commitMs.record(nowMs - this.#uncommitted.shift()!.atMs, nowMs);
    if (now.role === 'candidate' || now.role === 'prospective') this.#electionSinceMs ??= nowMs;
    else if (this.#electionSinceMs !== null && now.leaderId >= 0) {
      this.electionMs.record(nowMs - this.#electionSinceMs, nowMs);
      this.#electionSinceMs = null;
    }
  }

  /** `nowMs` is the monotonic clock of `step`. */
  register(metrics: Metrics, prefix: string, nowMs: () => number): void {
    const gauge = (name: string, help: string, value: () => number): void => metrics.gauge(`${prefix}_${name}`, help, value);
    gauge('append_records_rate', 'Records a second that this node has appended to the metadata log as its leader, in the last 30 s.', () => this.appended.rate(nowMs()));
    gauge('fetch_records_rate', 'Records a second that it has copied from the leader.', () => this.fetched.rate(nowMs()));
    gauge('commit_latency_avg', 'Milliseconds from an append at this leader to its commit, in the last 30 s.', () => this.commitMs.mean(nowMs()));
    gauge('commit_latency_max', 'The most of them.', () => this.commitMs.max(nowMs()));
    gauge('election_latency_avg', 'Milliseconds from standing for election to a leader, in the last 30 s.', () => this.electionMs.mean(nowMs()));
    gauge('election_latency_max', 'The most of them.', () => this.electionMs.max(nowMs()));
  }
}
