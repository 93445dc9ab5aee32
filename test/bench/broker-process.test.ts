/** A broker as a process: it serves when it is said to be started, ends when told, and says why when it does not start. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Kafka, logLevel } from 'kafkajs';
import { freePort, singleNodeProperties, startBrokerProcess } from '../../bench/broker-process.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ottla-process-'));
});
afterEach(() => rm(dir, { recursive: true }));

test('started, asked, stopped, and found again', async () => {
  const names = async (bootstrapServers: string, create: boolean) => {
    const admin = new Kafka({ brokers: [bootstrapServers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    if (create) await admin.createTopics({ topics: [{ topic: 'kept' }] });
    const topics = await admin.listTopics();
    await admin.disconnect();
    return topics;
  };
  const first = await startBrokerProcess({ kind: 'ottla', dir });
  expect(first.version).toMatch(/^ottla \d+\.\d+\.\d+ \(Node v\d+/);
  expect(first.readyMs).toBeGreaterThan(0);
  expect(await names(first.bootstrapServers, true)).toEqual(['kept']);
  await expect(startBrokerProcess({ kind: 'ottla', dir: join(dir, 'other'), port: first.port })).rejects.toThrow(`a broker is there already: ${first.bootstrapServers}`);
  expect(await first.stop()).toBe(0);
  const second = await startBrokerProcess({ kind: 'ottla', dir, port: first.port });
  expect(second.port).toBe(first.port);
  expect(await names(second.bootstrapServers, false)).toEqual(['kept']);
  second.kill('SIGKILL');
  expect(await second.exited).toBe('SIGKILL');
});

test('what keeps it from starting is in the error', async () => {
  await expect(startBrokerProcess({ kind: 'ottla', dir, settings: ['num.partitions=many'] })).rejects.toThrow(/^ottla ended with 2 before it served:\n[^]*num\.partitions/);
});

test('killed while it starts', async () => {
  await expect(startBrokerProcess({ kind: 'ottla', dir, onSpawn: (kill) => kill('SIGKILL') })).rejects.toThrow('ottla ended with SIGKILL before it served');
});

test("the caller's settings come last, so they win", async () => {
  const properties = singleNodeProperties({ port: 1, controllerPort: 2, dataDir: '/d', settings: ['node.id=7'] });
  expect(properties.indexOf('node.id=1\n')).toBeLessThan(properties.indexOf('node.id=7\n'));
  expect(await freePort()).toBeGreaterThan(1023);
  const broker = await startBrokerProcess({ kind: 'ottla', dir, settings: ['num.partitions=3'] });
  expect(await readFile(join(dir, 'server.properties'), 'utf8')).toContain('num.partitions=3\n');
  await broker.stop();
});
