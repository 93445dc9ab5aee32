/** Snapshots: the bytes of bootstrap.checkpoint, what a damaged one is told to be, and files that appear whole or not at all. */
import { describe, expect, it } from 'vitest';
import { bootstrapRecords, decodeBootstrap, defaultBootstrap, encodeBootstrap } from '../../../src/quorum/bootstrap.ts';
import { newRecord } from '../../../src/quorum/records.ts';
import { decodeSnapshot, encodeSnapshot, listSnapshots, readSnapshot, removePartialSnapshots, snapshotName, writeSnapshot } from '../../../src/quorum/snapshots.ts';
import { DiskError } from '../../../storage/disk.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { CrashDisk } from '../../storage/crash-disk.ts';

const ID = { offset: 42, epoch: 3 };
const VOTERS = {
  kraftVersion: 1,
  voters: {
    version: 0,
    voters: [{ voterId: 1, voterDirectoryId: '9Qv_gnq-t2feTT_K0Y6Uuw', endpoints: [{ name: 'CONTROLLER', host: 'h', port: 9093 }], kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 } }],
  },
};
const STATIC = { kraftVersion: 0, voters: null };

describe('bootstrap.checkpoint', () => {
  it('has the bytes that 4.3.1 formats a directory with', () => {
    // Taken from `kafka-storage.sh format` at this time stamp (it writes three, one a batch; the checksums are of one time here).
    const nowMs = 0x01_a1_fd_f5_5e_0b;
    const bytes = encodeBootstrap(defaultBootstrap(), nowMs);
    expect(bytes.length).toBe(411);
    expect(bytes.subarray(0, 83).toString('hex')).toBe(
      '000000000000000000000047' + '00000000' + '02' + '5e74c97b' + '0020' + '00000000' + '000001a1fdf55e0b' + '000001a1fdf55e0b' + 'ffffffffffffffff' + 'ffff' + 'ffffffff' + '00000001'
      + '2a00000008000000031600000000000000000000'.padEnd(44, '0'),
    );
    expect(decodeBootstrap(bytes).map((record) => record.name)).toEqual(Array.from({ length: 6 }, () => 'FeatureLevelRecord'));
  });

  it('is copied into the log inside a transaction, with the minimum of in-sync replicas that the cluster keeps', () => {
    expect(bootstrapRecords(defaultBootstrap(), { minInsyncReplicas: 2 }).map((record) => record.name)).toEqual([
      'BeginTransactionRecord', ...Array.from({ length: 6 }, () => 'FeatureLevelRecord'), 'ConfigRecord', 'EndTransactionRecord',
    ]);
    const old = [newRecord('FeatureLevelRecord', { name: 'metadata.version', featureLevel: 12 })];
    expect(bootstrapRecords(old, { minInsyncReplicas: 2 })).toEqual(old);
  });
});

describe('a snapshot', () => {
  const encode = (voters: typeof VOTERS | typeof STATIC = STATIC) => Buffer.concat(encodeSnapshot([], { epoch: 3, nowMs: 9, lastContainedLogTimestampMs: 7, ...voters }));

  it('keeps the voters of a dynamic quorum', () => {
    expect(decodeSnapshot(encode(VOTERS))).toEqual({ lastContainedLogTimestampMs: 7, ...VOTERS, records: [] });
    expect(decodeSnapshot(encode())).toEqual({ lastContainedLogTimestampMs: 7, ...STATIC, records: [] });
  });

  it('is refused when anything of it is missing or changed', () => {
    const whole = Buffer.concat(encodeSnapshot([Buffer.from('010c00116d657461646174612e76657273696f6e001e00', 'hex')], { epoch: 3, nowMs: 9, lastContainedLogTimestampMs: 7, ...STATIC }));
    expect(decodeSnapshot(whole).records.length).toBe(1);
    for (let end = 0; end < whole.length; end++) expect(() => decodeSnapshot(whole.subarray(0, end)), `cut at ${end}`).toThrow();
    for (let at = 0; at < whole.length; at++) {
      // Offsets in a snapshot mean nothing and lie outside of the checksum, as the leader epoch does.
      const batchStart = at < 83 ? 0 : at < whole.length - 75 ? 83 : whole.length - 75;
      const field = at - batchStart;
      if (field < 8 || (field >= 12 && field < 16)) continue;
      const damaged = Buffer.from(whole);
      damaged[at] = damaged[at]! ^ 0x10;
      expect(() => decodeSnapshot(damaged), `byte ${at}`).toThrow();
    }
  });

  it('has twenty and ten digits in its name', () => {
    expect(snapshotName(ID)).toBe('00000000000000000042-0000000003.checkpoint');
  });

  it('appears whole, or not at all, wherever a crash comes', async () => {
    const disk = new CrashDisk();
    disk.makeDirectory('/m');
    disk.syncDirectory('/');
    const content = [encode()];
    const start = disk.boundaries;
    await writeSnapshot(disk, '/m', ID, content);
    for (let boundary = start; boundary <= disk.boundaries; boundary++) {
      for (const outcome of ['everything', 'nothing', 'names without data', 'sizes without data', 'data without names', 'torn'] as const) {
        const image = disk.image(boundary, outcome);
        removePartialSnapshots(image, '/m');
        const found = listSnapshots(image, '/m');
        if (boundary === disk.boundaries) expect(found.length, `after call ${boundary}, ${outcome}`).toBe(1);
        for (const one of found) expect(() => readSnapshot(image, '/m', one), `after call ${boundary}, ${outcome}`).not.toThrow();
      }
    }
  });

  it('that the disk has no room for leaves nothing behind', async () => {
    const disk = new MemoryDisk({ bytesMax: 100 });
    disk.makeDirectory('/m');
    await expect(writeSnapshot(disk, '/m', ID, [encode()])).rejects.toThrow(DiskError);
    expect(disk.list('/m')).toEqual([]);
  });
});
