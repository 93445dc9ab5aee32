/** Ids of producers out of blocks that the controller gives, and blocks that are none. */
import { expect, it } from 'vitest';
import { ProducerIds } from '../../../src/replica/producer-ids.ts';
import type { ProducerIdBlock } from '../../../src/replica/producer-ids.ts';

function ids(...blocks: readonly ProducerIdBlock[]): { ids: ProducerIds; asked: () => number } {
  let asked = 0;
  return { ids: new ProducerIds(async () => blocks[asked++]!), asked: () => asked };
}

it('are given one by one, and the next block is asked for when one is used up, once however many wait', async () => {
  const { ids: made, asked } = ids({ firstProducerId: 1000, blockSize: 2 }, { firstProducerId: 5000, blockSize: 2 });
  expect(await Promise.all([made.next(), made.next(), made.next()])).toEqual([1000, 1001, 5000]);
  expect(asked()).toBe(2);
});

it.each([[-1, 10], [0, 0], [7, -3], [Number.MAX_SAFE_INTEGER, 1000], [2 ** 53, 1]])('none out of a block from %i on of %i ids, which is asked for again', async (firstProducerId, blockSize) => {
  const { ids: made, asked } = ids({ firstProducerId, blockSize }, { firstProducerId: 3, blockSize: 1 });
  await expect(made.next()).rejects.toThrow('cannot be');
  expect(await made.next()).toBe(3);
  expect(asked()).toBe(2);
});
