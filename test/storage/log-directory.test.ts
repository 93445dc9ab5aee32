/** A directory of logs: what it finds, keeps and gives up. */
import { beforeEach, describe, expect, it } from 'vitest';
import { ErrorCode } from '../../protocol/errors.ts';
import { DiskError } from '../../storage/disk.ts';
import { DEFAULT_LOG_CONFIG, type LogConfig } from '../../storage/log-config.ts';
import { LogDirectory } from '../../storage/log-directory.ts';
import { type Log, StorageError } from '../../storage/log.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { CLIENT, contents, fill, NOW_MS, numbered, testBatch } from './log-fixture.ts';

const PATH = '/data';
const TOPIC_ID = 'TziIL9W9SW2CPHav37dTwg';
const UUID = 'Qupj1bDmS-2UIfGThJUpRA';

let disk: MemoryDisk;
beforeEach(() => {
  disk = new MemoryDisk();
});

const openDirectory = (): LogDirectory => LogDirectory.open({ disk, path: PATH, uuid: () => UUID });
const open = (config: Partial<LogConfig> = {}) => ({ config: { ...DEFAULT_LOG_CONFIG, ...config }, nowMs: NOW_MS });
const create = (directory: LogDirectory, topic: string, partition = 0, config: Partial<LogConfig> = {}): Log =>
  directory.createLog({ topic, partition, topicId: TOPIC_ID, ...open(config) });
const text = (name: string): string => disk.readFile(`${PATH}/${name}`).toString();
function write(name: string, content: string): void {
  const file = disk.open(`${PATH}/${name}`, 'replace');
  file.writeSync([Buffer.from(content)], 0);
  file.close();
}

describe('a clean stop', () => {
  it('leaves the files that Apache Kafka leaves, and everything is found again', async () => {
    const directory = openDirectory();
    await fill(create(directory, 'a'), numbered(4));
    const b = create(directory, 'b', 2, { segmentBytes: 200 });
    await fill(b, numbered(5));
    b.advanceLogStartOffset(3);
    create(directory, 'empty');
    await directory.close(17);
    expect(disk.list(PATH)).toEqual([
      '.kafka_cleanshutdown', 'a-0', 'b-2', 'empty-0', 'log-start-offset-checkpoint', 'recovery-point-offset-checkpoint', 'replication-offset-checkpoint',
    ]);
    expect(text('.kafka_cleanshutdown')).toBe('{"version":0,"brokerEpoch":17}');
    expect(text('recovery-point-offset-checkpoint')).toBe('0\n3\na 0 4\nb 2 5\nempty 0 0\n');
    expect(text('log-start-offset-checkpoint')).toBe('0\n1\nb 2 3\n');
    expect(text('replication-offset-checkpoint')).toBe('0\n3\na 0 4\nb 2 5\nempty 0 0\n');
    expect(text('a-0/partition.metadata')).toBe(`version: 0\ntopic_id: ${TOPIC_ID}`);

    const again = openDirectory();
    expect([again.cleanShutdown, again.previousBrokerEpoch, again.problems]).toEqual([true, 17, []]);
    expect(again.found.map(({ topic, partition }) => [topic, partition])).toEqual([['a', 0], ['b', 2], ['empty', 0]]);
    const logs = again.found.map((found) => again.openLog(found, open()));
    expect(logs.map((log) => [log.topicId, log.logStartOffset, log.highWatermark, log.logEndOffset, log.recoveryPoint])).toEqual([
      [TOPIC_ID, 0, 4, 4, 4], [TOPIC_ID, 3, 5, 5, 5], [TOPIC_ID, 0, 0, 0, 0],
    ]);
    expect(again.log('b', 2)).toBe(logs[1]);
    expect(await contents(logs[1] as Log)).toEqual(['3:v3', '4:v4']);
  });

  it('keeps the lines of partitions that were not opened', async () => {
    const directory = openDirectory();
    await fill(create(directory, 'a'), numbered(4));
    await fill(create(directory, 'b'), numbered(2));
    await directory.close();
    const again = openDirectory();
    await fill(again.openLog(again.found[1]!, open()), ['more']);
    await again.close();
    expect(text('recovery-point-offset-checkpoint')).toBe('0\n2\na 0 4\nb 0 3\n');
  });

  it('leaves the mark in place until a log is opened, and durably removes it before', async () => {
    const directory = openDirectory();
    await fill(create(directory, 'a'), ['x']);
    await directory.close();
    const looked = openDirectory();
    looked.release();
    expect(disk.list(PATH)).toContain('.kafka_cleanshutdown');
    const again = openDirectory();
    const calls: string[] = [];
    const { unlink, syncDirectory, open: openFile } = disk;
    disk.unlink = (path) => (calls.push(`unlink ${path}`), unlink.call(disk, path));
    disk.syncDirectory = (path) => (calls.push(`sync ${path}`), syncDirectory.call(disk, path));
    disk.open = (path, mode) => (calls.push(`open ${path}`), openFile.call(disk, path, mode));
    again.openLog(again.found[0]!, open());
    expect(calls.slice(0, 2)).toEqual(['unlink /data/.kafka_cleanshutdown', 'sync /data']);
  });
});

