/** What the tail holds on to beyond what it says that it keeps: nothing that was dropped, and of a large buffer only the part that is a batch. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { Tail, TailBudget } from '../../storage/tail.ts';
import { sizedBatch } from './log-fixture.ts';

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

const BATCH_BYTES = 10_000;

function chunk(baseOffset: number, buffer = Buffer.from(new Uint8Array(BATCH_BYTES))) {
  return { buffer, baseOffset, nextOffset: baseOffset + 1, position: baseOffset * BATCH_BYTES, release: undefined };
}

describe('a chunk of the tail', () => {
  test('that was dropped can be collected at once, however few were dropped', async () => {
    const tail = new Tail(new TailBudget({ tailBytesMax: 5 * BATCH_BYTES }));
    const dropped = ((): WeakRef<ArrayBufferLike>[] => {
      const refs: WeakRef<ArrayBufferLike>[] = [];
      for (let offset = 0; offset < 40; offset++) {
        const one = chunk(offset, Buffer.allocUnsafeSlow(BATCH_BYTES));
        refs.push(new WeakRef(one.buffer.buffer));
        tail.add(one);
      }
      return refs.slice(0, tail.baseOffset);
    })();
    expect(dropped.length).toBeGreaterThan(30);
    for (let i = 0; i < 3; i++) {
      await setImmediate();
      collectGarbage();
    }
    expect(dropped.filter((ref) => ref.deref() !== undefined)).toEqual([]);
    expect(tail.chunk(tail.find(39))?.baseOffset).toBe(39);
  });

  test('that is a small view of a large buffer is a copy; one that is most of it is not', () => {
    const tail = new Tail(new TailBudget({ tailBytesMax: 1_000_000 }));
    const frame = Buffer.allocUnsafeSlow(20 * BATCH_BYTES);
    const batch = sizedBatch(BATCH_BYTES);
    batch.copy(frame, 100);
    tail.add(chunk(0, frame.subarray(100, 100 + BATCH_BYTES)));
    tail.add(chunk(1, frame.subarray(0, 10 * BATCH_BYTES)));
    expect(tail.chunk(0)!.buffer.equals(batch)).toBe(true);
    expect(tail.chunk(0)!.buffer.buffer.byteLength).toBe(BATCH_BYTES);
    expect(tail.chunk(1)!.buffer.buffer).toBe(frame.buffer);
    tail.clear();
    expect(tail.baseOffset).toBeUndefined();
  });
});
