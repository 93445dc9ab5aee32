/**
 * What writers sent, what was acknowledged, and what the log holds in the end.
 * Promises: names every acknowledged record that is lost, every duplicate, every record out of order or at another offset than was acknowledged, every gap,
 * every acknowledgement out of turn, and every record that nobody sent. Writers number their records from 0 in each partition and send them in that order.
 * Does not: read the log.
 */

export interface LogRecord {
  readonly offset: number;
  /** `writer:partition:number`, then anything after a blank. */
  readonly value: string;
}

interface Stream {
  attempted: number;
  /** How many beyond the acknowledged ones the writer may have sent without saying so. */
  ahead: number;
  /** Acknowledged are the numbers below this one. */
  acknowledged: number;
  /** Acknowledged beyond that, where any order will do; else null. */
  beyond: Set<number> | null;
  /** Offset that an acknowledgement gave, by number; missing where it gave none (a duplicate older than the last five batches). */
  readonly offsets: Map<number, number>;
}

export class History {
  readonly #streams = new Map<string, Stream>();
  readonly #faults: string[] = [];
  acknowledged = 0;
  /** Calls back at every acknowledgement. */
  onAcknowledged: (count: number, partition: number, writer: string) => void = () => {};

  #stream(writer: string, partition: number): Stream {
    const key = `${writer}:${partition}`;
    let stream = this.#streams.get(key);
    if (!stream) this.#streams.set(key, (stream = { attempted: 0, ahead: 0, acknowledged: 0, beyond: null, offsets: new Map() }));
    return stream;
  }

  /** The first of `count` numbers that the writer is about to send to the partition. */
  attempt(writer: string, partition: number, count: number): number {
    const stream = this.#stream(writer, partition);
    stream.attempted += count;
    return stream.attempted - count;
  }

  /**
   * For a writer that does not announce what it sends: at most so many numbers beyond those acknowledged. With `anyOrder` its acknowledgements may come in
   * another order than its records: a client that tries two batches again after the first leader's answers were lost hears of them as it happens.
   */
  ahead(writer: string, partition: number, count: number, { anyOrder = false } = {}): void {
    const stream = this.#stream(writer, partition);
    stream.ahead = count;
    stream.beyond = anyOrder ? new Set() : null;
  }

  /** Numbers from `first` on are acknowledged; `baseOffset` is the first one's, null when the broker did not say. */
  acknowledge(writer: string, partition: number, first: number, count: number, baseOffset: number | null): void {
    const stream = this.#stream(writer, partition);
    if (stream.beyond !== null) this.#acknowledgeAny(stream, `${writer}:${partition}`, first, count);
    else {
      if (first !== stream.acknowledged) this.#faults.push(`out of turn: ${writer}:${partition}:${first} was acknowledged after ${stream.acknowledged - 1}`);
      stream.acknowledged = Math.max(stream.acknowledged, first + count);
    }
    if (baseOffset !== null) for (let i = 0; i < count; i++) stream.offsets.set(first + i, baseOffset + i);
    this.acknowledged += count;
    this.onAcknowledged(count, partition, writer);
  }

  #acknowledgeAny(stream: Stream, name: string, first: number, count: number): void {
    for (let number = first; number < first + count; number++) {
      if (number < stream.acknowledged || stream.beyond!.has(number)) this.#faults.push(`out of turn: ${name}:${number} was acknowledged twice`);
      stream.beyond!.add(number);
    }
    while (stream.beyond!.delete(stream.acknowledged)) stream.acknowledged++;
  }

  /** What is wrong with the log, partition by partition; nothing when every promise was kept. */
  violations(log: ReadonlyMap<number, readonly LogRecord[]>): string[] {
    const found: string[] = [...this.#faults];
    const seen = new Map<string, Set<number>>();
    for (const [partition, records] of log) {
      const last = new Map<string, number>();
      records.forEach((record, index) => {
        if (record.offset !== index) {
          if (index === 0 || record.offset !== records[index - 1]!.offset + 1)
            found.push(`gap: partition ${partition} goes from offset ${index === 0 ? -1 : records[index - 1]!.offset} to ${record.offset}`);
        }
        const [, writer, where, digits] = /^([^:]+):(\d+):(\d+)(?: |$)/.exec(record.value) ?? [];
        const stream = this.#streams.get(`${writer}:${where}`);
        const number = Number(digits);
        const name = `${record.value.slice(0, 40)} at ${partition}/${record.offset}`;
        if (!stream || Number(where) !== partition || number >= Math.max(stream.attempted, stream.acknowledged + stream.ahead))
          return void found.push(`nobody sent this: ${name}`);
        const numbers = seen.get(`${writer}:${where}`) ?? new Set<number>();
        seen.set(`${writer}:${where}`, numbers);
        if (numbers.has(number)) return void found.push(`duplicate: ${name}`);
        numbers.add(number);
        const before = last.get(writer!) ?? -1;
        if (number < before) found.push(`out of order: ${name} comes after ${before}`);
        last.set(writer!, Math.max(before, number));
        const offset = stream.offsets.get(number);
        if (offset !== undefined && offset !== record.offset) found.push(`moved: ${name} was acknowledged at ${offset}`);
      });
    }
    for (const [key, stream] of this.#streams) {
      const numbers = seen.get(key);
      for (let number = 0; number < stream.acknowledged; number++) {
        if (!numbers?.has(number)) found.push(`lost: ${key}:${number}, acknowledged at offset ${stream.offsets.get(number) ?? 'unknown'}`);
      }
      for (const number of stream.beyond ?? []) if (!numbers?.has(number)) found.push(`lost: ${key}:${number}, acknowledged out of turn at offset ${stream.offsets.get(number) ?? 'unknown'}`);
    }
    return found;
  }
}

