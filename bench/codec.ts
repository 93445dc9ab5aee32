/**
 * What coding costs: Produce, Fetch, Metadata of 1,000 partitions and OffsetCommit, in ns per message and MB/s, beside kafkajs's own Encoder and
 * Decoder in the same run, used the way its request and response files use them.
 *
 *   node bench/codec.ts [milliseconds per row and round]
 *
 * Promises: both sides are checked to make the same bytes before anything is timed; the two take turns, and the median of the rounds counts.
 * Records are left as they are on both sides: their coding is another benchmark's.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { decode, encode } from '../protocol/compile.ts';
import { FetchResponse, MetadataResponse, OffsetCommitRequest, ProduceRequest } from '../protocol/messages/index.ts';
import type { AnyMessage, Input } from '../protocol/schema.ts';
import { Reader } from '../protocol/reader.ts';
import { Writer } from '../protocol/writer.ts';

const require = createRequire(import.meta.url);
const Encoder = require('kafkajs/src/protocol/encoder');
const Decoder = require('kafkajs/src/protocol/decoder');

interface Case {
  readonly title: string;
  readonly bytes: number;
  readonly ours: { readonly encode: () => unknown; readonly decode: () => unknown };
  readonly kafkajs: { readonly encode: () => unknown; readonly decode: () => unknown } | undefined;
}

export interface CodecRow {
  readonly title: string;
  readonly bytes: number;
  readonly encodeNs: number;
  readonly decodeNs: number;
  /** undefined where kafkajs does not have the version. */
  readonly kafkajsEncodeNs: number | undefined;
  readonly kafkajsDecodeNs: number | undefined;
}

interface Kafkajs<T> {
  /** The bytes of the message, from the same input as ours. */
  readonly encode: (input: T) => { readonly buffer: Buffer };
  readonly decode: (decoder: any) => unknown;
}

function caseOf<M extends AnyMessage>(title: string, message: M, version: number, input: Input<M>, kafkajs?: Kafkajs<Input<M>>): Case {
  const encoded = () => {
    const writer = new Writer();
    encode(message, version, input, writer);
    return writer.finish();
  };
  const bytes = Buffer.concat(encoded());
  if (kafkajs !== undefined && !kafkajs.encode(input).buffer.equals(bytes)) throw new Error(`${title}: kafkajs encodes it otherwise`);
  return {
    title,
    bytes: bytes.length,
    ours: { encode: encoded, decode: () => decode(message, version, new Reader(bytes)) },
    kafkajs: kafkajs && { encode: () => kafkajs.encode(input).buffer, decode: () => kafkajs.decode(new Decoder(bytes)) },
  };
}

function range<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

const produceInput: Input<typeof ProduceRequest> = {
  transactionalId: null,
  acks: -1,
  timeoutMs: 30_000,
  topicData: [{ name: 'orders', partitionData: range(6, (index) => ({ index, records: Buffer.alloc(16 * 1024, index) })) }],
};

const produceKafkajs: Kafkajs<Input<typeof ProduceRequest>> = {
  encode: (input) =>
    new Encoder()
      .writeString(input.transactionalId)
      .writeInt16(input.acks)
      .writeInt32(input.timeoutMs)
      .writeArray(
        input.topicData.map(({ name, partitionData }) =>
          new Encoder().writeString(name).writeArray(partitionData.map(({ index, records }) => new Encoder().writeInt32(index).writeBytes(records))),
        ),
      ),
  decode: (decoder) => ({
    transactionalId: decoder.readString(),
    acks: decoder.readInt16(),
    timeoutMs: decoder.readInt32(),
    topicData: decoder.readArray((topic: any) => ({
      name: topic.readString(),
      partitionData: topic.readArray((partition: any) => ({ index: partition.readInt32(), records: partition.readBytes() })),
    })),
  }),
};

const fetchInput: Input<typeof FetchResponse> = {
  throttleTimeMs: 0,
  errorCode: 0,
  sessionId: 71,
  responses: [
    {
      topic: 'orders',
      partitions: range(50, (partitionIndex) => ({
        partitionIndex,
        errorCode: 0,
        highWatermark: 1_000_000 + partitionIndex,
        lastStableOffset: 1_000_000 + partitionIndex,
        logStartOffset: 17,
        abortedTransactions: null,
        preferredReadReplica: -1,
        records: Buffer.alloc(2 * 1024, partitionIndex),
      })),
    },
  ],
};

