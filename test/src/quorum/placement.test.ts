/** Placement: constraints over random clusters, and the stripes of a small one. */
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { type PlacementBroker, placeReplicas } from '../../../src/quorum/placement.ts';
import { seededRandom } from '../coordinator/world.ts';

const zeros = { below: () => 0 };

function brokers(...specs: string[]): PlacementBroker[] {
  return specs.map((spec) => {
    const [, id, rack, fenced] = /^(\d+)([a-z]?)(!?)$/.exec(spec)!;
    return { id: Number(id), rack: rack === '' ? null : rack!, fenced: fenced === '!' };
  });
}

describe('placement', () => {
  it('stripes partitions over racks and over the brokers of each', () => {
    const cluster = brokers('0a', '1a', '2a', '3b', '4b', '5b', '6c', '7c', '8c');
    expect(placeReplicas(cluster, { partitions: 3, replicationFactor: 3 }, zeros)).toEqual([[0, 3, 6], [4, 7, 1], [8, 2, 5]]);
  });

  it('leads with brokers that are not fenced and uses fenced ones last', () => {
    const placed = placeReplicas(brokers('0!', '1', '2'), { partitions: 2, replicationFactor: 3 }, zeros);
    expect(placed).toEqual([[1, 2, 0], [2, 1, 0]]);
  });

  it('begins at a random broker', () => {
    const cluster = brokers('0', '1', '2');
    const first = (start: number) => placeReplicas(cluster, { partitions: 1, replicationFactor: 1 }, { below: (below) => Math.min(start, below - 1) })[0];
    expect([first(0), first(1), first(2)]).toEqual([[0], [1], [2]]);
  });

  it('never puts two replicas on one broker, nor a leader on a fenced one, and spreads leaders evenly', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed);
      const cluster: PlacementBroker[] = Array.from({ length: 1 + random.below(9) }, (_, id) => ({
        id, rack: random.below(3) === 0 ? null : 'abc'[random.below(3)]!, fenced: random.below(4) === 0,
      }));
      const unfenced = cluster.filter((broker) => !broker.fenced).map((broker) => broker.id);
      if (unfenced.length === 0) continue;
      const replicationFactor = 1 + random.below(cluster.length);
      const placed = placeReplicas(cluster, { partitions: 40, replicationFactor }, random);
      expect(placed.length).toBe(40);
      const leaders = new Map<number, number>();
      for (const replicas of placed) {
        expect(new Set(replicas).size, `seed ${seed}`).toBe(replicationFactor);
        expect(unfenced, `seed ${seed}`).toContain(replicas[0]);
        leaders.set(replicas[0]!, (leaders.get(replicas[0]!) ?? 0) + 1);
      }
      if (unfenced.length === cluster.length && replicationFactor === 1 && new Set(cluster.map((broker) => broker.rack)).size === 1) {
        expect(Math.max(...leaders.values()) - Math.min(...leaders.values()), `seed ${seed}`).toBeLessThanOrEqual(2);
      }
    }
  });

  it.each([
    ['more replicas than brokers', brokers('1'), 3, 'The target replication factor of 3 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.'],
    ['all fenced', brokers('1!'), 1, 'All brokers are currently fenced, or have all their log directories cordoned.'],
    ['no broker', brokers(), 1, 'All brokers are currently fenced, or have all their log directories cordoned.'],
    ['no replica', brokers('1'), 0, 'Invalid replication factor 0: the replication factor must be positive.'],
  ])('refuses %s', (_name, cluster, replicationFactor, message) => {
    expect(() => placeReplicas(cluster, { partitions: 1, replicationFactor }, zeros)).toThrow(
      expect.objectContaining({ code: ErrorCode.INVALID_REPLICATION_FACTOR, message }),
    );
  });
});
