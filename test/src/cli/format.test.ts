/** `ottla format` and `ottla storage` as they are typed: what they print, what they make, and how they refuse. The files' bytes are in test/src/quorum/format.test.ts. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { freePorts } from '../../../src/node/cluster-plan.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import { ottla, RunningOttla } from './ottla.ts';

const root = mkdtempSync(join(tmpdir(), 'ottla-format-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const CLUSTER = 'mNdAVA5ZSzWRJUXuBoWdtQ';
let count = 0;
// Told to the voters, so it must be known before the node starts.
const [controllerPort] = await freePorts(nodeRuntime().network, '127.0.0.1', 1);

/** A settings file of a node with one data directory. */
function node(lines: Record<string, string> = {}): { config: string; data: string } {
  const data = join(root, `data${++count}`);
  const config = join(root, `node${count}.properties`);
  const all = {
    'node.id': '3', 'process.roles': 'broker,controller', 'controller.listener.names': 'CONTROLLER', 'listeners': `PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:${controllerPort}`, 'log.dirs': data, ...lines,
  };
  writeFileSync(config, Object.entries(all).filter(([, value]) => value !== '').map(([name, value]) => `${name}=${value}\n`).join(''));
  return { config, data };
}

describe('format', () => {
  it('makes a directory that a node of that cluster starts on', async () => {
    const { config, data } = node();
    const { code, out, err } = await ottla(['format', '--cluster-id', CLUSTER, '--config', config, '--standalone']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.split('\n')[1]).toBe(`Formatting dynamic metadata voter directory ${data} with metadata.version 4.3-IV0.`);
    expect((await ottla(['storage', 'info', '-c', config])).out).toMatch(new RegExp(`^Found log directory:\n  ${data}\n\nFound metadata: \\{cluster\\.id=${CLUSTER}, directory\\.id=[\\w-]{22}, node\\.id=3, version=1\\}\n\n$`));
    const directoryId = /directory\.id=(.*)/.exec(readFileSync(join(data, 'meta.properties'), 'utf8'))![1];
    const broker = await RunningOttla.start(['--config', config, '--quiet']);
    expect(broker.readyLine).toContain(`(cluster ${CLUSTER}, node 3, data in ${data}`);
    expect((await broker.stop('SIGTERM')).code).toBe(0);
    expect(readFileSync(join(data, 'meta.properties'), 'utf8')).toContain(`directory.id=${directoryId}`);
  });

  it.each<[string, Record<string, string>, string[], string]>([
    ['a directory that is formatted', {}, ['-N'], 'is already formatted. Use --ignore-formatted to ignore this directory and format the others.'],
    ['no word of the voters', {}, [], 'Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone, --initial-controllers, or --no-initial-controllers.'],
    ['static and dynamic voters', { 'controller.quorum.voters': '3@127.0.0.1:1' }, ['-s'], 'You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone.'],
    ['a broker as a voter', { 'process.roles': 'broker', 'listeners': 'PLAINTEXT://127.0.0.1:0', 'controller.quorum.bootstrap.servers': '127.0.0.1:1' }, ['-s'], 'You can only use --standalone on a controller.'],
    ['no roles', { 'process.roles': '' }, ['-s'], 'Missing required configuration "process.roles" which has no default value.'],
    ['no id', { 'node.id': '' }, ['-s'], 'Missing required configuration "node.id" which has no default value.'],
    ['a broker that nobody tells of controllers', { 'process.roles': 'broker', 'listeners': 'PLAINTEXT://127.0.0.1:0' }, [], 'If using process.roles, either controller.quorum.bootstrap.servers must contain'],
    ['a voter that is no voter', { 'controller.quorum.voters': '1@127.0.0.1:1' }, [], "If process.roles contains the 'controller' role, the node id 3 must be included in the set of voters controller.quorum.voters=Set(1)"],
    ['a broker that is a voter', { 'process.roles': 'broker', 'listeners': 'PLAINTEXT://127.0.0.1:0', 'controller.quorum.voters': '3@127.0.0.1:1' }, [], "If process.roles contains just the 'broker' role, the node id 3 must not be included in the set of voters controller.quorum.voters=Set(3)"],
    ['a broker with a listener of controllers', { 'process.roles': 'broker', 'controller.quorum.voters': '1@127.0.0.1:1' }, [], "controller.listener.names must not contain a value appearing in the 'listeners' configuration when running KRaft with just the broker role"],
    ['a controller with a listener of brokers', { 'process.roles': 'controller', 'controller.quorum.voters': '3@127.0.0.1:1' }, [], 'The listeners config must only contain KRaft controller listeners from controller.listener.names when process.roles=controller'],
    ['a controller without a listener', { 'listeners': 'PLAINTEXT://127.0.0.1:0' }, ['-s'], "controller.listener.names must contain at least one value appearing in the 'listeners' configuration when running the KRaft controller role"],
    ['a listener that is only a name', { 'controller.listener.names': 'CONTROLLER,OTHER' }, ['-s'], "controller.listener.names must only contain values appearing in the 'listeners' configuration when running the KRaft controller role"],
    ['a feature without a level', {}, ['-s', '-f', 'elig'], "Can't parse feature=level string elig: equals sign not found."],
    ['a level that is no number', {}, ['-s', '-f', 'group.version=abc'], "Can't parse feature=level string group.version=abc: unable to parse abc as a short."],
  ])('refuses %s in Kafka\'s words, and writes nothing', async (what, lines, more, message) => {
    const { config, data } = node(lines);
    const twice = what.startsWith('a directory');
    if (twice) await ottla(['format', '-t', CLUSTER, '-c', config, ...more]);
    const { code, err } = await ottla(['storage', 'format', '-t', CLUSTER, '-c', config, ...more]);
    expect({ code, lines: err.trimEnd().split('\n').length }).toEqual({ code: 1, lines: 1 });
    expect(err).toContain(message);
    expect(existsSync(data)).toBe(twice);
  });

  it('takes no two ways of voters, and needs an id and a file', async () => {
    const { config } = node();
    expect(await ottla(['format', '-t', CLUSTER, '-c', config, '-s', '-N'])).toMatchObject({ code: 2, err: 'ottla: --standalone and --no-initial-controllers cannot be given together\n' });
    expect((await ottla(['format', '-c', config])).err).toContain('format needs --cluster-id ID');
    expect((await ottla(['format', '-t', CLUSTER])).err).toContain('--config FILE is needed');
    expect(await ottla(['format', '-t', CLUSTER, '-c', join(root, 'none')])).toMatchObject({ code: 1, err: expect.stringContaining('there is no ') });
  });
});

