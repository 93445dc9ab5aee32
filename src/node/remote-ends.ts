/**
 * Where the logs end of partitions that this node has no replica of: what the lag of a group is reckoned from whose coordinator is here and whose topic is not.
 *
 * Promises: told at once, as of the last time that the leaders were asked; they are asked in the background, all at once and each leader once, when somebody wants to know and the
 * last answer is old. So somebody who looks now and then sees what was true at the look before. A leader that does not answer leaves its partitions as they were; what
 * nobody wants any more is forgotten. Nothing is asked while nobody looks.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { ListOffsets } from '../../protocol/messages/index.ts';
import type { PeerChannel } from '../peer/peer.ts';
import type { MetadataImage } from '../quorum/image.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import type { Clock } from '../runtime/runtime.ts';

/** As a client that is no replica: its answer is the high watermark. */
const NO_REPLICA = -1;
const READ_UNCOMMITTED = 0;
const LATEST = -1;
/** A scrape each 15 s is the usual; one that comes sooner is told the same again. */
const AGE_MS_MAX = 5_000;
const ASK_MS_MAX = 5_000;

export interface RemoteEndsOptions {
  readonly image: () => MetadataImage;
  readonly peerOf: (nodeId: number) => PeerChannel | null;
  readonly clock: Clock;
}

export class RemoteEnds {
  readonly #options: RemoteEndsOptions;
  /** By topic, then partition. */
  #ends = new Map<string, Map<number, number>>();
  #wanted = new Map<string, Set<number>>();
  #askedMs = -Infinity;
  #asking: Promise<void> | null = null;

  constructor(options: RemoteEndsOptions) {
    this.#options = options;
  }

  /** The high watermark as last heard, undefined while none was; wants to know it again. */
  want(topic: string, partition: number): number | undefined {
    let wanted = this.#wanted.get(topic);
    if (wanted === undefined) this.#wanted.set(topic, (wanted = new Set()));
    wanted.add(partition);
    return this.#ends.get(topic)?.get(partition);
  }

  /** Asks for what was wanted since the last call, where that is due. Settles when all have answered, or have not in time. */
  refresh(): Promise<void> {
    const { clock } = this.#options;
    if (this.#asking !== null) return this.#asking;
    const wanted = this.#wanted;
    this.#wanted = new Map();
    if (clock.monotonicMs() - this.#askedMs < AGE_MS_MAX) return Promise.resolve();
    this.#askedMs = clock.monotonicMs();
    this.#ends = new Map([...this.#ends].filter(([topic]) => wanted.has(topic)));
    this.#asking = Promise.all([...this.#byLeader(wanted)].map(([leaderId, topics]) => this.#ask(leaderId, topics))).then(() => void (this.#asking = null));
    return this.#asking;
  }

  #byLeader(wanted: ReadonlyMap<string, ReadonlySet<number>>): Map<number, Map<string, { partitionIndex: number; currentLeaderEpoch: number; timestamp: number }[]>> {
    const image = this.#options.image();
    const byLeader = new Map<number, Map<string, { partitionIndex: number; currentLeaderEpoch: number; timestamp: number }[]>>();
    for (const [topic, partitions] of wanted) {
      for (const partitionIndex of partitions) {
        const state = image.partition(topic, partitionIndex);
        if (state === undefined || state.leader < 0) continue;
        let topics = byLeader.get(state.leader);
        if (topics === undefined) byLeader.set(state.leader, (topics = new Map()));
        topics.set(topic, [...(topics.get(topic) ?? []), { partitionIndex, currentLeaderEpoch: state.leaderEpoch, timestamp: LATEST }]);
      }
    }
    return byLeader;
  }

  async #ask(leaderId: number, topics: ReadonlyMap<string, { partitionIndex: number; currentLeaderEpoch: number; timestamp: number }[]>): Promise<void> {
    const asked = [...topics].map(([name, partitions]) => ({ name, partitions }));
    let answer;
    try {
      answer = await this.#options.peerOf(leaderId)?.request(ListOffsets, { replicaId: NO_REPLICA, isolationLevel: READ_UNCOMMITTED, topics: asked, timeoutMs: ASK_MS_MAX }, { timeoutMs: ASK_MS_MAX });
    } catch (error) {
      if (!(error instanceof ConnectionError) && !(error instanceof KafkaError)) throw error;
    }
    for (const { name, partitions } of answer?.topics ?? []) {
      const wanted = topics.get(name);
      // Only what was asked for: whoever answers decides neither which topics there are nor how many.
      for (const { partitionIndex, errorCode, offset } of partitions) {
        if (errorCode !== ErrorCode.NONE || offset < 0 || wanted?.some((one) => one.partitionIndex === partitionIndex) !== true) continue;
        let ends = this.#ends.get(name);
        if (ends === undefined) this.#ends.set(name, (ends = new Map()));
        ends.set(partitionIndex, offset);
      }
    }
  }
}
