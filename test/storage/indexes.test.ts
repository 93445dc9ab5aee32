/** The three indexes of a segment, in memory and as bytes. */
import { describe, expect, it } from 'vitest';
import { OffsetIndex } from '../../storage/offset-index.ts';
import { TimeIndex } from '../../storage/time-index.ts';
import { TxnIndex } from '../../storage/txn-index.ts';

describe('offset index', () => {
  const entries: readonly [number, number][] = [[1010, 4200], [1020, 8500], [1999, 12_000]];
  const made = (): OffsetIndex => {
    const index = new OffsetIndex(1000);
    for (const [offset, position] of entries) index.append(offset, position);
    return index;
  };

  it('has Kafka\'s bytes', () => {
    expect(made().bytesFrom(0).toString('hex')).toBe('0000000a00001068' + '0000001400002134' + '000003e700002ee0');
    expect(made().bytesFrom(2).toString('hex')).toBe('000003e700002ee0');
  });

  it('finds the last entry that is not beyond an offset or a position', () => {
    const index = made();
    expect([999, 1000, 1009, 1010, 1011, 1998, 1999, 5000].map((offset) => index.slotFor(offset))).toEqual([-1, -1, -1, 0, 0, 1, 2, 2]);
    expect([0, 4199, 4200, 8499, 8500, 99_999].map((position) => index.slotAtPosition(position))).toEqual([-1, -1, 0, 0, 1, 2]);
  });

  it('grows, and forgets from an offset on', () => {
    const index = new OffsetIndex(0);
    for (let i = 1; i <= 1000; i++) index.append(i * 10, i * 100);
    expect([index.entries, index.offsetAt(999), index.positionAt(999)]).toEqual([1000, 10_000, 100_000]);
    index.truncateTo(5000);
    expect([index.entries, index.offsetAt(498)]).toEqual([499, 4990]);
  });

  it('tells which offsets it can hold', () => {
    const index = new OffsetIndex(1000);
    expect([999, 1000, 1000 + 2 ** 31 - 1, 1000 + 2 ** 31].map((offset) => index.canHold(offset))).toEqual([false, true, true, false]);
  });

  it('takes from a file what increases, and says whether there was more', () => {
    const bytes = made().bytesFrom(0);
    const parsed = (tail: Buffer, logBytes = 20_000): [number, boolean] => {
      const { index, intact } = OffsetIndex.parse(1000, Buffer.concat([bytes, tail]), logBytes);
      return [index.entries, intact];
    };
    expect(parsed(Buffer.alloc(0))).toEqual([3, true]);
    expect(parsed(Buffer.alloc(800))).toEqual([3, true]);
    expect(parsed(Buffer.from('000003e700002ee0', 'hex'))).toEqual([3, false]);
    expect(parsed(Buffer.alloc(3))).toEqual([3, false]);
    expect(parsed(Buffer.alloc(0), 12_000)).toEqual([3, false]);
    expect(parsed(Buffer.from('ffffffff7fffffff', 'hex'))).toEqual([3, false]);
  });
});

