/**
 * The driver over Kafka's own Java clients: the performance tools of the reference's directory. Needs Java and Maven (to build the reference).
 * Does not: know latencies of followed records; there the latencies are the producer's.
 */
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { referenceDir } from './broker-process.ts';
import { command } from './command.ts';
import type { ConsumeLoad, Driver, FollowLoad, LoadResult, ProduceLoad } from './driver.ts';

export class Java implements Driver {
  readonly name = 'Java';
  #bin = '';

  async prepare(): Promise<string> {
    const dir = referenceDir();
    this.#bin = join(dir, 'bin');
    return `Apache Kafka's clients ${readFileSync(join(dir, 'version'), 'utf8').trim()}`;
  }

  async produce(load: ProduceLoad): Promise<LoadResult> {
    // batch.size=1 puts every record in a batch of its own; five of them are in flight, the client's default and its limit with idempotence, which is
    // on by default too.
    const properties = load.oneRecordRequests ? ['batch.size=1', 'linger.ms=0'] : [];
    const { stdout } = await this.#tool('kafka-producer-perf-test', [
      '--bootstrap-server',
      load.bootstrapServers,
      '--topic',
      load.topic,
      '--num-records',
      String(load.records),
      '--record-size',
      String(load.recordBytes),
      '--throughput',
      String(load.recordsPerSecond ?? -1),
      '--command-property',
      'acks=all',
      ...properties,
    ]);
    return producerResult(stdout, load);
  }

  async consume(load: ConsumeLoad): Promise<LoadResult> {
    const { stdout } = await this.#tool('kafka-consumer-perf-test', [
      '--bootstrap-server',
      load.bootstrapServers,
      '--topic',
      load.topic,
      '--num-records',
      String(load.records),
      '--timeout',
      '60000',
    ]);
    return consumerResult(stdout, load);
  }

  async follow(load: FollowLoad): Promise<LoadResult> {
    const [consumed, produced] = await Promise.all([this.consume(load), this.produce(load)]);
    return { ...consumed, p50Ms: produced.p50Ms!, p99Ms: produced.p99Ms! };
  }

  #tool(name: string, args: string[]) {
    return command(join(this.#bin, `${name}.sh`), args, { env: { KAFKA_HEAP_OPTS: '-Xmx512m' } });
  }
}

/** The last line: `N records sent, R records/sec (M MB/sec), ... avg latency, ... max latency, 2 ms 50th, 15 ms 95th, 20 ms 99th, 25 ms 99.9th.` */
function producerResult(stdout: string, load: ProduceLoad): LoadResult {
  const [, sent, rate, p50, p99] =
    /^(\d+) records sent, ([\d.]+) records\/sec .* (\d+) ms 50th, .* (\d+) ms 99th/.exec(stdout.trimEnd().split('\n').at(-1)!) ?? [];
  if (Number(sent) !== load.records) throw new Error(`the Java producer sent ${sent ?? 'nothing'} of ${load.records}:\n${stdout.slice(-1000)}`);
  return { records: load.records, bytes: load.records * load.recordBytes, seconds: load.records / Number(rate), p50Ms: Number(p50), p99Ms: Number(p99) };
}

/** Two lines, names and values: ..., data.consumed.in.nMsg (4), nMsg.sec, rebalance.time.ms, fetch.time.ms (7), ... The group's first rebalance does not count. */
function consumerResult(stdout: string, load: ConsumeLoad): LoadResult {
  const fields = (stdout.split('\n').find((line) => /^\d{4}-/.test(line)) ?? '').split(', ');
  const records = Number(fields[4]);
  if (!(records >= load.records)) throw new Error(`the Java consumer read ${fields[4] ?? 'nothing'} of ${load.records}:\n${stdout.slice(-1000)}`);
  return { records, bytes: records * load.recordBytes, seconds: Number(fields[7]) / 1000 };
}
