/**
 * Tells the controller in which log directory a replica lies, where the metadata say something else (KIP-858).
 *
 * Promises: one request at a time, with all that is to be told then; what is not taken is told again, after a pause that doubles up to a limit, until it is or the
 * replica has gone. Does not move a replica.
 */
import { ErrorCode, errorMessage, KafkaError } from '../../protocol/errors.ts';
import { AssignReplicasToDirs } from '../../protocol/messages/cluster.ts';
import type { PeerChannel } from '../peer/peer.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Timers } from '../runtime/runtime.ts';
import type { Turn } from '../runtime/turn.ts';
import { Asking } from './asking.ts';

export interface AssignmentsOptions {
  readonly nodeId: number;
  readonly controller: PeerChannel;
  readonly brokerEpoch: () => number;
  readonly timers: Timers;
  readonly turn: Turn;
  readonly logger: Logger;
}

/** AssignReplicasToDirsRequest.MAX_ASSIGNMENTS_PER_REQUEST */
const ASSIGNMENTS_MAX = 2250;
/** Kafka's AssignmentsManager backs off from 100 ms to 10 s. */
const BACKOFF_MS = 100;
const BACKOFF_MS_MAX = 10_000;

interface Assignment {
  readonly topicId: string;
  readonly partition: number;
  readonly directoryId: string;
}

export class DirectoryAssignments {
  readonly #options: AssignmentsOptions;
  readonly #wanted = new Map<string, Assignment>();
  readonly #asking: Asking;
  #failures = 0;

  constructor(options: AssignmentsOptions) {
    this.#options = options;
    const { timers, turn } = options;
    this.#asking = new Asking({ timers, turn, isWanted: () => this.#wanted.size > 0, ask: () => this.#ask() });
  }

  assign(topicId: string, partition: number, directoryId: string): void {
    const key = `${topicId}:${partition}`;
    if (this.#wanted.get(key)?.directoryId === directoryId) return;
    this.#wanted.set(key, { topicId, partition, directoryId });
    this.#asking.soon();
  }

  /** The metadata agree, or the replica has gone. */
  forget(topicId: string, partition: number): void {
    this.#wanted.delete(`${topicId}:${partition}`);
  }

  close(): void {
    this.#asking.close();
    this.#wanted.clear();
  }

  /** Gives back how long to wait with what was not taken, or came meanwhile. */
  async #ask(): Promise<number> {
    this.#failures = (await this.#send()) ? 0 : this.#failures + 1;
    return Math.min(BACKOFF_MS * 2 ** Math.min(this.#failures, 16), BACKOFF_MS_MAX);
  }

  /** False when not all of it was taken. */
  async #send(): Promise<boolean> {
    const { nodeId, brokerEpoch, controller, logger } = this.#options;
    const asked = [...this.#wanted].slice(0, ASSIGNMENTS_MAX);
    try {
      const answer = await controller.request(AssignReplicasToDirs, { brokerId: nodeId, brokerEpoch: brokerEpoch(), directories: directoriesOf(asked.map(([, one]) => one)) });
      if (answer.errorCode !== ErrorCode.NONE) {
        logger.warn(`the controller does not take where replicas lie: ${errorMessage(answer.errorCode as ErrorCode)}`);
        return false;
      }
      let taken = 0;
      for (const { id, topics } of answer.directories) {
        for (const { topicId, partitions } of topics) {
          for (const { partitionIndex, errorCode } of partitions) {
            const key = `${topicId}:${partitionIndex}`;
            if (errorCode !== ErrorCode.NONE || this.#wanted.get(key)?.directoryId !== id) continue;
            this.#wanted.delete(key);
            taken++;
          }
        }
      }
      return taken > 0;
    } catch (error) {
      if (!(error instanceof ConnectionError) && !(error instanceof KafkaError)) throw error;
      return false;
    }
  }
}

function directoriesOf(assignments: readonly Assignment[]) {
  const directories = new Map<string, Map<string, number[]>>();
  for (const { topicId, partition, directoryId } of assignments) {
    let topics = directories.get(directoryId);
    if (topics === undefined) directories.set(directoryId, (topics = new Map()));
    const partitions = topics.get(topicId);
    if (partitions === undefined) topics.set(topicId, [partition]);
    else partitions.push(partition);
  }
  return [...directories].map(([id, topics]) => ({
    id, topics: [...topics].map(([topicId, partitions]) => ({ topicId, partitions: partitions.map((partitionIndex) => ({ partitionIndex })) })),
  }));
}
