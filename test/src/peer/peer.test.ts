/** A connection to another node: made when needed, given up with a reason, not tried again too soon, moved when the node moves. */
import { afterEach, describe, expect, test } from 'vitest';
import { Heartbeat } from '../../../protocol/messages/groups.ts';
import { Peer, PEER_DEFAULTS } from '../../../src/peer/peer.ts';
import { ConnectionError } from '../../../src/runtime/connection-error.ts';
import { nodeRuntime } from '../../../src/runtime/node.ts';
import { FakeTime, settle } from '../server/fake-world.ts';
import { ScriptedBroker } from './scripted-broker.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function broker(): Promise<ScriptedBroker> {
  const started = await ScriptedBroker.start([Heartbeat]);
  open.push(started);
  started.onRequest = (asked) => asked.answer({ errorCode: asked.request.generationId });
  return started;
}

function peerTo(address: { host: string; port: number }, clock = nodeRuntime().clock): Peer {
  const peer = new Peer(address, { ...PEER_DEFAULTS, ...nodeRuntime(), clock, clientId: 'test', backoffMs: 100, backoffMsMax: 300 });
  open.push(peer);
  return peer;
}

const beat = (generationId: number) => ({ groupId: 'g', generationId, memberId: 'm' });

describe('a peer', () => {
  test('connects once for all that ask meanwhile, and answers go to who asked', async () => {
    const there = await broker();
    const peer = peerTo(there.address);
    const answers = await Promise.all([1, 2, 3].map((generation) => peer.request(Heartbeat, beat(generation))));
    expect(answers.map(({ errorCode }) => errorCode)).toEqual([1, 2, 3]);
    expect(there.sockets).toHaveLength(1);
  });

  test('asks in the highest common version, or in the one that it is held to', async () => {
    const there = await broker();
    const versions: number[] = [];
    there.onRequest = ({ version, answer }) => (versions.push(version), answer({ errorCode: 0 }));
    const peer = peerTo(there.address);
    await peer.request(Heartbeat, beat(1));
    await peer.request(Heartbeat, beat(1), { versionMax: 1 });
    expect(versions).toEqual([4, 1]);
    expect(await peer.versionOf(Heartbeat)).toBe(4);
  });

  test('what waits fails when the node goes, and the next request connects anew', async () => {
    const there = await broker();
    const peer = peerTo(there.address);
    there.onRequest = ({ socket }) => socket.destroy();
    await expect(peer.request(Heartbeat, beat(1))).rejects.toBeInstanceOf(ConnectionError);
    there.onRequest = ({ answer }) => answer({ errorCode: 5 });
    await expect(peer.request(Heartbeat, beat(1))).resolves.toMatchObject({ errorCode: 5 });
    expect(there.sockets).toHaveLength(2);
  });

  test('a connection that does not answer in time is given up: it may be dead without a word', async () => {
    const there = await broker();
    const peer = peerTo(there.address);
    there.onRequest = () => {};
    await expect(peer.request(Heartbeat, beat(1), { timeoutMs: 20 })).rejects.toThrow('did not answer');
    there.onRequest = ({ answer }) => answer({ errorCode: 5 });
    await expect(peer.request(Heartbeat, beat(1))).resolves.toMatchObject({ errorCode: 5 });
    expect(there.sockets).toHaveLength(2);
  });

  test('a node that cannot be reached is left alone for a while that doubles up to the limit', async () => {
    const there = await broker();
    const { address } = there;
    await there.close();
    const time = new FakeTime();
    const peer = peerTo(address, time);
    const waits: number[] = [];
    for (let round = 0; round < 4; round++) {
      await expect(peer.request(Heartbeat, beat(1))).rejects.toThrow('nothing listens there');
      waits.push(peer.notBeforeMs - time.monotonicMs());
      // Until then it fails at once, by the same reason.
      await expect(peer.request(Heartbeat, beat(1))).rejects.toThrow('nothing listens there');
      await time.advance(waits.at(-1)!);
    }
    expect(waits).toEqual([100, 200, 300, 300]);
  });

  test('a node that moved is asked where it is now, and its old connection ends', async () => {
    const [one, two] = [await broker(), await broker()];
    const peer = peerTo(one.address);
    let isWaiting = () => {};
    const waiting = new Promise<void>((resolve) => (isWaiting = resolve));
    one.onRequest = () => isWaiting();
    const lost = peer.request(Heartbeat, beat(1));
    lost.catch(() => {});
    await waiting;
    peer.moveTo(two.address);
    await expect(lost).rejects.toBeInstanceOf(ConnectionError);
    await expect(peer.request(Heartbeat, beat(7))).resolves.toMatchObject({ errorCode: 7 });
    expect(two.sockets).toHaveLength(1);
  });

  test('closed it asks nobody any more, not even by a connection that was on its way', async () => {
    const there = await broker();
    const peer = peerTo(there.address);
    const asked = peer.request(Heartbeat, beat(1));
    asked.catch(() => {});
    await settle();
    peer.close();
    await expect(asked).rejects.toBeInstanceOf(ConnectionError);
    await expect(peer.request(Heartbeat, beat(1))).rejects.toThrow('was closed');
  });
});
