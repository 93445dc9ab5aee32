/** Frames cut out of a byte stream, whatever way the network cuts it. */
import { describe, expect, test } from 'vitest';
import { FrameCutter } from '../../../src/server/frames.ts';
import { BufferPool } from '../../../storage/buffer-pool.ts';

function framed(...payloads: string[]): Buffer {
  return Buffer.concat(payloads.flatMap((payload) => {
    const size = Buffer.alloc(4);
    size.writeInt32BE(payload.length);
    return [size, Buffer.from(payload)];
  }));
}

function cut(chunks: Buffer[], frameBytesMax = 1000): string[] {
  const cutter = new FrameCutter(frameBytesMax, new BufferPool());
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

  test('a frame that lies whole in a chunk is a view of it, one that spans chunks is a copy', () => {
    const stream = framed('first', 'second');
    const frames: Buffer[] = [];
    const cutter = new FrameCutter(100, new BufferPool());
    const take = (frame: Buffer) => frames.push(frame) > 0;
    cutter.push(stream.subarray(0, 15), take);
    cutter.push(stream.subarray(15), take);
    expect(frames[0]!.buffer).toBe(stream.buffer);
    expect(frames[1]!.buffer).not.toBe(stream.buffer);
  });

  test('a size below zero or above the limit is refused', () => {
    const size = (bytes: number) => {
      const head = Buffer.alloc(4);
      head.writeInt32BE(bytes);
      return head;
    };
    expect(() => cut([size(-1)])).toThrow(RangeError);
    expect(() => cut([size(1001)])).toThrow('frame of 1001 bytes, the limit is 1000');
    expect(() => cut([...size(0x7fffffff)].map((byte) => Buffer.from([byte])))).toThrow(RangeError);
    expect(cut([size(1000)])).toEqual([]);
  });

  test('a large declared frame holds only what has come', () => {
    const cutter = new FrameCutter(1 << 30, new BufferPool());
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
    const cutter = new FrameCutter(1 << 30, new BufferPool());
    for (let at = 0; at < stream.length; at += 65_536) cutter.push(stream.subarray(at, at + 65_536), (frame) => frames.push(frame) > 0);
    expect(frames).toHaveLength(1);
    expect(frames[0]!.equals(payload)).toBe(true);
  });

  test('a large frame lies in a buffer of the pool, which the taker may give back', () => {
    const pool = new BufferPool({ idleBytesMax: 1 << 20, poison: true });
    const cutter = new FrameCutter(1 << 30, pool);
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
    new FrameCutter(100, new BufferPool()).push(framed('a', 'b', 'c'), (frame) => seen.push(String(frame)) < 2);
    expect(seen).toEqual(['a', 'b']);
  });
});
