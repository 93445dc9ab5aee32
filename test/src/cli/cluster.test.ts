/** `ottla --nodes`: a cluster in threads that comes up together, goes down together, and says in one line what is wrong. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ottla, RunningOttla } from './ottla.ts';

const root = mkdtempSync(join(tmpdir(), 'ottla-nodes-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('ottla --nodes 3', { timeout: 60_000 }, () => {
  it('serves from each node when it says so, stops on the first signal, and keeps what it has', async () => {
    const dataDir = join(root, 'data');
    const first = await RunningOttla.start(['--nodes', '3', '-p', '0', '-d', dataDir, '--quiet', '--set', 'default.replication.factor=3']);
    expect(first.readyLine).toMatch(/^ottla ready on (127\.0\.0\.1:[0-9]+,){2}127\.0\.0\.1:[0-9]+ \(cluster [A-Za-z0-9_-]{22}, 3 nodes, data in \S+, [0-9]+ ms\)$/);
    expect(readdirSync(dataDir).sort()).toEqual(['node-1', 'node-2', 'node-3']);
    const servers = first.bootstrap.split(',');
    expect((await ottla(['produce', 'kept', 'a', 'b', '-b', servers[0]!])).code).toBe(0);
    for (const server of servers) expect((await ottla(['consume', 'kept', '--end', '-b', server])).out).toBe('a\nb\n');
    expect(JSON.parse((await ottla(['topics', '--json', '-b', servers[1]!])).out)).toEqual({ name: 'kept', partitions: 1, replicationFactor: 3 });
    expect(await first.stop('SIGINT')).toMatchObject({ code: 0, out: `${first.readyLine}\n`, err: '' });
    for (const node of readdirSync(dataDir)) expect(readdirSync(join(dataDir, node))).toContain('.kafka_cleanshutdown');

    const second = await RunningOttla.start(['--nodes', '3', '-p', '0', '-d', dataDir]);
    expect((await ottla(['consume', 'kept', '--end', '-b', second.bootstrap])).out).toBe('a\nb\n');
    expect((await second.stop('SIGTERM')).code).toBe(0);
  });

  it('stops while it starts', async () => {
    const running = RunningOttla.start(['--nodes', '3', '-p', '0', '--memory']);
    const { code } = await (await running).stop('SIGINT', 'SIGINT', 'SIGTERM', 'SIGTERM');
    expect([0, 130, 143]).toContain(code);
  });

  it('ends with one line when a node cannot start', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const { code, out, err } = await ottla(['--nodes', '3', '--memory', '--quiet', '-p', String(port - 1)]);
    taken.close();
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(new RegExp(`^ottla: node 2: .*${port}.*\\n$`));
  });

  it.each([
    [['--nodes', '0'], 'nodes'],
    [['--nodes', '40'], 'at most 9 nodes'],
    [['--nodes', '3', '-s', 'node.id=7'], 'node.id differs between the nodes of a cluster'],
    [['--nodes', '3', '-s', 'listeners=PLAINTEXT://:1'], 'listeners differs between the nodes of a cluster'],
  ])('refuses %j', async (argv, text) => {
    const { code, out, err } = await ottla([...argv, '--memory']);
    expect([code, out, err.split('\n').length]).toEqual([2, '', 2]);
    expect(err).toContain(text);
  });
});
