/**
 * Sockets that mean no good, against a whole broker: random bytes, frames cut short, and requests of every served API and version whose bodies were
 * changed. All the while a good client on another connection produces and fetches, and must be served. Seeded: a failure tells its seed.
 */
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { encodeRequestFrame } from '../../../protocol/frame.ts';
import { Fetch } from '../../../protocol/messages/fetch.ts';
import { Produce } from '../../../protocol/messages/produce.ts';
import { CreateTopics } from '../../../protocol/messages/topics.ts';
import { recordsAt } from '../../../protocol/record/batches.ts';
import { servedApis } from '../../../src/api/index.ts';
import { servedOn } from '../../../src/api/serve.ts';
import type { Socket } from '../../../src/runtime/runtime.ts';
import { batchOf, defaultsOf, RawClient, runtime, startWorld } from '../broker-world.ts';
import type { World } from '../broker-world.ts';

const SEED = 20_260_731;
const MUTATED_FRAMES = 4000;
const MEMORY_GROWTH_BYTES_MAX = 200 * 1024 * 1024;

/** mulberry32: the same numbers from the same seed. */
function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** A connection that does not care what it is told. */
class Foe {
  readonly socket: Socket;
  closed = false;
  readonly gone: Promise<void>;

  static async connect(port: number): Promise<Foe> {
    return new Foe(await runtime.network.connect({ host: '127.0.0.1', port, timeoutMs: 5000 }));
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    this.gone = new Promise((resolve) => {
      socket.onClose = () => {
        this.closed = true;
        resolve();
      };
    });
  }

  send(bytes: Buffer): void {
    this.socket.write([bytes]);
  }

  async end(): Promise<void> {
    this.socket.destroy();
    await this.gone;
  }
}

/** Produces a record and fetches it, again and again, until told to stop. */
class GoodClient {
  rounds = 0;
  #stopping = false;
  readonly #client: RawClient;
  readonly done: Promise<void>;

  constructor(client: RawClient) {
    this.#client = client;
    this.done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.done;
    this.#client.close();
  }

  /** So many more rounds have been served. */
  async served(rounds: number): Promise<void> {
    for (const until = this.rounds + rounds; this.rounds < until; ) {
      await setImmediate();
      if (this.#client.closed) return this.done;
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const value = `round ${this.rounds}`;
      const produced = await this.#client.ask(Produce, 9, { acks: -1, timeoutMs: 5000, topicData: [{ name: 'good', partitionData: [{ index: 0, records: batchOf(value) }] }] });
      const { errorCode, baseOffset } = produced.responses[0]!.partitionResponses[0]!;
      expect(errorCode).toBe(ErrorCode.NONE);
      const fetched = await this.#client.ask(Fetch, 11, {
        maxWaitMs: 5000, minBytes: 1, maxBytes: 100_000, isolationLevel: 0, sessionId: 0, sessionEpoch: -1, forgottenTopicsData: [], rackId: '',
        topics: [{ topic: 'good', partitions: [{ partition: 0, fetchOffset: baseOffset, partitionMaxBytes: 100_000, currentLeaderEpoch: -1, logStartOffset: -1 }] }],
      });
      const records = fetched.responses[0]!.partitions[0]!.records as Buffer;
      expect(recordsAt(records, 0).map((record) => String(record.value))).toEqual([value]);
      this.rounds++;
    }
  }
}

let world: World;
let good: GoodClient;

