/**
 * A follower's side of a fetch session (KIP-227): what it asks of its leader, as what changed since it asked last.
 *
 * Promises: the leader's view of the session is the one that the last answer confirmed, or there is no session and everything is said anew: after a lost answer,
 * a refused session, or an answer without one. A partition that is not wanted now is forgotten there.
 * Does not send, wait, or look at records.
 */
import { ErrorCode } from '../../protocol/errors.ts';

/** What is asked of one partition. */
export interface FetchWant {
  readonly topicId: string;
  readonly partition: number;
  readonly currentLeaderEpoch: number;
  readonly fetchOffset: number;
  readonly lastFetchedEpoch: number;
  readonly logStartOffset: number;
  readonly partitionMaxBytes: number;
}

export interface FetchAskedFor {
  readonly sessionId: number;
  readonly sessionEpoch: number;
  readonly topics: { readonly topicId: string; readonly partitions: FetchWant[] }[];
  readonly forgottenTopicsData: { readonly topicId: string; readonly partitions: number[] }[];
}

const NO_SESSION = 0;
const INITIAL_EPOCH = 0;
const EPOCH_MAX = 0x7fff_ffff;

export class IncrementalFetch {
  #sessionId = NO_SESSION;
  #epoch = INITIAL_EPOCH;
  /** As the leader knows it, by the key of the partition. */
  #known = new Map<string, FetchWant>();

  /** Everything that is wanted now, by a key that is its partition's for ever. */
  ask(wanted: ReadonlyMap<string, FetchWant>): FetchAskedFor {
    const isFull = this.#epoch === INITIAL_EPOCH;
    const forgotten = isFull ? [] : [...this.#known].filter(([key]) => !wanted.has(key)).map(([, want]) => want);
    const changed: FetchWant[] = [];
    for (const [key, want] of wanted) {
      const known = isFull ? undefined : this.#known.get(key);
      if (known === undefined || !same(known, want)) changed.push(want);
    }
    this.#known = new Map(wanted);
    return {
      sessionId: this.#sessionId,
      sessionEpoch: this.#epoch,
      topics: byTopic(changed).map(({ topicId, of }) => ({ topicId, partitions: of })),
      forgottenTopicsData: byTopic(forgotten).map(({ topicId, of }) => ({ topicId, partitions: of.map(({ partition }) => partition) })),
    };
  }

  /** False when the answer refuses the session: nothing in it is to be looked at. */
  answered(answer: { readonly errorCode: number; readonly sessionId: number }): boolean {
    if (answer.errorCode !== ErrorCode.NONE) {
      // The session that is closed by the next full request is the one that the leader may still hold; one that it does not know is not named again.
      if (answer.errorCode === ErrorCode.FETCH_SESSION_ID_NOT_FOUND) this.#sessionId = NO_SESSION;
      this.#epoch = INITIAL_EPOCH;
      return false;
    }
    if (this.#epoch === INITIAL_EPOCH || answer.sessionId !== this.#sessionId) {
      this.#sessionId = answer.sessionId;
      this.#epoch = answer.sessionId === NO_SESSION ? INITIAL_EPOCH : 1;
    } else {
      this.#epoch = this.#epoch === EPOCH_MAX ? 1 : this.#epoch + 1;
    }
    return true;
  }

  /** No answer came: nobody knows whether the leader has taken the request in. */
  lost(): void {
    this.#epoch = INITIAL_EPOCH;
  }
}

function same(left: FetchWant, right: FetchWant): boolean {
  return left.fetchOffset === right.fetchOffset && left.logStartOffset === right.logStartOffset && left.currentLeaderEpoch === right.currentLeaderEpoch
    && left.lastFetchedEpoch === right.lastFetchedEpoch && left.partitionMaxBytes === right.partitionMaxBytes;
}

function byTopic(wants: readonly FetchWant[]): { topicId: string; of: FetchWant[] }[] {
  const topics = new Map<string, FetchWant[]>();
  for (const want of wants) {
    const of = topics.get(want.topicId);
    if (of === undefined) topics.set(want.topicId, [want]);
    else of.push(want);
  }
  return [...topics].map(([topicId, of]) => ({ topicId, of }));
}
