/**
 * Formatting against what Apache Kafka 4.3.1's storage tool made of the same arguments: the bytes of its files, its feature levels and its refusals. Times and
 * checksums are left out of the comparison; ids are given.
 */
import { describe, expect, it } from 'vitest';
import { joinPath } from '../../../storage/files.ts';
import { loadMetaProperties } from '../../../storage/meta-properties.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { formatNode, parseInitialControllers } from '../../../src/quorum/format.ts';
import type { FormatRequest } from '../../../src/quorum/format.ts';
import { defaultLevels, dependenciesOf, effectiveLevels, releaseLevel, versionName } from '../../../src/quorum/format-features.ts';
import { scramRecord } from '../../../src/quorum/format-scram.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import { FakeTime } from '../server/fake-world.ts';

/** `kafka-storage.sh format`, by arguments. */
const KAFKA = {
  // -I 1@127.0.0.1:20711:JEXY6aqzQY-32P5TStzaFg,2@h2:8083:MvDxzVmcRsaTz33bUuRU6A: the snapshot in __cluster_metadata-0
  voters:
    '0000000000000000000000c70000000002bc550714002000000002000001a1feac3ff5000001a1feac3ff5ffffffffffffffffffffffffffff000000032a00000008000000031600' +
    '00000001a1feac3fe200001e00000208000000050a000000010000dc010000040800000006c601000003000000012445d8e9aab3418fb7d8fe534adcda16020b434f4e54524f4c4c' +
    '45520a3132372e302e302e3150e7000000000100000000000232f0f1cd599c46c693cf7ddb52e454e8020b434f4e54524f4c4c45520368321f930000000001000000000000000000' +
    '0000030000003f00000000025d62fa9d002000000000000001a1feac3ffc000001a1feac3ffcffffffffffffffffffffffffffff000000011a00000008000000040600000000',
  // the bootstrap.checkpoint without more arguments
  bootstrap:
    '0000000000000000000000470000000002f8cbcb1e002000000000000001a1feac3fbf000001a1feac3fbfffffffffffffffffffffffffffff000000012a00000008000000031600' +
    '00000000000000000000000000000000000001000000f1000000000224c6b71b000000000005000001a1feac3fd7000001a1feac3fd7ffffffffffffffffffffffffffff00000006' +
    '3a000000012e010c00116d657461646174612e76657273696f6e001e00005a000002014e010c0021656c696769626c652e6c65616465722e7265706c696361732e76657273696f6e' +
    '00010000340000040128010c000e67726f75702e76657273696f6e00010000340000060128010c000e73686172652e76657273696f6e0001000038000008012c010c001073747265' +
    '616d732e76657273696f6e000100004000000a0134010c00147472616e73616374696f6e2e76657273696f6e0002000000000000000000070000003f000000000267f0319e002000' +
    '000000000001a1feac3fd7000001a1feac3fd7ffffffffffffffffffffffffffff000000011a00000008000000040600000000',
  // -S 'SCRAM-SHA-512=[name=bob,iterations=8192,salt="N3E=",saltedpassword="YCE="]' -r 3.9
  scram512:
    '0000000000000000000000470000000002d8252817002000000000000001a1feac43e3000001a1feac43e3ffffffffffffffffffffffffffff000000012a00000008000000031600' +
    '00000000000000000000000000000000000001000000ea00000000022b6f5ae8000000000001000001a1feac43ec000001a1feac43ecffffffffffffffffffffffffffff00000002' +
    '3a000000012e010c00116d657461646174612e76657273696f6e00150000b20200000201a402010b0004626f6202033771417176a349f91eb2e11d99e95730813516f2f64573dfc2' +
    '5ae618acaae9a8bfd66cba1a74019002d38837e3f1bcac880015b32b23775e71a56dac1226a9a4b3b1bd414c617c0eddee5ac6585f2fbf501b7ce95b470d6bf01f1b549c263c18a1' +
    'b5406ea6b85f48d3c7d9dcc43472ea70459dae63a28af4835a6478b83b11c20f060c0700002000000000000000000000030000003f0000000002ebf938c3002000000000000001a1' +
    'feac43ec000001a1feac43ecffffffffffffffffffffffffffff000000011a00000008000000040600000000',
  // -S 'SCRAM-SHA-256=[name=alice,salt="N3E=",password=alice-secret]' -f group.version=0
  scram256:
    '00000000000000000000004700000000021bcd1a25002000000000000001a1feac4850000001a1feac4850ffffffffffffffffffffffffffff000000012a00000008000000031600' +
    '000000000000000000000000000000000000010000013300000000025e9c31c2000000000005000001a1feac4858000001a1feac4858ffffffffffffffffffffffffffff00000006' +
    '3a000000012e010c00116d657461646174612e76657273696f6e001e00005a000002014e010c0021656c696769626c652e6c65616465722e7265706c696361732e76657273696f6e' +
    '00010000340000040128010c000e73686172652e76657273696f6e0001000038000006012c010c001073747265616d732e76657273696f6e00010000400000080134010c00147472' +
    '616e73616374696f6e2e76657273696f6e00020000b60100000a01a801010b0006616c6963650103377121fd2898bae04a676c506015464de9fa8d27ef8446427f0dadfc7b225915' +
    '6d9536214a48c801c0debe74825a82b2b74a361017286484a7c525aaf3570b2c3d10d39d00001000000000000000000000070000003f00000000020747509f002000000000000001' +
    'a1feac4859000001a1feac4859ffffffffffffffffffffffffffff000000011a00000008000000040600000000',
};

