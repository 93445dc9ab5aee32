/** A broker and its controller, told as what one says to the other. */
import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../../protocol/errors.ts';
import { BrokerHeartbeat } from '../../../protocol/messages/cluster.ts';
import { BrokerLifecycle } from '../../../src/node/lifecycle.ts';
import { ConnectionError } from '../../../src/runtime/connection-error.ts';
import { FakeTime, settle } from '../server/fake-world.ts';

const INTERVAL_MS = 2000;

function scene() {
  const time = new FakeTime();
  const lines: string[] = [];
  const asked: { name: string; request: any; answer(response?: object): Promise<void>; lose(): Promise<void> }[] = [];
  const log = (line: string) => void lines.push(line);
  let offline: string[] = [];
  let metadataOffset = 10;
  const lifecycle = new BrokerLifecycle({
    nodeId: 1, clusterId: 'cluster', incarnationId: 'this life', previousBrokerEpoch: 5, clock: time, timers: time, logger: { info: log, warn: log, error: log },
    channel: {
      request: (api, request) => new Promise<any>((resolve, reject) => {
        asked.push({
          name: api === (BrokerHeartbeat as unknown) ? 'heartbeat' : 'registration', request,
          answer: (response = {}) => (resolve({ errorCode: 0, isCaughtUp: true, isFenced: false, shouldShutDown: false, brokerEpoch: 42, ...response }), settle()),
          lose: () => (reject(new ConnectionError('gone')), settle()),
        });
      }),
    },
    describe: () => ({ listeners: [], features: [], rack: null, logDirs: [] }),
    metadataOffset: () => metadataOffset, offlineLogDirs: () => offline, cordonedLogDirs: () => [], heartbeatIntervalMs: () => INTERVAL_MS, requestTimeoutMs: 4500, leaseMs: 8100,
  });
  const last = () => asked.at(-1)!;
  /** Registered and in service. */
  const serve = async () => {
    void lifecycle.register(60_000);
    await last().answer();
    await time.advance(0);
    await last().answer({ isFenced: true });
    void lifecycle.ready();
    await last().answer();
  };
  return { time, lifecycle, asked, last, lines, serve, fail: (id: string) => (offline = [id]), reach: (offset: number) => (metadataOffset = offset) };
}

test('a lease goes on as long as each answer comes before the promise of the last one ends, counted from when it was asked for', async () => {
  const { time, lifecycle, last, serve } = scene();
  expect(lifecycle.lease).toBeNull();
  await serve();
  const first = lifecycle.lease;
  expect(first).not.toBeNull();
  // An answer that takes long is worth less.
  await time.advance(INTERVAL_MS);
  await time.advance(1000);
  await last().answer();
  await time.advance(INTERVAL_MS);
  await time.advance(8100 - 1000 - INTERVAL_MS);
  expect(lifecycle.lease).toBe(first);
  await time.advance(1);
  expect(lifecycle.lease, 'the controller may have given all away').toBeNull();
  await time.advance(3000);
  await last().answer();
  expect(lifecycle.lease, 'answered too late to be a promise for now').toBeNull();
  await time.advance(INTERVAL_MS);
  await last().answer();
  expect(lifecycle.lease).not.toBeNull();
  expect(lifecycle.lease, 'in between it may have been').not.toBe(first);
  await time.advance(INTERVAL_MS);
  await last().answer({ isFenced: true });
  await time.advance(8100 - INTERVAL_MS + 1);
  expect(lifecycle.lease, 'who is fenced is promised nothing').toBeNull();
});

