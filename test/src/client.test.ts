/** Our client against a broker that is scripted frame by frame: versions, split and hostile answers, lost connections, and what is tried again. */
import { describe, expect, it } from 'vitest';
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { decodeRequestHeader, encodeResponseFrame } from '../../protocol/frame.ts';
import { ApiVersions, Metadata } from '../../protocol/messages/index.ts';
import { Client, parseAddress, throwOn } from '../../src/client.ts';
import { ClientConnection } from '../../src/client/connection.ts';
import { ConnectionError } from '../../src/runtime/connection-error.ts';
import type { ConnectionOptions } from '../../src/client/connection.ts';
import { evenRuns } from '../../src/client/group-member.ts';
import type { Network, Socket, Timers } from '../../src/runtime/runtime.ts';

/** The peer's end of a connection. */
interface Peer {
  /** What to do with a request frame, without its size. */
  onFrame: (frame: Buffer) => void;
  send(...chunks: Buffer[]): void;
  close(): void;
}

/** Timers that fire when they are told to. */
class ManualTimers implements Timers {
  readonly #waiting = new Set<{ delayMs: number; run: () => void }>();

  after(delayMs: number, run: () => void) {
    const one = { delayMs, run };
    this.#waiting.add(one);
    return { cancel: () => void this.#waiting.delete(one) };
  }

  soon(run: () => void): void {
    setImmediate(run);
  }

  get count(): number {
    return this.#waiting.size;
  }

  fire(): void {
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (const { run } of all) run();
  }
}

function scripted(script: (peer: Peer) => void): Network {
  return {
    listen: () => Promise.reject(new Error('it listens to nobody')),
    connect: async () => {
      const socket: Socket = {
        remoteAddress: 'peer',
        remotePort: 1,
        localAddress: 'us',
        localPort: 2,
        onData: () => undefined,
        room: () => null,
        onClose: () => undefined,
        onDrain: () => undefined,
        queuedBytes: 0,
        write: (buffers) => {
          peer.onFrame(Buffer.concat(buffers).subarray(4));
          return true;
        },
        pause: () => undefined,
        resume: () => undefined,
        end: () => undefined,
        destroy: () => undefined,
      };
      const peer: Peer = {
        onFrame: () => undefined,
        send: (...chunks) => queueMicrotask(() => chunks.forEach((chunk) => socket.onData(chunk))),
        close: () => queueMicrotask(() => socket.onClose()),
      };
      script(peer);
      return socket;
    },
  };
}

const versions = [
  { apiKey: 3, minVersion: 0, maxVersion: 5 },
  { apiKey: 18, minVersion: 0, maxVersion: 4 },
];

/** A broker with these versions, that hands all other requests on. */
const broker = (onOther: (peer: Peer, apiVersion: number, correlationId: number) => void) => (peer: Peer) => {
  peer.onFrame = (frame) => {
    const { apiKey, apiVersion, correlationId } = decodeRequestHeader(frame);
    if (apiKey === 18) peer.send(Buffer.concat(encodeResponseFrame(ApiVersions, apiVersion, correlationId, { errorCode: 0, apiKeys: versions, throttleTimeMs: 0 })));
    else onOther(peer, apiVersion, correlationId);
  };
};

const metadata = (correlationId: number, version = 5, host = 'peer') =>
  Buffer.concat(encodeResponseFrame(Metadata, version, correlationId, { throttleTimeMs: 0, brokers: [{ nodeId: 1, host, port: 1 }], clusterId: 'c', controllerId: 1, topics: [] }));

const open = (network: Network, timers: Timers = new ManualTimers()) => {
  const options: ConnectionOptions = { network, timers, host: 'peer', port: 1, clientId: 'test', connectTimeoutMs: 10, requestTimeoutMs: 10, responseBytesMax: 10_000 };
  return ClientConnection.open(options);
};

describe('a connection', () => {
  it('uses the highest version that both have', async () => {
    let used = -1;
    const connection = await open(scripted(broker((peer, apiVersion, correlationId) => {
      used = apiVersion;
      peer.send(metadata(correlationId));
    })));
    expect((await connection.request(Metadata, { topics: null })).clusterId).toBe('c');
    expect(used).toBe(5);
  });

  it('takes the answer in version 0 to a version that the broker does not have', async () => {
    const asked: number[] = [];
    const connection = await open(scripted((peer) => {
      peer.onFrame = (frame) => {
        const { apiVersion, correlationId } = decodeRequestHeader(frame);
        asked.push(apiVersion);
        const errorCode = apiVersion > 0 ? ErrorCode.UNSUPPORTED_VERSION : ErrorCode.NONE;
        peer.send(Buffer.concat(encodeResponseFrame(ApiVersions, 0, correlationId, { errorCode, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 0 }, { apiKey: 3, minVersion: 0, maxVersion: 2 }] })));
      };
    }));
    expect(asked).toEqual([ApiVersions.request.versions.max, 0]);
    expect(connection.versionOf(Metadata)).toBe(2);
  });

  it('puts answers together from any chunks, and matches them by their id', async () => {
    const ids: number[] = [];
    const connection = await open(scripted(broker((peer, _, correlationId) => {
      ids.push(correlationId);
      if (ids.length < 3) return;
      // In another order, byte by byte and then two at once.
      const [first, second, third] = ids.map((id) => metadata(id, 5, `host${id}`));
      peer.send(...[...second!].map((byte) => Buffer.of(byte)), Buffer.concat([third!, first!]));
    })));
    const answers = await Promise.all([1, 2, 3].map(() => connection.request(Metadata, { topics: null })));
    expect(answers.map(({ brokers }) => brokers[0]!.host)).toEqual(ids.map((id) => `host${id}`));
  });

