/**
 * The controller of a transcript: to what our brokers ask it gives the answers that Apache Kafka's controller gave, bytes as they were but for the correlation id.
 *
 * Promises: an answer comes no sooner than in the transcript. Fetches of the metadata log are answered in their order, each broker's life by itself; a heartbeat as the last one
 * that wanted the same; partitions of an AlterPartition one by one, however they were put together; all else in order of its kind. What has no answer left gets none.
 * Does not judge what it is asked: all of it is kept (`asked`).
 */
import { decode } from '../../../protocol/compile.ts';
import { decodeRequestHeader, decodeResponseFrame, encodeResponseFrame } from '../../../protocol/frame.ts';
import { AlterPartition, BrokerHeartbeat, Envelope } from '../../../protocol/messages/cluster.ts';
import { ApiVersions, apis } from '../../../protocol/messages/index.ts';
import { FrameCutter } from '../../../src/runtime/frames.ts';
import type { Socket } from '../../../src/runtime/runtime.ts';
import { transcriptExchanges, TRANSCRIPT_PORTS } from '../../protocol/transcript.ts';
import type { TranscriptExchange, TranscriptFrame } from '../../protocol/transcript.ts';
import type { SimNetwork } from '../../sim/network.ts';
import { Process } from '../../sim/world.ts';
import type { World } from '../../sim/world.ts';

export interface Asked {
  readonly broker: number;
  /** Counted from 0: a broker that was started again has a new one. */
  readonly life: number;
  readonly apiKey: number;
  readonly clientId: string | null;
  readonly body: any;
}

interface Answer {
  readonly atMs: number;
  readonly frame: Buffer;
}

const FRAME_BYTES_MAX = 1 << 24;
const CONTROLLER_PORT = [...TRANSCRIPT_PORTS].find(([, id]) => id === 1)![0];

/** Who asked: all of Kafka's client ids between nodes name the broker. */
export function askedBy(clientId: string | null): number {
  return Number(/(\d+)(?:-fetcher-\d+)?$/.exec(clientId ?? '')?.[1]);
}

/** What was asked, with what an Envelope held in its place: the same bytes, so it says the same of itself. */
export function kindOf(apiKey: number, body: any): string {
  if (apiKey !== Envelope.key) return apis.get(apiKey)!.name;
  return `Envelope of ${apis.get((body.requestData as Buffer).readInt16BE(0))!.name}`;
}

const partOf = ({ broker, life, apiKey, body }: Asked): string => `${broker} ${life} ${kindOf(apiKey, body)}`;

export class ScriptedController {
  readonly asked: Asked[] = [];
  readonly #world: World;
  readonly #process = new Process('controller');
  readonly #script: readonly (TranscriptExchange & { readonly asked: Asked })[];
  /** What was answered of a broker's life and a kind, with what comes next. */
  readonly #parts = new Map<string, { readonly answers: readonly (Answer & { readonly request: any })[]; next: number }>();
  readonly #lives = new Map<number, number>();
  readonly #offsetMs: number;
  readonly #begins: (broker: number) => number[];

