/** The log of a partition: appending, writing, reading, rolling, closing. Crashes are log-crash.test.ts's, random sequences log-model's. */
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import * as batch from '../../protocol/record/batch.ts';
import { DiskError } from '../../storage/disk.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { TailBudget } from '../../storage/tail.ts';
import { accept, CLIENT, contents, DIRECTORY, fill, markerBatch, NOW_MS, numbered, openLog, sizedBatch, testBatch } from './log-fixture.ts';

const WHOLE = { maxBytes: 1_000_000, endOffset: Infinity, minOneBatch: true };
const NO_TAIL = () => new TailBudget({ tailBytesMax: 0 });

describe('append', () => {
  it('gives offsets and the leader epoch, and leaves the checksum true', () => {
    const { log } = openLog();
    const first = testBatch({ values: ['a', 'b', 'c'] });
    expect(accept(log, first, { ...CLIENT, leaderEpoch: 7 })).toEqual({
      error: 0, baseOffset: 0, lastOffset: 2, logAppendTimeMs: -1, logStartOffset: 0, duplicate: false,
    });
    const second = testBatch();
    expect(accept(log, second, { ...CLIENT, leaderEpoch: 7 })).toMatchObject({ baseOffset: 3, lastOffset: 3 });
    expect([batch.baseOffset(second, 0), batch.partitionLeaderEpoch(second, 0)]).toEqual([3, 7]);
    expect(batch.crc(second, 0)).toBe(batch.computeCrc(second, 0));
    expect(log.epochs.entries).toEqual([{ epoch: 7, startOffset: 0 }]);
    expect([log.logEndOffset, log.writtenEndOffset, log.queuedBytes]).toEqual([4, 0, first.length + second.length]);
  });

  it('stamps the time of append where the topic asks for it', async () => {
    const { log } = openLog({ config: { messageTimestampType: 'LogAppendTime' } });
    const stamped = testBatch({ timestamp: 5 });
    expect(accept(log, stamped, { ...CLIENT, nowMs: 123 })).toMatchObject({ logAppendTimeMs: 123 });
    expect([batch.maxTimestamp(stamped, 0), batch.timestampType(stamped, 0)]).toEqual([123, batch.TimestampType.LOG_APPEND_TIME]);
    expect(batch.crc(stamped, 0)).toBe(batch.computeCrc(stamped, 0));
    expect(await log.offsetForTimestamp(123)).toEqual({ offset: 0, timestampMs: 123, leaderEpoch: 0 });
  });

  it('takes several batches of a coordinator at once, as one', async () => {
    const { log } = openLog();
    const both = Buffer.concat([testBatch({ values: ['a', 'b'] }), testBatch({ values: ['c'] })]);
    expect(accept(log, both, { ...CLIENT, origin: 'coordinator' })).toMatchObject({ baseOffset: 0, lastOffset: 2 });
    await log.write();
    expect(await contents(log)).toEqual(['0:a', '1:b', '2:c']);
  });

  it('refuses what is larger than a segment', () => {
    const { log } = openLog({ config: { segmentBytes: 200 } });
    expect(log.append(sizedBatch(201), CLIENT).error).toBe(ErrorCode.RECORD_LIST_TOO_LARGE);
    expect(log.append(sizedBatch(200), CLIENT).error).toBe(ErrorCode.NONE);
  });

  it('begins a leader epoch without a record, too', () => {
    const { log } = openLog();
    log.assignLeaderEpoch(3);
    expect(log.epochs.entries).toEqual([{ epoch: 3, startOffset: 0 }]);
    expect(log.endOffsetForEpoch(3)).toEqual({ epoch: 3, endOffset: 0 });
    expect(log.endOffsetForEpoch(4)).toBe(null);
  });
});

