/**
 * Where replicas shall be: plans in the JSON of `kafka-reassign-partitions.sh`, the making of one, and the throttles that go with it.
 *
 *     {"version":1,"partitions":[{"topic":"orders","partition":0,"replicas":[1,2,3],"log_dirs":["any","any","any"]}]}
 *
 * Promises: a plan of ours is read by Kafka's tool, and its plans here; `balancedPlan` moves no more than balance needs, keeps racks apart where it can, and gives the same plan for the
 * same input. Pure: asks nobody.
 */
import { UsageError } from './arguments.ts';

export interface Placement {
  readonly topic: string;
  readonly partition: number;
  readonly replicas: readonly number[];
}

export interface UsableBroker {
  readonly id: number;
  readonly rack: string | null;
}

export function formatPlan(plan: readonly Placement[]): string {
  const partitions = plan.map(({ topic, partition, replicas }) => ({ topic, partition, replicas, log_dirs: replicas.map(() => 'any') }));
  return JSON.stringify({ version: 1, partitions });
}

/** Throws a UsageError that says where the text is no plan. */
export function parsePlan(text: string, name: string): Placement[] {
  const wrong = (what: string) => new UsageError(`${name}: ${what}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw wrong(`no JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== 'object' || parsed === null || !Array.isArray((parsed as { partitions?: unknown }).partitions)) throw wrong('it should be {"version":1,"partitions":[...]}');
  const { version, partitions } = parsed as { version?: unknown; partitions: unknown[] };
  if (version !== undefined && version !== 1) throw wrong(`version ${JSON.stringify(version)} is not known, only 1`);
  const seen = new Set<string>();
  const plan = partitions.map((one, index) => {
    const { topic, partition, replicas, log_dirs: directories } = (one ?? {}) as { topic?: unknown; partition?: unknown; replicas?: unknown; log_dirs?: unknown };
    if (typeof topic !== 'string' || topic === '') throw wrong(`partition ${index + 1} of the list has no topic`);
    if (!isId(partition)) throw wrong(`${topic}: ${JSON.stringify(partition)} is no partition`);
    const at = `${topic}-${partition}`;
    if (!Array.isArray(replicas) || replicas.length === 0 || !replicas.every(isId)) throw wrong(`${at}: replicas should be a list of broker ids`);
    if (new Set(replicas).size < replicas.length) throw wrong(`${at}: a broker comes twice in [${replicas.join(', ')}]`);
    if (directories !== undefined && (!Array.isArray(directories) || directories.length !== replicas.length)) throw wrong(`${at}: log_dirs should have one entry for each replica`);
    if ((directories as unknown[] | undefined)?.some((directory) => directory !== 'any')) throw wrong(`${at}: moving between the log directories of a broker is not served; log_dirs may be "any"`);
    if (seen.has(at)) throw wrong(`${at} comes twice`);
    seen.add(at);
    return { topic, partition, replicas: replicas as number[] };
  });
  if (plan.length === 0) throw wrong('it has no partitions');
  return plan;
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0x7fffffff;
}

/**
 * Places what `current` places on `brokers` alone: replicas stay where they are allowed to, what is missing goes to the broker with the fewest, then what is too many moves to where
 * there are too few, and each broker is first in its share of the lists. Throws a UsageError when there are fewer brokers than replicas.
 */
export function balancedPlan(current: readonly Placement[], brokers: readonly UsableBroker[], { rackAware }: { readonly rackAware: boolean }): Placement[] {
  const racks = new Map(brokers.map(({ id, rack }) => [id, rackAware ? rack : null]));
  const counts = new Map(brokers.map(({ id }) => [id, 0]));
  const plan = current.map(({ topic, partition, replicas }) => {
    if (replicas.length > brokers.length) throw new UsageError(`${topic}-${partition} has ${replicas.length} replicas, and there are ${brokers.length} brokers for them`);
    const kept = replicas.filter((id) => counts.has(id));
    for (const id of kept) add(counts, id, 1);
    return { topic, partition, replicas: kept, count: replicas.length };
  });
  const rackUses = (own: readonly number[], id: number): number => (racks.get(id) === null ? 0 : own.filter((other) => racks.get(other) === racks.get(id)).length);
  for (const one of plan) {
    while (one.replicas.length < one.count) {
      const id = least(brokers.filter((broker) => !one.replicas.includes(broker.id)).map((broker) => broker.id), (candidate) => [rackUses(one.replicas, candidate), counts.get(candidate)!]);
      one.replicas.push(id);
      add(counts, id, 1);
    }
  }
  level(plan, counts, rackUses);
  leadInTurn(plan);
  return plan.map(({ topic, partition, replicas }) => ({ topic, partition, replicas }));
}

