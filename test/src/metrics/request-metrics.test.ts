/** What is counted of requests and of records, by the names that are told. */
import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../src/metrics/metrics.ts';
import { ReplicaCounters } from '../../../src/metrics/replica-counters.ts';
import { RequestMetrics } from '../../../src/metrics/request-metrics.ts';

const told = (metrics: Metrics, pattern: RegExp) => metrics.text(0).split('\n').filter((line) => pattern.test(line) && !line.startsWith('#'));
const consumer = { replicaId: -1, replicaState: { replicaId: -1 } };

describe('requests', () => {
  it('are counted by version, with their times and errors', () => {
    const metrics = new Metrics();
    const requests = new RequestMetrics(metrics, (code) => `E${code}`);
    const stats = requests.of({ key: 3, name: 'Metadata' }, {});
    expect(requests.of({ key: 3, name: 'Metadata' }, {})).toBe(stats);
    stats.asked(12);
    stats.asked(12);
    stats.asked(13);
    stats.answered({ totalMs: 5, queueMs: 1, localMs: 1 });
    stats.left(2);
    stats.ended(0);
    stats.ended(5);
    expect(told(metrics, /requests_total|errors_total|_(sum|count)/)).toEqual([
      'kafka_network_requestmetrics_totaltimems_sum{request="Metadata"} 5', 'kafka_network_requestmetrics_totaltimems_count{request="Metadata"} 1',
      'kafka_network_requestmetrics_requestqueuetimems_sum{request="Metadata"} 1', 'kafka_network_requestmetrics_requestqueuetimems_count{request="Metadata"} 1',
      'kafka_network_requestmetrics_localtimems_sum{request="Metadata"} 1', 'kafka_network_requestmetrics_localtimems_count{request="Metadata"} 1',
      'kafka_network_requestmetrics_remotetimems_sum{request="Metadata"} 3', 'kafka_network_requestmetrics_remotetimems_count{request="Metadata"} 1',
      'kafka_network_requestmetrics_responsequeuetimems_sum{request="Metadata"} 2', 'kafka_network_requestmetrics_responsequeuetimems_count{request="Metadata"} 1',
      'kafka_network_requestmetrics_requests_total{request="Metadata",version="12"} 2', 'kafka_network_requestmetrics_requests_total{request="Metadata",version="13"} 1',
      'kafka_network_requestmetrics_errors_total{request="Metadata",error="E0"} 1', 'kafka_network_requestmetrics_errors_total{request="Metadata",error="E5"} 1',
    ]);
  });

  it('to fetch are told by who fetches, and in all', () => {
    const metrics = new Metrics();
    const requests = new RequestMetrics(metrics, String);
    const fetch = { key: 1, name: 'Fetch' };
    requests.of(fetch, consumer).asked(18);
    requests.of(fetch, { ...consumer, replicaId: 2 }).asked(14);
    requests.of(fetch, { ...consumer, replicaState: { replicaId: 2 } }).asked(18);
    expect(told(metrics, /requests_total/).sort()).toEqual([
      'kafka_network_requestmetrics_requests_total{request="Fetch",version="14"} 1', 'kafka_network_requestmetrics_requests_total{request="Fetch",version="18"} 2',
      'kafka_network_requestmetrics_requests_total{request="FetchConsumer",version="18"} 1',
      'kafka_network_requestmetrics_requests_total{request="FetchFollower",version="14"} 1', 'kafka_network_requestmetrics_requests_total{request="FetchFollower",version="18"} 1',
    ]);
  });
});

describe('records', () => {
  it('are counted for a topic and for all, until the topic is gone', () => {
    const metrics = new Metrics();
    const counters = new ReplicaCounters(metrics);
    counters.produced('a', 100, 3);
    counters.produced('b', 50, 1);
    counters.refusedProduce('a', 7);
    counters.fetched('a', 100, false);
    counters.fetched('a', 100, true);
    counters.failedFetch();
    const lines = told(metrics, /messagesin|bytes|requests/).filter((line) => !line.endsWith(' 0'));
    expect(lines).toEqual([
      'kafka_server_brokertopicmetrics_messagesin_total 4', 'kafka_server_brokertopicmetrics_messagesin_total{topic="a"} 3', 'kafka_server_brokertopicmetrics_messagesin_total{topic="b"} 1',
      'kafka_server_brokertopicmetrics_bytesin_total 150', 'kafka_server_brokertopicmetrics_bytesin_total{topic="a"} 100', 'kafka_server_brokertopicmetrics_bytesin_total{topic="b"} 50',
      'kafka_server_brokertopicmetrics_bytesout_total 100', 'kafka_server_brokertopicmetrics_bytesout_total{topic="a"} 100',
      'kafka_server_brokertopicmetrics_bytesrejected_total 7', 'kafka_server_brokertopicmetrics_bytesrejected_total{topic="a"} 7',
      'kafka_server_brokertopicmetrics_totalproducerequests_total 3', 'kafka_server_brokertopicmetrics_totalproducerequests_total{topic="a"} 2', 'kafka_server_brokertopicmetrics_totalproducerequests_total{topic="b"} 1',
      'kafka_server_brokertopicmetrics_totalfetchrequests_total 3', 'kafka_server_brokertopicmetrics_totalfetchrequests_total{topic="a"} 2',
      'kafka_server_brokertopicmetrics_failedproducerequests_total 1', 'kafka_server_brokertopicmetrics_failedproducerequests_total{topic="a"} 1',
      'kafka_server_brokertopicmetrics_failedfetchrequests_total 1',
      'kafka_server_brokertopicmetrics_replicationbytesout_total 100',
    ]);
    counters.forget('a');
    expect(told(metrics, /topic="a"/)).toEqual([]);
    expect(told(metrics, /messagesin_total/)[0]).toBe('kafka_server_brokertopicmetrics_messagesin_total 4');
    counters.produced('a', 1, 1);
    expect(told(metrics, /messagesin_total\{topic="a"/)).toEqual(['kafka_server_brokertopicmetrics_messagesin_total{topic="a"} 1']);
  });
});
