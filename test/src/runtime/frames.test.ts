/** Frames cut out of a byte stream, whatever way the network cuts it. */
import { describe, expect, test } from 'vitest';
import { FrameCutter } from '../../../src/runtime/frames.ts';
import { BufferPool } from '../../../storage/buffer-pool.ts';

function framed(...payloads: string[]): Buffer {
  return Buffer.concat(payloads.flatMap((payload) => parts(Buffer.from(payload))));
}

function parts(payload: Buffer): Buffer[] {
  const size = Buffer.alloc(4);
  size.writeInt32BE(payload.length);
  return [size, payload];
}

function cut(chunks: Buffer[], frameBytesMax = 1000): string[] {
  const cutter = new FrameCutter({ frameBytesMax, limit: 'the.limit', pool: new BufferPool() });
  const frames: Buffer[] = [];
  for (const chunk of chunks) cutter.push(chunk, (frame) => frames.push(frame) > 0);
  return frames.map(String);
}

describe('FrameCutter', () => {
  test('every way of cutting a stream in two, and byte by byte, gives the same frames', () => {
    const stream = framed('a', '', 'some longer frame', 'b');
    const whole = ['a', '', 'some longer frame', 'b'];
    for (let at = 0; at <= stream.length; at++) expect(cut([stream.subarray(0, at), stream.subarray(at)])).toEqual(whole);
    expect(cut([...stream].map((byte) => Buffer.from([byte])))).toEqual(whole);
  });

  test('frames stay what they were when the socket reads to the same place again', () => {
    const place = Buffer.alloc(40);
    const frames: Buffer[] = [];
    const cutter = new FrameCutter({ frameBytesMax: 100, limit: 'the.limit', pool: new BufferPool() });
    const stream = framed('first', 'second', 'the third', 'fourth', '', 'a sixth that is longer than the place where the socket reads to');
    for (let at = 0; at < stream.length; at += 40) {
      const bytes = stream.copy(place, 0, at, at + 40);
      cutter.push(place.subarray(0, bytes), (frame) => frames.push(frame) > 0);
    }
    expect(frames.map(String)).toEqual(['first', 'second', 'the third', 'fourth', '', 'a sixth that is longer than the place where the socket reads to']);
  });

  test('what is read into the room of a large frame is not copied, in whatever portions it comes and wherever the frame ends', () => {
    const payload = Buffer.alloc(5 << 20);
    for (let i = 0; i < payload.length; i += 4) payload.writeUInt32BE(i * 2_654_435_761 >>> 0, i);
    for (const size of [100_000, 300_000, 2 << 20, payload.length]) {
      const stream = Buffer.concat([...parts(payload.subarray(0, size)), ...parts(Buffer.from('after'))]);
      for (const portion of [7_001, 65_536, 1 << 20]) {
        const cutter = new FrameCutter({ frameBytesMax: 1 << 30, limit: 'the.limit', pool: new BufferPool() });
        const place = Buffer.alloc(4_096);
        const frames: Buffer[] = [];
        let roomBytes = 0;
        for (let at = 0; at < stream.length; ) {
          const room = cutter.room();
          const target = room ?? place;
          const bytes = stream.copy(target, 0, at, at + Math.min(portion, target.length));
          if (room !== null) roomBytes += bytes;
          cutter.push(target.subarray(0, bytes), (frame) => frames.push(frame) > 0);
          at += bytes;
        }
        expect(frames).toHaveLength(2);
        expect(frames[0]!.equals(payload.subarray(0, size))).toBe(true);
        expect(String(frames[1])).toBe('after');
        expect(roomBytes).toBeGreaterThan(size - 4_096 - 16_384 - portion);
      }
    }
  });

  test('a size below zero or above the limit is refused', () => {
    const size = (bytes: number) => {
      const head = Buffer.alloc(4);
      head.writeInt32BE(bytes);
      return head;
    };
    expect(() => cut([size(-1)])).toThrow(RangeError);
    expect(() => cut([size(1001)])).toThrow('frame of 1001 bytes, the limit is 1000 (the.limit)');
    expect(() => cut([...size(0x7fffffff)].map((byte) => Buffer.from([byte])))).toThrow(RangeError);
    expect(cut([size(1000)])).toEqual([]);
  });

  test('a large declared frame holds only what has come', () => {
    const cutter = new FrameCutter({ frameBytesMax: 1 << 30, limit: 'the.limit', pool: new BufferPool() });
    const head = Buffer.alloc(4);
    head.writeInt32BE(1 << 30);
    cutter.push(head, () => true);
    cutter.push(Buffer.alloc(10), () => true);
    expect(cutter.heldBytes).toBe(10);
  });

  test('a frame larger than the first buffer grows and arrives whole', () => {
    const payload = Buffer.alloc(5 << 20, 'x');
    const head = Buffer.alloc(4);
    head.writeInt32BE(payload.length);
    const stream = Buffer.concat([head, payload]);
    const frames: Buffer[] = [];
    const cutter = new FrameCutter({ frameBytesMax: 1 << 30, limit: 'the.limit', pool: new BufferPool() });
    for (let at = 0; at < stream.length; at += 65_536) cutter.push(stream.subarray(at, at + 65_536), (frame) => frames.push(frame) > 0);
    expect(frames).toHaveLength(1);
    expect(frames[0]!.equals(payload)).toBe(true);
  });

  test('a large frame lies in a buffer of the pool, which the taker may give back', () => {
    const pool = new BufferPool({ idleBytesMax: 1 << 20, poison: true });
    const cutter = new FrameCutter({ frameBytesMax: 1 << 30, limit: 'the.limit', pool });
    const seen: { frame: Buffer; pooled: Buffer | null }[] = [];
    for (const letter of ['a', 'b', 'c']) {
      const stream = framed(letter.repeat(200_000));
      for (let at = 0; at < stream.length; at += 65_536) cutter.push(stream.subarray(at, at + 65_536), (frame, pooled) => seen.push({ frame, pooled }) > 0);
      // The first is kept, the second is given back, and the third gets its buffer.
      if (letter === 'b') pool.give(seen[1]!.pooled!);
    }
    expect(seen.map(({ frame }) => String(frame.subarray(0, 3)))).toEqual(['aaa', 'ccc', 'ccc']);
    expect(seen.every(({ frame }) => frame.length === 200_000)).toBe(true);
    expect(seen[2]!.pooled).toBe(seen[1]!.pooled);
    expect(seen[2]!.frame.equals(Buffer.alloc(200_000, 'c'))).toBe(true);
    expect(seen[0]!.frame.equals(Buffer.alloc(200_000, 'a'))).toBe(true);
  });

  test('a taker that says no stops the cutting', () => {
    const seen: string[] = [];
    new FrameCutter({ frameBytesMax: 100, limit: 'the.limit', pool: new BufferPool() }).push(framed('a', 'b', 'c'), (frame) => seen.push(String(frame)) < 2);
    expect(seen).toEqual(['a', 'b']);
  });
});