describe('the life of a broker', () => {
  test('registers, waits fenced until it is ready, and is in service when the controller says so', async () => {
    const { time, lifecycle, asked, last } = scene();
    const registered = lifecycle.register(60_000);
    expect(last()).toMatchObject({ name: 'registration', request: { brokerId: 1, clusterId: 'cluster', incarnationId: 'this life', previousBrokerEpoch: 5 } });
    await last().answer();
    expect([await registered, lifecycle.epoch, lifecycle.isFenced]).toEqual([42, 42, true]);
    await time.advance(0);
    expect(last()).toMatchObject({ name: 'heartbeat', request: { brokerEpoch: 42, wantFence: true, wantShutDown: false, currentMetadataOffset: 10 } });
    await last().answer({ isFenced: true });
    let isReady = false;
    void lifecycle.ready().then(() => (isReady = true));
    expect(last().request.wantFence).toBe(false);
    // Not caught up in the controller's eyes: asked again soon, and not after the interval.
    await last().answer({ isFenced: true, isCaughtUp: false });
    expect(isReady).toBe(false);
    await time.advance(10);
    await last().answer();
    expect([isReady, lifecycle.isFenced, asked.length]).toEqual([true, false, 4]);
    await time.advance(INTERVAL_MS - 1);
    expect(asked).toHaveLength(4);
    await time.advance(1);
    expect(asked).toHaveLength(5);
  });

  test('an epoch that cannot be is none, and one that was a lie does not stay', async () => {
    const { time, lifecycle, asked, last } = scene();
    const registered = lifecycle.register(60_000);
    for (const [brokerEpoch, waitMs] of [[2 ** 53, 50], [-1, 100]] as const) {
      await last().answer({ brokerEpoch });
      await time.advance(waitMs);
      expect([last().name, lifecycle.epoch]).toEqual(['registration', -1]);
    }
    await last().answer({ brokerEpoch: 1_000_000 });
    expect(await registered).toBe(1_000_000);
    await time.advance(0);
    // The next controller knows nothing of it.
    await last().answer({ errorCode: ErrorCode.STALE_BROKER_EPOCH });
    await time.advance(50);
    await last().answer({ brokerEpoch: 43 });
    expect(lifecycle.epoch).toBe(43);
    expect(asked.map(({ name }) => name)).toEqual(['registration', 'registration', 'registration', 'heartbeat', 'registration']);
  });

  test('a registration that is refused for now is asked for again, and one that is not made in time fails', async () => {
    const { time, lifecycle, asked, last } = scene();
    const registered = lifecycle.register(1000);
    registered.catch(() => {});
    await last().answer({ errorCode: ErrorCode.DUPLICATE_BROKER_REGISTRATION });
    await time.advance(50);
    expect(asked).toHaveLength(2);
    await last().lose();
    await time.advance(100);
    expect(asked).toHaveLength(3);
    await time.advance(1000);
    await expect(registered).rejects.toThrow('initial.broker.registration.timeout.ms = 1000: registration: This broker ID is already in use.');
  });

  test('a cluster that it is not of ends it at once', async () => {
    const { lifecycle, last } = scene();
    const registered = lifecycle.register(60_000);
    registered.catch(() => {});
    await last().answer({ errorCode: ErrorCode.INCONSISTENT_CLUSTER_ID });
    await expect(registered).rejects.toThrow('the controller is of another cluster than this node, which is of cluster');
  });

  test('lost heartbeats are repeated with pauses that double up to the interval, and said once', async () => {
    const { time, asked, last, lines, serve } = scene();
    await serve();
    await time.advance(INTERVAL_MS);
    const pauses: number[] = [];
    for (let round = 0; round < 8; round++) {
      const before = asked.length;
      await last().lose();
      const from = time.monotonicMs();
      while (asked.length === before) await time.advance(10);
      pauses.push(time.monotonicMs() - from);
    }
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1600, 2000, 2000]);
    expect(lines).toEqual(['the controller does not hear this broker: gone']);
    await last().answer();
    expect(lines.at(-1)).toBe('the controller hears this broker again');
  });

  test.each(['STALE_BROKER_EPOCH', 'BROKER_ID_NOT_REGISTERED'] as const)('after %s it says anew who it is, with a later epoch', async (code) => {
    const { time, lifecycle, last, serve } = scene();
    await serve();
    await time.advance(INTERVAL_MS);
    await last().answer({ errorCode: ErrorCode[code] });
    await time.advance(50);
    expect(last()).toMatchObject({ name: 'registration', request: { incarnationId: 'this life', previousBrokerEpoch: 42 } });
    await last().answer({ brokerEpoch: 77 });
    expect(lifecycle.epoch).toBe(77);
    await time.advance(0);
    // Its logs are open: nothing speaks for waiting fenced.
    expect(last()).toMatchObject({ name: 'heartbeat', request: { brokerEpoch: 77, wantFence: false } });
  });

  test('a directory that fails is told at once, and after the heartbeat that is under way', async () => {
    const { time, lifecycle, asked, last, serve, fail } = scene();
    await serve();
    fail('disk 1');
    lifecycle.tellSoon();
    expect(last().request.offlineLogDirs).toEqual(['disk 1']);
    lifecycle.tellSoon();
    const before = asked.length;
    await last().answer();
    expect(asked).toHaveLength(before + 1);
    await last().answer();
    await time.advance(INTERVAL_MS - 1);
    expect(asked).toHaveLength(before + 1);
  });

  test('leaves when it may, and asks often', async () => {
    const { time, lifecycle, last, serve } = scene();
    await serve();
    const left = lifecycle.leave({ timeoutMs: 30_000, silenceMs: 5000 });
    for (let round = 0; round < 3; round++) {
      expect(last().request.wantShutDown).toBe(true);
      await last().answer();
      await time.advance(20);
    }
    await last().answer({ shouldShutDown: true, isFenced: true });
    await expect(left).resolves.toBe(true);
  });

  test('leaves without leave when no controller answers, when it takes too long, and when nobody is left', async () => {
    const silent = scene();
    await silent.serve();
    const unheard = silent.lifecycle.leave({ timeoutMs: 30_000, silenceMs: 5000 });
    await silent.time.advance(5000);
    await expect(unheard).resolves.toBe(false);

    const slow = scene();
    await slow.serve();
    let hasLeft: boolean | undefined;
    void slow.lifecycle.leave({ timeoutMs: 100, silenceMs: 5000 }).then((left) => (hasLeft = left));
    for (let ms = 0; ms < 100; ms += 20) {
      await slow.last().answer();
      await slow.time.advance(20);
    }
    expect(hasLeft).toBe(false);

    const last = scene();
    await last.serve();
    const ended = last.lifecycle.leave({ timeoutMs: 30_000, silenceMs: 5000 });
    last.lifecycle.endLeave();
    await expect(ended).resolves.toBe(false);
  });

  test('closed it says nothing any more', async () => {
    const { time, lifecycle, asked, serve } = scene();
    await serve();
    lifecycle.close();
    await time.advance(100_000);
    expect([asked.length, time.pendingTimers]).toEqual([3, 0]);
  });
});
