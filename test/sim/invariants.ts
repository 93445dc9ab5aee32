/**
 * What must hold at every moment of a run, looked at after every event from inside of the nodes and from their files.
 *
 * - one leader in each epoch of the quorum, and one in each leader epoch of a partition;
 * - a node names one candidate in an epoch and stays with it; its epoch never falls (unless its disk was wiped);
 * - metadata that a node shows is never older than what the same life of it showed, nor are epochs in it;
 * - the in-sync replicas include the leader, the replicas include the in-sync ones;
 * - the high watermark of a leader never falls within its epoch;
 * - below their high watermarks all replicas hold the same batches, intact, the metadata log included (`committed.ts`);
 * - log starts do not fall, and retention alone moves them (`log-starts.ts`);
 * - what is committed of the metadata is on the disks of a majority of the voters, where no power loss can take it (`end-on-disk.ts`);
 * - what a leader of the quorum commits ends in its own epoch (Raft 5.4.2);
 * - what is committed of a partition has been written by all that are in sync;
 * - nobody cuts what is committed;
 * - who begins to lead a partition, and who joins its in-sync replicas, has all of it that is committed;
 * - when acks=all is acknowledged, the high watermark has passed it, and min.insync.replicas have written it, with log.flush.interval.messages=1 for good;
 * - nobody is served by a replica that is of an older, or a newer, leader epoch than was named (KIP-320).
 *
 * Does not: judge histories (`checker.ts`) or liveness (`simulation.ts`).
 */
import type { Broker } from '../../src/broker.ts';
import type { MetadataImage, PartitionImage } from '../../src/quorum/image.ts';
import type { Log } from '../../storage/log.ts';
import { parseQuorumState, QUORUM_STATE } from '../../storage/quorum-state.ts';
import { Committed, ReplicaReader } from './committed.ts';
import { EndOnDisk } from './end-on-disk.ts';
import type { Send } from './history.ts';
import { LogStarts } from './log-starts.ts';
import { DATA } from './node.ts';
import type { SimNode } from './node.ts';
import { directoryIdOf, votersOf } from './voters.ts';
import type { World } from './world.ts';

const METADATA = '__cluster_metadata-0';
/** As the plans set it. */
const MIN_IN_SYNC = 2;

/** What was seen of one life of a node. */
interface Life {
  readonly broker: Broker;
  image: MetadataImage | null;
  /** Where the logs ended, by topic id and partition. A replica that was moved away and back has another log. */
  readonly ends: Map<string, { readonly log: Log; end: number }>;
  readonly readers: Map<string, { readonly reader: ReplicaReader; highWatermark: number }>;
}

/** In which leader epoch of a partition a node is, in this life of it. */
export interface EpochView {
  readonly broker: Broker;
  readonly leaderEpoch: number;
}

interface QuorumView {
  epoch: number;
  votedFor: number;
}

export class Invariants {
  readonly #world: World;
  readonly #nodes: readonly SimNode[];
  readonly #lives = new Map<SimNode, Life>();
  /** By epoch of the quorum, and by partition and leader epoch. */
  readonly #quorumLeaders = new Map<number, number>();
  readonly #partitionLeaders = new Map<string, { readonly leader: number; readonly says: number }>();
  readonly #quorumViews = new Map<string, QuorumView>();
  readonly #electionsChanged = new Set<SimNode>();
  /** By topic id and partition. */
  readonly #committed = new Map<string, Committed>();
  readonly #leaderWatermarks = new Map<string, number>();
  /** How far each replica has written at most, by node and partition; a node that is down has it still. */
  readonly #ends = new Map<string, number>();
  readonly #durableEnds = new Map<string, EndOnDisk>();
  readonly #writtenEnds = new Map<string, EndOnDisk>();
  readonly #syncsEach: boolean;
  readonly logStarts = new LogStarts();
  /** Of a dynamic quorum, when its metadata were committed last. */
  #votersBefore: ReadonlyMap<number, string> | null = null;
  /** Of the newest metadata that anybody has shown. */
  newest: MetadataImage | null = null;

  constructor(world: World, nodes: readonly SimNode[]) {
    this.#world = world;
    this.#nodes = nodes;
    this.#syncsEach = nodes[0]!.settings.includes('log.flush.interval.messages=1');
    for (const node of nodes) {
      node.disk.onRenamed = (path) => {
        if (path.endsWith(`/${QUORUM_STATE}`)) this.#electionsChanged.add(node);
      };
    }
  }

