/**
 * A group's only member as a process: kafkajs's consumer, which commits after every batch.
 *
 *   node test/cluster/committer.ts BOOTSTRAP REQUEST_TIMEOUT_MS
 *
 * Prints, in order: "batch PARTITION OFFSET LEAST" (what comes next was read from there; see CommitListener.began), "read PARTITION OFFSET VALUE", "attempt PARTITION OFFSET" and "committed
 * PARTITION OFFSET", "late" (see CommitHistory.late), "gone REASON". Ends when its standard input does.
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
    began: (partition, offset, least) => print(`batch ${partition} ${offset} ${least}`),
    attempt: (partition, offset) => print(`attempt ${partition} ${offset}`),
    acknowledge: (partition, offset) => print(`committed ${partition} ${offset}`),
    late: () => print('late'),
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