describe('an unclean stop', () => {
  it('is known by the missing mark: logs are recovered from their recovery points', async () => {
    const directory = openDirectory();
    const log = create(directory, 'a', 0, { segmentBytes: 200 });
    await fill(log, numbered(3));
    await log.flush();
    await directory.checkpoint();
    await fill(log, numbered(3, 3));
    directory.release();
    const again = openDirectory();
    expect(again.cleanShutdown).toBe(false);
    const reopened = again.openLog(again.found[0]!, open({ segmentBytes: 200 }));
    expect([reopened.recoveryPoint, reopened.logEndOffset, reopened.highWatermark]).toEqual([3, 6, 3]);
    expect(reopened.recovery.segmentsScanned).toBeGreaterThan(0);
  });

  it('does not take a damaged checkpoint for an empty one', async () => {
    const directory = openDirectory();
    await fill(create(directory, 'a'), numbered(3));
    await directory.close();
    write('recovery-point-offset-checkpoint', '');
    write('log-start-offset-checkpoint', '0\n1\n');
    write('.kafka_cleanshutdown', '{"version":0,"bro');
    const again = openDirectory();
    expect(again.cleanShutdown).toBe(false);
    expect(again.problems.map((problem) => problem.split(':')[0])).toEqual(['.kafka_cleanshutdown', 'recovery-point-offset-checkpoint', 'log-start-offset-checkpoint']);
    expect(again.openLog(again.found[0]!, open()).logEndOffset).toBe(3);
  });
});

describe('what is found', () => {
  it('is partitions in use, and not what is being deleted, is stray, or belongs to the quorum', async () => {
    const names = [
      'a-0', 'with-dashes-12', 'gone-0.42ea49d5b0e64bed9421f19384852944-delete', 'lost-1.42ea49d5b0e64bed9421f19384852944-stray', 'moving-1.42ea49d5b0e64bed9421f19384852944-future',
      '__cluster_metadata-0', 'no partition', 'lost+found', '__consumer_offsets-49',
    ];
    for (const name of names) disk.makeDirectory(`${PATH}/${name}`);
    const directory = openDirectory();
    expect(directory.found.map(({ name }) => name)).toEqual(['__consumer_offsets-49', 'a-0', 'with-dashes-12']);
    expect(directory.topicIdOf(directory.found[0]!)).toBe(undefined);
    await directory.removeDeleted();
    expect(disk.list(PATH).filter((name) => name.includes('-delete') || name.includes('-stray')).length).toBe(1);
  });

  it('can be put aside for a human to look at', async () => {
    const directory = openDirectory();
    await fill(create(directory, 'a'), numbered(3));
    await directory.close();
    const again = openDirectory();
    expect(again.putAside(again.found[0]!)).toBe('a-0.42ea63d5b0e64bed9421f19384952944-stray');
    await again.checkpoint();
    expect(text('recovery-point-offset-checkpoint')).toBe('0\n0\n');
    again.release();
    expect(openDirectory().found).toEqual([]);
  });
});

describe('deletion', () => {
  it('takes a partition out of use at once, and out of the checkpoints', async () => {
    const directory = openDirectory();
    const log = create(directory, 'a');
    await fill(log, numbered(3));
    create(directory, 'b');
    const removed = directory.deleteLog(log);
    expect(directory.log('a', 0)).toBe(undefined);
    expect(disk.status(`${PATH}/a-0`)).toBe(undefined);
    expect(log.append(testBatch(), CLIENT).error).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    await removed;
    const fresh = create(directory, 'a');
    expect(fresh.logEndOffset).toBe(0);
    await directory.close();
    expect(disk.list(PATH).filter((name) => name.includes('delete'))).toEqual([]);
    expect(text('recovery-point-offset-checkpoint')).toBe('0\n2\nb 0 0\na 0 0\n');
  });

  it('works for a partition that was not opened', async () => {
    const directory = openDirectory();
    await fill(create(directory, 'a'), numbered(3));
    await directory.close();
    const again = openDirectory();
    await again.deleteFound(again.found[0]!);
    expect(disk.list(PATH).filter((name) => name.startsWith('a-'))).toEqual([]);
  });
});