  check(): void {
    for (const node of this.#electionsChanged) this.#checkElection(node);
    this.#electionsChanged.clear();
    for (const node of this.#nodes) {
      const { broker } = node;
      if (broker === null) this.#lives.delete(node);
      // What has not run has not changed.
      if (node.process?.hasRun !== true) continue;
      node.process.hasRun = false;
      if (broker === null) {
        this.#lookAtFiles(node);
        continue;
      }
      let life = this.#lives.get(node);
      if (life?.broker !== broker) this.#lives.set(node, (life = { broker, image: null, ends: new Map(), readers: new Map() }));
      this.#checkNode(node, life);
    }
  }

  /** Called when a send with acks=all is acknowledged. */
  acknowledged(send: Send): void {
    if (send.baseOffset === null) return;
    const committed = [...this.#committed.values()].find(({ name }) => name === send.partition);
    const end = send.baseOffset + send.values.length;
    if (committed === undefined || committed.highWatermark < end) {
      return this.#fail(`${send.values[0]} was acknowledged at ${send.partition} ${send.baseOffset}, while the high watermark was ${committed?.highWatermark ?? 'unknown'}`);
    }
    const held = this.#nodes.filter((node) => (this.#ends.get(`${node.id} ${node.wipes} ${send.partition}`) ?? 0) >= end).length;
    const least = Math.min(MIN_IN_SYNC, this.#nodes.length);
    if (held < least) this.#fail(`${send.values[0]} was acknowledged at ${send.partition} ${send.baseOffset}, which ${held} replicas have written; min.insync.replicas is ${least}`);
    if (!this.#syncsEach) return;
    const durable = this.#nodes.filter((node) => this.#durableEnd(node, send.partition) >= end).length;
    if (durable < least) this.#fail(`${send.values[0]} was acknowledged at ${send.partition} ${send.baseOffset}, which ${durable} replicas have synced; min.insync.replicas is ${least}`);
  }

  /** A damaged disk has what its node has synced, as far as this goes: it may have been taken for durable before the damage. */
  #durableEnd(node: SimNode, name: string): number {
    if (node.isDamaged) return Infinity;
    const key = `${node.id} ${name}`;
    let end = this.#durableEnds.get(key);
    if (end === undefined) this.#durableEnds.set(key, (end = new EndOnDisk(node.disk, `${DATA}/${name}`, 'durable')));
    return end.offset();
  }

  /** null where the broker does not serve, or has no such replica. */
  epochOf(brokerId: number, topic: string, partition: number): EpochView | null {
    const broker = this.#nodes.find(({ id }) => id === brokerId)?.broker ?? null;
    const found = broker?.replicas.find(topic, partition);
    return broker === null || found === undefined || typeof found === 'number' ? null : { broker, leaderEpoch: found.leaderEpoch };
  }

  /** A broker has served what was asked in this leader epoch. `before`: as the broker was when it was asked. Epochs only grow in a life. */
  served({ by, topic, partition, epoch, before, what }: { by: number; topic: string; partition: number; epoch: number; before: EpochView | null; what: string }): void {
    const now = this.epochOf(by, topic, partition);
    if (before === null || now === null || before.broker !== now.broker) return;
    if (before.leaderEpoch > epoch || now.leaderEpoch < epoch) {
      this.#fail(`${what} of ${topic}-${partition} in epoch ${epoch} was answered by node ${by}, which was in epoch ${before.leaderEpoch} before and in ${now.leaderEpoch} after`);
    }
  }

  /** What a partition's replicas agree on; undefined before any has been seen. */
  committedOf(topicId: string, partition: number): Committed | undefined {
    return this.#committed.get(`${topicId}-${partition}`);
  }

  #fail(message: string): void {
    this.#world.fail(`invariant: ${message}`);
  }

  // ---- elections of the quorum, as their files tell

  #checkElection(node: SimNode): void {
    // Cut off in the middle of it, nobody has heard of it.
    const bytes = node.disk.peek(`${DATA}/${METADATA}/${QUORUM_STATE}`);
    if (!node.isAlive || bytes === null) return;
    const loaded = parseQuorumState(bytes);
    if (loaded.status !== 'ok') return this.#fail(`node ${node.id} has a quorum-state that is ${loaded.status}`);
    const { leaderEpoch: epoch, leaderId, votedId } = loaded.value;
    const key = `${node.id} ${node.wipes}`;
    const before = this.#quorumViews.get(key);
    this.#world.trace(() => `node ${node.id}: quorum epoch ${epoch}, leader ${leaderId}, voted for ${votedId}`);
    if (before !== undefined && epoch < before.epoch) this.#fail(`node ${node.id} went back from quorum epoch ${before.epoch} to ${epoch}`);
    const voted = before?.epoch === epoch ? before.votedFor : -1;
    if (voted >= 0 && votedId >= 0 && voted !== votedId) this.#fail(`node ${node.id} voted for ${voted} and for ${votedId} in quorum epoch ${epoch}`);
    this.#quorumViews.set(key, { epoch, votedFor: votedId >= 0 ? votedId : voted });
    if (leaderId >= 0) this.#quorumLeader(epoch, leaderId, node);
  }

  #quorumLeader(epoch: number, leaderId: number, node: SimNode): void {
    const known = this.#quorumLeaders.get(epoch);
    if (known === undefined) this.#quorumLeaders.set(epoch, leaderId);
    else if (known !== leaderId) this.#fail(`quorum epoch ${epoch} has the leaders ${known} and ${leaderId} (says node ${node.id})`);
  }

