/**
 * Settings that Kafka does not have, all under `ottla.`: limits that a broker needs and Kafka leaves to its virtual machine or to luck, and the port of operators.
 * What Kafka has a name for is set by that name (socket.request.max.bytes, queued.max.request.bytes, max.connections, connections.max.idle.ms ...).
 */
import { int, long, string } from './setting.ts';

export const ownSettings = {
  /** A connection that has not sent its first whole request by then is closed. */
  'ottla.connection.first.request.ms': long(30_000, { min: 1, served: true }),
  /** Requests of one connection being served, before its socket is paused. */
  'ottla.connection.inflight.requests': int(1000, { min: 1, served: true }),
  /** Bytes of requests of one connection being served, before its socket is paused. */
  'ottla.connection.inflight.bytes': long(16_777_216, { min: 1, served: true }),
  /** Bytes of answers that one client has not taken yet, before its socket is paused. */
  'ottla.connection.output.bytes': long(33_554_432, { min: 1, served: true }),
  /** Bytes of requests of all connections arriving or being served, where queued.max.request.bytes sets none. */
  'ottla.inflight.bytes': long(67_108_864, { min: 1, served: true }),
  /** Appended batches kept in memory over all partitions, for consumers at the tail. */
  'ottla.log.tail.bytes': long(33_554_432, { min: 0, served: true }),
  /** Files of log segments held open at once. */
  'ottla.log.open.files': int(4096, { min: 16, served: true }),
  /** Where health, readiness and metrics are served: PORT for this machine, :PORT for all addresses, or HOST:PORT. Nowhere when it is unset. */
  'ottla.http': string(null, { served: true }),
  /** Series of one metric that are told. */
  'ottla.metrics.series': int(10_000, { min: 1, served: true }),
};
