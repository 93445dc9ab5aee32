/**
 * Who wants to know whether this node still leads a partition: told once every replica that could lead instead has shown that it follows.
 *
 * Promises: what shows it was sent after the question. A fetch that comes then may have lain in a socket for long, so only the next one of the same connection counts: a
 * follower sends it when it has the answer to the one before, and sends none under this leader epoch once it knows of another.
 * Does not: know who those replicas are, or wake fetches that wait for data; the partition does.
 */
import { ErrorCode } from '../../protocol/errors.ts';

interface Question {
  /** Who has not shown it yet, and the connection that a fetch of his came by since. */
  readonly missing: Map<number, number | null>;
  readonly call: (errorCode: ErrorCode) => void;
}

export class Confirmations {
  #questions: Question[] = [];

  get isWaiting(): boolean {
    return this.#questions.length > 0;
  }

  awaits(replica: number): boolean {
    return this.#questions.some(({ missing }) => missing.has(replica));
  }

  /** `call` is called once, and at once when nobody else could lead. */
  ask(replicas: readonly number[], call: (errorCode: ErrorCode) => void): void {
    if (replicas.length === 0) call(ErrorCode.NONE);
    else this.#questions.push({ missing: new Map(replicas.map((id) => [id, null])), call });
  }

  /** A follower has fetched under the leader's epoch. */
  fetched(replica: number, connection: number): void {
    if (!this.isWaiting) return;
    for (const { missing } of this.#questions) {
      const before = missing.get(replica);
      if (before === connection) missing.delete(replica);
      else if (before !== undefined) missing.set(replica, connection);
    }
    this.#settle();
  }

  /** Others than these cannot lead instead any more. */
  keep(replicas: readonly number[]): void {
    for (const { missing } of this.#questions) for (const id of missing.keys()) if (!replicas.includes(id)) missing.delete(id);
    this.#settle();
  }

  fail(errorCode: ErrorCode): void {
    for (const { call } of this.#questions.splice(0)) call(errorCode);
  }

  #settle(): void {
    const settled = this.#questions.filter(({ missing }) => missing.size === 0);
    this.#questions = this.#questions.filter(({ missing }) => missing.size > 0);
    for (const { call } of settled) call(ErrorCode.NONE);
  }
}
