/** Every row of `npm run bench -- --cluster`, small, against three processes of ottla, by the driver that needs no toolchain; a failover, and the lines that tell of them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addedLatency } from '../../bench/cluster-run.ts';
import { LATENCY_ROWS, type RunningCluster, clusterScenarios, describeFailovers, failovers, placed, startCluster } from '../../bench/cluster.ts';
import { ClusterProcesses, combinedNodes } from '../../bench/cluster-process.ts';
import { NodeDriver } from '../../bench/node.ts';
import type { Row } from '../../bench/report.ts';
import { Bench, type Measurement, scaled } from '../../bench/scenario.ts';
import { quickFailover } from '../cluster/settings.ts';

/** /proc is where the benchmark reads CPU and memory, and only Linux has it. */
describe.skipIf(platform() !== 'linux')('three nodes', () => {
  let dir: string, cluster: RunningCluster, bench: Bench;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ottla-bench-cluster-'));
    cluster = await startCluster({ kind: 'ottla', dir, settings: quickFailover({ sessionMs: 1_000 }) });
    // The driver speaks to one node, so that node leads.
    const [first] = cluster.measured.bootstrapServers.split(',');
    const place = (_: number, replicas: number) => placed(0, replicas);
    bench = new Bench({ broker: { ...cluster.measured, bootstrapServers: first! }, driver: new NodeDriver(), cores: 2, settle: () => null, place });
  });
  afterAll(async () => {
    await cluster?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  test.each(scaled(clusterScenarios, 600))('$name', async (scenario) => {
    const result = await bench.run(scenario);
    expect(result.recordsPerSecond).toBeGreaterThan(0);
    expect(result.p50Ms).toBeLessThanOrEqual(result.p99Ms!);
    // Three processes of Node.
    expect(result.peakRssBytes).toBeGreaterThan(3 * 20e6);
  });

  test('failover', async () => {
    const [tookMs] = await failovers(cluster.processes!, 1);
    // A session must end first; at once would mean that the leader was not killed.
    expect(tookMs).toBeGreaterThan(100);
  });
});

test('leaders lie on all nodes in turn', () => {
  expect([0, 1, 2, 3].map((partition) => placed(partition, 3))).toEqual([[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]]);
});

test('what replication adds is the difference of two rows', () => {
  const at = (name: string, ours: number, theirs: number): Row => {
    const measurement = (p50Ms: number): Measurement => ({
      recordsPerSecond: 1, bytesPerSecond: 1, p50Ms, p99Ms: p50Ms * 2, peakRssBytes: 1, cpuSecondsPerGb: 1, cpuSecondsPer100kRequests: 1, foreignCpuShare: 0, pageCacheCpuSecondsPerGb: null,
    });
    return { scenario: clusterScenarios.find((each) => each.name === name)!, driver: 'd', rounds: { ottla: [measurement(ours)], reference: [measurement(theirs)] } };
  };
  expect(addedLatency([at(LATENCY_ROWS[0], 1, 2), at(LATENCY_ROWS[1], 1.5, 5)])).toBe('added by replication (d), ms: p50 0.50 / 3.00, p99 1.00 / 6.00');
  expect(addedLatency([])).toBe('added by replication: not measured');
  expect(describeFailovers('failover', [3, 1, 2], [])).toContain('2 (3, 1, 2) / -');
});

test('of a cluster that is closed no node starts, whoever still asks', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'ottla-closed-cluster-'));
  try {
    const cluster = await ClusterProcesses.prepare({ nodes: combinedNodes('ottla', 1), dir });
    cluster.close();
    expect(() => cluster.node(1).spawn()).toThrow('node 1 is not started any more: its cluster is closed');
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