describe('storage', () => {
  it('makes ids', async () => {
    const { out } = await ottla(['storage', 'random-uuid']);
    expect(out).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{20}[AQgw]\n$/);
  });

  it('tells the features of a release and what they need, as Kafka\'s tool', async () => {
    expect((await ottla(['storage', 'version-mapping', '-r', '4.2'])).out).toBe(
      'metadata.version=29 (4.2)\nkraft.version=1\ntransaction.version=2\ngroup.version=1\neligible.leader.replicas.version=1\nshare.version=1\nstreams.version=1\n',
    );
    expect((await ottla(['storage', 'feature-dependencies', '-f', 'eligible.leader.replicas.version=1', '-f', 'metadata.version=17'])).out).toBe(
      'eligible.leader.replicas.version=1 requires:\n    metadata.version=23 (4.0-IV1)\nmetadata.version=17 (3.7-IV2) has no dependencies.\n',
    );
    expect(await ottla(['storage', 'feature-dependencies', '-f', 'foo=2'])).toMatchObject({ code: 1, err: 'ottla: Unknown feature: foo\n' });
  });

  it('finds what is wrong with directories', async () => {
    const { config, data } = node();
    expect(await ottla(['storage', 'info', '-c', config])).toMatchObject({ code: 1, out: `Found problem:\n  ${data} does not exist\n\n` });
  });
});
