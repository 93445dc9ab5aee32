/**
 * What writers sent, what was acknowledged, and what the log holds in the end.
 * Promises: names every acknowledged record that is lost, every duplicate, every record out of order or at another offset than was acknowledged, every gap,
 * every acknowledgement out of turn, and every record that nobody sent. Writers number their records from 0 in each partition and send them in that order.
 * Does not: read the log; blame a broker for what a client sends twice under numbers of its own making (see `renumbers`).
 */

export interface LogRecord {
  readonly offset: number;
  /** `writer:partition:number`, then anything after a blank. */
  readonly value: string;
  /** Of its batch, where the reader knows. */
  readonly producer?: { readonly id: number; readonly epoch: number };
}

interface Stream {
  attempted: number;
  /** How many beyond the acknowledged ones the writer may have sent without saying so. */
  ahead: number;
  /** Acknowledged are the numbers below this one. */
  acknowledged: number;
  /** Acknowledged beyond that, where any order will do; else null. */
  beyond: Set<number> | null;
  renumbers: boolean;
  /** Offset that an acknowledgement gave, by number; missing where it gave none (a duplicate older than the last five batches). */
  readonly offsets: Map<number, number>;
}

export class History {
  readonly #streams = new Map<string, Stream>();
  readonly #faults: string[] = [];
  acknowledged = 0;
  /** Records that `violations` found twice because their writer had renumbered them. */
  renumbered = 0;
  /** Calls back at every acknowledgement. */
  onAcknowledged: (count: number, partition: number, writer: string) => void = () => {};

  #stream(writer: string, partition: number): Stream {
    const key = `${writer}:${partition}`;
    let stream = this.#streams.get(key);
    if (!stream) this.#streams.set(key, (stream = { attempted: 0, ahead: 0, acknowledged: 0, beyond: null, renumbers: false, offsets: new Map() }));
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
   * another order than its records: a client that tries two batches again after the first leader's answers were lost hears of them as it happens. One that `renumbers`
   * may send what was not acknowledged again in a later epoch of its producer id, from sequence 0: that is a new record to any broker. Twice in one epoch is the broker's doing.
   */
  ahead(writer: string, partition: number, count: number, { anyOrder = false, renumbers = false } = {}): void {
    const stream = this.#stream(writer, partition);
    stream.ahead = count;
    stream.beyond = anyOrder ? new Set() : null;
    stream.renumbers = renumbers;
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
    const seen = new Map<string, Map<number, LogRecord>>();
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
        const numbers = seen.get(`${writer}:${where}`) ?? new Map<number, LogRecord>();
        seen.set(`${writer}:${where}`, numbers);
        const other = numbers.get(number);
        if (other !== undefined && !(stream.renumbers && isRenumbered(other, record) && stream.offsets.get(number) !== other.offset)) return void found.push(`duplicate: ${name}`);
        numbers.set(number, record);
        if (other !== undefined) return void this.renumbered++;
        const before = last.get(writer!) ?? -1;
        if (number < before) found.push(`out of order: ${name} comes after ${before}`);
        last.set(writer!, Math.max(before, number));
      });
    }
    for (const [key, numbers] of seen) {
      for (const [number, record] of numbers) {
        const offset = this.#streams.get(key)!.offsets.get(number);
        if (offset !== undefined && offset !== record.offset) found.push(`moved: ${record.value.slice(0, 40)} at ${key.split(':')[1]}/${record.offset} was acknowledged at ${offset}`);
      }
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

function isRenumbered({ producer: before }: LogRecord, { producer: after }: LogRecord): boolean {
  return before !== undefined && after !== undefined && before.id === after.id && after.epoch > before.epoch;
}