const fetchKafkajs: Kafkajs<Input<typeof FetchResponse>> = {
  encode: (input) =>
    new Encoder()
      .writeInt32(input.throttleTimeMs)
      .writeInt16(input.errorCode)
      .writeInt32(input.sessionId)
      .writeArray(
        input.responses.map(({ topic, partitions }) =>
          new Encoder().writeString(topic).writeArray(
            partitions.map((partition) =>
              new Encoder()
                .writeInt32(partition.partitionIndex)
                .writeInt16(partition.errorCode)
                .writeInt64(partition.highWatermark)
                .writeInt64(partition.lastStableOffset)
                .writeInt64(partition.logStartOffset)
                .writeNullableArray(partition.abortedTransactions ?? [])
                .writeInt32(partition.preferredReadReplica)
                .writeBytes(partition.records),
            ),
          ),
        ),
      ),
  decode: (decoder) => ({
    throttleTimeMs: decoder.readInt32(),
    errorCode: decoder.readInt16(),
    sessionId: decoder.readInt32(),
    responses: decoder.readArray((topic: any) => ({
      topic: topic.readString(),
      partitions: topic.readArray((partition: any) => ({
        partitionIndex: partition.readInt32(),
        errorCode: partition.readInt16(),
        highWatermark: partition.readInt64().toString(),
        lastStableOffset: partition.readInt64().toString(),
        logStartOffset: partition.readInt64().toString(),
        abortedTransactions: partition.readArray((aborted: any) => ({
          producerId: aborted.readInt64().toString(),
          firstOffset: aborted.readInt64().toString(),
        })),
        preferredReadReplica: partition.readInt32(),
        records: partition.readBytes(),
      })),
    })),
  }),
};

const metadataInput: Input<typeof MetadataResponse> = {
  brokers: range(3, (nodeId) => ({ nodeId, host: `broker-${nodeId}.example`, port: 9092, rack: null })),
  clusterId: 'Xr3fWpLqRf6yGk2r0Cq1tA',
  controllerId: 1,
  topics: range(10, (topic) => ({
    errorCode: 0,
    name: `orders-of-shop-${topic}`,
    partitions: range(100, (partitionIndex) => ({
      errorCode: 0,
      partitionIndex,
      leaderId: partitionIndex % 3,
      replicaNodes: [0, 1, 2],
      isrNodes: [0, 1, 2],
      offlineReplicas: [],
    })),
  })),
};

const metadataKafkajs: Kafkajs<Input<typeof MetadataResponse>> = {
  encode: (input) =>
    new Encoder()
      .writeInt32(input.throttleTimeMs ?? 0)
      .writeArray(
        input.brokers.map(({ nodeId, host, port, rack }) => new Encoder().writeInt32(nodeId).writeString(host).writeInt32(port).writeString(rack)),
      )
      .writeString(input.clusterId)
      .writeInt32(input.controllerId)
      .writeArray(
        input.topics.map(({ errorCode, name, isInternal, partitions }) =>
          new Encoder()
            .writeInt16(errorCode)
            .writeString(name)
            .writeBoolean(isInternal)
            .writeArray(
              partitions.map((partition) =>
                new Encoder()
                  .writeInt16(partition.errorCode)
                  .writeInt32(partition.partitionIndex)
                  .writeInt32(partition.leaderId)
                  .writeArray(partition.replicaNodes, 'int32')
                  .writeArray(partition.isrNodes, 'int32')
                  .writeArray(partition.offlineReplicas, 'int32'),
              ),
            ),
        ),
      ),
  decode: (decoder) => ({
    throttleTimeMs: decoder.readInt32(),
    brokers: decoder.readArray((broker: any) => ({
      nodeId: broker.readInt32(),
      host: broker.readString(),
      port: broker.readInt32(),
      rack: broker.readString(),
    })),
    clusterId: decoder.readString(),
    controllerId: decoder.readInt32(),
    topics: decoder.readArray((topic: any) => ({
      errorCode: topic.readInt16(),
      name: topic.readString(),
      isInternal: topic.readBoolean(),
      partitions: topic.readArray((partition: any) => ({
        errorCode: partition.readInt16(),
        partitionIndex: partition.readInt32(),
        leaderId: partition.readInt32(),
        replicaNodes: partition.readArray((node: any) => node.readInt32()),
        isrNodes: partition.readArray((node: any) => node.readInt32()),
        offlineReplicas: partition.readArray((node: any) => node.readInt32()),
      })),
    })),
  }),
};

const offsetCommitInput: Input<typeof OffsetCommitRequest> = {
  groupId: 'billing',
  generationIdOrMemberEpoch: 42,
  memberId: 'billing-1-6f0d7a52-5d5a-4a0f-8e3a-3f1f7a0e9c11',
  topics: [
    {
      name: 'orders',
      partitions: range(50, (partitionIndex) => ({ partitionIndex, committedOffset: BigInt(1_000_000 + partitionIndex), committedMetadata: '' })),
    },
  ],
};

