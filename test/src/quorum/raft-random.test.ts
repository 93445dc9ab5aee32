/**
 * Quorums of pure steps under random faults: what must hold is checked after every step by `raft-world.ts`; afterwards all must agree. RAFT_SEEDS and RAFT_SEED in
 * the environment say how many and from which.
 */
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { seededRandom } from '../coordinator/world.ts';
import { directoryOf, RaftWorld } from './raft-world.ts';

const FAULTS_MS = 2500;
const HEALED_MS = 3000;
/** For thousands of seeds. */
const TIMEOUT_MS = 1_200_000;

/** What the seed did, for the assertion that the faults were worth it. */
interface Outcome {
  readonly steps: number;
  readonly epochs: number;
  readonly committed: number;
  readonly voterChanges: number;
}

function play(seed: number, { nodes, voters, changes }: { nodes: number; voters: number; changes: boolean }): Outcome {
  const random = seededRandom(seed);
  const world = new RaftWorld({ nodes, voters, random, lossPercent: random.below(20), repeatPercent: 10, delayMsMax: 1 + random.below(40) });
  let voterChanges = 0;
  while (world.nowMs < FAULTS_MS) {
    world.run(world.nowMs + 1 + random.below(30));
    const member = world.members[random.below(nodes)]!;
    const [leader] = world.leaders;
    switch (random.below(14)) {
      case 0:
        if (member.isUp) world.crash(member);
        break;
      case 1:
      case 2:
        if (!member.isUp) world.start(member);
        break;
      case 3:
        world.cut.add(`${member.id} ${1 + random.below(nodes)}`);
        break;
      case 4:
      case 5:
        world.cut.clear();
        break;
      case 6:
        if (member.isUp) world.dispatch(member, { type: 'resign' });
        break;
      case 7:
        if (!changes || leader === undefined) break;
        if (leader.state.voters.some(({ id }) => id === member.id)) {
          // Of two voters the leader must not be removed: when it goes down before the other has the record, neither can be elected, here as in Kafka.
          if (leader.state.voters.length <= 2) break;
          world.ask(leader, { type: 'removeVoter', key: { id: member.id, directoryId: directoryOf(member.id) } }, ({ error }) => void (error === ErrorCode.NONE && voterChanges++));
        } else {
          world.ask(leader, { type: 'addVoter', voter: world.voter(member.id), ackWhenCommitted: true }, ({ error }) => void (error === ErrorCode.NONE && voterChanges++));
        }
        break;
      default:
        if (leader !== undefined) world.append(leader);
    }
  }
  world.isHealed = true;
  world.cut.clear();
  for (const member of world.members) if (!member.isUp) world.start(member);
  world.run(FAULTS_MS + HEALED_MS);
  const leader = world.leaders.find(({ state }) => world.members.every((member) => member.state.election.epoch <= state.election.epoch));
  expect(leader, `seed ${seed}: a leader`).toBeDefined();
  world.append(leader!);
  world.run(world.nowMs + 1000);
  for (const member of world.members) {
    expect(member.log.map(({ id }) => id), `seed ${seed}: the log of node ${member.id}`).toEqual(leader!.log.map(({ id }) => id));
    expect(member.state.highWatermark, `seed ${seed}: the high watermark of node ${member.id}`).toBe(leader!.log.length);
  }
  return { steps: world.steps, epochs: leader!.state.election.epoch, committed: world.committed.length, voterChanges };
}

function total(outcomes: readonly Outcome[], of: keyof Outcome): number {
  return outcomes.reduce((sum, outcome) => sum + outcome[of], 0);
}

function playAll(seeds: number, options: { nodes: number; voters: number; changes: boolean }): Outcome[] {
  const first = Number(process.env.RAFT_SEED ?? 1);
  return Array.from({ length: seeds }, (_, index) => {
    const seed = first + index;
    try {
      return play(seed, options);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  });
}

describe('a quorum under faults', () => {
  const seeds = Number(process.env.RAFT_SEEDS ?? 100);

  it('of three voters', () => {
    const outcomes = playAll(seeds, { nodes: 3, voters: 3, changes: false });
    expect(total(outcomes, 'epochs')).toBeGreaterThan(2 * seeds);
    expect(total(outcomes, 'committed')).toBeGreaterThan(10 * seeds);
  }, TIMEOUT_MS);

  it('of five voters', () => {
    expect(total(playAll(seeds / 2, { nodes: 5, voters: 5, changes: false }), 'committed')).toBeGreaterThan(5 * seeds);
  }, TIMEOUT_MS);

  it('whose voters change', () => {
    const outcomes = playAll(seeds, { nodes: 5, voters: 3, changes: true });
    expect(total(outcomes, 'voterChanges')).toBeGreaterThan(seeds / 4);
  }, TIMEOUT_MS);

  it('does the same for the same seed', () => {
    expect(play(7, { nodes: 3, voters: 3, changes: false })).toEqual(play(7, { nodes: 3, voters: 3, changes: false }));
  });
});