  /** `offsetMs` is what the transcript's time is ahead of the world's. */
  constructor(options: { readonly world: World; readonly network: SimNetwork; readonly address: string; readonly frames: readonly TranscriptFrame[]; readonly offsetMs: number }) {
    const { world, network, address, frames, offsetMs } = options;
    this.#world = world;
    this.#offsetMs = offsetMs;
    const script = transcriptExchanges(frames).filter(({ port }) => port === CONTROLLER_PORT);
    this.#begins = (broker) => script.filter(({ apiKey, clientId }) => apiKey === ApiVersions.key && clientId === `raft-client-${broker}`).map((one) => one.atMs);
    const begins = new Map([...TRANSCRIPT_PORTS.values()].map((id) => [id, this.#begins(id)]));
    this.#script = script.map((one) => {
      const broker = askedBy(one.clientId);
      const life = begins.get(broker)!.filter((beginMs) => beginMs <= one.atMs).length - 1;
      return { ...one, asked: { broker, life, apiKey: one.apiKey, clientId: one.clientId, body: one.request } };
    });
    for (const { asked, answer, request } of this.#script) {
      if (answer === null) continue;
      const key = partOf(asked);
      const { answers, next } = this.#parts.get(key) ?? { answers: [], next: 0 };
      this.#parts.set(key, { answers: [...answers, { ...answer, request }], next });
    }
    void network.of(address, this.#process).listen({ host: address, port: CONTROLLER_PORT } as never, (socket) => this.#serve(socket));
  }

  /** What each broker asked in the transcript, in its lives. */
  wanted(): readonly Asked[] {
    return this.#script.map(({ asked }) => asked);
  }

  /** When each life of a broker begins, in the transcript's time: its first word on a new connection to fetch the metadata log. */
  lifeBegins(broker: number): number[] {
    return this.#begins(broker);
  }

  begin(broker: number): void {
    this.#lives.set(broker, (this.#lives.get(broker) ?? -1) + 1);
  }

  close(): void {
    this.#process.die();
  }

  #serve(socket: Socket): void {
    const cutter = new FrameCutter({ frameBytesMax: FRAME_BYTES_MAX, limit: 'the test' });
    socket.onData = (chunk) => cutter.push(chunk, (frame) => {
      this.#answer(socket, Buffer.from(frame));
      return true;
    });
  }

  #answer(socket: Socket, frame: Buffer): void {
    const { apiKey, apiVersion, correlationId, clientId, reader } = decodeRequestHeader(frame);
    const broker = askedBy(clientId);
    const asked: Asked = { broker, life: this.#lives.get(broker)!, apiKey, clientId, body: decode(apis.get(apiKey)!.request, apiVersion, reader) };
    this.asked.push(asked);
    const found = this.#find(asked);
    if (found === null) return;
    const answer = Buffer.from(found.frame);
    answer.writeInt32BE(correlationId, 0);
    const size = Buffer.alloc(4);
    size.writeInt32BE(answer.length);
    this.#world.at(found.atMs - this.#offsetMs - this.#world.nowMs, this.#process, 'answer', () => socket.write([size, answer]));
  }

  #find(asked: Asked): Answer | null {
    if (asked.apiKey === AlterPartition.key) return this.#alterPartition(asked);
    const part = this.#parts.get(partOf(asked));
    if (part === undefined) return null;
    if (asked.apiKey === ApiVersions.key) return part.answers[0]!;
    if (asked.apiKey === BrokerHeartbeat.key) {
      const wants = ({ wantFence, wantShutDown }: any): string => `${wantFence} ${wantShutDown}`;
      const same = part.answers.filter(({ request }) => wants(request) === wants(asked.body));
      return same.findLast(({ atMs }) => atMs - this.#offsetMs <= this.#world.nowMs) ?? same[0] ?? null;
    }
    return part.answers[part.next++] ?? null;
  }

  #alterPartition({ broker, body }: Asked): Answer {
    const all = this.#script.filter(({ asked, answer }) => asked.apiKey === AlterPartition.key && answer !== null && asked.broker === broker);
    const { version, frame } = all[0]!.answer!;
    const head = decodeResponseFrame(AlterPartition, version, frame).body;
    let atMs = 0;
    const topics = body.topics.map(({ topicId, partitions }: any) => ({
      topicId,
      partitions: partitions.map(({ partitionIndex }: any) => {
        for (const { answer } of all) {
          const found = decodeResponseFrame(AlterPartition, version, answer!.frame).body.topics.find((topic) => topic.topicId === topicId)?.partitions.find((one) => one.partitionIndex === partitionIndex);
          if (found === undefined) continue;
          atMs = Math.max(atMs, answer!.atMs);
          return found;
        }
        throw new Error(`the transcript has no AlterPartition of ${topicId} ${partitionIndex}`);
      }),
    }));
    return { atMs, frame: Buffer.concat(encodeResponseFrame(AlterPartition, version, 0, { ...head, topics })).subarray(4) };
  }
}
