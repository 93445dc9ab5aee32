/** The simulated network: bytes in order however they are cut, ways that are blocked, connections that end in all the ways that they do. */
import { describe, expect, test } from 'vitest';
import type { Listener, Socket } from '../../src/runtime/runtime.ts';
import { SimNetwork } from './network.ts';
import { Process, World } from './world.ts';

const [A, B] = ['10.0.0.1', '10.0.0.2'];

class Pair {
  readonly world: World;
  readonly network: SimNetwork;
  readonly server = new Process('server');
  readonly client = new Process('client');
  readonly received: string[] = [];
  readonly events: string[] = [];
  near: Socket | undefined;
  far: Socket | undefined;
  listener: Listener | undefined;

  constructor(seed = 1) {
    this.world = new World(seed);
    this.network = new SimNetwork(this.world);
  }

  async listen(): Promise<this> {
    this.listener = await this.network.of(B, this.server).listen({ host: B, port: 9 }, (socket) => {
      this.far = socket;
      socket.onData = (chunk) => void this.received.push(chunk.toString());
      socket.onClose = (error) => void this.events.push(`far ${error === undefined ? 'closed' : (error as NodeJS.ErrnoException).code}`);
    });
    return this;
  }

  async connect(timeoutMs = 1000): Promise<this> {
    this.network.of(A, this.client).connect({ host: B, port: 9, timeoutMs }).then(
      (socket) => {
        this.near = socket;
        socket.onClose = (error) => void this.events.push(`near ${error === undefined ? 'closed' : (error as NodeJS.ErrnoException).code}`);
      },
      (error: NodeJS.ErrnoException) => this.events.push(`refused ${error.code}`),
    );
    return this.pass(50);
  }

  async pass(ms: number): Promise<this> {
    await this.world.run(this.world.nowMs + ms);
    return this;
  }
}

const connected = async (seed?: number): Promise<Pair> => (await new Pair(seed).listen()).connect();

describe('the network', () => {
  test('carries bytes in order, cut anywhere', async () => {
    const pair = await connected(3);
    pair.network.cutChance = 0.7;
    for (let i = 0; i < 20; i++) pair.near!.write([Buffer.from(`<${i}`), Buffer.from('>')]);
    await pair.pass(1000);
    expect(pair.received.join('')).toBe(Array.from({ length: 20 }, (_, i) => `<${i}>`).join(''));
    expect(pair.received.length).toBeGreaterThan(20);
  });

  test('overwrites what a reader was given', async () => {
    const pair = await connected();
    const kept: Buffer[] = [];
    pair.far!.onData = (chunk) => void kept.push(chunk);
    pair.near!.write([Buffer.from('mine')]);
    await pair.pass(50);
    expect(Buffer.concat(kept).includes('mine')).toBe(false);
  });

  test('reads to where the owner wants the bytes', async () => {
    const pair = await connected();
    const place = Buffer.alloc(64);
    pair.far!.room = () => place.subarray(0, 2);
    for (let i = 0; i < 20; i++) pair.near!.write([Buffer.from('abcd')]);
    await pair.pass(100);
    expect(pair.received.join('')).toBe('abcd'.repeat(20));
    expect(['ab', 'cd']).toContain(place.toString('latin1', 0, 2));
  });

  test('holds up what a blocked way carries, and brings it or resets it when it is free', async () => {
    const ends = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const pair = await connected(seed);
      pair.network.setBlocked(A, B, true);
      pair.near!.write([Buffer.from('one')]);
      pair.near!.write([Buffer.from('two')]);
      await pair.pass(5000);
      expect(pair.received).toEqual([]);
      pair.network.setBlocked(A, B, false);
      pair.near!.write([Buffer.from('three')]);
      await pair.pass(100);
      ends.add(pair.events.length > 0 ? pair.events.sort().join() : pair.received.join(''));
    }
    expect([...ends].sort()).toEqual(['far ECONNRESET,near ECONNRESET', 'onetwothree']);
  });

  test('lets through what another listener has when only one is blocked', async () => {
    for (const [port, received] of [[9, []], [10, ['one']]] as const) {
      const pair = await connected(7);
      pair.network.setPortBlocked(A, B, port, true);
      pair.near!.write([Buffer.from('one')]);
      await pair.pass(5000);
      expect(pair.received).toEqual(received);
    }
  });

  test('reaches nobody by a blocked way, and refuses where nobody listens', async () => {
    const pair = await new Pair().connect();
    expect(pair.events).toEqual(['refused ECONNREFUSED']);
    pair.network.setBlocked(B, A, true);
    await (await pair.connect(300)).pass(400);
    expect(pair.events).toEqual(['refused ECONNREFUSED', 'refused ETIMEDOUT']);
  });

  test('ends on both sides when one has ended', async () => {
    const pair = await connected();
    pair.near!.write([Buffer.from('last')]);
    pair.near!.end();
    await pair.pass(50);
    expect(pair.received).toEqual(['last']);
    expect(pair.events.sort()).toEqual(['far closed', 'near closed']);
  });

  test('resets the connections of a killed process; a machine without power is silent until it is up', async () => {
    const killed = await connected();
    killed.server.die();
    killed.network.end(B, killed.server, true);
    await killed.pass(50);
    expect(killed.events.join()).toMatch(/^near (closed|ECONNRESET)$/);
    const dark = await connected();
    dark.server.die();
    dark.network.end(B, dark.server, false);
    dark.near!.write([Buffer.from('anybody?')]);
    await dark.pass(1000);
    expect(dark.events).toEqual([]);
    dark.network.powerUp(B);
    dark.near!.write([Buffer.from('and now?')]);
    await dark.pass(50);
    expect(dark.events).toEqual(['near ECONNRESET']);
  });

  test('waits for a paused reader, and for a paused process', async () => {
    const pair = await connected();
    pair.far!.pause();
    let written = 0;
    for (let i = 0; i < 8; i++) pair.near!.write([Buffer.alloc(65_536)], () => written++);
    await pair.pass(100);
    expect(written).toBeLessThan(8);
    expect(pair.near!.queuedBytes).toBeGreaterThan(0);
    pair.server.pause();
    pair.far!.resume();
    await pair.pass(100);
    expect(pair.received).toEqual([]);
    pair.world.resume(pair.server);
    await pair.pass(100);
    expect(pair.received.reduce((sum, chunk) => sum + chunk.length, 0)).toBe(8 * 65_536);
    expect(written).toBe(8);
  });
});
