/** Real sockets on 127.0.0.1: order, back-pressure, the end of a connection from either side. */
import { afterEach, expect, test } from 'vitest';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import type { Listener, Socket } from '../../../src/runtime/runtime.ts';

const { network } = nodeRuntime();
const open: { listener?: Listener; sockets: Socket[] } = { sockets: [] };

afterEach(async () => {
  for (const socket of open.sockets.splice(0)) socket.destroy();
  await open.listener?.close();
});

interface End {
  socket: Socket;
  data: Buffer[];
  closed: Promise<Error | undefined>;
  closes: number;
  /** Resolves when so many bytes have come. */
  received: (bytes: number) => Promise<Buffer>;
}

function watch(socket: Socket): End {
  open.sockets.push(socket);
  let wake = (): void => {};
  const end: End = {
    socket,
    data: [],
    closes: 0,
    closed: new Promise((resolve) => {
      socket.onClose = (error) => {
        end.closes++;
        resolve(error);
      };
    }),
    async received(bytes) {
      while (Buffer.concat(end.data).length < bytes) await new Promise<void>((resolve) => (wake = resolve));
      return Buffer.concat(end.data);
    },
  };
  socket.onData = (chunk) => {
    end.data.push(Buffer.from(chunk));
    wake();
  };
  return end;
}

async function pair(): Promise<{ client: End; server: End }> {
  let accepted!: (end: End) => void;
  const server = new Promise<End>((resolve) => (accepted = resolve));
  open.listener = await network.listen({ host: '127.0.0.1', port: 0 }, (socket) => accepted(watch(socket)));
  const client = watch(await network.connect({ host: '127.0.0.1', port: open.listener.port, timeoutMs: 5_000 }));
  return { client, server: await server };
}

test('the addresses of both ends', async () => {
  const { client, server } = await pair();
  expect(open.listener!.host).toBe('127.0.0.1');
  expect(server.socket.localPort).toBe(open.listener!.port);
  expect(server.socket.remotePort).toBe(client.socket.localPort);
  expect([server.socket.remoteAddress, server.socket.localAddress, client.socket.remoteAddress]).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.1']);
});

test('listening on all addresses shows IPv4 peers as such', async () => {
  let accepted!: (socket: Socket) => void;
  const server = new Promise<Socket>((resolve) => (accepted = resolve));
  open.listener = await network.listen({ host: '', port: 0 }, accepted);
  watch(await network.connect({ host: '127.0.0.1', port: open.listener.port, timeoutMs: 5_000 }));
  const socket = await server;
  watch(socket);
  expect(socket.remoteAddress).toBe('127.0.0.1');
  expect(socket.localAddress).toBe('127.0.0.1');
});

test('buffers arrive in order, however they were handed in', async () => {
  const { client, server } = await pair();
  const sent: Buffer[] = [];
  for (let index = 0; index < 300; index++) {
    const buffers = Array.from({ length: index % 7 }, (_, each) => Buffer.alloc((index * 37 + each * 911) % 3000, index & 0xff));
    client.socket.write(buffers);
    sent.push(...buffers);
  }
  const expected = Buffer.concat(sent);
  expect((await server.received(expected.length)).equals(expected)).toBe(true);
});

test('a peer that does not read fills the queue, and draining tells of room', async () => {
  const { client, server } = await pair();
  server.socket.pause();
  const block = Buffer.alloc(1_048_576, 'x');
  let sent = 0;
  do sent += block.length;
  while (client.socket.write([block]) || client.socket.queuedBytes === 0);
  expect(client.socket.queuedBytes).toBeGreaterThanOrEqual(block.length);
  const drained = new Promise<void>((resolve) => (client.socket.onDrain = resolve));
  server.socket.resume();
  await drained;
  expect(client.socket.queuedBytes).toBe(0);
  expect((await server.received(sent)).length).toBe(sent);
});

test('end sends what is queued, then both ends close without an error', async () => {
  const { client, server } = await pair();
  client.socket.write([Buffer.alloc(3_000_000, 'y')]);
  client.socket.end();
  expect(await server.closed).toBeUndefined();
  expect(await client.closed).toBeUndefined();
  expect(Buffer.concat(server.data).length).toBe(3_000_000);
  expect(client.socket.write([Buffer.from('late')])).toBe(false);
  server.socket.destroy();
  expect([client.closes, server.closes]).toEqual([1, 1]);
});

test('destroy ends at once; a peer that broke off is an error, once', async () => {
  const { client, server } = await pair();
  server.socket.pause();
  while (client.socket.queuedBytes === 0) client.socket.write([Buffer.alloc(1_048_576)]);
  // Unread bytes make the kernel answer with a reset.
  server.socket.destroy();
  expect(await server.closed).toBeUndefined();
  const error = await client.closed;
  expect((error as NodeJS.ErrnoException).code).toMatch(/ECONNRESET|EPIPE/);
  expect([client.closes, server.closes]).toEqual([1, 1]);
});

test('a port in use, a port where nobody listens, an address that is not ours', async () => {
  open.listener = await network.listen({ host: '127.0.0.1', port: 0 }, () => {});
  const { port } = open.listener;
  await expect(network.listen({ host: '127.0.0.1', port }, () => {})).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await expect(network.listen({ host: '192.0.2.1', port: 0 }, () => {})).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  await open.listener.close();
  await open.listener.close();
  await expect(network.connect({ host: '127.0.0.1', port, timeoutMs: 5_000 })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await expect(network.listen({ host: '127.0.0.1', port }, () => {}).then((listener) => listener.close())).resolves.toBeUndefined();
});

test('a closed listener keeps its connections', async () => {
  const { client, server } = await pair();
  await open.listener!.close();
  client.socket.write([Buffer.from('still here')]);
  expect((await server.received(10)).toString()).toBe('still here');
});
