/**
 * Brokers whose process is gone, found out at once instead of when their session ends. Kafka waits for the session (9 s by default).
 *
 * A process that was killed has its sockets closed by its host, and whoever connects to its listener is refused from then on. One that is paused, cut off, slow or without power
 * does not refuse: for those there is the session. So a connection that broke is a reason to look, and a refusal, where there was none before, is the finding.
 *
 * Promises: a broker is said to be lost only when its connection to this controller broke, nothing has been heard of it since, and the address that other brokers have of it
 * refuses connections though it has taken one of this controller's before, or its own controller is gone likewise; a controller that may not connect to brokers (a firewall that
 * refuses for them) thus finds nobody. One look at a time for each broker. Being wrong costs no record: a broker that lives lifts its fence with the next heartbeat.
 * Does not fence.
 */
import type { PeerAddress } from '../peer/peer.ts';
import type { Timers } from '../runtime/runtime.ts';

/** A connection breaks a little before the listener does, when a process ends: then it is looked at once more. */
const LOOK_AGAIN_MS = 50;
const LOOKS = 2;
/** Of a broker in service that does not take a connection. */
const GREETINGS_MAX = 3;

/** What comes of a connection to an address: it is taken, or refused by a host that says that nobody listens, or neither. */
export type Knock = (address: PeerAddress) => Promise<'taken' | 'refused' | 'unknown'>;

export interface LostBrokersOptions {
  readonly timers: Timers;
  readonly knock: Knock;
  /** Where other brokers reach this one in this epoch; null when it is not registered so. */
  readonly addressOf: (brokerId: number, epoch: number) => PeerAddress | null;
  readonly hasSession: (brokerId: number, epoch: number) => boolean;
  readonly lost: (brokerId: number, epoch: number, address: PeerAddress) => void;
}

interface Known {
  readonly epoch: number;
  /** Heartbeats. */
  beats: number;
  /** It has taken a connection. */
  isReached: boolean;
  greetings: number;
  isLookedAt: boolean;
}

export class LostBrokers {
  readonly #options: LostBrokersOptions;
  #known = new Map<number, Known>();

  constructor(options: LostBrokersOptions) {
    this.#options = options;
  }

  /** A broker in service was heard. Its listener is tried, once: what it does later means something only then. */
  heard(brokerId: number, epoch: number): void {
    const known = this.#knownOf(brokerId, epoch);
    known.beats++;
    if (known.isReached || known.isLookedAt || known.greetings >= GREETINGS_MAX) return;
    known.greetings++;
    void this.#look(brokerId, known);
  }

  /** A connection by which it sent heartbeats was ended, not by this node. */
  connectionBroke(brokerId: number, epoch: number): void {
    const known = this.#knownOf(brokerId, epoch);
    if (known.isReached) void this.#find(brokerId, known);
  }

  /** Its own controller was found gone, though it had been reached before. */
  controllerGone(brokerId: number, epoch: number): void {
    void this.#find(brokerId, this.#knownOf(brokerId, epoch));
  }

  /** This controller is active no more, or anew: what it knew of brokers is old, and looks under way find nothing. */
  clear(): void {
    this.#known = new Map();
  }

  #knownOf(brokerId: number, epoch: number): Known {
    let known = this.#known.get(brokerId);
    if (known?.epoch !== epoch) this.#known.set(brokerId, (known = { epoch, beats: 0, isReached: false, greetings: 0, isLookedAt: false }));
    return known;
  }

  async #find(brokerId: number, known: Known): Promise<void> {
    const { hasSession, timers, lost } = this.#options;
    const { beats } = known;
    const isSilent = (): boolean => known.beats === beats && hasSession(brokerId, known.epoch);
    if (known.isLookedAt || !isSilent()) return;
    for (let looks = 1; looks <= LOOKS; looks++) {
      const address = await this.#look(brokerId, known);
      if (this.#known.get(brokerId) !== known || !isSilent()) return;
      if (address !== null) return lost(brokerId, known.epoch, address);
      if (looks < LOOKS) await new Promise<void>((resolve) => timers.after(LOOK_AGAIN_MS, resolve));
    }
  }

  /** Resolves with the address that refused; null when none did. */
  async #look(brokerId: number, known: Known): Promise<PeerAddress | null> {
    const address = this.#options.addressOf(brokerId, known.epoch);
    if (address === null) return null;
    known.isLookedAt = true;
    const found = await this.#options.knock(address);
    known.isLookedAt = false;
    if (found === 'taken') known.isReached = true;
    return found === 'refused' ? address : null;
  }
}