  it.each([
    ['negative', Buffer.from('ffffffff', 'hex'), 'peer:1 sent a frame of -1 bytes, the limit is 10000 (responseBytesMax)'],
    ['too large', Buffer.from('00002711', 'hex'), 'peer:1 sent a frame of 10001 bytes, the limit is 10000 (responseBytesMax)'],
  ])('ends at a size that is %s', async (_, bytes, message) => {
    const connection = await open(scripted(broker((peer) => peer.send(bytes))));
    await expect(connection.request(Metadata, { topics: null })).rejects.toThrow(new ConnectionError(message));
    expect(connection.isOpen).toBe(false);
    await expect(connection.request(Metadata, { topics: null })).rejects.toThrow(message);
  });

  it('ends at an answer that makes no sense', async () => {
    const connection = await open(scripted(broker((peer, _, correlationId) => peer.send(metadata(correlationId).subarray(0, 4), metadata(correlationId).fill(0xff, 12).subarray(4)))));
    await expect(connection.request(Metadata, { topics: null })).rejects.toThrow('peer:1 sent a malformed answer to Metadata');
    expect(connection.isOpen).toBe(false);
  });

  it('fails what waits when the broker goes away, or does not answer in time', async () => {
    const timers = new ManualTimers();
    const silent = await open(scripted(broker(() => undefined)), timers);
    const late = silent.request(Metadata, { topics: null });
    timers.fire();
    await expect(late).rejects.toThrow('peer:1 did not answer Metadata within 10 ms');
    const leaving = await open(scripted(broker((peer) => peer.close())), timers);
    await expect(leaving.request(Metadata, { topics: null })).rejects.toThrow('peer:1 closed the connection');
    expect(timers.count).toBe(0);
  });

  it('does not ask for what the broker does not serve', async () => {
    const connection = await open(scripted((peer) => {
      peer.onFrame = (frame) => {
        const { apiVersion, correlationId } = decodeRequestHeader(frame);
        peer.send(Buffer.concat(encodeResponseFrame(ApiVersions, apiVersion, correlationId, { errorCode: 0, apiKeys: [], throttleTimeMs: 0 })));
      };
    }));
    await expect(connection.request(Metadata, { topics: null })).rejects.toThrow('peer:1 does not serve Metadata');
  });
});

describe('a client', () => {
  const clientOf = (network: Network, nowMs: () => number, timers = new ManualTimers()) =>
    new Client({ bootstrapServers: ['peer:1'], runtime: { network, timers, clock: { monotonicMs: nowMs, wallMs: nowMs } }, retryMs: 1000 });

  it('tries again what may be tried again, and until its time is up', async () => {
    const timers = new ManualTimers();
    let nowMs = 0;
    const client = clientOf(scripted(broker(() => undefined)), () => nowMs, timers);
    let attempts = 0;
    const patient = client.retrying(async () => {
      if (++attempts < 3) throw new KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS);
      return 'done';
    });
    for (let turn = 0; turn < 20; turn++) {
      await Promise.resolve();
      timers.fire();
    }
    expect(await patient).toBe('done');
    expect(attempts).toBe(3);

    await expect(client.retrying(() => Promise.reject(new KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS)))).rejects.toThrow(KafkaError);
    const late = client.retrying(() => {
      nowMs = 5000;
      return Promise.reject(new ConnectionError('gone'));
    });
    await expect(late).rejects.toThrow('gone');
  });

  it('connects again after the connection was lost', async () => {
    let connections = 0;
    const client = clientOf(
      scripted((peer) => {
        const isFirst = ++connections === 1;
        broker((_, version, correlationId) => (isFirst ? peer.close() : peer.send(metadata(correlationId, version))))(peer);
      }),
      () => 0,
    );
    await expect(client.metadata(null)).rejects.toThrow('closed the connection');
    expect((await client.metadata(null)).clusterId).toBe('c');
    expect(connections).toBe(2);
  });

  it('says which advertised address it cannot reach', async () => {
    const inner = scripted(broker((peer, version, correlationId) => peer.send(metadata(correlationId, version, 'inside'))));
    const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const network: Network = { ...inner, connect: (options) => (options.host === 'inside' ? Promise.reject(refused) : inner.connect(options)) };
    await expect(clientOf(network, () => 0).broker(1)).rejects.toThrow(
      'cannot reach inside:1: nothing listens there (broker 1 as advertised by peer:1; its advertised.listeners may not fit this network)',
    );
  });
});

describe('small things', () => {
  it('reads addresses', () => {
    expect(parseAddress('a')).toEqual({ host: 'a', port: 9092 });
    expect(parseAddress('PLAINTEXT://a:1')).toEqual({ host: 'a', port: 1 });
    expect(parseAddress(' [::1]:5 ')).toEqual({ host: '::1', port: 5 });
    for (const text of ['', ':1', 'a:', 'a:b', 'a:99999', '::1', 'a/b']) expect(() => parseAddress(text), text).toThrow(RangeError);
  });

  it('names what a code means', () => {
    expect(() => throwOn(0, 'x')).not.toThrow();
    expect(() => throwOn(3, 'topic a')).toThrow(/^topic a: .+ \(UNKNOWN_TOPIC_OR_PARTITION\)$/);
    expect(() => throwOn(3, 'topic a', 'gone')).toThrow('topic a: gone (UNKNOWN_TOPIC_OR_PARTITION)');
  });

  it('spreads partitions evenly', () => {
    expect(evenRuns([0, 1, 2, 3, 4], 2)).toEqual([[0, 1, 2], [3, 4]]);
    expect(evenRuns([0], 3)).toEqual([[0], [], []]);
    expect(evenRuns([], 1)).toEqual([[]]);
  });
});
