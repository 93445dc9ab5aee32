/**
 * Who of the brokers was heard from when, and how far each has read the metadata: what only the active controller knows, and no log holds.
 *
 * Promises: elapsed time is monotonic; a new leader gives every broker in service a full session; what a broker of another epoch said does not count.
 * Does not fence: it says whose session is over, and each is said once.
 */
import type { Clock } from '../runtime/runtime.ts';
import type { MetadataImage } from './image.ts';

interface Session {
  readonly epoch: number;
  /** undefined before the first heartbeat: such a broker is fenced, and another may take its place at once. */
  contactMs: number | undefined;
  /** -1 until it has said. */
  metadataOffset: number;
  /** -1 while it is not shutting down: what others must have read before it may go. */
  shutdownOffset: number;
}

const NOT_KNOWN = -1;

export class BrokerSessions {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #sessions = new Map<number, Session>();
  #ownNodeId: number | undefined;

  constructor({ clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number }) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * The broker of the node that leads shares its process: an earlier life of it is over, and this one is as alive as the controller is, whether or not the heartbeats that it sends to
   * itself are late.
   */
  begin(image: MetadataImage, ownNodeId: number): void {
    this.#sessions.clear();
    this.#ownNodeId = ownNodeId;
    const nowMs = this.#clock.monotonicMs();
    for (const { id, epoch, fenced } of image.brokers.values()) {
      this.#sessions.set(id, newSession(epoch, fenced || id === ownNodeId ? undefined : nowMs));
    }
  }

  end(): void {
    this.#sessions.clear();
  }

  /** A new life of the broker; one that only amends its registration keeps its session. */
  register(brokerId: number, epoch: number): void {
    if (this.#sessions.get(brokerId)?.epoch !== epoch) this.#sessions.set(brokerId, newSession(epoch, undefined));
  }

  forget(brokerId: number): void {
    this.#sessions.delete(brokerId);
  }

  heard(brokerId: number, heard: { readonly epoch: number; readonly metadataOffset: number; readonly fenced: boolean }): void {
    this.register(brokerId, heard.epoch);
    const session = this.#sessions.get(brokerId)!;
    session.contactMs = brokerId === this.#ownNodeId ? Infinity : this.#clock.monotonicMs();
    session.metadataOffset = heard.metadataOffset;
    if (heard.fenced) session.shutdownOffset = NOT_KNOWN;
  }

  /**
   * The broker was told that it may stop. Kafka keeps its session, so that one that is back at once is refused as a second broker of that id until the
   * session times out; nobody can mistake it for the first, which has lost its fence and its epoch counts no more.
   */
  release(brokerId: number): void {
    const session = this.#sessions.get(brokerId);
    if (session !== undefined) session.contactMs = undefined;
  }

  isLive(brokerId: number, epoch: number): boolean {
    const session = this.#sessions.get(brokerId);
    return session?.epoch === epoch && session.contactMs !== undefined && !this.#isOver(session.contactMs);
  }

  /** Whether the broker of this epoch was heard, and is not known to be gone. */
  has(brokerId: number, epoch: number): boolean {
    const session = this.#sessions.get(brokerId);
    return session?.epoch === epoch && session.contactMs !== undefined;
  }

  /** Its process is gone. */
  expire(brokerId: number): void {
    const session = this.#sessions.get(brokerId);
    if (session === undefined) return;
    session.contactMs = undefined;
    session.shutdownOffset = NOT_KNOWN;
  }

  /** One broker whose session is over, which is forgotten with that. One at a time: what fencing it does must be seen when the next is judged. */
  nextExpired(): { readonly brokerId: number; readonly epoch: number } | undefined {
    for (const [brokerId, session] of this.#sessions) {
      if (session.contactMs === undefined || !this.#isOver(session.contactMs)) continue;
      this.expire(brokerId);
      return { brokerId, epoch: session.epoch };
    }
    return undefined;
  }

  /** This node stood still: what was sent to it meanwhile it could not hear. */
  excuse(standstillMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    for (const session of this.#sessions.values()) {
      if (session.contactMs !== undefined && session.contactMs !== Infinity) session.contactMs = Math.min(nowMs, session.contactMs + standstillMs);
    }
  }

  isShuttingDown(brokerId: number): boolean {
    return this.shutdownOffset(brokerId) !== NOT_KNOWN;
  }

  shutdownOffset(brokerId: number): number {
    return this.#sessions.get(brokerId)?.shutdownOffset ?? NOT_KNOWN;
  }

  /** The offset stays at the first that is given. */
  beginShutdown(brokerId: number, offset: number): void {
    const session = this.#sessions.get(brokerId);
    if (session !== undefined && session.shutdownOffset === NOT_KNOWN) session.shutdownOffset = offset;
  }

  /** The least that a broker in service has read; Infinity when there is none. */
  lowestActiveOffset(image: MetadataImage): number {
    let lowest = Infinity;
    for (const broker of image.brokers.values()) {
      if (broker.fenced || this.isShuttingDown(broker.id)) continue;
      lowest = Math.min(lowest, this.#sessions.get(broker.id)?.metadataOffset ?? NOT_KNOWN);
    }
    return lowest;
  }

  #isOver(contactMs: number): boolean {
    return contactMs + this.#timeoutMs < this.#clock.monotonicMs();
  }
}

function newSession(epoch: number, contactMs: number | undefined): Session {
  return { epoch, contactMs, metadataOffset: NOT_KNOWN, shutdownOffset: NOT_KNOWN };
}
