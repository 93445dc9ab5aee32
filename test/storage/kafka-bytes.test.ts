/**
 * The files that Apache Kafka 4.3.1 left at a clean stop, made again by this log from the batches alone: every index, snapshot and segment must have
 * the same name and the same bytes.
 */
import { describe, expect, it } from 'vitest';
import { partitionLeaderEpoch, sizeInBytes } from '../../protocol/record/batch.ts';
import { parseDirectoryName } from '../../storage/directory-name.ts';
import type { Disk } from '../../storage/disk.ts';
import { DEFAULT_LOG_CONFIG } from '../../storage/log-config.ts';
import { LogDirectory } from '../../storage/log-directory.ts';
import { Log } from '../../storage/log.ts';
import { MemoryDisk } from '../../storage/memory-disk.ts';
import { parseSegmentFileName } from '../../storage/segment-name.ts';
import { kafkaDataDirectory, kafkaDataIsThere, readOffsets, unpackImage } from './kafka-data.ts';

/** As README.md beside the images says, with what Kafka takes for its internal topics. */
const configOf = (topic: string) => ({
  ...DEFAULT_LOG_CONFIG, retentionMs: -1, segmentMs: Number.MAX_SAFE_INTEGER, producerIdExpirationMs: Number.MAX_SAFE_INTEGER,
  segmentBytes: topic.startsWith('__') ? 104_857_600 : 1_048_576,
  cleanupPolicy: topic === 'compacted' || topic.startsWith('__') ? 'compact' as const : 'delete' as const,
});
const NOW_MS = 1_795_254_500_000;

function segmentFiles(disk: Disk, directory: string): Map<string, string> {
  const names = disk.list(directory).filter((name) => parseSegmentFileName(name)?.state === '');
  return new Map(names.map((name) => [name, disk.readFile(`${directory}/${name}`).toString('hex')]));
}

describe.skipIf(!kafkaDataIsThere)(`images in ${kafkaDataDirectory}`, () => {
  const clean = new MemoryDisk();
  const partitions = (): string[] => clean.list('/clean').filter((name) => parseDirectoryName(name)?.state === undefined && parseDirectoryName(name) !== undefined);
  clean.makeDirectory('/clean');
  if (kafkaDataIsThere) unpackImage('clean', clean, '/clean');

  it('are what recovery and a clean stop make of the image of a kill', async () => {
    const disk = new MemoryDisk();
    disk.makeDirectory('/killed');
    unpackImage('killed', disk, '/killed');
    const directory = LogDirectory.open({ disk, path: '/killed', uuid: () => 'QupJ1bDmS-2UIfGThIUpRA' });
    for (const found of directory.found) directory.openLog(found, { config: configOf(found.topic), nowMs: NOW_MS });
    await directory.close();
    let compared = 0;
    for (const { name } of directory.found) {
      if (!partitions().includes(name)) continue;
      expect(segmentFiles(disk, `/killed/${name}`), name).toEqual(segmentFiles(clean, `/clean/${name}`));
      compared++;
    }
    expect(compared).toBeGreaterThan(15);
  });

  it('are what appending the batches one by one makes', async () => {
    const latest = readOffsets('latest');
    for (const name of partitions()) {
      const { topic, partition } = parseDirectoryName(name)!;
      // Of the cleaner's segments the batches do not tell how they came to be; the metadata log has rolled by its own rules.
      if (topic === 'compacted' || topic === '__cluster_metadata') continue;
      const theirs = segmentFiles(clean, `/clean/${name}`);
      const logs = [...theirs.keys()].filter((file) => file.endsWith('.log'));
      const start = parseSegmentFileName(logs[0]!)!.baseOffset;
      const log = Log.open({
        disk: clean, directory: `/made/${name}`, topic, partition, config: configOf(topic), recoveryPoint: 0, logStartOffset: start, cleanShutdown: true, nowMs: NOW_MS,
      });
      for (const file of logs) {
        const bytes = clean.readFile(`/clean/${name}/${file}`);
        for (let at = 0, size = 0; at < bytes.length; at += size) {
          size = sizeInBytes(bytes, at);
          const batch = Buffer.from(bytes.subarray(at, at + size));
          expect(log.appendAsFollower(batch, { leaderEpoch: partitionLeaderEpoch(batch, 0), nowMs: NOW_MS }).error).toBe(0);
        }
      }
      expect(log.logEndOffset).toBe(latest.get(name) ?? log.logEndOffset);
      await log.close();
      const ours = segmentFiles(clean, `/made/${name}`);
      // Where our log begins, Kafka's had begun earlier and rolled.
      theirs.delete(logs[0]!.replace('.log', '.snapshot'));
      expect(ours, name).toEqual(theirs);
    }
  });
});
