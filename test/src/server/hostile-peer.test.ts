/**
 * Peers that mean no good, on the listener of controllers: every request that controllers answer, with something in each of its arrays and bytes of it changed.
 * What is well formed may be done: whoever reaches this listener may register brokers and ask for votes. But nothing may end the node, find a bug in it, or grow
 * without bound. Seeded: a failure tells its seed.
 */
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { encodeRequestFrame } from '../../../protocol/frame.ts';
import { ApiVersions } from '../../../protocol/messages/cluster.ts';
import { inRange, versionRange } from '../../../protocol/schema.ts';
import type { AnyField, Fields } from '../../../protocol/schema.ts';
import { MemoryDisk } from '../../../storage/memory-disk.ts';
import { servedApis } from '../../../src/api/index.ts';
import { servedOn } from '../../../src/api/serve.ts';
import { Broker } from '../../../src/broker.ts';
import { METADATA_TOPIC_ID } from '../../../src/quorum/bootstrap.ts';
import { Settings } from '../../../src/settings.ts';
import { Seeded } from '../../storage/seeded.ts';
import { RawClient, runtime } from '../broker-world.ts';

const SEED = Number(process.env['OTTLA_SEED'] ?? 20_261_121);
const FRAMES = 3000;
const MEMORY_GROWTH_BYTES_MAX = 200 * 1024 * 1024;

let stop: () => Promise<unknown> = async () => {};
afterEach(() => stop());

describe('the listener of controllers', () => {
  test(`${FRAMES} requests with bytes changed`, { timeout: 60_000 }, async () => {
    const seeded = new Seeded(SEED);
    const random = (limit: number): number => seeded.below(limit);
    const bugs: unknown[] = [];
    const errors: string[] = [];
    const broker = await Broker.start({
      runtime: { ...runtime, disk: new MemoryDisk({ nowMs: () => Date.now() }) }, dataDir: '/data', onFatal: (error) => bugs.push(error),
      logger: { info() {}, warn() {}, error: (line) => errors.push(line) },
      settings: Settings.from({ set: ['listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0'] }),
    });
    stop = () => broker.stop();
    const port = broker.ports.get('CONTROLLER')!;
    const before = process.memoryUsage().rss;
    const apis = servedOn('controller', servedApis);
    let socket = await runtime.network.connect({ host: '127.0.0.1', port, timeoutMs: 5000 });
    let isOpen = true;
    const open = async () => {
      socket = await runtime.network.connect({ host: '127.0.0.1', port, timeoutMs: 5000 });
      isOpen = true;
      socket.onClose = () => (isOpen = false);
    };
    await open();
    let survived = 0;
    for (let i = 0; i < FRAMES; i++) {
      const served = apis[i % apis.length]!;
      const version = served.versionMin + random(served.versionMax - served.versionMin + 1);
      const body = known(filled(served.api.request.fields, version), { clusterId: broker.clusterId, brokerEpoch: broker.brokerEpoch }, random);
      const frame = Buffer.concat(encodeRequestFrame(served.api, version, { correlationId: i, clientId: 'foe' }, body as never));
      if (!isOpen) await open();
      socket.write([random(4) === 0 ? frame : mutated(frame, random)]);
      await setImmediate();
      if (!isOpen) continue;
      survived++;
      if (i % 40 === 39) {
        socket.destroy();
        isOpen = false;
      }
    }
    socket.destroy();
    expect(survived).toBeGreaterThan(FRAMES / 10);
    expect([bugs, errors.filter((line) => /Error|\n\s+at /.test(line))], `seed ${SEED}`).toEqual([[], []]);
    const client = await RawClient.connect(port);
    expect((await client.ask(ApiVersions, 2, {})).errorCode).toBe(0);
    client.close();
    expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_GROWTH_BYTES_MAX);
  });
});

/** Defaults, with one element in every array. */
function filled(fields: Fields, version: number): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const versions = field.tag === undefined ? field.versions : (field.taggedVersions ?? field.versions);
    if (inRange(versionRange(versions), version) && inRange(versionRange(field.versions), version)) value[name] = filledField(field, version);
  }
  return value;
}

function filledField(field: AnyField, version: number): unknown {
  switch (field.kind) {
    case 'bool': return false;
    case 'string': return 'x';
    case 'bytes': case 'records': return Buffer.alloc(0);
    case 'uuid': return METADATA_TOPIC_ID;
    case 'array': return [filledField(field.element!, version)];
    case 'int64Exact': return 1n;
    case 'struct': return filled(field.fields!, version);
    default: return 1;
  }
}

/** Names that the node knows, so that more than the first check is reached. */
function known(body: Record<string, unknown>, facts: { clusterId: string; brokerEpoch: number }, random: (below: number) => number): Record<string, unknown> {
  const change = (value: unknown, name: string): unknown => {
    if (Array.isArray(value)) return value.map((one) => change(one, name));
    if (Buffer.isBuffer(value) || value === null) return value;
    if (typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, change(inner, key)]));
    if (/^clusterId$/i.test(name)) return random(8) === 0 ? 'x' : facts.clusterId;
    if (/^(topicName|topic)$/.test(name)) return '__cluster_metadata';
    if (/^partition(Index|s)?$/.test(name) && typeof value === 'number') return 0;
    if (/brokerEpoch$/i.test(name) && typeof value === 'number') return facts.brokerEpoch;
    if (/epoch$/i.test(name) && typeof value === 'number') return random(4);
    if (/offset/i.test(name) && typeof value === 'number') return random(60);
    return value;
  };
  return change(body, '') as Record<string, unknown>;
}

/** Keeps the header; changes bytes of the body, or cuts it, or makes it longer. */
function mutated(frame: Buffer, random: (below: number) => number): Buffer {
  const body = Math.min(4 + 8 + 5, frame.length - 1);
  const changed = Buffer.from(frame);
  for (let n = 1 + random(3); n > 0; n--) changed[body + random(changed.length - body)] = [0, 1, 0x7f, 0x80, 0xff, random(256)][random(6)]!;
  const kind = random(6);
  const made = kind === 0 ? changed.subarray(0, body + random(changed.length - body)) : kind === 1 ? Buffer.concat([changed, Buffer.alloc(1 + random(50), random(256))]) : changed;
  const whole = Buffer.from(made);
  whole.writeInt32BE(whole.length - 4);
  return whole;
}