  // ---- what a node shows

  #checkNode(node: SimNode, life: Life): void {
    const { broker } = life;
    const { leaderId, epoch } = quorumLeader(broker);
    if (leaderId >= 0) this.#quorumLeader(epoch, leaderId, node);
    const image = broker.image();
    if (image !== life.image) {
      this.#checkImage(node, life.image, image);
      life.image = image;
    }
    this.#checkReplica(node, life, METADATA, METADATA, quorumHighWatermark(broker));
    for (const partition of broker.replicas.partitions()) {
      const name = `${partition.topic}-${partition.partition}`;
      const { highWatermark, writtenEndOffset } = partition.log;
      this.#wrote(node, name, writtenEndOffset);
      if (partition.isLeader) {
        const key = `${partition.topicId}-${partition.partition} ${partition.leaderEpoch}`;
        this.#partitionLeader(key, node.id, node.id);
        const before = this.#leaderWatermarks.get(key) ?? 0;
        if (highWatermark < before) this.#fail(`the high watermark of ${name} fell from ${before} to ${highWatermark} on leader ${node.id} of epoch ${partition.leaderEpoch}`);
        else if (highWatermark > before) {
          this.#leaderWatermarks.set(key, highWatermark);
          for (const id of partition.inSyncReplicas) this.#checkWritten(id, name, highWatermark);
        }
      }
      const key = `${partition.topicId}-${partition.partition}`;
      let last = life.ends.get(key);
      if (last?.log !== partition.log) life.ends.set(key, (last = { log: partition.log, end: 0 }));
      const { end } = last;
      // What it took for committed has been found to be so.
      const known = life.readers.get(key)?.reader.offset ?? 0;
      if (!node.isDamaged && writtenEndOffset < end && writtenEndOffset < known) this.#fail(`node ${node.id} has cut ${name} from ${end} to ${writtenEndOffset}, and knew that it is committed up to ${known}`);
      last.end = writtenEndOffset;
      this.#checkReplica(node, life, name, key, highWatermark);
      const wrong = this.logStarts.check(node, partition, this.#committed.get(key));
      if (wrong !== null) this.#fail(wrong);
    }
  }

