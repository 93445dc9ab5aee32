/** Frames cut out of a byte stream, whatever way the network cuts it. */
import { describe, expect, test } from 'vitest';
import { FrameCutter } from '../../../src/server/frames.ts';

function framed(...payloads: string[]): Buffer {
  return Buffer.concat(payloads.flatMap((payload) => {
    const size = Buffer.alloc(4);
    size.writeInt32BE(payload.length);
    return [size, Buffer.from(payload)];
  }));
}

function cut(chunks: Buffer[], frameBytesMax = 1000): string[] {
  const cutter = new FrameCutter(frameBytesMax);
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
    const cutter = new FrameCutter(100);
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
    const cutter = new FrameCutter(1 << 30);
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
    const cutter = new FrameCutter(1 << 30);
    for (let at = 0; at < stream.length; at += 65_536) cutter.push(stream.subarray(at, at + 65_536), (frame) => frames.push(frame) > 0);
    expect(frames).toHaveLength(1);
    expect(frames[0]!.equals(payload)).toBe(true);
  });

  test('a taker that says no stops the cutting', () => {
    const seen: string[] = [];
    new FrameCutter(100).push(framed('a', 'b', 'c'), (frame) => seen.push(String(frame)) < 2);
    expect(seen).toEqual(['a', 'b']);
  });
});
