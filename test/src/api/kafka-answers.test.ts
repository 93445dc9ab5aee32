/**
 * What Apache Kafka 4.3.1 answered to some 4,500 requests to a broker alone (`test/vectors/broker-answers.txt.gz`: every API that is served here, every version, ordinary input and
 * odd), and what ours answers: the same, field by field, error texts included.
 *
 *     OTTLA_KAFKA_PORTS=9092 OTTLA_RECORD_ANSWERS=1 npm test -- test/src/api/kafka-answers.test.ts      asks Apache Kafka anew
 *
 * Not asked, because there Kafka breaks: null for a partition's records (no answer ever), an operation that IncrementalAlterConfigs does not know (the controller resigns),
 * one resource twice in AlterConfigs (no answer), a batch whose length is near 2^31, subscriptions of consumers that are none (the group waits for ever), 100,000 partitions at once. Nor where a
 * fetch's answer ends within a batch: ours ends with a whole one.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { startWorld } from '../broker-world.ts';
import { Questioner } from './broker-questions.ts';
import { PARTS, prepare } from './broker-talk.ts';

const VECTORS = new URL('../../vectors/broker-answers.txt.gz', import.meta.url);
const kafka = process.env['OTTLA_KAFKA_PORTS'];

async function answersOf(port: number): Promise<readonly string[]> {
  const questioner = await Questioner.connect(port);
  try {
    await prepare(questioner);
    for (const part of Object.values(PARTS)) await part(questioner);
    return questioner.lines;
  } finally {
    questioner.close();
  }
}

test.runIf(kafka !== undefined && process.env['OTTLA_RECORD_ANSWERS'] === '1')('Apache Kafka is asked', async () => {
  const answers = await answersOf(Number(kafka));
  writeFileSync(VECTORS, gzipSync(`${answers.join('\n')}\n`, { level: 9 }));
  expect(answers.length).toBeGreaterThan(4000);
}, 600_000);

test('ours answers as Apache Kafka does', async () => {
  const recorded = gunzipSync(readFileSync(VECTORS)).toString('utf8').trimEnd().split('\n');
  const world = await startWorld({ set: ['offsets.topic.num.partitions=50'] });
  try {
    const answers = await answersOf(world.port);
    expect(answers.length).toBe(recorded.length);
    expect(answers.flatMap((ours, at) => (ours === recorded[at] ? [] : [{ ours, kafkas: recorded[at] }]))).toEqual([]);
  } finally {
    await world.broker.stop();
  }
}, 120_000);
