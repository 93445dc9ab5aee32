/**
 * One partition that this node has a replica of: its log, its leadership, and who waits on it.
 *
 * Promises: a batch is acknowledged to acks=all once the high watermark has passed it, and to acks=1 once it has been handed to the file; all that one turn
 * of the event loop appends leaves in one write; whoever waits is woken when the data, the watermark, the leadership or the log goes. The high watermark
 * never falls while this node leads: it is the least end of the replicas that are, or may be, in sync, and of its own log only what is written counts.
 * Does not check a client's batch (`protocol/record` does), choose leaders (the controller does), or fetch (`fetcher.ts` does).
 */
import { ErrorCode } from '../../protocol/errors.ts';
import type { ProduceRules } from '../../protocol/record/validate.ts';
import type { AppendOrigin, AppendResult, Log } from '../../storage/log.ts';
import type { Turn, TurnOwner } from '../runtime/turn.ts';
import { Confirmations } from './confirmations.ts';
import { Followers, isCaughtUp } from './followers.ts';
import type { Follower } from './followers.ts';
import { InSyncReplicas } from './in-sync.ts';
import type { Proposal, ProposalAnswer, Verdict } from './in-sync.ts';
import { CommitQueue, Written } from './waiting.ts';
import type { ParkedFetch, Watched } from './waiting.ts';

/** What the metadata says of a partition, as far as a replica of it needs to know. */
export interface PartitionState {
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly partitionEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

/** What a topic's settings mean for one of its partitions, apart from its log. */
export interface PartitionSettings {
  /** What produced batches are checked by. */
  readonly produceRules: ProduceRules;
  /** min.insync.replicas */
  readonly minInsyncReplicas: number;
  /** leader.replication.throttled.replicas and follower.replication.throttled.replicas: `*`, or `partition:broker`. */
  readonly leaderThrottledReplicas: readonly string[];
  readonly followerThrottledReplicas: readonly string[];
}

/** What a partition sees of the node and the cluster that it is in. */
export interface PartitionNode {
  readonly nodeId: number;
  /** Monotonic. */
  nowMs(): number;
  wallMs(): number;
  /** replica.lag.time.max.ms */
  lagMsMax(): number;
  /** The epoch of a registered broker that is not fenced; undefined for any other. */
  aliveEpoch(brokerId: number): number | undefined;
  /** Neither fenced nor on its way out. */
  mayJoin(brokerId: number): boolean;
  /** Asks the controller. The answer comes by `proposalAnswered`. */
  propose(partition: Partition, proposal: Proposal): void;
  /** The replica has begun to lead its epoch, or is to follow, or is no leader for want of one. */
  roleChanged(partition: Partition): void;
  /** The disk refused what was appended, and may take the same later. */
  writeRefused?(partition: Partition, error: Error): void;
  /** What lies on the disk is not what was written. True when others have it. `isNoted`: the next start will look at it. */
  damaged?(partition: Partition, offset: number, isNoted: boolean): boolean;
  /** Something that cannot be was found: the node must end. Without it the error is thrown where nobody catches it. */
  onBug?(error: unknown): void;
}

/** A follower's fetch of this partition. */
export interface ReplicaFetch {
  readonly replicaId: number;
  readonly brokerEpoch: number;
  readonly fetchOffset: number;
  readonly logStartOffset: number;
  readonly currentLeaderEpoch: number;
  /** Monotonic. */
  readonly atMs: number;
  /** Names the connection that it came by. */
  readonly connection: number;
}

/** What a leader told of its log in the answer to a fetch. */
export interface LeaderOffsets {
  readonly leaderEpoch: number;
  readonly highWatermark: number;
  readonly logStartOffset: number;
}

const NOT_LEADING = -1;

export class Partition implements TurnOwner, Watched {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly log: Log;
  /** As the topic's settings say now; replaced when they change. */
  settings: PartitionSettings;
  readonly #node: PartitionNode;
  readonly #turn: Turn;
  #state: PartitionState;
  /** The epoch in which this replica takes records and serves; it is that of the metadata as soon as nothing of the epoch before is under way. */
  #leadingEpoch = NOT_LEADING;
  /** Where the log ended when it began. */
  #epochStartOffset = -1;
  readonly #followers = new Followers();
  readonly #inSync: InSyncReplicas;
  /** Cuts of the log that have begun and not ended. */
  #cutting: Promise<unknown> | null = null;
  /** The highest watermark that the leader of an epoch has told, to this follower. */
  #told = { leaderEpoch: -1, highWatermark: -1 };
  #turnPending = false;
  #writing = false;
  #writeAgain = false;
  /** Appended and not yet written; written, and not yet below the high watermark. */
  #unwrittenBytes = 0;
  readonly #uncommitted = new Written();
  /** acks=all: by the high watermark. */
  readonly #committed = new CommitQueue();
  /** acks=1: by the end of what was written. */
  readonly #written = new CommitQueue();
  readonly #confirmations = new Confirmations();
  readonly #watchers = new Set<ParkedFetch>();
  /** Of these, those who see what is written: followers. */
  readonly #writeWatchers = new Set<ParkedFetch>();
  /** What whoever comes after the replica has left is told. */
  #left: ErrorCode | null = null;

