/** The simulated disk: what survives a kill, what a power loss, and how it fails. */
import { describe, expect, test } from 'vitest';
import { DiskError } from '../../storage/disk.ts';
import { SimDisk } from './disk.ts';
import { Process, World } from './world.ts';

function machine(seed: number): { world: World; disk: SimDisk; process: Process } {
  const world = new World(seed);
  const disk = new SimDisk(world, 'test');
  const process = new Process('test');
  disk.usedBy(process);
  disk.makeDirectory('/d');
  disk.syncDirectory('/');
  return { world, disk, process };
}

/** A file with two durable halves of a kilobyte and one that is not. */
async function written(seed: number) {
  const made = machine(seed);
  const { disk, world } = made;
  const file = disk.open('/d/f', 'create');
  disk.syncDirectory('/d');
  file.writeSync([Buffer.alloc(1024, 'a')], 0);
  const synced = file.sync();
  await world.run(100);
  await synced;
  file.writeSync([Buffer.alloc(1024, 'b')], 1024);
  return { ...made, file };
}

describe('the disk of a machine', () => {
  test('keeps all that was written when the process is killed', async () => {
    const { disk } = await written(1);
    disk.killed();
    expect(disk.peek('/d/f')).toEqual(Buffer.concat([Buffer.alloc(1024, 'a'), Buffer.alloc(1024, 'b')]));
  });

  test('lets a process that has lost its power ask for a sync, and never answers', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { disk, world, process } = machine(seed);
      const file = disk.open('/d/f', 'create');
      process.die();
      disk.losePower();
      let answers = 0;
      const answered = (): void => void answers++;
      file.sync().then(answered, answered);
      await world.run(100);
      expect(answers).toBe(0);
    }
  });

  test('keeps what was synced through a power loss, and of the rest now this and now that', async () => {
    const outcomes = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const { disk } = await written(seed);
      disk.losePower();
      const left = disk.peek('/d/f')!;
      expect(left.subarray(0, 1024)).toEqual(Buffer.alloc(1024, 'a'));
      const tail = left.subarray(1024);
      outcomes.add(tail.length === 0 ? 'nothing' : tail.every((byte) => byte === 0) ? 'zeros' : tail.equals(Buffer.alloc(1024, 'b')) ? 'all' : 'torn');
    }
    expect([...outcomes].sort()).toEqual(['all', 'nothing', 'torn', 'zeros']);
  });

  test('loses names that were not synced, old or new', () => {
    const found = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const { disk } = machine(seed);
      disk.open('/d/new', 'create').close();
      disk.open('/d/old', 'create').close();
      disk.syncDirectory('/d');
      disk.rename('/d/new', '/d/old');
      disk.open('/d/third', 'create').close();
      disk.losePower();
      found.add(disk.peekList('/d').join(' '));
    }
    expect([...found].sort()).toEqual(['new old', 'new old third', 'old', 'old third']);
  });

  test('keeps what was synced in a directory whose own name was synced after it', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { disk } = machine(seed);
      disk.makeDirectory('/d/inner');
      disk.open('/d/inner/file', 'create').close();
      disk.syncDirectory('/d/inner');
      disk.syncDirectory('/d');
      disk.losePower();
      expect(disk.peekList('/d/inner')).toEqual(['file']);
    }
  });

  test('does not trust a sync that came after one that failed', async () => {
    let lost = 0;
    for (let seed = 1; seed <= 30; seed++) {
      const { disk, world, file } = await written(seed);
      disk.fault = (call) => (call === 'sync' ? 'EIO' : undefined);
      await expect(Promise.all([file.sync(), world.run(world.nowMs + 100)])).rejects.toThrow(DiskError);
      disk.fault = () => undefined;
      await Promise.all([file.sync(), world.run(world.nowMs + 100)]);
      disk.losePower();
      if (!disk.peek('/d/f')!.subarray(1024).equals(Buffer.alloc(1024, 'b'))) lost++;
    }
    expect(lost).toBeGreaterThan(5);
  });

  test('does nothing more for a process that is dead', async () => {
    const { disk, process, file } = await written(1);
    process.die();
    disk.killed();
    expect(() => file.writeSync([Buffer.from('x')], 0)).toThrow(DiskError);
    expect(disk.peek('/d/f')!.subarray(0, 1).toString()).toBe('a');
  });

  test('tells how much of a file no power loss takes, and not what it does take', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const { disk, world, file } = await written(seed);
      expect(disk.durableBytes('/d/f')).toBe(1024);
      const synced = file.sync();
      file.writeSync([Buffer.alloc(512, 'c')], 2048);
      await world.run(world.nowMs + 100);
      await synced;
      expect(disk.durableBytes('/d/f')).toBe(2048);
      disk.open('/d/new', 'create').writeSync([Buffer.alloc(10)], 0);
      expect([disk.durableBytes('/d/new'), disk.durableBytes('/d/none')]).toEqual([0, 0]);
      disk.losePower();
      expect(disk.peek('/d/f')!.subarray(0, 2048)).toEqual(Buffer.concat([Buffer.alloc(1024, 'a'), Buffer.alloc(1024, 'b')]));
    }
  });

  test('has after a start of the machine all that was written, but for what a failed sync has left in doubt', async () => {
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 40; seed++) {
      const { disk, world, file } = await written(seed);
      disk.fault = (call) => (call === 'sync' ? 'EIO' : undefined);
      const refused = expect(file.sync()).rejects.toThrow('EIO');
      await world.run(world.nowMs + 100);
      await refused;
      disk.fault = () => undefined;
      disk.open('/d/other', 'create').writeSync([Buffer.alloc(700, 'o')], 0);
      disk.reboot();
      expect(disk.peek('/d/other')).toEqual(Buffer.alloc(700, 'o'));
      expect(disk.peek('/d/f')!.subarray(0, 1024)).toEqual(Buffer.alloc(1024, 'a'));
      lengths.add(disk.peek('/d/f')!.length);
    }
    expect([...lengths]).toEqual(expect.arrayContaining([1024, 2048]));
  });

  test('is damaged for good: nothing brings back what the file held', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { disk, file } = await written(seed);
      disk.overwrite('/d/f', Buffer.from('rot'));
      expect(disk.peek('/d/f')).toEqual(Buffer.from('rot'));
      file.writeSync([Buffer.from('ten')], 3);
      disk.losePower();
      expect(disk.peek('/d/f')!.subarray(0, 3)).toEqual(Buffer.from('rot'));
      disk.take('/d/f');
      disk.losePower();
      expect(disk.peek('/d/f')).toBeNull();
    }
  });

  test('remembers what a file held before it was replaced', () => {
    const { disk } = machine(1);
    for (const content of ['old', 'new']) {
      disk.open('/d/f.tmp', 'create').writeSync([Buffer.from(content)], 0);
      disk.rename('/d/f.tmp', '/d/f');
    }
    expect(disk.peek('/d/f')).toEqual(Buffer.from('new'));
    expect(disk.before('/d/f')).toEqual(Buffer.from('old'));
    expect(disk.before('/d/f.tmp')).toBeNull();
  });

  test('cuts the power in the middle of a turn', () => {
    const { disk, process } = machine(1);
    let cuts = 0;
    disk.cutPowerAfter(2, () => {
      cuts++;
      process.die();
      disk.losePower();
    });
    const file = disk.open('/d/f', 'create');
    file.writeSync([Buffer.from('a')], 0);
    expect(() => file.writeSync([Buffer.from('b')], 1)).toThrow(DiskError);
    expect(() => file.writeSync([Buffer.from('c')], 2)).toThrow(DiskError);
    expect(cuts).toBe(1);
  });

  test('takes part of a write when it is full, and goes on when it is not', () => {
    const { disk } = machine(1);
    const file = disk.open('/d/f', 'create');
    disk.fault = (call) => (call === 'write' ? 'ENOSPC' : undefined);
    expect(() => file.writeSync([Buffer.alloc(100, 'x')], 0)).toThrow('ENOSPC');
    expect(file.sizeBytes()).toBeLessThanOrEqual(100);
    disk.fault = () => undefined;
    file.writeSync([Buffer.alloc(100, 'y')], 0);
    expect(disk.peek('/d/f')).toEqual(Buffer.alloc(100, 'y'));
  });
});
