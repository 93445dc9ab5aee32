/** The files that say what a directory is: Kafka's bytes, and a reason for each bad one. */
import { describe, expect, test } from 'vitest';
import { decodeBuffer, encodeBuffer } from '../../protocol/compile.ts';
import { QuorumStateData } from '../../protocol/log-records/raft.ts';
import { loadCleanShutdown, parseCleanShutdown, removeCleanShutdown, writeCleanShutdown } from '../../storage/clean-shutdown.ts';
import type { Disk } from '../../storage/disk.ts';
import { removeFile, replaceFile, replaceFileSync } from '../../storage/files.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { formatMetaProperties, loadMetaProperties, parseMetaProperties, writeMetaProperties } from '../../storage/meta-properties.ts';
import { formatPartitionMetadata, loadPartitionMetadata, parsePartitionMetadata, writePartitionMetadata } from '../../storage/partition-metadata.ts';
import { formatProperties, parseProperties } from '../../protocol/properties.ts';
import { formatQuorumState, loadQuorumState, parseQuorumState, writeQuorumState } from '../../storage/quorum-state.ts';

const SATURDAY_MS = Date.UTC(2026, 10, 21, 9, 46, 8, 999);

describe('replacing', () => {
  /** Passes all calls on and keeps their names. */
  function watched(disk: Disk, calls: string[], fail: (call: string) => boolean = () => false): Disk {
    const note = (call: string): void => {
      calls.push(call);
      if (fail(call)) throw new Error(call);
    };
    return {
      ...Object.fromEntries(['list', 'status', 'readFile', 'removeAll'].map((name) => [name, (disk as any)[name].bind(disk)])),
      open(path: string, mode: 'replace') {
        note(`open ${path}`);
        const file = disk.open(path, mode);
        return {
          write: async (...args: Parameters<typeof file.write>) => (note('write'), file.write(...args)),
          writeSync: (...args: Parameters<typeof file.write>) => (note('write'), file.writeSync(...args)),
          sync: async () => note('sync'),
          syncSync: () => note('sync'),
          close: () => file.close(),
        };
      },
      rename: (from: string, to: string) => (note(`rename ${from} ${to}`), disk.rename(from, to)),
      unlink: (path: string) => (note(`unlink ${path}`), disk.unlink(path)),
      syncDirectory: (path: string) => note(`sync directory ${path}`),
    } as unknown as Disk;
  }
  const steps = ['open d/x.tmp', 'write', 'sync', 'rename d/x.tmp d/x', 'sync directory d'];

  test.each(['later', 'at once'])('write, sync, rename, sync of the directory: %s', async (when) => {
    const disk = new MemoryDisk();
    disk.makeDirectory('d');
    const calls: string[] = [];
    const replace = async (target: Disk, text: string): Promise<void> =>
      when === 'later' ? replaceFile(target, 'd/x', Buffer.from(text)) : replaceFileSync(target, 'd/x', Buffer.from(text));
    await replace(watched(disk, calls), 'old');
    expect(calls).toEqual(steps);
    for (const step of steps) {
      await expect(replace(watched(disk, [], (call) => call === step), 'new')).rejects.toThrow(step);
      expect(disk.readFile('d/x').toString()).toBe(step.startsWith('sync directory') ? 'new' : 'old');
    }
  });

  test('removing is durable, and nothing for what is not there', () => {
    const disk = new MemoryDisk();
    disk.open('x', 'create').close();
    const calls: string[] = [];
    removeFile(watched(disk, calls), 'x');
    removeFile(watched(disk, calls), 'x');
    expect(calls).toEqual(['unlink x', 'sync directory .']);
  });
});

