/** Times of many failovers, told in one line. */
import { median } from '../../bench/report.ts';

/** What issue 4 asks of a failover: writing again within so long, at the worst and in the median. */
export const FAILOVER_MS_MAX = 5_000;
export const FAILOVER_MEDIAN_MS_MAX = 1_000;

export function describeTimes(name: string, timesMs: readonly number[]): string {
  if (timesMs.length === 0) return `${name}: none measured`;
  const sorted = [...timesMs].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * (sorted.length - 1))]!.toFixed(0);
  return `${name}: ${timesMs.length} measured, median ${median(sorted).toFixed(0)} ms, 90 % ${at(0.9)} ms, longest ${at(1)} ms`;
}
