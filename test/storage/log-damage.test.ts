/** What rots while nobody looks: what the next start and the next reader make of it, by whether others have the log. */
import { beforeEach, describe, expect, test } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import type { Log } from '../../storage/log.ts';
import { contents, DIRECTORY, fill, numbered, openLog, type OpenOptions } from './log-fixture.ts';

const FILE = `${DIRECTORY}/00000000000000000000.log`;
const READ = { maxBytes: 1, endOffset: 1000, minOneBatch: true };
let disk: MemoryDisk;
let batchBytes: number;

const open = (options: OpenOptions = {}): Log => openLog({ disk, ...options }).log;
const expected = (from: number, to: number): string[] => numbered(to).map((value, offset) => `${offset}:${value}`).slice(from);

function edit(change: (bytes: Buffer) => Buffer): void {
  const bytes = change(disk.readFile(FILE));
  const file = disk.open(FILE, 'replace');
  file.writeSync([bytes], 0);
  file.close();
}

const rot = (offset: number): void => edit((bytes) => {
  bytes[batchBytes * (offset + 1) - 1]! ^= 1;
  return bytes;
});

beforeEach(async () => {
  disk = new MemoryDisk();
  const log = open();
  await fill(log, numbered(6));
  await log.close();
  batchBytes = disk.readFile(FILE).length / 6;
});

describe('a start after a crash, where others have the log', () => {
  test('cuts it where it has rotted, below the recovery point too', async () => {
    rot(2);
    const log = open({ recoveryPoint: 6, cutsDamage: true });
    expect([log.logEndOffset, log.recovery.lostFlushed, log.recovery.batchesCorrupt]).toEqual([2, true, 0]);
    expect(await contents(log)).toEqual(expected(0, 2));
  });

  test('cuts it at a hole, which compaction may leave', () => {
    edit((bytes) => Buffer.concat([bytes.subarray(0, 2 * batchBytes), bytes.subarray(3 * batchBytes)]));
    expect(open({ recoveryPoint: 6, cutsDamage: true, config: { cleanupPolicy: 'compact' } }).logEndOffset).toBe(6);
    expect(open({ recoveryPoint: 6 }).logEndOffset).toBe(6);
    expect(open({ recoveryPoint: 6, cutsDamage: true }).logEndOffset).toBe(2);
  });
});

test('a log that ends before its recovery point was not left in order, whatever the mark says', () => {
  edit((bytes) => bytes.subarray(0, 4 * batchBytes));
  expect(open({ recoveryPoint: 4, cleanShutdown: true }).recovery).toMatchObject({ segmentsScanned: 0, lostFlushed: false });
  expect(open({ recoveryPoint: 6, cleanShutdown: true }).recovery).toMatchObject({ segmentsScanned: 1, lostFlushed: true });
});

describe('a reader that comes upon it', () => {
  async function damaged({ othersHaveIt }: { othersHaveIt: boolean }) {
    rot(2);
    const log = open({ recoveryPoint: 6, cleanShutdown: true });
    const said: string[] = [];
    log.onRecoveryPointLowered = async () => void said.push(`recovery point ${log.recoveryPoint}`);
    log.damage.onFound = (offset) => (said.push(`found ${offset}`), othersHaveIt);
    log.damage.onNoted = (offset) => void said.push(`noted ${offset}`);
    return { log, said };
  }

  test('is refused where others have the log, and the next start will look', async () => {
    const { log, said } = await damaged({ othersHaveIt: true });
    expect(await log.read(1, READ)).toMatchObject({ error: ErrorCode.NONE, nextOffset: 2 });
    expect(await log.read(2, READ)).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR, bytes: 0 });
    expect(said).toEqual(['found 2', 'recovery point 0', 'noted 2']);
  });

  test('is given the bytes where nobody has it: its checksum tells', async () => {
    const { log, said } = await damaged({ othersHaveIt: false });
    expect(await log.read(2, READ)).toMatchObject({ error: ErrorCode.NONE, nextOffset: 3, bytes: batchBytes });
    expect([said, log.recoveryPoint]).toEqual([['found 2'], 6]);
  });

  test('finds what is shorter than it was, or no batch', async () => {
    for (const change of [(bytes: Buffer) => bytes.subarray(0, 2 * batchBytes + 20), (bytes: Buffer) => bytes.fill(0, 2 * batchBytes, 3 * batchBytes)]) {
      const log = open({ recoveryPoint: 6, cleanShutdown: true });
      const found: number[] = [];
      log.damage.onFound = (offset) => (found.push(offset), true);
      const whole = disk.readFile(FILE);
      edit(change);
      expect(await log.read(2, READ)).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR, bytes: 0 });
      expect(found).toEqual([2]);
      edit(() => whole);
    }
  });

  test('does not go on with the next segment where the one before is torn, or a length leads out of it', async () => {
    const torn = (bytes: Buffer): Buffer => bytes.subarray(0, 2 * batchBytes + 20);
    const longer = (bytes: Buffer): Buffer => (bytes.writeInt32BE(4 * batchBytes, batchBytes + 8), bytes);
    for (const change of [torn, longer]) {
      disk = new MemoryDisk();
      const config = { segmentBytes: 3 * batchBytes };
      const before = open({ config });
      await fill(before, numbered(6));
      await before.close();
      edit(change);
      const log = open({ config, recoveryPoint: 6, cleanShutdown: true });
      expect(log.segments.all.map(({ baseOffset }) => baseOffset)).toEqual([0, 3]);
      const found: number[] = [];
      log.damage.onFound = (offset) => (found.push(offset), true);
      expect(await log.read(2, READ)).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR, bytes: 0 });
      expect(found).toEqual([2]);
    }
  });

  test('has what was found looked at once, and what this process has written not at all', async () => {
    const log = open({ recoveryPoint: 6, cleanShutdown: true });
    log.damage.onFound = () => true;
    const [segment] = log.segments.all;
    for (let offset = 0; offset < 6; offset++) {
      expect(segment!.isVerified(offset * batchBytes, batchBytes)).toBe(false);
      expect(await log.read(offset, READ)).toMatchObject({ error: ErrorCode.NONE });
      expect(segment!.isVerified(offset * batchBytes, batchBytes)).toBe(true);
    }
    await fill(log, ['new']);
    expect(segment!.isVerified(6 * batchBytes, batchBytes)).toBe(true);
  });
});
