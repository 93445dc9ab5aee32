/**
 * How V8's heap grows in a process that is a broker: a small heap, beside which many bytes pass through in buffers.
 *
 * Promises: the old generation may grow fivefold before it is marked, the young one holds 32 MiB at most. Flags of V8 are the process's: all its threads have
 * the first; the second is kept by what this thread's heap does, so call it where one thread does the work. Does not: bound the heap as a whole.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import v8 from 'node:v8';

/**
 * V8 collects garbage when heap and buffers together have grown by a share of what lives: left alone it marks the heap once for every 15 MB of traffic, a
 * third of the processor time of producing.
 */
const OLD_GROWING_PERCENT = 400;
/**
 * Both halves. Left alone it doubles up to 128 MiB while a thousand requests are under way, and is small again only when the broker has long been idle. The limit
 * that V8 has for it is read before our code runs, the factor by which it grows at each step is not.
 */
const YOUNG_BYTES_MAX = 32 * 1024 * 1024;

export function tuneHeap(): void {
  v8.setFlagsFromString(`--heap-growing-percent=${OLD_GROWING_PERCENT}`);
  let factor = 2;
  new PerformanceObserver(() => {
    const wanted = youngBytes() >= YOUNG_BYTES_MAX ? 1 : 2;
    if (wanted !== factor) v8.setFlagsFromString(`--semi-space-growth-factor=${(factor = wanted)}`);
  }).observe({ entryTypes: ['gc'] });
}

/** What the young generation takes, used or not. */
export function youngBytes(): number {
  return v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')!.space_size;
}
