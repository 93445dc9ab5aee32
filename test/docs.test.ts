/** docs/ says what the code does: its commands and their options exist, and so do its settings and metrics. */
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Metrics } from '../src/metrics/metrics.ts';
import { ReplicaCounters } from '../src/metrics/replica-counters.ts';
import { RequestMetrics } from '../src/metrics/request-metrics.ts';
import { registerProcessMetrics } from '../src/metrics/process-metrics.ts';
import { registerNodeMetrics } from '../src/node/node-metrics.ts';
import { brokerSettingsByName } from '../src/settings/broker-settings.ts';
import { topicSettings } from '../src/settings/topic-settings.ts';
import { ottla } from './src/cli/ottla.ts';

const root = resolve(import.meta.dirname, '..');
const text = readFileSync(resolve(root, 'docs/clusters.md'), 'utf8');

describe('docs/clusters.md', () => {
  it('names commands and options that there are', async () => {
    const used = new Map<string, Set<string>>();
    for (const [, name, rest] of text.replace(/\\\n\s*/g, ' ').matchAll(/\bottla (start|format|storage|quorum|reassign|elect|topics|health|--nodes)\b([^`\n#]*)/g)) {
      const command = name!.startsWith('--') ? 'start' : name!;
      const options = used.get(command) ?? used.set(command, new Set()).get(command)!;
      for (const [option] of `${name} ${rest!}`.matchAll(/(?<=\s|^)--[a-z-]+/g)) options.add(option);
    }
    expect(used.size).toBeGreaterThan(6);
    for (const [command, options] of used) {
      const { out, code } = await ottla([command, '--help']);
      expect(code).toBe(0);
      for (const option of options) expect(out, `ottla ${command} ${option}`).toMatch(new RegExp(`${option}\\b`));
    }
  });

  it('names settings that there are', () => {
    const lines = [...text.matchAll(/^ +([a-z]+(?:\.[a-z]+)+)=/gm)].map((found) => found[1]!);
    const inline = [...text.matchAll(/`([a-z]+(?:\.[a-z]+)+)(?:=[^`]*)?`/g)].map((found) => found[1]!).filter((name) => !/\.(json|properties|yml|sh)$/.test(name));
    expect(lines.length).toBeGreaterThan(10);
    for (const name of [...lines, ...inline]) expect(brokerSettingsByName.has(name) || Object.hasOwn(topicSettings, name), name).toBe(true);
  });

  it('names metrics that are told', () => {
    const names = metricNames();
    const named = [...text.matchAll(/\b((?:kafka|process|ottla)_[a-z_]+[a-z])\b/g)].map((found) => found[1]!).filter((name) => !['kafka_exporter'].includes(name));
    expect(named.length).toBeGreaterThan(25);
    for (const name of named) expect([...names].some((one) => one === name || (name.endsWith('_') && one.startsWith(name)) || one.startsWith(`${name}_`)), name).toBe(true);
  });

  it('is linked to, and has the parts that its table of contents names', () => {
    expect(readFileSync(resolve(root, 'README.md'), 'utf8')).toContain('(docs/clusters.md)');
    const headings = [...text.matchAll(/^## (.+)$/gm)].map((found) => found[1]!.toLowerCase().replace(/[^a-z0-9 -]/g, '').replaceAll(' ', '-'));
    for (const [, anchor] of text.matchAll(/\]\(#([a-z0-9-]+)\)/g)) expect(headings).toContain(anchor);
    expect(readdirSync(resolve(root, 'docs'))).toContain('clusters.md');
  });
});

/** Every family that a node registers, told or not at this moment. */
function metricNames(): Set<string> {
  const names = new Set<string>(['ottla_metrics_series_dropped']);
  class Noted extends Metrics {
    override counter(...given: Parameters<Metrics['counter']>) {
      names.add(given[0]);
      return super.counter(...given);
    }
    override timer(...given: Parameters<Metrics['timer']>) {
      names.add(given[0]);
      return super.timer(...given);
    }
    override gauge(...given: Parameters<Metrics['gauge']>) {
      names.add(given[0]);
      super.gauge(...given);
    }
    override collect(...given: Parameters<Metrics['collect']>) {
      names.add(given[0]);
      super.collect(...given);
    }
  }
  const metrics = new Noted();
  const never = new Proxy({}, { get: () => () => [] });
  registerNodeMetrics(metrics, { nodeId: 1, broker: never, server: never, directories: never, clock: never, image: () => never, quorum: () => null, brokerState: () => 1 } as never);
  registerProcessMetrics(metrics, () => never as never);
  new ReplicaCounters(metrics);
  const stats = new RequestMetrics(metrics, String).of({ key: 0, name: 'Produce' }, {});
  stats.asked(1);
  stats.ended(0);
  return names;
}
