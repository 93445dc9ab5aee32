/** What a log does when its disk refuses: full for now, or broken for good. That every call is covered, log-crash.test.ts sees to. */
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import { DiskError, type DiskFile } from '../../storage/disk.ts';
import { StorageError } from '../../storage/log.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { accept, CLIENT, contents, COORDINATOR, DIRECTORY, fill, markerBatch, NOW_MS, numbered, openLog, testBatch } from './log-fixture.ts';
import type { Log } from '../../storage/log.ts';

/** The next write of the file, made at once or not, takes half of the bytes and then fails. */
function failNextWrite(file: DiskFile, code: string): void {
  const { write, writeSync } = file;
  file.writeSync = (buffers, position) => {
    file.writeSync = writeSync;
    file.write = write;
    const bytes = Buffer.concat(buffers);
    writeSync.call(file, [bytes.subarray(0, Math.floor(bytes.length / 2))], position);
    throw new DiskError(code, file.path, 'write');
  };
  file.write = async (buffers, position) => file.writeSync(buffers, position);
}

function failSyncs(file: DiskFile): { count: number } {
  const seen = { count: 0 };
  file.sync = () => {
    seen.count++;
    return Promise.reject(new DiskError('EIO', file.path, 'sync'));
  };
  return seen;
}

interface Told {
  written: number[];
  refused: [string, number][];
  failed: string[];
}

function listen(log: Log): Told {
  const told: Told = { written: [], refused: [], failed: [] };
  log.onWritten = (endOffset) => told.written.push(endOffset);
  log.onWriteFailed = (error, fromOffset) => told.refused.push([(error as DiskError).code ?? error.name, fromOffset]);
  log.onFailed = (error) => told.failed.push(error.name);
  return told;
}

