/** The timeline against a plain model: a list of all changes, replayed up to the offset asked for. */
import { expect, test } from 'vitest';
import { Timeline, TimelineMap } from '../../../src/coordinator/timeline.ts';
import { seededRandom } from './world.ts';

test('a change is seen at once, committed later, and undone when its record is not in the log', () => {
  const timeline = new Timeline();
  const map = new TimelineMap<string, number>(timeline);
  timeline.moveTo(10);
  map.set('a', 1);
  expect([map.get('a'), map.getCommitted('a')]).toEqual([1, undefined]);
  timeline.commit(10);
  expect(map.getCommitted('a')).toBe(undefined);
  timeline.commit(11);
  expect(map.getCommitted('a')).toBe(1);

  timeline.moveTo(11);
  map.set('a', 2);
  timeline.moveTo(12);
  map.delete('a');
  map.set('b', 3);
  expect([...map.entries()]).toEqual([['b', 3]]);
  expect([...map.committedEntries()]).toEqual([['a', 1]]);
  timeline.revert(12);
  expect([...map.entries()]).toEqual([['a', 2]]);
  timeline.revert(0);
  expect([...map.entries()]).toEqual([['a', 1]]);
  expect(timeline.uncommittedCount).toBe(0);
});

test('a newer change outlives the commit of an older one of the same key', () => {
  const timeline = new Timeline();
  const map = new TimelineMap<string, number>(timeline);
  for (const [offset, value] of [[0, 1], [1, 2], [2, 3]] as const) {
    timeline.moveTo(offset);
    map.set('a', value);
  }
  timeline.commit(2);
  expect([map.get('a'), map.getCommitted('a')]).toEqual([3, 2]);
  timeline.revert(2);
  expect([map.get('a'), map.getCommitted('a')]).toEqual([2, 2]);
});

test('the timeline does not go back by itself', () => {
  const timeline = new Timeline();
  timeline.moveTo(5);
  expect(() => timeline.moveTo(4)).toThrow(/does not go back/);
});

test('random changes, commits and reverts agree with a replay of the list of changes', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed);
    const timeline = new Timeline();
    const maps = [new TimelineMap<number, number>(timeline), new TimelineMap<number, number>(timeline)];
    let changes: { offset: number; map: number; key: number; value: number | null }[] = [];
    let next = 0;
    let committed = 0;
    const model = (upTo: number) => {
      const state = [new Map<number, number>(), new Map<number, number>()];
      for (const change of changes) {
        if (change.offset >= upTo) continue;
        if (change.value === null) state[change.map]!.delete(change.key);
        else state[change.map]!.set(change.key, change.value);
      }
      return state.map((map) => [...map].sort(([a], [b]) => a - b));
    };
    for (let step = 0; step < 120; step++) {
      const dice = random.below(10);
      if (dice < 7) {
        const change = { offset: next, map: random.below(2), key: random.below(6), value: random.below(4) === 0 ? null : random.below(100) };
        timeline.moveTo(next);
        changes.push(change);
        if (change.value === null) maps[change.map]!.delete(change.key);
        else maps[change.map]!.set(change.key, change.value);
        if (random.below(3) > 0) next++;
      } else if (dice < 9) {
        committed = committed + random.below(next - committed + 1);
        timeline.commit(committed);
      } else {
        const to = committed + random.below(next - committed + 1);
        timeline.revert(to);
        changes = changes.filter((change) => change.offset < to);
        next = to;
      }
      const sorted = (entries: Iterable<[number, number]>) => [...entries].sort(([a], [b]) => a - b);
      expect(maps.map((map) => sorted(map.entries())), `seed ${seed} step ${step}`).toEqual(model(Infinity));
      expect(maps.map((map) => sorted(map.committedEntries())), `seed ${seed} step ${step}`).toEqual(model(committed));
    }
    timeline.commit(Infinity);
    expect(timeline.uncommittedCount).toBe(0);
  }
});
