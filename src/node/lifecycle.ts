/**
 * The life of a broker in its cluster: registered, heard from, fenced or not, and let go (BrokerLifecycleManager of Kafka).
 *
 *     begin      the controller registers this incarnation and gives it an epoch
 *     caught up  this node's metadata hold the registration, so they are no older than it
 *     ready      its logs are open: heartbeats ask for the fence to be lifted from now on
 *     running    it was lifted once; a fence that comes later is lifted by the next heartbeat
 *     leaving    heartbeats ask for leave; leaders move elsewhere, and the controller says when this node may stop
 *
 * Promises: one request at a time; a heartbeat each interval, and at once when something is to be said; what fails is tried again after a pause that doubles up to
 * the interval. A controller that does not know this broker (any more) is told again who it is. The epoch is the one that a controller has told last: they only grow, and one that was a lie does not stay.
 * Does not open logs or follow the metadata: the node does, and says so.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { BrokerHeartbeat, BrokerRegistration } from '../../protocol/messages/cluster.ts';
import type { Input } from '../../protocol/schema.ts';
import type { PeerChannel } from '../peer/peer.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Clock, Timer, Timers } from '../runtime/runtime.ts';

/** What this broker says of itself; the epoch of its last life is sent with it until the first registration. */
export type BrokerDescription = Omit<Input<typeof BrokerRegistration.request>, 'brokerId' | 'incarnationId' | 'clusterId' | 'isMigratingZkBroker' | 'previousBrokerEpoch'>;

export interface LifecycleOptions {
  readonly nodeId: number;
  readonly clusterId: string;
  readonly incarnationId: string;
  readonly previousBrokerEpoch: number;
  readonly channel: PeerChannel;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly describe: () => BrokerDescription;
  /** Of the last record in this node's metadata. */
  readonly metadataOffset: () => number;
  /** Ids of directories of this node that have failed. */
  readonly offlineLogDirs: () => readonly string[];
  /** Ids of directories that are to get no more partitions. */
  readonly cordonedLogDirs: () => readonly string[];
  /** broker.heartbeat.interval.ms */
  readonly heartbeatIntervalMs: () => number;
  /** What one request may take: half of broker.session.timeout.ms, as Kafka's, so that the session outlives one that is lost. */
  readonly requestTimeoutMs: number;
  /** For how long a heartbeat that was answered keeps others from being made leader in this broker's place, unless it hears of it; counted from when it was sent. */
  readonly leaseMs: number;
}

/** The controller will not have this broker: as it is, or in time. */
export class RegistrationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RegistrationError';
  }
}

const RETRY_MS = 50;
/** Others have to learn of their new leaderships, which takes the cluster some milliseconds. */
const LEAVING_INTERVAL_MS = 20;

type State = 'new' | 'registered' | 'ready' | 'leaving' | 'ended';

export class BrokerLifecycle {
  readonly #options: LifecycleOptions;
  #state: State = 'new';
  #epoch = -1;
  #isFenced = true;
  #isRegistered = false;
  #timer: Timer | null = null;
  #isAsking = false;
  /** Something is to be said that the request under way does not say. */
  #again = false;
  #failures = 0;
  #firstFailure: string | undefined;
  /** Monotonic. */
  #leaseEndMs = Number.NEGATIVE_INFINITY;
  #leases = 0;
  readonly #registered = new Signal<number>();
  readonly #unfenced = new Signal<void>();
  readonly #mayLeave = new Signal<boolean>();

  constructor(options: LifecycleOptions) {
    this.#options = options;
  }

  get incarnationId(): string {
    return this.#options.incarnationId;
  }

  /** -1 before the first registration. */
  get epoch(): number {
    return this.#epoch;
  }

  /** As the controller last said. */
  get isFenced(): boolean {
    return this.#isFenced;
  }

  /**
   * The controller has promised, by its answers to heartbeats, not to take this broker for dead now. The number stays while one promise followed the other: as long as it does, nobody has
   * been given what this broker leads because nothing was heard from it. null without a promise.
   */
  get lease(): number | null {
    return this.#options.clock.monotonicMs() <= this.#leaseEndMs ? this.#leases : null;
  }

  #extendLease(sentMs: number): void {
    const { clock, leaseMs } = this.#options;
    if (clock.monotonicMs() > this.#leaseEndMs) this.#leases++;
    this.#leaseEndMs = sentMs + leaseMs;
  }

