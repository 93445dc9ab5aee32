/** Sessions of brokers over time: who is fenced when, and what the controller does by itself meanwhile. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorName } from '../../../protocol/errors.ts';
import type { Controller } from '../../../src/quorum/controller.ts';
import type { Quorum } from '../../../src/quorum/quorum.ts';
import { newTopic, QuorumWorld } from './world.ts';

let world: QuorumWorld;
let quorum: Quorum;
let controller: Controller;
const epochs = new Map<number, number>();
const directories = new Map<number, string>();

beforeEach(async () => {
  await open();
});

afterEach(async () => {
  await quorum.close();
});

async function open(settings: Readonly<Record<string, number | boolean>> = {}): Promise<void> {
  world = new QuorumWorld({ settings: { 'metadata.max.idle.interval.ms': 0, ...settings } });
  quorum = await world.open();
  controller = quorum.controller!;
  for (const brokerId of [11, 12]) {
    directories.set(brokerId, world.runtime.random.uuid());
    await register(brokerId);
    await beat(brokerId);
  }
}

async function register(brokerId: number): Promise<string> {
  const previousBrokerEpoch = epochs.get(brokerId) ?? -1;
  try {
    epochs.set(brokerId, await controller.registerBroker(world.registration({ brokerId, logDirs: [directories.get(brokerId)!], previousBrokerEpoch })));
    return 'NONE';
  } catch (error) {
    return errorName((error as { code: number }).code);
  }
}

async function beat(brokerId: number, changes: object = {}): Promise<string> {
  const answer = await controller.brokerHeartbeat({
    brokerId, brokerEpoch: epochs.get(brokerId)!, currentMetadataOffset: 1_000_000, wantFence: false, wantShutDown: false, offlineLogDirs: [], cordonedLogDirs: [], ...changes,
  });
  return answer.shouldShutDown ? 'may stop' : answer.isFenced ? 'fenced' : answer.inControlledShutdown ? 'leaving' : 'in service';
}

async function topic(name: string, ...assignments: number[][]): Promise<void> {
  const [result] = await controller.createTopics([
    newTopic(name, { numPartitions: -1, replicationFactor: -1, assignments: assignments.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })) }),
  ]);
  expect(result!.errorCode).toBe(0);
}

/** The node's in QuorumWorld. */
const OWN = 1;
const leaders = (name: string): number[] => quorum.image().topic(name)!.partitions.map(({ leader }) => leader);
const isFenced = (brokerId: number): boolean => quorum.image().brokers.get(brokerId)!.fenced;

it('a broker whose connection broke and whose listener refuses is fenced at once, also when the controller stood still meanwhile', async () => {
  await topic('t', [11, 12]);
  world.knock = async () => 'taken';
  await beat(11);
  await world.settle();
  let answer!: (found: 'refused') => void;
  world.knock = () => new Promise((resolve) => (answer = resolve));
  controller.brokerDisconnected(11, epochs.get(11)! - 1);
  expect(answer).toBeUndefined();
  controller.brokerDisconnected(11, epochs.get(11)!);
  world.standStill(30_000);
  await world.pass(1);
  answer('refused');
  await world.settle();
  expect([isFenced(11), isFenced(12), leaders('t')]).toEqual([true, false, [12]]);
  expect(world.lines.at(-1)).toBe('broker 11 is fenced: nothing listens any more at localhost:9092');
  // It may come back at once.
  expect(await register(11)).toBe('NONE');
});

describe('a session', () => {
  it('ends when nothing was heard for broker.session.timeout.ms, at most an eighth later', async () => {
    await topic('t', [11, 12], [12, 11]);
    await world.pass(8000);
    expect(await beat(12)).toBe('in service');
    await world.pass(1000);
    expect([isFenced(11), isFenced(12)]).toEqual([false, false]);
    await world.pass(1126);
    expect([isFenced(11), isFenced(12)]).toEqual([true, false]);
    expect(leaders('t')).toEqual([12, 12]);
    expect(world.lines.some((line) => line.includes('broker 11 is fenced'))).toBe(true);
  });

  it('that ended is begun by the next heartbeat of the same life', async () => {
    await world.pass(20_000);
    expect([isFenced(11), isFenced(12)]).toEqual([true, true]);
    expect(await beat(11)).toBe('in service');
    await world.pass(8000);
    expect(isFenced(11)).toBe(false);
  });

  it('keeps others from taking the broker\'s place, and no longer', async () => {
    expect(await register(11)).toBe('DUPLICATE_BROKER_REGISTRATION');
    await world.pass(9001);
    expect(await register(11)).toBe('NONE');
    expect(isFenced(11)).toBe(true);
  });

  it('is over for a broker that was told to stop: it may come back at once', async () => {
    await topic('t', [11, 12]);
    expect(await beat(11, { wantShutDown: true })).toBe('leaving');
    expect(leaders('t')).toEqual([12]);
    expect(await beat(12)).toBe('in service');
    expect(await beat(11, { wantShutDown: true })).toBe('may stop');
    expect(await register(11)).toBe('NONE');
    expect(await beat(11)).toBe('in service');
  });

  it('does not end for the broker in the controller\'s own process, however late its heartbeats are', async () => {
    directories.set(OWN, world.runtime.random.uuid());
    await register(OWN);
    expect(await beat(OWN)).toBe('in service');
    await world.pass(60_000);
    expect([isFenced(OWN), isFenced(11)]).toEqual([false, true]);
  });

  it('does not run while the controller stands still', async () => {
    await world.pass(1000);
    world.standStill(30_000);
    await world.pass(1);
    expect([isFenced(11), isFenced(12)]).toEqual([false, false]);
    // What was sent meanwhile is heard after that; who stays silent is gone.
    expect(await beat(11)).toBe('in service');
    await world.pass(9000);
    expect([isFenced(11), isFenced(12)]).toEqual([false, true]);
  });

  it('does not run for what an earlier life of the broker says', async () => {
    await world.pass(9001);
    const old = epochs.get(11)!;
    await register(11);
    await expect(beat(11, { brokerEpoch: old })).rejects.toThrow('Expected broker epoch');
    expect(await beat(11)).toBe('in service');
  });
});

