/** From a frame to an answer: what is answered, what closes the connection, and what ends the process. */
import assert from 'node:assert';
import { describe, expect, test } from 'vitest';
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts';
import { decodeResponseFrame, encodeRequestFrame } from '../../../protocol/frame.ts';
import { ApiVersions } from '../../../protocol/messages/cluster.ts';
import { Heartbeat } from '../../../protocol/messages/groups.ts';
import type { Node } from '../../../src/api/node.ts';
import { closeConnection, noAnswer, serve } from '../../../src/api/serve.ts';
import type { Served } from '../../../src/api/serve.ts';
import { Metrics } from '../../../src/metrics/metrics.ts';
import { RequestMetrics } from '../../../src/metrics/request-metrics.ts';
import { MetadataImage } from '../../../src/quorum/image.ts';
import { versionApis } from '../../../src/api/versions.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { Turn } from '../../../src/runtime/turn.ts';
import { Dispatcher } from '../../../src/server/dispatch.ts';
import { Server } from '../../../src/server/server.ts';
import { FakeNetwork, FakeSocket, FakeTime } from './fake-world.ts';

type Handle = () => unknown;

async function world(handle: Handle = () => ({ errorCode: 0 })) {
  const time = new FakeTime();
  const network = new FakeNetwork();
  const lines: string[] = [];
  const bugs: Error[] = [];
  const log = { ...silentLogger, warn: (line: string) => lines.push(line), error: (line: string) => lines.push(line) };
  const apis: Served[] = [serve(Heartbeat, '1-3', { handle: handle as never, onError: (code) => ({ errorCode: code }) }), ...versionApis(() => apis)];
  const node = { image: () => MetadataImage.EMPTY, kraftVersion: () => 1 } as Partial<Node> as Node;
  const metrics = new Metrics();
  const dispatcher = new Dispatcher({ apis, node, log, onBug: (error) => bugs.push(error), metrics: { requests: new RequestMetrics(metrics, String), clock: time } });
  const server = new Server({
    network, timers: time, clock: time, turn: new Turn(time), log, dispatch: (connection, frame) => dispatcher.dispatch(connection, frame), deviceReads: () => 0,
    limits: {
      frameBytesMax: 1 << 20, requestsInFlightMax: 100, bytesInFlightMax: 1 << 20, outputBytesMax: 1 << 20, connectionsMax: 10, connectionsPerAddressMax: 10,
      connectionsPerAddressOverrides: new Map(), bytesInFlightTotalMax: 1 << 20, idleMsMax: 1000, firstRequestMsMax: 1000,
    },
  });
  await server.listen({ name: 'PLAINTEXT', kind: 'broker' }, { host: '', port: 1 });
  server.serve();
  const socket = new FakeSocket();
  network.accept(socket);
  const heartbeat = (version: number, correlationId = 7) =>
    socket.onData(Buffer.concat(encodeRequestFrame(Heartbeat, version, { correlationId, clientId: 'c' }, { groupId: 'g', generationId: 1, memberId: 'm' })));
  return { time, socket, heartbeat, lines, bugs, metrics };
}

const written = (socket: FakeSocket): Buffer => Buffer.concat(socket.writes.flat());
const heartbeatAnswer = (socket: FakeSocket, version: number) => decodeResponseFrame(Heartbeat, version, written(socket).subarray(4));

describe('dispatch', () => {
  test('tells how long requests have waited for each other, been served, and waited to leave', async () => {
    const { time, socket, metrics } = await world(() => {
      time.takes(10);
      return { errorCode: ErrorCode.NONE };
    });
    const frame = (correlationId: number) => Buffer.concat(encodeRequestFrame(Heartbeat, 1, { correlationId, clientId: 'c' }, { groupId: 'g', generationId: 1, memberId: 'm' }));
    // Two that are read at once: the second waits for the first, and the first for the end of the turn.
    socket.onData(Buffer.concat([frame(1), frame(2)]));
    await time.turn();
    socket.onData(frame(3));
    await time.turn();
    const sums = ['total', 'requestqueue', 'local', 'remote', 'responsequeue'].map((name) => {
      const of = (what: string) => metrics.text(0).split('\n').find((line) => line.startsWith(`kafka_network_requestmetrics_${name}timems_${what}{request="Heartbeat"}`))!.split(' ')[1];
      return [name, Number(of('sum')), Number(of('count'))];
    });
    expect(sums).toEqual([['total', 40, 3], ['requestqueue', 10, 3], ['local', 30, 3], ['remote', 0, 3], ['responsequeue', 10, 3]]);
  });

  test('answers with the correlation id of the request', async () => {
    const { time, socket, heartbeat } = await world(() => ({ errorCode: ErrorCode.ILLEGAL_GENERATION }));
    heartbeat(2, 99);
    await time.turn();
    expect(heartbeatAnswer(socket, 2)).toEqual({ correlationId: 99, body: { throttleTimeMs: 0, errorCode: ErrorCode.ILLEGAL_GENERATION } });
  });

  test.each([['thrown', () => { throw new KafkaError(ErrorCode.NOT_COORDINATOR); }], ['rejected', () => Promise.reject(new KafkaError(ErrorCode.NOT_COORDINATOR))]])(
    'a KafkaError %s by a handler is the answer', async (_how, handle) => {
      const { time, socket, heartbeat, lines } = await world(handle);
      heartbeat(1);
      await time.turn();
      expect(heartbeatAnswer(socket, 1).body.errorCode).toBe(ErrorCode.NOT_COORDINATOR);
      expect(lines).toEqual([]);
    });

  test('any other error of a handler is UNKNOWN_SERVER_ERROR, with its stack in the log', async () => {
    const { time, socket, heartbeat, lines } = await world(() => { throw new TypeError('not a function'); });
    heartbeat(1);
    await time.turn();
    expect(heartbeatAnswer(socket, 1).body.errorCode).toBe(ErrorCode.UNKNOWN_SERVER_ERROR);
    expect(lines.join()).toContain('TypeError: not a function');
  });

  test('an assertion is nobody\'s answer', async () => {
    const { time, socket, heartbeat, bugs } = await world(() => { assert(false); });
    heartbeat(1);
    await time.turn();
    expect(bugs).toHaveLength(1);
    expect(socket.writes).toEqual([]);
  });

  test('no answer, and an answer that closes', async () => {
    const silent = await world(() => noAnswer);
    silent.heartbeat(1);
    await silent.time.turn();
    expect([silent.socket.writes, silent.socket.ended]).toEqual([[], 'no']);
    const closing = await world(async () => closeConnection);
    closing.heartbeat(1);
    await closing.time.turn();
    expect([closing.socket.writes, closing.socket.ended]).toEqual([[], 'destroy']);
  });

  test('a response that does not encode closes the connection, so that nobody waits for it', async () => {
    const { time, socket, heartbeat, lines } = await world(() => ({ errorCode: 1e9 }));
    heartbeat(1);
    await time.turn();
    expect(socket.ended).toBe('destroy');
    expect(lines.join()).toContain('does not encode');
  });
});

