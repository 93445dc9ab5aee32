/** The command as people use it: one broker on a directory, every command against it, and one clear line for what goes wrong. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ottla, RunningOttla } from './ottla.ts';

const root = mkdtempSync(join(tmpdir(), 'ottla-cli-'));
const dataDir = join(root, 'data');
let broker: RunningOttla;

beforeAll(async () => {
  broker = await RunningOttla.start(['--port', '0', '--data-dir', dataDir, '--set', 'num.partitions=2']);
});

afterAll(async () => {
  await broker.stop('SIGKILL');
  rmSync(root, { recursive: true, force: true });
});

const run = async (argv: readonly string[], input?: string) => {
  const finished = await ottla([...argv, '-b', broker.bootstrap], input === undefined ? {} : { input });
  expect(finished.err.includes('\n    at '), finished.err).toBe(false);
  return finished;
};

describe('start', () => {
  it('prints one line when it serves', () => {
    expect(broker.readyLine).toMatch(/^ottla ready on 127\.0\.0\.1:[0-9]+ \(cluster [A-Za-z0-9_-]{22}, node 1, data in \S+, [0-9]+ ms\)$/);
    expect(readFileSync(join(dataDir, 'meta.properties'), 'utf8')).toContain('cluster.id=');
  });

  it('stops cleanly on the first signal, and keeps what it has', async () => {
    const own = join(root, 'own');
    const first = await RunningOttla.start(['-p', '0', '-d', own, '--quiet']);
    expect((await ottla(['produce', 'kept', 'a', 'b', '-b', first.bootstrap])).code).toBe(0);
    expect(await first.stop('SIGINT')).toMatchObject({ code: 0, out: `${first.readyLine}\n`, err: '' });
    expect(readdirSync(own)).toContain('.kafka_cleanshutdown');
    const second = await RunningOttla.start(['-p', '0', '-d', own]);
    expect((await ottla(['consume', 'kept', '--end', '-b', second.bootstrap])).out).toBe('a\nb\n');
    expect(await second.stop('SIGTERM')).toMatchObject({ code: 0 });
  });

  it('takes settings from a file, the environment and arguments, the later before the earlier', async () => {
    const config = join(root, 'server.properties');
    writeFileSync(config, 'process.roles=broker,controller\nnode.id=3\nlisteners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:0\ncontroller.listener.names=CONTROLLER\nnum.partitions=3\nnum.network.threads=3\n');
    const own = await RunningOttla.start(['--memory', '--port', '0', '--config', config], { env: { KAFKA_NUM_PARTITIONS: '4', KAFKA_HEAP_OPTS: '-Xmx1G' } });
    expect(own.readyLine).toContain('node 3, data in memory');
    await ottla(['produce', 'made', 'x', '-b', own.bootstrap]);
    expect(JSON.parse((await ottla(['topics', '--json', '-b', own.bootstrap])).out)).toEqual({ name: 'made', partitions: 4, replicationFactor: 1 });
    const { err } = await own.stop('SIGTERM');
    expect(err).toContain('taken without effect here: num.network.threads');
  });
});

describe('what goes wrong at the start is one line and a code', () => {
  const fails = async (argv: readonly string[], env?: Readonly<Record<string, string>>) => {
    const { code, out, err } = await ottla(['start', ...argv], env === undefined ? {} : { env });
    expect(out).toBe('');
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    return { code, line: err.trimEnd() };
  };

  it('a port in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolveListening) => taken.once('listening', resolveListening));
    const { port } = taken.address() as AddressInfo;
    expect(await fails(['--memory', '-q', '-p', String(port)])).toEqual({
      code: 1,
      line: `ottla: port ${port} on 127.0.0.1 is in use by another process; choose another with --port, or 0 for a free one`,
    });
    taken.close();
  });

  it('a directory that another broker uses', async () => {
    const { code, line } = await fails(['-p', '0', '-q', '-d', dataDir]);
    expect(code).toBe(1);
    expect(line).toMatch(/^ottla: \S+ is in use by process [0-9]+: a data directory serves one broker at a time$/);
  });

  it('a directory of another cluster, of another node, of a newer version, of nobody', async () => {
    const make = (name: string, meta: string) => {
      mkdirSync(join(root, name), { recursive: true });
      writeFileSync(join(root, name, 'meta.properties'), meta);
      return join(root, name);
    };
    const meta = 'version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAABg\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAABw\n';
    const other = await fails(['-p', '0', '-q', '-d', make('other', meta), '--cluster-id', 'AAAAAAAAAAAAAAAAAAAAAQ']);
    expect(other).toEqual({ code: 1, line: `ottla: ${join(root, 'other')} belongs to cluster AAAAAAAAAAAAAAAAAAAABg, this node is of cluster AAAAAAAAAAAAAAAAAAAAAQ` });
    expect((await fails(['-p', '0', '-q', '-d', join(root, 'other'), '-s', 'node.id=7'])).line).toContain('belongs to node 1, but node.id is 7');
    const newer = await fails(['-p', '0', '-q', '-d', make('newer', meta.replace('version=1', 'version=9'))]);
    expect(newer).toMatchObject({ code: 1 });
    expect(newer.line).toContain('version');
    const file = join(root, 'file');
    writeFileSync(file, '');
    expect((await fails(['-p', '0', '-q', '-d', file])).line).toContain('a directory is needed there');
  });

  it.each([
    [['--memory', '-s', 'num.partitons=3'], 'ottla: unknown setting num.partitons = 3 (--set); did you mean num.partitions?'],
    [['--memory', '-s', 'num.partitions=0'], 'ottla: Invalid value 0 for configuration num.partitions: Value must be at least 1 (--set)'],
    [['--memory', '--prot', '1'], 'ottla: unknown option --prot; did you mean --port? (ottla start --help lists them)'],
    [['--memory', '-d', 'x'], 'ottla: --memory and --data-dir cannot be given together'],
    [['--port', '99999'], 'ottla: --port 99999: it should be a whole number from 0 to 65535'],
    [['--memory', 'now'], 'ottla: start takes no words: now'],
  ])('%j', async (argv, line) => {
    expect(await fails(argv)).toEqual({ code: 2, line });
  });

  it('an address that is not of this machine, a host that nobody knows', async () => {
    expect((await fails(['--memory', '-q', '-p', '0', '--host', '192.0.2.1'])).line).toBe('ottla: cannot listen on 192.0.2.1: this machine has no such address');
    expect((await fails(['--memory', '-q', '-p', '0', '--host', 'nosuch.invalid'])).line).toBe('ottla: cannot find the host nosuch.invalid');
  });

  it('a bad variable, a missing file', async () => {
    expect(await fails(['--memory'], { KAFKA_NUM_PARTITONS: '3' })).toEqual({ code: 2, line: 'ottla: unknown setting num.partitons = 3 (KAFKA_NUM_PARTITONS); did you mean num.partitions?' });
    expect((await fails(['--memory', '-c', join(root, 'none')])).line).toContain('there is no');
  });
});

describe('the other commands', () => {
  it('say what is not known', async () => {
    expect(await ottla(['topisc'])).toEqual({ code: 2, out: '', err: 'ottla: unknown command topisc; did you mean topics? (ottla --help lists them)\n' });
    expect((await run(['topics', 'lst'])).err).toBe('ottla: unknown action lst; did you mean list? (list, describe, create, alter, delete)\n');
    expect(await run(['topics', 'describe', 'nope'])).toMatchObject({ code: 1, err: 'ottla: there is no topic nope\n' });
    expect(await ottla(['topics', '-b', '127.0.0.1:1'])).toMatchObject({ code: 1, err: 'ottla: cannot reach 127.0.0.1:1: nothing listens there\n' });
    expect(await ottla(['topics', '-b', 'a:b:c'])).toMatchObject({ code: 2, err: "ottla: --bootstrap-server: 'a:b:c' is no server address, it should be HOST:PORT\n" });
  });

  it('tell their options', async () => {
    for (const name of ['start', 'topics', 'produce', 'consume', 'groups', 'health', 'dump']) {
      const { code, out } = await ottla([name, '--help']);
      expect([name, code, out.includes(`ottla ${name} [OPTIONS]`)]).toEqual([name, 0, true]);
    }
    expect((await ottla(['--help'])).out).toContain('ottla consume');
    expect((await ottla(['help', 'topics'])).out).toContain('ottla topics [OPTIONS]');
    expect((await ottla(['--version'])).out).toMatch(/^[0-9]+\.[0-9]+\.[0-9]+\n$/);
  });

  it('tell whether a broker answers', async () => {
    expect(await run(['health'])).toMatchObject({ code: 0, out: expect.stringContaining('answers at') as string });
    expect((await ottla(['health'], { env: { KAFKA_LISTENERS: `PLAINTEXT://0.0.0.0:${broker.bootstrap.split(':')[1]}` } })).code).toBe(0);
    expect(await ottla(['health'], { env: { KAFKA_LISTENERS: 'PLAINTEXT://127.0.0.1:1' } })).toMatchObject({ code: 1, err: 'ottla: cannot reach 127.0.0.1:1: nothing listens there\n' });
  });

  it('make, show, grow and delete topics', async () => {
    expect(await run(['topics', 'create', 'ta', 'tb', '-s', 'retention.ms=5000'])).toMatchObject({ code: 0, out: 'created ta\ncreated tb\n' });
    expect(await run(['topics', 'create', 'ta'])).toMatchObject({ code: 1, err: "ottla: topic ta: Topic 'ta' already exists. (TOPIC_ALREADY_EXISTS)\n" });
    expect(await run(['topics', 'create', 'ta', '--if-not-exists'])).toMatchObject({ code: 0, out: 'ta is there already\n' });
    expect((await run(['topics', 'create', 'tc', '-s', 'retention.mss=1'])).err).toBe('ottla: topic tc: Unknown topic config name: retention.mss (INVALID_CONFIG)\n');
    expect((await run(['topics'])).out).toMatch(/^TOPIC +PARTITIONS +REPLICAS\nta +2 +1\ntb +2 +1\n/);
    expect((await run(['topics', 'alter', 'tb', '-p', '3'])).out).toBe('tb has 3 partitions\n');
    const described = JSON.parse((await run(['topics', 'describe', 'tb', '--json'])).out) as { partitions: unknown[]; settings: object };
    expect(described).toMatchObject({ name: 'tb', settings: { 'retention.ms': '5000' } });
    expect(described.partitions).toHaveLength(3);
    expect((await run(['topics', 'delete', 'ta', 'tb'])).out).toBe('deleted ta\ndeleted tb\n');
    expect((await run(['topics', 'delete', 'ta'])).code).toBe(1);
    expect(await run(['topics', 'delete', 'ta', '--if-exists'])).toMatchObject({ code: 0, out: 'there is no topic ta\n' });
  });

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('write and read with %s', async (codec) => {
    const topic = `codec-${codec}`;
    expect((await run(['produce', topic, '-K', ':', '-z', codec, '-H', 'h=1', '-p', '1'], 'k1:v1\nk2:v:2\n\u00e9:\u4e2d\r\nk4:last')).err).toBe(`4 records written to ${topic}\n`);
    const { out } = await run(['consume', topic, '--end', '--format', '%t %p:%o %k=%v [%h]']);
    expect(out).toBe(['k1=v1', 'k2=v:2', '\u00e9=\u4e2d', 'k4=last'].map((pair, offset) => `${topic} 1:${offset} ${pair} [h=1]\n`).join(''));
  });

  it('write and read JSON, bytes and nulls', async () => {
    const lines = [
      { key: 'a', value: 'b', headers: { x: 'y' }, partition: 0, timestamp: 1_700_000_000_000 },
      { key: null, value: { base64: Buffer.from([0xff, 0]).toString('base64') }, partition: 0, timestamp: 1_700_000_000_001 },
      { key: 'gone', value: null, partition: 0, timestamp: 1_700_000_000_002 },
    ];
    expect((await run(['produce', 'js', '--json'], lines.map((line) => JSON.stringify(line)).join('\n'))).code).toBe(0);
    const { out } = await run(['consume', 'js', '--end', '--format', 'json']);
    expect(out.trimEnd().split('\n').map((line) => JSON.parse(line) as object)).toEqual(lines.map((line, offset) => ({ topic: 'js', offset, ...line })));
    expect((await run(['produce', 'js', '--json'], 'no json')).err).toBe('ottla: this line is no JSON: no json\n');
    expect((await run(['produce', 'js', 'x', '-p', '9'])).err).toBe('ottla: topic js has no partition 9, it has 2\n');
  });

  it('begin where they are told', async () => {
    await run(['produce', 'places', '-p', '0', '--json'], [0, 1, 2, 3, 4].map((n) => JSON.stringify({ value: `v${n}`, timestamp: 1_700_000_000_000 + n * 1000, partition: 0 })).join('\n'));
    const from = async (place: string) => (await run(['consume', 'places', '-p', '0', '-e', '--from', place])).out.trimEnd().split('\n').filter((line) => line !== '');
    expect(await from('earliest')).toEqual(['v0', 'v1', 'v2', 'v3', 'v4']);
    expect(await from('3')).toEqual(['v3', 'v4']);
    expect(await from('-2')).toEqual(['v3', 'v4']);
    expect(await from('@2023-11-14T22:13:21.500Z')).toEqual(['v2', 'v3', 'v4']);
    expect(await from('latest')).toEqual([]);
    expect((await run(['consume', 'places', '-p', '0', '--from', '1', '-n', '2'])).out).toBe('v1\nv2\n');
    expect((await run(['consume', 'places', '--from', 'there'])).err).toContain('it should be earliest, latest');
  });

  it('read as a group, commit, show the lag, and go back', async () => {
    await run(['produce', 'work', '-p', '0', 'a', 'b', 'c', 'd']);
    const member = (...more: string[]) => run(['consume', 'work', '-g', 'team', ...more]);
    expect((await member('-n', '3')).out).toBe('a\nb\nc\n');
    expect((await run(['groups'])).out).toMatch(/team +Empty +classic +consumer/);
    const shown = JSON.parse((await run(['groups', 'describe', 'team', '--json'])).out) as { offsets: object[] };
    expect(shown).toMatchObject({ state: 'Empty', offsets: [{ topic: 'work', partition: 0, committed: 3, end: 4, lag: 1 }] });
    expect((await member('-n', '1')).out).toBe('d\n');
    expect((await run(['groups', 'reset', 'team', '--to', '2'])).out).toMatch(/team +work +0 +2/);
    expect((await member('-n', '2')).out).toBe('c\nd\n');
    expect((await run(['groups', 'delete', 'team'])).out).toBe('deleted team\n');
    expect(await run(['groups', 'describe', 'team'])).toMatchObject({ code: 1 });
  });

  it('dump what the broker has written', async () => {
    await run(['produce', 'dumped', '-p', '0', '-k', 'key', 'value']);
    const { code, out } = await ottla(['dump', '--records', '--json', join(dataDir, 'dumped-0', '00000000000000000000.log')]);
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n').map((line) => JSON.parse(line) as object)).toMatchObject([
      { kind: 'batch', baseOffset: 0, count: 1, compression: 'none', isValid: true },
      { kind: '| record', offset: 0, key: 'key', value: 'value' },
    ]);
    const metadata = await ottla(['dump', '--records', join(dataDir, '__cluster_metadata-0')]);
    expect(metadata.code).toBe(0);
    expect(metadata.out).toMatch(/record: TopicRecord version: [0-9]+ name: dumped topicId: /);
    expect((await ottla(['dump', dataDir])).out).toMatch(/dumped-0 +1 +[0-9]+/);
  });
});
