/**
 * Where the replicas of new partitions go: striped over racks, within a rack over brokers, as Kafka's controller does it.
 *
 * Promises: no broker twice in a partition; the first replica, which will lead, is on a broker that is not fenced; fenced brokers come last within
 * their rack; the leader moves on by one rack with each partition; racks and brokers start at a random place. Throws INVALID_REPLICATION_FACTOR.
 * Does not balance by what brokers already hold: neither does Kafka.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';

export interface PlacementBroker {
  readonly id: number;
  /** null: all brokers without a rack share one. */
  readonly rack: string | null;
  readonly fenced: boolean;
}

export interface PlacementRandom {
  /** Whole number in [0, below). */
  below(below: number): number;
}

/** Brokers of one rack and one state, handed out round-robin; each round begins one further than the one before. */
class BrokerRing {
  readonly ids: number[] = [];
  #start = 0;
  #taken = 0;
  #round = 0;

  begin(random: PlacementRandom): void {
    this.ids.sort((left, right) => left - right);
    if (this.ids.length > 0) this.#start = random.below(this.ids.length);
  }

  /** undefined when this round has handed out all of them. */
  next(round: number): number | undefined {
    const count = this.ids.length;
    if (count === 0) return undefined;
    if (round !== this.#round) {
      this.#round = round;
      this.#taken = 0;
      this.#start = (this.#start + 1) % count;
    }
    if (this.#taken === count) return undefined;
    return this.ids[(this.#start + this.#taken++) % count];
  }
}

interface Rack {
  readonly unfenced: BrokerRing;
  readonly fenced: BrokerRing;
}

/** For each of `partitions` new partitions, the brokers of its replicas, the leader first. */
export function placeReplicas(
  brokers: Iterable<PlacementBroker>,
  { partitions, replicationFactor }: { readonly partitions: number; readonly replicationFactor: number },
  random: PlacementRandom,
): number[][] {
  const racksByName = new Map<string | null, Rack>();
  let total = 0;
  let unfenced = 0;
  for (const broker of brokers) {
    let rack = racksByName.get(broker.rack);
    if (rack === undefined) racksByName.set(broker.rack, (rack = { unfenced: new BrokerRing(), fenced: new BrokerRing() }));
    (broker.fenced ? rack.fenced : rack.unfenced).ids.push(broker.id);
    total++;
    if (!broker.fenced) unfenced++;
  }
  if (replicationFactor <= 0) throw refusal(`Invalid replication factor ${replicationFactor}: the replication factor must be positive.`);
  if (unfenced === 0) throw refusal('All brokers are currently fenced, or have all their log directories cordoned.');
  if (replicationFactor > total) {
    throw refusal(
      `The target replication factor of ${replicationFactor} cannot be reached because only ${total} broker(s) are registered or some brokers have all their log directories cordoned.`,
    );
  }
  const names = [...racksByName.keys()].sort(compareRacks);
  const racks = names.map((name) => racksByName.get(name)!);
  for (const rack of racks) {
    rack.unfenced.begin(random);
    rack.fenced.begin(random);
  }
  let first = random.below(racks.length);
  let round = 0;
  const placements: number[][] = [];
  for (let partition = 0; partition < partitions; partition++) {
    // After as many partitions as there are leaders to choose from the stripes would repeat, so deal anew.
    if (round === unfenced && unfenced > 1) {
      shuffle(racks, random);
      for (const rack of racks) {
        shuffle(rack.unfenced.ids, random);
        shuffle(rack.fenced.ids, random);
      }
      round = 0;
    }
    if (first === racks.length) first = 0;
    placements.push(placeOne(racks, first, replicationFactor, round));
    round++;
    first++;
  }
  return placements;
}

function placeOne(racks: readonly Rack[], first: number, replicationFactor: number, round: number): number[] {
  const replicas: number[] = [];
  let leaderRack = first;
  for (;;) {
    const leader = racks[leaderRack]!.unfenced.next(round);
    if (leader !== undefined) {
      replicas.push(leader);
      break;
    }
    leaderRack = (leaderRack + 1) % racks.length;
  }
  let rack = first;
  let skipLeaderRack = true;
  while (replicas.length < replicationFactor) {
    // The leader's rack has given its share of the first turn.
    if (skipLeaderRack && rack === leaderRack) {
      skipLeaderRack = false;
    } else {
      const replica = racks[rack]!.unfenced.next(round) ?? racks[rack]!.fenced.next(round);
      if (replica !== undefined) replicas.push(replica);
    }
    rack = (rack + 1) % racks.length;
  }
  return replicas;
}

function compareRacks(left: string | null, right: string | null): number {
  if (left === right) return 0;
  if (left === null) return -1;
  if (right === null) return 1;
  return left < right ? -1 : 1;
}

function shuffle<T>(items: T[], random: PlacementRandom): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    const item = items[last]!;
    items[last] = items[other]!;
    items[other] = item;
  }
}

function refusal(message: string): KafkaError {
  return new KafkaError(ErrorCode.INVALID_REPLICATION_FACTOR, message);
}
