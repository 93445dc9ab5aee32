/** Opening what a broker left that did not stop in order, and what other hands did to its files. Crashes call by call: log-crash.test.ts. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { LogConfig } from '../../storage/log-config.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import type { Log } from '../../storage/log.ts';
import { accept, CLIENT, contents, COORDINATOR, DIRECTORY, fill, markerBatch, NOW_MS, numbered, openLog, testBatch } from './log-fixture.ts';

const CONFIG: Partial<LogConfig> = { segmentBytes: 300, indexIntervalBytes: 60, segmentMs: Number.MAX_SAFE_INTEGER };
const path = (name: string): string => `${DIRECTORY}/${name}`;
const logFile = (baseOffset: number): string => path(`${String(baseOffset).padStart(20, '0')}.log`);

let disk: MemoryDisk;
beforeEach(() => {
  disk = new MemoryDisk();
});

function open(options: Parameters<typeof openLog>[0] = {}): Log {
  return openLog({ disk, ...options, config: { ...CONFIG, ...options.config } }).log;
}

function edit(name: string, change: (bytes: Buffer) => Buffer | void): void {
  const bytes = disk.readFile(name);
  const after = change(bytes) ?? bytes;
  const file = disk.open(name, 'replace');
  file.writeSync([after], 0);
  file.close();
}

function snapshotOfDisk(): Record<string, string> {
  return Object.fromEntries(disk.list(DIRECTORY).map((name) => [name, disk.readFile(path(name)).toString('hex')]));
}

/** `offset:value` of so many one-record batches. */
const expected = (count: number): string[] => numbered(count).map((value, i) => `${i}:${value}`);

describe('the end of the log', () => {
  it('is found without a clean shutdown, at every length of the last segment', async () => {
    const written = open();
    await fill(written, numbered(10));
    const last = written.segments.active;
    const whole = disk.readFile(logFile(last.baseOffset));
    const size = whole.length / (10 - last.baseOffset);
    for (let length = 0; length <= whole.length; length++) {
      edit(logFile(last.baseOffset), () => whole.subarray(0, length));
      const log = open();
      const end = last.baseOffset + Math.floor(length / size);
      expect([length, log.logEndOffset]).toEqual([length, end]);
      expect(await contents(log)).toEqual(expected(end));
      expect(disk.status(logFile(last.baseOffset))?.sizeBytes).toBe(Math.floor(length / size) * size);
    }
  });

  it('is before zeros, garbage, and a batch whose bytes are not all there', async () => {
    const tails = [Buffer.alloc(1), Buffer.alloc(500), Buffer.alloc(70, 0xff), Buffer.from('not a batch of any kind, but long enough for the header of one......................')];
    for (const tail of tails) {
      disk = new MemoryDisk();
      await fill(open(), numbered(3));
      edit(logFile(0), (bytes) => Buffer.concat([bytes, tail]));
      const log = open();
      expect([log.logEndOffset, log.recovery.bytesCut, log.recovery.lostFlushed]).toEqual([3, tail.length, false]);
    }
  });

  it('is before a batch that goes backwards', async () => {
    await fill(open(), numbered(3));
    edit(logFile(0), (bytes) => Buffer.concat([bytes, bytes]));
    expect(open().logEndOffset).toBe(3);
  });

  it('is before the first wrong batch, and the segments behind are removed', async () => {
    await fill(open(), numbered(12));
    const second = disk.list(DIRECTORY).filter((name) => name.endsWith('.log'))[1] as string;
    edit(path(second), (bytes) => {
      bytes[bytes.length - 1]! ^= 1;
    });
    const log = open();
    expect(log.recovery.segmentsRemoved).toBeGreaterThan(0);
    expect(await contents(log)).toEqual(expected(log.logEndOffset));
    const after = snapshotOfDisk();
    expect(open().logEndOffset).toBe(log.logEndOffset);
    expect(snapshotOfDisk()).toEqual(after);
  });

  it('is before a segment that does not follow, unless the cleaner may have made the gap', async () => {
    await fill(open(), numbered(12));
    const third = disk.list(DIRECTORY).filter((name) => name.endsWith('.log'))[2] as string;
    disk.unlink(path(disk.list(DIRECTORY).filter((name) => name.endsWith('.log'))[1] as string));
    const image = disk;
    const log = open({ config: { cleanupPolicy: 'compact' } });
    expect(log.logEndOffset).toBe(12);
    disk = image;
    const cut = open();
    expect([cut.segments.count, disk.status(path(third))]).toEqual([1, undefined]);
    expect(await contents(cut)).toEqual(expected(cut.logEndOffset));
  });

  it('is looked for even when the mark of a clean shutdown is false', async () => {
    const written = open();
    await fill(written, numbered(3));
    await written.close();
    edit(logFile(0), (bytes) => bytes.subarray(0, bytes.length - 1));
    const log = open({ cleanShutdown: true, recoveryPoint: 3 });
    expect([log.logEndOffset, log.recoveryPoint, log.recovery.lostFlushed]).toEqual([2, 2, true]);
    expect(accept(log, testBatch()).baseOffset).toBe(2);
  });
});

