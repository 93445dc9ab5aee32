/** What keeps the log's use of memory and descriptors bounded: the tail, the budget of indexes, the open files, the write queue. */
import { describe, expect, it } from 'vitest';
import { DiskError } from '../../storage/disk.ts';
import { IndexBudget } from '../../storage/index-budget.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { FileHandle, OpenFiles } from '../../storage/open-files.ts';
import { Tail, TailBudget, type TailChunk } from '../../storage/tail.ts';
import { accept, contents, fill, NOW_MS, numbered, openLog, sizedBatch, testBatch } from './log-fixture.ts';

function chunk(baseOffset: number, bytes = 1000): TailChunk {
  return { buffer: Buffer.alloc(bytes), baseOffset, nextOffset: baseOffset + 1, position: 0, release: undefined };
}

describe('the tail', () => {
  it('drops the oldest of all logs first', () => {
    const budget = new TailBudget({ tailBytesMax: 5000 });
    const [a, b] = [new Tail(budget), new Tail(budget)];
    a.add(chunk(0));
    b.add(chunk(0));
    a.add(chunk(1));
    expect([a.baseOffset, b.baseOffset, a.chunkCount]).toEqual([0, 0, 2]);
    b.add(chunk(1));
    expect([a.baseOffset, b.baseOffset]).toEqual([1, 0]);
    b.add(chunk(2));
    expect([a.baseOffset, b.baseOffset]).toEqual([1, 1]);
    b.add(chunk(3, 9000));
    expect([a.baseOffset, b.baseOffset, budget.bytes]).toEqual([undefined, undefined, 0]);
  });

  it('gives back what a log drops itself, from anywhere in the order', () => {
    const budget = new TailBudget({ tailBytesMax: 100_000 });
    const tails = [new Tail(budget), new Tail(budget), new Tail(budget)] as const;
    for (let offset = 0; offset < 5; offset++) for (const tail of tails) tail.add(chunk(offset));
    const all = budget.bytes;
    tails[1].clear();
    expect(budget.bytes).toBe((all / 3) * 2);
    tails[2].clear();
    tails[2].add(chunk(9));
    tails[0].clear();
    expect([budget.bytes, tails[2].baseOffset]).toEqual([all / 15, 9]);
    tails[2].clear();
    expect(budget.bytes).toBe(0);
    tails[0].add(chunk(5));
    expect(tails[0].baseOffset).toBe(5);
  });

  it('finds the chunk of an offset after many were dropped', () => {
    const budget = new TailBudget({ tailBytesMax: 20_000 });
    const tail = new Tail(budget);
    for (let offset = 0; offset < 1000; offset++) tail.add(chunk(offset));
    const base = tail.baseOffset!;
    expect(base).toBeGreaterThan(980);
    for (let offset = base; offset < 1000; offset++) expect(tail.chunk(tail.find(offset))?.baseOffset).toBe(offset);
    expect(tail.chunk(tail.find(1000))).toBe(undefined);
  });

  it('keeps within its budget whatever is written', async () => {
    const budget = new TailBudget({ tailBytesMax: 10_000 });
    const logs = [1, 2, 3].map((n) => openLog({ directory: `/data/t-${n}`, tail: budget }).log);
    for (let i = 0; i < 50; i++) {
      for (const log of logs) await fill(log, [`v${i}`]);
      expect(budget.bytes).toBeLessThanOrEqual(10_000);
    }
    for (const log of logs) expect(await contents(log)).toEqual(numbered(50).map((value, i) => `${i}:${value}`));
  });

  it('holds small batches of one write joined, so that they do not keep the frames alive that they came in', async () => {
    const { log } = openLog();
    const batches = Array.from({ length: 20 }, () => sizedBatch(100));
    for (const one of [...batches, sizedBatch(20_000), sizedBatch(100)]) accept(log, one);
    await log.write();
    expect([log.tail.chunkCount, log.tail.chunk(0)?.buffer.length, log.tail.chunk(1)?.buffer.length, log.tail.chunk(2)?.buffer.length]).toEqual([3, 2000, 20_000, 100]);
    expect((await contents(log, { from: 7 })).length).toBe(15);
  });
});

