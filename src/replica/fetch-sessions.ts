/**
 * Fetch sessions (KIP-227): what a client fetches is remembered, so that it sends and is sent only what changed.
 *
 * Promises: a session's answer leaves out a partition that has no data, no error and the same high watermark and log start offset as last
 * told; partitions that gave data go to the end of the line, so that none starves. Sessions are bounded (max.incremental.fetch.session.cache.slots): when full,
 * one is pushed out that was not used for the eviction time, or for a follower one of a consumer, else the client gets no session and loses nothing but bytes.
 * Does not read logs and does not wait.
 */
import { ErrorCode } from '../../protocol/errors.ts';

/** One partition as the client asked for it. */
export interface FetchPartition {
  /** null when the client named it by id and we know no topic of that id. */
  topic: string | null;
  topicId: string;
  readonly partition: number;
  fetchOffset: number;
  partitionMaxBytes: number;
  currentLeaderEpoch: number;
  lastFetchedEpoch: number;
  logStartOffset: number;
}

/** What is told of one partition; the part that the session looks at. */
export interface FetchedPartition {
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly recordsBytes: number;
  /** The client must see this answer whatever the rest says (a diverging epoch, a preferred replica). */
  readonly notable: boolean;
}

interface Remembered extends FetchPartition {
  toldHighWatermark: number;
  toldLogStartOffset: number;
}

interface Session {
  readonly id: number;
  /** The epoch that the next request must carry. */
  epoch: number;
  readonly usesTopicIds: boolean;
  readonly partitions: Map<string, Remembered>;
  readonly isFollower: boolean;
  usedMs: number;
}

export interface FetchAsk {
  readonly sessionId: number;
  readonly sessionEpoch: number;
  readonly usesTopicIds: boolean;
  readonly partitions: readonly FetchPartition[];
  readonly forgotten: readonly { readonly topic: string | null; readonly topicId: string; readonly partition: number }[];
}

/** One fetch under its session, or under none. */
export interface FetchContext {
  /** Not NONE: the whole fetch is refused. */
  readonly errorCode: ErrorCode;
  /** In the order in which they are to be read. */
  readonly partitions: readonly FetchPartition[];
  /** Which of the answers (same order as `partitions`) are to be sent, and under which session id. Called once. */
  select(answers: readonly FetchedPartition[]): { readonly sessionId: number; readonly chosen: readonly boolean[] };
}

const NO_SESSION = 0;
const INITIAL_EPOCH = 0;
const FINAL_EPOCH = -1;

const keyOf = (usesTopicIds: boolean, topic: string | null, topicId: string, partition: number): string => `${usesTopicIds ? topicId : topic}:${partition}`;

export class FetchSessions {
  readonly #slotsMax: number;
  readonly #evictionMs: number;
  readonly #newId: () => number;
  /** Least recently used first. */
  readonly #sessions = new Map<number, Session>();

