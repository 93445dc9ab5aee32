/** ImageMap beside plain Maps: thousands of random changes, every version kept and looked at again at the end. */
import { describe, expect, it } from 'vitest';
import { ImageMap } from '../../../src/quorum/image-map.ts';
import { seededRandom } from '../coordinator/world.ts';

describe('an image map', () => {
  it('keeps every version as it was, and tells what differs between any two', () => {
    const seed = 7;
    const random = seededRandom(seed);
    const versions: { image: ImageMap<number>; model: Map<string, number> }[] = [{ image: new ImageMap(), model: new Map() }];
    for (let step = 1; step <= 60; step++) {
      const { image, model } = versions.at(-1)!;
      const next = new Map(model);
      const builder = image.change();
      for (let change = random.below(40); change > 0; change--) {
        const key = `k${random.below(900)}`;
        if (random.below(4) === 0) {
          expect(builder.delete(key), `seed ${seed}`).toBe(next.delete(key));
        } else {
          builder.set(key, step);
          next.set(key, step);
        }
        expect(builder.get(key)).toBe(next.get(key));
        expect(builder.has(key)).toBe(next.has(key));
        expect(builder.size).toBe(next.size);
        // Going on after a build must not reach into what was built.
        if (random.below(10) === 0) builder.build();
      }
      versions.push({ image: builder.build(), model: next });
    }
    for (const { image, model } of versions) {
      expect(new Map(image)).toEqual(model);
      expect(image.size).toBe(model.size);
      expect([...image.keys()].sort()).toEqual([...model.keys()].sort());
      expect([...image.values()].length).toBe(model.size);
      for (const key of model.keys()) expect(image.get(key)).toBe(model.get(key));
      expect(image.has('nothing')).toBe(false);
    }
    for (const [older, newer] of [[0, 60], [10, 11], [30, 59], [60, 0]] as const) {
      const before = versions[older]!.model;
      const after = versions[newer]!.model;
      const different = [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key));
      expect([...versions[older]!.image.differences(versions[newer]!.image)].sort(), `${older} to ${newer}`).toEqual(different.sort());
    }
  });

  it('gives back the map that it began with when nothing changed', () => {
    const image = ImageMap.of([['a', 1]]);
    const builder = image.change();
    builder.delete('b');
    expect(builder.build()).toBe(image);
    expect([...image.differences(image)]).toEqual([]);
  });

  it('takes names that are the names of object properties', () => {
    const image = ImageMap.of([['__proto__', 1], ['constructor', 2]]);
    expect(image.get('__proto__')).toBe(1);
    expect(image.get('constructor')).toBe(2);
    expect(image.get('toString')).toBeUndefined();
  });

  it('costs one bucket a change, not the map', () => {
    let image = ImageMap.of(Array.from({ length: 10_000 }, (_, index) => [`topic-${index}`, index] as const));
    const startedMs = performance.now();
    for (let index = 0; index < 2_000; index++) {
      const builder = image.change();
      builder.set(`topic-${index}`, -index);
      image = builder.build();
    }
    // Copying a Map of this size 2,000 times takes over a second; this takes about 10 ms.
    expect(performance.now() - startedMs).toBeLessThan(500);
    expect(image.size).toBe(10_000);
  });
});