describe('append as a follower', () => {
  const options = { leaderEpoch: 5, nowMs: NOW_MS };

  it('keeps offsets and epochs, gaps included', async () => {
    const { log } = openLog();
    const batches = Buffer.concat([
      testBatch({ baseOffset: 0, partitionLeaderEpoch: 2, values: ['a', 'b'] }), testBatch({ baseOffset: 7, partitionLeaderEpoch: 4, values: ['c'] }),
    ]);
    expect(log.appendAsFollower(batches, options)).toMatchObject({ error: 0, baseOffset: 0, lastOffset: 7 });
    await log.write();
    expect(await contents(log)).toEqual(['0:a', '1:b', '7:c']);
    expect(log.epochs.entries).toEqual([{ epoch: 2, startOffset: 0 }, { epoch: 4, startOffset: 7 }]);
    expect(log.endOffsetForEpoch(3)).toEqual({ epoch: 2, endOffset: 7 });
  });

  it('leaves out a batch cut short, and an epoch that it has not heard of', () => {
    const whole = testBatch({ baseOffset: 0, partitionLeaderEpoch: 5 });
    const early = testBatch({ baseOffset: 1, partitionLeaderEpoch: 6 });
    for (const second of [early, testBatch({ baseOffset: 1, partitionLeaderEpoch: 5 }).subarray(0, 65)]) {
      const { log } = openLog();
      expect(log.appendAsFollower(Buffer.concat([whole, second]), options)).toMatchObject({ error: 0, lastOffset: 0 });
      expect(log.logEndOffset).toBe(1);
    }
  });

  it('refuses a wrong checksum and offsets that it has', () => {
    const { log } = openLog();
    accept(log, testBatch({ values: ['a', 'b'] }));
    expect(log.appendAsFollower(testBatch({ baseOffset: 1, partitionLeaderEpoch: 0 }), options).error).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
    const rotten = testBatch({ baseOffset: 2, partitionLeaderEpoch: 0 });
    rotten[rotten.length - 1]! ^= 1;
    expect(log.appendAsFollower(rotten, options).error).toBe(ErrorCode.CORRUPT_MESSAGE);
    expect(log.logEndOffset).toBe(2);
  });
});

describe('write', () => {
  it('hands over all that a turn has appended at once, and tells once', async () => {
    const { log, disk } = openLog();
    const told: number[] = [];
    log.onWritten = (endOffset) => told.push(endOffset);
    for (const value of ['a', 'b', 'c']) accept(log, testBatch({ values: [value] }));
    const writes = [log.write(), log.write()];
    expect(writes[0]).toBe(writes[1]);
    await Promise.all(writes);
    expect(told).toEqual([3]);
    expect(log.writtenEndOffset).toBe(3);
    expect(disk.readFile(`${DIRECTORY}/00000000000000000000.log`).length).toBe(log.sizeBytes);
  });

  it('keeps what is appended meanwhile for the next', async () => {
    const { log } = openLog();
    const told: number[] = [];
    log.onWritten = (endOffset) => told.push(endOffset);
    accept(log, testBatch({ values: ['a'] }));
    const first = log.write();
    accept(log, testBatch({ values: ['b'] }));
    accept(log, testBatch({ values: ['c'] }));
    const [second, third] = [log.write(), log.write()];
    expect(second).toBe(third);
    await first;
    expect(told).toEqual([1]);
    await second;
    expect(told).toEqual([1, 3]);
    expect(await contents(log)).toEqual(['0:a', '1:b', '2:c']);
  });

  it('waits for the disk when flush.messages says so', async () => {
    const { log } = openLog({ config: { flushMessages: 2 } });
    await fill(log, ['a']);
    expect(log.recoveryPoint).toBe(0);
    await fill(log, ['b']);
    expect(log.recoveryPoint).toBe(2);
  });
});

