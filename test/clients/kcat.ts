/** kcat (librdkafka on the command line) against a broker: metadata, every codec, keys, headers, tombstones, offsets, timestamps, groups, idempotence, sizes. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { type BrokerProcess, startBrokerProcess } from '../../bench/broker-process.ts';
import { command } from '../../bench/command.ts';
import { type Check, Missing, type Part, findProgram, need, runChecks } from './part.ts';

interface JsonRecord {
  topic: string;
  partition: number;
  offset: number;
  tstype: string;
  ts: number;
  headers?: string[];
  key: string | null;
  payload: string | null;
}

let topics = 0;

async function newTopic(broker: BrokerProcess, partitions = 1, configs: Record<string, string> = {}): Promise<string> {
  const topic = `kcat-${++topics}`;
  const admin = new Kafka({ brokers: [broker.bootstrapServers], logLevel: logLevel.ERROR }).admin();
  await admin.connect();
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
  try {
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }] });
  } finally {
    await admin.disconnect();
  }
  return topic;
}

async function kcat(broker: BrokerProcess, args: readonly string[], input?: string | Buffer): Promise<string> {
  const { stdout } = await command('kcat', ['-b', broker.bootstrapServers, '-m', '10', ...args], { timeoutMs: 30_000, ...(input !== undefined && { input }) });
  return stdout;
}

/** Everything in the topic from `offset` to the end, as kcat's JSON. */
async function consume(broker: BrokerProcess, topic: string, ...args: string[]): Promise<JsonRecord[]> {
  const text = await kcat(broker, ['-C', '-t', topic, '-e', '-q', '-J', ...(args.includes('-o') ? args : ['-o', 'beginning', ...args])]);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JsonRecord);
}

const lines = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => `${prefix} ${i}`);

function codecCheck(codec: string): Check {
  return async (broker) => {
    const topic = await newTopic(broker, 3);
    const sent = lines(1000, `${codec} compressed text that repeats, compressed text that repeats`);
    await kcat(broker, ['-P', '-t', topic, '-z', codec, '-X', 'linger.ms=50', '-X', 'acks=all'], `${sent.join('\n')}\n`);
    const got = await consume(broker, topic);
    assert.deepEqual(got.map((record) => record.payload).sort(), [...sent].sort());
    for (const partition of [0, 1, 2]) {
      const offsets = got.filter((record) => record.partition === partition).map((record) => record.offset);
      assert.deepEqual(
        offsets,
        offsets.map((_, i) => i),
        `offsets of partition ${partition} are 0, 1, 2 ...`,
      );
    }
  };
}