const CLUSTER = 'mNdAVA5ZSzWRJUXuBoWdtQ';
const CONTROLLERS = '1@127.0.0.1:20711:JEXY6aqzQY-32P5TStzaFg,2@h2:8083:MvDxzVmcRsaTz33bUuRU6A';
const SNAPSHOT = '__cluster_metadata-0/00000000000000000000-0000000000.checkpoint';

function scene(request: Partial<FormatRequest> = {}, disk = new MemoryDisk()) {
  const said: string[] = [];
  const format = (more: Partial<FormatRequest> = {}) =>
    formatNode(
      {
        runtime: { ...nodeRuntime(), disk, clock: new FakeTime() },
        clusterId: CLUSTER, nodeId: 1, directories: ['/d/b', '/d/a'], metadataDirectory: '/d/a', isDynamicQuorum: false, initialControllers: null, controllerListener: 'controller',
        releaseVersion: null, features: new Map(), scram: [], ignoreFormatted: false, ...request, ...more,
      },
      (line) => said.push(line),
    );
  const files = () => ['/d/a', '/d/b', '/d/a/__cluster_metadata-0'].flatMap((directory) => (disk.status(directory) === undefined ? [] : disk.list(directory).map((name) => joinPath(directory, name)))).sort();
  const owner = (directory: string) => {
    const loaded = loadMetaProperties(disk, directory);
    return loaded.status === 'ok' ? loaded.value : loaded.status;
  };
  return { disk, said, format, files, owner };
}

/** The file in hex, without what depends on when it was written. baseOffset:8 length:4 epoch:4 magic:1 crc:4 attributes:2 lastOffsetDelta:4 firstTime:8 maxTime:8 */
function timeless(bytes: Buffer): string {
  const copy = Buffer.from(bytes);
  for (let at = 0; at < copy.length; at += 12 + copy.readInt32BE(at + 8)) {
    copy.fill(0, at + 17, at + 21);
    const stamp = copy.subarray(at + 27, at + 35);
    // A snapshot's header holds its time once more.
    for (let inner = at + 61; inner + 8 <= at + 12 + copy.readInt32BE(at + 8); inner++) {
      if (Math.abs(Number(copy.readBigInt64BE(inner) - stamp.readBigInt64BE(0))) < 60_000) copy.fill(0, inner, inner + 8);
    }
    copy.fill(0, at + 27, at + 43);
  }
  return copy.toString('hex');
}

const kafka = (name: keyof typeof KAFKA) => timeless(Buffer.from(KAFKA[name], 'hex'));

