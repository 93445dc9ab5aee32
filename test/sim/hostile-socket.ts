/**
 * A way to a node that means no good: its answers arrive, and some of them lie. One field of an answer is another number, name, id, list or bytes, well encoded; or bytes of the frame are
 * changed as they are.
 *
 * Promises: answers stay whole frames with their correlation ids, so that it is their content that is believed or not. Does not change what is asked.
 */
import { FrameCutter } from '../../src/runtime/frames.ts';
import type { Socket } from '../../src/runtime/runtime.ts';
import { decodeRequestHeader, decodeResponseFrame, encodeResponseFrame } from '../../protocol/frame.ts';
import { apis } from '../../protocol/messages/index.ts';
import type { AnyApi } from '../../protocol/schema.ts';
import type { Seeded } from '../storage/seeded.ts';
import { SimNetwork } from './network.ts';
import type { Process, World } from './world.ts';

const FRAME_BYTES_MAX = 1 << 26;
const API_VERSIONS_KEY = 18;
const NUMBERS = [-1, 0, 1, 2, 3, 127, 32_767, -32_768, 65_536, 2_147_483_647, -2_147_483_648, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];

export class HostileNetwork extends SimNetwork {
  /** The host whose answers to other nodes lie, and how often. */
  foe = '';
  isNode: (address: string) => boolean = () => true;
  lieChance = 0.3;
  /** Lies told, by API. */
  readonly lies = new Map<string, number>();
  readonly #random: Seeded;

  constructor(world: World) {
    super(world);
    this.#random = world.random('lies');
  }

  override of(address: string, process: Process) {
    const network = super.of(address, process);
    return {
      ...network,
      connect: async (options: { host: string; port: number; timeoutMs: number }): Promise<Socket> => {
        const socket = await network.connect(options);
        return options.host !== address && this.isNode(address) ? this.#heard(socket, options.host) : socket;
      },
    };
  }

  #heard(socket: Socket, from: string): Socket {
    const asked = new Map<number, { readonly api: AnyApi; readonly version: number }>();
    const out = new FrameCutter({ frameBytesMax: FRAME_BYTES_MAX, limit: 'the test' });
    const back = new FrameCutter({ frameBytesMax: FRAME_BYTES_MAX, limit: 'the test' });
    let onData: Socket['onData'] = () => {};
    socket.onData = (chunk) => back.push(chunk, (frame) => {
      const told = this.#told(Buffer.from(frame), asked, from);
      const size = Buffer.alloc(4);
      size.writeInt32BE(told.length);
      onData(Buffer.concat([size, told]));
      return true;
    });
    const write = socket.write.bind(socket);
    return new Proxy(socket, {
      get(target, name) {
        if (name === 'onData') return onData;
        if (name === 'write') {
          return (buffers: readonly Buffer[], written?: () => void) => {
            out.push(Buffer.concat(buffers), (frame) => {
              const { api, apiVersion: version, correlationId } = decodeRequestHeader(frame);
              asked.set(correlationId, { api: api!, version });
              return true;
            });
            return write(buffers, written);
          };
        }
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === 'function' && name !== 'onClose' && name !== 'onDrain' && name !== 'room' ? value.bind(target) : value;
      },
      set(target, name, value) {
        if (name === 'onData') onData = value;
        // What is read lies in our buffers.
        else if (name !== 'room') Reflect.set(target, name, value, target);
        return true;
      },
    });
  }

  #told(frame: Buffer, asked: Map<number, { readonly api: AnyApi; readonly version: number }>, from: string): Buffer {
    const random = this.#random;
    const correlationId = frame.readInt32BE(0);
    const { api, version } = asked.get(correlationId)!;
    asked.delete(correlationId);
    // Whoever lies about what it serves is not asked any more, and tells no other lie.
    if (from !== this.foe || !random.chance(api.key === API_VERSIONS_KEY ? this.lieChance / 10 : this.lieChance)) return frame;
    this.lies.set(api.name, (this.lies.get(api.name) ?? 0) + 1);
    if (!random.chance(0.2)) {
      try {
        const { body } = decodeResponseFrame(apis.get(api.key)! as AnyApi, version, frame) as { body: any };
        const places = placesOf(body);
        for (let n = 1 + random.below(2); n > 0 && places.length > 0; n--) {
          const { owner, key } = random.pick(places);
          owner[key] = otherThan(owner[key], random);
        }
        return Buffer.concat(encodeResponseFrame(api, version, correlationId, body)).subarray(4);
      } catch {
        // No such value in that field: bytes are changed.
      }
    }
    for (let n = 1 + random.below(3); n > 0 && frame.length > 4; n--) frame[4 + random.below(frame.length - 4)] = random.below(256);
    return random.chance(0.2) ? frame.subarray(0, 4 + random.below(frame.length - 3)) : frame;
  }
}

function placesOf(value: any, found: { readonly owner: any; readonly key: string | number }[] = []): { readonly owner: any; readonly key: string | number }[] {
  for (const key of Object.keys(value)) {
    found.push({ owner: value, key });
    if (value[key] !== null && typeof value[key] === 'object' && !Buffer.isBuffer(value[key])) placesOf(value[key], found);
  }
  return found;
}

function otherThan(value: unknown, random: Seeded): unknown {
  if (typeof value === 'number') return random.chance(0.3) ? value + 1 - random.below(3) : random.pick(NUMBERS);
  if (typeof value === 'bigint') return BigInt(random.pick(NUMBERS));
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') return random.pick(['', 'x', '../../etc', '\u0000', 'AAAAAAAAAAAAAAAAAAAAAQ', 'AAAAAAAAAAAAAAAAAAAAAA', value + value]);
  if (Buffer.isBuffer(value)) return random.pick([Buffer.alloc(0), value.subarray(0, random.below(value.length + 1)), Buffer.concat([value, value]), random.bytes(100)]);
  if (Array.isArray(value)) return random.pick([[], [...value, ...value], value.slice(1)]);
  return null;
}
