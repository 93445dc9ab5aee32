/** Apache Kafka's console and performance tools against a broker, and its dump tool on the files that the broker wrote. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type BrokerProcess, referenceDir, startBrokerProcess } from '../../bench/broker-process.ts';
import { command } from '../../bench/command.ts';
import { type Check, Missing, type Part, type Result, need, runChecks } from './part.ts';

/** Short runs: the second compiler and a large heap would only cost time. */
const ENV = { KAFKA_HEAP_OPTS: '-Xmx256m', KAFKA_JVM_PERFORMANCE_OPTS: '-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Duser.language=en' };

async function tool(name: string, args: readonly string[], input?: string): Promise<string> {
  const { stdout } = await command(join(referenceDir(), 'bin', `${name}.sh`), args, { env: ENV, timeoutMs: 60_000, ...(input !== undefined && { input }) });
  return stdout;
}

const at = (broker: BrokerProcess) => ['--bootstrap-server', broker.bootstrapServers];
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `value ${i}`);

function codecCheck(codec: string): Check {
  return async (broker) => {
    const topic = `java-${codec}`;
    await tool(
      'kafka-console-producer',
      [...at(broker), '--topic', topic, '--compression-codec', codec, '--reader-property', 'parse.key=true', '--reader-property', 'key.separator=:'],
      numbered(300)
        .map((value, i) => `key ${i % 7}:${value}`)
        .join('\n'),
    );
    const out = await tool('kafka-console-consumer', [
      ...at(broker),
      '--topic',
      topic,
      '--from-beginning',
      '--max-messages',
      '300',
      '--timeout-ms',
      '30000',
      '--formatter-property',
      'print.key=true',
      '--formatter-property',
      'print.offset=true',
    ]);
    assert.deepEqual(
      out.trimEnd().split('\n'),
      numbered(300).map((value, i) => `Offset:${i}\tkey ${i % 7}\t${value}`),
    );
  };
}

const checks: Record<string, Check> = {
  'kafka-topics: create, describe, alter, list, delete': async (broker) => {
    await tool('kafka-topics', [...at(broker), '--create', '--topic', 'java-a', '--partitions', '3', '--config', 'retention.ms=3600000']);
    const described = await tool('kafka-topics', [...at(broker), '--describe', '--topic', 'java-a']);
    assert.match(described, /PartitionCount: 3\tReplicationFactor: 1\tConfigs: .*retention\.ms=3600000/);
    assert.equal(described.match(/Leader: 1\tReplicas: 1\tIsr: 1/g)?.length, 3);
    await tool('kafka-topics', [...at(broker), '--alter', '--topic', 'java-a', '--partitions', '5']);
    assert.match(await tool('kafka-topics', [...at(broker), '--describe', '--topic', 'java-a']), /PartitionCount: 5/);
    assert.deepEqual((await tool('kafka-topics', [...at(broker), '--list', '--exclude-internal'])).trim().split('\n'), ['java-a']);
    await tool('kafka-topics', [...at(broker), '--delete', '--topic', 'java-a']);
    assert.equal((await tool('kafka-topics', [...at(broker), '--list', '--exclude-internal'])).trim(), '');
  },
  'console producer and consumer: none': codecCheck('none'),
  'console producer and consumer: gzip': codecCheck('gzip'),
  'console producer and consumer: snappy': codecCheck('snappy'),
  'console producer and consumer: lz4': codecCheck('lz4'),
  'console producer and consumer: zstd': codecCheck('zstd'),
  'kafka-get-offsets': async (broker) => {
    assert.equal((await tool('kafka-get-offsets', [...at(broker), '--topic', 'java-lz4'])).trim(), 'java-lz4:0:300');
    assert.equal((await tool('kafka-get-offsets', [...at(broker), '--topic', 'java-lz4', '--time', '-2'])).trim(), 'java-lz4:0:0');
    assert.equal((await tool('kafka-get-offsets', [...at(broker), '--topic', 'java-lz4', '--time', '1'])).trim(), 'java-lz4:0:0');
  },
  'kafka-consumer-groups: consume, describe, reset, delete': async (broker) => {
    await tool('kafka-console-consumer', [
      ...at(broker),
      '--topic',
      'java-none',
      '--group',
      'java-g',
      '--from-beginning',
      '--max-messages',
      '300',
      '--timeout-ms',
      '30000',
    ]);
    const rows = async () =>
      (await tool('kafka-consumer-groups', [...at(broker), '--describe', '--group', 'java-g']))
        .split('\n')
        .filter((line) => line.startsWith('java-g'))
        .map((line) => line.split(/\s+/).slice(0, 6).join(' '));
    assert.deepEqual(await rows(), ['java-g java-none 0 300 300 0']);
    await tool('kafka-consumer-groups', [...at(broker), '--reset-offsets', '--group', 'java-g', '--topic', 'java-none', '--to-offset', '120', '--execute']);
    assert.deepEqual(await rows(), ['java-g java-none 0 120 300 180']);
    const rest = await tool('kafka-console-consumer', [
      ...at(broker),
      '--topic',
      'java-none',
      '--group',
      'java-g',
      '--max-messages',
      '180',
      '--timeout-ms',
      '30000',
    ]);
    assert.deepEqual(rest.trimEnd().split('\n'), numbered(300).slice(120));
    assert.match(await tool('kafka-consumer-groups', [...at(broker), '--list']), /^java-g$/m);
    assert.match(await tool('kafka-consumer-groups', [...at(broker), '--delete', '--group', 'java-g']), /successful/);
    assert.doesNotMatch(await tool('kafka-consumer-groups', [...at(broker), '--list']), /^java-g$/m);
  },
  'verifiable producer and consumer agree': async (broker) => {
    await tool('kafka-topics', [...at(broker), '--create', '--topic', 'java-v', '--partitions', '4']);
    const json = (text: string) =>
      text
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as { name: string; value?: string; partition?: number; offset?: number; count?: number });
    const sent = json(await tool('kafka-verifiable-producer', [...at(broker), '--topic', 'java-v', '--max-messages', '1000', '--acks', '-1'])).filter(
      (each) => each.name === 'producer_send_success',
    );
    assert.equal(sent.length, 1000);
    const read = json(
      await tool('kafka-verifiable-consumer', [
        ...at(broker),
        '--topic',
        'java-v',
        '--group-id',
        'java-gv',
        '--max-messages',
        '1000',
        '--reset-policy',
        'earliest',
        '--verbose',
      ]),
    ).filter((each) => each.name === 'record_data');
    const place = ({ partition, offset, value }: { partition?: number; offset?: number; value?: string }) => `${partition}/${offset}=${value}`;
    assert.deepEqual(read.map(place).sort(), sent.map(place).sort());
  },
  'kafka-producer-perf-test and kafka-consumer-perf-test': async (broker) => {
    const produced = await tool('kafka-producer-perf-test', [
      ...at(broker),
      '--topic',
      'java-p',
      '--num-records',
      '50000',
      '--record-size',
      '200',
      '--throughput',
      '-1',
      '--command-property',
      'acks=all',
      'enable.idempotence=true',
      'compression.type=lz4',
    ]);
    assert.match(produced, /^50000 records sent/m);
    const consumed = await tool('kafka-consumer-perf-test', [...at(broker), '--topic', 'java-p', '--num-records', '50000', '--timeout', '30000']);
    assert.ok(Number(consumed.split('\n').at(1)!.split(', ')[4]) >= 50_000, consumed);
  },
  'a consumer reads on while partitions are added': async (broker) => {
    await tool('kafka-topics', [...at(broker), '--create', '--topic', 'java-more', '--partitions', '1']);
    const consumer = tool('kafka-console-consumer', [
      ...at(broker),
      '--topic',
      'java-more',
      '--group',
      'java-more-g',
      '--from-beginning',
      '--max-messages',
      '40',
      '--timeout-ms',
      '40000',
      '--command-property',
      'metadata.max.age.ms=500',
    ]);
    const produce = (from: number) =>
      tool(
        'kafka-console-producer',
        [...at(broker), '--topic', 'java-more', '--command-property', 'partitioner.ignore.keys=true', 'batch.size=1'],
        numbered(40)
          .slice(from, from + 20)
          .join('\n'),
      );
    await produce(0);
    await tool('kafka-topics', [...at(broker), '--alter', '--topic', 'java-more', '--partitions', '4']);
    await produce(20);
    assert.deepEqual((await consumer).trimEnd().split('\n').sort(), [...numbered(40)].sort());
  },
};

