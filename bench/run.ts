/**
 * `npm run bench`: ottla and Apache Kafka in turn on this machine, under the same loads, in one table of medians and ratios.
 *
 *   --rounds N (3)   --only REGEX on "client load"   --quick: a twentieth of the records, one round   --json FILE
 *   --cluster: three nodes of each in turn, the rows of bench/cluster.ts   --threads: there, ottla --nodes 3 in place of three processes
 *   --brokers ottla,reference   --drivers librdkafka,Java (and node)   --dir DIR for the brokers' data   --time-limit-s N (2400): no new round after that
 *
 * Promises: both brokers run with the settings of one node and their defaults beside; a fresh broker each round, warmed before the first row; no process
 * is left behind. What cannot run (no Java, no compiler) is said and left out. Exit status 1 when a row failed or a goal was measured and missed.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BrokerKind, type BrokerProcess, logTail, startBrokerProcess } from './broker-process.ts';
import { runClusterBench } from './cluster-run.ts';
import type { Driver } from './driver.ts';
import { Java } from './java.ts';
import { Librdkafka } from './librdkafka.ts';
import { NodeDriver } from './node.ts';
import { restartPeak, usage } from './process-usage.ts';
import { type Idle, type Report, type Row, describeMeasurement, pageCacheLine, reached, table } from './report.ts';
import { Bench, type MeasuredBroker, type Scenario, scaled, scenarios, settleDisk } from './scenario.ts';

const IDLE_MS = 3_000;
const STARTS_PER_ROUND = 3;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    only: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    cluster: { type: 'boolean', default: false },
    threads: { type: 'boolean', default: false },
    json: { type: 'string' },
    brokers: { type: 'string', default: 'ottla,reference' },
    drivers: { type: 'string', default: 'librdkafka,Java' },
    dir: { type: 'string', default: tmpdir() },
    'time-limit-s': { type: 'string', default: '2400' },
  },
});

let failed = false;
const say = (text: string) => process.stderr.write(`${text}\n`);

async function prepared(): Promise<{ drivers: Driver[]; versions: string[] }> {
  const drivers: Driver[] = [],
    versions: string[] = [];
  for (const driver of [new Librdkafka(), new Java(), new NodeDriver()] as Driver[]) {
    if (!values.drivers.split(',').includes(driver.name)) continue;
    try {
      versions.push(await driver.prepare());
      drivers.push(driver);
    } catch (error) {
      say(`left out: ${driver.name}: ${(error as Error).message}`);
    }
  }
  return { drivers, versions };
}

function measured(broker: BrokerProcess): MeasuredBroker {
  return { bootstrapServers: broker.bootstrapServers, usage: () => usage(broker.pid), restartPeak: () => restartPeak(broker.pid) };
}

/** Not accounted: gives both brokers' compilers the code of every row, and the clients' files a place in the page cache. */
async function warm(bench: Bench): Promise<void> {
  const unpaced = scenarios.filter((each) => each.recordsPerSecond === undefined);
  for (const scenario of scaled(unpaced, 10)) await bench.run(scenario);
}

interface RoundOptions {
  readonly kind: BrokerKind;
  readonly dir: string;
  readonly drivers: readonly Driver[];
  readonly sizes: readonly Scenario[];
  readonly wanted: (scenario: Scenario, driver: Driver) => boolean;
  /** Both are added to. */
  readonly rows: Row[];
  readonly idle: Idle;
}