describe('properties', () => {
  const pairs = (text: string): [string, string][] => parseProperties(text).map(({ name, value }) => [name, value]);

  test('are read as Java reads them', () => {
    expect(pairs('# c\n! c\n\n a = b \r\nc:d\re f\ng\th\ni==j\nk\n=l\n')).toEqual([
      ['a', 'b '], ['c', 'd'], ['e', 'f'], ['g', 'h'], ['i', '=j'], ['k', ''], ['', 'l'],
    ]);
    expect(pairs('a\\ b\\:c\\=d = \\ e\\tf\\u00e4\\x\n')).toEqual([['a b:c=d', ' e\tfäx']]);
    expect(pairs('list = one,\\\n   two,\\\r\n\t# three\nx=y\\\\\nz=1\\')).toEqual([['list', 'one,two,# three'], ['x', 'y\\'], ['z', '1']]);
    expect(parseProperties('\n#\na=1\\\n2\nb=3\na=4').map(({ name, line }) => `${name}:${line}`)).toEqual(['a:3', 'b:5', 'a:6']);
  });

  test('come back as they were', () => {
    const hostile: [string, string][] = [[' a b', ' c d '], ['#=:!', '\\\t\n\r\f#=:!'], ['ä', '\u2028€😀'], ['e', '']];
    expect(pairs(formatProperties(hostile, 0))).toEqual(hostile);
  });
});

describe('meta.properties', () => {
  // clean/meta.properties of Apache Kafka 4.3.1.
  const KAFKA = '#\n#Sat Nov 21 09:46:08 UTC 2026\nnode.id=1\ndirectory.id=9Qv_gnq-t2feTT_K0Y6Uuw\nversion=1\ncluster.id=mNdAVA5ZSzWRJUXuBoWdtQ\n';
  const VALUE = { clusterId: 'mNdAVA5ZSzWRJUXuBoWdtQ', nodeId: 1, directoryId: '9Qv_gnq-t2feTT_K0Y6Uuw' };

  test('Kafka\'s bytes', () => {
    expect(parseMetaProperties(Buffer.from(KAFKA))).toEqual({ status: 'ok', value: VALUE });
    expect(formatMetaProperties(VALUE, SATURDAY_MS).toString()).toBe(KAFKA);
    // kafka-storage.sh format -t we:ird=id
    expect(formatMetaProperties({ ...VALUE, clusterId: 'we:ird=id' }, 0).toString()).toMatch(/\ncluster\.id=we\\:ird\\=id\n$/);
  });

  test('on a disk', () => {
    const disk = new MemoryDisk();
    expect(loadMetaProperties(disk, '')).toEqual({ status: 'missing' });
    writeMetaProperties(disk, '', { ...VALUE, directoryId: undefined }, 0);
    expect(loadMetaProperties(disk, '')).toEqual({ status: 'ok', value: { ...VALUE, directoryId: undefined } });
    disk.open('meta.properties', 'replace').close();
    expect(loadMetaProperties(disk, '')).toEqual({ status: 'empty' });
  });

  test.each([
    ['version=1', 'version=0', /ZooKeeper/], ['version=1', 'version=2', /version "2", of a newer release/], ['version=1', '', /no version/], ['node.id=1', 'broker.id=1', /no node.id/],
    ['node.id=1', 'node.id=-1', /node.id="-1"/], ['node.id=1', 'node.id=2147483648', /node.id/], ['cluster.id=mNdAVA5ZSzWRJUXuBoWdtQ', '', /no cluster.id/],
    ['9Qv_gnq-t2feTT_K0Y6Uuw', '9Qv_gnq', /directory.id/],
  ])('%s as %s is corrupt', (from, to, reason) => {
    expect(parseMetaProperties(Buffer.from(KAFKA.replace(from, to)))).toEqual({ status: 'corrupt', reason: expect.stringMatching(reason) });
  });
});

describe('partition.metadata', () => {
  const KAFKA = 'version: 0\ntopic_id: TziIL9W9SW2CPHav37dTwg';

  test('Kafka\'s bytes', () => {
    expect(formatPartitionMetadata('TziIL9W9SW2CPHav37dTwg').toString()).toBe(KAFKA);
    expect(parsePartitionMetadata(Buffer.from(KAFKA))).toEqual({ status: 'ok', value: 'TziIL9W9SW2CPHav37dTwg' });
    expect(parsePartitionMetadata(Buffer.from(`${KAFKA}\n`))).toEqual({ status: 'ok', value: 'TziIL9W9SW2CPHav37dTwg' });
    const disk = new MemoryDisk();
    disk.makeDirectory('t-0');
    writePartitionMetadata(disk, 't-0', 'TziIL9W9SW2CPHav37dTwg');
    expect(loadPartitionMetadata(disk, 't-0')).toEqual({ status: 'ok', value: 'TziIL9W9SW2CPHav37dTwg' });
  });

  test('every truncation, another version, no id: corrupt', () => {
    for (let length = 0; length < KAFKA.length; length++) expect(parsePartitionMetadata(Buffer.from(KAFKA.slice(0, length))).status).toBe('corrupt');
    for (const bad of [KAFKA.replace('0', '1'), KAFKA.replace('TziIL9W9SW2CPHav37dTwg', 'AAAAAAAAAAAAAAAAAAAAAA'), '\0'.repeat(43)]) {
      expect(parsePartitionMetadata(Buffer.from(bad)).status).toBe('corrupt');
    }
  });
});

