/**
 * What a seed means: how large the cluster is, which settings and clients it has, which kinds of faults are on in this run and when each happens to whom.
 *
 * Promises: a plan is plain data; the same seed gives the same plan, and a plan with faults left out or less time runs as well, which is how a failure is made
 * smaller. Does not: carry anything out.
 */
import { Seeded } from '../storage/seeded.ts';

/** The topic that producers and consumers use. */
export const TOPIC = 'alpha';

/** Whom a fault meets: a node by its number, or whoever has that part when the time comes. */
export type Target = number | 'controller' | 'leader' | 'coordinator';

export const FAULT_KINDS = [
  'kill', 'stop', 'pause', 'power', 'power in a turn', 'kill all', 'isolate', 'one way', 'split', 'contest', 'apart', 'rolling', 'cut', 'slow way', 'slow disk', 'slow node', 'disk full', 'disk error', 'clock', 'wipe',
  'kill client', 'elect', 'move leader', 'reassign', 'create topic', 'delete topic', 'configure', 'retain', 'voters', 'move voter', 'damage', 'damage while it runs',
  'damage to metadata',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly target: Target;
  /** For what takes two. */
  readonly other: number;
  /** How long it lasts. */
  readonly ms: number;
  /** Whatever else is to be chosen: in [0, 1). */
  readonly choice: number;
}

export interface Plan {
  readonly seed: number;
  readonly nodes: number;
  /** The voters of the metadata quorum may change (KIP-853): all nodes are controllers, and the first three vote in the beginning. */
  readonly dynamicVoters: boolean;
  readonly partitions: number;
  readonly producers: number;
  readonly consumers: number;
  readonly committers: number;
  readonly members: number;
  readonly safetyMs: number;
  readonly faults: readonly Fault[];
  /** `name=value`, for all nodes. */
  readonly settings: readonly string[];
  /** The same for the topic that producers and consumers use. */
  readonly topicConfigs: readonly string[];
  readonly network: { readonly latencyMs: number; readonly cutChance: number; readonly lateChance: number; readonly ghostChance: number };
  readonly thinkMs: number;
  /** Of a record now and then, which makes a batch too large to be written at once; 0 for none. */
  readonly largeBytes: number;
}

/** How often each kind is on in a run, where it makes sense with one node, whether voters must be dynamic for it, and the most that it lasts. */
const KINDS: { readonly [kind in FaultKind]: { readonly on: number; readonly alone: boolean; readonly dynamic?: true; readonly msMax: number } } = {
  'kill': { on: 0.5, alone: true, msMax: 4000 },
  'stop': { on: 0.3, alone: true, msMax: 3000 },
  'pause': { on: 0.35, alone: true, msMax: 5000 },
  'power': { on: 0.3, alone: false, msMax: 4000 },
  'power in a turn': { on: 0.3, alone: false, msMax: 4000 },
  'kill all': { on: 0.12, alone: true, msMax: 1500 },
  'isolate': { on: 0.35, alone: false, msMax: 5000 },
  'one way': { on: 0.3, alone: false, msMax: 5000 },
  'split': { on: 0.3, alone: false, msMax: 5000 },
  'contest': { on: 0.12, alone: false, msMax: 3000 },
  'apart': { on: 0.25, alone: false, msMax: 5000 },
  'rolling': { on: 0.15, alone: false, msMax: 5000 },
  'cut': { on: 0.3, alone: true, msMax: 0 },
  'slow way': { on: 0.25, alone: true, msMax: 5000 },
  'slow disk': { on: 0.25, alone: true, msMax: 5000 },
  'slow node': { on: 0.2, alone: true, msMax: 5000 },
  'disk full': { on: 0.15, alone: true, msMax: 3000 },
  'disk error': { on: 0.1, alone: false, msMax: 500 },
  'clock': { on: 0.3, alone: true, msMax: 0 },
  'wipe': { on: 0.2, alone: false, msMax: 2000 },
  'kill client': { on: 0.2, alone: true, msMax: 0 },
  'elect': { on: 0.2, alone: false, msMax: 0 },
  'move leader': { on: 0.2, alone: false, msMax: 300 },
  'reassign': { on: 0.25, alone: false, msMax: 0 },
  'create topic': { on: 0.2, alone: true, msMax: 0 },
  'delete topic': { on: 0.15, alone: true, msMax: 0 },
  'configure': { on: 0.15, alone: true, msMax: 0 },
  'retain': { on: 0.2, alone: true, msMax: 0 },
  'voters': { on: 0.5, alone: false, dynamic: true, msMax: 0 },
  'damage': { on: 0.15, alone: false, msMax: 2000 },
  'damage while it runs': { on: 0.15, alone: false, msMax: 2000 },
  'damage to metadata': { on: 0.15, alone: false, msMax: 2000 },
  'move voter': { on: 0.25, alone: false, dynamic: true, msMax: 2000 },
};

export interface PlanOptions {
  readonly nodes?: number;
  /** Only these kinds; all that the seed turns on without it. */
  readonly kinds?: readonly FaultKind[];
}

