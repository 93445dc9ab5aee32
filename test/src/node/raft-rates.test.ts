/** Where a node stands in the quorum, step by step, and the rates that follow. */
import { expect, it } from 'vitest';
import { Metrics } from '../../../src/metrics/metrics.ts';
import { RaftRates } from '../../../src/node/raft-rates.ts';
import type { RaftStanding } from '../../../src/node/raft-rates.ts';

function play(...steps: readonly (readonly [atMs: number, Partial<RaftStanding>])[]): RaftRates {
  const rates = new RaftRates();
  let standing: RaftStanding = { role: 'unattached', leaderId: -1, epoch: 0, highWatermark: -1, logEndOffset: 0 };
  rates.step(standing, 0);
  for (const [atMs, change] of steps) rates.step((standing = { ...standing, ...change }), atMs);
  return rates;
}

it('a leader counts what it appends, and the time until it is committed', () => {
  const rates = play(
    [100, { role: 'leader', leaderId: 1, epoch: 1 }], [200, { logEndOffset: 10 }], [220, { logEndOffset: 12 }], [230, { highWatermark: 11 }], [300, { highWatermark: 12 }],
  );
  expect(rates.appended.rate(300)).toBe(12);
  expect(rates.fetched.rate(300)).toBe(0);
  expect([rates.commitMs.mean(300), rates.commitMs.max(300)]).toEqual([55, 80]);
});

it('a follower counts what it copies; what is cut counts for nothing', () => {
  const rates = play([100, { role: 'follower', leaderId: 2, epoch: 1 }], [200, { logEndOffset: 10 }], [300, { logEndOffset: 4 }], [400, { logEndOffset: 6, highWatermark: 6 }]);
  expect([rates.appended.rate(400), rates.fetched.rate(400)]).toEqual([0, 12]);
  expect(rates.commitMs.mean(400)).toBeNaN();
});

it('what a leader had not committed when it lost its epoch is not measured', () => {
  const rates = play([0, { role: 'leader', leaderId: 1, epoch: 1 }], [10, { logEndOffset: 5 }], [20, { role: 'follower', leaderId: 2, epoch: 2 }], [900, { highWatermark: 5 }]);
  expect(rates.commitMs.mean(900)).toBeNaN();
});

it('an election lasts from standing for it to whoever wins', () => {
  const rates = play(
    [1000, { role: 'prospective', epoch: 1 }], [1200, { role: 'candidate', epoch: 2 }], [1500, { role: 'unattached', epoch: 3 }], [1700, { role: 'follower', leaderId: 3 }],
    [2000, { role: 'candidate', leaderId: -1, epoch: 4 }], [2100, { role: 'leader', leaderId: 1 }],
  );
  expect([rates.electionMs.mean(2100), rates.electionMs.max(2100)]).toEqual([400, 700]);
});

it('has the names of Kafka\'s raft metrics', () => {
  const metrics = new Metrics();
  play([100, { role: 'leader', leaderId: 1, epoch: 1 }], [200, { logEndOffset: 10, highWatermark: 10 }]).register(metrics, 'kafka_server_raft_metrics', () => 200);
  const told = metrics.text(0).split('\n').filter((line) => line.startsWith('kafka_server'));
  expect(told).toEqual([
    'kafka_server_raft_metrics_append_records_rate 10', 'kafka_server_raft_metrics_fetch_records_rate 0', 'kafka_server_raft_metrics_commit_latency_avg 0',
    'kafka_server_raft_metrics_commit_latency_max 0',
  ]);
});
