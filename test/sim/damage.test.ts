/** Damage at rest: what is done to the files of a node, and what is not. */
import { expect, test } from 'vitest';
import { Seeded } from '../storage/seeded.ts';
import { damage } from './damage.ts';
import { SimDisk } from './disk.ts';
import { Process, World } from './world.ts';

const FILES = [
  'meta.properties', 'recovery-point-offset-checkpoint', 'alpha-0/00000000000000000000.log', 'alpha-0/00000000000000000000.index', 'alpha-1/00000000000000000000.log', 'alpha-1/leader-epoch-checkpoint',
  '__cluster_metadata-0/00000000000000000000.log', '__cluster_metadata-0/quorum-state',
];

function formatted(): SimDisk {
  const disk = new SimDisk(new World(1), 'test');
  disk.usedBy(new Process('test'));
  for (const directory of ['/data', '/data/alpha-0', '/data/alpha-1', '/data/__cluster_metadata-0']) disk.makeDirectory(directory);
  for (const name of FILES) {
    const file = disk.open(`/data/${name}`, 'create');
    file.writeSync([Buffer.from(name.repeat(40))], 0);
    file.close();
  }
  return disk;
}

test.each([true, false])('damages files of its class, each in turn, and tells which (of metadata: %s)', (ofMetadata) => {
  const told = new Set<string>();
  for (let seed = 1; seed <= 300; seed++) {
    const disk = formatted();
    const before = new Map(FILES.map((name) => [name, disk.peek(`/data/${name}`)!]));
    const done = damage(disk, new Seeded(seed), { ofMetadata });
    const changed = FILES.filter((name) => !(disk.peek(`/data/${name}`)?.equals(before.get(name)!) ?? false));
    if (done === null) {
      expect(changed).toEqual([]);
      continue;
    }
    for (const name of changed) {
      expect(name.startsWith('__cluster_metadata-0/') || name === 'meta.properties').toBe(ofMetadata);
      expect(done).toContain(`/data/${name}`);
      expect(name).not.toBe('__cluster_metadata-0/quorum-state');
      told.add(`${done.split(' ')[0]} ${name}`);
    }
  }
  const logs = ofMetadata ? ['flip', 'zeros', 'cut', 'delete', 'old'] : ['flip', 'zeros', 'cut', 'old'];
  for (const how of logs) expect([...told]).toContain(`${how} ${ofMetadata ? '__cluster_metadata-0' : 'alpha-0'}/00000000000000000000.log`);
});