const checks: Record<string, Check> = {
  'metadata as JSON': async (broker) => {
    const topic = await newTopic(broker, 4);
    const seen = JSON.parse(await kcat(broker, ['-L', '-J', '-t', topic])) as {
      controllerid: number;
      brokers: { id: number; name: string }[];
      topics: { topic: string; partitions: { partition: number; leader: number; replicas: { id: number }[]; isrs: { id: number }[] }[] }[];
    };
    assert.deepEqual(seen.brokers, [{ id: 1, name: broker.bootstrapServers }]);
    assert.equal(seen.controllerid, 1);
    assert.deepEqual(
      seen.topics[0]!.partitions,
      [0, 1, 2, 3].map((partition) => ({ partition, leader: 1, replicas: [{ id: 1 }], isrs: [{ id: 1 }] })),
    );
    const all = JSON.parse(await kcat(broker, ['-L', '-J'])) as { topics: { topic: string }[] };
    assert.ok(all.topics.some((each) => each.topic === topic));
  },
  'a topic that is made by producing to it': async (broker) => {
    await kcat(broker, ['-P', '-t', 'kcat-auto'], 'first\n');
    assert.deepEqual(
      (await consume(broker, 'kcat-auto')).map((record) => record.payload),
      ['first'],
    );
  },
  'codec none': codecCheck('none'),
  'codec gzip': codecCheck('gzip'),
  'codec snappy': codecCheck('snappy'),
  'codec lz4': codecCheck('lz4'),
  'codec zstd': codecCheck('zstd'),
  'keys keep to their partition': async (broker) => {
    const topic = await newTopic(broker, 5);
    const sent = Array.from({ length: 200 }, (_, i) => `key${i % 20}:${i}`);
    await kcat(broker, ['-P', '-t', topic, '-K', ':', '-X', 'partitioner=murmur2_random'], sent.join('\n'));
    const got = await consume(broker, topic);
    assert.deepEqual(got.map((record) => `${record.key}:${record.payload}`).sort(), [...sent].sort());
    const partitions = new Map<string, Set<number>>();
    for (const record of got) partitions.set(record.key!, (partitions.get(record.key!) ?? new Set()).add(record.partition));
    assert.ok([...partitions.values()].every((each) => each.size === 1));
    assert.ok(new Set(got.map((record) => record.partition)).size > 1, 'several partitions are used');
    for (const key of partitions.keys()) {
      const numbers = got.filter((record) => record.key === key).map((record) => Number(record.payload));
      assert.deepEqual(
        numbers,
        [...numbers].sort((a, b) => a - b),
        `order of ${key}`,
      );
    }
  },
  'headers, also two of a name and an empty one': async (broker) => {
    const topic = await newTopic(broker);
    await kcat(broker, ['-P', '-t', topic, '-H', 'a=1', '-H', 'a=2', '-H', 'empty='], 'value\n');
    assert.deepEqual((await consume(broker, topic))[0]!.headers, ['a', '1', 'a', '2', 'empty', '']);
  },
  'null values and null keys': async (broker) => {
    const topic = await newTopic(broker);
    await kcat(broker, ['-P', '-t', topic, '-K', ':', '-Z'], 'gone:\n:no key\nboth:here\n');
    assert.deepEqual(
      (await consume(broker, topic)).map(({ key, payload }) => [key, payload]),
      [
        ['gone', null],
        [null, 'no key'],
        ['both', 'here'],
      ],
    );
  },
  'offsets from the beginning, an offset, the end': async (broker) => {
    const topic = await newTopic(broker);
    await kcat(broker, ['-P', '-t', topic], lines(10, 'n').join('\n'));
    const from = async (...args: string[]) => (await consume(broker, topic, ...args)).map((record) => record.offset);
    assert.deepEqual(await from('-o', '7'), [7, 8, 9]);
    assert.deepEqual(await from('-o', '-2'), [8, 9]);
    assert.deepEqual(await from('-o', 'end'), []);
    assert.deepEqual(await from('-c', '3'), [0, 1, 2]);
  },
  'an offset in the middle of a batch': async (broker) => {
    const topic = await newTopic(broker);
    await kcat(broker, ['-P', '-t', topic, '-X', 'linger.ms=200', '-z', 'lz4'], lines(500, 'n').join('\n'));
    assert.deepEqual(
      (await consume(broker, topic, '-o', '250', '-c', '2')).map(({ offset, payload }) => [offset, payload]),
      [
        [250, 'n 250'],
        [251, 'n 251'],
      ],
    );
  },
  'offsets by time': async (broker) => {
    const topic = await newTopic(broker);
    await kcat(broker, ['-P', '-t', topic], 'before\n');
    const [before] = await consume(broker, topic);
    // The second record must have a later stamp: produce until the clock has moved on.
    do await kcat(broker, ['-P', '-t', topic], 'after\n');
    while ((await consume(broker, topic)).at(-1)!.ts === before!.ts);
    const all = await consume(broker, topic);
    const later = all.find((record) => record.ts > before!.ts)!;
    assert.ok(all.every((record) => record.tstype === 'create'));
    assert.equal((await kcat(broker, ['-Q', '-t', `${topic}:0:${before!.ts}`])).trim(), `${topic} [0] offset 0`);
    assert.equal((await kcat(broker, ['-Q', '-t', `${topic}:0:${later.ts}`])).trim(), `${topic} [0] offset ${later.offset}`);
    assert.equal((await kcat(broker, ['-Q', '-t', `${topic}:0:-1`])).trim(), `${topic} [0] offset ${all.length}`);
    assert.equal((await kcat(broker, ['-Q', '-t', `${topic}:0:-2`])).trim(), `${topic} [0] offset 0`);
    assert.equal((await kcat(broker, ['-Q', '-t', `${topic}:0:${later.ts + 1e9}`])).trim(), `${topic} [0] offset -1`);
    assert.deepEqual((await consume(broker, topic, '-o', `s@${later.ts}`))[0]!.offset, later.offset);
  },
  LogAppendTime: async (broker) => {
    const topic = await newTopic(broker, 1, { 'message.timestamp.type': 'LogAppendTime' });
    await kcat(broker, ['-P', '-t', topic], 'stamped\n');
    assert.equal((await consume(broker, topic))[0]!.tstype, 'logappend');
  },
  'a group goes on where it stopped': async (broker) => {
    const topic = await newTopic(broker, 2);
    await kcat(broker, ['-P', '-t', topic, '-p', '0'], lines(5, 'zero').join('\n'));
    await kcat(broker, ['-P', '-t', topic, '-p', '1'], lines(5, 'one').join('\n'));
    const group = async () =>
      (await kcat(broker, ['-G', `group-${topic}`, '-X', 'auto.offset.reset=earliest', '-e', '-q', '-f', '%s\n', topic])).split('\n').filter(Boolean).sort();
    assert.deepEqual(await group(), [...lines(5, 'one'), ...lines(5, 'zero')]);
    await kcat(broker, ['-P', '-t', topic, '-p', '1'], 'more\n');
    assert.deepEqual(await group(), ['more']);
  },
  'acks 0, 1 and all': async (broker) => {
    const topic = await newTopic(broker);
    for (const acks of ['1', 'all', '0']) await kcat(broker, ['-P', '-t', topic, '-X', `acks=${acks}`], `${acks}\n`);
    // Nothing says when a record without acknowledgement has arrived: a second one, acknowledged, on its heels would overtake it on another connection.
    // So ask until it is there.
    let got: JsonRecord[];
    do got = await consume(broker, topic);
    while (got.length < 3);
    assert.deepEqual(
      got.map((record) => record.payload),
      ['1', 'all', '0'],
    );
  },
  'idempotent producer': async (broker) => {
    const topic = await newTopic(broker, 2);
    const sent = lines(2000, 'once');
    await kcat(broker, ['-P', '-t', topic, '-X', 'enable.idempotence=true', '-X', 'batch.num.messages=10'], sent.join('\n'));
    assert.deepEqual((await consume(broker, topic)).map((record) => record.payload).sort(), [...sent].sort());
  },
  'a record of 900 kB, and one that is too large': async (broker) => {
    const topic = await newTopic(broker);
    const file = join(broker.logFile, '..', 'large.bin');
    writeFileSync(file, Buffer.alloc(900_000, 'ottla'));
    await kcat(broker, ['-P', '-t', topic, file]);
    const [record] = await consume(broker, topic);
    assert.equal(record!.payload!.length, 900_000);
    writeFileSync(file, Buffer.alloc(1_500_000, 'ottla'));
    await assert.rejects(kcat(broker, ['-P', '-t', topic, '-X', 'message.max.bytes=10000000', file]), /Message size too large/);
  },
  'bytes that are no text': async (broker) => {
    const topic = await newTopic(broker);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((byte) => byte !== 10));
    const file = join(broker.logFile, '..', 'bytes.bin');
    writeFileSync(file, bytes);
    await kcat(broker, ['-P', '-t', topic, file]);
    const dump = await kcat(broker, ['-C', '-t', topic, '-e', '-q', '-o', 'beginning', '-f', '%S %R\n']);
    assert.ok(dump.startsWith('255 '), 'length is kept');
  },
  'consuming begins while producing goes on': async (broker) => {
    const topic = await newTopic(broker);
    const consumer = kcat(broker, ['-C', '-t', topic, '-c', '300', '-q', '-u', '-f', '%s\n', '-o', 'beginning']);
    for (let i = 0; i < 3; i++) await kcat(broker, ['-P', '-t', topic], lines(100, `part ${i}`).join('\n'));
    assert.deepEqual(
      (await consumer).trim().split('\n'),
      [0, 1, 2].flatMap((i) => lines(100, `part ${i}`)),
    );
  },
  'an unknown partition is an error': async (broker) => {
    const topic = await newTopic(broker);
    await assert.rejects(kcat(broker, ['-P', '-t', topic, '-p', '9'], 'x\n'), /[Uu]nknown partition/);
  },
};

export const kcatPart: Part = {
  name: 'kcat',
  async setUp({ say }) {
    if (findProgram('kcat') !== null) return;
    if (process.getuid?.() !== 0) throw new Missing('kcat not found, and only root may install it (apt-get install kcat)');
    need('apt-get');
    say('kcat: installing it with apt-get');
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    const install = () => command('apt-get', ['install', '-y', '-q', '--no-install-recommends', 'kcat'], { env });
    await install()
      .catch(async () => {
        // the list of packages may be missing or old
        await command('apt-get', ['update', '-q'], { env });
        await install();
      })
      .catch((error: Error) => {
        throw new Missing(`kcat could not be installed: ${error.message}`);
      });
  },
  async run({ kind, dir }) {
    const broker = await startBrokerProcess({ kind, dir });
    try {
      return await runChecks(checks, broker);
    } finally {
      await broker.stop();
    }
  },
};