  /** A replica follows, and is in sync when the controller says so, before its node has learnt that it serves. */
  #lookAtFiles(node: SimNode): void {
    for (const { name } of this.#committed.values()) {
      if (name === METADATA) continue;
      const place = `${node.id} ${node.wipes} ${name}`;
      let end = this.#writtenEnds.get(place);
      if (end === undefined) this.#writtenEnds.set(place, (end = new EndOnDisk(node.disk, `${DATA}/${name}`, 'written')));
      this.#wrote(node, name, end.offset());
    }
  }

  #wrote(node: SimNode, name: string, end: number): void {
    const place = `${node.id} ${node.wipes} ${name}`;
    if (end > (this.#ends.get(place) ?? 0)) this.#ends.set(place, end);
  }

  #checkWritten(id: number, name: string, highWatermark: number): void {
    const node = this.#nodes.find((one) => one.id === id);
    if (node === undefined || node.broker === null) return;
    const end = this.#ends.get(`${id} ${node.wipes} ${name}`) ?? 0;
    if (end < highWatermark) this.#fail(`${name} is committed up to ${highWatermark}, and in-sync replica ${id} has written it up to ${end}`);
  }

  #checkReplica(node: SimNode, life: Life, name: string, key: string, highWatermark: number): void {
    let known = life.readers.get(key);
    const isKnown = known !== undefined;
    if (known?.highWatermark === highWatermark) return;
    let committed = this.#committed.get(key);
    if (committed === undefined) this.#committed.set(key, (committed = new Committed(name)));
    if (known === undefined) {
      known = { reader: new ReplicaReader(node.disk, `${DATA}/${name}`, committed, `node ${node.id}`), highWatermark: 0 };
      life.readers.set(key, known);
    }
    known.highWatermark = highWatermark;
    // What a damaged disk holds is for readers to refuse, and not to be believed.
    const wrong = node.isDamaged ? null : known.reader.advance(highWatermark);
    if (wrong !== null) this.#fail(wrong);
    // What a node knew when it began to serve may be of another leader's time.
    if (key === METADATA && isKnown && known.reader.offset >= highWatermark) this.#checkEpochOfCommit(node, highWatermark, known.reader.leaderEpoch);
    if (highWatermark <= committed.highWatermark) return;
    committed.highWatermark = highWatermark;
    if (key === METADATA) this.#checkDurable(node, highWatermark);
  }

  #checkEpochOfCommit(node: SimNode, highWatermark: number, ofLast: number): void {
    const { leaderId, epoch } = quorumLeader(node.broker!);
    if (leaderId !== node.id || ofLast === epoch || ofLast < 0) return;
    this.#fail(`node ${node.id} leads the quorum in epoch ${epoch} and takes the metadata up to ${highWatermark} for committed, which end in epoch ${ofLast}`);
  }

  #checkDurable(node: SimNode, highWatermark: number): void {
    const named = node.hasDynamicVoters && node.broker !== null ? votersOf(node.broker) : null;
    // Who does not lead has heard of it from one that was looked at.
    if (node.hasDynamicVoters && named === null) return;
    const before = this.#votersBefore;
    this.#votersBefore = named;
    if (this.#isDurable(highWatermark, named)) return;
    // Voters may have been changed in the very event in which those before were counted.
    if (named !== null && before !== null && this.#isDurable(highWatermark, before)) return;
    const voters = this.#votersOf(named);
    this.#fail(`node ${node.id} takes the metadata up to ${highWatermark} for committed, and on the disks of the voters ${voters.map(({ id }) => id).join()} they are durable up to ${voters.map((voter) => this.#durableEnd(voter, METADATA)).join()}`);
  }

  /** On the disks of a majority of these voters; null for those of a static quorum. */
  #isDurable(highWatermark: number, named: ReadonlyMap<number, string> | null): boolean {
    const voters = this.#votersOf(named);
    return voters.filter((voter) => this.#durableEnd(voter, METADATA) >= highWatermark).length > (named?.size ?? voters.length) / 2;
  }

  #votersOf(named: ReadonlyMap<number, string> | null): SimNode[] {
    return this.#nodes.filter((one) => (named === null ? one.isVoter : named.get(one.id) === directoryIdOf(one.id, one.wipes)));
  }

  // ---- metadata

  #checkImage(node: SimNode, before: MetadataImage | null, image: MetadataImage): void {
    if (before !== null && image.offset < before.offset) this.#fail(`node ${node.id} showed metadata of offset ${before.offset}, then of ${image.offset}`);
    if (this.newest === null || image.offset > this.newest.offset) this.#renew(node, image);
    for (const topic of image.topics.values()) {
      const old = before?.topicById(topic.id);
      topic.partitions.forEach((partition, index) => {
        const was = old?.partitions[index];
        if (partition !== was) this.#checkPartition(node, `${topic.name}-${index}`, `${topic.id}-${index}`, was, partition);
      });
    }
  }

  #renew(node: SimNode, image: MetadataImage): void {
    const before = this.newest;
    this.newest = image;
    this.#checkCompleteness(before, image);
    if (this.#world.traceTo === null) return;
    for (const broker of image.brokers.values()) {
      const was = before?.brokers.get(broker.id);
      if (was?.epoch !== broker.epoch || was.fenced !== broker.fenced || was.inControlledShutdown !== broker.inControlledShutdown) {
        this.#world.trace(() => `metadata ${image.offset} of node ${node.id}: broker ${broker.id} of epoch ${broker.epoch}${broker.fenced ? ', fenced' : ''}${broker.inControlledShutdown ? ', stopping' : ''}`);
      }
    }
    for (const topic of image.topics.values()) {
      topic.partitions.forEach((now, index) => {
        if (now === before?.topicById(topic.id)?.partitions[index]) return;
        const { leader, leaderEpoch, partitionEpoch, replicas, isr, elr, lastKnownElr } = now;
        this.#world.trace(() => `metadata ${image.offset} of node ${node.id}: ${topic.name}-${index} leader ${leader} epoch ${leaderEpoch}/${partitionEpoch} replicas ${replicas.join()} isr ${isr.join()} elr ${elr.join()} last ${lastKnownElr.join()}`);
      });
    }
  }

  /** Looked at in the newest metadata alone: what a node that lags behind learns of later is of another time. */
  #checkCompleteness(before: MetadataImage | null, image: MetadataImage): void {
    for (const topic of image.topics.values()) {
      const old = before?.topicById(topic.id);
      topic.partitions.forEach((now, index) => {
        const was = old?.partitions[index];
        if (was === undefined || now === was) return;
        const committed = this.#committed.get(`${topic.id}-${index}`)?.highWatermark ?? 0;
        const newcomers = now.isr.filter((replica) => !was.isr.includes(replica));
        if (now.leader >= 0 && now.leaderEpoch !== was.leaderEpoch) newcomers.push(now.leader);
        for (const replica of newcomers) {
          const found = this.#nodes.find(({ id }) => id === replica)?.broker?.replicas.find(topic.name, index);
          if (found === undefined || typeof found === 'number' || found.topicId !== topic.id || found.log.failed) continue;
          const end = found.log.writtenEndOffset;
          if (end < committed) this.#fail(`${topic.name}-${index}: ${replica === now.leader ? 'leader' : 'in-sync replica'} ${replica} of epoch ${now.leaderEpoch} ends at ${end}, and ${committed} are committed`);
        }
      });
    }
  }

  #checkPartition(node: SimNode, name: string, key: string, was: PartitionImage | undefined, now: PartitionImage): void {
    if (now.leader >= 0) {
      this.#partitionLeader(`${key} ${now.leaderEpoch}`, now.leader, node.id);
      if (!now.isr.includes(now.leader)) this.#fail(`${name} is led by ${now.leader}, which is not among the in-sync replicas ${now.isr.join()} (epoch ${now.leaderEpoch})`);
    }
    for (const replica of now.isr) if (!now.replicas.includes(replica)) this.#fail(`${name} has ${replica} in sync, which is not among the replicas ${now.replicas.join()}`);
    if (was === undefined) return;
    if (now.leaderEpoch < was.leaderEpoch) this.#fail(`the leader epoch of ${name} fell from ${was.leaderEpoch} to ${now.leaderEpoch}`);
    if (now.partitionEpoch < was.partitionEpoch) this.#fail(`the partition epoch of ${name} fell from ${was.partitionEpoch} to ${now.partitionEpoch}`);
    if (now.leader >= 0 && was.leader >= 0 && now.leader !== was.leader && now.leaderEpoch === was.leaderEpoch) this.#fail(`${name} changed from leader ${was.leader} to ${now.leader} within epoch ${now.leaderEpoch}`);
  }

  #partitionLeader(key: string, leader: number, says: number): void {
    const known = this.#partitionLeaders.get(key);
    if (known === undefined) this.#partitionLeaders.set(key, { leader, says });
    else if (known.leader !== leader) this.#fail(`partition and epoch ${key} is led by ${known.leader} (says node ${known.says}) and ${leader} (says node ${says})`);
  }
}

export function quorumLeader(broker: Broker): { readonly leaderId: number; readonly epoch: number } {
  const quorum = broker.quorum as unknown as { leader?: () => { leaderId: number; epoch: number } };
  return quorum.leader?.() ?? { leaderId: -1, epoch: -1 };
}

function quorumHighWatermark(broker: Broker): number {
  const quorum = broker.quorum as unknown as { highWatermark?: () => number };
  return quorum.highWatermark?.() ?? 0;
}
