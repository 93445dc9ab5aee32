/** The port of operators: what it answers, and what slow and hostile clients get. Sockets and time are the test's; one case uses a real socket. */
import { request as httpRequest } from 'node:http';
import { describe, expect, it } from 'vitest';
import { HttpServer, HTTP_LIMITS, plain } from '../../../src/http/http-server.ts';
import type { HttpLimits, Route } from '../../../src/http/http-server.ts';
import { operationsServer } from '../../../src/http/operations.ts';
import { Metrics } from '../../../src/metrics/metrics.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import { FakeNetwork, FakeSocket, FakeTime } from '../server/fake-world.ts';

async function world(limits: Partial<HttpLimits> = {}, routes: Record<string, Route> = { '/a': () => plain(200, 'A'), '/b': () => plain(200, 'B') }) {
  const time = new FakeTime();
  const network = new FakeNetwork();
  const errors: string[] = [];
  const log = { ...silentLogger, error: (line: string) => errors.push(line) };
  const server = new HttpServer({ network, timers: time, clock: time, log, routes: new Map(Object.entries(routes)), limits: { ...HTTP_LIMITS, ...limits } });
  await server.listen({ host: '', port: 0 });
  const connect = (): FakeSocket => {
    const socket = new FakeSocket();
    network.accept(socket);
    return socket;
  };
  return { time, server, connect, errors };
}

