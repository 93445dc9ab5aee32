/** Plans: their text, how they are made, and what is throttled for them. */
import { describe, expect, it } from 'vitest';
import { balancedPlan, formatPlan, parsePlan, throttlesOf } from '../../../src/cli/reassign-plan.ts';
import type { Placement, UsableBroker } from '../../../src/cli/reassign-plan.ts';
import { Seeded } from '../../storage/seeded.ts';

const brokers = (...ids: readonly (number | string)[]): UsableBroker[] => ids.map((id) => (typeof id === 'number' ? { id, rack: null } : { id: Number(id.slice(0, -1)), rack: id.slice(-1) }));
const placed = (...replicas: readonly number[][]): Placement[] => replicas.map((own, partition) => ({ topic: 't', partition, replicas: own }));
const lists = (plan: readonly Placement[]) => plan.map(({ replicas }) => replicas.join());

describe('the text of a plan', () => {
  it('is that of Kafka\'s tool, and comes back the same', () => {
    const plan = placed([1, 2], [3, 1]);
    expect(formatPlan(plan)).toBe(
      '{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","any"]},{"topic":"t","partition":1,"replicas":[3,1],"log_dirs":["any","any"]}]}',
    );
    expect(parsePlan(formatPlan(plan), 'x')).toEqual(plan);
    expect(parsePlan('{"partitions":[{"topic":"t","partition":4,"replicas":[7]}]}', 'x')).toEqual([{ topic: 't', partition: 4, replicas: [7] }]);
  });

  it.each([
    ['no', /^x: no JSON: /],
    ['[]', 'x: it should be {"version":1,"partitions":[...]}'],
    ['{"partitions":[]}', 'x: it has no partitions'],
    ['{"version":2,"partitions":[]}', 'x: version 2 is not known, only 1'],
    ['{"partitions":[{"partition":0,"replicas":[1]}]}', 'x: partition 1 of the list has no topic'],
    ['{"partitions":[null]}', 'x: partition 1 of the list has no topic'],
    ['{"partitions":[{"topic":"t","partition":-1,"replicas":[1]}]}', 'x: t: -1 is no partition'],
    ['{"partitions":[{"topic":"t","partition":0,"replicas":[]}]}', 'x: t-0: replicas should be a list of broker ids'],
    ['{"partitions":[{"topic":"t","partition":0,"replicas":[1,"2"]}]}', 'x: t-0: replicas should be a list of broker ids'],
    ['{"partitions":[{"topic":"t","partition":0,"replicas":[1,1]}]}', 'x: t-0: a broker comes twice in [1, 1]'],
    ['{"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":["any","any"]}]}', 'x: t-0: log_dirs should have one entry for each replica'],
    ['{"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":["/d"]}]}', 'x: t-0: moving between the log directories of a broker is not served; log_dirs may be "any"'],
    ['{"partitions":[{"topic":"t","partition":0,"replicas":[1]},{"topic":"t","partition":0,"replicas":[2]}]}', 'x: t-0 comes twice'],
  ])('%s is none', (text, message) => expect(() => parsePlan(text, 'x')).toThrow(message));
});

describe('a balanced plan', () => {
  it('leaves what is balanced as it is', () => {
    expect(lists(balancedPlan(placed([1, 2], [2, 3], [3, 1]), brokers(1, 2, 3), { rackAware: true }))).toEqual(['1,2', '2,3', '3,1']);
  });

  it('fills a new broker with its share and no more', () => {
    const before = placed([1, 2], [2, 1], [1, 2], [2, 1], [1, 2], [2, 1]);
    const after = balancedPlan(before, brokers(1, 2, 3), { rackAware: true });
    const counts = [1, 2, 3].map((id) => after.filter(({ replicas }) => replicas.includes(id)).length);
    expect(counts).toEqual([4, 4, 4]);
    expect(after.filter(({ replicas }) => replicas.includes(3))).toHaveLength(4);
    expect(after.flatMap(({ replicas }, index) => replicas.filter((id) => !before[index]!.replicas.includes(id)))).toEqual([3, 3, 3, 3]);
    expect([1, 2, 3].map((id) => after.filter(({ replicas }) => replicas[0] === id).length)).toEqual([2, 2, 2]);
  });

  it('empties a broker that is not in the list', () => {
    const after = balancedPlan(placed([1, 4], [4, 2], [3, 4]), brokers(1, 2, 3), { rackAware: true });
    expect(after.every(({ replicas }) => !replicas.includes(4) && replicas.length === 2)).toBe(true);
    expect([1, 2, 3].map((id) => after.filter(({ replicas }) => replicas.includes(id)).length)).toEqual([2, 2, 2]);
  });

  it('keeps racks apart, unless it is told not to', () => {
    const before = placed([9], [9], [9], [9]).map((one) => ({ ...one, replicas: [8, 9] }));
    const racks = brokers('1a', '2a', '3b', '4b');
    for (const { replicas } of balancedPlan(before, racks, { rackAware: true })) expect(replicas.map((id) => (id < 3 ? 'a' : 'b')).sort().join('')).toBe('ab');
    expect(balancedPlan(before, racks, { rackAware: false })).toHaveLength(4);
  });

  it('needs as many brokers as there are replicas', () => {
    expect(() => balancedPlan(placed([1, 2, 3]), brokers(1, 2), { rackAware: true })).toThrow('t-0 has 3 replicas, and there are 2 brokers for them');
  });

  it.each(Array.from({ length: 40 }, (_, seed) => seed))('holds its promises for any cluster (seed %i)', (seed) => {
    const random = new Seeded(seed + 1);
    const ids = Array.from({ length: 2 + random.below(6) }, (_, index) => index + 1);
    const racked: UsableBroker[] = ids.map((id) => ({ id, rack: random.chance(0.5) ? String(random.below(3)) : null }));
    const factor = 1 + random.below(ids.length);
    const before = placed(...Array.from({ length: 1 + random.below(30) }, () => ids.map((id) => ({ id: id + random.below(2), at: random.next() })).sort((a, b) => a.at - b.at).map(({ id }) => id).filter((id, index, all) => all.indexOf(id) === index).slice(0, factor)));
    const plan = balancedPlan(before, racked, { rackAware: false });
    expect(balancedPlan(before, racked, { rackAware: false })).toEqual(plan);
    for (const [index, { replicas }] of plan.entries()) {
      expect(new Set(replicas).size).toBe(before[index]!.replicas.length);
      expect(replicas.every((id) => ids.includes(id))).toBe(true);
    }
    const counts = ids.map((id) => plan.filter(({ replicas }) => replicas.includes(id)).length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(2);
    // A second plan moves nothing.
    const again = balancedPlan(plan, racked, { rackAware: false });
    expect(again.flatMap(({ replicas }, index) => replicas.filter((id) => !plan[index]!.replicas.includes(id)))).toEqual([]);
  });
});

describe('throttles', () => {
  it('name the brokers and replicas that copy, and nothing that stays', () => {
    const current = new Map([['t-0', [1, 2]], ['t-1', [2, 3]], ['u-0', [1]]]);
    const { brokers: own, topics } = throttlesOf([...placed([2, 3], [3, 2]), { topic: 'u', partition: 0, replicas: [4] }], current);
    expect(own).toEqual([1, 2, 3, 4]);
    expect([...topics]).toEqual([
      ['t', { leaders: '0:1,0:2', followers: '0:3' }],
      ['u', { leaders: '0:1', followers: '0:4' }],
    ]);
  });
});
