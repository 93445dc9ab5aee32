/** A quorum of one over a disk in memory: what it writes, what a restart finds, and what it does when the disk or the directory is not as it should be. */
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { sizeInBytes } from '../../../protocol/record/batch.ts';
import { type ControlRecord, controlBatch, dataBatches, readBatches } from '../../../src/quorum/batches.ts';
import type { MetadataChanges } from '../../../src/quorum/changes.ts';
import { formatDirectory } from '../../../src/quorum/bootstrap.ts';
import { MetadataError } from '../../../src/quorum/metadata-log.ts';
import { encodeRecord, newRecord } from '../../../src/quorum/records.ts';
import { DiskError } from '../../../storage/disk.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { CrashDisk } from '../../storage/crash-disk.ts';
import { CLUSTER_ID, DIRECTORY, METADATA, newTopic, QuorumWorld, topicNames } from './world.ts';

const LOG = `${METADATA}/00000000000000000000.log`;

/** A line for each record of the log. */
function transcript(world: QuorumWorld, path = LOG): string[] {
  const lines: string[] = [];
  for (const batch of readBatches(world.disk.readFile(path))) {
    const names = [...batch.controlRecords.map((record: ControlRecord) => record.type), ...batch.records.map((record) => record.name)];
    lines.push(`${batch.baseOffset}-${batch.lastOffset} epoch ${batch.epoch}: ${names.join(' ')}`);
  }
  return lines;
}

describe('a new directory', () => {
  it('gets the records that 4.3.1 begins a cluster with', async () => {
    const world = new QuorumWorld();
    const { quorum, epoch } = await world.start();
    expect(transcript(world)).toEqual([
      '0-0 epoch 1: leaderChange',
      '1-9 epoch 1: BeginTransactionRecord FeatureLevelRecord FeatureLevelRecord FeatureLevelRecord FeatureLevelRecord FeatureLevelRecord FeatureLevelRecord ConfigRecord EndTransactionRecord',
      '10-10 epoch 1: RegisterBrokerRecord',
      '11-12 epoch 1: BrokerRegistrationChangeRecord BrokerRegistrationChangeRecord',
    ]);
    expect(epoch).toBe(10);
    expect(quorum.image().brokers.get(1)).toMatchObject({ epoch: 10, fenced: false });
    expect(quorum.image().offset).toBe(12);
    await quorum.close();
    expect(world.disk.readFile(`${METADATA}/quorum-state`).toString()).toBe(
      '{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}',
    );
    expect(world.disk.readFile(`${METADATA}/partition.metadata`).toString()).toBe('version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ');
  });

  it('of a dynamic quorum has its voters in the first batch', async () => {
    const world = new QuorumWorld();
    const directoryId = world.runtime.random.uuid();
    formatDirectory({
      disk: world.disk, directory: DIRECTORY, clusterId: CLUSTER_ID, nodeId: 1, directoryId, nowMs: world.nowMs,
      voters: {
        kraftVersion: 1,
        voters: { version: 0, voters: [{ voterId: 1, voterDirectoryId: directoryId, endpoints: [{ name: 'CONTROLLER', host: 'localhost', port: 9093 }], kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 } }] },
      },
    });
    const first = await world.start();
    expect(first.quorum.kraftVersion()).toBe(1);
    await first.quorum.close();
    expect(transcript(world)[0]).toBe('0-2 epoch 1: leaderChange kraftVersion voters');
    expect(world.disk.readFile(`${METADATA}/quorum-state`).toString()).toBe(
      '{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}',
    );
    const second = await world.start({ previousBrokerEpoch: first.epoch });
    await second.quorum.close();
    expect(transcript(world).filter((line) => line.includes('voters')).length).toBe(1);
    expect(transcript(world).filter((line) => line.includes('epoch 2: leaderChange')).length).toBe(1);
  });

  it('of another node cannot vote', async () => {
    const world = new QuorumWorld({ settings: { 'controller.quorum.voters': '2@localhost:9093' } });
    await expect(world.open()).rejects.toThrow('not one of the voters');
    await expect(new QuorumWorld({ settings: { 'controller.quorum.voters': '2@b:2,3@c:3' } }).open()).rejects.toThrow('not one of the voters');
  });
});

