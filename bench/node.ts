/**
 * The driver without any toolchain: prebuilt Produce frames over a socket, a plain Fetch loop, both through ottla's own protocol/. Cheap enough that
 * the broker is the bound, and small enough to run inside the tests.
 * Does not: retry, batch by time, follow leaders. One broker, its own fresh topics.
 */
import { type Socket, connect } from 'node:net';
import { Fetch } from '../protocol/messages/fetch.ts';
import { Produce } from '../protocol/messages/produce.ts';
import { decodeCorrelationId, decodeResponseFrame, encodeRequestFrame } from '../protocol/frame.ts';
import * as batch from '../protocol/record/batch.ts';
import { buildBatch } from '../protocol/record/build.ts';
import type { ConsumeLoad, Driver, FollowLoad, LoadResult, ProduceLoad, Target } from './driver.ts';

/** The last versions that name topics instead of giving their ids, so that no lookup is needed. */
const PRODUCE_VERSION = 12,
  FETCH_VERSION = 12;
/** Requests in flight: five as every client's default, and more where each is one record, as librdkafka does. */
const IN_FLIGHT = 5,
  IN_FLIGHT_ONE_RECORD = 100;
const BATCH_BYTES = 128 * 1024,
  FETCH_BYTES = 8 * 1024 * 1024,
  PARTITION_FETCH_BYTES = 1024 * 1024;
const CORRELATION_AT = 8; // size:4 apiKey:2 apiVersion:2 correlationId:4

/** A connection that knows frames and correlation ids. */
class Connection {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { done: (frame: Buffer) => void; failed: (error: Error) => void }>();
  #correlationId = 0;
  #held: Buffer[] = [];
  #heldBytes = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('close', () => this.#fail(new Error('the broker closed the connection')));
    socket.on('error', (error) => this.#fail(error));
  }

  static open(bootstrapServers: string): Promise<Connection> {
    const colon = bootstrapServers.lastIndexOf(':');
    return new Promise((done, failed) => {
      const socket = connect({ host: bootstrapServers.slice(0, colon), port: Number(bootstrapServers.slice(colon + 1)), noDelay: true });
      socket.once('error', failed).once('connect', () => {
        socket.off('error', failed);
        done(new Connection(socket));
      });
    });
  }

