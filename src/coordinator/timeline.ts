/**
 * Maps that remember what the log has not committed yet: a change belongs to the offset of the record that made it, is seen at once by those who
 * ask for the latest state, by the others once it is committed, and is undone when its record turns out not to be in the log.
 *
 * Promises: `revert(offset)` leaves every map of the timeline as it was before the record at `offset`; `commit(offset)` makes the changes of all
 * records below `offset` permanent. Values are kept by reference: a value that is changed inside is changed in the past as well.
 * Does not: know records or logs, order keys (iteration is by first insertion, uncommitted keys last).
 *
 * The committed state is one plain Map; only keys with uncommitted changes cost more, for the few milliseconds until they are committed. Kafka keeps
 * whole snapshots by offset for the same end (TimelineHashMap); two states are all that any request ever asks for.
 */
import assert from 'node:assert';

interface Change {
  readonly offset: number;
  readonly map: TimelineMap<any, any>;
  readonly key: unknown;
  /** ABSENT for a removal. */
  readonly value: unknown;
  /** The change of the same key before this one, as long as it is not committed. */
  previous: Change | undefined;
  committed: boolean;
}

const ABSENT = Symbol('absent');

export class Timeline {
  /** The offset of the record whose changes are being made. */
  #offset = 0;
  /** Changes from the oldest that is not committed on; those below `#first` are done with. */
  #changes: Change[] = [];
  #first = 0;

  /** The offset to which the next changes belong. Never goes back but by `revert`. */
  get offset(): number {
    return this.#offset;
  }

  moveTo(offset: number): void {
    assert(offset >= this.#offset, `the timeline is at ${this.#offset} and does not go back to ${offset}`);
    this.#offset = offset;
  }

  get uncommittedCount(): number {
    return this.#changes.length - this.#first;
  }

  /** The records below `offset` are committed. */
  commit(offset: number): void {
    let first = this.#first;
    const changes = this.#changes;
    while (first < changes.length && changes[first]!.offset < offset) {
      const change = changes[first]!;
      change.map.commitChange(change);
      first++;
    }
    // Forgetting the front one by one would be quadratic under load; a list that is used up is simply replaced.
    if (first === changes.length) {
      this.#changes = [];
      this.#first = 0;
    } else if (first > 1024 && first * 2 > changes.length) {
      this.#changes = changes.slice(first);
      this.#first = 0;
    } else {
      this.#first = first;
    }
  }

  /** The records from `offset` on are not in the log: undoes what they did, newest first. */
  revert(offset: number): void {
    while (this.#changes.length > this.#first && this.#changes.at(-1)!.offset >= offset) {
      const change = this.#changes.pop()!;
      change.map.revertChange(change);
    }
    this.#offset = Math.min(this.#offset, offset);
  }

  /** For `TimelineMap` alone. */
  record(change: Change): void {
    this.#changes.push(change);
  }
}

export class TimelineMap<K, V> {
  readonly #timeline: Timeline;
  readonly #committed = new Map<K, V>();
  /** The newest uncommitted change of a key. There is a map only while there is a change: there may be a million of these, at rest. */
  #pending: Map<K, Change> | undefined;

  readonly #undone: ((value: V) => void) | undefined;

  /** `undone` is told of every value that was set and, by a revert, never came to be. */
  constructor(timeline: Timeline, options: { undone?: (value: V) => void } = {}) {
    this.#timeline = timeline;
    this.#undone = options.undone;
  }

  get(key: K): V | undefined {
    const change = this.#pending?.get(key);
    if (change !== undefined) return change.value === ABSENT ? undefined : (change.value as V);
    return this.#committed.get(key);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  getCommitted(key: K): V | undefined {
    return this.#committed.get(key);
  }

  set(key: K, value: V): void {
    this.#change(key, value);
  }

  delete(key: K): void {
    if (this.has(key)) this.#change(key, ABSENT);
  }

  /** No entry is there for those who see the latest state. */
  isEmpty(): boolean {
    if (this.#pending === undefined) return this.#committed.size === 0;
    for (const _ of this.entries()) return false;
    return true;
  }

  isEmptyCommitted(): boolean {
    return this.#committed.size === 0;
  }

  /** The latest state. Changing the map while iterating is safe; whether a key that is added meanwhile comes up is not said. */
  *entries(): Generator<[K, V]> {
    const pending = this.#pending;
    if (pending === undefined) {
      yield* this.#committed.entries();
      return;
    }
    for (const [key, value] of this.#committed) {
      const change = pending.get(key);
      if (change === undefined) yield [key, value];
      else if (change.value !== ABSENT) yield [key, change.value as V];
    }
    for (const [key, change] of pending) {
      if (change.value !== ABSENT && !this.#committed.has(key)) yield [key, change.value as V];
    }
  }

  *keys(): Generator<K> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): Generator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  committedEntries(): IterableIterator<[K, V]> {
    return this.#committed.entries();
  }

  #change(key: K, value: unknown): void {
    this.#pending ??= new Map();
    const previous = this.#pending.get(key);
    const change: Change = { offset: this.#timeline.offset, map: this, key, value, previous, committed: false };
    this.#pending.set(key, change);
    this.#timeline.record(change);
  }

  /** For `Timeline` alone: oldest first. */
  commitChange(change: Change): void {
    const key = change.key as K;
    if (change.value === ABSENT) this.#committed.delete(key);
    else this.#committed.set(key, change.value as V);
    change.committed = true;
    change.previous = undefined;
    if (this.#pending?.get(key) === change) this.#settle(key);
  }

  /** For `Timeline` alone: newest first. */
  revertChange(change: Change): void {
    const key = change.key as K;
    assert(this.#pending?.get(key) === change, 'changes are undone newest first');
    if (change.previous === undefined || change.previous.committed) this.#settle(key);
    else this.#pending.set(key, change.previous);
    if (change.value !== ABSENT) this.#undone?.(change.value as V);
  }

  /** The key has no uncommitted change any more. */
  #settle(key: K): void {
    const pending = this.#pending!;
    if (pending.size === 1) this.#pending = undefined;
    else pending.delete(key);
  }
}
