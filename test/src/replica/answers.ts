/**
 * Questions about one partition, asked of the brokers of a running cluster of three, and what they answered: the same questions are put to Apache Kafka and to us.
 *
 * Of a fetch it is told what the reader sees: error, high watermark, last stable offset, log start, offsets of the records, where the logs part, who leads, who else to read
 * from. Leader epochs are told by their place in the partition's history (E0, E1, E2), since how many a controller uses up is its own affair.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AlterPartitionReassignments, ElectLeaders } from '../../../protocol/messages/reassignments.ts';
import { Fetch, ListOffsets, OffsetForLeaderEpoch } from '../../../protocol/messages/fetch.ts';
import { Metadata } from '../../../protocol/messages/metadata.ts';
import { Produce } from '../../../protocol/messages/produce.ts';
import { CreateTopics } from '../../../protocol/messages/topics.ts';
import { baseOffset, sizeInBytes } from '../../../protocol/record/batch.ts';
import { RawClient } from '../broker-world.ts';
import { testBatch } from '../../storage/log-fixture.ts';

export const ANSWERS_TOPIC = 'answers';
/** On nodes 1 and 2 alone. */
const ELSEWHERE_TOPIC = 'answers-elsewhere';
const NOBODYS_TOPIC_ID = 'aaaaaaaaaaaaaaaaaaaaaA';
const PATIENCE_MS = 20_000;

export interface Answered {
  readonly question: string;
  readonly answer: string;
}

export class Questioner {
  readonly #clients: readonly RawClient[];
  readonly #answers: Answered[] = [];
  readonly #topicIds = new Map<string, string>();
  /** Leader epochs that appended something, oldest first. */
  readonly #epochs: number[] = [];

  /** By node id from 1. */
  static async connect(ports: readonly number[]): Promise<Questioner> {
    return new Questioner(await Promise.all(ports.map((port) => RawClient.connect(port))));
  }

  private constructor(clients: readonly RawClient[]) {
    this.#clients = clients;
  }

