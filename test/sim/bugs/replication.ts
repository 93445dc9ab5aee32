/** Bugs of replication: leaders, followers, in-sync replicas, high watermarks. */
import type { Bug } from './bug.ts';

const PARTITION = 'src/replica/partition.ts';
const FETCHER = 'src/replica/fetcher.ts';

export const replicationBugs: readonly Bug[] = [
  {
    name: 'follower cuts to its high watermark',
    about: 'KIP-101, scenario 1: a follower begins by cutting what it does not know to be committed, and is elected before it has it again',
    changes: [{
      file: FETCHER,
      piece: 'void partition.settled().then(() => {',
      replacement: 'void partition.settled().then(() => partition.cutTo(partition.log.highWatermark, following.leaderEpoch)).then(() => {',
    }],
  },
  {
    name: 'follower cuts by an epoch that it does not know',
    about: 'KIP-279: after two quick failovers the logs part before the end of the epoch that the leader names, and too little is cut',
    changes: [{ file: 'src/replica/divergence.ts', piece: 'if (own.epoch !== leader.epoch) return Math.min(own.endOffset, end);', replacement: 'if (own.epoch !== leader.epoch) return Math.min(leader.endOffset, end);' }],
    kinds: ['apart', 'move leader'],
  },
  {
    name: 'follower does not cut',
    about: 'KIP-101: what the leader says of where the logs part is not acted on',
    changes: [{ file: FETCHER, piece: 'if (epoch >= 0 || endOffset >= 0) return', replacement: 'if (epoch >= 0 || endOffset >= 0) return void this.#delay(following);\n    if (epoch < -1) return' }],
  },
  {
    name: 'acknowledged before the high watermark',
    about: 'acks=all is answered when the leader has the record',
    changes: [{ file: PARTITION, piece: 'if (offset <= this.log.highWatermark) call(this.#committedAs());', replacement: 'if (offset <= this.log.logEndOffset) call(this.#committedAs());' }],
  },
  {
    name: 'high watermark by the leader alone',
    about: 'the high watermark follows the leader, not the least of the in-sync replicas',
    changes: [{ file: PARTITION, piece: 'if (maximal.includes(follower.id) || (', replacement: 'if (maximal.length > 9 || (' }],
  },
  {
    name: 'in-sync replicas shrink without the controller',
    about: 'a leader stops waiting for a follower before the controller has taken it out (the reason of KIP-497 and of AlterPartition)',
    changes: [{
      file: 'src/replica/in-sync.ts',
      piece: 'return isr.length === this.#isr.length ? null : this.#propose(isr);',
      replacement: 'if (isr.length === this.#isr.length) return null;\n    this.#maximal = isr;\n    return this.#propose(isr);',
    }],
    kinds: ['isolate', 'one way', 'split', 'pause', 'kill'],
  },
  {
    name: 'follower in sync too early',
    about: 'a follower joins the in-sync replicas before it has what is committed',
    changes: [{ file: PARTITION, piece: 'if (follower.logEndOffset < this.log.highWatermark || follower.logEndOffset < this.#epochStartOffset || !this.#isEligible(follower)) return;', replacement: 'if (!this.#isEligible(follower)) return;' }],
    kinds: ['isolate', 'pause', 'apart', 'slow disk'],
  },
  {
    name: 'in-sync replicas with an old broker epoch',
    about: 'KIP-903: a broker that came back with an empty disk is taken for the one that it was',
    changes: [
      { file: 'src/quorum/isr-change.ts', piece: 'return image.isActive(brokerId) && (brokerEpoch === ANY_EPOCH || image.brokers.get(brokerId)!.epoch === brokerEpoch);', replacement: 'return image.isActive(brokerId) && brokerEpoch >= ANY_EPOCH;' },
      { file: PARTITION, piece: 'return brokerEpoch === -1 || brokerEpoch === this.#node.aliveEpoch(id);', replacement: 'return true;' },
      { file: PARTITION, piece: 'if (fetch.brokerEpoch !== -1 && alive !== undefined && alive > fetch.brokerEpoch) return ErrorCode.NOT_LEADER_OR_FOLLOWER;', replacement: 'if (alive === -7) return ErrorCode.NOT_LEADER_OR_FOLLOWER;' },
    ],
    kinds: ['wipe', 'power', 'slow way', 'pause', 'one way'],
    nodes: 4,
  },
  {
    name: 'min.insync.replicas not asked for',
    about: 'acks=all with fewer in sync than promised',
    changes: [{ file: PARTITION, piece: 'return this.#inSync.isr.length >= this.#minInSync;', replacement: 'return this.#minInSync > 0;' },
      { file: PARTITION, piece: 'return this.#inSync.maximal.length < this.#minInSync ? ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND : ErrorCode.NONE;', replacement: 'return ErrorCode.NONE;' }],
    kinds: ['kill', 'stop', 'isolate', 'pause'],
  },
  {
    name: 'follower asks for what it has not written',
    about: 'a fetch says that everything before it is held, while it still is in memory',
    changes: [
      { file: FETCHER, piece: 'currentLeaderEpoch: leaderEpoch, fetchOffset: log.writtenEndOffset,', replacement: 'currentLeaderEpoch: leaderEpoch, fetchOffset: log.logEndOffset,' },
      { file: FETCHER, piece: 'if (partition.log.writtenEndOffset !== want.fetchOffset) return undefined;', replacement: '' },
      { file: PARTITION, piece: 'await this.log.write();\n      if (this.log.writtenEndOffset < end) return ErrorCode.KAFKA_STORAGE_ERROR;', replacement: 'void this.log.write();\n      if (end < 0) return ErrorCode.KAFKA_STORAGE_ERROR;' },
    ],
    kinds: ['slow disk', 'kill', 'isolate'],
  },
  {
    name: 'old leaders are not fenced',
    about: 'KIP-320: a reader that knows of a newer leader is served by the old one',
    changes: [{ file: PARTITION, piece: 'if (currentLeaderEpoch >= 0 && currentLeaderEpoch !== this.#state.leaderEpoch) {', replacement: 'if (currentLeaderEpoch < -1) {' }],
    kinds: ['isolate', 'slow disk', 'move leader'],
  },
  {
    name: 'offsets at the end before the high watermark is known',
    about: 'KIP-207: a new leader tells a smaller end of the log than the one before it did',
    changes: [{ file: PARTITION, piece: 'return this.isLeader && this.log.highWatermark < this.#epochStartOffset ? this.#epochStartOffset : null;', replacement: 'return null;' }],
    kinds: ['elect', 'stop', 'pause', 'isolate', 'kill'],
  },
  {
    name: 'producers forgotten at a failover',
    about: 'the window that finds duplicates is not rebuilt by the next leader',
    changes: [{ file: PARTITION, piece: 'this.#leadingEpoch = leaderEpoch;', replacement: 'this.#leadingEpoch = leaderEpoch;\n    this.log.producers.reset(this.log.logEndOffset);' }],
    kinds: ['kill', 'elect', 'cut', 'isolate', 'pause'],
  },
  {
    name: 'consumers read what is not committed',
    about: 'a reader is given records beyond the high watermark, which another leader may never have',
    changes: [{ file: 'src/replica/reading.ts', piece: 'return readCommitted ? log.lastStableOffset : log.highWatermark;', replacement: 'return readCommitted ? log.lastStableOffset : log.writtenEndOffset;' }],
    kinds: ['isolate', 'kill', 'pause', 'split'],
  },
];