describe('a full disk', () => {
  it('does so for large writes, which a thread makes, too', async () => {
    const { log, disk } = openLog();
    const told = listen(log);
    failNextWrite(log.segments.active.file(), 'ENOSPC');
    accept(log, testBatch({ values: ['x'.repeat(200_000)] }));
    await log.write();
    expect(told.refused).toEqual([['ENOSPC', 0]]);
    expect(disk.readFile(`${DIRECTORY}/00000000000000000000.log`).length).toBe(0);
    await fill(log, ['a', 'y'.repeat(200_000)]);
    expect((await contents(log)).map((line) => line.length)).toEqual([3, 200_002]);
  });

  it('takes back what was queued and goes on when there is room', async () => {
    const { log, disk } = openLog();
    await fill(log, ['a']);
    const told = listen(log);
    failNextWrite(log.segments.active.file(), 'ENOSPC');
    accept(log, testBatch({ values: ['lost', 'lost too'] }));
    await log.write();
    expect(told).toEqual({ written: [], refused: [['ENOSPC', 1]], failed: [] });
    expect([log.failed, log.logEndOffset, log.writtenEndOffset]).toEqual([false, 1, 1]);
    expect(disk.readFile(`${DIRECTORY}/00000000000000000000.log`).length).toBe(log.sizeBytes);
    expect(accept(log, testBatch({ values: ['b'] })).baseOffset).toBe(1);
    await log.write();
    expect(await contents(log)).toEqual(['0:a', '1:b']);
  });

  it('takes back what was appended while the write failed, too', async () => {
    const { log } = openLog();
    const told = listen(log);
    failNextWrite(log.segments.active.file(), 'ENOSPC');
    accept(log, testBatch());
    const writing = log.write();
    accept(log, testBatch());
    await writing;
    expect(told.refused).toEqual([['ENOSPC', 0]]);
    expect([log.logEndOffset, log.queuedBytes, log.sizeBytes]).toEqual([0, 0, 0]);
  });

  it('takes back the segments that were rolled for it', async () => {
    const { log, disk } = openLog({ config: { segmentBytes: 200 } });
    await fill(log, ['a']);
    failNextWrite(log.segments.active.file(), 'ENOSPC');
    for (const value of numbered(6)) accept(log, testBatch({ values: [value] }));
    expect(log.segments.count).toBe(4);
    await log.write();
    expect(log.segments.all.map((segment) => segment.baseOffset)).toEqual([0]);
    expect(disk.list(DIRECTORY).filter((name) => /log|snapshot/.test(name))).toEqual(['00000000000000000000.log']);
    await fill(log, ['b', 'c', 'd']);
    expect(await contents(log)).toEqual(['0:a', '1:b', '2:c', '3:d']);
  });

  it('takes back a write that failed in its second segment whole', async () => {
    const { log } = openLog({ config: { segmentBytes: 200 } });
    for (const value of numbered(5)) accept(log, testBatch({ values: [value] }));
    failNextWrite(log.segments.all[1]!.file(), 'ENOSPC');
    await log.write();
    expect([log.logEndOffset, log.segments.count, log.sizeBytes]).toEqual([0, 1, 0]);
    await fill(log, ['a', 'b', 'c']);
    expect(await contents(log)).toEqual(['0:a', '1:b', '2:c']);
  });

  it('takes back a segment that a follower rolled over a gap', async () => {
    const { log } = openLog();
    await fill(log, ['a']);
    log.appendAsFollower(testBatch({ baseOffset: 2 ** 31 + 1, partitionLeaderEpoch: 0 }), { leaderEpoch: 0, nowMs: NOW_MS });
    failNextWrite(log.segments.active.file(), 'ENOSPC');
    await log.write();
    expect(log.segments.all.map((segment) => segment.baseOffset)).toEqual([0]);
    await fill(log, ['b']);
    expect(await contents(log)).toEqual(['0:a', '1:b']);
  });

  it('takes back what producers, transactions and epochs had become', async () => {
    const { log } = openLog();
    const data = (baseSequence: number, producerId = 1) => testBatch({ producerId, producerEpoch: 0, baseSequence, isTransactional: true });
    for (let sequence = 0; sequence < 6; sequence++) accept(log, data(sequence));
    await log.write();
    log.advanceHighWatermark(6);
    const before = log.producers.entries().map((entry) => ({ ...entry, batches: [...entry.batches] }));
    failNextWrite(log.segments.active.file(), 'ENOSPC');
    accept(log, data(6), { ...CLIENT, leaderEpoch: 4 });
    accept(log, data(0, 2), { ...CLIENT, leaderEpoch: 4 });
    const writing = log.write();
    accept(log, data(7), { ...CLIENT, leaderEpoch: 4 });
    accept(log, markerBatch('abort', { producerId: 1, producerEpoch: 0 }), { ...COORDINATOR, leaderEpoch: 4 });
    await writing;
    expect(log.producers.entries()).toMatchObject(before);
    expect(log.producers.producer(1)?.batches.map(({ lastSequence }) => lastSequence)).toEqual([1, 2, 3, 4, 5]);
    expect(log.lastStableOffset).toBe(0);
    expect(log.epochs.entries).toEqual([{ epoch: 0, startOffset: 0 }]);
    expect(log.abortedTransactions(0, 99)).toEqual([]);
    expect(log.append(data(5), CLIENT)).toMatchObject({ duplicate: true, baseOffset: 5 });
    accept(log, data(6));
    accept(log, markerBatch('commit', { producerId: 1, producerEpoch: 0 }), COORDINATOR);
    await log.write();
    log.advanceHighWatermark(8);
    expect(log.lastStableOffset).toBe(8);
  });

  it('refuses an append that needs a new segment when none can be made', async () => {
    const disk = new MemoryDisk();
    const { log } = openLog({ disk, config: { segmentBytes: 100 } });
    await fill(log, ['a']);
    const { open } = disk;
    disk.open = (path, mode) => {
      if (mode === 'replace') throw new DiskError('EMFILE', path, 'open');
      return open.call(disk, path, mode);
    };
    expect(log.append(testBatch(), CLIENT).error).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect([log.failed, log.logEndOffset]).toEqual([false, 1]);
    disk.open = open;
    expect(log.append(testBatch(), CLIENT)).toMatchObject({ error: 0, baseOffset: 1 });
  });
});

