/**
 * Fetches from one leader broker what this node's followers lack: a loop with one request under way, as Kafka's ReplicaFetcherThread.
 *
 * Promises: a follower asks for what comes after all that it has written, under the leader epoch that it was told to follow, and says in which epoch its last record was;
 * so the leader tells where the logs part before a byte is appended to the wrong log. What does not belong to that epoch any more when the answer comes is
 * left alone. Records that are not what was sent are refused and asked for again after replica.fetch.backoff.ms, as is whatever else goes wrong; a
 * partition whose epoch the leader calls old waits for the metadata.
 * Does not choose leaders, know which partitions follow, or acknowledge: the next request does, by its offset.
 */
import { ErrorCode, errorMessage } from '../../protocol/errors.ts';
import { Fetch, ListOffsets } from '../../protocol/messages/fetch.ts';
import type { Value } from '../../protocol/schema.ts';
import { StorageError } from '../../storage/log.ts';
import type { PeerChannel } from '../peer/peer.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Clock, Timer, Timers } from '../runtime/runtime.ts';
import { truncationOffset } from './divergence.ts';
import { IncrementalFetch } from './incremental-fetch.ts';
import type { FetchWant } from './incremental-fetch.ts';
import type { Partition } from './partition.ts';

export interface FetcherSettings {
  /** replica.fetch.wait.max.ms, .min.bytes, .max.bytes, .response.max.bytes, .backoff.ms; replica.socket.timeout.ms */
  readonly waitMsMax: number;
  readonly bytesMin: number;
  readonly partitionBytesMax: number;
  readonly responseBytesMax: number;
  readonly backoffMs: number;
  readonly timeoutMs: number;
}

export interface FetcherOptions {
  readonly nodeId: number;
  readonly leaderId: number;
  /** null while the leader's address is not known. */
  readonly channel: () => PeerChannel | null;
  readonly brokerEpoch: () => number;
  readonly settings: () => FetcherSettings;
  /** follower.replication.throttled.rate */
  readonly throttle: FollowerThrottle;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** How far a follower is behind its leader, in records. */
export interface FetcherLag {
  readonly partition: Partition;
  readonly leaderId: number;
  readonly lag: number;
}

export interface FollowerThrottle {
  isExceeded(partition: Partition): boolean;
  record(partition: Partition, bytes: number): void;
}

/** One partition that follows. */
interface Following {
  readonly key: string;
  readonly partition: Partition;
  readonly leaderEpoch: number;
  /** Being prepared, cut, or behind with its writes. */
  busy: boolean;
  /** The leader calls the epoch old: only the metadata can tell a newer one. */
  fenced: boolean;
  /** Monotonic ms before which nothing is asked; 0 for no delay. */
  notBeforeMs: number;
  /** Times that the leader had not heard of what this node has, or the other way round, one after the other. */
  misses: number;
  /** It had everything when it was answered last. */
  caughtUp: boolean;
  /** As the leader told it last; -1 before that. */
  leaderHighWatermark: number;
}

type Answer = Value<typeof Fetch.response>['responses'][number]['partitions'][number];

/** First pause when the two do not know the same metadata yet; it doubles up to replica.fetch.backoff.ms. */
const MISS_MS = 10;
/** A request that waits at the leader for longer than this is not waited for by a partition that has come since. */
const PATIENCE_MS = 20;
const LATEST = -1;
const EARLIEST_LOCAL = -4;

/** The buffer of an answer: given back when everybody who holds it has let go of it. Who does not, since what he holds was not taken, leaves it to be garbage. */
class LentFrame {
  giveBack: (() => void) | null = null;
  #holders = 1;
  readonly letGo = (): void => {
    if (--this.#holders === 0) this.giveBack?.();
  };

  hold(): () => void {
    this.#holders++;
    return this.letGo;
  }
}

export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #following = new Map<string, Following>();
  readonly #session = new IncrementalFetch();
  #running = false;
  #wake: (() => void) | null = null;
  /** What a fetch waits on, and what it asked for. */
  #underWay: { readonly channel: PeerChannel; readonly wanted: ReadonlyMap<string, FetchWant> } | null = null;
  #hastening: Timer | null = null;
  #givenUp = false;
  /** Answers that refused the session, one after the other. */
  #refusals = 0;
  #closed = false;

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  *lags(): Generator<FetcherLag> {
    for (const { partition, leaderHighWatermark } of this.#following.values()) {
      if (leaderHighWatermark >= 0) yield { partition, leaderId: this.#options.leaderId, lag: Math.max(0, leaderHighWatermark - partition.log.writtenEndOffset) };
    }
  }

  get count(): number {
    return this.#following.size;
  }

  /** Follows under the partition's present leader epoch. What the partition had under way under another is over first. */
  add(partition: Partition): void {
    const key = `${partition.topicId}:${partition.partition}`;
    const following: Following = { key, partition, leaderEpoch: partition.leaderEpoch, busy: true, fenced: false, notBeforeMs: 0, misses: 0, caughtUp: false, leaderHighWatermark: -1 };
    this.#following.set(key, following);
    void partition.settled().then(() => {
      following.busy = false;
      this.#run();
      this.#hasten(following);
    });
  }

  /**
   * What is under way was asked without the partition that has come, and may wait at the leader for replica.fetch.wait.max.ms: it is given up, with its connection,
   * unless the answer comes soon. New leaders and new topics would wait for it otherwise.
   */
  #hasten({ key, leaderEpoch }: Following): void {
    const asked = this.#underWay;
    if (asked === null || this.#hastening !== null || asked.wanted.get(key)?.currentLeaderEpoch === leaderEpoch) return;
    this.#hastening = this.#options.timers.after(PATIENCE_MS, () => {
      this.#hastening = null;
      if (this.#underWay !== asked || this.#closed) return;
      this.#giveUp();
    });
  }

