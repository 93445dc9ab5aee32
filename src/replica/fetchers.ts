/**
 * Which of this node's followers are fetched by which loop: for each leader broker num.replica.fetchers of them, and each partition by one.
 *
 * Promises: a partition is in the loop of the leader and epoch that the metadata name, or in none. Loops without partitions are closed.
 * Does not fetch (`fetcher.ts` does).
 */
import { Fetcher } from './fetcher.ts';
import type { FetcherLag, FetcherOptions } from './fetcher.ts';
import type { PeerChannel } from '../peer/peer.ts';
import type { Partition } from './partition.ts';

export interface FetchersOptions extends Omit<FetcherOptions, 'leaderId' | 'channel'> {
  /** A connection of this loop's own: requests wait at the leader, and nobody else is to wait behind them. null while the broker is not known. */
  readonly channelOf: (leaderId: number, loop: number) => PeerChannel | null;
  /** num.replica.fetchers */
  readonly loopsPerLeader: () => number;
}

interface Place {
  readonly leaderEpoch: number;
  readonly name: string;
  readonly fetcher: Fetcher;
}

export class Fetchers {
  readonly #options: FetchersOptions;
  readonly #byName = new Map<string, Fetcher>();
  readonly #places = new Map<Partition, Place>();

  constructor(options: FetchersOptions) {
    this.#options = options;
  }

  /** Fetches for the partition from its present leader, or not, as its state says. */
  place(partition: Partition): void {
    const { leader, leaderEpoch } = partition.state;
    const place = this.#places.get(partition);
    const follows = partition.isFollower && !partition.log.failed;
    const loop = hash(partition) % this.#options.loopsPerLeader();
    const name = `${leader}:${loop}`;
    if (follows && place?.name === name && place.leaderEpoch === leaderEpoch) return;
    if (place !== undefined) this.#leave(partition, place);
    if (!follows) return;
    let fetcher = this.#byName.get(name);
    if (fetcher === undefined) {
      fetcher = new Fetcher({ ...this.#options, leaderId: leader, channel: () => this.#options.channelOf(leader, loop) });
      this.#byName.set(name, fetcher);
    }
    this.#places.set(partition, { leaderEpoch, name, fetcher });
    fetcher.add(partition);
  }

  /** The replica is this node's no more. */
  forget(partition: Partition): void {
    const place = this.#places.get(partition);
    if (place !== undefined) this.#leave(partition, place);
  }

  #leave(partition: Partition, { name, fetcher }: Place): void {
    this.#places.delete(partition);
    fetcher.remove(partition);
    if (fetcher.count > 0) return;
    fetcher.close();
    this.#byName.delete(name);
  }

  /** Of every partition that is followed and whose leader has answered. */
  *lags(): Generator<FetcherLag> {
    for (const fetcher of this.#byName.values()) yield* fetcher.lags();
  }

  close(): void {
    for (const fetcher of this.#byName.values()) fetcher.close();
    this.#byName.clear();
    this.#places.clear();
  }
}

/** As Kafka's AbstractFetcherManager.getFetcherId: 31 times the hash of the topic's name, plus the partition. */
function hash({ topic, partition }: Partition): number {
  let hashed = 0;
  for (let i = 0; i < topic.length; i++) hashed = (Math.imul(hashed, 31) + topic.charCodeAt(i)) | 0;
  return Math.abs((Math.imul(hashed, 31) + partition) | 0);
}
