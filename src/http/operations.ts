/**
 * What an orchestrator and a scraper ask of a node, on a port of its own (`--http`):
 *
 *     /healthz   200 while the event loop turns
 *     /readyz    200 when clients can use the node, else 503 and the reasons, one a line
 *     /metrics   Prometheus text
 *
 * Promises: none of it waits, or touches the disk or another node. Being scraped costs at most a fifth of the processor in the long run: whoever asks faster than that gets what
 * the one before got. Does not authenticate: the port is for the operators' network.
 */
import type { Metrics } from '../metrics/metrics.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { HttpServer, plain } from './http-server.ts';
import type { HttpAnswer, Route } from './http-server.ts';

export interface OperationsOptions {
  readonly runtime: Pick<Runtime, 'network' | 'timers' | 'clock'>;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Why clients cannot use the node; empty when they can. */
  readonly unready: () => readonly string[];
}

/** The share of time that scrapes may take is one in so many, and they may take this much at once. */
const SCRAPE_SHARE = 5;
const SCRAPE_CREDIT_MS = 500;
/** How long others wait for a scrape of many partitions at a time. */
const SLICE_MS = 5;
const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

export function operationsServer({ runtime, log, metrics, unready }: OperationsOptions): HttpServer {
  const { clock, network, timers } = runtime;
  const routes = new Map<string, Route>([
    ['/healthz', () => plain(200, 'ok')],
    ['/readyz', () => readiness(unready())],
    ['/metrics', sparingly(clock, () => scrape(runtime, metrics))],
  ]);
  return new HttpServer({ network, timers, clock, log, routes });
}

function readiness(reasons: readonly string[]): HttpAnswer {
  return reasons.length === 0 ? plain(200, 'ready') : plain(503, reasons.join('\n'));
}

/** Families are told in slices of the event loop's time; who asks while that is done gets the same. */
async function scrape({ clock, timers }: OperationsOptions['runtime'], metrics: Metrics): Promise<{ answer: HttpAnswer; costMs: number }> {
  const parts: Buffer[] = [];
  let costMs = 0;
  let sliceStartMs = clock.monotonicMs();
  for (const part of metrics.parts(sliceStartMs)) {
    parts.push(Buffer.from(part));
    const nowMs = clock.monotonicMs();
    if (nowMs - sliceStartMs < SLICE_MS) continue;
    costMs += nowMs - sliceStartMs;
    await new Promise<void>((resolve) => timers.soon(resolve));
    sliceStartMs = clock.monotonicMs();
  }
  return { answer: { status: 200, contentType: PROMETHEUS_TEXT, body: Buffer.concat(parts) }, costMs: costMs + clock.monotonicMs() - sliceStartMs };
}

/** Out of a credit of time that fills at its share of the time that passes. */
function sparingly(clock: { monotonicMs(): number }, make: () => Promise<{ answer: HttpAnswer; costMs: number }>): Route {
  let last: HttpAnswer | undefined;
  let underWay: Promise<HttpAnswer> | null = null;
  let creditMs = SCRAPE_CREDIT_MS;
  let atMs = clock.monotonicMs();
  const fresh = async (): Promise<HttpAnswer> => {
    try {
      const { answer, costMs } = await make();
      creditMs -= costMs;
      return (last = answer);
    } finally {
      underWay = null;
    }
  };
  return () => {
    const nowMs = clock.monotonicMs();
    creditMs = Math.min(SCRAPE_CREDIT_MS, creditMs + (nowMs - atMs) / SCRAPE_SHARE);
    atMs = nowMs;
    if (underWay !== null) return underWay;
    if (last !== undefined && creditMs <= 0) return last;
    return (underWay = fresh());
  };
}