describe('a broken disk', () => {
  it('fails for good when a write fails otherwise, and goes on serving reads', async () => {
    const { log } = openLog();
    await fill(log, ['a']);
    const told = listen(log);
    failNextWrite(log.segments.active.file(), 'EIO');
    accept(log, testBatch());
    await log.write();
    expect(told).toEqual({ written: [], refused: [['EIO', 1]], failed: ['StorageError'] });
    expect(log.append(testBatch(), CLIENT).error).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(log.appendAsFollower(testBatch({ baseOffset: 1 }), { leaderEpoch: 0, nowMs: NOW_MS }).error).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(await contents(log)).toEqual(['0:a']);
    await expect(log.close()).rejects.toThrow(StorageError);
  });

  it('never syncs again after a sync that failed', async () => {
    const { log } = openLog();
    await fill(log, ['a']);
    const told = listen(log);
    const syncs = failSyncs(log.segments.active.file());
    await expect(log.flush()).rejects.toThrow(StorageError);
    expect([log.recoveryPoint, log.failed, told.failed]).toEqual([0, true, ['StorageError']]);
    await expect(log.flush()).rejects.toThrow(StorageError);
    await expect(log.close()).rejects.toThrow(StorageError);
    expect(syncs.count).toBe(1);
  });

  it('does not take for synced what another sync is still about', async () => {
    const { log } = openLog({ config: { flushMessages: 1, segmentBytes: 200 } });
    const told = listen(log);
    await fill(log, ['a', 'b']);
    expect(log.segments.count).toBe(1);
    // Rolls: the old segment is sealed and flushed in the background, the new one included, which is where all that is unflushed begins.
    accept(log, testBatch({ values: ['c'] }));
    expect(log.segments.count).toBe(2);
    const { file } = log.segments.active;
    let sync = (): void => {};
    let isSynced = false;
    file.call(log.segments.active).sync = () => new Promise((resolve) => {
      sync = () => {
        isSynced = true;
        resolve();
      };
    });
    const writing = log.write();
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    expect([isSynced, told.written]).toEqual([false, [2]]);
    sync();
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    sync();
    await writing;
    expect(told.written).toEqual([2, 3]);
  });

  it('fails for good when it cannot read how old the segment is that is to be appended to', async () => {
    for (const append of ['leader', 'follower'] as const) {
      const { log: before, disk } = openLog();
      await fill(before, ['a']);
      await before.close();
      const { log } = openLog({ disk, cleanShutdown: true, recoveryPoint: 1 });
      const told = listen(log);
      const file = log.segments.active.file();
      file.readSync = () => {
        throw new DiskError('EIO', file.path, 'read');
      };
      const { error } = append === 'leader' ? log.append(testBatch(), CLIENT) : log.appendAsFollower(testBatch({ baseOffset: 1, partitionLeaderEpoch: 0 }), { leaderEpoch: 0, nowMs: NOW_MS });
      expect(error).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
      expect([log.logEndOffset, log.failed, told.failed]).toEqual([1, true, ['StorageError']]);
    }
  });

  it('tells nobody that something was taken in when the sync that it waits for failed', async () => {
    const { log } = openLog({ config: { flushMessages: 1 } });
    const told = listen(log);
    failSyncs(log.segments.active.file());
    accept(log, testBatch());
    await log.write();
    expect(told).toEqual({ written: [], refused: [['StorageError', 0]], failed: ['StorageError'] });
    expect(log.writtenEndOffset).toBe(0);
  });

  it('tells nobody that something was taken in when another log of the directory failed meanwhile', async () => {
    const { log } = openLog();
    const told = listen(log);
    accept(log, testBatch());
    const writing = log.write();
    log.takeOffline(new StorageError('/data', new Error('elsewhere')));
    await writing;
    expect(told).toEqual({ written: [], refused: [['StorageError', 0]], failed: ['StorageError'] });
  });

  it('is of no concern to a log that is being deleted', async () => {
    const { log, disk } = openLog();
    await fill(log, ['a']);
    const told = listen(log);
    failNextWrite(log.segments.active.file(), 'EIO');
    accept(log, testBatch());
    const writing = log.write();
    disk.rename(DIRECTORY, '/data/t-0.00000000000000000000000000000000-delete');
    log.retire('/data/t-0.00000000000000000000000000000000-delete');
    await writing;
    await log.write();
    expect(told.failed).toEqual([]);
  });
});