describe('what a killed broker left in the memory of the system', () => {
  it('is synced before the recovery point passes it', async () => {
    await fill(open(), numbered(12));
    const log = open();
    const synced: number[] = [];
    for (const segment of log.segments.all) {
      const file = segment.file();
      const { sync } = file;
      file.sync = () => (synced.push(segment.baseOffset), sync.call(file));
    }
    await log.flush();
    expect(log.recoveryPoint).toBe(12);
    expect(synced).toEqual(log.segments.all.map((segment) => segment.baseOffset));
    await log.flush();
    expect(synced.length).toBe(log.segments.count);
  });
});

describe('below the recovery point', () => {
  it('a rotten batch that sound ones follow is kept, and counted', async () => {
    await fill(open({ config: { segmentBytes: 10_000 } }), numbered(6));
    const size = disk.readFile(logFile(0)).length / 6;
    edit(logFile(0), (bytes) => {
      bytes[size * 3 - 1]! ^= 1;
    });
    const log = open({ recoveryPoint: 4, config: { segmentBytes: 10_000 } });
    expect([log.logEndOffset, log.recovery.batchesCorrupt, log.recovery.lostFlushed]).toEqual([6, 1, false]);
    // The same batch above the recovery point is the end of the log.
    expect(open({ recoveryPoint: 2, config: { segmentBytes: 10_000 } }).logEndOffset).toBe(2);
  });

  it('closed segments are not looked into', async () => {
    await fill(open(), numbered(12));
    edit(logFile(0), (bytes) => {
      bytes[70]! ^= 1;
    });
    const log = open({ recoveryPoint: 11 });
    expect([log.logEndOffset, log.recovery.segmentsScanned]).toEqual([12, 1]);
  });

  it('a log that ends before it says so', async () => {
    await fill(open(), numbered(12));
    for (const name of disk.list(DIRECTORY).filter((other) => other.endsWith('.log')).slice(1)) disk.unlink(path(name));
    const log = open({ recoveryPoint: 12 });
    expect(log.recovery.lostFlushed).toBe(true);
    expect(log.recoveryPoint).toBe(log.logEndOffset);
  });
});

describe('a log that ends before it starts', () => {
  it('begins anew at its start', async () => {
    await fill(open(), numbered(5));
    const log = open({ logStartOffset: 9 });
    expect([log.logStartOffset, log.logEndOffset, log.epochs.entries.length]).toEqual([9, 9, 0]);
    await fill(log, ['next']);
    expect(await contents(log)).toEqual(['9:next']);
  });
});

describe('leftovers', () => {
  it('of removal go, of the cleaner are finished or undone', async () => {
    const written = open();
    await fill(written, numbered(12));
    await written.close();
    const logs = disk.list(DIRECTORY).filter((name) => name.endsWith('.log'));
    const [first, second, third] = logs as [string, string, string];
    // The first two segments were cleaned into one, which keeps two records, and was not in its place yet.
    const kept = Buffer.concat([disk.readFile(path(first)).subarray(0, 70), disk.readFile(path(second)).subarray(-70)]);
    const write = (name: string, bytes: Buffer): void => {
      const file = disk.open(path(name), 'create');
      file.writeSync([bytes], 0);
      file.close();
    };
    write(`${first}.swap`, kept);
    write('00000000000000000099.log.deleted', Buffer.from('x'));
    write('00000000000000000099.snapshot.deleted', Buffer.from('x'));
    write(`${third}.cleaned`, Buffer.from('x'));
    write('00000000000000000077.index', Buffer.alloc(8));
    const log = open({ cleanShutdown: true, config: { cleanupPolicy: 'compact' } });
    const names = disk.list(DIRECTORY);
    expect(names.filter((name) => /deleted|cleaned|swap|0077/.test(name))).toEqual([]);
    expect(names).not.toContain(second);
    expect((await contents(log)).slice(0, 3)).toEqual(['0:v0', `${Number.parseInt(third) - 1}:v${Number.parseInt(third) - 1}`, `${Number.parseInt(third)}:v${Number.parseInt(third)}`]);
  });

  it('of a split that was not finished are undone', async () => {
    const written = open();
    await fill(written, numbered(3));
    await written.close();
    for (const name of ['00000000000000000000.log.cleaned', '00000000000000000002.log.swap']) {
      const file = disk.open(path(name), 'create');
      file.writeSync([Buffer.from('half')], 0);
      file.close();
    }
    const log = open({ cleanShutdown: true });
    expect(await contents(log)).toEqual(expected(3));
    expect(disk.list(DIRECTORY).filter((name) => /cleaned|swap/.test(name))).toEqual([]);
  });

  it('of other kinds are none of its business', () => {
    disk.makeDirectory(DIRECTORY);
    for (const name of ['00000000000000000007-0000000003.checkpoint', 'quorum-state', '7.log', 'x.deleted']) disk.open(path(name), 'create').close();
    open();
    expect(disk.list(DIRECTORY)).toEqual(expect.arrayContaining(['00000000000000000007-0000000003.checkpoint', 'quorum-state', '7.log', 'x.deleted']));
  });
});

