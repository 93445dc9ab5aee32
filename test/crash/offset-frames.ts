/**
 * What a client commits and is told of its group's offsets, read from the frames of its sockets.
 * Promises: tells of a request before it is written and of an answer before the client has it, so the order in which it tells is the order in which a broker and the client may have seen
 * them. What the client makes of it, such as where it reads on, is its own affair. Does not: change a byte; read versions that name topics by id or several groups.
 */
import { type Socket, connect } from 'node:net';
import type { ISocketFactory } from 'kafkajs';
import { decode } from '../../protocol/compile.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { decodeCorrelationId, decodeRequestHeader, decodeResponseFrame } from '../../protocol/frame.ts';
import { OffsetCommit, OffsetFetch } from '../../protocol/messages/offsets.ts';
import { FrameCutter } from '../../src/runtime/frames.ts';

/** `id` names a commit of one partition, or a question, among all of one listener. */
export interface OffsetListener {
  sent(id: number, partition: number, offset: number): void;
  answered(id: number, errorCode: number): void;
  asked(id: number): void;
  /** -1 for no offset. */
  told(id: number, partition: number, offset: number): void;
}

type Waiting =
  | { readonly api: 'commit'; readonly version: number; readonly ids: ReadonlyMap<number, number> }
  | { readonly api: 'fetch'; readonly version: number; readonly id: number };

/** Versions of OffsetFetch from this one on ask for several groups. */
const MANY_GROUPS_SINCE = 8;
const FRAME_BYTES_MAX = 2 ** 30;
const KEEP_ALIVE_MS = 60_000;

export class OffsetFrames {
  readonly #topic: string;
  readonly #listener: OffsetListener;
  #lastId = 0;

  /** Commits of other topics are not told. */
  constructor(topic: string, listener: OffsetListener) {
    this.#topic = topic;
    this.#listener = listener;
  }

  /** One connection: takes the bytes of both ways as they come. */
  connection(): { out(bytes: Buffer): void; in(bytes: Buffer): void } {
    const waiting = new Map<number, Waiting>();
    const [requests, responses] = [0, 1].map(() => new FrameCutter({ frameBytesMax: FRAME_BYTES_MAX, limit: 'FRAME_BYTES_MAX' }));
    return {
      out: (bytes) => requests!.push(bytes, (frame) => this.#request(frame, waiting)),
      in: (bytes) => responses!.push(bytes, (frame) => this.#response(frame, waiting)),
    };
  }

  /** What kafkajs connects by, with every connection looked at. */
  readonly socketFactory: ISocketFactory = ({ host, port, onConnect }): Socket => {
    const socket = connect({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const frames = this.connection();
    const write = socket.write.bind(socket) as (...words: unknown[]) => boolean;
    socket.write = (bytes: Uint8Array | string, ...rest: unknown[]) => {
      frames.out(bytes as Buffer);
      return write(bytes, ...rest);
    };
    // Before the client's own listener, which comes when this has returned.
    socket.on('data', (bytes) => frames.in(bytes as Buffer));
    return socket;
  };

  #request(frame: Buffer, waiting: Map<number, Waiting>): boolean {
    const { apiKey, apiVersion: version, correlationId, reader } = decodeRequestHeader(frame);
    if (apiKey === OffsetCommit.key) {
      const { topics } = decode(OffsetCommit.request, version, reader);
      const ids = new Map<number, number>();
      for (const { partitionIndex, committedOffset } of topics.find(({ name }) => name === this.#topic)?.partitions ?? []) {
        const id = ++this.#lastId;
        ids.set(partitionIndex, id);
        this.#listener.sent(id, partitionIndex, Number(committedOffset));
      }
      waiting.set(correlationId, { api: 'commit', version, ids });
    } else if (apiKey === OffsetFetch.key) {
      if (version >= MANY_GROUPS_SINCE) throw new RangeError(`OffsetFetch ${version} is not read here`);
      const id = ++this.#lastId;
      this.#listener.asked(id);
      waiting.set(correlationId, { api: 'fetch', version, id });
    }
    return true;
  }

  #response(frame: Buffer, waiting: Map<number, Waiting>): boolean {
    const correlationId = decodeCorrelationId(frame);
    const request = waiting.get(correlationId);
    if (request === undefined) return true;
    waiting.delete(correlationId);
    if (request.api === 'commit') {
      const { topics } = decodeResponseFrame(OffsetCommit, request.version, frame).body;
      for (const { partitionIndex, errorCode } of topics.find(({ name }) => name === this.#topic)?.partitions ?? []) this.#listener.answered(request.ids.get(partitionIndex)!, errorCode);
      return true;
    }
    const { errorCode, topics } = decodeResponseFrame(OffsetFetch, request.version, frame).body;
    if (errorCode !== ErrorCode.NONE) return true;
    for (const one of topics.find(({ name }) => name === this.#topic)?.partitions ?? []) {
      if (one.errorCode === ErrorCode.NONE) this.#listener.told(request.id, one.partitionIndex, Number(one.committedOffset));
    }
    return true;
  }
}