const get = (path: string, more = '') => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`);
/** Status lines and bodies of what was written. */
const answers = (socket: FakeSocket) => socket.writes.map((buffers) => `${/^HTTP\/1\.1 (\d+)/.exec(String(buffers[0]))![1]} ${buffers.slice(1).map(String).join('')}`.trimEnd());
const take = (socket: FakeSocket) => socket.written.shift()!();

describe('requests', () => {
  it('are answered with a length, and the connection stays', async () => {
    const { connect } = await world();
    const socket = connect();
    socket.onData(get('/a'));
    expect(String(socket.writes[0]![0])).toBe(
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: keep-alive\r\n\r\n',
    );
    take(socket);
    socket.onData(get('/b?x=1'));
    expect(answers(socket)).toEqual(['200 A', '200 B']);
    expect(socket.ended).toBe('no');
  });

  it('may come byte by byte, and several at once, and are answered in turn', async () => {
    const { connect } = await world();
    const socket = connect();
    for (const byte of get('/a')) socket.onData(Buffer.of(byte));
    expect(answers(socket)).toEqual(['200 A']);
    expect(socket.paused).toBe(true);
    socket.onData(Buffer.concat([get('/b'), get('/a', 'Connection: close\r\n')]));
    expect(answers(socket)).toEqual(['200 A']);
    take(socket);
    expect(answers(socket)).toEqual(['200 A', '200 B']);
    take(socket);
    expect(answers(socket)).toEqual(['200 A', '200 B', '200 A']);
    expect(socket.ended).toBe('end');
  });

  it('know HEAD, HTTP/1.0 and what is not there', async () => {
    const { connect } = await world();
    const ask = (bytes: Buffer | string) => {
      const socket = connect();
      socket.onData(Buffer.from(bytes));
      return [...answers(socket), socket.ended];
    };
    expect(ask('HEAD /a HTTP/1.1\r\nhost: x\r\n\r\n')).toEqual(['200', 'no']);
    expect(ask('GET /a HTTP/1.0\r\n\r\n')).toEqual(['200 A', 'end']);
    expect(ask('GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')).toEqual(['200 A', 'no']);
    expect(ask(get('/c'))).toEqual(['404 there are /a, /b', 'no']);
    expect(ask('POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')).toEqual(['405 GET or HEAD', 'no']);
  });

  it.each([
    ['a body', 'GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello', 413],
    ['chunks', 'GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n', 413],
    ['no host', 'GET /a HTTP/1.1\r\n\r\n', 400],
    ['another protocol', '\u0000\u0000\u0000\u0010\u0000\u0012\u0000\u0003\r\n\r\n', 400],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\n', 505],
    ['a path with a space', 'GET /a b HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['a header without a name', 'GET /a HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n', 400],
    ['a folded header', 'GET /a HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n', 400],
    ['a bare line feed', 'GET /a HTTP/1.1\r\nHost: x\nb: c\r\n\r\n', 400],
    ['too many headers', `GET /a HTTP/1.1\r\nHost: x\r\n${'a: b\r\n'.repeat(101)}\r\n`, 431],
    ['a head too long', `GET /a HTTP/1.1\r\nHost: x\r\na: ${'b'.repeat(9000)}\r\n\r\n`, 431],
    ['a head without an end', 'G'.repeat(8193), 431],
  ])('with %s are refused, and the connection ends', async (_, bytes, status) => {
    const { connect } = await world();
    const socket = connect();
    socket.onData(Buffer.from(bytes, 'latin1'));
    expect(answers(socket)[0]!.slice(0, 3)).toBe(String(status));
    expect(socket.ended).toBe('end');
    expect(answers(socket)).toHaveLength(1);
  });

  it('whose answer fails say so, and the node goes on', async () => {
    const { connect, errors } = await world({}, { '/bad': () => { throw new TypeError('no such thing'); } });
    const socket = connect();
    socket.onData(get('/bad'));
    expect(answers(socket)).toEqual(['500 failed, see the log']);
    expect(errors[0]).toContain('http /bad: TypeError: no such thing');
  });
});

describe('a slow client', () => {
  it('that sends no whole request is closed, however it trickles', async () => {
    const { time, server, connect } = await world({ requestMsMax: 1000 });
    const socket = connect();
    for (let i = 0; i < 9; i++) {
      socket.onData(Buffer.from('G'));
      await time.advance(100);
    }
    expect(socket.ended).toBe('no');
    await time.advance(100);
    expect(socket.ended).toBe('destroy');
    expect(server.connections).toBe(0);
    expect(time.pendingTimers).toBe(0);
  });

  it('that does not take its answer is closed', async () => {
    const { time, connect } = await world({ answerMsMax: 500, requestMsMax: 1000 });
    const socket = connect();
    socket.onData(get('/a'));
    await time.advance(500);
    expect(socket.ended).toBe('destroy');
  });

  it('that idles between requests is closed', async () => {
    const { time, connect } = await world({ requestMsMax: 1000 });
    const socket = connect();
    socket.onData(get('/a'));
    take(socket);
    await time.advance(999);
    expect(socket.ended).toBe('no');
    await time.advance(1);
    expect(socket.ended).toBe('destroy');
  });

  it('that sends on while its answer waits is not kept in memory', async () => {
    const { connect } = await world();
    const socket = connect();
    socket.onData(get('/a'));
    socket.onData(Buffer.alloc(2 * HTTP_LIMITS.headBytesMax + 1, 'x'));
    expect(socket.ended).toBe('destroy');
  });
});

describe('connections', () => {
  it('are limited: an idle one makes room, a busy one does not', async () => {
    const { server, connect } = await world({ connectionsMax: 2 });
    const [first, second] = [connect(), connect()];
    first.onData(get('/a'));
    const third = connect();
    expect([first.ended, second.ended, third.ended]).toEqual(['no', 'destroy', 'no']);
    third.onData(get('/a'));
    const fourth = connect();
    expect(fourth.ended).toBe('destroy');
    expect(server.connections).toBe(2);
  });

  it('are all closed with the server, and leave no timer', async () => {
    const { time, server, connect } = await world();
    const sockets = [connect(), connect()];
    sockets[0]!.onData(get('/a'));
    await server.close();
    expect(sockets.map(({ ended }) => ended)).toEqual(['destroy', 'destroy']);
    expect(time.pendingTimers).toBe(0);
  });
});

describe('the operators\' routes', () => {
  it('tell health, readiness with its reasons, and metrics to a real client', async () => {
    const reasons = ['the broker is fenced'];
    const metrics = new Metrics();
    metrics.gauge('kafka_controller_kafkacontroller_activecontrollercount', 'x', () => 1);
    const server = operationsServer({ runtime: nodeRuntime(), log: silentLogger, metrics, unready: () => reasons });
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    const ask = (path: string) =>
      new Promise<{ status: number; type: string; text: string }>((resolve, reject) => {
        httpRequest({ host: '127.0.0.1', port, path }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk)).on('end', () => resolve({ status: response.statusCode!, type: response.headers['content-type']!, text }));
        }).on('error', reject).end();
      });
    try {
      expect(await ask('/healthz')).toMatchObject({ status: 200, text: 'ok\n' });
      expect(await ask('/readyz')).toMatchObject({ status: 503, text: 'the broker is fenced\n' });
      reasons.pop();
      expect(await ask('/readyz')).toMatchObject({ status: 200, text: 'ready\n' });
      const told = await ask('/metrics');
      expect(told.type).toBe('text/plain; version=0.0.4; charset=utf-8');
      expect(told.text).toContain('\nkafka_controller_kafkacontroller_activecontrollercount 1\n');
      expect((await ask('/')).status).toBe(404);
    } finally {
      await server.close();
    }
  });

  /** A registry whose every family takes 10 ms of the clock to tell. */
  async function slowly(families: number) {
    const time = new FakeTime();
    const network = new FakeNetwork();
    const metrics = new Metrics();
    const clock = { nowMs: 0, looks: 0, monotonicMs: () => clock.nowMs, wallMs: () => 0 };
    for (let i = 0; i < families; i++) metrics.gauge(`looks${i}`, 'x', () => ((clock.nowMs += 10), ++clock.looks));
    const server = operationsServer({ runtime: { network, timers: time, clock }, log: silentLogger, metrics, unready: () => [] });
    await server.listen({ host: '', port: 0 });
    const connect = (): FakeSocket => {
      const socket = new FakeSocket();
      network.accept(socket);
      return socket;
    };
    return { time, clock, connect };
  }

  it('are scraped at a fifth of the processor at most, in the long run', async () => {
    const { time, clock, connect } = await slowly(1);
    const socket = connect();
    const scrape = async (): Promise<number> => {
      socket.onData(get('/metrics'));
      while (socket.written.length === 0) await time.turn();
      take(socket);
      return Number(/looks0 (\d+)/.exec(String(socket.writes.at(-1)![1]))![1]);
    };
    // Half a second of it is in hand, and the 10 ms of each look give 2 ms back: 63 looks, and then the same again and again. 100 ms are good for some more.
    const seen: number[] = [];
    for (let i = 0; i < 200; i++) seen.push(await scrape());
    expect(seen.slice(0, 60)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
    expect(new Set(seen).size).toBe(63);
    clock.nowMs += 100;
    const more = new Set([await scrape(), await scrape(), await scrape(), await scrape()]);
    expect(more.size).toBeLessThan(4);
    expect(more.has(64)).toBe(true);
  });

  it('tell many numbers in slices, between which the node does its work, and those who ask meanwhile share them', async () => {
    const { time, clock, connect } = await slowly(3);
    const [first, second, gone] = [connect(), connect(), connect()];
    first.onData(get('/metrics'));
    second.onData(get('/metrics'));
    gone.onData(get('/metrics'));
    gone.onClose();
    expect(clock.looks).toBe(1);
    await time.turn();
    expect(clock.looks).toBe(2);
    expect(first.writes).toEqual([]);
    while (second.writes.length === 0) await time.turn();
    expect(clock.looks).toBe(3);
    expect(String(first.writes[0]![1])).toBe(String(second.writes[0]![1]));
    expect(String(first.writes[0]![1])).toContain('\nlooks2 3\n');
    expect(gone.writes).toEqual([]);
  });
});
