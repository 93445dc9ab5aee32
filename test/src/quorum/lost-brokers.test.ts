/** When a broker whose connection broke is said to be lost, and when it is left to its session. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type Knock, LostBrokers } from '../../../src/quorum/lost-brokers.ts';

const BROKER = 7;
const EPOCH = 40;

let found: Awaited<ReturnType<Knock>>;
let events: string[];
let hasSession: boolean;
let epoch: number;
let timers: (() => void)[];
let lost: LostBrokers;

beforeEach(() => {
  found = 'taken';
  events = [];
  hasSession = true;
  epoch = EPOCH;
  timers = [];
  lost = new LostBrokers({
    timers: { after: (_, run) => (timers.push(run), { cancel: () => {} }), soon: (run) => setImmediate(run) },
    knock: async ({ port }) => {
      events.push(`knock at ${port}: ${found}`);
      return found;
    },
    addressOf: (brokerId, its) => (its === epoch ? { host: 'here', port: 9000 + brokerId } : null),
    hasSession: (_, its) => its === epoch && hasSession,
    lost: (brokerId, its) => events.push(`lost ${brokerId} of epoch ${its}`),
  });
});

const settle = () => new Promise((done) => setImmediate(done));

/** In service, and it has taken a connection. */
async function known(): Promise<void> {
  lost.heard(BROKER, EPOCH);
  await settle();
  events = [];
}

describe('a broker whose connection broke', () => {
  it('is lost when nothing listens any more', async () => {
    await known();
    found = 'refused';
    lost.connectionBroke(BROKER, EPOCH);
    lost.connectionBroke(BROKER, EPOCH);
    await settle();
    expect(events).toEqual(['knock at 9007: refused', 'lost 7 of epoch 40']);
  });

  it('is looked at twice, for its listener may close last', async () => {
    await known();
    lost.connectionBroke(BROKER, EPOCH);
    await settle();
    found = 'refused';
    timers.shift()!();
    await settle();
    expect(events).toEqual(['knock at 9007: taken', 'knock at 9007: refused', 'lost 7 of epoch 40']);
  });

  it.each(['taken', 'unknown'] as const)('is left to its session when a connection is %s', async (what) => {
    await known();
    found = what;
    lost.connectionBroke(BROKER, EPOCH);
    await settle();
    timers.shift()!();
    await settle();
    expect(events).toEqual([`knock at 9007: ${what}`, `knock at 9007: ${what}`]);
    expect(timers).toEqual([]);
  });

  it('is left to its session when it was heard meanwhile, came again, or this controller resigned', async () => {
    for (const meanwhile of [() => lost.heard(BROKER, EPOCH), () => epoch++, () => lost.clear()]) {
      epoch = EPOCH;
      found = 'taken';
      await known();
      found = 'refused';
      lost.connectionBroke(BROKER, EPOCH);
      meanwhile();
      await settle();
      expect(events).toEqual(['knock at 9007: refused']);
    }
  });

  it('is left to its session when it never took a connection of ours: a firewall may refuse for it', async () => {
    found = 'refused';
    for (let heard = 0; heard < 10; heard++) {
      lost.heard(BROKER, EPOCH);
      await settle();
    }
    expect(events).toEqual(Array.from({ length: 3 }, () => 'knock at 9007: refused'));
    lost.connectionBroke(BROKER, EPOCH);
    await settle();
    expect(events.length).toBe(3);
    // Its own controller was reached before, and is gone: that is told by others.
    lost.controllerGone(BROKER, EPOCH);
    await settle();
    expect(events.at(-1)).toBe('lost 7 of epoch 40');
  });

  it('is nobody when it has no session', async () => {
    await known();
    hasSession = false;
    found = 'refused';
    lost.connectionBroke(BROKER, EPOCH);
    lost.controllerGone(BROKER, EPOCH);
    await settle();
    expect(events).toEqual([]);
  });
});

it('a broker in service is tried once, and again in its next life', async () => {
  for (let heard = 0; heard < 10; heard++) {
    lost.heard(BROKER, EPOCH);
    await settle();
  }
  epoch++;
  lost.heard(BROKER, epoch);
  await settle();
  expect(events).toEqual(['knock at 9007: taken', 'knock at 9007: taken']);
});