describe('a restart', () => {
  it('finds everything again, and the leader epochs have grown', async () => {
    const world = new QuorumWorld();
    const first = await world.start();
    await first.quorum.controller!.createTopics([newTopic('a', { numPartitions: 2, configs: [{ name: 'retention.ms', value: '5' }] }), newTopic('b')]);
    await first.quorum.controller!.deleteTopics([first.quorum.image().topic('b')!.id]);
    await first.quorum.controller!.allocateProducerIds(1, first.epoch);
    const id = first.quorum.image().topic('a')!.id;
    await first.quorum.close();

    const second = await world.start({ previousBrokerEpoch: first.epoch });
    expect(topicNames(second.quorum)).toEqual(['a']);
    expect(second.quorum.image().topic('a')!.id).toBe(id);
    expect(second.quorum.image().topicConfig('a')).toEqual(new Map([['retention.ms', '5']]));
    // Out of the in-sync set when the broker was gone, back as its leader: 0 -> 1 -> 2. It stopped cleanly, so the election is clean.
    expect(second.quorum.image().partition('a', 1)).toMatchObject({ leader: 1, isr: [1], leaderEpoch: 2, leaderRecoveryState: 0 });
    expect(await second.quorum.controller!.allocateProducerIds(1, second.epoch)).toEqual({ firstProducerId: 1000, blockSize: 1000 });
    expect(second.quorum.image().brokers.get(1)!.epoch).toBe(second.epoch);
    expect(second.epoch).toBeGreaterThan(first.epoch);
    await second.quorum.close();
  });

  it('after a kill elects uncleanly, as the end of the log may be gone', async () => {
    const world = new QuorumWorld();
    const first = await world.start();
    await first.quorum.controller!.createTopics([newTopic('a')]);
    const second = await world.start();
    expect(second.quorum.image().partition('a', 0)).toMatchObject({ leader: 1, isr: [1], leaderEpoch: 2, leaderRecoveryState: 1, elr: [], lastKnownElr: [] });
    await second.quorum.close();
  });

  it('after a kill makes durable what it has found before it says anything', async () => {
    const disk = new CrashDisk();
    await new QuorumWorld({ disk }).start();
    const world = new QuorumWorld({ disk });
    const calls: string[] = [];
    disk.fault = ({ kind, path }) => void ((kind === 'sync' || kind === 'rename') && calls.push(`${kind} ${path}`));
    const { quorum } = await world.start();
    disk.fault = undefined;
    expect(calls[0]).toBe(`sync ${LOG}`);
    await quorum.close();
  });

  it('aborts the bootstrap that a crash cut short, and does it again', async () => {
    const world = new QuorumWorld();
    const quorum = await world.open();
    await quorum.close();
    const whole = world.disk.readFile(LOG);
    // The batch of the bootstrap without its end: as if Kafka, which may write it in several batches, had crashed between two.
    const stamp = { epoch: 1, nowMs: world.nowMs };
    const partial = Buffer.concat([
      controlBatch([{ type: 'leaderChange', value: { version: 0, leaderId: 1, voters: [{ voterId: 1 }], grantingVoters: [] } }], { baseOffset: 0, ...stamp }),
      ...dataBatches([newRecord('BeginTransactionRecord', { name: 'Bootstrap records' }), newRecord('FeatureLevelRecord', { name: 'metadata.version', featureLevel: 29 })].map(encodeRecord), { baseOffset: 1, ...stamp }),
    ]);
    expect(partial.length).toBeLessThan(whole.length);
    const file = world.disk.open(LOG, 'replace');
    file.writeSync([partial], 0);
    file.close();
    world.disk.unlink(`${METADATA}/committed-offset`);
    const again = await world.start();
    expect(again.quorum.image().metadataVersion).toBe(30);
    expect(transcript(world)[3]).toMatch(/^4-13 epoch 2: AbortTransactionRecord BeginTransactionRecord FeatureLevelRecord .* EndTransactionRecord$/);
    await again.quorum.close();
  });

  it('reads a snapshot and what follows it, and keeps what this version does not interpret', async () => {
    const world = new QuorumWorld();
    const first = await world.start();
    await first.quorum.controller!.createTopics([newTopic('before')]);
    await first.quorum.snapshot();
    await first.quorum.controller!.createTopics([newTopic('after')]);
    await first.quorum.close();
    expect(world.disk.list(METADATA).filter((name) => name.endsWith('.checkpoint'))).toEqual(['00000000000000000015-0000000001.checkpoint']);
    const second = await world.start({ previousBrokerEpoch: first.epoch });
    expect(topicNames(second.quorum)).toEqual(['after', 'before']);
    await second.quorum.close();
  });
});

