/** CPU and memory from /proc, on processes whose use is known. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { platform } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { cpuSeconds, machineCpuSeconds, processTree, restartPeak, usage } from '../../bench/process-usage.ts';

/** There is no /proc elsewhere. */
describe.skipIf(platform() !== 'linux')('/proc', () => {
  let child: ChildProcess | undefined;
  afterEach(() => {
    child?.kill('SIGKILL');
  });

  /** A Node that runs `script`, says so, and waits; SIGTERM ends it. */
  async function node(script: string): Promise<number> {
    child = spawn(process.execPath, ['-e', `${script}; setInterval(() => {}, 1e9); console.log('there')`], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout!, 'data');
    return child.pid!;
  }

  test('CPU of a process, of the machine, and of a child that has ended', async () => {
    const machine = machineCpuSeconds();
    const pid = await node(
      `require('child_process').execFileSync(process.execPath, ['-e', 'const end = process.cpuUsage().user + 300000; while (process.cpuUsage().user < end);'])`,
    );
    expect(cpuSeconds(pid)).toBeGreaterThan(0.29);
    expect(usage(pid).cpuSeconds).toBeGreaterThanOrEqual(cpuSeconds(pid) - 0.01);
    expect(machineCpuSeconds() - machine).toBeGreaterThan(0.29);
  });

  test('children count, and a process that has gone is nothing', async () => {
    const pid = await node(`require('child_process').spawn('sleep', ['1000'], { stdio: 'ignore' })`);
    const tree = processTree(pid);
    expect(tree).toHaveLength(2);
    for (const each of tree.reverse()) process.kill(each, 'SIGKILL');
    await once(child!, 'exit');
    expect(usage(pid)).toEqual({ cpuSeconds: 0, rssBytes: 0, peakRssBytes: 0 });
  });

  test('the peak of memory, and a new one', async () => {
    const pid = await node(
      `{ let big = Buffer.alloc(200e6, 1); big = null; gc(); gc() }`.replaceAll(
        'gc()',
        'require("v8").setFlagsFromString("--expose-gc"), require("vm").runInNewContext("gc")()',
      ),
    );
    const before = usage(pid);
    expect(before.peakRssBytes).toBeGreaterThan(200e6);
    expect(before.rssBytes).toBeLessThan(150e6);
    restartPeak(pid);
    expect(usage(pid).peakRssBytes).toBeLessThan(150e6);
  });
});