  /** Registers. Resolves with the epoch; rejects with a RegistrationError when the controller refuses, or does not answer in time. */
  register(timeoutMs: number): Promise<number> {
    const timer = this.#options.timers.after(timeoutMs, () => {
      this.#registered.reject(new RegistrationError(`no controller has registered this broker within initial.broker.registration.timeout.ms = ${timeoutMs}: ${this.#firstFailure ?? 'none answers'}`));
    });
    this.#ask();
    return this.#registered.promise.finally(() => timer.cancel());
  }

  /** For a broker that its own controller has registered and lifted the fence of in one commit. */
  joined(epoch: number): void {
    this.#accepted(epoch);
    this.#isFenced = false;
    this.#state = 'ready';
    this.#unfenced.resolve();
    this.#schedule(this.#options.heartbeatIntervalMs());
  }

  /** The logs are open. Resolves when the fence was lifted for the first time. */
  ready(): Promise<void> {
    if (this.#state === 'registered') this.#state = 'ready';
    this.#ask();
    return this.#unfenced.promise;
  }

  /** Something that heartbeats tell has changed (a directory has failed). */
  tellSoon(): void {
    if (this.#epoch >= 0) this.#ask();
  }

  /**
   * Asks for leave. Resolves with true when the controller gives it, with false when nothing came of it: no controller has answered for `silenceMs`, or it
   * took longer than `timeoutMs`.
   */
  leave({ timeoutMs, silenceMs }: { readonly timeoutMs: number; readonly silenceMs: number }): Promise<boolean> {
    if (this.#state === 'ended' || !this.#isRegistered) return Promise.resolve(false);
    const { timers } = this.#options;
    this.#state = 'leaving';
    const atLatest = timers.after(timeoutMs, () => this.#mayLeave.resolve(false));
    this.#silence = { timer: null, ms: silenceMs };
    this.#heard();
    this.#ask();
    return this.#mayLeave.promise.finally(() => {
      atLatest.cancel();
      this.#silence?.timer?.cancel();
      this.#silence = null;
    });
  }

  /** Nothing can come of the leave that was asked for. */
  endLeave(): void {
    this.#mayLeave.resolve(false);
  }

  #silence: { timer: Timer | null; readonly ms: number } | null = null;

  #heard(): void {
    const silence = this.#silence;
    if (silence === null) return;
    silence.timer?.cancel();
    silence.timer = this.#options.timers.after(silence.ms, () => this.#mayLeave.resolve(false));
  }

  close(): void {
    this.#state = 'ended';
    this.#timer?.cancel();
    this.#timer = null;
    this.#registered.reject(new RegistrationError('the node stops'));
    this.#unfenced.reject(new RegistrationError('the node stops'));
    this.#mayLeave.resolve(false);
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.timers.after(delayMs, () => {
      this.#timer = null;
      this.#ask();
    });
  }

  #ask(): void {
    if (this.#state === 'ended') return;
    if (this.#isAsking) {
      this.#again = true;
      return;
    }
    this.#timer?.cancel();
    this.#timer = null;
    this.#isAsking = true;
    this.#again = false;
    const asked = this.#isRegistered ? this.#beat() : this.#register();
    asked.then(
      (delayMs) => this.#after(delayMs),
      (error: unknown) => {
        if (!(error instanceof ConnectionError) && !(error instanceof KafkaError)) throw error;
        this.#after(this.#failed(error.message));
      },
    );
  }

  #after(delayMs: number): void {
    this.#isAsking = false;
    if (this.#state === 'ended') return;
    if (this.#again) this.#ask();
    else this.#schedule(delayMs);
  }

  #failed(why: string): number {
    this.#firstFailure ??= why;
    const { heartbeatIntervalMs, logger } = this.#options;
    // Once is the weather of a failover; what lasts is worth a line, and only one.
    if (++this.#failures === 3) logger.warn(`the controller does not hear this broker: ${why}`);
    return Math.min(RETRY_MS * 2 ** Math.min(this.#failures - 1, 16), heartbeatIntervalMs());
  }

  async #register(): Promise<number> {
    const { nodeId, clusterId, incarnationId, previousBrokerEpoch, channel, requestTimeoutMs, describe, logger } = this.#options;
    const { errorCode, brokerEpoch } = await channel.request(
      BrokerRegistration,
      // After the first time the last life is over in the controller's eyes too.
      { ...describe(), brokerId: nodeId, clusterId, incarnationId, isMigratingZkBroker: false, previousBrokerEpoch: this.#epoch >= 0 ? this.#epoch : previousBrokerEpoch },
      { timeoutMs: requestTimeoutMs },
    );
    if (errorCode !== ErrorCode.NONE) {
      const why = new KafkaError(errorCode as ErrorCode).message;
      if (errorCode === ErrorCode.INCONSISTENT_CLUSTER_ID) this.#registered.reject(new RegistrationError(`the controller is of another cluster than this node, which is of ${clusterId}`));
      if (errorCode === ErrorCode.UNSUPPORTED_VERSION) this.#registered.reject(new RegistrationError(`the controller refuses this broker: it does not support a feature level of the cluster`));
      return this.#failed(`registration: ${why}`);
    }
    // It is the offset of a record of the metadata log: what is none cannot be told to anybody.
    if (!Number.isSafeInteger(brokerEpoch) || brokerEpoch < 0) return this.#failed(`registration: broker epoch ${brokerEpoch} cannot be`);
    if (this.#epoch >= 0) logger.info(`registered again, with broker epoch ${brokerEpoch}`);
    this.#accepted(brokerEpoch);
    return 0;
  }

  #accepted(epoch: number): void {
    this.#failures = 0;
    this.#isRegistered = true;
    this.#isFenced = true;
    this.#epoch = epoch;
    if (this.#state === 'new') this.#state = 'registered';
    this.#registered.resolve(this.#epoch);
  }

  async #beat(): Promise<number> {
    const { nodeId, channel, clock, requestTimeoutMs, metadataOffset, offlineLogDirs, cordonedLogDirs, heartbeatIntervalMs, logger } = this.#options;
    const isLeaving = this.#state === 'leaving';
    const wantFence = this.#state === 'registered';
    const sentMs = clock.monotonicMs();
    const answer = await channel.request(
      BrokerHeartbeat,
      {
        brokerId: nodeId, brokerEpoch: this.#epoch, currentMetadataOffset: metadataOffset(), wantFence, wantShutDown: isLeaving,
        // Which are cordoned is a setting that the metadata may have: not known before they are, and the controller then keeps what it has.
        offlineLogDirs: offlineLogDirs(), cordonedLogDirs: wantFence ? null : cordonedLogDirs(),
      },
      { timeoutMs: requestTimeoutMs },
    );
    this.#heard();
    const { errorCode } = answer;
    if (errorCode === ErrorCode.STALE_BROKER_EPOCH || errorCode === ErrorCode.BROKER_ID_NOT_REGISTERED) {
      // Unregistered by an operator, or registered by another process of the same id: it says who it is, and the controller decides.
      this.#isRegistered = false;
      if (isLeaving) this.#mayLeave.resolve(true);
      return this.#failed(`heartbeat: ${new KafkaError(errorCode as ErrorCode).message}`);
    }
    if (errorCode !== ErrorCode.NONE) return this.#failed(`heartbeat: ${new KafkaError(errorCode as ErrorCode).message}`);
    if (this.#failures >= 3) logger.info('the controller hears this broker again');
    this.#failures = 0;
    const wasFenced = this.#isFenced;
    this.#isFenced = answer.isFenced;
    if (!answer.isFenced) this.#extendLease(sentMs);
    if (isLeaving) {
      if (answer.shouldShutDown) this.#mayLeave.resolve(true);
      return LEAVING_INTERVAL_MS;
    }
    if (wantFence) return heartbeatIntervalMs();
    if (!answer.isFenced) {
      this.#unfenced.resolve();
      return heartbeatIntervalMs();
    }
    if (!wasFenced) logger.warn('the controller has fenced this broker');
    // Not caught up in the controller's eyes: the metadata are on their way.
    return this.#unfenced.isSettled ? Math.min(RETRY_MS, heartbeatIntervalMs()) : 10;
  }
}

/** A promise that others settle, once. */
class Signal<T> {
  readonly promise: Promise<T>;
  isSettled = false;
  #resolve!: (value: T) => void;
  #reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever waits hears of it; nobody may wait.
    this.promise.catch(() => {});
  }

  resolve(value: T): void {
    this.isSettled = true;
    this.#resolve(value);
  }

  reject(error: Error): void {
    this.isSettled = true;
    this.#reject(error);
  }
}