describe('caches', () => {
  /** A closed log with transactions, several segments and epochs, and what it answers. */
  async function closed(): Promise<unknown> {
    const written = open();
    const data = (producerId: number, baseSequence: number) => testBatch({ producerId, producerEpoch: 0, baseSequence, isTransactional: true, timestamp: NOW_MS + baseSequence });
    for (let i = 0; i < 9; i++) {
      accept(written, data(1, i), { ...CLIENT, leaderEpoch: Math.floor(i / 3) });
      accept(written, testBatch({ producerId: 2, producerEpoch: 0, baseSequence: i, timestamp: NOW_MS + 100 - i }), { ...CLIENT, leaderEpoch: Math.floor(i / 3) });
      if (i % 3 === 2) accept(written, markerBatch(i === 5 ? 'commit' : 'abort', { producerId: 1, producerEpoch: 0 }), { ...COORDINATOR, leaderEpoch: Math.floor(i / 3) });
    }
    await written.write();
    written.advanceHighWatermark(written.logEndOffset);
    const answers = await answersOf(written);
    await written.close();
    return answers;
  }

  async function answersOf(log: Log): Promise<unknown> {
    const each: string[] = [];
    for (let offset = log.logStartOffset; offset < log.logEndOffset; offset++) each.push(...(await contents(log, { from: offset, endOffset: offset + 1 })));
    return {
      each,
      contents: await contents(log),
      epochs: log.epochs.entries,
      aborted: log.abortedTransactions(0, log.logEndOffset),
      producers: log.producers.entries().map(({ producerId, epoch, currentTxnFirstOffset, batches }) => ({ producerId, epoch, currentTxnFirstOffset, last: batches.at(-1)?.lastSequence, at: batches.at(-1)?.lastOffset })),
      timestamps: await Promise.all(Array.from({ length: 110 }, (_, i) => log.offsetForTimestamp(NOW_MS + i))),
      max: await log.maxTimestampOffset(),
    };
  }

  const damages: Record<string, (bytes: Buffer) => Buffer | void> = {
    emptied: () => Buffer.alloc(0),
    cut: (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2)),
    'cut inside an entry': (bytes) => bytes.subarray(0, Math.max(0, bytes.length - 3)),
    zeroed: (bytes) => Buffer.alloc(bytes.length),
    'followed by the zeros of preallocation': (bytes) => Buffer.concat([bytes, Buffer.alloc(1200)]),
    'followed by garbage': (bytes) => Buffer.concat([bytes, Buffer.alloc(24, 0x5a)]),
    reversed: (bytes) => Buffer.from(bytes).reverse(),
    'all ones': (bytes) => Buffer.alloc(bytes.length, 0xff),
  };

  for (const suffix of ['.index', '.timeindex', '.txnindex', '.snapshot', 'leader-epoch-checkpoint']) {
    for (const [damage, change] of Object.entries(damages)) {
      // The text of the checkpoint is damaged just as well; a snapshot of zeros fails its checksum.
      it(`${suffix} ${damage} changes no answer`, async () => {
        const answers = await closed();
        // Of a missing transaction index nothing tells; an empty one is the same.
        if (suffix === '.txnindex' && damage === 'emptied') return;
        for (const name of disk.list(DIRECTORY).filter((other) => other.endsWith(suffix))) edit(path(name), change);
        const log = open({ cleanShutdown: true });
        log.advanceHighWatermark(log.logEndOffset);
        expect(await answersOf(log)).toEqual(answers);
      });
    }
  }

  for (const suffix of ['.index', '.timeindex', '.snapshot', 'leader-epoch-checkpoint']) {
    it(`${suffix} missing changes no answer`, async () => {
      const answers = await closed();
      for (const name of disk.list(DIRECTORY).filter((other) => other.endsWith(suffix))) disk.unlink(path(name));
      const log = open({ cleanShutdown: true });
      log.advanceHighWatermark(log.logEndOffset);
      expect(await answersOf(log)).toEqual(answers);
    });
  }

  it('any flipped bit of an index changes no answer', async () => {
    const answers = await closed();
    const files = disk.list(DIRECTORY).filter((name) => /\.(index|timeindex)$/.test(name));
    for (const name of files) {
      const bytes = disk.readFile(path(name));
      for (let bit = 0; bit < bytes.length * 8; bit += 5) {
        const flipped = Buffer.from(bytes);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        edit(path(name), () => flipped);
        const log = open({ cleanShutdown: true });
        log.advanceHighWatermark(log.logEndOffset);
        expect(await answersOf(log), `${name} bit ${bit}`).toEqual(answers);
      }
      edit(path(name), () => bytes);
    }
  });

  it('a snapshot that does not serve is replaced', async () => {
    await closed();
    const name = path(disk.list(DIRECTORY).filter((other) => other.endsWith('.snapshot')).at(-1) as string);
    const bytes = disk.readFile(name);
    edit(name, (copy) => void copy.fill(0, 2, 6));
    await open({ cleanShutdown: true }).close();
    // The stamp of a producer's last batch and that of its marker are one in the file, so only one of the two comes back.
    expect([disk.readFile(name).length, disk.readFile(name).subarray(2, 6).equals(Buffer.alloc(4))]).toEqual([bytes.length, false]);
  });

  it('a wrong entry that is found late takes nothing from what waits to be written', async () => {
    const written = open({ config: { segmentBytes: 10_000 } });
    await fill(written, numbered(12));
    await written.close();
    const index = path('00000000000000000000.index');
    const bytes = disk.readFile(index);
    expect(bytes.length).toBeGreaterThan(24);
    // The position of the second entry, a byte off: it still increases.
    edit(index, (copy) => void copy.writeInt32BE(copy.readInt32BE(12) + 1, 12));
    const log = open({ cleanShutdown: true, config: { segmentBytes: 10_000 } });
    accept(log, testBatch({ values: ['late'], timestamp: NOW_MS + 99 }));
    const late = log.logEndOffset - 1;
    const second = bytes.readInt32BE(8);
    expect(await contents(log, { from: second, endOffset: second + 1 })).toEqual([`${second}:v${second}`]);
    expect(await log.maxTimestampOffset()).toMatchObject({ offset: late, timestampMs: NOW_MS + 99 });
    await log.close();
    expect(disk.readFile(index)).toEqual(bytes);
    expect(await open({ cleanShutdown: true, config: { segmentBytes: 10_000 } }).offsetForTimestamp(NOW_MS + 1)).toMatchObject({ offset: late });
  });

  it('after a crash all of them are made again from the batches', async () => {
    const answers = await closed();
    for (const name of disk.list(DIRECTORY)) if (!name.endsWith('.log')) disk.unlink(path(name));
    const log = open();
    log.advanceHighWatermark(log.logEndOffset);
    expect(await answersOf(log)).toEqual(answers);
  });
});