describe('open files', () => {
  it('keeps to the limit, whatever number of logs is in use', async () => {
    const disk = new MemoryDisk();
    const files = new OpenFiles(disk, { openFilesMax: 4 });
    const logs = Array.from({ length: 10 }, (_, i) => openLog({ disk, files, directory: `/data/t-${i}`, tail: new TailBudget({ tailBytesMax: 0 }) }).log);
    for (let round = 0; round < 3; round++) {
      for (const log of logs) await fill(log, [`v${round}`]);
      expect(files.count).toBeLessThanOrEqual(4);
    }
    for (const log of logs) expect(await contents(log)).toEqual(['0:v0', '1:v1', '2:v2']);
    for (const log of logs) await log.flush();
    expect(logs.map((log) => log.recoveryPoint)).toEqual(logs.map(() => 3));
    expect(files.count).toBeLessThanOrEqual(4);
  });

  it('closes none in the middle of a call, and closes it after', () => {
    const disk = new MemoryDisk();
    const files = new OpenFiles(disk, { openFilesMax: 1 });
    const closed: string[] = [];
    const open = (name: string): FileHandle => {
      const handle = new FileHandle(name);
      const file = files.use(handle, 'create');
      file.close = () => closed.push(name);
      return handle;
    };
    const busy = open('busy');
    busy.pins = 2;
    open('other');
    expect([closed, files.count]).toEqual([[], 2]);
    files.close(busy);
    files.unpin(busy);
    expect(closed).toEqual([]);
    files.unpin(busy);
    expect(closed).toEqual(['busy']);
  });

  it('gives back half of its descriptors when the system has no more, and tries again', () => {
    const disk = new MemoryDisk();
    const files = new OpenFiles(disk, { openFilesMax: 100 });
    const { open } = disk;
    disk.open = (path, mode) => {
      if (files.count >= 10) throw new DiskError('EMFILE', path, 'open');
      return open.call(disk, path, mode);
    };
    for (let i = 0; i < 30; i++) files.use(new FileHandle(`f${i}`), 'create');
    expect(files.count).toBeLessThanOrEqual(10);
    disk.open = (path) => {
      throw new DiskError('EMFILE', path, 'open');
    };
    expect(() => files.use(new FileHandle('last'), 'create')).toThrow(DiskError);
  });
});

describe('the budget of indexes', () => {
  it('drops the least recently used, and what was dropped is read again', async () => {
    const { log } = openLog({ config: { segmentBytes: 1000, indexIntervalBytes: 100 }, indexes: new IndexBudget({ indexBytesMax: 200 }), tail: new TailBudget({ tailBytesMax: 0 }) });
    for (let i = 0; i < 100; i++) accept(log, sizedBatch(100, { timestamp: NOW_MS + i }));
    await log.write();
    for (const offset of [95, 0, 50, 99, 7, 42]) {
      expect((await contents(log, { from: offset, endOffset: offset + 1 })).length).toBe(1);
      expect(await log.offsetForTimestamp(NOW_MS + offset)).toMatchObject({ offset });
    }
  });

  it('counts each owner once', () => {
    const budget = new IndexBudget({ indexBytesMax: 100 });
    const dropped: string[] = [];
    const owner = (name: string) => ({ dropIndexes: () => void dropped.push(name) });
    const [a, b, c] = [owner('a'), owner('b'), owner('c')];
    budget.note(a, 40);
    budget.note(b, 40);
    budget.note(a, 50);
    expect([budget.bytes, dropped]).toEqual([90, []]);
    budget.note(c, 30);
    expect([budget.bytes, dropped]).toEqual([80, ['b']]);
    budget.note(c, 500);
    expect([budget.bytes, dropped]).toEqual([500, ['b', 'a']]);
    budget.forget(c);
    expect(budget.bytes).toBe(0);
  });
});

describe('the queue', () => {
  it('counts the bytes that wait', async () => {
    const { log } = openLog();
    accept(log, sizedBatch(150));
    accept(log, testBatch());
    expect(log.queuedBytes).toBe(log.sizeBytes);
    await log.write();
    expect(log.queuedBytes).toBe(0);
  });
});
