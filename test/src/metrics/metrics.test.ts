/** Counting and telling: the text that Prometheus reads, its limits, and how true the quantiles are. */
import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../src/metrics/metrics.ts';
import { Timer, WINDOW_MS } from '../../../src/metrics/timer.ts';
import { Seeded } from '../../storage/seeded.ts';

const told = (metrics: Metrics, nowMs = 0) => metrics.text(nowMs).split('\n').filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('ottla_metrics'));

describe('the text', () => {
  it('tells counters, gauges and collected series with their labels', () => {
    const metrics = new Metrics();
    const counter = metrics.counter('kafka_server_brokertopicmetrics_messagesin_total', 'Records.', { topic: 'orders' });
    counter.add();
    counter.add(4);
    expect(metrics.counter('kafka_server_brokertopicmetrics_messagesin_total', 'Records.', { topic: 'orders' })).toBe(counter);
    let leaders = 3;
    metrics.gauge('kafka_server_replicamanager_leadercount', 'Leaders.', () => leaders);
    metrics.collect('kafka_log_log_size', 'gauge', 'Bytes.', (tell) => {
      for (const partition of [0, 1]) tell({ topic: 'a', partition: String(partition) }, partition * 1.5);
    });
    leaders = 4;
    expect(metrics.text(0)).toBe(
      [
        '# HELP kafka_server_brokertopicmetrics_messagesin_total Records.',
        '# TYPE kafka_server_brokertopicmetrics_messagesin_total counter',
        'kafka_server_brokertopicmetrics_messagesin_total{topic="orders"} 5',
        '# HELP kafka_server_replicamanager_leadercount Leaders.',
        '# TYPE kafka_server_replicamanager_leadercount gauge',
        'kafka_server_replicamanager_leadercount 4',
        '# HELP kafka_log_log_size Bytes.',
        '# TYPE kafka_log_log_size gauge',
        'kafka_log_log_size{topic="a",partition="0"} 0',
        'kafka_log_log_size{topic="a",partition="1"} 1.5',
        '# HELP ottla_metrics_series_dropped Series that are not told because their family has too many.',
        '# TYPE ottla_metrics_series_dropped gauge',
        'ottla_metrics_series_dropped 0',
        '',
      ].join('\n'),
    );
  });

  it('tells a timer as a summary, with the quantiles of Kafka\'s histograms', () => {
    const metrics = new Metrics();
    const timer = metrics.timer('kafka_network_requestmetrics_totaltimems', 'Time.', { request: 'Fetch' });
    for (let i = 0; i < 100; i++) timer.record(0.008);
    expect(told(metrics)).toEqual([
      ...['0.50', '0.75', '0.95', '0.98', '0.99', '0.999'].map((at) => `kafka_network_requestmetrics_totaltimems{request="Fetch",quantile="${at}"} 0.008`),
      'kafka_network_requestmetrics_totaltimems_sum{request="Fetch"} 0.8',
      'kafka_network_requestmetrics_totaltimems_count{request="Fetch"} 100',
    ]);
  });

  it('escapes what a label may not hold', () => {
    const metrics = new Metrics();
    metrics.counter('a_total', 'two\nlines \\', { name: 'a"b\\c\nd' });
    expect(metrics.text(0).split('\n').slice(0, 3)).toEqual(['# HELP a_total two\\nlines \\\\', '# TYPE a_total counter', 'a_total{name="a\\"b\\\\c\\nd"} 0']);
  });

  it('leaves out a gauge that has no value, and a family without series', () => {
    const metrics = new Metrics();
    metrics.gauge('nothing', 'None.', () => NaN);
    metrics.collect('empty', 'gauge', 'None.', () => undefined);
    expect(told(metrics)).toEqual([]);
    expect(metrics.text(0)).not.toContain('nothing');
  });

  it('holds a family to its limit and says what it left out', () => {
    const metrics = new Metrics({ seriesMax: 2 });
    for (const topic of ['a', 'b', 'c', 'd']) metrics.counter('of_topics_total', 'x', { topic }).add();
    metrics.collect('of_partitions', 'gauge', 'x', (tell) => {
      for (let i = 0; i < 5; i++) tell({ partition: String(i) }, i);
    });
    expect(told(metrics)).toEqual(['of_topics_total{topic="a"} 1', 'of_topics_total{topic="b"} 1', 'of_partitions{partition="0"} 0', 'of_partitions{partition="1"} 1']);
    expect(metrics.text(0)).toContain('\nottla_metrics_series_dropped 5\n');
    metrics.remove('of_topics_total', { topic: 'a' });
    metrics.counter('of_topics_total', 'x', { topic: 'e' });
    expect(told(metrics)).toContain('of_topics_total{topic="e"} 0');
  });

  it('refuses a name that is none, and one name for two kinds', () => {
    const metrics = new Metrics();
    expect(() => metrics.counter('kafka.server', 'x')).toThrow('no name');
    metrics.counter('kafka_server', 'x');
    expect(() => metrics.timer('kafka_server', 'x')).toThrow('is a counter');
  });
});

describe('a timer', () => {
  it('gives quantiles within 3 % of the true ones', () => {
    const random = new Seeded(7);
    const timer = new Timer();
    const values: number[] = [];
    for (let i = 0; i < 20_000; i++) {
      const ms = Math.exp(random.below(1_000_000) / 1_000_000 * 14 - 3.9);
      values.push(ms);
      timer.record(ms);
    }
    values.sort((a, b) => a - b);
    const { quantile, count } = timer.snapshot(0);
    expect(count).toBe(20_000);
    for (const at of [0.1, 0.5, 0.75, 0.95, 0.99, 0.999]) {
      const truth = values[Math.ceil(at * values.length) - 1]!;
      expect(Math.abs(quantile(at) - truth) / truth, `quantile ${at}`).toBeLessThan(0.032);
    }
  });

  it('takes what is no time and what is endless', () => {
    const timer = new Timer();
    for (const ms of [-1, 0, 1e12]) timer.record(ms);
    const { quantile } = timer.snapshot(0);
    expect(quantile(0.5)).toBe(0);
    expect(quantile(1) / 2_147_483.647).toBeGreaterThan(0.96);
  });

  it('forgets what is two windows old, but not that it was', () => {
    const timer = new Timer();
    timer.snapshot(0);
    timer.record(1000);
    expect(timer.snapshot(WINDOW_MS).quantile(0.5)).toBeGreaterThan(900);
    timer.record(1);
    expect(timer.snapshot(2 * WINDOW_MS).quantile(0.99)).toBeGreaterThan(900);
    expect(timer.snapshot(2 * WINDOW_MS + 1).quantile(0.99)).toBeLessThan(1.1);
    const last = timer.snapshot(3 * WINDOW_MS);
    expect(last).toMatchObject({ count: 2, sumMs: 1001 });
    expect(timer.snapshot(3 * WINDOW_MS + 1).quantile(0.5)).toBe(0);
  });
});