  constructor(options: { topic: string; topicId: string; partition: number; log: Log; settings: PartitionSettings; node: PartitionNode; turn: Turn; state: PartitionState }) {
    this.topic = options.topic;
    this.topicId = options.topicId;
    this.partition = options.partition;
    this.log = options.log;
    this.settings = options.settings;
    this.#node = options.node;
    this.#turn = options.turn;
    this.#state = options.state;
    this.#inSync = new InSyncReplicas(options.state);
    this.log.onWritten = (endOffset) => this.#onWritten(endOffset);
    this.log.onWriteFailed = (error, fromOffset) => this.#onWriteFailed(error, fromOffset);
    this.log.damage.onFound = (offset) => this.#node.damaged?.(this, offset, false) ?? false;
    this.log.damage.onNoted = (offset) => void this.#node.damaged?.(this, offset, true);
    this.#followers.keep(this.#others());
    if (this.#isChosen) this.#lead(false);
  }

  /** The in-sync replicas in it may be older than those of `inSyncReplicas`. */
  get state(): PartitionState {
    return this.#state;
  }

  get isLeader(): boolean {
    return this.#leadingEpoch === this.#state.leaderEpoch && this.#left === null;
  }

  /** Another broker leads, and this one is to have what it has. */
  get isFollower(): boolean {
    return this.#state.leader >= 0 && this.#state.leader !== this.#node.nodeId && this.#left === null;
  }

  get leaderEpoch(): number {
    return this.#state.leaderEpoch;
  }

  get inSyncReplicas(): readonly number[] {
    return this.#inSync.isr;
  }

  /** As this leader knows them; none where it does not lead. */
  get followers(): Iterable<Follower> {
    return this.isLeader ? this.#followers.all : [];
  }

  /** Below min.insync.replicas, and so without acks=all. */
  get isUnderMinIsr(): boolean {
    return !this.hasEnoughReplicas;
  }

  get #isChosen(): boolean {
    return this.#state.leader === this.#node.nodeId && this.#left === null;
  }

  #others(): number[] {
    return this.#state.replicas.filter((replica) => replica !== this.#node.nodeId);
  }

  // ---- leadership

