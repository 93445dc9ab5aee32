/**
 * What the brokers of Apache Kafka 4.3.1 answered to questions about a replicated partition (`test/vectors/replica-answers.json`), and what ours answer: the same.
 *
 *     OTTLA_KAFKA_PORTS=9092,9093,9094 OTTLA_RECORD_ANSWERS=1 npm test -- test/src/replica/kafka-answers.test.ts      asks Apache Kafka anew
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startCluster } from '../node/cluster-world.ts';
import { Questioner } from './answers.ts';
import type { Answered } from './answers.ts';

const VECTORS = new URL('../../vectors/replica-answers.json', import.meta.url);
const kafka = process.env['OTTLA_KAFKA_PORTS'];

async function answersOf(ports: readonly number[]): Promise<readonly Answered[]> {
  const questioner = await Questioner.connect(ports);
  try {
    await questioner.prepare();
    return await questioner.askAll();
  } finally {
    questioner.close();
  }
}

const lines = (answers: readonly Answered[]): string[] => answers.map(({ question, answer }) => `${question}: ${answer}`);

test.runIf(kafka !== undefined && process.env['OTTLA_RECORD_ANSWERS'] === '1')('Apache Kafka is asked', async () => {
  const answers = await answersOf(kafka!.split(',').map(Number));
  writeFileSync(VECTORS, `[\n${lines(answers).map((line) => `  ${JSON.stringify(line)}`).join(',\n')}\n]\n`);
  expect(answers.length).toBeGreaterThan(400);
});

test('ours answer as Apache Kafka does', async () => {
  const recorded = JSON.parse(readFileSync(VECTORS, 'utf8')) as string[];
  const world = await startCluster({ values: { 'auto.create.topics.enable': 'false' } });
  try {
    expect(lines(await answersOf(world.ports))).toEqual(recorded);
  } finally {
    await world.cluster.stop();
  }
}, 60_000);