describe('the files', () => {
  it('are those of a static quorum: bootstrap.checkpoint and meta.properties in every directory', () => {
    const { disk, format, files, owner, said } = scene();
    format();
    expect(files()).toEqual(['/d/a/bootstrap.checkpoint', '/d/a/meta.properties', '/d/b/bootstrap.checkpoint', '/d/b/meta.properties']);
    for (const directory of ['/d/a', '/d/b']) expect(timeless(disk.readFile(`${directory}/bootstrap.checkpoint`))).toBe(kafka('bootstrap'));
    expect(owner('/d/a')).toMatchObject({ clusterId: CLUSTER, nodeId: 1 });
    expect(owner('/d/a')).not.toEqual(owner('/d/b'));
    expect(disk.readFile('/d/a/meta.properties').toString().split('\n').slice(2).map((line) => line.replace(/(directory.id=).*/, '$1'))).toEqual(['node.id=1', 'directory.id=', 'version=1', `cluster.id=${CLUSTER}`, '']);
    expect(said.slice(1)).toEqual(['Formatting metadata directory /d/a with metadata.version 4.3-IV0.', 'Formatting data directory /d/b with metadata.version 4.3-IV0.']);
  });

  it('have the first voters of a dynamic quorum, and this voter the directory id that it was given', () => {
    const { disk, format, files, owner, said } = scene({ isDynamicQuorum: true, initialControllers: parseInitialControllers(CONTROLLERS) });
    format();
    expect(files()).toContain(`/d/a/${SNAPSHOT}`);
    expect(timeless(disk.readFile(`/d/a/${SNAPSHOT}`))).toBe(kafka('voters'));
    expect(timeless(disk.readFile('/d/a/bootstrap.checkpoint'))).toBe(kafka('bootstrap'));
    expect(owner('/d/a')).toMatchObject({ directoryId: 'JEXY6aqzQY-32P5TStzaFg' });
    expect(said[1]).toBe('Formatting dynamic metadata voter directory /d/a with metadata.version 4.3-IV0.');
  });

  it('have them on a node too that is none of the voters, under an id of its own', () => {
    const { disk, format, owner, said } = scene({ nodeId: 9, isDynamicQuorum: true, initialControllers: parseInitialControllers(CONTROLLERS) });
    format();
    expect(timeless(disk.readFile(`/d/a/${SNAPSHOT}`))).toBe(kafka('voters'));
    expect(owner('/d/a')).toMatchObject({ nodeId: 9 });
    expect(said[1]).toBe('Formatting dynamic metadata directory /d/a with metadata.version 4.3-IV0.');
  });

  it('hold users, and only the features of the release', () => {
    const older = scene({ releaseVersion: '3.9', scram: ['SCRAM-SHA-512=[name=bob,iterations=8192,salt="N3E=",saltedpassword="YCE="]'] });
    older.format();
    expect(timeless(older.disk.readFile('/d/a/bootstrap.checkpoint'))).toBe(kafka('scram512'));
    const chosen = scene({ features: new Map([['group.version', 0]]), scram: ['SCRAM-SHA-256=[name=alice,salt="N3E=",password=alice-secret]'] });
    chosen.format();
    expect(timeless(chosen.disk.readFile('/d/a/bootstrap.checkpoint'))).toBe(kafka('scram256'));
    expect(chosen.said.join()).not.toContain('secret');
  });
});

describe('a directory that is formatted', () => {
  it('is refused, or left alone when that was asked', () => {
    const { disk, format, said } = scene();
    format();
    const before = disk.readFile('/d/a/meta.properties');
    expect(() => format()).toThrow('Log directory /d/a is already formatted. Use --ignore-formatted to ignore this directory and format the others.');
    said.length = 0;
    format({ ignoreFormatted: true });
    expect(said).toEqual(['All of the log directories are already formatted.']);
    format({ ignoreFormatted: true, directories: ['/d/a', '/d/new'] });
    expect(said[2]).toBe('Formatting data directory /d/new with metadata.version 4.3-IV0.');
    expect(disk.readFile('/d/a/meta.properties')).toEqual(before);
  });

  it('of another cluster or node ends the format before anything is written', () => {
    const { disk, format } = scene();
    format({ directories: ['/d/a'] });
    expect(() => format({ ignoreFormatted: true, clusterId: 'MvDxzVmcRsaTz33bUuRU6A' })).toThrow(`Invalid cluster.id in: /d/a/meta.properties. Expected MvDxzVmcRsaTz33bUuRU6A, but read ${CLUSTER}`);
    expect(() => format({ ignoreFormatted: true, nodeId: 2 })).toThrow("Stored node id 1 doesn't match previous node id 2 in /d/a/meta.properties.");
    expect(disk.status('/d/b')).toBeUndefined();
  });

  it('that a crash cut short is formatted again', () => {
    const { disk, format, files } = scene({ isDynamicQuorum: true, initialControllers: parseInitialControllers(CONTROLLERS) });
    format();
    disk.unlink('/d/a/meta.properties');
    format({ ignoreFormatted: true });
    expect(files()).toContain('/d/a/meta.properties');
  });
});