describe('time index', () => {
  const made = (): TimeIndex => {
    const index = new TimeIndex(100);
    index.append(5000, 110);
    index.append(5000, 120);
    index.append(4000, 130);
    index.append(6000, 140);
    return index;
  };

  it('has Kafka\'s bytes, and no entry that says nothing new', () => {
    expect(made().bytesFrom(0).toString('hex')).toBe('00000000000013880000000a' + '000000000000177000000028');
  });

  it('finds the last entry that is not younger', () => {
    const index = made();
    expect([4999, 5000, 5999, 6000, 7000].map((timestamp) => index.slotFor(timestamp))).toEqual([-1, 0, 0, 1, 1]);
    expect(new TimeIndex(0).slotFor(1)).toBe(-1);
  });

  it('forgets from an offset on', () => {
    const index = made();
    index.truncateTo(140);
    expect([index.entries, index.lastTimestamp, index.lastOffset]).toEqual([1, 5000, 110]);
    index.truncateTo(0);
    expect([index.entries, index.lastTimestamp, index.lastOffset]).toEqual([0, -1, 100]);
    index.append(1, 100);
    expect(index.entries).toBe(1);
  });

  it('takes from a file what increases, and says whether there was more', () => {
    const bytes = made().bytesFrom(0);
    const parsed = (tail: Buffer): [number, boolean, number] => {
      const { index, intact } = TimeIndex.parse(100, Buffer.concat([bytes, tail]));
      return [index.entries, intact, index.lastTimestamp];
    };
    expect(parsed(Buffer.alloc(0))).toEqual([2, true, 6000]);
    expect(parsed(Buffer.alloc(1200))).toEqual([2, true, 6000]);
    expect(parsed(Buffer.alloc(5))).toEqual([2, false, 6000]);
    expect(parsed(Buffer.alloc(12, 0xff))).toEqual([2, false, 6000]);
  });

  it('keeps a timestamp of 0 apart from preallocated zeros', () => {
    const index = new TimeIndex(100);
    index.append(0, 103);
    expect(TimeIndex.parse(100, Buffer.concat([index.bytesFrom(0), Buffer.alloc(24)])).index.entries).toBe(1);
  });
});

describe('transaction index', () => {
  const first = { producerId: 1, firstOffset: 1894, lastOffset: 1914, lastStableOffset: 1915 };
  const second = { producerId: 2, firstOffset: 1890, lastOffset: 1955, lastStableOffset: 1890 };
  const made = (): TxnIndex => {
    const index = new TxnIndex();
    index.append(first);
    index.append(second);
    return index;
  };

  it('has Kafka\'s bytes', () => {
    // The first entry of txn-0 in the data directory that Apache Kafka wrote.
    expect(made().bytesFrom(0).subarray(0, 34).toString('hex')).toBe('00000000000000000001' + '0000000000000766' + '000000000000077a' + '000000000000077b');
    expect(made().bytesFrom(1).length).toBe(34);
  });

  it('finds the transactions that overlap a read, and says when no later one can', () => {
    const found = (from: number, to: number): [number[], boolean] => {
      const entries: (typeof first)[] = [];
      const done = made().collect(from, to, entries);
      return [entries.map((entry) => entry.producerId), done];
    };
    expect(found(0, 1890)).toEqual([[], true]);
    expect(found(0, 1894)).toEqual([[], true]);
    expect(found(0, 1895)).toEqual([[1], true]);
    expect(found(1914, 1916)).toEqual([[1, 2], false]);
    expect(found(1915, 1990)).toEqual([[2], false]);
    expect(found(1956, 1990)).toEqual([[], false]);
  });

  it('forgets from a marker on', () => {
    const index = made();
    index.truncateTo(1955);
    expect(index.entries).toEqual([first]);
    index.truncateTo(1914);
    expect(index.entries).toEqual([]);
  });

  it('is read back, and refuses what is not one', () => {
    const bytes = made().bytesFrom(0);
    expect(TxnIndex.parse(1800, bytes)?.entries).toEqual([first, second]);
    expect(TxnIndex.parse(1800, Buffer.alloc(0))?.entries).toEqual([]);
    const bad = (change: (copy: Buffer) => Buffer | void): unknown => {
      const copy = Buffer.from(bytes);
      return TxnIndex.parse(1800, change(copy) ?? copy);
    };
    expect(bad((copy) => copy.subarray(1))).toBe(undefined);
    expect(bad((copy) => Buffer.concat([copy, Buffer.alloc(34)]))).toBe(undefined);
    expect(bad((copy) => void copy.writeInt16BE(1, 0))).toBe(undefined);
    expect(bad((copy) => void copy.fill(0xff, 2, 10))).toBe(undefined);
    expect(TxnIndex.parse(1915, bytes)).toBe(undefined);
    expect(TxnIndex.parse(1800, Buffer.concat([bytes.subarray(34), bytes.subarray(0, 34)]))).toBe(undefined);
  });
});