/** One broker's round. Resolves with its version; a row that fails is said and left out, the others go on. */
async function round({ kind, dir, drivers, sizes, wanted, rows, idle }: RoundOptions): Promise<string> {
  for (let start = 0; start < STARTS_PER_ROUND; start++) {
    const fresh = mkdtempSync(join(dir, `${kind}-start-`));
    const broker = await startBrokerProcess({ kind, dir: fresh });
    idle.readyMs.push(broker.readyMs);
    await broker.stop();
    rmSync(fresh, { recursive: true });
  }
  const home = mkdtempSync(join(dir, `${kind}-`));
  const broker = await startBrokerProcess({ kind, dir: home });
  try {
    await new Promise((done) => setTimeout(done, IDLE_MS));
    idle.idleRssBytes.push(usage(broker.pid).rssBytes);
    let previous: Bench | undefined;
    for (const driver of drivers) {
      const bench = new Bench({ broker: measured(broker), driver, cores: cpus().length, settle: (writes) => settleDisk(home, writes), ...(previous && { previous }) });
      if (!previous) await warm(bench);
      previous = bench;
      for (const scenario of sizes.filter((each) => wanted(each, driver))) {
        let row = rows.find((each) => each.scenario === scenario && each.driver === driver.name);
        if (!row) {
          row = { scenario, driver: driver.name, rounds: { ottla: [], reference: [] } };
          rows.push(row);
        }
        const label = `${kind}: ${driver.name} ${scenario.name}`;
        try {
          const result = await bench.run(scenario);
          row.rounds[kind].push(result);
          say(`${label}: ${describeMeasurement(result)}`);
        } catch (error) {
          failed = true;
          say(`${label}: FAILED: ${(error as Error).message}\n${logTail(broker.logFile, 5)}`);
        }
      }
    }
    return broker.version;
  } finally {
    await broker.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

async function main(): Promise<number> {
  const { drivers, versions } = await prepared();
  const only = new RegExp(values.only);
  const wanted = (scenario: Scenario, driver: Driver) =>
    only.test(`${driver.name} ${scenario.name}`) && (scenario.drivers ?? [driver.name]).includes(driver.name);
  const sizes = values.quick ? scaled(scenarios, 20) : [...scenarios];
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  const kinds = values.brokers.split(',') as BrokerKind[];
  if (values.cluster) {
    process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143));
    return runClusterBench({ kinds, drivers, versions, rounds, divisor: values.quick ? 20 : 1, only, dir: values.dir, asThreads: values.threads, json: values.json, say });
  }
  const deadlineMs = performance.now() + Number(values['time-limit-s']) * 1000;
  const dir = mkdtempSync(join(values.dir, 'ottla-bench-'));
  process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143)); // 'exit' ends the brokers and the drivers
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  const rows: Row[] = [];
  const idle = { ottla: { readyMs: [], idleRssBytes: [] }, reference: { readyMs: [], idleRssBytes: [] } } satisfies Report['idle'];
  const found: { ottla?: string; reference?: string } = {};
  const loadBefore = loadavg()[0]!;
  let done = 0;
  for (; done < rounds && performance.now() < deadlineMs; done++) {
    // Alternately first, so that a machine that slows down or warms up favours neither.
    for (const kind of done % 2 ? [...kinds].reverse() : kinds) found[kind] = await round({ kind, dir, drivers, sizes, wanted, rows, idle: idle[kind] });
  }
  if (done < rounds) say(`stopped after ${done} of ${rounds} rounds: the time limit has passed`);
  const report: Report = {
    machine: `${cpus().length} x ${cpus()[0]!.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, load average ${loadBefore.toFixed(2)} before`,
    date: new Date().toISOString(),
    settings: [
      `clients: ${versions.join('; ')}; acks=all, no compression, clients and broker on the same machine over loopback`,
      `${done} rounds; records: ${sizes.map(({ name, records }) => `${name} ${records.toLocaleString('en-US')}`).join('; ')}`,
      'each round: a fresh broker of one node, replication factor 1, defaults beside (the reference: -Xmx1g), warmed with a tenth of each load',
      'the disk is synced before each row; memory is the highest of that row',
      pageCacheLine(rows),
    ],
    versions: found,
    idle,
    rows,
  };
  process.stdout.write(`${table(report)}\n`);
  if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 1)}\n`);
  return failed || rows.some((row) => reached(row)?.ok === false) ? 1 : 0;
}

process.exitCode = await main();