/** After the broker has stopped: Kafka's own reader goes over every file it left. */
async function dumpLog(dataDir: string): Promise<void> {
  const dump = (args: readonly string[], file: string) => tool('kafka-dump-log', [...args, '--files', file]);
  const files = (topicPartition: string, ending: string) =>
    readdirSync(join(dataDir, topicPartition))
      .filter((name) => name.endsWith(ending))
      .map((name) => join(dataDir, topicPartition, name));
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    const [log] = files(`java-${codec}-0`, '.log');
    const out = await dump(['--deep-iteration', '--print-data-log'], log!);
    assert.equal(out.match(/^\| offset: /gm)?.length, 300, `${codec}: every record is read`);
    assert.match(out, new RegExp(`compresscodec: ${codec}`));
    assert.doesNotMatch(out, /isvalid: false/);
  }
  const [log] = files('java-p-0', '.log'),
    [index] = files('java-p-0', '.index'),
    [timeIndex] = files('java-p-0', '.timeindex');
  assert.match(await dump([], log!), /lastOffset: 49999 count: /);
  assert.doesNotMatch(await dump(['--index-sanity-check'], index!), /[Mm]ismatch|[Cc]orrupt/);
  assert.match(await dump(['--index-sanity-check'], index!), /passed sanity check/);
  assert.match(await dump(['--index-sanity-check'], timeIndex!), /passed sanity check/);
  assert.doesNotMatch(await dump(['--verify-index-only'], index!), /Index offset mismatch|Mismatches in/);
  const groups = readdirSync(dataDir).filter((name) => name.startsWith('__consumer_offsets-'));
  let offsets = '';
  for (const partition of groups) for (const file of files(partition, '.log')) offsets += await dump(['--offsets-decoder'], file);
  assert.match(offsets, /"group":"java-gv"/);
  const [metadata] = files('__cluster_metadata-0', '.log');
  assert.match(await dump(['--cluster-metadata-decoder'], metadata!), /"type":"TOPIC_RECORD".*"name":"java-v"/);
}

export const javaPart: Part = {
  name: 'java',
  async setUp() {
    need('java', 'mvn', 'unzip');
    try {
      referenceDir();
    } catch (error) {
      throw new Missing((error as Error).message);
    }
  },
  async run({ kind, dir }): Promise<Result[]> {
    const broker = await startBrokerProcess({ kind, dir });
    let results: Result[];
    try {
      results = await runChecks(checks, broker);
    } finally {
      await broker.stop();
    }
    return [...results, ...(await runChecks({ 'kafka-dump-log reads every file': () => dumpLog(join(dir, 'data')) }, broker))];
  },
};
