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
const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

export function operationsServer({ runtime, log, metrics, unready }: OperationsOptions): HttpServer {
  const { clock, network, timers } = runtime;
  const routes = new Map<string, Route>([
    ['/healthz', () => plain(200, 'ok')],
    ['/readyz', () => readiness(unready())],
    ['/metrics', sparingly(clock, () => ({ status: 200, contentType: PROMETHEUS_TEXT, body: Buffer.from(metrics.text(clock.monotonicMs())) }))],
  ]);
  return new HttpServer({ network, timers, clock, log, routes });
}

function readiness(reasons: readonly string[]): HttpAnswer {
  return reasons.length === 0 ? plain(200, 'ready') : plain(503, reasons.join('\n'));
}

/** Out of a credit of time that fills at its share of the time that passes. */
function sparingly(clock: { monotonicMs(): number }, make: Route): Route {
  let last: HttpAnswer | undefined;
  let creditMs = SCRAPE_CREDIT_MS;
  let atMs = clock.monotonicMs();
  return () => {
    const startMs = clock.monotonicMs();
    creditMs = Math.min(SCRAPE_CREDIT_MS, creditMs + (startMs - atMs) / SCRAPE_SHARE);
    atMs = startMs;
    if (last !== undefined && creditMs <= 0) return last;
    last = make();
    creditMs -= clock.monotonicMs() - startMs;
    return last;
  };
}
