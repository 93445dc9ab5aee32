/**
 * What a broker counts of records that come and go, for all topics and for each: `kafka.server:type=BrokerTopicMetrics` and the counters of `ReplicaManager`.
 *
 * Promises: a topic's series are made with its first record or fetch and end with `forget`; counting is additions to what one map look-up gives. As in Kafka, what followers
 * copy counts as replication and not as the topic's bytes. Does not know partitions.
 */
import type { Counter, Labels, Metrics } from './metrics.ts';

const NAMES = {
  messagesIn: ['messagesin', 'Records that producers have written.'],
  bytesIn: ['bytesin', 'Bytes of batches that producers have written.'],
  bytesOut: ['bytesout', 'Bytes of batches that consumers have been sent.'],
  bytesRejected: ['bytesrejected', 'Bytes of batches that were refused.'],
  produceRequests: ['totalproducerequests', 'Partitions that produce requests have named.'],
  fetchRequests: ['totalfetchrequests', 'Partitions that fetch requests have read.'],
  failedProduceRequests: ['failedproducerequests', 'Partitions for which a produce request has failed.'],
  failedFetchRequests: ['failedfetchrequests', 'Partitions for which a fetch request has failed.'],
} as const;

type Name = keyof typeof NAMES;
type Counters = { readonly [N in Name]: Counter };

export class ReplicaCounters {
  readonly isrShrinks: Counter;
  readonly isrExpands: Counter;
  readonly failedIsrUpdates: Counter;
  readonly replicationBytesIn: Counter;
  readonly replicationBytesOut: Counter;
  readonly #metrics: Metrics;
  readonly #all: Counters;
  readonly #topics = new Map<string, Counters>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#all = this.#make({});
    this.isrShrinks = metrics.counter('kafka_server_replicamanager_isrshrinks_total', 'In-sync replicas that leaders have given up.');
    this.isrExpands = metrics.counter('kafka_server_replicamanager_isrexpands_total', 'In-sync replicas that leaders have taken back.');
    this.failedIsrUpdates = metrics.counter('kafka_server_replicamanager_failedisrupdates_total', 'Changes of in-sync replicas that the controller has refused.');
    this.replicationBytesIn = metrics.counter('kafka_server_brokertopicmetrics_replicationbytesin_total', 'Bytes that this broker has copied from leaders.');
    this.replicationBytesOut = metrics.counter('kafka_server_brokertopicmetrics_replicationbytesout_total', 'Bytes that followers have copied from this broker.');
  }

  produced(topic: string, bytes: number, records: number): void {
    add(this.#all, bytes, records);
    add(this.#of(topic), bytes, records);
  }

  refusedProduce(topic: string, bytes: number): void {
    for (const counters of [this.#all, this.#of(topic)]) {
      counters.produceRequests.value++;
      counters.failedProduceRequests.value++;
      counters.bytesRejected.value += bytes;
    }
  }

  /** The topic is one that there is: a name out of a request is not enough to begin a series. */
  fetched(topic: string, bytes: number, isFollower: boolean): void {
    const { fetchRequests, bytesOut } = this.#of(topic);
    this.#all.fetchRequests.value++;
    fetchRequests.value++;
    if (isFollower) this.replicationBytesOut.value += bytes;
    else {
      this.#all.bytesOut.value += bytes;
      bytesOut.value += bytes;
    }
  }

  /** Of a topic that there may not be. */
  failedFetch(): void {
    this.#all.fetchRequests.value++;
    this.#all.failedFetchRequests.value++;
  }

  /** The topic is gone. */
  forget(topic: string): void {
    if (!this.#topics.delete(topic)) return;
    for (const [name] of Object.values(NAMES)) this.#metrics.remove(metricName(name), { topic });
  }

  #of(topic: string): Counters {
    let counters = this.#topics.get(topic);
    if (counters === undefined) this.#topics.set(topic, (counters = this.#make({ topic })));
    return counters;
  }

  #make(labels: Labels): Counters {
    return Object.fromEntries(Object.entries(NAMES).map(([key, [name, help]]) => [key, this.#metrics.counter(metricName(name), help, labels)])) as Counters;
  }
}

function add({ produceRequests, bytesIn, messagesIn }: Counters, bytes: number, records: number): void {
  produceRequests.value++;
  bytesIn.value += bytes;
  messagesIn.value += records;
}

function metricName(name: string): string {
  return `kafka_server_brokertopicmetrics_${name}_total`;
}
