/** What the process uses of the machine, under the names of Prometheus' client libraries, and the share of time that the event loop idles, which is both of Kafka's idle ratios. Does not ask the operating system itself. */
import type { ProcessUse } from '../runtime/runtime.ts';
import type { Metrics } from './metrics.ts';

export function registerProcessMetrics(metrics: Metrics, look: () => ProcessUse): void {
  // One look a scrape: the first family asks, the others tell what it got.
  let use: ProcessUse | null = null;
  metrics.collect('process_cpu_seconds_total', 'counter', 'Processor time of the process.', (tell) => {
    use = look();
    tell({}, use.cpuSeconds);
  });
  const gauge = (name: string, help: string, value: (use: ProcessUse) => number): void => metrics.gauge(name, help, () => value((use ??= look())));
  gauge('process_resident_memory_bytes', 'Memory of the process.', ({ residentBytes }) => residentBytes);
  gauge('process_start_time_seconds', 'When the process began, seconds since 1970.', ({ startTimeSeconds }) => startTimeSeconds);
  gauge('process_open_fds', 'Open files and sockets of the process.', ({ openFiles }) => openFiles ?? NaN);
  gauge('nodejs_heap_size_used_bytes', 'JavaScript objects.', ({ heapBytes }) => heapBytes);
  gauge('nodejs_external_memory_bytes', 'Buffers outside of the heap.', ({ externalBytes }) => externalBytes);
  // Kafka has threads for the network and threads for requests; here one loop does both.
  gauge('kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent', 'Share of time since the last look in which the event loop was idle, 0 to 1.', ({ eventLoopShare }) => 1 - eventLoopShare);
  gauge('kafka_network_socketserver_networkprocessoravgidle_percent', 'The same: one event loop does both.', ({ eventLoopShare }) => 1 - eventLoopShare);
}
