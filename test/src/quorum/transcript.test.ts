/**
 * The controller's side of the transcript of a cluster of Apache Kafka 4.3.1: our controller is told, at the same times, what the brokers told Kafka's, and must
 * give the same answers and write the same records. What brokers passed on in Envelopes is taken out of them. Ids, epochs and offsets are mapped; where Kafka
 * placed replicas at random, ours is told where. NoOpRecords and the controller's own registration, which this node does not have, are left out.
 */
import { afterEach, expect, test } from 'vitest';
import { decode } from '../../../protocol/compile.ts';
import { decodeRequestHeader, decodeResponseFrame } from '../../../protocol/frame.ts';
import { apis } from '../../../protocol/messages/index.ts';
import { AllocateProducerIds, AlterPartition, BrokerHeartbeat, BrokerRegistration, Envelope } from '../../../protocol/messages/cluster.ts';
import { Fetch } from '../../../protocol/messages/fetch.ts';
import { CreateTopics } from '../../../protocol/messages/topics.ts';
import { readBatches } from '../../../src/quorum/batches.ts';
import { ZERO_UUID } from '../../../src/quorum/image.ts';
import type { Quorum } from '../../../src/quorum/quorum.ts';
import { describeGolden, hasGoldenFile } from '../../protocol/golden.ts';
import { TRANSCRIPT, transcriptFrames } from '../../protocol/transcript.ts';
import type { TranscriptFrame } from '../../protocol/transcript.ts';
import { askController, comparable, type Json, mapped, plain, sweeps, type Written, writtenRecords } from './conversation.ts';
import { QuorumWorld } from './world.ts';

const CONTROLLER_PORT = 26_091;
const PLAYED: ReadonlySet<number> = new Set([BrokerRegistration, BrokerHeartbeat, AlterPartition, AllocateProducerIds, CreateTopics, Envelope].map(({ key }) => key));

interface Exchange {
  readonly atMs: number;
  readonly apiKey: number;
  readonly version: number;
  readonly request: Json;
  readonly answer: Json;
  readonly isForwarded?: true;
}

const bodyOf = (line: TranscriptFrame): Buffer => Buffer.from(line.hex, 'hex');

/** In the order in which the controller was asked. */
function exchanges(lines: readonly TranscriptFrame[]): Exchange[] {
  const found: Exchange[] = [];
  for (const line of lines) {
    if (line.dir !== 'request' || !PLAYED.has(line.apiKey)) continue;
    const answered = lines.find((other) => other.dir === 'response' && other.conn === line.conn && other.correlationId === line.correlationId);
    if (answered === undefined) continue;
    const outer = exchange(line.t, bodyOf(line), bodyOf(answered));
    if (line.apiKey !== Envelope.key) {
      found.push(outer);
      continue;
    }
    const { requestData } = decode(Envelope.request, 0, decodeRequestHeader(bodyOf(line)).reader);
    const { responseData } = decodeResponseFrame(Envelope, 0, bodyOf(answered)).body;
    found.push({ ...exchange(line.t, requestData, responseData!), isForwarded: true });
  }
  return found;
}

function exchange(t: number, request: Buffer, answer: Buffer): Exchange {
  const { apiKey, apiVersion, reader } = decodeRequestHeader(request);
  const api = apis.get(apiKey)!;
  return {
    atMs: Math.round(t * 1000), apiKey, version: apiVersion, request: plain(decode(api.request, apiVersion, reader)), answer: plain(decodeResponseFrame(api, apiVersion, answer).body),
  };
}

/** The metadata log, from what the brokers fetched of it. */
function kafkaRecords(lines: readonly TranscriptFrame[]): (Written & { readonly offset: number })[] {
  const byOffset = new Map<number, Written & { readonly offset: number }>();
  for (const line of lines) {
    if (line.dir !== 'response' || line.apiKey !== Fetch.key) continue;
    const { responses } = decodeResponseFrame(Fetch, line.version, bodyOf(line)).body;
    for (const { records } of responses.flatMap(({ partitions }) => partitions)) {
      if (records === null || records.length === 0) continue;
      for (const batch of readBatches(Buffer.from(records as Buffer))) {
        batch.records.forEach(({ name: record, version, value }, at) => byOffset.set(batch.baseOffset + at, { offset: batch.baseOffset + at, record, version, value: plain(value) }));
      }
    }
  }
  return [...byOffset.values()].sort((left, right) => left.offset - right.offset);
}

const isCompared = ({ record }: Written): boolean => record !== 'NoOpRecord' && record !== 'RegisterControllerRecord';