describe('a new leader', () => {
  it('gives everybody a full session, whoever is gone', async () => {
    await world.pass(8000);
    controller.deactivate();
    controller.activate();
    await world.pass(8999);
    expect([isFenced(11), isFenced(12)]).toEqual([false, false]);
    await world.pass(1200);
    expect([isFenced(11), isFenced(12)]).toEqual([true, true]);
  });

  it('does nothing by itself once it does not lead any more', async () => {
    controller.deactivate();
    await world.pass(60_000);
    expect([isFenced(11), isFenced(12)]).toEqual([false, false]);
  });

  it('finds who was leaving, and moves what that one leads', async () => {
    await topic('t', [11, 12]);
    await beat(11, { wantShutDown: true });
    controller.deactivate();
    controller.activate();
    await beat(12);
    expect(await beat(11, { wantShutDown: true })).toBe('may stop');
  });
});

describe('by itself, the controller', () => {
  it('elects preferred leaders every leader.imbalance.check.interval.seconds', async () => {
    await topic('t', [11, 12], [12, 11]);
    await beat(11, { wantFence: true });
    await beat(11);
    const [first] = quorum.image().topic('t')!.partitions;
    await controller.alterPartitions({
      brokerId: 12, brokerEpoch: epochs.get(12)!,
      topics: [{
        topicId: quorum.image().topic('t')!.id,
        partitions: [{
          partitionIndex: 0, leaderEpoch: first!.leaderEpoch, newIsr: [], newIsrWithEpochs: [12, 11].map((brokerId) => ({ brokerId, brokerEpoch: epochs.get(brokerId)! })),
          leaderRecoveryState: 0, partitionEpoch: first!.partitionEpoch,
        }],
      }],
    });
    expect(leaders('t')).toEqual([12, 12]);
    const beats = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second += 5) {
        await world.pass(5000);
        await Promise.all([beat(11), beat(12)]);
      }
    };
    await beats(295);
    expect(leaders('t')).toEqual([12, 12]);
    await beats(10);
    expect(leaders('t')).toEqual([11, 12]);
  });

  it('elects unclean leaders as soon as a topic allows it', async () => {
    await topic('t', [11, 12]);
    const { leaderEpoch, partitionEpoch } = quorum.image().partition('t', 0)!;
    const topicId = quorum.image().topic('t')!.id;
    await controller.alterPartitions({
      brokerId: 11, brokerEpoch: epochs.get(11)!,
      topics: [{ topicId, partitions: [{ partitionIndex: 0, leaderEpoch, newIsr: [11], newIsrWithEpochs: [], leaderRecoveryState: 0, partitionEpoch }] }],
    });
    await beat(11, { wantFence: true });
    expect(leaders('t')).toEqual([-1]);
    const allow = [{ resourceType: 2, resourceName: 't', configs: [{ name: 'unclean.leader.election.enable', configOperation: 0, value: 'true' }] }];
    await controller.alterConfigsIncrementally(allow, { validateOnly: true, isForwarded: false });
    expect(leaders('t')).toEqual([-1]);
    await controller.alterConfigsIncrementally(allow, { validateOnly: false, isForwarded: false });
    expect(leaders('t')).toEqual([12]);
    expect(quorum.image().partition('t', 0)).toMatchObject({ isr: [12], leaderRecoveryState: 1 });
  });

  it('writes into an idle log when others are there to read it', async () => {
    await quorum.close();
    await open({ 'metadata.max.idle.interval.ms': 500 });
    const { offset } = quorum.image();
    await world.pass(2100);
    expect(quorum.image().offset).toBe(offset + 4);
  });
});

it('a fence of a broker with 5,000 partitions is one turn of a fraction of a second', async () => {
  for (let part = 0; part < 5; part++) await topic(`t${part}`, ...Array.from({ length: 1000 }, () => [11, 12]));
  const start = performance.now();
  const fenced = beat(11, { wantFence: true });
  const turnMs = performance.now() - start;
  await fenced;
  expect(leaders('t4').every((leader) => leader === 12)).toBe(true);
  // 40 to 90 ms on the machine that this was written on.
  expect(turnMs).toBeLessThan(1500);
});
