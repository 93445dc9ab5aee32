/** Answers that are not in memory as a whole: in order, piece by piece, and closed in the middle when their bytes are gone. */
import { describe, expect, test } from 'vitest';
import { DeferredBytes, type Piece } from '../../../protocol/deferred-bytes.ts';
import { BufferPool } from '../../../storage/buffer-pool.ts';
import { DiskError } from '../../../storage/disk.ts';
import { Pump } from '../../../src/server/pump.ts';
import { FakeSocket } from './fake-world.ts';

/** Bytes that tell their own position, and when they were asked for. */
class Counted extends DeferredBytes {
  readonly asked: { how: 'sync' | 'async'; at: number; bytes: number }[] = [];
  readonly #letter: number;
  readonly #goneFrom: number;
  onRead: () => void = () => {};

  constructor(length: number, letter: string, goneFrom = Infinity) {
    super(length);
    this.#letter = letter.charCodeAt(0);
    this.#goneFrom = goneFrom;
  }

  readSync(target: Buffer, at: number): void {
    this.asked.push({ how: 'sync', at, bytes: target.length });
    this.#fill(target, at);
  }

  read(target: Buffer, at: number): Promise<void> {
    this.asked.push({ how: 'async', at, bytes: target.length });
    return Promise.resolve().then(() => this.#fill(target, at));
  }

  #fill(target: Buffer, at: number): void {
    this.onRead();
    if (at + target.length > this.#goneFrom) throw new DiskError('ESTALE', 'file', 'read');
    for (let i = 0; i < target.length; i++) target[i] = (this.#letter + at + i) & 0xff;
  }

  content(): Buffer {
    const buffer = Buffer.alloc(this.length);
    for (let i = 0; i < buffer.length; i++) buffer[i] = (this.#letter + i) & 0xff;
    return buffer;
  }
}

function world() {
  const socket = new FakeSocket();
  const received: Buffer[] = [];
  let ready: (() => void)[] = [];
  // Takes what it is given, and says so when it is told to.
  socket.write = (buffers, written) => {
    for (const buffer of buffers) received.push(Buffer.from(buffer));
    if (written !== undefined) ready.push(written);
    return true;
  };
  let nowMs = 0;
  let deviceReads = 7;
  const soon: (() => void)[] = [];
  const pump = new Pump({ socket, buffers: new BufferPool({ idleBytesMax: 1 << 20, poison: true }), monotonicMs: () => nowMs, soon: (call) => soon.push(call), deviceReads: () => deviceReads });
  const outcome: (string | DiskError)[] = [];
  const send = (pieces: readonly Piece[]) => pump.send(pieces, () => outcome.push('written'), (error) => outcome.push(error));
  /** Lets the socket take what it was given, until nothing more comes. */
  const drain = async () => {
    for (;;) {
      // An asynchronous read is over some promises later.
      for (let i = 0; i < 10; i++) await Promise.resolve();
      const calls = ready.length > 0 ? ready : soon.splice(0);
      if (calls === ready) ready = [];
      if (calls.length === 0) return;
      for (const call of calls) call();
    }
  };
  return { pump, send, drain, outcome, received: () => Buffer.concat(received), advance: (ms: number) => (nowMs += ms), fetchFromDevice: () => (deviceReads += 8), waiting: () => ready.length };
}

describe('Pump', () => {
  test('sends pieces in order, one in memory at a time', async () => {
    const { send, drain, outcome, received, waiting } = world();
    const first = new Counted(5_000_000, 'a');
    const second = new Counted(131_072, 'n');
    send([Buffer.from('head'), first, Buffer.from('between'), Buffer.from('!'), second, Buffer.from('tail')]);
    expect(first.asked).toHaveLength(1);
    expect(waiting()).toBe(1);
    await drain();
    expect(received().equals(Buffer.concat([Buffer.from('head'), first.content(), Buffer.from('between!'), second.content(), Buffer.from('tail')]))).toBe(true);
    expect(outcome).toEqual(['written']);
    expect(first.asked.every(({ how }) => how === 'sync')).toBe(true);
    expect(first.asked.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(5_000_000);
  });

  const ways = (bytes: Counted) => bytes.asked.map(({ how }) => how);
  const onceSlow = ['sync', 'sync', ...Array<string>(6).fill('async')];

  test('reads asynchronously for a while after a read that took long and met the device', async () => {
    const { send, drain, outcome, received, advance, fetchFromDevice } = world();
    const bytes = new Counted(8_000_000, 'x');
    bytes.onRead = () => {
      if (bytes.asked.length === 1) fetchFromDevice(); // At once: a quick device is no reason.
      if (bytes.asked.length !== 2) return;
      fetchFromDevice();
      advance(5);
    };
    send([bytes]);
    await drain();
    expect(ways(bytes)).toEqual(onceSlow);
    expect(received().equals(bytes.content())).toBe(true);
    expect(outcome).toEqual(['written']);
  });

  test('a read that took long without the device had only to give way; one that took very long is not tried again', async () => {
    const gaveWay = world();
    const bytes = new Counted(8_000_000, 'x');
    bytes.onRead = () => gaveWay.advance(20);
    gaveWay.send([bytes]);
    await gaveWay.drain();
    expect(ways(bytes)).toEqual(Array<string>(8).fill('sync'));
    expect(gaveWay.outcome).toEqual(['written']);

    const stalled = world();
    const more = new Counted(8_000_000, 'x');
    more.onRead = () => stalled.advance(more.asked.length === 2 ? 60 : 0);
    stalled.send([more]);
    await stalled.drain();
    expect(ways(more)).toEqual(onceSlow);
  });

  test.each([false, true])('says when bytes are gone, and sends no more (asynchronous reads: %s)', async (slow) => {
    const { pump, send, drain, outcome, received, advance } = world();
    const bytes = new Counted(8_000_000, 'x', 2_400_000);
    bytes.onRead = () => advance(slow ? 60 : 0);
    send([bytes, Buffer.from('tail')]);
    await drain();
    expect(outcome).toEqual([expect.objectContaining({ code: 'ESTALE' })]);
    expect(received().equals(bytes.content().subarray(0, 2_097_152))).toBe(true);
    expect(pump.isActive).toBe(false);
  });

  test('stops where it is', async () => {
    const { pump, send, drain, outcome, received } = world();
    const bytes = new Counted(8_000_000, 'x');
    send([bytes]);
    pump.stop();
    await drain();
    expect(received()).toHaveLength(1_048_576);
    expect(outcome).toEqual([]);
    // And begins anew.
    send([new Counted(3, 'a')]);
    await drain();
    expect(String(received().subarray(-3))).toBe('abc');
    expect(outcome).toEqual(['written']);
  });
});
