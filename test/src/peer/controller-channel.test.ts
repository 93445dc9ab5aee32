/** The way to the active controller: who is asked, again when, and for how long. */
import { describe, expect, test } from 'vitest';
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts';
import { AllocateProducerIds } from '../../../protocol/messages/cluster.ts';
import { ControllerChannel } from '../../../src/peer/controller-channel.ts';
import type { KnownLeader } from '../../../src/peer/controller-channel.ts';
import type { PeerAddress } from '../../../src/peer/peer.ts';
import { ConnectionError } from '../../../src/runtime/connection-error.ts';
import { FakeTime, settle } from '../server/fake-world.ts';

const ask = { brokerId: 1, brokerEpoch: 2 };
const block = { errorCode: 0, producerIdStart: 1000, producerIdLen: 1000 };
const unknown: KnownLeader = { leaderId: -1, epoch: 1, address: null };
const at = (leaderId: number, epoch: number): KnownLeader => ({ leaderId, epoch, address: { host: `node${leaderId}`, port: 9093 } });

function scene(first: KnownLeader) {
  const time = new FakeTime();
  const tries: { to: string; resolve(answer: unknown): void; reject(error: Error): void }[] = [];
  let leader = first;
  let listener = () => {};
  const tryTo = (to: string) => new Promise<any>((resolve, reject) => void tries.push({ to, resolve, reject }));
  const channel = new ControllerChannel({
    nodeId: 1, clock: time, timers: time, leader: () => leader, onLeader: (call) => ((listener = call), () => {}),
    local: () => tryTo('self'), peerOf: ({ host }: PeerAddress) => ({ request: () => tryTo(host) }),
    tryTimeoutMs: 5000, requestTimeoutMs: 1000, backoffMs: 10, backoffMsMax: 40,
  });
  const lead = async (next: KnownLeader) => {
    leader = next;
    listener();
    await settle();
  };
  const request = () => {
    const outcome: { value?: any; error?: any } = {};
    channel.request(AllocateProducerIds, ask).then((value) => (outcome.value = value), (error: unknown) => (outcome.error = error));
    return outcome;
  };
  return { time, tries, channel, lead, request };
}

describe('the controller channel', () => {
  test('asks this node itself while it leads, and another over the network', async () => {
    const { tries, lead, request } = scene(at(1, 1));
    const own = request();
    tries[0]!.resolve(block);
    await settle();
    expect([tries[0]!.to, own.value]).toEqual(['self', block]);
    await lead(at(3, 2));
    request();
    expect(tries[1]!.to).toBe('node3');
  });

  test('without a leader waits for one, and asks as soon as it is known', async () => {
    const { tries, lead, request } = scene(unknown);
    const waiting = request();
    await settle();
    expect(tries).toEqual([]);
    await lead(at(2, 2));
    expect(tries.map(({ to }) => to)).toEqual(['node2']);
    tries[0]!.resolve(block);
    await settle();
    expect(waiting.value).toBe(block);
  });

  test.each([
    ['NOT_CONTROLLER in the answer', (one: { resolve(answer: unknown): void }) => one.resolve({ ...block, errorCode: ErrorCode.NOT_CONTROLLER })],
    ['NOT_CONTROLLER in a part of the answer', (one: { resolve(answer: unknown): void }) => one.resolve({ topics: [{ name: 't', errorCode: ErrorCode.NOT_CONTROLLER }] })],
    ['NOT_CONTROLLER of this node', (one: { reject(error: Error): void }) => one.reject(new KafkaError(ErrorCode.NOT_CONTROLLER))],
    ['a lost connection', (one: { reject(error: Error): void }) => one.reject(new ConnectionError('gone'))],
  ])('after %s it asks again, each time a little later', async (_what, fail) => {
    const { time, tries, request } = scene(at(2, 1));
    const waiting = request();
    const pauses: number[] = [];
    for (let round = 0; round < 4; round++) {
      fail(tries[round]! as never);
      await settle();
      const from = time.monotonicMs();
      while (tries.length === round + 1) await time.advance(1);
      pauses.push(time.monotonicMs() - from);
    }
    expect(pauses).toEqual([10, 20, 40, 40]);
    tries[4]!.resolve(block);
    await settle();
    expect(waiting.value).toBe(block);
  });

  test('a try at a leader that is none any more is given up for the next one, and its late answer is nobody\'s', async () => {
    const { tries, lead, request } = scene(at(2, 1));
    const waiting = request();
    await lead(unknown);
    await lead(at(3, 2));
    expect(tries.map(({ to }) => to)).toEqual(['node2', 'node3']);
    tries[0]!.resolve({ ...block, producerIdStart: 5 });
    tries[1]!.resolve(block);
    await settle();
    expect(waiting.value).toBe(block);
  });

  test('what this node has begun to decide itself is waited for', async () => {
    const { tries, lead, request } = scene(at(1, 1));
    const waiting = request();
    await lead(at(3, 2));
    expect(tries).toHaveLength(1);
    tries[0]!.resolve(block);
    await settle();
    expect(waiting.value).toBe(block);
  });

  test('gives up when the time is over, and at once when it is closed', async () => {
    const { time, request } = scene(unknown);
    const late = request();
    await time.advance(999);
    expect(late).toEqual({});
    await time.advance(1);
    expect(late.error).toBeInstanceOf(ConnectionError);
    const other = scene(at(2, 1));
    const cut = other.request();
    other.channel.close();
    await settle();
    expect(cut.error).toBeInstanceOf(ConnectionError);
  });

  test('other errors are the caller\'s', async () => {
    const { tries, request } = scene(at(1, 1));
    const outcome = request();
    tries[0]!.reject(new KafkaError(ErrorCode.UNSUPPORTED_VERSION));
    await settle();
    expect(outcome.error.code).toBe(ErrorCode.UNSUPPORTED_VERSION);
  });
});