describe('read', () => {
  for (const tail of ['memory', 'file'] as const) {
    const open = () => openLog(tail === 'memory' ? {} : { tail: NO_TAIL() });

    it(`begins with the batch that holds the offset, from ${tail}`, async () => {
      const { log } = open();
      accept(log, testBatch({ values: ['a', 'b', 'c'] }));
      accept(log, testBatch({ values: ['d', 'e'] }));
      await log.write();
      expect(await log.read(1, WHOLE)).toMatchObject({ error: 0, firstBatchBaseOffset: 0, nextOffset: 5 });
      expect(await log.read(4, WHOLE)).toMatchObject({ error: 0, firstBatchBaseOffset: 3, nextOffset: 5 });
      expect(await log.read(5, WHOLE)).toMatchObject({ error: 0, bytes: 0, firstBatchBaseOffset: -1, nextOffset: 5 });
    });

    it(`ends before endOffset and within maxBytes, at the end of a batch, from ${tail}`, async () => {
      const { log } = open();
      for (let i = 0; i < 10; i++) accept(log, sizedBatch(100));
      await log.write();
      const bytes = async (offset: number, maxBytes: number, endOffset: number, minOneBatch = false) =>
        (await log.read(offset, { maxBytes, endOffset, minOneBatch })).bytes;
      expect(await bytes(0, 1000, 10)).toBe(1000);
      expect(await bytes(0, 999, 10)).toBe(900);
      expect(await bytes(0, 100, 10)).toBe(100);
      expect(await bytes(0, 99, 10)).toBe(0);
      expect(await bytes(0, 99, 10, true)).toBe(100);
      expect(await bytes(0, 0, 10, true)).toBe(100);
      expect(await bytes(0, 0, 10)).toBe(0);
      expect(await bytes(0, 1000, 4)).toBe(400);
      expect(await bytes(4, 1000, 4)).toBe(0);
      expect(await bytes(9, 1000, 99)).toBe(100);
    });

    it(`gives a batch larger than any limit whole, from ${tail}`, async () => {
      const { log } = open();
      const values = ['a', 'x'.repeat(300_000), 'b'];
      await fill(log, values);
      expect(await contents(log, { maxBytes: 10 })).toEqual(values.map((value, i) => `${i}:${value}`));
    });
  }

  it('never shows what is not written', async () => {
    const { log } = openLog();
    accept(log, testBatch());
    expect(await log.read(0, WHOLE)).toMatchObject({ error: 0, bytes: 0 });
  });

  it('answers OFFSET_OUT_OF_RANGE outside of the log', async () => {
    const { log } = openLog();
    await fill(log, numbered(3));
    log.advanceLogStartOffset(2);
    expect((await log.read(1, WHOLE)).error).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
    expect((await log.read(4, WHOLE)).error).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
    expect((await log.read(3, WHOLE)).error).toBe(ErrorCode.NONE);
  });

  it('is synchronous from memory, and goes on in the files where memory begins later', async () => {
    const { log } = openLog({ tail: new TailBudget({ tailBytesMax: 4_000 }) });
    for (let i = 0; i < 60; i++) await fill(log, [`v${i}`]);
    expect(log.read(59, WHOLE)).not.toBeInstanceOf(Promise);
    expect(log.read(0, WHOLE)).toBeInstanceOf(Promise);
    expect(await contents(log)).toEqual(numbered(60).map((value, i) => `${i}:${value}`));
  });

  it('goes on in the next segment when the rest of one has been compacted away', async () => {
    const { log } = openLog({ tail: NO_TAIL() });
    log.appendAsFollower(testBatch({ baseOffset: 0, partitionLeaderEpoch: 0, values: ['a'] }), { leaderEpoch: 0, nowMs: NOW_MS });
    await log.write();
    log.roll(NOW_MS);
    log.appendAsFollower(testBatch({ baseOffset: 9, partitionLeaderEpoch: 0, values: ['b'] }), { leaderEpoch: 0, nowMs: NOW_MS });
    await log.write();
    expect(await contents(log, { from: 1 })).toEqual(['9:b']);
  });

  it('answers KAFKA_STORAGE_ERROR when the file cannot be read', async () => {
    const disk = new MemoryDisk();
    const { log } = openLog({ disk, tail: NO_TAIL() });
    await fill(log, numbered(3));
    const file = log.segments.active.file();
    file.read = () => Promise.reject(new DiskError('EIO', file.path, 'read'));
    expect(await log.read(0, WHOLE)).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR, bytes: 0 });
  });
});

