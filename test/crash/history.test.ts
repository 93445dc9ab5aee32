/** The crash test's judge, tried on histories with one fault each: a judge that finds nothing must have been able to. */
import { describe, expect, test } from 'vitest';
import { History, type LogRecord } from './history.ts';

/** Two writers, two partitions, ten records each; the first eight are acknowledged, and lie in the log by turns. */
function fixture(): { history: History; log: Map<number, LogRecord[]> } {
  const history = new History();
  const log = new Map<number, LogRecord[]>();
  for (const partition of [0, 1]) {
    const records: LogRecord[] = [];
    for (let number = 0; number < 10; number++) {
      for (const writer of ['a', 'b']) {
        history.attempt(writer, partition, 1);
        if (number < 8) history.acknowledge(writer, partition, number, 1, records.length);
        records.push({ offset: records.length, value: `${writer}:${partition}:${number} some text` });
      }
    }
    log.set(partition, records);
  }
  return { history, log };
}

/** The log with partition 1 rewritten; offsets are given anew unless the change sets them. */
function judge(change: (records: LogRecord[]) => LogRecord[], renumber = true): string[] {
  const { history, log } = fixture();
  const changed = change(log.get(1)!);
  log.set(1, renumber ? changed.map((record, offset) => ({ ...record, offset })) : changed);
  return history.violations(log);
}

const kinds = (violations: string[]) => [...new Set(violations.map((each) => each.split(':')[0]))].sort();

describe('records', () => {
  test('an honest log passes', () => {
    expect(judge((records) => records)).toEqual([]);
  });

  test('what was not acknowledged may be missing', () => {
    expect(judge((records) => records.filter((record) => !/:[89] /.test(record.value)))).toEqual([]);
  });

  test('an acknowledged record is lost', () => {
    const found = judge((records) => records.filter((record) => !record.value.startsWith('b:1:7 ')));
    expect(found).toContain('lost: b:1:7, acknowledged at offset 15');
  });

  test('a whole partition is lost', () => {
    expect(kinds(judge(() => []))).toEqual(['lost']);
  });

  test('a record is there twice', () => {
    const found = judge((records) => [...records, records.at(-1)!]);
    expect(found).toEqual(['duplicate: b:1:9 some text at 1/20']);
  });

  test('two records change places', () => {
    const found = judge((records) => records.with(0, records[2]!).with(2, records[0]!));
    expect(kinds(found)).toEqual(['moved', 'out of order']);
  });

  test('offsets have a gap', () => {
    const found = judge((records) => records.map((record) => (record.offset > 16 ? { ...record, offset: record.offset + 1 } : record)), false);
    expect(found).toEqual(['gap: partition 1 goes from offset 16 to 18']);
  });

  test('a log that does not begin at 0 has a gap', () => {
    expect(kinds(judge((records) => records.map((record) => ({ ...record, offset: record.offset + 5 })), false))).toEqual(['gap', 'moved']);
  });

  test('a record of another partition, an unknown writer, a number never sent, foreign bytes', () => {
    for (const value of ['a:0:1 x', 'c:1:0 x', 'a:1:10 x', 'garbage']) {
      expect(
        judge((records) => [...records, { offset: 0, value }]),
        value,
      ).toEqual([`nobody sent this: ${value} at 1/20`]);
    }
  });

  test('an acknowledgement comes before the one that is due', () => {
    const { history, log } = fixture();
    history.acknowledge('a', 0, 9, 1, null);
    expect(history.violations(log)).toEqual(['out of turn: a:0:9 was acknowledged after 7']);
  });
});

describe('acknowledgements in any order', () => {
  const log = (...numbers: number[]) => new Map([[0, numbers.map((number, offset) => ({ offset, value: `a:0:${number}` }))]]);
  const acknowledged = (...numbers: number[]) => {
    const history = new History();
    history.ahead('a', 0, 10, { anyOrder: true });
    for (const number of numbers) history.acknowledge('a', 0, number, 1, null);
    return history;
  };

  test('are fine, and what is missing is lost all the same', () => {
    expect(acknowledged(1, 0, 2).violations(log(0, 1, 2))).toEqual([]);
    expect(acknowledged(1, 0, 2).violations(log(0, 2))).toEqual(['lost: a:0:1, acknowledged at offset unknown']);
    expect(acknowledged(2).violations(log(0, 1))).toEqual(['lost: a:0:2, acknowledged out of turn at offset unknown']);
  });

  test('come once', () => {
    for (const numbers of [[0, 0], [1, 1]]) expect(kinds(acknowledged(...numbers).violations(log(0, 1)))).toEqual(['out of turn']);
  });

  test('the records themselves keep their order', () => {
    expect(kinds(acknowledged(1, 0).violations(log(1, 0)))).toEqual(['out of order']);
  });
});

describe('a writer that may renumber', () => {
  const at = (offset: number, number: number, epoch: number, id = 7) => ({ offset, value: `a:0:${number}`, producer: { id, epoch } });
  const judge = (records: readonly ReturnType<typeof at>[], acknowledgedAt: number, renumbers = true) => {
    const history = new History();
    history.ahead('a', 0, 10, { anyOrder: true, renumbers });
    history.acknowledge('a', 0, 0, 1, 0);
    history.acknowledge('a', 0, 1, 1, acknowledgedAt);
    return [kinds(history.violations(new Map([[0, records]]))), history.renumbered];
  };

  test('may be twice in the log: in a later epoch, and acknowledged there', () => {
    expect(judge([at(0, 0, 1), at(1, 1, 1), at(2, 1, 2)], 2)).toEqual([[], 1]);
  });

  test('not in one epoch, nor in that of another producer, nor when it had been acknowledged; and nobody else may', () => {
    expect(judge([at(0, 0, 1), at(1, 1, 1), at(2, 1, 1)], 1)).toEqual([['duplicate'], 0]);
    expect(judge([at(0, 0, 1), at(1, 1, 1), at(2, 1, 2, 8)], 1)).toEqual([['duplicate'], 0]);
    expect(judge([at(0, 0, 1), at(1, 1, 1), at(2, 1, 2)], 1)).toEqual([['duplicate'], 0]);
    expect(judge([at(0, 0, 1), at(1, 1, 1), at(2, 1, 2)], 1, false)).toEqual([['duplicate'], 0]);
  });
});
