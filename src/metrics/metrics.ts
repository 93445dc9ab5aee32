/**
 * What a node counts, and how it is told: Prometheus text under the names that the JMX exporter's example rules make of Kafka's MBeans.
 *
 *     kafka.server:type=ReplicaManager,name=IsrShrinksPerSec  Count  ->  kafka_server_replicamanager_isrshrinks_total
 *     kafka.network:type=RequestMetrics,name=TotalTimeMs,request=Fetch  99thPercentile  ->  kafka_network_requestmetrics_totaltimems{request="Fetch",quantile="0.99"}
 *
 * Promises: counting allocates nothing and asks no clock; a gauge is read when somebody looks; a family shows `seriesMax` series at most and says how many it left
 * out. Does not know what is counted: whoever counts asks for a name.
 */
import { Timer } from './timer.ts';
import type { TimerSnapshot } from './timer.ts';

export type Labels = Readonly<Record<string, string>>;

export type MetricType = 'counter' | 'gauge' | 'summary';

/** Goes up only. */
export class Counter {
  value = 0;

  add(by = 1): void {
    this.value += by;
  }
}

/** Tells one series of a family that is made anew at each look. Labels that are told again and again may be given as the text that `labelText` made of them. */
export type Tell = (labels: Labels | string, value: number) => void;

interface Family {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** By the text of their labels. */
  readonly series: Map<string, Counter | Timer | (() => number)>;
  readonly collectors: ((tell: Tell) => void)[];
  dropped: number;
}

export interface MetricsOptions {
  /** More series than that of one family are not told: a scrape stays bounded however many topics there are. */
  readonly seriesMax?: number;
}

const SERIES_MAX = 10_000;
const NAME = /^[a-z_][a-z0-9_]*$/;
/** Those that Kafka's histograms give by JMX. */
const QUANTILES: readonly (readonly [text: string, at: number])[] = [
  ['0.50', 0.5], ['0.75', 0.75], ['0.95', 0.95], ['0.98', 0.98], ['0.99', 0.99], ['0.999', 0.999],
];

export class Metrics {
  readonly #families = new Map<string, Family>();
  readonly #seriesMax: number;

  constructor({ seriesMax = SERIES_MAX }: MetricsOptions = {}) {
    this.#seriesMax = seriesMax;
  }

  /** The counter of this name and these labels, the same one each time. Beyond the limit of its family one that counts unseen. */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    return this.#own(name, 'counter', help, labels, () => new Counter()) as Counter;
  }

  /** As `counter`; what it shows are quantiles of about the last minute, the count and the sum of all. */
  timer(name: string, help: string, labels: Labels = {}): Timer {
    return this.#own(name, 'summary', help, labels, () => new Timer()) as Timer;
  }

  /** Read at each look; NaN is left out. The last one given under the same name and labels counts. */
  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    const family = this.#family(name, 'gauge', help);
    family.series.set(labelText(labels), read);
  }

  /** A family whose series are listed at each look: one a topic, a partition, a peer. */
  collect(name: string, type: 'counter' | 'gauge', help: string, collector: (tell: Tell) => void): void {
    this.#family(name, type, help).collectors.push(collector);
  }

  /** A series goes when its topic goes. */
  remove(name: string, labels: Labels): void {
    this.#families.get(name)?.series.delete(labelText(labels));
  }

  /** Prometheus' text format, version 0.0.4. `nowMs` is monotonic: it says which window the quantiles are of. */
  text(nowMs: number): string {
    return [...this.parts(nowMs)].join('');
  }

  /** The same in pieces, a family each, for whoever must not hold up others for the time of all. A family that is made meanwhile may be told or not. */
  *parts(nowMs: number): Generator<string> {
    let dropped = 0;
    for (const family of this.#families.values()) {
      const lines: string[] = [];
      dropped += family.dropped + this.#tellFamily(family, nowMs, lines);
      if (lines.length > 0) yield `# HELP ${family.name} ${escapeHelp(family.help)}\n# TYPE ${family.name} ${family.type}\n${lines.join('\n')}\n`;
    }
    yield `# HELP ottla_metrics_series_dropped Series that are not told because their family has too many.\n# TYPE ottla_metrics_series_dropped gauge\nottla_metrics_series_dropped ${dropped}\n`;
  }

  /** Returns how many series did not fit. */
  #tellFamily(family: Family, nowMs: number, lines: string[]): number {
    let left = this.#seriesMax;
    let dropped = 0;
    const tell = (labels: string, value: number): void => {
      if (Number.isNaN(value)) return;
      if (left === 0) dropped++;
      else {
        left--;
        lines.push(`${family.name}${labels === '' ? '' : `{${labels}}`} ${numberText(value)}`);
      }
    };
    for (const [labels, series] of family.series) {
      if (series instanceof Counter) tell(labels, series.value);
      else if (series instanceof Timer) tellSummary(family.name, labels, series.snapshot(nowMs), lines);
      else tell(labels, series());
    }
    for (const collector of family.collectors) collector((labels, value) => tell(typeof labels === 'string' ? labels : labelText(labels), value));
    return dropped;
  }

  #own(name: string, type: MetricType, help: string, labels: Labels, make: () => Counter | Timer): Counter | Timer | (() => number) {
    const family = this.#family(name, type, help);
    const key = labelText(labels);
    let series = family.series.get(key);
    if (series !== undefined) return series;
    series = make();
    if (family.series.size < this.#seriesMax) family.series.set(key, series);
    else family.dropped++;
    return series;
  }

  #family(name: string, type: MetricType, help: string): Family {
    let family = this.#families.get(name);
    if (family === undefined) {
      if (!NAME.test(name)) throw new RangeError(`${name} is no name of a metric`);
      family = { name, type, help, series: new Map(), collectors: [], dropped: 0 };
      this.#families.set(name, family);
    } else if (family.type !== type) throw new RangeError(`${name} is a ${family.type}, not a ${type}`);
    return family;
  }
}

function tellSummary(name: string, labels: string, { quantile, count, sumMs }: TimerSnapshot, lines: string[]): void {
  const comma = labels === '' ? '' : ',';
  for (const [text, at] of QUANTILES) lines.push(`${name}{${labels}${comma}quantile="${text}"} ${numberText(quantile(at))}`);
  const braces = labels === '' ? '' : `{${labels}}`;
  lines.push(`${name}_sum${braces} ${numberText(sumMs)}`, `${name}_count${braces} ${count}`);
}

/** `topic="orders",partition="0"` */
export function labelText(labels: Labels): string {
  let text = '';
  for (const name of Object.keys(labels)) text += `${text === '' ? '' : ','}${name}="${escapeLabel(labels[name]!)}"`;
  return text;
}

function escapeLabel(value: string): string {
  return /[\\"\n]/.test(value) ? value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n') : value;
}

function escapeHelp(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');
}

function numberText(value: number): string {
  if (Number.isInteger(value)) return String(value);
  if (Number.isFinite(value)) return String(Number(value.toPrecision(12)));
  return value === Infinity ? '+Inf' : '-Inf';
}