describe('roll', () => {
  it('rolls before a segment would grow too large, in the middle of what is queued too', async () => {
    const { log, disk } = openLog({ config: { segmentBytes: 1000 } });
    for (let i = 0; i < 25; i++) accept(log, sizedBatch(100));
    expect(log.segments.all.map((segment) => segment.baseOffset)).toEqual([0, 10, 20]);
    await log.write();
    expect(log.segments.all.map((segment) => segment.writtenBytes)).toEqual([1000, 1000, 500]);
    expect(disk.list(DIRECTORY).filter((name) => name.endsWith('.snapshot'))).toEqual(['00000000000000000010.snapshot', '00000000000000000020.snapshot']);
    expect((await contents(log)).length).toBe(25);
  });

  it('rolls by the age that the stamps tell', () => {
    const { log } = openLog({ config: { segmentMs: 1000 } });
    accept(log, testBatch({ timestamp: 5000 }));
    accept(log, testBatch({ timestamp: 6000 }));
    expect(log.segments.count).toBe(1);
    accept(log, testBatch({ timestamp: 6001 }));
    expect(log.segments.count).toBe(2);
  });

  it('takes the jitter off the age, and goes by the clock where there are no stamps', () => {
    const { log } = openLog({ config: { segmentMs: 1000, segmentJitterMs: 400 }, jitter: () => 0.5 });
    accept(log, testBatch({ timestamp: -1 }), { ...CLIENT, nowMs: NOW_MS });
    accept(log, testBatch({ timestamp: -1 }), { ...CLIENT, nowMs: NOW_MS + 800 });
    expect(log.segments.count).toBe(1);
    accept(log, testBatch({ timestamp: -1 }), { ...CLIENT, nowMs: NOW_MS + 801 });
    expect(log.segments.count).toBe(2);
  });

  it('rolls when an index is full', () => {
    const { log } = openLog({ config: { indexIntervalBytes: 0, indexSizeMaxBytes: 40 } });
    // Room for 5 entries of the offset index and 3 of the time index, one of which is kept free.
    for (let i = 0; i < 4; i++) accept(log, testBatch({ timestamp: NOW_MS + i }));
    expect(log.segments.all.map((segment) => segment.baseOffset)).toEqual([0, 3]);
  });

  it('rolls where an offset is too far from the base to be told in the index', async () => {
    const { log } = openLog();
    accept(log, testBatch());
    log.appendAsFollower(testBatch({ baseOffset: 2 ** 31 + 5, partitionLeaderEpoch: 0 }), { leaderEpoch: 0, nowMs: NOW_MS });
    expect(log.segments.all.map((segment) => segment.baseOffset)).toEqual([0, 2 ** 31 + 5]);
    const { log: empty } = openLog();
    empty.appendAsFollower(testBatch({ baseOffset: 2 ** 31, partitionLeaderEpoch: 0 }), { leaderEpoch: 0, nowMs: NOW_MS });
    await empty.write();
    expect(await contents(empty)).toEqual([`${2 ** 31}:x`]);
  });

  it('makes no second empty segment', () => {
    const { log } = openLog();
    log.roll(NOW_MS);
    expect(log.segments.count).toBe(1);
  });

  it('flushes what it leaves behind in the background', async () => {
    const { log } = openLog({ config: { segmentBytes: 250 } });
    await fill(log, numbered(7));
    // Behind everything that is under way already.
    await log.truncateTo(log.logEndOffset, NOW_MS);
    expect(log.recoveryPoint).toBe(log.segments.active.baseOffset);
  });
});

describe('flush and close', () => {
  it('moves the recovery point to what was appended before the call', async () => {
    const { log } = openLog();
    accept(log, testBatch());
    const flushed = log.flush();
    accept(log, testBatch());
    await flushed;
    expect(log.recoveryPoint).toBeGreaterThanOrEqual(1);
    expect(log.writtenEndOffset).toBeGreaterThanOrEqual(1);
  });

  it('is due once something has waited for flush.ms', async () => {
    const { log } = openLog({ config: { flushMs: 100 } });
    expect(log.isFlushDue(NOW_MS + 1_000)).toBe(false);
    await fill(log, ['a']);
    expect([log.isFlushDue(NOW_MS + 99), log.isFlushDue(NOW_MS + 100)]).toEqual([false, true]);
    await log.flush();
    expect(log.isFlushDue(NOW_MS + 1_000)).toBe(false);
  });

  it('leaves complete indexes and a snapshot, and opens again without looking at a batch', async () => {
    const { log, disk } = openLog({ config: { indexIntervalBytes: 100 } });
    accept(log, testBatch({ producerId: 5, producerEpoch: 0, baseSequence: 0 }));
    await fill(log, numbered(20), { timestamp: NOW_MS + 1 });
    await log.close();
    expect(disk.list(DIRECTORY)).toEqual([
      '00000000000000000000.index', '00000000000000000000.log', '00000000000000000000.timeindex', '00000000000000000021.snapshot', 'leader-epoch-checkpoint',
    ]);
    const { log: again } = openLog({ disk, cleanShutdown: true, config: { indexIntervalBytes: 100 } });
    expect([again.logEndOffset, again.recoveryPoint, again.recovery.segmentsScanned, again.producers.size]).toEqual([21, 21, 0, 1]);
    expect(again.append(testBatch(), CLIENT)).toMatchObject({ error: 0, baseOffset: 21 });
  });

  it('takes nothing more once it is being closed', async () => {
    const { log, disk } = openLog();
    accept(log, testBatch());
    const closing = log.close();
    expect(log.append(testBatch(), CLIENT).error).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    await closing;
    expect(openLog({ disk, cleanShutdown: true }).log.logEndOffset).toBe(1);
  });

  it('refuses to be used after it was closed', async () => {
    const { log } = openLog();
    await log.close();
    expect(log.append(testBatch(), CLIENT).error).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect((await log.read(0, WHOLE)).error).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
  });
});