  /** Takes over what the metadata says now, unless more is known here. A new leader epoch ends every wait: the waiter must look again. */
  update(state: PartitionState): void {
    const { leader, leaderEpoch } = this.#state;
    if (this.#left !== null || state.leaderEpoch < leaderEpoch) return;
    // The controller's answer to a proposal may come before the metadata that it made.
    if (state.leaderEpoch === leaderEpoch && state.partitionEpoch < this.#inSync.partitionEpoch) return;
    const moved = state.leaderEpoch !== leaderEpoch || state.leader !== leader;
    const goesOn = this.isLeader && state.leader === leader && state.leaderEpoch <= leaderEpoch + 1;
    this.#state = state;
    this.#inSync.learn(state);
    this.#followers.keep(this.#others());
    if (moved) {
      this.#leadingEpoch = NOT_LEADING;
      if (this.#isChosen) this.#lead(goesOn);
      // What was acknowledged by nobody yet may still be committed by the next leader, who will not tell.
      if (!this.isLeader) this.#failWaiters(ErrorCode.NOT_LEADER_OR_FOLLOWER);
      this.wakeWatchers();
      if (!this.#isChosen) this.#node.roleChanged(this);
    }
    // Also when only the in-sync replicas have become fewer: what was missing may be committed by that.
    if (this.isLeader) this.#advanceHighWatermark();
  }

  /** Begins to lead, once nothing that was begun as a follower, or under an older epoch, can change the log any more. */
  #lead(goesOn: boolean): void {
    const { leaderEpoch } = this.#state;
    if (!goesOn && (this.#cutting !== null || this.log.queuedBytes > 0)) {
      const under = this.#cutting ?? this.log.write();
      under.then(() => {
        if (this.#isChosen && this.#state.leaderEpoch === leaderEpoch && this.#leadingEpoch !== leaderEpoch) this.#lead(false);
      }, this.#bug);
      return;
    }
    this.#leadingEpoch = leaderEpoch;
    if (!this.log.failed) this.log.assignLeaderEpoch(leaderEpoch);
    this.#epochStartOffset = this.log.logEndOffset;
    this.#followers.beginEpoch({ isr: this.#inSync.isr, nowMs: this.#node.nowMs(), leaderEndOffset: this.log.writtenEndOffset, goesOn });
    this.#advanceHighWatermark();
    this.#node.roleChanged(this);
  }

  /** acks=all may only be promised while this many in-sync replicas hold the data (min.insync.replicas). */
  get hasEnoughReplicas(): boolean {
    return this.#inSync.isr.length >= this.#minInSync;
  }

  get #minInSync(): number {
    return Math.min(this.settings.minInsyncReplicas, this.#state.replicas.length);
  }

  /**
   * KIP-320's check of the leader epoch that a client or follower believes in; -1 is no belief.
   * FENCED_LEADER_EPOCH: it is behind; UNKNOWN_LEADER_EPOCH: we are. As Kafka, before it is asked whether we lead.
   */
  checkEpoch(currentLeaderEpoch: number): ErrorCode {
    if (this.#left !== null) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    if (currentLeaderEpoch >= 0 && currentLeaderEpoch !== this.#state.leaderEpoch) {
      return currentLeaderEpoch < this.#state.leaderEpoch ? ErrorCode.FENCED_LEADER_EPOCH : ErrorCode.UNKNOWN_LEADER_EPOCH;
    }
    return ErrorCode.NONE;
  }

  checkLeader(currentLeaderEpoch: number): ErrorCode {
    const refusal = this.checkEpoch(currentLeaderEpoch);
    return refusal === ErrorCode.NONE && !this.isLeader ? ErrorCode.NOT_LEADER_OR_FOLLOWER : refusal;
  }

  /**
   * Where this leader's epoch began, while the high watermark is not there yet: until then nobody can tell what is committed, and offsets at the end of
   * the log are not available. null otherwise.
   */
  get unsettledSince(): number | null {
    return this.isLeader && this.log.highWatermark < this.#epochStartOffset ? this.#epochStartOffset : null;
  }

  // ---- appending

  /** Appends a validated batch as the leader. It is written at the end of this turn; use `whenWritten` or `whenCommitted` to hear of it. */
  append(batch: Buffer, origin: AppendOrigin, nowMs: number, release?: () => void): AppendResult {
    // Also where followers will read it next: to keep large buffers for them cost three nodes 1 GB instead of 650 MB at the peak, and as much processor time.
    const result = this.log.append(batch, { leaderEpoch: this.#state.leaderEpoch, nowMs, origin, ...(release !== undefined && { release }) });
    if (result.error === ErrorCode.NONE && !result.duplicate) {
      this.#unwrittenBytes += batch.length;
      this.#writeSoon();
    }
    return result;
  }

  #writeSoon(): void {
    if (this.#turnPending) return;
    this.#turnPending = true;
    this.#turn.add(this);
  }

  endTurn(): void {
    this.#turnPending = false;
    if (this.#left !== null) return;
    if (this.#writing) {
      this.#writeAgain = true;
      return;
    }
    this.#writing = true;
    // A disk that refuses is told by `onWriteFailed`: what rejects here is a bug.
    this.log.write().then(this.#wrote, this.#bug);
  }

  /**
   * `call` is called once, when all below `offset` is committed (acks=all) or written (acks=1), or when it will not be. What is committed while too few
   * replicas are in sync is told as NOT_ENOUGH_REPLICAS_AFTER_APPEND. Gives back the way to stop waiting.
   */
  whenCommitted(offset: number, call: (errorCode: ErrorCode) => void): void {
    if (offset <= this.log.highWatermark) call(this.#committedAs());
    else if (this.#left !== null) call(this.#left);
    else if (!this.isLeader) call(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    else this.#committed.add(offset, call);
  }

  #committedAs(): ErrorCode {
    return this.#inSync.maximal.length < this.#minInSync ? ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND : ErrorCode.NONE;
  }

  /**
   * `call` is called once: with NONE when it is known that this replica led its epoch when it was asked, since all that could lead instead have followed it after that. That takes the
   * followers two fetches, which are answered at once. Out of what it knows of itself a leader that was paused, or cut off, cannot tell.
   */
  whenStillLeading(call: (errorCode: ErrorCode) => void): void {
    if (this.#left !== null) return call(this.#left);
    if (!this.isLeader) return call(ErrorCode.NOT_LEADER_OR_FOLLOWER);
    this.#confirmations.ask(this.#rivals(), call);
    if (this.#confirmations.isWaiting) for (const watcher of [...this.#writeWatchers]) watcher.end();
  }

  /** Somebody waits for this follower's next fetch. */
  awaits(replicaId: number): boolean {
    return this.#confirmations.awaits(replicaId);
  }

  #rivals(): number[] {
    return this.#inSync.maximal.filter((id) => id !== this.#node.nodeId);
  }

  whenWritten(offset: number, call: (errorCode: ErrorCode) => void): void {
    if (offset <= this.log.writtenEndOffset) call(ErrorCode.NONE);
    else if (this.#left !== null) call(this.#left);
    else this.#written.add(offset, call);
  }

  // ---- followers

  /** Whether a follower's fetch may be read for: it is a replica, and of its own broker's present life. */
  checkFollower(fetch: ReplicaFetch): ErrorCode {
    if (this.#followers.get(fetch.replicaId) === undefined) {
      // In a reassignment the new replica may know of it before we do: it has to ask again.
      return fetch.currentLeaderEpoch >= 0 ? ErrorCode.UNKNOWN_LEADER_EPOCH : ErrorCode.NOT_LEADER_OR_FOLLOWER;
    }
    const alive = this.#node.aliveEpoch(fetch.replicaId);
    if (fetch.brokerEpoch !== -1 && alive !== undefined && alive > fetch.brokerEpoch) return ErrorCode.NOT_LEADER_OR_FOLLOWER;
    return ErrorCode.NONE;
  }

  /**
   * A follower that `checkFollower` took has all before `fetchOffset`, which is in the log, and at which the logs do not part. Without an epoch in the request nobody
   * can know whose offset that is, and it moves nothing.
   */
  followerFetched(fetch: ReplicaFetch): void {
    const follower = this.#followers.get(fetch.replicaId);
    if (follower === undefined || !this.isLeader || fetch.currentLeaderEpoch !== this.#state.leaderEpoch) return;
    const moved = this.#followers.fetched(follower, fetch, this.log.writtenEndOffset);
    this.#confirmations.fetched(fetch.replicaId, fetch.connection);
    this.#maybeExpand(follower);
    if (moved) this.#advanceHighWatermark();
  }

  /** The answer to its fetch tells this high watermark. */
  toldFollower(replicaId: number, highWatermark: number): void {
    const follower = this.#followers.get(replicaId);
    if (follower !== undefined) follower.toldHighWatermark = highWatermark;
  }

  toldHighWatermark(replicaId: number): number {
    return this.#followers.get(replicaId)?.toldHighWatermark ?? -1;
  }

  #maybeExpand(follower: Follower): void {
    const inSync = this.#inSync;
    if (inSync.pending !== null || inSync.isr.includes(follower.id)) return;
    if (follower.logEndOffset < this.log.highWatermark || follower.logEndOffset < this.#epochStartOffset || !this.#isEligible(follower)) return;
    this.#propose(inSync.expand(follower.id));
  }

  /** KIP-903: in service, and the broker epoch of its fetches is the one that the metadata have. */
  #isEligible({ id, brokerEpoch }: Follower): boolean {
    if (brokerEpoch === undefined || !this.#node.mayJoin(id)) return false;
    return brokerEpoch === -1 || brokerEpoch === this.#node.aliveEpoch(id);
  }

  /** Time has passed, or brokers came or went: who was waited for since he was about to be in sync may be so no more. */
  reconsider(): void {
    if (this.isLeader && this.#followers.count > 0) this.#advanceHighWatermark();
  }

  /** Asks for the in-sync replicas to be without those that have not caught up for longer than a lag may last. */
  shrinkInSync(): void {
    if (!this.isLeader || this.#inSync.pending !== null || this.#inSync.isr.length === 1) return;
    const [nowMs, lagMsMax, end] = [this.#node.nowMs(), this.#node.lagMsMax(), this.log.writtenEndOffset];
    const lost = this.#inSync.isr.filter((id) => {
      const follower = this.#followers.get(id);
      return follower !== undefined && !isCaughtUp(follower, end, nowMs, lagMsMax);
    });
    if (lost.length > 0) this.#propose(this.#inSync.shrink(lost));
  }

  #propose(proposal: Proposal | null): void {
    if (proposal !== null) this.#node.propose(this, proposal);
  }

  /** What a proposal's replicas are sent as (KIP-903). */
  brokerEpochOf(replica: number): number {
    return this.#followers.get(replica)?.brokerEpoch ?? -1;
  }

  proposalAnswered(proposal: Proposal, answer: ProposalAnswer): Verdict {
    if (!this.isLeader) return 'stale';
    const verdict = this.#inSync.answered(proposal, answer);
    if (verdict === 'committed' || verdict === 'reverted') this.#advanceHighWatermark();
    return verdict;
  }

  // ---- following

  /** Appends what the leader gave, and resolves when it is written. CORRUPT_MESSAGE, OFFSET_OUT_OF_RANGE: nothing of it was taken. */
  async appendFetched(records: Buffer, told: LeaderOffsets, release?: () => void): Promise<ErrorCode> {
    if (!this.#follows(told.leaderEpoch)) return ErrorCode.FENCED_LEADER_EPOCH;
    const before = this.log.logEndOffset;
    const sizeBefore = this.log.queuedBytes;
    const result = this.log.appendAsFollower(records, { leaderEpoch: told.leaderEpoch, nowMs: this.#node.wallMs(), ...(release !== undefined && { release }) });
    if (result.error !== ErrorCode.NONE) return result.error;
    if (this.log.logEndOffset > before) {
      this.#unwrittenBytes += this.log.queuedBytes - sizeBefore;
      const end = this.log.logEndOffset;
      await this.log.write();
      if (this.log.writtenEndOffset < end) return ErrorCode.KAFKA_STORAGE_ERROR;
    }
    this.learnOffsets(told);
    return ErrorCode.NONE;
  }

  /** The high watermark and log start of the leader hold here as far as the log goes. Neither ever falls. */
  learnOffsets({ leaderEpoch, highWatermark, logStartOffset }: LeaderOffsets): void {
    if (!this.#follows(leaderEpoch)) return;
    if (highWatermark >= 0) {
      this.#told = { leaderEpoch, highWatermark: this.#told.leaderEpoch === leaderEpoch ? Math.max(this.#told.highWatermark, highWatermark) : highWatermark };
      this.#moveHighWatermark(highWatermark);
    }
    if (logStartOffset > this.log.logStartOffset) this.log.advanceLogStartOffset(logStartOffset);
  }

  #follows(leaderEpoch: number): boolean {
    return this.isFollower && this.#state.leaderEpoch === leaderEpoch && this.#cutting === null;
  }

  /**
   * Cuts what the leader of this epoch does not have. UNKNOWN_SERVER_ERROR: below the high watermark, in the very epoch that told it; a leader that takes back what it said was committed is
   * not followed there. After an unclean election, or the loss of a disk, a new leader may. Rejects with a StorageError.
   */
  async cutTo(offset: number, leaderEpoch: number): Promise<ErrorCode> {
    if (!this.#follows(leaderEpoch)) return ErrorCode.FENCED_LEADER_EPOCH;
    if (this.#told.leaderEpoch === leaderEpoch && offset < Math.min(this.#told.highWatermark, this.log.highWatermark)) return ErrorCode.UNKNOWN_SERVER_ERROR;
    await this.#cut(() => this.log.truncateTo(offset, this.#node.wallMs()));
    return ErrorCode.NONE;
  }

  /** Throws everything away and begins where the leader's log does. Rejects with a StorageError. */
  async restartAt(offset: number, leaderEpoch: number): Promise<ErrorCode> {
    if (!this.#follows(leaderEpoch)) return ErrorCode.FENCED_LEADER_EPOCH;
    await this.#cut(() => this.log.truncateFullyAndStartAt(offset, this.#node.wallMs()));
    return ErrorCode.NONE;
  }

  async #cut(cut: () => Promise<unknown>): Promise<void> {
    const cutting = cut();
    const settled = cutting.then(() => {}, () => {}).then(() => {
      if (this.#cutting === settled) this.#cutting = null;
      this.#unwrittenBytes = 0;
      this.#uncommitted.clear();
    });
    this.#cutting = settled;
    await settled;
    await cutting;
    // Who reads this replica at its end sees it end earlier.
    this.wakeWatchers();
  }

  get isBeingCut(): boolean {
    return this.#cutting !== null;
  }

  /** Resolves when nothing is being written or cut. */
  async settled(): Promise<void> {
    while (this.#cutting !== null || this.log.queuedBytes > 0) await (this.#cutting ?? this.log.write());
  }

  // ---- waiting

  /** Producers whose acks=all is not kept yet. */
  get producersWaiting(): number {
    return this.#committed.length;
  }

  /** Fetches that wait for more, of which one may wait at several partitions. */
  get fetchesWaiting(): Iterable<ParkedFetch> {
    return this.#watchers;
  }

  addWatcher(fetch: ParkedFetch): void {
    this.#watchers.add(fetch);
    if (fetch.sees === 'written') this.#writeWatchers.add(fetch);
  }

  removeWatcher(fetch: ParkedFetch): void {
    this.#watchers.delete(fetch);
    this.#writeWatchers.delete(fetch);
  }

  /** The log start offset has moved, or something else that a waiting fetch must see at once. */
  wakeWatchers(): void {
    for (const watcher of [...this.#watchers]) watcher.end();
  }

  /** This node keeps the replica no longer, or cannot: everybody who waits is told. The log is its owner's to close or delete. */
  leave(errorCode: ErrorCode): void {
    this.#left = errorCode;
    this.#failWaiters(errorCode);
    this.wakeWatchers();
  }

  readonly #bug = (error: unknown): void => {
    if (this.#node.onBug === undefined) throw error;
    this.#node.onBug(error);
  };

  readonly #wrote = (): void => {
    this.#writing = false;
    if (!this.#writeAgain) return;
    this.#writeAgain = false;
    this.#writeSoon();
  };

  #onWritten(endOffset: number): void {
    // Counted by what the log still has queued: others than `endTurn` make it write too (a lookup by time, a flush).
    const { queuedBytes } = this.log;
    const bytes = this.#unwrittenBytes - queuedBytes;
    this.#unwrittenBytes = queuedBytes;
    this.#uncommitted.add(endOffset, bytes);
    this.#written.advance(endOffset, ErrorCode.NONE);
    if (this.#writeWatchers.size > 0) for (const watcher of [...this.#writeWatchers]) watcher.more(bytes);
    if (this.isLeader) this.#advanceHighWatermark();
  }

  #onWriteFailed(error: Error, fromOffset: number): void {
    if (!this.log.failed) this.#node.writeRefused?.(this, error);
    // With what was being written, all that was queued behind it has been taken back.
    this.#unwrittenBytes = 0;
    if (this.isLeader && !this.log.failed) {
      // With the batches of this leader epoch its beginning was taken back. Without one, followers of an older epoch could not be told where their logs part from this.
      this.log.assignLeaderEpoch(this.#state.leaderEpoch);
      this.#epochStartOffset = Math.min(this.#epochStartOffset, fromOffset);
    }
    this.#written.fail(fromOffset, ErrorCode.KAFKA_STORAGE_ERROR);
    this.#committed.fail(fromOffset, ErrorCode.KAFKA_STORAGE_ERROR);
    if (this.log.failed) this.wakeWatchers();
  }

  /**
   * As Kafka's Partition.maybeIncrementLeaderHW: the least log end of the replicas that are in sync or are being added, and of those that are about to be. Not
   * while there are fewer in sync than min.insync.replicas: what is committed then could not be told from what is lost (KIP-966).
   */
  #advanceHighWatermark(): void {
    if (this.#confirmations.isWaiting) this.#confirmations.keep(this.#rivals());
    if (!this.hasEnoughReplicas) return;
    let end = this.log.writtenEndOffset;
    const before = this.log.highWatermark;
    if (end <= before) return;
    if (this.#followers.count > 0) {
      const { maximal } = this.#inSync;
      const [nowMs, lagMsMax, own] = [this.#node.nowMs(), this.#node.lagMsMax(), end];
      for (const follower of this.#followers.all) {
        if (follower.logEndOffset >= end) continue;
        if (maximal.includes(follower.id) || (isCaughtUp(follower, own, nowMs, lagMsMax) && this.#isEligible(follower))) end = follower.logEndOffset;
      }
    }
    if (end > before) this.#moveHighWatermark(end);
  }

  #moveHighWatermark(offset: number): void {
    const { log } = this;
    const [before, stableBefore] = [log.highWatermark, log.lastStableOffset];
    log.advanceHighWatermark(offset);
    if (log.highWatermark === before) return;
    const bytes = this.#uncommitted.takeUpTo(log.highWatermark);
    this.#committed.advance(log.highWatermark, this.#committedAs());
    if (this.#watchers.size === 0) return;
    const stableMoved = log.lastStableOffset > stableBefore;
    for (const watcher of [...this.#watchers]) {
      if (watcher.sees === 'committed' || (watcher.sees === 'stable' && stableMoved)) watcher.more(bytes);
      else if (watcher.sees === 'written' && watcher.wantsHighWatermark) watcher.end();
    }
  }

  #failWaiters(errorCode: ErrorCode): void {
    this.#confirmations.fail(errorCode);
    this.#committed.fail(-1, errorCode);
    this.#written.fail(-1, errorCode);
  }
}
