/** The driver's timers, where time goes by while a step is carried out. */
import { expect, it } from 'vitest';
import type { Peer } from '../../../src/peer/peer.ts';
import { formatDirectory } from '../../../src/quorum/bootstrap.ts';
import { openQuorum } from '../../../src/quorum/quorum.ts';
import { Settings } from '../../../src/settings.ts';
import { ClusterWorld, PORT } from './cluster-world.ts';
import { CLUSTER_ID, DIRECTORY } from './world.ts';

const STANDSTILL_MS = 10_000;
const QUESTIONS = 20;

it('asks again when the time for an answer ran out before the question had left', async () => {
  const world = new ClusterWorld();
  const runtime = world.runtime(2),
    directoryId = world.directoryId(2);
  formatDirectory({ disk: runtime.disk, directory: DIRECTORY, clusterId: CLUSTER_ID, nodeId: 2, directoryId, nowMs: world.nowMs, voters: null });
  let asked = 0;
  const peer = {
    // The node stands still in the middle of each step, for longer than a request may take; and nobody ever answers.
    versionOf() {
      asked++;
      world.nowMs += STANDSTILL_MS;
      return new Promise<never>(() => {});
    },
    request() {
      asked++;
      world.nowMs += STANDSTILL_MS;
      return new Promise<never>(() => {});
    },
    disconnect() {},
  };
  let quorum: { close(): Promise<void> } | undefined;
  const opening = openQuorum({
    runtime, directory: DIRECTORY, nodeId: 2, clusterId: CLUSTER_ID, directoryId, roles: ['broker'], controllerEndpoints: [],
    settings: Settings.from({ production: true, values: { 'node.id': 2, 'process.roles': 'broker', 'controller.listener.names': 'CONTROLLER', 'controller.quorum.voters': `1@node:${PORT + 1}` } }),
    logger: { info() {}, warn() {}, error() {} }, onFailure: (error) => void world.failures.push(error),
    peerOf: () => peer as unknown as Peer,
    onOpened: (opened) => void (quorum = opened),
  });
  opening.catch(() => {});
  await world.until(() => asked >= QUESTIONS, { limitMs: 2 * QUESTIONS * STANDSTILL_MS });
  expect(world.failures).toEqual([]);
  void quorum!.close();
});