describe('high watermark and last stable offset', () => {
  it('stays within what is written and never goes back', async () => {
    const { log } = openLog();
    await fill(log, numbered(3));
    accept(log, testBatch());
    log.advanceHighWatermark(99);
    expect(log.highWatermark).toBe(3);
    log.advanceHighWatermark(1);
    expect(log.highWatermark).toBe(3);
  });

  it('holds read_committed readers before the first open transaction, and tells the aborted ones', async () => {
    const { log } = openLog();
    const data = (producerId: number, baseSequence: number) => testBatch({ producerId, producerEpoch: 0, baseSequence, isTransactional: true });
    await fill(log, ['a']);
    accept(log, data(1, 0));
    accept(log, data(2, 0));
    accept(log, data(1, 1));
    await log.write();
    log.advanceHighWatermark(4);
    expect(log.lastStableOffset).toBe(1);
    accept(log, markerBatch('abort', { producerId: 1, producerEpoch: 0 }), { ...CLIENT, origin: 'coordinator' });
    await log.write();
    // The marker is not replicated yet, so a reader might still be elsewhere.
    expect(log.lastStableOffset).toBe(1);
    log.advanceHighWatermark(5);
    expect(log.lastStableOffset).toBe(2);
    accept(log, markerBatch('commit', { producerId: 2, producerEpoch: 0 }), { ...CLIENT, origin: 'coordinator' });
    await log.write();
    log.advanceHighWatermark(6);
    expect(log.lastStableOffset).toBe(6);
    expect(log.abortedTransactions(0, 6)).toEqual([{ producerId: 1, firstOffset: 1, lastOffset: 4, lastStableOffset: 2 }]);
    expect(log.abortedTransactions(5, 6)).toEqual([]);
    expect(log.abortedTransactions(0, 1)).toEqual([]);
  });

  it('finds an aborted transaction that began in an earlier segment', async () => {
    const { log } = openLog();
    accept(log, testBatch({ producerId: 1, producerEpoch: 0, baseSequence: 0, isTransactional: true }));
    await log.write();
    log.roll(NOW_MS);
    accept(log, markerBatch('abort', { producerId: 1, producerEpoch: 0 }), { ...CLIENT, origin: 'coordinator' });
    await log.write();
    expect(log.abortedTransactions(0, 1)).toEqual([{ producerId: 1, firstOffset: 0, lastOffset: 1, lastStableOffset: 2 }]);
  });
});

describe('log start offset', () => {
  it('moves forward only, and not beyond the high watermark', async () => {
    const { log } = openLog();
    await fill(log, numbered(5));
    accept(log, testBatch());
    expect(log.advanceLogStartOffset(6)).toBe(ErrorCode.OFFSET_OUT_OF_RANGE);
    expect(log.advanceLogStartOffset(3)).toBe(ErrorCode.NONE);
    expect(log.advanceLogStartOffset(1)).toBe(ErrorCode.NONE);
    expect(log.logStartOffset).toBe(3);
    expect(log.epochs.entries).toEqual([{ epoch: 0, startOffset: 3 }]);
  });
});
