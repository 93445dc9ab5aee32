/**
 * Waiting for a load that must move, and reading all that it wrote.
 * Promises: a wait ends: with what it waits for, with a writer's failure, or with the words that nothing was acknowledged for too long.
 */
import { Kafka, type KafkaConfig } from 'kafkajs';
import type { LogRecord } from './history.ts';

/** What `wait` resolves with; rejects when that takes longer than `limitMs`, saying what was waited for. Does not end what it waits for: nobody waits for it any more. */
export async function within<T>(limitMs: number, what: string, wait: Promise<T>, tail: () => string = () => ''): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, failed) => {
    timer = setTimeout(() => failed(new Error(`${what}: not done after ${limitMs} ms\n${tail()}`.trimEnd())), limitMs);
  });
  try {
    return await Promise.race([wait, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What `wait` resolves with, unless a writer has failed or `moving` did not change for too long. */
export async function watched<T>(
  wait: Promise<T>,
  options: { readonly stallMsMax: number; readonly tail: () => string; readonly failure: () => Error | null; readonly moving: () => number },
): Promise<T> {
  const { stallMsMax, tail, failure, moving } = options;
  let timer: NodeJS.Timeout | undefined;
  const trouble = new Promise<never>((_, failed) => {
    let last = moving(),
      sinceMs = performance.now();
    timer = setInterval(() => {
      if (moving() !== last) [last, sinceMs] = [moving(), performance.now()];
      const error =
        failure() ??
        (performance.now() - sinceMs > stallMsMax
          ? new Error(`no acknowledgement for ${stallMsMax} ms; ${tail()}`)
          : null);
      if (error) failed(error);
    }, 100);
  });
  try {
    return await Promise.race([wait, trouble]);
  } finally {
    clearInterval(timer);
  }
}

/** Everything up to the high watermarks, by partition. Each of its steps has `stallMsMax`: kafkajs may be told to try for ever. */
export async function readAll(config: KafkaConfig, topic: string, partitions: number, stallMsMax: number): Promise<Map<number, LogRecord[]>> {
  const kafka = new Kafka({ ...config, clientId: 'reader' });
  const admin = kafka.admin();
  const offsets = async () => {
    await admin.connect();
    const ends = await admin.fetchTopicOffsets(topic);
    await admin.disconnect();
    return ends;
  };
  const ends = new Map((await within(stallMsMax, `kafkajs's admin asks for the offsets of ${topic}`, offsets())).map((each) => [each.partition, Number(each.high)]));
  const log = new Map<number, LogRecord[]>(Array.from({ length: partitions }, (_, partition) => [partition, []]));
  const consumer = kafka.consumer({ groupId: 'crash-reader' });
  const complete = () => [...log].every(([partition, records]) => (records.at(-1)?.offset ?? -1) + 1 >= (ends.get(partition) ?? 0));
  if (complete()) return log;
  await within(stallMsMax, 'the reader connects', consumer.connect().then(() => consumer.subscribe({ topic, fromBeginning: true })));
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((done, failed) => {
    const late = () => {
      const state = [...log].map(([partition, records]) => `partition ${partition}: ${records.length} of ${ends.get(partition)}`);
      failed(new Error(`reading everything stopped: ${state.join(', ')}`));
    };
    timer = setTimeout(late, stallMsMax);
    consumer
      .run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          timer!.refresh();
          for (const message of batch.messages) log.get(batch.partition)!.push({ offset: Number(message.offset), value: message.value?.toString() ?? 'null' });
          if (complete()) done();
        },
      })
      .catch(failed);
  }).finally(() => clearTimeout(timer));
  await within(stallMsMax, 'the reader leaves', consumer.disconnect());
  return log;
}