  #client(node: number): RawClient {
    return this.#clients[node - 1]!;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  /** A partition on all three nodes, and one on 1 and 2. Of the first: three records in the first epoch, two in the second under another leader, one in the third under the first again. */
  async prepare(): Promise<void> {
    const created = await this.#client(1).ask(CreateTopics, 7, {
      topics: [[ANSWERS_TOPIC, [1, 2, 3]] as const, [ELSEWHERE_TOPIC, [1, 2]] as const].map(([name, brokerIds]) => ({
        name, numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex: 0, brokerIds }], configs: [],
      })),
      timeoutMs: 10_000, validateOnly: false,
    });
    for (const { name, errorCode, errorMessage, topicId } of created.topics) {
      if (errorCode !== 0) throw new Error(`${name} was not created: ${errorMessage}`);
      this.#topicIds.set(name, topicId);
    }
    await this.#produce(1, 'a', 'b', 'c');
    await this.#lead(2);
    await this.#produce(2, 'd', 'e');
    await this.#lead(1);
    await this.#produce(1, 'f');
    for (const node of [1, 2, 3]) {
      await this.#until(`node ${node} to know that all is committed`, async () => (await this.#fetch(node, { offset: 6 })).startsWith('0 hw 6'));
    }
  }

  async #lead(node: number): Promise<void> {
    const others = [1, 2, 3].filter((one) => one !== node);
    await this.#until(`${node} to lead`, async () => {
      const reassigned = await this.#client(1).ask(AlterPartitionReassignments, 0, {
        timeoutMs: 10_000, topics: [{ name: ANSWERS_TOPIC, partitions: [{ partitionIndex: 0, replicas: [node, ...others] }] }],
      });
      const elected = await this.#client(1).ask(ElectLeaders, 2, { electionType: 0, topicPartitions: [{ topic: ANSWERS_TOPIC, partitions: [0] }], timeoutMs: 10_000 });
      void reassigned;
      void elected;
      const states = await Promise.all([1, 2, 3].map((one) => this.#state(one)));
      return states.every(({ leader, isr }) => leader === node && isr === 3);
    });
  }

  async #state(node: number): Promise<{ leader: number; epoch: number; isr: number }> {
    const { topics } = await this.#client(node).ask(Metadata, 12, { topics: [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAA', name: ANSWERS_TOPIC }], allowAutoTopicCreation: false, includeTopicAuthorizedOperations: false });
    const partition = topics[0]!.partitions.find(({ partitionIndex }) => partitionIndex === 0);
    return { leader: partition?.leaderId ?? -1, epoch: partition?.leaderEpoch ?? -1, isr: partition?.isrNodes.length ?? 0 };
  }

  async #produce(node: number, ...values: string[]): Promise<void> {
    for (const value of values) {
      await this.#until(`${value} to be taken`, async () => {
        const answer = await this.#client(node).ask(Produce, 9, {
          transactionalId: null, acks: -1, timeoutMs: 5000,
          topicData: [{ name: ANSWERS_TOPIC, partitionData: [{ index: 0, records: testBatch({ values: [value] }) }] }],
        });
        return answer.responses[0]!.partitionResponses[0]!.errorCode === 0;
      });
    }
    this.#epochs.push((await this.#state(node)).epoch);
  }

  async #until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
      await sleep(50);
    }
  }

  // ---- questions

  async askAll(): Promise<readonly Answered[]> {
    const current = this.#epochs[2]!;
    const epochs = new Map([['none', -1], ['current', current], ['older', current - 1], ['newer', current + 1]]);
    for (const node of [1, 2, 3]) {
      for (const [belief, epoch] of epochs) {
        for (const asked of [-1, ...this.#epochs, current + 1]) {
          await this.#tell(`node ${node} OffsetForLeaderEpoch of ${this.#nameOf(asked)} believing ${belief}`, () => this.#endOf(node, 0, epoch, asked));
        }
      }
      for (const version of [2, 3, 4]) await this.#tell(`node ${node} OffsetForLeaderEpoch v${version} of a follower`, () => this.#endOf(node, 0, -1, this.#epochs[1]!, version));
      await this.#tell(`node ${node} OffsetForLeaderEpoch of a partition that it has not`, () => this.#endOf(node, 0, -1, 0, 4, ELSEWHERE_TOPIC));
      await this.#tell(`node ${node} OffsetForLeaderEpoch of a partition that nobody has`, () => this.#endOf(node, 7, -1, 0));
    }
    for (const node of [1, 2, 3]) {
      for (const [belief, epoch] of epochs) {
        for (const version of [4, 11, 12, 16, 17]) {
          if (version < 9 && epoch !== -1) continue;
          for (const offset of [0, 4, 6, 7, -1]) {
            await this.#tell(`node ${node} Fetch v${version} from ${offset} believing ${belief}`, () => this.#fetch(node, { offset, version, epoch }));
          }
        }
      }
      for (const [last, offset] of [[0, 0], [0, 3], [0, 4], [1, 3], [1, 5], [1, 6], [2, 6], [2, 7], [3, 6]] as const) {
        const lastEpoch = last === 3 ? current + 1 : this.#epochs[last]!;
        await this.#tell(`node ${node} Fetch from ${offset} after a record of ${this.#nameOf(lastEpoch)}`, () => this.#fetch(node, { offset, lastEpoch, epoch: current }));
      }
      await this.#tell(`node ${node} Fetch of a partition that it has not`, () => this.#fetch(node, { offset: 0, topic: ELSEWHERE_TOPIC }));
      await this.#tell(`node ${node} Fetch of a partition that nobody has`, () => this.#fetch(node, { offset: 0, partition: 7 }));
      await this.#tell(`node ${node} Fetch of a topic that nobody has`, () => this.#fetch(node, { offset: 0, topic: 'nobodys' }));
    }
    for (const node of [1, 2]) {
      for (const [who, replicaId] of [['a follower', 3], ['the leader', 1], ['a broker that is not there', 99], ['a debugger', -2], ['a future replica', -3]] as const) {
        for (const [belief, epoch] of epochs) {
          for (const version of [11, 17]) {
            for (const offset of [6, 7]) {
              await this.#tell(`node ${node} Fetch v${version} of ${who} from ${offset} believing ${belief}`, () => this.#fetch(node, { offset, version, epoch, replicaId }));
            }
          }
        }
      }
      for (const [life, brokerEpoch] of [['none', -1], ['an older', 0], ['a newer', 2 ** 50]] as const) {
        await this.#tell(`node ${node} Fetch of a follower in ${life} life`, () => this.#fetch(node, { offset: 6, epoch: current, replicaId: 3, brokerEpoch }));
      }
      await this.#tell(`node ${node} Fetch of a follower after another history`, () => this.#fetch(node, { offset: 6, epoch: current, replicaId: 3, lastEpoch: this.#epochs[1]! }));
      await this.#tell(`node ${node} Fetch of a broker that is no replica`, () => this.#fetch(node, { offset: 0, topic: ELSEWHERE_TOPIC, epoch: 0, replicaId: 3 }));
    }
    for (const node of [1, 2, 3]) {
      for (const [who, replicaId] of [['a consumer', -1], ['a debugger', -2], ['a follower', 3]] as const) {
        for (const [belief, epoch] of epochs) {
          for (const timestamp of [-1, -2, -3, 0, 2 ** 45]) {
            await this.#tell(`node ${node} ListOffsets of ${who} at ${timestamp} believing ${belief}`, () => this.#listOffsets(node, { replicaId, epoch, timestamp, version: 8 }));
          }
        }
      }
      for (const version of [1, 3, 4, 5]) await this.#tell(`node ${node} ListOffsets v${version}`, () => this.#listOffsets(node, { replicaId: -1, epoch: -1, timestamp: -1, version }));
      await this.#tell(`node ${node} ListOffsets of a partition that it has not`, () => this.#listOffsets(node, { replicaId: -1, epoch: -1, timestamp: -1, version: 8, topic: ELSEWHERE_TOPIC }));
      await this.#tell(`node ${node} ListOffsets of a partition that nobody has`, () => this.#listOffsets(node, { replicaId: -1, epoch: -1, timestamp: -1, version: 8, partition: 7 }));
    }
    for (const node of [1, 2, 3]) {
      for (const acks of [-1, 1]) {
        for (const version of [9, 10, 12]) await this.#tell(`node ${node} Produce v${version} acks=${acks} of nothing that could be taken`, () => this.#produceNothing(node, version, acks));
        await this.#tell(`node ${node} Produce acks=${acks} to a partition that it has not`, () => this.#produceNothing(node, 12, acks, ELSEWHERE_TOPIC));
      }
    }
    return this.#answers;
  }

  async #tell(question: string, ask: () => Promise<string>): Promise<void> {
    this.#answers.push({ question, answer: await ask() });
  }

  #nameOf(epoch: number): string {
    const place = this.#epochs.indexOf(epoch);
    if (place >= 0) return `E${place}`;
    return epoch === this.#epochs[2]! + 1 ? 'the next epoch' : String(epoch);
  }

  async #endOf(node: number, partition: number, currentLeaderEpoch: number, leaderEpoch: number, version = 4, topic = ANSWERS_TOPIC): Promise<string> {
    const answer = await this.#client(node).ask(OffsetForLeaderEpoch, version, {
      ...(version >= 3 && { replicaId: version === 4 ? -1 : 2 }), topics: [{ topic, partitions: [{ partition, currentLeaderEpoch, leaderEpoch }] }],
    });
    const one = answer.topics[0]!.partitions[0]!;
    return `${one.errorCode} ${this.#nameOf(one.leaderEpoch)} ends ${one.endOffset}`;
  }

  async #fetch(
    node: number,
    fetch: { offset: number; version?: number; epoch?: number; lastEpoch?: number; replicaId?: number; brokerEpoch?: number; partition?: number; topic?: string },
  ): Promise<string> {
    const { offset, version = 17, epoch = -1, lastEpoch = -1, replicaId = -1, brokerEpoch = -1, partition = 0, topic = ANSWERS_TOPIC } = fetch;
    const topicId = this.#topicIds.get(topic) ?? NOBODYS_TOPIC_ID;
    const answer = await this.#client(node).ask(Fetch, version, {
      ...(version >= 15 ? { replicaState: { replicaId, replicaEpoch: brokerEpoch } } : { replicaId }),
      maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000,
      topics: [{
        ...(version >= 13 ? { topicId } : { topic }),
        partitions: [{
          partition, fetchOffset: offset, partitionMaxBytes: 1_000_000, ...(version >= 9 && { currentLeaderEpoch: epoch }), ...(version >= 12 && { lastFetchedEpoch: lastEpoch }),
          ...(version >= 5 && { logStartOffset: replicaId >= 0 ? 0 : -1 }),
        }],
      }],
      forgottenTopicsData: [],
      ...(version >= 7 && { sessionId: 0, sessionEpoch: -1 }),
    });
    const one = answer.responses[0]?.partitions[0];
    if (one === undefined) return `all ${answer.errorCode}`;
    const offsets: number[] = [];
    const records = one.records ?? Buffer.alloc(0);
    for (let at = 0; at < records.length; at += sizeInBytes(records, at)) offsets.push(baseOffset(records, at));
    const told = [`${one.errorCode} hw ${one.highWatermark} stable ${one.lastStableOffset} start ${one.logStartOffset}`];
    if (offsets.length > 0) told.push(`records ${offsets.join(',')}`);
    if (one.records === null) told.push('records null');
    if (one.divergingEpoch.epoch >= 0 || one.divergingEpoch.endOffset >= 0) told.push(`parts at ${this.#nameOf(one.divergingEpoch.epoch)} ${one.divergingEpoch.endOffset}`);
    if (one.currentLeader.leaderId >= 0 || one.currentLeader.leaderEpoch >= 0) told.push(`leader ${one.currentLeader.leaderId} in ${this.#nameOf(one.currentLeader.leaderEpoch)}`);
    if (answer.nodeEndpoints.length > 0) told.push(`reached ${answer.nodeEndpoints.map(({ nodeId }) => nodeId).join(',')}`);
    if (one.preferredReadReplica >= 0) told.push(`better from ${one.preferredReadReplica}`);
    told.push(one.abortedTransactions === null ? 'aborted null' : `aborted ${one.abortedTransactions.length}`);
    return told.join(' ');
  }

  async #listOffsets(node: number, ask: { replicaId: number; epoch: number; timestamp: number; version: number; partition?: number; topic?: string }): Promise<string> {
    const { replicaId, epoch, timestamp, version, partition = 0, topic = ANSWERS_TOPIC } = ask;
    const answer = await this.#client(node).ask(ListOffsets, version, {
      replicaId, ...(version >= 2 && { isolationLevel: 0 }),
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp, ...(version >= 4 && { currentLeaderEpoch: epoch }) }] }],
    });
    const one = answer.topics[0]!.partitions[0]!;
    return `${one.errorCode} offset ${one.offset} ${one.timestamp === -1 ? 'without a time' : 'with a time'} of ${this.#nameOf(one.leaderEpoch)}`;
  }

  /** A batch that no leader takes: who does not lead says so before it looks. */
  async #produceNothing(node: number, version: number, acks: number, topic = ANSWERS_TOPIC): Promise<string> {
    const batch = testBatch();
    batch[70 - 5]! ^= 1;
    const answer = await this.#client(node).ask(Produce, version, {
      transactionalId: null, acks, timeoutMs: 1000, topicData: [{ name: topic, partitionData: [{ index: 0, records: batch }] }],
    });
    const one = answer.responses[0]!.partitionResponses[0]!;
    const told = [`${one.errorCode} at ${one.baseOffset} start ${one.logStartOffset}`];
    if (one.currentLeader.leaderId >= 0 || one.currentLeader.leaderEpoch >= 0) told.push(`leader ${one.currentLeader.leaderId} in ${topic === ANSWERS_TOPIC ? this.#nameOf(one.currentLeader.leaderEpoch) : 'some epoch'}`);
    if (answer.nodeEndpoints.length > 0) told.push(`reached ${answer.nodeEndpoints.map(({ nodeId }) => nodeId).join(',')}`);
    return told.join(' ');
  }
}