describe('.kafka_cleanshutdown', () => {
  test('Kafka\'s bytes', () => {
    const disk = new MemoryDisk();
    expect(loadCleanShutdown(disk, '')).toEqual({ status: 'missing' });
    writeCleanShutdown(disk, '', 11);
    expect(disk.readFile('.kafka_cleanshutdown').toString()).toBe('{"version":0,"brokerEpoch":11}');
    expect(loadCleanShutdown(disk, '')).toEqual({ status: 'ok', value: 11 });
    removeCleanShutdown(disk, '');
    removeCleanShutdown(disk, '');
    expect(disk.list('')).toEqual([]);
  });

  test.each(['{"version":0,"brokerEpoch":1', '{"version":0,"brokerEpoch":"1"}', '{"version":0,"brokerEpoch":1.5}', '{"version":0,"brokerEpoch":-2}', 'null', '1', '\0\0'])('%j is corrupt', (text) => {
    expect(parseCleanShutdown(Buffer.from(text)).status).toBe('corrupt');
  });
});

describe('quorum-state', () => {
  // Written by Apache Kafka 4.3.1: the first with controller.quorum.voters, the second formatted with --standalone.
  const FIXED = '{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}';
  const DYNAMIC = '{"leaderId":7,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}';

  test.each([FIXED, DYNAMIC])('Kafka\'s bytes: %s', (text) => {
    const parsed = parseQuorumState(Buffer.from(text));
    if (parsed.status !== 'ok') throw new Error(parsed.status);
    expect(formatQuorumState(parsed.value).toString()).toBe(text);
  });

  test('the fields are those of the message QuorumStateData', () => {
    for (const version of [0, 1] as const) {
      const { data_version, ...fields } = JSON.parse(version === 0 ? FIXED : DYNAMIC) as { data_version: number };
      expect(data_version).toBe(version);
      const message = encodeBuffer(QuorumStateData, version, fields as any);
      expect(decodeBuffer(QuorumStateData, version, message)).toMatchObject(fields);
    }
  });

  test('on a disk', () => {
    const disk = new MemoryDisk();
    expect(loadQuorumState(disk, '')).toEqual({ status: 'missing' });
    const state = { version: 1, leaderId: -1, leaderEpoch: 9, votedId: 3, votedDirectoryId: '9Qv_gnq-t2feTT_K0Y6Uuw', voterIds: [] } as const;
    writeQuorumState(disk, '', state);
    expect(loadQuorumState(disk, '')).toEqual({ status: 'ok', value: state });
  });

  test('what cannot be read is corrupt, never a state in which nobody was voted for', () => {
    for (const text of [FIXED, DYNAMIC]) {
      for (let length = 0; length < text.length; length++) expect(parseQuorumState(Buffer.from(text.slice(0, length))).status).toBe('corrupt');
      for (const name of ['leaderId', 'leaderEpoch', 'votedId', 'data_version']) {
        for (const value of [undefined, null, '1', -2, 1.5, 2 ** 31]) {
          expect(parseQuorumState(Buffer.from(JSON.stringify({ ...(JSON.parse(text) as object), [name]: value }))).status, `${name} ${value}`).toBe('corrupt');
        }
      }
    }
    for (const currentVoters of [1, [1], [null], [{ voterId: -1 }]]) {
      expect(parseQuorumState(Buffer.from(JSON.stringify({ ...(JSON.parse(FIXED) as object), currentVoters }))).status).toBe('corrupt');
    }
  });
});