/** Offsets that a group committed: what was acknowledged must still be there, and nothing beyond what was sent. */
export class CommitHistory {
  readonly #attempted = new Map<number, number>();
  readonly #acknowledged = new Map<number, number>();
  readonly #late = new Map<number, Set<number>>();
  #last: { readonly partition: number; readonly offset: number } | null = null;
  readonly #waiting: (() => void)[] = [];
  acknowledged = 0;

  attempt(partition: number, offset: number): void {
    this.#last = { partition, offset };
    this.#attempted.set(partition, Math.max(offset, this.#attempted.get(partition) ?? -1));
  }

  acknowledge(partition: number, offset: number): void {
    this.#acknowledged.set(partition, offset);
    this.acknowledged++;
    for (const done of this.#waiting.splice(0)) done();
  }

  /**
   * The commit that was attempted last got no answer in time, and is sent again: the first one may lie in the socket of a node that is paused or cut off, and
   * be carried out after later ones. No broker can tell it from a new one: the member is the same, and so is its generation.
   */
  late(): void {
    if (this.#last === null) return;
    const { partition, offset } = this.#last;
    const offsets = this.#late.get(partition) ?? new Set<number>();
    this.#late.set(partition, offsets.add(offset));
  }

  /** Whether the group may be found at `offset`, having had `least` acknowledged. */
  mayBe(partition: number, offset: number, least: number): boolean {
    return offset >= least || this.#late.get(partition)?.has(offset) === true;
  }

  /** Resolves at the next acknowledged commit. */
  more(): Promise<void> {
    return new Promise((done) => this.#waiting.push(done));
  }

  snapshot(): Map<number, number> {
    return new Map(this.#acknowledged);
  }

  /** `committed` as the broker answers now, -1 for none; `least` is a snapshot from before the question. */
  violations(least: ReadonlyMap<number, number>, committed: ReadonlyMap<number, number>): string[] {
    const found: string[] = [];
    for (const [partition, offset] of least) {
      const now = committed.get(partition) ?? -1;
      if (!this.mayBe(partition, now, offset)) found.push(`lost commit: partition ${partition} is at ${now}, ${offset} was acknowledged`);
    }
    for (const [partition, now] of committed) {
      const most = this.#attempted.get(partition) ?? -1;
      if (now > most) found.push(`nobody committed this: partition ${partition} is at ${now}, at most ${most} was sent`);
    }
    return found;
  }
}