describe('a new partition', () => {
  it('is durable, with its topic id, once it is first flushed', async () => {
    const directory = openDirectory();
    const log = create(directory, 'a');
    const synced: string[] = [];
    const { syncDirectory } = disk;
    disk.syncDirectory = (path) => (synced.push(path), syncDirectory.call(disk, path));
    await fill(log, ['x']);
    expect(synced).toEqual([]);
    await log.flush();
    expect(synced).toContain('/data/a-0');
    expect(synced).toContain('/data');
    synced.length = 0;
    await fill(log, ['y']);
    await log.flush();
    expect(synced).toEqual([]);
  });

  it('takes over what is there under its name', async () => {
    const directory = openDirectory();
    await fill(create(directory, 'a'), ['x']);
    await directory.close();
    const again = openDirectory();
    expect(create(again, 'a').logEndOffset).toBe(1);
    expect(() => create(again, 'a')).toThrow(TypeError);
  });

  it('of the metadata stays out of the checkpoints', async () => {
    const directory = openDirectory();
    const log = directory.openMetadataLog({ ...open(), topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' });
    await fill(log, numbered(3));
    await directory.close();
    expect(text('recovery-point-offset-checkpoint')).toBe('0\n0\n');
    const again = openDirectory();
    expect(again.openMetadataLog({ ...open(), topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }).logEndOffset).toBe(3);
  });
});

describe('failure', () => {
  it('of one log takes all of the directory offline, and leaves no mark', async () => {
    const directory = openDirectory();
    const [a, b] = [create(directory, 'a'), create(directory, 'b')];
    await fill(a, ['x']);
    await fill(b, ['y']);
    const told: string[] = [];
    directory.onOffline = (error) => told.push(error.name);
    const file = a.segments.active.file();
    file.sync = () => Promise.reject(new DiskError('EIO', file.path, 'sync'));
    await expect(a.flush()).rejects.toThrow(StorageError);
    expect([told, a.failed, b.failed]).toEqual([['StorageError'], true, true]);
    expect(b.append(testBatch(), CLIENT).error).toBe(ErrorCode.KAFKA_STORAGE_ERROR);
    expect(await contents(b)).toEqual(['0:y']);
    await expect(directory.checkpoint()).rejects.toThrow(StorageError);
    await expect(directory.close()).rejects.toThrow(StorageError);
    expect(told.length).toBe(1);
    expect(disk.list(PATH)).not.toContain('.kafka_cleanshutdown');
    // The lock is free again.
    openDirectory().release();
  });

  it('of a checkpoint for want of room is told, and not the end', async () => {
    const directory = openDirectory();
    await fill(create(directory, 'a'), ['x']);
    const { open: openFile } = disk;
    disk.open = (path, mode) => {
      if (path.endsWith('.tmp')) throw new DiskError('ENOSPC', path, 'open');
      return openFile.call(disk, path, mode);
    };
    await expect(directory.checkpoint()).rejects.toThrow(StorageError);
    expect(directory.offline).toBe(undefined);
    disk.open = openFile;
    await directory.checkpoint();
  });

  it('of a checkpoint otherwise is the end', async () => {
    const directory = openDirectory();
    const log = create(directory, 'a');
    await fill(log, ['x']);
    const { rename } = disk;
    disk.rename = (from, to) => {
      if (to.endsWith('checkpoint')) throw new DiskError('EIO', to, 'rename');
      rename.call(disk, from, to);
    };
    await expect(directory.checkpoint()).rejects.toThrow(StorageError);
    expect([directory.offline instanceof StorageError, log.failed]).toEqual([true, true]);
  });

  it('to get the lock leaves everything alone', () => {
    const directory = openDirectory();
    expect(() => openDirectory()).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    directory.release();
    openDirectory();
  });

  it('below a truncation cannot happen: the checkpoint is lowered first', async () => {
    const directory = openDirectory();
    const log = create(directory, 'a');
    await fill(log, numbered(5));
    await log.flush();
    await directory.checkpoint();
    expect(text('recovery-point-offset-checkpoint')).toBe('0\n1\na 0 5\n');
    await log.truncateTo(2, NOW_MS);
    expect(text('recovery-point-offset-checkpoint')).toBe('0\n1\na 0 2\n');
  });
});
