/** Fetches of one connection, sent without waiting for the answers: what they cost together, and in which order they are served. */
import { afterEach, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { Fetch } from '../../../protocol/messages/fetch.ts';
import { Produce } from '../../../protocol/messages/produce.ts';
import { CreateTopics } from '../../../protocol/messages/topics.ts';
import { batchOf, startWorld } from '../broker-world.ts';
import type { RawClient, World } from '../broker-world.ts';

const BATCH_BYTES = 900_000;
const FETCHES = 40;

let world: World | undefined;
afterEach(() => world?.broker.stop());

async function withTopic(set: readonly string[] = []): Promise<{ client: RawClient; world: World }> {
  world = await startWorld({ set });
  const client = await world.connect();
  await client.ask(CreateTopics, 5, { topics: [{ name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 5000 });
  return { client, world };
}

async function produce(client: RawClient, value: string) {
  const { responses } = await client.ask(Produce, 9, { acks: -1, timeoutMs: 5000, topicData: [{ name: 't', partitionData: [{ index: 0, records: batchOf(value) }] }] });
  expect(responses[0]!.partitionResponses[0]!.errorCode).toBe(ErrorCode.NONE);
}

async function fetch(client: RawClient, fetchOffset: number, maxWaitMs = 0): Promise<number> {
  const { responses } = await client.ask(Fetch, 11, {
    maxWaitMs, minBytes: 1, maxBytes: 1 << 20, isolationLevel: 0, sessionId: 0, sessionEpoch: -1, forgottenTopicsData: [], rackId: '',
    topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20, currentLeaderEpoch: -1, logStartOffset: -1 }] }],
  });
  return (responses[0]!.partitions[0]!.records as Buffer).length;
}

test('that read a file use one buffer between them, however many they are', async () => {
  const { client, world } = await withTopic(['ottla.log.tail.bytes=0']);
  await produce(client, 'x'.repeat(BATCH_BYTES));
  const sizes = await Promise.all(Array.from({ length: FETCHES }, () => fetch(client, 0)));
  expect(sizes.every((size) => size > BATCH_BYTES)).toBe(true);
  // What lies idle now is all that was ever taken at the same time.
  expect(world.broker.readBuffers.idleBytes).toBeLessThan(2 * BATCH_BYTES);
  client.close();
});

test('the one behind a fetch that waits is served after it, and one that is refused holds up nobody', async () => {
  const { client, world } = await withTopic();
  const other = await world.connect();
  const order: string[] = [];
  const note = (name: string) => (size: number) => void order.push(`${name}: ${size > 0}`);
  const all = [fetch(client, 0, 30_000).then(note('waits')), fetch(client, 99).then(note('out of range')), fetch(client, 0).then(note('reads'))];
  await produce(other, 'x');
  await Promise.all(all);
  expect(order).toEqual(['waits: true', 'out of range: false', 'reads: true']);
  client.close();
  other.close();
});