describe('what is no request of ours closes the connection with one line', () => {
  test.each([
    ['an API that is not served', (frame: Buffer) => frame.writeInt16BE(0, 4), 'API key 0'],
    ['an API that nobody knows', (frame: Buffer) => frame.writeInt16BE(999, 4), 'API key 999'],
    ['a version that is not served', (frame: Buffer) => frame.writeInt16BE(0, 6), 'Heartbeat version 0, which is not served (1 to 3 are)'],
    ['a body cut short', (frame: Buffer) => frame.writeInt32BE(frame.length - 4 - 2, 0), 'Heartbeat version 1'],
  ])('%s', async (_what, spoil, line) => {
    const { time, socket, lines } = await world();
    const frame = Buffer.concat(encodeRequestFrame(Heartbeat, 1, { correlationId: 1, clientId: 'c' }, { groupId: 'g', generationId: 1, memberId: 'm' }));
    spoil(frame);
    socket.onData(frame);
    await time.turn();
    expect([socket.ended, lines.length]).toEqual(['destroy', 1]);
    expect(lines[0]).toContain(line);
  });

  test('a frame without a header', async () => {
    const { socket, lines } = await world();
    socket.onData(Buffer.from([0, 0, 0, 3, 1, 2, 3]));
    expect([socket.ended, lines.length]).toEqual(['destroy', 1]);
  });
});

describe('ApiVersions', () => {
  const ask = (socket: FakeSocket, version: number, name = 'test-client', software = '1.0') =>
    socket.onData(Buffer.concat(encodeRequestFrame(ApiVersions, version, { correlationId: 5, clientId: null }, { clientSoftwareName: name, clientSoftwareVersion: software })));

  test('tells exactly what is served', async () => {
    const { time, socket } = await world();
    ask(socket, 4);
    await time.turn();
    const { body } = decodeResponseFrame(ApiVersions, 4, written(socket).subarray(4));
    expect(body.apiKeys).toEqual([{ apiKey: 12, minVersion: 1, maxVersion: 3 }, { apiKey: 18, minVersion: 0, maxVersion: 4 }]);
    expect(body.finalizedFeatures).toContainEqual({ name: 'kraft.version', minVersionLevel: 1, maxVersionLevel: 1 });
  });

  test('from the future is answered in version 0, with what to ask for', async () => {
    const { time, socket } = await world();
    const frame = Buffer.concat(encodeRequestFrame(ApiVersions, 4, { correlationId: 5, clientId: null }, { clientSoftwareName: 'x', clientSoftwareVersion: '1' }));
    frame.writeInt16BE(77, 6);
    socket.onData(frame);
    await time.turn();
    const { correlationId, body } = decodeResponseFrame(ApiVersions, 0, written(socket).subarray(4));
    expect([correlationId, body.errorCode, body.apiKeys]).toEqual([5, ErrorCode.UNSUPPORTED_VERSION, [{ apiKey: 18, minVersion: 0, maxVersion: 4 }]]);
    expect(socket.ended).toBe('no');
  });

  test('leaves out ranges from 0 for clients that cannot read them', async () => {
    const { time, socket } = await world();
    ask(socket, 3);
    await time.turn();
    const { body } = decodeResponseFrame(ApiVersions, 3, written(socket).subarray(4));
    expect(body.supportedFeatures.map((feature) => feature.name)).toEqual(['metadata.version']);
  });

  test.each([['', '1.0'], ['-bad', '1.0'], ['good', 'a b']])('refuses the client name %j in version %j', async (name, software) => {
    const { time, socket } = await world();
    ask(socket, 3, name, software);
    await time.turn();
    expect(decodeResponseFrame(ApiVersions, 3, written(socket).subarray(4)).body.errorCode).toBe(ErrorCode.INVALID_REQUEST);
  });
});
