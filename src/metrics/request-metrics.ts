/**
 * Requests by API: how many of each version, how long they take, how they end. The names are those of `kafka.network:type=RequestMetrics`.
 *
 * Promises: what one request costs is a few additions; a series is made when its API is first asked for. The times are those of Kafka's pictures of a request:
 *
 *     RequestQueueTimeMs    from the read that brought its last byte to its handler: while others that came with it are handled
 *     LocalTimeMs           the part in which its handler ran at once
 *     RemoteTimeMs          what it waited for: other replicas, data, other members
 *     TotalTimeMs           all of that
 *     ResponseQueueTimeMs   from then to the write of the answer: for answers before it on its connection, and for the end of the turn
 *
 * Requests wait for nothing else: none is kept for a thread that is free, as in Kafka. Does not look inside of a request, but for who fetches.
 */
import type { Counter, Metrics } from './metrics.ts';
import type { Timer } from './timer.ts';

const FETCH_KEY = 1;

interface Times {
  readonly total: Timer;
  readonly queue: Timer;
  readonly local: Timer;
  readonly remote: Timer;
  readonly leaving: Timer;
}

export class RequestStats {
  readonly #metrics: Metrics;
  readonly #api: string;
  readonly #versions: (Counter | undefined)[] = [];
  readonly #errors = new Map<number, Counter>();
  readonly #errorName: (code: number) => string;
  readonly #times: Times;
  /** Counts the same requests under a wider name. */
  readonly #wider: RequestStats | null;

  constructor(metrics: Metrics, api: string, errorName: (code: number) => string, wider: RequestStats | null = null) {
    this.#metrics = metrics;
    this.#api = api;
    this.#errorName = errorName;
    this.#wider = wider;
    const time = (name: string, what: string): Timer => metrics.timer(`kafka_network_requestmetrics_${name}timems`, `Milliseconds of a request ${what}.`, { request: api });
    this.#times = {
      total: time('total', 'in all'), queue: time('requestqueue', 'until its handler begins'), local: time('local', 'in its handler'), remote: time('remote', 'waiting for others'),
      leaving: time('responsequeue', 'whose answer is ready, until that is written'),
    };
  }

  asked(version: number): void {
    this.#wider?.asked(version);
    (this.#versions[version] ??= this.#metrics.counter('kafka_network_requestmetrics_requests_total', 'Requests.', { request: this.#api, version: String(version) })).value++;
  }

  answered(times: { readonly totalMs: number; readonly queueMs: number; readonly localMs: number }): void {
    this.#wider?.answered(times);
    const { totalMs, queueMs, localMs } = times;
    const { total, queue, local, remote } = this.#times;
    total.record(totalMs);
    queue.record(queueMs);
    local.record(localMs);
    remote.record(totalMs - queueMs - localMs);
  }

  /** The answer is written. */
  left(queueMs: number): void {
    this.#wider?.left(queueMs);
    this.#times.leaving.record(queueMs);
  }

  /** Of the answer as a whole. */
  ended(code: number): void {
    this.#wider?.ended(code);
    let counter = this.#errors.get(code);
    if (counter === undefined) {
      counter = this.#metrics.counter('kafka_network_requestmetrics_errors_total', 'Answers by their error code, where an API has one for the whole answer.', { request: this.#api, error: this.#errorName(code) });
      this.#errors.set(code, counter);
    }
    counter.value++;
  }
}

export class RequestMetrics {
  readonly #metrics: Metrics;
  readonly #errorName: (code: number) => string;
  readonly #byKey: (RequestStats | undefined)[] = [];
  #fetch: { readonly consumers: RequestStats; readonly followers: RequestStats } | undefined;

  /** `errorName` gives the name of an error code of the protocol. */
  constructor(metrics: Metrics, errorName: (code: number) => string) {
    this.#metrics = metrics;
    this.#errorName = errorName;
  }

  /** Fetches are told by who fetches too, as in Kafka. */
  of(api: { readonly key: number; readonly name: string }, request: unknown): RequestStats {
    if (api.key !== FETCH_KEY) return (this.#byKey[api.key] ??= new RequestStats(this.#metrics, api.name, this.#errorName));
    this.#fetch ??= this.#makeFetch(api.name);
    return isFollowerFetch(request) ? this.#fetch.followers : this.#fetch.consumers;
  }

  #makeFetch(name: string): { consumers: RequestStats; followers: RequestStats } {
    const all = new RequestStats(this.#metrics, name, this.#errorName);
    const [consumers, followers] = ['FetchConsumer', 'FetchFollower'].map((one) => new RequestStats(this.#metrics, one, this.#errorName, all)) as [RequestStats, RequestStats];
    return { consumers, followers };
  }
}

/** KIP-903 moved the id; where a version has none it is -1. */
function isFollowerFetch(request: unknown): boolean {
  const { replicaId, replicaState } = request as { readonly replicaId: number; readonly replicaState: { readonly replicaId: number } };
  return replicaId >= 0 || replicaState.replicaId >= 0;
}
