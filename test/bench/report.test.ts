/** Medians, ratios, and whether a goal is reached, on made-up measurements. */
import { expect, test } from 'vitest';
import { type Report, type Row, median, medianOf, pageCacheLine, reached, table } from '../../bench/report.ts';
import type { Measurement, Scenario } from '../../bench/scenario.ts';

const measurement = (recordsPerSecond: number, cpuSecondsPerGb: number, more: Partial<Measurement> = {}): Measurement => ({
  recordsPerSecond,
  bytesPerSecond: recordsPerSecond * 100,
  p50Ms: 1,
  p99Ms: 2,
  peakRssBytes: 50e6,
  cpuSecondsPerGb,
  cpuSecondsPer100kRequests: null,
  foreignCpuShare: 0,
  pageCacheCpuSecondsPerGb: null,
  ...more,
});
const scenario: Scenario = { name: 'produce', load: 'produce', partitions: 1, recordBytes: 100, records: 1000, goal: { throughputMin: 1, cpuMax: 0.6 } };
const row = (ours: Measurement[], theirs: Measurement[], of: Scenario = scenario): Row => ({
  scenario: of,
  driver: 'librdkafka',
  rounds: { ottla: ours, reference: theirs },
});

test('median of odd, even and no numbers', () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([7])]).toEqual([2, 2.5, 7]);
  expect(median([])).toBeNaN();
});

test('a metric that no round measured has no median', () => {
  expect(medianOf([measurement(1, 1, { p50Ms: null })], 'p50Ms')).toBeNull();
  expect(medianOf([], 'recordsPerSecond')).toBeNull();
});

test('one slow round of three does not decide', () => {
  const verdict = reached(
    row([measurement(300, 2), measurement(10, 9), measurement(310, 2)], [measurement(150, 6), measurement(145, 6.5), measurement(148, 7)]),
  );
  expect(verdict).toMatchObject({ ok: true });
  expect(verdict!.throughput).toBeCloseTo(300 / 148);
  expect(verdict!.cpu).toBeCloseTo(2 / 6.5);
});

test.each([
  ['too slow', measurement(140, 2), false],
  ['too much CPU', measurement(300, 4.3), false],
  ['just enough', measurement(150, 3.6), true],
])('%s', (_, ours, ok) => {
  expect(reached(row([ours], [measurement(150, 6)]))!.ok).toBe(ok);
});

test('one-record requests are judged by CPU per request', () => {
  const oneRecord: Scenario = { ...scenario, load: 'one-record', goal: { throughputMin: 1, cpuMax: 0.5 } };
  const of = (perGb: number, per100k: number) => measurement(100, perGb, { cpuSecondsPer100kRequests: per100k });
  expect(reached(row([of(9, 1)], [of(1, 2)], oneRecord))!.ok).toBe(true);
  expect(reached(row([of(1, 2)], [of(9, 2)], oneRecord))!.ok).toBe(false);
});

test('without the other broker, or without a goal, there is no verdict', () => {
  expect(reached(row([measurement(1, 1)], []))).toBeNull();
  const { goal: _, ...goalless } = scenario;
  expect(reached(row([measurement(1, 1)], [measurement(1, 1)], goalless))).toBeNull();
});

test('what fresh pages cost, by kind, of the rows that write', () => {
  const writes = (...costs: number[]) => costs.map((pageCacheCpuSecondsPerGb) => measurement(1, 1, { pageCacheCpuSecondsPerGb }));
  expect(pageCacheLine([row(writes(0.2, 1.8, 1.6), writes(0.21)), row([measurement(1, 1)], [measurement(1, 1)])])).toMatch(/: 1\.60 \(0\.20 to 1\.80\) \/ 0\.21 \(0\.21 to 0\.21\)$/);
  expect(pageCacheLine([])).toMatch(/: - \/ -$/);
});

test('the table', () => {
  const report: Report = {
    machine: '2 x something',
    date: '2026-01-01T00:00:00Z',
    settings: ['some settings'],
    versions: { ottla: 'ottla 1', reference: 'Kafka 4' },
    idle: { ottla: { readyMs: [100, 120], idleRssBytes: [80e6] }, reference: { readyMs: [2200], idleRssBytes: [320e6] } },
    rows: [row([measurement(1_234_567, 2)], [measurement(1_000_000, 6)]), row([measurement(5, 1, { foreignCpuShare: 0.3 })], [measurement(10, 1)])],
  };
  expect(table(report).split('\n')).toEqual([
    'Each cell: ottla / Kafka 4 (ratio), medians.',
    '',
    '| load | client | MB/s | records/s | p50 ms | p99 ms | peak MB | CPU s/GB | CPU s/100,000 requests | goal |',
    '|---|---|--:|--:|--:|--:|--:|--:|--:|--:|',
    '| produce | librdkafka | 123 / 100 (1.23) | 1,234,567 / 1,000,000 (1.23) | 1 / 1 (1.00) | 2 / 2 (1.00) | 50 / 50 (1.00) | 2 / 6 (0.33) | - | >= 1, CPU <= 0.6: reached |',
    '| produce (noisy) | librdkafka | 0.0005 / 0.001 (0.50) | 5 / 10 (0.50) | 1 / 1 (1.00) | 2 / 2 (1.00) | 50 / 50 (1.00) | 1 / 1 (1.00) | - | >= 1, CPU <= 0.6: missed |',
    '',
    'ready after start, ms: 110 / 2,200 (0.05)',
    'idle memory, MB: 80 / 320 (0.25)',
    '',
    'machine: 2 x something',
    'brokers: ottla 1; Kafka 4',
    'some settings',
    'CPU used by other processes while measuring: at most 30 % of the machine: do not quote the rows marked noisy',
  ]);
});
