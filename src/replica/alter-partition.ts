/**
 * The changes of in-sync replicas that this node's leaders ask the controller for (AlterPartition).
 *
 * Promises: one request is under way at a time, and carries all that was asked for by then; a partition has one proposal in it at most. What the controller
 * did not answer, or answered with something that will pass, is asked again after a while; every other answer goes to the partition as it came.
 * Does not decide what an answer means (`in-sync.ts` does).
 */
import { ErrorCode, errorMessage, KafkaError } from '../../protocol/errors.ts';
import { AlterPartition } from '../../protocol/messages/cluster.ts';
import type { Value } from '../../protocol/schema.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import type { PeerChannel } from '../peer/peer.ts';
import type { ReplicaCounters } from '../metrics/replica-counters.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Timers } from '../runtime/runtime.ts';
import type { Turn } from '../runtime/turn.ts';
import { Asking } from './asking.ts';
import type { Proposal } from './in-sync.ts';
import type { Partition } from './partition.ts';

export interface AlterPartitionOptions {
  readonly nodeId: number;
  readonly controller: PeerChannel;
  /** -1 before this node is registered. */
  readonly brokerEpoch: () => number;
  readonly timers: Timers;
  readonly turn: Turn;
  readonly logger: Logger;
  readonly counters: ReplicaCounters;
}

/** As Kafka's AlterPartitionManager. */
const RETRY_MS = 50;

type Answer = Value<typeof AlterPartition.response>['topics'][number]['partitions'][number];

export class AlterPartitions {
  readonly #options: AlterPartitionOptions;
  readonly #wanted = new Map<Partition, Proposal>();
  readonly #shrinks = new WeakSet<Proposal>();
  readonly #asking: Asking;

  constructor(options: AlterPartitionOptions) {
    this.#options = options;
    const { timers, turn } = options;
    this.#asking = new Asking({ timers, turn, isWanted: () => this.#wanted.size > 0, ask: async () => ((await this.#ask(new Map(this.#wanted))) ? RETRY_MS : 0) });
  }

  /** A newer proposal of the same partition takes the place of one that was not sent. */
  propose(partition: Partition, proposal: Proposal): void {
    this.#wanted.set(partition, proposal);
    if (proposal.isr.length < partition.state.isr.length) this.#shrinks.add(proposal);
    this.#asking.soon();
  }

  /** The partition does not lead any more. */
  forget(partition: Partition): void {
    this.#wanted.delete(partition);
  }

  close(): void {
    this.#asking.close();
    this.#wanted.clear();
  }

  /** Whether some of it is to be asked again. */
  async #ask(asked: ReadonlyMap<Partition, Proposal>): Promise<boolean> {
    const { nodeId, controller, brokerEpoch, logger, counters } = this.#options;
    let answer: Value<typeof AlterPartition.response>;
    try {
      answer = await controller.request(AlterPartition, { brokerId: nodeId, brokerEpoch: brokerEpoch(), topics: topicsOf(asked, nodeId, brokerEpoch()) });
    } catch (error) {
      if (!(error instanceof ConnectionError) && !(error instanceof KafkaError)) throw error;
      return true;
    }
    const code = answer.errorCode as ErrorCode;
    if (code !== ErrorCode.NONE) {
      // STALE_BROKER_EPOCH: this node is registering anew, and asks again under its new epoch.
      logger.warn(`the controller refuses to change in-sync replicas: ${errorMessage(code)}`);
      return true;
    }
    const answers = new Map<string, Answer>();
    for (const topic of answer.topics) for (const one of topic.partitions) answers.set(`${topic.topicId}:${one.partitionIndex}`, one);
    let again = false;
    for (const [partition, proposal] of asked) {
      const one = answers.get(`${partition.topicId}:${partition.partition}`);
      if (this.#wanted.get(partition) !== proposal) continue;
      const verdict = one === undefined ? 'retry' : partition.proposalAnswered(proposal, { ...one, errorCode: one.errorCode as ErrorCode });
      // The metadata may have brought it before the answer did; it is taken all the same.
      if (one?.errorCode === ErrorCode.NONE) (this.#shrinks.has(proposal) ? counters.isrShrinks : counters.isrExpands).value++;
      else if (verdict === 'reverted') counters.failedIsrUpdates.value++;
      if (verdict === 'retry') again = true;
      // The partition may have asked for the next change within its answer to this one.
      else if (this.#wanted.get(partition) === proposal) this.#wanted.delete(partition);
      const said = one === undefined ? 'it was left out of the answer' : errorMessage(one.errorCode as ErrorCode);
      if (verdict !== 'committed' && verdict !== 'stale') logger.info(`${partition.topic}-${partition.partition}: in-sync replicas [${proposal.isr.join(',')}] were not taken by the controller: ${said}`);
    }
    return again;
  }
}

function topicsOf(asked: ReadonlyMap<Partition, Proposal>, nodeId: number, brokerEpoch: number) {
  const topics = new Map<string, { topicId: string; partitions: ReturnType<typeof partitionOf>[] }>();
  for (const [partition, proposal] of asked) {
    let topic = topics.get(partition.topicId);
    if (topic === undefined) topics.set(partition.topicId, (topic = { topicId: partition.topicId, partitions: [] }));
    topic.partitions.push(partitionOf(partition, proposal, nodeId, brokerEpoch));
  }
  return [...topics.values()];
}

/** The leader recovery state is left at its default, RECOVERED: as Kafka's leaders, ours has dealt with an unclean election when it first asks for a change. */
function partitionOf(partition: Partition, proposal: Proposal, nodeId: number, brokerEpoch: number) {
  return {
    partitionIndex: partition.partition,
    leaderEpoch: proposal.leaderEpoch,
    newIsrWithEpochs: proposal.isr.map((id) => ({ brokerId: id, brokerEpoch: id === nodeId ? brokerEpoch : partition.brokerEpochOf(id) })),
    partitionEpoch: proposal.partitionEpoch,
  };
}
