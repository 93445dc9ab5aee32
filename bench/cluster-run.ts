/** `npm run bench -- --cluster`: the rounds of bench/cluster.ts, and their table. Promises: what one kind measured, the other measured in the same round, on the same machine. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { BrokerKind } from './broker-process.ts';
import { CLUSTER_NODES, LATENCY_ROWS, clusterScenarios, describeFailovers, failovers, placed, startCluster } from './cluster.ts';
import type { Driver } from './driver.ts';
import { type Idle, type Report, type Row, describeMeasurement, medianOf, pageCacheLine, reached, table } from './report.ts';
import { Bench, type Scenario, scaled, settleDisk } from './scenario.ts';

const IDLE_MS = 3_000;
const FAILOVERS_PER_ROUND = 3;

export interface ClusterRunOptions {
  readonly kinds: readonly BrokerKind[];
  readonly drivers: readonly Driver[];
  readonly versions: readonly string[];
  readonly rounds: number;
  /** Divides the records. */
  readonly divisor: number;
  readonly only: RegExp;
  readonly dir: string;
  /** `ottla --nodes 3` in place of three processes; its failover is measured with processes all the same. */
  readonly asThreads: boolean;
  readonly json: string | undefined;
  readonly say: (text: string) => void;
}

interface Found {
  readonly idle: { ottla: Idle; reference: Idle };
  readonly failovers: Record<BrokerKind, number[]>;
  readonly versions: { ottla?: string; reference?: string };
  readonly rows: Row[];
  failed: boolean;
}

export async function runClusterBench(options: ClusterRunOptions): Promise<number> {
  const { kinds, rounds, say } = options;
  const dir = mkdtempSync(join(options.dir, 'ottla-bench-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  const found: Found = {
    idle: { ottla: { readyMs: [], idleRssBytes: [] }, reference: { readyMs: [], idleRssBytes: [] } },
    failovers: { ottla: [], reference: [] }, versions: {}, rows: [], failed: false,
  };
  const sizes = options.divisor === 1 ? [...clusterScenarios] : scaled(clusterScenarios, options.divisor);
  const loadBefore = loadavg()[0]!;
  for (let done = 0; done < rounds; done++)
    for (const kind of done % 2 ? [...kinds].reverse() : kinds) await round(kind, dir, sizes, options, found);
  const report: Report = {
    machine: `${cpus().length} x ${cpus()[0]!.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, load average ${loadBefore.toFixed(2)} before`,
    date: new Date().toISOString(),
    settings: [
      `clients: ${options.versions.join('; ')}; acks=all, no compression, clients and all nodes on the same machine over loopback`,
      `${rounds} rounds; records: ${sizes.map(({ name, records }) => `${name} ${records.toLocaleString('en-US')}`).join('; ')}`,
      `each round: ${CLUSTER_NODES} fresh nodes, each broker and controller, min.insync.replicas 2, defaults beside (the reference: -Xmx1g each), warmed with a tenth of each load`,
      'memory, CPU and time to be ready are of all nodes together',
      pageCacheLine(found.rows),
    ],
    versions: found.versions,
    idle: found.idle,
    rows: found.rows,
  };
  process.stdout.write(`${table(report)}\n${addedLatency(found.rows)}\n${describeFailovers('failover with default timeouts', found.failovers.ottla, found.failovers.reference)}\n`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ ...report, failoversMs: found.failovers }, null, 1)}\n`);
  say(found.failed ? 'some rows failed' : 'all rows measured');
  return found.failed || found.rows.some((row) => reached(row)?.ok === false) ? 1 : 0;
}

async function round(kind: BrokerKind, dir: string, sizes: readonly Scenario[], { drivers, only, asThreads, say }: ClusterRunOptions, found: Found): Promise<void> {
  const threads = asThreads && kind === 'ottla';
  const cluster = await startCluster({ kind, dir, asThreads: threads });
  try {
    found.versions[kind] = cluster.version;
    found.idle[kind].readyMs.push(cluster.readyMs);
    await new Promise((done) => setTimeout(done, IDLE_MS));
    found.idle[kind].idleRssBytes.push(cluster.measured.usage().rssBytes);
    let previous: Bench | undefined;
    for (const driver of drivers) {
      const bench = new Bench({ broker: cluster.measured, driver, cores: cpus().length, settle: (writes) => settleDisk(dir, writes), place: placed, ...(previous && { previous }) });
      if (!previous) for (const scenario of scaled(sizes.filter((each) => each.recordsPerSecond === undefined), 10)) await bench.run(scenario);
      previous = bench;
      for (const scenario of sizes.filter((each) => only.test(`${driver.name} ${each.name}`))) {
        let row = found.rows.find((each) => each.scenario === scenario && each.driver === driver.name);
        if (!row) found.rows.push((row = { scenario, driver: driver.name, rounds: { ottla: [], reference: [] } }));
        try {
          const result = await bench.run(scenario);
          row.rounds[kind].push(result);
          say(`${kind}: ${driver.name} ${scenario.name}: ${describeMeasurement(result)}`);
        } catch (error) {
          found.failed = true;
          say(`${kind}: ${driver.name} ${scenario.name}: FAILED: ${(error as Error).message}\n${cluster.tail()}`);
        }
      }
    }
  } finally {
    await cluster.stop();
  }
  if (!only.test('failover')) return;
  // A cluster of its own, which no other row has to bear.
  const killed = await startCluster({ kind, dir });
  try {
    const took = await failovers(killed.processes!, FAILOVERS_PER_ROUND);
    found.failovers[kind].push(...took);
    say(`${kind}: failover: ${took.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  } catch (error) {
    found.failed = true;
    say(`${kind}: failover: FAILED: ${(error as Error).message}`);
  } finally {
    await killed.stop();
  }
}

/** Exported for its test. */
export function addedLatency(rows: readonly Row[]): string {
  const drivers = [...new Set(rows.map(({ driver }) => driver))];
  const lines = drivers.flatMap((driver) => {
    const [one, three] = LATENCY_ROWS.map((name) => rows.find((row) => row.driver === driver && row.scenario.name === name));
    const added = (kind: BrokerKind, metric: 'p50Ms' | 'p99Ms') => {
      const [alone, replicated] = [one, three].map((row) => (row === undefined ? null : medianOf(row.rounds[kind], metric)));
      return alone == null || replicated == null ? '-' : (replicated - alone).toFixed(2);
    };
    if (one === undefined || three === undefined) return [];
    return [`added by replication (${driver}), ms: p50 ${added('ottla', 'p50Ms')} / ${added('reference', 'p50Ms')}, p99 ${added('ottla', 'p99Ms')} / ${added('reference', 'p99Ms')}`];
  });
  return lines.length === 0 ? 'added by replication: not measured' : lines.join('\n');
}

