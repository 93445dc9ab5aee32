/**
 * What clients did and were told, in the order of virtual time: sends and polls of records, commits and lookups of group offsets, changes by admins.
 * Promises: an operation is open until it is `ok` (it happened), `fail` (it did not and will not) or `info` (nobody can know). Does not judge: `checker.ts` does.
 */

export type Outcome = 'open' | 'ok' | 'fail' | 'info';

export interface Send {
  readonly kind: 'send';
  readonly client: string;
  readonly partition: string;
  readonly values: readonly string[];
  readonly invokedMs: number;
  endedMs: number;
  outcome: Outcome;
  /** Of the first value; null when the broker did not say (a duplicate). */
  baseOffset: number | null;
}

export interface Polled {
  readonly offset: number;
  readonly value: string;
}

export interface Poll {
  readonly kind: 'poll';
  readonly client: string;
  readonly partition: string;
  readonly endedMs: number;
  readonly records: readonly Polled[];
  /** Of a group: where it goes on after a rebalance is not its own choice. */
  readonly subscribed: boolean;
  /** One of those that read everything in the end. */
  readonly final: boolean;
}

/** The client begins anew at another position of its own choice. */
export interface Seek {
  readonly kind: 'seek';
  readonly client: string;
  readonly partition: string;
}

export interface Commit {
  readonly kind: 'commit';
  readonly client: string;
  /** `group/partition` */
  readonly key: string;
  readonly offset: number;
  readonly invokedMs: number;
  endedMs: number;
  outcome: Outcome;
}

/** A committed offset as a coordinator told it; -1 for none. */
export interface Committed {
  readonly kind: 'committed';
  readonly client: string;
  readonly key: string;
  readonly offset: number;
  readonly invokedMs: number;
  readonly endedMs: number;
}

export type Operation = Send | Poll | Seek | Commit | Committed;

export class History {
  readonly operations: Operation[] = [];
  /** Records whose sending was acknowledged, and those that were read. */
  acknowledged = 0;
  polled = 0;
  onAcknowledged: (send: Send) => void = () => {};
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  send(client: string, partition: string, values: readonly string[]): Send {
    const send: Send = { kind: 'send', client, partition, values, invokedMs: this.#now(), endedMs: -1, outcome: 'open', baseOffset: null };
    this.operations.push(send);
    return send;
  }

  poll(client: string, partition: string, records: readonly Polled[], how: { subscribed?: boolean; final?: boolean } = {}): void {
    if (records.length === 0) return;
    this.polled += records.length;
    this.operations.push({ kind: 'poll', client, partition, endedMs: this.#now(), records, subscribed: how.subscribed ?? false, final: how.final ?? false });
  }

  seek(client: string, partition: string): void {
    this.operations.push({ kind: 'seek', client, partition });
  }

  commit(client: string, key: string, offset: number): Commit {
    const commit: Commit = { kind: 'commit', client, key, offset, invokedMs: this.#now(), endedMs: -1, outcome: 'open' };
    this.operations.push(commit);
    return commit;
  }

  committed(client: string, key: string, offset: number, invokedMs: number): void {
    this.operations.push({ kind: 'committed', client, key, offset, invokedMs, endedMs: this.#now() });
  }

  end(operation: Send | Commit, outcome: 'ok' | 'fail' | 'info', baseOffset: number | null = null): void {
    operation.outcome = outcome;
    operation.endedMs = this.#now();
    if (operation.kind !== 'send') return;
    operation.baseOffset = baseOffset;
    if (outcome !== 'ok') return;
    this.acknowledged += operation.values.length;
    this.onAcknowledged(operation);
  }
}