  #giveUp(): void {
    this.#givenUp = true;
    this.#underWay?.channel.disconnect?.();
  }

  remove(partition: Partition): void {
    const key = `${partition.topicId}:${partition.partition}`;
    if (this.#following.get(key)?.partition === partition) this.#following.delete(key);
  }

  close(): void {
    this.#closed = true;
    this.#following.clear();
    this.#hastening?.cancel();
    // Whoever fetches from this leader next must not wait behind it.
    this.#giveUp();
    this.#wake?.();
  }

  #run(): void {
    this.#wake?.();
    if (this.#running || this.#closed) return;
    this.#running = true;
    void this.#loop();
  }

  async #loop(): Promise<void> {
    while (!this.#closed && this.#following.size > 0) {
      const wanted = this.#wanted();
      if (wanted.size === 0) {
        await this.#sleep(this.#msToNext());
        continue;
      }
      if (!(await this.#round(wanted))) await this.#sleep(this.#options.settings().backoffMs);
    }
    this.#running = false;
  }

  #wanted(): Map<string, FetchWant> {
    const nowMs = this.#options.clock.monotonicMs();
    const { partitionBytesMax } = this.#options.settings();
    const wanted = new Map<string, FetchWant>();
    for (const following of this.#following.values()) {
      const { key, partition, leaderEpoch } = following;
      if (following.busy || following.fenced || following.notBeforeMs > nowMs || !this.#isCurrent(following) || partition.log.failed) continue;
      // One that has everything adds nothing to the rate, and must not fall out of the in-sync replicas for it.
      if (!following.caughtUp && this.#options.throttle.isExceeded(partition)) continue;
      const { log } = partition;
      wanted.set(key, {
        topicId: partition.topicId, partition: partition.partition, currentLeaderEpoch: leaderEpoch, fetchOffset: log.writtenEndOffset,
        lastFetchedEpoch: log.epochs.latestEpoch, logStartOffset: log.logStartOffset, partitionMaxBytes: partitionBytesMax,
      });
    }
    return wanted;
  }

  #isCurrent({ key, partition, leaderEpoch }: Following): boolean {
    return partition.isFollower && partition.leaderEpoch === leaderEpoch && this.#following.get(key)?.leaderEpoch === leaderEpoch;
  }

  /** Infinity when only something that happens can make a partition ready; a throttled one looks again after a second. */
  #msToNext(): number {
    const nowMs = this.#options.clock.monotonicMs();
    let next = Infinity;
    for (const following of this.#following.values()) {
      if (following.busy || following.fenced || following.partition.log.failed) continue;
      next = Math.min(next, following.notBeforeMs > nowMs ? following.notBeforeMs - nowMs : this.#options.settings().backoffMs);
    }
    return next;
  }

  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      let timer: Timer | null = null;
      this.#wake = () => {
        this.#wake = null;
        timer?.cancel();
        resolve();
      };
      if (ms !== Infinity) timer = this.#options.timers.after(ms, () => this.#wake?.());
    });
  }

  /** False when nothing came of it. */
  async #round(wanted: ReadonlyMap<string, FetchWant>): Promise<boolean> {
    const { nodeId, leaderId, logger } = this.#options;
    const { waitMsMax, bytesMin, responseBytesMax, timeoutMs } = this.#options.settings();
    const channel = this.#options.channel();
    if (channel === null) return false;
    const asked = new Map([...wanted.keys()].map((key) => [key, this.#following.get(key)!]));
    let answer: Value<typeof Fetch.response>;
    this.#underWay = { channel, wanted };
    this.#givenUp = false;
    const frame = new LentFrame();
    try {
      answer = await channel.request(Fetch, {
        replicaState: { replicaId: nodeId, replicaEpoch: this.#options.brokerEpoch() },
        maxWaitMs: waitMsMax, minBytes: bytesMin, maxBytes: responseBytesMax, ...this.#session.ask(wanted),
      }, { timeoutMs, lend: (giveBack) => void (frame.giveBack = giveBack) });
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#session.lost();
      if (this.#givenUp) return true;
      if (!this.#closed) logger.info(`fetching from broker ${leaderId}: ${error.message}`);
      return false;
    } finally {
      this.#underWay = null;
      this.#hastening?.cancel();
      this.#hastening = null;
    }
    if (!this.#session.answered(answer)) {
      const code = answer.errorCode as ErrorCode;
      logger.info(`fetching from broker ${leaderId}: ${errorMessage(code)}`);
      const isOfSession = code === ErrorCode.FETCH_SESSION_ID_NOT_FOUND || code === ErrorCode.INVALID_FETCH_SESSION_EPOCH || code === ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR;
      // The next request begins one. A leader that refuses that as well is not asked in a circle.
      return isOfSession && this.#refusals++ === 0;
    }
    this.#refusals = 0;
    const under: Promise<void>[] = [];
    for (const { topicId, partitions } of answer.responses) {
      for (const one of partitions) {
        const key = `${topicId}:${one.partitionIndex}`;
        const [following, want] = [asked.get(key), wanted.get(key)];
        if (following === undefined || want === undefined || !this.#isCurrent(following)) continue;
        // Twice in one answer is once: what comes second is judged by an offset that is gone.
        asked.delete(key);
        const taken = this.#take(following, want, one, channel, frame);
        if (taken !== undefined) under.push(taken);
      }
    }
    if (under.length > 0) await Promise.all(under);
    frame.letGo();
    return true;
  }

  /** Undefined when it is done at once. */
  #take(following: Following, want: FetchWant, answer: Answer, channel: PeerChannel, frame: LentFrame): Promise<void> | undefined {
    const { partition, leaderEpoch } = following;
    const code = answer.errorCode as ErrorCode;
    switch (code) {
      case ErrorCode.NONE:
        break;
      case ErrorCode.OFFSET_OUT_OF_RANGE:
        return this.#guarded(following, () => this.#startOver(following, channel));
      case ErrorCode.FENCED_LEADER_EPOCH:
        following.fenced = true;
        return undefined;
      case ErrorCode.UNKNOWN_LEADER_EPOCH:
      case ErrorCode.NOT_LEADER_OR_FOLLOWER:
      case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
      case ErrorCode.UNKNOWN_TOPIC_ID:
      case ErrorCode.INCONSISTENT_TOPIC_ID:
        // The leader has not heard of it yet, or is none any more: one of the two will hear, most often within milliseconds.
        following.notBeforeMs = this.#options.clock.monotonicMs() + Math.min(MISS_MS * 2 ** Math.min(following.misses++, 16), this.#options.settings().backoffMs);
        return undefined;
      default:
        this.#delay(following, `the leader answers ${errorMessage(code)}`);
        return undefined;
    }
    following.misses = 0;
    const { epoch, endOffset } = answer.divergingEpoch;
    if (epoch >= 0 || endOffset >= 0) return this.#guarded(following, () => this.#cut(following, { epoch, endOffset }));
    following.leaderHighWatermark = answer.highWatermark;
    const told = { leaderEpoch, highWatermark: answer.highWatermark, logStartOffset: answer.logStartOffset };
    const { records } = answer;
    if (records === null || records.length === 0) {
      following.caughtUp = partition.log.writtenEndOffset >= answer.highWatermark;
      partition.learnOffsets(told);
      return undefined;
    }
    if (partition.log.writtenEndOffset !== want.fetchOffset) return undefined;
    this.#options.throttle.record(partition, records.length);
    return this.#guarded(following, async () => {
      const taken = await partition.appendFetched(records, told, frame.hold());
      if (taken === ErrorCode.FENCED_LEADER_EPOCH) return;
      if (taken !== ErrorCode.NONE) this.#delay(following, `what the leader sent for offset ${want.fetchOffset} was not taken: ${errorMessage(taken)}`);
      else if (partition.log.writtenEndOffset === want.fetchOffset) this.#delay(following, `nothing that the leader sent for offset ${want.fetchOffset} could be taken`);
      else following.caughtUp = partition.log.writtenEndOffset >= answer.highWatermark;
    });
  }

  /** The logs part: cuts this one where they do, as far as one answer tells. */
  async #cut(following: Following, leader: { epoch: number; endOffset: number }): Promise<void> {
    const { partition, leaderEpoch } = following;
    const offset = truncationOffset(partition.log, leader);
    if (offset === null) return this.#delay(following, 'the leader says that the logs part, and not where');
    await this.#cutTo(following, offset, `epoch ${leader.epoch} of the leader of epoch ${leaderEpoch} ends at ${leader.endOffset}`);
  }

  async #cutTo(following: Following, offset: number, because: string): Promise<void> {
    const { partition, leaderEpoch } = following;
    const { highWatermark, logEndOffset, epochs } = partition.log;
    const { latestEpoch } = epochs;
    const name = `${partition.topic}-${partition.partition}`;
    const cut = await partition.cutTo(offset, leaderEpoch);
    if (cut === ErrorCode.UNKNOWN_SERVER_ERROR) return this.#delay(following, `not cut from ${logEndOffset} to ${offset}, below the high watermark ${highWatermark} that the same leader told: ${because}`);
    if (cut !== ErrorCode.NONE) return;
    // The same question would be answered the same way.
    if (partition.log.logEndOffset === logEndOffset && epochs.latestEpoch === latestEpoch) return this.#delay(following, `nothing to cut at ${offset}: ${because}`);
    if (offset < highWatermark) this.#options.logger.warn(`${name}: cut from ${logEndOffset} to ${offset}, below the high watermark ${highWatermark}: ${because}`);
    else if (offset < logEndOffset) this.#options.logger.info(`${name}: cut from ${logEndOffset} to ${offset}: ${because}`);
  }

  /** What is asked for is not in the leader's log: it ends before, or starts behind. */
  async #startOver(following: Following, channel: PeerChannel): Promise<void> {
    const { partition, leaderEpoch } = following;
    const { log } = partition;
    const leaderEnd = await this.#leaderOffset(following, channel, LATEST);
    if (leaderEnd === null) return;
    if (leaderEnd < log.logEndOffset) return this.#cutTo(following, leaderEnd, `the log of the leader of epoch ${leaderEpoch} ends there`);
    const leaderStart = await this.#leaderOffset(following, channel, EARLIEST_LOCAL);
    if (leaderStart === null) return;
    if (leaderStart <= log.logEndOffset) return this.#delay(following, `the leader does not have offset ${log.logEndOffset}, but says that it starts at ${leaderStart} and ends at ${leaderEnd}`);
    this.#options.logger.warn(`${partition.topic}-${partition.partition}: begins anew at ${leaderStart}, where the leader's log starts; it ended at ${log.logEndOffset}`);
    await partition.restartAt(leaderStart, leaderEpoch);
  }

  /** null when the leader does not say; it is asked again later. */
  async #leaderOffset(following: Following, channel: PeerChannel, timestamp: number): Promise<number | null> {
    const { partition, leaderEpoch } = following;
    const { nodeId, settings } = this.#options;
    const answer = await channel.request(ListOffsets, {
      replicaId: nodeId, isolationLevel: 0,
      topics: [{ name: partition.topic, partitions: [{ partitionIndex: partition.partition, currentLeaderEpoch: leaderEpoch, timestamp }] }],
    }, { timeoutMs: settings().timeoutMs });
    const told = answer.topics[0]?.partitions[0];
    if (told === undefined || told.errorCode !== ErrorCode.NONE || told.offset < 0) {
      this.#delay(following, `the leader does not tell its offsets: ${told === undefined ? 'no answer' : errorMessage(told.errorCode as ErrorCode)}`);
      return null;
    }
    return told.offset;
  }

  /** Nothing is asked of the partition meanwhile; what a disk or a connection refuses delays it. */
  async #guarded(following: Following, step: () => Promise<void>): Promise<void> {
    following.busy = true;
    try {
      await step();
    } catch (error) {
      if (!(error instanceof ConnectionError) && !(error instanceof StorageError)) throw error;
      this.#delay(following, error.message);
    } finally {
      following.busy = false;
    }
  }

  #delay(following: Following, because?: string): void {
    const { clock, settings, logger, leaderId } = this.#options;
    following.notBeforeMs = clock.monotonicMs() + settings().backoffMs;
    const { topic, partition } = following.partition;
    if (because !== undefined) logger.warn(`${topic}-${partition}, following broker ${leaderId}: ${because}`);
  }
}
