/** Cutting a log, as a follower does; what a crash in the middle leaves is log-crash.test.ts's. */
import { describe, expect, it } from 'vitest';
import { TailBudget } from '../../storage/tail.ts';
import { accept, CLIENT, contents, COORDINATOR, DIRECTORY, fill, markerBatch, NOW_MS, numbered, openLog, testBatch } from './log-fixture.ts';

const SMALL = { config: { segmentBytes: 250, indexIntervalBytes: 60 } };

describe('truncateTo', () => {
  it('cuts at every offset of several segments, and the log can be gone on with', async () => {
    for (let offset = 0; offset <= 12; offset++) {
      const { log, disk } = openLog(SMALL);
      await fill(log, numbered(12));
      expect(await log.truncateTo(offset, NOW_MS)).toBe(offset < 12);
      expect([log.logEndOffset, log.writtenEndOffset, log.highWatermark]).toEqual([offset, offset, offset]);
      expect(log.recoveryPoint).toBeLessThanOrEqual(offset);
      await fill(log, ['next'], { timestamp: NOW_MS + 5 });
      const expected = [...numbered(offset), 'next'].map((value, i) => `${i}:${value}`);
      expect(await contents(log)).toEqual(expected);
      expect(await log.offsetForTimestamp(NOW_MS + 5)).toMatchObject({ offset });
      await log.close();
      const { log: again } = openLog({ ...SMALL, disk, cleanShutdown: true, recoveryPoint: offset + 1 });
      expect(await contents(again)).toEqual(expected);
      expect(again.segments.all.every((segment) => disk.status(segment.path('.index')) !== undefined)).toBe(true);
    }
  });

  it('cuts before the batch that an offset lies inside of', async () => {
    const { log } = openLog();
    accept(log, testBatch({ values: ['a', 'b', 'c'] }));
    accept(log, testBatch({ values: ['d', 'e', 'f'] }));
    await log.write();
    await log.truncateTo(4, NOW_MS);
    expect(log.logEndOffset).toBe(3);
    expect(accept(log, testBatch()).baseOffset).toBe(3);
  });

  it('takes epochs, producers and transactions back', async () => {
    const { log } = openLog();
    const data = (baseSequence: number) => testBatch({ producerId: 1, producerEpoch: 0, baseSequence, isTransactional: true });
    accept(log, data(0), { ...CLIENT, leaderEpoch: 1 });
    accept(log, data(1), { ...CLIENT, leaderEpoch: 2 });
    accept(log, markerBatch('abort', { producerId: 1, producerEpoch: 0 }), { ...COORDINATOR, leaderEpoch: 2 });
    await log.write();
    log.advanceHighWatermark(3);
    expect(log.lastStableOffset).toBe(3);
    await log.truncateTo(1, NOW_MS);
    expect(log.epochs.entries).toEqual([{ epoch: 1, startOffset: 0 }]);
    expect(log.producers.producer(1)).toMatchObject({ currentTxnFirstOffset: 0, batches: [{ lastSequence: 0 }] });
    expect([log.lastStableOffset, log.abortedTransactions(0, 9).length]).toEqual([0, 0]);
    expect(log.append(data(1), { ...CLIENT, leaderEpoch: 3 })).toMatchObject({ error: 0, duplicate: false, baseOffset: 1 });
    expect(log.endOffsetForEpoch(2)).toEqual({ epoch: 1, endOffset: 1 });
  });

  it('drops an epoch that began beyond the end without a record', async () => {
    const { log } = openLog();
    await fill(log, ['a']);
    log.assignLeaderEpoch(5);
    expect(await log.truncateTo(1, NOW_MS)).toBe(false);
    expect(log.epochs.latestEpoch).toBe(0);
    accept(log, testBatch(), { ...CLIENT, leaderEpoch: 0 });
    expect(log.epochs.entries).toEqual([{ epoch: 0, startOffset: 0 }]);
  });

  it('waits for what is being written', async () => {
    const { log } = openLog();
    for (const value of numbered(4)) accept(log, testBatch({ values: [value] }));
    const writing = log.write();
    accept(log, testBatch({ values: ['v4'] }));
    await log.truncateTo(2, NOW_MS);
    await writing;
    expect(await contents(log)).toEqual(['0:v0', '1:v1']);
  });

  it('lowers the checkpointed recovery point before it cuts', async () => {
    const { log, disk } = openLog();
    await fill(log, numbered(5));
    await log.flush();
    const path = `${DIRECTORY}/00000000000000000000.log`;
    const whole = disk.status(path)?.sizeBytes;
    const seen: unknown[] = [];
    log.onRecoveryPointLowered = async () => {
      seen.push(log.recoveryPoint, disk.status(path)?.sizeBytes);
    };
    await log.truncateTo(2, NOW_MS);
    expect(seen).toEqual([2, whole]);
    expect(disk.status(path)?.sizeBytes).toBeLessThan(whole as number);
  });

  it('makes a read again that was under way, and may have seen old and new bytes', async () => {
    const { log } = openLog({ tail: new TailBudget({ tailBytesMax: 0 }) });
    await fill(log, numbered(5));
    const file = log.segments.active.file();
    const { read } = file;
    let reads = 0;
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    file.read = async (target, position) => {
      // The first answer is of the old bytes, and late.
      const bytes = await read.call(file, target, position);
      if (reads++ === 0) await gate;
      return bytes;
    };
    const reading = log.read(3, { maxBytes: 1000, endOffset: 5, minOneBatch: true });
    await log.truncateTo(3, NOW_MS);
    await fill(log, ['new', 'newer']);
    open();
    const { buffers } = await reading;
    expect(Buffer.concat([...buffers]).includes('new')).toBe(true);
    expect(Buffer.concat([...buffers]).includes('v3')).toBe(false);
    expect(reads).toBe(2);
  });
});

describe('truncateFullyAndStartAt', () => {
  it('begins anew wherever it is told to', async () => {
    for (const offset of [0, 3, 100]) {
      const { log, disk } = openLog(SMALL);
      accept(log, testBatch({ producerId: 1, producerEpoch: 0, baseSequence: 0 }));
      await fill(log, numbered(9));
      await log.truncateFullyAndStartAt(offset, NOW_MS);
      expect([log.logStartOffset, log.logEndOffset, log.highWatermark, log.recoveryPoint, log.producers.size]).toEqual([offset, offset, offset, offset, 0]);
      expect(log.epochs.entries).toEqual([]);
      expect(disk.list(DIRECTORY).filter((name) => /\d\.(log|snapshot)/.test(name)).length).toBe(1);
      await fill(log, ['next']);
      expect(await contents(log)).toEqual([`${offset}:next`]);
    }
  });

  it('is what truncateTo does below the first segment', async () => {
    const { log } = openLog();
    await log.truncateFullyAndStartAt(50, NOW_MS);
    await fill(log, numbered(3));
    await log.truncateTo(20, NOW_MS);
    expect([log.logStartOffset, log.logEndOffset]).toEqual([20, 20]);
  });
});
