/**
 * The offsets that a group commits, and what its coordinators say of them when they are asked.
 * Promises: names every answer that no broker may give: an offset older than one whose commit was acknowledged before the question was sent, and one that nobody
 * has sent. The order of the commits is that in which they were sent, so it is no matter which offset is the greater one.
 * Does not: know who answered.
 */

/** A commit of one partition's offset. */
export interface CommitAttempt {
  readonly partition: number;
  readonly offset: number;
  /** Of all attempts for the partition, in the order in which they were sent. */
  readonly index: number;
  isAnswered: boolean;
  /**
   * The next one was sent before this one was answered: it may lie in the socket of a node that is paused or cut off, and be carried out after later ones. No
   * broker can tell it from a new one: the member is the same, and so is its generation.
   */
  isLate: boolean;
}

/** What was acknowledged when a question was sent: the index of the last such attempt, by partition. */
export type CommitQuestion = ReadonlyMap<number, number>;

export class CommitHistory {
  readonly #attempts = new Map<number, CommitAttempt[]>();
  readonly #acknowledged = new Map<number, number>();
  readonly #waiting: (() => void)[] = [];
  acknowledged = 0;

  /** About to be sent. */
  attempt(partition: number, offset: number): CommitAttempt {
    const attempts = this.#attempts.get(partition) ?? [];
    this.#attempts.set(partition, attempts);
    const before = attempts.at(-1);
    if (before !== undefined && !before.isAnswered) before.isLate = true;
    const attempt: CommitAttempt = { partition, offset, index: attempts.length, isAnswered: false, isLate: false };
    attempts.push(attempt);
    return attempt;
  }

  acknowledge(attempt: CommitAttempt): void {
    attempt.isAnswered = true;
    this.#acknowledged.set(attempt.partition, Math.max(attempt.index, this.#acknowledged.get(attempt.partition) ?? -1));
    this.acknowledged++;
    for (const done of this.#waiting.splice(0)) done();
  }

  /** Answered with an error: it is in the log before whatever is sent from now on, or it never will be. */
  refuse(attempt: CommitAttempt): void {
    attempt.isAnswered = true;
  }

  /** Resolves at the next acknowledged commit. */
  more(): Promise<void> {
    return new Promise((done) => this.#waiting.push(done));
  }

  /** About to ask what is committed. */
  ask(): CommitQuestion {
    return new Map(this.#acknowledged);
  }

  /** What is wrong with the answer for a partition, -1 for no offset; null where an honest broker may say so. */
  told(question: CommitQuestion, partition: number, offset: number): string | null {
    const least = question.get(partition);
    const attempts = this.#attempts.get(partition) ?? [];
    if (offset < 0 ? least === undefined : attempts.some((each) => each.offset === offset && (each.isLate || each.index >= (least ?? 0)))) return null;
    if (offset >= 0 && attempts.every((each) => each.offset !== offset)) return `nobody committed this: partition ${partition} is at ${offset}`;
    return `lost commit: partition ${partition} is at ${offset}, ${attempts[least!]!.offset} was acknowledged`;
  }

  /** The same for all partitions; those that `committed` does not name have no offset. */
  violations(question: CommitQuestion, committed: ReadonlyMap<number, number>): string[] {
    const partitions = new Set([...question.keys(), ...committed.keys()]);
    return [...partitions].map((partition) => this.told(question, partition, committed.get(partition) ?? -1)).filter((found) => found !== null);
  }
}
