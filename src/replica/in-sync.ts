/**
 * The in-sync replicas of a partition, as its leader knows them: what the controller has committed, and at most one change on its way there.
 *
 * Promises: `maximal` holds every replica that may be in sync in the controller's eyes, whatever becomes of the change: no record counts as committed that
 * one of them lacks. A change is taken as made only when the controller says so, for this leader epoch; where nobody can know whether it was made,
 * it stays pending until the metadata tell.
 * Does not decide who is in sync (`followers.ts` does), send anything (`alter-partition.ts` does), or know the time.
 */
import { ErrorCode } from '../../protocol/errors.ts';

/** A change that the leader asks the controller for. */
export interface Proposal {
  readonly isr: readonly number[];
  readonly leaderEpoch: number;
  /** The one that it changes. */
  readonly partitionEpoch: number;
}

/** What the controller said to a proposal. */
export interface ProposalAnswer {
  readonly errorCode: ErrorCode;
  readonly leaderEpoch: number;
  readonly partitionEpoch: number;
  readonly isr: readonly number[];
}

/**
 * committed: the in-sync replicas are those of the answer. reverted: the change was not made. retry: the same is to be asked again. waiting: the metadata
 * will tell. stale: the answer is to something that is no longer asked.
 */
export type Verdict = 'committed' | 'reverted' | 'retry' | 'waiting' | 'stale';

export class InSyncReplicas {
  #isr: readonly number[];
  #maximal: readonly number[];
  #leaderEpoch: number;
  #partitionEpoch: number;
  #pending: Proposal | null = null;

  constructor(committed: { readonly isr: readonly number[]; readonly leaderEpoch: number; readonly partitionEpoch: number }) {
    this.#isr = committed.isr;
    this.#maximal = committed.isr;
    this.#leaderEpoch = committed.leaderEpoch;
    this.#partitionEpoch = committed.partitionEpoch;
  }

  /** Committed. */
  get isr(): readonly number[] {
    return this.#isr;
  }

  /** Committed, and those that a change on its way adds. */
  get maximal(): readonly number[] {
    return this.#maximal;
  }

  get partitionEpoch(): number {
    return this.#partitionEpoch;
  }

  get pending(): Proposal | null {
    return this.#pending;
  }

  /**
   * What the metadata say now, which is not older than what is known here. The state that is known already says nothing of a change that was asked for since:
   * that still may be made, and what it adds has to count.
   */
  learn(committed: { readonly isr: readonly number[]; readonly leaderEpoch: number; readonly partitionEpoch: number }): void {
    if (committed.leaderEpoch !== this.#leaderEpoch || committed.partitionEpoch !== this.#partitionEpoch) this.#commit(committed);
  }

  #commit(committed: { readonly isr: readonly number[]; readonly leaderEpoch: number; readonly partitionEpoch: number }): void {
    this.#isr = committed.isr;
    this.#maximal = committed.isr;
    this.#leaderEpoch = committed.leaderEpoch;
    this.#partitionEpoch = committed.partitionEpoch;
    this.#pending = null;
  }

  /** null while another change is on its way. */
  expand(replica: number): Proposal | null {
    if (this.#pending !== null || this.#isr.includes(replica)) return null;
    const isr = [...this.#isr, replica];
    this.#maximal = isr;
    return this.#propose(isr);
  }

  /** Those who go count until they are gone: the controller may not have heard. */
  shrink(replicas: readonly number[]): Proposal | null {
    if (this.#pending !== null) return null;
    const isr = this.#isr.filter((replica) => !replicas.includes(replica));
    return isr.length === this.#isr.length ? null : this.#propose(isr);
  }

  #propose(isr: readonly number[]): Proposal {
    this.#pending = { isr, leaderEpoch: this.#leaderEpoch, partitionEpoch: this.#partitionEpoch };
    return this.#pending;
  }

  /** As Kafka's Partition.handleAlterPartitionUpdate and handleAlterPartitionError. */
  answered(proposal: Proposal, answer: ProposalAnswer): Verdict {
    if (this.#pending !== proposal) return 'stale';
    switch (answer.errorCode) {
      case ErrorCode.NONE:
        if (answer.leaderEpoch !== this.#leaderEpoch || answer.partitionEpoch < this.#partitionEpoch) return 'waiting';
        this.#commit(answer);
        return 'committed';
      case ErrorCode.OPERATION_NOT_ATTEMPTED:
      case ErrorCode.INELIGIBLE_REPLICA:
        // Only after these two is it certain that nothing was changed by an earlier attempt whose answer was lost.
        this.#pending = null;
        this.#maximal = this.#isr;
        return 'reverted';
      case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
      case ErrorCode.UNKNOWN_TOPIC_ID:
      case ErrorCode.FENCED_LEADER_EPOCH:
      case ErrorCode.INVALID_UPDATE_VERSION:
      case ErrorCode.INVALID_REQUEST:
      // The change was made, and with it a reassignment ended that took this replica away.
      case ErrorCode.NEW_LEADER_ELECTED:
        return 'waiting';
      default:
        return 'retry';
    }
  }
}