describe('what is committed', () => {
  it('is published in order, once, and before anyone is answered', async () => {
    const world = new QuorumWorld();
    const { quorum } = await world.start();
    const log: string[] = [];
    let release: () => void = () => {};
    quorum.subscribe(async ({ topicsCreated, image, before }: MetadataChanges) => {
      expect(image.offset).toBeGreaterThan(before.offset);
      expect(quorum.image()).toBe(image);
      log.push(`begin ${topicsCreated.map((topic) => topic.name).sort().join(' ')}`);
      await new Promise<void>((resolve) => (release = resolve));
      log.push('end');
    });
    const create = (name: string) => quorum.controller!.createTopics([newTopic(name)]).then(() => log.push(`answered ${name}`));
    // Both decisions are in the log before this turn ends: one commit, one publication.
    const both = Promise.all([create('a'), create('b')]);
    while (log.length === 0) await new Promise(setImmediate);
    expect(log).toEqual(['begin a b']);
    expect(topicNames(quorum)).toEqual(['a', 'b']);
    release();
    await both;
    expect(log.slice(0, 2)).toEqual(['begin a b', 'end']);
    expect(log.slice(2).sort()).toEqual(['answered a', 'answered b']);
    await quorum.close();
  });

  it('is decided on in the order of the calls, on what came before', async () => {
    const world = new QuorumWorld();
    const { quorum } = await world.start();
    const controller = quorum.controller!;
    const [first, second] = await Promise.all([controller.createTopics([newTopic('a')]), controller.createTopics([newTopic('a')])]);
    expect([first[0]!.errorCode, second[0]!.errorCode]).toEqual([ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS]);
    const id = quorum.image().topic('a')!.id;
    const [deleted, again] = await Promise.all([controller.deleteTopics([id]), controller.createTopics([newTopic('a')])]);
    expect([deleted.get(id)!.errorCode, again[0]!.errorCode]).toEqual([ErrorCode.NONE, ErrorCode.NONE]);
    expect(quorum.image().topic('a')!.id).toBe(again[0]!.topicId);
    await quorum.close();
  });

  it('stays what it was when the disk is full, and goes on when there is room', async () => {
    const disk = new MemoryDisk();
    const world = new QuorumWorld({ disk });
    const { quorum } = await world.start();
    await quorum.controller!.createTopics([newTopic('a')]);
    const published: string[] = [];
    quorum.subscribe(({ topicsCreated }) => void published.push(...topicsCreated.map((topic) => topic.name)));
    disk.setBytesMax(0);
    await expect(quorum.controller!.createTopics([newTopic('b', { numPartitions: 50 })])).rejects.toThrow(expect.objectContaining({ code: ErrorCode.KAFKA_STORAGE_ERROR }));
    expect(topicNames(quorum)).toEqual(['a']);
    disk.setBytesMax(Infinity);
    const [result] = await quorum.controller!.createTopics([newTopic('b')]);
    expect(result!.errorCode).toBe(ErrorCode.NONE);
    expect([published, world.failure]).toEqual([['b'], undefined]);
    await quorum.close();
    const again = await new QuorumWorld({ disk }).start();
    expect(topicNames(again.quorum)).toEqual(['a', 'b']);
    await again.quorum.close();
  });

  it('ends when a sync fails: nothing more is answered, and the node is told', async () => {
    const disk = new CrashDisk();
    const world = new QuorumWorld({ disk });
    const { quorum } = await world.start();
    disk.fault = (call) => (call.kind === 'sync' ? { code: 'EIO' } : undefined);
    const create = quorum.controller!.createTopics([newTopic('a')]);
    await expect(create).rejects.toThrow(expect.objectContaining({ code: ErrorCode.KAFKA_STORAGE_ERROR }));
    disk.fault = undefined;
    expect(world.failure).toBeDefined();
    expect(topicNames(quorum)).toEqual([]);
    await expect(quorum.controller!.createTopics([newTopic('a')])).rejects.toThrow(expect.objectContaining({ code: ErrorCode.NOT_CONTROLLER }));
  });
});