describe('feature levels', () => {
  // kafka-storage.sh version-mapping -r VERSION: metadata, kraft, transaction, group, eligible leader replicas, share, streams
  it.each([
    ['3.3-IV3', 7, 0, 0, 0, 0, 0, 0], ['3.8-IV0', 20, 0, 0, 0, 0, 0, 0], ['3.9-IV0', 21, 1, 0, 0, 0, 0, 0], ['4.0-IV0', 22, 1, 0, 1, 0, 0, 0], ['4.0-IV1', 23, 1, 0, 1, 0, 0, 0],
    ['4.0-IV2', 24, 1, 2, 1, 0, 0, 0], ['4.0-IV3', 25, 1, 2, 1, 0, 0, 0], ['4.1-IV0', 26, 1, 2, 1, 1, 0, 0], ['4.1-IV1', 27, 1, 2, 1, 1, 0, 0], ['4.2-IV0', 28, 1, 2, 1, 1, 1, 0],
    ['4.2-IV1', 29, 1, 2, 1, 1, 1, 1], ['4.3-IV0', 30, 1, 2, 1, 1, 1, 1], ['4.4-IV0', 31, 1, 2, 1, 1, 1, 1], ['3.7', 19, 0, 0, 0, 0, 0, 0], ['3.9.1', 21, 1, 0, 0, 0, 0, 0], ['4.0', 25, 1, 2, 1, 0, 0, 0],
  ])('of %s are those of Kafka\'s tool', (text, level, ...others) => {
    expect(releaseLevel(text, { unstable: true })).toBe(level);
    expect([...defaultLevels(level).values()]).toEqual(others);
  });

  const levels = (features: Record<string, number>, releaseVersion: string | null = null, isDynamicQuorum = false) => effectiveLevels({ features: new Map(Object.entries(features)), releaseVersion, isDynamicQuorum });

  it('follow a metadata.version, and may be chosen one by one', () => {
    expect(Object.fromEntries(levels({ 'metadata.version': 17 }))).toMatchObject({ 'metadata.version': 17, 'group.version': 0, 'kraft.version': 0 });
    expect(Object.fromEntries(levels({ 'transaction.version': 2 }, '3.7'))).toMatchObject({ 'metadata.version': 19, 'transaction.version': 2 });
    expect(levels({}, null, true).get('kraft.version')).toBe(1);
    expect(versionName(31)).toBe('4.4-IV0');
    expect(dependenciesOf('eligible.leader.replicas.version', 1)).toEqual(new Map([['metadata.version', 23]]));
  });

  it.each<[string, Record<string, number>, string | null, boolean, string]>([
    ['an unknown release', {}, '9.9', false, "Unknown metadata.version '9.9'. Supported metadata.version are: 3.3-IV3, 3.4-IV0,"],
    ['an unstable release', {}, '4.4-IV0', false, "Unknown metadata.version '4.4-IV0'."],
    ['an unstable level', { 'metadata.version': 31 }, null, false, 'metadata.version 4.4-IV0 is not yet stable.'],
    ['both', { 'metadata.version': 17 }, '4.0', false, 'Use --release-version instead of --feature metadata.version=X to avoid ambiguity.'],
    ['an unknown feature', { foo: 1 }, null, false, 'Unsupported feature: foo. Supported features are: eligible.leader.replicas.version, group.version, kraft.version, share.version, streams.version, transaction.version'],
    ['an unknown level', { 'group.version': 7 }, null, false, 'No feature:group.version with feature level 7'],
    ['what needs more', { 'eligible.leader.replicas.version': 1 }, '3.7', false, 'eligible.leader.replicas.version could not be set to 1 because it depends on metadata.version level 23'],
    ['dynamic voters in a static quorum', { 'kraft.version': 1 }, null, false, 'Cannot set kraft.version to 1 unless controller.quorum.voters is empty'],
    ['static voters in a dynamic quorum', { 'kraft.version': 0 }, null, true, 'Cannot set kraft.version to 0 if controller.quorum.voters is empty'],
  ])('are refused in Kafka\'s words: %s', (_, features, release, isDynamic, message) => {
    expect(() => levels(features, release, isDynamic)).toThrow(message);
  });
});

