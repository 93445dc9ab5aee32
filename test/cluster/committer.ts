/**
 * A group's only member as a process: kafkajs's consumer, which commits after every batch.
 *
 *   node test/cluster/committer.ts BOOTSTRAP REQUEST_TIMEOUT_MS
 *
 * Prints, in order: what an OffsetListener is told ("sent ID PARTITION OFFSET", "answered ID ERROR-CODE", "asked ID", "told ID PARTITION OFFSET"), "read PARTITION OFFSET VALUE",
 * "gone REASON". Ends when its standard input does.
 * Why a process: a consumer of kafkajs 2.2.4 that was still coming to its end when the last broker went was seen to take all of its process's time for ever,
 * and nothing else ran beside it. A process can be killed.
 */
import { logLevel } from 'kafkajs';
import { startCommitter } from '../crash/writers.ts';

const [bootstrap, requestTimeoutMs] = process.argv.slice(2);
const print = (line: string) => process.stdout.write(`${line}\n`);

const committer = await startCommitter(
  {
    brokers: bootstrap!.split(','),
    connectionTimeout: 1_000,
    requestTimeout: Number(requestTimeoutMs),
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20, maxRetryTime: 100, retries: Number.MAX_SAFE_INTEGER },
  },
  {
    sent: (...words) => print(`sent ${words.join(' ')}`),
    answered: (...words) => print(`answered ${words.join(' ')}`),
    asked: (id) => print(`asked ${id}`),
    told: (...words) => print(`told ${words.join(' ')}`),
  },
  (error) => {
    print(`gone ${error.message.replaceAll('\n', ' ')}`);
    process.exit(1);
  },
  (partition, offset, value) => print(`read ${partition} ${offset} ${value.slice(0, 60)}`),
);
process.stdin.resume().once('end', () => {
  committer.stop().finally(() => process.exit(0));
});
