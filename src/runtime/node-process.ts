/** What the process that we are in uses of the machine, for metrics. On Linux the number of open files too. Does not promise to be cheap: a look costs some 100 us. */
import { readdirSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { ProcessUse } from './runtime.ts';

/** Each asker has its own last look. */
export function processFacts(): () => ProcessUse {
  let last = performance.eventLoopUtilization();
  const startTimeSeconds = Math.round(Date.now() / 1000 - process.uptime());
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed, external } = process.memoryUsage();
    return { cpuSeconds: (user + system) / 1e6, residentBytes: rss, heapBytes: heapUsed, externalBytes: external, startTimeSeconds, openFiles: openFiles(), eventLoopShare: Number.isNaN(utilization) ? 0 : utilization };
  };
}

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}
