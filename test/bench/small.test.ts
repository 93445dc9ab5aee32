/** Every row of `npm run bench`, small, against a broker in this process, by the driver that needs no toolchain: so that the benchmark cannot rot. */
import { platform } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NodeDriver } from '../../bench/node.ts';
import { restartPeak, usage } from '../../bench/process-usage.ts';
import { Bench, scaled, scenarios } from '../../bench/scenario.ts';
import { startBroker } from '../../src/index.ts';

/** /proc is where the benchmark reads CPU and memory, and only Linux has it. */
describe.skipIf(platform() !== 'linux')('each row of the benchmark', () => {
  let broker: Awaited<ReturnType<typeof startBroker>>;
  let bench: Bench;
  beforeAll(async () => {
    broker = await startBroker({ memory: true });
    const measured = { bootstrapServers: broker.bootstrapServers, usage: () => usage(process.pid), restartPeak: () => restartPeak(process.pid) };
    bench = new Bench({ broker: measured, driver: new NodeDriver(), cores: 2, settle: () => null });
  });
  afterAll(() => broker.stop());

  test.each(scaled(scenarios, 2000))('$name', async (scenario) => {
    const result = await bench.run(scenario);
    expect(result.recordsPerSecond).toBeGreaterThan(0);
    expect(result.bytesPerSecond / result.recordsPerSecond).toBeCloseTo(scenario.recordBytes);
    if (scenario.recordsPerSecond !== undefined) expect(result.recordsPerSecond).toBeLessThan(scenario.recordsPerSecond * 1.5);
    if (scenario.load === 'consume') expect(result.p50Ms).toBeNull();
    else expect(result.p50Ms).toBeLessThanOrEqual(result.p99Ms!);
    expect(result.peakRssBytes).toBeGreaterThan(10e6);
    expect(result.cpuSecondsPer100kRequests === null).toBe(scenario.load !== 'one-record');
  });
});
