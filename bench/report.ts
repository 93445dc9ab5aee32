/** What a benchmark found: medians over rounds, ratios of ottla to the reference, one table. Promises: every round's numbers are kept beside the medians. */
import type { BrokerKind } from './broker-process.ts';
import type { Measurement, Scenario } from './scenario.ts';

/** Above this the numbers are of the neighbours as much as of the brokers. */
const FOREIGN_CPU_SHARE_MAX = 0.1;

export interface Row {
  readonly scenario: Scenario;
  readonly driver: string;
  /** One measurement per round, by kind of broker. */
  readonly rounds: { readonly ottla: Measurement[]; readonly reference: Measurement[] };
}

/** Start and idle memory of each round. */
export interface Idle {
  readonly readyMs: number[];
  readonly idleRssBytes: number[];
}

export interface Report {
  readonly machine: string;
  readonly date: string;
  readonly settings: readonly string[];
  readonly versions: { readonly ottla?: string; readonly reference?: string };
  readonly idle: { readonly ottla: Idle; readonly reference: Idle };
  readonly rows: readonly Row[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length === 0 ? NaN : sorted.length % 2 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

type Metric = 'recordsPerSecond' | 'bytesPerSecond' | 'p50Ms' | 'p99Ms' | 'peakRssBytes' | 'cpuSecondsPerGb' | 'cpuSecondsPer100kRequests';

/** The median of the rounds in which the metric was measured; null when in none. */
export function medianOf(measurements: readonly Measurement[], metric: Metric): number | null {
  const values = measurements.map((each) => each[metric]).filter((value) => value !== null);
  return values.length === 0 ? null : median(values);
}

/** What the row's goal says of its medians; null when there is no goal or one side is missing. */
export function reached(row: Row): { throughput: number; cpu: number; ok: boolean } | null {
  const { goal } = row.scenario;
  const cpuMetric = row.scenario.load === 'one-record' ? 'cpuSecondsPer100kRequests' : 'cpuSecondsPerGb';
  const throughput = ratio(row, 'recordsPerSecond'),
    cpu = ratio(row, cpuMetric);
  return goal === undefined || throughput === null || cpu === null ? null : { throughput, cpu, ok: throughput >= goal.throughputMin && cpu <= (goal.cpuMax ?? Infinity) };
}

function ratio(row: Row, metric: Metric): number | null {
  const ours = medianOf(row.rounds.ottla, metric),
    theirs = medianOf(row.rounds.reference, metric);
  return ours === null || theirs === null ? null : ours / theirs;
}

/** Three significant digits, thousands with commas. */
function figure(value: number | null): string {
  if (value === null || Number.isNaN(value)) return '-';
  const rounded = Number(value.toPrecision(3));
  return Math.abs(rounded) >= 1000 ? Math.round(value).toLocaleString('en-US') : String(rounded);
}

/** `ottla / reference (ratio)` */
function cell(ours: number | null, theirs: number | null): string {
  if (ours === null && theirs === null) return '-';
  const times = ours !== null && theirs !== null && theirs > 0 ? ` (${(ours / theirs).toFixed(2)})` : '';
  return `${figure(ours)} / ${figure(theirs)}${times}`;
}

/** One measurement in a line, for whoever watches. */
export function describeMeasurement(result: Measurement): string {
  const ms = (value: number | null) => (value === null ? '-' : value.toFixed(1));
  return [
    `${(result.bytesPerSecond / 1e6).toFixed(1)} MB/s`,
    `${Math.round(result.recordsPerSecond)} records/s`,
    `p50 ${ms(result.p50Ms)} p99 ${ms(result.p99Ms)} ms`,
    `peak ${(result.peakRssBytes / 1e6).toFixed(0)} MB`,
    `CPU ${result.cpuSecondsPerGb.toFixed(2)} s/GB`,
    ...(result.cpuSecondsPer100kRequests === null ? [] : [`${result.cpuSecondsPer100kRequests.toFixed(2)} s/100,000`]),
    ...(result.pageCacheCpuSecondsPerGb === null ? [] : [`fresh pages ${result.pageCacheCpuSecondsPerGb.toFixed(2)} s/GB`]),
    `others ${(result.foreignCpuShare * 100).toFixed(0)} %`,
  ].join(', ');
}

/** How dear fresh pages were before the rows that write, for each kind: where the two differ, so do those rows, whatever the brokers do. */
export function pageCacheLine(rows: readonly Row[]): string {
  const of = (kind: BrokerKind) => {
    const values = rows.flatMap((row) => row.rounds[kind]).map((each) => each.pageCacheCpuSecondsPerGb).filter((value) => value !== null);
    return values.length === 0 ? '-' : `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;
  };
  return `fresh pages of the page cache, CPU s/GB, charged to whoever writes: ${of('ottla')} / ${of('reference')}`;
}

export function table(report: Report): string {
  const lines: string[] = [];
  const over = (row: Row, metric: Metric, unit: number) => {
    const [ours, theirs] = [medianOf(row.rounds.ottla, metric), medianOf(row.rounds.reference, metric)];
    return cell(ours === null ? null : ours / unit, theirs === null ? null : theirs / unit);
  };
  const header = ['load', 'client', 'MB/s', 'records/s', 'p50 ms', 'p99 ms', 'peak MB', 'CPU s/GB', 'CPU s/100,000 requests', 'goal'];
  lines.push(`Each cell: ottla / ${report.versions.reference ?? 'reference'} (ratio), medians.`, '');
  lines.push(`| ${header.join(' | ')} |`, `|${header.map((_, i) => (i < 2 ? '---' : '--:')).join('|')}|`);
  for (const row of report.rows) {
    const { goal } = row.scenario;
    const verdict = reached(row);
    lines.push(
      `| ${[
        foreignShare([row]) > FOREIGN_CPU_SHARE_MAX ? `${row.scenario.name} (noisy)` : row.scenario.name,
        row.driver,
        over(row, 'bytesPerSecond', 1e6),
        over(row, 'recordsPerSecond', 1),
        over(row, 'p50Ms', 1),
        over(row, 'p99Ms', 1),
        over(row, 'peakRssBytes', 1e6),
        over(row, 'cpuSecondsPerGb', 1),
        over(row, 'cpuSecondsPer100kRequests', 1),
        goal ? `>= ${goal.throughputMin}${goal.cpuMax === undefined ? '' : `, CPU <= ${goal.cpuMax}`}${verdict === null ? '' : verdict.ok ? ': reached' : ': missed'}` : '',
      ].join(' | ')} |`,
    );
  }
  const { ottla, reference } = report.idle;
  lines.push('', `ready after start, ms: ${cell(medianOrNull(ottla.readyMs), medianOrNull(reference.readyMs))}`);
  lines.push(`idle memory, MB: ${cell(million(medianOrNull(ottla.idleRssBytes)), million(medianOrNull(reference.idleRssBytes)))}`, '');
  lines.push(`machine: ${report.machine}`, `brokers: ${report.versions.ottla ?? '-'}; ${report.versions.reference ?? '-'}`, ...report.settings);
  const foreign = foreignShare(report.rows);
  const warning = foreign > FOREIGN_CPU_SHARE_MAX ? ': do not quote the rows marked noisy' : '';
  lines.push(`CPU used by other processes while measuring: at most ${(foreign * 100).toFixed(0)} % of the machine${warning}`);
  return lines.join('\n');
}

/** The largest share of the machine that others took while any of the rows was measured. */
function foreignShare(rows: readonly Row[]): number {
  return Math.max(0, ...rows.flatMap(({ rounds }) => [...rounds.ottla, ...rounds.reference]).map((each) => each.foreignCpuShare));
}

function medianOrNull(values: readonly number[]): number | null {
  return values.length === 0 ? null : median(values);
}

function million(value: number | null): number | null {
  return value === null ? null : value / 1e6;
}