describe('snapshots and retention', () => {
  it('are taken by size, and the log before them goes by retention', async () => {
    const world = new QuorumWorld({
      settings: { 'metadata.log.max.record.bytes.between.snapshots': 3_000, 'metadata.max.retention.bytes': 20_000, 'internal.metadata.log.segment.bytes': 2_000 },
    });
    const { quorum } = await world.start();
    const sizes: number[] = [];
    for (let index = 0; index < 60; index++) {
      const [created] = await quorum.controller!.createTopics([newTopic(`topic-${index}`, { numPartitions: 4 })]);
      if (index % 2 === 1) await quorum.controller!.deleteTopics([created!.topicId!]);
      // A snapshot is written beside the answers; what is looked at here is what it leaves.
      await quorum.snapshot();
      sizes.push(world.disk.list(METADATA).reduce((sum, name) => sum + world.disk.status(`${METADATA}/${name}`)!.sizeBytes, 0));
    }
    const names = world.disk.list(METADATA);
    const segments = names.filter((name) => name.endsWith('.log'));
    const snapshots = names.filter((name) => name.endsWith('.checkpoint'));
    expect(segments[0]).not.toBe('00000000000000000000.log');
    // The log begins where the oldest snapshot can take over, and the newest is always there.
    expect(Number(segments[0]!.slice(0, 20))).toBeLessThanOrEqual(Number(snapshots[0]!.slice(0, 20)));
    expect(Number(snapshots.at(-1)!.slice(0, 20))).toBe(quorum.image().offset + 1);
    expect(Math.max(...sizes.slice(30))).toBeLessThan(40_000);
    expect(names.filter((name) => name.endsWith('.deleted') || name.endsWith('.part'))).toEqual([]);
    await quorum.close();

    const again = await world.start();
    expect(topicNames(again.quorum).length).toBe(30);
    expect(world.lines.filter((line) => line.includes('no snapshot'))).toEqual([]);
    await again.quorum.close();
    // Without the snapshot the rest of the log tells half of the story, and is not believed.
    for (const name of world.disk.list(METADATA)) if (name.endsWith('.checkpoint')) world.disk.unlink(`${METADATA}/${name}`);
    await expect(world.open()).rejects.toThrow('no snapshot has what comes before');
  });

  it('are taken at once by size, without being asked for', async () => {
    const world = new QuorumWorld({ settings: { 'metadata.log.max.record.bytes.between.snapshots': 3_000 } });
    const { quorum } = await world.start();
    for (let index = 0; index < 20; index++) await quorum.controller!.createTopics([newTopic(`topic-${index}`, { numPartitions: 4 })]);
    await quorum.close();
    expect(world.disk.list(METADATA).filter((name) => name.endsWith('.checkpoint')).length).toBeGreaterThan(1);
  });

  it('are taken by age', async () => {
    const world = new QuorumWorld({ settings: { 'metadata.log.max.snapshot.interval.ms': 1_000 } });
    const { quorum } = await world.start();
    await quorum.controller!.createTopics([newTopic('a')]);
    expect(world.disk.list(METADATA).some((name) => name.endsWith('.checkpoint'))).toBe(false);
    world.nowMs += 1_001;
    await quorum.controller!.createTopics([newTopic('b')]);
    await quorum.close();
    expect(world.disk.list(METADATA).filter((name) => name.endsWith('.checkpoint'))).toEqual(['00000000000000000017-0000000001.checkpoint']);
  });
});

