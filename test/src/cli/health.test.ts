/** `ottla health` and `--http` as they are typed: a node that is ready, one that is not, and none. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts } from '../../../src/node/cluster-plan.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import { ottla, RunningOttla } from './ottla.ts';

let node: RunningOttla;
let port: number;

beforeAll(async () => {
  [port] = (await freePorts(nodeRuntime().network, '127.0.0.1', 1)) as [number];
  node = await RunningOttla.start(['--memory', '--port', '0', '--http', String(port)]);
});

afterAll(async () => {
  await node.stop('SIGKILL');
});

describe('health', () => {
  it('asks the port of operators, by an option or by what the environment sets', async () => {
    expect(await ottla(['health', '--http', String(port)])).toEqual({ code: 0, out: `ready at 127.0.0.1:${port}\n`, err: '' });
    expect(await ottla(['health'], { env: { KAFKA_OTTLA_HTTP: `:${port}` } })).toMatchObject({ code: 0, out: `ready at localhost:${port}\n` });
    expect(await ottla(['health', '-b', node.bootstrap])).toMatchObject({ code: 0, out: expect.stringContaining(`answers at ${node.bootstrap}`) });
  });

  it('says why a node is not ready', async () => {
    const server = createServer((_, answer) => answer.writeHead(503, { 'content-length': 36 }).end('the broker is fenced\nanother reason\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    expect(await ottla(['health', '--http', String((server.address() as AddressInfo).port)])).toEqual({ code: 1, out: '', err: 'ottla: not ready: the broker is fenced; another reason\n' });
    server.close();
  });

  it('says so when nobody answers, in one line', async () => {
    expect(await ottla(['health', '--http', '1'])).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/^ottla: 127\.0\.0\.1:1 does not answer: .*\n$/) });
    expect(await ottla(['health', '--http', 'x:y'])).toMatchObject({ code: 2, err: 'ottla: ottla.http = x:y: it should be PORT, :PORT or HOST:PORT\n' });
    expect((await ottla(['health', '--http', '1', '-b', 'x'])).code).toBe(2);
  });

  it('finds the metrics of the process beside those of the broker', async () => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'kafka_server_replicamanager_underreplicatedpartitions', 'kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent']) {
      expect(text).toMatch(new RegExp(`^${name} [0-9.]+$`, 'm'));
    }
  });
});

describe('a port that is taken', () => {
  it('ends the start with one line', async () => {
    expect(await ottla(['start', '--memory', '--port', '0', '--quiet', '--http', String(port)])).toMatchObject({ code: 1, out: '', err: expect.stringContaining(`port ${port}`) });
  });
});