describe('formats before magic 2', () => {
  it('are read, found and kept apart by offset', async () => {
    const { crc32 } = await import('node:zlib');
    const message = (magic: 0 | 1, offset: number, timestamp: number, value: string): Buffer => {
      const body = Buffer.concat([Buffer.from([magic, 0]), ...(magic === 1 ? [Buffer.from(BigInt.asUintN(64, BigInt(timestamp)).toString(16).padStart(16, '0'), 'hex')] : []), Buffer.from('ffffffff', 'hex'), Buffer.from([0, 0, 0, value.length]), Buffer.from(value)]);
      const head = Buffer.alloc(16);
      head.writeUInt32BE(offset, 4);
      head.writeInt32BE(body.length + 4, 8);
      head.writeUInt32BE(crc32(body), 12);
      return Buffer.concat([head, body]);
    };
    disk.makeDirectory(DIRECTORY);
    const file = disk.open(logFile(0), 'create');
    file.writeSync([message(0, 0, 0, 'a'), message(1, 1, 500, 'b'), message(1, 2, 600, 'c')], 0);
    file.close();
    const log = open({ config: { segmentBytes: 10_000 } });
    expect([log.logEndOffset, log.recovery.bytesCut]).toEqual([3, 0]);
    expect(await log.offsetForTimestamp(501)).toEqual({ offset: 2, timestampMs: 600, leaderEpoch: -1 });
    const read = await log.read(1, { maxBytes: 1000, endOffset: 3, minOneBatch: true });
    expect([read.firstBatchBaseOffset, read.nextOffset, read.buffers[0]?.includes('c')]).toEqual([1, 3, true]);
    expect(accept(log, testBatch()).baseOffset).toBe(3);
    await log.write();
    expect((await log.read(2, { maxBytes: 1000, endOffset: 4, minOneBatch: true })).nextOffset).toBe(4);
    edit(logFile(0), (bytes) => {
      bytes[40]! ^= 1;
    });
    expect(open({ config: { segmentBytes: 10_000 } }).logEndOffset).toBeLessThan(3);
  });
});
