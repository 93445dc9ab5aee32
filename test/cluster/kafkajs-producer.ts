/**
 * kafkajs's idempotent producer as a numbering writer, the same as `number` of bench/librdkafka-driver.c:
 *
 *   node test/cluster/kafkajs-producer.ts BOOTSTRAP TOPIC PARTITIONS NAME RATE REQUEST_TIMEOUT_MS SEED
 *
 * Prints "PARTITION NUMBER OFFSET" for each acknowledged record until its standard input ends, then "end ATTEMPTED". Why a process: kafkajs was seen to take all of
 * its process's time for ever when brokers went away, and then nobody judges, and nobody kills.
 */
import { logLevel } from 'kafkajs';
import { History } from '../crash/history.ts';
import { seeded } from '../crash/seeded.ts';
import { kafkajsWriter } from '../crash/writers.ts';

const VALUE_BYTES_MAX = 20_000;

const [bootstrap, topic, partitions, name, rate, requestTimeoutMs, seed] = process.argv.slice(2);
let attempted = 0;

/** Prints in place of judging. */
class Printed extends History {
  override attempt(writer: string, partition: number, count: number): number {
    attempted += count;
    return super.attempt(writer, partition, count);
  }

  override acknowledge(_: string, partition: number, first: number, count: number, baseOffset: number | null): void {
    let lines = '';
    for (let i = 0; i < count; i++) lines += `${partition} ${first + i} ${baseOffset === null ? -1 : baseOffset + i}\n`;
    process.stdout.write(lines);
  }
}

const fail = (error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
};
const writer = await kafkajsWriter({
  name: name!, topic: topic!, partitions: Number(partitions), history: new Printed(), fail, onePartition: true, valueBytesMax: VALUE_BYTES_MAX,
  recordsPerSecond: Number(rate), random: seeded(Number(seed)),
  config: {
    brokers: bootstrap!.split(','),
    connectionTimeout: 1_000,
    requestTimeout: Number(requestTimeoutMs),
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20, maxRetryTime: 100, retries: Number.MAX_SAFE_INTEGER },
  },
});
process.stdin.resume().once('end', () => {
  writer.stop().then(() => {
    process.stdout.write(`end ${attempted}\n`);
    // Its connections keep the process alive for as long as they like.
    process.stdout.write('', () => process.exit(0));
  }, fail);
});
