/**
 * A simulated operator: creates and deletes topics of its own, moves replicas and leadership, changes settings, while everything else goes on.
 * Promises: a topic that was acknowledged as created is looked for in the end. Does not: repeat what was refused; the next fault asks for something else.
 */
import { AlterPartitionReassignments, CreateTopics, DeleteTopics, ElectLeaders, IncrementalAlterConfigs } from '../../protocol/messages/index.ts';
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import type { MetadataImage } from '../../src/quorum/image.ts';
import { isLost } from './client.ts';
import type { SimClient } from './client.ts';
import type { SimNode } from './node.ts';
import { TOPIC } from './plan.ts';
import type { Fault } from './plan.ts';
import { changeVoters } from './voters.ts';

const TIMEOUT_MS = 4000;

export class Admin {
  readonly client: SimClient;
  /** Topics whose creation was acknowledged and whose deletion was not asked for. */
  readonly created = new Set<string>();
  readonly #nodes: readonly SimNode[];
  #number = 0;

  constructor(client: SimClient, nodes: readonly SimNode[]) {
    this.client = client;
    this.#nodes = nodes;
  }

  async perform(fault: Fault, image: MetadataImage | null): Promise<void> {
    try {
      const said = await this.#perform(fault, image);
      this.client.world.trace(() => `admin: ${fault.kind}: ${said}`);
    } catch (error) {
      if (!isLost(error)) throw error;
      this.client.world.trace(() => `admin: ${fault.kind}: ${error.message}`);
    }
  }

  async #perform(fault: Fault, image: MetadataImage | null): Promise<string> {
    const { client } = this;
    const { choice, kind, target } = fault;
    const connection = await (kind === 'configure' && typeof target === 'number' ? client.node(target) : client.any());
    const topic = target === 'coordinator' ? '__consumer_offsets' : TOPIC;
    const partitions = image?.topic(topic)?.partitions ?? [];
    const index = Math.floor(choice * partitions.length);
    switch (fault.kind) {
      case 'elect': {
        const answer = await connection.request(ElectLeaders, { electionType: 0, topicPartitions: choice < 0.5 ? null : [{ topic, partitions: [index] }], timeoutMs: TIMEOUT_MS });
        return errorName(answer.errorCode);
      }
      case 'move leader': {
        // Several times: the second leader may not have heard of the first, nor the third of the second (KIP-279).
        const replicas = partitions[index]?.replicas ?? [];
        for (let times = 1 + Math.floor(choice * 3.99), at = fault.other; times > 0; times--, at++) {
          const order = replicas.map((_, place) => replicas[(at + place) % replicas.length]!);
          await connection.request(AlterPartitionReassignments, { timeoutMs: TIMEOUT_MS, topics: [{ name: topic, partitions: [{ partitionIndex: index, replicas: order }] }] });
          const answer = await connection.request(ElectLeaders, { electionType: 0, topicPartitions: [{ topic, partitions: [index] }], timeoutMs: TIMEOUT_MS });
          this.client.world.trace(() => `admin: leader of ${topic}-${index} to ${order.join()}: ${errorName(answer.errorCode)}`);
          if (times > 1) await client.pause(fault.ms);
        }
        return 'moved';
      }
      case 'reassign': {
        // Another order, and with a fourth node other members.
        const start = fault.other - 1;
        const replicas = this.#nodes.map((_, at) => this.#nodes[(start + at) % this.#nodes.length]!.id).slice(0, 3);
        const answer = await connection.request(AlterPartitionReassignments, {
          timeoutMs: TIMEOUT_MS, topics: [{ name: topic, partitions: [{ partitionIndex: index, replicas: choice < 0.15 ? null : replicas }] }],
        });
        return errorName(answer.errorCode !== ErrorCode.NONE ? answer.errorCode : (answer.responses[0]?.partitions[0]?.errorCode ?? 0));
      }
      case 'create topic': {
        const name = `t${this.#number++}`;
        const answer = await connection.request(CreateTopics, { topics: [{ name, numPartitions: 1 + Math.floor(choice * 3), replicationFactor: -1, assignments: [], configs: [] }], timeoutMs: TIMEOUT_MS, validateOnly: false });
        const { errorCode } = answer.topics[0]!;
        if (errorCode === ErrorCode.NONE) this.created.add(name);
        return errorName(errorCode);
      }
      case 'delete topic': {
        const name = [...this.created][0];
        if (name === undefined) return 'nothing to delete';
        this.created.delete(name);
        const answer = await connection.request(DeleteTopics, { topics: [{ name, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }], timeoutMs: TIMEOUT_MS });
        return errorName(answer.responses[0]!.errorCode);
      }
      case 'voters':
        return changeVoters(connection, this.#nodes, fault);
      default: {
        // More than the largest batch that a producer of the plan makes.
        const config = fault.kind === 'retain' ? retentionOf(choice) : { name: 'max.message.bytes', value: String(400_000 + Math.floor(choice * 1_000_000)) };
        const answer = await connection.request(IncrementalAlterConfigs, { resources: [{ resourceType: 2, resourceName: TOPIC, configs: [{ ...config, configOperation: 0 }] }], validateOnly: false });
        return errorName(answer.responses[0]!.errorCode);
      }
    }
  }
}

/** Less than there is, most often; or no limit. */
function retentionOf(choice: number): { readonly name: string; readonly value: string } {
  if (choice < 0.5) return { name: 'retention.bytes', value: choice < 0.1 ? '-1' : String(Math.floor(choice * 60_000)) };
  return { name: 'retention.ms', value: choice > 0.9 ? '-1' : String(500 + Math.floor((choice - 0.5) * 10_000)) };
}