  /** Sends a frame with a correlation id of its own in place of the one in it; resolves with the answer without its size. */
  send(frame: readonly Buffer[]): Promise<Buffer> {
    const id = ++this.#correlationId;
    frame[0]!.writeInt32BE(id, CORRELATION_AT);
    this.#socket.cork();
    // The first buffer is copied, for the same frame is sent again with another id before this one has left.
    frame.forEach((buffer, i) => this.#socket.write(i === 0 ? Buffer.from(buffer) : buffer));
    this.#socket.uncork();
    return new Promise((done, failed) => this.#waiting.set(id, { done, failed }));
  }

  close(): void {
    this.#waiting.clear();
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    for (;;) {
      if (this.#heldBytes < 4) return;
      if (this.#held[0]!.length < 4) this.#held = [Buffer.concat(this.#held)];
      const size = this.#held[0]!.readInt32BE(0) + 4;
      if (this.#heldBytes < size) return;
      const all = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held);
      const rest = all.subarray(size);
      this.#held = rest.length > 0 ? [rest] : [];
      this.#heldBytes = rest.length;
      const frame = all.subarray(4, size),
        id = decodeCorrelationId(frame);
      const waiting = this.#waiting.get(id);
      if (!waiting) return this.#fail(new Error(`an answer to request ${id}, which was not asked`));
      this.#waiting.delete(id);
      waiting.done(frame);
    }
  }

  #fail(error: Error): void {
    for (const { failed } of this.#waiting.values()) failed(error);
    this.#waiting.clear();
    this.#socket.destroy();
  }
}

/** Latencies weighted by records, for percentiles at the end. */
class Latencies {
  readonly #samples: { ms: number; records: number }[] = [];
  #records = 0;

  add(ms: number, records: number): void {
    this.#samples.push({ ms, records });
    this.#records += records;
  }

  at(share: number): number {
    const sorted = [...this.#samples].sort((a, b) => a.ms - b.ms);
    let left = share * this.#records;
    return sorted.find(({ records }) => (left -= records) <= 0)?.ms ?? sorted.at(-1)?.ms ?? 0;
  }
}

function produceFrame(target: Target, partition: number, records: number, recordBytes: number): Buffer[] {
  const value = Buffer.alloc(recordBytes, 'ottla');
  const data = buildBatch({ records: Array.from({ length: records }, () => ({ timestamp: 0, value })) });
  const topicData = [{ name: target.topic, partitionData: [{ index: partition, records: data }] }];
  return encodeRequestFrame(Produce, PRODUCE_VERSION, { correlationId: 0, clientId: 'ottla-bench' }, { acks: -1, timeoutMs: 30_000, topicData });
}

export class NodeDriver implements Driver {
  readonly name = 'node';

  async prepare(): Promise<string> {
    return `Node ${process.version}`;
  }

  produce(load: ProduceLoad): Promise<LoadResult> {
    return this.#produce(load, () => {});
  }

  /** `onSent` hears of every request before it leaves. */
  async #produce(load: ProduceLoad, onSent: (partition: number, firstOffset: number, atMs: number) => void): Promise<LoadResult> {
    const { records, recordBytes, partitions, recordsPerSecond } = load;
    const perRequest = load.oneRecordRequests
      ? 1
      : Math.max(1, Math.min(Math.floor(BATCH_BYTES / recordBytes), recordsPerSecond ? Math.ceil(recordsPerSecond / 200) : Infinity));
    const connection = await Connection.open(load.bootstrapServers);
    const frames = Array.from({ length: partitions }, (_, partition) => produceFrame(load, partition, perRequest, recordBytes));
    const next = new Array<number>(partitions).fill(0),
      latencies = new Latencies();
    let sent = 0,
      turn = 0;
    const startedMs = performance.now();
    const lane = async () => {
      while (sent < records) {
        const count = Math.min(perRequest, records - sent),
          partition = turn++ % partitions;
        const dueMs = recordsPerSecond ? startedMs + (sent / recordsPerSecond) * 1000 : 0;
        sent += count;
        if (dueMs > performance.now()) await new Promise((done) => setTimeout(done, dueMs - performance.now()));
        const frame = count === perRequest ? frames[partition]! : produceFrame(load, partition, count, recordBytes);
        const firstOffset = next[partition]!,
          atMs = performance.now();
        next[partition]! += count;
        onSent(partition, firstOffset, atMs);
        const { body } = decodeResponseFrame(Produce, PRODUCE_VERSION, await connection.send(frame));
        const answer = body.responses[0]!.partitionResponses[0]!;
        if (answer.errorCode !== 0) throw new Error(`produce to ${load.topic}/${partition}: error ${answer.errorCode}`);
        if (answer.baseOffset !== firstOffset) throw new Error(`${load.topic}/${partition}: base offset ${answer.baseOffset}, not ${firstOffset}`);
        latencies.add(performance.now() - atMs, count);
      }
    };
    try {
      // A paced load has one lane: with more, requests that are due at different times would overtake each other.
      const lanes = recordsPerSecond ? 1 : load.oneRecordRequests ? IN_FLIGHT_ONE_RECORD : IN_FLIGHT;
      await Promise.all(Array.from({ length: lanes }, lane));
    } finally {
      connection.close();
    }
    return { records, bytes: records * recordBytes, seconds: (performance.now() - startedMs) / 1000, p50Ms: latencies.at(0.5), p99Ms: latencies.at(0.99) };
  }

  consume(load: ConsumeLoad): Promise<LoadResult> {
    return this.#consume(load, () => {});
  }

  /** Reads from the beginning of a topic; `onBatch` hears of every batch of records. */
  async #consume(load: ConsumeLoad, onBatch: (partition: number, firstOffset: number, records: number, atMs: number) => void): Promise<LoadResult> {
    const connection = await Connection.open(load.bootstrapServers);
    const offsets = new Array<number>(load.partitions).fill(0);
    let got = 0;
    const startedMs = performance.now();
    try {
      while (got < load.records) {
        const partitions = offsets.map((fetchOffset, partition) => ({ partition, fetchOffset, partitionMaxBytes: PARTITION_FETCH_BYTES }));
        const request = { maxWaitMs: 500, minBytes: 1, maxBytes: FETCH_BYTES, topics: [{ topic: load.topic, partitions }], forgottenTopicsData: [] };
        const { body } = decodeResponseFrame(
          Fetch,
          FETCH_VERSION,
          await connection.send(encodeRequestFrame(Fetch, FETCH_VERSION, { correlationId: 0, clientId: 'ottla-bench' }, request)),
        );
        const atMs = performance.now();
        if (body.errorCode !== 0) throw new Error(`fetch: error ${body.errorCode}`);
        for (const { partitionIndex, errorCode, records } of body.responses[0]?.partitions ?? []) {
          if (errorCode !== 0) throw new Error(`fetch of ${load.topic}/${partitionIndex}: error ${errorCode}`);
          // The last batch may be cut off by the limit of bytes.
          for (
            let at = 0;
            records && at + batch.RECORD_BATCH_OVERHEAD <= records.length && at + batch.sizeInBytes(records, at) <= records.length;
            at += batch.sizeInBytes(records, at)
          ) {
            if (batch.baseOffset(records, at) !== offsets[partitionIndex])
              throw new Error(`${load.topic}/${partitionIndex}: a batch of offset ${batch.baseOffset(records, at)}, not ${offsets[partitionIndex]}`);
            onBatch(partitionIndex, batch.baseOffset(records, at), batch.recordCount(records, at), atMs);
            got += batch.recordCount(records, at);
            offsets[partitionIndex] = batch.nextOffset(records, at);
          }
        }
      }
    } finally {
      connection.close();
    }
    return { records: got, bytes: got * load.recordBytes, seconds: (performance.now() - startedMs) / 1000 };
  }

  /** The topic is fresh, so its beginning is its end. */
  async follow(load: FollowLoad): Promise<LoadResult> {
    const sentMs = Array.from({ length: load.partitions }, () => new Map<number, number>()),
      latencies = new Latencies();
    const consumed = this.#consume(load, (partition, firstOffset, records, atMs) => latencies.add(atMs - sentMs[partition]!.get(firstOffset)!, records));
    const [result] = await Promise.all([consumed, this.#produce(load, (partition, firstOffset, atMs) => sentMs[partition]!.set(firstOffset, atMs))]);
    return { ...result, p50Ms: latencies.at(0.5), p99Ms: latencies.at(0.99) };
  }
}