describe('initial controllers', () => {
  it('come by id, with hosts of every kind', () => {
    expect(parseInitialControllers(' 2@[::1]:8083:MvDxzVmcRsaTz33bUuRU6A,1@h:1:JEXY6aqzQY-32P5TStzaFg ')).toEqual([
      { id: 1, host: 'h', port: 1, directoryId: 'JEXY6aqzQY-32P5TStzaFg' },
      { id: 2, host: '::1', port: 8083, directoryId: 'MvDxzVmcRsaTz33bUuRU6A' },
    ]);
  });

  it.each([
    ['', 'No voters given.'],
    ['bad', 'No @ found in dynamic voter string.'],
    ['@h:1:JEXY6aqzQY-32P5TStzaFg', 'Invalid @ at beginning of dynamic voter string.'],
    ['x@h:1:JEXY6aqzQY-32P5TStzaFg', 'Failed to parse node id in dynamic voter string.'],
    ['-1@h:1:JEXY6aqzQY-32P5TStzaFg', 'Invalid negative node id -1 in dynamic voter string.'],
    ['1@', 'No hostname found after node id.'],
    ['1@[::1:1:JEXY6aqzQY-32P5TStzaFg', 'Hostname began with left bracket, but no right bracket was found.'],
    ['1@h', 'No colon following hostname could be found.'],
    ['1@[::1]1:JEXY6aqzQY-32P5TStzaFg', 'Port section must start with a colon.'],
    ['1@h:1', 'No colon following port could be found.'],
    ['1@h:x:JEXY6aqzQY-32P5TStzaFg', 'Failed to parse port in dynamic voter string.'],
    ['1@h:99999:JEXY6aqzQY-32P5TStzaFg', 'Invalid port 99999 in dynamic voter string.'],
    ['1@h:1:short', 'Failed to parse directory ID in dynamic voter string.'],
    ['1@h:1:JEXY6aqzQY-32P5TStzaFg,1@i:1:MvDxzVmcRsaTz33bUuRU6A', 'Node id 1 was specified more than once.'],
  ])('%j is refused', (text, message) => expect(() => parseInitialControllers(text)).toThrow(message));
});

describe('users', () => {
  const { random } = nodeRuntime();

  it.each([
    ['x', "Failed to find equals sign in SCRAM argument 'x'"],
    ['SCRAM-SHA-1=[name=a,password=b]', 'The add-scram mechanism SCRAM-SHA-1 is not supported.'],
    ['SCRAM-SHA-256=name=a,password=b]', 'Expected configuration string to start with ['],
    ['SCRAM-SHA-256=[name=a,password=b', 'Expected configuration string to end with ]'],
    ['SCRAM-SHA-256=[password=b]', "You must supply 'name' to add-scram"],
    ['SCRAM-SHA-256=[name=a]', "You must supply one of 'password' or 'saltedpassword' to add-scram"],
    ['SCRAM-SHA-256=[name=a,iterations=10,password=b]', "The 'iterations' value must be >= 4096 for add-scram using SCRAM_SHA_256"],
    ['SCRAM-SHA-512=[name=a,iterations=20000,password=b]', "The 'iterations' value must be <= 16384 for add-scram using SCRAM_SHA_512"],
    ['SCRAM-SHA-256=[name=a,saltedpassword=YCE=]', "You must supply 'salt' with 'saltedpassword' to add-scram"],
    ['SCRAM-SHA-256=[name=a,password=b,foo=1]', 'Unknown SCRAM configurations: foo'],
    ['SCRAM-SHA-256=[name=a,password=b,salt=*]', 'Failed to decode given salt: *'],
  ])('%s is refused in Kafka\'s words', (text, message) => expect(() => scramRecord(text, random)).toThrow(message));

  it('are refused before their release, and get a salt of their own', () => {
    expect(() => scene({ scram: ['SCRAM-SHA-256=[name=a,password=b]'], releaseVersion: '3.5-IV1' }).format()).toThrow('SCRAM is only supported in metadata.version 3.5-IV2 or later.');
    const salts = [1, 2].map(() => scramRecord('SCRAM-SHA-256=[name=a,password=b]', random)).map(({ value }) => String((value as { salt: Buffer }).salt));
    expect(salts[0]).toMatch(/^[0-9a-z]{20,26}$/);
    expect(salts[0]).not.toBe(salts[1]);
  });
});