const offsetCommitKafkajs: Kafkajs<Input<typeof OffsetCommitRequest>> = {
  encode: (input) =>
    new Encoder()
      .writeString(input.groupId)
      .writeInt32(input.generationIdOrMemberEpoch)
      .writeString(input.memberId)
      .writeArray(
        input.topics.map(({ name, partitions }) =>
          new Encoder().writeString(name).writeArray(
            partitions.map(({ partitionIndex, committedOffset, committedMetadata }) =>
              // Its users hand offsets over as text.
              new Encoder().writeInt32(partitionIndex).writeInt64(String(committedOffset)).writeString(committedMetadata),
            ),
          ),
        ),
      ),
  decode: (decoder) => ({
    groupId: decoder.readString(),
    generationId: decoder.readInt32(),
    memberId: decoder.readString(),
    topics: decoder.readArray((topic: any) => ({
      name: topic.readString(),
      partitions: topic.readArray((partition: any) => ({
        partitionIndex: partition.readInt32(),
        committedOffset: partition.readInt64().toString(),
        committedMetadata: partition.readString(),
      })),
    })),
  }),
};

function cases(): Case[] {
  const withIds = { ...metadataInput, topics: metadataInput.topics.map((topic) => ({ ...topic, topicId: 'GHdWVuDG78oaW2lQ7mbBzA' })) };
  return [
    caseOf('Produce v7 request, 6 partitions', ProduceRequest, 7, produceInput, produceKafkajs),
    caseOf('Fetch v11 response, 50 partitions', FetchResponse, 11, fetchInput, fetchKafkajs),
    caseOf('Metadata v6 response, 1,000 partitions', MetadataResponse, 6, metadataInput, metadataKafkajs),
    caseOf('OffsetCommit v5 request, 50 partitions', OffsetCommitRequest, 5, offsetCommitInput, offsetCommitKafkajs),
    caseOf('Produce v12 request, 6 partitions', ProduceRequest, 12, produceInput),
    caseOf('Fetch v12 response, 50 partitions', FetchResponse, 12, fetchInput),
    caseOf('Metadata v12 response, 1,000 partitions', MetadataResponse, 12, withIds),
    caseOf('OffsetCommit v9 request, 50 partitions', OffsetCommitRequest, 9, offsetCommitInput),
  ];
}

/** Nanoseconds a call, over about so many milliseconds. */
function nanosecondsOf(run: () => unknown, milliseconds: number): number {
  let calls = 1;
  for (;;) {
    const from = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) run();
    const took = Number(process.hrtime.bigint() - from);
    if (took >= milliseconds * 1e6 || calls >= 1e8) return took / calls;
    calls = Math.ceil(Math.min(calls * 10, (calls * milliseconds * 1.1e6) / Math.max(took, 1)));
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Each row for `milliseconds` a direction, side and round. */
export function benchmarkCodec(milliseconds: number, rounds: number): CodecRow[] {
  return cases().map(({ title, bytes, ours, kafkajs }) => {
    const times = { encode: [] as number[], decode: [] as number[], kafkajsEncode: [] as number[], kafkajsDecode: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      times.encode.push(nanosecondsOf(ours.encode, milliseconds));
      times.decode.push(nanosecondsOf(ours.decode, milliseconds));
      if (kafkajs === undefined) continue;
      times.kafkajsEncode.push(nanosecondsOf(kafkajs.encode, milliseconds));
      times.kafkajsDecode.push(nanosecondsOf(kafkajs.decode, milliseconds));
    }
    return {
      title,
      bytes,
      encodeNs: median(times.encode),
      decodeNs: median(times.decode),
      kafkajsEncodeNs: kafkajs && median(times.kafkajsEncode),
      kafkajsDecodeNs: kafkajs && median(times.kafkajsDecode),
    };
  });
}

/** The rows as a table in Markdown. */
export function codecTable(rows: readonly CodecRow[]): string {
  const cells = (bytes: number, ns: number, other: number | undefined) => [
    Math.round(ns).toLocaleString('en'),
    Math.round((bytes / ns) * 1000).toLocaleString('en'),
    other === undefined ? '' : Math.round(other).toLocaleString('en'),
    other === undefined ? '' : `${(other / ns).toFixed(1)} x`,
  ];
  const lines = [
    ['message', 'bytes', 'encode ns', 'MB/s', 'kafkajs ns', '', 'decode ns', 'MB/s', 'kafkajs ns', ''],
    ['---', ...Array<string>(9).fill('--:')],
    ...rows.map((row) => [
      row.title,
      row.bytes.toLocaleString('en'),
      ...cells(row.bytes, row.encodeNs, row.kafkajsEncodeNs),
      ...cells(row.bytes, row.decodeNs, row.kafkajsDecodeNs),
    ]),
  ];
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  console.log(codecTable(benchmarkCodec(Number(process.argv[2] ?? 300), 5)));
}
