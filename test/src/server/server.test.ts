/** Connections and their limits: order of answers, back-pressure, idleness, how many there may be. */
import { describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { Turn } from '../../../src/runtime/turn.ts';
import type { Connection, Slot } from '../../../src/server/connection.ts';
import { Server } from '../../../src/server/server.ts';
import type { ServerLimits } from '../../../src/server/server.ts';
import { FakeNetwork, FakeSocket, FakeTime } from './fake-world.ts';

const LIMITS: ServerLimits = {
  frameBytesMax: 1000, requestsInFlightMax: 4, bytesInFlightMax: 500, outputBytesMax: 1000, connectionsMax: 3, connectionsPerAddressMax: 2,
  connectionsPerAddressOverrides: new Map([['10.0.0.9', 1]]), bytesInFlightTotalMax: 800, idleMsMax: 10_000, firstRequestMsMax: 1000,
};

async function world(limits: Partial<ServerLimits> = {}) {
  const time = new FakeTime();
  const network = new FakeNetwork();
  const lines: string[] = [];
  const served: { frame: string; slot: Slot; connection: Connection }[] = [];
  const server = new Server({
    network, timers: time, clock: time, turn: new Turn(time), limits: { ...LIMITS, ...limits }, deviceReads: () => 0,
    log: { ...silentLogger, warn: (line) => lines.push(line) },
    dispatch: (connection, frame) => served.push({ frame: String(frame), slot: connection.enqueue(frame.length), connection }),
  });
  await server.listen({ name: 'PLAINTEXT', kind: 'broker' }, { host: '', port: 9092 });
  server.serve();
  const connect = (address?: string) => {
    const socket = new FakeSocket(address);
    network.accept(socket);
    return socket;
  };
  const answer = (i: number, text: string | null) => served[i]!.connection.answer(served[i]!.slot, text === null ? null : [Buffer.from(text)]);
  return { time, network, server, lines, served, connect, answer };
}

function frame(payload: string): Buffer {
  const head = Buffer.alloc(4);
  head.writeInt32BE(payload.length);
  return Buffer.concat([head, Buffer.from(payload)]);
}

describe('answers', () => {
  test('leave in the order of the requests, in one write a turn', async () => {
    const { time, connect, answer } = await world();
    const socket = connect();
    socket.onData(Buffer.concat([frame('a'), frame('b'), frame('c')]));
    answer(2, 'C');
    answer(1, 'B');
    await time.turn();
    expect(socket.text()).toBe('');
    answer(0, 'A');
    await time.turn();
    expect(socket.text()).toBe('ABC');
    expect(socket.writes).toHaveLength(1);
  });

  test('a request without an answer does not hold up the next', async () => {
    const { time, connect, answer } = await world();
    const socket = connect();
    socket.onData(Buffer.concat([frame('a'), frame('b')]));
    answer(1, 'B');
    answer(0, null);
    await time.turn();
    expect(socket.text()).toBe('B');
  });

  test('say when they have left, and never say so when the connection ends before', async () => {
    const { time, served, connect, answer } = await world();
    const [stays, ends] = [connect(), connect()];
    const sent: string[] = [];
    for (const [i, socket] of [stays, ends].entries()) {
      socket.onData(frame('a'));
      served[i]!.slot.sent = () => void sent.push(String(i));
      answer(i, 'A');
    }
    ends.onClose();
    await time.turn();
    expect(sent).toEqual([]);
    for (const call of [...stays.written, ...ends.written]) call();
    expect(sent).toEqual(['0']);
  });

  test('that come after the connection closed go nowhere', async () => {
    const { time, server, connect, answer } = await world();
    const socket = connect();
    socket.onData(frame('a'));
    socket.onClose();
    answer(0, 'A');
    await time.turn();
    expect(socket.text()).toBe('');
    expect(server.budget.bytes).toBe(0);
    expect(server.connections).toBe(0);
  });
});

describe('back-pressure', () => {
  test('requests in flight: reading pauses at the limit and resumes below it', async () => {
    const { time, connect, answer } = await world();
    const socket = connect();
    socket.onData(Buffer.concat(['a', 'b', 'c', 'd'].map(frame)));
    expect(socket.paused).toBe(true);
    answer(0, 'A');
    await time.turn();
    expect(socket.paused).toBe(false);
  });

  test('bytes in flight of one connection', async () => {
    const { time, connect, answer } = await world();
    const socket = connect();
    socket.onData(frame('x'.repeat(500)));
    expect(socket.paused).toBe(true);
    answer(0, 'A');
    await time.turn();
    expect(socket.paused).toBe(false);
  });

  test('bytes in flight of all: whoever adds to a spent budget waits until another is answered', async () => {
    const { time, server, connect, answer } = await world();
    const [one, two] = [connect(), connect()];
    one.onData(frame('x'.repeat(450)));
    two.onData(frame('y'.repeat(400)));
    expect([one.paused, two.paused]).toEqual([false, true]);
    answer(0, 'A');
    await time.turn();
    expect(two.paused).toBe(false);
    answer(1, 'B');
    expect(server.budget.bytes).toBe(0);
  });

  test('unfinished frames count, and when they alone spend the budget the largest has to go, whoever sends next', async () => {
    const { server, lines, connect } = await world();
    const [one, two] = [connect(), connect()];
    one.onData(frame('x'.repeat(900)).subarray(0, 504));
    two.onData(frame('y'.repeat(900)).subarray(0, 404));
    expect([one.ended, two.ended]).toEqual(['destroy', 'no']);
    expect(lines.join()).toContain('its unfinished frame holds 500 bytes of the 900 that unfinished frames hold, the limit is 800');
    expect(server.budget.bytes).toBe(400);
    two.onClose();
    expect(server.budget.bytes).toBe(0);
  });

  test('paused, with nothing left but unfinished frames: reading goes on, and with the next that is added the largest has to go', async () => {
    const { time, server, connect, answer } = await world();
    const [one, two, three] = [connect('10.0.0.1'), connect('10.0.0.2'), connect('10.0.0.3')];
    three.onData(frame('z'));
    one.onData(frame('x'.repeat(900)).subarray(0, 504));
    two.onData(frame('y'.repeat(900)).subarray(0, 404));
    expect([one.ended, two.ended, two.paused]).toEqual(['no', 'no', true]);
    answer(0, 'Z');
    await time.turn();
    expect([one.paused, two.paused]).toEqual([false, false]);
    two.onData(Buffer.from('y'));
    expect([one.ended, two.ended]).toEqual(['destroy', 'no']);
    expect(server.budget.bytes).toBe(401);
  });

  test('an answer that has left is not held because a later request is still being served', async () => {
    const { served, connect, answer } = await world();
    connect().onData(Buffer.concat([frame('a'), frame('b')]));
    served[0]!.slot.sent = () => {};
    answer(0, 'A');
    expect([served[0]!.slot.answer, served[0]!.slot.sent]).toEqual([null, undefined]);
  });

  test('a client that does not take its answers is not read from', async () => {
    const { time, connect, answer } = await world();
    const socket = connect();
    socket.onData(frame('a'));
    socket.queuedBytes = 1001;
    answer(0, 'A');
    await time.turn();
    expect(socket.paused).toBe(true);
    socket.queuedBytes = 0;
    socket.onDrain();
    expect(socket.paused).toBe(false);
  });
});

describe('who may stay', () => {
  test('a frame over the limit closes that connection and no other', async () => {
    const { lines, connect } = await world();
    const [bad, good] = [connect(), connect()];
    bad.onData(frame('x'.repeat(1001)));
    expect([bad.ended, good.ended]).toEqual(['destroy', 'no']);
    expect(lines).toEqual(['connection 1 from 127.0.0.1 closed: frame of 1001 bytes, the limit is 1000 (socket.request.max.bytes)']);
  });

  test('connections in all, per address, and by the override for an address', async () => {
    const { server, connect, lines } = await world();
    const first = connect('10.0.0.1');
    connect('10.0.0.1');
    expect(connect('10.0.0.1').ended).toBe('destroy');
    expect(connect('10.0.0.9').ended).toBe('no');
    expect(connect('10.0.0.2').ended).toBe('destroy');
    expect(server.connections).toBe(3);
    expect(server.refused).toBe(2);
    expect(lines).toHaveLength(1);
    first.onClose();
    expect(connect('10.0.0.9').ended).toBe('destroy');
    expect(connect('10.0.0.1').ended).toBe('no');
  });

  test('silence from the start, silence after a request, and a wait for an answer, which is not silence', async () => {
    const { time, connect, answer } = await world();
    const [silent, spoke, waits] = [connect('10.0.0.1'), connect('10.0.0.2'), connect('10.0.0.3')];
    spoke.onData(frame('a'));
    answer(0, 'A');
    waits.onData(frame('b'));
    await time.advance(1500);
    expect([silent.ended, spoke.ended, waits.ended]).toEqual(['destroy', 'no', 'no']);
    await time.advance(10_000);
    expect([spoke.ended, waits.ended]).toEqual(['destroy', 'no']);
    answer(1, 'B');
    await time.turn();
    await time.advance(11_000);
    expect(waits.ended).toBe('destroy');
  });

  test('bytes that never make a whole request do not keep a connection alive', async () => {
    const { time, connect } = await world();
    const slow = connect();
    for (let i = 0; i < 4; i++) {
      slow.onData(Buffer.from([0]));
      await time.advance(400);
    }
    expect(slow.ended).toBe('destroy');
  });
});

describe('stop', () => {
  test('accepts no more, answers what is being served, then ends', async () => {
    const { time, server, network, connect, answer } = await world();
    const [idle, busy] = [connect(), connect()];
    busy.onData(frame('a'));
    const stopped = server.stop(5000);
    await time.turn();
    expect(network.listening).toBe(false);
    expect([idle.ended, busy.ended, connect('10.0.0.4').ended]).toEqual(['end', 'no', 'destroy']);
    answer(0, 'A');
    await time.turn();
    expect([busy.text(), busy.ended]).toEqual(['A', 'end']);
    // A paused socket would not hear of its peer's end, and stay.
    expect([idle.paused, busy.paused]).toEqual([false, false]);
    idle.onClose();
    busy.onClose();
    await stopped;
    expect(time.pendingTimers).toBe(0);
  });

  test('reads no more from the moment it is asked to', async () => {
    const { server, connect } = await world();
    const busy = connect();
    busy.onData(frame('a'));
    void server.stop(5000);
    expect(busy.paused).toBe(true);
  });

  test('a peer that never ends its side is cut off when the grace is over', async () => {
    const { time, server, connect } = await world();
    const idle = connect();
    const stopped = server.stop(5000);
    await time.turn();
    expect([idle.ended, server.connections]).toEqual(['end', 1]);
    await time.advance(5000);
    await stopped;
    expect([idle.ended, server.connections]).toEqual(['destroy', 0]);
  });

  test('waits no longer than its grace', async () => {
    const { time, server, connect } = await world();
    const busy = connect();
    busy.onData(frame('a'));
    const stopped = server.stop(5000);
    await time.turn();
    await time.advance(5000);
    await stopped;
    expect(busy.ended).toBe('destroy');
  });
});
