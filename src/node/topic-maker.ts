/**
 * Topics that come to be because somebody needs them: asked for by a client's Metadata, or kept by a coordinator (AutoTopicCreationManager of Kafka).
 *
 * Promises: however many ask for a topic, the controller is asked once at a time; who asked hears when this node's metadata show the topic, or when it is
 * clear that they will not. Does not decide whether topics may be made.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts';
import { CreateTopics } from '../../protocol/messages/topics.ts';
import type { Controller } from '../quorum/controller.ts';
import type { MetadataImage } from '../quorum/image.ts';
import { internalTopic } from '../quorum/internal-topics.ts';
import type { PeerChannel } from '../peer/peer.ts';
import { ConnectionError } from '../runtime/connection-error.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Clock } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';

/** Whoever asks is a client that waits for its answer, and comes again. */
const CREATION_MS_MAX = 5000;
/** A client that waits for a topic which cannot be made asks several times a second. */
const SAY_AGAIN_MS = 60_000;
/** How long a topic that the controller has made may take to reach this node's metadata. */
const ARRIVAL_MS_MAX = 5000;
const USE_DEFAULT = -1;

export interface TopicMakerOptions {
  readonly settings: () => Settings;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly channel: PeerChannel;
  /** This node's own while it is the active one: it answers when all here have acted on the topic. */
  readonly ownController: () => Controller | null;
  /** Resolves when this node's metadata are as wished; with false when they are not in time. */
  readonly imageWith: (isThere: (image: MetadataImage) => boolean, timeoutMs: number) => Promise<boolean>;
}

export class TopicMaker {
  readonly #options: TopicMakerOptions;
  readonly #underWay = new Map<string, Promise<void>>();
  /** When it was last said that a topic cannot be made, by name; few, for it is cleared with time. */
  #said = new Map<string, number>();

  constructor(options: TopicMakerOptions) {
    this.#options = options;
  }

  /** Rejects with a KafkaError when no controller answers, or the metadata log cannot be written. */
  async ensure(names: readonly string[]): Promise<void> {
    const own = this.#options.ownController();
    if (own !== null) {
      await own.ensureTopics(names);
      return;
    }
    const missing = names.filter((name) => !this.#underWay.has(name));
    if (missing.length > 0) {
      const made = this.#make(missing).finally(() => missing.forEach((name) => this.#underWay.delete(name)));
      for (const name of missing) this.#underWay.set(name, made);
    }
    await Promise.all(new Set(names.map((name) => this.#underWay.get(name)!)));
  }

  async #make(names: readonly string[]): Promise<void> {
    const { channel, settings, imageWith } = this.#options;
    const inForce = settings();
    const timeoutMs = Math.min(inForce.get('request.timeout.ms'), CREATION_MS_MAX);
    // By this broker's settings, as Kafka does it: the controller may have others.
    const topics = names.map((name) => internalTopic(name, inForce) ?? {
      name, numPartitions: inForce.isSet('num.partitions') ? inForce.get('num.partitions') : USE_DEFAULT,
      replicationFactor: inForce.isSet('default.replication.factor') ? inForce.get('default.replication.factor') : USE_DEFAULT, assignments: [], configs: [],
    });
    let answer;
    try {
      answer = await channel.request(CreateTopics, { topics, timeoutMs: inForce.get('request.timeout.ms'), validateOnly: false } as never, { timeoutMs });
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      throw new KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, error.message);
    }
    const expected: string[] = [];
    for (const { name, errorCode, errorMessage } of answer.topics) {
      if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.TOPIC_ALREADY_EXISTS) expected.push(name);
      else this.#say(name, errorMessage ?? new KafkaError(errorCode as ErrorCode).message);
    }
    if (expected.length > 0) await imageWith((image) => expected.every((name) => image.topic(name) !== undefined), ARRIVAL_MS_MAX);
  }

  #say(name: string, why: string): void {
    const { clock, logger } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#said = new Map([...this.#said].filter(([, saidMs]) => nowMs - saidMs < SAY_AGAIN_MS));
    if (this.#said.has(name)) return;
    this.#said.set(name, nowMs);
    logger.warn(`topic ${name} cannot be created: ${why}`);
  }
}