beforeAll(async () => {
  world = await startWorld({ set: ['auto.create.topics.enable=false', 'ottla.inflight.bytes=8000000', 'ottla.log.tail.bytes=1000000'] });
  const client = await world.connect();
  await client.ask(CreateTopics, 5, { topics: [{ name: 'good', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 5000 });
  good = new GoodClient(client);
});

afterAll(async () => {
  await good.stop();
  await world.broker.stop();
  // A line with a stack is an error that no handler thought of.
  expect(world.lines.filter((line) => /\n\s+at |does not encode/.test(line))).toEqual([]);
});

/** Nothing of the foes is left, and the good client goes on. */
async function unharmed(): Promise<void> {
  await good.served(3);
  expect(world.broker.requestBytesInFlight).toBeLessThan(10_000);
}

describe('the broker serves its good client while others send', () => {
  test('random bytes', async () => {
    const random = seeded(SEED);
    for (let i = 0; i < 200; i++) {
      const foe = await Foe.connect(world.port);
      foe.send(Buffer.from(Array.from({ length: 1 + random(300) }, () => random(256))));
      if (i % 10 === 0) await good.served(1);
      await foe.end();
    }
    await unharmed();
  });

  test('frames that declare more than they send, and then end, or stay', async () => {
    const before = process.memoryUsage().rss;
    const foes = await Promise.all(Array.from({ length: 100 }, () => Foe.connect(world.port)));
    for (const [i, foe] of foes.entries()) {
      const head = Buffer.alloc(4 + (i % 7) * 1000);
      head.writeInt32BE(100_000_000);
      foe.send(i % 5 === 0 ? head.subarray(0, 2) : head);
    }
    await good.served(20);
    expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_GROWTH_BYTES_MAX);
    await Promise.all(foes.map((foe) => foe.end()));
    await unharmed();
  });

  test('more unfinished frames than all may hold: some of them go, nobody else does', async () => {
    const foes = await Promise.all(Array.from({ length: 12 }, () => Foe.connect(world.port)));
    const megabyte = Buffer.alloc(1_000_000);
    for (const foe of foes) {
      const head = Buffer.alloc(4);
      head.writeInt32BE(50_000_000);
      foe.send(head);
      foe.send(megabyte);
    }
    await Promise.race(foes.map((foe) => foe.gone));
    await good.served(20);
    expect(world.broker.requestBytesInFlight).toBeLessThan(9_000_000);
    await Promise.all(foes.map((foe) => foe.end()));
    await unharmed();
  });

  test(`${MUTATED_FRAMES} requests of every served API and version with bytes changed`, async () => {
    const random = seeded(SEED);
    const before = process.memoryUsage().rss;
    let foe = await Foe.connect(world.port);
    let survived = 0;
    for (let i = 0; i < MUTATED_FRAMES; i++) {
      const apis = servedOn('broker', servedApis);
      const served = apis[i % apis.length]!;
      const version = served.versionMin + random(served.versionMax - served.versionMin + 1);
      const frame = Buffer.concat(encodeRequestFrame(served.api, version, { correlationId: i, clientId: 'foe' }, bodyOf(served.api.name, defaultsOf(served.api.request, version)) as never));
      if (foe.closed) foe = await Foe.connect(world.port);
      foe.send(mutated(frame, random));
      if (i % 20 === 0) await good.served(1);
      if (foe.closed) continue;
      survived++;
      // So many at most in one line of answers: else one request that waits holds up what the rest would find.
      if (i % 50 === 49) await foe.end();
    }
    expect(survived).toBeGreaterThan(MUTATED_FRAMES / 10);
    await foe.end();
    await good.served(20);
    expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_GROWTH_BYTES_MAX);
    await unharmed();
  });
});

/** With something in it for those APIs whose arrays would be empty. */
function bodyOf(api: string, body: Record<string, unknown>): Record<string, unknown> {
  if (api === 'Produce') return { ...body, acks: -1, topicData: [{ name: 'foe', topicId: 'AAAAAAAAAAAAAAAAAAAAAA', partitionData: [{ index: 0, records: batchOf('x') }] }] };
  if (api === 'Fetch') return { ...body, maxBytes: 1000, topics: [{ topic: 'foe', topicId: 'AAAAAAAAAAAAAAAAAAAAAA', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000, currentLeaderEpoch: -1, lastFetchedEpoch: -1, logStartOffset: -1 }] }] };
  if (api === 'ListOffsets') return { ...body, topics: [{ name: 'good', partitions: [{ partitionIndex: 0, timestamp: -1, currentLeaderEpoch: -1 }] }] };
  return body;
}

/** Keeps the frame's length and its header; changes bytes of the body, or cuts it, or makes it longer. */
function mutated(frame: Buffer, random: (below: number) => number): Buffer {
  const body = Math.min(4 + 8 + 5, frame.length - 1);
  const changed = Buffer.from(frame);
  for (let n = 1 + random(4); n > 0; n--) changed[body + random(changed.length - body)] = [0, 1, 0x7f, 0x80, 0xff, random(256)][random(6)]!;
  const kind = random(4);
  const made = kind === 0 ? changed.subarray(0, body + random(changed.length - body)) : kind === 1 ? Buffer.concat([changed, Buffer.alloc(1 + random(50), random(256))]) : changed;
  const whole = Buffer.from(made);
  whole.writeInt32BE(whole.length - 4);
  return whole;
}