export function planOf(seed: number, options: PlanOptions = {}): Plan {
  const random = new Seeded(Math.imul(seed, 0x2545f491) ^ 0x51ed270b);
  const asksForVoters = options.kinds?.some((kind) => KINDS[kind].dynamic) === true;
  const wouldChange = random.chance(0.3) || asksForVoters;
  const nodes = options.nodes ?? (random.chance(0.04) && !asksForVoters ? 1 : random.chance(wouldChange ? 0.5 : 0.1) ? 4 : 3);
  const dynamicVoters = wouldChange && nodes >= 3;
  const makesSense = (kind: FaultKind): boolean => (nodes > 1 || KINDS[kind].alone) && (dynamicVoters || KINDS[kind].dynamic !== true);
  const safetyMs = 4000 + random.below(8000);
  const kinds = FAULT_KINDS.filter((kind) => random.chance(KINDS[kind].on) && makesSense(kind));
  const wanted = options.kinds?.filter(makesSense) ?? kinds;
  // Whoever asks for some kinds looks for something.
  const count = wanted.length === 0 ? 0 : options.kinds === undefined ? 1 + random.below(9) : 6 + random.below(10);
  const faults: Fault[] = [];
  for (let i = 0; i < count; i++) {
    const kind = random.pick(wanted);
    const target: Target = random.chance(0.35) ? random.pick(['controller', 'leader', 'leader', 'coordinator'] as const) : 1 + random.below(nodes);
    faults.push({
      atMs: 500 + Math.floor(random.next() * (safetyMs - 500)), kind, target, other: 1 + random.below(nodes),
      ms: Math.floor(random.next() ** 2 * KINDS[kind].msMax) + (KINDS[kind].msMax > 0 ? 50 : 0), choice: random.next(),
    });
  }
  faults.sort((a, b) => a.atMs - b.atMs);
  const largeBytes = random.chance(0.15) ? 66_000 + random.below(40_000) : 0;
  return {
    seed, nodes, dynamicVoters, safetyMs, faults,
    partitions: 1 + random.below(3),
    producers: 1 + random.below(3),
    consumers: 1 + random.below(2),
    committers: 1 + random.below(2),
    members: random.chance(0.4) ? 1 + random.below(3) : 0,
    settings: [...settingsOf(random, nodes), ...(dynamicVoters && random.chance(0.2) ? ['controller.quorum.auto.join.enable=true'] : [])],
    topicConfigs: topicConfigsOf(random, { mayRetain: wanted.includes('retain'), largeBytes }),
    network: { latencyMs: 0.1 + random.next() ** 3 * 8, cutChance: random.chance(0.3) ? 0.3 : 0.02, lateChance: random.chance(0.3) ? 0.4 : 0.05, ghostChance: random.chance(0.3) ? 0.1 : 0 },
    thinkMs: 20 + random.below(300),
    largeBytes,
  };
}

function settingsOf(random: Seeded, nodes: number): string[] {
  const replicas = Math.min(nodes, 3);
  const settings: string[] = [
    `default.replication.factor=${replicas}`, `min.insync.replicas=${Math.min(2, replicas)}`, `offsets.topic.replication.factor=${replicas}`,
    'offsets.topic.num.partitions=1', 'log.retention.check.interval.ms=700', 'group.initial.rebalance.delay.ms=0', 'group.min.session.timeout.ms=1000',
    `log.index.size.max.bytes=${65_536}`, 'log.segment.delete.delay.ms=500',
    `replica.lag.time.max.ms=${1500 + random.below(4000)}`, `replica.fetch.wait.max.ms=${100 + random.below(400)}`, 'replica.fetch.backoff.ms=200',
    `broker.session.timeout.ms=${1500 + random.below(3000)}`, 'broker.heartbeat.interval.ms=400',
    `controller.quorum.election.timeout.ms=${300 + random.below(700)}`, `controller.quorum.fetch.timeout.ms=${700 + random.below(1300)}`, 'controller.quorum.election.backoff.max.ms=300',
    `replica.high.watermark.checkpoint.interval.ms=${300 + random.below(3000)}`, `log.flush.offset.checkpoint.interval.ms=${500 + random.below(5000)}`,
  ];
  // Whoever is behind comes up in small steps.
  if (random.chance(0.25)) settings.push(`replica.fetch.max.bytes=${300 + random.below(3000)}`, `replica.fetch.response.max.bytes=${300 + random.below(6000)}`);
  if (random.chance(0.3)) settings.push(`controller.quorum.fetch.max.bytes=${1 + random.below(600)}`);
  if (random.chance(0.3)) settings.push(`log.roll.ms=${1000 + random.below(3000)}`);
  if (random.chance(0.2)) settings.push('log.flush.interval.messages=1');
  if (random.chance(0.3)) settings.push(`metadata.log.max.record.bytes.between.snapshots=${1000 + random.below(5000)}`);
  // Whoever was away for a while then finds the log trimmed, and has to fetch a snapshot.
  if (random.chance(0.3)) settings.push(`internal.metadata.log.segment.bytes=${500 + random.below(3000)}`, `metadata.max.retention.bytes=${2000 + random.below(10_000)}`);
  if (random.chance(0.3)) settings.push('auto.leader.rebalance.enable=true', 'leader.imbalance.check.interval.seconds=2');
  return settings;
}

/** Small segments, so that there are some to be let go; what retention keeps is so much that most runs keep all until a fault says otherwise. */
function topicConfigsOf(random: Seeded, { mayRetain, largeBytes }: { readonly mayRetain: boolean; readonly largeBytes: number }): string[] {
  if (!mayRetain && !random.chance(0.3)) return [];
  // A batch that does not fit into a segment is refused: the largest has three records of up to 2500 bytes, or of the large ones.
  const configs = [`internal.segment.bytes=${4 * largeBytes + 8000 + random.below(8000)}`];
  if (mayRetain && random.chance(0.3)) configs.push(`retention.bytes=${5000 + random.below(60_000)}`);
  if (mayRetain && random.chance(0.2)) configs.push(`retention.ms=${1000 + random.below(6000)}`);
  return configs;
}