/** From Kafka's ids, epochs and offsets to ours. */
class Mapping {
  readonly topicIds = new Map<string, string>();
  readonly epochs = new Map<number, number>();
  readonly #offsets: readonly number[];

  constructor(records: readonly { readonly offset: number }[]) {
    this.#offsets = records.map(({ offset }) => offset);
  }

  toOurs(value: Json, key = ''): Json {
    if (typeof value === 'string' && this.topicIds.has(value)) return this.topicIds.get(value)!;
    if ((key === 'brokerEpoch' || key === 'previousBrokerEpoch') && typeof value === 'number') return this.epochs.get(value) ?? value;
    return mapped(value, (one, name) => this.toOurs(one, name));
  }

  /** Our offset of the last record that whoever has read Kafka's log up to `offset` knows. */
  offset(offset: number, ours: readonly { readonly offset: number }[]): number {
    const known = this.#offsets.filter((one) => one <= offset).length;
    return known === 0 ? -1 : (ours[Math.min(known, ours.length) - 1]?.offset ?? -1);
  }
}

/** CreateTopics with the replicas that Kafka chose. */
function placed(request: Json, records: readonly Written[]): Json {
  const topics = (request as { topics: { name: string; assignments: Json[] }[] }).topics.map((topic) => {
    const id = records.map(({ record, value }) => ({ record, value: value as { name: string; topicId: string } })).find(({ record, value }) => record === 'TopicRecord' && value.name === topic.name)!.value.topicId;
    const assignments = records
      .filter(({ record, value }) => record === 'PartitionRecord' && (value as { topicId: string }).topicId === id)
      .map(({ value }) => value as { partitionId: number; replicas: number[] })
      .map(({ partitionId, replicas }) => ({ partitionIndex: partitionId, brokerIds: replicas }));
    return { ...topic, numPartitions: -1, replicationFactor: -1, assignments };
  });
  return { ...(request as object), topics } as unknown as Json;
}

let quorum: Quorum | undefined;

afterEach(async () => {
  await quorum?.close();
});

describeGolden(() => {
  test.skipIf(!hasGoldenFile(TRANSCRIPT))('our controller answers and writes as Kafka\'s did', async () => {
    const lines = transcriptFrames().filter(({ port }) => port === CONTROLLER_PORT);
    const records = kafkaRecords(lines).filter(isCompared);
    const conversation = exchanges(lines);
    expect(conversation.length).toBeGreaterThan(150);
    const registration = conversation.find(({ apiKey }) => apiKey === BrokerRegistration.key)!.request as { clusterId: string };
    const world = new QuorumWorld({ settings: { 'metadata.max.idle.interval.ms': 0 }, clusterId: registration.clusterId });
    quorum = await world.open();
    await quorum.controller!.createTopics([]);
    const mapping = new Mapping(records);
    const ours = (): ReturnType<typeof writtenRecords> => writtenRecords(world).filter(isCompared);
    let nowMs = conversation[0]!.atMs;
    let count = 0;
    for (const { atMs, apiKey, version, request, answer, isForwarded } of conversation) {
      await world.pass(atMs - nowMs);
      nowMs = atMs;
      let asked = mapping.toOurs(apiKey === CreateTopics.key ? placed(request, records) : request);
      if (apiKey === BrokerHeartbeat.key) {
        asked = { ...(asked as object), currentMetadataOffset: mapping.offset((request as { currentMetadataOffset: number }).currentMetadataOffset, ours()) };
      }
      const got = await askController(world, quorum, { api: apis.get(apiKey)!, version, request: asked, ...(isForwarded && { isForwarded }) });
      if (apiKey === BrokerRegistration.key) {
        mapping.epochs.set((answer as { brokerEpoch: number }).brokerEpoch, (got as { brokerEpoch: number }).brokerEpoch);
      }
      for (const { name, topicId } of apiKey === CreateTopics.key ? (answer as { topics: { name: string; topicId: string }[] }).topics : []) {
        if (topicId !== ZERO_UUID) mapping.topicIds.set(topicId, quorum.image().topic(name)!.id);
      }
      expect(comparable(got), `request ${++count} at ${atMs} ms: ${apis.get(apiKey)!.name} ${JSON.stringify(request)}`).toEqual(comparable(mapping.toOurs(answer)));
    }
    const wanted = records.map(({ record, version, value }): Written => ({ record, version, value: comparable(mapping.toOurs(value)) }));
    const written = ours().map(({ record, version, value }): Written => ({ record, version, value: comparable(value) }));
    expect(sweeps(written)).toEqual(sweeps(wanted));
  });
});