interface Draft {
  readonly topic: string;
  readonly partition: number;
  replicas: number[];
}

/** Moves one replica at a time from the fullest to the emptiest broker until they differ by one, never onto a rack that is worse. */
function level(plan: readonly Draft[], counts: Map<number, number>, rackUses: (own: readonly number[], id: number) => number): void {
  for (let moved = true; moved; ) {
    moved = false;
    const byCount = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)! || a - b);
    search: for (const from of byCount) {
      for (const to of [...byCount].reverse()) {
        if (counts.get(from)! - counts.get(to)! < 2) break;
        const one = plan.find(({ replicas }) => {
          if (!replicas.includes(from) || replicas.includes(to)) return false;
          const others = replicas.filter((id) => id !== from);
          return rackUses(others, to) <= rackUses(others, from);
        });
        if (one === undefined) continue;
        one.replicas = one.replicas.map((id) => (id === from ? to : id));
        add(counts, from, -1);
        add(counts, to, 1);
        moved = true;
        break search;
      }
    }
  }
}

/** The first of a list is the preferred leader: the broker of the list that is first in the fewest, itself before others. */
function leadInTurn(plan: readonly Draft[]): void {
  const leads = new Map<number, number>();
  for (const one of plan) for (const id of one.replicas) leads.set(id, 0);
  const share = Math.ceil(plan.length / Math.max(1, leads.size));
  for (const one of plan) {
    const first = one.replicas[0]!;
    const leader = leads.get(first)! < share ? first : least(one.replicas, (id) => [leads.get(id)!]);
    add(leads, leader, 1);
    one.replicas = [leader, ...one.replicas.filter((id) => id !== leader)];
  }
}

function add(counts: Map<number, number>, id: number, by: number): void {
  counts.set(id, counts.get(id)! + by);
}

function least(ids: readonly number[], weigh: (id: number) => readonly number[]): number {
  const weighed = ids.map((id) => ({ id, weight: [...weigh(id), id] }));
  weighed.sort((a, b) => {
    const at = a.weight.findIndex((value, index) => value !== b.weight[index]);
    return at < 0 ? 0 : a.weight[at]! - b.weight[at]!;
  });
  return weighed[0]!.id;
}

export const LEADER_RATE = 'leader.replication.throttled.rate';
export const FOLLOWER_RATE = 'follower.replication.throttled.rate';
export const LEADER_REPLICAS = 'leader.replication.throttled.replicas';
export const FOLLOWER_REPLICAS = 'follower.replication.throttled.replicas';

export interface Throttles {
  /** Every broker that sends or receives. */
  readonly brokers: readonly number[];
  /** By topic, `partition:broker,...`: those that copies are made from, and those that get one. */
  readonly topics: ReadonlyMap<string, { readonly leaders: string; readonly followers: string }>;
}

/** Of what a plan moves: nothing for partitions that get no new replica. */
export function throttlesOf(plan: readonly Placement[], current: ReadonlyMap<string, readonly number[]>): Throttles {
  const brokers = new Set<number>();
  const topics = new Map<string, { leaders: string[]; followers: string[] }>();
  for (const { topic, partition, replicas } of plan) {
    const sources = current.get(partitionKey(topic, partition)) ?? [];
    const added = replicas.filter((id) => !sources.includes(id));
    if (added.length === 0) continue;
    const own = topics.get(topic) ?? { leaders: [], followers: [] };
    topics.set(topic, own);
    for (const id of sources) own.leaders.push(`${partition}:${id}`);
    for (const id of added) own.followers.push(`${partition}:${id}`);
    for (const id of [...sources, ...added]) brokers.add(id);
  }
  return { brokers: [...brokers].sort((a, b) => a - b), topics: new Map([...topics].map(([topic, { leaders, followers }]) => [topic, { leaders: leaders.join(','), followers: followers.join(',') }])) };
}

export function partitionKey(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}