  /** `newId` gives a random number in [1, 2^31). */
  constructor(options: { slotsMax: number; evictionMs: number; newId: () => number }) {
    this.#slotsMax = options.slotsMax;
    this.#evictionMs = options.evictionMs;
    this.#newId = options.newId;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** A follower's session is not pushed out for a consumer's, unless it is idle. */
  open(ask: FetchAsk, nowMs: number, { isFollower = false }: { readonly isFollower?: boolean } = {}): FetchContext {
    if (ask.sessionEpoch === INITIAL_EPOCH || ask.sessionEpoch === FINAL_EPOCH) {
      if (ask.sessionId !== NO_SESSION) this.#sessions.delete(ask.sessionId);
      const whole = { ...ask, partitions: eachOnce(ask) };
      return ask.sessionEpoch === FINAL_EPOCH ? everything(whole.partitions, () => NO_SESSION) : this.#full(whole, nowMs, isFollower);
    }
    return this.#incremental(ask, nowMs);
  }

  #full(ask: FetchAsk, nowMs: number, isFollower: boolean): FetchContext {
    return everything(ask.partitions, (answers) => {
      if (!this.#makeRoom(nowMs, isFollower)) return NO_SESSION;
      let id = this.#newId();
      while (id === NO_SESSION || this.#sessions.has(id)) id = this.#newId();
      const partitions = new Map<string, Remembered>();
      ask.partitions.forEach((partition, i) => {
        const remembered: Remembered = { ...partition, toldHighWatermark: -1, toldLogStartOffset: -1 };
        remember(remembered, answers[i]!);
        partitions.set(keyOf(ask.usesTopicIds, partition.topic, partition.topicId, partition.partition), remembered);
      });
      this.#sessions.set(id, { id, epoch: 1, usesTopicIds: ask.usesTopicIds, partitions, isFollower, usedMs: nowMs });
      return id;
    });
  }

  #incremental(ask: FetchAsk, nowMs: number): FetchContext {
    const session = this.#sessions.get(ask.sessionId);
    if (session === undefined) return refused(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
    if (session.epoch !== ask.sessionEpoch) return refused(ErrorCode.INVALID_FETCH_SESSION_EPOCH);
    if (session.usesTopicIds !== ask.usesTopicIds) return refused(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR);
    for (const partition of ask.partitions) {
      const key = keyOf(ask.usesTopicIds, partition.topic, partition.topicId, partition.partition);
      const known = session.partitions.get(key);
      if (known === undefined) session.partitions.set(key, { ...partition, toldHighWatermark: -1, toldLogStartOffset: -1 });
      else Object.assign(known, partition);
    }
    for (const gone of ask.forgotten) session.partitions.delete(keyOf(ask.usesTopicIds, gone.topic, gone.topicId, gone.partition));
    session.epoch = session.epoch === 0x7fffffff ? 1 : session.epoch + 1;
    session.usedMs = nowMs;
    this.#sessions.delete(session.id);
    if (session.partitions.size === 0) return everything([], () => NO_SESSION);
    this.#sessions.set(session.id, session);
    const partitions = [...session.partitions.values()];
    return {
      errorCode: ErrorCode.NONE,
      partitions,
      select: (answers) => {
        const chosen = partitions.map((partition, i) => {
          const answer = answers[i]!;
          const tell = remember(partition, answer);
          if (answer.recordsBytes > 0) this.#toTheEnd(session, partition);
          return tell;
        });
        return { sessionId: session.id, chosen };
      },
    };
  }

  #toTheEnd(session: Session, partition: Remembered): void {
    const key = keyOf(session.usesTopicIds, partition.topic, partition.topicId, partition.partition);
    // A later request of the same session may have dropped it meanwhile.
    if (session.partitions.delete(key)) session.partitions.set(key, partition);
  }

  /** KIP-227: one that has been idle goes; for a follower's also a consumer's, the one not used for longest. */
  #makeRoom(nowMs: number, isFollower: boolean): boolean {
    if (this.#sessions.size < this.#slotsMax) return true;
    for (const oldest of this.#sessions.values()) {
      const isIdle = nowMs - oldest.usedMs >= this.#evictionMs;
      if (!isIdle && !isFollower) return false;
      if (!isIdle && oldest.isFollower) continue;
      this.#sessions.delete(oldest.id);
      return true;
    }
    return false;
  }
}

/** Notes what the client is told; true when there is something to tell. */
function remember(partition: Remembered, answer: FetchedPartition): boolean {
  let tell = answer.recordsBytes > 0 || answer.notable;
  if (answer.highWatermark !== partition.toldHighWatermark || answer.logStartOffset !== partition.toldLogStartOffset) tell = true;
  partition.toldHighWatermark = answer.highWatermark;
  partition.toldLogStartOffset = answer.logStartOffset;
  if (answer.errorCode !== ErrorCode.NONE) {
    // After an error the watermark must be told again, even when it has not moved.
    partition.toldHighWatermark = -1;
    tell = true;
  }
  return tell;
}

/** What is asked twice is answered once, at its first place, as the last says. */
function eachOnce({ partitions, usesTopicIds }: FetchAsk): readonly FetchPartition[] {
  if (partitions.length < 2) return partitions;
  const byKey = new Map<string, FetchPartition>();
  for (const one of partitions) byKey.set(keyOf(usesTopicIds, one.topic, one.topicId, one.partition), one);
  return byKey.size === partitions.length ? partitions : [...byKey.values()];
}

function everything(partitions: readonly FetchPartition[], sessionId: (answers: readonly FetchedPartition[]) => number): FetchContext {
  return { errorCode: ErrorCode.NONE, partitions, select: (answers) => ({ sessionId: sessionId(answers), chosen: answers.map(() => true) }) };
}

function refused(errorCode: ErrorCode): FetchContext {
  return { errorCode, partitions: [], select: () => ({ sessionId: NO_SESSION, chosen: [] }) };
}