describe('a directory that cannot be used', () => {
  async function left({ isKilled = false } = {}): Promise<QuorumWorld> {
    const world = new QuorumWorld();
    const { quorum } = await world.start();
    for (const name of ['a', 'b', 'c']) await quorum.controller!.createTopics([newTopic(name)]);
    if (!isKilled) await quorum.close();
    return world;
  }

  function damage(world: QuorumWorld, path: string, change: (bytes: Buffer) => Buffer): void {
    const bytes = change(world.disk.readFile(path));
    const file = world.disk.open(path, 'replace');
    file.writeSync([bytes], 0);
    file.close();
  }

  it('is one whose log is damaged anywhere: it is left as it is', async () => {
    const world = await left();
    const whole = world.disk.readFile(LOG);
    let lastBatchAt = 0;
    for (let at = 0; at < whole.length; at += sizeInBytes(whole, at)) lastBatchAt = at;
    for (let at = 0; at < whole.length; at += 3) {
      // The epoch of the last batch is under no checksum, and nothing follows that it could contradict.
      if (at >= lastBatchAt + 12 && at < lastBatchAt + 16) continue;
      damage(world, LOG, () => {
        const copy = Buffer.from(whole);
        copy[at] = copy[at]! ^ 0x20;
        return copy;
      });
      const damaged = world.disk.readFile(LOG);
      await expect(world.open(), `byte ${at}`).rejects.toThrow(MetadataError);
      expect(world.disk.readFile(LOG).equals(damaged), `byte ${at}`).toBe(true);
    }
    damage(world, LOG, () => whole.subarray(0, -1));
    await expect(world.open()).rejects.toThrow('it is whole up to offset 17, and 19 had been committed');
    world.disk.unlink(LOG);
    await expect(world.open()).rejects.toThrow('it is whole up to offset 0, and 19 had been committed');
  });

  it('is one of Kafka\'s, without the mark, when sound batches follow the damage', async () => {
    const world = await left();
    world.disk.unlink(`${METADATA}/committed-offset`);
    for (const at of [8, 11, 16, 20, 300]) {
      const whole = world.disk.readFile(LOG);
      damage(world, LOG, (bytes) => {
        const copy = Buffer.from(bytes);
        copy[91 + at] = copy[91 + at]! ^ 0x20;
        return copy;
      });
      await expect(world.open(), `byte ${at}`).rejects.toThrow('damage at offset 1, with batches behind it');
      damage(world, LOG, () => whole);
    }
  });

  it('is one whose snapshot is damaged, or whose log begins after what there is', async () => {
    const world = await left();
    const { quorum } = await world.start();
    await quorum.snapshot();
    await quorum.close();
    const name = world.disk.list(METADATA).find((one) => one.endsWith('.checkpoint'))!;
    damage(world, `${METADATA}/${name}`, (bytes) => bytes.subarray(0, -1));
    await expect(world.open()).rejects.toThrow(name);
    world.disk.unlink(`${METADATA}/${name}`);
    const reopened = await world.open();
    await reopened.close();
  });

  it('is one whose vote is not known', async () => {
    const world = await left();
    damage(world, `${METADATA}/quorum-state`, () => Buffer.from('{"leaderId":1'));
    await expect(world.open()).rejects.toThrow('quorum-state');
    damage(world, `${METADATA}/quorum-state`, () => Buffer.alloc(0));
    await expect(world.open()).rejects.toThrow('quorum-state');
    world.disk.unlink(`${METADATA}/quorum-state`);
    const reopened = await world.open();
    await reopened.close();
  });

  it('is one of a later version', async () => {
    const world = new QuorumWorld();
    formatDirectory({
      disk: world.disk, directory: DIRECTORY, clusterId: CLUSTER_ID, nodeId: 1, directoryId: world.runtime.random.uuid(), nowMs: world.nowMs,
      bootstrap: [newRecord('FeatureLevelRecord', { name: 'metadata.version', featureLevel: 31 })],
    });
    const quorum = await world.open();
    await new Promise(setImmediate);
    await quorum.close();
    // Who comes to read it while it runs, as a follower may, stops too.
    expect(String(world.failure)).toContain('metadata.version 31');
    await expect(world.open()).rejects.toThrow('metadata.version 31, but this version supports 7 to 30 (4.3-IV0)');
  });

  it('is not one whose last batch is torn by a crash', async () => {
    for (const hasMark of [true, false]) {
      const world = await left({ isKilled: true });
      if (!hasMark) world.disk.unlink(`${METADATA}/committed-offset`);
      damage(world, LOG, (bytes) => bytes.subarray(0, bytes.length - 10));
      const next = new QuorumWorld({ disk: world.disk });
      const { quorum } = await next.start();
      expect(topicNames(quorum)).toEqual(['a', 'b']);
      await quorum.close();
    }
  });
});

describe('a disk that refuses while a node starts', () => {
  it('is told to whoever starts it', async () => {
    const disk = new CrashDisk();
    const world = new QuorumWorld({ disk });
    world.directoryId();
    disk.fault = (call) => (call.kind === 'write' && call.path.includes('quorum-state') ? { code: 'ENOSPC' } : undefined);
    await expect(world.open()).rejects.toThrow(DiskError);
    expect(world.failure).toBeUndefined();
    disk.fault = undefined;
    const { quorum } = await world.start();
    await quorum.close();
  });

  it.each([['write', 'ENOSPC'], ['sync', 'EIO']] as const)('%s of the first records, %s: the node has to stop', async (kind, code) => {
    const disk = new CrashDisk();
    const world = new QuorumWorld({ disk });
    world.directoryId();
    disk.fault = (call) => (call.kind === kind && call.path === LOG ? { code } : undefined);
    await expect(world.start()).rejects.toThrow(expect.objectContaining({ code: ErrorCode.KAFKA_STORAGE_ERROR }));
    expect(world.failure).toBeDefined();
    disk.fault = undefined;
    const next = new QuorumWorld({ disk });
    const { quorum } = await next.start();
    expect(quorum.image().metadataVersion).toBe(30);
    await quorum.close();
  });
});
